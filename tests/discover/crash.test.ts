// Goal: a process that is killed while it fills the catalogue, again and again, leaves a catalogue that the
// next one completes: the same in the end as one that was made in peace.
import { expect, test } from "bun:test";
import { copyFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { catalogueSink, startDiscovery } from "../../lib/discover/mod.ts";
import { type Catalogue, openCatalogue } from "../../lib/catalogue/catalogue.ts";
import { rescan } from "../../lib/catalogue/follow.ts";
import { seeded } from "../fuzz/random.ts";
import { waitUntil } from "../helpers/ports.ts";
import { privateFolder } from "../helpers/process.ts";

const ARCHIVES = join(import.meta.dir, "../fixtures/archives/rec");
const NAMES = ["v2-dyn", "v3-dyn", "v3-dyn-721", "v3-types", "v3-labels-721", "v3-events"];
const KILLS = 8;

/** What a catalogue says, without its own numbers. */
const contentOf = ({ database }: Catalogue): unknown =>
  [
    "SELECT path, stamp, host, begin, complete, problem FROM archive ORDER BY path",
    "SELECT hash, name, pmid, type FROM series ORDER BY hash",
    "SELECT hash, inst, name FROM instance ORDER BY hash, inst",
    `SELECT series.hash, archive.path FROM holds JOIN series ON series.id = holds.series
     JOIN archive ON archive.id = holds.archive ORDER BY 1, 2`,
    `SELECT DISTINCT label.name, label.value, series.hash FROM carries JOIN label ON label.id = carries.label
     JOIN series ON series.id = carries.series ORDER BY 1, 2, 3`,
  ].map((sql) => database.query(sql).values());

test("killed while it catalogues", async () => {
  const folder = privateFolder("discover-crash");
  const directory = join(folder, "archives");
  const file = join(folder, "series.sqlite");
  const random = seeded(11);
  for (let round = 0; round < KILLS; round++) {
    const place = join(directory, `host${round}`);
    mkdirSync(place, { recursive: true });
    for (const name of NAMES)
      for (const part of ["meta", "index", "0"])
        copyFileSync(join(ARCHIVES, `${name}.${part}`), join(place, `${name}.${part}`));
    const script = join(import.meta.dir, "crash.ts");
    const child = Bun.spawn([process.execPath, script, directory, file], {
      stdio: ["ignore", "ignore", "inherit"],
    });
    await Bun.sleep(100 + random.below(400));
    child.kill("SIGKILL");
    await child.exited;
  }
  const catalogue = openCatalogue(file);
  const discovery = startDiscovery({ directories: [directory], sink: catalogueSink(catalogue) });
  expect(await waitUntil(() => discovery.status().complete)).toBe(true);
  await discovery.close();
  const calm = openCatalogue(":memory:");
  await rescan(calm, [directory]);
  expect(contentOf(catalogue)).toEqual(contentOf(calm));
  catalogue.close();
  calm.close();
}, 300_000);
