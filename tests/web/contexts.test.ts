// Goal: the contexts behind the REST API stay few, live as long as they are used, outlive their pmcd,
// belong to who made them, and refuse with a reason (spec webapi.md 2.9, 4); what is kept of their
// metadata is dropped when pmcd says so.
import { afterEach, describe, expect, test } from "bun:test";
import { createDerivedSet } from "../../lib/derived/mod.ts";
import { createWebApi, type WebApi, type WebApiOptions } from "../../lib/web/mod.ts";
import { STATE_CHANGE } from "../../lib/pdu/mod.ts";
import { type FakeBehaviour, type FakePmcd, startFakePmcd } from "../helpers/fakepmcd.ts";
import { waitUntil } from "../helpers/ports.ts";
import { ask, type Got } from "./replay.ts";

const ended: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ended.splice(0)) await end();
});

async function pmcdWith(behaviour: FakeBehaviour = {}, port?: number): Promise<FakePmcd> {
  const pmcd = await startFakePmcd({ behaviour, ...(port === undefined ? {} : { port }) });
  ended.push(() => pmcd.stop());
  return pmcd;
}

function apiOver({ port }: FakePmcd, options: WebApiOptions = {}): WebApi {
  const env = { PMCD_PORT: String(port), PCP_DERIVED_CONFIG: "", PMCD_RECONNECT_TIMEOUT: "0.01" };
  const api = createWebApi({ env, ...options });
  ended.push(() => api.close());
  return api;
}

async function must(api: WebApi, target: string, headers = {}): Promise<Got> {
  const got = await ask(api, target, { headers });
  if (got === undefined) throw new Error(`no answer to ${target}`);
  return got;
}

const idOf = ({ body }: Got): number => Number(/"context":(\d+)/.exec(body)?.[1]);
const FETCH = "/pmapi/fetch?names=fake.m0";
const basic = (pair: string) => ({
  authorization: `Basic ${Buffer.from(pair).toString("base64")}`,
});

describe("sharing", () => {
  test("requests that name no context share one, also at the same time", async () => {
    const pmcd = await pmcdWith();
    const api = apiOver(pmcd);
    const all = await Promise.all(Array.from({ length: 50 }, () => must(api, FETCH)));
    expect(new Set(all.map(idOf)).size).toBe(1);
    expect(all.every(({ status }) => status === 200)).toBe(true);
    await must(api, "/metrics?names=fake");
    expect(pmcd.connections.length).toBe(1);
    expect(api.status()).toEqual({
      contexts: 1,
      limit: 4096,
      connections: 1,
      localhost: "pmcd",
    });
  });

  test("many that ask for the same at once cost pmcd a few fetches, each sees a value of its time", async () => {
    const pmcd = await pmcdWith({ fault: { kind: "delay", ms: 5 } });
    const api = apiOver(pmcd);
    const before = await must(api, FETCH);
    const all = await Promise.all(Array.from({ length: 40 }, () => must(api, FETCH)));
    const after = await must(api, FETCH);
    const valueOf = ({ body }: Got): number => Number(/"value":(\d+)/.exec(body)?.[1]);
    expect(all.every((got) => valueOf(got) > valueOf(before))).toBe(true);
    expect(valueOf(after)).toBeGreaterThan(Math.max(...all.map(valueOf)));
    expect(valueOf(after) - valueOf(before)).toBeLessThan(6);
  });

  test("/context, profiles and derived metrics make contexts of their own", async () => {
    const pmcd = await pmcdWith({ instances: 3 });
    const api = apiOver(pmcd);
    const shared = idOf(await must(api, FETCH));
    const targets = ["context", "profile?expr=del", "derive?name=a.b&expr=1"];
    const ids = await Promise.all(
      targets.map(async (target) => idOf(await must(api, `/pmapi/${target}`))),
    );
    expect(new Set([shared, ...ids]).size).toBe(4);
    expect((await must(api, FETCH)).body).toContain('"instance":2');
  });

  test("unchanged contexts read through one connection, changed ones through their own", async () => {
    const pmcd = await pmcdWith({ instances: 3 });
    const api = apiOver(pmcd);
    const make = async (): Promise<number> =>
      idOf(await must(api, "/pmapi/context?polltimeout=600"));
    const ids = await Promise.all(Array.from({ length: 20 }, make));
    expect(new Set(ids).size).toBe(20);
    expect(pmcd.connections.length).toBe(1);
    const [first = 0, second = 0, third = 0] = ids;
    const fetches = ids.map((id) => must(api, `/pmapi/${id}/fetch?names=fake.m0`));
    // A change while the others are under way.
    const changed = must(api, `/pmapi/${first}/profile?expr=del`);
    expect((await Promise.all(fetches)).map(({ status }) => status)).toEqual(ids.map(() => 200));
    expect((await changed).status).toBe(200);
    expect(pmcd.connections.length).toBe(2);
    await must(api, `/pmapi/${second}/derive?name=a.b&expr=fake.m0%2b1`);
    expect((await must(api, `/pmapi/${second}/fetch?name=a.b`)).status).toBe(200);
    expect((await must(api, `/pmapi/${third}/fetch?name=a.b`)).status).toBe(400);
    expect((await must(api, `/pmapi/${third}/fetch?names=fake.m0`)).body).toContain('"instance":2');
    expect(pmcd.connections.length).toBe(3);
    expect(api.status()).toMatchObject({ contexts: 20, connections: 3 });
    // Changed once more: it stays where it is.
    await must(api, `/pmapi/${first}/profile?expr=add`);
    expect(pmcd.connections.length).toBe(3);
  });

  test("stores that name no context share one, which nobody else reads through", async () => {
    const pmcd = await pmcdWith();
    const api = apiOver(pmcd);
    await must(api, FETCH);
    for (let i = 0; i < 5; i++) await must(api, `/pmapi/store?name=fake.m0&value=${i}`);
    expect(pmcd.connections.length).toBe(2);
  });

  test("a shared context that somebody changes is shared no more", async () => {
    const api = apiOver(await pmcdWith({ instances: 3 }));
    const first = idOf(await must(api, FETCH));
    await must(api, `/pmapi/${first}/profile?expr=del`);
    expect((await must(api, `/pmapi/${first}/fetch?names=fake.m0`)).status).toBe(200);
    expect(idOf(await must(api, FETCH))).not.toBe(first);
  });
});

describe("bounds", () => {
  test("contexts in all, connections to one host, descriptors", async () => {
    const pmcd = await pmcdWith();
    const make = "/pmapi/context";
    const own = "/pmapi/profile?expr=add";
    for (const [options, target, reason] of [
      [{ limits: { contexts: 2 } }, make, "too many contexts: 2"],
      [{ limits: { connectionsPerHost: 2 } }, own, "too many connections to one host: 2"],
    ] as const) {
      const api = apiOver(pmcd, options);
      const got = await Promise.all([target, target, target].map((each) => must(api, each)));
      expect(got.map(({ status }) => status).toSorted()).toEqual([200, 200, 503]);
      expect(got.find(({ status }) => status === 503)?.body).toBe(
        `{"message":"${reason}","success":false}\r\n`,
      );
      expect((await must(api, target)).status).toBe(503);
    }
    const full = apiOver(pmcd, { hasRoom: () => false });
    expect((await must(full, make)).status).toBe(503);
  });

  test("one pmcd is one host, whatever is said behind its name", async () => {
    const pmcd = await pmcdWith();
    const api = apiOver(pmcd, { limits: { connectionsPerHost: 2 } });
    const targets = [1, 2, 3].map((n) => `/pmapi/profile?expr=add&hostspec=localhost%3fa=${n}`);
    const got = await Promise.all(targets.map((each) => must(api, each)));
    expect(got.filter(({ body }) => body.includes("too many connections"))).toHaveLength(1);
  });

  test("requests on one context", async () => {
    const pmcd = await pmcdWith({ fault: { kind: "delay", ms: 20 } });
    const api = apiOver(pmcd, { limits: { requestsPerContext: 4 } });
    await must(api, FETCH);
    const got = await Promise.all(Array.from({ length: 10 }, () => must(api, FETCH)));
    expect(got.filter(({ status }) => status === 200)).toHaveLength(4);
    expect(got.filter(({ status }) => status === 503)).toHaveLength(6);
    expect((await must(api, FETCH)).status).toBe(200);
  });

  test("a connection that fails gives its place back", async () => {
    const pmcd = await pmcdWith();
    const api = apiOver(pmcd, { limits: { contexts: 1 } });
    for (let i = 0; i < 3; i++) {
      const got = await must(api, "/pmapi/context?hostspec=127.0.0.1:1");
      expect(got.body).toContain("cannot connect to PMCD: Connection refused");
    }
    expect((await must(api, "/pmapi/context")).status).toBe(200);
  });

  test("derived metrics of one context", async () => {
    const api = apiOver(await pmcdWith());
    const id = idOf(await must(api, "/pmapi/context"));
    const lines = Array.from({ length: 1001 }, (_, i) => `my.n${i}=fake.m0+${i}\n`);
    const got = await ask(api, `/pmapi/${id}/derive`, { method: "POST", body: lines.join("") });
    expect(got?.status).toBe(400);
    expect(got?.body).toContain("Too many per-context derived metrics");
    const last = await must(api, `/pmapi/${id}/fetch?names=my.n0,my.n999,my.n1000`);
    expect(last.body).toContain('"name":"my.n999"');
    expect(last.body).not.toContain("my.n1000");
  });

  test("after close everything is 503, what was under way is answered", async () => {
    const pmcd = await pmcdWith({ fault: { kind: "delay", ms: 50 } });
    const api = apiOver(pmcd);
    await must(api, FETCH);
    const late = must(api, FETCH);
    await api.close();
    expect((await late).status).toBe(400);
    expect((await must(api, FETCH)).status).toBe(503);
  });
});

describe("life", () => {
  test("polltimeout ends a context, requests keep it", async () => {
    const pmcd = await pmcdWith();
    const api = apiOver(pmcd, { limits: { workMs: 4000 } });
    const short = idOf(await must(api, "/pmapi/context?polltimeout=0.05"));
    const long = idOf(await must(api, "/pmapi/context?polltimeout=600"));
    await Bun.sleep(80);
    const gone = await must(api, `/pmapi/${short}/fetch?names=fake.m0`);
    expect([gone.status, gone.body]).toEqual([
      400,
      `{"context":${short},"message":"expired context identifier: ${short}","success":false}\r\n`,
    ]);
    expect(await waitUntil(() => api.status()["contexts"] === 1)).toBe(true);
    expect((await must(api, `/pmapi/${short}/fetch?names=fake.m0`)).body).toContain(
      `unknown context identifier: ${short}`,
    );
    expect((await must(api, `/pmapi/${long}/fetch?names=fake.m0`)).status).toBe(200);
    expect(pmcd.connections.filter(({ open }) => open)).toHaveLength(1);
  });

  test("the connection of shared contexts stays for those who come again, with its metadata", async () => {
    const pmcd = await pmcdWith();
    const api = apiOver(pmcd, { limits: { workMs: 100 } });
    const scrape = "/metrics?names=fake&polltimeout=0.2";
    await must(api, scrape);
    const asked = () => pmcd.connections[0]?.received.length ?? 0;
    const before = asked();
    expect(await waitUntil(() => api.status()["contexts"] === 0)).toBe(true);
    expect(api.status()).toMatchObject({ contexts: 0, connections: 1 });
    expect((await must(api, scrape)).status).toBe(200);
    expect(pmcd.connections).toHaveLength(1);
    expect(asked() - before).toBeLessThan(5);
    // Those of one context, and of somebody's, do not.
    await must(api, "/pmapi/profile?expr=add&polltimeout=0.2");
    expect(api.status()).toMatchObject({ connections: 2 });
    expect(await waitUntil(() => api.status()["connections"] === 1)).toBe(true);
    const isOne = () => pmcd.connections.filter(({ open }) => open).length === 1;
    expect(await waitUntil(isOne)).toBe(true);
  });

  test("connections that nobody uses make room for others", async () => {
    const pmcd = await pmcdWith();
    const api = apiOver(pmcd, { limits: { workMs: 100, connectionsPerHost: 1 } });
    await must(api, `${FETCH}&polltimeout=0.2`);
    expect((await must(api, "/pmapi/profile?expr=add")).status).toBe(503);
    expect(await waitUntil(() => api.status()["contexts"] === 0)).toBe(true);
    expect((await must(api, "/pmapi/profile?expr=add")).status).toBe(200);
  });

  test("contexts outlive a pmcd that is started again, with their profile", async () => {
    const pmcd = await pmcdWith({ instances: 3 });
    const api = apiOver(pmcd);
    const own = idOf(await must(api, "/pmapi/context?polltimeout=600"));
    await must(api, `/pmapi/${own}/derive?name=a.b&expr=fake.m0%2b1`);
    await must(api, FETCH);
    await pmcd.stop();
    const lost = await must(api, `/pmapi/${own}/fetch?names=fake.m0`);
    expect(lost.status).toBe(400);
    expect(lost.body).toContain("IPC protocol failure");
    await pmcdWith({ instances: 3 }, pmcd.port);
    const target = `/pmapi/${own}/fetch?names=a.b`;
    const isBack = async () => (await must(api, target)).body.includes('"name":"a.b"');
    expect(await waitUntil(isBack)).toBe(true);
    const isSharedBack = async () => (await must(api, FETCH)).status === 200;
    expect(await waitUntil(isSharedBack)).toBe(true);
  });
});

describe("credentials", () => {
  test("malformed ones are 401, others than Basic are not looked at", async () => {
    const api = apiOver(await pmcdWith());
    for (const header of ["Basic !!!", "Basic bm9jb2xvbg=="]) {
      const got = await must(api, FETCH, { authorization: header });
      expect([got.status, got.body]).toEqual([401, '{"message":"(none)","success":false}\r\n']);
    }
    expect((await must(api, FETCH, { authorization: "Bearer x" })).status).toBe(200);
  });

  test("a pair is handed to pmcd, never shown", async () => {
    // One that knows no authentication, and says so at once.
    const pmcd = await pmcdWith({ features: 0 });
    const api = apiOver(pmcd);
    const got = await must(api, FETCH, basic("user:secret"));
    expect(got.status).toBe(400);
    expect(got.body).toContain("cannot connect to PMCD: ");
    expect(got.body).not.toContain("secret");
    // Without them the context of the others is still there.
    expect((await must(api, FETCH)).status).toBe(200);
  });
});

describe("metadata", () => {
  const asked = (pmcd: FakePmcd, kind: string): number =>
    pmcd.connections
      .flatMap(({ received }) => received)
      .filter((pdu) => "kind" in pdu && pdu.kind === kind).length;

  test("are asked for once, also by many at once", async () => {
    const pmcd = await pmcdWith({ metrics: 20 });
    const api = apiOver(pmcd);
    const target = "/pmapi/metric?prefix=fake";
    const all = await Promise.all(Array.from({ length: 8 }, () => must(api, target)));
    expect(new Set(all.map(({ body }) => body)).size).toBe(1);
    const texts = asked(pmcd, "text-req");
    expect(texts).toBe(40);
    await must(api, target);
    expect(asked(pmcd, "text-req")).toBe(texts);
    for (let i = 0; i < 5; i++) await must(api, FETCH);
    const descs = asked(pmcd, "desc-ids");
    await must(api, FETCH);
    expect(asked(pmcd, "desc-ids")).toBe(descs);
  });

  test("a derived metric that does not bind is told of once, not by each connection", async () => {
    const pmcd = await pmcdWith({ metrics: 2 });
    const derived = createDerivedSet();
    derived.define("my.broken", "no.such.metric + 1");
    const warnings: string[] = [];
    const api = apiOver(pmcd, { derived, warn: (text) => warnings.push(text) });
    for (let i = 0; i < 3; i++) {
      const id = idOf(await must(api, "/pmapi/context"));
      await must(api, `/pmapi/${id}/profile?expr=add`);
      await must(api, `/pmapi/${id}/metric?prefix=fake`);
      await must(api, `/pmapi/${id}/metric?prefix=my`);
    }
    expect(pmcd.connections.length).toBe(4);
    expect(warnings.filter((text) => text.includes("my.broken"))).toHaveLength(1);
  });

  test("are dropped when pmcd tells of changes", async () => {
    const pmcd = await pmcdWith({ stateChange: STATE_CHANGE.ADD_AGENT });
    const api = apiOver(pmcd);
    await must(api, FETCH);
    const before = asked(pmcd, "desc-ids");
    await must(api, FETCH);
    expect(asked(pmcd, "desc-ids")).toBe(before + 1);
  });

  test("a reply that makes no sense is an error of this request alone", async () => {
    const pmcd = await pmcdWith({ fault: { kind: "die", after: 6, bytes: 8 } });
    const api = apiOver(pmcd);
    const statuses = [];
    for (let i = 0; i < 12; i++) statuses.push((await must(api, FETCH)).status);
    expect(statuses).toContain(200);
    expect(statuses).toContain(400);
  });
});
