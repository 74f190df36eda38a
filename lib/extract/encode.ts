// Data records as the output has them (spec extract.md 7.3, 7.4): sets taken out, instances filtered,
// block positions and times of the other version, padding made even. Records that need none of this
// are copied by who has them and do not come here. Refuses nothing: records were checked before.
import { viewOf } from "../base/mod.ts";
import { type ArchiveVersion, dataHead, setTime } from "../archive/mod.ts";
import { MAX_VLEN, type Timestamp } from "../pcp/mod.ts";
import { copyWords, INSITU, setWords, swapped, WORD_BASE } from "./cuts.ts";
import type { SetPlan } from "./shapes.ts";

/** A checked record where it lies. */
export interface SourceRecord {
  readonly bytes: Uint8Array;
  /** The bytes as words of the machine; empty where they are not aligned. */
  readonly words: Int32Array;
  /** Where it begins in `bytes`, and where its value sets do. */
  readonly at: number;
  readonly setsAt: number;
  readonly length: number;
  readonly numpmid: number;
  readonly time: Timestamp;
}

const TRAILER = 4;
/** Bytes of padding in a word, as the machine reads it, by their number; they are the last ones. */
const PAD = 0x7e7e7e7e;
const PAD_MASKS: readonly number[] = [0, 0xff000000, 0xffff0000, 0xffffff00];

/** Makes records in one buffer, which the next record overwrites. */
export class Encoder {
  private bytes = new Uint8Array(64 * 1024);
  private words = new Int32Array(this.bytes.buffer);
  private view = viewOf(this.bytes);
  /** Words of the record at hand, and where it begins in them. */
  private source: Int32Array = new Int32Array(0);
  private start = 0;
  /** Values of the instances of a filter, found in the set at hand. */
  private readonly places: number[] = [];

  constructor(private readonly version: ArchiveVersion) {}

  private room(words: number): void {
    if (words <= this.words.length) return;
    const size = Math.max(words * 4, this.bytes.length * 2);
    const grown = new Uint8Array(size);
    grown.set(this.bytes);
    this.bytes = grown;
    this.words = new Int32Array(grown.buffer);
    this.view = viewOf(grown);
  }

  /** Takes the words of a record, from a copy where it is not aligned. */
  private take({ bytes, words, at, length }: SourceRecord): void {
    if ((at & 3) === 0 && words.length > 0) {
      this.source = words;
      this.start = at >> 2;
      return;
    }
    const copy = new Uint8Array((length + 3) & ~3);
    copy.set(bytes.subarray(at, at + length));
    this.source = new Int32Array(copy.buffer);
    this.start = 0;
  }

  /**
   * The record in the output's version with what `plan` leaves of it; undefined: all. `even`: its
   * padding is as it should be.
   */
  encode(record: SourceRecord, plan: readonly SetPlan[] | undefined, even: boolean): Uint8Array {
    this.take(record);
    const head = dataHead(this.version) >> 2;
    const { at, setsAt, length, numpmid, time } = record;
    const sets = this.start + ((setsAt - at) >> 2);
    let count = numpmid;
    let end: number;
    if (plan === undefined && even) {
      const size = (length - TRAILER - (setsAt - at)) >> 2;
      this.room(head + size + 1);
      copyWords(this.source, sets, this.words, head, size);
      end = head + size;
      this.moveBlocks(numpmid, head, head - (setsAt - at) / 4);
    } else {
      ({ count, end } = this.reduce(sets, numpmid, plan, head, even));
    }
    this.room(end + 1);
    const total = (end + 1) * 4;
    this.view.setInt32(0, total);
    // In its own version a time stays as it is, also one too large for a number.
    if (head * 4 === setsAt - at) copyWords(this.source, this.start + 1, this.words, 1, head - 2);
    else setTime(this.view, 4, this.version, time);
    this.view.setInt32(head * 4 - 4, count);
    this.view.setInt32(end * 4, total);
    return this.bytes.subarray(0, total);
  }

  /** Blocks of sets that were copied together are so many words further on. */
  private moveBlocks(numpmid: number, at: number, words: number): void {
    if (words === 0) return;
    const out = this.words;
    for (let i = 0; i < numpmid; i++) {
      const numval = swapped(out[at + 1] as number);
      const next = at + setWords(numval);
      if (numval > 0 && out[at + 2] !== INSITU) {
        for (let value = at + 4; value < next; value += 2) {
          out[value] = swapped(swapped(out[value] as number) + words);
        }
      }
      at = next;
    }
  }

  private reduce(
    sets: number,
    numpmid: number,
    plan: readonly SetPlan[] | undefined,
    head: number,
    even: boolean,
  ): { count: number; end: number } {
    const { source } = this;
    let from = sets;
    let at = head;
    let count = 0;
    for (let i = 0; i < numpmid; i++) {
      const set = plan?.[i];
      const numval = swapped(source[from + 1] as number);
      const size = setWords(numval);
      if (set?.kind === "filter" && numval > 0) {
        at = this.filter(from, numval, set.instances, at);
        count++;
      } else if (set === undefined || set.kind === "keep" || set.kind === "filter") {
        this.room(at + size);
        copyWords(source, from, this.words, at, size);
        at += size;
        count++;
      }
      from += size;
    }
    return { count, end: this.copyBlocks(count, head, at, even) };
  }

  /** Writes the set at `from` with only these instances; where the next set begins. */
  private filter(from: number, numval: number, instances: readonly number[], at: number): number {
    const { places, source } = this;
    places.length = 0;
    const end = from + 3 + 2 * numval;
    for (const instance of instances) {
      const wanted = swapped(instance);
      for (let value = from + 3; value < end; value += 2) {
        if (source[value] !== wanted) continue;
        places.push(value);
        break;
      }
    }
    this.room(at + setWords(places.length));
    const out = this.words;
    out[at] = source[from] as number;
    out[at + 1] = swapped(places.length);
    if (places.length === 0) return at + 2;
    out[at + 2] = source[from + 2] as number;
    at += 3;
    for (const value of places) {
      out[at] = source[value] as number;
      out[at + 1] = source[value + 1] as number;
      at += 2;
    }
    return at;
  }

  /**
   * Copies the blocks that the sets refer to after them; where they end. Blocks that follow one
   * another in the source are copied together.
   */
  private copyBlocks(count: number, head: number, end: number, even: boolean): number {
    const { source, start } = this;
    let block = end;
    // Words of the source that are to be copied to `block`.
    let first = 0;
    let last = 0;
    let at = head;
    for (let i = 0; i < count; i++) {
      const out = this.words;
      const numval = swapped(out[at + 1] as number);
      const next = at + setWords(numval);
      if (numval > 0 && out[at + 2] !== INSITU) {
        for (let value = at + 4; value < next; value += 2) {
          const from = start - WORD_BASE + swapped(this.words[value] as number);
          if (from !== last) {
            block = this.copyTogether(first, last, block, even);
            first = from;
            last = from;
          }
          // The buffer may have been replaced by a larger one.
          this.words[value] = swapped(block + last - first + WORD_BASE);
          last += ((swapped(source[from] as number) & MAX_VLEN) + 3) >> 2;
        }
      }
      at = next;
    }
    return this.copyTogether(first, last, block, even);
  }

  private copyTogether(first: number, last: number, block: number, even: boolean): number {
    const end = block + last - first;
    this.room(end);
    copyWords(this.source, first, this.words, block, last - first);
    if (even) return end;
    const out = this.words;
    for (let at = block; at < end;) {
      const vlen = swapped(out[at] as number) & MAX_VLEN;
      const size = (vlen + 3) >> 2;
      const mask = PAD_MASKS[size * 4 - vlen] as number;
      const word = at + size - 1;
      if (mask !== 0) out[word] = ((out[word] as number) & ~mask) | (PAD & mask);
      at += size;
    }
    return end;
  }
}
