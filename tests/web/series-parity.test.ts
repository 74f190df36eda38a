// Goal: requests about given series, names, labels, sources and windows, drawn by a seed and made by an HTTP
// client with GET and POST, get from us what the real pmproxy of PCP 7 answers over the same key server:
// status, type and bytes, up to the order of hashes.
import { afterAll, beforeAll, expect } from "bun:test";
import { keyStore, useKeyServer } from "../../lib/keyserver/mod.ts";
import { startPmproxy7, startValkey } from "../helpers/pcp7.ts";
import { describePeer, havePeers, testWith } from "../helpers/peers.ts";
import { waitUntil } from "../helpers/ports.ts";
import { type Random, seeded } from "../fuzz/random.ts";
import { serverWith, stopAll } from "../server/support.ts";
import { fillServer } from "../keyserver/key-dump.ts";
import { TWO_ARCHIVES } from "../series/recorded-lines.ts";
import { sameInAnyOrder } from "./series-replay.ts";
import { apiOver, serviceOf } from "./series-support.ts";

const REQUESTS = 400;
const PEERS = ["pcp7", "valkey", "root"] as const;

const closers: (() => Promise<unknown>)[] = [];
let real = 0;
let ours = 0;
/** Identifiers of each kind, and some of none. */
let ids: readonly string[] = [];
let sources: readonly string[] = [];

const get = (port: number, path: string, init: RequestInit = {}): Promise<Response> =>
  // A connection each: the real one does not always go on with one.
  fetch(`http://127.0.0.1:${port}${path}`, { ...init, keepalive: false });

beforeAll(async () => {
  if (!havePeers(...PEERS)) return;
  const keys = await startValkey();
  const server = useKeyServer({ servers: [`127.0.0.1:${keys.port}`] });
  await server.ready();
  await fillServer(server, TWO_ARCHIVES);
  const proxy = await startPmproxy7({ keyServerPort: keys.port });
  const api = apiOver(serviceOf(keyStore(server)), { quoting: "pcp" });
  ours = (await serverWith({}, [], { api })).port;
  real = proxy.port;
  closers.push(
    stopAll,
    () => proxy.stop(),
    () => server.close(),
    () => keys.stop(),
  );
  const answered = async (): Promise<boolean> =>
    (await get(real, "/series/query?expr=disk.all.read")).ok;
  await waitUntil(answered);
  const store = keyStore(server);
  const [series = []] = await store.select([
    { map: { kind: "metric" }, choice: { kind: "glob", pattern: "*", fits: () => true } },
  ]);
  const instances = (await store.instances(series)).flat();
  ids = [...series, ...instances.slice(0, 20).map(({ id }) => id), "f".repeat(40), "0".repeat(40)];
  sources = [...new Set(instances.map(({ source }) => source)), "1".repeat(40)];
}, 300_000);
afterAll(async () => {
  for (const close of closers) await close();
});

/** Each once: of what comes twice the real one tells some things in a heap. */
const several = (random: Random, list: readonly string[], most: number): string =>
  [...new Set(Array.from({ length: 1 + random.below(most) }, () => random.pick(list)))].join(",");

const TIMES = [
  "1531404662",
  "1531404682.5",
  "2018-07-12 14:11:30",
  "1648968660",
  "-8weeks",
  "Thu Jul 12 14:11:52 2018",
];
const WINDOWS: readonly ((random: Random) => string)[] = [
  (random) => `samples=${random.below(6)}`,
  (random) => `count=${random.below(6)}`,
  (random) => `interval=${random.pick(["20", "15sec", "1min", "0.5", "3"])}`,
  (random) => `delta=${random.pick(["10", "25sec"])}`,
  (random) => `start=${encodeURIComponent(random.pick(TIMES))}`,
  (random) => `finish=${encodeURIComponent(random.pick(TIMES))}`,
  (random) => `begin=${encodeURIComponent(random.pick(TIMES))}`,
  (random) => `end=${encodeURIComponent(random.pick(TIMES))}`,
  (random) => `offset=${random.below(3)}`,
  (random) => `align=${random.pick(["1sec", "10sec"])}`,
  // Another zone would be that of all later requests to the real one.
  () => "zone=UTC",
  () => "range=2min",
];
const PATTERNS = ["*", "disk.*", "h*", "[dv]*", "?da", "nosuch", "sample.l*", "*a*"];
const NAMES = ["hostname", "groupid", "userid", "agent", "nosuch", "device_type", "indom_name"];

/** A request, as its path and its parameters. */
function draw(random: Random): readonly [path: string, parameters: string] {
  const client = random.below(4) === 0 ? [`client=${random.pick(["a", "b%22c", "1"])}`] : [];
  const path = random.pick([
    "values",
    "values",
    "descs",
    "metrics",
    "instances",
    "labels",
    "sources",
  ]);
  const match = `match=${encodeURIComponent(random.pick(PATTERNS))}`;
  const chosen = (): string => {
    if (path === "sources")
      return random.below(2) === 0 ? match : `source=${several(random, sources, 3)}`;
    const series = `series=${several(random, ids, 4)}`;
    if (path === "descs") return series;
    if (path === "values") {
      const window = Array.from({ length: random.below(4) }, () => random.pick(WINDOWS)(random));
      return [series, ...window].join("&");
    }
    const names = `names=${several(random, NAMES, 3)}`;
    return random.pick([series, series, match, "", ...(path === "labels" ? [names] : [])]);
  };
  return [`/series/${path}`, [...client, chosen()].filter((part) => part !== "").join("&")];
}

async function answer(port: number, path: string, text: string, isPost: boolean, json: boolean) {
  const headers = json ? { accept: "application/json" } : { accept: "*/*" };
  const reply = isPost
    ? await get(port, path, { method: "POST", body: text, headers })
    : await get(port, text === "" ? path : `${path}?${text}`, { headers });
  const body = Buffer.from(await reply.arrayBuffer()).toString("latin1");
  return { status: reply.status, type: reply.headers.get("content-type"), body };
}

describePeer(PEERS, "over one key server", () => {
  testWith(
    PEERS,
    "random requests",
    async () => {
      const random = seeded(Number(process.env["SERIES_SEED"] ?? 2026));
      for (let at = 0; at < REQUESTS; at++) {
        const [path, text] = draw(random);
        const isPost = text !== "" && random.below(3) === 0;
        const json = random.below(5) === 0;
        const wanted = await answer(real, path, text, isPost, json);
        const got = await answer(ours, path, text, isPost, json);
        const place = `${isPost ? "POST" : "GET"} ${path}?${text}${json ? " as JSON" : ""}`;
        if (sameInAnyOrder(got.body, wanted.body)) got.body = wanted.body;
        expect([place, got]).toEqual([place, wanted]);
      }
    },
    300_000,
  );
});
