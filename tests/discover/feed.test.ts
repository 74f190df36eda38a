// Goal: archives that are fed as bytes give what their files give, however the bytes are cut; damage and an
// absent key server are errors for who feeds, and do no harm; many archives that grow together are followed
// though only some are kept in memory; files that go while they are read end nothing.
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { decodeLabel, labelBytes } from "../../lib/archive/mod.ts";
import { startDiscovery } from "../../lib/discover/discovery.ts";
import { keyFeed } from "../../lib/discover/feed.ts";
import { keySink } from "../../lib/discover/key-sink.ts";
import { type KeyServer, useKeyServer } from "../../lib/keyserver/keys.ts";
import { loadArchive } from "../../lib/keyserver/load.ts";
import { startRedis } from "../helpers/pcp6.ts";
import { describePeer } from "../helpers/peers.ts";
import { waitUntil } from "../helpers/ports.ts";
import { privateFolder } from "../helpers/process.ts";
import { dumpServer } from "../keyserver/key-dump.ts";
import { growingArchive } from "./growing.ts";
import { thrown } from "../helpers/rejected.ts";

// A busy machine takes long.
setDefaultTimeout(300_000);

const ARCHIVES = join(import.meta.dir, "../fixtures/archives/rec");
const folder = privateFolder("discover-feed");
const closers: (() => Promise<void>)[] = [];
afterAll(async () => {
  for (const close of closers.reverse()) await close();
});

async function use(): Promise<{ server: KeyServer; stop: () => Promise<void> }> {
  const { port, stop } = await startRedis();
  const server = useKeyServer({ servers: [`127.0.0.1:${port}`], pauses: [50] });
  closers.push(async () => {
    await server.close();
    await stop();
  });
  await server.ready();
  return { server, stop };
}

function bytesOf(base: string, host?: string) {
  const meta = readFileSync(`${base}.meta`);
  const data = readFileSync(`${base}.0`);
  const label = decodeLabel(data, 0);
  const first = labelBytes(label.version);
  return {
    label: { ...label, ...(host === undefined ? {} : { host }) },
    meta: meta.subarray(first),
    data: data.subarray(first),
  };
}

/** Cuts bytes at some places. */
function* cut(bytes: Uint8Array, places: readonly number[]): Generator<Uint8Array> {
  let from = 0;
  for (const place of [...places].sort((a, b) => a - b)) {
    const to = Math.floor(place * bytes.length);
    yield bytes.subarray(from, to);
    from = to;
  }
  yield bytes.subarray(from);
}

const STREAM = "pcp:values:series:";

describePeer(["redis"], "a feed", () => {
  test.each(["v3-dyn-721", "v2-dyn", "v3-types"])(
    "%s: all its values, however it is cut",
    async (name) => {
      const base = join(ARCHIVES, name);
      const { label, meta, data } = bytesOf(base);
      const whole = await use();
      await loadArchive(
        whole.server,
        { path: base, metrics: [] },
        { now: { sec: 4_000_000_000, nsec: 0 } },
      );
      const expected = Object.values(await dumpServer(whole.server)).filter(
        ({ type }) => type === "stream",
      ).length;
      const { server } = await use();
      let run = 0;
      const places = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 4 });
      await fc.assert(
        fc.asyncProperty(places, places, async (metaCuts, dataCuts) => {
          await server.run([["FLUSHALL"]]);
          const stream = keyFeed(server).open({ name: `host/${run++}`, label });
          for (const piece of cut(meta, metaCuts)) await stream.meta(piece);
          for (const piece of cut(data, dataCuts)) await stream.data(piece);
          await stream.close();
          const keys = await dumpServer(server);
          const streams = Object.keys(keys).filter((key) => key.startsWith(STREAM));
          expect(streams).toHaveLength(expected);
        }),
        { numRuns: 5, seed: 7 },
      );
    },
  );

  test("damage is refused, and all that follows", async () => {
    const { server } = await use();
    const { label, meta, data } = bytesOf(join(ARCHIVES, "v3-dyn-721"));
    const stream = keyFeed(server).open({ name: "host/a", label });
    await stream.meta(meta);
    expect(await thrown(stream.data(Buffer.alloc(16, 0xff)))).toThrow("host/a, offset 0");
    expect(await thrown(stream.data(data))).toThrow("host/a, offset 0");
    const long = keyFeed(server).open({ name: "host/b", label });
    expect(await thrown(long.meta(Buffer.from([0x7f, 0xff, 0xff, 0xff])))).toThrow("length");
  });

  test("what is kept of all archives together is bounded", async () => {
    const { server } = await use();
    const { label, meta } = bytesOf(join(ARCHIVES, "v3-labels"));
    const feed = keyFeed(server, { heldBytes: 2 * meta.length });
    const open = (name: string) => feed.open({ name, label });
    const [first, second, third] = [open("h/a"), open("h/b"), open("h/c")];
    await first.meta(meta);
    await second.meta(meta);
    expect(await thrown(third.meta(meta))).toThrow("are to be kept");
    // Its beginning is lost: what follows has no meaning.
    expect(await thrown(third.meta(meta.subarray(0, 12)))).toThrow("are to be kept");
    await third.close();
    await second.close();
    const fourth = open("h/d");
    await fourth.meta(meta);
    // The beginning of a record counts as well.
    const long = new Uint8Array(2 * meta.length);
    new DataView(long.buffer).setInt32(0, 1 << 20);
    expect(await thrown(fourth.data(long))).toThrow("are to be kept");
    await first.close();
    await fourth.close();
    await open("h/e").meta(meta);
  });

  test("without the key server nothing is taken; with it metadata are written again", async () => {
    const used = await use();
    const { server } = used;
    const { label, meta, data } = bytesOf(join(ARCHIVES, "v3-dyn-721"));
    const stream = keyFeed(server).open({ name: "host/a", label });
    await stream.meta(meta);
    const before = Object.keys(await dumpServer(server)).length;
    expect(before).toBeGreaterThan(0);
    await server
      .run([["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no"]])
      .catch((error: Error) => {
        expect(error.message).toContain("connection");
      });
    expect(await waitUntil(() => server.state.kind === "up" && server.generation > 1)).toBe(true);
    await server.run([["FLUSHALL"]]);
    await stream.data(data);
    const keys = Object.keys(await dumpServer(server));
    expect(keys.some((key) => key.startsWith("pcp:desc:series:"))).toBe(true);
    expect(keys.some((key) => key.startsWith("pcp:source:context.name:"))).toBe(true);
    await used.stop();
    expect(await waitUntil(() => server.state.kind === "down")).toBe(true);
    expect(await thrown(stream.data(data))).toThrow("no connection to the key server");
  });
});

describePeer(["redis"], "many archives", () => {
  const COUNT = 60;
  const begin = async (name: string) => {
    const { server } = await use();
    const place = join(folder, name);
    mkdirSync(place);
    const all = Array.from({ length: COUNT }, (_, at) =>
      growingArchive(join(place, `a${at}`), `host${at}.example`),
    );
    return { server, all, place };
  };
  const entries = async (server: KeyServer): Promise<number> => {
    const keys = await dumpServer(server);
    return Object.values(keys)
      .filter(({ type }) => type === "stream")
      .reduce((sum, { value }) => sum + (value as unknown[]).length, 0);
  };

  test("all are followed, though few are kept in memory; no file stays open", async () => {
    const { server, all, place } = await begin("few");
    const before = readdirSync("/proc/self/fd").length;
    const sink = keySink(server, { mostOpen: 16 });
    const discovery = startDiscovery({ directories: [place], sink, leastPause: 50 });
    closers.push(() => discovery.close());
    expect(await waitUntil(() => discovery.status().complete)).toBe(true);
    for (let second = 0; second < 3; second++) {
      for (const each of all) each.append(second);
      // A look that took long is followed by a rest ten times as long.
      expect(await waitUntil(async () => (await entries(server)) === COUNT * (second + 1))).toBe(
        true,
      );
    }
    expect(discovery.status().archives).toMatchObject({ found: COUNT, failed: 0, growing: COUNT });
    expect(readdirSync("/proc/self/fd").length).toBeLessThan(before + COUNT);
  }, 400_000);

  test("files that go while they are read end nothing", async () => {
    const { server, all, place } = await begin("going");
    const sink = keySink(server, { catchUpSeconds: 1e9 });
    const discovery = startDiscovery({ directories: [place], sink, leastPause: 0 });
    closers.push(() => discovery.close());
    expect(await waitUntil(() => discovery.status().complete)).toBe(true);
    for (const [at, each] of all.entries()) {
      for (let second = 0; second < 50; second++) each.append(second);
      if (at % 3 === 0) {
        rmSync(`${each.base}.0`);
        rmSync(`${each.base}.meta`);
      }
      if (at % 10 === 0) await Bun.sleep(5);
    }
    const left = all.filter((_, at) => at % 3 !== 0).length;
    const done = () => {
      const { archives, pending } = discovery.status();
      return pending === 0 && archives.found === left && archives.failed === 0;
    };
    expect(await waitUntil(done)).toBe(true);
    expect(await waitUntil(async () => (await entries(server)) >= left * 50)).toBe(true);
  }, 400_000);
});
