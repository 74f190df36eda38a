// Discovery as others see it: what is followed, who is told what, what is said of it. Shapes only.

/** One sentence for the log. */
export type DiscoveryLog = (level: "info" | "warning" | "error", text: string) => void;

/** How changes of a directory are noticed. */
export type Watched = "inotify" | "polling" | "missing";

/** Something that cannot be read, and why. */
export interface DiscoveryProblem {
  readonly path: string;
  readonly problem: string;
}

/** Counters of a sink since it began. */
export interface SinkStatus {
  /** Archives that are there now, as far as they were looked at. */
  readonly found: number;
  /** How often an archive was read because it is new or has changed. */
  readonly read: number;
  /** Archives that cannot be read. */
  readonly failed: number;
  /** Archives that grew in the last minute. */
  readonly growing: number;
  /** Archives that wait to be read. */
  readonly waiting: number;
  /** Bytes of archive files that were read, about. */
  readonly bytes: number;
  /** Data records that were read; 0 where values stay in the archives. */
  readonly records: number;
  /** Values that were written; 0 where values stay in the archives. */
  readonly values: number;
  /** Metrics that exclusions keep away. */
  readonly excluded: number;
  /** At most PROBLEMS_TOLD of them. */
  readonly problems: readonly DiscoveryProblem[];
}

/** Where archives go that are discovered. Calls of `visit` come one at a time. */
export interface ArchiveSink {
  /** Told once: all directories that are there at the start. Resolves when what it does about them is done. */
  start(folders: readonly string[], signal: AbortSignal): Promise<void>;
  /** Something in a directory, not below it, has changed, or the directory has gone. */
  visit(folder: string, signal: AbortSignal): Promise<void>;
  status(): SinkStatus;
  close(): Promise<void>;
}

/** What is discovered, and how. */
export interface DiscoveryOptions {
  /** Directories with all below them. Those that are missing are waited for. */
  readonly directories: readonly string[];
  readonly sink: ArchiveSink;
  readonly log?: DiscoveryLog;
  /** `polling`: the system is not asked to tell of changes. Default: it is, where it can. */
  readonly watching?: "inotify" | "polling";
  /** Seconds between two looks where the system does not tell; POLL_SECONDS by default. */
  readonly pollSeconds?: number;
  /** Least milliseconds between two looks at a directory because of changes; LEAST_PAUSE by default. */
  readonly leastPause?: number;
  /** How the system is asked; for tests. Throws what fs.watch throws. */
  readonly watchFolder?: WatchFolder;
}

/** Tells of changes in a directory until it is closed. Throws when it cannot. */
export type WatchFolder = (
  folder: string,
  changed: () => void,
  failed: (error: unknown) => void,
) => { close(): void };

/** Default of `pollSeconds`. */
export const POLL_SECONDS = 10;
/** Default of `leastPause`. */
export const LEAST_PAUSE = 1000;
/** Most problems that a status holds. */
export const PROBLEMS_TOLD = 32;

/** What /-/status shows; members only come. */
export interface DiscoveryStatus {
  readonly directories: readonly { readonly path: string; readonly watched: Watched }[];
  /** Directories that are followed, those below included; how many of them by polling. */
  readonly folders: number;
  readonly polled: number;
  /** Whether the first look is over. */
  readonly complete: boolean;
  /** Directories with changes that were not looked at yet. */
  readonly pending: number;
  /** Milliseconds since 1970 of the last change that was noticed. */
  readonly lastEvent: number | undefined;
  readonly archives: Omit<SinkStatus, "problems">;
  readonly problems: readonly DiscoveryProblem[];
}

/** A discovery that runs. */
export interface Discovery {
  status(): DiscoveryStatus;
  /** A file, archive or directory below one of the directories has changed: it is looked at now. */
  nudge(path: string): void;
  /** Ends it, and its sink, after the archive that is being read. */
  close(): Promise<void>;
}
