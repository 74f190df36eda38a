// One data volume, walked record by record in both directions (spec archive.md 3.1, 6). Only the frame
// of a record is looked at until its result is asked for: small records through a window of the
// file, large ones by their two ends. Refused with PM_ERR_LOGREC: frames that do not hold; the
// position stays where it was, so what precedes the damage can still be read.
import { PM_ERR, PcpError, viewOf } from "../base/mod.ts";
import type { Pmid, ResultView, Timestamp, ValueSet } from "../pcp/mod.ts";
import { dataHead, markBytes, findSetsAt, resultAt } from "./data.ts";
import { archiveError } from "./fault.ts";
import { MAX_RECORD_BYTES, TRAILER } from "./frame.ts";
import { type ArchiveFile, sizeOf } from "./plain-file.ts";
import { type ArchiveVersion, nanosecondsAt, secondsAt } from "./timestamp.ts";

/** Bytes of a volume looked at together: a walk begins with the least and doubles as it goes on. */
const WINDOW = 256 * 1024;
const LEAST_WINDOW = 16 * 1024;
/** Records longer than this are not read through, only their ends: two small reads cost less. */
const SKIP = 16 * 1024;

/** The record that a walk has come to. Its fields change with the next step. */
export interface DataRecord {
  readonly sec: number;
  readonly nsec: number;
  /** Number of metrics; 0 for a mark. */
  readonly numpmid: number;
  /** Where the record begins in its volume, and its length with both length words. */
  readonly offset: number;
  readonly length: number;
  /** The whole record; valid until the next step. */
  raw(): Uint8Array;
  /** The values; throws PM_ERR_LOGREC. Valid until the next step. */
  result(): ResultView;
  /**
   * Gives the sets of a few metrics to `take`, without a look at the values of others, whose damage it
   * does not see; throws PM_ERR_LOGREC. Valid until the next step.
   */
  find(pmids: readonly Pmid[], take: (set: ValueSet) => void): void;
}

/** A walk through one volume. The position is between two records; a walk begins at the first. */
export class Volume implements DataRecord {
  sec = 0;
  nsec = 0;
  numpmid = 0;
  offset = 0;
  length = 0;
  /** Offset of the record that `next` comes to; its predecessor ends there. */
  position: number;
  private window: Uint8Array = new Uint8Array(0);
  private view: DataView = viewOf(this.window);
  private base = 0;
  private ahead = LEAST_WINDOW;
  /** Whether the last step was forward, and whether the walk has turned round since the last load. */
  private forward = true;
  private turned = false;
  private readonly head: number;
  private readonly shortest: number;

  constructor(
    private readonly file: ArchiveFile,
    readonly path: string,
    readonly version: ArchiveVersion,
    /** Offset of the first record. */
    readonly first: number,
    /** A record that is cut short by the end of the file is not there yet, instead of damage. */
    private readonly growing: boolean,
  ) {
    this.position = first;
    this.head = dataHead(version);
    this.shortest = markBytes(version);
  }

  /** Bytes in the file now; infinite for compressed data with damage, whose end nobody knows. */
  private size(): number {
    try {
      return sizeOf(this.file);
    } catch (error) {
      if (error instanceof PcpError) return Number.POSITIVE_INFINITY;
      throw error;
    }
  }

  close(): void {
    this.file.close();
  }

  private damage(offset: number, reason: string): PcpError {
    const place = { file: this.path, offset };
    return archiveError(PM_ERR.LOGREC, "data record", place, reason);
  }

  /**
   * How many bytes to load for what lies in `[from, to]`: a walk that goes on from the window, in either
   * direction, gets twice as many as before, one that begins somewhere else few: it may be for one
   * record.
   */
  private reach(from: number, to: number): number {
    const near = from <= this.base + this.window.length && to >= this.base;
    this.ahead = near ? Math.min(WINDOW, 2 * this.ahead) : LEAST_WINDOW;
    return this.ahead;
  }

  /** Makes the window begin at `base`; returns how many bytes it has. */
  private load(base: number, length: number): number {
    this.window = this.file.read(base, length);
    this.view = viewOf(this.window);
    this.base = base;
    return this.window.length;
  }

  /** As load, with as much before `at` again for a walk that turns round; counts from `at`. */
  private loadFrom(at: number, length: number): number {
    const slack = this.turned ? Math.min(at - this.first, length) : 0;
    this.turned = false;
    return this.load(at - slack, slack + length) - slack;
  }

  /** Whether bytes `[at, at + length)` of the file are in the window. */
  private has(at: number, length: number): boolean {
    return at >= this.base && at + length <= this.base + this.window.length;
  }

  /** Takes the fields of the record at `at`, whose head is in the window. */
  private take(at: number, length: number): void {
    const here = at - this.base;
    this.offset = at;
    this.length = length;
    this.sec = secondsAt(this.view, here + 4, this.version);
    this.nsec = nanosecondsAt(this.view, here + 4, this.version);
    this.numpmid = this.view.getInt32(here + this.head - 4);
  }

  /** The error for a record that the end of the file cuts. */
  private cut(at: number, length: number, left: number): PcpError {
    return this.damage(at, `length ${length}, but the file ends ${left} bytes after its start`);
  }

  /** Steps to the next record; false at the end. Throws PM_ERR_LOGREC. */
  next(): boolean {
    const at = this.position;
    if (!this.forward) {
      this.forward = true;
      this.turned = true;
    }
    if (!this.has(at, this.head) && this.loadFrom(at, this.reach(at, at)) < this.head) {
      const left = this.base + this.window.length - at;
      // PCP takes up to three bytes of a length word for the end.
      if (left < 4 || this.growing) return false;
      throw this.cut(at, this.view.getInt32(at - this.base), left);
    }
    const length = this.view.getInt32(at - this.base);
    if (length < this.shortest) throw this.damage(at, `length ${length}`);
    const end = at + length - TRAILER;
    if (length <= SKIP && !this.has(at, length)) {
      const left = this.loadFrom(at, Math.max(length, this.reach(at, at)));
      if (left < length) {
        if (this.growing) return false;
        throw this.cut(at, length, left);
      }
    }
    this.take(at, length);
    if (!this.has(end, TRAILER) && this.load(end, TRAILER + this.head) < TRAILER) {
      if (this.growing) return false;
      throw this.cut(at, length, this.size() - at);
    }
    const trailer = this.view.getInt32(end - this.base);
    if (trailer !== length) {
      throw this.damage(at, `length ${length} at its start, ${trailer} at its end`);
    }
    this.position = at + length;
    return true;
  }

  /** Loads bytes that must be there; what is before `end` was in the file at some time. */
  private loadUpTo(end: number, from: number, to: number): void {
    const slack = this.turned ? to - from : 0;
    this.turned = false;
    if (this.load(from, to - from + slack) < to - from) {
      throw this.damage(end, "nothing here, the file ends before");
    }
  }

  /** Steps to the record before; false at the start. Throws PM_ERR_LOGREC. */
  previous(): boolean {
    const end = this.position;
    if (end <= this.first) return false;
    if (this.forward) {
      this.forward = false;
      this.turned = true;
    }
    if (end - this.first < this.shortest) throw this.damage(end, "too close to the label");
    if (!this.has(end - TRAILER, TRAILER)) {
      this.loadUpTo(end, Math.max(this.first, end - this.reach(end, end)), end);
    }
    const length = this.view.getInt32(end - TRAILER - this.base);
    const at = end - length;
    if (length < this.shortest || at < this.first) {
      throw this.damage(end - TRAILER, `length ${length} at the end of a record`);
    }
    if (!this.has(at, this.head)) {
      if (length > SKIP) {
        this.loadUpTo(end, Math.max(this.first, at - TRAILER), at + this.head);
      } else {
        const reach = Math.max(length, this.reach(end, end));
        this.loadUpTo(end, Math.max(this.first, end - reach), end);
      }
    }
    const header = this.view.getInt32(at - this.base);
    if (header !== length) {
      throw this.damage(at, `length ${header} at its start, ${length} at its end`);
    }
    this.take(at, length);
    this.position = at;
    return true;
  }

  /** Makes the window hold the whole record. */
  private whole(): void {
    const { offset, length } = this;
    if (this.has(offset, length)) return;
    if (length > MAX_RECORD_BYTES) {
      throw this.damage(offset, `length ${length}, ${MAX_RECORD_BYTES} allowed`);
    }
    // As many of this length as fit, with the head of the next: no part of a record is read twice.
    const reach = this.reach(offset, offset + length);
    const together = Math.max(1, Math.floor((reach - this.head) / length));
    if (this.load(offset, together * length + this.head) < length) {
      throw this.damage(offset, `length ${length}, but the file has become shorter`);
    }
  }

  raw(): Uint8Array {
    this.whole();
    const here = this.offset - this.base;
    return this.window.subarray(here, here + this.length);
  }

  result(): ResultView {
    this.whole();
    const { path: file, offset, window, view } = this;
    const here = offset - this.base;
    return resultAt(window, here, this.length, this.version, { file, offset }, view);
  }

  find(pmids: readonly Pmid[], take: (set: ValueSet) => void): void {
    this.whole();
    const here = this.offset - this.base;
    if (findSetsAt(this.window, here, this.length, this.version, this.view, pmids, take)) return;
    // What does not hold is named here, unless it is nothing after all.
    for (const sets = this.result().sets(); sets.next();) if (pmids.includes(sets.pmid)) take(sets);
  }

  /** Time of the record that ends at the position, when the last step was over it and it is sound. */
  passed(): Timestamp | undefined {
    if (this.length === 0 || this.offset + this.length !== this.position) return undefined;
    try {
      this.result();
      return { sec: this.sec, nsec: this.nsec };
    } catch (error) {
      if (error instanceof PcpError) return undefined;
      throw error;
    }
  }

  /** Steps forward over a whole, sound record; false for the end and for anything else. */
  private nextSound(): boolean {
    const before = this.position;
    try {
      if (!this.next()) return false;
      this.result();
      return true;
    } catch (error) {
      if (!(error instanceof PcpError)) throw error;
      this.position = before;
      return false;
    }
  }

  /**
   * Puts the position after the last sound record (spec archive.md 6.1): the one that ends where
   * the file ends, else the last one that can be reached forwards from one of `starts`, offsets of
   * records from the last to the first. Gives its time, undefined without any record.
   */
  toEnd(starts: Iterable<number>): Timestamp | undefined {
    const size = this.size();
    if (size <= this.first) return undefined;
    const last = this.lastBefore(size);
    if (last !== undefined) return last;
    for (const start of starts) {
      if (start > size || start < this.first) continue;
      const found = this.forwardFrom(start);
      if (found !== undefined) return found;
    }
    return this.forwardFrom(this.first);
  }

  /** The time of the sound record that ends at `end`; the position is then there. */
  private lastBefore(end: number): Timestamp | undefined {
    if (end === Number.POSITIVE_INFINITY) return undefined;
    this.position = end;
    try {
      if (!this.previous()) return undefined;
      this.result();
    } catch (error) {
      if (error instanceof PcpError) return undefined;
      throw error;
    }
    this.position = end;
    return { sec: this.sec, nsec: this.nsec };
  }

  private forwardFrom(start: number): Timestamp | undefined {
    this.position = start;
    let found: Timestamp | undefined;
    while (this.nextSound()) found = { sec: this.sec, nsec: this.nsec };
    return found;
  }
}
