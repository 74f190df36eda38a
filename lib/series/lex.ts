// The words of the query language (spec series.md 6.1). A text becomes tokens with their places; what
// is no token becomes one that no grammar takes, so that the parser says where it stands.
import { FUNCTIONS } from "./language.ts";

/** Reserved words by their meaning. */
const RESERVED = {
  interval: "interval",
  delta: "interval",
  timezone: "zone",
  tz: "zone",
  start: "start",
  begin: "start",
  finish: "finish",
  end: "finish",
  samples: "count",
  count: "count",
  offset: "offset",
  from: "offset",
  align: "align",
  alignment: "align",
  type: "never",
  semantics: "never",
  units: "never",
} as const;

/** What a reserved word means. */
export type TimeWord = (typeof RESERVED)[keyof typeof RESERVED];

export interface Token {
  readonly kind:
    | "name"
    | "function"
    | "word"
    | "integer"
    | "range"
    | "double"
    | "string"
    | "operator"
    | "wrong"
    | "end";
  /** As written; without quotes for a string. */
  readonly text: string;
  /** Of a reserved word. */
  readonly word?: TimeWord;
  /** Index of its first character; of the text's last one for the end. */
  readonly at: number;
}

const SPACE = /[ \t\n\v\f\r]*/y;
const TOKEN =
  /(?<name>[A-Za-z][A-Za-z0-9_.*%\\]*)|(?<double>\d+\.\d*|\.\d*)|(?<range>\d+[A-Za-z]+)|(?<integer>\d+)|"(?<string>[^"]*)"|(?<operator><=|==|=~|>=|!=|!~|~~|&&|\|\||[-+*/(){}[\]:,<>=])/y;
const NAMES: ReadonlySet<string> = new Set(Object.values(FUNCTIONS).flat());
const MAX_INTEGER = 0xffff_ffff;

const isReserved = (text: string): text is keyof typeof RESERVED => Object.hasOwn(RESERVED, text);

/** The token at `from`. */
function tokenAt(text: string, from: number): { token: Token; next: number } {
  TOKEN.lastIndex = from;
  const match = TOKEN.exec(text);
  if (match === null)
    return { token: { kind: "wrong", text: text[from] ?? "", at: from }, next: text.length };
  const next = from + match[0].length;
  const { name, double, range, integer, string, operator } = match.groups ?? {};
  if (name !== undefined) {
    if (NAMES.has(name) && text[next] === "(")
      return { token: { kind: "function", text: name, at: from }, next };
    // A name of a function, to the lexer alone: no query has it.
    if (name === "count" && text[next] === "(")
      return { token: { kind: "wrong", text: name, at: from }, next: text.length };
    if (isReserved(name))
      return { token: { kind: "word", text: name, word: RESERVED[name], at: from }, next };
    return { token: { kind: "name", text: name, at: from }, next };
  }
  if (string !== undefined) return { token: { kind: "string", text: string, at: from }, next };
  if (double !== undefined) return { token: { kind: "double", text: double, at: from }, next };
  if (range !== undefined) return { token: { kind: "range", text: range, at: from }, next };
  if (integer !== undefined) {
    const kind = Number(integer) > MAX_INTEGER ? "wrong" : "integer";
    return { token: { kind, text: integer, at: from }, next };
  }
  return { token: { kind: "operator", text: operator ?? "", at: from }, next };
}

/** All tokens of a text; the last one is its end. */
export function lexQuery(text: string): Token[] {
  const tokens: Token[] = [];
  for (let at = 0; ;) {
    SPACE.lastIndex = at;
    at += SPACE.exec(text)?.[0].length ?? 0;
    if (at >= text.length) break;
    const { token, next } = tokenAt(text, at);
    tokens.push(token);
    if (token.kind === "wrong") break;
    at = next;
  }
  tokens.push({ kind: "end", text: "", at: Math.max(0, text.length - 1) });
  return tokens;
}
