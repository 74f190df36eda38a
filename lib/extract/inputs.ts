// The inputs of a run (spec extract.md 5): archives by any of their names; the members of directories
// and comma lists one by one, as the manual page promises. Each is opened, its metadata are read, its
// end is found, and it is closed again. Refused as the C program refuses them, with its messages.
import { PM_ERR, PcpError } from "../base/mod.ts";
import {
  type Archive,
  archiveEnd,
  type ArchiveLabel,
  canSkip,
  Catalog,
  compareTimes,
  decodeLabel,
  listArchives,
  type Listings,
  MAX_LABEL_BYTES,
  META_VOLUME,
  openArchive,
  openArchiveFile,
} from "../archive/mod.ts";
import { statSync } from "node:fs";
import type { Instant } from "../pcp/mod.ts";
import { errorText, ExtractStop, PROGRAM } from "./failure.ts";
import { collectEntries, Contents, type MetaEntries } from "./records.ts";
import type { ExtractHooks, ExtractJob } from "./types.ts";

/** One input archive that is not empty. */
export interface Input {
  /** As the user named it; of a member of a list, its own name. */
  readonly name: string;
  readonly archive: Archive;
  /** Of the metadata file. */
  readonly label: ArchiveLabel;
  /** Undefined: not found, and the run is desperate. */
  readonly end: Instant | undefined;
  /** All metadata records. */
  entries: MetaEntries;
  /** The earlier input that reads the same metadata file through one handle (spec extract.md 5.4). */
  readonly sharedWith: number | undefined;
  /** Bytes of the data volumes as they are stored. */
  readonly bytes: number;
  /** Size of a metadata file that ends within the head of a record. */
  readonly metaCut: number | undefined;
}

/** What is left of all inputs. */
export interface Inputs {
  readonly list: readonly Input[];
  /** Names of those that are empty. */
  readonly empty: readonly string[];
}

/** Sees each input's catalog, with the instances in it, before it is given up. */
export type LookInto = (catalog: Catalog) => void;

/** Bytes of a record's head, and of its first word: less than that counts as the end of the file. */
const META_HEAD = 8;
const WORD = 4;

/** The label of the metadata file, and its size when it ends within the head of a record. */
function lookAtMeta(archive: Archive): Pick<Input, "label" | "metaCut"> {
  const path = archive.files.meta;
  const file = openArchiveFile(path);
  try {
    const first = file.read(0, MAX_LABEL_BYTES);
    const label = decodeLabel(first, META_VOLUME, { file: path, offset: 0 });
    const rest = file.read(archive.metaEnd, META_HEAD).length;
    return { label, metaCut: rest < WORD ? undefined : archive.metaEnd + rest };
  } finally {
    file.close();
  }
}

const volumeBytes = (archive: Archive): number => {
  let sum = 0;
  for (const path of archive.files.volumes.values()) {
    sum += statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  }
  return sum;
};

/** Names and instances of an archive are not kept after it was opened, nor is its index. */
const NOTHING = new Catalog();

/** What is the same for many inputs. */
interface Known {
  readonly contents: Contents;
  readonly directories: Listings;
}

/** No records, or no longer. */
export const NO_ENTRIES: MetaEntries = { contents: [], seconds: [], nanoseconds: [] };

interface Opened {
  readonly name: string;
  readonly archive: Archive;
  readonly entries: MetaEntries;
}

/** Opens one argument: its archive, or its archives in order of their starts. */
function openArgument(
  argument: string,
  known: Known,
  catalogued: boolean,
  warn: (text: string) => void,
): Opened[] {
  const names = listArchives(argument);
  const found: Opened[] = [];
  for (const name of new Set(names)) {
    const { entries, look, unsure } = collectEntries(known.contents, catalogued);
    try {
      const host = found[0]?.archive.label.host;
      const archive = openArchive(name, { look }, new Catalog(), host, known.directories);
      // Only a catalog of this archive alone tells whether it contradicts itself.
      if (unsure()) openArchive(name);
      found.push({ name: names.length === 1 ? argument : name, archive, entries });
    } catch (error) {
      if (names.length === 1 || !canSkip(error)) throw error;
      warn(`initarchive: skipping corrupt/unreadable archive "${name}": ${errorText(error)}`);
    }
  }
  if (found.length === 0) throw new PcpError(PM_ERR.LOGFILE);
  return found.toSorted((a, b) => compareTimes(a.archive.label.start, b.archive.label.start));
}

/**
 * Opens all inputs. Throws ExtractStop after the message of the first that cannot be used. `look`
 * is called for each input in order when the catalog of an input is wanted.
 */
export function openInputs(
  job: ExtractJob,
  { say }: ExtractHooks,
  look: LookInto | undefined,
): Inputs {
  const known: Known = { contents: new Contents(), directories: new Map() };
  const list: Input[] = [];
  const empty: string[] = [];
  const resolved = new Map<string, number>();
  const fail = (text: string): ExtractStop => {
    say(`${PROGRAM}: Error: ${text}\n`, "stderr");
    return new ExtractStop(1, false);
  };
  const open = (argument: string): Opened[] => {
    try {
      return openArgument(argument, known, look !== undefined, (text) =>
        say(`${PROGRAM}: Warning: ${text}\n`, "stderr"),
      );
    } catch (error) {
      if (!(error instanceof PcpError)) throw error;
      if (error.code !== PM_ERR.NODATA) {
        throw fail(`cannot open archive "${argument}": ${errorText(error)}`);
      }
      say(`${PROGRAM}: Warning: empty archive "${argument}" will be skipped\n`, "stderr");
      empty.push(argument);
      return [];
    }
  };
  for (const argument of job.inputs) {
    for (const { name, archive, entries } of open(argument)) {
      const end = archiveEnd(archive);
      if (end === undefined) {
        const failure = `cannot get end of archive (${name}): ${errorText(new PcpError(PM_ERR.LOGREC))}`;
        if (job.desperate !== true) throw fail(failure);
        say(`${PROGRAM}: Error: ${failure}\n`, "stderr");
      }
      look?.(archive.catalog);
      const sharedWith = resolved.get(name);
      const { base } = archive.files;
      const full = base.includes("/") ? base : `./${base}`;
      if (!resolved.has(full)) resolved.set(full, list.length);
      list.push({
        name,
        archive: { ...archive, catalog: NOTHING, index: undefined },
        ...lookAtMeta(archive),
        end,
        entries: sharedWith === undefined ? entries : NO_ENTRIES,
        sharedWith,
        bytes: volumeBytes(archive),
      });
    }
  }
  return { list, empty };
}
