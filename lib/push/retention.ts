// Removes pushed archives that are too old or too much together, where that is configured: nobody else does
// by default. Only what is named as pushed archives are, in directories of hosts; never what is being
// pushed, here or to another server, or was written to a short while ago. Refuses nothing; the system's
// errors go through.
import { lstat, rm } from "node:fs/promises";
import { join } from "node:path";
import { COMPRESSED_SUFFIXES } from "../archive/mod.ts";
import { asPcpError, syncPath } from "../base/mod.ts";
import { markedIn } from "./marks.ts";
import { namesIn } from "./mend.ts";
import type { PushOptions, PushSettings } from "./types.ts";

const DAY_MS = 86_400_000;
/** Time between two looks for archives that are not to be kept, milliseconds. */
const TIDY_MS = 10 * 60_000;
const NAME = /^(\d{8}\.\d\d\.\d\d(?:-\d\d)?)\.(?:meta|index|\d+)(\.[A-Za-z0-9]+)?$/;

/** What is kept. */
export interface KeepPushed {
  /** Milliseconds since 1970. */
  readonly now: number;
  /** Days after the last write; 0: for ever. */
  readonly days: number;
  /** Bytes of all archives, also those that grow; 0: no bound. */
  readonly bytes: number;
  /** Milliseconds after the last write for which an archive counts as growing. */
  readonly quietMs: number;
}

/** What was removed. */
export interface Removed {
  readonly archives: number;
  readonly bytes: number;
}

interface Found {
  readonly folder: string;
  readonly name: string;
  readonly files: readonly string[];
  readonly bytes: number;
  /** When it was written to last. */
  readonly at: number;
  readonly isMarked: boolean;
}

/** The name of the archive that a file belongs to. */
function archiveOf(file: string): string | undefined {
  const [, name, suffix] = NAME.exec(file) ?? [];
  return suffix === undefined || COMPRESSED_SUFFIXES.includes(suffix) ? name : undefined;
}

/** Sizes and times of the archives of a host. */
async function archivesIn(folder: string): Promise<Found[]> {
  const names = await namesIn(folder);
  const marked = markedIn(names);
  const groups = Map.groupBy(names, archiveOf);
  const found: Found[] = [];
  for (const [name, files] of groups) {
    if (name === undefined) continue;
    let bytes = 0;
    let at = 0;
    for (const file of files) {
      try {
        const { size, mtimeMs } = await lstat(join(folder, file));
        bytes += size;
        at = Math.max(at, mtimeMs);
      } catch (error) {
        // Removed meanwhile, or not for us to look at; other faults are this program's.
        if (asPcpError(error).code < -4096) throw error;
      }
    }
    found.push({ folder, name, files, bytes, at, isMarked: marked.has(name) });
  }
  return found;
}

/** Its metadata go first: without them nothing opens it. */
async function remove({ folder, name, files }: Found): Promise<void> {
  const isMeta = (file: string): boolean => file.startsWith(`${name}.meta`);
  for (const file of files.toSorted((a, b) => Number(isMeta(b)) - Number(isMeta(a))))
    await rm(join(folder, file), { force: true });
}

/** Looks through the hosts below `directory` and removes what is not to be kept, oldest first. */
export async function tidyPushed(directory: string, keep: KeepPushed): Promise<Removed> {
  const { now, days, bytes, quietMs } = keep;
  const all: Found[] = [];
  for (const host of await namesIn(directory))
    if (!host.startsWith(".")) all.push(...(await archivesIn(join(directory, host))));
  let total = all.reduce((sum, each) => sum + each.bytes, 0);
  let archives = 0;
  const before = total;
  const changed = new Set<string>();
  for (const each of all.toSorted((a, b) => a.at - b.at)) {
    const isOld = days > 0 && now - each.at > days * DAY_MS;
    const isTooMuch = bytes > 0 && total > bytes;
    if (!isOld && !isTooMuch) break;
    if (each.isMarked || now - each.at <= quietMs) continue;
    await remove(each);
    changed.add(each.folder);
    archives += 1;
    total -= each.bytes;
  }
  for (const folder of changed) await syncPath(folder);
  return { archives, bytes: before - total };
}

/**
 * Removes what is not to be kept, once in a while after `first`; `told` hears how many archives went.
 * Troubles are told in the log. What it returns ends it.
 */
export function startTidying(
  options: PushOptions,
  settings: () => PushSettings,
  first: Promise<unknown>,
  told: (archives: number) => void,
): () => Promise<void> {
  const { directory, log, tidyMs = TIDY_MS } = options;
  const tidy = async (): Promise<void> => {
    const { keepDays: days, keepBytes: bytes, timeoutMs: quietMs } = settings();
    if (days === 0 && bytes === 0) return;
    try {
      const gone = await tidyPushed(directory, { now: Date.now(), days, bytes, quietMs });
      if (gone.archives === 0) return;
      told(gone.archives);
      const what = gone.archives === 1 ? "1 pushed archive" : `${gone.archives} pushed archives`;
      log.write("info", `${directory}: ${what} removed, ${gone.bytes} bytes`);
    } catch (error) {
      log.write("warning", `${directory}: not tidied: ${asPcpError(error).message}`);
    }
  };
  let running = first.then(tidy);
  const timer = setInterval(() => {
    running = running.then(tidy);
  }, tidyMs);
  timer.unref();
  return () => {
    clearInterval(timer);
    return running;
  };
}
