// What collectors read and how: files of /proc and /sys below one root, each read at most once a
// request, and only when a value is asked for that needs it. Descriptors of files that are read again
// and again stay open; all go through one buffer. A file that is missing, or that this user may not
// read, is no file: its metrics have no values. Refuses files above a bounded size.
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
} from "node:fs";
import type { AgentSetting } from "../../define.ts";
import { utf8Text } from "../../../base/mod.ts";
import type { Count } from "./scan.ts";

/** Bytes of the largest file that is read: /proc/net/tcp of a busy server has some megabytes. */
const MAX_FILE = 256 * 1024 * 1024;
/** Bytes of the buffer for files, and requests after which it has that size again. */
const USUAL_BUFFER = 64 * 1024;
const IDLE_REQUESTS = 100;
/** Bytes of one read: files of /proc/sys refuse to be read at all with 4 MB of room. */
const MAX_READ = 1024 * 1024;
/** Bytes of the kernel's buffer for files that it writes record by record, at least. */
const PAGE = 4096;

/**
 * The kernel writes the whole file at once, whatever its size: when it has not filled the room there
 * was, there is no more.
 */
export const WHOLE = Number.NEGATIVE_INFINITY;

/** Most descriptors that are kept open. */
const MAX_KEPT = 256;
/** Most files whose failure is remembered. */
const MAX_FAILED = 4096;

/** Entries of the vector that the kernel gives every program. */
const AT_PAGESZ = 6;
const AT_CLKTCK = 17;

/** Where collectors get everything from. */
export interface Host {
  /** Before every path: LINUX_STATSPATH, usually empty. */
  readonly root: string;
  /** Ticks of /proc/stat in a second. */
  readonly hertz: number;
  /** Bytes of a page of memory. */
  readonly pageSize: number;
  /** How many processors there are at least, whatever the files say. */
  readonly cpus: number;
  readonly setting: AgentSetting;
  /** A request begins: what was sampled before is old. */
  begin(): void;
  /**
   * The whole file, or undefined. The bytes are good until the next file is read. `record` is how many
   * bytes the kernel writes at a time at most, or WHOLE: what has room for another record left is the
   * end. That is worth knowing, since to find it by one more read lets the kernel search some tables,
   * such as that of connections, all over again.
   */
  read(path: string, record?: number): Uint8Array | undefined;
  /** The same for a file that comes and goes: its descriptor is not kept. */
  readOnce(path: string): Uint8Array | undefined;
  /** The same for settings and users: those of this machine where a recorded one has none. */
  readSetting(path: string): Uint8Array | undefined;
  /** The first line without blanks around it, or undefined; read once a request. */
  line(path: string): string | undefined;
  /** The number that the file starts with. */
  number(path: string): Count | undefined;
  /** Names in a folder; none when there is no such folder. */
  list(path: string): readonly string[];
  exists(path: string): boolean;
  /** Closes what is kept open below a path, where names have come to stand for other devices. */
  forget(prefix: string): void;
  /** Where a link leads. */
  link(path: string): string | undefined;
  /** Makes a sample at most once a request, when it is first asked for. */
  sampled<T>(take: () => T): () => T;
  close(): void;
}

/** The vector's number for `key`, or `usual`. */
function auxiliary(key: number, usual: number): number {
  let bytes: Buffer;
  try {
    bytes = readFileSync("/proc/self/auxv");
  } catch {
    return usual; // not Linux, or no /proc: what nearly all machines have
  }
  for (let at = 0; at + 16 <= bytes.length; at += 16) {
    if (Number(bytes.readBigUInt64LE(at)) === key) return Number(bytes.readBigUInt64LE(at + 8));
  }
  return usual;
}

/** Milliseconds for which a file that could not be read is not tried again. */
const RETRY_AFTER = 1000;

const isGone = (error: unknown): boolean =>
  error instanceof Error &&
  "code" in error &&
  ["ENOENT", "ENOTDIR", "ENODEV", "ENXIO", "EINVAL", "ESRCH"].includes(String(error.code));

/** Files of the machine as `env` tells to find them (LINUX_STATSPATH, LINUX_HERTZ, LINUX_PAGESIZE …). */
export function createHost(setting: AgentSetting): Host {
  const { env, log } = setting;
  const root = env["LINUX_STATSPATH"] ?? "";
  const fromEnv = (name: string, usual: number): number => {
    const value = Number(env[name]);
    return Number.isInteger(value) && value > 0 ? value : usual;
  };
  let request = 0;
  let buffer = Buffer.allocUnsafe(USUAL_BUFFER);
  /** Requests since the buffer was needed as large as it is. */
  let idle = 0;
  const kept = new Map<string, number>();
  const told = new Set<string>();
  const failed = new Map<string, number>();

  /** Whether it is worth trying: an exception costs more than all the rest. */
  const mayRead = (path: string): boolean => {
    const since = failed.get(path);
    if (since !== undefined) {
      if (performance.now() - since < RETRY_AFTER) return false;
      failed.delete(path);
    }
    return existsSync(root + path);
  };

  /** Says once why a file cannot be read, unless it is simply not there. */
  const missing = (path: string, error: unknown): undefined => {
    if (failed.size < MAX_FAILED) failed.set(path, performance.now());
    if (!isGone(error) && !told.has(path)) {
      told.add(path);
      log("Warning", `${path}: ${error instanceof Error ? error.message : String(error)}`);
    }
    return undefined;
  };

  const readAll = (fd: number, record = PAGE): Uint8Array => {
    let length = 0;
    for (;;) {
      if (length === buffer.length) {
        if (length >= MAX_FILE) throw new Error(`more than ${MAX_FILE} bytes`);
        const grown = Buffer.allocUnsafe(length * 2);
        buffer.copy(grown, 0, 0, length);
        buffer = grown;
      }
      const room = Math.min(MAX_READ, buffer.length - length);
      const got = readSync(fd, buffer, length, room, length);
      length += got;
      if (got > 0 && (got === room || got + record > PAGE)) continue;
      if (length > USUAL_BUFFER) idle = 0;
      return buffer.subarray(0, length);
    }
  };

  const readOnce = (path: string): Uint8Array | undefined => {
    if (!mayRead(path)) return undefined;
    let fd: number | undefined;
    try {
      fd = openSync(root + path, "r");
      return readAll(fd);
    } catch (error) {
      return missing(path, error);
    } finally {
      if (fd !== undefined) closeSync(fd);
    }
  };

  const read = (path: string, record?: number): Uint8Array | undefined => {
    let fd = kept.get(path);
    if (fd === undefined && !mayRead(path)) return undefined;
    try {
      if (fd === undefined) {
        if (kept.size >= MAX_KEPT) return readOnce(path);
        fd = openSync(root + path, "r");
        kept.set(path, fd);
      }
      return readAll(fd, record);
    } catch (error) {
      if (fd !== undefined) {
        kept.delete(path);
        closeSync(fd);
      }
      return missing(path, error);
    }
  };

  // Several metrics come from one line of such a file.
  const lines = new Map<string, string | undefined>();
  const line = (path: string): string | undefined => {
    if (lines.has(path)) return lines.get(path);
    const bytes = read(path, WHOLE);
    const end = bytes?.indexOf(10) ?? 0;
    const text = bytes && utf8Text(end < 0 ? bytes : bytes.subarray(0, end)).trim();
    lines.set(path, text);
    return text;
  };

  return {
    root,
    hertz: fromEnv("LINUX_HERTZ", auxiliary(AT_CLKTCK, 100)),
    pageSize: fromEnv("LINUX_PAGESIZE", auxiliary(AT_PAGESZ, 4096)),
    cpus: fromEnv("LINUX_NCPUS", 0),
    setting,
    begin() {
      request += 1;
      lines.clear();
      idle += 1;
      if (buffer.length > USUAL_BUFFER && idle > IDLE_REQUESTS)
        buffer = Buffer.allocUnsafe(USUAL_BUFFER);
    },
    read,
    readOnce,
    readSetting: (path) =>
      readOnce(path) ?? (root !== "" && existsSync(path) ? readFileSync(path) : undefined),
    line,
    number(path) {
      const digits = /^-?\d+/.exec(line(path) ?? "")?.[0];
      if (digits === undefined) return undefined;
      const value = Number(digits);
      return Number.isSafeInteger(value) ? value : BigInt(digits);
    },
    list(path) {
      if (!mayRead(path)) return [];
      try {
        return readdirSync(root + path);
      } catch (error) {
        missing(path, error);
        return [];
      }
    },
    exists: (path) => existsSync(root + path),
    link(path) {
      try {
        return readlinkSync(root + path);
      } catch (error) {
        return missing(path, error);
      }
    },
    forget(prefix) {
      for (const [path, fd] of kept) {
        if (!path.startsWith(prefix)) continue;
        kept.delete(path);
        closeSync(fd);
      }
    },
    sampled(take) {
      let taken = request;
      let sample: { readonly value: ReturnType<typeof take> } | undefined;
      return () => {
        if (taken !== request || sample === undefined) {
          sample = { value: take() };
          taken = request;
        }
        return sample.value;
      };
    },
    close() {
      for (const fd of kept.values()) closeSync(fd);
      kept.clear();
    },
  };
}
