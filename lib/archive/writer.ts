// Writes archives of versions 2 and 3 (spec archive.md 4): results with their metadata before them, the
// temporal index at pmlogger's cadence, volumes switched before they grow too large. Nothing has a
// final name before everything is on the disk; after an error, or abort, nothing stays. Refused: time
// that goes back, metrics that were not described, records of the other version, offsets over 2^31-1
// in version 2 (-E2BIG).
import { PM_ERR, PcpError } from "../base/mod.ts";
import {
  type Desc,
  type Indom,
  pmIDStr,
  type ResultInit,
  ResultView,
  type Timestamp,
} from "../pcp/mod.ts";
import { decodeData, encodeData, encodeMark, encodeResult } from "./data.ts";
import { archiveError, type RecordKind } from "./fault.ts";
import type { TextRecord } from "./helptext.ts";
import { type ArchiveLabel, encodeLabel, INDEX_VOLUME, labelBytes, META_VOLUME } from "./label.ts";
import type { ArchiveLabelSet } from "./labelset.ts";
import { META_TYPE } from "./frame.ts";
import { decodeMeta, encodeMeta, metaType } from "./meta.ts";
import { encodeIndexEntry, MAX_V2_OFFSET } from "./temporal.ts";
import { type ArchiveVersion, compareTimes } from "./timestamp.ts";
import { type OutputFile, OutputFiles } from "./writer-files.ts";
import { loggerMetrics, loggerResult, type LoggerState } from "./writer-logger.ts";
import { WriterMetadata } from "./writer-metadata.ts";

/** Data bytes after an index entry from which on the next result gets one. */
const INDEX_BYTES = 100_000;
/** Types of metadata records that version 2 alone has. */
const FOR_V2: ReadonlySet<number> = new Set([META_TYPE.INDOM_V2, META_TYPE.LABEL_V2]);
const EINVAL = -22;
const E2BIG = -7;

/** What the labels of an archive say, but for the volume. */
export type WriterLabel = Omit<ArchiveLabel, "volume" | "start" | "features"> & {
  /** Time of the first record when left out. */
  readonly start?: Timestamp;
  readonly features?: number;
};

/** How an archive is written. */
export interface WriterOptions {
  /** Directory and base name. */
  readonly base: string;
  readonly label: WriterLabel;
  /** Largest size of a volume in bytes; in version 2 never over 2^31-1, in version 3 none if left out. */
  readonly maxVolumeBytes?: number;
  /** Where its files go; without it they get their names together at the end. */
  readonly outputs?: ArchiveOutputs;
}

/** What was written. */
export interface WrittenArchive {
  readonly records: number;
  readonly marks: number;
  readonly volumes: number;
  /** Times of the first and the last record; undefined without records. */
  readonly start: Timestamp | undefined;
  readonly end: Timestamp | undefined;
}

/** A result in any of its forms: a record of the archive's own version, or one to be encoded. */
export type WritableResult = Uint8Array | ResultView | ResultInit;

/** A file of an archive as the writer sees it. */
export type ArchiveOutput = Pick<
  OutputFile,
  "length" | "final" | "put" | "replaceStart" | "finish"
>;

/** What the writer does with the files of an archive; see OutputFiles. */
export interface ArchiveOutputs {
  create(ending: string): ArchiveOutput;
  /** The archive is complete. */
  publish(meta: ArchiveOutput): void;
  discard(): void;
}

interface Files {
  readonly meta: ArchiveOutput;
  readonly index: ArchiveOutput;
  volume: ArchiveOutput;
}

/** An archive being written; all or nothing: end with `finish` or `abort`. */
export class ArchiveWriter {
  readonly version: ArchiveVersion;
  private readonly outputs: ArchiveOutputs;
  private readonly metadata: WriterMetadata;
  private files: Files | undefined;
  private readonly maxVolumeBytes: number;
  private failure: PcpError | undefined;
  private ended = false;
  private start: Timestamp | undefined;
  private first: Timestamp | undefined;
  private last: Timestamp | undefined;
  /** Offset of the last record in its volume. */
  private lastOffset = 0;
  private records = 0;
  private marks = 0;
  private volume = 0;
  private volumeRecords = 0;
  /** A volume without a record would be refused by readers, so it is made with its first one. */
  private switchWanted = false;
  /** End of the metadata before those of the next result. */
  private metaMark: number;
  private indexed: { readonly timestamp: Timestamp; readonly volume: number } | undefined;
  private indexAt = 0;

  /** Throws -EEXIST when files of this archive are there, PM_ERR_TOOBIG for a label that does not fit. */
  constructor(private readonly options: WriterOptions) {
    const { version, start } = options.label;
    this.version = version;
    this.start = start;
    this.metaMark = labelBytes(version);
    const most = version === 2 ? MAX_V2_OFFSET : Number.MAX_SAFE_INTEGER;
    this.maxVolumeBytes = Math.min(options.maxVolumeBytes ?? most, most);
    encodeLabel(this.labelFor(0)); // refuses what does not fit before there is anything
    this.outputs = options.outputs ?? new OutputFiles(options.base);
    this.metadata = new WriterMetadata(version, (bytes) => this.putMeta(bytes));
  }

  /** Tells a metric with its names; written before the first result that has it. */
  describe(desc: Desc, names: readonly string[]): void {
    if (names.length === 0) {
      // Readers of PCP do not cope with a descriptor that has no name.
      throw new PcpError(PM_ERR.NAME, `metric ${pmIDStr(desc.pmid)} has no name`);
    }
    this.metadata.describe(desc, names);
  }

  /**
   * Tells the instances that a domain has from now on; written before the next result that has the
   * domain, in full or as changes. A domain without instances is not written.
   */
  setInstances(indom: Indom, instances: Iterable<readonly [inst: number, name: string]>): void {
    this.metadata.setInstances(indom, instances);
  }

  /** Tells the label sets of a level (PM_LABEL) and identifier; written before the next use of it. */
  setLabels(type: number, ident: number, sets: readonly ArchiveLabelSet[]): void {
    this.metadata.setLabels(type, ident, sets);
  }

  /** Tells a help text; written before the first result that has its metric or domain. */
  setText(record: TextRecord): void {
    this.metadata.setText(record);
  }

  /**
   * Writes a metadata record of either version now, with its own time: for copying archives. What it
   * says is not written again for results.
   */
  copyMeta(bytes: Uint8Array): void {
    const read = decodeMeta(bytes);
    const type = metaType(bytes);
    // Version 2 has no changes of instances, so all of them are written.
    const whole = this.version === 2 && read.kind === "indom" && read.delta;
    const record = whole ? this.metadata.whole(read) : read;
    const foreign = this.version === 2 ? type > META_TYPE.TEXT : FOR_V2.has(type);
    // Bytes that fit are not made anew, so that texts of any encoding stay as they are.
    const own = foreign ? encodeMeta(this.version, record) : bytes;
    this.guarded(() => {
      this.metadata.note(record, own);
      this.putMeta(own);
    });
  }

  /** Appends a result, which must not be earlier than the one before; returns its record's length. */
  append(result: WritableResult): number {
    const bytes = this.encoded(result);
    const view = decodeData(bytes, this.version);
    this.checkTime(view.timestamp);
    this.metadata.check(view);
    return this.guarded(() => {
      this.begin(view.timestamp);
      this.makeRoom(bytes.length);
      const metaMark = this.metaMark;
      this.metadata.before(view, view.timestamp);
      this.putData(bytes, view, metaMark);
      return bytes.length;
    });
  }

  /** Appends a mark: what comes before it and after it is not one stream of values. */
  mark(timestamp: Timestamp): void {
    this.append(encodeMark(this.version, timestamp));
  }

  /**
   * Appends the record that a logger begins and ends an archive with, and tells its metadata. The one
   * at the end is the prologue's later brother: same metrics, time of the last fetch or 1 ms more.
   */
  appendLogger(timestamp: Timestamp, logger: LoggerState): void {
    const { metrics, indom } = loggerMetrics();
    for (const { desc, names } of metrics) this.metadata.describe(desc, names);
    this.metadata.setInstances(indom, [[logger.pid, String(logger.pid)]]);
    this.append(loggerResult(timestamp, logger));
  }

  /** Lets the next record go to a new volume; nothing when this one has no record yet. */
  switchVolume(): void {
    this.switchWanted = this.volumeRecords > 0;
  }

  /**
   * Adds the last index entry, makes everything durable and gives the files their names. Throws
   * PM_ERR_NODATA when no result was written.
   */
  finish(): WrittenArchive {
    return this.guarded(() => {
      const { files, last } = this;
      if (files === undefined || last === undefined) {
        throw new PcpError(PM_ERR.NODATA, `${this.options.base}: no result to write`);
      }
      this.putIndex(last, files.meta.length, this.lastOffset);
      files.meta.replaceStart(encodeLabel(this.labelFor(META_VOLUME)));
      files.index.replaceStart(encodeLabel(this.labelFor(INDEX_VOLUME)));
      this.outputs.publish(files.meta);
      this.ended = true;
      const { records, marks, first } = this;
      return { records, marks, volumes: this.volume + 1, start: first, end: last };
    });
  }

  /** Gives up: closes and removes everything. May be called at any time, also after finish. */
  abort(): void {
    if (this.ended) return;
    this.ended = true;
    this.outputs.discard();
  }

  /** Runs what writes; after any error nothing of the archive stays, and later calls throw it again. */
  private guarded<T>(body: () => T): T {
    if (this.failure !== undefined) throw this.failure;
    if (this.ended) throw new PcpError(EINVAL, `${this.options.base}: the archive is ended`);
    try {
      return body();
    } catch (error) {
      if (error instanceof PcpError) this.failure = error;
      this.abort();
      throw error;
    }
  }

  private labelFor(volume: number): ArchiveLabel {
    const { label } = this.options;
    const start = this.start ?? { sec: 0, nsec: 0 };
    return { ...label, start, volume, features: label.features ?? 0 };
  }

  private encoded(result: WritableResult): Uint8Array {
    if (result instanceof Uint8Array) return result;
    return result instanceof ResultView
      ? encodeData(this.version, result)
      : encodeResult(this.version, result);
  }

  private checkTime(timestamp: Timestamp): void {
    const { last } = this;
    if (last === undefined || compareTimes(timestamp, last) >= 0) return;
    const text = ({ sec, nsec }: Timestamp): string => `${sec}.${String(nsec).padStart(9, "0")}`;
    throw new PcpError(
      EINVAL,
      `${this.options.base}: a result of ${text(timestamp)} after one of ${text(last)}`,
    );
  }

  /** Creates the files, before anything is put into them. */
  private open(): Files {
    if (this.files !== undefined) return this.files;
    const index = this.outputs.create("index");
    const meta = this.outputs.create("meta");
    const volume = this.outputs.create("0");
    // The start may not be known yet; these two labels are written again at the end.
    index.put(encodeLabel(this.labelFor(INDEX_VOLUME)));
    meta.put(encodeLabel(this.labelFor(META_VOLUME)));
    this.files = { index, meta, volume };
    return this.files;
  }

  private begin(timestamp: Timestamp): void {
    const files = this.open();
    this.start ??= timestamp;
    this.first ??= timestamp;
    if (files.volume.length === 0) files.volume.put(encodeLabel(this.labelFor(this.volume)));
  }

  private makeRoom(length: number): void {
    const { volume } = this.open();
    const full = this.volumeRecords > 0 && volume.length + length > this.maxVolumeBytes;
    if (full || this.switchWanted) this.nextVolume();
    else if (this.version === 2) this.refuseOver(volume, length, "data record");
  }

  private nextVolume(): void {
    const files = this.open();
    files.volume.finish();
    this.volume++;
    files.volume = this.outputs.create(String(this.volume));
    files.volume.put(encodeLabel(this.labelFor(this.volume)));
    this.volumeRecords = 0;
    this.switchWanted = false;
  }

  private putMeta(bytes: Uint8Array): void {
    const { meta } = this.open();
    if (this.version === 2) this.refuseOver(meta, bytes.length, "metadata record");
    meta.put(bytes);
  }

  private refuseOver(file: ArchiveOutput, length: number, kind: RecordKind): void {
    if (file.length + length <= MAX_V2_OFFSET) return;
    const place = { file: file.final, offset: file.length };
    throw archiveError(E2BIG, kind, place, `${length} bytes more do not fit version 2`);
  }

  private putData(bytes: Uint8Array, view: ResultView, metaMark: number): void {
    const files = this.open();
    const { timestamp } = view;
    const offset = files.volume.length;
    files.volume.put(bytes);
    const due = this.volumeRecords === 0 || this.metadata.indomWritten || offset >= this.indexAt;
    if (due) this.putIndex(timestamp, metaMark, offset);
    this.metadata.indomWritten = false;
    this.metaMark = files.meta.length;
    this.last = timestamp;
    this.lastOffset = offset;
    this.volumeRecords++;
    this.records++;
    if (view.numpmid === 0) this.marks++;
  }

  /** Adds an index entry unless the last one has the same time in the same volume. */
  private putIndex(timestamp: Timestamp, metaOffset: number, dataOffset: number): void {
    const { volume, indexed } = this;
    this.indexAt = dataOffset + INDEX_BYTES;
    if (indexed?.volume === volume && compareTimes(indexed.timestamp, timestamp) === 0) return;
    const entry = { timestamp, volume, metaOffset, dataOffset };
    this.open().index.put(encodeIndexEntry(this.version, entry));
    this.indexed = { timestamp, volume };
  }
}
