// Names of advertised services: DNS-SD type, instance name, what to try after a collision.

import { utf8, utf8Text } from "../base/mod.ts";

/** DNS-SD type (spec proxy.md 16). */
export const SERVICE_TYPE = "_pmproxy._tcp";

/** Bytes of one DNS label. */
const LABEL_BYTES = 63;

/** As much of `text` as fits in `size` bytes of UTF-8, whole characters only. */
const cut = (text: string, size: number): string =>
  utf8Text(utf8(text).subarray(0, size)).replace(/\uFFFD$/, "");

/** A text that fits into a label. */
export const label = (text: string): string => cut(text, LABEL_BYTES);

/** `PCP pmproxy on HOSTNAME`. */
export const instanceName = (hostname: string): string => label(`PCP pmproxy on ${hostname}`);

/** The next name after a collision: "x", "x #2", "x #3"; with `mark` "-" as for hosts "x-2". */
export function alternative(name: string, mark = " #"): string {
  const at = name.lastIndexOf(mark);
  const digits = at < 0 ? "" : name.slice(at + mark.length);
  const numbered = /^[1-9][0-9]{0,6}$/.test(digits);
  const suffix = `${mark}${numbered ? Number(digits) + 1 : 2}`;
  return cut(numbered ? name.slice(0, at) : name, LABEL_BYTES - utf8(suffix).length) + suffix;
}
