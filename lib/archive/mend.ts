// Makes an archive whole again that a power cut or a killed program left in the middle of a write:
// what is no whole record at the end of a file is cut off, index entries that point behind the ends
// are dropped. For who wrote the archive and knows that nobody writes it now. Refuses compressed files
// (they were whole when they were made) and files whose labels cannot be read: those stay as they are.
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readSync,
  rmSync,
  statSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { PcpError, viewOf } from "../base/mod.ts";
import { MAX_RECORD_BYTES, TRAILER } from "./frame.ts";
import { decodeLabel, INDEX_VOLUME, labelBytes, MAX_LABEL_BYTES, META_VOLUME } from "./label.ts";
import { decodeIndexEntry, type IndexEntry, indexEntryBytes } from "./temporal.ts";
import { type ArchiveVersion, timeBytes } from "./timestamp.ts";

/** A file that was changed. */
export interface Mended {
  readonly file: string;
  /** Bytes that are there now; undefined: not even one whole record was, so it was removed. */
  readonly kept: number | undefined;
  /** Bytes that went. */
  readonly cut: number;
}

/** A file that is open for being looked at and cut. */
interface Open {
  readonly path: string;
  readonly descriptor: number;
  readonly version: ArchiveVersion;
  /** Bytes of it that are good as far as is known. */
  size: number;
}

const WINDOW = 256 * 1024;
/** Behind a longer record only the two words around its end are read. */
const LONG_RECORD = 16 * 1024;
const NO_FOLLOW = constants.O_NOFOLLOW ?? 0;

function readAt(descriptor: number, position: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let got = 0;
  while (got < length) {
    const step = readSync(descriptor, bytes, got, length - got, position + got);
    if (step === 0) break;
    got += step;
  }
  return bytes.subarray(0, got);
}

/** Opens a file with a good label; "short" for one that ends before its label does. */
function openLabelled(path: string, volume: number): Open | "short" | undefined {
  const descriptor = openSync(path, constants.O_RDWR | NO_FOLLOW);
  const { size } = fstatSync(descriptor);
  const head = readAt(descriptor, 0, MAX_LABEL_BYTES);
  try {
    const { version } = decodeLabel(head, volume, { file: path, offset: 0 });
    return { path, descriptor, version, size };
  } catch (error) {
    closeSync(descriptor);
    if (!(error instanceof PcpError)) throw error;
    const isShort = head.length < labelBytes(2) || (size < labelBytes(3) && head[7] === 3);
    return isShort || head.every((byte) => byte === 0) ? "short" : undefined;
  }
}

/** Where the whole records of a file end, looked at from `from` on. */
function recordsEnd(file: Open, from: number, shortest: number): number {
  let at = from;
  let windowAt = 0;
  let window: Uint8Array = new Uint8Array(0);
  const word = (position: number, most: number): number => {
    if (position < windowAt || position + 4 > windowAt + window.length) {
      windowAt = position;
      window = readAt(file.descriptor, position, Math.min(most, file.size - position));
    }
    return viewOf(window).getUint32(position - windowAt);
  };
  while (at + shortest <= file.size) {
    const length = word(at, WINDOW);
    if (length < shortest || length > MAX_RECORD_BYTES || at + length > file.size) break;
    if (word(at + length - TRAILER, length > LONG_RECORD ? 8 : WINDOW) !== length) break;
    at += length;
  }
  return at;
}

/** Shortest record of metadata: two words before its body, one after it. */
const SHORTEST_META = 12;

function indexEntries(index: Open): IndexEntry[] {
  const start = labelBytes(index.version);
  const each = indexEntryBytes(index.version);
  const bytes = readAt(index.descriptor, start, index.size - start);
  const view = viewOf(bytes);
  const found: IndexEntry[] = [];
  for (let at = 0; at + each <= bytes.length; at += each)
    found.push(decodeIndexEntry(view, at, index.version));
  return found;
}

/** The parts of an archive that is being mended. */
interface Parts {
  readonly meta: Open | undefined;
  readonly index: Open | undefined;
  readonly volumes: ReadonlyMap<number, Open>;
  /** Volumes that had no whole label. */
  readonly gone: ReadonlySet<number>;
}

/**
 * What is believed of an archive: after a killed program that what its index points to is whole; after a
 * power cut nothing is, since what was written last may be there without what was written before.
 */
export type MendTrust = "index" | "nothing";

/** Finds where the good part of each file ends. */
function judge({ meta, index, volumes, gone }: Parts, trust: MendTrust): void {
  const entries = index === undefined ? [] : indexEntries(index);
  if (meta !== undefined) meta.size = recordsEnd(meta, labelBytes(meta.version), SHORTEST_META);
  for (const [number, volume] of volumes) {
    const start = labelBytes(volume.version);
    // A data record: length, time, number of metrics, length.
    const shortest = 4 + timeBytes(volume.version) + 4 + TRAILER;
    // Entries beyond are of what was not written any more.
    const isInside = (each: IndexEntry): boolean =>
      each.volume === number && each.dataOffset >= start && each.dataOffset < volume.size;
    const known = (trust === "index" ? entries.findLast(isInside)?.dataOffset : undefined) ?? start;
    const end = known < volume.size ? recordsEnd(volume, known, shortest) : start;
    // Nothing whole where the index points to: the index is not to be believed.
    volume.size = end > known ? end : recordsEnd(volume, start, shortest);
  }
  if (index === undefined) return;
  // A volume that is compressed is whole; one that went has nothing to point to.
  const elsewhere = (volume: number): number => (gone.has(volume) ? 0 : Number.MAX_SAFE_INTEGER);
  const isGood = ({ volume, metaOffset, dataOffset }: IndexEntry): boolean =>
    dataOffset >= labelBytes(index.version) &&
    dataOffset <= (volumes.get(volume)?.size ?? elsewhere(volume)) &&
    (meta === undefined || metaOffset <= meta.size);
  const bad = entries.findIndex((entry) => !isGood(entry));
  const good = bad < 0 ? entries.length : bad;
  index.size = labelBytes(index.version) + good * indexEntryBytes(index.version);
}

/**
 * Cuts a file where it was found to end; what went. Volumes and indexes that are only a label are
 * removed: programs of PCP do not open archives that have such.
 */
function cut(file: Open, isMeta: boolean): Mended | undefined {
  const { size } = fstatSync(file.descriptor);
  if (!isMeta && file.size === labelBytes(file.version)) {
    rmSync(file.path);
    return { file: file.path, kept: undefined, cut: size };
  }
  if (size <= file.size) return undefined;
  ftruncateSync(file.descriptor, file.size);
  fsyncSync(file.descriptor);
  return { file: file.path, kept: file.size, cut: size - file.size };
}

/**
 * Mends the archive of this directory and base name: which files it changed. Files of other kinds, and
 * compressed ones, are not looked at. With `trust` "nothing" all data are looked through. Throws the system's
 * errors, with what was mended before done.
 */
export function mendArchive(base: string, trust: MendTrust = "index"): readonly Mended[] {
  const folder = dirname(base);
  const start = `${basename(base)}.`;
  const mended: Mended[] = [];
  const open: Open[] = [];
  const volumes = new Map<number, Open>();
  const gone = new Set<number>();
  const take = (name: string, volume: number): Open | undefined => {
    const path = join(folder, name);
    const file = openLabelled(path, volume);
    if (file === "short" && volume >= 0) {
      gone.add(volume);
      mended.push({ file: path, kept: undefined, cut: statSync(path).size });
      rmSync(path);
    }
    if (file === undefined || file === "short") return undefined;
    open.push(file);
    return file;
  };
  const names = readdirSync(folder).filter((name) => name.startsWith(start));
  try {
    const meta = names.includes(`${start}meta`) ? take(`${start}meta`, META_VOLUME) : undefined;
    const index = names.includes(`${start}index`) ? take(`${start}index`, INDEX_VOLUME) : undefined;
    for (const name of names) {
      const ending = name.slice(start.length);
      if (!/^\d+$/.test(ending)) continue;
      const volume = take(name, Number(ending));
      if (volume !== undefined) volumes.set(Number(ending), volume);
    }
    judge({ meta, index, volumes, gone }, trust);
    for (const file of open) {
      const change = cut(file, file === meta);
      if (change !== undefined) mended.push(change);
    }
  } finally {
    for (const file of open) closeSync(file.descriptor);
  }
  return mended;
}
