// pmda: metric agents: what their authors write, what those who ask them see, and what runs them.
export type * from "./types.ts";
export { AGENT_FEATURE } from "./types.ts";
export type * from "./define.ts";
export { CACHE_STATE, type CacheEntry, createCache, type InstanceCache } from "./cache.ts";
export { cacheFilePath, loadCache, saveCache } from "./cache-file.ts";
export {
  type AgentOptions,
  type HelpTexts,
  makeAgent,
  openAgent,
  type RunningAgent,
} from "./agent.ts";
export { createDispatcher, type Dispatcher, type DispatchOptions } from "./dispatch.ts";
export { BUILTIN_AGENTS, builtinAgent } from "./builtin.ts";
export { createTimeLimit, DEFAULT_TIME_LIMIT, isLate } from "./limit.ts";
export {
  type CheckSession,
  type CheckSetting,
  createCheckSession,
  type LineOrigin,
} from "./check-session.ts";
export { isModulePath, loadAuthorModule, type LoadedAgent, moduleFault } from "./author-module.ts";
export { type CompiledHelp, decodeHelp, encodeHelp, readHelp, sourceHelp } from "./help.ts";
export {
  type HelpEntry,
  type HelpMessage,
  helpStatus,
  type NameLookup,
  parseHelpSource,
} from "./help-source.ts";
export { type AgentLog, type AgentLogOptions, createAgentLog, openAgentLog } from "./log.ts";
export { serveAgent, type ServeOptions, type Transport } from "./serve.ts";
export { createSession, type Session, type SessionOptions } from "./session.ts";
export {
  type AgentLink,
  createAgentLink,
  CREDS_TIME_LIMIT,
  type LinkOptions,
  type LinkTransport,
  REQUEST_TIME_LIMIT,
} from "./link.ts";
export {
  type AgentAddress,
  agentOverLink,
  type AgentStream,
  type PipedProcess,
} from "./link-streams.ts";
export { loadNames, localAccess, namesComplaint, readNames } from "./pmns.ts";
export {
  defineOption,
  definedNumbers,
  preprocess,
  type PreprocessAccess,
  type Preprocessed,
  type PreprocessOptions,
} from "./preprocess.ts";
export { addNames, editedText, mergeNames, parseDomainNumbers, removeNames } from "./pmns-edit.ts";
export { createEventArray, type EventArray } from "./event-array.ts";
export { createEventQueue, createEventQueues, type EventQueue } from "./event-queue.ts";
export {
  addDomain,
  agentNames,
  confLine,
  confWith,
  confWithout,
  dropDomain,
  type InstalledAgent,
  subtreeText,
} from "./install.ts";
export { unifiedDiff } from "./diff.ts";
export { createNameTree, joinNameTrees, type NameTree } from "./tree.ts";
export { connectRoot, ROOT_FEATURE, type RootConnection, rootSocketPath } from "./root.ts";
