// A stand-in pmcd on TCP or a unix socket, built on the PDU codecs: does the handshake, serves made-up
// metrics, and misbehaves on demand, for tests of what clients and relays do with a bad server.
// No TLS, no authentication. Every connection is served on its own, requests in order.
import { createServer, type Server, type Socket } from "node:net";
import { PDU_CEILING, PM_ERR, PcpError } from "../../lib/base/mod.ts";
import {
  asInstance,
  type Desc,
  PM_ID_NULL,
  PM_IN_NULL,
  PM_INDOM_NULL,
  PM_SEM,
  PM_TYPE,
  indomBuild,
  type Pmid,
  pmidBuild,
  type ValueSetInit,
} from "../../lib/pcp/mod.ts";
import {
  createFramer,
  decodePdu,
  encodePdu,
  encodeResult,
  FEATURE,
  FROM_ANON,
  type Pdu,
  PDU_VERSION,
} from "../../lib/pdu/mod.ts";

/** How the server misbehaves. `after` counts requests that were answered well before. */
export type Fault =
  /** Challenge with this error, then closes, as pmcd does to a host it does not admit. */
  | { readonly kind: "refuse"; readonly code: number }
  /** Accepts and never says a word. */
  | { readonly kind: "mute" }
  /** Sends these bytes in place of a challenge and not a word after that. */
  | { readonly kind: "greet"; readonly bytes: Uint8Array }
  /** Accepts and closes at once, without a word. */
  | { readonly kind: "hang-up" }
  /** Takes requests but answers no more. */
  | { readonly kind: "stall"; readonly after: number }
  /** Sends the first `bytes` bytes of the next reply and closes, or resets. */
  | {
      readonly kind: "die";
      readonly after: number;
      readonly bytes: number;
      readonly reset?: boolean;
    }
  /** Sends each reply in pieces of `size` bytes, `pauseMs` apart. */
  | { readonly kind: "trickle"; readonly size: number; readonly pauseMs: number }
  /** Answers each request this much later. */
  | { readonly kind: "delay"; readonly ms: number }
  /** Sends these bytes in place of the next reply. */
  | { readonly kind: "garble"; readonly after: number; readonly bytes: Uint8Array };

/** What the server offers and how it behaves. */
export interface FakeBehaviour {
  /** FEATURE bits of the challenge; by default those of a pmcd without TLS. */
  readonly features?: number;
  /** Number of metrics, named fake.m0, fake.m1, …; 10 by default, at most 1,048,576. */
  readonly metrics?: number;
  /** Values of each metric; 1 (no instance domain) by default. */
  readonly instances?: number;
  /** State-change bits that go before every fetch result, 0 for none. */
  readonly stateChange?: number;
  readonly fault?: Fault;
  /** Reply in place of the usual one: bytes, null for silence, undefined for the usual one. */
  readonly answer?: (request: Pdu) => Uint8Array | null | undefined;
}

/** Where the server listens: a unix socket, a TCP port, or a free TCP port. */
export interface FakePmcdOptions {
  readonly port?: number;
  readonly unix?: string;
  readonly behaviour?: FakeBehaviour;
}

/** One connection that the server has, or had. */
export interface FakeConnection {
  /** Every PDU that came, in order; malformed ones as their error. */
  readonly received: readonly (Pdu | PcpError)[];
  readonly open: boolean;
}

/** A running stand-in. */
export interface FakePmcd {
  /** TCP port on 127.0.0.1; 0 for a unix socket. */
  readonly port: number;
  /** Every connection since the start, in order of their arrival. */
  readonly connections: readonly FakeConnection[];
  /** Resets every connection and stops listening. */
  stop(): Promise<void>;
}

const DOMAIN = 250;
const INDOM = indomBuild(DOMAIN, 1);
const PREFIX = "fake";
const DEFAULT_METRICS = 10;
const DEFAULT_FEATURES =
  FEATURE.AUTH | FEATURE.CONTAINER | FEATURE.LABELS | FEATURE.HIGHRES | FEATURE.DESCS;
const ITEMS = 1024;

const error = (code: number): Uint8Array => encodePdu({ kind: "error", from: FROM_ANON, code });

/** The metrics of one stand-in, and the usual reply to each request about them. */
function makeService(behaviour: FakeBehaviour) {
  const count = behaviour.metrics ?? DEFAULT_METRICS;
  const values = behaviour.instances ?? 1;
  const indom = values === 1 ? PM_INDOM_NULL : INDOM;
  const numbers = Array.from({ length: values }, (_, i) => i);
  const instances = values === 1 ? [PM_IN_NULL] : numbers;
  const names = Array.from({ length: count }, (_, i) => `${PREFIX}.m${i}`);
  const pmidOf = (i: number): Pmid => pmidBuild(DOMAIN, Math.floor(i / ITEMS), i % ITEMS);
  const pmids = new Map(names.map((name, i) => [name, pmidOf(i)]));
  const nameOf = new Map(names.map((name, i) => [pmidOf(i), name]));
  let fetches = 0;

  const valueSet = (pmid: Pmid): ValueSetInit =>
    nameOf.has(pmid)
      ? { pmid, type: PM_TYPE.U32, instances, values: numbers.map((i) => fetches + i) }
      : { pmid, error: PM_ERR.PMID };

  const descOf = (pmid: Pmid): Desc =>
    nameOf.has(pmid)
      ? { pmid, type: PM_TYPE.U32, indom, sem: PM_SEM.INSTANT, units: 0 }
      : { pmid: PM_ID_NULL, type: 0, indom: PM_INDOM_NULL, sem: 0, units: 0 };

  function fetch(wanted: readonly Pmid[], highres: boolean): Uint8Array {
    fetches++;
    const now = Date.now();
    const timestamp = { sec: Math.floor(now / 1000), nsec: (now % 1000) * 1_000_000 };
    const result = encodeResult(FROM_ANON, { timestamp, sets: wanted.map(valueSet) }, highres);
    const bits = behaviour.stateChange ?? 0;
    return bits === 0 ? result : new Uint8Array(Buffer.concat([error(bits), result]));
  }

  function lookUp(wanted: readonly string[]): Uint8Array {
    const found = wanted.map((name) => pmids.get(name) ?? PM_ID_NULL);
    const status = found.filter((pmid) => pmid !== PM_ID_NULL).length;
    if (wanted.length === 0) return error(PM_ERR.TOOSMALL);
    if (wanted.length === 1 && status === 0)
      return error(wanted[0] === PREFIX ? PM_ERR.NONLEAF : PM_ERR.NAME);
    return encodePdu({ kind: "pmns-ids", from: FROM_ANON, status, pmids: found });
  }

  const listNames = (list: readonly string[], status?: number): Uint8Array =>
    encodePdu({
      kind: "pmns-names",
      from: FROM_ANON,
      names: list,
      ...(status === undefined || list.length === 0 ? {} : { statuses: list.map(() => status) }),
    });

  function children(name: string, withStatus: boolean): Uint8Array {
    if (name === "") return listNames([PREFIX], withStatus ? 1 : undefined);
    const status = withStatus ? 0 : undefined;
    if (name === PREFIX)
      return listNames(
        names.map((full) => full.slice(PREFIX.length + 1)),
        status,
      );
    return pmids.has(name) ? listNames([]) : error(PM_ERR.NAME);
  }

  function listInstances(id: number, name: string): Uint8Array {
    const all = numbers.map((i) => ({ instance: asInstance(i), name: `i${i}` }));
    const found = all.filter((entry) => entry.instance === id || entry.name === name);
    const entries =
      id === PM_IN_NULL && name === ""
        ? all
        : found.map((entry) =>
            name === "" ? { ...entry, instance: PM_IN_NULL } : { ...entry, name: "" },
          );
    return entries.length === 0
      ? error(PM_ERR.INST)
      : encodePdu({ kind: "instance", from: FROM_ANON, indom: INDOM, instances: entries });
  }

  /** The usual reply; null for requests that get none. `profiles` are the contexts with a profile. */
  return (request: Pdu, profiles: Set<number>): Uint8Array | null => {
    switch (request.kind) {
      case "profile":
        profiles.add(request.context);
        return null;
      case "creds":
      case "attr":
        return null;
      case "fetch":
      case "highres-fetch":
        return profiles.has(request.context)
          ? fetch(request.pmids, request.kind === "highres-fetch")
          : error(PM_ERR.NOPROFILE);
      case "desc-req": {
        const desc = descOf(request.pmid);
        return desc.pmid === PM_ID_NULL
          ? error(PM_ERR.PMID)
          : encodePdu({ kind: "desc", from: FROM_ANON, desc });
      }
      case "desc-ids":
        return encodePdu({ kind: "descs", from: FROM_ANON, descs: request.pmids.map(descOf) });
      case "instance-req":
        return request.indom === INDOM && values !== 1
          ? listInstances(request.instance, request.name)
          : error(PM_ERR.INDOM);
      case "text-req":
        return encodePdu({
          kind: "text",
          from: FROM_ANON,
          ident: request.ident,
          text: "made up",
        });
      case "label-req":
        return encodePdu({ ...request, kind: "label", from: FROM_ANON, sets: [] });
      case "pmns-names":
        return lookUp(request.names);
      case "pmns-ids": {
        const name = nameOf.get(request.pmids[0] ?? PM_ID_NULL);
        return name === undefined ? error(PM_ERR.PMID) : listNames([name]);
      }
      case "pmns-child":
        return children(request.name, request.subtype === 1);
      case "pmns-traverse": {
        const under = names.filter(
          (name) => `${name}.`.startsWith(`${request.name}.`) || request.name === "",
        );
        return under.length === 0 ? error(PM_ERR.NAME) : listNames(under);
      }
      case "result":
        return error(0);
      default:
        return error(PM_ERR.IPC);
    }
  };
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Writes and waits until the bytes have left this program, or the connection has gone. */
const send = (socket: Socket, bytes: Uint8Array): Promise<void> =>
  new Promise((resolve) => {
    if (socket.destroyed) resolve();
    else socket.write(bytes, () => resolve());
  });

async function sendFaulty(socket: Socket, reply: Uint8Array, fault?: Fault): Promise<void> {
  if (fault?.kind === "delay") await pause(fault.ms);
  if (fault?.kind !== "trickle") return send(socket, reply);
  for (let at = 0; at < reply.length && !socket.destroyed; at += fault.size) {
    await send(socket, reply.subarray(at, at + fault.size));
    await pause(fault.pauseMs);
  }
}

/** Serves one connection; `received` fills up as PDUs come. */
function serve(
  socket: Socket,
  behaviour: FakeBehaviour,
  service: ReturnType<typeof makeService>,
  received: (Pdu | PcpError)[],
): void {
  const { fault } = behaviour;
  const framer = createFramer(PDU_CEILING);
  const profiles = new Set<number>();
  const speechless =
    fault !== undefined && ["refuse", "mute", "greet", "hang-up"].includes(fault.kind);
  let answered = 0;
  let work: Promise<void> = Promise.resolve();
  socket.setNoDelay(true);
  // A reset by the peer is an ordinary hang-up (spec pdu.md 1.5); "close" follows.
  socket.on("error", () => socket.destroy());

  const answer = async (bytes: Uint8Array): Promise<void> => {
    let reply: Uint8Array | null | undefined;
    try {
      const request = decodePdu(bytes);
      received.push(request);
      if (received.length === 1 && request.kind !== "creds") {
        socket.destroy();
        return;
      }
      reply = behaviour.answer?.(request);
      if (reply === undefined) reply = service(request, profiles);
    } catch (failure) {
      if (!(failure instanceof PcpError)) throw failure;
      received.push(failure);
      reply = error(PM_ERR.IPC);
    }
    if (reply === null || speechless) return;
    if (fault !== undefined && "after" in fault && answered >= fault.after) {
      if (fault.kind === "garble") await send(socket, fault.bytes);
      if (fault.kind === "die") {
        await send(socket, reply.subarray(0, fault.bytes));
        if (fault.reset === true) socket.resetAndDestroy();
        else socket.end();
      }
      return;
    }
    answered++;
    await sendFaulty(socket, reply, fault);
  };

  socket.on("data", (chunk: Uint8Array) => {
    framer.feed(chunk);
    try {
      for (const bytes of framer) work = work.then(() => answer(bytes));
    } catch (failure) {
      if (!(failure instanceof PcpError)) throw failure;
      received.push(failure);
      socket.destroy();
    }
  });

  switch (fault?.kind) {
    case "mute":
      return;
    case "hang-up":
      socket.end();
      return;
    case "greet":
      socket.write(fault.bytes);
      return;
    default: {
      const refusal = fault?.kind === "refuse" ? fault.code : 0;
      const challenge = encodePdu({
        kind: "challenge",
        from: FROM_ANON,
        code: refusal,
        version: refusal === 0 ? PDU_VERSION : 0,
        licensed: refusal === 0 ? 1 : 0,
        features: refusal === 0 ? (behaviour.features ?? DEFAULT_FEATURES) : 0,
      });
      if (refusal === 0) work = sendFaulty(socket, challenge, fault);
      else socket.end(challenge);
    }
  }
}

const listen = (server: Server, options: FakePmcdOptions): Promise<number> =>
  new Promise((resolve, reject) => {
    server.once("error", reject);
    const ready = (): void => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : 0);
    };
    if (options.unix === undefined) server.listen(options.port ?? 0, "127.0.0.1", ready);
    else server.listen(options.unix, ready);
  });

/** Starts a stand-in pmcd; resolves when it listens. */
export async function startFakePmcd(options: FakePmcdOptions = {}): Promise<FakePmcd> {
  const behaviour = options.behaviour ?? {};
  const service = makeService(behaviour);
  const connections: FakeConnection[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    const received: (Pdu | PcpError)[] = [];
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    connections.push({
      received,
      get open() {
        return sockets.has(socket);
      },
    });
    serve(socket, behaviour, service, received);
  });
  const port = await listen(server, options);
  return {
    port,
    connections,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.resetAndDestroy();
      }),
  };
}
