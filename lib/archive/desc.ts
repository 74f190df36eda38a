// Descriptor records (spec archive.md 3.2, DESC): one metric with all its names, alike in both
// versions. Refused with PM_ERR_LOGREC: names that do not fit the record.
import { bufferOf, PM_ERR, utf8, viewOf, type Writer } from "../base/mod.ts";
import { asIndom, asPmid, type Desc } from "../pcp/mod.ts";
import { archiveError, NO_PLACE, type RecordPlace } from "./fault.ts";
import { frame, META_TYPE, TRAILER } from "./frame.ts";

/** A metric as the metadata file has it. */
export interface DescRecord {
  readonly kind: "desc";
  readonly desc: Desc;
  readonly names: readonly string[];
}

const KIND = "descriptor record";

/** Offsets of the fields in a record; the names follow their count. */
const AT = { pmid: 8, type: 12, indom: 16, sem: 20, units: 24, count: 28, names: 32 } as const;

/** Reads a whole record, its length words included. */
export function decodeDesc(bytes: Uint8Array, place: RecordPlace = NO_PLACE): DescRecord {
  const view = viewOf(bytes);
  const desc = descAt(view, 0, bytes.length, place);
  const names: string[] = [];
  eachDescName(bufferOf(bytes), view, 0, bytes.length, place, (name) => names.push(name));
  return { kind: "desc", desc, names };
}

/** The descriptor of the whole record at `[at, at + length)`. */
export function descAt(view: DataView, at: number, length: number, place: RecordPlace): Desc {
  if (length < AT.count + TRAILER) throw refusal(place, `${length} bytes are too short`);
  return {
    pmid: asPmid(view.getUint32(at + AT.pmid)),
    type: view.getInt32(at + AT.type),
    indom: asIndom(view.getUint32(at + AT.indom)),
    sem: view.getInt32(at + AT.sem),
    units: view.getUint32(at + AT.units),
  };
}

/** Gives the names of the same record, in `bytes`, over which `view` is, one by one to `take`. */
export function eachDescName(
  bytes: Buffer,
  view: DataView,
  at: number,
  length: number,
  place: RecordPlace,
  take: (name: string) => void,
): void {
  const end = at + length - TRAILER;
  // Writers leave the count out of a record without names.
  if (end === at + AT.count) return;
  if (end < at + AT.names) throw refusal(place, `${length} bytes are too short for a count`);
  const count = view.getInt32(at + AT.count);
  let next = at + AT.names;
  if (count < 0 || count > (end - next) / 4) throw refusal(place, `${count} names do not fit`);
  for (let i = 0; i < count; i++) {
    const size = end - next < 4 ? -1 : view.getInt32(next);
    next += 4;
    if (size < 0 || size > end - next) {
      throw refusal(place, `a name of ${size} bytes does not fit`);
    }
    take(bytes.toString("utf8", next, next + size));
    next += size;
  }
}

const refusal = (place: RecordPlace, reason: string): Error =>
  archiveError(PM_ERR.LOGREC, KIND, place, reason);

/** The whole record, its length words included. */
export function encodeDesc({ desc, names }: DescRecord): Uint8Array {
  return frame(META_TYPE.DESC, (out: Writer) => {
    out.u32(desc.pmid).i32(desc.type).u32(desc.indom).i32(desc.sem).u32(desc.units);
    out.i32(names.length);
    for (const name of names) {
      const text = utf8(name);
      out.i32(text.length).put(text);
    }
  });
}
