// /proc/net/rpc: what the client and the server of NFS count, and the threads of the server.
import type { FetchValue, IndomRow, MetricRow } from "../../define.ts";
import type { Collected } from "./collector.ts";
import type { Host } from "./host.ts";
import { V2, V3, V4_CLIENT, V4_SERVER } from "./nfs-operations.ts";
import { linesOf } from "./scan.ts";
import { rowsFrom, type TableHead } from "./table.ts";

/** Numbers of each line by its first word; what is no number is 0. */
export type RpcSample = ReadonlyMap<string, readonly number[]>;

/** Parses /proc/net/rpc/nfs or nfsd. */
export function parseRpc(bytes: Uint8Array): RpcSample {
  const lines = new Map<string, number[]>();
  for (const line of linesOf(bytes)) {
    const [name = "", ...words] = line.trim().split(/\s+/);
    lines.set(
      name,
      words.map((word) => (/^\d+$/.test(word) ? Number(word) : 0)),
    );
  }
  return lines;
}

/** Where a number is: the line and its place in it. */
type Place = readonly [line: string, place: number];

const CLIENT: Readonly<Record<string, Place>> = {
  netcnt: ["net", 0],
  netudpcnt: ["net", 1],
  nettcpcnt: ["net", 2],
  nettcpconn: ["net", 3],
  rpccnt: ["rpc", 0],
  rpcretrans: ["rpc", 1],
  rpcauthrefresh: ["rpc", 2],
};

/** The handles that kernels before 2.4 counted have no place any more. */
const NOWHERE: Place = ["", 0];
const SERVER: Readonly<Record<string, Place>> = {
  netcnt: ["net", 0],
  netudpcnt: ["net", 1],
  nettcpcnt: ["net", 2],
  nettcpconn: ["net", 3],
  rpccnt: ["rpc", 0],
  rpcerr: ["rpc", 1],
  rpcbadfmt: ["rpc", 2],
  rpcbadauth: ["rpc", 3],
  rpcbadclnt: ["rpc", 4],
  rchits: ["rc", 0],
  rcmisses: ["rc", 1],
  rcnocache: ["rc", 2],
  fh_cached: NOWHERE,
  fh_valid: NOWHERE,
  fh_fixup: NOWHERE,
  fh_concurrent: NOWHERE,
  fh_stale: ["fh", 0],
  fh_lookup: ["fh", 1],
  fh_anon: ["fh", 2],
  fh_nocache_dir: ["fh", 3],
  fh_nocache_nondir: ["fh", 4],
  io_read: ["io", 0],
  io_write: ["io", 1],
  th_cnt: ["th", 0],
  th_fullcnt: ["th", 1],
};

/** Read-ahead: the size of the cache, ten classes of hits, misses. */
const READ_AHEAD: Readonly<Record<string, readonly [from: number, to: number]>> = {
  ra_size: [0, 1],
  ra_hits: [1, 11],
  ra_misses: [11, 12],
};

/** A list of operations and where their counts are. */
interface Version {
  readonly prefix: string;
  readonly items: readonly [calls: number, reqs: number];
  readonly indom: number;
  readonly operations: readonly string[];
  readonly line: string;
}

const CLIENT_VERSIONS: readonly Version[] = [
  { prefix: "nfs.client.", items: [1, 4], indom: 7, operations: V2, line: "proc2" },
  { prefix: "nfs3.client.", items: [60, 61], indom: 8, operations: V3, line: "proc3" },
  { prefix: "nfs4.client.", items: [64, 65], indom: 14, operations: V4_CLIENT, line: "proc4" },
];
const SERVER_VERSIONS: readonly Version[] = [
  { prefix: "nfs.server.", items: [50, 12], indom: 7, operations: V2, line: "proc2" },
  { prefix: "nfs3.server.", items: [62, 63], indom: 8, operations: V3, line: "proc3" },
  { prefix: "nfs4.server.", items: [66, 67], indom: 15, operations: V4_SERVER, line: "proc4ops" },
];

/** The server's operations of version 4 are numbered from 1. */
const SERVER_INDOM = 15;
const firstOf = (indom: number): number => (indom === SERVER_INDOM ? 1 : 0);

const HEAD: TableHead = { cluster: 7, prefix: "", type: "u32", sem: "counter", units: "count" };

function versionRows(
  sample: () => RpcSample | undefined,
  { prefix, items: [calls, reqs], indom, operations, line }: Version,
): MetricRow[] {
  // The first number of the line is how many there are.
  const count = (of: RpcSample, place: number): number => of.get(line)?.[place + 1] ?? 0;
  return [
    ...rowsFrom({ ...HEAD, prefix }, `${calls} calls | all operations`, () => () => {
      const of = sample();
      return of === undefined
        ? undefined
        : operations.reduce((sum, _, place) => sum + count(of, place), 0);
    }),
    ...rowsFrom(
      { ...HEAD, prefix, indom },
      `${reqs} reqs | operations of each kind`,
      () => (instance) => {
        const of = sample();
        return of === undefined ? undefined : count(of, instance - firstOf(indom));
      },
    ),
  ];
}

/** Pools of threads: how many threads, and sums of the four columns of pool_stats. */
export interface ThreadPools {
  readonly pools: number;
  readonly sums: readonly number[];
}

/** A head line, then a line for each pool: its number and four counts. */
export function parsePoolStats(bytes: Uint8Array): ThreadPools {
  const sums = [0, 0, 0, 0];
  let pools = 0;
  for (const line of linesOf(bytes)) {
    if (line.startsWith("#")) continue;
    const [pool = "", ...words] = line.trim().split(/\s+/);
    if (!/^\d+$/.test(pool)) continue;
    pools += 1;
    sums.forEach((sum, i) => {
      sums[i] = sum + (Number(words[i] ?? 0) || 0);
    });
  }
  return { pools, sums };
}

function threadRows(host: Host): MetricRow[] {
  const stats = host.sampled(() => {
    const bytes = host.readOnce("/proc/fs/nfsd/pool_stats");
    return bytes === undefined ? undefined : parsePoolStats(bytes);
  });
  const total = (): FetchValue => {
    const line = host.line("/proc/fs/nfsd/pool_threads");
    return line?.split(/\s+/).reduce((sum, word) => sum + (Number(word) || 0), 0);
  };
  const columns = ["requests", "enqueued", "processed", "timedout"];
  return rowsFrom({ ...HEAD, prefix: "nfs.server.threads." }, THREADS, ({ key }) => {
    if (key === "total") return total;
    if (key === "pools") return () => stats()?.pools;
    const column = columns.indexOf(key);
    return () => stats()?.sums[column];
  });
}

const listOf = (serial: number, names: readonly string[], oneline: string): IndomRow => ({
  serial,
  instances: names.map((name, i) => ({ id: i + firstOf(serial), name })),
  oneline,
});

/** The metrics of NFS and RPC. */
export function collectNfs(host: Host): Collected {
  const file = (path: string) =>
    host.sampled(() => {
      const bytes = host.read(path);
      return bytes === undefined ? undefined : parseRpc(bytes);
    });
  const client = file("/proc/net/rpc/nfs");
  const server = file("/proc/net/rpc/nfsd");
  const at =
    (sample: () => RpcSample | undefined, [line, place]: Place) =>
    (): FetchValue => {
      const of = sample();
      return of === undefined ? undefined : (of.get(line)?.[place] ?? 0);
    };
  return {
    indoms: [
      listOf(7, V2, "operations of NFS 2"),
      listOf(8, V3, "operations of NFS 3"),
      listOf(14, V4_CLIENT, "operations of NFS 4 clients"),
      listOf(SERVER_INDOM, V4_SERVER, "operations of NFS 4 servers"),
    ],
    metrics: [
      ...CLIENT_VERSIONS.flatMap((version) => versionRows(client, version)),
      ...SERVER_VERSIONS.flatMap((version) => versionRows(server, version)),
      ...rowsFrom({ ...HEAD, prefix: "rpc.client." }, RPC_CLIENT, ({ key }) =>
        at(client, CLIENT[key] ?? NOWHERE),
      ),
      ...rowsFrom({ ...HEAD, prefix: "rpc.server." }, RPC_SERVER, ({ key }) => {
        const range = READ_AHEAD[key];
        if (range === undefined) return at(server, SERVER[key] ?? NOWHERE);
        return () =>
          (server()?.get("ra") ?? []).slice(...range).reduce((sum, count) => sum + count, 0);
      }),
      ...threadRows(host),
    ],
  };
}

const RPC_CLIENT = `
20 rpccnt | calls
21 rpcretrans | calls sent again
22 rpcauthrefresh | credentials renewed
24 netcnt | packets
25 netudpcnt | UDP packets
26 nettcpcnt | TCP packets
27 nettcpconn | TCP connections made
`;

const RPC_SERVER = `
30 rpccnt | calls
31 rpcerr | calls that were refused
32 rpcbadfmt | calls that could not be read
33 rpcbadauth | calls with bad credentials
34 rpcbadclnt | calls of clients that may not call
35 rchits | calls answered from the reply cache
36 rcmisses | calls not found in the reply cache
37 rcnocache | calls whose replies are not kept
38 fh_cached | file handles in the cache, of old kernels
39 fh_valid | valid file handles, of old kernels
40 fh_fixup | repaired file handles, of old kernels
41 fh_lookup | file handles looked up
42 fh_stale | stale file handles
43 fh_concurrent | look-ups at the same time, of old kernels
44 netcnt | packets
45 netudpcnt | UDP packets
46 nettcpcnt | TCP packets
47 nettcpconn | TCP connections accepted
51 fh_anon | anonymous file handles
52 fh_nocache_dir | handles of folders that were not in memory
53 fh_nocache_nondir | handles of files that were not in memory
54 io_read byte | bytes read by clients
55 io_write byte | bytes written by clients
56 th_cnt instant | threads
57 th_fullcnt | times that all threads were busy
68 ra_size | size of the read-ahead cache
69 ra_hits | reads found in the read-ahead cache
70 ra_misses | reads not found in the read-ahead cache
`;

const THREADS = `
71 total instant | threads
72 pools instant | pools of threads
73 requests u64 | packets that arrived
74 enqueued u64 | connections that had to wait for a thread
75 processed u64 | threads woken up
76 timedout u64 | threads that ended since there was nothing to do
`;
