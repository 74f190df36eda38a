// Values as JSON, byte for byte as pmproxy writes them (spec series.md 12, webapi.md 16), in pieces: bytes
// are written right where they are given away from, and nothing is made for a value. Refuses nothing.
import { utf8 } from "../base/mod.ts";
import { type Column, putNumber, textAt, VALUE_ROOM } from "./column.ts";
import type { SeriesBlock } from "./evaluate.ts";
import { putWhole } from "./numerals.ts";
import { END, escapeOf, type JsonForm, quoted, type Quoting } from "./rest-json.ts";

/** Bytes of a piece; a piece is given away when it is about full. */
const PIECE = 64 * 1024;
/** Room behind that, so that a value rarely needs more. */
const SPARE = 1024;
/** Room at first, doubled to that: most answers are short, and much room costs more than they do. */
const ROOM = (PIECE + SPARE) / 32;

/** Room for a time: two numbers of at most 15 digits, their signs, and the point. */
const STAMP_ROOM = 40;
const POINT = 0x2e;
const ZERO = 0x30;
const QUOTE = 0x22;
const BRACE = 0x7d;
const VALUE = utf8(',"value":"');
/** Room for all of a value but its head and its text. */
const AROUND = STAMP_ROOM + VALUE.length + VALUE_ROOM + 2;

/** Bytes that stand for themselves however a text is quoted: 1. */
const SAFE = Uint8Array.from({ length: 256 }, (_, byte) =>
  escapeOf(byte, "pcp") === undefined ? 1 : 0,
);

const MILLION = 1e6;
const TEN_MILLIONS = 1e7;

/** Writes so many digits of a whole number of 32 bits, which is divided quickly. */
function putShort(bytes: Uint8Array, at: number, value: number, count: number): void {
  let rest = value | 0;
  for (let place = at + count - 1; place >= at; place--) {
    const next = (rest / 10) | 0;
    bytes[place] = ZERO + rest - next * 10;
    rest = next;
  }
}

/** Writes a time in ms with the microseconds behind the point; gives the place behind it. */
function putTime(bytes: Uint8Array, from: number, time: number): number {
  const milliseconds = Math.floor(time / 1000);
  const high = Math.floor(milliseconds / MILLION);
  let at = from;
  if (high < MILLION || high >= TEN_MILLIONS) at = putWhole(bytes, at, milliseconds);
  else {
    putShort(bytes, at, high, 7);
    putShort(bytes, at + 7, milliseconds - high * MILLION, 6);
    at += 13;
  }
  bytes[at++] = POINT;
  const rest = time - milliseconds * 1000;
  if (rest !== 0) return putWhole(bytes, at, rest);
  bytes[at] = ZERO;
  return at + 1;
}

/** Values that are written one behind the other. */
class Writer {
  private bytes = Buffer.allocUnsafeSlow(ROOM);
  length = 0;
  /** The time that was written last, and where it stands with the name of the member behind it. */
  private time = Number.NaN;
  private stampFrom = 0;
  private stampEnd = 0;

  constructor(private readonly quoting: Quoting) {}

  private room(more: number): void {
    const { bytes } = this;
    if (this.length + more <= bytes.length) return;
    this.bytes = Buffer.allocUnsafeSlow(Math.max(2 * bytes.length, this.length + more));
    this.bytes.set(bytes.subarray(0, this.length));
  }

  copy(bytes: Uint8Array): void {
    this.room(bytes.length);
    this.bytes.set(bytes, this.length);
    this.length += bytes.length;
  }

  /** ASCII only. */
  ascii(text: string): void {
    this.room(text.length);
    for (let at = 0; at < text.length; at++) this.bytes[this.length++] = text.charCodeAt(at);
  }

  /** Bytes of a text of which some are quoted. */
  private quoted(text: Uint8Array, from: number, to: number): void {
    this.room(to - from);
    for (let at = from; at < to; at++) {
      const byte = text[at] ?? 0;
      const escape = SAFE[byte] === 1 ? undefined : escapeOf(byte, this.quoting);
      if (escape === undefined) this.bytes[this.length++] = byte;
      else {
        this.ascii(escape);
        this.room(to - at);
      }
    }
  }

  /** A value with what stands before its time, from its byte `from` on. */
  add(head: Uint8Array, from: number, time: number, column: Column, index: number): void {
    const isText = column.kind === "text";
    const textFrom = isText && index > 0 ? (column.ends[index - 1] ?? 0) : 0;
    const textTo = isText ? (column.ends[index] ?? 0) : 0;
    this.room(head.length + AROUND + textTo - textFrom);
    const { bytes } = this;
    let at = this.length;
    bytes.set(from === 0 ? head : head.subarray(from), at);
    at += head.length - from;
    if (time === this.time) {
      bytes.copyWithin(at, this.stampFrom, this.stampEnd);
      at += this.stampEnd - this.stampFrom;
    } else {
      this.time = time;
      this.stampFrom = at;
      at = putTime(bytes, at, time);
      for (let each = 0; each < VALUE.length; each++) bytes[at++] = VALUE[each] ?? 0;
      this.stampEnd = at;
    }
    if (isText) {
      const text = column.bytes;
      const start = at;
      let each = textFrom;
      for (; each < textTo && SAFE[text[each] ?? 0] === 1; each++) bytes[at++] = text[each] ?? 0;
      if (each < textTo) {
        this.length = start;
        this.quoted(text, textFrom, textTo);
        this.close();
        return;
      }
    } else {
      const end = putNumber(column, index, bytes, at);
      if (end < 0) {
        this.length = at;
        this.ascii(textAt(column, index));
        this.close();
        return;
      }
      at = end;
    }
    bytes[at] = QUOTE;
    bytes[at + 1] = BRACE;
    this.length = at + 2;
  }

  private close(): void {
    this.room(2);
    this.bytes[this.length++] = QUOTE;
    this.bytes[this.length++] = BRACE;
  }

  /** Gives away what is there; `more` is to come behind it. */
  take(more: boolean): Uint8Array {
    const taken = this.bytes.subarray(0, this.length);
    if (more) this.bytes = Buffer.allocUnsafeSlow(PIECE + SPARE);
    this.length = 0;
    this.time = Number.NaN;
    return taken;
  }
}

/** Values as an array, in pieces; no piece at all where there are no values. */
export async function* valuesJson(
  blocks: AsyncIterable<SeriesBlock>,
  { quoting, client }: JsonForm,
): AsyncGenerator<Uint8Array> {
  const out = new Writer(quoting);
  let any = false;
  const opening = client === undefined ? "[" : `{"client":${quoted(client, quoting)},"result":[`;
  for await (const block of blocks) {
    const { series, instances, places, times, ends, values, valueTimes } = block;
    /** What stands before the time, for each instance. */
    const heads: Uint8Array[] = [];
    const headOf = (of: number): Uint8Array => {
      const instance = instances[of] ?? "";
      const own = instance === series ? "" : `"instance":"${instance}",`;
      return (heads[of] ??= utf8(`,{"series":"${series}",${own}"timestamp":`));
    };
    let index = 0;
    for (let sample = 0; sample < times.length; sample++)
      for (const end = ends[sample] ?? 0; index < end; index++) {
        const place = places[index] ?? 0;
        const head = heads[place] ?? headOf(place);
        const time = (valueTimes === undefined ? times[sample] : valueTimes[index]) ?? 0;
        if (!any) out.copy(utf8(opening));
        // The first value has no comma before it.
        out.add(head, any ? 0 : 1, time, values, index);
        any = true;
        if (out.length >= PIECE) yield out.take(true);
      }
  }
  if (!any) return;
  out.ascii(client === undefined ? `]${END}` : `]}${END}`);
  yield out.take(false);
}
