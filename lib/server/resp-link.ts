// A client's connection to one node of a cluster: requests out, replies in. Replies wait here as they came
// until it is their turn; beyond a bound the node is not read, so a slow client holds it up, not us. What is
// lost with the connection is told once.

import type { Timed } from "./deadlines.ts";
import { DIAL_DESCRIPTORS } from "./relay.ts";
import { ReplyFramer } from "./resp-reply.ts";
import type { Server } from "./server.ts";
import type { HostPort } from "./settings.ts";
import { dial, type DialTls, type NativeWire, type WireSink } from "./wire.ts";

/** Bytes of replies that may wait for their turn. */
const HELD_MAX = 256 << 10;
/** Bytes of requests that may wait for the connection. */
const WAITING_MAX = 1 << 20;

/** Whose reply comes next: a request of the client, or one of ours, whose answer is kept from it. */
export type Expected<Request> = Request | "auth" | "asking";

/** What the owner of a link does. */
export interface LinkOwner {
  /** Replies have come, the node takes bytes again, or the connection is gone. */
  changed(): void;
}

/** Part of a reply, or a whole one. */
export interface ReplyPiece {
  readonly bytes: Uint8Array;
  /** The first byte of the reply is among them. */
  readonly begins: boolean;
  readonly ends: boolean;
}

/** See the head of this file. `Request` is whatever the owner knows a request by. */
export class NodeLink<Request> implements WireSink, Timed {
  deadline = 0;
  readonly expected: Expected<Request>[] = [];
  /** Why there is no connection any more. */
  lost: string | undefined;
  private wire: NativeWire | undefined;
  private isOpen = false;
  private out: Uint8Array[] = [];
  private outSize = 0;
  private readonly held: Uint8Array[] = [];
  private heldFrom = 0;
  private heldSize = 0;
  private isPaused = false;
  private readonly framer = new ReplyFramer();

  constructor(
    private readonly server: Server,
    readonly target: HostPort,
    private readonly owner: LinkOwner,
    auth: Uint8Array | undefined,
    private readonly tls: DialTls | undefined,
  ) {
    if (auth !== undefined) {
      this.out.push(auth);
      this.expected.push("auth");
    }
  }

  get name(): string {
    return `${this.target.host}:${this.target.port}`;
  }

  /** Connects. */
  begin(): void {
    const { server, target } = this;
    if (!server.hasDescriptors(DIAL_DESCRIPTORS)) return this.breakOff("too many open files");
    server.deadlines.set(this, server.settings.pcp.connectTimeoutMs);
    server.counters.dials += 1;
    const callbacks = {
      open: () => this.opened(),
      failed: (error: Error) => {
        server.counters.connectFailures += 1;
        this.breakOff(`cannot connect: ${error.message}`);
      },
      settled: () => {
        server.counters.dials -= 1;
      },
      onFault: server.onFault,
    };
    this.wire = dial(target.host, target.port, callbacks, this.tls);
  }

  private opened(): void {
    const { server, wire } = this;
    server.deadlines.clear(this);
    if (wire === undefined || this.lost !== undefined) return;
    server.counters.clusterLinks += 1;
    wire.setKeepAlive(server.settings.listen.keepaliveSeconds);
    this.isOpen = true;
    wire.sink = this;
    this.flush();
    this.owner.changed();
  }

  /** It takes no more at the moment. */
  get isFull(): boolean {
    if (this.lost !== undefined) return false;
    return this.isOpen ? this.wire?.full === true : this.outSize > WAITING_MAX;
  }

  /** Bytes of a request; they go out with `flush`. */
  send(bytes: Uint8Array): void {
    if (this.lost !== undefined) return;
    this.out.push(bytes);
    this.outSize += bytes.length;
  }

  flush(): void {
    const { out, wire } = this;
    if (out.length === 0 || !this.isOpen || wire === undefined) return;
    this.out = [];
    this.outSize = 0;
    for (const bytes of joined(out)) {
      this.server.counters.bytesToServers += bytes.length;
      wire.write(bytes);
    }
  }

  /** What there is of the next reply; undefined: nothing now. What is no reply breaks the connection. */
  take(): ReplyPiece | undefined {
    const bytes = this.held[0];
    if (bytes === undefined) return undefined;
    const from = this.heldFrom;
    const begins = this.framer.atBoundary;
    const end = this.framer.take(bytes, from);
    if (end < 0 || (begins && this.expected.length === 0)) {
      this.breakOff("it sent what is no reply");
      return undefined;
    }
    const stop = end === 0 ? bytes.length : end;
    this.heldSize -= stop - from;
    if (stop === bytes.length) {
      this.held.shift();
      this.heldFrom = 0;
    } else this.heldFrom = stop;
    if (this.isPaused && this.heldSize < HELD_MAX / 2) {
      this.isPaused = false;
      this.wire?.resume();
    }
    return { bytes: bytes.subarray(from, stop), begins, ends: end > 0 };
  }

  data(bytes: Uint8Array): void {
    if (this.expected.length === 0) return this.breakOff("it spoke without being asked");
    this.held.push(bytes);
    this.heldSize += bytes.length;
    this.owner.changed();
    if (this.heldSize <= HELD_MAX || this.isPaused || this.lost !== undefined) return;
    this.isPaused = true;
    this.wire?.pause();
  }
  drain(): void {
    this.owner.changed();
  }
  end(): void {
    this.over("the connection was closed", true);
  }
  close(): void {
    this.over("the connection was lost", true);
  }
  expired(): void {
    this.server.counters.connectFailures += 1;
    this.breakOff("cannot connect: timed out");
  }

  /** Closes now. */
  destroy(): void {
    this.over("closed", false);
  }

  private breakOff(reason: string): void {
    this.held.length = 0;
    this.over(reason, true);
  }

  /** There is no connection any more; whole replies that have come are still good. */
  private over(reason: string, isNews: boolean): void {
    if (this.lost !== undefined) return;
    this.lost = reason;
    this.server.deadlines.clear(this);
    if (this.isOpen) this.server.counters.clusterLinks -= 1;
    this.isOpen = false;
    this.out = [];
    this.outSize = 0;
    this.wire?.destroy();
    if (isNews) this.owner.changed();
  }
}

/** Pieces up to this size are copied together. */
const SMALL = 16 << 10;

/** The same bytes in fewer pieces: neighbours become one, small ones are copied together. */
export function joined(pieces: readonly Uint8Array[]): Uint8Array[] {
  const runs: Uint8Array[] = [];
  for (const piece of pieces) {
    const last = runs.at(-1);
    const isNext =
      last !== undefined &&
      last.buffer === piece.buffer &&
      last.byteOffset + last.length === piece.byteOffset;
    if (!isNext) runs.push(piece);
    else
      runs[runs.length - 1] = new Uint8Array(
        piece.buffer,
        last.byteOffset,
        last.length + piece.length,
      );
  }
  if (runs.length < 2) return runs;
  const result: Uint8Array[] = [];
  let small: Uint8Array[] = [];
  const settle = (): void => {
    if (small.length > 0) result.push(new Uint8Array(Buffer.concat(small)));
    small = [];
  };
  for (const run of runs) {
    if (run.length <= SMALL) small.push(run);
    else {
      settle();
      result.push(run);
    }
  }
  settle();
  return result;
}
