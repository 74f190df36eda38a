// Values between the memory of a compiled agent and results as bytes (spec local.md 6 and 7): what its
// fetch made, given back as libpcp would; what is to be stored, laid out for it. Refuses value blocks
// and event records that are shorter than they say.
import { asPcpError, pad4, PcpError, PM_ERR, viewOf } from "../base/mod.ts";
import {
  asPmid,
  MAX_VLEN,
  PM_EVENT,
  PM_TYPE,
  PM_VAL,
  type Pmid,
  type PmType,
  type ResultView,
  type ResultWriter,
} from "../pcp/mod.ts";
import { STATE_CHANGE } from "../pdu/mod.ts";
import {
  type Address,
  allocate,
  bytesAt,
  f32At,
  f64At,
  i32At,
  i64At,
  pointerAt,
  release,
  RESULT,
  SET,
  u32At,
  u64At,
  viewAt,
} from "./dso-abi.ts";

const broken = (reason: string): PcpError => new PcpError(PM_ERR.IPC, reason);

const WORDS: readonly PmType[] = [PM_TYPE.I32, PM_TYPE.U32, PM_TYPE.FLOAT];
const LONGS: readonly PmType[] = [PM_TYPE.I64, PM_TYPE.U64, PM_TYPE.DOUBLE];

/** Bytes of a number of a type; 0 for types that are no numbers. */
const numberBytes = (type: PmType): number =>
  WORDS.includes(type) ? 4 : LONGS.includes(type) ? 8 : 0;

/**
 * An event array as results have it, out of one in the memory of a little-endian machine; `data` begins
 * after the head of the block and is written over. Throws PcpError PM_ERR_IPC for records that leave it.
 */
export function eventsToWire(data: Uint8Array, highres: boolean): Uint8Array {
  const view = viewOf(data);
  let at = 0;
  const room = (bytes: number): void => {
    if (at + bytes > data.length) throw broken("an event array is cut short");
  };
  const word = (): number => {
    room(4);
    const value = view.getUint32(at, true);
    view.setUint32(at, value);
    at += 4;
    return value;
  };
  const long = (): void => {
    room(8);
    view.setBigUint64(at, view.getBigUint64(at, true));
    at += 8;
  };
  const records = word();
  for (let record = 0; record < records; record++) {
    for (let part = 0; part < 2; part++) {
      if (highres) long();
      else word();
    }
    const missed = (word() & PM_EVENT.MISSED) !== 0;
    const parameters = word();
    for (let parameter = 0; !missed && parameter < parameters; parameter++) {
      word();
      const head = word();
      const size = (head & MAX_VLEN) - 4;
      if (size < 0) throw broken("a parameter of an event is shorter than its head");
      room(size);
      const number = numberBytes(head >>> 24);
      const after = at + pad4(size);
      if (number === size && number === 4) word();
      else if (number === size && number === 8) long();
      at = after;
    }
  }
  return data;
}

/** Adds the value of one block to the open set. */
function addBlock(out: ResultWriter, instance: number, block: Address, type: PmType): void {
  const head = u32At(block, 0);
  if (head >>> 24 !== type) throw broken(`a value of type ${head >>> 24} among those of ${type}`);
  const size = (head & MAX_VLEN) - 4;
  if (size < 0) throw broken("a value shorter than its head");
  if (size === 8 && type === PM_TYPE.I64) out.add(instance, i64At(block, 4));
  else if (size === 8 && type === PM_TYPE.U64) out.add(instance, u64At(block, 4));
  else if (size === 8 && type === PM_TYPE.DOUBLE) out.add(instance, f64At(block, 4));
  else if (size === 4 && type === PM_TYPE.FLOAT) out.add(instance, f32At(block, 4));
  else if (size === 4 && numberBytes(type) === 4) out.add(instance, u32At(block, 4));
  else if (numberBytes(type) > 0) throw broken(`a number of type ${type} in ${size} bytes`);
  else {
    const bytes = bytesAt(block + 4, size);
    const events = type === PM_TYPE.EVENT || type === PM_TYPE.HIGHRES_EVENT;
    out.add(instance, events ? eventsToWire(bytes, type === PM_TYPE.HIGHRES_EVENT) : bytes);
  }
}

function readSet(set: Address, pmid: Pmid, out: ResultWriter): void {
  const numval = i32At(set, SET.NUMVAL);
  if (numval <= 0) {
    out.fail(pmid, numval);
    return;
  }
  const valfmt = i32At(set, SET.VALFMT);
  const inBlocks = valfmt === PM_VAL.DPTR || valfmt === PM_VAL.SPTR;
  if (!inBlocks && valfmt !== PM_VAL.INSITU) throw broken(`value format ${valfmt} is unknown`);
  const type = inBlocks ? u32At(pointerAt(set, SET.VALUES + 8), 0) >>> 24 : PM_TYPE.U32;
  out.begin(pmid, type, valfmt);
  const end = SET.VALUES + numval * SET.VALUE_BYTES;
  for (let at: number = SET.VALUES; at < end; at += SET.VALUE_BYTES) {
    const instance = i32At(set, at);
    if (inBlocks) addBlock(out, instance, pointerAt(set, at + 8), type);
    else out.add(instance, u32At(set, at + 8));
  }
  out.end();
}

/** Frees a value set, and with it the blocks that are its own. */
function releaseSet(set: Address): void {
  const numval = i32At(set, SET.NUMVAL);
  if (numval > 0 && i32At(set, SET.VALFMT) === PM_VAL.DPTR)
    for (let i = 0; i < numval; i++) release(pointerAt(set, SET.VALUES + i * SET.VALUE_BYTES + 8));
  release(set);
}

/**
 * Moves the value sets of a fetch to `out` and frees them; the result itself stays the agent's.
 * Throws PcpError PM_ERR_PMID, as pmcd does, when there is another number of them than was asked for.
 */
export function takeResult(result: Address, pmids: readonly Pmid[], out: ResultWriter): void {
  const count = i32At(result, RESULT.NUMPMID);
  const fits = count === pmids.length;
  if (fits) {
    const flags = u32At(result, RESULT.FLAGS);
    out.changes |= flags & (STATE_CHANGE.LABEL_CHANGE | STATE_CHANGE.NAMES_CHANGE);
  }
  for (let i = 0; i < count; i++) {
    const set = pointerAt(result, RESULT.SETS + 8 * i);
    if (fits) {
      try {
        if (set === 0) throw broken("a null pointer in place of values");
        readSet(set, asPmid(u32At(set, SET.PMID)), out);
      } catch (error) {
        out.fail(pmids[i] ?? asPmid(0), asPcpError(error).code);
      }
    }
    if (set !== 0) releaseSet(set);
  }
  if (!fits) throw new PcpError(PM_ERR.PMID, `${count} metrics in place of ${pmids.length}`);
}

/** The payload of a value block as the machine has it: numbers the other way round. */
const nativePayload = (type: PmType, payload: Uint8Array): Uint8Array =>
  numberBytes(type) === payload.length ? payload.toReversed() : payload;

/**
 * Lays out values to be stored as a pmResult, and hands it to `use`. The memory is gone afterwards: it
 * is the caller's, whatever the agent does.
 */
export function withResult<T>(stored: ResultView, use: (result: Address) => T): T {
  const owned: Address[] = [];
  const take = (bytes: number): { at: Address; view: DataView } => {
    const at = allocate(bytes);
    owned.push(at);
    return { at, view: viewAt(at, bytes) };
  };
  /** A block as C has it. */
  const takeBlock = (bytes: Uint8Array, at: number): Address => {
    const head = viewOf(bytes).getUint32(at);
    const size = head & MAX_VLEN;
    const block = take(pad4(size));
    block.view.setUint32(0, head, true);
    const payload = nativePayload(head >>> 24, bytes.subarray(at + 4, at + size));
    new Uint8Array(block.view.buffer).set(payload, 4);
    return block.at;
  };
  try {
    const result = take(RESULT.SETS + 8 * stored.numpmid);
    result.view.setInt32(RESULT.NUMPMID, stored.numpmid, true);
    const from = stored.sets();
    for (let index = 0; from.next(); index++) {
      const { numval, valfmt } = from;
      const set = take(SET.VALUES + SET.VALUE_BYTES * Math.max(numval, 1));
      result.view.setBigUint64(RESULT.SETS + 8 * index, BigInt(set.at), true);
      set.view.setUint32(SET.PMID, from.pmid, true);
      set.view.setInt32(SET.NUMVAL, numval, true);
      set.view.setInt32(SET.VALFMT, valfmt, true);
      for (let i = 0; i < numval; i++) {
        const at = SET.VALUES + SET.VALUE_BYTES * i;
        set.view.setInt32(at, from.instance(i), true);
        if (valfmt === PM_VAL.INSITU) set.view.setUint32(at + 8, from.word(i), true);
        else set.view.setBigUint64(at + 8, BigInt(takeBlock(from.bytes, from.block(i))), true);
      }
    }
    return use(result.at);
  } finally {
    owned.forEach(release);
  }
}
