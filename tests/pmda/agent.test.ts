// Goal: agents made of definitions keep the rules of chapter 7 of spec pmda.md: what a fetch gives and
// logs, instances, versions, hooks; and whatever a callback does, only its own value or request fails.
// Texts, labels and stores are in agent-data.test.ts.
import { expect, test } from "bun:test";
import { PcpError, PM_ERR } from "../../lib/base/mod.ts";
import {
  asInstance,
  asPmid,
  type Atom,
  indomBuild,
  PM_LABEL,
  PM_TYPE,
  pmidBuild,
  ResultView,
  ResultWriter,
} from "../../lib/pcp/mod.ts";
import { createProfile } from "../../lib/pdu/mod.ts";
import {
  type AgentDefinition,
  type AgentSetting,
  createCache,
  type MetricRow,
  openAgent,
} from "../../lib/pmda/mod.ts";
import {
  agentOf,
  by,
  codeOf,
  domain,
  fetch,
  indom,
  pmid,
  row,
  storing,
  three,
} from "./definitions.ts";

test("values of every type, in the form that each has", async () => {
  const values: [number, Atom][] = [
    [PM_TYPE.I32, -1],
    [PM_TYPE.U32, 4294967295],
    [PM_TYPE.I64, -1n],
    [PM_TYPE.U64, 18446744073709551615n],
    [PM_TYPE.FLOAT, 1.5],
    [PM_TYPE.DOUBLE, 0.1],
    [PM_TYPE.STRING, "häh"],
    [PM_TYPE.STRING, ""],
    [PM_TYPE.AGGREGATE, new Uint8Array([1, 2, 3])],
  ];
  const { agent } = agentOf({
    metrics: values.map(([type, value], item) => row(item, { type, fetch: () => value })),
  });
  const got = await fetch(
    agent,
    values.map((_, item) => item),
  );
  expect(got).toBe(
    "0=-1:-1 1=-1:4294967295 2=-1:-1 3=-1:18446744073709551615 4=-1:1.5 5=-1:0.1 6=-1:häh 7=-1: 8=-1:1,2,3",
  );
});

test("instances that a function makes up", async () => {
  for (const id of [-1, 2.5, 2 ** 31, Number.NaN]) {
    const rows = [
      { id: 1, name: "one" },
      { id, name: "odd" },
    ];
    for (const instances of [() => rows, async () => rows]) {
      const { agent, logged } = agentOf({
        metrics: [row(0, { indom: 1, fetch: () => 1 }), row(1, { fetch: () => 2 })],
        indoms: [{ serial: 1, instances }],
      });
      expect(await fetch(agent, [0, 1])).toBe("0=-12345 1=-1:2");
      expect(logged.join()).toContain(`${id} ("odd") is no number of an instance`);
    }
  }
});

test("instances: order of the table, the profile, none, faults of single ones", async () => {
  const { agent, logged } = agentOf({
    metrics: [
      row(0, { indom: 1, fetch: (instance) => instance * 2 }),
      row(1, { indom: 2 }),
      row(2, {
        indom: 1,
        fetch: (instance) => (instance === 5 ? { error: PM_ERR.INST } : instance),
      }),
      row(3, { indom: 1, fetch: (instance) => (instance === 9 ? undefined : { error: -5 }) }),
      row(4, { indom: 1, fetch: (instance) => (instance === 9 ? { error: -5 } : undefined) }),
      row(5, { indom: 1, instances: () => [9, 3], fetch: (instance) => instance }),
    ],
    indoms: [
      { serial: 1, instances: three },
      { serial: 2, instances: [] },
    ],
  });
  expect(await fetch(agent, [0, 1, 2])).toBe("0=0:0,5:10,9:18 1=0 2=0:0,9:9");
  expect(logged).toEqual([
    "Warning pmdaFetch: Instance 5 of PMID 77.0.2 not handled by fetch callback",
  ]);
  // Without any value the last callback decides.
  expect(await fetch(agent, [3, 4])).toBe("3=0 4=-5");
  const profile = createProfile();
  profile.add(indom(1), [asInstance(9), asInstance(3)]);
  expect(await fetch(agent, [0, 5], { context: 0, profile })).toBe("0=9:18 5=9:9,3:3");
  profile.delete(indom(1));
  expect(await fetch(agent, [0], { context: 0, profile })).toBe("0=0");
});

test("instances of a cache: active ones, ascending", async () => {
  const cache = createCache();
  for (const name of ["x", "y", "z"]) cache.add(name);
  cache.hide("y");
  const { agent } = agentOf({
    metrics: [row(0, { indom: 1, fetch: (instance) => instance })],
    indoms: [{ serial: 1, instances: cache }],
  });
  expect(await fetch(agent, [0])).toBe("0=0:0,2:2");
  expect(await agent.instances(indom(1), by)).toEqual({
    ids: [0, 2].map(asInstance),
    names: ["x", "z"],
  });
  expect(await codeOf(() => agent.instanceName(indom(1), asInstance(1), by))).toBe(PM_ERR.INST);
  expect(await codeOf(() => agent.instanceId(indom(1), "y", by))).toBe(PM_ERR.INST);
  cache.add("y");
  expect(await fetch(agent, [0])).toBe("0=0:0,1:1,2:2");
  expect(await agent.instanceId(indom(1), "y", by)).toBe(asInstance(1));
});

test("instances of a function: asked once for a request, now or later", async () => {
  let calls = 0;
  for (const later of [false, true]) {
    const source = () => {
      calls += 1;
      return later ? Promise.resolve(three) : three;
    };
    const { agent } = agentOf({
      metrics: [row(0, { indom: 1 }), row(1, { indom: 1 })],
      indoms: [{ serial: 1, instances: source }],
    });
    calls = 0;
    expect(await fetch(agent, [0, 1])).toBe("0=0:0,5:0,9:0 1=0:1,5:1,9:1");
    expect(calls).toBe(1);
    expect((await agent.instances(indom(1), by)).names.length).toBe(3);
    expect(calls).toBe(2);
  }
});

test("instances are found by number, by name, and by the first word of a name", async () => {
  const refreshed: number[] = [];
  const { agent } = agentOf({
    indoms: [{ serial: 1, instances: three }],
    refreshInstances: (serial) => void refreshed.push(serial),
  });
  expect(await agent.instanceName(indom(1), asInstance(5), by)).toBe("b long");
  expect(await agent.instanceId(indom(1), "b other", by)).toBe(asInstance(9));
  expect(await agent.instanceId(indom(1), "b", by)).toBe(asInstance(5));
  expect(await codeOf(() => agent.instanceId(indom(1), "b none", by))).toBe(PM_ERR.INST);
  expect(await codeOf(() => agent.instanceId(indom(1), "", by))).toBe(PM_ERR.INST);
  expect(await codeOf(() => agent.instanceName(indom(1), asInstance(1), by))).toBe(PM_ERR.INST);
  expect(await codeOf(() => agent.instances(indom(2), by))).toBe(PM_ERR.INDOM);
  expect(await codeOf(() => agent.instances(indomBuild(78, 1), by))).toBe(PM_ERR.INDOM);
  expect(refreshed).toEqual([1, 1, 1, 1, 1, 1]);
});

test("metrics that there are not", async () => {
  const { agent, logged } = agentOf({ metrics: [row(3)] });
  const out = new ResultWriter();
  await agent.fetch([pmid(4), pmid(3, 1), asPmid(0xffffffff), pmidBuild(78, 0, 3)], by, out);
  const sets = new ResultView(out.finish(0), { sec: 0, nsec: 0 }, out.count, 0).sets();
  while (sets.next()) expect(sets.numval).toBe(PM_ERR.PMID);
  expect(out.count).toBe(4);
  expect(await codeOf(() => agent.desc(pmid(4), by))).toBe(PM_ERR.PMID);
  expect(logged).toEqual(["Error pmdaDesc: Requested metric 77.0.4 is not defined"]);
});

test("what is thrown or makes no sense fails one value, with a line in the log", async () => {
  const bad: [unknown, number][] = [
    ["text", PM_ERR.TYPE],
    [1.5, PM_ERR.TYPE],
    [Number.NaN, PM_ERR.TYPE],
    [null, PM_ERR.TYPE],
    [{}, PM_ERR.TYPE],
    [{ error: 3 }, PM_ERR.TYPE],
    [{ error: "x" }, PM_ERR.TYPE],
    [true, PM_ERR.TYPE],
    [() => 1, PM_ERR.TYPE],
    [Symbol("x"), PM_ERR.TYPE],
    [[1], PM_ERR.TYPE],
    [Promise.resolve("text"), PM_ERR.TYPE],
    [Promise.reject(new PcpError(PM_ERR.NYI)), PM_ERR.NYI],
    [Promise.reject(new Error("late")), PM_ERR.GENERIC],
    [new Uint8Array(3), PM_ERR.TYPE],
  ];
  const throwing: [unknown, number][] = [
    [new Error("boom"), PM_ERR.GENERIC],
    [new PcpError(PM_ERR.AGAIN), PM_ERR.AGAIN],
    [new PcpError(PM_ERR.PMID), PM_ERR.PMID],
    ["a string", PM_ERR.GENERIC],
    [undefined, PM_ERR.GENERIC],
    [Object.assign(new Error("gone"), { code: "ENOENT" }), -2],
  ];
  const rows = bad.map(([value], item) => row(item, { fetch: () => value as Atom }));
  throwing.forEach(([value], index) =>
    rows.push(
      row(bad.length + index, {
        fetch() {
          throw value;
        },
      }),
    ),
  );
  rows.push(row(900, { fetch: () => 42 }));
  const { agent, logged } = agentOf({ metrics: rows });
  const items = rows.map(({ item }) => item);
  const codes = [...bad, ...throwing].map(([, code], item) => `${item}=${code}`);
  expect(await fetch(agent, items)).toBe([...codes, "900=-1:42"].join(" "));
  const quiet = [PM_ERR.NYI, PM_ERR.AGAIN] as number[];
  expect(logged.length).toBe(codes.length - quiet.length);
  expect(logged).toContain(
    "Error pmdaFetch: Fetch callback error from metric PMID 77.0.15[-1]: boom",
  );
  expect(logged).toContain("Error pmdaFetch: PMID 77.0.17 not handled by fetch callback");
});

test("codes that are no faults are logged for debugging only", async () => {
  const rows = [row(0, { fetch: () => ({ error: PM_ERR.APPVERSION }) })];
  const quiet = agentOf({ metrics: rows });
  const loud = agentOf({ metrics: rows }, { debug: true });
  for (const { agent } of [quiet, loud])
    expect(await fetch(agent, [0])).toBe(`0=${PM_ERR.APPVERSION}`);
  expect(quiet.logged).toEqual([]);
  expect(loud.logged.length).toBe(1);
});

test("a fetch is answered at once when every callback does", () => {
  const { agent } = agentOf({
    metrics: [row(0), row(1, { indom: 1 })],
    indoms: [{ serial: 1, instances: three }],
    refresh: () => undefined,
    check: () => undefined,
    done: () => undefined,
  });
  expect(agent.fetch([pmid(0), pmid(1)], by, new ResultWriter())).toBeUndefined();
});

test("a callback that does not end is given up, and not called again until it has", async () => {
  let calls = 0;
  let release: (value: number) => void = () => undefined;
  const { agent, logged } = agentOf(
    {
      metrics: [
        row(0),
        row(1, {
          fetch() {
            calls += 1;
            return new Promise<number>((resolve) => {
              release = resolve;
            });
          },
        }),
        row(2, { fetch: () => Promise.resolve(2) }),
        row(3, { fetch: () => new Promise<number>(() => undefined), indom: 1 }),
      ],
      indoms: [{ serial: 1, instances: three }],
    },
    { timeLimit: 30 },
  );
  expect(await fetch(agent, [0, 1, 2])).toBe(`0=-1:0 1=${PM_ERR.AGAIN} 2=-1:2`);
  expect(await fetch(agent, [1, 0])).toBe(`1=${PM_ERR.AGAIN} 0=-1:0`);
  expect(calls).toBe(1);
  expect(logged).toEqual(["Warning pmdaFetch: PMID 77.0.1[-1]: no answer within 0.03 s"]);
  release(7);
  await Bun.sleep(0);
  const again = fetch(agent, [1]);
  release(8);
  expect(await again).toBe("1=-1:8");
  expect(calls).toBe(2);
  expect(await fetch(agent, [3])).toBe(`3=${PM_ERR.AGAIN}`);
});

test("values that come later are waited for together, and stand in order", async () => {
  const order: string[] = [];
  const after = (item: number, milliseconds: number, more: Partial<MetricRow> = {}): MetricRow =>
    row(item, {
      async fetch(instance) {
        order.push(`${item}[${instance}]`);
        await Bun.sleep(milliseconds);
        return item;
      },
      ...more,
    });
  const { agent } = agentOf(
    {
      metrics: [
        row(0),
        after(1, 40),
        after(2, 10, { indom: 1 }),
        row(3, { type: PM_TYPE.STRING, fetch: () => "now" }),
        row(4, { fetch: () => new Promise<number>(() => undefined) }),
        after(5, 1, { type: PM_TYPE.U64 }),
      ],
      indoms: [{ serial: 1, instances: three }],
    },
    { timeLimit: 2000 },
  );
  expect(await fetch(agent, [0, 4, 1, 2, 3, 5, 9])).toBe(
    `0=-1:0 4=${PM_ERR.AGAIN} 1=-1:1 2=0:2,5:2,9:2 3=-1:now 5=-1:5 9=${PM_ERR.PMID}`,
  );
  expect(order).toEqual(["1[-1]", "2[0]", "5[-1]", "2[5]", "2[9]"]);
});

test("a refresh, a check, any other callback that does not end costs its request", async () => {
  const never = new Promise<never>(() => undefined);
  const refreshing = agentOf({ metrics: [row(0)], refresh: () => never }, { timeLimit: 20 });
  expect(await codeOf(() => fetch(refreshing.agent, [0]))).toBe(PM_ERR.AGAIN);
  expect(await codeOf(() => fetch(refreshing.agent, [0]))).toBe(PM_ERR.AGAIN);
  expect(await refreshing.agent.desc(pmid(0), by)).toBeDefined();
  const checking = agentOf({ metrics: [row(0)], check: () => never }, { timeLimit: 20 });
  expect(await codeOf(() => fetch(checking.agent, [0]))).toBe(PM_ERR.AGAIN);
  const other = agentOf(
    {
      metrics: [row(0, { store: () => never })],
      indoms: [{ serial: 1, instances: () => never }],
      text: () => never,
      version: 7,
      names: {
        lookup: () => never,
        namesOf: () => never,
        children: () => never,
        traverse: () => never,
      },
      attribute: () => never,
    },
    { timeLimit: 20 },
  ).agent;
  for (const call of [
    () => other.text("metric", pmid(0), "help", by),
    () => other.instances(indom(1), by),
    () => other.instanceName(indom(1), asInstance(0), by),
    () => other.labels(PM_LABEL.INSTANCES, indom(1), by),
    () => other.names?.lookup("a", by),
    () => other.attribute?.(0, 1, "x"),
    () => other.store(storing([[0, PM_TYPE.I32, [-1], [1]]]), by),
  ])
    expect(await codeOf(call)).toBe(PM_ERR.AGAIN);
});

test("a limit of 0 waits for as long as it takes", async () => {
  const slow = row(0, { fetch: async () => Bun.sleep(30).then(() => 1) });
  expect(await fetch(agentOf({ metrics: [slow] }, { timeLimit: 0 }).agent, [0])).toBe("0=-1:1");
});

test("refresh gets the rows of the fetch, and its fault is that of all", async () => {
  const seen: string[] = [];
  const { agent, logged } = agentOf({
    metrics: [row(0), row(1)],
    refresh(rows) {
      seen.push(rows.map(({ item }) => item).join());
      if (rows.length === 1) throw new Error("no samples");
    },
  });
  expect(await fetch(agent, [1, 0, 5])).toBe(`1=-1:1 0=-1:0 5=${PM_ERR.PMID}`);
  expect(seen).toEqual(["1,0"]);
  expect(await codeOf(() => fetch(agent, [1]))).toBe(PM_ERR.GENERIC);
  expect(logged).toEqual(["Error pmdat: refresh callback: no samples"]);
});

test("check comes before every request and its fault is the answer; done comes after", async () => {
  const trace: string[] = [];
  let fault = 0;
  for (const later of [false, true]) {
    const { agent } = agentOf({
      metrics: [row(0, { fetch: () => (trace.push("fetch"), 1) })],
      indoms: [{ serial: 1, instances: three }],
      check() {
        trace.push("check");
        if (fault !== 0) throw new PcpError(fault);
        return later ? Promise.resolve() : undefined;
      },
      done() {
        trace.push("done");
        throw new Error("what done does is nobody's fault");
      },
    });
    fault = 0;
    trace.length = 0;
    expect(await fetch(agent, [0])).toBe("0=-1:1");
    expect(trace.join()).toBe("check,fetch,done");
    await agent.instances(indom(1), by);
    expect(trace.length).toBe(5);
    fault = PM_ERR.PERMISSION;
    trace.length = 0;
    for (const call of [
      () => fetch(agent, [0]),
      () => agent.desc(pmid(0), by),
      () => agent.instances(indom(1), by),
      () => agent.text("metric", pmid(0), "help", by),
      () => agent.labels(PM_LABEL.DOMAIN, domain, by),
    ])
      expect(await codeOf(call)).toBe(fault);
    expect(trace.join()).toBe("check,done,check,done,check,done,check,done,check,done");
  }
});

test("what a callback throws is told once, under its own name", async () => {
  const fail = (): never => {
    throw new Error("broken");
  };
  for (const [hooks, line] of [
    [{ check: fail }, "Error pmdat: check callback: broken"],
    [{ check: async () => fail() }, "Error pmdat: check callback: broken"],
    [{ refresh: fail }, "Error pmdat: refresh callback: broken"],
    [{ refresh: async () => fail() }, "Error pmdat: refresh callback: broken"],
    [{ check: () => undefined, refresh: fail }, "Error pmdat: refresh callback: broken"],
    [{ check: async () => undefined, refresh: fail }, "Error pmdat: refresh callback: broken"],
    [{ done: fail }, "Error pmdat: done callback: broken"],
    [{ done: async () => fail() }, "Error pmdat: done callback: broken"],
  ] as const) {
    const { agent, logged } = agentOf({ metrics: [row(0)], ...hooks });
    expect(await codeOf(() => fetch(agent, [0]))).toBe("done" in hooks ? 0 : PM_ERR.GENERIC);
    expect(logged).toEqual([line]);
  }
});

test("tables that contradict themselves are refused in pmdaInit's words", async () => {
  const refused = (definition: Partial<AgentDefinition>): string => {
    try {
      agentOf(definition);
      return "";
    } catch (error) {
      return error instanceof PcpError ? error.message : "another error";
    }
  };
  expect(refused({ metrics: [row(0, { indom: 4 })] })).toBe(
    "pmdaInit: PMDA pmdat: Undefined instance domain serial (4) specified for metric 77.0.0 (e_metrics[0])",
  );
  const bare = { cluster: 0, item: 1, type: 0, sem: 3 };
  expect(refused({ metrics: [bare] })).toBe(
    "pmdaInit: PMDA pmdat: using pmdaFetch() but fetch call back not set",
  );
  expect(refused({ metrics: [row(1), row(1)] })).toContain("metric 77.0.1 given twice");
  expect(refused({ metrics: [row(1024)] })).toContain("out of range");
  const twice = { serial: 1, instances: [] };
  expect(refused({ indoms: [twice, twice] })).toContain("(1) given twice");
  expect(refused({ metrics: [bare], fetch: () => 1 })).toBe("");
});

test("tables can be given again", async () => {
  const { agent } = agentOf({ metrics: [row(0)] });
  agent.redefine({ metrics: [row(1, { name: ["t.one", "t.uno"] })] });
  expect(await fetch(agent, [0, 1])).toBe(`0=${PM_ERR.PMID} 1=-1:1`);
  expect(agent.leaves).toEqual([
    { name: "t.one", pmid: pmid(1) },
    { name: "t.uno", pmid: pmid(1) },
  ]);
  expect(() => agent.redefine({ metrics: [row(1), row(1)] })).toThrow("given twice");
  expect(await fetch(agent, [1])).toBe("1=-1:1");
});

test("what a version does not have", async () => {
  const names = {
    lookup: () => pmid(0),
    namesOf: () => ["a"],
    children: () => ({ names: [], statuses: [] }),
    traverse: () => [],
  };
  expect(agentOf({ version: 3, names }).agent.names).toBeUndefined();
  expect(await agentOf({ version: 4, names }).agent.names?.lookup("a", by)).toBe(pmid(0));
  const told: string[] = [];
  const attribute = (): void => void told.push("attribute");
  await agentOf({ version: 5, attribute }).agent.attribute?.(0, 1, "x");
  expect(told).toEqual([]);
  await agentOf({ version: 6, attribute }).agent.attribute?.(0, 1, "x");
  expect(told).toEqual(["attribute"]);
});

test("answers about names and texts that are none fail their request", async () => {
  const nonsense: readonly unknown[] = [undefined, null, 5.5, "x", {}, [1], Promise.resolve("y")];
  for (const answer of nonsense) {
    const give = (): never => answer as never;
    const { agent } = agentOf({
      names: { lookup: give, namesOf: give, children: give, traverse: give },
      text: () => (typeof answer === "string" || answer instanceof Promise ? (3 as never) : give()),
    });
    const { names } = agent;
    const codes = [
      await codeOf(() => names?.lookup("a", by)),
      await codeOf(() => names?.namesOf(pmid(0), by)),
      await codeOf(() => names?.children("a", by)),
      await codeOf(() => names?.traverse("a", by)),
    ];
    expect(new Set(codes)).toEqual(new Set([PM_ERR.GENERIC]));
    const text = await codeOf(() => agent.text("metric", pmid(0), "help", by));
    expect(text).toBe(answer === undefined ? PM_ERR.TEXT : PM_ERR.GENERIC);
  }
});

test("what has changed is not told by a fetch that fails", async () => {
  let fault = true;
  const { agent } = agentOf({
    metrics: [row(0)],
    refresh() {
      if (fault) throw new PcpError(PM_ERR.AGAIN);
    },
  });
  agent.changed("labels");
  expect(await codeOf(() => fetch(agent, [0]))).toBe(PM_ERR.AGAIN);
  fault = false;
  const out = new ResultWriter();
  await agent.fetch([pmid(0)], by, out);
  expect(out.changes).toBe(8);
});

test("an agent says what has changed, once, and whether it is ready", async () => {
  let setting: AgentSetting | undefined;
  const agent = await openAgent(
    (given) => {
      setting = given;
      given.ready(false);
      given.changed("names");
      return { name: "t", metrics: [row(0)] };
    },
    { domain: 600, args: ["x"], env: { A: "b" } },
  );
  expect(agent.domain).toBe(88);
  expect(setting?.args).toEqual(["x"]);
  expect(agent.ready).toBe(false);
  expect(await codeOf(() => agent.desc(pmidBuild(88, 0, 0), by))).toBe(PM_ERR.AGAIN);
  setting?.ready(true);
  const out = new ResultWriter();
  await agent.fetch([pmidBuild(88, 0, 0)], by, out);
  expect([out.count, out.changes]).toEqual([1, 16]);
  setting?.redefine({ metrics: [] });
  expect(await codeOf(() => agent.desc(pmidBuild(88, 0, 0), by))).toBe(PM_ERR.PMID);
});
