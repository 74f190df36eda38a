// Samples of one series as columns, and what is done with whole ones: choosing, joining, leaving places
// empty. A sample has a time and some values, each of an instance; a sample without values is a hole.
import { type Column, joinColumns, pickColumn } from "./column.ts";

/** Samples of one series. */
export interface Samples {
  /** Time of each sample, microseconds since 1970, exact. */
  readonly times: Float64Array;
  /** For each sample the index behind its last value. */
  readonly ends: Uint32Array;
  /** For each value its instance, an index of `instances`. */
  readonly places: Uint32Array;
  /** Identifiers of instances; of the series itself where there are none; empty for no instance. */
  readonly instances: readonly string[];
  readonly values: Column;
  /** Time of each value, where values of one sample are of different times. */
  readonly valueTimes?: Float64Array;
}

/** Index of the first value of a sample. */
export const startOfSample = (samples: Samples, index: number): number =>
  index === 0 ? 0 : (samples.ends[index - 1] ?? 0);

/** Number of values of a sample. */
export const sampleSize = (samples: Samples, index: number): number =>
  (samples.ends[index] ?? 0) - startOfSample(samples, index);

/** Time of the value `index` of the sample `sample`. */
export const timeOfValue = (samples: Samples, sample: number, index: number): number =>
  (samples.valueTimes === undefined ? samples.times[sample] : samples.valueTimes[index]) ?? 0;

/** The values at some indexes as new samples; `times` and `ends` are those of the new samples. */
export function pickValues(
  samples: Samples,
  indexes: ArrayLike<number>,
  times: Float64Array,
  ends: Uint32Array,
  valueTimes?: Float64Array,
): Samples {
  return {
    times,
    ends,
    places: Uint32Array.from(indexes, (index) => samples.places[index] ?? 0),
    instances: samples.instances,
    values: pickColumn(samples.values, indexes),
    ...(valueTimes === undefined ? {} : { valueTimes }),
  };
}

/** Some samples; those not chosen leave holes if `holes`, else nothing. */
export function pickSamples(samples: Samples, chosen: readonly number[], holes: boolean): Samples {
  const total = samples.times.length;
  if (chosen.length === total) return samples;
  const indexes: number[] = [];
  const ends = new Uint32Array(holes ? total : chosen.length);
  const times = holes ? samples.times : new Float64Array(chosen.length);
  let next = 0;
  chosen.forEach((sample, which) => {
    if (holes) for (; next < sample; next++) ends[next] = indexes.length;
    const end = samples.ends[sample] ?? 0;
    for (let index = startOfSample(samples, sample); index < end; index++) indexes.push(index);
    if (!holes) times[which] = samples.times[sample] ?? 0;
    ends[holes ? next++ : which] = indexes.length;
  });
  if (holes) for (; next < total; next++) ends[next] = indexes.length;
  const { valueTimes } = samples;
  const own =
    valueTimes === undefined
      ? undefined
      : Float64Array.from(indexes, (index) => valueTimes[index] ?? 0);
  return pickValues(samples, indexes, times, ends, own);
}

/** Samples without those that have no values. */
export function withoutHoles(samples: Samples): Samples {
  const kept: number[] = [];
  for (let index = 0; index < samples.times.length; index++)
    if (sampleSize(samples, index) > 0) kept.push(index);
  return pickSamples(samples, kept, false);
}

/** Nothing. */
export const NO_SAMPLES: Samples = {
  times: new Float64Array(0),
  ends: new Uint32Array(0),
  places: new Uint32Array(0),
  instances: [],
  values: { kind: "text", bytes: new Uint8Array(0), ends: new Uint32Array(0) },
};

/** Blocks of one request, which share a table of instances, as one. */
export function joinBlocks(blocks: readonly Samples[]): Samples {
  const [first] = blocks;
  if (first === undefined) return NO_SAMPLES;
  if (blocks.length === 1) return first;
  const samples = blocks.reduce((sum, { times }) => sum + times.length, 0);
  const values = blocks.reduce((sum, { places }) => sum + places.length, 0);
  const times = new Float64Array(samples);
  const ends = new Uint32Array(samples);
  const places = new Uint32Array(values);
  let at = 0;
  let base = 0;
  for (const block of blocks) {
    times.set(block.times, at);
    places.set(block.places, base);
    for (const end of block.ends) ends[at++] = base + end;
    base += block.places.length;
  }
  const { instances } = blocks.at(-1) ?? first;
  return { times, ends, places, instances, values: joinColumns(blocks.map((each) => each.values)) };
}
