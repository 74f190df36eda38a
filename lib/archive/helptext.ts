// Help text records (spec archive.md 3.2, TEXT): one-line or long text of a metric or an instance
// domain, alike in both versions. Refused with PM_ERR_LOGREC: records too short for their fixed part.
import { PM_ERR, utf8, utf8Text, viewOf } from "../base/mod.ts";
import { archiveError, NO_PLACE, type RecordPlace } from "./fault.ts";
import { frame, META_HEAD, META_TYPE, TRAILER } from "./frame.ts";

/** Bits of a text's type: one of the first two and one of the last two. */
export const PM_TEXT = { ONELINE: 1, HELP: 2, PMID: 4, INDOM: 8 } as const;

/** A text; `ident` is a PMID or an instance domain, as `type` says. */
export interface TextRecord {
  readonly kind: "text";
  readonly type: number;
  readonly ident: number;
  readonly text: string;
}

const KIND = "help text record";
const TEXT_AT = META_HEAD + 8;

/** Type and identifier of a whole record; checks that these fit. */
export function textHead(
  bytes: Uint8Array,
  place: RecordPlace = NO_PLACE,
): { readonly type: number; readonly ident: number } {
  if (bytes.length < TEXT_AT + TRAILER) {
    throw archiveError(PM_ERR.LOGREC, KIND, place, `${bytes.length} bytes are too short`);
  }
  const view = viewOf(bytes);
  return { type: view.getInt32(META_HEAD), ident: view.getUint32(META_HEAD + 4) };
}

/** Whether a type says both what the text is and what it is about; others are skipped on loading. */
export const isTextType = (type: number): boolean => (type & 3) !== 0 && (type & 12) !== 0;

/** Reads a whole record, its length words included. */
export function decodeText(bytes: Uint8Array, place: RecordPlace = NO_PLACE): TextRecord {
  const { type, ident } = textHead(bytes, place);
  const field = bytes.subarray(TEXT_AT, bytes.length - TRAILER);
  const nul = field.indexOf(0);
  return { kind: "text", type, ident, text: utf8Text(nul < 0 ? field : field.subarray(0, nul)) };
}

/** The whole record, its length words included. */
export const encodeText = ({ type, ident, text }: TextRecord): Uint8Array =>
  frame(META_TYPE.TEXT, (out) => {
    out.i32(type).u32(ident).put(utf8(text)).u8(0);
  });
