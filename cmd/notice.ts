// Mistakes, usage and messages about files, as PCP's programs print them: on standard error, or at the
// end of the file that PCP_STDERR names. PCP's value DISPLAY, a window, is standard error here.

import { appendFileSync } from "node:fs";

import { asPcpError, pmErrStr } from "../lib/base/mod.ts";
import { complain } from "./output.ts";

/** Prints text where PCP_STDERR says; when that file cannot be written, on standard error. */
export function notice(text: string): void {
  const path = process.env["PCP_STDERR"] ?? "";
  if (path === "" || path === "DISPLAY") return complain(text);
  try {
    appendFileSync(path, text);
  } catch (error) {
    const reason = pmErrStr(asPcpError(error).code);
    complain(`pmflush: cannot append to file '${path}' (from $PCP_STDERR): ${reason}\n${text}`);
  }
}
