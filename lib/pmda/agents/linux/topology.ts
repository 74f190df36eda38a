// Processors and memory nodes: the instances that many metrics have (domains 0 and 19), and which
// processor belongs to which node. Folders of sysfs are listed when the processors in /proc/stat are
// others than before, not at every request.
import type { IndomRow, InstanceRow } from "../../define.ts";
import type { Host } from "./host.ts";

export const CPU_INDOM = 0;
export const NODE_INDOM = 19;

/** Processors and nodes of the machine. */
export interface Topology {
  /** Ascending by number. */
  cpus(): readonly InstanceRow[];
  nodes(): readonly InstanceRow[];
  /** 0 where sysfs does not tell. */
  nodeOf(cpu: number): number;
  readonly indoms: readonly IndomRow[];
}

const CPU_FOLDERS = "/sys/devices/system/cpu";
export const NODE_FOLDERS = "/sys/devices/system/node";

/** Numbers of the entries `stemN`, ascending. */
const numbered = (names: readonly string[], stem: string): number[] =>
  names
    .filter((name) => name.startsWith(stem) && /^\d{1,6}$/.test(name.slice(stem.length)))
    .map((name) => Number(name.slice(stem.length)))
    .sort((a, b) => a - b);

const rowsOf = (ids: readonly number[], stem: string): InstanceRow[] =>
  ids.map((id) => ({ id, name: `${stem}${id}` }));

/** `seen` are the processors that /proc/stat has now. */
export function createTopology(host: Host, seen: () => readonly number[]): Topology {
  let known: readonly number[] | undefined;
  let cpus: readonly InstanceRow[] = [];
  let nodes: readonly InstanceRow[] = [];
  let homes = new Map<number, number>();

  const look = (): void => {
    const now = seen();
    if (known === now || (known?.length === now.length && known.every((id, i) => id === now[i]))) {
      known = now;
      return;
    }
    known = now;
    const folders = now.length > 0 || host.cpus > 0 ? numbered(host.list(CPU_FOLDERS), "cpu") : [];
    // Processors that are off are in sysfs alone; sysfs may be missing where programs are confined.
    const ids = new Set(folders.length > 0 ? folders : now);
    for (let id = 0; id < host.cpus; id++) ids.add(id);
    cpus = rowsOf(
      [...ids].sort((a, b) => a - b),
      "cpu",
    );
    const places = numbered(host.list(NODE_FOLDERS), "node");
    nodes = rowsOf(places.length === 0 ? [0] : places, "node");
    homes = new Map();
    for (const node of places) {
      for (const cpu of numbered(host.list(`${NODE_FOLDERS}/node${node}`), "cpu"))
        homes.set(cpu, node);
    }
  };

  const topology = {
    cpus(): readonly InstanceRow[] {
      look();
      return cpus;
    },
    nodes(): readonly InstanceRow[] {
      look();
      return nodes;
    },
    nodeOf(cpu: number): number {
      look();
      return homes.get(cpu) ?? 0;
    },
  };
  return {
    ...topology,
    indoms: [
      {
        serial: CPU_INDOM,
        instances: topology.cpus,
        oneline: "processors",
        labels: { device_type: "cpu", indom_name: "per cpu" },
        instanceLabels: (cpu) => ({ cpu }),
      },
      {
        serial: NODE_INDOM,
        instances: topology.nodes,
        oneline: "memory nodes",
        labels: { device_type: "numa_node", indom_name: "per numa_node" },
        instanceLabels: (node) => ({ numa_node: node }),
      },
    ],
  };
}
