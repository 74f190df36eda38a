// Goal: the real sample agent, loaded by this program, gives what it gives pminfo: every value, event,
// text and label of PCP's recordings (tests/fixtures/pmda/local), in the order in which pminfo asks.
import { afterAll, expect } from "bun:test";
import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { asPcpError, PcpError, PM_ERR } from "../../lib/base/mod.ts";
import { type LocalContext, openLocalContext } from "../../lib/context/mod.ts";
import {
  type Atom,
  EventCursor,
  pmEventFlagsStr,
  pmExtractValue,
  pmidBuild,
  pmIDStr,
  type Pmid,
  type ValueSet,
} from "../../lib/pcp/mod.ts";
import { blocks, descLines, describeMetric, showValues } from "../context/pminfo.ts";
import { testWith } from "../helpers/peers.ts";
import { root } from "../helpers/tree.ts";
import { agentPlaces, compiledContext, PMDAS } from "./compiled.ts";

const contexts: LocalContext[] = [];
afterAll(async () => {
  for (const context of contexts) await context.close();
});

const recorded = (file: string): string =>
  readFileSync(join(root, "tests/fixtures/pmda/local", file), "utf8");

async function sampleContext(): Promise<LocalContext> {
  const { names, env } = await agentPlaces();
  const context = await compiledContext(
    `add,29,${PMDAS}/sample/pmda_sample.so,sample_init`,
    names,
    env,
  );
  contexts.push(context);
  return context;
}

/** How often the client asked for names of instances so far, and seconds that have passed. */
const OF_THE_MOMENT = /^sample\.(?:percontext\.|(?:dupnames\.\w+\.)?seconds$|ulonglong\.bin)/;

/** Metrics that pminfo asks for in one fetch. */
const BATCH = 128;

testWith("pcp6", "values and descriptors, out of the fetches that pminfo makes", async () => {
  const context = await sampleContext();
  const names = await context.traverse("sample");
  const expected = blocks(recorded("sample-values.txt"), names);
  expect(expected.size).toBeGreaterThan(180);
  const values = new Map<string, string>();
  for (let at = 0; at < names.length; at += BATCH) {
    const batch = names.slice(at, at + BATCH);
    // Values before descriptors: what the agent counts depends on it.
    const fetched = await context.fetch((await context.lookupNames(batch)).pmids);
    for (const [name, text] of await showValues(context, batch, fetched)) values.set(name, text);
  }
  const wrong: string[] = [];
  for (const [name, block] of expected) {
    const [pmid] = (await context.lookupNames([name])).pmids;
    const desc = await context.desc(pmid as Pmid).catch(asPcpError);
    const text =
      desc instanceof PcpError
        ? `${name}: pmLookupDesc: ${desc.message}`
        : `${name} PMID: ${pmIDStr(desc.pmid)}\n${descLines(desc)}${values.get(name)}`;
    const same = text.trim() === block.trim() || OF_THE_MOMENT.test(name);
    if (!same) wrong.push(`${text}\n--- not\n${block}`);
  }
  expect(wrong).toEqual([]);
});

testWith("pcp6", "texts", async () => {
  const context = await sampleContext();
  const names = await context.traverse("sample");
  const expected = blocks(recorded("sample-text.txt"), names);
  expect(expected.size).toBeGreaterThan(150);
  const wrong: string[] = [];
  for (const [name, block] of expected) {
    const [pmid] = (await context.lookupNames([name])).pmids;
    const of = (level: "oneline" | "help") =>
      context.text("metric", pmid as Pmid, level).catch(asPcpError);
    const [line, help] = [await of("oneline"), await of("help")];
    const first = typeof line === "string" ? `[${line}]` : `One-line Help: Error: ${line.message}`;
    const second =
      typeof help === "string" ? `Help:\n${help}` : `Full Help: Error: ${help.message}`;
    const text = `${name} ${first}\n${second}\n`;
    if (text.trim() !== block.trim()) wrong.push(`${text}\n--- not\n${block}`);
  }
  expect(wrong).toEqual([]);
});

/** Labels of this machine as the recordings have them. */
const masked = (text: string): string =>
  text
    .replaceAll(`"hostname":"${hostname()}"`, '"hostname":"@HOST@"')
    .replaceAll(/"domainname":"[^"]*"/g, '"domainname":"@DOM@"')
    .replaceAll(/"machineid":"[^"]*"/g, '"machineid":"@MID@"')
    .replaceAll(/"(userid|groupid)":\d+/g, '"$1":0');

testWith("pcp6", "labels", async () => {
  const context = await sampleContext();
  const names = await context.traverse("sample");
  const expected = blocks(recorded("sample-labels.txt"), names);
  expect(expected.size).toBeGreaterThan(10);
  for (const [name, block] of expected) {
    // The order of some instances is that of the last fetch.
    await context.fetch((await context.lookupNames([name])).pmids);
    const lines = (await describeMetric(context, name)).split("\n");
    const labels = lines.filter((line) => / labels \{/.test(line));
    expect(masked(`${name}\n${labels.join("\n")}`)).toBe(block.trim());
  }
});

/** The records of a value as `pminfo -x` shows them, those with text. */
async function recordLines(context: LocalContext, set: ValueSet, i: number): Promise<string> {
  const events = new EventCursor(set.bytes, set.block(i));
  let text = "";
  for (let record = 0; events.next(); record++) {
    const flags = `0x${events.flags.toString(16)} (${pmEventFlagsStr(events.flags)})`;
    text += `    --- event record [${record}] timestamp @TIME@ flags ${flags} ---\n`;
    while (events.nextParameter()) {
      const [name] = await context.namesOf(events.pmid);
      const value = Buffer.from(events.data()).toString();
      text += `    ${name} (${pmIDStr(events.pmid)})\n        value "${value}"\n`;
    }
  }
  return text;
}

testWith("pcp6", "events", async () => {
  const context = await sampleContext();
  const names = await context.traverse("sample.event");
  const expected = blocks(recorded("sample-events.txt"), names);
  const { pmids } = await context.lookupNames(names);
  const fetched = await context.fetch(pmids);
  const values = await showValues(context, names, fetched);
  for (const set = fetched.result.sets(); set.next();) {
    const name = names[pmids.indexOf(set.pmid)] ?? "";
    if (!name.endsWith("records")) continue;
    const heads = (values.get(name) ?? "").split(/(?<=\n)/);
    let text = `${name}\n`;
    for (let i = 0; i < set.numval; i++) text += heads[i] + (await recordLines(context, set, i));
    const block = (expected.get(name) ?? "").replaceAll(/@TIME\d@/g, "@TIME@");
    expect(text.replaceAll(/\d\d:\d\d:\d\d\.\d+/g, "@TIME@").trim()).toBe(block.trim());
  }
});

/** The values of one metric by instance. */
async function valuesOf(context: LocalContext, name: string): Promise<Record<number, Atom>> {
  const { pmids } = await context.lookupNames([name]);
  const [pmid] = pmids as [Pmid];
  const { type } = await context.desc(pmid);
  const set = (await context.fetch(pmids)).result.find(pmid);
  const found: Record<number, Atom> = {};
  for (let i = 0; set !== undefined && i < set.numval; i++)
    found[set.instance(i)] = pmExtractValue(set, i, type);
  return found;
}

testWith("pcp6", "values of every type are stored", async () => {
  const context = await sampleContext();
  const store = async (name: string, instances: number[], values: Atom[]): Promise<void> => {
    const [pmid] = (await context.lookupNames([name])).pmids as [Pmid];
    const { type } = await context.desc(pmid);
    const sets = [{ pmid, type, instances, values }];
    await context.store({ timestamp: { sec: 0, nsec: 0 }, sets });
  };
  for (const [type, value] of [
    ["long", -7],
    ["ulong", 4_000_000_000],
    ["longlong", -5_000_000_000n],
    ["ulonglong", 18_000_000_000_000_000_000n],
    ["float", 1.5],
    ["double", 1e300],
    ["string", "något"],
  ] as const) {
    const name = `sample.${type}.write_me`;
    await store(name, [-1], [value]);
    expect(await valuesOf(context, name)).toEqual({ [-1]: value });
  }
  await store("sample.bin", [200, 400], [7, 8]);
  expect(await valuesOf(context, "sample.bin")).toMatchObject({ 100: 100, 200: 7, 400: 8 });
  const refused = async (name: string, instance: number): Promise<number> => {
    const answer = await store(name, [instance], [1]).catch(asPcpError);
    return answer === undefined ? 0 : answer.code;
  };
  expect(await refused("sample.bin", 250)).toBe(PM_ERR.INST);
  expect(await refused("sample.load", -1)).toBe(PM_ERR.PERMISSION);
});

testWith("pcp6", "profiles, and contexts of their own", async () => {
  const context = await sampleContext();
  const [pmid] = (await context.lookupNames(["sample.needprofile"])).pmids as [Pmid];
  const bin = ["sample.bin", "sample.needprofile"] as const;
  expect((await context.fetch([pmid])).result.find(pmid)?.numval).toBe(PM_ERR.PROFILE);
  for (const name of bin) {
    const [one] = (await context.lookupNames([name])).pmids as [Pmid];
    const { indom } = await context.desc(one);
    const { ids } = await context.instances(indom);
    context.deleteProfile(indom);
    const wanted = ids.slice(1, 3);
    context.addProfile(indom, wanted);
    expect(Object.keys(await valuesOf(context, name)).map(Number)).toEqual([...wanted]);
  }
  const other = await context.duplicate();
  const fresh = await other.duplicate();
  expect(Object.keys(await valuesOf(other, "sample.bin")).length).toBe(2);
  const [one] = (await fresh.lookupNames(["sample.bin"])).pmids as [Pmid];
  fresh.addProfile((await fresh.desc(one)).indom);
  expect(Object.keys(await valuesOf(fresh, "sample.bin")).length).toBe(9);
  expect(Object.keys(await valuesOf(context, "sample.bin")).length).toBe(2);
});

testWith("pcp6", "contexts that begin and end", async () => {
  const context = await sampleContext();
  const control = async (): Promise<Atom[]> => {
    const all = ["active", "start", "end"].map((name) => `sample.percontext.control.${name}`);
    const found: Atom[] = [];
    for (const name of all) found.push(...Object.values(await valuesOf(context, name)));
    return found;
  };
  expect(await control()).toEqual([1, 1, 0]);
  const other = await context.duplicate();
  await valuesOf(other, "sample.bin");
  expect(await control()).toEqual([2, 2, 0]);
  // Its agents are those of the first one: they must not end with it.
  const third = await openLocalContext({ agents: context.agents });
  await third.fetch([pmidBuild(29, 0, 6)]);
  await third.close();
  expect(await control()).toEqual([2, 3, 1]);
});
