// collector: agents brought together: the table of those that there are, processes of those that need
// one, and what clients ask of all of them.
export { AGENT_STATUS, supervise, type SupervisedAgent } from "./supervise.ts";
export { type ProcessSetting, startDsoHost } from "./processes.ts";
export { type DsoReport, type DsoSpec, hostArgument, type HostSpec } from "./dso-spec.ts";
export { type LocalOperation, parseLocalSpec } from "./specs.ts";
export { type AgentKind, type AgentLine, parsePmcdConf, type PmcdConf } from "./table-file.ts";
export { machineZone } from "./machine-zone.ts";
export { contextLabels, type ContextLabelOptions } from "./context-labels.ts";
export {
  type AgentEntry,
  type AgentOrigin,
  createRegistry,
  findDso,
  type NewAgent,
  type Registry,
  type RegistryOptions,
} from "./registry.ts";
export { createRouter } from "./router.ts";
export { type AccessRule, parseAccess } from "./access.ts";
export { type AgentSpec, type AgentsToml, parseAgentsToml } from "./agents-toml.ts";
export {
  type Collector,
  type CollectorOptions,
  type CollectorTable,
  startCollector,
} from "./collector.ts";
export type * from "./types.ts";

/**
 * Serves the compiled agent of a specification on standard input and output until the input ends.
 * Returns the exit status. For a process of its own: what the agent does wrong ends it.
 */
export const runDsoHost = async (spec: string): Promise<number> =>
  (await import("./dso-host.ts")).runDsoHost(spec);
