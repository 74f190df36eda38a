// Parameters of a request, from the text behind "?" or from a body in the same form (spec webapi.md
// 2.5). Refuses bad %-escapes and more than a bounded number of parameters. Says nothing about which
// parameters there are.
import { utf8Text } from "../base/mod.ts";

/** Values by name, decoded; the first one of a name wins. */
export type Parameters = ReadonlyMap<string, string>;

/** Most parameters of one request; a URL has no room for more, a body may. */
export const MAX_PARAMETERS = 4096;

const NO_PARAMETERS: Parameters = new Map();
const PERCENT = 0x25;

/** Value of a hexadecimal digit, which a character has; -1 for any other. */
const digitOf = (code = 0): number =>
  code >= 0x30 && code <= 0x39
    ? code - 0x30
    : (code | 0x20) >= 0x61 && (code | 0x20) <= 0x66
      ? (code | 0x20) - 0x57
      : -1;

/**
 * A name or value without its escapes, "+" as a blank; undefined for a bad escape. Bytes that are no UTF-8
 * become U+FFFD.
 */
export function decodeParameter(text: string): string | undefined {
  const plain = text.includes("+") ? text.replaceAll("+", " ") : text;
  if (!plain.includes("%")) return plain;
  const bytes = Buffer.from(plain);
  let to = 0;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0;
    if (byte !== PERCENT) {
      bytes[to++] = byte;
      continue;
    }
    const high = digitOf(bytes[at + 1]);
    const low = digitOf(bytes[at + 2]);
    if (high < 0 || low < 0) return undefined;
    bytes[to++] = 16 * high + low;
    at += 2;
  }
  return utf8Text(bytes.subarray(0, to));
}

/**
 * The parameters in `text`: pairs between "&", a pair split at its last "=", the value empty without
 * one. Undefined for bad escapes and for too many.
 */
export function parseParameters(text: string | undefined): Parameters | undefined {
  if (text === undefined || text === "") return NO_PARAMETERS;
  const found = new Map<string, string>();
  const pairs = text.split("&", MAX_PARAMETERS + 1);
  if (pairs.length > MAX_PARAMETERS) return undefined;
  for (const pair of pairs) {
    if (pair === "") continue;
    const cut = pair.lastIndexOf("=");
    const name = decodeParameter(cut < 0 ? pair : pair.slice(0, cut));
    const value = cut < 0 ? "" : decodeParameter(pair.slice(cut + 1));
    if (name === undefined || value === undefined) return undefined;
    if (!found.has(name)) found.set(name, value);
  }
  return found;
}

/** A list of names, as most parameters have it: between commas, without empty ones. */
export const listOf = (text: string): string[] => text.split(",").filter((item) => item !== "");

/** The first of several parameters that is there. */
export function firstOf(parameters: Parameters, ...names: readonly string[]): string | undefined {
  for (const name of names) {
    const value = parameters.get(name);
    if (value !== undefined) return value;
  }
  return undefined;
}

const DECIMAL = /^[ \t\n\v\f\r]*([+-]?)(\d+)/;
const DECIMAL_OR_HEX = /^[ \t\n\v\f\r]*([+-]?)(0[xX][0-9A-Fa-f]+|\d+)/;

/**
 * The number that a text begins with, in decimal or (`withHex`) behind "0x", and whether it is all of the
 * text. Without a number 0, which an empty text is all of. No leading zero means octal.
 */
export function unsignedOf(text: string, withHex = false): { value: bigint; whole: boolean } {
  const found = (withHex ? DECIMAL_OR_HEX : DECIMAL).exec(text);
  if (found === null) return { value: 0n, whole: text === "" };
  const [all, sign = "", digits = ""] = found;
  const value = BigInt(digits);
  return { value: sign === "-" ? -value : value, whole: all.length === text.length };
}
