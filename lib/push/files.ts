// The files of one pushed archive: made with their labels, grown by whole bodies. What fails in the
// middle of a body is cut back to the end of the one before it, so the files stay readable. No
// descriptor is kept between two bodies. A file that somebody else changed, moved or removed is not
// written to again. What is over ends with whole records.
import { closeSync, constants, fstatSync, ftruncateSync, openSync, writeSync } from "node:fs";
import { type FileHandle, open, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import {
  type ArchiveLabel,
  encodeLabel,
  freeArchive,
  INDEX_VOLUME,
  META_VOLUME,
} from "../archive/mod.ts";
import { asPcpError, type Log, makeDirectory, syncPath, writeWhole } from "../base/mod.ts";
import type { Marks } from "./marks.ts";
import { mendPushed, namesIn } from "./mend.ts";
import { type EndWatch, watchIndexEnd, watchRecordEnd } from "./record-end.ts";

/** Why a body, or an archive, was not taken. */
export class PushFault extends Error {
  constructor(
    readonly status: 409 | 410 | 500,
    message: string,
  ) {
    super(message);
    this.name = "PushFault";
  }
}

const EEXIST = -17;
const ENOENT = -2;
const NO_FOLLOW = constants.O_NOFOLLOW ?? 0;
const CREATE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | NO_FOLLOW;
const CHANGE = constants.O_WRONLY | NO_FOLLOW;
/** Bodies of loggers that record are smaller; larger ones are written while others are served. */
const SMALL_BYTES = 64 * 1024;
const FILE_MODE = 0o644;
const FOLDER_MODE = 0o775;

async function withFile<T>(path: string, flags: number, body: (file: FileHandle) => Promise<T>) {
  const file = await open(path, flags, FILE_MODE);
  let result: T;
  try {
    result = await body(file);
  } catch (error) {
    await file.close();
    throw error;
  }
  // Some file systems tell only now that there was no room.
  await file.close();
  return result;
}

/** One part of the archive. */
interface Part {
  readonly path: string;
  /** Bytes of whole bodies, the label included. */
  length: number;
  isDirty: boolean;
  /** Knows whether they end with a whole record. */
  readonly end: EndWatch;
}

/** A part by its name, a data volume by its number. */
export type PartName = "meta" | "index" | number;

/** The files of one archive. */
export interface PushFiles {
  /** Path without suffix. */
  readonly base: string;
  /** Appends a body; rejects with PushFault. `now`: durable before this resolves. */
  append(target: PartName, bytes: Uint8Array, now: boolean): Promise<void>;
  /**
   * Appends a small body to a part that is there, without a turn of the event loop, which would take
   * longer than the write; false: this body is none for that. Throws PushFault.
   */
  appendAtOnce(target: PartName, bytes: Uint8Array): boolean;
  /** Makes what was written durable. */
  sync(): Promise<void>;
  /** The archive is ended: made whole where its logger left it in the middle of a record. */
  release(): Promise<void>;
}

/** What files are made with. */
export interface FilesParts {
  readonly marks: Marks;
  readonly log: Pick<Log, "write">;
}

/** Takes the first free name: several archives may begin at the same time. Path without suffix. */
async function takeName(folder: string, name: string, marks: Marks): Promise<string> {
  for (;;) {
    const base = await freeArchive(folder, name);
    if (base === undefined)
      throw new PushFault(409, `no name is left for an archive ${join(folder, name)}`);
    try {
      await marks.put(base);
      return base;
    } catch (error) {
      // Somebody was faster; the next look sees the mark.
      if (asPcpError(error).code !== EEXIST) throw error;
    }
  }
}

/** Makes the first files of an archive under the first free name. Rejects with PushFault. */
export async function createFiles(
  folder: string,
  name: string,
  label: ArchiveLabel,
  parts: FilesParts,
): Promise<PushFiles> {
  const { marks } = parts;
  const made: string[] = [];
  let marked: string | undefined;
  const create = async (path: string, volume: number): Promise<Part> => {
    const bytes = encodeLabel({ ...label, volume });
    await withFile(path, CREATE, async (file) => {
      made.push(path);
      await writeWhole(file, bytes, 0);
      await file.datasync();
    });
    const { version } = label;
    const end = volume === INDEX_VOLUME ? watchIndexEnd(version) : watchRecordEnd();
    return { path, length: bytes.length, isDirty: false, end };
  };
  try {
    // For the group that PCP's programs run as, without regard to the mask of the process.
    await makeDirectory(folder, FOLDER_MODE);
    const base = await takeName(folder, name, marks);
    marked = base;
    const index = await create(`${base}.index`, INDEX_VOLUME);
    const meta = await create(`${base}.meta`, META_VOLUME);
    await syncPath(folder);
    return pushFiles(base, label, { index, meta }, parts);
  } catch (error) {
    await Promise.all(made.map((path) => rm(path, { force: true })));
    if (marked !== undefined) await marks.remove(marked);
    if (error instanceof PushFault) throw error;
    const { code, message } = asPcpError(error);
    throw new PushFault(code === EEXIST ? 409 : 500, `cannot create an archive: ${message}`);
  }
}

function checkSize({ path, length }: Part, size: number): void {
  if (size !== length) throw new PushFault(410, `${path}: ${size} bytes, ${length} were written`);
}

/** What failed while a body was appended, as a reason to refuse it. */
function faultOf(error: unknown): PushFault {
  if (error instanceof PushFault) return error;
  const { code, message } = asPcpError(error);
  // Removed or moved: its logger is to begin a new archive.
  return new PushFault(code === ENOENT ? 410 : 500, message);
}

function growAtOnce(part: Part, bytes: Uint8Array): void {
  const descriptor = openSync(part.path, CHANGE);
  try {
    checkSize(part, fstatSync(descriptor).size);
    try {
      for (let done = 0; done < bytes.length;)
        done += writeSync(descriptor, bytes, done, bytes.length - done, part.length + done);
    } catch (error) {
      ftruncateSync(descriptor, part.length);
      throw error;
    }
  } finally {
    closeSync(descriptor);
  }
  part.length += bytes.length;
  part.end.take(bytes);
  part.isDirty = true;
}

function pushFiles(
  base: string,
  label: ArchiveLabel,
  parts: { readonly index: Part; readonly meta: Part },
  { marks, log }: FilesParts,
): PushFiles {
  let volume: (Part & { readonly number: number }) | undefined;
  /** All volumes, also those that are over. */
  const volumes = new Set<string>();
  /** In the order in which they are to become durable: what others point to first. */
  const all = (): Part[] =>
    volume === undefined ? [parts.meta, parts.index] : [parts.meta, volume, parts.index];

  const grow = async (part: Part, bytes: Uint8Array, now: boolean): Promise<void> => {
    const flags = part.length === 0 ? CREATE : CHANGE;
    await withFile(part.path, flags, async (file) => {
      checkSize(part, (await file.stat()).size);
      try {
        await writeWhole(file, bytes, part.length);
        if (now) await file.datasync();
      } catch (error) {
        await file.truncate(part.length);
        throw error;
      }
    });
    part.length += bytes.length;
    part.isDirty ||= !now;
  };
  const append = async (part: Part, bytes: Uint8Array, now: boolean): Promise<void> => {
    await grow(part, bytes, now);
    part.end.take(bytes);
  };

  const nextVolume = async (number: number): Promise<Part> => {
    const before = volume;
    if (before?.isDirty === true) await syncPath(before.path);
    const path = `${base}.${number}`;
    const next = { path, length: 0, isDirty: false, end: watchRecordEnd(), number };
    try {
      await grow(next, encodeLabel({ ...label, volume: number }), true);
    } catch (error) {
      const { code } = asPcpError(error);
      // Its label did not fit: readers would stumble over such a file. One that was there is not ours.
      if (code !== EEXIST) await rm(next.path, { force: true });
      throw error;
    }
    await syncPath(dirname(base));
    volume = next;
    volumes.add(basename(path));
    return next;
  };

  const partOf = (target: PartName): Part | undefined => {
    if (typeof target === "string") return parts[target];
    return volume?.number === target ? volume : undefined;
  };

  /** Whether its files are as they were written, and no others are beside them. */
  const isUntouched = async (): Promise<boolean> => {
    const names = await namesIn(dirname(base));
    const isOther = (name: string): boolean =>
      name.startsWith(`${basename(base)}.`) && !/\.(meta|index)$/.test(name) && !volumes.has(name);
    if (names.some(isOther)) return false;
    for (const { path, length } of all()) {
      const found = names.includes(basename(path)) ? await stat(path) : undefined;
      if (found?.size !== length) return false;
    }
    return true;
  };
  /** Whether readers find nothing torn, and no file that is only a label: loggers may go at any time. */
  const isWhole = (): boolean => {
    if (volume === undefined) return false;
    const entry = parts.index.end.last;
    const pointsTo = entry?.volume === volume.number ? entry.dataOffset : 0;
    const isEach = all().every(({ end }) => end.isWhole && end.taken > 0);
    return isEach && pointsTo <= volume.length;
  };

  return {
    base,
    async append(target, bytes, now) {
      try {
        const part = partOf(target) ?? (await nextVolume(Number(target)));
        await append(part, bytes, now);
      } catch (error) {
        throw faultOf(error);
      }
    },
    appendAtOnce(target, bytes) {
      const part = bytes.length <= SMALL_BYTES ? partOf(target) : undefined;
      if (part === undefined) return false;
      try {
        growAtOnce(part, bytes);
        return true;
      } catch (error) {
        throw faultOf(error);
      }
    },
    async sync() {
      for (const part of all()) {
        if (!part.isDirty) continue;
        part.isDirty = false;
        await syncPath(part.path);
      }
    },
    async release() {
      if (!isWhole() && (await isUntouched())) await mendPushed(base, "index", log);
      await marks.remove(base);
    },
  };
}
