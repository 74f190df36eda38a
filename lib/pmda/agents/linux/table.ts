// Tables of metrics as text, one line a metric, and the rows that an agent needs of them. A line is
// `ITEM NAME [=KEY] [TYPE] [SEMANTICS] [UNITS] [| TEXT]`; what it leaves out comes from the table.
// KEY is what the source calls the value: the last part of the name when left out. Refuses words
// that mean nothing, so that a misspelt line is found when the table is first read.
import { PcpError, PM_ERR } from "../../../base/mod.ts";
import { PM_SEM, PM_SPACE, PM_TIME, PM_TYPE, unitsWord } from "../../../pcp/mod.ts";
import type { FetchValue, LabelObject, MetricRow } from "../../define.ts";
import type { InstanceId } from "../../../pcp/mod.ts";
import type { Awaitable } from "../../types.ts";

const TYPES: Readonly<Record<string, number>> = {
  i32: PM_TYPE.I32,
  u32: PM_TYPE.U32,
  i64: PM_TYPE.I64,
  u64: PM_TYPE.U64,
  float: PM_TYPE.FLOAT,
  double: PM_TYPE.DOUBLE,
  string: PM_TYPE.STRING,
};

const SEMANTICS: Readonly<Record<string, number>> = {
  counter: PM_SEM.COUNTER,
  instant: PM_SEM.INSTANT,
  discrete: PM_SEM.DISCRETE,
};

const space = (scaleSpace: number, dimTime = 0): number =>
  unitsWord({ dimSpace: 1, scaleSpace, dimTime, scaleTime: dimTime === 0 ? 0 : PM_TIME.SEC });
const time = (scaleTime: number, dimTime = 1): number => unitsWord({ dimTime, scaleTime });

const UNITS: Readonly<Record<string, number>> = {
  none: 0,
  count: unitsWord({ dimCount: 1 }),
  "count/sec": unitsWord({ dimCount: 1, dimTime: -1, scaleTime: PM_TIME.SEC }),
  byte: space(PM_SPACE.BYTE),
  kbyte: space(PM_SPACE.KBYTE),
  mbyte: space(PM_SPACE.MBYTE),
  "byte/sec": space(PM_SPACE.BYTE, -1),
  "mbyte/sec": space(PM_SPACE.MBYTE, -1),
  nsec: time(PM_TIME.NSEC),
  usec: time(PM_TIME.USEC),
  msec: time(PM_TIME.MSEC),
  sec: time(PM_TIME.SEC),
  mhz: time(PM_TIME.USEC, -1),
};

/** What all lines of a table have unless they say otherwise. */
export interface TableHead {
  readonly cluster: number;
  /** Before every name, with its dot. */
  readonly prefix: string;
  readonly type: "i32" | "u32" | "i64" | "u64" | "float" | "double" | "string";
  readonly sem: "counter" | "instant" | "discrete";
  readonly units: string;
  /** Serial number of the instance domain. */
  readonly indom?: number | undefined;
  readonly labels?: LabelObject;
  /** The text of lines without one. */
  readonly text?: (key: string) => string;
}

/** A metric of a table before it has a source. */
export interface TableLine extends MetricRow {
  readonly name: string;
  /** What the source calls it. */
  readonly key: string;
}

const bad = (line: string, reason: string): PcpError =>
  new PcpError(PM_ERR.GENERIC, `table of metrics: ${reason} in "${line}"`);

function parseLine(head: TableHead, line: string): TableLine {
  const bar = line.indexOf("|");
  const words = (bar < 0 ? line : line.slice(0, bar)).trim().split(/\s+/);
  const [item = "", short = "", ...rest] = words;
  let type: string = head.type;
  let sem: string = head.sem;
  let { units } = head;
  let key = short.slice(short.lastIndexOf(".") + 1);
  for (const word of rest) {
    if (word.startsWith("=")) key = word.slice(1);
    else if (TYPES[word] !== undefined) type = word;
    else if (SEMANTICS[word] !== undefined) sem = word;
    else if (UNITS[word] !== undefined) units = word;
    else throw bad(line, `what is "${word}"`);
  }
  const typeNumber = TYPES[type];
  const semNumber = SEMANTICS[sem];
  const unitsNumber = UNITS[units];
  if (typeNumber === undefined || semNumber === undefined || unitsNumber === undefined)
    throw bad(line, "no such type, semantics or units");
  if (!/^\d+$/.test(item)) throw bad(line, `item "${item}"`);
  return {
    name: head.prefix + short,
    cluster: head.cluster,
    item: Number(item),
    type: typeNumber,
    sem: semNumber,
    units: unitsNumber,
    indom: head.indom,
    labels: head.labels,
    oneline: bar < 0 ? head.text?.(key) : line.slice(bar + 1).trim(),
    key,
  };
}

/** The lines of a table. Throws PcpError PM_ERR_GENERIC for a line that cannot be read. */
export const tableLines = (head: TableHead, text: string): TableLine[] =>
  text
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => parseLine(head, line));

/** Where the values of a metric come from. */
export type Source = (instance: InstanceId) => Awaitable<FetchValue>;

/** A metric with its source. */
export const withSource = (line: TableLine, fetch: Source): MetricRow => {
  const { key: _key, ...row } = line;
  return { ...row, fetch };
};

/** All metrics of a table, each with the source that `sourceOf` gives for its line. */
export const rowsFrom = (
  head: TableHead,
  text: string,
  sourceOf: (line: TableLine) => Source,
): MetricRow[] => tableLines(head, text).map((line) => withSource(line, sourceOf(line)));

/** Metrics whose values have a place in a list, in the order of their lines. */
export const rowsByPlace = (
  lines: readonly TableLine[],
  sample: () => readonly FetchValue[] | undefined,
): MetricRow[] => lines.map((line, place) => withSource(line, () => sample()?.[place]));
