// The frames of a metadata file, for counting what the catalog of an archive does not keep: all records
// by kind. Nothing is refused: what is wrong was said by who opened the archive, and here the first
// frame that does not hold is the end.
import {
  type ArchiveFile,
  type ArchiveVersion,
  MAX_RECORD_BYTES,
  META_TYPE,
} from "../archive/mod.ts";
import { PcpError, viewOf } from "../base/mod.ts";

/** Bytes of a metadata file looked at together. */
const CHUNK = 1024 * 1024;
/** Bytes of a frame that are looked at: length and type. */
const HEAD = 8;
/** Shortest record: length, type, length. */
const SHORTEST = 12;
/** Records of the other version that are kept. */
const MOST_FOREIGN = 100;

/** What the frames of a metadata file say. */
export interface MetaFrames {
  /** Records of each META_TYPE. */
  readonly types: Map<number, number>;
  records: number;
  /** Offset after the last whole record. */
  end: number;
  /** The first records whose type belongs to archives of another version. */
  readonly foreign: { readonly offset: number; readonly type: number }[];
}

/** Version of the archives that a type of record belongs to; both for the others. */
const VERSIONS: ReadonlyMap<number, ArchiveVersion> = new Map([
  [META_TYPE.INDOM_V2, 2],
  [META_TYPE.LABEL_V2, 2],
  [META_TYPE.INDOM, 3],
  [META_TYPE.INDOM_DELTA, 3],
  [META_TYPE.LABEL, 3],
]);

function look(found: MetaFrames, type: number, version: ArchiveVersion): void {
  found.types.set(type, (found.types.get(type) ?? 0) + 1);
  const own = VERSIONS.get(type);
  if (own !== undefined && own !== version && found.foreign.length < MOST_FOREIGN) {
    found.foreign.push({ offset: found.end, type });
  }
}

/** Walks over the frames of an open metadata file from the end of its label on. */
export function metaFrames(file: ArchiveFile, from: number, version: ArchiveVersion): MetaFrames {
  const found: MetaFrames = {
    types: new Map(),
    records: 0,
    end: from,
    foreign: [],
  };
  let base = from;
  let view = viewOf(new Uint8Array(0));
  const load = (at: number, length: number): number => {
    base = at;
    view = viewOf(file.read(at, length));
    return view.byteLength;
  };
  try {
    for (;;) {
      const at = found.end;
      if (at - base + HEAD > view.byteLength) load(at, CHUNK);
      if (view.byteLength - (at - base) < SHORTEST) return found;
      const length = view.getInt32(at - base);
      const type = view.getInt32(at - base + 4);
      if (length < SHORTEST || length > MAX_RECORD_BYTES) return found;
      const end = at + length - 4;
      // The end of a record over the border of the chunk, and what follows it.
      if (end + 4 - base > view.byteLength && load(end, CHUNK) < 4) return found;
      if (view.getInt32(end - base) !== length) return found;
      look(found, type, version);
      found.records++;
      found.end = at + length;
    }
  } catch (error) {
    // Damage in compressed data: who opened the archive told of it.
    if (error instanceof PcpError) return found;
    throw error;
  }
}
