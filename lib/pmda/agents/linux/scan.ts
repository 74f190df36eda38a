// Reading the text of /proc and /sys as bytes: numbers, words and lines at a place that moves on,
// without a string for what is only looked at. Nothing is refused: where no number stands there is
// none, and whoever parses decides what that means.
import { utf8Text } from "../../../base/mod.ts";

/** A number of a file, exact: bigint from 2^53 on. */
export type Count = number | bigint;

/** A place in bytes. */
export interface Cursor {
  readonly bytes: Uint8Array;
  at: number;
}

const SPACE = 32;
const TAB = 9;
const NEWLINE = 10;
const MINUS = 45;
const ZERO = 48;
/** Digits that are exact in a number whatever they are. */
const SAFE_DIGITS = 15;

/** A cursor at the start. */
export const cursorOn = (bytes: Uint8Array): Cursor => ({ bytes, at: 0 });

/** Text of a part, one character a byte; empty where the part begins behind the end. */
export const latin1 = (bytes: Uint8Array, start: number, end: number): string =>
  start >= end || start >= bytes.length
    ? ""
    : Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString("latin1");

/** All lines as strings, without a last empty one: for files that are read seldom. */
export function linesOf(bytes: Uint8Array): string[] {
  const lines = utf8Text(bytes).split("\n");
  if (lines.at(-1) === "") lines.pop();
  return lines;
}

/** Past blanks, not past the end of the line. */
export function skipBlanks(cursor: Cursor): void {
  const { bytes } = cursor;
  let { at } = cursor;
  while (bytes[at] === SPACE || bytes[at] === TAB) at += 1;
  cursor.at = at;
}

/** To the start of the next line; false when there is none. */
export function nextLine(cursor: Cursor): boolean {
  const end = cursor.bytes.indexOf(NEWLINE, cursor.at);
  cursor.at = end < 0 ? cursor.bytes.length : end + 1;
  return cursor.at < cursor.bytes.length;
}

/** A number of any size in exact form. */
function exact(bytes: Uint8Array, start: number, end: number): Count {
  const value = BigInt(latin1(bytes, start, end));
  const rounded = Number(value);
  return Number.isSafeInteger(rounded) ? rounded : value;
}

/** The whole number after blanks on this line, a sign included; undefined when there is none. */
export function takeCount(cursor: Cursor): Count | undefined {
  skipBlanks(cursor);
  const { bytes, at: start } = cursor;
  const sign = bytes[start] === MINUS ? 1 : 0;
  let at = start + sign;
  let value = 0;
  for (;;) {
    const digit = (bytes[at] ?? 0) - ZERO;
    if (digit < 0 || digit > 9) break;
    value = value * 10 + digit;
    at += 1;
  }
  if (at === start + sign) return undefined;
  cursor.at = at;
  if (at - start > SAFE_DIGITS) return exact(bytes, start, at);
  return sign === 1 ? -value : value;
}

/** The same as a number, rounded from 2^53 on; NaN when there is none. */
export function takeNumber(cursor: Cursor): number {
  const count = takeCount(cursor);
  return count === undefined ? Number.NaN : Number(count);
}

/** All whole numbers at the start of the first line, up to a word that is none. */
export function countsOf(bytes: Uint8Array): Count[] {
  const counts: Count[] = [];
  const cursor = cursorOn(bytes);
  for (let value = takeCount(cursor); value !== undefined; value = takeCount(cursor)) {
    const next = bytes[cursor.at] ?? NEWLINE;
    if (next !== SPACE && next !== TAB && next !== NEWLINE) break;
    counts.push(value);
  }
  return counts;
}

/** Past these bytes; false, without a step, where others stand. */
export function skipText(cursor: Cursor, text: Uint8Array): boolean {
  const { bytes, at } = cursor;
  for (let i = 0; i < text.length; i++) if (bytes[at + i] !== text[i]) return false;
  cursor.at = at + text.length;
  return true;
}

const POINT = 46;

/** The number with or without decimals after blanks on this line; NaN when there is none. */
export function takeDecimal(cursor: Cursor): number {
  skipBlanks(cursor);
  const { bytes, at: start } = cursor;
  let at = start;
  let value = 0;
  let scale = 0;
  for (;;) {
    const byte = bytes[at] ?? 0;
    if (byte === POINT && scale === 0) scale = 1;
    else if (byte >= ZERO && byte <= ZERO + 9) {
      value = value * 10 + byte - ZERO;
      if (scale > 0) scale *= 10;
    } else break;
    at += 1;
  }
  cursor.at = at;
  // A quotient of whole numbers is rounded once, as the text itself would be.
  return at === start ? Number.NaN : value / (scale || 1);
}

/** Past what stands up to the next blank or the end of the line. */
export function skipWord(cursor: Cursor): void {
  const { bytes } = cursor;
  let { at } = cursor;
  for (; at < bytes.length; at += 1) {
    const byte = bytes[at];
    if (byte === SPACE || byte === TAB || byte === NEWLINE) break;
  }
  cursor.at = at;
}

/** The word after blanks on this line; empty at the end of the line. */
export function takeWord(cursor: Cursor): string {
  skipBlanks(cursor);
  const start = cursor.at;
  skipWord(cursor);
  return latin1(cursor.bytes, start, cursor.at);
}

/** The number in base 16 after blanks on this line; NaN when there is none. Up to 8 digits are exact. */
export function takeHex(cursor: Cursor): number {
  skipBlanks(cursor);
  const { bytes, at: start } = cursor;
  let at = start;
  let value = 0;
  for (; at < bytes.length; at += 1) {
    const byte = bytes[at] ?? 0;
    const digit = byte <= 57 ? byte - ZERO : (byte | 32) - 87;
    if (digit < 0 || digit > 15 || (byte > 57 && digit < 10)) break;
    value = value * 16 + digit;
  }
  cursor.at = at;
  return at === start ? Number.NaN : value;
}

/** a + b, exact. */
export function plus(a: Count, b: Count): Count {
  if (typeof a === "number" && typeof b === "number") {
    const sum = a + b;
    if (Number.isSafeInteger(sum)) return sum;
  }
  return BigInt(a) + BigInt(b);
}

/** a * factor, exact. */
export function times(a: Count, factor: number): Count {
  if (typeof a === "number") {
    const product = a * factor;
    if (Number.isSafeInteger(product)) return product;
  }
  return BigInt(a) * BigInt(factor);
}

/** a / 2, without its rest. */
export const half = (a: Count): Count => (typeof a === "number" ? Math.floor(a / 2) : a / 2n);

/**
 * What a line is about, remembered by the number of the line: as long as the same bytes stand there,
 * nothing is decoded or looked up.
 */
export type LineMemory<T> = (line: number, bytes: Uint8Array, start: number, end: number) => T;

/** Remembers what `make` has made of the names of lines. */
export function rememberLines<T>(make: (name: string) => T): LineMemory<T> {
  const names: Uint8Array[] = [];
  const made: T[] = [];
  return (line, bytes, start, end) => {
    const name = names[line];
    const known = made[line];
    if (name !== undefined && known !== undefined && name.length === end - start) {
      let i = 0;
      while (i < name.length && name[i] === bytes[start + i]) i += 1;
      if (i === name.length) return known;
    }
    const fresh = make(latin1(bytes, start, end));
    // Lines come in order, so that the lists have no holes.
    names[line] = bytes.slice(start, end);
    made[line] = fresh;
    return fresh;
  };
}

const COLON = 58;

/** Parses lines of a key and a number into `values`, by the place of the key in a list. */
export type KeyedParser = (bytes: Uint8Array, values: (Count | undefined)[]) => void;

/**
 * A parser for lines `KEY[:] NUMBER …` with these keys, after `words` words that are stepped over.
 * Other lines are ignored; what the file lacks is undefined after it.
 */
export function keyedParser(keys: readonly string[], words = 0): KeyedParser {
  const places = new Map(keys.map((key, index) => [key, index]));
  const placeOf = rememberLines((name) => places.get(name) ?? -1);
  return (bytes, values) => {
    values.length = keys.length;
    values.fill(undefined);
    const cursor = cursorOn(bytes);
    let line = 0;
    while (cursor.at < bytes.length) {
      for (let i = 0; i < words; i++) {
        skipBlanks(cursor);
        skipWord(cursor);
      }
      skipBlanks(cursor);
      const start = cursor.at;
      let end = start;
      while (end < bytes.length) {
        const byte = bytes[end] ?? 0;
        if (byte === COLON || byte <= SPACE) break;
        end += 1;
      }
      const place = placeOf(line, bytes, start, end);
      if (place >= 0) {
        cursor.at = bytes[end] === COLON ? end + 1 : end;
        values[place] = takeCount(cursor);
      } else cursor.at = end;
      nextLine(cursor);
      line += 1;
    }
  };
}
