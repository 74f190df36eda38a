// The query language as a tree (spec series.md 6, 9.1): what a query says, before any store is asked.
// No behaviour.
import type { Instant, Span } from "../pcp/mod.ts";

/** Functions of one operand, and of one operand with a number or units (spec series.md 6.2). */
export const FUNCTIONS = {
  plain: [
    "rate",
    "abs",
    "floor",
    "round",
    "sqrt",
    "log",
    "max",
    "max_inst",
    "max_sample",
    "min",
    "min_inst",
    "min_sample",
    "sum",
    "sum_inst",
    "sum_sample",
    "avg",
    "avg_inst",
    "avg_sample",
    "stdev_inst",
    "stdev_sample",
  ],
  counted: ["topk_inst", "topk_sample", "nth_percentile_inst", "nth_percentile_sample"],
  scaled: ["rescale"],
} as const;
/** The name of a function as written. */
export type FunctionName = (typeof FUNCTIONS)[keyof typeof FUNCTIONS][number];

/** A number of a query with its text. */
export interface QueryNumber {
  readonly text: string;
  readonly value: number;
  readonly whole: boolean;
}

/** How a key is compared. `~~` is also written `:`. */
export type Comparison = "==" | "~~" | "=~" | "!~" | "!=" | "<" | "<=" | ">" | ">=";

/** What selects series. */
export type Selector =
  | {
      readonly kind: "compare";
      readonly key: string;
      readonly comparison: Comparison;
      readonly value: string;
      /** True where the value is a quoted string. */
      readonly quoted: boolean;
    }
  | { readonly kind: "and" | "or"; readonly left: Selector; readonly right: Selector };

/** A time as it is written: seconds since 1970, or a text that has been read. */
export interface QueryTime {
  readonly text: string;
  readonly at: Instant;
}

/** Time specifications that are in force at an operand (spec series.md 6.4). */
export interface TimeSpec {
  readonly interval?: { readonly text: string; readonly span: Span };
  readonly start?: QueryTime;
  readonly finish?: QueryTime;
  readonly align?: QueryTime;
  /** From so long ago on; start and finish that are there, too, count instead. */
  readonly range?: { readonly text: string; readonly span: Span };
  /** 0 is all. */
  readonly count?: number;
  readonly offset?: number;
  readonly zone?: string;
}

/** Series by name, by selector, or both. */
export interface SeriesNode {
  readonly kind: "series";
  /** As written; undefined for a selector alone. */
  readonly name: string | undefined;
  /** True for a name with a `*` that counts. */
  readonly glob: boolean;
  /** The selector in braces. */
  readonly selector: Selector | undefined;
  readonly times: TimeSpec;
}

/** A node of a query. */
export type QueryNode =
  | SeriesNode
  | {
      readonly kind: "call";
      readonly name: FunctionName;
      readonly operand: QueryNode;
      /** k of topk, p of a percentile, the base of log. */
      readonly number?: QueryNumber;
      /** Of rescale. */
      readonly units?: string;
    }
  | {
      readonly kind: "binary";
      readonly operator: "+" | "-" | "*" | "/";
      readonly left: QueryNode;
      readonly right: QueryNode;
    }
  | {
      /** number * x, or x * number. */
      readonly kind: "scale";
      readonly number: QueryNumber;
      readonly numberFirst: boolean;
      readonly operand: QueryNode;
    };

/** A whole query. */
export interface Query {
  readonly root: QueryNode;
  /** Interval and count as they stand at the end: they apply to every operand. */
  readonly times: TimeSpec;
  /** True when values are asked for rather than identifiers (spec series.md 7.3). */
  readonly values: boolean;
}
