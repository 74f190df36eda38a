// pmda: metric agents: what their authors write, what those who ask them see, and what runs them.
export type * from "./types.ts";
export { AGENT_FEATURE } from "./types.ts";
export type * from "./define.ts";
export { CACHE_STATE, type CacheEntry, createCache, type InstanceCache } from "./cache.ts";
export { cacheFilePath, loadCache, saveCache } from "./cache-file.ts";
