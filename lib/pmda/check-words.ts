// Words of a command line of the checking tool (spec pmda.md 17): numbers, dotted pairs and triples,
// names, paths and quoted texts, each with where it ends, since mistakes are shown with a caret.
// Refuses quotes without their end, empty texts, and characters that begin no word.

/** What a word looks like. */
export type WordKind = "number" | "pair" | "triple" | "negative" | "name" | "path" | "text";

/** One word; `text` is without its quotes. */
export interface Word {
  readonly kind: WordKind;
  readonly text: string;
  /** Characters of the line that had been read when it was known: an unquoted one needs one more. */
  readonly read: number;
}

/** What is wrong with a line, and after how many characters of it that showed. */
export interface CheckMistake {
  readonly read: number;
  readonly reason: string;
}

/** The words of a line in order, or the mistake after those before it. */
export interface LineWords {
  readonly words: readonly Word[];
  readonly mistake: CheckMistake | undefined;
}

const BLANKS = /[ \t\r]*/y;
const DOTTED = /\d+(?:\.\d+){0,2}/y;
const PLAIN = /[^\s"'#]+/y;
const NAME = /^[A-Za-z][\w.]*$/;
/** The reason where a character begins no word. */
const STRAY = "Illegal character";
/** Characters that words do not begin with. */
const STRANGE = /[@`!%^&*(){}[\]|<>;,=]/;

const KINDS: readonly WordKind[] = ["number", "pair", "triple"];

/** The match of a sticky pattern at `at`. */
function matchAt(pattern: RegExp, line: string, at: number): string {
  pattern.lastIndex = at;
  return pattern.exec(line)?.[0] ?? "";
}

function kindOf(text: string): WordKind {
  if (/^\d+(\.\d+){0,2}$/.test(text)) return KINDS[text.split(".").length - 1] ?? "path";
  if (/^-\d+$/.test(text)) return "negative";
  return NAME.test(text) ? "name" : "path";
}

/** A word in quotes that starts at `at`. */
function quoted(line: string, at: number): Word | CheckMistake {
  const quote = line.charAt(at);
  const end = line.indexOf(quote, at + 1);
  const lone = at + 1 === line.length;
  if (end < 0) return { read: line.length, reason: lone ? STRAY : `Expected ${quote}` };
  const text = line.slice(at + 1, end);
  if (text === "") return { read: end + 1, reason: STRAY };
  return { kind: "text", text, read: end + 1 };
}

/** A word without quotes that starts at `at`, and where the next one may start. */
function bare(line: string, at: number): readonly [Word | CheckMistake, number] {
  const text = matchAt(PLAIN, line, at);
  const end = at + text.length;
  if (STRANGE.test(text.charAt(0))) return [{ read: at + 1, reason: STRAY }, end];
  const dotted = matchAt(DOTTED, line, at);
  // 1.2.3.4 is a triple with more behind it than a number can have.
  if (/^\.\d/.test(text.slice(dotted.length)) && dotted.split(".").length === 3)
    return [{ read: at + dotted.length + 1, reason: STRAY }, end];
  const read = /[ \t]/.test(line.charAt(end)) ? end + 1 : end;
  return [{ kind: kindOf(text), text, read }, end];
}

/** Cuts a line, without its newline, into words; a `#` between words begins a comment. */
export function wordsOf(line: string): LineWords {
  const words: Word[] = [];
  for (let at = 0; ;) {
    at += matchAt(BLANKS, line, at).length;
    const char = line.charAt(at);
    if (char === "" || char === "#") return { words, mistake: undefined };
    const isQuoted = char === '"' || char === "'";
    const [found, next] = isQuoted ? [quoted(line, at), 0] : bare(line, at);
    if ("reason" in found) return { words, mistake: found };
    words.push(found);
    at = isQuoted ? found.read : next;
  }
}
