// Goal: recorded REST requests, answered over a dump of the key server, have the recorded bytes (up to the
// order of hashes): identifiers, values, descriptors, names, instances, labels, sources, messages.
import { expect, test } from "bun:test";
import { UTC } from "../../lib/pcp/mod.ts";
import {
  allNames,
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
  namesJson,
  namesOfSeries,
  ownedNamesJson,
  parseQuery,
  problemJson,
  problemOf,
  quoted,
  readWindow,
  type SeriesBlock,
  type SeriesStore,
  valuesInWindow,
  valuesJson,
  type WindowTexts,
} from "../../lib/series/mod.ts";
import edgeDump from "../fixtures/series/edge.dump-7.2.1.json";
import tailDump from "../fixtures/series/omnibus_tail.dump-7.2.1.json";
import edgeRequests from "../fixtures/series/queries-edge.json";
import restRequests from "../fixtures/series/queries-rest.json";
import zeroDump from "../fixtures/series/zero_disk_activity.dump-7.2.1.json";
import { type Dump, dumpStore } from "./dump-store.ts";

interface Reply {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}
interface Recorded {
  readonly method: string;
  readonly path: string;
  readonly body?: string;
  readonly compare: string;
  readonly result?: Reply;
  readonly "7.2.1"?: Reply;
}

const options: LookupOptions = { now: { sec: 1_800_000_000, nsec: 0 }, zone: UTC };

async function valuesAnswer(
  values: AsyncIterable<SeriesBlock>,
  form: JsonForm,
): Promise<JsonAnswer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of valuesJson(values, form)) pieces.push(piece);
  if (pieces.length === 0) return namesJson([], form);
  return { body: Buffer.concat(pieces).toString(), hasData: true };
}

function windowTexts(query: URLSearchParams): WindowTexts {
  const names = {
    count: ["samples", "count"],
    interval: ["interval", "delta"],
    start: ["start", "begin"],
    finish: ["finish", "end"],
    range: ["range"],
    align: ["align"],
    offset: ["offset"],
    zone: ["zone"],
  };
  return Object.fromEntries(
    Object.entries(names).flatMap(([key, list]) => {
      const name = list.find((each) => query.has(each));
      return name === undefined ? [] : [[key, query.get(name)]];
    }),
  );
}

/** Answers one request; undefined for one that is about HTTP, loading or searching. */
async function answer(
  store: SeriesStore,
  path: string,
  query: URLSearchParams,
): Promise<JsonAnswer | undefined> {
  const form: JsonForm = { quoting: "pcp", client: query.get("client") ?? undefined };
  const ids = (query.get("series") ?? query.get("source"))?.split(",");
  const glob = query.get("match") ?? undefined;
  switch (path) {
    case "/series/query": {
      const expression = query.get("expr");
      if (!expression) return undefined;
      const result = await evaluateQuery(store, parseQuery(expression, options), options);
      return result.values === undefined
        ? namesJson(result.ids, form)
        : valuesAnswer(result.values, form);
    }
    case "/series/values": {
      if (ids === undefined || ids[0] === "") return undefined;
      const window = readWindow(windowTexts(query), options);
      return valuesAnswer(valuesInWindow(store, ids, window, options), form);
    }
    case "/series/descs":
      if (ids === undefined || ids[0] === "") return undefined;
      return descriptorsJson(ids, await describeSeries(store, ids), form);
    case "/series/metrics":
      if (ids === undefined) return namesJson(await allNames(store, "metric", glob), form);
      return ownedNamesJson("series", ids, await namesOfSeries(store, ids), form);
    case "/series/instances":
      if (ids === undefined) return namesJson(await allNames(store, "instance", glob), form);
      return instancesJson(ids, await instancesOfSeries(store, ids, options), form);
    case "/series/labels": {
      const names = (query.get("name") ?? query.get("names"))?.split(",");
      if (names?.[0] === "") return undefined;
      if (names !== undefined) return labelValuesJson(names, await store.labelValues(names), form);
      if (ids === undefined) return namesJson(await allNames(store, "label", glob), form);
      return labelsJson(ids, await labelsOfSeries(store, ids), form);
    }
    case "/series/sources":
      if (ids === undefined && glob === undefined) return undefined;
      if (ids === undefined) return namesJson(await allNames(store, "context", glob), form);
      return ownedNamesJson("source", ids, await store.sources(ids), form);
    default:
      return undefined;
  }
}

/** What two answers have in common whose order is that of a hash. */
const inAnyOrder = (body: string): string[] => [...body].toSorted();

async function replay(store: SeriesStore, all: readonly Recorded[]): Promise<number> {
  let taken = 0;
  for (const { method, path, body, compare, result, "7.2.1": current } of all) {
    const wanted = result ?? current;
    const [name = "", search = ""] = path.split(/\?(.*)/s);
    const query = new URLSearchParams(method === "POST" ? (body ?? "") : search);
    if (wanted === undefined || wanted.type === "text/html") continue;
    const place = (text: unknown): unknown => ({ path, text });
    try {
      const got = await answer(store, name, query);
      if (got === undefined) continue;
      taken++;
      const type = got.hasData ? "application/json" : "application/octet-stream";
      expect(place([200, type])).toEqual(place([wanted.status, wanted.type]));
      const isFree = compare !== "json" || name === "/series/labels";
      if (isFree) expect(place(inAnyOrder(got.body))).toEqual(place(inAnyOrder(wanted.body)));
      else expect(place(got.body)).toEqual(place(wanted.body));
    } catch (error) {
      const problem = problemOf(error);
      if (problem === undefined) throw error;
      taken++;
      const text = problemJson(problem.message, { quoting: "pcp" });
      expect(place([400, text])).toEqual(place([wanted.status, wanted.body]));
    }
  }
  return taken;
}

test("requests over two archives", async () => {
  const store = dumpStore([zeroDump as unknown as Dump, tailDump as unknown as Dump]);
  // The recorded server had answered the recorded command lines before.
  await evaluateQuery(store, parseQuery("max(sample.colour)", options), options);
  expect(await replay(store, restRequests.queries as unknown as readonly Recorded[])).toBe(68);
});

test("requests over awkward names, labels and values", async () => {
  const store = dumpStore([edgeDump as unknown as Dump]);
  const all = edgeRequests.requests as unknown as readonly Recorded[];
  expect(await replay(store, all)).toBe(all.length);
});

test("texts between quotes", () => {
  const text = 'a"b\\c\n\t\u0007\u0001ü\u007f';
  expect(quoted(text, "pcp")).toBe('"a\\"b\\\\c\\n\\t\\a\\x01\\xc3\\xbc\\x7f"');
  expect(JSON.parse(quoted(text, "json"))).toBe(text);
});
