// A key server into which the real pmseries has loaded archives, for comparisons.
import { copyFileSync, readdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { keyStore, useKeyServer } from "../../lib/keyserver/mod.ts";
import type { SeriesStore } from "../../lib/series/mod.ts";
import type { PcpTree } from "../helpers/pcp.ts";
import { startRedis } from "../helpers/pcp6.ts";
import { must, privateFolder } from "../helpers/process.ts";

const FIXTURES = join(import.meta.dir, "../fixtures");
/** Archives of all types, with labels, changing instances and counters that wrap. */
export const OWN_ARCHIVES: readonly string[] = [
  "series/archives/edge",
  "archives/gen/interp-v3",
  "archives/rec/v3-labels-721",
  "archives/set/a1",
].map((path) => join(FIXTURES, path));

/** A key server with archives. */
export interface Loaded {
  readonly port: number;
  readonly store: SeriesStore;
  /** The archives where they were loaded from: programs in roots of their own see them, too. */
  readonly archives: readonly string[];
  stop(): Promise<void>;
}

/** Copies an archive into a folder; gives its base name there. */
export function copyArchive(archive: string, folder: string): string {
  const name = basename(archive);
  for (const file of readdirSync(dirname(archive)))
    if (file.startsWith(`${name}.`)) copyFileSync(join(dirname(archive), file), join(folder, file));
  return join(folder, name);
}

/** Starts a Redis and loads archives with the pmseries of a tree. */
export async function loadedBy(tree: PcpTree, archives: readonly string[]): Promise<Loaded> {
  const folder = privateFolder("loaded");
  const redis = await startRedis();
  const copies = archives.map((archive) => copyArchive(archive, folder));
  const place = ["-h", "127.0.0.1", "-p", String(redis.port)];
  for (const copy of copies) await must(tree.command(["pmseries", ...place, "--load", copy]));
  const server = useKeyServer({ servers: [`127.0.0.1:${redis.port}`] });
  await server.ready();
  return {
    port: redis.port,
    store: keyStore(server),
    archives: copies,
    stop: async () => {
      await server.close();
      await redis.stop();
    },
  };
}

/** Identifiers of all metric series, sorted. */
export async function allSeries(store: SeriesStore): Promise<readonly string[]> {
  const fits = (): boolean => true;
  const [all = []] = await store.select([
    { map: { kind: "metric" }, choice: { kind: "glob", pattern: "*", fits } },
  ]);
  return [...all].sort();
}
