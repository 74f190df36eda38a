// Goal: sample answers the recorded session with dbpmda byte by byte, times, help and the names of
// newer releases aside, and its stores, errors and changing domains follow their rules (spec pmda.md
// 18.4).
import { expect, test } from "bun:test";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PcpError, PM_ERR } from "../../lib/base/mod.ts";
import {
  asInstance,
  type Atom,
  indomBuild,
  PM_IN_NULL,
  PM_INDOM_NULL,
  PM_LABEL,
  PM_TYPE,
  pmExtractValue,
  type Pmid,
  pmidBuild,
  ResultView,
  ResultWriter,
} from "../../lib/pcp/mod.ts";
import { createProfile, decodePdu, encodeResult } from "../../lib/pdu/mod.ts";
import { randomNumbers } from "../../lib/pmda/agents/sample/behaviour.ts";
import { parseDynamic } from "../../lib/pmda/agents/sample/domains.ts";
import { FACTS } from "../../lib/pmda/agents/sample/table.ts";
import { builtinAgent, type Caller, openAgent, type RunningAgent } from "../../lib/pmda/mod.ts";
import { waitUntil } from "../helpers/ports.ts";
import { privateFolder } from "../helpers/process.ts";
import { recording, replay } from "./replay.ts";

const DOMAIN = 29;
const everything: Caller = { context: 0, profile: createProfile() };
const pmid = (item: number): Pmid => pmidBuild(DOMAIN, 0, item);

async function open(env: Record<string, string> = {}, end?: () => void): Promise<RunningAgent> {
  const agent = builtinAgent("sample");
  if (agent === undefined) throw new Error("no agent sample");
  return openAgent(await agent.load(), {
    domain: DOMAIN,
    env: { PCP_PMDAS_DIR: "/nowhere", PCP_SYSCONF_DIR: "/nowhere", ...env },
    ...(end !== undefined && { end }),
  });
}

/** Values by instance, or the code of the metric. */
type Values = readonly (readonly [instance: number, value: Atom])[] | number;

async function fetch(
  agent: RunningAgent,
  items: readonly number[],
  by = everything,
  typed: number | undefined = undefined,
) {
  const out = new ResultWriter();
  await agent.fetch(items.map(pmid), by, out);
  const sets = new ResultView(out.finish(0), { sec: 0, nsec: 0 }, out.count, 0).sets();
  return items.map((item): Values => {
    expect(sets.next()).toBe(true);
    expect(sets.pmid).toBe(pmid(item));
    if (sets.numval <= 0) return sets.numval;
    const type = typed ?? FACTS.find((fact) => fact.item === item)?.type ?? 0;
    return Array.from({ length: sets.numval }, (_, i) => {
      const value = pmExtractValue(sets, i, type, type);
      return [sets.instance(i), typeof value === "object" ? value.slice() : value] as const;
    });
  });
}

/** The value of a metric that has one. */
async function valueOf(agent: RunningAgent, item: number): Promise<Atom | number> {
  const [values] = await fetch(agent, [item]);
  return typeof values === "object" ? (values[0]?.[1] ?? 0) : (values ?? 0);
}

const numbersOf = (values: Values | undefined): number[] =>
  typeof values === "object" ? values.map(([instance]) => instance) : [];

/** Stores values; the code, 0 when it worked. */
async function store(
  agent: RunningAgent,
  item: number,
  value: Atom,
  instances: readonly number[] = [PM_IN_NULL],
): Promise<number> {
  const type = FACTS.find((fact) => fact.item === item)?.type ?? 0;
  const sets = [{ pmid: pmid(item), type, instances, values: instances.map(() => value) }];
  const pdu = decodePdu(encodeResult(0, { timestamp: { sec: 0, nsec: 0 }, sets }, false));
  if (pdu.kind !== "result") throw new Error(pdu.kind);
  return codeOf(() => agent.store(pdu.result, everything));
}

async function codeOf(work: () => unknown): Promise<number> {
  try {
    await work();
    return 0;
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
    return error.code;
  }
}

test("the recorded session with dbpmda", async () => {
  /** PMNS_NAMES, TEXT with help, and times of event records. */
  const mask = (answer: string, request: string): string => {
    const kind = request.slice(8, 16);
    const names = ["0000700d", "0000700f", "00007010"].includes(kind);
    const text = kind === "00007008" && /0000000[6a]$/.test(request);
    if (answer.slice(8, 16) !== "00007000" && (names || text)) return answer.slice(8, 16);
    return answer
      .replaceAll(/6b[0-9a-f]{6}0[0-9a-f]{7}(?=00000001)/g, "SECONDS-MICROSECONDS")
      .replaceAll(/000000006b[0-9a-f]{6}00000000[0-9a-f]{8}/g, "SECONDS-NANOSECONDS");
  };
  await replay(await open(), recording("sample-dbpmda"), mask);
});

test("random numbers are those of an unseeded generator of the C library", () => {
  const next = randomNumbers();
  expect(Array.from({ length: 4 }, next)).toEqual([0, 2116118, 89401895, 379337186]);
});

test("every metric has a name, a text and a descriptor", async () => {
  const agent = await open();
  const named = new Set(agent.leaves.map((leaf) => leaf.pmid));
  for (const { item } of FACTS) {
    const refused = item === 54 || (item >= 1009 && item <= 1011);
    expect(await codeOf(() => agent.desc(pmid(item), everything))).toBe(refused ? PM_ERR.PMID : 0);
    expect(named.has(pmid(item))).toBe(item < 1000 || item === 1023);
    for (const level of ["oneline", "help"] as const)
      expect(await agent.text("metric", pmid(item), level, everything)).not.toBe("");
  }
  for (let serial = 1; serial <= 12; serial++) {
    const text = agent.text("instance domain", indomBuild(DOMAIN, serial), "help", everything);
    expect(await text).not.toBe("");
  }
});

test("written values are seen, with their label", async () => {
  const agent = await open();
  const changed = async (item: number): Promise<string> => {
    const [set] = await agent.labels(PM_LABEL.ITEM, pmid(item), everything);
    return Buffer.from(set?.json ?? []).toString();
  };
  expect(await changed(14)).toBe('{"changed":false}');
  const writes: readonly [number, Atom][] = [
    [14, -4],
    [97, 4294967295],
    [24, -(2n ** 63n)],
    [102, 2n ** 64n - 1n],
    [19, 1.5],
    [29, 0.1],
    [32, "some text"],
    [35, Uint8Array.of(1, 2)],
    [36, 7],
  ];
  for (const [item, value] of writes) {
    expect(await store(agent, item, value)).toBe(0);
    expect(await valueOf(agent, item)).toEqual(value);
  }
  expect(await changed(14)).toBe('{"changed":true}');
  expect(await store(agent, 10, 2)).toBe(PM_ERR.PERMISSION);
});

test("bins are one set of values; bogus_bin has instances that are none", async () => {
  const agent = await open();
  expect(await store(agent, 6, 7, [300, 900])).toBe(0);
  expect(await store(agent, 6, 7, [250])).toBe(PM_ERR.INST);
  const [bin, part, bogus, text] = await fetch(agent, [6, 50, 51, 153]);
  expect(bin).toEqual(
    [100, 200, 300, 400, 500, 600, 700, 800, 900].map((n) => [n, n % 600 === 300 ? 7 : n]),
  );
  expect(numbersOf(part)).toEqual([100, 300, 500, 700, 900]);
  expect(numbersOf(bogus)).toEqual([100, 250, 300, 450, 500, 650, 700, 850, 900]);
  expect(text).toContainEqual([300, "  7"]);
});

test("errors: ordered ones, those of bad.*, and profiles that are asked for", async () => {
  const agent = await open();
  expect(await fetch(agent, [9, 54, 55, 92, 138, 154])).toEqual([
    0,
    PM_ERR.PMID,
    PM_ERR.APPVERSION,
    0,
    0,
    PM_ERR.AGAIN,
  ]);
  expect(await store(agent, 74, PM_ERR.PERMISSION)).toBe(0);
  expect(await codeOf(() => fetch(agent, [4, 75]))).toBe(PM_ERR.PERMISSION);
  expect(await codeOf(() => agent.desc(pmid(75), everything))).toBe(PM_ERR.PERMISSION);
  expect(await valueOf(agent, 4)).toBe(42);
  expect(await fetch(agent, [49])).toEqual([PM_ERR.PROFILE]);
  const profile = createProfile();
  profile.add(indomBuild(DOMAIN, 4), [asInstance(1), asInstance(4)]);
  const [values] = await fetch(agent, [49], { context: 0, profile });
  expect(values).toEqual([
    [1, 5],
    [4, 26],
  ]);
});

test("ghosts are unknown until they are made visible, and change their states in a cycle", async () => {
  const agent = await open();
  const names = agent.names;
  const seen = async (): Promise<readonly string[]> =>
    (await names?.children("sample.ghosts", everything))?.names ?? [];
  expect(await seen()).toEqual(["visible"]);
  expect(await fetch(agent, [1009])).toEqual([PM_ERR.PMID]);
  expect(await store(agent, 1008, 99)).toBe(0);
  expect(await valueOf(agent, 1008)).toBe(8);
  expect(await seen()).toEqual(["visible", "origin", "karma", "state"]);
  const states: string[] = Array.from({ length: 8 }, () => "");
  for (let i = 0; i < 8; i++) {
    const [values] = await fetch(agent, [1011]);
    if (typeof values !== "object") throw new Error("no states");
    for (const [ghost, [, state]] of values.entries()) states[ghost] += String(state);
  }
  expect(states).toEqual([
    "10101010",
    "01010101",
    "11001100",
    "00110011",
    "11100011",
    "00011100",
    "11110000",
    "00000000",
  ]);
  expect(await codeOf(() => names?.lookup("sample.secret.foo", everything))).toBe(PM_ERR.NONLEAF);
});

test("dodgey.value has as many instances as it is told, or errors", async () => {
  const agent = await open();
  for (const [given, count] of [
    [5, 5],
    [2, 2],
    [0, 0],
  ] as const) {
    await store(agent, 61, given);
    expect(numbersOf((await fetch(agent, [62]))[0])).toHaveLength(count);
  }
  await store(agent, 61, PM_ERR.APPVERSION);
  expect(await fetch(agent, [62])).toEqual([PM_ERR.APPVERSION]);
  // At random: whatever comes is an error that is meant, or some of the five.
  await store(agent, 61, 6);
  for (let i = 0; i < 100; i++) {
    const [values] = await fetch(agent, [62]);
    if (typeof values === "object") expect(values.length).toBeLessThanOrEqual(5);
    else expect([0, PM_ERR.NOAGENT, PM_ERR.AGAIN, PM_ERR.APPVERSION]).toContain(values ?? 1);
  }
});

test("instances come from a file, and are counted while they stay there", async () => {
  const folder = privateFolder("sample");
  mkdirSync(join(folder, "sample"));
  const path = join(folder, "sample/dynamic.indom");
  const agent = await open({ PCP_PMDAS_DIR: folder });
  expect(await fetch(agent, [76])).toEqual([0]);
  writeFileSync(path, '1 one\n7 "two words"\n');
  await fetch(agent, [76, 77, 78]);
  expect((await fetch(agent, [77]))[0]).toEqual([
    [1, 2],
    [7, 2],
  ]);
  const indom = indomBuild(DOMAIN, 7);
  expect((await agent.instances(indom, everything)).names).toEqual(["one", "two words"]);
  rmSync(path);
  expect((await agent.instances(indom, everything)).names).toEqual([]);
});

test("files of instances that are wrong have none", () => {
  expect(parseDynamic(" 3 three 4\n'fo ur'")).toEqual({
    rows: [
      { id: 3, name: "three" },
      { id: 4, name: "fo ur" },
    ],
    fault: undefined,
  });
  const fault = (text: string): string | undefined => parseDynamic(text).fault;
  expect(fault("x y")).toBe("redo_dynamic: botch missing instance identifier");
  expect(fault("1 a\n5")).toBe(
    "redo_dynamic: botch missing instance name for instance identifier 5",
  );
  expect(fault("-1 a")).toBe("redo_dynamic: botch instance identifier -1 is illegal");
});

test("many instances, shuffled bins, processes and mirages keep to their bounds", async () => {
  const agent = await open();
  await store(agent, 79, 1_000_000_000);
  expect(await valueOf(agent, 79)).toBe(999_999);
  await store(agent, 79, 3);
  expect(numbersOf((await fetch(agent, [80]))[0])).toEqual([0, 1, 2]);
  await store(agent, 120, 0n);
  const first = numbersOf((await fetch(agent, [121]))[0]);
  await store(agent, 120, 0n);
  expect(numbersOf((await fetch(agent, [121]))[0])).toEqual(first);
  await store(agent, 155, 1);
  for (let i = 0; i < 50; i++) {
    const [mirage, processes] = await fetch(agent, [37, 156]);
    expect(numbersOf(mirage)[0]).toBe(0);
    expect(numbersOf(processes).slice(0, 4)).toEqual([1, 2, 3, 4]);
    expect(numbersOf(processes).length).toBeLessThanOrEqual(20);
  }
  const { names } = await agent.instances(indomBuild(DOMAIN, 12), everything);
  expect(names.slice(0, 3)).toEqual(["0001 init", "0002 /etc/bozo", "0003 /usr/bin/bobo"]);
});

test("a description that clients write", async () => {
  const agent = await open();
  expect(await store(agent, 87, PM_TYPE.DOUBLE)).toBe(0);
  expect(await store(agent, 88, indomBuild(DOMAIN, 1))).toBe(0);
  expect(await agent.desc(pmid(86), everything)).toMatchObject({
    type: PM_TYPE.DOUBLE,
    indom: indomBuild(DOMAIN, 1),
  });
  expect(numbersOf((await fetch(agent, [86], everything, PM_TYPE.DOUBLE))[0])).toEqual([0, 1, 2]);
  expect(await store(agent, 88, indomBuild(DOMAIN, 99))).toBe(PM_ERR.BADSTORE);
  expect(await store(agent, 88, PM_INDOM_NULL)).toBe(0);
  expect(numbersOf((await fetch(agent, [86], everything, PM_TYPE.DOUBLE))[0])).toEqual([
    PM_IN_NULL,
  ]);
});

test("silence begins with the next request and ends by itself", async () => {
  const agent = await open();
  const heard: boolean[] = [];
  agent.onReady((ready) => heard.push(ready));
  expect(await store(agent, 169, 1000)).toBe(0);
  expect(await codeOf(() => fetch(agent, [4]))).toBe(PM_ERR.AGAIN);
  expect(await codeOf(() => fetch(agent, [4]))).toBe(PM_ERR.AGAIN);
  while (!agent.ready) await Bun.sleep(5);
  expect(heard).toEqual([false, true]);
  expect(await valueOf(agent, 4)).toBe(42);
});

test("clients are counted each for itself", async () => {
  const agent = await open();
  const [one, two] = [3, 5].map((context) => ({ context, profile: everything.profile }));
  if (one === undefined || two === undefined) throw new Error("no clients");
  await fetch(agent, [4], one);
  expect(await fetch(agent, [43, 122, 123, 124, 125], two)).toEqual(
    [2, 6, 2, 2, 0].map((value) => [[PM_IN_NULL, value]]),
  );
  agent.contextClosed?.(3);
  expect(await fetch(agent, [40, 123, 125], two)).toEqual(
    [6, 1, 1].map((value) => [[PM_IN_NULL, typeof value === "number" && value === 6 ? 6n : value]]),
  );
});

test("control takes debugging options and ends the agent", async () => {
  let ended = false;
  const agent = await open({}, () => {
    ended = true;
  });
  expect(await store(agent, 0, "libpmda,pdu")).toBe(0);
  expect(await valueOf(agent, 0)).toBe("libpmda,pdu");
  expect(await store(agent, 0, "no such thing!")).toBe(-22);
  expect(await store(agent, 0, "-1")).toBe(0);
  expect(await waitUntil(() => ended)).toBe(true);
});
