// Evaluation of a bound expression over the values of one fetch. 32-bit and 64-bit integers wrap as
// in C, doubles are doubles. Instances are combined by their number, never by their place. Refuses
// nothing: what cannot be computed has no value.
import { PM_ERR, PcpError } from "../base/mod.ts";
import {
  type Atom,
  type Indom,
  type InstanceId,
  PM_IN_NULL,
  PM_INDOM_NULL,
  PM_SEM,
  PM_TYPE,
  pmConvScale,
  type Pmid,
  type PmType,
  secondsBetween,
  type Timestamp,
} from "../pcp/mod.ts";
import { calculate, cast, compare, type Numeric } from "./arithmetic.ts";
import {
  type BinaryNode,
  type BoundNode,
  type ChangeNode,
  type Column,
  type ConstantNode,
  EMPTY,
  type Factor,
  type SelectNode,
  type TernaryNode,
  type UnaryNode,
} from "./bound.ts";

/** One fetch, as evaluation sees it. */
export interface Sample {
  readonly time: Timestamp;
  /** The values of a metric; EMPTY for one that has none. */
  values(pmid: Pmid, type: PmType): Column;
  /** All instances of a domain. */
  instances(indom: Indom): readonly number[];
  /** The external name of an instance, undefined when it has none (any more). */
  name(indom: Indom, instance: InstanceId): string | undefined;
}

const SINGLE: readonly number[] = [PM_IN_NULL];
const single = (value: Atom): Column => ({ error: 0, instances: SINGLE, values: [value] });
const failed = (error: number): Column => ({ error, instances: [], values: [] });

/** Values of the same instances, each computed. */
function mapped(column: Column, compute: (value: Numeric) => Atom): Column {
  const values = column.values.map((value) => compute(value as Numeric));
  return { error: 0, instances: column.instances, values };
}

/** Place of an instance, looked for at `hint` first: domains mostly come in the same order. */
function placeOf(column: Column, instance: number, hint: number): number {
  const { instances } = column;
  if (instances[hint] === instance) return hint;
  if (instances.length <= FEW) return instances.indexOf(instance);
  let places = placesOf.get(column);
  if (places === undefined) {
    places = new Map();
    for (let i = instances.length - 1; i >= 0; i--) places.set(instances[i] as number, i);
    placesOf.set(column, places);
  }
  return places.get(instance) ?? -1;
}

/** Instances that are looked through one after the other; of more, places are remembered. */
const FEW = 32;
const placesOf = new WeakMap<Column, Map<number, number>>();

function scaled(value: Numeric, factor: Factor): Numeric {
  if (factor.multiply === 1 && factor.divide === 1) return value;
  return (Number(value) * factor.multiply) / factor.divide;
}

function evaluateBinary(node: BinaryNode, sample: Sample): Column {
  const left = evaluate(node.left, sample);
  const right = evaluate(node.right, sample);
  if (left.error < 0 || right.error < 0) return failed(left.error < 0 ? left.error : right.error);
  const leftSingle = node.left.meta.indom === PM_INDOM_NULL;
  const rightSingle = node.right.meta.indom === PM_INDOM_NULL;
  const each = leftSingle ? right : left;
  const instances: number[] = [];
  const values: Atom[] = [];
  for (let i = 0; i < each.values.length; i++) {
    const instance = each.instances[i] as number;
    const one = leftSingle ? left.values[0] : left.values[i];
    let other = rightSingle ? right.values[0] : right.values[i];
    if (!leftSingle && !rightSingle) other = right.values[placeOf(right, instance, i)];
    if (one === undefined || other === undefined) continue;
    const a = cast(scaled(one as Numeric, node.leftFactor), node.left.meta.type, node.common);
    const b = cast(scaled(other as Numeric, node.rightFactor), node.right.meta.type, node.common);
    instances.push(instance);
    values.push(calculate(node.op, a, b, node.common));
  }
  return { error: 0, instances, values };
}

/** Differences to the last fetch, or rates of change; of instances that are in both. */
function evaluateChange(node: ChangeNode, sample: Sample): Column {
  const column = evaluate(node.operand, sample);
  const previous = node.previous;
  node.previous = { time: sample.time, column };
  if (column.error < 0) return failed(column.error);
  if (previous === undefined || previous.column.values.length === 0) return EMPTY;
  const { type, sem } = node.operand.meta;
  const elapsed = secondsBetween(sample.time, previous.time);
  const instances: number[] = [];
  const values: Atom[] = [];
  for (let i = 0; i < column.values.length; i++) {
    const instance = column.instances[i] as number;
    const before = previous.column.values[placeOf(previous.column, instance, i)] as
      Numeric | undefined;
    if (before === undefined) continue;
    const now = column.values[i] as Numeric;
    if (node.kind === "delta") {
      values.push(
        calculate(
          "-",
          cast(now, type, node.meta.type),
          cast(before, type, node.meta.type),
          node.meta.type,
        ),
      );
    } else {
      // A counter that went back was reset; what it counted meanwhile is not known. libpcp looks at
      // all types but this one.
      if (sem === PM_SEM.COUNTER && type !== PM_TYPE.I32 && now < before) continue;
      values.push((Number(calculate("-", now, before, type)) / elapsed) * node.seconds);
    }
    instances.push(instance);
  }
  return { error: 0, instances, values };
}

function evaluateTernary(node: TernaryNode, sample: Sample): Column {
  const guard = evaluate(node.guard, sample);
  const yes = evaluate(node.yes, sample);
  const no = evaluate(node.no, sample);
  for (const column of [guard, yes, no]) if (column.error < 0) return failed(column.error);
  const isSingle = (side: BoundNode): boolean => side.meta.indom === PM_INDOM_NULL;
  const guardSingle = isSingle(node.guard);
  const value = (
    side: BoundNode,
    column: Column,
    instance: number,
    at: number,
  ): Atom | undefined =>
    isSingle(side) ? column.values[0] : column.values[placeOf(column, instance, at)];
  let each = guard;
  if (guardSingle) {
    const [first] = guard.values;
    if (first === undefined) return EMPTY;
    const chosen = isTrue(first) ? node.yes : node.no;
    each = isTrue(first) ? yes : no;
    // A single value stands for every instance of the other operand.
    if (isSingle(chosen) && node.meta.indom !== PM_INDOM_NULL) each = isTrue(first) ? no : yes;
  } else if (isSingle(node.yes)) each = no;
  else if (isSingle(node.no)) each = yes;
  const instances: number[] = [];
  const values: Atom[] = [];
  each.instances.forEach((instance, i) => {
    const check = value(node.guard, guard, instance, i);
    if (check === undefined) return;
    const result = isTrue(check)
      ? value(node.yes, yes, instance, i)
      : value(node.no, no, instance, i);
    if (result === undefined) return;
    instances.push(instance);
    values.push(result);
  });
  return { error: 0, instances, values };
}

const isTrue = (value: Atom): boolean => value !== 0 && value !== 0n;

function evaluateSelect(node: SelectNode, sample: Sample): Column {
  const column = evaluate(node.operand, sample);
  if (column.error < 0) return column;
  const { indom } = node.meta;
  const instances: number[] = [];
  const values: Atom[] = [];
  if (indom === PM_INDOM_NULL) return EMPTY;
  column.instances.forEach((instance, i) => {
    const name = sample.name(indom, instance as InstanceId);
    if (name === undefined || !node.keeps(name)) return;
    instances.push(instance);
    values.push(column.values[i] as Atom);
  });
  return { error: 0, instances, values };
}

function rescaled(value: Numeric, node: UnaryNode): Atom | undefined {
  const { type } = node.meta;
  const wide = type === PM_TYPE.I32 || type === PM_TYPE.U32;
  try {
    const from = node.operand.meta.units;
    const result = pmConvScale(
      wide ? PM_TYPE.I64 : type,
      wide ? BigInt(value) : value,
      from,
      node.meta.units,
    );
    return wide ? cast(result, PM_TYPE.I64, type) : result;
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
    // Out of the range of 64 bits.
    if (error.code === PM_ERR.TRUNC || error.code === PM_ERR.SIGN) return undefined;
    throw error;
  }
}

function evaluateRescale(node: UnaryNode, column: Column): Column {
  const instances: number[] = [];
  const values: Atom[] = [];
  column.values.forEach((value, i) => {
    const result = rescaled(value as Numeric, node);
    if (result === undefined) return;
    instances.push(column.instances[i] as number);
    values.push(result);
  });
  return { error: 0, instances, values };
}

function total(column: Column, type: PmType): Numeric {
  let sum = cast(0, PM_TYPE.I32, type);
  for (const value of column.values) sum = calculate("+", sum, value as Numeric, type) as Numeric;
  return sum;
}

/** The mean in single precision, each value divided before it is added, as libpcp does it. */
function average(column: Column): number {
  const count = column.values.length;
  let mean = 0;
  for (const value of column.values) {
    mean = Math.fround(mean + Math.fround(Math.fround(Number(value)) / count));
  }
  return mean;
}

/** The smallest or largest value; no value of none. */
function extreme(column: Column, relation: "<" | ">"): Column {
  let found: Numeric | undefined;
  for (const value of column.values as readonly Numeric[]) {
    if (found === undefined || compare(relation, value, found)) found = value;
  }
  return found === undefined ? EMPTY : single(found);
}

function evaluateUnary(node: UnaryNode, sample: Sample): Column {
  const column = evaluate(node.operand, sample);
  const operandType = node.operand.meta.type;
  if (node.kind === "count") return single(column.values.length);
  if (column.error < 0) return column;
  switch (node.kind) {
    case "negate":
      return mapped(column, (value) => {
        const { type } = node.meta;
        const float = type === PM_TYPE.FLOAT || type === PM_TYPE.DOUBLE;
        const signed = cast(value, operandType, type);
        return float ? -signed : calculate("-", cast(0, PM_TYPE.I32, type), signed, type);
      });
    case "not":
      return mapped(column, (value) => cast(isTrue(value) ? 0 : 1, PM_TYPE.I32, node.meta.type));
    case "avg":
      return single(average(column));
    case "sum":
      return single(total(column, operandType));
    case "min":
      return extreme(column, "<");
    case "max":
      return extreme(column, ">");
    case "rescale":
      return evaluateRescale(node, column);
    case "scalar": {
      const [first] = column.values;
      return first === undefined ? EMPTY : single(first);
    }
    default:
      return column;
  }
}

/** A constant with an instance domain has its value for every instance. */
function spread({ meta, column }: ConstantNode, sample: Sample): Column {
  const [value] = column.values;
  if (value === undefined) return EMPTY;
  const instances = sample.instances(meta.indom);
  return { error: 0, instances, values: instances.map(() => value) };
}

/** The values of a node; delta and rate remember those of this fetch for the next. */
export function evaluate(node: BoundNode, sample: Sample): Column {
  switch (node.kind) {
    case "constant":
      return node.meta.indom === PM_INDOM_NULL ? node.column : spread(node, sample);
    case "metric":
      return sample.values(node.pmid, node.meta.type);
    case "select":
      return evaluateSelect(node, sample);
    case "delta":
    case "rate":
      return evaluateChange(node, sample);
    case "binary":
      return evaluateBinary(node, sample);
    case "ternary":
      return evaluateTernary(node, sample);
    default:
      return evaluateUnary(node, sample);
  }
}
