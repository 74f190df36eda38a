// The JSON of REST requests about series, byte for byte as pmproxy writes it (spec series.md 12, webapi.md
// 16): one line that ends with CR LF. PCP quotes bytes outside ASCII as `\xHH`, which no JSON parser takes;
// callers choose between that and UTF-8. Where nothing was found there is no data: `[]` or `{}`.
import { utf8 } from "../base/mod.ts";
import { type Column, putNumber, textAt, VALUE_ROOM } from "./column.ts";
import type { SeriesBlock } from "./evaluate.ts";
import { putWhole } from "./numerals.ts";
import { timeOfValue } from "./samples.ts";
import type { SeriesDescriptor, SeriesInstance, SeriesLabel } from "./store.ts";

/** How texts are quoted: as PCP does, or as JSON in UTF-8. */
export type Quoting = "pcp" | "json";

const SHORT: Readonly<Record<number, string>> = {
  0x5c: "\\\\",
  0x22: '\\"',
  0x0a: "\\n",
  0x0d: "\\r",
  0x09: "\\t",
  0x08: "\\b",
};

/** What stands for a byte between quotes; undefined for the byte itself. */
function escapeOf(byte: number, quoting: Quoting): string | undefined {
  if (byte >= 0x20 && byte < 0x7f && byte !== 0x22 && byte !== 0x5c) return undefined;
  const short = SHORT[byte];
  if (short !== undefined) return short;
  const hex = byte.toString(16).padStart(2, "0");
  if (quoting === "pcp") return byte === 0x07 ? "\\a" : `\\x${hex}`;
  return byte >= 0x7f ? undefined : `\\u00${hex}`;
}

/** A text between quotes. */
export function quoted(text: string, quoting: Quoting): string {
  if (/^[ !#-[\]-~]*$/.test(text)) return `"${text}"`;
  if (quoting === "json")
    return `"${text.replace(/./gsu, (char) => (char < "\u007f" ? (escapeOf(char.charCodeAt(0), quoting) ?? char) : char))}"`;
  let out = "";
  for (const byte of utf8(text)) out += escapeOf(byte, quoting) ?? String.fromCharCode(byte);
  return `"${out}"`;
}

/** Bytes that stand for themselves however a text is quoted: 1. */
const SAFE = Uint8Array.from({ length: 256 }, (_, byte) =>
  escapeOf(byte, "pcp") === undefined ? 1 : 0,
);

const END = "\r\n";

/** The answer to a request that carries `client`, around a result. */
const wrapped = (client: string | undefined, result: string, quoting: Quoting): string =>
  client === undefined
    ? `${result}${END}`
    : `{"client":${quoted(client, quoting)},"result":${result}}${END}`;

/** An answer, and whether it has data: without any it is no `application/json`. */
export interface JsonAnswer {
  readonly body: string;
  readonly hasData: boolean;
}

/** How answers are written. */
export interface JsonForm {
  readonly quoting: Quoting;
  /** Parameter `client` of the request. */
  readonly client?: string | undefined;
}

const listOf = (items: readonly string[], { quoting, client }: JsonForm): JsonAnswer => ({
  body: wrapped(client, `[${items.join(",")}]`, quoting),
  hasData: items.length > 0,
});

/** Identifiers or names. */
export const namesJson = (names: readonly string[], form: JsonForm): JsonAnswer =>
  listOf(
    names.map((name) => quoted(name, form.quoting)),
    form,
  );

/** Descriptors; `series` and `descriptors` go together. */
export const descriptorsJson = (
  series: readonly string[],
  descriptors: readonly SeriesDescriptor[],
  form: JsonForm,
): JsonAnswer => {
  const text = (value: string | undefined): string => quoted(value ?? "", form.quoting);
  const items = series.map((id, at) => {
    const each = descriptors[at];
    return `{"series":${text(id)},"source":${text(each?.source)},"pmid":${text(each?.pmid)},"indom":${text(each?.indom)},"semantics":${text(each?.semantics)},"type":${text(each?.type)},"units":${text(each?.units)}}`;
  });
  return listOf(items, form);
};

/** Names of series (`key` series) or of sources (`key` source), one object a name. */
export const ownedNamesJson = (
  key: "series" | "source",
  ids: readonly string[],
  names: readonly (readonly string[])[],
  form: JsonForm,
): JsonAnswer =>
  listOf(
    ids.flatMap((id, at) =>
      (names[at] ?? []).map((name) => `{"${key}":"${id}","name":${quoted(name, form.quoting)}}`),
    ),
    form,
  );

/** Instances of series. */
export const instancesJson = (
  series: readonly string[],
  instances: readonly (readonly SeriesInstance[])[],
  form: JsonForm,
): JsonAnswer =>
  listOf(
    series.flatMap((id, at) =>
      (instances[at] ?? []).map(
        (each) =>
          `{"series":"${id}","source":"${each.source}","instance":"${each.id}","id":${each.inst},"name":${quoted(each.name, form.quoting)}}`,
      ),
    ),
    form,
  );

/** Labels of series or instances; those without any are left out. Names and values are as recorded. */
export const labelsJson = (
  series: readonly string[],
  labels: readonly (readonly SeriesLabel[])[],
  form: JsonForm,
): JsonAnswer =>
  listOf(
    series.flatMap((id, at) => {
      const own = labels[at] ?? [];
      if (own.length === 0) return [];
      const members = own.map(({ name, value }) => `"${name}":${value}`).join(",");
      return [`{"series":"${id}","labels":{${members}}}`];
    }),
    form,
  );

/** Values of label names; names without any are left out. */
export function labelValuesJson(
  names: readonly string[],
  values: readonly (readonly string[])[],
  { quoting, client }: JsonForm,
): JsonAnswer {
  const items = names.flatMap((name, at) => {
    const own = values[at] ?? [];
    return own.length === 0 ? [] : [`"${name}":[${own.join(",")}]`];
  });
  const body = wrapped(client, `{${items.join(",")}}`, quoting);
  return { body, hasData: items.length > 0 };
}

/** A failure with its message. */
export const problemJson = (message: string, { quoting, client }: JsonForm): string => {
  const head = client === undefined ? "" : `"client":${quoted(client, quoting)},`;
  return `{${head}"message":${quoted(message, quoting)},"success":false}${END}`;
};

/** Success, or a failure that has no message. */
export const successJson = (success: boolean, { quoting, client }: JsonForm): string => {
  const head = client === undefined ? "" : `"client":${quoted(client, quoting)},`;
  return `{${head}"success":${success}}${END}`;
};

/** Bytes of a piece; a piece is given away when it is about full. */
const PIECE = 64 * 1024;

/** Room at first: most answers are short, and a large buffer for each costs more than its answer. */
const ROOM = 2048;

const MILLION = 1e6;
const TEN_MILLIONS = 1e7;

/** Writes a number of 13 digits, given as its first 7 and its last 6; gives the place behind it. */
function putSplit(bytes: Uint8Array, at: number, high: number, low: number): number {
  // Whole numbers of 32 bits are divided quickly.
  let rest = high | 0;
  for (let place = at + 6; place >= at; place--) {
    const next = (rest / 10) | 0;
    bytes[place] = 0x30 + rest - next * 10;
    rest = next;
  }
  rest = low | 0;
  for (let place = at + 12; place >= at + 7; place--) {
    const next = (rest / 10) | 0;
    bytes[place] = 0x30 + rest - next * 10;
    rest = next;
  }
  return at + 13;
}

/** Room for a time: two numbers of at most 15 digits, their signs, and the point. */
const STAMP_ROOM = 40;
const POINT = 0x2e;

const VALUE = utf8(',"value":"');
const CLOSE = utf8('"}');

/** Bytes that grow. */
class Bytes {
  private bytes = new Uint8Array(ROOM);
  length = 0;
  /** The time that was written last, and how. */
  private time = Number.NaN;
  private readonly stamp = new Uint8Array(STAMP_ROOM + VALUE.length);
  private stampLength = 0;

  private room(more: number): void {
    if (this.length + more <= this.bytes.length) return;
    const larger = new Uint8Array(Math.max(this.bytes.length * 2, this.length + more));
    larger.set(this.bytes.subarray(0, this.length));
    this.bytes = larger;
  }

  /** ASCII only. */
  ascii(text: string): void {
    this.room(text.length);
    for (let at = 0; at < text.length; at++) this.bytes[this.length++] = text.charCodeAt(at);
  }

  copy(bytes: Uint8Array): void {
    this.room(bytes.length);
    this.bytes.set(bytes, this.length);
    this.length += bytes.length;
  }

  /** Bytes of a text, quoted where they must be. */
  text(bytes: Uint8Array, from: number, to: number, quoting: Quoting): void {
    this.room(to - from);
    for (let at = from; at < to; at++) {
      const byte = bytes[at] ?? 0;
      const escape = SAFE[byte] === 1 ? undefined : escapeOf(byte, quoting);
      if (escape === undefined) this.bytes[this.length++] = byte;
      else {
        this.ascii(escape);
        this.room(to - at);
      }
    }
  }

  /** A value as text. */
  value(column: Column, index: number, quoting: Quoting): void {
    if (column.kind === "text") {
      const from = index === 0 ? 0 : (column.ends[index - 1] ?? 0);
      this.text(column.bytes, from, column.ends[index] ?? 0, quoting);
      return;
    }
    this.room(VALUE_ROOM);
    const end = putNumber(column, index, this.bytes, this.length);
    if (end < 0) this.ascii(textAt(column, index));
    else this.length = end;
  }

  /** What stands before a value: its head, its time as stampText tells it, the name of the member. */
  open(head: Uint8Array, time: number): void {
    this.room(head.length + STAMP_ROOM + VALUE.length);
    const { bytes } = this;
    bytes.set(head, this.length);
    let at = this.length + head.length;
    if (time === this.time) {
      bytes.set(this.stamp.subarray(0, this.stampLength), at);
      this.length = at + this.stampLength;
      return;
    }
    const from = at;
    const milliseconds = Math.floor(time / 1000);
    const high = Math.floor(milliseconds / MILLION);
    at =
      high < MILLION || high >= TEN_MILLIONS
        ? putWhole(bytes, at, milliseconds)
        : putSplit(bytes, at, high, milliseconds - high * MILLION);
    bytes[at] = POINT;
    at = putWhole(bytes, at + 1, time - milliseconds * 1000);
    for (let index = 0; index < VALUE.length; index++) bytes[at++] = VALUE[index] ?? 0;
    this.time = time;
    this.stampLength = at - from;
    this.stamp.set(bytes.subarray(from, at));
    this.length = at;
  }

  take(): Uint8Array {
    const taken = this.bytes.slice(0, this.length);
    this.length = 0;
    return taken;
  }
}

/** Values as an array, in pieces; no piece at all where there are no values. */
export async function* valuesJson(
  blocks: AsyncIterable<SeriesBlock>,
  { quoting, client }: JsonForm,
): AsyncGenerator<Uint8Array> {
  const out = new Bytes();
  let any = false;
  const opening = utf8(
    client === undefined ? "[" : `{"client":${quoted(client, quoting)},"result":[`,
  );
  for await (const block of blocks) {
    const { series, instances, places, times, ends, values } = block;
    /** What stands before the time, for each instance. */
    const heads = new Map<number, Uint8Array>();
    const headOf = (of: number): Uint8Array => {
      const known = heads.get(of);
      if (known !== undefined) return known;
      const instance = instances[of] ?? "";
      const own = instance === series ? "" : `"instance":"${instance}",`;
      const made = utf8(`,{"series":"${series}",${own}"timestamp":`);
      heads.set(of, made);
      return made;
    };
    let place = -1;
    let head = CLOSE;
    let index = 0;
    for (let sample = 0; sample < times.length; sample++)
      for (const end = ends[sample] ?? 0; index < end; index++) {
        const own = places[index] ?? 0;
        if (own !== place) {
          place = own;
          head = headOf(place);
        }
        if (!any) out.copy(opening);
        // The first value has no comma before it.
        out.open(any ? head : head.subarray(1), timeOfValue(block, sample, index));
        any = true;
        out.value(values, index, quoting);
        out.copy(CLOSE);
        if (out.length >= PIECE) yield out.take();
      }
  }
  if (!any) return;
  out.ascii(client === undefined ? `]${END}` : `]}${END}`);
  yield out.take();
}
