// Goal: the catalogue follows directories of archives by itself, in a thread or without one: archives that
// come, grow, are compressed, renamed and go, directories that come and go, archives that changed while
// nobody looked; many archives in bounded time, the newest first.
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  appendFileSync,
  copyFileSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { labelBytes } from "../../lib/archive/mod.ts";
import { catalogueSink } from "../../lib/discover/catalogue-sink.ts";
import { startDiscovery } from "../../lib/discover/discovery.ts";
import type { Discovery, DiscoveryOptions } from "../../lib/discover/types.ts";
import { type Catalogue, openCatalogue } from "../../lib/catalogue/catalogue.ts";
import { embeddedStore } from "../../lib/catalogue/store.ts";
import { waitUntil } from "../helpers/ports.ts";
import { privateFolder } from "../helpers/process.ts";
import { growingArchive, START } from "./growing.ts";

// A busy machine takes long.
setDefaultTimeout(300_000);

const ARCHIVES = join(import.meta.dir, "../fixtures/archives");
const root = privateFolder("discover-catalogue");
let count = 0;
const newFolder = (): string => {
  const made = join(root, String(count++));
  mkdirSync(made);
  return made;
};
const closers: (() => Promise<void>)[] = [];
afterAll(async () => {
  for (const close of closers.reverse()) await close();
});

const until = async (ready: () => boolean): Promise<void> => {
  expect(await waitUntil(ready)).toBe(true);
};

interface Following {
  readonly discovery: Discovery;
  readonly catalogue: Catalogue;
  readonly said: string[];
  readonly end: () => Promise<void>;
}

function follow(
  directory: string,
  file: string,
  options: Partial<DiscoveryOptions> = {},
  excludeMetrics: readonly string[] = [],
): Following {
  const catalogue = openCatalogue(file);
  const said: string[] = [];
  const log = (level: string, text: string): void => void said.push(`${level}: ${text}`);
  const sink = catalogueSink(catalogue, { log, excludeMetrics });
  const discovery = startDiscovery({
    directories: [directory],
    sink,
    log,
    leastPause: 50,
    ...options,
  });
  let ended: Promise<void> | undefined;
  const end = (): Promise<void> => {
    ended ??= discovery.close().then(catalogue.close);
    return ended;
  };
  closers.push(end);
  return { discovery, catalogue, said, end };
}

/** Archives without a problem, by their names below a directory. */
const listed = (catalogue: Catalogue, directory: string): string[] =>
  catalogue
    .archives()
    .filter(({ problem }) => problem === undefined)
    .map(({ path }) => path.slice(directory.length + 1))
    .sort();

function copyTo(folder: string, archive: string, as: string): string {
  for (const part of ["meta", "index", "0"])
    copyFileSync(join(ARCHIVES, `${archive}.${part}`), join(folder, `${as}.${part}`));
  return join(folder, as);
}

describe.each([
  ["in a thread", "file"],
  ["without a thread", ":memory:"],
])("%s", (_, kind) => {
  const place = (): { folder: string; file: string } => {
    const folder = newFolder();
    return { folder, file: kind === "file" ? `${folder}.sqlite` : kind };
  };
  const becomes = (catalogue: Catalogue, folder: string, names: readonly string[]) =>
    until(() => listed(catalogue, folder).join() === names.join());

  test("archives and directories come and go", async () => {
    const { folder, file } = place();
    copyTo(folder, "rec/v3-dyn-721", "a");
    const { discovery, catalogue, said } = follow(folder, file);
    await becomes(catalogue, folder, ["a"]);
    await until(() => discovery.status().complete);
    copyTo(folder, "rec/v2-dyn", "b");
    await becomes(catalogue, folder, ["a", "b"]);
    mkdirSync(join(folder, "host", "deep"), { recursive: true });
    copyTo(join(folder, "host", "deep"), "rec/v3-types", "c");
    await becomes(catalogue, folder, ["a", "b", "host/deep/c"]);
    mkdirSync(join(folder, ".hidden"));
    copyTo(join(folder, ".hidden"), "rec/v3-types", "d");
    for (const part of ["meta", "index", "0"])
      renameSync(join(folder, `b.${part}`), join(folder, `z.${part}`));
    await becomes(catalogue, folder, ["a", "host/deep/c", "z"]);
    renameSync(join(folder, "host"), join(folder, "other"));
    await becomes(catalogue, folder, ["a", "other/deep/c", "z"]);
    for (const part of ["meta", "0"]) {
      const path = join(folder, `a.${part}`);
      writeFileSync(`${path}.zst`, Bun.zstdCompressSync(readFileSync(path)));
      rmSync(path);
    }
    await until(() => catalogue.archives().some(({ stamp }) => stamp.includes(".meta.zst")));
    rmSync(join(folder, "other"), { recursive: true });
    await becomes(catalogue, folder, ["a", "z"]);
    await until(() => discovery.status().folders === 1);
    expect(discovery.status().problems).toEqual([]);
    expect(said.filter((line) => !line.startsWith("info"))).toEqual([]);
  });

  test("what cannot be read is told once, and is read when it can be", async () => {
    const { folder, file } = place();
    const base = copyTo(folder, "rec/v3-dyn-721", "a");
    truncateSync(`${base}.meta`, 40);
    const { discovery, catalogue, said } = follow(folder, file);
    await until(() => discovery.status().archives.failed === 1);
    const problem = expect.stringContaining(".meta") as string;
    expect(discovery.status().problems).toEqual([{ path: base, problem }]);
    utimesSync(`${base}.meta`, 1, 1);
    await until(() => discovery.status().archives.read === 2);
    copyTo(folder, "rec/v3-dyn-721", "a");
    await becomes(catalogue, folder, ["a"]);
    await until(() => discovery.status().problems.length === 0);
    expect(said.filter((line) => line.startsWith("error"))).toEqual([
      expect.stringContaining("a.meta") as string,
    ]);
  });

  test("metrics that are left out are not catalogued", async () => {
    const { folder, file } = place();
    copyTo(folder, "rec/v3-dyn-721", "a");
    const { discovery, catalogue } = follow(folder, file, {}, ["sample.s*"]);
    await until(() => discovery.status().complete && discovery.status().archives.read === 1);
    const names = await embeddedStore(catalogue).names("metric");
    expect(names.filter((name) => name.startsWith("sample.s"))).toEqual([]);
    expect(names.length).toBeGreaterThan(0);
    expect(discovery.status().archives.excluded).toBeGreaterThan(0);
  });
});

test("a catalogue that was left alone catches up, also with directories that have gone", async () => {
  const folder = newFolder();
  const file = `${folder}.sqlite`;
  copyTo(folder, "rec/v3-dyn-721", "a");
  mkdirSync(join(folder, "gone"));
  copyTo(join(folder, "gone"), "rec/v3-types", "b");
  const first = follow(folder, file);
  await until(
    () => first.discovery.status().complete && first.discovery.status().archives.read === 2,
  );
  await first.end();
  rmSync(join(folder, "gone"), { recursive: true });
  copyTo(folder, "rec/v2-dyn", "c");
  const again = follow(folder, file);
  await until(() => listed(again.catalogue, folder).join() === "a,c");
  await until(() => again.discovery.status().complete);
  expect(again.discovery.status().archives).toMatchObject({ found: 2, read: 1, failed: 0 });
});

test("a directory that is missing is waited for, and one that goes is waited for again", async () => {
  const folder = newFolder();
  const later = join(folder, "later");
  const { discovery, catalogue, said } = follow(later, ":memory:", { pollSeconds: 0.05 });
  await until(() => said.some((line) => line.includes("not there yet")));
  expect(discovery.status().directories).toEqual([{ path: later, watched: "missing" }]);
  mkdirSync(later);
  copyTo(later, "rec/v3-dyn-721", "a");
  await until(() => listed(catalogue, later).join() === "a");
  expect(discovery.status().directories).toEqual([{ path: later, watched: "inotify" }]);
  rmSync(later, { recursive: true });
  await until(() => catalogue.archives().length === 0);
  mkdirSync(later);
  copyTo(later, "rec/v2-dyn", "b");
  await until(() => listed(catalogue, later).join() === "b");
});

describe("without inotify", () => {
  const full = (): never => {
    throw Object.assign(new Error("ENOSPC: System limit for number of file watchers reached"), {
      code: "ENOSPC",
    });
  };
  test.each([
    ["refused", { watchFolder: full }],
    ["not wanted", { watching: "polling" }],
  ] as const)("%s: directories are polled", async (_, options) => {
    const folder = newFolder();
    const base = copyTo(folder, "rec/v3-dyn-721", "a");
    mkdirSync(join(folder, "sub"));
    const { discovery, catalogue, said } = follow(folder, ":memory:", {
      ...options,
      pollSeconds: 0.05,
    });
    await until(() => listed(catalogue, folder).join() === "a");
    expect(discovery.status()).toMatchObject({ folders: 2, polled: 2 });
    copyTo(join(folder, "sub"), "rec/v2-dyn", "b");
    await until(() => listed(catalogue, folder).join() === "a,sub/b");
    appendFileSync(`${base}.0`, Buffer.alloc(2));
    const [before] = catalogue.archives();
    await until(
      () => catalogue.archives().find(({ path }) => path === base)?.stamp !== before?.stamp,
    );
    const warnings = said.filter((line) => line.startsWith("warning"));
    expect(warnings).toHaveLength("watchFolder" in options ? 1 : 0);
  });
});

test("thousands of archives: bounded in descriptors, the newest first, others have their turn", async () => {
  const folder = newFolder();
  const HOSTS = 50;
  const EACH = 44;
  for (let host = 0; host < HOSTS; host++) {
    const place = join(folder, `host${host}`);
    mkdirSync(place);
    for (let each = 0; each < EACH; each++) copyTo(place, "rec/v3-types", `a${each}`);
  }
  const newest = copyTo(join(folder, "host7"), "rec/v3-dyn-721", "newest");
  utimesSync(`${newest}.meta`, new Date(), new Date(Date.now() + 60_000));
  const { discovery, catalogue } = follow(folder, `${folder}.sqlite`);
  let most = 0;
  const looks = setInterval(() => (most = Math.max(most, discovery.status().archives.waiting)), 5);
  await until(() => catalogue.archives().length > 0);
  expect(catalogue.archives()[0]?.path).toBe(newest);
  // A change is not behind the first look.
  copyTo(join(folder, "host3"), "rec/v2-dyn", "fresh");
  utimesSync(join(folder, "host3", "fresh.meta"), new Date(), new Date(Date.now() + 90_000));
  await until(() => listed(catalogue, folder).includes("host3/fresh"));
  expect(catalogue.archives().length).toBeLessThan(HOSTS * EACH);
  await until(() => discovery.status().complete);
  // The thread tells how many wait now and then, not with each archive.
  clearInterval(looks);
  expect(most).toBeGreaterThan(0);
  expect(discovery.status()).toMatchObject({
    folders: HOSTS + 1,
    archives: { found: HOSTS * EACH + 2, failed: 0, waiting: 0 },
  });
}, 300_000);

test("an archive that has no records yet is no problem; it is one when it stays so", async () => {
  const folder = newFolder();
  const base = copyTo(folder, "rec/v3-dyn-721", "a");
  copyTo(folder, "rec/v2-dyn", "b");
  const volume = readFileSync(`${base}.0`);
  rmSync(`${base}.0`);
  const { discovery, catalogue, said } = follow(folder, ":memory:");
  await until(() => listed(catalogue, folder).join() === "b");
  writeFileSync(`${base}.0`, volume.subarray(0, labelBytes(3)));
  await Bun.sleep(200);
  expect(listed(catalogue, folder)).toEqual(["b"]);
  expect(discovery.status().problems).toEqual([]);
  writeFileSync(`${base}.0`, volume);
  await until(() => listed(catalogue, folder).join() === "a,b");
  const old = copyTo(folder, "rec/v3-dyn-721", "old");
  rmSync(`${old}.0`);
  utimesSync(`${old}.meta`, 1, 1);
  await until(() => discovery.status().problems.length === 1);
  expect(said.filter((line) => line.startsWith("error"))).toHaveLength(1);
});

test("a nudge looks at a directory that was missing, and at one that nobody told of", async () => {
  const folder = newFolder();
  const later = join(folder, "later");
  const deaf = () => ({ close: () => undefined });
  const { discovery, catalogue } = follow(later, ":memory:", { watchFolder: deaf });
  await until(() => discovery.status().complete);
  mkdirSync(later);
  discovery.nudge(copyTo(later, "rec/v3-dyn-721", "a"));
  await until(() => listed(catalogue, later).join() === "a");
  mkdirSync(join(later, "host"));
  discovery.nudge(copyTo(join(later, "host"), "rec/v2-dyn", "b"));
  await until(() => listed(catalogue, later).join() === "a,host/b");
  discovery.nudge("/nowhere/of/these");
});

test("data that were appended are there for the next query, whoever looked last", async () => {
  const folder = newFolder();
  const { discovery, catalogue } = follow(folder, `${folder}.sqlite`, { leastPause: 0 });
  const store = embeddedStore(catalogue);
  const archive = growingArchive(join(folder, "a"));
  const newest = async (metric: string): Promise<number> => {
    const choice = { kind: "equal", text: metric } as const;
    const [ids = []] = await store.select([{ map: { kind: "metric" }, choice }]);
    const [series] = ids;
    if (series === undefined) return -1;
    const request = { series, from: 0, to: Number.POSITIVE_INFINITY, newest: 1 };
    for await (const { times } of store.values([request]))
      return (times.at(-1) ?? 0) / 1_000_000 - START;
    return -1;
  };
  archive.append(0);
  await until(() => listed(catalogue, folder).join() === "a");
  await until(() => discovery.status().pending === 0);
  for (let second = 1; second < 20; second++) {
    archive.append(second);
    // At once, without any event.
    expect(await newest("grow.plain")).toBe(second);
  }
  archive.addInstance(1, "one", 20);
  archive.append(20);
  expect(await waitUntil(async () => (await newest("grow.inst")) === 20)).toBe(true);
  archive.switchVolume();
  archive.append(21);
  expect(await waitUntil(async () => (await newest("grow.inst")) === 21)).toBe(true);
});

test("a full disk is told once; what could not be written is, when there is room", async () => {
  const folder = newFolder();
  const { discovery, catalogue, said } = follow(folder, ":memory:");
  await until(() => discovery.status().complete);
  const pages = catalogue.database.query<{ page_count: number }, []>("PRAGMA page_count").get();
  catalogue.database.run(`PRAGMA max_page_count = ${pages?.page_count ?? 0}`);
  copyTo(folder, "rec/v3-labels", "a");
  await until(() => discovery.status().problems.length === 1);
  expect(discovery.status()).toMatchObject({ archives: { found: 0, waiting: 1 } });
  catalogue.database.run("PRAGMA max_page_count = 100000");
  await until(() => listed(catalogue, folder).join() === "a");
  await until(() => discovery.status().problems.length === 0);
  expect(said.filter((line) => line.startsWith("error"))).toEqual([
    "error: discovery: catalogue :memory:: no space left for it",
  ]);
}, 300_000);
