// Goal: the real sample agent, loaded by this program, gives what it gives pminfo: every value, event,
// text and label of PCP's recordings (tests/fixtures/pmda/local), in the order in which pminfo asks.
import { afterAll, expect } from "bun:test";
import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { asPcpError, PcpError } from "../../lib/base/mod.ts";
import type { LocalContext } from "../../lib/context/mod.ts";
import {
  EventCursor,
  pmEventFlagsStr,
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
