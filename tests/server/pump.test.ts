// Goal: a session that has been handed to the relay thread behaves as one that has not: every byte
// arrives once and in order, back-pressure holds, hang-ups travel both ways, bad headers end it, and
// nothing is left when it is over. Method: real sockets through a proxy in this process, an echoing
// server in place of pmcd, sessions long enough to be handed over.

import { afterAll, describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { createServer, connect, type Server, type Socket } from "node:net";
import { createLog } from "../../lib/base/mod.ts";
import { DEFAULT_SETTINGS, type Proxy, startProxy } from "../../lib/server/mod.ts";
import { waitUntil } from "../helpers/ports.ts";

const linux = process.platform === "linux";

interface Echo {
  readonly port: number;
  readonly sockets: Set<Socket>;
  readonly server: Server;
}

/** Sends the challenge, then everything back. */
function startEcho(): Promise<Echo> {
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => sockets.delete(socket));
    socket.write(Buffer.from("0000001400007000000000000000000002010e44", "hex"));
    socket.pipe(socket);
  });
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      if (address === null || typeof address === "string") throw new Error("no port");
      resolve({ port: address.port, sockets, server });
    });
  });
}

const logged: string[] = [];
const log = createLog({
  program: "pmproxy",
  sink: { write: (line) => logged.push(line) > 0 },
});
const echo = await startEcho();
const proxy: Proxy = await startProxy(
  {
    ...DEFAULT_SETTINGS,
    advertise: false,
    pcp: { ...DEFAULT_SETTINGS.pcp, pduCeiling: 4 << 20 },
    listen: { ...DEFAULT_SETTINGS.listen, ports: [0], portsNamed: true },
  },
  log,
);
const proxyPort = (): number => {
  const status = proxy.status() as { ports: readonly number[] };
  return status.ports[0] ?? 0;
};

afterAll(async () => {
  await proxy.drain(1000);
  echo.server.close();
});

/** Reads exactly `size` bytes. */
async function take(socket: Socket, size: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  let have = 0;
  while (have < size) {
    const part = socket.read(
      Math.min(size - have, Math.max(1, socket.readableLength)),
    ) as Buffer | null;
    if (part !== null) {
      parts.push(part);
      have += part.length;
      continue;
    }
    await new Promise<void>((resolve, reject) => {
      const settle = (): void => {
        socket.off("readable", settle);
        socket.off("end", fail);
        socket.off("error", fail);
        resolve();
      };
      const fail = (): void => reject(new Error(`ended after ${have} of ${size} bytes`));
      socket.once("readable", settle);
      socket.once("end", fail);
      socket.once("error", fail);
    });
  }
  return Buffer.concat(parts);
}

function pdu(length: number, seed = 0): Buffer {
  const bytes = Buffer.alloc(length);
  for (let i = 12; i < length; i++) bytes[i] = (i * 31 + seed) & 0xff;
  bytes.writeInt32BE(length, 0);
  bytes.writeInt32BE(0x7003, 4);
  return bytes;
}

const away = (): number => (proxy.status()["pcp"] as { inThread: number }).inThread;
const sessions = (): number => (proxy.status()["pcp"] as { sessions: number }).sessions;

/** Long sessions that no test has ended yet. */
const live = new Set<Socket>();

/** A session that the thread has. */
async function longSession(): Promise<Socket> {
  // Of the tests before, the thread may still be ending some.
  const open = () => [...live].filter((other) => !other.destroyed && other.writable).length;
  expect(await waitUntil(() => away() === open())).toBe(true);
  const socket = connect({
    host: "127.0.0.1",
    port: proxyPort(),
    allowHalfOpen: true,
    noDelay: true,
  });
  socket.on("error", () => socket.destroy());
  socket.write(`pmproxy-client 1\n127.0.0.1 ${echo.port}\n`);
  await take(socket, 17 + 20);
  const before = away();
  // The first sessions stay with the event loop until the thread is up.
  const handed = async (): Promise<boolean> => {
    for (let i = 0; i < 10 && away() === before; i++) {
      socket.write(pdu(40, i));
      expect(await take(socket, 40)).toEqual(pdu(40, i));
    }
    return away() === before + 1;
  };
  expect(await waitUntil(handed)).toBe(true);
  live.add(socket);
  socket.once("close", () => live.delete(socket));
  return socket;
}

describe.if(linux)("long sessions", () => {
  test("bytes arrive whole and in order, whatever their number", async () => {
    const socket = await longSession();
    for (const length of [12, 13, 1000, 65_536, 300_000, 3_000_000, 12]) {
      const sent = pdu(length, length);
      socket.write(sent);
      expect((await take(socket, length)).equals(sent)).toBe(true);
    }
    socket.destroy();
  });

  test("a client that does not read holds up nobody but itself, and loses nothing", async () => {
    const slow = await longSession();
    const other = await longSession();
    const parts = Array.from({ length: 24 }, (_, index) => pdu(1_000_000, index));
    for (const part of parts) slow.write(part);
    await Bun.sleep(200);
    other.write(pdu(100));
    expect(await take(other, 100)).toEqual(pdu(100));
    for (const part of parts) expect((await take(slow, part.length)).equals(part)).toBe(true);
    slow.destroy();
    other.destroy();
  });

  test("the server's end closes the client after the last bytes", async () => {
    const socket = await longSession();
    const [upstream] = [...echo.sockets].slice(-1);
    upstream?.unpipe(upstream);
    upstream?.end(Buffer.alloc(500_000, 7));
    expect((await take(socket, 500_000)).every((byte) => byte === 7)).toBe(true);
    const ended = new Promise<void>((resolve) => socket.once("end", resolve));
    socket.resume();
    await ended;
    socket.destroy();
  });

  test("a server that resets ends the client", async () => {
    const socket = await longSession();
    const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
    socket.once("end", () => socket.destroy());
    socket.resume();
    [...echo.sockets].at(-1)?.resetAndDestroy();
    await closed;
  });

  test("a client that has ended its side still gets the answer", async () => {
    const socket = await longSession();
    socket.end(pdu(200_000, 3));
    expect((await take(socket, 200_000)).equals(pdu(200_000, 3))).toBe(true);
    const ended = new Promise<void>((resolve) => socket.once("end", resolve));
    socket.resume();
    await ended;
  });

  test("a client that resets takes its connection to the server with it", async () => {
    const before = echo.sockets.size;
    const socket = await longSession();
    expect(echo.sockets.size).toBe(before + 1);
    socket.resetAndDestroy();
    expect(await waitUntil(() => echo.sockets.size === before)).toBe(true);
  });

  test("a PDU header that nobody can mean ends the session, alone", async () => {
    const good = await longSession();
    const bad = await longSession();
    const closed = new Promise<void>((resolve) => bad.once("close", () => resolve()));
    bad.once("end", () => bad.destroy());
    bad.resume();
    bad.write(Buffer.from("7fffffff0000700300000000", "hex"));
    await closed;
    expect(logged.some((line) => line.includes("PDU length 2147483647 is above"))).toBe(true);
    good.write(pdu(64));
    expect(await take(good, 64)).toEqual(pdu(64));
    good.destroy();
  });

  test("nothing is left when they are over", async () => {
    expect(await waitUntil(() => sessions() === 0 && echo.sockets.size === 0)).toBe(true);
    const before = readdirSync("/proc/self/fd").length;
    for (let round = 0; round < 3; round++) {
      const sockets: Socket[] = [];
      for (let i = 0; i < 20; i++) sockets.push(await longSession());
      for (const [index, socket] of sockets.entries()) {
        if (index % 2 === 0) socket.resetAndDestroy();
        else socket.destroy();
      }
      expect(await waitUntil(() => sessions() === 0 && echo.sockets.size === 0)).toBe(true);
    }
    expect(away()).toBe(0);
    const left = () => readdirSync("/proc/self/fd").length;
    await waitUntil(() => left() <= before);
    expect(left()).toBeLessThanOrEqual(before);
  });
});
