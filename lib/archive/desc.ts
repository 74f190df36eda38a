// Descriptor records (spec archive.md 3.2, DESC): one metric with all its names, alike in both
// versions. Refused with PM_ERR_LOGREC: names that do not fit the record.
import { PM_ERR, type Reader, utf8, utf8Text, type Writer } from "../base/mod.ts";
import { asIndom, asPmid, type Desc } from "../pcp/mod.ts";
import { archiveError, NO_PLACE, type RecordPlace, within } from "./fault.ts";
import { frame, META_TYPE, unframed } from "./frame.ts";

/** A metric as the metadata file has it. */
export interface DescRecord {
  readonly kind: "desc";
  readonly desc: Desc;
  readonly names: readonly string[];
}

const KIND = "descriptor record";

/** Reads a whole record, its length words included. */
export function decodeDesc(bytes: Uint8Array, place: RecordPlace = NO_PLACE): DescRecord {
  return within(PM_ERR.LOGREC, KIND, place, () => {
    const body = unframed(bytes);
    const pmid = asPmid(body.u32());
    const type = body.i32();
    const indom = asIndom(body.u32());
    const sem = body.i32();
    const units = body.u32();
    // Writers leave the count out of a record without names.
    const count = body.remaining === 0 ? 0 : body.i32();
    const refuse = (reason: string) => archiveError(PM_ERR.LOGREC, KIND, place, reason);
    if (count < 0 || count > body.remaining / 4) throw refuse(`${count} names do not fit`);
    const names: string[] = [];
    for (let i = 0; i < count; i++) names.push(readName(body, refuse));
    return { kind: "desc", desc: { pmid, type, indom, sem, units }, names };
  });
}

function readName(body: Reader, refuse: (reason: string) => Error): string {
  const length = body.i32();
  if (length < 0 || length > body.remaining) throw refuse(`a name of ${length} bytes does not fit`);
  return utf8Text(body.slice(length));
}

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
