// The samples of one chart: times, and for each shown instance a value or a gap. Pure and bounded:
// old samples go as new ones come.
import { gainOf, type Kind, type Sample } from "./numbers.ts";

/** Most samples of a chart. */
export const MAX_SAMPLES = 3600;

interface Line {
  /** As long as `times`; null: a gap. */
  readonly values: (number | null)[];
  before: { readonly time: number; readonly sample: Sample } | undefined;
}

/** What a chart has seen. */
export interface History {
  /** Seconds since 1970, ascending. */
  readonly times: number[];
  /** By name of the instance; a metric without instances has the one that is empty. */
  readonly lines: Map<string, Line>;
}

export const newHistory = (): History => ({ times: [], lines: new Map() });

const clear = (history: History): void => {
  history.times.length = 0;
  for (const line of history.lines.values()) {
    line.values.length = 0;
    line.before = undefined;
  }
};

function push(
  history: History,
  time: number,
  valueOf: (name: string, line: Line) => number | null,
) {
  history.times.push(time);
  for (const [name, line] of history.lines) line.values.push(valueOf(name, line));
  if (history.times.length <= MAX_SAMPLES) return;
  history.times.shift();
  for (const line of history.lines.values()) line.values.shift();
}

/** Keeps lines for these instances; new ones begin with a gap. */
export function chooseLines(history: History, names: readonly string[]): void {
  const wanted = new Set(names);
  for (const name of history.lines.keys()) if (!wanted.has(name)) history.lines.delete(name);
  for (const name of names) {
    if (history.lines.has(name)) continue;
    const values = history.times.map(() => null);
    history.lines.set(name, { values, before: undefined });
  }
}

/** Notes that nothing is known from here on. Rates begin anew after it. */
export function addGap(history: History): void {
  const last = history.times.at(-1);
  for (const line of history.lines.values()) line.before = undefined;
  if (last === undefined) return;
  const isGap = [...history.lines.values()].every((line) => line.values.at(-1) === null);
  // Just after the last sample, wherever the clocks are.
  if (!isGap) push(history, last + 0.001, () => null);
}

/** How samples become values. */
export interface Reading {
  readonly kind: Kind;
  readonly type: string;
  readonly factor: number;
  /** Longer without a sample, seconds, is a gap. */
  readonly patience: number;
}

/**
 * Adds what a fetch has brought, by name of the instance. A time that is not after the last one is
 * left out; far before it, the host's clock was set back and all begins anew.
 */
export function addSamples(
  history: History,
  time: number,
  samples: ReadonlyMap<string, Sample>,
  reading: Reading,
): void {
  const last = history.times.at(-1);
  if (last !== undefined && time < last - reading.patience) clear(history);
  else if (last !== undefined && time <= last) return;
  else if (last !== undefined && time > last + reading.patience) addGap(history);
  push(history, time, (name, line) => {
    const sample = samples.get(name);
    const { before } = line;
    line.before = sample === undefined ? undefined : { time, sample };
    if (sample === undefined) return null;
    if (reading.kind !== "rate") return Number(sample) * reading.factor;
    if (before === undefined) return null;
    const gain = gainOf(before.sample, sample, reading.type);
    return gain === undefined ? null : (gain / (time - before.time)) * reading.factor;
  });
}
