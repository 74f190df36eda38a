// /proc/net/dev and /sys/class/net: traffic and settings of network interfaces, and the sum over
// those that carry traffic of the machine itself.
import { asPcpError, compilePosix } from "../../../base/mod.ts";
import type { FetchValue } from "../../define.ts";
import { type Collected, keptIndom } from "./collector.ts";
import type { Host } from "./host.ts";
import { type Count, cursorOn, linesOf, nextLine, plus, rememberLines, takeCount } from "./scan.ts";
import { rowsFrom, type TableHead } from "./table.ts";

/** One interface. */
export interface Interface {
  readonly name: string;
  /** The sixteen counters of its line; undefined: the line ends before. */
  readonly counters: (Count | undefined)[];
}

const COUNTERS = 16;
/** Bytes of a line of /proc/net/dev: a name and sixteen numbers. */
const RECORD = 512;
const HEAD_LINES = 2;
const COLON = 58;

/** A parser that hands out the same interfaces, with new numbers, while the lines stay the same. */
export function createNetDevParser(): (bytes: Uint8Array) => readonly Interface[] {
  const known = new Map<string, Interface>();
  const interfaceOf = rememberLines((name): Interface => {
    const found = known.get(name) ?? { name, counters: [] };
    known.set(name, found);
    return found;
  });
  let last: readonly Interface[] = [];
  return (bytes) => {
    const found: Interface[] = [];
    const cursor = cursorOn(bytes);
    for (let line = 0; cursor.at < bytes.length; line += 1, nextLine(cursor)) {
      if (line < HEAD_LINES) continue;
      let start = cursor.at;
      while (bytes[start] === 32) start += 1;
      const end = bytes.indexOf(10, start);
      // Aliases have a colon in their names.
      const colon = bytes.lastIndexOf(COLON, end < 0 ? bytes.length : end);
      if (colon < start) continue;
      const device = interfaceOf(line - HEAD_LINES, bytes, start, colon);
      cursor.at = colon + 1;
      for (let i = 0; i < COUNTERS; i++) device.counters[i] = takeCount(cursor);
      found.push(device);
    }
    if (found.length !== last.length || found.some((each, i) => each !== last[i])) last = found;
    return last;
  };
}

/** Counters that are added up for a metric, by the end of its name. */
const PLACES: Readonly<Record<string, readonly [places: readonly number[], text: string]>> = {
  "in.bytes": [[0], "bytes received"],
  "in.packets": [[1], "packets received"],
  "in.errors": [[2], "packets received with errors"],
  "in.drops": [[3], "received packets that were dropped"],
  "in.fifo": [[4], "packets lost because the receive buffer was full"],
  "in.frame": [[5], "packets received with framing errors"],
  "in.compressed": [[6], "compressed packets received"],
  "in.mcasts": [[7], "multicast packets received"],
  "out.bytes": [[8], "bytes sent"],
  "out.packets": [[9], "packets sent"],
  "out.errors": [[10], "packets that could not be sent"],
  "out.drops": [[11], "packets to be sent that were dropped"],
  "out.fifo": [[12], "packets lost because the send buffer was full"],
  collisions: [[13], "collisions"],
  "out.carrier": [[14], "losses of the carrier"],
  "out.compressed": [[15], "compressed packets sent"],
  "total.bytes": [[0, 8], "bytes received and sent"],
  "total.packets": [[1, 9], "packets received and sent"],
  "total.errors": [[2, 10], "errors of receiving and sending"],
  "total.drops": [[3, 11], "packets dropped when receiving and sending"],
  "total.mcasts": [[7], "multicast packets"],
};

function counterOf({ counters }: Interface, places: readonly number[]): Count | undefined {
  let sum: Count | undefined;
  for (const place of places) {
    const value = counters[place];
    if (value === undefined) return undefined;
    sum = sum === undefined ? value : plus(sum, value);
  }
  return sum;
}

const IFF_UP = 1;
const DUPLEX: Readonly<Record<string, number>> = { half: 1, full: 2 };
const MBIT = 1_000_000 / 8;
const MBYTE = 1024 * 1024;

/**
 * What sysfs tells of an interface, by the last part of the metric's name. `lasting` keeps by path what
 * stays as long as the interface.
 */
function settings(
  host: Host,
  lasting: Map<string, number>,
): Readonly<Record<string, (name: string) => FetchValue>> {
  const is = (path: string): number => {
    const known = lasting.get(path) ?? (host.exists(path) ? 1 : 0);
    lasting.set(path, known);
    return known;
  };
  const file = (name: string, what: string): string => `/sys/class/net/${name}/${what}`;
  const flags = (name: string): number | undefined => {
    const text = host.line(file(name, "flags"));
    return text === undefined ? undefined : Number(text);
  };
  const isUp = (name: string): boolean => ((flags(name) ?? 0) & IFF_UP) !== 0;
  /** Bytes a second; a speed that is not known is -1, which PCP takes for an unsigned number. */
  const rate = (name: string): number | undefined => {
    const speed = host.number(file(name, "speed"));
    return speed === undefined ? undefined : (Number(speed) >>> 0) * MBIT;
  };
  const number = (name: string, what: string): Count | undefined => host.number(file(name, what));
  return {
    mtu: (name) => number(name, "mtu"),
    type: (name) => number(name, "type") ?? 0,
    baudrate: rate,
    speed: (name) => {
      const bytes = rate(name);
      return bytes === undefined ? undefined : bytes / MBYTE;
    },
    duplex: (name) => DUPLEX[host.line(file(name, "duplex")) ?? ""],
    up: (name) => (isUp(name) ? 1 : 0),
    running: (name) => {
      const state = host.line(file(name, "operstate"));
      return isUp(name) && (state === "up" || state === "unknown") ? 1 : 0;
    },
    wireless: (name) => is(file(name, "wireless")),
    virtual: (name) => is(`/sys/devices/virtual/net/${name}`),
  };
}

/** Interfaces that are no part of the sum unless the configuration says otherwise. */
const INNER = "^(lo|bond[0-9]+|team[0-9]+|face)$";

/** The expression of a configuration file: comments and all white space are left out. */
export const innerPattern = (bytes: Uint8Array): string =>
  linesOf(bytes)
    .map((line) => line.replace(/#.*/, ""))
    .join("")
    .replaceAll(/\s+/g, "");

function innerInterfaces({ setting, readOnce }: Host): RegExp {
  const path = `${setting.env["PCP_SYSCONF_DIR"] ?? "/etc/pcp"}/linux/interfaces.conf`;
  const bytes = readOnce(path);
  const pattern = bytes === undefined ? "" : innerPattern(bytes);
  try {
    return compilePosix(pattern === "" ? INNER : pattern);
  } catch (error) {
    setting.log("Warning", `${path}: ${asPcpError(error).message}`);
    return compilePosix(INNER);
  }
}

const INDOM = 3;
const PREFIX = "network.interface.";

/** The metrics of network interfaces. */
export function collectNetDev(host: Host): Collected {
  const parse = createNetDevParser();
  const sample = host.sampled(() => {
    const bytes = host.read("/proc/net/dev", RECORD);
    return bytes === undefined ? [] : parse(bytes);
  });
  const kept = keptIndom<Interface>(host, INDOM);
  const inner = innerInterfaces(host);
  const lasting = new Map<string, number>();
  let last: readonly Interface[] | undefined;
  const refresh = (): void => {
    const now = sample();
    if (now === last) return;
    last = now;
    host.forget("/sys/class/net/");
    lasting.clear();
    kept.replace(now.map((device): readonly [string, Interface] => [device.name, device]));
  };
  let outerOf: readonly Interface[] | undefined;
  let outer: readonly Interface[] = [];
  const summed = (): readonly Interface[] => {
    const now = sample();
    if (now !== outerOf) {
      outerOf = now;
      outer = now.filter(({ name }) => !inner.test(name));
    }
    return outer;
  };
  const head: TableHead = {
    cluster: 3,
    prefix: PREFIX,
    type: "u64",
    sem: "counter",
    units: "count",
    indom: INDOM,
  };
  const others = settings(host, lasting);
  const textOf = (name: string): string => PLACES[name]?.[1] ?? name;
  return {
    refreshers: new Map([[INDOM, refresh]]),
    indoms: [
      {
        serial: INDOM,
        instances: kept.cache,
        oneline: "network interfaces",
        labels: { device_type: "interface", indom_name: "per interface" },
        instanceLabels(instance) {
          const name = kept.cache.byId(instance)?.name;
          return name === undefined ? undefined : { interface: name };
        },
      },
    ],
    metrics: [
      ...rowsFrom(head, INTERFACES, ({ name, key }) => {
        const places = PLACES[name.slice(PREFIX.length)]?.[0];
        const other = others[key];
        return (instance) => {
          const device = kept.get(instance);
          if (device === undefined) return undefined;
          return places === undefined ? other?.(device.name) : counterOf(device, places);
        };
      }).map((row) => ({
        ...row,
        oneline: row.oneline ?? textOf(String(row.name).slice(PREFIX.length)),
      })),
      ...rowsFrom(
        { ...head, cluster: 90, prefix: "network.all.", indom: undefined },
        ALL,
        ({ name }) => {
          const places = PLACES[name.slice("network.all.".length)]?.[0] ?? [];
          return () =>
            summed().reduce<Count>((sum, device) => plus(sum, counterOf(device, places) ?? 0), 0);
        },
      ).map((row) => ({
        ...row,
        oneline: `${textOf(String(row.name).slice("network.all.".length))}, by all interfaces`,
      })),
      ...rowsFrom(
        { ...head, prefix: "hinv.", indom: undefined },
        "27 ninterface u32 discrete none | network interfaces",
        () => () => sample().length,
      ),
    ],
  };
}

const INTERFACES = `
0 in.bytes byte
1 in.packets
2 in.errors
3 in.drops
4 in.fifo
5 in.frame
6 in.compressed
7 in.mcasts
8 out.bytes byte
9 out.packets
10 out.errors
11 out.drops
12 out.fifo
13 collisions
14 out.carrier
15 out.compressed
16 total.bytes byte
17 total.packets
18 total.errors
19 total.drops
20 total.mcasts
21 mtu u32 instant byte | bytes of the largest packet
22 speed float discrete mbyte/sec | speed
23 baudrate discrete byte/sec | speed in bytes a second
24 duplex u32 discrete none | 1 half, 2 full duplex
25 up u32 instant none | whether the interface is switched on
26 running u32 instant none | whether the interface is on and connected
28 wireless u32 discrete none | whether the interface is a wireless one
29 type u32 discrete none | kind of hardware by the numbers of ARP
30 virtual u32 discrete none | whether the interface has no hardware
`;

const ALL = `
0 in.bytes byte
1 in.packets
2 in.errors
3 in.drops
4 out.bytes byte
5 out.packets
6 out.errors
7 out.drops
8 total.bytes byte
9 total.packets
10 total.errors
11 total.drops
`;
