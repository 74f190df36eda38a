// Goal: questions about series cost no more than their bounds: what nobody waits for stops, whether or not
// its answer has begun; a store that goes away cuts what is under way and refuses what is not; one client
// keeps no other from its answers, whatever it asks and however slowly it reads; functions hold a bounded
// number of bytes, one after the other where they are large; who waits too long is refused; loads run one at a time, and outlive their clients.
import { afterEach, expect, test } from "bun:test";
import { connect } from "node:net";
import { PcpError, PM_ERR } from "../../lib/base/mod.ts";
import { textColumn } from "../../lib/series/column.ts";
import type { SeriesId, SeriesService, SeriesStore, ValueBlock } from "../../lib/series/mod.ts";
import type { SeriesApiOptions, WebApi, WebBody, WebReply } from "../../lib/web/mod.ts";
import { memoryGrowth } from "../helpers/memory.ts";
import { waitUntil } from "../helpers/ports.ts";
import { rawClient, rawOver, serverWith, stopAll } from "../server/support.ts";
import { dumpStore } from "../series/dump-store.ts";
import { ask } from "./replay.ts";
import { apiOver, serviceOf } from "./series-support.ts";
import { thrown } from "../helpers/rejected.ts";

afterEach(stopAll);

const SERIES = "0123456789abcdef0123456789abcdef01234567";
const VALUES = `/series/values?series=${SERIES}&start=0`;
/** A query with a function: its values are gathered before any is told. */
const FUNCTION = "/series/query?expr=abs(a[start:0])";

/** One block of samples of one value. */
function block(samples: number): ValueBlock {
  return {
    request: 0,
    times: Float64Array.from({ length: samples }, (_, at) => 1e15 + at * 1e6),
    ends: Uint32Array.from({ length: samples }, (_, at) => at + 1),
    places: new Uint32Array(samples),
    instances: [SERIES],
    values: textColumn(Array.from({ length: samples }, () => "1")),
  };
}
const BLOCK = block(1000);

/** A store with one series, and what has been asked of it. */
interface Stand {
  readonly store: SeriesStore;
  /** Streams of values that were begun, and that have ended. */
  begun: number;
  ended: number;
  blocks: number;
}

const DESCRIPTOR = {
  indom: "none",
  pmid: "1.2.3",
  semantics: "instant",
  source: SERIES,
  type: "U32",
  units: "none",
};

/** A store whose values come as `each` says, until there are none. */
function standOf(each: (blocks: number) => Promise<ValueBlock | undefined>): Stand {
  async function* values(): AsyncGenerator<ValueBlock> {
    stand.begun++;
    try {
      for (let at = 0; ; at++) {
        stand.blocks++;
        const next = await each(at);
        if (next === undefined) return;
        yield next;
      }
    } finally {
      stand.ended++;
    }
  }
  const store: SeriesStore = {
    ...dumpStore([]),
    select: (leaves) => Promise.resolve(leaves.map(() => [SERIES as SeriesId])),
    descriptors: (series) => Promise.resolve(series.map(() => DESCRIPTOR)),
    values,
  };
  const stand: Stand = { store, begun: 0, ended: 0, blocks: 0 };
  return stand;
}

const later = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const endless = (): Stand =>
  standOf(async () => {
    await later();
    return BLOCK;
  });
/** A few blocks, then a failure. */
const failing = (blocks: number, error: Error): Stand =>
  standOf((at) => (at < blocks ? Promise.resolve(BLOCK) : Promise.reject(error)));

const away = new PcpError(PM_ERR.NOTCONN, "no connection to the key server: refused");

const over = (stand: Stand, more?: Partial<SeriesApiOptions>): WebApi =>
  apiOver(serviceOf(stand.store), more);

const QUIET = { requests: 0, waiting: 0, streams: 0, held: 0, loading: false };

/** Ways in which a request is answered: on the wire, by node:http, and compressed. */
const WAYS: readonly (readonly [string, string])[] = [
  ["on the wire", ""],
  ["by node:http", "Content-Length: 0\r\n"],
  ["compressed", "Accept-Encoding: gzip\r\n"],
];
const get = (path: string, headers = ""): string =>
  `GET ${path} HTTP/1.1\r\nHost: x\r\n${headers}\r\n`;

for (const [way, headers] of WAYS) {
  test(`a long answer whose client leaves ends, ${way}`, async () => {
    const stand = endless();
    const api = over(stand);
    const { port, counters } = await serverWith({}, [], { api });
    const client = await rawClient(port, get(VALUES, headers));
    await client.got(2000);
    expect(stand.begun).toBe(1);
    client.socket.resetAndDestroy();
    expect(await waitUntil(() => stand.ended === 1)).toBe(true);
    expect(api.status()).toEqual(QUIET);
    expect(counters()["faults"]).toBe(0);
  });

  test(`an answer that has not begun ends with its client, ${way}`, async () => {
    const stand = endless();
    const api = over(stand, { limits: { memory: Infinity } });
    const { port } = await serverWith({}, [], { api });
    const client = await rawClient(port, get(FUNCTION, headers));
    expect(await waitUntil(() => stand.blocks > 3)).toBe(true);
    client.socket.resetAndDestroy();
    expect(await waitUntil(() => stand.ended === 1)).toBe(true);
    expect(api.status()).toEqual(QUIET);
  });

  test(`an answer that nobody takes any more is let go, ${way}`, async () => {
    let go: () => void = () => undefined;
    const stand = standOf(async (at) => {
      if (at === 0) await new Promise<void>((resolve) => (go = resolve));
      return BLOCK;
    });
    const api = over(stand);
    const { port } = await serverWith({}, [], { api });
    const client = await rawClient(port, get(VALUES, headers));
    expect(await waitUntil(() => stand.blocks > 0)).toBe(true);
    client.socket.resetAndDestroy();
    await Bun.sleep(50);
    go();
    expect(await waitUntil(() => stand.ended === 1)).toBe(true);
    expect(api.status()).toEqual(QUIET);
  });

  test(`a store that goes away cuts the answer, ${way}`, async () => {
    const api = over(failing(5, away));
    const lines: string[] = [];
    const { port, counters } = await serverWith({}, lines, { api });
    const client = await rawClient(port, get(VALUES, headers));
    const text = await client.end();
    expect(text).toStartWith("HTTP/1.1 200 OK\r\n");
    expect(text).not.toEndWith("0\r\n\r\n");
    expect(lines.filter((line) => line.includes(`answer cut off: ${away.message}`))).toHaveLength(
      1,
    );
    expect(counters()["faults"]).toBe(0);
    expect(api.status()).toEqual(QUIET);
  });
}

test("a store that is away is told at once", async () => {
  const service: SeriesService = {
    ...serviceOf({ ...dumpStore([]), select: () => Promise.reject(away) }),
    load: () => Promise.reject(away),
  };
  const api = apiOver(service);
  const message = `{"message":"${away.message}","success":false}\r\n`;
  const wanted = { status: 503, type: "application/json", headers: {}, body: message };
  expect(await ask(api, "/series/query?expr=a")).toEqual(wanted);
  expect(await ask(api, "/series/load?expr={source.path:%22/a%22}")).toEqual(wanted);
  expect(await ask(over(failing(0, away)), VALUES)).toEqual(wanted);
});

test("a store that takes no writes answers functions all the same", async () => {
  const stand = standOf(async (at) => (at === 0 ? block(1) : undefined));
  const full = new PcpError(PM_ERR.GENERIC, "OOM command not allowed");
  const service = serviceOf({ ...stand.store, fabricate: () => Promise.reject(full) });
  const warnings: string[] = [];
  const api = apiOver(service, { warn: (text) => warnings.push(text) });
  expect((await ask(api, FUNCTION))?.body).toContain('"value":"1"}]');
  expect((await ask(api, FUNCTION))?.status).toBe(200);
  expect(warnings).toEqual(["expression of a query not kept: OOM command not allowed"]);
  // There is no other use in an identifier.
  expect((await ask(api, "/series/query?expr=abs(a)"))?.status).toBe(500);
});

test("a mistake of the store is no mistake of the client", async () => {
  const broken = new PcpError(PM_ERR.LOGREC, "a.0: damaged at 100");
  expect((await ask(over(failing(0, broken)), VALUES))?.status).toBe(500);
  const api = over(failing(1, new TypeError("a fault")));
  expect(await thrown(ask(api, VALUES))).toThrow("a fault");
  expect(api.status()).toEqual(QUIET);
});

/** Asks as a client of an address. */
async function from(api: WebApi, peer: string, target: string): Promise<WebReply<WebBody>> {
  const [path = "", query = ""] = target.split("?");
  const reply = await api.answer({
    method: "GET",
    path,
    query,
    peer: () => peer,
    header: () => undefined,
  });
  if (reply === undefined) throw new Error(`${target}: no answer`);
  return reply;
}

/** A store whose answers wait to be let go, one by one. */
function held() {
  const waiting: (() => void)[] = [];
  const stand = standOf(async (at) => {
    if (at > 0) return undefined;
    await new Promise<void>((resolve) => waiting.push(resolve));
    return block(1);
  });
  return { stand, waiting };
}

test("one client has half of the places, and takes its turn with others", async () => {
  const { stand, waiting } = held();
  const api = over(stand, { limits: { requests: 4, waiting: 8 } });
  const done: string[] = [];
  const put = (peer: string): Promise<void> =>
    from(api, peer, VALUES).then(({ status }) => void done.push(`${peer} ${status}`));
  const all = [..."aaaaaaa"].map(put);
  await later();
  // Two at work, four wait, one finds half of the waiting room taken.
  expect(api.status()).toMatchObject({ requests: 2, waiting: 4 });
  expect(done).toEqual(["a 503"]);
  all.push(..."bbbc".split("").map(put));
  await later();
  expect(api.status()).toMatchObject({ requests: 4, waiting: 6 });
  // Places that become free go round.
  while (done.length < all.length) {
    waiting.shift()?.();
    await Bun.sleep(1);
  }
  await Promise.all(all);
  expect(done.slice(1, 7).toSorted()).toEqual([
    "a 200",
    "a 200",
    "a 200",
    "b 200",
    "b 200",
    "c 200",
  ]);
  expect(done).toHaveLength(11);
  expect(api.status()).toEqual(QUIET);
});

test("clients are told apart by their addresses", async () => {
  const { stand, waiting } = held();
  const api = over(stand, { limits: { requests: 2 } });
  const { port } = await serverWith({}, [], { api });
  const one = await rawClient(port, get(VALUES));
  const two = await rawClient(port, get(VALUES, "Content-Length: 0\r\n"));
  expect(await waitUntil(() => api.status()["waiting"] === 1)).toBe(true);
  const socket = connect({ port, host: "127.0.0.1", localAddress: "127.0.0.2" });
  const other = rawOver(socket);
  socket.write(get(VALUES, "Connection: close\r\n"));
  expect(await waitUntil(() => waiting.length === 2)).toBe(true);
  expect(api.status()).toMatchObject({ requests: 2, waiting: 1 });
  waiting[1]?.();
  expect(await other.end()).toContain('"value":"1"}]');
  waiting[0]?.();
  expect(await waitUntil(() => waiting.length === 3)).toBe(true);
  waiting[2]?.();
  for (const client of [one, two]) expect(await client.got(400)).toContain('"value":"1"}]');
});

test("who waits and goes is not worked for", async () => {
  const { stand, waiting } = held();
  const api = over(stand, { limits: { requests: 2 } });
  const first = from(api, "a", VALUES);
  let gone = false;
  const second = api.answer({
    method: "GET",
    path: "/series/values",
    query: `series=${SERIES}`,
    peer: () => "a",
    gone: () => gone,
    header: () => undefined,
  });
  gone = true;
  await later();
  waiting.shift()?.();
  await first;
  await second;
  expect(stand.begun).toBe(1);
  expect(api.status()).toEqual(QUIET);
});

test("readers that do not read take no place from others", async () => {
  const api = over(endless(), { limits: { requests: 2, streams: 4, waitMs: 50 } });
  const slow = [await from(api, "a", VALUES), await from(api, "a", VALUES)];
  expect(api.status()).toMatchObject({ requests: 0, streams: 2 });
  // Long answers are bounded by themselves.
  expect((await from(api, "a", VALUES)).status).toBe(503);
  const { body } = await from(api, "b", VALUES);
  if (typeof body === "string" || body instanceof Uint8Array) throw new Error("not streamed");
  let bytes = 0;
  for await (const piece of body) {
    bytes += piece.length;
    if (bytes > 1e6) break;
  }
  for (const reply of slow)
    if (typeof reply.body !== "string" && !(reply.body instanceof Uint8Array))
      await reply.body[Symbol.asyncIterator]().return?.();
  expect(api.status()).toEqual(QUIET);
});

test("a long answer takes no more memory than a short one", async () => {
  const stand = standOf((at) => Promise.resolve(at < 2000 ? BLOCK : undefined));
  const { body } = await from(over(stand), "a", VALUES);
  if (typeof body === "string" || body instanceof Uint8Array) throw new Error("not streamed");
  let bytes = 0;
  let before = 0;
  for await (const piece of body) {
    bytes += piece.length;
    if (before === 0 && bytes > 2e7) before = process.memoryUsage.rss();
  }
  expect(bytes).toBeGreaterThan(1e8);
  expect(await memoryGrowth(before, 100 << 20)).toBeLessThan(100 << 20);
}, 300_000);

test("long work lets others have their turn", async () => {
  // Blocks that come at once, without waiting for anything.
  const stand = standOf((at) => Promise.resolve(at < 20_000 ? block(500) : undefined));
  const api = over(stand, { limits: { memory: 10 << 20 } });
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  const reply = await from(api, "a", FUNCTION);
  clearInterval(timer);
  expect([reply.status, reply.body]).toEqual([
    400,
    '{"message":"functions of the query need more than 10 MiB of memory for their values","success":false}\r\n',
  ]);
  expect(turns).toBeGreaterThan(0);
  expect(api.status()).toEqual(QUIET);
});

/** The wanted refusal of what has waited in vain. */
const IN_VAIN = {
  status: 503,
  headers: { "Retry-After": "10" },
  body: '{"message":"too many requests: no answer could be begun in time","success":false}\r\n',
};

/** Blocks of 2,000 samples, of which each question waits for some gates; 21 bytes a value, and the same joined. */
function gated(blocks: number) {
  const gates: (() => void)[] = [];
  const stand = standOf(async (at) => {
    if (at === blocks) return undefined;
    await new Promise<void>((go) => gates.push(go));
    return block(2000);
  });
  const open = async (count: number): Promise<void> => {
    for (let left = count; left > 0; left--) {
      await waitUntil(() => gates.length > 0);
      gates.shift()?.();
    }
  };
  return { stand, open, gates };
}

test("one function at a time gathers more than its share; others begin anew after it", async () => {
  const { stand, open, gates } = gated(2);
  // A block is more than the share.
  const api = over(stand, { limits: { memory: 1 << 20, streams: 16, requests: 4 } });
  const first = from(api, "a", FUNCTION);
  await open(1);
  expect(await waitUntil(() => gates.length === 1)).toBe(true);
  const second = from(api, "b", FUNCTION);
  expect(await waitUntil(() => gates.length === 2)).toBe(true);
  const before = api.status()["held"];
  gates.pop()?.();
  // It has let go of its block and its place.
  expect(await waitUntil(() => api.status()["waiting"] === 1)).toBe(true);
  expect(api.status()).toMatchObject({ requests: 1, held: before });
  expect(stand).toMatchObject({ begun: 2, ended: 1 });
  await open(1);
  expect((await first).status).toBe(200);
  await open(2);
  expect((await second).status).toBe(200);
  expect(stand).toMatchObject({ begun: 3, ended: 3 });
});

test("what functions hold together is bounded in bytes; who waits for room is refused in time", async () => {
  const { stand, open } = gated(1);
  const api = over(stand, { limits: { memory: 150_000, streams: 16, requests: 4, waitMs: 100 } });
  const first = from(api, "a", FUNCTION);
  await open(1);
  // Its answer waits for its client, and holds its values.
  const { status, body } = await first;
  expect([status, typeof body]).toEqual([200, "object"]);
  const held = Number(api.status()["held"]);
  expect(held).toBeGreaterThan(40_000);
  const second = from(api, "b", FUNCTION);
  await open(1);
  expect(await second).toMatchObject(IN_VAIN);
  expect(api.status()).toMatchObject({ requests: 0, held });
  if (typeof body === "string" || body instanceof Uint8Array) throw new Error("not streamed");
  for await (const piece of body) expect(piece.length).toBeGreaterThan(0);
  expect(api.status()).toEqual(QUIET);
  const third = from(api, "b", FUNCTION);
  await open(1);
  expect((await third).status).toBe(200);
});

test("who waits for a place is refused in time, and let in before", async () => {
  const { stand, waiting } = held();
  const api = over(stand, { limits: { requests: 2, waitMs: 50 } });
  const first = from(api, "a", VALUES);
  expect(await from(api, "a", VALUES)).toMatchObject(IN_VAIN);
  expect(api.status()).toMatchObject({ requests: 1, waiting: 0 });
  waiting.shift()?.();
  expect((await first).status).toBe(200);
  expect(api.status()).toEqual(QUIET);
});

test("long answers wait for a place, holding nothing, and are asked anew", async () => {
  const stand = standOf(async (at) => (at < 20 ? BLOCK : undefined));
  const api = over(stand, { limits: { streams: 2, waitMs: 60_000 } });
  const first = await from(api, "a", VALUES);
  const second = from(api, "a", VALUES);
  expect(await waitUntil(() => api.status()["waiting"] === 1)).toBe(true);
  expect(api.status()).toMatchObject({ requests: 0, streams: 1 });
  expect(stand).toMatchObject({ begun: 2, ended: 1 });
  if (typeof first.body === "string" || first.body instanceof Uint8Array)
    throw new Error("not streamed");
  const text = async (pieces: AsyncIterable<Uint8Array>): Promise<string> =>
    Buffer.concat(await Array.fromAsync(pieces)).toString();
  const whole = await text(first.body);
  const { status, body } = await second;
  if (typeof body === "string" || body instanceof Uint8Array) throw new Error("not streamed");
  expect([status, await text(body)]).toEqual([200, whole]);
  expect(api.status()).toEqual(QUIET);
});

test("a question that is known to be long takes no place before it is read", async () => {
  const stand = endless();
  const api = over(stand, { limits: { streams: 2, waitMs: 50 } });
  const path = `/series/values?series=${SERIES}&count=100000000`;
  const first = await from(api, "a", path);
  expect(await from(api, "a", path)).toMatchObject(IN_VAIN);
  expect(stand.begun).toBe(1);
  if (typeof first.body === "string" || first.body instanceof Uint8Array)
    throw new Error("not streamed");
  await first.body[Symbol.asyncIterator]().return?.();
  expect(api.status()).toEqual(QUIET);
});

test("loads: one at a time, not ended by a client that leaves, told in the status", async () => {
  let finish: (values: number) => void = () => undefined;
  let aborted = false;
  const service: SeriesService = {
    ...serviceOf(dumpStore([])),
    load: (expression, signal) =>
      new Promise((resolve, reject) => {
        finish = (values) => resolve({ context: expression, records: 1, values, whole: true });
        signal?.addEventListener("abort", () => {
          aborted = true;
          reject(new Error("aborted"));
        });
      }),
  };
  const api = apiOver(service);
  const { port } = await serverWith({}, [], { api });
  const client = await rawClient(port, get("/series/load?expr=%7Bsource.path%3A%22/a%22%7D"));
  expect(await waitUntil(() => api.status()["loading"] === true)).toBe(true);
  client.socket.resetAndDestroy();
  await Bun.sleep(50);
  expect(await ask(api, "/series/load?expr=x")).toEqual({
    status: 409,
    type: "application/json",
    headers: {},
    body: '{"success":false,"message":"load in-progress"}\r\n',
  });
  finish(7);
  expect(await waitUntil(() => api.status()["loading"] === false)).toBe(true);
  expect(api.status()["lastLoad"]).toMatchObject({ context: '{source.path:"/a"}', values: 7 });

  const last = ask(api, "/series/load?expr=x&client=q");
  await later();
  await api.close();
  expect(await last).toMatchObject({
    status: 503,
    body: '{"client":"q","message":"the server stops","success":false}\r\n',
  });
  expect(aborted).toBe(true);
  expect((await ask(api, "/series/query?expr=a"))?.status).toBe(503);
});

test("long lists come in pieces that are one answer", async () => {
  const ids = Array.from({ length: 1300 }, (_, at) => at.toString(16).padStart(40, "0"));
  const api = apiOver(
    serviceOf({
      ...dumpStore([]),
      metricNames: (series) =>
        Promise.resolve(series.map((id) => (/[02468ace]$/.test(id) ? [id] : []))),
      names: () => Promise.resolve(ids),
      labelValues: (names) => Promise.resolve(names.map((name) => [`"${name}"`])),
    }),
  );
  const post = async (path: string, body: string): Promise<unknown> =>
    JSON.parse((await ask(api, path, { method: "POST", body }))?.body ?? "");
  const list = ids.join(",");
  expect(await post("/series/descs", `series=${list}`)).toHaveLength(1300);
  expect(await post("/series/metrics", `series=${list}`)).toHaveLength(650);
  expect(await post("/series/metrics", "client=a")).toEqual({ client: "a", result: ids });
  const values = await post("/series/labels", `names=${list}&client=b`);
  expect(values).toEqual({ client: "b", result: Object.fromEntries(ids.map((id) => [id, [id]])) });
  // Nothing at all has no pieces.
  const none = await ask(api, "/series/sources", {
    method: "POST",
    body: `source=${list}&client=c`,
  });
  expect(none).toMatchObject({
    type: "application/octet-stream",
    body: '{"client":"c","result":[]}\r\n',
  });
});

test("a form that comes in pieces is read whole", async () => {
  const stand = standOf(async (at) => (at === 0 ? block(2) : undefined));
  const { port } = await serverWith({}, [], { api: over(stand) });
  const body = "client=a%26b&expr=a%5Bcount%3A2%5D";
  const head =
    "POST /series/query HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" +
    `Content-Type: application/x-www-form-urlencoded\r\nContent-Length: ${body.length}\r\n\r\n`;
  const client = await rawClient(port, head + body.slice(0, 11));
  await Bun.sleep(20);
  client.socket.write(body.slice(11, 20));
  await Bun.sleep(20);
  client.socket.write(body.slice(20));
  expect(await client.end()).toContain('{"client":"a&b","result":[{"series":"0123');
});

test("answers without data are JSON for clients that ask for it", async () => {
  const api = apiOver(serviceOf(dumpStore([])));
  const headers = { accept: "application/json, text/plain, */*" };
  expect((await ask(api, "/series/query?expr=a", { headers }))?.type).toBe("application/json");
  expect((await ask(api, "/series/query?expr=a"))?.type).toBe("application/octet-stream");
});

test("without a store there is ping", async () => {
  const api = apiOver(undefined);
  expect(await ask(api, "/series/query?expr=a")).toBeUndefined();
  expect(await ask(api, "/series/pingpong")).toMatchObject({ body: '{"success":true}\r\n' });
});
