// /proc/zoneinfo: the memory zones of each node, and the node as a whole.
import { type Collected, keptIndom } from "./collector.ts";
import type { Host } from "./host.ts";
import {
  type Count,
  cursorOn,
  latin1,
  nextLine,
  rememberLines,
  skipBlanks,
  skipWord,
  takeCount,
  takeNumber,
  takeWord,
  times,
} from "./scan.ts";
import { rowsFrom, tableLines, withSource } from "./table.ts";

/** A zone of a node, or what a node has in common (`zone` undefined). */
export interface Zone {
  readonly node: number;
  readonly zone: string | undefined;
  /** In pages, by the name in the file. */
  readonly values: Map<string, Count>;
  /** Pages kept back for each kind of allocation. */
  readonly protection: readonly Count[];
}

/** Names that stand for themselves, or the one that a line goes by. */
const nameOf = rememberLines((name) => (name === "node_scanned" ? "scanned" : name));

/** Zones in the order of the file; a node's own counts come before its zones. */
export function parseZoneinfo(bytes: Uint8Array): Zone[] {
  const zones: Zone[] = [];
  const cursor = cursorOn(bytes);
  let zone: (Zone & { protection: Count[] }) | undefined;
  let line = 0;
  let inPages = false;
  do {
    const lineStart = cursor.at;
    skipBlanks(cursor);
    const start = cursor.at;
    skipWord(cursor);
    let name = nameOf(line, bytes, start, cursor.at);
    line += 1;
    if (start === lineStart && name === "Node") {
      const node = takeNumber(cursor);
      cursor.at += 1; // the comma
      takeWord(cursor);
      zone = { node, zone: takeWord(cursor), values: new Map(), protection: [] };
      inPages = true;
      zones.push(zone);
    } else if (zone === undefined || name === "") continue;
    else if (name === "per-node") {
      const whole: Zone = { node: zone.node, zone: undefined, values: new Map(), protection: [] };
      zones.splice(-1, 0, whole);
      inPages = readNode(cursor, whole.values, () => line++);
    } else if (name === "pagesets") inPages = false;
    else if (name === "protection:") {
      const end = bytes.indexOf(10, cursor.at);
      const text = latin1(bytes, cursor.at, end < 0 ? bytes.length : end);
      for (const part of text.match(/\d+/g) ?? [])
        zone.protection.push(takeCount(cursorOn(Buffer.from(part))) ?? 0);
    } else if (inPages) {
      if (name === "pages") name = takeWord(cursor);
      const value = takeCount(cursor);
      if (value !== undefined) zone.values.set(name, value);
    }
  } while (nextLine(cursor));
  return zones;
}

/** The lines of a node as a whole, which end where the pages of its first zone begin. */
function readNode(
  cursor: ReturnType<typeof cursorOn>,
  values: Map<string, Count>,
  next: () => number,
): boolean {
  const { bytes } = cursor;
  for (;;) {
    const before = cursor.at;
    if (!nextLine(cursor)) return true;
    const lineStart = cursor.at;
    skipBlanks(cursor);
    const start = cursor.at;
    skipWord(cursor);
    const name = nameOf(next(), bytes, start, cursor.at);
    if (start === lineStart || name === "pages") {
      // The caller steps on to this line.
      cursor.at = before;
      return true;
    }
    const value = takeCount(cursor);
    if (value !== undefined) values.set(name, value);
  }
}

const ZONE_INDOM = 32;
const PROTECTION_INDOM = 33;

/** One entry of a zone's list. */
interface Reserve {
  readonly zone: Zone;
  readonly place: number;
}

const zoneLabels = ({ node, zone }: Zone) =>
  zone === undefined ? { numa_node: node } : { numa_node: node, zone };

/** The metrics of /proc/zoneinfo, in kilobytes. */
export function collectZoneinfo(host: Host): Collected {
  const sample = host.sampled(() => {
    const bytes = host.read("/proc/zoneinfo");
    return bytes === undefined ? undefined : parseZoneinfo(bytes);
  });
  const zones = keptIndom<Zone>(host, ZONE_INDOM);
  const reserves = keptIndom<Reserve>(host, PROTECTION_INDOM);
  let last: readonly Zone[] | undefined;
  const refresh = (): void => {
    const now = sample() ?? [];
    if (now === last) return;
    last = now;
    const withPages = now.filter(
      ({ zone, values }) => zone === undefined || values.get("present") !== 0,
    );
    zones.replace(
      withPages.map((zone): readonly [string, Zone] => [
        zone.zone === undefined ? `node${zone.node}` : `${zone.zone}::node${zone.node}`,
        zone,
      ]),
    );
    reserves.replace(
      now.flatMap((zone) =>
        zone.protection.map((_, place): readonly [string, Reserve] => [
          `${zone.zone}::node${zone.node}::lowmem_reserved${place}`,
          { zone, place },
        ]),
      ),
    );
  };
  const kilo = host.pageSize / 1024;
  const head = {
    cluster: 68,
    prefix: "mem.zoneinfo.",
    type: "u64",
    sem: "instant",
    units: "kbyte",
    indom: ZONE_INDOM,
    text: (key: string) => `${key} of the zone or node`,
  } as const;
  return {
    refreshers: new Map([
      [ZONE_INDOM, refresh],
      [PROTECTION_INDOM, refresh],
    ]),
    indoms: [
      {
        serial: ZONE_INDOM,
        instances: zones.cache,
        oneline: "memory nodes and their zones",
        labels: { device_type: ["memory", "numa_node"], indom_name: "per zone per numa_node" },
        instanceLabels(instance) {
          const zone = zones.get(instance);
          return zone === undefined ? undefined : zoneLabels(zone);
        },
      },
      {
        serial: PROTECTION_INDOM,
        instances: reserves.cache,
        oneline: "reserves of memory zones",
        instanceLabels(instance) {
          const reserve = reserves.get(instance);
          return reserve === undefined
            ? undefined
            : { lowmem_reserved: reserve.place, ...zoneLabels(reserve.zone) };
        },
      },
    ],
    metrics: [
      ...tableLines(head, TABLE).map((line) =>
        withSource(line, (instance) => {
          const value = zones.get(instance)?.values.get(line.key);
          return value === undefined ? undefined : times(value, kilo);
        }),
      ),
      ...rowsFrom(
        { ...head, cluster: 70, indom: PROTECTION_INDOM },
        PROTECTION,
        () => (instance) => {
          const reserve = reserves.get(instance);
          const pages = reserve?.zone.protection[reserve.place];
          return pages === undefined ? undefined : times(pages, kilo);
        },
      ),
    ],
  };
}

const TABLE = `
0 free
1 min
2 low
3 high
4 scanned
5 spanned
6 present
7 managed
8 nr_free_pages
9 nr_alloc_batch
10 nr_inactive_anon
11 nr_active_anon
12 nr_inactive_file
13 nr_active_file
14 nr_unevictable
15 nr_mlock
16 nr_anon_pages
17 nr_mapped
18 nr_file_pages
19 nr_dirty
20 nr_writeback
21 nr_slab_reclaimable
22 nr_slab_unreclaimable
23 nr_page_table_pages
24 nr_kernel_stack
25 nr_unstable
26 nr_bounce
27 nr_vmscan_write
28 nr_vmscan_immediate_reclaim
29 nr_writeback_temp
30 nr_isolated_anon
31 nr_isolated_file
32 nr_shmem
33 nr_dirtied
34 nr_written
35 numa_hit
36 numa_miss
37 numa_foreign
38 numa_interleave
39 numa_local
40 numa_other
41 workingset_refault
42 workingset_activate
43 workingset_nodereclaim
44 nr_anon_transparent_hugepages
45 nr_free_cma
46 cma
47 nr_swapcached
48 nr_shmem_hugepages
49 nr_shmem_pmdmapped
50 nr_file_hugepages
51 nr_file_pmdmapped
52 nr_kernel_misc_reclaimable
53 nr_foll_pin_acquired
54 nr_foll_pin_released
55 workingset_refault_anon
56 workingset_refault_file
57 workingset_active_anon =workingset_activate_anon
58 workingset_active_file =workingset_activate_file
59 workingset_restore_anon
60 workingset_restore_file
61 nr_zspages
62 nr_zone_inactive_file
63 nr_zone_active_file
64 nr_zone_inactive_anon
65 nr_zone_active_anon
66 nr_zone_unevictable
67 nr_zone_write_pending
`;

const PROTECTION = `
0 protection | pages that are kept for allocations which only this zone can serve
`;
