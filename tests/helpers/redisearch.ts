// A private Redis with the module for text search: what PCP's search commands were made for.
import { join } from "node:path";
import { freePort, isListening, waitUntil } from "./ports.ts";
import { privateFolder, startDaemon } from "./process.ts";

/** The module's file: where Debian's package redis-redisearch puts it, unless PCPBOX_REDISEARCH says. */
export const redisearchModule =
  process.env["PCPBOX_REDISEARCH"] ?? "/usr/lib/redis/modules/redisearch.so";

/** Starts one on 127.0.0.1 that keeps nothing. */
export async function startRedisearch(): Promise<{ port: number; stop(): Promise<void> }> {
  const port = await freePort();
  const folder = privateFolder("redisearch");
  const argv = [
    ["redis-server", "--bind", "127.0.0.1", "--port", String(port), "--dir", folder],
    ["--save", "", "--appendonly", "no", "--loadmodule", redisearchModule, "TIMEOUT", "0"],
  ].flat();
  const log = join(folder, "log");
  const daemon = startDaemon(argv, log);
  const ready = () => isListening({ host: "127.0.0.1", port });
  if (!(await waitUntil(ready, daemon.alive))) {
    await daemon.stop();
    throw new Error(`redis-server with ${redisearchModule} is not ready: see ${log}`);
  }
  return { port, stop: () => daemon.stop() };
}
