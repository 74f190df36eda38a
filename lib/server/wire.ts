// One end of a byte connection, native or inside TLS, as the relays see it: bytes in to a sink, bytes
// out with back-pressure. This is the only place that knows what to do when a socket takes less than
// it was given. Refuses to hold more than the chunk that did not fit: whoever feeds a wire stops when
// `write` says false and goes on at `drain`.

import type { Socket, SocketHandler } from "bun";
import type { TLSSocket } from "node:tls";

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

type Closing = "open" | "ending" | "finishing" | "closed";

/** A socket of the system: TCP or unix. */
export class NativeWire implements Wire {
  sink: WireSink = SILENT;
  readonly secure = false;
  /** Present while a connection that we opened is not established: told how that ends. */
  dialing: { open(): void; failed(error: Error): void } | undefined;
  private socket: Socket<NativeWire> | undefined;
  private kept: Uint8Array[] | undefined;
  private closing: Closing = "open";

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
    if (this.kept !== undefined) {
      this.kept.push(bytes);
      return false;
    }
    const socket = this.socket;
    if (socket === undefined) return false;
    const taken = socket.write(bytes);
    if (taken === bytes.length) return true;
    // A negative count is a dead socket, whose close follows.
    if (taken >= 0) this.kept = [bytes.subarray(taken)];
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

  /** The system's socket is gone. Called by the handlers below. */
  closed(): void {
    this.closing = "closed";
    this.kept = undefined;
    const sink = this.sink;
    this.sink = SILENT;
    sink.close();
  }
}

/** Handlers of every native socket, accepted or dialled; `open` differs between the two. */
const WIRE_HANDLERS = {
  data(socket, bytes) {
    socket.data.sink.data(bytes);
  },
  drain(socket) {
    socket.data.drained();
  },
  end(socket) {
    socket.data.sink.end();
  },
  close(socket) {
    socket.data.closed();
  },
  // What failed closes as well, and the close is what everybody acts on.
  error() {},
} satisfies SocketHandler<NativeWire>;

/** Handlers of a listening socket: each connection becomes a wire and goes to `accepted`. */
export function acceptHandlers(accepted: (wire: NativeWire) => void): SocketHandler<NativeWire> {
  return {
    ...WIRE_HANDLERS,
    open(socket) {
      const wire = new NativeWire();
      socket.data = wire;
      wire.attach(socket);
      accepted(wire);
    },
  };
}

const DIAL_HANDLERS: SocketHandler<NativeWire> = {
  ...WIRE_HANDLERS,
  open(socket) {
    const wire = socket.data;
    wire.attach(socket);
    const { dialing } = wire;
    wire.dialing = undefined;
    dialing?.open();
  },
  connectError(socket, error) {
    const { dialing } = socket.data;
    socket.data.dialing = undefined;
    dialing?.failed(error);
  },
};

/**
 * Connects to `host` (address or name; all its addresses are tried) and `port`. Exactly one of the
 * callbacks comes later, unless the wire is destroyed first.
 */
export function dial(
  host: string,
  port: number,
  callbacks: { open(): void; failed(error: Error): void },
): NativeWire {
  const wire = new NativeWire();
  wire.dialing = callbacks;
  Bun.connect<NativeWire>({
    hostname: host,
    port,
    allowHalfOpen: true,
    data: wire,
    socket: DIAL_HANDLERS,
  }).then(undefined, (error: unknown) => {
    const { dialing } = wire;
    wire.dialing = undefined;
    dialing?.failed(error instanceof Error ? error : new Error(String(error)));
  });
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
  ) {
    stream.on("data", this.onData);
    stream.on("drain", this.onDrain);
    stream.on("end", this.onEnd);
    stream.on("close", this.onClose);
  }

  private readonly onData = (bytes: Uint8Array): void => this.current.data(bytes);
  private readonly onDrain = (): void => this.current.drain();
  private readonly onEnd = (): void => this.current.end();
  private readonly onClose = (): void => {
    const sink = this.current;
    this.current = SILENT;
    sink.close();
  };

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
