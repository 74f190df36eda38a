// Goal: a fresh machine (no configuration, no pmcd, no logger, no key server) has history as soon as the proxy
// runs: it records, finds its own archives, answers queries about them, and they are whole when it ends.
import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { farFromMidnight } from "../helpers/midnight.ts";
import { freePort, waitUntil } from "../helpers/ports.ts";
import { openArchives, SetCursor } from "../../lib/archive/mod.ts";
import { makeStage } from "./stage.ts";

test("nothing but the program", async () => {
  await farFromMidnight();
  const stage = await makeStage();
  const env = {
    PMCD_PORT: String(await freePort()),
    STATE_DIRECTORY: stage.path("state"),
    PCP_PMSERIES_CATALOGUE: stage.path("state/series.sqlite"),
    PCP_RECORD_ENABLED: "true",
    PCP_RECORD_INTERVAL: "1",
  };
  const port = String(stage.port);
  const daemon = await stage.serve(
    ["-f", "-A", "-p", port, "-l", stage.path("log/log")],
    env,
    "log/log",
  );
  const base = `http://127.0.0.1:${port}`;
  const ask = async (path: string): Promise<string> => (await fetch(base + path)).text();
  let values = "[]";
  await waitUntil(async () => {
    values = await ask("/series/query?expr=kernel.all.load[count:1]");
    return values.includes("value");
  });
  const found = JSON.parse(values) as readonly { readonly value: string }[];
  expect(found.length).toBeGreaterThanOrEqual(3);
  for (const { value } of found) expect(Number(value)).toBeGreaterThanOrEqual(0);
  const folder = join(stage.path("state/archives"), hostname());
  const { record, series } = JSON.parse(await ask("/-/status")) as Readonly<
    Record<string, unknown>
  >;
  expect(record).toMatchObject({ state: "recording", directory: folder });
  expect(series).toMatchObject({ store: "embedded", archives: 1, unreadable: 0 });
  daemon.signal("SIGTERM");
  expect(await daemon.ended).toBe(0);
  const [meta] = readdirSync(folder).filter((name) => name.endsWith(".meta"));
  const cursor = new SetCursor(openArchives(join(folder, meta ?? "")));
  let records = 0;
  while (cursor.next()) records++;
  cursor.close();
  expect(records).toBeGreaterThan(0);
  const asked = await stage.proxy(["--query", "kernel.all.load[count:1]"], env);
  expect(asked).toMatchObject({ status: 0, stderr: "" });
  expect(asked.stdout).toContain("] ");
}, 300_000);
