// Keeps a catalogue in step with directories of archives (spec series.md 5.1): archives that are new, that
// grew, were compressed, replaced or deleted. Looks at names, inodes, sizes and times first, and opens only
// what changed; of one that grows, only what is new. What changes while much waits comes first, and else what
// began last: of archives with the same series the latest is there before any other. A few archives are put into the
// catalogue together: each change of it writes much more than an archive needs. An archive that cannot be
// read is kept with the reason, and is tried again when its files change. Refuses a directory that cannot
// be read.
import { readdirSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import {
  type ArchiveFiles,
  compressionOf,
  decodeLabel,
  findArchive,
  INDEX_VOLUME,
  type Listings,
  MAX_LABEL_BYTES,
  META_VOLUME,
  openArchiveFile,
} from "../archive/mod.ts";
import { asPcpError, PM_ERR, PcpError, pmErrStr, slices, turn } from "../base/mod.ts";
import { SeriesProblem } from "../series/mod.ts";
import { backlog, type Stamp, type Waiting } from "./backlog.ts";
import type { Catalogue, CataloguedArchive } from "./catalogue.ts";
import { growingSurveys, type GrowingSurveys } from "./growing.ts";
import { openSurvey, surveyArchive, type SurveyOptions } from "./survey.ts";

/** What a follower makes of archives. */
export type FollowOptions = Omit<SurveyOptions, "listings">;

/** How directories are looked through. */
export interface RescanOptions extends FollowOptions {
  /** Ends the work after the archive that is being read. */
  readonly signal?: AbortSignal;
  /** Hears of archives that were read. */
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
  /**
   * Looks at the archives of a directory, not below it; one that has gone has none. `changed`: something has
   * just changed there, and is taken up before what waits. Throws PcpError.
   */
  look(folder: string, changed?: boolean): Promise<FolderLook>;
  /** Looks at what is catalogued of other directories, where `concerns` says so. */
  lookElsewhere(
    folders: ReadonlySet<string>,
    concerns?: (path: string) => boolean,
  ): Promise<FolderLook>;
  /** Archives that have changed and wait to be taken up. */
  readonly waiting: number;
  /** The directories of these. */
  waitsIn(folder: string): boolean;
  /**
   * Takes up some, the first of those that wait, as one change of the catalogue; none when none waits. Throws
   * what the catalogue refuses: they wait on.
   */
  step(): readonly Taken[];
}

interface Found {
  readonly path: string;
  readonly stamp: Stamp;
  /** Milliseconds since 1970 of the last change. */
  readonly changed: number;
  readonly metaBytes: number;
  readonly files: ArchiveFiles;
}

const ENOENT = -2;
const ENOTDIR = -20;
/** Archives that are looked at between two turns of others. */
const LOOKS_AT_ONCE = 64;
/** Archives that are put into the catalogue together: as many as are read in so many ms, and bytes, about. */
const MOST_TOGETHER = 16;
const TOGETHER_MS = 50;
const TOGETHER_BYTES = 1024 * 1024;
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
    const found = findArchive(path, listings);
    const { meta, index, volumes } = found;
    const files = [...(index === undefined ? [] : [index]), ...volumes.values()];
    const metaMark = mark(meta);
    const metaBytes = bytes;
    const stamp = { meta: metaMark, data: files.map(mark).join("\n") };
    return { path, stamp, changed, metaBytes, files: found };
  } catch (error) {
    const problem = asPcpError(error);
    if (problem.code === ENOENT) return undefined;
    throw problem;
  }
}

/**
 * When an archive began, as the label of one of its files says that is not compressed; milliseconds. Undefined
 * without one, or where it is none: who surveys the archive will tell.
 */
function beginOf({ meta, index, volumes }: ArchiveFiles): number | undefined {
  const [lowest = 0, volume = meta] = [...volumes][0] ?? [];
  const labels = [
    [index ?? meta, index === undefined ? META_VOLUME : INDEX_VOLUME],
    [meta, META_VOLUME],
    [volume, lowest],
  ] as const;
  const plain = labels.find(([path]) => compressionOf(path) === undefined);
  if (plain === undefined) return undefined;
  const [path, expected] = plain;
  try {
    const file = openArchiveFile(path);
    try {
      const { start } = decodeLabel(file.read(0, MAX_LABEL_BYTES), expected);
      return start.sec * 1000 + start.nsec / 1e6;
    } finally {
      file.close();
    }
  } catch (error) {
    if (error instanceof PcpError) return undefined;
    throw error;
  }
}

/** Whether nothing but data were added to an archive whose data need not all be looked at. */
function onlyData(before: CataloguedArchive | undefined, { meta }: Stamp): boolean {
  if (before === undefined || before.complete || before.problem !== undefined) return false;
  return before.stamp.startsWith(`${meta}\n`);
}

const textOf = ({ meta, data }: Stamp): string => `${meta}\n${data}`;

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
  const growing = growingSurveys();
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
    urgent: boolean,
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
        else {
          const { files, ...rest } = now;
          const begin = urgent ? undefined : beginOf(files);
          wait.add({ ...rest, urgent, rank: begin ?? now.changed });
        }
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
    look: async (folder, changed = false) => {
      let bases = new Set<string>();
      try {
        ({ bases } = readFolder(folder));
      } catch (error) {
        if (!(error instanceof PcpError) || (error.code !== ENOENT && error.code !== ENOTDIR))
          throw error;
      }
      return lookAt(bases, known.in(folder), changed);
    },
    lookElsewhere: async (folders, concerns = () => true) => {
      const others = catalogue
        .archives()
        .filter(({ path }) => !folders.has(dirname(path)) && concerns(path));
      return lookAt(
        others.map(({ path }) => path),
        new Map(others.map((each) => [each.path, each])),
        false,
      );
    },
    get waiting() {
      return wait.size;
    },
    waitsIn: wait.waitsIn,
    step: () => {
      const until = performance.now() + TOGETHER_MS;
      const some: Waiting[] = [];
      const ready: Ready[] = [];
      let left = TOGETHER_BYTES;
      try {
        for (let next = wait.newest(); next !== undefined; next = wait.newest()) {
          some.push(next);
          wait.drop(next.path);
          ready.push(
            read(next, known.one(next.path), growing, { ...options, listings: recentListings() }),
          );
          left -= next.metaBytes;
          if (left < 0 || some.length === MOST_TOGETHER || performance.now() > until) break;
        }
        if (ready.length > 0)
          catalogue.together(() => {
            for (const { write } of ready) write?.(catalogue);
          });
      } catch (error) {
        some.forEach(wait.add);
        throw error;
      }
      for (const { done } of ready) done?.();
      return ready.map(({ taken }) => taken);
    },
  };
}

/** An archive that was read, and what is to be done about it. */
interface Ready {
  readonly taken: Taken;
  /** Puts it into the catalogue; undefined when there is nothing to be put. */
  readonly write?: (catalogue: Catalogue) => void;
  /** When the catalogue has it. */
  readonly done?: () => void;
}

const isRead = (before: CataloguedArchive | undefined): boolean =>
  before !== undefined && before.problem === undefined;

/** Reads what has to be read of one archive. Throws what is no fault of the archive. */
function read(
  { path, stamp, metaBytes }: Waiting,
  before: CataloguedArchive | undefined,
  growing: GrowingSurveys,
  options: SurveyOptions,
): Ready {
  const text = textOf(stamp);
  const known = isRead(before);
  const taken = (bytes: number, problem?: string): Taken => ({
    path,
    problem,
    changed: before?.problem !== problem,
    known,
    bytes,
  });
  if (onlyData(before, stamp)) {
    const write = (catalogue: Catalogue): void => catalogue.touch(path, text);
    const done = (): void => growing.restamp(path, before?.stamp, text);
    return { taken: taken(0), write, done };
  }
  const grown = growing.grow(path, before?.stamp, options.listings);
  try {
    // One that was there before may change again soon.
    const survey = grown?.survey ?? openSurvey(path, options, known);
    const done = (): void => growing.keep(path, text, survey);
    if (grown?.more === false) {
      const end = survey.end();
      return { taken: taken(0), write: (catalogue) => catalogue.touch(path, text, end), done };
    }
    const found = survey.survey();
    const write = (catalogue: Catalogue): void => catalogue.put(path, text, found);
    return { taken: taken(grown?.bytes ?? metaBytes), write, done };
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
    if (isBeginning(path, error)) return { taken: taken(0) };
    const problem = problemText(error);
    const write = (catalogue: Catalogue): void => catalogue.putProblem(path, text, problem);
    return { taken: taken(0, problem), write };
  }
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
  let done = 0;
  while (signal?.aborted !== true) {
    const taken = follower.step();
    if (taken.length === 0) break;
    for (const { path, problem } of taken)
      if (problem !== undefined) problems.push({ path, problem });
    done += taken.length;
    progress?.(done, total);
    await Bun.sleep(0);
  }
  return { found, read: done, dropped, problems };
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
