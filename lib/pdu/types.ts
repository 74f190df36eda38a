// The shapes of every PDU as data, one per kind, and the numbers of the protocol: types, feature
// flags, attribute codes, state-change bits (spec pdu.md 2, 3, 10.4). No behaviour.
// Names and texts are JavaScript strings; bytes that are not UTF-8 become U+FFFD in them.
import type { PmErrCode } from "../base/mod.ts";

/** PDU type numbers (spec pdu.md 2). */
export const PDU_TYPE = {
  ERROR: 0x7000,
  RESULT: 0x7001,
  PROFILE: 0x7002,
  FETCH: 0x7003,
  DESC_REQ: 0x7004,
  DESC: 0x7005,
  INSTANCE_REQ: 0x7006,
  INSTANCE: 0x7007,
  TEXT_REQ: 0x7008,
  TEXT: 0x7009,
  CONTROL_REQ: 0x700a,
  CREDS: 0x700c,
  PMNS_IDS: 0x700d,
  PMNS_NAMES: 0x700e,
  PMNS_CHILD: 0x700f,
  PMNS_TRAVERSE: 0x7010,
  ATTR: 0x7011,
  LABEL_REQ: 0x7012,
  LABEL: 0x7013,
  HIGHRES_FETCH: 0x7014,
  HIGHRES_RESULT: 0x7015,
  DESC_IDS: 0x7016,
  DESCS: 0x7017,
} as const;
/** One of the known PDU type numbers. */
export type PduType = (typeof PDU_TYPE)[keyof typeof PDU_TYPE];

/** Feature bits of the challenge and of CREDS (spec pdu.md 2.1). */
export const FEATURE = {
  SECURE: 0x0001,
  COMPRESS: 0x0002,
  AUTH: 0x0004,
  CREDS_REQD: 0x0008,
  SECURE_ACK: 0x0010,
  NO_NSS_INIT: 0x0020,
  CONTAINER: 0x0040,
  CERT_REQD: 0x0080,
  BAD_LABEL: 0x0100,
  LABELS: 0x0200,
  HIGHRES: 0x0400,
  DESCS: 0x0800,
} as const;

/** Attribute codes of ATTR that travel on the wire; NONE carries SASL payloads (spec pdu.md 3.13). */
export const ATTRIBUTE = {
  NONE: 0,
  USERNAME: 5,
  USERID: 11,
  GROUPID: 12,
  PROCESSID: 14,
  CONTAINER: 15,
} as const;

/** Bits of a positive ERROR code before a fetch result (spec pdu.md 10.4). */
export const STATE_CHANGE = {
  ADD_AGENT: 1,
  RESTART_AGENT: 2,
  DROP_AGENT: 4,
  LABEL_CHANGE: 8,
  NAMES_CHANGE: 16,
  HOSTNAME_CHANGE: 32,
} as const;

/** The only CREDS word type in use, and the protocol version that goes with it (spec pdu.md 3.2). */
export const CREDS_VERSION_WORD = 1;
/** Version of the PDU protocol. */
export const PDU_VERSION = 2;

/** `from` of a sender that is nobody in particular. */
export const FROM_ANON = 0;

interface From {
  /** Third header word: a context number, a client index, or a process id (spec pdu.md 1.2). */
  readonly from: number;
}

/** Plain ERROR: 0 success, < 0 a PM_ERR or errno code, > 0 STATE_CHANGE bits (spec pdu.md 3.1). */
export interface ErrorPdu extends From {
  readonly kind: "error";
  readonly code: PmErrCode;
}

/** Extended ERROR, pmcd's first PDU; `code` is already in today's numbering (spec pdu.md 3.1). */
export interface ChallengePdu extends From {
  readonly kind: "challenge";
  readonly code: PmErrCode;
  /** Bits 30-24 of the challenge word, 2 from every pmcd; 0 in a refusal. */
  readonly version: number;
  /** Bits 23-16, historic. */
  readonly licensed: number;
  /** Bits 15-0: FEATURE bits that pmcd offers. */
  readonly features: number;
}

/** One word of CREDS. */
export interface Credential {
  readonly type: number;
  readonly version: number;
  /** FEATURE bits. */
  readonly flags: number;
}

/** CREDS (spec pdu.md 3.2). */
export interface CredsPdu extends From {
  readonly kind: "creds";
  readonly credentials: readonly Credential[];
}

/** ATTR or SASL payload; `value` shares memory with the PDU and may end in one NUL (spec pdu.md 3.13). */
export interface AttrPdu extends From {
  readonly kind: "attr";
  readonly attribute: number;
  readonly value: Uint8Array;
}

/** CONTROL_REQ, which nobody sends: known so that peers can refuse it. */
export interface ControlPdu extends From {
  readonly kind: "control-req";
}

/** A type number that this protocol does not have; the body is left alone. */
export interface UnknownPdu extends From {
  readonly kind: "unknown";
  readonly type: number;
  readonly body: Uint8Array;
}

/** Every PDU, told apart by `kind`. */
export type Pdu = ErrorPdu | ChallengePdu | CredsPdu | AttrPdu | ControlPdu | UnknownPdu;
/** The kinds of Pdu. */
export type PduKind = Pdu["kind"];
