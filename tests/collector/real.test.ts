// Goal: every metric of PCP's compiled agents (linux, proc, mmv, jbd2, sample), loaded by this program,
// has the descriptor, texts, labels, instances and values that `pminfo -L` shows, but for what changes
// from one moment to the next.
import { afterAll, expect } from "bun:test";
import type { LocalContext } from "../../lib/context/mod.ts";
import { blocks, describeMetric, showValues } from "../context/pminfo.ts";
import { testWith } from "../helpers/peers.ts";
import { run } from "../helpers/process.ts";
import { agentPlaces, compiledContext, PMDAS } from "./compiled.ts";

const contexts: LocalContext[] = [];
afterAll(async () => {
  for (const context of contexts) await context.close();
});

const ROUNDS = 4;
const ROOT_NAMES = "/var/lib/pcp/pmns/root";

/** Processes come and go, and most of what is told of them with them. */
const OF_THE_MOMENT = /^(?:proc\.(?!nprocs|control)|hotproc\.|cgroup\.|sample\.percontext)/;

/** These count what pminfo itself is and holds open: before and after agree, in between they differ. */
const COUNTS_PMINFO = /^(?:kernel\.all\.(?:nprocs|runnable|lastpid)|proc\.nprocs|vfs\.)/;

/** What may differ between two looks at the same machine: names of instances that come and go. */
const heads = (block: string): string =>
  block
    .split("\n")
    .filter((line) => !/^ {4}inst /.test(line))
    .join("\n")
    .trim();

async function compare(
  spec: string,
  subtrees: readonly string[],
  given: string | undefined,
): Promise<{ described: number; equal: number }> {
  const { env } = await agentPlaces();
  const file = given ?? ROOT_NAMES;
  const context = await compiledContext(spec, file, env);
  contexts.push(context);
  const names: string[] = [];
  for (const subtree of subtrees) names.push(...(await context.traverse(subtree)));
  const pminfo = async (...args: string[]): Promise<string> =>
    (await run(["pminfo", "-L", "-K", "clear", "-K", spec, "-n", file, ...args], { env })).stdout;
  const theirs = blocks(await pminfo("-dmtTl", ...subtrees), names);
  // Some labels and instances are known from the first fetch on, which pminfo makes.
  await context.fetch((await context.lookupNames(names)).pmids);
  let described = 0;
  for (const name of names) {
    const block = theirs.get(name) ?? "";
    // Metrics without a descriptor shift what pminfo says of others.
    if (block.includes("pmLookupDesc") || name.startsWith("sample.bad.")) continue;
    const mine = await describeMetric(context, name);
    if (OF_THE_MOMENT.test(name)) expect(heads(mine)).toBe(heads(block));
    else expect(mine.trim()).toBe(block.trim());
    described += 1;
  }
  // Those of sample count the calls before; sample.test.ts has them.
  if (given !== undefined) return { described, equal: 0 };
  // What differs although it was the same before and after has changed in between, once.
  let unequal: readonly string[] = names.filter(
    (name) => !OF_THE_MOMENT.test(name) && !COUNTS_PMINFO.test(name),
  );
  let equal = 0;
  for (let round = 0; round < ROUNDS && unequal.length > 0; round++) {
    const before = blocks(await pminfo("-f", ...subtrees), names);
    const values = await showValues(context, names);
    const after = blocks(await pminfo("-f", ...subtrees), names);
    unequal = unequal.filter((name) => {
      const block = (before.get(name) ?? "").trim();
      const steady = block === (after.get(name) ?? "").trim() && !block.startsWith(`${name}:`);
      if (!steady) return false;
      const same = `${name}\n${values.get(name)}`.trim() === block;
      if (same) equal += 1;
      return !same;
    });
  }
  expect(unequal).toEqual([]);
  return { described, equal };
}

for (const [agent, spec, subtrees, least] of [
  [
    "linux",
    "add,60,linux/pmda_linux.so,linux_init",
    ["kernel", "hinv", "disk", "filesys", "swap", "network.interface", "vfs"],
    300,
  ],
  [
    "proc",
    "add,3,proc/pmda_proc.so,proc_init",
    ["proc.nprocs", "proc.runq", "proc.control", "proc.id", "cgroup.cpu"],
    30,
  ],
  ["mmv", "add,70,mmv/pmda_mmv.so,mmv_init", ["mmv"], 1],
  ["jbd2", "add,122,jbd2/pmda_jbd2.so,jbd2_init", ["jbd2"], 10],
] as const)
  testWith(
    "pcp6",
    agent,
    async () => {
      const { described, equal } = await compare(spec, subtrees, undefined);
      expect(described).toBeGreaterThanOrEqual(least);
      expect(equal).toBeGreaterThan(0);
    },
    300_000,
  );

testWith(
  "pcp6",
  "sample",
  async () => {
    const { names } = await agentPlaces();
    const spec = `add,29,${PMDAS}/sample/pmda_sample.so,sample_init`;
    const { described } = await compare(spec, ["sample"], names);
    expect(described).toBeGreaterThan(180);
  },
  300_000,
);
