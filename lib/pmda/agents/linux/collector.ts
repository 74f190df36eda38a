// What a collector is: the metrics and instance domains of a few files, and how domains whose
// instances come and go are brought up to date. Types, and the cache behind such a domain.
import { asPcpError, PM_ERR } from "../../../base/mod.ts";
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
function cacheFolder({ root, setting, exists }: Host): string | undefined {
  if (root !== "") return undefined;
  const folder = setting.env["PCP_VAR_DIR"] ?? VAR_DIR;
  return exists(`${folder}/config`) ? folder : undefined;
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
  let present = new Map<number, T>();
  const save = (): void => {
    if (path === undefined) return;
    try {
      saveCache(cache, path, "entries");
    } catch (error) {
      log("Warning", `instances of ${label} are not kept: ${asPcpError(error).message}`);
      path = undefined;
    }
  };
  return {
    cache,
    replace(instances) {
      const now = new Map<number, T>();
      const names = new Set<string>();
      for (const [name, value] of instances) {
        try {
          now.set(cache.add(name, value), value);
          names.add(name);
        } catch (error) {
          // Two names that begin with the same word, or an empty one: the first stays.
          const { code, message } = asPcpError(error);
          if (code !== PM_ERR.GENERIC) log("Debug", `instance "${name}" of ${label}: ${message}`);
        }
      }
      for (const { id, name } of cache.active()) if (!now.has(id)) cache.hide(name);
      present = now;
      save();
    },
    get: (instance) => present.get(instance),
  };
}
