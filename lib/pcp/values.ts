// Values: blocks as they lie in PDUs and archives, and their conversion to what a program wants
// (spec pdu.md 4.2, 6.7). Reading is bounds-checked; nothing is copied but the value itself.
// Refused with PM_ERR_CONV, PM_ERR_SIGN or PM_ERR_TRUNC: what pmExtractValue(3) refuses.
import { PM_ERR, PcpError, utf8Text, viewOf } from "../base/mod.ts";
import { formatG } from "./format.ts";
import { type Atom, MAX_VLEN, type ValueSet } from "./result.ts";
import { PM_TYPE, PM_VAL, type PmType } from "./types.ts";

/** Type byte of the block at `at`; 0 in old data means unknown. */
export const blockType = (bytes: Uint8Array, at: number): PmType => bytes[at] ?? 0;

/**
 * Length of the block at `at`, its 4-byte head included and padding not; throws PM_ERR_IPC when the
 * block does not lie wholly in `bytes`.
 */
export function blockLength(bytes: Uint8Array, at: number): number {
  if (at < 0 || at + 4 > bytes.length) {
    throw new PcpError(PM_ERR.IPC, `value block at offset ${at}, ${bytes.length} bytes in all`);
  }
  const high = (bytes[at + 1] ?? 0) * 0x10000;
  const vlen = high + (bytes[at + 2] ?? 0) * 0x100 + (bytes[at + 3] ?? 0);
  if (vlen < 4 || at + vlen > bytes.length) {
    throw new PcpError(PM_ERR.IPC, `value block at offset ${at} has length ${vlen}`);
  }
  return vlen;
}

/** Payload of the block at `at`, a view into `bytes`. */
export const blockBytes = (bytes: Uint8Array, at: number): Uint8Array =>
  bytes.subarray(at + 4, at + blockLength(bytes, at));

/** Text of a string payload: up to its first NUL, if it has one. */
export function stringOf(payload: Uint8Array): string {
  const end = payload.indexOf(0);
  return utf8Text(end < 0 ? payload : payload.subarray(0, end));
}

const conv = (itype: PmType, otype: PmType): PcpError =>
  new PcpError(PM_ERR.CONV, `no conversion of a value of type ${itype} to type ${otype}`);

const BLOCK_LENGTHS: readonly number[] = [8, 8, 12, 12, 8, 12];
const isNumeric = (type: PmType): boolean => type >= PM_TYPE.I32 && type <= PM_TYPE.DOUBLE;

/** Word of an in-situ value as its type says; old archives hold floats in situ. */
function insituNumber(word: number, itype: PmType): number | undefined {
  if (itype === PM_TYPE.I32 || itype === PM_TYPE.UNKNOWN) return word | 0;
  if (itype === PM_TYPE.U32) return word;
  if (itype !== PM_TYPE.FLOAT) return undefined;
  scratch.setUint32(0, word);
  return scratch.getFloat32(0);
}
const scratchBytes = new Uint8Array(8);
const scratch = viewOf(scratchBytes);

function blockNumber(view: DataView, at: number, itype: PmType): number | bigint {
  switch (itype) {
    case PM_TYPE.I64:
      return view.getBigInt64(at);
    case PM_TYPE.U64:
      return view.getBigUint64(at);
    case PM_TYPE.FLOAT:
      return view.getFloat32(at);
    case PM_TYPE.DOUBLE:
      return view.getFloat64(at);
    case PM_TYPE.I32:
      return view.getInt32(at);
    default:
      return view.getUint32(at);
  }
}

const truncated = (): PcpError => new PcpError(PM_ERR.TRUNC);
const negative = (): PcpError => new PcpError(PM_ERR.SIGN);

/** Integers to another integer type. */
function fromInteger(value: bigint, itype: PmType, otype: PmType): number | bigint {
  switch (otype) {
    case PM_TYPE.I32:
      if (value > 0x7fffffffn) throw truncated();
      return Number(BigInt.asIntN(32, value));
    case PM_TYPE.U32:
      if (value < 0n) throw negative();
      if (value > 0xffffffffn) throw truncated();
      return Number(value);
    case PM_TYPE.I64:
      if (value > 0x7fffffffffffffffn) throw truncated();
      return value;
    case PM_TYPE.U64:
      if (value < 0n) throw negative();
      return value;
    default:
      throw conv(itype, otype);
  }
}

/** Floats to an integer type. Not-a-number gives what x86 gives: the integer's extreme value. */
function fromFloat(value: number, itype: PmType, otype: PmType): number | bigint {
  switch (otype) {
    case PM_TYPE.I32:
      if (Number.isNaN(value)) return -0x80000000;
      if (value >= 0x7fffffff || value <= -0x80000000) throw truncated();
      return Math.trunc(value) + 0;
    case PM_TYPE.U32:
      if (Number.isNaN(value)) return 0;
      if (value < 0) throw negative();
      if (value >= 0xffffffff) throw truncated();
      return Math.trunc(value) + 0;
    case PM_TYPE.I64:
      if (Number.isNaN(value) || value < -(2 ** 63)) return -(2n ** 63n);
      if (value >= 2 ** 63) throw truncated();
      return BigInt(Math.trunc(value));
    case PM_TYPE.U64:
      if (Number.isNaN(value)) return 2n ** 63n;
      if (value < 0) throw negative();
      if (value >= 2 ** 64) throw truncated();
      return BigInt(Math.trunc(value));
    default:
      throw conv(itype, otype);
  }
}

/**
 * Converts a number of type `itype` to type `otype`. 64-bit integers are bigint, others number.
 * `release` 6 refuses text where PCP 7 gives it.
 */
export function convertNumber(
  value: number | bigint,
  itype: PmType,
  otype: PmType,
  release: 6 | 7 = 7,
): Atom {
  if (otype === PM_TYPE.DOUBLE) return Number(value);
  if (otype === PM_TYPE.FLOAT) return Math.fround(Number(value));
  const float = itype === PM_TYPE.FLOAT || itype === PM_TYPE.DOUBLE;
  if (otype === PM_TYPE.STRING && release === 7) {
    return float ? formatG(Number(value), 16) : String(value);
  }
  if (itype === otype) return value;
  return float ? fromFloat(Number(value), itype, otype) : fromInteger(BigInt(value), itype, otype);
}

/** The value of a block as `otype`, for a metric whose descriptor says `itype`. */
export function extractBlock(
  bytes: Uint8Array,
  at: number,
  itype: PmType,
  otype: PmType,
  release: 6 | 7 = 7,
): Atom {
  const vlen = blockLength(bytes, at);
  const vtype = blockType(bytes, at);
  if (vtype !== itype && vtype !== 0) throw conv(itype, otype);
  if (itype === PM_TYPE.STRING || itype === PM_TYPE.AGGREGATE) {
    if (otype !== itype) throw conv(itype, otype);
    if (itype === PM_TYPE.AGGREGATE) return bytes.subarray(at + 4, at + vlen);
    // As stringOf, with one view instead of two.
    let end = at + 4;
    while (end < at + vlen && bytes[end] !== 0) end++;
    return utf8Text(bytes.subarray(at + 4, end));
  }
  if (itype <= PM_TYPE.U32 || !isNumeric(itype) || vlen !== BLOCK_LENGTHS[itype]) {
    throw conv(itype, otype);
  }
  // Through a scratch area, so that no view is made per value.
  for (let i = 0; i < vlen - 4; i++) scratchBytes[i] = bytes[at + 4 + i] ?? 0;
  return convertNumber(blockNumber(scratch, 0, itype), itype, otype, release);
}

/** The value of an in-situ word as `otype`, for a metric whose descriptor says `itype`. */
export function extractInsitu(
  word: number,
  itype: PmType,
  otype: PmType,
  release: 6 | 7 = 7,
): Atom {
  const value = insituNumber(word >>> 0, itype);
  if (value === undefined) throw conv(itype, otype);
  return convertNumber(value, itype === PM_TYPE.UNKNOWN ? PM_TYPE.I32 : itype, otype, release);
}

/**
 * Value `i` of a set as type `otype`, for a metric whose descriptor says `itype`: pmExtractValue(3).
 * 64-bit integers come as bigint, other numbers as number, STRING as text, AGGREGATE as a view of
 * its bytes. Throws PM_ERR_CONV, PM_ERR_SIGN or PM_ERR_TRUNC as spec pdu.md 6.7.
 */
export function pmExtractValue(
  set: ValueSet,
  i: number,
  itype: PmType,
  otype: PmType = itype,
  release: 6 | 7 = 7,
): Atom {
  if (set.valfmt === PM_VAL.INSITU) return extractInsitu(set.word(i), itype, otype, release);
  if (set.valfmt !== PM_VAL.DPTR && set.valfmt !== PM_VAL.SPTR) throw conv(itype, otype);
  return extractBlock(set.bytes, set.block(i), itype, otype, release);
}

/**
 * Value `i` of a set as a number, NaN when it is none: for sums and rates over many values, where
 * an error per value would cost more than the values. 64-bit integers lose what a double cannot
 * hold. Takes the type of a block from its own head, `itype` only for in-situ words.
 */
export function numberAt(set: ValueSet, i: number, itype: PmType): number {
  if (set.valfmt === PM_VAL.INSITU) {
    if (itype === PM_TYPE.I32) return set.word(i) | 0;
    return itype === PM_TYPE.U32 ? set.word(i) : (insituNumber(set.word(i), itype) ?? Number.NaN);
  }
  const { view } = set;
  const at = set.block(i);
  if (at < 0 || at + 8 > view.byteLength) return Number.NaN;
  const head = view.getUint32(at);
  const vtype = head >>> 24 || itype;
  if ((head & MAX_VLEN) !== BLOCK_LENGTHS[vtype]) return Number.NaN;
  if (at + (head & MAX_VLEN) > view.byteLength) return Number.NaN;
  if (vtype === PM_TYPE.U64 || vtype === PM_TYPE.I64) {
    const high = vtype === PM_TYPE.I64 ? view.getInt32(at + 4) : view.getUint32(at + 4);
    return high * 0x100000000 + view.getUint32(at + 8);
  }
  if (vtype === PM_TYPE.DOUBLE) return view.getFloat64(at + 4);
  if (vtype === PM_TYPE.FLOAT) return view.getFloat32(at + 4);
  return vtype === PM_TYPE.I32 ? view.getInt32(at + 4) : view.getUint32(at + 4);
}

/**
 * Whether value `i` of a set, which is a float or a double and not a number, has a minus before it, as C prints
 * it. Only the bytes tell: a number that has been read has lost it. False for a block that is damaged.
 */
export function isNegativeNan(set: ValueSet, i: number): boolean {
  if (set.valfmt === PM_VAL.INSITU) return set.word(i) >>> 31 === 1;
  const at = set.block(i);
  return at >= 0 && at + 8 <= set.view.byteLength && set.view.getInt32(at + 4) < 0;
}
