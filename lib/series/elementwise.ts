// Functions and operators that work value by value (spec series.md 8.5 to 8.8): columns in, one column out.
// Whole numbers stay whole and exact; what has become a fraction is computed as one, whatever the
// descriptor still says.
import { PM_TYPE, pmConvScale } from "../pcp/mod.ts";
import {
  type Column,
  columnLength,
  isMissing,
  isWhole,
  longAt,
  numberAt,
  numbersOf,
} from "./column.ts";
import type { NumericType } from "./descriptors.ts";

const isFraction = (type: NumericType): boolean => type === "float" || type === "double";

/** Where a column has `no value`. */
function missing(column: Column): { absent?: Uint8Array } {
  if (column.kind !== "text") return column.absent === undefined ? {} : { absent: column.absent };
  const absent = new Uint8Array(columnLength(column));
  let any = false;
  for (let index = 0; index < absent.length; index++)
    if (isMissing(column, index)) {
      absent[index] = 1;
      any = true;
    }
  return any ? { absent } : {};
}

/** A function of doubles over a column, as `%e`. */
export function mapNumbers(column: Column, work: (value: number) => number): Column {
  const numbers = numbersOf(column);
  for (let index = 0; index < numbers.length; index++) numbers[index] = work(numbers[index] ?? 0);
  return { kind: "number", form: "result", numbers, ...missing(column) };
}

/** Whether each value is a whole number. */
function allWhole(column: Column): boolean {
  if (column.kind !== "text") return isWhole(column, 0);
  for (let index = 0; index < columnLength(column); index++)
    if (!isWhole(column, index) && !isMissing(column, index)) return false;
  return true;
}

/** |x| of whole numbers, in their type: the smallest one has none and stays. */
function wholeAbs(column: Column, type: NumericType): Column {
  const length = columnLength(column);
  if (type === "32" || type === "u32") {
    const numbers = numbersOf(column);
    for (let index = 0; index < length; index++) numbers[index] = Math.abs(numbers[index] ?? 0);
    return { kind: "number", form: "decimal", numbers, ...missing(column) };
  }
  const numbers = type === "64" ? new BigInt64Array(length) : new BigUint64Array(length);
  for (let index = 0; index < length; index++) {
    const value = longAt(column, index);
    numbers[index] = value < 0n ? -value : value;
  }
  return { kind: "long", numbers, ...missing(column) };
}

/** C's round(3): halves away from zero. */
const roundAway = (value: number): number => {
  const size = Math.abs(value);
  const whole = Math.floor(size);
  const up = size - whole >= 0.5 ? whole + 1 : whole;
  return value < 0 || Object.is(value, -0) ? -up : up;
};

/** abs, floor, round in the type of the operand. */
export function mapTyped(
  name: "abs" | "floor" | "round",
  column: Column,
  type: NumericType,
): Column {
  if (!isFraction(type) && allWhole(column)) {
    if (name === "abs" && (type === "32" || type === "64")) return wholeAbs(column, type);
    return column;
  }
  const single = type === "float" ? Math.fround : (value: number): number => value;
  // C's comparison leaves the sign of zero.
  const abs = (value: number): number => (value < 0 ? -value : value);
  const work = name === "abs" ? abs : name === "floor" ? Math.floor : roundAway;
  return mapNumbers(column, (value) => work(single(value)));
}

/** Numbers in other units. */
export function rescaleColumn(column: Column, from: number, to: number): Column {
  return mapNumbers(column, (value) => Number(pmConvScale(PM_TYPE.DOUBLE, value, from, to)));
}

type Operator = "+" | "-" | "*" | "/";

const FRACTIONS: Readonly<Record<Operator, (a: number, b: number) => number>> = {
  "+": (a, b) => a + b,
  "-": (a, b) => a - b,
  "*": (a, b) => a * b,
  "/": (a, b) => a / b,
};

function combineFractions(
  operator: Operator,
  type: NumericType,
  left: Column,
  right: Column,
): Column {
  const work = FRACTIONS[operator];
  const single = type === "float";
  const numbers = new Float64Array(columnLength(left));
  for (let index = 0; index < numbers.length; index++) {
    const a = numberAt(left, index);
    const b = numberAt(right, index);
    numbers[index] = single ? Math.fround(work(Math.fround(a), Math.fround(b))) : work(a, b);
  }
  return { kind: "number", form: "result", numbers };
}

/** What operators on whole numbers do. */
export interface WholeRules {
  /** Signed products other than 0 are `no value`, as the real programs say. */
  readonly noSignedProducts: boolean;
}

/** Whole numbers: sums and signed differences wrap, other results that do not fit are `no value`. */
function combineWhole(
  operator: Operator,
  type: NumericType,
  left: Column,
  right: Column,
  rules: WholeRules,
): Column {
  const length = columnLength(left);
  const signed = type === "32" || type === "64";
  const bits = type === "32" || type === "u32" ? 32 : 64;
  const wrap = (value: bigint): bigint =>
    signed ? BigInt.asIntN(bits, value) : BigInt.asUintN(bits, value);
  const numbers = signed ? new BigInt64Array(length) : new BigUint64Array(length);
  const absent = new Uint8Array(length);
  let any = false;
  for (let index = 0; index < length; index++) {
    const a = wrap(longAt(left, index));
    const b = wrap(longAt(right, index));
    const exact = operator === "+" ? a + b : operator === "-" ? a - b : a * b;
    const value = wrap(exact);
    const lost =
      operator === "*"
        ? value !== exact || (signed && rules.noSignedProducts && exact !== 0n)
        : operator === "-" && !signed && exact < 0n;
    if (lost) {
      absent[index] = 1;
      any = true;
    } else numbers[index] = value;
  }
  return { kind: "long", numbers, ...(any ? { absent } : {}) };
}

/** `left op right`, value by value, in a type that describeBinary has given. */
export function combineColumns(
  operator: Operator,
  type: NumericType,
  left: Column,
  right: Column,
  rules: WholeRules,
): Column {
  if (isFraction(type)) return combineFractions(operator, type, left, right);
  if (!allWhole(left) || !allWhole(right)) return combineFractions(operator, "double", left, right);
  return combineWhole(operator, type, left, right, rules);
}
