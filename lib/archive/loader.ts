// Reads a metadata file into a catalog, record by record (spec archive.md 5.3). A header cut short at
// the end is forgiven. Refused: records cut short, lengths that differ and bodies that do not hold
// with PM_ERR_LOGREC, unknown types with PM_ERR_RECTYPE. In a file that grows, a record that is not
// complete ends the reading without an error.
import { PM_ERR, viewOf } from "../base/mod.ts";
import type { Catalog } from "./catalog.ts";
import { archiveError } from "./fault.ts";
import { MAX_RECORD_BYTES, META_HEAD, META_TYPE, TRAILER } from "./frame.ts";
import { metaType, unknownType } from "./meta.ts";
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

/** Adds the records of `file` from offset `from` to `catalog`; what was added stays after an error. */
export function loadMeta(
  file: ArchiveFile,
  path: string,
  from: number,
  catalog: Catalog,
  growing: boolean,
): Loaded {
  let descriptors = 0;
  let at = from;
  let base = from;
  let chunk: Uint8Array = file.read(base, CHUNK).slice();
  let view = viewOf(chunk);
  for (;;) {
    if (at - base + META_HEAD > chunk.length) {
      if (at !== base) ({ base, chunk, view } = reload(file, at, CHUNK));
      if (chunk.length < META_HEAD) return { end: at, descriptors };
    }
    const place = { file: path, offset: at };
    const length = view.getInt32(at - base);
    const type = view.getInt32(at - base + 4);
    const refuse = (reason: string) =>
      archiveError(PM_ERR.LOGREC, "metadata record", place, reason);
    if (length <= 0) throw refuse(`length ${length}`);
    if (!TYPES.has(type)) throw unknownType(type, place);
    if (length < SHORTEST || length > MAX_RECORD_BYTES) throw refuse(`length ${length}`);
    if (at - base + length > chunk.length) {
      ({ base, chunk, view } = reload(file, at, Math.max(length, CHUNK)));
      if (chunk.length < length) {
        if (growing) return { end: at, descriptors };
        throw refuse(`length ${length}, but the file ends ${chunk.length} bytes after its start`);
      }
    }
    const record = chunk.subarray(at - base, at - base + length);
    metaType(record, place);
    catalog.add(type, record, place);
    if (type === META_TYPE.DESC) descriptors++;
    at += length;
  }
}

function reload(
  file: ArchiveFile,
  base: number,
  length: number,
): { base: number; chunk: Uint8Array; view: DataView } {
  const chunk = file.read(base, length).slice();
  return { base, chunk, view: viewOf(chunk) };
}
