// Goal: the compiled executable starts itself as the process around a compiled agent, and shows through
// the agents of both releases what `pminfo -L` shows of what does not change.
// Needs dist/pcpbox (`make build`; `make test` builds it first).
import { beforeAll, expect } from "bun:test";
import { copyFileSync, existsSync } from "node:fs";
import { join } from "node:path";
import type { PcpTree } from "../helpers/pcp.ts";
import { pcp6 } from "../helpers/pcp6.ts";
import { pcp7 } from "../helpers/pcp7.ts";
import { testWith } from "../helpers/peers.ts";
import { must, privateFolder, run } from "../helpers/process.ts";
import { root } from "../helpers/tree.ts";

const binary = join(root, "dist", "pcpbox");
/** Metrics that stay as they are while this test runs. */
const CONSTANT = ["hinv.ncpu", "hinv.pagesize", "hinv.machine", "kernel.uname.release"];
const METRICS = [...CONSTANT, "mem.physmem", "hinv.cpu.online", "hinv.cpu.vendor"];

beforeAll(() => {
  if (!existsSync(binary)) throw new Error("dist/pcpbox is missing: make build");
});

const values = (output: string): string[] =>
  output.split("\n").filter((line) => /^ {4}(?:inst \[.*\] )?value /.test(line));

async function compare(tree: PcpTree): Promise<void> {
  // Where every tree sees it.
  const program = join(privateFolder("binary"), "pcpbox");
  copyFileSync(binary, program);
  const table = ["-L", "-K", "clear", "-K", "add,60,linux/pmda_linux.so,linux_init"];
  const ours = await must(tree.command([program, "newcontext-probe", ...table, ...METRICS]));
  const theirs = await must(tree.command(["pminfo", ...table, "-f", ...METRICS]));
  expect(values(theirs).length).toBeGreaterThan(METRICS.length);
  expect(values(ours)).toEqual(values(theirs));
  const look = await must(tree.command([program, "newcontext-probe", "-L"]));
  expect(look).toContain("local context: works\n");
  const refused = await run(tree.command([program, "newcontext-probe", "-L", "-K", "add,x"]));
  expect(refused.stderr).toContain("pmSpecLocalPMDA failed: bad domain in spec");
  expect(refused.status).toBe(1);
}

for (const tree of [pcp6, pcp7])
  testWith(tree.name, `agents of ${tree.name}`, () => compare(tree), 300_000);
