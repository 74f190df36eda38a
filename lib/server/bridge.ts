// A native socket as a node stream, for node:tls and node:http, which take nothing else. One chunk is
// under way in each direction at most; the stream's own marks do the rest of the back-pressure.

import { Duplex } from "node:stream";
import type { NativeWire } from "./wire.ts";

type Done = (error?: Error | null) => void;

/** The stream of a wire whose first bytes have been read already: `start` gives them back. */
export class Bridge extends Duplex {
  private writing: Done | undefined;
  private full = false;

  /** `onClosed` comes once, when the wire is gone. */
  constructor(
    private readonly wire: NativeWire,
    private readonly onClosed: () => void,
  ) {
    super({ allowHalfOpen: true });
  }

  /** Takes over the wire; `first` is read again. */
  start(first: Uint8Array): void {
    const { wire } = this;
    wire.sink = {
      data: (bytes) => this.receive(bytes),
      drain: () => this.settle(null),
      end: () => void this.push(null),
      close: () => {
        this.settle(new Error("connection closed"));
        if (!this.destroyed) {
          this.push(null);
          this.destroy();
        }
        this.onClosed();
      },
    };
    this.receive(first);
  }

  private receive(bytes: Uint8Array): void {
    if (this.destroyed || this.push(bytes)) return;
    this.full = true;
    this.wire.pause();
  }

  private settle(error: Error | null): void {
    const { writing } = this;
    this.writing = undefined;
    writing?.(error);
  }

  override _read(): void {
    if (!this.full) return;
    this.full = false;
    this.wire.resume();
  }
  override _write(bytes: Uint8Array, _encoding: string, done: Done): void {
    if (this.wire.write(bytes)) done();
    else this.writing = done;
  }
  override _final(done: Done): void {
    this.wire.end();
    done();
  }
  override _destroy(error: Error | null, done: Done): void {
    this.wire.finish();
    this.settle(error ?? new Error("connection closed"));
    done(error);
  }

  // What node:http and node:tls ask of a socket. The server's own deadlines replace its time-outs.
  get remoteAddress(): string {
    return this.wire.peer;
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
