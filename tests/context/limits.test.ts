// Goal: contexts in odd conditions: results of other requests, thousands of metrics and of calls, file
// descriptors after use, volumes that begin while an archive is followed, steps of any size, limits of
// derived metrics, instances that come and go under a derived metric.
import { afterEach, expect, test } from "bun:test";
import { appendFileSync, copyFileSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PM_ERR } from "../../lib/base/mod.ts";
import { openArchiveContext } from "../../lib/context/archive.ts";
import { advance } from "../../lib/context/interpolate.ts";
import { newContext, openHostContext, PM_MODE } from "../../lib/context/mod.ts";
import { createDerivedSet } from "../../lib/derived/mod.ts";
import { PM_TYPE, type Pmid, pmidBuild, type Timestamp } from "../../lib/pcp/mod.ts";
import { encodeResult, FROM_ANON } from "../../lib/pdu/mod.ts";
import { type FakeBehaviour, startFakePmcd } from "../helpers/fakepmcd.ts";
import { privateFolder } from "../helpers/process.ts";
import { codeOf } from "./codes.ts";

const FOLDER = join(import.meta.dir, "../fixtures/archives");
const stop: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of stop.splice(0).toReversed()) await end();
});

async function hostWith(behaviour: FakeBehaviour) {
  const pmcd = await startFakePmcd({ behaviour });
  stop.push(() => pmcd.stop());
  const context = await openHostContext(`127.0.0.1:${pmcd.port}`, { env: {} });
  stop.push(() => context.close());
  return context;
}

test("a result of other metrics, or of fewer, is refused and the context goes on", async () => {
  const metrics = [0, 1, 2].map((item) => pmidBuild(250, 0, item));
  let round = 0;
  const answers: readonly (readonly number[])[] = [[0, 1], [0, 1, 2, 0], [0, 2, 1], []];
  const context = await hostWith({
    metrics: 3,
    answer(pdu) {
      const items = pdu.kind === "highres-fetch" ? answers[round++] : undefined;
      if (items === undefined) return undefined;
      const sets = items.map((item) => ({ pmid: metrics[item] as Pmid, error: 0 }));
      return encodeResult(FROM_ANON, { timestamp: { sec: 1, nsec: 2 }, sets }, true);
    },
  });
  for (let i = 0; i < answers.length; i++) {
    expect(await codeOf(context.fetch(metrics))).toBe(PM_ERR.IPC);
  }
  const { result } = await context.fetch(metrics);
  expect(result.numpmid).toBe(3);
  expect(context.sessions).toBe(1);
});

test("thousands of metrics, and thousands of fetches of which all but a bounded number are refused", async () => {
  const context = await hostWith({ metrics: 5000 });
  const names = await context.traverse("");
  expect(names.length).toBe(5000);
  const { pmids } = await context.lookupNames(names);
  const descs = await context.descs(pmids.slice(0, 100));
  expect(descs.map(({ pmid }) => pmid)).toEqual(pmids.slice(0, 100));
  expect((await context.fetch(pmids)).result.numpmid).toBe(5000);
  const [first] = pmids;
  const codes = await Promise.all(
    Array.from({ length: 3000 }, () => codeOf(context.fetch([first as Pmid]))),
  );
  expect(codes.slice(0, 1025)).toEqual(Array.from({ length: 1025 }, () => 0));
  expect(codes.slice(1025).every((code) => code === PM_ERR.TOOBIG)).toBe(true);
});

test("no file stays open behind contexts over archives", async () => {
  const open = (): number => readdirSync("/proc/self/fd").length;
  const before = open();
  const path = join(FOLDER, "rec/v3-mv");
  const context = await openArchiveContext(path, { env: { PCP_IGNORE_MARK_RECORDS: "1min" } });
  const copy = await context.duplicate();
  const { pmids } = await context.lookupNames(["sample.seconds"]);
  for (const each of [context, copy]) {
    for (const mode of [PM_MODE.FORW, PM_MODE.INTERP, PM_MODE.BACK]) {
      each.setMode(mode, mode === PM_MODE.BACK ? each.end() : each.label().start, {
        sec: 1,
        nsec: 0,
      });
      for (let i = 0; i < 3; i++) await each.fetch(pmids);
    }
  }
  expect(open()).toBeGreaterThan(before);
  const unfinished = codeOf(copy.fetch(pmids));
  await Promise.all([context.close(), copy.close()]);
  expect([0, Number(PM_ERR.NOCONTEXT)]).toContain(Number(await unfinished));
  expect(open()).toBe(before);
});

test("a new volume of an archive that grows is read on", async () => {
  const base = join(privateFolder("volumes"), "grow");
  const original = join(FOLDER, "rec/v3-mv");
  for (const part of ["meta", "0"]) copyFileSync(`${original}.${part}`, `${base}.${part}`);
  const index = readFileSync(`${original}.index`);
  writeFileSync(`${base}.index`, index.subarray(0, 840));
  const whole = await openArchiveContext(original, { env: {} });
  const context = await openArchiveContext(base, { env: {}, growing: true });
  const { pmids } = await whole.lookupNames(["sample.seconds"]);
  const times = async (from: typeof whole): Promise<Timestamp[]> => {
    const found: Timestamp[] = [];
    try {
      for (;;) found.push((await from.fetch(pmids)).result.timestamp);
    } catch (error) {
      expect(error).toMatchObject({ code: PM_ERR.EOL });
    }
    return found;
  };
  const all = await times(whole);
  const first = await times(context);
  expect(first.length).toBeGreaterThan(0);
  expect(first.length).toBeLessThan(all.length);
  copyFileSync(`${original}.1`, `${base}.1`);
  appendFileSync(`${base}.index`, index.subarray(840));
  const second = await times(context);
  expect([...first, ...second]).toEqual(all.slice(0, first.length + second.length));
  expect(second.length).toBeGreaterThan(0);
  await context.close();
  await whole.close();
});

test("steps of nothing, of nanoseconds without end, and what is no time", async () => {
  const context = await openArchiveContext(join(FOLDER, "gen/interp-v3"), { env: {} });
  const { pmids } = await context.lookupNames(["t.u32.counter"]);
  const { start } = context.label();
  const later = { sec: start.sec + 1, nsec: 0 };
  context.setMode(PM_MODE.INTERP, later, { sec: 0, nsec: 0 });
  const times = [await context.fetch(pmids), await context.fetch(pmids)];
  expect(times.map(({ result }) => result.timestamp)).toEqual([later, later]);
  context.setMode(PM_MODE.INTERP, later, { sec: 0, nsec: 4_000_000_000_000_000 });
  await context.fetch(pmids);
  expect(context.origin.sec).toBeGreaterThan(later.sec + 3_999_998);
  expect(await codeOf(context.fetch(pmids))).toBe(PM_ERR.EOL);
  context.setMode(PM_MODE.INTERP, later, { sec: -2_000_000_000, nsec: 0 });
  await context.fetch(pmids);
  expect(await codeOf(context.fetch(pmids))).toBe(PM_ERR.EOL);
  for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, 0.5]) {
    const time = { sec: 1, nsec: bad };
    expect(() => context.setMode(PM_MODE.INTERP, time)).toThrow("is no time");
    expect(() => context.setMode(PM_MODE.INTERP, later, time)).toThrow("is no time");
  }
  await context.close();
  expect(advance({ sec: 5, nsec: 999_999_999 }, { sec: 0, nsec: 1 })).toEqual({
    sec: 5,
    nsec: 1_000_000_000,
  });
  expect(advance({ sec: 5, nsec: 0 }, { sec: -1, nsec: -1 })).toEqual({
    sec: 3,
    nsec: 999_999_999,
  });
});

test("a limit of derived metrics is that of the user's", async () => {
  const context = await newContext(
    { type: "archive", archive: join(FOLDER, "gen/interp-v3") },
    { env: { PCP_DERIVED_CONFIG: "" }, derivedLimit: 1 },
  );
  await context.addDerived("a.a", "1+2");
  expect(await codeOf(context.addDerived("a.b", "1+2"))).toBe(PM_ERR.BADDERIVE);
  await context.close();
  for (const scope of ["global", "context"] as const) {
    const set = createDerivedSet(scope, 2);
    const kinds = ["a.a", "a.b", "a.c"].map((name) => set.define(name, "1+2"));
    expect(kinds.map((kind) => "pmid" in kind)).toEqual([true, true, false]);
    expect(kinds[2]).toMatchObject({ reason: expect.stringContaining("Too many") });
  }
});

test("a difference over many instances that come and go", async () => {
  const many = Array.from({ length: 4000 }, (_, i) => i);
  let round = 0;
  const pmcd = await startFakePmcd({
    behaviour: {
      instances: 3,
      answer(pdu) {
        if (pdu.kind !== "highres-fetch") return undefined;
        // Each round lacks the first ones of the round before and has as many new ones.
        const instances = many.map((i) => i + 100 * round).toReversed();
        const values = instances.map((i) => i + 7 * round);
        round++;
        const sets = pdu.pmids.map((pmid) => ({ pmid, type: PM_TYPE.U32, instances, values }));
        return encodeResult(FROM_ANON, { timestamp: { sec: round, nsec: 0 }, sets }, true);
      },
    },
  });
  stop.push(() => pmcd.stop());
  const context = await newContext(
    { type: "host", host: `127.0.0.1:${pmcd.port}` },
    { env: { PCP_DERIVED_CONFIG: "" } },
  );
  stop.push(() => context.close());
  await context.addDerived("my.change", "delta(fake.m0)");
  const { pmids } = await context.lookupNames(["my.change"]);
  await context.fetch(pmids);
  const { result } = await context.fetch(pmids);
  const set = result.sets();
  expect(set.next()).toBe(true);
  expect(set.numval).toBe(3900);
  expect(set.view.getBigInt64(set.block(0) + 4)).toBe(7n);
});
