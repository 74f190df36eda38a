// Goal: a server that is told to stop takes nothing new, lets what is under way finish, ends in time
// whatever its clients do, and can be told so twice; an exception in our own code costs one connection.
import { afterAll, describe, expect, test } from "bun:test";
import type { Socket } from "node:net";
import { duplexPair } from "node:stream";
import { createComplaints } from "../../lib/server/complaints.ts";
import { createCounters } from "../../lib/server/counters.ts";
import { createDeadlines } from "../../lib/server/deadlines.ts";
import { createHttpService } from "../../lib/server/http.ts";
import type { Server } from "../../lib/server/server.ts";
import { acceptHandlers, dial } from "../../lib/server/wire.ts";
import type { NativeWire } from "../../lib/server/wire.ts";
import { isListening, waitUntil } from "../helpers/ports.ts";
import {
  childWith,
  GREETING,
  rawClient,
  serverWith,
  settingsWith,
  silentPort,
  standIn,
  stopAll,
  WELCOME,
} from "./support.ts";
import type { RawClient, StandIn } from "./support.ts";

afterAll(stopAll);

const PDU = "\0\0\0\x10\0\0\x70\xff\0\0\0\0body";

/** Above the time of a test: what waits for its end hangs. */
const NEVER_MS = 3_600_000;

/** Sends a PDU and waits until the server has it. */
async function ask(client: RawClient, pmcd: StandIn): Promise<void> {
  const read = (): number => [...pmcd.sockets].reduce((sum, socket) => sum + socket.bytesRead, 0);
  const before = read();
  client.socket.write(Buffer.from(PDU, "latin1"));
  expect(await waitUntil(() => read() >= before + PDU.length)).toBe(true);
}

/** A pmcd that answers each PDU after `ms`, with `reply`. */
const slowPmcd = (ms: number, reply: string | Buffer): Promise<StandIn> =>
  standIn((socket: Socket) => {
    socket.on("data", (bytes: Buffer) => {
      for (let at = 0; at < bytes.length; at += PDU.length) {
        if (ms === 0) socket.write(reply);
        else setTimeout(() => socket.write(reply), ms);
      }
    });
    socket.on("end", () => socket.end());
  });

async function session(port: number, pmcd: StandIn, rounds = 0): Promise<RawClient> {
  const client = await rawClient(port, `${GREETING}127.0.0.1 ${pmcd.port}\n`);
  await client.got(WELCOME.length);
  const fast = 5;
  for (let round = 1; round <= rounds; round++) {
    client.socket.write(Buffer.from(PDU, "latin1"));
    await client.got(WELCOME.length + fast * round);
  }
  await waitUntil(() => pmcd.sockets.size > 0);
  return client;
}

describe("drain", () => {
  for (const rounds of [0, 20]) {
    test(`a reply under way is finished, after ${rounds} others`, async () => {
      const { port, proxy, counters } = await serverWith();
      let ms = 0;
      const pmcd = await standIn((socket) => {
        socket.on("data", () => setTimeout(() => socket.write("reply"), ms));
        socket.on("end", () => socket.end());
      });
      const client = await session(port, pmcd, rounds);
      const idle = await session(port, pmcd, rounds);
      ms = 300;
      await ask(client, pmcd);
      const stopping = proxy.drain(NEVER_MS);
      expect(await isListening({ host: "127.0.0.1", port })).toBe(false);
      const text = await client.end();
      expect(text).toBe(WELCOME + "reply".repeat(rounds + 1));
      await idle.end();
      await stopping;
      expect(await waitUntil(() => counters()["active"] === 0)).toBe(true);
      expect(counters()).toMatchObject({ relays: 0, faults: 0 });
    });
  }

  test("a long reply to a slow reader is finished", async () => {
    const { port, proxy } = await serverWith();
    const much = Buffer.alloc(20_000_000, "0123456789abcdef");
    much.writeInt32BE(much.length);
    const pmcd = await slowPmcd(0, much);
    const client = await session(port, pmcd);
    client.socket.pause();
    await ask(client, pmcd);
    const stopping = proxy.drain(NEVER_MS);
    await Bun.sleep(400);
    client.socket.resume();
    const text = await client.end();
    await stopping;
    expect(text.length).toBe(WELCOME.length + much.length);
  });

  for (const rounds of [0, 20])
    for (const isPdu of [true, false])
      test(`a reply that pauses is finished, ${isPdu ? "PDUs" : "others"}, after ${rounds} others`, async () => {
        const reply = Buffer.alloc(40, "reply");
        if (isPdu) reply.writeInt32BE(reply.length);
        // A pause within a PDU can be seen; others are believed for a while, which may be over where this
        // process is held up.
        const pauseMs = isPdu ? 900 : 150;
        const lengths: number[] = [];
        const whole = WELCOME.length + reply.length * (rounds + 1);
        while (lengths.at(-1) !== whole && lengths.length < (isPdu ? 1 : 10)) {
          const { port, proxy } = await serverWith();
          let isPausing = false;
          const pmcd = await standIn((socket: Socket) => {
            socket.on("data", async () => {
              if (!isPausing) return void socket.write(reply);
              for (const byte of [0, 3, 20]) {
                socket.write(reply.subarray(byte, byte === 0 ? 3 : byte === 3 ? 20 : 40));
                await Bun.sleep(pauseMs);
              }
            });
            socket.on("end", () => socket.end());
          });
          const client = await session(port, pmcd);
          for (let round = 1; round <= rounds; round++) {
            client.socket.write(Buffer.from(PDU, "latin1"));
            await client.got(WELCOME.length + reply.length * round);
          }
          isPausing = true;
          await ask(client, pmcd);
          const stopping = proxy.drain(NEVER_MS);
          lengths.push((await client.end()).length);
          await stopping;
        }
        expect(lengths.at(-1)).toBe(whole);
      }, 300_000);

  test("a session that never answers is cut at the limit", async () => {
    const { port, proxy, counters } = await serverWith();
    const pmcd = await slowPmcd(60_000, "never");
    const client = await session(port, pmcd);
    await ask(client, pmcd);
    const stopping = proxy.drain(400);
    await Bun.sleep(200);
    expect(client.closed()).toBe(false);
    await stopping;
    expect(await client.end()).toBe(WELCOME);
    expect(await waitUntil(() => counters()["active"] === 0)).toBe(true);
  });

  test("silent, greeting and idle HTTP clients do not hold it up", async () => {
    const { port, proxy, counters } = await serverWith();
    const clients = await Promise.all([
      rawClient(port),
      rawClient(port, "pmproxy-cl"),
      rawClient(port, "GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n"),
      rawClient(port, "GET / HT"),
    ]);
    await clients[2]?.got(100);
    await proxy.drain(NEVER_MS);
    for (const client of clients) expect(await client.end()).not.toContain("still open");
    expect(await waitUntil(() => counters()["active"] === 0)).toBe(true);
  });

  test("is over at once when nothing is open, and may be repeated, as close may", async () => {
    const { proxy, port } = await serverWith();
    await Promise.all([proxy.drain(NEVER_MS), proxy.drain(NEVER_MS)]);
    proxy.close();
    proxy.close();
    await proxy.drain(10);
    expect(await isListening({ host: "127.0.0.1", port })).toBe(false);
  });

  test("a client whose server is being connected is waited for, one that has left is not", async () => {
    const patient = { pcp: { connectTimeoutMs: NEVER_MS } };
    const { port, proxy } = await serverWith(patient);
    const dead = await silentPort();
    const line = `${GREETING}127.0.0.1 ${dead.port}\n`;
    const left = await rawClient(port, line);
    await left.got(WELCOME.length);
    left.socket.resetAndDestroy();
    await proxy.drain(NEVER_MS);
    const other = await serverWith(patient);
    const waiting = await rawClient(other.port, line);
    await waiting.got(WELCOME.length);
    let isOver = false;
    const stopping = other.proxy.drain(NEVER_MS).then(() => (isOver = true));
    await Bun.sleep(300);
    expect([isOver, waiting.closed()]).toEqual([false, false]);
    await dead.stop();
    expect(await waiting.end()).toBe(WELCOME);
    await stopping;
  });

  test("close in the middle ends it", async () => {
    const { port, proxy } = await serverWith();
    const pmcd = await slowPmcd(60_000, "never");
    const client = await session(port, pmcd);
    client.socket.write(Buffer.from(PDU, "latin1"));
    const stopping = proxy.drain(NEVER_MS);
    await Bun.sleep(30);
    proxy.close();
    await stopping;
    expect(await client.end()).toBe(WELCOME);
  });

  test("a process that has drained leaves no descriptor of a connection", async () => {
    const child = await childWith();
    const pmcd = await slowPmcd(0, "reply");
    const before = child.descriptors();
    const clients = await Promise.all([session(child.port, pmcd), session(child.port, pmcd, 20)]);
    await child.ask("drain 2000");
    for (const client of clients) await client.end();
    // The thread of long sessions leaves with the process.
    await waitUntil(() => child.descriptors() <= before + 6);
    expect(child.descriptors()).toBeLessThan(before + 7);
    expect(pmcd.sockets.size).toBe(0);
    await child.stop();
  });
});

describe("an exception in our own code", () => {
  const quiet = { drain() {}, end() {}, close() {} };

  test("in a sink: told, and the connection is closed", async () => {
    const faults: unknown[] = [];
    const closed: string[] = [];
    const which = ["accept", "data", "end", "close"];
    const broken = (name: string) => () => {
      throw new Error(name);
    };
    let wires = 0;
    const listener = Bun.listen<NativeWire>({
      hostname: "127.0.0.1",
      port: 0,
      allowHalfOpen: true,
      socket: acceptHandlers(
        (wire) => {
          const name = which[wires++] ?? "";
          if (name === "accept") throw new Error(name);
          const close = () => void closed.push(name);
          wire.sink = { data() {}, ...quiet, close, [name]: broken(name) };
        },
        (error) => faults.push(error),
      ),
    });
    for (const name of which) {
      const client = await rawClient(listener.port, "x");
      if (name === "end") client.socket.end();
      if (name === "close") client.socket.resetAndDestroy();
      await client.end();
    }
    await waitUntil(() => faults.length === 4);
    expect(faults.map(String)).toEqual(which.map((name) => `Error: ${name}`));
    expect(closed).toEqual(["data", "end"]);
    listener.stop(true);
  });

  test("in the answer to an HTTP request: 500, and the connection goes on", async () => {
    const told: string[] = [];
    const counters = createCounters();
    const stub: Partial<Server> = {
      settings: settingsWith(),
      counters,
      deadlines: createDeadlines((error) => told.push(String(error))),
      complaints: createComplaints({
        info: (text) => told.push(text),
        write: (_level, text) => told.push(text),
      }),
      draining: false,
    };
    const view = {
      ready: () => true,
      metrics: () => "",
      status: () => {
        throw new Error("no status");
      },
    };
    const service = createHttpService(() => stub as Server, view, 8192);
    const [near, far] = duplexPair();
    service.adopt(far, false, () => {});
    let text = "";
    near.on("data", (bytes: Buffer) => (text += bytes.toString("latin1")));
    near.write("GET /-/status HTTP/1.1\r\nHost: x\r\n\r\n");
    near.write("GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n");
    await waitUntil(() => text.endsWith("OK\n"));
    expect(text).toStartWith("HTTP/1.1 500 Internal Server Error\r\n");
    expect(text).toContain("HTTP/1.1 200 OK\r\n");
    expect([counters.faults, counters.httpErrors, told.length]).toEqual([1, 1, 1]);
    expect(told[0]).toContain("request GET /-/status: Error: no status");
    stub.deadlines?.stop();
    near.destroy();
  });

  test("when a dialled connection opens", async () => {
    const faults: unknown[] = [];
    const server = await standIn(() => {});
    let settled = 0;
    dial("127.0.0.1", server.port, {
      open: () => {
        throw new Error("open");
      },
      failed: () => {},
      settled: () => (settled += 1),
      onFault: (error) => faults.push(error),
    });
    await waitUntil(() => faults.length > 0 && server.accepted() > 0);
    expect(faults.map(String)).toEqual(["Error: open"]);
    await waitUntil(() => settled > 0);
    expect(settled).toBe(1);
  });

  test("a wire that is destroyed while it connects comes to nothing", async () => {
    const server = await standIn((socket) => socket.on("end", () => socket.end()));
    const told: string[] = [];
    let settled = 0;
    const start = () =>
      dial("127.0.0.1", server.port, {
        open: () => told.push("open"),
        failed: () => told.push("failed"),
        settled: () => (settled += 1),
        onFault: (error) => told.push(String(error)),
      });
    start().destroy();
    const later = start();
    queueMicrotask(() => queueMicrotask(() => later.destroy()));
    await waitUntil(() => settled === 2);
    await waitUntil(() => server.sockets.size === 0);
    expect([told, settled, server.sockets.size]).toEqual([[], 2, 0]);
  });
});
