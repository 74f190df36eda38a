// Goal: newContext opens each type with its options, turns flags into what a session is asked for, and
// fails with the codes of pmNewContext.
import { afterAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { PcpError, PM_ERR } from "../../lib/base/mod.ts";
import {
  type AnyContext,
  type ContextFlags,
  type ContextSpec,
  createLocalAgents,
  newContext,
  type NewContextOptions,
} from "../../lib/context/mod.ts";
import { createDerivedSet, registerDerived } from "../../lib/derived/mod.ts";
import { hostSpecComplaint, parseNames, pmExtractValue, type Pmid } from "../../lib/pcp/mod.ts";
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
    const agents = createLocalAgents();
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
      await waitUntil(async () => !sent().includes(undefined), 2000);
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
