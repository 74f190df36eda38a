// HTTP on connections that were not accepted by an HTTP server. Plain requests are answered on the
// wire (http-plain.ts); a connection with any other request is given to node:http, which reads and
// writes it. Owns the deadlines and the bounds of the latter: node's time-outs do not fire on streams
// that it was given, and it takes requests in any number.

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { pipeline, Readable, type Duplex } from "node:stream";
import type { ServerView, WebApi } from "../web/mod.ts";
import { Bridge } from "./bridge.ts";
import type { Timed } from "./deadlines.ts";
import {
  createExchange,
  discard,
  type Exchange,
  headOf,
  headText,
  noteFailure,
  pathOf,
  phraseOf,
  type Reply,
} from "./exchange.ts";
import { PlainConnection, type PlainService, SLICED, slices } from "./http-plain.ts";
import { type Hold, type HttpService, type Server } from "./server.ts";
import type { HttpSettings, LimitSettings } from "./settings.ts";
import { StreamWire } from "./wire.ts";

/** How long a client may take to close a connection after our last byte. */
const LINGER_MS = 2_000;

/** Requests of a connection that may wait for their turn; no more is read meanwhile. */
const WAITING_MAX = 16;

/** Longest body that is kept for a handler, bytes, where [limits] http.body.bytes allows more. */
const BODY_MAX = 1 << 20;

/** The same for pushed archives: their handler refuses 10 MiB itself, in PCP's way. */
const PUSHED_MAX = 11 << 20;

/** Bodies of all connections together, bytes. */
const BODIES_MAX = 64 << 20;

/** First room for a body, bytes. */
const BODY_ROOM = 4096;

/** Paths whose handlers look at a body (spec webapi.md 2.7); other bodies are read and dropped. */
const TAKES_BODY = /^\/(pmapi|series|search|logger|metrics|openmetrics|opentelemetry)\b/;
const IS_PUSH = /^\/logger\b/;

/** An HTTP connection: waiting for a request, or with some under way. */
class HttpConnection implements Timed {
  deadline = 0;
  active = 0;
  /** Part of a request is there. */
  private reading = false;
  /** Requests that have come, in order; the first is being answered. */
  private readonly turns: (() => void)[] = [];
  constructor(
    private readonly server: Server,
    readonly stream: Duplex,
    readonly certified: boolean,
    private readonly hold: Hold,
  ) {
    this.waits(server.settings.limits.httpRequestTimeoutMs);
  }
  waits(ms: number): void {
    this.server.deadlines.set(this, ms);
  }
  /** Bytes came: the first of a request start its time. */
  readonly heard = (): void => {
    if (this.reading || this.active > 0) return;
    this.reading = true;
    this.waits(this.server.settings.limits.httpRequestTimeoutMs);
  };
  /** The head of a request is there; `turn` is called when it is its turn to be answered. */
  began(turn: () => void): void {
    this.reading = false;
    this.active += 1;
    this.turns.push(turn);
    if (this.active === WAITING_MAX) this.hold(true);
    if (this.active > 1) return;
    this.progress();
    turn();
  }
  /** Something has moved: a body is there, a piece has gone out. */
  progress(): void {
    this.waits(this.server.settings.limits.httpRequestTimeoutMs);
  }
  /** The reply that is under way has no deadline until it is there. */
  takesLong(): void {
    this.server.deadlines.clear(this);
  }
  /** What is to be said when the bytes of the client make no sense any more. */
  private farewell: (() => void) | undefined;
  /** Ends the body that is being read, if one is: it will not come. */
  abandonBody: (() => void) | undefined;
  /** No request follows; `farewell` is called after the replies to those that have come. */
  fails(farewell: () => void): void {
    this.farewell = farewell;
    this.abandonBody?.();
    if (this.active === 0) farewell();
  }
  /** A reply has gone out, or will not. */
  replied(): void {
    this.active -= 1;
    this.turns.shift();
    if (this.active < WAITING_MAX) this.hold(false);
    if (this.stream.writableEnded) return;
    const next = this.turns[0];
    if (next === undefined) {
      this.waits(this.server.settings.limits.httpIdleTimeoutMs);
      this.farewell?.();
      return;
    }
    this.progress();
    next();
  }
  /** Tells the client that its answer comes too late; there while nothing of it was sent. */
  tooLate: (() => void) | undefined;
  expired(): void {
    this.server.counters.tooSlow += 1;
    const { tooLate } = this;
    this.tooLate = undefined;
    if (tooLate === undefined) this.stream.destroy();
    else tooLate();
  }
}

/** The pieces of a body; `moved` hears of each. */
async function* watched(
  body: AsyncIterable<Uint8Array>,
  moved: () => void,
): AsyncGenerator<Uint8Array> {
  for await (const piece of body) {
    moved();
    if (piece.length > 0) yield piece;
  }
}

/** A reply in node:http's hands. */
function write(
  response: ServerResponse,
  reply: Reply,
  close: boolean,
  settings: HttpSettings,
  moved: () => void,
  failed: (error: unknown) => void,
): void {
  const { body } = reply;
  const { req } = response;
  const isHead = req.method === "HEAD";
  const send = (pieces: AsyncIterable<Uint8Array>): void => {
    pipeline(Readable.from(watched(pieces, moved)), response, (error) => {
      // A client that has gone is nobody's fault.
      const gone = error !== null && error !== undefined && "code" in error;
      if (error && !(gone && error.code === "ERR_STREAM_PREMATURE_CLOSE")) failed(error);
    });
  };
  if (req.httpVersionMinor === 0 && /^keep-alive$/i.test(req.headers.connection ?? "")) {
    response.shouldKeepAlive = !close;
  }
  if (typeof body === "string" || body instanceof Uint8Array) {
    const bytes = typeof body === "string" ? Buffer.from(body) : body;
    const lines = headOf(reply, { length: bytes.length, close }, settings);
    response.writeHead(reply.status, phraseOf(reply.status), lines);
    if (isHead || bytes.length <= SLICED) response.end(isHead ? undefined : bytes);
    else send(slices(bytes));
    return;
  }
  const lines = headOf(reply, { length: undefined, close }, settings);
  // HTTP/1.0 has no chunks: the end of the connection is the end of the body.
  if (req.httpVersionMinor === 0) {
    lines.splice(lines.indexOf("Transfer-encoding"), 2);
    response.shouldKeepAlive = false;
  }
  response.writeHead(reply.status, phraseOf(reply.status), lines);
  if (isHead) {
    response.end();
    return;
  }
  send(body);
}

/** A whole reply on a connection that node:http has given up, or does not answer itself. */
function writeRaw(stream: Duplex, reply: Reply, settings: HttpSettings): void {
  const body = typeof reply.body === "string" ? reply.body : "";
  const head = headText(reply, { length: body.length, close: true }, settings);
  stream.end(Buffer.from(head + body, "latin1"));
  // The rest of what the client sends is read and dropped, so that its end is seen.
  stream.removeAllListeners("data");
  stream.resume();
}

/** Why a request is refused before anybody looks at what it wants; undefined: it is not. */
function refusal(
  request: IncomingMessage,
  limits: LimitSettings,
): readonly [status: number, message: string] | undefined {
  if (request.rawHeaders.length > 2 * limits.headerCount) return [431, "too many header lines"];
  const length = Number(request.headers["content-length"] ?? 0);
  if (length > limitOf(request, limits)) return [413, "request body too large"];
  return undefined;
}

const takesBody = (request: IncomingMessage): boolean =>
  request.method === "POST" && TAKES_BODY.test(pathOf(request.url ?? "") ?? "");
const limitOf = (request: IncomingMessage, limits: LimitSettings): number => {
  if (!takesBody(request)) return limits.bodyBytes;
  const isPush = IS_PUSH.test(pathOf(request.url ?? "") ?? "");
  return Math.min(isPush ? PUSHED_MAX : BODY_MAX, limits.bodyBytes);
};

/** Value of a header by its name in lower case; several lines are joined. */
function headerOf(request: IncomingMessage, name: string): string | undefined {
  const { rawHeaders } = request;
  let found: string | undefined;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if (rawHeaders[at]?.toLowerCase() !== name) continue;
    const value = rawHeaders[at + 1] ?? "";
    found = found === undefined ? value : `${found}, ${value}`;
  }
  return found;
}

/** The bodies of requests: kept where somebody wants them, within bounds. */
class Bodies {
  private held = 0;

  /**
   * Reads the body of `request` to its end. `done` is called once: with what was kept, or with the
   * reason why that cannot be. The result gives the body up as one that makes no sense.
   */
  collect(
    request: IncomingMessage,
    limit: number,
    done: (body: Uint8Array | readonly [status: number, message: string]) => void,
  ): () => void {
    // One buffer that grows, not a list: a client may send its body in pieces of a byte.
    let kept = new Uint8Array(0);
    let size = 0;
    let over = false;
    const finish = (result: Uint8Array | readonly [status: number, message: string]): void => {
      if (over) return;
      over = true;
      this.held -= kept.length;
      kept = new Uint8Array(0);
      done(result);
    };
    request.on("data", (piece: Uint8Array) => {
      if (over) return;
      if (size + piece.length > limit) return finish([413, "request body too large"]);
      if (size + piece.length > kept.length) {
        const room = Math.min(limit, Math.max(BODY_ROOM, 2 * kept.length, size + piece.length));
        if (this.held + room - kept.length > BODIES_MAX) {
          return finish([503, "too many request bodies at a time"]);
        }
        this.held += room - kept.length;
        const larger = new Uint8Array(room);
        larger.set(kept);
        kept = larger;
      }
      kept.set(piece, size);
      size += piece.length;
    });
    request.once("end", () => finish(kept.subarray(0, size)));
    request.once("close", () => {
      if (over) return;
      over = true;
      this.held -= kept.length;
    });
    return () => finish([400, "failed to process request"]);
  }
}

/** Reads a body and drops it. One that is too long ends the connection. */
function dropBody(request: IncomingMessage, limit: number): void {
  let left = limit;
  request.on("data", (chunk: Uint8Array) => {
    left -= chunk.length;
    if (left < 0) request.socket.destroy();
  });
}

/**
 * The HTTP side of `server()`; `view` is what it tells about itself, `api` answers what needs a pmcd.
 * `headerBytes`: request line and headers together.
 */
export function createHttpService(
  server: () => Server,
  view: ServerView,
  headerBytes: number,
  api?: WebApi,
): HttpService {
  const connections = new Map<Duplex, HttpConnection>();
  const plain = new Set<PlainConnection>();
  const exchange: Exchange = createExchange(server, view, api);
  const bodies = new Bodies();

  /** Takes a request that node:http has read the head of. */
  const take = (request: IncomingMessage, response: ServerResponse): void => {
    const connection = connections.get(request.socket as Duplex);
    const { limits } = server().settings;
    const moved = (): void => connection?.progress();
    const send = (reply: Reply, close: boolean): void => {
      if (response.destroyed) {
        discard(reply.body).catch(fault);
        return;
      }
      const { draining, settings } = server();
      moved();
      try {
        write(response, reply, close || draining, settings.http, moved, fault);
      } catch (error) {
        fault(error);
      }
    };
    const fault = (error: unknown): void => {
      noteFailure(server(), error);
      request.socket.destroy();
    };
    const refuse = ([status, message]: readonly [number, string]): void => {
      server().counters.httpRequests += 1;
      send(exchange.refuse(status, message), true);
    };
    /** Nobody answers before it is the request's turn and what it carries is there. */
    let isTurn = false;
    let ready: (() => void) | undefined;
    const start = (action: () => void): void => {
      ready = action;
      if (isTurn) action();
    };
    response.once("close", () => connection?.replied());
    connection?.began(() => {
      isTurn = true;
      ready?.();
    });
    const handle = (body?: Uint8Array): void => {
      const { url = "/" } = request;
      let isLate = false;
      const reply = exchange.answer({
        method: request.method ?? "GET",
        url,
        ...(body === undefined ? {} : { body }),
        certified: connection?.certified === true,
        gone: () => isLate || response.destroyed,
        peer: () => request.socket.remoteAddress ?? "",
        ...(connection === undefined ? {} : { connection }),
        takesLong: () => connection?.takesLong(),
        header: (name) => headerOf(request, name),
        ...(request.method === "TRACE" ? { sentHeaders: request.rawHeaders } : {}),
      });
      if (!(reply instanceof Promise)) {
        send(reply, false);
        return;
      }
      if (connection !== undefined)
        connection.tooLate = () => {
          isLate = true;
          send(exchange.late(url), true);
        };
      const answered = (ready: Reply): void => {
        if (isLate) {
          discard(ready.body).catch(fault);
          return;
        }
        if (connection !== undefined) connection.tooLate = undefined;
        send(ready, false);
      };
      void reply.then(answered).catch(fault);
    };

    const refused = refusal(request, limits);
    if (refused !== undefined || !takesBody(request)) {
      dropBody(request, limits.bodyBytes);
      start(() => (refused === undefined ? handle() : refuse(refused)));
      return;
    }
    const abandon = bodies.collect(request, limitOf(request, limits), (result) => {
      connection?.progress();
      if (connection !== undefined) connection.abandonBody = undefined;
      start(() => (result instanceof Uint8Array ? handle(result) : refuse(result)));
    });
    if (connection !== undefined && !request.complete) connection.abandonBody = abandon;
  };

  const http = createServer(
    { maxHeaderSize: headerBytes, keepAlive: true, requireHostHeader: false },
    take,
  );
  // A client that has sent its last request may still read; this has no option.
  Object.assign(http, { httpAllowHalfOpen: true });
  http.on("checkContinue", (request, response) => {
    // Who is refused is told at once instead of being asked for the body.
    if (refusal(request, server().settings.limits) === undefined) response.writeContinue();
    take(request, response);
  });
  // Any other answer than ours would be a tunnel.
  http.on("connect", (_request, socket) => {
    server().counters.httpRequests += 1;
    const certified = connections.get(socket)?.certified === true;
    const reply =
      server().settings.certificateRequired && !certified
        ? exchange.refuse(403, "client certificate required")
        : exchange.refuse(400, "no handler for URL");
    writeRaw(socket, reply, server().settings.http);
  });
  http.on("clientError", (error: Error & { code?: string }, socket) => {
    // What comes after a request that was to be the last one is nobody's.
    if (error.code === "HPE_CLOSED_CONNECTION") return;
    if (!socket.writable) {
      socket.destroy();
      return;
    }
    const status = error.code === "HPE_HEADER_OVERFLOW" ? 431 : 400;
    const farewell = (): void => {
      const reply = exchange.refuse(status, "failed to process request");
      writeRaw(socket, reply, server().settings.http);
    };
    const connection = connections.get(socket);
    if (connection === undefined) farewell();
    else connection.fails(farewell);
  });

  const adopt: HttpService["adopt"] = (stream, certified, hold) => {
    const connection = new HttpConnection(server(), stream, certified, hold);
    connections.set(stream, connection);
    stream.on("error", (error) => {
      server().log.debug(`HTTP connection: ${error.message}`);
      stream.destroy();
    });
    stream.once("finish", () => connection.waits(LINGER_MS));
    stream.once("close", () => {
      connections.delete(stream);
      server().deadlines.clear(connection);
    });
    http.emit("connection", stream);
    stream.prependListener("data", connection.heard);
  };
  const service: PlainService = {
    get server() {
      return server();
    },
    exchange,
    headerBytes,
    handOver(wire, unread) {
      if (wire instanceof StreamWire) {
        const stream = wire.release(unread);
        adopt(stream, wire.certified, wire.hold);
        stream.resume();
        return;
      }
      const bridge = new Bridge(server(), wire);
      adopt(bridge, false, (isHeld) => bridge.hold(isHeld));
      bridge.start(unread);
    },
    closed: (connection) => void plain.delete(connection),
  };
  return {
    adopt,
    serve(wire, first) {
      const certified = wire instanceof StreamWire && wire.certified;
      const connection = new PlainConnection(service, wire, certified);
      plain.add(connection);
      wire.sink = connection;
      connection.data(first);
    },
    drain() {
      for (const connection of plain) if (connection.idle) connection.wire.destroy();
      for (const connection of connections.values()) {
        if (connection.active === 0) connection.stream.destroy();
      }
    },
    get idle() {
      return connections.size === 0 && plain.size === 0;
    },
  };
}
