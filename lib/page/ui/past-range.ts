// The time range of a question about the past: chosen as a span up to now, as two times, or as all there
// is; zoomed, moved; and the distance of samples that suits it. Pure. Times are seconds since 1970.

/** A chosen range. */
export type PastRange =
  | { readonly kind: "last"; readonly seconds: number }
  | { readonly kind: "between"; readonly from: number; readonly to: number }
  | { readonly kind: "all" };

/** Ends of a range; `from` is the smaller one. */
export interface Ends {
  readonly from: number;
  readonly to: number;
}

const MINUTE = 60;
const HOUR = 3600;
const DAY = 86_400;

/** Spans up to now that are offered. */
export const LAST: readonly (readonly [seconds: number, text: string])[] = [
  [15 * MINUTE, "last 15 minutes"],
  [HOUR, "last hour"],
  [3 * HOUR, "last 3 hours"],
  [6 * HOUR, "last 6 hours"],
  [DAY, "last 24 hours"],
  [2 * DAY, "last 2 days"],
  [7 * DAY, "last 7 days"],
  [30 * DAY, "last 30 days"],
];
export const USUAL_LAST = HOUR;
/** Nothing is zoomed further than this. */
const SHORTEST = 2;
/** Times that the query language and calendars have. */
const LATEST = 253_402_300_799;

/** Two times as a range, in order and within what can be asked. */
export function between(one: number, other: number): PastRange {
  const from = Math.max(0, Math.min(one, other, LATEST - SHORTEST));
  const to = Math.min(LATEST, Math.max(one, other, from + SHORTEST));
  return { kind: "between", from: Math.floor(from), to: Math.ceil(to) };
}

/** The ends of a range at a time; of all there is nobody knows them before they are asked for. */
export function endsOf(range: PastRange, now: number): Ends | undefined {
  if (range.kind === "all") return undefined;
  if (range.kind === "between") return { from: range.from, to: range.to };
  return { from: now - range.seconds, to: now };
}

/** Around the middle, `factor` times as long. */
export function zoomed({ from, to }: Ends, factor: number): PastRange {
  const half = Math.max(SHORTEST, (to - from) * factor) / 2;
  const middle = (from + to) / 2;
  return between(middle - half, middle + half);
}

/** Earlier (below 0) or later, by a share of its length. */
export function moved({ from, to }: Ends, share: number): PastRange {
  const by = (to - from) * share;
  return between(Math.max(0, from + by), Math.max(to - from, to + by));
}

/** Distances between samples, seconds, that people can think in. */
const STEPS: readonly number[] = [
  [2, 5, 10, 15, 20, 30],
  [1, 2, 5, 10, 15, 20, 30].map((minutes) => minutes * MINUTE),
  [1, 2, 3, 4, 6, 8, 12].map((hours) => hours * HOUR),
].flat();

/** Distance of samples with which a range has no more than so many; undefined: each second may have one. */
export function stepOf({ from, to }: Ends, samples: number): number | undefined {
  const least = (to - from) / Math.max(1, samples);
  if (least <= 1) return undefined;
  return STEPS.find((step) => step >= least) ?? Math.ceil(least / DAY) * DAY;
}

/** The ends that are asked for: whole seconds, and on the grid of the step, so that samples stand still. */
export function gridOf({ from, to }: Ends, step: number | undefined): Ends {
  const grid = step ?? 1;
  return { from: Math.floor(from / grid) * grid, to: Math.ceil(to) };
}

const two = (value: number): string => String(value).padStart(2, "0");

/** What an input of local time shows for a time. */
export function inputText(seconds: number): string {
  const time = new Date(Math.round(seconds) * 1000);
  if (Number.isNaN(time.getTime())) return "";
  const year = String(time.getFullYear()).padStart(4, "0");
  const date = `${year}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
  return `${date}T${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
}

/** The time that an input of local time has; undefined for none. */
export function inputTime(text: string): number | undefined {
  const time = new Date(text).getTime();
  return text === "" || Number.isNaN(time) ? undefined : time / 1000;
}

/** A time for people: date, time of day, in the zone of the browser. */
export function timeText(seconds: number): string {
  const text = inputText(Math.floor(seconds)).replace("T", " ");
  const rest = seconds - Math.floor(seconds);
  return rest < 0.0005 ? text : `${text}.${String(Math.floor(rest * 1000)).padStart(3, "0")}`;
}

/** The zone of the browser: its name and its distance from UTC at a time. */
export function zoneText(seconds: number): string {
  const minutes = -new Date(seconds * 1000).getTimezoneOffset();
  const size = Math.abs(minutes);
  const offset = `UTC${minutes < 0 ? "-" : "+"}${two(Math.floor(size / 60))}:${two(size % 60)}`;
  const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
  return timeZone === "UTC" ? "UTC" : `${timeZone}, ${offset}`;
}

/** A length of time in words. */
export function lengthText(seconds: number): string {
  const units = [
    [DAY, "d"],
    [HOUR, "h"],
    [MINUTE, "min"],
  ] as const;
  for (const [size, word] of units)
    if (seconds >= size) return `${Number((seconds / size).toPrecision(3))} ${word}`;
  return `${Number(seconds.toPrecision(3))} s`;
}

const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");

/**
 * Times on an axis of this length: time of day, with seconds where it is short; the date where a day
 * begins; the year where the axis is long.
 */
export function tickTime(seconds: number, span: number): string {
  const time = new Date(seconds * 1000);
  const date = `${time.getDate()} ${MONTHS[time.getMonth()] ?? ""}`;
  if (span > 300 * DAY) return `${date} ${time.getFullYear()}`;
  const clock = `${two(time.getHours())}:${two(time.getMinutes())}`;
  if (span > 7 * DAY || (span > 12 * HOUR && clock === "00:00")) return date;
  return span > 600 ? clock : `${clock}:${two(time.getSeconds())}`;
}
