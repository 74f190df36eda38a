// /proc/stat: processor times, interrupts, context switches, processes. One pass over the bytes; the
// long list of single interrupts is stepped over.
import { PM_ERR } from "../../../base/mod.ts";
import { PM_SEM, PM_TYPE, unitsWord } from "../../../pcp/mod.ts";
import type { FetchValue, MetricRow } from "../../define.ts";
import type { Collected } from "./collector.ts";
import { type Host, WHOLE } from "./host.ts";
import {
  type Count,
  cursorOn,
  nextLine,
  rememberLines,
  skipBlanks,
  skipWord,
  takeCount,
  takeNumber,
} from "./scan.ts";
import { rowsFrom } from "./table.ts";
import { CPU_INDOM, createTopology, NODE_INDOM, type Topology } from "./topology.ts";

/** Places of the times of a processor, as the lines have them. */
const TIME = {
  user: 0,
  nice: 1,
  sys: 2,
  idle: 3,
  wait: 4,
  hard: 5,
  soft: 6,
  steal: 7,
  guest: 8,
  guestNice: 9,
} as const;
const TIMES = 10;

/** One /proc/stat. Times are in ticks; what an old kernel does not count is 0. */
export interface StatSample {
  readonly total: Float64Array;
  /** By processor number. */
  readonly cpus: ReadonlyMap<number, Float64Array>;
  /** Processor numbers in the order of the lines; the same list while they are the same. */
  readonly ids: readonly number[];
  /** Undefined: the file does not tell. */
  readonly numbers: Readonly<Partial<Record<StatKey, Count | undefined>>>;
  /** Swap operations that read and wrote, of kernels before 2.6. */
  readonly swap: readonly [Count | undefined, Count | undefined] | undefined;
}

const KEYS = ["intr", "ctxt", "btime", "processes", "procs_running", "procs_blocked"] as const;
type StatKey = (typeof KEYS)[number];

interface LineKind {
  readonly cpu: number | undefined;
  readonly times: Float64Array | undefined;
  readonly key: StatKey | undefined;
  readonly swap: boolean;
}

/** A parser that uses the arrays of its last sample again. */
export function createStatParser(): (bytes: Uint8Array) => StatSample {
  const arrays = new Map<number, Float64Array>();
  const total = new Float64Array(TIMES);
  let ids: readonly number[] = [];
  const kindOf = rememberLines((name): LineKind => {
    const number = /^cpu(\d{0,6})$/.exec(name)?.[1];
    const none = { cpu: undefined, times: undefined, key: undefined, swap: name === "swap" };
    if (number === undefined) return { ...none, key: KEYS.find((key) => key === name) };
    if (number === "") return { ...none, times: total };
    const cpu = Number(number);
    const times = arrays.get(cpu) ?? new Float64Array(TIMES);
    arrays.set(cpu, times);
    return { ...none, cpu, times };
  });
  return (bytes) => {
    const cpus = new Map<number, Float64Array>();
    const numbers: Partial<Record<StatKey, Count | undefined>> = {};
    let swap: StatSample["swap"];
    total.fill(0);
    const cursor = cursorOn(bytes);
    let line = 0;
    while (cursor.at < bytes.length) {
      const start = cursor.at;
      skipWord(cursor);
      const { cpu, times, key, swap: isSwap } = kindOf(line, bytes, start, cursor.at);
      if (times !== undefined) {
        for (let i = 0; i < TIMES; i++) times[i] = takeNumber(cursor) || 0;
        if (cpu !== undefined) cpus.set(cpu, times);
      } else if (key !== undefined) numbers[key] = takeCount(cursor);
      else if (isSwap) swap = [takeCount(cursor), takeCount(cursor)];
      skipBlanks(cursor);
      nextLine(cursor);
      line += 1;
    }
    if (cpus.size !== ids.length || !ids.every((id) => cpus.has(id))) ids = [...cpus.keys()];
    return { total, cpus, ids, numbers, swap };
  };
}

/** Names of times with the items of all three groups, what they are made of, and their meaning. */
const CPU_TIMES: readonly (readonly [
  name: string,
  all: number,
  percpu: number,
  pernode: number,
  of: (times: Float64Array) => number,
  text: string,
])[] = [
  ["user", 20, 0, 62, (t) => t[TIME.user] ?? 0, "in user mode, guests included"],
  ["nice", 21, 1, 63, (t) => t[TIME.nice] ?? 0, "in user mode at low priority, guests included"],
  ["sys", 22, 2, 64, (t) => t[TIME.sys] ?? 0, "in the kernel"],
  ["idle", 23, 3, 65, (t) => t[TIME.idle] ?? 0, "without work"],
  [
    "wait.total",
    35,
    30,
    69,
    (t) => t[TIME.wait] ?? 0,
    "without work while a device was waited for",
  ],
  [
    "intr",
    34,
    31,
    66,
    (t) => (t[TIME.hard] ?? 0) + (t[TIME.soft] ?? 0),
    "in interrupts, hard and soft",
  ],
  ["irq.soft", 53, 56, 70, (t) => t[TIME.soft] ?? 0, "in soft interrupts"],
  ["irq.hard", 54, 57, 71, (t) => t[TIME.hard] ?? 0, "in hard interrupts"],
  ["steal", 55, 58, 67, (t) => t[TIME.steal] ?? 0, "that the hypervisor gave to others"],
  ["guest", 60, 61, 68, (t) => t[TIME.guest] ?? 0, "in virtual machines"],
  [
    "guest_nice",
    81,
    83,
    85,
    (t) => t[TIME.guestNice] ?? 0,
    "in virtual machines that run at low priority",
  ],
  [
    "vuser",
    78,
    76,
    77,
    (t) => Math.max(0, (t[TIME.user] ?? 0) - (t[TIME.guest] ?? 0)),
    "in user mode, without guests",
  ],
  [
    "vnice",
    82,
    84,
    86,
    (t) => Math.max(0, (t[TIME.nice] ?? 0) - (t[TIME.guestNice] ?? 0)),
    "in user mode at low priority, without guests",
  ],
];

const MSEC = unitsWord({ dimTime: 1, scaleTime: 2 });

function timeRows(host: Host, sample: () => StatSample | undefined, topology: Topology) {
  const scale = 1000 / host.hertz;
  const msec = (ticks: number): number => Math.round(ticks * scale);
  const common = { cluster: 0, type: PM_TYPE.U64, sem: PM_SEM.COUNTER, units: MSEC };
  const sumOf = (node: number, of: (times: Float64Array) => number): number => {
    let sum = 0;
    for (const [cpu, times] of sample()?.cpus ?? [])
      if (topology.nodeOf(cpu) === node) sum += of(times);
    return sum;
  };
  return CPU_TIMES.flatMap(([name, all, percpu, pernode, of, text]): MetricRow[] => [
    {
      ...common,
      name: `kernel.all.cpu.${name}`,
      item: all,
      oneline: `time of all processors ${text}`,
      labels: { device_type: "cpu" },
      fetch: () => {
        const now = sample();
        return now === undefined ? undefined : msec(of(now.total));
      },
    },
    {
      ...common,
      name: `kernel.percpu.cpu.${name}`,
      item: percpu,
      indom: CPU_INDOM,
      oneline: `time of each processor ${text}`,
      fetch: (cpu) => {
        const times = sample()?.cpus.get(cpu);
        return times === undefined ? undefined : msec(of(times));
      },
    },
    {
      ...common,
      name: `kernel.pernode.cpu.${name}`,
      item: pernode,
      indom: NODE_INDOM,
      oneline: `time of the processors of each memory node ${text}`,
      labels: { device_type: ["numa_node", "cpu"] },
      fetch: (node) => (sample() === undefined ? undefined : msec(sumOf(node, of))),
    },
  ]);
}

const NUMBERS = `
12 intr | interrupts handled since the start
13 pswitch =ctxt | context switches since the start
14 sysfork =processes | processes and threads started since the start
15 running =procs_running none instant | threads that run or wait for a processor
16 blocked =procs_blocked none instant | threads that wait for a device
17 boottime =btime i64 discrete sec | when the system was started, seconds since 1970
`;

/** Processor times and what else /proc/stat counts, and the processors and nodes themselves. */
export function collectStat(host: Host): Collected & { readonly topology: Topology } {
  const parse = createStatParser();
  const sample = host.sampled(() => {
    const bytes = host.read("/proc/stat", WHOLE);
    return bytes === undefined ? undefined : parse(bytes);
  });
  const none: readonly number[] = [];
  const topology = createTopology(host, () => sample()?.ids ?? none);
  const head = {
    cluster: 0,
    prefix: "kernel.all.",
    type: "u64",
    sem: "counter",
    units: "count",
  } as const;
  const unsupported: FetchValue = { error: PM_ERR.APPVERSION };
  const counts: Readonly<Record<string, () => FetchValue>> = {
    ncpu: () => topology.cpus().length,
    nnode: () => topology.nodes().length,
    hz: () => host.hertz,
    in: () => sample()?.swap?.[0] ?? unsupported,
    out: () => sample()?.swap?.[1] ?? unsupported,
  };
  return {
    topology,
    indoms: topology.indoms,
    metrics: [
      ...timeRows(host, sample, topology),
      ...rowsFrom(head, NUMBERS, ({ key }) => {
        const name = KEYS.find((each) => each === key) ?? "intr";
        return () => sample()?.numbers[name];
      }),
      ...rowsFrom(
        { ...head, prefix: "", type: "u32" },
        COUNTS,
        ({ key }) => counts[key] ?? (() => 0),
      ),
    ],
  };
}

const COUNTS = `
10 swap.in | swap operations that read, of kernels that count them
11 swap.out | swap operations that wrote, of kernels that count them
19 hinv.nnode discrete none | memory nodes
32 hinv.ncpu discrete none | processors
48 kernel.all.hz discrete count/sec | ticks a second of the clock that processor times are counted in
`;
