// Goal: a process that loads may be killed at any moment: what is there is part of what an undisturbed load
// leaves, nothing twice and nothing wrong, and loading again makes it whole. The same where the key server
// is killed, with what it had saved, and where it has no room for a while.
import { expect, setDefaultTimeout, test } from "bun:test";
import { statSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { keyStore, loadArchive, useKeyServer } from "../../lib/keyserver/mod.ts";
import { at, desc, indom, makeArchive } from "../extract/archive-maker.ts";
import { seeded } from "../fuzz/random.ts";
import { describePeer } from "../helpers/peers.ts";
import { waitUntil } from "../helpers/ports.ts";
import { must, privateFolder } from "../helpers/process.ts";
import { startCluster } from "../helpers/redis-cluster.ts";
import { faultyRedis } from "./faulty.ts";
import { dumpServer } from "./key-dump.ts";
import { thrown } from "../helpers/rejected.ts";

setDefaultTimeout(300_000);
const NOW = { sec: 1_900_000_000, nsec: 0 };
const KILLS = 50;
const RECORDS = 120;
const INSTANCES = 40;

/** Three metrics with instances, one without, changing labels left out: some 15,000 values. */
function largeArchive(): string {
  const base = join(privateFolder("faults"), "large");
  const instances = Array.from({ length: INSTANCES }, (_, inst) => [inst, `i${inst}`] as const);
  const names = ["one", "two", "three"];
  makeArchive(base, {
    version: 3,
    metadata: [
      ...names.map((name, item) => desc(`large.${name}`, `100.0.${item + 1}`, 1)),
      desc("large.plain", "100.0.9"),
      indom(0, 1, instances),
    ],
    results: Array.from({ length: RECORDS }, (_, second) => ({
      time: at(second),
      sets: [
        ...names.map(
          (_name, item) =>
            [
              `100.0.${item + 1}`,
              instances.map(([inst]) => [inst, second * 100 + inst * item] as const),
            ] as const,
        ),
        ["100.0.9", [[-1, second]]] as const,
      ],
    })),
  });
  return base;
}

/** All is gone but what the connection has set up. */
const EMPTY = [["FLUSHALL"], ["SET", "pcp:version:schema", "2"]] as const;

type Streams = Readonly<Record<string, readonly unknown[]>>;

const streamsOf = (dump: Awaited<ReturnType<typeof dumpServer>>): Streams =>
  Object.fromEntries(
    Object.entries(dump)
      .filter(([key]) => key.startsWith("pcp:values:"))
      .map(([key, { value }]) => [key, value as readonly unknown[]]),
  );

/** Every stream is the beginning of a whole one. */
function expectBeginnings(part: Streams, whole: Streams): void {
  for (const [key, entries] of Object.entries(part))
    expect([key, entries]).toEqual([key, (whole[key] ?? []).slice(0, entries.length)]);
}

describePeer("redis", "a load that is broken off", () => {
  test(`by kill -9 at ${KILLS} moments`, async () => {
    const archive = largeArchive();
    const redis = await faultyRedis();
    const server = useKeyServer({ servers: [`127.0.0.1:${redis.port}`] });
    await server.ready();
    const load = () => loadArchive(server, { path: archive, metrics: [] }, { now: NOW });
    const loaded = await load();
    expect(loaded.values).toBe(RECORDS * (3 * INSTANCES + 1));
    const wanted = await redis.digest();
    const whole = await dumpServer(server);
    const child = join(import.meta.dir, "load-child.ts");
    const spawn = () => {
      const made = Bun.spawn([process.execPath, child, String(redis.port), archive], {
        stdin: "pipe",
        stdout: "pipe",
      });
      const reader = made.stdout.getReader();
      const said = async (word: string): Promise<void> => {
        const { value } = await reader.read();
        expect(Buffer.from(value ?? []).toString()).toContain(word);
      };
      return { made, said };
    };
    const begin = ({ made }: ReturnType<typeof spawn>): void => {
      made.stdin.write("go\n");
      void made.stdin.flush();
    };
    // How long it takes undisturbed, from where it begins.
    await server.run(EMPTY);
    const calm = spawn();
    await calm.said("ready");
    const from = performance.now();
    begin(calm);
    await calm.said("loaded");
    let takes = performance.now() - from;
    expect(await redis.digest()).toBe(wanted);
    const random = seeded(7);
    let broken = 0;
    let next = spawn();
    for (let kill = 0; kill < KILLS; kill++) {
      const { made, said } = next;
      await said("ready");
      await server.run(EMPTY);
      begin(next);
      await Bun.sleep((takes * random.below(1000)) / 1000);
      made.kill("SIGKILL");
      await made.exited;
      // While what this one has left is looked at, the next one starts.
      if (kill + 1 < KILLS) next = spawn();
      if ((await redis.digest()) !== wanted) broken++;
      else takes *= 0.9; // over before it was killed: the first one may have been held up
      if (kill % 10 === 0) expectBeginnings(streamsOf(await dumpServer(server)), streamsOf(whole));
      expect((await load()).values).toBe(loaded.values);
      expect([kill, await redis.digest()]).toEqual([kill, wanted]);
    }
    expect(broken).toBeGreaterThan(KILLS / 10);
    expect(await dumpServer(server)).toEqual(whole);
    await server.close();
    await redis.stop();
  }, 600_000);

  test("by the key server's end, with what it had written to its file", async () => {
    const archive = largeArchive();
    const redis = await faultyRedis(["--appendonly", "yes", "--appendfsync", "no"]);
    const server = useKeyServer({ servers: [`127.0.0.1:${redis.port}`], pauses: [50] });
    await server.ready();
    const load = (warn: (text: string) => unknown = () => undefined) =>
      loadArchive(server, { path: archive, metrics: [] }, { now: NOW, warn });
    const { values } = await load();
    const wanted = await redis.digest();
    for (const pause of [1, 5, 10, 20]) {
      await server.run(EMPTY);
      const told: string[] = [];
      const loading = load((text) => told.push(text));
      await Bun.sleep(pause);
      const { generation } = server;
      await redis.kill();
      await redis.start();
      expect((await loading).values).toBe(values);
      // A load that was over before the end of the server: what was emptied is set up by the next connection.
      expect(await waitUntil(() => server.generation > generation)).toBe(true);
      expect(await redis.digest()).toBe(wanted);
    }
    await server.close();
    await redis.stop();
  }, 300_000);

  test("for want of memory, goes on when there is room", async () => {
    const archive = largeArchive();
    const redis = await faultyRedis();
    const server = useKeyServer({ servers: [`127.0.0.1:${redis.port}`] });
    await server.ready();
    const load = () => loadArchive(server, { path: archive, metrics: [] }, { now: NOW });
    await load();
    const wanted = await redis.digest();
    const whole = streamsOf(await dumpServer(server));
    await server.run(EMPTY);
    const used = async (): Promise<number> => {
      const [info] = await server.run([["INFO", "memory"]]);
      return Number(/^used_memory:(\d+)/m.exec(String(info))?.[1]);
    };
    const empty = await used();
    for (const room of [1, 100_000, 300_000]) {
      await server.run([["CONFIG", "SET", "maxmemory", String(empty + room)]]);
      expect(await thrown(load())).toThrow("key server refuses to load: OOM");
      // What is there can be read meanwhile, and is right.
      expectBeginnings(streamsOf(await dumpServer(server)), whole);
      expect(await keyStore(server).names("metric")).toBeArray();
    }
    await server.run([["CONFIG", "SET", "maxmemory", "0"]]);
    await load();
    expect(await redis.digest()).toBe(wanted);
    await server.close();
    await redis.stop();
  }, 300_000);

  test("for want of memory on one node of a cluster, before it refuses anything", async () => {
    const archive = largeArchive();
    const cluster = await startCluster();
    const server = useKeyServer({ servers: cluster.servers });
    await server.ready();
    const load = () => loadArchive(server, { path: archive, metrics: [] }, { now: NOW });
    const [, port = ""] = cluster.servers[1]?.split(":") ?? [];
    const cli = (...command: string[]) => must(["redis-cli", "-p", port, ...command]);
    const used = Number(/^used_memory:(\d+)/m.exec(await cli("INFO", "memory"))?.[1]);
    await cli("CONFIG", "SET", "maxmemory", String(used + 300_000));
    expect(await thrown(load())).toThrow(/OOM, \d+ bytes are left of maxmemory/);
    expect(await cli("INFO", "errorstats")).not.toContain("OOM");
    await cli("CONFIG", "SET", "maxmemory", "0");
    expect((await load()).values).toBeGreaterThan(0);
    await server.close();
    await cluster.stopAll();
  }, 300_000);

  test("by an archive that is damaged on the way: what comes before is there", async () => {
    const archive = largeArchive();
    truncateSync(`${archive}.0`, statSync(`${archive}.0`).size - 5);
    const redis = await faultyRedis();
    const server = useKeyServer({ servers: [`127.0.0.1:${redis.port}`] });
    await server.ready();
    const loading = loadArchive(server, { path: archive, metrics: [] }, { now: NOW });
    expect(await thrown(loading)).toThrow("fetch failed: Corrupted record in a PCP archive");
    // All records but the last one, in each stream.
    const lengths = Object.values(streamsOf(await dumpServer(server))).map(({ length }) => length);
    expect(lengths).toEqual(lengths.map(() => RECORDS - 1));
    await server.close();
    await redis.stop();
  });
});
