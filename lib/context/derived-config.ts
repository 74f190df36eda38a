// The files of derived metrics that every PCP client reads when it starts (pmLoadDerivedConfig(3)):
// where they are, and reading them into a set. A path that cannot be read is told and skipped;
// nothing here fails.
import { lstatSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { createDerivedSet, type DerivedSet, loadDerivedText, MAX_CONFIG } from "../derived/mod.ts";

/** What is looked at in the environment. */
export type DerivedEnv = Readonly<Record<string, string | undefined>>;

/** Deepest folder below one that is named, and most files in all. */
const MAX_DEPTH = 16;
const MAX_FILES = 10_000;

/** The error of a file operation in the words of the system. */
const reasonOf = (error: unknown): string =>
  error instanceof Error
    ? error.message.replace(/^\w+: /, "").replace(/, \w+.*$/, "")
    : String(error);

/**
 * The paths to look at: PCP_DERIVED_CONFIG, split at its colons; none when it is empty; else
 * `derived` below PCP_VAR_DIR/config.
 */
export function derivedPaths(env: DerivedEnv = process.env): string[] {
  const given = env["PCP_DERIVED_CONFIG"];
  if (given !== undefined) return given.split(":").filter((path) => path !== "");
  return [join(env["PCP_VAR_DIR"] ?? "/var/lib/pcp", "config/derived")];
}

/** The files that a path stands for: itself, or all below a folder, by name. */
function filesAt(path: string, warn: (message: string) => void, depth = 0): string[] {
  try {
    const stat = statSync(path);
    if (stat.isFile()) return [path];
    if (!stat.isDirectory()) {
      warn(`Warning: derived metrics path component: ${path}: neither a file nor a folder`);
      return [];
    }
    // A link to a folder above would never end.
    if (depth > MAX_DEPTH || (depth > 0 && lstatSync(path).isSymbolicLink())) return [];
    return readdirSync(path)
      .sort()
      .flatMap((name) => filesAt(join(path, name), warn, depth + 1));
  } catch (error) {
    warn(`Warning: derived metrics path component: ${path}: ${reasonOf(error)}`);
    return [];
  }
}

/** Adds the metrics of all files that the paths stand for to a set; returns how many. */
export function loadDerivedConfig(
  set: DerivedSet,
  paths: readonly string[],
  warn: (message: string) => void,
): number {
  let count = 0;
  const files = paths.flatMap((path) => filesAt(path, warn)).slice(0, MAX_FILES);
  for (const file of files) {
    try {
      if (statSync(file).size > MAX_CONFIG) {
        warn(`Warning: derived metrics file ${file} is longer than ${MAX_CONFIG} bytes`);
        continue;
      }
      count += loadDerivedText(set, readFileSync(file, "utf8"), file, warn);
    } catch (error) {
      warn(`Warning: derived metrics path component: ${file}: ${reasonOf(error)}`);
    }
  }
  return count;
}

/** The global derived metrics of this environment: what a PCP client starts with. */
export function globalDerived(
  warn: (message: string) => void,
  env: DerivedEnv = process.env,
): DerivedSet {
  const set = createDerivedSet();
  loadDerivedConfig(set, derivedPaths(env), warn);
  return set;
}
