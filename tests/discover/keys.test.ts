// Goal: discovery fills a key server as the real pmproxy does, key by key: a recorded run is repeated
// exactly. Nothing is written twice or lost when archives rotate, end, shrink, are damaged or deleted, when
// the key server goes and comes back, and when discovery itself begins again.
import { afterAll, expect, test } from "bun:test";
import { appendFileSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { keySink, type KeySinkOptions } from "../../lib/discover/key-sink.ts";
import { startDiscovery } from "../../lib/discover/discovery.ts";
import type { Discovery, DiscoveryStatus } from "../../lib/discover/types.ts";
import { stringId } from "../../lib/series/ids.ts";
import { type KeyServer, useKeyServer } from "../../lib/series/keys.ts";
import { startRedis } from "../helpers/pcp6.ts";
import { describePeer } from "../helpers/peers.ts";
import { waitUntil } from "../helpers/ports.ts";
import { privateFolder } from "../helpers/process.ts";
import recorded from "../fixtures/series/grow.discovery.json";
import { dumpServer } from "../series/key-dump.ts";

const ARCHIVES = join(import.meta.dir, "../fixtures/series/archives");
const GROW = join(ARCHIVES, "grow");
const FIRST_BYTES = 748;
const folder = privateFolder("discover-keys");
let count = 0;
const newFolder = (): string => {
  const made = join(folder, String(count++));
  mkdirSync(made);
  return made;
};

const closers: (() => Promise<void>)[] = [];
afterAll(async () => {
  for (const close of closers.reverse()) await close();
});

async function use(): Promise<{ server: KeyServer; port: number; stop: () => Promise<void> }> {
  const { port, stop } = await startRedis();
  const server = useKeyServer({ servers: [`127.0.0.1:${port}`], pauses: [50] });
  closers.push(async () => {
    await server.close();
    await stop();
  });
  await server.ready();
  return { server, port, stop };
}

function follow(
  server: KeyServer,
  directory: string,
  options: KeySinkOptions = {},
): { discovery: Discovery; said: string[] } {
  const said: string[] = [];
  const log = (level: string, text: string) => void said.push(`${level}: ${text}`);
  const sink = keySink(server, { ...options, log });
  const discovery = startDiscovery({ directories: [directory], sink, log });
  closers.push(() => discovery.close());
  return { discovery, said };
}

const TIME_LIMIT = 20_000;
const until = async (ready: () => boolean | Promise<boolean>): Promise<void> => {
  expect(await waitUntil(ready, TIME_LIMIT)).toBe(true);
};
const settled = (discovery: Discovery, fits: (archives: DiscoveryStatus["archives"]) => boolean) =>
  until(() => {
    const { archives, pending } = discovery.status();
    return pending === 0 && fits(archives);
  });

/** The recorded run's keys as they are when the archive is in another directory. */
function recordedKeys(path: string): unknown {
  const theirs = "/srv/discover/grow";
  const text = JSON.stringify(recorded.keys)
    .replaceAll(theirs, path)
    .replaceAll(stringId(theirs), stringId(path));
  const keys = JSON.parse(text) as Record<string, { value: unknown; geopos?: unknown }>;
  for (const each of Object.values(keys)) {
    delete each.geopos;
    if (Array.isArray(each.value) && typeof each.value[0] === "string") each.value.sort();
  }
  return keys;
}

describePeer(["pcp6", "redis"], "the recorded run", () => {
  test("an archive that appears and grows: the same keys", async () => {
    const { server } = await use();
    const place = newFolder();
    const { discovery } = follow(server, place, { excludeMetrics: ["proc.*", "edge.u*"] });
    await until(() => discovery.status().complete);
    const volume = readFileSync(`${GROW}.0`);
    copyFileSync(`${GROW}.index`, join(place, "grow.index"));
    writeFileSync(join(place, "grow.0"), volume.subarray(0, FIRST_BYTES));
    copyFileSync(`${GROW}.meta`, join(place, "grow.meta"));
    await settled(discovery, ({ records }) => records === 1);
    appendFileSync(join(place, "grow.0"), volume.subarray(FIRST_BYTES));
    await settled(discovery, ({ records }) => records === 2);
    expect(await dumpServer(server)).toEqual(recordedKeys(join(place, "grow")) as never);
    expect(discovery.status().archives).toMatchObject({ found: 1, failed: 0, growing: 1 });
  });
});
