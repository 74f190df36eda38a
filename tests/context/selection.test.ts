// Goal: what a fetch over an archive takes out of a record is what was asked for, whatever the order,
// the gaps, the repetitions and the profile; one selection is used on record after record, also where
// these differ. Against a plain model, over generated records.
import { expect, test } from "bun:test";
import fc from "fast-check";
import { decodeData, encodeResult } from "../../lib/archive/mod.ts";
import { type MetricFilter, Selection } from "../../lib/context/archive-result.ts";
import {
  blockBytes,
  PM_TYPE,
  PM_VAL,
  type Pmid,
  pmidBuild,
  type ResultView,
  type ValueSetInit,
} from "../../lib/pcp/mod.ts";

const METRICS = 6;
const pmidOf = (metric: number): Pmid => pmidBuild(60, 0, metric);

const setOf = (pmid: Pmid): fc.Arbitrary<ValueSetInit> =>
  fc.oneof(
    fc.record({ pmid: fc.constant(pmid), error: fc.constantFrom(0, -12345) }),
    fc
      .tuple(
        fc.constantFrom(PM_TYPE.U32, PM_TYPE.U64, PM_TYPE.STRING),
        fc.uniqueArray(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 8 }),
        fc.string({ maxLength: 60 }),
      )
      .map(([type, instances, text]) => ({
        pmid,
        type,
        instances,
        values: instances.map((id) => (type === PM_TYPE.STRING ? text.slice(id) : id * 1000)),
      })),
  );

const record = fc
  .shuffledSubarray(Array.from({ length: METRICS }, (_, i) => i))
  .chain((metrics) => fc.tuple(...metrics.map((metric) => setOf(pmidOf(metric)))));

const metric = fc.integer({ min: 0, max: METRICS });
const request = fc.oneof(
  fc.array(metric, { minLength: 1, maxLength: 8 }),
  fc.shuffledSubarray(
    Array.from({ length: METRICS }, (_, i) => i),
    { minLength: 1 },
  ),
);

/** Records like this one, of which the last may have a longer block. */
const likeThis = (sets: readonly ValueSetInit[], times: number): (readonly ValueSetInit[])[] =>
  Array.from({ length: times }, (_, time) =>
    sets.map((set) => {
      if ("error" in set) return set;
      const values = Array.from(set.values, (value) =>
        typeof value === "string"
          ? value.replaceAll(/./gu, "abcdefgh"[time] ?? "z") + (time === 5 ? "longer" : "")
          : Number(value) + time,
      );
      return { ...set, values };
    }),
  );

/** Each set as plain data. */
function plain(result: ResultView, filter: MetricFilter | undefined): object[] {
  const found: object[] = [];
  for (const set = result.sets(); set.next();) {
    const { pmid, numval, valfmt } = set;
    const wants = filter?.(pmid);
    const values: unknown[] = [];
    for (let i = 0; i < numval; i++) {
      if (wants?.(set.instance(i)) === false) continue;
      const value =
        valfmt === PM_VAL.INSITU
          ? set.word(i)
          : Buffer.from(blockBytes(set.bytes, set.block(i))).toString("hex");
      values.push([set.instance(i), value]);
    }
    const count = numval < 0 ? numval : values.length;
    found.push({ pmid, numval: count, valfmt: count > 0 ? valfmt : 0, values });
  }
  return found;
}

test("selections equal those of a plain model", () => {
  fc.assert(
    fc.property(
      request,
      fc.array(fc.tuple(record, fc.integer({ min: 1, max: 6 })), { minLength: 1, maxLength: 4 }),
      fc.option(fc.tuple(metric, fc.integer({ min: 0, max: 9 }))),
      (metrics, records, rule) => {
        const pmids = metrics.map(pmidOf);
        const filter: MetricFilter | undefined =
          rule === null
            ? undefined
            : (pmid) => (pmid === pmidOf(rule[0]) ? (instance) => instance > rule[1] : undefined);
        const selection = new Selection(pmids);
        for (const sets of records.flatMap(([each, times]) => likeThis(each, times))) {
          const bytes = encodeResult(3, { timestamp: { sec: 1, nsec: 2 }, sets });
          const result = decodeData(bytes, 3);
          const selected = selection.select(result, filter);
          const all = new Map(sets.map(({ pmid }, i) => [pmid, plain(result, filter)[i]]));
          if (!pmids.some((pmid) => all.has(pmid))) {
            expect(selected).toBeUndefined();
            continue;
          }
          const none = (pmid: Pmid) => ({ pmid, numval: 0, valfmt: 0, values: [] });
          expect(selected?.timestamp).toEqual({ sec: 1, nsec: 2 });
          expect(selected === undefined ? undefined : plain(selected, undefined)).toEqual(
            pmids.map((pmid) => all.get(pmid) ?? none(pmid)),
          );
        }
      },
    ),
    { numRuns: 500, seed: 20 },
  );
});

test("a longer last block, alone different from records before", () => {
  const pmids = [pmidOf(1), pmidOf(0)];
  const selection = new Selection(pmids);
  const texts = ["one", "two", "six", "ten", "nil", "a longer one", "one", "two", "six", "a"];
  const found = texts.map((text, i) => {
    const sets = [
      { pmid: pmidOf(0), type: PM_TYPE.U64, instances: [-1], values: [i] },
      { pmid: pmidOf(1), type: PM_TYPE.STRING, instances: [-1], values: [text] },
    ];
    const result = decodeData(encodeResult(3, { timestamp: { sec: i, nsec: 0 }, sets }), 3);
    const selected = selection.select(result, undefined);
    expect(selected === undefined ? undefined : plain(selected, undefined)).toEqual(
      plain(result, undefined).toReversed(),
    );
    return selected?.timestamp.sec;
  });
  expect(found).toEqual(texts.map((_, i) => i));
});
