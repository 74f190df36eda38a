// Looking ahead in a block: the records after the one at hand that have a known layout, all compared in one
// go, so that each needs only its turn afterwards. What does not follow in order of time, or is not
// whole in the block, ends it. Refuses nothing.
import type { Timestamp } from "../pcp/mod.ts";
import { swapped } from "./cuts.ts";
import { hasLayout, type Layout } from "./layouts.ts";

/** Records that are looked at together at most. */
const MOST = 1024;
const NO_PLACES = new Int32Array(0);

/** Records of a block that wait for their turn, one after the other, times not falling. */
export interface Ahead {
  /** Number of the one that is next, and how many there are. */
  next: number;
  count: number;
  /** Where the next one begins, and where each ends, in words. */
  from: number;
  ends: Int32Array;
  seconds: Float64Array;
  nanoseconds: Float64Array;
}

/** Nothing ahead. */
export const nothingAhead = (): Ahead => ({
  next: 0,
  count: 0,
  from: 0,
  ends: NO_PLACES,
  seconds: new Float64Array(0),
  nanoseconds: new Float64Array(0),
});

/** The first time that is not reached any more; infinite seconds for none. */
export interface TimeLimit {
  sec: number;
  nsec: number;
}

/** Bytes of the record at `word` when it has one of these layouts and is whole; else 0. */
function sizeAt(
  layouts: readonly Layout[],
  bytes: Buffer,
  words: Int32Array,
  word: number,
  head: number,
): number {
  const lengthWord = words[word];
  for (let i = 0; i < layouts.length; i++) {
    const layout = layouts[i] as Layout;
    if (layout.lengthWord !== lengthWord || layout.head !== head) continue;
    const end = word + (layout.length >> 2);
    if (end > words.length || words[end - 1] !== lengthWord) continue;
    if (hasLayout(layout, bytes, words, word)) return layout.length;
  }
  return 0;
}

/**
 * Looks at the records from word `from` on which have one of these layouts, the first of them not
 * before `time`. `timeWords`: 2 in version 2, 3 in version 3.
 */
export function lookAhead(
  ahead: Ahead,
  layouts: readonly Layout[],
  bytes: Buffer,
  words: Int32Array,
  from: number,
  timeWords: number,
  time: Timestamp,
): void {
  if (ahead.ends.length === 0) {
    ahead.ends = new Int32Array(MOST);
    ahead.seconds = new Float64Array(MOST);
    ahead.nanoseconds = new Float64Array(MOST);
  }
  const { ends, seconds, nanoseconds } = ahead;
  let { sec, nsec } = time;
  let word = from;
  let count = 0;
  while (count < MOST) {
    const size = sizeAt(layouts, bytes, words, word, timeWords + 2);
    if (size === 0) break;
    const low = swapped(words[word + 1] as number);
    const middle = swapped(words[word + 2] as number);
    const newSec = timeWords === 2 ? low : middle * 0x1_0000_0000 + (low >>> 0);
    const newNsec =
      timeWords === 2 ? (middle >>> 0) * 1000 : swapped(words[word + 3] as number) >>> 0;
    if (newSec < sec || (newSec === sec && newNsec < nsec)) break;
    sec = newSec;
    nsec = newNsec;
    word += size >> 2;
    ends[count] = word;
    seconds[count] = sec;
    nanoseconds[count] = nsec;
    count++;
  }
  ahead.next = 0;
  ahead.count = count;
  ahead.from = from;
}

/**
 * Number of the first one that waits which is not before a limit, or ends after word `end`; `most`
 * when there is none before that.
 */
export function firstBeyond(
  { next, ends, seconds, nanoseconds }: Ahead,
  { sec, nsec }: TimeLimit,
  end: number,
  most: number,
): number {
  let at = next;
  while (at < most) {
    const second = seconds[at] as number;
    if (second > sec || (second === sec && (nanoseconds[at] as number) >= nsec)) break;
    if ((ends[at] as number) > end) break;
    at++;
  }
  return at;
}

/** Passes over those before `number`; says where the next one begins. */
export function passOver(ahead: Ahead, number: number): number {
  if (number > ahead.next) ahead.from = ahead.ends[number - 1] as number;
  ahead.next = number;
  return ahead.from;
}
