// The archives that recorders made in a directory, by a list that is kept there: only these are ever
// mended, compressed or removed. A lock keeps a second recorder away. Refuses nothing; lines of the
// list that are none of ours are forgotten, and the archives with them: they stay for ever.
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from "node:fs";
import { basename, join } from "node:path";
import { mendArchive } from "../archive/mod.ts";
import {
  asPcpError,
  lockFile,
  makeDirectory,
  PcpError,
  replaceFile,
  roomBelow,
} from "../base/mod.ts";

const LIST = ".pcpbox-recorder";
const LOCK = ".pcpbox-recorder.lock";
const LINE = /^(\d{8}\.\d\d\.\d\d(?:-\d\d)?) (open|whole)$/;
const ENOENT = -2;
const ENOSYS = -38;
const DAY_MS = 86_400_000;

/** The archives of a directory. */
export interface Ledger {
  /** Names in the order in which they were made. */
  readonly names: readonly string[];
  /** Whether the directory is still the one that was taken: somebody may have removed or moved it. */
  isPresent(): boolean;
  /** Archives that were ended and are not compressed. */
  plain(): string[];
  /** An archive is about to be made. */
  begin(base: string): Promise<void>;
  /** It was ended. */
  ended(base: string): Promise<void>;
  /**
   * Removes archives, oldest first, that are too old, too much together, or in the way of `freeBytes` of
   * room; never the one that is open, and none for want of room that all of them would not make. How many.
   */
  tidy(limits: KeepLimits): Promise<number>;
  /** Lets other recorders have the directory. */
  close(): void;
}

/** What is kept. */
export interface KeepLimits {
  /** Milliseconds since 1970. */
  readonly now: number;
  readonly days: number;
  readonly bytes: number;
  readonly freeBytes: number;
}

function readList(directory: string): Map<string, "open" | "whole"> {
  const found = new Map<string, "open" | "whole">();
  let text = "";
  try {
    text = readFileSync(join(directory, LIST), "utf8");
  } catch (error) {
    if (asPcpError(error).code !== ENOENT) throw error;
  }
  for (const line of text.split("\n")) {
    const [, name, state] = LINE.exec(line) ?? [];
    if (name !== undefined) found.set(name, state === "open" ? "open" : "whole");
  }
  return found;
}

/** The files of an archive of ours, its metadata first: without them nothing opens it. */
const filesOf = (directory: string, name: string): string[] =>
  readdirSync(directory)
    .filter((each) => {
      if (each === `.${name}.meta.tmp` || /^\.\S+\.gz\.tmp$/.test(each))
        return each.startsWith(`.${name}.`);
      return (
        each.startsWith(`${name}.`) && /^(meta|index|\d+)(\.gz)?$/.test(each.slice(name.length + 1))
      );
    })
    .toSorted((a, b) => Number(b.includes(".meta")) - Number(a.includes(".meta")))
    .map((each) => join(directory, each));

/** Bytes of an archive, and when it was written to last. */
function extentOf(directory: string, name: string): { bytes: number; at: number } {
  let bytes = 0;
  let at = 0;
  for (const path of filesOf(directory, name)) {
    const found = statSync(path, { throwIfNoEntry: false });
    bytes += found?.size ?? 0;
    at = Math.max(at, found?.mtimeMs ?? 0);
  }
  return { bytes, at };
}

function lock(directory: string): number | undefined {
  const descriptor = openSync(join(directory, LOCK), constants.O_RDWR | constants.O_CREAT, 0o644);
  let isOurs: boolean;
  try {
    isOurs = lockFile(descriptor);
  } catch (error) {
    // Where there are no locks there is no second recorder either, as far as one can tell.
    isOurs = error instanceof PcpError && error.code === ENOSYS;
    if (!isOurs) {
      closeSync(descriptor);
      throw error;
    }
  }
  if (isOurs) return descriptor;
  closeSync(descriptor);
  return undefined;
}

/**
 * Takes a directory, made if need be, and makes whole what a recorder that was killed left in it;
 * undefined while another recorder has it. `told` hears of what was mended. Rejects with the system's errors.
 */
export async function openLedger(
  directory: string,
  told: (text: string) => void,
): Promise<Ledger | undefined> {
  await makeDirectory(directory, 0o755);
  const descriptor = lock(directory);
  if (descriptor === undefined) return undefined;
  const archives = readList(directory);
  const save = (): Promise<void> =>
    replaceFile(
      join(directory, LIST),
      [...archives].map(([name, state]) => `${name} ${state}\n`).join(""),
    );
  let isTold = false;
  /** Where there is no room for the list, what it says is found out again the next time. */
  const saveLater = async (): Promise<void> => {
    try {
      await save();
      isTold = false;
    } catch (error) {
      if (!isTold) told(`${join(directory, LIST)} was not written: ${asPcpError(error).message}`);
      isTold = true;
    }
  };
  const remove = (name: string): void => {
    for (const path of filesOf(directory, name)) rmSync(path, { force: true });
    archives.delete(name);
  };
  const mend = (name: string): void => {
    const files = filesOf(directory, name);
    if (!files.some((path) => path.endsWith(".meta") || path.endsWith(".meta.gz"))) {
      // Killed before its first record was whole.
      remove(name);
      return;
    }
    for (const { file, cut } of mendArchive(join(directory, name)))
      told(`${file}: ${cut} bytes cut off that were no whole record`);
    const hasVolume = filesOf(directory, name).some((path) => /\.\d+(\.gz)?$/.test(path));
    if (hasVolume) archives.set(name, "whole");
    else remove(name);
  };
  try {
    for (const [name, state] of archives) {
      if (state === "open") mend(name);
      else if (filesOf(directory, name).length === 0) archives.delete(name);
    }
    for (const name of archives.keys())
      for (const path of filesOf(directory, name))
        if (path.endsWith(".tmp")) rmSync(path, { force: true });
    await saveLater();
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }

  /** Bytes that are missing of the room that is to be left. */
  const missing = async ({ freeBytes }: KeepLimits): Promise<number> =>
    freeBytes > 0 ? freeBytes - (await roomBelow(directory)) : 0;

  return {
    get names() {
      return [...archives.keys()];
    },
    isPresent: () => {
      const now = statSync(join(directory, LOCK), { throwIfNoEntry: false });
      return now !== undefined && now.ino === fstatSync(descriptor).ino;
    },
    plain: () =>
      [...archives]
        .filter(([, state]) => state === "whole")
        .map(([name]) => join(directory, name))
        .filter((base) => statSync(`${base}.0`, { throwIfNoEntry: false }) !== undefined),
    async begin(base) {
      archives.set(basename(base), "open");
      await save();
    },
    async ended(base) {
      const name = basename(base);
      if (!existsSync(directory) || filesOf(directory, name).length === 0) archives.delete(name);
      else archives.set(name, "whole");
      await saveLater();
    },
    async tidy(limits) {
      const old = limits.now - limits.days * DAY_MS;
      const extents = new Map(
        [...archives.keys()].map((name) => [name, extentOf(directory, name)]),
      );
      let total = 0;
      let closed = 0;
      for (const [name, { bytes }] of extents) {
        total += bytes;
        if (archives.get(name) !== "open") closed += bytes;
      }
      // Where others fill the disk the past would go for nothing, which just then somebody may look for.
      const makesRoom = (await missing(limits)) <= closed;
      let removed = 0;
      for (const [name, { bytes, at }] of extents) {
        if (archives.get(name) === "open") continue;
        const isKept = at >= old && total <= limits.bytes;
        if (isKept && !(makesRoom && (await missing(limits)) > 0)) continue;
        remove(name);
        total -= bytes;
        removed += 1;
      }
      if (removed > 0) await saveLater();
      return removed;
    },
    close: () => closeSync(descriptor),
  };
}
