// What a call came to, as a code: 0 when it went well, the code of the PcpError that it ended with, else
// what was thrown.
import { PcpError } from "../../lib/base/mod.ts";

/** Of a promise, or of a function that may throw at once. */
export async function codeOf(work: Promise<unknown> | (() => unknown)): Promise<unknown> {
  try {
    await (typeof work === "function" ? work() : work);
    return 0;
  } catch (error) {
    return error instanceof PcpError ? error.code : error;
  }
}
