// Goal: derived metrics over a live pmcd of both releases, and over an archive, look as the real
// pminfo and pmval show them when they read the same file of definitions.
import { expect } from "bun:test";
import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  globalDerived,
  openArchiveContext,
  openHostContext,
  PM_MODE,
  withDerived,
} from "../../lib/context/mod.ts";
import { PM_TYPE, type Pmid, pmExtractValue } from "../../lib/pcp/mod.ts";
import { clientEnvironment, type PcpTree } from "../helpers/pcp.ts";
import { pcp6, sharedPmcd6 } from "../helpers/pcp6.ts";
import { pcp7, sharedPmcd7 } from "../helpers/pcp7.ts";
import { testWith } from "../helpers/peers.ts";
import { privateFolder, run } from "../helpers/process.ts";
import { FOLDER } from "../derived/recorded.ts";
import { describeMetric, showValues } from "./pminfo.ts";

/** Metrics of the sample agent whose values stay, in expressions of every kind. */
const DEFINITIONS = `# derived metrics of the sample agent
d.sum = sum(sample.bin)
d.sum(oneline) = all bins
d.sum(helptext) = 'All bins,
one after the other.'
d.avg = avg(sample.double.bin)
d.count = count(sample.needprofile)
d.error = sample.needprofile + 1
d.one = sample.bin[bin-300] * 2
d.some = matchinst(!/[1-5]00$/, sample.ulong.bin)
d.scalar = scalar(sample.bin[bin-300]) / 7
d.scaled = sample.ulong.count.kilo + sample.ulong.count.mega
d.rescaled = rescale(mkconst(2048, units="byte"), "kbyte")
d.ternary = sample.bin > 500 ? sample.bin : -sample.bin
d.defined = defined(sample.bin) && !defined(sample.nothing)
d.text = instant(sample.string.hullo)
d.constant = mkconst(12, type=u64, semantics=counter, units="Kbyte / sec")
sample.long.derived = sample.long.ten - 3
`;
const NAMES = [...DEFINITIONS.matchAll(/^([a-z.]+) =/gm)].map(([, name = ""]) => name);

function configuration(): string {
  // Below the temporary folder: the tree of PCP 7 sees that one.
  const path = join(privateFolder("derived"), "derived.conf");
  expect(path).toStartWith(tmpdir());
  writeFileSync(path, DEFINITIONS);
  return path;
}

for (const [peer, tree, pmcd] of [
  ["pcp6", pcp6, sharedPmcd6],
  ["pcp7", pcp7, sharedPmcd7],
] as const) {
  testWith(peer, `${peer}: as pminfo over a live pmcd`, async () => {
    const { port, clientEnv } = await pmcd();
    const config = configuration();
    const env = { ...clientEnv, PCP_DERIVED_CONFIG: config };
    const spec = `127.0.0.1:${port}`;
    const told: string[] = [];
    const warn = (message: string): void => void told.push(message);
    const shared = globalDerived(warn, { PCP_DERIVED_CONFIG: config });
    const context = withDerived(await openHostContext(spec, { env: {} }), shared, { warn });
    const pminfo = async (...args: string[]): Promise<string> =>
      (await run(tree.command(["pminfo", "-h", spec, ...args]), { env })).stdout;
    const values = await showValues(context, NAMES);
    for (const name of NAMES) {
      // PMIDs differ: the first two are those of the library itself in PCP 7 alone. Labels of
      // instances are those of the source, not of the derived metric.
      const steady = (text: string): string =>
        text
          .replace(/ PMID: 511\.\d+\.\d+/, "")
          .replace(/^ {4}inst .*\n?/gm, "")
          .trim();
      expect(steady(await describeMetric(context, name))).toBe(
        steady(await pminfo("-dmtTl", name)),
      );
      const shown = `${name}\n${values.get(name) ?? ""}`.trim();
      expect(shown).toBe((await pminfo("-f", name)).trim());
    }
    const all = (await pminfo()).trimEnd().split("\n");
    expect((await context.traverse("")).toSorted()).toEqual(all.toSorted());
    expect(told).toEqual([]);
    await context.close();
  });
}

/** What pmval prints for a metric of the archive of recordings, every 700 ms: times and values. */
async function pmval(tree: PcpTree, config: string, name: string): Promise<string[]> {
  const env = { ...clientEnvironment(tree), PCP_DERIVED_CONFIG: config };
  const archive = join(FOLDER, "derived");
  const args = ["-z", "-r", "-f", "4", "-w", "24", "-t", "0.7", "-a", archive, name];
  const { stdout } = await run(tree.command(["pmval", ...args]), { env });
  return stdout.split("\n").flatMap((line) => {
    const found = /^\d\d:\d\d:(\d\d\.\d{3,4})\s+(\S.*)$/.exec(line);
    // A whole second may be shown as the one before with 1000 milliseconds.
    const time = found?.[1]?.replace(/^(\d+)\.1000$/, (_, sec) => `${Number(sec) + 1}.000`);
    return found === null ? [] : [`${time} ${found[2]?.trim()}`];
  });
}

testWith("pcp6", "as pmval over an archive", async () => {
  const config = join(privateFolder("derived"), "archive.conf");
  writeFileSync(config, "d.x = delta(c.kbyte) / delta(c.count)\n");
  const shared = globalDerived(() => undefined, { PCP_DERIVED_CONFIG: config });
  const inner = await openArchiveContext(join(FOLDER, "derived"), { env: {} });
  const context = withDerived(inner, shared);
  const { pmids } = await context.lookupNames(["d.x"]);
  context.setMode(PM_MODE.INTERP, { sec: 1_000_000_000, nsec: 0 }, { sec: 0, nsec: 700_000_000 });
  const ours: string[] = [];
  for (let i = 0; i < 19; i++) {
    const { result } = await context.fetch(pmids);
    const set = result.find(pmids[0] as Pmid);
    const { sec, nsec } = result.timestamp;
    const time = (40 + (sec - 1_000_000_000) + nsec / 1e9).toFixed(3);
    const none = set === undefined || set.numval < 1;
    const value = none ? "No values available" : Number(pmExtractValue(set, 0, PM_TYPE.DOUBLE));
    ours.push(`${time} ${typeof value === "number" ? value.toFixed(4) : value}`);
  }
  await context.close();
  expect(ours).toEqual(await pmval(pcp6, config, "d.x"));
});
