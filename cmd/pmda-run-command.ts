// How this program is started again as one agent: what a line of pmcd.conf, or a session of the checking
// tool, has to run.

import { realpathSync } from "node:fs";
import { resolve } from "node:path";

import { isGiven, lastGiven } from "../lib/cli/mod.ts";
import type { PmdaRunOptions } from "./options/pmda-run.ts";
import type { AgentSource } from "./pmda-run-source.ts";
import { sourceScript } from "./self.ts";
import type { CommandLine } from "./verb.ts";

/** This program and, when it runs from source, its main file. */
function ownCommand(): readonly string[] {
  const script = sourceScript();
  const self = realpathSync(process.execPath);
  return script === undefined ? [self] : [self, realpathSync(script)];
}

/** The words that run the agent of a command line, `more` before its own arguments. */
export function pmdaCommand(
  source: AgentSource,
  { options, operands }: CommandLine<PmdaRunOptions>,
  more: readonly string[],
): readonly string[] {
  const words = [...ownCommand(), "pmda-run"];
  if (source.kind === "dso") words.push("--dso", `${resolve(source.dso.path)},${source.dso.init}`);
  else words.push(source.word);
  const domain = lastGiven(options, "domain")?.value;
  const own = source.kind === "dso" ? undefined : source.domain;
  const effective = domain ?? own;
  if (effective !== undefined) words.push("-d", String(effective));
  const help = lastGiven(options, "helpfile")?.value;
  if (help !== undefined) words.push("-h", resolve(help));
  const user = lastGiven(options, "username")?.value;
  if (user !== undefined) words.push("-U", user);
  if (isGiven(options, "notready")) words.push("--notready");
  return [...words, ...more, ...operands];
}
