// Words of the configuration file (spec extract.md 4.1): names, numbers, quoted texts, brackets and
// commas, each with its place. Any other character ends the reading. Works on bytes as latin-1, so
// that a byte is a character; quoted texts are decoded as UTF-8.
import { utf8Text } from "../base/mod.ts";

/** What a word is. `bad` is a character that begins none, `end` the end of the file. */
export type TokenKind = "name" | "number" | "string" | "[" | "]" | "," | "end" | "bad";

/** A word; `line` counts from 1, `from` and `to` are byte offsets, quotes included. */
export interface Token {
  readonly kind: TokenKind;
  readonly line: number;
  readonly from: number;
  readonly to: number;
  /** The value of names, numbers (all digits) and strings (without quotes); else as written. */
  readonly text: string;
}

const SPACE = /[ \t\r]+/y;
const COMMENT = /#[^\n]*/y;
const NAME = /[A-Za-z][A-Za-z0-9_.]*/y;
const NUMBER = /[0-9]+/y;
const STRING = /"[^"\n]+"|'[^'\n]+'/y;

/** Length of what a sticky pattern finds at a place; 0 when it finds nothing. */
function lengthAt(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex - at : 0;
}

const WORDS: readonly (readonly [TokenKind, RegExp])[] = [
  ["name", NAME],
  ["number", NUMBER],
  ["string", STRING],
];

/** A reader of the words of a file: each call gives the next one, at the end `end` again and again. */
export function tokens(bytes: Uint8Array): () => Token {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
  let at = 0;
  let line = 1;
  const word = (kind: TokenKind, length: number): Token => {
    const from = at;
    at += length;
    const written = text.slice(from, at);
    const value = kind === "string" ? utf8Text(bytes.subarray(from + 1, at - 1)) : written;
    return { kind, line, from, to: at, text: value };
  };
  return () => {
    for (;;) {
      const character = text[at];
      if (character === undefined) return word("end", 0);
      if (character === "\n") {
        at += 1;
        line += 1;
        continue;
      }
      const skipped = lengthAt(character === "#" ? COMMENT : SPACE, text, at);
      if (skipped > 0) {
        at += skipped;
        continue;
      }
      if (character === "[" || character === "]" || character === ",") return word(character, 1);
      for (const [kind, pattern] of WORDS) {
        const length = lengthAt(pattern, text, at);
        if (length > 0) return word(kind, length);
      }
      return word("bad", 1);
    }
  };
}
