// Local agents: the table as a report. Refuses nothing.
import type { AgentEntry, Registry } from "../collector/mod.ts";
import { plainText } from "./plain.ts";
import type { AgentReport, AgentState } from "./report.ts";

function stateOf({ agent, process }: AgentEntry): AgentState {
  if (agent === undefined) return "not started";
  return process === undefined || process.running ? "ok" : "exited";
}

/** The table as a report, without what was taken away; `metrics` are the names of each domain. */
export function localAgentReports(
  agents: Registry,
  metrics: ReadonlyMap<number, number>,
): readonly AgentReport[] {
  return agents.entries
    .filter(({ domain, problem }) => domain >= 0 || problem !== undefined)
    .map((entry) => {
      const { ownDomain: domain, name, kind, problem } = entry;
      return {
        domain,
        name: plainText(name),
        kind: kind === "dso" ? "dso" : "own",
        state: stateOf(entry),
        exit: null,
        signal: null,
        reason: problem === undefined ? null : plainText(problem.message),
        metrics: metrics.get(domain) ?? 0,
      };
    });
}
