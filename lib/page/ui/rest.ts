// Requests to the server that the page came from. A request fails with a RestFault that says which
// part failed in words for people; nothing waits for ever.

/**
 * What failed: `server` did not answer or answered nonsense, `context` is unknown to it by now,
 * `credentials` are wanted or wrong, `refused` is any other error that it told, `cancelled` is what the
 * asker has called off.
 */
export type FaultKind = "server" | "context" | "credentials" | "refused" | "cancelled";

export class RestFault extends Error {
  constructor(
    readonly kind: FaultKind,
    message: string,
    /** Of HTTP, where there was a reply. */
    readonly status?: number,
  ) {
    super(message);
    this.name = "RestFault";
  }
}

/** Name and password, for pmcd. */
export interface Credentials {
  readonly user: string;
  readonly password: string;
}

export interface AskOptions {
  readonly timeoutMs?: number;
  readonly credentials?: Credentials | undefined;
  /** Calls the request off. */
  readonly signal?: AbortSignal | undefined;
}

/** Longer than the server waits for a pmcd. */
export const TIMEOUT_MS = 6_000;

/** Parameters of a request; undefined ones are left out. */
export type Query = Readonly<Record<string, string | number | undefined>>;

/** The URL of a request. Commas and colons, which names and hosts have, stay readable. */
export function urlOf(path: string, query: Query = {}): string {
  const pairs = Object.entries(query)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => {
      const text = encodeURIComponent(String(value));
      return `${name}=${text.replace(/%2C/g, ",").replace(/%3A/g, ":").replace(/%40/g, "@")}`;
    });
  return pairs.length === 0 ? path : `${path}?${pairs.join("&")}`;
}

const basic = ({ user, password }: Credentials): string => {
  const bytes = new TextEncoder().encode(`${user}:${password}`);
  return `Basic ${btoa(String.fromCharCode(...bytes))}`;
};

/** Numbers that a double may not hold become texts of digits. No text can hold this pattern unescaped. */
const exact = (text: string): string =>
  text.replace(/"value":(-?\d{16,})(?=[,}])/g, '"value":"$1"');

/**
 * JSON as it should be, of JSON as PCP writes texts: `\\xHH` for each byte that is not ASCII, which are
 * UTF-8, and `\\a` (spec series.md 12).
 */
export const plainJson = (text: string): string =>
  text.replace(/((?:\\x[0-9a-fA-F]{2})+)|\\[^]/g, (escape, run: string | undefined) => {
    if (run === undefined) return escape === "\\a" ? "\\u0007" : escape;
    const bytes = run.split("\\x").slice(1);
    const plain = new TextDecoder().decode(Uint8Array.from(bytes, (byte) => parseInt(byte, 16)));
    return JSON.stringify(plain).slice(1, -1);
  });

function faultOf(status: number, body: string): RestFault {
  let message = `HTTP status ${status}`;
  try {
    const told: unknown = JSON.parse(plainJson(body));
    if (typeof told === "object" && told !== null && "message" in told)
      message = String(told.message);
  } catch (error) {
    // The server's error pages say it behind the bold word.
    if (!(error instanceof SyntaxError)) throw error;
    message = /<\/b>: ([^<]*)</.exec(body)?.[1] ?? message;
  }
  if (status === 401 || status === 403) return new RestFault("credentials", message, status);
  const isContext = /^(unknown|expired|invalid) context identifier/.test(message);
  return new RestFault(isContext ? "context" : "refused", message, status);
}

/** Longest address that is asked for; longer ones go as a form. */
const ADDRESS_MAX = 4_000;

/** Asks, and answers with the text of the reply. Rejects with RestFault. */
export async function askText(url: string, options: AskOptions = {}): Promise<string> {
  const { timeoutMs = TIMEOUT_MS, credentials, signal } = options;
  let status: number;
  let body: string;
  const late = AbortSignal.timeout(timeoutMs);
  const [path = "", form] = url.length > ADDRESS_MAX ? url.split(/\?(.*)/s) : [url];
  try {
    const reply = await fetch(path, {
      signal: signal === undefined ? late : AbortSignal.any([late, signal]),
      credentials: "omit",
      cache: "no-store",
      headers: {
        ...(credentials === undefined ? {} : { Authorization: basic(credentials) }),
        ...(form === undefined ? {} : { "Content-Type": "application/x-www-form-urlencoded" }),
      },
      ...(form === undefined ? {} : { method: "POST", body: form }),
    });
    status = reply.status;
    body = await reply.text();
  } catch (error) {
    if (signal?.aborted === true) throw new RestFault("cancelled", "cancelled");
    const isLate = error instanceof DOMException && error.name === "TimeoutError";
    const seconds = Math.round(timeoutMs / 1000);
    throw new RestFault(
      "server",
      isLate ? `the proxy has not answered for ${seconds} s` : "the proxy cannot be reached",
    );
  }
  if (status !== 200) throw faultOf(status, body);
  return body;
}

/** Text of a reply as values. Rejects what is none with RestFault. */
export function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new RestFault("server", "the proxy's reply is not JSON");
  }
}

/** Asks, and answers with the parsed reply. Rejects with RestFault. */
export const ask = async (url: string, options: AskOptions = {}): Promise<unknown> =>
  parsed(exact(await askText(url, options)));
