// context: sources of metrics behind one interface: hosts, archives, local agents.
export * from "./types.ts";
export * from "./profile.ts";
export { type HostContext, openHostContext } from "./host.ts";
export { type ArchiveContextOptions, openArchiveContext } from "./archive.ts";
