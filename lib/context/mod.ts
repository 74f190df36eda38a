// context: sources of metrics behind one interface: hosts, archives, local agents.
export { type ArchiveContextOptions, openArchiveContext } from "./archive.ts";
export { type DerivedOptions, withDerived } from "./derived.ts";
export {
  type DerivedEnv,
  derivedPaths,
  globalDerived,
  loadDerivedConfig,
} from "./derived-config.ts";
export { type HostContext, openHostContext } from "./host.ts";
export { type LocalContext, type LocalContextOptions, openLocalContext } from "./local.ts";
export {
  type AnyContext,
  type ContextFlags,
  type ContextSpec,
  newContext,
  type NewContextOptions,
} from "./new.ts";
export { type ContextTable, type ContextTableOptions, createContextTable } from "./table.ts";
export * from "./types.ts";
