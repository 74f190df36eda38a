// Goal: whatever becomes of an archive while its values are read, what is told is what it had, or an error:
// never values of two archives, never a part for the whole. Damage is told once, with what comes before
// it; what the system refuses is no end of an archive.
import { expect, test } from "bun:test";
import {
  closeSync,
  copyFileSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { openCatalogue } from "../../lib/catalogue/catalogue.ts";
import { embeddedStore } from "../../lib/catalogue/store.ts";
import { surveyArchive } from "../../lib/catalogue/survey.ts";
import { numbersOf } from "../../lib/series/column.ts";
import type { SeriesStore } from "../../lib/series/store.ts";
import { at, desc, indom, makeArchive } from "../extract/archive-maker.ts";
import { privateFolder } from "../helpers/process.ts";
import { thrown } from "../helpers/rejected.ts";

const RECORDS = 3000;
const INSTANCES = 40;
const OTHER = 1_000_000;

/** One metric with instances, whose values tell the archive, the record and the instance. */
function make(base: string, more: number, start = 0): void {
  const instances = Array.from({ length: INSTANCES }, (_, inst) => [inst, `i${inst}`] as const);
  makeArchive(base, {
    version: 3,
    metadata: [desc("changed.one", "100.0.1", 1), indom(start, 1, instances)],
    results: Array.from({ length: RECORDS }, (_, second) => ({
      time: at(start + second),
      sets: [["100.0.1", instances.map(([inst]) => [inst, more + second * 100 + inst] as const)]],
    })),
  });
}

const folder = privateFolder("changed");
make(join(folder, "first"), 0);
make(join(folder, "second"), OTHER);
make(join(folder, "later"), OTHER, 10_000);

function put(from: string, base: string): void {
  for (const end of ["meta", "index", "0"])
    copyFileSync(join(folder, `${from}.${end}`), `${base}.${end}`);
}

/** The archive `first` in a place of its own, and a store over it. */
async function open() {
  const base = join(privateFolder("changing"), "a");
  put("first", base);
  const catalogue = openCatalogue(":memory:");
  catalogue.put(base, "as it is", surveyArchive(base));
  const warnings: string[] = [];
  const store = embeddedStore(catalogue, { warn: (text) => warnings.push(text) });
  const every = { kind: "glob", pattern: "*", fits: () => true } as const;
  const [ids = []] = await store.select([{ map: { kind: "metric" }, choice: every }]);
  return { base, store, series: ids[0] ?? "", warnings };
}

/** All values; `midway` is called behind the first block. */
async function read(store: SeriesStore, series: string, midway: () => void = () => undefined) {
  const values: number[] = [];
  let isFirst = true;
  for await (const block of store.values([{ series, from: 0, to: Number.POSITIVE_INFINITY }])) {
    values.push(...numbersOf(block.values));
    if (isFirst) midway();
    isFirst = false;
  }
  return values;
}

const whole = Array.from({ length: RECORDS }, (_, second) =>
  Array.from({ length: INSTANCES }, (_none, inst) => second * 100 + inst),
).flat();

test("an archive that goes while it is read is read to its end", async () => {
  const { base, store, series } = await open();
  const away = (): void => {
    for (const end of ["meta", "index", "0"]) rmSync(`${base}.${end}`);
  };
  expect(await read(store, series, away)).toEqual(whole);
  expect(await read(store, series)).toEqual([]);
});

test("so is one whose place another takes", async () => {
  const { base, store, series } = await open();
  const replace = (): void => {
    put("later", `${base}-new`);
    for (const end of ["meta", "index", "0"]) renameSync(`${base}-new.${end}`, `${base}.${end}`);
  };
  expect(await read(store, series, replace)).toEqual(whole);
  // Nobody has catalogued the other one yet: its values are nobody's.
  expect(await read(store, series)).toEqual([]);
});

test("one that is written over or cut while it is read is an error", async () => {
  const changes: ((volume: string) => void)[] = [
    (volume) => put("second", volume.slice(0, -2)),
    (volume) => truncateSync(volume, 0),
    (volume) => truncateSync(volume, statSync(volume).size - 10),
    (volume) => {
      const { size } = statSync(volume);
      truncateSync(volume, size >> 1);
      truncateSync(volume, size);
    },
  ];
  for (const change of changes) {
    const { base, store, series, warnings } = await open();
    expect(await thrown(read(store, series, () => change(`${base}.0`)))).toThrow(
      `${base}.0 has changed while it was read`,
    );
    expect(warnings).toEqual([]);
  }
});

test("damage ends its values and is told once", async () => {
  const { base, store, series, warnings } = await open();
  const descriptor = openSync(`${base}.0`, "r+");
  writeSync(descriptor, Buffer.alloc(5000, 0xa5), 0, 5000, statSync(`${base}.0`).size >> 1);
  closeSync(descriptor);
  const values = await read(store, series);
  expect(values).toEqual(whole.slice(0, values.length));
  expect(values.length).toBeGreaterThan(whole.length / 3);
  expect(await read(store, series)).toEqual(values);
  expect(warnings).toEqual([expect.stringContaining(`${base}.0: data record at offset `)]);
});

test("so does the end of compressed data that were cut", async () => {
  const { base, store, series, warnings } = await open();
  const packed = gzipSync(readFileSync(`${base}.0`));
  rmSync(`${base}.0`);
  writeFileSync(`${base}.0.gz`, packed.subarray(0, packed.length >> 1));
  const values = await read(store, series);
  expect(values).toEqual(whole.slice(0, values.length));
  expect(values.length).toBeGreaterThan(whole.length / 4);
  expect(warnings).toEqual([expect.stringContaining(`${base}.0.gz: `)]);
});

test("many series with many values in one record are read a part at a time", async () => {
  const { store, series } = await open();
  const request = { series, from: 0, to: Number.POSITIVE_INFINITY };
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  let values = 0;
  for await (const block of store.values(Array.from({ length: 12 }, () => request)))
    values += block.places.length;
  clearInterval(timer);
  expect(values).toBe(12 * whole.length);
  expect(turns).toBeGreaterThan(5);
});
