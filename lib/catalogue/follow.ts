// Keeps a catalogue in step with directories of archives (spec series.md 5.1): archives that are new, that
// grew, were compressed, replaced or deleted. Looks at names, inodes, sizes and times first, and opens only
// what changed, one archive at a time, the newest first; of one that grows, only what is new. An archive that
// cannot be read is kept with the reason, and is tried again when its files change. Refuses a directory that
// cannot be read.
import { readdirSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { compressionOf, findArchive, type Listings } from "../archive/mod.ts";
import { asPcpError, PM_ERR, PcpError, pmErrStr, slices, turn } from "../base/mod.ts";
import { SeriesProblem } from "../series/mod.ts";
import type { Catalogue, CataloguedArchive } from "./catalogue.ts";
import { growingSurveys, type GrowingSurveys } from "./growing.ts";
import { openSurvey, surveyArchive, type SurveyOptions } from "./survey.ts";

/** What a follower makes of archives. */
export type FollowOptions = Omit<SurveyOptions, "listings">;

/** How directories are looked through. */
export interface RescanOptions extends FollowOptions {
  /** Ends the work after the archive that is being read. */
  readonly signal?: AbortSignal;
  /** Hears of each archive that was read. */
  readonly progress?: (done: number, total: number) => void;
  /** Directories, with all below them, that may be looked at; any number unless said. */
  readonly mostFolders?: number;
}

/** Something that cannot be read, and why. */
export interface FollowProblem {
  readonly path: string;
  readonly problem: string;
}

/** What a look through directories came to. */
export interface Rescan {
  /** Archives that are there. */
  readonly found: number;
  /** Of these, how many were put into the catalogue, new or again. */
  readonly read: number;
  /** How many were taken out. */
  readonly dropped: number;
  /** Archives and directories that cannot be read, and why. */
  readonly problems: readonly FollowProblem[];
}

/** What a look at one directory came to. */
export interface FolderLook {
  readonly found: number;
  readonly dropped: number;
  /** Archives whose files cannot be looked at. */
  readonly problems: readonly FollowProblem[];
}

/** An archive that was taken up. */
export interface Taken {
  readonly path: string;
  /** Why it cannot be read. */
  readonly problem: string | undefined;
  /** Whether the catalogue had another reason, or none, before. */
  readonly changed: boolean;
  /** Whether the catalogue had the archive before: it has grown, or was replaced. */
  readonly known: boolean;
  /** Bytes that were read for it, about. */
  readonly bytes: number;
}

/** A catalogue that is kept in step, step by step. */
export interface CatalogueFollower {
  /** Looks at the archives of a directory, not below it; one that has gone has none. Throws PcpError. */
  look(folder: string): Promise<FolderLook>;
  /** Looks at what is catalogued of other directories, where `concerns` says so. */
  lookElsewhere(
    folders: ReadonlySet<string>,
    concerns?: (path: string) => boolean,
  ): Promise<FolderLook>;
  /** Archives that have changed and wait to be taken up. */
  readonly waiting: number;
  /** The directories of these. */
  waitsIn(folder: string): boolean;
  /** Takes up the one that changed last; undefined when none waits. Throws what the catalogue refuses. */
  step(): Taken | undefined;
}

/** Tells the files of an archive from changed ones: for each its name, inode, size and time. */
interface Stamp {
  readonly meta: string;
  readonly data: string;
}

interface Found {
  readonly path: string;
  readonly stamp: Stamp;
  /** Milliseconds since 1970 of the last change. */
  readonly changed: number;
  readonly metaBytes: number;
}

const ENOENT = -2;
const ENOTDIR = -20;
/** Archives that are looked at between two turns of others. */
const LOOKS_AT_ONCE = 64;
/** Milliseconds for which what was read of a directory is taken for what is in it. */
const LISTING_MS = 1000;

/** What an archive says that has no records yet: loggers begin with files that have labels alone. */
const EMPTY: ReadonlySet<number> = new Set([PM_ERR.NODATA, PM_ERR.LOGFILE]);
/** Milliseconds for which that is no problem. */
const YOUNG_MS = 60_000;

/** Whether an archive that cannot be read is about to become one. */
function isBeginning(path: string, error: PcpError): boolean {
  if (!EMPTY.has(error.code)) return false;
  const changed = statSync(`${path}.meta`, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  return Date.now() - changed < YOUNG_MS;
}

const problemText = (error: PcpError): string => error.message || pmErrStr(error.code);

/** The base name of a metadata file, undefined for other files. */
function baseOf(name: string): string | undefined {
  const suffix = compressionOf(name) ?? "";
  const plain = suffix === "" ? name : name.slice(0, -suffix.length);
  return plain.endsWith(".meta") ? plain.slice(0, -".meta".length) : undefined;
}

/** What counts of a directory: archives by their base names, directories. Throws PcpError. */
function readFolder(folder: string): { bases: Set<string>; folders: string[] } {
  let entries;
  try {
    entries = readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    throw asPcpError(error);
  }
  const bases = new Set<string>();
  const folders: string[] = [];
  for (const entry of entries) {
    if (entry.name.startsWith(".")) continue;
    if (entry.isDirectory()) {
      folders.push(join(folder, entry.name));
      continue;
    }
    const base = baseOf(entry.name);
    if (base !== undefined) bases.add(join(folder, base));
  }
  return { bases, folders };
}

/** The state of an archive's files; undefined for one that went meanwhile. Throws PcpError. */
function look(path: string, listings: Listings): Found | undefined {
  let changed = 0;
  let bytes = 0;
  const mark = (file: string): string => {
    const { ino, size, mtimeMs } = statSync(file);
    changed = Math.max(changed, mtimeMs);
    bytes = size;
    return `${file} ${ino} ${size} ${mtimeMs}`;
  };
  try {
    const { meta, index, volumes } = findArchive(path, listings);
    const files = [...(index === undefined ? [] : [index]), ...volumes.values()];
    const metaMark = mark(meta);
    const metaBytes = bytes;
    const stamp = { meta: metaMark, data: files.map(mark).join("\n") };
    return { path, stamp, changed, metaBytes };
  } catch (error) {
    const problem = asPcpError(error);
    if (problem.code === ENOENT) return undefined;
    throw problem;
  }
}

/** Whether nothing but data were added to an archive whose data need not all be looked at. */
function onlyData(before: CataloguedArchive | undefined, { meta }: Stamp): boolean {
  if (before === undefined || before.complete || before.problem !== undefined) return false;
  return before.stamp.startsWith(`${meta}\n`);
}

const textOf = ({ meta, data }: Stamp): string => `${meta}\n${data}`;

/** Archives that wait, the one that changed last first. */
function backlog() {
  const waiting = new Map<string, Found>();
  const folders = new Map<string, number>();
  /** Ascending by time while `sorted`; what waits no more is stepped over. */
  let order: Found[] = [];
  let sorted = true;
  const count = (path: string, more: number): void => {
    const folder = dirname(path);
    const now = (folders.get(folder) ?? 0) + more;
    if (now === 0) folders.delete(folder);
    else folders.set(folder, now);
  };
  return {
    get size() {
      return waiting.size;
    },
    waitsIn: (folder: string): boolean => folders.has(folder),
    add(found: Found): void {
      if (!waiting.has(found.path)) count(found.path, 1);
      waiting.set(found.path, found);
      sorted &&= found.changed >= (order.at(-1)?.changed ?? 0);
      order.push(found);
    },
    drop(path: string): void {
      if (waiting.delete(path)) count(path, -1);
    },
    newest(): Found | undefined {
      if (!sorted) order.sort((a, b) => a.changed - b.changed);
      sorted = true;
      for (let last = order.at(-1); last !== undefined; last = order.at(-1)) {
        if (waiting.get(last.path) === last) return last;
        order.pop();
      }
      order = [];
      return undefined;
    },
  };
}

/** What the catalogue has of a directory, or of one archive. */
function catalogued(catalogue: Catalogue) {
  interface Row {
    readonly path: string;
    readonly stamp: string;
    readonly complete: number;
    readonly problem: string | null;
  }
  const archive = ({ path, stamp, complete, problem }: Row): CataloguedArchive => ({
    path,
    stamp,
    complete: complete === 1,
    problem: problem ?? undefined,
  });
  const select = "SELECT path, stamp, complete, problem FROM archive WHERE";
  return {
    /** Of a directory, not below it. */
    in: (folder: string): Map<string, CataloguedArchive> => {
      const before = join(folder, "/");
      // "0" is the character after "/".
      const behind = `${before.slice(0, -1)}0`;
      const rows = catalogue.guard(() =>
        catalogue.database
          .query<Row, string[]>(`${select} path >= ? AND path < ?`)
          .all(before, behind),
      );
      const direct = rows.filter(({ path }) => dirname(path) === folder);
      return new Map(direct.map((row) => [row.path, archive(row)]));
    },
    one: (path: string): CataloguedArchive | undefined => {
      const row = catalogue.guard(() =>
        catalogue.database.query<Row, string[]>(`${select} path = ?`).get(path),
      );
      return row === null ? undefined : archive(row);
    },
  };
}

/** Follows directories for a catalogue. */
export function followCatalogue(
  catalogue: Catalogue,
  options: FollowOptions = {},
): CatalogueFollower {
  const wait = backlog();
  const known = catalogued(catalogue);
  const growing = growingSurveys(catalogue);
  // Reading a directory for each of its archives would take long where there are thousands.
  let listings: Listings = new Map();
  let listed = 0;
  const recentListings = (): Listings => {
    const now = performance.now();
    if (now - listed > LISTING_MS) {
      listings = new Map();
      listed = now;
    }
    return listings;
  };

  /** Looks at archives; what changed waits, what has gone is dropped. */
  const lookAt = async (
    paths: Iterable<string>,
    before: ReadonlyMap<string, CataloguedArchive>,
  ): Promise<FolderLook> => {
    listings = new Map();
    listed = performance.now();
    const problems: FollowProblem[] = [];
    const gone = new Set(before.keys());
    let found = 0;
    let looks = 0;
    for (const path of paths) {
      if (++looks % LOOKS_AT_ONCE === 0) await turn();
      try {
        const now = look(path, listings);
        if (now === undefined) continue;
        found++;
        gone.delete(path);
        if (before.get(path)?.stamp === textOf(now.stamp)) wait.drop(path);
        else wait.add(now);
      } catch (error) {
        const problem = asPcpError(error);
        found++;
        gone.delete(path);
        if (!isBeginning(path, problem)) problems.push({ path, problem: problemText(problem) });
      }
    }
    gone.forEach(wait.drop);
    gone.forEach(growing.drop);
    if (gone.size > 0) catalogue.drop([...gone]);
    return { found, dropped: gone.size, problems };
  };

  return {
    look: async (folder) => {
      let bases = new Set<string>();
      try {
        ({ bases } = readFolder(folder));
      } catch (error) {
        if (!(error instanceof PcpError) || (error.code !== ENOENT && error.code !== ENOTDIR))
          throw error;
      }
      return lookAt(bases, known.in(folder));
    },
    lookElsewhere: async (folders, concerns = () => true) => {
      const others = catalogue
        .archives()
        .filter(({ path }) => !folders.has(dirname(path)) && concerns(path));
      return lookAt(
        others.map(({ path }) => path),
        new Map(others.map((each) => [each.path, each])),
      );
    },
    get waiting() {
      return wait.size;
    },
    waitsIn: wait.waitsIn,
    step: () => {
      const next = wait.newest();
      if (next === undefined) return undefined;
      const { path } = next;
      const before = known.one(path);
      const more = { ...options, listings: recentListings() };
      const { problem, bytes } = take(catalogue, growing, before, next, more);
      wait.drop(path);
      return {
        path,
        problem,
        changed: before?.problem !== problem,
        known: isRead(before),
        bytes,
      };
    },
  };
}

const isRead = (before: CataloguedArchive | undefined): boolean =>
  before !== undefined && before.problem === undefined;

/** Takes one archive up; says why when it cannot be read, and how many bytes were read. */
function take(
  catalogue: Catalogue,
  growing: GrowingSurveys,
  before: CataloguedArchive | undefined,
  { path, stamp, metaBytes }: Found,
  options: SurveyOptions,
): Pick<Taken, "problem" | "bytes"> {
  const text = textOf(stamp);
  if (onlyData(before, stamp)) {
    catalogue.touch(path, text);
    return { problem: undefined, bytes: 0 };
  }
  const bytes = growing.grow(path, before?.stamp, text, options.listings);
  if (bytes !== undefined) return { problem: undefined, bytes };
  let survey;
  let found;
  try {
    // One that was there before may change again soon.
    survey = openSurvey(path, options, isRead(before));
    found = survey.survey();
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
    if (isBeginning(path, error)) return { problem: undefined, bytes: 0 };
    const problem = problemText(error);
    catalogue.putProblem(path, text, problem);
    return { problem, bytes: 0 };
  }
  catalogue.put(path, text, found);
  growing.keep(path, text, survey);
  return { problem: undefined, bytes: metaBytes };
}

/**
 * Directories with all below them. Throws PcpError for one that is
 * named and cannot be read, and for too many.
 */
async function foldersBelow(
  directories: readonly string[],
  { signal, mostFolders = Number.POSITIVE_INFINITY }: RescanOptions,
  unreadable: (folder: string, error: PcpError) => void,
): Promise<Set<string>> {
  const found = new Set<string>();
  const queue = [...directories];
  const pause = slices();
  for (let folder = queue.pop(); folder !== undefined; folder = queue.pop()) {
    if (found.has(folder)) continue;
    await pause();
    signal?.throwIfAborted();
    if (found.size >= mostFolders)
      throw new SeriesProblem(`more than ${mostFolders} directories to look at`);
    try {
      queue.push(...readFolder(folder).folders);
      found.add(folder);
    } catch (error) {
      const problem = asPcpError(error);
      if (directories.includes(folder)) throw problem;
      unreadable(folder, problem);
    }
  }
  return found;
}

/** Brings the catalogue in step with the archives below some directories. Throws PcpError. */
export async function rescan(
  catalogue: Catalogue,
  directories: readonly string[],
  options: RescanOptions = {},
): Promise<Rescan> {
  const { signal, progress } = options;
  const follower = followCatalogue(catalogue, options);
  const problems: FollowProblem[] = [];
  // Nothing is known of what is in these; what was known before stays.
  const unread: string[] = [];
  const folders = await foldersBelow(
    directories.map((each) => join(each, ".")),
    options,
    (path, error) => {
      unread.push(`${path}/`);
      problems.push({ path, problem: problemText(error) });
    },
  );
  let found = 0;
  let dropped = 0;
  const count = (seen: FolderLook): void => {
    found += seen.found;
    dropped += seen.dropped;
    problems.push(...seen.problems);
  };
  for (const folder of folders) count(await follower.look(folder));
  const concerns = (path: string): boolean =>
    directories.some((each) => path.startsWith(join(each, "/"))) &&
    !unread.some((each) => path.startsWith(each));
  count(await follower.lookElsewhere(folders, concerns));
  const total = follower.waiting;
  let read = 0;
  while (signal?.aborted !== true) {
    const taken = follower.step();
    if (taken === undefined) break;
    const { path, problem } = taken;
    if (problem !== undefined) problems.push({ path, problem });
    read++;
    progress?.(read, total);
    await Bun.sleep(0);
  }
  return { found, read, dropped, problems };
}

/**
 * Takes up one archive, wherever it is, by its base name or the name of one of its files. Returns its base
 * name with the real path of its directory. Throws PcpError when it cannot be read; the catalogue stays then.
 */
export function takeArchive(
  catalogue: Catalogue,
  name: string,
  options: SurveyOptions = {},
): string {
  const { base } = findArchive(name);
  const path = join(realpathSync(dirname(base)), basename(base));
  const listings: Listings = new Map();
  const found = look(path, listings);
  if (found === undefined) throw new PcpError(ENOENT, `${name}: ${pmErrStr(ENOENT)}`);
  catalogue.put(path, textOf(found.stamp), surveyArchive(path, { ...options, listings }));
  return path;
}
