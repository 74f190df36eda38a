// Goal: a value means the same as text, as number, chosen and joined, whatever kind of column holds it; a
// number that has been computed is what its text says.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { formatE } from "../../lib/pcp/mod.ts";
import {
  type Column,
  columnLength,
  joinColumns,
  longAt,
  numberAt,
  numberOfBytes,
  numberText,
  pickColumn,
  textAt,
  textColumn,
} from "../../lib/series/column.ts";
import { fixedText, putE, putFixed, putWhole, roundedE } from "../../lib/series/numerals.ts";

const encoder = new TextEncoder();
const numberOf = (text: string): number => {
  const bytes = encoder.encode(`x${text}y`);
  return numberOfBytes(bytes, 1, bytes.length - 1);
};

describe("texts as numbers", () => {
  test.each([
    ["0", 0],
    ["-0", -0],
    ["23489", 23489],
    ["18446744073709551613", 2 ** 64],
    ["-9223372036854775806", -(2 ** 63)],
    ["1.000000e+06", 1e6],
    ["-2.250000e-07", -2.25e-7],
    ["1.000000e+300", 1e300],
    ["42.592717", 42.592717],
    ["inf", Infinity],
    ["-inf", -Infinity],
    ["nan", Number.NaN],
    ["-nan", Number.NaN],
    ["", 0],
    ["-", 0],
    ["e5", 0],
    ['"12"', 0],
    ["no value", 0],
    ["12abc", 12],
    ["1e", 1],
    ["1.2.3", 1.2],
    [".5", 0.5],
  ])("%s", (text, wanted) => expect(numberOf(text)).toBe(wanted));

  test("doubles in any form", () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true }), (value) => {
        const text = Object.is(value, -0) ? "-0" : String(value).replace("Infinity", "inf");
        expect(numberOf(text)).toBe(value);
        expect(numberOf(formatE(value))).toBe(
          Number.isFinite(value) ? Number(formatE(value)) : value,
        );
      }),
      { seed: 1 },
    );
  });
});

/** Numbers of all sizes, and those whose digits are near a tie. */
const NUMBERS = fc.oneof(
  fc.double({ noDefaultInfinity: true, noNaN: true }),
  fc.double({ min: -1e9, max: 1e9, noNaN: true }),
  fc
    .tuple(fc.integer({ min: 1_000_000, max: 9_999_999 }), fc.integer({ min: -30, max: 30 }))
    .map(([digits, power]) => Number(`${digits}5e${power}`)),
  fc.integer({ min: -30, max: 30 }).map((power) => Number(`9.9999995e${power}`)),
);

test("digits are those of C, written or rounded", () => {
  const bytes = new Uint8Array(512);
  const written = (end: number): string => Buffer.from(bytes.subarray(3, end)).toString();
  fc.assert(
    fc.property(NUMBERS, (value) => {
      expect(written(putE(bytes, 3, value))).toBe(formatE(value));
      expect(roundedE(value)).toBe(Number(formatE(value)));
      expect(written(putFixed(bytes, 3, value))).toBe(fixedText(value));
      const whole = Math.trunc(value % 1e15) + 0;
      expect(written(putWhole(bytes, 3, whole))).toBe(String(whole));
    }),
    { seed: 9, numRuns: 3000 },
  );
});

test("numbers as texts", () => {
  expect(numberText(0.5, "float")).toBe("5.000000e-01");
  expect(numberText(Number.NaN, "float")).toBe("nan");
  expect(numberText(Number.NaN, "result")).toBe("-nan");
  expect(numberText(-0, "rate")).toBe("-0.000000");
  expect(numberText(1e22, "rate")).toBe("10000000000000000000000.000000");
  expect(numberText(-Infinity, "rate")).toBe("-inf");
});

/** A column of some kind, and its texts. */
const columns: fc.Arbitrary<Column> = fc.oneof(
  fc.array(fc.string()).map(textColumn),
  fc
    .array(fc.double())
    .map((list): Column => ({ kind: "number", form: "result", numbers: Float64Array.from(list) })),
  fc
    .array(fc.integer())
    .map((list): Column => ({ kind: "number", form: "decimal", numbers: Float64Array.from(list) })),
  fc.array(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), { minLength: 1 }).map((list): Column => {
    const absent = Uint8Array.from(list, (_, index) => index % 2);
    return { kind: "long", numbers: BigUint64Array.from(list), absent };
  }),
  fc
    .array(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }))
    .map((list): Column => ({ kind: "long", numbers: BigInt64Array.from(list) })),
);
const textsOf = (column: Column): string[] =>
  Array.from({ length: columnLength(column) }, (_, index) => textAt(column, index));

test("a number is what its text says, in every kind of column", () => {
  fc.assert(
    fc.property(columns, (column) => {
      const texts = textColumn(textsOf(column));
      for (let index = 0; index < columnLength(column); index++) {
        expect(numberAt(column, index)).toBe(numberAt(texts, index));
        expect(longAt(column, index)).toBe(longAt(texts, index));
      }
    }),
    { seed: 2 },
  );
});

test("values chosen and joined keep their texts", () => {
  fc.assert(
    fc.property(fc.array(columns, { maxLength: 4 }), fc.array(fc.nat()), (list, wanted) => {
      const joined = joinColumns(list);
      const texts = list.flatMap(textsOf);
      expect(textsOf(joined)).toEqual(texts);
      const indexes = texts.length === 0 ? [] : wanted.map((index) => index % texts.length);
      expect(textsOf(pickColumn(joined, indexes))).toEqual(
        indexes.map((index) => texts[index] ?? ""),
      );
    }),
    { seed: 3 },
  );
});
