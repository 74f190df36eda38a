// `pcpbox pmda-run`: finds out from the first words what is meant, an agent to be run (or installed, or
// asked), or one of the tools around agents, and loads that alone. A mode that has a command line of
// its own is a line in MODES.

import type { CommandDef } from "citty";

import { PcpError } from "../lib/base/mod.ts";
import { isGiven, lastGiven, usageText } from "../lib/cli/mod.ts";
import { agentVerb, checkVerb, type PmdaRunOptions, pmdaRunVerb } from "./options/pmda-run.ts";
import { notice } from "./notice.ts";
import { complain } from "./output.ts";
import { answer, type CommandLine, type Invocation } from "./verb.ts";

/** A mode: what follows its word on the command line, to the exit status. */
type Mode = (args: readonly string[], invocation: Invocation) => Promise<number>;

const check: Mode = (args, { verbs }) =>
  answer(checkVerb, args, { program: checkVerb.program, verbs }, async (line) =>
    (await import("./pmda-run-check.ts")).checkByHand(line.options),
  );

const listen: Mode = async (args, { verbs }) => {
  const { listenVerb } = await import("./options/pmda-listen.ts");
  return answer(listenVerb, args, { program: listenVerb.program, verbs }, async (line) =>
    (await import("./pmda-run-listen.ts")).listen(line),
  );
};

/** First words that decide how the rest is read. */
const MODES: ReadonlyMap<string, Mode> = new Map([
  ["--check", check],
  ["--listen", listen],
]);

/** PCP's programs that are called by their own name: `pmdasimple`, `dbpmda`. */
const AGENT_PROGRAM = /^pmda(\w+)$/;

/** Everything that is done with one agent. */
async function withAgent(
  line: CommandLine<PmdaRunOptions>,
  wanted: string | undefined,
): Promise<number> {
  const { options } = line;
  const { agentSource } = await import("./pmda-run-source.ts");
  const source = await agentSource(wanted, lastGiven(options, "dso")?.value);
  if (isGiven(options, "install") || isGiven(options, "remove"))
    return (await import("./pmda-run-install.ts")).changeInstallation(source, line);
  if (isGiven(options, "metrics") && source.kind !== "dso")
    return (await import("./pmda-run-metrics.ts")).printMetrics(source, line);
  if (isGiven(options, "check"))
    return (await import("./pmda-run-check.ts")).checkAgent(source, line);
  return (await import("./pmda-run-agent.ts")).runAgent(source, line);
}

/** What an agent says when it has too few arguments. */
const lacking = (agent: string, operands: readonly string[]): string | undefined =>
  agent === "txmon" && operands.length === 0 ? "No transaction types specified" : undefined;

/** `AGENT [options] [arguments]`: the agent's own command line. */
async function runNamed(
  wanted: string,
  args: readonly string[],
  { verbs }: Invocation,
): Promise<number> {
  const { agentTitle } = await import("./pmda-run-source.ts");
  const verb = agentVerb(agentTitle(wanted));
  return answer(verb, args, { program: verb.program, verbs }, async (line) => {
    const lacks = lacking(agentTitle(wanted), line.operands);
    if (lacks !== undefined) {
      notice(`${lacks}\n\n${usageText(verb)}`);
      return verb.mistakeStatus;
    }
    try {
      return await withAgent(line, wanted);
    } catch (error) {
      if (!(error instanceof PcpError)) throw error;
      complain(`${verb.program}: ${error.message}\n`);
      return 1;
    }
  });
}

/** Everything without an agent as the first word. */
async function runUnnamed(args: readonly string[], invocation: Invocation): Promise<number> {
  return answer(pmdaRunVerb, args, invocation, async (line) => {
    const { options, operands } = line;
    const [wanted, ...rest] = operands;
    const fresh = lastGiven(options, "new")?.value;
    if (isGiven(options, "list") || isGiven(options, "types") || fresh !== undefined) {
      const { printAgents, printTypes, writeAgent } = await import("./pmda-run-new.ts");
      if (fresh !== undefined) return writeAgent(fresh);
      return isGiven(options, "types") ? printTypes() : printAgents(isGiven(options, "json"));
    }
    if (lastGiven(options, "dso") !== undefined) return withAgent(line, undefined);
    return withAgent({ ...line, operands: rest }, wanted);
  });
}

const run: Mode = (args, invocation) => {
  const named = AGENT_PROGRAM.exec(invocation.program)?.[1];
  if (named !== undefined) return runNamed(named, args, invocation);
  if (invocation.program === checkVerb.program) return check(args, invocation);
  const [first = "", ...rest] = args;
  const mode = MODES.get(first);
  if (mode !== undefined) return mode(rest, invocation);
  return first === "" || first.startsWith("-")
    ? runUnnamed(args, invocation)
    : runNamed(first, rest, invocation);
};

const command: CommandDef = {
  meta: { name: pmdaRunVerb.name, description: pmdaRunVerb.summary },
  run: ({ rawArgs, data }) => run(rawArgs, data as Invocation),
};
export default command;
