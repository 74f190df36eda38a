// Goal: help texts compile to the bytes, messages and statuses of newhelp, and are found again as
// pmdaText finds them (spec pmda.md 12 and 13): every recorded source, byte by byte.
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { PcpError } from "../../lib/base/mod.ts";
import { indomBuild, parseNames, pmidBuild } from "../../lib/pcp/mod.ts";
import { decodeHelp, encodeHelp, sourceHelp } from "../../lib/pmda/help.ts";
import { type HelpSource, helpStatus, parseHelpSource } from "../../lib/pmda/help-source.ts";
import { testWith } from "../helpers/peers.ts";

const folder = join(import.meta.dir, "../fixtures/pmda/help");
const read = (name: string): Buffer => readFileSync(join(folder, name));
const names = parseNames(read("ns").toString(), "ns");

const compiled = (file: string, bytes: Uint8Array = read(file)): HelpSource =>
  parseHelpSource([{ file, bytes }], (name) => names.lookup(name));

const messages = (source: HelpSource, verbose: boolean): string =>
  source.messages
    .filter((message) => verbose || !message.verbose)
    .map(({ text }) => `${text}\n`)
    .join("");

const hexLines = (bytes: Uint8Array, width: number): string =>
  (
    Buffer.from(bytes)
      .toString("hex")
      .match(new RegExp(`.{1,${width}}`, "g")) ?? []
  )
    .map((line) => `${line}\n`)
    .join("");

const SECTION =
  /^== newhelp -n ns -o out (\S+)\nrc=(\d)\n([^]*?)-- with -V: rc=(\d)\n([^]*?)-- out.dir.*\n([^]*?)-- out.pag.*\n([^]*?)(?=^==|$(?![^]))/gm;

test("every recorded source gives newhelp's messages, statuses and files", () => {
  let count = 0;
  for (const section of read("expected.txt").toString().matchAll(SECTION)) {
    const [, file = "", status, said, verboseStatus, saidMore, dir, pag] = section;
    const source = compiled(file);
    const files = encodeHelp(source.entries);
    expect({
      file,
      status: String(helpStatus(source, false)),
      said: messages(source, false),
      verboseStatus: String(helpStatus(source, true)),
      // The recording has what goes to standard output before the rest.
      saidMore: messages(source, true).split("\n").sort(),
      dir: hexLines(files.dir, 24),
      pag: hexLines(files.pag, 120),
    }).toEqual({
      file,
      status: status ?? "",
      said: said ?? "",
      verboseStatus: verboseStatus ?? "",
      saidMore: (saidMore ?? "").split("\n").sort(),
      dir: dir ?? "",
      pag: pag ?? "",
    });
    count += 1;
  }
  expect(count).toBe(10);
});

test("texts are found by metric and by instance domain", () => {
  const help = decodeHelp(encodeHelp(compiled("basic.help").entries));
  const one = pmidBuild(77, 0, 0);
  expect(help.text("metric", one, "oneline")).toBe("first metric of the demo");
  expect(help.text("metric", one, "help")).toContain("It has two lines.");
  expect(help.text("instance domain", indomBuild(77, 3), "help")).toBe("Indom help.");
  expect(help.text("instance domain", indomBuild(77, 1), "help")).toBe("");
  expect(help.text("metric", pmidBuild(77, 0, 99), "help")).toBeUndefined();
  expect(help.text("metric", indomBuild(77, 3), "help")).toBeUndefined();
});

test("of several entries with one key the first counts for metrics, the last for domains", () => {
  const entry = { key: "x", text: "" };
  const help = decodeHelp(
    encodeHelp([
      { ...entry, ident: 0x13400001, oneline: "first" },
      { ...entry, ident: 0x13400001, oneline: "second" },
      { ...entry, ident: 0x93400001, oneline: "first" },
      { ...entry, ident: 0x93400001, oneline: "second" },
    ]),
  );
  expect(help.text("metric", 0x13400001, "oneline")).toBe("first");
  expect(help.text("instance domain", 0x13400001, "oneline")).toBe("second");
});

test("directories that are none are refused, places outside the texts have none", () => {
  const { dir, pag } = encodeHelp(compiled("basic.help").entries);
  const wrong = [dir.subarray(0, 11), dir.subarray(0, 24), new Uint8Array(24)];
  for (const bytes of wrong) expect(() => decodeHelp({ dir: bytes, pag })).toThrow(PcpError);
  const cut = decodeHelp({ dir, pag: pag.subarray(0, 20) });
  expect(cut.text("metric", pmidBuild(77, 0, 0), "help")).toBeUndefined();
});

test("byte order follows the magic number", () => {
  const { dir, pag } = encodeHelp(compiled("order.help").entries);
  const swapped = Buffer.from(dir).swap32();
  const help = decodeHelp({ dir: swapped, pag });
  expect(help.text("metric", pmidBuild(77, 0, 0), "help")).toBe("t1");
});

testWith("pcp6", "the compiled help of a real agent can be read", () => {
  const base = "/var/lib/pcp/pmdas/pmcd/help";
  const help = decodeHelp({ dir: readFileSync(`${base}.dir`), pag: readFileSync(`${base}.pag`) });
  expect(help.text("metric", pmidBuild(2, 0, 0), "oneline")).toMatch(/PMCD/);
});

test("a source is read when its first text is wanted, with the symbol of the domain", () => {
  const said: string[] = [];
  const bytes = Buffer.from("@ DEMO.3 domain\nhelp\n@ demo.one first\ntext\n@ demo.four x\ny\n");
  let known = false;
  const help = sourceHelp(
    { file: "help", bytes },
    77,
    (name) => {
      expect(known).toBe(true);
      return names.lookup(name);
    },
    ({ text }) => said.push(text),
  );
  known = true;
  expect(help.text("instance domain", indomBuild(77, 3), "oneline")).toBe("domain");
  expect(help.text("metric", pmidBuild(77, 0, 0), "help")).toBe("text");
  expect(said).toEqual(["newhelp: [help:7] demo.four: Unknown metric name, entry abandoned"]);
});
