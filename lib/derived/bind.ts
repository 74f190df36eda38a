// Binding: an expression meets the descriptors of its metrics and becomes a tree with metadata, or is
// refused with libpcp's words (pmRegisterDerived(3), SEMANTIC CHECKS AND RULES). Nothing is fetched.
import { PM_ERR, PcpError, compilePosix } from "../base/mod.ts";
import {
  type Atom,
  type Desc,
  PM_INDOM_NULL,
  PM_SEM,
  PM_TIME,
  PM_TYPE,
  type PmSem,
  type PmType,
  pmUnitsStr,
  unitsFields,
  unitsWord,
} from "../pcp/mod.ts";
import { bindBinary, eitherIndom, isArithmetic } from "./bind-binary.ts";
import { type BoundNode, EMPTY, type Meta } from "./bound.ts";
import type { CallExpr, ConstantExpr, Expr, Metadata, RescaleExpr, TernaryExpr } from "./expr.ts";
import { operandName } from "./print.ts";
import { COUNT_UNITS, sameDimensions, secondsIn } from "./units.ts";

/**
 * What a metric's name stands for: its descriptor, `undefined` for no metric, a text for a metric
 * that may not be used ("Illegal nested derived metric").
 */
export type Lookup = (name: string) => Desc | string | undefined;

/** Where names come from. `metadata` answers for derived metrics too, when they bind. */
export interface Metrics {
  readonly lookup: Lookup;
  readonly metadata: (name: string) => Meta | undefined;
}

interface Binding extends Metrics {
  /** What is said of a name that is none. */
  readonly unknown: string;
}

function refuse(message: string): never {
  throw new PcpError(PM_ERR.BADDERIVE, message);
}

/** The functions' names in messages. */
function callFault(expr: CallExpr, reason: string): never {
  return refuse(`${expr.fn.toUpperCase()}(${operandName(expr.operand)}): ${reason}`);
}

/** A constant in its type: C's conversion of what was written. */
function constantValue(expr: ConstantExpr, type: PmType): Atom {
  const { value } = expr;
  if (type === PM_TYPE.I32) return Math.trunc(value) | 0;
  if (type === PM_TYPE.U32) return Math.trunc(value) >>> 0;
  if (type === PM_TYPE.I64 || type === PM_TYPE.U64) return BigInt(Math.trunc(value));
  return type === PM_TYPE.FLOAT ? Math.fround(value) : value;
}

/** What mkconst or novalue say of themselves, and what the metric of their `meta` says beyond that. */
function givenMetadata(metadata: Metadata, binding: Binding): Partial<Meta> {
  const { meta: name, ...given } = metadata;
  if (name === undefined) return given;
  const base = binding.metadata(name);
  if (base === undefined) return refuse(`operand ${name}: ${binding.unknown}`);
  const { type, indom, sem, units } = base;
  return { type, indom, sem, units, ...given };
}

function bindConstant(expr: ConstantExpr, binding: Binding): BoundNode {
  const given = givenMetadata(expr.metadata ?? {}, binding);
  const type = given.type ?? (expr.double ? PM_TYPE.DOUBLE : PM_TYPE.U32);
  const meta: Meta = {
    type,
    indom: given.indom ?? PM_INDOM_NULL,
    sem: given.sem ?? PM_SEM.DISCRETE,
    units: given.units ?? 0,
  };
  const column = { error: 0, instances: [-1], values: [constantValue(expr, type)] };
  return { kind: "constant", meta, column };
}

/** Type of a difference: wide enough for the sign. */
function deltaType(type: PmType): PmType {
  if (type === PM_TYPE.U32) return PM_TYPE.I64;
  return type === PM_TYPE.U64 ? PM_TYPE.DOUBLE : type;
}

function bindRate(expr: CallExpr, operand: BoundNode): BoundNode {
  const units = unitsFields(operand.meta.units);
  if (units.dimTime !== 0 && units.dimTime !== 1) {
    callFault(expr, "Incorrect time dimension for operand");
  }
  const utilization = units.dimTime === 1;
  const time = utilization ? { dimTime: 0, scaleTime: 0 } : { dimTime: -1, scaleTime: PM_TIME.SEC };
  return {
    kind: "rate",
    operand,
    seconds: utilization ? secondsIn(units.scaleTime) : 1,
    previous: undefined,
    meta: {
      ...operand.meta,
      type: PM_TYPE.DOUBLE,
      sem: PM_SEM.INSTANT,
      units: unitsWord({ ...units, ...time }),
    },
  };
}

function bindCall(expr: CallExpr, binding: Binding): BoundNode {
  const { fn } = expr;
  const operand = bindNode(expr.operand, binding);
  const { meta } = operand;
  if (fn === "instant") {
    const sem: PmSem = meta.sem === PM_SEM.COUNTER ? PM_SEM.INSTANT : meta.sem;
    return { kind: fn, operand, meta: { ...meta, sem } };
  }
  if (fn === "scalar") return { kind: fn, operand, meta: { ...meta, indom: PM_INDOM_NULL } };
  const single: Meta = { ...meta, indom: PM_INDOM_NULL, sem: PM_SEM.INSTANT };
  if (fn === "count") {
    return { kind: fn, operand, meta: { ...single, type: PM_TYPE.U32, units: COUNT_UNITS } };
  }
  if (!isArithmetic(meta.type)) callFault(expr, "Non-arithmetic operand for function");
  switch (fn) {
    case "delta": {
      const changed: Meta = { ...meta, type: deltaType(meta.type), sem: PM_SEM.INSTANT };
      return { kind: fn, operand, seconds: 1, previous: undefined, meta: changed };
    }
    case "rate":
      return bindRate(expr, operand);
    case "avg":
      return { kind: fn, operand, meta: { ...single, type: PM_TYPE.FLOAT } };
    case "sum":
      return { kind: fn, operand, meta: { ...single, sem: meta.sem } };
    default:
      return { kind: fn, operand, meta: single };
  }
}

function bindRescale(expr: RescaleExpr, binding: Binding): BoundNode {
  const operand = bindNode(expr.operand, binding);
  const { meta } = operand;
  const fault = (reason: string): never =>
    refuse(`${operandName(expr.operand)} RESCALE ${pmUnitsStr(expr.units)}: ${reason}`);
  if (!isArithmetic(meta.type)) fault("Non-arithmetic operand for function");
  // What has no dimension counts as a plain count, as in pmConvScale(3).
  const plain = (units: number): number => (sameDimensions(units, 0) ? COUNT_UNITS : units);
  if (!sameDimensions(plain(meta.units), plain(expr.units))) fault("Incompatible dimensions");
  return { kind: "rescale", operand, meta: { ...meta, units: expr.units } };
}

/** The value of a guard that no fetch can change; undefined for others. */
function fixedGuard(expr: Expr, binding: Binding): boolean | undefined {
  switch (expr.kind) {
    case "constant":
      return expr.double ? undefined : expr.value !== 0;
    case "defined":
      return typeof binding.lookup(expr.name) === "object";
    case "not": {
      const operand = fixedGuard(expr.operand, binding);
      return operand === undefined ? undefined : !operand;
    }
    case "binary": {
      if (expr.op !== "&&" && expr.op !== "||") return undefined;
      const left = fixedGuard(expr.left, binding);
      const right = fixedGuard(expr.right, binding);
      if (left === undefined || right === undefined) return undefined;
      return expr.op === "&&" ? left && right : left || right;
    }
    default:
      return undefined;
  }
}

const TERNARY_UNITS = [
  ["space", "dimSpace", "scaleSpace"],
  ["time", "dimTime", "scaleTime"],
  ["count", "dimCount", "scaleCount"],
  ["extra", "extraUnit", "extraScale"],
] as const;

/** What differs in the metadata of the last two operands, in libpcp's order and words. */
function ternaryFault(yes: Meta, no: Meta): string | undefined {
  if (yes.type !== no.type) return "types";
  if (yes.sem !== no.sem) return "semantics";
  const one = unitsFields(yes.units);
  const other = unitsFields(no.units);
  for (const [name, dim, scale] of TERNARY_UNITS) {
    if (one[dim] !== other[dim] || one[scale] !== other[scale]) return `units or scale (${name})`;
  }
  const single = yes.indom === PM_INDOM_NULL || no.indom === PM_INDOM_NULL;
  return single || yes.indom === no.indom ? undefined : "instance domains";
}

/** Metadata of novalue() where no other operand gives them. */
function noValue(meta: Partial<Meta>): BoundNode {
  return {
    kind: "constant",
    meta: { type: PM_TYPE.I32, indom: PM_INDOM_NULL, sem: PM_SEM.DISCRETE, units: 0, ...meta },
    column: EMPTY,
  };
}

function bindTernary(expr: TernaryExpr, outer: Binding): BoundNode {
  const binding: Binding = { ...outer, unknown: "Unknown metric for ternary expression" };
  const choice = (operand: Expr): BoundNode =>
    operand.kind === "novalue"
      ? noValue(givenMetadata(operand.metadata, binding))
      : bindNode(operand, binding);
  const fixed = fixedGuard(expr.guard, binding);
  if (fixed !== undefined) return choice(fixed ? expr.yes : expr.no);
  const guard = bindNode(expr.guard, outer);
  let yes = choice(expr.yes);
  let no = choice(expr.no);
  // novalue() takes what it was not told from the other operand, and type, semantics and units always.
  const borrowed = (own: Meta, other: Meta): BoundNode =>
    noValue({ ...other, indom: eitherIndom(own, other) });
  if (expr.yes.kind === "novalue") yes = borrowed(yes.meta, no.meta);
  if (expr.no.kind === "novalue") no = borrowed(no.meta, yes.meta);
  const [first, second, third] = [expr.guard, expr.yes, expr.no].map(operandName);
  const whole = `${first} ? ${second} : ${third}`;
  if (!isArithmetic(guard.meta.type)) refuse(`${whole}: Non-arithmetic operand for ternary guard`);
  const novalue = expr.yes.kind === "novalue" || expr.no.kind === "novalue";
  const fault = novalue ? undefined : ternaryFault(yes.meta, no.meta);
  if (fault !== undefined) {
    refuse(`${second} : ${third}: Different ${fault} for ternary operands`);
  }
  const indom = eitherIndom(yes.meta, no.meta);
  if (guard.meta.indom !== PM_INDOM_NULL && indom === PM_INDOM_NULL) {
    refuse(`${whole}: Non-scalar ternary guard with scalar expressions`);
  }
  return { kind: "ternary", guard, yes, no, meta: { ...yes.meta, indom } };
}

/** Type of a negated value: one that has a sign. */
function signedType(type: PmType): PmType {
  if (type === PM_TYPE.U32) return PM_TYPE.I32;
  return type === PM_TYPE.U64 ? PM_TYPE.I64 : type;
}

function bindNode(expr: Expr, binding: Binding): BoundNode {
  switch (expr.kind) {
    case "constant":
      return bindConstant(expr, binding);
    case "novalue":
      return noValue(givenMetadata(expr.metadata, binding));
    case "anon":
      return noValue({ type: expr.type });
    case "name": {
      const desc = binding.lookup(expr.name);
      if (desc === undefined) return refuse(`operand ${expr.name}: ${binding.unknown}`);
      if (typeof desc === "string") return refuse(`operand ${expr.name}: ${desc}`);
      const { pmid, type, indom, sem, units } = desc;
      return { kind: "metric", pmid, meta: { type, indom, sem, units } };
    }
    case "defined": {
      const there = typeof binding.lookup(expr.name) === "object" ? 1 : 0;
      const meta = { type: PM_TYPE.U32, indom: PM_INDOM_NULL, sem: PM_SEM.DISCRETE, units: 0 };
      return { kind: "constant", meta, column: { error: 0, instances: [-1], values: [there] } };
    }
    case "instance": {
      const operand = bindNode(expr.operand, binding);
      const { instance } = expr;
      // As pmLookupInDom(3): the whole name, or what stands before its first space.
      const keeps = (name: string): boolean =>
        name === instance || (name.startsWith(instance) && name.charAt(instance.length) === " ");
      return { kind: "select", keeps, operand, meta: operand.meta };
    }
    case "match": {
      const operand = bindNode(expr.operand, binding);
      const pattern = compilePosix(expr.pattern);
      // What stands behind a space is no part of the name here.
      const keeps = (name: string): boolean =>
        pattern.test(name.split(" ", 1)[0] ?? "") !== expr.negate;
      return { kind: "select", keeps, operand, meta: operand.meta };
    }
    case "rescale":
      return bindRescale(expr, binding);
    case "negate": {
      const operand = bindNode(expr.operand, binding);
      const { meta } = operand;
      if (!isArithmetic(meta.type)) {
        const name = operandName(expr.operand);
        refuse(`- ${name}: Non-arithmetic operand for unary negation`);
      }
      const negated: Meta = { ...meta, type: signedType(meta.type), sem: PM_SEM.INSTANT };
      return { kind: "negate", operand, meta: negated };
    }
    case "not": {
      const operand = bindNode(expr.operand, binding);
      if (!isArithmetic(operand.meta.type)) {
        refuse(`! ${operandName(expr.operand)}: Non-arithmetic operand for unary negation`);
      }
      return { kind: "not", operand, meta: operand.meta };
    }
    case "call":
      return bindCall(expr, binding);
    case "binary": {
      const left = bindNode(expr.left, binding);
      return bindBinary(expr, left, bindNode(expr.right, binding), refuse);
    }
    default:
      return bindTernary(expr, binding);
  }
}

/**
 * Binds an expression to metrics. Throws PcpError with PM_ERR_BADDERIVE and libpcp's words (without
 * its `Semantic error: derived metric NAME: `).
 */
export function bindExpression(expr: Expr, metrics: Metrics): BoundNode {
  return bindNode(expr, { ...metrics, unknown: "Unknown operand metric" });
}
