// Layouts of LABEL_REQ and LABEL (spec pdu.md 3.12). JSON texts stay bytes and are not parsed here.
// Refuses sets, index records and texts that leave the PDU or their text, and bytes after the end
// of a LABEL; those after a LABEL_REQ are ignored, as 6.0.3 does.
import { asInstance, LABEL_RECORD_BYTES, type LabelRecord } from "../pcp/mod.ts";
import { MAX_LABEL_JSON_BYTES, MAX_LABELS, pad4, type Writer } from "../base/mod.ts";
import { entry, malformed, type PduEntry, readCount, unsendable } from "./codec-entry.ts";
import { type LabelPdu, type LabelReqPdu, type LabelSetEntry, PDU_TYPE } from "./types.ts";

const SET_BYTES = 16;
const LABEL_HEAD = 28;

const labelReqEntry = entry<LabelReqPdu>({
  type: PDU_TYPE.LABEL_REQ,
  name: "LABEL_REQ",
  directions: ["C>D", "D>A"],
  kinds: ["label-req"],
  decode(from, body) {
    const ident = body.u32();
    const type = body.i32();
    return { kind: "label-req", from, ident, type };
  },
  size: () => 8,
  encode(pdu, out) {
    out.u32(pdu.ident).i32(pdu.type);
  },
});

function checkRecord(at: number, label: LabelRecord, jsonLength: number): LabelRecord {
  if (label.nameOffset + label.nameLength > jsonLength)
    throw malformed("LABEL", at, `name ends after the ${jsonLength} bytes of JSON`);
  if (label.valueOffset + label.valueLength > jsonLength)
    throw malformed("LABEL", at, `value ends after the ${jsonLength} bytes of JSON`);
  return label;
}

const labelEntry = entry<LabelPdu>({
  type: PDU_TYPE.LABEL,
  name: "LABEL",
  directions: ["D>C", "A>D"],
  kinds: ["label"],
  decode(from, body) {
    const ident = body.u32();
    const type = body.i32();
    body.skip(4);
    const count = readCount("LABEL", body, SET_BYTES);
    const sets: LabelSetEntry[] = [];
    let last = LABEL_HEAD;
    for (let i = 0; i < count; i++) {
      const at = body.position;
      const instance = asInstance(body.i32());
      const size = body.i32();
      const json = body.u32();
      const jsonLength = body.u32();
      if (size >= MAX_LABELS || jsonLength >= MAX_LABEL_JSON_BYTES)
        throw malformed("LABEL", at, `${size} labels in ${jsonLength} bytes are too many`);
      if (json > body.end || jsonLength > body.end - json)
        throw malformed("LABEL", at, `JSON of ${jsonLength} bytes at ${json} leaves the PDU`);
      const records: LabelRecord[] = [];
      for (let j = 0; j < size; j++) {
        const index = {
          nameOffset: body.u16(),
          nameLength: body.u8(),
          flags: body.u8(),
          valueOffset: body.u16(),
          valueLength: body.u16(),
        };
        records.push(checkRecord(body.position - LABEL_RECORD_BYTES, index, jsonLength));
      }
      last = Math.max(last, body.position, json + jsonLength);
      sets.push({
        instance,
        error: Math.min(size, 0),
        records,
        json: body.bytes.subarray(json, json + jsonLength),
      });
    }
    if (body.end > pad4(last))
      throw malformed("LABEL", last, `${body.end - last} bytes after the last JSON text`);
    return { kind: "label", from, ident, type, sets };
  },
  size: ({ sets }) =>
    sets.reduce(
      (sum, { records, json }) =>
        sum + SET_BYTES + LABEL_RECORD_BYTES * records.length + json.length,
      16,
    ),
  encode(pdu, out) {
    out.u32(pdu.ident).i32(pdu.type).i32(0).i32(pdu.sets.length);
    let json = LABEL_HEAD;
    for (const { records } of pdu.sets) json += SET_BYTES + LABEL_RECORD_BYTES * records.length;
    for (const set of pdu.sets) json = writeSet(set, json, out);
    for (const set of pdu.sets) out.put(set.json);
  },
});

/** Writes a set whose text begins at byte `json` of the PDU; returns where the text ends. */
function writeSet(set: LabelSetEntry, json: number, out: Writer): number {
  const { records } = set;
  if (records.length >= MAX_LABELS || set.json.length >= MAX_LABEL_JSON_BYTES)
    throw unsendable("LABEL", `${records.length} labels in ${set.json.length} bytes of JSON`);
  if (set.error > 0 || (set.error < 0 && records.length > 0))
    throw unsendable("LABEL", `error ${set.error} with ${records.length} labels`);
  out.i32(set.instance).i32(set.error === 0 ? records.length : set.error);
  out.u32(json).u32(set.json.length);
  for (const label of records)
    out
      .u16(label.nameOffset)
      .u8(label.nameLength)
      .u8(label.flags)
      .u16(label.valueOffset)
      .u16(label.valueLength);
  return json + set.json.length;
}

/** Rows of the PDU table for labels. */
export const LABEL_ENTRIES: readonly PduEntry[] = [labelReqEntry, labelEntry];
