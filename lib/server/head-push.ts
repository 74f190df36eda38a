// Finds a small body that a logger pushes, with its head, in bytes: loggers send each record of an
// archive as a request of its own, which should not cost more than a plain one (head.ts). Strict as that:
// another path, a large body, any header that changes what follows is "other", for node:http.
import { type Head, type HeadKind, type HeadLimits, latin1, textAt } from "./head.ts";

/** Longer bodies are not worth the trouble. */
const BODY_BYTES = 32_768;
const START = "POST /logger/";
const REQUEST =
  /^POST (\/logger\/[!-~]*) HTTP\/1\.1\r\n((?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t -~]*\r\n)*)\r\n$/;
const BARRED: ReadonlySet<string> = new Set([
  "expect",
  "upgrade",
  "proxy-connection",
  "transfer-encoding",
  "http2-settings",
]);

/** What the header lines say that matters here; undefined: something that makes the request "other". */
function look(lines: readonly string[]): { length: number; close: boolean } | undefined {
  let length: number | undefined;
  let close = false;
  for (const line of lines) {
    const colon = line.indexOf(":");
    const name = line.slice(0, colon).toLowerCase();
    if (BARRED.has(name)) return undefined;
    const value = line
      .slice(colon + 1)
      .trim()
      .toLowerCase();
    if (name === "content-length") {
      if (length !== undefined || !/^\d{1,5}$/.test(value)) return undefined;
      length = Number(value);
    } else if (name === "connection") {
      if (value !== "keep-alive" && value !== "close") return undefined;
      close ||= value === "close";
    }
  }
  return length === undefined || length > BODY_BYTES ? undefined : { length, close };
}

/** Looks at the request that begins at `from`; fills `head`, `end` behind the body, when it is plain. */
export function scanPush(
  head: Head,
  bytes: Uint8Array,
  from: number,
  limits: HeadLimits,
): HeadKind {
  const start = textAt(bytes, from, START);
  if (start !== "plain") return start;
  const gap = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).indexOf("\r\n\r\n", from);
  const bodyAt = gap + 4;
  if (gap < 0) return bytes.length - from > limits.bytes ? "other" : "partial";
  if (bodyAt - from > limits.bytes) return "other";
  const [, target, block] = REQUEST.exec(latin1(bytes, from, bodyAt)) ?? [];
  if (target === undefined || block === undefined) return "other";
  if (target.length > limits.targetBytes) return "other";
  const lines = block.split("\r\n").slice(0, -1);
  const found = lines.length > limits.count ? undefined : look(lines);
  if (found === undefined) return "other";
  if (bodyAt + found.length > bytes.length) return "partial";
  head.method = "POST";
  head.target = from + "POST ".length;
  head.targetEnd = head.target + target.length;
  head.headers = bodyAt - 2 - block.length;
  head.body = bodyAt;
  head.end = bodyAt + found.length;
  head.close = found.close;
  return "plain";
}
