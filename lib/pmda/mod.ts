// pmda: metric agents: what their authors write, what those who ask them see, and what runs them.
export type * from "./types.ts";
export { AGENT_FEATURE } from "./types.ts";
export type * from "./define.ts";
export { CACHE_STATE, type CacheEntry, type InstanceCache } from "./cache.ts";
