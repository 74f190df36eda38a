// A walk through one archive across its volumes, and the place of a time in it (spec archive.md 6, 9.4).
// Volumes that are missing, cannot be opened or have a bad label are stepped over; damage inside a
// volume is PM_ERR_LOGREC, with the position before it.
import { PcpError } from "../base/mod.ts";
import type { Timestamp } from "../pcp/mod.ts";
import { type Archive, openVolume } from "./archive.ts";
import { compareTimes } from "./timestamp.ts";
import type { DataRecord, Volume } from "./volume.ts";

/** Where a walk is wanted: before the first record not earlier, or after the last one not later. */
export type Direction = "forward" | "backward";

/** Index entries that are tried for a place before a volume is read from its start. */
const TRIES = 8;

/** A place between two records of an archive. */
export interface CursorPlace {
  readonly volume: number;
  readonly offset: number;
}

/** A walk through one archive. The position is between two records; it begins before the first. */
export class ArchiveCursor {
  private open: Volume | undefined;
  private number = 0;

  constructor(readonly archive: Archive) {}

  /** The record that the last step came to. */
  get record(): DataRecord {
    return this.current();
  }

  /** The volume of that record. */
  get volume(): number {
    return this.number;
  }

  close(): void {
    this.open?.close();
    this.open = undefined;
  }

  /** Where the next record begins, or will begin: for `resume`, also of a later walk. */
  get place(): CursorPlace {
    const { position } = this.current();
    return { volume: this.number, offset: position };
  }

  /** Goes to a place; false when its volume cannot be used or no record begins or ends there. */
  resume({ volume, offset }: CursorPlace): boolean {
    return this.enter(volume) && this.lands(offset);
  }

  private numbers(): readonly number[] {
    return [...this.archive.files.volumes.keys()];
  }

  private current(): Volume {
    if (this.open !== undefined || this.toStart()) return this.open as Volume;
    // The lowest volume was good when the archive was opened: say what is wrong with it now.
    const lowest = this.numbers()[0] ?? 0;
    return this.use(openVolume(this.archive, lowest), lowest);
  }

  private use(volume: Volume, number: number): Volume {
    this.open?.close();
    this.open = volume;
    this.number = number;
    return volume;
  }

  /** Makes a volume the current one, at its first record; false when it cannot be used. */
  private enter(number: number): boolean {
    if (this.open !== undefined && this.number === number) {
      this.open.position = this.open.first;
      return true;
    }
    try {
      this.use(openVolume(this.archive, number), number);
      return true;
    } catch (error) {
      if (error instanceof PcpError) return false;
      throw error;
    }
  }

  /** Offsets of this volume in the index, from the last to the first. */
  private *entriesOf(number: number): Generator<number> {
    const { index } = this.archive;
    for (let i = (index?.count ?? 0) - 1; i >= 0; i--) {
      const entry = index?.entry(i);
      if (entry?.volume === number) yield entry.dataOffset;
    }
  }

  /** Puts the position after the last sound record of the current volume. */
  private toVolumeEnd(): Timestamp | undefined {
    return this.open?.toEnd(this.entriesOf(this.number));
  }

  /** Time of the sound record that the last step, forward, came over; undefined without one. */
  passed(): Timestamp | undefined {
    return this.open?.passed();
  }

  /** Before the first record of all; false when no volume can be used. */
  toStart(): boolean {
    return this.numbers().some((number) => this.enter(number));
  }

  /** After the last sound record of all. Its time, undefined when there is none. */
  toEnd(): Timestamp | undefined {
    for (const number of this.numbers().toReversed()) {
      const end = this.enter(number) ? this.toVolumeEnd() : undefined;
      if (end !== undefined) return end;
    }
    return undefined;
  }

  /** Steps to the next record; false at the end of the last volume. Throws PM_ERR_LOGREC. */
  next(): boolean {
    const volume = this.open ?? this.current();
    if (volume.next()) return true;
    for (const number of this.numbers()) {
      if (number <= this.number) continue;
      if (this.enter(number) && (this.open as Volume).next()) return true;
    }
    return false;
  }

  /** Steps to the record before; false at the start of the first volume. Throws PM_ERR_LOGREC. */
  previous(): boolean {
    const volume = this.open ?? this.current();
    if (volume.previous()) return true;
    const from = this.number;
    for (const number of this.numbers().toReversed()) {
      if (number >= from || !this.enter(number)) continue;
      this.toVolumeEnd();
      if ((this.open as Volume).previous()) return true;
    }
    return false;
  }

  /**
   * Puts the position between the records before `time` and the others; those at the time are after
   * it in the direction forward, before it backward. Damage on the way is left for the next step.
   */
  seek(time: Timestamp, direction: Direction): void {
    const before = (record: Timestamp): boolean => {
      const order = compareTimes(record, time);
      return direction === "forward" ? order < 0 : order <= 0;
    };
    if (!this.jump(before) && !this.toStart()) return;
    try {
      if (!this.forwardWhile(before)) this.backwardUntil(before);
    } catch (error) {
      if (!(error instanceof PcpError)) throw error;
    }
  }

  /** Steps over the records that are `before`; false when there was none. */
  private forwardWhile(before: (time: Timestamp) => boolean): boolean {
    for (let any = false; ; any = true) {
      if (!this.next()) return any;
      if (before(this.record)) continue;
      this.previous();
      return any;
    }
  }

  /**
   * Steps back to after the nearest record that is `before`. Only needed when none was ahead, so that
   * a compressed volume is not decoded for the record at its end.
   */
  private backwardUntil(before: (time: Timestamp) => boolean): void {
    while (this.previous()) {
      if (!before(this.record)) continue;
      this.next();
      return;
    }
  }

  /** Goes to the last index entry that is `before` and leads to a record; false without one. */
  private jump(before: (time: Timestamp) => boolean): boolean {
    const { index, files } = this.archive;
    if (index === undefined) return false;
    let low = 0;
    let high = index.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (before(index.entry(middle).timestamp)) low = middle + 1;
      else high = middle;
    }
    for (let i = low - 1, tries = 0; i >= 0 && tries < TRIES; i--) {
      const { volume, dataOffset } = index.entry(i);
      if (!files.volumes.has(volume)) continue;
      if (this.enter(volume) && this.lands(dataOffset)) return true;
      tries++;
    }
    return false;
  }

  /** Whether an offset of the current volume is between records; the position is then there. */
  private lands(offset: number): boolean {
    const volume = this.open as Volume;
    if (offset < volume.first) return false;
    if (offset === volume.first) return true;
    for (const step of [() => volume.previous(), () => volume.next()]) {
      volume.position = offset;
      try {
        if (step()) {
          volume.result();
          volume.position = offset;
          return true;
        }
      } catch (error) {
        if (!(error instanceof PcpError)) throw error;
      }
    }
    return false;
  }
}
