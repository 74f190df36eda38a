// Goal: values, plain and interpolated, equal those of the real library, of PCP 6 where both releases agree and of
// PCP 7: over the recorded archives and, where they are installed, over the small ones of PCP's own
// test suite; metrics, steps and offsets are chosen by a seeded generator, in both directions.
// Archives over which the real library is wrong are named here with the reason.
import { Glob } from "bun";
import { expect } from "bun:test";
import { copyFileSync, existsSync, readdirSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { PM_ERR } from "../../lib/base/mod.ts";
import { openArchiveContext } from "../../lib/context/archive.ts";
import { type ArchiveContext, type Mode, PM_MODE } from "../../lib/context/mod.ts";
import {
  type Desc,
  NANOSECONDS,
  PM_SEM,
  PM_TYPE,
  type Pmid,
  secondsBetween,
  type Timestamp,
} from "../../lib/pcp/mod.ts";
import type { PcpTree } from "../helpers/pcp.ts";
import { pcp6 } from "../helpers/pcp6.ts";
import { pcp7 } from "../helpers/pcp7.ts";
import { testWith } from "../helpers/peers.ts";
import { privateFolder } from "../helpers/process.ts";
import { numbers } from "../archive/compressed-sample.ts";
import { codeOf, setText, stepOf, timeText } from "./archive-client.ts";

const RECORDED = join(import.meta.dir, "../fixtures/archives");
const INSTALLED = "/var/lib/pcp/testsuite/archives";
const FIXTURES = [
  "gen/interp-v2",
  "gen/interp-v3",
  "rec/v2-dyn",
  "rec/v2-mark",
  "rec/v3-dyn",
  "rec/v3-mark",
  "rec/v3-mv",
  "rec/v3-types",
];
/** Largest files of archives that take part; compressed ones count ten times. */
const LARGEST = 300_000;
const FETCHES = 16;

const UNFIT: ReadonlySet<string> = new Set([
  // The index leads past the end of the file, or beside it; the real library then says -12373.
  "binning",
  "pcp-mpstat3",
  // Blocks without a type: the real library leaves their numbers in the order of the file.
  "babylon.pmview_v2",
  "bozo.client_v2",
  // Backwards over a mark right after records without values, which the real library does not see.
  "19970807.09.54",
  // Texts that are not UTF-8.
  "value-test",
  "procpid-encode2",
]);

/** Base names of the archives in a folder, without those that are large. */
function smallArchives(folder: string): string[] {
  if (!existsSync(folder)) return [];
  const bases = [...new Glob("*.meta*").scanSync(folder)].map((name) =>
    name.replace(/\.meta.*/, ""),
  );
  const sizes = new Map<string, number>();
  for (const name of readdirSync(folder)) {
    const base = name.replace(/\.(meta|index|\d+)(\.[a-zA-Z0-9]+)?$/, "");
    const factor = /\.(meta|index|\d+)$/.test(name) ? 1 : 10;
    sizes.set(base, (sizes.get(base) ?? 0) + factor * statSync(join(folder, name)).size);
  }
  return bases
    .filter((base) => (sizes.get(base) ?? 0) <= LARGEST && !UNFIT.has(base))
    .sort()
    .map((base) => join(folder, base));
}

interface Question {
  readonly archive: string;
  readonly metric: string;
  readonly mode: Mode;
  readonly start: readonly [number, number];
  readonly delta: readonly [number, number];
  readonly count: number;
}

/** Whether both say the same of such a metric; the release of the real library is given. */
function comparable({ type, sem }: Desc, release: 6 | 7): boolean {
  // Event arrays are in the machine's own order in memory.
  if (type > PM_TYPE.AGGREGATE) return false;
  const numeric = type <= PM_TYPE.DOUBLE;
  if (sem === PM_SEM.COUNTER) return numeric;
  if (release === 6) return !numeric && sem !== PM_SEM.DISCRETE;
  // Discrete values: the next one may be stale there.
  return sem !== PM_SEM.DISCRETE;
}

async function answers(context: ArchiveContext, ask: Question): Promise<string[]> {
  const { pmids } = await context.lookupNames([ask.metric]);
  const desc = await context.desc(pmids[0] as Pmid);
  const [sec, nsec] = ask.start;
  context.setMode(ask.mode, { sec, nsec }, { sec: ask.delta[0], nsec: ask.delta[1] });
  const lines: string[] = [];
  for (let i = 0; i < ask.count; i++) {
    try {
      const { result } = await context.fetch(pmids);
      const set = result.sets();
      set.next();
      lines.push(`${timeText(result.timestamp)}${setText(set, desc)}`);
    } catch (error) {
      const code = codeOf(error);
      lines.push(`err ${code}`);
      if (ask.mode !== PM_MODE.INTERP || code !== PM_ERR.EOL) break;
    }
  }
  return lines;
}

function question(
  archive: string,
  metric: string,
  start: Timestamp,
  span: number,
  next: () => number,
): Question {
  const way = next() % 2 === 0 ? 1 : -1;
  const share = [3.3, 11, 29, 97][next() % 4] ?? 11;
  const step = Math.max(0.000001, (span / share) * (0.5 + (next() % 1000) / 1000));
  const offset = ((next() % 1000) / 1000) * step * 0.7;
  const from = stepOf(way > 0 ? offset : span - offset);
  const total = start.nsec + from.nsec;
  const carry = Math.floor(total / NANOSECONDS);
  const delta = stepOf(way * step);
  return {
    archive,
    metric,
    mode: next() % 4 > 0 ? PM_MODE.INTERP : way > 0 ? PM_MODE.FORW : PM_MODE.BACK,
    start: [start.sec + from.sec + carry, total - carry * NANOSECONDS],
    delta: [delta.sec, delta.nsec],
    count: FETCHES,
  };
}

/** Copies the files of an archive to where the real library sees them. */
function copied(archive: string, folder: string): string {
  const base = basename(archive);
  for (const name of readdirSync(dirname(archive))) {
    const copy = join(folder, name);
    if (name.startsWith(`${base}.`)) copyFileSync(join(dirname(archive), name), copy);
  }
  return join(folder, base);
}

/** What the real library answers; null where it crashes. The oracle is in `folder`. */
async function realAnswers(
  tree: PcpTree,
  release: 6 | 7,
  folder: string,
  asked: readonly Question[],
  env: Readonly<Record<string, string>> = {},
): Promise<(string[] | null)[]> {
  const program = join(folder, "oracle.py");
  copyFileSync(join(import.meta.dir, "archive-oracle.py"), program);
  const library = release === 6 ? "libpcp.so.3" : "libpcp.so.4";
  const real = Bun.spawn([...tree.command([tree.python, program, library])], {
    stdin: new Blob([asked.map((ask) => `${JSON.stringify(ask)}\n`).join("")]),
    stdout: "pipe",
    stderr: "inherit",
    env: { ...process.env, PCP_DERIVED_CONFIG: "", TZ: "UTC", ...env },
  });
  const replies = (await new Response(real.stdout).text()).trimEnd().split("\n");
  expect(replies.length).toBe(asked.length);
  return replies.map((reply) => JSON.parse(reply) as string[] | null);
}

async function compare(tree: PcpTree, release: 6 | 7): Promise<void> {
  const folder = privateFolder("real");
  const next = numbers(20 + release);
  const asked: Question[] = [];
  const found: string[][] = [];
  const archives = FIXTURES.map((name) => join(RECORDED, name)).concat(smallArchives(INSTALLED));
  for (const archive of archives) {
    const context = await openArchiveContext(archive, { env: {} });
    const { start } = context.label();
    const span = secondsBetween(context.end(), start);
    const names = await context.traverse("");
    for (let tries = 0, taken = 0; span > 0 && tries < 12 && taken < 3; tries++) {
      const metric = names[next() % names.length] ?? "";
      const { pmids } = await context.lookupNames([metric]);
      if (!comparable(await context.desc(pmids[0] as Pmid), release)) continue;
      taken++;
      const ask = question(copied(archive, folder), metric, start, span, next);
      asked.push(ask);
      const own = await context.duplicate();
      found.push(await answers(own, ask));
      await own.close();
    }
    await context.close();
  }
  const replies = await realAnswers(tree, release, folder, asked);
  let compared = 0;
  const differing: unknown[] = [];
  replies.forEach((expected, i) => {
    // It crashed, or lacks the program that decompresses the archive.
    if (expected === null || expected[0]?.startsWith("context") === true) return;
    compared++;
    if (!Bun.deepEquals(expected, found[i])) {
      differing.push({ asked: asked[i], expected, found: found[i] });
    }
  });
  expect(differing).toEqual([]);
  expect(compared).toBeGreaterThan(asked.length * 0.8);
}

testWith(["pcp6", "pcp6-python"], "values as PCP 6 has them", () => compare(pcp6, 6), 300_000);
testWith("pcp7", "values as PCP 7 has them", () => compare(pcp7, 7), 300_000);

const MARKED = [
  ["gen/interp-v3", "t.u32.counter"],
  ["gen/interp-v3", "inst.counter"],
  ["rec/v3-mark", "sample.seconds"],
  ["rec/v2-mark", "sample.seconds"],
] as const;

/** Forwards: backwards the real library does not measure the same stretch. */
async function compareMarks(tree: PcpTree, release: 6 | 7): Promise<void> {
  const folder = privateFolder("marks");
  const asked: Question[] = [];
  for (const [name, metric] of MARKED) {
    const path = join(RECORDED, name);
    const context = await openArchiveContext(path, { env: {} });
    const { sec, nsec } = context.label().start;
    await context.close();
    const common = { metric, mode: PM_MODE.INTERP, start: [sec, nsec], count: 40 } as const;
    asked.push({ ...common, archive: copied(path, folder), delta: [0, 700_000_000] });
  }
  for (const interval of ["", "0", "1.999", "2", "3", "3.5sec", "10min", "nonsense"]) {
    const env = { PCP_IGNORE_MARK_RECORDS: interval };
    const found: string[][] = [];
    for (const ask of asked) {
      const context = await openArchiveContext(ask.archive, { env });
      found.push(await answers(context, ask));
      await context.close();
    }
    const expected = await realAnswers(tree, release, folder, asked, env);
    expect({ interval, answers: found }).toEqual({ interval, answers: expected as string[][] });
  }
}

testWith(["pcp6", "pcp6-python"], "marks that are ignored as PCP 6 ignores them", () =>
  compareMarks(pcp6, 6),
);
testWith(
  "pcp7",
  "marks that are ignored as PCP 7 ignores them",
  () => compareMarks(pcp7, 7),
  300_000,
);
