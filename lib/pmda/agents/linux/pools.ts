// /proc/buddyinfo and /proc/slabinfo: free blocks of memory by zone and size, and the kernel's caches
// of objects. The second may be read by root alone.
import { type Collected, keptIndom } from "./collector.ts";
import type { Host } from "./host.ts";
import {
  type Count,
  cursorOn,
  linesOf,
  nextLine,
  rememberLines,
  skipBlanks,
  skipWord,
  takeNumber,
  times,
} from "./scan.ts";
import { rowsFrom } from "./table.ts";

/** Free blocks of one size in one zone. */
export interface Buddy {
  readonly node: number;
  readonly zone: string;
  /** A block has 2^order pages. */
  readonly order: number;
  readonly blocks: number;
}

/** In the order of the file; lines of another form are left out. */
export function parseBuddyinfo(bytes: Uint8Array): Buddy[] {
  return linesOf(bytes).flatMap((line) => {
    const found = /^Node\s+(\d+),\s+zone\s+(\S+)\s+([\d\s]+)$/.exec(line);
    if (found === null) return [];
    const [, node, zone = "", counts = ""] = found;
    return counts
      .trim()
      .split(/\s+/)
      .map((blocks, order) => ({ node: Number(node), zone, order, blocks: Number(blocks) }));
  });
}

/** One cache of objects. */
export interface Slab {
  readonly name: string;
  readonly active: number;
  readonly total: number;
  readonly size: number;
  readonly perSlab: number;
  readonly pages: number;
  readonly slabsActive: number;
  readonly slabs: number;
}

/** Names that stand for themselves: remembered, not decoded each time. */
const nameOf = rememberLines((name) => name);
/** `: tunables LIMIT BATCH SHARED : slabdata` */
const WORDS_BETWEEN = 7;

/** Version 2 of the format; lines of another form are left out. */
export function parseSlabinfo(bytes: Uint8Array): Slab[] {
  const slabs: Slab[] = [];
  const cursor = cursorOn(bytes);
  for (let line = 0; cursor.at < bytes.length; line += 1, nextLine(cursor)) {
    const start = cursor.at;
    skipWord(cursor);
    const end = cursor.at;
    const active = takeNumber(cursor);
    const total = takeNumber(cursor);
    const size = takeNumber(cursor);
    const perSlab = takeNumber(cursor);
    const pages = takeNumber(cursor);
    for (let i = 0; i < WORDS_BETWEEN; i++) {
      skipBlanks(cursor);
      skipWord(cursor);
    }
    const slabsActive = takeNumber(cursor);
    const allSlabs = takeNumber(cursor);
    // Head lines have no numbers; a NaN anywhere is one here.
    if (Number.isNaN(active + total + size + perSlab + pages + slabsActive + allSlabs)) continue;
    const name = nameOf(line, bytes, start, end);
    if (name !== "")
      slabs.push({ name, active, total, size, perSlab, pages, slabsActive, slabs: allSlabs });
  }
  return slabs;
}

const BUDDY_INDOM = 31;
const SLAB_INDOM = 12;

function collectBuddies(host: Host): Collected {
  const sample = host.sampled(() => {
    const bytes = host.read("/proc/buddyinfo");
    return bytes === undefined ? [] : parseBuddyinfo(bytes);
  });
  const kept = keptIndom<Buddy>(host, BUDDY_INDOM);
  const refresh = (): void =>
    kept.replace(
      sample().map((buddy): readonly [string, Buddy] => [
        `${buddy.zone}::order${buddy.order}::node${buddy.node}`,
        buddy,
      ]),
    );
  const kilo = host.pageSize / 1024;
  return {
    refreshers: new Map([[BUDDY_INDOM, refresh]]),
    indoms: [
      {
        serial: BUDDY_INDOM,
        instances: kept.cache,
        oneline: "sizes of free blocks in memory zones",
        labels: { device_type: ["memory", "numa_node"], indom_name: "per buddy per numa_node" },
        instanceLabels(instance) {
          const buddy = kept.get(instance);
          if (buddy === undefined) return undefined;
          return { numa_node: buddy.node, order: buddy.order, zone: buddy.zone };
        },
      },
    ],
    metrics: rowsFrom(
      {
        cluster: 67,
        prefix: "mem.buddyinfo.",
        type: "u64",
        sem: "instant",
        units: "none",
        indom: BUDDY_INDOM,
      },
      BUDDIES,
      ({ key }) =>
        (instance): Count | undefined => {
          const buddy = kept.get(instance);
          if (buddy === undefined || key === "pages") return buddy?.blocks;
          return times(buddy.blocks, 2 ** buddy.order * kilo);
        },
    ),
  };
}

/** Bytes of a line: names are short. */
const RECORD = 512;

const SLAB_VALUES: Readonly<Record<string, (slab: Slab, pageSize: number) => Count>> = {
  "objects.active": (slab) => slab.active,
  "objects.total": (slab) => slab.total,
  "objects.size": (slab) => slab.size,
  "slabs.active": (slab) => slab.slabsActive,
  "slabs.total": (slab) => slab.slabs,
  "slabs.pages_per_slab": (slab) => slab.pages,
  "slabs.objects_per_slab": (slab) => slab.perSlab,
  // The part of its slab that an object takes, with what is lost at the end of the slab.
  "slabs.total_size": (slab, pageSize) =>
    slab.perSlab === 0 ? 0 : Math.floor((slab.active * slab.pages * pageSize) / slab.perSlab),
};

function collectSlabs(host: Host): Collected {
  const sample = host.sampled(() => {
    const bytes = host.read("/proc/slabinfo", RECORD);
    return bytes === undefined ? [] : parseSlabinfo(bytes);
  });
  const kept = keptIndom<Slab>(host, SLAB_INDOM);
  const prefix = "mem.slabinfo.";
  return {
    guarded: SLAB_INDOM,
    refreshers: new Map([
      [
        SLAB_INDOM,
        () => kept.replace(sample().map((slab): readonly [string, Slab] => [slab.name, slab])),
      ],
    ]),
    indoms: [
      {
        serial: SLAB_INDOM,
        instances: kept.cache,
        oneline: "the kernel's caches of objects",
        labels: { device_type: "memory", indom_name: "per slab" },
      },
    ],
    metrics: rowsFrom(
      { cluster: 20, prefix, type: "u32", sem: "instant", units: "none", indom: SLAB_INDOM },
      SLABS,
      ({ name }) => {
        const value = SLAB_VALUES[name.slice(prefix.length)];
        return (instance) => {
          const slab = kept.get(instance);
          return slab === undefined ? undefined : value?.(slab, host.pageSize);
        };
      },
    ),
  };
}

/** The metrics of both files. */
export const collectPools = (host: Host): readonly Collected[] => [
  collectBuddies(host),
  collectSlabs(host),
];

const BUDDIES = `
0 pages | free blocks of 2^order pages
1 total kbyte | memory in free blocks of 2^order pages
`;

const SLABS = `
0 objects.active u64 | objects in use
1 objects.total u64 | objects
2 objects.size byte | bytes of an object
3 slabs.active | slabs in use
4 slabs.total | slabs
5 slabs.pages_per_slab | pages of a slab
6 slabs.objects_per_slab | objects of a slab
7 slabs.total_size u64 byte | bytes in objects that are in use
`;
