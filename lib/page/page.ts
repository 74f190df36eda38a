// Answers requests for the page: one document with everything in it, told apart by its hash, sent
// compressed where the browser takes that. Knows the path "/" alone; leaves methods other than GET and
// HEAD, and all other paths, to others.
import { createHash } from "node:crypto";
import { promisify } from "node:util";
import { gzip } from "node:zlib";

/** What is looked at of a request. */
export interface PageRequest {
  readonly method: string;
  /** Decoded, without the query. */
  readonly path: string;
  /** Value of a header, by its name in lower case. */
  header(name: string): string | undefined;
}

/** A reply, as the web room has them. */
export interface PageReply {
  readonly status: number;
  readonly type: string;
  readonly body: string | Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
  /** Without the lines that let pages of other origins read it. */
  readonly bare: true;
}

/** The page of one server. */
export interface Page {
  /** Answers a request for the page; undefined for all others. */
  answer(request: PageRequest): Promise<PageReply> | undefined;
}

/** The document, ready to be sent. */
interface Made {
  readonly html: Uint8Array;
  readonly zipped: Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
}

const sourceOf = (text: string): string =>
  `'sha256-${createHash("sha256").update(text).digest("base64")}'`;

/** What the document may do: run the script in it, look as its style says, ask its own server. */
function policyOf(html: string): string {
  const inside = (tag: string): string => {
    const found = [...html.matchAll(new RegExp(`<${tag}[^>]*>([\\s\\S]*?)</${tag}>`, "g"))];
    return found.map((match) => sourceOf(match[1] ?? "")).join(" ");
  };
  return [
    "default-src 'none'",
    `script-src ${inside("script")}`,
    `style-src ${inside("style")}`,
    "connect-src 'self'",
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
}

async function make(): Promise<Made> {
  const { DOCUMENT } = await import("./document.ts");
  const html = new TextEncoder().encode(DOCUMENT);
  const hash = createHash("sha256").update(html).digest("base64url").slice(0, 27);
  return {
    html,
    zipped: await promisify<Uint8Array, { level: number }, Buffer>(gzip)(html, { level: 9 }),
    headers: {
      "Content-Security-Policy": policyOf(DOCUMENT),
      "Cache-Control": "no-cache",
      // Weak: it stands for both encodings.
      ETag: `W/"${hash}"`,
      "Referrer-Policy": "no-referrer",
      Vary: "Accept-Encoding",
      "X-Content-Type-Options": "nosniff",
    },
  };
}

/** Whether a browser that says this takes gzip. */
const takesGzip = (accepted: string): boolean =>
  accepted
    .split(",")
    .some((element) => /^\s*(gzip|\*)\s*(;\s*q=(?!0(\.0*)?\s*$).*)?$/i.test(element));

/** Whether one of the tags of If-None-Match is this one, or all are meant. */
const isKnown = (tags: string, tag: string): boolean =>
  tags.split(",").some((each) => {
    const text = each.trim();
    return text === "*" || text === tag || `W/${text}` === tag;
  });

async function reply(made: Made, request: PageRequest): Promise<PageReply> {
  const { headers, html, zipped } = made;
  const base = { type: "text/html; charset=utf-8", headers, bare: true } as const;
  if (isKnown(request.header("if-none-match") ?? "", headers["ETag"] ?? "")) {
    return { ...base, status: 304, type: "", body: "" };
  }
  if (!takesGzip(request.header("accept-encoding") ?? "")) {
    return { ...base, status: 200, body: html };
  }
  return {
    ...base,
    status: 200,
    body: zipped,
    headers: { ...headers, "Content-Encoding": "gzip" },
  };
}

/** The page; it is made at the first request. */
export function createPage(): Page {
  let made: Promise<Made> | undefined;
  return {
    answer(request) {
      if (request.path !== "/" || (request.method !== "GET" && request.method !== "HEAD")) {
        return undefined;
      }
      made ??= make();
      return made.then((page) => reply(page, request));
    },
  };
}
