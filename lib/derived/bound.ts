// What an expression is once the descriptors of its metrics are known: a tree whose nodes have a
// type, semantics, units and an instance domain, and carry what evaluation remembers between
// fetches. Shapes only; bind.ts makes it, evaluate.ts reads it.
import type { Atom, Indom, Pmid, PmSem, PmType, Timestamp } from "../pcp/mod.ts";
import type { BinaryOp } from "./expr.ts";

/** Metadata of a node: a descriptor without an identifier. */
export interface Meta {
  readonly type: PmType;
  /** PM_INDOM_NULL for a single value. */
  readonly indom: Indom;
  readonly sem: PmSem;
  /** Units word. */
  readonly units: number;
}

/** Values of one metric or node: `instances[i]` goes with `values[i]`. */
export interface Column {
  /** 0, or the code of a metric that could not be fetched; there are no values then. */
  readonly error: number;
  readonly instances: readonly number[];
  /** Numbers as their type says (64-bit integers are bigint), or whatever other types hold. */
  readonly values: readonly Atom[];
}

/** What delta and rate keep of the last fetch. */
export interface Previous {
  readonly time: Timestamp;
  readonly column: Column;
}

/** A factor that values are multiplied by, and one that they are divided by; both 1 mostly. */
export interface Factor {
  readonly multiply: number;
  readonly divide: number;
}

interface NodeMeta {
  readonly meta: Meta;
}
/** Values that never change. */
export interface ConstantNode extends NodeMeta {
  readonly kind: "constant";
  readonly column: Column;
}
/** Values of a metric. */
export interface MetricNode extends NodeMeta {
  readonly kind: "metric";
  readonly pmid: Pmid;
}
/** Instances by name. */
export interface SelectNode extends NodeMeta {
  readonly kind: "select";
  /** Whether an instance of this name is one of them. */
  readonly keeps: (name: string) => boolean;
  readonly operand: BoundNode;
}
/** One operand, one way of computing. */
export interface UnaryNode extends NodeMeta {
  readonly kind:
    "negate" | "not" | "avg" | "count" | "instant" | "max" | "min" | "scalar" | "sum" | "rescale";
  readonly operand: BoundNode;
}
/** Difference to the last fetch, for rate by the time between. */
export interface ChangeNode extends NodeMeta {
  readonly kind: "delta" | "rate";
  readonly operand: BoundNode;
  /** Seconds in a unit of an operand that is a time, for rate. */
  readonly seconds: number;
  previous: Previous | undefined;
}
/** Two operands. */
export interface BinaryNode extends NodeMeta {
  readonly kind: "binary";
  readonly op: BinaryOp;
  readonly left: BoundNode;
  readonly right: BoundNode;
  /** The type that both operands are converted to before. */
  readonly common: PmType;
  readonly leftFactor: Factor;
  readonly rightFactor: Factor;
}
/** One of two operands, for each instance. */
export interface TernaryNode extends NodeMeta {
  readonly kind: "ternary";
  readonly guard: BoundNode;
  readonly yes: BoundNode;
  readonly no: BoundNode;
}

/** A node of a bound expression. */
export type BoundNode =
  ConstantNode | MetricNode | SelectNode | UnaryNode | ChangeNode | BinaryNode | TernaryNode;

/** No values. */
export const EMPTY: Column = { error: 0, instances: [], values: [] };
