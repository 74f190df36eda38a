// The temporal index (spec archive.md 3.3, 5.4): times with positions in the metadata and a volume.
// Entries are not framed and are read where they lie. Nothing is refused: an incomplete last entry is
// not counted, and what an entry says is checked by who follows it.
import { viewOf } from "../base/mod.ts";
import type { Timestamp } from "../pcp/mod.ts";
import { archiveError, NO_PLACE } from "./fault.ts";
import { type ArchiveVersion, setTime, timeAt, timeBytes } from "./timestamp.ts";

/** One entry: the record at `dataOffset` of `volume` has about this time. */
export interface IndexEntry {
  readonly timestamp: Timestamp;
  readonly volume: number;
  readonly metaOffset: number;
  readonly dataOffset: number;
}

/** Bytes of an entry. */
export const indexEntryBytes = (version: ArchiveVersion): number => (version === 2 ? 20 : 32);

/** Largest offset that an entry of version 2 can hold. */
export const MAX_V2_OFFSET = 0x7fffffff;

const E2BIG = -7;

/** The entry at byte `at`. */
export function decodeIndexEntry(view: DataView, at: number, version: ArchiveVersion): IndexEntry {
  const volumeAt = at + timeBytes(version);
  const long = version === 3;
  return {
    timestamp: timeAt(view, at, version),
    volume: view.getInt32(volumeAt),
    metaOffset: long ? Number(view.getBigUint64(volumeAt + 4)) : view.getUint32(volumeAt + 4),
    dataOffset: long ? Number(view.getBigUint64(volumeAt + 12)) : view.getUint32(volumeAt + 8),
  };
}

/** The bytes of an entry. Throws -E2BIG for an offset over 2^31-1 in version 2. */
export function encodeIndexEntry(version: ArchiveVersion, entry: IndexEntry): Uint8Array {
  const bytes = new Uint8Array(indexEntryBytes(version));
  const view = viewOf(bytes);
  const volumeAt = timeBytes(version);
  const { volume, metaOffset, dataOffset } = entry;
  setTime(view, 0, version, entry.timestamp);
  view.setInt32(volumeAt, volume);
  if (version === 3) {
    view.setBigUint64(volumeAt + 4, BigInt(metaOffset));
    view.setBigUint64(volumeAt + 12, BigInt(dataOffset));
    return bytes;
  }
  if (Math.max(metaOffset, dataOffset) > MAX_V2_OFFSET) {
    const reason = `offset ${Math.max(metaOffset, dataOffset)} does not fit version 2`;
    throw archiveError(E2BIG, "index entry", NO_PLACE, reason);
  }
  view.setUint32(volumeAt + 4, metaOffset);
  view.setUint32(volumeAt + 8, dataOffset);
  return bytes;
}

/** All entries of an index file, read where they lie. */
export interface TemporalIndex {
  readonly count: number;
  /** Entry `i` of 0 … count - 1. */
  entry(i: number): IndexEntry;
}

/** An index over the bytes after the label; a part of an entry at the end is not counted. */
export function temporalIndex(bytes: Uint8Array, version: ArchiveVersion): TemporalIndex {
  const view = viewOf(bytes);
  const size = indexEntryBytes(version);
  return {
    count: Math.floor(bytes.length / size),
    entry: (i) => decodeIndexEntry(view, i * size, version),
  };
}
