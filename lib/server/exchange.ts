// One HTTP request and its reply, whichever way its bytes came: who may ask, what the URL says, the
// web room's answer, compression, the lines of the head. Knows neither sockets nor node:http; what a
// handler throws becomes a 500 here.

import { STATUS_CODES } from "node:http";
import { Readable, pipeline } from "node:stream";
import {
  createDeflate,
  createGzip,
  deflate,
  deflateSync,
  gzip,
  gzipSync,
  type ZlibOptions,
} from "node:zlib";
import { promisify } from "node:util";
import { PcpError } from "../base/mod.ts";
import { errorPage, lateReply, respond, type ServerView, type WebApi } from "../web/mod.ts";
import type { Answer, WebBody, WebReply, WebRequest } from "../web/mod.ts";
import type { Server } from "./server.ts";
import type { HttpSettings } from "./settings.ts";

/** Path and query of a URL that is looked at, bytes; up to URL_MAX there is no handler (spec webapi.md 2.5). */
const URL_SERVED = 8000;
/** Longer URLs are answered 414. */
export const URL_MAX = 8191;

/** A request as it came. */
export interface RawRequest {
  readonly method: string;
  /** Path and query, a character a byte. */
  readonly url: string;
  readonly body?: Uint8Array | undefined;
  /** The client has shown a good certificate. */
  readonly certified: boolean;
  /** Whether the client has gone. */
  readonly gone?: () => boolean;
  /** Address of the client. */
  readonly peer?: () => string;
  /** The same for all requests of a connection. */
  readonly connection?: object;
  /** Lifts the deadline of the reply. */
  readonly takesLong?: () => void;
  header(name: string): string | undefined;
  /** For TRACE: all headers as they were sent. */
  readonly sentHeaders?: readonly string[];
}

/** A reply that is ready for the wire. */
export interface Reply extends WebReply<WebBody> {
  /** The compression of `body`. */
  readonly encoding?: Coding;
}

type Coding = "gzip" | "deflate";

/** What `-S` keeps for those who bring a name and password. */
const GUARDED = /^\/(pmapi|metrics|openmetrics|opentelemetry|series|search|logger)(?:\/|$)/;
const isBasic = (value = ""): boolean => /^Basic +\S/i.test(value);
/** The reply to who does not. */
const unnamed = (place: string): WebReply => {
  const told = /^(series|search|logger)$/.test(place) ? "" : `"message":"(none)",`;
  return { status: 403, type: "application/json", body: `{${told}"success":false}\r\n` };
};

/** What the answers to requests are made of. */
export interface Exchange {
  /** Answers a request and counts it. Never throws, never rejects. */
  answer(request: RawRequest): Reply | Promise<Reply>;
  /** The page for one that nobody has looked at, or can look at; counted as an error. */
  refuse(status: number, message: string): Reply;
  /** What is told when the answer to a request of this URL has not begun in its time; counted as an error. */
  late(url: string): Reply;
}

/** `api`: the requests that need a pmcd, where there are any. */
export function createExchange(
  server: () => Server,
  view: ServerView,
  api: WebApi | undefined,
): Exchange {
  const counted = (reply: Reply): Reply => {
    if (reply.status >= 400) server().counters.httpErrors += 1;
    return reply;
  };
  const failed = (request: RawRequest, error: unknown): Reply => {
    const { complaints, counters } = server();
    const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
    complaints.error(`request ${request.method} ${request.url}: ${reason}`);
    counters.faults += 1;
    return counted(errorPage(500, "internal error"));
  };
  const finished = (reply: Reply, request: RawRequest): Reply | Promise<Reply> => {
    try {
      const ready = compressed(counted(reply), request);
      if (!(ready instanceof Promise)) return ready;
      return ready.catch((error: unknown) => failed(request, error));
    } catch (error) {
      return failed(request, error);
    }
  };
  const ask = (request: RawRequest): Answer => {
    const { url, certified } = request;
    if (server().settings.certificateRequired && !certified) {
      return errorPage(403, "client certificate required");
    }
    if (url.length > URL_MAX) return errorPage(414, "request URL too long");
    if (url.length > URL_SERVED) return errorPage(400, "no handler for URL");
    const path = pathOf(url);
    if (path === undefined) return errorPage(400, "no handler for URL");
    const { method, header, body, gone, peer, connection, takesLong, sentHeaders } = request;
    if (server().settings.authRequired && !isBasic(header("authorization"))) {
      const [, place] = GUARDED.exec(path) ?? [];
      if (place !== undefined) return unnamed(place);
    }
    const asked: { -readonly [Key in keyof WebRequest]: WebRequest[Key] } = {
      method,
      path,
      target: url,
      header,
    };
    const query = queryOf(url);
    if (query !== undefined) asked.query = query;
    if (body !== undefined) asked.body = body;
    if (gone !== undefined) asked.gone = gone;
    if (peer !== undefined) asked.peer = peer;
    if (connection !== undefined) asked.connection = connection;
    if (takesLong !== undefined) asked.takesLong = takesLong;
    if (sentHeaders !== undefined) asked.sentHeaders = sentHeaders;
    return respond(view, api, asked);
  };
  return {
    answer(request) {
      server().counters.httpRequests += 1;
      try {
        const answer = ask(request);
        if (!(answer instanceof Promise)) return compressed(counted(answer), request);
        return answer.then(
          (reply) => finished(reply, request),
          (error: unknown) => failed(request, error),
        );
      } catch (error) {
        return failed(request, error);
      }
    },
    refuse: (status, message) => counted(errorPage(status, message)),
    late: (url) => counted(lateReply(pathOf(url) ?? "", queryOf(url))),
  };
}

/** The path of a URL without its escapes; undefined: one of them is none, or not UTF-8. */
export function pathOf(url: string): string | undefined {
  const mark = url.indexOf("?");
  const raw = mark < 0 ? url : url.slice(0, mark);
  if (!raw.includes("%")) return raw;
  try {
    return decodeURIComponent(raw);
  } catch (error) {
    if (!(error instanceof URIError)) throw error;
    return undefined;
  }
}

const queryOf = (url: string): string | undefined => {
  const mark = url.indexOf("?");
  return mark < 0 ? undefined : url.slice(mark + 1);
};

/** Bodies of fewer bytes are not compressed: head and body fit one packet anyway. */
const COMPRESSED_MIN = 1024;
/** Up to so many bytes are compressed at once; more in a thread. */
const AT_ONCE_MAX = 16_384;
/** Most of what can be gained, at a third of the time of the usual 6. */
const OPTIONS: ZlibOptions = { level: 3 };
const CODERS = {
  gzip: {
    now: gzipSync,
    later: promisify<Uint8Array, ZlibOptions, Buffer>(gzip),
    stream: createGzip,
  },
  deflate: {
    now: deflateSync,
    later: promisify<Uint8Array, ZlibOptions, Buffer>(deflate),
    stream: createDeflate,
  },
} as const;

/** The first compression of an Accept-Encoding that we have and that the client does not forbid. */
export function codingOf(accepted: string): Coding | undefined {
  for (const element of accepted.split(",")) {
    const [name = "", ...parameters] = element.split(";").map((part) => part.trim().toLowerCase());
    const never = parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter));
    if (!never && (name === "gzip" || name === "deflate")) return name;
  }
  return undefined;
}

const isText = (type: string): boolean => /^(text\/|application\/|image\/svg)/.test(type);
const hasHeader = (reply: Reply, name: string): boolean =>
  reply.headers !== undefined &&
  Object.keys(reply.headers).some((each) => each.toLowerCase() === name);

/** The reply, compressed when the client asks for it and there is something to gain. */
function compressed(reply: Reply, request: RawRequest): Reply | Promise<Reply> {
  const { body } = reply;
  const isStream = typeof body !== "string" && !(body instanceof Uint8Array);
  if (!isStream && body.length < COMPRESSED_MIN) return reply;
  if (request.method === "HEAD" || !isText(reply.type)) return reply;
  const coding = codingOf(request.header("accept-encoding") ?? "");
  if (coding === undefined || hasHeader(reply, "content-encoding")) return reply;
  const coder = CODERS[coding];
  if (isStream) {
    const squeezed = coder.stream(OPTIONS);
    // What goes wrong destroys the result as well, where its reader hears of it.
    pipeline(Readable.from(body), squeezed, () => {});
    return { ...reply, body: squeezed, encoding: coding };
  }
  const bytes = typeof body === "string" ? Buffer.from(body) : body;
  if (bytes.length <= AT_ONCE_MAX) {
    return { ...reply, body: coder.now(bytes, OPTIONS), encoding: coding };
  }
  return coder
    .later(bytes, OPTIONS)
    .then((squeezed) => ({ ...reply, body: squeezed, encoding: coding }));
}

/** Takes note of an answer that failed under way. What it is made from may go away: no fault of ours. */
export function noteFailure({ complaints, onFault }: Server, error: unknown): void {
  if (error instanceof PcpError) complaints.warning(`answer cut off: ${error.message}`);
  else onFault(error);
}

/** Tells the maker of a body that nobody wants it. Rejects with what that goes wrong with. */
export async function discard(body: WebBody): Promise<void> {
  if (typeof body === "string" || body instanceof Uint8Array) return;
  // An iterator of a stream that was not begun does not end it.
  if (body instanceof Readable) body.destroy();
  else await body[Symbol.asyncIterator]().return?.();
}

/** Value of Date now; made once a second. */
function dateNow(): string {
  const second = Math.floor(Date.now() / 1000);
  if (second !== dateSecond) {
    dateSecond = second;
    dateText = new Date(second * 1000).toUTCString();
  }
  return dateText;
}
let dateSecond = -1;
let dateText = "";

const ALLOWED = "Accept, Accept-Language, Content-Language, Content-Type";

/** How a reply is framed. */
export interface Framing {
  /** Bytes of the body; undefined: chunks, as many as there will be. */
  readonly length: number | undefined;
  /** The server closes the connection although the client did not ask for it. */
  readonly close: boolean;
}

/** Status without a body, and without a length that would announce one. */
const isEmpty = (status: number): boolean => status === 204 || status === 304;

/** Phrase of a status line. */
export const phraseOf = (status: number): string => STATUS_CODES[status] ?? "Unknown";

/**
 * The head's lines as name, value, name, value, in the order that pmproxy writes them (spec webapi.md
 * 2.1, 2.8). Throws for a header of a handler that would not be one line of a head.
 */
export function headOf(reply: Reply, framing: Framing, settings: HttpSettings): string[] {
  const lines = ["Connection", framing.close ? "close" : "Keep-Alive"];
  if (reply.bare !== true) {
    const { allowHeaders, maxAgeSeconds } = settings;
    lines.push("Access-Control-Allow-Origin", "*", "Access-Control-Allow-Headers");
    lines.push(allowHeaders === "" ? ALLOWED : `${ALLOWED}, ${allowHeaders}`);
    lines.push("Access-Control-Max-Age", String(maxAgeSeconds));
  }
  if (framing.length === undefined) lines.push("Transfer-encoding", "chunked");
  else if (!isEmpty(reply.status)) lines.push("Content-Length", String(framing.length));
  if (reply.type !== "") lines.push("Content-Type", reply.type);
  if (reply.encoding !== undefined) lines.push("Content-Encoding", reply.encoding);
  if (reply.headers !== undefined) {
    for (const [name, value] of Object.entries(reply.headers))
      place(lines, name, configured(name, settings) ?? value);
  }
  lines.push("Date", dateNow());
  return lines;
}

/** The value of a header that the configuration says, wherever it stands. */
function configured(name: string, { allowHeaders, maxAgeSeconds }: HttpSettings) {
  if (name === "Access-Control-Max-Age") return String(maxAgeSeconds);
  if (name !== "Access-Control-Allow-Headers") return undefined;
  return allowHeaders === "" ? ALLOWED : `${ALLOWED}, ${allowHeaders}`;
}

/** Puts a header in the place of the usual one of that name, or behind them all. */
function place(lines: string[], name: string, value: string): void {
  if (!/^[-\w]+$/.test(name) || /[^\t\x20-\x7e\x80-\xff]/.test(value)) {
    throw new Error(`header ${JSON.stringify(name)} cannot be sent: ${JSON.stringify(value)}`);
  }
  const lower = name.toLowerCase();
  for (let at = 0; at < lines.length; at += 2) {
    if (lines[at]?.toLowerCase() !== lower) continue;
    lines[at] = name;
    lines[at + 1] = value;
    return;
  }
  lines.push(name, value);
}

/** A head that was made, around its length, and what it depends on. */
interface MadeHead {
  readonly status: number;
  readonly type: string;
  readonly encoding: Coding | undefined;
  readonly isWhole: boolean;
  readonly close: boolean;
  readonly settings: HttpSettings;
  readonly date: string;
  readonly before: string;
  readonly after: string;
}
/** The last one: replies of one kind often follow each other within a second. */
let made: MadeHead | undefined;

/** Stands for the length while a head is made; no other value has it. */
const LENGTH_MARK = 9_007_199_254_740_991;

/** The whole head of a reply as text, a character a byte. */
export function headText(reply: Reply, framing: Framing, settings: HttpSettings): string {
  const isUsual = reply.headers === undefined && reply.bare !== true && !isEmpty(reply.status);
  if (!isUsual) return linesText(reply.status, headOf(reply, framing, settings));
  const { length, close } = framing;
  const isWhole = length !== undefined;
  const date = dateNow();
  if (
    made === undefined ||
    made.isWhole !== isWhole ||
    made.close !== close ||
    made.status !== reply.status ||
    made.type !== reply.type ||
    made.encoding !== reply.encoding ||
    made.settings !== settings ||
    made.date !== date
  ) {
    const marked = headOf(reply, { length: isWhole ? LENGTH_MARK : undefined, close }, settings);
    const text = linesText(reply.status, marked);
    const [before = "", after = ""] = isWhole ? text.split(String(LENGTH_MARK)) : [text];
    const { status, type, encoding } = reply;
    made = { status, type, encoding, isWhole, close, settings, date, before, after };
  }
  return isWhole ? `${made.before}${length}${made.after}` : made.before;
}

function linesText(status: number, lines: readonly string[]): string {
  let text = `HTTP/1.1 ${status} ${phraseOf(status)}\r\n`;
  for (let at = 0; at < lines.length; at += 2) text += `${lines[at]}: ${lines[at + 1]}\r\n`;
  return `${text}\r\n`;
}
