// Layouts of the PDUs that set up a session: ERROR and the challenge, CREDS, ATTR, and the type
// that nobody sends (spec pdu.md 3.1, 3.2, 3.13). Challenge errors travel in an old numbering,
// plain errors do not; only the challenge is translated here.
import { MAX_ATTR_BYTES, MAX_CREDS, PM_ERR } from "../base/mod.ts";
import {
  entry,
  expectEnd,
  malformed,
  type PduEntry,
  readCount,
  unsendable,
} from "./codec-entry.ts";
import {
  type AttrPdu,
  type ChallengePdu,
  type ControlPdu,
  type Credential,
  type CredsPdu,
  type ErrorPdu,
  PDU_TYPE,
} from "./types.ts";

const OLD_NUMBERING_OFFSET = 11345;
const OLD_NUMBERING_TOP = -1000;

const fromOldNumbering = (code: number): number =>
  code <= OLD_NUMBERING_TOP ? code - OLD_NUMBERING_OFFSET : code;
const toOldNumbering = (code: number): number =>
  code <= PM_ERR.GENERIC ? code + OLD_NUMBERING_OFFSET : code;

const ERROR_BODY = 4;
const CHALLENGE_BODY = 8;

const errorEntry = entry<ErrorPdu | ChallengePdu>({
  type: PDU_TYPE.ERROR,
  name: "ERROR",
  directions: ["D>C", "A>D", "D>A"],
  kinds: ["error", "challenge"],
  decode(from, body) {
    if (body.remaining === ERROR_BODY) return { kind: "error", from, code: body.i32() };
    if (body.remaining !== CHALLENGE_BODY)
      throw malformed("ERROR", 12, `body of ${body.remaining} bytes, 4 or 8 wanted`);
    const code = fromOldNumbering(body.i32());
    const datum = body.u32();
    return {
      kind: "challenge",
      from,
      code,
      version: (datum >>> 24) & 0x7f,
      licensed: (datum >>> 16) & 0xff,
      features: datum & 0xffff,
    };
  },
  size: (pdu) => (pdu.kind === "error" ? ERROR_BODY : CHALLENGE_BODY),
  encode(pdu, out) {
    if (pdu.kind === "error") {
      out.i32(pdu.code);
      return;
    }
    out.i32(toOldNumbering(pdu.code));
    out
      .u8(pdu.version & 0x7f)
      .u8(pdu.licensed)
      .u16(pdu.features);
  },
});

const credsEntry = entry<CredsPdu>({
  type: PDU_TYPE.CREDS,
  name: "CREDS",
  directions: ["C>D", "D>A", "A>D"],
  kinds: ["creds"],
  decode(from, body) {
    const count = readCount("CREDS", body, 4, 1);
    if (count > MAX_CREDS)
      throw malformed("CREDS", 12, `${count} words, the limit is ${MAX_CREDS}`);
    const credentials: Credential[] = [];
    for (let i = 0; i < count; i++)
      credentials.push({ type: body.u8(), version: body.u8(), flags: body.u16() });
    expectEnd("CREDS", body);
    return { kind: "creds", from, credentials };
  },
  size: (pdu) => 4 + 4 * pdu.credentials.length,
  encode(pdu, out) {
    const count = pdu.credentials.length;
    if (count < 1 || count > MAX_CREDS)
      throw unsendable("CREDS", `${count} words, 1 to ${MAX_CREDS} wanted`);
    out.i32(count);
    for (const { type, version, flags } of pdu.credentials) out.u8(type).u8(version).u16(flags);
  },
});

const attrEntry = entry<AttrPdu>({
  type: PDU_TYPE.ATTR,
  name: "ATTR",
  directions: ["C>D", "D>C", "D>A"],
  kinds: ["attr"],
  decode(from, body) {
    const attribute = body.i32();
    if (body.remaining >= MAX_ATTR_BYTES)
      throw malformed("ATTR", 16, `value of ${body.remaining} bytes, ${MAX_ATTR_BYTES} or more`);
    return { kind: "attr", from, attribute, value: body.slice(body.remaining) };
  },
  size: (pdu) => 4 + pdu.value.length,
  encode(pdu, out) {
    if (pdu.value.length >= MAX_ATTR_BYTES)
      throw unsendable("ATTR", `value of ${pdu.value.length} bytes, ${MAX_ATTR_BYTES} or more`);
    out.i32(pdu.attribute).put(pdu.value);
  },
});

const controlEntry = entry<ControlPdu>({
  type: PDU_TYPE.CONTROL_REQ,
  name: "CONTROL_REQ",
  directions: [],
  kinds: ["control-req"],
  decode: (from) => ({ kind: "control-req", from }),
  size: () => 0,
  encode() {
    // The header is the whole PDU.
  },
});

/** Rows of the PDU table for session set-up. */
export const SESSION_ENTRIES: readonly PduEntry[] = [
  errorEntry,
  credsEntry,
  attrEntry,
  controlEntry,
];
