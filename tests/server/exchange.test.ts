// Goal: requests with bodies reach their handler whole and within bounds; replies may come late, in
// pieces, as bytes, compressed, in order, to slow clients and to such as leave; plain connections and
// those of node:http alike, in TLS too (spec webapi.md 2.1, 2.3, 2.7, 2.10).
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { gunzipSync, inflateSync } from "node:zlib";
import { codingOf } from "../../lib/server/exchange.ts";
import { waitUntil } from "../helpers/ports.ts";
import { echoApi, type EchoApi } from "./echo.ts";
import { replies, type Reply } from "./replies.ts";
import { rawClient, serverWith, settingsWith, stopAll } from "./support.ts";
import type { RawClient, TestServer } from "./support.ts";

let api: EchoApi;
let server: TestServer;
beforeAll(async () => {
  api = echoApi();
  server = await serverWith({ limits: { bodyBytes: 300_000 } }, [], { api });
});
afterAll(stopAll);

const get = (target: string, headers = "", method = "GET"): string =>
  `${method} ${target} HTTP/1.1\r\nHost: x\r\n${headers}\r\n`;
const LAST = get("/-/healthy", "Connection: close\r\n");
/** What makes node:http take a connection. */
const ODD = get("/-/healthy", "", "DELETE");
const post = (target: string, body: string, headers = ""): string =>
  get(target, `Content-Length: ${body.length}\r\n${headers}`, "POST") + body;

async function ask(bytes: string, port = server.port): Promise<readonly Reply[]> {
  const client = await rawClient(port, bytes);
  const text = await client.end();
  client.socket.destroy();
  return replies(text);
}
const statuses = (found: readonly Reply[]): readonly number[] => found.map(({ status }) => status);
const parsed = (reply: Reply | undefined) => JSON.parse(reply?.body ?? "") as object;

describe("bodies", () => {
  test("a body reaches its handler, also in pieces and in chunks", async () => {
    const chunks = "Transfer-Encoding: chunked\r\n";
    const forms = [
      post("/pmapi/echo?a=1", "x=y&z"),
      post("/%70mapi/echo?a=1", "x=y&z"),
      get("/pmapi/echo?a=1", chunks, "POST") + "2\r\nx=\r\n3\r\ny&z\r\n0\r\n\r\n",
    ];
    for (const form of forms) {
      const [reply] = await ask(form + LAST);
      expect(parsed(reply)).toMatchObject({ method: "POST", query: "a=1", body: "x=y&z" });
      const client = await rawClient(server.port);
      for (const byte of form + LAST) {
        client.socket.write(byte);
        await Bun.sleep(0);
      }
      expect(parsed(replies(await client.end())[0])).toMatchObject({ body: "x=y&z" });
    }
  });

  test("an empty one, one of a GET, and one for a path that takes none", async () => {
    const [empty, none, other] = await ask(
      post("/pmapi/echo", "") +
        get("/pmapi/echo", "Content-Length: 3\r\n") +
        "abc" +
        post("/echo", "abc") +
        LAST,
    );
    expect(parsed(empty)).toMatchObject({ body: "", size: 0 });
    expect(parsed(none)).not.toHaveProperty("body");
    expect(parsed(other)).not.toHaveProperty("body");
  });

  test("the longest, and one byte more", async () => {
    const [longest] = await ask(post("/pmapi/echo", "b".repeat(300_000)) + LAST);
    expect(parsed(longest)).toMatchObject({ size: 300_000 });
    const [longer, ...none] = await ask(post("/pmapi/echo", "b".repeat(300_001)));
    expect([longer?.status, longer?.headers.get("connection"), none.length]).toEqual([
      413,
      "close",
      0,
    ]);
    const chunked = get("/pmapi/echo", "Transfer-Encoding: chunked\r\n", "POST");
    const [endless] = await ask(chunked + `30d40\r\n${"b".repeat(200_000)}\r\n`.repeat(2));
    expect(endless?.status).toBe(413);
  });

  test("whoever is refused is not asked for the body", async () => {
    const head = "Expect: 100-continue\r\nContent-Length: 300001\r\n";
    expect(statuses(await ask(get("/pmapi/echo", head, "POST")))).toEqual([413]);
    const good = get("/pmapi/echo", "Expect: 100-continue\r\nContent-Length: 3\r\n", "POST");
    expect(statuses(await ask(`${good}abc${LAST}`))).toEqual([100, 200, 200]);
  });

  test("a body that makes no sense", async () => {
    const chunked = get("/pmapi/echo", "Transfer-Encoding: chunked\r\n", "POST");
    expect(statuses(await ask(`${get("/late")}${chunked}zz\r\n`))).toEqual([200, 400]);
  });

  test("one that does not come is waited for in vain, for so long", async () => {
    const slow = await serverWith({ limits: { httpRequestTimeoutMs: 300 } }, [], { api });
    const client = await rawClient(slow.port, get("/pmapi/echo", "Content-Length: 9\r\n", "POST"));
    client.socket.write("abc");
    expect(await client.end()).toBe("");
    expect(slow.counters()["tooSlow"]).toBe(1);
  });

  test("many long ones at a time: some are put off, the others served", async () => {
    const big = await serverWith({}, [], { api });
    const head = get("/pmapi/echo", `Content-Length: ${1 << 20}\r\n`, "POST");
    const clients: RawClient[] = [];
    for (let index = 0; index < 66; index++) {
      const client = await rawClient(big.port, head);
      client.socket.write(Buffer.alloc((1 << 20) - 1, "b"));
      clients.push(client);
    }
    await waitUntil(() => clients.some((client) => client.length() > 0));
    const refused = clients.filter((client) => client.length() > 0);
    for (const client of clients) if (!client.closed()) client.socket.write("b");
    await Promise.all(clients.map((client) => client.got(1)));
    const found = clients.map((client) => Number(client.text().slice(9, 12)));
    expect(refused.length).toBeGreaterThan(0);
    expect(found.filter((status) => status === 200).length).toBeGreaterThan(50);
    expect(found.filter((status) => status !== 200 && status !== 503)).toEqual([]);
    for (const client of clients) client.socket.destroy();
  }, 300_000);
});

for (const [way, first] of [
  ["on the wire", ""],
  ["by node:http", ODD],
] as const) {
  /** Replies without that of `first`. */
  const asked = async (bytes: string) => (await ask(first + bytes)).slice(first === "" ? 0 : 1);

  describe(`replies ${way}`, () => {
    test("late ones, in the order of their requests, one at a time", async () => {
      api.seen.most = 0;
      const targets = Array.from({ length: 40 }, (_, at) => `/${at % 3 ? "late" : "echo"}?${at}`);
      const found = await asked(targets.map((target) => get(target)).join("") + LAST);
      expect(found.slice(0, -1).map((reply) => parsed(reply))).toMatchObject(
        targets.map((_, at) => ({ query: String(at) })),
      );
      expect(api.seen.most).toBe(1);
    });

    test("in pieces: a chunk each", async () => {
      const [reply] = await asked(get("/stream?4,5000") + LAST);
      expect(reply?.headers.has("content-length")).toBe(false);
      expect(reply?.chunks.map((chunk) => chunk[0])).toEqual(["a", "b", "c", "d"]);
      expect(reply?.body.length).toBe(20_000);
    });

    test("large pieces, and none", async () => {
      const [large, none, last] = await asked(get("/stream?3,200000") + get("/stream?0") + LAST);
      expect([large?.body.length, none?.body, last?.status]).toEqual([600_000, "", 200]);
    });

    test("each piece of a stream has its own time", async () => {
      const limits = { httpRequestTimeoutMs: 2000 };
      const slow = await serverWith({ limits }, [], { api });
      const found = await ask(`${first}${get("/drops?8,300")}${LAST}`, slow.port);
      expect(found.at(-2)?.body).toBe("drop".repeat(8));
      const stuck = await rawClient(slow.port, first + get("/drops?8,300000"));
      expect(await stuck.end()).not.toContain("drop");
    });

    test("a reply whose handler says that it takes long has no deadline, the next one has", async () => {
      const limits = { httpRequestTimeoutMs: 1500 };
      const slow = await serverWith({ limits }, [], { api });
      const found = await ask(`${first}${get("/long")}${LAST}`, slow.port);
      expect(statuses(found.slice(-2))).toEqual([200, 200]);
      expect(slow.counters()["tooSlow"]).toBe(0);
      const stuck = await rawClient(slow.port, first + get("/long") + get("/drops?1,300000"));
      expect(await stuck.end()).not.toContain("drop");
      expect(slow.counters()["tooSlow"]).toBe(1);
    }, 300_000);

    test("an answer that has not begun when its time is over: 503, and the end", async () => {
      const limits = { httpRequestTimeoutMs: 300 };
      const slow = await serverWith({ limits }, [], { api });
      const { unwanted } = api.seen;
      const message = "the answer took too long: the server is busy, or the question too large";
      const late = async (request: string) => {
        const found = await ask(first + request + LAST, slow.port);
        const [reply, ...more] = found.slice(first === "" ? 0 : 1);
        expect(more).toEqual([]);
        const names = ["content-type", "retry-after", "connection"];
        return [reply?.status, ...names.map((name) => reply?.headers.get(name)), reply?.body];
      };
      const json = [503, "application/json", "10", "close"];
      expect(await late(get("/series/never?client=a%22&expr=b"))).toEqual([
        ...json,
        `{"client":"a\\"","message":"${message}","success":false}\r\n`,
      ]);
      expect(await late(get("/search/never?clientid=c"))).toEqual([
        ...json,
        `{"client":"c","message":"${message}","success":false}\r\n`,
      ]);
      const page = await late(get("/never"));
      expect(page.slice(0, 4)).toEqual([503, "text/html", "10", "close"]);
      expect(page[4]).toContain(message);
      // Whoever answers hears that nobody wants it; what it answers is nobody's.
      expect(await waitUntil(() => api.seen.unwanted === unwanted + 3)).toBe(true);
      expect(slow.counters()).toMatchObject({ tooSlow: 3, faults: 0 });
    });

    test("a client that leaves ends its stream; one that does not read holds it", async () => {
      const before = { ...api.seen };
      const client = await rawClient(server.port, first);
      client.socket.pause();
      client.socket.write(get("/stream?1000000,100000"));
      await waitUntil(() => api.seen.started > before.started);
      await Bun.sleep(100);
      expect(api.seen.streamsEnded).toBe(before.streamsEnded);
      client.socket.destroy();
      expect(await waitUntil(() => api.seen.streamsEnded > before.streamsEnded)).toBe(true);
    });

    test("a client that leaves before a late reply hurts nobody", async () => {
      const { faults } = server.counters();
      const { started } = api.seen;
      const client = await rawClient(server.port, first + get("/slow") + get("/stream"));
      await waitUntil(() => api.seen.started > started);
      client.socket.destroy();
      await Bun.sleep(300);
      expect(server.counters()["faults"]).toBe(faults ?? 0);
    });

    test("a stream that breaks cuts the connection; so does an impossible header", async () => {
      for (const target of ["/bad-stream", "/bad-header"]) {
        const { faults = 0 } = server.counters();
        const client = await rawClient(server.port, first + get(target) + LAST);
        const text = await client.end();
        expect(text).not.toContain("still open");
        expect(text).not.toContain("\r\n0\r\n\r\n");
        expect(server.counters()["faults"]).toBe(faults + 1);
      }
    });

    test("compressed when asked for, where it is worth it", async () => {
      const plain = (await asked(get("/text?5000") + LAST))[0]?.body ?? "";
      for (const [accept, coding, decode] of [
        ["gzip", "gzip", gunzipSync],
        ["br, deflate, gzip", "deflate", inflateSync],
      ] as const) {
        const [reply] = await asked(get("/text?5000", `Accept-Encoding: ${accept}\r\n`) + LAST);
        expect(reply?.headers.get("content-encoding")).toBe(coding);
        const body = Buffer.from(reply?.body ?? "", "latin1");
        expect(body.length).toBeLessThan(plain.length / 2);
        expect(decode(body).toString()).toBe(plain);
      }
      const [stream, small] = await asked(
        get("/stream", "Accept-Encoding: gzip\r\n") +
          get("/text?10", "Accept-Encoding: gzip\r\n") +
          LAST,
      );
      expect(gunzipSync(Buffer.from(stream?.body ?? "", "latin1")).length).toBe(6000);
      expect(small?.headers.has("content-encoding")).toBe(false);
    });

    test("a stop lets a late reply finish", async () => {
      const stopping = await serverWith({}, [], { api });
      const { started } = api.seen;
      const client = await rawClient(stopping.port, first + get("/slow"));
      await waitUntil(() => api.seen.started > started);
      const drained = stopping.proxy.drain(300_000);
      const found = replies(await client.end());
      expect(found.at(-1)).toMatchObject({ status: 200 });
      expect(found.at(-1)?.headers.get("connection")).toBe("close");
      client.socket.destroy();
      await drained;
    });
  });
}

test("a stream for HTTP/1.0 ends with its connection", async () => {
  const request = "GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
  const client = await rawClient(server.port, request);
  const [head = "", body] = (await client.end()).split("\r\n\r\n");
  expect(head).not.toMatch(/transfer-encoding|content-length/i);
  expect(body).toBe("a".repeat(2000) + "b".repeat(2000) + "c".repeat(2000));
});

test("how long a URL may be", async () => {
  const url = (length: number): string => get(`/echo?${"a".repeat(length - 6)}`);
  const found = await ask(url(8000) + url(8001) + url(8191) + url(8192) + LAST);
  expect(statuses(found)).toEqual([200, 400, 400, 414, 200]);
  expect(found[3]?.body).toContain("request URL too long");
});

test("the order and the spelling of a head's lines", async () => {
  const client = await rawClient(server.port, get("/bytes", "Connection: close\r\n"));
  const text = await client.end();
  expect(text.replace(/^Date: .*$/m, "Date: now")).toBe(
    [
      "HTTP/1.1 200 OK",
      "Connection: Keep-Alive",
      "Access-Control-Allow-Origin: *",
      "Access-Control-Allow-Headers: Accept, Accept-Language, Content-Language, Content-Type, X-Grafana-Device-ID",
      "Access-Control-Max-Age: 86400",
      "Content-Length: 4",
      "Content-Type: application/json",
      "Date: now",
      "",
      "\0\x01\x80\xff",
    ].join("\r\n"),
  );
  const date = /^Date: (.*)\r$/m.exec(text)?.[1] ?? "";
  expect(Math.abs(Date.parse(date) - Date.now())).toBeLessThan(60_000);
});

test("what the settings add to Access-Control lines", async () => {
  const http = { ...settingsWith().http, allowHeaders: "X-B", maxAgeSeconds: 5 };
  const { port } = await serverWith({ http }, [], { api });
  const [reply] = await ask(LAST, port);
  expect(reply?.headers.get("access-control-allow-headers")).toEndWith("Content-Type, X-B");
  expect(reply?.headers.get("access-control-max-age")).toBe("5");
  const preflight = "Access-Control-Request-Headers: x-b\r\nConnection: close\r\n";
  const [options] = await ask(get("*", preflight, "OPTIONS"), port);
  expect(options?.headers.get("access-control-allow-headers")).toEndWith("Content-Type, X-B");
  expect(options?.headers.get("access-control-max-age")).toBe("5");
});

test("Accept-Encoding", () => {
  const rows = ["", "br", "gzip", "GZIP", "x, deflate ,gzip", "gzip;q=0, deflate;q=0.1", "*"];
  expect(rows.map(codingOf)).toEqual([
    undefined,
    undefined,
    "gzip",
    "gzip",
    "deflate",
    "deflate",
    undefined,
  ]);
});

for (const [way, first] of [
  ["on the wire", ""],
  ["by node:http", ODD],
] as const) {
  test(`a long reply to a client that reads slowly takes as long as it takes, ${way}`, async () => {
    const body = Buffer.alloc(12 << 20, "b");
    const long = { answer: () => ({ status: 200, type: "text/plain", body }) };
    const limits = { httpRequestTimeoutMs: 1500, httpIdleTimeoutMs: 300_000 };
    const slow = await serverWith({ limits }, [], { api: { ...api, ...long } });
    const client = await rawClient(slow.port, `${first}${get("/long")}`);
    const { socket } = client;
    // Some at a time, for longer than one request may take.
    while (client.length() < body.length && !client.closed()) {
      socket.pause();
      await Bun.sleep(600);
      socket.resume();
      await Bun.sleep(2);
    }
    expect(client.length()).toBeGreaterThan(body.length);
    expect(slow.counters()["tooSlow"]).toBe(0);
    socket.destroy();
  }, 300_000);
}
