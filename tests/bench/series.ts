// Time series beside the real programs, in turn, with one Redis: loading by `pmseries --load` and by `pcpbox
// proxy --load`, and queries through HTTP by pmproxy and by pcpbox, over the key server and over the
// archives themselves. Then how long it takes from archives that nobody has seen to a first correct
// answer, and how much memory that needs; the real programs have nothing to compare with. Asserts
// nothing but that answers are right.
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { PM_TYPE } from "../../lib/pcp/mod.ts";
import { type Proxy, startProxyProgram } from "../helpers/pcp.ts";
import { pcp6, startPmproxy6, startRedis } from "../helpers/pcp6.ts";
import { must, privateFolder } from "../helpers/process.ts";
import { makeRepeated, makeSeconds, START } from "./archive-make.ts";
import type { RestRow } from "./rest.ts";

export interface SeriesBench {
  readonly rounds: number;
  readonly seconds: number;
  /** Megabytes of the archives that nobody has seen. */
  readonly size: number;
  /** The load generator, and our program. */
  readonly load: string;
  readonly program: string;
  readonly show: (row: RestRow) => void;
  /** Tells a figure that has nothing beside it. */
  readonly tell: (line: string) => void;
}

/** The archive of queries: so many series with so many samples each. */
const SERIES = 1000;
const SAMPLES = 1000;
/** Series of the query between one and all. */
const SOME = 100;
const READY_MS = 60_000;
/** Archives that nobody has seen, and what is in a record of them. */
const UNSEEN_ARCHIVES = 10;
const UNSEEN = { metrics: 200, inRecord: 100, instances: 4, type: PM_TYPE.U64 } as const;

const OURS = `[pmproxy]
pcp.enabled = true
http.enabled = true
[pmsearch]
enabled = false
[pmlogger]
enabled = false
[record]
enabled = false
`;
const keysConf = (port: number): string => `${OURS}[keys]
servers = 127.0.0.1:${port}
[pmseries]
enabled = true
[discover]
enabled = false
`;
const embeddedConf = (folder: string): string => `${OURS}[pmseries]
store = embedded
catalogue = ${join(folder, "catalogue.sqlite")}
[discover]
path = ${join(folder, "archives")}
`;

const median = (numbers: readonly number[]): number => {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
};

const startOurs = (program: string, conf: string): Promise<Proxy> =>
  startProxyProgram(pcp6, (argv) => [program, "proxy", ...argv], { conf });

async function get({ port }: Proxy, path: string): Promise<string> {
  const reply = await fetch(`http://127.0.0.1:${port}${path}`);
  const text = await reply.text();
  if (reply.status !== 200) throw new Error(`${path}: ${reply.status} ${text.slice(0, 200)}`);
  return text;
}

/** Milliseconds of an answer to its last byte, and how many bytes it has. */
async function timed({ port }: Proxy, path: string): Promise<{ ms: number; bytes: number }> {
  const start = performance.now();
  const reply = await fetch(`http://127.0.0.1:${port}${path}`);
  let bytes = 0;
  for await (const piece of reply.body ?? []) bytes += piece.length;
  return { ms: performance.now() - start, bytes };
}

const elapsed = async (work: () => Promise<unknown>): Promise<number> => {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
};

/** Loads archives by both programs into an empty server. */
async function benchLoad({ rounds, program, show }: SeriesBench): Promise<void> {
  const folder = privateFolder("bench-load");
  const redis = await startRedis();
  const shapes = [
    { name: "8 instances a metric", seconds: 2000, metrics: 50, instances: 8 },
    { name: "one value a metric", seconds: 8000, metrics: 50, instances: 1 },
  ];
  const port = String(redis.port);
  for (const { name, seconds, metrics, instances } of shapes) {
    const base = join(folder, `load-${instances}`);
    makeSeconds(base, seconds, metrics, instances);
    const values = seconds * metrics * instances;
    const ways = {
      pmproxy: ["pmseries", "-h", "127.0.0.1", "-p", port, "--load", base],
      pcpbox: [program, "proxy", "-h", "127.0.0.1", "-r", port, "--load", base],
    };
    const rates: Record<keyof typeof ways, number[]> = { pmproxy: [], pcpbox: [] };
    for (let round = 0; round < rounds; round++)
      for (const which of ["pcpbox", "pmproxy"] as const) {
        await must(["redis-cli", "-p", port, "FLUSHALL"]);
        const took = await elapsed(() => must(ways[which], { timeoutMs: 120_000 }));
        const streams = await must(["redis-cli", "-p", port, "EVAL", COUNT, "0"]);
        if (Number(streams) !== metrics * Math.min(seconds, 8640))
          throw new Error(`${which} loaded ${streams.trim()} samples`);
        rates[which].push(values / took);
      }
    const [pcpbox, pmproxy] = [median(rates.pcpbox), median(rates.pmproxy)];
    const ratio = pcpbox / pmproxy;
    show({ case: `load, ${name}`, key: "values", unit: "/s", pcpbox, pmproxy, ratio });
  }
  await redis.stop();
}

/** Samples in all streams; MAXLEN ~ leaves some more than it says, so that archives here are shorter. */
const COUNT = `local n = 0
for _, k in ipairs(redis.call('KEYS', 'pcp:values:series:*')) do n = n + redis.call('XLEN', k) end
return n`;

interface Question {
  readonly name: string;
  readonly path: string;
  /** Whole answers are timed, instead of as many as there can be in a time. */
  readonly isLarge?: boolean;
}

/** Questions about the series of the archive. */
async function questions(proxy: Proxy): Promise<readonly Question[]> {
  const ids = JSON.parse(await get(proxy, "/series/query?expr=bench.*")) as string[];
  if (ids.length !== SERIES) throw new Error(`${ids.length} series`);
  const names = JSON.parse(await get(proxy, `/series/metrics?series=${ids[0]}`)) as [
    { name: string },
  ];
  const [{ name }] = names;
  const query = (expression: string): string => `/series/query?expr=${expression}`;
  const some = ids.slice(0, SOME).join(",");
  return [
    { name: "query", path: query(name) },
    { name: "glob query", path: query("bench.group1*") },
    { name: "query, 10 samples", path: query(`${name}[count:10]`) },
    { name: "query, 100 samples", path: query(`${name}[count:100]`) },
    { name: `query, ${SAMPLES} samples`, path: query(`${name}[count:${SAMPLES}]`) },
    { name: "instances", path: `/series/instances?series=${ids[0]}` },
    { name: "descs", path: `/series/descs?series=${ids[0]}` },
    { name: "labels", path: `/series/labels?series=${ids[0]}` },
    {
      name: `${SOME} series, ${SAMPLES} samples`,
      path: `/series/values?series=${some}&samples=${SAMPLES}`,
      isLarge: true,
    },
    {
      name: `${SERIES} series, ${SAMPLES} samples`,
      path: query(`bench.*[count:${SAMPLES}]`),
      isLarge: true,
    },
  ];
}

/** One figure of a question: answers a second, or milliseconds of one. */
async function figure(
  { load, seconds }: SeriesBench,
  proxy: Proxy,
  { path, isLarge }: Question,
): Promise<number> {
  if (isLarge === true) return (await timed(proxy, path)).ms;
  const argv = [load, "http", String(proxy.port), path, "1", String(seconds)];
  const figures = JSON.parse(await must(argv)) as Readonly<Record<string, number>>;
  if (figures.errors !== 0) throw new Error(`${path}: ${figures.errors} errors`);
  return figures.rate ?? 0;
}

/** Waits until a proxy knows the series of the archive. */
async function waitForSeries(proxy: Proxy): Promise<void> {
  const end = performance.now() + READY_MS;
  while (performance.now() < end) {
    const ids = await get(proxy, "/series/query?expr=bench.*").catch(String);
    if (ids.split(",").length === SERIES) return;
    await Bun.sleep(100);
  }
  throw new Error("the archive is not known");
}

async function benchQueries(bench: SeriesBench): Promise<void> {
  const folder = privateFolder("bench-query");
  mkdirSync(join(folder, "archives"));
  const base = join(folder, "archives", "query");
  makeSeconds(base, SAMPLES, SERIES, 1);
  const redis = await startRedis();
  const port = String(redis.port);
  await must([bench.program, "proxy", "-h", "127.0.0.1", "-r", port, "--load", base]);
  const proxies = {
    real: await startPmproxy6({ keyServerPort: redis.port }),
    keys: await startOurs(bench.program, keysConf(redis.port)),
    embedded: await startOurs(bench.program, embeddedConf(folder)),
  };
  for (const proxy of Object.values(proxies)) await waitForSeries(proxy);
  for (const question of await questions(proxies.keys)) {
    const { name, path, isLarge = false } = question;
    await checkAnswers(Object.values(proxies), path);
    const found: Record<keyof typeof proxies, number[]> = { real: [], keys: [], embedded: [] };
    for (let round = 0; round < bench.rounds; round++)
      for (const which of ["keys", "real", "embedded"] as const)
        found[which].push(await figure(bench, proxies[which], question));
    const pmproxy = median(found.real);
    for (const which of ["keys", "embedded"] as const) {
      const pcpbox = median(found[which]);
      const ratio = isLarge ? pmproxy / pcpbox : pcpbox / pmproxy;
      const [key, unit] = isLarge ? ["answer", "ms"] : ["rate", "/s"];
      bench.show({ case: `${which}, ${name}`, key, unit, pcpbox, pmproxy, ratio });
    }
  }
  await Promise.all(Object.values(proxies).map((proxy) => proxy.stop()));
  await redis.stop();
}

/** All give the same answer, but for the order of identifiers. */
async function checkAnswers(proxies: readonly Proxy[], path: string): Promise<void> {
  const sizes = await Promise.all(proxies.map(async (proxy) => (await timed(proxy, path)).bytes));
  if (new Set(sizes).size !== 1) throw new Error(`${path}: answers of ${sizes.join(", ")} bytes`);
}

/** Most memory that a process had, in bytes. */
const peakOf = (pid: number): number =>
  Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) * 1024;

/** Archives that nobody has seen: how long until the first answer, and with how much memory. */
async function benchUnseen({ program, size, tell }: SeriesBench): Promise<void> {
  const folder = privateFolder("bench-unseen");
  mkdirSync(join(folder, "archives"));
  const bytes = (size * 1e6) / UNSEEN_ARCHIVES;
  for (let archive = 0; archive < UNSEEN_ARCHIVES; archive++)
    makeRepeated(join(folder, "archives", `host.${archive}`), {
      ...UNSEEN,
      bytes,
      from: archive * 1e9,
      every: 1000,
    });
  const start = performance.now();
  const proxy = await startOurs(program, embeddedConf(folder));
  const path = "/series/query?expr=bench.*[count:1]";
  let answer = "[]";
  while (performance.now() - start < READY_MS) {
    answer = await get(proxy, path).catch(String);
    // The latest sample is in the last archive.
    if (isLatest(answer)) break;
    await Bun.sleep(20);
  }
  const seconds = (performance.now() - start) / 1000;
  const peak = peakOf(proxy.daemon.pid) / 1e6;
  await proxy.stop();
  rmSync(folder, { recursive: true });
  if (!isLatest(answer)) throw new Error(`no answer: ${answer.slice(0, 200)}`);
  tell(
    `${size} MB of ${UNSEEN_ARCHIVES} archives never seen: first correct answer, of ${UNSEEN.inRecord} ` +
      `series, after ${seconds.toFixed(2)} s; at most ${peak.toFixed(0)} MB of memory`,
  );
}

function isLatest(answer: string): boolean {
  const last = START * 1000 + (UNSEEN_ARCHIVES - 1) * 1e9;
  const times = [...answer.matchAll(/"timestamp":(\d+)/g)].map(([, ms]) => Number(ms));
  return times.length === UNSEEN.inRecord * UNSEEN.instances && times.every((ms) => ms >= last);
}

/** Runs everything; see the head of this file. */
export async function benchSeries(bench: SeriesBench): Promise<void> {
  await benchLoad(bench);
  await benchQueries(bench);
  await benchUnseen(bench);
}
