// Requests to the server that the page came from. A request fails with a RestFault that says which
// part failed in words for people; nothing waits for ever.

/**
 * What failed: `server` did not answer or answered nonsense, `context` is unknown to it by now,
 * `credentials` are wanted or wrong, `refused` is any other error that it told.
 */
export type FaultKind = "server" | "context" | "credentials" | "refused";

export class RestFault extends Error {
  constructor(
    readonly kind: FaultKind,
    message: string,
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

function faultOf(status: number, body: string): RestFault {
  let message = `HTTP status ${status}`;
  try {
    const told: unknown = JSON.parse(body);
    if (typeof told === "object" && told !== null && "message" in told)
      message = String(told.message);
  } catch (error) {
    // The server's error pages say it behind the bold word.
    if (!(error instanceof SyntaxError)) throw error;
    message = /<\/b>: ([^<]*)</.exec(body)?.[1] ?? message;
  }
  if (status === 401 || status === 403) return new RestFault("credentials", message);
  const isContext = /^(unknown|expired|invalid) context identifier/.test(message);
  return new RestFault(isContext ? "context" : "refused", message);
}

/** Asks, and answers with the parsed reply. Rejects with RestFault. */
export async function ask(url: string, options: AskOptions = {}): Promise<unknown> {
  const { timeoutMs = TIMEOUT_MS, credentials } = options;
  let status: number;
  let body: string;
  try {
    const reply = await fetch(url, {
      signal: AbortSignal.timeout(timeoutMs),
      credentials: "omit",
      cache: "no-store",
      headers: credentials === undefined ? {} : { Authorization: basic(credentials) },
    });
    status = reply.status;
    body = await reply.text();
  } catch (error) {
    const isLate = error instanceof DOMException && error.name === "TimeoutError";
    const seconds = Math.round(timeoutMs / 1000);
    throw new RestFault(
      "server",
      isLate ? `the proxy has not answered for ${seconds} s` : "the proxy cannot be reached",
    );
  }
  if (status !== 200) throw faultOf(status, body);
  try {
    return JSON.parse(exact(body)) as unknown;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new RestFault("server", "the proxy's reply is not JSON");
  }
}
