// Cuts: how all records of one layout are encoded. Such records differ in their time and in the words of
// their values alone, so their encoded forms differ there, too: a cut is one of these forms with the list
// of what to copy into it. Refuses nothing: what has no cut is encoded word by word (encode.ts).
import { MAX_VLEN, PM_VAL } from "../pcp/mod.ts";
import type { ArchiveVersion } from "../archive/mod.ts";

/** A block index counts words from this many before its record. */
export const WORD_BASE = 2;
/** The format of sets without blocks, as the machine reads it. */
export const INSITU = PM_VAL.INSITU;
/** More words than this are copied by one call. */
const FEW_WORDS = 48;
/** Fewer words than this between two pieces are copied with them. */
const GAP = 8;
/** Bytes of records that are made one after the other. */
const BUFFER_BYTES = 512 * 1024;

/** A word of the archive as the machine read it, the right way round; and the other way. */
export const swapped = (word: number): number =>
  (word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24);

/** Words of a value set. */
export const setWords = (numval: number): number => (numval > 0 ? 3 + 2 * numval : 2);

/** Copies `count` words. */
export function copyWords(
  from: Int32Array,
  at: number,
  to: Int32Array,
  target: number,
  count: number,
): void {
  if (count > FEW_WORDS) to.set(from.subarray(at, at + count), target);
  else for (let i = 0; i < count; i++) to[target + i] = from[at + i] as number;
}

/** How records of a layout are encoded. */
export interface Cut {
  /** One of the encoded records, in words. */
  readonly template: Int32Array;
  /** Triples: words to copy begin here in the record, there in the encoded one, and are so many. */
  readonly moves: Int32Array;
}

/** Calls `mark` with the place of every word that may differ between records of a layout. */
export function eachValue(
  words: Int32Array,
  sets: number,
  count: number,
  mark: (place: number) => void,
): void {
  let at = sets;
  for (let i = 0; i < count; i++) {
    const numval = swapped(words[at + 1] as number);
    const next = at + setWords(numval);
    const blocks = numval > 0 && words[at + 2] !== INSITU;
    for (let value = at + 4; value < next; value += 2) {
      if (!blocks) mark(value);
      else {
        const block = swapped(words[value] as number) - WORD_BASE;
        const size = ((swapped(words[block] as number) & MAX_VLEN) + 3) >> 2;
        for (let word = 1; word < size; word++) mark(block + word);
      }
    }
    at = next;
  }
}

/**
 * The cut for records that have the exact layout of this one, given as words of its own; its `count`
 * sets begin at word `sets`. `encode` makes the encoded form, valid until its next call. It is shown
 * the record with every value replaced by its place, and by the opposite: so the words that differ are
 * the values, and tell where they come from.
 */
export function makeCut(
  record: Int32Array,
  sets: number,
  count: number,
  head: number,
  encode: (record: Int32Array) => Int32Array,
): Cut {
  const template = encode(record).slice();
  const marked = record.slice();
  const opposite = record.slice();
  eachValue(record, sets, count, (place) => {
    marked[place] = place;
    opposite[place] = ~place;
  });
  const places = encode(marked).slice();
  const others = encode(opposite);
  const moves: number[] = [];
  let from = 0;
  let to = 0;
  let length = 0;
  const isSame = (start: number, end: number, shift: number): boolean => {
    for (let at = start; at < end; at++) if (record[at + shift] !== template[at]) return false;
    return true;
  };
  for (let at = head; at < template.length - 1; at++) {
    const place = places[at] as number;
    if (place === others[at]) continue;
    const gap = at - (to + length);
    if (length > 0 && place - from === at - to && gap < GAP && isSame(to + length, at, from - to)) {
      length += gap + 1;
      continue;
    }
    if (length > 0) moves.push(from, to, length);
    from = place;
    to = at;
    length = 1;
  }
  if (length > 0) moves.push(from, to, length);
  return { template, moves: Int32Array.from(moves) };
}

/** Encodes records by their cuts, one after the other in one buffer. */
export class CutWriter {
  readonly bytes = new Uint8Array(BUFFER_BYTES);
  /** Where the last record begins in `bytes`, and where the next one does. */
  from = 0;
  to = 0;
  private readonly words = new Int32Array(this.bytes.buffer);

  constructor(
    private readonly version: ArchiveVersion,
    /** Called before records are overwritten. */
    private readonly settle: () => void,
  ) {}

  /** Whether records of a cut go through here. */
  fits({ template }: Cut): boolean {
    return template.length <= this.words.length;
  }

  /** Encodes the record at word `at` of an archive of this version. */
  put({ template, moves }: Cut, words: Int32Array, at: number, version: ArchiveVersion): void {
    let start = this.to >> 2;
    if (start + template.length > this.words.length) {
      this.settle();
      start = 0;
    }
    const out = this.words;
    out.set(template, start);
    out[start + 1] = words[at + 1] as number;
    if (version === this.version) {
      out[start + 2] = words[at + 2] as number;
      if (version === 3) out[start + 3] = words[at + 3] as number;
    } else {
      // Seconds of 32 bits become 64, low word first, microseconds become nanoseconds.
      out[start + 2] = swapped(words[at + 1] as number) >> 31;
      out[start + 3] = swapped(Math.imul(swapped(words[at + 2] as number), 1000));
    }
    for (let i = 0; i < moves.length; i += 3) {
      const target = start + (moves[i + 1] as number);
      copyWords(words, at + (moves[i] as number), out, target, moves[i + 2] as number);
    }
    this.from = start << 2;
    this.to = (start + template.length) << 2;
  }
}
