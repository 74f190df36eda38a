// Goal: the quick way through records that have all values of a request gives, byte for byte, what
// searches give: over marks, records that lack values or have them in another order, equal times,
// damage, turns and jumps, for each kind of number; and it is taken where it can be.
import { expect, spyOn, test } from "bun:test";
import { statSync, truncateSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { ArchiveWriter } from "../../lib/archive/mod.ts";
import { openArchiveContext } from "../../lib/context/archive.ts";
import { Walk } from "../../lib/context/interpolate-walk.ts";
import { type ArchiveContext, PM_MODE } from "../../lib/context/mod.ts";
import {
  type Atom,
  type Desc,
  indomBuild,
  type InstanceId,
  PM_INDOM_NULL,
  PM_SEM,
  PM_TYPE,
  type Pmid,
  pmidBuild,
  type PmType,
} from "../../lib/pcp/mod.ts";
import { privateFolder } from "../helpers/process.ts";
import { codeOf, stepOf } from "./archive-client.ts";

const START = 1_700_000_000;
const INDOM = indomBuild(29, 1);
const { I32, U32, I64, U64, FLOAT, DOUBLE } = PM_TYPE;
const KINDS: readonly (readonly [PmType, number])[] = [
  ...[I32, U32, I64, U64, FLOAT, DOUBLE].map((type) => [type, PM_SEM.COUNTER] as const),
  [U32, PM_SEM.INSTANT],
  [DOUBLE, PM_SEM.INSTANT],
  [U64, PM_SEM.DISCRETE],
];
const DESCS: readonly Desc[] = KINDS.flatMap(([type, sem], i) =>
  [PM_INDOM_NULL, INDOM].map((indom, j) => ({
    pmid: pmidBuild(29, j, i),
    type,
    indom,
    sem,
    units: 0,
  })),
);
const OTHER: Desc = {
  pmid: pmidBuild(29, 9, 9),
  type: U32,
  indom: PM_INDOM_NULL,
  sem: 1,
  units: 0,
};

/** How a record differs from the usual one. */
const ODD = ["usual", "mark", "lacks", "turned", "fewer", "other", "equal", "halves"] as const;
type Odd = (typeof ODD)[number];

interface Shape {
  readonly odd: readonly Odd[];
  readonly seed: number;
  readonly cut: number;
  readonly wide: boolean;
}

function valueOf(type: PmType, random: number, record: number): Atom {
  if (type === FLOAT || type === DOUBLE) return Math.fround(record * 1.25 + random / 7);
  if (type === I64) return BigInt(record * 1000) - BigInt(random % 3000);
  if (type !== U64) return random % 5 === 0 ? random % 100 : (record * 4000 + random) % 0x7fffffff;
  // Above and below the range in which numbers are whole, and now and then through zero.
  if (random % 11 === 0) return 2n ** 64n - BigInt(random);
  return random % 7 === 0 ? BigInt(random) : 2n ** 40n + BigInt(record * 5000 + (random % 4000));
}

function write({ odd, seed, cut, wide }: Shape): string {
  const base = join(privateFolder("rows"), "a");
  const label = { version: 3, pid: 1, host: "h", timezone: "UTC", zoneinfo: "" } as const;
  const writer = new ArchiveWriter({ base, label });
  for (const [i, desc] of [...DESCS, OTHER].entries()) writer.describe(desc, [`m${i}`]);
  const ids = Array.from({ length: wide ? 18 : 3 }, (_, i) => i * 5);
  writer.setInstances(
    INDOM,
    ids.map((id) => [id, `${id}`] as const),
  );
  let random = seed;
  let time = 0;
  odd.forEach((kind, record) => {
    if (kind !== "equal") time += 1;
    const timestamp = { sec: START + time, nsec: 0 };
    if (kind === "mark") {
      writer.mark(timestamp);
      return;
    }
    const order = kind === "turned" ? ids.toReversed() : kind === "fewer" ? ids.slice(1) : ids;
    const sets = DESCS.map(({ pmid, type, indom }) => {
      const instances = indom === INDOM ? order : [-1];
      const values = instances.map(() => {
        random = (Math.imul(random, 1_103_515_245) + 12_345) >>> 0;
        return valueOf(type, random >>> 20, record);
      });
      return { pmid, type, instances, values };
    });
    const other = { pmid: OTHER.pmid, type: U32, instances: [-1], values: [record] };
    if (kind === "other") writer.append({ timestamp, sets: [other] });
    else if (kind === "lacks") writer.append({ timestamp, sets: sets.slice(1) });
    else if (kind === "halves") {
      writer.append({ timestamp, sets: sets.slice(0, 9) });
      writer.append({ timestamp, sets: [other, ...sets.slice(9)] });
    } else writer.append({ timestamp, sets: kind === "turned" ? sets.toReversed() : sets });
  });
  writer.finish();
  if (cut > 0) truncateSync(`${base}.0`, statSync(`${base}.0`).size - cut);
  return base;
}

async function fetched(context: ArchiveContext, pmids: readonly Pmid[]): Promise<string> {
  try {
    const { result } = await context.fetch(pmids);
    const { timestamp, bytes } = result;
    return `${timestamp.sec}.${timestamp.nsec} ${Buffer.from(bytes).toString("hex")}`;
  } catch (error) {
    return String(codeOf(error));
  }
}

const usual = fc.constantFrom<Odd>(...Array<Odd>(24).fill("usual"), ...ODD);
const shapes = fc.record({
  odd: fc.array(usual, { minLength: 8, maxLength: 40 }),
  seed: fc.nat(),
  cut: fc.constantFrom(0, 0, 0, 10, 700),
  wide: fc.boolean(),
});
const runs = fc.array(
  fc.record({
    at: fc.nat(40),
    delta: fc.constantFrom(0.25, 0.7, 1, 1.3, -0.25, -0.7, -1, 2.5, -2.5),
    count: fc.integer({ min: 3, max: 40 }),
    pick: fc.constantFrom(0, 1, 2, 3),
    moves: fc.boolean(),
  }),
  { minLength: 1, maxLength: 5 },
);
const PICKS: readonly (readonly Pmid[])[] = [
  DESCS.map(({ pmid }) => pmid),
  DESCS.slice(3, 8).map(({ pmid }) => pmid),
  [7, 2, 7, 11].map((i) => (DESCS[i] ?? OTHER).pmid).concat(pmidBuild(77, 0, 1)),
  [DESCS[6] ?? OTHER, OTHER].map(({ pmid }) => pmid),
];

test.each([{}, { PCP_COUNTER_WRAP: "" }])("quick and searched are the same, %j", async (env) => {
  await fc.assert(
    fc.asyncProperty(shapes, runs, async (shape, steps) => {
      const quick = await openArchiveContext(write(shape), { env });
      const searched = await quick.duplicate();
      // With any rule in the profile fetches are made by searches.
      searched.addProfile(indomBuild(99, 9), [1 as InstanceId]);
      for (const { at, delta, count, pick, moves } of steps) {
        for (const context of [quick, searched]) {
          const when = moves ? { sec: START + at, nsec: 400_000_000 } : undefined;
          context.setMode(PM_MODE.INTERP, when, stepOf(delta));
        }
        for (let i = 0; i < count; i++) {
          // Now and then another request, between those of the run.
          const pmids = PICKS[i % 17 === 16 ? 1 : pick] ?? [];
          expect(await fetched(quick, pmids)).toBe(await fetched(searched, pmids));
        }
      }
      await quick.close();
      await searched.close();
    }),
    { seed: 1709251200, numRuns: 120 },
  );
});

test.each([0.7, -0.7])("steps of %d s read each record once", async (delta) => {
  const odd = Array<Odd>(200).fill("usual");
  const context = await openArchiveContext(write({ odd, seed: 1, cut: 0, wide: true }), {});
  const read = spyOn(Walk.prototype, "result");
  try {
    context.setMode(PM_MODE.INTERP, { sec: START + (delta > 0 ? 1 : 200), nsec: 0 }, stepOf(delta));
    for (let i = 0; i < 280; i++) await context.fetch(PICKS[0] ?? []);
    expect(read.mock.calls.length).toBeLessThan(220);
  } finally {
    read.mockRestore();
    await context.close();
  }
});
