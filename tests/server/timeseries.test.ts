// Goal: a proxy answers about time series out of the box from archives, or from a key server, which may be
// absent when it starts, die and come back; its state is told; it stops in order and in time, also while
// something is loaded.
import { afterAll, describe, expect, test } from "bun:test";
import { cpSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DEFAULT_SETTINGS } from "../../lib/server/settings.ts";
import { keyServerOptions, storeOf } from "../../lib/server/series-settings.ts";
import { startRedis } from "../helpers/pcp6.ts";
import { describePeer } from "../helpers/peers.ts";
import { freePort, waitUntil } from "../helpers/ports.ts";
import { privateFolder } from "../helpers/process.ts";
import { root } from "../helpers/tree.ts";
import { type Changes, serverWith, settingsWith, silentPort, stopAll } from "./support.ts";
import { thrown } from "../helpers/rejected.ts";

afterAll(stopAll);

const fixture = join(root, "tests/fixtures/series/archives");
const FLT = "a17a45a7ffee8b6e0b052e6941595b20763ca3a9";
const FLT_QUERY = "/series/query?expr=edge.flt";

/** Directories of its own for one server. */
function places(folder = privateFolder("timeseries")) {
  for (const name of ["archives", "state"]) mkdirSync(join(folder, name), { recursive: true });
  const changes: Changes = {
    record: { enabled: false },
    paths: {
      archiveDirectory: join(folder, "archives"),
      remoteArchiveDirectory: join(folder, "remote"),
      stateDirectories: [join(folder, "state")],
    },
  };
  return { folder, changes };
}

function putArchive(folder: string, name: string): void {
  for (const suffix of ["0", "index", "meta"])
    cpSync(join(fixture, `${name}.${suffix}`), join(folder, "archives", `${name}.${suffix}`));
}

interface Answered {
  readonly status: number;
  readonly text: string;
}

async function get(port: number, path: string, init: RequestInit = {}): Promise<Answered> {
  const reply = await fetch(`http://127.0.0.1:${port}${path}`, init);
  return { status: reply.status, text: await reply.text() };
}

/** Asks until the answer is the one that is wanted, or a while has passed. */
async function getUntil(port: number, path: string, wanted: string): Promise<string> {
  let text = "";
  await waitUntil(async () => {
    ({ text } = await get(port, path));
    return text === wanted;
  });
  return text;
}

/** Waits until something is so, which has to come. */
const expectSoon = async (is: () => boolean | Promise<boolean>): Promise<void> =>
  expect(await waitUntil(is)).toBe(true);

interface SeriesState {
  readonly series: Readonly<Record<string, unknown>>;
  readonly discovery?: Readonly<Record<string, unknown>>;
  readonly push?: Readonly<Record<string, unknown>>;
}

const stateOf = async (port: number): Promise<SeriesState> =>
  JSON.parse((await get(port, "/-/status")).text) as SeriesState;

describe("which store", () => {
  const store = (changes: Changes) => storeOf(settingsWith(changes));
  const named = { named: true };
  test("archives unless a key server is named, and what the settings insist on", () => {
    expect(storeOf(DEFAULT_SETTINGS)).toBe("embedded");
    expect(store({ keyServer: named })).toBe("keys");
    expect(store({ keyServer: { ...named, enabled: false } })).toBe("embedded");
    expect(store({ keyServer: named, series: { store: "embedded" } })).toBe("embedded");
    expect(store({ series: { store: "keys" } })).toBe("keys");
    expect(store({ series: { store: "keys" }, keyServer: { enabled: false } })).toBeUndefined();
    expect(store({ series: { enabled: false } })).toBeUndefined();
  });
});

describe("over archives", () => {
  test("nothing is opened before the process is its user", async () => {
    const { folder, changes } = places();
    const { proxy, port } = await serverWith(changes);
    expect((await get(port, "/series/ping")).text).toContain('"success":true');
    expect((await get(port, FLT_QUERY)).status).toBe(400);
    expect(existsSync(join(folder, "state/series.sqlite"))).toBe(false);
    proxy.begin();
    expect(existsSync(join(folder, "state/series.sqlite"))).toBe(true);
    await proxy.close();
  });

  test("archives of the directory answer, later ones too; search finds their metrics", async () => {
    const { folder, changes } = places();
    putArchive(folder, "edge");
    const { proxy, port } = await serverWith(changes);
    proxy.begin();
    expect(await getUntil(port, FLT_QUERY, `["${FLT}"]\r\n`)).toBe(`["${FLT}"]\r\n`);
    const values = await get(port, `${FLT_QUERY}[count:1]`);
    expect(JSON.parse(values.text)).toMatchObject([{ series: FLT, value: "2.000000e-01" }]);
    expect((await get(port, "/search/suggest?query=edge")).text).toContain("edge.flt");
    putArchive(folder, "grow");
    const grown = `["${join(folder, "archives/grow")}"]\r\n`;
    expect(await getUntil(port, "/series/sources?match=*/grow", grown)).toBe(grown);
    const { series, discovery, push } = await stateOf(port);
    expect(series).toMatchObject({ store: "embedded", archives: 2, unreadable: 0, search: true });
    expect(discovery).toMatchObject({ complete: true, problems: [] });
    expect(push).toMatchObject({ directory: join(folder, "remote"), archives: 0 });
    await proxy.close();
  });

  test("what was catalogued is there at once after a restart", async () => {
    const { folder, changes } = places();
    const first = await serverWith(changes);
    first.proxy.begin();
    const load = `/series/load?expr={source.path:"${join(fixture, "edge")}"}`;
    expect(await get(first.port, load)).toEqual({ status: 200, text: '{"success":true}\r\n' });
    await first.proxy.drain(1000);
    const second = await serverWith({ ...changes, discover: { enabled: false } });
    second.proxy.begin();
    expect((await get(second.port, FLT_QUERY)).text).toBe(`["${FLT}"]\r\n`);
    expect(await stateOf(second.port)).not.toHaveProperty("discovery");
    await second.proxy.close();
    expect(existsSync(join(folder, "state/series.sqlite"))).toBe(true);
  });

  test("without a place for the catalogue it is in memory, and the log says so", async () => {
    const { folder, changes } = places();
    putArchive(folder, "edge");
    const paths = { ...changes.paths, stateDirectories: ["/proc/no"] };
    const { proxy, port, lines } = await serverWith({ ...changes, paths });
    proxy.begin();
    expect(await getUntil(port, FLT_QUERY, `["${FLT}"]\r\n`)).toBe(`["${FLT}"]\r\n`);
    expect(lines.join("")).toContain("time series are catalogued in memory: none of /proc/no");
    await proxy.close();
  });

  test("a catalogue that cannot be used is told, and memory is used", async () => {
    const { folder, changes } = places();
    const series = { catalogue: join(folder, "archives") };
    const { proxy, port, lines } = await serverWith({ ...changes, series });
    proxy.begin();
    expect((await stateOf(port)).series).toMatchObject({ catalogue: ":memory:" });
    expect(lines.join("")).toMatch(/catalogued in memory: .*archives/);
    await proxy.close();
  });

  test("pushed archives may come in large pieces, other bodies may not", async () => {
    const { changes } = places();
    const { proxy, port } = await serverWith(changes);
    proxy.begin();
    const post = (path: string, bytes: number) =>
      get(port, path, { method: "POST", body: new Uint8Array(bytes) });
    // No label, but it is looked at.
    expect((await post("/logger/label", 2 << 20)).status).toBe(400);
    expect((await post("/logger/label", 12 << 20)).status).toBe(413);
    expect((await post("/series/query", 2 << 20)).status).toBe(413);
    expect((await stateOf(port)).push).toMatchObject({ refused: 1, begun: 0 });
    await proxy.close();
  });

  test("switched off there is none", async () => {
    const { changes } = places();
    const { proxy, port } = await serverWith({ ...changes, series: { enabled: false } });
    proxy.begin();
    expect((await get(port, FLT_QUERY)).status).toBe(400);
    expect((await stateOf(port)).series).toEqual({ store: "none" });
    await proxy.close();
  });
});

describe("how a key server is reached", () => {
  const { keyServer } = DEFAULT_SETTINGS;
  test("hosts, addresses and sockets; who asks", () => {
    const servers = ["db", "::1", "/run/keys.sock"].map((host) => ({ host, port: 7 }));
    expect(keyServerOptions({ ...keyServer, servers, username: "me", password: "p" })).toEqual({
      servers: ["db:7", "[::1]:7", "/run/keys.sock"],
      user: "me",
      password: "p",
    });
  });

  test("TLS with files, with the machine's authorities, with anybody", () => {
    const folder = privateFolder("keys-tls");
    const put = (name: string): string => {
      writeFileSync(join(folder, name), name.toUpperCase());
      return join(folder, name);
    };
    const tls = { enabled: true, ca: put("ca"), certificate: put("cert"), key: put("key") };
    const options = (more: object) =>
      keyServerOptions({ ...keyServer, tls: { ...keyServer.tls, enabled: true, ...more } }).tls;
    expect(options({ ...tls, verify: true })).toEqual({
      ca: "CA",
      cert: "CERT",
      key: "KEY",
      rejectUnauthorized: true,
    });
    expect(options({ ca: "" })).toEqual({ rejectUnauthorized: true });
    expect(options({ verify: false })).toEqual({ rejectUnauthorized: false });
    expect(keyServerOptions(keyServer)).not.toHaveProperty("tls");
  });
});

describe("TLS files of a key server", () => {
  test("that cannot be read end the start", async () => {
    const tls = { enabled: true, ca: "/no/ca.pem", certificate: undefined, key: undefined };
    const keyServer = { named: true, tls: { ...tls, verify: true } };
    const started = serverWith({ keyServer });
    expect(await thrown(started)).toThrow("[keys] tls.ca: /no/ca.pem: ");
  });
});

const keyChanges = (port: number): Changes => ({
  ...places().changes,
  keyServer: { named: true, servers: [{ host: "127.0.0.1", port }] },
});

describePeer("redis", "over a key server", () => {
  const load = `/series/load?expr={source.path:"${join(fixture, "edge")}"}`;

  test("absent at the start, there, killed, back: requests are answered at once all the time", async () => {
    const keyPort = await freePort();
    const { proxy, port, lines } = await serverWith(keyChanges(keyPort));
    proxy.begin();
    await expectSoon(() =>
      lines.join("").includes("Cannot connect to key server: Connection refused"),
    );
    const away = await get(port, FLT_QUERY);
    expect(away.status).toBe(503);
    expect(away.text).toMatch(
      /^\{"message":"no connection to the key server: .+","success":false\}/,
    );
    expect((await get(port, load)).status).toBe(503);
    expect((await stateOf(port)).series).toMatchObject({ store: "keys", connected: false });

    const server = await startRedis(keyPort);
    await expectSoon(() => lines.join("").includes("Key server slots, schema version setup"));
    expect(await get(port, load)).toEqual({ status: 200, text: '{"success":true}\r\n' });
    expect((await get(port, FLT_QUERY)).text).toBe(`["${FLT}"]\r\n`);
    expect((await stateOf(port)).series).toMatchObject({ connected: true, cluster: false });

    await server.stop();
    await expectSoon(() => lines.join("").includes("Lost connection to key server."));
    expect((await get(port, FLT_QUERY)).status).toBe(503);
    const again = await startRedis(keyPort);
    const setups = () => lines.join("").split("schema version setup").length - 1;
    await expectSoon(() => setups() === 2);
    expect((await get(port, FLT_QUERY)).text).toBe("[]\r\n");
    expect(lines.join("").split("Cannot connect to key server").length).toBe(2);
    expect(lines.join("").split("Lost connection").length).toBe(2);
    await proxy.close();
    await again.stop();
  }, 300_000);

  test("that stops to answer is told within the time of a request", async () => {
    const server = await startRedis();
    const limits = { httpRequestTimeoutMs: 4000 };
    const { proxy, port } = await serverWith({ ...keyChanges(server.port), limits });
    proxy.begin();
    await expectSoon(async () => (await stateOf(port)).series["connected"] === true);
    expect((await get(port, load)).status).toBe(200);
    server.daemon.signal("SIGSTOP");
    const asked = await Promise.all([get(port, FLT_QUERY), get(port, `${FLT_QUERY}[count:1]`)]);
    for (const { status, text } of asked)
      expect([status, text]).toEqual([503, expect.stringContaining("no answer within 3000 ms")]);
    server.daemon.signal("SIGCONT");
    await expectSoon(async () => (await get(port, FLT_QUERY)).status === 200);
    await proxy.close();
    await server.stop();
  }, 300_000);

  test("stopped while it loads it breaks the load off, and comes to its end", async () => {
    const server = await startRedis();
    const { proxy, port } = await serverWith(keyChanges(server.port));
    proxy.begin();
    await expectSoon(async () => (await stateOf(port)).series["connected"] === true);
    server.daemon.signal("SIGSTOP");
    const loading = get(port, load).then(
      ({ status }) => status,
      (error: unknown) => String(error),
    );
    await expectSoon(async () => (await stateOf(port)).series["loading"] === true);
    await proxy.drain(200);
    expect(await loading).not.toBe(200);
    server.daemon.signal("SIGCONT");
    await server.stop();
  }, 300_000);
});

describe("a key server that takes connections and says nothing", () => {
  test("holds up neither requests nor the end", async () => {
    const silent = await silentPort();
    const { proxy, port } = await serverWith(keyChanges(silent.port));
    proxy.begin();
    expect((await get(port, FLT_QUERY)).status).toBe(503);
    await proxy.drain(500);
    await silent.stop();
  }, 300_000);
});
