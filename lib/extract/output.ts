// The archive that is made (spec extract.md 8, 11 to 14): its three kinds of file, volumes, the temporal
// index. Nothing has a final name before everything is written. Refused with the C program's messages:
// names that are taken, and whatever the system says to writing.
import { accessSync, constants, existsSync } from "node:fs";
import { PcpError } from "../base/mod.ts";
import {
  type ArchiveLabel,
  type ArchiveVersion,
  COMPRESSED_SUFFIXES,
  encodeIndexEntry,
  encodeLabel,
  encodeMark,
  INDEX_VOLUME,
  labelBytes,
  MAX_V2_OFFSET,
  META_VOLUME,
  type OutputFile,
  OutputFiles,
} from "../archive/mod.ts";
import type { PackedFile } from "./compress.ts";
import { clockText, secondsBetween, subtractSpan, type Timestamp, type Zone } from "../pcp/mod.ts";
import { errorText, ExtractStop, PROGRAM } from "./failure.ts";
import type { ExtractHooks, VolumeRule } from "./types.ts";

/** Data bytes after an index entry from which on there is another. */
const INDEX_BYTES = 100_000;
const EXISTS = "File exists";

/** What the labels say, but for start and volume. */
export type OutputLabel = Omit<ArchiveLabel, "start" | "volume" | "features">;

/** How an archive is made. */
export interface OutputOptions {
  /** As the user typed it. */
  readonly name: string;
  readonly volumeRule: VolumeRule | undefined;
  /** Bytes of a volume of version 2 at most: 2^31-1, of which its index can speak, when left out. */
  readonly largestVolume?: number | undefined;
  /** Nothing is written, but everything is counted. */
  readonly dryRun: boolean;
  /** Whether it is said why a volume is full. */
  readonly explainVolumes: boolean;
  /** Of messages. */
  readonly zone: () => Zone;
  /** Data volumes and metadata are not compressed when left out. */
  readonly packing?: Packing | undefined;
}

/** How data volumes and metadata are compressed. */
export interface Packing {
  /** What their names end with. */
  readonly suffix: string;
  readonly pack: (file: OutputFile) => PackedFile;
}

type Target = OutputFile | PackedFile;

interface Files {
  readonly index: OutputFile;
  readonly meta: Target;
  volume: Target;
  /** Volumes that are being compressed although nothing more is put. */
  readonly closing: Set<PackedFile>;
}

const isPacked = (target: Target): target is PackedFile => "file" in target;
const fileOf = (target: Target): OutputFile => (isPacked(target) ? target.file : target);
/** Volumes that may be so at a time. */
const MOST_CLOSING = 2;

const exists = (path: string): boolean => {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch (error) {
    // Not there or not readable: creating it tells.
    return error === undefined;
  }
};

/** An archive being made. */
export class Output {
  readonly counts = { records: 0, marks: 0, data: 0, meta: 0, index: 0, volumes: 1 };
  /** Time of the first record. */
  start: Timestamp | undefined;
  private readonly outputs: OutputFiles | undefined;
  private readonly files: Files | undefined;
  private label: OutputLabel | undefined;
  private volume = 0;
  private volumeBytes = 0;
  private volumeStart: Timestamp | undefined;
  private threshold = INDEX_BYTES;
  private lastPosition = 0;
  private lastEntry: Timestamp | undefined;
  private first = 0;
  private most = 0;
  /** Records that lie one after the other in the bytes of an input, not copied yet. */
  private waiting: Uint8Array | undefined;
  private waitingFrom = 0;
  private waitingTo = 0;
  private abandoned = false;

  /** Creates the files, or says why it cannot and throws ExtractStop. */
  constructor(
    private readonly options: OutputOptions,
    private readonly hooks: ExtractHooks,
  ) {
    const { name, dryRun } = options;
    for (const ending of ["index", "meta", "0"]) {
      this.refuseTaken(`${name}.${ending}`);
      for (const suffix of COMPRESSED_SUFFIXES) {
        const path = `${name}.${ending}${suffix}`;
        if (existsSync(path)) this.refuseTaken(path);
      }
    }
    if (dryRun) return;
    let path = `${name}.index`;
    try {
      this.outputs = new OutputFiles(name, "same");
      const index = this.outputs.create("index");
      path = `${name}.meta`;
      const meta = this.create(this.outputs, "meta");
      path = `${name}.0`;
      const volume = this.create(this.outputs, "0");
      this.files = { index, meta, volume, closing: new Set() };
    } catch (error) {
      this.outputs?.discard();
      const text = errorText(error);
      hooks.say(`__pmLogNewFile: failed to create "${path}": ${text}\n`, "notice");
      throw this.fail(`__pmLogCreate: ${text}`, false);
    }
  }

  private create(outputs: OutputFiles, ending: string): Target {
    const { packing } = this.options;
    if (packing === undefined) return outputs.create(ending);
    return packing.pack(outputs.create(`${ending}${packing.suffix}`));
  }

  private fail(text: string, abandon: boolean): ExtractStop {
    // Of what goes wrong after an error nobody wants to hear.
    if (!this.abandoned) this.hooks.say(`${PROGRAM}: Error: ${text}\n`, "stderr");
    return new ExtractStop(1, abandon);
  }

  private refuseTaken(path: string): void {
    if (!exists(path)) return;
    this.hooks.say(`__pmLogNewFile: "${path}" already exists, not over-written\n`, "notice");
    throw this.fail(`__pmLogCreate: ${EXISTS}`, false);
  }

  /** Writes the labels of index and metadata with a start that `finish` corrects. */
  begin(label: OutputLabel, start: Timestamp): void {
    this.label = label;
    this.first = labelBytes(label.version);
    const { largestVolume = MAX_V2_OFFSET } = this.options;
    this.most = label.version === 2 ? largestVolume : Number.MAX_SAFE_INTEGER;
    this.counts.meta = this.first;
    this.counts.index = this.first;
    this.attempt("pmaPutLog: meta data : ", () => {
      this.files?.index.put(this.labelOf(label, INDEX_VOLUME, start));
      // What is compressed cannot be replaced: its label waits for the right start.
      if (this.options.packing !== undefined) return;
      this.files?.meta.put(this.labelOf(label, META_VOLUME, start));
    });
  }

  private labelOf(label: OutputLabel, volume: number, start: Timestamp): Uint8Array {
    return encodeLabel({ ...label, start, volume, features: 0 });
  }

  private get version(): ArchiveVersion {
    return this.label?.version ?? 3;
  }

  /** Bytes of metadata so far. */
  get metaBytes(): number {
    return this.counts.meta;
  }

  private attempt(what: string, body: () => void): void {
    try {
      body();
    } catch (error) {
      if (error instanceof ExtractStop) throw error;
      throw this.fail(`${what}${errorText(error)}`, true);
    }
  }

  /** Appends a metadata record. */
  putMeta(bytes: Uint8Array): void {
    this.counts.meta += bytes.length;
    if (this.version === 2 && this.counts.meta > MAX_V2_OFFSET) {
      throw this.fail("pmaPutLog: meta data : File too large", true);
    }
    this.attempt("pmaPutLog: meta data : ", () => this.files?.meta.put(bytes));
  }

  private newVolumeDue(length: number, time: Timestamp): boolean {
    const { volumeBytes, options, counts, volumeStart } = this;
    const rule = options.volumeRule;
    const most = rule?.kind === "bytes" ? Math.min(rule.limit, this.most) : this.most;
    if (volumeBytes + length > most) {
      return this.explain(`volume size ${volumeBytes} now, next record ${length} bytes`);
    }
    if (rule?.kind === "records") {
      const due = rule.limit > 0 && counts.records > 0 && counts.records % rule.limit === 0;
      return due && this.explain(`record count ${counts.records}`);
    }
    if (rule?.kind !== "seconds" || volumeStart === undefined) return false;
    if (secondsBetween(time, volumeStart) <= rule.limit) return false;
    const { sec, nsec } = subtractSpan(time, volumeStart);
    const span = `${sec}.${String(nsec).padStart(9, "0")}`;
    return this.explain(`volume timespan after next record ${span} sec`);
  }

  /** Says why there is a new volume, to those who asked for it. */
  private explain(reason: string): true {
    if (this.options.explainVolumes) this.hooks.say(`vol switch ${reason}\n`, "stderr");
    return true;
  }

  private startVolume(): void {
    const { label, start, first } = this;
    if (label === undefined || start === undefined) return;
    this.volumeBytes = first;
    this.counts.data += first;
    this.files?.volume.put(this.labelOf(label, this.volume, start));
  }

  private nextVolume(time: Timestamp): void {
    const { name, zone } = this.options;
    const number = this.volume + 1;
    const path = `${name}.${number}`;
    if (exists(path)) {
      this.hooks.say(`__pmLogNewFile: "${path}" already exists, not over-written\n`, "notice");
      throw this.fail(`volume ${number}: ${EXISTS}`, true);
    }
    this.settle();
    this.attempt(`volume ${number}: `, () => {
      if (this.outputs !== undefined && this.files !== undefined) {
        this.close(this.files.volume, this.files.closing);
        this.files.volume = this.create(this.outputs, String(number));
      }
      this.volume = number;
      this.counts.volumes++;
      this.startVolume();
    });
    this.volumeStart = undefined;
    this.threshold = INDEX_BYTES;
    const clock = clockText(time, zone(), 9);
    this.hooks.say(`${PROGRAM}: New log volume ${number}, at ${clock}\n`, "stderr");
  }

  /** Completes a volume, at once or when it is compressed. */
  private close(volume: Target, closing: Set<PackedFile>): void {
    if (!isPacked(volume)) return volume.finish();
    closing.add(volume);
    const remove = (): void => void closing.delete(volume);
    // One that failed stays, and fails the run.
    volume.ended().then(remove, () => undefined);
  }

  /**
   * Appends the record at `bytes[from, to)`, which may be overwritten after the next `settle`; `time`
   * may change after the call.
   * `metaBefore`: bytes of metadata before those of this record. `due`: it has an index entry.
   */
  record(
    bytes: Uint8Array,
    from: number,
    to: number,
    time: Timestamp,
    metaBefore: number,
    due: boolean,
  ): void {
    if (this.newVolumeDue(to - from, time)) this.nextVolume(time);
    this.volumeStart ??= { sec: time.sec, nsec: time.nsec };
    const position = this.volumeBytes;
    this.append(bytes, from, to);
    const end = this.volumeBytes;
    this.counts.records++;
    // A time of 0 counts as not set.
    const isSet = time.sec !== 0 || time.nsec !== 0;
    if (isSet && (due || position === this.first || end > this.threshold)) {
      this.entry(time, metaBefore, position);
      this.threshold = end + INDEX_BYTES;
      this.lastPosition = end;
    } else {
      this.lastPosition = position;
    }
  }

  /**
   * Bytes of records that can be appended together by `records`: no volume begins with them, and
   * none of them has an index entry but for instances. 0 where each has to be looked at.
   */
  get room(): number {
    if (this.options.volumeRule !== undefined || this.volumeBytes === this.first) return 0;
    return Math.min(this.threshold, this.most) - this.volumeBytes;
  }

  /** Appends `count` records that fit `room`; the last one is `lastLength` bytes long. */
  records(bytes: Uint8Array, from: number, to: number, count: number, lastLength: number): void {
    this.append(bytes, from, to);
    this.counts.records += count;
    this.lastPosition = this.volumeBytes - lastLength;
  }

  /** Takes note of the first record's time, which the labels of all volumes carry. */
  beginData(time: Timestamp): void {
    this.start = time;
    const { label, options } = this;
    if (label !== undefined && options.packing !== undefined) {
      this.attempt("pmaPutLog: meta data : ", () =>
        this.files?.meta.put(this.labelOf(label, META_VOLUME, time)),
      );
    }
    this.attempt("__pmLogPutResult: log data: ", () => this.startVolume());
  }

  /** Appends a mark that neither begins a volume nor has an index entry. */
  mark(time: Timestamp): void {
    const bytes = encodeMark(this.version, time);
    this.append(bytes, 0, bytes.length);
    this.settle();
    this.counts.records++;
    this.counts.marks++;
  }

  private append(bytes: Uint8Array, from: number, to: number): void {
    this.volumeBytes += to - from;
    this.counts.data += to - from;
    if (this.waiting === bytes && this.waitingTo === from) {
      this.waitingTo = to;
      return;
    }
    this.settle();
    this.waiting = bytes;
    this.waitingFrom = from;
    this.waitingTo = to;
  }

  /** Takes over the bytes of the records so far. */
  settle(): void {
    const { waiting, waitingFrom, waitingTo } = this;
    if (waiting === undefined) return;
    this.waiting = undefined;
    try {
      this.files?.volume.put(waiting, waitingFrom, waitingTo);
    } catch (error) {
      throw this.fail(`__pmLogPutResult: log data: ${errorText(error)}`, true);
    }
  }

  /** Appends an index entry; none with the time of the one before. */
  private entry(time: Timestamp, metaOffset: number, dataOffset: number): void {
    const { lastEntry: last } = this;
    if (last?.sec === time.sec && last.nsec === time.nsec) return;
    const timestamp = { sec: time.sec, nsec: time.nsec };
    this.lastEntry = timestamp;
    const bytes = encodeIndexEntry(this.version, {
      timestamp,
      volume: this.volume,
      metaOffset,
      dataOffset,
    });
    this.counts.index += bytes.length;
    this.attempt("__pmLogPutIndex: ", () => this.files?.index.put(bytes));
  }

  /** Writes what is left. `current`: the last record or mark. */
  finish(current: Timestamp): void {
    const { label, start, files } = this;
    this.settle();
    this.entry(current, this.counts.meta, this.lastPosition);
    if (label === undefined || start === undefined) return;
    this.attempt("__pmLogPutResult: log data: ", () => {
      files?.index.replaceStart(this.labelOf(label, INDEX_VOLUME, start));
      if (files === undefined || isPacked(files.meta)) return;
      files.meta.replaceStart(this.labelOf(label, META_VOLUME, start));
    });
  }

  /** Gives the finished files their names. */
  publish(): void {
    const { files, outputs } = this;
    this.attempt("__pmLogPutResult: log data: ", () => {
      if (files !== undefined) outputs?.publish(fileOf(files.meta));
    });
  }

  /** Whether it is time to wait for those who compress. */
  get full(): boolean {
    const { files } = this;
    if (files === undefined || !isPacked(files.volume)) return false;
    const { volume, meta, closing } = files;
    return volume.full || closing.size > MOST_CLOSING || (isPacked(meta) && meta.full);
  }

  /** Resolves when one of them is done with what it is at. */
  async relief(): Promise<void> {
    const { files } = this;
    if (files === undefined || !isPacked(files.volume)) return;
    const { volume, meta, closing } = files;
    if (volume.full) return volume.relief();
    if (closing.size <= MOST_CLOSING) return isPacked(meta) ? meta.relief() : undefined;
    try {
      await Promise.race([...closing].map((each) => each.ended()));
    } catch (error) {
      throw this.fail(`__pmLogPutResult: log data: ${errorText(error)}`, true);
    }
  }

  /** Resolves when everything is compressed; to be awaited before `finish`. */
  async complete(): Promise<void> {
    this.settle();
    const { files } = this;
    if (files === undefined) return;
    try {
      for (const target of [...files.closing, files.volume, files.meta]) {
        if (isPacked(target)) await target.ended();
      }
    } catch (error) {
      const text = error instanceof PcpError ? error.message : errorText(error);
      throw this.fail(`compression: ${text}`, true);
    }
  }

  /** Gives up: nothing stays, or with `keep` what there is under the names that it was to have. */
  async abandon(keep: boolean): Promise<void> {
    this.abandoned = true;
    const { files, outputs } = this;
    if (files === undefined || outputs === undefined) return;
    if (keep) {
      try {
        await this.complete();
        return outputs.salvage(fileOf(files.meta));
      } catch (error) {
        // The error that ended the run was said; what is not compressed can be kept for all that.
        if (!(error instanceof ExtractStop)) throw error;
        if (this.options.packing === undefined) return outputs.salvage(fileOf(files.meta));
      }
    }
    for (const target of [...files.closing, files.volume, files.meta]) {
      if (isPacked(target)) await target.stop();
    }
    outputs.discard();
  }
}
