// `pcpbox proxy --check`: everything that is wrong with the configuration as file:line:column, then a
// verdict for each file. Exit status 1 with any error. Nothing is started.

import { problemText } from "../lib/daemon/mod.ts";
import { say } from "./output.ts";
import { loadProxy, type ProxySources } from "./proxy-settings.ts";

/** Errors of one file, counted into a sentence. */
function verdictOf(errors: number): string {
  if (errors === 0) return "ok";
  return errors === 1 ? "1 error" : `${errors} errors`;
}

/** Prints the findings on standard output; `json` as one object. */
export function checkProxy(sources: ProxySources, json: boolean): number {
  const loaded = loadProxy(sources);
  const { missing } = loaded;
  const errors = [...loaded.errors, ...(missing === undefined ? [] : [missing])];
  const failing = loaded.problems.filter((problem) => problem.severity === "error");
  const ok = errors.length === 0 && failing.length === 0;
  const read = loaded.files.filter((file) => file.state !== "missing");
  const verdicts = read.map(({ path }) => ({
    file: path,
    errors: failing.filter((problem) => problem.file === path).length,
  }));
  if (json) {
    say(`${JSON.stringify({ ok, files: verdicts, problems: loaded.problems, errors })}\n`);
    return ok ? 0 : 1;
  }
  const lines = [
    ...loaded.problems.map(problemText),
    ...errors.map((error) => (error === missing ? error : `pmproxy: error: ${error}`)),
    ...verdicts.map((verdict) => `${verdict.file}: ${verdictOf(verdict.errors)}`),
  ];
  if (read.length === 0 && ok)
    lines.push("pmproxy: no configuration file found, defaults in force");
  say(`${lines.join("\n")}\n`);
  return ok ? 0 : 1;
}
