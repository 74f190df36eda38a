// Goal: trees of names that agents make answer as pmdaTree* and pmdaDynamicPMNS do (spec pmda.md 8).
import { expect, test } from "bun:test";
import fc from "fast-check";
import { PcpError, PM_ERR } from "../../lib/base/mod.ts";
import { type Pmid, pmidBuild } from "../../lib/pcp/mod.ts";
import { createProfile } from "../../lib/pdu/mod.ts";
import { createNameTree, joinNameTrees } from "../../lib/pmda/mod.ts";

const by = { context: 0, profile: createProfile() };
const pmid = (item: number): Pmid => pmidBuild(77, 1, item);

function codeOf(work: () => unknown): number {
  try {
    work();
    return 0;
  } catch (error) {
    return error instanceof PcpError ? error.code : 1;
  }
}

function example() {
  const tree = createNameTree();
  tree.insert(pmid(1), "t.dyn.b.one");
  tree.insert(pmid(2), "t.dyn.a");
  tree.insert(pmid(1), "t.dyn.c");
  tree.insert(pmid(3), "t.dyn.b.two");
  return tree;
}

test("names, metrics, children and leaves, the latest first", () => {
  const tree = example();
  expect(tree.size).toBe(4);
  expect(tree.lookup("t.dyn.b.two", by)).toBe(pmid(3));
  expect(tree.namesOf(pmid(1), by)).toEqual(["t.dyn.b.one", "t.dyn.c"]);
  expect(tree.children("t.dyn", by)).toEqual({ names: ["c", "a", "b"], statuses: [0, 0, 1] });
  expect(tree.children("t.dyn.a", by)).toEqual({ names: [], statuses: [] });
  expect(tree.traverse("t.dyn", by)).toEqual(["t.dyn.c", "t.dyn.a", "t.dyn.b.two", "t.dyn.b.one"]);
  expect(tree.traverse("t", by)).toEqual(["t.dyn.c", "t.dyn.a", "t.dyn.b.two", "t.dyn.b.one"]);
  expect(tree.traverse("t.dyn.a", by)).toEqual(["t.dyn.a"]);
});

test("what is not there, and what cannot be", () => {
  const tree = example();
  expect(codeOf(() => tree.lookup("t.dyn", by))).toBe(PM_ERR.NONLEAF);
  for (const name of ["t.x", "", "t.dyn.a.b", "t.dyn."])
    for (const call of [tree.lookup, tree.children, tree.traverse])
      expect(codeOf(() => call(name, by))).toBe(PM_ERR.NAME);
  expect(codeOf(() => tree.namesOf(pmid(9), by))).toBe(PM_ERR.PMID);
  expect(codeOf(() => tree.insert(pmid(2), "t.dyn.a"))).toBe(0);
  expect(codeOf(() => tree.insert(pmid(4), "t.dyn.a"))).toBe(PM_ERR.PMID);
  for (const name of ["t.dyn.a.below", "t.dyn", "", ".a", "a.", "a..b", "1a", "a b", "__proto__"])
    expect(codeOf(() => tree.insert(pmid(4), name))).toBe(PM_ERR.NAME);
  expect(tree.size).toBe(4);
  tree.clear();
  expect(codeOf(() => tree.lookup("t.dyn.a", by))).toBe(PM_ERR.NAME);
});

test("several trees are asked in order, after an update", () => {
  let updates = 0;
  const other = createNameTree();
  other.insert(pmid(7), "t.more.x");
  const joined = joinNameTrees([example(), other], () => void (updates += 1));
  expect(joined.lookup("t.more.x", by)).toBe(pmid(7));
  expect(joined.lookup("t.dyn.a", by)).toBe(pmid(2));
  expect(joined.namesOf(pmid(7), by)).toEqual(["t.more.x"]);
  expect(codeOf(() => joined.lookup("t.none", by))).toBe(PM_ERR.NAME);
  expect(codeOf(() => joined.namesOf(pmid(8), by))).toBe(PM_ERR.PMID);
  expect(joined.children("t.more", by)).toEqual({ names: ["x"], statuses: [0] });
  expect(joined.traverse("t.more", by)).toEqual(["t.more.x"]);
  expect(updates).toBe(7);
});

test("every inserted name is found again, by every way", () => {
  const part = fc.constantFrom("a", "b", "c", "d1");
  const names = fc.array(fc.array(part, { minLength: 1, maxLength: 4 }), { maxLength: 30 });
  fc.assert(
    fc.property(names, (lists) => {
      const tree = createNameTree();
      const kept = new Map<string, Pmid>();
      lists.forEach((parts, index) => {
        const name = ["t", ...parts].join(".");
        if (codeOf(() => tree.insert(pmid(index), name)) === 0) kept.set(name, pmid(index));
      });
      expect(tree.size).toBe(kept.size);
      for (const [name, id] of kept) {
        expect(tree.lookup(name, by)).toBe(id);
        expect(tree.namesOf(id, by)).toEqual([name]);
        expect(tree.traverse(name, by)).toEqual([name]);
      }
      if (kept.size > 0)
        expect(new Set(tree.traverse("t", by) as string[])).toEqual(new Set(kept.keys()));
    }),
    { seed: 8, numRuns: 100 },
  );
});
