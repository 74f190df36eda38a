// Goal: the embedded store gives the answers of a key server into which the same archives were loaded: random
// queries, windows, and every look-up of every series, over our own archives and, where they are installed,
// some of PCP's test suite.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { UTC } from "../../lib/pcp/mod.ts";
import { openCatalogue } from "../../lib/catalogue/catalogue.ts";
import { embeddedStore } from "../../lib/catalogue/mod.ts";
import { surveyArchive } from "../../lib/catalogue/survey.ts";
import { keyStore, loadArchive, useKeyServer } from "../../lib/keyserver/mod.ts";
import {
  parseWindow,
  problemOf,
  type SeriesStore,
  valuesInWindow,
  valuesText,
} from "../../lib/series/mod.ts";
import { seeded } from "../fuzz/random.ts";
import { startRedis } from "../helpers/pcp6.ts";
import { describePeer, skipAloud } from "../helpers/peers.ts";
import { ourAnswer, settled } from "./compare-real.ts";
import { privateFolder } from "../helpers/process.ts";
import { allSeries, OWN_ARCHIVES } from "./loaded.ts";
import { oddArchives } from "./odd-archives.ts";
import { QueryMaker, vocabularyOf } from "./random-queries.ts";

// A busy machine takes long.
setDefaultTimeout(300_000);

const SUITE = "/var/lib/pcp/testsuite/archives";
/** Small ones, each with something of its own. */
const SUITE_ARCHIVES = [
  "zero_disk_activity",
  "changeinst",
  "dynmetric",
  "interpmark",
  "mirage",
  "dupname-a",
  "eventrec",
];
const FIXTURES = join(import.meta.dir, "../fixtures/archives");
/** Alone: their metrics are those of the others. */
const ALONE = [
  "rec/v3-types",
  "rec/v2-labels",
  "rec/v3-dyn",
  "rec/v3-mark",
  "rec/v2-mv",
  "gen/discrete-v3",
];
const SEEDS = [1, 2];
const QUERIES = 100;
const NOW = { sec: 1_900_000_000, nsec: 0 };

interface Stores {
  readonly keys: SeriesStore;
  readonly embedded: SeriesStore;
  close(): Promise<void>;
}

/** Both stores over the same archives. */
async function storesOf(archives: readonly string[]): Promise<Stores> {
  const redis = await startRedis();
  const server = useKeyServer({ servers: [`127.0.0.1:${redis.port}`] });
  await server.ready();
  const catalogue = openCatalogue(":memory:");
  for (const path of archives) {
    await loadArchive(server, { path, metrics: [] }, { now: NOW });
    catalogue.put(path, "as it is", surveyArchive(path));
  }
  return {
    keys: keyStore(server),
    embedded: embeddedStore(catalogue),
    close: async () => {
      catalogue.close();
      await server.close();
      await redis.stop();
    },
  };
}

const byText = (a: unknown, b: unknown): number => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1);
/** Lists within lists in an order of their own. */
const sortedLists = (lists: readonly (readonly unknown[])[]): unknown =>
  lists.map((list) => [...list].sort(byText));

/** Every look-up, of every series and of what is none. */
async function lookUps(store: SeriesStore, series: readonly string[]): Promise<unknown> {
  const ids = [...series, "0".repeat(40), "x"];
  const instances = await store.instances(ids);
  const instanceIds = [...new Set(instances.flat().map(({ id }) => id))].sort();
  const labels = [...(await store.names("label"))].sort();
  const descriptors = await store.descriptors(ids);
  const sources = [...new Set(descriptors.map((each) => each?.source ?? ""))].sort();
  return {
    descriptors,
    names: await store.metricNames(ids),
    instances: sortedLists(instances),
    labels: sortedLists(await store.labels([...ids, ...instanceIds])),
    byId: await store.instancesById([...instanceIds, "0".repeat(40)]),
    sources: sortedLists(await store.sources(sources)),
    labelNames: labels,
    labelValues: sortedLists(await store.labelValues([...labels, "none"])),
    metrics: [...(await store.names("metric"))].sort(),
    instanceNames: [...(await store.names("instance"))].sort(),
    contexts: [...(await store.names("context"))].sort(),
    expressions: await store.expressions(ids),
  };
}

/** Values of series in a window, as pmseries prints them. */
async function inWindow(store: SeriesStore, ids: readonly string[], window: string) {
  const options = { now: NOW, zone: UTC, comparison: true };
  try {
    const times = parseWindow(window, options);
    let text = "";
    const values = valuesInWindow(store, ids, times, options);
    for await (const piece of valuesText(values, { zone: UTC, numeric: true })) text += piece;
    return text;
  } catch (error) {
    const problem = problemOf(error);
    if (problem === undefined) throw error;
    return problem.message;
  }
}

function compare(name: string, archives: readonly string[], seeds = SEEDS): void {
  test(
    name,
    async () => {
      const { keys, embedded, close } = await storesOf(archives);
      const series = await allSeries(keys);
      expect(series.length).toBeGreaterThan(0);
      expect(await allSeries(embedded)).toEqual([...series]);
      expect(await lookUps(embedded, series)).toEqual(await lookUps(keys, series));
      const known = await vocabularyOf(keys, series);
      for (const seed of seeds) {
        const random = seeded(seed);
        const maker = new QueryMaker(random, known);
        for (let at = 0; at < QUERIES && known.metrics.length > 0; at++) {
          const query = at % 10 === 0 ? maker.broken() : maker.query();
          const answer = async (store: SeriesStore): Promise<unknown> => ({
            query,
            answer: settled(await ourAnswer(store, query)),
          });
          expect(await answer(embedded)).toEqual(await answer(keys));
          const window = maker.times();
          const ids = Array.from({ length: 1 + random.below(3) }, () => random.pick(series));
          const part = async (store: SeriesStore): Promise<unknown> => ({
            window,
            ids,
            text: await inWindow(store, ids, window),
          });
          expect(await part(embedded)).toEqual(await part(keys));
        }
      }
      await close();
    },
    300_000,
  );
}

describePeer("redis", "the embedded store answers as a key server", () => {
  compare("over several archives", OWN_ARCHIVES);
  for (const path of ALONE) compare(`over ${path}`, [join(FIXTURES, path)], SEEDS.slice(0, 1));
  for (const path of oddArchives(privateFolder("odd"))) compare(`over ${basename(path)}`, [path]);

  describe("over archives of PCP's test suite", () => {
    for (const name of SUITE_ARCHIVES) {
      const path = join(SUITE, name);
      const isThere = existsSync(`${path}.index`) || existsSync(`${path}.meta`);
      if (isThere) compare(basename(path), [join(dirname(path), name)], SEEDS.slice(0, 1));
      else skipAloud(name, `nothing in ${SUITE}`);
    }
  });
});
