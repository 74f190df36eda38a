// The metrics that an agent has, listed by a process of their own: an author's module may start timers
// and open files, which whoever only wants to know its names must not be left with.

import { PcpError, PM_ERR } from "../lib/base/mod.ts";
import { isGiven } from "../lib/cli/mod.ts";
import { isDynamicRoot, type NamedPmid, type Names, namesFrom, pmIDStr } from "../lib/pcp/mod.ts";
import { agentNames, openAgent } from "../lib/pmda/mod.ts";
import type { PmdaRunOptions } from "./options/pmda-run.ts";
import { say } from "./output.ts";
import { domainOf } from "./pmda-run-agent.ts";
import { pmdaCommand } from "./pmda-run-command.ts";
import { agentEnvironment, type AgentSource } from "./pmda-run-source.ts";
import type { CommandLine } from "./verb.ts";

type Line = CommandLine<PmdaRunOptions>;
/** An agent that tells its metrics; a compiled one cannot. */
export type TellingSource = Exclude<AgentSource, { kind: "dso" }>;

/** `--metrics`: names and PMIDs; with --json as JSON, dynamic roots too. Ends the process. */
export async function printMetrics(source: TellingSource, line: Line): Promise<number> {
  const domain = domainOf(source, line);
  const args = line.operands;
  const agent = await openAgent(source.factory, { domain, args, env: agentEnvironment() });
  const metrics = [...agentNames(agent).traverse()];
  if (isGiven(line.options, "json")) say(`${JSON.stringify(metrics)}\n`);
  else {
    for (const { name, pmid } of metrics)
      say(`${name} ${isDynamicRoot(pmid) ? `${agent.domain}.*.*` : pmIDStr(pmid)}\n`);
  }
  await agent.close?.();
  process.exit(0);
}

const isNamed = (found: unknown): found is NamedPmid =>
  typeof found === "object" &&
  found !== null &&
  "name" in found &&
  "pmid" in found &&
  typeof found.name === "string" &&
  typeof found.pmid === "number";

/** The names of an agent: its metrics and its dynamic roots. Throws PcpError when it cannot be had. */
export function metricsOf(source: TellingSource, line: Line): Names {
  const argv = pmdaCommand(source, line, ["--metrics", "--json"]);
  const { stdout, exitCode } = Bun.spawnSync([...argv], { stderr: "inherit" });
  if (exitCode !== 0) throw new PcpError(PM_ERR.GENERIC, "the agent tells no metrics");
  const found: unknown = JSON.parse(stdout.toString());
  if (!Array.isArray(found) || !found.every(isNamed))
    throw new PcpError(PM_ERR.GENERIC, "the agent tells no metrics");
  return namesFrom(found);
}
