// Time windows: the -S -T -A -O options of PCP's tools (spec archive.md 14.2 and 14.4) over the
// bounds of an archive, or from now on without an end. Refuses what pmParseTimeWindow(3) of PCP 7.2
// refuses, with its message.
import { PM_ERR, PcpError } from "../base/mod.ts";
import { readCtime } from "./ctime-text.ts";
import { readGetdate } from "./getdate.ts";
import {
  addSpan,
  alignUp,
  compareTimes,
  type Instant,
  type Span,
  subtractSpan,
} from "./instant.ts";
import { readInterval, timeComplaint } from "./interval.ts";
import type { Zone } from "./timezone.ts";

/** Times that a window may lie in. */
export interface TimeBounds {
  /** First time of an archive; the present of a live source. */
  readonly start: Instant;
  /** Last time of an archive; undefined where no end is known. */
  readonly finish?: Instant | undefined;
}

/** The arguments of the options as given; undefined where an option is missing. */
export interface WindowOptions {
  /** -S */
  readonly start?: string | undefined;
  /** -T */
  readonly finish?: string | undefined;
  /** -A */
  readonly align?: string | undefined;
  /** -O */
  readonly origin?: string | undefined;
}

/** How the texts of calendar times are read. */
export interface WindowSetting {
  /** The reporting zone, of -z or -Z or the local one. */
  readonly zone: Zone;
  /** The present, which words such as `yesterday` and lone clock times start from. */
  readonly now: Instant;
}

/** A time window. It may end before it starts; then nothing is in it. */
export interface TimeWindow {
  readonly start: Instant;
  /** Undefined: unbounded. */
  readonly finish?: Instant | undefined;
  /** Where sampling begins: the start unless -O says otherwise; at an end of an empty window. */
  readonly origin: Instant;
  /** PCP's text where -A could not be applied; the times are then as without it. */
  readonly warning?: string;
}

/** PCP's reason where -A cannot be applied. */
const NOT_ALIGNED = "alignment specified by -A switch could not be applied";

const UNIT = / (?:year|month|fortnight|week|day|hour|minute|min|second|sec)/i;
const BLANKS = /^[ \t\n\v\f\r]+/;

const trimStart = (text: string): string => text.replace(BLANKS, "");

/**
 * What -S, -T and -O say of one time, from the bounds that are in force (14.2). A text that cannot be
 * read is PM_ERR_GENERIC with PCP's message.
 */
export function timeOf(
  text: string,
  { start, finish }: TimeBounds,
  { zone, now }: WindowSetting,
): Instant {
  const trimmed = trimStart(text);
  const prefix =
    /^[@+]/.exec(trimmed)?.[0] ?? (finish !== undefined && trimmed.startsWith("-") ? "-" : "");
  const rest = trimmed.slice(prefix.length);
  const read = prefix === "@" ? readCtime(rest, start, zone) : readInterval(rest);
  if (!("reason" in read)) {
    if (prefix === "@") return read;
    return prefix === "-" && finish !== undefined
      ? subtractSpan(finish, read)
      : addSpan(start, read);
  }
  const loose = trimStart(trimStart(rest).replace(/^@/, ""));
  const fromEnd = finish !== undefined && /last|ago|^-/i.test(loose);
  const reference = UNIT.test(loose) ? (fromEnd ? finish : start) : now;
  const sec = readGetdate(loose, reference, zone);
  if (sec === undefined) throw timeComplaint(read);
  return { sec, nsec: 0 };
}

const before = (a: Instant, b: Instant): boolean => compareTimes(a, b) < 0;

const within = (at: Instant, { start, finish }: TimeBounds): Instant => {
  if (before(at, start)) return start;
  return finish !== undefined && before(finish, at) ? finish : at;
};

const holds = ({ start, finish }: TimeBounds, at: Instant): boolean =>
  !before(at, start) && (finish === undefined || !before(finish, at));

function alignmentOf(text: string): Span {
  const span = readInterval(text);
  if ("reason" in span) throw timeComplaint(span);
  if (span.sec > 0 || span.nsec > 0) return span;
  throw timeComplaint({ text, at: 0, reason: NOT_ALIGNED });
}

/** The origin on a multiple of the alignment, or undefined if none is within the window. */
function alignedOrigin(origin: Instant, align: Span, bounds: TimeBounds): Instant | undefined {
  const up = alignUp(origin, align);
  const { finish } = bounds;
  const found = finish !== undefined && before(finish, up) ? subtractSpan(up, align) : up;
  return holds(bounds, found) ? found : undefined;
}

/**
 * The window that options select from an archive or from the present on, as pmParseTimeWindow(3).
 * A text that cannot be read is PM_ERR_GENERIC with PCP's message of text, caret and reason.
 */
export function timeWindow(
  options: WindowOptions,
  bounds: TimeBounds,
  setting: WindowSetting,
): TimeWindow {
  let { start, finish } = bounds;
  let warned = false;
  if (options.start !== undefined) {
    const asked = timeOf(options.start, bounds, setting);
    if (!before(asked, start)) start = asked;
  }
  const align = options.align === undefined ? undefined : alignmentOf(options.align);
  if (align !== undefined) {
    const aligned = alignUp(start, align);
    if (holds(bounds, aligned)) start = aligned;
    else warned = true;
  }
  if (options.finish !== undefined) {
    const asked = timeOf(options.finish, { start, finish }, setting);
    if (finish === undefined || before(asked, finish)) finish = asked;
  }
  let origin = start;
  if (options.origin !== undefined) {
    origin = within(timeOf(options.origin, { start, finish }, setting), { start, finish });
    if (align !== undefined && finish !== undefined) {
      const aligned = alignedOrigin(origin, align, { start, finish });
      if (aligned === undefined) warned = true;
      else origin = aligned;
    }
  }
  const window = { start, finish, origin };
  if (!warned) return window;
  const warning = timeComplaint({ text: options.align ?? "", at: 0, reason: NOT_ALIGNED }).message;
  return { ...window, warning };
}

/**
 * The times at which a window is sampled: its origin and every `step` (-t) from there to its end,
 * at most `most` (-s) of them. Without an end or a number they never stop. PM_ERR_ARG for a step
 * that is not more than 0.
 */
export function* sampleTimes(
  window: Pick<TimeWindow, "origin" | "finish">,
  step: Span,
  most = Infinity,
): Generator<Instant, void> {
  if (!(step.sec > 0 || (step.sec === 0 && step.nsec > 0))) {
    throw new PcpError(PM_ERR.ARG, "samples need an interval of more than 0 seconds");
  }
  let at = window.origin;
  for (let count = 0; count < most; count++) {
    if (window.finish !== undefined && before(window.finish, at)) return;
    yield at;
    at = addSpan(at, step);
  }
}
