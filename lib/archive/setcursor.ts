// A walk through a set of archives (spec archive.md 8.4): between two members there is a virtual mark,
// and PM_ERR_LOGOVERLAP once where they overlap. A member of several in which damage is met is left
// out from there on with a warning, as in PCP 7.2; in a single archive the damage is the caller's.
import { PM_ERR, PcpError } from "../base/mod.ts";
import { ResultView, type Timestamp } from "../pcp/mod.ts";
import type { Archive } from "./archive.ts";
import { ArchiveCursor, type Direction } from "./cursor.ts";
import { encodeMark } from "./data.ts";
import { archiveEnd, type ArchiveSet, noteEnd } from "./set.ts";
import { addNanoseconds, compareTimes } from "./timestamp.ts";
import type { DataRecord } from "./volume.ts";

const MILLISECOND = 1_000_000;

/** A mark that stands in no file; its offset and length are 0. */
function virtualMark(time: Timestamp): DataRecord {
  const bytes = encodeMark(3, time);
  return {
    ...time,
    numpmid: 0,
    offset: 0,
    length: 0,
    raw: () => bytes,
    result: () => new ResultView(bytes, time, 0, bytes.length),
    find: () => undefined,
  };
}

/** A walk through a set. The position is between two records; it begins before the first. */
export class SetCursor {
  private readonly members: Archive[];
  private readonly several: boolean;
  private at = 0;
  private walk: ArchiveCursor;
  /** The position is after the mark that follows member `at`. */
  private pastMark = false;
  /** The mark between `at` and the next member was just crossed backwards. */
  private crossed = false;
  private mark: DataRecord | undefined;

  constructor(private readonly set: ArchiveSet) {
    this.members = [...set.members];
    this.several = this.members.length > 1;
    this.walk = new ArchiveCursor(this.members[0] as Archive);
  }

  /** The record that the last step came to. */
  get record(): DataRecord {
    return this.mark ?? this.walk.record;
  }

  /** The archive that the walk is in: its label has the host and zone of now. */
  get archive(): Archive {
    return this.walk.archive;
  }

  /** The volume of the record, of the one before for a virtual mark. */
  get volume(): number {
    return this.walk.volume;
  }

  close(): void {
    this.walk.close();
  }

  private enter(at: number): void {
    this.walk.close();
    this.at = at;
    this.pastMark = false;
    this.crossed = false;
    this.walk = new ArchiveCursor(this.members[at] as Archive);
  }

  private enterEnd(at: number): void {
    this.enter(at);
    noteEnd(this.walk.archive, this.walk.toEnd());
  }

  /** Before the first record. */
  toStart(): void {
    this.mark = undefined;
    if (this.members.length > 0) this.enter(0);
  }

  /** After the last sound record. */
  toEnd(): void {
    this.mark = undefined;
    if (this.members.length > 0) this.enterEnd(this.members.length - 1);
  }

  /** As ArchiveCursor.seek; before `time` a virtual mark may be the next record. */
  seek(time: Timestamp, direction: Direction): void {
    this.mark = undefined;
    if (this.members.length === 0) return;
    let at = this.members.length - 1;
    while (at > 0 && compareTimes((this.members[at] as Archive).label.start, time) > 0) at--;
    this.enter(at);
    this.walk.seek(time, direction);
  }

  /** Takes a member with damage out; false when the caller has to hear of the damage. */
  private drop(error: unknown): boolean {
    if (!this.several || !(error instanceof PcpError) || error.code !== PM_ERR.LOGREC) return false;
    const { name } = this.walk.archive;
    const volume = this.walk.volume;
    this.set.warn(`removing corrupted archive "${name}" vol ${volume}: ${error.message}`);
    this.members.splice(this.at, 1);
    return true;
  }

  /**
   * Takes a member out whose record turned out to be damaged (the error that its result() threw), and
   * goes to the one after it in the direction of the walk. False when the damage is the caller's.
   */
  leave(error: unknown, direction: Direction): boolean {
    const { at } = this;
    if (!this.drop(error)) return false;
    this.mark = undefined;
    const last = this.members.length - 1;
    if (direction === "forward" ? at <= last : at === 0 && last >= 0) this.enter(at);
    else if (last >= 0) this.enterEnd(at - 1);
    return true;
  }

  private overlaps(earlier: Archive, later: Archive): void {
    const end = archiveEnd(earlier);
    if (end === undefined || compareTimes(end, later.label.start) <= 0) return;
    const reason = `${earlier.name} ends after ${later.name} starts`;
    throw new PcpError(PM_ERR.LOGOVERLAP, reason);
  }

  /** Steps to the next record; false at the end. Throws PM_ERR_LOGREC, PM_ERR_LOGOVERLAP once. */
  next(): boolean {
    this.mark = undefined;
    this.crossed = false;
    if (this.members.length === 0) return false;
    if (this.pastMark) {
      const before = this.members[this.at] as Archive;
      this.enter(this.at + 1);
      this.overlaps(before, this.walk.archive);
    }
    try {
      if (this.walk.next()) return true;
    } catch (error) {
      if (!this.leave(error, "forward")) throw error;
      return this.next();
    }
    if (this.at === this.members.length - 1) return false;
    const passed = this.walk.passed();
    if (passed !== undefined) noteEnd(this.walk.archive, passed);
    const end = archiveEnd(this.walk.archive) ?? this.walk.archive.label.start;
    this.mark = virtualMark(addNanoseconds(end, MILLISECOND));
    this.pastMark = true;
    return true;
  }

  /** Steps to the record before; false at the start. Throws PM_ERR_LOGREC, PM_ERR_LOGOVERLAP once. */
  previous(): boolean {
    this.mark = undefined;
    if (this.members.length === 0) return false;
    if (this.pastMark) {
      this.pastMark = false;
      const end = archiveEnd(this.walk.archive) ?? this.walk.archive.label.start;
      this.mark = virtualMark(addNanoseconds(end, MILLISECOND));
      return true;
    }
    if (this.crossed) {
      this.crossed = false;
      this.overlaps(this.walk.archive, this.members[this.at + 1] as Archive);
    }
    try {
      if (this.walk.previous()) return true;
    } catch (error) {
      if (!this.leave(error, "backward")) throw error;
      return this.previous();
    }
    if (this.at === 0) return false;
    const { start } = this.walk.archive.label;
    this.enterEnd(this.at - 1);
    this.crossed = true;
    this.mark = virtualMark(addNanoseconds(start, -MILLISECOND));
    return true;
  }
}
