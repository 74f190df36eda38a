// What a request to /pmapi fails with, and the JSON bodies that say so (spec webapi.md 3.4). The
// texts are matched by clients.
import { type PcpError, pmErrStr } from "../base/mod.ts";
import { jsonString } from "./quote.ts";
import type { WebReply } from "./route.ts";

/** A request that is refused: `message` is that of the reply. */
export class WebFault extends Error {
  constructor(
    readonly status: number,
    message: string,
    /** The error of PCP that it comes of. */
    readonly code?: number,
  ) {
    super(message);
    this.name = "WebFault";
  }
}

const EPERM = -1;

/** The refusal that an error of PCP leads to, its text after `prefix`. */
export const faultOf = (error: PcpError, prefix = ""): WebFault =>
  new WebFault(error.code === EPERM ? 403 : 400, `${prefix}${pmErrStr(error.code)}`, error.code);

/** A JSON reply of one line. */
export const jsonReply = (status: number, body: string): WebReply => ({
  status,
  type: "application/json",
  body: `${body}\r\n`,
});

/** The reply to a refused request; `context` is the number to tell, empty for none. */
export const faultReply = ({ status, message }: WebFault, context: string): WebReply =>
  jsonReply(
    status,
    `{${context === "" ? "" : `"context":${context},`}"message":${jsonString(message)},"success":false}`,
  );

/** The reply to a request that did what it should and has nothing else to tell. */
export const successReply = (context: number): WebReply =>
  jsonReply(200, `{"context":${context},"success":true}`);
