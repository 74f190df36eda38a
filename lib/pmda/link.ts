// An Agent at the other end of a byte stream: a daemon agent, or a process that holds a compiled one,
// asked as pmcd asks it (spec pmda.md 3 to 6). Refuses whatever pmcd refuses: a late or wrong first
// PDU, no answer in time, a reply of another type or that cannot be read, another count of metrics,
// PDUs that nobody asked for. All of that ends the link: one request fails, the process that asks
// never does. One request at a time.
import {
  asPcpError,
  createDeadline,
  MAX_REPLY_BYTES,
  PcpError,
  PM_ERR,
  pmErrStr,
  utf8,
  viewOf,
} from "../base/mod.ts";
import { type Desc, type Indom, PM_IN_NULL, PM_LABEL, type Pmid } from "../pcp/mod.ts";
import {
  createFramer,
  CREDS_VERSION_WORD,
  decodePdu,
  encodeFetch,
  encodeNamesRequest,
  encodePdu,
  encodeProfile,
  FEATURE,
  FROM_ANON,
  type InstanceEntry,
  type Pdu,
  PDU_TYPE,
  PDU_VERSION,
  type PduKind,
  pduTypeName,
  readHeader,
  TEXT_TYPE,
} from "../pdu/mod.ts";
import type { AgentSetting } from "./define.ts";
import type { Agent, AgentNames, Caller } from "./types.ts";

/** Milliseconds for the agent's CREDS, and for the answer to a request (spec pmda.md 3, 5). */
export const CREDS_TIME_LIMIT = 3000;
export const REQUEST_TIME_LIMIT = 5000;
/** Bytes of PDUs without an answer that may be sent after an agent's last sign of life. */
const MAX_NOTICES = 1024 * 1024;

/** How the bytes go out. Both are called once nothing is expected any more, and must not throw. */
export interface LinkTransport {
  write(bytes: Uint8Array): void;
  close(): void;
}

/** How a link is made. */
export interface LinkOptions {
  /** As the log calls the agent. */
  readonly name: string;
  readonly domain: number;
  readonly transport: LinkTransport;
  /** Milliseconds; CREDS_TIME_LIMIT and REQUEST_TIME_LIMIT when left out, 0: no limit. */
  readonly credsTimeLimit?: number;
  readonly requestTimeLimit?: number;
  /** pmcd.conf says `notready`: requests are PM_ERR_AGAIN until the agent says that it is ready. */
  readonly notready?: boolean;
  readonly log?: AgentSetting["log"];
}

/** A link: what comes from the agent is given to it. */
export interface AgentLink {
  /** The agent when it has greeted; rejects with PcpError PM_ERR_IPC or PM_ERR_TIMEOUT otherwise. */
  readonly opened: Promise<Agent>;
  /** Bytes from the agent, which nobody else writes to from now on. */
  receive(chunk: Uint8Array): void;
  /** The stream has ended; `reason` is a clause for the log: "exit status 3". */
  closed(reason?: string): void;
}

/** The one thing that is waited for. */
interface Waiting {
  readonly resolve: (pdu: Uint8Array) => void;
  readonly reject: (error: PcpError) => void;
  /** Code when the time is over. */
  readonly late: number;
}

const errorCode = (pdu: Uint8Array): number | undefined => {
  if (pdu.length !== 16) return undefined;
  const view = viewOf(pdu);
  return view.getInt32(4) === PDU_TYPE.ERROR ? view.getInt32(12) : undefined;
};

/** The stream as requests and replies: framing, time limits, readiness, the end. */
function createWire(options: LinkOptions) {
  const { name, transport, log = () => undefined } = options;
  const framer = createFramer(MAX_REPLY_BYTES);
  let waiting: Waiting | undefined;
  let over: PcpError | undefined;
  let ready = true;
  let notices = 0;
  let announce: (error: PcpError) => void = () => undefined;
  const ended = new Promise<PcpError>((resolve) => {
    announce = resolve;
  });

  const clock = createDeadline(() => {
    if (waiting !== undefined) end("no answer in time", waiting.late);
  });

  /** Ends the link; the request that is under way fails with `code`. */
  function end(reason: string, code: number = PM_ERR.IPC): void {
    if (over !== undefined) return;
    over = new PcpError(PM_ERR.NOAGENT, `agent "${name}" is gone: ${reason}`);
    clock.stop();
    transport.close();
    const under = waiting;
    waiting = undefined;
    under?.reject(new PcpError(code, `agent "${name}": ${reason}`));
    announce(over);
  }

  const deliver = (pdu: Uint8Array): void => {
    notices = 0;
    const code = errorCode(pdu);
    if (!ready) {
      if (code === PM_ERR.PMDAREADY) ready = true;
      else end("a PDU from an agent that is not ready");
      return;
    }
    if (waiting === undefined) {
      end(`a PDU ${pduTypeName(readHeader(pdu).type)} that nobody has asked for`);
      return;
    }
    if (code === PM_ERR.PMDAREADY || code === PM_ERR.IPC) {
      end(code === PM_ERR.IPC ? pmErrStr(code) : "ready, which it was before");
      return;
    }
    const { resolve } = waiting;
    waiting = undefined;
    clock.rest();
    if (code === PM_ERR.PMDANOTREADY) ready = false;
    resolve(pdu);
  };

  return {
    ended,
    log,
    end,
    get over() {
      return over;
    },
    get isReady() {
      return ready;
    },
    setUnready(): void {
      ready = false;
    },
    /** Waits for the next PDU, with `bytes` sent before. */
    exchange(bytes: Uint8Array | undefined, limit: number, late: number): Promise<Uint8Array> {
      return new Promise((resolve, reject) => {
        if (over !== undefined) reject(over);
        else if (waiting !== undefined)
          reject(new PcpError(PM_ERR.BOTCH, `agent "${name}" is asked while it answers`));
        else {
          waiting = { resolve, reject, late };
          clock.start(limit);
          if (bytes !== undefined) transport.write(bytes);
        }
      });
    },
    /** Sends what has no answer. */
    post(bytes: Uint8Array): void {
      if (over !== undefined) return;
      notices += bytes.length;
      if (notices > MAX_NOTICES) end(`${notices} bytes sent without a sign of life`);
      else transport.write(bytes);
    },
    receive(chunk: Uint8Array): void {
      if (over !== undefined) return;
      framer.feed(chunk);
      try {
        for (let pdu = framer.next(); pdu !== undefined; pdu = framer.next()) {
          deliver(pdu);
          if (over !== undefined) return;
        }
      } catch (error) {
        end(asPcpError(error).message);
      }
    },
  };
}

type Wire = ReturnType<typeof createWire>;

/** A PDU of one kind, or what is wrong with what came in its place; the link ends when it must. */
function expectKind<K extends PduKind>(
  wire: Wire,
  bytes: Uint8Array,
  kind: K,
): Extract<Pdu, { kind: K }> {
  const code = errorCode(bytes);
  if (code === PM_ERR.PMDANOTREADY) throw new PcpError(PM_ERR.AGAIN);
  if (code !== undefined && kind !== "error") throw new PcpError(code < 0 ? code : PM_ERR.GENERIC);
  let pdu: Pdu | undefined;
  let reason = `${pduTypeName(readHeader(bytes).type)} is no answer to the request`;
  try {
    pdu = decodePdu(bytes);
  } catch (cause) {
    const error = asPcpError(cause);
    // A list of names with a count below 0 is the agent's code.
    if (error.code !== PM_ERR.IPC && error.code !== PM_ERR.TOOBIG) throw error;
    reason = error.message;
  }
  if (pdu?.kind === kind) return pdu as Extract<Pdu, { kind: K }>;
  wire.end(reason);
  throw new PcpError(PM_ERR.IPC, reason);
}

/** Sends profiles when the agent has another one than the caller (spec pmda.md 4.1). */
function createProfiler(wire: Wire) {
  let sent: Uint8Array | undefined;
  return ({ context, profile }: Caller): void => {
    const { state, rules } = profile.asRequest();
    const bytes = encodeProfile(context, context, state, rules);
    if (sent !== undefined && Buffer.compare(sent, bytes) === 0) return;
    sent = bytes;
    wire.post(bytes);
  };
}

/** The requests of one link. */
function createRequests(wire: Wire, options: LinkOptions) {
  const limit = options.requestTimeLimit ?? REQUEST_TIME_LIMIT;
  const tellProfile = createProfiler(wire);
  const check = (): void => {
    if (wire.over !== undefined) throw wire.over;
    if (!wire.isReady) throw new PcpError(PM_ERR.AGAIN);
  };
  const ask = async <K extends PduKind>(
    bytes: Uint8Array,
    kind: K,
  ): Promise<Extract<Pdu, { kind: K }>> => {
    check();
    return expectKind(wire, await wire.exchange(bytes, limit, PM_ERR.IPC), kind);
  };
  const from = ({ context }: Caller): number => context;

  const fetch: Agent["fetch"] = async (pmids, by, out) => {
    check();
    tellProfile(by);
    const request = encodeFetch(from(by), from(by), pmids, false);
    const reply = await wire.exchange(request, limit, PM_ERR.TIMEOUT);
    const { result } = expectKind(wire, reply, "result");
    if (result.numpmid !== pmids.length) {
      const reason = `${result.numpmid} metrics in an answer to ${pmids.length}`;
      wire.end(reason);
      throw new PcpError(PM_ERR.IPC, reason);
    }
    out.changes |= result.timestamp.sec & STATE_BITS;
    const sets = result.sets();
    for (const pmid of pmids) {
      sets.next();
      if (sets.pmid === pmid) out.copy(sets);
      else {
        wire.log("Error", `agent "${options.name}": another metric where ${pmid} was asked for`);
        out.fail(pmid, PM_ERR.IPC);
      }
    }
  };

  const instances = async (
    indom: Indom,
    instance: number,
    name: string,
    by: Caller,
  ): Promise<readonly InstanceEntry[]> => {
    const request = encodePdu({
      kind: "instance-req",
      from: from(by),
      indom,
      instance: instance as InstanceEntry["instance"],
      name,
    });
    return (await ask(request, "instance")).instances;
  };
  const firstInstance = (list: readonly InstanceEntry[]): InstanceEntry => {
    const [first] = list;
    if (first === undefined) throw new PcpError(PM_ERR.INST);
    return first;
  };

  const names: AgentNames = {
    async lookup(name) {
      const { status, pmids } = await ask(encodeNamesRequest(FROM_ANON, [name]), "pmns-ids");
      const [pmid] = pmids;
      if (status < 0 || pmid === undefined) throw new PcpError(status < 0 ? status : PM_ERR.NAME);
      return pmid;
    },
    async namesOf(pmid) {
      const request = encodePdu({ kind: "pmns-ids", from: FROM_ANON, status: 0, pmids: [pmid] });
      return (await ask(request, "pmns-names")).names;
    },
    async children(name) {
      const request = encodePdu({ kind: "pmns-child", from: FROM_ANON, subtype: 1, name });
      const found = await ask(request, "pmns-names");
      return { names: found.names, statuses: found.statuses ?? found.names.map(() => 0) };
    },
    async traverse(name) {
      const request = encodePdu({ kind: "pmns-traverse", from: FROM_ANON, subtype: 0, name });
      return (await ask(request, "pmns-names")).names;
    },
  };

  return {
    fetch,
    names,
    async desc(pmid: Pmid, by: Caller): Promise<Desc> {
      const { desc } = await ask(encodePdu({ kind: "desc-req", from: from(by), pmid }), "desc");
      if (desc.pmid === pmid) return desc;
      throw new PcpError(PM_ERR.IPC, `the descriptor of ${desc.pmid} where ${pmid} was asked for`);
    },
    async instances(indom, by) {
      const list = await instances(indom, PM_IN_NULL, "", by);
      return { ids: list.map(({ instance }) => instance), names: list.map(({ name }) => name) };
    },
    instanceName: async (indom, instance, by) =>
      firstInstance(await instances(indom, instance, "", by)).name,
    instanceId: async (indom, name, by) =>
      firstInstance(await instances(indom, PM_IN_NULL, name, by)).instance,
    async text(subject, ident, level, by) {
      const type =
        (subject === "metric" ? TEXT_TYPE.PMID : TEXT_TYPE.INDOM) |
        (level === "oneline" ? TEXT_TYPE.ONELINE : TEXT_TYPE.HELP);
      return (await ask(encodePdu({ kind: "text-req", from: from(by), ident, type }), "text")).text;
    },
    async labels(level, ident, by) {
      check();
      if (level === PM_LABEL.INSTANCES) tellProfile(by);
      const request = encodePdu({ kind: "label-req", from: from(by), ident, type: level });
      return (await ask(request, "label")).sets;
    },
    async store(result, by) {
      const { code } = await ask(encodePdu({ kind: "result", from: from(by), result }), "error");
      if (code < 0) throw new PcpError(code);
    },
  } satisfies Partial<Agent>;
}

/** What an agent may say with the values: labels and names have changed (spec pmda.md 4.1). */
const STATE_BITS = 0x18;

/** Waits for the agent's CREDS and answers them; its features. */
async function greet(wire: Wire, options: LinkOptions): Promise<number> {
  const { name, credsTimeLimit = CREDS_TIME_LIMIT } = options;
  const first = await wire.exchange(undefined, credsTimeLimit, PM_ERR.TIMEOUT);
  const { type } = readHeader(first);
  const refuse = (reason: string): never => {
    wire.end(reason);
    throw new PcpError(PM_ERR.IPC, reason);
  };
  if (type !== PDU_TYPE.CREDS)
    refuse(`unexpected PDU type (0x${type.toString(16)}) at initial exchange with ${name} PMDA`);
  let features = 0;
  try {
    const pdu = decodePdu(first);
    if (pdu.kind === "creds")
      for (const word of pdu.credentials)
        if (word.type === CREDS_VERSION_WORD) features = word.flags;
  } catch (error) {
    const { message } = asPcpError(error);
    refuse(`error at initial PDU exchange with ${name} PMDA: ${message}`);
  }
  wire.post(
    encodePdu({
      kind: "creds",
      from: process.pid,
      credentials: [
        { type: CREDS_VERSION_WORD, version: PDU_VERSION, flags: features & FEATURE.AUTH },
      ],
    }),
  );
  if (options.notready === true) wire.setUnready();
  return features;
}

/** Makes an Agent of a byte stream; the agent at its other end speaks first. */
export function createAgentLink(options: LinkOptions): AgentLink {
  const { name, domain } = options;
  const wire = createWire(options);
  let greeted = false;

  const open = async (): Promise<Agent> => {
    const features = await greet(wire, options);
    greeted = true;
    const told = (features & (FEATURE.AUTH | FEATURE.CONTAINER)) !== 0;
    return {
      name,
      domain,
      features,
      ...createRequests(wire, options),
      attribute(context, attribute, text) {
        const value = utf8(`${text}\0`);
        if (told) wire.post(encodePdu({ kind: "attr", from: context, attribute, value }));
      },
      contextClosed(context) {
        wire.post(encodePdu({ kind: "error", from: context, code: PM_ERR.NOTCONN }));
      },
      close: () => wire.end("it was told to end"),
      ended: wire.ended,
    };
  };
  return {
    opened: open(),
    receive: wire.receive,
    closed(reason) {
      if (greeted) wire.end(reason ?? "it has closed its connection");
      else wire.end(reason ?? `unexpected end-of-file at initial exchange with ${name} PMDA`);
    },
  };
}
