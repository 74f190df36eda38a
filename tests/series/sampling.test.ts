// Goal: samples are chosen by interval and count as PCP chooses them, and the same ones whether they come
// at once or in blocks of any size; holes stay where they are asked for.
import { expect, test } from "bun:test";
import fc from "fast-check";
import { textAt, textColumn } from "../../lib/series/column.ts";
import {
  joinBlocks,
  pickSamples,
  type Samples,
  sampleSize,
  withoutHoles,
} from "../../lib/series/samples.ts";
import { UTC } from "../../lib/pcp/mod.ts";
import { readWindow } from "../../lib/series/lookups.ts";
import { parseQuery } from "../../lib/series/parse.ts";
import { chosenSamples, rangeOf, type Thinning } from "../../lib/series/sampling.ts";
import type { ValueBlock } from "../../lib/series/store.ts";
import { thinned } from "../../lib/series/thin.ts";

/** Samples at some times with so many values each; a value tells its sample. */
function samplesOf(times: readonly number[], sizes: readonly number[]): Samples {
  const owners = times.flatMap((time, at) =>
    Array.from({ length: sizes[at] ?? 1 }, (_, place) => ({ time, place })),
  );
  let end = 0;
  return {
    times: Float64Array.from(times),
    ends: Uint32Array.from(times, (_, at) => (end += sizes[at] ?? 1)),
    places: Uint32Array.from(owners, ({ place }) => place),
    instances: ["a", "b", "c"],
    values: textColumn(owners.map(({ time, place }) => `${time}/${place}`)),
  };
}

const SECOND = 1e6;
const every = (seconds: number, more: Partial<Thinning> = {}): Thinning => ({
  interval: seconds * SECOND,
  seconds: Math.floor(seconds),
  start: undefined,
  count: Infinity,
  ...more,
});

/** Each sample as its time and values. */
const shown = (samples: Samples): unknown[] =>
  Array.from(samples.times, (time, sample) => [
    time,
    Array.from({ length: sampleSize(samples, sample) }, (_, at) =>
      textAt(samples.values, (samples.ends[sample] ?? 0) - sampleSize(samples, sample) + at),
    ),
  ]);

test("the later one of a range and of bounds counts; of parameters the range", () => {
  const now = { sec: 1000, nsec: 0 };
  const options = { now, zone: UTC };
  const asked = (times: string) => rangeOf(parseQuery(`a[${times}]`, options).times, now, false);
  expect(asked("10sec")).toEqual({ from: 990e6, to: Infinity });
  expect(asked("start:5,finish:7,10sec")).toEqual({ from: 990e6, to: Infinity });
  expect(asked("10sec,start:5,finish:7")).toEqual({ from: 5e6, to: 7e6 });
  expect(asked("start:5,10sec,finish:7")).toEqual({ from: 990e6, to: 7e6 });
  expect(asked("finish:0,count:3")).toEqual({ from: 0, to: Infinity });
  expect(asked("10sec,count:3")).toEqual({ from: 990e6, to: Infinity });
  const window = readWindow({ start: "5", finish: "7", range: "10sec" }, options);
  expect(rangeOf(window, now, false)).toEqual({ from: 990e6, to: Infinity });
});

test("intervals", () => {
  const times = [2.09, 12.093, 22.096, 32.0966, 42.0969, 52.0987, 62.0943].map((t) =>
    Math.round(t * SECOND),
  );
  const samples = samplesOf(times, []);
  expect(chosenSamples(samples, every(20))).toEqual([0, 1, 3, 5, 6]);
  expect(chosenSamples(samples, every(15))).toEqual([0, 1, 2, 4, 5, 6]);
  expect(chosenSamples(samples, every(20, { count: 2 }))).toEqual([0, 1]);
  expect(chosenSamples(samples, every(20, { start: 100 * SECOND }))).toEqual([6]);
  expect(chosenSamples(samples, every(0, { count: 3 }))).toEqual([0, 1, 2]);
});

const TIMES = fc.array(fc.integer({ min: 1, max: 5_000_000 }), { maxLength: 40 }).map((steps) => {
  let time = 0;
  return steps.map((step) => (time += step));
});

test("blocks of any size give the same samples", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(TIMES, { maxLength: 3 }),
      fc.integer({ min: 1, max: 7 }),
      fc.constantFrom(0, 0.3, 1, 2.5, 10),
      fc.constantFrom(1, 2, 5, Infinity),
      fc.option(fc.integer({ min: 0, max: 20 * SECOND }), { nil: undefined }),
      async (series, size, seconds, count, start) => {
        const thinning = every(seconds, { count, start });
        const all = series.map((times) =>
          samplesOf(
            times,
            times.map((time) => time % 3),
          ),
        );
        async function* blocks(): AsyncGenerator<ValueBlock> {
          for (const [request, samples] of all.entries())
            for (let from = 0; from < samples.times.length; from += size) {
              await Promise.resolve();
              const to = Math.min(from + size, samples.times.length);
              const chosen = Array.from({ length: to - from }, (_, at) => from + at);
              yield { ...pickSamples(samples, chosen, false), request };
            }
        }
        const got = all.map((): Samples[] => []);
        for await (const { request, ...samples } of thinned(blocks(), thinning))
          got[request]?.push(samples);
        all.forEach((samples, at) => {
          const wanted = pickSamples(samples, chosenSamples(samples, thinning), false);
          expect(shown(joinBlocks(got[at] ?? []))).toEqual(shown(wanted));
        });
      },
    ),
    { seed: 4, numRuns: 200 },
  );
});

test("holes keep their places, and can be left out", () => {
  const samples = samplesOf([1, 2, 3, 4], [2, 1, 3, 1]);
  const holes = pickSamples(samples, [1, 2], true);
  expect(shown(holes)).toEqual([
    [1, []],
    [2, ["2/0"]],
    [3, ["3/0", "3/1", "3/2"]],
    [4, []],
  ]);
  expect(shown(withoutHoles(holes))).toEqual(shown(pickSamples(samples, [1, 2], false)));
});
