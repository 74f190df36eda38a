// From names that users give to files (spec archive.md 1, 8.1): base names, names of single files,
// compressed suffixes, directories, comma lists. Refused: names without files with -ENOENT, names
// that lack metadata or a volume with PM_ERR_LOGFILE.
import { accessSync, constants, readdirSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { asPcpError, PM_ERR, PcpError } from "../base/mod.ts";

/** Suffixes of compressed files, in the order in which PCP looks for them. */
export const COMPRESSED_SUFFIXES: readonly string[] = [
  ".xz",
  ".lzma",
  ".bz2",
  ".bz",
  ".gz",
  ".Z",
  ".z",
  ".zst",
];

/** The files of one archive. */
export interface ArchiveFiles {
  /** Directory and base name. */
  readonly base: string;
  readonly meta: string;
  readonly index: string | undefined;
  /** Paths by volume number, in ascending order; there is at least one. */
  readonly volumes: ReadonlyMap<number, string>;
}

const ENOENT = -2;

/** A file name without one compressed suffix, when there is another dot before it. */
function uncompressed(name: string): string {
  const suffix = COMPRESSED_SUFFIXES.find((each) => name.endsWith(each));
  if (suffix === undefined) return name;
  const stem = name.slice(0, -suffix.length);
  return stem.includes(".") ? stem : name;
}

interface Part {
  readonly base: string;
  /** `meta`, `index`, or the number after the last dot as it stands. */
  readonly kind: string;
}

/** A file name in its two parts; undefined for one that is no part of an archive. */
function partOf(name: string): Part | undefined {
  const found = /^(.*)\.(meta|index|\s*[+-]?\d+)$/s.exec(uncompressed(name));
  return found === null ? undefined : { base: found[1] ?? "", kind: found[2] ?? "" };
}

function readable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch (error) {
    // Whatever the reason, PCP goes on as if the name were a base name.
    return error === undefined;
  }
}

function entriesOf(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    throw asPcpError(error);
  }
}

/** A file that may belong to an archive. */
interface ListedFile {
  readonly entry: string;
  readonly kind: string;
}

/** What is in a directory: every name, and the files of archives by the base name. */
interface Listing {
  readonly entries: ReadonlySet<string>;
  readonly files: ReadonlyMap<string, readonly ListedFile[]>;
}

/** Directories by name, each read once: for a set whose members lie in a few of them. */
export type Listings = Map<string, Listing>;

function listingOf(directory: string, known: Listings): Listing {
  const before = known.get(directory);
  if (before !== undefined) return before;
  const files = new Map<string, ListedFile[]>();
  const entries = new Set(entriesOf(directory));
  for (const entry of entries) {
    const part = partOf(entry);
    if (part === undefined) continue;
    const { base, kind } = part;
    const list = files.get(base);
    if (list === undefined) files.set(base, [{ entry, kind }]);
    else list.push({ entry, kind });
  }
  const listing = { entries, files };
  known.set(directory, listing);
  return listing;
}

/** Whether a name is a file of its own, possibly without its compressed suffix. */
const isPhysical = (directory: string, name: string, { entries }: Listing): boolean =>
  ["", ...COMPRESSED_SUFFIXES].some(
    (suffix) => entries.has(name + suffix) && readable(join(directory, name + suffix)),
  );

/**
 * Finds the files of an archive by any of its names; throws -errno or PM_ERR_LOGFILE. `known` has
 * directories that were read before, and gets the one of this archive.
 */
export function findArchive(name: string, known: Listings = new Map()): ArchiveFiles {
  if (name === "") throw new PcpError(PM_ERR.LOGFILE, "an archive needs a name");
  let last = name.endsWith("/") ? "" : basename(name);
  const directory = dirname(`${name}.`);
  const listing = listingOf(directory, known);
  if (isPhysical(directory, last, listing)) last = partOf(last)?.base ?? last;
  let meta: string | undefined;
  let index: string | undefined;
  const listed = listing.files.get(last) ?? [];
  const found = new Map<number, string>();
  for (const { entry, kind } of listed) {
    const path = join(directory, entry);
    const plain = uncompressed(entry) === entry;
    if (kind === "meta") meta = plain ? path : (meta ?? path);
    else if (kind === "index") index = plain ? path : (index ?? path);
    else if (/^\d+$/.test(kind)) {
      const volume = Number(kind);
      if (plain || !found.has(volume)) found.set(volume, path);
    }
  }
  if (listed.length === 0)
    throw new PcpError(ENOENT, `${name}: no file of an archive of this name`);
  if (meta === undefined) throw new PcpError(PM_ERR.LOGFILE, `${name}: no metadata file (.meta)`);
  if (found.size === 0) throw new PcpError(PM_ERR.LOGFILE, `${name}: no data volume (.0, .1, ...)`);
  const volumes = new Map([...found].sort(([a], [b]) => a - b));
  return { base: join(directory, last), meta, index, volumes };
}

function isDirectory(name: string): boolean {
  return statSync(name, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** Base names of the archives of a directory: those with a metadata file. */
function archivesIn(directory: string): string[] {
  const bases = new Set<string>();
  for (const entry of entriesOf(directory)) {
    const part = partOf(entry);
    if (part?.kind === "meta") bases.add(join(directory, part.base));
  }
  return [...bases];
}

/**
 * The archive names of a comma list in which directories stand for the archives in them. Throws
 * PM_ERR_LOGFILE when nothing is left; an empty element is an empty name.
 */
export function listArchives(list: string): string[] {
  const elements = list.split(",");
  if (elements.length > 1 && elements.at(-1) === "") elements.pop();
  const names = elements.flatMap((each) =>
    each !== "" && isDirectory(each) ? archivesIn(each) : [each],
  );
  if (names.length === 0) throw new PcpError(PM_ERR.LOGFILE, `${list}: no archive in it`);
  return names;
}
