// Parsers of option arguments: numbers as strtol(3) reads them, port lists, PCP intervals (spec
// archive.md 14.1), one of several words, lists of debug options. Each gives a value or PCP's
// sentence for the mistake; trailing text is refused even where PCP's programs overlook it.

import { wholeNumber } from "../base/mod.ts";
import type { Parsed } from "./options.ts";

const good = <T>(value: T): Parsed<T> => ({ ok: true, value });
const bad = (error: string): Parsed<never> => ({ ok: false, error });

/** A number from 1 to `most`; else `SPELLING requires a positive value`. */
export const positive =
  (spelling: string, most: number) =>
  (text: string): Parsed<number> => {
    const value = wholeNumber(text);
    return value === undefined || value < 1 || value > most
      ? bad(`${spelling} requires a positive value`)
      : good(value);
  };

/**
 * TCP ports 0..65535 separated by commas; else PCP's sentence with the whole argument. `highest`
 * admits larger numbers, for callers that know what they mean.
 */
export const ports =
  (spelling: string, highest = 65_535) =>
  (text: string): Parsed<readonly number[]> => {
    const list = text
      .replace(/,$/, "")
      .split(",")
      .map((part) => wholeNumber(part));
    const valid = list.filter(
      (port): port is number => port !== undefined && port >= 0 && port <= highest,
    );
    return valid.length === list.length
      ? good(valid)
      : bad(`${spelling} requires a positive numeric argument (${text})`);
  };

/** One of a few words. */
export const oneOf =
  <const W extends string>(spelling: string, words: readonly W[]) =>
  (text: string): Parsed<W> => {
    const word = words.find((each) => each === text);
    return word === undefined
      ? bad(`${spelling} must be one of ${words.join(", ")}, not "${text}"`)
      : good(word);
  };

/** Seconds of each interval unit; the letters are compared without case, one final s dropped. */
const UNIT_SECONDS: ReadonlyMap<string, number> = new Map([
  ["nanosecond", 1e-9],
  ["nsec", 1e-9],
  ["microsecond", 1e-6],
  ["usec", 1e-6],
  ["millisecond", 1e-3],
  ["msec", 1e-3],
  ["", 1],
  ["second", 1],
  ["sec", 1],
  ["s", 1],
  ["minute", 60],
  ["min", 60],
  ["m", 60],
  ["hour", 3600],
  ["hr", 3600],
  ["h", 3600],
  ["day", 86_400],
  ["d", 86_400],
]);

const BLANKS = /[ \t\n\v\f\r]*/y;
const NUMBER =
  /[+-]?(?:0[xX](?:[0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)(?:[pP][+-]?[0-9]+)?|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)/y;
const LETTERS = /[A-Za-z]*/y;

function match(pattern: RegExp, text: string, at: number): string {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0] ?? "";
}

/** strtod(3) of the C locale for a text that NUMBER matched. */
function numberOf(text: string): number {
  const parts = /^([+-]?)0[xX]([0-9a-fA-F]*)\.?([0-9a-fA-F]*)(?:[pP]([+-]?[0-9]+))?$/.exec(text);
  if (parts === null) return Number.parseFloat(text);
  const [, sign, whole = "", fraction = "", exponent = "0"] = parts;
  const mantissa = Number.parseInt(`0${whole}${fraction}`, 16);
  const size = mantissa * 2 ** (Number.parseInt(exponent, 10) - 4 * fraction.length);
  return sign === "-" ? -size : size;
}

/** Where an interval is wrong, in the form of pmParseInterval(3): text, caret, reason. */
const marked = (text: string, at: number, reason: string): Parsed<never> =>
  bad(`${text}\n${" ".repeat(at)}^ -- ${reason}`);

/** A PCP interval (`10`, `1min`, `1h 30m`) in seconds; the error is PCP's three-part text. */
export function interval(text: string): Parsed<number> {
  if (text === "") return marked(text, 0, "Null or empty specification");
  let seconds = 0;
  for (let at = match(BLANKS, text, 0).length; at < text.length;) {
    const number = match(NUMBER, text, at);
    const value = numberOf(number);
    if (number === "" || value < 0 || !Number.isFinite(value)) {
      return marked(text, at, "unexpected value");
    }
    at += number.length;
    at += match(BLANKS, text, at).length;
    const letters = match(LETTERS, text, at);
    const unit = (letters.length > 1 ? letters.replace(/s$/i, "") : letters).toLowerCase();
    const scale = UNIT_SECONDS.get(unit);
    if (scale === undefined) return marked(text, at, "unexpected value");
    seconds += value * scale;
    if (seconds > 2 ** 31) return marked(text, at, "unexpected value");
    at += letters.length;
    at += match(BLANKS, text, at).length;
  }
  return good(seconds);
}

/** Names for `-D`, those of PCP 6.0.3 and 7.2 (`pmdbg -l`). */
export const DEBUG_OPTIONS =
  "pdu fetch profile value context indom pdubuf log logmeta optfetch af appl0 appl1 appl2 pmns libpmda timecontrol pmc derive lock interp config pmapi fault auth discovery attr http desperate deprecated exec labels series libweb alloc services appl3 appl4 appl5 access qa search query compress dev0 dev1 dev2 pmlc appl6 appl7 appl8 appl9 tls misc qed getopt all".split(
    " ",
  );

/** A list of debug options, in lower case; a number (the old bit mask) sets nothing here. */
export function debugList(text: string): Parsed<readonly string[]> {
  if (wholeNumber(text) !== undefined) return good([]);
  const names = text.split(",").map((each) => each.toLowerCase());
  return names.every((each) => DEBUG_OPTIONS.includes(each))
    ? good(names)
    : bad(`unrecognized debug options specification (${text})`);
}
