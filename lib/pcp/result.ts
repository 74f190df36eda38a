// Results: the currency between rooms. A ResultView reads value sets where they lie in a PDU or an
// archive record, without an object per value; a ResultInit is the plain form that is encoded into
// bytes (spec pdu.md 4.1 to 4.3). Bytes that break the placement rules are refused with PM_ERR_IPC
// by checkValueSets, which must have passed before a view is read.
import { pad4, PM_ERR, PcpError, utf8, viewOf } from "../base/mod.ts";
import type { InstanceId, Pmid } from "./ids.ts";
import { PM_TYPE, PM_VAL, type PmType, pmValfmt } from "./types.ts";

/** A point in time: whole seconds since 1970 (may be negative) and nanoseconds. */
export interface Timestamp {
  readonly sec: number;
  readonly nsec: number;
}

/** One value as a program holds it: 64-bit integers are bigint, blocks without a meaning are bytes. */
export type Atom = number | bigint | string | Uint8Array;

/** Largest `vlen` of a value block, its 4-byte head included. */
export const MAX_VLEN = 0xffffff;

/**
 * A moving window on the value sets of a result. `next()` steps to the next set; the fields and
 * accessors then speak of it. Accessors do not check `i`: it must be in 0 … numval-1.
 */
export interface ValueSet {
  /** The bytes that `block` offsets point into, and the same as a view. */
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly pmid: Pmid;
  /** Number of values, 0 for none, below 0 an error code of this metric. */
  readonly numval: number;
  /** PM_VAL of the set; INSITU when numval is not positive. */
  readonly valfmt: number;
  /** Instance of value `i`. */
  instance(i: number): InstanceId;
  /** The 32-bit word of value `i`, unsigned: the value itself, or the block index. */
  word(i: number): number;
  /** Byte offset in `bytes` of the block of value `i`; only when valfmt is not INSITU. */
  block(i: number): number;
}

/** ValueSet that walks over `numpmid` sets from byte `at`; see ResultView. */
export class ValueSetCursor implements ValueSet {
  pmid = 0 as Pmid;
  numval = 0;
  valfmt = 0;
  /** Byte offset of the present set. */
  offset: number;
  private values = 0;
  private following: number;
  private left: number;

  constructor(
    readonly bytes: Uint8Array,
    readonly view: DataView,
    at: number,
    numpmid: number,
    private readonly wordBase: number,
  ) {
    this.offset = at;
    this.following = at;
    this.left = numpmid;
  }

  /** Steps to the next set; false after the last one. */
  next(): boolean {
    if (this.left <= 0) return false;
    this.left--;
    const at = this.following;
    const view = this.view;
    this.offset = at;
    this.pmid = view.getUint32(at) as Pmid;
    const numval = view.getInt32(at + 4);
    this.numval = numval;
    if (numval > 0) {
      this.valfmt = view.getInt32(at + 8);
      this.values = at + 12;
      this.following = at + 12 + 8 * numval;
    } else {
      this.valfmt = PM_VAL.INSITU;
      this.values = at + 8;
      this.following = at + 8;
    }
    return true;
  }

  instance(i: number): InstanceId {
    return this.view.getInt32(this.values + 8 * i) as InstanceId;
  }
  word(i: number): number {
    return this.view.getUint32(this.values + 8 * i + 4);
  }
  block(i: number): number {
    return this.wordBase + 4 * this.view.getInt32(this.values + 8 * i + 4);
  }
}

/**
 * A result where it lies. `setsAt` is the byte offset of the first value set; a block index W means
 * byte `wordBase + 4 * W`: 0 in a PDU that starts at byte 0, the record's start - 8 in an archive.
 */
export class ResultView {
  constructor(
    readonly bytes: Uint8Array,
    readonly timestamp: Timestamp,
    readonly numpmid: number,
    readonly setsAt: number,
    readonly wordBase = 0,
    /** Over `bytes`; a reader that has one already need not pay for another. */
    readonly view: DataView = viewOf(bytes),
  ) {}

  /** A fresh cursor before the first set: `for (const s = r.sets(); s.next(); ) …`. */
  sets(): ValueSetCursor {
    return new ValueSetCursor(this.bytes, this.view, this.setsAt, this.numpmid, this.wordBase);
  }

  /** A cursor on the first set of `pmid`, undefined without one. Linear in the number of sets. */
  find(pmid: Pmid): ValueSetCursor | undefined {
    const sets = this.sets();
    while (sets.next()) if (sets.pmid === pmid) return sets;
    return undefined;
  }
}

const broken = (at: number, reason: string): PcpError =>
  new PcpError(PM_ERR.IPC, `value sets broken at offset ${at}: ${reason}`);

/** Sees a block of an event type: checkEvents where somebody will look into it. */
type CheckEventBlock = (bytes: Uint8Array, at: number, view: DataView) => void;

/**
 * Checks the value sets of `result`, which with their blocks must fill its bytes up to `end`, against
 * every placement rule of spec pdu.md 4.3; throws PM_ERR_IPC naming the offset of the first fault.
 * Returns where the blocks start. Sets are stepped over by their heads; values in situ are not
 * looked at, each block is.
 */
export function checkValueSets(
  result: ResultView,
  end: number,
  checkEventBlock?: CheckEventBlock,
): number {
  const blocksAt = soundBlocksAt(result, end, checkEventBlock !== undefined);
  return blocksAt >= 0 ? blocksAt : checkEachSet(result, end, checkEventBlock);
}

/**
 * One pass over sets and blocks together, for what is as it should be: where the blocks start, or
 * below 0 when checkEachSet has to look, at a fault or (`events`) at a block of an event type.
 */
function soundBlocksAt(
  { bytes, view, numpmid, setsAt, wordBase }: ResultView,
  end: number,
  events: boolean,
): number {
  if (setsAt < 0 || end > bytes.length || setsAt > end) return -1;
  const last = end - 4;
  // Where the blocks start is taken from the first block index, and checked when all sets were seen.
  let first = -1;
  let block = -1;
  let word = 0;
  // Most values of a metric have blocks with equal heads: what one says is worked out once.
  let knownHead = 0;
  let knownSize = 0;
  let at = setsAt;
  for (let set = 0; set < numpmid; set++) {
    if (end - at < 8) return -1;
    const numval = view.getInt32(at + 4);
    at += 8;
    if (numval <= 0) continue;
    if (numval > (last - at) >> 3) return -1;
    const valfmt = view.getInt32(at);
    at += 4;
    const stop = at + 8 * numval;
    if (valfmt === PM_VAL.INSITU) {
      at = stop;
      continue;
    }
    if (valfmt !== PM_VAL.DPTR && valfmt !== PM_VAL.SPTR) return -1;
    if (first < 0) {
      word = view.getInt32(at + 4);
      block = first = wordBase + 4 * word;
      if (block < stop) return -1;
    }
    for (at += 4; at < stop; at += 8) {
      if (view.getInt32(at) !== word || block > last) return -1;
      const head = view.getInt32(block);
      if (head !== knownHead) {
        const vlen = head & MAX_VLEN;
        if (vlen < 4 || (events && isEventType(head >>> 24))) return -1;
        knownHead = head;
        knownSize = (vlen + 3) & ~3;
      }
      block += knownSize;
      word += knownSize >> 2;
    }
    at = stop;
  }
  if (numpmid < 0 || first < 0) return numpmid >= 0 && at === end ? at : -1;
  return first === at && block === end ? at : -1;
}

/**
 * Finds the sets of a few metrics in a result that nobody has checked, whose bytes end at `end`: puts their
 * offsets into `found` and gives how many there are. The heads of all sets are checked, blocks only of
 * those found; below 0 where something does not hold, which checkValueSets then names.
 */
export function findSets(
  { bytes, view, numpmid, setsAt, wordBase }: ResultView,
  end: number,
  pmids: readonly Pmid[],
  found: number[],
): number {
  if (setsAt < 0 || numpmid < 0 || end > bytes.length || setsAt > end) return -1;
  const [first = -1] = pmids;
  const isOne = pmids.length === 1;
  let count = 0;
  let at = setsAt;
  for (let set = 0; set < numpmid; set++) {
    if (end - at < 8) return -1;
    const pmid = view.getUint32(at);
    if (isOne ? pmid === first : pmids.includes(pmid as Pmid)) found[count++] = at;
    const numval = view.getInt32(at + 4);
    if (numval <= 0) {
      at += 8;
      continue;
    }
    if (numval > (end - at - 12) / 8) return -1;
    at += 12 + 8 * numval;
  }
  for (let which = 0; which < count; which++) {
    const set = found[which] ?? 0;
    const numval = view.getInt32(set + 4);
    const valfmt = numval > 0 ? view.getInt32(set + 8) : PM_VAL.INSITU;
    if (valfmt === PM_VAL.INSITU) continue;
    if (valfmt !== PM_VAL.DPTR && valfmt !== PM_VAL.SPTR) return -1;
    const stop = set + 12 + 8 * numval;
    for (let value = set + 16; value < stop; value += 8) {
      const block = wordBase + 4 * view.getInt32(value);
      if (block < at || block > end - 4) return -1;
      const vlen = view.getInt32(block) & MAX_VLEN;
      if (vlen < 4 || pad4(vlen) > end - block) return -1;
    }
  }
  return count;
}

const isEventType = (type: number): boolean =>
  type === PM_TYPE.EVENT || type === PM_TYPE.HIGHRES_EVENT;

/** As checkValueSets, sets first and then blocks, so that the first fault is the one that is named. */
function checkEachSet(
  { bytes, view, numpmid, setsAt, wordBase }: ResultView,
  end: number,
  checkEventBlock: CheckEventBlock | undefined,
): number {
  if (setsAt < 0 || end > bytes.length || setsAt > end) throw broken(setsAt, "outside the PDU");
  if (numpmid < 0 || numpmid > (end - setsAt) / 8) {
    throw broken(setsAt, `${numpmid} metrics do not fit`);
  }
  let at = setsAt;
  for (let set = 0; set < numpmid; set++) {
    if (end - at < 8) throw broken(at, "value set cut short");
    const numval = view.getInt32(at + 4);
    if (numval <= 0) {
      at += 8;
      continue;
    }
    if (numval > (end - at - 12) / 8) throw broken(at, `${numval} values do not fit`);
    const valfmt = view.getInt32(at + 8);
    if (valfmt !== PM_VAL.INSITU && valfmt !== PM_VAL.DPTR && valfmt !== PM_VAL.SPTR) {
      throw broken(at + 8, `value format ${valfmt} unknown`);
    }
    at += 12 + 8 * numval;
  }
  const blocksAt = at;
  let block = blocksAt;
  at = setsAt;
  for (let set = 0; set < numpmid; set++) {
    const numval = view.getInt32(at + 4);
    if (numval <= 0) {
      at += 8;
      continue;
    }
    const insitu = view.getInt32(at + 8) === PM_VAL.INSITU;
    at += 12;
    if (insitu) {
      at += 8 * numval;
      continue;
    }
    for (let i = 0; i < numval; i++, at += 8) {
      const target = wordBase + 4 * view.getUint32(at + 4);
      if (target !== block) throw broken(at + 4, `value block at ${target}, ${block} expected`);
      if (end - block < 4) throw broken(block, "value block cut short");
      const head = view.getUint32(block);
      const vlen = head & MAX_VLEN;
      if (vlen < 4 || pad4(vlen) > end - block) throw broken(block, `value length ${vlen}`);
      if (isEventType(head >>> 24)) checkEventBlock?.(bytes, block, view);
      block += pad4(vlen);
    }
  }
  if (block !== end) throw broken(block, `${end - block} bytes after the last value`);
  return blocksAt;
}

/**
 * One metric to be encoded. Either `error` (0: no values) or values: `instances[i]` goes with
 * `values[i]`. A Uint8Array value is the payload of a block as it stands, whatever the type.
 */
export type ValueSetInit =
  | { readonly pmid: Pmid; readonly error: number }
  | {
      readonly pmid: Pmid;
      readonly type: PmType;
      /** PM_VAL; the usual one of the type when left out. */
      readonly valfmt?: number;
      readonly instances: ArrayLike<number>;
      readonly values: ArrayLike<Atom>;
    };

/** A whole result to be encoded. */
export interface ResultInit {
  readonly timestamp: Timestamp;
  readonly sets: readonly ValueSetInit[];
}

/** Bytes that value sets need: `sets` for the sets, `blocks` for the value blocks after them. */
export interface ValueSetsSize {
  readonly sets: number;
  readonly blocks: number;
}

const INSITU_TYPES: readonly PmType[] = [PM_TYPE.I32, PM_TYPE.U32, PM_TYPE.FLOAT];

/** Refuses a value that is no number of its type: written all the same it would be another one. */
function checkNumber(pmid: Pmid, type: PmType, value: Atom): void {
  const float = type === PM_TYPE.FLOAT || type === PM_TYPE.DOUBLE;
  const whole = typeof value === "bigint" || Number.isInteger(value);
  if (float ? typeof value !== "number" && !whole : !whole) {
    throw new PcpError(
      PM_ERR.TYPE,
      `metric ${pmid}: ${String(value)} is no number of type ${type}`,
    );
  }
}

function payloadSize(pmid: Pmid, type: PmType, value: Atom): number {
  if (typeof value === "object") return value.length;
  switch (type) {
    case PM_TYPE.FLOAT:
    case PM_TYPE.I32:
    case PM_TYPE.U32:
      checkNumber(pmid, type, value);
      return 4;
    case PM_TYPE.I64:
    case PM_TYPE.U64:
    case PM_TYPE.DOUBLE:
      checkNumber(pmid, type, value);
      return 8;
    case PM_TYPE.STRING:
      return Buffer.byteLength(String(value)) + 1;
    default:
      throw new PcpError(
        PM_ERR.TYPE,
        `metric ${pmid}: type ${type} needs bytes, not a ${typeof value}`,
      );
  }
}

/** Sizes for writeValueSets; throws PM_ERR_TOOBIG for a value over MAX_VLEN, PM_ERR_TYPE, PM_ERR_ARG. */
export function measureValueSets(sets: readonly ValueSetInit[]): ValueSetsSize {
  let setBytes = 0;
  let blockBytes = 0;
  for (const set of sets) {
    if ("error" in set) {
      setBytes += 8;
      continue;
    }
    const count = set.values.length;
    if (set.instances.length !== count) {
      throw new PcpError(
        PM_ERR.ARG,
        `metric ${set.pmid}: ${set.instances.length} instances for ${count} values`,
      );
    }
    setBytes += count === 0 ? 8 : 12 + 8 * count;
    if ((set.valfmt ?? pmValfmt(set.type)) === PM_VAL.INSITU) {
      if (count > 0 && !INSITU_TYPES.includes(set.type)) {
        throw new PcpError(PM_ERR.TYPE, `metric ${set.pmid}: type ${set.type} cannot be in situ`);
      }
      for (let i = 0; i < count; i++) checkNumber(set.pmid, set.type, set.values[i] as Atom);
      continue;
    }
    for (let i = 0; i < count; i++) {
      const vlen = 4 + payloadSize(set.pmid, set.type, set.values[i] as Atom);
      if (vlen > MAX_VLEN) {
        throw new PcpError(PM_ERR.TOOBIG, `metric ${set.pmid}: value of ${vlen - 4} bytes`);
      }
      blockBytes += pad4(vlen);
    }
  }
  return { sets: setBytes, blocks: blockBytes };
}

/**
 * Writes one value block with its padding at `at`; `view` is over `out`, which must have the room.
 * Bytes are the payload as it stands. Returns the offset after the padding.
 */
export function writeBlock(
  out: Uint8Array,
  view: DataView,
  at: number,
  type: PmType,
  value: Atom,
): number {
  let size: number;
  if (typeof value === "object") {
    out.set(value, at + 4);
    size = value.length;
  } else if (type === PM_TYPE.STRING) {
    const text = utf8(String(value));
    out.set(text, at + 4);
    out[at + 4 + text.length] = 0;
    size = text.length + 1;
  } else if (type === PM_TYPE.I64 || type === PM_TYPE.U64) {
    if (Number.isSafeInteger(value)) {
      // Halves of a number: no bigint for each value of a result.
      view.setInt32(at + 4, Math.floor(Number(value) / 0x1_0000_0000));
      view.setInt32(at + 8, Number(value) | 0);
    } else view.setBigInt64(at + 4, BigInt.asIntN(64, BigInt(value)));
    size = 8;
  } else if (type === PM_TYPE.DOUBLE) {
    view.setFloat64(at + 4, Number(value));
    size = 8;
  } else if (type === PM_TYPE.FLOAT) {
    view.setFloat32(at + 4, Number(value));
    size = 4;
  } else {
    view.setInt32(at + 4, Number(value));
    size = 4;
  }
  view.setUint32(at, ((type & 0xff) * 0x1000000 + 4 + size) >>> 0);
  const end = at + pad4(4 + size);
  out.fill(0x7e, at + 4 + size, end);
  return end;
}

/**
 * Writes value sets at `at` and their blocks right after them into `out`, which must have the room
 * that measureValueSets gave as `size`; a block at byte B gets index (B - wordBase) / 4. Returns
 * the offset after the last block.
 */
export function writeValueSets(
  out: Uint8Array,
  at: number,
  sets: readonly ValueSetInit[],
  size: ValueSetsSize,
  wordBase = 0,
): number {
  const view = viewOf(out);
  let block = at + size.sets;
  for (const set of sets) {
    view.setUint32(at, set.pmid);
    if ("error" in set || set.values.length === 0) {
      view.setInt32(at + 4, "error" in set ? set.error : 0);
      at += 8;
      continue;
    }
    const count = set.values.length;
    const valfmt = set.valfmt ?? pmValfmt(set.type);
    view.setInt32(at + 4, count);
    view.setInt32(at + 8, valfmt);
    at += 12;
    for (let i = 0; i < count; i++, at += 8) {
      const value = set.values[i] as Atom;
      view.setInt32(at, set.instances[i] as number);
      if (valfmt !== PM_VAL.INSITU) {
        view.setUint32(at + 4, (block - wordBase) / 4);
        block = writeBlock(out, view, block, set.type, value);
      } else if (set.type === PM_TYPE.FLOAT) view.setFloat32(at + 4, Number(value));
      else view.setInt32(at + 4, Number(value));
    }
  }
  return block;
}
