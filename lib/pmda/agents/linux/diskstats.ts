// /proc/diskstats as numbers, and what kind of block device a name stands for.
import {
  type Count,
  cursorOn,
  nextLine,
  rememberLines,
  skipBlanks,
  skipWord,
  takeCount,
} from "./scan.ts";

/** What the kernel counts for a device, by the place after its name. */
export const IO = {
  reads: 0,
  readMerges: 1,
  readSectors: 2,
  readTicks: 3,
  writes: 4,
  writeMerges: 5,
  writeSectors: 6,
  writeTicks: 7,
  inFlight: 8,
  activeTicks: 9,
  queueTicks: 10,
  discards: 11,
  discardMerges: 12,
  discardSectors: 13,
  discardTicks: 14,
  flushes: 15,
  flushTicks: 16,
} as const;
const PLACES = 17;
/** Partitions of kernels before 2.6.25 have only reads, sectors read, writes, sectors written. */
const SHORT = [IO.reads, IO.readSectors, IO.writes, IO.writeSectors] as const;

/** Kinds of devices; those without a kind are no disks: memory, loops, optical drives. */
export type DiskKind = "disk" | "partition" | "dm" | "md" | "zram";

/** One device. */
export interface DiskRow {
  readonly name: string;
  readonly kind: DiskKind | undefined;
  /** Undefined: the kernel does not count it for a device of this kind. 0: it is too old to count it. */
  readonly values: (Count | undefined)[];
}

/** Names that end with a digit and are whole disks. */
const WHOLE = /^(nvme\d+(c\d+)?n\d+|mmcblk\d+(boot\d+|rpmb)?|nbd\d+|rbd\d+)$/;

/** The kind of a device by its name, as PCP tells them apart. */
export function diskKind(name: string): DiskKind | undefined {
  if (/^(loop|ram|sr)\d/.test(name)) return undefined;
  if (/^dm-\d/.test(name)) return "dm";
  if (/^md\d|^md_/.test(name)) return "md";
  if (/^zram\d/.test(name)) return "zram";
  if (name.includes("/")) return /p\d+$/.test(name) ? "partition" : "disk";
  return /\d$/.test(name) && !WHOLE.test(name) ? "partition" : "disk";
}

/** A parser that hands out the same rows, with new numbers, while the lines stay the same. */
export function createDiskParser(): (bytes: Uint8Array) => readonly DiskRow[] {
  const known = new Map<string, DiskRow>();
  const rowOf = rememberLines((name): DiskRow => {
    const row = known.get(name) ?? { name, kind: diskKind(name), values: [] };
    known.set(name, row);
    return row;
  });
  let rows: readonly DiskRow[] = [];
  return (bytes) => {
    const found: DiskRow[] = [];
    const cursor = cursorOn(bytes);
    let line = 0;
    while (cursor.at < bytes.length) {
      // Device numbers.
      for (let i = 0; i < 2; i++) {
        skipBlanks(cursor);
        skipWord(cursor);
      }
      skipBlanks(cursor);
      const start = cursor.at;
      skipWord(cursor);
      if (cursor.at > start) {
        const row = rowOf(line, bytes, start, cursor.at);
        const { values } = row;
        let count = 0;
        for (; count < PLACES; count++) {
          const value = takeCount(cursor);
          if (value === undefined) break;
          values[count] = value;
        }
        spread(values, count);
        found.push(row);
      }
      nextLine(cursor);
      line += 1;
    }
    if (found.length !== rows.length || found.some((row, i) => row !== rows[i])) rows = found;
    return rows;
  };
}

/** Puts the numbers of short lines into their places. */
function spread(values: (Count | undefined)[], count: number): void {
  values.length = PLACES;
  if (count > SHORT.length) {
    values.fill(0, count);
    return;
  }
  const given = values.slice(0, count);
  values.fill(undefined);
  SHORT.forEach((place, i) => {
    values[place] = given[i];
  });
}

/** Sizes in kilobytes by name, of /proc/partitions. */
export function parsePartitions(bytes: Uint8Array): ReadonlyMap<string, Count> {
  const sizes = new Map<string, Count>();
  const cursor = cursorOn(bytes);
  do {
    const major = takeCount(cursor);
    const minor = takeCount(cursor);
    const size = takeCount(cursor);
    if (major === undefined || minor === undefined || size === undefined) continue;
    skipBlanks(cursor);
    const start = cursor.at;
    skipWord(cursor);
    sizes.set(Buffer.from(bytes.subarray(start, cursor.at)).toString("latin1"), size);
  } while (nextLine(cursor));
  return sizes;
}
