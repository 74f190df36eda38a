// Goal: newContext opens each type with its options, turns flags into what a session is asked for, and
// fails with the codes of pmNewContext.
import { afterAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { PcpError, PM_ERR } from "../../lib/base/mod.ts";
import { createRegistry } from "../../lib/collector/mod.ts";
import {
  type AnyContext,
  type ContextFlags,
  type ContextSpec,
  newContext,
  type NewContextOptions,
  PM_MODE,
} from "../../lib/context/mod.ts";
import { createDerivedSet, registerDerived } from "../../lib/derived/mod.ts";
import {
  asInstance,
  hostSpecComplaint,
  indomBuild,
  parseNames,
  PM_INDOM_NULL,
  pmExtractValue,
  type Pmid,
  pmidBuild,
} from "../../lib/pcp/mod.ts";
import { FEATURE } from "../../lib/pdu/mod.ts";
import { startFakePmcd } from "../helpers/fakepmcd.ts";
import { startPmcd } from "../helpers/pcp.ts";
import { pcp6 } from "../helpers/pcp6.ts";
import { testWith } from "../helpers/peers.ts";
import { freePort, waitUntil } from "../helpers/ports.ts";
import { privateFolder } from "../helpers/process.ts";
import { tlsFiles } from "../helpers/tls.ts";
import { codeOf } from "./codes.ts";

const contexts: AnyContext[] = [];
afterAll(async () => {
  for (const context of contexts) await context.close();
});

async function opened(spec: ContextSpec, options: NewContextOptions = {}): Promise<AnyContext> {
  const context = await newContext(spec, { env: { PCP_DERIVED_CONFIG: "" }, ...options });
  contexts.push(context);
  return context;
}

const failure = (spec: ContextSpec, options: NewContextOptions = {}): Promise<unknown> =>
  codeOf(opened(spec, options));

const host = (name: string): ContextSpec => ({ type: "host", host: name });
const fixtures = join(import.meta.dir, "../fixtures/archives/rec");

describe("newContext", () => {
  test("one of each type", async () => {
    const pmcd = await startFakePmcd();
    try {
      const live = await opened(host(`127.0.0.1:${pmcd.port}`));
      expect([live.type, live.name]).toEqual(["host", `127.0.0.1:${pmcd.port}`]);
      expect(live.type === "host" ? live.features : 0).toBe(0xe44);
    } finally {
      await pmcd.stop();
    }
    const recorded = await opened({ type: "archive", archive: join(fixtures, "v3-types") });
    expect(recorded.type === "archive" ? recorded.label().version : 0).toBe(3);
    const names = parseNames("root { a 1:0:1 }");
    const agents = createRegistry({ initial: "empty" });
    const local = await opened({ type: "local" }, { local: { names, agents } });
    expect(await local.traverse("")).toContain("a");
    expect(local.type === "local" ? local.agents : 0).toBe(agents);
  });

  test("codes of pmNewContext", async () => {
    const dead = await freePort();
    expect(await failure(host(`127.0.0.1:${dead}`))).toBe(-111);
    expect(await failure(host(""))).toBe(PM_ERR.NOTHOST);
    expect(await failure(host("unix:/no/such"))).toBe(-2);
    expect(await failure(host("no-such-host.invalid"))).toBe(-113);
    expect(await failure({ type: "archive", archive: "/no/such" })).toBe(-2);
    expect(await failure({ type: "nonsense" } as unknown as ContextSpec)).toBe(PM_ERR.NOCONTEXT);
    const container = { env: { PCP_CONTAINER: "a b" } };
    expect(await failure(host(`127.0.0.1:${dead}`), container)).toBe(-22);
    const bad = await opened(host("127.0.0.1:abc")).catch((error: unknown) => error);
    expect(bad).toBeInstanceOf(PcpError);
    if (bad instanceof PcpError)
      expect(hostSpecComplaint(bad)).toBe(
        "pmNewContext: bad host specification\n127.0.0.1:abc\n          ^ -- non-numeric port\n",
      );
  });

  test("flags ask for what a session has, or fail", async () => {
    const pmcd = await startFakePmcd();
    const bare = await startFakePmcd({ behaviour: { features: FEATURE.LABELS } });
    const [full, poor] = [host(`127.0.0.1:${pmcd.port}`), host(`127.0.0.1:${bare.port}`)];
    const withFlags = (spec: ContextSpec, flags: ContextFlags, env = {}) =>
      failure(spec, { flags, env });
    try {
      expect(await withFlags(full, { secure: true })).toBe(-95);
      expect(await withFlags(full, { secure: true, relaxed: true })).toBe(-95);
      expect(await withFlags(full, { relaxed: true })).toBe(0);
      expect(await withFlags(full, { relaxed: true }, { PCP_SECURE_SOCKETS: "1" })).toBe(-95);
      expect(await withFlags(full, { compress: true })).toBe(-95);
      expect(await withFlags(poor, { authenticate: true })).toBe(-95);
      expect(await withFlags(poor, { container: true })).toBe(-95);
      expect(await withFlags(poor, { container: false, authenticate: false })).toBe(0);
      const before = pmcd.connections.length;
      expect(await withFlags(full, { container: "web" })).toBe(0);
      expect(await withFlags(full, { container: true }, { PCP_CONTAINER: "box" })).toBe(0);
      const sent = () => pmcd.connections.slice(before).map(({ received }) => received[1]);
      await waitUntil(async () => !sent().includes(undefined));
      expect(sent()).toMatchObject([
        { kind: "attr", attribute: 15, value: Buffer.from("web") },
        { kind: "attr", attribute: 15, value: Buffer.from("box") },
      ]);
    } finally {
      await pmcd.stop();
      await bare.stop();
    }
  });

  test("derived metrics: those of a set, those of the context, none", async () => {
    const pmcd = await startFakePmcd();
    const derived = createDerivedSet();
    registerDerived(derived, "sum.both", "fake.m0 + fake.m1");
    const spec = host(`127.0.0.1:${pmcd.port}`);
    const value = async (context: AnyContext, name: string): Promise<unknown> => {
      const { pmids } = await context.lookupNames([name]);
      const [pmid] = pmids;
      const desc = await context.desc(pmid as Pmid);
      const set = (await context.fetch(pmids)).result.find(pmid as Pmid);
      return set === undefined ? undefined : pmExtractValue(set, 0, desc.type);
    };
    try {
      const context = await opened(spec, { derived });
      expect(await context.traverse("sum")).toEqual(["sum.both"]);
      expect(await value(context, "sum.both")).toBe(2);
      await context.addDerived("own.twice", "2 * fake.m0");
      expect(await value(context, "own.twice")).toBe(4);
      const copy = await context.duplicate();
      contexts.push(copy);
      expect(await value(copy, "sum.both")).toBe(6);
      await context.reconnect();
      expect(context.type === "host" && context.sessions).toBe(2);
      expect(await value(context, "sum.both")).toBe(8);
      const bare = await opened(spec, { derived: "none" });
      expect(await codeOf(bare.lookupNames(["sum.both"]))).toBe(PM_ERR.NAME);
      expect(await codeOf(bare.addDerived("a.b", "1"))).toBe(PM_ERR.GENERIC);
    } finally {
      await pmcd.stop();
    }
  });

  test("calls and changes count in the order in which they were made", async () => {
    const pmcd = await startFakePmcd({ behaviour: { instances: 3 } });
    try {
      const context = await opened(host(`127.0.0.1:${pmcd.port}`));
      const metric = pmidBuild(250, 0, 0);
      const first = context.fetch([metric]);
      context.addProfile(indomBuild(250, 1), [asInstance(1)]);
      const rest = [
        context.fetch([metric]),
        context.traverse(""),
        context.instances(PM_INDOM_NULL),
      ];
      expect(await codeOf(() => context.setMode(PM_MODE.FORW))).toBe(PM_ERR.MODE);
      const list = [asInstance(1)];
      expect(await codeOf(() => context.addProfile(PM_INDOM_NULL, list))).toBe(PM_ERR.PROFILESPEC);
      context.setMode(PM_MODE.LIVE);
      await first;
      expect(await Promise.all(rest.map(codeOf))).toEqual([0, 0, PM_ERR.INDOM]);
      const asked = pmcd.connections[0]?.received.map((pdu) => ("kind" in pdu ? pdu.kind : pdu));
      const fetch = "highres-fetch";
      expect(asked).toEqual(["creds", "profile", fetch, "profile", fetch, "pmns-traverse"]);
      // A change that turns out bad after its call has returned is told by the next fetch.
      const many = Array.from({ length: 600_000 }, (_, at) => asInstance(at));
      const busy = context.traverse("");
      context.addProfile(indomBuild(250, 2), many);
      context.addProfile(indomBuild(250, 3), many);
      expect(await codeOf(context.fetch([metric]))).toBe(PM_ERR.TOOBIG);
      await busy;
    } finally {
      await pmcd.stop();
    }
  });

  test("metadata of an archive are those of the place that the fetches before have reached", async () => {
    const spec = { type: "archive", archive: join(fixtures, "v3-types") } as const;
    const context = await opened(spec);
    const { pmids } = await context.lookupNames(["sample.bin"]);
    const { indom } = await context.desc(pmids[0] as Pmid);
    const before = codeOf(context.instances(indom));
    const fetches = [context.fetch(pmids), context.fetch(pmids)];
    const after = codeOf(context.instances(indom));
    await Promise.all(fetches);
    expect([await before, await after]).toEqual([PM_ERR.INDOM_LOG, 0]);
  });

  test("the files of derived metrics that the environment names", async () => {
    const folder = privateFolder("derived");
    writeFileSync(join(folder, "one"), "my.double = 2 * sample.long.ten\n");
    const context = await opened(
      { type: "archive", archive: join(fixtures, "v3-types") },
      { env: { PCP_DERIVED_CONFIG: join(folder, "one") } },
    );
    const { pmids } = await context.lookupNames(["my.double"]);
    expect(pmids.length).toBe(1);
  });

  testWith(["pcp6", "openssl"], "TLS by a flag", async () => {
    const pmcd = await startPmcd(pcp6, { tls: await tlsFiles(), agents: [] });
    try {
      for (const flags of [{ secure: true }, { relaxed: true }, {}]) {
        const tls = { verify: false };
        const context = await opened(host(`127.0.0.1:${pmcd.port}`), { flags, host: { tls } });
        expect(context.type === "host" && context.secure).toBe(Object.keys(flags).length > 0);
        expect(await context.traverse("pmcd.version")).toEqual(["pmcd.version"]);
      }
    } finally {
      await pmcd.stop();
    }
  });
});
