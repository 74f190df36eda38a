// The table of agents of this machine as verbs have it: PCP's files decide what it begins with, and
// what goes wrong with agents is told on standard error in PCP's words.

import type { Log } from "../lib/base/mod.ts";
import { createRegistry, type Registry } from "../lib/collector/mod.ts";
import { type LocalContext, openLocalContext } from "../lib/context/mod.ts";
import { readPcpConf } from "../lib/daemon/mod.ts";
import { Names } from "../lib/pcp/mod.ts";
import { complain } from "./output.ts";
import { hostCommand } from "./self.ts";

/**
 * The table of a program after the operations of -K. Nothing is started yet. Throws PcpError with
 * pmSpecLocalPMDA's sentence.
 */
export function tableOf(
  program: string,
  specs: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): Registry {
  const { get: variable } = readPcpConf(env);
  const agents = createRegistry({
    env,
    variable,
    program,
    hostCommand: hostCommand(),
    warn: (text) => complain(`${text}\n`),
    log(level, text) {
      if (level !== "Info") complain(`${program}: ${text}\n`);
    },
  });
  for (const spec of specs) agents.apply(spec);
  return agents;
}

let builtins: Registry | undefined;

/**
 * A context over the agents of this program, for where no pmcd answers. All share one table, whose
 * agents run from the first context on.
 */
export function builtinContext(log: Log): Promise<LocalContext> {
  builtins ??= createRegistry({
    initial: "builtin",
    names: new Names(),
    warn: (text) => log.warning(text),
    log: (level, text) => log.write(level === "Info" ? "info" : "warning", text),
  });
  return openLocalContext({ agents: builtins });
}
