// What interpolation knows on one side of a time: for each instance of a metric the nearest value
// there, or that there is none up to a mark or the end (spec archive.md 10.2). Facts hold for a
// stretch of time and are kept, so that steps through an archive find most of them known, and a
// search for what is not there is made once. Numbers lie in arrays; no object per value. Refused with
// PM_ERR_LOGREC: values stored in a form that the metric's type does not have.
import { pad4, PM_ERR, PcpError } from "../base/mod.ts";
import {
  type Desc,
  MAX_VLEN,
  PM_TYPE,
  PM_VAL,
  pmIDStr,
  type Pmid,
  type ValueSetCursor,
} from "../pcp/mod.ts";

/** Form of the values of a type: a 32-bit word, two of them, or a block kept as it is. */
export type Form = "word" | "pair" | "block";

/** The form in which a type is kept. */
export function formOf(type: number): Form {
  if (type === PM_TYPE.I32 || type === PM_TYPE.U32 || type === PM_TYPE.FLOAT) return "word";
  return type === PM_TYPE.I64 || type === PM_TYPE.U64 || type === PM_TYPE.DOUBLE ? "pair" : "block";
}

/** What both sides of a metric share: its values have one place each. */
export interface Places {
  readonly desc: Desc;
  readonly form: Form;
  /** Number of places: instances of all times, or one. */
  readonly count: number;
  /** The place of an instance, -1 for one without. */
  placeOf(instance: number): number;
  /** How records have stored the values so far: PM_VAL.INSITU or not; undefined before the first. */
  insitu: boolean | undefined;
}

const broken = (pmid: Pmid, reason: string): PcpError =>
  new PcpError(PM_ERR.LOGREC, `metric ${pmIDStr(pmid)}: ${reason}`);

/** Throws PM_ERR_LOGREC for values in a form that their type does not have, or that changes. */
function checkForm(places: Places, set: ValueSetCursor): void {
  const insitu = set.valfmt === PM_VAL.INSITU;
  if (places.insitu === insitu) return;
  const { type, pmid } = places.desc;
  const fits = type === PM_TYPE.FLOAT || insitu === (places.form === "word");
  if (!fits || places.insitu !== undefined) {
    throw broken(pmid, `value format ${set.valfmt} does not fit type ${type} or values before`);
  }
  places.insitu = insitu;
}

/**
 * One side of a metric. Distances `u` grow in the direction of the search: seconds on the side of
 * later records, negative seconds on the other. A fact says that from `from` to `at` there is neither
 * a value nor a mark before that at `at`.
 */
export class Bounds {
  readonly at: Float64Array;
  /** 1: the value is at `at`; 0: there is none, as at `at` is a mark or, if infinite, the end. */
  readonly has: Uint8Array;
  /** Values of the forms word (low) and pair. */
  readonly high: Uint32Array;
  readonly low: Uint32Array;
  /** Values of the form block, with their padding. */
  readonly blocks: (Uint8Array | undefined)[] = [];
  readonly pmid: Pmid;
  /** Places that the search under way is for. */
  needs = 0;
  private readonly from: Float64Array;
  private readonly need: Uint8Array;
  /** Where the search comes to the next fact. */
  private connect = Number.POSITIVE_INFINITY;
  private start = 0;
  /** Farthest value of each place between `seenFrom` and `seenTo`, all of which was read. */
  private readonly seen: Float64Array;
  private seenFrom = Number.POSITIVE_INFINITY;
  private seenTo = Number.NEGATIVE_INFINITY;

  constructor(private readonly places: Places) {
    const { count, form, desc } = places;
    this.pmid = desc.pmid;
    this.at = new Float64Array(count);
    this.from = new Float64Array(count).fill(Number.POSITIVE_INFINITY);
    this.has = new Uint8Array(count);
    this.need = new Uint8Array(count);
    this.seen = new Float64Array(count).fill(Number.NEGATIVE_INFINITY);
    this.high = new Uint32Array(form === "pair" ? count : 0);
    this.low = new Uint32Array(form === "block" ? 0 : count);
  }

  /** Notes a search for a place from `u` on, unless the answer is known. */
  want(place: number, u: number): void {
    const from = this.from[place] as number;
    if (from <= u && u <= (this.at[place] as number)) return;
    if (this.seenFrom <= u && u < this.seenTo && (this.seen[place] as number) < u) {
      this.has[place] = 0;
      this.at[place] = this.seenTo;
      this.from[place] = u;
      return;
    }
    this.need[place] = 1;
    this.needs++;
  }

  /** A search from `u` begins. */
  begin(u: number): void {
    this.start = u;
    if (u >= this.seenTo) {
      for (let place = 0; place < this.seen.length; place++) {
        this.seen[place] = Number.NEGATIVE_INFINITY;
      }
      this.seenFrom = Number.POSITIVE_INFINITY;
      this.seenTo = Number.NEGATIVE_INFINITY;
    }
    this.connect = Number.NEGATIVE_INFINITY;
    this.reach(u);
  }

  /** The search has come to `u`: facts that begin before answer for the rest. */
  reach(u: number): void {
    if (u < this.connect) return;
    // Where all has been read before, the farthest value of a place tells whether to go on.
    const before = this.start < this.seenFrom && this.seenFrom < this.seenTo;
    const joins = before && u >= this.seenFrom;
    let connect = before && !joins ? this.seenFrom : Number.POSITIVE_INFINITY;
    for (let place = 0; place < this.need.length; place++) {
      if (this.need[place] === 0) continue;
      const from = this.from[place] as number;
      if (joins && (this.seen[place] as number) < u) this.lack(place, this.seenTo);
      else if (from > u) {
        if (from < connect) connect = from;
      } else if (u <= (this.at[place] as number)) this.settle(place);
      else this.from[place] = Number.POSITIVE_INFINITY;
    }
    this.connect = connect;
    if (joins) this.seenFrom = this.start;
  }

  /** There is no value for a place up to `u`. */
  private lack(place: number, u: number): void {
    this.has[place] = 0;
    this.at[place] = u;
    this.settle(place);
  }

  private settle(place: number): void {
    this.from[place] = this.start;
    this.need[place] = 0;
    this.needs--;
  }

  /** A record at `u` has values of the metric. */
  take(set: ValueSetCursor, u: number): void {
    if (set.numval <= 0) return;
    checkForm(this.places, set);
    for (let i = 0; i < set.numval; i++) {
      const place = this.places.placeOf(set.instance(i));
      if (place < 0) continue;
      if (u > (this.seen[place] as number)) this.seen[place] = u;
      if (this.need[place] === 0) continue;
      this.keep(place, set, i);
      this.at[place] = u;
      this.has[place] = 1;
      this.settle(place);
    }
  }

  private keep(place: number, set: ValueSetCursor, i: number): void {
    if (set.valfmt === PM_VAL.INSITU) {
      this.low[place] = set.word(i);
      return;
    }
    const { form, desc } = this.places;
    const { view } = set;
    const block = set.block(i);
    const vlen = view.getUint32(block) & MAX_VLEN;
    if (form === "block") {
      this.blocks[place] = set.bytes.slice(block, block + pad4(vlen));
      return;
    }
    if (vlen < (form === "pair" ? 12 : 8)) {
      throw broken(desc.pmid, `value of ${vlen - 4} bytes of type ${desc.type}`);
    }
    if (form === "word") this.low[place] = view.getUint32(block + 4);
    else {
      this.high[place] = view.getUint32(block + 4);
      this.low[place] = view.getUint32(block + 8);
    }
  }

  /** The search has come to a mark or the end at `u`: what was not found is not there. */
  finish(u: number): void {
    this.reach(u);
    if (this.needs === 0) return;
    for (let place = 0; place < this.need.length; place++) {
      if (this.need[place] === 1) this.lack(place, u);
    }
    if (this.start < this.seenFrom) this.seenFrom = this.start;
    this.seenTo = u;
  }

  /** A search has failed: nothing is known of what it was for. */
  abandon(): void {
    this.need.fill(0);
    this.needs = 0;
  }

  /** The end has moved on: forgets what was not there up to it. */
  forgetEnd(): void {
    for (let place = 0; place < this.at.length; place++) {
      if (this.at[place] === Number.POSITIVE_INFINITY) {
        this.from[place] = Number.POSITIVE_INFINITY;
      }
    }
    if (this.seenTo === Number.POSITIVE_INFINITY) this.seenTo = Number.NEGATIVE_INFINITY;
  }
}
