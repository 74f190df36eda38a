// A Redis cluster of three masters on loopback, for tests: nodes are stopped and started, slots moved.
import { join } from "node:path";
import { freePort, isListening, waitUntil } from "./ports.ts";
import { type Daemon, must, privateFolder, startDaemon } from "./process.ts";

/** A running cluster. */
export interface RedisCluster {
  /** `host:port` of each node. */
  readonly servers: readonly string[];
  stop(node: number): Promise<void>;
  /** Starts a node again, with what it had saved, and waits until the cluster is whole. */
  start(node: number): Promise<void>;
  /** Moves the slot of a key with its keys to a node. */
  moveSlot(key: string, to: number): Promise<void>;
  stopAll(): Promise<void>;
}

/** Starts one; its nodes write what they do to files, so that they can be started again. */
export async function startCluster(): Promise<RedisCluster> {
  const folders = Array.from({ length: 3 }, () => privateFolder("cluster"));
  const ports: number[] = [];
  const buses: number[] = [];
  for (let node = 0; node < folders.length; node++) {
    ports.push(await freePort());
    buses.push(await freePort());
  }
  const cli = async (node: number, ...args: string[]): Promise<string> =>
    (await must(["redis-cli", "-p", String(ports[node]), ...args])).trim();
  const daemons: Daemon[] = [];
  const launch = async (node: number): Promise<void> => {
    const port = ports[node] ?? 0;
    const argv = [
      ["redis-server", "--bind", "127.0.0.1", "--port", String(port), "--dir", folders[node] ?? ""],
      ["--cluster-enabled", "yes", "--cluster-port", String(buses[node])],
      ["--cluster-node-timeout", "15000", "--appendonly", "yes", "--save", ""],
    ].flat();
    const daemon = startDaemon(argv, join(folders[node] ?? "", "log"));
    daemons[node] = daemon;
    const ready = (): Promise<boolean> => isListening({ host: "127.0.0.1", port });
    if (!(await waitUntil(ready, daemon.alive)))
      throw new Error(`cluster node ${node} is not ready`);
  };
  const whole = async (): Promise<void> => {
    const ready = async (): Promise<boolean> => {
      for (let node = 0; node < ports.length; node++)
        if (!(await cli(node, "CLUSTER", "INFO")).includes("cluster_state:ok")) return false;
      return true;
    };
    if (!(await waitUntil(ready))) throw new Error("the cluster is not whole");
  };
  await Promise.all(ports.map((_, node) => launch(node)));
  const servers = ports.map((port) => `127.0.0.1:${port}`);
  for (let node = 0; node < ports.length; node++) {
    const third = 16_384 / 3;
    const range = [Math.ceil(node * third), Math.ceil((node + 1) * third) - 1].map(String);
    await cli(node, "CLUSTER", "ADDSLOTSRANGE", ...range);
    await cli(node, "CLUSTER", "SET-CONFIG-EPOCH", String(node + 1));
    if (node > 0)
      await cli(0, "CLUSTER", "MEET", "127.0.0.1", String(ports[node]), String(buses[node]));
  }
  await whole();
  return {
    servers,
    stop: async (node) => daemons[node]?.stop(),
    start: async (node) => {
      await launch(node);
      await whole();
    },
    moveSlot: async (key, to) => {
      const slot = await cli(0, "CLUSTER", "KEYSLOT", key);
      const ids = await Promise.all(ports.map((_, node) => cli(node, "CLUSTER", "MYID")));
      for (let from = 0; from < ports.length; from++) {
        const count = Number(await cli(from, "CLUSTER", "COUNTKEYSINSLOT", slot));
        if (from === to || count === 0) continue;
        await cli(to, "CLUSTER", "SETSLOT", slot, "IMPORTING", ids[from] ?? "");
        await cli(from, "CLUSTER", "SETSLOT", slot, "MIGRATING", ids[to] ?? "");
        const keys = (await cli(from, "CLUSTER", "GETKEYSINSLOT", slot, String(count))).split("\n");
        const where = ["127.0.0.1", String(ports[to]), "", "0", "60000", "KEYS"];
        await cli(from, "MIGRATE", ...where, ...keys);
      }
      for (const node of [to, ...ports.keys()])
        await cli(node, "CLUSTER", "SETSLOT", slot, "NODE", ids[to] ?? "");
    },
    stopAll: async () => {
      await Promise.all(daemons.map((daemon) => daemon.stop()));
    },
  };
}
