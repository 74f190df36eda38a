// What each request about series asks (spec webapi.md 16, series.md 12): the parameters that it needs, and
// the questions to the store that answer it. Refuses, by PCP's messages, what the series room refuses.
import type { Instant, Zone } from "../pcp/mod.ts";
import {
  allNames,
  checkedSeries,
  describeSeries,
  descriptorsJson,
  evaluateQuery,
  instancesJson,
  instancesOfSeries,
  type JsonAnswer,
  type JsonForm,
  labelsJson,
  labelsOfSeries,
  labelValuesJson,
  type LookupOptions,
  type NameList,
  namesJson,
  namesOfSeries,
  ownedNamesJson,
  parseQuery,
  readWindow,
  type SeriesBlock,
  type SeriesStore,
  valuesInWindow,
  valuesJson,
  type WindowTexts,
} from "../series/mod.ts";
import { firstOf, listOf, type Parameters } from "./parameters.ts";
import { listed, type Pieces, type Told } from "./series-answer.ts";
import type { Work } from "./series-work.ts";

/** A question that has begun. */
export interface Question {
  readonly store: SeriesStore;
  readonly parameters: Parameters;
  readonly form: JsonForm;
  readonly work: Work;
  readonly now: Instant;
  readonly zone: Zone;
  /** Takes what is no matter of the client's. */
  readonly warn: (text: string) => void;
}

/** How it is told that a parameter is missing: with a page, or with a JSON object. */
export type Lack = "page" | "object";

/** A request about series. */
export interface SeriesRequest {
  readonly name: string;
  /** What OPTIONS tells. */
  readonly methods: readonly string[];
  /** What it lacks; undefined where everything is there. */
  readonly lacks: (parameters: Parameters, way: Way) => Lack | undefined;
  /** Answers it; none for those that are no question to the store. */
  readonly ask?: (question: Question) => Told | Promise<Told>;
}

/** Where parameters come from: a URL that is read, or posted to, or the form that is posted. */
export type Way = "read" | "posted" | "form";

/** What is missing where a parameter has no value. To POST a page tells only what its URL says in vain. */
const missing = (value: string | undefined, way: Way): Lack | undefined => {
  if (value !== undefined && value !== "") return undefined;
  return way === "form" || (way === "posted" && value === undefined) ? "object" : "page";
};

const READ = ["GET", "HEAD", "TRACE", "OPTIONS"];
const READ_AND_POST = ["GET", "HEAD", "POST", "TRACE", "OPTIONS"];

const optionsOf = ({ now, zone, work }: Question): LookupOptions => ({
  now,
  zone,
  room: work,
});

const valuesTold = (blocks: AsyncIterable<SeriesBlock>, form: JsonForm): Pieces => ({
  pieces: valuesJson(blocks, form),
  empty: namesJson([], form),
});

async function query(question: Question): Promise<Told> {
  const { store, parameters, form } = question;
  const options = optionsOf(question);
  const parsed = parseQuery(parameters.get("expr") ?? "", options);
  const { ids, values, problem, unkept } = await evaluateQuery(store, parsed, options);
  if (problem !== undefined) throw problem;
  if (unkept !== undefined) question.warn(`expression of a query not kept: ${unkept.message}`);
  return values === undefined ? listed(ids, form, namesJson) : valuesTold(values, form);
}

/** Parameters of a window; of two synonyms the first counts. */
const WINDOW: readonly (readonly [keyof WindowTexts, ...string[]])[] = [
  ["count", "samples", "count"],
  ["interval", "interval", "delta"],
  ["start", "start", "begin"],
  ["finish", "finish", "end"],
  ["range", "range"],
  ["align", "align"],
  ["offset", "offset"],
  ["zone", "zone"],
];

const windowOf = (parameters: Parameters): WindowTexts =>
  Object.fromEntries(
    WINDOW.flatMap(([key, ...names]) => {
      const text = firstOf(parameters, ...names);
      return text === undefined ? [] : [[key, text]];
    }),
  );

function values(question: Question): Told {
  const { store, parameters, form } = question;
  const options = optionsOf(question);
  const ids = listOf(parameters.get("series") ?? "");
  for (const id of ids) checkedSeries(id);
  const window = readWindow(windowOf(parameters), options);
  return valuesTold(valuesInWindow(store, ids, window, options), form);
}

/** All names of a kind, or those that a pattern fits. */
const names = async ({ store, parameters, form }: Question, list: NameList): Promise<Told> =>
  listed(await allNames(store, list, parameters.get("match")), form, namesJson);

/** What is told about some of the things that a parameter lists. */
type Teller = (question: Question, list: readonly string[], form: JsonForm) => Promise<JsonAnswer>;

const told = (question: Question, text: string, tell: Teller): Told | Promise<Told> =>
  listed(listOf(text), question.form, (batch, form) => tell(question, batch, form));

const tellLabels: Teller = async ({ store }, ids, form) =>
  labelsJson(ids, await labelsOfSeries(store, ids), form);

const tellLabelValues: Teller = async ({ store }, list, form) =>
  labelValuesJson(list, await store.labelValues(list), form);

const tellDescriptors: Teller = async ({ store }, ids, form) =>
  descriptorsJson(ids, await describeSeries(store, ids), form);

const tellMetrics: Teller = async ({ store }, ids, form) =>
  ownedNamesJson("series", ids, await namesOfSeries(store, ids), form);

const tellSources: Teller = async ({ store }, ids, form) =>
  ownedNamesJson("source", ids, await store.sources(ids), form);

const tellInstances: Teller = async (question, ids, form) =>
  instancesJson(ids, await instancesOfSeries(question.store, ids, optionsOf(question)), form);

/** A request about things that the parameter `key` lists, or about all names. */
const lookup = (
  name: string,
  key: "series" | "source",
  list: NameList,
  tell: Teller,
): SeriesRequest & Required<Pick<SeriesRequest, "ask">> => ({
  name,
  methods: READ_AND_POST,
  lacks: (parameters, way) => missing(parameters.get(key) ?? "any", way),
  ask: (question) => {
    const ids = question.parameters.get(key);
    return ids === undefined ? names(question, list) : told(question, ids, tell);
  },
});

/** Those that have more to them. */
const labels = lookup("labels", "series", "label", tellLabels);
const sources = lookup("sources", "source", "context", tellSources);

const lacksExpression = (parameters: Parameters, way: Way): Lack | undefined =>
  missing(parameters.get("expr"), way);

/** All requests, found by the beginning of their name (spec webapi.md 1); none begins with another. */
export const SERIES_REQUESTS: readonly SeriesRequest[] = [
  { name: "query", methods: READ_AND_POST, lacks: lacksExpression, ask: query },
  {
    name: "values",
    methods: READ_AND_POST,
    lacks: (parameters, way) => {
      const series = parameters.get("series");
      return series === undefined ? "object" : missing(series, way);
    },
    ask: values,
  },
  {
    name: "descs",
    methods: READ_AND_POST,
    lacks: (parameters, way) => missing(parameters.get("series"), way),
    ask: (question) => told(question, question.parameters.get("series") ?? "", tellDescriptors),
  },
  {
    ...labels,
    lacks: (parameters, way) =>
      missing(firstOf(parameters, "name", "names") ?? "any", way) ?? labels.lacks(parameters, way),
    ask: (question) => {
      const wanted = firstOf(question.parameters, "name", "names");
      if (wanted === undefined) return labels.ask(question);
      // A name is a member of the answer, which it can be only once.
      const once = [...new Set(listOf(wanted))].join(",");
      return told(question, once, tellLabelValues);
    },
  },
  lookup("metrics", "series", "metric", tellMetrics),
  lookup("instances", "series", "instance", tellInstances),
  {
    ...sources,
    lacks: (parameters, way) =>
      parameters.size === 0 && way === "read" ? "page" : sources.lacks(parameters, way),
  },
  { name: "load", methods: READ_AND_POST, lacks: lacksExpression },
  { name: "ping", methods: READ, lacks: () => undefined },
];
