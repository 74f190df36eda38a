// Finds the head of a plain HTTP request in bytes, without a string per header: the cheap way in for
// most requests: those without a body, and small bodies that loggers push, since they send each part of
// an archive as a request of its own. Strict on purpose: what is not the commonest form of HTTP/1.1
// (another method, another body, an upgrade, an odd byte, a limit in sight) is "other", and a complete
// HTTP implementation gets it.

/** What `scanHead` found at its offset. */
export type HeadKind =
  /** A whole head: of a GET or HEAD without a body, or of a push with a small one. */
  | "plain"
  /** The beginning of one; more bytes will tell. */
  | "partial"
  /** Anything else. */
  | "other";

/** Where the parts of a plain head are, as offsets into the bytes that were scanned. */
export interface Head {
  method: "GET" | "HEAD" | "POST";
  /** Path and query; begins with a slash, printable ASCII only. */
  target: number;
  targetEnd: number;
  /** Of the first header line, or of the empty line. */
  headers: number;
  /** After the empty line: where the body begins, of a POST. */
  end: number;
  /** Bytes of the body; 0 for GET and HEAD. */
  length: number;
  /** `Connection: close`. */
  close: boolean;
}

/** A place for the answers of `scanHead`, to be used again. */
export const newHead = (): Head => ({
  method: "GET",
  target: 0,
  targetEnd: 0,
  headers: 0,
  end: 0,
  length: 0,
  close: false,
});

/** Bounds of a plain head; one that reaches them is "other". */
export interface HeadLimits {
  /** Request line and headers together. */
  readonly bytes: number;
  readonly targetBytes: number;
  /** Header lines. */
  readonly count: number;
}

const CR = 0x0d;
const LF = 0x0a;
const SPACE = 0x20;
const TAB = 0x09;
const SLASH = 0x2f;
const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;

const TOKEN = 1;
const VISIBLE = 2;
const VALUE = 4;
/** What each byte may be part of: a header's name (RFC 9110 5.6.2), a target, a header's value. */
const CLASSES: Uint8Array = (() => {
  const classes = new Uint8Array(256);
  for (let byte = 0x21; byte <= 0x7e; byte++) classes[byte] = VISIBLE | VALUE;
  classes[SPACE] = VALUE;
  classes[TAB] = VALUE;
  const token = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  for (const character of token) {
    const byte = character.charCodeAt(0);
    classes[byte] = (classes[byte] ?? 0) | TOKEN;
  }
  return classes;
})();

/** What plain requests begin with, by their first byte. */
const METHODS: ReadonlyMap<number, { readonly name: Head["method"]; readonly start: string }> =
  new Map([
    [0x47, { name: "GET", start: "GET " }],
    [0x48, { name: "HEAD", start: "HEAD " }],
    [0x50, { name: "POST", start: "POST /logger/" }],
  ]);
/** Longest body of a plain request, bytes. */
export const PLAIN_BODY_MAX = 65_536;
/** No length yet. */
const UNTOLD = -1;
const VERSION = " HTTP/1.1\r\n";
const CONNECTION = "connection";
const CONTENT_LENGTH = "content-length";

/** Headers that change what follows the head, or who speaks; by their length. */
const SPECIAL: readonly (readonly string[])[] = (() => {
  const names = [
    CONNECTION,
    "expect",
    "upgrade",
    CONTENT_LENGTH,
    "proxy-connection",
    "transfer-encoding",
    "http2-settings",
  ];
  const byLength = Array.from({ length: 18 }, (): string[] => []);
  for (const name of names) byLength[name.length]?.push(name);
  return byLength;
})();

/** Whether `text` is at `at`; "partial" when the bytes end before that is sure. */
function textAt(bytes: Uint8Array, at: number, text: string): HeadKind {
  for (let index = 0; index < text.length; index++) {
    if (at + index >= bytes.length) return "partial";
    if (bytes[at + index] !== text.charCodeAt(index)) return "other";
  }
  return "plain";
}

/** Whether the letters from `start` to `end` are `lower`, whatever their case. */
function isText(bytes: Uint8Array, start: number, end: number, lower: string): boolean {
  if (end - start !== lower.length) return false;
  for (let index = 0; index < lower.length; index++) {
    const byte = bytes[start + index] ?? 0;
    const folded = byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
    if (folded !== lower.charCodeAt(index)) return false;
  }
  return true;
}

const isBlank = (byte: number | undefined): boolean => byte === SPACE || byte === TAB;

/** Offset of the first byte that is not of `kind`. */
function skip(bytes: Uint8Array, from: number, kind: number): number {
  let at = from;
  while (at < bytes.length && ((CLASSES[bytes[at] ?? 0] ?? 0) & kind) !== 0) at += 1;
  return at;
}

/** The length of a body, in digits from `from` to `to`; false makes the request "other". */
function takesLength(head: Head, bytes: Uint8Array, from: number, to: number): boolean {
  if (head.method !== "POST" || head.length !== UNTOLD || from === to) return false;
  let length = 0;
  for (let at = from; at < to; at++) {
    const digit = bytes[at] ?? 0;
    if (digit < ZERO || digit > NINE) return false;
    length = 10 * length + digit - ZERO;
    if (length > PLAIN_BODY_MAX) return false;
  }
  head.length = length;
  return true;
}

/**
 * A header that matters here: false makes the request "other". `start`, `nameEnd` and `end` are of
 * the line, without its line break.
 */
function passes(
  head: Head,
  bytes: Uint8Array,
  start: number,
  nameEnd: number,
  end: number,
): boolean {
  const names = SPECIAL[nameEnd - start];
  const name = names?.find((each) => isText(bytes, start, nameEnd, each));
  if (name === undefined) return true;
  let from = nameEnd + 1;
  let to = end;
  while (from < to && isBlank(bytes[from])) from += 1;
  while (to > from && isBlank(bytes[to - 1])) to -= 1;
  if (name === CONTENT_LENGTH) return takesLength(head, bytes, from, to);
  if (name !== CONNECTION) return false;
  if (isText(bytes, from, to, "keep-alive")) return true;
  if (!isText(bytes, from, to, "close")) return false;
  head.close = true;
  return true;
}

/** Looks at the request that begins at `from`; fills `head` when it is plain. */
export function scanHead(
  head: Head,
  bytes: Uint8Array,
  from: number,
  limits: HeadLimits,
): HeadKind {
  if (from >= bytes.length) return "partial";
  const known = METHODS.get(bytes[from] ?? 0);
  if (known === undefined) return "other";
  const method = textAt(bytes, from, known.start);
  if (method !== "plain") return method;
  const target = from + known.name.length + 1;
  const { length } = bytes;
  if (target < length && bytes[target] !== SLASH) return "other";
  const targetEnd = skip(bytes, target, VISIBLE);
  if (targetEnd - target > limits.targetBytes) return "other";
  const version = textAt(bytes, targetEnd, VERSION);
  if (version !== "plain") return version;

  head.method = known.name;
  head.target = target;
  head.targetEnd = targetEnd;
  head.headers = targetEnd + VERSION.length;
  head.close = false;
  head.length = known.name === "POST" ? UNTOLD : 0;
  let start = head.headers;
  for (let count = 0; count <= limits.count; count++) {
    const nameEnd = skip(bytes, start, TOKEN);
    if (nameEnd - from > limits.bytes) return "other";
    if (nameEnd >= length) return "partial";
    if (nameEnd === start) {
      if (bytes[start] !== CR) return "other";
      if (start + 1 >= length) return "partial";
      if (bytes[start + 1] !== LF) return "other";
      head.end = start + 2;
      return head.length === UNTOLD ? "other" : "plain";
    }
    if (bytes[nameEnd] !== COLON) return "other";
    const end = skip(bytes, nameEnd + 1, VALUE);
    if (end - from > limits.bytes) return "other";
    if (end >= length) return "partial";
    if (bytes[end] !== CR) return "other";
    if (end + 1 >= length) return "partial";
    if (bytes[end + 1] !== LF) return "other";
    if (SPECIAL[nameEnd - start]?.length && !passes(head, bytes, start, nameEnd, end)) {
      return "other";
    }
    start = end + 2;
  }
  return "other";
}

/**
 * Value of the header `name` (lower case) in a head that `scanHead` found plain, whose header lines
 * begin at `headers`; undefined: it has none. Several lines of one name are joined with ", ".
 */
export function headerIn(bytes: Uint8Array, headers: number, name: string): string | undefined {
  let found: string | undefined;
  let start = headers;
  while (bytes[start] !== CR && start < bytes.length) {
    const nameEnd = skip(bytes, start, TOKEN);
    const end = skip(bytes, nameEnd + 1, VALUE);
    if (isText(bytes, start, nameEnd, name)) {
      const value = latin1(bytes, nameEnd + 1, end).trim();
      found = found === undefined ? value : `${found}, ${value}`;
    }
    start = end + 2;
  }
  return found;
}

/** Bytes as text, a character each. */
export function latin1(bytes: Uint8Array, start: number, end: number): string {
  const buffer =
    bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  return buffer.toString("latin1", start, end);
}
