// Values at any time, between those recorded (spec archive.md 10): the mode INTERP. For each fetch the
// nearest values before and after the time are searched for, unless they are known from fetches
// before; a step through an archive reads each record about once. Refused: PM_ERR_EOL outside of the
// archive, PM_ERR_LOGREC for damage that a search meets.
import { INFINITE_TIME } from "../archive/mod.ts";
import { PM_ERR, PcpError } from "../base/mod.ts";
import {
  NANOSECONDS,
  PM_ID_NULL,
  PM_TYPE,
  type Pmid,
  ResultView,
  type Timestamp,
} from "../pcp/mod.ts";
import { findDesc } from "./archive-metadata.ts";
import type { SharedArchive } from "./archive-shared.ts";
import { type Filter, Places, samePmids } from "./archive-result.ts";
import type { Origin } from "./archive-steps.ts";
import type { Bounds } from "./interpolate-bounds.ts";
import { Metric } from "./interpolate-metric.ts";
import { Rows } from "./interpolate-rows.ts";
import { secondsSince, Walk } from "./interpolate-walk.ts";
import type { Pacer } from "./pace.ts";

/** How far outside of the archive a time may be, in seconds. */
const SLACK = 0.001;
/** A virtual mark stands so long after the end of a member of a set. */
const GAP = 0.001;

/** One side of the metrics of a request. */
interface Side {
  readonly bounds: readonly Bounds[];
  /** Places in `bounds`. */
  readonly places: Places;
}

/** What a request comes to: clients ask for the same metrics again and again. */
interface Plan {
  readonly pmids: readonly Pmid[];
  /** For each metric asked for; a code, or 0, where there are no values to search for. */
  readonly list: readonly (Metric | number)[];
  /** The same, each once. */
  readonly metrics: readonly Metric[];
  readonly prior: Side;
  readonly next: Side;
}

/** Fetches by searches before rows are tried; twice as many each time that they were of little use. */
const FIRST_PATIENCE = 2;
const MOST_PATIENCE = 1024;
/** Fetches that rows have to answer to be of use. */
const USEFUL = 8;

const NOT_CROSSED = { last: undefined, to: Number.NaN, marked: false };

const sideOf = (bounds: readonly Bounds[]): Side => ({
  bounds,
  places: new Places(bounds.map(({ pmid }) => pmid)),
});

/** The search of a side ends at a mark or the end. */
function finish({ bounds }: Side, barrier: number): true {
  for (const each of bounds) if (each.needs > 0) each.finish(barrier);
  return true;
}

/** Gives a record at `u` to the bounds that need it; returns how many need more of these `open`. */
function takeFrom(result: ResultView, side: Side, u: number, open: number): number {
  const { bounds, places } = side;
  const set = result.sets();
  for (let number = 0; set.next(); number++) {
    const place = places.of(number, set.pmid);
    if (place < 0) continue;
    const found = bounds[place] as Bounds;
    if (found.needs === 0) continue;
    found.take(set, u);
    if (found.needs === 0 && --open === 0) return 0;
  }
  return open;
}

/** Interpolation over one set; `at.origin` is the time of the next fetch. */
export interface Interpolation {
  /** pmSetMode: fetches will be `delta` apart. */
  place(delta: Timestamp): void;
  /** pmFetch. */
  fetch(pmids: readonly Pmid[], filter: Filter | undefined): ResultView | Promise<ResultView>;
  close(): void;
}

/** As PCP adds: nsec may stay at 1,000,000,000 (spec archive.md 10.1). */
export function advance(time: Timestamp, delta: Timestamp): Timestamp {
  const sec = time.sec + delta.sec;
  const nsec = time.nsec + delta.nsec;
  const carry = nsec > 0 ? Math.ceil(nsec / NANOSECONDS) - 1 : Math.floor(nsec / NANOSECONDS);
  return { sec: sec + carry, nsec: nsec - carry * NANOSECONDS };
}

/** Seconds and nanoseconds with the same sign, as C's programs make a step of a real number. */
function sameSign({ sec, nsec }: Timestamp): Timestamp {
  return sec < 0 && nsec > 0 ? { sec: sec + 1, nsec: nsec - NANOSECONDS } : { sec, nsec };
}

class Interpolator implements Interpolation {
  private readonly metrics = new Map<Pmid, Metric>();
  private readonly low: Walk;
  private readonly high: Walk;
  private readonly watches: readonly [later: Walk, earlier: Walk];
  private delta: Timestamp = { sec: 0, nsec: 0 };
  /** The end as far as it is known; PCP, too, begins with the start and looks when it is passed. */
  private end: Timestamp;
  private generation: number;
  /** What was found out last about marks between two times. */
  private crossing: { last: Timestamp | undefined; to: number; marked: boolean } = NOT_CROSSED;
  private plan: Plan | undefined;
  /** Answers fetches as long as it can; the watches are its. */
  private rows: Rows | undefined;
  private patience = FIRST_PATIENCE;
  private untilRows = FIRST_PATIENCE;

  constructor(
    private readonly shared: SharedArchive,
    private readonly at: Origin,
    private readonly pacer: Pacer,
  ) {
    this.low = new Walk(shared, -1, pacer);
    this.high = new Walk(shared, 1, pacer);
    this.watches = [new Walk(shared, 1, pacer), new Walk(shared, -1, pacer)];
    this.generation = shared.generation;
    this.end = shared.start;
  }

  place(delta: Timestamp): void {
    this.delta = sameSign(delta);
    this.leaveRows();
    for (const metric of this.metrics.values()) metric.returned = 0;
  }

  close(): void {
    for (const walk of [this.low, this.high, ...this.watches]) walk.close();
  }

  /** The end as it is now; without a sound record in the archive it is never reached. */
  private endNow(): number {
    let end: Timestamp;
    try {
      end = this.shared.end();
    } catch (error) {
      if (!(error instanceof PcpError)) throw error;
      end = INFINITE_TIME;
    }
    if (secondsSince(this.end, end) !== 0) {
      for (const metric of this.metrics.values()) metric.next.forgetEnd();
    }
    this.end = end;
    return secondsSince(this.shared.start, end);
  }

  /** Throws PM_ERR_EOL when there is nothing at `t`, and moves the origin on. */
  private checkRange(t: number): void {
    const { shared } = this;
    let outside = t < -SLACK;
    if (!outside && t > secondsSince(shared.start, this.end) + SLACK) {
      shared.refresh();
      outside = t > this.endNow();
    }
    if (!outside) return;
    this.at.origin = advance(this.at.origin, this.delta);
    throw new PcpError(PM_ERR.EOL, `no record ${t < 0 ? "before" : "after"} this time`);
  }

  /** The metric of a PMID; 0 or a code where there are no values to search for. */
  private metricOf(pmid: Pmid): Metric | number {
    const known = this.metrics.get(pmid);
    if (known !== undefined) return known;
    if (pmid === PM_ID_NULL) return 0;
    const desc = findDesc(this.shared, pmid);
    // For PCP a metric that its agent did not support is not in the archive.
    if (desc === undefined || desc.type === PM_TYPE.NOSUPPORT) return PM_ERR.PMID_LOG;
    const metric = new Metric(desc, this.shared);
    this.metrics.set(pmid, metric);
    return metric;
  }

  /** Metrics whose domain has got new instances begin anew. */
  private renew(): void {
    if (this.generation === this.shared.generation) return;
    this.generation = this.shared.generation;
    this.plan = undefined;
    for (const [pmid, metric] of this.metrics) {
      const now = this.shared.union(metric.indom)?.ids.length;
      if (now !== undefined && now !== metric.count) this.metrics.delete(pmid);
    }
  }

  /** What a request comes to; that of the fetch before when it is the same again. */
  private planOf(pmids: readonly Pmid[]): Plan {
    if (this.plan !== undefined && samePmids(this.plan.pmids, pmids)) return this.plan;
    const list = pmids.map((pmid) => this.metricOf(pmid));
    const metrics = [...new Set(list.filter((each) => typeof each === "object"))];
    this.plan = {
      pmids: [...pmids],
      list,
      metrics,
      prior: sideOf(metrics.map((each) => each.prior)),
      next: sideOf(metrics.map((each) => each.next)),
    };
    return this.plan;
  }

  fetch(pmids: readonly Pmid[], filter: Filter | undefined): ResultView | Promise<ResultView> {
    const { rows } = this;
    const { origin } = this.at;
    const t = secondsSince(this.shared.start, origin);
    this.checkRange(t);
    if (rows !== undefined && filter === undefined && samePmids(rows.request.pmids, pmids)) {
      const result = rows.fetch(t, origin);
      if (result !== undefined) {
        this.at.origin = advance(origin, this.delta);
        return result;
      }
    }
    this.leaveRows();
    return this.fetchBySearch(pmids, filter, t);
  }

  private leaveRows(): void {
    const { rows } = this;
    if (rows === undefined) return;
    rows.leave();
    this.rows = undefined;
    this.patience =
      rows.answered < USEFUL ? Math.min(MOST_PATIENCE, 2 * this.patience) : FIRST_PATIENCE;
    this.untilRows = this.patience;
  }

  /** After a fetch at `t`: tries to have the next ones answered by rows. */
  private async tryRows(plan: Plan, result: ResultView, t: number): Promise<void> {
    const { set, growing } = this.shared;
    const { sec, nsec } = this.delta;
    if (growing || set.members.length > 1 || (sec === 0 && nsec === 0)) return;
    if (--this.untilRows > 0) return;
    const way = sec > 0 || nsec > 0 ? 1 : -1;
    const request = { ...plan, places: plan.prior.places };
    this.rows = await Rows.around(request, result, this.watches[way > 0 ? 0 : 1], way, t);
    if (this.rows !== undefined) return;
    this.patience = Math.min(MOST_PATIENCE, 2 * this.patience);
    this.untilRows = this.patience;
  }

  private async fetchBySearch(
    pmids: readonly Pmid[],
    filter: Filter | undefined,
    t: number,
  ): Promise<ResultView> {
    const { origin } = this.at;
    this.renew();
    const plan = this.planOf(pmids);
    const { metrics, prior, next, list } = plan;
    for (const metric of metrics) metric.wantPrior(t, filter?.(metric.indom));
    const before = this.search(this.low, prior, origin, -t);
    if (before !== undefined) await before;
    for (const metric of metrics) metric.wantNext(t);
    const after = this.search(this.high, next, origin, t);
    if (after !== undefined) await after;
    let last: Timestamp = origin;
    let from = t;
    for (const metric of metrics) {
      metric.evaluate(t);
      if (!metric.counter || metric.numval <= 0 || metric.returned === 0) continue;
      if (metric.last !== last) {
        last = metric.last;
        from = secondsSince(this.shared.start, last);
      }
      // Most metrics of a fetch were fetched together before: what is known for one holds for all.
      const known = this.crossing.last === last && this.crossing.to === t;
      if (from === t || (known && !this.crossing.marked)) continue;
      if (metric.bridges(t, from)) this.crossing = { last, to: t, marked: false };
      else if (await this.crossed(last, from, t)) metric.clear();
    }
    // Only when nothing has failed: a fetch that failed is made again.
    for (const metric of metrics) metric.remember(origin);
    this.at.origin = advance(origin, this.delta);
    const result = writeResult(origin, pmids, list);
    if (filter === undefined) await this.tryRows(plan, result, t);
    return result;
  }

  /** Finds what one side needs from distance `u` on. */
  private search(walk: Walk, side: Side, origin: Timestamp, u: number): Promise<void> | undefined {
    let open = 0;
    for (const bounds of side.bounds) {
      if (bounds.needs === 0) continue;
      bounds.begin(u);
      if (bounds.needs > 0) open++;
    }
    return open === 0 ? undefined : this.searchFor(walk, side, origin, u);
  }

  private async searchFor(walk: Walk, side: Side, origin: Timestamp, u: number): Promise<void> {
    try {
      const way = walk.moveTo(origin, u);
      if (way !== undefined) await way;
      for (let first = true; ; first = false) {
        const pause = this.pacer.tick();
        if (pause !== undefined) await pause;
        const barrier = this.step(walk, u, first);
        if (barrier === undefined ? this.takeRecord(walk, side) : finish(side, barrier)) return;
      }
    } catch (error) {
      for (const bounds of side.bounds) if (bounds.needs > 0) bounds.abandon();
      walk.forget();
      throw error;
    }
  }

  /** Gives the record of a walk to what needs it; whether that was all. */
  private takeRecord(walk: Walk, side: Side): boolean {
    let open = 0;
    for (const bounds of side.bounds) {
      if (bounds.needs === 0) continue;
      bounds.reach(walk.u);
      if (bounds.needs > 0) open++;
    }
    const result = open > 0 ? walk.result() : undefined;
    return (result === undefined ? open : takeFrom(result, side, walk.u, open)) === 0;
  }

  /** Steps to the next record with values; the distance of a mark or the end when that comes first. */
  private step(walk: Walk, u: number, first: boolean): number | undefined {
    do {
      if (!walk.step()) return Number.POSITIVE_INFINITY;
      if (walk.atMark) return walk.u;
      // Where a time lies between two members, the mark after the earlier one is not on the way.
      if (first) {
        const gap = this.gapBefore(walk, -u);
        if (gap !== undefined) return -gap;
      }
    } while (walk.record.numpmid === 0);
    return undefined;
  }

  /** The time of the mark between the member that a walk backwards is in and `t`. */
  private gapBefore(walk: Walk, t: number): number | undefined {
    const { members } = this.shared.set;
    if (walk !== this.low || members.length === 1 || walk.archive === members.at(-1)) {
      return undefined;
    }
    const end = this.shared.memberEnd(walk.archive);
    if (end === undefined) return undefined;
    const mark = secondsSince(this.shared.start, end) + GAP;
    return mark <= t ? mark : undefined;
  }

  /** Whether there is a mark between the last fetch of a metric and `t`. */
  private async crossed(last: Timestamp, from: number, t: number): Promise<boolean> {
    if (this.crossing.last !== last || this.crossing.to !== t) {
      this.crossing = { last, to: t, marked: await this.markBetween(last, from, t) };
    }
    return this.crossing.marked;
  }

  private async markBetween(last: Timestamp, from: number, t: number): Promise<boolean> {
    const later = t > from;
    const walk = this.watches[later ? 0 : 1];
    const way = later ? 1 : -1;
    const far = walk.moveTo(last, way * from);
    if (far !== undefined) await far;
    while (walk.step() && walk.u <= way * t) {
      if (walk.atMark) return true;
      const pause = this.pacer.tick();
      if (pause !== undefined) await pause;
    }
    return false;
  }
}

const SET_HEAD = 12;
const EMPTY_SET = 8;

function writeResult(
  time: Timestamp,
  pmids: readonly Pmid[],
  list: readonly (Metric | number)[],
): ResultView {
  let setBytes = 0;
  let blockBytes = 0;
  for (const each of list) {
    const numval = typeof each === "number" ? each : each.numval;
    setBytes += numval > 0 ? SET_HEAD + 8 * numval : EMPTY_SET;
    if (typeof each === "object" && numval > 0) blockBytes += each.blockBytes;
  }
  const view = new DataView(new ArrayBuffer(setBytes + blockBytes));
  const out = new Uint8Array(view.buffer);
  let at = 0;
  let block = setBytes;
  for (let place = 0; place < list.length; place++) {
    const each = list[place] as Metric | number;
    const numval = typeof each === "number" ? each : each.numval;
    view.setUint32(at, pmids[place] as number);
    view.setInt32(at + 4, numval);
    if (typeof each === "number" || numval <= 0) {
      at += EMPTY_SET;
      continue;
    }
    view.setInt32(at + 8, each.valfmt);
    block = each.write(out, view, at + SET_HEAD, block);
    at += SET_HEAD + 8 * numval;
  }
  return new ResultView(out, time, pmids.length, 0, 0, view);
}

/** Interpolation over a set. */
export const createInterpolation = (
  shared: SharedArchive,
  at: Origin,
  pacer: Pacer,
): Interpolation => new Interpolator(shared, at, pacer);
