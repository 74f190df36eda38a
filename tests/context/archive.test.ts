// Goal: every call of a context over archives: names in PCP's order, instances at the origin and of
// all times, matching of instance names, texts, labels, zone and host, modes, profiles, whole records,
// duplicates, and an archive that grows while it is read; each refusal has its code.
import { describe, expect, test } from "bun:test";
import { appendFileSync, copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PM_ERR } from "../../lib/base/mod.ts";
import { openArchiveContext } from "../../lib/context/archive.ts";
import { type ArchiveContext, type Mode, PM_MODE } from "../../lib/context/mod.ts";
import {
  asInstance,
  asPmid,
  indomBuild,
  PM_ID_NULL,
  PM_INDOM_NULL,
  PM_LABEL,
  type Pmid,
  pmidBuild,
  type ResultView,
} from "../../lib/pcp/mod.ts";
import { privateFolder } from "../helpers/process.ts";
import { codeOf, stepOf } from "./archive-client.ts";
import { rejected } from "../helpers/rejected.ts";

const FOLDER = join(import.meta.dir, "../fixtures/archives");
const open = (name: string): Promise<ArchiveContext> =>
  openArchiveContext(
    name.split(",").map((each) => join(FOLDER, each)),
    { env: {} },
  );
const dynamic = await open("rec/v3-dyn");
const interp = await open("gen/interp-v3");
const PROC = indomBuild(29, 12);
const INST = (await interp.desc((await interp.lookupNames(["inst.instant"])).pmids[0] as Pmid))
  .indom;
const BASE = interp.label().start.sec;

const pmidOf = async (context: ArchiveContext, name: string): Promise<Pmid> =>
  (await context.lookupNames([name])).pmids[0] as Pmid;

async function refused(call: Promise<unknown>, code: number): Promise<void> {
  expect(await rejected(call)).toMatchObject({ code });
}

/** Instances of the first set of a result. */
function instancesOf(result: ResultView): number[] {
  const set = result.sets();
  set.next();
  return Array.from({ length: set.numval }, (_, i) => set.instance(i));
}

describe("names and descriptors", () => {
  test("new names stand before their siblings, libpcp's own come last", async () => {
    expect(await dynamic.children("")).toEqual({
      names: ["sample", "pmcd", "event"],
      statuses: [1, 1, 1],
    });
    expect(await dynamic.children("event")).toEqual({
      names: ["flags", "missed"],
      statuses: [0, 0],
    });
    expect(await dynamic.children("pmcd.pid")).toEqual({ names: [], statuses: [] });
    expect((await dynamic.traverse("")).slice(-3)).toEqual([
      "pmcd.pmlogger.host",
      "event.flags",
      "event.missed",
    ]);
    expect(await dynamic.traverse("event")).toEqual(["event.flags", "event.missed"]);
    expect(await dynamic.traverse("pmcd.pid")).toEqual(["pmcd.pid"]);
    await refused(dynamic.traverse("nosuch"), PM_ERR.NAME);
    await refused(dynamic.children("pmcd.nosuch"), PM_ERR.NAME);
  });

  test("all names of a metric, in the reverse of that order", async () => {
    expect(await dynamic.namesOf(pmidBuild(29, 0, 2))).toEqual([
      "sample.dupnames.two.seconds",
      "sample.seconds",
    ]);
    expect(await dynamic.namesOf(pmidBuild(511, 0, 1))).toEqual(["event.flags"]);
    await refused(dynamic.namesOf(pmidBuild(1, 2, 3)), PM_ERR.PMID);
  });

  test("lookups: one name is an error, several are counted", async () => {
    await refused(dynamic.lookupNames([]), PM_ERR.TOOSMALL);
    await refused(dynamic.lookupNames(["nosuch"]), PM_ERR.NAME);
    await refused(dynamic.lookupNames(["sample"]), PM_ERR.NONLEAF);
    expect(await dynamic.lookupNames(["sample", "sample.seconds", "event.missed"])).toEqual({
      pmids: [PM_ID_NULL, pmidBuild(29, 0, 2), pmidBuild(511, 0, 2)],
      resolved: 2,
    });
    await refused(dynamic.desc(pmidBuild(1, 2, 3)), PM_ERR.PMID_LOG);
    await refused(dynamic.descs([pmidBuild(1, 2, 3)]), PM_ERR.PMID_LOG);
    const descs = await dynamic.descs([pmidBuild(1, 2, 3), pmidBuild(511, 0, 1)]);
    expect(descs).toMatchObject([{ pmid: PM_ID_NULL }, { type: 1, sem: 4, indom: PM_INDOM_NULL }]);
  });
});

describe("instances", () => {
  test("at the origin, and of all times", async () => {
    const context = await dynamic.duplicate();
    await refused(context.instances(PROC), PM_ERR.INDOM_LOG);
    await refused(context.instances(PM_INDOM_NULL), PM_ERR.INDOM);
    await refused(context.archiveInstances(PM_INDOM_NULL), PM_ERR.INDOM);
    await refused(context.archiveInstances(indomBuild(1, 2)), PM_ERR.INDOM_LOG);
    const all = await context.archiveInstances(PROC);
    expect(all.ids.length).toBe(15);
    expect(all.names[0]).toBe("0001 init");
    context.setMode(PM_MODE.FORW, context.end());
    const last = await context.instances(PROC);
    expect(last.ids.length).toBeLessThan(15);
    expect(await context.instanceName(PROC, last.ids[0] ?? asInstance(0))).toBe(
      last.names[0] ?? "",
    );
    await refused(context.instanceName(PROC, asInstance(7)), PM_ERR.INST_LOG);
    expect(await context.archiveInstanceName(PROC, asInstance(7))).toBe("0007 /usr/bin/waldo");
    await refused(context.archiveInstanceName(PROC, asInstance(99)), PM_ERR.INST_LOG);
  });

  test("a name is found whole, or when it begins with another's first word", async () => {
    for (const [name, instance] of [
      ["0007 /usr/bin/waldo", 7],
      ["0007", 7],
      ["00071", 7],
    ] as const) {
      expect(await dynamic.archiveInstanceId(PROC, name)).toBe(asInstance(instance));
    }
    for (const name of ["000", "waldo", ""]) {
      await refused(dynamic.archiveInstanceId(PROC, name), PM_ERR.INST_LOG);
    }
    const context = await dynamic.duplicate();
    context.setMode(PM_MODE.FORW, context.end());
    expect(await context.instanceId(PROC, "0001")).toBe(asInstance(1));
    await refused(context.instanceId(PROC, "0007"), PM_ERR.INST_LOG);
    await refused(context.archiveInstanceId(indomBuild(1, 2), "x"), PM_ERR.INDOM_LOG);
  });
});

describe("texts, labels, host and zone", () => {
  test("texts have two codes for their lack", async () => {
    const context = await open("rec/v3-labels");
    const pmid = pmidBuild(60, 1, 11);
    expect(await context.text("metric", pmid, "oneline")).toBe("Memory page size");
    expect(await context.text("metric", pmid, "help")).toStartWith("The memory page size of");
    expect(await context.text("instance domain", indomBuild(60, 3), "oneline", true)).toBe(
      "set of network interfaces",
    );
    await refused(context.text("metric", asPmid(77), "help"), PM_ERR.TEXT);
    await refused(interp.text("metric", pmid, "help"), PM_ERR.NOTHOST);
    await refused(interp.text("instance domain", PROC, "oneline", true), PM_ERR.NOTHOST);
  });

  test("labels of the context that the import library wrote under identifier 0", async () => {
    const path = join(import.meta.dir, "../fixtures/series/archives/edge");
    const context = await openArchiveContext([path], { env: {} });
    const [set] = await context.labels(PM_LABEL.CONTEXT, 0);
    expect(Buffer.from(set?.json ?? []).toString()).toContain('"level":"context"');
    await context.close();
  });

  test("labels are those of the origin; without any the host is the label", async () => {
    const context = await open("rec/v3-labels");
    expect(await context.labels(PM_LABEL.CONTEXT, 0)).toEqual([]);
    context.setMode(PM_MODE.FORW, context.end());
    expect((await context.labels(PM_LABEL.CONTEXT, 0)).length).toBe(1);
    expect((await context.labels(PM_LABEL.INSTANCES, indomBuild(29, 1))).length).toBe(3);
    expect(await context.labels(PM_LABEL.DOMAIN, 77)).toEqual([]);
    const [set] = await interp.labels(PM_LABEL.CONTEXT, 0);
    expect(Buffer.from(set?.json ?? []).toString()).toBe('{"hostname":"interp.example.com"}');
    expect(await interp.labels(PM_LABEL.ITEM, pmidBuild(29, 0, 2))).toEqual([]);
  });

  test("host and zone are those of the member that is read", async () => {
    const context = await open("set/a1,set/a2-tz");
    expect(await context.hostName()).toBe(context.label().host);
    const first = (await context.zone()).name;
    context.setMode(PM_MODE.BACK, context.end());
    await context.fetchArchive();
    const second = (await context.zone()).name;
    expect(second).not.toBe(first);
    context.setMode(PM_MODE.INTERP, context.label().start, stepOf(1));
    expect((await context.zone()).name).toBe(first);
    context.setMode(PM_MODE.INTERP, context.end(), stepOf(1));
    expect((await context.zone()).name).toBe(second);
    expect(context.name).toContain(",");
    await context.close();
  });
});

describe("modes and profiles", () => {
  test("only modes of archives, and whole records not between them", async () => {
    const context = await interp.duplicate();
    expect(() => context.setMode(PM_MODE.LIVE)).toThrow(
      expect.objectContaining({ code: PM_ERR.MODE }),
    );
    context.setMode(PM_MODE.INTERP);
    await refused(context.fetchArchive(), PM_ERR.MODE);
    await refused(context.fetch([]), PM_ERR.TOOSMALL);
    await refused(context.store({ timestamp: { sec: 0, nsec: 0 }, sets: [] }), PM_ERR.NOTHOST);
    await refused(context.addDerived("a", "b"), PM_ERR.GENERIC);
    await context.reconnect();
    expect(context.mode).toBe(PM_MODE.INTERP);
  });

  test("fetches come in the order asked for, marks and other records are stepped over", async () => {
    const context = await interp.duplicate();
    const wanted = [await pmidOf(context, "inst.instant"), asPmid(77)];
    wanted.push(await pmidOf(context, "t.u32.counter"), wanted[0] as Pmid);
    context.setMode(PM_MODE.FORW, { sec: BASE + 5, nsec: 0 });
    const { result } = await context.fetch(wanted);
    expect(result.timestamp).toEqual({ sec: BASE + 10, nsec: 0 });
    expect(context.origin).toEqual(result.timestamp);
    const numvals: number[] = [];
    for (const set = result.sets(); set.next();) numvals.push(set.numval);
    expect(numvals).toEqual([2, 0, 1, 2]);
    expect((await context.fetchArchive()).numpmid).toBe(0);
    const whole = await context.fetchArchive();
    expect(whole.find(wanted[2] as Pmid)?.word(0)).toBe(1000);
    // Turned round, the record that was last is given again.
    context.setMode(PM_MODE.BACK);
    expect((await context.fetchArchive()).timestamp).toEqual(whole.timestamp);
    await refused((await interp.duplicate()).fetch([asPmid(77)]), PM_ERR.EOL);
  });

  test("profiles filter fetches in all modes, but no whole records", async () => {
    const context = await interp.duplicate();
    const pmid = await pmidOf(context, "inst.instant");
    context.deleteProfile(INST);
    context.addProfile(INST, [asInstance(2)]);
    context.setMode(PM_MODE.FORW, { sec: BASE + 4, nsec: 0 });
    expect(instancesOf((await context.fetch([pmid])).result)).toEqual([2]);
    expect((await context.fetchArchive()).find(pmid)?.numval).toBe(2);
    context.setMode(PM_MODE.INTERP, { sec: BASE + 4, nsec: 500_000_000 }, stepOf(1));
    expect(instancesOf((await context.fetch([pmid])).result)).toEqual([2]);
    context.addProfile(INST);
    expect(instancesOf((await context.fetch([pmid])).result)).toEqual([1, 2]);
    const other = await context.duplicate();
    expect(other.origin).toEqual({ sec: BASE + 6, nsec: 500_000_000 });
    context.deleteProfile(INST);
    expect(instancesOf((await other.fetch([pmid])).result)).toEqual([1, 2]);
    expect(instancesOf((await context.fetch([pmid])).result)).toEqual([]);
  });

  test("calls are served in their order, also changes of mode", async () => {
    const context = await interp.duplicate();
    const pmid = await pmidOf(context, "t.u32.counter");
    const first = context.fetch([pmid]);
    context.setMode(PM_MODE.BACK, context.end());
    const second = context.fetch([pmid]);
    context.setMode(PM_MODE.INTERP, { sec: BASE, nsec: 500_000_000 }, stepOf(1));
    const third = context.fetch([pmid]);
    const values: (number | undefined)[] = [];
    for (const { result } of await Promise.all([first, second, third])) {
      values.push(result.find(pmid)?.word(0));
    }
    expect(values).toEqual([100, 1200, 150]);
  });

  test("a context that was closed refuses", async () => {
    const context = await interp.duplicate();
    await context.close();
    await context.close();
    await refused(context.traverse(""), PM_ERR.NOCONTEXT);
    expect(() => context.setMode(PM_MODE.FORW)).toThrow(
      expect.objectContaining({ code: PM_ERR.NOCONTEXT }),
    );
  });
});

test("an archive that grows is read on after its end", async () => {
  const base = join(privateFolder("growing"), "grow");
  const original = join(FOLDER, "rec/v3-types");
  for (const part of [".meta", ".index"]) copyFileSync(`${original}${part}`, `${base}${part}`);
  const volume = readFileSync(`${original}.0`);
  const whole = await open("rec/v3-types");
  const times: number[] = [];
  const ends: number[] = [808];
  for (let at = 808; at < volume.length; at += volume.readInt32BE(at)) {
    ends.push(at + volume.readInt32BE(at));
    times.push((await whole.fetchArchive()).timestamp.nsec);
  }
  // In the middle of a record.
  let written = (ends[3] ?? 0) + 30;
  writeFileSync(`${base}.0`, volume.subarray(0, written));
  const context = await openArchiveContext(base, { env: {}, growing: true });
  const end = context.end();
  expect(end.nsec).toBe(times[2] ?? 0);
  const found: number[] = [];
  for (let round = 3; round < ends.length; round++) {
    for (;;) {
      const record = await context.fetchArchive().catch((error: unknown) => error);
      if (!(record instanceof Object && "timestamp" in record)) {
        expect(record).toMatchObject({ code: PM_ERR.EOL });
        break;
      }
      found.push((record as ResultView).timestamp.nsec);
    }
    expect(found).toEqual(times.slice(0, found.length));
    const until = Math.min((ends[round + 1] ?? 0) + 30, volume.length);
    appendFileSync(`${base}.0`, volume.subarray(written, until));
    written = Math.max(written, until);
  }
  expect(found.length).toBeGreaterThan(times.length - 2);
  const pmid = await pmidOf(context, "sample.seconds");
  context.setMode(PM_MODE.INTERP, end, stepOf(0.5));
  const { result } = await context.fetch([pmid]);
  expect(result.find(pmid)?.numval).toBe(1);
  await context.close();
});

describe("damage inside a record", () => {
  const folder = privateFolder("damage");
  for (const name of ["a1", "a2", "a3"]) {
    for (const part of ["0", "meta", "index"]) {
      copyFileSync(join(FOLDER, "set", `${name}.${part}`), join(folder, `${name}.${part}`));
    }
  }
  const broken = join(folder, "a2.0");
  const bytes = readFileSync(broken);
  let at = 808;
  for (let i = 0; i < 4; i++) at += bytes.readInt32BE(at);
  bytes.writeInt32BE(999, at + 16);
  writeFileSync(broken, bytes);
  const times = async (names: readonly string[], mode: Mode): Promise<(number | string)[]> => {
    const context = await openArchiveContext(
      names.map((name) => join(folder, name)),
      { env: {} },
    );
    context.setMode(mode, mode === PM_MODE.BACK ? context.end() : context.origin);
    const found: (number | string)[] = [];
    for (;;) {
      try {
        const { timestamp, numpmid } = await context.fetchArchive();
        found.push(numpmid === 0 ? "mark" : timestamp.sec);
      } catch (error) {
        found.push(`err ${codeOf(error)}`);
        await context.close();
        return found;
      }
    }
  };

  test("of a single archive is the caller's", async () => {
    const found = await times(["a2"], PM_MODE.FORW);
    expect(found.length).toBe(5);
    expect(found.at(-1)).toBe(`err ${PM_ERR.LOGREC}`);
  });

  test.each([
    ["forwards", PM_MODE.FORW],
    ["backwards", PM_MODE.BACK],
  ] as const)("of a member takes it out, %s", async (_, mode) => {
    const sound = await times(["a1", "a3"], mode);
    const all = await times(["a1", "a2", "a3"], mode);
    expect(all.at(-1)).toBe(`err ${PM_ERR.EOL}`);
    expect(all.length).toBeGreaterThan(sound.length);
    expect(new Set(all).isSupersetOf(new Set(sound))).toBe(true);
    const last = await times(mode === PM_MODE.FORW ? ["a1", "a2"] : ["a2", "a3"], mode);
    expect(last.at(-1)).toBe(`err ${PM_ERR.EOL}`);
  });

  test("of a member is passed over by interpolation", async () => {
    const context = await openArchiveContext(`${folder}/a1,${folder}/a2,${folder}/a3`, { env: {} });
    const pmid = await pmidOf(context, "sample.seconds");
    for (const way of [1, -1]) {
      const start = way > 0 ? context.label().start : context.end();
      context.setMode(PM_MODE.INTERP, start, stepOf(way * 0.4));
      let values = 0;
      const reads = async (): Promise<never> => {
        for (;;) values += (await context.fetch([pmid])).result.find(pmid)?.numval ?? 0;
      };
      await refused(reads(), PM_ERR.EOL);
      expect(values).toBeGreaterThan(4);
    }
  });
});
