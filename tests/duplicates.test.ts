// Goal: a piece of logic stands in one place. Looks for runs of equal lines in two places of the
// product or of the tests (layout, comments, imports and lone punctuation do not count), and keeps
// their number at or under what is recorded here. The number may be lowered, and raised only with a
// reason in the commit.
import { expect, test } from "bun:test";

import { files, textOf, withoutComments } from "./helpers/tree.ts";

/** So many lines in a row make a duplicate. */
const RUN = 8;

/** Recorded numbers of duplicate runs. */
const recorded = { product: 0, tests: 0 };

interface Line {
  readonly path: string;
  readonly number: number;
  readonly text: string;
}

/** The lines of a file that say something, with white space folded. */
function tellingLines(path: string): readonly Line[] {
  const text = withoutComments(textOf(path)).replace(
    /^(import|export)\b[^;"']*?\bfrom\s*["'][^"']+["'];?$/gm,
    (statement) => statement.replace(/[^\n]/g, ""),
  );
  return text
    .split("\n")
    .map((line, at) => ({ path, number: at + 1, text: line.trim().replace(/\s+/g, " ") }))
    .filter((line) => /[A-Za-z0-9]/.test(line.text));
}

/** Runs of at least RUN equal lines, one entry for each pair of places: "a.ts:10 ~ b.ts:40 (12)". */
function duplicateRuns(paths: readonly string[]): readonly string[] {
  const all = paths.map(tellingLines);
  const places = new Map<string, (readonly [file: number, line: number])[]>();
  all.forEach((lines, file) => {
    for (let line = 0; line + RUN <= lines.length; line++) {
      const window = lines.slice(line, line + RUN);
      const key = window.map((each) => each.text).join("\n");
      const found = places.get(key);
      if (found === undefined) places.set(key, [[file, line]]);
      else found.push([file, line]);
    }
  });
  const same = (a: Line | undefined, b: Line | undefined): boolean =>
    a !== undefined && b !== undefined && a.text === b.text;
  const runs: string[] = [];
  for (const found of places.values()) {
    const [fileA, lineA] = found[0] ?? [0, 0];
    const left = all[fileA] ?? [];
    for (const [fileB, lineB] of found.slice(1)) {
      const right = all[fileB] ?? [];
      if (same(left[lineA - 1], right[lineB - 1])) continue; // inside a run that began earlier
      let length = RUN;
      while (same(left[lineA + length], right[lineB + length])) length++;
      const [a, b] = [left[lineA], right[lineB]];
      runs.push(`${a?.path}:${a?.number} ~ ${b?.path}:${b?.number} (${length} lines)`);
    }
  }
  return runs.toSorted();
}

const sets = {
  product: [...files("cmd/**/*.ts"), ...files("lib/**/*.ts")],
  tests: files("tests/**/*.ts"),
};

for (const name of ["product", "tests"] as const) {
  test(`${name}: at most ${recorded[name]} duplicate runs of ${RUN} lines`, () => {
    const runs = duplicateRuns(sets[name]);
    if (runs.length > recorded[name]) expect(runs).toEqual([]);
  });
}
