// How a verb becomes a command: its description (cmd/options) with the work to do. citty gets the
// metadata and the call; the arguments are read by our own reader, since citty takes unknown options
// in silence. Questions (help, version) and mistakes are answered here, the same for all verbs.

import type { CommandDef } from "citty";

import { nearestName } from "../lib/base/mod.ts";
import {
  type Given,
  isGiven,
  keysGiven,
  type OptionTable,
  pageOf,
  pageText,
  readVerb,
  usageText,
  type Verb,
} from "../lib/cli/mod.ts";
import { versionJson, versionLine } from "./build-info.ts";
import { notice } from "./notice.ts";
import { complain, outputStyle, say } from "./output.ts";

/** A verb as main.ts knows it; nothing of it is loaded before it is asked for. */
export interface VerbEntry {
  readonly name: string;
  readonly describe: () => Promise<Verb>;
  readonly command: () => Promise<CommandDef>;
}

/** How the program was called. */
export interface Invocation {
  /** `pcpbox`, or the PCP program whose name it was called by. */
  readonly program: string;
  readonly verbs: readonly VerbEntry[];
}

/** A command line without mistakes and questions, for the work of a verb. */
export interface CommandLine<T extends OptionTable> {
  /** In the order given. */
  readonly options: readonly Given<T>[];
  readonly operands: readonly string[];
  readonly invocation: Invocation;
}

/** The work of a verb; resolves to the exit status when there is nothing left to do. */
export type Work<T extends OptionTable> = (line: CommandLine<T>) => Promise<number> | number;

/** The sentence for a verb that does not exist. */
export function unknownVerb(name: string, verbs: readonly VerbEntry[]): string {
  const names = verbs.map((each) => each.name);
  const near = nearestName(name, names);
  return `unknown verb '${name}'${near === undefined ? "" : `; did you mean '${near}'?`}`;
}

/** Help as text in the width and colour of the terminal, or plain in 80 columns. */
export const helpText = (verb: Verb, noColour: boolean): string =>
  pageText(pageOf(verb), outputStyle(noColour));

/**
 * Prints PCP's answer to mistakes on standard error: the sentences, then the usage text; a verb of
 * our own points to its help instead. Returns the exit status.
 */
export function refuse(verb: Verb, errors: readonly string[]): number {
  const { program } = verb;
  const sentences = errors.map((each) => `${program}: ${each}\n`).join("");
  if (verb.actsAsPcp) notice(sentences + usageText(verb));
  else complain(`${sentences}Try 'pcpbox ${verb.name} --help' for more information.\n`);
  return verb.mistakeStatus;
}

/** Tells a verb about mistakes on its command line after they were printed; `options` have none. */
export type Refused<T extends OptionTable> = (
  errors: readonly string[],
  misspelt: boolean,
  options: readonly Given<T>[],
) => void;

/**
 * Answers one command line of a verb: questions and mistakes here, the rest by `work`. For verbs
 * whose first words decide which of several descriptions holds.
 */
export async function answer<T extends OptionTable>(
  verb: Verb<T>,
  args: readonly string[],
  invocation: Invocation,
  work: Work<T>,
  refused?: Refused<T>,
): Promise<number> {
  const operandsLast = verb.actsAsPcp && process.env["POSIXLY_CORRECT"] !== undefined;
  const result = readVerb(verb, args, { operandsLast });
  for (const each of verb.warnings?.(keysGiven(result)) ?? []) {
    complain(`${verb.program}: ${each}\n`);
  }
  if (result.kind === "error") {
    const status = refuse(verb, result.errors);
    refused?.(result.errors, result.misspelt, result.options);
    return status;
  }
  if (result.kind === "ok") {
    const { options, operands } = result;
    return work({ options, operands, invocation });
  }
  const given = (option: string): boolean => isGiven(result.options, option);
  if (result.kind === "version") {
    say(given("json") ? versionJson() : versionLine(invocation.program));
  } else if (invocation.program === verb.program && verb.actsAsPcp) {
    notice(usageText(verb));
    return verb.helpStatus ?? 0;
  } else say(helpText(verb, given("noColor")));
  return 0;
}

/**
 * The command of a verb, for `export default` of its file. citty's `runCommand` gives the exit
 * status as its result; `data` must be an Invocation. `refused` hears of mistakes, after they were
 * printed, e.g. to add a program's own last line.
 */
export function command<T extends OptionTable>(
  verb: Verb<T>,
  work: Work<T>,
  refused?: Refused<T>,
): CommandDef {
  return {
    meta: { name: verb.name, description: verb.summary },
    run: ({ rawArgs, data }) => answer(verb, rawArgs, data as Invocation, work, refused),
  };
}
