// The canonical text of an expression (spec series.md 9.1), of which its identifier is made. It is what PCP
// writes, oddities included: some texts, read again, mean something else.
import type { QueryNode, Selector, SeriesNode } from "./language.ts";

function selectorText(selector: Selector): string {
  if (selector.kind !== "compare") {
    const sign = selector.kind === "and" ? "&&" : "||";
    return `${selectorText(selector.left)}${sign}${selectorText(selector.right)}`;
  }
  const { key, comparison, value } = selector;
  const isQuoted = comparison === "==" || comparison === "~~" || comparison === "!=";
  if (comparison === "==" && key === "metric.name") return value;
  // PCP takes any other key that `metric.name` begins with for its own, and leaves it out.
  if (comparison === "==" && "metric.name".startsWith(key)) return `=="${value}"`;
  return `${key}${comparison}${isQuoted ? `"${value}"` : value}`;
}

/** The text of a node; `nameOf` gives the metric name of the first series of an operand. */
export function canonicalText(
  node: QueryNode,
  nameOf: (node: SeriesNode) => string | undefined,
): string {
  const text = (inner: QueryNode): string => canonicalText(inner, nameOf);
  switch (node.kind) {
    case "series": {
      const name = nameOf(node) ?? node.name ?? "";
      return node.selector === undefined ? name : `${name}{${selectorText(node.selector)}}`;
    }
    case "binary":
      return `${text(node.left)}${node.operator}${text(node.right)}`;
    case "scale":
      return node.numberFirst
        ? `${node.number.text}*${text(node.operand)}`
        : `${text(node.operand)}*${node.number.text}`;
    case "call": {
      const { name, number, units } = node;
      const operand = text(node.operand);
      if (units !== undefined) return `${name}(${operand},"${units}")`;
      if (number === undefined) return `${name}(${operand})`;
      if (name === "log") return `${name}(${operand},${number.text})`;
      // Both percentiles have the text of one of them.
      const shown = name === "nth_percentile_sample" ? "nth_percentile_inst" : name;
      return `${shown}(${operand}, ${number.text})`;
    }
  }
}
