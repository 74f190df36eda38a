// What pmseries prints (spec series.md 11.4): identifiers, values, metadata, names. Text comes in pieces, so
// that long reports stream. Refuses nothing: what a store does not know prints as PCP prints it.
import { PcpError } from "../base/mod.ts";
import { ctimeText, indomParse, pmidParse, type Zone } from "../pcp/mod.ts";
import { textAt } from "./column.ts";
import type { SeriesBlock } from "./evaluate.ts";
import {
  describeSeries,
  instancesOfSeries,
  labelsOfSeries,
  type LookupOptions,
  namesOfSeries,
} from "./lookups.ts";
import type { ProblemLevel, SeriesProblem } from "./problem.ts";
import { timeOfValue } from "./samples.ts";
import type { SeriesDescriptor, SeriesInstance, SeriesLabel, SeriesStore } from "./store.ts";

const MARKS: Readonly<Record<ProblemLevel, string>> = {
  error: "Error",
  "bad request": "Bad request",
  "bad response": "Bad response",
  corrupt: "Corrupt TSDB",
};

/** A message as pmseries prints it on stderr (11.3), without colours. */
export const problemText = ({ level, message }: SeriesProblem): string =>
  `pmseries: [${MARKS[level]}] ${message}\n`;

/** Identifiers, or names, one a line. */
export const linesText = (lines: readonly string[]): string =>
  lines.map((line) => `${line}\n`).join("");

/** How values are printed. */
export interface ValueText {
  readonly zone: Zone;
  /** Times as `1531404662090.46` instead of as a date. */
  readonly numeric: boolean;
}

const MICROSECONDS = 1e6;

/** `ms.us`, a stream's entry identifier with a point; microseconds are not padded. */
export const stampText = (time: number): string =>
  `${Math.floor(time / 1000)}.${time - Math.floor(time / 1000) * 1000}`;

/** A function that prints times in the way that is asked for; the last one is kept. */
function timeText({ zone, numeric }: ValueText): (time: number) => string {
  if (numeric) return stampText;
  let last = Number.NaN;
  let text = "";
  return (time) => {
    if (time === last) return text;
    const sec = Math.floor(time / MICROSECONDS);
    text = ctimeText({ sec, nsec: (time - sec * MICROSECONDS) * 1000 }, zone, 9);
    last = time;
    return text;
  };
}

/** Values, each line with its time; a piece a block. */
export async function* valuesText(
  blocks: AsyncIterable<SeriesBlock>,
  form: ValueText,
): AsyncGenerator<string> {
  const shown = timeText(form);
  let current: string | undefined;
  for await (const block of blocks) {
    const lines: string[] = [];
    let index = 0;
    for (let sample = 0; sample < block.times.length; sample++)
      for (const end = block.ends[sample] ?? 0; index < end; index++) {
        if (block.series !== current) {
          current = block.series;
          lines.push(`\n${current}\n`);
        }
        const time = shown(timeOfValue(block, sample, index));
        const instance = block.instances[block.places[index] ?? 0] ?? "";
        const suffix = instance === block.series ? "" : ` ${instance}`;
        lines.push(`    [${time}] ${textAt(block.values, index)}${suffix}\n`);
      }
    if (lines.length > 0) yield lines.join("");
  }
}

/** What is told of each series. */
export interface MetadataParts {
  /** -d: pmID, type, semantics, units. */
  readonly descriptor?: boolean;
  /** -M: the pmID with its number; alone it is told without the rest. */
  readonly fullPmid?: boolean;
  /** -I: the same of the instance domain. */
  readonly fullIndom?: boolean;
  /** -s */
  readonly source?: boolean;
  /** -m */
  readonly names?: boolean;
  /** -i */
  readonly instances?: boolean;
  /** -l */
  readonly labels?: boolean;
  /** -n: names of labels without their values. */
  readonly labelNames?: boolean;
}

const NO_ID = 0xffffffff;

/** The number of an identifier that is told as text. */
function numberOf(text: string, parse: (text: string) => number): number {
  try {
    return parse(text);
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
    return NO_ID;
  }
}

const TYPE_WORDS: Readonly<Record<string, string>> = {
  "32": "32-bit int",
  u32: "32-bit unsigned int",
  "64": "64-bit int",
  u64: "64-bit unsigned int",
  float: "float",
  double: "double",
  string: "string",
  aggregate: "aggregate",
  aggregate_static: "aggregate static",
  event: "event record array",
  highres_event: "highres event record array",
};

function descriptorText(descriptor: SeriesDescriptor, parts: MetadataParts): string {
  const { pmid, semantics, source, type, units } = descriptor;
  const indom = descriptor.indom === "none" ? "PM_INDOM_NULL" : descriptor.indom;
  const { descriptor: whole = false, fullPmid = false, fullIndom = false } = parts;
  let text = "";
  if (whole || fullPmid) {
    const number = numberOf(pmid, pmidParse);
    const full = fullPmid ? ` = ${number} = 0x${number.toString(16)}` : "";
    text += `    PMID: ${pmid}${full}\n`;
    // The first line behind an identifier alone is set in.
  } else if (fullIndom || parts.source === true) text += "   ";
  if (whole) text += `    Data Type: ${TYPE_WORDS[type.toLowerCase()] ?? "???"}`;
  if (whole || fullIndom) {
    const number = numberOf(descriptor.indom, indomParse);
    const full = fullIndom ? ` = ${number} =` : "";
    text += `  InDom: ${indom}${full} 0x${number.toString(16)}\n`;
  }
  if (whole) text += `    Semantics: ${semantics}  Units: ${units === "" ? "none" : units}\n`;
  if (parts.source === true) text += `    Source: ${source}\n`;
  return text;
}

const byBytes = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Labels as one JSON object, by name. */
const labelsObject = (labels: readonly SeriesLabel[]): string =>
  `{${labels
    .toSorted((a, b) => byBytes(a.name, b.name))
    .map(({ name, value }) => `"${name}":${value}`)
    .join(",")}}`;

const namesLine = (labels: readonly SeriesLabel[]): string =>
  `    Labels: ${labels.map(({ name }) => name).join(", ")}\n`;

const instancePart = ({ inst, name }: SeriesInstance): string => `    inst [${inst} or "${name}"]`;

/** Lines about labels: of the series, or of each of its instances. */
async function labelsText(
  store: SeriesStore,
  series: string,
  instances: readonly SeriesInstance[],
  namesOnly: boolean,
): Promise<string> {
  if (instances.length === 0) {
    const [labels = []] = await labelsOfSeries(store, [series]);
    if (labels.length === 0) return "";
    return namesOnly ? namesLine(labels) : `    labels ${labelsObject(labels)}\n`;
  }
  const all = await labelsOfSeries(
    store,
    instances.map(({ id }) => id),
  );
  return instances
    .map((instance, at) => {
      const labels = all[at] ?? [];
      return namesOnly
        ? `\n${instance.id}${namesLine(labels)}`
        : `${instancePart(instance)} labels ${labelsObject(labels)}\n`;
    })
    .join("");
}

/** Series that are looked up together. */
const BATCH = 64;

/** Metadata of series; a piece each. */
export async function* metadataText(
  store: SeriesStore,
  series: readonly string[],
  parts: MetadataParts,
  options: LookupOptions,
): AsyncGenerator<string> {
  const { instances: wantInstances = false, labels = false, labelNames = false } = parts;
  const wantLabels = labels || labelNames;
  for (let from = 0; from < series.length; from += BATCH) {
    const ids = series.slice(from, from + BATCH);
    const [descriptors, names, instances] = await Promise.all([
      describeSeries(store, ids),
      parts.names === true ? namesOfSeries(store, ids) : [],
      wantInstances || wantLabels ? instancesOfSeries(store, ids, options) : [],
    ]);
    for (const [at, id] of ids.entries()) {
      const descriptor = descriptors[at];
      let text = `\n${id}\n`;
      if (descriptor !== undefined) text += descriptorText(descriptor, parts);
      const own = names[at] ?? [];
      if (own.length > 0) text += `    Metric: ${own.join(", ")}\n`;
      const list = instances[at] ?? [];
      if (wantInstances)
        text += list.map((each) => `${instancePart(each)} series ${each.id}\n`).join("");
      if (wantLabels) text += await labelsText(store, id, list, labelNames);
      yield text;
    }
  }
}

/** Names of sources, one line a source that has any. */
export async function sourcesText(store: SeriesStore, sources: readonly string[]): Promise<string> {
  const all = await store.sources(sources);
  return all
    .filter((names) => names.length > 0)
    .map((names) => `    Context: ${names.join(", ")}\n`)
    .join("");
}

/** Values of label names, one line a name that has any. */
export async function labelValuesText(
  store: SeriesStore,
  names: readonly string[],
): Promise<string> {
  const all = await store.labelValues(names);
  return names
    .map((name, at) => ({ name, values: all[at] ?? [] }))
    .filter(({ values }) => values.length > 0)
    .map(({ name, values }) => `${name}: ${values.join(", ")}\n`)
    .join("");
}
