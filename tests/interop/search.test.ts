// Goal: text search meets the real programs over one key server with its search module: what we load, the
// real pmproxy finds, with our answers; what the real pmseries loads is the same index; a server without
// the module and a cluster have no search, and load all the same.
import { afterAll, expect } from "bun:test";
import { cpSync, readdirSync } from "node:fs";
import { join } from "node:path";
import {
  keySearch,
  type KeyServer,
  keyStore,
  loadArchive,
  useKeyServer,
} from "../../lib/keyserver/mod.ts";
import { partsOfReply, textOfReply } from "../../lib/keyserver/schema.ts";
import { runIn, startRealPmproxy } from "../helpers/pcp.ts";
import { pcp6, startRedis } from "../helpers/pcp6.ts";
import { testWith } from "../helpers/peers.ts";
import { privateFolder } from "../helpers/process.ts";
import { startCluster } from "../helpers/redis-cluster.ts";
import { startRedisearch } from "../helpers/redisearch.ts";
import { ask } from "../web/replay.ts";
import { apiOver, serviceOf } from "../web/series-support.ts";
import { thrown } from "../helpers/rejected.ts";

const closers: (() => Promise<void>)[] = [];
afterAll(async () => {
  for (const close of closers.reverse()) await close();
});

const NOW = { sec: 1_900_000_000, nsec: 0 };
const REC = join(import.meta.dir, "../fixtures/archives/rec");
const NAME = "v3-labels";
const OLD = "v2-labels";

/** The archives where programs in their own root see them, too. */
const folder = privateFolder("search");
for (const file of readdirSync(REC))
  if (file.startsWith(`${NAME}.`) || file.startsWith(`${OLD}.`))
    cpSync(join(REC, file), join(folder, file));

async function use(port: number): Promise<KeyServer> {
  const server = useKeyServer({ servers: [`127.0.0.1:${port}`], wantSearch: true });
  closers.push(() => server.close());
  await server.ready();
  return server;
}

async function startSearch(): Promise<number> {
  const { port, stop } = await startRedisearch();
  closers.push(stop);
  return port;
}

const load = (server: KeyServer, name: string) =>
  loadArchive(server, { path: join(folder, name), metrics: [] }, { now: NOW });

const REQUESTS = [
  "/search/text?query=sample",
  "/search/text?query=sample&limit=3&offset=2",
  "/search/text?query=colour%20green&highlight=name,oneline",
  "/search/text?query=instance&type=indom,metric&return=name,oneline,type",
  "/search/text?query=values&field=helptext&highlight=helptext",
  "/search/text?query=nothinglikethis",
  "/search/text?query=",
  "/search/suggest?query=sam",
  "/search/suggest?query=colur&limit=3",
  "/search/suggest?query=zz",
  "/search/indom?query=29.1",
  "/search/indom?query=29.1&limit=2&offset=1",
  "/search/indom?query=1.1",
  "/search/info",
];

const plain = (body: string): string => body.trim().replace(/"elapsed":[\d.]+/, '"elapsed":0');

testWith(["redisearch", "pcp6"], "the real pmproxy answers as we do", async () => {
  const port = await startSearch();
  const server = await use(port);
  await load(server, NAME);
  const proxy = await startRealPmproxy(pcp6, { keyServerPort: port });
  closers.push(() => proxy.stop());
  const api = apiOver(serviceOf(keyStore(server), { search: keySearch(server) }));
  for (const target of REQUESTS) {
    const theirs = await fetch(`http://127.0.0.1:${proxy.port}${target}`);
    const ours = await ask(api, target);
    expect({ target, status: ours?.status, body: plain(ours?.body ?? "") }).toEqual({
      target,
      status: theirs.status,
      body: plain(await theirs.text()),
    });
  }
});

/** All documents of an index, with their fields. */
async function documentsOf(server: KeyServer): Promise<Record<string, unknown>> {
  const every = ["FT.SEARCH", "pcp:text", "@TYPE:{metric|indom|instance}", "WITHPAYLOADS"];
  const [reply] = await server.run([[...every, "LIMIT", "0", "100000"]]);
  const parts = partsOfReply(reply);
  const found: Record<string, unknown> = {};
  for (let at = 1; at < parts.length; at += 3) {
    const fields = partsOfReply(parts[at + 2]).map(textOfReply);
    const pairs: [string, string | undefined][] = [];
    for (let field = 0; field < fields.length; field += 2)
      pairs.push([fields[field] ?? "", fields[field + 1]]);
    const payload = textOfReply(parts[at + 1]);
    found[textOfReply(parts[at]) ?? ""] = { payload, ...Object.fromEntries(pairs) };
  }
  return found;
}

testWith(["redisearch", "pcp6"], "the real pmseries fills the index as we do", async () => {
  const ours = await use(await startSearch());
  const port = await startSearch();
  const theirs = await use(port);
  for (const name of [NAME, OLD]) {
    await load(ours, name);
    const argv = ["pmseries", "-h", "127.0.0.1", "-p", String(port), "--load", join(folder, name)];
    expect((await runIn(pcp6, argv)).stderr).toBe("");
  }
  const documents = await documentsOf(ours);
  expect(Object.keys(documents).length).toBeGreaterThan(20);
  expect(documents).toEqual(await documentsOf(theirs));
});

testWith("redis", "a server without the module", async () => {
  const { port, stop } = await startRedis();
  closers.push(stop);
  const server = await use(port);
  expect(server.hasSearch).toBe(false);
  expect((await load(server, NAME)).values).toBeGreaterThan(0);
  expect(await thrown(keySearch(server).suggest("sam", 3))).toThrow(
    "the key server has no text search",
  );
});

testWith("redis", "a cluster", async () => {
  const cluster = await startCluster();
  closers.push(() => cluster.stopAll());
  const told: string[] = [];
  const server = useKeyServer({
    servers: cluster.servers,
    wantSearch: true,
    warn: (message) => told.push(message),
  });
  closers.push(() => server.close());
  await server.ready();
  expect(server.hasSearch).toBe(false);
  expect(told).toEqual(["disabling search module because it does not support cluster mode"]);
});
