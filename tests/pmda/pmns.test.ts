// Goal: name space files give the names and the complaints of PCP's programs, and the preprocessor
// the output of pmcpp (spec pmda.md 15): every recorded file.
import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { PcpError, PM_ERR } from "../../lib/base/mod.ts";
import { pmIDStr } from "../../lib/pcp/mod.ts";
import { loadNames, localAccess } from "../../lib/pmda/pmns.ts";
import {
  defineOption,
  definedNumbers,
  preprocess,
  type PreprocessAccess,
} from "../../lib/pmda/preprocess.ts";

const folder = join(import.meta.dir, "../fixtures/pmda/pmns");
const read = (name: string): string => readFileSync(join(folder, name), "utf8");
const access: PreprocessAccess = {
  read: (path) => {
    const file = join(folder, "files", path);
    return existsSync(file) ? readFileSync(file, "utf8") : undefined;
  },
  run: (command) => ({
    output: Bun.spawnSync(["/bin/sh", "-c", command]).stdout.toString(),
    status: 0,
  }),
};

/** What `pminfo -n FILE -m` prints, less the metrics that belong to the library. */
function listed(file: string, duplicates: boolean): string {
  try {
    const names = loadNames(file, access.read(file) ?? "", access, { duplicates });
    return [...names.traverse()]
      .map(({ name, pmid }) => `${name} PMID: ${pmIDStr(pmid)}\n`)
      .join("");
  } catch (error) {
    if (!(error instanceof PcpError) || error.code !== PM_ERR.PMNS) throw error;
    return `${error.message}\n`;
  }
}

/** What the parser of PCP says after its first complaint follows from that one. */
const firstComplaint = (text: string): string => {
  const lines = text.split("\n");
  const again = lines.findIndex((line, i) => i > 0 && line.startsWith("["));
  return again < 0 ? text : `${lines.slice(0, again).join("\n")}\n`;
};

test("every recorded name space file lists the same names or complains in the same words", () => {
  const sections = read("expected.txt").split(/^== pminfo /m);
  let count = 0;
  for (const section of sections) {
    const head = /^-([nN]) (\S+) -m(?: \(differs\))?\n([^]*)$/.exec(section);
    if (head === null) continue;
    const [, flag = "", file = "", printed = ""] = head;
    let theirs = firstComplaint(
      printed.replace(/^event\.(?:flags|missed) .*\n|^pminfo: .*\n/gm, "").replace(/\n\n+/g, "\n"),
    );
    // PCP shows its message in place of the line that it is about.
    if (file === "dupname")
      theirs = theirs.replace(
        /\n.*\n.*\n$/,
        "\n    root { a 1:1:1 a 1:1:2 }\n                   ^\n",
      );
    expect(`${file}\n${listed(file, flag === "n")}`).toBe(`${file}\n${theirs}`);
    count += 1;
  }
  expect(count).toBe(36);
});

test("places after an include are those of the file itself", () => {
  const files: Readonly<Record<string, string>> = { inner: "\n b { 1 }\n" };
  const outer = "root {\n a 1:1:1 }\n";
  const load = (text: string) => (): unknown =>
    loadNames("outer", text, { read: (path) => files[path] });
  expect(load(`${outer}#include "inner"\n`)).toThrow("[inner:2] Error");
  expect(load(`#include "inc"\n${outer}`)).toThrow(
    'pmcpp: outer[1]: #include "inc"\npmcpp: Error: Cannot open file for #include\n' +
      "Error Parsing ASCII PMNS: pmcpp returned non-zero exit status",
  );
});

/** Options as pmcpp has them on its command line. */
function pmcpp(words: readonly string[]): string {
  const [file = ""] = words.slice(-1);
  const letters = words.filter((word) => /^-[a-z]+$|^-P$/.test(word)).join("");
  const defines = words.filter((word) => word.startsWith("-D"));
  const { text, fault } = preprocess(file, access.read(file) ?? "", access, {
    plain: letters.includes("P"),
    restrict: letters.includes("r"),
    shell: letters.includes("s"),
    defines: defines.map((word) => defineOption(word.slice(2))),
  });
  return `${text}${fault === undefined ? "" : `${fault}\n`}[rc=${fault === undefined ? 0 : 1}]\n`;
}

test("every recorded call of the preprocessor gives the same output", () => {
  const sections = read("pmcpp-expected.txt").split(/^== pmcpp (.*)\n/m);
  for (let i = 1; i < sections.length; i += 2) {
    const [call = "", theirs = ""] = sections.slice(i, i + 2);
    expect(`${call}\n${pmcpp(call.split(" "))}`).toBe(`${call}\n${theirs}`);
  }
  expect(sections.length).toBeGreaterThan(35);
});

const faultOf = (text: string, shell = false): string | undefined =>
  preprocess("f", text, { read: () => undefined }, { shell }).fault?.replace(
    /^.*\npmcpp: Error: /,
    "",
  );

test("control lines that are wrong are named as pmcpp names them", () => {
  const wrong: readonly [string, string][] = [
    ["#define A x y", "Unexpected extra text in a control line"],
    ["#define", "Missing macro name"],
    ["#define 1A 2", "Illegal character in macro name"],
    ['#define A "x', "Unterminated value string in #define"],
    ["#include inc.h", 'Expected " or < after #include'],
    ["#include <inc", "Expected > after file name"],
    ['#include "a" b', "Unexpected extra text in #include line"],
    ["#shell echo", "Expected \" or ' after #shell"],
    ['#shell "echo', 'Expected " after command'],
    ['#shell "echo"', "#shell is not allowed here"],
    ["#else", "No matching #ifdef or #ifndef for #else"],
    ["#endif x", "Unexpected extra text in a control line"],
    ["/* open", "Comment at line 1 not terminated before end of file"],
  ];
  for (const [line, message] of wrong) expect(faultOf(`${line}\n`)).toBe(message);
  // With -s they are named as they are written then.
  const inShell = (text: string): string => text.replaceAll("#", "%");
  const more: readonly [string, string][] = [
    ["#ifdef a", "End of input and no matching #endif for #ifdef or #ifndef at line 1"],
    ["#ifdef a\n#ifdef b", "Nested #ifdef or #ifndef"],
    ['#include "a"', "Cannot open file for #include"],
  ];
  for (const [line, message] of [...wrong, ...more])
    if (line.startsWith("#")) expect(faultOf(`${inShell(line)}\n`, true)).toBe(inShell(message));
});

test("what is nested too deep is named by what would be next", () => {
  const nested = (last: string): string | undefined =>
    preprocess("1", '#include "2"\n', {
      read: (path) => (path === "5" ? last : `#include "${Number(path) + 1}"\n`),
    }).fault?.split("\n")[1];
  const fault = (words: string): string => `pmcpp: Error: ${words} nesting too deep`;
  expect(nested('#include "6"\n')).toBe(fault("#include and/or #shell"));
  expect(nested('#shell "ls"\n')).toBe(fault("#shell and/or #include"));
});

test("commands that fail are told with how they ended", () => {
  const text = '#shell "echo a; exit 3"\n#shell "kill -9 $$"\n#shell "echo b"\n';
  const done = preprocess("f", text, localAccess(true), { plain: true });
  expect(done).toEqual({
    text: "a\nb\n",
    fault: undefined,
    warnings: [
      "Warning: #shell cmd returns 3 exit status",
      "Warning: #shell cmd terminated by signal 9",
    ],
  });
});

test("output that grows without end is refused", () => {
  const long = "x".repeat(1000);
  const text = `#define A ${long}\n${"A A A A A A A A\n".repeat(10_000)}`;
  expect(faultOf(text)).toStartWith("more than 67108864 characters");
});

test("a file of definitions gives its numbers", () => {
  const text = "#ifndef __STDPMID\n#define __STDPMID\n#define ROOT 1\n#define LINUX 60\n#endif\n";
  const numbers = definedNumbers("stdpmid", text, { read: () => undefined });
  expect([...numbers]).toEqual([
    ["ROOT", 1],
    ["LINUX", 60],
  ]);
});

test("a definition without a value is shown without one", () => {
  const defines = [defineOption("a"), defineOption("a")];
  const { fault } = preprocess("f", "", { read: () => undefined }, { defines });
  expect(fault).toBe("pmcpp: <arg>[3]: #define a\npmcpp: Error: Macro redefinition");
});
