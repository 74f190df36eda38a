// PCP's schema of time series on a key server, as texts and bytes (spec series.md 2): names of keys, fields,
// identifiers of stream entries, texts of values. Pure; what has a form that the schema does not know
// reads as nothing.
import {
  blockBytes,
  blockLength,
  type Desc,
  extractBlock,
  extractInsitu,
  formatE,
  isNegativeNan,
  PM_INDOM_NULL,
  PM_TYPE,
  PM_VAL,
  pmIDStr,
  pmInDomStr,
  pmSemStr,
  pmTypeStr,
  pmUnitsStr,
  type PmType,
  type Timestamp,
  type ValueSet,
} from "../pcp/mod.ts";
import {
  type NameList,
  type NameMap,
  type SeriesDescriptor,
  type SeriesId,
  stringId,
} from "../series/mod.ts";
import type { KeyReply } from "./resp.ts";

/** Bytes of an identifier. */
export const ID_BYTES = 20;

/** 40 digits as the 20 bytes that are a member, a field or a value. Other texts give other lengths. */
export const idBytes = (id: string): Buffer => Buffer.from(id, "hex");

/** 20 bytes as 40 digits; undefined for anything else. */
export const idOfReply = (reply: KeyReply | undefined): SeriesId | undefined =>
  Buffer.isBuffer(reply) && reply.length === ID_BYTES
    ? (reply.toString("hex") as SeriesId)
    : undefined;

/** A text that was kept; undefined where there is none. */
export const textOfReply = (reply: KeyReply | undefined): string | undefined =>
  Buffer.isBuffer(reply) ? reply.toString() : undefined;

/** The parts of an answer that has parts; none of any other. */
export const partsOfReply = (reply: KeyReply | undefined): readonly KeyReply[] =>
  Array.isArray(reply) ? reply : [];

/** `metric.name`, `label.N.value`, …: the middle of the names of maps and of sets. */
export type MapName = string & { readonly [mapBrand]: true };
declare const mapBrand: unique symbol;

const LISTS: Readonly<Record<NameList, string>> = {
  metric: "metric.name",
  instance: "inst.name",
  label: "label.name",
  context: "context.name",
};

/** The map of all names of a kind. */
export const listName = (list: NameList): MapName => LISTS[list] as MapName;

/** The map of the values of a label, by the string identifier of its name. */
export const labelMapName = (label: string): MapName => `label.${label}.value` as MapName;

/** The map that names are looked up in. */
export const mapName = (map: NameMap): MapName =>
  map.kind === "label" ? labelMapName(stringId(map.label)) : listName(map.kind);

/** The schema's version, 2 (2.1). */
export const SCHEMA_KEY = "pcp:version:schema";

/** Names of keys (2.1). Identifiers are 40 digits. */
export const KEYS = {
  /** hash: identifier → name. */
  map: (name: MapName) => `pcp:map:${name}`,
  /** channel on which new entries of a map are told (2.7). */
  channel: (name: MapName) => `pcp:channel:${name}`,
  /** set: metric series that have the name of a map. */
  seriesOf: (name: MapName, id: string) => `pcp:series:${name}:${id}`,
  /** set: sources of a context name. */
  sourcesOf: (context: string) => `pcp:source:context.name:${context}`,
  /** set: context names of a source. */
  contextsOf: (source: string) => `pcp:context.name:source:${source}`,
  /** geo: where sources are. */
  location: "pcp:source:location",
  /** set: names of a metric series. */
  metricNames: (series: string) => `pcp:metric.name:series:${series}`,
  /** hash: descriptor. */
  descriptor: (series: string) => `pcp:desc:series:${series}`,
  /** set: instances of a metric series. */
  instances: (series: string) => `pcp:instances:series:${series}`,
  /** hash: an instance. */
  instance: (id: string) => `pcp:inst:series:${id}`,
  /** hash: label name → label value. */
  labels: (id: string) => `pcp:labelvalue:series:${id}`,
  /** hash: label name → flags other than 1. */
  labelFlags: (id: string) => `pcp:labelflags:series:${id}`,
  /** stream: values. */
  values: (series: string) => `pcp:values:series:${series}`,
  /** hash: expression of a fabricated series. */
  expression: (series: string) => `pcp:expr:series:${series}`,
} as const;

/** Fields of a descriptor in the order in which they are asked for. */
export const DESCRIPTOR_FIELDS = [
  "indom",
  "pmid",
  "semantics",
  "source",
  "type",
  "units",
] as const satisfies readonly (keyof SeriesDescriptor)[];

/** The fields of a descriptor with their values, as a command takes them. */
export const descriptorPairs = (descriptor: SeriesDescriptor): (string | Buffer)[] =>
  DESCRIPTOR_FIELDS.flatMap((field): (string | Buffer)[] => [
    field,
    field === "source" ? idBytes(descriptor.source) : descriptor[field],
  ]);

/** The descriptor of an answer to DESCRIPTOR_FIELDS; undefined where there is none. */
export function descriptorOfReply(reply: KeyReply | undefined): SeriesDescriptor | undefined {
  const [indom, pmid, semantics, source, type, units] = partsOfReply(reply);
  const domain = textOfReply(indom);
  if (domain === undefined) return undefined;
  return {
    indom: domain,
    pmid: textOfReply(pmid) ?? "",
    semantics: textOfReply(semantics) ?? "",
    source: idOfReply(source) ?? "",
    type: textOfReply(type) ?? "",
    units: textOfReply(units) ?? "",
  };
}

const typeText = (type: PmType): string =>
  type === PM_TYPE.NOSUPPORT ? "unsupported" : pmTypeStr(type).toLowerCase();

/** A descriptor as it is kept (2.3). */
export const descriptorOf = (
  { pmid, indom, sem, type, units }: Desc,
  source: string,
): SeriesDescriptor => ({
  indom: indom === PM_INDOM_NULL ? "none" : pmInDomStr(indom),
  pmid: pmIDStr(pmid),
  semantics: pmSemStr(sem),
  source,
  type: typeText(type),
  units: pmUnitsStr(units) || "none",
});

/** The identifier of a stream's entry (2.5): `ms-us`, the latter not padded; below is cut off. */
export function entryOfTime({ sec, nsec }: Timestamp): string {
  const ms = Math.floor(nsec / 1_000_000);
  return `${sec * 1000 + ms}-${Math.floor(nsec / 1000) - ms * 1000}`;
}

/** The same of microseconds since 1970; `+` behind all entries. */
export function entryOfMicroseconds(time: number): string {
  if (time === Infinity) return "+";
  if (time <= 0) return "0-0";
  const ms = Math.floor(time / 1000);
  return `${ms}-${time - ms * 1000}`;
}

/** The largest second part of an entry. */
const LAST_PART = 0xffff_ffff_ffff_ffffn;
const DASH = 0x2d;
const ZERO = 0x30;

/** Digits of today's ms, the first of them, and bytes of an entry whose second part is short. */
const MS_DIGITS = 13;
const HIGH_DIGITS = 7;
const SHORT_ENTRY = MS_DIGITS + 1 + 7;

/** A number of at most seven digits; -1 for what is none. */
function wholeDigits(bytes: Uint8Array, from: number, to: number): number {
  let value = 0;
  for (let at = from; at < to; at++) {
    const digit = (bytes[at] ?? 0) - ZERO;
    if (digit < 0 || digit > 9) return -1;
    value = (value * 10 + digit) | 0;
  }
  return value;
}

/**
 * Microseconds since 1970 of an entry's identifier, or of a part of bytes that is one; NaN for what is
 * none, or is beyond exact numbers.
 */
export function microsecondsOfEntry(entry: Uint8Array, from = 0, to = entry.length): number {
  // Today's times have 13 digits of ms; seven and six of them are whole numbers of 32 bits.
  if (entry[from + MS_DIGITS] === DASH && to > from + MS_DIGITS + 1 && to <= from + SHORT_ENTRY) {
    const high = wholeDigits(entry, from, from + HIGH_DIGITS);
    const low = wholeDigits(entry, from + HIGH_DIGITS, from + MS_DIGITS);
    const rest = wholeDigits(entry, from + MS_DIGITS + 1, to);
    if (high < 0 || low < 0 || rest < 0) return Number.NaN;
    const time = (high * 1e6 + low) * 1000 + rest;
    return Number.isSafeInteger(time) ? time : Number.NaN;
  }
  let ms = 0;
  let us = 0;
  let dash = -1;
  for (let at = from; at < to; at++) {
    const digit = (entry[at] ?? 0) - ZERO;
    if (digit >= 0 && digit <= 9) {
      if (dash < 0) ms = ms * 10 + digit;
      else us = us * 10 + digit;
    } else if (entry[at] === DASH && dash < 0 && at > from) dash = at;
    else return Number.NaN;
  }
  const time = ms * 1000 + us;
  return dash > from && dash < to - 1 && Number.isSafeInteger(time) ? time : Number.NaN;
}

/** The first entry that can be behind this one. */
export function entryAfter(entry: Uint8Array): string {
  const [ms = "0", us = "0"] = Buffer.from(entry).toString("latin1").split("-");
  return BigInt(us) === LAST_PART ? `${BigInt(ms) + 1n}-0` : `${ms}-${BigInt(us) + 1n}`;
}

/** The last entry that can be before this one; undefined before the first of all. */
export function entryBefore(entry: Uint8Array): string | undefined {
  const [ms = "0", us = "0"] = Buffer.from(entry).toString("latin1").split("-");
  if (us !== "0") return `${ms}-${BigInt(us) - 1n}`;
  // Without a second part the end of a range is the last entry of that millisecond.
  return ms === "0" ? undefined : String(BigInt(ms) - 1n);
}

/** What values are told as whose metric has an error (2.5). */
export const ERROR_FIELD = "-1";
/** What an event record says: PM_ERR_NYI. */
const EVENT_TEXT = "-21344";

const SPECIAL = /[^ !#-[\]-~]/;
const EACH_SPECIAL = /[^ !#-[\]-~]/g;

/** Bytes in quotes, each that is no plain ASCII character as an escape (2.6). */
export function quotedBytes(bytes: Uint8Array): string {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
  if (!SPECIAL.test(text)) return `"${text}"`;
  const escaped = text.replace(EACH_SPECIAL, (char) => {
    const code = char.charCodeAt(0);
    return code >= 0x80 ? "\\uFFFD" : `\\u00${code.toString(16).toUpperCase().padStart(2, "0")}`;
  });
  return `"${escaped}"`;
}

/** Bytes of a block with 64 bits. */
const LONG_BLOCK = 12;
const HIGH_WORD = 0x1_0000_0000;
/** High words of numbers that a double holds exactly. */
const EXACT_HIGH = 0x20_0000;

/** A block of 64 bits in its head and these, without a bigint where a number will do. */
function longText(view: DataView, at: number, type: PmType): string {
  const high = type === PM_TYPE.I64 ? view.getInt32(at) : view.getUint32(at);
  if (high >= -EXACT_HIGH && high < EXACT_HIGH)
    return String(high * HIGH_WORD + view.getUint32(at + 4));
  return String(type === PM_TYPE.I64 ? view.getBigInt64(at) : view.getBigUint64(at));
}

/** Value `i` of a set of a metric of this type as it is kept (2.6). Throws PcpError for damage. */
export function valueText(set: ValueSet, i: number, type: PmType): string {
  const insitu = set.valfmt === PM_VAL.INSITU;
  switch (type) {
    case PM_TYPE.I32:
      if (insitu) return String(set.word(i) | 0);
      break;
    case PM_TYPE.U32:
      if (insitu) return String(set.word(i));
      break;
    case PM_TYPE.EVENT:
    case PM_TYPE.HIGHRES_EVENT:
      return EVENT_TEXT;
    case PM_TYPE.STRING:
    case PM_TYPE.AGGREGATE:
    case PM_TYPE.AGGREGATE_STATIC: {
      if (insitu) return '""';
      const payload = blockBytes(set.bytes, set.block(i));
      if (type !== PM_TYPE.STRING) return quotedBytes(payload);
      // One NUL is the end; others before it are kept, as the real programs keep them.
      return quotedBytes(payload.at(-1) === 0 ? payload.subarray(0, -1) : payload);
    }
    case PM_TYPE.I64:
    case PM_TYPE.U64:
      if (!insitu && blockLength(set.bytes, set.block(i)) === LONG_BLOCK)
        return longText(set.view, set.block(i) + 4, type);
      break;
    default:
      break;
  }
  const value = insitu
    ? extractInsitu(set.word(i), type, type)
    : extractBlock(set.bytes, set.block(i), type, type);
  if (typeof value === "bigint") return String(value);
  if (typeof value !== "number") return quotedBytes(Buffer.from(value));
  if (type !== PM_TYPE.FLOAT && type !== PM_TYPE.DOUBLE) return String(value);
  return Number.isNaN(value) && isNegativeNan(set, i) ? "-nan" : formatE(value);
}
