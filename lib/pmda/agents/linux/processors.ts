// Processors as hardware: /proc/cpuinfo, and what sysfs knows of each: whether it is in use, its
// frequency, and how often heat has slowed it down.
import type { FetchValue } from "../../define.ts";
import type { Collected } from "./collector.ts";
import type { Host } from "./host.ts";
import { type Count, linesOf } from "./scan.ts";
import { rowsFrom } from "./table.ts";
import { CPU_INDOM, NODE_FOLDERS, NODE_INDOM, type Topology } from "./topology.ts";

/** The lines of one processor by their names, in lower case. */
export type CpuInfo = ReadonlyMap<string, string>;

/** By processor number; without numbers, as on one old processor, it is 0. */
export function parseCpuinfo(bytes: Uint8Array): ReadonlyMap<number, CpuInfo> {
  const processors = new Map<number, Map<string, string>>();
  const common = new Map<string, string>();
  let current: Map<string, string> = common;
  for (const line of linesOf(bytes)) {
    const colon = line.indexOf(":");
    if (colon < 0) continue;
    const name = line.slice(0, colon).trim().toLowerCase();
    const value = line.slice(colon + 1).trim();
    if (name === "processor" && /^\d+$/.test(value)) {
      current = new Map();
      processors.set(Number(value), current);
    } else current.set(name, value);
  }
  if (processors.size === 0 && common.size > 0) processors.set(0, common);
  return processors;
}

/** Names that kernels of different machines have for the same thing. */
const NAMES: Readonly<Record<string, readonly string[]>> = {
  clock: ["cpu mhz", "clock"],
  vendor: ["vendor_id", "vendor", "cpu implementer"],
  model: ["model", "cpu model", "cpu part"],
  stepping: ["stepping", "cpu variant", "revision", "cpu revision"],
  cache: ["cache size", "l2 cache"],
  bogomips: ["bogomips"],
  model_name: ["model name", "cpu model", "cpu", "hardware"],
  flags: ["flags", "features"],
  cache_alignment: ["cache_alignment"],
};

/** Frequencies in kilohertz with the time in each. */
export interface FrequencyTimes {
  readonly cycles: number;
  readonly time: number;
  readonly max: number;
  readonly min: number;
}

/** Lines `KHZ TIME` of time_in_state; undefined without any. */
export function parseFrequencies(bytes: Uint8Array): FrequencyTimes | undefined {
  const states = linesOf(bytes).flatMap((line) => {
    const found = /^(\d+)\s+(\d+)$/.exec(line.trim());
    return found === null ? [] : [{ khz: Number(found[1]), time: Number(found[2]) }];
  });
  if (states.length === 0) return undefined;
  const frequencies = states.map(({ khz }) => khz);
  return {
    cycles: states.reduce((sum, { khz, time }) => sum + (khz / 1000) * time, 0),
    time: states.reduce((sum, { time }) => sum + time, 0),
    max: Math.max(...frequencies),
    min: Math.min(...frequencies),
  };
}

const cpuFile = (cpu: number, file: string): string => `/sys/devices/system/cpu/cpu${cpu}/${file}`;

const THERMAL: Readonly<Record<string, string>> = {
  "core.count": "core_throttle_count",
  "core.time": "core_throttle_total_time_ms",
  "package.count": "package_throttle_count",
  "package.time": "package_throttle_total_time_ms",
};

function infoRows(host: Host, topology: Topology) {
  // Where the clock does not change, the whole text does not.
  let known = { text: new Uint8Array(0), info: parseCpuinfo(new Uint8Array(0)) };
  const sample = host.sampled(() => {
    const bytes = host.read("/proc/cpuinfo");
    if (bytes === undefined) return undefined;
    if (Buffer.compare(bytes, known.text) !== 0)
      known = { text: new Uint8Array(bytes), info: parseCpuinfo(bytes) };
    return known.info;
  });
  const text = (cpu: number, key: string): string | undefined => {
    const info = sample()?.get(cpu);
    const name = NAMES[key]?.find((each) => info?.has(each) === true);
    return name === undefined ? undefined : info?.get(name);
  };
  const head = {
    cluster: 18,
    prefix: "",
    type: "string",
    sem: "discrete",
    units: "none",
    indom: CPU_INDOM,
  } as const;
  return rowsFrom(head, INFO, ({ key }) => {
    if (key === "cpu_num") return (cpu) => cpu;
    if (key === "cpu_node") return (cpu) => topology.nodeOf(cpu);
    const isText = ["vendor", "model", "stepping", "model_name", "flags"].includes(key);
    return (cpu): FetchValue => {
      const value = text(cpu, key);
      if (isText) return value ?? (sample()?.has(cpu) === true ? "unknown" : undefined);
      if (value === undefined) return undefined;
      const number = Number.parseFloat(value);
      if (Number.isNaN(number)) return undefined;
      return key === "cache" || key === "cache_alignment" ? Math.trunc(number) : number;
    };
  });
}

/** The metrics of processors and of whether nodes are in use. */
export function collectProcessors(host: Host, topology: Topology): Collected {
  const frequencies = host.sampled(() => new Map<number, FrequencyTimes | undefined>());
  const frequency = (cpu: number): FrequencyTimes | undefined => {
    const known = frequencies();
    if (!known.has(cpu)) {
      const bytes = host.readOnce(cpuFile(cpu, "cpufreq/stats/time_in_state"));
      known.set(cpu, bytes === undefined ? undefined : parseFrequencies(bytes));
    }
    return known.get(cpu);
  };
  const megahertz = (khz: Count | undefined): number | undefined =>
    khz === undefined ? undefined : Number(khz) / 1000;
  const limit = (cpu: number, which: "max" | "min"): number | undefined => {
    const khz =
      frequency(cpu)?.[which] ?? host.number(cpuFile(cpu, `cpufreq/scaling_${which}_freq`));
    const value = megahertz(khz);
    return value === undefined ? undefined : Math.floor(value);
  };
  const current = (cpu: number): number | undefined =>
    megahertz(host.number(cpuFile(cpu, "cpufreq/scaling_cur_freq")));
  const scaling: Readonly<Record<string, (cpu: number) => FetchValue>> = {
    // Drivers without times tell of the present alone, which PCP's agent takes for the count.
    count: (cpu) => {
      const cycles = frequency(cpu)?.cycles ?? current(cpu);
      return cycles === undefined ? undefined : Math.floor(cycles);
    },
    time: (cpu) => frequency(cpu)?.time,
    max: (cpu) => limit(cpu, "max"),
    min: (cpu) => limit(cpu, "min"),
    current,
  };
  const online = (path: string): Count => host.number(`${path}/online`) ?? 1;
  const head = { cluster: 55, type: "u32", sem: "instant", units: "none" } as const;
  return {
    metrics: [
      ...infoRows(host, topology),
      ...rowsFrom(
        { ...head, prefix: "hinv.", indom: CPU_INDOM },
        ONLINE,
        () => (cpu) => online(`/sys/devices/system/cpu/cpu${cpu}`),
      ),
      ...rowsFrom(
        { ...head, prefix: "hinv.", indom: NODE_INDOM },
        NODE_ONLINE,
        () => (node) => online(`${NODE_FOLDERS}/node${node}`),
      ),
      ...rowsFrom(
        { ...head, prefix: "hinv.cpu.thermal_throttle.", indom: CPU_INDOM },
        THERMAL_TABLE,
        ({ name }) => {
          const file = THERMAL[name.split(".").slice(-2).join(".")] ?? "";
          return (cpu) => host.number(cpuFile(cpu, `thermal_throttle/${file}`)) ?? 0;
        },
      ),
      ...rowsFrom(
        { ...head, prefix: "hinv.cpu.frequency_scaling.", indom: CPU_INDOM },
        FREQUENCY_TABLE,
        ({ key }) => scaling[key] ?? (() => undefined),
      ),
    ],
  };
}

const INFO = `
0 hinv.cpu.clock float mhz | clock rate
1 hinv.cpu.vendor | maker
2 hinv.cpu.model | model number
3 hinv.cpu.stepping | revision
4 hinv.cpu.cache u32 kbyte | size of the cache
5 hinv.cpu.bogomips float | speed of the kernel's waiting loop
6 hinv.map.cpu_num u32 | number of the processor
8 hinv.map.cpu_node u32 | memory node of the processor
9 hinv.cpu.model_name | name of the model
10 hinv.cpu.flags | features
11 hinv.cpu.cache_alignment u32 | bytes that memory is aligned to in the cache
`;

const ONLINE = `
0 cpu.online | whether the processor is in use
`;

const NODE_ONLINE = `
1 node.online | whether the memory node is in use
`;

const THERMAL_TABLE = `
2 core.count u64 counter count | how often heat slowed the core down
3 core.time u64 counter msec | how long heat slowed the core down
4 package.count u64 counter count | how often heat slowed the package down
5 package.time u64 counter count | how long heat slowed the package down
`;

const FREQUENCY_TABLE = `
6 count u64 counter count | clock cycles by the frequencies and times of time_in_state
7 time u64 counter usec | time in all frequencies
8 max mhz | highest frequency
9 min mhz | lowest frequency
10 current float mhz | frequency now
`;
