// Small files of /proc/sys and /proc/locks: tables of the kernel and what is in them.
import type { FetchValue } from "../../define.ts";
import type { Collected } from "./collector.ts";
import { type Host, WHOLE } from "./host.ts";
import { type Count, countsOf, linesOf } from "./scan.ts";
import { rowsFrom } from "./table.ts";

/** How many locks of a kind are for reading and for writing. */
export interface Locks {
  readonly read: number;
  readonly write: number;
}

/** Kinds of the file by the names of the metrics. */
const KINDS: Readonly<Record<string, string>> = {
  POSIX: "posix",
  OFDLCK: "posix",
  FLOCK: "flock",
  LEASE: "lease",
  DELEG: "lease",
};

/** By kind; locks that wait for others are not counted. */
export function parseLocks(bytes: Uint8Array): ReadonlyMap<string, Locks> {
  const locks = new Map<string, { read: number; write: number }>(
    Object.values(KINDS).map((kind) => [kind, { read: 0, write: 0 }]),
  );
  for (const line of linesOf(bytes)) {
    const [, kind = "", , how = ""] = line.trim().split(/\s+/);
    const found = locks.get(KINDS[kind] ?? "");
    if (found === undefined) continue;
    if (how === "READ") found.read += 1;
    if (how === "WRITE") found.write += 1;
  }
  return locks;
}

/** Files below /proc/sys and the place in them, by the name of the metric. */
const FILES: Readonly<Record<string, readonly [file: string, place: number]>> = {
  "vfs.files.count": ["fs/file-nr", 0],
  "vfs.files.free": ["fs/file-nr", 1],
  "vfs.files.max": ["fs/file-nr", 2],
  "vfs.inodes.count": ["fs/inode-state", 0],
  "vfs.inodes.free": ["fs/inode-state", 1],
  "vfs.dentry.count": ["fs/dentry-state", 0],
  "vfs.dentry.free": ["fs/dentry-state", 1],
  "vfs.aio.count": ["fs/aio-nr", 0],
  "vfs.aio.max": ["fs/aio-max-nr", 0],
  "kernel.all.entropy.avail": ["kernel/random/entropy_avail", 0],
  "kernel.all.entropy.poolsize": ["kernel/random/poolsize", 0],
  "kernel.all.pid_max": ["kernel/pid_max", 0],
  "kernel.all.nptys": ["kernel/pty/nr", 0],
};

/** The metrics of these files. */
export function collectLimits(host: Host): Collected {
  const counts = host.sampled(() => new Map<string, readonly Count[]>());
  const valueOf = (file: string, place: number): FetchValue => {
    const known = counts();
    let found = known.get(file);
    if (found === undefined) {
      const bytes = host.read(`/proc/sys/${file}`, WHOLE);
      found = bytes === undefined ? [] : countsOf(bytes);
      known.set(file, found);
    }
    const value = found[place];
    return value === undefined ? undefined : Number(value);
  };
  const locks = host.sampled(() => {
    const bytes = host.read("/proc/locks");
    return bytes === undefined ? undefined : parseLocks(bytes);
  });
  const head = { prefix: "", type: "i32", sem: "instant", units: "none" } as const;
  return {
    metrics: [
      ...[
        { cluster: 27, type: "i32", table: VFS } as const,
        { cluster: 72, type: "u32", table: KERNEL } as const,
      ].flatMap(({ cluster, type, table }) =>
        rowsFrom({ ...head, cluster, type }, table, ({ name }) => {
          const [file = "", place = 0] = FILES[name] ?? [];
          return () => valueOf(file, place);
        }),
      ),
      ...rowsFrom({ ...head, cluster: 75, type: "u32" }, LOCKS, ({ name, key }) => {
        const kind = name.split(".").at(-2) ?? "";
        return () => {
          const found = locks()?.get(kind);
          if (found === undefined || key === "count") return found && found.read + found.write;
          return key === "read" ? found.read : found.write;
        };
      }),
    ],
  };
}

const VFS = `
0 vfs.files.count | open files in the kernel's table
1 vfs.files.free | free entries in the kernel's table of open files
2 vfs.files.max | most open files
3 vfs.inodes.count | inodes in memory
4 vfs.inodes.free | unused inodes in memory
5 vfs.dentry.count | names of files in memory
6 vfs.dentry.free | unused names of files in memory
7 vfs.aio.count | asynchronous requests that are allocated
8 vfs.aio.max | most asynchronous requests
`;

const KERNEL = `
0 kernel.all.entropy.avail | bits of entropy in the kernel's pool
1 kernel.all.entropy.poolsize | size of the kernel's entropy pool in bits
2 kernel.all.pid_max discrete | the largest process number
3 kernel.all.nptys | pseudo terminals in use
`;

const LOCKS = `
0 vfs.locks.posix.read | POSIX locks for reading
1 vfs.locks.posix.write | POSIX locks for writing
2 vfs.locks.posix.count | POSIX locks
3 vfs.locks.flock.read | shared locks of flock(2)
4 vfs.locks.flock.write | exclusive locks of flock(2)
5 vfs.locks.flock.count | locks of flock(2)
6 vfs.locks.lease.read | leases and delegations for reading
7 vfs.locks.lease.write | leases and delegations for writing
8 vfs.locks.lease.count | leases and delegations
`;
