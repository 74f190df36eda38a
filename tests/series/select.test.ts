// Goal: sets of series that are united one after the other come in the order of PCP's programs, which its tests
// of pmseries hold fast.
import { expect, test } from "bun:test";
import fc from "fast-check";
import type { SeriesId } from "../../lib/series/ids.ts";
import { intersect, unite, uniteInTurn } from "../../lib/series/select.ts";

/** Sets of series that are called by one letter each. */
const setsOf = (...sets: readonly string[]) => sets.map((each) => [...each] as SeriesId[]);
const united = (...sets: readonly string[]): string => uniteInTurn(setsOf(...sets)).join("");

test("what came last stands behind the others, which are sorted", () => {
  expect(united()).toBe("");
  expect(united("ba")).toBe("ab");
  expect(united("d", "c", "a", "b")).toBe("acdb");
  expect(united("d", "ecb", "a", "b")).toBe("abcde");
});

test("what two sets have in common is in the order of the smaller one, of the right one of equal size", () => {
  const common = (left: string, right: string): string => {
    const [a = [], b = []] = setsOf(left, right);
    return intersect(a, b).join("");
  };
  expect(common("cab", "bxyac")).toBe("cab");
  expect(common("bxyac", "cab")).toBe("cab");
  expect(common("cab", "bca")).toBe("bca");
});

test("many sets: as two at a time", () => {
  const set = fc.uniqueArray(fc.constantFrom(..."abcdefghijklmnop"), { maxLength: 6 });
  fc.assert(
    fc.property(fc.array(set, { maxLength: 8 }), (letters) => {
      const sets = setsOf(...letters.map((each) => each.join("")));
      let wanted: readonly SeriesId[] = [];
      for (const each of sets) wanted = unite(wanted, each);
      expect(uniteInTurn(sets)).toEqual(wanted);
    }),
    { numRuns: 500, seed: 7 },
  );
});
