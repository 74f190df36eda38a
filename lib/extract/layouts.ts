// Layouts of data records: where every count, PMID and block is. A record that has them at the same places
// with the same words as one that was checked is as sound as that one, so most records of an archive are
// compared instead of read, and runs of them are stepped over together. Refuses nothing.
import { MAX_VLEN, PM_VAL } from "../pcp/mod.ts";
import type { Shape } from "./shapes.ts";

/**
 * Where everything is in a record: a record of this length that has these words at these places (in
 * words from its start, as the machine reads them) is as sound as the one that it was made from.
 */
export interface Layout {
  readonly length: number;
  /** The length word as the machine reads it. */
  readonly lengthWord: number;
  readonly places: Int32Array;
  readonly words: Int32Array;
  /** Last words of blocks with padding, and which of their bytes are that. */
  readonly padPlaces: Int32Array;
  readonly padMasks: Int32Array;
}

/** Layouts that are remembered for a shape. */
const MOST_LAYOUTS = 12;
/** Layouts that are made before they must have been of use so many times each. */
const FREE_LAYOUTS = 12;
const WORTH = 8;
/** Longest record whose layout is remembered, in bytes. */
const LONGEST_LAYOUT = 1024 * 1024;
const PAD_WORD = 0x7e7e7e7e;

/** Whether the record that begins at word `from` has a layout; its length is that of the layout. */
function hasLayout(layout: Layout, words: Int32Array, from: number): boolean {
  const { places, words: expected, padPlaces, padMasks } = layout;
  for (let i = 0; i < places.length; i++) {
    if (words[from + (places[i] as number)] !== expected[i]) return false;
  }
  for (let i = 0; i < padPlaces.length; i++) {
    const word = words[from + (padPlaces[i] as number)] as number;
    if (((word ^ PAD_WORD) & (padMasks[i] as number)) !== 0) return false;
  }
  return true;
}

/** Finds a shape that has the layout of the record at word `from`, which is whole in `words`. */
export function matchLayout(
  shape: Shape,
  words: Int32Array,
  from: number,
  length: number,
): boolean {
  const { layouts } = shape;
  for (let i = 0; i < layouts.length; i++) {
    const layout = layouts[i] as Layout;
    if (layout.length !== length || !hasLayout(layout, words, from)) continue;
    shape.met++;
    if (i > 0) {
      layouts.splice(i, 1);
      layouts.unshift(layout);
    }
    return true;
  }
  return false;
}

/** Remembers the layout of a sound record with even padding, for matchLayout. */
export function keepLayout(
  shape: Shape,
  words: Int32Array,
  view: DataView,
  record: number,
  setsAt: number,
  length: number,
): void {
  if (length > LONGEST_LAYOUT) return;
  if (shape.made >= FREE_LAYOUTS && shape.met < shape.made * WORTH) return;
  shape.made++;
  const places: number[] = [];
  const padPlaces: number[] = [];
  const padMasks: number[] = [];
  const note = (at: number): void => {
    places.push((at - record) >> 2);
  };
  note(setsAt - 4);
  let at = setsAt;
  for (let i = 0; i < shape.pmids.length; i++) {
    note(at);
    note(at + 4);
    const numval = view.getInt32(at + 4);
    if (numval <= 0) {
      at += 8;
      continue;
    }
    note(at + 8);
    const stop = at + 12 + 8 * numval;
    if (view.getInt32(at + 8) !== PM_VAL.INSITU) {
      for (let value = at + 16; value < stop; value += 8) {
        const block = record - 8 + 4 * view.getInt32(value);
        const vlen = view.getInt32(block) & MAX_VLEN;
        const size = (vlen + 3) & ~3;
        note(value);
        note(block);
        if (size === vlen) continue;
        padPlaces.push((block + size - 4 - record) >> 2);
        // The machine reads the last byte as the highest one.
        padMasks.push(-1 << (8 * (4 - (size - vlen))));
      }
    }
    at = stop;
  }
  const from = record >> 2;
  const found: number[] = [];
  for (const place of places) found.push(words[from + place] as number);
  shape.layouts.unshift({
    length,
    lengthWord: words[from] as number,
    places: Int32Array.from(places),
    words: Int32Array.from(found),
    padPlaces: Int32Array.from(padPlaces),
    padMasks: Int32Array.from(padMasks),
  });
  if (shape.layouts.length > MOST_LAYOUTS) shape.layouts.pop();
}

/** A word of the archive as the machine read it, the right way round; and the other way. */
export const swapped = (word: number): number =>
  (word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24);

/** Records that follow one another, as `stepOver` finds them. */
export interface Run {
  /** Where the next record begins in the words, and how many words there are. */
  word: number;
  /** Time of the last record; nothing earlier is stepped over. */
  sec: number;
  nsec: number;
  /** The first time that is not stepped over any more; infinite seconds for none. */
  limitSec: number;
  limitNsec: number;
  /** Bytes that the records may have together. */
  room: number;
  /** What was stepped over, and how long the last record of it is in bytes. */
  records: number;
  lastLength: number;
}

/**
 * Steps over records of a shape that have a known layout, whole within the words, in order of time
 * and before the limits. `timeWords`: 2 in version 2, 3 in version 3.
 */
export function stepOver(run: Run, shape: Shape, words: Int32Array, timeWords: number): void {
  const { layouts } = shape;
  const count = words.length;
  let { word, sec, nsec, room } = run;
  for (;;) {
    const lengthWord = words[word];
    let size = 0;
    for (let i = 0; i < layouts.length; i++) {
      const layout = layouts[i] as Layout;
      if (layout.lengthWord !== lengthWord || word + (layout.length >> 2) > count) continue;
      if (words[word + (layout.length >> 2) - 1] !== lengthWord) continue;
      if (!hasLayout(layout, words, word)) continue;
      size = layout.length;
      break;
    }
    if (size === 0 || size > room) break;
    const low = swapped(words[word + 1] as number);
    const middle = swapped(words[word + 2] as number);
    const newSec = timeWords === 2 ? low : middle * 0x1_0000_0000 + (low >>> 0);
    const newNsec =
      timeWords === 2 ? (middle >>> 0) * 1000 : swapped(words[word + 3] as number) >>> 0;
    if (newSec < sec || (newSec === sec && newNsec < nsec)) break;
    if (newSec > run.limitSec || (newSec === run.limitSec && newNsec >= run.limitNsec)) break;
    sec = newSec;
    nsec = newNsec;
    room -= size;
    word += size >> 2;
    run.records++;
    run.lastLength = size;
  }
  run.word = word;
  run.sec = sec;
  run.nsec = nsec;
  run.room = room;
}
