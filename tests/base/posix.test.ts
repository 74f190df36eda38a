// Regular expressions of strangers: what is refused could keep the program busy for ever, what is not
// refused ends soon whatever it is held against, and usual ones are taken.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { compilePosix, costlyPattern, PosixError } from "../../lib/base/mod.ts";

describe("expressions of strangers", () => {
  for (const [pattern, reason] of [
    ["a".repeat(257), "too long"],
    ["(a)\\1", "back references"],
    ["a*b*c*", "too many repetitions"],
    ["a+b{2,}c*", "too many repetitions"],
    ["(a*)*", "cannot be repeated"],
    ["a**", "cannot be repeated"],
    [`^${".?".repeat(40)}Z`, "too many choices"],
    [`${"(.|e|)".repeat(20)}Z`, "too many choices"],
    [`${"(a|(.|b))".repeat(9)}Z`, "too many choices"],
    [".?.?.?.?.?.?.*.*Z", "too many choices"],
  ] as const)
    test(`refused: ${pattern.slice(0, 30)}`, () => {
      expect(costlyPattern(pattern)).toContain(reason);
    });

  for (const pattern of [
    "kernel.all.load",
    "^disk\\.dev\\.(read|write)(_bytes)?$",
    "^(eth|en|wl|lo|br|veth|docker|tun|tap)[0-9]+_.*$",
    "^(kernel|disk|mem|network|swap|proc|filesys|hinv|pmcd|nfs|rpc|ipc|xfs|acct|cgroup)\\.",
    "cpu[?*+|(){}]?",
    "a|b|c|d|e|f|g|h|i|j|k|l|m|n|o|p|q|r|s|t|u|v|w|x|y|z".repeat(2),
  ])
    test(`taken: ${pattern.slice(0, 30)}`, () => {
      expect(costlyPattern(pattern)).toBeUndefined();
    });

  test("what is not refused ends soon", () => {
    const piece = fc.constantFrom(
      "a",
      ".",
      "[^b]",
      "(a|b)",
      "(a||b)",
      "?",
      "*",
      "+",
      "{2}",
      "|",
      "$",
    );
    const text = "a".repeat(40);
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
        const pattern = `${pieces.join("")}Z`;
        if (costlyPattern(pattern) !== undefined) return;
        try {
          compilePosix(pattern).test(text);
        } catch (error) {
          if (!(error instanceof PosixError)) throw error;
        }
      }),
      { seed: 7, numRuns: 3000 },
    );
  });
});
