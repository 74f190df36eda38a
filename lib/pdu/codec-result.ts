// Layouts of RESULT and HIGHRES_RESULT around the value sets of lib/pcp (spec pdu.md 3.5, 3.6, 4).
// A decoded result is a view on the PDU: nothing is copied. Refuses value sets that break the
// placement rules and event arrays whose records leave their block, as 7.2.1 does.
import {
  checkEvents,
  checkValueSets,
  MAX_VLEN,
  measureValueSets,
  PM_VAL,
  type ResultInit,
  ResultView,
  type ResultWriter,
  type Timestamp,
  writeValueSets,
} from "../pcp/mod.ts";
import { pad4, type Reader, viewOf, type Writer } from "../base/mod.ts";
import { checkedSize, entry, malformed, type PduEntry } from "./codec-entry.ts";
import { HEADER_BYTES } from "./frame.ts";
import { type HighresResultPdu, PDU_TYPE, type ResultPdu } from "./types.ts";

const RESULT_SETS_AT = 24;
const HIGHRES_SETS_AT = 32;
const NSEC_PER_USEC = 1000;
const TWO_TO_32 = 0x100000000;

function readSets(body: Reader, sec: number, nsec: number, numpmid: number): ResultView {
  const { bytes, position, end, view } = body;
  const result = new ResultView(bytes, { sec, nsec }, numpmid, position, 0, view);
  checkValueSets(result, end, checkEvents);
  return result;
}

/** Reads an int64 of a time stamp; doubles hold every time there is. */
function readTimeWord(name: string, body: Reader): number {
  const at = body.position;
  const high = body.i32();
  const value = high * TWO_TO_32 + body.u32();
  if (!Number.isSafeInteger(value)) throw malformed(name, at, "time stamp out of range");
  return value;
}

const writeTimeWord = (value: number, out: Writer): void => {
  out.i32(Math.floor(value / TWO_TO_32)).u32(value);
};

/** Where the sets and the blocks of a view lie in its bytes; without blocks both block ends are 0. */
interface Extent {
  readonly setsEnd: number;
  readonly blocksAt: number;
  readonly end: number;
}

function extentOf(result: ResultView): Extent {
  const view = viewOf(result.bytes);
  const sets = result.sets();
  let setsEnd = result.setsAt;
  let blocksAt = 0;
  let end = 0;
  while (sets.next()) {
    setsEnd = sets.offset + (sets.numval > 0 ? 12 + 8 * sets.numval : 8);
    if (sets.numval <= 0 || sets.valfmt === PM_VAL.INSITU) continue;
    if (blocksAt === 0) blocksAt = sets.block(0);
    const last = sets.block(sets.numval - 1);
    end = last + pad4(view.getUint32(last) & MAX_VLEN);
  }
  return { setsEnd, blocksAt, end };
}

function extentSize(result: ResultView): number {
  const { setsEnd, blocksAt, end } = extentOf(result);
  return setsEnd - result.setsAt + end - blocksAt;
}

/** Copies sets and blocks of a view to byte `setsAt` of `out`, moving the block indexes along. */
function copySets(result: ResultView, setsAt: number, out: Writer): void {
  const { bytes } = result;
  const { setsEnd, blocksAt, end } = extentOf(result);
  const start = out.length;
  out.put(bytes.subarray(result.setsAt, setsEnd));
  if (end === 0) return;
  out.put(bytes.subarray(blocksAt, end));
  // Byte B of `bytes` is now byte B + shift of the PDU, and its index counts from byte 0.
  const shift = setsAt + (setsEnd - result.setsAt) - blocksAt;
  for (const again = result.sets(); again.next();) {
    if (again.valfmt === PM_VAL.INSITU) continue;
    const values = start + again.offset - result.setsAt + 12;
    for (let i = 0; i < again.numval; i++)
      out.patchI32(values + 8 * i + 4, (again.block(i) + shift) / 4);
  }
}

const resultEntry = entry<ResultPdu>({
  type: PDU_TYPE.RESULT,
  name: "RESULT",
  directions: ["D>C", "A>D", "C>D", "D>A"],
  kinds: ["result"],
  decode(from, body) {
    const sec = body.u32();
    const nsec = body.u32() * NSEC_PER_USEC;
    const numpmid = body.i32();
    return { kind: "result", from, result: readSets(body, sec, nsec, numpmid) };
  },
  size: ({ result }) => RESULT_SETS_AT - HEADER_BYTES + extentSize(result),
  encode({ result }, out) {
    const { sec, nsec } = result.timestamp;
    out
      .u32(sec)
      .u32(Math.floor(nsec / NSEC_PER_USEC))
      .i32(result.numpmid);
    copySets(result, RESULT_SETS_AT, out);
  },
});

const highresResultEntry = entry<HighresResultPdu>({
  type: PDU_TYPE.HIGHRES_RESULT,
  name: "HIGHRES_RESULT",
  directions: ["D>C"],
  kinds: ["highres-result"],
  decode(from, body) {
    const numpmid = body.i32();
    const sec = readTimeWord("HIGHRES_RESULT", body);
    const nsec = readTimeWord("HIGHRES_RESULT", body);
    return {
      kind: "highres-result",
      from,
      result: readSets(body, sec, nsec, numpmid),
    };
  },
  size: ({ result }) => HIGHRES_SETS_AT - HEADER_BYTES + extentSize(result),
  encode({ result }, out) {
    out.i32(result.numpmid);
    writeTimeWord(result.timestamp.sec, out);
    writeTimeWord(result.timestamp.nsec, out);
    copySets(result, HIGHRES_SETS_AT, out);
  },
});

/** Rows of the PDU table for results. */
export const RESULT_ENTRIES: readonly PduEntry[] = [resultEntry, highresResultEntry];

/** Fills the head of a RESULT, or HIGHRES_RESULT, of `numpmid` sets. */
function writeHead(
  bytes: Uint8Array,
  from: number,
  { sec, nsec }: Timestamp,
  numpmid: number,
  highres: boolean,
): void {
  const view = viewOf(bytes);
  view.setInt32(0, bytes.length);
  view.setInt32(4, highres ? PDU_TYPE.HIGHRES_RESULT : PDU_TYPE.RESULT);
  view.setInt32(8, from);
  if (highres) {
    view.setInt32(12, numpmid);
    view.setBigInt64(16, BigInt(sec));
    view.setBigInt64(24, BigInt(nsec));
  } else {
    view.setUint32(12, sec);
    view.setUint32(16, Math.floor(nsec / NSEC_PER_USEC));
    view.setInt32(20, numpmid);
  }
}

/**
 * RESULT, or HIGHRES_RESULT when `highres`, of values that a program holds (spec pdu.md 3.5, 3.6).
 * Throws PcpError PM_ERR_TOOBIG, PM_ERR_TYPE or PM_ERR_ARG for values that have no encoding.
 */
export function encodeResult(from: number, result: ResultInit, highres: boolean): Uint8Array {
  const size = measureValueSets(result.sets);
  const setsAt = highres ? HIGHRES_SETS_AT : RESULT_SETS_AT;
  const bytes = new Uint8Array(checkedSize("RESULT", setsAt + size.sets + size.blocks));
  writeHead(bytes, from, result.timestamp, result.sets.length, highres);
  writeValueSets(bytes, setsAt, result.sets, size);
  return bytes;
}

/** RESULT, or HIGHRES_RESULT when `highres`, of what a writer has taken. */
export function encodeWritten(
  from: number,
  written: ResultWriter,
  timestamp: Timestamp,
  highres: boolean,
): Uint8Array {
  const bytes = written.finish(highres ? HIGHRES_SETS_AT : RESULT_SETS_AT);
  writeHead(bytes, from, timestamp, written.count, highres);
  return bytes;
}
