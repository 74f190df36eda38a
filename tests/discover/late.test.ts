// Goal: nothing is lost by lateness: values that are written before the metadata of their metrics, while a
// record of metadata is incomplete, while an archive waits for its first look, or in archives that follow each
// other, all come to the key server.
import { afterAll, expect, setDefaultTimeout } from "bun:test";
import {
  mkdirSync,
  readFileSync,
  renameSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { startDiscovery } from "../../lib/discover/discovery.ts";
import { keySink } from "../../lib/discover/key-sink.ts";
import { useKeyServer } from "../../lib/keyserver/keys.ts";
import { loadArchive } from "../../lib/keyserver/load.ts";
import { stringId } from "../../lib/series/ids.ts";
import { startRedis } from "../helpers/pcp6.ts";
import { testWith } from "../helpers/peers.ts";
import { waitUntil } from "../helpers/ports.ts";
import { privateFolder } from "../helpers/process.ts";
import { dumpServer } from "../keyserver/key-dump.ts";
import { renamedArchive } from "../series/odd-archives.ts";
import { growingArchive, START } from "./growing.ts";

const AFTER = { sec: 1_900_000_000, nsec: 0 };

// A busy machine takes long.
setDefaultTimeout(300_000);

const folder = privateFolder("discover-late");
const closers: (() => Promise<void>)[] = [];
afterAll(async () => {
  for (const close of closers.reverse()) await close();
});

/** A directory that is followed, and what the key server has of a metric. */
async function begin(name: string) {
  const place = join(folder, name);
  mkdirSync(place);
  const redis = await startRedis();
  const server = useKeyServer({ servers: [`127.0.0.1:${redis.port}`] });
  closers.push(async () => {
    await server.close();
    await redis.stop();
  });
  await server.ready();
  const sink = keySink(server);
  const { signal } = new AbortController();
  const discovery = startDiscovery({ directories: [place], sink, leastPause: 50 });
  closers.push(() => discovery.close());
  expect(await waitUntil(() => discovery.status().complete)).toBe(true);
  const seconds = async (): Promise<number[]> => {
    const keys = await dumpServer(server);
    const found = keys[`pcp:series:metric.name:${stringId("grow.plain")}`]?.value;
    const [series = ""] = Array.isArray(found) ? (found as string[]) : [];
    const stream = keys[`pcp:values:series:${series.replace("hex:", "")}`]?.value ?? [];
    return (stream as [string, unknown][]).map(([id]) => Number(id.split("-")[0]) / 1000 - START);
  };
  const everything = keySink(server, { catchUpSeconds: 1e9 });
  return {
    place,
    server,
    /** The same, with all that its archives have. */
    visitAll: (other: string): Promise<void> => everything.visit(other, signal),
    /** A directory that nobody else tells of, with what is in it. */
    visit: (other: string): Promise<void> => sink.visit(other, signal),
    records: (count: number): Promise<boolean> =>
      waitUntil(() => discovery.status().archives.records === count),
    /** An archive was opened: its source is there. */
    opened: (): Promise<boolean> =>
      waitUntil(async () => "pcp:map:context.name" in (await dumpServer(server))),
    become: async (wanted: readonly number[]): Promise<void> => {
      await waitUntil(async () => (await seconds()).length >= wanted.length);
      expect(await seconds()).toEqual([...wanted]);
    },
  };
}

/** Parts of an archive that is made elsewhere, to be put into the directory. */
function prepared(place: string) {
  const work = `${place}.work`;
  mkdirSync(work);
  return growingArchive(join(work, "a"));
}

testWith(["redis"], "metadata of a metric that come after its values", async () => {
  const { place, become, records } = await begin("metadata");
  const archive = growingArchive(join(place, "a"));
  const [plain, inst] = archive.metaRecords;
  if (plain === undefined || inst === undefined) throw new Error("no metadata");
  const meta = `${archive.base}.meta`;
  const label = readFileSync(meta).subarray(0, -(plain.length + inst.length));
  writeFileSync(meta, Buffer.concat([label, inst]));
  archive.append(0);
  expect(await records(1)).toBe(true);
  for (const second of [1, 2, 3]) archive.append(second);
  expect(await records(4)).toBe(true);
  await become([]);
  writeFileSync(meta, plain, { flag: "a" });
  await become([0, 1, 2, 3]);
  archive.append(4);
  await become([0, 1, 2, 3, 4]);
});

testWith(["redis"], "records that come while a record of metadata is incomplete", async () => {
  const { place, become, opened } = await begin("incomplete");
  const archive = prepared(place);
  const end = readFileSync(`${archive.base}.meta`).length;
  archive.addInstance(1, "one", 0);
  const whole = readFileSync(`${archive.base}.meta`);
  truncateSync(`${archive.base}.meta`, end + 10);
  archive.append(0);
  for (const ending of ["index", "0", "meta"])
    renameSync(`${archive.base}.${ending}`, join(place, `a.${ending}`));
  expect(await opened()).toBe(true);
  await become([]);
  for (const second of [1, 2])
    writeFileSync(join(place, "a.0"), archive.record(second), { flag: "a" });
  writeFileSync(join(place, "a.meta"), whole.subarray(end + 10), { flag: "a" });
  await become([0, 1, 2]);
});

testWith(["redis"], "records of an archive that is new, before its first look", async () => {
  const { place, become } = await begin("new");
  const now = Math.floor(Date.now() / 1000) - START;
  const archive = prepared(place);
  // What is older than the last look is passed over, as what was there before.
  for (const second of [now - 1000, now - 999, now, now + 1, now + 2]) archive.append(second);
  for (const ending of ["index", "0", "meta"])
    renameSync(`${archive.base}.${ending}`, join(place, `a.${ending}`));
  await become([now, now + 1, now + 2]);
});

testWith(["redis"], "archives of one host that go on where others have ended", async () => {
  const { place, become, visit } = await begin("order");
  const other = `${place}.other`;
  mkdirSync(other);
  const now = Math.floor(Date.now() / 1000) - START;
  const seconds: number[] = [];
  for (const [at, name] of ["d", "b", "c", "a"].entries()) {
    const archive = growingArchive(join(other, name));
    for (const second of [now + 2 * at, now + 2 * at + 1]) {
      archive.append(second);
      seconds.push(second);
    }
    for (const ending of ["index", "0", "meta"])
      utimesSync(join(other, `${name}.${ending}`), START + at, START + at);
  }
  await visit(other);
  await become(seconds);
});

testWith(
  ["redis"],
  "names of instances that have changed: each at its time, as loading has them",
  async () => {
    const path = renamedArchive(folder);
    const dumps = [];
    for (const way of ["discovery", "load"]) {
      const { server, visitAll } = await begin(way);
      if (way === "load") await loadArchive(server, { path, metrics: [] }, { now: AFTER });
      else await visitAll(folder);
      dumps.push(await dumpServer(server));
    }
    expect(Object.keys(dumps[0] ?? {}).length).toBeGreaterThan(40);
    expect(dumps[0]).toEqual(dumps[1] as never);
  },
);
