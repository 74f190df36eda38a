// Bytes of a reply as they are written: one buffer that grows, texts, numbers and metric values. No
// object per value. Refuses replies above a bound with PM_ERR_TOOBIG.
import { bufferOf, PcpError, PM_ERR, utf8, utf8Text } from "../base/mod.ts";
import {
  type Desc,
  formatG,
  MAX_VLEN,
  PM_TYPE,
  PM_VAL,
  type PmType,
  type ValueSetCursor,
} from "../pcp/mod.ts";
import { jsonString } from "./quote.ts";

/** Longest reply that is held in memory, bytes. */
export const MAX_REPLY = 256 * 1024 * 1024;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const ZERO = 0x30;
const MINUS = 0x2d;
const POINT = 0x2e;
/** Significant digits of a FLOAT. */
const SHORT = 8;
const POWERS: readonly number[] = Array.from({ length: 12 }, (_, power) => 10 ** power);
/** Longest number: a sign, 20 digits, a point, an exponent. */
const NUMBER_ROOM = 32;
const digits = new Uint8Array(24);

/** What stands for numbers that are none. */
export interface Words {
  readonly nan: string;
  readonly positive: string;
  readonly negative: string;
}

const JSON_WORDS: Words = { nan: "null", positive: "null", negative: "null" };

/** A reply that is being written. */
export class Out {
  private bytes: Uint8Array;
  private buffer: Buffer;
  /** Bytes so far. */
  length = 0;

  constructor(size = 1024) {
    this.bytes = new Uint8Array(size);
    this.buffer = bufferOf(this.bytes);
  }

  private room(more: number): void {
    const wanted = this.length + more;
    if (wanted <= this.bytes.length) return;
    if (wanted > MAX_REPLY) throw new PcpError(PM_ERR.TOOBIG, `reply above ${MAX_REPLY} bytes`);
    const grown = new Uint8Array(Math.max(2 * this.bytes.length, wanted));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
    this.buffer = bufferOf(grown);
  }

  /** One ASCII character by its code. */
  char(code: number): void {
    this.room(1);
    this.bytes[this.length++] = code;
  }

  text(text: string): void {
    this.room(3 * text.length);
    this.length += this.buffer.write(text, this.length);
  }

  /** A text without characters above U+007F. */
  ascii(text: string): void {
    this.room(text.length);
    this.length += this.buffer.write(text, this.length, "latin1");
  }

  raw(bytes: Uint8Array): void {
    this.room(bytes.length);
    this.bytes.set(bytes, this.length);
    this.length += bytes.length;
  }

  /** A whole number within 2^53. */
  integer(value: number): void {
    this.room(NUMBER_ROOM);
    let rest = value;
    if (rest < 0) {
      this.bytes[this.length++] = MINUS;
      rest = -rest;
    }
    let at = digits.length;
    // Division by a constant is fast only for small numbers.
    while (rest > 0x7fffffff) {
      const next = Math.floor(rest / 10);
      digits[--at] = ZERO + (rest - 10 * next);
      rest = next;
    }
    let small = rest | 0;
    do {
      const next = (small / 10) | 0;
      digits[--at] = ZERO + (small - 10 * next);
      small = next;
    } while (small > 0);
    for (; at < digits.length; at++) this.bytes[this.length++] = digits[at] ?? 0;
  }

  /** C's `%.<precision>g`; NaN and infinities as `words` has them. */
  float(value: number, precision: number, words: Words): void {
    if (Number.isInteger(value) && Math.abs(value) < 10_000_000 && !Object.is(value, -0))
      this.integer(value);
    else if (precision === SHORT && this.short(value)) return;
    else if (Number.isFinite(value)) this.ascii(formatG(value, precision));
    else this.ascii(Number.isNaN(value) ? words.nan : value > 0 ? words.positive : words.negative);
  }

  /**
   * A number of the usual sizes with eight significant digits, without a text in between; false, and
   * nothing is written, where rounding might go wrong.
   */
  private short(value: number): boolean {
    const size = Math.abs(value);
    if (!(size >= 0.001 && size < 1e7)) return false;
    let whole = 1;
    for (let limit = 10; size >= limit; limit *= 10) whole += 1;
    // Below 1 leading zeros are no significant digits.
    let decimals = SHORT - whole;
    if (size < 1) decimals = size >= 0.1 ? 8 : size >= 0.01 ? 9 : 10;
    const scaled = size * (POWERS[decimals] ?? 1);
    const down = Math.floor(scaled);
    const rest = scaled - down;
    if (Math.abs(rest - 0.5) < 1e-4) return false;
    let digitsLeft = rest > 0.5 ? down + 1 : down;
    // Rounded up to one digit more.
    if (digitsLeft >= 100_000_000) return false;
    while (decimals > 0 && digitsLeft % 10 === 0) {
      digitsLeft /= 10;
      decimals -= 1;
    }
    this.room(NUMBER_ROOM);
    if (value < 0) this.bytes[this.length++] = MINUS;
    let end = this.length + Math.max(whole, 1) + (decimals > 0 ? decimals + 1 : 0);
    const stop = end;
    for (let at = 0; at < decimals; at++) {
      const next = Math.floor(digitsLeft / 10);
      this.bytes[--end] = ZERO + (digitsLeft - 10 * next);
      digitsLeft = next;
    }
    if (decimals > 0) this.bytes[--end] = POINT;
    for (let at = 0; at < whole; at++) {
      const next = Math.floor(digitsLeft / 10);
      this.bytes[--end] = ZERO + (digitsLeft - 10 * next);
      digitsLeft = next;
    }
    this.length = stop;
    return true;
  }

  /** A JSON string of UTF-8 bytes. */
  quoted(bytes: Uint8Array): void {
    let clean = true;
    for (let at = 0; at < bytes.length && clean; at++) {
      const byte = bytes[at] ?? 0;
      clean = byte >= 0x20 && byte < 0x7f && byte !== QUOTE && byte !== BACKSLASH;
    }
    if (!clean) {
      this.text(jsonString(utf8Text(bytes)));
      return;
    }
    this.char(QUOTE);
    this.raw(bytes);
    this.char(QUOTE);
  }

  /** Writes once more what stands between two places. */
  again(from: number, to: number): void {
    this.room(to - from);
    this.bytes.copyWithin(this.length, from, to);
    this.length += to - from;
  }

  /** What was written; the buffer is not used again. */
  finish(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }

  /** A copy of what was written; the buffer is used again, for something else. */
  take(): Uint8Array {
    const copy = this.bytes.slice(0, this.length);
    this.length = 0;
    return copy;
  }
}

const BLOCK_SIZES: readonly number[] = [8, 8, 12, 12, 8, 12];

function writeBlockNumber(out: Out, view: DataView, at: number, type: PmType, words: Words): void {
  switch (type) {
    case PM_TYPE.I64:
    case PM_TYPE.U64: {
      const high = type === PM_TYPE.I64 ? view.getInt32(at) : view.getUint32(at);
      const low = view.getUint32(at + 4);
      if (high >= -0x100000 && high < 0x100000) out.integer(high * 0x100000000 + low);
      else out.ascii(String(type === PM_TYPE.I64 ? view.getBigInt64(at) : view.getBigUint64(at)));
      return;
    }
    case PM_TYPE.FLOAT:
      out.float(view.getFloat32(at), 8, words);
      return;
    case PM_TYPE.DOUBLE:
      out.float(view.getFloat64(at), 16, words);
      return;
    case PM_TYPE.I32:
      out.integer(view.getInt32(at));
      return;
    default:
      out.integer(view.getUint32(at));
  }
}

const scratch = new DataView(new ArrayBuffer(4));

/**
 * Writes value `i` of a set when it is a number, as text of spec webapi.md 3.2. False, and
 * nothing is written, when it is none.
 */
export function writeNumber(
  out: Out,
  set: ValueSetCursor,
  i: number,
  type: PmType,
  words: Words,
): boolean {
  if (set.valfmt === PM_VAL.INSITU) {
    if (type === PM_TYPE.I32) out.integer(set.word(i) | 0);
    else if (type === PM_TYPE.U32) out.integer(set.word(i));
    else if (type === PM_TYPE.FLOAT) {
      scratch.setUint32(0, set.word(i));
      out.float(scratch.getFloat32(0), 8, words);
    } else return false;
    return true;
  }
  const at = set.block(i);
  const head = set.view.getUint32(at);
  const blockType = head >>> 24;
  if (type > PM_TYPE.DOUBLE || type < 0 || (head & MAX_VLEN) !== BLOCK_SIZES[type]) return false;
  if (blockType !== type && blockType !== 0) return false;
  writeBlockNumber(out, set.view, at + 4, type, words);
  return true;
}

/** Writes value `i` of a set as JSON: a number, a string, or null (spec webapi.md 3.2). */
export function writeJsonValue(out: Out, set: ValueSetCursor, i: number, { type }: Desc): void {
  if (type <= PM_TYPE.DOUBLE && type >= 0) {
    if (!writeNumber(out, set, i, type, JSON_WORDS)) out.ascii("null");
    return;
  }
  if ((type !== PM_TYPE.STRING && type !== PM_TYPE.AGGREGATE) || set.valfmt === PM_VAL.INSITU) {
    out.ascii("null");
    return;
  }
  const at = set.block(i);
  const head = set.view.getUint32(at);
  if (head >>> 24 !== type && head >>> 24 !== 0) {
    out.ascii("null");
    return;
  }
  const end = at + (head & MAX_VLEN);
  let stop = end;
  if (type === PM_TYPE.STRING) {
    stop = at + 4;
    while (stop < end && set.bytes[stop] !== 0) stop++;
  }
  out.quoted(set.bytes.subarray(at + 4, stop));
}

/** Bytes of a text that is written again and again. */
export const encoded = (text: string): Uint8Array => utf8(text);
