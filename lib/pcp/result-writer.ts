// A result under construction, as bytes: agents write their values straight into the form that PDUs
// have (spec pdu.md 4), without an object for each value. Sets and value blocks grow in two buffers
// and meet when the result is finished. Refuses values that are none of their metric's type and
// results above a bounded size; a set that turns out wrong is taken back whole.
import { pad4, PcpError, PM_ERR, viewOf } from "../base/mod.ts";
import type { Pmid } from "./ids.ts";
import { type Atom, MAX_VLEN, type ValueSet, writeBlock } from "./result.ts";
import { PM_TYPE, PM_VAL, type PmType, pmValfmt } from "./types.ts";

/** Bytes of the head of a set with values, of one without, and of one value. */
const SET_HEAD = 12;
const BARE_SET = 8;
const VALUE_BYTES = 8;
/** Bytes of a value block with a 64-bit value. */
const LONG_BLOCK = 12;
/** How a number of the open set is written: most values are numbers, and each is looked at once. */
const FORM = { WORD: 0, FLOAT_WORD: 1, LONG: 2, DOUBLE: 3, OTHER: 4 } as const;

const formOf = (type: PmType, valfmt: number): number => {
  const inSitu = valfmt === PM_VAL.INSITU;
  if (type === PM_TYPE.I32 || type === PM_TYPE.U32) return inSitu ? FORM.WORD : FORM.OTHER;
  if (type === PM_TYPE.FLOAT) return inSitu ? FORM.FLOAT_WORD : FORM.OTHER;
  if (inSitu) return FORM.OTHER;
  if (type === PM_TYPE.I64 || type === PM_TYPE.U64) return FORM.LONG;
  return type === PM_TYPE.DOUBLE ? FORM.DOUBLE : FORM.OTHER;
};
/** Most bytes of a result: what a client of any release accepts in one reply. */
const MAX_RESULT_BYTES = 256 * 1024 * 1024;

/** A growing buffer with a view on it. */
class Area {
  bytes = new Uint8Array(1024);
  view = viewOf(this.bytes);
  length = 0;

  /** Makes room for `size` more bytes and returns where they start. */
  take(size: number): number {
    const at = this.length;
    const end = at + size;
    if (end > this.bytes.length) {
      if (end > MAX_RESULT_BYTES)
        throw new PcpError(PM_ERR.TOOBIG, `a result of more than ${MAX_RESULT_BYTES} bytes`);
      const grown = new Uint8Array(Math.max(end, this.bytes.length * 2));
      grown.set(this.bytes.subarray(0, at));
      this.bytes = grown;
      this.view = viewOf(grown);
    }
    this.length = end;
    return at;
  }
}

const is64 = (type: PmType): boolean => type === PM_TYPE.I64 || type === PM_TYPE.U64;
const isFloat = (type: PmType): boolean => type === PM_TYPE.FLOAT || type === PM_TYPE.DOUBLE;

const isNumeric = (type: PmType): boolean => type >= PM_TYPE.I32 && type <= PM_TYPE.DOUBLE;

/** Whether an atom can be a value of the type; what it is may be something else than it should. */
function fits(type: PmType, value: Atom): boolean {
  if (typeof value === "number")
    return isNumeric(type) && (isFloat(type) || Number.isInteger(value));
  if (typeof value === "bigint") return isNumeric(type);
  return typeof value === "string" ? type === PM_TYPE.STRING : value instanceof Uint8Array;
}

const scratch = new DataView(new ArrayBuffer(4));
const floatWord = (value: number): number => {
  scratch.setFloat32(0, value);
  return scratch.getInt32(0);
};

/** Throws PM_ERR_TYPE for an atom that cannot be a value of the type. */
function checkAtom(type: PmType, value: Atom): void {
  if (fits(type, value)) return;
  const what = typeof value === "number" ? String(value) : `a ${typeof value}`;
  throw new PcpError(PM_ERR.TYPE, `${what} is no value of type ${type}`);
}

/** A place in a result under construction. */
export interface ResultMark {
  readonly sets: number;
  readonly blocks: number;
  readonly count: number;
}

/**
 * Takes value sets in the order in which they are to stand. One writer may be used again for the
 * next result: its buffers stay.
 */
export class ResultWriter {
  private readonly sets = new Area();
  private readonly blocks = new Area();
  /** Where the set that is open starts; -1 when none is. */
  private setAt = -1;
  private blocksBefore = 0;
  private type: PmType = PM_TYPE.NOSUPPORT;
  private valfmt: number = PM_VAL.INSITU;
  private form: number = FORM.OTHER;

  /** Sets so far, without the open one. */
  count = 0;
  /** Values of the open set so far. */
  numval = 0;
  /** STATE_CHANGE bits that go with the result. */
  changes = 0;

  /** Forgets everything. */
  reset(): void {
    this.sets.length = 0;
    this.blocks.length = 0;
    this.setAt = -1;
    this.count = 0;
    this.numval = 0;
    this.changes = 0;
  }

  /** Opens the set of a metric; `valfmt` is PM_VAL, the usual one of the type when left out. */
  begin(pmid: Pmid, type: PmType, valfmt: number = pmValfmt(type)): void {
    this.setAt = this.sets.take(SET_HEAD);
    this.sets.view.setUint32(this.setAt, pmid);
    this.blocksBefore = this.blocks.length;
    this.numval = 0;
    this.type = type;
    this.valfmt = valfmt;
    this.form = formOf(type, valfmt);
  }

  /** Adds a value to the open set. A Uint8Array is the payload of a block as it stands. */
  add(instance: number, value: Atom): void {
    const word = typeof value === "number" ? this.numberWord(value) : this.otherWord(value);
    const at = this.sets.take(VALUE_BYTES);
    const { view } = this.sets;
    view.setInt32(at, instance);
    view.setInt32(at + 4, word);
    this.numval += 1;
  }

  /** The word in the set that stands for a number. */
  private numberWord(value: number): number {
    const { form } = this;
    if (form === FORM.FLOAT_WORD) return floatWord(value);
    if (form === FORM.DOUBLE) return this.addLong(value) / 4;
    if (form === FORM.OTHER || !Number.isInteger(value)) return this.otherWord(value);
    return form === FORM.WORD ? value : this.addLong(value) / 4;
  }

  /** The same for any value; refuses what none of the type can be. */
  private otherWord(value: Atom): number {
    const { type } = this;
    checkAtom(type, value);
    if (this.valfmt !== PM_VAL.INSITU) return this.addBlock(value) / 4;
    if (typeof value !== "object" && typeof value !== "string") {
      if (type === PM_TYPE.FLOAT) return floatWord(Number(value));
      if (type === PM_TYPE.I32 || type === PM_TYPE.U32) return Number(value);
    }
    throw new PcpError(PM_ERR.TYPE, `type ${type} cannot be in situ`);
  }

  /** A block of eight bytes; integers go in without a bigint. */
  private addLong(value: number): number {
    const at = this.blocks.take(LONG_BLOCK);
    const { view } = this.blocks;
    view.setInt32(at, (this.type << 24) | LONG_BLOCK);
    if (this.form === FORM.DOUBLE) view.setFloat64(at + 4, value);
    else {
      // Both halves are exact for every integer that a number holds, negative ones included.
      view.setInt32(at + 4, Math.floor(value / 0x100000000));
      view.setInt32(at + 8, value);
    }
    return at;
  }

  private addBlock(value: Atom): number {
    const { type } = this;
    let size = is64(type) || type === PM_TYPE.DOUBLE ? 8 : 4;
    if (typeof value === "object") size = value.length;
    else if (typeof value === "string") size = Buffer.byteLength(value) + 1;
    if (size + 4 > MAX_VLEN) throw new PcpError(PM_ERR.TOOBIG, `a value of ${size} bytes`);
    const at = this.blocks.take(pad4(size + 4));
    writeBlock(this.blocks.bytes, this.blocks.view, at, type, value);
    return at;
  }

  /** Closes the open set. Without values it says `none`: 0, or the code of an error. */
  end(none = 0): void {
    const { setAt, numval } = this;
    if (numval === 0) {
      this.sets.length = setAt + BARE_SET;
      this.sets.view.setInt32(setAt + 4, none);
    } else {
      this.sets.view.setInt32(setAt + 4, numval);
      this.sets.view.setInt32(setAt + 8, this.valfmt);
    }
    this.setAt = -1;
    this.count += 1;
  }

  /** A metric without values: 0, or a negative code. Takes back an open set, whichever it is. */
  fail(pmid: Pmid, code: number): void {
    this.abandon();
    const at = this.sets.take(BARE_SET);
    this.sets.view.setUint32(at, pmid);
    this.sets.view.setInt32(at + 4, code);
    this.count += 1;
  }

  /** Takes back the open set, if there is one. */
  abandon(): void {
    if (this.setAt < 0) return;
    this.sets.length = this.setAt;
    this.blocks.length = this.blocksBefore;
    this.setAt = -1;
    this.numval = 0;
  }

  /** Where the result stands between two sets, to go back to. */
  mark(): ResultMark {
    return { sets: this.sets.length, blocks: this.blocks.length, count: this.count };
  }

  /** Takes back everything since a mark of this result. */
  rewind({ sets, blocks, count }: ResultMark): void {
    this.setAt = -1;
    this.numval = 0;
    this.sets.length = sets;
    this.blocks.length = blocks;
    this.count = count;
  }

  /** Adds a set of another result, which must have been checked: its bytes are copied. */
  copy(set: ValueSet): void {
    if (set.numval <= 0) {
      this.fail(set.pmid, set.numval);
      return;
    }
    this.begin(set.pmid, PM_TYPE.NOSUPPORT, set.valfmt);
    const from = set.view;
    for (let i = 0; i < set.numval; i++) {
      const at = this.sets.take(VALUE_BYTES);
      this.sets.view.setInt32(at, set.instance(i));
      if (set.valfmt === PM_VAL.INSITU) {
        this.sets.view.setUint32(at + 4, set.word(i));
        continue;
      }
      const block = set.block(i);
      const size = pad4(from.getUint32(block) & MAX_VLEN);
      const to = this.blocks.take(size);
      this.blocks.bytes.set(set.bytes.subarray(block, block + size), to);
      this.sets.view.setUint32(at + 4, to / 4);
    }
    this.numval = set.numval;
    this.end();
  }

  /** Bytes of all sets and blocks. */
  get length(): number {
    return this.sets.length + this.blocks.length;
  }

  /**
   * The whole as one fresh array with `head` bytes before it for the caller to fill; block indexes
   * count from `wordBase` of it. `head` and `wordBase` are multiples of 4.
   */
  finish(head: number, wordBase = 0): Uint8Array {
    this.abandon();
    const { sets, blocks } = this;
    const out = new Uint8Array(head + sets.length + blocks.length);
    out.set(sets.bytes.subarray(0, sets.length), head);
    if (blocks.length === 0) return out;
    const blocksAt = head + sets.length;
    out.set(blocks.bytes.subarray(0, blocks.length), blocksAt);
    const view = viewOf(out);
    const shift = (blocksAt - wordBase) / 4;
    for (let at = head; at < blocksAt;) {
      const numval = view.getInt32(at + 4);
      if (numval <= 0) {
        at += BARE_SET;
        continue;
      }
      const end = at + SET_HEAD + VALUE_BYTES * numval;
      if (view.getInt32(at + 8) !== PM_VAL.INSITU)
        for (let word = at + SET_HEAD + 4; word < end; word += VALUE_BYTES)
          view.setUint32(word, view.getUint32(word) + shift);
      at = end;
    }
    return out;
  }
}
