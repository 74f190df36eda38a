// Goal: expressions of queries can be named by their identifiers although another connection writes to the
// catalogue just then, nobody waits for that, and there are never more of them than a bound.
import { expect, test } from "bun:test";
import { join } from "node:path";
import { type Catalogue, openCatalogue } from "../../lib/catalogue/catalogue.ts";
import { embeddedStore } from "../../lib/catalogue/store.ts";
import { expressionId, type SeriesId } from "../../lib/series/ids.ts";
import type { SeriesDescriptor } from "../../lib/series/store.ts";
import { privateFolder } from "../helpers/process.ts";

const DESCRIPTOR: SeriesDescriptor = {
  indom: "none",
  pmid: "511.0.0",
  semantics: "instant",
  source: "0".repeat(40),
  type: "double",
  units: "",
};
const idOf = (number: number): SeriesId => expressionId(`abs(a${number})`);

const countOf = ({ database }: Catalogue): number =>
  database.query<{ n: number }, []>("SELECT count(*) AS n FROM expression").get()?.n ?? 0;

test("while another connection writes they are known, and written with the next", async () => {
  const file = join(privateFolder("expressions"), "catalogue.sqlite");
  const catalogue = openCatalogue(file);
  const other = openCatalogue(file);
  const store = embeddedStore(catalogue);
  other.database.run("BEGIN IMMEDIATE");
  await store.fabricate(idOf(1), "rate(a.b)", DESCRIPTOR);
  expect(await store.expressions([idOf(1), idOf(2)])).toEqual(["rate(a.b)", undefined]);
  expect(await store.descriptors([idOf(1)])).toEqual([DESCRIPTOR]);
  other.database.run("ROLLBACK");
  expect(countOf(other)).toBe(0);
  await store.fabricate(idOf(2), "abs(a.b)", DESCRIPTOR);
  expect(countOf(other)).toBe(2);
  // Whoever opens the file knows them, too.
  const again = embeddedStore(other);
  expect(await again.expressions([idOf(1), idOf(2)])).toEqual(["rate(a.b)", "abs(a.b)"]);
  catalogue.close();
  other.close();
});

test("one that is there already changes nothing, one with another type does", async () => {
  const file = join(privateFolder("expressions"), "catalogue.sqlite");
  const catalogue = openCatalogue(file);
  const other = openCatalogue(file);
  const store = embeddedStore(catalogue);
  await store.fabricate(idOf(1), "rate(a.b)", DESCRIPTOR);
  const before = other.generation;
  await store.fabricate(idOf(1), "rate(a.b)", DESCRIPTOR);
  await Bun.sleep(10);
  expect(other.generation).toBe(before);
  await store.fabricate(idOf(1), "rate(a.b)", { ...DESCRIPTOR, type: "u64" });
  expect((await store.descriptors([idOf(1)]))[0]?.type).toBe("u64");
  catalogue.close();
  other.close();
});

test("anybody may ask, but not for more than the bound", async () => {
  const catalogue = openCatalogue(":memory:");
  const store = embeddedStore(catalogue);
  catalogue.database.transaction(() => {
    for (let number = 0; number < 16_384; number++)
      catalogue.database
        .query("INSERT INTO expression VALUES (?, 'abs(a)', '', '', '', '', '', '')")
        .run(idOf(number));
  })();
  await store.fabricate(idOf(99_999), "rate(a.b)", DESCRIPTOR);
  expect(countOf(catalogue)).toBe(16_384 + 1 - 1024);
  catalogue.close();
});
