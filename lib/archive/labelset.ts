// Label set records (spec archive.md 3.2, LABEL_V2, LABEL): the labels of one level and identifier
// from a time on. JSON texts stay bytes and are not parsed. Refused with PM_ERR_LOGREC: counts and
// texts that do not fit the record, JSON over 65535 bytes, more than 255 labels.
import { MAX_LABEL_JSON_BYTES, MAX_LABELS, PM_ERR, type Reader, viewOf } from "../base/mod.ts";
import {
  asInstance,
  LABEL_RECORD_BYTES,
  type LabelRecord,
  type LabelSet,
  type Timestamp,
} from "../pcp/mod.ts";
import { archiveError, NO_PLACE, type RecordPlace, within } from "./fault.ts";
import { frame, META_HEAD, META_TYPE, TRAILER, unframed } from "./frame.ts";
import { type ArchiveVersion, putTime, timeAt, timeBytes } from "./timestamp.ts";

/** A label set in an archive; `error` is a negative code in the place of labels, else 0. */
export interface ArchiveLabelSet extends LabelSet {
  readonly error: number;
}

/** Label sets of one level (PM_LABEL) and identifier. */
export interface LabelSetRecord {
  readonly kind: "labels";
  readonly timestamp: Timestamp;
  readonly type: number;
  readonly ident: number;
  readonly sets: readonly ArchiveLabelSet[];
}

/** What a record is about, without its sets. */
export interface LabelSetHead {
  readonly timestamp: Timestamp;
  readonly type: number;
  readonly ident: number;
  readonly count: number;
}

const KIND = "label set record";
const SET_BYTES = 12;

const versionOf = (bytes: Uint8Array): ArchiveVersion =>
  viewOf(bytes).getInt32(4) === META_TYPE.LABEL_V2 ? 2 : 3;

/** Reads time, level, identifier and number of sets of a whole record; checks that these fit. */
export function labelSetHead(bytes: Uint8Array, place: RecordPlace = NO_PLACE): LabelSetHead {
  const version = versionOf(bytes);
  const at = META_HEAD + timeBytes(version);
  const refuse = (reason: string) => archiveError(PM_ERR.LOGREC, KIND, place, reason);
  const room = bytes.length - TRAILER - at - 12;
  if (room < 0) throw refuse(`${bytes.length} bytes are too short`);
  const view = viewOf(bytes);
  const count = view.getInt32(at + 8);
  if (count < 0 || count > room / SET_BYTES) throw refuse(`${count} label sets do not fit`);
  return {
    timestamp: timeAt(view, META_HEAD, version),
    type: view.getInt32(at),
    ident: view.getUint32(at + 4),
    count,
  };
}

function readRecord(body: Reader): LabelRecord {
  const nameOffset = body.u16();
  const nameLength = body.u8();
  const flags = body.u8();
  const valueOffset = body.u16();
  const valueLength = body.u16();
  return { nameOffset, nameLength, flags, valueOffset, valueLength };
}

/** Reads a set, or only checks it and steps over it when `records` is false. */
function readSet(
  body: Reader,
  refuse: (reason: string) => Error,
  records: boolean,
): ArchiveLabelSet {
  const instance = asInstance(body.i32());
  const jsonLength = body.i32();
  if (jsonLength < 0 || jsonLength > MAX_LABEL_JSON_BYTES) {
    throw refuse(`JSON text of ${jsonLength} bytes`);
  }
  const json = body.slice(jsonLength);
  const count = body.i32();
  if (count > MAX_LABELS || count > body.remaining / LABEL_RECORD_BYTES) {
    throw refuse(`${count} labels do not fit`);
  }
  const found: LabelRecord[] = [];
  if (records) for (let i = 0; i < count; i++) found.push(readRecord(body));
  else if (count > 0) body.skip(count * LABEL_RECORD_BYTES);
  return { instance, json, records: found, error: Math.min(count, 0) };
}

function readSets(bytes: Uint8Array, place: RecordPlace, records: boolean): LabelSetRecord {
  const { timestamp, type, ident, count } = labelSetHead(bytes, place);
  const refuse = (reason: string) => archiveError(PM_ERR.LOGREC, KIND, place, reason);
  return within(PM_ERR.LOGREC, KIND, place, () => {
    const body = unframed(bytes);
    body.skip(timeBytes(versionOf(bytes)) + 12);
    const sets: ArchiveLabelSet[] = [];
    for (let i = 0; i < count; i++) {
      const set = readSet(body, refuse, records);
      if (records) sets.push(set);
    }
    return { kind: "labels", timestamp, type, ident, sets };
  });
}

/** What a whole record says without its time: equal for records that repeat one another. */
export const labelSetsBody = (bytes: Uint8Array): Uint8Array =>
  bytes.subarray(META_HEAD + timeBytes(versionOf(bytes)), bytes.length - TRAILER);

/** Checks a whole record without keeping anything of it but its head. */
export function checkLabelSets(bytes: Uint8Array, place: RecordPlace = NO_PLACE): LabelSetHead {
  readSets(bytes, place, false);
  return labelSetHead(bytes, place);
}

/** Reads a whole record, its length words included; JSON texts share its memory. */
export const decodeLabelSets = (bytes: Uint8Array, place: RecordPlace = NO_PLACE): LabelSetRecord =>
  readSets(bytes, place, true);

/** The whole record, its length words included. Throws PM_ERR_TOOBIG for a set over the limits. */
export function encodeLabelSets(version: ArchiveVersion, record: LabelSetRecord): Uint8Array {
  return frame(version === 2 ? META_TYPE.LABEL_V2 : META_TYPE.LABEL, (out) => {
    putTime(out, version, record.timestamp);
    out.i32(record.type).u32(record.ident).i32(record.sets.length);
    for (const { instance, json, records, error } of record.sets) {
      if (json.length > MAX_LABEL_JSON_BYTES || records.length > MAX_LABELS) {
        const reason = `${records.length} labels in ${json.length} bytes of JSON`;
        throw archiveError(PM_ERR.TOOBIG, KIND, NO_PLACE, reason);
      }
      out.i32(instance).i32(json.length).put(json);
      out.i32(error < 0 ? error : records.length);
      for (const { nameOffset, nameLength, flags, valueOffset, valueLength } of records) {
        out.u16(nameOffset).u8(nameLength).u8(flags).u16(valueOffset).u16(valueLength);
      }
    }
  });
}
