// Reads a metadata file into a catalog, record by record (spec archive.md 5.3). A header cut short at
// the end is forgiven. Refused: records cut short, lengths that differ and bodies that do not hold
// with PM_ERR_LOGREC, unknown types with PM_ERR_RECTYPE. In a file that grows, a record that is not
// complete ends the reading without an error.
import { bufferOf, PM_ERR, viewOf } from "../base/mod.ts";
import type { Catalog } from "./catalog.ts";
import { archiveError, type RecordPlace } from "./fault.ts";
import { MAX_RECORD_BYTES, META_HEAD, META_TYPE, TRAILER } from "./frame.ts";
import { unknownType } from "./meta.ts";
import type { ArchiveFile } from "./plain-file.ts";

const CHUNK = 1024 * 1024;
const TYPES: ReadonlySet<number> = new Set(Object.values(META_TYPE));
/** Shortest record: head and trailer. */
const SHORTEST = META_HEAD + TRAILER;

/** How far a file was read, and how many descriptors were among it. */
export interface Loaded {
  /** Offset after the last record. */
  readonly end: number;
  readonly descriptors: number;
}

/**
 * Sees each record, whole, before it is added to a catalog; false: it is not added, and what the
 * catalog would have checked is left to who said so. The bytes stay as they are.
 */
export type LookAtMeta = (type: number, bytes: Uint8Array, place: RecordPlace) => boolean;

/** Adds the records of `file` from offset `from` to `catalog`; what was added stays after an error. */
export function loadMeta(
  file: ArchiveFile,
  path: string,
  from: number,
  catalog: Catalog,
  growing: boolean,
  look?: LookAtMeta,
): Loaded {
  let descriptors = 0;
  let at = from;
  let base = from;
  let { chunk, view } = reload(file, base, CHUNK);
  for (;;) {
    if (at - base + META_HEAD > chunk.length) {
      if (at !== base) ({ chunk, view } = reload(file, at, CHUNK));
      base = at;
      if (chunk.length < META_HEAD) return { end: at, descriptors };
    }
    const here = at - base;
    const place = { file: path, offset: at };
    const length = view.getInt32(here);
    const type = view.getInt32(here + 4);
    if (length <= 0) throw refusal(place, `length ${length}`);
    if (!TYPES.has(type)) throw unknownType(type, place);
    if (length < SHORTEST || length > MAX_RECORD_BYTES) throw refusal(place, `length ${length}`);
    if (here + length > chunk.length) {
      // The same record again, from the start of a chunk that holds it.
      if (here > 0 || length > CHUNK) ({ chunk, view } = reload(file, at, Math.max(length, CHUNK)));
      base = at;
      if (chunk.length < length) {
        if (growing) return { end: at, descriptors };
        const left = `the file ends ${chunk.length} bytes after its start`;
        throw refusal(place, `length ${length}, but ${left}`);
      }
    }
    const from = at - base;
    const trailer = view.getInt32(from + length - TRAILER);
    if (trailer !== length) {
      throw refusal(place, `length ${length} at its start, ${trailer} at its end`);
    }
    if (type === META_TYPE.DESC) descriptors++;
    if (look?.(type, chunk.subarray(from, from + length), place) === false) {
      at += length;
      continue;
    }
    if (type === META_TYPE.DESC) {
      catalog.addDescAt(chunk, view, from, length, place);
    } else catalog.add(type, chunk.subarray(from, from + length), place);
    at += length;
  }
}

const refusal = (place: RecordPlace, reason: string): Error =>
  archiveError(PM_ERR.LOGREC, "metadata record", place, reason);

interface Chunk {
  readonly chunk: Buffer;
  readonly view: DataView;
}

/** Bytes of the file in memory of their own: records that are kept share it. */
function reload(file: ArchiveFile, base: number, length: number): Chunk {
  const chunk = bufferOf(file.read(base, length).slice());
  return { chunk, view: viewOf(chunk) };
}
