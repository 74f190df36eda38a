// Which samples an operand gets (spec series.md 7.4): the range that is asked for, and the choice among the
// samples that come, by interval and count. Times are microseconds, as they are kept; shorter intervals
// count as nothing.
import { type Instant, subtractSpan } from "../pcp/mod.ts";
import type { TimeSpec } from "./language.ts";
import type { Samples } from "./samples.ts";
import type { ValuesRequest } from "./store.ts";

/** Microseconds since 1970, as a time is kept: what is below is cut off. */
export const microseconds = ({ sec, nsec }: Instant): number => sec * 1e6 + Math.floor(nsec / 1000);

/** What to ask a store for. `whole`: everything, whatever the times say. */
export function rangeOf(
  times: TimeSpec,
  now: Instant,
  whole: boolean,
): Omit<ValuesRequest, "series"> {
  const { start, finish, range, interval, count } = times;
  if (whole) return { from: 0, to: Infinity };
  const first = range === undefined ? start?.at : (start?.at ?? subtractSpan(now, range.span));
  const from = first === undefined ? 0 : microseconds(first);
  // An end in the first second of all is none, as PCP has it.
  const to = finish === undefined || finish.at.sec === 0 ? Infinity : microseconds(finish.at);
  const bounded = [start, finish, range, interval].some((each) => each !== undefined);
  return count !== undefined && count > 0 && !bounded ? { from, to, newest: count } : { from, to };
}

/** How samples are chosen. */
export interface Thinning {
  /** Microseconds; 0 for every sample. */
  readonly interval: number;
  /** Whole seconds of the interval. */
  readonly seconds: number;
  /** Where the steps begin; the first sample's time if undefined. */
  readonly start: number | undefined;
  /** Infinity for all. */
  readonly count: number;
}

/** The choice that times make: interval and count of the whole query, the start of the operand. */
export function thinningOf(times: TimeSpec, operand: TimeSpec, now: Instant): Thinning {
  const { interval, count } = times;
  const span = interval?.span;
  const start = rangeOf(operand, now, false).from;
  return {
    interval: span === undefined ? 0 : microseconds(span),
    seconds: span?.sec ?? 0,
    start: operand.start === undefined && operand.range === undefined ? undefined : start,
    count: count === undefined || count === 0 ? Infinity : count,
  };
}

/** How many samples are enough: those that come first, where nothing between samples decides. */
export const mostOf = ({ interval, count }: Thinning): Pick<ValuesRequest, "most"> =>
  interval === 0 && Number.isFinite(count) ? { most: count } : {};

/** Says of one sample after the other, with the time of the next, whether it is taken. */
export type Chooser = (time: number, next: number | undefined) => "take" | "skip" | "stop";

/** A choice at its beginning. */
export function chooser({ interval, seconds, start, count }: Thinning): Chooser {
  let goal = start;
  let taken = 0;
  return (time, next) => {
    goal ??= time;
    if (interval > 0 && next !== undefined) {
      const ahead = next - goal;
      if (ahead <= 0) return "skip";
      if (ahead > 2e6 * seconds) goal = next;
      goal += interval;
    }
    if (taken >= count) return "stop";
    taken++;
    return "take";
  };
}

/** Indexes of the samples that are taken of all. */
export function chosenSamples({ times }: Samples, thinning: Thinning): number[] {
  const choose = chooser(thinning);
  const chosen: number[] = [];
  for (let index = 0; index < times.length; index++) {
    const verdict = choose(times[index] ?? 0, times[index + 1]);
    if (verdict === "stop") break;
    if (verdict === "take") chosen.push(index);
  }
  return chosen;
}
