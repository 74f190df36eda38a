// Goal: for comparisons by HTTP: the real pmproxy of PCP 7 and our requests about series over one key server,
// which has two archives.
import { keyStore, useKeyServer } from "../../lib/keyserver/mod.ts";
import type { SeriesStore } from "../../lib/series/mod.ts";
import { startPmproxy7, startValkey } from "../helpers/pcp7.ts";
import { waitUntil } from "../helpers/ports.ts";
import { fillServer } from "../keyserver/key-dump.ts";
import { TWO_ARCHIVES } from "../series/recorded-lines.ts";
import { type Changes, serverWith, stopAll } from "../server/support.ts";
import { apiOver, serviceOf } from "./series-support.ts";

/** What they need. */
export const BESIDE_PEERS = ["pcp7", "valkey", "root"] as const;

/** Both, by their ports. */
export interface Beside {
  readonly real: number;
  readonly ours: number;
  readonly store: SeriesStore;
  stop(): Promise<void>;
}

/** Starts both; `changes` are those of our settings. */
export async function startBeside(changes: Changes = {}): Promise<Beside> {
  const keys = await startValkey();
  const server = useKeyServer({ servers: [`127.0.0.1:${keys.port}`] });
  await server.ready();
  await fillServer(server, TWO_ARCHIVES);
  const proxy = await startPmproxy7({ keyServerPort: keys.port });
  const store = keyStore(server);
  const api = apiOver(serviceOf(store), { quoting: "pcp" });
  const { port: ours } = await serverWith(changes, [], { api });
  const ready = `http://127.0.0.1:${proxy.port}/series/query?expr=disk.all.read`;
  await waitUntil(async () => (await fetch(ready, { keepalive: false })).ok);
  return {
    real: proxy.port,
    ours,
    store,
    async stop() {
      await stopAll();
      await proxy.stop();
      await server.close();
      await keys.stop();
    },
  };
}
