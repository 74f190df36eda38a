// One request to /pmapi, as the handlers of its names see it.
import type { WebContext } from "./contexts.ts";
import type { Parameters } from "./parameters.ts";
import { jsonString } from "./quote.ts";
import type { WebReply } from "./route.ts";

/** A request whose context is there. */
export interface Call extends WebContext {
  readonly parameters: Parameters;
  /** The form of the old pmwebd: `_NAME` (spec webapi.md 1). */
  readonly compat: boolean;
  /** The body of a POST; undefined for other methods. */
  readonly body: Uint8Array | undefined;
  /** Value of the Accept header. */
  readonly accept: string | undefined;
  /** What was worked out about this request before; kept with its text. */
  readonly memo: Memo;
  /** Metrics of one request to pmcd. */
  readonly batchSize: number;
  /** Whether nobody waits for the reply any more. */
  readonly gone: (() => boolean) | undefined;
}

/** What is worked out about the text of a request once. */
export interface Memo {
  /** Key of the plan of a fetch, and its selection. */
  plan?: { readonly key: string; readonly selection: string; readonly text: string };
}

type Told = WebReply<string | Uint8Array>;
/** Answers a call; throws or rejects with WebFault, or with PcpError, whose text is the message. */
export type Handler = (call: Call) => Told | Promise<Told>;

/** `"context":N` and the client's mark, as most replies begin (spec webapi.md 3.3). */
export const headOf = ({ id, parameters }: Pick<Call, "id" | "parameters">): string => {
  const client = parameters.get("client");
  return `"context":${id}${client === undefined ? "" : `,"client":${jsonString(client)}`}`;
};

/** A reply of JSON bytes that are there already. */
export const bytesReply = (body: Uint8Array): WebReply<Uint8Array> => ({
  status: 200,
  type: "application/json",
  body,
});

/** A reply of JSON: what is about the request, then bytes that others get as well. */
export function restReply(call: Call, head: string, rest: Uint8Array): WebReply<Uint8Array> {
  // A client's mark may be any text; most have none, and numbers are ASCII.
  const most = call.parameters.has("client") ? 3 * head.length : head.length;
  const body = Buffer.allocUnsafe(most + rest.length);
  const size = body.write(head, 0, "utf8");
  body.set(rest, size);
  return bytesReply(body.subarray(0, size + rest.length));
}
