// Tokens of an expression of a derived metric. Refused where it stands: a character without a
// meaning, a string, pattern or instance name without an end, an integer above 32 bits, a regular
// expression that is none.
import { compilePosix, PosixError } from "../base/mod.ts";

/** A place in an expression and what is wrong there, in libpcp's words; `reason` may be empty. */
export class SyntaxFault extends Error {
  constructor(
    readonly offset: number,
    readonly reason: string,
  ) {
    super(reason);
  }
}

/** Kinds of tokens whose text varies; all others are their own kind. */
export type TokenKind =
  | "end"
  | "name"
  /** A function's name with "(" right behind it, which is a token of its own. */
  | "function"
  /** type, semantics, units, indom, meta */
  | "keyword"
  | "integer"
  | "double"
  | "string"
  | "instance"
  | "pattern"
  | "symbol";

/** One token. `text` is without quotes and escapes. */
export interface Token {
  readonly kind: TokenKind;
  readonly text: string;
  readonly offset: number;
  /** Offset behind the token. */
  readonly end: number;
}

const FUNCTIONS = new Set([
  "anon",
  "avg",
  "count",
  "defined",
  "delta",
  "instant",
  "matchinst",
  "max",
  "min",
  "mkconst",
  "novalue",
  "rate",
  "rescale",
  "scalar",
  "sum",
]);
const KEYWORDS = new Set(["type", "semantics", "units", "indom", "meta"]);
const SPACE = /\s*/y;
const NAME = /[A-Za-z][A-Za-z0-9_.]*/y;
const NUMBER = /\d*\.\d*|\d+/y;
const SYMBOL = /<=|==|>=|!=|&&|\|\||[-+*/<>!=?:(),]/y;
const LARGEST_INTEGER = 0xffffffff;

function match(pattern: RegExp, text: string, at: number): string | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0];
}

/** Reads up to `close` from `at`, which is behind the opening; a backslash keeps what follows it. */
function enclosed(
  text: string,
  at: number,
  close: string,
): { text: string; end: number } | undefined {
  let inner = "";
  for (let i = at; i < text.length; i++) {
    const char = text.charAt(i);
    if (char === close) return { text: inner, end: i + 1 };
    if (char !== "\\") inner += char;
    else if (++i < text.length) inner += text.charAt(i);
  }
  return undefined;
}

function delimited(
  text: string,
  offset: number,
  kind: TokenKind,
  close: string,
  what: string,
): Token {
  const found = kind === "string" ? quoted(text, offset + 1) : enclosed(text, offset + 1, close);
  if (found === undefined) throw new SyntaxFault(offset, `unterminated ${what}`);
  return { kind, text: found.text, offset, end: found.end };
}

/** A string has no escapes. */
function quoted(text: string, at: number): { text: string; end: number } | undefined {
  const close = text.indexOf('"', at);
  return close < 0 ? undefined : { text: text.slice(at, close), end: close + 1 };
}

/**
 * The token at or behind `at`. With `pattern` a slash opens a regular expression instead of being a
 * division. Throws SyntaxFault.
 */
export function nextToken(text: string, at: number, pattern = false): Token {
  const offset = at + (match(SPACE, text, at)?.length ?? 0);
  if (offset >= text.length) {
    // libpcp points at the last character, and behind the start of an empty text.
    return { kind: "end", text: "", offset: Math.abs(text.length - 1), end: text.length };
  }
  const word = match(NAME, text, offset);
  if (word !== undefined) {
    const end = offset + word.length;
    if (text.charAt(end) === "(" && FUNCTIONS.has(word)) {
      return { kind: "function", text: word, offset, end };
    }
    return { kind: KEYWORDS.has(word) ? "keyword" : "name", text: word, offset, end };
  }
  const number = match(NUMBER, text, offset);
  if (number !== undefined) {
    const double = number.includes(".");
    if (!double && Number(number) > LARGEST_INTEGER) {
      throw new SyntaxFault(offset, "Constant value too large");
    }
    const kind = double ? "double" : "integer";
    return { kind, text: number, offset, end: offset + number.length };
  }
  const first = text.charAt(offset);
  if (first === '"') return delimited(text, offset, "string", '"', "STRING");
  if (first === "[") return delimited(text, offset, "instance", "]", "instance name");
  if (first === "/" && pattern) {
    const token = delimited(text, offset, "pattern", "/", "pattern");
    try {
      compilePosix(token.text);
    } catch (error) {
      if (!(error instanceof PosixError)) throw error;
      throw new SyntaxFault(offset, `bad regular expression: '${error.message}'`);
    }
    return token;
  }
  const symbol = match(SYMBOL, text, offset);
  if (symbol === undefined) throw new SyntaxFault(offset, "Illegal character");
  return { kind: "symbol", text: symbol, offset, end: offset + symbol.length };
}
