// Goal: numbers of PCP's types wrap, round and compare as in C: every operator against exact
// arithmetic, over values at and beyond the limits of each type.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { calculate, cast, type Numeric } from "../../lib/derived/arithmetic.ts";
import { PM_TYPE, type PmType } from "../../lib/pcp/mod.ts";

const INTEGERS = [
  [PM_TYPE.I32, 32, true],
  [PM_TYPE.U32, 32, false],
  [PM_TYPE.I64, 64, true],
  [PM_TYPE.U64, 64, false],
] as const;

/** What an exact whole number is in a type. */
function wrapped(exact: bigint, bits: number, signed: boolean): bigint {
  return signed ? BigInt.asIntN(bits, exact) : BigInt.asUintN(bits, exact);
}
/** A whole number as the code holds it. */
const held = (exact: bigint, bits: number): Numeric => (bits === 64 ? exact : Number(exact));
const whole = fc.bigInt({ min: -(2n ** 64n), max: 2n ** 64n });

describe.each(INTEGERS)("type %i", (type, bits, signed) => {
  const each = (body: (a: bigint, b: bigint, x: Numeric, y: Numeric) => void): void =>
    fc.assert(
      fc.property(whole, whole, (left, right) => {
        const [a, b] = [wrapped(left, bits, signed), wrapped(right, bits, signed)];
        body(a, b, held(a, bits), held(b, bits));
      }),
      { seed: 11, numRuns: 300 },
    );

  test("sums, differences and products wrap", () => {
    each((a, b, x, y) => {
      const exact = (value: bigint): Numeric => held(wrapped(value, bits, signed), bits);
      expect(calculate("+", x, y, type)).toBe(exact(a + b));
      expect(calculate("-", x, y, type)).toBe(exact(a - b));
      expect(calculate("*", x, y, type)).toBe(exact(a * b));
    });
  });
  test("relations and booleans are 1 or 0", () => {
    each((a, b, x, y) => {
      expect(calculate("<", x, y, type)).toBe(a < b ? 1 : 0);
      expect(calculate(">=", x, y, type)).toBe(a >= b ? 1 : 0);
      expect(calculate("==", x, x, type)).toBe(1);
      expect(calculate("!=", x, y, type)).toBe(a === b ? 0 : 1);
      expect(calculate("&&", x, y, type)).toBe(a !== 0n && b !== 0n ? 1 : 0);
      expect(calculate("||", x, y, type)).toBe(a !== 0n || b !== 0n ? 1 : 0);
    });
  });
  test("casts keep the low bits, or round", () => {
    each((a, _, x) => {
      for (const [to, toBits, toSigned] of INTEGERS) {
        expect(cast(x, type, to)).toBe(held(wrapped(a, toBits, toSigned), toBits));
      }
      expect(cast(x, type, PM_TYPE.DOUBLE)).toBe(Number(a));
      expect(cast(x, type, PM_TYPE.FLOAT)).toBe(Math.fround(Number(a)));
    });
  });
});

describe("floats", () => {
  const divide = (a: number, b: number, type: PmType = PM_TYPE.DOUBLE): Numeric =>
    calculate("/", a, b, type);
  test("zero divided by anything is zero, others give infinities", () => {
    expect([divide(0, 0), divide(1, 0), divide(-1, 0), divide(7, 2)]).toEqual([
      0,
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
      3.5,
    ]);
  });
  test("single precision is rounded after each operator", () => {
    const a = Math.fround(16_777_216);
    expect(calculate("+", a, 1, PM_TYPE.FLOAT)).toBe(16_777_216);
    expect(calculate("*", Math.fround(0.1), 3, PM_TYPE.FLOAT)).toBe(
      Math.fround(Math.fround(0.1) * 3),
    );
  });
});
