// What an expression of a derived metric is: its tree, and the tree as text again. Data only; the
// parser makes it, binding and evaluation read it.
import type { Indom, PmSem, PmType } from "../pcp/mod.ts";

/** Operators between two operands, as they are written. */
export type BinaryOp = "+" | "-" | "*" | "/" | "<" | "<=" | "==" | ">=" | ">" | "!=" | "&&" | "||";

/** Functions of one operand. Those of a metric's name alone have a `name` as operand. */
export type UnaryFn =
  "avg" | "count" | "delta" | "instant" | "max" | "min" | "rate" | "scalar" | "sum";

/** A number as it was written, with the metadata that mkconst gives it. */
export interface ConstantExpr {
  readonly kind: "constant";
  /** The digits as written. */
  readonly text: string;
  /** An unsigned 32-bit number when `double` is false. */
  readonly value: number;
  readonly double: boolean;
  /** Absent without mkconst. */
  readonly metadata?: Metadata;
}

/** What mkconst and novalue say of themselves; absent fields were not given. */
export interface Metadata {
  readonly type?: PmType;
  readonly sem?: PmSem;
  /** Units word. */
  readonly units?: number;
  readonly indom?: Indom;
  /** A metric whose metadata are taken where the other fields do not say. */
  readonly meta?: string;
}

/** An operand of a ternary expression that has metadata and never a value. */
export interface NoValueExpr {
  readonly kind: "novalue";
  readonly metadata: Metadata;
}

/** A metric that has metadata of a type and nothing else; only the library's own metrics are one. */
export interface AnonExpr {
  readonly kind: "anon";
  readonly type: PmType;
}

/** A metric by its name. */
export interface NameExpr {
  readonly kind: "name";
  readonly name: string;
}

/** One instance by its external name. */
export interface InstanceExpr {
  readonly kind: "instance";
  /** Without the escapes. */
  readonly instance: string;
  readonly operand: Expr;
}

/** The instances whose names match, or do not match, a POSIX extended regular expression. */
export interface MatchExpr {
  readonly kind: "match";
  readonly negate: boolean;
  /** Without the escapes of the expression language. */
  readonly pattern: string;
  readonly operand: Expr;
}

/** Whether a name is one of a metric. */
export interface DefinedExpr {
  readonly kind: "defined";
  readonly name: string;
}

/** The operand in other units of the same dimension. */
export interface RescaleExpr {
  readonly kind: "rescale";
  readonly operand: Expr;
  /** Units word. */
  readonly units: number;
  /** The text of the units as written. */
  readonly text: string;
}

/** Minus, or not. */
export interface UnaryExpr {
  readonly kind: "negate" | "not";
  readonly operand: Expr;
}

/** A function of one operand. */
export interface CallExpr {
  readonly kind: "call";
  readonly fn: UnaryFn;
  readonly operand: Expr;
}

/** Two operands. */
export interface BinaryExpr {
  readonly kind: "binary";
  readonly op: BinaryOp;
  readonly left: Expr;
  readonly right: Expr;
}

/** `guard ? yes : no`. */
export interface TernaryExpr {
  readonly kind: "ternary";
  readonly guard: Expr;
  readonly yes: Expr;
  readonly no: Expr;
}

/** An expression. */
export type Expr =
  | ConstantExpr
  | NoValueExpr
  | AnonExpr
  | NameExpr
  | InstanceExpr
  | MatchExpr
  | DefinedExpr
  | RescaleExpr
  | UnaryExpr
  | CallExpr
  | BinaryExpr
  | TernaryExpr;
