// /proc/meminfo: memory of the whole system, swap space, huge pages.
import type { FetchValue } from "../../define.ts";
import type { Collected } from "./collector.ts";
import { type Host, WHOLE } from "./host.ts";
import { type Count, keyedParser, times } from "./scan.ts";
import { rowsFrom, tableLines, withSource } from "./table.ts";

const KBYTE = 1024;

/** The metrics of /proc/meminfo; `hugePageBytes` for those who count in huge pages. */
export function collectMeminfo(
  host: Host,
): Collected & { readonly hugePageBytes: () => number | undefined } {
  const head = {
    cluster: 1,
    prefix: "",
    type: "u64",
    sem: "instant",
    units: "kbyte",
    text: (key: string) => `${key} of /proc/meminfo`,
  } as const;
  const lines = tableLines(head, TABLE);
  const keys = [...new Set([...lines.map(({ key }) => key), "Hugepagesize"])];
  const parse = keyedParser(keys);
  const values: (Count | undefined)[] = [];
  const sample = host.sampled(() => {
    const bytes = host.read("/proc/meminfo", WHOLE);
    if (bytes === undefined) return undefined;
    parse(bytes, values);
    return values;
  });
  const place = (key: string): number => keys.indexOf(key);
  const [total, free, buffers, cached] = ["MemTotal", "MemFree", "Buffers", "Cached"].map(place);
  const [dirty, writeback, swapTotal, swapFree, hugeSize] = [
    "Dirty",
    "Writeback",
    "SwapTotal",
    "SwapFree",
    "Hugepagesize",
  ].map(place);
  const at = (index: number | undefined): number | undefined => {
    const value = sample()?.[index ?? -1];
    return value === undefined ? undefined : Number(value);
  };
  /** `first` less all others, not below 0; none when there is no first. */
  const less = (
    first: number | undefined,
    ...others: readonly (number | undefined)[]
  ): number | undefined => {
    const start = at(first);
    if (start === undefined) return undefined;
    return others.reduce<number>((rest, index) => Math.max(0, rest - (at(index) ?? 0)), start);
  };
  const bytes = (kilo: number | undefined): FetchValue =>
    kilo === undefined ? undefined : times(kilo, KBYTE);
  const hugeBytes = (key: string) => {
    const count = place(key);
    return (): FetchValue => {
      const pages = sample()?.[count];
      const size = at(hugeSize);
      return pages === undefined || size === undefined ? undefined : times(pages, size * KBYTE);
    };
  };
  const made: Readonly<Record<string, () => FetchValue>> = {
    used: () => less(total, free),
    other: () => less(total, free, buffers, cached),
    cache_clean: () => less(cached, dirty, writeback),
    length: () => bytes(at(swapTotal)),
    free: () => bytes(at(swapFree)),
    swapUsed: () => bytes(less(swapTotal, swapFree)),
    physmem: () => {
      const kilo = at(total);
      return kilo === undefined ? undefined : Math.floor(kilo / KBYTE);
    },
    pagesize: () => host.pageSize,
    hugepagesize: () => bytes(at(hugeSize)),
    hugepagesTotalBytes: hugeBytes("HugePages_Total"),
    hugepagesFreeBytes: hugeBytes("HugePages_Free"),
    hugepagesRsvdBytes: hugeBytes("HugePages_Rsvd"),
    hugepagesSurpBytes: hugeBytes("HugePages_Surp"),
  };
  return {
    hugePageBytes() {
      const kilo = at(hugeSize);
      return kilo === undefined ? undefined : kilo * KBYTE;
    },
    metrics: [
      ...lines.map((line) => {
        const index = place(line.key);
        return withSource(line, () => sample()?.[index]);
      }),
      ...rowsFrom(head, MADE, ({ key }) => made[key] ?? (() => undefined)),
    ],
  };
}

const MADE = `
6 swap.length byte | swap space
7 swap.used =swapUsed byte | swap space in use
8 swap.free byte | swap space that is free
1 mem.util.used | memory in use, for whatever
9 hinv.physmem u32 discrete mbyte | megabytes of memory
11 hinv.pagesize u32 discrete byte | bytes of a page of memory
12 mem.util.other | memory in use that is neither buffers nor page cache
29 mem.util.cache_clean | page cache that is neither dirty nor being written
59 hinv.hugepagesize u32 discrete byte | bytes of a huge page
60 mem.util.hugepagesTotalBytes byte | memory set aside for huge pages
61 mem.util.hugepagesFreeBytes byte | memory of huge pages that are free
62 mem.util.hugepagesRsvdBytes byte | memory of huge pages that are promised to programs
63 mem.util.hugepagesSurpBytes byte | memory of huge pages above the number set
`;

const TABLE = `
0 mem.physmem =MemTotal discrete
2 mem.util.free =MemFree
3 mem.util.shared =MemShared
4 mem.util.bufmem =Buffers
5 mem.util.cached =Cached
10 mem.freemem =MemFree
13 mem.util.swapCached =SwapCached
14 mem.util.active =Active
15 mem.util.inactive =Inactive
16 mem.util.highTotal =HighTotal
17 mem.util.highFree =HighFree
18 mem.util.lowTotal =LowTotal
19 mem.util.lowFree =LowFree
20 mem.util.swapTotal =SwapTotal
21 mem.util.swapFree =SwapFree
22 mem.util.dirty =Dirty
23 mem.util.writeback =Writeback
24 mem.util.mapped =Mapped
25 mem.util.slab =Slab
26 mem.util.committed_AS =Committed_AS
27 mem.util.pageTables =PageTables
28 mem.util.reverseMaps =ReverseMaps
30 mem.util.anonpages =AnonPages
31 mem.util.commitLimit =CommitLimit
32 mem.util.bounce =Bounce
33 mem.util.NFS_Unstable
34 mem.util.slabReclaimable =SReclaimable
35 mem.util.slabUnreclaimable =SUnreclaim
36 mem.util.active_anon =Active(anon)
37 mem.util.inactive_anon =Inactive(anon)
38 mem.util.active_file =Active(file)
39 mem.util.inactive_file =Inactive(file)
40 mem.util.unevictable =Unevictable
41 mem.util.mlocked =Mlocked
42 mem.util.shmem =Shmem
43 mem.util.kernelStack =KernelStack
44 mem.util.hugepagesTotal =HugePages_Total count
45 mem.util.hugepagesFree =HugePages_Free count
46 mem.util.hugepagesRsvd =HugePages_Rsvd count
47 mem.util.hugepagesSurp =HugePages_Surp count
48 mem.util.directMap4k =DirectMap4k
49 mem.util.directMap2M =DirectMap2M
50 mem.util.vmallocTotal =VmallocTotal
51 mem.util.vmallocUsed =VmallocUsed
52 mem.util.vmallocChunk =VmallocChunk
53 mem.util.mmap_copy =MmapCopy
54 mem.util.quicklists =Quicklists
55 mem.util.corrupthardware =HardwareCorrupted
56 mem.util.anonhugepages =AnonHugePages
57 mem.util.directMap1G =DirectMap1G
58 mem.util.available =MemAvailable
64 mem.util.shmemhugepages =ShmemHugePages
65 mem.util.shmempmdmapped =ShmemPmdMapped
66 mem.util.filehugepages =FileHugePages
67 mem.util.filepmdmapped =FilePmdMapped
68 mem.util.cmatotal =CmaTotal
69 mem.util.cmafree =CmaFree
70 mem.util.unaccepted =Unaccepted
71 mem.util.zswap =Zswap
72 mem.util.zswapped =Zswapped
73 mem.util.shadowcallstack =ShadowCallStack
74 mem.util.percpu =Percpu
75 mem.util.kreclaimable =KReclaimable
76 mem.util.hugetlb =Hugetlb
`;
