// Times in archives (spec archive.md 2.1): seconds and microseconds in version 2, three words with
// the low one first in version 3. Also order and arithmetic of times. Nothing is refused: a time is
// whatever its words say, and seconds beyond 2^53 lose their last bits.
import type { Writer } from "../base/mod.ts";
import type { Timestamp } from "../pcp/mod.ts";

/** Format version of an archive. */
export type ArchiveVersion = 2 | 3;

/** Bytes of a time in each version. */
export const timeBytes = (version: ArchiveVersion): number => (version === 2 ? 8 : 12);

const WORD = 0x1_0000_0000;

/** Seconds of the time at byte `at`. */
export const secondsAt = (view: DataView, at: number, version: ArchiveVersion): number =>
  version === 2 ? view.getInt32(at) : view.getInt32(at + 4) * WORD + view.getUint32(at);

/** Nanoseconds of the time at byte `at`. */
export const nanosecondsAt = (view: DataView, at: number, version: ArchiveVersion): number =>
  version === 2 ? view.getUint32(at + 4) * 1000 : view.getUint32(at + 8);

/** The time at byte `at`. */
export const timeAt = (view: DataView, at: number, version: ArchiveVersion): Timestamp => ({
  sec: secondsAt(view, at, version),
  nsec: nanosecondsAt(view, at, version),
});

/** Sets the time at byte `at`; version 2 drops what is below a microsecond. */
export function setTime(
  view: DataView,
  at: number,
  version: ArchiveVersion,
  { sec, nsec }: Timestamp,
): void {
  if (version === 2) {
    view.setInt32(at, sec);
    view.setUint32(at + 4, Math.trunc(nsec / 1000));
    return;
  }
  const high = Math.floor(sec / WORD);
  view.setUint32(at, sec - high * WORD);
  view.setInt32(at + 4, high);
  view.setUint32(at + 8, nsec);
}

/** Appends a time, as setTime sets it. */
export function putTime(out: Writer, version: ArchiveVersion, { sec, nsec }: Timestamp): void {
  if (version === 2) {
    out.i32(sec).u32(Math.trunc(nsec / 1000));
    return;
  }
  const high = Math.floor(sec / WORD);
  out
    .u32(sec - high * WORD)
    .i32(high)
    .u32(nsec);
}

/** Below 0, 0 or above 0 as `a` is before, at or after `b`. */
export const compareTimes = (a: Timestamp, b: Timestamp): number =>
  a.sec === b.sec ? a.nsec - b.nsec : a.sec - b.sec;

/** Number of the last element that is not later than `time` in a list in order of time; -1 without. */
export function lastNotAfter(
  list: readonly { readonly timestamp: Timestamp }[],
  time: Timestamp,
): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const element = list[middle];
    if (element !== undefined && compareTimes(element.timestamp, time) <= 0) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

const SECOND = 1_000_000_000;

/** `time` and so many nanoseconds (may be negative), with 0 ≤ nsec < 1e9. */
export function addNanoseconds(time: Timestamp, nanoseconds: number): Timestamp {
  const total = time.nsec + nanoseconds;
  const carry = Math.floor(total / SECOND);
  return { sec: time.sec + carry, nsec: total - carry * SECOND };
}

/** The time that stands for an end that is not known: the largest 64-bit seconds. */
export const INFINITE_TIME: Timestamp = { sec: Number.MAX_SAFE_INTEGER, nsec: 0 };
