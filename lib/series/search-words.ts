// The words of a question for text search, as PCP prepares them (spec series.md 13.3): what both indexes
// look for. Nothing is refused; a question can be left without words.

const SEPARATORS = /[,.<>{}[\]"':;!@#$%^&*()\-+=~/]/g;
const STOP_WORDS: ReadonlySet<string> = new Set(
  (
    "a is the an and are as at be but by for if in into it no not of on or such that their then there " +
    "these they this to was will with"
  ).split(" "),
);
const DIGITS = /^\d+$/;
/** Bytes of the shortest word that names are suggested for. */
const LEAST_BYTES = 2;

/** Whether a word, in lower case, is one that says nothing. */
export const isStopWord = (word: string): boolean => STOP_WORDS.has(word);

/** The text with a blank for each separator, without stop words; blanks between words stay. */
export const textWords = (query: string): string =>
  query
    .replace(SEPARATORS, " ")
    .split(" ")
    .filter((word) => !STOP_WORDS.has(word))
    .join(" ")
    .replace(/^ +| +$/g, "");

/** Words that names begin with, and those that they may resemble. */
export function suggestWords(query: string): {
  readonly prefixes: readonly string[];
  readonly fuzzy: readonly string[];
} {
  const prefixes = textWords(query)
    .split(" ")
    .filter((word) => Buffer.byteLength(word) >= LEAST_BYTES);
  return { prefixes, fuzzy: prefixes.filter((word) => !DIGITS.test(word)) };
}
