// Goal: what a context interpolates does not depend on what it was asked before: times in any order,
// metrics together or alone, both directions, narrow profiles, other contexts of the same archive;
// steps through an archive read each record a bounded number of times; long searches let other work
// of the process in between; arithmetic of counters is exact at the edges of their types.
import { describe, expect, spyOn, test } from "bun:test";
import { join } from "node:path";
import fc from "fast-check";
import { ArchiveWriter, Volume } from "../../lib/archive/mod.ts";
import { PM_ERR } from "../../lib/base/mod.ts";
import { openArchiveContext } from "../../lib/context/archive.ts";
import { interpolate, type Words } from "../../lib/context/interpolate-value.ts";
import { type ArchiveContext, PM_MODE } from "../../lib/context/mod.ts";
import {
  type Desc,
  indomBuild,
  PM_INDOM_NULL,
  PM_SEM,
  PM_TYPE,
  pmidBuild,
  type Timestamp,
} from "../../lib/pcp/mod.ts";
import { privateFolder } from "../helpers/process.ts";
import { codeOf, setText, stepOf, timeText } from "./archive-client.ts";
import { rejected } from "../helpers/rejected.ts";

const FOLDER = join(import.meta.dir, "../fixtures/archives");
const SECOND = 1_000_000_000;

const after = ({ sec, nsec }: Timestamp, nanoseconds: number): Timestamp => {
  const total = nsec + nanoseconds;
  const carry = Math.floor(total / SECOND);
  return { sec: sec + carry, nsec: total - carry * SECOND };
};

/** One fetch as lines of text, or its code. */
async function fetched(context: ArchiveContext, descs: readonly Desc[]): Promise<string> {
  try {
    const { result } = await context.fetch(descs.map((desc) => desc.pmid));
    const lines = [timeText(result.timestamp)];
    const sets = result.sets();
    for (const desc of descs) if (sets.next()) lines.push(setText(sets, desc));
    return lines.join("\n");
  } catch (error) {
    return String(codeOf(error));
  }
}

async function descsOf(context: ArchiveContext): Promise<readonly Desc[]> {
  const names = await context.traverse("");
  const { pmids } = await context.lookupNames([...names, ""]);
  return (await context.descs(pmids)).slice(0, -1);
}

describe("what was asked before changes nothing", () => {
  test.each([
    "gen/interp-v3",
    "gen/discrete-v3",
    "rec/v3-mark",
    "rec/v2-dyn",
    "rec/v3-types",
    "rec/v3-mv",
    "rec/v3-events",
    "set/a1,set/a2,set/a3",
  ])("%s", async (names) => {
    const archive = names
      .split(",")
      .map((name) => join(FOLDER, name))
      .join(",");
    const context = await openArchiveContext(archive, { env: {} });
    const descs = await descsOf(context);
    const { start } = context.label();
    const end = context.end();
    const span = (end.sec - start.sec) * SECOND + end.nsec - start.nsec;
    const ask = fc.record({
      at: fc.double({ min: -0.05, max: 1.02, noNaN: true }),
      back: fc.boolean(),
      count: fc.integer({ min: 1, max: 4 }),
      picks: fc.array(fc.nat(descs.length - 1), { minLength: 1, maxLength: 5 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(ask, { minLength: 1, maxLength: 8 }), async (asks) => {
        const used = await context.duplicate();
        for (const { at, back, count, picks } of asks) {
          const wanted = picks.map((pick) => descs[pick] as Desc);
          const when = after(start, Math.round(at * span));
          const delta = stepOf((back ? -0.037 : 0.037) * (span / SECOND));
          const fresh = await context.duplicate();
          used.setMode(PM_MODE.INTERP, when, delta);
          fresh.setMode(PM_MODE.INTERP, when, delta);
          for (let i = 0; i < count; i++) {
            expect(await fetched(used, wanted)).toBe(await fetched(fresh, wanted));
          }
          await fresh.close();
        }
        await used.close();
      }),
      { seed: 1709251200, numRuns: 25 },
    );
    await context.close();
  });
});

test("metrics are the same together and alone", async () => {
  const archive = join(FOLDER, "gen/interp-v3");
  const together = await openArchiveContext(archive, { env: {} });
  const descs = await descsOf(together);
  const { start } = together.label();
  together.setMode(PM_MODE.INTERP, start, stepOf(0.7));
  const alone = await Promise.all(
    descs.map(async (desc) => {
      const context = await together.duplicate();
      context.setMode(PM_MODE.INTERP, start, stepOf(0.7));
      return { context, desc };
    }),
  );
  for (let i = 0; i < 22; i++) {
    const [time, ...sets] = (await fetched(together, descs)).split("\n");
    const singles: string[] = [];
    for (const { context, desc } of alone) singles.push(await fetched(context, [desc]));
    expect(singles).toEqual(time === "-12370" ? singles : sets.map((set) => `${time}\n${set}`));
  }
});

const LIVES = indomBuild(29, 1);
const OFTEN: Desc = {
  pmid: pmidBuild(29, 0, 1),
  type: PM_TYPE.U32,
  indom: PM_INDOM_NULL,
  sem: PM_SEM.COUNTER,
  units: 0,
};
const SELDOM: Desc = { ...OFTEN, pmid: pmidBuild(29, 0, 2), sem: PM_SEM.INSTANT };
const SHORT: Desc = { ...OFTEN, pmid: pmidBuild(29, 0, 3), indom: LIVES, sem: PM_SEM.INSTANT };
const FEW: Desc = { ...SHORT, pmid: pmidBuild(29, 0, 4), indom: indomBuild(29, 2) };
const START = 1_700_000_000;

/**
 * One record a second: a metric in each, one in every hundredth, and two whose instances each live
 * for three records, of which one has never 16 at a time.
 */
function longArchive(records: number): string {
  const base = join(privateFolder("interpolate"), "long");
  const label = { version: 3, pid: 1, host: "h", timezone: "UTC", zoneinfo: "" } as const;
  const writer = new ArchiveWriter({ base, label });
  for (const [i, desc] of [OFTEN, SELDOM, SHORT, FEW].entries()) writer.describe(desc, [`m${i}`]);
  for (let i = 0; i < records; i++) {
    const alive = [i, i + 1, i + 2];
    const many = alive.concat(Array.from({ length: 16 }, (_, k) => 1_000_000 + k));
    writer.setInstances(
      FEW.indom,
      alive.map((inst) => [inst, `${inst}`] as const),
    );
    writer.setInstances(
      LIVES,
      many.map((inst) => [inst, `${inst}`] as const),
    );
    const one = (desc: Desc) => ({
      pmid: desc.pmid,
      type: desc.type,
      instances: [-1],
      values: [i],
    });
    const three = (desc: Desc) => ({
      pmid: desc.pmid,
      type: desc.type,
      instances: alive,
      values: alive,
    });
    const sets = [one(OFTEN), three(SHORT), three(FEW)];
    if (i % 100 === 50) sets.push(one(SELDOM));
    writer.append({ timestamp: { sec: START + i, nsec: 0 }, sets });
  }
  writer.finish();
  return base;
}

describe("work grows with the archive, not with its square", () => {
  const RECORDS = 1500;
  test.each([
    ["forwards", 1],
    ["backwards", -1],
  ] as const)("%s", async (_, way) => {
    const context = await openArchiveContext(longArchive(RECORDS), { env: {} });
    const begin = way > 0 ? START : START + RECORDS - 1;
    const read = spyOn(Volume.prototype, "result");
    const stepped = [spyOn(Volume.prototype, "next"), spyOn(Volume.prototype, "previous")];
    try {
      for (const desc of [OFTEN, SELDOM, SHORT, FEW]) {
        for (const spy of [read, ...stepped]) spy.mockClear();
        context.setMode(PM_MODE.INTERP, { sec: begin, nsec: 0 }, stepOf(way * 0.5));
        let values = 0;
        for (let i = 0; i < 2 * RECORDS - 2; i++) {
          const { result } = await context.fetch([desc.pmid]);
          const set = result.sets();
          if (set.next()) values += set.numval;
        }
        expect(values).toBeGreaterThan(RECORDS);
        // Each record is read for each side; short lives end with one search to the end on each side.
        expect(read.mock.calls.length).toBeLessThan(8 * RECORDS);
        const steps = stepped.reduce((sum, spy) => sum + spy.mock.calls.length, 0);
        expect(steps).toBeLessThan(30 * RECORDS);
      }
    } finally {
      for (const spy of [read, ...stepped]) spy.mockRestore();
      await context.close();
    }
  });
});

describe("counters between two values", () => {
  const words = (value: bigint): Words => ({
    high: Number((value >> 32n) & 0xffffffffn),
    low: Number(value & 0xffffffffn),
  });
  const between = (
    type: number,
    prior: bigint,
    next: bigint,
    share: number,
    wrap = false,
  ): bigint => {
    const out = words(0n);
    interpolate(out, type, words(prior), words(next), share, 1, wrap);
    return (BigInt(out.high >>> 0) << 32n) | BigInt(out.low >>> 0);
  };
  const { I32, U32, I64, U64, FLOAT, DOUBLE } = PM_TYPE;

  test("up, down and through zero", () => {
    expect(between(I32, 100n, 200n, 0.25)).toBe(125n);
    expect(between(I32, 0x7fffffffn, 0x80000000n, 0.75)).toBe(0x80000000n);
    expect(between(U32, 1000n, 400n, 0.5)).toBe(700n);
    expect(between(U32, 0xfffffff0n, 0x10n, 0.5, true)).toBe(0n);
    expect(between(U32, 0xfffffff0n, 0x10n, 0.75, true)).toBe(8n);
    expect(between(I32, 0x7ffffff0n, 0x80000010n, 0.5, true)).toBe(0x80000000n);
    expect(between(I64, 10n, 20n, 0.5)).toBe(15n);
    expect(between(I64, 2n ** 63n - 1024n, 2n ** 63n + 1024n, 0.75)).toBe(2n ** 63n);
    expect(between(U64, 2n ** 64n - 6n, 10n, 0.5)).toBe(2n);
    expect(between(U64, 2n ** 64n - 616n, 2n ** 64n - 6n, 0.3)).toBe(2n ** 64n - 432n);
    expect(between(U64, 10n, 4n, 0.5)).toBe(7n);
  });

  test("whole numbers of 64 bits are those of a big integer", () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: 0n, max: 2n ** 50n }),
        fc.bigInt({ min: 0n, max: 2n ** 40n }),
        fc.integer({ min: 0, max: 8 }),
        (prior, change, eighths) => {
          const expected = prior + (change * BigInt(eighths) + 4n) / 8n;
          expect(between(I64, prior, prior + change, eighths / 8)).toBe(expected);
          expect(between(U64, prior, prior + change, eighths / 8)).toBe(expected);
        },
      ),
      { seed: 1709251200 },
    );
  });

  test("numbers with fractions", () => {
    const view = new DataView(new ArrayBuffer(8));
    const bits = (value: number): bigint => {
      view.setFloat64(0, value);
      return view.getBigUint64(0);
    };
    const single = (value: number): bigint => {
      view.setFloat32(0, value);
      return BigInt(view.getUint32(0));
    };
    expect(between(DOUBLE, bits(1.5), bits(2.5), 0.25)).toBe(bits(1.75));
    expect(between(DOUBLE, bits(2.5), bits(1.5), 0.25)).toBe(bits(2.25));
    expect(between(FLOAT, single(0.1), single(0.3), 0.5) & 0xffffffffn).toBe(
      single(Math.fround(0.1) + 0.5 * Math.fround(Math.fround(0.3) - Math.fround(0.1))),
    );
  });
});

test("a long search lets other work in between, and ends when the context is closed", async () => {
  const context = await openArchiveContext(longArchive(20_000), { env: {} });

  context.setMode(PM_MODE.FORW, { sec: START, nsec: 0 });
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  const search = context.fetch([pmidBuild(77, 0, 1)]);
  expect(await rejected(search)).toMatchObject({ code: PM_ERR.EOL });
  clearInterval(timer);
  expect(turns).toBeGreaterThan(0);
  context.setMode(PM_MODE.FORW, { sec: START, nsec: 0 });
  const calls = [context.fetch([pmidBuild(77, 0, 1)]), context.fetch([SELDOM.pmid])];
  const ends = Promise.allSettled(calls);
  await context.close();
  for (const { status, reason } of (await ends) as PromiseRejectedResult[]) {
    expect(status).toBe("rejected");
    expect(reason).toMatchObject({ code: PM_ERR.NOCONTEXT });
  }
});
