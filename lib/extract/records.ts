// Metadata records of one input as they are read: their bodies with the few fields that the merge asks
// for. Bodies that repeat one another, as those of archives of one host do, share their memory. Refused
// while reading: what the library refuses on opening (spec archive.md 5.3), with its codes.
import { viewOf, Writer } from "../base/mod.ts";
import {
  type ArchiveVersion,
  checkLabelSets,
  type LookAtMeta,
  META_TYPE,
  putTime,
  type RecordPlace,
  textHead,
  timeAt,
  timeBytes,
  viewIndom,
} from "../archive/mod.ts";
import type { Timestamp } from "../pcp/mod.ts";

/** One record. */
export interface MetaEntry {
  /** META_TYPE */
  readonly type: number;
  /** What stands between the type (and the time, where there is one) and the last length word. */
  readonly body: Uint8Array;
  /** PMID, instance domain or identifier of labels. */
  readonly ident: number;
  /** Level of label sets, bits of a text's type; 0 for others. */
  readonly kind: number;
  /** 0 for records without a time. */
  readonly sec: number;
  readonly nsec: number;
}

/** Bytes of the length and type words before a record's time or body. */
const HEAD = 8;
const TRAILER = 4;

/** Bytes shared by equal records. */
export class BytesPool {
  private readonly known = new Map<number | bigint, Uint8Array[]>();

  /** A copy of `bytes`, or that of equal bytes given before. */
  keep(bytes: Uint8Array): Uint8Array {
    const hash = Bun.hash(bytes);
    const list = this.known.get(hash);
    const found = list?.find((each) => Buffer.compare(each, bytes) === 0);
    if (found !== undefined) return found;
    const copy = bytes.slice();
    if (list === undefined) this.known.set(hash, [copy]);
    else list.push(copy);
    return copy;
  }
}

/** Whether a type of record has a time. */
const isTimed = (type: number): boolean => type !== META_TYPE.DESC && type !== META_TYPE.TEXT;

/** Whether a record is about instances. */
export const isIndom = (type: number): boolean =>
  type === META_TYPE.INDOM || type === META_TYPE.INDOM_DELTA || type === META_TYPE.INDOM_V2;

/** Whether a record holds label sets. */
export const isLabels = (type: number): boolean =>
  type === META_TYPE.LABEL || type === META_TYPE.LABEL_V2;

/** The archive version whose form of time a record has. */
const formOf = (type: number): ArchiveVersion =>
  type === META_TYPE.INDOM_V2 || type === META_TYPE.LABEL_V2 ? 2 : 3;

function entryOf(
  type: number,
  bytes: Uint8Array,
  place: RecordPlace,
  keep: (body: Uint8Array) => Uint8Array,
): MetaEntry {
  let ident: number;
  let kind = 0;
  if (type === META_TYPE.DESC) ident = viewOf(bytes).getUint32(HEAD);
  else if (type === META_TYPE.TEXT) ({ ident, type: kind } = textHead(bytes, place));
  else if (isLabels(type)) ({ ident, type: kind } = checkLabelSets(bytes, place));
  else ident = viewIndom(bytes, place).indom;
  const form = formOf(type);
  const from = isTimed(type) ? HEAD + timeBytes(form) : HEAD;
  const body = keep(bytes.subarray(from, bytes.length - TRAILER));
  const { sec, nsec } = isTimed(type) ? timeAt(viewOf(bytes), HEAD, form) : { sec: 0, nsec: 0 };
  return { type, body, ident, kind, sec, nsec };
}

/** Puts a whole record together, with another time where it has one. */
export function metaRecord(
  version: ArchiveVersion,
  type: number,
  body: Uint8Array,
  time: Timestamp,
): Uint8Array {
  const out = new Writer();
  const timed = isTimed(type);
  const length = HEAD + (timed ? timeBytes(version) : 0) + body.length + TRAILER;
  out.i32(length).i32(type);
  if (timed) putTime(out, version, time);
  return out.put(body).i32(length).finish();
}

/**
 * Keeps every record of an archive in the order of the file, as openArchive shows them. Descriptors go
 * to the catalog too, for their checks and names, instances with `withInstances`; the rest is checked
 * here and nowhere else.
 */
export function collectEntries(
  pool: BytesPool,
  withInstances: boolean,
): { readonly entries: MetaEntry[]; readonly look: LookAtMeta } {
  const entries: MetaEntry[] = [];
  const keep = (body: Uint8Array): Uint8Array => pool.keep(body);
  const look: LookAtMeta = (type, bytes, place) => {
    entries.push(entryOf(type, bytes, place, keep));
    return type === META_TYPE.DESC || (withInstances && isIndom(type));
  };
  return { entries, look };
}
