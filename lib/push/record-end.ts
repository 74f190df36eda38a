// Knows of the bytes that a logger sends whether they end with a whole record, without reading them again:
// pmlogger sends whole records, pmlogpush pieces of its files. Refuses nothing: bytes that are no
// records count as whole.
import {
  type ArchiveVersion,
  decodeIndexEntry,
  type IndexEntry,
  indexEntryBytes,
  MAX_RECORD_BYTES,
} from "../archive/mod.ts";
import { viewOf } from "../base/mod.ts";

/** What is known of the end of a file. */
export interface EndWatch {
  /** Takes what was appended. */
  take(bytes: Uint8Array): void;
  /** Whether it ends with a whole record; true, too, where these are no records. */
  readonly isWhole: boolean;
  /** Bytes taken. */
  readonly taken: number;
  /** The last entry of an index. */
  readonly last: IndexEntry | undefined;
}

const LENGTH_BYTES = 4;
/** A record has its length at both ends. */
const LEAST_RECORD = 2 * LENGTH_BYTES;

/** Watches metadata or a data volume. */
export function watchRecordEnd(): EndWatch {
  let taken = 0;
  /** Bytes that the record still has to get; 0: at the beginning of one. */
  let left = 0;
  let length = 0;
  let known = 0;
  let isLost = false;
  return {
    take(bytes) {
      taken += bytes.length;
      for (let at = 0; at < bytes.length && !isLost;) {
        if (left > 0) {
          const step = Math.min(left, bytes.length - at);
          left -= step;
          at += step;
          continue;
        }
        length = length * 0x100 + (bytes[at] ?? 0);
        at += 1;
        known += 1;
        if (known < LENGTH_BYTES) continue;
        isLost = length < LEAST_RECORD || length > MAX_RECORD_BYTES;
        left = length - LENGTH_BYTES;
        length = 0;
        known = 0;
      }
    },
    get isWhole() {
      return isLost || (left === 0 && known === 0);
    },
    get taken() {
      return taken;
    },
    last: undefined,
  };
}

/** Watches a temporal index. */
export function watchIndexEnd(version: ArchiveVersion): EndWatch {
  const entry = new Uint8Array(indexEntryBytes(version));
  let taken = 0;
  let last: IndexEntry | undefined;
  return {
    take(bytes) {
      const before = taken % entry.length;
      taken += bytes.length;
      // From the beginning of the last whole entry on, what was there before included.
      const rest = taken % entry.length;
      const whole = taken - rest;
      const isWholeHere = whole > taken - bytes.length;
      const start = isWholeHere ? bytes.length - rest - entry.length : 0;
      if (isWholeHere && start < 0) {
        entry.set(bytes.subarray(0, entry.length - before), before);
        last = decodeIndexEntry(viewOf(entry), 0, version);
      } else if (isWholeHere) last = decodeIndexEntry(viewOf(bytes), start, version);
      const kept = isWholeHere ? bytes.subarray(bytes.length - rest) : bytes;
      entry.set(kept, isWholeHere ? 0 : before);
    },
    get isWhole() {
      return taken % entry.length === 0;
    },
    get taken() {
      return taken;
    },
    get last() {
      return last;
    },
  };
}
