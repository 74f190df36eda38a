// What is asked to be loaded (spec series.md 4.1): an expression of the query language whose selectors name
// an archive and metrics. Refused: syntax errors, and what names no archive.
import { existsSync, realpathSync } from "node:fs";
import type { Instant } from "../pcp/mod.ts";
import type { Selector } from "./language.ts";
import { type ParseOptions, parseQuery } from "./parse.ts";
import { SeriesProblem } from "./problem.ts";

/** What is to be loaded. */
export interface LoadRequest {
  /** The archive, as it was named. */
  readonly path: string;
  /** Metrics or branches of the name space; all where there are none. */
  readonly metrics: readonly string[];
  readonly start?: Instant;
  readonly finish?: Instant;
}

const NOTHING = "found no context to load";
const SOURCE = /^(?:context|source|c|s)\.(.+)$/s;
const METRIC = /^(?:metric|m)\../s;
const HOST = /^(?:host|hostname|hostspec)$/;

/** Text of a command line as an expression: what is a path, or the name of a file, names an archive. */
export function loadExpression(text: string): string {
  if (text.startsWith("{")) return text;
  return text.startsWith("/") || existsSync(text) ? `{source.path: "${text}"}` : text;
}

/** Selectors that say something: equal, or like, a quoted string. */
function* sayings(selector: Selector): Generator<{ key: string; value: string }> {
  if (selector.kind !== "compare") {
    yield* sayings(selector.left);
    yield* sayings(selector.right);
  } else if (selector.quoted && (selector.comparison === "==" || selector.comparison === "~~"))
    yield selector;
}

/** Reads an expression. Throws QueryError, and SeriesProblem without an archive. */
export function parseLoad(expression: string, options: ParseOptions): LoadRequest {
  const { root } = parseQuery(expression, options);
  if (root.kind !== "series" || root.selector === undefined) throw new SeriesProblem(NOTHING);
  let path: string | undefined;
  const metrics: string[] = [];
  for (const { key, value } of sayings(root.selector)) {
    const source = SOURCE.exec(key)?.[1];
    if (source !== undefined) path = HOST.test(source) ? undefined : value;
    else if (METRIC.test(key)) metrics.push(value);
  }
  // No path has a NUL in it.
  if (path === undefined || path.includes("\0")) throw new SeriesProblem(NOTHING);
  const { start, finish } = root.times;
  return {
    path,
    metrics,
    ...(start === undefined ? {} : { start: start.at }),
    ...(finish === undefined ? {} : { finish: finish.at }),
  };
}

/** The name under which an archive is known: its real path if a file of that name is there. */
export const contextName = (path: string): string => (existsSync(path) ? realpathSync(path) : path);
