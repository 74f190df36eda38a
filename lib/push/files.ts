// The files of one pushed archive: made with their labels, grown by whole bodies. What fails in the
// middle of a body is cut back to the end of the one before it, so the files stay readable. No
// descriptor is kept between two bodies. A file that somebody else changed, moved or removed is not
// written to again.
import { closeSync, constants, fstatSync, ftruncateSync, openSync, writeSync } from "node:fs";
import { chmod, type FileHandle, mkdir, open, readdir, rm, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import {
  type ArchiveLabel,
  encodeLabel,
  freeArchive,
  INDEX_VOLUME,
  mendArchive,
  META_VOLUME,
} from "../archive/mod.ts";
import { asPcpError, type Log, syncPath, writeWhole } from "../base/mod.ts";

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
/** Ending of the hidden file that is beside an archive as long as it is being pushed. */
const MARK = ".pushing";

const markOf = (base: string): string => join(dirname(base), `.${basename(base)}${MARK}`);

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

/** A directory for archives of one host, made if need be. */
async function makeFolder(folder: string): Promise<void> {
  const made = await mkdir(folder, { recursive: true, mode: FOLDER_MODE });
  // Without regard to the mask of the process.
  if (made !== undefined) await chmod(folder, FOLDER_MODE);
}

/** One part of the archive. */
interface Part {
  readonly path: string;
  /** Bytes of whole bodies, the label included. */
  length: number;
  isDirty: boolean;
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
  /** The archive is ended: nobody will look after it any more. */
  release(): Promise<void>;
}

/** Makes the first files of an archive under the first free name. Rejects with PushFault. */
export async function createFiles(
  folder: string,
  name: string,
  label: ArchiveLabel,
): Promise<PushFiles> {
  const made: string[] = [];
  const create = async (path: string, volume: number): Promise<Part> => {
    const bytes = encodeLabel({ ...label, volume });
    await withFile(path, CREATE, async (file) => {
      made.push(path);
      await writeWhole(file, bytes, 0);
      await file.datasync();
    });
    return { path, length: bytes.length, isDirty: false };
  };
  try {
    await makeFolder(folder);
    const base = await freeArchive(folder, name);
    if (base === undefined)
      throw new PushFault(409, `no name is left for an archive ${join(folder, name)}`);
    await withFile(markOf(base), CREATE, async () => {
      made.push(markOf(base));
    });
    const index = await create(`${base}.index`, INDEX_VOLUME);
    const meta = await create(`${base}.meta`, META_VOLUME);
    await syncPath(folder);
    return pushFiles(base, label, { index, meta });
  } catch (error) {
    await Promise.all(made.map((path) => rm(path, { force: true })));
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
  part.isDirty = true;
}

function pushFiles(
  base: string,
  label: ArchiveLabel,
  parts: { readonly index: Part; readonly meta: Part },
): PushFiles {
  let volume: (Part & { readonly number: number }) | undefined;
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

  const nextVolume = async (number: number): Promise<Part> => {
    const before = volume;
    if (before?.isDirty === true) await syncPath(before.path);
    const next = { path: `${base}.${number}`, length: 0, isDirty: false, number };
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
    return next;
  };

  const partOf = (target: PartName): Part | undefined => {
    if (typeof target === "string") return parts[target];
    return volume?.number === target ? volume : undefined;
  };

  return {
    base,
    async append(target, bytes, now) {
      try {
        const part = partOf(target) ?? (await nextVolume(Number(target)));
        await grow(part, bytes, now);
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
    release: () => rm(markOf(base), { force: true }),
  };
}

/** Mends the archives below `directory` that were being pushed when a server before this one was killed. */
export async function mendPushed(directory: string, log: Pick<Log, "write">): Promise<void> {
  const list = async (path: string): Promise<string[]> => {
    try {
      return await readdir(path);
    } catch (error) {
      // Not there yet, not a directory, or not ours to read: then there is nothing of ours in it.
      if (asPcpError(error).code < -4096) throw error;
      return [];
    }
  };
  for (const host of await list(directory)) {
    for (const name of await list(join(directory, host))) {
      if (!name.startsWith(".") || !name.endsWith(MARK)) continue;
      const base = join(directory, host, name.slice(1, -MARK.length));
      try {
        for (const { file, cut } of mendArchive(base))
          log.write("info", `${file}: ${cut} bytes cut off that were not pushed whole`);
        await unlink(markOf(base));
      } catch (error) {
        log.write("warning", `${base}: not mended: ${asPcpError(error).message}`);
      }
    }
  }
}
