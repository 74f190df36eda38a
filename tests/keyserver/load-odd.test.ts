// Goal: of instances without names, with several numbers, with names that change, or with labels that come
// late, loading writes what the real pmseries writes, key by key.
import { expect } from "bun:test";
import { cpSync } from "node:fs";
import { basename, join } from "node:path";
import { loadArchive, useKeyServer } from "../../lib/keyserver/mod.ts";
import { pcp7 } from "../helpers/pcp7.ts";
import { startRedis } from "../helpers/pcp6.ts";
import { testWith } from "../helpers/peers.ts";
import { privateFolder, run } from "../helpers/process.ts";
import { dumpServer } from "./key-dump.ts";
import { oddArchives, renamedArchive } from "../series/odd-archives.ts";

const NOW = { sec: 1_900_000_000, nsec: 0 };

async function emptyServer() {
  const redis = await startRedis();
  const server = useKeyServer({ servers: [`127.0.0.1:${redis.port}`] });
  await server.ready();
  const stop = async (): Promise<void> => {
    await server.close();
    await redis.stop();
  };
  return { port: redis.port, server, stop };
}

const folder = privateFolder("odd");
for (const path of [...oddArchives(folder), renamedArchive(folder)])
  testWith(
    ["pcp7", "redis"],
    `${basename(path)}: the keys of the real pmseries`,
    async () => {
      const theirs = await emptyServer();
      const ours = await emptyServer();
      const place = ["-h", "127.0.0.1", "-p", String(theirs.port)];
      const { status } = await run(pcp7.command(["pmseries", ...place, "--load", path]));
      // It tells of each value that no stream takes.
      expect(status).toBe(basename(path) === "early" ? 1 : 0);
      await loadArchive(ours.server, { path, metrics: [] }, { now: NOW });
      const wanted = await dumpServer(theirs.server);
      expect(Object.keys(wanted).length).toBeGreaterThan(15);
      expect(await dumpServer(ours.server)).toEqual(wanted);
      await theirs.stop();
      await ours.stop();
    },
    300_000,
  );

const COMPRESSED = join(import.meta.dir, "../fixtures/archives/comp");
cpSync(COMPRESSED, join(folder, "comp"), { recursive: true });
for (const name of ["bad-gz", "bad-xz"])
  testWith(
    ["pcp7", "redis"],
    `${name}: the message of the real pmseries`,
    async () => {
      const path = join(folder, "comp", name);
      const { port, server, stop } = await emptyServer();
      const place = ["-h", "127.0.0.1", "-p", String(port)];
      const theirs = await run(pcp7.command(["pmseries", ...place, "--load", path]));
      const ours = await loadArchive(server, { path, metrics: [] }, { now: NOW }).then(
        () => "loaded",
        (error: unknown) => (error instanceof Error ? error.message : ""),
      );
      expect(theirs.stderr).toContain(`pmseries: [Error] ${ours}\n`);
      expect(ours).toStartWith("cannot open archive");
      await stop();
    },
    300_000,
  );
