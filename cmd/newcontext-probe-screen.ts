// Drawing in place on a terminal. Used nowhere else: what is no terminal gets no cursor movements.

import { say } from "./output.ts";

/** Draws a text over what the screen shows, cut to its height; false when nobody sees it. */
export function drawInPlace(text: string): boolean {
  // A terminal that does not know its size says 0.
  const rows = Math.max(process.stdout.rows || 24, 4);
  const lines = text.trimEnd().split("\n");
  const shown = lines.slice(0, rows - 1);
  if (lines.length > shown.length) {
    shown[shown.length - 1] = `... ${lines.length - shown.length + 1} more lines`;
  }
  return say(`\u001b[H${shown.map((line) => `${line}\u001b[K\n`).join("")}\u001b[J`);
}
