// Goal: of archives that wait the one that began last is taken up first, whatever the times of its files are, so
// that the newest values of a series are not asked of an older archive while a first look runs; what has just
// changed comes before all that waits.
import { expect, test } from "bun:test";
import { copyFileSync, mkdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { backlog } from "../../lib/catalogue/backlog.ts";
import { openCatalogue } from "../../lib/catalogue/catalogue.ts";
import { followCatalogue } from "../../lib/catalogue/follow.ts";
import { memoryGrowth } from "../helpers/memory.ts";
import { privateFolder } from "../helpers/process.ts";

const ARCHIVES = join(import.meta.dir, "../fixtures/archives/rec");
/** From the one that began last to the first. */
const NAMES = ["v3-dyn-721", "v3-dyn", "v2-dyn", "v3-types"];
const PARTS = ["0", "index", "meta"];

function copyTo(folder: string, name: string, age: number): string {
  for (const part of PARTS) {
    const path = join(folder, `${name}.${part}`);
    copyFileSync(join(ARCHIVES, `${name}.${part}`), path);
    utimesSync(path, Date.now() / 1000 - age, Date.now() / 1000 - age);
  }
  return join(folder, name);
}

function compress(base: string, part: string): void {
  writeFileSync(`${base}.${part}.zst`, Bun.zstdCompressSync(readFileSync(`${base}.${part}`)));
  rmSync(`${base}.${part}`);
}

test.each([
  ["as they are", []],
  ["compressed", ["meta", "0"]],
  ["without an index", ["index"]],
])("what began last is first: %s", async (_, parts) => {
  const folder = privateFolder("order");
  const paths = NAMES.map((name, place) => copyTo(folder, name, (NAMES.length - place) * 1000));
  for (const path of paths)
    for (const part of parts)
      if (part === "index") rmSync(`${path}.index`);
      else compress(path, part);
  const catalogue = openCatalogue(":memory:");
  const follower = followCatalogue(catalogue);
  await follower.look(folder);
  const taken = [];
  for (let some = follower.step(); some.length > 0; some = follower.step()) taken.push(...some);
  expect(taken.map(({ path }) => path)).toEqual(paths);
  catalogue.close();
});

test("what has just changed is before all that waits", async () => {
  const root = privateFolder("order");
  const [waiting, changed] = ["waiting", "changed"].map((name) => join(root, name));
  mkdirSync(waiting ?? "");
  mkdirSync(changed ?? "");
  const wait = copyTo(waiting ?? "", "v3-dyn-721", 0);
  const first = copyTo(changed ?? "", "v3-types", 1000);
  const catalogue = openCatalogue(":memory:");
  const follower = followCatalogue(catalogue);
  await follower.look(waiting ?? "");
  await follower.look(changed ?? "", true);
  const taken = [...follower.step(), ...follower.step()];
  expect(taken.map(({ path }) => path)).toEqual([first, wait]);
  catalogue.close();
});

test("what changes again and again while it waits is there once", async () => {
  const wait = backlog();
  const CHANGES = 1_000_000;
  const ARCHIVES_THERE = 100;
  const found = (at: number) => ({
    path: `/folder/${at % ARCHIVES_THERE}`,
    stamp: { meta: "", data: String(at) },
    changed: at,
    metaBytes: 0,
    urgent: false,
    rank: -(at % ARCHIVES_THERE),
  });
  for (let at = 0; at < ARCHIVES_THERE; at++) wait.add(found(at));
  const before = process.memoryUsage.rss();
  for (let at = 0; at < CHANGES; at++) wait.add(found(at));
  expect(await memoryGrowth(before, 50 << 20)).toBeLessThan(50 << 20);
  for (let at = CHANGES - ARCHIVES_THERE; at < CHANGES; at++) {
    const next = wait.newest();
    expect(next).toEqual(found(at));
    wait.drop(next?.path ?? "");
  }
  expect(wait.newest()).toBeUndefined();
  expect(wait.size).toBe(0);
}, 300_000);
