// What is wrong with the entries of a temporal index: order, times, places outside the files. The
// sentences are those of pmdumplog -t. Refuses nothing.
import { type ArchiveFiles, compareTimes, compressionOf, type IndexEntry } from "../archive/mod.ts";
import type { Timestamp } from "../pcp/mod.ts";
import { fileState } from "./file-state.ts";

/** What entries are checked against: sizes of files, infinite for those that do not tell. */
export interface IndexCheck {
  readonly clock: (time: Timestamp) => string;
  readonly meta: number;
  readonly volumes: ReadonlyMap<number, number>;
}

/** One fault of an entry. */
export interface EntryFault {
  readonly sort: "index-time" | "index-order" | "index-place";
  readonly text: string;
}

function sizeOf(path: string): number {
  if (compressionOf(path) !== undefined) return Number.POSITIVE_INFINITY;
  return fileState(path)?.size ?? Number.POSITIVE_INFINITY;
}

/** Seconds since 1970 with all nine digits of the fraction. */
export const timestampText = ({ sec, nsec }: Timestamp): string =>
  `${sec}.${String(nsec).padStart(9, "0")}`;

/** The check for the files of an archive; `clock` makes the times of the sentences. */
export const indexCheck = (
  files: ArchiveFiles,
  clock: (time: Timestamp) => string,
): IndexCheck => ({
  clock,
  meta: sizeOf(files.meta),
  volumes: new Map([...files.volumes].map(([volume, path]) => [volume, sizeOf(path)])),
});

/** What is wrong with an entry that follows `before`. */
export function* entryFaults(
  { clock, meta, volumes }: IndexCheck,
  before: IndexEntry | undefined,
  { timestamp, volume, metaOffset, dataOffset }: IndexEntry,
): Generator<EntryFault> {
  const size = volumes.get(volume);
  if (size === undefined) {
    yield { sort: "index-place", text: `Warning: file missing for log volume ${volume}` };
  }
  const { sec, nsec } = timestamp;
  if (sec < 0 || nsec > 999_999_999) {
    const text = `Error: illegal timestamp value (${sec} sec, ${nsec} nsec)`;
    yield { sort: "index-time", text };
  }
  if (metaOffset > meta) {
    yield { sort: "index-place", text: `Error: offset to meta file past end of file (${meta})` };
  }
  if (size !== undefined && dataOffset > size) {
    yield { sort: "index-place", text: `Error: offset to log file past end of file (${size})` };
  }
  if (before === undefined) return;
  if (compareTimes(before.timestamp, timestamp) > 0) {
    const times = `${clock(before.timestamp)} -> ${clock(timestamp)}`;
    yield { sort: "index-time", text: `Error: timestamp went backwards in time ${times}` };
  }
  if (before.volume > volume) {
    yield { sort: "index-order", text: "Error: volume number decreased" };
  }
  if (before.metaOffset > metaOffset) {
    yield { sort: "index-order", text: "Error: offset to meta file decreased" };
  }
  if (before.volume === volume && before.dataOffset > dataOffset) {
    yield { sort: "index-order", text: "Error: offset to log file decreased" };
  }
}
