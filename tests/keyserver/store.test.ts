// Goal: the store over a real key server, filled from recordings of what PCP's programs had loaded, answers
// recorded command lines of pmseries as they did, reads long streams in blocks in both directions,
// finds all names of a map that is walked in pieces, and says so when the server is gone.
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { type KeyCommand, type KeyServer, useKeyServer } from "../../lib/keyserver/keys.ts";
import { idBytes, KEYS, mapName } from "../../lib/keyserver/schema.ts";
import { keyStore } from "../../lib/keyserver/store.ts";
import { columnLength, textAt } from "../../lib/series/column.ts";
import { stringId } from "../../lib/series/ids.ts";
import { BLOCK_VALUES, type SeriesStore, type ValuesRequest } from "../../lib/series/store.ts";
import type { KeyServer as StartedServer } from "../helpers/pcp.ts";
import { startRedis } from "../helpers/pcp6.ts";
import { startValkey } from "../helpers/pcp7.ts";
import { describePeer, testWith } from "../helpers/peers.ts";
import { startCluster } from "../helpers/redis-cluster.ts";
import { fillServer } from "./key-dump.ts";
import {
  AWKWARD,
  awkwardLines,
  replay,
  TWO_ARCHIVE_LINES,
  TWO_ARCHIVES,
  twoArchiveLines,
} from "../series/recorded-lines.ts";
import { thrown } from "../helpers/rejected.ts";

// A busy machine takes long.
setDefaultTimeout(300_000);

const closers: (() => Promise<void>)[] = [];
afterAll(() => Promise.all(closers.map((close) => close())));

async function use(started: Promise<StartedServer>): Promise<KeyServer> {
  const { port, stop } = await started;
  const server = useKeyServer({ servers: [`127.0.0.1:${port}`] });
  closers.push(async () => {
    await server.close();
    await stop();
  });
  await server.ready();
  return server;
}

testWith("redis", "command lines over two archives", async () => {
  const server = await use(startRedis());
  await fillServer(server, TWO_ARCHIVES);
  expect(await replay(keyStore(server), twoArchiveLines)).toBe(TWO_ARCHIVE_LINES);
});

testWith("valkey", "command lines over awkward names, labels and values, on Valkey", async () => {
  const server = await use(startValkey());
  await fillServer(server, AWKWARD);
  expect(await replay(keyStore(server), awkwardLines)).toBe(awkwardLines.length);
});

testWith(
  "redis",
  "command lines over two archives, on a cluster",
  async () => {
    const cluster = await startCluster();
    const server = useKeyServer({ servers: cluster.servers });
    await server.ready();
    await fillServer(server, TWO_ARCHIVES);
    expect(await replay(keyStore(server), twoArchiveLines)).toBe(TWO_ARCHIVE_LINES);
    await server.close();
    await cluster.stopAll();
  },
  300_000,
);

/** All values of requests as texts, with their times and instances, and the largest block. */
async function readAll(store: SeriesStore, requests: readonly ValuesRequest[]) {
  const rows: [request: number, time: number, instance: string, text: string][] = [];
  let largest = 0;
  for await (const block of store.values(requests)) {
    largest = Math.max(largest, columnLength(block.values));
    let index = 0;
    block.times.forEach((time, at) => {
      for (; index < (block.ends[at] ?? 0); index++) {
        const instance = block.instances[block.places[index] ?? 0] ?? "";
        rows.push([block.request, time, instance, textAt(block.values, index)]);
      }
    });
  }
  return { rows, largest };
}

describePeer("redis", "values", () => {
  const SAMPLES = 1500;
  const ids = ["a", "b", "c"].map((each) => stringId(each));
  const instances = Array.from({ length: 100 }, (_, at) => stringId(`instance ${at}`));
  let store: SeriesStore;

  test("long streams come in blocks, in both directions, in the order of the requests", async () => {
    const server = await use(startRedis());
    const commands: KeyCommand[] = [];
    for (const series of ids.slice(0, 2)) {
      const some = series === ids[0] ? instances : [];
      if (some.length > 0) commands.push(["SADD", KEYS.instances(series), ...some.map(idBytes)]);
      for (let at = 0; at < SAMPLES; at++) {
        const fields = some.flatMap((id, place) => [idBytes(id), String(at * 100 + place)]);
        const own = some.length > 0 ? fields : ["", String(at)];
        // Several entries within a millisecond, so that bounds fall between them.
        const entry = `${1_700_000_000_000 + Math.floor(at / 3)}-${(at % 3) * 400}`;
        commands.push(["XADD", KEYS.values(series), entry, ...own]);
      }
    }
    await server.run(commands);
    store = keyStore(server);
    const all = ids.map((series) => ({ series, from: 0, to: Infinity }));
    const { rows, largest } = await readAll(store, all);
    expect(largest).toBeLessThanOrEqual(BLOCK_VALUES);
    expect(rows).toHaveLength(SAMPLES * 101);
    const wide = rows.filter(([request]) => request === 0);
    expect(
      wide.every(
        ([, , instance, text], at) => text === String(at) && instance === instances[at % 100],
      ),
    ).toBe(true);
    expect(
      rows.slice(wide.length).map(([request, , instance, text]) => [request, instance, text]),
    ).toEqual(Array.from({ length: SAMPLES }, (_, at) => [1, ids[1] ?? "", String(at)]));
    const newest = await readAll(store, [
      { series: ids[0] ?? "", from: 0, to: Infinity, newest: 1000 },
    ]);
    const wanted = wide.map(([, time, , text]) => ({ time, text })).reverse();
    const times = newest.rows.map(([, time]) => time);
    expect(newest.rows).toHaveLength(100_000);
    expect(times).toEqual(wanted.slice(0, 100_000).map(({ time }) => time));
    expect(newest.largest).toBeLessThanOrEqual(BLOCK_VALUES);
  });

  test("bounds are inclusive, and few are enough", async () => {
    const series = ids[1] ?? "";
    const base = 1_700_000_000_000_000;
    const read = async (request: Omit<ValuesRequest, "series">): Promise<number[]> =>
      (await readAll(store, [{ series, ...request }])).rows.map(([, , , text]) => Number(text));
    expect(await read({ from: base + 400, to: base + 1000 })).toEqual([1, 2, 3]);
    expect(await read({ from: base + 401, to: base + 999 })).toEqual([2]);
    expect(await read({ from: base + 400, to: Infinity, most: 2 })).toEqual([1, 2]);
    expect(await read({ from: base, to: base + 1000, newest: 2 })).toEqual([3, 2]);
    expect(await read({ from: base + 800, to: base + 800, newest: 9 })).toEqual([2]);
  });

  test("nobody has to read to the end", async () => {
    for await (const block of store.values([{ series: ids[0] ?? "", from: 0, to: Infinity }])) {
      expect(block.request).toBe(0);
      break;
    }
    expect(await store.expressions([ids[0] ?? ""])).toEqual([undefined]);
  });
});

testWith("redis", "a map that is walked in pieces is seen whole", async () => {
  const server = await use(startRedis());
  const map = mapName({ kind: "label", label: "many" });
  const commands = Array.from({ length: 2000 }, (_, at): KeyCommand[] => {
    const value = stringId(`"${at}"`);
    const series = idBytes(stringId(`series ${at}`));
    return [
      ["HSET", KEYS.map(map), idBytes(value), `"${at}"`],
      ["SADD", KEYS.seriesOf(map, value), series],
    ];
  });
  await server.run(commands.flat());
  const store = keyStore(server, { cursorCount: 7 });
  const leaf = (fits: (entry: string) => boolean) =>
    ({
      map: { kind: "label", label: "many" },
      choice: { kind: "regex", pattern: "", fits },
    }) as const;
  const [all, few] = await store.select([leaf(() => true), leaf((entry) => entry.endsWith('7"'))]);
  expect(all).toHaveLength(2000);
  expect(few).toHaveLength(200);
  // Sorted but for what was met last.
  const first = (all ?? []).slice(0, -1);
  expect([...first].sort()).toEqual(first);
  // How large the map is, is known now: it is read at once, in the same order.
  expect(await store.select([leaf(() => true)])).toEqual([all ?? []]);
});

testWith("redis", "without the server every question is refused", async () => {
  const { port, stop } = await startRedis();
  const server = useKeyServer({ servers: [`127.0.0.1:${port}`], pauses: [10_000] });
  await server.ready();
  const store = keyStore(server);
  await server.run([["SET", KEYS.map(mapName({ kind: "metric" })), "no hash"]]);
  expect(await thrown(store.names("metric"))).toThrow("WRONGTYPE");
  await stop();
  expect(await thrown(store.names("metric"))).toThrow("no connection to the key server");
  const reading = readAll(store, [{ series: stringId("a"), from: 0, to: Infinity }]);
  expect(await thrown(reading)).toThrow("no connection to the key server");
  await server.close();
});
