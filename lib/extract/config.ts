// The configuration file of `-c` (spec extract.md 4.2): metrics to keep, each with the instances to
// keep of it. Gives the specs up to the first mistake, since the C program has acted on those when it
// meets it. Refused: what the grammar does not allow, with line and column, and a file over
// MAX_CONFIG_BYTES. What the names stand for in an archive is found out elsewhere.
import { utf8Text } from "../base/mod.ts";
import { type Token, tokens } from "./config-lexer.ts";
import type { MetricRequest, Selection } from "./types.ts";

/** A larger file is refused: room for half a million specs. */
export const MAX_CONFIG_BYTES = 16 * 1024 * 1024;

/** A mistake in a configuration file. */
export interface ConfigMistake {
  /** Counts from 1; for a missing word the line of what is there instead. */
  readonly line: number;
  /** Counts from 1, in characters. */
  readonly column: number;
  /** The sentence of the C program. */
  readonly message: string;
  /** What is wrong in words of our own. */
  readonly reason: string;
  /** The line and below it a mark at the place; two lines without a newline at the end. */
  readonly picture: string;
}

/** What a file says: the specs before its end or its first mistake. */
export interface ConfigFile {
  readonly requests: readonly MetricRequest[];
  readonly mistake: ConfigMistake | undefined;
}

/** Characters of a line that a picture shows on each side of the place. */
const PICTURE_WIDTH = 60;

const lineStart = (bytes: Uint8Array, at: number): number =>
  at === 0 ? 0 : bytes.lastIndexOf(0x0a, at - 1) + 1;

/** Text for a terminal: a tab stays one column wide, control characters show nothing. */
const printable = (text: string): string => text.replaceAll(/\p{Cc}/gu, " ");

function mistakeAt(
  bytes: Uint8Array,
  line: number,
  at: number,
  message: string,
  reason: string,
): ConfigMistake {
  const start = lineStart(bytes, at);
  const newline = bytes.indexOf(0x0a, at);
  const end = newline < 0 ? bytes.length : newline;
  const before = Array.from(utf8Text(bytes.subarray(start, at)));
  const after = Array.from(utf8Text(bytes.subarray(at, end)));
  const cut = before.length > PICTURE_WIDTH ? "..." : "";
  const left = cut + before.slice(-PICTURE_WIDTH).join("");
  const right = after.slice(0, PICTURE_WIDTH).join("");
  const mark = " ".repeat(Array.from(left).length);
  const picture = `${printable(left + right).trimEnd()}\n${mark}^`;
  return { line, column: before.length + 1, message, reason, picture };
}

function found(token: Token): string {
  switch (token.kind) {
    case "end":
      return "the end of the file";
    case "string":
      return "a quoted text";
    default:
      return `"${token.text.slice(0, PICTURE_WIDTH)}"`;
  }
}

/** The mistake of a word that must not stand where it stands. */
function unexpected(bytes: Uint8Array, token: Token, expected: string): ConfigMistake {
  const { kind, line, from } = token;
  if (kind !== "bad") {
    const reason = `expected ${expected}, found ${found(token)}`;
    return mistakeAt(bytes, line, from, "syntax error", reason);
  }
  // A character of several bytes is shown whole, not as its first byte.
  const [character = ""] = utf8Text(bytes.subarray(from, from + 4));
  const quote = character === '"' || character === "'";
  const reason = quote
    ? "a quoted text is not empty and ends on its line"
    : "a name is a letter, then letters, digits, _ and dots; instances of other names need quotes";
  return mistakeAt(bytes, line, from, `Unexpected character '${character}'`, reason);
}

/** Digits as the C program takes them: `atol`, cut to 32 bits with sign. */
function instanceNumber(digits: string): number {
  const most = 0x7fff_ffff_ffff_ffffn;
  const value = digits.length > 19 ? most : BigInt(digits);
  return Number(BigInt.asIntN(32, value > most ? most : value));
}

const isInstance = ({ kind }: Token): boolean =>
  kind === "name" || kind === "number" || kind === "string";

/** What stands in brackets, and the word that ended it: the bracket, or one that must not be there. */
interface Instances {
  readonly list: readonly (number | string)[];
  readonly last: Token;
  /** What should have been there instead of `last`. */
  readonly expected: string;
}

/** Reads `instance { [","] instance } "]"`. */
function readInstances(next: () => Token): Instances {
  const list: (number | string)[] = [];
  let last = next();
  let expected = "an instance";
  while (isInstance(last)) {
    list.push(last.kind === "number" ? instanceNumber(last.text) : last.text);
    last = next();
    if (last.kind === ",") {
      last = next();
      expected = "an instance";
    } else {
      expected = `an instance, a comma or "]"`;
      if (last.kind === "]") return { list, last, expected: "" };
    }
  }
  return { list, last, expected };
}

/** Reads a configuration file. */
export function parseConfig(bytes: Uint8Array): ConfigFile {
  const requests: MetricRequest[] = [];
  const next = tokens(bytes);
  const stop = (token: Token, expected: string): ConfigFile => ({
    requests,
    mistake: unexpected(bytes, token, expected),
  });
  let token = next();
  if (token.kind === "end") return { requests, mistake: undefined };
  for (;;) {
    if (token.kind !== "name") return stop(token, "a metric name");
    const name = token.text;
    token = next();
    // Without brackets the C program acts on a spec after it has seen the word behind it.
    if (token.kind === "bad") return stop(token, "");
    let expected = `"[", a comma or a metric name`;
    if (token.kind === "[") {
      const { list, last, expected: missing } = readInstances(next);
      if (missing !== "") return stop(last, missing);
      requests.push({ name, instances: list, line: last.line });
      token = next();
      expected = "a comma or a metric name";
    } else {
      requests.push({ name, line: token.line });
    }
    if (token.kind === "end") return { requests, mistake: undefined };
    if (token.kind === ",") token = next();
    else if (token.kind !== "name") return stop(token, expected);
  }
}

/**
 * The selection of a configuration file. `file` is its name for messages. With `picture` the two
 * lines of the C program about a mistake are followed by place, reason and a picture of it.
 */
export function selectionOf(file: string, bytes: Uint8Array, picture: boolean): Selection {
  if (bytes.length > MAX_CONFIG_BYTES) {
    const text = `pmlogextract: ${file}: ${bytes.length} bytes, but a configuration file has at most ${MAX_CONFIG_BYTES}\n`;
    return { file, requests: [], failure: { text, status: 1 } };
  }
  const { requests, mistake } = parseConfig(bytes);
  if (mistake === undefined) return { file, requests };
  const { line, column, message, reason } = mistake;
  const own = picture ? `${file}:${line}:${column}: ${reason}\n${mistake.picture}\n` : "";
  const text = `Specification error in configuration file (${file})\n[line ${line}] ${message}\n${own}`;
  return { file, requests, failure: { text, status: 1 } };
}
