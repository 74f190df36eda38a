// A native socket as a node stream, for node:tls and node:http, which take nothing else. One chunk is
// under way in each direction at most; the stream's own marks do the rest of the back-pressure.

import { Duplex } from "node:stream";
import type { Timed } from "./deadlines.ts";
import type { Server } from "./server.ts";
import type { NativeWire } from "./wire.ts";

/** How long the last bytes of a destroyed stream may take to go out. */
const LINGER_MS = 2_000;

type Done = (error?: Error | null) => void;

/** The stream of a wire whose first bytes have been read already: `start` gives them back. */
export class Bridge extends Duplex implements Timed {
  deadline = 0;
  private writing: Done | undefined;
  private full = false;

  // Private for the running program too: node:http puts a `server` of its own on its sockets.
  readonly #server: Server;
  readonly #wire: NativeWire;

  constructor(server: Server, wire: NativeWire) {
    super({ allowHalfOpen: true });
    this.#server = server;
    this.#wire = wire;
  }

  /** Takes over the wire; `first` is read again. */
  start(first: Uint8Array): void {
    this.#wire.sink = {
      data: (bytes) => this.receive(bytes),
      drain: () => this.settle(null),
      end: () => void this.push(null),
      close: () => {
        this.settle(new Error("connection closed"));
        if (!this.destroyed) {
          this.push(null);
          this.destroy();
        }
        this.#server.deadlines.clear(this);
        this.#server.gone(this.#wire);
      },
    };
    this.receive(first);
  }

  private receive(bytes: Uint8Array): void {
    if (this.destroyed || this.push(bytes)) return;
    this.full = true;
    this.#wire.pause();
  }

  private settle(error: Error | null): void {
    const { writing } = this;
    this.writing = undefined;
    writing?.(error);
  }

  override _read(): void {
    if (!this.full) return;
    this.full = false;
    this.#wire.resume();
  }
  override _write(bytes: Uint8Array, _encoding: string, done: Done): void {
    if (this.#wire.write(bytes)) done();
    else this.writing = done;
  }
  override _final(done: Done): void {
    this.#wire.end();
    done();
  }
  override _destroy(error: Error | null, done: Done): void {
    this.#wire.finish();
    // A peer that does not read would keep the wire, which no other deadline watches now.
    if (!this.#wire.isClosed) this.#server.deadlines.set(this, LINGER_MS);
    this.settle(error ?? new Error("connection closed"));
    done(error);
  }
  expired(): void {
    this.#wire.destroy();
  }

  // What node:http and node:tls ask of a socket. The server's own deadlines replace its time-outs.
  get remoteAddress(): string {
    return this.#wire.peer;
  }
  setTimeout(): this {
    return this;
  }
  setNoDelay(): this {
    return this;
  }
  setKeepAlive(): this {
    return this;
  }
  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }
}
