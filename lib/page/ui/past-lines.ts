// Lines of a chart out of the values of an answer: sorted, parted where times run backwards, with gaps
// where samples are missing, put on one time axis; what is no number becomes a list of changes. Pure.
import { fieldsOf, listOf, textOf } from "./types.ts";

/** One value of an answer. */
export interface PastValue {
  /** 40 digits. */
  readonly series: string;
  /** The instance's 40 digits; empty: there is none. */
  readonly instance: string;
  /** Seconds since 1970. */
  readonly time: number;
  /** As it was sent. */
  readonly text: string;
}

/** Times are ids of a stream: milliseconds, a point, microseconds without zeros in front. */
const STAMP = /"timestamp":(\d+)(?:\.(\d+))?(?=[,}])/g;

/** Makes the times of a reply texts, before anything takes them for numbers. */
export const exactTimes = (body: string): string =>
  body.replace(STAMP, (_, ms: string, us: string = "0") => `"timestamp":"${ms}.${us}"`);

const secondsOf = (stamp: string): number => {
  const [ms = "", us = "0"] = stamp.split(".");
  return Number(ms) / 1e3 + Number(us) / 1e6;
};

/** A value's text: strings of metrics have quotes of their own (spec series.md 2.6). */
function plainText(text: string): string {
  if (!text.startsWith('"')) return text;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "string" ? value : text;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return text;
  }
}

/** Reads a parsed reply with values. Undefined: it holds identifiers instead. */
export function readValues(reply: unknown): readonly PastValue[] | undefined {
  const all = listOf(reply);
  if (typeof all[0] === "string") return undefined;
  return all.map((each) => {
    const fields = fieldsOf(each);
    return {
      series: textOf(fields["series"]),
      instance: textOf(fields["instance"]),
      time: secondsOf(textOf(fields["timestamp"])),
      text: textOf(fields["value"]),
    };
  });
}

const NUMBER = /^[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?$/i;

/** The number of a text; undefined for what is none that can be drawn. */
const numberOf = (text: string): number | undefined => {
  if (!NUMBER.test(text)) return undefined;
  const value = Number(text);
  // No rate is "-0.000000".
  return Number.isFinite(value) ? value + 0 : undefined;
};

/** What changed when; for what cannot be drawn. */
export interface Change {
  readonly time: number;
  readonly line: string;
  readonly text: string;
}

/** Samples of one series and instance, oldest first. */
export interface PastLine {
  readonly series: string;
  readonly instance: string;
  readonly times: readonly number[];
  /** null: there is none that can be drawn. */
  readonly values: readonly (number | null)[];
  /** Texts that are no numbers, where they differ from the one before. */
  readonly odd: readonly { readonly time: number; readonly text: string }[];
}

/** Runs in which times go one way. Where these are short, they are the answer of topk: all is one. */
function runsOf(values: readonly PastValue[]): readonly (readonly PastValue[])[] {
  const runs: PastValue[][] = [];
  let way = 0;
  let run: PastValue[] = [];
  let last: number | undefined;
  for (const value of values) {
    const turn = last === undefined ? 0 : Math.sign(value.time - last);
    if (last === undefined || turn === 0 || (way !== 0 && turn !== way)) {
      run = [];
      runs.push(run);
      way = 0;
    } else way = turn;
    run.push(value);
    last = value.time;
  }
  return runs.length * 3 > values.length ? [values] : runs;
}

function lineOf(values: readonly PastValue[]): PastLine {
  const sorted = values.toSorted((a, b) => a.time - b.time);
  const odd: { time: number; text: string }[] = [];
  let before: string | undefined;
  const numbers = sorted.map(({ text, time }) => {
    const number = numberOf(text);
    if (number === undefined && text !== before) odd.push({ time, text: plainText(text) });
    before = text;
    return number ?? null;
  });
  const [first] = sorted;
  return {
    series: first?.series ?? "",
    instance: first?.instance ?? "",
    times: sorted.map(({ time }) => time),
    values: numbers,
    odd,
  };
}

/** All lines of an answer, in its order. */
export function linesOf(values: readonly PastValue[]): readonly PastLine[] {
  const groups = new Map<string, PastValue[]>();
  for (const value of values) {
    const key = `${value.series} ${value.instance}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [value]);
    else group.push(value);
  }
  return [...groups.values()].flatMap((group) => runsOf(group).map(lineOf));
}

/** A line with the name that people know it by. */
export interface NamedLine extends PastLine {
  readonly name: string;
}

/**
 * Gives lines of one name numbers, unless they follow one another: those are one line, as of a host
 * whose labels have changed.
 */
export function joined(lines: readonly NamedLine[]): readonly NamedLine[] {
  const byName = new Map<string, NamedLine[]>();
  const order = lines.toSorted((a, b) => (a.times[0] ?? 0) - (b.times[0] ?? 0));
  for (const line of order) {
    const same = byName.get(line.name) ?? [];
    byName.set(line.name, same);
    const at = same.findIndex((each) => (each.times.at(-1) ?? 0) < (line.times[0] ?? 0));
    const before = same[at];
    if (before === undefined) same.push(line);
    else {
      same[at] = {
        ...before,
        times: [...before.times, ...line.times],
        values: [...before.values, ...line.values],
        odd: [...before.odd, ...line.odd],
      };
    }
  }
  return [...byName.values()].flatMap((same) =>
    same.map((line, at) =>
      at === 0 ? line : { ...line, name: `${line.name} (${at + 1})`.trim() },
    ),
  );
}

/** Samples that a line must have before their usual distance is known. */
const ENOUGH = 4;

/** Seconds without a sample that are a gap. */
function patienceOf(times: readonly number[], step: number): number {
  if (times.length < ENOUGH) return Number.POSITIVE_INFINITY;
  const steps = times.slice(1).map((time, at) => time - (times[at] ?? time));
  const middle = steps.toSorted((a, b) => a - b)[Math.floor(steps.length / 2)] ?? 0;
  return Math.max(2.5 * step, 3 * middle);
}

/**
 * The line with a sample without a value in each gap. Of rates the first one behind a gap goes too: it
 * is over the whole gap, in which the counter may have begun anew; and so do those below 0, which are
 * counters that have.
 */
export function withGaps(line: NamedLine, step: number, isRate: boolean): NamedLine {
  const patience = patienceOf(line.times, step);
  const times: number[] = [];
  const values: (number | null)[] = [];
  for (const [at, time] of line.times.entries()) {
    const before = line.times[at - 1] ?? time;
    const value = line.values[at] ?? null;
    const isGap = time - before > patience;
    if (isGap) {
      times.push((before + time) / 2);
      values.push(null);
    }
    times.push(time);
    values.push(isRate && value !== null && (isGap || value < 0) ? null : value);
  }
  return { ...line, times, values };
}

/** Mean of what is there; undefined where nothing is. */
export function meanOf({ values }: PastLine): number | undefined {
  let sum = 0;
  let count = 0;
  for (const value of values) {
    if (value === null) continue;
    sum += value;
    count++;
  }
  return count === 0 ? undefined : sum / count;
}

/** Lines that can be drawn, the largest first; and those that cannot. */
export function ranked(lines: readonly NamedLine[]): {
  readonly drawable: readonly NamedLine[];
  readonly others: readonly NamedLine[];
} {
  const means = new Map(lines.map((line) => [line, meanOf(line)]));
  const drawable = lines
    .filter((line) => means.get(line) !== undefined)
    .toSorted((a, b) => (means.get(b) ?? 0) - (means.get(a) ?? 0));
  return { drawable, others: lines.filter((line) => means.get(line) === undefined) };
}

/** What is no number, newest first. */
export const changesOf = (lines: readonly NamedLine[]): readonly Change[] =>
  lines
    .flatMap(({ name, odd }) => odd.map(({ time, text }) => ({ time, text, line: name })))
    .toSorted((a, b) => b.time - a.time);

/** A value of a table of lines: null is a gap, undefined a time that belongs to other lines. */
export type Cell = number | null | undefined;

/** Lines on one time axis. */
export interface Table {
  readonly times: readonly number[];
  /** As many as lines; each as long as `times`. */
  readonly columns: readonly (readonly Cell[])[];
}

/** Puts lines on one time axis. */
export function tableOf(lines: readonly PastLine[]): Table {
  const times = [...new Set(lines.flatMap((line) => line.times))].toSorted((a, b) => a - b);
  const places = new Map(times.map((time, at) => [time, at]));
  const columns = lines.map((line) => {
    const column: Cell[] = Array.from({ length: times.length }, () => undefined);
    for (const [at, time] of line.times.entries())
      column[places.get(time) ?? 0] = line.values[at] ?? null;
    return column;
  });
  return { times, columns };
}

/** The value of a line at a place of the table, or the nearest one before it. */
export function valueBefore(column: readonly Cell[], place: number): number | null {
  for (let at = Math.min(place, column.length - 1); at >= 0; at--) {
    const value = column[at];
    if (value !== undefined) return value;
  }
  return null;
}

/** A field of a CSV file; texts that a spreadsheet would reckon with begin with a quote. */
const field = (text: string): string => {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
};

/** A table as CSV (RFC 4180): times in UTC, a column for each line. */
export function csvOf(table: Table, heads: readonly string[]): string {
  const rows = [["time", ...heads.map(field)].join(",")];
  for (const [at, time] of table.times.entries()) {
    const cells = table.columns.map((column) => column[at] ?? "");
    if (cells.every((cell) => cell === "")) continue;
    rows.push([new Date(Math.round(time * 1000)).toISOString(), ...cells].join(","));
  }
  return `${rows.join("\r\n")}\r\n`;
}

/** Changes as CSV. */
export const changesCsv = (changes: readonly Change[]): string =>
  [
    "time,series,value",
    ...changes.map(({ time, line, text }) =>
      [new Date(Math.round(time * 1000)).toISOString(), field(line), field(text)].join(","),
    ),
    "",
  ].join("\r\n");
