// A metric under interpolation: its instances in the order of PCP's results (spec archive.md 10.5),
// what is known before and after a time, and whether there is a value and which (10.3, 10.4). Refuses
// nothing; a counter of a type without numbers has PM_ERR_TYPE in place of values.
import type { InstanceHistory, Instances } from "../archive/mod.ts";
import { PM_ERR } from "../base/mod.ts";
import {
  type Desc,
  type Indom,
  type InstanceId,
  PM_IN_NULL,
  PM_INDOM_NULL,
  PM_SEM,
  PM_VAL,
  pmValfmt,
  type Timestamp,
} from "../pcp/mod.ts";
import type { SharedArchive } from "./archive-shared.ts";
import { Bounds, type Form, formOf, type Places } from "./interpolate-bounds.ts";
import { secondsSince } from "./interpolate-walk.ts";
import { interpolate, type Words } from "./interpolate-value.ts";

/** From this number of instances at one time on, each instance has a time of birth and of death. */
const BIG_INDOM = 16;

/** Where the value of a place comes from. */
const CHOICE = { NONE: 0, PRIOR: 1, NEXT: 2, MADE: 3 } as const;

/** The instances of a list in the order of PCP's results: that of its hash table. */
function resultOrder(ids: readonly InstanceId[]): Int32Array {
  const buckets: InstanceId[][] = ids.map(() => []);
  for (const id of ids) buckets[(id >>> 0) % ids.length]?.push(id);
  return Int32Array.from(buckets.flatMap((bucket) => bucket.reverse()));
}

/** The instances of a domain: a place in arrays for each. */
interface Domain {
  /** By place; PM_IN_NULL for a single value. */
  readonly instances: Int32Array;
  /** Place by instance; undefined for a single value. */
  readonly places: ReadonlyMap<number, number> | undefined;
  /** Times by place between which there may be values; undefined for small domains. */
  readonly lives: { readonly birth: Float64Array; readonly death: Float64Array } | undefined;
}

const SINGLE: Domain = {
  instances: Int32Array.of(PM_IN_NULL),
  places: undefined,
  lives: undefined,
};

function livesOf(
  history: InstanceHistory,
  start: Timestamp,
  places: ReadonlyMap<number, number>,
): Domain["lives"] {
  const birth = new Float64Array(places.size).fill(Number.POSITIVE_INFINITY);
  const death = new Float64Array(places.size).fill(Number.POSITIVE_INFINITY);
  const last = new Int32Array(places.size).fill(-1);
  const times = history.records.map((record) => secondsSince(start, record.timestamp));
  let big = false;
  times.forEach((time, i) => {
    const { ids } = history.stateAfter(i);
    big ||= ids.length >= BIG_INDOM;
    for (const id of ids) {
      const place = places.get(id) ?? -1;
      if (birth[place] === Number.POSITIVE_INFINITY) birth[place] = time;
      last[place] = i;
    }
  });
  if (!big) return undefined;
  last.forEach((i, place) => {
    death[place] = times[i + 1] ?? Number.POSITIVE_INFINITY;
  });
  return { birth, death };
}

/** What was worked out for the instances of a domain: its metrics share it. */
const domains = new WeakMap<Instances, Domain>();

function domainOf({ set, start, union }: SharedArchive, indom: Indom): Domain {
  if (indom === PM_INDOM_NULL) return SINGLE;
  const all = union(indom) ?? { ids: [], names: [] };
  let domain = domains.get(all);
  if (domain === undefined) {
    const instances = resultOrder(all.ids);
    const places = new Map(Array.from(instances, (id, place) => [id, place]));
    const history = set.catalog.indoms.get(indom);
    const lives = history === undefined ? undefined : livesOf(history, start, places);
    domain = { instances, places, lives };
    domains.set(all, domain);
  }
  return domain;
}

const before: Words = { high: 0, low: 0 };
const after: Words = { high: 0, low: 0 };
const made: Words = { high: 0, low: 0 };

/** One metric of one context. */
export class Metric implements Places {
  readonly form: Form;
  readonly count: number;
  readonly indom: Indom;
  /** Values of a counter lie between those recorded. */
  readonly counter: boolean;
  /** Bounds before (distances are negative times) and after the time of a fetch. */
  readonly prior: Bounds;
  readonly next: Bounds;
  insitu: boolean | undefined;
  /** Of the fetch under way: CHOICE by place, number of values or an error code, bytes of blocks. */
  readonly choice: Uint8Array;
  numval = 0;
  blockBytes = 0;
  /** Values that the fetch before gave, and its time. */
  returned = 0;
  last: Timestamp = { sec: 0, nsec: 0 };
  /** A place for which there was a value around that time, and the times of what it was made of. */
  private joint = -1;
  private jointPrior = 0;
  private jointNext = 0;
  /** Seconds between which all instances may have values. */
  readonly birth: number;
  readonly death: number;
  /** Counters below the value before have gone through zero. */
  readonly wrap: boolean;
  private readonly usual: number;
  private readonly domain: Domain;
  private readonly madeHigh: Uint32Array;
  private readonly madeLow: Uint32Array;

  constructor(
    readonly desc: Desc,
    shared: SharedArchive,
  ) {
    this.domain = domainOf(shared, desc.indom);
    this.count = this.domain.instances.length;
    this.form = formOf(desc.type);
    this.indom = desc.indom;
    this.usual = pmValfmt(desc.type);
    this.counter = desc.sem === PM_SEM.COUNTER;
    this.wrap = shared.wrap;
    const { lives } = this.domain;
    this.birth = lives?.birth.reduce((a, b) => Math.max(a, b)) ?? Number.NEGATIVE_INFINITY;
    this.death = lives?.death.reduce((a, b) => Math.min(a, b)) ?? Number.POSITIVE_INFINITY;
    this.prior = new Bounds(this);
    this.next = new Bounds(this);
    this.choice = new Uint8Array(this.count);
    const numbers = this.counter && this.form !== "block" ? this.count : 0;
    this.madeHigh = new Uint32Array(numbers);
    this.madeLow = new Uint32Array(numbers);
  }

  placeOf(instance: number): number {
    const { places } = this.domain;
    return places === undefined ? 0 : (places.get(instance) ?? -1);
  }

  /** How values go into a result. */
  get valfmt(): number {
    return this.form === "word" && this.insitu === true ? PM_VAL.INSITU : this.usual;
  }

  private alive(place: number, t: number): boolean {
    const { lives } = this.domain;
    if (lives === undefined) return true;
    return t >= (lives.birth[place] as number) && t <= (lives.death[place] as number);
  }

  /** Notes what has to be searched for before `t`; `wants` undefined: all instances. */
  wantPrior(t: number, wants: ((instance: InstanceId) => boolean) | undefined): void {
    const { choice, prior } = this;
    const { instances } = this.domain;
    for (let place = 0; place < this.count; place++) {
      const wanted = wants === undefined || wants(instances[place] as InstanceId);
      const looked = wanted && this.alive(place, t);
      choice[place] = looked ? CHOICE.PRIOR : CHOICE.NONE;
      if (looked) prior.want(place, -t);
    }
  }

  /** The same after `t`, for what has a value before it. */
  wantNext(t: number): void {
    const { choice, prior, next } = this;
    const unused = this.desc.sem === PM_SEM.DISCRETE && this.form === "block";
    for (let place = 0; place < this.count; place++) {
      if (choice[place] === CHOICE.NONE) continue;
      if (prior.has[place] === 0) choice[place] = CHOICE.NONE;
      else if (prior.at[place] !== -t && !unused) next.want(place, t);
    }
  }

  private choose(place: number, t: number): number {
    const { prior, next, desc } = this;
    const tp = -(prior.at[place] as number);
    const discrete = desc.sem === PM_SEM.DISCRETE;
    if (tp === t) return CHOICE.PRIOR;
    if (this.form === "block") {
      return discrete || next.has[place] === 1 ? CHOICE.PRIOR : CHOICE.NONE;
    }
    if (next.has[place] === 0) return discrete ? CHOICE.PRIOR : CHOICE.NONE;
    const tn = next.at[place] as number;
    if (tn === t) return CHOICE.NEXT;
    if (this.counter) return CHOICE.MADE;
    return t <= (tp + tn) / 2 ? CHOICE.PRIOR : CHOICE.NEXT;
  }

  /** Chooses and makes the values at `t`; all bounds that were wanted are known. */
  evaluate(t: number): void {
    const { choice } = this;
    this.numval = 0;
    this.blockBytes = 0;
    for (let place = 0; place < this.count; place++) {
      if (choice[place] === CHOICE.NONE) continue;
      const chosen = this.choose(place, t);
      choice[place] = chosen;
      if (chosen === CHOICE.NONE) continue;
      this.numval++;
      if (chosen === CHOICE.MADE) this.make(place, t);
      if (this.form === "block") {
        const head = this.prior.blocks[place];
        this.blockBytes += head?.length ?? 0;
      }
    }
    if (this.form !== "block") {
      const size = this.form === "pair" ? 12 : 8;
      this.blockBytes = this.valfmt === PM_VAL.INSITU ? 0 : size * this.numval;
    } else if (this.counter && this.numval > 0) this.numval = PM_ERR.TYPE;
  }

  private make(place: number, t: number): void {
    const { prior, next, form } = this;
    const tp = -(prior.at[place] as number);
    const tn = next.at[place] as number;
    before.low = prior.low[place] as number;
    after.low = next.low[place] as number;
    if (form === "pair") {
      before.high = prior.high[place] as number;
      after.high = next.high[place] as number;
    }
    interpolate(made, this.desc.type, before, after, t - tp, tn - tp, this.wrap);
    this.madeLow[place] = made.low;
    this.madeHigh[place] = made.high;
  }

  /** Whether a chosen value tells that there is no mark between `t` and an earlier or later time. */
  bridges(t: number, other: number): boolean {
    const { choice, prior, next } = this;
    for (let place = 0; place < this.count; place++) {
      if (choice[place] === CHOICE.NONE) continue;
      const tp = -(prior.at[place] as number);
      const tn = tp === t ? t : (next.at[place] as number);
      if (other <= t ? tp <= other : tn >= other) return true;
      if (place !== this.joint) continue;
      // There is none up to the values around the other time, nor from those around this one.
      if (other <= t ? tp <= this.jointNext : tn >= this.jointPrior) return true;
    }
    return false;
  }

  /** The fetch at `time` has succeeded. */
  remember(time: Timestamp): void {
    const { prior, next } = this;
    this.last = time;
    this.returned = Math.max(0, this.numval);
    this.joint = -1;
    if (this.returned === 0 || !this.counter) return;
    this.joint = this.choice[0] === CHOICE.MADE ? 0 : this.choice.indexOf(CHOICE.MADE);
    if (this.joint < 0) return;
    this.jointPrior = -(prior.at[this.joint] as number);
    this.jointNext = next.at[this.joint] as number;
  }

  /** The fetch at `time` has been answered with all values, from `prior` and, if `made`, `next`. */
  recall(time: Timestamp, prior: number, next: number, made: boolean): void {
    this.last = time;
    this.returned = this.count;
    this.joint = this.counter && made ? 0 : -1;
    this.jointPrior = prior;
    this.jointNext = next;
  }

  /** Whether the fetch has given all values, as numbers, each from records at just these times. */
  liesBetween(from: number, to: number): boolean {
    const { prior, next, choice } = this;
    if (this.form === "block" || this.numval !== this.count || this.insitu === undefined) {
      return false;
    }
    for (let place = 0; place < this.count; place++) {
      if (choice[place] === CHOICE.NONE || prior.at[place] !== -from) return false;
      if (next.has[place] === 0 || next.at[place] !== to) return false;
    }
    return true;
  }

  /** The fetch gives no values. */
  clear(): void {
    this.choice.fill(CHOICE.NONE);
    this.numval = 0;
    this.blockBytes = 0;
  }

  /** Writes the values of the fetch at `at`, their blocks at `block`; returns where blocks end. */
  write(out: Uint8Array, view: DataView, at: number, block: number): number {
    const insitu = this.valfmt === PM_VAL.INSITU;
    const size = this.form === "pair" ? 12 : 8;
    const head = (this.desc.type << 24) + size;
    for (let place = 0; place < this.count; place++) {
      const choice = this.choice[place];
      if (choice === CHOICE.NONE) continue;
      view.setInt32(at, this.domain.instances[place] as number);
      const side = choice === CHOICE.NEXT ? this.next : this.prior;
      const low = (choice === CHOICE.MADE ? this.madeLow : side.low)[place] as number;
      if (insitu) view.setUint32(at + 4, low);
      else {
        view.setUint32(at + 4, block / 4);
        if (this.form === "block") {
          const bytes = this.prior.blocks[place];
          if (bytes !== undefined) {
            out.set(bytes, block);
            block += bytes.length;
          }
        } else {
          view.setUint32(block, head);
          if (size === 12) {
            const high = (choice === CHOICE.MADE ? this.madeHigh : side.high)[place] as number;
            view.setUint32(block + 4, high);
          }
          view.setUint32(block + size - 4, low);
          block += size;
        }
      }
      at += 8;
    }
    return block;
  }
}
