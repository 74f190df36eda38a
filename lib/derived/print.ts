// Expressions as text: the whole of one, and the short form that error messages use.
import { pmInDomStr, pmSemStr, pmTypeStr, pmUnitsStr } from "../pcp/mod.ts";
import type { Expr, Metadata } from "./expr.ts";

const escaped = (text: string, close: string): string =>
  text.replaceAll("\\", "\\\\").replaceAll(close, `\\${close}`);

function tagsText(metadata: Metadata): string {
  const parts: string[] = [];
  if (metadata.type !== undefined) parts.push(`type=${pmTypeStr(metadata.type)}`);
  if (metadata.sem !== undefined) parts.push(`semantics=${pmSemStr(metadata.sem)}`);
  if (metadata.units !== undefined) parts.push(`units="${pmUnitsStr(metadata.units)}"`);
  if (metadata.indom !== undefined) parts.push(`indom=${pmInDomStr(metadata.indom)}`);
  if (metadata.meta !== undefined) parts.push(`meta=${metadata.meta}`);
  return parts.join(", ");
}

/** An operand of an operator: in parentheses unless it stands for itself. */
function operandText(expr: Expr): string {
  const bare =
    expr.kind !== "binary" &&
    expr.kind !== "ternary" &&
    expr.kind !== "negate" &&
    expr.kind !== "not";
  return bare ? exprText(expr) : `(${exprText(expr)})`;
}

/** An expression as text that reads as the same tree. */
export function exprText(expr: Expr): string {
  switch (expr.kind) {
    case "constant":
      if (expr.metadata === undefined) return expr.text;
      return `mkconst(${expr.text}, ${tagsText(expr.metadata)})`;
    case "novalue":
      return `novalue(${tagsText(expr.metadata)})`;
    case "anon":
      return `anon(PM_TYPE_${pmTypeStr(expr.type)})`;
    case "name":
      return expr.name;
    case "instance": {
      const named = expr.operand.kind === "name";
      const operand = named ? exprText(expr.operand) : `(${exprText(expr.operand)})`;
      return `${operand}[${escaped(expr.instance, "]")}]`;
    }
    case "match": {
      const pattern = escaped(expr.pattern, "/");
      return `matchinst(${expr.negate ? "!" : ""}/${pattern}/, ${exprText(expr.operand)})`;
    }
    case "defined":
      return `defined(${expr.name})`;
    case "rescale":
      return `rescale(${exprText(expr.operand)}, "${expr.text}")`;
    case "negate":
      return `-${operandText(expr.operand)}`;
    case "not":
      return `!${operandText(expr.operand)}`;
    case "call":
      return `${expr.fn}(${exprText(expr.operand)})`;
    case "binary":
      return `${operandText(expr.left)} ${expr.op} ${operandText(expr.right)}`;
    default: {
      const choice = (operand: Expr): string =>
        operand.kind === "novalue" ? exprText(operand) : operandText(operand);
      return `${operandText(expr.guard)} ? ${choice(expr.yes)} : ${choice(expr.no)}`;
    }
  }
}

/** How messages name an operand: metrics and numbers as written, all else as `<expr>`. */
export function operandName(expr: Expr): string {
  if (expr.kind === "name") return expr.name;
  return expr.kind === "constant" ? expr.text : "<expr>";
}
