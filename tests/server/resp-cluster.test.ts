// Goal: where the key server is a cluster, its clients need not know (spec proxy.md 12, series.md 1.5): requests
// go to the node of their key however they are cut, replies come in the order of the requests, slots that
// move are followed, a node that is lost costs the requests for it alone, what needs one connection is
// refused, and what is held stays bounded.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { describePeer } from "../helpers/peers.ts";
import { waitUntil } from "../helpers/ports.ts";
import { must, run } from "../helpers/process.ts";
import { type RedisCluster, startCluster } from "../helpers/redis-cluster.ts";
import {
  type Changes,
  childWith,
  type RawClient,
  rawClient,
  serverWith,
  stopAll,
} from "./support.ts";
import type { TestServer } from "./support.ts";

// A busy machine takes long for large values.
setDefaultTimeout(300_000);
afterAll(stopAll);

const request = (...words: readonly string[]): string =>
  `*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join("")}`;
const bulk = (text: string): string => `$${text.length}\r\n${text}\r\n`;

const hostPort = (server: string) => {
  const [host = "", port] = server.split(":");
  return { host, port: Number(port) };
};

const relayTo = (cluster: RedisCluster, more: Changes = {}): Promise<TestServer> =>
  serverWith({
    ...more,
    resp: { enabled: true },
    keyServer: { servers: cluster.servers.map(hostPort), ...more.keyServer },
  });

/** Sends and waits for as many bytes as are wanted. */
async function exchange(client: RawClient, send: string, wanted: string): Promise<void> {
  const before = client.length();
  client.socket.write(Buffer.from(send, "latin1"));
  const got = await client.got(before + wanted.length);
  expect(got.slice(before)).toBe(wanted);
}

describePeer("redis", "with a cluster", () => {
  let cluster: RedisCluster;
  let server: TestServer;
  beforeAll(async () => {
    cluster = await startCluster();
    server = await relayTo(cluster);
  }, 300_000);
  afterAll(async () => {
    await cluster.stopAll();
  });

  const keys = Array.from({ length: 500 }, (_, at) => `key${at}`);

  test("a pipeline over all nodes, in one piece and byte by byte, is answered in order", async () => {
    const client = await rawClient(server.port);
    const sets = keys.map((key) => request("SET", key, `value of ${key}`)).join("");
    await exchange(client, sets, "+OK\r\n".repeat(keys.length));
    const gets = keys.map((key) => request("GET", key)).join("");
    const values = keys.map((key) => bulk(`value of ${key}`)).join("");
    await exchange(client, gets, values);
    await exchange(
      client,
      `${request("PING")}\r\n${gets}*0\r\n${request("PING")}`,
      `+PONG\r\n${values}+PONG\r\n`,
    );
    const slow = await rawClient(server.port);
    const some = keys.slice(0, 5);
    for (const byte of some.map((key) => `${request("GET", key)}\r\n`).join("")) {
      slow.socket.write(byte);
      await Bun.sleep(0);
    }
    const wanted = some.map((key) => bulk(`value of ${key}`)).join("");
    expect(await slow.got(wanted.length)).toBe(wanted);
  });

  test("other positions of keys, hash tags, and no key at all", async () => {
    const client = await rawClient(server.port);
    await exchange(client, request("MSET", "{a}1", "x", "{a}2", "y"), "+OK\r\n");
    await exchange(
      client,
      request("EVAL", "return redis.call('get', KEYS[1])", "1", "{a}2"),
      bulk("y"),
    );
    await exchange(client, request("OBJECT", "REFCOUNT", "{a}1"), ":1\r\n");
    await exchange(client, request("XADD", "s", "1-1", "f", "v") + "\r\n", bulk("1-1"));
    const entries = "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n";
    await exchange(client, request("XREAD", "STREAMS", "s", "0"), entries);
    await exchange(client, request("ECHO", "x"), bulk("x"));
    await exchange(client, request("GET"), "-ERR wrong number of arguments for 'get' command\r\n");
    const wrong = (name: string): string =>
      `-Failed to find keys of command ${name}: wrong number of arguments\r\n`;
    await exchange(
      client,
      request("get", "a", "b") + request("HSET", "a", "b") + request("ECHO", "x"),
      wrong("GET") + wrong("HSET") + bulk("x"),
    );
    const before = client.length();
    client.socket.write(request("MGET", "a", "b") + request("NONSENSE", "a") + request("PING"));
    await waitUntil(() => client.text().endsWith("+PONG\r\n"));
    const rest = client.text().slice(before);
    expect(rest).toStartWith(
      "-CROSSSLOT Keys in request don't hash to the same slot\r\n-ERR unknown command",
    );
  });

  test("what needs one connection is refused, and the session goes on", async () => {
    const client = await rawClient(server.port);
    const refused = ["MULTI", "EXEC", "SUBSCRIBE", "MONITOR", "PSYNC", "WATCH"];
    const wanted = refused
      .map((name) => `-ERR ${name} is not possible through a proxy of a cluster\r\n`)
      .join("");
    await exchange(client, refused.map((name) => request(name, "a")).join(""), wanted);
    await exchange(client, request("hello", "3"), "-NOPROTO unsupported protocol version\r\n");
    await exchange(
      client,
      request("CLUSTER", "slots"),
      "-ERR This instance has cluster support disabled\r\n",
    );
    await exchange(
      client,
      request("CLUSTER", "KEYSLOT", "key7"),
      ":8332\r\n".replace("8332", String(slotOf("key7"))),
    );
    await exchange(
      client,
      request("BLPOP", "nothing", "0.05") + request("PING"),
      "*-1\r\n+PONG\r\n",
    );
    client.socket.write(request("QUIT"));
    expect(await client.end()).toEndWith("+PONG\r\n+OK\r\n");
  });

  test("a slot that moves, before and while a client writes", async () => {
    const client = await rawClient(server.port);
    await exchange(client, request("SET", "key7", "0"), "+OK\r\n");
    const rounds = 300;
    let sent = 0;
    const write = async (): Promise<void> => {
      for (; sent < rounds; sent++) {
        client.socket.write(request("INCR", "key7") + request("GET", "key7"));
        if (sent % 10 === 0) await Bun.sleep(2);
      }
    };
    const moving = (async () => {
      await cluster.moveSlot("key7", 0);
      await cluster.moveSlot("key7", 1);
      await cluster.moveSlot("key7", 2);
    })();
    await Promise.all([write(), moving]);
    const wanted = Array.from(
      { length: rounds },
      (_, at) => `:${at + 1}\r\n${bulk(String(at + 1))}`,
    );
    const all = `+OK\r\n${wanted.join("")}`;
    expect(await client.got(all.length)).toBe(all);
  });

  test("a value of 24 MB in a server of little memory", async () => {
    const child = await childWith({
      resp: { enabled: true },
      keyServer: { servers: cluster.servers.map(hostPort) },
    });
    const client = await rawClient(child.port);
    await exchange(client, request("SET", "key1", "small"), "+OK\r\n");
    const before = child.memory();
    const value = "0123456789abcdef".repeat(1_500_000);
    await exchange(client, request("SET", "key3", value), "+OK\r\n");
    await exchange(
      client,
      request("GET", "key3") + request("GET", "key1"),
      bulk(value) + bulk("small"),
    );
    await child.ask("gc");
    expect(await child.growth(before, 36 << 20)).toBeLessThan(36 << 20);
    await exchange(client, request("DEL", "key3"), ":1\r\n");
  });

  test("a client that does not read is waited for, and gets all", async () => {
    const child = await childWith({
      resp: { enabled: true },
      keyServer: { servers: cluster.servers.map(hostPort) },
    });
    const client = await rawClient(child.port);
    const value = "v".repeat(100_000);
    const some = keys.slice(0, 9);
    await exchange(
      client,
      some.map((key) => request("SET", key, value)).join(""),
      "+OK\r\n".repeat(9),
    );
    client.socket.pause();
    const before = child.memory();
    for (let round = 0; round < 200; round++)
      for (const key of some) client.socket.write(request("GET", key));
    await Bun.sleep(300);
    expect(await child.growth(before, 100 << 20)).toBeLessThan(100 << 20);
    client.socket.resume();
    const size = 200 * 9 * bulk(value).length;
    await client.got(45 + size);
    expect(client.length()).toBe(45 + size);
  });

  test("what is no request: closed, with a line in the log", async () => {
    const { port, lines, counters } = await relayTo(cluster);
    const good = await rawClient(port, request("PING"));
    await good.got(7);
    for (const bytes of [
      "*1\r\nPING\r\n",
      "*1\r\n$-1\r\n",
      "*1\r\n$536870913\r\n",
      "*2000000\r\n",
      "*1\r\n$1\r\nxy\r\n",
    ]) {
      const client = await rawClient(port, request("PING") + bytes);
      expect(await client.end()).not.toContain("(still open)");
    }
    const text = "Warning: failed to parse RESP protocol request\n";
    expect(lines.filter((line) => line.endsWith(text))).toHaveLength(5);
    await waitUntil(() => counters()["active"] === 1);
    expect(counters()).toMatchObject({ active: 1, relays: 1, clusterLinks: 1, faults: 0 });
    await exchange(good, request("PING"), "+PONG\r\n");
    good.socket.end();
    await waitUntil(() => counters()["active"] === 0);
    expect(counters()).toMatchObject({ relays: 0, clusterLinks: 0 });
  });

  test("settings that are loaded again keep the clients; a stop waits for replies", async () => {
    const own = await relayTo(cluster);
    const client = await rawClient(own.port);
    await exchange(client, request("PING"), "+PONG\r\n");
    const { settingsWith } = await import("./support.ts");
    own.proxy.reload(settingsWith({ resp: { enabled: false } }));
    await exchange(client, request("GET", "none"), "$-1\r\n");
    expect(await (await rawClient(own.port, request("PING"))).end()).toBe("");
    client.socket.write(request("BLPOP", "nothing", "2"));
    const blocked = async (): Promise<boolean> => {
      const ports = cluster.servers.map((name) => hostPort(name).port);
      const infos = ports.map((port) => must(["redis-cli", "-p", `${port}`, "INFO", "clients"]));
      return (await Promise.all(infos)).join("").includes("blocked_clients:1");
    };
    expect(await waitUntil(blocked)).toBe(true);
    await own.proxy.drain(300_000);
    expect(await client.end()).toEndWith("*-1\r\n");
  });

  test("redis-cli", async () => {
    const cli = (...args: string[]) => run(["redis-cli", "-p", String(server.port), ...args]);
    for (const key of ["one", "two", "three", "four"]) {
      expect((await cli("SET", `cli:${key}`, key)).stdout).toBe("OK\n");
      expect((await cli("GET", `cli:${key}`)).stdout).toBe(`${key}\n`);
    }
    expect((await cli("get", "foo", "bar")).stdout).toContain("wrong number of arguments");
    const script = keys.map((key) => `SET ${key} again`).join("\n");
    const piped = await run(["redis-cli", "-p", String(server.port)], { stdin: script });
    expect(piped.stdout).toBe("OK\n".repeat(keys.length));
    const clustered = await run(["redis-cli", "-c", "-p", String(server.port), "GET", "key9"]);
    expect(clustered.stdout).toBe("again\n");
  });

  test("a node is lost: its requests fail, the others do not; it comes back", async () => {
    const client = await rawClient(server.port);
    const some = keys.slice(100, 130);
    const owner = (key: string): number => Math.floor(slotOf(key) / (16_384 / 3));
    await exchange(
      client,
      some.map((key) => request("SET", key, key)).join(""),
      "+OK\r\n".repeat(30),
    );
    await cluster.stop(2);
    for (let round = 0; round < 2; round++) {
      const before = client.length();
      client.socket.write(
        some.map((key) => request("GET", key)).join("") + request("ECHO", "over"),
      );
      await waitUntil(() => client.text().slice(before).endsWith("over\r\n"));
      const replies = client.text().slice(before).split("\r\n");
      for (const key of some) {
        const reply = replies.shift() ?? "";
        // Those that have a node answer, until the cluster itself says that it is not whole.
        if (owner(key) === 2) expect(reply).toMatch(/^-(ERR key server|CLUSTERDOWN)/);
        else if (reply.startsWith("$")) expect(replies.shift()).toBe(key);
        else expect(reply).toStartWith("-CLUSTERDOWN");
      }
    }
    await cluster.start(2);
    const whole = async (): Promise<boolean> => {
      const before = client.length();
      client.socket.write(
        some.map((key) => request("GET", key)).join("") + request("ECHO", "over"),
      );
      await waitUntil(() => client.text().slice(before).endsWith("over\r\n"));
      return !client.text().slice(before).includes("-");
    };
    expect(await waitUntil(whole)).toBe(true);
  }, 300_000);

  test("a password, of the proxy or of the client", async () => {
    const admin = await rawClient(Number(cluster.servers[0]?.split(":")[1]));
    for (const each of cluster.servers) {
      const node = await rawClient(hostPort(each).port);
      await exchange(node, request("CONFIG", "SET", "requirepass", "secret"), "+OK\r\n");
    }
    admin.socket.destroy();
    const good = await relayTo(cluster, { keyServer: { password: "secret" } });
    const client = await rawClient(good.port);
    const gets = keys.map((key) => request("SET", key, "x")).join("");
    await exchange(client, gets, "+OK\r\n".repeat(keys.length));
    const bad = await relayTo(cluster, { keyServer: { password: "wrong" } });
    expect(await (await rawClient(bad.port, request("PING"))).end()).toBe("");
    expect(bad.lines.join("")).toContain("AUTH: -WRONGPASS");
    // Known to be a cluster since before: the client says the password.
    const own = await rawClient(server.port);
    await exchange(own, request("PING"), "-NOAUTH Authentication required.\r\n");
    await exchange(
      own,
      request("AUTH", "secret") + gets,
      `+OK\r\n${"+OK\r\n".repeat(keys.length)}`,
    );
    expect(server.counters()).toMatchObject({ faults: 0 });
  });
});

/** The slot of a key without braces, as the specification of clusters has it. */
function slotOf(key: string): number {
  let crc = 0;
  for (const byte of Buffer.from(key)) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
    crc &= 0xffff;
  }
  return crc % 16_384;
}
