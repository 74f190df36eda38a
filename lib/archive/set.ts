// Archive sets (spec archive.md 8): one or more archives as one, in order of their starts, with their
// metadata together. Refused as pmNewContext does: hosts that differ, equal starts, metadata in
// conflict. As in PCP 7.2, a member of several that cannot be read is left out with a warning.
import { statSync } from "node:fs";
import { PM_ERR, PcpError, pmErrStr } from "../base/mod.ts";
import type { Timestamp } from "../pcp/mod.ts";
import { type Archive, openArchive, type OpenOptions, refreshArchive } from "./archive.ts";
import { Catalog } from "./catalog.ts";
import { ArchiveCursor } from "./cursor.ts";
import type { ArchiveLabel } from "./label.ts";
import { listArchives, type Listings } from "./places.ts";
import { compareTimes } from "./timestamp.ts";

/** How a set is opened. */
export interface SetOptions extends OpenOptions {
  /** Hears of members that are left out, a sentence each. */
  readonly warn?: (message: string) => void;
}

/** One or more archives as one. Holds no open file. */
export interface ArchiveSet {
  /** In ascending order of their starts; at least one. */
  readonly members: readonly Archive[];
  /** Metadata of all members. */
  readonly catalog: Catalog;
  /** Of the first member. */
  readonly label: ArchiveLabel;
  readonly warn: (message: string) => void;
}

const SKIPPED: ReadonlySet<number> = new Set([
  PM_ERR.LABEL,
  PM_ERR.LOGREC,
  PM_ERR.LOGFILE,
  PM_ERR.NODATA,
  PM_ERR.RECTYPE,
  PM_ERR.FEATURE,
]);

/** Whether a member with this error is left out of a set: it is damaged or cannot be read (8.2). */
export const canSkip = (error: unknown): error is PcpError =>
  error instanceof PcpError && (SKIPPED.has(error.code) || error.code > PM_ERR.GENERIC);

/**
 * Opens what a name stands for: an archive by any of its names, a directory of archives, a comma
 * list of these. Throws PcpError: that of the archive when it is the only one, PM_ERR_LOGFILE when
 * none of several can be read, PM_ERR_LOGHOST, PM_ERR_LOGOVERLAP, PM_ERR_LOGCHANGE….
 */
export function openArchives(names: string, options: SetOptions = {}): ArchiveSet {
  const { warn = () => undefined } = options;
  const list = listArchives(names);
  const catalog = new Catalog();
  const members: Archive[] = [];
  const listings: Listings = new Map();
  for (const name of new Set(list)) {
    try {
      const host = members[0]?.label.host;
      insert(members, openArchive(name, options, catalog, host, listings));
    } catch (error) {
      if (list.length === 1 || !canSkip(error)) throw error;
      const text = pmErrStr(error.code);
      warn(`initarchive: skipping corrupt/unreadable archive "${name}": ${text}`);
    }
  }
  const [first] = members;
  if (first === undefined) {
    warn("initarchive: all archives are corrupt/unreadable");
    throw new PcpError(PM_ERR.LOGFILE, `${names}: none of the ${list.length} archives can be read`);
  }
  return { members, catalog, label: first.label, warn };
}

function insert(members: Archive[], added: Archive): void {
  let at = members.length;
  for (; at > 0; at--) {
    const before = members[at - 1] as Archive;
    const order = compareTimes(before.label.start, added.label.start);
    if (order < 0) break;
    if (order > 0) continue;
    throw new PcpError(
      PM_ERR.LOGOVERLAP,
      `${added.name} and ${before.name} are archives with the same start`,
    );
  }
  members.splice(at, 0, added);
}

/** Ends that were found, with the size that the last volume had then. */
const knownEnds = new WeakMap<
  Archive,
  { readonly end: Timestamp | undefined; readonly mark: string }
>();

/** What tells whether an archive has grown: its last volume and the size of it. */
function growthMark({ growing, files }: Archive): string {
  if (!growing) return "";
  const path = [...files.volumes.values()].at(-1) ?? "";
  return `${path} ${statSync(path, { throwIfNoEntry: false })?.size}`;
}

/** Keeps what a walk found out: the time of the last sound record of an archive. */
export function noteEnd(archive: Archive, end: Timestamp | undefined): void {
  knownEnds.set(archive, { end, mark: growthMark(archive) });
}

/**
 * Time of the last sound record of an archive, undefined when there is none. It is kept, since a
 * compressed volume is decoded for it, and looked for again when a growing archive has grown.
 */
export function archiveEnd(archive: Archive): Timestamp | undefined {
  const known = knownEnds.get(archive);
  if (known?.mark === growthMark(archive)) return known.end;
  const cursor = new ArchiveCursor(archive);
  try {
    const end = cursor.toEnd();
    noteEnd(archive, end);
    return end;
  } finally {
    cursor.close();
  }
}

/** The end of a set: that of its last member. Throws PM_ERR_LOGREC when no record is sound. */
export function setEnd({ members }: ArchiveSet): Timestamp {
  const last = members.at(-1) as Archive;
  const end = archiveEnd(last);
  if (end === undefined) {
    throw new PcpError(PM_ERR.LOGREC, `${last.name}: no sound record in any volume`);
  }
  return end;
}

/** Reads what was added to the last member of a growing set: metadata, index, volumes. */
export const refreshSet = ({ members }: ArchiveSet): void =>
  refreshArchive(members.at(-1) as Archive);
