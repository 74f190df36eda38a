// Data records of volumes (spec archive.md 3.1): a time, value sets and value blocks in one frame. A
// record is read where it lies, as a ResultView. Refused with PM_ERR_LOGREC: lengths that differ and
// everything that breaks the placement rules of value sets.
import { pad4, PM_ERR, PcpError, viewOf } from "../base/mod.ts";
import {
  checkValueSets,
  findSets,
  MAX_VLEN,
  measureValueSets,
  type Pmid,
  PM_VAL,
  type ResultInit,
  ResultView,
  type Timestamp,
  ValueSetCursor,
  writeValueSets,
} from "../pcp/mod.ts";
import { archiveError, NO_PLACE, type RecordPlace } from "./fault.ts";
import { TRAILER } from "./frame.ts";
import { type ArchiveVersion, setTime, timeAt, timeBytes } from "./timestamp.ts";

/** Offset of the first value set in a record. */
export const dataHead = (version: ArchiveVersion): number => 8 + timeBytes(version);
/** Bytes of the shortest data record, a mark. */
export const markBytes = (version: ArchiveVersion): number => dataHead(version) + TRAILER;
/** A block index counts words from this many bytes before its record. */
const WORD_BASE = -8;

const KIND = "data record";
const NO_TIME: Timestamp = { sec: 0, nsec: 0 };
/** Where sets were found last. */
const offsets: number[] = [];

/**
 * The result in `bytes[at, at + length)`, a whole record whose frame was checked; checks the rest.
 * `place` is that of the record in its file, `view` one over `bytes`.
 */
export function resultAt(
  bytes: Uint8Array,
  at: number,
  length: number,
  version: ArchiveVersion,
  place: RecordPlace,
  view: DataView = viewOf(bytes),
): ResultView {
  const setsAt = at + dataHead(version);
  const numpmid = view.getInt32(setsAt - 4);
  const time = timeAt(view, at + 4, version);
  const result = new ResultView(bytes, time, numpmid, setsAt, at + WORD_BASE, view);
  try {
    checkValueSets(result, at + length - TRAILER);
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
    // The offset that the check names is one in `bytes`, of no use to who has the file.
    const reason = error.message.replace(
      /^value sets broken at offset (\d+)/,
      (_, offset) => `value sets broken at its byte ${Number(offset) - at}`,
    );
    throw archiveError(PM_ERR.LOGREC, KIND, place, reason);
  }
  return result;
}

/**
 * The sets of a few metrics of a record as above, told one by one; the rest of the record is only stepped
 * over. False, and nothing told, for what does not hold: resultAt says what.
 */
export function findSetsAt(
  bytes: Uint8Array,
  at: number,
  length: number,
  version: ArchiveVersion,
  view: DataView,
  pmids: readonly Pmid[],
  take: (set: ValueSetCursor) => void,
): boolean {
  const first = at + dataHead(version);
  const numpmid = view.getInt32(first - 4);
  const result = new ResultView(bytes, NO_TIME, numpmid, first, at + WORD_BASE, view);
  const count = findSets(result, at + length - TRAILER, pmids, offsets);
  for (let which = 0; which < count; which++) {
    const set = new ValueSetCursor(bytes, view, offsets[which] ?? 0, 1, at + WORD_BASE);
    set.next();
    take(set);
  }
  return count >= 0;
}

/** Checks the frame of a whole record and reads it. */
export function decodeData(
  bytes: Uint8Array,
  version: ArchiveVersion,
  place: RecordPlace = NO_PLACE,
): ResultView {
  const refuse = (reason: string) => archiveError(PM_ERR.LOGREC, KIND, place, reason);
  if (bytes.length < markBytes(version)) throw refuse(`${bytes.length} bytes are too short`);
  const view = viewOf(bytes);
  const length = view.getInt32(0);
  if (length !== bytes.length) throw refuse(`length ${length}, ${bytes.length} bytes`);
  const trailer = view.getInt32(length - TRAILER);
  if (trailer !== length) throw refuse(`length ${length} at its start, ${trailer} at its end`);
  return resultAt(bytes, 0, length, version, place);
}

function framed(
  version: ArchiveVersion,
  timestamp: Timestamp,
  numpmid: number,
  bodyBytes: number,
): Uint8Array {
  const length = markBytes(version) + bodyBytes;
  if (length > 0x7fffffff) {
    throw archiveError(PM_ERR.TOOBIG, KIND, NO_PLACE, `${length} bytes are too long`);
  }
  const bytes = new Uint8Array(length);
  const view = viewOf(bytes);
  view.setInt32(0, length);
  setTime(view, 4, version, timestamp);
  view.setInt32(dataHead(version) - 4, numpmid);
  view.setInt32(length - TRAILER, length);
  return bytes;
}

/** A mark record. */
export const encodeMark = (version: ArchiveVersion, timestamp: Timestamp): Uint8Array =>
  framed(version, timestamp, 0, 0);

/** The record of a result in its plain form. */
export function encodeResult(version: ArchiveVersion, result: ResultInit): Uint8Array {
  const size = measureValueSets(result.sets);
  const count = result.sets.length;
  const bytes = framed(version, result.timestamp, count, size.sets + size.blocks);
  writeValueSets(bytes, dataHead(version), result.sets, size, WORD_BASE);
  return bytes;
}

/** Bytes that the sets and blocks of a result take in a record. */
function measureView(result: ResultView): number {
  let size = 0;
  for (const set = result.sets(); set.next();) {
    size += set.numval > 0 ? 12 + 8 * set.numval : 8;
    if (set.valfmt === PM_VAL.INSITU) continue;
    for (let i = 0; i < set.numval; i++) {
      size += pad4(set.view.getUint32(set.block(i)) & MAX_VLEN);
    }
  }
  return size;
}

/** Bytes that the sets of a result take, without the blocks. */
function measureSets(result: ResultView): number {
  let size = 0;
  for (const set = result.sets(); set.next();) size += set.numval > 0 ? 12 + 8 * set.numval : 8;
  return size;
}

/**
 * The record of a checked result that lies in a PDU or in a record of either version: sets and
 * blocks are copied as they are, padding included (old writers pad with NUL), block indexes made anew. `timestamp` replaces the result's.
 */
export function encodeData(
  version: ArchiveVersion,
  result: ResultView,
  timestamp: Timestamp = result.timestamp,
): Uint8Array {
  const bytes = framed(version, timestamp, result.numpmid, measureView(result));
  const view = viewOf(bytes);
  let at = dataHead(version);
  let block = at + measureSets(result);
  for (const set = result.sets(); set.next();) {
    const size = set.numval > 0 ? 12 + 8 * set.numval : 8;
    bytes.set(set.bytes.subarray(set.offset, set.offset + size), at);
    if (set.valfmt !== PM_VAL.INSITU) {
      for (let i = 0; i < set.numval; i++) {
        const from = set.block(i);
        const vlen = set.view.getUint32(from) & MAX_VLEN;
        bytes.set(set.bytes.subarray(from, from + pad4(vlen)), block);
        view.setUint32(at + 16 + 8 * i, (block - WORD_BASE) / 4);
        block += pad4(vlen);
      }
    }
    at += size;
  }
  return bytes;
}
