// Layouts of the requests for values: PROFILE, FETCH and HIGHRES_FETCH (spec pdu.md 3.3, 3.4), and
// direct encoders for a client's hot requests that write the bytes without an object in between.
// Refuses counts that do not fit the PDU, a negative context, and a fetch of nothing.
import { asIndom, asPmid, type Indom, type Pmid } from "../pcp/mod.ts";
import { pad4, PcpError, PM_ERR, type Reader, utf8, viewOf, type Writer } from "../base/mod.ts";
import {
  checkedSize,
  entry,
  expectEnd,
  malformed,
  type PduEntry,
  readCount,
  textSize,
} from "./codec-entry.ts";
import { HEADER_BYTES, PADDING } from "./frame.ts";
import {
  type FetchPdu,
  type HighresFetchPdu,
  PDU_TYPE,
  type ProfilePdu,
  type ProfileRule,
} from "./types.ts";

/** Bytes of PROFILE before the rules, and of one rule before its instances. */
const PROFILE_HEAD = 28;
const RULE_BYTES = 16;
/** Bytes of FETCH before the PMIDs. */
const FETCH_HEAD = 28;
/** Bytes of PMNS_NAMES before the names. */
const NAMES_HEAD = 24;

function readContext(name: string, body: Reader): number {
  const at = body.position;
  const context = body.i32();
  if (context < 0) throw malformed(name, at, `context ${context} is negative`);
  return context;
}

/** Reads `count` words as PMIDs; the caller has checked the count. */
export function readPmids(body: Reader, count: number): Pmid[] {
  const pmids: Pmid[] = [];
  for (let i = 0; i < count; i++) pmids.push(asPmid(body.u32()));
  return pmids;
}

function profileBytes(rules: readonly ProfileRule[]): number {
  let length = PROFILE_HEAD;
  for (const rule of rules) length += RULE_BYTES + 4 * rule.instances.length;
  return length;
}

const profileEntry = entry<ProfilePdu>({
  type: PDU_TYPE.PROFILE,
  name: "PROFILE",
  directions: ["C>D", "D>A"],
  kinds: ["profile"],
  decode(from, body) {
    const context = readContext("PROFILE", body);
    const state = body.i32();
    const count = body.i32();
    if (count < 0) throw malformed("PROFILE", 20, `${count} rules`);
    // 7.2.1 accepts a PROFILE without rules that ends before the pad word, and both versions
    // ignore bytes after one; after rules 6.0.3 ignores them.
    if (count === 0) return { kind: "profile", from, context, state, rules: [] };
    body.skip(4);
    if (count > body.remaining / RULE_BYTES)
      throw malformed("PROFILE", 20, `${count} rules do not fit ${body.remaining} bytes`);
    const heads: { indom: Indom; state: number; size: number }[] = [];
    for (let i = 0; i < count; i++) {
      heads.push({ indom: asIndom(body.u32()), state: body.i32(), size: body.i32() });
      body.skip(4);
    }
    const rules: ProfileRule[] = [];
    for (const { indom, state: ruleState, size } of heads) {
      if (size < 0 || size > body.remaining / 4)
        throw malformed("PROFILE", body.position, `${size} instances do not fit the rest`);
      const instances = new Int32Array(size);
      for (let i = 0; i < size; i++) instances[i] = body.i32();
      rules.push({ indom, state: ruleState, instances });
    }
    return { kind: "profile", from, context, state, rules };
  },
  size: ({ rules }) => profileBytes(rules) - HEADER_BYTES,
  encode(pdu, out) {
    out.i32(pdu.context).i32(pdu.state).i32(pdu.rules.length).i32(0);
    for (const { indom, state, instances } of pdu.rules)
      out.u32(indom).i32(state).i32(instances.length).i32(0);
    for (const { instances } of pdu.rules)
      for (let i = 0; i < instances.length; i++) out.i32(instances[i] ?? 0);
  },
});

function readFetch(name: string, body: Reader): { context: number; pmids: Pmid[] } {
  const context = body.i32();
  body.skip(8);
  const count = readCount(name, body, 4, 1);
  const pmids = readPmids(body, count);
  expectEnd(name, body);
  return { context, pmids };
}

const fetchSize = (pdu: FetchPdu | HighresFetchPdu): number =>
  FETCH_HEAD - HEADER_BYTES + 4 * pdu.pmids.length;

function writeFetch(pdu: FetchPdu | HighresFetchPdu, out: Writer): void {
  out.i32(pdu.context).i32(0).i32(0).i32(pdu.pmids.length);
  for (const pmid of pdu.pmids) out.u32(pmid);
}

const fetchEntry = entry<FetchPdu>({
  type: PDU_TYPE.FETCH,
  name: "FETCH",
  directions: ["C>D", "D>A"],
  kinds: ["fetch"],
  decode: (from, body) => ({ kind: "fetch", from, ...readFetch("FETCH", body) }),
  size: fetchSize,
  encode: writeFetch,
});

const highresFetchEntry = entry<HighresFetchPdu>({
  type: PDU_TYPE.HIGHRES_FETCH,
  name: "HIGHRES_FETCH",
  directions: ["C>D"],
  kinds: ["highres-fetch"],
  decode: (from, body) => ({ kind: "highres-fetch", from, ...readFetch("HIGHRES_FETCH", body) }),
  size: fetchSize,
  encode: writeFetch,
});

/** Rows of the PDU table for value requests. */
export const REQUEST_ENTRIES: readonly PduEntry[] = [profileEntry, fetchEntry, highresFetchEntry];

/** A PDU of `length` bytes with its header, and a view to write the body through. */
function startPdu(
  length: number,
  type: number,
  from: number,
): { bytes: Uint8Array; view: DataView } {
  const bytes = new Uint8Array(checkedSize("request", length));
  const view = viewOf(bytes);
  view.setInt32(0, length);
  view.setInt32(4, type);
  view.setInt32(8, from);
  return { bytes, view };
}

/**
 * FETCH, or HIGHRES_FETCH when `highres`, of `pmids` under the profile of `context`.
 * Throws PcpError PM_ERR_TOOSMALL for no PMIDs.
 */
export function encodeFetch(
  from: number,
  context: number,
  pmids: ArrayLike<Pmid>,
  highres: boolean,
): Uint8Array {
  const count = pmids.length;
  if (count === 0) throw new PcpError(PM_ERR.TOOSMALL, "fetch of no metrics");
  const type = highres ? PDU_TYPE.HIGHRES_FETCH : PDU_TYPE.FETCH;
  const { bytes, view } = startPdu(FETCH_HEAD + 4 * count, type, from);
  view.setInt32(HEADER_BYTES, context);
  view.setInt32(24, count);
  for (let i = 0; i < count; i++) view.setUint32(FETCH_HEAD + 4 * i, pmids[i] as Pmid);
  return bytes;
}

/** PROFILE of `context`: `state` (0 include, 1 exclude) for domains without a rule. */
export function encodeProfile(
  from: number,
  context: number,
  state: number,
  rules: readonly ProfileRule[],
): Uint8Array {
  const { bytes, view } = startPdu(profileBytes(rules), PDU_TYPE.PROFILE, from);
  view.setInt32(HEADER_BYTES, context);
  view.setInt32(16, state);
  view.setInt32(20, rules.length);
  let at = PROFILE_HEAD;
  for (const rule of rules) {
    view.setUint32(at, rule.indom);
    view.setInt32(at + 4, rule.state);
    view.setInt32(at + 8, rule.instances.length);
    at += RULE_BYTES;
  }
  for (const { instances } of rules)
    for (let i = 0; i < instances.length; i++, at += 4) view.setInt32(at, instances[i] as number);
  return bytes;
}

/** PMNS_NAMES that looks up `names`: no status words (spec pdu.md 3.15, 9.2). */
export function encodeNamesRequest(from: number, names: readonly string[]): Uint8Array {
  const encoded = names.map(utf8);
  let length = NAMES_HEAD;
  let characters = 0;
  for (const name of encoded) {
    length += 4 + pad4(name.length);
    characters += name.length + 1;
  }
  const { bytes, view } = startPdu(length, PDU_TYPE.PMNS_NAMES, from);
  view.setInt32(HEADER_BYTES, characters);
  view.setInt32(20, encoded.length);
  let at = NAMES_HEAD;
  for (const name of encoded) {
    view.setInt32(at, name.length);
    bytes.set(name, at + 4);
    at += 4 + name.length;
    const end = at + pad4(name.length) - name.length;
    bytes.fill(PADDING, at, end);
    at = end;
  }
  return bytes;
}

/** Bytes that `name` takes in PMNS_NAMES without status words, for splitting long look-ups. */
export const nameRequestBytes = textSize;
