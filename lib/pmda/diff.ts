// Two texts as a unified diff (diff -u): what a change of a file would be, for people. Longest common
// runs by Myers' greedy way between the lines that the ends share. Texts that differ in more lines than
// a bounded number are shown as replaced whole.

/** Lines of context around a change. */
const CONTEXT = 3;
/** Most lines that are looked for one by one. */
const MAX_EDITS = 1000;

/** One line of an edit. */
interface EditLine {
  readonly mark: " " | "-" | "+";
  readonly text: string;
}

/** Which way each step of the search took; `trace[d]` is the state before step d. */
function walkBack(
  trace: readonly Int32Array[],
  a: readonly string[],
  b: readonly string[],
): EditLine[] {
  const middle = (trace[0]?.length ?? 1) >> 1;
  const edits: EditLine[] = [];
  let x = a.length;
  let y = b.length;
  for (let d = trace.length - 1; d >= 0; d--) {
    const reach = trace[d] ?? new Int32Array(1);
    const at = (k: number): number => reach[middle + k] ?? -1;
    const k = x - y;
    const down = k === -d || (k !== d && at(k - 1) < at(k + 1));
    const fromX = d === 0 ? 0 : at(down ? k + 1 : k - 1);
    const fromY = d === 0 ? 0 : fromX - (down ? k + 1 : k - 1);
    for (; x > fromX && y > fromY; x--, y--) edits.push({ mark: " ", text: a[x - 1] ?? "" });
    if (d === 0) break;
    if (down) edits.push({ mark: "+", text: b[--y] ?? "" });
    else edits.push({ mark: "-", text: a[--x] ?? "" });
  }
  return edits.toReversed();
}

/** The shortest edit that makes `b` of `a`. */
function editOf(a: readonly string[], b: readonly string[]): EditLine[] {
  const most = Math.min(a.length + b.length, MAX_EDITS);
  const middle = most + 1;
  const reach = new Int32Array(2 * middle + 1);
  const trace: Int32Array[] = [];
  for (let d = 0; d <= most; d++) {
    trace.push(reach.slice());
    for (let k = -d; k <= d; k += 2) {
      const left = reach[middle + k - 1] ?? 0;
      const right = reach[middle + k + 1] ?? 0;
      let x = k === -d || (k !== d && left < right) ? right : left + 1;
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x += 1;
      reach[middle + k] = x;
      if (x >= a.length && x - k >= b.length) return walkBack(trace, a, b);
    }
  }
  return [
    ...a.map((text): EditLine => ({ mark: "-", text })),
    ...b.map((text): EditLine => ({ mark: "+", text })),
  ];
}

const linesOf = (text: string): string[] =>
  text.split("\n").slice(0, text.endsWith("\n") ? -1 : undefined);

/** Stretches of an edit that have changes in them, with their context. */
function hunksOf(edit: readonly EditLine[]): readonly (readonly [number, number])[] {
  const hunks: [number, number][] = [];
  for (const [index, { mark }] of edit.entries()) {
    if (mark === " ") continue;
    const last = hunks.at(-1);
    const start = Math.max(0, index - CONTEXT);
    const end = Math.min(edit.length, index + CONTEXT + 1);
    if (last !== undefined && start <= last[1]) last[1] = end;
    else hunks.push([start, end]);
  }
  return hunks;
}

/** The two texts as a unified diff; empty when they are equal. `undefined` is a file that is not there. */
export function unifiedDiff(
  path: string,
  before: string | undefined,
  after: string | undefined,
): string {
  if (before === after) return "";
  const a = before === undefined || before === "" ? [] : linesOf(before);
  const b = after === undefined || after === "" ? [] : linesOf(after);
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head += 1;
  let tail = 0;
  while (
    tail < a.length - head &&
    tail < b.length - head &&
    a[a.length - 1 - tail] === b[b.length - 1 - tail]
  )
    tail += 1;
  const same = (text: string): EditLine => ({ mark: " ", text });
  const edit = [
    ...a.slice(0, head).map(same),
    ...editOf(a.slice(head, a.length - tail), b.slice(head, b.length - tail)),
    ...a.slice(a.length - tail).map(same),
  ];
  let out = `--- ${before === undefined ? "/dev/null" : path}\n+++ ${after === undefined ? "/dev/null" : path}\n`;
  for (const [start, end] of hunksOf(edit)) {
    const count = (marks: string, lines: readonly EditLine[]): number =>
      lines.filter(({ mark }) => marks.includes(mark)).length;
    const lines = edit.slice(start, end);
    const range = (marks: string): string => {
      const many = count(marks, lines);
      const from = count(marks, edit.slice(0, start)) + (many === 0 ? 0 : 1);
      return many === 1 ? `${from}` : `${from},${many}`;
    };
    out += `@@ -${range(" -")} +${range(" +")} @@\n`;
    for (const { mark, text } of lines) out += `${mark}${text}\n`;
  }
  return out;
}
