// Goal: patterns fit what fnmatch(3) without flags finds them to fit, in time that no pattern can run away
// with.
import { expect, test } from "bun:test";
import fc from "fast-check";
import { compileGlob } from "../../lib/base/mod.ts";

test.each([
  ["*", "", true],
  ["*", "a/b.c", true],
  ["a?c", "abc", true],
  ["a?c", "ac", false],
  ["disk.*.read*", "disk.dev.read_bytes", true],
  ["[a-c]x", "bx", true],
  ["[!a-c]x", "bx", false],
  ["[^a-c]x", "dx", true],
  ["[]a]", "]", true],
  ["[a-]", "-", true],
  ["[[:digit:]]*", "5x", true],
  ["[[:upper:]x]", "x", true],
  ["[[:nosuch:]]", "a", false],
  ["a[b", "a[b", true],
  ["\\*", "*", true],
  ["\\*", "x", false],
  ["a\\", "a\\", false],
  ["[\\]]", "]", true],
  ["*a*b", "xaxbxab", true],
  ["*a*b", "xaxbxaby", false],
  ["ü?", "üé", true],
  ["*e", "blue", true],
  ["*e", "red", false],
  ["b*u*", "blue", true],
  ["bin-[0-9]*", "bin-900", true],
  ["bin-[!0-9]*", "bin-900", false],
  ["[]x]", "]", true],
  ["[z-a]", "b", false],
  ["a.c", "abc", false],
  ["ab*ba", "aba", false],
])("%s %s", (pattern, text, wanted) => expect(compileGlob(pattern)(text)).toBe(wanted));

test("stars and question marks, as regular expressions have them", () => {
  const pieces = fc.constantFrom("a", "b", "*", "?", ".");
  fc.assert(
    fc.property(
      fc.string({ unit: pieces, maxLength: 8 }),
      fc.string({ unit: fc.constantFrom("a", "b", "."), maxLength: 10 }),
      (pattern, text) => {
        const source = pattern.replace(/[.]/g, "\\.").replace(/\?/g, ".").replace(/\*/g, ".*");
        expect(compileGlob(pattern)(text)).toBe(new RegExp(`^${source}$`).test(text));
      },
    ),
    { seed: 8, numRuns: 500 },
  );
});

test("brackets that nobody closes end", () => {
  for (const piece of ["[", "[!", "[:", "[[:", "[[:x:", "[a-", "[\\"]) {
    const pattern = `${piece.repeat(20_000)}*`;
    expect([piece, compileGlob(pattern)("x")]).toEqual([piece, false]);
  }
  expect(compileGlob("[[:nosuch")("[[:nosuch")).toBe(true);
  expect(compileGlob("[[:alpha:]")("[p")).toBe(true);
});

test("many stars over a long text end", () => {
  expect(compileGlob(`${"*a".repeat(200)}b`)("a".repeat(10_000))).toBe(false);
  expect(compileGlob("*a".repeat(2000))("a".repeat(1999))).toBe(false);
});
