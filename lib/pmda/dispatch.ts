// One PDU of pmcd in, the agent's answer out (spec pmda.md 4 and 7.2): which requests there are, what
// is answered to each, and which get no answer. Refuses malformed PDUs and requests for more than one
// name or PMID with PM_ERR_IPC as the answer; what an agent throws is the code of the answer.
import { asPcpError, PcpError, PM_ERR, viewOf } from "../base/mod.ts";
import {
  asIndom,
  asPmid,
  PM_IN_NULL,
  PM_LABEL,
  type Pmid,
  ResultWriter,
  type Timestamp,
} from "../pcp/mod.ts";
import {
  createProfile,
  decodePdu,
  encodePdu,
  encodeWritten,
  FROM_ANON,
  type InstanceReqPdu,
  type LabelReqPdu,
  type Pdu,
  PDU_TYPE,
  profileFrom,
  pduTypeName,
  TEXT_TYPE,
  type TextReqPdu,
} from "../pdu/mod.ts";
import { canBeUnready } from "./agent.ts";
import type { AgentSetting } from "./define.ts";
import { isPromise } from "./limit.ts";
import type { Agent, AgentNames, Awaitable, Caller } from "./types.ts";

/** Answers the PDUs of one connection to pmcd, one after the other. */
export interface Dispatcher {
  /**
   * The answer to one whole PDU, header included; undefined for those that have none. Never throws
   * or rejects. The next PDU may be given when this one is answered.
   */
  answer(pdu: Uint8Array): Awaitable<Uint8Array | undefined>;
}

/** How a dispatcher is made. */
export interface DispatchOptions {
  readonly log?: AgentSetting["log"];
}

const FETCH_HEAD = 28;
const LEVELS = 0x3f;
const LABEL_MASK = ~(PM_LABEL.COMPOUND | PM_LABEL.OPTIONAL);

const errorPdu = (code: number): Uint8Array => encodePdu({ kind: "error", from: FROM_ANON, code });

/** The state of one connection that requests read and PROFILE writes. */
interface State {
  by: Caller;
}

/** A request that makes no sense, whoever would be asked. */
class Refusal extends PcpError {
  constructor(reason: string) {
    super(PM_ERR.IPC, reason);
  }
}
const refuse = (reason: string): PcpError => new Refusal(reason);

/** The PDU of bytes from pmcd. */
function decoded(bytes: Uint8Array): Pdu {
  try {
    return decodePdu(bytes);
  } catch (cause) {
    throw refuse(asPcpError(cause).message);
  }
}

/**
 * What an agent's code is as an answer. pmcd drops an agent that answers PM_ERR_IPC, and takes 0 and
 * more for no error: none of that is what the author of a callback can have meant.
 */
const answerCode = (code: number): number =>
  code >= 0 || code === PM_ERR.IPC || code === PM_ERR.PMDAREADY ? PM_ERR.GENERIC : code;

/** Encodes now or later. */
const then = <T>(value: Awaitable<T>, encode: (value: T) => Pdu): Awaitable<Uint8Array> =>
  isPromise(value)
    ? (value as Promise<T>).then((found) => encodePdu(encode(found)))
    : encodePdu(encode(value));

function instances(agent: Agent, pdu: InstanceReqPdu, by: Caller): Awaitable<Uint8Array> {
  const { indom, instance, name } = pdu;
  const kind = "instance";
  const from = FROM_ANON;
  if (instance !== PM_IN_NULL)
    return then(agent.instanceName(indom, instance, by), (found) => ({
      kind,
      from,
      indom,
      instances: [{ instance: PM_IN_NULL, name: found }],
    }));
  if (name !== "")
    return then(agent.instanceId(indom, name, by), (found) => ({
      kind,
      from,
      indom,
      instances: [{ instance: found, name: "" }],
    }));
  return then(agent.instances(indom, by), ({ ids, names }) => ({
    kind,
    from,
    indom,
    instances: ids.map((id, index) => ({ instance: id, name: names[index] ?? "" })),
  }));
}

function text(agent: Agent, { ident, type }: TextReqPdu, by: Caller): Awaitable<Uint8Array> {
  const subject = (type & TEXT_TYPE.PMID) !== 0 ? "metric" : "instance domain";
  if ((type & (TEXT_TYPE.PMID | TEXT_TYPE.INDOM)) === 0)
    throw refuse(`text of type ${type} is asked of no metric and no instance domain`);
  const level = (type & TEXT_TYPE.ONELINE) !== 0 ? "oneline" : "help";
  const id = subject === "metric" ? asPmid(ident) : asIndom(ident);
  return then(agent.text(subject, id, level, by), (found) => ({
    kind: "text",
    from: FROM_ANON,
    ident,
    text: found,
  }));
}

const labels = (agent: Agent, { ident, type }: LabelReqPdu, by: Caller): Awaitable<Uint8Array> =>
  then(agent.labels(type & LABEL_MASK & LEVELS, ident, by), (sets) => ({
    kind: "label",
    from: FROM_ANON,
    ident,
    type,
    sets,
  }));

/** What is answered to requests for names where there are none. */
function ownNames(agent: Agent, code: number): AgentNames {
  if (agent.names === undefined) throw new PcpError(code);
  return agent.names;
}

function single<T>(list: readonly T[], what: string): T {
  const [first] = list;
  if (first === undefined || list.length !== 1) throw refuse(`${list.length} ${what}, not one`);
  return first;
}

/** A store: RESULT in this direction. */
function store(agent: Agent, pdu: Extract<Pdu, { kind: "result" }>, by: Caller) {
  return then(agent.store(pdu.result, by), () => ({ kind: "error", from: FROM_ANON, code: 0 }));
}

/** Requests that are answered, but for FETCH. */
function request(agent: Agent, pdu: Pdu, by: Caller): Awaitable<Uint8Array> | undefined {
  const from = FROM_ANON;
  switch (pdu.kind) {
    case "desc-req":
      return then(agent.desc(pdu.pmid, by), (desc) => ({ kind: "desc", from, desc }));
    case "instance-req":
      return instances(agent, pdu, by);
    case "text-req":
      return text(agent, pdu, by);
    case "result":
      return store(agent, pdu, by);
    case "label-req":
      return labels(agent, pdu, by);
    case "pmns-names": {
      const name = single(pdu.names, "names");
      return then(ownNames(agent, PM_ERR.NAME).lookup(name, by), (pmid) => ({
        kind: "pmns-ids",
        from,
        status: 0,
        pmids: [pmid],
      }));
    }
    case "pmns-ids": {
      const pmid = single(pdu.pmids, "metric identifiers");
      return then(ownNames(agent, PM_ERR.PMID).namesOf(pmid, by), (names) => ({
        kind: "pmns-names",
        from,
        names,
      }));
    }
    case "pmns-child":
      return then(ownNames(agent, PM_ERR.NAME).children(pdu.name, by), ({ names, statuses }) => ({
        kind: "pmns-names",
        from,
        names,
        ...(pdu.subtype === 0 ? {} : { statuses }),
      }));
    case "pmns-traverse":
      return then(ownNames(agent, PM_ERR.NAME).traverse(pdu.name, by), (names) => ({
        kind: "pmns-names",
        from,
        names,
      }));
    default:
      return undefined;
  }
}

const attributeText = (value: Uint8Array): string => {
  const end = value.indexOf(0);
  return Buffer.from(end < 0 ? value : value.subarray(0, end)).toString();
};

/** PDUs without an answer; false for one that is none of them. */
function notice(
  agent: Agent,
  pdu: Pdu,
  state: State,
  log: AgentSetting["log"],
): Awaitable<void> | false {
  switch (pdu.kind) {
    case "profile":
      state.by = { context: pdu.from, profile: profileFrom(pdu) };
      return undefined;
    case "attr":
      return agent.attribute?.(pdu.from, pdu.attribute, attributeText(pdu.value));
    case "error": {
      if (pdu.code === PM_ERR.NOTCONN) agent.contextClosed?.(pdu.from);
      else {
        const { message } = new PcpError(pdu.code);
        log("Error", `pmda${agent.name}: unexpected error pdu from pmcd: ${message}?`);
      }
      return undefined;
    }
    case "control-req":
      return undefined;
    case "creds":
    case "unknown": {
      const type = pdu.kind === "unknown" ? pdu.type : PDU_TYPE.CREDS;
      log("Error", `pmda${agent.name}: Unrecognised pdu type: ${pduTypeName(type)}?`);
      return undefined;
    }
    default:
      return false;
  }
}

/** Types to which a malformed PDU is answered; others would be taken for the next answer. */
const ANSWERED: ReadonlySet<number> = new Set([
  PDU_TYPE.RESULT,
  PDU_TYPE.FETCH,
  PDU_TYPE.DESC_REQ,
  PDU_TYPE.INSTANCE_REQ,
  PDU_TYPE.TEXT_REQ,
  PDU_TYPE.PMNS_IDS,
  PDU_TYPE.PMNS_NAMES,
  PDU_TYPE.PMNS_CHILD,
  PDU_TYPE.PMNS_TRAVERSE,
  PDU_TYPE.LABEL_REQ,
]);

/** Answers for one connection: its profile is the one that came last, whoever asks (spec 4.1). */
export function createDispatcher(agent: Agent, options: DispatchOptions = {}): Dispatcher {
  const log = options.log ?? (() => undefined);
  const state: State = { by: { context: 0, profile: createProfile() } };
  const out = new ResultWriter();
  const pmids: Pmid[] = [];

  /** The caller of a request that came from slot `from`. */
  const caller = (from: number): Caller => {
    if (state.by.context !== from) state.by = { context: from, profile: state.by.profile };
    return state.by;
  };

  const written = (): Uint8Array => {
    if (out.count !== pmids.length) {
      const reason = `the agent answered ${out.count} metrics of ${pmids.length}`;
      log("Error", `pmda${agent.name}: ${reason}`);
      throw new PcpError(PM_ERR.GENERIC, reason);
    }
    // The place of the time carries the changes (spec pmda.md 4.1).
    const flags: Timestamp = { sec: out.changes, nsec: 0 };
    return encodeWritten(FROM_ANON, out, flags, false);
  };

  /** The requests that come most are read without a PDU object. */
  const fetch = (bytes: Uint8Array): Awaitable<Uint8Array> => {
    const view = viewOf(bytes);
    const count = bytes.length < FETCH_HEAD ? 0 : view.getInt32(24);
    if (count < 1 || bytes.length !== FETCH_HEAD + 4 * count)
      throw refuse(`a FETCH of ${bytes.length} bytes`);
    pmids.length = count;
    for (let i = 0; i < count; i++) pmids[i] = view.getUint32(FETCH_HEAD + 4 * i) as Pmid;
    out.reset();
    const later = agent.fetch(pmids, caller(view.getInt32(8)), out);
    return isPromise(later) ? (later as Promise<void>).then(written) : written();
  };

  const failed = (type: number, cause: unknown): Uint8Array | undefined => {
    const { code, message } = asPcpError(cause);
    const refused = cause instanceof Refusal;
    if (refused || answerCode(code) !== code || !(cause instanceof PcpError))
      log("Error", `pmda${agent.name}: ${message}`);
    if (!ANSWERED.has(type)) return undefined;
    if (code === PM_ERR.AGAIN && canBeUnready(agent) && !agent.ready)
      return errorPdu(PM_ERR.PMDANOTREADY);
    return errorPdu(refused ? PM_ERR.IPC : answerCode(code));
  };

  return {
    answer(bytes) {
      const type = bytes.length < 8 ? 0 : viewOf(bytes).getInt32(4);
      try {
        let answer: Awaitable<Uint8Array | undefined>;
        if (type === PDU_TYPE.FETCH) answer = fetch(bytes);
        else {
          const pdu = decoded(bytes);
          const noticed = notice(agent, pdu, state, log);
          if (noticed === false) answer = request(agent, pdu, caller(pdu.from));
          else if (isPromise(noticed)) answer = (noticed as Promise<void>).then(() => undefined);
          else return undefined;
          if (answer === undefined) {
            log("Error", `pmda${agent.name}: Unrecognised pdu type: ${pduTypeName(type)}?`);
            return undefined;
          }
        }
        return isPromise(answer)
          ? (answer as Promise<Uint8Array | undefined>).catch((cause) => failed(type, cause))
          : answer;
      } catch (cause) {
        return failed(type, cause);
      }
    },
  };
}
