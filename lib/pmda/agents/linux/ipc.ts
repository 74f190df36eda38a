// System V shared memory, semaphores and message queues: limits of the kernel, and what there is, from
// /proc/sys/kernel and /proc/sysvipc.
import type { FetchValue, IndomRow, MetricRow } from "../../define.ts";
import { type Collected, keptIndom, type KeptIndom } from "./collector.ts";
import { type Host, WHOLE } from "./host.ts";
import { type Count, countsOf, linesOf } from "./scan.ts";
import { rowsFrom } from "./table.ts";

/** One object by the names of the columns. */
export type IpcRow = ReadonlyMap<string, string>;

/** A file of /proc/sysvipc. Lines with fewer columns than the first are left out. */
export function parseIpc(bytes: Uint8Array): IpcRow[] {
  const [head = "", ...lines] = linesOf(bytes);
  const names = head.trim().split(/\s+/);
  return lines.flatMap((line) => {
    const words = line.trim().split(/\s+/);
    if (words.length < names.length) return [];
    return [new Map(names.map((name, i) => [name, words[i] ?? ""]))];
  });
}

const numberIn = (row: IpcRow, name: string): number => Number(row.get(name) ?? 0);
const sumOf = (rows: readonly IpcRow[], of: (row: IpcRow) => number): number =>
  rows.reduce((sum, row) => sum + of(row), 0);

/** Bits of permissions that say what becomes of shared memory. */
const DESTROYED = 0o1000;
const LOCKED = 0o2000;

/** Permissions as the decimal number that looks like the octal one. */
const permissions = (row: IpcRow): number =>
  Number((Number.parseInt(row.get("perms") ?? "", 8) & 0o777).toString(8));

const statusOf = (row: IpcRow): string => {
  const bits = Number.parseInt(row.get("perms") ?? "", 8);
  const words = [(bits & DESTROYED) === 0 ? [] : ["dest"], (bits & LOCKED) === 0 ? [] : ["locked"]];
  return words.flat().join(" ");
};

const keyOf = (row: IpcRow): string =>
  `0x${(numberIn(row, "key") >>> 0).toString(16).padStart(8, "0")}`;

/** Users by number, of /etc/passwd. */
export function parsePasswd(bytes: Uint8Array): ReadonlyMap<string, string> {
  const users = new Map<string, string>();
  for (const line of linesOf(bytes)) {
    const [name, , id] = line.split(":");
    if (name !== undefined && id !== undefined && !users.has(id)) users.set(id, name);
  }
  return users;
}

/** The three kinds of objects with what they are called in the file. */
const KINDS = [
  { kind: "shm", id: "shmid", indom: 28, cluster: 64, of: "segments of shared memory" },
  { kind: "msg", id: "msqid", indom: 29, cluster: 65, of: "message queues" },
  { kind: "sem", id: "semid", indom: 30, cluster: 66, of: "sets of semaphores" },
] as const;
type Kind = (typeof KINDS)[number]["kind"];

/** What objects have under another name than their metrics. */
const COLUMNS: Readonly<Record<string, string>> = {
  segsz: "size",
  creator_pid: "cpid",
  last_access_pid: "lpid",
  msgsz: "cbytes",
  messages: "qnum",
  last_send_pid: "lspid",
  last_recv_pid: "lrpid",
};

interface Objects {
  readonly sample: () => readonly IpcRow[] | undefined;
  readonly kept: KeptIndom<IpcRow>;
}

function objectRows(
  host: Host,
  objects: ReadonlyMap<Kind, Objects>,
): { readonly metrics: MetricRow[]; readonly indoms: IndomRow[] } {
  const users = host.sampled(() => {
    const bytes = host.readSetting("/etc/passwd");
    return bytes === undefined ? new Map<string, string>() : parsePasswd(bytes);
  });
  const facts: Readonly<Record<string, (row: IpcRow) => FetchValue>> = {
    key: keyOf,
    owner: (row) => users().get(row.get("uid") ?? "") ?? row.get("uid"),
    perms: permissions,
    status: statusOf,
  };
  const metrics: MetricRow[] = [];
  const indoms: IndomRow[] = [];
  for (const { kind, indom, cluster, of } of KINDS) {
    const kept = objects.get(kind)?.kept;
    if (kept === undefined) continue;
    indoms.push({ serial: indom, instances: kept.cache, oneline: of });
    metrics.push(
      ...rowsFrom(
        {
          cluster,
          prefix: `ipc.${kind}.`,
          type: "u32",
          sem: "instant",
          units: "none",
          indom,
        },
        OBJECTS[kind],
        ({ key }) => {
          const fact = facts[key] ?? ((row: IpcRow) => numberIn(row, COLUMNS[key] ?? key));
          return (instance) => {
            const row = kept.get(instance);
            return row === undefined ? undefined : fact(row);
          };
        },
      ),
    );
  }
  return { metrics, indoms };
}

/** Sums over all objects, by the name of the metric. */
function totals(host: Host): Readonly<Record<string, (rows: readonly IpcRow[]) => number>> {
  const pages = (bytes: number): number => Math.ceil(bytes / host.pageSize) * host.pageSize;
  return {
    "shm.tot": (rows) => sumOf(rows, (row) => pages(numberIn(row, "size"))),
    "shm.rss": (rows) => sumOf(rows, (row) => numberIn(row, "rss")),
    "shm.swp": (rows) => sumOf(rows, (row) => numberIn(row, "swap")),
    "shm.used_ids": (rows) => rows.length,
    // Kernels have not counted these since 2.4.
    "shm.swap_attempts": () => 0,
    "shm.swap_successes": () => 0,
    "sem.used_sem": (rows) => rows.length,
    "sem.tot_sem": (rows) => sumOf(rows, (row) => numberIn(row, "nsems")),
    "msg.used_queues": (rows) => rows.length,
    "msg.tot_msg": (rows) => sumOf(rows, (row) => numberIn(row, "qnum")),
    "msg.tot_bytes": (rows) => sumOf(rows, (row) => numberIn(row, "cbytes")),
  };
}

/** What the kernel gives for limits that it does not have. */
const FIXED = {
  segmentSize: 16,
  segments: 0xffff,
  undoBytes: 20,
  semaphoreValue: 32767,
} as const;

/** Limits by the name of the metric: the file below /proc/sys/kernel and the place in it, or a number. */
const LIMITS: Readonly<Record<string, readonly [file: string, place: number] | number>> = {
  "sem.max_semmap": ["sem", 1],
  "sem.max_semid": ["sem", 3],
  "sem.max_sem": ["sem", 1],
  "sem.num_undo": ["sem", 1],
  "sem.max_perid": ["sem", 0],
  "sem.max_ops": ["sem", 2],
  "sem.max_undoent": ["sem", 2],
  "sem.sz_semundo": FIXED.undoBytes,
  "sem.max_semval": FIXED.semaphoreValue,
  "sem.max_exit": FIXED.semaphoreValue,
  "msg.mapent": ["msgmnb", 0],
  "msg.max_msgsz": ["msgmax", 0],
  "msg.max_defmsgq": ["msgmnb", 0],
  "msg.max_msgqid": ["msgmni", 0],
  "msg.max_msgseg": FIXED.segmentSize,
  "msg.num_smsghdr": ["msgmnb", 0],
  "msg.max_seg": FIXED.segments,
  "shm.max_segsz": ["shmmax", 0],
  "shm.min_segsz": 1,
  "shm.max_seg": ["shmmni", 0],
  "shm.max_segproc": ["shmmni", 0],
  "shm.max_shmsys": ["shmall", 0],
};

/** The low 32 bits, which is all that these metrics hold. */
const low = (value: Count | undefined): number | undefined =>
  typeof value === "bigint" ? Number(BigInt.asUintN(32, value)) : value && value >>> 0;

function limitRows(host: Host): MetricRow[] {
  const counts = host.sampled(() => new Map<string, readonly Count[]>());
  const fromFile = (file: string, place: number): Count | undefined => {
    const known = counts();
    let found = known.get(file);
    if (found === undefined) {
      const bytes = host.read(`/proc/sys/kernel/${file}`, WHOLE);
      found = bytes === undefined ? [] : countsOf(bytes);
      known.set(file, found);
    }
    return found[place];
  };
  const pool = (): number | undefined => {
    const [queues, bytes] = [fromFile("msgmni", 0), fromFile("msgmnb", 0)];
    if (queues === undefined || bytes === undefined) return undefined;
    return low((BigInt(queues) * BigInt(bytes)) / 1024n);
  };
  return [
    { cluster: 21, table: SEM_LIMITS },
    { cluster: 22, table: MSG_LIMITS },
    { cluster: 23, table: SHM_LIMITS },
  ].flatMap(({ cluster, table }) =>
    rowsFrom(
      { cluster, prefix: "ipc.", type: "u32", sem: "discrete", units: "none" },
      table,
      ({ name }) => {
        const limit = LIMITS[name.slice("ipc.".length)];
        if (limit === undefined) return pool;
        return typeof limit === "number" ? () => limit : () => low(fromFile(...limit));
      },
    ),
  );
}

/** All metrics of System V IPC. */
export function collectIpc(host: Host): Collected {
  const objects = new Map<Kind, Objects>();
  const refreshers = new Map<number, () => void>();
  for (const { kind, id, indom } of KINDS) {
    const sample = host.sampled(() => {
      const bytes = host.read(`/proc/sysvipc/${kind}`);
      return bytes === undefined ? undefined : parseIpc(bytes);
    });
    const kept = keptIndom<IpcRow>(host, indom);
    objects.set(kind, { sample, kept });
    refreshers.set(indom, () =>
      kept.replace(
        (sample() ?? []).map((row): readonly [string, IpcRow] => [row.get(id) ?? "", row]),
      ),
    );
  }
  const { metrics, indoms } = objectRows(host, objects);
  const sums = totals(host);
  const sumRows = [
    { cluster: 56, kind: "shm", table: SHM_SUMS },
    { cluster: 61, kind: "sem", table: SEM_SUMS },
    { cluster: 62, kind: "msg", table: MSG_SUMS },
  ] as const;
  return {
    refreshers,
    indoms,
    metrics: [
      ...limitRows(host),
      ...metrics,
      ...sumRows.flatMap(({ cluster, kind, table }) =>
        rowsFrom(
          { cluster, prefix: "ipc.", type: "u32", sem: "instant", units: "none" },
          table,
          ({ name }) => {
            const sum = sums[name.slice("ipc.".length)];
            return () => {
              const rows = objects.get(kind)?.sample();
              return rows === undefined ? undefined : sum?.(rows);
            };
          },
        ),
      ),
    ],
  };
}

const SEM_LIMITS = `
0 sem.max_semmap | entries of the map of semaphores
1 sem.max_semid | most sets of semaphores
2 sem.max_sem | most semaphores
3 sem.num_undo | most undo structures
4 sem.max_perid | most semaphores of a set
5 sem.max_ops | most operations of one semop(2)
6 sem.max_undoent | most undo entries of a process
7 sem.sz_semundo | bytes of an undo structure
8 sem.max_semval | greatest value of a semaphore
9 sem.max_exit | greatest adjustment at the end of a process
`;

const MSG_LIMITS = `
0 msg.sz_pool kbyte | size of all message queues
1 msg.mapent | entries of the map of messages
2 msg.max_msgsz | bytes of the largest message
3 msg.max_defmsgq | bytes that a queue may hold unless set otherwise
4 msg.max_msgqid | most message queues
5 msg.max_msgseg | bytes of a segment of messages
6 msg.num_smsghdr | most heads of messages
7 msg.max_seg | most segments of messages
`;

const SHM_LIMITS = `
0 shm.max_segsz byte | bytes of the largest segment
1 shm.min_segsz byte | bytes of the smallest segment
2 shm.max_seg | most segments
3 shm.max_segproc | most segments of a process
4 shm.max_shmsys | pages that all segments may have together
`;

const SHM_SUMS = `
0 shm.tot byte | size of all segments
1 shm.rss byte | memory that all segments take
2 shm.swp byte | swap space that all segments take
3 shm.used_ids | segments
4 shm.swap_attempts | attempts to swap segments
5 shm.swap_successes | segments that were swapped
`;

const SEM_SUMS = `
0 sem.used_sem | sets of semaphores
1 sem.tot_sem | semaphores of all sets
`;

const MSG_SUMS = `
0 msg.used_queues | message queues
1 msg.tot_msg | messages in all queues
2 msg.tot_bytes byte | bytes in all queues
`;

const OBJECTS: Readonly<Record<Kind, string>> = {
  shm: `
0 key string discrete | key of the segment
1 owner string discrete | user who owns the segment
2 perms | permissions, as octal digits
3 segsz discrete byte | bytes of the segment
4 nattch | processes that have it attached
5 status string | dest: goes with its last user; locked: stays in memory
6 creator_pid discrete | process that made the segment
7 last_access_pid | process that attached or detached it last
`,
  msg: `
0 key string discrete | key of the queue
1 owner string discrete | user who owns the queue
2 perms | permissions, as octal digits
3 msgsz discrete byte | bytes in the queue
4 messages | messages in the queue
5 last_send_pid byte | process that sent last
6 last_recv_pid | process that received last
`,
  sem: `
0 key string discrete | key of the set
1 owner string discrete | user who owns the set
2 perms | permissions, as octal digits
3 nsems | semaphores of the set
`,
};
