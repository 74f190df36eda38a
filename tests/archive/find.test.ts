// Goal: the sets of a few metrics that are looked for in a record are those of the whole record, and what
// is damaged about them is refused; damage of others is not seen.
import { expect, test } from "bun:test";
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ArchiveCursor, openArchive } from "../../lib/archive/mod.ts";
import type { Pmid, ValueSet } from "../../lib/pcp/mod.ts";
import { makeSeconds } from "../bench/archive-make.ts";
import { privateFolder } from "../helpers/process.ts";

const ARCHIVES = join(import.meta.dir, "../fixtures/archives/rec");

const shown = (set: ValueSet) => ({
  pmid: set.pmid,
  numval: set.numval,
  values: Array.from({ length: Math.max(0, set.numval) }, (_, i) => [set.instance(i), set.word(i)]),
});

test.each(["v2-dyn", "v3-types", "v3-events", "v3-labels"])("%s", (name) => {
  const cursor = new ArchiveCursor(openArchive(join(ARCHIVES, name)));
  let records = 0;
  while (cursor.next()) {
    const { record } = cursor;
    if (record.numpmid === 0) continue;
    records++;
    const all: ReturnType<typeof shown>[] = [];
    for (const sets = record.result().sets(); sets.next();) all.push(shown(sets));
    const pmids = all.map(({ pmid }) => pmid);
    for (const some of [pmids.slice(0, 1), pmids.slice(-1), pmids.slice(1, 4), [1 as Pmid]]) {
      const found: ReturnType<typeof shown>[] = [];
      record.find(some, (set) => found.push(shown(set)));
      expect(found).toEqual(all.filter(({ pmid }) => some.includes(pmid)));
    }
  }
  expect(records).toBeGreaterThan(0);
  cursor.close();
});

test("damage of a metric is refused where it is looked for", () => {
  const base = join(privateFolder("find"), "a");
  makeSeconds(base, 1, 3, 1);
  const volume = readFileSync(`${base}.0`);
  const open = (change: (bytes: Buffer) => void): ArchiveCursor => {
    const bytes = Buffer.from(volume);
    change(bytes);
    const copy = join(privateFolder("find"), "b");
    for (const end of ["meta", "index"]) copyFileSync(`${base}.${end}`, `${copy}.${end}`);
    writeFileSync(`${copy}.0`, bytes);
    const cursor = new ArchiveCursor(openArchive(copy));
    expect(cursor.next()).toBe(true);
    return cursor;
  };
  const sound = open(() => undefined);
  const { offset, length } = sound.record;
  const pmids: Pmid[] = [];
  for (const sets = sound.record.result().sets(); sets.next();) pmids.push(sets.pmid);
  const [first, , last] = pmids;
  if (first === undefined || last === undefined) throw new Error("too few metrics");
  const find = (cursor: ArchiveCursor, pmid: Pmid): number => {
    let count = 0;
    cursor.record.find([pmid], () => count++);
    return count;
  };
  // The length of the last block, which is that of the last metric.
  const odd = open((bytes) => bytes.writeUInt32BE(2, offset + length - 4 - 12));
  expect(find(odd, first)).toBe(1);
  expect(() => find(odd, last)).toThrow("data record");
  // The number of values of the first one, behind the head of the record.
  const many = open((bytes) => bytes.writeInt32BE(0x7fffffff, offset + 20 + 4));
  expect(() => find(many, last)).toThrow("data record");
});
