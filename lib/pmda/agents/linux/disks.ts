// Block devices: disks, partitions, device mapper, multiple devices, compressed memory, and all paths
// to one disk together. The numbers come from /proc/diskstats; /sys is asked for names and settings
// only when they are wanted, and for names once a device.
import { existsSync } from "node:fs";
import type { FetchValue, IndomRow, MetricRow } from "../../define.ts";
import { type Collected, keptIndom, type KeptIndom } from "./collector.ts";
import { DISK_TABLES, SUM_TABLE, ZRAM_FILES } from "./disk-tables.ts";
import { createDiskParser, type DiskKind, type DiskRow, IO, parsePartitions } from "./diskstats.ts";
import type { Host } from "./host.ts";
import { type Count, half, linesOf, plus } from "./scan.ts";
import { rowsFrom, type TableHead } from "./table.ts";

/** What a metric of a device is made of: numbers of the device that are added up. */
interface Made {
  readonly of: readonly number[];
  /** From sectors of 512 bytes to kilobytes. */
  readonly halved?: boolean;
  readonly text: string;
}

const MADE: Readonly<Record<string, Made>> = {
  read: { of: [IO.reads], text: "read operations" },
  write: { of: [IO.writes], text: "write operations" },
  total: { of: [IO.reads, IO.writes], text: "read and write operations" },
  blkread: { of: [IO.readSectors], text: "sectors read" },
  blkwrite: { of: [IO.writeSectors], text: "sectors written" },
  blktotal: { of: [IO.readSectors, IO.writeSectors], text: "sectors read and written" },
  read_bytes: { of: [IO.readSectors], halved: true, text: "data read" },
  write_bytes: { of: [IO.writeSectors], halved: true, text: "data written" },
  total_bytes: {
    of: [IO.readSectors, IO.writeSectors],
    halved: true,
    text: "data read and written",
  },
  read_merge: { of: [IO.readMerges], text: "reads that were merged into others" },
  write_merge: { of: [IO.writeMerges], text: "writes that were merged into others" },
  avactive: { of: [IO.activeTicks], text: "time in which there was something to do" },
  aveq: { of: [IO.queueTicks], text: "time that all operations together have waited" },
  read_rawactive: { of: [IO.readTicks], text: "time of all reads together" },
  write_rawactive: { of: [IO.writeTicks], text: "time of all writes together" },
  total_rawactive: {
    of: [IO.readTicks, IO.writeTicks],
    text: "time of all reads and writes together",
  },
  discard: { of: [IO.discards], text: "discard operations" },
  blkdiscard: { of: [IO.discardSectors], text: "sectors discarded" },
  discard_bytes: { of: [IO.discardSectors], halved: true, text: "data discarded" },
  discard_merge: { of: [IO.discardMerges], text: "discards that were merged into others" },
  discard_rawactive: { of: [IO.discardTicks], text: "time of all discards together" },
  flush: { of: [IO.flushes], text: "flush operations" },
  flush_rawactive: { of: [IO.flushTicks], text: "time of all flushes together" },
  inflight: { of: [IO.inFlight], text: "operations under way" },
};

function valueOf({ values }: DiskRow, { of, halved }: Made): Count | undefined {
  let sum: Count | undefined;
  for (const place of of) {
    const value = values[place];
    if (value === undefined) return undefined;
    sum = sum === undefined ? value : plus(sum, value);
  }
  return sum === undefined || halved !== true ? sum : half(sum);
}

/** All devices of several rows; none where there is no row with a value. */
function sumOf(rows: readonly DiskRow[], made: Made, none: Count | undefined): Count | undefined {
  let sum = none;
  for (const row of rows) {
    const value = valueOf(row, made);
    if (value !== undefined) sum = sum === undefined ? value : plus(sum, value);
  }
  return sum;
}

/** A world-wide name as it is given to the outside: its kind is a digit. */
const WWID_KINDS = [
  ["t10.", "1"],
  ["eui.", "2"],
  ["naa.", "3"],
] as const;

function wwidOf(host: Host, name: string): string | undefined {
  const text =
    host.line(`/sys/block/${name}/device/wwid`) ?? host.line(`/sys/block/${name}/wwid`) ?? "";
  const kind = WWID_KINDS.find(([prefix]) => text.startsWith(prefix));
  return kind === undefined ? undefined : kind[1] + text.slice(kind[0].length);
}

/** The scheduler in brackets, or the only word there is. */
function schedulerOf(host: Host, name: string): string {
  const line = host.line(`/sys/block/${name}/queue/scheduler`);
  if (line === undefined) return "unknown";
  return /\[(.+?)\]/.exec(line)?.[1] ?? (/^\w[\w-]*$/.test(line) ? line : "unknown");
}

const controllerOf = (host: Host, name: string): string | undefined =>
  /\/pci[\da-f]+:[\da-f]+\/[\da-f]+:([\da-f]+:[\da-f]+\.[\da-f])\//.exec(
    host.link(`/sys/block/${name}`) ?? "",
  )?.[1];

/** The name under which /dev/md has a device, or its own where that is a number alone. */
function multipleName(host: Host, device: string): string {
  const found = host
    .list("/dev/md")
    .filter((name) => !/^\d+$/.test(name))
    .find((name) => (host.link(`/dev/md/${name}`) ?? "").split("/").at(-1) === device);
  return found ?? device;
}

/** The exit status of mdadm for a device; -1 when it cannot be run. */
async function multipleStatus(host: Host, device: string): Promise<number> {
  const program = host.setting.env["LINUX_MDADM"] ?? "/sbin/mdadm";
  if (!existsSync(program)) return -1;
  const child = Bun.spawn([program, "--test", "--detail", `/dev/${device}`], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "ignore",
  });
  return child.exited;
}

/** The groups of devices with their numbers in the name space. */
const GROUPS = [
  { kind: "disk", prefix: "disk.dev.", cluster: 0, indom: 1, of: "each disk", per: "per disk" },
  {
    kind: "partition",
    prefix: "disk.partitions.",
    cluster: 10,
    indom: 10,
    of: "each partition",
    per: "per partition",
  },
  {
    kind: "dm",
    prefix: "disk.dm.",
    cluster: 54,
    indom: 24,
    of: "each mapped device",
    per: "per dm device",
  },
  {
    kind: "md",
    prefix: "disk.md.",
    cluster: 59,
    indom: 25,
    of: "each multiple device",
    per: "per md device",
  },
  { kind: "zram", prefix: "zram.", cluster: 86, indom: 38, of: "each compressed disk", per: "" },
] as const;
const WWID_INDOM = 42;

/** All paths to one disk. */
type Paths = readonly DiskRow[];

/** Everything that the metrics need. */
interface Disks {
  readonly host: Host;
  readonly sample: () => readonly DiskRow[];
  readonly capacity: (name: string) => Count | undefined;
  readonly kept: ReadonlyMap<DiskKind, KeptIndom<DiskRow>>;
  readonly paths: KeptIndom<Paths>;
  readonly refresh: () => void;
  readonly refreshPaths: () => void;
  readonly wwid: (name: string) => string | undefined;
}

/** The name that a device has as an instance. */
function instanceOf(host: Host, { name, kind }: DiskRow): string | undefined {
  if (kind === "dm") return host.line(`/sys/block/${name}/dm/name`);
  return kind === "md" ? multipleName(host, name) : name;
}

function openDisks(host: Host): Disks {
  const parse = createDiskParser();
  const sample = host.sampled(() => {
    const bytes = host.read("/proc/diskstats");
    return bytes === undefined ? [] : parse(bytes);
  });
  const sizes = host.sampled(() => {
    const bytes = host.read("/proc/partitions");
    return bytes === undefined ? undefined : parsePartitions(bytes);
  });
  const kept = new Map<DiskKind, KeptIndom<DiskRow>>(
    GROUPS.map(({ kind, indom }) => [kind, keptIndom<DiskRow>(host, indom)]),
  );
  const paths = keptIndom<Paths>(host, WWID_INDOM);
  const wwids = new Map<string, string | undefined>();
  const wwid = (name: string): string | undefined => {
    if (!wwids.has(name)) wwids.set(name, wwidOf(host, name));
    return wwids.get(name);
  };
  let last: readonly DiskRow[] | undefined;
  const refresh = (): void => {
    const rows = sample();
    if (rows === last) return;
    last = rows;
    // A name may have come to another device.
    wwids.clear();
    for (const [kind, indom] of kept) {
      indom.replace(
        rows.flatMap((row): (readonly [string, DiskRow])[] => {
          const name = row.kind === kind ? instanceOf(host, row) : undefined;
          return name === undefined ? [] : [[name, row]];
        }),
      );
    }
  };
  let lastPaths: readonly DiskRow[] | undefined;
  const refreshPaths = (): void => {
    refresh();
    const rows = sample();
    if (rows === lastPaths) return;
    lastPaths = rows;
    const disks = new Map<string, DiskRow[]>();
    for (const row of rows) {
      const id = row.kind === "disk" ? wwid(row.name) : undefined;
      if (id !== undefined) disks.set(id, [...(disks.get(id) ?? []), row]);
    }
    paths.replace(disks);
  };
  return {
    host,
    sample,
    capacity: (name) => sizes()?.get(name),
    kept,
    paths,
    refresh,
    refreshPaths,
    wwid,
  };
}

const kiloOf = (bytes: Count): Count =>
  typeof bytes === "number" ? Math.floor(bytes / 1024) : bytes / 1024n;

/** What a group tells besides numbers, by the last part of the metric's name. */
const facts = (disks: Disks): Readonly<Record<string, (row: DiskRow) => FetchValue>> => ({
  capacity: ({ name, kind }) => {
    if (kind !== "zram") return disks.capacity(name);
    const bytes = disks.host.number(`/sys/block/${name}/disksize`);
    return bytes === undefined ? undefined : kiloOf(bytes);
  },
  scheduler: ({ name }) => schedulerOf(disks.host, name),
  scsi_id: ({ name }) => disks.wwid(name) ?? "unknown",
  ctlr: ({ name }) => controllerOf(disks.host, name),
  model: ({ name }) => {
    // With the blanks that fill it up.
    const bytes = disks.host.readOnce(`/sys/block/${name}/device/model`);
    return bytes === undefined ? undefined : linesOf(bytes)[0];
  },
  dmname: ({ name }) => name,
  mdname: ({ name }) => name,
});

function groupRows(disks: Disks): MetricRow[] {
  const others = facts(disks);
  return GROUPS.flatMap(({ kind, cluster, indom, of }) => {
    const kept = disks.kept.get(kind);
    const head: TableHead = {
      cluster,
      prefix: "",
      type: "u64",
      sem: "counter",
      units: "count",
      indom,
      text: (key) => `${MADE[key]?.text ?? key} of ${of}`,
    };
    return rowsFrom(head, DISK_TABLES[kind], ({ key }) => {
      const made = MADE[key];
      return (instance) => {
        const row = kept?.get(instance);
        if (row === undefined) return undefined;
        return made === undefined ? others[key]?.(row) : valueOf(row, made);
      };
    });
  });
}

function wwidRows({ host, paths, capacity }: Disks): MetricRow[] {
  const others: Readonly<Record<string, (rows: Paths) => FetchValue>> = {
    scsi_paths: (rows) => rows.map(({ name }) => name).join(" "),
    scheduler: (rows) => schedulerOf(host, rows.at(-1)?.name ?? ""),
    capacity: (rows) => capacity(rows.at(-1)?.name ?? ""),
  };
  const head: TableHead = {
    cluster: 92,
    prefix: "disk.wwid.",
    type: "u64",
    sem: "counter",
    units: "count",
    indom: WWID_INDOM,
    text: (key) => `${MADE[key]?.text ?? key} over all paths to a disk`,
  };
  return rowsFrom(head, DISK_TABLES.wwid, ({ key }) => {
    const made = MADE[key];
    return (instance) => {
      const rows = paths.get(instance);
      if (rows === undefined) return undefined;
      return made === undefined ? others[key]?.(rows) : sumOf(rows, made, undefined);
    };
  });
}

function sumRows({ sample }: Disks): MetricRow[] {
  let from: readonly DiskRow[] | undefined;
  let all: readonly DiskRow[] = [];
  const disks = (): readonly DiskRow[] => {
    const rows = sample();
    if (rows !== from) {
      from = rows;
      all = rows.filter(({ kind }) => kind === "disk");
    }
    return all;
  };
  const head: TableHead = {
    cluster: 0,
    prefix: "disk.all.",
    type: "u64",
    sem: "counter",
    units: "count",
    text: (key) => `${MADE[key]?.text ?? key} of all disks`,
  };
  return [
    ...rowsFrom(head, SUM_TABLE, ({ key }) => {
      const made = MADE[key];
      return () => (made === undefined ? undefined : sumOf(disks(), made, 0));
    }),
    ...rowsFrom(
      { ...head, prefix: "hinv." },
      "33 ndisk u32 discrete none | disks",
      () => () => disks().length,
    ),
  ];
}

/** Numbers in a file of a compressed disk. */
function zramRows({ host, kept }: Disks): MetricRow[] {
  const devices = kept.get("zram");
  const kilo = host.pageSize / 1024;
  return ZRAM_FILES.flatMap(({ file, head, table, scale }) =>
    rowsFrom({ ...head, indom: 38 }, table, ({ key }) => {
      const place = Number(key);
      return (instance) => {
        const row = devices?.get(instance);
        const line = row && host.line(`/sys/block/${row.name}/${file}`);
        const word = line?.split(/\s+/)[place];
        if (word === undefined || !/^\d+$/.test(word)) return undefined;
        const value = Number(word);
        if (scale === "bytes" || (scale === "memory" && place < 5)) return Math.floor(value / 1024);
        return scale === "count" ? value : value * kilo;
      };
    }),
  );
}

function indomRows({ kept, paths }: Disks): IndomRow[] {
  return [
    ...GROUPS.flatMap(({ kind, indom, of, per }): IndomRow[] => {
      const cache = kept.get(kind)?.cache;
      if (cache === undefined) return [];
      const row = { serial: indom, instances: cache, oneline: of };
      if (per === "") return [row];
      return [
        {
          ...row,
          labels: { device_type: "block", indom_name: per },
          instanceLabels(instance) {
            const name = cache.byId(instance)?.name;
            return name === undefined ? undefined : { device_name: name };
          },
        },
      ];
    }),
    { serial: WWID_INDOM, instances: paths.cache, oneline: "disks by their world-wide names" },
  ];
}

/** The metrics of block devices. */
export function collectDisks(host: Host): Collected {
  const disks = openDisks(host);
  const devices = disks.kept.get("md");
  return {
    refreshers: new Map<number, () => void>([
      ...GROUPS.map(({ indom }) => [indom, disks.refresh] as const),
      [WWID_INDOM, disks.refreshPaths],
    ]),
    indoms: indomRows(disks),
    metrics: [
      ...groupRows(disks),
      ...wwidRows(disks),
      ...sumRows(disks),
      ...zramRows(disks),
      ...rowsFrom(
        { cluster: 60, prefix: "disk.md.", type: "i32", sem: "instant", units: "none", indom: 25 },
        "0 status | exit status of mdadm --test --detail",
        () => (instance) => {
          const row = devices?.get(instance);
          return row === undefined ? undefined : multipleStatus(host, row.name);
        },
      ),
    ],
  };
}
