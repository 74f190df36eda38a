// Goal: requests over many agents are answered as if one agent had them all: values in request order
// whatever the mixture, faults of one agent at its own metrics alone, agents asked at the same time,
// changes told to every client once, names static and dynamic, attributes before the first request.
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { asPcpError, PcpError, PM_ERR } from "../../lib/base/mod.ts";
import { createRegistry, type Registry } from "../../lib/collector/mod.ts";
import {
  asInstance,
  indomBuild,
  parseNames,
  PM_INDOM_NULL,
  PM_LABEL,
  PM_TYPE,
  type Pmid,
  pmExtractValue,
  pmidBuild,
  pmidDomain,
  pmidItem,
  ResultView,
  ResultWriter,
} from "../../lib/pcp/mod.ts";
import { createProfile, STATE_CHANGE } from "../../lib/pdu/mod.ts";
import type { Agent, AgentFactory } from "../../lib/pmda/mod.ts";

const { NOAGENT, IPC, AGAIN, INDOM, NAME, PMID } = PM_ERR;

/** What an agent of a test does beside giving `domain * 1000 + item`. */
interface Manner {
  readonly later?: boolean;
  readonly fails?: number;
  /** Sets too many (or too few). */
  readonly extra?: number;
  readonly changes?: number;
  readonly calls?: string[];
}

function agentOf(domain: number, manner: Manner = {}): Agent {
  const { calls = [] } = manner;
  const nothing = (): never => {
    throw new PcpError(PM_ERR.NYI);
  };
  const write: Agent["fetch"] = (pmids, _by, out) => {
    out.changes |= manner.changes ?? 0;
    for (const pmid of pmids) {
      const item = pmidItem(pmid);
      if (item === 0) out.fail(pmid, AGAIN);
      else {
        const text = item % 2 === 1;
        out.begin(pmid, text ? PM_TYPE.STRING : PM_TYPE.U32);
        for (let i = 0; i < item % 3; i++)
          out.add(i, text ? `${domain}.${item}` : domain * 1000 + item);
        out.end();
      }
    }
    for (let i = 0; i < (manner.extra ?? 0); i++) out.fail(pmids[0] ?? pmidBuild(domain, 0, 0), 0);
    if (manner.fails !== undefined) throw new PcpError(manner.fails);
  };
  return {
    name: `agent${domain}`,
    domain,
    features: 4,
    fetch: (pmids, by, out) => {
      calls.push(`fetch ${pmids.length}`);
      if (manner.later !== true) return write(pmids, by, out);
      return Bun.sleep(1).then(() => write(pmids, by, out));
    },
    desc: nothing,
    instances: nothing,
    instanceName: nothing,
    instanceId: nothing,
    text: () => "text",
    labels: nothing,
    store(result) {
      for (const set = result.sets(); set.next();)
        calls.push(`store ${pmidItem(set.pmid)}=${String(pmExtractValue(set, 0, PM_TYPE.U32))}`);
      if (manner.fails !== undefined) throw new PcpError(manner.fails);
    },
    attribute: (context, key, value) => void calls.push(`attribute ${context} ${key}=${value}`),
    contextClosed: (context) => void calls.push(`closed ${context}`),
  };
}

async function tableOf(agents: readonly Agent[]): Promise<Registry> {
  const table = createRegistry({ initial: "empty", names: parseNames("root {\n a 1:0:1\n}\n") });
  for (const agent of agents)
    table.add({ domain: agent.domain, name: agent.name, origin: { kind: "given", agent } });
  await table.connect();
  return table;
}

const profile = createProfile();
type Client = ReturnType<Registry["router"]["newClient"]>;

async function fetched(client: Client, pmids: readonly Pmid[]) {
  const out = new ResultWriter();
  await client.fetch(pmids, profile, out);
  const view = new ResultView(out.finish(0), { sec: 0, nsec: 0 }, out.count, 0);
  const sets: [Pmid, unknown][] = [];
  for (const set = view.sets(); set.next();) {
    const type = pmidItem(set.pmid) % 2 === 1 ? PM_TYPE.STRING : PM_TYPE.U32;
    const values: unknown[] = [];
    for (let i = 0; i < set.numval; i++) values.push(pmExtractValue(set, i, type));
    sets.push([set.pmid, set.numval < 0 ? set.numval : values]);
  }
  return { sets, changes: out.changes };
}

const codeOf = async (work: () => unknown): Promise<number> => {
  try {
    await work();
    return 0;
  } catch (error) {
    return asPcpError(error).code;
  }
};

describe("fetch", () => {
  test("any mixture is in the order of the request", async () => {
    const faults = new Map([
      [4, AGAIN],
      [5, IPC],
      [6, IPC],
      [7, NOAGENT],
    ]);
    const table = await tableOf([
      agentOf(1),
      agentOf(2, { later: true }),
      agentOf(3, { later: true }),
      agentOf(4, { fails: AGAIN }),
      agentOf(5, { extra: 1 }),
      agentOf(6, { extra: 1, later: true }),
    ]);
    const client = table.router.newClient();
    const expected = (pmid: Pmid): unknown => {
      const [domain, item] = [pmidDomain(pmid), pmidItem(pmid)];
      const fault = faults.get(domain);
      if (fault !== undefined) return fault;
      if (item === 0) return AGAIN;
      return Array(item % 3).fill(item % 2 === 1 ? `${domain}.${item}` : domain * 1000 + item);
    };
    const pmid = fc
      .tuple(fc.integer({ min: 1, max: 7 }), fc.integer({ min: 0, max: 9 }))
      .map(([domain, item]) => pmidBuild(domain, 0, item));
    await fc.assert(
      fc.asyncProperty(fc.array(pmid, { minLength: 1, maxLength: 30 }), async (pmids) => {
        const { sets } = await fetched(client, pmids);
        expect(sets).toEqual(pmids.map((each) => [each, expected(each)]));
      }),
      { seed: 6, numRuns: 150 },
    );
  });

  test("at once where agents answer at once, at the same time where they do not", async () => {
    const table = await tableOf([agentOf(1), agentOf(2)]);
    const client = table.router.newClient();
    const out = new ResultWriter();
    expect(client.fetch([pmidBuild(1, 0, 1), pmidBuild(2, 0, 1)], profile, out)).toBeUndefined();
    expect(out.count).toBe(2);
    let waiting = 0;
    let both = 0;
    const slow = (domain: number): Agent => ({
      ...agentOf(domain),
      async fetch(pmids, _by, to) {
        waiting += 1;
        await Bun.sleep(5);
        both = Math.max(both, waiting);
        waiting -= 1;
        for (const one of pmids) to.fail(one, 0);
      },
    });
    const slower = (await tableOf([slow(1), slow(2)])).router.newClient();
    await slower.fetch([pmidBuild(1, 0, 1), pmidBuild(2, 0, 1)], profile, new ResultWriter());
    expect(both).toBe(2);
  });

  test("an agent has one call at a time, whoever asks", async () => {
    let busy = 0;
    const one: Agent = {
      ...agentOf(1),
      async fetch(pmids, _by, out) {
        busy += 1;
        expect(busy).toBe(1);
        await Bun.sleep(1);
        for (const pmid of pmids) out.fail(pmid, 0);
        busy -= 1;
      },
    };
    const { router } = await tableOf([one]);
    const clients = [router.newClient(), router.newClient(), router.newClient()];
    await Promise.all(clients.map((client) => fetched(client, [pmidBuild(1, 0, 1)])));
    expect(clients.map(({ number }) => number)).toEqual([0, 1, 2]);
  });

  test("changes are told to every client, once", async () => {
    const table = await tableOf([agentOf(1, { changes: STATE_CHANGE.LABEL_CHANGE }), agentOf(2)]);
    const [first, second] = [table.router.newClient(), table.router.newClient()];
    const quiet = [pmidBuild(2, 0, 1)];
    expect((await fetched(second, quiet)).changes).toBe(0);
    const told = await fetched(first, [pmidBuild(1, 0, 1), ...quiet]);
    expect(told.changes).toBe(STATE_CHANGE.LABEL_CHANGE);
    expect((await fetched(second, quiet)).changes).toBe(STATE_CHANGE.LABEL_CHANGE);
    expect((await fetched(second, quiet)).changes).toBe(0);
    expect((await fetched(table.router.newClient(), quiet)).changes).toBe(0);
    const agent = agentOf(3);
    table.add({ domain: 3, name: "third", origin: { kind: "given", agent } });
    await table.connect();
    expect((await fetched(first, quiet)).changes).toBe(STATE_CHANGE.ADD_AGENT);
    table.delete({ domain: 3 });
    expect((await fetched(first, quiet)).changes).toBe(STATE_CHANGE.DROP_AGENT);
  });
});

describe("other requests", () => {
  test("go to the agent of the domain, or fail", async () => {
    const client = (await tableOf([agentOf(1)])).router.newClient();
    expect(await client.text("metric", pmidBuild(1, 0, 1), "help")).toBe("text");
    expect(await client.text("instance domain", indomBuild(1, 1), "help")).toBe("text");
    expect(await codeOf(() => client.desc(pmidBuild(2, 0, 1)))).toBe(NOAGENT);
    expect(await codeOf(() => client.instances(PM_INDOM_NULL))).toBe(INDOM);
    expect(await codeOf(() => client.instanceName(indomBuild(9, 1), asInstance(1)))).toBe(NOAGENT);
    expect(await codeOf(() => client.labels(PM_LABEL.DOMAIN, 9, profile))).toBe(NOAGENT);
  });

  test("stores are given to each agent, and the first fault comes back", async () => {
    const calls: string[] = [];
    const agents = [
      agentOf(1, { calls }),
      agentOf(2, { calls, fails: AGAIN }),
      agentOf(3, { calls }),
    ];
    const client = (await tableOf(agents)).router.newClient();
    const out = new ResultWriter();
    for (const [domain, item] of [
      [1, 2],
      [2, 4],
      [3, 6],
      [1, 8],
    ] as const) {
      out.begin(pmidBuild(domain, 0, item), PM_TYPE.U32);
      out.add(-1, domain);
      out.end();
    }
    const result = new ResultView(out.finish(0), { sec: 0, nsec: 0 }, out.count, 0);
    expect(await codeOf(() => client.store(result))).toBe(AGAIN);
    expect(calls).toEqual(["store 2=1", "store 8=1", "store 4=2", "store 6=3"]);
  });

  test("agents hear of attributes before the first request, and of the end", async () => {
    const calls: string[] = [];
    const { router } = await tableOf([agentOf(1, { calls })]);
    const client = router.newClient();
    await client.attribute(11, "0");
    await client.attribute(14, "99");
    expect(calls).toEqual([]);
    await fetched(client, [pmidBuild(1, 0, 2)]);
    await client.attribute(15, "box");
    await fetched(client, [pmidBuild(1, 0, 2)]);
    client.close();
    expect(calls).toEqual([
      "attribute 0 11=0",
      "attribute 0 14=99",
      "fetch 1",
      "attribute 0 15=box",
      "fetch 1",
      "closed 0",
    ]);
    expect(router.newClient().number).toBe(0);
  });
});

test("names of a file, of agents of this program, and those that agents make", async () => {
  const made: AgentFactory = () => ({
    name: "made",
    fetch: () => 1,
    metrics: [
      { name: "made.one", cluster: 0, item: 1, type: PM_TYPE.U32, sem: 3, fetch: () => 1 },
      { name: ["made.two", "also.two"], cluster: 0, item: 2, type: PM_TYPE.U32, sem: 3 },
      { cluster: 0, item: 3, type: PM_TYPE.U32, sem: 3 },
    ],
    dynamicRoots: ["made.more"],
    names: {
      lookup(name) {
        if (name === "made.more.x") return pmidBuild(40, 0, 3);
        throw new PcpError(NAME);
      },
      namesOf(pmid) {
        if (pmidItem(pmid) === 3) return ["made.more.x"];
        throw new PcpError(PMID);
      },
      children: () => ({ names: ["x"], statuses: [0] }),
      traverse: () => ["made.more.x"],
    },
  });
  const table = createRegistry({ initial: "empty", names: parseNames("root {\n a 1:0:1\n}\n") });
  const load = async () => made;
  table.add({ domain: 40, name: "made", origin: { kind: "made", load } });
  await table.connect();
  expect(table.entries[0]?.problem).toBeUndefined();
  const client = table.router.newClient();
  expect(await client.traverse("")).toEqual([
    "a",
    "made.one",
    "made.two",
    "made.more.x",
    "also.two",
  ]);
  // Two agents that are not there: their roots stand for what they would say.
  const lacking = table.namesFrom(parseNames("root {\n a 1:0:1\n gone 77:*:*\n never 78:*:*\n}\n"));
  const other = table.router.newClient(lacking);
  expect(await other.traverse("")).toEqual([
    "a",
    "gone",
    "never",
    "made.one",
    "made.two",
    "made.more.x",
    "also.two",
  ]);
  expect(await other.traverse("gone")).toEqual(["gone"]);
  expect(await codeOf(() => other.lookupName("gone.metric"))).toBe(NOAGENT);
  expect(await client.children("made")).toEqual({
    names: ["one", "two", "more"],
    statuses: [0, 0, 1],
  });
  expect(await client.children("made.more")).toEqual({ names: ["x"], statuses: [0] });
  expect(await client.lookupName("also.two")).toBe(pmidBuild(40, 0, 2));
  expect(await client.lookupName("made.more.x")).toBe(pmidBuild(40, 0, 3));
  expect(await codeOf(() => client.lookupName("made.more.y"))).toBe(NAME);
  expect(await client.namesOf(pmidBuild(40, 0, 2))).toEqual(["made.two", "also.two"]);
  expect(await client.namesOf(pmidBuild(40, 0, 3))).toEqual(["made.more.x"]);
  expect(await codeOf(() => client.namesOf(pmidBuild(40, 0, 9)))).toBe(PMID);
  expect(await codeOf(() => client.namesOf(pmidBuild(41, 0, 9)))).toBe(NOAGENT);
  expect((await fetched(client, [pmidBuild(40, 0, 2)])).sets).toEqual([[pmidBuild(40, 0, 2), [1]]]);
  await table.close();
});
