// The usual case of interpolation made quick: all values that a request is for stand in one record
// before the time and in one after it, and the next fetch is a little further on. The two records are
// kept as rows, a step along reads one record more, and results have the layout of the one before.
// Refuses nothing: what is not so (marks, damage, missing values, another direction) is left to the
// searches of interpolate.ts, which alone decide what there is.
import { PcpError } from "../base/mod.ts";
import {
  type InstanceId,
  MAX_VLEN,
  PM_TYPE,
  PM_VAL,
  type Pmid,
  ResultView,
  type Timestamp,
  type ValueSetCursor,
} from "../pcp/mod.ts";
import type { Places } from "./archive-result.ts";
import type { Metric } from "./interpolate-metric.ts";
import { interpolate, type Words } from "./interpolate-value.ts";
import type { Walk, Way } from "./interpolate-walk.ts";

/** Records read for one fetch: those with other metrics, and those with the wanted ones. */
const MOST_STEPS = 64;
const MOST_READ = 2;
const WORD = 0x1_0000_0000;
/** Below this high word numbers are whole, and so are their sums with a half. */
const EXACT_HIGH = 1 << 19;
const SET_HEAD = 12;
const EMPTY_SET = 8;

/** What a request comes to, as interpolate.ts has it. */
export interface Request {
  readonly pmids: readonly Pmid[];
  readonly list: readonly (Metric | number)[];
  readonly metrics: readonly Metric[];
  /** Places in `metrics`. */
  readonly places: Places;
}

/** The values of one record, each in the slot of its metric and instance. */
interface Row {
  /** Seconds since the start of the archive. */
  time: number;
  readonly high: Uint32Array;
  readonly low: Uint32Array;
}

/** One metric in rows. */
interface Part {
  readonly metric: Metric;
  readonly first: number;
  readonly pair: boolean;
  readonly insitu: boolean;
  /** Instances in the order of the last record, and their slots. */
  readonly ids: Int32Array;
  readonly slots: Int32Array;
  known: boolean;
  /** Number of the record that had it last. */
  record: number;
}

/** Where the values of a metric go in a result: byte of the first payload, and from one to the next. */
interface Target {
  readonly part: Part;
  readonly at: number;
  readonly stride: number;
}

const before: Words = { high: 0, low: 0 };
const after: Words = { high: 0, low: 0 };
const made: Words = { high: 0, low: 0 };

/** Times between which all values of a fetch at `t` lie, when these are the same for all of them. */
function commonTimes(metrics: readonly Metric[], t: number): readonly [number, number] | undefined {
  const [first] = metrics;
  if (first === undefined || first.count === 0) return undefined;
  const prior = -(first.prior.at[0] as number);
  const next = first.next.at[0] as number;
  if (!(prior < t && t < next)) return undefined;
  return metrics.every((metric) => metric.liesBetween(prior, next)) ? [prior, next] : undefined;
}

function targetsOf(list: Request["list"], parts: ReadonlyMap<Metric, Part>): Target[] {
  const targets: Target[] = [];
  let setBytes = 0;
  for (const each of list) {
    setBytes += typeof each === "number" ? EMPTY_SET : SET_HEAD + 8 * each.count;
  }
  let block = setBytes;
  let at = 0;
  for (const each of list) {
    const part = typeof each === "number" ? undefined : parts.get(each);
    if (typeof each === "number" || part === undefined) {
      at += EMPTY_SET;
      continue;
    }
    const inPlace = each.valfmt === PM_VAL.INSITU;
    const stride = inPlace || !part.pair ? 8 : 12;
    targets.push({ part, at: inPlace ? at + SET_HEAD + 4 : block + 4, stride });
    if (!inPlace) block += stride * each.count;
    at += SET_HEAD + 8 * each.count;
  }
  return targets;
}

/** Two records with all values of a request, between which fetches are answered. */
export class Rows {
  /** Fetches that were answered. */
  answered = 0;
  private prior: Row;
  private next: Row;
  private readonly parts: readonly Part[];
  private readonly targets: readonly Target[];
  private records = 0;
  /** Times between which all instances may have values. */
  private readonly birth: number;
  private readonly death: number;
  /** The last fetch, and the times of what it was made of. */
  private last: { time: Timestamp; t: number; prior: number; next: number } | undefined;

  private constructor(
    readonly request: Request,
    private readonly template: Uint8Array,
    private readonly walk: Walk,
    private readonly way: Way,
  ) {
    let slots = 0;
    this.parts = request.metrics.map((metric) => {
      const first = slots;
      slots += metric.count;
      return {
        metric,
        first,
        pair: metric.form === "pair",
        insitu: metric.insitu === true,
        ids: new Int32Array(metric.count),
        slots: new Int32Array(metric.count),
        known: false,
        record: 0,
      };
    });
    const row = (): Row => ({
      time: Number.NaN,
      high: new Uint32Array(slots),
      low: new Uint32Array(slots),
    });
    this.prior = row();
    this.next = row();
    this.targets = targetsOf(
      request.list,
      new Map(this.parts.map((part) => [part.metric, part] as const)),
    );
    this.birth = request.metrics.reduce((most, { birth }) => Math.max(most, birth), -Infinity);
    this.death = request.metrics.reduce((least, { death }) => Math.min(least, death), Infinity);
  }

  /**
   * Rows around the time `t`, which has just been fetched with `result`; undefined when that cannot be.
   * `walk`, in the direction of the fetches, belongs to them until they are given up.
   */
  static async around(
    request: Request,
    result: ResultView,
    walk: Walk,
    way: Way,
    t: number,
  ): Promise<Rows | undefined> {
    const times = commonTimes(request.metrics, t);
    if (times === undefined) return undefined;
    const rows = new Rows(request, result.bytes.slice(), walk, way);
    rows.prior.time = times[0];
    rows.next.time = times[1];
    for (const { metric, first } of rows.parts) {
      const [row, side] = way > 0 ? [rows.prior, metric.prior] : [rows.next, metric.next];
      row.low.set(side.low, first);
      row.high.set(side.high, first);
    }
    try {
      const far = walk.moveTo(result.timestamp, way * t);
      if (far !== undefined) await far;
      const ahead = way > 0 ? rows.next : rows.prior;
      const { time } = ahead;
      return rows.read(ahead) && ahead.time === time ? rows : undefined;
    } catch (error) {
      // Damage is told by the search that needs what is behind it.
      if (!(error instanceof PcpError)) throw error;
      walk.forget();
      return undefined;
    }
  }

  /** The values at `t`, which is `time`; undefined when the rows do not go there: they are then of no use. */
  fetch(t: number, time: Timestamp): ResultView | undefined {
    try {
      if (!this.moveTo(t)) return undefined;
    } catch (error) {
      // As above: the search that follows tells it if it is in its way.
      if (!(error instanceof PcpError)) throw error;
      this.walk.forget();
      return undefined;
    }
    const bytes = this.template.slice();
    const view = new DataView(bytes.buffer);
    for (const target of this.targets) this.write(view, target, t);
    this.last = { time, t, prior: this.prior.time, next: this.next.time };
    this.answered++;
    return new ResultView(bytes, time, this.request.pmids.length, 0, 0, view);
  }

  /** Tells the metrics of the last fetch, before searches take over. */
  leave(): void {
    const { last } = this;
    if (last === undefined) return;
    for (const { metric } of this.parts) {
      metric.recall(last.time, last.prior, last.next, last.t !== last.prior);
    }
  }

  private moveTo(t: number): boolean {
    if (t < this.birth || t > this.death) return false;
    for (let read = 0; this.way > 0 ? t >= this.next.time : t < this.prior.time; read++) {
      // The row that is left behind takes the record ahead.
      const { prior, next } = this;
      if (read === MOST_READ || !this.read(this.way > 0 ? prior : next)) return false;
      // Times in disorder are for the searches.
      if (this.way > 0 ? prior.time < next.time : next.time > prior.time) return false;
      this.prior = next;
      this.next = prior;
    }
    return this.prior.time <= t && t < this.next.time;
  }

  /** Reads the next record with values of the request; false when it does not have all of them. */
  private read(row: Row): boolean {
    const { walk } = this;
    for (let steps = 0; steps < MOST_STEPS; steps++) {
      if (!walk.step() || walk.atMark) return false;
      if (walk.record.numpmid === 0) continue;
      const result = walk.result();
      if (result === undefined) return false;
      const found = this.takeAll(result, row);
      if (found === 0) continue;
      row.time = this.way * walk.u;
      return found === this.parts.length;
    }
    return false;
  }

  /** How many of the metrics a record has; fewer than all when one of them cannot be taken. */
  private takeAll(result: ResultView, row: Row): number {
    const { parts } = this;
    const { places } = this.request;
    const record = ++this.records;
    const set = result.sets();
    let found = 0;
    for (let number = 0; set.next(); number++) {
      const place = places.of(number, set.pmid);
      if (place < 0 || set.numval === 0) continue;
      const part = parts[place] as Part;
      // Two sets of one metric are left to the search, as are errors.
      if (part.record === record || !this.take(part, set, row)) return -1;
      part.record = record;
      if (++found === parts.length) break;
    }
    return found;
  }

  private take(part: Part, set: ValueSetCursor, row: Row): boolean {
    const { ids, slots, pair } = part;
    const { numval, view } = set;
    if (numval !== ids.length || (set.valfmt === PM_VAL.INSITU) !== part.insitu) return false;
    const { high, low } = row;
    for (let i = 0; i < numval; i++) {
      const instance = set.instance(i);
      if ((!part.known || instance !== ids[i]) && !arrange(part, set)) return false;
      const slot = slots[i] as number;
      if (part.insitu) {
        low[slot] = set.word(i);
        continue;
      }
      const block = set.block(i);
      const vlen = view.getUint32(block) & MAX_VLEN;
      if (vlen < (pair ? 12 : 8)) return false;
      if (pair) {
        high[slot] = view.getUint32(block + 4);
        low[slot] = view.getUint32(block + 8);
      } else low[slot] = view.getUint32(block + 4);
    }
    return true;
  }

  /** Writes the values of one metric at `t`. */
  private write(view: DataView, { part, at, stride }: Target, t: number): void {
    const { prior, next } = this;
    const { metric, first, pair } = part;
    const end = first + metric.count;
    const { type } = metric.desc;
    const tp = prior.time;
    const tn = next.time;
    if (!metric.counter || t === tp) {
      const { high, low } = t === tp || t <= (tp + tn) / 2 ? prior : next;
      for (let slot = first; slot < end; slot++, at += stride) {
        if (pair) view.setUint32(at, high[slot] as number);
        view.setUint32(pair ? at + 4 : at, low[slot] as number);
      }
      return;
    }
    const past = t - tp;
    const span = tn - tp;
    for (let slot = first; slot < end; slot++, at += stride) {
      const priorHigh = prior.high[slot] as number;
      const nextHigh = next.high[slot] as number;
      const priorLow = prior.low[slot] as number;
      const nextLow = next.low[slot] as number;
      if (type === PM_TYPE.U64 && priorHigh < EXACT_HIGH && nextHigh < EXACT_HIGH) {
        const from = priorHigh * WORD + priorLow;
        const change = nextHigh * WORD + nextLow - from;
        if (change >= 0) {
          // As interpolate() has it: these numbers are exact, and so is what they come to.
          const value = change === 0 ? from : Math.floor(0.5 + from + (past * change) / span);
          const high = Math.floor(value / WORD);
          view.setUint32(at, high);
          view.setUint32(at + 4, value - high * WORD);
          continue;
        }
      }
      before.high = priorHigh;
      before.low = priorLow;
      after.high = nextHigh;
      after.low = nextLow;
      interpolate(made, type, before, after, past, span, metric.wrap);
      if (pair) view.setUint32(at, made.high);
      view.setUint32(pair ? at + 4 : at, made.low);
    }
  }
}

/** Works out the slots of a set in a new order; false when an instance is unknown or there twice. */
function arrange(part: Part, set: ValueSetCursor): boolean {
  const { metric, first, ids, slots } = part;
  const seen = new Set<number>();
  for (let i = 0; i < ids.length; i++) {
    const instance: InstanceId = set.instance(i);
    const place = metric.placeOf(instance);
    if (place < 0) return false;
    seen.add(place);
    ids[i] = instance;
    slots[i] = first + place;
  }
  part.known = seen.size === ids.length;
  return part.known;
}
