// Goal: HTTP on a connection that the proxy has accepted itself behaves as on any web server, within
// its bounds and deadlines, whatever the client does; the server's own endpoints say what is so (spec
// webapi.md 2, proxy.md 13).
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { answer } from "../../lib/web/mod.ts";
import { waitUntil } from "../helpers/ports.ts";
import { childWith, rawClient, serverWith, stopAll } from "./support.ts";
import type { TestServer } from "./support.ts";
import { type Reply, replies } from "./replies.ts";

let server: TestServer;
beforeAll(async () => {
  server = await serverWith({ limits: { bodyBytes: 1000 } });
});
afterAll(stopAll);

const get = (path: string, method = "GET", headers = ""): string =>
  `${method} ${path} HTTP/1.1\r\nHost: x\r\n${headers}\r\n`;
const HEALTHY = get("/-/healthy");
const LAST = get("/-/healthy", "GET", "Connection: close\r\n");

/** Sends pieces and reads to the end, which the server or a last request brings about. */
async function ask(pieces: readonly string[], heads: readonly number[] = []) {
  const client = await rawClient(server.port);
  for (const piece of pieces) {
    client.socket.write(Buffer.from(piece, "latin1"));
    if (pieces.length > 1) await Bun.sleep(2);
  }
  const text = await client.end();
  client.socket.destroy();
  return replies(text, heads);
}

const one = async (...pieces: string[]): Promise<Reply> => {
  const [reply, ...more] = await ask(pieces);
  expect(more).toEqual([]);
  if (reply === undefined) throw new Error("no reply");
  return reply;
};

const closing = (path: string, method = "GET", headers = "") =>
  get(path, method, `Connection: close\r\n${headers}`);

describe("endpoints", () => {
  test("healthy, ready, and the head that pmproxy writes", async () => {
    for (const path of ["/-/healthy", "/-/ready"]) {
      const reply = await one(closing(path));
      expect([reply.status, reply.body]).toEqual([200, "OK\n"]);
      expect(reply.headers.get("access-control-allow-origin")).toBe("*");
      expect(reply.headers.get("content-type")).toBe("text/plain");
    }
  });

  test("not ready while stopping", () => {
    const view = { ready: () => false, status: () => ({}), metrics: () => "" };
    const reply = answer(view, { method: "GET", path: "/-/ready", header: () => undefined });
    expect([reply.status, reply.body]).toEqual([503, "stopping\n"]);
  });

  test("status", async () => {
    const reply = await one(closing("/-/status"));
    expect(reply.headers.get("content-type")).toBe("application/json");
    const status = JSON.parse(reply.body) as Record<string, Record<string, unknown>>;
    expect(status).toMatchObject({
      name: "pmproxy",
      pid: process.pid,
      ready: true,
      connections: { limit: expect.any(Number), open: expect.any(Number) },
      pcp: { enabled: true, sessions: 0 },
      http: { enabled: true },
      resp: { enabled: false },
      tls: { enabled: false },
      memory: { residentBytes: expect.any(Number) },
    });
    for (const [name, value] of Object.entries(status["counters"] ?? {})) {
      if (name !== "connections") expect([name, typeof value]).toEqual([name, "number"]);
    }
  });

  test("metrics are OpenMetrics", async () => {
    const reply = await one(closing("/-/metrics"));
    expect(reply.headers.get("content-type")).toBe(
      "application/openmetrics-text; version=1.0.0; charset=utf-8",
    );
    const samples = openMetrics(reply.body);
    expect(samples.get("pmproxy_http_requests_total")).toBeGreaterThan(0);
    expect(samples.get('pmproxy_protocol_connections_total{protocol="http"}')).toBeGreaterThan(0);
    expect(samples.get("pmproxy_connections_active")).toBe(1);
  });
});

/** Samples of an OpenMetrics text; throws where it is none. */
function openMetrics(text: string): ReadonlyMap<string, number> {
  expect(text.endsWith("\n# EOF\n")).toBe(true);
  const samples = new Map<string, number>();
  const families = new Map<string, string>();
  let family = "";
  for (const line of text.slice(0, -"# EOF\n".length).split("\n").slice(0, -1)) {
    const meta = /^# (HELP|TYPE|UNIT) ([a-z_]+) (.+)$/.exec(line);
    if (meta !== null) {
      const [, kind, name = "", value = ""] = meta;
      expect(name).not.toMatch(/_total$/);
      if (name !== family) expect([name, families.has(name)]).toEqual([name, false]);
      family = name;
      if (kind === "TYPE") expect(value).toMatch(/^(counter|gauge)$/);
      families.set(name, kind === "TYPE" ? value : (families.get(name) ?? ""));
      continue;
    }
    const sample = /^([a-z_]+)(\{[a-z]+="[^"\\]*"\})? (\d+(?:\.\d+)?)$/.exec(line);
    if (sample === null) throw new Error(`no line of OpenMetrics: ${line}`);
    const [, name = "", labels = "", value] = sample;
    const suffix = families.get(family) === "counter" ? "_total" : "";
    expect(name).toBe(`${family}${suffix}`);
    expect(samples.has(name + labels)).toBe(false);
    samples.set(name + labels, Number(value));
  }
  return samples;
}

describe("requests", () => {
  test("in pieces, byte by byte", async () => {
    expect((await one(...LAST)).status).toBe(200);
  });

  test("two and fifty in one packet", async () => {
    for (const count of [1, 49]) {
      const found = await ask([HEALTHY.repeat(count) + LAST]);
      expect(found.map(({ status }) => status)).toEqual(
        Array.from({ length: count + 1 }, () => 200),
      );
    }
  });

  test("HEAD has no body, and the connection goes on", async () => {
    const found = await ask([get("/-/healthy", "HEAD") + LAST], [0]);
    expect(found.map(({ status, body }) => [status, body])).toEqual([
      [200, ""],
      [200, "OK\n"],
    ]);
    expect(found[0]?.headers.get("content-length")).toBe("3");
  });

  test("an unknown path gets pmproxy's page, and the connection goes on", async () => {
    const [unknown, good] = await ask([get("/nope"), LAST]);
    expect([unknown?.status, unknown?.body.length, good?.status]).toEqual([400, 204, 200]);
    expect(unknown?.body).toContain("<p><b>unknown servlet</b>: no handler for URL</p><hr>\r\n");
  });

  for (const path of ["/%zz", "*", "http://h/-/healthy", "/-/healthy/", "//-/healthy"]) {
    test(`path ${path}`, async () => {
      expect((await one(closing(path))).body).toContain("no handler for URL");
    });
  }

  test("an escaped path and a query", async () => {
    expect((await one(closing("/-/h%65althy?x=%zz"))).status).toBe(200);
  });

  test("another method is not allowed", async () => {
    const reply = await one(closing("/-/healthy", "DELETE"));
    expect([reply.status, reply.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
  });

  test("CONNECT and Upgrade open no tunnel", async () => {
    const connect = await one(get("x:1", "CONNECT"));
    expect(connect.status).toBe(400);
    const upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
    const found = await ask([get("/-/healthy", "GET", upgrade), LAST]);
    expect(found.map(({ status }) => status)).toEqual([200, 200]);
  });

  test("HTTP/1.0", async () => {
    const client = await rawClient(server.port, "GET /-/healthy HTTP/1.0\r\n\r\n");
    expect(replies(await client.end()).map(({ status }) => status)).toEqual([200]);
    const kept = "GET /-/healthy HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    expect((await ask([kept, LAST])).length).toBe(2);
  });
});

describe("bodies", () => {
  const chunked = "Transfer-Encoding: chunked\r\n";
  test("are read and dropped", async () => {
    const whole = get("/x", "POST", "Content-Length: 5\r\n") + "hello" + LAST;
    expect((await ask([whole])).map(({ status }) => status)).toEqual([400, 200]);
    const pieces = [get("/x", "POST", chunked), "3\r\nabc\r\n", "0\r\n\r\n", LAST];
    expect((await ask(pieces)).map(({ status }) => status)).toEqual([400, 200]);
  });

  test("Expect: 100-continue", async () => {
    const head = get("/x", "POST", "Content-Length: 5\r\nExpect: 100-continue\r\n");
    const found = await ask([head, "hello", LAST]);
    expect(found.map(({ status }) => status)).toEqual([100, 400, 200]);
  });

  test("longer than the limit", async () => {
    const announced = await one(get("/x", "POST", "Content-Length: 1001\r\n"));
    expect(announced.status).toBe(413);
    const client = await rawClient(server.port, get("/x", "POST", chunked));
    for (let sent = 0; sent < 5 && !client.closed(); sent++) {
      client.socket.write(`190\r\n${"b".repeat(400)}\r\n`);
      await Bun.sleep(5);
    }
    expect(await client.end()).not.toContain("still open");
  });

  test("20 MB that nobody wants take no memory", async () => {
    const child = await childWith();
    const client = await rawClient(
      child.port,
      get("/x", "POST", `Content-Length: ${20 << 20}\r\n`),
    );
    await client.got(100);
    await child.ask("gc");
    const before = child.memory();
    const piece = Buffer.alloc(1 << 20, "b");
    for (let sent = 0; sent < 20; sent++) {
      if (!client.socket.write(piece)) {
        await new Promise((resolve) => client.socket.once("drain", resolve));
      }
    }
    client.socket.write(LAST);
    expect(replies(await client.end()).map(({ status }) => status)).toEqual([400, 200]);
    await child.ask("gc");
    expect(await child.growth(before, 16 << 20)).toBeLessThan(16 << 20);
    await child.stop();
  });
});

describe("refused", () => {
  const rows: readonly (readonly [string, string, number])[] = [
    ["a head that is too long", `GET / HTTP/1.1\r\nA: ${"a".repeat(90_000)}\r\n\r\n`, 431],
    ["too many header lines", get("/-/healthy", "GET", "h: v\r\n".repeat(200)), 431],
    ["a URL that is too long", closing(`/${"a".repeat(9000)}`), 414],
    ["a line that is none", "GET\r\n\r\n", 400],
    ["an unknown method", "GXT / HTTP/1.1\r\nHost: x\r\n\r\n", 400],
    ["a later version", "GET / HTTP/9.9\r\nHost: x\r\n\r\n", 400],
    [
      "two lengths",
      get("/x", "POST", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n",
      400,
    ],
    ["a length that is none", get("/x", "POST", "Content-Length: 5x\r\n"), 400],
    ["NUL in a header", get("/-/healthy", "GET", "a: b\0c\r\n"), 400],
  ];
  for (const [name, bytes, status] of rows) {
    test(name, async () => {
      const reply = await one(bytes);
      expect([reply.status, reply.headers.get("content-type")]).toEqual([status, "text/html"]);
    });
  }

  test("a chunk that is none ends the connection", async () => {
    const bytes = get("/x", "POST", "Transfer-Encoding: chunked\r\n") + "zz\r\nabc\r\n";
    const found = await ask([bytes]);
    expect(found.map(({ status }) => status)).toEqual([400, 400]);
  });

  test("without a certificate when one is required", async () => {
    const strict = await serverWith({ certificateRequired: true });
    const client = await rawClient(strict.port, LAST);
    const [reply] = replies(await client.end());
    expect(reply?.status).toBe(403);
    expect(reply?.body).toContain("client certificate required");
  });

  test("without a name and password when they are required", async () => {
    const strict = await serverWith({ authRequired: true });
    const ask = async (path: string, more = ""): Promise<readonly unknown[]> => {
      const client = await rawClient(strict.port, get(path, "GET", `Connection: close\r\n${more}`));
      const [reply] = replies(await client.end());
      return [reply?.status, reply?.body];
    };
    const pmapi = [403, '{"message":"(none)","success":false}\r\n'];
    for (const path of ["/pmapi/context", "/pmapi", "/metrics", "/p%6dapi/fetch"])
      expect([path, await ask(path)]).toEqual([path, pmapi]);
    for (const path of ["/series/ping", "/search/info", "/logger/ping"])
      expect([path, await ask(path)]).toEqual([path, [403, '{"success":false}\r\n']]);
    expect((await ask("/-/healthy"))[0]).toBe(200);
    expect((await ask("/metrics", "Authorization: Basic YTpi\r\n"))[0]).not.toBe(403);
  });
});

describe("deadlines", () => {
  const slow = { httpRequestTimeoutMs: 1500, httpIdleTimeoutMs: 2000 };
  test("half a head, and a head that comes drop by drop", async () => {
    const { port, counters } = await serverWith({ limits: slow });
    const half = await rawClient(port, "GET / HT");
    const drops = await rawClient(port, "GET / HTTP/1.1\r\n");
    const timer = setInterval(() => drops.socket.write("a: b\r\n"), 50);
    expect([await half.end(), await drops.end()]).toEqual(["", ""]);
    clearInterval(timer);
    expect(counters()["tooSlow"]).toBe(2);
  });

  test("the second request has its own time", async () => {
    const { port, counters } = await serverWith({
      limits: { httpRequestTimeoutMs: 1500, httpIdleTimeoutMs: 300_000 },
    });
    const client = await rawClient(port, HEALTHY);
    await client.got(100);
    client.socket.write("GET / HT");
    expect(replies(await client.end()).length).toBe(1);
    expect(counters()["tooSlow"]).toBe(1);
  });

  test("an idle connection", async () => {
    const { port, counters } = await serverWith({ limits: slow });
    const client = await rawClient(port, HEALTHY);
    expect(replies(await client.end()).length).toBe(1);
    await waitUntil(() => counters()["active"] === 0);
    expect(counters()).toMatchObject({ tooSlow: 1, active: 0 });
  });

  test("a reply that is not read does not keep the connection", async () => {
    const { port, counters } = await serverWith({ limits: slow });
    const client = await rawClient(port);
    client.socket.pause();
    const many = get("/-/metrics").repeat(2000);
    client.socket.write(many.repeat(4));
    await waitUntil(() => (counters()["httpRequests"] ?? 0) > 0);
    expect(await waitUntil(() => counters()["active"] === 0)).toBe(true);
  }, 300_000);
});

test("nothing is left of all this, not even where the client did not close", async () => {
  await waitUntil(() => server.counters()["active"] === 0);
  expect(server.counters()).toMatchObject({ active: 0, faults: 0 });
});
