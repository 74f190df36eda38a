// The repository as data, for the tests that look after its shape: which files there are, their
// texts, what each of them imports. Reads files only; nothing is run.
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, normalize, relative } from "node:path";

/** The folder of package.json. */
export const root: string = join(import.meta.dir, "..", "..");

const outside = /^(node_modules|dist|\.git|\.cache)(\/|$)|\.bun-build$/;
const data = /^tests\/(fixtures|golden)\//;

/** Files of the repository that match a glob, as sorted paths from its root; no data, nothing built. */
export function files(pattern: string): readonly string[] {
  return [...new Bun.Glob(pattern).scanSync({ cwd: root, dot: true })]
    .filter((path) => !outside.test(path) && !data.test(path))
    .sort();
}

/** Text of a file, given by its path from the root. */
export const textOf = (path: string): string => readFileSync(join(root, path), "utf8");

/** The text with comments blanked; lines keep their numbers. Strings that look like comments go too. */
export function withoutComments(text: string): string {
  const blank = (comment: string): string => comment.replace(/[^\n]/g, " ");
  return text.replace(/(^|\s)\/\*[\s\S]*?\*\//g, blank).replace(/(^|\s)\/\/[^\n]*/g, blank);
}

/** What a file names in its imports, both of values and of types, static, dynamic and re-exported. */
export function importsOf(path: string): readonly string[] {
  const text = textOf(path);
  const names = new Set(
    new Bun.Transpiler({ loader: "ts" }).scanImports(text).map((found) => found.path),
  );
  const types = /^(?:import|export)\b[^;"']*?\bfrom\s*["']([^"']+)["']/gm;
  for (const match of withoutComments(text).matchAll(types)) names.add(match[1] ?? "");
  return [...names];
}

/** A relative import as a path from the root; null for a package or a built-in module. */
export function resolveImport(from: string, name: string): string | null {
  return name.startsWith(".") ? normalize(join(dirname(from), name)) : null;
}

/** Files that a file leads to: its imports, and the .ts files that it names in a string to start them. */
export function leadsTo(path: string): readonly string[] {
  const found = new Set<string>();
  for (const name of importsOf(path)) {
    const target = resolveImport(path, name);
    if (target !== null) found.add(target);
  }
  for (const match of textOf(path).matchAll(/["'`]([\w./-]+\.ts)["'`]/g)) {
    const name = match[1] ?? "";
    for (const target of [normalize(name), normalize(join(dirname(path), name))]) {
      if (existsSync(join(root, target))) found.add(relative(".", target));
    }
  }
  return [...found];
}

/** A line number (from 1) of a position in a text. */
export const lineAt = (text: string, position: number): number =>
  text.slice(0, position).split("\n").length;
