// Goal: what a store told is told again without asking, and never once it no longer holds: a change by
// others, of all keys, by a real pmseries, or of the connection is seen, also while an answer is on its way.
// Whoever cannot be told of changes (old servers, ones that forbid it, clusters) asks each time.
import { afterAll, expect, test } from "bun:test";
import { type KeyServer, useKeyServer } from "../../lib/keyserver/keys.ts";
import { idBytes, KEYS } from "../../lib/keyserver/schema.ts";
import { keyStore } from "../../lib/keyserver/store.ts";
import { type SeriesId, stringId } from "../../lib/series/ids.ts";
import { remembered } from "../../lib/series/remembered.ts";
import type { SeriesDescriptor, SeriesStore } from "../../lib/series/store.ts";
import { pcp6, startRedis } from "../helpers/pcp6.ts";
import { startValkey } from "../helpers/pcp7.ts";
import { testWith } from "../helpers/peers.ts";
import { waitUntil } from "../helpers/ports.ts";
import { must, privateFolder } from "../helpers/process.ts";
import { startFakeServer, usualAnswer } from "../keyserver/fake-key-server.ts";
import { copyArchive, OWN_ARCHIVES } from "./loaded.ts";
import { thrown } from "../helpers/rejected.ts";

const DESCRIPTOR: SeriesDescriptor = {
  indom: "none",
  pmid: "1.2.3",
  semantics: "instant",
  source: stringId("source"),
  type: "u32",
  units: "none",
};

/** A store that notes what it is asked for, and answers when it is told to. */
function noting(answer: (id: string) => string | undefined) {
  const asked: string[] = [];
  let open: Promise<void> = Promise.resolve();
  const store = {
    descriptors: () => Promise.resolve([]),
    expressions: async (ids: readonly string[]) => {
      asked.push(ids.join());
      const answers = ids.map(answer);
      await open;
      return answers;
    },
    fabricate: () => Promise.resolve(),
  } as unknown as SeriesStore;
  const hold = (): (() => void) => {
    let go = (): void => undefined;
    open = new Promise((resolve) => (go = resolve));
    return go;
  };
  return { asked, store, hold };
}

test("what was told is told again until the stamp changes, also that there is nothing", async () => {
  let stamp: number | undefined = 1;
  let text = "one";
  const { asked, store } = noting((id) => (id === "none" ? undefined : `${text} ${id}`));
  const { expressions } = remembered(store, () => stamp);
  expect(await expressions(["a", "none"])).toEqual(["one a", undefined]);
  text = "two";
  expect(await expressions(["none", "b", "a", "b"])).toEqual([
    undefined,
    "two b",
    "one a",
    "two b",
  ]);
  expect(await expressions(["b", "none"])).toEqual(["two b", undefined]);
  expect(asked).toEqual(["a,none", "b,b"]);
  stamp = 2;
  expect(await expressions(["a"])).toEqual(["two a"]);
  stamp = undefined;
  expect(await expressions(["a"])).toEqual(["two a"]);
  expect(await expressions(["a"])).toEqual(["two a"]);
  expect(asked.slice(2)).toEqual(["a", "a", "a"]);
});

test("what comes behind a change is told once", async () => {
  let stamp = 1;
  let text = "old";
  const { asked, store, hold } = noting(() => text);
  const { expressions, fabricate } = remembered(store, () => stamp);
  for (const change of [
    () => stamp++,
    // Another question has seen the change before.
    async () => {
      stamp++;
      await expressions([]);
    },
  ]) {
    text = "old";
    const go = hold();
    const told = expressions(["a"]);
    await change();
    text = "new";
    go();
    expect(await told).toEqual(["old"]);
    expect(await expressions(["a"])).toEqual(["new"]);
    expect(await expressions(["a"])).toEqual(["new"]);
    stamp++;
  }
  expect(asked.filter((each) => each === "a")).toHaveLength(4);
  await expressions(["a"]);
  text = "fabricated";
  await fabricate(stringId("b"), "", DESCRIPTOR);
  expect(await expressions(["a"])).toEqual(["fabricated"]);
});

test("no more is kept than there is room for", async () => {
  const large = "x".repeat(200_000);
  const { asked, store } = noting((id) => (id === "huge" ? large.repeat(2) : large));
  const { expressions } = remembered(store, () => 1);
  const ids = Array.from({ length: 200 }, (_, at) => String(at));
  for (const id of [...ids, "huge", "199", "huge", "0"]) await expressions([id]);
  expect(asked.slice(200)).toEqual(["huge", "huge", "0"]);
  // What is asked for stays, whatever passes by.
  const before = asked.length;
  for (const id of ids) await expressions([id, "0"]);
  expect(asked.slice(before).filter((each) => each.split(",").includes("0"))).toEqual([]);
});

const closers: (() => Promise<unknown>)[] = [];
afterAll(() => Promise.all(closers.map((close) => close())));

async function use(port: number): Promise<KeyServer> {
  const server = useKeyServer({ servers: [`127.0.0.1:${port}`], pauses: [50] });
  closers.push(() => server.close());
  await server.ready();
  return server;
}

/** Waits until something is so. */
async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  expect(await waitUntil(isSo)).toBe(true);
}

/** Commands that a server has answered which ask for metadata. */
async function questions(port: number): Promise<number> {
  const stats = await must(["redis-cli", "-p", String(port), "INFO", "commandstats"]);
  const calls = [...stats.matchAll(/^cmdstat_(?:hmget|hget|smembers|hgetall):calls=(\d+)/gm)];
  return calls.reduce((sum, [, count]) => sum + Number(count), 0);
}

testWith("redis", "changes by others are seen, and nothing is asked without one", async () => {
  const redis = await startRedis();
  closers.push(() => redis.stop());
  const { port } = redis;
  const cli = (...command: string[]) => must(["redis-cli", "-p", String(port), ...command]);
  const server = await use(port);
  const store = keyStore(server);
  const other = await use(port);
  const id: SeriesId = stringId("fabricated");
  const expressionOf = async () => (await store.expressions([id]))[0];
  const unitsOf = async () => (await store.descriptors([id]))[0]?.units;
  await until(() => server.stamp !== undefined);
  expect([await expressionOf(), await unitsOf()]).toEqual([undefined, undefined]);

  // Another program fabricates the series, then another one of the same name.
  await keyStore(other).fabricate(id, "a + b", DESCRIPTOR);
  await until(async () => (await expressionOf()) === "a + b");
  expect(await unitsOf()).toBe("none");
  const before = await questions(port);
  for (let turn = 0; turn < 20; turn++)
    expect([await expressionOf(), await unitsOf()]).toEqual(["a + b", "none"]);
  expect(await questions(port)).toBe(before);
  await cli("HSET", KEYS.expression(id), "query", "c");
  await until(async () => (await expressionOf()) === "c");
  await cli("HSET", KEYS.descriptor(id), "units", "byte");
  await until(async () => (await unitsOf()) === "byte");

  // What is fabricated here is seen at once.
  await store.fabricate(id, "d", { ...DESCRIPTOR, units: "count" });
  expect([await expressionOf(), await unitsOf()]).toEqual(["d", "count"]);

  // The same once more is no change, unless it was taken away. What the server tells comes in its order:
  // when these changes are seen, all before them have been.
  for (const units of ["last", "count"]) {
    await cli("HSET", KEYS.descriptor(id), "units", units);
    await until(async () => (await unitsOf()) === units);
  }
  const quiet = server.stamp;
  for (let turn = 0; turn < 3; turn++)
    await store.fabricate(id, "d", { ...DESCRIPTOR, units: "count" });
  await cli("PING");
  expect(server.stamp).toBe(quiet);
  await cli("DEL", KEYS.descriptor(id));
  await until(async () => (await unitsOf()) === undefined);
  await store.fabricate(id, "d", { ...DESCRIPTOR, units: "count" });
  expect([await expressionOf(), await unitsOf()]).toEqual(["d", "count"]);

  await cli("DEL", KEYS.expression(id));
  await until(async () => (await expressionOf()) === undefined);
  await other.run([["SADD", KEYS.metricNames(id), idBytes(stringId("name"))]]);
  await until(async () => (await store.metricNames([id]))[0]?.[0] === "");
  await cli("HSET", "pcp:map:metric.name", "x", "y");
  await other.run([["HSET", "pcp:map:metric.name", idBytes(stringId("name")), "name"]]);
  await until(async () => (await store.metricNames([id]))[0]?.[0] === "name");
  await cli("FLUSHALL");
  await until(async () => (await unitsOf()) === undefined);
  expect(await store.metricNames([id])).toEqual([[]]);

  // Nobody tells of values.
  const stamp = server.stamp;
  await cli("XADD", KEYS.values(id), "1-0", "", "1");
  await cli("HSET", KEYS.map("context.name" as never), "x", "y");
  await until(() => server.stamp !== stamp);
  expect(server.stamp).toBe((stamp ?? 0) + 1);
});

for (const [peer, start] of [
  ["redis", startRedis],
  ["valkey", startValkey],
] as const)
  testWith(
    peer,
    `databases that change places are seen, and signs of life are no change (${peer})`,
    async () => {
      const redis = await start();
      closers.push(() => redis.stop());
      const cli = (...command: string[]) =>
        must(["redis-cli", "-p", String(redis.port), ...command]);
      const server = await use(redis.port);
      const store = keyStore(server);
      const id = stringId("a");
      const expressionOf = async () => (await store.expressions([id]))[0];
      await cli("HSET", KEYS.expression(id), "query", "first");
      await until(() => server.stamp !== undefined);
      expect(await expressionOf()).toBe("first");
      const { stamp } = server;
      const beats = async (): Promise<number> =>
        Number(/^cmdstat_exec:calls=(\d+)/m.exec(await cli("INFO", "commandstats"))?.[1] ?? 0);
      await until(async () => (await beats()) > 1);
      expect(server.stamp).toBe(stamp);
      for (const wanted of [undefined, "first"]) {
        await cli("SWAPDB", "0", "1");
        await until(async () => (await expressionOf()) === wanted);
      }
    },
  );

testWith(
  "redis",
  "where a sign of life is not allowed nobody tells, and all is asked",
  async () => {
    for (const forbidden of ["watch", "multi", "exec", "ping"]) {
      const redis = await startRedis();
      closers.push(() => redis.stop());
      const cli = (...command: string[]) =>
        must(["redis-cli", "-p", String(redis.port), ...command]);
      await cli("ACL", "SETUSER", "default", `-${forbidden}`);
      const server = await use(redis.port);
      const store = keyStore(server);
      const id = stringId("a");
      await until(async () => {
        expect(await store.expressions([id])).toEqual([undefined]);
        return (await cli("INFO", "commandstats")).includes("cmdstat_hello:");
      });
      await until(async () => !(await cli("CLIENT", "LIST")).includes("resp=3"));
      await cli("HSET", KEYS.expression(id), "query", forbidden);
      expect(await store.expressions([id])).toEqual([forbidden]);
      expect(server.stamp).toBeUndefined();
    }
  },
);

testWith("redis", "without the connection everything is asked, and then not again", async () => {
  const redis = await startRedis();
  closers.push(() => redis.stop());
  const cli = (...command: string[]) => must(["redis-cli", "-p", String(redis.port), ...command]);
  const server = await use(redis.port);
  const store = keyStore(server);
  const id = stringId("a");
  await until(() => server.stamp !== undefined);
  expect(await store.expressions([id])).toEqual([undefined]);
  const lines = (await cli("CLIENT", "LIST")).split("\n");
  const [, client = ""] =
    /^id=(\d+)/.exec(lines.find((line) => line.includes("resp=3")) ?? "") ?? [];
  await cli("CLIENT", "KILL", "ID", client);
  await until(() => server.stamp === undefined);
  expect(server.state.kind).toBe("up");
  await cli("HSET", KEYS.expression(id), "query", "seen");
  expect(await store.expressions([id])).toEqual(["seen"]);

  // The whole server goes and comes again, without anything in it.
  const { port } = redis;
  await redis.stop();
  await until(() => server.state.kind === "down");
  expect(server.stamp).toBeUndefined();
  expect(await thrown(store.expressions([id]))).toThrow("no connection to the key server");
  const again = await startRedis(port);
  closers.push(() => again.stop());
  await server.ready();
  await until(() => server.stamp !== undefined);
  expect(await store.expressions([id])).toEqual([undefined]);
});

testWith("redis", "a load by the real pmseries is seen", async () => {
  const redis = await startRedis();
  closers.push(() => redis.stop());
  const server = await use(redis.port);
  const store = keyStore(server);
  await until(() => server.stamp !== undefined);
  const [archive = ""] = OWN_ARCHIVES;
  const load = (base: string) =>
    must(pcp6.command(["pmseries", "-h", "127.0.0.1", "-p", String(redis.port), "--load", base]));
  await load(copyArchive(archive, privateFolder("remembered")));
  const everything = async (from: SeriesStore, ids: readonly string[]) => ({
    descriptors: await from.descriptors(ids),
    names: await from.metricNames(ids),
    instances: await from.instances(ids),
    labels: await from.labels(ids),
  });
  const fits = (): boolean => true;
  const [all = []] = await store.select([
    { map: { kind: "metric" }, choice: { kind: "glob", pattern: "*", fits } },
  ]);
  expect(all).not.toEqual([]);
  const loaded = await everything(store, all);
  expect(loaded.descriptors).not.toContain(undefined);
  await must(["redis-cli", "-p", String(redis.port), "FLUSHALL"]);
  await until(async () => (await store.descriptors(all)).every((each) => each === undefined));
  await load(copyArchive(archive, privateFolder("remembered")));
  expect(await everything(store, all)).toEqual(loaded);
  expect(await everything(store, all)).toEqual(loaded);
});

test("a server that cannot tell of changes is asked each time, and only once to tell", async () => {
  for (const refused of ["HELLO", "CLIENT TRACKING"]) {
    const fake = startFakeServer((command) => {
      if (command.startsWith(refused)) return "-NOPERM this user has no permissions\r\n";
      if (command.startsWith("HELLO")) return "%1\r\n+proto\r\n:3\r\n";
      if (command.startsWith("HGET ")) return "$4\r\ntext\r\n";
      return usualAnswer(command);
    });
    const server = await use(fake.port);
    const store = keyStore(server);
    for (let turn = 0; turn < 20; turn++) {
      expect(await store.expressions([stringId("a")])).toEqual(["text"]);
      await Bun.sleep(5);
    }
    expect(server.stamp).toBeUndefined();
    expect(fake.commands.filter((command) => command.startsWith("HGET "))).toHaveLength(20);
    expect(fake.commands.filter((command) => command.startsWith(refused))).toHaveLength(1);
    await server.close();
    fake.stop();
  }
});
