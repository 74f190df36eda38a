// Memory nodes: meminfo and numastat of each, the bandwidth that an administrator states, and how
// fragmented the nodes are.
import type { FetchValue } from "../../define.ts";
import type { Collected } from "./collector.ts";
import { type Host, WHOLE } from "./host.ts";
import { type Count, keyedParser, linesOf, times } from "./scan.ts";
import { type Source, rowsFrom, tableLines, withSource } from "./table.ts";
import { NODE_FOLDERS, NODE_INDOM, type Topology } from "./topology.ts";

/** Sums of the indexes of the zone Normal, by node. Other lines are ignored. */
export function parseUnusable(bytes: Uint8Array): ReadonlyMap<number, number> {
  const nodes = new Map<number, number>();
  for (const line of linesOf(bytes)) {
    const found = /^Node (\d+), zone +Normal +([\d. ]+)$/.exec(line);
    if (found === null) continue;
    const sum = (found[2] ?? "")
      .trim()
      .split(/ +/)
      .reduce((total, index) => total + Number(index), 0);
    if (!Number.isNaN(sum)) nodes.set(Number(found[1]), sum);
  }
  return nodes;
}

/** `nodeN:MBPS` lines by node; comments and other lines are ignored. */
export function parseBandwidth(bytes: Uint8Array): ReadonlyMap<number, number> {
  const nodes = new Map<number, number>();
  for (const line of linesOf(bytes)) {
    const found = /^\s*node(\d+)\s*:\s*([\d.]+)\s*$/.exec(line);
    if (found !== null) nodes.set(Number(found[1]), Number(found[2]));
  }
  return nodes;
}

/** The values of one file of each node, by place; the files are read when the first is asked for. */
function nodeFiles(
  host: Host,
  topology: Topology,
  file: string,
  keys: readonly string[],
  words: number,
): (node: number, place: number) => Count | undefined {
  const parsers = new Map<number, ReturnType<typeof keyedParser>>();
  const sample = host.sampled(() => {
    const nodes = new Map<number, readonly (Count | undefined)[]>();
    for (const { id } of topology.nodes()) {
      const bytes = host.read(`${NODE_FOLDERS}/node${id}/${file}`, WHOLE);
      if (bytes === undefined) continue;
      const parse = parsers.get(id) ?? keyedParser(keys, words);
      parsers.set(id, parse);
      const values: (Count | undefined)[] = [];
      parse(bytes, values);
      nodes.set(id, values);
    }
    return nodes;
  });
  return (node, place) => sample().get(node)?.[place];
}

/** The metrics of memory nodes. `hugePageBytes` is the size of a huge page. */
export function collectNuma(
  host: Host,
  topology: Topology,
  hugePageBytes: () => number | undefined,
): Collected {
  const head = {
    cluster: 36,
    prefix: "mem.numa.",
    type: "u64",
    sem: "instant",
    units: "kbyte",
    indom: NODE_INDOM,
    text: (key: string) => `${key} of the memory node`,
  } as const;
  const util = tableLines(head, UTIL);
  const utilKeys = util.map(({ key }) => key);
  const meminfo = nodeFiles(host, topology, "meminfo", utilKeys, 2);
  const alloc = tableLines({ ...head, sem: "counter", units: "count" }, ALLOC);
  const numastat = nodeFiles(
    host,
    topology,
    "numastat",
    alloc.map(({ key }) => key),
    0,
  );
  const folder = host.setting.env["PCP_PMDAS_DIR"] ?? "/var/lib/pcp/pmdas";
  const bandwidth = host.sampled(() => {
    const bytes = host.readSetting(`${folder}/linux/bandwidth.conf`);
    return bytes === undefined ? undefined : parseBandwidth(bytes);
  });
  const unusable = host.sampled(() => {
    const bytes = host.readOnce("/sys/kernel/debug/extfrag/unusable_index");
    return bytes === undefined ? undefined : parseUnusable(bytes);
  });
  const hugeBytes = (key: string): Source => {
    const place = utilKeys.indexOf(key);
    return (node): FetchValue => {
      const pages = meminfo(node, place);
      const size = hugePageBytes();
      return pages === undefined || size === undefined ? undefined : times(pages, size);
    };
  };
  return {
    metrics: [
      ...util.map((line, place) => withSource(line, (node) => meminfo(node, place))),
      ...alloc.map((line, place) => withSource(line, (node) => numastat(node, place))),
      ...rowsFrom(head, HUGE, ({ key }) => hugeBytes(key)),
      ...rowsFrom(head, BANDWIDTH, () => (node) => bandwidth()?.get(node)),
      ...rowsFrom(
        { ...head, cluster: 35, prefix: "" },
        UNUSABLE,
        () => (node) => unusable()?.get(node),
      ),
    ],
  };
}

const UTIL = `
0 util.total =MemTotal
1 util.free =MemFree
2 util.used =MemUsed
3 util.active =Active
4 util.inactive =Inactive
5 util.active_anon =Active(anon)
6 util.inactive_anon =Inactive(anon)
7 util.active_file =Active(file)
8 util.inactive_file =Inactive(file)
9 util.highTotal =HighTotal
10 util.highFree =HighFree
11 util.lowTotal =LowTotal
12 util.lowFree =LowFree
13 util.unevictable =Unevictable
14 util.mlocked =Mlocked
15 util.dirty =Dirty
16 util.writeback =Writeback
17 util.filePages =FilePages
18 util.mapped =Mapped
19 util.anonpages =AnonPages
20 util.shmem =Shmem
21 util.kernelStack =KernelStack
22 util.pageTables =PageTables
23 util.NFS_Unstable
24 util.bounce =Bounce
25 util.writebackTmp =WritebackTmp
26 util.slab =Slab
27 util.slabReclaimable =SReclaimable
28 util.slabUnreclaimable =SUnreclaim
29 util.hugepagesTotal =HugePages_Total count
30 util.hugepagesFree =HugePages_Free count
31 util.hugepagesSurp =HugePages_Surp count
42 util.swapCached =SwapCached
43 util.kreclaimable =KReclaimable
44 util.anonhugepages =AnonHugePages
45 util.shmemhugepages =ShmemHugePages
46 util.shmempmdmapped =ShmemPmdMapped
47 util.filehugepages =FileHugePages
48 util.filepmdmapped =FilePmdMapped
`;

const HUGE = `
39 util.hugepagesTotalBytes =HugePages_Total byte | memory of the node set aside for huge pages
40 util.hugepagesFreeBytes =HugePages_Free byte | memory of the node in free huge pages
41 util.hugepagesSurpBytes =HugePages_Surp byte | memory of the node in huge pages above the number set
`;

const ALLOC = `
32 alloc.hit =numa_hit
33 alloc.miss =numa_miss
34 alloc.foreign =numa_foreign
35 alloc.interleave_hit
36 alloc.local_node
37 alloc.other_node
`;

const BANDWIDTH = `
38 max_bandwidth double discrete mbyte/sec | greatest memory bandwidth of the node, as bandwidth.conf states it
`;

const UNUSABLE = `
1 sysfs.kernel.debug.extfrag_unusable float none | unusable part of the zone Normal, summed over block sizes
`;
