// Metadata records of one input as they are read: their bodies with the few fields that the merge asks
// for. Bodies that repeat one another, as those of archives of one host do, share their memory. Refused
// while reading: what the library refuses on opening (spec archive.md 5.3), with its codes.
import { PcpError, viewOf, Writer } from "../base/mod.ts";
import {
  type ArchiveVersion,
  Catalog,
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

/** What a record says but for its time: one object for all records that are alike. */
export interface MetaContent {
  /** META_TYPE */
  readonly type: number;
  /** What stands between the type (and the time, where there is one) and the last length word. */
  readonly body: Uint8Array;
  /** PMID, instance domain or identifier of labels. */
  readonly ident: number;
  /** Level of label sets, bits of a text's type; 0 for others. */
  readonly kind: number;
}

/** The records of one input in the order of its file; times are 0 for records without one. */
export interface MetaEntries {
  readonly contents: MetaContent[];
  readonly seconds: number[];
  readonly nanoseconds: number[];
}

/** Bytes of the length and type words before a record's time or body. */
const HEAD = 8;
const TRAILER = 4;
const NO_TIME: Timestamp = { sec: 0, nsec: 0 };

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

/** Reads a record that was not seen before, and checks it. */
function contentOf(
  type: number,
  bytes: Uint8Array,
  place: RecordPlace,
  body: Uint8Array,
): MetaContent {
  if (type === META_TYPE.DESC) return { type, body, ident: viewOf(bytes).getUint32(HEAD), kind: 0 };
  if (isIndom(type)) return { type, body, ident: viewIndom(bytes, place).indom, kind: 0 };
  const read = type === META_TYPE.TEXT ? textHead : checkLabelSets;
  const { ident, type: kind } = read(bytes, place);
  return { type, body, ident, kind };
}

/** The contents of all inputs, each once. */
export class Contents {
  private readonly known = new Map<number, MetaContent[]>();
  /** Descriptors of all inputs that go together; those of an input that are in it need no check. */
  private readonly together = new Catalog();
  private readonly checked = new Set<MetaContent>();

  /** The content of a record; throws what is wrong with one that was not seen before. */
  of(type: number, bytes: Uint8Array, place: RecordPlace): MetaContent {
    const from = isTimed(type) ? HEAD + timeBytes(formOf(type)) : HEAD;
    const body = bytes.subarray(from, bytes.length - TRAILER);
    const hash = Bun.hash.xxHash32(body, type);
    const list = this.known.get(hash);
    const found = list?.find((each) => each.type === type && Buffer.compare(each.body, body) === 0);
    if (found !== undefined) return found;
    const content = contentOf(type, bytes, place, body.slice());
    if (list === undefined) this.known.set(hash, [content]);
    else list.push(content);
    return content;
  }

  /** Whether a descriptor agrees with all those of which this was said before. */
  agrees(content: MetaContent, bytes: Uint8Array, place: RecordPlace): boolean {
    if (this.checked.has(content)) return true;
    try {
      this.together.add(META_TYPE.DESC, bytes, place);
    } catch (error) {
      if (!(error instanceof PcpError)) throw error;
      return false;
    }
    this.checked.add(content);
    return true;
  }
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

/** The records of one input as they are read. */
export interface Collector {
  readonly entries: MetaEntries;
  readonly look: LookAtMeta;
  /** Whether the descriptors have to be checked by a catalog of their own. */
  readonly unsure: () => boolean;
}

/**
 * Keeps every record of an archive in the order of the file, as openArchive shows them. With
 * `catalogued` descriptors and instances go to the archive's catalog too.
 */
export function collectEntries(all: Contents, catalogued: boolean): Collector {
  const entries: MetaEntries = { contents: [], seconds: [], nanoseconds: [] };
  let unsure = false;
  const look: LookAtMeta = (type, bytes, place) => {
    const content = all.of(type, bytes, place);
    entries.contents.push(content);
    const form = formOf(type);
    const timed = isTimed(type);
    const view = timed ? viewOf(bytes) : undefined;
    const { sec, nsec } = view === undefined ? NO_TIME : timeAt(view, HEAD, form);
    entries.seconds.push(sec);
    entries.nanoseconds.push(nsec);
    if (catalogued) return type === META_TYPE.DESC || isIndom(type);
    if (type === META_TYPE.DESC && !all.agrees(content, bytes, place)) unsure = true;
    return false;
  };
  return { entries, look, unsure: () => unsure };
}
