// Points in time and lengths of time, exact to the nanosecond. Refuses fields that are no whole
// numbers, so that a broken record cannot make a time that compares wrongly.
import { PM_ERR, PcpError } from "../base/mod.ts";

/** Nanoseconds of a second. */
export const NANOSECONDS = 1_000_000_000;

/** A point in time: seconds since 1970-01-01 UTC and 0..999999999 nanoseconds after that. */
export interface Instant {
  readonly sec: number;
  readonly nsec: number;
}

/** A length of time, as seconds (may be negative) and 0..999999999 nanoseconds more. */
export interface Span {
  readonly sec: number;
  readonly nsec: number;
}

/**
 * Seconds and nanoseconds with the latter brought into 0..999999999. Both must be whole and safe
 * numbers, else PM_ERR_ARG.
 */
export function instant(sec: number, nsec = 0): Instant {
  if (!Number.isSafeInteger(sec) || !Number.isSafeInteger(nsec)) {
    throw new PcpError(PM_ERR.ARG, `${sec} s ${nsec} ns is no time in whole nanoseconds`);
  }
  const carry = Math.floor(nsec / NANOSECONDS);
  return { sec: sec + carry, nsec: nsec - carry * NANOSECONDS };
}

/** The present, of which the system tells milliseconds. */
export function now(): Instant {
  const milliseconds = Date.now();
  const sec = Math.floor(milliseconds / 1000);
  return { sec, nsec: (milliseconds - sec * 1000) * 1_000_000 };
}

/** Negative, 0 or positive as `a` is before, at or after `b`. */
export const compareTimes = (a: Instant, b: Instant): number => a.sec - b.sec || a.nsec - b.nsec;

/** `at` plus `span`. */
export function addSpan(at: Instant, span: Span): Instant {
  const nsec = at.nsec + span.nsec;
  return nsec < NANOSECONDS
    ? { sec: at.sec + span.sec, nsec }
    : { sec: at.sec + span.sec + 1, nsec: nsec - NANOSECONDS };
}

/** `at` minus `span`; also the exact span from one instant to another. */
export function subtractSpan(at: Instant, span: Span): Instant {
  const nsec = at.nsec - span.nsec;
  return nsec >= 0
    ? { sec: at.sec - span.sec, nsec }
    : { sec: at.sec - span.sec - 1, nsec: nsec + NANOSECONDS };
}

/** `a` − `b` in seconds as PCP computes it, a double (spec archive.md 0). */
export const secondsBetween = (a: Instant, b: Instant): number =>
  a.sec - b.sec + (a.nsec - b.nsec) / NANOSECONDS;

/** A span in seconds. */
export const secondsOf = (span: Span): number => span.sec + span.nsec / NANOSECONDS;

/** The span nearest to a finite number of seconds; halves of nanoseconds go up. */
export function spanOf(seconds: number): Span {
  const sec = Math.floor(seconds);
  // In whole numbers: the product of doubles is rounded itself.
  const scaled = BigInt(Math.floor((seconds - sec) * 2 ** 53)) * 1_000_000_000n;
  const nsec = Number((scaled + 2n ** 52n) >> 53n);
  return nsec < NANOSECONDS ? { sec, nsec } : { sec: sec + 1, nsec: 0 };
}

/** Nanoseconds since 1970, or of a span. */
export const nanosecondsOf = (time: Instant | Span): bigint =>
  BigInt(time.sec) * BigInt(NANOSECONDS) + BigInt(time.nsec);

/** The time of so many nanoseconds since 1970. */
export function instantOf(nanoseconds: bigint): Instant {
  const nsec = ((nanoseconds % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
  return instant(Number((nanoseconds - nsec) / 1_000_000_000n), Number(nsec));
}

/** The first multiple of `step` (more than 0) since 1970 that is not before `at`. */
export function alignUp(at: Instant, step: Span): Instant {
  const size = nanosecondsOf(step);
  const position = nanosecondsOf(at);
  const past = ((position % size) + size) % size;
  return past === 0n ? at : instantOf(position - past + size);
}
