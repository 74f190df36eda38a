// Goal: what pmstore changes through the proxy is changed in pmcd, its words are those of a direct run, and what
// pmcd refuses is refused in the same words. One after the other, on a pmcd of its own, as the stores are seen
// by everybody.
import { afterAll, describe, expect } from "bun:test";
import { runIn } from "../helpers/pcp.ts";
import type { PcpTree } from "../helpers/pcp.ts";
import { pcp6 } from "../helpers/pcp6.ts";
import { pcp7 } from "../helpers/pcp7.ts";
import { testWith } from "../helpers/peers.ts";
import { routes, startBench } from "./routes.ts";
import type { Bench, Way } from "./routes.ts";

/** Arguments of pmstore, the value they leave, and the exit status. */
const stores = [
  { argv: ["sample.long.write_me", "-17"], metric: "sample.long.write_me", status: 0 },
  { argv: ["sample.ulonglong.write_me", "18446744073709551615"], status: 0 },
  { argv: ["sample.double.write_me", "-2.5e-3"], status: 0 },
  { argv: ["sample.string.write_me", "through the wall"], status: 0 },
  { argv: ["-i", "yellow", "sample.lights", "3"], metric: "sample.lights", status: 1 },
  { argv: ["sample.long.one", "5"], status: 1 },
  { argv: ["sample.long.write_me", "nonsense"], status: 1 },
  { argv: ["no.such.metric", "1"], status: 1 },
] as const;

/** Values before every round. */
const initial = [
  ["sample.long.write_me", "2"],
  ["sample.ulonglong.write_me", "2"],
  ["sample.double.write_me", "2"],
  ["sample.string.write_me", "13"],
] as const;

/** Runs all stores over a way; what was said, and what a direct look at pmcd shows after each. */
async function storeAll(bench: Bench, through: Way, direct: Way): Promise<unknown[]> {
  const run = (way: Way, argv: readonly string[]) => runIn(bench.tree, argv, { env: way.env });
  for (const [metric, value] of initial) {
    await run(direct, ["pmstore", "-h", direct.spec, metric, value]);
  }
  const seen: unknown[] = [];
  for (const { argv, status } of stores) {
    const said = await run(through, ["pmstore", "-h", through.spec, ...argv]);
    expect([argv, said.status]).toEqual([argv, status]);
    const metrics = initial.map(([metric]) => metric);
    const shown = await run(direct, ["pminfo", "-h", direct.spec, "-f", ...metrics]);
    const told = (said.stdout + said.stderr).replaceAll(through.spec, "HOST");
    seen.push({ told, shown: shown.stdout });
  }
  return seen;
}

function storesOf(tree: PcpTree): void {
  let started: Promise<Bench> | undefined;
  const bench = () => (started ??= startBench(tree));
  afterAll(async () => (await started)?.stop());
  for (const route of routes) {
    testWith([tree.name, "openssl", ...route.peers], `pmstore: ${route.name}`, async () => {
      const ready = await bench();
      const direct = route.direct(ready);
      const expected = await storeAll(ready, direct, direct);
      expect(await storeAll(ready, route.through(ready), direct)).toEqual(expected);
      expect(JSON.stringify(expected)).toContain("value -17");
    });
  }
}

describe("PCP 6", () => storesOf(pcp6));
describe("PCP 7", () => storesOf(pcp7));
