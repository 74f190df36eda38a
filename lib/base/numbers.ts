// Whole numbers in text as C's programs read them. Refuses, with undefined, text that is not wholly a
// number and numbers that a double does not hold exactly.

const FORM = /^[ \t\n\v\f\r]*([+-]?)(?:0[xX]([0-9a-fA-F]+)|0([0-7]*)|([1-9][0-9]*))$/;

/** A whole number in the bases of strtol(3) with base 0: 0x hexadecimal, leading 0 octal. */
export function wholeNumber(text: string): number | undefined {
  const match = FORM.exec(text);
  if (match === null) return undefined;
  const [, sign, hexadecimal, octal, decimal] = match;
  let size: number;
  if (hexadecimal !== undefined) size = Number.parseInt(hexadecimal, 16);
  else if (decimal !== undefined) size = Number.parseInt(decimal, 10);
  else size = Number.parseInt(`0${octal ?? ""}`, 8);
  if (!Number.isSafeInteger(size)) return undefined;
  return sign === "-" ? 0 - size : size;
}
