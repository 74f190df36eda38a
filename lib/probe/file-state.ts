// What the file system says of a file, as far as it says anything. Why a file cannot be read is told by
// what opens it; here nothing is refused.
import { type Stats, statSync } from "node:fs";
import { asPcpError, PM_ERR } from "../base/mod.ts";

/** Size and times of a file; undefined where it is gone, behind links in a circle, or not ours to see. */
export function fileState(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch (error) {
    if (asPcpError(error).code === PM_ERR.GENERIC) throw error;
    return undefined;
  }
}
