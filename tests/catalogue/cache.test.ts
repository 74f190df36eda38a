// Goal: the embedded store gives the same answer again without reading archives, and another one as soon as
// an archive has grown, was cut, was replaced or has gone; what it keeps is bounded.
import { expect, test } from "bun:test";
import {
  appendFileSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { encodeResult } from "../../lib/archive/mod.ts";
import { pmidBuild } from "../../lib/pcp/mod.ts";
import { openCatalogue } from "../../lib/catalogue/catalogue.ts";
import { embeddedStore } from "../../lib/catalogue/store.ts";
import { surveyArchive } from "../../lib/catalogue/survey.ts";
import { numbersOf } from "../../lib/series/column.ts";
import type { SeriesStore, ValuesRequest } from "../../lib/series/store.ts";
import { makeSeconds, START } from "../bench/archive-make.ts";
import { privateFolder } from "../helpers/process.ts";

const METRICS = 3;
const SECONDS = 40;

async function open(): Promise<{ store: SeriesStore; base: string; ids: readonly string[] }> {
  const base = join(privateFolder("cache"), "a");
  makeSeconds(base, SECONDS, METRICS, 1);
  const catalogue = openCatalogue(":memory:");
  catalogue.put(base, "as it is", surveyArchive(base));
  const store = embeddedStore(catalogue);
  const every = { kind: "glob", pattern: "*", fits: () => true } as const;
  const [ids = []] = await store.select([{ map: { kind: "metric" }, choice: every }]);
  expect(ids).toHaveLength(METRICS);
  return { store, base, ids };
}

async function read(store: SeriesStore, requests: readonly ValuesRequest[]) {
  const rows: { request: number; times: number[]; values: number[] }[] = [];
  for await (const { request, times, values } of store.values(requests))
    rows.push({ request, times: [...times], values: [...numbersOf(values)] });
  return rows;
}

const all = (series: string): ValuesRequest => ({ series, from: 0, to: Infinity });

test("the same question has the same answer, alone and among others", async () => {
  const { store, ids } = await open();
  const requests = ids.map(all);
  const first = await read(store, requests);
  expect(first.map(({ request }) => request)).toEqual([0, 1, 2]);
  expect(first[0]?.times).toHaveLength(SECONDS);
  expect(await read(store, requests)).toEqual(first);
  // In another order, between some that were not asked for before.
  const [a = "", b = ""] = ids;
  const mixed = await read(store, [{ ...all(b), newest: 2 }, all(a), { ...all(b), most: 1 }]);
  expect(mixed.map(({ request, times }) => [request, times.length])).toEqual([
    [0, 2],
    [1, SECONDS],
    [2, 1],
  ]);
  expect(mixed[1]?.values).toEqual(first[0]?.values);
});

test("many at once of which some were asked for before come in their order, too", async () => {
  const { store, ids } = await open();
  const [a = "", b = "", c = ""] = ids;
  await read(store, [all(b)]);
  const many = [a, b, c, a, b, c, a, b, c, a].map(all);
  for (let round = 0; round < 2; round++) {
    const rows = await read(store, many);
    expect(rows.map(({ request }) => request)).toEqual([...many.keys()]);
    expect(rows[1]?.values).toEqual(rows[7]?.values);
  }
});

test("a question that is given up, and bounds that differ, are no answers for others", async () => {
  const { store, ids } = await open();
  const [id = ""] = ids;
  for await (const block of store.values([all(id)])) {
    expect(block.request).toBe(0);
    break;
  }
  const time = (START + 10) * 1e6;
  expect((await read(store, [{ ...all(id), to: time }]))[0]?.times).toHaveLength(11);
  expect((await read(store, [{ ...all(id), from: time }]))[0]?.times).toHaveLength(SECONDS - 10);
  expect((await read(store, [all(id)]))[0]?.times).toHaveLength(SECONDS);
});

test("an archive that grows, is cut, is replaced or goes is read again", async () => {
  const { store, base, ids } = await open();
  const volume = `${base}.0`;
  const counts = async (): Promise<number> =>
    (await read(store, ids.map(all))).reduce((sum, { times }) => sum + times.length, 0);
  expect(await counts()).toBe(METRICS * SECONDS);
  const sets = Array.from({ length: METRICS }, (_, item) => ({
    pmid: pmidBuild(60, 0, item),
    type: 3,
    instances: [-1],
    values: [1n],
  }));
  appendFileSync(volume, encodeResult(3, { timestamp: { sec: START + 1000, nsec: 0 }, sets }));
  expect(await counts()).toBe(METRICS * (SECONDS + 1));
  const { size } = statSync(volume);
  truncateSync(volume, size - 4);
  expect(await counts()).toBe(METRICS * SECONDS);
  const bytes = readFileSync(volume);
  rmSync(volume);
  writeFileSync(volume, bytes.subarray(0, Math.floor(bytes.length / 2)));
  const half = await counts();
  expect(half).toBeLessThan(METRICS * SECONDS);
  expect(half).toBeGreaterThan(0);
  for (const end of ["0", "meta", "index"]) rmSync(`${base}.${end}`);
  expect(await counts()).toBe(0);
});
