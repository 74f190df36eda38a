// A native socket as a node stream, for node:tls and node:http, which take nothing else. One chunk is
// under way in each direction at most; the stream's own marks do the rest of the back-pressure. Whoever
// reads can also hold it: node:http makes a request of every head that it is given, in any number.

import { Duplex } from "node:stream";
import type { Timed } from "./deadlines.ts";
import type { Server } from "./server.ts";
import type { NativeWire } from "./wire.ts";

/** How long the last bytes of a destroyed stream may take to go out. */
const LINGER_MS = 2_000;

/** What is passed on at a time, so that a reader who holds has not been given much more. */
const SLICE = 16_384;

type Done = (error?: Error | null) => void;

/** The stream of a wire whose first bytes have been read already: `start` gives them back. */
export class Bridge extends Duplex implements Timed {
  deadline = 0;
  private writing: Done | undefined;
  /** The reader takes no more until it asks. */
  private full = false;
  #held = false;
  /** What has come and was not passed on. */
  readonly #rest: Uint8Array[] = [];
  #ended = false;
  #paused = false;

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
      end: () => {
        this.#ended = true;
        this.feed();
      },
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
    if (this.destroyed) return;
    this.#rest.push(bytes);
    this.feed();
  }

  /** Passes on what has come, as far as the reader takes it. */
  private feed(): void {
    const rest = this.#rest;
    for (let bytes = rest.shift(); bytes !== undefined; bytes = rest.shift()) {
      if (this.full || this.#held) {
        rest.unshift(bytes);
        this.#paused = true;
        this.#wire.pause();
        return;
      }
      if (bytes.length > SLICE) rest.unshift(bytes.subarray(SLICE));
      if (!this.push(bytes.subarray(0, SLICE))) this.full = true;
      if (this.destroyed) return;
    }
    if (this.#ended) {
      this.#ended = false;
      this.push(null);
    } else if (this.full) {
      this.#paused = true;
      this.#wire.pause();
    } else if (this.#paused && !this.#held) {
      this.#paused = false;
      this.#wire.resume();
    }
  }

  /** Passes nothing on until it is told otherwise. */
  hold(isHeld: boolean): void {
    if (this.#held === isHeld) return;
    this.#held = isHeld;
    if (!isHeld) this.feed();
  }

  private settle(error: Error | null): void {
    const { writing } = this;
    this.writing = undefined;
    writing?.(error);
  }

  override _read(): void {
    if (!this.full) return;
    this.full = false;
    this.feed();
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
