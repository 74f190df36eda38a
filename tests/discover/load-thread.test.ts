// Goal: a load into a catalogue that is done in a thread gives what one in the main thread gives, refuses
// with the same messages, keeps nobody waiting meanwhile, and ends when it is broken off.
import { expect, test } from "bun:test";
import { cpSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { loadInThread } from "../../lib/discover/load-thread.ts";
import { type Catalogue, openCatalogue } from "../../lib/catalogue/catalogue.ts";
import { loadCatalogue } from "../../lib/catalogue/load.ts";
import { makeSeconds } from "../bench/archive-make.ts";
import { privateFolder } from "../helpers/process.ts";

const ARCHIVES = join(import.meta.dir, "../fixtures/archives/rec");
const never = new AbortController().signal;
const folder = privateFolder("load-thread");

let count = 0;
const open = (): Catalogue => openCatalogue(join(folder, `${count++}.sqlite`));

const seriesOf = ({ database }: Catalogue): readonly string[] =>
  database
    .query<{ name: string }, []>("SELECT name FROM series ORDER BY name")
    .all()
    .map(({ name }) => name);

const refusalOf = async (work: Promise<unknown>): Promise<unknown> => {
  try {
    return await work;
  } catch (error) {
    return error;
  }
};

test("an archive, and a directory of some", async () => {
  const place = join(folder, "some");
  mkdirSync(place);
  for (const name of ["v3-dyn", "v3-types"])
    for (const part of ["0", "meta", "index"])
      cpSync(join(ARCHIVES, `${name}.${part}`), join(place, `${name}.${part}`));
  for (const path of [join(place, "v3-types"), place]) {
    const [main, other] = [open(), open()];
    const load = { path, excludeMetrics: ["sample.float.*"] };
    const report = await loadCatalogue(main, load);
    expect(await loadInThread(other, load, never)).toEqual(report);
    expect(seriesOf(other)).toEqual(seriesOf(main));
    expect(seriesOf(other)).not.toEqual([]);
    main.close();
    other.close();
  }
}, 300_000);

test("what is refused is refused by the same message", async () => {
  const [main, other] = [open(), open()];
  const load = { path: join(folder, "nothing"), excludeMetrics: [] };
  const refusal = await refusalOf(loadCatalogue(main, load));
  expect(refusal).toBeInstanceOf(Error);
  expect(await refusalOf(loadInThread(other, load, never))).toEqual(refusal);
  main.close();
  other.close();
}, 300_000);

test("others have their turn, and a load that is broken off ends", async () => {
  const place = join(folder, "large");
  mkdirSync(place);
  for (const name of ["a", "b", "c"]) makeSeconds(join(place, name), 1, 300, 10);
  const catalogue = open();
  const stop = new AbortController();
  let turns = 0;
  const timer = setInterval(() => {
    if (++turns === 3) stop.abort(new Error("enough"));
  }, 1);
  const load = { path: place, excludeMetrics: [] };
  expect(await refusalOf(loadInThread(catalogue, load, stop.signal))).toEqual(new Error("enough"));
  clearInterval(timer);
  expect(turns).toBeGreaterThanOrEqual(3);
  // Nothing is left of it that keeps the next one from the file.
  await loadInThread(catalogue, load, never);
  expect(catalogue.archives()).toHaveLength(3);
  catalogue.close();
}, 300_000);
