// Goal: the real pmseries works through the relay as it does with a key server itself, where that is one
// server and where it is a cluster, of which it knows nothing: what it loads is what a direct load leaves,
// and its queries have the same answers.
import { afterAll, expect } from "bun:test";
import { copyFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { useKeyServer } from "../../lib/keyserver/mod.ts";
import { runIn } from "../helpers/pcp.ts";
import type { PcpTree } from "../helpers/pcp.ts";
import { pcp6, startRedis } from "../helpers/pcp6.ts";
import { pcp7 } from "../helpers/pcp7.ts";
import { testWith } from "../helpers/peers.ts";
import { privateFolder } from "../helpers/process.ts";
import { startCluster } from "../helpers/redis-cluster.ts";
import { dumpServer } from "../keyserver/key-dump.ts";
import { serverWith, stopAll } from "../server/support.ts";

afterAll(stopAll);

const ARCHIVES = join(import.meta.dir, "../fixtures/series/archives");

/** The archive where programs in their own root see it, too. */
function archiveCopy(): string {
  const folder = privateFolder("series-relay");
  for (const file of readdirSync(ARCHIVES))
    if (file.startsWith("edge.")) copyFileSync(join(ARCHIVES, file), join(folder, file));
  return join(folder, "edge");
}

const QUERIES = [
  ["-q", "edge.*[count:3]"],
  ["-q", "rate(edge.s64[count:3])"],
  ["-q", "max(edge.flt*)"],
  ["-q", '{hostname=~".*"}'],
  ["-q", "edge.none.such"],
  ["-q", "edge[count:"],
  ["-m"],
  ["-i"],
  ["-l"],
  ["-S"],
];

/** Lines in any order, which is that of the server's hashes. */
const sorted = (text: string): string[] => text.split("\n").sort();

type Ask = (...args: readonly string[]) => ReturnType<typeof runIn>;

const asker =
  (tree: PcpTree, port: number): Ask =>
  (...args) =>
    runIn(tree, ["pmseries", "-h", "127.0.0.1", "-p", String(port), "-Z", "UTC", ...args]);

async function answers(ask: Ask): Promise<unknown[]> {
  const seen: unknown[] = [];
  for (const query of QUERIES) {
    const { stdout, stderr, status } = await ask(...query);
    // The number of the process is in the lines of its log.
    const said = stderr.replace(/\[[^\]]*\] pmseries\(\d+\)/g, "");
    seen.push({ query, stdout: sorted(stdout), said, status });
  }
  const ids = (await ask("-q", "edge.*")).stdout.split("\n").filter((id) => id !== "");
  expect(ids.length).toBe(5);
  seen.push(sorted((await ask("-a", ...ids.sort())).stdout));
  return seen;
}

async function dumpOf(port: number) {
  const keys = useKeyServer({ servers: [`127.0.0.1:${port}`] });
  await keys.ready();
  const dump = await dumpServer(keys);
  await keys.close();
  return dump;
}

for (const tree of [pcp6, pcp7]) {
  const relayTo = (servers: readonly string[]) =>
    serverWith({
      resp: { enabled: true },
      keyServer: {
        servers: servers.map((server) => {
          const [host = "", port] = server.split(":");
          return { host, port: Number(port) };
        }),
      },
    });

  testWith(
    [tree.name, "redis"],
    `pmseries of ${tree.name}, one server and a cluster`,
    async () => {
      const archive = archiveCopy();
      const direct = await startRedis();
      const single = await startRedis();
      const cluster = await startCluster();
      const ask = asker(tree, direct.port);
      expect((await ask("--load", archive)).status).toBe(0);
      const wanted = await answers(ask);
      const wantedDump = await dumpOf(direct.port);
      expect(Object.keys(wantedDump).length).toBeGreaterThan(50);

      const relay = await relayTo([`127.0.0.1:${single.port}`]);
      const through = asker(tree, relay.port);
      expect((await through("--load", archive)).status).toBe(0);
      expect(await answers(through)).toEqual(wanted);
      expect(await dumpOf(single.port)).toEqual(wantedDump);

      const spread = await relayTo(cluster.servers);
      const over = asker(tree, spread.port);
      const loaded = await over("--load", archive);
      expect([loaded.stderr, loaded.status]).toEqual(["", 0]);
      expect(await answers(over)).toEqual(wanted);
      expect(spread.counters()).toMatchObject({ faults: 0, connectFailures: 0 });
      for (const stop of [direct.stop, single.stop, cluster.stopAll]) await stop();
    },
    300_000,
  );
}
