// context: sources of metrics behind one interface: hosts, archives, local agents.
export { type ArchiveContextOptions, openArchiveContext } from "./archive.ts";
export { type HostContext, openHostContext } from "./host.ts";
export { type LocalContext, type LocalContextOptions, openLocalContext } from "./local.ts";
export {
  createLocalAgents,
  type LocalAgent,
  type LocalAgentEntry,
  type LocalAgents,
  type LocalCaller,
  type LocalNames,
} from "./local-agents.ts";
export * from "./profile.ts";
export * from "./types.ts";
