// Extraction beside the real pmlogextract: copies of small and large records, conversion, merges, a
// selection, windows. Both in turn on the same inputs, which lie in the system's cache; wall time,
// processor time of user and system together, and peak memory. Asserts nothing but that both succeed
// and write as much. run.ts shows the rows; by hand:
//
//   bun tests/bench/extract.ts [--rounds N] [--only TEXT] [--program FILE]
import { existsSync, mkdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { PM_TYPE } from "../../lib/pcp/mod.ts";
import { must, privateFolder } from "../helpers/process.ts";
import { makeRepeated, type Shape, START } from "./archive-make.ts";

/** One run of a program: seconds, seconds, megabytes. */
interface Usage {
  readonly status: number;
  readonly wall: number;
  readonly cpu: number;
  readonly peak: number;
}

/** Medians of one case. */
export interface ExtractRow {
  readonly name: string;
  readonly ours: Usage;
  readonly real: Usage;
}

export interface ExtractBench {
  readonly rounds: number;
  readonly only: string;
  /** The executable to measure. */
  readonly program: string;
  readonly show: (row: ExtractRow) => void;
}

interface Case {
  readonly name: string;
  /** Makes the inputs below a folder; gives the arguments before the output. */
  readonly make: (folder: string) => readonly string[];
  /** Release 6 takes the whole last second into the window (spec extract.md 10): it writes more. */
  readonly wholeSeconds?: boolean;
}

const root = join(import.meta.dir, "../..");
const rusage = join(root, ".cache/rusage");
const REAL = "/usr/bin/pmlogextract";
const TIMEOUT = { timeoutMs: 120_000 };

const small: Shape = { metrics: 1, inRecord: 1, instances: 1, type: PM_TYPE.U64, bytes: 40e6 };
const usual: Shape = { metrics: 50, inRecord: 50, instances: 9, type: PM_TYPE.U64, bytes: 200e6 };
const large: Shape = { metrics: 20, inRecord: 20, instances: 500, type: PM_TYPE.U64, bytes: 200e6 };

/** An archive of its own for a case; one that was made before is used again. */
function archive(folder: string, name: string, shape: Shape): string {
  const base = join(folder, name);
  if (!existsSync(`${base}.meta`)) makeRepeated(base, shape);
  return base;
}

/** Ten archives, one after the other or all of the same time. */
const ten = (folder: string, name: string, gap: number, step: number): string[] =>
  Array.from({ length: 10 }, (_, i) =>
    archive(folder, `${name}${i}`, { ...usual, bytes: 20e6, from: i * gap, every: step }),
  );

/** Half of the metrics, and of one of them some instances. */
function config(folder: string): string {
  const path = join(folder, "config");
  const groups = Array.from({ length: 25 }, (_, i) => `bench.group${(2 * i) & 63}`);
  writeFileSync(path, `${groups.join("\n")}\nbench.group1 [1, 3, "instance number 5"]\n`);
  return path;
}

const clock = (milliseconds: number): string =>
  `@${new Date(START * 1000 + milliseconds).toUTCString().slice(5, 25)}`;

const zoned = (from: number, to: number): readonly string[] => [
  "-Z",
  "UTC",
  "-S",
  clock(from),
  "-T",
  clock(to),
];

const CASES: readonly Case[] = [
  { name: "copy, small records, v3", make: (at) => [archive(at, "small", small)] },
  {
    name: "copy, small records, v2",
    make: (at) => [archive(at, "small2", { ...small, version: 2 })],
  },
  { name: "copy, 7 KB records, v3", make: (at) => [archive(at, "usual", usual)] },
  {
    name: "copy, 7 KB records, v2",
    make: (at) => [archive(at, "usual2", { ...usual, version: 2 })],
  },
  { name: "copy, 200 KB records, v3", make: (at) => [archive(at, "large", large)] },
  {
    name: "convert, 7 KB records, v2 to v3",
    make: (at) => ["-V", "3", archive(at, "usual2", { ...usual, version: 2 })],
  },
  { name: "merge of 10, one after the other", make: (at) => ten(at, "after", 100_000, 20) },
  { name: "merge of 10, all of one time", make: (at) => ten(at, "beside", 2, 20) },
  {
    name: "selection, 7 KB records",
    make: (at) => ["-c", config(at), archive(at, "usual", usual)],
  },
  {
    name: "window, second half of 7 KB records",
    make: (at) => [...zoned(14_000, 60_000), archive(at, "usual", usual)],
  },
  {
    name: "window, a second of small records",
    wholeSeconds: true,
    make: (at) => [...zoned(500_000, 501_000), archive(at, "small", small)],
  },
];

const middle = (numbers: readonly number[]): number =>
  numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? Number.NaN;

const median = (runs: readonly Usage[]): Usage => ({
  status: 0,
  wall: middle(runs.map(({ wall }) => wall)),
  cpu: middle(runs.map(({ cpu }) => cpu)),
  peak: middle(runs.map(({ peak }) => peak)),
});

/** Runs a program once; what it took, and how much it wrote. */
async function measure(
  folder: string,
  program: readonly string[],
  argv: readonly string[],
): Promise<readonly [Usage, number]> {
  const made = join(folder, "made");
  mkdirSync(made);
  const log = join(folder, "log");
  const text = await must([rusage, log, ...program, ...argv, join(made, "out")], TIMEOUT);
  const usage = JSON.parse(text) as Usage;
  if (usage.status !== 0) throw new Error(`${program[0]}: ${await Bun.file(log).text()}`);
  // Release 6 may have an index entry more (spec extract.md 12).
  const bytes = statSync(join(made, "out.0")).size;
  rmSync(made, { recursive: true });
  return [usage, bytes];
}

/** Measures everything; gives each row as soon as it is there. Nothing where the real one is not. */
export async function benchExtract({ rounds, only, program, show }: ExtractBench): Promise<void> {
  if (!existsSync(REAL) || Bun.which("cc") === null) return;
  mkdirSync(join(root, ".cache"), { recursive: true });
  await must(["cc", "-O2", "-o", rusage, join(import.meta.dir, "rusage.c")]);
  const folder = privateFolder("bench");
  try {
    for (const { name, make, wholeSeconds = false } of CASES) {
      if (!name.includes(only)) continue;
      const argv = make(folder);
      const ours: Usage[] = [];
      const real: Usage[] = [];
      // What is written to disk meanwhile must not be that of another run.
      await must(["sync"], TIMEOUT);
      for (let round = 0; round < rounds; round++) {
        const [mine, bytes] = await measure(folder, [program, "extract"], argv);
        const [theirs, expected] = await measure(folder, [REAL], argv);
        if (bytes !== expected && !wholeSeconds)
          throw new Error(`${name}: ${bytes} bytes, ${expected} expected`);
        ours.push(mine);
        real.push(theirs);
      }
      show({ name, ours: median(ours), real: median(real) });
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const pair = (ours: number, real: number, digits: number): string =>
  `${ours.toFixed(digits).padStart(7)} ${real.toFixed(digits).padStart(7)} ` +
  `${(real / ours).toFixed(2).padStart(6)}`;

export const extractHead = `${"".padEnd(36)} ${"wall, s".padStart(22)} | ${"CPU, s".padStart(22)} | ${"peak, MB".padStart(22)}`;

/** A row as a line of text. */
export const extractLine = ({ name, ours, real }: ExtractRow): string =>
  `${name.padEnd(36)} ${pair(ours.wall, real.wall, 2)} | ${pair(ours.cpu, real.cpu, 2)} | ` +
  pair(ours.peak, real.peak, 0);

if (import.meta.main) {
  const { values: args } = parseArgs({
    options: {
      rounds: { type: "string", default: "3" },
      only: { type: "string", default: "" },
      program: { type: "string", default: join(root, "dist/pcpbox") },
    },
  });
  console.log(extractHead);
  await benchExtract({
    rounds: Number(args.rounds),
    only: args.only,
    program: args.program,
    show: (row) => console.log(extractLine(row)),
  });
}
