// Single values of /sys: merged pages (KSM), zswap, balloons of hypervisors, events of devices, and
// pools of huge pages. Debugging files may be read by root alone.
import type { FetchValue } from "../../define.ts";
import { type Collected, keptIndom } from "./collector.ts";
import type { Host } from "./host.ts";
import { type Count, linesOf, times } from "./scan.ts";
import { rowsFrom } from "./table.ts";
import { NODE_FOLDERS, type Topology } from "./topology.ts";

/** Numbers of `KEY: NUMBER …` lines. */
export function parseColons(bytes: Uint8Array): ReadonlyMap<string, number> {
  const values = new Map<string, number>();
  for (const line of linesOf(bytes)) {
    const found = /^\s*([\w ]+?)\s*:\s*(\d+)/.exec(line);
    if (found?.[1] !== undefined) values.set(found[1], Number(found[2]));
  }
  return values;
}

/** Metrics of one folder with a number in each file. */
function collectKsm(host: Host): Collected {
  return {
    metrics: rowsFrom(
      { cluster: 69, prefix: "mem.ksm.", type: "u64", sem: "instant", units: "none" },
      KSM,
      ({ key }) => {
        const file = { run_state: "run", sleep_time: "sleep_millisecs" }[key] ?? key;
        return () => host.number(`/sys/kernel/mm/ksm/${file}`);
      },
    ),
  };
}

/** Names of Hyper-V's values in its file; those in pages are multiplied by the size of a page. */
const HYPERV: Readonly<Record<string, readonly [key: string, pages: boolean]>> = {
  state: ["state", false],
  pagesize: ["page_size", false],
  added: ["pages_added", true],
  onlined: ["pages_onlined", true],
  ballooned: ["pages_ballooned", true],
  total_committed: ["total_pages_committed", true],
};

function collectBalloons(host: Host): Collected {
  const file = (path: string) =>
    host.sampled(() => {
      const bytes = host.readOnce(path);
      return bytes === undefined ? undefined : parseColons(bytes);
    });
  const vmware = file("/sys/kernel/debug/vmmemctl");
  const hyperv = file("/sys/kernel/debug/hv-balloon");
  const head = { cluster: 35, type: "u64", sem: "instant", units: "byte" } as const;
  return {
    metrics: [
      ...rowsFrom({ ...head, prefix: "mem.vmmemctl." }, VMWARE, ({ key }) => () => {
        // No balloon holds nothing.
        const values = vmware();
        return values === undefined ? 0 : times(values.get(key) ?? 0, host.pageSize);
      }),
      ...rowsFrom({ ...head, prefix: "hyperv.balloon." }, HYPERV_TABLE, ({ key }) => {
        const [name = "", pages = false] = HYPERV[key] ?? [];
        return () => {
          const values = hyperv();
          const value = values?.get(name) ?? 0;
          return pages ? times(value, values?.get("page_size") ?? 0) : value;
        };
      }),
    ],
  };
}

function collectSingle(host: Host): Collected {
  const zswap = "/sys/module/zswap/parameters";
  const values: Readonly<Record<string, () => FetchValue>> = {
    uevent_seqnum: () => host.number("/sys/kernel/uevent_seqnum"),
    max_pool_percent: () => host.number(`${zswap}/max_pool_percent`) ?? 0,
    enabled: () => host.line(`${zswap}/enabled`) ?? "",
  };
  return {
    metrics: rowsFrom(
      { cluster: 35, prefix: "sysfs.", type: "u32", sem: "instant", units: "none" },
      SINGLE,
      ({ key }) => values[key] ?? (() => undefined),
    ),
  };
}

/** A pool of huge pages of one size. */
interface Pool {
  readonly folder: string;
  readonly kilo: number;
}

const POOL_FILES: Readonly<Record<string, string>> = {
  free: "free_hugepages",
  reserved: "resv_hugepages",
  surplus: "surplus_hugepages",
  totalsize: "nr_hugepages",
  overcommit: "nr_overcommit_hugepages",
};

const SYSTEM_POOLS = 43;
const NODE_POOLS = 44;

/** Pools below a folder by what sysfs calls their size: "2048kB". */
const poolsIn = (host: Host, folder: string): (readonly [string, Pool])[] =>
  host
    .list(folder)
    .flatMap((name): (readonly [string, Pool])[] => {
      const size = /^hugepages-(\d+)kB$/.exec(name)?.[1];
      return size === undefined
        ? []
        : [[`${size}kB`, { folder: `${folder}/${name}`, kilo: Number(size) }]];
    })
    .sort(([, a], [, b]) => a.kilo - b.kilo);

function collectHugePages(host: Host, topology: Topology): Collected {
  const system = keptIndom<Pool>(host, SYSTEM_POOLS);
  const nodes = keptIndom<Pool>(host, NODE_POOLS);
  const value =
    (pools: typeof system, key: string) =>
    (instance: number): Count | undefined => {
      const pool = pools.get(instance);
      if (pool === undefined || key === "pagesize") return pool?.kilo;
      const pages = host.number(`${pool.folder}/${POOL_FILES[key] ?? ""}`);
      return pages === undefined ? undefined : times(pages, pool.kilo);
    };
  const head = { type: "u64", sem: "instant", units: "kbyte" } as const;
  return {
    refreshers: new Map([
      [SYSTEM_POOLS, () => system.replace(poolsIn(host, "/sys/kernel/mm/hugepages"))],
      [
        NODE_POOLS,
        () =>
          nodes.replace(
            topology
              .nodes()
              .flatMap(({ id }) =>
                poolsIn(host, `${NODE_FOLDERS}/node${id}/hugepages`).map(
                  ([name, pool]): readonly [string, Pool] => [`node${id}::${name}`, pool],
                ),
              ),
          ),
      ],
    ]),
    indoms: [
      { serial: SYSTEM_POOLS, instances: system.cache, oneline: "sizes of huge pages" },
      { serial: NODE_POOLS, instances: nodes.cache, oneline: "sizes of huge pages of each node" },
    ],
    metrics: [
      ...rowsFrom(
        { ...head, cluster: 94, prefix: "mem.hugepages.", indom: SYSTEM_POOLS },
        POOLS,
        ({ key }) => value(system, key),
      ),
      ...rowsFrom(
        { ...head, cluster: 95, prefix: "mem.numa.hugepages.", indom: NODE_POOLS },
        NODE_TABLE,
        ({ key }) => value(nodes, key),
      ),
    ],
  };
}

/** All of these metrics. */
export const collectSysfs = (host: Host, topology: Topology): readonly Collected[] => [
  collectKsm(host),
  collectBalloons(host),
  collectSingle(host),
  collectHugePages(host, topology),
];

const KSM = `
0 full_scans count | how often all mergeable memory was scanned
1 merge_across_nodes | whether pages of different nodes are merged
2 pages_shared | pages that others were merged into
3 pages_sharing | pages that were merged into others
4 pages_to_scan | pages that are scanned before the daemon sleeps
5 pages_unshared count | pages with contents that no other page has
6 pages_volatile | pages that change too fast to be merged
7 run_state | 0 off, 1 merging, 2 off and everything separated again
8 sleep_time msec | how long the daemon sleeps between scans
`;

const VMWARE = `
4 current | memory that VMware's balloon holds
5 target | memory that VMware wants the balloon to hold
`;

const HYPERV_TABLE = `
6 state u32 none | state of Hyper-V's balloon driver
7 pagesize u32 | bytes of a page of the balloon
8 onlined | memory added by Hyper-V that is in use
9 added | memory that Hyper-V has added
10 ballooned | memory that the balloon holds
11 total_committed | memory that the kernel has promised to programs
`;

const SINGLE = `
0 kernel.uevent_seqnum u64 counter count | events of devices so far
2 module.zswap.max_pool_percent | percent of memory that zswap may use
3 module.zswap.enabled string | whether zswap is on: Y or N
`;

const POOLS = `
0 pagesize | size of these huge pages
1 free | memory in free huge pages
2 reserved | memory in huge pages promised to programs
3 surplus | memory in huge pages above the number set
4 totalsize | memory in huge pages
5 overcommit | memory in huge pages that may be added to the number set
`;

const NODE_TABLE = `
0 pagesize | size of these huge pages
1 free | memory of the node in free huge pages
2 surplus | memory of the node in huge pages above the number set
3 totalsize | memory of the node in huge pages
`;
