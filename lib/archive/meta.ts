// Any metadata record by its type word (spec archive.md 3.2): the table of kinds over desc.ts,
// indom.ts, labelset.ts and helptext.ts. Refused: other types with PM_ERR_RECTYPE, frames whose
// lengths differ with PM_ERR_LOGREC.
import { PM_ERR, viewOf } from "../base/mod.ts";
import { decodeDesc, type DescRecord, encodeDesc } from "./desc.ts";
import { archiveError, NO_PLACE, type RecordPlace } from "./fault.ts";
import { META_HEAD, META_TYPE, TRAILER } from "./frame.ts";
import { decodeText, encodeText, type TextRecord } from "./helptext.ts";
import { decodeIndom, encodeIndom, type IndomRecord } from "./indom.ts";
import { decodeLabelSets, encodeLabelSets, type LabelSetRecord } from "./labelset.ts";
import type { ArchiveVersion } from "./timestamp.ts";

/** Any metadata record. */
export type MetaRecord = DescRecord | IndomRecord | LabelSetRecord | TextRecord;

/** Checks the frame of a whole record and gives its type word. */
export function metaType(bytes: Uint8Array, place: RecordPlace = NO_PLACE): number {
  const refuse = (reason: string) => archiveError(PM_ERR.LOGREC, "metadata record", place, reason);
  if (bytes.length < META_HEAD + TRAILER) throw refuse(`${bytes.length} bytes are too short`);
  const view = viewOf(bytes);
  const length = view.getInt32(0);
  if (length !== bytes.length) throw refuse(`length ${length}, ${bytes.length} bytes`);
  const trailer = view.getInt32(length - TRAILER);
  if (trailer !== length) throw refuse(`length ${length} at its start, ${trailer} at its end`);
  return view.getInt32(4);
}

/** The error for a type word that no record has. */
export const unknownType = (type: number, place: RecordPlace): Error =>
  archiveError(PM_ERR.RECTYPE, "metadata record", place, `record type ${type} is not known`);

/** Reads a whole record of any kind, its length words included. */
export function decodeMeta(bytes: Uint8Array, place: RecordPlace = NO_PLACE): MetaRecord {
  const type = metaType(bytes, place);
  switch (type) {
    case META_TYPE.DESC:
      return decodeDesc(bytes, place);
    case META_TYPE.INDOM_V2:
    case META_TYPE.INDOM:
    case META_TYPE.INDOM_DELTA:
      return decodeIndom(bytes, place);
    case META_TYPE.LABEL_V2:
    case META_TYPE.LABEL:
      return decodeLabelSets(bytes, place);
    case META_TYPE.TEXT:
      return decodeText(bytes, place);
    default:
      throw unknownType(type, place);
  }
}

/** The whole record for an archive of `version`, its length words included. */
export function encodeMeta(version: ArchiveVersion, record: MetaRecord): Uint8Array {
  switch (record.kind) {
    case "desc":
      return encodeDesc(record);
    case "indom":
      return encodeIndom(version, record);
    case "labels":
      return encodeLabelSets(version, record);
    case "text":
      return encodeText(record);
    default:
      return record satisfies never;
  }
}
