// Which archives are being pushed: a hidden file beside each, which names the lock of the server that
// takes it, and the start of the machine. So the archives of a server that was killed are mended by the
// next one, and those of a server that runs in the same directory are left alone. Refuses nothing.
import { closeSync, constants, fstatSync, openSync, statSync } from "node:fs";
import { open, readFile, rm, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { asPcpError, type Log, lockFile, PcpError } from "../base/mod.ts";
import { mendPushed, namesIn } from "./mend.ts";

const ENOENT = -2;
const ENOSYS = -38;
const NO_FOLLOW = constants.O_NOFOLLOW ?? 0;
const CREATE = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | NO_FOLLOW;
const LOCK = /^\.pcpbox-push\.[0-9a-f]{16}\.lock$/;
/** Ending of the file beside an archive. */
const MARK = ".pushing";
const FILE_MODE = 0o644;

/** The mark of an archive. */
const markOf = (base: string): string => join(dirname(base), `.${basename(base)}${MARK}`);

/** Path without suffix of the archive that a mark in `folder` is of; undefined: it is none. */
const markedBy = (folder: string, name: string): string | undefined =>
  name.startsWith(".") && name.endsWith(MARK)
    ? join(folder, name.slice(1, -MARK.length))
    : undefined;

/** Base names of the archives that names in a directory say are being pushed. */
export const markedIn = (names: readonly string[]): Set<string> =>
  new Set(names.flatMap((name) => markedBy("", name) ?? []));

/** What tells this start of the machine from others; empty where nothing does. */
async function thisBoot(): Promise<string> {
  try {
    return (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
  } catch (error) {
    if (asPcpError(error).code < -4096) throw error;
    return "";
  }
}

/** The marks of one server in its directory. */
export interface Marks {
  /** Marks an archive as being pushed to this server. Rejects with the system's errors. */
  put(base: string): Promise<void>;
  /** Nobody pushes it any more. */
  remove(base: string): Promise<void>;
  /** Mends the archives of servers that have gone; troubles are told in the log. */
  mend(): Promise<void>;
  /** Lets go of all: what is still marked is mended by the next server. */
  close(): Promise<void>;
}

/** Opens a lock; undefined: it has gone. */
function openLock(path: string, flags: number): number | undefined {
  try {
    return openSync(path, flags, FILE_MODE);
  } catch (error) {
    if (asPcpError(error).code === ENOENT) return undefined;
    throw error;
  }
}

/** Locks a descriptor; where there are no locks nobody else is known of. */
function lock(descriptor: number): boolean {
  try {
    return lockFile(descriptor);
  } catch (error) {
    if (error instanceof PcpError && error.code === ENOSYS) return true;
    throw error;
  }
}

/** Whether a server that runs has this lock. */
function isHeld(path: string): boolean {
  if (!LOCK.test(basename(path))) return false;
  const descriptor = openLock(path, constants.O_RDWR | NO_FOLLOW);
  if (descriptor === undefined) return false;
  try {
    return !lock(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** The marks of a server in `directory`; nothing is made there before the first archive. */
export function openMarks(directory: string, log: Pick<Log, "write">): Marks {
  let own: { readonly path: string; readonly descriptor: number } | undefined;

  const isThere = (): boolean =>
    own !== undefined &&
    statSync(own.path, { throwIfNoEntry: false })?.ino === fstatSync(own.descriptor).ino;
  /** The lock of this server; made anew where somebody removed it. */
  const ownLock = (): string => {
    while (own === undefined || !isThere()) {
      if (own !== undefined) closeSync(own.descriptor);
      own = undefined;
      const random = Buffer.from(crypto.getRandomValues(new Uint8Array(8))).toString("hex");
      const path = join(directory, `.pcpbox-push.${random}.lock`);
      const descriptor = openSync(path, CREATE, FILE_MODE);
      // Not locked: another server just tried whether it is in use.
      if (lock(descriptor)) own = { path, descriptor };
      else closeSync(descriptor);
    }
    return basename(own.path);
  };

  const mendOne = async (base: string): Promise<void> => {
    try {
      const [owner = "", boot = ""] = (await readFile(markOf(base), "utf8")).trim().split(" ");
      if (isHeld(join(directory, owner))) return;
      // After a kill all that was written is there; after a power cut that is not known.
      const isSameBoot = boot !== "" && boot === (await thisBoot());
      await mendPushed(base, isSameBoot ? "index" : "nothing", log);
      await unlink(markOf(base));
    } catch (error) {
      log.write("warning", `${base}: not mended: ${asPcpError(error).message}`);
    }
  };

  return {
    async put(base) {
      const text = `${ownLock()} ${await thisBoot()}\n`;
      const file = await open(markOf(base), "wx", FILE_MODE);
      try {
        await file.writeFile(text);
      } catch (error) {
        await rm(markOf(base), { force: true });
        throw error;
      } finally {
        await file.close();
      }
    },
    remove: (base) => rm(markOf(base), { force: true }),
    async mend() {
      const hosts = await namesIn(directory);
      for (const host of hosts) {
        const folder = join(directory, host);
        for (const name of await namesIn(folder)) {
          const base = markedBy(folder, name);
          if (base !== undefined) await mendOne(base);
        }
      }
      for (const name of hosts)
        if (LOCK.test(name) && !isHeld(join(directory, name)))
          await rm(join(directory, name), { force: true });
    },
    async close() {
      if (own === undefined) return;
      const { path, descriptor } = own;
      own = undefined;
      await rm(path, { force: true });
      closeSync(descriptor);
    },
  };
}
