// POSIX extended regular expressions, as regcomp(3) of glibc takes them, turned into those of
// JavaScript. Refuses what regcomp refuses, with its words. Differences that remain: a back reference
// to a group that took no part matches the empty text, and no nesting deeper than MAX_NESTING.

/** A pattern that regcomp(3) refuses; the message is that of regerror(3). */
export class PosixError extends Error {}

const MAX_NESTING = 200;
const MAX_REPEAT = 32767;
const BAD_PREDECESSOR = "Invalid preceding regular expression";
const UNMATCHED_BRACKET = "Unmatched [, [^, [:, [., or [=";

/** Members of the character classes, to be put between brackets. */
const CLASSES: Readonly<Record<string, string>> = {
  alpha: "A-Za-z",
  digit: "0-9",
  alnum: "A-Za-z0-9",
  upper: "A-Z",
  lower: "a-z",
  space: "\\t-\\r ",
  blank: "\\t ",
  punct: "!-\\/:-@\\[-`{-~",
  print: " -~",
  graph: "!-~",
  cntrl: "\\0-\\x1f\\x7f",
  xdigit: "0-9A-Fa-f",
};

/** What GNU adds behind a backslash. */
const GNU: Readonly<Record<string, string>> = {
  w: "[A-Za-z0-9_]",
  W: "[^A-Za-z0-9_]",
  s: "[\\t-\\r ]",
  S: "[^\\t-\\r ]",
  b: "\\b",
  B: "\\B",
  "<": "\\b(?=\\w)",
  ">": "\\b(?<=\\w)",
  "`": "^",
  "'": "$",
};

const literal = (char: string): string => char.replace(/[\\^$.*+?()[\]{}|/-]/, "\\$&");

/** Reads `[:name:]`, `[.x.]` or `[=x=]` at `at`, its opening bracket; undefined for a plain `[`. */
function namedMember(
  text: string,
  at: number,
): { mark: string; name: string; end: number } | undefined {
  const mark = text.charAt(at + 1);
  if (text.charAt(at) !== "[" || !":.=".includes(mark) || mark === "") return undefined;
  const close = text.indexOf(`${mark}]`, at + 2);
  if (close < 0) throw new PosixError(UNMATCHED_BRACKET);
  return { mark, name: text.slice(at + 2, close), end: close + 2 };
}

/** Reads a bracket expression behind its `[`; gives the JavaScript one and where it ended. */
function bracket(text: string, start: number): { source: string; end: number } {
  let at = start;
  const negated = text.charAt(at) === "^";
  if (negated) at++;
  if (at >= text.length) throw new PosixError("Invalid regular expression");
  let source = "";
  /** One end of a range, or a class. */
  const member = (): { char: string; isClass: boolean } => {
    const named = namedMember(text, at);
    if (named === undefined) return { char: text.charAt(at++), isClass: false };
    at = named.end;
    if (named.mark === ":") {
      const members = CLASSES[named.name];
      if (members === undefined) throw new PosixError("Invalid character class name");
      return { char: members, isClass: true };
    }
    if (named.name.length !== 1) throw new PosixError("Invalid collation character");
    return { char: named.name, isClass: false };
  };
  for (let first = true; ; first = false) {
    if (at >= text.length) throw new PosixError(UNMATCHED_BRACKET);
    if (text.charAt(at) === "]" && !first) break;
    // A hyphen that is neither first nor last stands for nothing by itself.
    const hyphen = text.charAt(at) === "-" && !first && text.charAt(at + 1) !== "]";
    const low = member();
    if (hyphen && text.charAt(at) !== "-") throw new PosixError("Invalid range end");
    if (text.charAt(at) !== "-" || text.charAt(at + 1) === "]" || at + 1 >= text.length) {
      source += low.isClass ? low.char : literal(low.char);
      continue;
    }
    at++;
    const high = member();
    if (low.isClass || high.isClass || low.char > high.char) {
      throw new PosixError("Invalid range end");
    }
    source += `${literal(low.char)}-${literal(high.char)}`;
  }
  return { source: `[${negated ? "^" : ""}${source}]`, end: at + 1 };
}

/** Reads an interval behind its `{`. */
function interval(text: string, start: number): { source: string; end: number } {
  const close = text.indexOf("}", start);
  if (close < 0) {
    const open = /^\d*(?:,\d*)?$/.test(text.slice(start));
    throw new PosixError(open ? "Unmatched \\{" : "Invalid content of \\{\\}");
  }
  const bounds = /^(?:(\d+)(?:(,)(\d*))?|,(\d*))$/.exec(text.slice(start, close));
  if (bounds === null) throw new PosixError("Invalid content of \\{\\}");
  const low = Number(bounds[1] ?? 0);
  const upper = bounds[3] ?? bounds[4] ?? "";
  const once = bounds[1] !== undefined && bounds[2] === undefined;
  const high = once ? low : upper === "" ? Number.POSITIVE_INFINITY : Number(upper);
  if (high < low) throw new PosixError("Invalid content of \\{\\}");
  if (low > MAX_REPEAT || (high > MAX_REPEAT && Number.isFinite(high))) {
    throw new PosixError("Regular expression too big");
  }
  return {
    source: `{${low}${once ? "" : `,${Number.isFinite(high) ? high : ""}`}}`,
    end: close + 1,
  };
}

interface Scan {
  readonly text: string;
  at: number;
  /** Groups that were closed. */
  groups: number;
}

/** Reads alternatives up to the end, or up to the `)` of a group. */
function alternatives(scan: Scan, depth: number): string {
  if (depth > MAX_NESTING) throw new PosixError("Regular expression too big");
  const { text } = scan;
  let source = "";
  let repeatable: string | undefined;
  const flush = (): void => {
    source += repeatable ?? "";
    repeatable = undefined;
  };
  let fresh = true;
  while (scan.at < text.length) {
    const char = text.charAt(scan.at++);
    if (char === ")" && depth > 0) {
      scan.at--;
      break;
    }
    if ("*+?{".includes(char)) {
      if (fresh) throw new PosixError(BAD_PREDECESSOR);
      let times = char;
      if (char === "{") {
        const found = interval(text, scan.at);
        times = found.source;
        scan.at = found.end;
      }
      repeatable = `(?:${repeatable ?? ""})${times}`;
      continue;
    }
    flush();
    fresh = false;
    if (char === "|" || char === "^") {
      source += char;
      fresh = true;
    } else if (char === "$") repeatable = "$";
    else if (char === ".") repeatable = "[^\\0]";
    else if (char === "(") {
      const inner = alternatives(scan, depth + 1);
      if (text.charAt(scan.at) !== ")") throw new PosixError("Unmatched ( or \\(");
      scan.at++;
      scan.groups++;
      repeatable = `(${inner})`;
    } else if (char === "[") {
      const found = bracket(text, scan.at);
      repeatable = found.source;
      scan.at = found.end;
    } else if (char === "\\") {
      const next = text.charAt(scan.at++);
      if (next === "") throw new PosixError("Trailing backslash");
      if (next >= "1" && next <= "9") {
        if (Number(next) > scan.groups) throw new PosixError("Invalid back reference");
        repeatable = `(?:\\${next})`;
      } else repeatable = GNU[next] ?? literal(next);
    } else repeatable = literal(char);
  }
  flush();
  return source;
}

/** Longest regular expression of a stranger, characters. */
const MAX_PATTERN = 256;
/** Most repetitions without an end in one expression. */
const MAX_REPEATS = 2;
/** Most ways through one expression that its choices (`?`, `|` in groups) make, each times the others. */
const MAX_WAYS = 256;
/** For how many ways a repetition counts, and most of all together. */
const REPEAT_WAYS = 32;
const MAX_WORK = 2 ** 15;

/** Ways through an expression without classes and escapes; too many where groups are in groups. */
function waysThrough(plain: string): number {
  let ways = 1;
  const groups: number[] = [];
  for (const char of plain) {
    if (char === "?") ways *= 2;
    else if (char === "(") groups.push(1);
    else if (char === ")") ways *= groups.pop() ?? 1;
    // Alternatives of the whole come one after the other.
    else if (char === "|" && groups.length > 0) groups.push((groups.pop() ?? 0) + 1);
  }
  return ways;
}

/**
 * Why an expression is not to be taken from anybody: its time could grow beyond the third power of a
 * text's length, or double with each of its characters. Undefined for one that is harmless.
 */
export function costlyPattern(pattern: string): string | undefined {
  if (pattern.length > MAX_PATTERN) return "too long";
  const plain = pattern.replace(/\\./g, "x").replace(/\[\^?\]?[^\]]*\]/g, "x");
  if (/\\[1-9]/.test(pattern)) return "back references are not taken";
  const repeats = (plain.match(/[*+]|\{\d*,?\d*\}/g) ?? []).length;
  if (repeats > MAX_REPEATS) return "too many repetitions";
  const ways = waysThrough(plain);
  if (ways > MAX_WAYS || ways * REPEAT_WAYS ** repeats > MAX_WORK) return "too many choices";
  return /[*+?}][*+?{]|\)[*+{]/.test(plain)
    ? "groups and repetitions cannot be repeated"
    : undefined;
}

/**
 * A regular expression that matches where the POSIX extended one matches, anywhere in a text. Throws
 * PosixError.
 */
export function compilePosix(pattern: string): RegExp {
  const source = alternatives({ text: pattern, at: 0, groups: 0 }, 0);
  try {
    return new RegExp(source, "s");
  } catch (error) {
    // Repetitions of repetitions, which only the engine counts.
    if (!(error instanceof SyntaxError)) throw error;
    throw new PosixError("Regular expression too big");
  }
}
