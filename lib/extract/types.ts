// What goes into the engine of extraction and what comes out of it (spec extract.md): plain data, no
// behaviour. Argument texts are read by the caller, but times, which need the inputs to be read.
import type { ArchiveVersion } from "../archive/mod.ts";
import type { Instant, Pmid } from "../pcp/mod.ts";

/** One spec of a configuration file: `name` or `name [instance ...]`. */
export interface MetricRequest {
  /** A leaf or a branch of the name space. */
  readonly name: string;
  /**
   * Internal identifiers as numbers, external names as strings, in the order of the file, repetitions
   * included; undefined for a spec without brackets.
   */
  readonly instances?: readonly (number | string)[] | undefined;
  /** The line that warnings about this spec name (spec extract.md 4.2). */
  readonly line: number;
}

/** A parsed configuration file. */
export interface Selection {
  /** As the user named it, for warnings. */
  readonly file: string;
  /** The specs before the end of the file or before the first error. */
  readonly requests: readonly MetricRequest[];
  /**
   * What ends the run after the warnings about `requests`: the whole text for stderr, its last
   * newline included, and the exit status.
   */
  readonly failure?: { readonly text: string; readonly status: 1 | 2 } | undefined;
}

/** When a new volume begins (spec extract.md 11.1). */
export interface VolumeRule {
  /** Data records, bytes of a volume, or seconds of data. */
  readonly kind: "records" | "bytes" | "seconds";
  readonly limit: number;
}

/** How the files of the output are compressed. */
export type Compression = "gzip" | "xz" | "zstd";

/** Which zone -S, -T and messages use: the local one, that of the first input, or one by name. */
export type ZoneChoice =
  | { readonly kind: "local" }
  | { readonly kind: "host" }
  | { readonly kind: "named"; readonly name: string };

/** One run. Everything but the first two is optional; what is left out is as in the C program. */
export interface ExtractJob {
  /** Archives by any of their names, directories, comma lists, in command line order. */
  readonly inputs: readonly string[];
  /** Directory and base name of the archive to make. */
  readonly output: string;
  /** -c */
  readonly selection?: Selection | undefined;
  /** -S and -T, as typed. */
  readonly start?: string | undefined;
  readonly finish?: string | undefined;
  /** -z, -Z; local when left out. */
  readonly zone?: ZoneChoice | undefined;
  /** -s: data records that are written at most, marks included; 0 writes nothing. */
  readonly samples?: number | undefined;
  /** -v */
  readonly volume?: VolumeRule | undefined;
  /** Bytes of a volume of version 2 at most; what its index can speak of when left out. */
  readonly largestVolume?: number | undefined;
  /** -V */
  readonly version?: ArchiveVersion | undefined;
  /** -m: always a mark between inputs. */
  readonly alwaysMark?: boolean | undefined;
  /** -w: the window repeats every 24 hours. The caller has checked that both -S and -T are there. */
  readonly daily?: boolean | undefined;
  /** -x: leave metrics with inconsistent metadata out. */
  readonly skipConflicts?: boolean | undefined;
  /** End at the first inconsistency, as the C program does, instead of telling of all. */
  readonly firstConflictOnly?: boolean | undefined;
  /** -d: keep the output after a fatal error. */
  readonly desperate?: boolean | undefined;
  /** -f: time zone of the first input. */
  readonly firstTimezone?: boolean | undefined;
  /** Say before each new volume why there is one (-D appl5). */
  readonly explainVolumes?: boolean | undefined;
  /** Do everything but write. */
  readonly dryRun?: boolean | undefined;
  readonly compress?: Compression | undefined;
  /** Processors that compression may use; 1 when left out. */
  readonly jobs?: number | undefined;
  /** Bytes that gzip and zstd compress together; what suits the number of jobs when left out. */
  readonly compressBlock?: number | undefined;
  /** For the local zone (TZ); that of the process when left out. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
  /** Process id in the labels; that of the process when left out. */
  readonly pid?: number | undefined;
  /** The present, for -S and -T; that of the system when left out. */
  readonly now?: Instant | undefined;
}

/**
 * Where a text goes: "notice" is stderr or the file of PCP_STDERR (messages about the creation of
 * files, spec extract.md 1.1).
 */
export type Stream = "stderr" | "stdout" | "notice";

/** How far a run has come. */
export interface ExtractProgress {
  /** Bytes of data volumes read so far, and in all (of compressed files: as they are stored). */
  readonly bytesRead: number;
  readonly bytesTotal: number;
  /** Data records written so far, marks included. */
  readonly records: number;
  readonly seconds: number;
}

/** What the caller hears during a run. */
export interface ExtractHooks {
  /** Whole lines, program name and newlines included, as the C program prints them. */
  readonly say: (text: string, stream: Stream) => void;
  /** Called a few times a second. */
  readonly progress?: ((progress: ExtractProgress) => void) | undefined;
  /** Asked a few times a second; true ends the run, and nothing of the output stays. */
  readonly cancelled?: (() => boolean) | undefined;
}

/** What became of one input archive. */
export interface InputSummary {
  readonly name: string;
  readonly version: ArchiveVersion;
  readonly host: string;
  readonly start: Instant;
  /** Undefined: not found (only with `desperate`). */
  readonly end: Instant | undefined;
  /** Data records read, marks included. */
  readonly records: number;
  /** Bytes of its data volumes as they are stored. */
  readonly bytes: number;
  /** It was cut short by damage. */
  readonly damaged: boolean;
}

/** The outcome of a run. With another status than 0 there is no output, but for `desperate`. */
export interface ExtractSummary {
  readonly status: 0 | 1 | 2;
  readonly output: string;
  readonly version: ArchiveVersion;
  /** Inputs that were not empty, in order. */
  readonly inputs: readonly InputSummary[];
  /** Names of inputs that were skipped since they are empty. */
  readonly empty: readonly string[];
  /** What -S and -T came to. */
  readonly window: { readonly start?: Instant | undefined; readonly finish?: Instant | undefined };
  /** Metrics with their names whose descriptors are in the output. */
  readonly metrics: readonly { readonly pmid: Pmid; readonly names: readonly string[] }[];
  /** PMIDs that `skipConflicts` left out. */
  readonly dropped: readonly Pmid[];
  /** Data records written, marks included. */
  readonly records: number;
  readonly marks: number;
  readonly volumes: number;
  /** Times of the first and the last record written. */
  readonly start?: Instant | undefined;
  readonly end?: Instant | undefined;
  /** Sizes before compression: data volumes, metadata, temporal index. */
  readonly bytes: { readonly data: number; readonly meta: number; readonly index: number };
  readonly seconds: number;
}
