// A compiled agent as one for pmcd (spec pmda.md, local.md 8): in a process of its own, which is started
// again when it has crashed. Refuses, at the start, one that cannot be loaded.

import { startDsoHost, supervise } from "../lib/collector/mod.ts";
import type { Agent, AgentSetting } from "../lib/pmda/mod.ts";
import type { AgentSource } from "./pmda-run-source.ts";
import { hostCommand } from "./self.ts";

/** pmcd's own limit for a request, in milliseconds. */
const REQUEST_MS = 5000;

/** Loads the agent. Rejects with PcpError in libpcp's words. */
export async function dsoAgent(
  { name, dso }: Extract<AgentSource, { kind: "dso" }>,
  domain: number,
  log: AgentSetting["log"],
): Promise<Agent> {
  const spec = { ...dso, name, domain, program: `pmda${name}` };
  const start = () =>
    startDsoHost(spec, {
      env: process.env,
      hostCommand: hostCommand(),
      stderr: "inherit",
      requestTimeout: REQUEST_MS,
      program: spec.program,
    });
  const first = await start();
  return supervise({ name, domain, first, start, report: log, changed: () => undefined });
}
