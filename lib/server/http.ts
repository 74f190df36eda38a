// HTTP on connections that were not accepted by an HTTP server: node:http reads and writes them, the
// web room answers. Owns the deadlines and the bounds, since node's time-outs do not fire on streams
// that it was given.

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { answer, errorPage, type ServerView, type WebReply } from "../web/mod.ts";
import type { HttpService, Server } from "./server.ts";
import type { LimitSettings } from "./settings.ts";
import type { Timed } from "./deadlines.ts";

/** Longest path and query that is looked at, bytes (spec webapi.md 2.5). */
const URL_MAX = 8191;

/** How long a client may take to close a connection after our last byte. */
const LINGER_MS = 2_000;

/** An HTTP connection: waiting for a request, or with one under way. */
class HttpConnection implements Timed {
  deadline = 0;
  active = 0;
  /** Part of a request is there. */
  private reading = false;
  constructor(
    private readonly server: Server,
    readonly stream: Duplex,
    readonly certified: boolean,
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
  /** The head of a request is there. */
  began(): void {
    this.reading = false;
    this.active += 1;
    this.waits(this.server.settings.limits.httpRequestTimeoutMs);
  }
  /** A reply has gone out. */
  replied(): void {
    this.active -= 1;
    if (this.active > 0 || this.stream.writableEnded) return;
    this.waits(this.server.settings.limits.httpIdleTimeoutMs);
  }
  expired(): void {
    this.server.counters.tooSlow += 1;
    this.stream.destroy();
  }
}

function write(response: ServerResponse, reply: WebReply, head: boolean, close: boolean): void {
  const body = Buffer.from(reply.body);
  response.writeHead(reply.status, {
    Connection: close ? "close" : "Keep-Alive",
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Headers": "Accept, Accept-Language, Content-Language, Content-Type",
    "Content-Length": body.length,
    "Content-Type": reply.type,
    ...reply.headers,
  });
  response.end(head ? undefined : body);
}

/** A whole reply on a connection that node:http has given up, or does not answer itself. */
function writeRaw(stream: Duplex, reply: WebReply): void {
  const phrase = /<title>\d+ ([^<]*)</.exec(reply.body)?.[1] ?? "";
  stream.end(
    `HTTP/1.1 ${reply.status} ${phrase}\r\nConnection: close\r\n` +
      `Content-Type: ${reply.type}\r\nContent-Length: ${reply.body.length}\r\n\r\n${reply.body}`,
  );
  // The rest of what the client sends is read and dropped, so that its end is seen.
  stream.removeAllListeners("data");
  stream.resume();
}

/** Why a request is refused before anybody looks at what it wants; undefined: it is not. */
function refusal(request: IncomingMessage, limits: LimitSettings): WebReply | undefined {
  if (request.rawHeaders.length > 2 * limits.headerCount) {
    return errorPage(431, "too many header lines");
  }
  const length = Number(request.headers["content-length"] ?? 0);
  if (length > limits.bodyBytes) return errorPage(413, "request body too large");
  return undefined;
}

/**
 * The HTTP side of `server()`; `view` is what it tells about itself. `headerBytes`: request line and
 * headers together.
 */
export function createHttpService(
  server: () => Server,
  view: ServerView,
  headerBytes: number,
): HttpService {
  const connections = new Map<Duplex, HttpConnection>();

  const replyTo = (request: IncomingMessage, connection: HttpConnection | undefined): WebReply => {
    const { settings } = server();
    const url = request.url ?? "/";
    if (settings.certificateRequired && connection?.certified !== true) {
      return errorPage(403, "client certificate required");
    }
    if (url.length > URL_MAX) return errorPage(414, "request URL too long");
    const query = url.indexOf("?");
    const raw = query < 0 ? url : url.slice(0, query);
    let path: string;
    try {
      path = decodeURIComponent(raw);
    } catch (error) {
      if (!(error instanceof URIError)) throw error;
      return errorPage(400, "no handler for URL");
    }
    return answer(view, {
      method: request.method ?? "GET",
      path,
      header: (name) => {
        const value = request.headers[name];
        return Array.isArray(value) ? value.join(", ") : value;
      },
    });
  };

  /** Reads a body and drops it: no endpoint takes one yet. One that is too long ends the connection. */
  const dropBody = (request: IncomingMessage): void => {
    let left = server().settings.limits.bodyBytes;
    request.on("data", (chunk: Uint8Array) => {
      left -= chunk.length;
      if (left < 0) request.socket.destroy();
    });
  };
  const http = createServer(
    { maxHeaderSize: headerBytes, keepAlive: true },
    (request, response) => {
      const { counters, settings, draining, complaints } = server();
      const connection = connections.get(request.socket as Duplex);
      counters.httpRequests += 1;
      connection?.began();
      response.once("close", () => connection?.replied());
      dropBody(request);
      const refused = refusal(request, settings.limits);
      let reply: WebReply;
      try {
        reply = refused ?? replyTo(request, connection);
      } catch (error) {
        const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
        complaints.error(`request ${request.method} ${request.url}: ${reason}`);
        counters.faults += 1;
        reply = errorPage(500, "internal error");
      }
      if (reply.status >= 400) counters.httpErrors += 1;
      write(response, reply, request.method === "HEAD", draining || refused !== undefined);
    },
  );
  // Any other answer than ours would be a tunnel.
  http.on("connect", (request, socket) => {
    server().counters.httpRequests += 1;
    server().counters.httpErrors += 1;
    writeRaw(socket, replyTo(request, connections.get(socket)));
  });
  http.on("clientError", (error: Error & { code?: string }, socket) => {
    server().counters.httpErrors += 1;
    const status = error.code === "HPE_HEADER_OVERFLOW" ? 431 : 400;
    if (!socket.writable) {
      socket.destroy();
      return;
    }
    writeRaw(socket, errorPage(status, "failed to process request"));
  });

  return {
    adopt(stream, certified) {
      const connection = new HttpConnection(server(), stream, certified);
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
    },
    drain() {
      for (const connection of connections.values()) {
        if (connection.active === 0) connection.stream.destroy();
      }
    },
    get idle() {
      return connections.size === 0;
    },
  };
}
