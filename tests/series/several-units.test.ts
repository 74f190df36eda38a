// Goal: functions over several series, whose units differ in scale or in dimension, answer and refuse as the
// real pmproxy does: it compares units once, when all functions are done.
import { expect } from "bun:test";
import { join } from "node:path";
import { type MetaRecord } from "../../lib/archive/mod.ts";
import { PM_TYPE, pmParseUnitsStr } from "../../lib/pcp/mod.ts";
import { at, desc, makeArchive } from "../extract/archive-maker.ts";
import { pcp7 } from "../helpers/pcp7.ts";
import { testWith } from "../helpers/peers.ts";
import { privateFolder } from "../helpers/process.ts";
import { compareOne, realProxy } from "./compare-real.ts";
import { loadedBy } from "./loaded.ts";

/** More digits than `%e` has: what is written so in between loses some. */
const VALUE = 123_456_789;

function measured(name: string, pmid: string, units: string): MetaRecord {
  const record = desc(name, pmid);
  if (record.kind !== "desc") return record;
  const { units: word } = pmParseUnitsStr(units);
  return { ...record, desc: { ...record.desc, type: PM_TYPE.U32, units: word } };
}

/** An archive of metrics u.m0, u.m1 and so on, with these units. */
function archiveOf(units: readonly string[]): string {
  const base = join(privateFolder("units"), units.map((each) => each.charAt(0)).join(""));
  const metadata = units.map((each, item) => measured(`u.m${item}`, `100.0.${item}`, each));
  const sets = units.map((_, item) => [`100.0.${item}`, [[-1, VALUE + item]]] as const);
  makeArchive(base, { version: 3, metadata, results: [{ time: at(0), sets }] });
  return base;
}

const QUERIES = [
  "abs(u.*[count:1])",
  "abs(max(u.*[count:1]))",
  "2 * u.*[count:1]",
  "0.5 * abs(u.*[count:1])",
  'rescale(abs(u.*[count:1]),"Kbyte")',
  'rescale(2 * avg(u.*[count:1]),"Mbyte")',
  "log(u.*[count:1])",
  "u.*[count:1] + u.*[count:1]",
  'rescale(abs(u.*[count:1]) + abs(u.*[count:1]),"Kbyte")',
];

for (const units of [
  ["byte", "Kbyte"],
  ["Kbyte", "Kbyte"],
  ["byte", "sec"],
])
  testWith(
    ["pcp7", "redis"],
    `functions over series in ${units.join(" and ")}`,
    async () => {
      const loaded = await loadedBy(pcp7, [archiveOf(units)]);
      const real = realProxy(loaded.port);
      for (const query of QUERIES)
        expect({ query, found: await compareOne(real, loaded.store, query) }).toEqual({
          query,
          found: undefined,
        });
      await real.stop();
      await loaded.stop();
    },
    300_000,
  );
