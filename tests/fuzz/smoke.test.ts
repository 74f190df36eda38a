// Goal: every registered fuzzer runs a moment without a finding, on the same inputs each time, and
// the canary, which has a planted fault, is caught, so that silence means something.
import { describe, expect, test } from "bun:test";
import { CANARIES, FUZZERS } from "./index.ts";
import { FuzzFinding, seeded } from "./random.ts";

/** About a second each on a slow machine. */
const ITERATIONS = 6000;
const SEED = 1;

describe("fuzzers find nothing", () => {
  for (const [name, fuzzer] of Object.entries(FUZZERS))
    test(name, async () => await fuzzer(SEED, ITERATIONS), 300_000);
});

describe("canaries are caught", () => {
  for (const [name, canary] of Object.entries(CANARIES)) {
    test(name, () => {
      for (const seed of [1, 2, 3]) expect(() => canary(seed, ITERATIONS)).toThrow(FuzzFinding);
    });
    test(`${name}, with the same finding for the same seed`, () => {
      const finding = (): string => {
        try {
          canary(SEED, ITERATIONS);
        } catch (error) {
          if (error instanceof FuzzFinding) return `${error.iteration} ${error.reproducer}`;
          throw error;
        }
        return "none";
      };
      const first = finding();
      expect(first).not.toBe("none");
      expect(finding()).toBe(first);
    });
  }
});

test("a seed gives the same numbers everywhere", () => {
  const random = seeded(1);
  expect([random.word(), random.word(), random.below(10)]).toEqual([1359867389, 3828441801, 2]);
});
