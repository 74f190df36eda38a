// Values of series as columns: texts as bytes, or numbers in typed arrays, and what both mean as text and
// as number (spec series.md 2.6, 8). PCP hands values from function to function as texts; so a number that
// has been computed is, to the next function, what its text says.
import { utf8, utf8Text } from "../base/mod.ts";
import { formatE } from "../pcp/mod.ts";
import { fixedText, NUMERAL_ROOM, putE, putFixed, putWhole, roundedE } from "./numerals.ts";

/** Texts, one behind the other, as they are kept. */
export interface TextColumn {
  readonly kind: "text";
  /** UTF-8 */
  readonly bytes: Uint8Array;
  /** For each text where it ends. */
  readonly ends: Uint32Array;
}

/** How numbers look as text: whole, `%e` of what was recorded, `%e` of a result, `%.6lf` of a rate. */
export type NumberForm = "decimal" | "float" | "result" | "rate";

/** Numbers. A result that is not a number prints as `-nan`, which is what x86-64 makes. */
export interface NumberColumn {
  readonly kind: "number";
  readonly form: NumberForm;
  readonly numbers: Float64Array;
  /** 1 where there is `no value`. */
  readonly absent?: Uint8Array;
}

/** Whole numbers of 64 bits. */
export interface LongColumn {
  readonly kind: "long";
  readonly numbers: BigInt64Array | BigUint64Array;
  readonly absent?: Uint8Array;
}

/** Values of one series. */
export type Column = TextColumn | NumberColumn | LongColumn;

/** What an operation without a result says. */
const NO_VALUE = "no value";
/** Doubles hold every whole number up to here, and every power of ten up to the other. */
const EXACT_DIGITS = 15;
const EXACT_POWER = 22;
const POWERS = Float64Array.from({ length: EXACT_POWER + 1 }, (_, power) => Number(`1e${power}`));
/** Below this, `%e` keeps every digit of a whole number. */
const SEVEN_DIGITS = 1e7;
/** Numbers that are written digit by digit. */
const MOST_PUT = 1e15;

export const columnLength = (column: Column): number =>
  column.kind === "text" ? column.ends.length : column.numbers.length;

/** Bytes that a column takes. */
export const columnBytes = (column: Column): number =>
  column.kind === "text"
    ? column.bytes.byteLength + column.ends.byteLength
    : column.numbers.byteLength + (column.absent?.byteLength ?? 0);

/** A number as the text of its form. */
export function numberText(value: number, form: NumberForm): string {
  if (form === "decimal") return String(value);
  if (Number.isNaN(value)) return form === "float" ? "nan" : "-nan";
  return form === "rate" ? fixedText(value) : formatE(value);
}

/** What the text of a number says. */
function rounded(value: number, form: NumberForm): number {
  if (form === "decimal" || (Number.isInteger(value) && Math.abs(value) < SEVEN_DIGITS))
    return value;
  if (form !== "rate") return roundedE(value);
  return Number.isFinite(value) ? Number(fixedText(value)) : value;
}

/** A text of numerals that the quick way does not take, as atof(3) reads it. */
function slowNumber(text: string): number {
  const match = /^[ \t-\r]*([+-]?)(?:(inf)|(nan)|((?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?))/i.exec(text);
  if (match === null) return 0;
  const [, sign, infinite, none, digits] = match;
  const size =
    infinite === undefined ? (none === undefined ? Number(digits) : Number.NaN) : Infinity;
  return sign === "-" ? -size : size;
}

/** The number that bytes begin with, as atof(3) gives it: 0 for what is none. */
export function numberOfBytes(bytes: Uint8Array, from: number, to: number): number {
  let at = from;
  const negative = bytes[at] === 0x2d;
  if (negative) at++;
  let digits = 0;
  let count = 0;
  let decimals = 0;
  let point = false;
  let byte = 0;
  for (; at < to; at++) {
    byte = bytes[at] ?? 0;
    if (byte === 0x2e && !point) {
      point = true;
      continue;
    }
    if (byte < 0x30 || byte > 0x39) break;
    digits = digits * 10 + (byte - 0x30);
    count++;
    if (point) decimals++;
  }
  let power = -decimals;
  let quick = count > 0 && count <= EXACT_DIGITS;
  if (quick && at < to && (byte === 0x65 || byte === 0x45)) {
    at++;
    const down = bytes[at] === 0x2d;
    if (down || bytes[at] === 0x2b) at++;
    let exponent = 0;
    const first = at;
    for (; at < to && at < first + 4; at++) {
      const digit = (bytes[at] ?? 0) - 0x30;
      if (digit < 0 || digit > 9) break;
      exponent = exponent * 10 + digit;
    }
    quick = at > first;
    power += down ? -exponent : exponent;
  }
  // Only whole texts: what stands behind a number decides nothing, but hexadecimal does.
  if (!quick || at < to || power < -EXACT_POWER || power > EXACT_POWER)
    return slowNumber(utf8Text(bytes.subarray(from, to)));
  const size = power < 0 ? digits / (POWERS[-power] ?? 1) : digits * (POWERS[power] ?? 1);
  return negative ? -size : size;
}

const startOf = (column: TextColumn, index: number): number =>
  index === 0 ? 0 : (column.ends[index - 1] ?? 0);

const isAbsent = (column: NumberColumn | LongColumn, index: number): boolean =>
  column.absent !== undefined && column.absent[index] === 1;

/** The bytes of a text. */
export const textBytes = (column: TextColumn, index: number): Uint8Array =>
  column.bytes.subarray(startOf(column, index), column.ends[index]);

/** A value as text. */
export function textAt(column: Column, index: number): string {
  if (column.kind === "text") return utf8Text(textBytes(column, index));
  if (isAbsent(column, index)) return NO_VALUE;
  if (column.kind === "long") return String(column.numbers[index] ?? 0n);
  return numberText(column.numbers[index] ?? 0, column.form);
}

/** Room that putValue needs in bytes for a value that is no text. */
export const VALUE_ROOM: number = NUMERAL_ROOM;

/**
 * Writes the text of a number into bytes that have VALUE_ROOM, without a text of its own; gives the place
 * behind it, or -1 for a value that textAt must tell.
 */
export function putNumber(
  column: NumberColumn | LongColumn,
  index: number,
  bytes: Uint8Array,
  at: number,
): number {
  if (column.kind === "long") {
    const number = Number(column.numbers[index] ?? 0n);
    if (!(Math.abs(number) < MOST_PUT) || isAbsent(column, index)) return -1;
    return putWhole(bytes, at, number);
  }
  const value = column.numbers[index] ?? 0;
  if (!(Math.abs(value) < MOST_PUT) || isAbsent(column, index)) return -1;
  if (column.form === "rate") return putFixed(bytes, at, value);
  if (column.form !== "decimal") return putE(bytes, at, value);
  return Number.isInteger(value) ? putWhole(bytes, at, value) : -1;
}

/** A value as the number that its text says: 0 for what is none. */
export function numberAt(column: Column, index: number): number {
  if (column.kind === "text")
    return numberOfBytes(column.bytes, startOf(column, index), column.ends[index] ?? 0);
  if (isAbsent(column, index)) return 0;
  if (column.kind === "long") return Number(column.numbers[index] ?? 0n);
  return rounded(column.numbers[index] ?? 0, column.form);
}

/** All values as the numbers that their texts say. */
export function numbersOf(column: Column): Float64Array {
  const numbers = new Float64Array(columnLength(column));
  for (let index = 0; index < numbers.length; index++) numbers[index] = numberAt(column, index);
  return numbers;
}

/** Whether a value is a whole number, or nothing, rather than one with a fraction or an exponent. */
export function isWhole(column: Column, index: number): boolean {
  if (column.kind !== "text") return column.kind === "long" || column.form === "decimal";
  const from = startOf(column, index);
  const to = column.ends[index] ?? 0;
  let at = from;
  if (column.bytes[at] === 0x2d) at++;
  if (at === to) return false;
  for (; at < to; at++) {
    const byte = column.bytes[at] ?? 0;
    if (byte < 0x30 || byte > 0x39) return false;
  }
  return true;
}

/** A whole number exactly; one with a fraction is cut. */
export function longAt(column: Column, index: number): bigint {
  if (column.kind === "long") return isAbsent(column, index) ? 0n : (column.numbers[index] ?? 0n);
  if (column.kind === "text" && isWhole(column, index)) {
    const from = startOf(column, index);
    const to = column.ends[index] ?? 0;
    if (to - from > EXACT_DIGITS) return BigInt(utf8Text(column.bytes.subarray(from, to)));
  }
  const number = numberAt(column, index);
  return Number.isFinite(number) ? BigInt(Math.trunc(number)) : 0n;
}

/** Whether a value is `no value`. */
export function isMissing(column: Column, index: number): boolean {
  if (column.kind !== "text") return isAbsent(column, index);
  return column.bytes[startOf(column, index)] === 0x6e && textAt(column, index) === NO_VALUE;
}

/** Texts as a column. */
export function textColumn(texts: readonly string[]): TextColumn {
  const ends = new Uint32Array(texts.length);
  const pieces: Uint8Array[] = [];
  let at = 0;
  texts.forEach((text, index) => {
    const piece = utf8(text);
    pieces.push(piece);
    at += piece.length;
    ends[index] = at;
  });
  const bytes = new Uint8Array(at);
  at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return { kind: "text", bytes, ends };
}

const pickAbsent = (
  absent: Uint8Array | undefined,
  indexes: ArrayLike<number>,
): { absent?: Uint8Array } =>
  absent === undefined ? {} : { absent: Uint8Array.from(indexes, (index) => absent[index] ?? 0) };

/** The values at some indexes, in that order. */
export function pickColumn(column: Column, indexes: ArrayLike<number>): Column {
  const count = indexes.length;
  if (column.kind === "number") {
    const numbers = Float64Array.from(indexes, (index) => column.numbers[index] ?? 0);
    return { ...column, numbers, ...pickAbsent(column.absent, indexes) };
  }
  if (column.kind === "long") {
    const numbers =
      column.numbers instanceof BigInt64Array
        ? new BigInt64Array(count)
        : new BigUint64Array(count);
    for (let i = 0; i < count; i++) numbers[i] = column.numbers[indexes[i] ?? 0] ?? 0n;
    return { kind: "long", numbers, ...pickAbsent(column.absent, indexes) };
  }
  const ends = new Uint32Array(count);
  let size = 0;
  for (let i = 0; i < count; i++) {
    const index = indexes[i] ?? 0;
    size += (column.ends[index] ?? 0) - startOf(column, index);
    ends[i] = size;
  }
  const bytes = new Uint8Array(size);
  for (let i = 0; i < count; i++)
    bytes.set(textBytes(column, indexes[i] ?? 0), i === 0 ? 0 : ends[i - 1]);
  return { kind: "text", bytes, ends };
}

/** Columns of different kinds, or forms, one behind the other as texts. */
function joinAsTexts(columns: readonly Column[]): TextColumn {
  const texts: string[] = [];
  for (const column of columns)
    for (let index = 0; index < columnLength(column); index++) texts.push(textAt(column, index));
  return textColumn(texts);
}

function joinTexts(columns: readonly TextColumn[]): TextColumn {
  const sizes = columns.map(({ ends }) => ends.at(-1) ?? 0);
  const bytes = new Uint8Array(sizes.reduce((sum, size) => sum + size, 0));
  const ends = new Uint32Array(columns.reduce((sum, each) => sum + each.ends.length, 0));
  let base = 0;
  let index = 0;
  columns.forEach((column, which) => {
    bytes.set(column.bytes.subarray(0, sizes[which]), base);
    for (const end of column.ends) ends[index++] = base + end;
    base += sizes[which] ?? 0;
  });
  return { kind: "text", bytes, ends };
}

const isForm = (column: Column, form: NumberForm): column is NumberColumn =>
  column.kind === "number" && column.form === form && column.absent === undefined;

/** Columns one behind the other; of one kind if they all are. */
export function joinColumns(columns: readonly Column[]): Column {
  const [first] = columns;
  if (first === undefined) return textColumn([]);
  if (columns.length === 1) return first;
  const texts = columns.filter((each) => each.kind === "text");
  if (texts.length === columns.length) return joinTexts(texts);
  const length = columns.reduce((sum, each) => sum + columnLength(each), 0);
  let at = 0;
  if (first.kind === "number") {
    const alike = columns.filter((each) => isForm(each, first.form)) as NumberColumn[];
    if (alike.length < columns.length) return joinAsTexts(columns);
    const numbers = new Float64Array(length);
    for (const each of alike) {
      numbers.set(each.numbers, at);
      at += each.numbers.length;
    }
    return { kind: "number", form: first.form, numbers };
  }
  const longs = columns.filter((each) => each.kind === "long" && each.absent === undefined);
  const signed = first.kind === "long" && first.numbers instanceof BigInt64Array;
  const same = (longs as LongColumn[]).every(
    (each) => each.numbers instanceof BigInt64Array === signed,
  );
  if (longs.length < columns.length || !same) return joinAsTexts(columns);
  const numbers = signed ? new BigInt64Array(length) : new BigUint64Array(length);
  for (const each of longs as LongColumn[]) {
    numbers.set(each.numbers as BigInt64Array<ArrayBuffer>, at);
    at += each.numbers.length;
  }
  return { kind: "long", numbers };
}
