// What recording takes and gives. Data and shapes only.
import type { Log } from "../base/mod.ts";
import type { Context } from "../context/mod.ts";

/** How often a metric is recorded: once an archive, at each interval, or at most once a minute. */
export type Pace = "once" | "fast" | "slow";

/** A metric, or a subtree of the name space, that is wanted. */
export interface WantedMetric {
  readonly name: string;
  readonly pace: Pace;
}

/** A clock that tests may turn. */
export interface RecorderClock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Resolves after so many milliseconds, at once when `signal` is aborted. */
  sleep(milliseconds: number, signal: AbortSignal): Promise<void>;
}

/** What startRecorder takes. */
export interface RecorderOptions {
  /** Where the archives go; made if need be. One recorder at a time has it. */
  readonly directory: string;
  /** Opens what is recorded; asked again after each loss, and now and then while it stands in. */
  readonly open: () => Promise<Context>;
  readonly log: Pick<Log, "write">;
  /** Seconds between two records; 10 by default. */
  readonly intervalSeconds?: number;
  /** Names of metrics and subtrees, at each interval; the usual list when empty or left out. */
  readonly metrics?: readonly string[];
  /** Days after which an archive is removed; 14 by default. */
  readonly keepDays?: number;
  /** Bytes of all archives together; 1 GiB by default. */
  readonly keepBytes?: number;
  /** Room on the disk, bytes, that is left for others; 64 MiB by default. */
  readonly freeBytes?: number;
  /** Compress archives when they are ended (gzip). */
  readonly compress?: boolean;
  /** Make each record durable when it is written; by default so. */
  readonly sync?: boolean;
  /** Why nothing is to be recorded now; undefined: it is. Asked once a minute. */
  readonly standBy?: () => Promise<string | undefined>;
  /** Hears the path without suffix of each archive that can be opened from now on. */
  readonly onArchive?: (base: string) => void;
  readonly clock?: RecorderClock;
}

/**
 * - `recording`
 * - `standing by`: somebody else records
 * - `waiting`: nothing answers that could be recorded
 * - `full`: there is no room
 * - `locked`: another recorder has the directory
 * - `failed`: the directory cannot be used
 * - `closed`
 */
export type RecorderState =
  "recording" | "standing by" | "waiting" | "full" | "locked" | "failed" | "closed";

/** What is told in /-/status; members may come, none goes. */
export interface RecorderStatus {
  readonly directory: string;
  readonly state: RecorderState;
  /** Why it is in this state. */
  readonly reason?: string;
  /** Path without suffix of the archive that is being written. */
  readonly archive?: string;
  readonly metrics: number;
  /** Since the start: records written, archives begun, archives removed for age or room. */
  readonly records: number;
  readonly archives: number;
  readonly removed: number;
}

/** A recorder that runs until it is closed. */
export interface Recorder {
  status(): RecorderStatus;
  /** Ends the archive and waits for that. */
  close(): Promise<void>;
}
