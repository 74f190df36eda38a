// Goal: the calls of a host context stay in order, survive losses of pmcd under PCP's back-off, obey
// time limits and bounds, and leave no socket behind. Against a stand-in pmcd, so without waiting.
import { afterEach, describe, expect, test } from "bun:test";
import { hostname } from "node:os";
import { join } from "node:path";
import { PM_ERR } from "../../lib/base/mod.ts";
import { type HostContext, openHostContext, PM_MODE, withDerived } from "../../lib/context/mod.ts";
import { createDerivedSet } from "../../lib/derived/mod.ts";
import {
  asInstance,
  indomBuild,
  PM_ID_NULL,
  PM_INDOM_NULL,
  PM_LABEL,
  pmidBuild,
  type ResultInit,
} from "../../lib/pcp/mod.ts";
import {
  type ConnectOptions,
  connectionSettings,
  encodePdu,
  encodeResult,
  FROM_ANON,
} from "../../lib/pdu/mod.ts";
import { type FakeBehaviour, type FakePmcd, startFakePmcd } from "../helpers/fakepmcd.ts";
import { freePort, waitUntil } from "../helpers/ports.ts";
import { privateFolder } from "../helpers/process.ts";
import { challenge, startPeer } from "../pdu/connection-peer.ts";
import { codeOf } from "./codes.ts";

const stop: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of stop.splice(0)) await end();
});

async function pmcdWith(behaviour: FakeBehaviour = {}, port?: number): Promise<FakePmcd> {
  const pmcd = await startFakePmcd({ behaviour, ...(port === undefined ? {} : { port }) });
  stop.push(() => pmcd.stop());
  return pmcd;
}

/** A context over 127.0.0.1 that waits `delays` seconds between attempts to connect. */
async function contextAt(
  port: number,
  delays: readonly number[] = [0.05],
  options: ConnectOptions = {},
): Promise<HostContext> {
  const settings = { ...connectionSettings({}, () => undefined), reconnectDelays: delays };
  const context = await openHostContext(`127.0.0.1:${port}`, { settings, ...options });
  stop.push(() => context.close());
  return context;
}

const metric = pmidBuild(250, 0, 0);
const openOnes = (pmcd: FakePmcd): number => pmcd.connections.filter(({ open }) => open).length;
const kinds = (pmcd: FakePmcd, connection = 0): unknown[] =>
  (pmcd.connections[connection]?.received ?? []).map((pdu) => ("kind" in pdu ? pdu.kind : pdu));

describe("calls of a host context", () => {
  test("200 at once are served in the order in which they were made", async () => {
    const pmcd = await pmcdWith({ metrics: 200 });
    const context = await contextAt(pmcd.port);
    const done: number[] = [];
    await Promise.all(
      Array.from({ length: 200 }, async (_, i) => {
        const { pmids } = await context.lookupNames([`fake.m${i}`]);
        expect(pmids).toEqual([pmidBuild(250, 0, i)]);
        done.push(i);
      }),
    );
    expect(done).toEqual(done.toSorted((a, b) => a - b));
    const asked = pmcd.connections[0]?.received ?? [];
    expect(asked.slice(1)).toMatchObject(done.map((i) => ({ names: [`fake.m${i}`] })));
  });

  test("a call of several requests is not mixed with the next one", async () => {
    const pmcd = await pmcdWith({
      answer: (pdu) =>
        pdu.kind === "text-req" && pdu.type === 6
          ? encodePdu({ kind: "error", from: FROM_ANON, code: PM_ERR.TEXT })
          : undefined,
    });
    const context = await contextAt(pmcd.port);
    await Promise.all([context.text("metric", metric, "help"), context.traverse("")]);
    expect(kinds(pmcd)).toEqual(["creds", "text-req", "text-req", "pmns-traverse"]);
  });

  test("calls made together share the way, and nothing comes between them", async () => {
    const pmcd = await pmcdWith({ metrics: 40 });
    const context = withDerived(await contextAt(pmcd.port), createDerivedSet());
    await context.desc(metric);
    const metrics = Array.from({ length: 40 }, (_, i) => pmidBuild(250, 0, i));
    const together = context.together?.(({ namesOf, labels, text }) =>
      Promise.all([
        ...metrics.map((pmid) => namesOf(pmid)),
        codeOf(labels(PM_LABEL.CONTEXT, 0)),
        codeOf(text("metric", metric, "oneline")),
      ]),
    );
    const after = context.traverse("");
    const names = (await together)?.slice(0, 40);
    expect(names).toEqual(metrics.map((_, i) => [`fake.m${i}`]));
    await after;
    const asked = kinds(pmcd).slice(-43);
    expect(asked.at(-1)).toBe("pmns-traverse");
    const expected = ["label-req", ...metrics.map(() => "pmns-ids"), "pmns-traverse", "text-req"];
    expect(asked.toSorted()).toEqual(expected);
  });

  test("a fetch asks for what the profile said when it was called", async () => {
    const pmcd = await pmcdWith({ instances: 3 });
    const context = await contextAt(pmcd.port);
    const first = context.fetch([metric]);
    context.addProfile(indomBuild(250, 1), [asInstance(1)]);
    const second = context.fetch([metric]);
    const third = context.fetch([metric]);
    await Promise.all([first, second, third]);
    const fetch = "highres-fetch";
    expect(kinds(pmcd)).toEqual(["creds", "profile", fetch, "profile", fetch, fetch]);
    expect(pmcd.connections[0]?.received[1]).toMatchObject({ state: 0, rules: [] });
    expect(pmcd.connections[0]?.received[3]).toMatchObject({ rules: [{ state: 1 }] });
  });

  test("more calls than may wait are refused; the others are served", async () => {
    const pmcd = await pmcdWith();
    const context = await contextAt(pmcd.port, [1], { queueLimit: 3 });
    const codes = await Promise.all(Array.from({ length: 6 }, () => codeOf(context.desc(metric))));
    expect(codes).toEqual([0, 0, 0, 0, PM_ERR.TOOBIG, PM_ERR.TOOBIG]);
  });

  test("modes, empty fetches, PMIDs that no agent has", async () => {
    const pmcd = await pmcdWith({
      answer: (pdu) =>
        pdu.kind === "highres-fetch"
          ? encodeResult(
              FROM_ANON,
              {
                timestamp: { sec: 1, nsec: 2 },
                sets: pdu.pmids.map((pmid) => ({ pmid, error: PM_ERR.NOAGENT })),
              },
              true,
            )
          : undefined,
    });
    const context = await contextAt(pmcd.port);
    context.setMode(PM_MODE.LIVE);
    expect(() => context.setMode(PM_MODE.INTERP)).toThrow("Illegal mode specification");
    expect(await codeOf(context.fetch([]))).toBe(PM_ERR.TOOSMALL);
    const derived = pmidBuild(511, 3, 4);
    const { result } = await context.fetch([PM_ID_NULL, metric, derived, pmidBuild(511, 3, 0)]);
    const found: number[] = [];
    for (const set = result.sets(); set.next();) found.push(set.numval);
    expect(found).toEqual([PM_ERR.PMID, PM_ERR.NOAGENT, PM_ERR.PMID, PM_ERR.NOAGENT]);
    expect(await codeOf(context.addDerived("a.b", "1"))).toBe(PM_ERR.GENERIC);
  });

  test("state changes that came with an inner fetch are told with the next one", async () => {
    let fetches = 0;
    const pmcd = await pmcdWith({
      answer(pdu) {
        if (pdu.kind === "pmns-names")
          return encodePdu({ kind: "pmns-ids", from: FROM_ANON, status: 1, pmids: [metric] });
        if (pdu.kind !== "highres-fetch") return undefined;
        fetches += 1;
        const sets = [
          { pmid: metric, type: 6, instances: [-1], values: ["app1.example"] },
        ] as const;
        const result = encodeResult(FROM_ANON, { timestamp: { sec: 1, nsec: 2 }, sets }, true);
        const change = encodePdu({ kind: "error", from: FROM_ANON, code: 5 });
        return fetches === 1 ? Buffer.concat([change, result]) : result;
      },
    });
    const context = await contextAt(pmcd.port);
    expect(await context.hostName()).toBe("app1.example");
    expect((await context.fetch([metric])).changes).toBe(5);
    expect((await context.fetch([metric])).changes).toBe(0);
  });

  test("the name of a host that does not tell it, and no zone", async () => {
    const socket = join(privateFolder("host"), "pmcd.socket");
    const pmcd = await startFakePmcd({ unix: socket });
    stop.push(() => pmcd.stop());
    const local = await openHostContext(`unix:${socket}`, { env: {} });
    stop.push(() => local.close());
    expect(await local.hostName()).toBe(hostname());
    const { port } = await pmcdWith();
    expect(await (await contextAt(port)).hostName()).toBe("127.0.0.1");
    const named = await openHostContext(`localhost:${port}`, { env: {} });
    stop.push(() => named.close());
    expect(await named.hostName()).toBe(hostname());
    expect(await codeOf(named.zone())).toBe(PM_ERR.VALUE);
  });

  test("stores of nothing are not sent", async () => {
    const pmcd = await pmcdWith();
    const context = await contextAt(pmcd.port);
    const store = (sets: ResultInit["sets"]) =>
      codeOf(context.store({ timestamp: { sec: 0, nsec: 0 }, sets }));
    expect(await store([])).toBe(PM_ERR.TOOSMALL);
    expect(await store([{ pmid: metric, error: 0 }])).toBe(PM_ERR.VALUE);
    expect(await store([{ pmid: metric, type: 1, instances: [-1], values: [1] }])).toBe(0);
    expect(kinds(pmcd)).toEqual(["creds", "result"]);
  });

  test("labels of a pmcd that has none", async () => {
    const { port } = await pmcdWith({ features: 0 });
    const context = await contextAt(port);
    expect(await codeOf(context.labels(PM_LABEL.CONTEXT, 0))).toBe(PM_ERR.NOLABELS);
  });
});

describe("losses of pmcd", () => {
  test("the outstanding call fails, the waiting ones go on over a new connection", async () => {
    const pmcd = await pmcdWith({ fault: { kind: "die", after: 2, bytes: 0, reset: true } });
    const context = await contextAt(pmcd.port);
    const codes = await Promise.all([0, 1, 2, 3, 4].map(() => codeOf(context.desc(metric))));
    expect(codes).toEqual([0, 0, PM_ERR.IPC, 0, 0]);
    expect(context.sessions).toBe(2);
    expect(pmcd.connections.length).toBe(2);
  });

  test("a request that is not answered in time ends the connection, not the context", async () => {
    const pmcd = await pmcdWith({ fault: { kind: "stall", after: 1 } });
    const settings = {
      ...connectionSettings({ PMCD_REQUEST_TIMEOUT: "2" }, () => undefined),
      reconnectDelays: [0.05],
    };
    const context = await contextAt(pmcd.port, [], { settings });
    expect(await codeOf(context.desc(metric))).toBe(0);
    expect(await codeOf(context.desc(metric))).toBe(PM_ERR.TIMEOUT);
    expect(context.connected).toBe(false);
    expect(await codeOf(context.desc(metric))).toBe(0);
    expect(context.sessions).toBe(2);
  });

  test("without pmcd calls fail at once until the back-off is over", async () => {
    const port = await freePort();
    const pmcd = await pmcdWith({ instances: 3 }, port);
    const context = await contextAt(port, [0.1]);
    context.addProfile(indomBuild(250, 1), [asInstance(2)]);
    expect((await context.fetch([metric])).result.numpmid).toBe(1);
    await pmcd.stop();
    await waitUntil(async () => !context.connected);
    expect(await codeOf(context.fetch([metric]))).toBe(PM_ERR.IPC); // tried, refused
    expect(context.retryIn).toBeGreaterThan(0);
    const later = await pmcdWith({ instances: 3 }, port);
    expect(await codeOf(context.fetch([metric]))).toBe(PM_ERR.IPC); // not tried
    expect(later.connections.length).toBe(0);
    expect(await codeOf(context.reconnect())).toBe(-110);
    await waitUntil(async () => context.retryIn === 0);
    expect((await context.fetch([metric])).result.numpmid).toBe(1);
    expect(context.sessions).toBe(2);
    const profile = later.connections[0]?.received.find((pdu) => "rules" in pdu);
    expect(profile).toMatchObject({ rules: [{ state: 1, instances: Int32Array.of(2) }] });
    expect(await context.hostName()).toBe("127.0.0.1");
  });

  test("reconnect makes a new connection, or says ETIMEDOUT", async () => {
    const port = await freePort();
    const pmcd = await pmcdWith({}, port);
    const context = await contextAt(port, [0.05, 60]);
    await context.reconnect();
    expect(context.sessions).toBe(2);
    await waitUntil(async () => openOnes(pmcd) === 1);
    expect(openOnes(pmcd)).toBe(1);
    await pmcd.stop();
    expect(await codeOf(context.reconnect())).toBe(-110);
    await waitUntil(async () => context.retryIn === 0);
    expect(await codeOf(context.reconnect())).toBe(-110);
    expect(context.retryIn).toBeGreaterThan(50_000);
    expect(await codeOf(context.desc(metric))).toBe(PM_ERR.IPC);
  });

  test("a pmcd that drops each client before any answer is not called again and again", async () => {
    const pmcd = await pmcdWith({ fault: { kind: "die", after: 0, bytes: 0 } });
    const context = await contextAt(pmcd.port, [60]);
    const codes: unknown[] = [];
    for (let i = 0; i < 5; i++) codes.push(await codeOf(context.desc(metric)));
    expect(codes).toEqual(Array(5).fill(PM_ERR.IPC));
    expect(pmcd.connections.length).toBe(1);
  });
});

describe("duplicates and the end", () => {
  test("a duplicate has a connection and a profile of its own", async () => {
    const pmcd = await pmcdWith({ instances: 3 });
    const first = await contextAt(pmcd.port);
    first.addProfile(indomBuild(250, 1), [asInstance(1)]);
    const second = await first.duplicate();
    stop.push(() => second.close());
    second.addProfile(indomBuild(250, 1), [asInstance(2)]);
    await first.close();
    expect(await codeOf(first.duplicate())).toBe(PM_ERR.NOCONTEXT);
    await second.fetch([metric]);
    expect(second.name).toBe(`127.0.0.1:${pmcd.port}`);
    expect(pmcd.connections[1]?.received[1]).toMatchObject({
      rules: [{ state: 1, instances: Int32Array.of(1, 2) }],
    });
    await waitUntil(async () => openOnes(pmcd) === 1);
    expect(openOnes(pmcd)).toBe(1);
  });

  test("closing fails what is outstanding and what comes later; sockets are gone", async () => {
    const pmcd = await pmcdWith({ fault: { kind: "stall", after: 0 } });
    const contexts = await Promise.all(Array.from({ length: 20 }, () => contextAt(pmcd.port)));
    const calls = contexts.flatMap((context) => [
      codeOf(context.desc(metric)),
      codeOf(context.traverse("")),
      codeOf(context.reconnect()),
    ]);
    await Promise.all(contexts.map((context) => context.close()));
    expect(await Promise.all(calls)).toEqual(Array(60).fill(PM_ERR.NOCONTEXT));
    for (const context of contexts) {
      expect(await codeOf(context.fetch([metric]))).toBe(PM_ERR.NOCONTEXT);
      expect(await codeOf(context.hostName())).toBe(PM_ERR.NOCONTEXT);
      expect(() => context.setMode(PM_MODE.LIVE)).toThrow("closed");
      expect(() => context.addProfile(PM_INDOM_NULL)).toThrow("closed");
      expect(() => context.deleteProfile(PM_INDOM_NULL)).toThrow("closed");
      await context.close();
    }
    await waitUntil(async () => openOnes(pmcd) === 0);
    expect(openOnes(pmcd)).toBe(0);
  });

  test("closing while a new connection is being made leaves none behind", async () => {
    const pmcd = await pmcdWith({ fault: { kind: "die", after: 1, bytes: 0 } });
    const context = await contextAt(pmcd.port);
    await context.desc(metric);
    await codeOf(context.desc(metric));
    const call = codeOf(context.desc(metric));
    await Promise.resolve();
    await context.close();
    expect(await call).toBe(PM_ERR.NOCONTEXT);
    await waitUntil(async () => openOnes(pmcd) === 0);
    expect(openOnes(pmcd)).toBe(0);
  });

  test("closing does not wait for a pmcd that accepts and says nothing", async () => {
    let gone = 0;
    const peer = await startPeer(async (talk, number) => {
      if (number === 1) {
        talk.send(challenge());
        await talk.read();
        talk.reset();
        return;
      }
      talk.socket.on("close", () => {
        gone += 1;
      });
    });
    stop.push(() => peer.stop());
    const settings = {
      ...connectionSettings({ PMCD_REQUEST_TIMEOUT: "0" }, () => undefined),
      reconnectDelays: [0.01],
    };
    const context = await contextAt(peer.port, [], { settings });
    await waitUntil(async () => !context.connected && context.retryIn === 0);
    const call = codeOf(context.desc(metric));
    await waitUntil(async () => peer.clients === 2);
    await context.close();
    expect(await call).toBe(PM_ERR.NOCONTEXT);
    await waitUntil(async () => gone === 1);
    expect(gone).toBe(1);
  });

  test("bad specifications come as data", async () => {
    const error = await openHostContext("127.0.0.1:abc", { env: {} }).catch((e: unknown) => e);
    expect(error).toMatchObject({
      code: PM_ERR.GENERIC,
      message: "127.0.0.1:abc\n          ^ -- non-numeric port\n",
    });
    expect(await codeOf(openHostContext("", { env: {} }))).toBe(PM_ERR.NOTHOST);
    expect(await codeOf(openHostContext("a?user=%zz", { env: {} }))).toBe(-22);
    expect(await codeOf(openHostContext(`127.0.0.1:${await freePort()}`, { env: {} }))).toBe(-111);
    expect(await codeOf(openHostContext("unix:/no/such", { env: {} }))).toBe(-2);
  });
});
