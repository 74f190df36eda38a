// Layouts of data records: where every count, PMID and block is. A record that has them at the same places
// with the same words as one that was checked is as sound as that one, so most records of an archive are
// compared instead of read, many of them together (ahead.ts). Refuses nothing.
import { MAX_VLEN, PM_VAL } from "../pcp/mod.ts";
import { type Cut, swapped } from "./cuts.ts";

/**
 * Where everything is in a record: a record of this length that has these words at these places (in
 * words from its start, as the machine reads them) is as sound as the one that it was made from.
 */
export interface Layout {
  readonly length: number;
  /** Words before its value sets, which differ between the versions. */
  readonly head: number;
  /** The length word as the machine reads it. */
  readonly lengthWord: number;
  /** Heads of value sets, and of blocks that are not all alike. */
  readonly places: Int32Array;
  readonly words: Int32Array;
  /** SET_FIELDS numbers for each set with blocks, or for several whose blocks go on alike. */
  readonly sets: Int32Array;
  /** The index words of all blocks; none where they are among the pieces. */
  readonly indexes: Int32Array;
  /** The record that it was made from, and pieces of it that others have, too: pairs of first byte, end. */
  readonly model: Uint8Array;
  readonly pieces: Int32Array;
  /** Last words of blocks with padding, and which of their bytes are that. */
  readonly padPlaces: Int32Array;
  readonly padMasks: Int32Array;
  /** How records of it are encoded; null: not by a cut. Undefined until one was encoded. */
  cut: Cut | null | undefined;
}

/** What a shape knows of the layouts that its records had, the last one first. */
export interface Layouts {
  readonly layouts: Layout[];
  /** How many were made, and how many records had one: making one costs several checks. */
  made: number;
  met: number;
}

/**
 * Of a set with blocks: place of the first index word, number of values, place of the first block,
 * words from one block to the next, their head. 0 words: the heads are among the places.
 */
const SET_FIELDS = 5;
/** Layouts that are remembered for a shape. */
const MOST_LAYOUTS = 12;
/** Layouts that are made before they must have been of use so many times each. */
const FREE_LAYOUTS = 3;
const WORTH = 8;
/** Words from which on comparing them by one call pays. */
const PIECE = 64;
/** Longest record whose layout is remembered, in bytes. */
const LONGEST_LAYOUT = 1024 * 1024;
const PAD_WORD = 0x7e7e7e7e;

/** Whether the blocks of a layout's sets are where they were. */
function hasBlocks({ sets, indexes }: Layout, words: Int32Array, from: number): boolean {
  const looks = indexes.length > 0;
  let next = 0;
  for (let set = 0; set < sets.length; set += SET_FIELDS) {
    const index = from + (sets[set] as number);
    const count = sets[set + 1] as number;
    if (looks) {
      for (let i = 0; i < count; i++) {
        if (words[index + 2 * i] !== indexes[next + i]) return false;
      }
      next += count;
    }
    const step = sets[set + 3] as number;
    if (step === 0) continue;
    const head = sets[set + 4] as number;
    const block = from + (sets[set + 2] as number);
    const end = block + step * count;
    let differs = 0;
    for (let at = block; at < end; at += step) differs |= (words[at] as number) ^ head;
    if (differs !== 0) return false;
  }
  return true;
}

/** Whether the record that begins at word `from` has a layout; its length is that of the layout. */
export function hasLayout(layout: Layout, bytes: Buffer, words: Int32Array, from: number): boolean {
  const { places, words: expected, padPlaces, padMasks, pieces, model } = layout;
  for (let i = 0; i < pieces.length; i += 2) {
    const at = pieces[i] as number;
    const end = pieces[i + 1] as number;
    if (bytes.compare(model, at, end, 4 * from + at, 4 * from + end) !== 0) return false;
  }
  for (let i = 0; i < places.length; i++) {
    if (words[from + (places[i] as number)] !== expected[i]) return false;
  }
  if (!hasBlocks(layout, words, from)) return false;
  for (let i = 0; i < padPlaces.length; i++) {
    const word = words[from + (padPlaces[i] as number)] as number;
    if (((word ^ PAD_WORD) & (padMasks[i] as number)) !== 0) return false;
  }
  return true;
}

/** Finds the layout of the record at word `from`, which is whole in `words`; undefined: none. */
export function matchLayout(
  known: Layouts,
  bytes: Buffer,
  words: Int32Array,
  from: number,
  head: number,
  length: number,
): Layout | undefined {
  const { layouts } = known;
  for (let i = 0; i < layouts.length; i++) {
    const layout = layouts[i] as Layout;
    if (layout.length !== length || layout.head !== head) continue;
    if (!hasLayout(layout, bytes, words, from)) continue;
    known.met++;
    if (i > 0) {
      layouts.splice(i, 1);
      layouts.unshift(layout);
    }
    return layout;
  }
  return undefined;
}

/** A layout being made: places are in words from the start of the record. */
interface Draft {
  readonly places: number[];
  readonly sets: number[];
  readonly indexes: number[];
  readonly padPlaces: number[];
  readonly padMasks: number[];
}

/** Takes note of the blocks of a set whose values begin at word `at` of the record. */
function noteBlocks(
  draft: Draft,
  heads: number[],
  words: Int32Array,
  from: number,
  at: number,
  numval: number,
  exact: boolean,
): void {
  const first = swapped(words[from + at + 1] as number) - WORD_BASE;
  const head = words[from + first] as number;
  const blocks: number[] = [];
  let step = -1;
  for (let i = 0; i < numval; i++) {
    const index = words[from + at + 1 + 2 * i] as number;
    draft.indexes.push(index);
    const block = swapped(index) - WORD_BASE;
    const word = words[from + block] as number;
    const vlen = swapped(word) & MAX_VLEN;
    const size = (vlen + 3) >> 2;
    blocks.push(block);
    if (word !== head) step = 0;
    else if (step < 0) step = size;
    if (size * 4 === vlen) continue;
    draft.padPlaces.push(block + size - 1);
    // The machine reads the last byte as the highest one.
    draft.padMasks.push(-1 << (8 * (4 - (size * 4 - vlen))));
  }
  if (step === 0) heads.push(...blocks);
  if (!exact || !goOn(draft.sets, first, numval, step, head)) {
    draft.sets.push(at + 1, numval, first, step, head);
  }
}

/** Adds the blocks of a set to those of the set before when they go on like them. */
function goOn(sets: number[], first: number, numval: number, step: number, head: number): boolean {
  const last = sets.length - SET_FIELDS;
  if (last < 0 || step === 0 || sets[last + 3] !== step || sets[last + 4] !== head) return false;
  const count = sets[last + 1] as number;
  if ((sets[last + 2] as number) + step * count !== first) return false;
  sets[last + 1] = count + numval;
  return true;
}

/** A block index counts words from this many before its record. */
const WORD_BASE = 2;

/** Splits ascending places into pieces of many that follow one another, and the others. */
function takePieces(places: readonly number[]): { pieces: number[]; others: number[] } {
  const pieces: number[] = [];
  const others: number[] = [];
  for (let i = 0; i < places.length;) {
    let end = i + 1;
    while (end < places.length && places[end] === (places[end - 1] as number) + 1) end++;
    const first = places[i] as number;
    if (end - i < PIECE) others.push(...places.slice(i, end));
    else pieces.push(4 * first, 4 * (first + end - i));
    i = end;
  }
  return { pieces, others };
}

/** Whether another layout is worth its making, and whether it has the instances. */
function worth(known: Layouts, exact: boolean): "exact" | "loose" | undefined {
  const { made, met } = known;
  if (made < FREE_LAYOUTS || met >= made * WORTH) return "exact";
  // Instances that are others each time need not be the same.
  return exact || made >= 2 * FREE_LAYOUTS ? undefined : "loose";
}

/**
 * Remembers the layout of a sound record with even padding, for matchLayout. It begins at word `from`
 * and its `count` value sets `head` words later. `exact`: it is of use only with the instances.
 */
export function keepLayout(
  known: Layouts,
  words: Int32Array,
  from: number,
  head: number,
  count: number,
  exact: boolean,
): Layout | undefined {
  const length = swapped(words[from] as number);
  if (length > LONGEST_LAYOUT) return undefined;
  const how = worth(known, exact);
  if (how === undefined) return undefined;
  known.made++;
  const draft: Draft = { places: [], sets: [], indexes: [], padPlaces: [], padMasks: [] };
  const blocks: number[] = [];
  draft.places.push(head - 1);
  let at = head;
  for (let i = 0; i < count; i++) {
    draft.places.push(at, at + 1);
    const numval = swapped(words[from + at + 1] as number);
    if (numval > 0) {
      draft.places.push(at + 2);
      const insitu = words[from + at + 2] === PM_VAL.INSITU;
      if (!insitu) noteBlocks(draft, blocks, words, from, at + 3, numval, how === "exact");
      for (let value = 0; value < numval && how === "exact"; value++) {
        draft.places.push(at + 3 + 2 * value);
        if (!insitu) draft.places.push(at + 4 + 2 * value);
      }
    }
    at += numval > 0 ? 3 + 2 * numval : 2;
  }
  const { pieces, others: places } = takePieces(draft.places);
  places.push(...blocks);
  const found = new Int32Array(places.length);
  places.forEach((place, i) => (found[i] = words[from + place] as number));
  const layout: Layout = {
    length,
    head,
    lengthWord: words[from] as number,
    places: Int32Array.from(places),
    model: new Uint8Array(words.slice(from, from + (length >> 2)).buffer),
    pieces: Int32Array.from(pieces),
    words: found,
    sets: Int32Array.from(draft.sets),
    indexes: Int32Array.from(how === "exact" ? [] : draft.indexes),
    padPlaces: Int32Array.from(draft.padPlaces),
    padMasks: Int32Array.from(draft.padMasks),
    cut: undefined,
  };
  known.layouts.unshift(layout);
  if (known.layouts.length > MOST_LAYOUTS) known.layouts.pop();
  return layout;
}
