// Goal: name spaces change as pmnsadd, pmnsdel and pmnsmerge change them (spec pmda.md 15.3): the
// recorded session and merge, and the table of domain numbers that Make.stdpmid makes.
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { PcpError } from "../../lib/base/mod.ts";
import {
  addNames,
  dateStamp,
  editedText,
  mergeNames,
  type NamesSource,
  parseDomainNumbers,
  removeNames,
  stdpmidText,
} from "../../lib/pmda/pmns-edit.ts";
import { definedNumbers } from "../../lib/pmda/preprocess.ts";

const folder = join(import.meta.dir, "../fixtures/pmda/pmns/edit");
const read = (name: string): string => readFileSync(join(folder, name), "utf8");
const STDPMID = "#ifndef __STDPMID\n#define __STDPMID\n#define PMCD 2\n#endif\n";
const access = { read: (path: string) => (path === "stdpmid" ? STDPMID : undefined) };
const source = (file: string, text: string = read(file)): NamesSource => ({ file, text, access });

/** One recorded command on the name space as it is then. */
function run(command: string, root: string): { root: string; said: string } {
  const [program, , ns = "", ...words] = command.split(" ");
  try {
    // These two never come to a tree: the programs find no file.
    if (ns === "nosuch") return { root, said: 'pmnsadd: cannot find PMNS file ""\n[rc=1]' };
    if (words[0] === "nosuch")
      return { root, said: 'pmnsadd: cannot find input file "nosuch"\n[rc=1]' };
    const from = source("root", root);
    const text =
      program === "pmnsadd"
        ? editedText(addNames(from, source(words[0] ?? "")))
        : editedText({ names: removeNames(from, words) });
    return { root: text, said: "[rc=0]" };
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
    const said = error.message.replace(
      "pmLoadASCIINameSpace(two,",
      "pmLoadASCIINameSpace(@TMP@/tmp,",
    );
    return { root, said: `${said}\n[rc=1]` };
  }
}

test("the recorded session leaves the same files and says the same", () => {
  let root = read("root");
  let count = 0;
  for (const step of read("session.txt").split(/^\$ /m).slice(1)) {
    const [command = "", ...rest] = step.split("\n");
    const done = run(command, root);
    const [said = "", after] = rest.join("\n").split(/\n-- root:\n/);
    expect(`${command}\n${done.said}`).toBe(`${command}\n${said.trimEnd()}`);
    if (after !== undefined) expect(done.root).toBe(after);
    root = done.root;
    count += 1;
  }
  expect(count).toBe(13);
});

test("the recorded merge gives the same file and warning", () => {
  const { names, warnings } = mergeNames([source("m1"), source("m2")]);
  const recorded = read("merge.txt").split("\n");
  expect(warnings).toEqual(recorded.slice(1, 3));
  expect(editedText({ names })).toBe(recorded.slice(5).join("\n"));
});

test("of each block metrics come first, then what lies below its other names", () => {
  const more = "root { a b }\na { a }\na.a { b c 11:0:0 }\na.a.b { d 11:1:1 }\nb { d 11:1:3 }\n";
  const sources = [source("one", "root { c 10:0:0 }\n"), source("two", more)];
  expect([...mergeNames(sources).names.traverse()].map(({ name }) => name)).toEqual([
    "c",
    "a.a.c",
    "a.a.b.d",
    "b.d",
  ]);
});

test("a metric does not become a branch", () => {
  const add = (): unknown =>
    addNames(source("root", "root { a 1:0:0 }\n"), source("more", "a { b 2:0:0 }\n"));
  expect(add).toThrow("No changes have been made");
});

test("files are ordered by the date that they carry", () => {
  expect(dateStamp("#define _DATESTAMP 19990101\nroot { }\n")).toBe(19990101);
  expect(dateStamp("root { }\n")).toBe(0);
});

test("domain numbers become a header that gives them again", () => {
  const numbers = parseDomainNumbers([
    { file: "stdpmid.pcp", text: "# base\nLINUX\t\t60\nROOT 1\n\n" },
    { file: "stdpmid.local", text: "MINE 400\nROOT 1\n" },
  ]);
  expect(numbers.map(({ name }) => name)).toEqual(["ROOT", "LINUX", "MINE"]);
  const text = stdpmidText(numbers);
  expect(Object.fromEntries(definedNumbers("stdpmid", text, access))).toEqual({
    ROOT: 1,
    LINUX: 60,
    MINE: 400,
  });
});

test("a name or number that stands for two things is refused with its place", () => {
  const refused =
    (text: string): (() => unknown) =>
    () =>
      parseDomainNumbers([{ file: "f", text }]);
  expect(refused("A 1\nA 2\n")).toThrow('f:2: duplicate for domain name "A"');
  expect(refused("A 1\nB 1\n")).toThrow('f:2: duplicate for domain number "1"');
  expect(refused("A one\n")).toThrow('f:1: "A one" is not a name and a number');
});
