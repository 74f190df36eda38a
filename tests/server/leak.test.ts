// Goal: whatever connections do, and however they end, nothing of them is left: no memory, no
// descriptor, no level of a counter. In a process of its own, measured by the kernel.
import { afterAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import type { Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { testWith } from "../helpers/peers.ts";
import { freePort, waitUntil } from "../helpers/ports.ts";
import { type TlsFiles, tlsFiles } from "../helpers/tls.ts";
import { childWith, GREETING, rawClient, rawOver, standIn, stopAll, WELCOME } from "./support.ts";
import type { ChildServer, Numbers, RawClient } from "./support.ts";

afterAll(stopAll);

const greeted = (socket: Socket): void => {
  socket.write("from pmcd");
  socket.on("data", () => socket.write("pong"));
  socket.on("end", () => socket.end());
};
const GREETED = `${WELCOME}from pmcd`;
const PDU = Buffer.from("0000000c000070ff00000000", "hex");

const countersOf = async (child: ChildServer): Promise<Numbers> =>
  ((await child.ask("status")) as { counters: Numbers }).counters;

/** Runs rounds on a server of its own and compares what is left with what was there before. */
async function measure(
  child: ChildServer,
  rounds: number,
  round: () => Promise<void>,
  growth: number,
): Promise<void> {
  const quiet = () =>
    waitUntil(async () => {
      const { active, relays, dials } = await countersOf(child);
      return active === 0 && relays === 0 && dials === 0;
    });
  for (let warm = 0; warm < 6; warm++) await round();
  await quiet();
  await child.ask("gc");
  const memory = child.memory();
  const descriptors = child.descriptors();
  for (let i = 0; i < rounds; i++) await round();
  await quiet();
  await child.ask("gc");
  const grown = await child.growth(memory, growth);
  const figures = `${rounds} rounds: ${memory >> 10} KiB before, ${grown >> 10} KiB more after`;
  if (process.env["PCPBOX_FIGURES"] !== undefined) console.log(figures);
  expect([figures, grown < growth]).toEqual([figures, true]);
  await waitUntil(() => child.descriptors() <= descriptors);
  expect(child.descriptors()).toBeLessThanOrEqual(descriptors);
  expect(await countersOf(child)).toMatchObject({ active: 0, relays: 0, dials: 0, faults: 0 });
}

/** A client of the first test: native, since a hundred thousand of them are to be quick. */
interface Client {
  got: number;
  whole(): void;
}
const handlers = {
  data(socket: Bun.Socket<Client>, bytes: Uint8Array) {
    socket.data.got += bytes.length;
    if (socket.data.got === GREETED.length) socket.data.whole();
  },
};

test("1,000 connections, half of them killed, 100 times", async () => {
  const child = await childWith();
  const pmcd = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    allowHalfOpen: true,
    socket: {
      data() {},
      open(socket) {
        socket.write("from pmcd");
      },
      end(socket) {
        socket.end();
      },
    },
  });
  const line = `${GREETING}127.0.0.1 ${pmcd.port}\n`;
  const where = { hostname: "127.0.0.1", port: child.port, socket: handlers };
  const greeted = async (): Promise<Bun.Socket<Client>> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const socket = await Bun.connect<Client>({ ...where, data: { got: 0, whole: resolve } });
    socket.write(line);
    await promise;
    return socket;
  };
  const round = async (): Promise<void> => {
    const sockets: Bun.Socket<Client>[] = [];
    for (let at = 0; at < 10; at++) {
      sockets.push(...(await Promise.all(Array.from({ length: 100 }, greeted))));
    }
    for (const [index, socket] of sockets.entries()) {
      if (index % 2 === 0) socket.terminate();
      else socket.end();
    }
  };
  await measure(child, 100, round, 12 << 20);
  expect((await countersOf(child))["accepted"]).toBe(106_000);
  pmcd.stop(true);
}, 300_000);

testWith(
  "openssl",
  "every protocol, every way to fail, every way to leave",
  async () => {
    const files: TlsFiles = await tlsFiles();
    const child = await childWith({
      tls: {
        certificates: files.serverCertificate,
        privateKey: files.serverKey,
        authority: files.authority,
        verifyClients: false,
        fromProxyConfig: false,
      },
      resp: { enabled: true },
      keyServer: { servers: [{ host: "127.0.0.1", port: (await standIn(greeted)).port }] },
    });
    const pmcd = await standIn(greeted);
    const session = `${GREETING}127.0.0.1 ${pmcd.port}\n`;
    const request = "GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n";
    const closed = await freePort();
    const ca = readFileSync(files.authority);
    const leave = (client: RawClient, how: number): void => {
      if (how % 3 === 0) client.socket.resetAndDestroy();
      else if (how % 3 === 1) client.socket.destroy();
      else client.socket.end();
    };
    const openings: readonly (readonly [string, number])[] = [
      ["", 0],
      ["pmprox", 0],
      [GREETING, WELCOME.length],
      [session, GREETED.length],
      [`${GREETING}127.0.0.1 ${closed}\n`, WELCOME.length],
      // Too long for a name: no server of names is asked, which may be slow.
      [`${GREETING}${"x".repeat(70)} 1\n`, WELCOME.length],
      [request, 200],
      [request.slice(0, 10), 0],
      [`${request}${request}`, 400],
      ["POST /x HTTP/1.1\r\nContent-Length: 100\r\n\r\nhalf", 200],
      ["nonsense", 0],
      ["*1\r\n$4\r\nPING\r\n", 9],
      ["\x16\x03\x01", 0],
      ["\x16nonsense", 0],
    ];
    const plain = async (opening: string, reply: number, how: number): Promise<void> => {
      const client = await rawClient(child.port, opening);
      if (reply > 0) await client.got(reply);
      leave(client, how);
    };
    const long = async (how: number): Promise<void> => {
      const client = await rawClient(child.port, session);
      await client.got(GREETED.length);
      for (let i = 1; i <= 30; i++) {
        client.socket.write(PDU);
        await client.got(GREETED.length + 4 * i);
      }
      leave(client, how);
    };
    const secure = async (opening: string, reply: number, how: number): Promise<void> => {
      const options = { host: "127.0.0.1", port: child.port, servername: "localhost", ca };
      const socket = connectTls(options);
      const client = rawOver(socket);
      socket.once("secureConnect", () => socket.write(opening));
      await client.got(reply);
      leave(client, how);
      // With only one side ended the server of a session may still have something to say.
      if (how % 3 === 2) setTimeout(() => socket.destroy(), 100);
    };
    const round = async (): Promise<void> => {
      for (let how = 0; how < 3; how++) {
        await Promise.all([
          ...openings.map(([opening, reply]) => plain(opening, reply, how)),
          ...openings.map(([opening, reply]) => plain(opening, reply, how + 1)),
          long(how),
          secure(session, GREETED.length, how),
          secure(request, 200, how),
          secure("nonsense", 1, how),
        ]);
      }
    };
    await measure(child, 30, round, 16 << 20);
  },
  300_000,
);
