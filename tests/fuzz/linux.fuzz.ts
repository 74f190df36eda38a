// Fuzzes the parsers of the linux agent with damaged files of recorded machines. The promise: any
// bytes give a sample or none, numbers are numbers, and a parser that keeps what it knows of the last
// file gives for the next one what a new parser gives.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseInet6 } from "../../lib/pmda/agents/linux/addresses.ts";
import { parseScsi, parseSerial } from "../../lib/pmda/agents/linux/devices.ts";
import { createDiskParser, parsePartitions } from "../../lib/pmda/agents/linux/diskstats.ts";
import { parseMounts } from "../../lib/pmda/agents/linux/filesystems.ts";
import { createGridParser } from "../../lib/pmda/agents/linux/interrupts.ts";
import { parseIpc, parsePasswd } from "../../lib/pmda/agents/linux/ipc.ts";
import { parseLocks } from "../../lib/pmda/agents/linux/limits.ts";
import { parseLoadavg, parseUptime } from "../../lib/pmda/agents/linux/load.ts";
import { createNetDevParser, innerPattern } from "../../lib/pmda/agents/linux/netdev.ts";
import { parsePoolStats, parseRpc } from "../../lib/pmda/agents/linux/nfs.ts";
import { parseClient, parseStates } from "../../lib/pmda/agents/linux/nfsd.ts";
import { parseBandwidth, parseUnusable } from "../../lib/pmda/agents/linux/numa.ts";
import { parseBuddyinfo, parseSlabinfo } from "../../lib/pmda/agents/linux/pools.ts";
import { parsePressure } from "../../lib/pmda/agents/linux/pressure.ts";
import { parseCpuinfo, parseFrequencies } from "../../lib/pmda/agents/linux/processors.ts";
import { createPairsParser } from "../../lib/pmda/agents/linux/protocols.ts";
import { type Count, keyedParser } from "../../lib/pmda/agents/linux/scan.ts";
import {
  countStates,
  parseSockstat,
  parseSoftnet,
  parseUnix,
} from "../../lib/pmda/agents/linux/sockets.ts";
import { createStatParser } from "../../lib/pmda/agents/linux/stat.ts";
import { parseSwaps } from "../../lib/pmda/agents/linux/swaps.ts";
import { parseColons } from "../../lib/pmda/agents/linux/sysfs.ts";
import { parseUtmp } from "../../lib/pmda/agents/linux/system.ts";
import { parseZoneinfo } from "../../lib/pmda/agents/linux/zoneinfo.ts";
import { FuzzFinding, type Fuzzer, mutate, type Random, seeded } from "./random.ts";

type Parser = (bytes: Uint8Array) => unknown;

const KEYS = ["MemTotal", "MemFree", "Active(anon)", "HugePages_Total", "nr_dirty", "Ip6InOctets"];
const keyed = (): Parser => {
  const parse = keyedParser(KEYS);
  const values: (Count | undefined)[] = [];
  return (bytes) => {
    parse(bytes, values);
    return values;
  };
};
const pairs = (): Parser => {
  const parser = createPairsParser(
    new Map([
      ["Tcp", ["RtoAlgorithm", "MaxConn", "InSegs"]],
      ["TcpExt", ["SyncookiesSent", "TCPTimeouts"]],
      ["IcmpMsg", ["InType3"]],
    ]),
  );
  return (bytes) => {
    parser.parse(bytes);
    return parser.lists;
  };
};

const always =
  (parse: Parser): (() => Parser) =>
  () =>
    parse;

/** Parsers by the end of the path that they read. */
const PARSERS: readonly (readonly [path: string, make: () => Parser])[] = [
  ["/proc/stat", createStatParser],
  ["/proc/meminfo", keyed],
  ["/proc/vmstat", keyed],
  ["/proc/net/snmp6", keyed],
  ["/proc/net/snmp", pairs],
  ["/proc/net/netstat", pairs],
  ["/proc/diskstats", createDiskParser],
  ["/proc/partitions", always(parsePartitions)],
  ["/proc/net/dev", createNetDevParser],
  ["/proc/net/if_inet6", always(parseInet6)],
  ["/proc/interrupts", createGridParser],
  ["/proc/softirqs", createGridParser],
  ["/proc/loadavg", always(parseLoadavg)],
  ["/proc/uptime", always(parseUptime)],
  ["/proc/cpuinfo", always(parseCpuinfo)],
  ["/proc/zoneinfo", always(parseZoneinfo)],
  ["/proc/buddyinfo", always(parseBuddyinfo)],
  ["/proc/slabinfo", always(parseSlabinfo)],
  ["/proc/pressure/io", always(parsePressure)],
  ["/proc/net/sockstat", always(parseSockstat)],
  ["/proc/net/softnet_stat", always(parseSoftnet)],
  ["/proc/net/tcp6", always(countStates)],
  ["/proc/net/unix", always(parseUnix)],
  ["/proc/swaps", always(parseSwaps)],
  ["/proc/locks", always(parseLocks)],
  ["/proc/self/mounts", always(parseMounts)],
  ["/proc/sysvipc/shm", always(parseIpc)],
  ["/proc/tty/driver/serial", always(parseSerial)],
  ["/proc/scsi/scsi", always(parseScsi)],
  ["/proc/net/rpc/nfsd", always(parseRpc)],
  ["/proc/fs/nfsd/pool_stats", always(parsePoolStats)],
  ["/proc/fs/nfsd/clients/12/info", always(parseClient)],
  ["/proc/fs/nfsd/clients/12/states", always(parseStates)],
  ["/sys/kernel/debug/extfrag/unusable_index", always(parseUnusable)],
  ["/sys/kernel/debug/hv-balloon", always(parseColons)],
  ["/sys/devices/system/cpu/cpu0/cpufreq/stats/time_in_state", always(parseFrequencies)],
  ["/etc/passwd", always(parsePasswd)],
  ["/etc/passwd", always(parseBandwidth)],
  ["/etc/passwd", always(innerPattern)],
  ["/etc/passwd", always((bytes) => parseUtmp(bytes, () => true))],
];

/** The files of the larger recorded machine. */
function recordedFiles(): ReadonlyMap<string, Uint8Array> {
  const text = readFileSync(join(import.meta.dir, "../fixtures/linux/big.tree"), "utf8");
  const files = new Map<string, Uint8Array>();
  for (const part of text.split(/^== (?=\/)/m).slice(1)) {
    const end = part.indexOf("\n");
    files.set(part.slice(0, end), new TextEncoder().encode(part.slice(end + 1)));
  }
  return files;
}

/** Damage that text is likelier to have than bytes. */
function damage(bytes: Uint8Array, random: Random, others: readonly Uint8Array[]): Uint8Array {
  switch (random.below(4)) {
    case 0:
      return bytes.slice(0, random.below(bytes.length + 1));
    case 1: {
      const at = random.below(bytes.length + 1);
      const digits = new TextEncoder().encode(
        random.pick(["-1", "18446744073709551616", "x", ":"]),
      );
      return Buffer.concat([bytes.subarray(0, at), digits, bytes.subarray(at)]);
    }
    case 2: {
      const from = random.below(bytes.length + 1);
      const to = from + random.below(bytes.length - from + 1);
      return Buffer.concat([bytes.subarray(0, from), bytes.subarray(to)]);
    }
    default:
      return mutate(bytes, random, others);
  }
}

/** Throws for a NaN in a sample. */
function checkNumbers(value: unknown, depth = 0): void {
  if (typeof value === "number" && Number.isNaN(value)) throw new Error("a number that is none");
  if (typeof value !== "object" || value === null || depth > 6) return;
  if (value instanceof Map) for (const each of value.values()) checkNumbers(each, depth + 1);
  else for (const each of Object.values(value)) checkNumbers(each, depth + 1);
}

/** Fields in which NaN stands for a number that the text does not have. */
const MAY_LACK = new Set(["/proc/loadavg", "/proc/zoneinfo"]);

/** Any bytes give a sample or none, the same from a parser that has seen others before. */
export const fuzzLinux: Fuzzer = (seed, iterations) => {
  const random = seeded(seed);
  const files = recordedFiles();
  const others = [...files.values()];
  const used = PARSERS.map(([path, make]) => ({ path, make, parse: make() }));
  for (let i = 0; i < iterations; i++) {
    const { path, make, parse } = random.pick(used);
    const original = files.get(path);
    if (original === undefined) throw new Error(`no recording of ${path}`);
    const bytes = random.below(8) === 0 ? original : damage(original, random, others);
    try {
      const sample = parse(bytes);
      if (!MAY_LACK.has(path)) checkNumbers(sample);
      if (!Bun.deepEquals(make()(bytes), sample)) throw new Error("not what a new parser gives");
    } catch (cause) {
      const reason = `${path}: ${cause instanceof Error ? cause.message : String(cause)}`;
      throw new FuzzFinding("linux", seed, i, Buffer.from(bytes).toString("hex"), reason, {
        cause,
      });
    }
  }
};
