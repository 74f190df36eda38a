// The transport of one client of a collector: a native socket, or TLS on it once the client has asked
// for that in its CREDS. What the peer does not take is kept up to a bound and reported, so that its
// requests wait; a client that lets more pile up is dropped.
import { Duplex } from "node:stream";
import { type SecureContext, TLSSocket } from "node:tls";
import type { Socket } from "bun";
import type { Session } from "./session.ts";

/** Bytes of replies that may wait for one client: the largest reply, and one more. */
const MAX_KEPT = 512 * 1024 * 1024;
/** Milliseconds for the TLS handshake. */
const TLS_TIME = 5000;

/** The native socket as a stream, for node:tls, which takes nothing else. */
class Tunnel extends Duplex {
  #waiting: ((error?: Error | null) => void) | undefined;
  constructor(readonly wire: ClientWire) {
    super();
  }
  feed(bytes: Uint8Array): void {
    if (!this.push(bytes)) this.wire.socket.pause();
  }
  drained(): void {
    const done = this.#waiting;
    this.#waiting = undefined;
    done?.();
  }
  override _read(): void {
    this.wire.socket.resume();
  }
  override _write(
    bytes: Uint8Array,
    _encoding: string,
    done: (error?: Error | null) => void,
  ): void {
    if (this.wire.write(bytes)) done();
    else this.#waiting = done;
  }
  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.wire.finish();
    done(error);
  }
}

/** One client's socket. `session` is set right after the wire is made. */
export class ClientWire {
  session: Session | undefined;
  private kept: Uint8Array[] = [];
  private keptBytes = 0;
  private closing = false;
  private tunnel: Tunnel | undefined;
  private tls: TLSSocket | undefined;

  constructor(
    readonly socket: Socket<ClientWire>,
    private readonly gone: () => void,
  ) {}

  /** Bytes to the socket; false when some are kept. */
  write(bytes: Uint8Array): boolean {
    if (this.kept.length === 0) {
      const taken = Math.max(0, this.socket.write(bytes));
      if (taken === bytes.length) return true;
      bytes = bytes.subarray(taken);
    }
    this.kept.push(bytes);
    this.keptBytes += bytes.length;
    if (this.keptBytes > MAX_KEPT) this.socket.terminate();
    return false;
  }

  send(bytes: Uint8Array): boolean {
    return this.tls === undefined ? this.write(bytes) : this.tls.write(bytes);
  }

  hold(held: boolean): void {
    if (this.tls !== undefined) {
      if (held) this.tls.pause();
      else this.tls.resume();
    } else if (held) this.socket.pause();
    else this.socket.resume();
  }

  /** Goes on in TLS as the server; `rest` is the start of what the client sends in it. */
  startTls(rest: Uint8Array, secureContext: SecureContext, needsCertificate: boolean): void {
    const tunnel = new Tunnel(this);
    this.tunnel = tunnel;
    const tls = new TLSSocket(tunnel, {
      isServer: true,
      secureContext,
      requestCert: needsCertificate,
      rejectUnauthorized: false,
    });
    this.tls = tls;
    const fail = (): void => {
      tls.destroy();
      this.socket.terminate();
    };
    const timer = setTimeout(fail, TLS_TIME);
    tls.once("secure", () => {
      clearTimeout(timer);
      if (needsCertificate && !tls.authorized) fail();
    });
    tls.on("error", fail);
    tunnel.on("error", fail);
    tls.once("close", () => {
      clearTimeout(timer);
      this.finish();
    });
    tls.on("drain", () => this.session?.drained());
    tls.on("data", (bytes: Uint8Array) => this.session?.receive(bytes));
    tls.once("end", () => this.close());
    if (rest.length > 0) tunnel.feed(rest);
  }

  /** Sends what is kept, then closes. */
  close(): void {
    if (this.tls !== undefined) this.tls.end();
    else this.finish();
  }

  finish(): void {
    this.closing = true;
    if (this.kept.length === 0) this.socket.end();
  }

  // What the socket's handlers below pass on.
  received(bytes: Uint8Array): void {
    if (this.tunnel === undefined) this.session?.receive(bytes);
    else this.tunnel.feed(bytes);
  }

  flush(): void {
    for (let head = this.kept[0]; head !== undefined; head = this.kept[0]) {
      const taken = Math.max(0, this.socket.write(head));
      this.keptBytes -= taken;
      if (taken < head.length) {
        this.kept[0] = head.subarray(taken);
        return;
      }
      this.kept.shift();
    }
    if (this.closing) this.socket.end();
    else if (this.tunnel === undefined) this.session?.drained();
    else this.tunnel.drained();
  }

  ended(): void {
    this.kept = [];
    this.keptBytes = 0;
    this.session?.end();
    this.tls?.destroy();
    this.gone();
  }
}
