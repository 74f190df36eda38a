// Goal: the relay passes bytes both ways unchanged, holds little when one side is slow, passes every
// kind of hang-up on to the other side, and leaves nothing behind (spec pdu.md 12.4, 12.5). The same
// for short sessions and for long ones, which may be served in another way.
import { afterAll, describe, expect, test } from "bun:test";
import type { Socket } from "node:net";
import { waitUntil } from "../helpers/ports.ts";
import {
  childWith,
  GREETING,
  rawClient,
  serverWith,
  standIn,
  stopAll,
  WELCOME,
} from "./support.ts";
import type { RawClient, StandIn } from "./support.ts";

afterAll(stopAll);

/** A PDU that nobody knows, with so many bytes of body. */
function pdu(body: number, fill = 0x61): Buffer {
  const bytes = Buffer.alloc(12 + body, fill);
  bytes.writeInt32BE(12 + body, 0);
  bytes.writeInt32BE(0x70ff, 4);
  bytes.writeInt32BE(0, 8);
  return bytes;
}
const PING = pdu(4);

/** Each request of the size of PING is answered with 4 bytes; other bytes are kept. */
const pong = (socket: Socket): void => {
  socket.on("end", () => socket.end());
  socket.on("data", (bytes) => {
    for (let at = 0; at < bytes.length; at += PING.length) socket.write("pong");
  });
};

/** A client on a session with `server`, after so many request and reply pairs. */
async function session(port: number, server: StandIn, rounds: number): Promise<RawClient> {
  const client = await rawClient(port, `${GREETING}127.0.0.1 ${server.port}\n`);
  await client.got(WELCOME.length);
  for (let round = 1; round <= rounds; round++) {
    client.socket.write(PING);
    await client.got(WELCOME.length + 4 * round);
  }
  expect(client.length()).toBe(WELCOME.length + 4 * rounds);
  await waitUntil(() => server.sockets.size > 0);
  return client;
}

const only = (server: StandIn): Socket => {
  const [socket] = server.sockets;
  if (socket === undefined) throw new Error("no connection");
  return socket;
};

for (const rounds of [0, 40]) {
  describe(`after ${rounds} requests`, () => {
    test("the server ends: the client gets the rest, then the end", async () => {
      const { port } = await serverWith();
      const server = await standIn(pong);
      const client = await session(port, server, rounds);
      const much = Buffer.alloc(3_000_000, "0123456789abcdef");
      only(server).end(much);
      const text = await client.end();
      expect(text.slice(WELCOME.length + 4 * rounds)).toBe(much.toString("latin1"));
    });

    test("the server resets in the middle of a reply", async () => {
      const { port, counters } = await serverWith();
      const server = await standIn(pong);
      const client = await session(port, server, rounds);
      only(server).write("half", () => only(server).resetAndDestroy());
      expect(await client.end()).not.toContain("still open");
      client.socket.destroy();
      await waitUntil(() => counters()["active"] === 0);
      expect(counters()).toMatchObject({ active: 0, relays: 0, faults: 0 });
    });

    test("the client ends its side and still gets the reply", async () => {
      const { port } = await serverWith();
      const rest: Buffer[] = [];
      const server = await standIn((socket) => {
        let asked = 0;
        socket.on("data", (bytes: Buffer) => {
          if (asked++ < rounds) socket.write("pong");
          else rest.push(bytes);
        });
        socket.on("end", () => setTimeout(() => socket.end("late reply"), 50));
      });
      const client = await session(port, server, rounds);
      const all = Buffer.concat(Array.from({ length: 200 }, () => pdu(50_000, 0x62)));
      client.socket.end(all);
      const text = await client.end();
      expect(Buffer.concat(rest).equals(all)).toBe(true);
      expect(text.endsWith("late reply")).toBe(true);
    });

    test("the client hangs up or resets: so does the server's side", async () => {
      const { port, counters } = await serverWith();
      const server = await standIn(pong);
      for (const how of ["destroy", "resetAndDestroy"] as const) {
        const client = await session(port, server, rounds);
        client.socket[how]();
        expect(await waitUntil(() => server.sockets.size === 0)).toBe(true);
      }
      await waitUntil(() => counters()["active"] === 0);
      expect(counters()).toMatchObject({ active: 0, relays: 0, dials: 0, faults: 0 });
    });

    test("a PDU above the ceiling ends the session, in the log once", async () => {
      const { port, counters, lines } = await serverWith({ pcp: { pduCeiling: 1000 } });
      const server = await standIn(pong);
      const client = await session(port, server, rounds);
      client.socket.write(pdu(1000 - 12));
      client.socket.write(pdu(1001 - 12));
      await client.end();
      expect(await waitUntil(() => server.sockets.size === 0)).toBe(true);
      expect(counters()["badPdus"]).toBe(1);
      expect(lines.filter((line) => line.includes("1001 is above 1000 (-L)")).length).toBe(1);
      await waitUntil(() => counters()["active"] === 0);
      expect(counters()).toMatchObject({ active: 0, relays: 0, faults: 0 });
    });
  });
}

/** Bytes that are different at every place where chunks may begin. */
const pattern = Buffer.from(Uint32Array.from({ length: 262_144 }, (_, i) => i * 2654435761).buffer);

describe("one side is slow", () => {
  for (const rounds of [0, 40]) {
    test(`200 MB for a client that does not read, after ${rounds} requests`, async () => {
      const child = await childWith();
      const server = await standIn(pong);
      const client = await session(child.port, server, rounds);
      await child.ask("gc");
      const before = child.memory();
      client.socket.pause();
      const upstream = only(server);
      const total = 200;
      let queued = 0;
      const feed = (): void => {
        while (queued < total) {
          queued += 1;
          if (!upstream.write(pattern)) {
            upstream.once("drain", feed);
            return;
          }
        }
        upstream.end();
      };
      feed();
      await Bun.sleep(400);
      const stuck = queued;
      expect(stuck).toBeLessThan(30);
      expect(await child.growth(before, 24 << 20)).toBeLessThan(24 << 20);
      let wrong = 0;
      let got = 0;
      const head = WELCOME.length + 4 * rounds;
      client.socket.removeAllListeners("data");
      client.socket.on("data", (bytes: Buffer) => {
        for (let at = 0; at < bytes.length;) {
          const from = (got + at) % pattern.length;
          const size = Math.min(bytes.length - at, pattern.length - from);
          if (bytes.compare(pattern, from, from + size, at, at + size) !== 0) wrong += 1;
          at += size;
        }
        got += bytes.length;
      });
      expect(client.length()).toBe(head);
      client.socket.resume();
      await client.end();
      expect({ got, wrong }).toEqual({ got: total * pattern.length, wrong: 0 });
      expect(await child.growth(before, 48 << 20)).toBeLessThan(48 << 20);
      await child.stop();
    }, 300_000);
  }

  for (const [name, ceiling] of [
    ["looked at", 65536],
    ["not looked at", 0x7fffffff],
  ] as const) {
    test(`100 MB for a server that does not read, PDUs ${name}`, async () => {
      const child = await childWith({ pcp: { pduCeiling: ceiling } });
      const server = await standIn((socket) => socket.pause());
      const client = await session(child.port, server, 0);
      await child.ask("gc");
      const before = child.memory();
      const one = pdu(60_000);
      const count = 1700;
      let queued = 0;
      const feed = (): void => {
        while (queued < count) {
          queued += 1;
          if (!client.socket.write(one)) {
            client.socket.once("drain", feed);
            return;
          }
        }
        client.socket.end();
      };
      feed();
      await Bun.sleep(400);
      expect(queued).toBeLessThan(500);
      expect(await child.growth(before, 24 << 20)).toBeLessThan(24 << 20);
      let got = 0;
      const upstream = only(server);
      let wrong = 0;
      upstream.on("data", (bytes: Buffer) => {
        for (let at = 0; at < bytes.length;) {
          const from = (got + at) % one.length;
          const size = Math.min(bytes.length - at, one.length - from);
          if (bytes.compare(one, from, from + size, at, at + size) !== 0) wrong += 1;
          at += size;
        }
        got += bytes.length;
      });
      upstream.on("end", () => upstream.end("done"));
      upstream.resume();
      expect((await client.end()).endsWith("done")).toBe(true);
      expect({ got, wrong }).toEqual({ got: one.length * count, wrong: 0 });
      await child.stop();
    }, 300_000);
  }

  test("a client that resets while its bytes wait is noticed", async () => {
    const { port, counters } = await serverWith();
    const server = await standIn((socket) => socket.pause());
    const client = await session(port, server, 0);
    const one = pdu(60_000);
    while (client.socket.write(one) || client.socket.writableLength < 4_000_000);
    await Bun.sleep(100);
    client.socket.resetAndDestroy();
    expect(await waitUntil(() => counters()["active"] === 0)).toBe(true);
    expect(counters()).toMatchObject({ relays: 0, faults: 0 });
  });
});
