// The shapes of every PDU as data, one per kind, and the numbers of the protocol: types, feature
// flags, state-change bits (spec pdu.md 2, 3, 10.4). No behaviour.
// Names and texts are JavaScript strings; bytes that are not UTF-8 become U+FFFD in them.
import type { PmErrCode } from "../base/mod.ts";
import type { Desc, Indom, InstanceId, LabelSet, Pmid, ResultView } from "../pcp/mod.ts";

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

/** ATTR, `attribute` of PCP_ATTR, or SASL payload, NONE; `value` shares memory with the PDU and may end in one NUL (spec pdu.md 3.13). */
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

/** What a profile says about one instance domain (spec pdu.md 3.3). */
export interface ProfileRule {
  readonly indom: Indom;
  /** 0: all instances but the listed ones; 1: only the listed ones. */
  readonly state: number;
  readonly instances: ArrayLike<number>;
}

/** PROFILE: which instances the following fetches of `context` ask for (spec pdu.md 3.3). */
export interface ProfilePdu extends From {
  readonly kind: "profile";
  readonly context: number;
  /** For domains without a rule: 0 include all, 1 exclude all. */
  readonly state: number;
  readonly rules: readonly ProfileRule[];
}

/** FETCH (spec pdu.md 3.4). */
export interface FetchPdu extends From {
  readonly kind: "fetch";
  readonly context: number;
  readonly pmids: readonly Pmid[];
}

/** HIGHRES_FETCH (spec pdu.md 3.4). */
export interface HighresFetchPdu extends From {
  readonly kind: "highres-fetch";
  readonly context: number;
  readonly pmids: readonly Pmid[];
}

/** RESULT: a fetch reply, or a store request; `result` lies in the PDU (spec pdu.md 3.5). */
export interface ResultPdu extends From {
  readonly kind: "result";
  readonly result: ResultView;
}

/** HIGHRES_RESULT (spec pdu.md 3.6). */
export interface HighresResultPdu extends From {
  readonly kind: "highres-result";
  readonly result: ResultView;
}

/** DESC_REQ (spec pdu.md 3.7). */
export interface DescReqPdu extends From {
  readonly kind: "desc-req";
  readonly pmid: Pmid;
}

/** DESC (spec pdu.md 3.8). */
export interface DescPdu extends From {
  readonly kind: "desc";
  readonly desc: Desc;
}

/** DESC_IDS (spec pdu.md 3.9). */
export interface DescIdsPdu extends From {
  readonly kind: "desc-ids";
  readonly pmids: readonly Pmid[];
}

/** DESCS, in request order; a metric without descriptor has `pmid` PM_ID_NULL (spec pdu.md 3.9). */
export interface DescsPdu extends From {
  readonly kind: "descs";
  readonly descs: readonly Desc[];
}

/** INSTANCE_REQ: all (-1, ""), by id (id, ""), or by name (-1, name) (spec pdu.md 3.10). */
export interface InstanceReqPdu extends From {
  readonly kind: "instance-req";
  readonly indom: Indom;
  readonly instance: InstanceId;
  readonly name: string;
}

/** One instance; a reply by id has instance -1, a reply by name has name "" (spec pdu.md 3.10). */
export interface InstanceEntry {
  readonly instance: InstanceId;
  readonly name: string;
}

/** INSTANCE (spec pdu.md 3.10). */
export interface InstancePdu extends From {
  readonly kind: "instance";
  readonly indom: Indom;
  readonly instances: readonly InstanceEntry[];
}

/** Bits of TEXT_REQ's type word (spec pdu.md 3.11). */
export const TEXT_TYPE = { ONELINE: 1, HELP: 2, PMID: 4, INDOM: 8, DIRECT: 16 } as const;

/** TEXT_REQ; `ident` is a PMID or InDom, `type` TEXT_TYPE bits (spec pdu.md 3.11). */
export interface TextReqPdu extends From {
  readonly kind: "text-req";
  readonly ident: number;
  readonly type: number;
}

/** TEXT; `ident` is right only when a little-endian machine sent it: ignore (spec pdu.md 3.11). */
export interface TextPdu extends From {
  readonly kind: "text";
  readonly ident: number;
  readonly text: string;
}

/** PMNS_IDS: `status` counts the resolved names in a reply, 0 in a request (spec pdu.md 3.14). */
export interface PmnsIdsPdu extends From {
  readonly kind: "pmns-ids";
  readonly status: number;
  readonly pmids: readonly Pmid[];
}

/** PMNS_NAMES; `statuses`, one per name, 0 leaf or 1 non-leaf, may be absent (spec pdu.md 3.15). */
export interface PmnsNamesPdu extends From {
  readonly kind: "pmns-names";
  readonly names: readonly string[];
  readonly statuses?: readonly number[];
}

/** PMNS_CHILD; `subtype` 1 asks for status words as well (spec pdu.md 3.16). */
export interface PmnsChildPdu extends From {
  readonly kind: "pmns-child";
  readonly subtype: number;
  readonly name: string;
}

/** PMNS_TRAVERSE; `subtype` is 0 (spec pdu.md 3.16). */
export interface PmnsTraversePdu extends From {
  readonly kind: "pmns-traverse";
  readonly subtype: number;
  readonly name: string;
}

/** LABEL_REQ: `type` is one level of PM_LABEL, `ident` what it is told by (spec pdu.md 3.12). */
export interface LabelReqPdu extends From {
  readonly kind: "label-req";
  readonly ident: number;
  readonly type: number;
}

/** One label set of a LABEL; `json` shares memory with the PDU (spec pdu.md 3.12). */
export interface LabelSetEntry extends LabelSet {
  /** 0, or an error code below 0 in place of labels. */
  readonly error: PmErrCode;
}

/** LABEL (spec pdu.md 3.12). */
export interface LabelPdu extends From {
  readonly kind: "label";
  readonly ident: number;
  readonly type: number;
  readonly sets: readonly LabelSetEntry[];
}

/** Every PDU, told apart by `kind`. */
export type Pdu =
  | ErrorPdu
  | ChallengePdu
  | CredsPdu
  | AttrPdu
  | ControlPdu
  | UnknownPdu
  | ProfilePdu
  | FetchPdu
  | HighresFetchPdu
  | ResultPdu
  | HighresResultPdu
  | DescReqPdu
  | DescPdu
  | DescIdsPdu
  | DescsPdu
  | InstanceReqPdu
  | InstancePdu
  | TextReqPdu
  | TextPdu
  | PmnsIdsPdu
  | PmnsNamesPdu
  | PmnsChildPdu
  | PmnsTraversePdu
  | LabelReqPdu
  | LabelPdu;
/** The kinds of Pdu. */
export type PduKind = Pdu["kind"];
