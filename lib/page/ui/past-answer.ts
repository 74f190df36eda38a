// The answer to a question about the past: the requests that it takes, in their order, bounded, and what
// comes of them for a chart. What series are is kept for a minute, so that a chart that is followed asks
// for its values alone. Knows nothing of elements.
import { type Unit, unitOf } from "./numbers.ts";
import {
  type Change,
  changesOf,
  joined,
  linesOf,
  type NamedLine,
  type PastLine,
  type PastValue,
  ranked,
  withGaps,
} from "./past-lines.ts";
import {
  hasWindow,
  isRate,
  NEWEST,
  OLDEST,
  operandsOf,
  windowText,
  withWindow,
} from "./past-query.ts";
import { type Ends, endsOf, gridOf, type PastRange, stepOf } from "./past-range.ts";
import { askFacts, askQuery, type SeriesFacts } from "./past-rest.ts";
import { RestFault } from "./rest.ts";

/** Values that are asked for at a time, about. */
const VALUES_MOST = 60_000;
/** Samples of a series, whatever there are of them. */
const SAMPLES_LEAST = 10;
/** Lines that are kept of an answer. */
const LINES_MOST = 500;
/** Series that are looked up. */
const SERIES_MOST = 500;
/** Rows of a list of changes. */
export const CHANGES_MOST = 500;
const KEPT_MS = 60_000;

/** What is asked. */
export interface PastQuestion {
  /** As it was typed, or made. */
  readonly query: string;
  readonly range: PastRange;
  /** Most samples of a line: the width of the chart. */
  readonly samples: number;
  /** Seconds since 1970. */
  readonly now: number;
  readonly signal: AbortSignal;
}

/** What came of it. */
export interface PastAnswer {
  /** The query with its window, as it was sent. */
  readonly sent: string;
  /** Ends of the time axis. */
  readonly ends: Ends;
  /** Seconds between samples that were asked for; undefined: all of them. */
  readonly step: number | undefined;
  /** The largest first. */
  readonly lines: readonly NamedLine[];
  /** The unit of each line, by its name. */
  readonly units: ReadonlyMap<string, Unit>;
  /** What is no number, newest first; no more than CHANGES_MOST. */
  readonly changes: readonly Change[];
  /** Lines that are not in `lines`, being too many. */
  readonly leftOut: number;
  /** Values that came. */
  readonly values: number;
  /** Where nothing came: the time of the newest value there is. */
  readonly newest: number | undefined;
  /** What the operands are. */
  readonly facts: readonly SeriesFacts[];
}

/** Whether a fault is about the text itself, with its place. */
const isSyntax = (error: RestFault): boolean =>
  error.message.startsWith("cannot parse given string");

interface Known {
  readonly at: number;
  readonly facts: Promise<readonly SeriesFacts[]>;
}

/** What is known of queries and series. */
export interface Lookup {
  /** Series of an operand and what they are. */
  facts(operand: string, signal?: AbortSignal): Promise<readonly SeriesFacts[]>;
  /** Has the server read a query as it is. Rejects with what it complains about. */
  check(query: string, signal?: AbortSignal): Promise<void>;
}

/** Looks things up, and keeps what was found for a while. */
export function createLookup(): Lookup {
  const known = new Map<string, Known>();
  let checked = "";
  const check = async (query: string, signal?: AbortSignal): Promise<void> => {
    if (query === checked) return;
    await askQuery(query, signal);
    checked = query;
  };
  const facts = (operand: string, signal?: AbortSignal): Promise<readonly SeriesFacts[]> => {
    const before = known.get(operand);
    if (before !== undefined && Date.now() - before.at < KEPT_MS)
      return before.facts.catch((error: unknown) => {
        // Whoever asked first has given up; this one has not.
        const isOther = error instanceof RestFault && error.kind === "cancelled";
        if (isOther && signal?.aborted !== true) return facts(operand, signal);
        throw error;
      });
    const find = async (): Promise<readonly SeriesFacts[]> => {
      const answer = await askQuery(operand, signal);
      const ids = answer.kind === "series" ? answer.series : [];
      return askFacts(ids.slice(0, SERIES_MOST), signal);
    };
    const asked = find();
    known.set(operand, { at: Date.now(), facts: asked });
    const forget = (): void => void known.delete(operand);
    // What is not there yet may come any moment.
    asked.then((found) => found.length === 0 && forget(), forget);
    return asked;
  };
  return { facts, check };
}

/**
 * Gives lines names out of what tells them apart: metric, host, instance. A function of a metric without
 * instances is told as of an instance that is the metric's series itself.
 */
function named(
  lines: readonly PastLine[],
  factsOf: (line: PastLine) => SeriesFacts | undefined,
): readonly NamedLine[] {
  const parts = lines.map((line) => {
    const facts = factsOf(line);
    const own = line.instance === facts?.id ? "" : line.instance.slice(0, 8);
    const instance = facts?.instances.get(line.instance) ?? own;
    return { metric: facts?.name ?? "", host: facts?.host ?? "", instance };
  });
  const differ = (key: "metric" | "host"): boolean =>
    new Set(parts.map((each) => each[key])).size > 1;
  const wanted = { metric: differ("metric"), host: differ("host") };
  return lines.map((line, at) => {
    const { metric = "", host = "", instance = "" } = parts[at] ?? {};
    const name = [wanted.metric ? metric : "", wanted.host ? host : "", instance]
      .filter((part) => part !== "")
      .join(" ");
    return { ...line, name };
  });
}

/** Times that values have, from the first to the last; undefined where there are none. */
function spanOf(values: readonly PastValue[]): Ends | undefined {
  let from = Number.POSITIVE_INFINITY;
  let to = Number.NEGATIVE_INFINITY;
  for (const { time } of values) {
    from = Math.min(from, time);
    to = Math.max(to, time);
  }
  return from > to ? undefined : { from, to: Math.max(to, from + 1) };
}

const valuesOf = async (query: string, signal: AbortSignal): Promise<readonly PastValue[]> => {
  const answer = await askQuery(query, signal);
  return answer.kind === "values" ? answer.values : [];
};

/** From the oldest to the newest sample of an operand. */
async function wholeOf(operand: string, signal: AbortSignal): Promise<Ends | undefined> {
  const [oldest, newest] = await Promise.all(
    [OLDEST, NEWEST].map((window) => valuesOf(withWindow(operand, window), signal)),
  );
  return spanOf([...(oldest ?? []), ...(newest ?? [])]);
}

/** What the operands of a query are. A query that the server cannot read is rejected, as it is. */
async function lookUp(
  { query, signal }: PastQuestion,
  lookup: Lookup,
): Promise<readonly SeriesFacts[]> {
  const operands = operandsOf(query);
  try {
    // As it was typed, so that a complaint points into what stands there.
    if (!hasWindow(query)) await lookup.check(query, signal);
  } catch (error) {
    // Types of results are known only with values: these will tell.
    if (!(error instanceof RestFault) || error.kind !== "refused" || isSyntax(error)) throw error;
  }
  const found: SeriesFacts[] = [];
  for (const operand of operands) {
    // A query with a window of its own is checked with it.
    const asked = lookup.facts(operand, signal);
    found.push(...(await (hasWindow(query) ? asked.catch(onlyRefused) : asked)));
  }
  return found;
}

const onlyRefused = (error: unknown): readonly SeriesFacts[] => {
  if (error instanceof RestFault && error.kind === "refused") return [];
  throw error;
};

/** Whether values are numbers, as far as can be told before they are there. */
const isNumeric = ({ type }: SeriesFacts): boolean => !/string|aggregate|event/.test(type);

/** The window of a question, and the distance of its samples. */
async function windowOf(
  { range, samples, now, signal }: PastQuestion,
  operand: string,
  facts: readonly SeriesFacts[],
): Promise<{ readonly ends: Ends; readonly step: number | undefined } | undefined> {
  const chosen = endsOf(range, now) ?? (await wholeOf(operand, signal));
  if (chosen === undefined) return undefined;
  const lines = facts.reduce((sum, { instances }) => sum + Math.max(1, instances.size), 0);
  // Of what is no number each change counts.
  const wanted = facts.some(isNumeric) ? samples : VALUES_MOST;
  const most = Math.max(SAMPLES_LEAST, Math.min(wanted, VALUES_MOST / Math.max(1, lines)));
  const step = stepOf(chosen, most);
  return { ends: gridOf(chosen, step), step };
}

/** Of values with times of their own: all of them, or what was zoomed to. */
function shownOf(span: Ends | undefined, range: PastRange): Ends | undefined {
  if (span === undefined || range.kind !== "between") return span;
  return range.from < span.to && range.to > span.from ? range : span;
}

/** Answers a question. Rejects with RestFault. */
export async function answerOf(question: PastQuestion, lookup: Lookup): Promise<PastAnswer> {
  const { query, signal } = question;
  const facts = await lookUp(question, lookup);
  const [operand = query] = operandsOf(query);
  const isOwn = hasWindow(query);
  const isNone = facts.length === 0 && !isOwn;
  const window = isOwn || isNone ? undefined : await windowOf(question, operand, facts);
  const sent =
    window === undefined ? query : withWindow(query, windowText(window.ends, window.step));
  const values = isNone || (window === undefined && !isOwn) ? [] : await valuesOf(sent, signal);
  const { range, now } = question;
  const ends = window?.ends ??
    shownOf(spanOf(values), range) ??
    endsOf(range, now) ?? { from: now - 3600, to: now };
  const step = window?.step;
  if (values.length === 0) {
    const newest = isNone || isOwn ? [] : await valuesOf(withWindow(operand, NEWEST), signal);
    const last = newest.reduce((most, { time }) => Math.max(most, time), 0);
    return {
      sent,
      ends,
      step,
      lines: [],
      units: new Map(),
      changes: [],
      leftOut: 0,
      values: 0,
      newest: last === 0 ? undefined : last,
      facts,
    };
  }
  const shaped = await shapeOf(values, question, { facts, step });
  return { sent, ends, step, ...shaped, values: values.length, newest: undefined, facts };
}

type Shape = Pick<PastAnswer, "lines" | "units" | "changes" | "leftOut">;

/** Lines, units and changes of values. */
async function shapeOf(
  values: readonly PastValue[],
  { query, signal }: PastQuestion,
  { facts, step }: { readonly facts: readonly SeriesFacts[]; readonly step: number | undefined },
): Promise<Shape> {
  const raw = linesOf(values);
  const known = new Map(facts.map((each) => [each.id, each]));
  const made = [...new Set(raw.map(({ series }) => series))].filter((id) => !known.has(id));
  const results = new Map(
    (await askFacts(made.slice(0, SERIES_MOST), signal)).map((each) => [each.id, each]),
  );
  const owners = new Map(
    facts.flatMap((each) => [...each.instances.keys()].map((id) => [id, each] as const)),
  );
  const ownerOf = (line: PastLine): SeriesFacts | undefined =>
    known.get(line.series) ??
    owners.get(line.instance) ??
    known.get(line.instance) ??
    (facts.length === 1 ? facts[0] : results.get(line.series));
  const isCounter = isRate(query);
  const unit = (line: PastLine): Unit => {
    const owner = ownerOf(line);
    const own = isCounter ? owner : (known.get(line.series) ?? results.get(line.series));
    const units = own?.units ?? "none";
    return unitOf({ type: "double", sem: isCounter ? "counter" : "instant", units });
  };
  const all = joined(named(raw, ownerOf));
  const { drawable, others } = ranked(all.map((line) => withGaps(line, step ?? 0, isCounter)));
  const lines = drawable.slice(0, LINES_MOST);
  return {
    lines,
    units: new Map(lines.map((line) => [line.name, unit(line)])),
    changes: changesOf([...drawable, ...others]).slice(0, CHANGES_MOST),
    leftOut: drawable.length - lines.length,
  };
}
