// Goal: for the same inputs and options the engine makes the same bytes in every file as the real program,
// says the same and ends with the same status: over all recorded archives in both versions, damaged
// ones among them, and over seeded random merges, volumes, windows and selections.
import { expect, test } from "bun:test";
import { chmodSync, cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { extract, type ExtractJob, type Selection } from "../../lib/extract/mod.ts";
import { pcp7 } from "../helpers/pcp7.ts";
import { describePeer } from "../helpers/peers.ts";
import { must, privateFolder } from "../helpers/process.ts";

const originals = join(import.meta.dir, "../fixtures/archives");
const folder = privateFolder("extract-differential");

/** One run: arguments of the real program, and the same as a job. */
interface Case {
  readonly argv: readonly string[];
  readonly inputs: readonly string[];
  readonly options: Omit<ExtractJob, "inputs" | "output">;
}

/** Archives of a folder of the fixtures, plain ones only: the real root has no decompressors. */
const archivesIn = (kind: string): string[] =>
  readdirSync(join(originals, kind))
    .filter((name) => name.endsWith(".meta"))
    .map((name) => `${kind}/${name.slice(0, -".meta".length)}`)
    .sort();

/** Damage whose report in PCP 7.2 is known to be another one, and times that it cannot compare. */
const LEFT_OUT: ReadonlySet<string> = new Set(["gen/y2200-v3"]);
const GOOD = ["rec", "gen", "set"].flatMap(archivesIn).filter((name) => !LEFT_OUT.has(name));

/** Small whole numbers from a seed. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 0x1_0000_0000) * below);
  };
}

/** Options in both forms; each is there or not. */
function randomOptions(random: (below: number) => number): Omit<Case, "inputs"> {
  const argv: string[] = [];
  let options: Omit<ExtractJob, "inputs" | "output"> = {};
  const often = (part: number): boolean => random(10) < part;
  const add = (words: readonly string[], more: typeof options): void => {
    argv.push(...words);
    options = { ...options, ...more };
  };
  if (often(4)) add(["-V", "3"], { version: 3 });
  if (often(3)) add(["-m"], { alwaysMark: true });
  if (often(8)) add(["-x"], { skipConflicts: true });
  if (often(2)) add(["-f"], { firstTimezone: true });
  if (often(2)) {
    const samples = 1 + random(25);
    add(["-s", `${samples}`], { samples });
  }
  if (often(4)) {
    const limit = [3, 7, 2000, 20_000, 5][random(5)] as number;
    const kind = limit === 5 ? "seconds" : limit >= 2000 ? "bytes" : "records";
    const unit = { records: "", bytes: "b", seconds: "sec" }[kind];
    add(["-v", `${limit}${unit}`], { volume: { kind, limit } });
  }
  return { argv, options };
}

/** Inputs of one host, so that they can be merged. */
const RELATED = GOOD.filter((name) => /^(rec\/v[23]-(types|dyn|mv|mark|labels))$/.test(name));
const METRICS = [
  "sample",
  "pmcd",
  "sample.bin",
  "sample.long",
  "sample.dupnames",
  "sample.seconds",
];

function randomCases(): Case[] {
  const random = randomFrom(20_231_114);
  const pick = <T>(list: readonly T[]): T => list[random(list.length)] as T;
  const cases: Case[] = [];
  for (let i = 0; i < 40; i++) {
    const { argv, options } = randomOptions(random);
    const inputs = Array.from({ length: 2 + random(3) }, () => pick(RELATED));
    cases.push({ argv, inputs, options });
  }
  for (let i = 0; i < 30; i++) {
    const { argv, options } = randomOptions(random);
    const start = `+${random(6)}`;
    const finish = pick([`-${random(4)}`, `+${random(9)}sec`]);
    const inputs = [pick(GOOD)];
    const daily = random(3) === 0;
    const words = [...argv, "-S", start, "-T", finish, ...(daily ? ["-w"] : [])];
    cases.push({ argv: words, inputs, options: { ...options, start, finish, daily } });
  }
  for (let i = 0; i < 30; i++) {
    const { argv, options } = randomOptions(random);
    const names = Array.from({ length: 1 + random(3) }, () => pick(METRICS));
    const file = `conf${i}`;
    writeFileSync(join(folder, file), `${names.join("\n")}\n`);
    // The C program acts on a name when it has seen the next one, or the end after the last line.
    const requests = names.map((name, at) => ({ name, line: at + 2 }));
    const selection: Selection = { file, requests };
    cases.push({
      argv: [...argv, "-c", file],
      inputs: [pick(RELATED)],
      options: { ...options, selection },
    });
  }
  return cases;
}

const CASES: readonly Case[] = [
  ...GOOD.map((input) => ({ argv: [], inputs: [input], options: {} })),
  ...GOOD.map((input) => ({
    argv: ["-V", "3"],
    inputs: [input],
    options: { version: 3 } as const,
  })),
  ...archivesIn("bad").map((input) => ({ argv: [], inputs: [input], options: {} })),
  ...randomCases(),
];

/** Files that belong to a base name, without the process id in their labels. */
function filesOf(base: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const name of readdirSync(dirname(base)).sort()) {
    if (!name.startsWith(`${basename(base)}.`)) continue;
    const bytes = Uint8Array.from(readFileSync(join(dirname(base), name)));
    if (bytes.length > 12) bytes.fill(0, 8, 12);
    found.set(name.slice(basename(base).length), Bun.hash(bytes).toString(16));
  }
  return found;
}

/** What a run said, without what is never the same and the free dump of culled metrics. */
const plainText = (text: string, base: string): string =>
  text
    .replaceAll(base, "OUT")
    .replace(/^\[[^\]]*\] pmlogextract\(\d+\) .*\n/gm, "")
    .replace(/^__pmResult dump from[\s\S]*?(?=^pmlogextract: |(?![\s\S]))/gm, "");

/** All runs of the real program, in one visit to its root. */
async function runReal(): Promise<void> {
  for (const kind of ["rec", "gen", "set", "bad"]) {
    cpSync(join(originals, kind), join(folder, kind), { recursive: true });
  }
  const quoted = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;
  const lines = CASES.map(({ argv, inputs }, i) => {
    const words = [...argv, ...inputs, `real${i}`].map(quoted).join(" ");
    return `pmlogextract ${words} >real${i}_out 2>real${i}_err; echo $? >real${i}_status`;
  });
  const script = join(folder, "runs.sh");
  writeFileSync(script, `cd ${quoted(folder)}\nexport TZ=UTC\n${lines.join("\n")}\n`);
  chmodSync(script, 0o755);
  await must(pcp7.command(["sh", script]), { timeoutMs: 120_000 });
}

describePeer(["pcp7", "root"], "the same as pmlogextract 7.2", () => {
  test("bytes, words and status", async () => {
    await runReal();
    const here = process.cwd();
    process.chdir(folder);
    const different: string[] = [];
    try {
      for (const [i, { argv, inputs, options }] of CASES.entries()) {
        const read = (what: string): string => readFileSync(`real${i}_${what}`, "utf8");
        let said = "";
        const job = { ...options, inputs, output: `ours${i}`, env: { TZ: "UTC" } };
        const { status } = await extract(job, { say: (text) => (said += text) });
        const ours = {
          status,
          said: plainText(said, `ours${i}`),
          files: [...filesOf(join(folder, `ours${i}`))],
        };
        const real = {
          status: Number(read("status")),
          said: plainText(read("err"), `real${i}`),
          files: [...filesOf(join(folder, `real${i}`))],
        };
        // A fault of the real program's memory: it finds metrics that are in no archive.
        if (real.status > 2 || /metadata for PMID 0\.\d+\.\d+ has/.test(real.said)) continue;
        if (Bun.deepEquals(ours, real)) continue;
        const which = [...argv, ...inputs].join(" ");
        different.push(`${which}: ${JSON.stringify(real)} and ours ${JSON.stringify(ours)}`);
      }
    } finally {
      process.chdir(here);
    }
    expect(existsSync(join(folder, "real0.meta"))).toBe(true);
    expect(different).toEqual([]);
  }, 180_000);
});
