// derived: metrics that are computed from others: the language of their expressions, the files that
// define them, their metadata and their values. No input or output.
export { bindExpression, type Lookup, type Metrics } from "./bind.ts";
export type { BoundNode, Column, Meta } from "./bound.ts";
export { EMPTY } from "./bound.ts";
export { loadDerivedText, MAX_CONFIG } from "./config.ts";
export { evaluate, type Sample } from "./evaluate.ts";
export type { Expr } from "./expr.ts";
export { boundMetrics, constantDomains, metricsOf, selectedMetrics } from "./metrics.ts";
export { MAX_EXPRESSION, parseExpression, type SyntaxComplaint } from "./parse.ts";
export { exprText } from "./print.ts";
export {
  complaintPicture,
  createDerivedSet,
  type Definition,
  type DerivedScope,
  type DerivedSet,
  registerDerived,
} from "./set.ts";
