// Text between quotes: for JSON, and for label values and help lines of the metrics formats (spec
// webapi.md 3.1, 13). UTF-8 goes through as it is, where pmproxy writes U+FFFD for each of its bytes.

// oxlint-disable-next-line no-control-regex -- the control characters are the point
const UNSAFE = /["\\\u0000-\u001f\u007f]/g;

const escape = (char: string): string =>
  `\\u00${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`;

/** A JSON string as pmproxy quotes: control characters, quote and backslash as `\u00XX`. */
export const jsonString = (text: string): string => `"${text.replace(UNSAFE, escape)}"`;

/** A label value of the metrics formats, with its quotes. */
export const labelString = (text: string): string =>
  `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")}"`;

/** The text of a HELP line. */
export const helpLine = (text: string): string =>
  text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
