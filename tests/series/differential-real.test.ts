// Goal: random queries, and random broken ones, get from us the answers of the real pmproxy, over a key server
// that the real pmseries has loaded. Queries on which the real one is known to die or to answer nonsense are
// not made; where it dies all the same, nothing is compared.
import { expect } from "bun:test";
import { seeded } from "../fuzz/random.ts";
import { pcp7 } from "../helpers/pcp7.ts";
import { testWith } from "../helpers/peers.ts";
import { compareOne, type Difference, realProxy } from "./compare-real.ts";
import { allSeries, loadedBy, OWN_ARCHIVES } from "./loaded.ts";
import { QueryMaker, vocabularyOf } from "./random-queries.ts";

const SEEDS = [1, 2, 3, 4, 5, 6];
const QUERIES = 200;
/** One query in so many is broken. */
const BROKEN = 4;

testWith(
  ["pcp7", "redis"],
  "random queries are answered as by the real pmproxy",
  async () => {
    const loaded = await loadedBy(pcp7, OWN_ARCHIVES);
    const real = realProxy(loaded.port);
    const known = await vocabularyOf(loaded.store, await allSeries(loaded.store));
    expect(known.metrics.length).toBeGreaterThan(40);
    const different: Difference[] = [];
    let crashed = 0;
    for (const seed of SEEDS) {
      const maker = new QueryMaker(seeded(seed), known);
      for (let at = 0; at < QUERIES; at++) {
        const query = at % BROKEN === 0 ? maker.broken() : maker.query();
        const found = await compareOne(real, loaded.store, query);
        if (found === "crashed") crashed++;
        else if (found !== undefined) different.push(found);
      }
    }
    expect(different).toEqual([]);
    expect(crashed).toBeLessThan((SEEDS.length * QUERIES) / 10);
    await real.stop();
    await loaded.stop();
  },
  300_000,
);
