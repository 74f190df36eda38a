// Values of a load, written as the bytes of XADD right where they are sent from (spec series.md 2.5, 2.6,
// 4.3 E): what stays the same of a stream's commands is prepared once, numbers are written digit by digit,
// and nothing is made for a value but for odd ones. Refused: damaged values, with the error of who reads
// them; then nothing of the entry is sent.
import {
  blockLength,
  type InstanceId,
  PM_INDOM_NULL,
  PM_TYPE,
  PM_VAL,
  type ValueSet,
} from "../pcp/mod.ts";
import { putE, putWhole } from "../series/mod.ts";
import type { LoadedMetric } from "./load-metadata.ts";
import type { LoadWriter } from "./load-writer.ts";
import { type CommandBuffer, digitsOf } from "./resp.ts";
import { ERROR_FIELD, ID_BYTES, valueText } from "./schema.ts";
import { slotOf } from "./slot.ts";

/** How values are kept. */
export interface StreamOptions {
  /** Entries that a stream keeps, about. */
  readonly length: number;
  /** Seconds that a stream lives without new entries. */
  readonly seconds: number;
}

/** Parts of XADD before the fields: name, key, MAXLEN, ~, length, entry. */
const HEAD_PARTS = 6;
/** `$20`, the identifier, two ends of line. */
const FIELD_BYTES = ID_BYTES + 7;
/** Room for the text of a number with its head. */
const NUMBER_ROOM = 48;
/** Bytes of a block with 64 bits, its head included. */
const LONG_BLOCK = 12;
const HIGH_WORD = 0x1_0000_0000;
/** High words of numbers that putWhole writes exactly. */
const EXACT_HIGH = 0x3_8000;
const DOLLAR = 0x24;
const ZERO = 0x30;
const CR = 0x0d;
const LF = 0x0a;

const bulk = (text: string): string => `$${Buffer.byteLength(text)}\r\n${text}\r\n`;
/** Name and text of the field of an entry none of whose instances has a name. */
const NOBODY = "0";
const EMPTY_FIELD = Buffer.from(bulk(""));

/** A stream as commands name it. */
interface Stream {
  readonly key: string;
  readonly slot: number;
  /** All parts before the entry. */
  readonly head: Buffer;
}

/** A metric as its values are written. */
interface Prepared {
  readonly metric: LoadedMetric;
  readonly streams: readonly Stream[];
  /** Instances by their place, and their identifiers as parts of a command, one behind the other. */
  order: Int32Array;
  fields: Buffer;
  known: number;
  renamed: number;
}

const float = new DataView(new ArrayBuffer(4));

/** Writes the head of a text of less than 100 bytes that stands 5 bytes behind, or 4 if it is short. */
function putHead(bytes: Buffer, at: number, size: number): number {
  bytes[at++] = DOLLAR;
  if (size > 9) {
    const tens = Math.floor(size / 10);
    bytes[at++] = ZERO + tens;
    bytes[at++] = ZERO + size - 10 * tens;
  } else bytes[at++] = ZERO + size;
  bytes[at++] = CR;
  bytes[at++] = LF;
  return at;
}

function putLine(buffer: CommandBuffer, at: number): void {
  buffer.bytes[at] = CR;
  buffer.bytes[at + 1] = LF;
  buffer.length = at + 2;
}

/** A whole number of at most 15 digits. */
function putInteger(buffer: CommandBuffer, value: number): void {
  buffer.room(NUMBER_ROOM);
  const size = value < 0 ? digitsOf(-value) + 1 : digitsOf(value);
  const at = putHead(buffer.bytes, buffer.length, size);
  putLine(buffer, putWhole(buffer.bytes, at, value));
}

function putText(buffer: CommandBuffer, text: string): void {
  const size = Buffer.byteLength(text);
  buffer.room(size + NUMBER_ROOM);
  buffer.head(DOLLAR, size);
  putLine(buffer, buffer.length + buffer.bytes.write(text, buffer.length));
}

/** `%e`: 12 to 14 characters, but for what is no number. */
function putFloat(buffer: CommandBuffer, value: number): boolean {
  if (!Number.isFinite(value)) return false;
  buffer.room(NUMBER_ROOM);
  const from = buffer.length;
  const end = putE(buffer.bytes, from + 5, value);
  putHead(buffer.bytes, from, end - from - 5);
  putLine(buffer, end);
  return true;
}

/** Value `i` of a set; false for one that has to be told as text. */
function putNumber(buffer: CommandBuffer, set: ValueSet, i: number, type: number): boolean {
  if (set.valfmt === PM_VAL.INSITU) {
    const word = set.word(i);
    if (type === PM_TYPE.U32) putInteger(buffer, word);
    else if (type === PM_TYPE.I32) putInteger(buffer, word | 0);
    else if (type === PM_TYPE.FLOAT) {
      float.setUint32(0, word);
      return putFloat(buffer, float.getFloat32(0));
    } else return false;
    return true;
  }
  if (type !== PM_TYPE.U64 && type !== PM_TYPE.I64 && type !== PM_TYPE.DOUBLE) return false;
  const { view } = set;
  const at = set.block(i);
  if (blockLength(set.bytes, at) !== LONG_BLOCK) return false;
  if (type === PM_TYPE.DOUBLE) return putFloat(buffer, view.getFloat64(at + 4));
  const high = type === PM_TYPE.I64 ? view.getInt32(at + 4) : view.getUint32(at + 4);
  if (high < -EXACT_HIGH || high >= EXACT_HIGH) return false;
  putInteger(buffer, high * HIGH_WORD + view.getUint32(at + 8));
  return true;
}

function putBytes(buffer: CommandBuffer, bytes: Buffer): void {
  buffer.room(bytes.length);
  buffer.bytes.set(bytes, buffer.length);
  buffer.length += bytes.length;
}

/** Copies instances' identifiers that came since into one table. */
function prepareInstances(prepared: Prepared): void {
  const { instances, slots, renamed } = prepared.metric;
  const count = instances.length;
  if (count === prepared.known && renamed === prepared.renamed) return;
  prepared.known = count;
  prepared.renamed = renamed;
  prepared.order = Int32Array.from(slots.keys());
  prepared.fields = Buffer.from(
    instances.map((id) => `$20\r\n${id.toString("latin1")}\r\n`).join(""),
    "latin1",
  );
}

/** Writes values, and keeps the streams alive that have some. */
export function valueWriter(writer: LoadWriter, { length, seconds }: StreamOptions) {
  const prepared = new Map<LoadedMetric, Prepared>();
  const alive = new Set<string>();
  let refreshed = performance.now();
  let values = 0;
  let entryText = "";
  let entryBytes = EMPTY_FIELD;
  /** Which values are written, in the order of their instances' places. */
  let chosen = new Int32Array(64);
  let places = new Int32Array(64);

  const expire = (key: string): void => writer.add(["EXPIRE", key, String(seconds)]);
  const prepare = (metric: LoadedMetric): Prepared => {
    const made: Prepared = {
      metric,
      streams: metric.streams.map((key) => ({
        key,
        slot: slotOf(key),
        head: Buffer.from(["XADD", key, "MAXLEN", "~", String(length)].map(bulk).join("")),
      })),
      order: new Int32Array(0),
      fields: Buffer.alloc(0),
      known: 0,
      renamed: 0,
    };
    prepared.set(metric, made);
    return made;
  };

  /** Finds the values whose instances are known, in the order of their places; how many there are. */
  const choose = ({ metric, order }: Prepared, set: ValueSet): number => {
    if (set.numval > chosen.length) {
      chosen = new Int32Array(2 * set.numval);
      places = new Int32Array(2 * set.numval);
    }
    let count = 0;
    let last = -1;
    let sorted = true;
    for (let i = 0; i < set.numval; i++) {
      const inst = set.instance(i);
      const place =
        order[last + 1] === inst ? last + 1 : (metric.slots.get(inst as InstanceId) ?? -1);
      if (place < 0) continue;
      sorted &&= place > last;
      last = place;
      chosen[count] = i;
      places[count++] = place;
    }
    if (sorted) return count;
    const rows = Array.from({ length: count }, (_, at) => [places[at] ?? 0, chosen[at] ?? 0]);
    rows.sort(([a = 0], [b = 0]) => a - b);
    rows.forEach(([place = 0, i = 0], at) => {
      places[at] = place;
      chosen[at] = i;
    });
    return count;
  };

  const putValue = (
    buffer: CommandBuffer,
    set: ValueSet,
    i: number,
    metric: LoadedMetric,
  ): void => {
    const { type } = metric.desc;
    if (!putNumber(buffer, set, i, type)) putText(buffer, valueText(set, i, type));
  };

  /** Writes the fields of an entry. */
  const putFields = (
    buffer: CommandBuffer,
    { metric, fields }: Prepared,
    set: ValueSet,
    count: number,
  ): void => {
    if (set.numval < 0) {
      putText(buffer, ERROR_FIELD);
      putText(buffer, String(set.numval));
      return;
    }
    if (metric.desc.indom === PM_INDOM_NULL) {
      putBytes(buffer, EMPTY_FIELD);
      putValue(buffer, set, 0, metric);
      return;
    }
    if (count === 0) {
      // As PCP says that there are values, but of nobody.
      putText(buffer, NOBODY);
      putText(buffer, NOBODY);
    }
    for (let at = 0; at < count; at++) {
      buffer.room(FIELD_BYTES);
      const { bytes } = buffer;
      let to = buffer.length;
      const from = FIELD_BYTES * (places[at] ?? 0);
      for (let index = from; index < from + FIELD_BYTES; index++) bytes[to++] = fields[index] ?? 0;
      buffer.length = to;
      putValue(buffer, set, chosen[at] ?? 0, metric);
    }
  };

  return {
    /** Whether all instances of a set have been met; false where it is not clear at once. */
    knows(metric: LoadedMetric, set: ValueSet): boolean {
      const { order } = prepared.get(metric) ?? prepare(metric);
      let place = 0;
      for (let i = 0; i < set.numval; i++) {
        const inst = set.instance(i);
        // Those between are absent from this record.
        while (place < order.length && order[place] !== inst) place++;
        if (place++ >= order.length) return false;
      }
      return true;
    },
    /** How many values were written. */
    get values() {
      return values;
    },
    /** Writes one set of values of a metric, whose instances have been met; `entry` from entryOfTime. */
    add(metric: LoadedMetric, entry: string, set: ValueSet): void {
      const own = prepared.get(metric) ?? prepare(metric);
      const plain = set.numval < 0 || metric.desc.indom === PM_INDOM_NULL;
      if (!plain) prepareInstances(own);
      const count = plain ? 1 : choose(own, set);
      if (entry !== entryText) {
        entryText = entry;
        entryBytes = Buffer.from(bulk(entry));
      }
      const { buffer } = writer;
      const before = buffer.length;
      let fieldsAt = -1;
      let fieldsEnd = 0;
      try {
        for (const { slot, head } of own.streams) {
          buffer.begin(HEAD_PARTS + 2 * Math.max(1, count));
          putBytes(buffer, head);
          putBytes(buffer, entryBytes);
          if (fieldsAt < 0) {
            fieldsAt = buffer.length;
            putFields(buffer, own, set, count);
            fieldsEnd = buffer.length;
          } else {
            buffer.room(fieldsEnd - fieldsAt);
            buffer.bytes.copyWithin(buffer.length, fieldsAt, fieldsEnd);
            buffer.length += fieldsEnd - fieldsAt;
          }
          buffer.end(slot);
          values += count;
        }
      } catch (error) {
        // Only the first of the streams reads values.
        buffer.length = before;
        throw error;
      }
      for (const { key } of own.streams) {
        if (alive.has(key)) continue;
        alive.add(key);
        expire(key);
      }
    },
    /** Before a quarter of their time is over, and at the end, so that it begins with the load's end. */
    refresh(end: boolean): void {
      if (!end && performance.now() - refreshed < seconds * 250) return;
      refreshed = performance.now();
      for (const stream of alive) expire(stream);
    },
  };
}
