// Functions over the samples or the instances of one series (spec series.md 8.1 to 8.4): the largest, sums,
// averages, ranks, rates. They choose among values, whose texts and times stay, or compute new ones.
// Holes of a count count as samples, as in PCP; where PCP's programs crash over holes they are left out.
import { type Column, columnLength, joinColumns, numbersOf, pickColumn } from "./column.ts";
import {
  pickValues,
  type Samples,
  sampleSize,
  startOfSample,
  timeOfValue,
  withoutHoles,
} from "./samples.ts";

/** Samples whose number of values is that of the first one. */
function regular(samples: Samples): number[] {
  const size = sampleSize(samples, 0);
  const list: number[] = [];
  for (let index = 0; index < samples.times.length; index++)
    if (sampleSize(samples, index) === size) list.push(index);
  return list;
}

/** One sample that has the values at some indexes, each with its own time. */
function oneSample(
  samples: Samples,
  indexes: readonly number[],
  sampleOf: readonly number[],
): Samples {
  const valueTimes = Float64Array.from(indexes, (index, at) =>
    timeOfValue(samples, sampleOf[at] ?? 0, index),
  );
  const times = Float64Array.of(valueTimes[0] ?? samples.times[0] ?? 0);
  return pickValues(samples, indexes, times, Uint32Array.of(indexes.length), valueTimes);
}

/** max, min over time: for each instance the first of the best. */
export function bestOverTime(samples: Samples, largest: boolean): Samples {
  const numbers = numbersOf(samples.values);
  const size = sampleSize(samples, 0);
  const best = Array.from({ length: size }, (_, place) => place);
  const from = best.map(() => 0);
  for (const sample of regular(samples)) {
    const start = startOfSample(samples, sample);
    for (let place = 0; place < size; place++) {
      const value = numbers[start + place] ?? 0;
      const known = numbers[best[place] ?? 0] ?? 0;
      if (largest ? value > known : value < known) {
        best[place] = start + place;
        from[place] = sample;
      }
    }
  }
  return oneSample(samples, best, from);
}

/** How values become one: their sum, average or deviation. */
export type Total = "sum" | "avg" | "stdev";

/** The total of `count` values; `count` may be more than those that `values` gives. */
function totalOf(kind: Total, values: readonly number[], count: number): number {
  let sum = 0;
  for (const value of values) sum += value;
  if (kind === "sum") return sum;
  const mean = sum / count;
  if (kind === "avg") return mean;
  let squares = 0;
  for (const value of values) squares += (value - mean) ** 2;
  return Math.sqrt(squares / count);
}

const results = (numbers: Float64Array): Column => ({ kind: "number", form: "result", numbers });

/**
 * sum, avg, stdev over time, for each instance. All samples count as divisor of an average, as in PCP; a
 * deviation, over which PCP's programs crash there, is that of the values that there are.
 */
export function totalOverTime(samples: Samples, kind: Total): Samples {
  const numbers = numbersOf(samples.values);
  const size = sampleSize(samples, 0);
  const starts = regular(samples).map((sample) => startOfSample(samples, sample));
  const totals = new Float64Array(size);
  for (let place = 0; place < size; place++)
    totals[place] = totalOf(
      kind,
      starts.map((start) => numbers[start + place] ?? 0),
      kind === "stdev" ? starts.length : samples.times.length,
    );
  return {
    times: samples.times.slice(0, 1),
    ends: samples.ends.slice(0, 1),
    places: samples.places.slice(0, size),
    instances: samples.instances,
    values: results(totals),
    ...(samples.valueTimes === undefined ? {} : { valueTimes: samples.valueTimes.slice(0, size) }),
  };
}

/** sum, avg, stdev over instances, for each sample; a value of no instance. */
export function totalOverInstances(gappy: Samples, kind: Total): Samples {
  const samples = withoutHoles(gappy);
  const numbers = numbersOf(samples.values);
  const count = samples.times.length;
  const totals = new Float64Array(count);
  const times = new Float64Array(count);
  for (let sample = 0; sample < count; sample++) {
    const start = startOfSample(samples, sample);
    const values = Array.from(numbers.subarray(start, samples.ends[sample]));
    totals[sample] = totalOf(kind, values, values.length);
    times[sample] = timeOfValue(samples, sample, start);
  }
  return {
    times,
    ends: Uint32Array.from({ length: count }, (_, index) => index + 1),
    places: new Uint32Array(count),
    instances: [""],
    values: results(totals),
  };
}

/** New samples out of values, one list of indexes a sample. */
function regrouped(
  samples: Samples,
  groups: readonly (readonly number[])[],
  sampleOf: (group: number, at: number) => number,
): Samples {
  const indexes = groups.flat();
  const valueTimes = new Float64Array(indexes.length);
  const times = new Float64Array(groups.length);
  const ends = new Uint32Array(groups.length);
  let end = 0;
  groups.forEach((group, which) => {
    group.forEach((index, at) => {
      valueTimes[end + at] = timeOfValue(samples, sampleOf(which, at), index);
    });
    times[which] = valueTimes[end] ?? 0;
    end += group.length;
    ends[which] = end;
  });
  return pickValues(samples, indexes, times, ends, valueTimes);
}

/** One value of each sample; `indexes` are those of the values. */
function oneOfEach(samples: Samples, indexes: Uint32Array): Samples {
  const times = Float64Array.from(indexes, (index, sample) => timeOfValue(samples, sample, index));
  return pickValues(
    samples,
    indexes,
    times,
    indexes.map((_, at) => at + 1),
  );
}

/** max, min over instances: for each sample the first of the best. */
export function bestOverInstances(gappy: Samples, largest: boolean): Samples {
  const samples = withoutHoles(gappy);
  const numbers = numbersOf(samples.values);
  const best = new Uint32Array(samples.times.length);
  for (let sample = 0; sample < best.length; sample++) {
    const start = startOfSample(samples, sample);
    best[sample] = start;
    let known = numbers[start] ?? 0;
    for (let index = start + 1; index < (samples.ends[sample] ?? 0); index++) {
      const value = numbers[index] ?? 0;
      if (largest ? value > known : value < known) {
        best[sample] = index;
        known = value;
      }
    }
  }
  return oneOfEach(samples, best);
}

/** Places of a ranking: the values that are in them, and which candidates. */
interface Ranking {
  readonly values: number[];
  readonly who: number[];
}

const newRanking = (size: number): Ranking => ({
  values: Array.from({ length: size }, () => 0),
  who: Array.from({ length: size }, () => 0),
});

/** Puts a candidate before the first place with a smaller value; the last one falls out. */
function rank({ values, who }: Ranking, value: number, candidate: number): void {
  // From behind: most candidates do not get in.
  const size = values.length;
  if (size === 0 || !(value > (values[size - 1] ?? 0))) return;
  const at = values.findIndex((each) => each < value);
  values.splice(at, 0, value);
  who.splice(at, 0, candidate);
  values.length = size;
  who.length = size;
}

/** topk over time: for each instance a sample with its largest values. */
export function topOverTime(samples: Samples, wanted: number): Samples {
  const numbers = numbersOf(samples.values);
  const size = sampleSize(samples, 0);
  const list = regular(samples);
  const ranking = newRanking(Math.min(wanted, samples.times.length));
  const groups: number[][] = [];
  const from: number[][] = [];
  for (let place = 0; place < size; place++) {
    // PCP begins anew in the first place only; the others stay from the instance before.
    if (ranking.values.length > 0) ranking.values[0] = 0;
    for (const sample of list)
      rank(ranking, numbers[startOfSample(samples, sample) + place] ?? 0, sample);
    from.push([...ranking.who]);
    groups.push(ranking.who.map((sample) => startOfSample(samples, sample) + place));
  }
  return regrouped(samples, groups, (group, at) => from[group]?.[at] ?? 0);
}

/** topk over instances: for each sample its largest values. */
export function topOverInstances(gappy: Samples, wanted: number): Samples {
  const samples = withoutHoles(gappy);
  const numbers = numbersOf(samples.values);
  const size = Math.min(wanted, samples.times.length === 0 ? 0 : sampleSize(samples, 0));
  const groups = Array.from(samples.times, (_, sample) => {
    const start = startOfSample(samples, sample);
    const ranking = newRanking(size);
    for (let index = start; index < (samples.ends[sample] ?? 0); index++)
      rank(ranking, numbers[index] ?? 0, index - start);
    return ranking.who.map((place) => start + place);
  });
  return regrouped(samples, groups, (group) => group);
}

/** The place of a percentile among so many, the largest first. */
function percentilePlace(count: number, percent: number): number {
  const below = Math.floor((percent / 100) * count);
  return below === count ? 0 : count - 1 - below;
}

/** A percentile over time, for each instance. The first sample is no candidate. */
export function percentileOverTime(samples: Samples, percent: number): Samples {
  const numbers = numbersOf(samples.values);
  const count = samples.times.length;
  const list = regular(samples).filter((sample) => sample > 0);
  const indexes: number[] = [];
  const from: number[] = [];
  for (let place = 0; place < sampleSize(samples, 0); place++) {
    const all = list.map((sample) => ({
      sample,
      value: numbers[startOfSample(samples, sample) + place] ?? 0,
    }));
    const sample = ranked(all, percentilePlace(count, percent));
    from.push(sample);
    indexes.push(startOfSample(samples, sample) + place);
  }
  return oneSample(samples, indexes, from);
}

/** Who is in a place when all candidates, in their order, have been ranked; 0 where nobody is. */
function ranked(
  candidates: readonly { readonly sample: number; readonly value: number }[],
  place: number,
): number {
  // A stable sort is what insertion before the first smaller one comes to; values up to 0 never get in.
  const entered = candidates.filter(({ value }) => value > 0).sort((a, b) => b.value - a.value);
  return entered[place]?.sample ?? 0;
}

/** A percentile over instances, for each sample. */
export function percentileOverInstances(gappy: Samples, percent: number): Samples {
  const samples = withoutHoles(gappy);
  const numbers = numbersOf(samples.values);
  const chosen = Uint32Array.from(samples.times, (_, sample) => {
    const start = startOfSample(samples, sample);
    const size = sampleSize(samples, sample);
    const all = Array.from(numbers.subarray(start, start + size), (value, index) => ({
      sample: index,
      value,
    }));
    return start + ranked(all, percentilePlace(size, percent));
  });
  return oneOfEach(samples, chosen);
}

/**
 * rate: for each pair of neighbours the change a second, at the time of the second one. A pair whose
 * second sample has another number of values than the first of all stays what it was.
 */
export function rates(samples: Samples): Samples {
  const count = samples.times.length;
  if (count < 2) return samples;
  const numbers = numbersOf(samples.values);
  const size = sampleSize(samples, 0);
  const isRegular = (sample: number): boolean => sampleSize(samples, sample) === size;
  const length = isRegular(count - 1) ? count - 1 : count;
  const total = samples.ends[length - 1] ?? 0;
  const changes = new Float64Array(total);
  const valueTimes = new Float64Array(total);
  const times = new Float64Array(length);
  /** 1 where a value is a rate. */
  const rated = new Uint8Array(total);
  for (let sample = 0; sample < length; sample++) {
    const next = sample + 1;
    const both = next < count && isRegular(next) && isRegular(sample);
    const end = samples.ends[sample] ?? 0;
    // Where the value of the same instance is in the next sample.
    const ahead = both ? size : 0;
    for (let index = startOfSample(samples, sample); index < end; index++) {
      const own = timeOfValue(samples, sample, index);
      const other = both ? timeOfValue(samples, next, index + ahead) : own;
      const change = (numbers[index] ?? 0) - (numbers[index + ahead] ?? 0);
      changes[index] = change / ((own - other) / 1e6);
      valueTimes[index] = other;
      rated[index] = both ? 1 : 0;
    }
    times[sample] = (both ? samples.times[next] : samples.times[sample]) ?? 0;
  }
  const rate: Column = { kind: "number", form: "rate", numbers: changes };
  const all = Uint32Array.from({ length: total }, (_, index) => index);
  return {
    times,
    ends: samples.ends.slice(0, length),
    places: samples.places.slice(0, total),
    instances: samples.instances,
    values: rated.every((each) => each === 1)
      ? rate
      : mixed(rate, pickColumn(samples.values, all), rated),
    valueTimes,
  };
}

/** Values of one column where `first` is 1, of the other elsewhere, as texts. */
function mixed(one: Column, other: Column, first: Uint8Array): Column {
  const length = columnLength(one);
  return pickColumn(
    joinColumns([one, other]),
    Uint32Array.from({ length }, (_, index) => (first[index] === 1 ? index : length + index)),
  );
}
