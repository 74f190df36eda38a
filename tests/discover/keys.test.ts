// Goal: discovery fills a key server as the real pmproxy does, key by key: a recorded run is repeated
// exactly. Nothing is written twice or lost when archives rotate, end, shrink, are damaged or deleted, when
// the key server goes and comes back, and when discovery itself begins again.
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  appendFileSync,
  copyFileSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { exclusions } from "../../lib/discover/exclusions.ts";
import { openKeyArchive } from "../../lib/discover/key-archive.ts";
import { keySink, type KeySinkOptions } from "../../lib/discover/key-sink.ts";
import { startDiscovery } from "../../lib/discover/discovery.ts";
import type { Discovery, DiscoveryStatus } from "../../lib/discover/types.ts";
import { writerPool } from "../../lib/discover/writers.ts";
import { type KeyServer, useKeyServer } from "../../lib/keyserver/keys.ts";
import { stringId } from "../../lib/series/ids.ts";
import { startRedis } from "../helpers/pcp6.ts";
import { describePeer } from "../helpers/peers.ts";
import { waitUntil } from "../helpers/ports.ts";
import { privateFolder } from "../helpers/process.ts";
import recorded from "../fixtures/series/grow.discovery.json";
import { dumpServer } from "../keyserver/key-dump.ts";
import { type GrowingArchive, growingArchive, START } from "./growing.ts";

// A busy machine takes long.
setDefaultTimeout(300_000);

const ARCHIVES = join(import.meta.dir, "../fixtures/series/archives");
const GROW = join(ARCHIVES, "grow");
const FIRST_BYTES = 748;
const folder = privateFolder("discover-keys");
let count = 0;
const newFolder = (): string => {
  const made = join(folder, String(count++));
  mkdirSync(made);
  return made;
};

const closers: (() => Promise<void>)[] = [];
afterAll(async () => {
  for (const close of closers.reverse()) await close();
});

async function use(): Promise<{ server: KeyServer; port: number; stop: () => Promise<void> }> {
  const { port, stop } = await startRedis();
  const server = useKeyServer({ servers: [`127.0.0.1:${port}`], pauses: [50] });
  closers.push(async () => {
    await server.close();
    await stop();
  });
  await server.ready();
  return { server, port, stop };
}

function follow(
  server: KeyServer,
  directory: string,
  options: KeySinkOptions = {},
): { discovery: Discovery; said: string[] } {
  const said: string[] = [];
  const log = (level: string, text: string) => void said.push(`${level}: ${text}`);
  const sink = keySink(server, { ...options, log });
  const discovery = startDiscovery({ directories: [directory], sink, log, leastPause: 50 });
  closers.push(() => discovery.close());
  return { discovery, said };
}

const until = async (ready: () => boolean | Promise<boolean>): Promise<void> => {
  expect(await waitUntil(ready)).toBe(true);
};
const settled = (discovery: Discovery, fits: (archives: DiscoveryStatus["archives"]) => boolean) =>
  until(() => {
    const { archives, pending } = discovery.status();
    return pending === 0 && fits(archives);
  });

/** The recorded run's keys as they are when the archive is in another directory. */
function recordedKeys(path: string): unknown {
  const theirs = "/srv/discover/grow";
  const text = JSON.stringify(recorded.keys)
    .replaceAll(theirs, path)
    .replaceAll(stringId(theirs), stringId(path));
  const keys = JSON.parse(text) as Record<string, { value: unknown; geopos?: unknown }>;
  for (const each of Object.values(keys)) {
    delete each.geopos;
    if (Array.isArray(each.value) && typeof each.value[0] === "string") each.value.sort();
  }
  return keys;
}

describePeer(["pcp6", "redis"], "the recorded run", () => {
  test("an archive that appears and grows: the same keys", async () => {
    const { server } = await use();
    const place = newFolder();
    const { discovery } = follow(server, place, { excludeMetrics: ["proc.*", "edge.u*"] });
    await until(() => discovery.status().complete);
    const volume = readFileSync(`${GROW}.0`);
    copyFileSync(`${GROW}.index`, join(place, "grow.index"));
    writeFileSync(join(place, "grow.0"), volume.subarray(0, FIRST_BYTES));
    copyFileSync(`${GROW}.meta`, join(place, "grow.meta"));
    await settled(discovery, ({ records }) => records === 1);
    appendFileSync(join(place, "grow.0"), volume.subarray(FIRST_BYTES));
    await settled(discovery, ({ records }) => records === 2);
    expect(await dumpServer(server)).toEqual(recordedKeys(join(place, "grow")) as never);
    expect(discovery.status().archives).toMatchObject({ found: 1, failed: 0, growing: 1 });
  });
});

type Stream = readonly (readonly [id: string, fields: readonly (readonly [string, string])[]])[];

/** Seconds that the stream of a metric holds, from its values and from its times, which agree. */
async function secondsOf(server: KeyServer, metric = "grow.plain"): Promise<number[]> {
  const keys = await dumpServer(server);
  const found = keys[`pcp:series:metric.name:${stringId(metric)}`]?.value;
  const [series = ""] = Array.isArray(found) ? (found as string[]) : [];
  const stream = (keys[`pcp:values:series:${series.replace("hex:", "")}`]?.value ?? []) as Stream;
  return stream.map(([id, fields]) => {
    const second = Number(id.split("-")[0]) / 1000 - START;
    for (const [, value] of fields) expect(Number(value)).toBe(second);
    return second;
  });
}

const upTo = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, at) => from + at);

function appendAll(archive: GrowingArchive, seconds: readonly number[]): void {
  for (const second of seconds) archive.append(second);
}

const becomes = (server: KeyServer, seconds: readonly number[], metric?: string) =>
  until(async () => (await secondsOf(server, metric)).join() === seconds.join());

describePeer(["redis"], "archives as they change", () => {
  const warn = (message: string): void => expect(message).toBe("");

  /** An archive with seconds 0 to 2 that is followed; second 2 was read. */
  async function begin(options: KeySinkOptions = {}) {
    const used = await use();
    const place = newFolder();
    const running = follow(used.server, place, options);
    await until(() => running.discovery.status().complete);
    const archive = growingArchive(join(place, "a"));
    appendAll(archive, [0, 1, 2]);
    await becomes(used.server, options.catchUpSeconds === undefined ? [2] : [0, 1, 2]);
    return { ...used, ...running, place, archive };
  }

  test("volumes, instances, marks, records that are written in two pieces", async () => {
    const { server, archive, discovery } = await begin();
    archive.addInstance(1, "one", 3);
    archive.append(3);
    archive.mark(4);
    archive.switchVolume();
    appendAll(archive, [5, 6]);
    await becomes(server, [2, 3, 5, 6]);
    await becomes(server, [3, 5, 6], "grow.inst");
    const record = archive.record(7);
    appendFileSync(archive.volume, record.subarray(0, 30));
    await settled(discovery, ({ growing }) => growing === 1);
    expect(await secondsOf(server)).toEqual([2, 3, 5, 6]);
    appendFileSync(archive.volume, record.subarray(30));
    await becomes(server, [2, 3, 5, 6, 7]);
  });

  test("a metadata record that is written in two pieces holds back the data behind it", async () => {
    const { server, archive } = await begin();
    const size = statSync(`${archive.base}.meta`).size;
    archive.addInstance(1, "one", 3);
    const record = readFileSync(`${archive.base}.meta`).subarray(size);
    truncateSync(`${archive.base}.meta`, size + 10);
    archive.append(3);
    await Bun.sleep(300);
    expect(await secondsOf(server)).toEqual([2]);
    appendFileSync(`${archive.base}.meta`, record.subarray(10));
    await becomes(server, [2, 3]);
    await becomes(server, [3], "grow.inst");
  });

  test("an instance without a name has its values from when the record of its domain comes", async () => {
    const { server, archive } = await begin();
    const size = statSync(`${archive.base}.meta`).size;
    archive.addInstance(1, "one", 3);
    const record = readFileSync(`${archive.base}.meta`).subarray(size);
    truncateSync(`${archive.base}.meta`, size);
    archive.append(3);
    await becomes(server, [2, 3]);
    appendFileSync(`${archive.base}.meta`, record);
    archive.append(4);
    await becomes(server, [2, 3, 4]);
    await until(async () => {
      const [instances] = await server.run([["KEYS", "pcp:inst:series:*"]]);
      return Array.isArray(instances) && instances.length === 1;
    });
  });

  test("data that come with new metadata while metadata are read wait for these", async () => {
    const { server } = await use();
    const archive = growingArchive(join(newFolder(), "a"));
    const counts = { bytes: 0, records: 0, values: 0 };
    const writers = writerPool(server);
    archive.append(0);
    const { base } = archive;
    const followed = openKeyArchive(server, writers, base, undefined, exclusions({}), {}, warn);
    let meanwhile = (): void => undefined;
    // It is asked when the size of the metadata is known, before they are read.
    const signal = Object.assign(new AbortController().signal, {
      throwIfAborted: () => meanwhile(),
    });
    const advance = () => followed.advance(new Map(), counts, () => undefined, signal);
    await advance();
    meanwhile = () => {
      meanwhile = () => undefined;
      archive.addInstance(1, "one", 1);
      archive.append(1);
    };
    await advance();
    expect(await secondsOf(server)).toEqual([0]);
    await advance();
    expect(await secondsOf(server)).toEqual([0, 1]);
    expect(await secondsOf(server, "grow.inst")).toEqual([1]);
  });

  test("rotation: a new archive goes on, the old one is compressed, renamed, deleted", async () => {
    const { server, archive, discovery, place, said } = await begin();
    const next = growingArchive(join(place, "b"));
    appendAll(next, [10, 11]);
    await becomes(server, [2, 11]);
    for (const ending of ["meta", "0"]) {
      const path = `${archive.base}.${ending}`;
      writeFileSync(`${path}.zst`, Bun.zstdCompressSync(readFileSync(path)));
      rmSync(path);
    }
    await settled(discovery, ({ found }) => found === 1);
    next.append(12);
    await becomes(server, [2, 11, 12]);
    for (const ending of ["meta", "index", "0"])
      renameSync(`${next.base}.${ending}`, join(place, `c.${ending}`));
    // Under another name it is another archive, whose last record is read again.
    await settled(discovery, ({ found, records }) => found === 1 && records === 4);
    rmSync(join(place, "c.meta"));
    await settled(discovery, ({ found }) => found === 0);
    expect(await secondsOf(server)).toEqual([2, 11, 12]);
    expect(said.filter((line) => !line.startsWith("info"))).toEqual([]);
  });

  test("data that become shorter, or are replaced, are told of and read on", async () => {
    const { server, archive, said, discovery } = await begin();
    appendAll(archive, [3, 4]);
    await becomes(server, [2, 3, 4]);
    truncateSync(archive.volume, statSync(archive.volume).size - 60);
    await settled(discovery, () => said.some((line) => line.includes("become shorter")));
    appendAll(archive, []);
    expect(await secondsOf(server)).toEqual([2, 3, 4]);
  });

  test("damage is told once; what comes before it counts", async () => {
    const { server, archive, said, discovery } = await begin();
    archive.append(3);
    const size = statSync(archive.volume).size;
    appendFileSync(archive.volume, Buffer.alloc(64, 0xff));
    await settled(discovery, ({ failed }) => failed === 1);
    expect(await secondsOf(server)).toEqual([2, 3]);
    appendFileSync(archive.volume, Buffer.alloc(64, 0xff));
    await Bun.sleep(300);
    expect(said.filter((line) => line.startsWith("error"))).toEqual([
      expect.stringContaining("a.0") as string,
    ]);
    truncateSync(archive.volume, size);
    appendAll(archive, [4]);
    await becomes(server, [2, 3, 4]);
    await settled(discovery, ({ failed }) => failed === 0);
  });

  test("a file named lock holds everything back", async () => {
    const { server, archive, place } = await begin();
    writeFileSync(join(place, "lock"), "");
    appendAll(archive, [3, 4]);
    await Bun.sleep(300);
    expect(await secondsOf(server)).toEqual([2]);
    rmSync(join(place, "lock"));
    await becomes(server, [2, 3, 4]);
  });

  test("excluded metrics and instance domains", async () => {
    const { server, archive, discovery } = await begin({
      excludeMetrics: ["grow.i*"],
      excludeIndoms: ["300.1"],
    });
    archive.addInstance(1, "one", 3);
    archive.append(3);
    await becomes(server, [2, 3]);
    expect(await secondsOf(server, "grow.inst")).toEqual([]);
    expect(discovery.status().archives.excluded).toBe(1);
    expect(() => keySink(server, { excludeIndoms: ["x"] })).toThrow('"x"');
  });

  test("catching up begins before the last record", async () => {
    const { server, archive } = await begin({ catchUpSeconds: 1e9 });
    archive.append(3);
    await becomes(server, [0, 1, 2, 3]);
  });

  test("archives of a directory in which nothing changes are not read", async () => {
    const { server } = await use();
    const place = newFolder();
    appendAll(growingArchive(join(place, "a")), [0, 1]);
    const { discovery } = follow(server, place);
    await until(() => discovery.status().complete);
    await Bun.sleep(300);
    expect(discovery.status().archives).toMatchObject({ found: 1, read: 0, records: 0 });
    discovery.nudge(join(place, "a.0"));
    await becomes(server, [1]);
  });
});

describePeer(["redis"], "begun again", () => {
  test("discovery: no value twice, none lost but those of the time between", async () => {
    const { server } = await use();
    const place = newFolder();
    const archive = growingArchive(join(place, "a"));
    let second = 0;
    const expected: number[] = [];
    for (let round = 0; round < 4; round++) {
      // Written while nobody follows: only the last of these is read.
      appendAll(archive, [second, second + 1]);
      const { discovery } = follow(server, place);
      await until(() => discovery.status().complete);
      appendAll(archive, [second + 2]);
      await until(async () => (await secondsOf(server)).at(-1) === second + 2);
      appendAll(archive, [second + 3, second + 4]);
      await until(async () => (await secondsOf(server)).at(-1) === second + 4);
      expected.push(...upTo(second + 2, second + 4));
      await discovery.close();
      second += 5;
    }
    const found = await secondsOf(server);
    expect(found).toEqual([...new Set(found)].sort((a, b) => a - b));
    expect(found).toEqual(expect.arrayContaining(expected));
  });

  test("the key server, empty: metadata are there again, values go on without a gap", async () => {
    const first = await use();
    const place = newFolder();
    const archive = growingArchive(join(place, "a"));
    const { discovery, said } = follow(first.server, place);
    await until(() => discovery.status().complete);
    archive.addInstance(1, "one", 0);
    appendAll(archive, [0, 1, 2]);
    await becomes(first.server, [2]);
    await first.stop();
    await until(() => first.server.state.kind === "down");
    appendAll(archive, upTo(3, 20));
    await Bun.sleep(300);
    appendAll(archive, upTo(21, 30));
    const { stop } = await startRedis(first.port);
    closers.push(stop);
    await first.server.ready();
    await becomes(first.server, upTo(3, 30));
    await becomes(first.server, upTo(3, 30), "grow.inst");
    archive.append(31);
    await becomes(first.server, upTo(3, 31));
    expect(said.filter((line) => !line.startsWith("info"))).toEqual([]);
  });
});

describePeer(["redis"], "a key server that takes nothing", () => {
  test("full: told once, and read on when there is room", async () => {
    const { server } = await use();
    const place = newFolder();
    const archive = growingArchive(join(place, "a"));
    const { discovery, said } = follow(server, place);
    await until(() => discovery.status().complete);
    appendAll(archive, [0, 1]);
    await becomes(server, [1]);
    await server.run([
      ["CONFIG", "SET", "maxmemory-policy", "noeviction"],
      ["CONFIG", "SET", "maxmemory", "1"],
    ]);
    archive.append(2);
    await until(() => discovery.status().problems.length === 1);
    archive.append(3);
    await Bun.sleep(300);
    expect(await secondsOf(server)).toEqual([1]);
    await server.run([["CONFIG", "SET", "maxmemory", "0"]]);
    archive.append(4);
    await becomes(server, [1, 2, 3, 4]);
    await until(() => discovery.status().problems.length === 0);
    expect(said.filter((line) => line.startsWith("error"))).toEqual([
      expect.stringContaining("key server refuses") as string,
    ]);
  });

  test("of another schema: told once, nothing is written", async () => {
    const used = await use();
    await used.server.run([["SET", "pcp:version:schema", "3"]]);
    const server = useKeyServer({ servers: [`127.0.0.1:${used.port}`] });
    closers.push(() => server.close());
    await server.ready();
    const place = newFolder();
    const { discovery, said } = follow(server, place);
    await until(() => discovery.status().complete);
    appendAll(growingArchive(join(place, "a")), [0, 1]);
    await until(() => said.some((line) => line.includes("unsupported series schema (got v3")));
    appendAll(growingArchive(join(place, "b")), [0, 1]);
    await Bun.sleep(200);
    expect(said.filter((line) => line.startsWith("error"))).toHaveLength(1);
    expect(Object.keys(await dumpServer(server))).toEqual(["pcp:version:schema"]);
  });
});

describe("without a key server", () => {
  test("discovery waits for it, and can be ended meanwhile", async () => {
    const server = useKeyServer({ servers: ["127.0.0.1:1"], pauses: [50] });
    const place = newFolder();
    const { discovery } = follow(server, place);
    await until(() => discovery.status().complete);
    appendAll(growingArchive(join(place, "a")), [0, 1]);
    await until(() => discovery.status().lastEvent !== undefined);
    await Bun.sleep(100);
    await discovery.close();
    await server.close();
    expect(discovery.status().archives).toMatchObject({ read: 0 });
  });
});
