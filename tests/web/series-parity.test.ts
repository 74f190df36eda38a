// Goal: requests about given series, names, labels, sources and windows, drawn by a seed and made by an HTTP
// client with GET and POST, get from us what the real pmproxy of PCP 7 answers over the same key server:
// status, type and bytes, up to the order of hashes.
import { afterAll, beforeAll, expect } from "bun:test";
import { describePeer, havePeers, testWith } from "../helpers/peers.ts";
import { type Random, seeded } from "../fuzz/random.ts";
import { type Beside, BESIDE_PEERS, startBeside } from "./series-beside.ts";
import { sameInAnyOrder } from "./series-replay.ts";

const REQUESTS = 400;

let beside: Beside;
/** Identifiers of each kind, and some of none. */
let ids: readonly string[] = [];
let sources: readonly string[] = [];

const get = (port: number, path: string, init: RequestInit = {}): Promise<Response> =>
  // A connection each: the real one does not always go on with one.
  fetch(`http://127.0.0.1:${port}${path}`, { ...init, keepalive: false });

beforeAll(async () => {
  if (!havePeers(...BESIDE_PEERS)) return;
  beside = await startBeside();
  const { store } = beside;
  const [series = []] = await store.select([
    { map: { kind: "metric" }, choice: { kind: "glob", pattern: "*", fits: () => true } },
  ]);
  const instances = (await store.instances(series)).flat();
  ids = [...series, ...instances.slice(0, 20).map(({ id }) => id), "f".repeat(40), "0".repeat(40)];
  sources = [...new Set(instances.map(({ source }) => source)), "1".repeat(40)];
}, 300_000);
afterAll(() => beside?.stop());

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

describePeer(BESIDE_PEERS, "over one key server", () => {
  testWith(
    BESIDE_PEERS,
    "random requests",
    async () => {
      const random = seeded(Number(process.env["SERIES_SEED"] ?? 2026));
      for (let at = 0; at < REQUESTS; at++) {
        const [path, text] = draw(random);
        const isPost = text !== "" && random.below(3) === 0;
        const json = random.below(5) === 0;
        const wanted = await answer(beside.real, path, text, isPost, json);
        const got = await answer(beside.ours, path, text, isPost, json);
        const place = `${isPost ? "POST" : "GET"} ${path}?${text}${json ? " as JSON" : ""}`;
        if (sameInAnyOrder(got.body, wanted.body)) got.body = wanted.body;
        expect([place, got]).toEqual([place, wanted]);
      }
    },
    300_000,
  );
});
