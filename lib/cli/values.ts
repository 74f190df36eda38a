// Parsers of option arguments: numbers as strtol(3) reads them, port lists, PCP intervals (spec
// archive.md 14.1), one of several words, lists of debug options. Each gives a value or PCP's
// sentence for the mistake; trailing text is refused even where PCP's programs overlook it.

import { complaintLines, intervalSeconds, UNEXPECTED, wholeNumber } from "../base/mod.ts";
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

/** Longest interval of an option, seconds: 68 years. */
const LONGEST = 2 ** 31;

/** A PCP interval (`10`, `1min`, `1h 30m`) in seconds; the error is PCP's two lines. */
export function interval(text: string): Parsed<number> {
  const seconds = intervalSeconds(text);
  if (typeof seconds !== "number") return bad(complaintLines(seconds));
  return seconds <= LONGEST
    ? good(seconds)
    : bad(complaintLines({ text, at: 0, reason: UNEXPECTED }));
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
