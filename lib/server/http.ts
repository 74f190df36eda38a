// HTTP on connections that were not accepted by an HTTP server: node:http reads and writes them, the
// web room answers. Owns the deadlines and the bounds, since node's time-outs do not fire on streams
// that it was given.

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { answer, errorPage, type ServerView, type WebReply } from "../web/mod.ts";
import type { Server } from "./server.ts";
import type { Timed } from "./deadlines.ts";

/** Longest path and query that is looked at, bytes (spec webapi.md 2.5). */
const URL_MAX = 8191;

/** What the HTTP side of a server does. */
export interface HttpService {
  /** Serves HTTP on a stream; `certified`: the client has shown a good certificate. */
  adopt(stream: Duplex, certified: boolean): void;
  /** Closes connections without a request under way; the others close after their reply. */
  drain(): void;
  readonly idle: boolean;
}

/** An HTTP connection: waiting for a request, or with one under way. */
class HttpConnection implements Timed {
  deadline = 0;
  active = 0;
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

/** The HTTP side of `server()`; `view` is what it tells about itself. */
export function createHttpService(server: () => Server, view: ServerView): HttpService {
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

  const http = createServer({ maxHeaderSize: 81_920, keepAlive: true }, (request, response) => {
    const { counters, settings, draining, log } = server();
    const connection = connections.get(request.socket as Duplex);
    counters.httpRequests += 1;
    if (connection !== undefined) connection.active += 1;
    connection?.waits(settings.limits.httpRequestTimeoutMs);
    response.once("close", () => {
      if (connection === undefined) return;
      connection.active -= 1;
      connection.waits(server().settings.limits.httpIdleTimeoutMs);
    });
    // No endpoint takes a body yet; what a client sends is read and dropped.
    request.resume();
    let reply: WebReply;
    try {
      reply = replyTo(request, connection);
    } catch (error) {
      const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
      log.error(`request ${request.method} ${request.url}: ${reason}`);
      reply = errorPage(500, "internal error");
    }
    if (reply.status >= 400) counters.httpErrors += 1;
    write(response, reply, request.method === "HEAD", draining);
  });
  http.on("clientError", (error: Error & { code?: string }, socket) => {
    server().counters.httpErrors += 1;
    const status = error.code === "HPE_HEADER_OVERFLOW" ? 431 : 400;
    const page = errorPage(status, "failed to process request");
    if (!socket.writable) {
      socket.destroy();
      return;
    }
    socket.end(
      `HTTP/1.1 ${status} ${status === 431 ? "Request Header Fields Too Large" : "Bad Request"}\r\n` +
        `Connection: close\r\nContent-Type: text/html\r\nContent-Length: ${page.body.length}\r\n\r\n${page.body}`,
    );
  });

  return {
    adopt(stream, certified) {
      const connection = new HttpConnection(server(), stream, certified);
      connections.set(stream, connection);
      stream.on("error", (error) => {
        server().log.debug(`HTTP connection: ${error.message}`);
        stream.destroy();
      });
      stream.once("close", () => {
        connections.delete(stream);
        server().deadlines.clear(connection);
      });
      http.emit("connection", stream);
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
