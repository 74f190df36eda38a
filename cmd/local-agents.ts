// The table of agents of this machine as verbs have it: PCP's files decide what it begins with, and
// what goes wrong with agents is told on standard error in PCP's words.

import { createRegistry, type Registry } from "../lib/collector/mod.ts";
import { readPcpConf } from "../lib/daemon/mod.ts";
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
