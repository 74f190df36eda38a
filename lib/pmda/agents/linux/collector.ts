// What a collector is: the metrics and instance domains of a few files, and how domains whose
// instances come and go are brought up to date. Types, and the cache behind such a domain.
import { existsSync } from "node:fs";
import { asPcpError } from "../../../base/mod.ts";
import type { IndomRow, MetricRow } from "../../define.ts";
import { createCache, type InstanceCache } from "../../cache.ts";
import { cacheFilePath, loadCache, saveCache } from "../../cache-file.ts";
import type { Host } from "./host.ts";

/** The part of the agent that some files of the machine are behind. */
export interface Collected {
  readonly metrics: readonly MetricRow[];
  readonly indoms?: readonly IndomRow[];
  /** By serial number: makes the instances of a domain those that there are now. */
  readonly refreshers?: ReadonlyMap<number, () => void>;
  /** Serial number of a domain whose values are for clients of root alone, as with PCP's agent. */
  readonly guarded?: number;
}

/** A domain whose instances keep their numbers. */
export interface KeptIndom<T> {
  readonly cache: InstanceCache<T>;
  /** Instances are from now on exactly these. */
  replace(instances: Iterable<readonly [name: string, value: T]>): void;
  /** What there is of an instance. */
  get(instance: number): T | undefined;
}

const ENOENT = -2;
const VAR_DIR = "/var/lib/pcp";

/** The folder that caches are kept in, or undefined: only a machine that has PCP's folder has them. */
function cacheFolder({ root, setting }: Host): string | undefined {
  const folder = setting.env["PCP_VAR_DIR"] ?? (root === "" ? VAR_DIR : undefined);
  return folder !== undefined && existsSync(`${folder}/config`) ? folder : undefined;
}

/** The cache of a domain, with its file (spec pmda.md 14). */
export function keptIndom<T>(host: Host, serial: number): KeptIndom<T> {
  const { domain, log } = host.setting;
  const label = `${domain}.${serial}`;
  const cache = createCache<T>({ label });
  const folder = cacheFolder(host);
  let path = folder === undefined ? undefined : cacheFilePath(folder, domain, serial);
  if (path !== undefined) {
    try {
      loadCache(cache, path, log);
    } catch (error) {
      const { code, message } = asPcpError(error);
      if (code !== ENOENT) log("Warning", `instances of ${label}: ${message}`);
    }
  }
  const present = new Map<number, T>();
  let names: readonly string[] = [];
  let ids: readonly number[] = [];
  const save = (): void => {
    if (path === undefined) return;
    try {
      saveCache(cache, path, "entries");
    } catch (error) {
      log("Warning", `instances of ${label} are not kept: ${asPcpError(error).message}`);
      path = undefined;
    }
  };
  /** The number of an instance, or -1 for one that the cache refuses. */
  const idOf = (name: string, value: T): number => {
    try {
      return cache.add(name, value);
    } catch (error) {
      // Two names that begin with the same word, or an empty one: the first stays.
      log("Debug", `instance "${name}" of ${label}: ${asPcpError(error).message}`);
      return -1;
    }
  };
  return {
    cache,
    replace(instances) {
      const list = [...instances];
      const same = list.length === names.length && list.every(([name], i) => name === names[i]);
      if (!same) {
        names = list.map(([name]) => name);
        ids = list.map(([name, value]) => idOf(name, value));
        const wanted = new Set(ids);
        for (const { id, name } of cache.active()) if (!wanted.has(id)) cache.hide(name);
        present.clear();
        save();
      }
      // Of instances that share a number the first counts.
      for (let i = list.length - 1; i >= 0; i--) {
        const [id, value] = [ids[i], list[i]?.[1]];
        if (id !== undefined && id >= 0 && value !== undefined) present.set(id, value);
      }
    },
    get: (instance) => present.get(instance),
  };
}
