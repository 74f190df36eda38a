// Files of derived metrics (pmLoadDerivedConfig(3)): `name = expression` and `name(attribute) = text`
// line by line, comments and continuation lines. Takes text; files are read elsewhere. What is wrong
// is told with file and line in libpcp's words and left out, the rest is taken.
import type { Definition, DerivedSet } from "./set.ts";

/** Longest file, in characters. */
export const MAX_CONFIG = 4 * 1024 * 1024;

const NAME = /^[A-Za-z]\w*(?:\.[A-Za-z]\w*)*\.?$/;

/** One line with those that continue it. */
interface Line {
  readonly text: string;
  /** Offset behind the line and its newline. */
  readonly end: number;
}

interface Reader {
  readonly text: string;
  readonly file: string;
  readonly set: DerivedSet;
  readonly warn: (message: string) => void;
  at: number;
  line: number;
}

/** The text from `at` to the end of the line; a backslash before the newline joins the next line. */
function lineAt(text: string, at: number): Line {
  let joined = "";
  for (let start = at; ;) {
    const newline = text.indexOf("\n", start);
    const end = newline < 0 ? text.length : newline;
    const part = text.slice(start, end);
    if (newline < 0 || !part.endsWith("\\")) return { text: joined + part, end: end + 1 };
    joined += part.slice(0, -1);
    start = end + 1;
  }
}

/** Moves behind a line that began at `reader.at`. */
function skipTo(reader: Reader, end: number): void {
  for (let i = reader.at; i < end && i < reader.text.length; i++) {
    if (reader.text.charAt(i) === "\n") reader.line++;
  }
  reader.at = end;
}

/** Tells what is wrong with a line, with the line itself when `shown`. */
function complain(reader: Reader, reason: string, shown = ""): void {
  const place = `[${reader.file}:${reader.line}]`;
  reader.warn(`${place} Error: pmLoadDerivedConfig: ${reason}${shown === "" ? "" : `\n${shown}`}`);
}

/** The text of an attribute behind the `=` at `at`: the rest of the line, or what is in quotes. */
interface Value {
  readonly text: string | undefined;
  readonly end: number;
  /** What stands behind the closing quote. */
  readonly rest: string;
}

function attributeValue(reader: Reader, at: number): Value {
  const { text } = reader;
  let from = at;
  while (text.charAt(from) === " " || text.charAt(from) === "\t") from++;
  const quote = text.charAt(from);
  if (quote !== '"' && quote !== "'") {
    const line = lineAt(text, from);
    return { text: line.text, end: line.end, rest: "" };
  }
  let value = "";
  for (let i = from + 1; i < text.length; i++) {
    const char = text.charAt(i);
    if (char === quote) {
      const line = lineAt(text, i + 1);
      return { text: value, end: line.end, rest: line.text.trim() };
    }
    if (char !== "\\") value += char;
    else if (text.charAt(++i) !== "\n") value += text.charAt(i);
  }
  return { text: undefined, end: text.length, rest: quote };
}

function setAttribute(
  reader: Reader,
  name: string,
  attribute: string,
  shown: string,
  at: number,
): void {
  const known = attribute === "oneline" || attribute === "helptext";
  const definition: Definition | undefined = reader.set.find(name);
  const value = attributeValue(reader, at);
  if (definition === undefined) {
    complain(reader, `cannot set attribute, derived metric (${name}) not defined`, shown);
  } else if (!known) {
    complain(reader, `attribute (${attribute}) is unknown for metric (${name})`, shown);
  } else if (value.text === undefined) {
    complain(reader, `missing termination (${value.rest}) for value`);
  } else if (value.text === "" && shown.trimEnd().endsWith("=")) {
    complain(reader, "attribute value missing", shown);
  } else {
    const field = attribute === "oneline" ? "oneline" : "help";
    if (definition[field] !== undefined) {
      complain(reader, `duplicate value for attribute (${attribute}) of metric (${name})`, shown);
    } else definition[field] = value.text;
    if (value.rest !== "") {
      const place = `[${reader.file}:${reader.line}]`;
      const what = `extra text (${value.rest}) after attribute value will be ignored`;
      reader.warn(`${place} Warning: pmLoadDerivedConfig: ${what}`);
    }
  }
  skipTo(reader, value.end);
}

/** Takes one line; true when it defined a metric. */
function takeLine(reader: Reader): boolean {
  const { text: line, end } = lineAt(reader.text, reader.at);
  const refuse = (reason: string, shown = line): false => {
    complain(reader, reason, shown);
    skipTo(reader, end);
    return false;
  };
  if (line.trim() === "" || line.startsWith("#")) {
    skipTo(reader, end);
    return false;
  }
  const equals = line.indexOf("=");
  if (equals < 0) return refuse("missing ``='' after derived metric name");
  const left = line.slice(0, equals).trim();
  if (left === "") return refuse("derived metric name missing");
  const open = left.indexOf("(");
  if (open >= 0) {
    const close = left.indexOf(")", open);
    if (close < 0) return refuse("missing ')' after attribute");
    const attribute = left.slice(open + 1, close).trim();
    if (attribute === "") return refuse("attribute name missing");
    // A quoted text may go over several lines, so it is read from the file, not from the line.
    const at = reader.text.indexOf("=", reader.at) + 1;
    setAttribute(reader, left.slice(0, open).trim(), attribute, line, at);
    return false;
  }
  if (!NAME.test(left)) return refuse(`illegal derived metric name (${left})`, "");
  const expression = line.slice(equals + 1);
  if (expression.trim() === "") return refuse("expression missing");
  const definition = reader.set.define(left, expression);
  if (!("pmid" in definition)) {
    const { offset, reason } = definition;
    // The place of a name that is defined already is the first character that is no space.
    const at = Math.max(offset, expression.length - expression.trimStart().length);
    const caret = `${" ".repeat(at)}^`.padEnd(expression.length);
    const picture = [expression, caret, ...(reason === "" ? [] : [reason])].join("\n");
    reader.warn(
      `[${reader.file}:${reader.line}] Error: pmRegisterDerived(${left}, ...) syntax error\n${picture}`,
    );
  }
  skipTo(reader, end);
  return "pmid" in definition;
}

/**
 * Adds the metrics of a file's text to a set and tells `warn` what was not taken, one message of
 * one or more lines each. Returns how many metrics were added. Other than libpcp it takes a last
 * line without a newline, and ignores lines of white space.
 */
export function loadDerivedText(
  set: DerivedSet,
  text: string,
  file: string,
  warn: (message: string) => void,
): number {
  if (text.length > MAX_CONFIG) {
    warn(`[${file}:1] Error: pmLoadDerivedConfig: longer than ${MAX_CONFIG} characters`);
    return 0;
  }
  const reader: Reader = { text, file, set, warn, at: 0, line: 1 };
  let count = 0;
  while (reader.at < text.length) if (takeLine(reader)) count++;
  return count;
}
