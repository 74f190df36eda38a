// Goal: where no pmcd answers on localhost, what was given as its stand-in serves, says so in /-/status and
// in the log, and makes room when a pmcd comes; without a stand-in, and for all other hosts, the error of
// connecting is told.
import { afterEach, describe, expect, test } from "bun:test";
import { openHostContext } from "../../lib/context/mod.ts";
import { createWebApi, type WebApi, type WebApiOptions } from "../../lib/web/mod.ts";
import { type FakePmcd, startFakePmcd } from "../helpers/fakepmcd.ts";
import { freePort, waitUntil } from "../helpers/ports.ts";
import { ask, type Got } from "./replay.ts";

const ended: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ended.splice(0).toReversed()) await end();
});

const FETCH = "/pmapi/fetch?names=fake.m0";
const NOBODY = "cannot connect to PMCD: Connection refused";

interface Setup {
  readonly api: WebApi;
  /** Where this machine's pmcd would be. */
  readonly port: number;
  readonly warnings: readonly string[];
  /** What stands in; its metrics have three instances. */
  readonly standIn: FakePmcd;
  readonly get: (target: string, headers?: Record<string, string>) => Promise<Got>;
}

async function setUp(hasFallback: boolean): Promise<Setup> {
  const standIn = await startFakePmcd({ behaviour: { instances: 3 } });
  ended.push(() => standIn.stop());
  const port = await freePort();
  const env = { PMCD_PORT: String(port), PCP_DERIVED_CONFIG: "" };
  const warnings: string[] = [];
  const fallback = () => openHostContext(`localhost:${standIn.port}`, { env });
  const options: WebApiOptions = {
    env,
    warn: (text) => warnings.push(text),
    limits: { workMs: 50 },
    ...(hasFallback ? { fallback } : {}),
  };
  const api = createWebApi(options);
  ended.push(() => api.close());
  const get = async (target: string, headers = {}): Promise<Got> => {
    const got = await ask(api, target, { headers });
    if (got === undefined) throw new Error(`no answer to ${target}`);
    return got;
  };
  return { api, port, warnings, standIn, get };
}

describe("without a stand-in", () => {
  test("the error is told, also in the state", async () => {
    const { api, get, port } = await setUp(false);
    expect(api.status()["localhost"]).toBe("unasked");
    const got = await get(FETCH);
    expect([got.status, got.body]).toEqual([400, expect.stringContaining(NOBODY)]);
    expect(api.status()["localhost"]).toBe("unreachable");
    const pmcd = await startFakePmcd({ port });
    ended.push(() => pmcd.stop());
    expect((await get(FETCH)).status).toBe(200);
    expect(api.status()["localhost"]).toBe("pmcd");
  });
});

describe("with a stand-in", () => {
  test("it serves localhost, and says so once", async () => {
    const { api, get, warnings, standIn } = await setUp(true);
    for (const target of [FETCH, `${FETCH}&hostspec=localhost`, "/metrics?names=fake"]) {
      const got = await get(target);
      expect([target, got.status]).toEqual([target, 200]);
    }
    expect((await get(FETCH)).body).toContain('"instance":2');
    const id = /"context":(\d+)/.exec((await get("/pmapi/context?polltimeout=600")).body)?.[1];
    expect((await get(`/pmapi/${id}/profile?expr=del`)).status).toBe(200);
    expect((await get(`/pmapi/${id}/fetch?names=fake.m0`)).status).toBe(200);
    expect((await get(FETCH)).body).toContain('"instance":2');
    expect(api.status()["localhost"]).toBe("built-in");
    expect(warnings).toEqual([expect.stringContaining("no pmcd answers on localhost")]);
    expect(standIn.connections.length).toBe(2);
  });

  test("it serves the addresses of this machine, too", async () => {
    const { get } = await setUp(true);
    for (const host of ["127.0.0.1", "pcp://127.0.0.1", "pcp://localhost", "[::1]"]) {
      const got = await get(`${FETCH}&hostspec=${encodeURIComponent(host)}`);
      expect([host, got.status]).toEqual([host, 200]);
    }
  });

  test("others than localhost, and those who bring a password, do not get it", async () => {
    const { get } = await setUp(true);
    expect((await get(`${FETCH}&hostspec=127.0.0.1:1`)).body).toContain(NOBODY);
    const authorization = `Basic ${Buffer.from("a:b").toString("base64")}`;
    expect((await get(FETCH, { authorization })).body).toContain(NOBODY);
  });

  test("a pmcd that comes takes over, without a gap", async () => {
    const { api, get, port } = await setUp(true);
    expect((await get(FETCH)).body).toContain('"instance":2');
    await Bun.sleep(80);
    expect((await get(FETCH)).body).toContain('"instance":2');
    const pmcd = await startFakePmcd({ port });
    ended.push(() => pmcd.stop());
    const bodies: string[] = [];
    const isBack = async (): Promise<boolean> => {
      const { status, body } = await get(FETCH);
      expect(status).toBe(200);
      bodies.push(body);
      return !body.includes('"instance":2');
    };
    expect(await waitUntil(isBack)).toBe(true);
    expect(api.status()["localhost"]).toBe("pmcd");
  });

  test("a pmcd that has answered is missed when it is away, and taken again when it is back", async () => {
    const { api, get, port, standIn } = await setUp(true);
    const pmcd = await startFakePmcd({ port });
    const id = /"context":(\d+)/.exec((await get("/pmapi/context?polltimeout=600")).body)?.[1];
    expect((await get(`/pmapi/${id}/metric?prefix=fake`)).status).toBe(200);
    await pmcd.stop();
    // Long enough for what is kept not to be believed without a question.
    await Bun.sleep(300);
    const lost = await get(`/pmapi/${id}/metric?prefix=fake`);
    expect(lost.body).toContain('"fake traversal failed - IPC protocol failure"');
    expect((await get(FETCH)).body).toContain(NOBODY);
    expect(api.status()["localhost"]).toBe("unreachable");
    expect(standIn.connections).toHaveLength(0);
    // Not after the pauses that PCP makes between attempts: the first one is for nothing.
    await Bun.sleep(200);
    const again = await startFakePmcd({ port });
    ended.push(() => again.stop());
    expect((await get(`/pmapi/${id}/metric?prefix=fake`)).status).toBe(200);
    expect((await get(FETCH)).status).toBe(200);
    expect(api.status()["localhost"]).toBe("pmcd");
  });
});
