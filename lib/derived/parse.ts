// Reads an expression of a derived metric into its tree (pmRegisterDerived(3)). A text that is none
// gives the place and libpcp's words: libpcp's parser has its messages at certain places of the
// grammar, and a fault gets the message of the innermost place that has one, or none.
import {
  indomBuild,
  type Indom,
  PM_SEM,
  PM_TYPE,
  pmParseUnitsStr,
  pmTypeStr,
  type PmType,
} from "../pcp/mod.ts";
import { PcpError } from "../base/mod.ts";
import type { BinaryOp, ConstantExpr, Expr, Metadata, UnaryFn } from "./expr.ts";
import { nextToken, SyntaxFault, type Token } from "./lex.ts";

/** Where an expression is none, and why in libpcp's words ("" where it says nothing). */
export interface SyntaxComplaint {
  /** Offset into the expression, in characters; what the caret points at. */
  readonly offset: number;
  readonly reason: string;
}

/** Longest expression, in characters; keeps the depth of trees within the stack. */
export const MAX_EXPRESSION = 16_384;
const MAX_NESTING = 500;

/** How tightly operators bind; AND and OR bind alike, and so do all relations. */
const LEVEL = { TERNARY: 0, BOOLEAN: 1, RELATION: 2, SUM: 3, PRODUCT: 4 } as const;
const OPERATORS = new Map<string, { level: number; name: string }>([
  ["&&", { level: LEVEL.BOOLEAN, name: "AND" }],
  ["||", { level: LEVEL.BOOLEAN, name: "OR" }],
  ["<", { level: LEVEL.RELATION, name: "LT" }],
  ["<=", { level: LEVEL.RELATION, name: "LEQ" }],
  ["==", { level: LEVEL.RELATION, name: "EQ" }],
  [">=", { level: LEVEL.RELATION, name: "GEQ" }],
  [">", { level: LEVEL.RELATION, name: "GT" }],
  ["!=", { level: LEVEL.RELATION, name: "NEQ" }],
  ["+", { level: LEVEL.SUM, name: "PLUS" }],
  ["-", { level: LEVEL.SUM, name: "MINUS" }],
  ["*", { level: LEVEL.PRODUCT, name: "STAR" }],
  ["/", { level: LEVEL.PRODUCT, name: "SLASH" }],
]);
/** Symbols that get a message of their own when an expression starts with them. */
const BAD_STARTS = new Set([...OPERATORS.keys(), "?", ":", ")"]);
BAD_STARTS.delete("-");
/** What cannot follow a metric's name. */
const NOT_AFTER_NAME: readonly string[] = [
  "name",
  "function",
  "keyword",
  "integer",
  "double",
  "string",
];
const OPERATOR_EXPECTED = "Arithmetic or relational or boolean operator expected to follow";

const TYPES: readonly PmType[] = [
  PM_TYPE.I32,
  PM_TYPE.U32,
  PM_TYPE.I64,
  PM_TYPE.U64,
  PM_TYPE.FLOAT,
  PM_TYPE.DOUBLE,
];
const typeOf = (name: string): PmType | undefined =>
  TYPES.find((type) => pmTypeStr(type) === name.toUpperCase());
const SEMANTICS = new Map([
  ["counter", PM_SEM.COUNTER],
  ["instant", PM_SEM.INSTANT],
  ["discrete", PM_SEM.DISCRETE],
]);

interface Input {
  readonly text: string;
  /** Offset behind the last token that was taken. */
  at: number;
  /** The next token, if it was looked at. */
  ahead: Token | undefined;
  depth: number;
}

function peek(input: Input): Token {
  input.ahead ??= nextToken(input.text, input.at);
  return input.ahead;
}

function take(input: Input): Token {
  const token = peek(input);
  input.ahead = undefined;
  input.at = token.end;
  return token;
}

const isSymbol = (token: Token, text: string): boolean =>
  token.kind === "symbol" && token.text === text;

/** Takes the symbol if it is next. */
function accept(input: Input, text: string): boolean {
  if (!isSymbol(peek(input), text)) return false;
  take(input);
  return true;
}

function fail(token: Token, reason = ""): never {
  throw new SyntaxFault(token.offset, reason);
}

function expect(input: Input, text: string): Token {
  if (!isSymbol(peek(input), text)) fail(peek(input));
  return take(input);
}

/** Runs `body`; a fault in it without a message gets this one. */
function within<T>(reason: string, body: () => T): T {
  try {
    return body();
  } catch (error) {
    if (!(error instanceof SyntaxFault) || error.reason !== "") throw error;
    throw new SyntaxFault(error.offset, reason);
  }
}

function unitsOf(token: Token, text: string): number {
  try {
    return pmParseUnitsStr(text).units;
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
    return fail(token, `Illegal units: '${error.message.replace(/^.*, column \d+: /s, "")}'`);
  }
}

function indomOf(token: Token): Indom {
  const parts = /^(\d+)\.(\d+)$/.exec(token.text);
  const domain = Number(parts?.[1]);
  const serial = Number(parts?.[2]);
  if (parts === null || domain > 511 || serial > 0x3fffff) {
    fail(token, `Illegal indom: '${token.text}'`);
  }
  return indomBuild(domain, serial);
}

/** Reads `tag=value` of mkconst or novalue. */
function tag(input: Input): Metadata {
  const key = take(input);
  if (key.kind !== "keyword") fail(key);
  expect(input, "=");
  const value = take(input);
  if (key.text === "meta") return value.kind === "name" ? { meta: value.text } : fail(value);
  if (!["name", "integer", "double", "string"].includes(value.kind)) fail(value);
  if (key.text === "type") {
    const type = typeOf(value.text);
    return { type: type ?? fail(value, `Unrecognized value for type '${value.text}'`) };
  }
  if (key.text === "semantics") {
    const sem = SEMANTICS.get(value.text.toLowerCase());
    return { sem: sem ?? fail(value, `Unrecognized value for semantics '${value.text}'`) };
  }
  if (key.text === "indom") return { indom: indomOf(value) };
  return { units: unitsOf(value, value.text) };
}

/** Reads one or more tags and the closing parenthesis, whose token it gives. */
function tags(input: Input): { metadata: Metadata; close: Token } {
  let metadata = tag(input);
  while (accept(input, ",")) metadata = { ...metadata, ...tag(input) };
  return { metadata, close: expect(input, ")") };
}

function constant(token: Token, metadata?: Metadata): ConstantExpr {
  const double = token.kind === "double";
  const value = token.text === "." ? 0 : Number(token.text);
  return {
    kind: "constant",
    text: token.text,
    value,
    double,
    ...(metadata === undefined ? {} : { metadata }),
  };
}

function mkconst(input: Input): Expr {
  const number = take(input);
  if (number.kind === "double") {
    expect(input, ",");
    const { metadata, close } = tags(input);
    const { type } = metadata;
    if (type !== undefined && type !== PM_TYPE.FLOAT && type !== PM_TYPE.DOUBLE) {
      fail(close, `Incompatible floating point constant and type '${pmTypeStr(type)}'`);
    }
    return constant(number, metadata);
  }
  if (number.kind !== "integer") fail(number);
  return within("metadata keyword expected to follow mkconst(type", () => {
    expect(input, ",");
    return constant(number, tags(input).metadata);
  });
}

function novalue(input: Input): Expr {
  take(input);
  take(input);
  return within("metadata keyword expected to follow novalue(", () => {
    if (accept(input, ")")) return { kind: "novalue", metadata: {} };
    return { kind: "novalue", metadata: tags(input).metadata };
  });
}

/** Reads the name of a metric and the closing parenthesis. */
function nameArgument(input: Input): string {
  const name = take(input);
  if (name.kind !== "name") fail(name);
  expect(input, ")");
  return name.text;
}

function rescale(input: Input): Expr {
  const operand = within(`${OPERATOR_EXPECTED} rescale(`, () => {
    const inner = expression(input, LEVEL.TERNARY);
    expect(input, ",");
    return inner;
  });
  const { token, close } = within("Units string expected to follow rescale(<expr>,", () => {
    const string = take(input);
    if (string.kind !== "string") fail(string);
    return { token: string, close: expect(input, ")") };
  });
  return { kind: "rescale", operand, units: unitsOf(close, token.text), text: token.text };
}

function matchinst(input: Input): Expr {
  const { pattern, negate } = within("<filter>, <expr>) expected to follow matchinst(", () => {
    const filter = (): Token => {
      input.ahead ??= nextToken(input.text, input.at, true);
      return take(input);
    };
    let token = filter();
    const not = isSymbol(token, "!");
    if (not) token = filter();
    if (token.kind !== "pattern") fail(token);
    return { pattern: token.text, negate: not };
  });
  within(", <expr>) expected to follow matchinst(<filter>", () => expect(input, ","));
  const operand = within("<expr>) expected to follow matchinst(<filter>,", () => argument(input));
  return { kind: "match", negate, pattern, operand };
}

/** Reads an expression and the closing parenthesis. */
function argument(input: Input): Expr {
  const inner = expression(input, LEVEL.TERNARY);
  expect(input, ")");
  return inner;
}

/** Reads a function; its name and "(" are next. */
function call(input: Input): Expr {
  const fn = take(input).text;
  take(input);
  switch (fn) {
    case "mkconst":
      return mkconst(input);
    case "rescale":
      return rescale(input);
    case "matchinst":
      return matchinst(input);
    case "defined":
      return { kind: "defined", name: nameArgument(input) };
    case "anon":
      return within("Metric name expected to follow anon(", () => {
        const token = peek(input);
        const name = nameArgument(input);
        const type = name.startsWith("PM_TYPE_") ? typeOf(name.slice(8)) : undefined;
        return { kind: "anon", type: type ?? fail(token, `Unrecognized value for type '${name}'`) };
      });
    case "delta":
    case "rate":
    case "scalar":
    case "instant": {
      // libpcp's words for instant are those of an older release.
      const what = fn === "instant" ? "Metric name" : "<expr>";
      const operand = within(`${what} expected to follow ${fn}(`, () => argument(input));
      return { kind: "call", fn, operand };
    }
    default: {
      const name = within(`Metric name expected to follow ${fn}(`, () => nameArgument(input));
      return { kind: "call", fn: fn as UnaryFn, operand: { kind: "name", name } };
    }
  }
}

/** `[instance]` behind an operand, if it is there. */
function selected(input: Input, operand: Expr): Expr {
  if (peek(input).kind !== "instance") return operand;
  return { kind: "instance", instance: take(input).text, operand };
}

function primary(input: Input): Expr {
  const token = peek(input);
  if (token.kind === "integer" || token.kind === "double") return constant(take(input));
  if (token.kind === "function" && token.text !== "novalue") return call(input);
  if (token.kind === "name") {
    take(input);
    const next = peek(input);
    if (NOT_AFTER_NAME.includes(next.kind) || isSymbol(next, "!") || isSymbol(next, "=")) {
      fail(next, `${OPERATOR_EXPECTED} NAME`);
    }
    return selected(input, { kind: "name", name: token.text });
  }
  if (accept(input, "(")) {
    const inner =
      input.text.slice(0, token.offset).trim() === ""
        ? within("Unexpected initial '('", () => argument(input))
        : argument(input);
    return selected(input, inner);
  }
  return fail(token);
}

function prefix(input: Input): Expr {
  if (accept(input, "!")) {
    const operand = within("Boolean expression expected to follow NOT", () =>
      expression(input, LEVEL.RELATION),
    );
    return { kind: "not", operand };
  }
  if (accept(input, "-")) {
    const operand = within("Arithmetic expression expected to follow NEG", () =>
      expression(input, LEVEL.PRODUCT),
    );
    return { kind: "negate", operand };
  }
  return primary(input);
}

/** One of the last two operands of a ternary expression, the only places for novalue. */
function choice(input: Input, level: number): Expr {
  const token = peek(input);
  if (token.kind === "function" && token.text === "novalue") return novalue(input);
  return expression(input, level);
}

function ternary(input: Input, guard: Expr): Expr {
  return within("Arithmetic expression expected to follow QUEST", () => {
    const yes = choice(input, LEVEL.TERNARY);
    expect(input, ":");
    // Behind novalue(...) : libpcp has no message of its own.
    if (yes.kind !== "novalue") {
      const no = within("Arithmetic expression expected to follow COLON", () =>
        choice(input, LEVEL.BOOLEAN),
      );
      return { kind: "ternary", guard, yes, no };
    }
    const second = peek(input);
    const no = choice(input, LEVEL.BOOLEAN);
    if (no.kind === "novalue") {
      fail(second, "novalue() may appear at most once in a ternary expression");
    }
    return { kind: "ternary", guard, yes, no };
  });
}

/** Reads an expression of operators that bind at least as tightly as `level`. */
function expression(input: Input, level: number): Expr {
  if (++input.depth > MAX_NESTING) fail(peek(input), "Expression nested too deeply");
  let left = prefix(input);
  for (;;) {
    const token = peek(input);
    const operator = token.kind === "symbol" ? OPERATORS.get(token.text) : undefined;
    if (operator !== undefined && operator.level >= level) {
      take(input);
      const what = operator.level === LEVEL.BOOLEAN ? "Boolean" : "Arithmetic";
      const right = within(`${what} expression expected to follow ${operator.name}`, () =>
        expression(input, operator.level + 1),
      );
      left = { kind: "binary", op: token.text as BinaryOp, left, right };
    } else if (level === LEVEL.TERNARY && accept(input, "?")) left = ternary(input, left);
    else break;
  }
  input.depth--;
  return left;
}

function whole(input: Input): Expr {
  const first = peek(input);
  if (first.kind === "symbol" && BAD_STARTS.has(first.text)) {
    take(input);
    fail(peek(input), `Unexpected initial '${first.text}'`);
  }
  const expr = expression(input, LEVEL.TERNARY);
  const next = peek(input);
  if (next.kind === "end") return expr;
  if (isSymbol(next, "(") || isSymbol(next, ")")) {
    take(input);
    fail(peek(input), `Unexpected '${next.text}'`);
  }
  return fail(next);
}

/** Reads an expression; `offset` and `reason` in place of a tree when it is none. */
export function parseExpression(text: string): Expr | SyntaxComplaint {
  if (text.length > MAX_EXPRESSION) {
    return {
      offset: MAX_EXPRESSION,
      reason: `Expression longer than ${MAX_EXPRESSION} characters`,
    };
  }
  try {
    return whole({ text, at: 0, ahead: undefined, depth: 0 });
  } catch (error) {
    if (!(error instanceof SyntaxFault)) throw error;
    return { offset: error.offset, reason: error.reason };
  }
}
