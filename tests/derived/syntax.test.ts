// Goal: expressions of derived metrics read as libpcp reads them: the same tree, or the same message
// with its caret at the same place, over a thousand expressions, right ones and broken ones. And what
// is printed from a tree reads as that tree.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { ConstantExpr, Expr, NameExpr, NoValueExpr } from "../../lib/derived/expr.ts";
import { compilePosix, PosixError } from "../../lib/base/posix.ts";
import {
  complaintPicture,
  exprText,
  MAX_EXPRESSION,
  parseExpression,
} from "../../lib/derived/mod.ts";
import { PM_TYPE, pmTypeStr, pmUnitsStr, unitsWord } from "../../lib/pcp/mod.ts";
import { syntaxRows } from "./recorded.ts";

const NODES: Readonly<Record<string, string>> = {
  "+": "PLUS",
  "-": "MINUS",
  "*": "STAR",
  "/": "SLASH",
  "<": "LT",
  "<=": "LEQ",
  "==": "EQ",
  ">=": "GEQ",
  ">": "GT",
  "!=": "NEQ",
  "&&": "AND",
  "||": "OR",
};

const metaOf = ({ metadata }: ConstantExpr | NoValueExpr): string =>
  metadata?.meta === undefined ? "" : ` (NAME [${metadata.meta}])`;

/** A tree as libpcp's own dump shows it. */
function dump(expr: Expr): string {
  switch (expr.kind) {
    case "constant":
      return `(${expr.double ? "DOUBLE" : "INTEGER"} [${expr.text}]${metaOf(expr)})`;
    case "novalue":
      return `(NOVALUE${metaOf(expr)})`;
    case "anon":
      return `(ANON (INTEGER [PM_TYPE_${pmTypeStr(expr.type)}]))`;
    case "name":
      return `(NAME [${expr.name}])`;
    case "instance":
      return `(FILTERINST (PATTERN [${expr.instance}] exact match) ${dump(expr.operand)})`;
    case "match": {
      const what = expr.negate ? "inverted regex" : "regex";
      return `(FILTERINST (PATTERN [${expr.pattern}] ${what}) ${dump(expr.operand)})`;
    }
    case "defined":
      return `(DEFINED(${expr.name}) (NAME [${expr.name}]))`;
    case "rescale":
      return `(RESCALE ${dump(expr.operand)} (SCALE [${pmUnitsStr(expr.units)}]))`;
    case "negate":
      return `(NEG ${dump(expr.operand)})`;
    case "not":
      return `(NOT ${dump(expr.operand)})`;
    case "call":
      return `(${expr.fn.toUpperCase()} ${dump(expr.operand)})`;
    case "binary":
      return `(${NODES[expr.op]} ${dump(expr.left)} ${dump(expr.right)})`;
    default:
      return `(QUEST ${dump(expr.guard)} (COLON ${dump(expr.yes)} ${dump(expr.no)}))`;
  }
}

/** libpcp takes any slash within the parentheses of matchinst for the start of a pattern. */
const divides = (text: string): boolean =>
  /matchinst\(.*\/.*\/.*\/[^,]/.test(text) || /matchinst\(!?\/[^/]*\/,.*\//.test(text);

describe("as libpcp", () => {
  test("trees and messages", () => {
    const differing: string[] = [];
    for (const [text, tree, message] of syntaxRows) {
      if (divides(text)) continue;
      const parsed = parseExpression(text);
      const ours =
        "kind" in parsed
          ? dump(parsed)
          : `Error: pmRegisterDerivedMetric("der.x", ...)\n${complaintPicture(text, parsed)}`;
      if (ours !== (tree ?? message)) differing.push(`${text}\n${ours}\n${tree ?? message}`);
    }
    expect(differing).toEqual([]);
    expect(syntaxRows.length).toBeGreaterThan(1000);
  });
});

describe("other than libpcp", () => {
  test("a division may stand within matchinst", () => {
    expect(parseExpression("matchinst(/a/, b / c)")).toMatchObject({ operand: { op: "/" } });
  });
  test("novalue() twice is refused, where libpcp forgets the metric without a word", () => {
    expect(parseExpression("a ? novalue() : novalue()")).toEqual({
      offset: 16,
      reason: "novalue() may appear at most once in a ternary expression",
    });
  });
  test("anon() of a type without numbers is refused", () => {
    expect(parseExpression("anon(PM_TYPE_STRING)")).toMatchObject({ offset: 5 });
  });
  test("length and depth have bounds", () => {
    expect(parseExpression("a+".repeat(MAX_EXPRESSION))).toMatchObject({ offset: MAX_EXPRESSION });
    expect(parseExpression(`${"(".repeat(3000)}a`)).toMatchObject({
      reason: "Expression nested too deeply",
    });
    expect(parseExpression(`a${"+a".repeat(8000)}`)).toMatchObject({ op: "+" });
  });
});

const name = fc
  .stringMatching(/^[a-z][a-z0-9_]{0,4}(\.[a-z][a-z0-9]{0,3}){0,2}$/)
  .filter((text) => !["type", "semantics", "units", "indom"].includes(text))
  .map((text): NameExpr => ({ kind: "name", name: text }));
const inner = fc.stringMatching(/^[ -~]{1,8}$/);
const types = fc.constantFrom(PM_TYPE.I32, PM_TYPE.U32, PM_TYPE.I64, PM_TYPE.FLOAT, PM_TYPE.DOUBLE);
const metadata = fc.record({
  type: types,
  sem: fc.constantFrom(1 as const, 3 as const, 4 as const),
});

const tree = fc.letrec<{ expr: Expr }>((tie) => {
  const operand = tie("expr");
  const ops = fc.constantFrom("+", "-", "*", "/", "<", "<=", "==", ">=", ">", "!=", "&&", "||");
  const number = fc
    .nat(0xffffffff)
    .map((value): Expr => ({ kind: "constant", text: String(value), value, double: false }));
  const made = fc.tuple(fc.nat(0xffffffff), metadata).map(([value, given]): Expr => ({
    kind: "constant",
    text: String(value),
    value,
    double: false,
    metadata: given,
  }));
  const novalue = metadata.map((given): Expr => ({ kind: "novalue", metadata: given }));
  return {
    expr: fc.oneof(
      { depthSize: "small", withCrossShrink: true },
      name,
      number,
      made,
      fc.record({ kind: fc.constant("defined"), name: name.map((each) => each.name) }),
      fc.record({ kind: fc.constantFrom("negate", "not"), operand }),
      fc.record({ kind: fc.constant("binary"), op: ops, left: operand, right: operand }),
      fc.record({
        kind: fc.constant("ternary"),
        guard: operand,
        yes: operand,
        no: fc.oneof(operand, novalue),
      }),
      fc.record({ kind: fc.constant("instance"), instance: inner, operand }),
      fc.record({
        kind: fc.constant("match"),
        negate: fc.boolean(),
        pattern: fc.constantFrom("a", "^b/c$", "x|y", "\\.d"),
        operand,
      }),
      fc.record({
        kind: fc.constant("call"),
        fn: fc.constantFrom("delta", "rate", "instant", "scalar"),
        operand,
      }),
      fc.record({
        kind: fc.constant("call"),
        fn: fc.constantFrom("avg", "count", "max", "min", "sum"),
        operand: name,
      }),
      fc.record({
        kind: fc.constant("rescale"),
        operand,
        units: fc.constant(unitsWord({ dimSpace: 1, scaleSpace: 2 })),
        text: fc.constant("Mbyte"),
      }),
    ) as fc.Arbitrary<Expr>,
  };
}).expr;

describe("printing", () => {
  test("a printed tree reads as itself", () => {
    fc.assert(
      fc.property(tree, (expr) => {
        expect(parseExpression(exprText(expr))).toEqual(expr);
      }),
      { seed: 3, numRuns: 400 },
    );
  });
});

describe("POSIX regular expressions", () => {
  test.each([
    ["^(eth|en)[0-9]+$", "eth10", true],
    ["[[:digit:]]{2}", "a1", false],
    ["[]a]", "]", true],
    ["[^]a]", "]", false],
    ["a{2,3}b", "aab", true],
    ["a{,1}b", "b", true],
    ["a**", "", true],
    ["\\.", "x", false],
    ["[a.c]-", "b-", false],
    ["\\<ab", "x ab", true],
    ["(a|b)\\1", "aa", true],
    ["a|", "", true],
    ["x$", "x\n", false],
    ["[\\n]", "\\", true],
  ])("%s over %p", (pattern, text, matches) => {
    expect(compilePosix(pattern).test(text)).toBe(matches);
  });
  test.each([
    ["(", "Unmatched ( or \\("],
    ["[", "Invalid regular expression"],
    ["[a", "Unmatched [, [^, [:, [., or [="],
    ["*a", "Invalid preceding regular expression"],
    ["a{2,1}", "Invalid content of \\{\\}"],
    ["\\", "Trailing backslash"],
    ["[z-a]", "Invalid range end"],
    ["[[:no:]]", "Invalid character class name"],
    ["\\2(a)", "Invalid back reference"],
  ])("%s is refused", (pattern, message) => {
    expect(() => compilePosix(pattern)).toThrow(new PosixError(message));
  });
  test("any text is a regular expression or refused", () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[ab()[\]{}*+?|^$\\.:=1,-]{0,12}$/), (pattern) => {
        try {
          compilePosix(pattern).test("ab");
        } catch (error) {
          expect(error).toBeInstanceOf(PosixError);
        }
      }),
      { seed: 5, numRuns: 3000 },
    );
  });
});
