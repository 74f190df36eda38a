// Goal: a dump is byte for byte what pmdumplog of PCP 7 printed for the recorded archives
// (tests/fixtures/archives/pmdumplog.txt), with its options for parts, sizes, order, window, times,
// zone and metrics; damage and overlaps end it with the code that pmdumplog names, after the same text.
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { openArchives, setEnd } from "../../lib/archive/mod.ts";
import { PM_ERR, PcpError, pmErrStr } from "../../lib/base/mod.ts";
import { newZone, now, parseNames, timeWindow, UTC, type Zone } from "../../lib/pcp/mod.ts";
import { dumpArchives, type DumpOptions } from "../../lib/probe/mod.ts";

const FOLDER = join(import.meta.dir, "../fixtures/archives");
const recorded = await Bun.file(join(FOLDER, "pmdumplog.txt")).text();

/** What an option letter without an argument asks for. */
const LETTERS: Readonly<Record<string, DumpOptions>> = {
  a: { all: true },
  d: { descriptors: true },
  e: { labels: true },
  h: { texts: true },
  i: { instances: true },
  I: { storedInstances: true },
  l: { label: "short" },
  L: { label: "long" },
  m: { values: true },
  M: { marks: true },
  r: { reverse: true },
  s: { sizes: true },
  t: { index: true },
};

interface Run {
  readonly options: DumpOptions;
  readonly names: string;
  readonly start: string | undefined;
  readonly finish: string | undefined;
}

/** The arguments of a recorded run. */
function runOf(text: string): Run {
  const words = text.split(" ");
  let options: DumpOptions = {};
  let start: string | undefined;
  let finish: string | undefined;
  while (words[0]?.startsWith("-") === true) {
    const letters = (words.shift() ?? "").slice(1);
    for (const letter of letters) {
      const { extended = 0 } = options;
      if (letter === "x") options = { ...options, extended: (extended + 1) as 1 | 2 | 3 };
      else if (letter === "Z") options = { ...options, zone: newZone(words.shift() ?? "") };
      else if (letter === "S") start = words.shift();
      else if (letter === "T") finish = `${words.shift()}`;
      else options = { ...options, ...LETTERS[letter] };
    }
  }
  const [names = "", ...metrics] = words;
  return { options: { ...options, metrics }, names, start, finish };
}

const inFolder = (names: string): string =>
  names
    .split(",")
    .map((name) => join(FOLDER, name))
    .join(",");

/** Text and error of our dump, with names as they were given. */
function ourDump({ options, names, start, finish }: Run): string {
  let text = "";
  const zone: Zone = options.zone ?? UTC;
  try {
    const set = openArchives(inFolder(names));
    const bounds = { start: set.label.start, finish: setEnd(set) };
    const found = timeWindow({ start, finish }, bounds, { zone, now: now() });
    const window = {
      ...(start === undefined ? {} : { start: found.start }),
      ...(finish === undefined || found.finish === undefined ? {} : { finish: found.finish }),
    };
    for (const piece of dumpArchives(set, { ...options, ...window })) {
      expect(piece.endsWith("\n")).toBe(true);
      text += piece;
    }
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
    text += `--- error ---\n${pmErrStr(error.code)}\n`;
  }
  return text.replaceAll(`${FOLDER}/`, "");
}

/** What pmdumplog printed, without what only a program says: its name, the call, notes, warnings. */
const theirDump = (text: string): string =>
  text
    .replace(/^Note: timezone set to .*\n\n/m, "")
    .replace(/^--- error ---\nWarning: .*\n/m, "")
    .replace(/^No metric names can be translated, dump abandoned\n/m, "")
    .replace(/^pmdumplog: .*: /m, "");

describe("as pmdumplog of PCP 7", () => {
  for (const part of recorded.split(/^=== /m).slice(1)) {
    const end = part.indexOf("\n");
    const args = part.slice(0, end);
    test(args, () => expect(ourDump(runOf(args))).toBe(theirDump(part.slice(end + 1))));
  }
});

test("names of a name space of its own take the place of those in the archive", () => {
  const names = parseNames("root {\n foo\n}\nfoo {\n secs 29:0:2\n other 99:1:1\n}\n");
  const set = openArchives(join(FOLDER, "rec/v3-types"));
  const dump = (options: DumpOptions): string =>
    [...dumpArchives(set, { ...options, names })].join("");
  const descriptors = dump({ descriptors: true });
  expect(descriptors).toContain("\nPMID: 29.0.2 (foo.secs)\n");
  expect(descriptors).toContain("\nPMID: 29.0.3 (<noname>)\n");
  expect(dump({ metrics: ["foo"] })).toStartWith(
    "\n20:53:02.443110872 1 metric\n    29.0.2 (foo.secs): value 557\n",
  );
  expect(() => dump({ metrics: ["sample.seconds"] })).toThrow();
});

test("metrics are looked up before anything is printed of them", () => {
  const set = openArchives(join(FOLDER, "rec/v3-types"));
  const dump = dumpArchives(set, { metrics: ["sample.seconds", "no.such"] });
  expect(() => dump.next()).toThrow(expect.objectContaining({ code: PM_ERR.NAME }));
});

test("a dump that is not read to its end lets go of its files", () => {
  const open = (): number => [...new Bun.Glob("*").scanSync("/proc/self/fd")].length;
  const before = process.platform === "linux" ? open() : 0;
  for (const _ of dumpArchives(openArchives(join(FOLDER, "rec/v3-types")))) break;
  expect(process.platform === "linux" ? open() : 0).toBe(before);
});
