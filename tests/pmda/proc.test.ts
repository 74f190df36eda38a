// Goal: the agent proc counts processes by what they are doing as PCP's does, over recorded files and
// beside PCP's own agent.
import { expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PM_ERR } from "../../lib/base/mod.ts";
import { numberAt, PM_TYPE, ResultView, ResultWriter } from "../../lib/pcp/mod.ts";
import { createProfile } from "../../lib/pdu/mod.ts";
import { countProcesses, proc, stateOf } from "../../lib/pmda/agents/proc.ts";
import { openAgent } from "../../lib/pmda/mod.ts";
import { testWith } from "../helpers/peers.ts";
import { must, privateFolder } from "../helpers/process.ts";

/** A /proc/PID/stat. */
const stat = (name: string, state: string, resident: number): string =>
  `7 (${name}) ${state} ${"1 ".repeat(20)}${resident} 18446744073709551615 1 1\n`;

test.each([
  ["a", "R", 10, "runnable"],
  ["b) R (", "S", 10, "sleeping"],
  ["idle", "I", 10, "sleeping"],
  ["disk", "D", 10, "blocked"],
  ["traced", "t", 10, "stopped"],
  ["kworker/0:1", "I", 0, "swapped"],
  ["gone", "Z", 0, "defunct"],
  ["new", "?", 1, "unknown"],
] as const)("%s in state %s", (name, state, resident, wanted) => {
  expect(stateOf(stat(name, state, resident))).toBe(wanted);
});

test("texts that are no stat are no state", () => {
  for (const text of ["", "7", "7 (a", "7 (a) R 1 2", ") "]) expect(stateOf(text)).toBeUndefined();
});

test("a folder of processes is counted; what is no process is left alone", () => {
  const folder = join(privateFolder("proc"), "proc");
  const states = ["R", "S", "S", "Z"];
  states.forEach((state, at) => {
    mkdirSync(join(folder, String(at + 1)), { recursive: true });
    writeFileSync(join(folder, String(at + 1), "stat"), stat("x", state, 5));
  });
  mkdirSync(join(folder, "9"));
  mkdirSync(join(folder, "sys"));
  const counts = countProcesses(folder);
  expect(counts).toMatchObject({ all: 5, runnable: 1, sleeping: 2, defunct: 1, stopped: 0 });
  expect(countProcesses(join(folder, "none"))).toBeUndefined();
});

const by = { context: 0, profile: createProfile() };
async function values(env: Record<string, string>): Promise<Map<string, number>> {
  const agent = await openAgent(proc, { domain: 3, env });
  const writer = new ResultWriter();
  await agent.fetch(
    agent.leaves.map(({ pmid }) => pmid),
    by,
    writer,
  );
  const found = new Map<string, number>();
  const sets = new ResultView(writer.finish(0), { sec: 0, nsec: 0 }, writer.count, 0).sets();
  for (const { name } of agent.leaves) {
    sets.next();
    found.set(name, sets.numval === 1 ? numberAt(sets, 0, PM_TYPE.I32) : sets.numval);
  }
  return found;
}

test("without /proc there are no values", async () => {
  const found = await values({ PROC_STATSPATH: privateFolder("no-proc") });
  expect([...found.values()].every((each) => each === 0 || each === PM_ERR.VALUE)).toBe(true);
});

testWith("pcp6", "the same descriptors as PCP's agent, and values near its own", async () => {
  const spec = "add,3,/var/lib/pcp/pmdas/proc/pmda_proc.so,proc_init";
  const real = async (...args: string[]): Promise<string> =>
    must(["pminfo", "-L", "-K", "clear", "-K", spec, ...args, "proc.nprocs", "proc.runq"]);
  const described = await real("-dm");
  const agent = await openAgent(proc, { domain: 3 });
  for (const { name, pmid } of agent.leaves) {
    const { type } = await agent.desc(pmid, by);
    const [, item = "", text = ""] =
      new RegExp(`^${name} PMID: ([0-9.]+)\\n +Data Type: ([^\\n]*?) +InDom`, "m").exec(
        described,
      ) ?? [];
    expect(`${name} ${item}`).toBe(`${name} 3.${(pmid >>> 10) & 0xfff}.${pmid & 0x3ff}`);
    expect(text).toBe(type === PM_TYPE.U32 ? "32-bit unsigned int" : "32-bit int");
  }
  const before = await values({});
  const shown = await real("-f");
  const after = await values({});
  // Processes come and go between the looks; those of the kernel and all together change little.
  for (const name of ["proc.nprocs", "proc.runq.swapped"]) {
    const theirs = Number(new RegExp(`${name}\\n +value (\\d+)`).exec(shown)?.[1]);
    const [low, high] = [before.get(name) ?? 0, after.get(name) ?? 0].sort((a, b) => a - b);
    expect(theirs).toBeGreaterThanOrEqual((low ?? 0) - 25);
    expect(theirs).toBeLessThanOrEqual((high ?? 0) + 25);
  }
});
