// The relays: a client's bytes to a server and back, unchanged. First the PCP greeting (spec pdu.md
// 12.2, proxy.md 11) or nothing (RESP), then a connection to the server, then both ways with
// back-pressure: a side that does not take its bytes stops the other one from being read. Either side
// ending ends the other, after what is buffered has gone out.

import { closeDescriptor, utf8 } from "../base/mod.ts";
import type { HostPort } from "./settings.ts";
import type { RelaySession, Server } from "./server.ts";
import { PduGate } from "./gate.ts";
import { ReplyBounds, UNFRAMED_LOOKS } from "./reply-bounds.ts";
import { dial, type DialTls, NativeWire, type Wire, type WireSink } from "./wire.ts";
import type { Timed } from "./deadlines.ts";

const GREETING = utf8("pmproxy-client 1\n");
const GREETING_REPLY = utf8("pmproxy-server 1\n");
/** A DNS name has at most 255 characters; then one blank, five digits, the newline. */
const HOST_LINE_MAX = 255 + 1 + 5 + 1;
const NEWLINE = 0x0a;
const RETURN = 0x0d;
/** Replies after which a session is long enough to be handed to the pump. */
const LONG_SESSION = 8;
/** How long one direction may stay open after the other has ended. */
const HALF_CLOSED_MS = 60_000;
/** Addresses of one name that Bun tries at the same time, each with a descriptor. */
export const DIAL_DESCRIPTORS = 4;

const concat = (head: Uint8Array | undefined, tail: Uint8Array): Uint8Array => {
  if (head === undefined || head.length === 0) return tail;
  const both = new Uint8Array(head.length + tail.length);
  both.set(head);
  both.set(tail, head.length);
  return both;
};

/** The host and port of a host line without its newline; undefined: not of the form `HOST PORT`. */
export function parseHostLine(line: string): HostPort | undefined {
  const match = /^([!-~\x80-\xff]+) ([0-9]{1,5})$/.exec(line);
  const [, bracketed = "", digits] = match ?? [];
  const host = bracketed.replace(/^\[(.*)\]$/, "$1");
  const port = Number(digits);
  if (host === "" || !(port >= 1 && port <= 65535)) return undefined;
  return { host, port };
}

/** A client that says which pmcd it wants: greeting, reply, host line. */
export class GreetingSink implements WireSink, Timed {
  deadline = 0;
  private held: Uint8Array | undefined;
  private greeted = false;

  constructor(
    private readonly server: Server,
    private readonly client: Wire,
  ) {
    server.deadlines.set(this, server.settings.limits.handshakeTimeoutMs);
  }

  data(chunk: Uint8Array): void {
    let bytes = concat(this.held, chunk);
    this.held = undefined;
    if (!this.greeted) {
      const length = Math.min(bytes.length, GREETING.length);
      for (let i = 0; i < length; i++) {
        const ended = this.server.settings.deprecated && bytes[i] === RETURN;
        if (bytes[i] !== GREETING[i] && !(ended && GREETING[i] === NEWLINE)) {
          return this.refuse("bad greeting");
        }
      }
      if (bytes.length < GREETING.length) {
        this.held = bytes;
        return;
      }
      this.greeted = true;
      this.client.write(GREETING_REPLY);
      bytes = bytes.subarray(GREETING.length);
    }
    const end = this.lineEnd(bytes);
    if (end < 0 && bytes.length < HOST_LINE_MAX) {
      this.held = bytes;
      return;
    }
    const target =
      end >= 0 && end < HOST_LINE_MAX
        ? parseHostLine(new TextDecoder("latin1").decode(bytes.subarray(0, end)))
        : undefined;
    if (target === undefined) return this.refuse("bad host line");
    this.server.deadlines.clear(this);
    const { settings } = this.server;
    connectRelay(this.server, this.client, target, {
      gate: new PduGate(settings.pcp.pduCeiling, settings.deprecated),
      pending: end + 1 < bytes.length ? bytes.subarray(end + 1) : undefined,
      prelude: undefined,
    });
  }

  private lineEnd(bytes: Uint8Array): number {
    const newline = bytes.indexOf(NEWLINE);
    if (!this.server.settings.deprecated) return newline;
    const ret = bytes.indexOf(RETURN);
    return ret >= 0 && (newline < 0 || ret < newline) ? ret : newline;
  }

  private refuse(reason: string): void {
    this.server.deadlines.clear(this);
    this.server.counters.greetingFailures += 1;
    this.server.log.debug(`client ${this.client.peer || "(gone)"}: ${reason}`);
    this.client.destroy();
  }

  drain(): void {}
  end(): void {
    // Nobody can be relayed who has stopped sending before the host line.
    this.refuse("end of file in the greeting");
  }
  close(): void {
    this.server.deadlines.clear(this);
    this.server.gone(this.client);
  }
  expired(): void {
    this.server.counters.tooSlow += 1;
    this.client.destroy();
  }
}

/** What a relay begins with. */
export interface RelayStart {
  /** Follows the client's PDUs; undefined: nothing is looked at. */
  readonly gate: PduGate | undefined;
  /** Bytes of the client that came before the server was connected. */
  readonly pending: Uint8Array | undefined;
  /** Sent to the server first, its one-line answer being kept from the client (RESP AUTH). */
  readonly prelude: Uint8Array | undefined;
  /** How TLS is spoken with the server; none: it is not. */
  readonly tls?: DialTls | undefined;
}

/** Connects to `target` and relays. The client's bytes wait meanwhile, up to the PDU ceiling. */
export function connectRelay(
  server: Server,
  client: Wire,
  target: HostPort,
  start: RelayStart,
): void {
  const connecting = new ConnectingSink(server, client, target, start);
  client.sink = connecting;
  connecting.begin();
}

/** Pieces of a client's bytes that wait for the server to be connected. */
const PENDING_CHUNKS = 64;

/** A client whose server is being connected. */
class ConnectingSink implements WireSink, Timed {
  deadline = 0;
  private readonly pending: Uint8Array[] = [];
  private waiting = 0;
  private ended = false;
  /** Counted in `server.connecting`. */
  private under = false;
  private upstream: NativeWire | undefined;

  constructor(
    private readonly server: Server,
    private readonly client: Wire,
    private readonly target: HostPort,
    private readonly start: RelayStart,
  ) {}

  begin(): void {
    const { server, start } = this;
    if (start.pending !== undefined) this.data(start.pending);
    if (!server.hasDescriptors(DIAL_DESCRIPTORS)) return this.failed("too many open files");
    server.deadlines.set(this, server.settings.pcp.connectTimeoutMs);
    server.connecting += 1;
    this.under = true;
    server.counters.dials += 1;
    const callbacks = {
      open: () => this.opened(),
      failed: (error: Error) => this.failed(error.message),
      settled: () => {
        server.counters.dials -= 1;
      },
      onFault: server.onFault,
    };
    this.upstream = dial(this.target.host, this.target.port, callbacks, start.tls);
  }

  data(bytes: Uint8Array): void {
    this.pending.push(bytes);
    this.waiting += bytes.length;
    // The rest waits in the system's buffers until the server is there.
    const full = this.waiting >= this.server.settings.pcp.pduCeiling;
    if (full || this.pending.length >= PENDING_CHUNKS) this.client.pause();
  }

  /** Whatever came of it, the client waits no more. */
  private over(): void {
    this.server.deadlines.clear(this);
    if (this.under) this.server.connecting -= 1;
    this.under = false;
  }

  private opened(): void {
    const { server, client, upstream, start } = this;
    this.over();
    if (upstream === undefined) return;
    const pair = new RelayPair(server, client, upstream, start.gate);
    server.counters.relays += 1;
    server.counters.relaysOpened += 1;
    server.relays.add(pair);
    server.pump.prepare();
    client.sink = pair.fromClient;
    upstream.sink =
      start.prelude === undefined
        ? pair.fromServer
        : new PreludeSink(upstream, pair, start.prelude);
    client.resume();
    for (const bytes of this.pending) {
      pair.fromClient.data(bytes);
      // What it sent has closed the session.
      if (!server.relays.has(pair)) return;
    }
    if (this.ended) pair.fromClient.end();
  }

  private failed(reason: string): void {
    const { server, client, target } = this;
    this.over();
    server.counters.connectFailures += 1;
    server.lastConnectFailure = { target: `${target.host}:${target.port}`, reason, at: Date.now() };
    server.log.debug(`cannot connect to ${target.host} port ${target.port}: ${reason}`);
    this.upstream?.destroy();
    client.finish();
  }

  drain(): void {}
  end(): void {
    this.ended = true;
  }
  close(): void {
    this.over();
    this.upstream?.destroy();
    this.server.gone(this.client);
  }
  expired(): void {
    this.failed("timed out");
  }
}

/** Swallows the one-line answer to what we sent to the server ourselves. */
class PreludeSink implements WireSink {
  private line = "";
  constructor(
    private readonly upstream: NativeWire,
    private readonly pair: RelayPair,
    prelude: Uint8Array,
  ) {
    upstream.write(prelude);
  }
  data(bytes: Uint8Array): void {
    const end = bytes.indexOf(NEWLINE);
    this.line += new TextDecoder("latin1").decode(end < 0 ? bytes : bytes.subarray(0, end + 1));
    if (end < 0 && this.line.length <= HOST_LINE_MAX) return;
    if (!this.line.startsWith("+OK")) return this.pair.abort(`AUTH: ${this.line.trim()}`);
    this.upstream.sink = this.pair.fromServer;
    if (end + 1 < bytes.length) this.pair.fromServer.data(bytes.subarray(end + 1));
  }
  drain(): void {
    this.pair.fromServer.drain();
  }
  end(): void {
    this.pair.fromServer.end();
  }
  close(): void {
    this.pair.fromServer.close();
  }
}

/** Two wires joined. `fromClient` and `fromServer` are their sinks. */
export class RelayPair implements RelaySession, Timed {
  deadline = 0;
  readonly fromClient: WireSink;
  readonly fromServer: WireSink;
  /** The client has sent something since the server last did: a reply may be under way. */
  asked = false;
  /** The server has sent something; taken back by whoever looks. */
  moved = false;
  private open = 2;
  private clientEnded = false;
  private replies = 0;
  /** The pump has it: it ends when the pump says so, or is stopped. */
  away = false;
  /** Where replies of a pmcd end; nothing is known of other servers. */
  private readonly bounds: ReplyBounds | undefined;
  /** How often this session is still taken for busy because bytes without known ends have moved. */
  private patience = 0;

  constructor(
    readonly server: Server,
    readonly client: Wire,
    readonly upstream: NativeWire,
    private readonly gate: PduGate | undefined,
  ) {
    this.bounds = gate === undefined ? undefined : new ReplyBounds();
    this.fromClient = new FromClient(this, gate);
    this.fromServer = new FromServer(this, this.bounds);
  }

  /** Where replies end is known: PDUs in the clear. */
  private get isFramed(): boolean {
    return this.bounds?.isFramed === true && (this.gate?.remaining ?? 0) > 0;
  }

  /** A request or a reply may be under way. Asked again, it says so once for each piece of news. */
  isBusy(): boolean {
    const { isFramed } = this;
    if (this.moved && !isFramed) this.patience = UNFRAMED_LOOKS;
    else if (this.patience > 0) this.patience -= 1;
    const within = isFramed && this.bounds?.within === true;
    const busy = this.asked || this.moved || within || this.client.full || this.patience > 0;
    this.moved = false;
    return busy;
  }

  /** One direction has ended; the other may go on for a while. */
  ended(side: "client" | "server"): void {
    if (this.open === 0) return;
    if (side === "client") this.clientEnded = true;
    this.server.deadlines.set(this, HALF_CLOSED_MS);
  }

  /** Either side is gone: the other one gets what is buffered for it, then is closed. */
  gone(side: "client" | "server"): void {
    // Closing one wire may report the close of the other before this call returns.
    this.open -= 1;
    if (this.open > 0) {
      this.server.deadlines.set(this, HALF_CLOSED_MS);
    } else {
      this.server.deadlines.clear(this);
      this.server.counters.relays -= 1;
      this.server.relays.delete(this);
    }
    if (side === "client") {
      this.server.gone(this.client);
      // Without an orderly end before it this was a reset, and the server gets one too.
      if (this.clientEnded) this.upstream.finish();
      else this.upstream.abort();
    } else {
      this.client.finish();
    }
  }

  /** Ends the session because of what a side sent. */
  abort(reason: string): void {
    this.server.complaints.info(`client ${this.client.peer}: ${reason}, connection closed`);
    this.close();
  }

  close(): void {
    this.client.destroy();
    this.upstream.destroy();
  }

  /** A reply has gone out. Long sessions of plain sockets move to the pump at a quiet moment. */
  replied(): void {
    this.replies += 1;
    if (this.replies < LONG_SESSION) return;
    // A short session is over before the first probe, and need not pay for the option.
    if (this.replies === LONG_SESSION) {
      this.upstream.setKeepAlive(this.server.settings.listen.keepaliveSeconds);
    }
    if (this.server.pump.ready) this.handOver();
  }

  private handOver(): void {
    const { client, upstream, gate, server } = this;
    if (!(client instanceof NativeWire) || upstream.secure || this.clientEnded) return;
    if (!client.quiet || !upstream.quiet || gate?.atBoundary === false) return;
    // The pump follows replies from here on.
    if (this.isFramed && this.bounds?.within === true) return;
    const held: number[] = [];
    try {
      held.push(client.duplicate(), upstream.duplicate());
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      server.log.debug(`session not handed over: ${reason}`);
    }
    const [clientFd, serverFd] = held;
    if (clientFd !== undefined && serverFd !== undefined) {
      const ceiling = gate?.remaining ?? 0;
      const closed = (why: string | undefined): void => this.returned(why);
      this.away = server.pump.take(clientFd, serverFd, ceiling, this.isFramed, closed);
    }
    if (!this.away) {
      for (const fd of held) closeDescriptor(fd);
      // Not at every reply again.
      this.replies = 0;
      return;
    }
    client.release();
    upstream.release();
  }

  /** The pump has ended this session; `reason`: the client's fault. */
  private returned(reason: string | undefined): void {
    const { server } = this;
    if (reason !== undefined) {
      server.counters.badPdus += 1;
      server.complaints.info(`client in relay: ${reason}, connection closed`);
    }
    server.deadlines.clear(this);
    server.counters.relays -= 1;
    server.relays.delete(this);
    server.gone(this.client);
  }

  /** Closes after what is kept for either side has gone out. */
  retire(): void {
    this.client.finish();
    this.upstream.finish();
  }

  expired(): void {
    this.close();
  }
}

class FromClient implements WireSink {
  constructor(
    private readonly pair: RelayPair,
    private readonly gate: PduGate | undefined,
  ) {}
  data(bytes: Uint8Array): void {
    const { pair, gate } = this;
    if (gate !== undefined) {
      const verdict = gate.pass(bytes);
      if (verdict !== undefined) {
        pair.server.counters.badPdus += 1;
        pair.abort(verdict);
        return;
      }
    }
    pair.asked = true;
    pair.server.counters.bytesToServers += bytes.length;
    if (!pair.upstream.write(bytes)) pair.client.pause();
  }
  drain(): void {
    this.pair.upstream.resume();
  }
  end(): void {
    this.pair.ended("client");
    this.pair.upstream.end();
  }
  close(): void {
    this.pair.gone("client");
  }
}

class FromServer implements WireSink {
  constructor(
    private readonly pair: RelayPair,
    private readonly bounds: ReplyBounds | undefined,
  ) {}
  data(bytes: Uint8Array): void {
    const { pair } = this;
    this.bounds?.pass(bytes);
    pair.asked = false;
    pair.moved = true;
    pair.server.counters.bytesToClients += bytes.length;
    if (pair.client.write(bytes)) pair.replied();
    else pair.upstream.pause();
  }
  drain(): void {
    this.pair.client.resume();
  }
  end(): void {
    // A pmcd that has stopped talking is done with this client, as far as PCP goes.
    this.pair.ended("server");
    this.pair.client.finish();
  }
  close(): void {
    this.pair.gone("server");
  }
}
