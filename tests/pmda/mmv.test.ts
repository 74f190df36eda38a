// Goal: the agent mmv tells of memory-mapped value files what PCP's own agent tells: names,
// descriptors, instances, labels, help and values, of all three versions; files that come, go, change
// or make no sense leave the others alone.
import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, renameSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { asPcpError, PM_ERR } from "../../lib/base/mod.ts";
import {
  asInstance,
  labelsOf,
  PM_IN_NULL,
  PM_LABEL,
  PM_SEM,
  PM_TYPE,
  pmDescStr,
  pmExtractValue,
  pmIDStr,
  ResultView,
  ResultWriter,
} from "../../lib/pcp/mod.ts";
import { createProfile } from "../../lib/pdu/mod.ts";
import { MMV_ELAPSED, MMV_FLAG, parseMmv } from "../../lib/pmda/agents/mmv/file.ts";
import { mmv } from "../../lib/pmda/agents/mmv/mmv.ts";
import { openAgent, type RunningAgent } from "../../lib/pmda/mod.ts";
import { testWith } from "../helpers/peers.ts";
import { run } from "../helpers/process.ts";
import { mmvFile, type Written, type WrittenMetric } from "./mmv-file.ts";

const top = mkdtempSync(join(tmpdir(), "pcpbox-mmv-"));
const folder = join(top, "mmv");
const by = { context: 0, profile: createProfile() };
const COUNT = 0x00100000;
const SECONDS = 0x01003000;

const METRICS: readonly WrittenMetric[] = [
  {
    name: "a.i32",
    item: 1,
    type: PM_TYPE.I32,
    sem: PM_SEM.COUNTER,
    units: COUNT,
    oneline: "short",
    help: "long",
    values: { [-1]: -5 },
  },
  { name: "u32", item: 2, type: PM_TYPE.U32, values: { [-1]: -2 } },
  { name: "i64", item: 3, type: PM_TYPE.I64, oneline: "only short", values: { [-1]: -77n } },
  { name: "u64", item: 4, type: PM_TYPE.U64, help: "only long", values: { [-1]: -1n } },
  { name: "float", item: 5, type: PM_TYPE.FLOAT, values: { [-1]: 1.5 } },
  {
    name: "double",
    item: 6,
    type: PM_TYPE.DOUBLE,
    sem: PM_SEM.DISCRETE,
    units: SECONDS,
    values: { [-1]: 2.25 },
  },
  {
    name: "text",
    item: 7,
    type: PM_TYPE.STRING,
    sem: PM_SEM.DISCRETE,
    values: { [-1]: "hello world" },
  },
  {
    name: "elapsed",
    item: 8,
    type: MMV_ELAPSED,
    sem: PM_SEM.COUNTER,
    units: 0x01001000,
    values: { [-1]: 1000n },
  },
  {
    name: "set",
    item: 9,
    type: PM_TYPE.U64,
    indom: 12,
    oneline: "a set",
    values: { 3: 33n, 1: 11n, 5: 55n },
  },
  { name: "odd", item: 10, type: -1 },
];
const INDOMS: Written["indoms"] = {
  12: {
    instances: [
      [3, "three"],
      [1, "one more"],
      [5, "five"],
    ],
    oneline: "a domain",
    help: "of three",
  },
};
const plain = (version: 1 | 2 | 3, more: Partial<Written> = {}): Written => ({
  version,
  metrics: METRICS,
  indoms: INDOMS,
  ...more,
});
const put = (name: string, written: Written | Uint8Array): void => {
  const path = join(folder, name);
  writeFileSync(`${top}/new`, written instanceof Uint8Array ? written : mmvFile(written));
  renameSync(`${top}/new`, path);
};

let log: string[] = [];
const agents: RunningAgent[] = [];
async function open(): Promise<RunningAgent> {
  const agent = await openAgent(mmv, {
    domain: 70,
    env: { PCP_TMP_DIR: top },
    log: (_level, text) => void log.push(text),
  });
  agents.push(agent);
  return agent;
}
async function valuesOf(
  agent: RunningAgent,
  name: string,
): Promise<Record<number, unknown> | number> {
  const pmid = (await agent.names?.lookup(name, by)) ?? expect.unreachable();
  const writer = new ResultWriter();
  await agent.fetch([pmid], by, writer);
  const set = new ResultView(writer.finish(0), { sec: 0, nsec: 0 }, 1, 0).sets();
  set.next();
  const { type } = await agent.desc(pmid, by);
  if (set.numval <= 0) return set.numval;
  return Object.fromEntries(
    Array.from({ length: set.numval }, (_, i) => [set.instance(i), pmExtractValue(set, i, type)]),
  );
}
const namesOf = async (agent: RunningAgent): Promise<readonly string[]> =>
  (await agent.names?.traverse("mmv", by)) ?? [];

beforeEach(() => {
  log = [];
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
});
afterAll(async () => {
  for (const agent of agents) await agent.close?.();
  rmSync(top, { recursive: true, force: true });
});

describe.each([1, 2, 3] as const)("version %i", (version) => {
  test("names, values, instances, texts", async () => {
    put("one", plain(version));
    const agent = await open();
    expect(await namesOf(agent)).toEqual([
      ...METRICS.map(({ name }) => `mmv.one.${name}`).reverse(),
      "mmv.control.files",
      "mmv.control.debug",
      "mmv.control.reload",
    ]);
    const values: Record<string, unknown> = {};
    for (const { name } of METRICS) values[name] = await valuesOf(agent, `mmv.one.${name}`);
    const single = (value: unknown) => ({ [PM_IN_NULL]: value });
    expect(values).toEqual({
      "a.i32": single(-5),
      u32: single(0xfffffffe),
      i64: single(-77n),
      u64: single(0xffffffffffffffffn),
      float: single(1.5),
      double: single(2.25),
      text: single("hello world"),
      elapsed: single(1000n),
      set: { 1: 11n, 3: 33n, 5: 55n },
      odd: PM_ERR.INST,
    });
    const pmid = (await agent.names?.lookup("mmv.one.set", by)) ?? expect.unreachable();
    const { indom } = await agent.desc(pmid, by);
    expect(await agent.instances(indom, by)).toEqual({
      ids: [3, 1, 5].map(asInstance),
      names: ["three", "one more", "five"],
    });
    expect(await agent.text("instance domain", indom, "help", by)).toBe("of three");
    expect(await agent.text("metric", pmid, "oneline", by)).toBe("a set");
  });

  testWith("pcp6", "equal to PCP's own agent", async () => {
    put("one", plain(version));
    put("two", plain(version, { cluster: 321, flags: MMV_FLAG.NO_PREFIX }));
    const agent = await open();
    writeFileSync(`${top}/pmns`, "root { mmv 70:*:* }\n");
    const real = await run(
      [
        "pminfo",
        "-L",
        "-n",
        `${top}/pmns`,
        "-K",
        "clear",
        "-K",
        "add,70,/var/lib/pcp/pmdas/mmv/pmda_mmv.so,mmv_init",
        "-dmf",
        "mmv",
      ],
      { env: { ...process.env, PCP_TMP_DIR: top } },
    );
    const ours: string[] = [];
    for (const name of await namesOf(agent)) {
      const pmid = (await agent.names?.lookup(name, by)) ?? expect.unreachable();
      const desc = pmDescStr(await agent.desc(pmid, by));
      ours.push(`${name} PMID: ${pmIDStr(pmid)}\n${desc}`);
    }
    const heads = real.stdout
      .split("\n\n")
      .map((part) => part.trim().split("\n").slice(0, 3).join("\n").trimEnd());
    // pminfo ends after the type of a metric that has none.
    const tidy = (text: string): string =>
      text
        .replace(/(Not Supported)[^]*/, "$1")
        .replace(/\s+/g, " ")
        .trim();
    expect(
      heads
        .map(tidy)
        .filter((head) => head !== "")
        .sort(),
    ).toEqual(ours.map(tidy).sort());
  });
});

test("labels of version 3", async () => {
  const labels = [
    { flags: PM_LABEL.CLUSTER, identity: 55, json: '{"c":1}' },
    { flags: PM_LABEL.ITEM, identity: 1, json: '{"i":"x"}' },
    { flags: PM_LABEL.ITEM, identity: 1, json: '{"j":null}' },
    { flags: PM_LABEL.INDOM, identity: 12, json: '{"d":true}' },
    { flags: PM_LABEL.INSTANCES, identity: 12, instance: 3, json: '{"t":3}' },
    { flags: PM_LABEL.ITEM, identity: 2, json: "{bad" },
  ];
  put("one", plain(3, { cluster: 55, labels }));
  const agent = await open();
  const set = (await agent.names?.lookup("mmv.one.set", by)) ?? expect.unreachable();
  const { indom } = await agent.desc(set, by);
  const texts = async (level: number, ident: number): Promise<string[][]> =>
    (await agent.labels(level, ident, by)).map((each) =>
      labelsOf(each).map(({ name, value }) => `${name}=${value}`),
    );
  const item = (await agent.names?.lookup("mmv.one.a.i32", by)) ?? expect.unreachable();
  expect(await texts(PM_LABEL.CLUSTER, item)).toEqual([["c=1"]]);
  expect(await texts(PM_LABEL.ITEM, item)).toEqual([['i="x"', "j=null"]]);
  expect(await texts(PM_LABEL.INDOM, indom)).toEqual([["d=true"]]);
  expect(await texts(PM_LABEL.INSTANCES, indom)).toEqual([["t=3"], [], []]);
});

test("a sentinel is no value, an elapsed time goes on", async () => {
  const ones = new Uint8Array(8).fill(0xff);
  put("s", {
    version: 2,
    flags: MMV_FLAG.SENTINEL,
    metrics: [
      { name: "hidden", item: 1, type: PM_TYPE.U64, values: { [-1]: ones } },
      { name: "float", item: 2, type: PM_TYPE.DOUBLE, values: { [-1]: ones } },
      { name: "runs", item: 3, type: MMV_ELAPSED, extra: -1n, values: { [-1]: 0n } },
    ],
  });
  const agent = await open();
  const elapsed = (await agent.names?.lookup("mmv.s.runs", by)) ?? expect.unreachable();
  expect(await agent.desc(elapsed, by)).toMatchObject({ sem: PM_SEM.COUNTER, units: 0x01001000 });
  expect(await valuesOf(agent, "mmv.s.hidden")).toBe(0);
  expect(await valuesOf(agent, "mmv.s.float")).toEqual({ [PM_IN_NULL]: Number.NaN });
  const runs = await valuesOf(agent, "mmv.s.runs");
  expect(Number(Object.values(runs)[0])).toBeGreaterThan(1.7e15);
});

test("files come, change, lose their process, and go", async () => {
  const agent = await open();
  expect(await valuesOf(agent, "mmv.control.files")).toEqual({ [PM_IN_NULL]: 0 });
  put("one", plain(2));
  expect(await valuesOf(agent, "mmv.one.a.i32")).toEqual({ [PM_IN_NULL]: -5 });
  put("one", {
    version: 2,
    generations: [8n, 8n],
    metrics: [{ name: "b", item: 1, type: PM_TYPE.I32, values: { [-1]: 8 } }],
  });
  expect(await valuesOf(agent, "mmv.one.b")).toEqual({ [PM_IN_NULL]: 8 });
  expect(await valuesOf(agent, "mmv.control.files")).toEqual({ [PM_IN_NULL]: 1 });
  put("dead", plain(2, { flags: MMV_FLAG.PROCESS, pid: 2 ** 22 + 1 }));
  expect(await valuesOf(agent, "mmv.control.files")).toEqual({ [PM_IN_NULL]: 1 });
  rmSync(join(folder, "one"));
  expect(await valuesOf(agent, "mmv.control.files")).toEqual({ [PM_IN_NULL]: 0 });
  const lookup = async () => agent.names?.lookup("mmv.one.b", by);
  expect(
    await lookup().then(
      () => 0,
      (error: unknown) => asPcpError(error).code,
    ),
  ).toBe(PM_ERR.NAME);
});

test("what makes no sense is named and left out", async () => {
  const good = mmvFile(plain(2));
  put("bytes", new Uint8Array(100));
  put("cut", good.subarray(0, 300));
  put("future", plain(2, { generations: [1n, 2n] }));
  put("good", good);
  put("name-with-dash", plain(2, { metrics: METRICS.slice(0, 1), indoms: {} }));
  const agent = await open();
  expect(await valuesOf(agent, "mmv.good.a.i32")).toEqual({ [PM_IN_NULL]: -5 });
  expect(log.map((line) => line.replace(folder, ""))).toEqual([
    "/bytes: offset 0: no tag MMV, ignored",
    expect.stringContaining("/cut: offset "),
    "/future: offset 16: the file is being written, ignored",
    "invalid metric[0] name in /name-with-dash (a.i32), ignored",
  ]);
});

test("a file that its program cuts short has no values, and nothing else happens", async () => {
  put("one", plain(2));
  const agent = await open();
  truncateSync(join(folder, "one"), 400);
  expect(await valuesOf(agent, "mmv.one.a.i32")).toBe(PM_ERR.VALUE);
  expect(await valuesOf(agent, "mmv.control.files")).toEqual({ [PM_IN_NULL]: 1 });
});

test("every cut of a file is refused with an offset", () => {
  const good = mmvFile(plain(3, { labels: [{ flags: 8, identity: 1, json: "{}" }] }));
  expect(parseMmv(good).metrics.length).toBe(METRICS.length);
  for (let size = 0; size < good.length; size += 7) {
    try {
      parseMmv(good.subarray(0, size));
      expect.unreachable();
    } catch (error) {
      expect(asPcpError(error).message).toMatch(/offset \d+: /);
    }
  }
});
