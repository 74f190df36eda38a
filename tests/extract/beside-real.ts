// The engine beside the real pmlogextract of PCP 7: the same inputs and options for both, in one folder that
// both reach under its own path, and what is different of what they said, their status and the bytes of
// their files. Also draws options from a seed.
import { chmodSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { extract, type ExtractJob } from "../../lib/extract/mod.ts";
import { pcp7 } from "../helpers/pcp7.ts";
import { must } from "../helpers/process.ts";

/** One run: arguments of the real program, and the same as a job. */
export interface Case {
  readonly argv: readonly string[];
  readonly inputs: readonly string[];
  readonly options: Omit<ExtractJob, "inputs" | "output">;
}

/** Small whole numbers from a seed. */
export function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 0x1_0000_0000) * below);
  };
}

/** Options in both forms; each is there or not. */
export function randomOptions(random: (below: number) => number): Omit<Case, "inputs"> {
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

/** What a run said, without what is never the same, and the free dump of culled metrics. */
const plainText = (text: string, base: string): string =>
  text
    .replaceAll(base, "OUT")
    // Names that an old writer padded with NUL.
    .replace(/\b(from|to) {2,}/g, "$1 ")
    .replace(/^\[[^\]]*\] pmlogextract\(\d+\) .*\n/gm, "")
    .replace(/^__pmResult dump from[\s\S]*?(?=^pmlogextract: |(?![\s\S]))/gm, "");

/** All runs of the real program, in one visit to its root. */
async function runReal(folder: string, cases: readonly Case[]): Promise<void> {
  const quoted = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;
  const lines = cases.map(({ argv, inputs }, i) => {
    const words = [...argv, ...inputs, `real${i}`].map(quoted).join(" ");
    return `pmlogextract ${words} >real${i}_out 2>real${i}_err; echo $? >real${i}_status`;
  });
  const script = join(folder, "runs.sh");
  writeFileSync(script, `cd ${quoted(folder)}\nexport TZ=UTC\n${lines.join("\n")}\n`);
  chmodSync(script, 0o755);
  await must(pcp7.command(["sh", script]));
}

/** What ours does otherwise in a folder with the inputs of all cases, and how many were compared. */
export async function differences(
  folder: string,
  cases: readonly Case[],
): Promise<{ readonly different: readonly string[]; readonly compared: number }> {
  await runReal(folder, cases);
  const here = process.cwd();
  process.chdir(folder);
  const different: string[] = [];
  let compared = 0;
  try {
    for (const [i, { argv, inputs, options }] of cases.entries()) {
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
      compared++;
      if (Bun.deepEquals(ours, real)) continue;
      const which = [...argv, ...inputs].join(" ");
      different.push(`${which}: ${JSON.stringify(real)} and ours ${JSON.stringify(ours)}`);
    }
  } finally {
    process.chdir(here);
  }
  return { different, compared };
}
