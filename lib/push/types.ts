// What receiving pushed archives takes and gives (spec webapi.md 18). Data and shapes only.
import type { ArchiveLabel } from "../archive/mod.ts";
import type { Log } from "../base/mod.ts";

/** What may be changed while the server runs; asked for at each request. */
export interface PushSettings {
  /** Whether archives are taken at all; otherwise every request is answered 500. */
  readonly enabled: boolean;
  /** Whether requests must carry Basic credentials that pmcd takes. */
  readonly authenticate: boolean;
  /** No files: what is pushed goes to the feed only. */
  readonly cached: boolean;
  /**
   * Milliseconds within which data that were acknowledged are made safe from a power cut, all files
   * together; 0: before they are acknowledged; -1: that is left to the system. Whatever it says, they
   * are in the files (safe from the end of this process) before they are acknowledged.
   */
  readonly syncMs: number;
  /** Archives that are being pushed at the same time. */
  readonly archives: number;
  /** Longest body, bytes. */
  readonly bodyBytes: number;
  /** Room on the disk, bytes, that must be left after a write. */
  readonly freeBytes: number;
  /** Days after the last write after which an archive is removed; 0: never. */
  readonly keepDays: number;
  /** Bytes of all archives in the directory; beyond that the oldest are removed. 0: no bound. */
  readonly keepBytes: number;
  /** Time between two looks for archives that are past their time, milliseconds. */
  readonly workMs: number;
  /** Life of an archive without requests where its logger does not say, milliseconds. */
  readonly timeoutMs: number;
}

export const DEFAULT_PUSH_SETTINGS: PushSettings = {
  enabled: true,
  authenticate: false,
  cached: false,
  syncMs: 1000,
  archives: 4096,
  bodyBytes: 10 * 1024 * 1024 - 1,
  freeBytes: 64 * 1024 * 1024,
  keepDays: 0,
  keepBytes: 0,
  workMs: 2_000,
  timeoutMs: 600_000,
};

/** Takes the records of one archive as they come, one call at a time. */
export interface PushStream {
  /** Metadata records. */
  meta(bytes: Uint8Array): Promise<void>;
  /** Records of the data volumes. */
  data(bytes: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

/** Takes archives for which there may be no files. */
export interface PushFeed {
  /** `name`: HOST/BASE, or the path of its files without suffix where there are some. */
  open(archive: { readonly name: string; readonly label: ArchiveLabel }): PushStream;
}

/** What createPush takes. */
export interface PushOptions {
  /** Archives go to DIRECTORY/HOST; made at the first push. */
  readonly directory: string;
  readonly settings?: () => Partial<PushSettings>;
  readonly log: Pick<Log, "write">;
  /** Where records go as they come; `cached` needs it. */
  readonly feed?: PushFeed;
  /** Hears the path without suffix of each archive that got its first data. */
  readonly onArchive?: (base: string) => void;
  /** Milliseconds of a clock that never goes back. */
  readonly now?: () => number;
  /** Milliseconds between two looks for archives that are not to be kept; ten minutes by default. */
  readonly tidyMs?: number;
}

/** The part of an archive that a body is for: `volume` the number of a data volume. */
export type PushTarget =
  { readonly kind: "meta" | "index" } | { readonly kind: "volume"; readonly volume: number };

/** HTTP status of a refusal (spec webapi.md 18); 503: too many archives, or the end is near. */
export type PushRefusal = 400 | 403 | 409 | 410 | 422 | 500 | 503;

/** How a label was taken. */
export type LabelOutcome =
  { readonly status: 200; readonly archive: number } | { readonly status: PushRefusal };

/** What is told in /-/status; members may come, none goes. */
export interface PushStatus {
  readonly directory: string;
  readonly cached: boolean;
  /** Archives being pushed now, and their limit. */
  readonly archives: number;
  readonly limit: number;
  /** Since the start: archives begun, bodies and bytes taken, requests refused. */
  readonly begun: number;
  readonly bodies: number;
  readonly bytes: number;
  readonly refused: number;
  /** Archives removed since the start, for their age or for room. */
  readonly removed: number;
}

/** Archives that loggers push. */
export interface Push {
  readonly settings: () => PushSettings;
  /** Begins an archive. `lifeMs`: how long it lives without requests; undefined: as configured. */
  label(bytes: Uint8Array, lifeMs: number | undefined): Promise<LabelOutcome>;
  /**
   * Appends a body to a part of an archive; 200 when it is there: at once where it is small. The bytes
   * are not kept beyond the answer.
   */
  append(
    archive: number,
    target: PushTarget,
    bytes: Uint8Array,
  ): 200 | PushRefusal | Promise<200 | PushRefusal>;
  /** Notes a request that was refused before it came here. */
  refused(): void;
  status(): PushStatus;
  /** Drops all archives, so that their loggers begin new ones (SIGHUP). */
  reset(): void;
  /** Waits for what is under way and makes it durable; later requests get 503. */
  close(): Promise<void>;
}
