// Goal: slow, idle, flooding and far too many clients cost a bounded amount of memory, descriptors and
// time, and the others are served as if they were not there. Memory and processor time are those of a
// process of its own, as the kernel counts them.
import { afterAll, describe, expect, test } from "bun:test";
import type { Socket } from "node:net";
import { createComplaints } from "../../lib/server/complaints.ts";
import { createDeadlines } from "../../lib/server/deadlines.ts";
import { waitUntil } from "../helpers/ports.ts";
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
import type { ChildServer, Numbers } from "./support.ts";

afterAll(stopAll);

const countersOf = async (child: ChildServer): Promise<Numbers> => {
  const status = (await child.ask("status")) as { counters: Numbers };
  return status.counters;
};
const greeted = (socket: Socket): void => {
  socket.write("from pmcd");
  socket.on("end", () => socket.end());
};
const GREETED = `${WELCOME}from pmcd`;

describe("deadlines", () => {
  test("silence, half a greeting, half a host line, and then nothing is left", async () => {
    const limits = { firstByteTimeoutMs: 1500, handshakeTimeoutMs: 1500 };
    const { port, counters } = await serverWith({ limits });
    const clients = await Promise.all([
      rawClient(port),
      rawClient(port, "pmproxy-cl"),
      rawClient(port, `${GREETING}127.0`),
    ]);
    const drops = await rawClient(port);
    const timer = setInterval(() => drops.socket.write("p"), 20);
    const texts = await Promise.all(clients.map((client) => client.end()));
    expect(texts).toEqual(["", "", WELCOME]);
    await drops.end();
    clearInterval(timer);
    expect(counters()).toMatchObject({ tooSlow: 3, active: 0, faults: 0 });
  });

  test("an idle session has none", async () => {
    const limits = { firstByteTimeoutMs: 2000, handshakeTimeoutMs: 2000 };
    const { port } = await serverWith({ limits });
    const pmcd = await standIn(greeted);
    const client = await rawClient(port, `${GREETING}127.0.0.1 ${pmcd.port}\n`);
    await client.got(GREETED.length);
    await Bun.sleep(3500);
    expect([client.text(), client.closed()]).toEqual([GREETED, false]);
  });

  test("a server whose machine does not answer", async () => {
    const { port, counters } = await serverWith({ pcp: { connectTimeoutMs: 300 } });
    const dead = await silentPort();
    const client = await rawClient(port, `${GREETING}127.0.0.1 ${dead.port}\n`);
    expect(await client.end()).toBe(WELCOME);
    expect(counters()).toMatchObject({ connectFailures: 1, active: 0, dials: 1 });
    const pcp = (
      await rawClient(port, "GET /-/status HTTP/1.1\r\nConnection: close\r\n\r\n")
    ).end();
    expect(await pcp).toContain('"reason":"timed out"');
    await dead.stop();
    expect(await waitUntil(() => counters()["dials"] === 0)).toBe(true);
  });

  test("one that throws does not stop the others", async () => {
    const errors: unknown[] = [];
    const deadlines = createDeadlines((error) => errors.push(error));
    let expired = 0;
    const fails = () => {
      throw new Error("mine");
    };
    deadlines.set({ deadline: 0, expired: fails }, 1);
    deadlines.set({ deadline: 0, expired: () => (expired += 1) }, 1);
    const never = { deadline: 0, expired: () => (expired += 100) };
    deadlines.set(never, 1);
    deadlines.set(never, 0);
    await waitUntil(() => expired > 0);
    expect([expired, errors.length, deadlines.size]).toEqual([1, 1, 0]);
    deadlines.stop();
    deadlines.set(never, 1);
    expect(deadlines.size).toBe(0);
  });
});

describe("too many", () => {
  test("connections above the limit are closed and counted, the others live", async () => {
    const { port, counters } = await serverWith({ limits: { connections: 5 } });
    const pmcd = await standIn(greeted);
    const line = `${GREETING}127.0.0.1 ${pmcd.port}\n`;
    const good = await Promise.all(Array.from({ length: 5 }, () => rawClient(port, line)));
    for (const client of good) expect(await client.got(GREETED.length)).toBe(GREETED);
    const more = await Promise.all(Array.from({ length: 3 }, () => rawClient(port, line)));
    for (const client of more) expect(await client.end()).toBe("");
    expect(counters()).toMatchObject({ active: 5, refused: 3, accepted: 5 });
    expect(good.some((client) => client.closed())).toBe(false);
    good[0]?.socket.destroy();
    await waitUntil(() => counters()["active"] === 4);
    const next = await rawClient(port, line);
    expect(await next.got(GREETED.length)).toBe(GREETED);
  });

  test("a reload changes the limit for new connections", async () => {
    const { port, proxy } = await serverWith({ limits: { connections: 1 } });
    const first = await rawClient(port, "p");
    expect(await (await rawClient(port, "p")).end()).toBe("");
    proxy.reload(settingsWith({ limits: { connections: 2, handshakeTimeoutMs: 200 } }));
    const second = await rawClient(port, "p");
    await second.end();
    expect(first.closed()).toBe(false);
  });

  test("more than there are descriptors: no circles, and it goes on later", async () => {
    const child = await childWith({}, 64);
    const pmcd = await standIn(greeted);
    const line = `${GREETING}127.0.0.1 ${pmcd.port}\n`;
    const clients = await Promise.all(
      Array.from({ length: 100 }, () => rawClient(child.port, line)),
    );
    await waitUntil(() => clients.filter((client) => client.closed()).length >= 80);
    expect(await child.restlessness(300)).toBeLessThan(300);
    const served = clients.filter((client) => client.text() === GREETED && !client.closed());
    expect(served.length).toBeGreaterThan(5);
    expect((await countersOf(child))["refused"]).toBeGreaterThan(50);
    for (const client of clients) client.socket.destroy();
    let text = "";
    await waitUntil(async () => {
      const client = await rawClient(child.port, line);
      text = await client.got(GREETED.length);
      client.socket.destroy();
      return text === GREETED;
    });
    expect(text).toBe(GREETED);
    await child.stop();
  });

  test("clients that ask for a dead machine and leave", async () => {
    const child = await childWith({}, 64);
    const dead = await silentPort();
    const line = `${GREETING}127.0.0.1 ${dead.port}\n`;
    for (let round = 0; round < 60; round++) {
      const client = await rawClient(child.port, line);
      await client.got(1);
      client.socket.resetAndDestroy();
    }
    expect(await child.restlessness(300)).toBeLessThan(300);
    expect(child.descriptors()).toBeLessThan(64);
    await dead.stop();
    await child.stop();
  });
});

describe("floods", () => {
  test("garbage at full speed and idle ones do not keep others from being served", async () => {
    const child = await childWith();
    const pmcd = await standIn(greeted);
    await Promise.all(Array.from({ length: 200 }, () => rawClient(child.port)));
    const garbage = Buffer.alloc(64 * 1024, "pmproxy-client 2\n");
    let flooding = true;
    const flood = async (): Promise<void> => {
      while (flooding) {
        const client = await rawClient(child.port);
        client.socket.write(garbage);
        await client.end();
        client.socket.destroy();
      }
    };
    const floods = [flood(), flood(), flood()];
    const line = `${GREETING}127.0.0.1 ${pmcd.port}\n`;
    await Bun.sleep(100);
    const before = child.memory();
    for (let round = 0; round < 50; round++) {
      const client = await rawClient(child.port, line);
      expect(await client.got(GREETED.length)).toBe(GREETED);
      client.socket.destroy();
    }
    await waitUntil(async () => ((await countersOf(child))["greetingFailures"] ?? 0) > 50);
    flooding = false;
    await Promise.all(floods);
    expect(await child.growth(before, 32 << 20)).toBeLessThan(32 << 20);
    expect((await countersOf(child))["greetingFailures"]).toBeGreaterThan(50);
    await child.stop();
  });

  test("bytes for a server that is still being connected wait outside", async () => {
    const child = await childWith({ pcp: { connectTimeoutMs: 300_000 } });
    const dead = await silentPort();
    const before = child.memory();
    const client = await rawClient(child.port, `${GREETING}127.0.0.1 ${dead.port}\n`);
    const much = Buffer.alloc(1 << 20);
    for (let i = 0; i < 60; i++) client.socket.write(much);
    await Bun.sleep(500);
    expect(client.socket.writableLength).toBeGreaterThan(40 << 20);
    expect(await child.growth(before, 24 << 20)).toBeLessThan(24 << 20);
    await dead.stop();
    expect(await client.end()).toBe(WELCOME);
    await child.stop();
  });

  test("lines in the log are bounded", () => {
    const lines: string[] = [];
    const write = (_level: string, text: string) => void lines.push(text);
    let now = 0;
    const log = { write, info: (text: string) => write("info", text) };
    const complaints = createComplaints(log, () => now);
    for (let i = 0; i < 1000; i++) complaints.info(`line ${i}`);
    expect(lines.length).toBe(20);
    now = 10_000;
    complaints.warning("again");
    expect(lines.slice(20)).toEqual(["980 more lines about clients were left out", "again"]);
  });
});
