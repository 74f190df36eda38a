// The requests of the PMAPI at PDU level, over a link with an open session (spec pdu.md 9). Refuses
// requests above pmcd's ceiling, before pmcd drops the connection for them, and what needs a feature
// that pmcd does not offer. Replies are views on the bytes that came.
import { PcpError, PM_ERR, pmErrStr } from "../base/mod.ts";
import {
  asIndom,
  type Desc,
  type Indom,
  type InstanceId,
  NO_DESC,
  PM_ID_NULL,
  PM_IN_NULL,
  PM_INDOM_NULL,
  PM_LABEL,
  type Pmid,
  type ResultInit,
  type ResultView,
} from "../pcp/mod.ts";
import { decodePdu, encodePdu } from "./codec.ts";
import {
  encodeFetch,
  encodeNamesRequest,
  encodeProfile,
  nameRequestBytes,
} from "./codec-request.ts";
import { encodeResult } from "./codec-result.ts";
import type { Session } from "./handshake.ts";
import { errorCode, type Link, type LinkEnd, pduType, type Verdict } from "./link.ts";
import type { Target } from "./target.ts";
import {
  FEATURE,
  FROM_ANON,
  type InstanceEntry,
  type LabelSetEntry,
  type Pdu,
  PDU_TYPE,
  type PduKind,
  type PduType,
  type ProfileRule,
  TEXT_TYPE,
} from "./types.ts";

/** Names that were looked up. */
export interface NameLookup {
  /** One per name; PM_ID_NULL for those that are not leaves of the name space. */
  readonly pmids: readonly Pmid[];
  /** How many were found. */
  readonly resolved: number;
}

/** The names below a name; statuses 0 leaf, 1 non-leaf. */
export interface Children {
  readonly names: readonly string[];
  readonly statuses: readonly number[];
}

/** What a fetch gave. */
export interface FetchReply {
  /** STATE_CHANGE bits since the last fetch; 0: nothing changed. */
  readonly changes: number;
  /** Lies in the bytes of the reply. */
  readonly result: ResultView;
}

/** Which instances fetches ask for (spec pdu.md 3.3). */
export interface Profile {
  /** For domains without a rule: 0 include all, 1 exclude all. */
  readonly state: number;
  readonly rules: readonly ProfileRule[];
}

/** What a text belongs to. */
export type TextSubject = "metric" | "instance domain";

/**
 * A session with pmcd. Every call rejects with PcpError: pmcd's own code; PM_ERR_TIMEOUT, after which
 * the connection is over; PM_ERR_IPC when it is over or a reply makes no sense; PM_ERR_TOOBIG for a
 * request above the ceiling or a full queue.
 */
export interface PmcdConnection {
  /** The place that answered. */
  readonly target: Target;
  /** FEATURE bits that pmcd offers. */
  readonly features: number;
  readonly secure: boolean;
  readonly status: "ready" | "busy" | "ended";
  /** Answers once, when the connection is over. */
  readonly ended: Promise<LinkEnd>;
  /**
   * Sends a whole PDU and decodes the reply of one of the `expected` types. An ERROR below 0 is
   * thrown; any other PDU that is not expected ends the connection with PM_ERR_IPC.
   */
  request(bytes: Uint8Array, expected: readonly PduType[]): Promise<Pdu>;
  /** PMIDs of names; a single name that is not found is an error: PM_ERR_NAME or PM_ERR_NONLEAF. */
  lookupNames(names: readonly string[]): Promise<NameLookup>;
  /** All names of a PMID. */
  namesOf(pmid: Pmid): Promise<readonly string[]>;
  /** Names directly below `name` ("" is the root), without the part above. */
  children(name: string): Promise<Children>;
  /** All leaves at and below `name`, in pmcd's order. */
  traverse(name: string): Promise<readonly string[]>;
  desc(pmid: Pmid): Promise<Desc>;
  /** Descriptors in order; those that do not exist have `pmid` PM_ID_NULL. One alone is an error. */
  descs(pmids: readonly Pmid[]): Promise<readonly Desc[]>;
  /** Replaces the profile; it is sent before the next fetch. */
  setProfile(profile: Profile): void;
  fetch(pmids: ArrayLike<Pmid>): Promise<FetchReply>;
  /** Stores values; resolves when pmcd has taken them all. */
  store(result: ResultInit): Promise<void>;
  /** All instances of a domain. */
  instances(indom: Indom): Promise<readonly InstanceEntry[]>;
  instanceName(indom: Indom, instance: InstanceId): Promise<string>;
  instanceId(indom: Indom, name: string): Promise<InstanceId>;
  /** Help text; without `direct` a missing long text is replaced by the one-line text. */
  text(
    subject: TextSubject,
    ident: Pmid | Indom,
    level: "oneline" | "help",
    direct?: boolean,
  ): Promise<string>;
  /** Label sets of one PM_LABEL level; PM_ERR_NOLABELS without a request when not offered. */
  labels(type: number, ident: number): Promise<readonly LabelSetEntry[]>;
  /** Orderly close; outstanding requests fail with PM_ERR_IPC. */
  close(): Promise<void>;
}

/** Longest look-up request, below pmcd's ceiling (spec pdu.md 9.2). */
const LOOKUP_BYTES = 63 * 1024;
const LOOKUP_HEAD = 24;
/** PMIDs in one DESC_IDS of at most LOOKUP_BYTES. */
const DESCS_PER_REQUEST = (LOOKUP_BYTES - 20) / 4;
/** State changes before a result: pmcd sends one; each one more starts the time limit again. */
const NOTICES_LIMIT = 16;
/** The context slot that is always used (spec pdu.md 9.3). */
const CONTEXT_SLOT = 0;

const INCLUDE_ALL: Profile = { state: 0, rules: [] };

/** Cuts names into runs whose look-up requests stay below LOOKUP_BYTES. */
export function splitLookup(names: readonly string[]): string[][] {
  const runs: string[][] = [];
  let run: string[] = [];
  let size = LOOKUP_HEAD;
  for (const name of names) {
    const bytes = nameRequestBytes(name);
    if (run.length > 0 && size + bytes > LOOKUP_BYTES) {
      runs.push(run);
      run = [];
      size = LOOKUP_HEAD;
    }
    run.push(name);
    size += bytes;
  }
  if (run.length > 0) runs.push(run);
  return runs;
}

const wrongReply = (reason: string): PcpError =>
  new PcpError(PM_ERR.IPC, `${pmErrStr(PM_ERR.IPC)}: ${reason}`);

/** Codes that are about the connection or the right to ask, not about the thing asked for. */
const NO_ANSWER: readonly number[] = [PM_ERR.IPC, PM_ERR.TIMEOUT, PM_ERR.PERMISSION, PM_ERR.TOOBIG];

/** True for an error with which pmcd says that one thing is not there. */
const isAnswer = (error: unknown): boolean =>
  error instanceof PcpError && !NO_ANSWER.includes(error.code);

/** A profile that pmcd has not been told. */
interface Unsent {
  readonly kind: "unsent";
  readonly bytes: Uint8Array;
}

/** The requests of a session over its open link; `requestCeiling` is in bytes. */
export function requestsOver(
  link: Link,
  target: Target,
  session: Session,
  requestCeiling: number,
): PmcdConnection {
  const { features } = session;
  const highres = (features & FEATURE.HIGHRES) !== 0;
  const fetchType = highres ? PDU_TYPE.HIGHRES_RESULT : PDU_TYPE.RESULT;
  let profile: { readonly kind: "sent" } | Unsent = {
    kind: "unsent",
    bytes: encodeProfile(FROM_ANON, CONTEXT_SLOT, INCLUDE_ALL.state, INCLUDE_ALL.rules),
  };

  /** Throws for a PDU that pmcd would drop the connection for. */
  const checkSize = ({ length }: Uint8Array): void => {
    if (length > requestCeiling)
      throw new PcpError(PM_ERR.TOOBIG, `request of ${length} bytes, pmcd takes ${requestCeiling}`);
  };

  const exchange = async (
    bytes: Uint8Array,
    judge: (pdu: Uint8Array) => Verdict,
  ): Promise<Uint8Array> => {
    checkSize(bytes);
    return link.exchange(bytes, judge);
  };

  const request = async (bytes: Uint8Array, expected: readonly number[]): Promise<Pdu> => {
    const reply = await exchange(bytes, (pdu) => {
      const type = pduType(pdu);
      if (expected.includes(type)) return "last";
      const code = errorCode(pdu);
      return code !== undefined && code < 0 ? "last" : "wrong";
    });
    const pdu = decodePdu(reply);
    if (pdu.kind === "error" && pdu.code < 0) throw new PcpError(pdu.code);
    return pdu;
  };

  /** A request with one kind of reply. */
  const ask = async <K extends PduKind>(
    bytes: Uint8Array,
    type: PduType,
    kind: K,
  ): Promise<Extract<Pdu, { kind: K }>> => {
    const pdu = await request(bytes, [type]);
    if (pdu.kind !== kind) throw wrongReply(`${pdu.kind} in place of ${kind}`);
    return pdu as Extract<Pdu, { kind: K }>;
  };

  /** An exchange with the profile before it if that has not been sent; the ceiling is for each. */
  const withProfile = (
    bytes: Uint8Array,
    judge: (pdu: Uint8Array) => Verdict,
  ): Promise<Uint8Array> => {
    checkSize(bytes);
    return profile.kind === "sent"
      ? link.exchange(bytes, judge)
      : profileFirst(profile, bytes, judge);
  };

  const profileFirst = async (
    unsent: Unsent,
    bytes: Uint8Array,
    judge: (pdu: Uint8Array) => Verdict,
  ): Promise<Uint8Array> => {
    checkSize(unsent.bytes);
    const both = new Uint8Array(unsent.bytes.length + bytes.length);
    both.set(unsent.bytes);
    both.set(bytes, unsent.bytes.length);
    profile = { kind: "sent" };
    try {
      return await link.exchange(both, judge);
    } catch (error) {
      // It may not have gone out (full queue); sending it twice does no harm.
      if (profile.kind === "sent") profile = unsent;
      throw error;
    }
  };

  const oneDesc = async (pmid: Pmid): Promise<Desc> => {
    const bytes = encodePdu({ kind: "desc-req", from: FROM_ANON, pmid });
    return (await ask(bytes, PDU_TYPE.DESC, "desc")).desc;
  };

  /** Descriptors of at most DESCS_PER_REQUEST metrics. */
  const someDescs = async (pmids: readonly Pmid[]): Promise<readonly Desc[]> => {
    const bytes = encodePdu({ kind: "desc-ids", from: FROM_ANON, pmids });
    const { descs } = await ask(bytes, PDU_TYPE.DESCS, "descs");
    if (descs.length !== pmids.length)
      throw wrongReply(`${descs.length} descriptors for ${pmids.length} metrics`);
    return descs;
  };

  const instanceRequest = async (
    indom: Indom,
    instance: InstanceId,
    name: string,
  ): Promise<readonly InstanceEntry[]> => {
    if (indom === PM_INDOM_NULL) throw new PcpError(PM_ERR.INDOM);
    const bytes = encodePdu({ kind: "instance-req", from: FROM_ANON, indom, instance, name });
    return (await ask(bytes, PDU_TYPE.INSTANCE, "instance")).instances;
  };

  const textOf = async (ident: number, type: number): Promise<string> => {
    const bytes = encodePdu({ kind: "text-req", from: FROM_ANON, ident, type });
    return (await ask(bytes, PDU_TYPE.TEXT, "text")).text;
  };

  return {
    target,
    features,
    secure: session.agreement.tls,
    get status() {
      if (link.status === "ended") return "ended";
      return link.status === "waiting" ? "busy" : "ready";
    },
    ended: link.ended,
    request,

    async lookupNames(names) {
      if (names.length === 0) throw new PcpError(PM_ERR.TOOSMALL);
      const pmids: Pmid[] = [];
      let resolved = 0;
      for (const run of splitLookup(names)) {
        try {
          const reply = await ask(
            encodeNamesRequest(FROM_ANON, run),
            PDU_TYPE.PMNS_IDS,
            "pmns-ids",
          );
          if (reply.pmids.length !== run.length)
            throw wrongReply(`${reply.pmids.length} identifiers for ${run.length} names`);
          if (reply.status < 0) throw new PcpError(reply.status);
          for (const pmid of reply.pmids) {
            pmids.push(pmid);
            if (pmid !== PM_ID_NULL) resolved += 1;
          }
        } catch (error) {
          // pmcd says why a name alone is not found; among many it is one that is missing.
          if (run.length !== 1 || names.length === 1 || !isAnswer(error)) throw error;
          pmids.push(PM_ID_NULL);
        }
      }
      return { pmids, resolved };
    },

    async namesOf(pmid) {
      const bytes = encodePdu({ kind: "pmns-ids", from: FROM_ANON, status: 0, pmids: [pmid] });
      return (await ask(bytes, PDU_TYPE.PMNS_NAMES, "pmns-names")).names;
    },

    async children(name) {
      const bytes = encodePdu({ kind: "pmns-child", from: FROM_ANON, subtype: 1, name });
      const { names, statuses } = await ask(bytes, PDU_TYPE.PMNS_NAMES, "pmns-names");
      if (statuses === undefined && names.length > 0) throw wrongReply("children without status");
      return { names, statuses: statuses ?? [] };
    },

    async traverse(name) {
      const bytes = encodePdu({ kind: "pmns-traverse", from: FROM_ANON, subtype: 0, name });
      return (await ask(bytes, PDU_TYPE.PMNS_NAMES, "pmns-names")).names;
    },

    desc: oneDesc,

    async descs(pmids) {
      if (pmids.length === 0) throw new PcpError(PM_ERR.TOOSMALL);
      const offered = (features & FEATURE.DESCS) !== 0;
      const step = offered ? DESCS_PER_REQUEST : 1;
      const found: Desc[] = [];
      for (let at = 0; at < pmids.length; at += step) {
        const part = pmids.slice(at, at + step);
        try {
          const descs = offered ? await someDescs(part) : [await oneDesc(part[0] ?? PM_ID_NULL)];
          for (const desc of descs) found.push(desc);
        } catch (error) {
          if (part.length !== 1 || pmids.length === 1 || !isAnswer(error)) throw error;
          found.push(NO_DESC);
        }
      }
      return found;
    },

    setProfile({ state, rules }) {
      profile = {
        kind: "unsent",
        bytes: encodeProfile(FROM_ANON, CONTEXT_SLOT, state, rules),
      };
    },

    fetch(pmids) {
      let changes = 0;
      let notices = 0;
      const judge = (pdu: Uint8Array): Verdict => {
        if (pduType(pdu) === fetchType) return "last";
        const code = errorCode(pdu) ?? 0;
        if (code === 0) return "wrong";
        if (code < 0) return "last";
        notices += 1;
        changes |= code;
        return notices > NOTICES_LIMIT ? "wrong" : "more";
      };
      const take = (bytes: Uint8Array): FetchReply => {
        const reply = decodePdu(bytes);
        if (reply.kind === "error") throw new PcpError(reply.code);
        if (reply.kind !== "highres-result" && reply.kind !== "result")
          throw wrongReply(`${reply.kind} in place of a result`);
        return { changes, result: reply.result };
      };
      try {
        const bytes = encodeFetch(FROM_ANON, CONTEXT_SLOT, pmids, highres);
        return withProfile(bytes, judge).then(take);
      } catch (error) {
        return Promise.reject(error);
      }
    },

    async store(result) {
      const bytes = encodeResult(FROM_ANON, result, false);
      const reply = await exchange(bytes, (pdu) => ((errorCode(pdu) ?? 1) <= 0 ? "last" : "wrong"));
      const code = errorCode(reply) ?? PM_ERR.IPC;
      if (code < 0) throw new PcpError(code);
    },

    instances: (indom) => instanceRequest(indom, PM_IN_NULL, ""),

    async instanceName(indom, instance) {
      if (instance === PM_IN_NULL) throw new PcpError(PM_ERR.INST);
      // The reply to this question has -1 in place of the instance (spec pdu.md 3.10).
      const [found] = await instanceRequest(indom, instance, "");
      if (found === undefined) throw wrongReply("no instance in the reply");
      return found.name;
    },

    async instanceId(indom, name) {
      if (name === "") throw new PcpError(PM_ERR.INST);
      const [found] = await instanceRequest(indom, PM_IN_NULL, name);
      if (found === undefined) throw wrongReply("no instance in the reply");
      return found.instance;
    },

    async text(subject, ident, level, direct = false) {
      // pmcd finds no agent for this one, and says so of a metric (spec pdu.md 10.6).
      if (subject === "instance domain" && asIndom(ident) === PM_INDOM_NULL)
        throw new PcpError(PM_ERR.PMID);
      const kind = subject === "metric" ? TEXT_TYPE.PMID : TEXT_TYPE.INDOM;
      if (level === "help") {
        try {
          const text = await textOf(ident, kind | TEXT_TYPE.HELP);
          if (direct || text !== "") return text;
        } catch (error) {
          if (direct || !isAnswer(error)) throw error;
        }
      }
      return textOf(ident, kind | TEXT_TYPE.ONELINE);
    },

    async labels(type, ident) {
      if ((features & FEATURE.LABELS) === 0) throw new PcpError(PM_ERR.NOLABELS);
      const bytes = encodePdu({ kind: "label-req", from: FROM_ANON, ident, type });
      const judge = (pdu: Uint8Array): Verdict => {
        if (pduType(pdu) === PDU_TYPE.LABEL) return "last";
        return (errorCode(pdu) ?? 0) < 0 ? "last" : "wrong";
      };
      const send = type === PM_LABEL.INSTANCES ? withProfile : exchange;
      const pdu = decodePdu(await send(bytes, judge));
      if (pdu.kind === "error") throw new PcpError(pdu.code);
      if (pdu.kind !== "label" || pdu.type !== type || pdu.ident !== ident >>> 0)
        throw wrongReply("labels of something else");
      return pdu.sets;
    },

    close: () => link.close(),
  };
}
