// Values as text, in the forms of PCP's tools: pmAtomStr, pmPrintValue, pmNumberStr (spec pdu.md
// 6.4 to 6.6). Nothing is refused: a value that does not fit its type prints as bytes.
import { PcpError, pmErrStr, utf8Text, viewOf } from "../base/mod.ts";
import { PM_EVENT, eventsOf } from "./events.ts";
import { formatE, formatF, formatG } from "./format.ts";
import type { Atom, ValueSet } from "./result.ts";
import { clockText } from "./time-text.ts";
import type { Zone } from "./timezone.ts";
import { PM_TYPE, PM_VAL, type PmType, pmTypeStr } from "./types.ts";
import { blockBytes, blockLength, blockType, extractBlock, extractInsitu } from "./values.ts";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

const eventCount = (count: number): string => `${count} event record${count === 1 ? "" : "s"}`;

/**
 * A value in short form, as pmAtomStr(3). `atom` is what pmExtractValue gives: bytes are the
 * payload of a block, null a missing pointer.
 */
export function pmAtomStr(atom: Atom | null, type: PmType): string {
  switch (type) {
    case PM_TYPE.I32:
    case PM_TYPE.U32:
    case PM_TYPE.I64:
    case PM_TYPE.U64:
      return String(atom);
    case PM_TYPE.FLOAT:
    case PM_TYPE.DOUBLE:
      return formatE(Number(atom));
    case PM_TYPE.STRING: {
      if (atom === null) return "<null>";
      const text = String(atom);
      const bytes = Buffer.from(text);
      if (bytes.length < 38) return `"${text}"`;
      return `"${utf8Text(bytes.subarray(0, 34))}..."`;
    }
    case PM_TYPE.AGGREGATE:
    case PM_TYPE.AGGREGATE_STATIC: {
      if (!(atom instanceof Uint8Array)) return "<null>";
      let text = `[type=${pmTypeStr(type)} len=${atom.length}]`;
      for (let at = 0; at < atom.length && at < 12; at += 4) {
        text += ` ${hex(atom.subarray(at, Math.min(at + 4, 12)))}`;
      }
      return atom.length > 12 ? `${text} ...` : text;
    }
    case PM_TYPE.EVENT:
    case PM_TYPE.HIGHRES_EVENT:
      if (!(atom instanceof Uint8Array) || atom.length < 4) return "<null>";
      return `[${eventCount(viewOf(atom).getInt32(0))}]`;
    case PM_TYPE.NOSUPPORT:
      return "Error: unexpected type: Not Supported";
    case PM_TYPE.UNKNOWN:
      return "Error: unexpected type: Unknown";
    default:
      return `Error: unexpected type: Illegal type=${type}`;
  }
}

/** %g of a double of which only the bytes tell the sign of not-a-number. */
const doubleText = (value: number, precision: number, signByte: number): string =>
  Number.isNaN(value) && signByte >= 0x80 ? "-nan" : formatG(value, precision);

/**
 * Bytes of a block as they lie in the memory of a little-endian machine, which is what PCP's
 * programs print: numbers are swapped on receipt, everything else is not.
 */
function hostOrder(bytes: Uint8Array, at: number): Uint8Array {
  const payload = blockBytes(bytes, at);
  const type = blockType(bytes, at);
  const swapped =
    (payload.length === 8 &&
      (type === PM_TYPE.I64 || type === PM_TYPE.U64 || type === PM_TYPE.DOUBLE)) ||
    (payload.length === 4 && type === PM_TYPE.FLOAT);
  return swapped ? payload.toReversed() : payload;
}

function printBytes(payload: Uint8Array, width: number): string {
  const parts: string[] = [];
  const view = viewOf(payload);
  if (payload.length === 8) {
    parts.push(String(view.getBigUint64(0, true)));
    const double = view.getFloat64(0, true);
    if (!Number.isNaN(double)) parts.push(formatG(double, 16));
  } else if (payload.length === 4) {
    const float = view.getFloat32(0, true);
    if (!Number.isNaN(float)) parts.push(formatG(float, 8));
  }
  if (payload.every((byte) => byte >= 0x20 && byte < 0x7f)) parts.push(`"${utf8Text(payload)}"`);
  parts.push(`[${hex(payload)}]`);
  return parts.map((part) => part.padStart(width)).join(" ");
}

function printWord(word: number, width: number): string {
  const view = new DataView(new ArrayBuffer(4));
  view.setUint32(0, word);
  const float = view.getFloat32(0);
  let text = String(word).padStart(width);
  if (!Number.isNaN(float)) text += ` ${formatG(float, 8).padStart(width)}`;
  return `${text} 0x${word.toString(16).padStart(width - 2)}`;
}

function clock(sec: number, nsec: number, highres: boolean, zone: Zone | undefined): string {
  if (zone !== undefined) return clockText({ sec, nsec }, zone, highres ? 9 : 3);
  const two = (value: number): string => String(value).padStart(2, "0");
  const date = new Date(sec * 1000);
  // A time that no calendar has: its seconds say more than three times NaN.
  if (Number.isNaN(date.getTime())) return `${sec}.${nsec}`;
  const fraction = highres
    ? String(nsec).padStart(9, "0")
    : String(Math.trunc(nsec / 1e6)).padStart(3, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${fraction}`;
}

/** `[2 event records timestamps FIRST...LAST]` of the block at `at`. */
function printEvents(bytes: Uint8Array, at: number, zone: Zone | undefined): string {
  const events = eventsOf(bytes, at);
  let missed = 0;
  let first = "";
  let last = "";
  while (events.next()) {
    if ((events.flags & PM_EVENT.MISSED) !== 0) missed += events.nparams;
    last = clock(events.sec, events.nsec, events.highres, zone);
    first ||= last;
  }
  let text = eventCount(events.nrecords);
  if (missed > 0) text += ` (${missed} missed)`;
  if (events.nrecords === 1) text += ` timestamp ${first}`;
  else if (events.nrecords > 1) text += ` timestamps ${first}...${last}`;
  return `[${text}]`;
}

function printTyped(set: ValueSet, i: number, type: PmType, width: number): string | undefined {
  const insitu = set.valfmt === PM_VAL.INSITU;
  const known = insitu
    ? type === PM_TYPE.I32 || type === PM_TYPE.U32 || type === PM_TYPE.FLOAT
    : type >= PM_TYPE.I64 && type <= PM_TYPE.STRING && fits(set.bytes, set.block(i), type);
  if (!known) return undefined;
  const value = insitu
    ? extractInsitu(set.word(i), type, type)
    : extractBlock(set.bytes, set.block(i), type, type);
  if (type === PM_TYPE.STRING) return `"${String(value)}"`.padStart(width);
  if (type !== PM_TYPE.FLOAT && type !== PM_TYPE.DOUBLE) return String(value).padStart(width);
  const signByte = insitu ? set.word(i) >>> 24 : (set.bytes[set.block(i) + 4] ?? 0);
  return doubleText(Number(value), type === PM_TYPE.FLOAT ? 8 : 16, signByte).padStart(width);
}

const SIZES: readonly number[] = [0, 0, 8, 8, 4, 8];

function fits(bytes: Uint8Array, at: number, type: PmType): boolean {
  const vtype = blockType(bytes, at);
  if (vtype !== type && vtype !== 0) return false;
  return type === PM_TYPE.STRING || blockLength(bytes, at) === 4 + (SIZES[type] ?? 0);
}

/**
 * Value `i` of a set as pmPrintValue(3) prints it for a metric of `type`, at least `width` wide. A
 * value that does not fit its type prints as bytes; a broken block as PCP's text for its error. Times
 * of events are in `zone`, that of the process without one.
 */
export function pmPrintValue(
  set: ValueSet,
  i: number,
  type: PmType,
  width = 0,
  zone?: Zone,
): string {
  const insitu = set.valfmt === PM_VAL.INSITU;
  try {
    const typed = printTyped(set, i, type, width);
    if (typed !== undefined) return typed;
    if (insitu) return printWord(set.word(i), width);
    const at = set.block(i);
    if (type === PM_TYPE.EVENT || type === PM_TYPE.HIGHRES_EVENT) {
      if (blockType(set.bytes, at) === type) return printEvents(set.bytes, at, zone);
    }
    return printBytes(hostOrder(set.bytes, at), width);
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
    return `[${pmErrStr(error.code)}]`;
  }
}

const NUMBER_STEPS: readonly (readonly [number, number, number, string])[] = [
  [999.995, -99.995, 1, " "],
  [999995, -99995, 1e3, "K"],
  [999995e3, -99995e3, 1e6, "M"],
  [999995e6, -99995e6, 1e9, "G"],
  [999995e9, -99995e9, 1e12, "T"],
];

/** A number in seven characters, as pmNumberStr(3): `999.99K`. */
export function pmNumberStr(value: number): string {
  if (Number.isNaN(value) || Math.abs(value) < 0.005) return "  0.00 ";
  for (const [above, below, divisor, letter] of NUMBER_STEPS) {
    const inside = value >= 0 ? value < above : value > below;
    if (inside) return formatF(value / divisor, 2).padStart(6) + letter;
  }
  return value < 0 ? "-inf?  " : " inf?  ";
}
