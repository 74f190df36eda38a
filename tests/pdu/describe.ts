// Puts a decoded PDU into the words of vectors.json, so that the two can be compared field by field.
// Fields of vectors.json that follow from others (names of numbers, padding) are left out by `plain`.
import { viewOf } from "../../lib/base/mod.ts";
import { type Desc, pmIDStr, pmInDomStr, PM_TYPE, type ResultView } from "../../lib/pcp/mod.ts";
import { type Pdu, pduTypeName, readHeader } from "../../lib/pdu/mod.ts";
import { hex, type Json, type JsonObject } from "../helpers/vector.ts";

const DERIVED = new Set([
  "consumed",
  "extraScale",
  "extraUnit",
  "feature_names",
  "flag_names",
  "labeltype_names",
  "namelen",
  "pad",
  "padding",
  "padding_hex",
  "sem_name",
  "texttype_names",
  "unused_sec",
  "unused_usec",
  "valfmt_name",
  "vlist_end_offset",
  "zero",
]);

const isObject = (value: Json): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** `decoded` of vectors.json without the fields that `describe` does not give. */
export function plain(value: Json, key = ""): Json {
  if (Array.isArray(value)) return value.map((element: Json) => plain(element));
  if (!isObject(value)) return value;
  if (key === "units") return value["word"] ?? null;
  const fields = Object.entries(value).filter(
    ([name]) =>
      !DERIVED.has(name) &&
      !(name === "type_name" && "pmid" in value) &&
      !(name === "attr_name") &&
      !(name === "ident" && "ident_raw" in value),
  );
  return Object.fromEntries(fields.map(([name, field]) => [name, plain(field, name)]));
}

const hexWord = (word: number, digits = 8): string =>
  `0x${(word >>> 0).toString(16).padStart(digits, "0")}`;
const latin = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");

function describeBlock(bytes: Uint8Array, block: number): Json {
  const view = viewOf(bytes);
  const vtype = bytes[block] ?? 0;
  const data = bytes.subarray(block + 4, block + (view.getUint32(block) & 0xffffff));
  if (vtype === PM_TYPE.EVENT || vtype === PM_TYPE.HIGHRES_EVENT)
    return describeEvents(data, vtype);
  return describeData(data, vtype);
}

function describeData(data: Uint8Array, type: number): Json {
  const view = viewOf(data);
  switch (type) {
    case PM_TYPE.I32:
      return view.getInt32(0);
    case PM_TYPE.U32:
      return view.getUint32(0);
    case PM_TYPE.I64:
      return Number(view.getBigInt64(0));
    case PM_TYPE.U64:
      return Number(view.getBigUint64(0));
    case PM_TYPE.FLOAT:
      return view.getFloat32(0);
    case PM_TYPE.DOUBLE:
      return view.getFloat64(0);
    case PM_TYPE.STRING:
      return latin(data).replace(/\0$/, "");
    default:
      return hex(data);
  }
}

function describeEvents(data: Uint8Array, vtype: number): Json {
  const view = viewOf(data);
  const nrecords = view.getInt32(0);
  const records: Json[] = [];
  const highres = vtype === PM_TYPE.HIGHRES_EVENT;
  let at = 4;
  for (let record = 0; record < nrecords; record++) {
    const timestamp = highres
      ? { sec: Number(view.getBigInt64(at)), nsec: Number(view.getBigInt64(at + 8)) }
      : { sec: view.getUint32(at), usec: view.getUint32(at + 4) };
    at += highres ? 16 : 8;
    const flags = view.getUint32(at);
    const nparams = view.getInt32(at + 4);
    at += 8;
    const params: Json[] = [];
    for (let i = 0; i < nparams && flags < 0x80000000; i++) {
      const pmid = pmIDStr(view.getUint32(at) as Parameters<typeof pmIDStr>[0]);
      const type = view.getUint8(at + 4);
      const len = view.getUint32(at + 4) & 0xffffff;
      const value = describeData(data.subarray(at + 8, at + 4 + len), type);
      params.push({ pmid, type, len, value });
      at += 4 + ((len + 3) & ~3);
    }
    records.push({ timestamp, flags: `0x${flags.toString(16)}`, nparams, params });
  }
  return { nrecords, records };
}

function describeSets(result: ResultView): Json {
  const list: Json[] = [];
  for (const sets = result.sets(); sets.next();) {
    const head = { pmid: pmIDStr(sets.pmid), pmid_raw: hexWord(sets.pmid), numval: sets.numval };
    if (sets.numval <= 0) {
      list.push(head);
      continue;
    }
    const values: Json[] = [];
    for (let i = 0; i < sets.numval; i++) {
      const inst = sets.instance(i);
      if (sets.valfmt === 0) {
        values.push({ inst, lval: sets.word(i) | 0 });
        continue;
      }
      const block = sets.block(i);
      values.push({
        inst,
        word_offset: sets.word(i),
        byte_offset: block,
        vtype: result.bytes[block] ?? 0,
        vlen: viewOf(result.bytes).getUint32(block) & 0xffffff,
        value: describeBlock(result.bytes, block),
      });
    }
    list.push({ ...head, valfmt: sets.valfmt, values });
  }
  return list;
}

const describeDesc = (desc: Desc): Json => ({
  pmid: pmIDStr(desc.pmid),
  pmid_raw: hexWord(desc.pmid),
  type: desc.type,
  indom: pmInDomStr(desc.indom),
  indom_raw: hexWord(desc.indom),
  sem: desc.sem,
  units: hexWord(desc.units),
});

const swapped = (word: number): number => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(word);
  return bytes.readUInt32BE();
};

function describeBody(pdu: Pdu): JsonObject {
  switch (pdu.kind) {
    case "error":
      return { code: pdu.code };
    case "challenge": {
      const { version, licensed, features } = pdu;
      const code = pdu.code <= -12345 ? pdu.code + 11345 : pdu.code;
      const datum = hexWord((version << 24) | (licensed << 16) | features);
      return { code, datum, challenge: { version, licensed, features: hexWord(features, 4) } };
    }
    case "creds":
      return {
        numcreds: pdu.credentials.length,
        creds: pdu.credentials.map(({ type, version, flags }) => ({
          word: hexWord((type << 24) | (version << 16) | flags),
          c_type: type,
          c_version: version,
          c_flags: hexWord(flags, 4),
        })),
      };
    case "attr":
      return {
        attr: pdu.attribute,
        value_len: pdu.value.length,
        value_hex: hex(pdu.value),
        value: latin(pdu.value),
      };
    case "control-req":
      return {};
    case "unknown":
      return { body: hex(pdu.body) };
    case "profile":
      return {
        ctxid: pdu.context,
        g_state: pdu.state,
        numprof: pdu.rules.length,
        profiles: pdu.rules.map(({ indom, state, instances }) => ({
          indom: pmInDomStr(indom),
          state,
          numinst: instances.length,
          instances: Array.from(instances),
        })),
      };
    case "fetch":
    case "highres-fetch":
      return {
        ctxid: pdu.context,
        numpmid: pdu.pmids.length,
        pmids: pdu.pmids.map(pmIDStr),
      };
    case "result": {
      const { sec, nsec } = pdu.result.timestamp;
      return {
        timestamp: { sec, usec: nsec / 1000 },
        numpmid: pdu.result.numpmid,
        vsets: describeSets(pdu.result),
      };
    }
    case "highres-result": {
      const { sec, nsec } = pdu.result.timestamp;
      return {
        timestamp: { sec, nsec },
        numpmid: pdu.result.numpmid,
        vsets: describeSets(pdu.result),
      };
    }
    case "desc-req":
      return { pmid: pmIDStr(pdu.pmid), pmid_raw: hexWord(pdu.pmid) };
    case "desc":
      return { desc: describeDesc(pdu.desc) };
    case "desc-ids":
      return { sts: -1, numids: pdu.pmids.length, ids: pdu.pmids.map(pmIDStr) };
    case "descs":
      return { numdescs: pdu.descs.length, descs: pdu.descs.map(describeDesc) };
    case "instance-req":
      return { indom: pmInDomStr(pdu.indom), inst: pdu.instance, name: pdu.name || null };
    case "instance":
      return {
        indom: pmInDomStr(pdu.indom),
        numinst: pdu.instances.length,
        instances: pdu.instances.map(({ instance, name }) => ({ inst: instance, name })),
      };
    case "text-req":
      return { ident_raw: hexWord(pdu.ident), texttype: pdu.type };
    case "text":
      return {
        ident_raw: hexWord(swapped(pdu.ident)),
        buflen: Buffer.byteLength(pdu.text),
        text: pdu.text,
      };
    case "pmns-ids":
      return { sts: pdu.status, numids: pdu.pmids.length, ids: pdu.pmids.map(pmIDStr) };
    case "pmns-names": {
      const { names, statuses } = pdu;
      return {
        nstrbytes: names.reduce((sum, name) => sum + Buffer.byteLength(name) + 1, 0),
        numstatus: statuses?.length ?? 0,
        numnames: names.length,
        names: names.map((name, i) =>
          statuses === undefined ? { name } : { status: statuses[i] ?? 0, name },
        ),
      };
    }
    case "pmns-child":
    case "pmns-traverse":
      return { subtype: pdu.subtype, name: pdu.name };
    case "label-req":
      return { ident_raw: hexWord(pdu.ident), labeltype: pdu.type };
    case "label":
      return {
        ident_raw: hexWord(pdu.ident),
        labeltype: pdu.type,
        nsets: pdu.sets.length,
        sets: pdu.sets.map(({ instance, error, records, json }) => ({
          inst: instance,
          nlabels: error < 0 ? error : records.length,
          // Recordings lie at the start of their buffers.
          json_offset: json.byteOffset,
          json_len: json.length,
          json: latin(json),
          labels: records.map((label) => ({
            name_off: label.nameOffset,
            flags: hexWord(label.flags, 2),
            value_off: label.valueOffset,
            valuelen: label.valueLength,
            name: latin(json.subarray(label.nameOffset, label.nameOffset + label.nameLength)),
            value: latin(json.subarray(label.valueOffset, label.valueOffset + label.valueLength)),
          })),
        })),
      };
  }
}

/** The PDU of `bytes` in the words of vectors.json. */
export function describePdu(pdu: Pdu, bytes: Uint8Array): JsonObject {
  const { length, type, from } = readHeader(bytes);
  return {
    len: length,
    type: hexWord(type, 4),
    type_name: pduTypeName(type),
    from,
    ...describeBody(pdu),
  };
}
