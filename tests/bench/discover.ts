// Loading by discovery, beside the real pmproxy, in turn, with one key server: an archive lies in a followed
// directory with all its metadata and its first records, of which both take the last one; then all others
// come at once, and the time is taken until the last of them is in the key server. Also with PCP 7 and Valkey where these are. Asserts that all samples
// are there, nothing else.
import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  mkdirSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { type KeyServer, useKeyServer } from "../../lib/keyserver/mod.ts";
import { havePeers } from "../helpers/peers.ts";
import {
  type PcpTree,
  pmproxyConf,
  type Proxy,
  startKeyServer,
  startProxyProgram,
  startRealPmproxy,
} from "../helpers/pcp.ts";
import { pcp6 } from "../helpers/pcp6.ts";
import { pcp7 } from "../helpers/pcp7.ts";
import { privateFolder } from "../helpers/process.ts";
import { makeSeconds } from "./archive-make.ts";
import type { RestRow } from "./rest.ts";

export interface DiscoverBench {
  readonly rounds: number;
  /** Our program. */
  readonly program: string;
  readonly show: (row: RestRow) => void;
}

const SHAPES = [
  { name: "8 instances a metric", seconds: 2000, metrics: 50, instances: 8 },
  { name: "one value a metric", seconds: 8000, metrics: 50, instances: 1 },
] as const;
/** Records that are there at first, at most. */
const MOST_BEGUN = 8;
const READY_MS = 180_000;
/** Without a command for so long nothing more is expected of what is there at first. */
const QUIET_MS = 1500;
const LOOK_MS = 20;

const median = (numbers: readonly number[]): number => {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
};

/** Calls of some commands that a key server has had. */
async function calls(server: KeyServer, commands: string): Promise<number> {
  const [stats] = await server.run([["INFO", "commandstats"]]);
  const found = String(stats).matchAll(new RegExp(`^cmdstat_(?:${commands}):calls=(\\d+)`, "gm"));
  return [...found].reduce((sum, [, count]) => sum + Number(count), 0);
}

/** Waits until something is so; throws when it does not come. */
async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  for (const end = performance.now() + READY_MS; performance.now() < end; await Bun.sleep(LOOK_MS))
    if (await isSo()) return;
  throw new Error(`${what} did not come`);
}

/** Until the metadata of an archive have been looked at. */
async function settled(server: KeyServer): Promise<void> {
  let before = -1;
  let since = performance.now();
  await until("quiet", async () => {
    const now = await calls(server, "hset|hmset|sadd|evalsha|xadd");
    if (now !== before) since = performance.now();
    before = now;
    return performance.now() - since > QUIET_MS;
  });
}

/** Values a second of one run. */
async function oneRun(
  tree: PcpTree,
  base: string,
  shape: (typeof SHAPES)[number],
  start: (conf: string) => Promise<Proxy>,
): Promise<number> {
  const keys = await startKeyServer(tree);
  const folder = join(privateFolder("bench-discover"), "archives");
  mkdirSync(folder);
  chmodSync(folder, 0o777);
  const conf = pmproxyConf(tree, { keyServerPort: keys.port })
    .replace("[discover]\nenabled = false", `[discover]\nenabled = true\npath = ${folder}`)
    .replace("[pmsearch]\nenabled = true", "[pmsearch]\nenabled = false");
  const server = useKeyServer({ servers: [`127.0.0.1:${keys.port}`] });
  await server.ready();
  const proxy = await start(conf);
  const { seconds, metrics, instances } = shape;
  try {
    const place = join(folder, "bench");
    const volume = readFileSync(`${base}.0`);
    // The label, then records, one at a time until values of one are taken.
    let begun = volume.readUInt32BE(0);
    let records = 0;
    for (const part of ["meta", "index"]) copyFileSync(`${base}.${part}`, `${place}.${part}`);
    writeFileSync(`${place}.0`, volume.subarray(0, begun));
    await settled(server);
    for (; records < MOST_BEGUN && (await calls(server, "xadd")) === 0; records++) {
      const end = begun + volume.readUInt32BE(begun);
      appendFileSync(`${place}.0`, volume.subarray(begun, end));
      begun = end;
      await settled(server);
    }
    const before = await calls(server, "xadd");
    const from = performance.now();
    appendFileSync(`${place}.0`, volume.subarray(begun));
    const wanted = metrics * (seconds - records);
    const end = before + wanted;
    await until(`${wanted} samples`, async () => (await calls(server, "xadd")) >= end);
    const took = (performance.now() - from) / 1000;
    return (wanted * instances) / took;
  } finally {
    await proxy.stop();
    await server.close();
    await keys.stop();
  }
}

/** Runs everything; see the head of this file. */
export async function benchDiscover({ rounds, program, show }: DiscoverBench): Promise<void> {
  const folder = privateFolder("bench-discover");
  for (const shape of SHAPES) {
    const base = join(folder, `discover-${shape.instances}`);
    makeSeconds(base, shape.seconds, shape.metrics, shape.instances);
    for (const tree of havePeers("pcp7") ? [pcp6, pcp7] : [pcp6]) {
      const ways = {
        pmproxy: (conf: string) => startRealPmproxy(tree, { conf }),
        pcpbox: (conf: string) =>
          startProxyProgram(pcp6, (argv) => [program, "proxy", ...argv], { conf }),
      };
      const rates: Record<keyof typeof ways, number[]> = { pmproxy: [], pcpbox: [] };
      for (let round = 0; round < rounds; round++)
        for (const which of ["pcpbox", "pmproxy"] as const)
          rates[which].push(await oneRun(tree, base, shape, ways[which]));
      const [pcpbox, pmproxy] = [median(rates.pcpbox), median(rates.pmproxy)];
      const name = `${tree.name}, by discovery, ${shape.name}`;
      show({ case: name, key: "values", unit: "/s", pcpbox, pmproxy, ratio: pcpbox / pmproxy });
    }
  }
}
