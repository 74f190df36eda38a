// HTTP straight on the wire, for plain requests (head.ts) and their replies: nothing between the
// system's bytes and the web room. One request of a connection is under way at a time, the rest waits
// unread. A body that comes apart from its head, as loggers send it, is not copied when it comes in one
// piece. At the first request that is not plain the connection goes to node:http, for good, with the
// bytes that it has not been told about.

import type { Timed } from "./deadlines.ts";
import { discard, type Exchange, headText, noteFailure, type Reply, URL_MAX } from "./exchange.ts";
import { type Head, headerIn, type HeadLimits, latin1, newHead, scanHead } from "./head.ts";
import type { Server } from "./server.ts";
import type { NativeWire, StreamWire, WireSink } from "./wire.ts";

/** Longer heads are not plain, so that the limits on heads are in one place, which is node:http. */
const PLAIN_HEAD_MAX = 16_384;

/** How long a client may take to close a connection after our last byte. */
const LINGER_MS = 2_000;

/** Replies of requests that came together leave together, as far as they fit here. */
const batch = Buffer.allocUnsafe(65_536);
let batched = 0;

const LAST_CHUNK = Buffer.from("0\r\n\r\n");
const LINE_BREAK = Buffer.from("\r\n");

/** What a plain connection needs to know and to tell. */
export interface PlainService {
  readonly server: Server;
  readonly exchange: Exchange;
  /** Most bytes of a head that node:http would take. */
  readonly headerBytes: number;
  /** Somebody else serves the wire from here on; `unread` has come and was not answered. */
  handOver(wire: NativeWire | StreamWire, unread: Uint8Array): void;
  /** The connection has closed. */
  closed(connection: PlainConnection): void;
}

/**
 * Gives the memory of bytes that came back at once: a logger that sends a whole archive would fill
 * fresh memory until the next garbage collection, page by page. Nothing may use them any more.
 */
function release(bytes: Uint8Array): void {
  const { buffer } = bytes;
  const isWhole = bytes.length > 0 && buffer.byteLength === bytes.length;
  if (isWhole && buffer instanceof ArrayBuffer) buffer.transfer(0);
}

/** Longer bodies are given to the wire a slice at a time: each has its own time to go out. */
export const SLICED = 262_144;
const SLICE = 65_536;

/** A body in slices. */
export async function* slices(body: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < body.length; at += SLICE) yield body.subarray(at, at + SLICE);
}

/** Waiting for a request; answering one; `over`: the last reply is out, or nobody wants it. */
type State = "waiting" | "answering" | "over";

export class PlainConnection implements WireSink, Timed {
  deadline = 0;
  private state: State = "waiting";
  /** What has come and was not looked at. */
  private unread: Uint8Array | undefined;
  /** The unread bytes are the first part of a head, and have had more bytes already. */
  private patience = true;
  /** The head of a request whose body is not there yet, and what there is of the body. */
  private begun: Uint8Array | undefined;
  private pieces: Uint8Array | undefined;
  private gathered = 0;
  /** The client sends no more. */
  private ended = false;
  private isPaused = false;
  /** The wire has not taken everything; `drain` follows. */
  private isFull = false;
  /** Waits for that. */
  private stuck: (() => void) | undefined;
  /** Tells the maker of a streamed body that nobody wants the rest. */
  private cancel: (() => void) | undefined;
  /** The request whose answer is waited for, of which nothing was sent. */
  private pending: { readonly url: string; readonly isHead: boolean } | undefined;
  /** The reply that is waited for has no deadline. */
  private isLong = false;
  private readonly head: Head = newHead();
  private readonly limits: HeadLimits;

  constructor(
    private readonly service: PlainService,
    readonly wire: NativeWire | StreamWire,
    private readonly certified: boolean,
  ) {
    this.limits = {
      bytes: Math.min(PLAIN_HEAD_MAX, service.headerBytes >> 1),
      targetBytes: URL_MAX,
      count: service.server.settings.limits.headerCount,
    };
  }

  private isOver(): boolean {
    return this.state === "over";
  }
  private readonly isGone = (): boolean => this.state === "over";
  private readonly peer = (): string => this.wire.peer;
  private readonly takesLong = (): void => {
    this.isLong = true;
    this.service.server.deadlines.clear(this);
  };
  /** No request is under way. */
  get idle(): boolean {
    return this.state === "waiting";
  }

  private waits(ms: number): void {
    this.service.server.deadlines.set(this, ms);
  }
  private get times() {
    return this.service.server.settings.limits;
  }

  data(bytes: Uint8Array): void {
    if (this.state === "over") return;
    const { begun, unread } = this;
    if (begun !== undefined) {
      this.gather(begun, bytes);
      return;
    }
    this.unread = unread === undefined ? bytes : Buffer.concat([unread, bytes]);
    if (this.state === "waiting") this.proceed();
    else this.pause();
  }

  /** More of a body; the request is answered when it is whole. */
  private gather(head: Uint8Array, bytes: Uint8Array): void {
    const { length } = this.head;
    const more = Math.min(length - this.gathered, bytes.length);
    if (this.gathered > 0 || more < length) {
      this.pieces ??= new Uint8Array(length);
      this.pieces.set(more === bytes.length ? bytes : bytes.subarray(0, more), this.gathered);
    }
    this.gathered += more;
    if (this.gathered < length) return;
    const body = this.pieces ?? bytes.subarray(0, more);
    this.begun = undefined;
    this.pieces = undefined;
    this.unread = more === bytes.length ? undefined : bytes.subarray(more);
    try {
      this.serve(head, body);
      if (this.unread === undefined) this.letGo(bytes);
      this.letGo(head);
      if (this.state === "waiting") this.answerUnread();
      else this.flush();
    } catch (error) {
      this.fault(error);
    }
  }

  /** Answers what is there, as far as that goes at once. */
  private proceed(): void {
    try {
      this.answerUnread();
    } catch (error) {
      this.fault(error);
    }
  }

  private answerUnread(): void {
    let at = 0;
    const bytes = this.unread;
    if (bytes !== undefined) {
      this.unread = undefined;
      let isPush = false;
      while (this.state === "waiting" && at < bytes.length) {
        const kind = scanHead(this.head, bytes, at, this.limits);
        if (kind === "plain") {
          const { method, end, length } = this.head;
          this.patience = true;
          at = end + length;
          if (at > bytes.length) {
            this.flush();
            this.begin(bytes, end);
            return;
          }
          isPush ||= method === "POST";
          this.serve(bytes, method === "POST" ? bytes.subarray(end, at) : undefined);
          continue;
        }
        this.flush();
        this.unread = at === 0 ? bytes : bytes.subarray(at);
        if (kind === "other" || !this.patience) this.giveAway();
        else if (this.ended) this.refuse();
        else this.await(true);
        return;
      }
      if (isPush && at === bytes.length) this.letGo(bytes);
      if (this.state === "answering" && at < bytes.length) this.unread = bytes.subarray(at);
    }
    this.flush();
    if (this.state !== "waiting") return;
    if (this.isFull) this.waitForRoom();
    else this.await(false);
  }

  /** Everything in these bytes has been answered, at once unless something is under way. */
  private letGo(bytes: Uint8Array): void {
    // An answer that took no time has kept nothing (WebRequest.body). Streams of TLS keep their own.
    if (this.state === "waiting" && !this.wire.secure) release(bytes);
  }

  /** The head is there, and as much of the body as follows it. */
  private begin(bytes: Uint8Array, end: number): void {
    this.begun = bytes;
    this.gathered = 0;
    if (end < bytes.length) this.gather(bytes, bytes.subarray(end));
    if (this.ended) {
      this.refuseBody();
      return;
    }
    this.waits(this.times.httpRequestTimeoutMs);
    this.resume();
  }

  /** The client has ended within a head. */
  private refuse(): void {
    this.send(this.service.exchange.refuse(400, "failed to process request"), false, true);
  }

  /** The client has ended within a body. */
  private refuseBody(): void {
    this.begun = undefined;
    const page = this.service.exchange.refuse(400, "failed to process request");
    this.send({ ...page, headers: { Connection: "close" } }, false, true);
  }

  /** For more of a head, or for the next one. */
  private await(isPartial: boolean): void {
    if (this.ended) {
      this.over();
      return;
    }
    if (isPartial) this.patience = false;
    const { httpRequestTimeoutMs, httpIdleTimeoutMs } = this.times;
    this.waits(isPartial ? httpRequestTimeoutMs : httpIdleTimeoutMs);
    this.resume();
  }

  private giveAway(): void {
    const { service, wire, unread } = this;
    this.state = "over";
    this.unread = undefined;
    service.server.deadlines.clear(this);
    service.closed(this);
    service.handOver(wire, unread ?? new Uint8Array(0));
    if (this.isPaused) wire.resume();
    // The end was told to this one; who serves now has not heard of it.
    if (this.ended) wire.sink.end();
  }

  /** One request, whose head is in `bytes`. */
  private serve(bytes: Uint8Array, body: Uint8Array | undefined): void {
    const { method, target, targetEnd, headers, close } = this.head;
    const url = latin1(bytes, target, targetEnd);
    this.isLong = false;
    const reply = this.service.exchange.answer({
      body,
      method,
      url,
      certified: this.certified,
      gone: this.isGone,
      peer: this.peer,
      connection: this.wire,
      takesLong: this.takesLong,
      header: (name) => headerIn(bytes, headers, name),
    });
    const isHead = method === "HEAD";
    if (!(reply instanceof Promise)) {
      this.send(reply, isHead, close);
      return;
    }
    if (this.isLong) this.state = "answering";
    else this.answering();
    this.pending = { url, isHead };
    reply.then(
      (ready) => this.answered(ready, isHead, close),
      (error: unknown) => this.fault(error),
    );
  }

  /** A reply that took its time is there. */
  private answered(reply: Reply, isHead: boolean, close: boolean): void {
    try {
      if (this.state === "over") {
        discard(reply.body).catch((error: unknown) => this.fault(error));
        return;
      }
      this.pending = undefined;
      this.state = "waiting";
      this.send(reply, isHead, close);
      if (this.state === "waiting") this.proceed();
      else this.flush();
    } catch (error) {
      this.fault(error);
    }
  }

  private answering(): void {
    this.state = "answering";
    this.waits(this.times.httpRequestTimeoutMs);
  }

  private send(reply: Reply, isHead: boolean, asked: boolean): void {
    const { body } = reply;
    const { draining, settings } = this.service.server;
    const whole = typeof body === "string" || body instanceof Uint8Array;
    const size =
      typeof body === "string" ? Buffer.byteLength(body) : whole ? body.length : undefined;
    const head = headText(reply, { length: size, close: draining && !asked }, settings.http);
    const last = asked || draining;
    if (batched + head.length > batch.length) this.flush();
    if (head.length > batch.length) this.write(Buffer.from(head, "latin1"));
    else batched += batch.write(head, batched, "latin1");
    if (isHead) {
      // Its body is left alone.
    } else if (!whole) return this.stream(body, last, true);
    else if (body.length > SLICED) {
      return this.stream(slices(typeof body === "string" ? Buffer.from(body) : body), last, false);
    } else if ((size ?? 0) <= batch.length - batched) {
      if (typeof body === "string") batched += batch.write(body, batched, "utf8");
      else {
        batch.set(body, batched);
        batched += body.length;
      }
    } else {
      this.flush();
      this.write(typeof body === "string" ? Buffer.from(body) : body);
    }
    if (last) this.over();
    else if (this.isFull) this.waitForRoom();
  }

  private write(bytes: Uint8Array): void {
    if (!this.wire.write(bytes)) this.isFull = true;
  }

  /** Nothing more is answered until the client has taken what it was sent. */
  private waitForRoom(): void {
    this.answering();
    this.stuck = () => {
      this.state = "waiting";
      this.proceed();
    };
  }

  private stream(body: AsyncIterable<Uint8Array>, last: boolean, isChunked: boolean): void {
    this.answering();
    this.pump(body, isChunked)
      .then(() => {
        if (this.state === "over") return;
        this.state = "waiting";
        if (last) this.over();
        else this.proceed();
      })
      .catch((error: unknown) => this.fault(error));
  }

  /** Sends pieces until there are no more, or nobody is there to take them. */
  private async pump(body: AsyncIterable<Uint8Array>, isChunked: boolean): Promise<void> {
    this.flush();
    const iterator = body[Symbol.asyncIterator]();
    this.cancel = () => {
      iterator.return?.().catch((error: unknown) => this.fault(error));
    };
    for await (const piece of { [Symbol.asyncIterator]: () => iterator }) {
      if (this.isOver()) return;
      if (piece.length === 0) continue;
      if (isChunked) this.writeChunk(piece);
      else this.write(piece);
      this.waits(this.times.httpRequestTimeoutMs);
      if (this.isFull) await new Promise<void>((resolve) => (this.stuck = resolve));
      if (this.isOver()) return;
    }
    this.cancel = undefined;
    if (isChunked && !this.isOver()) this.write(LAST_CHUNK);
  }

  private writeChunk(piece: Uint8Array): void {
    const size = `${piece.length.toString(16).toUpperCase()}\r\n`;
    const length = size.length + piece.length + 2;
    if (length > batch.length) {
      this.write(Buffer.from(size, "latin1"));
      this.write(piece);
      this.write(LINE_BREAK);
      return;
    }
    batched = batch.write(size, 0, "latin1");
    batch.set(piece, batched);
    batched += piece.length;
    batched += batch.write("\r\n", batched, "latin1");
    this.flush();
  }

  /** Sends what is in the batch, which is nobody's between two calls from outside. */
  private flush(): void {
    if (batched === 0) return;
    const bytes = new Uint8Array(batch.buffer, batch.byteOffset, batched);
    batched = 0;
    if (!this.wire.writeShared(bytes)) this.isFull = true;
  }

  /** The last byte was written: the client gets a while to see it and to close. */
  private over(): void {
    this.flush();
    this.state = "over";
    this.unread = undefined;
    this.resume();
    this.waits(LINGER_MS);
    if (this.ended) this.wire.finish();
    else this.wire.end();
  }

  private pause(): void {
    if (this.isPaused) return;
    this.isPaused = true;
    this.wire.pause();
  }
  private resume(): void {
    if (!this.isPaused) return;
    this.isPaused = false;
    this.wire.resume();
  }

  drain(): void {
    this.isFull = false;
    const { stuck } = this;
    this.stuck = undefined;
    stuck?.();
  }
  end(): void {
    this.ended = true;
    if (this.state === "over") this.wire.finish();
    else if (this.begun !== undefined) this.refuseBody();
    else if (this.state === "waiting") this.proceed();
  }
  close(): void {
    this.state = "over";
    this.unread = undefined;
    this.begun = undefined;
    this.pieces = undefined;
    this.drain();
    this.cancel?.();
    const { service, wire } = this;
    service.server.deadlines.clear(this);
    service.closed(this);
    service.server.gone(wire);
  }
  expired(): void {
    if (this.state !== "over") this.service.server.counters.tooSlow += 1;
    const { pending } = this;
    if (this.state === "answering" && pending !== undefined) {
      this.tooLate(pending);
      return;
    }
    this.state = "over";
    this.wire.destroy();
    this.drain();
  }
  /** Says so; what the answer may still become is nobody's, and neither is what the client has sent since. */
  private tooLate({ url, isHead }: { readonly url: string; readonly isHead: boolean }): void {
    this.pending = undefined;
    const reply = this.service.exchange.late(url);
    this.send({ ...reply, headers: { ...reply.headers, Connection: "close" } }, isHead, true);
  }
  private fault(error: unknown): void {
    batched = 0;
    this.state = "over";
    noteFailure(this.service.server, error);
    this.wire.destroy();
  }
}
