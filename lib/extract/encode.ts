// Data records as the output has them (spec extract.md 7.3, 7.4): sets taken out, instances filtered,
// block positions and times of the other version, padding made even. Records that need none of this
// are copied by who has them and do not come here. Refuses nothing: records were checked before.
import { viewOf } from "../base/mod.ts";
import { type ArchiveVersion, dataHead, setTime } from "../archive/mod.ts";
import { MAX_VLEN, PM_VAL, type Timestamp } from "../pcp/mod.ts";
import type { SetPlan } from "./shapes.ts";

/** A checked record where it lies. */
export interface SourceRecord {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Where it begins in `bytes`, and where its value sets do. */
  readonly at: number;
  readonly setsAt: number;
  readonly length: number;
  readonly numpmid: number;
  readonly time: Timestamp;
}

const TRAILER = 4;
const WORD_BASE = 8;
const PAD = 0x7e;

const setBytes = (numval: number): number => (numval > 0 ? 12 + 8 * numval : 8);

/** Makes records in one buffer, which the next record overwrites. */
export class Encoder {
  private buffer = new Uint8Array(64 * 1024);
  private view = viewOf(this.buffer);
  /** Values of the instances of a filter, found in the set at hand. */
  private readonly places: number[] = [];

  constructor(private readonly version: ArchiveVersion) {}

  private room(size: number): void {
    if (size <= this.buffer.length) return;
    const grown = new Uint8Array(Math.max(size, this.buffer.length * 2));
    grown.set(this.buffer);
    this.buffer = grown;
    this.view = viewOf(grown);
  }

  /** The record in the output's version with what `plan` leaves of it; undefined plan: all. */
  encode(record: SourceRecord, plan: readonly SetPlan[] | undefined): Uint8Array {
    const start = dataHead(this.version);
    const { bytes, setsAt, at, length, numpmid, time } = record;
    let count = numpmid;
    let end: number;
    if (plan === undefined) {
      const size = at + length - TRAILER - setsAt;
      this.room(start + size + TRAILER);
      this.buffer.set(bytes.subarray(setsAt, setsAt + size), start);
      end = start + size;
      this.moveBlocks(numpmid, start);
    } else {
      ({ count, end } = this.reduce(record, plan, start));
    }
    this.room(end + TRAILER);
    const total = end + TRAILER;
    this.view.setInt32(0, total);
    setTime(this.view, 4, this.version, time);
    this.view.setInt32(start - 4, count);
    this.view.setInt32(end, total);
    return this.buffer.subarray(0, total);
  }

  /** Says anew where the blocks of sets that were copied as a whole are, and makes padding even. */
  private moveBlocks(numpmid: number, start: number): void {
    const { view } = this;
    let block = -1;
    let at = start;
    for (let i = 0; i < numpmid; i++) at += setBytes(view.getInt32(at + 4));
    block = at;
    at = start;
    for (let i = 0; i < numpmid; i++) {
      const numval = view.getInt32(at + 4);
      if (numval > 0 && view.getInt32(at + 8) !== PM_VAL.INSITU) {
        for (let value = at + 16; value < at + 12 + 8 * numval; value += 8) {
          view.setInt32(value, (block + WORD_BASE) >> 2);
          block = this.pad(block);
        }
      }
      at += setBytes(numval);
    }
  }

  /** Fills the padding of a block; where the next one begins. */
  private pad(block: number): number {
    const vlen = this.view.getInt32(block) & MAX_VLEN;
    const size = (vlen + 3) & ~3;
    for (let i = vlen; i < size; i++) this.buffer[block + i] = PAD;
    return block + size;
  }

  private reduce(
    record: SourceRecord,
    plan: readonly SetPlan[],
    start: number,
  ): { count: number; end: number } {
    const { view, bytes, setsAt } = record;
    let from = setsAt;
    let at = start;
    let count = 0;
    for (const set of plan) {
      const numval = view.getInt32(from + 4);
      const size = setBytes(numval);
      if (set.kind === "keep" || (set.kind === "filter" && numval <= 0)) {
        this.room(at + size);
        this.buffer.set(bytes.subarray(from, from + size), at);
        at += size;
        count++;
      } else if (set.kind === "filter") {
        at = this.filter(view, from, numval, set.instances, at);
        count++;
      }
      from += size;
    }
    return { count, end: this.copyBlocks(record, count, start, at) };
  }

  /** Writes the set at `from` with only these instances; where the next set begins. */
  private filter(
    view: DataView,
    from: number,
    numval: number,
    instances: readonly number[],
    at: number,
  ): number {
    const { places } = this;
    places.length = 0;
    for (const instance of instances) {
      for (let value = from + 12; value < from + 12 + 8 * numval; value += 8) {
        if (view.getInt32(value) !== instance) continue;
        places.push(value);
        break;
      }
    }
    this.room(at + setBytes(places.length));
    const out = this.view;
    out.setInt32(at, view.getInt32(from));
    out.setInt32(at + 4, places.length);
    if (places.length === 0) return at + 8;
    out.setInt32(at + 8, view.getInt32(from + 8));
    at += 12;
    for (const value of places) {
      out.setInt32(at, view.getInt32(value));
      out.setInt32(at + 4, view.getInt32(value + 4));
      at += 8;
    }
    return at;
  }

  /** Copies the blocks that the sets refer to after them; where they end. */
  private copyBlocks(record: SourceRecord, count: number, start: number, end: number): number {
    const base = record.at - WORD_BASE;
    let block = end;
    let at = start;
    for (let i = 0; i < count; i++) {
      const numval = this.view.getInt32(at + 4);
      const stop = at + setBytes(numval);
      if (numval > 0 && this.view.getInt32(at + 8) !== PM_VAL.INSITU) {
        for (let value = at + 16; value < stop; value += 8) {
          const from = base + 4 * this.view.getInt32(value);
          const vlen = record.view.getInt32(from) & MAX_VLEN;
          this.room(block + vlen + 3);
          this.buffer.set(record.bytes.subarray(from, from + vlen), block);
          this.view.setInt32(value, (block + WORD_BASE) >> 2);
          block = this.pad(block);
        }
      }
      at = stop;
    }
    return block;
  }
}
