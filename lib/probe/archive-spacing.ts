// How the records of an archive are spread over time: the usual interval of each logging group, the
// longest gaps, and the number of records in equal steps. Bounded memory, whatever the number of
// records: intervals are counted in buckets of 3 %, gaps kept up to a number. Refuses nothing.
import { compareTimes } from "../archive/mod.ts";
import { secondsBetween, type Timestamp } from "../pcp/mod.ts";
import type { Density, Gap, LoggingGroup, Spacing } from "./archive-types.ts";

/** Gaps that are kept, the longest ones. */
export const MAX_GAPS = 100;
/** Numbers of metrics that are told apart; further ones count as one group. */
const MAX_GROUPS = 64;
/** Fewer intervals do not tell what is usual: of one group, of records of all sizes. */
const MIN_INTERVALS = 3;
const MIN_MIXED_INTERVALS = 16;
/** Seconds of the shortest silence that is called a gap. */
export const MIN_GAP = 1;
/** Steps of a density. */
export const DENSITY_STEPS = 480;
/** Borders of volumes and members that are kept. */
const MAX_BORDERS = 1000;
/** A double and its words: exponent and the first bits of the fraction make a bucket of 3 %. */
const DOUBLE = new Float64Array(1);
const WORDS = new Uint32Array(DOUBLE.buffer);
const HIGH_WORD = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1 ? 1 : 0;
const FRACTION_BITS = 15;

/** Intervals in buckets, each with their number and sum in seconds. */
type Intervals = Map<number, { count: number; seconds: number }>;

interface Group {
  records: number;
  /** Stretch between marks that its last record was in. */
  stretch: number;
  sec: number;
  nsec: number;
  /** Running mean of its intervals that are no gaps; 0 before the first one. */
  usual: number;
  readonly intervals: Intervals;
}

/** What was seen so far of one archive. */
export interface SpacingState {
  readonly groups: Map<number, Group>;
  readonly intervals: Intervals;
  readonly longest: Gap[];
  /** Least seconds of `longest` once that is full. */
  shortestKept: number;
  any: boolean;
  /** A mark stands after the last record. */
  marked: boolean;
  sec: number;
  nsec: number;
  /** Number of marks so far. */
  stretch: number;
  backwards: number;
}

/** Before the first record. */
export const newSpacing = (): SpacingState => ({
  groups: new Map(),
  intervals: new Map(),
  longest: [],
  shortestKept: 0,
  any: false,
  marked: false,
  sec: 0,
  nsec: 0,
  stretch: 0,
  backwards: 0,
});

function count(intervals: Intervals, seconds: number): void {
  DOUBLE[0] = seconds;
  const bucket = (WORDS[HIGH_WORD] as number) >>> FRACTION_BITS;
  const known = intervals.get(bucket);
  if (known === undefined) intervals.set(bucket, { count: 1, seconds });
  else {
    known.count++;
    known.seconds += seconds;
  }
}

function keepGap(state: SpacingState, gap: Gap): void {
  const { longest } = state;
  longest.push(gap);
  if (longest.length <= MAX_GAPS * 2) return;
  longest.sort((a, b) => b.seconds - a.seconds);
  longest.length = MAX_GAPS;
  state.shortestKept = longest.at(-1)?.seconds ?? 0;
}

/** Takes a mark. */
export function spaceMark(state: SpacingState): void {
  state.stretch++;
  state.marked = true;
}

/** The group of records with so many metrics; its time is `sec`, `nsec` when it is new. */
function groupOf({ groups }: SpacingState, numpmid: number, sec: number, nsec: number): Group {
  const known = groups.get(numpmid);
  if (known !== undefined) return known;
  const key = groups.size < MAX_GROUPS ? numpmid : 0;
  let group = groups.get(key);
  if (group === undefined) {
    group = { records: 0, stretch: -1, sec, nsec, usual: 0, intervals: new Map() };
    groups.set(key, group);
  }
  return group;
}

/**
 * Takes a data record. One of the logger about itself belongs to no group: it comes at the start and
 * at the end, whatever the interval.
 */
export function spaceRecord(
  state: SpacingState,
  density: DensityState | undefined,
  { sec, nsec, numpmid }: { readonly sec: number; readonly nsec: number; readonly numpmid: number },
  logger: boolean,
): void {
  if (state.any) {
    const seconds = sec - state.sec + (nsec - state.nsec) / 1e9;
    if (seconds < 0) state.backwards++;
    else if (seconds > 0) {
      count(state.intervals, seconds);
      if (seconds > state.shortestKept) {
        const from = { sec: state.sec, nsec: state.nsec };
        keepGap(state, { from, to: { sec, nsec }, seconds, mark: state.marked });
      }
    }
  }
  state.any = true;
  state.marked = false;
  state.sec = sec;
  state.nsec = nsec;
  if (logger) {
    if (density !== undefined) spread(density, sec, nsec, 0);
    return;
  }
  const { stretch } = state;
  const group = groupOf(state, numpmid, sec, nsec);
  group.records++;
  let covered = 0;
  if (group.stretch === stretch) {
    const seconds = sec - group.sec + (nsec - group.nsec) / 1e9;
    if (seconds > 0) {
      count(group.intervals, seconds);
      const { usual } = group;
      covered = usual > 0 && seconds > 3 * usual ? usual : seconds;
      group.usual = usual === 0 ? seconds : usual + (covered - usual) / 8;
    }
  }
  if (density !== undefined) spread(density, sec, nsec, covered);
  group.stretch = stretch;
  group.sec = sec;
  group.nsec = nsec;
}

/** What a record counts for when nothing is known of the time that it covers. */
const TRACE = 1e-6;

/** Adds a record that covers the seconds before its time. */
function spread(density: DensityState, sec: number, nsec: number, covered: number): void {
  const { from, step, records } = density;
  const last = records.length - 1;
  const end = (sec - from.sec + (nsec - from.nsec) / 1e9) / step;
  const at = Math.min(Math.max(Math.floor(end), 0), last);
  const length = covered / step;
  if (length === 0) {
    records[at] = (records[at] ?? 0) + TRACE;
    return;
  }
  const start = end - length;
  if (start >= at && end <= at + 1) {
    records[at] = (records[at] ?? 0) + 1;
    return;
  }
  const first = Math.min(Math.max(Math.floor(start), 0), at);
  for (let i = first; i <= at; i++) {
    const share = Math.min(end, i + 1) - Math.max(start, i);
    if (share > 0) records[i] = (records[i] ?? 0) + share / length;
  }
}

/** The median of intervals to 3 %: the mean of its bucket, in microseconds; null below `least`. */
function median(intervals: Intervals, least = 1): number | null {
  let total = 0;
  for (const each of intervals.values()) total += each.count;
  if (total < least) return null;
  let seen = 0;
  for (const [, { count: here, seconds }] of [...intervals].sort(([a], [b]) => a - b)) {
    seen += here;
    if (seen * 2 >= total) return Math.round((seconds / here) * 1e6) / 1e6;
  }
  return null;
}

/** The interval that is usual: that of the group with most records that has enough of them. */
function usualInterval({ groups, intervals }: SpacingState): number | null {
  for (const group of [...groups.values()].sort((a, b) => b.records - a.records)) {
    const usual = median(group.intervals, MIN_INTERVALS);
    if (usual !== null) return usual;
  }
  return median(intervals, MIN_MIXED_INTERVALS);
}

/**
 * What the records so far amount to. The usual interval is that of one group, so that records of
 * several groups written one after the other do not count as a fast one. Where nothing is usual, a
 * gap is what has a mark.
 */
export function spacingOf(state: SpacingState, gapFactor: number): Spacing {
  const groups: LoggingGroup[] = [...state.groups]
    .map(([metrics, { records, intervals }]) => ({ metrics, records, interval: median(intervals) }))
    .sort((a, b) => b.records - a.records || a.metrics - b.metrics);
  const interval = usualInterval(state);
  const threshold = interval === null ? null : Math.max(interval * gapFactor, MIN_GAP);
  const limit = threshold ?? Number.POSITIVE_INFINITY;
  const markedLimit = threshold ?? MIN_GAP;
  const gaps = state.longest
    .filter(({ seconds, mark }) => seconds > (mark ? markedLimit : limit))
    .sort((a, b) => b.seconds - a.seconds);
  let gapCount = gaps.length;
  let gapSeconds = gaps.reduce((sum, { seconds }) => sum + seconds, 0);
  if (gaps.length >= MAX_GAPS) {
    gapCount = 0;
    gapSeconds = 0;
    for (const { count: here, seconds } of state.intervals.values()) {
      if (seconds / here <= limit) continue;
      gapCount += here;
      gapSeconds += seconds;
    }
  }
  const kept = gaps.slice(0, MAX_GAPS).sort((a, b) => compareTimes(a.from, b.from));
  const { backwards } = state;
  return { interval, threshold, groups, gaps: kept, gapCount, gapSeconds, backwards };
}

/** Counts of equal steps of time. */
export interface DensityState {
  readonly from: Timestamp;
  /** Seconds of a step; more than 0. */
  readonly step: number;
  readonly records: Float64Array;
  readonly marks: Float64Array;
  readonly volumeBorders: Timestamp[];
  readonly memberBorders: Timestamp[];
}

/** Steps from one time to another, which may be the same. */
export function newDensity(from: Timestamp, to: Timestamp): DensityState {
  const seconds = secondsBetween(to, from);
  return {
    from,
    step: seconds > 0 ? seconds / DENSITY_STEPS : 1 / DENSITY_STEPS,
    records: new Float64Array(DENSITY_STEPS),
    marks: new Float64Array(DENSITY_STEPS),
    volumeBorders: [],
    memberBorders: [],
  };
}

/** Counts a mark; times outside are counted at the ends. */
export function addMark({ from, step, marks }: DensityState, sec: number, nsec: number): void {
  const at = Math.floor((sec - from.sec + (nsec - from.nsec) / 1e9) / step);
  const i = Math.min(Math.max(at, 0), marks.length - 1);
  marks[i] = (marks[i] ?? 0) + 1;
}

/** Notes a border between volumes or members. */
export function addBorder(borders: Timestamp[], time: Timestamp): void {
  if (borders.length < MAX_BORDERS) borders.push(time);
}

/** The density as data. */
export const densityOf = (state: DensityState): Density => ({
  from: state.from,
  step: state.step,
  records: [...state.records],
  marks: [...state.marks],
  volumeBorders: state.volumeBorders,
  memberBorders: state.memberBorders,
});
