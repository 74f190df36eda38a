// The reply to a request whose answer has not begun when its time is over: in the form that failures of its
// path have (spec webapi.md 2.6, 3.4, 16.1), and when to come again.
import { quoted } from "../series/mod.ts";
import { jsonReply } from "./fault.ts";
import { parseParameters } from "./parameters.ts";
import { errorPage, type WebReply } from "./route.ts";

/** Seconds after which a client that was refused for want of time or room may come again. */
export const RETRY_SECONDS = "10";

const MESSAGE = "the answer took too long: the server is busy, or the question too large";

/** Paths whose failures are JSON objects, and the parameter that their clients are told by. */
const JSON_PATHS = [
  ["/pmapi/", "client"],
  ["/series/", "client"],
  ["/search/", "clientid"],
  ["/logger/", "client"],
] as const;

/** 503 for a request of this path and query. */
export function lateReply(path: string, query: string | undefined): WebReply {
  const known = JSON_PATHS.find(([place]) => path.startsWith(place));
  const headers = { "Retry-After": RETRY_SECONDS };
  if (known === undefined) return { ...errorPage(503, MESSAGE), headers };
  const client = parseParameters(query)?.get(known[1]);
  const mark = client === undefined ? "" : `"client":${quoted(client, "json")},`;
  return { ...jsonReply(503, `{${mark}"message":"${MESSAGE}","success":false}`), headers };
}
