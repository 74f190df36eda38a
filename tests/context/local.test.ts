// Goal: a local context without agents answers as PM_CONTEXT_LOCAL of libpcp 7.2 does after its table
// was cleared; with agents it asks the one of the domain, and hands its faults on per metric.
import { afterAll, describe, expect, test } from "bun:test";
import { hostname } from "node:os";
import { PcpError, PM_ERR, utf8Text } from "../../lib/base/mod.ts";
import { type AgentOrigin, createRegistry } from "../../lib/collector/mod.ts";
import { type LocalContext, openLocalContext, PM_MODE } from "../../lib/context/mod.ts";
import {
  asIndom,
  asInstance,
  asPmid,
  indomBuild,
  labelsOf,
  parseLabels,
  parseNames,
  PM_ID_NULL,
  PM_INDOM_NULL,
  PM_LABEL,
  PM_TYPE,
  type Pmid,
  pmidBuild,
  pmidItem,
  pmExtractValue,
} from "../../lib/pcp/mod.ts";
import type { Agent } from "../../lib/pmda/mod.ts";
import { codeOf } from "./codes.ts";

const contexts: LocalContext[] = [];
afterAll(async () => {
  for (const context of contexts) await context.close();
});

async function contextWith(...how: Parameters<typeof openLocalContext>): Promise<LocalContext> {
  const context = await openLocalContext(...how);
  contexts.push(context);
  return context;
}

const codes = (work: Promise<unknown>[]) => Promise.all(work.map(codeOf));

async function numvals(context: LocalContext, pmids: readonly Pmid[]): Promise<number[]> {
  const found: number[] = [];
  for (const set = (await context.fetch(pmids)).result.sets(); set.next();) found.push(set.numval);
  return found;
}

const names = parseNames(
  "root {\n hinv\n toy 99:*:*\n a\n}\na { b }\na.b { c 99:0:1 }\nhinv { ncpu 60:0:32 }\n",
);
const ncpu = pmidBuild(60, 0, 32);
const toys = indomBuild(99, 1);
const { NAME, NONLEAF, NOAGENT, PMID, INDOM, INST, TEXT, VALUE, TOOSMALL } = PM_ERR;

/** An agent of domain 99: item 0 counts its own fetches, 1 has instances, 2 can be set, 3 is broken. */
function toyAgent(ended: number[] = []): Agent {
  let stored = 7;
  const named = ["toy.stored"];
  return {
    name: "toy",
    domain: 99,
    features: 0,
    fetch(pmids, { profile }, out) {
      if (pmids.some((pmid) => pmidItem(pmid) === 3)) throw new PcpError(PM_ERR.AGAIN);
      for (const pmid of pmids) {
        if (pmidItem(pmid) === 0) {
          out.fail(pmid, PMID);
          continue;
        }
        out.begin(pmid, PM_TYPE.U32);
        if (pmidItem(pmid) === 2) out.add(-1, stored);
        else
          for (const one of [1, 2, 3]) if (profile.wants(toys, asInstance(one))) out.add(one, one);
        out.end();
      }
    },
    async desc(pmid) {
      if (pmidItem(pmid) > 2) throw new PcpError(PMID);
      const indom = pmidItem(pmid) === 1 ? toys : PM_INDOM_NULL;
      return { pmid, type: PM_TYPE.U32, indom, sem: 3, units: 0 };
    },
    async instances(indom) {
      if (indom !== toys) throw new PcpError(INDOM);
      return { ids: [1, 2, 3].map(asInstance), names: ["car", "train", "ship"] };
    },
    async instanceName(_indom, instance) {
      if (instance !== 2) throw new PcpError(INST);
      return "train";
    },
    async instanceId(_indom, name) {
      if (name !== "train") throw new PcpError(INST);
      return asInstance(2);
    },
    async text(_subject, _ident, level) {
      if (level === "help") throw new PcpError(TEXT);
      return "a toy";
    },
    async labels(level) {
      return [{ ...parseLabels('{"agent":"toy"}', level), error: 0 }];
    },
    async store(result) {
      for (const set = result.sets(); set.next();)
        stored = Number(pmExtractValue(set, 0, PM_TYPE.U32));
    },
    names: {
      async lookup(name) {
        if (named.includes(name)) return pmidBuild(99, 0, 2);
        throw new PcpError(NAME);
      },
      async namesOf(pmid) {
        if (pmidItem(pmid) !== 2) throw new PcpError(PMID);
        return named;
      },
      children: async () => ({ names: ["stored"], statuses: [0] }),
      traverse: async () => named,
    },
    contextClosed: (context) => void ended.push(context),
  };
}

describe("without agents", () => {
  test("names", async () => {
    const context = await contextWith({ names });
    expect((await context.lookupNames(["hinv.ncpu"])).pmids).toEqual([ncpu]);
    expect((await context.lookupNames(["toy"])).pmids).toEqual([asPmid(0x7fc00000 | (99 << 10))]);
    const looked = ["no.such", "hinv", "toy.x", ""].map((name) => context.lookupNames([name]));
    expect(await codes(looked)).toEqual([NAME, NONLEAF, NOAGENT, NAME]);
    const several = await context.lookupNames(["no.such", "hinv.ncpu", "toy.x"]);
    expect(several).toEqual({ pmids: [PM_ID_NULL, ncpu, PM_ID_NULL], resolved: 1 });
    expect(await codeOf(context.lookupNames([]))).toBe(TOOSMALL);
    expect(await context.children("")).toEqual({
      names: ["hinv", "toy", "a"],
      statuses: [1, 1, 1],
    });
    expect(await context.children("hinv")).toEqual({ names: ["ncpu"], statuses: [0] });
    expect(await codes(["toy", "toy.x", "no"].map((name) => context.children(name)))).toEqual([
      NOAGENT,
      NOAGENT,
      NAME,
    ]);
    expect(await context.traverse("hinv")).toEqual(["hinv.ncpu"]);
    // The root of what an agent would say stands for it, as in pmcd's lists.
    expect(await context.traverse("")).toEqual(["hinv.ncpu", "toy", "a.b.c"]);
    expect(await context.traverse("toy")).toEqual(["toy"]);
    expect(await codes(["toy.x", "no"].map((name) => context.traverse(name)))).toEqual([
      NOAGENT,
      NAME,
    ]);
    expect(await context.namesOf(pmidBuild(99, 0, 1))).toEqual(["a.b.c"]);
    expect(await codeOf(context.namesOf(pmidBuild(99, 0, 2)))).toBe(NOAGENT);
  });

  test("a file of names that is not there", async () => {
    const context = await contextWith({ env: { PMNS_DEFAULT: "/no/such/names" } });
    const error = await context.traverse("").catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: PM_ERR.NOPMNS });
    expect(String(error)).toContain("/no/such/names");
    expect(await codeOf(context.lookupNames(["a", "b"]))).toBe(PM_ERR.NOPMNS);
  });

  test("metadata, values and stores", async () => {
    const context = await contextWith({ names });
    const noDomain = asIndom(0x12345678);
    expect(
      await codes([
        context.desc(ncpu),
        context.desc(PM_ID_NULL),
        context.instances(noDomain),
        context.instances(PM_INDOM_NULL),
        context.instanceName(PM_INDOM_NULL, asInstance(0)),
        context.instanceId(noDomain, "red"),
        context.text("metric", ncpu, "help"),
        context.text("instance domain", PM_INDOM_NULL, "oneline"),
        context.labels(PM_LABEL.DOMAIN, 29),
        context.labels(PM_LABEL.INSTANCES, PM_INDOM_NULL),
        context.labels(PM_LABEL.CLUSTER, ncpu),
      ]),
    ).toEqual([[NOAGENT, NOAGENT, NOAGENT, INDOM, INDOM], Array(6).fill(NOAGENT)].flat());
    const descs = await context.descs([ncpu, PM_ID_NULL]);
    expect(descs.map(({ pmid }) => pmid)).toEqual([PM_ID_NULL, PM_ID_NULL]);
    const wanted = [PM_ID_NULL, ncpu, pmidBuild(511, 1, 0), pmidBuild(511, 1, 1)];
    expect(await numvals(context, wanted)).toEqual([PMID, NOAGENT, NOAGENT, PMID]);
    expect(await codeOf(context.fetch([]))).toBe(TOOSMALL);
    const timestamp = { sec: 0, nsec: 0 };
    const none = { timestamp, sets: [{ pmid: ncpu, error: 0 }] };
    const one = {
      timestamp,
      sets: [{ pmid: ncpu, type: PM_TYPE.U32, instances: [-1], values: [1] }],
    };
    expect(await codes([context.store(none), context.store(one)])).toEqual([VALUE, NOAGENT]);
  });

  test("itself: labels, host, zone, mode, time, derived metrics", async () => {
    const context = await contextWith({ names });
    const [set, ...more] = await context.labels(PM_LABEL.CONTEXT, 0);
    expect(more).toEqual([]);
    const labels = set === undefined ? [] : labelsOf(set);
    const text = utf8Text(set?.json ?? new Uint8Array(0));
    expect(text).toContain(`"hostname":"${hostname()}"`);
    const optional = labels.filter(({ flags }) => (flags & PM_LABEL.OPTIONAL) !== 0);
    expect(optional.map(({ name }) => name)).toEqual(["groupid", "userid"]);
    expect(await context.hostName()).toBe(hostname());
    expect((await context.zone()).name).not.toBe("");
    context.setMode(PM_MODE.LIVE);
    expect(() => context.setMode(PM_MODE.FORW)).toThrow("Illegal mode specification");
    await context.reconnect();
    const before = Date.now();
    const { sec, nsec } = (await context.fetch([ncpu])).result.timestamp;
    expect(sec * 1000 + nsec / 1e6).toBeGreaterThan(before - 1000);
    expect(nsec).toBeLessThan(1e9);
    expect(await codeOf(context.addDerived("x", "1"))).toBe(PM_ERR.GENERIC);
    expect(context.name).toBe("");
  });
});

describe("with agents", () => {
  const agents = createRegistry({ initial: "empty" });
  const ended: number[] = [];
  const given = (agent: Agent): AgentOrigin => ({ kind: "given", agent });
  agents.add({ domain: 99, name: "toy", origin: given(toyAgent(ended)) });
  agents.add({ domain: 98, name: "/no/gone.so", init: "gone_init", origin: { kind: "dso" } });

  test("the agent of the domain answers, in the order asked for", async () => {
    const context = await contextWith({ names, agents });
    const [car, stored, broken] = [1, 2, 3].map((item) => pmidBuild(99, 0, item)) as Pmid[];
    if (car === undefined || stored === undefined || broken === undefined) throw new Error("items");
    const gone = pmidBuild(98, 0, 0);
    expect(await numvals(context, [car, gone, stored, ncpu])).toEqual([3, NOAGENT, 1, NOAGENT]);
    expect(await numvals(context, [car, broken, ncpu])).toEqual([
      PM_ERR.AGAIN,
      PM_ERR.AGAIN,
      NOAGENT,
    ]);
    const wide = context.fetch([car]);
    context.addProfile(toys, [asInstance(2)]);
    expect(await numvals(context, [car])).toEqual([1]);
    expect((await wide).result.find(car)?.numval).toBe(3);
    expect((await context.desc(car)).indom).toBe(toys);
    expect((await context.descs([broken, car])).map(({ pmid }) => pmid)).toEqual([PM_ID_NULL, car]);
    expect((await context.instances(toys)).names).toEqual(["car", "train", "ship"]);
    expect(await context.instanceName(toys, asInstance(2))).toBe("train");
    expect(Number(await context.instanceId(toys, "train"))).toBe(2);
    expect(await context.text("metric", car, "help")).toBe("a toy");
    expect(await codeOf(context.text("metric", car, "help", true))).toBe(TEXT);
    expect((await context.labels(PM_LABEL.DOMAIN, 99)).length).toBe(1);
    expect((await context.labels(PM_LABEL.ITEM, car)).length).toBe(1);
    const sets = [{ pmid: stored, type: PM_TYPE.U32, instances: [-1], values: [42] }];
    await context.store({ timestamp: { sec: 0, nsec: 0 }, sets });
    expect((await context.fetch([stored])).result.find(stored)?.word(0)).toBe(42);
  });

  test("names below a dynamic root are the agent's", async () => {
    const context = await contextWith({ names, agents });
    const stored = pmidBuild(99, 0, 2);
    expect(await context.traverse("")).toEqual(["hinv.ncpu", "toy.stored", "a.b.c"]);
    expect(await context.children("toy")).toEqual({ names: ["stored"], statuses: [0] });
    expect((await context.lookupNames(["toy.stored"])).pmids).toEqual([stored]);
    expect(await codeOf(context.lookupNames(["toy.none"]))).toBe(NAME);
    expect(await context.namesOf(stored)).toEqual(["toy.stored"]);
    expect(await codeOf(context.namesOf(pmidBuild(99, 0, 9)))).toBe(PMID);
  });

  test("duplicates, the end, and the numbers that agents see", async () => {
    const first = await contextWith({ names, agents });
    first.addProfile(toys, [asInstance(3)]);
    const second = await first.duplicate();
    const car = pmidBuild(99, 0, 1);
    expect((await second.fetch([car])).result.find(car)?.numval).toBe(1);
    await first.close();
    await first.close();
    expect(await codes([first.fetch([car]), first.duplicate(), first.hostName()])).toEqual(
      Array(3).fill(PM_ERR.NOCONTEXT),
    );
    expect(() => first.addProfile(toys)).toThrow("closed");
    expect(() => first.deleteProfile(toys)).toThrow("closed");
    await second.close();
    expect(ended.length).toBe(2);
    expect(ended[1]).toBe(Number(ended[0]) + 1);
  });
});
