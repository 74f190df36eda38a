// Mounted file systems: those on block devices by their device, tmpfs by where it is mounted. Which
// there are is in /proc/self/mounts; how full they are, the system is asked for each that is wanted.
import { type StatsFs, statfsSync } from "node:fs";
import type { FetchValue } from "../../define.ts";
import { type Collected, keptIndom } from "./collector.ts";
import type { Host } from "./host.ts";
import { linesOf } from "./scan.ts";
import { rowsFrom } from "./table.ts";

/** One mount. */
export interface Mount {
  readonly device: string;
  readonly path: string;
  readonly type: string;
  readonly options: readonly string[];
}

/** Spaces and their like stand in octal. */
const unescapeOctal = (text: string): string =>
  text.replaceAll(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );

/** In the order of the file; lines of another form are left out. */
export const parseMounts = (bytes: Uint8Array): Mount[] =>
  linesOf(bytes).flatMap((line) => {
    const [device, path, type, options] = line.split(" ").map(unescapeOctal);
    if (device === undefined || path === undefined || type === undefined) return [];
    return [{ device, path, type, options: options?.split(",") ?? [] }];
  });

/** Types that are never file systems on a disk. */
const OTHERS = new Set([
  "proc",
  "devfs",
  "devpts",
  "devtmpfs",
  "squashfs",
  "selinuxfs",
  "securityfs",
  "configfs",
  "cgroup",
  "sysfs",
  "auto",
]);

const FILESYS_INDOM = 5;
const TMPFS_INDOM = 18;
const KBYTE = 1024;

/** The first mount of each device. */
export const diskMounts = (mounts: readonly Mount[]): Map<string, Mount> => {
  const found = new Map<string, Mount>();
  for (const mount of mounts) {
    const { device, type } = mount;
    if (OTHERS.has(type) || type === "tmpfs") continue;
    if (!device.startsWith("/dev") && device !== "rootfs") continue;
    if (!found.has(device)) found.set(device, mount);
  }
  return found;
};

/** tmpfs mounts by their paths. */
export const memoryMounts = (mounts: readonly Mount[]): Map<string, Mount> =>
  new Map(mounts.filter(({ type }) => type === "tmpfs").map((mount) => [mount.path, mount]));

const MADE: Readonly<Record<string, (of: StatsFs) => FetchValue>> = {
  capacity: ({ blocks, bsize }) => Math.floor((blocks * bsize) / KBYTE),
  used: ({ blocks, bfree, bsize }) => Math.floor(((blocks - bfree) * bsize) / KBYTE),
  free: ({ bfree, bsize }) => Math.floor((bfree * bsize) / KBYTE),
  avail: ({ bavail, bsize }) => Math.floor((bavail * bsize) / KBYTE),
  maxfiles: ({ files }) => files,
  usedfiles: ({ files, ffree }) => files - ffree,
  freefiles: ({ ffree }) => ffree,
  blocksize: ({ bsize }) => bsize,
  full: ({ blocks, bfree, bavail }) => {
    const used = blocks - bfree;
    return used + bavail === 0 ? 0 : (used * 100) / (used + bavail);
  },
};

/** The identifier under which /dev/disk/by-uuid has a device; empty when there is none. */
function uuidOf(host: Host, device: string): string {
  const name = device.split("/").at(-1);
  const folder = "/dev/disk/by-uuid";
  const found = host
    .list(folder)
    .find((uuid) => (host.link(`${folder}/${uuid}`) ?? "").split("/").at(-1) === name);
  return found ?? "";
}

/** The metrics of file systems. */
export function collectFilesystems(host: Host): Collected {
  const sample = host.sampled(() => {
    const bytes = host.readOnce("/proc/self/mounts");
    return bytes === undefined ? [] : parseMounts(bytes);
  });
  const disks = keptIndom<Mount>(host, FILESYS_INDOM);
  const memory = keptIndom<Mount>(host, TMPFS_INDOM);
  const stats = host.sampled(() => new Map<string, StatsFs | undefined>());
  const statOf = (path: string): StatsFs | undefined => {
    const known = stats();
    if (!known.has(path)) {
      let found: StatsFs | undefined;
      try {
        found = statfsSync(path);
      } catch {
        found = undefined; // gone since it was listed, or out of reach: no values
      }
      known.set(path, found);
    }
    return known.get(path);
  };
  const facts: Readonly<Record<string, (mount: Mount) => FetchValue>> = {
    mountdir: ({ path }) => path,
    readonly: ({ options }) => (options.includes("ro") ? 1 : 0),
    uuid: ({ device }) => uuidOf(host, device),
    type: ({ type }) => type,
  };
  const source = (mounts: typeof disks, key: string) => {
    const made = MADE[key];
    return (instance: number): FetchValue => {
      const mount = mounts.get(instance);
      if (mount === undefined) return undefined;
      if (made === undefined) return facts[key]?.(mount);
      const of = statOf(mount.path);
      return of === undefined ? undefined : made(of);
    };
  };
  const head = { type: "u64", sem: "instant", units: "kbyte" } as const;
  return {
    refreshers: new Map([
      [FILESYS_INDOM, () => disks.replace(diskMounts(sample()))],
      [TMPFS_INDOM, () => memory.replace(memoryMounts(sample()))],
    ]),
    indoms: [
      { serial: FILESYS_INDOM, instances: disks.cache, oneline: "devices with file systems" },
      { serial: TMPFS_INDOM, instances: memory.cache, oneline: "where tmpfs is mounted" },
    ],
    metrics: [
      ...rowsFrom(
        { ...head, cluster: 5, prefix: "filesys.", indom: FILESYS_INDOM },
        FILESYS,
        ({ key }) => source(disks, key),
      ),
      ...rowsFrom(
        { ...head, cluster: 34, prefix: "tmpfs.", indom: TMPFS_INDOM },
        TMPFS,
        ({ key }) => source(memory, key),
      ),
      ...rowsFrom(
        { ...head, cluster: 5, prefix: "hinv." },
        "0 nfilesys u32 discrete count | file systems on devices",
        () => () => diskMounts(sample()).size,
      ),
    ],
  };
}

const FILESYS = `
1 capacity discrete | size of the file system
2 used | space in use
3 free | space that is free, with what is kept for root
4 maxfiles u32 discrete none | most files
5 usedfiles u32 none | files
6 freefiles u32 none | files that may still be made
7 mountdir string discrete none | where the file system is mounted
8 full double none | percent in use of what users may fill
9 blocksize u32 byte | bytes of a block
10 avail | space that users may still fill
11 readonly u32 none | whether nothing may be written
12 uuid string discrete none | identifier of the file system
13 type string discrete none | type of the file system
`;

const TMPFS = `
1 capacity discrete | size of the file system
2 used | space in use
3 free | space that is free
4 maxfiles u32 discrete none | most files
5 usedfiles u32 none | files
6 freefiles u32 none | files that may still be made
7 full double none | percent in use
`;
