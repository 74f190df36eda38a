// Results of fetches over archives: the wanted value sets of a record in bytes of their own, in the
// order asked for, with the instances of the profile (spec archive.md 9.2). Values are copied as they
// are stored; sets that stand together in record and request are copied together, as in a checked
// record their blocks do, too. Refuses nothing; the record was checked.
import { pad4, viewOf } from "../base/mod.ts";
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

/** What is being written: sets at `at`, blocks at `block`, whose indexes count from `base`. */
interface Output {
  readonly to: DataView;
  at: number;
  block: number;
  base: number | undefined;
}

/** Bytes of the block of the value at `at`. */
const blockSize = (view: DataView, wordBase: number, at: number): number =>
  pad4(view.getUint32(wordBase + 4 * view.getInt32(at + 4)) & MAX_VLEN);

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
  for (let i = 0; i < length; i += 4) to.setInt32(at + i, from.getInt32(start + i));
}

/**
 * The sets of one request in record after record. Numbers of the record at hand are in arrays by the
 * place in the request.
 */
export class Selection {
  readonly pmids: readonly Pmid[];
  /** The first place of each metric, and for each place the next one of the same metric. */
  private readonly places = new Map<Pmid, number>();
  private readonly following: Int32Array;
  private readonly distinct: boolean;
  /** Where the set is in the record, or ABSENT; where it ends; its blocks, or NO_BLOCKS. */
  private readonly start: Int32Array;
  private readonly end: Int32Array;
  private readonly blocks: Int32Array;
  private readonly blocksEnd: Int32Array;
  /** Numbers of the values that are kept; undefined: all. */
  private readonly kept: (readonly number[] | undefined)[];

  constructor(pmids: readonly Pmid[]) {
    this.pmids = [...pmids];
    const count = pmids.length;
    this.following = new Int32Array(count).fill(ABSENT);
    this.start = new Int32Array(count);
    this.end = new Int32Array(count);
    this.blocks = new Int32Array(count);
    this.blocksEnd = new Int32Array(count);
    this.kept = pmids.map(() => undefined);
    for (let place = count - 1; place >= 0; place--) {
      const pmid = pmids[place] as Pmid;
      this.following[place] = this.places.get(pmid) ?? ABSENT;
      this.places.set(pmid, place);
    }
    this.distinct = this.places.size === count;
  }

  /** The wanted sets of a record; undefined when it has none. No filter: all instances. */
  select(result: ResultView, filter: MetricFilter | undefined): ResultView | undefined {
    const { start, pmids, places } = this;
    start.fill(ABSENT);
    let any = false;
    // Most records have the metrics in the order in which they are asked for.
    let guess = this.distinct ? 0 : ABSENT;
    for (const set = result.sets(); set.next();) {
      let place = pmids[guess] === set.pmid ? guess : (places.get(set.pmid) ?? ABSENT);
      if (place === ABSENT) continue;
      any = true;
      if (this.distinct) guess = place + 1;
      for (; place !== ABSENT; place = this.following[place] as number) {
        if (start[place] === ABSENT) this.take(place, set, filter);
      }
    }
    return any ? this.copy(result) : undefined;
  }

  private take(place: number, set: ValueSetCursor, filter: MetricFilter | undefined): void {
    const { numval, offset, view } = set;
    this.start[place] = offset;
    this.end[place] = offset + (numval > 0 ? SET_HEAD + 8 * numval : EMPTY_SET);
    this.blocks[place] = NO_BLOCKS;
    this.blocksEnd[place] = NO_BLOCKS;
    this.kept[place] = undefined;
    if (numval <= 0) return;
    const wants = filter?.(set.pmid);
    if (wants !== undefined) {
      const kept: number[] = [];
      for (let i = 0; i < numval; i++) if (wants(set.instance(i))) kept.push(i);
      this.kept[place] = kept;
    }
    if (set.valfmt === PM_VAL.INSITU) return;
    const last = set.block(numval - 1);
    this.blocks[place] = set.block(0);
    this.blocksEnd[place] = last + pad4(view.getUint32(last) & MAX_VLEN);
  }

  /** Bytes of the sets and of the blocks of the result. */
  private measure({ view, wordBase }: ResultView): { sets: number; blocks: number } {
    let sets = 0;
    let blocks = 0;
    for (let place = 0; place < this.pmids.length; place++) {
      const start = this.start[place] as number;
      const kept = this.kept[place];
      if (start === ABSENT || kept?.length === 0) sets += EMPTY_SET;
      else if (kept === undefined) {
        sets += (this.end[place] as number) - start;
        blocks += (this.blocksEnd[place] as number) - (this.blocks[place] as number);
      } else {
        sets += SET_HEAD + 8 * kept.length;
        if (this.blocks[place] === NO_BLOCKS) continue;
        for (const i of kept) blocks += blockSize(view, wordBase, start + SET_HEAD + 8 * i);
      }
    }
    return { sets, blocks };
  }

  private copy(result: ResultView): ResultView {
    const { pmids, start, kept } = this;
    const size = this.measure(result);
    const to = viewOf(new Uint8Array(size.sets + size.blocks));
    const out: Output = { to, at: 0, block: size.sets, base: undefined };
    for (let place = 0; place < pmids.length;) {
      if (start[place] === ABSENT || kept[place]?.length === 0) {
        to.setUint32(out.at, pmids[place] as number);
        out.at += EMPTY_SET;
        place++;
      } else if (kept[place] === undefined) place = this.copyRun(result, place, out);
      else {
        this.copyKept(result, place, out);
        place++;
      }
    }
    const bytes = new Uint8Array(to.buffer);
    return new ResultView(bytes, result.timestamp, pmids.length, 0, out.base ?? 0, to);
  }

  /** Copies sets that stand together from `place` on; returns the place after them. */
  private copyRun({ view, bytes }: ResultView, place: number, out: Output): number {
    const { start, end, kept } = this;
    const from = start[place] as number;
    let to = end[place] as number;
    let block = NO_BLOCKS;
    let blocksEnd = NO_BLOCKS;
    let next = place;
    do {
      to = end[next] as number;
      if (this.blocks[next] !== NO_BLOCKS) {
        if (block === NO_BLOCKS) {
          block = this.blocks[next] as number;
          // The first blocks keep their indexes: those of a result may count from anywhere.
          out.base ??= out.block - 4 * view.getInt32((start[next] as number) + SET_HEAD + 4);
        }
        blocksEnd = this.blocksEnd[next] as number;
      }
      next++;
    } while (start[next] === to && kept[next] === undefined);
    copyWords(view, bytes, from, to - from, out.to, out.at);
    if (block !== NO_BLOCKS) {
      copyWords(view, bytes, block, blocksEnd - block, out.to, out.block);
      this.moveIndexes(place, next, from, block, out);
      out.block += blocksEnd - block;
    }
    out.at += to - from;
    return next;
  }

  /** Makes the block indexes of a run that was copied right. */
  private moveIndexes(
    place: number,
    next: number,
    from: number,
    block: number,
    { to, at, block: copied, base = 0 }: Output,
  ): void {
    for (let i = place; i < next; i++) {
      if (this.blocks[i] === NO_BLOCKS) continue;
      const head = at + (this.start[i] as number) - from;
      const first = (copied - base + (this.blocks[i] as number) - block) / 4;
      const by = first - to.getInt32(head + SET_HEAD + 4);
      if (by === 0) return;
      const numval = to.getInt32(head + 4);
      for (let word = head + SET_HEAD + 4; word < head + SET_HEAD + 8 * numval; word += 8)
        to.setInt32(word, to.getInt32(word) + by);
    }
  }

  /** Copies the values of a set that the filter has left. */
  private copyKept({ view, bytes, wordBase }: ResultView, place: number, out: Output): void {
    const { to } = out;
    const start = this.start[place] as number;
    const kept = this.kept[place] ?? [];
    to.setInt32(out.at, view.getInt32(start));
    to.setInt32(out.at + 4, kept.length);
    to.setInt32(out.at + 8, view.getInt32(start + 8));
    out.at += SET_HEAD;
    for (const i of kept) {
      const from = start + SET_HEAD + 8 * i;
      to.setInt32(out.at, view.getInt32(from));
      if (this.blocks[place] === NO_BLOCKS) to.setInt32(out.at + 4, view.getInt32(from + 4));
      else {
        out.base ??= 0;
        const size = blockSize(view, wordBase, from);
        copyWords(view, bytes, wordBase + 4 * view.getInt32(from + 4), size, to, out.block);
        to.setInt32(out.at + 4, (out.block - out.base) / 4);
        out.block += size;
      }
      out.at += 8;
    }
  }
}

/** A whole record in bytes of its own. */
export function copyRecord(result: ResultView, raw: Uint8Array): ResultView {
  const { timestamp, numpmid, setsAt, wordBase } = result;
  const bytes = raw.slice();
  if (numpmid === 0) return new ResultView(bytes, timestamp, 0, bytes.length);
  // A block index counts from eight bytes before the record, which shows where it begins.
  return new ResultView(bytes, timestamp, numpmid, setsAt - (wordBase + 8), -8);
}
