// Binding of operators with two operands: which may be combined, and the type, semantics, units and
// scaling of the result (pmRegisterDerived(3), SEMANTIC CHECKS AND RULES; in the order of libpcp's
// checks). What libpcp refuses is refused with its words.
import {
  type Indom,
  PM_INDOM_NULL,
  PM_SEM,
  PM_TYPE,
  type PmType,
  unitsFields,
} from "../pcp/mod.ts";
import type { BinaryNode, BoundNode, Meta } from "./bound.ts";
import type { BinaryExpr, BinaryOp } from "./expr.ts";
import { operandName } from "./print.ts";
import { combineUnits, COUNT_UNITS, isDimensionless, ONE, sameDimensions } from "./units.ts";

/** Whether values of a type can be computed with. */
export const isArithmetic = (type: PmType): boolean =>
  type >= PM_TYPE.I32 && type <= PM_TYPE.DOUBLE;

type OperatorClass = "arithmetic" | "relation" | "boolean";

function classOf(op: BinaryOp): OperatorClass {
  if (op === "&&" || op === "||") return "boolean";
  return "+-*/".includes(op) ? "arithmetic" : "relation";
}

/** The first type of this list that one of the operands has. */
const PROMOTION: readonly PmType[] = [
  PM_TYPE.DOUBLE,
  PM_TYPE.FLOAT,
  PM_TYPE.U64,
  PM_TYPE.I64,
  PM_TYPE.U32,
];
const promoted = (left: PmType, right: PmType): PmType =>
  PROMOTION.find((type) => left === type || right === type) ?? PM_TYPE.I32;

/** Counters and what is none: which arithmetic they allow. */
function counterFault(op: BinaryOp, left: Meta, right: Meta): string | undefined {
  const leftCounter = left.sem === PM_SEM.COUNTER;
  const rightCounter = right.sem === PM_SEM.COUNTER;
  if (leftCounter && rightCounter) {
    return op === "*" || op === "/" ? "Illegal operator for counters" : undefined;
  }
  if (leftCounter && op !== "*" && op !== "/") {
    return "Illegal operator for counter and non-counter";
  }
  if (rightCounter && op !== "*") return "Illegal operator for non-counter and counter";
  return undefined;
}

/** What is combined with a counter and is none has to be a plain number. */
function plainFault(left: Meta, right: Meta): string | undefined {
  const fault = "Non-counter and not dimensionless for";
  const leftCounter = left.sem === PM_SEM.COUNTER;
  if (leftCounter === (right.sem === PM_SEM.COUNTER)) return undefined;
  if (leftCounter) return isDimensionless(right.units) ? undefined : `${fault} right operand`;
  return isDimensionless(left.units) ? undefined : `${fault} left operand`;
}

/** A relation compares unsigned 32-bit values, such as constants, with anything. */
const standsForAny = (meta: Meta): boolean => meta.type === PM_TYPE.U32;

/** Counts, and values without dimensions, which may be counts. */
const isPlain = (units: number): boolean =>
  sameDimensions(units, 0) || sameDimensions(units, COUNT_UNITS);

function dimensionFault(op: BinaryOp, left: Meta, right: Meta): string | undefined {
  const fault = "Dimensions are not the same";
  const kind = classOf(op);
  if (kind === "boolean") {
    return isDimensionless(left.units) && isDimensionless(right.units) ? undefined : fault;
  }
  if (op === "*" || op === "/") return undefined;
  if (kind === "relation" && (standsForAny(left) || standsForAny(right))) return undefined;
  if (isPlain(left.units) && isPlain(right.units)) return undefined;
  return sameDimensions(left.units, right.units) ? undefined : fault;
}

/** The extra dimension of PCP 7 is neither scaled nor multiplied. */
function extraFault(op: BinaryOp, left: Meta, right: Meta): string | undefined {
  const one = unitsFields(left.units);
  const other = unitsFields(right.units);
  const same = one.extraUnit === other.extraUnit && one.extraScale === other.extraScale;
  const both = one.extraUnit !== 0 && other.extraUnit !== 0;
  if (op === "*") return both ? "Extra units not allowed for both operands of *" : undefined;
  if (op === "/") {
    return both && !same ? "Different extra units not allowed for both operands of /" : undefined;
  }
  if (same || (classOf(op) === "relation" && (standsForAny(left) || standsForAny(right)))) {
    return undefined;
  }
  return "Operands have incompatible extra units or scale";
}

/** Why two operands cannot be combined, in libpcp's words and the order of its checks. */
function faultOf(op: BinaryOp, left: Meta, right: Meta): string | undefined {
  const kind = classOf(op);
  if (kind === "arithmetic") {
    const counters = counterFault(op, left, right) ?? plainFault(left, right);
    if (counters !== undefined) return counters;
  }
  if (!isArithmetic(left.type)) return "Non-arithmetic type for left operand";
  if (!isArithmetic(right.type)) return "Non-arithmetic type for right operand";
  const units =
    dimensionFault(op, left, right) ??
    (kind === "relation" ? plainFault(left, right) : undefined) ??
    extraFault(op, left, right);
  if (units !== undefined) return units;
  const domains = [left.indom, right.indom].filter((indom) => indom !== PM_INDOM_NULL);
  if (domains.length === 2 && domains[0] !== domains[1]) {
    return "Operands should have the same instance domain";
  }
  return undefined;
}

function semanticsOf(leading: Meta, left: Meta, right: Meta): Meta["sem"] {
  const either = [left.sem, right.sem];
  // A counter beside what is none: the result is what the leading operand is.
  if (either.includes(PM_SEM.COUNTER)) return leading.sem;
  return either.every((sem) => sem === PM_SEM.DISCRETE) ? PM_SEM.DISCRETE : PM_SEM.INSTANT;
}

/** The instance domain of the one that has one. */
export const eitherIndom = (left: Meta, right: Meta): Indom =>
  left.indom === PM_INDOM_NULL ? right.indom : left.indom;

/** Binds an operator to its bound operands; calls `refuse` with a message otherwise. */
export function bindBinary(
  expr: BinaryExpr,
  left: BoundNode,
  right: BoundNode,
  refuse: (message: string) => never,
): BinaryNode {
  const { op } = expr;
  const fault = faultOf(op, left.meta, right.meta);
  if (fault !== undefined) {
    refuse(`${operandName(expr.left)} ${op} ${operandName(expr.right)}: ${fault}`);
  }
  const kind = classOf(op);
  // The left operand gives the metadata, a constant gives way to what is right of it.
  const leading = expr.left.kind === "constant" ? right.meta : left.meta;
  const sign = op === "*" ? 1 : op === "/" ? -1 : 0;
  const combined =
    kind === "boolean"
      ? { units: 0, left: ONE, right: ONE, scaled: false }
      : combineUnits(left.meta.units, right.meta.units, sign, leading.units);
  const common =
    combined.scaled || op === "/" ? PM_TYPE.DOUBLE : promoted(left.meta.type, right.meta.type);
  return {
    kind: "binary",
    op,
    left,
    right,
    common,
    leftFactor: combined.left,
    rightFactor: combined.right,
    meta: {
      type: kind === "arithmetic" ? common : PM_TYPE.U32,
      indom: eitherIndom(left.meta, right.meta),
      sem: semanticsOf(leading, left.meta, right.meta),
      units: kind === "arithmetic" ? combined.units : 0,
    },
  };
}
