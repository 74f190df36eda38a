// Goal: however a logger cuts its files into bodies, it is known whether they end with whole records.
import { expect, test } from "bun:test";
import fc from "fast-check";
import { decodeIndexEntry } from "../../lib/archive/mod.ts";
import { viewOf } from "../../lib/base/mod.ts";
import { watchIndexEnd, watchRecordEnd } from "../../lib/push/record-end.ts";
import { recorded, recordsOf } from "./pushing.ts";

const RUNS = { numRuns: 200, seed: 20_261_122 };

/** Cuts bytes at the given fractions of their length. */
function pieces(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const at = [0, ...cuts.map((cut) => Math.floor(cut * bytes.length)), bytes.length];
  at.sort((a, b) => a - b);
  return at.slice(1).map((end, i) => bytes.subarray(at[i], end));
}
const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), {
  maxLength: 40,
});

test("records are followed across bodies", () => {
  const records = recordsOf(`${recorded("rec/v3-labels-721")}.meta`);
  const all = Uint8Array.from(Buffer.concat(records));
  const ends = new Set([0]);
  let sum = 0;
  for (const { length } of records) ends.add((sum += length));
  const holds = (at: readonly number[], part: number): void => {
    const bytes = all.subarray(0, Math.floor(part * (all.length + 1)));
    const watch = watchRecordEnd();
    for (const piece of pieces(bytes, at)) watch.take(piece);
    expect([watch.taken, watch.isWhole]).toEqual([bytes.length, ends.has(bytes.length)]);
  };
  const part = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true });
  fc.assert(fc.property(cuts, part, holds), RUNS);
  holds([0.2, 0.5], 0.999_999_999);
});

test("what are no records is said to be whole", () => {
  for (const bytes of [new Uint8Array(7), new Uint8Array(9).fill(0xff)]) {
    const watch = watchRecordEnd();
    watch.take(bytes);
    watch.take(bytes);
    expect(watch.isWhole).toBe(true);
  }
});

test.each([
  ["rec/v3-mv", 3],
  ["rec/v2-mv", 2],
] as const)("the last entry of an index of %s", (name, version) => {
  const entries = recordsOf(`${recorded(name)}.index`);
  const all = Uint8Array.from(Buffer.concat(entries));
  const length = entries[0]?.length ?? 1;
  fc.assert(
    fc.property(cuts, fc.integer({ min: 0, max: all.length }), (at, size) => {
      const bytes = all.subarray(0, size);
      const watch = watchIndexEnd(version);
      for (const piece of pieces(bytes, at)) watch.take(piece);
      const count = Math.floor(size / length);
      expect(watch.isWhole).toBe(size % length === 0);
      const last =
        count === 0 ? undefined : decodeIndexEntry(viewOf(all), (count - 1) * length, version);
      expect(watch.last).toEqual(last);
    }),
    RUNS,
  );
});
