// The files of one archive as discovery reads them (spec series.md 5.2): opened where they end, then what
// was added, metadata first. What was read counts when the key server has it. No file stays open.
// Refused: what opening an archive refuses, damage; before it everything was taken.
import { existsSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import {
  type Archive,
  ArchiveCursor,
  type ArchiveFile,
  archiveEnd,
  Catalog,
  compareTimes,
  type CursorPlace,
  findArchive,
  labelBytes,
  labelSetHead,
  type Listings,
  loadMeta,
  META_TYPE,
  openArchive,
  openArchiveFile,
} from "../archive/mod.ts";
import { asPcpError, PcpError, turn, utf8Text } from "../base/mod.ts";
import { labelsOf, PM_LABEL, type Pmid, type ResultView, type Timestamp } from "../pcp/mod.ts";
import type { KeyServer } from "../keyserver/mod.ts";
import type { Exclusions } from "./exclusions.ts";
import { type Followed, followArchive, MOST_UNKNOWN, type WriteOptions } from "./followed.ts";
import { hostLabels, readMetadata, type SourceLabels } from "./known.ts";
import type { WriterPool } from "./writers.ts";

/** How archives are read. */
export interface KeyArchiveOptions extends WriteOptions {
  /** Seconds before now from which an archive is read that is opened; 0: its last record alone. */
  readonly catchUpSeconds?: number;
}

/** Up to where the key server has everything, and what of that is to be read again. */
export interface ReadPlace {
  readonly at: CursorPlace;
  readonly missed: Missed | undefined;
}

/** Metrics whose values were passed over because their metadata were not there yet. */
interface Missed {
  readonly from: CursorPlace;
  readonly pmids: Set<Pmid>;
}

/** What is counted. */
export interface ReadCounts {
  bytes: number;
  records: number;
  values: number;
}

/** An archive that is being followed. After an error it must be opened again. */
export interface KeyArchive {
  /** Bytes that it keeps in memory, about. */
  readonly memory: number;
  readonly excluded: number;
  /**
   * Reads what was added and gives it to the key server. `reached` hears of places up to which the server
   * has everything. Stops early where a file `lock` is in the directory.
   */
  advance(
    listings: Listings,
    counts: ReadCounts,
    reached: (place: ReadPlace) => void,
    signal: AbortSignal,
  ): Promise<void>;
}

/** Bytes of metadata that are read between two turns of others. */
const META_SLICE = 1024 * 1024;
/** Memory that a series or an instance takes while its archive is followed, about. */
const INSTANCE_BYTES = 700;
/** Data records after which the key server is waited for. */
const RECORDS_TO_SETTLE = 4096;
/** Data records between two looks for a lock. */
const RECORDS_TO_LOCK = 64;

/** Whether somebody asks that archives of a directory are left alone. */
export const isLocked = (folder: string): boolean => existsSync(join(folder, "lock"));

/** The first bytes of a file as if they were all. */
const upTo = (file: ArchiveFile, limit: number): ArchiveFile => ({
  size: limit,
  read: (position, length, memory) =>
    file.read(position, Math.max(0, Math.min(length, limit - position)), memory),
  close: () => undefined,
});

/** Reads metadata in slices; true when a part of a record is left. */
async function readMetadataFile(
  archive: Archive,
  followed: Followed,
  texts: boolean,
  signal: AbortSignal,
): Promise<boolean> {
  const path = archive.files.meta;
  const file = openArchiveFile(path);
  try {
    const size = file.size ?? Number.MAX_SAFE_INTEGER;
    for (let slice = META_SLICE; ; await turn()) {
      signal.throwIfAborted();
      const from = archive.metaEnd;
      const limit = Math.min(size, from + slice);
      const part = upTo(file, limit);
      const { end } = loadMeta(part, path, from, followed.catalog, true, (type, bytes, place) => {
        followed.meta(type, bytes, place);
        return texts || type !== META_TYPE.TEXT;
      });
      archive.metaEnd = end;
      if (limit === size) return end < size;
      slice = end === from ? 2 * slice : META_SLICE;
    }
  } finally {
    file.close();
  }
}

/** Where the data end now. Throws PcpError. */
function dataEnd({ files }: Archive): CursorPlace {
  const volume = Math.max(...files.volumes.keys());
  const path = files.volumes.get(volume) ?? "";
  // One that was compressed does not grow.
  if (!path.endsWith(`.${volume}`)) return { volume, offset: Number.POSITIVE_INFINITY };
  try {
    return { volume, offset: statSync(path).size };
  } catch (error) {
    throw asPcpError(error);
  }
}

/** Labels of the source at the start of an archive. */
function labelsAtStart({ catalog, label }: Archive): SourceLabels {
  for (const { type, ident } of catalog.labelKeys()) {
    if (type !== PM_LABEL.CONTEXT) continue;
    const set = catalog.labelsAt(type, ident, label.start)?.find(({ error }) => error >= 0);
    if (set !== undefined) return { labels: labelsOf(set), json: utf8Text(set.json) };
  }
  return hostLabels(label.host);
}

/**
 * The place from which PCP reads an archive that it opens at its end: that of the first record of its last
 * time, unless its index leads behind that.
 */
function placeAtEnd(archive: Archive, cursor: ArchiveCursor): CursorPlace {
  const end = archiveEnd(archive);
  if (end === undefined) {
    cursor.toStart();
    return cursor.place;
  }
  cursor.toEnd();
  const behind = cursor.place;
  const { index } = archive;
  for (let i = (index?.count ?? 0) - 1; i >= 0; i--) {
    const entry = index?.entry(i);
    if (entry === undefined || compareTimes(entry.timestamp, end) > 0) continue;
    if (entry.volume === behind.volume && entry.dataOffset >= behind.offset) return behind;
    break;
  }
  cursor.seek(end, "forward");
  return cursor.place;
}

/** The time of milliseconds since 1970. */
export const instantOf = (ms: number): Timestamp => {
  const sec = Math.max(0, Math.floor(ms / 1000));
  return { sec, nsec: Math.max(0, ms - sec * 1000) * 1_000_000 };
};

const isBehind = (a: CursorPlace, b: CursorPlace): boolean =>
  a.volume > b.volume || (a.volume === b.volume && a.offset >= b.offset);

/**
 * Opens an archive. `place`: where reading goes on; none for one that is met for the first time, of which
 * records since the time `since` are read, at least the last.
 */
export function openKeyArchive(
  server: KeyServer,
  writers: WriterPool,
  path: string,
  place: ReadPlace | undefined,
  left: Exclusions,
  options: KeyArchiveOptions & { readonly since?: Timestamp },
  warn: (message: string) => void,
): KeyArchive {
  // Only checked, and looked through for the labels of the source; metadata are read by `advance`.
  const look = (type: number, bytes: Uint8Array): boolean =>
    (type === META_TYPE.LABEL || type === META_TYPE.LABEL_V2) &&
    labelSetHead(bytes).type === PM_LABEL.CONTEXT;
  const archive = openArchive(path, { growing: true, look });
  const { host, start, version } = archive.label;
  const metadata = readMetadata(labelsAtStart(archive), left);
  const catalog = new Catalog();
  archive.metaEnd = labelBytes(version);
  const source = { catalog, context: path, host, start, metadata };
  const followed = followArchive(server, writers, source, options, warn);
  let at = place?.at;
  let missed = place?.missed;

  const enter = (cursor: ArchiveCursor): void => {
    if (at !== undefined) {
      if (cursor.resume(at)) return;
      warn(`${path}: its data have become shorter or were replaced; reading goes on at their end`);
    }
    const { catchUpSeconds = 0, since } = options;
    const end = archiveEnd(archive);
    const isNew = end !== undefined && since !== undefined && compareTimes(end, since) >= 0;
    if (at !== undefined) cursor.resume(placeAtEnd(archive, cursor));
    else if (catchUpSeconds > 0)
      cursor.seek(instantOf(Date.now() - catchUpSeconds * 1000), "forward");
    else if (isNew) cursor.seek(since, "forward");
    else cursor.resume(placeAtEnd(archive, cursor));
    at = cursor.place;
  };

  /** Keeps in mind what a record has of metrics that nothing is known of. */
  const note = (from: CursorPlace): void => {
    const { unknown } = followed;
    if (unknown.size === 0) return;
    missed ??= { from, pmids: new Set() };
    for (const pmid of unknown) if (missed.pmids.size < MOST_UNKNOWN) missed.pmids.add(pmid);
    unknown.clear();
  };
  /** Gives values of metrics whose metadata have come since: their streams have nothing yet. */
  const giveMissed = async (signal: AbortSignal): Promise<void> => {
    if (missed === undefined || at === undefined) return;
    const { from, pmids } = missed;
    const only = new Set([...pmids].filter((pmid) => catalog.descs.has(pmid)));
    if (only.size === 0) return;
    const cursor = new ArchiveCursor(archive);
    try {
      if (cursor.resume(from))
        for (let next = step(cursor); next !== undefined; next = step(cursor)) {
          if ("damage" in next) throw next.damage;
          if (next.result !== undefined) await followed.data(next.result, only);
          if (isBehind(cursor.place, at)) break;
          signal.throwIfAborted();
        }
    } finally {
      cursor.close();
    }
    await followed.settle();
    const rest = new Set([...pmids].filter((pmid) => !only.has(pmid)));
    missed = rest.size === 0 ? undefined : { from, pmids: rest };
  };

  return {
    get memory() {
      return archive.metaEnd + followed.widest * INSTANCE_BYTES;
    },
    get excluded() {
      return followed.excluded;
    },
    async advance(listings, counts, reached, signal) {
      archive.files = findArchive(path, listings);
      // Metadata are written before the data that need them: what comes later waits for the next call.
      const end = dataEnd(archive);
      const isLater = ({ volume, offset }: CursorPlace): boolean =>
        volume === end.volume && offset >= end.offset;
      const metaBefore = archive.metaEnd;
      const partial = await readMetadataFile(archive, followed, server.hasSearch, signal);
      counts.bytes += archive.metaEnd - metaBefore;
      if (!partial) await giveMissed(signal);
      const cursor = new ArchiveCursor(archive);
      let given = followed.values;
      const settle = async (): Promise<void> => {
        await followed.settle();
        counts.values += followed.values - given;
        given = followed.values;
        at = cursor.place;
        reached({ at, missed });
      };
      try {
        enter(cursor);
        // Its place counts: data that come before the rest of the metadata are not passed over.
        if (partial) return await settle();
        for (let read = 0; ;) {
          if (read % RECORDS_TO_LOCK === 0 && isLocked(dirname(path))) break;
          const from = cursor.place;
          const next = isLater(from) ? undefined : step(cursor);
          if (next === undefined) break;
          if ("damage" in next) {
            // What came before it counts.
            await settle();
            throw next.damage;
          }
          read++;
          counts.records++;
          counts.bytes += cursor.record.length;
          if (next.result !== undefined) await followed.data(next.result);
          note(from);
          if (read % RECORDS_TO_SETTLE === 0) await settle();
          signal.throwIfAborted();
        }
        await settle();
      } finally {
        cursor.close();
      }
    },
  };
}

/** The next record: its values, none for a mark; or what is wrong with it; undefined at the end. */
type Step = { readonly result: ResultView | undefined } | { readonly damage: PcpError } | undefined;

/** A record is checked whole before anything of it is written. */
function step(cursor: ArchiveCursor): Step {
  try {
    if (!cursor.next()) return undefined;
    return { result: cursor.record.numpmid > 0 ? cursor.record.result() : undefined };
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
    return { damage: error };
  }
}
