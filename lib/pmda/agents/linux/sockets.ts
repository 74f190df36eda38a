// Sockets: what /proc/net/sockstat counts, sockets by state from /proc/net/tcp and its like, and the
// queues between network cards and protocols in /proc/net/softnet_stat.
import type { MetricRow } from "../../define.ts";
import type { Collected } from "./collector.ts";
import { type Host, WHOLE } from "./host.ts";
import { cursorOn, linesOf, nextLine, skipBlanks, skipWord, takeHex } from "./scan.ts";
import { rowsFrom, type TableHead } from "./table.ts";
import { CPU_INDOM } from "./topology.ts";

/** Bytes of a line with a socket or a processor; paths of unix sockets have up to 108. */
const RECORD = 256;

/** Numbers by "TCP inuse", of lines `TCP: inuse 5 orphan 0`. */
export function parseSockstat(bytes: Uint8Array): ReadonlyMap<string, number> {
  const values = new Map<string, number>();
  for (const line of linesOf(bytes)) {
    const [head = "", ...words] = line.trim().split(/\s+/);
    if (!head.endsWith(":")) continue;
    for (let i = 0; i + 1 < words.length; i += 2) {
      const value = Number(words[i + 1]);
      if (Number.isInteger(value)) values.set(`${head.slice(0, -1)} ${words[i]}`, value);
    }
  }
  return values;
}

const SPACE = 32;
const COLON = 58;

/** The place behind the number of a socket at the start of its line, which stands before a colon. */
function slotEnd(bytes: Uint8Array, start: number): number {
  let at = start;
  while (bytes[at] === SPACE) at += 1;
  for (let byte = bytes[at] ?? 0; byte >= 48 && byte <= 57; byte = bytes[at] ?? 0) at += 1;
  return at;
}

/**
 * How many sockets are in each state, by the number of the state. Reads numbers only. Addresses of a
 * file have one width, so that the state stands where it stood in the line before: tables have ten
 * thousands of lines.
 */
export function countStates(bytes: Uint8Array): Uint32Array {
  const states = new Uint32Array(16);
  const cursor = cursorOn(bytes);
  let width = 0;
  while (nextLine(cursor)) {
    const slot = slotEnd(bytes, cursor.at);
    const known = slot + width;
    const same =
      width > 0 &&
      bytes[slot] === COLON &&
      bytes[known - 1] === SPACE &&
      bytes[known + 2] === SPACE;
    if (same) cursor.at = known;
    else {
      // Slot, local and remote address.
      for (let i = 0; i < 3; i++) {
        skipBlanks(cursor);
        skipWord(cursor);
      }
      skipBlanks(cursor);
      width = cursor.at - slot;
    }
    const state = takeHex(cursor);
    if (state < states.length) states[state] = (states[state] ?? 0) + 1;
  }
  return states;
}

/** Unix sockets. */
export interface UnixSockets {
  readonly datagram: number;
  readonly stream: number;
  readonly established: number;
  readonly listen: number;
}

const STREAM = 1;
const DATAGRAM = 2;
const UNCONNECTED = 1;
const CONNECTED = 3;

/** Counts of /proc/net/unix. */
export function parseUnix(bytes: Uint8Array): UnixSockets {
  const found = { datagram: 0, stream: 0, established: 0, listen: 0 };
  const cursor = cursorOn(bytes);
  while (nextLine(cursor)) {
    // Address, references, protocol, flags.
    for (let i = 0; i < 4; i++) {
      skipBlanks(cursor);
      skipWord(cursor);
    }
    const type = takeHex(cursor);
    const state = takeHex(cursor);
    if (type === DATAGRAM) found.datagram += 1;
    if (type !== STREAM) continue;
    found.stream += 1;
    if (state === CONNECTED) found.established += 1;
    if (state === UNCONNECTED) found.listen += 1;
  }
  return found;
}

/** Lines of /proc/net/softnet_stat: numbers by place, and the processor of each line. */
export interface SoftnetRow {
  readonly cpu: number;
  readonly values: readonly number[];
}

const SOFTNET_CPU = 12;

/** The lines of old kernels do not tell their processor: it is their place then. */
export function parseSoftnet(bytes: Uint8Array): SoftnetRow[] {
  const rows: SoftnetRow[] = [];
  const cursor = cursorOn(bytes);
  while (cursor.at < bytes.length) {
    const values: number[] = [];
    for (;;) {
      const value = takeHex(cursor);
      if (Number.isNaN(value)) break;
      values.push(value);
    }
    if (values.length > 0) rows.push({ cpu: values[SOFTNET_CPU] ?? rows.length, values });
    nextLine(cursor);
  }
  return rows;
}

const SOFTNET: Readonly<Record<string, readonly [place: number, text: string]>> = {
  processed: [0, "packets taken from cards"],
  dropped: [1, "packets dropped because the queue was full"],
  time_squeeze: [2, "times that work was left over when the time was up"],
  cpu_collision: [8, "times that two processors wanted to send on one card"],
  received_rps: [9, "times that another processor handed packets over"],
  flow_limit_count: [10, "packets dropped because their flow had too many"],
  total_backlog: [11, "packets that wait"],
  input_qlen: [13, "packets that wait in the input queue"],
  process_qlen: [14, "packets that wait in the queue being processed"],
};

function softnetRows(host: Host): MetricRow[] {
  const sample = host.sampled(() => {
    const bytes = host.read("/proc/net/softnet_stat", RECORD);
    return bytes === undefined ? undefined : parseSoftnet(bytes);
  });
  const head: TableHead = {
    cluster: 57,
    prefix: "network.softnet.",
    type: "u64",
    sem: "counter",
    units: "count",
    text: (key) => SOFTNET[key]?.[1] ?? key,
  };
  const placeOf = (key: string): number => SOFTNET[key]?.[0] ?? -1;
  return [
    ...rowsFrom(head, SOFTNET_ALL, ({ key }) => {
      const place = placeOf(key);
      return () => {
        const values = (sample() ?? []).flatMap((row) => row.values[place] ?? []);
        return values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0);
      };
    }),
    ...rowsFrom({ ...head, indom: CPU_INDOM }, SOFTNET_CPUS, ({ key }) => {
      const place = placeOf(key);
      return (cpu) => sample()?.find((row) => row.cpu === cpu)?.values[place];
    }),
  ];
}

/** Names of states by their numbers, as TCP has them; other protocols use some. */
const STATES = [
  "established",
  "syn_sent",
  "syn_recv",
  "fin_wait1",
  "fin_wait2",
  "time_wait",
  "close",
  "close_wait",
  "last_ack",
  "listen",
  "closing",
];

/** Files with a socket a line. */
const FILES = [
  { path: "tcp", cluster: 19, prefix: "network.tcpconn.", states: STATES },
  { path: "tcp6", cluster: 76, prefix: "network.tcpconn6.", states: STATES },
  { path: "udp", cluster: 79, prefix: "network.udpconn.", states: ["established", "listen"] },
  { path: "udp6", cluster: 80, prefix: "network.udpconn6.", states: ["established", "listen"] },
  { path: "raw", cluster: 77, prefix: "network.rawconn.", states: ["count"] },
  { path: "raw6", cluster: 78, prefix: "network.rawconn6.", states: ["count"] },
];

/** The state that a receiving UDP socket is in. */
const UDP_OPEN = 7;

function connectionRows(host: Host): MetricRow[] {
  return FILES.flatMap(({ path, cluster, prefix, states }) => {
    const sample = host.sampled(() => {
      const bytes = host.read(`/proc/net/${path}`, RECORD);
      return bytes === undefined ? undefined : countStates(bytes);
    });
    const isUdp = path.startsWith("udp");
    const table = states
      .map(
        (state, i) => `${i + 1} ${state} | ${path} sockets${state === "count" ? "" : `, ${state}`}`,
      )
      .join("\n");
    return rowsFrom(
      { cluster, prefix, type: "u32", sem: "instant", units: "count" },
      table,
      ({ key, item }) => {
        if (key === "count") return () => sample()?.reduce((sum, count) => sum + count, 0);
        const state = isUdp && key === "listen" ? UDP_OPEN : item;
        return () => sample()?.[state];
      },
    );
  });
}

function unixRows(host: Host): MetricRow[] {
  const sample = host.sampled(() => {
    const bytes = host.read("/proc/net/unix", RECORD);
    return bytes === undefined ? undefined : parseUnix(bytes);
  });
  const keys = ["datagram", "established", "listen", "stream"] as const;
  return rowsFrom(
    { cluster: 81, prefix: "network.unix.", type: "u32", sem: "instant", units: "count" },
    UNIX,
    ({ key }) => {
      const place = keys.find((each) => each === key) ?? "stream";
      return () => sample()?.[place];
    },
  );
}

function sockstatRows(host: Host): MetricRow[] {
  return [
    { path: "/proc/net/sockstat", cluster: 11, table: SOCKSTAT },
    { path: "/proc/net/sockstat6", cluster: 73, table: SOCKSTAT6 },
  ].flatMap(({ path, cluster, table }) => {
    const sample = host.sampled(() => {
      const bytes = host.read(path, WHOLE);
      return bytes === undefined ? undefined : parseSockstat(bytes);
    });
    const prefix = "network.sockstat.";
    return rowsFrom(
      { cluster, prefix, type: "i32", sem: "instant", units: "count" },
      table,
      ({ name }) => {
        const [protocol = "", what = ""] = name.slice(prefix.length).split(".");
        const key = protocol === "total" ? "sockets used" : `${protocol.toUpperCase()} ${what}`;
        return () => sample()?.get(key);
      },
    );
  });
}

/** The metrics of sockets. */
export const collectSockets = (host: Host): Collected => ({
  metrics: [
    ...sockstatRows(host),
    ...connectionRows(host),
    ...unixRows(host),
    ...softnetRows(host),
  ],
});

const SOFTNET_ALL = `
0 processed
1 dropped
2 time_squeeze
3 cpu_collision
4 received_rps
5 flow_limit_count
12 total_backlog instant
14 input_qlen instant
16 process_qlen instant
`;

const SOFTNET_CPUS = `
6 percpu.processed
7 percpu.dropped
8 percpu.time_squeeze
9 percpu.cpu_collision
10 percpu.received_rps
11 percpu.flow_limit_count
13 percpu.total_backlog instant
15 percpu.input_qlen instant
17 percpu.process_qlen instant
`;

const UNIX = `
1 datagram.count =datagram | datagram sockets
2 stream.established =established | stream sockets that are connected
3 stream.listen =listen | stream sockets that listen
4 stream.count =stream | stream sockets
`;

const SOCKSTAT = `
0 tcp.inuse | sockets in use (tcp)
3 udp.inuse | sockets in use (udp)
6 raw.inuse | sockets in use (raw)
8 udplite.inuse | sockets in use (udplite)
9 total | sockets of all kinds
10 tcp.orphan | sockets that no process holds (tcp)
11 tcp.tw | connections in TIME_WAIT (tcp)
12 tcp.alloc | sockets allocated (tcp)
13 tcp.mem | pages of buffers (tcp)
14 udp.mem | pages of buffers (udp)
15 frag.inuse | fragmented packets being put together
16 frag.memory | bytes of fragments (frag)
`;

const SOCKSTAT6 = `
0 tcp6.inuse | sockets in use (tcp6)
1 udp6.inuse | sockets in use (udp6)
2 udplite6.inuse | sockets in use (udplite6)
3 raw6.inuse | sockets in use (raw6)
4 frag6.inuse | fragmented packets being put together (IPv6)
5 frag6.memory | bytes of fragments (frag6)
`;
