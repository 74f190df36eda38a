// Goal: the catalogue is in step with archives that come, grow, are compressed and go, answers the same
// whether all their data were looked at or none, and never counts what is half written: a damaged file is
// made anew, a full disk is one clear error.
import { expect, test } from "bun:test";
import {
  mkdirSync,
  copyFileSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { ArchiveCursor, openArchive } from "../../lib/archive/mod.ts";
import { PcpError } from "../../lib/base/mod.ts";
import { type Catalogue, openCatalogue } from "../../lib/catalogue/catalogue.ts";
import { rescan } from "../../lib/catalogue/follow.ts";
import { embeddedStore } from "../../lib/catalogue/store.ts";
import { surveyArchive } from "../../lib/catalogue/survey.ts";
import {
  joinBlocks,
  type Samples,
  type SeriesStore,
  textAt,
  type ValuesRequest,
} from "../../lib/series/mod.ts";
import { privateFolder } from "../helpers/process.ts";
import { thrown } from "../helpers/rejected.ts";

const ARCHIVES = join(import.meta.dir, "../fixtures/archives");

function copyTo(folder: string, archive: string, parts: readonly string[], as = "a"): string {
  for (const part of parts)
    copyFileSync(join(ARCHIVES, `${archive}.${part}`), join(folder, `${as}.${part}`));
  return join(folder, as);
}

const MV = ["meta", "index", "0", "1", "2", "3"];

const named = async (store: SeriesStore, text: string): Promise<readonly string[]> =>
  (await store.select([{ map: { kind: "metric" }, choice: { kind: "equal", text } }]))[0] ?? [];

async function samplesOf(
  store: SeriesStore,
  request: Partial<ValuesRequest> & { readonly series: string },
): Promise<Samples> {
  const blocks = [];
  const whole = { from: 0, to: Number.POSITIVE_INFINITY, ...request };
  for await (const block of store.values([whole])) blocks.push(block);
  return joinBlocks(blocks);
}

/** Samples as plain data. */
function plain({ times, ends, places, instances, values }: Samples) {
  return Array.from(times, (time, index) => {
    const from = index === 0 ? 0 : (ends[index - 1] ?? 0);
    const found = [];
    for (let at = from; at < (ends[index] ?? 0); at++)
      found.push([instances[places[at] ?? 0], textAt(values, at)]);
    return [time, found] as const;
  });
}

/** Samples of all series, by their names. */
async function everything(store: SeriesStore) {
  const all: Record<string, unknown> = {};
  for (const name of await store.names("metric"))
    for (const series of await named(store, name))
      all[`${name} ${series}`] = plain(await samplesOf(store, { series }));
  return all;
}

const rowsOf = (catalogue: Catalogue, table: string): number =>
  catalogue.database.query<{ n: number }, []>(`SELECT count(*) AS n FROM ${table}`).get()?.n ?? -1;

test("a directory is followed: added, grown, compressed, deleted", async () => {
  const folder = privateFolder("catalogue");
  const catalogue = openCatalogue(":memory:");
  const store = embeddedStore(catalogue);
  const base = copyTo(folder, "rec/v3-mv", MV);
  rmSync(`${base}.3`);
  truncateSync(`${base}.2`, readFileSync(`${base}.2`).length - 20);
  writeFileSync(join(folder, "other.txt"), "no archive");
  expect(await rescan(catalogue, [folder])).toMatchObject({ found: 1, read: 1, problems: [] });
  const [series = ""] = await named(store, "sample.seconds");
  const early = plain(await samplesOf(store, { series }));
  expect(early.length).toBeGreaterThan(0);
  expect(await rescan(catalogue, [folder])).toMatchObject({ found: 1, read: 0 });

  copyTo(folder, "rec/v3-mv", MV);
  expect(await rescan(catalogue, [folder])).toMatchObject({ read: 1, dropped: 0 });
  const late = plain(await samplesOf(store, { series }));
  expect(late.slice(0, early.length)).toEqual(early);
  expect(late.length).toBeGreaterThan(early.length);

  const before = await everything(store);
  for (const part of ["meta", "1", "3"]) {
    writeFileSync(`${base}.${part}.gz`, Bun.gzipSync(readFileSync(`${base}.${part}`)));
    rmSync(`${base}.${part}`);
  }
  expect(await rescan(catalogue, [folder])).toMatchObject({ found: 1, read: 1, dropped: 0 });
  expect(await everything(store)).toEqual(before);

  const moved = join(folder, "b");
  for (const part of ["meta.gz", "index", "0", "1.gz", "2", "3.gz"])
    renameSync(`${base}.${part}`, `${moved}.${part}`);
  expect(await rescan(catalogue, [folder])).toMatchObject({ found: 1, read: 1, dropped: 1 });
  expect(await everything(store)).toEqual(before);
  expect(await store.names("context")).toContain(moved);

  rmSync(`${moved}.meta.gz`);
  expect(await rescan(catalogue, [folder])).toMatchObject({ found: 0, dropped: 1 });
  for (const table of ["archive", "series", "instance", "holds", "has", "slot", "slots", "label"])
    expect([table, rowsOf(catalogue, table)]).toEqual([table, 0]);
  catalogue.close();
});

test("an archive that cannot be read is told, and tried again when it changes", async () => {
  const folder = privateFolder("catalogue");
  const catalogue = openCatalogue(":memory:");
  const base = copyTo(folder, "rec/v3-dyn", ["meta", "index", "0"]);
  truncateSync(`${base}.meta`, 40);
  const { problems } = await rescan(catalogue, [folder]);
  expect(problems).toEqual([{ path: base, problem: expect.stringContaining(".meta") }]);
  expect(await rescan(catalogue, [folder])).toMatchObject({ read: 0 });
  copyTo(folder, "rec/v3-dyn", ["meta"]);
  expect(await rescan(catalogue, [folder])).toMatchObject({ read: 1, problems: [] });
  expect(await embeddedStore(catalogue).names("metric")).not.toEqual([]);
  expect(await thrown(rescan(catalogue, [join(folder, "none")]))).toThrow(PcpError);
});

test("more directories than are allowed are refused, before anything is taken up", async () => {
  const folder = privateFolder("catalogue");
  for (const name of ["a/b", "c", "d"]) mkdirSync(join(folder, name), { recursive: true });
  const catalogue = openCatalogue(":memory:");
  expect(await rescan(catalogue, [folder], { mostFolders: 5 })).toMatchObject({ found: 0 });
  expect(await thrown(rescan(catalogue, [folder], { mostFolders: 4 }))).toThrow(
    "more than 4 directories to look at",
  );
  const stopped = rescan(catalogue, [folder], { signal: AbortSignal.abort(new Error("stopped")) });
  expect(await thrown(stopped)).toThrow("stopped");
});

test("values are the same when only the first data were looked at", async () => {
  for (const name of ["v3-mv", "v3-dyn", "v2-dyn", "v3-labels", "v2-types"]) {
    const path = join(ARCHIVES, "rec", name);
    const stores = [3000, Number.POSITIVE_INFINITY].map((dataBytes) => {
      const catalogue = openCatalogue(":memory:");
      catalogue.put(path, "", surveyArchive(path, { dataBytes }));
      return embeddedStore(catalogue);
    });
    const [some, all] = await Promise.all(stores.map(everything));
    // Metrics without values are no series where all data were looked at.
    for (const [series, samples] of Object.entries(some ?? {}))
      expect([name, series, samples]).toEqual([name, series, all?.[series] ?? []]);
    expect(Object.keys(some ?? {})).toEqual(expect.arrayContaining(Object.keys(all ?? {})));
  }
});

test("samples are those of the records, from both ends and within bounds", async () => {
  const path = join(ARCHIVES, "rec/v3-mv");
  const catalogue = openCatalogue(":memory:");
  catalogue.put(path, "", surveyArchive(path));
  const store = embeddedStore(catalogue);
  const [series = ""] = await named(store, "sample.seconds");
  const all = plain(await samplesOf(store, { series }));
  const archive = openArchive(path);
  const cursor = new ArchiveCursor(archive);
  const times: number[] = [];
  while (cursor.next()) {
    const { sec, nsec } = cursor.record;
    const sets = cursor.record.result().sets();
    while (sets.next())
      if (sets.numval > 0 && archive.catalog.names.namesOf(sets.pmid).includes("sample.seconds"))
        times.push(sec * 1_000_000 + Math.floor(nsec / 1000));
  }
  cursor.close();
  expect(all.map(([time]) => time)).toEqual(times);
  for (const newest of [1, 3, all.length, all.length + 5])
    expect(plain(await samplesOf(store, { series, newest }))).toEqual(
      all.toReversed().slice(0, newest),
    );
  for (let first = 0; first < all.length; first++) {
    const [from = 0] = all[first] ?? [];
    const [to = 0] = all[first + 2] ?? all.at(-1) ?? [];
    const wanted = all.slice(first, first + 3);
    expect(plain(await samplesOf(store, { series, from, to }))).toEqual(wanted);
    expect(plain(await samplesOf(store, { series, from, to, newest: 9 }))).toEqual(
      wanted.toReversed(),
    );
    expect(plain(await samplesOf(store, { series, from: from + 1, to: to - 1 }))).toEqual(
      wanted.slice(1, -1),
    );
    expect(plain(await samplesOf(store, { series, from, most: 2 }))).toEqual(
      all.slice(first, first + 2),
    );
  }
});

test("series of consecutive archives go on, requests keep their order", async () => {
  const folder = privateFolder("catalogue");
  const catalogue = openCatalogue(":memory:");
  for (const name of ["v3-mv", "v3-dyn"]) {
    const parts = name === "v3-mv" ? MV : ["meta", "index", "0"];
    copyTo(folder, `rec/${name}`, parts, name);
  }
  await rescan(catalogue, [folder]);
  const store = embeddedStore(catalogue);
  const names = await store.names("metric");
  const ids = (await Promise.all(names.map((name) => named(store, name)))).flat();
  const requests = ids.map((series) => ({ series, from: 0, to: Number.POSITIVE_INFINITY }));
  const together = new Map<number, Samples[]>();
  let last = 0;
  for await (const block of store.values(requests)) {
    expect(block.request).toBeGreaterThanOrEqual(last);
    last = block.request;
    together.set(last, [...(together.get(last) ?? []), block]);
  }
  for (const [index, series] of ids.entries())
    expect(plain(joinBlocks(together.get(index) ?? []))).toEqual(
      plain(await samplesOf(store, { series })),
    );
});

test("an archive that goes while it is read ends without an error, and gives nothing wrong", async () => {
  const folder = privateFolder("catalogue");
  const catalogue = openCatalogue(":memory:");
  copyTo(folder, "rec/v3-mv", MV);
  await rescan(catalogue, [folder]);
  const store = embeddedStore(catalogue);
  const [series = ""] = await named(store, "sample.seconds");
  const whole = plain(await samplesOf(store, { series }));
  rmSync(join(folder, "a.2"));
  rmSync(join(folder, "a.3"));
  const rest = plain(await samplesOf(store, { series }));
  expect(rest.length).toBeLessThan(whole.length);
  expect(whole.slice(0, rest.length)).toEqual(rest);
});

test("a catalogue file is kept, and made anew when it is damaged or of another version", async () => {
  const folder = privateFolder("catalogue");
  copyTo(folder, "rec/v3-mv", MV);
  const file = join(folder, "catalogue.db");
  const fill = async (): Promise<number> => {
    const catalogue = openCatalogue(file);
    const { read } = await rescan(catalogue, [folder]);
    expect(await embeddedStore(catalogue).names("metric")).toContain("sample.seconds");
    catalogue.close();
    return read;
  };
  expect(await fill()).toBe(1);
  expect(await fill()).toBe(0);
  writeFileSync(file, "no database at all, but long enough to be taken for one".repeat(40));
  expect(await fill()).toBe(1);
  truncateSync(file, 8192);
  expect(await fill()).toBe(1);
  const bytes = readFileSync(file);
  bytes.fill(0x5a, 4096, 5 * 4096);
  writeFileSync(file, bytes);
  expect(await fill()).toBe(1);
  const catalogue = openCatalogue(file);
  catalogue.database.run("PRAGMA user_version = 999");
  catalogue.close();
  expect(await fill()).toBe(1);
  expect(() => openCatalogue(join(folder, "none", "catalogue.db"))).toThrow(/catalogue .*none/);
});

test("a full disk is one clear error, and what was there before counts", async () => {
  const folder = privateFolder("catalogue");
  const first = join(folder, "first");
  const file = join(folder, "catalogue.db");
  copyTo(folder, "rec/v3-mv", MV);
  const catalogue = openCatalogue(file);
  await rescan(catalogue, [folder]);
  const store = embeddedStore(catalogue);
  const before = await everything(store);
  const pages = catalogue.database.query<{ page_count: number }, []>("PRAGMA page_count").get();
  catalogue.database.run(`PRAGMA max_page_count = ${pages?.page_count ?? 0}`);
  copyTo(folder, "rec/v3-labels", ["meta", "index", "0"], "first");
  let thrown: unknown;
  await rescan(catalogue, [folder]).catch((error: unknown) => {
    thrown = error;
  });
  expect(thrown).toBeInstanceOf(PcpError);
  expect(thrown).toMatchObject({ code: -28, message: `catalogue ${file}: no space left for it` });
  expect(await everything(store)).toEqual(before);
  expect(catalogue.archives().map(({ path }) => path)).not.toContain(first);
  catalogue.database.run("PRAGMA max_page_count = 100000");
  expect(await rescan(catalogue, [folder])).toMatchObject({ found: 2, read: 1 });
  catalogue.close();
});
