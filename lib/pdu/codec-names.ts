// Layouts of the name space PDUs (spec pdu.md 3.14 to 3.16). The same type carries requests and
// replies; a request's own rules (one PMID, no status words) are for whoever serves it.
// Refuses counts and lengths outside the PDU and a name total that is too small for the names.
// Bytes after the last name or PMID are ignored, as 6.0.3 does.
import { PcpError } from "../base/mod.ts";
import {
  entry,
  malformed,
  type PduEntry,
  readCount,
  readPadded,
  readText,
  readTextSize,
  textSize,
  unsendable,
  writeText,
} from "./codec-entry.ts";
import { readPmids } from "./codec-request.ts";
import {
  PDU_TYPE,
  type PmnsChildPdu,
  type PmnsIdsPdu,
  type PmnsNamesPdu,
  type PmnsTraversePdu,
} from "./types.ts";

const idsEntry = entry<PmnsIdsPdu>({
  type: PDU_TYPE.PMNS_IDS,
  name: "PMNS_IDS",
  directions: ["C>D", "D>C", "D>A", "A>D"],
  kinds: ["pmns-ids"],
  decode(from, body) {
    const status = body.i32();
    const pmids = readPmids(body, readCount("PMNS_IDS", body, 4, 1));
    return { kind: "pmns-ids", from, status, pmids };
  },
  size: (pdu) => 8 + 4 * pdu.pmids.length,
  encode(pdu, out) {
    out.i32(pdu.status).i32(pdu.pmids.length);
    for (const pmid of pdu.pmids) out.u32(pmid);
  },
});

const namesEntry = entry<PmnsNamesPdu>({
  type: PDU_TYPE.PMNS_NAMES,
  name: "PMNS_NAMES",
  directions: ["C>D", "D>C", "D>A", "A>D"],
  kinds: ["pmns-names"],
  decode(from, body) {
    const total = body.i32();
    const statuses = body.i32();
    const count = body.i32();
    // As 7.2.1 has it: a negative count is the error of the peer that could not make a list.
    if (count < 0) throw new PcpError(count);
    if (total < 0 || total > body.end)
      throw malformed("PMNS_NAMES", 12, `${total} bytes of names in a PDU of ${body.end}`);
    if (statuses !== 0 && statuses !== count)
      throw malformed("PMNS_NAMES", 16, `${statuses} status words for ${count} names`);
    if (count > body.remaining / (statuses === 0 ? 4 : 8))
      throw malformed("PMNS_NAMES", 20, `${count} names do not fit ${body.remaining} bytes`);
    const names: string[] = [];
    const status: number[] = [];
    let used = 0;
    for (let i = 0; i < count; i++) {
      if (statuses !== 0) status.push(body.i32());
      const size = readTextSize("PMNS_NAMES", body);
      used += size + 1;
      if (used > total)
        throw malformed("PMNS_NAMES", 12, `${total} bytes of names announced, more found`);
      names.push(readPadded(body, size));
    }
    return statuses === 0
      ? { kind: "pmns-names", from, names }
      : { kind: "pmns-names", from, names, statuses: status };
  },
  size: ({ names, statuses }) =>
    names.reduce((sum, name) => sum + textSize(name), 12 + 4 * (statuses?.length ?? 0)),
  encode(pdu, out) {
    const { names, statuses } = pdu;
    if (statuses !== undefined && statuses.length !== names.length)
      throw unsendable("PMNS_NAMES", `${statuses.length} status words, ${names.length} names`);
    const totalAt = out.length;
    out
      .i32(0)
      .i32(statuses === undefined ? 0 : names.length)
      .i32(names.length);
    let total = 0;
    for (const [i, name] of names.entries()) {
      if (statuses !== undefined) out.i32(statuses[i] ?? 0);
      total += writeText(name, out) + 1;
    }
    out.patchI32(totalAt, total);
  },
});

const childEntry = entry<PmnsChildPdu>({
  type: PDU_TYPE.PMNS_CHILD,
  name: "PMNS_CHILD",
  directions: ["C>D", "D>A"],
  kinds: ["pmns-child"],
  decode(from, body) {
    const subtype = body.i32();
    const name = readText("PMNS_CHILD", body);
    return { kind: "pmns-child", from, subtype, name };
  },
  size: (pdu) => 4 + textSize(pdu.name),
  encode(pdu, out) {
    out.i32(pdu.subtype);
    writeText(pdu.name, out);
  },
});

const traverseEntry = entry<PmnsTraversePdu>({
  type: PDU_TYPE.PMNS_TRAVERSE,
  name: "PMNS_TRAVERSE",
  directions: ["C>D", "D>A"],
  kinds: ["pmns-traverse"],
  decode(from, body) {
    const subtype = body.i32();
    const name = readText("PMNS_TRAVERSE", body);
    return { kind: "pmns-traverse", from, subtype, name };
  },
  size: (pdu) => 4 + textSize(pdu.name),
  encode(pdu, out) {
    out.i32(pdu.subtype);
    writeText(pdu.name, out);
  },
});

/** Rows of the PDU table for the name space. */
export const NAME_ENTRIES: readonly PduEntry[] = [idsEntry, namesEntry, childEntry, traverseEntry];
