// Goal: texts, labels and stores of agents made of definitions keep the rules of spec pmda.md 7.5 to 7.7.
import { expect, test } from "bun:test";
import { PcpError, PM_ERR } from "../../lib/base/mod.ts";
import { type Atom, PM_LABEL, PM_TYPE, PM_VAL } from "../../lib/pcp/mod.ts";
import type { RunningAgent } from "../../lib/pmda/mod.ts";
import {
  agentOf,
  by,
  codeOf,
  domain,
  indom,
  pmid,
  row,
  type StoreSet,
  storing,
  three,
} from "./definitions.ts";

test("texts: file, table, callback, none; an empty one is one", async () => {
  const { agent } = agentOf(
    {
      metrics: [row(0, { oneline: "table", help: "" }), row(1)],
      indoms: [{ serial: 1, instances: three, help: "indom" }],
      text: (subject, ident, level) =>
        ident === pmid(1) && level === "help" ? `${subject} ${level}` : undefined,
    },
    {
      help: {
        text: (subject, ident, level) =>
          subject === "metric" && level === "oneline" && ident === pmid(1) ? "file" : undefined,
      },
    },
  );
  expect(await agent.text("metric", pmid(0), "oneline", by)).toBe("table");
  expect(await agent.text("metric", pmid(0), "help", by)).toBe("");
  expect(await agent.text("metric", pmid(1), "oneline", by)).toBe("file");
  expect(await agent.text("metric", pmid(1), "help", by)).toBe("metric help");
  expect(await agent.text("instance domain", indom(1), "help", by)).toBe("indom");
  const missing = () => agent.text("instance domain", indom(1), "oneline", by);
  expect(await codeOf(missing)).toBe(PM_ERR.TEXT);
  expect(await codeOf(() => agent.text("metric", pmid(9), "help", by))).toBe(PM_ERR.TEXT);
});

/** Label sets as text: the JSON with the flags of each label in hexadecimal. */
async function labels(agent: RunningAgent, level: number, ident: number): Promise<string[]> {
  return (await agent.labels(level, ident, by)).map(
    ({ instance, json, records, error }) =>
      `${instance} ${Buffer.from(json).toString()} ${records.map(({ flags }) => flags.toString(16)).join()}${error === 0 ? "" : ` ${error}`}`,
  );
}

test("labels of every level", async () => {
  const { agent, logged } = agentOf({
    metrics: [row(0, { labels: { b: 1, a: { d: "x", c: true } }, notes: { b: 2, n: null } })],
    indoms: [
      {
        serial: 1,
        instances: three,
        labels: '{ "z" : 1.50, "y": "text" }',
        instanceLabels(instance) {
          if (instance === 9) throw new PcpError(PM_ERR.NYI);
          return instance === 0 ? undefined : { number: instance };
        },
      },
    ],
    clusterLabels: (cluster) => (cluster === 3 ? { cluster } : undefined),
  });
  expect(await labels(agent, PM_LABEL.DOMAIN, domain)).toEqual(['-1 {"agent":"t"} 2']);
  expect(await labels(agent, PM_LABEL.INDOM, indom(1))).toEqual(['-1 {"y":"text","z":1.50} 4,4']);
  expect(await labels(agent, PM_LABEL.CLUSTER, pmid(99, 3))).toEqual(['-1 {"cluster":3} 8']);
  expect(await labels(agent, PM_LABEL.CLUSTER, pmid(0))).toEqual([]);
  expect(await labels(agent, PM_LABEL.ITEM, pmid(0))).toEqual([
    '-1 {"a":{"c":true,"d":"x"},"b":2,"n":null} 50,50,90,90',
  ]);
  expect(await labels(agent, PM_LABEL.ITEM, pmid(1))).toEqual([]);
  expect(await labels(agent, PM_LABEL.INSTANCES, indom(1))).toEqual([
    "0  ",
    '5 {"number":5} 20',
    `9   ${PM_ERR.NYI}`,
  ]);
  expect(logged[0]).toStartWith("Warning pmdaLabel: InDom 77.1[9]: ");
  expect(await labels(agent, PM_LABEL.INSTANCES, indom(2))).toEqual([]);
  expect(await codeOf(() => agent.labels(3, 0, by))).toBe(-22);
});

test("labels of the domain, and those that are none", async () => {
  const own = agentOf({ labels: { role: "testing" }, notes: { hint: 1 } }).agent;
  expect(await labels(own, PM_LABEL.DOMAIN, domain)).toEqual([
    '-1 {"hint":1,"role":"testing"} 82,2',
  ]);
  const bad = agentOf({ labels: "{nonsense" }).agent;
  expect(await codeOf(() => bad.labels(PM_LABEL.DOMAIN, domain, by))).toBe(-22);
  const old = agentOf({ version: 6, labels: { a: 1 } }).agent;
  expect(await labels(old, PM_LABEL.DOMAIN, domain)).toEqual([]);
});

test("stores: the row's callback, the agent's, none; the first fault ends it", async () => {
  const stored: string[] = [];
  const keep = (item: number) => (value: Atom, instance: number) => {
    if (value === 13) throw new PcpError(PM_ERR.BADSTORE);
    stored.push(`${item}[${instance}]=${String(value)}`);
  };
  const { agent } = agentOf({
    metrics: [
      row(0, { store: keep(0) }),
      row(1, { type: PM_TYPE.U64, store: keep(1) }),
      row(2, { type: PM_TYPE.STRING, store: keep(2) }),
      row(3, { indom: 1, store: async (value, instance) => keep(3)(value, instance) }),
      row(4, { type: PM_TYPE.FLOAT, store: keep(4) }),
      row(5, { type: PM_TYPE.AGGREGATE, store: keep(5) }),
    ],
    indoms: [{ serial: 1, instances: three }],
  });
  await agent.store(storing([[0, PM_TYPE.I32, [-1], [-7]]]), by);
  await agent.store(
    storing([
      [1, PM_TYPE.U64, [-1], [1n << 63n]],
      [2, PM_TYPE.STRING, [-1], ["txt"]],
      [4, PM_TYPE.FLOAT, [-1], [0.5]],
      [5, PM_TYPE.AGGREGATE, [-1], [new Uint8Array([1, 2])]],
    ]),
    by,
  );
  await agent.store(storing([[4, PM_TYPE.FLOAT, [-1], [2.5]]], PM_VAL.INSITU), by);
  const several: StoreSet = [3, PM_TYPE.I32, [0, 5, 9], [1, 13, 3]];
  expect(await codeOf(() => agent.store(storing([several]), by))).toBe(PM_ERR.BADSTORE);
  expect(stored).toEqual([
    "0[-1]=-7",
    "1[-1]=9223372036854775808",
    "2[-1]=txt",
    "4[-1]=0.5",
    "5[-1]=1,2",
    "4[-1]=2.5",
    "3[0]=1",
  ]);
  const bad: [StoreSet, number][] = [
    [[9, PM_TYPE.I32, [-1], [1]], PM_ERR.PMID],
    [[3, PM_TYPE.I32, [4], [1]], PM_ERR.INST],
    [[0, PM_TYPE.I32, [-1, -1], [1, 2]], PM_ERR.BADSTORE],
    [[0, PM_TYPE.I32, [], []], PM_ERR.BADSTORE],
    [[0, PM_TYPE.STRING, [-1], ["1"]], PM_ERR.BADSTORE],
    [[2, PM_TYPE.I32, [-1], [1]], PM_ERR.BADSTORE],
    [[1, PM_TYPE.STRING, [-1], ["1"]], PM_ERR.CONV],
  ];
  for (const [set, code] of bad)
    expect(await codeOf(() => agent.store(storing([set]), by))).toBe(code);
  const without = agentOf({ metrics: [row(0)] }).agent;
  const plain = storing([[0, PM_TYPE.I32, [-1], [1]]]);
  expect(await codeOf(() => without.store(plain, by))).toBe(PM_ERR.PERMISSION);
  const general = agentOf({
    metrics: [row(0)],
    store: (metric, instance, value) =>
      void stored.push(`${metric.item} ${instance} ${String(value)}`),
  }).agent;
  await general.store(plain, by);
  expect(stored.at(-1)).toBe("0 -1 1");
});
