// Goal: the connection to a key server tells what it is, keeps bytes as they are, answers errors as values,
// says at once when there is nothing to speak to, comes back by itself, and works with passwords,
// over TLS, over sockets and with clusters.
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { tracingChannel } from "node:diagnostics_channel";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { connectTo } from "../../lib/keyserver/connection.ts";
import {
  type KeyCommand,
  type KeyReply,
  type KeyServer,
  type KeyServerState,
  useKeyServer,
} from "../../lib/keyserver/keys.ts";
import { askInBytes } from "../../lib/keyserver/resp.ts";
import { SeriesProblem } from "../../lib/series/problem.ts";
import { startRedis } from "../helpers/pcp6.ts";
import { startValkey } from "../helpers/pcp7.ts";
import { describePeer, testWith } from "../helpers/peers.ts";
import { freePort, isListening, waitUntil } from "../helpers/ports.ts";
import { must, privateFolder, startDaemon } from "../helpers/process.ts";
import { startCluster } from "../helpers/redis-cluster.ts";
import { tlsFiles } from "../helpers/tls.ts";
import { thrown } from "../helpers/rejected.ts";

// A busy machine takes long.
setDefaultTimeout(300_000);

/** The reply to a command that goes as bytes, over a connection of its own. */
const inBytes = async (keys: KeyServer, command: KeyCommand): Promise<KeyReply> =>
  (await askInBytes(keys.pipe, [command], () => undefined))[0] ?? null;

const open: KeyServer[] = [];
const use = (...args: Parameters<typeof useKeyServer>): KeyServer => {
  const keys = useKeyServer(...args);
  open.push(keys);
  return keys;
};
afterAll(() => Promise.all(open.map((keys) => keys.close())));

/** A Redis with settings of its own. */
async function redisWith(
  args: readonly string[],
  where: { path: string } | { host: string; port: number },
) {
  const folder = privateFolder("redis");
  const own = ["--dir", folder, "--save", "", "--daemonize", "no"];
  const daemon = startDaemon(["redis-server", ...own, ...args], join(folder, "log"));
  expect(await waitUntil(() => isListening(where), daemon.alive)).toBe(true);
  return daemon;
}

describePeer("redis", "one key server", () => {
  test("bytes stay bytes, errors are values, order is kept", async () => {
    const server = await startRedis();
    const keys = use({ servers: [`127.0.0.1:${server.port}`] });
    await keys.ready();
    expect(keys.schema).toBe(2);
    expect(keys.state).toMatchObject({ kind: "up", cluster: false });
    expect(keys.hasSearch).toBe(false);
    const id = Buffer.from(Array.from({ length: 20 }, (_, at) => 0xff - at * 7));
    const [added, members, wrong, missing] = await keys.run([
      ["SADD", "a", id],
      ["SMEMBERS", "a"],
      ["HGET", "a", "x"],
      ["GET", "none"],
    ]);
    expect(added).toBe(1);
    expect(members).toEqual([id]);
    expect(wrong).toBeInstanceOf(SeriesProblem);
    expect(missing).toBeNull();
    const many = Array.from({ length: 5000 }, (_, at) => ["ECHO", String(at)]);
    expect((await keys.run(many)).map(String)).toEqual(many.map(([, at]) => String(at)));
    await server.stop();
  });

  test("nothing there: said at once; there later: used; gone again: said", async () => {
    const port = await freePort();
    const states: KeyServerState[] = [];
    const keys = use({
      servers: [`127.0.0.1:${port}`],
      pauses: [20],
      onState: (state) => states.push(state),
    });
    await waitUntil(() => states.length > 0);
    expect(await thrown(keys.run([["PING"]]))).toThrow("no connection to the key server");
    const server = await startRedis(port);
    await keys.ready();
    expect(await keys.run([["PING"]])).toEqual(["PONG"]);
    await server.stop();
    await waitUntil(() => keys.state.kind === "down");
    expect(await thrown(keys.run([["PING"]]))).toThrow("no connection to the key server");
    // The same failure again and again is told once.
    expect(states.map(({ kind }) => kind).slice(0, 3)).toEqual(["down", "up", "down"]);
    const again = await startRedis(port);
    await keys.ready();
    expect(keys.generation).toBe(2);
    await again.stop();
  });

  test("another schema is seen, and left as it is", async () => {
    const server = await startRedis();
    await must(["redis-cli", "-p", String(server.port), "SET", "pcp:version:schema", "3"]);
    const keys = use({ servers: [`127.0.0.1:${server.port}`] });
    await keys.ready();
    expect(keys.schema).toBe(3);
    expect((await keys.run([["GET", "pcp:version:schema"]])).map(String)).toEqual(["3"]);
    await server.stop();
  });

  test("a server that does not answer is given up", async () => {
    const server = await startRedis();
    const keys = use({ servers: [`127.0.0.1:${server.port}`], timeout: 1500 });
    await keys.ready();
    expect(await thrown(keys.run([["BLPOP", "none", "300"]]))).toThrow("no answer within 1500 ms");
    await waitUntil(() => keys.generation === 2);
    const late = inBytes(keys, ["BLPOP", "none", "300"]);
    expect(await thrown(late)).toThrow("no answer within 1500 ms");
    await waitUntil(() => keys.generation === 3);
    expect(keys.generation).toBe(3);
    await server.stop();
  });

  test("user and password", async () => {
    const port = await freePort();
    const daemon = await redisWith(
      [
        ["--port", String(port), "--bind", "127.0.0.1"],
        ["--user", "ann", "on", ">secret", "~*", "&*", "+@all"],
        ["--user", "default", "off"],
      ].flat(),
      { host: "127.0.0.1", port },
    );
    const keys = use({ servers: [`127.0.0.1:${port}`], user: "ann", password: "secret" });
    await keys.ready();
    expect((await keys.run([["ACL", "WHOAMI"]])).map(String)).toEqual(["ann"]);
    expect(String(await inBytes(keys, ["ACL", "WHOAMI"]))).toBe("ann");
    const where = { host: "127.0.0.1", port };
    expect(await thrown(connectTo(where, { password: "no" }))).toThrow("WRONGPASS");
    const states: KeyServerState[] = [];
    use({ servers: [`127.0.0.1:${port}`], password: "no", onState: (state) => states.push(state) });
    await waitUntil(() => states.length > 0);
    expect(states[0]).toMatchObject({ kind: "down", reason: expect.stringContaining("WRONGPASS") });
    await daemon.stop();
  });

  test("a socket", async () => {
    const path = join(privateFolder("socket"), "redis.sock");
    const daemon = await redisWith(["--port", "0", "--unixsocket", path], { path });
    const keys = use({ servers: [path] });
    await keys.ready();
    expect(await keys.run([["PING"]])).toEqual(["PONG"]);
    expect(await inBytes(keys, ["PING"])).toBe("PONG");
    await daemon.stop();
    expect(await thrown(connectTo({ path }, {}))).toThrow();
  });

  test("a name that is no server is refused", async () => {
    const keys = use({ servers: ["host:port"], pauses: [1000] });
    await waitUntil(() => keys.state.kind === "down" && keys.state.reason !== "not connected yet");
    expect(await thrown(keys.run([["PING"]]))).toThrow('key server "host:port": no host and port');
  });

  test("TLS", async () => {
    const files = await tlsFiles();
    const port = await freePort();
    const daemon = await redisWith(
      [
        ["--port", "0", "--tls-port", String(port), "--bind", "127.0.0.1", "127.0.0.2"],
        ["--tls-cert-file", files.serverCertificate, "--tls-key-file", files.serverKey],
        ["--tls-ca-cert-file", files.authority, "--tls-auth-clients", "no"],
      ].flat(),
      { host: "127.0.0.1", port },
    );
    const ca = readFileSync(files.authority, "utf8");
    const keys = use({ servers: [`127.0.0.1:${port}`], tls: { ca } });
    await keys.ready();
    expect(await keys.run([["PING"]])).toEqual(["PONG"]);
    expect(await inBytes(keys, ["PING"])).toBe("PONG");
    // Over TLS, much at once goes in parts.
    const long = "x".repeat(1_000_000);
    expect(String(await inBytes(keys, ["ECHO", long]))).toBe(long);
    const where = { host: "127.0.0.1", port };
    expect(await thrown(connectTo(where, { tls: {} }))).toThrow(/certificate/);
    const other = { host: "127.0.0.2", port };
    expect(await thrown(connectTo(other, { tls: { ca } }))).toThrow(/127\.0\.0\.2/);
    const careless = await connectTo(other, { tls: { rejectUnauthorized: false } });
    await careless.close();
    const states: KeyServerState[] = [];
    use({ servers: [`127.0.0.1:${port}`], tls: {}, onState: (state) => states.push(state) });
    await waitUntil(() => states.length > 0);
    expect(states[0]).toMatchObject({ kind: "down", reason: expect.stringMatching(/certificate/) });
    await daemon.stop();
  });
});

testWith("redis", "commands are not described where nobody listens", async () => {
  const server = await startRedis();
  const keys = use({ servers: [`127.0.0.1:${server.port}`] });
  await keys.ready();
  const channel = tracingChannel("node-redis:command");
  expect(channel.hasSubscribers).toBe(false);
  const heard: unknown[] = [];
  const listener = (message: unknown): unknown => heard.push(message);
  channel.start.subscribe(listener);
  expect(channel.hasSubscribers).toBe(true);
  expect(await keys.run([["PING"]])).toEqual(["PONG"]);
  channel.start.unsubscribe(listener);
  expect(heard).toHaveLength(1);
  await server.stop();
});

testWith("valkey", "Valkey", async () => {
  const server = await startValkey();
  const keys = use({ servers: [`127.0.0.1:${server.port}`] });
  await keys.ready();
  expect(keys.schema).toBe(2);
  expect(await keys.run([["PING"]])).toEqual(["PONG"]);
  await server.stop();
});

describePeer("redis", "a cluster", () => {
  test("keys of all nodes; a node is lost and comes back; a slot moves", async () => {
    const cluster = await startCluster();
    const told: string[] = [];
    const warn = (message: string): unknown => told.push(message);
    const keys = use({ servers: cluster.servers, pauses: [50, 200], wantSearch: true, warn });
    await keys.ready();
    expect(told).toEqual(["disabling search module because it does not support cluster mode"]);
    expect(keys.hasSearch).toBe(false);
    expect(keys.state).toMatchObject({ kind: "up", cluster: true });
    const names = Array.from({ length: 100 }, (_, at) => `key${at}`);
    const write = names.map((name, at) => ["SET", name, String(at)]);
    const read = names.map((name) => ["GET", name]);
    const wanted = names.map((_, at) => String(at));
    await keys.run(write);
    expect((await keys.run(read)).map(String)).toEqual(wanted);
    await cluster.moveSlot("key7", 0);
    await cluster.moveSlot("key7", 1);
    expect((await keys.run(read)).map(String)).toEqual(wanted);
    const bytes = (list: readonly KeyCommand[]) => askInBytes(keys.pipe, list, () => undefined);
    expect((await bytes(read)).map(String)).toEqual(wanted);
    await cluster.moveSlot("key7", 2);
    await cluster.moveSlot("key8", 0);
    expect((await bytes(read)).map(String)).toEqual(wanted);
    expect((await bytes(write)).map(String)).toEqual(write.map(() => "OK"));
    await cluster.stop(2);
    expect(await thrown(keys.run(read))).toThrow("no connection to the key server");
    await cluster.start(2);
    let back = false;
    await waitUntil(async () => {
      back = await keys.run(write).then(
        (replies) => replies.every((reply) => reply === "OK"),
        () => false,
      );
      return back;
    });
    expect(back).toBe(true);
    expect((await keys.run(read)).map(String)).toEqual(wanted);
    await cluster.stopAll();
  }, 300_000);
});

testWith("redis", "several servers that are no cluster are refused", async () => {
  const server = await startRedis();
  const keys = use({ servers: [`127.0.0.1:${server.port}`, `127.0.0.1:${server.port}`] });
  await waitUntil(() => keys.state.kind === "down" && keys.state.reason.includes("2"));
  expect(await thrown(keys.run([["PING"]]))).toThrow(
    "2 key servers are given, but they are no cluster",
  );
  await server.stop();
});
