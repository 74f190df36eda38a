// Words that are one edit apart or less: one character more, less, or another one. Characters are those of
// Unicode. Nothing is refused.

/** Whether two texts of characters differ by one edit at most. */
function isClose(a: readonly string[], b: readonly string[]): boolean {
  if (Math.abs(a.length - b.length) > 1) return false;
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head++;
  let tail = 0;
  const shorter = Math.min(a.length, b.length) - head;
  while (tail < shorter && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail++;
  return Math.max(a.length, b.length) - head - tail <= 1;
}

/** Those of `words` that are close to one, in their order, at most so many. */
export function closeTo(word: string, words: readonly string[], most: number): readonly string[] {
  const characters = [...word];
  const found: string[] = [];
  for (const each of words) {
    // Texts have at most two units for a character.
    if (Math.abs(each.length - word.length) > 2) continue;
    if (each !== word && !isClose(characters, [...each])) continue;
    found.push(each);
    if (found.length === most) break;
  }
  return found;
}
