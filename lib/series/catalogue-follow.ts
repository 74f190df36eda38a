// Keeps a catalogue in step with directories of archives (spec series.md 5.1): archives that are new, that
// grew, were compressed, replaced or deleted. Looks at names, inodes, sizes and times first, and opens only
// what changed, one archive at a time, the newest first. An archive that cannot be read is kept with the
// reason, and is tried again when its files change. Refuses a directory that cannot be read.
import { readdirSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { compressionOf, findArchive, type Listings } from "../archive/mod.ts";
import { asPcpError, PcpError, pmErrStr } from "../base/mod.ts";
import type { Catalogue, CataloguedArchive } from "./catalogue.ts";
import { surveyArchive, type SurveyOptions } from "./catalogue-survey.ts";

/** How directories are looked through. */
export interface RescanOptions extends Omit<SurveyOptions, "listings"> {
  /** Ends the work after the archive that is being read. */
  readonly signal?: AbortSignal;
  /** Hears of each archive that was read. */
  readonly progress?: (done: number, total: number) => void;
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
  readonly problems: readonly { readonly path: string; readonly problem: string }[];
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
}

const ENOENT = -2;

const problemText = (error: PcpError): string => error.message || pmErrStr(error.code);

/** The base name of a metadata file, undefined for other files. */
function baseOf(name: string): string | undefined {
  const suffix = compressionOf(name) ?? "";
  const plain = suffix === "" ? name : name.slice(0, -suffix.length);
  return plain.endsWith(".meta") ? plain.slice(0, -".meta".length) : undefined;
}

/** Directory and all below it; names that begin with a dot and links to directories are left out. */
function basesBelow(
  directory: string,
  bases: Set<string>,
  problem: (path: string, error: PcpError) => void,
): void {
  let entries;
  try {
    entries = readdirSync(directory, { withFileTypes: true });
  } catch (error) {
    problem(directory, asPcpError(error));
    return;
  }
  for (const entry of entries) {
    if (entry.name.startsWith(".")) continue;
    const path = join(directory, entry.name);
    if (entry.isDirectory()) basesBelow(path, bases, problem);
    const base = baseOf(path);
    if (base !== undefined) bases.add(base);
  }
}

/** The state of an archive's files; undefined for one that went meanwhile. Throws PcpError. */
function look(path: string, listings: Listings): Found | undefined {
  let changed = 0;
  const mark = (file: string): string => {
    const { ino, size, mtimeMs } = statSync(file);
    changed = Math.max(changed, mtimeMs);
    return `${file} ${ino} ${size} ${mtimeMs}`;
  };
  try {
    const { meta, index, volumes } = findArchive(path, listings);
    const files = [...(index === undefined ? [] : [index]), ...volumes.values()];
    return { path, stamp: { meta: mark(meta), data: files.map(mark).join("\n") }, changed };
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

/** Brings the catalogue in step with the archives below some directories. Throws PcpError. */
export async function rescan(
  catalogue: Catalogue,
  directories: readonly string[],
  options: RescanOptions = {},
): Promise<Rescan> {
  const problems: { path: string; problem: string }[] = [];
  const known = new Map(catalogue.archives().map((each) => [each.path, each]));
  const bases = new Set<string>();
  const unread: string[] = [];
  for (const directory of directories)
    basesBelow(directory, bases, (path, error) => {
      if (path === directory) throw error;
      // Nothing is known of what is in it; what was known before stays.
      unread.push(`${path}/`);
      problems.push({ path, problem: problemText(error) });
    });
  const listings: Listings = new Map();
  const changed: Found[] = [];
  const present = new Set<string>();
  for (const path of bases) {
    try {
      const found = look(path, listings);
      if (found === undefined) continue;
      present.add(path);
      if (known.get(path)?.stamp !== textOf(found.stamp)) changed.push(found);
    } catch (error) {
      present.add(path);
      problems.push({ path, problem: problemText(asPcpError(error)) });
    }
  }
  const gone = [...known.keys()].filter(
    (path) =>
      !present.has(path) &&
      directories.some((directory) => path.startsWith(join(directory, "/"))) &&
      !unread.some((directory) => path.startsWith(directory)),
  );
  catalogue.drop(gone);
  changed.sort((a, b) => b.changed - a.changed);
  let read = 0;
  for (const { path, stamp } of changed) {
    if (options.signal?.aborted === true) break;
    const problem = take(catalogue, path, stamp, known.get(path), { ...options, listings });
    if (problem !== undefined) problems.push({ path, problem });
    read++;
    options.progress?.(read, changed.length);
    await Bun.sleep(0);
  }
  return { found: present.size, read, dropped: gone.length, problems };
}

const textOf = ({ meta, data }: Stamp): string => `${meta}\n${data}`;

/** Takes one archive up; says why when it cannot be read. */
function take(
  catalogue: Catalogue,
  path: string,
  stamp: Stamp,
  before: CataloguedArchive | undefined,
  options: SurveyOptions,
): string | undefined {
  if (onlyData(before, stamp)) {
    catalogue.touch(path, textOf(stamp));
    return undefined;
  }
  let survey;
  try {
    survey = surveyArchive(path, options);
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
    const problem = problemText(error);
    catalogue.putProblem(path, textOf(stamp), problem);
    return problem;
  }
  catalogue.put(path, textOf(stamp), survey);
  return undefined;
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
