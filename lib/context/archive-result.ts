// Results of fetches over archives: the wanted value sets of a record in bytes of their own, in the
// order asked for, with the instances of the profile (spec archive.md 9.2). Values are copied as they
// are stored; sets that stand together in record and request are copied together, as in a checked
// record their blocks do, too. Refuses nothing; the record was checked.
import { pad4 } from "../base/mod.ts";
import {
  type Indom,
  type InstanceId,
  MAX_VLEN,
  PM_VAL,
  type Pmid,
  ResultView,
  type ValueSetCursor,
} from "../pcp/mod.ts";

/** Which instances of a domain are wanted; undefined: all. */
export type Filter = (indom: Indom) => ((instance: InstanceId) => boolean) | undefined;

/** Which instances of a metric are wanted; undefined: all. */
export type MetricFilter = (pmid: Pmid) => ((instance: InstanceId) => boolean) | undefined;

const SET_HEAD = 12;
const EMPTY_SET = 8;
/** Up to so many bytes a loop over words copies faster than a call. */
const SHORT = 128;
const ABSENT = -1;
const NO_BLOCKS = -1;
/** Records until what one came to is remembered; twice as many each time that it was of little use. */
const FIRST_WAIT = 2;
const MOST_WAIT = 1024;
/** Records that have to be like one to make it of use. */
const USEFUL = 8;
/** Sets of a record whose places are remembered. */
const MAX_ORDER = 10_000;

/** Which of some metrics the sets of a record are; records mostly have the same sets as those before. */
export class Places {
  private readonly places = new Map<Pmid, number>();
  /** The metrics of the record before by the number of their sets, and their places. */
  private readonly pmids: Pmid[] = [];
  private readonly order: number[] = [];

  /** `pmids` by place; of equal ones the last counts. */
  constructor(pmids: readonly Pmid[]) {
    pmids.forEach((pmid, place) => this.places.set(pmid, place));
  }

  /** The place of a metric, that of the set with this number; -1 for one that is not there. */
  of(number: number, pmid: Pmid): number {
    if (this.pmids[number] === pmid) return this.order[number] as number;
    const place = this.places.get(pmid) ?? ABSENT;
    if (number < MAX_ORDER) {
      this.pmids[number] = pmid;
      this.order[number] = place;
    }
    return place;
  }
}

/** Whether two requests are for the same metrics in the same order. */
export function samePmids(a: readonly Pmid[], b: readonly Pmid[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Copies words, `length` bytes in all. */
function copyWords(
  from: DataView,
  bytes: Uint8Array,
  start: number,
  length: number,
  to: DataView,
  at: number,
): void {
  if (length > SHORT) {
    new Uint8Array(to.buffer, at, length).set(bytes.subarray(start, start + length));
    return;
  }
  for (let i = 0; i < length; i += 4) to.setInt32(at + i, from.getInt32(start + i, true), true);
}

/** A record and what was made of it, for others with the same sets; offsets are from the first set. */
interface Layout {
  /** All sets of the record, which have no values in situ. */
  readonly sets: Buffer;
  readonly numpmid: number;
  /** Metrics of the request. */
  readonly requested: number;
  /** What block indexes count from. */
  readonly wordBase: number;
  /** The last of the blocks that were copied, whose length no index after it tells. */
  readonly far: number;
  readonly farHead: number;
  readonly template: Uint8Array;
  /** Blocks: where they are in the record and in the result, and how many bytes. */
  readonly runs: Int32Array;
  /** Records that were like it. */
  hits: number;
}

/**
 * The sets of one request in record after record. Numbers of the record at hand are in arrays by the
 * place in the request.
 */
export class Selection {
  readonly pmids: readonly Pmid[];
  /** The last place of each metric, and for each place the one before of the same metric. */
  private readonly places: Places;
  private readonly following: Int32Array;
  private readonly distinct: boolean;
  /** Where the set is in the record, or ABSENT; its values; where its blocks are, or NO_BLOCKS. */
  private readonly start: Int32Array;
  private readonly count: Int32Array;
  private readonly blocks: Int32Array;
  private readonly blocksEnd: Int32Array;
  /** Numbers of the values that are kept; undefined: all. */
  private readonly kept: (readonly number[] | undefined)[];
  /** Bytes of the result: sets, blocks. */
  private setBytes = 0;
  private blockBytes = 0;
  /** Where the last block is that was taken. */
  private far = NO_BLOCKS;
  private layout: Layout | undefined;
  private wait = FIRST_WAIT;
  private left = FIRST_WAIT;

  constructor(pmids: readonly Pmid[]) {
    this.pmids = [...pmids];
    const count = pmids.length;
    this.following = new Int32Array(count).fill(ABSENT);
    this.start = new Int32Array(count);
    this.count = new Int32Array(count);
    this.blocks = new Int32Array(count);
    this.blocksEnd = new Int32Array(count);
    this.kept = pmids.map(() => undefined);
    this.places = new Places(pmids);
    const last = new Map<Pmid, number>();
    pmids.forEach((pmid, place) => {
      this.following[place] = last.get(pmid) ?? ABSENT;
      last.set(pmid, place);
    });
    this.distinct = last.size === count;
  }

  /** The wanted sets of a record; undefined when it has none. No filter: all instances. */
  select(result: ResultView, filter: MetricFilter | undefined): ResultView | undefined {
    if (this.layout !== undefined && filter === undefined) {
      const known = copyLike(this.layout, result);
      if (known !== undefined) return known;
    }
    return this.selectAnew(result, filter);
  }

  private selectAnew(result: ResultView, filter: MetricFilter | undefined): ResultView | undefined {
    const { start, pmids, places, following } = this;
    this.far = NO_BLOCKS;
    let insitu = false;
    start.fill(ABSENT);
    this.setBytes = EMPTY_SET * pmids.length;
    this.blockBytes = 0;
    let any = false;
    let inOrder = this.distinct && filter === undefined && result.numpmid === pmids.length;
    const set = result.sets();
    for (let number = 0; set.next(); number++) {
      let place = places.of(number, set.pmid);
      inOrder &&= place === number;
      insitu ||= set.numval > 0 && set.valfmt === PM_VAL.INSITU;
      if (place === ABSENT) continue;
      any = true;
      for (; place !== ABSENT; place = following[place] as number) {
        if (start[place] === ABSENT) this.take(place, set, filter);
      }
    }
    if (!any) return undefined;
    if (inOrder) return this.copyAll(result);
    const copied = this.copy(result);
    if (filter === undefined) {
      const end = set.offset + (set.numval > 0 ? SET_HEAD + 8 * set.numval : EMPTY_SET);
      this.remember(result, end, copied, insitu);
    }
    return copied;
  }

  /** Keeps what a record whose sets end at `end` came to, now and then. */
  private remember(result: ResultView, end: number, copied: ResultView, insitu: boolean): void {
    const { layout } = this;
    if (layout !== undefined) {
      this.wait = layout.hits < USEFUL ? Math.min(MOST_WAIT, 2 * this.wait) : FIRST_WAIT;
      this.left = this.wait;
      this.layout = undefined;
    }
    if (--this.left > 0) return;
    this.left = this.wait;
    if (insitu || this.far === NO_BLOCKS) return;
    const { view, bytes, numpmid, setsAt, wordBase } = result;
    this.layout = {
      sets: Buffer.from(bytes.subarray(setsAt, end)),
      numpmid,
      requested: this.pmids.length,
      wordBase: wordBase - setsAt,
      far: this.far - setsAt,
      farHead: view.getInt32(this.far),
      template: copied.bytes.slice(),
      runs: this.runs(setsAt),
      hits: 0,
    };
  }

  /** Where the blocks of the record at hand are and where they went, those that stand together as one. */
  private runs(setsAt: number): Int32Array {
    const runs: number[] = [];
    let to = this.setBytes;
    let end = NO_BLOCKS;
    for (let place = 0; place < this.pmids.length; place++) {
      const from = this.blocks[place] as number;
      if (this.start[place] === ABSENT || (this.count[place] as number) <= 0) continue;
      const size = (this.blocksEnd[place] as number) - from;
      if (from === end) runs.push((runs.pop() as number) + size);
      else runs.push(from - setsAt, to, size);
      end = from + size;
      to += size;
    }
    return Int32Array.from(runs);
  }

  private take(place: number, set: ValueSetCursor, filter: MetricFilter | undefined): void {
    const { numval, offset, view } = set;
    this.start[place] = offset;
    this.count[place] = numval;
    this.blocks[place] = NO_BLOCKS;
    if (numval <= 0) return;
    const insitu = set.valfmt === PM_VAL.INSITU;
    if (filter !== undefined && this.filtered(place, set, filter(set.pmid))) return;
    this.kept[place] = undefined;
    this.setBytes += SET_HEAD - EMPTY_SET + 8 * numval;
    if (insitu) return;
    const block = set.block(0);
    const last = numval === 1 ? block : set.block(numval - 1);
    const end = last + pad4(view.getUint32(last) & MAX_VLEN);
    this.blocks[place] = block;
    this.blocksEnd[place] = end;
    if (last > this.far) this.far = last;
    this.blockBytes += end - block;
  }

  /** Takes the values that are wanted; false when that is all of them. */
  private filtered(
    place: number,
    set: ValueSetCursor,
    wants: ((instance: InstanceId) => boolean) | undefined,
  ): boolean {
    if (wants === undefined) return false;
    const kept: number[] = [];
    const insitu = set.valfmt === PM_VAL.INSITU;
    for (let i = 0; i < set.numval; i++) {
      if (!wants(set.instance(i))) continue;
      kept.push(i);
      if (!insitu) this.blockBytes += pad4(set.view.getUint32(set.block(i)) & MAX_VLEN);
    }
    this.kept[place] = kept;
    this.count[place] = kept.length;
    if (kept.length > 0) this.setBytes += SET_HEAD - EMPTY_SET + 8 * kept.length;
    if (!insitu) this.blocks[place] = set.block(0);
    return true;
  }

  /** All sets and blocks of a record that has just those asked for, in their order. */
  private copyAll({ bytes, timestamp, numpmid, setsAt, wordBase }: ResultView): ResultView {
    const end = setsAt + this.setBytes + this.blockBytes;
    return new ResultView(bytes.slice(setsAt, end), timestamp, numpmid, 0, wordBase - setsAt);
  }

  private copy({ view, bytes, wordBase, timestamp }: ResultView): ResultView {
    const { pmids, start, count, kept, blocks } = this;
    const out = new Uint8Array(new ArrayBuffer(this.setBytes + this.blockBytes));
    const to = new DataView(out.buffer);
    let at = 0;
    let block = this.setBytes;
    for (let place = 0; place < pmids.length; place++) {
      const from = start[place] as number;
      const numval = from === ABSENT ? 0 : (count[place] as number);
      to.setUint32(at, pmids[place] as number);
      to.setInt32(at + 4, numval);
      at += EMPTY_SET;
      if (numval <= 0) continue;
      to.setInt32(at, view.getInt32(from + EMPTY_SET));
      at += SET_HEAD - EMPTY_SET;
      const first = blocks[place] as number;
      const list = kept[place];
      if (list !== undefined) {
        for (const i of list) {
          const value = from + SET_HEAD + 8 * i;
          to.setInt32(at, view.getInt32(value));
          const word = view.getInt32(value + 4);
          if (first === NO_BLOCKS) to.setInt32(at + 4, word);
          else {
            const stored = wordBase + 4 * word;
            const size = pad4(view.getUint32(stored) & MAX_VLEN);
            to.setInt32(at + 4, block / 4);
            copyWords(view, bytes, stored, size, to, block);
            block += size;
          }
          at += 8;
        }
        continue;
      }
      // The blocks of a set stand together: all indexes change by the same.
      const by = first === NO_BLOCKS ? 0 : (block + wordBase - first) / 4;
      const end = from + SET_HEAD + 8 * numval;
      for (let value = from + SET_HEAD; value < end; value += 8, at += 8) {
        to.setInt32(at, view.getInt32(value));
        to.setInt32(at + 4, view.getInt32(value + 4) + by);
      }
      if (first === NO_BLOCKS) continue;
      const size = (this.blocksEnd[place] as number) - first;
      copyWords(view, bytes, first, size, to, block);
      block += size;
    }
    return new ResultView(out, timestamp, pmids.length, 0, 0, to);
  }
}

/** What a record with the same sets comes to; undefined for other records. */
function copyLike(layout: Layout, result: ResultView): ResultView | undefined {
  const { sets, runs, template, far } = layout;
  const { bytes, view, setsAt, wordBase, numpmid, timestamp } = result;
  const end = setsAt + sets.length;
  if (numpmid !== layout.numpmid || wordBase - setsAt !== layout.wordBase) return undefined;
  if (end > bytes.length || sets.compare(bytes, setsAt, end) !== 0) return undefined;
  // Indexes that are the same tell that all blocks but the last one have the same lengths.
  if (view.getInt32(setsAt + far) !== layout.farHead) return undefined;
  layout.hits++;
  const out = template.slice();
  const to = new DataView(out.buffer);
  for (let i = 0; i < runs.length; i += 3) {
    const from = setsAt + (runs[i] as number);
    copyWords(view, bytes, from, runs[i + 2] as number, to, runs[i + 1] as number);
  }
  return new ResultView(out, timestamp, layout.requested, 0, 0, to);
}

/** A whole record in bytes of its own. */
export function copyRecord(result: ResultView, raw: Uint8Array): ResultView {
  const { timestamp, numpmid, setsAt, wordBase } = result;
  const bytes = raw.slice();
  if (numpmid === 0) return new ResultView(bytes, timestamp, 0, bytes.length);
  // A block index counts from eight bytes before the record, which shows where it begins.
  return new ResultView(bytes, timestamp, numpmid, setsAt - (wordBase + 8), -8);
}
