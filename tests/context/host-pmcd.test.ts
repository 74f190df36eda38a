// Goal: a host context over real pmcds of both releases: the codes of libpcp for what is not there,
// profiles, host name and zone, stores, and pmcd killed and started again under it.
import { afterAll, expect } from "bun:test";
import { PM_ERR, utf8Text } from "../../lib/base/mod.ts";
import { type HostContext, openHostContext } from "../../lib/context/mod.ts";
import {
  asIndom,
  asInstance,
  asPmid,
  localTime,
  PM_ID_NULL,
  PM_IN_NULL,
  PM_INDOM_NULL,
  PM_LABEL,
  PM_TYPE,
  type Pmid,
  pmidBuild,
} from "../../lib/pcp/mod.ts";
import { connectionSettings } from "../../lib/pdu/mod.ts";
import { type Pmcd, startPmcd } from "../helpers/pcp.ts";
import { pcp6, sharedPmcd6 } from "../helpers/pcp6.ts";
import { pcp7, sharedPmcd7 } from "../helpers/pcp7.ts";
import { testWith } from "../helpers/peers.ts";
import { waitUntil } from "../helpers/ports.ts";
import { codeOf } from "./codes.ts";

const contexts: HostContext[] = [];
const servers: Pmcd[] = [];
afterAll(async () => {
  for (const context of contexts) await context.close();
  for (const server of servers) await server.stop();
});

async function contextOver(pmcd: Pmcd, delays = [0.05]): Promise<HostContext> {
  const settings = { ...connectionSettings({}, () => undefined), reconnectDelays: delays };
  const context = await openHostContext(`127.0.0.1:${pmcd.port}`, { settings });
  contexts.push(context);
  return context;
}

const pmidOf = async (context: HostContext, name: string): Promise<Pmid> =>
  (await context.lookupNames([name])).pmids[0] as Pmid;

async function instancesIn(context: HostContext, pmid: Pmid): Promise<number[]> {
  const set = (await context.fetch([pmid])).result.sets();
  set.next();
  return Array.from({ length: Math.max(0, set.numval) }, (_, i) => set.instance(i));
}

const colours = asIndom(0x07400001);
const bins = asIndom(0x07400002);
const noDomain = asIndom(0x12345678);
const noItem = pmidBuild(29, 63, 1023);
const noAgent = asPmid(0x12345678);

for (const [peer, tree, shared] of [
  ["pcp6", pcp6, sharedPmcd6],
  ["pcp7", pcp7, sharedPmcd7],
] as const) {
  testWith(peer, `${peer}: codes of what is not there`, async () => {
    const context = await contextOver(await shared());
    const codes = (work: Promise<unknown>[]) => Promise.all(work.map(codeOf));
    const { NAME, NONLEAF, PMID, NOAGENT, INDOM, INST, TEXT } = PM_ERR;
    expect(
      await codes([
        context.lookupNames(["no.such"]),
        context.lookupNames(["sample.long"]),
        context.children("no.such"),
        context.traverse("no.such"),
        context.namesOf(noItem),
        context.namesOf(noAgent),
      ]),
    ).toEqual([NAME, NONLEAF, NAME, NAME, PMID, NOAGENT]);
    expect(await codes([context.desc(noItem), context.desc(noAgent)])).toEqual([PMID, PMID]);
    expect(
      await codes([
        context.instances(PM_INDOM_NULL),
        context.instanceName(PM_INDOM_NULL, asInstance(0)),
        context.instanceId(PM_INDOM_NULL, "red"),
        context.instances(noDomain),
        context.instanceName(colours, asInstance(12345)),
        context.instanceName(colours, PM_IN_NULL),
        context.instanceId(colours, "nope"),
      ]),
    ).toEqual([INDOM, INDOM, INDOM, INDOM, INST, INST, INST]);
    expect(
      await codes([
        context.text("metric", noItem, "help"),
        context.text("metric", noAgent, "oneline", true),
        context.text("instance domain", PM_INDOM_NULL, "help"),
        context.text("instance domain", noDomain, "oneline"),
        context.text("instance domain", asIndom(0x074ffffe), "help"),
      ]),
    ).toEqual([TEXT, PMID, PMID, PMID, TEXT]);
    expect(
      await codes([
        context.labels(PM_LABEL.DOMAIN, 99),
        context.labels(PM_LABEL.INDOM, PM_INDOM_NULL),
        context.labels(PM_LABEL.INSTANCES, noDomain),
        context.labels(PM_LABEL.CLUSTER, noAgent),
        context.labels(PM_LABEL.ITEM, noItem),
      ]),
    ).toEqual([NOAGENT, INDOM, INDOM, PMID, 0]);
    const mixed = await context.lookupNames(["sample.long.one", "no.such", "sample.long"]);
    expect(mixed.resolved).toBe(1);
    const descs = await context.descs([noItem, mixed.pmids[0] as Pmid]);
    expect(descs.map(({ pmid }) => pmid)).toEqual([PM_ID_NULL, mixed.pmids[0] as Pmid]);
    const sets = [{ pmid: pmidBuild(29, 0, 10), type: PM_TYPE.I32, instances: [-1], values: [1] }];
    expect(await codes([context.store({ timestamp: { sec: 0, nsec: 0 }, sets })])).toEqual([
      PM_ERR.PERMISSION,
    ]);
  });

  testWith(peer, `${peer}: profile, labels of instances, names, zone`, async () => {
    const context = await contextOver(await shared());
    const bin = await pmidOf(context, "sample.bin");
    expect((await instancesIn(context, bin)).length).toBe(9);
    context.addProfile(bins, [asInstance(300), asInstance(500)]);
    expect(await instancesIn(context, bin)).toEqual([300, 500]);
    const sets = await context.labels(PM_LABEL.INSTANCES, bins);
    const labelled = sets.map(({ instance, json }) => [instance as number, utf8Text(json)]);
    expect(labelled).toContainEqual([300, '{"bin":300}']);
    context.deleteProfile(PM_INDOM_NULL);
    expect(await instancesIn(context, bin)).toEqual([]);
    expect((await context.instances(bins)).names[2]).toBe("bin-300");
    expect((await context.instances(bins)).ids[2] as number).toBe(300);
    context.addProfile(PM_INDOM_NULL);
    expect((await instancesIn(context, bin)).length).toBe(9);
    expect(await context.namesOf(bin)).toContain("sample.dupnames.five.bin");
    const zone = await context.zone();
    expect(localTime({ sec: 0 }, zone).year).toBe(1970);
  });

  testWith(peer, `${peer}: pmcd killed and started again`, async () => {
    const server = await startPmcd(tree);
    servers.push(server);
    const context = await contextOver(server);
    const bin = await pmidOf(context, "sample.bin");
    context.addProfile(bins, [asInstance(200)]);
    expect(await instancesIn(context, bin)).toEqual([200]);
    server.daemon().signal("SIGKILL");
    await server.daemon().ended;
    await waitUntil(async () => !context.connected);
    expect(await codeOf(context.fetch([bin]))).toBe(PM_ERR.IPC);
    expect(await codeOf(context.traverse(""))).toBe(PM_ERR.IPC);
    expect(await context.hostName()).toBe("127.0.0.1");
    await server.restart();
    await waitUntil(async () => context.retryIn === 0);
    expect(await instancesIn(context, bin)).toEqual([200]);
    expect(context.sessions).toBe(2);
    const copy = await context.duplicate();
    contexts.push(copy);
    expect(await instancesIn(copy, bin)).toEqual([200]);
  });
}
