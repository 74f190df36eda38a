// The program: finds out which verb is meant, by the name it was called by or by the first word,
// and loads that verb alone. Refuses unknown verbs and options with status 2. What the system or a
// peer does to a verb ends as one line and status 1.

import { complain, say } from "./output.ts";
import { DSO_HOST } from "./self.ts";
import type { Invocation, VerbEntry } from "./verb.ts";
import { programName, PROGRAMS, VERBS } from "./verbs.ts";

/** Runs a verb and returns its exit status. */
async function runVerb(entry: VerbEntry, args: readonly string[], program: string) {
  const [citty, command] = await Promise.all([import("citty"), entry.command()]);
  const invocation: Invocation = { program, verbs: VERBS };
  const { result } = await citty.runCommand(command, { rawArgs: [...args], data: invocation });
  return typeof result === "number" ? result : 0;
}

async function refuseVerb(name: string): Promise<number> {
  const { unknownVerb } = await import("./verb.ts");
  complain(`pcpbox: ${unknownVerb(name, VERBS)}\nTry 'pcpbox help' for the list of verbs.\n`);
  return 2;
}

async function sayVersion(json: boolean): Promise<number> {
  const { versionJson, versionLine } = await import("./build-info.ts");
  say(json ? versionJson() : versionLine("pcpbox"));
  return 0;
}

/** Help about a verb, or about pcpbox. */
function sayHelp(verb?: string): Promise<number> | number {
  const help = VERBS.find((each) => each.name === "help");
  return help === undefined ? 2 : runVerb(help, verb === undefined ? [] : [verb], "pcpbox");
}

/**
 * Options before any verb, about pcpbox as a whole. Returns the exit status, or undefined when they
 * are no question and the verb is to be run.
 */
async function runBare(args: readonly string[], verb?: string): Promise<number | undefined> {
  // The one question that scripts ask often; it is answered without the reader.
  const [first, second = "--json", ...more] = args;
  if (first === "--version" && second === "--json" && more.length === 0) {
    return sayVersion(args.length === 2);
  }
  if (args.length === 0 && verb === undefined) return sayHelp();
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
  const json = isGiven(result.options, "json");
  if (result.kind === "version") return sayVersion(json);
  if (json) {
    complain(
      "pcpbox: option '--json' belongs to '--version'\nTry 'pcpbox help' for more information.\n",
    );
    return 2;
  }
  if (isGiven(result.options, "noColor")) process.env["NO_COLOR"] = "1";
  if (result.kind === "ok" && verb !== undefined) return undefined;
  return sayHelp(verb);
}

/** The whole program for an argv[0] and the arguments after it; returns the exit status. */
export async function main(argv0: string, args: readonly string[]): Promise<number> {
  // No verb of a user's: how this program starts itself, whatever it is called.
  if (args[0] === DSO_HOST)
    return (await import("../lib/collector/mod.ts")).runDsoHost(args[1] ?? "");
  const program = programName(argv0);
  const alias = PROGRAMS.get(program);
  if (alias !== undefined) {
    const entry = VERBS.find((each) => each.name === alias);
    if (entry !== undefined) return runVerb(entry, args, program);
    complain(`${program}: this build of pcpbox has no ${alias} verb\n`);
    return 1;
  }
  const first = args.findIndex((each) => !each.startsWith("-"));
  const at = first < 0 ? args.length : first;
  const name = args[at];
  if (name === undefined) return (await runBare(args)) ?? 0;
  const answered = at === 0 ? undefined : await runBare(args.slice(0, at), name);
  if (answered !== undefined) return answered;
  const entry = VERBS.find((each) => each.name === name);
  return entry === undefined ? refuseVerb(name) : runVerb(entry, args.slice(at + 1), "pcpbox");
}

/** One line for what the system or a peer did; a fault of our own shows where it is. */
function failureText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return "code" in error ? error.message : (error.stack ?? error.message);
}

if (import.meta.main) {
  try {
    const status = await main(process.argv0, process.argv.slice(2));
    // Output that failed has set a status already.
    if (status !== 0) process.exitCode = status;
  } catch (error) {
    complain(`pcpbox: ${failureText(error)}\n`);
    process.exitCode = 1;
  }
}
