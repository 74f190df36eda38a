// C's `%e` and `%.6lf` for columns: the same digits as formatE and formatF give, without a text for each
// number where no digit is in doubt. A number near a tie between two digits goes the slow way.
import { formatE, formatF } from "../pcp/mod.ts";

/** Powers of ten that a double holds exactly. */
const MOST_POWER = 22;
const POWERS = Float64Array.from({ length: MOST_POWER + 1 }, (_, power) => Number(`1e${power}`));
/** Digits behind the point. */
const DECIMALS = 6;
/** So near to a half, a product of doubles does not tell which side it is on. */
const DOUBT = 1e-3;
const LEAST = 1e6;
const MOST = 1e7;
/** Beyond this, a product is not exact enough. */
const MOST_FIXED = 1e12;
const LONGEST_FIXED = 1e21;

const scale = (value: number, power: number): number =>
  power < 0 ? value / (POWERS[-power] ?? 1) : value * (POWERS[power] ?? 1);

/** The whole number that a positive one rounds to; NaN in doubt. */
function roundSurely(value: number): number {
  const whole = Math.floor(value);
  const rest = value - whole;
  if (Math.abs(rest - 0.5) < DOUBT) return Number.NaN;
  return rest < 0.5 ? whole : whole + 1;
}

/** Digits of a number: seven of them as a whole number, and the exponent of the first. */
interface Digits {
  digits: number;
  exponent: number;
}

// One for all numbers; whoever asks reads it before asking again.
const found: Digits = { digits: 0, exponent: 0 };

/** Finds the digits of `%e` of a positive number; false if they are in doubt or the number is extreme. */
function findDigits(size: number): boolean {
  let exponent = Math.floor(Math.log10(size));
  let power = DECIMALS - exponent;
  if (power < -MOST_POWER || power > MOST_POWER) return false;
  let digits = roundSurely(scale(size, power));
  if (digits < LEAST) {
    // The logarithm was a little too large.
    exponent--;
    power++;
    if (power > MOST_POWER) return false;
    digits = roundSurely(scale(size, power));
  }
  if (digits >= MOST) {
    // Rounded up to the next power, or the logarithm was a little too small.
    exponent++;
    power--;
    if (power < -MOST_POWER) return false;
    digits = roundSurely(scale(size, power));
  }
  if (!(digits >= LEAST && digits < MOST)) return false;
  found.digits = digits;
  found.exponent = exponent;
  return true;
}

/** What the text of `%e` says: the number rounded to seven digits. */
export function roundedE(value: number): number {
  if (value === 0 || !Number.isFinite(value)) return value;
  const size = Math.abs(value);
  if (!findDigits(size)) return Number(formatE(value));
  const rounded = scale(found.digits, found.exponent - DECIMALS);
  return value < 0 ? -rounded : rounded;
}

const isNegative = (value: number): boolean => value < 0 || Object.is(value, -0);

/** Writes so many digits of a whole number; gives the place behind them. */
function putDigits(bytes: Uint8Array, at: number, digits: number, count: number): number {
  let rest = digits;
  for (let place = at + count - 1; place >= at; place--) {
    const higher = Math.floor(rest / 10);
    bytes[place] = 0x30 + rest - higher * 10;
    rest = higher;
  }
  return at + count;
}

function putText(bytes: Uint8Array, at: number, text: string): number {
  for (let index = 0; index < text.length; index++) bytes[at + index] = text.charCodeAt(index);
  return at + text.length;
}

/** Room that putE and putFixed may need, but for numbers of more than 21 digits. */
export const NUMERAL_ROOM = 32;

/** Writes `%e` of a finite number; gives the place behind it. */
export function putE(bytes: Uint8Array, from: number, value: number): number {
  const size = Math.abs(value);
  if (size !== 0 && !findDigits(size)) return putText(bytes, from, formatE(value));
  const { digits, exponent } = size === 0 ? { digits: 0, exponent: 0 } : found;
  let at = from;
  if (isNegative(value)) bytes[at++] = 0x2d;
  const first = Math.floor(digits / LEAST);
  bytes[at++] = 0x30 + first;
  bytes[at++] = 0x2e;
  at = putDigits(bytes, at, digits - first * LEAST, DECIMALS);
  bytes[at++] = 0x65;
  bytes[at++] = exponent < 0 ? 0x2d : 0x2b;
  return putDigits(bytes, at, Math.abs(exponent), 2);
}

/** C's `%.6lf` of any number. */
export const fixedText = (value: number): string =>
  Math.abs(value) < LONGEST_FIXED || !Number.isFinite(value)
    ? formatF(value)
    : `${BigInt(value)}.000000`;

/** Writes `%.6lf` of a number below 1e21; gives the place behind it. */
export function putFixed(bytes: Uint8Array, from: number, value: number): number {
  const size = Math.abs(value);
  const digits = size * 1e6 < MOST_FIXED ? roundSurely(size * 1e6) : Number.NaN;
  if (Number.isNaN(digits)) return putText(bytes, from, fixedText(value));
  let at = from;
  if (isNegative(value)) bytes[at++] = 0x2d;
  const whole = Math.floor(digits / LEAST);
  at = putWhole(bytes, at, whole);
  bytes[at++] = 0x2e;
  return putDigits(bytes, at, digits - whole * LEAST, DECIMALS);
}

/** Writes a whole number of at most 15 digits; gives the place behind it. */
export function putWhole(bytes: Uint8Array, from: number, value: number): number {
  let at = from;
  if (value < 0) bytes[at++] = 0x2d;
  const size = Math.abs(value);
  let count = 1;
  while (count < MOST_POWER && size >= (POWERS[count] ?? Infinity)) count++;
  return putDigits(bytes, at, size, count);
}
