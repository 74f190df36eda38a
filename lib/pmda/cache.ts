// Instance domains that keep their numbers over restarts (pmdaCache, spec pmda.md 14).
import type { InstanceId } from "../pcp/mod.ts";

/** State of an entry that can be seen. */
export const CACHE_STATE = { ACTIVE: 8, INACTIVE: 9 } as const;

/** What is known of one instance. */
export interface CacheEntry<T = unknown> {
  readonly id: InstanceId;
  readonly name: string;
  /** CACHE_STATE. */
  readonly state: number;
  /** What the agent keeps with it. */
  readonly value: T | undefined;
}

/** One instance domain. Codes thrown are those of spec pmda.md 14. */
export interface InstanceCache<T = unknown> {
  /** Tells caches from tables. */
  readonly kind: "cache";
  /** PMDA_CACHE_ADD: active from now on; its number. */
  add(name: string, value?: T): InstanceId;
  /** The same with a key from which the number is made. */
  addKeyed(name: string, key: Uint8Array | undefined, value?: T): InstanceId;
  /** PMDA_CACHE_HIDE. */
  hide(name: string): InstanceId;
  /** PMDA_CACHE_CULL. */
  cull(name: string): InstanceId;
  /** PMDA_CACHE_INACTIVE and PMDA_CACHE_ACTIVE of all: how many changed. */
  hideAll(): number;
  activateAll(): number;
  cullAll(): number;
  byId(id: InstanceId): CacheEntry<T> | undefined;
  byName(name: string): CacheEntry<T> | undefined;
  byKey(name: string, key: Uint8Array | undefined): CacheEntry<T> | undefined;
  /** Active entries, ascending by number. */
  active(): readonly CacheEntry<T>[];
}
