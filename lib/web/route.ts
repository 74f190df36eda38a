// The table of HTTP requests: path, methods, handler. Semantics only: a request-like in, a reply-like
// out; sockets and node:http are the server's business. Paths that are in no table get pmproxy's error
// page (spec webapi.md 2.6).

/** A request after all of it has been read, its body included; how long that may be is the server's. */
export interface WebRequest {
  readonly method: string;
  /** Decoded, without the query. */
  readonly path: string;
  /** What follows the first "?", as it was sent; none without one. */
  readonly query?: string;
  /** Path and query as they were sent, where they were; a key for what is worked out of them. */
  readonly target?: string;
  /** Whether the client has gone, so that nobody waits for the reply; none: nobody knows. */
  readonly gone?: () => boolean;
  /** Address of the client; "" for a unix socket; none: nobody knows. */
  readonly peer?: () => string;
  /** Stands for the connection: the same for all its requests, for no others; none: nobody knows. */
  readonly connection?: object;
  /** To be called while answering: the reply may come as late as it likes, not only in the usual time. */
  readonly takesLong?: () => void;
  /**
   * The whole body; none, or empty, without one. Its bytes are the handler's until it has answered: at
   * once, or with the promise.
   */
  readonly body?: Uint8Array;
  /** Value of a header, by its name in lower case. */
  header(name: string): string | undefined;
  /** For TRACE: names and values of all headers, one after the other, as they were sent. */
  readonly sentHeaders?: readonly string[];
}

/**
 * What a reply carries. Pieces are asked for one by one, the next one when the one before has been
 * taken by the system, and are sent as chunks; the iterator is told (`return`) when nobody wants the
 * rest. They reject only for faults: the connection is then cut.
 */
export type WebBody = string | Uint8Array | AsyncIterable<Uint8Array>;

/** A reply. To HEAD the server sends its head and leaves the body, whatever it is, alone. */
export interface WebReply<Body extends WebBody = string> {
  readonly status: number;
  /** Content-Type; empty: the line is left out. */
  readonly type: string;
  readonly body: Body;
  /** More header lines; they replace usual ones of the same name. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Only Connection, the length, `type`, `headers` and Date: without the usual Access-Control lines. */
  readonly bare?: boolean;
}

/** Any reply, at once or later. A promise never rejects but for faults of this program. */
export type Answer = WebReply<WebBody> | Promise<WebReply<WebBody>>;

/** The requests that need a pmcd: `createWebApi` makes one for a server, `close` ends it with it. */
export interface WebApi {
  /** Answers a request of its paths; undefined for all others. */
  answer(request: WebRequest): Answer | undefined;
  /** JSON values for /-/status; members as in ServerView: none goes or changes its meaning. */
  status(): Readonly<Record<string, unknown>>;
  /** Closes the contexts. Requests under way are answered with an error; later ones get 503. */
  close(): Promise<void>;
}

/** What the server tells about itself. */
export interface ServerView {
  /** Sockets are bound and no stop is under way. */
  ready(): boolean;
  /**
   * JSON values only; more members may come, none goes or changes its meaning:
   * - `name`: "pmproxy"; `pid`; `uptimeSeconds`; `ready` as above
   * - `ports`: TCP ports that are open, as the system numbers them
   * - `listeners`: the port table, each `ok`, `port` (as asked for; none for a unix socket), `family`
   *   (inet, ipv6, unix), `address`
   * - `connections`: `open` now, and their `limit`
   * - `pcp`: `enabled`; `sessions` relayed now, RESP ones included, and of these `inThread`;
   *   `lastFailure` (once there was one): `target` host:port, `reason`, `at` (RFC 3339)
   * - `http`, `tls`: `enabled`; `resp`: `enabled`, `server` host:port
   * - `web`: `contexts` of the REST API that are open, and their `limit`; `connections` to pmcds;
   *   `localhost`: who answers for this machine: "unasked", "pmcd", "built-in", "unreachable"
   * - `series`: `store` "keys", "embedded" or "none"; of a key server `servers`, `connected`, `reason`
   *   while it is not, `version`, `cluster`; of archives `catalogue`, `archives`, `unreadable`; `search`,
   *   `loading`, `loaded`; `requests`: what is asked just now
   * - `discovery`, `push`, `record`, where there is one: their own states
   * - `counters`: the numbers of /-/metrics by their short names; `counters.connections` by protocol
   * - `memory.residentBytes`
   */
  status(): unknown;
  /** OpenMetrics text. */
  metrics(): string;
}

interface Route {
  readonly path: string;
  readonly methods: readonly string[];
  readonly reply: (view: ServerView, request: WebRequest) => WebReply;
}

const READ = ["GET", "HEAD"] as const;

const text = (status: number, body: string): WebReply => ({ status, type: "text/plain", body });
const json = (status: number, value: unknown): WebReply => ({
  status,
  type: "application/json",
  body: `${JSON.stringify(value)}\r\n`,
});

/**
 * The server's own endpoints; none of them asks a pmcd or a key server. `/-/healthy`: the process
 * serves. `/-/ready`: 503 from the moment it is told to stop. `/-/status`: JSON, see ServerView.
 * `/-/metrics`: the server's own counters.
 */
const ROUTES: readonly Route[] = [
  { path: "/-/healthy", methods: READ, reply: () => text(200, "OK\n") },
  {
    path: "/-/ready",
    methods: READ,
    reply: (view) => (view.ready() ? text(200, "OK\n") : text(503, "stopping\n")),
  },
  { path: "/-/status", methods: READ, reply: (view) => json(200, view.status()) },
  {
    path: "/-/metrics",
    methods: READ,
    reply: (view) => ({
      status: 200,
      type: "application/openmetrics-text; version=1.0.0; charset=utf-8",
      body: view.metrics(),
    }),
  },
];

const REASONS: Readonly<Record<number, string>> = {
  400: "Bad Request",
  403: "Forbidden",
  405: "Method Not Allowed",
  408: "Request Timeout",
  413: "Payload Too Large",
  414: "URI Too Long",
  431: "Request Header Fields Too Large",
  500: "Internal Server Error",
  503: "Service Unavailable",
};

/** PCP release whose error pages these are. */
const PAGE_VERSION = "7.2.1";

/** An error page as pmproxy writes it; `servlet` is the bold text. */
export function errorPage(status: number, message: string, servlet = "unknown servlet"): WebReply {
  const title = `${status} ${REASONS[status] ?? "Error"}`;
  const lines = [
    "<html>",
    `<head><title>${title}</title></head>`,
    "<body>",
    `<h1>${title}</h1>`,
    `<p><b>${servlet}</b>: ${message}</p><hr>`,
    `<p><small><i>pmproxy/${PAGE_VERSION}</i></small></p>`,
    "</body>",
    "</html>",
  ];
  return { status, type: "text/html", body: lines.map((line) => `${line}\r\n`).join("") };
}

/** The body of a reply to HEAD: whoever sends it leaves it alone. */
export async function* nothing(): AsyncGenerator<Uint8Array> {
  // No pieces.
}

const ALL_METHODS = ["GET", "PUT", "HEAD", "POST", "TRACE", "OPTIONS"];

/** The reply to OPTIONS for something that takes these methods (spec webapi.md 2.8). */
export function optionsReply(request: WebRequest, methods: readonly string[]): WebReply {
  const empty = { type: "", body: "", bare: true } as const;
  const wanted = request.header("access-control-request-method");
  if (wanted !== undefined && !methods.includes(wanted)) return { status: 405, ...empty };
  const origin = request.header("origin");
  const asksHeaders = request.header("access-control-request-headers") !== undefined;
  const allowed = "Accept, Accept-Language, Content-Language, Content-Type";
  const headers = {
    ...(origin === undefined ? {} : { "Access-Control-Allow-Origin": origin }),
    "Access-Control-Allow-Methods": methods.join(", "),
    "Access-Control-Max-Age": "86400",
    ...(asksHeaders ? { "Access-Control-Allow-Headers": allowed } : {}),
  };
  return { status: 200, ...empty, headers };
}

/** Headers that TRACE does not send back: they hold credentials, or would say something of the reply. */
const UNTRACED =
  /^(authorization|proxy-.*|.*cookie.*|connection|keep-alive|upgrade|expect|te|trailer|transfer-encoding|content-.*|access-control-.*|date|location|.*token.*|.*key)$/i;
/** What a header of a reply may be made of. */
const PLAIN_NAME = /^[-\w]+$/;
const PLAIN_VALUE = /^[\t\x20-\x7e]*$/;

/** The reply to TRACE: the request's headers, as headers (spec webapi.md 2.8). */
export function traceReply({ sentHeaders = [] }: WebRequest): WebReply {
  const headers: Record<string, string> = {};
  for (let at = 0; at + 1 < sentHeaders.length; at += 2) {
    const [name = "", value = ""] = sentHeaders.slice(at, at + 2);
    const isFit = PLAIN_NAME.test(name) && PLAIN_VALUE.test(value) && !UNTRACED.test(name);
    if (isFit) headers[name] = value;
  }
  return { status: 200, type: "", body: "", bare: true, headers };
}

/** Answers a request about the server itself. */
export function answer(view: ServerView, request: WebRequest): WebReply {
  const isOptions = request.method === "OPTIONS";
  if (isOptions && request.path === "*") return optionsReply(request, ALL_METHODS);
  if (request.method === "TRACE") return traceReply(request);
  const route = ROUTES.find(({ path }) => path === request.path);
  if (route === undefined) return errorPage(400, `no handler for ${isOptions ? "OPTIONS" : "URL"}`);
  if (!route.methods.includes(request.method)) {
    const allow = { Allow: route.methods.join(", ") };
    return { ...errorPage(405, `no handler for ${escaped(request.method)}`), headers: allow };
  }
  return route.reply(view, request);
}

/** Answers a request: the paths of `api`, where there is one, else as `answer`. */
export const respond = (view: ServerView, api: WebApi | undefined, request: WebRequest): Answer =>
  api?.answer(request) ?? answer(view, request);

const escaped = (value: string): string =>
  value.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
