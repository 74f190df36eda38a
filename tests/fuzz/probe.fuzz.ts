// Fuzzes what is said of damaged archives: report with its checks, picture and dump, over changed
// copies of recorded ones. The promise: a report always comes and is plain data, a dump ends in text or
// a PcpError, nothing takes long, lists stay within their limits.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { labelBytes, openArchives } from "../../lib/archive/mod.ts";
import { PcpError } from "../../lib/base/mod.ts";
import { UTC } from "../../lib/pcp/mod.ts";
import { archiveReport, dumpArchives, timelineLines } from "../../lib/probe/mod.ts";
import { hex } from "../helpers/vector.ts";
import { FuzzFinding, type Fuzzer, mutate, type Random, seeded } from "./random.ts";

/** A report and a dump of so small an archive take milliseconds; this means a runaway loop. */
const TIME_LIMIT_MS = 3000;
/** Lists of a report hold at most as many. */
const MOST = 1000;
/** Text that a dump of so small an archive does not exceed, even when it repeats itself. */
const MOST_TEXT = 64_000_000;

const FOLDER = join(import.meta.dir, "../fixtures/archives/rec");
interface Input {
  readonly name: string;
  readonly files: readonly { readonly end: string; readonly bytes: Uint8Array }[];
}

function inputs(): Input[] {
  const found = new Map<string, { readonly end: string; readonly bytes: Uint8Array }[]>();
  for (const file of readdirSync(FOLDER).toSorted()) {
    const dot = file.lastIndexOf(".");
    const files = found.get(file.slice(0, dot)) ?? [];
    files.push({ end: file.slice(dot), bytes: new Uint8Array(readFileSync(join(FOLDER, file))) });
    found.set(file.slice(0, dot), files);
  }
  return [...found].map(([name, files]) => ({ name, files }));
}

/** Writes a copy in which one or two files are changed, mostly behind their labels. */
function writeChanged(base: string, { files }: Input, random: Random): string {
  const all = files.map(({ bytes }) => bytes);
  const chosen = new Set([random.below(files.length), random.below(files.length)]);
  let reproducer = "";
  for (const [i, { end, bytes }] of files.entries()) {
    let content = bytes;
    if (chosen.has(i)) {
      const first = random.below(16) === 0 ? 0 : labelBytes(bytes[7] === 2 ? 2 : 3);
      const rest = mutate(bytes.subarray(first), random, all);
      content = new Uint8Array(Buffer.concat([bytes.subarray(0, first), rest]));
      reproducer += `${end}: ${hex(content)}\n`;
    }
    writeFileSync(base + end, content);
  }
  return reproducer;
}

function checkReport(base: string): void {
  const report = archiveReport(base, { check: true });
  if (JSON.stringify(JSON.parse(JSON.stringify(report))) !== JSON.stringify(report)) {
    throw new Error("the report is no plain data");
  }
  for (const line of timelineLines(report, { width: 80, zone: UTC })) {
    if ([...line].length > 80) throw new Error("the picture is too wide");
  }
  for (const { damage, spacing, marks, check, missingVolumes } of report.members) {
    for (const list of [damage, spacing.gaps, marks, check?.findings ?? [], missingVolumes]) {
      if (list.length > MOST) throw new Error(`a list of ${list.length}`);
    }
  }
}

function checkDump(base: string): void {
  const parts = { labels: true, texts: true, storedInstances: true, extended: 3 } as const;
  let length = 0;
  try {
    for (const text of dumpArchives(openArchives(base), { all: true, ...parts })) {
      length += text.length;
      if (length > MOST_TEXT) throw new Error("the dump does not end");
    }
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
  }
}

/** An archive of three files is written, reported and dumped in the time of so many other inputs. */
const WORTH = 20;

/** Fuzzes reports, pictures and dumps of archives. */
export const fuzzProbe: Fuzzer = (seed, inputsOfOthers) => {
  const iterations = Math.ceil(inputsOfOthers / WORTH);
  const random = seeded(seed);
  const all = inputs();
  const folder = mkdtempSync(join(tmpdir(), "pcpbox-fuzz-"));
  try {
    for (let iteration = 0; iteration < iterations; iteration++) {
      const input = random.pick(all);
      const base = join(folder, `${iteration}-${input.name}`);
      const reproducer = writeChanged(base, input, random);
      const start = performance.now();
      try {
        checkReport(base);
        checkDump(base);
        if (performance.now() - start > TIME_LIMIT_MS) throw new Error("took too long");
      } catch (error) {
        const what = `${input.name}: ${String(error)}`;
        throw new FuzzFinding("probe", seed, iteration, reproducer, what, { cause: error });
      }
      for (const { end } of input.files) rmSync(base + end);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
};
