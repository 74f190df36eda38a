// /proc/vmstat: what the kernel's memory management counts, and swapping in pages.
import type { FetchValue } from "../../define.ts";
import type { Collected } from "./collector.ts";
import type { Host } from "./host.ts";
import { type Count, keyedParser, latin1, plus } from "./scan.ts";
import { rowsByPlace, rowsFrom, tableLines } from "./table.ts";

/** Bytes of a line. */
const RECORD = 128;

/** Sums over what the kernel splits by zone, by page type and by who did the work, as PCP adds them up. */
const TOTALS: Readonly<Record<string, RegExp>> = {
  pgsteal_total: /^pgsteal_(?!khugepaged$|proactive$)/,
  pgscan_direct_total: /^pgscan_direct/,
  pgscan_kswapd_total: /^pgscan_kswapd/,
  pgdemote_total: /^pgdemote_(?!proactive$)/,
  nr_slab: /^nr_slab_(un)?reclaimable$/,
  thp_split: /^thp_split_page(_failed)?$/,
};

/** One /proc/vmstat: values by the place of their key in `keys`. */
export function createVmstatParser(
  keys: readonly string[],
): (bytes: Uint8Array) => readonly (Count | undefined)[] {
  const parse = keyedParser(keys);
  const values: (Count | undefined)[] = [];
  return (bytes) => {
    parse(bytes, values);
    return values;
  };
}

/** The names of all values in the file. */
export const vmstatKeys = (bytes: Uint8Array): string[] =>
  latin1(bytes, 0, bytes.length)
    .split("\n")
    .map((line) => line.split(" ", 1)[0] ?? "")
    .filter((key) => key !== "");

/** The metrics of /proc/vmstat. */
export function collectVmstat(host: Host): Collected {
  const lines = tableLines(
    {
      cluster: 28,
      prefix: "mem.vmstat.",
      type: "u64",
      sem: "counter",
      units: "count",
      text: (key) => `${key} of /proc/vmstat`,
    },
    TABLE,
  );
  const keys = lines.map(({ key }) => key);
  const swapIn = keys.indexOf("pswpin");
  const swapOut = keys.indexOf("pswpout");
  // The sums need keys that are no metrics; a kernel does not change them while it runs.
  let parts: { readonly all: string[]; readonly sums: ReadonlyMap<string, number[]> } | undefined;
  let parse: ((bytes: Uint8Array) => readonly (Count | undefined)[]) | undefined;
  const prepare = (bytes: Uint8Array): NonNullable<typeof parse> => {
    const here = vmstatKeys(bytes);
    const all = [...keys];
    const sums = new Map<string, number[]>();
    for (const [total, pattern] of Object.entries(TOTALS)) {
      const places = here
        .filter((key) => pattern.test(key))
        .map((key) => {
          const place = all.indexOf(key);
          return place < 0 ? all.push(key) - 1 : place;
        });
      if (places.length > 0) sums.set(total, places);
    }
    parts = { all, sums };
    return createVmstatParser(all);
  };
  const sample = host.sampled(() => {
    const bytes = host.read("/proc/vmstat", RECORD);
    if (bytes === undefined) return undefined;
    parse ??= prepare(bytes);
    return parse(bytes);
  });
  const total = (name: string): FetchValue => {
    const values = sample();
    if (values === undefined) return undefined;
    const own = values[keys.indexOf(name)];
    if (own !== undefined) return own;
    return parts?.sums.get(name)?.reduce<Count>((sum, place) => plus(sum, values[place] ?? 0), 0);
  };
  return {
    metrics: [
      ...rowsByPlace(lines, sample).map((row, place) => {
        const key = keys[place] ?? "";
        return TOTALS[key] === undefined ? row : { ...row, fetch: () => total(key) };
      }),
      ...rowsFrom(
        { cluster: 0, prefix: "swap.", type: "u32", sem: "counter", units: "count" },
        SWAP,
        ({ key }) => {
          const place = key === "pagesin" ? swapIn : swapOut;
          return () => sample()?.[place];
        },
      ),
    ],
  };
}

const SWAP = `
8 pagesin | pages read back from swap
9 pagesout | pages written to swap
`;

const TABLE = `
0 nr_dirty instant none
1 nr_writeback instant none
2 nr_unstable instant none
3 nr_page_table_pages instant none
4 nr_mapped instant none
5 nr_slab instant none
6 pgpgin
7 pgpgout
8 pswpin
9 pswpout
10 pgalloc_high
11 pgalloc_normal
12 pgalloc_dma
13 pgfree
14 pgactivate
15 pgdeactivate
16 pgfault
17 pgmajfault
18 pgrefill_high
19 pgrefill_normal
20 pgrefill_dma
21 pgsteal_high
22 pgsteal_normal
23 pgsteal_dma
24 pgscan_kswapd_high
25 pgscan_kswapd_normal
26 pgscan_kswapd_dma
27 pgscan_direct_high
28 pgscan_direct_normal
29 pgscan_direct_dma
30 pginodesteal
31 slabs_scanned
32 kswapd_steal
33 kswapd_inodesteal
34 pageoutrun
35 allocstall
36 pgrotated
37 nr_slab_reclaimable instant none
38 nr_slab_unreclaimable instant none
39 nr_anon_pages instant none
40 nr_bounce instant none
41 nr_file_pages instant none
42 nr_vmscan_write
43 htlb_buddy_alloc_fail
44 htlb_buddy_alloc_success
45 nr_active_anon instant
46 nr_active_file instant
47 nr_free_pages instant
48 nr_inactive_anon instant
49 nr_inactive_file instant
50 nr_isolated_anon instant
51 nr_isolated_file instant
52 nr_kernel_stack instant
53 nr_mlock instant
54 nr_shmem instant
55 nr_unevictable instant
56 nr_writeback_temp instant
57 compact_blocks_moved
58 compact_fail
59 compact_pagemigrate_failed
60 compact_pages_moved
61 compact_stall
62 compact_success
63 pgalloc_dma32
64 pgalloc_movable
65 pgrefill_dma32
66 pgrefill_movable
67 pgscan_direct_dma32
68 pgscan_direct_movable
69 pgscan_kswapd_dma32
70 pgscan_kswapd_movable
71 pgsteal_dma32
72 pgsteal_movable
73 thp_fault_alloc
74 thp_fault_fallback
75 thp_collapse_alloc
76 thp_collapse_alloc_failed
77 thp_split
78 unevictable_pgs_cleared
79 unevictable_pgs_culled
80 unevictable_pgs_mlocked
81 unevictable_pgs_mlockfreed
82 unevictable_pgs_munlocked
83 unevictable_pgs_rescued
84 unevictable_pgs_scanned
85 unevictable_pgs_stranded
86 zone_reclaim_failed
87 kswapd_low_wmark_hit_quickly
88 kswapd_high_wmark_hit_quickly
89 kswapd_skip_congestion_wait
90 nr_anon_transparent_hugepages instant
91 nr_dirtied
92 nr_dirty_background_threshold instant
93 nr_dirty_threshold instant
94 nr_written
95 numa_foreign
96 numa_hit
97 numa_interleave
98 numa_local
99 numa_miss
100 numa_other
101 thp_zero_page_alloc
102 thp_zero_page_alloc_failed
103 balloon_deflate
104 balloon_inflate
105 balloon_migrate
106 compact_daemon_wake
107 compact_free_scanned
108 compact_migrate_scanned
109 drop_pagecache
110 drop_slab
111 nr_free_cma instant
112 nr_pages_scanned
113 nr_vmscan_immediate_reclaim
114 numa_pages_migrated
115 numa_pte_updates
116 pglazyfreed
117 pgmigrate_fail
118 pgmigrate_success
119 thp_deferred_split_page
120 thp_split_page
121 thp_split_page_failed
122 thp_split_pmd
123 workingset_activate
124 workingset_nodereclaim
125 workingset_refault
126 compact_isolated
127 nr_shmem_hugepages instant
128 nr_shmem_pmdmapped instant
129 nr_zone_inactive_anon instant
130 nr_zone_active_anon instant
131 nr_zone_inactive_file instant
132 nr_zone_active_file instant
133 nr_zone_unevictable instant
134 nr_zone_write_pending instant
135 nr_zspages instant
136 thp_file_alloc
137 thp_file_mapped
138 pgsteal_kswapd_dma
139 pgsteal_kswapd_dma32
140 pgsteal_kswapd_normal
141 pgsteal_kswapd_movable
142 pgsteal_direct_dma
143 pgsteal_direct_dma32
144 pgsteal_direct_normal
145 pgsteal_direct_movable
146 pgscan_direct
147 pgscan_direct_throttle
148 pgscan_kswapd
149 pgsteal_direct
150 pgsteal_kswapd
151 numa_huge_pte_updates
152 numa_hint_faults
153 numa_hint_faults_local
154 allocstall_dma
155 allocstall_dma32
156 allocstall_high
157 allocstall_movable
158 allocstall_normal
159 compact_daemon_free_scanned
160 compact_daemon_migrate_scanned
161 nr_file_hugepages instant
162 nr_file_pmdmapped instant
163 nr_foll_pin_acquired instant
164 nr_foll_pin_released instant
165 nr_kernel_misc_reclaimable instant
166 oom_kill
167 pgsteal_file
168 swap_ra
169 swap_ra_hit
170 thp_fault_fallback_charge
171 thp_split_pud
172 thp_swpout
173 thp_swpout_fallback
174 workingset_nodes
175 workingset_restore
176 pgscan_direct_total
177 pgscan_kswapd_total
178 pgsteal_total
179 pgsteal_anon
180 pgscan_anon
181 pgscan_file
182 pgdemote_direct
183 pgdemote_khugepaged
184 pgdemote_kswapd
185 pgdemote_total
186 pgpromote_candidate
187 pgpromote_success
188 pgscan_khugepaged
189 pgsteal_khugepaged
`;
