// The program: finds out which verb is meant, by the name it was called by or by the first word,
// and loads that verb alone. Refuses unknown verbs and options with status 2. Whatever fails inside
// a verb ends as one line and a status, never as a stack trace of the user's mistake.

import { type CommandDef, runCommand } from "citty";

import { complain, say } from "./output.ts";
import type { Invocation, VerbEntry } from "./verb.ts";
import { programName, PROGRAMS, VERBS } from "./verbs.ts";

/** Runs a verb and returns its exit status. */
async function runVerb(entry: VerbEntry, args: readonly string[], program: string) {
  const command: CommandDef = await entry.command();
  const invocation: Invocation = { program, verbs: VERBS };
  const { result } = await runCommand(command, { rawArgs: [...args], data: invocation });
  return typeof result === "number" ? result : 0;
}

async function refuseVerb(name: string): Promise<number> {
  const { unknownVerb } = await import("./verb.ts");
  complain(`pcpbox: ${unknownVerb(name, VERBS)}\nTry 'pcpbox help' for the list of verbs.\n`);
  return 2;
}

/** Options before any verb: they ask about pcpbox as a whole. */
async function runBare(args: readonly string[]): Promise<number> {
  const [{ isGiven, readOptions }, { rootOptions }] = await Promise.all([
    import("../lib/cli/mod.ts"),
    import("./options/root.ts"),
  ]);
  const result = readOptions(rootOptions, args);
  if (result.kind === "error") {
    const sentences = result.errors.map((each) => `pcpbox: ${each}\n`).join("");
    complain(`${sentences}Try 'pcpbox help' for more information.\n`);
    return 2;
  }
  if (result.kind === "version") {
    const { versionJson, versionLine } = await import("./build-info.ts");
    say(isGiven(result.options, "json") ? versionJson() : versionLine("pcpbox"));
  } else {
    const { overviewText } = await import("./help.ts");
    say(await overviewText(VERBS, isGiven(result.options, "noColor")));
  }
  return 0;
}

/** The whole program for an argv[0] and the arguments after it; returns the exit status. */
export async function main(argv0: string, args: readonly string[]): Promise<number> {
  const program = programName(argv0);
  const alias = PROGRAMS.get(program);
  if (alias !== undefined) {
    const entry = VERBS.find((each) => each.name === alias);
    if (entry !== undefined) return runVerb(entry, args, program);
    complain(`${program}: this build of pcpbox has no ${alias} verb\n`);
    return 1;
  }
  const at = args.findIndex((each) => !each.startsWith("-"));
  const name = args[at];
  if (name === undefined) return runBare(args);
  // What stands before the verb is read for mistakes; only --no-color has a meaning there.
  if (at > 0) {
    const before = args.slice(0, at);
    if (before.some((each) => each !== "--no-color")) return runBare(before);
    process.env["NO_COLOR"] = "1";
  }
  const entry = VERBS.find((each) => each.name === name);
  return entry === undefined ? refuseVerb(name) : runVerb(entry, args.slice(at + 1), "pcpbox");
}

if (import.meta.main) {
  try {
    process.exitCode = await main(process.argv0, process.argv.slice(2));
  } catch (error) {
    complain(`pcpbox: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}
