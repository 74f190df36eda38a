// Goal: a host context gives the answers of pminfo for every metric of a private pmcd of both
// releases: names, descriptors, instances, labels, texts and values; directly, through our proxy and
// through the real pmproxy.
import { afterAll, expect } from "bun:test";
import { type HostContext, openHostContext } from "../../lib/context/mod.ts";
import { type PcpTree, type Proxy, startRealPmproxy } from "../helpers/pcp.ts";
import { pcp6, sharedPmcd6 } from "../helpers/pcp6.ts";
import { pcp7, sharedPmcd7 } from "../helpers/pcp7.ts";
import { testWith } from "../helpers/peers.ts";
import { must, run } from "../helpers/process.ts";
import { startProxyUnderTest } from "../helpers/proxy.ts";
import { blocks, describeMetric, showValues } from "./pminfo.ts";

const contexts: HostContext[] = [];
const proxies: Proxy[] = [];
afterAll(async () => {
  for (const context of contexts) await context.close();
  for (const proxy of proxies) await proxy.stop();
});

/** Metrics about the client itself, how many there are, and how busy the machine is. */
const OF_THE_MOMENT = /^(?:pmcd\.numclients|sample\.(?:percontext|sysinfo|load))/;

/** A block without the instances that are pmcd's clients of the moment. */
const steady = (name: string, block: string): string =>
  (name.startsWith("pmcd.client.") ? block.replace(/^ {4}inst .*\n/gm, "") : block).trim();

async function compare(tree: PcpTree, spec: string, env: Readonly<Record<string, string>>) {
  const context = await openHostContext(spec, { env: {} });
  contexts.push(context);
  const pminfo = async (...args: string[]): Promise<string> =>
    (await run(tree.command(["pminfo", "-h", spec, ...args]), { env })).stdout;

  const all = (await pminfo()).trimEnd().split("\n");
  // The library's own metrics belong to derived metrics.
  const names = all.filter((name) => !name.startsWith("event."));
  expect((await context.traverse("")).toSorted()).toEqual(names.toSorted());
  const good = all.filter((name) => !name.startsWith("sample.bad."));
  const described = blocks(await pminfo("-dmtTl", ...good), all);
  for (const name of names) {
    const mine = await describeMetric(context, name);
    // After a metric without a descriptor pminfo 7 shows the others one place off: asked for alone.
    const alone = name.startsWith("sample.bad.");
    const theirs = alone ? await pminfo("-dmtTl", name) : (described.get(name) ?? "");
    expect(steady(name, mine)).toBe(steady(name, theirs));
  }

  const before = blocks(await pminfo("-f"), all);
  const values = await showValues(context, names);
  const after = blocks(await pminfo("-f"), all);
  let same = 0;
  for (const [name, text] of values) {
    if (before.get(name) !== after.get(name) || OF_THE_MOMENT.test(name)) continue;
    const block = (before.get(name) ?? "").trim();
    if (block.startsWith(`${name}:`)) continue;
    expect(`${name}\n${text}`.trim()).toBe(block);
    same += 1;
  }
  expect(same).toBeGreaterThan(100);
  expect(await context.hostName()).toBe((await must(["uname", "-n"])).trim());
}

for (const [peer, tree, pmcd] of [
  ["pcp6", pcp6, sharedPmcd6],
  ["pcp7", pcp7, sharedPmcd7],
] as const) {
  testWith(peer, `${peer}: directly`, async () => {
    const { port, clientEnv } = await pmcd();
    await compare(tree, `127.0.0.1:${port}`, clientEnv);
  });

  testWith(peer, `${peer}: through our proxy`, async () => {
    const { port, clientEnv } = await pmcd();
    const proxy = await startProxyUnderTest();
    proxies.push(proxy);
    await compare(tree, `127.0.0.1:${port}@127.0.0.1:${proxy.port}`, clientEnv);
  });

  testWith(peer, `${peer}: through the real pmproxy`, async () => {
    const { port, clientEnv } = await pmcd();
    const proxy = await startRealPmproxy(tree);
    proxies.push(proxy);
    await compare(tree, `127.0.0.1:${port}@127.0.0.1:${proxy.port}`, clientEnv);
  });
}
