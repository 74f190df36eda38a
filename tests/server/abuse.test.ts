// Goal: clients that misuse HTTP - slow, endless, huge, countless, broken - get a bounded answer or a
// closed connection, cost bounded memory, and leave the others' requests answered meanwhile.
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { childWith, rawClient, stopAll, type ChildServer, type RawClient } from "./support.ts";
import { replies } from "./replies.ts";
import { PATIENCE_MS } from "../helpers/ports.ts";

const LIMITS = { httpRequestTimeoutMs: 4000, httpIdleTimeoutMs: 5000, bodyBytes: 4 << 20 };
const MB = 1 << 20;

let server: ChildServer;
let before = 0;
beforeAll(async () => {
  server = await childWith({ limits: LIMITS });
  await healthy();
  await server.ask("gc");
  before = server.memory();
});
afterAll(stopAll);

const get = (target: string, headers = ""): string =>
  `GET ${target} HTTP/1.1\r\nHost: x\r\n${headers}\r\n`;
const LAST = get("/-/healthy", "Connection: close\r\n");
/** After it a connection is node:http's. */
const ODD = "DELETE /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n";

async function healthy(): Promise<void> {
  const client = await rawClient(server.port, LAST);
  expect(replies(await client.end())[0]?.status).toBe(200);
}

/** Clients that keep sending what `next` makes, until the server has closed all of them. */
async function pester(count: number, first: string, next: () => string | Buffer) {
  const clients = await Promise.all(
    Array.from({ length: count }, () => rawClient(server.port, first)),
  );
  const end = Date.now() + PATIENCE_MS;
  while (!clients.every((client) => client.closed()) && Date.now() < end) {
    for (const client of clients) {
      const { socket } = client;
      if (!client.closed() && socket.writableLength < MB) socket.write(next());
    }
    await healthy();
    await Bun.sleep(10);
  }
  expect(clients.filter((client) => !client.closed()).length).toBe(0);
  return clients.map((client) => client.text());
}

const status = (text: string): number => Number(text.slice(9, 12));

afterEach(async () => {
  await healthy();
  await server.ask("gc");
  // The floor moves by what the allocator keeps; what these tests send is far more.
  expect(await server.growth(before, 64 * MB)).toBeLessThan(64 * MB);
});

for (const [way, first] of [
  ["on the wire", ""],
  ["by node:http", ODD],
] as const) {
  test(`heads that never end, a byte at a time, ${way}`, async () => {
    for (const text of await pester(30, `${first}GET /`, () => "a")) {
      expect(text.length).toBeLessThan(700);
    }
  }, 300_000);

  test(`heads that never end, fast, ${way}`, async () => {
    const line = `A: ${"b".repeat(10_000)}\r\n`;
    for (const text of await pester(10, `${first}GET / HTTP/1.1\r\n`, () => line)) {
      expect(text).toContain("HTTP/1.1 431 ");
    }
  }, 300_000);

  test(`URLs that never end, ${way}`, async () => {
    const piece = "a".repeat(20_000);
    for (const text of await pester(10, `${first}GET /`, () => piece)) {
      expect(text).toContain("HTTP/1.1 431 ");
    }
  }, 300_000);

  test(`requests without end from clients that do not read, ${way}`, async () => {
    const many = get("/-/status").repeat(500);
    const clients = await Promise.all(
      Array.from({ length: 10 }, () => rawClient(server.port, first)),
    );
    for (const { socket } of clients) socket.pause();
    for (let round = 0; round < 40; round++) {
      for (const { socket } of clients) if (socket.writableLength < MB) socket.write(many);
      await healthy();
    }
    expect(await server.growth(before, 96 * MB)).toBeLessThan(96 * MB);
    for (const { socket } of clients) socket.destroy();
  }, 300_000);
}

test("bodies without end that nobody wants, that somebody wants, and in tiny chunks", async () => {
  const length = `Content-Length: ${1 << 30}\r\n`;
  const chunked = "Transfer-Encoding: chunked\r\n";
  const piece = Buffer.alloc(200_000, "b");
  const post = (target: string, headers: string): string =>
    get(target, headers).replace("GET", "POST");
  for (const text of await pester(4, post("/x", length), () => piece)) {
    expect(status(text)).toBe(413);
  }
  for (const text of await pester(4, post("/pmapi/store", length), () => piece)) {
    expect(status(text)).toBe(413);
  }
  const chunks = "1\r\nb\r\n".repeat(20_000);
  // These take so long that time may run out first.
  for (const text of await pester(4, post("/pmapi/store", chunked), () => chunks)) {
    expect([0, 413]).toContain(status(text));
  }
  await pester(4, post("/x", chunked), () => chunks);
}, 300_000);

test("bodies that never come", async () => {
  const head = get("/pmapi/store", "Content-Length: 1000000\r\n").replace("GET", "POST");
  for (const text of await pester(50, head, () => "b")) expect(text).toBe("");
}, 300_000);

test("10,000 requests in one write, all answered, in order", async () => {
  const bytes = Array.from({ length: 10_000 }, (_, at) => get(at % 2 ? "/-/healthy" : "/nope"));
  const client = await rawClient(server.port, bytes.join("") + LAST);
  const found = replies(await client.end()).map((reply) => reply.status);
  expect(found).toEqual([...bytes.map((_, at) => (at % 2 ? 200 : 400)), 200]);
}, 300_000);

test("encodings that are none, and numbers that are none", async () => {
  const rows: readonly (readonly [string, number])[] = [
    ["Transfer-Encoding: gzip\r\n", 400],
    ["Transfer-Encoding: chunked, chunked, x\r\n", 400],
    ["Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", 400],
    ["Content-Length: -1\r\n", 400],
    ["Content-Length: 99999999999999999999999\r\n", 400],
    ["Content-Length: 0x10\r\n", 400],
    ["Content-Length: 1, 2\r\n", 400],
  ];
  for (const [headers, wanted] of rows) {
    const client = await rawClient(server.port, get("/x", headers).replace("GET", "POST"));
    client.socket.end();
    expect([headers, status(await client.end())]).toEqual([headers, wanted]);
  }
  const accept = `Accept-Encoding: ${"gzip;q=0,".repeat(1500)}\r\nConnection: close\r\n`;
  const client = await rawClient(server.port, get("/-/metrics", accept));
  expect(status(await client.end())).toBe(200);
});

test("1000 connections that come, ask half a question and go", async () => {
  for (let round = 0; round < 10; round++) {
    const clients: RawClient[] = await Promise.all(
      Array.from({ length: 100 }, (_, at) => rawClient(server.port, LAST.slice(0, at % 50))),
    );
    for (const { socket } of clients) socket.destroy();
  }
}, 300_000);
