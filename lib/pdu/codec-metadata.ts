// Layouts of the metadata PDUs: descriptors, instances and help text (spec pdu.md 3.7 to 3.11).
// Refuses counts and name lengths outside the PDU. Bytes after the end are ignored where 6.0.3 or
// 7.2.1 ignores them; DESC_REQ, DESC and DESCS must have their exact length.
import { asIndom, asInstance, asPmid, type Desc } from "../pcp/mod.ts";
import type { Reader, Writer } from "../base/mod.ts";
import {
  entry,
  expectEnd,
  malformed,
  type PduEntry,
  readCount,
  readText,
  textSize,
  writeText,
} from "./codec-entry.ts";
import { readPmids } from "./codec-request.ts";
import {
  type DescIdsPdu,
  type DescPdu,
  type DescReqPdu,
  type DescsPdu,
  type InstanceEntry,
  type InstancePdu,
  type InstanceReqPdu,
  PDU_TYPE,
  type TextPdu,
  type TextReqPdu,
} from "./types.ts";

const DESC_BYTES = 20;
/** Bytes of one INSTANCE entry with an empty name. */
const LEAST_INSTANCE = 8;

const readDesc = (body: Reader): Desc => ({
  pmid: asPmid(body.u32()),
  type: body.i32(),
  indom: asIndom(body.u32()),
  sem: body.i32(),
  units: body.u32(),
});

const writeDesc = (desc: Desc, out: Writer): void => {
  out.u32(desc.pmid).i32(desc.type).u32(desc.indom).i32(desc.sem).u32(desc.units);
};

const descReqEntry = entry<DescReqPdu>({
  type: PDU_TYPE.DESC_REQ,
  name: "DESC_REQ",
  directions: ["C>D", "D>A"],
  kinds: ["desc-req"],
  decode(from, body) {
    const pmid = asPmid(body.u32());
    expectEnd("DESC_REQ", body);
    return { kind: "desc-req", from, pmid };
  },
  size: () => 4,
  encode(pdu, out) {
    out.u32(pdu.pmid);
  },
});

const descEntry = entry<DescPdu>({
  type: PDU_TYPE.DESC,
  name: "DESC",
  directions: ["D>C", "A>D"],
  kinds: ["desc"],
  decode(from, body) {
    const desc = readDesc(body);
    expectEnd("DESC", body);
    return { kind: "desc", from, desc };
  },
  size: () => DESC_BYTES,
  encode(pdu, out) {
    writeDesc(pdu.desc, out);
  },
});

/** The word that tells DESC_IDS from PMNS_IDS, which has the same layout. */
const DESC_IDS_STATUS = -1;

const descIdsEntry = entry<DescIdsPdu>({
  type: PDU_TYPE.DESC_IDS,
  name: "DESC_IDS",
  directions: ["C>D"],
  kinds: ["desc-ids"],
  decode(from, body) {
    const status = body.i32();
    if (status !== DESC_IDS_STATUS)
      throw malformed("DESC_IDS", 12, `first word ${status}, ${DESC_IDS_STATUS} wanted`);
    const pmids = readPmids(body, readCount("DESC_IDS", body, 4, 1));
    return { kind: "desc-ids", from, pmids };
  },
  size: (pdu) => 8 + 4 * pdu.pmids.length,
  encode(pdu, out) {
    out.i32(DESC_IDS_STATUS).i32(pdu.pmids.length);
    for (const pmid of pdu.pmids) out.u32(pmid);
  },
});

const descsEntry = entry<DescsPdu>({
  type: PDU_TYPE.DESCS,
  name: "DESCS",
  directions: ["D>C"],
  kinds: ["descs"],
  decode(from, body) {
    const count = readCount("DESCS", body, DESC_BYTES);
    const descs: Desc[] = [];
    for (let i = 0; i < count; i++) descs.push(readDesc(body));
    expectEnd("DESCS", body);
    return { kind: "descs", from, descs };
  },
  size: (pdu) => 4 + DESC_BYTES * pdu.descs.length,
  encode(pdu, out) {
    out.i32(pdu.descs.length);
    for (const desc of pdu.descs) writeDesc(desc, out);
  },
});

const instanceReqEntry = entry<InstanceReqPdu>({
  type: PDU_TYPE.INSTANCE_REQ,
  name: "INSTANCE_REQ",
  directions: ["C>D", "D>A"],
  kinds: ["instance-req"],
  decode(from, body) {
    const indom = asIndom(body.u32());
    body.skip(8);
    const instance = asInstance(body.i32());
    const name = readText("INSTANCE_REQ", body);
    return { kind: "instance-req", from, indom, instance, name };
  },
  size: (pdu) => 16 + textSize(pdu.name),
  encode(pdu, out) {
    out.u32(pdu.indom).i32(0).i32(0).i32(pdu.instance);
    writeText(pdu.name, out);
  },
});

const instanceEntry = entry<InstancePdu>({
  type: PDU_TYPE.INSTANCE,
  name: "INSTANCE",
  directions: ["D>C", "A>D"],
  kinds: ["instance"],
  decode(from, body) {
    const indom = asIndom(body.u32());
    const count = readCount("INSTANCE", body, LEAST_INSTANCE);
    const instances: InstanceEntry[] = [];
    for (let i = 0; i < count; i++)
      instances.push({
        instance: asInstance(body.i32()),
        name: readText("INSTANCE", body),
      });
    return { kind: "instance", from, indom, instances };
  },
  size: (pdu) => pdu.instances.reduce((sum, { name }) => sum + 4 + textSize(name), 8),
  encode(pdu, out) {
    out.u32(pdu.indom).i32(pdu.instances.length);
    for (const { instance, name } of pdu.instances) {
      out.i32(instance);
      writeText(name, out);
    }
  },
});

const textReqEntry = entry<TextReqPdu>({
  type: PDU_TYPE.TEXT_REQ,
  name: "TEXT_REQ",
  directions: ["C>D", "D>A"],
  kinds: ["text-req"],
  decode: (from, body) => ({ kind: "text-req", from, ident: body.u32(), type: body.i32() }),
  size: () => 8,
  encode(pdu, out) {
    out.u32(pdu.ident).i32(pdu.type);
  },
});

const swapped = (word: number): number =>
  ((word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)) >>> 0;

const textEntry = entry<TextPdu>({
  type: PDU_TYPE.TEXT,
  name: "TEXT",
  directions: ["D>C", "A>D"],
  kinds: ["text"],
  decode(from, body) {
    const ident = swapped(body.u32());
    const text = readText("TEXT", body);
    return { kind: "text", from, ident, text };
  },
  size: (pdu) => 4 + textSize(pdu.text),
  encode(pdu, out) {
    out.u32(swapped(pdu.ident));
    writeText(pdu.text, out);
  },
});

/** Rows of the PDU table for metadata. */
export const METADATA_ENTRIES: readonly PduEntry[] = [
  descReqEntry,
  descEntry,
  descIdsEntry,
  descsEntry,
  instanceReqEntry,
  instanceEntry,
  textReqEntry,
  textEntry,
];
