// Goal: recorded REST requests about series are answered with the recorded status, type and bytes (up to
// the order of hashes) over every store: a recorded key server, a real one, and archives without one; by
// GET and by POST. Texts are JSON unless PCP's own bytes are asked for.
import { afterAll, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { UTC } from "../../lib/pcp/mod.ts";
import { openCatalogue } from "../../lib/catalogue/catalogue.ts";
import { embeddedStore } from "../../lib/catalogue/mod.ts";
import { surveyArchive } from "../../lib/catalogue/survey.ts";
import { keyStore, useKeyServer } from "../../lib/keyserver/mod.ts";
import { evaluateQuery, parseQuery, type SeriesStore } from "../../lib/series/mod.ts";
import edgeRequests from "../fixtures/series/queries-edge.json";
import restRequests from "../fixtures/series/queries-rest.json";
import { startRedis } from "../helpers/pcp6.ts";
import { skipAloud, testWith } from "../helpers/peers.ts";
import { dumpStore } from "../series/dump-store.ts";
import { fillServer } from "../keyserver/key-dump.ts";
import { AWKWARD, TWO_ARCHIVES } from "../series/recorded-lines.ts";
import { ask, type Case, play, readCases, typeOf } from "./replay.ts";
import { type RecordedRequest, replayRequests, sameInAnyOrder } from "./series-replay.ts";
import { apiOver, refusingLoad, serviceOf } from "./series-support.ts";

const closers: (() => Promise<void>)[] = [];
afterAll(async () => {
  for (const close of closers) await close();
});

const ARCHIVES = join(import.meta.dir, "../fixtures/series/archives");
const rest = restRequests.queries as unknown as readonly RecordedRequest[];
const edge = edgeRequests.requests as unknown as readonly RecordedRequest[];
const options = { now: { sec: 1_800_000_000, nsec: 0 }, zone: UTC };

const exact = (store: SeriesStore) =>
  apiOver(serviceOf(store, { load: refusingLoad }), { quoting: "pcp" });

/** The recorded server had answered the recorded command lines before. */
async function ready(store: SeriesStore): Promise<SeriesStore> {
  await evaluateQuery(store, parseQuery("max(sample.colour)", options), options);
  return store;
}

async function filled(dumps: typeof AWKWARD): Promise<SeriesStore> {
  const { port, stop } = await startRedis();
  const server = useKeyServer({ servers: [`127.0.0.1:${port}`] });
  closers.push(async () => {
    await server.close();
    await stop();
  });
  await server.ready();
  await fillServer(server, dumps);
  return keyStore(server);
}

test("requests over two archives", async () => {
  const api = exact(await ready(dumpStore(TWO_ARCHIVES)));
  expect(await replayRequests(api, rest)).toBe(rest.length);
});

test("requests over awkward names, labels and values", async () => {
  expect(await replayRequests(exact(dumpStore(AWKWARD)), edge)).toBe(edge.length);
});

testWith("redis", "the same from a key server", async () => {
  expect(await replayRequests(exact(await ready(await filled(TWO_ARCHIVES))), rest)).toBe(
    rest.length,
  );
  expect(await replayRequests(exact(await filled(AWKWARD)), edge)).toBe(edge.length);
});

/** A store over archives. */
function embedded(paths: readonly string[]): SeriesStore {
  const catalogue = openCatalogue(":memory:");
  for (const path of paths) catalogue.put(path, "as it is", surveyArchive(path));
  return embeddedStore(catalogue);
}

test("the same from an archive", async () => {
  const toTheirs = (text: string): string => text.replaceAll(ARCHIVES, "/srv/archives");
  const api = exact(embedded([join(ARCHIVES, "edge")]));
  expect(await replayRequests(api, edge, undefined, toTheirs)).toBe(edge.length);
});

test("texts are JSON", async () => {
  const api = apiOver(serviceOf(dumpStore(AWKWARD)));
  const reply = await ask(api, "/series/instances");
  expect(JSON.parse(reply?.body ?? "").toSorted()).toEqual([
    'one "quoted" inst',
    "three back\\slash",
    "zwei ü",
  ]);
  for (const { path } of edge) JSON.parse((await ask(api, path))?.body ?? "");
});

test("text that is not escaped is UTF-8", async () => {
  const api = apiOver(serviceOf(dumpStore(AWKWARD)));
  const wanted = '["h\u00f6st.example"]\r\n';
  const sent = Buffer.from("match=h\u00f6*").toString("latin1");
  for (const text of [sent, "match=h%c3%b6*"])
    expect((await ask(api, `/series/sources?${text}`))?.body).toBe(wanted);
  const post = { method: "POST", body: "match=h\u00f6*" };
  expect((await ask(api, "/series/sources", post))?.body).toBe(wanted);
});

/** Where we answer otherwise: PCP 7 names other functions and keeps all labels, loads work, nothing dies. */
const MEANT: Readonly<Record<string, string>> = {
  "values-start-bad": "Cannot parse time start with __pmtimespecParse:\\ngarbage",
  "values-start-finish-bad": "Cannot parse time start with __pmtimespecParse:\\n1580167911",
  "values-interval-bad": "Cannot parse time delta with pmParseInterval:\\nxyz",
  "labels-all": '"transient"',
  "labels-all-client": '"transient"',
  "load-archive": '{"success":true}',
  "load-post": '{"success":true}',
  "load-no-source": "found no context to load",
  "query-post-empty": '"success":false',
  "query-post-with-query-string": '"success":false',
  "query-rate-not-counter": "rate",
  "query-different-indoms": "instance domain",
};

/** Requests that came in pieces, which is nothing that the API sees. */
const IN_PIECES = new Set(["query-post-split-body", "query-post-two-pieces"]);

async function check(api: ReturnType<typeof apiOver>, one: Case): Promise<void> {
  const got = await play(api, one, new Map());
  const [want] = one.responses;
  const { id } = one;
  const meant = MEANT[id];
  if (meant !== undefined) {
    expect([id, got?.body]).toEqual([id, expect.stringContaining(meant)]);
    return;
  }
  const type = typeOf(want?.headers ?? []);
  if (got === undefined) {
    expect([id, want?.body]).toEqual([id, expect.stringContaining("no handler for URL")]);
    return;
  }
  expect([id, got.status, got.type]).toEqual([id, want?.status ?? 0, type]);
  const wanted = want?.body.replace("pmproxy/6.0.3", "pmproxy/7.2.1") ?? "";
  // Labels come in the order of a hash too.
  const isFree =
    id.startsWith("labels-") || ("reproducible" in one && one.reproducible === "order");
  if (isFree && sameInAnyOrder(got.body, wanted)) return;
  expect([id, got.body]).toEqual([id, wanted]);
}

const SUITE = "/var/lib/pcp/testsuite/archives";
const name = "requests over archives of PCP's test suite";
if (existsSync(`${SUITE}/sample-labels.index`) && existsSync(`${SUITE}/bozo-disk.index`))
  test(name, async () => {
    const api = exact(embedded([`${SUITE}/sample-labels`, `${SUITE}/bozo-disk`]));
    for (const one of readCases("series")) if (!IN_PIECES.has(one.id)) await check(api, one);
  });
else skipAloud(name, `nothing in ${SUITE}`);
