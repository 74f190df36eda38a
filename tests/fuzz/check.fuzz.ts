// Fuzzes what pmda-run reads from people and from PCP's files: lines of the checking tool, and pmcd.conf
// that is to get or lose an agent. The promises: a command, or a mistake within its line; a change
// that is the same the second time, and leaves the agents alone that it is not about.
import { DEBUG_OPTIONS } from "../../lib/cli/mod.ts";
import { parseCommand } from "../../lib/pmda/check-grammar.ts";
import { wordsOf } from "../../lib/pmda/check-words.ts";
import { confWith, confWithout, type InstalledAgent } from "../../lib/pmda/install.ts";
import { FuzzFinding, type Fuzzer, type Random, seeded } from "./random.ts";

const PIECES = [
  ["open", "pipe", "dso", "socket", "inet", "unix", "close", "desc", "fetch", "store", "label"],
  ["instance", "instances", "profile", "indom", "cluster", "item", "all", "none", "add", "delete"],
  ["attr", "debug", "help", "wait", "status", "name", "pmid", "children", "traverse", "quit", "?"],
  ["1", "29.0.1", "253.0", "1.2.3.4", "-1", "99999999999999999999", "a.b", "/x/y", "./x", "-d"],
  ['"x y"', "'z'", '"', "'", "#", '""', "@", "$", ";", " ", "  ", "\t", "\0", "\u00e9", "\ud800"],
].flat();

const CONF_PIECES = [
  ["pmcd\t2\tdso\tpmcd_init\t/a/b.so\n", "x 7 pipe binary /a/x -d 7\n", "simple 253 dso i /s.so\n"],
  ["# comment\n", "[access]\n", " [ ACCESS ]\n", 'allow "*" : all;\n', "\n", "\\\n", "x 7 \\\n"],
  [
    "other 253 pipe binary /o\n",
    "simple 12 pipe binary /o\n",
    "\t",
    '"',
    "#",
    "9 9 9\n",
    "x",
    "\r\n",
  ],
].flat();

const textOf = (random: Random, pieces: readonly string[], most: number): string =>
  Array.from({ length: random.below(most) }, () => random.pick(pieces)).join(
    pieces === PIECES ? random.pick(["", " ", " "]) : "",
  );

function checkLine(line: string): void {
  const parsed = parseCommand(wordsOf(line), line.length, { debugNames: DEBUG_OPTIONS });
  if (parsed.mistake === undefined) return;
  const { read } = parsed.mistake;
  if (!(read >= 0 && read <= line.length + 1)) throw new Error(`mistake at ${read}`);
}

const AGENT: InstalledAgent = {
  name: "simple",
  domain: 253,
  transport: { kind: "pipe", notready: false },
  command: ["/usr/bin/pcpbox", "pmda-run", "simple", "with blank", 'a"b#c'],
};

/** Lines that keep an agent of neither this name nor this domain. */
const others = (text: string): string =>
  text
    .split("\n")
    .filter((line) => line.startsWith("pmcd\t2\t"))
    .join("\n");

function checkConf(text: string): void {
  const once = confWith("conf", text, AGENT).text;
  if (confWith("conf", once, AGENT).text !== once)
    throw new Error("another result the second time");
  const gone = confWithout("conf", once, AGENT.name, AGENT.domain).text;
  if (/^simple\t253\t/m.test(gone)) throw new Error("the agent stays");
  if (!text.includes("\\\n") && others(gone) !== others(text)) throw new Error("an agent is lost");
}

const fuzzTexts =
  (name: string, pieces: readonly string[], check: (text: string) => void): Fuzzer =>
  (seed, iterations) => {
    const random = seeded(seed);
    for (let iteration = 0; iteration < iterations; iteration++) {
      const text = textOf(random, pieces, 12);
      try {
        check(text);
      } catch (error) {
        const input = Buffer.from(text).toString("hex");
        throw new FuzzFinding(name, seed, iteration, input, String(error), { cause: error });
      }
    }
  };

/** Fuzzes lines of the checking tool. */
export const fuzzCheckLines = fuzzTexts("check", PIECES, checkLine);
/** Fuzzes changes of pmcd.conf. */
export const fuzzInstall = fuzzTexts("install", CONF_PIECES, checkConf);
