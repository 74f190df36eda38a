// Which metrics an expression is made of: their names before binding, their PMIDs after. Pure walks
// over the trees.
import { type Indom, PM_INDOM_NULL, type Pmid } from "../pcp/mod.ts";
import type { BoundNode } from "./bound.ts";
import type { Expr } from "./expr.ts";

/** The names of all metrics in an expression, those of defined() too. */
export function metricsOf(expr: Expr, found: Set<string> = new Set()): Set<string> {
  switch (expr.kind) {
    case "name":
    case "defined":
      found.add(expr.name);
      break;
    case "binary":
      metricsOf(expr.left, found);
      metricsOf(expr.right, found);
      break;
    case "ternary":
      metricsOf(expr.guard, found);
      metricsOf(expr.yes, found);
      metricsOf(expr.no, found);
      break;
    case "constant":
    case "novalue":
      if (expr.metadata?.meta !== undefined) found.add(expr.metadata.meta);
      break;
    case "anon":
      break;
    default:
      metricsOf(expr.operand, found);
  }
  return found;
}

/** The operands of a node. */
function operandsOf(node: BoundNode): readonly BoundNode[] {
  switch (node.kind) {
    case "constant":
    case "metric":
      return [];
    case "binary":
      return [node.left, node.right];
    case "ternary":
      return [node.guard, node.yes, node.no];
    default:
      return [node.operand];
  }
}

/** PMIDs of the metrics whose values a bound expression needs. */
export function boundMetrics(node: BoundNode, found: Set<Pmid> = new Set()): Set<Pmid> {
  if (node.kind === "metric") found.add(node.pmid);
  for (const operand of operandsOf(node)) boundMetrics(operand, found);
  return found;
}

/** The metrics whose instances are chosen by name: PMIDs with the instance domains. */
export function selectedMetrics(
  node: BoundNode,
  found: Map<Pmid, Indom> = new Map(),
  within = false,
): Map<Pmid, Indom> {
  const { indom } = node.meta;
  if (node.kind === "metric" && within && indom !== PM_INDOM_NULL) found.set(node.pmid, indom);
  for (const operand of operandsOf(node)) {
    selectedMetrics(operand, found, within || node.kind === "select");
  }
  return found;
}

/** The instance domains whose instances constants are spread over. */
export function constantDomains(node: BoundNode, found: Set<Indom> = new Set()): Set<Indom> {
  const { indom } = node.meta;
  if (node.kind === "constant" && indom !== PM_INDOM_NULL) found.add(indom);
  for (const operand of operandsOf(node)) constantDomains(operand, found);
  return found;
}
