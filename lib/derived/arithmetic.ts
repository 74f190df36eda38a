// Numbers of PCP's types as C computes with them: integers wrap, floats are rounded to 32 bits.
// 64-bit integers are bigint, all others number. Division by zero gives an infinity, and zero
// divided by anything is zero, as in libpcp.
import { PM_TYPE, type PmType } from "../pcp/mod.ts";
import type { BinaryOp } from "./expr.ts";

/** A value that can be computed with. */
export type Numeric = number | bigint;

const isWide = (type: PmType): boolean => type === PM_TYPE.I64 || type === PM_TYPE.U64;

/** A value of type `from` (never a float for an integer `to`) as one of type `to`. */
export function cast(value: Numeric, from: PmType, to: PmType): Numeric {
  if (from === to && !(isWide(to) && typeof value === "number")) return value;
  switch (to) {
    case PM_TYPE.I32:
      return Number(BigInt.asIntN(32, BigInt(value)));
    case PM_TYPE.U32:
      return Number(BigInt.asUintN(32, BigInt(value)));
    case PM_TYPE.I64:
      return BigInt.asIntN(64, BigInt(value));
    case PM_TYPE.U64:
      return BigInt.asUintN(64, BigInt(value));
    case PM_TYPE.FLOAT:
      return Math.fround(Number(value));
    default:
      return Number(value);
  }
}

/** Whether a relation holds between two values of one type. */
export function compare(op: BinaryOp, a: Numeric, b: Numeric): boolean {
  switch (op) {
    case "<":
      return a < b;
    case "<=":
      return a <= b;
    case "==":
      return a === b;
    case ">=":
      return a >= b;
    case ">":
      return a > b;
    default:
      return a !== b;
  }
}

const truth = (value: Numeric): boolean => value !== 0 && value !== 0n;

function wide(op: BinaryOp, a: bigint, b: bigint, type: PmType): bigint {
  const exact = op === "+" ? a + b : op === "-" ? a - b : a * b;
  return type === PM_TYPE.I64 ? BigInt.asIntN(64, exact) : BigInt.asUintN(64, exact);
}

function narrow(op: BinaryOp, a: number, b: number, type: PmType): number {
  const bits = op === "+" ? (a + b) | 0 : op === "-" ? (a - b) | 0 : Math.imul(a, b);
  return type === PM_TYPE.I32 ? bits : bits >>> 0;
}

function floating(op: BinaryOp, a: number, b: number): number {
  if (op === "+") return a + b;
  if (op === "-") return a - b;
  if (op === "*") return a * b;
  return a === 0 ? 0 : a / b;
}

/** The result of an operator on two values of type `type`; relations give 1 or 0. */
export function calculate(op: BinaryOp, a: Numeric, b: Numeric, type: PmType): Numeric {
  if (op === "&&") return truth(a) && truth(b) ? 1 : 0;
  if (op === "||") return truth(a) || truth(b) ? 1 : 0;
  if (op !== "+" && op !== "-" && op !== "*" && op !== "/") return compare(op, a, b) ? 1 : 0;
  if (typeof a === "bigint" && typeof b === "bigint") return wide(op, a, b, type);
  const [x, y] = [Number(a), Number(b)];
  if (type === PM_TYPE.I32 || type === PM_TYPE.U32) return narrow(op, x, y, type);
  const result = floating(op, x, y);
  return type === PM_TYPE.FLOAT ? Math.fround(result) : result;
}
