// How text for people is laid out: colours that are there on a terminal alone, columns, and lines
// broken at words. Pure.

/** Columns to use, and whether colours may be. */
export interface Style {
  readonly width: number;
  readonly colour: boolean;
}

/** What a colour says. */
export type Paint = "strong" | "dim" | "good" | "warn" | "bad";

const CODES: Readonly<Record<Paint, readonly [number, number]>> = {
  strong: [1, 22],
  dim: [2, 22],
  good: [32, 39],
  warn: [33, 39],
  bad: [31, 39],
};

/** The text in a colour, where there are colours. */
export function paint(style: Style, as: Paint, text: string): string {
  if (!style.colour || text === "") return text;
  const [on, off] = CODES[as];
  return `\u001b[${on}m${text}\u001b[${off}m`;
}

/** Column at which a field's value begins. */
const FIELD_COLUMN = 13;

/** A blank at which wrapText breaks no line; it becomes an ordinary one. */
export const NO_BREAK = "\u00a0";

/** Words in lines of at most `width` columns, each begun with `indent` blanks. */
export function wrapText(text: string, width: number, indent: number): string {
  const blanks = " ".repeat(indent);
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && indent + Bun.stringWidth(line) + 1 + Bun.stringWidth(word) > width) {
      lines.push(blanks + line);
      line = "";
    }
    line += line === "" ? word : ` ${word}`;
  }
  return [...lines, blanks + line].join("\n").replaceAll(NO_BREAK, " ");
}

/** `  version     6.0.3`, further lines below the value. */
export function fieldText(style: Style, name: string, text: string): string {
  const body = wrapText(text, style.width, FIELD_COLUMN).slice(FIELD_COLUMN);
  return `  ${name.padEnd(FIELD_COLUMN - 3)} ${body}`.trimEnd();
}

/** Rows in columns two blanks apart; the numbers of right-aligned columns are in `right`. */
export function tableText(
  rows: readonly (readonly string[])[],
  right: ReadonlySet<number> = new Set(),
): readonly string[] {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, Bun.stringWidth(cell));
    });
  }
  return rows.map((row) =>
    row
      .map((cell, i) => {
        const gap = " ".repeat((widths[i] ?? 0) - Bun.stringWidth(cell));
        return right.has(i) ? gap + cell : cell + gap;
      })
      .join("  ")
      .trimEnd(),
  );
}

/** `0.3 ms`, `12 ms`, `1.20 s`. */
export function durationText(ms: number): string {
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${ms.toFixed(0)} ms`;
  return `${(ms / 1000).toFixed(2)} s`;
}

/** `1 metric`, `2 metrics`. */
export const countText = (count: number, one: string, many = `${one}s`): string =>
  `${count} ${count === 1 ? one : many}`;
