// Fuzzes what agents read from files: instance caches, sources of help and compiled help, the
// preprocessor, name spaces with their changes, tables of domain numbers, instances of sample. The
// promise is that of text.fuzz.ts; what compiled help holds is found or not, never beyond its file.
import { PcpError, PM_ERR } from "../../lib/base/mod.ts";
import { asPmid, namesText, parseNames } from "../../lib/pcp/mod.ts";
import { parseDynamic } from "../../lib/pmda/agents/sample/domains.ts";
import { createCache } from "../../lib/pmda/cache.ts";
import { cacheFileText, parseCacheFile } from "../../lib/pmda/cache-file.ts";
import { decodeHelp, encodeHelp } from "../../lib/pmda/help.ts";
import { parseHelpSource } from "../../lib/pmda/help-source.ts";
import { loadNames } from "../../lib/pmda/pmns.ts";
import { addNames, parseDomainNumbers, stdpmidText } from "../../lib/pmda/pmns-edit.ts";
import { definedNumbers, preprocess } from "../../lib/pmda/preprocess.ts";
import { hex } from "../helpers/vector.ts";
import { FuzzFinding, type Fuzzer, mutate, seeded } from "./random.ts";
import { same, type Subject, textFuzzer } from "./text.fuzz.ts";

const EINVAL = -22;
const NAMES = parseNames("root {\n demo\n}\ndemo {\n one 77:0:0\n two 77:0:1\n}\n");
/** Nothing can be included but one file, again and again. */
const access = { read: (path: string) => (path === "again" ? '#include "again"\n' : undefined) };

const HELP_SOURCES = [
  "# comment\n@ demo.one first\ntext\n\n@ 77.3 domain\nhelp\n@ 77.0.9 numeric\n",
  `@ demo.two ${"long ".repeat(60)}\n${"x".repeat(1100)}\n@ demo.one next\nlost\n`,
];

const SUBJECTS: Readonly<Record<string, Subject>> = {
  cachefile: {
    texts: [
      "2 1 100\n0 1795294595 alpha\n7 1 [0102ff] keyed name\n9 0 0001 /bin/x y\n",
      "1 0\n5 1000000001 old\n5 2 again\n",
    ],
    pieces: ["\n", " ", "[", "]", "2 0 2147483647\n", "-1", "99999999999", "[zz]", "0x1", "name"],
    codes: [],
    check(text) {
      const { contents, lines, fault } = parseCacheFile(text);
      if (contents === undefined) return;
      const cache = createCache();
      cache.load(contents);
      const saved = cache.save(1);
      if (saved.records.length > lines || contents.records.length !== lines)
        throw new Error(`${saved.records.length} of ${lines} lines, ${fault}`);
      const again = parseCacheFile(cacheFileText(saved));
      same("fault of what was written", again.fault, undefined);
      same("lines written", again.lines, saved.records.length);
    },
  },
  helpsource: {
    texts: HELP_SOURCES,
    pieces: ["@", "@ ", "\n", "\n@ 77.1\n", "#", "@ demo.one", "77.0.1 ", " \t", "y".repeat(130)],
    codes: [],
    check(text) {
      const bytes = Buffer.from(text);
      const { entries } = parseHelpSource([{ file: "f", bytes }], (name) => NAMES.lookup(name));
      const help = decodeHelp(encodeHelp(entries));
      for (const { ident, text: body } of entries) {
        if (body.includes("\0")) continue;
        const subject = ident >= 0x80000000 ? "instance domain" : "metric";
        const found = help.text(subject, asPmid(ident & 0x7fffffff), "help");
        if (found === undefined) throw new Error(`no text for ${ident}`);
      }
    },
  },
  preprocess: {
    texts: [
      '#define A 1\n#ifdef A\nA "A" /* c */\n#else\nB\n#endif\n#undef A\n',
      '#include "again"\n#define LONG "x y z"\nLONG LONG #{LONG}\n#ifndef X\n#endif\n',
    ],
    pieces: [
      "#define ",
      "#ifdef A\n",
      "#endif\n",
      "#else\n",
      "/*",
      "*/",
      '"',
      "'",
      "#include <",
      "%",
    ],
    codes: [PM_ERR.PMNS],
    check(text) {
      for (const shell of [false, true]) {
        const plain = preprocess("f", text, access, { shell, restrict: shell, plain: true });
        if (plain.fault?.includes("pmcpp: Error: ") === false) throw new Error(plain.fault);
      }
      definedNumbers("f", text, access);
    },
  },
  pmns: {
    texts: ["root {\n a\n b 1:2:3\n}\na {\n c 1:0:0\n}\n", "a.b.c {\n x 2:0:0\n y 2:*:*\n}\n"],
    pieces: ["{", "}", "#", "a", "a.b", "1:2:3", "root {", "#define A 1\n", "A", "/*", "\n"],
    codes: [PM_ERR.PMNS],
    check(text) {
      const to = { file: "root", text: "root {\n a\n}\na {\n c 1:0:0\n}\n", access };
      const { names } = addNames(to, { file: "f", text, access });
      if (names.find("a.c") === undefined) throw new Error("a name is gone");
      same("names", namesText(loadNames("g", namesText(names), access)), namesText(names));
    },
  },
  domains: {
    texts: ["# base\nROOT\t\t1\nPMCD 2\n", "A 1\nB 2\nA 1\n"],
    pieces: ["\n", " ", "\t", "#", "A", "1", "511", "9999", "_X 3\n"],
    codes: [PM_ERR.PMNS],
    check(text) {
      const numbers = parseDomainNumbers([{ file: "f", text }]);
      const read = definedNumbers("stdpmid", stdpmidText(numbers), access);
      for (const { name, domain } of numbers) same(name, read.get(name), domain);
    },
  },
  dynamic: {
    texts: ['1 one\n7 "two words"\n', "3 x 4 'y z'\n"],
    pieces: ["\n", " ", '"', "'", "-1", "4194304", "x", "5 "],
    codes: [],
    check(text) {
      const { rows, fault } = parseDynamic(text);
      if (fault !== undefined && rows.length > 0) throw new Error(fault);
      for (const { id } of rows) if (id < 0 || id > 0x3fffff) throw new Error(`instance ${id}`);
    },
  },
};

/** Fuzzers of texts that agents read, by name. */
export const PMDA_FUZZERS: Readonly<Record<string, Fuzzer>> = Object.fromEntries(
  Object.entries(SUBJECTS).map(([name, subject]) => [name, textFuzzer(name, subject)]),
);

/** Fuzzes compiled help. */
export const fuzzHelp: Fuzzer = (seed, iterations) => {
  const random = seeded(seed);
  const compiled = HELP_SOURCES.map((source) => {
    const bytes = Buffer.from(source);
    return encodeHelp(
      parseHelpSource([{ file: "f", bytes }], (name) => NAMES.lookup(name)).entries,
    );
  });
  const [dirs, pags] = [compiled.map(({ dir }) => dir), compiled.map(({ pag }) => pag)];
  for (let iteration = 0; iteration < iterations; iteration++) {
    const dir = mutate(random.pick(dirs), random, dirs);
    const pag = random.below(2) === 0 ? random.pick(pags) : mutate(random.pick(pags), random, pags);
    try {
      const help = decodeHelp({ dir, pag });
      for (let item = 0; item < 10; item++)
        for (const level of ["oneline", "help"] as const)
          help.text(item === 3 ? "instance domain" : "metric", asPmid(0x13400000 + item), level);
    } catch (error) {
      if (error instanceof PcpError && error.code === EINVAL) continue;
      throw new FuzzFinding("help", seed, iteration, hex(dir), String(error), { cause: error });
    }
  }
};
