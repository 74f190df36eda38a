// Goal: a name space answers as PCP's does, its file form is read with PCP's errors at the right
// place, and written so that it reads back.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { MAX_PMNS_DEPTH } from "../../lib/base/mod.ts";
import {
  asPmid,
  dynamicRootPmid,
  Names,
  namesFrom,
  namesText,
  parseNames,
  pmidBuild,
} from "../../lib/pcp/mod.ts";
import { outcome } from "./fixtures.ts";

const SAMPLE = `root {
    simple            /* elsewhere
                         in the file */
    leaf   1:2:3
}
# 7 "other"
simple.sub { x 253:0:9 }
simple {
    numfetch 253:0:0
    dyn      77:*:*
    sub
    none
}
simple.none {}
`;

describe("tree", () => {
  const names = parseNames(SAMPLE);

  test("looks names up", () => {
    expect(names.size).toBe(4);
    expect(names.lookup("simple.sub.x")).toBe(pmidBuild(253, 0, 9));
    expect(names.lookup("simple.dyn")).toBe(dynamicRootPmid(77));
    expect(outcome(() => names.lookup("simple"))).toMatchObject({ code: -12394 });
    expect(outcome(() => names.lookup("simple.y"))).toMatchObject({ code: -12357 });
    expect(outcome(() => names.lookup("leaf.x"))).toMatchObject({ code: -12357 });
  });
  test("lists children with their status", () => {
    expect(names.children("")).toEqual([
      { name: "simple", leaf: false },
      { name: "leaf", leaf: true },
    ]);
    expect(names.children("simple").map(({ name, leaf }) => [name, leaf])).toEqual([
      ["numfetch", true],
      ["dyn", false],
      ["sub", false],
      ["none", false],
    ]);
    expect(names.children("leaf")).toEqual([]);
    expect(outcome(() => names.children("nosuch"))).toMatchObject({ code: -12357 });
  });
  test("walks depth first, in the order of the file", () => {
    const walk = (from?: string): string[] => [...names.traverse(from)].map(({ name }) => name);
    expect(walk()).toEqual(["simple.numfetch", "simple.dyn", "simple.sub.x", "leaf"]);
    expect(walk("simple.sub")).toEqual(["simple.sub.x"]);
    expect(walk("leaf")).toEqual(["leaf"]);
    expect(() => names.traverse("nosuch")).toThrow("nosuch");
  });
  test("an archive's order is newest first", () => {
    const metrics = ["a.x", "b", "a.y"].map((name, item) => ({
      name,
      pmid: pmidBuild(1, 0, item),
    }));
    const tree = namesFrom(metrics, { newestFirst: true });
    expect([...tree.traverse()].map(({ name }) => name)).toEqual(["b", "a.y", "a.x"]);
  });
  test("several names of one PMID", () => {
    const pmid = pmidBuild(1, 1, 1);
    const tree = namesFrom([
      { name: "b", pmid },
      { name: "a.b", pmid },
    ]);
    expect(tree.namesOf(pmid)).toEqual(["b", "a.b"]);
    expect(tree.namesOf(pmidBuild(1, 1, 2))).toEqual([]);
    tree.remove("a.b");
    expect([tree.namesOf(pmid), tree.size, tree.find("a")]).toEqual([["b"], 1, undefined]);
  });
  test("contradictions are refused", () => {
    const tree = new Names({ duplicates: false });
    tree.add("a.b", pmidBuild(1, 1, 1));
    tree.add("a.b", pmidBuild(1, 1, 1));
    expect(() => tree.add("a.b", pmidBuild(1, 1, 2))).toThrow("1.1.1 and cannot have 1.1.2");
    expect(() => tree.add("a", pmidBuild(1, 1, 3))).toThrow('"a" holds other names');
    expect(() => tree.add("a.b.c", pmidBuild(1, 1, 3))).toThrow('"a.b" is a metric');
    expect(() => tree.add("c..d", pmidBuild(1, 1, 3))).toThrow("empty part");
    expect(() => tree.add("x", pmidBuild(1, 1, 1))).toThrow('for metrics "x" and "a.b"');
    expect(() => tree.add("x.".repeat(80), pmidBuild(1, 1, 4))).toThrow("81 parts");
    expect(tree.size).toBe(1);
  });
});

/** What a tree does, in the plainest way: a list of names in the order of addition. */
function addPlainly(list: Map<string, number>, name: string, pmid: number): boolean {
  const parts = name.split(".");
  if (parts.includes("") || parts.length > MAX_PMNS_DEPTH) return false;
  const known = list.get(name);
  if (known !== undefined) return true;
  for (const other of list.keys()) {
    if (other.startsWith(`${name}.`) || name.startsWith(`${other}.`)) return false;
  }
  list.set(name, pmid);
  return true;
}

test("a tree that keeps what it had first says the same as a list", () => {
  const part = fc.constantFrom("a", "b", "c", "");
  const name = fc.oneof(
    { weight: 20, arbitrary: fc.array(part, { minLength: 1, maxLength: 4 }) },
    { weight: 1, arbitrary: fc.constant(Array.from({ length: MAX_PMNS_DEPTH + 1 }, () => "a")) },
  );
  const change = fc.record({ name, pmid: fc.nat(5), remove: fc.nat(9) });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 60 }), (changes) => {
      const list = new Map<string, number>();
      const tree = new Names({ keepFirst: true });
      for (const { name: parts, pmid, remove } of changes) {
        const text = parts.join(".");
        if (remove === 0 && tree.find(text) !== undefined && text !== "") {
          tree.remove(text);
          for (const other of list.keys()) {
            if (other === text || other.startsWith(`${text}.`)) list.delete(other);
          }
          continue;
        }
        const refused = outcome(() => tree.add(text, asPmid(pmid))) !== undefined;
        expect([text, refused]).toEqual([text, !addPlainly(list, text, pmid)]);
      }
      expect(new Map([...tree.traverse()].map((each) => [each.name, each.pmid]))).toEqual(
        new Map([...list].map(([text, pmid]) => [text, asPmid(pmid)])),
      );
      expect(tree.size).toBe(list.size);
      for (const [text, pmid] of list) expect(tree.namesOf(asPmid(pmid))).toContain(text);
    }),
    { seed: 3, numRuns: 300 },
  );
});

describe("file form", () => {
  // Text, then where and why it is refused; reasons and cases are those of libpcp.
  const faults: [string, string][] = [
    ["", 'pmns: No name space entry for "root"'],
    ["a { x 1:1:1 }\n", 'pmns: No name space entry for "root"'],
    ["root {\n a\n a 1:2:3\n}\n", 'pmns:3:2: Duplicate name "a" in subtree for "root"'],
    ["root {\n a\n}\n", 'pmns:2:2: Cannot find definition for non-terminal node "a" in name space'],
    ["root { b 1:1:1 }\nc.d { x 1:1:2 }\n", 'pmns:2:1: Disconnected subtree ("c.d") in name space'],
    [
      "root { a }\na { x 1:1:1 }\na { y 1:1:2 }\n",
      'pmns:3:1: Disconnected subtree ("a") in name space',
    ],
    ["root { a 1:1:1 }\nroot { b 1:1:2 }\n", 'pmns:2:1: Multiple name space entries for "root"'],
    ["root {\n b 1:1\n}\n", "pmns:2:4: Illegal PMID"],
    ["root { a 29:1:* }\n", "pmns:1:10: Illegal PMID"],
    ["root { b 512:1:1 }\n", "pmns:1:10: Illegal domain field in PMID"],
    ["root { b 511:*:* }\n", "pmns:1:10: Illegal domain field in dynamic PMID"],
    ["root { b 1:4096:1 }\n", "pmns:1:10: Illegal cluster field in PMID"],
    ["root { b 1:1:1024 }\n", "pmns:1:10: Illegal item field in PMID"],
    ["root { 1b 1:1:1 }\n", "pmns:1:8: Expected NAME or }"],
    ["root { a-b 1:1:1 }\n", "pmns:1:8: Expected NAME or }"],
    ["root { a.b 1:1:1 }\n", "pmns:1:8: Expected NAME or }"],
    ["root { a -1:1:1 }\n", "pmns:1:10: Expected NAME, PMID or }"],
    ["root { a 1:1:1: }\n", "pmns:1:10: Expected NAME, PMID or }"],
    ["root\n b 1:1:1\n}\n", "pmns:2:2: { expected"],
    ["root { b 1:1:1 }\n}\n", "pmns:2:1: Expected NAME or PATH"],
    ["root {\n# comment\n}\n", "pmns:2:1: Illegal line number control number"],
    [`root { ${"x".repeat(300)} 1:1:1 }`, "pmns:1:256: Absurdly long line, cannot recover"],
  ];
  for (const [text, message] of faults) {
    test(`refuses ${JSON.stringify(text.slice(0, 40))}`, () => {
      expect(outcome(() => parseNames(text))).toMatchObject({ code: -12346, message });
    });
  }
  test("duplicate PMIDs are refused on request", () => {
    const text = "root {\n a 1:1:1\n b 1:1:1\n}\n";
    expect(parseNames(text).size).toBe(2);
    expect(() => parseNames(text, "x", { duplicates: false })).toThrow(
      'x:3:2: Duplicate metric id (1.1.1) in name space for metrics "b" and "a"',
    );
    expect(parseNames("root { a 29:*:* b 29:*:* }", "x", { duplicates: false }).size).toBe(2);
  });
  test("odd but legal", () => {
    for (const text of [
      "root {\n b 1:1:1\n",
      "root{b 1:1:1}",
      "root { b 1 : 1 : 1 }",
      "/* */ root{/**/b 1:1:1}",
    ]) {
      expect([...parseNames(text).traverse()]).toEqual([{ name: "b", pmid: pmidBuild(1, 1, 1) }]);
    }
    expect(parseNames("root { }").size).toBe(0);
    expect(parseNames("root { root 1:1:1 }").lookup("root")).toBe(pmidBuild(1, 1, 1));
  });
  test("what is written reads back", () => {
    expect([...parseNames(namesText(parseNames(SAMPLE))).traverse()]).toEqual([
      ...parseNames(SAMPLE).traverse(),
    ]);
    const name = fc.array(fc.constantFrom("a", "b", "c1", "d_d"), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(fc.array(fc.tuple(name, fc.integer({ min: 0, max: 1023 }))), (list) => {
        const tree = new Names();
        for (const [parts, item] of list)
          outcome(() => tree.add(parts.join("."), pmidBuild(5, 6, item)));
        const again = parseNames(namesText(tree));
        expect([...again.traverse()]).toEqual([...tree.traverse()]);
      }),
      { seed: 9, numRuns: 200 },
    );
  });
});
