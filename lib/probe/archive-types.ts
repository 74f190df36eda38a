// What archiveReport finds out about archives, as plain data that JSON can carry: no bigint, no Map,
// no bytes. Times are {sec, nsec} since 1970 UTC, durations are seconds as a number, codes are
// negative PM_ERR or -errno. What is not known is null, so that it stays in JSON.
import type { ArchiveLabel, RecordKind } from "../archive/mod.ts";
import type { Timestamp } from "../pcp/mod.ts";

/** An error of a call, as a tool would print it. */
export interface ReportError {
  readonly code: number;
  /** pmErrStr of the current release. */
  readonly text: string;
  /** What it is about and why, in a sentence. */
  readonly message: string;
}

/** Damage met in a file. Reading went on with everything else. */
export interface Damage {
  readonly file: string;
  /** Of the record, in the (decompressed) file; null when the file as a whole is meant. */
  readonly offset: number | null;
  readonly kind: RecordKind | "file";
  readonly reason: string;
  readonly code: number;
  readonly text: string;
}

/** The kinds of file of an archive. */
export type ArchiveFileKind = "metadata" | "index" | "volume";

/** One file of an archive. */
export interface ArchiveFileReport {
  readonly path: string;
  readonly kind: ArchiveFileKind;
  /** Number of a volume; -1 for metadata and -2 for the index, as in their labels. */
  readonly volume: number;
  /** Bytes on disk. */
  readonly bytes: number;
  /** Bytes after decompression as far as they were read; for a plain file those on disk. */
  readonly decodedBytes: number;
  /** ".xz" and the like, null for a plain file. */
  readonly compression: string | null;
  /** Last change, milliseconds since 1970. */
  readonly modified: number;
  /** null when the label cannot be read. */
  readonly label: ArchiveLabel | null;
  /** Data records of a volume (marks included), metadata records, index entries. */
  readonly records: number;
  /** Marks among the records of a volume. */
  readonly marks: number;
  /** Times of the first and last record of a volume or entry of an index; null without. */
  readonly first: Timestamp | null;
  readonly last: Timestamp | null;
  /**
   * Bytes at the end that are no whole record: one that is not complete, or what damage leaves.
   * Of compressed files it is not known, and 0.
   */
  readonly incompleteBytes: number;
  /** Sound records that stand behind damage and were counted from the end of the volume. */
  readonly recordsBehindDamage: number;
}

/** How often something occurs under a name. */
export type Counts = Readonly<Record<string, number>>;

/** What an archive or a set holds. */
export interface ArchiveCounts {
  /** Descriptors. */
  readonly metrics: number;
  /** Names; a metric may have several. */
  readonly names: number;
  /** Metrics by type, semantics: "32-bit unsigned int", "counter". */
  readonly metricsByType: Counts;
  readonly metricsBySemantics: Counts;
  readonly instanceDomains: number;
  /** Different instances of all domains and times. */
  readonly instances: number;
  /** The domain with the most instances of all times; null without any. */
  readonly largestDomain: {
    readonly indom: string;
    readonly instances: number;
    /** Most instances at one time. */
    readonly atOnce: number;
  } | null;
  /** Records of instance domains, and how many of these only tell changes. */
  readonly domainRecords: number;
  readonly domainChanges: number;
  /**
   * Label sets by level: context, domain, indom, cluster, item, instances. Records that repeat the one
   * before are left out, as PCP does.
   */
  readonly labelSets: Counts;
  /** Help texts: "metric one-line", "metric", "domain one-line", "domain". */
  readonly texts: Counts;
  readonly indexEntries: number;
  readonly metadataRecords: number;
  /** Data records without marks. */
  readonly dataRecords: number;
  readonly markRecords: number;
  /** Values of all data records; null unless they were checked. */
  readonly values: number | null;
  /** Bytes of all files on disk, and after decompression. */
  readonly bytes: number;
  readonly decodedBytes: number;
}

/** A prologue or epilogue: what pmlogger says of itself (spec archive.md 4.1). */
export interface LoggerRecord {
  readonly time: Timestamp;
  readonly pid: number;
  readonly host: string;
  readonly port: number;
  /** Base of the archive as the logger knew it. */
  readonly archive: string;
  /** Decimal, since it has 64 bits. */
  readonly pmcdPid: string;
  readonly pmcdSequence: number;
}

/** Records of one number of metrics: as a rule those of one logging interval. */
export interface LoggingGroup {
  readonly metrics: number;
  readonly records: number;
  /** Median of the seconds between them; null below two. */
  readonly interval: number | null;
}

/** A stretch of time without records. */
export interface Gap {
  /** Times of the records before and after. */
  readonly from: Timestamp;
  readonly to: Timestamp;
  readonly seconds: number;
  /** Whether a mark, or the end of a member of a set, stands in it. */
  readonly mark: boolean;
}

/** How records are spread over time. */
export interface Spacing {
  /** Seconds between successive records that are usual; null where there are too few to tell. */
  readonly interval: number | null;
  /** Gaps are longer than this many seconds; null without an interval, and only marks tell gaps. */
  readonly threshold: number | null;
  readonly groups: readonly LoggingGroup[];
  /** The longest gaps in order of time, at most MAX_GAPS. */
  readonly gaps: readonly Gap[];
  readonly gapCount: number;
  /** Seconds in all gaps. */
  readonly gapSeconds: number;
  /** Records that are earlier than the one before. */
  readonly backwards: number;
}

/** Two members of a set of which the first ends after the second starts. */
export interface Overlap {
  readonly earlier: string;
  readonly later: string;
  readonly from: Timestamp;
  readonly to: Timestamp;
  readonly seconds: number;
}

/** Something that is wrong although every record holds. */
export interface Finding {
  /** A word for each sort of finding, see FINDINGS. */
  readonly sort: string;
  readonly file: string;
  /** Of the record in the file, the number of an index entry from 0; null for the file as a whole. */
  readonly offset: number | null;
  /** Of the record; null for records without a time. */
  readonly time: Timestamp | null;
  readonly message: string;
}

/** What is wrong beside damage. */
export interface CheckReport {
  /** The first findings, at most `maxFindings`. */
  readonly findings: readonly Finding[];
  /** Number of all findings by sort. */
  readonly counts: Counts;
}

/** One archive of a set, or the only one. */
export interface MemberReport {
  /** As it was named. */
  readonly name: string;
  /** Directory and base name; null when no file was found. */
  readonly base: string | null;
  /** Why PCP does not open it; null when it does. */
  readonly error: ReportError | null;
  /** Of the lowest volume whose label can be read. */
  readonly label: ArchiveLabel | null;
  readonly files: readonly ArchiveFileReport[];
  /** Label's start, and time of the last sound record. */
  readonly start: Timestamp | null;
  readonly end: Timestamp | null;
  /** Seconds between both. */
  readonly duration: number | null;
  readonly counts: ArchiveCounts;
  readonly prologue: LoggerRecord | null;
  readonly epilogue: LoggerRecord | null;
  readonly spacing: Spacing;
  /** Times of the first marks, at most MAX_MARKS. */
  readonly marks: readonly Timestamp[];
  /** Numbers of volumes that are missing below the highest, at most MAX_MISSING. */
  readonly missingVolumes: readonly number[];
  /** The first damage, at most MAX_DAMAGE, and the number of all. */
  readonly damage: readonly Damage[];
  readonly damageCount: number;
  /** Whether it is read as one that is still written, so that incomplete ends are no damage. */
  readonly growing: boolean;
  /** Of the files and the index always, of metadata and values when these were checked. */
  readonly check: CheckReport;
}

/** Records over time, in equal steps from the first time to the last: what a picture is made of. */
export interface Density {
  readonly from: Timestamp;
  /** Seconds of a step. */
  readonly step: number;
  /**
   * Data records of each step. A record counts for the time since the one before of its logging
   * group, so these are fractions, next to nothing for the first record after a mark.
   */
  readonly records: readonly number[];
  /** Marks of each step, those between members of a set included. */
  readonly marks: readonly number[];
  /** Times at which a volume or a member begins, first ones excluded. */
  readonly volumeBorders: readonly Timestamp[];
  readonly memberBorders: readonly Timestamp[];
}

/** What archiveReport gives. */
export interface ArchiveReport {
  /** As the user named it: a name, a directory, a comma list. */
  readonly name: string;
  /** The error that pmNewContext gives; null when it opens. */
  readonly error: ReportError | null;
  /** What PCP warns of: members that it leaves out. */
  readonly warnings: readonly string[];
  /** In order of their starts; those that cannot be opened are last. */
  readonly members: readonly MemberReport[];
  /** First start and last end of the members that open. */
  readonly start: Timestamp | null;
  readonly end: Timestamp | null;
  readonly duration: number | null;
  /** Different hosts, time zones and zoneinfo texts of the labels. */
  readonly hosts: readonly string[];
  readonly timezones: readonly string[];
  readonly zoneinfos: readonly string[];
  /** Of all members together; what several have is counted once. */
  readonly counts: ArchiveCounts;
  readonly overlaps: readonly Overlap[];
  /** Gaps of all members and between members. */
  readonly gaps: readonly Gap[];
  /** All damage of all members. */
  readonly damage: readonly Damage[];
  /** null when there is no record. */
  readonly density: Density | null;
}

/** How much is looked at. */
export interface ArchiveReportOptions {
  /** The archive may still be written: what is incomplete at an end is not there yet. */
  readonly growing?: boolean;
  /** Check every value set instead of the frames of the records alone. */
  readonly check?: boolean;
  /** Findings of a check that are kept (default 100). */
  readonly maxFindings?: number;
  /** A gap is longer than this many usual intervals (default 3). */
  readonly gapFactor?: number;
}
