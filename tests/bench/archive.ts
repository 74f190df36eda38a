// Archives beside the C library, each measurement in a process of its own, ours and theirs in turn:
// walks of cached volumes in both directions, places by time, opening, compressed volumes. libpcp
// decodes every record that it steps over; ours is measured without a look at values and with
// every value set checked. Asserts nothing. run.ts shows the rows; by hand:
//
//   bun tests/bench/archive.ts [--rounds N] [--seconds S] [--only TEXT]
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { zstdCompressSync } from "node:zlib";
import { PM_TYPE } from "../../lib/pcp/mod.ts";
import { must, privateFolder } from "../helpers/process.ts";
import { makeRepeated, makeSeconds, type Shape, START } from "./archive-make.ts";

/** One figure: ours and that of the C library; `undefined` where it has none. */
export interface ArchiveRow {
  readonly name: string;
  readonly unit: string;
  readonly ours: number;
  readonly real: number | undefined;
  readonly ratio: number | undefined;
}

/** How long each is measured, and how often. */
export interface ArchiveBench {
  readonly rounds: number;
  readonly seconds: number;
  readonly only: string;
  readonly show: (row: ArchiveRow) => void;
}

type Figures = Readonly<Record<string, number>>;
type Run = (argv: readonly string[]) => Promise<Figures>;

const root = join(import.meta.dir, "../..");
const program = join(root, ".cache/archive");
const TIMEOUT = { timeoutMs: 120_000 };
const SECONDS_RECORDS = 3000;

const median = (numbers: readonly number[]): number =>
  numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? Number.NaN;

const read = async (argv: readonly string[]): Promise<Figures> =>
  JSON.parse(await must(argv, TIMEOUT)) as Figures;

const ours: Run = (argv) =>
  read([process.execPath, join(import.meta.dir, "archive-ours.ts"), ...argv]);

/** The C side, built when there are a compiler and a libpcp. */
async function realSide(): Promise<Run | undefined> {
  if (Bun.which("cc") === null) return undefined;
  mkdirSync(join(root, ".cache"), { recursive: true });
  await must(["cc", "-O2", "-o", program, join(import.meta.dir, "archive.c"), "-ldl"]);
  const { exitCode } = Bun.spawnSync([program, "there", "-"]);
  return exitCode === 0 ? (argv) => read([program, ...argv]) : undefined;
}

/** What is measured on one archive: some of our ways, one of theirs. */
interface Case {
  readonly name: string;
  readonly unit: string;
  /** Our ways with what tells them apart, and arguments beside the common ones. */
  readonly ways: readonly (readonly [title: string, ...more: string[]])[];
  readonly argv: readonly string[];
  /** One number out of the figures. */
  readonly of: (figures: Figures) => number;
  readonly lowerIsBetter?: boolean;
  /** Whether libpcp can do it, too. */
  readonly real?: boolean;
}

const BOTH = [
  ["frames", "frames"],
  ["values", "values"],
] as const;

const SHAPES: readonly (readonly [name: string, shape: Shape])[] = [
  ["small", { metrics: 1, inRecord: 1, instances: 1, type: PM_TYPE.U64, bytes: 100e6 }],
  ["4 KB, in situ", { metrics: 50, inRecord: 50, instances: 9, type: PM_TYPE.U32, bytes: 200e6 }],
  ["4 KB, blocks", { metrics: 20, inRecord: 20, instances: 10, type: PM_TYPE.U64, bytes: 200e6 }],
  ["200 KB", { metrics: 20, inRecord: 20, instances: 500, type: PM_TYPE.U64, bytes: 200e6 }],
];

function walks(name: string, base: string, length: number, seconds: string): Case[] {
  const small = length < 1000;
  const rate = ({ rate: records = 0 }: Figures): number =>
    small ? records / 1e6 : (records * length) / 1e9;
  const unit = small ? "M records/s" : "GB/s";
  return ["forward", "backward"].map((direction) => ({
    name: `${name} (${length} bytes), ${direction}`,
    unit,
    ways: direction === "forward" ? BOTH : [["values", "values"]],
    argv: ["walk", base, seconds, direction],
    of: rate,
  }));
}

const COMPRESSORS: readonly (readonly [suffix: string, argv: readonly string[] | undefined])[] = [
  ["xz", ["xz", "-0", "--block-size=10MiB", "-k"]],
  ["gz", ["gzip", "-k"]],
  ["bz2", ["bzip2", "-k"]],
  ["zst", undefined],
];

/** The same archive with its volume compressed in each way; the C library has no zstd in 6.0. */
async function compressed(folder: string, plain: string): Promise<Case[]> {
  const bytes = statSync(`${plain}.0`).size;
  const cases: Case[] = [];
  for (const [suffix, argv] of COMPRESSORS) {
    if (argv !== undefined && Bun.which(argv[0] ?? "") === null) continue;
    const base = join(folder, `packed-${suffix}`);
    for (const end of ["meta", "index", "0"]) {
      writeFileSync(`${base}.${end}`, readFileSync(`${plain}.${end}`));
    }
    if (argv === undefined)
      writeFileSync(`${base}.0.zst`, zstdCompressSync(readFileSync(`${base}.0`)));
    else await must([...argv, `${base}.0`], TIMEOUT);
    rmSync(`${base}.0`);
    cases.push({
      name: `.${suffix} volume, opened and read once`,
      unit: "MB/s",
      ways: [["values"]],
      argv: ["pass", base],
      of: ({ seconds = Number.NaN }) => bytes / seconds / 1e6,
      real: suffix !== "zst",
    });
  }
  return cases;
}

/** Fetches as clients make them, through a context with the wrapper of derived metrics and without. */
function fetches(name: string, base: string, seconds: string, most: number): Case[] {
  const of = ({ rate = 0 }: Figures): number => rate;
  const rows = [
    ["forward", most],
    ["interp+", 1],
    ["interp+", most],
    ["interp-", most],
  ] as const;
  return rows.map(([how, count]) => ({
    name: `fetches, ${how}, ${count} of ${most} metrics, ${name}`,
    unit: "/s",
    ways: [
      ["plain", "plain"],
      ["context", "derived"],
    ],
    argv: ["fetch", base, seconds, how, `${count}`],
    of,
  }));
}

async function cases(folder: string, seconds: number, only: string): Promise<Case[]> {
  const found: Case[] = [];
  SHAPES.forEach(([name, shape], i) => {
    if (!name.includes(only) && !"walk".includes(only)) return;
    const base = join(folder, `walk${i}`);
    found.push(...walks(name, base, makeRepeated(base, shape), `${seconds}`));
  });
  const base = join(folder, "seconds");
  makeSeconds(base, SECONDS_RECORDS);
  if ("fetches".includes(only)) {
    const singles = join(folder, "singles");
    makeSeconds(singles, SECONDS_RECORDS, 100, 1);
    found.push(...fetches("value", singles, `${seconds}`, 100));
    found.push(...fetches("8 values each", base, `${seconds}`, 50));
    if (only !== "") return found;
  }
  found.push({
    name: "places by time, and the record there",
    unit: "/s",
    ways: [["values"]],
    argv: ["seek", base, `${seconds}`, `${START}`, `${START + SECONDS_RECORDS}`],
    of: ({ rate = 0 }) => rate,
  });
  if ("volume".includes(only)) found.push(...(await compressed(folder, base)));
  const wide = join(folder, "wide");
  const shape = { metrics: 5000, inRecord: 20, instances: 20_000, type: PM_TYPE.U64, bytes: 1e6 };
  makeRepeated(wide, shape);
  found.push({
    name: "open 5,000 metrics, 20,000 instances",
    unit: "ms",
    ways: [["first in a process"]],
    argv: ["open", wide],
    of: ({ ms = Number.NaN }) => ms,
    lowerIsBetter: true,
  });
  return found;
}

/** Measures everything; gives each row as soon as it is there. */
export async function benchArchives(bench: ArchiveBench): Promise<void> {
  const { rounds, seconds, only, show } = bench;
  const real = await realSide();
  const folder = privateFolder("bench");
  try {
    for (const each of await cases(folder, seconds, only)) {
      const samples = new Map<string, number[]>(each.ways.map(([title]) => [title, []]));
      const theirs: number[] = [];
      for (let round = 0; round < rounds; round++) {
        for (const [title, ...more] of each.ways) {
          samples.get(title)?.push(each.of(await ours([...each.argv, ...more])));
        }
        if (real !== undefined && each.real !== false) theirs.push(each.of(await real(each.argv)));
      }
      const other = theirs.length === 0 ? undefined : median(theirs);
      for (const [title, numbers] of samples) {
        const value = median(numbers);
        const ratio =
          other === undefined ? undefined : each.lowerIsBetter ? other / value : value / other;
        show({ name: `${each.name}, ${title}`, unit: each.unit, ours: value, real: other, ratio });
      }
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const number = (value: number | undefined): string =>
  value === undefined
    ? "-"
    : value >= 1000
      ? Math.round(value).toLocaleString("en")
      : value.toFixed(2);

/** A row as a line of text. */
export const archiveLine = ({ name, unit, ours: value, real, ratio }: ArchiveRow): string =>
  `${name.padEnd(56)} ${number(value).padStart(10)} ${number(real).padStart(10)} ` +
  `${unit.padEnd(12)} ${number(ratio).padStart(7)}`;

if (import.meta.main) {
  const { values: args } = parseArgs({
    options: {
      rounds: { type: "string", default: "3" },
      seconds: { type: "string", default: "0.5" },
      only: { type: "string", default: "" },
    },
  });
  await benchArchives({
    rounds: Number(args.rounds),
    seconds: Number(args.seconds),
    only: args.only,
    show: (row) => console.log(archiveLine(row)),
  });
}
