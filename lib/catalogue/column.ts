// Values of one series as they are read from records, gathered into blocks of columns: numbers into typed
// arrays, texts as the bytes that a key server would have (spec series.md 2.6). Refuses blocks that break
// the rules of values, with the error of who reads them.
import { utf8, viewOf } from "../base/mod.ts";
import {
  blockBytes,
  blockLength,
  isNegativeNan,
  numberAt,
  PM_TYPE,
  PM_VAL,
  type ValueSet,
} from "../pcp/mod.ts";
import { type Column, numberText, textColumn } from "../series/mod.ts";

/** Values of one column, which grows. */
export interface ColumnBuilder {
  readonly count: number;
  /** Adds value `i` of a set. */
  add(set: ValueSet, i: number): void;
  /** What was added, as a column; the builder is empty then. */
  take(): Column;
}

const FIRST = 256;

/** PCP's number of a type, by the name that descriptors have. */
const TYPES: Readonly<Record<string, number>> = {
  "32": PM_TYPE.I32,
  u32: PM_TYPE.U32,
  "64": PM_TYPE.I64,
  u64: PM_TYPE.U64,
  float: PM_TYPE.FLOAT,
  double: PM_TYPE.DOUBLE,
};

function numbers(type: number): ColumnBuilder {
  let values = new Float64Array(FIRST);
  let count = 0;
  /** Values that are `-nan`, whose sign an array of numbers does not keep. */
  let negative = new Set<number>();
  const whole = type === PM_TYPE.I32 || type === PM_TYPE.U32;
  return {
    get count() {
      return count;
    },
    add(set, i) {
      if (count === values.length) {
        const larger = new Float64Array(2 * count);
        larger.set(values);
        values = larger;
      }
      const value = numberAt(set, i, type);
      if (Number.isNaN(value) && !whole && isNegativeNan(set, i)) negative.add(count);
      values[count++] = value;
    },
    take() {
      const taken = values.slice(0, count);
      count = 0;
      const form = whole ? "decimal" : "float";
      if (negative.size === 0) return { kind: "number", form, numbers: taken };
      const signed = negative;
      negative = new Set();
      return textColumn(
        Array.from(taken, (value, index) => (signed.has(index) ? "-nan" : numberText(value, form))),
      );
    },
  };
}

function longs(signed: boolean): ColumnBuilder {
  let bytes = new Uint8Array(8 * FIRST);
  let target = viewOf(bytes);
  let count = 0;
  return {
    get count() {
      return count;
    },
    add(set, i) {
      if (8 * count === bytes.length) {
        const larger = new Uint8Array(2 * bytes.length);
        larger.set(bytes);
        bytes = larger;
        target = viewOf(bytes);
      }
      if (set.valfmt === PM_VAL.INSITU) {
        const word = set.word(i);
        target.setBigInt64(8 * count, BigInt(signed ? word | 0 : word), true);
      } else {
        const from = set.block(i);
        // A short block is a number of 32 bits.
        const long = blockLength(set.bytes, from) >= 12;
        const low = long ? from + 8 : from + 4;
        const high = long ? set.view.getUint32(from + 4) : 0;
        target.setUint32(8 * count, set.view.getUint32(low), true);
        target.setUint32(8 * count + 4, high, true);
      }
      count++;
    },
    take() {
      const taken = bytes.slice(0, 8 * count);
      const values = signed ? new BigInt64Array(taken.buffer) : new BigUint64Array(taken.buffer);
      count = 0;
      return { kind: "long", numbers: values };
    },
  };
}

const isPlain = (byte: number): boolean =>
  byte >= 0x20 && byte < 0x7f && byte !== 0x22 && byte !== 0x5c;

const REPLACED = utf8("\\uFFFD");
const ESCAPED = Array.from({ length: 0x80 }, (_, byte) =>
  utf8(`\\u00${byte.toString(16).toUpperCase().padStart(2, "0")}`),
);
/** Most bytes that one byte becomes. */
const ESCAPE_BYTES = 6;

/** Writes bytes between quotes at `at`, where there is room; gives where they end. */
function quoted(payload: Uint8Array, out: Uint8Array, at: number): number {
  out[at++] = 0x22;
  for (const byte of payload) {
    if (isPlain(byte)) {
      out[at++] = byte;
      continue;
    }
    out.set(ESCAPED[byte] ?? REPLACED, at);
    at += ESCAPE_BYTES;
  }
  out[at++] = 0x22;
  return at;
}

const EVENT_TEXT = utf8("-21344");

function texts(type: string): ColumnBuilder {
  let bytes = new Uint8Array(16 * FIRST);
  let size = 0;
  let ends: number[] = [];
  const room = (wanted: number): void => {
    if (size + wanted <= bytes.length) return;
    const larger = new Uint8Array(Math.max(2 * bytes.length, size + wanted));
    larger.set(bytes.subarray(0, size));
    bytes = larger;
  };
  const isEvent = type.endsWith("event");
  return {
    get count() {
      return ends.length;
    },
    add(set, i) {
      if (isEvent || set.valfmt === PM_VAL.INSITU) {
        room(EVENT_TEXT.length);
        bytes.set(EVENT_TEXT, size);
        size += EVENT_TEXT.length;
      } else {
        const payload = blockBytes(set.bytes, set.block(i));
        const isEnded = type === "string" && payload.at(-1) === 0;
        const shown = isEnded ? payload.subarray(0, -1) : payload;
        room(ESCAPE_BYTES * shown.length + 2);
        size = quoted(shown, bytes, size);
      }
      ends.push(size);
    },
    take() {
      const taken: Column = {
        kind: "text",
        bytes: bytes.slice(0, size),
        ends: Uint32Array.from(ends),
      };
      size = 0;
      ends = [];
      return taken;
    },
  };
}

/** A column for values of a type, by its name in a descriptor in lower case. */
export function columnBuilder(type: string): ColumnBuilder {
  const number = TYPES[type];
  if (number === undefined) return texts(type);
  if (number === PM_TYPE.I64 || number === PM_TYPE.U64) return longs(number === PM_TYPE.I64);
  return numbers(number);
}
