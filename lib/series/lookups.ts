// Metadata of series and values of given series (spec series.md 10, 9.3): what reports and REST requests ask
// a store, with the answers that PCP gives where a store has none. Refuses identifiers that are not
// hexadecimal and times that cannot be read, with PCP's messages.
import { PcpError, pmErrStr } from "../base/mod.ts";
import { type Instant, newZone, parseInterval, timeOf, type Zone } from "../pcp/mod.ts";
import {
  evaluateFabricated,
  type EvaluateOptions,
  type SeriesBlock,
  UNKNOWN_DESCRIPTOR,
} from "./evaluate.ts";
import type { Query, QueryTime, TimeSpec } from "./language.ts";
import { type ParseOptions, parseQuery } from "./parse.ts";
import { SeriesProblem } from "./problem.ts";
import { expectedBytes } from "./room.ts";
import { mostOf, rangeOf, thinningOf } from "./sampling.ts";
import { globOf } from "./select.ts";
import type {
  NameList,
  SeriesDescriptor,
  SeriesInstance,
  SeriesLabel,
  SeriesStore,
} from "./store.ts";
import { thinned } from "./thin.ts";

/** What times are read with, and how fabricated series are evaluated. */
export type LookupOptions = EvaluateOptions & ParseOptions;

/** Descriptors of series; of unknown ones what PCP says of them. */
export async function describeSeries(
  store: SeriesStore,
  series: readonly string[],
): Promise<readonly SeriesDescriptor[]> {
  const found = await store.descriptors(series);
  return series.map((_, at) => found[at] ?? UNKNOWN_DESCRIPTOR);
}

/** Metric names of series; of a fabricated one its expression. */
export async function namesOfSeries(
  store: SeriesStore,
  series: readonly string[],
): Promise<readonly (readonly string[])[]> {
  // Asked together: one way to the store and back costs more than an answer that is not needed.
  const [names, expressions] = await Promise.all([
    store.metricNames(series),
    store.expressions(series),
  ]);
  return series.map((_, at) => {
    const own = names[at] ?? [];
    const expression = expressions[at];
    return own.length > 0 || expression === undefined ? own : [expression];
  });
}

/** A fabricated series' expression as a query with other times. */
function fabricated(expression: string, times: TimeSpec, options: LookupOptions): Query {
  return { ...parseQuery(expression, options), times, values: true };
}

/** Instances that an expression has values of; those of no instance are none. */
async function fabricatedInstances(
  store: SeriesStore,
  series: string,
  expression: string,
  options: LookupOptions,
): Promise<readonly SeriesInstance[]> {
  const query = fabricated(expression, { count: 1 }, options);
  const ids: string[] = [];
  for await (const block of await evaluateFabricated(store, series, query, options))
    for (const place of block.places) ids.push(block.instances[place] ?? "");
  const found = await store.instancesById(ids);
  return found.filter((each) => each !== undefined);
}

/** Instances of series, by their numbers and names; also those of fabricated series. */
export async function instancesOfSeries(
  store: SeriesStore,
  series: readonly string[],
  options: LookupOptions,
): Promise<readonly (readonly SeriesInstance[])[]> {
  const [lists, expressions] = await Promise.all([
    store.instances(series),
    store.expressions(series),
  ]);
  return Promise.all(
    series.map(async (id, at) => {
      const own = lists[at] ?? [];
      const expression = own.length === 0 ? expressions[at] : undefined;
      const list =
        expression === undefined ? own : await fabricatedInstances(store, id, expression, options);
      const byName = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
      return list.toSorted((a, b) => a.inst - b.inst || byName(a.name, b.name));
    }),
  );
}

/** Labels of series or instances, in the store's order. */
export const labelsOfSeries = (
  store: SeriesStore,
  ids: readonly string[],
): Promise<readonly (readonly SeriesLabel[])[]> => store.labels(ids);

/** All names of a kind that fit a pattern, or all. Throws SeriesProblem for a pattern that is too long. */
export async function allNames(
  store: SeriesStore,
  list: NameList,
  glob?: string,
): Promise<readonly string[]> {
  const fits = glob === undefined ? undefined : globOf(glob);
  const names = await store.names(list);
  return fits === undefined ? names : names.filter(fits);
}

const DIGITS = 40;

/** Identifiers as values are asked for. Throws SeriesProblem at the first pair that is no number. */
export function checkedSeries(text: string): string {
  for (let at = 0; at < DIGITS; at += 2)
    if (!/^[0-9a-fA-F]{2}$/.test(text.slice(at, at + 2)))
      throw new SeriesProblem(`Invalid SID ${text} near offset ${at}`);
  return text.slice(0, DIGITS).toLowerCase();
}

/** Times of a window as texts; the first of two synonyms counts. */
export interface WindowTexts {
  readonly interval?: string;
  readonly align?: string;
  readonly start?: string;
  readonly finish?: string;
  readonly range?: string;
  readonly count?: string;
  readonly offset?: string;
  readonly zone?: string;
}

/** Work whose complaint comes behind a head, as PCP says it. */
function complaining<T>(head: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
    throw new SeriesProblem(`${head}:\n${error.message}`);
  }
}

function zoneOf(text: string): Zone {
  try {
    return newZone(text);
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
    throw new SeriesProblem(
      `Cannot parse timezone with pmNewZone:\n${text} - ${pmErrStr(error.code)}`,
    );
  }
}

const SAMPLES = /^[ \t\n\v\f\r]*([+-]?)(\d+)$/;
const MAX_ULONG = (1n << 64n) - 1n;

/** A number of samples as strtoul(3) reads it in base 10, of which 32 bits count; nothing at all is 0. */
function sampleNumber(what: "count" | "offset", text: string): number {
  if (text === "") return 0;
  const [, sign, digits] = SAMPLES.exec(text) ?? [];
  if (digits === undefined) throw new SeriesProblem(`Invalid sample ${what} requested - ${text}`);
  const size = BigInt(digits);
  const value = size > MAX_ULONG ? MAX_ULONG : sign === "-" ? -size : size;
  return Number(BigInt.asUintN(32, value));
}

/** Reads the times of a window that came as parameters. Throws SeriesProblem. */
export function readWindow(texts: WindowTexts, { now, zone: usual }: ParseOptions): TimeSpec {
  const zone = texts.zone === undefined ? usual : zoneOf(texts.zone);
  const span = (which: "delta" | "range", text: string) => ({
    text,
    span: complaining(`Cannot parse time ${which} with pmParseInterval`, () => parseInterval(text)),
  });
  const bounds = { start: { sec: 0, nsec: 0 }, finish: now };
  const time = (which: string, text: string): QueryTime =>
    complaining(`Cannot parse time ${which} with __pmtimespecParse`, () => {
      // A number alone is seconds since 1970.
      const isNumber = /^(?:\d+\.?\d*|\.\d+)$/.test(text);
      return { text, at: timeOf(isNumber ? `+${text}` : text, bounds, { zone, now }) };
    });
  const { interval, align, start, finish, range, count, offset } = texts;
  const times: TimeSpec = {
    ...(interval === undefined ? {} : { interval: span("delta", interval) }),
    ...(align === undefined ? {} : { align: time("align", align) }),
    ...(start === undefined ? {} : { start: time("start", start) }),
    ...(finish === undefined ? {} : { finish: time("end", finish) }),
    ...(range === undefined ? {} : { range: span("range", range) }),
    ...(count === undefined ? {} : { count: sampleNumber("count", count) }),
    ...(offset === undefined ? {} : { offset: sampleNumber("offset", offset) }),
    ...(texts.zone === undefined ? {} : { zone: texts.zone }),
  };
  if (range === undefined) return times;
  // As if it came last.
  const { start: _start, finish: _finish, ...others } = times;
  return others;
}

/** Without any bound the latest value is meant. */
function windowTimes(times: TimeSpec): TimeSpec {
  const { count, range, start, finish, interval } = times;
  const isOpen = [count, range, start, finish, interval].every((each) => each === undefined);
  return isOpen ? { ...times, count: 1 } : times;
}

/**
 * Values of given series in a window; then those of fabricated ones, which are looked for where there are
 * no values. To these, interval and count of the window apply, and the start only as their beginning. Throws SeriesProblem.
 */
export async function* valuesInWindow(
  store: SeriesStore,
  series: readonly string[],
  window: TimeSpec,
  options: LookupOptions,
): AsyncGenerator<SeriesBlock> {
  const ids = series.map(checkedSeries);
  const times = windowTimes(window);
  const { now }: { now: Instant } = options;
  const range = rangeOf(times, now, false);
  const thinning = thinningOf(times, times, now);
  const requests = ids.map((id) => ({ series: id, ...range, ...mostOf(thinning) }));
  options.room?.expect(expectedBytes(ids.length, thinning.count));
  const empty = new Set(ids.keys());
  const blocks = thinned(store.values(requests), thinning);
  for await (const { request, ...samples } of blocks) {
    empty.delete(request);
    yield { series: ids[request] ?? "", ...samples };
  }
  const rest = [...empty].map((at) => ids[at] ?? "");
  const expressions = rest.length === 0 ? [] : await store.expressions(rest);
  for (const [at, expression] of expressions.entries()) {
    const id = rest[at];
    if (expression === undefined || id === undefined) continue;
    yield* await evaluateFabricated(store, id, fabricated(expression, times, options), options);
  }
}
