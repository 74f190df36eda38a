// Goal: the relay for clients of the key server is off unless configured on, gives each client a
// connection of its own, passes requests however they are cut, and closes what is no request (spec
// proxy.md 12).
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { DEFAULT_SETTINGS } from "../../lib/server/mod.ts";
import { startKeyServer } from "../helpers/pcp.ts";
import type { KeyServer } from "../helpers/pcp.ts";
import { pcp6 } from "../helpers/pcp6.ts";
import { describePeer } from "../helpers/peers.ts";
import { freePort, isListening, waitUntil } from "../helpers/ports.ts";
import { privateFolder, startDaemon } from "../helpers/process.ts";
import { tlsFiles } from "../helpers/tls.ts";
import { rawClient, serverWith, standIn, stopAll } from "./support.ts";
import type { Changes, TestServer } from "./support.ts";

afterAll(stopAll);

const PING = "*1\r\n$4\r\nPING\r\n";
const request = (...words: readonly string[]): string =>
  `*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join("")}`;

const relayTo = (port: number, more: Changes = {}): Promise<TestServer> =>
  serverWith({
    ...more,
    resp: { enabled: true },
    keyServer: { servers: [{ host: "127.0.0.1", port }], ...more.keyServer },
  });

test("off by default: closed and counted", async () => {
  const { port, counters } = await serverWith();
  expect(await (await rawClient(port, PING)).end()).toBe("");
  expect(counters()).toMatchObject({ unknown: 1, active: 0 });
});

test("no key server, or one that is switched off: closed", async () => {
  for (const keyServer of [{ servers: [] }, { enabled: false }]) {
    const { port } = await serverWith({ resp: { enabled: true }, keyServer });
    expect(await (await rawClient(port, PING)).end()).toBe("");
  }
});

test("a key server that is down: closed", async () => {
  const { port, counters } = await relayTo(await freePort());
  expect(await (await rawClient(port, PING)).end()).toBe("");
  expect(counters()).toMatchObject({ connectFailures: 1, active: 0, relays: 0, dials: 0 });
});

test("what begins no request: closed, with a line in the log", async () => {
  const { port, lines, counters } = await relayTo(await freePort());
  for (const bytes of ["+PING\r\n", "*x\r\n", "$4\r\nPING\r\n", ":1\r\n", "-ERR\r\n", "%1\r\n"]) {
    expect([bytes, await (await rawClient(port, bytes)).end()]).toEqual([bytes, ""]);
  }
  expect(counters()["unknown"]).toBe(6);
  expect(lines.join("").match(/Warning: failed to parse RESP protocol request\n/g)?.length).toBe(6);
});

test("an answer to AUTH that never ends, or comes in pieces", async () => {
  const password = { keyServer: { password: "secret" } };
  const endless = await standIn((socket) => {
    socket.on("data", () => socket.write(`-${"x".repeat(1000)}`));
  });
  const first = await relayTo(endless.port, password);
  expect(await (await rawClient(first.port, PING)).end()).toBe("");
  const pieces = await standIn((socket) => {
    socket.on("data", (bytes) => {
      // The first question is the proxy's own: whether this is a cluster.
      const asks = bytes.toString().includes("SLOTS");
      const isFirst = pieces.accepted() === 1;
      const answer = asks ? "-ERR no\r\n" : isFirst ? "+OK\r\n" : "+OK\r\n+PONG\r\n";
      for (const [at, each] of [...answer].entries()) setTimeout(() => socket.write(each), 3 * at);
    });
  });
  const second = await relayTo(pieces.port, password);
  const client = await rawClient(second.port, PING);
  expect(await client.got(7)).toBe("+PONG\r\n");
});

describePeer("redis", "with a key server", () => {
  let keys: KeyServer;
  let server: TestServer;
  beforeAll(async () => {
    keys = await startKeyServer(pcp6);
    server = await relayTo(keys.port);
  });
  afterAll(() => keys.stop());

  test("a request in one piece, byte by byte, and a pipeline", async () => {
    const whole = await rawClient(server.port, PING);
    expect(await whole.got(7)).toBe("+PONG\r\n");
    const slow = await rawClient(server.port);
    for (const byte of PING) {
      slow.socket.write(byte);
      await Bun.sleep(1);
    }
    expect(await slow.got(7)).toBe("+PONG\r\n");
    const many = await rawClient(server.port, PING.repeat(1000));
    expect(await many.got(7000)).toBe("+PONG\r\n".repeat(1000));
  });

  test("a large value there and back", async () => {
    const value = "0123456789abcdef".repeat(300_000);
    const client = await rawClient(server.port, request("SET", "large", value));
    expect(await client.got(5)).toBe("+OK\r\n");
    client.socket.write(request("GET", "large"));
    const reply = `$${value.length}\r\n${value}\r\n`;
    expect(await client.got(5 + reply.length)).toBe(`+OK\r\n${reply}`);
  });

  test("each client has a connection of its own", async () => {
    const first = await rawClient(server.port, request("CLIENT", "SETNAME", "first"));
    const second = await rawClient(server.port, request("CLIENT", "SETNAME", "second"));
    await first.got(5);
    await second.got(5);
    first.socket.write(request("SELECT", "3") + request("CLIENT", "GETNAME"));
    second.socket.write(request("HELLO", "3") + request("CLIENT", "GETNAME"));
    expect(await first.got(21)).toBe("+OK\r\n+OK\r\n$5\r\nfirst\r\n");
    await waitUntil(() => second.text().endsWith("second\r\n"));
    expect(second.text()).toContain("%7\r\n");
  });

  test("hang-ups are passed on", async () => {
    const client = await rawClient(server.port, request("QUIT"));
    expect(await client.end()).toBe("+OK\r\n");
    const other = await rawClient(server.port, request("CLIENT", "SETNAME", "leaving"));
    await other.got(5);
    other.socket.destroy();
    const watcher = await rawClient(server.port);
    const list = async (): Promise<string> => {
      const before = watcher.length();
      watcher.socket.write(request("CLIENT", "LIST"));
      await waitUntil(() => watcher.length() > before);
      return watcher.text().slice(before);
    };
    expect(await waitUntil(async () => !(await list()).includes("name=leaving"))).toBe(true);
  });

  test("AUTH is done for the client", async () => {
    const admin = await rawClient(
      server.port,
      request("ACL", "SETUSER", "pcp", "on", ">word", "~*", "+@all"),
    );
    expect(await admin.got(5)).toBe("+OK\r\n");
    const good = await relayTo(keys.port, { keyServer: { username: "pcp", password: "word" } });
    const client = await rawClient(good.port, request("ACL", "WHOAMI"));
    expect(await client.got(9)).toBe("$3\r\npcp\r\n");
    const bad = await relayTo(keys.port, { keyServer: { username: "pcp", password: "wrong" } });
    expect(await (await rawClient(bad.port, PING)).end()).toBe("");
    expect(bad.lines.join("")).toContain("AUTH: -WRONGPASS");
    expect(await waitUntil(() => bad.counters()["active"] === 0)).toBe(true);
    expect(bad.counters()).toMatchObject({ relays: 0, faults: 0 });
  });

  test("the key server dies, and comes back", async () => {
    const own = await startKeyServer(pcp6);
    const { port } = await relayTo(own.port);
    const client = await rawClient(port, PING);
    expect(await client.got(7)).toBe("+PONG\r\n");
    own.daemon.signal("SIGKILL");
    expect(await client.end()).toBe("+PONG\r\n");
    // Its port is free when it is gone, not yet when this connection is.
    await own.daemon.ended;
    const again = await startKeyServer(pcp6, own.port);
    const next = await rawClient(port, PING);
    expect(await next.got(7)).toBe("+PONG\r\n");
    await again.stop();
  });

  test("over a unix socket, and over TLS with a certificate that fits or does not", async () => {
    const files = await tlsFiles();
    const folder = privateFolder("redis");
    const path = join(folder, "redis.sock");
    const port = await freePort();
    const argv = [
      ["redis-server", "--port", "0", "--tls-port", String(port), "--bind", "127.0.0.1"],
      ["--tls-cert-file", files.serverCertificate, "--tls-key-file", files.serverKey],
      ["--tls-ca-cert-file", files.authority, "--tls-auth-clients", "no"],
      ["--unixsocket", path, "--dir", folder, "--save", ""],
    ].flat();
    const daemon = startDaemon(argv, join(folder, "log"));
    expect(await waitUntil(() => isListening({ path }), daemon.alive)).toBe(true);
    const byPath = await serverWith({
      resp: { enabled: true },
      keyServer: { servers: [{ host: path, port: 6379 }] },
    });
    expect(await (await rawClient(byPath.port, PING)).got(7)).toBe("+PONG\r\n");
    const tls = { ...DEFAULT_SETTINGS.keyServer.tls, enabled: true };
    const good = await relayTo(port, { keyServer: { tls: { ...tls, ca: files.authority } } });
    const client = await rawClient(good.port, PING);
    expect(await client.got(7)).toBe("+PONG\r\n");
    // Longer than what stays with this thread.
    for (let round = 0; round < 20; round++) {
      client.socket.write(PING);
      expect((await client.got(14 + 7 * round)).length).toBe(14 + 7 * round);
    }
    const bad = await relayTo(port, { keyServer: { tls } });
    expect(await (await rawClient(bad.port, PING)).end()).toBe("");
    expect(bad.lines.join("")).toMatch(/key server 127\.0\.0\.1:\d+: .*certificate/);
    const absent = await relayTo(port, { keyServer: { tls: { ...tls, ca: "/nowhere/ca" } } });
    expect(await (await rawClient(absent.port, PING)).end()).toBe("");
    expect(absent.lines.join("")).toContain("/nowhere/ca");
    expect(bad.counters()).toMatchObject({ active: 0, dials: 0, faults: 0 });
    await daemon.stop();
  });
});
