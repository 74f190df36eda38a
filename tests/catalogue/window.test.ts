// Goal: a question about a range of time enters only archives that may have something in it; when compressed
// ones ended is found out once, is kept in the catalogue, and is forgotten when their files change.
import { expect, test } from "bun:test";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ArchiveWriter } from "../../lib/archive/mod.ts";
import { PM_INDOM_NULL, PM_SEM, PM_TYPE, pmidBuild } from "../../lib/pcp/mod.ts";
import { openCatalogue } from "../../lib/catalogue/catalogue.ts";
import { embeddedStore } from "../../lib/catalogue/store.ts";
import { surveyArchive } from "../../lib/catalogue/survey.ts";
import { privateFolder } from "../helpers/process.ts";

const DAY = 86_400;
const START = 20_000 * DAY;
const DAYS = 4;
const RECORDS = 10;
const DESC = {
  pmid: pmidBuild(60, 0, 1),
  type: PM_TYPE.U32,
  indom: PM_INDOM_NULL,
  sem: PM_SEM.INSTANT,
  units: 0,
};
const LABEL = { version: 3, pid: 1, host: "db1", timezone: "UTC", zoneinfo: "" } as const;

/** An archive for each day, all but the last compressed, the newest catalogued first. */
function month() {
  const folder = privateFolder("window");
  const catalogue = openCatalogue(join(folder, "series.sqlite"));
  const bases = Array.from({ length: DAYS }, (_, day) => {
    const base = join(folder, `day${day}`);
    const writer = new ArchiveWriter({ base, label: LABEL });
    writer.describe(DESC, ["test.value"]);
    for (let record = 0; record < RECORDS; record++) {
      const timestamp = { sec: START + day * DAY + record * 60, nsec: 0 };
      const set = { pmid: DESC.pmid, type: DESC.type, instances: [-1], values: [day] };
      writer.append({ timestamp, sets: [set] });
    }
    writer.finish();
    if (day < DAYS - 1) {
      writeFileSync(`${base}.0.zst`, Bun.zstdCompressSync(readFileSync(`${base}.0`)));
      rmSync(`${base}.0`);
    }
    return base;
  });
  for (const base of bases.toReversed()) catalogue.put(base, "1", surveyArchive(base));
  const store = embeddedStore(catalogue);
  const finishes = () =>
    catalogue.database
      .query<{ finish: number | null }, []>("SELECT finish FROM archive ORDER BY path")
      .all()
      .map(({ finish }) => (finish === null ? null : finish / 1e6 - START));
  const count = async (from: number, to: number): Promise<number> => {
    const map = { kind: "metric" } as const;
    const [ids = []] = await store.select([{ map, choice: { kind: "equal", text: "test.value" } }]);
    const seconds = (day: number) => (START + day * DAY) * 1e6;
    const requests = ids.map((series) => ({ series, from: seconds(from), to: seconds(to) }));
    let found = 0;
    for await (const { times } of store.values(requests)) found += times.length;
    return found;
  };
  return { bases, catalogue, finishes, count };
}

const LAST = (RECORDS - 1) * 60;

test("ends of compressed archives are found out where they are in the way, and kept", async () => {
  const { bases, catalogue, finishes, count } = month();
  const raw = (DAYS - 1) * DAY + LAST;
  expect(finishes()).toEqual([null, null, null, raw]);
  expect(await count(2, 3)).toBe(RECORDS + 1);
  expect(finishes()).toEqual([LAST, DAY + LAST, null, raw]);
  expect(await count(2, 3)).toBe(RECORDS + 1);
  expect(await count(0, DAYS)).toBe(DAYS * RECORDS);
  expect(await count(1.5, 1.9)).toBe(0);
  // Other files have another end.
  catalogue.touch(bases[0] ?? "", "2");
  expect(finishes()).toEqual([null, DAY + LAST, null, raw]);
  catalogue.noteEnd(bases[0] ?? "", "1", 5);
  expect(finishes()[0]).toBeNull();
  catalogue.close();
});

test("an end that cannot be written down is found out each time", async () => {
  const { catalogue, finishes, count } = month();
  catalogue.database.run("PRAGMA query_only = true");
  expect(await count(2, 2.5)).toBe(RECORDS);
  expect(await count(2, 2.5)).toBe(RECORDS);
  expect(finishes()[0]).toBeNull();
  catalogue.close();
});
