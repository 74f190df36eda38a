// Goal: a series is selected by the labels with which its instances were written, as a key server has it that
// the archives were loaded into: not by those that instances got later when another metric had values.
import { expect } from "bun:test";
import { basename, join } from "node:path";
import { openCatalogue } from "../../lib/catalogue/catalogue.ts";
import { embeddedStore } from "../../lib/catalogue/store.ts";
import { surveyArchive } from "../../lib/catalogue/survey.ts";
import { keyStore } from "../../lib/keyserver/store.ts";
import { useKeyServer } from "../../lib/keyserver/keys.ts";
import { loadArchive } from "../../lib/keyserver/load.ts";
import type { SeriesStore } from "../../lib/series/mod.ts";
import { startRedis } from "../helpers/pcp6.ts";
import { testWith } from "../helpers/peers.ts";
import { privateFolder } from "../helpers/process.ts";
import { oddArchives } from "../series/odd-archives.ts";

const ARCHIVES = join(import.meta.dir, "../fixtures/archives/rec");
const NAMES = ["v3-labels-721", "v3-labels", "v3-dyn-721"];
const NOW = { sec: 1_900_000_000, nsec: 0 };

/** The series of every label. */
async function selected(store: SeriesStore): Promise<Record<string, readonly string[]>> {
  const found: Record<string, readonly string[]> = {};
  const names = await store.names("label");
  const values = await store.labelValues(names);
  for (const [at, label] of names.entries())
    for (const text of values[at] ?? []) {
      const [ids = []] = await store.select([
        { map: { kind: "label", label }, choice: { kind: "equal", text } },
      ]);
      found[`${label} ${text}`] = [...ids].sort();
    }
  return found;
}

const paths = [
  ...NAMES.map((name) => join(ARCHIVES, name)),
  ...oddArchives(privateFolder("labels")),
];
for (const path of paths)
  testWith(
    "redis",
    `series by labels, over ${basename(path)}`,
    async () => {
      const redis = await startRedis();
      const server = useKeyServer({ servers: [`127.0.0.1:${redis.port}`] });
      await server.ready();
      await loadArchive(server, { path, metrics: [] }, { now: NOW });
      const catalogue = openCatalogue(":memory:");
      catalogue.put(path, "as it is", surveyArchive(path));
      const wanted = await selected(keyStore(server));
      expect(await selected(embeddedStore(catalogue))).toEqual(wanted);
      catalogue.close();
      await server.close();
      await redis.stop();
    },
    300_000,
  );
