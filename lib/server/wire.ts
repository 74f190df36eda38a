// One end of a byte connection, native or inside TLS, as the relays see it: bytes in to a sink, bytes
// out with back-pressure. This is the only place that knows what to do when a socket takes less than
// it was given. Refuses to hold more than the chunk that did not fit: whoever feeds a wire stops when
// `write` says false and goes on at `drain`. A sink that throws loses its connection, nobody else's.

import type { Socket, SocketHandler } from "bun";
import { isIP } from "node:net";
import { checkServerIdentity, type TLSSocket } from "node:tls";
import { duplicate } from "../base/mod.ts";

/** What a wire tells its user. Installed by assigning `wire.sink`; the sink is the connection's state. */
export interface WireSink {
  /** Bytes from the peer; theirs to keep, never changed later. */
  data(bytes: Uint8Array): void;
  /** What `write` refused has gone out. */
  drain(): void;
  /** The peer will send no more; it may still read. */
  end(): void;
  /** Nothing goes in or out any more. Last call. */
  close(): void;
}

export interface Wire {
  sink: WireSink;
  /** Inside TLS. */
  readonly secure: boolean;
  /** Address of the peer, "" for a unix socket. */
  readonly peer: string;
  /** False: the rest is kept, and the caller waits for `drain` before it writes again. */
  write(bytes: Uint8Array): boolean;
  /** The same for bytes that change after the call. */
  writeShared(bytes: Uint8Array): boolean;
  /** Something is kept that has not gone out. */
  readonly full: boolean;
  pause(): void;
  resume(): void;
  /** Sends what is kept, then says that no more follows. Reading goes on. */
  end(): void;
  /** Sends what is kept, then closes. */
  finish(): void;
  /** Closes now. */
  destroy(): void;
}

/** Ignores everything: the sink of a wire that nobody listens to. */
export const SILENT: WireSink = { data() {}, drain() {}, end() {}, close() {} };

/** Hears of what a sink threw: a mistake of ours. The wire is destroyed already. */
export type OnFault = (error: unknown) => void;

/** Bun has it, its types do not. -1 where there is none. */
export const descriptorOf = (socket: object | undefined): number =>
  socket !== undefined && "fd" in socket && typeof socket.fd === "number" ? socket.fd : -1;

type Closing = "open" | "ending" | "finishing" | "closed";

/** A socket of the system: TCP or unix; TLS only where we have opened it. */
export class NativeWire implements Wire {
  sink: WireSink = SILENT;
  /** What is checked when the server has shown its certificate. */
  trust: { readonly host: string; readonly tls: DialTls } | undefined;
  /** Present while a connection that we opened is not established: told how that ends. */
  dialing: { open(): void; failed(error: Error): void } | undefined;
  private socket: Socket<NativeWire> | undefined;
  private kept: Uint8Array[] | undefined;
  private closing: Closing = "open";

  constructor(private readonly onFault: OnFault) {}

  get full(): boolean {
    return this.kept !== undefined;
  }
  get secure(): boolean {
    return this.trust !== undefined;
  }
  get isClosed(): boolean {
    return this.closing === "closed";
  }

  get peer(): string {
    return this.socket?.remoteAddress ?? "";
  }

  /** The system's socket is there. Called by the handlers below. */
  attach(socket: Socket<NativeWire>): void {
    this.socket = socket;
    if (this.closing === "closed") socket.end();
  }

  /** 0: no keep-alive. (TCP_NODELAY is on already: Bun sets it.) */
  setKeepAlive(seconds: number): void {
    if (seconds > 0) this.socket?.setKeepAlive(true, seconds * 1000);
  }

  write(bytes: Uint8Array): boolean {
    return this.put(bytes, false);
  }
  writeShared(bytes: Uint8Array): boolean {
    return this.put(bytes, true);
  }

  private put(bytes: Uint8Array, isShared: boolean): boolean {
    if (this.kept !== undefined) {
      this.kept.push(isShared ? new Uint8Array(bytes) : bytes);
      return false;
    }
    const socket = this.socket;
    if (socket === undefined) return false;
    const taken = socket.write(bytes);
    if (taken === bytes.length) return true;
    // A negative count is a dead socket, whose close follows.
    if (taken >= 0 && this.closing !== "closed") {
      const rest = bytes.subarray(taken);
      this.kept = [isShared ? new Uint8Array(rest) : rest];
    }
    return false;
  }

  /** The system takes bytes again. Called by the handlers below. */
  drained(): void {
    const { kept, socket } = this;
    if (kept === undefined || socket === undefined) return;
    for (let head = kept[0]; head !== undefined; head = kept[0]) {
      const taken = socket.write(head);
      if (taken < head.length) {
        if (taken > 0) kept[0] = head.subarray(taken);
        return;
      }
      kept.shift();
    }
    this.kept = undefined;
    if (this.closing === "ending") socket.shutdown();
    else if (this.closing === "finishing") socket.end();
    else this.sink.drain();
  }

  pause(): void {
    this.socket?.pause();
  }
  resume(): void {
    this.socket?.resume();
  }

  end(): void {
    if (this.closing !== "open") return;
    this.closing = "ending";
    if (this.kept === undefined) this.socket?.shutdown();
  }

  finish(): void {
    if (this.closing === "closed" || this.closing === "finishing") return;
    if (this.kept === undefined) {
      this.destroy();
      return;
    }
    this.closing = "finishing";
    // Reading must go on, or a peer that dies meanwhile is not noticed.
    this.sink = { ...SILENT, close: this.sink.close.bind(this.sink) };
    this.socket?.resume();
  }

  destroy(): void {
    if (this.closing === "closed") return;
    this.closing = "closed";
    this.kept = undefined;
    this.dialing = undefined;
    this.socket?.end();
  }

  /**
   * Closes now with a reset, as a PCP client that exits does: nothing of the connection stays in the
   * system, where thousands of closed ones would slow down every later connect.
   */
  abort(): void {
    if (this.closing === "closed") return;
    this.closing = "closed";
    this.kept = undefined;
    this.dialing = undefined;
    this.socket?.terminate();
  }

  /** Another descriptor of this connection. Throws a PcpError when there is none to be had. */
  duplicate(): number {
    return duplicate(descriptorOf(this.socket));
  }

  /** Lets go of a connection that lives on in its duplicate: silent from here on, `sink` included. */
  release(): void {
    this.sink = SILENT;
    this.destroy();
  }

  /** Open, and nothing is kept for the peer. */
  get quiet(): boolean {
    return this.closing === "open" && this.kept === undefined;
  }

  /** The system's socket is gone. Called by the handlers below. */
  closed(): void {
    this.closing = "closed";
    this.kept = undefined;
    const sink = this.sink;
    this.sink = SILENT;
    sink.close();
  }

  /** Our own code has failed on this connection, which ends here. Called by the handlers below. */
  fault(error: unknown): void {
    this.onFault(error);
    this.destroy();
  }
}

/** Handlers of every native socket, accepted or dialled; `open` differs between the two. */
const WIRE_HANDLERS = {
  data(socket, bytes) {
    try {
      socket.data.sink.data(bytes);
    } catch (error) {
      socket.data.fault(error);
    }
  },
  drain(socket) {
    try {
      socket.data.drained();
    } catch (error) {
      socket.data.fault(error);
    }
  },
  end(socket) {
    try {
      socket.data.sink.end();
    } catch (error) {
      socket.data.fault(error);
    }
  },
  close(socket) {
    try {
      socket.data.closed();
    } catch (error) {
      socket.data.fault(error);
    }
  },
  // What failed closes as well, and the close is what everybody acts on.
  error() {},
} satisfies SocketHandler<NativeWire>;

/** Handlers of a listening socket: each connection becomes a wire and goes to `accepted`. */
export function acceptHandlers(
  accepted: (wire: NativeWire) => void,
  onFault: OnFault,
): SocketHandler<NativeWire> {
  return {
    ...WIRE_HANDLERS,
    open(socket) {
      const wire = new NativeWire(onFault);
      socket.data = wire;
      wire.attach(socket);
      try {
        accepted(wire);
      } catch (error) {
        wire.fault(error);
      }
    },
  };
}

/** A connection that we open is established. */
function opened(wire: NativeWire): void {
  const { dialing } = wire;
  wire.dialing = undefined;
  try {
    dialing?.open();
  } catch (error) {
    wire.fault(error);
  }
}

const DIAL_HANDLERS: SocketHandler<NativeWire> = {
  ...WIRE_HANDLERS,
  open(socket) {
    const wire = socket.data;
    wire.attach(socket);
    if (wire.trust === undefined) opened(wire);
  },
  handshake(socket, _success, problem) {
    const wire = socket.data;
    const { trust, dialing } = wire;
    if (trust === undefined) return;
    const isTaken = trust.tls.rejectUnauthorized === false;
    const refused = isTaken
      ? undefined
      : (problem ?? checkServerIdentity(trust.host, socket.getPeerCertificate()));
    if (refused === undefined) return opened(wire);
    wire.destroy();
    dialing?.failed(refused);
  },
  close(socket) {
    const { dialing } = socket.data;
    socket.data.dialing = undefined;
    // Plain ones are established, or were never opened.
    dialing?.failed(new Error("the server closed the connection"));
    WIRE_HANDLERS.close(socket);
  },
  // The promise of the connection says the same, once, whatever went wrong.
  connectError() {},
};

/** How a connection that we open goes. */
export interface DialCallbacks {
  /** Either this one or `failed` comes later, unless the wire is destroyed first. */
  open(): void;
  failed(error: Error): void;
  /**
   * The attempt is over, however it went. It cannot be broken off: one whose wire was destroyed goes
   * on, with its descriptors, until the system gives up.
   */
  settled(): void;
  readonly onFault: OnFault;
}

/** TLS with a server: PEM texts; the machine's authorities unless `ca` is given. */
export interface DialTls {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  /** False takes any certificate. */
  readonly rejectUnauthorized?: boolean;
}

/**
 * Connects to `host` (address or name; all its addresses are tried) and `port`, or to the unix socket
 * that `host` is the absolute path of, where nobody speaks TLS.
 */
export function dial(
  host: string,
  port: number,
  callbacks: DialCallbacks,
  tls?: DialTls,
): NativeWire {
  const wire = new NativeWire(callbacks.onFault);
  wire.dialing = callbacks;
  const isPath = host.startsWith("/");
  if (tls !== undefined && !isPath) wire.trust = { host, tls };
  const attempt = async (): Promise<void> => {
    // Waits first, so that a host name that Bun does not even try fails later as all others do.
    await Promise.resolve();
    if (wire.isClosed) return;
    const shared = { allowHalfOpen: true, data: wire, socket: DIAL_HANDLERS };
    if (isPath) await Bun.connect<NativeWire>({ ...shared, unix: host });
    else if (wire.trust === undefined)
      await Bun.connect<NativeWire>({ ...shared, hostname: host, port });
    else
      await Bun.connect<NativeWire>({
        ...shared,
        hostname: host,
        port,
        tls: { ...tls, ...(isIP(host) === 0 ? { serverName: host } : {}) },
      });
  };
  const failed = (error: unknown): void => {
    const { dialing } = wire;
    wire.dialing = undefined;
    dialing?.failed(error instanceof Error ? error : new Error(String(error)));
  };
  attempt().catch(failed).finally(callbacks.settled).catch(callbacks.onFault);
  return wire;
}

/** The inside of a TLS connection. The stream's own buffer is the bound of what is kept. */
export class StreamWire implements Wire {
  readonly secure = true;
  private current: WireSink = SILENT;
  private started = false;

  constructor(
    readonly stream: TLSSocket,
    readonly peer: string,
    /** The client has shown a certificate that one of our authorities signed. */
    readonly certified: boolean,
    /** Stops what comes in below TLS, and lets it go on. */
    readonly hold: (isHeld: boolean) => void,
    private readonly onFault: OnFault,
  ) {
    stream.on("data", this.onData);
    stream.on("drain", this.onDrain);
    stream.on("end", this.onEnd);
    stream.on("close", this.onClose);
  }

  // An exception must not leave through the stream: nobody above it would know whose it is.
  private readonly onData = (bytes: Uint8Array): void => {
    try {
      this.current.data(bytes);
    } catch (error) {
      this.fault(error);
    }
  };
  private readonly onDrain = (): void => {
    try {
      this.current.drain();
    } catch (error) {
      this.fault(error);
    }
  };
  private readonly onEnd = (): void => {
    try {
      this.current.end();
    } catch (error) {
      this.fault(error);
    }
  };
  private readonly onClose = (): void => {
    const sink = this.current;
    this.current = SILENT;
    try {
      sink.close();
    } catch (error) {
      this.fault(error);
    }
  };

  private fault(error: unknown): void {
    this.onFault(error);
    this.destroy();
  }

  get full(): boolean {
    return this.stream.writableLength > 0;
  }

  get sink(): WireSink {
    return this.current;
  }
  set sink(sink: WireSink) {
    this.current = sink;
    if (!this.started) {
      this.started = true;
      this.stream.resume();
    }
  }

  /** Gives the stream to somebody else, with `first` to be read again; this wire is silent then. */
  release(first: Uint8Array): TLSSocket {
    const { stream } = this;
    stream.pause();
    stream.off("data", this.onData);
    stream.off("drain", this.onDrain);
    stream.off("end", this.onEnd);
    stream.off("close", this.onClose);
    stream.unshift(first);
    return stream;
  }

  write(bytes: Uint8Array): boolean {
    return this.stream.write(bytes);
  }
  writeShared(bytes: Uint8Array): boolean {
    return this.stream.write(new Uint8Array(bytes));
  }
  pause(): void {
    this.stream.pause();
  }
  resume(): void {
    this.stream.resume();
  }
  end(): void {
    this.stream.end();
  }
  finish(): void {
    this.stream.destroySoon();
  }
  destroy(): void {
    this.stream.destroy();
  }
}
