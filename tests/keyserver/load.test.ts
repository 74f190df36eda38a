// Goal: what loading writes is, key by key, what the real pmseries of PCP 7.2 writes; real pmseries of both
// releases reads it as its own, and our queries read theirs; requests are read as PCP reads them;
// a lost, emptied, full or foreign server ends well; clusters are loaded while nodes and slots change.
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { cpSync } from "node:fs";
import { join } from "node:path";
import { UTC } from "../../lib/pcp/mod.ts";
import { type KeyServer, useKeyServer } from "../../lib/keyserver/keys.ts";
import { loadArchive, type Loaded, type LoadOptions } from "../../lib/keyserver/load.ts";
import { CommandBuffer } from "../../lib/keyserver/resp.ts";
import { partsOfReply } from "../../lib/keyserver/schema.ts";
import { keyStore } from "../../lib/keyserver/store.ts";
import { stringId } from "../../lib/series/ids.ts";
import { loadExpression, type LoadRequest, parseLoad } from "../../lib/series/load-request.ts";
import { type PcpTree, runIn } from "../helpers/pcp.ts";
import { pcp6, startRedis } from "../helpers/pcp6.ts";
import { pcp7, startValkey } from "../helpers/pcp7.ts";
import { describePeer, testWith } from "../helpers/peers.ts";
import { privateFolder } from "../helpers/process.ts";
import { startCluster } from "../helpers/redis-cluster.ts";
import { desc, makeArchive } from "../extract/archive-maker.ts";
import { forEachSuiteArchive } from "../helpers/suite-archives.ts";
import zeroDump from "../fixtures/series/zero_disk_activity.dump-7.2.1.json";
import type { Dump } from "../series/dump-store.ts";
import { dumpServer } from "./key-dump.ts";
import { runPmseries } from "../series/pmseries.ts";
import { thrown } from "../helpers/rejected.ts";

// A busy machine takes long.
setDefaultTimeout(300_000);

const NOW = { sec: 1_900_000_000, nsec: 0 };
const ARCHIVES = join(import.meta.dir, "../fixtures/archives/rec");
const NAMES = ["v2-dyn", "v2-mark", "v3-dyn-721", "v3-events", "v3-labels-721", "v3-types"];

/** A copy that programs in other roots see, too. */
const folder = privateFolder("load");
cpSync(ARCHIVES, folder, { recursive: true });
const placeOf = (name: string): string => join(folder, name);

const closers: (() => Promise<void>)[] = [];
afterAll(() => Promise.all(closers.map((close) => close())));

interface Used {
  readonly server: KeyServer;
  readonly port: number;
}

async function use(tree: PcpTree): Promise<Used> {
  const { port, stop } = await (tree === pcp7 ? startValkey() : startRedis());
  const server = useKeyServer({ servers: [`127.0.0.1:${port}`], pauses: [50] });
  closers.push(async () => {
    await server.close();
    await stop();
  });
  await server.ready();
  return { server, port };
}

const load = (
  server: KeyServer,
  name: string,
  request: Partial<LoadRequest> = {},
  options: Partial<LoadOptions> = {},
): Promise<Loaded> =>
  loadArchive(server, { path: placeOf(name), metrics: [], ...request }, { now: NOW, ...options });

async function realLoad(tree: PcpTree, { port }: Used, name: string): Promise<string> {
  const argv = ["pmseries", "-p", String(port), "--load", placeOf(name)];
  const result = await runIn(tree, argv);
  expect({ status: result.status, stderr: result.stderr }).toEqual({ status: 0, stderr: "" });
  return result.stdout;
}

describePeer(["pcp7", "valkey"], "beside pmseries 7.2", () => {
  test.each(NAMES)(
    "%s: the same keys, the same number of records",
    async (name) => {
      const theirs = await use(pcp7);
      const ours = await use(pcp7);
      const said = await realLoad(pcp7, theirs, name);
      const { records, whole, context } = await load(
        ours.server,
        name,
        {},
        {
          excludeMetrics: ["proc.*", "acct.*"],
        },
      );
      expect(said).toBe(`pmseries: [Info] processed ${records} archive records from ${context}\n`);
      expect(whole).toBe(true);
      const wanted = await dumpServer(theirs.server);
      const got = await dumpServer(ours.server);
      expect(Object.keys(got)).toEqual(Object.keys(wanted));
      expect(got).toEqual(wanted);
      // Loading again changes nothing.
      await load(ours.server, name, {}, { excludeMetrics: ["proc.*", "acct.*"] });
      expect(await dumpServer(ours.server)).toEqual(wanted);
    },
    300_000,
  );
});

const LINES = [["-m"], ["-i"], ["-l"], ["-S"], ["-q", "sample.*"], ["-q", "sample.*[count:2]"]];
/** The order of names and of series is that of hashes. */
const sorted = (text: string) => ({ lines: text.split("\n").sort() });

describe.each([
  [pcp6, "redis"],
  [pcp7, "valkey"],
] as const)("both ways", (tree, keys) => {
  testWith(
    [tree.name, keys],
    `${tree.name} reads what we loaded, we read what it loaded, with equal answers`,
    async () => {
      const theirs = await use(tree);
      const ours = await use(tree);
      const name = "v3-types";
      await realLoad(tree, theirs, name);
      await load(ours.server, name);
      for (const { server, port } of [ours, theirs]) {
        const store = keyStore(server);
        const [all = []] = await store.select([
          { map: { kind: "metric" }, choice: { kind: "glob", pattern: "*", fits: () => true } },
        ]);
        expect(all.length).toBeGreaterThan(5);
        for (const line of [...LINES, ...all.slice(0, 4).map((id) => ["-a", id])]) {
          const real = await runIn(tree, ["pmseries", "-p", String(port), ...line]);
          const own = await runPmseries(store, line, NOW);
          expect({ line, ...sorted(own?.stdout ?? ""), status: own?.exit ?? -1 }).toEqual({
            line,
            ...sorted(real.stdout),
            status: real.status ?? -1,
          });
        }
      }
    },
    300_000,
  );
});

describePeer("redis", "a load", () => {
  test("of a window, of some metrics, without values", async () => {
    const { server } = await use(pcp6);
    const all = await load(server, "v3-types");
    const messages: string[] = [];
    const some = await load(
      server,
      "v3-types",
      { metrics: ["sample.long", "no.such"] },
      { warn: (message) => messages.push(message) },
    );
    expect(messages).toEqual(["PMNS traversal failed for no.such: Unknown metric name"]);
    expect(some.records).toBe(all.records);
    expect(some.values).toBeLessThan(all.values);
    expect((await load(server, "v3-types", {}, { metadataOnly: true })).values).toBe(0);
    const cut = await load(server, "v3-types", { finish: { sec: 0, nsec: 0 } });
    expect(cut).toMatchObject({ records: 0, whole: false });
  });

  test("into a server of another schema, of what is no archive, into a full server: refused", async () => {
    const { server } = await use(pcp6);
    expect(await thrown(load(server, "none"))).toThrow(
      `cannot open archive "${placeOf("none")}": No such file or directory`,
    );
    await server.run([["CONFIG", "SET", "maxmemory", "1"]]);
    expect(await thrown(load(server, "v3-types"))).toThrow("key server refuses to load: OOM");
    expect(
      await thrown(loadArchive({ ...server, schema: 7 }, { path: "x", metrics: [] }, { now: NOW })),
    ).toThrow("unsupported series schema (got v7, expected v2)");
  });

  test("that loses its server, which comes back empty, begins again and is whole", async () => {
    const calm = await use(pcp6);
    await load(calm.server, "v3-dyn-721");
    const first = await startRedis();
    const server = useKeyServer({ servers: [`127.0.0.1:${first.port}`], pauses: [50] });
    await server.ready();
    let calls = 0;
    let second: { stop(): Promise<void> } | undefined;
    const disturbed: KeyServer = {
      ...server,
      get generation() {
        return server.generation;
      },
      get schema() {
        return server.schema;
      },
      pipe: async (commands, take) => {
        if (++calls !== 1) return server.pipe(commands, take);
        const some = new CommandBuffer();
        for (let at = 0; at < 20; at++) some.copy(commands, at);
        await server.pipe(some, take);
        await first.stop();
        second = await startRedis(first.port);
        return server.pipe(commands, take);
      },
    };
    const messages: string[] = [];
    await load(disturbed, "v3-dyn-721", {}, { warn: (message) => messages.push(message) });
    expect(messages.join()).toContain("begins again");
    expect(await dumpServer(server)).toEqual(await dumpServer(calm.server));
    await server.close();
    await second?.stop();
  });

  test("whose nodes send commands to each other begins again", async () => {
    const calm = await use(pcp6);
    const loaded = await load(calm.server, "v3-dyn-721");
    const { server } = await use(pcp6);
    let calls = 0;
    const disturbed: KeyServer = {
      ...server,
      pipe: (commands, take) => {
        if (++calls > 1) return server.pipe(commands, take);
        const reply = Buffer.from("-MOVED 8367 127.0.0.1:7001\r\n");
        for (let at = 0; at < commands.count; at++) take(at, reply, 0, reply.length);
        return Promise.resolve();
      },
    };
    const messages: string[] = [];
    const warn = (message: string) => void messages.push(message);
    expect(await load(disturbed, "v3-dyn-721", {}, { warn })).toEqual(loaded);
    expect(messages.join()).toContain("begins again: MOVED 8367 127.0.0.1:7001");
    expect(await dumpServer(server)).toEqual(await dumpServer(calm.server));
  });

  test("into a cluster whose node is lost and whose slot moves", async () => {
    const calm = await use(pcp6);
    const loaded = await load(calm.server, "v3-labels");
    const cluster = await startCluster();
    const server = useKeyServer({ servers: cluster.servers, pauses: [50, 200] });
    await server.ready();
    let calls = 0;
    const disturbed: KeyServer = {
      ...server,
      get generation() {
        return server.generation;
      },
      get schema() {
        return server.schema;
      },
      pipe: async (commands, take) => {
        calls++;
        if (calls === 1) {
          await cluster.stop(1);
          setTimeout(() => void cluster.start(1), 300);
        }
        if (calls === 4) await cluster.moveSlot("pcp:map:metric.name", 0);
        return server.pipe(commands, take);
      },
    };
    const messages: string[] = [];
    const again = await load(disturbed, "v3-labels", {}, { warn: (text) => messages.push(text) });
    expect(messages.join()).toContain("begins again");
    expect(again).toEqual(loaded);
    const keys = Object.keys(await dumpServer(calm.server));
    const there = await server.run(keys.map((key) => ["EXISTS", key]));
    expect(keys.filter((_, at) => there[at] !== 1)).toEqual([]);
    const streams = keys.filter((key) => key.startsWith("pcp:values:"));
    const read = streams.map((key) => ["XRANGE", key, "-", "+"]);
    const inCluster = (await server.run(read)).map((reply) => partsOfReply(reply));
    expect(inCluster).toEqual((await calm.server.run(read)).map((reply) => partsOfReply(reply)));
    await server.close();
    await cluster.stopAll();
  }, 300_000);
});

/** The recording was made in another directory: its name, and the identifier of that, are those of here. */
function movedTo(keys: Dump["keys"], from: string, to: string): Dump["keys"] {
  const text = JSON.stringify(keys).replaceAll(from, to).replaceAll(stringId(from), stringId(to));
  const moved = JSON.parse(text) as Record<string, { type: string; value: unknown; expire?: true }>;
  return Object.fromEntries(
    Object.entries(moved).map(([key, { type, value, expire }]) => [
      key,
      {
        type,
        value: type === "set" ? (value as string[]).sort() : value,
        ...(expire === undefined ? {} : { expire }),
      },
    ]),
  );
}

forEachSuiteArchive((base, name) => {
  if (name !== "zero_disk_activity") return;
  testWith("redis", `${name} as it was recorded`, async () => {
    const { server } = await use(pcp6);
    await loadArchive(
      server,
      { path: base, metrics: [] },
      { now: NOW, excludeMetrics: ["proc.*", "acct.*"] },
    );
    const recorded = movedTo((zeroDump as unknown as Dump).keys, `/srv/archives/${name}`, base);
    expect(await dumpServer(server)).toEqual(recorded);
  });
});

describe("what is to be loaded", () => {
  const parse = (text: string): LoadRequest => parseLoad(text, { now: NOW, zone: UTC });

  test("selectors name the archive and metrics, whatever they are called", () => {
    expect(parse('{source.path: "/x"}')).toEqual({ path: "/x", metrics: [] });
    expect(parse('{c.directory == "/x" && metric.name == "a.b", m.x ~~ "c"}')).toEqual({
      path: "/x",
      metrics: ["a.b", "c"],
    });
    const start = { sec: 5, nsec: 0 };
    expect(parse('{source.path: "/x"}[start:5,finish:7]')).toMatchObject({
      start,
      finish: { sec: 7, nsec: 0 },
    });
  });

  test("what names no archive is refused", () => {
    for (const text of [
      '{metric.name == "a"}',
      '{source.hostspec == "x"}',
      "a.b",
      "{source.path == x}",
      '{source.path: "/tmp/\0x"}',
    ])
      expect(() => parse(text)).toThrow("found no context to load");
    expect(() => parse("{")).toThrow("cannot parse given string");
  });

  test("a path on the command line is an archive", () => {
    expect(loadExpression("/x y")).toBe('{source.path: "/x y"}');
    expect(loadExpression("{x}")).toBe("{x}");
    expect(loadExpression("no such file")).toBe("no such file");
  });
});

testWith(
  "redis",
  "values of the first moment of 1970, which no stream takes, are left out",
  async () => {
    const { server } = await use(pcp6);
    const base = join(folder, "early");
    makeArchive(base, {
      start: { sec: 0, nsec: 0 },
      metadata: [desc("early.metric", "100.0.1")],
      results: [0, 1, 2].map((sec) => ({
        time: { sec, nsec: 0 },
        sets: [["100.0.1", [[-1, 7]]]] as const,
      })),
    });
    const warned: string[] = [];
    const warn = (message: string): unknown => warned.push(message);
    expect((await load(server, "early", {}, { warn })).values).toBe(2);
    expect(warned).toEqual(["values of 1970-01-01 00:00:00 are left out: no stream takes them"]);
  },
);
