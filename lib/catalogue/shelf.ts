// Archives of the embedded store while they are read: opened without their metadata, some of them kept, and
// what their files looked like, so that it shows when one becomes another under a reader. An archive
// that has gone, or whose place another one has taken, has nothing; one that cannot be opened for another
// reason is an error.
import { type BigIntStats, statSync } from "node:fs";
import { PM_ERR, PcpError } from "../base/mod.ts";
import { type Archive, type Listings, openArchive } from "../archive/mod.ts";
import { microseconds } from "./survey.ts";

/** Archives that are kept open: no files, but an index each. */
const KEPT_ARCHIVES = 64;
/** Volumes whose files are looked at; archives of more are long ones, of which few change. */
const MOST_FILES = 64;
/** Values that wait in all walks together. */
const MOST_WAITING = 3_145_728;
/** Archives whose damage is remembered, so that it is told once. */
const MOST_TOLD = 4096;

const GONE: ReadonlySet<number> = new Set([-2, PM_ERR.LOGFILE]);

/** Which archive is wanted. */
export interface ArchivePlace {
  readonly path: string;
  /** Changes when the files change. */
  readonly stamp: string;
  /** When it began, microseconds. */
  readonly begin: number;
}

/** What becomes of archives that are read. */
export interface ShelfNotes {
  /** Hears when a compressed archive ended, which nobody knew; microseconds. */
  readonly ended?: (path: string, stamp: string, end: number) => void;
  /** Hears of damage, once for each archive as it is. */
  readonly warn?: (text: string) => void;
}

/** Opens archives without their metadata, and keeps some. */
export interface ArchiveShelf {
  /** Values that all who read have waiting; they count themselves. */
  waiting: number;
  /** About how many may. */
  readonly mostWaiting: number;
  /** Undefined for one that has gone. Throws PcpError. */
  open(place: ArchivePlace, listings: Listings): Archive | undefined;
  /** Takes note of where an archive ended. */
  ended(place: ArchivePlace, end: number): void;
  /** Takes note of damage that ended reading. */
  damaged(place: ArchivePlace, error: PcpError): void;
}

type Marks = readonly (readonly [path: string, mark: BigIntStats | undefined])[];

/** What the data of an archive look like just now. */
export function marksOf({ files }: Archive): Marks {
  const paths = [...files.volumes.values()].slice(0, MOST_FILES);
  return paths.map((path) => [path, statSync(path, { throwIfNoEntry: false, bigint: true })]);
}

/** The name of a file that was written over or cut since it was looked at; growing is no change. */
export function changedSince(marks: Marks): string | undefined {
  for (const [path, before] of marks) {
    const now = statSync(path, { throwIfNoEntry: false, bigint: true });
    // Who reads a file that has gone reads it to its end; compressed ones have another name.
    if (before === undefined || now === undefined) continue;
    if (now.ino !== before.ino || now.dev !== before.dev) {
      if (marks.length > 1) return path;
      continue;
    }
    if (now.size < before.size) return path;
    if (now.size === before.size && now.mtimeNs !== before.mtimeNs) return path;
  }
  return undefined;
}

const isSame = (marks: Marks): boolean =>
  changedSince(marks) === undefined &&
  marks.every(([path, before]) => before?.ino === inodeOf(path));
const inodeOf = (path: string) => statSync(path, { throwIfNoEntry: false, bigint: true })?.ino;

/** A shelf without anything on it. */
export function archiveShelf(notes: ShelfNotes = {}, mostWaiting = MOST_WAITING): ArchiveShelf {
  const kept = new Map<string, { stamp: string; archive: Archive; first: Marks }>();
  const told = new Set<string>();
  return {
    waiting: 0,
    mostWaiting,
    open({ path, stamp, begin }, listings) {
      const before = kept.get(path);
      kept.delete(path);
      if (before?.stamp === stamp && isSame(before.first)) {
        kept.set(path, before);
        return before.archive;
      }
      let archive: Archive;
      try {
        const options = { growing: true, look: () => false };
        archive = openArchive(path, options, undefined, undefined, listings);
      } catch (error) {
        // Deleted since it was catalogued: it has nothing any more. Anything else is no answer.
        if (error instanceof PcpError && GONE.has(error.code)) return undefined;
        throw error;
      }
      // Another one under its name, which the catalogue does not know yet.
      if (microseconds(archive.label.start) !== begin) return undefined;
      kept.set(path, { stamp, archive, first: marksOf(archive).slice(0, 1) });
      for (const oldest of kept.keys()) {
        if (kept.size <= KEPT_ARCHIVES) break;
        kept.delete(oldest);
      }
      return archive;
    },
    ended: ({ path, stamp }, end) => notes.ended?.(path, stamp, end),
    damaged({ path, stamp }, error) {
      const key = `${path} ${stamp}`;
      if (told.has(key)) return;
      if (told.size >= MOST_TOLD) told.clear();
      told.add(key);
      notes.warn?.(`time series: what follows is not read: ${error.message}`);
    },
  };
}
