// Text of others made harmless: what comes from the network or out of an archive may hold terminal
// escapes, line breaks and characters that turn the direction of writing. Refuses nothing.

// Control characters of ASCII and Latin-1, line and paragraph separators, marks and overrides of
// direction, and the byte order mark.
const UNSAFE =
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/** The same without tabs and line breaks. */
const UNSAFE_IN_LINES =
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

const NAMES: Readonly<Record<string, string>> = { "\t": "\\t", "\n": "\\n", "\r": "\\r" };

function escaped(char: string): string {
  const code = char.charCodeAt(0);
  const hex = code.toString(16);
  return (
    NAMES[char] ?? (code < 0x100 ? `\\x${hex.padStart(2, "0")}` : `\\u${hex.padStart(4, "0")}`)
  );
}

/** The text with each unsafe character as `\n`, `\x1b` or `\u202e`: one line without effects. */
export const plainText = (text: string): string => text.replace(UNSAFE, escaped);

/** As plainText, but line breaks and tabs stay: for sentences of several lines, and dumps. */
export const plainLines = (text: string): string => text.replace(UNSAFE_IN_LINES, escaped);

/** A host specification without its password: for messages and reports. */
export const withoutPassword = (spec: string): string =>
  spec.replace(/([?&](?:pass|password)=)[^&]*/g, "$1***");
