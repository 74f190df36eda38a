// The REST API beside the real pmproxy: both on one pmcd with the kernel's metrics, the same requests on
// kept-alive connections, in turn. Where a request is for a context, each connection has one of its
// own: the real one dies when several fetch on one. Prints through `show`; asserts nothing but that
// replies are good ones.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Pmcd } from "../helpers/pcp.ts";
import { startPmcd6 } from "../helpers/pcp6.ts";
import { freePort, isListening, waitUntil } from "../helpers/ports.ts";
import {
  type Daemon,
  must,
  privateFolder,
  run as runProgram,
  startDaemon,
} from "../helpers/process.ts";

/** One figure of one case: medians, and the ratio, above 1 when ours is better. */
export interface RestRow {
  readonly case: string;
  readonly key: string;
  readonly unit: string;
  readonly pcpbox: number;
  readonly pmproxy: number;
  readonly ratio: number;
}

export interface RestBench {
  readonly rounds: number;
  readonly seconds: number;
  /** Part of the names of the cases that are wanted. */
  readonly only: string;
  /** The load generator, and what starts each proxy in the foreground. */
  readonly load: string;
  readonly subjects: readonly { readonly name: string; readonly argv: readonly string[] }[];
  readonly config: string;
  readonly show: (row: RestRow) => void;
}

interface RestCase {
  readonly name: string;
  /**
   * Path and query; `{context}` is a context of the connection, `{host}` the host specification,
   * `{fifty}` the names of 50 metrics.
   */
  readonly path: string;
  /** Another path for the real one. */
  readonly real?: string;
  /** The real one opens a connection to pmcd for each request: it needs a rest to close them. */
  readonly hasRest?: boolean;
}

const CONTEXT = "context={context}";
/** Short, so that the contexts of the real one go before pmcd runs out of descriptors. */
const HOST = "hostspec={host}&polltimeout=0.5";
const REST_MS = 3_000;
const CLIENTS = [1, 16, 64];
/** A daemon is measured as it runs, not as it starts: so many rounds go before. */
const WARM = 2;

const CASES: readonly RestCase[] = [
  { name: "fetch of 1 metric", path: `/pmapi/fetch?${CONTEXT}&names=kernel.all.load` },
  { name: "fetch of 50 metrics", path: `/pmapi/fetch?${CONTEXT}&names={fifty}` },
  {
    name: "fetch without a context",
    path: `/pmapi/fetch?${HOST}&names=kernel.all.load`,
    hasRest: true,
  },
  { name: "metric?prefix=kernel", path: `/pmapi/metric?${CONTEXT}&prefix=kernel` },
  { name: "kernel.all, own context", path: `/metrics?${CONTEXT}&names=kernel.all` },
  { name: "kernel.all, scrape", path: `/metrics?${HOST}&names=kernel.all`, hasRest: true },
  { name: "whole /metrics", path: `/metrics?${HOST}`, hasRest: true },
  { name: "ping", path: "/-/healthy", real: "/series/ping" },
];

const FIGURES = [
  { key: "rate", better: "higher", unit: "/s" },
  { key: "p50_us", better: "lower", unit: "us" },
  { key: "p99_us", better: "lower", unit: "us" },
  { key: "cpu_us", better: "lower", unit: "us" },
  { key: "errors", better: "lower", unit: "" },
  // It has died, or closed a connection.
  { key: "lost", better: "lower", unit: "" },
] as const;

type Figures = Readonly<Record<string, number>>;

const median = (numbers: readonly number[]): number => {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
};

/** Names of 50 metrics of the kernel that have values. */
async function fiftyNames({ port, clientEnv }: Pmcd): Promise<string> {
  const argv = ["pminfo", "-h", `localhost:${port}`, "mem", "kernel.all", "vfs"];
  const text = await must(argv, { env: clientEnv });
  return text.trim().split("\n").slice(0, 50).join(",");
}

type Subject = RestBench["subjects"][number];

/** A proxy under load; started again when it has died. */
interface Running {
  port(): Promise<number>;
  /** Processor time so far, microseconds; that of those that died is lost. */
  cpu(): number;
  stop(): Promise<void>;
}

function keepRunning({ name, argv }: Subject, config: string): Running {
  let now: { readonly port: number; readonly daemon: Daemon } | undefined;
  return {
    async port() {
      if (now !== undefined && (await isListening({ host: "127.0.0.1", port: now.port })))
        return now.port;
      await now?.daemon.stop();
      const folder = privateFolder("bench");
      const port = await freePort();
      writeFileSync(join(folder, "conf"), config);
      const places = `-l ${folder}/log -c ${folder}/conf -s ${folder}/socket`;
      const flags = `-f -A ${places} -i 127.0.0.1 -p ${port}`.split(" ");
      const daemon = startDaemon([...argv, ...flags], join(folder, "out"));
      now = { port, daemon };
      if (!(await waitUntil(() => isListening({ host: "127.0.0.1", port }))))
        throw new Error(`${name} did not start`);
      return port;
    },
    cpu() {
      if (now === undefined) return 0;
      const [, rest = ""] = readFileSync(`/proc/${now.daemon.pid}/stat`, "utf8").split(") ");
      const fields = rest.split(" ");
      // Clock ticks of 10 ms.
      return (Number(fields[11]) + Number(fields[12])) * 10_000;
    },
    stop: async () => now?.daemon.stop(),
  };
}

/** What each subject did in each round of a case, both on one fresh pmcd. */
async function run(
  { rounds, seconds, load, config, subjects }: RestBench,
  one: RestCase,
  clients: number,
): Promise<ReadonlyMap<string, Figures[]>> {
  const pmcd = await startPmcd6({ agents: ["linux", "sample"] });
  const host = `127.0.0.1:${pmcd.port}`;
  const maker = `/pmapi/context?hostspec=${host}&polltimeout=600`;
  const fifty = await fiftyNames(pmcd);
  const samples = new Map<string, Figures[]>(subjects.map(({ name }) => [name, []]));
  const running = subjects.map((subject) => keepRunning(subject, config));
  const measure = async (index: number, time: number, counts: boolean): Promise<void> => {
    const name = subjects[index]?.name ?? "";
    const proxy = running[index];
    if (proxy === undefined) return;
    const path = name === "pmproxy" ? (one.real ?? one.path) : one.path;
    const target = path.replaceAll("{host}", host).replaceAll("{fifty}", fifty);
    const argv = [load, "http", `${await proxy.port()}`, target, `${clients}`, `${time}`, maker];
    const before = proxy.cpu();
    const { status, stdout, stderr } = await runProgram(argv, { timeoutMs: 90_000 });
    // The real one may die before the load has begun: such a round counts for nothing.
    if (status !== 0 && name === "pmproxy") return;
    if (status !== 0) throw new Error(`${argv.join(" ")}: ${stderr}`);
    const figures = JSON.parse(stdout) as Figures;
    const requests = (figures["rate"] ?? 0) * time;
    // What died has used its time, and nobody can ask for it.
    const cpu = figures["lost"] === 0 ? (proxy.cpu() - before) / requests : Number.NaN;
    if (counts && requests > 0) samples.get(name)?.push({ ...figures, cpu_us: cpu });
    if (name === "pmproxy" && one.hasRest === true) await Bun.sleep(REST_MS);
  };
  try {
    for (const index of running.keys()) await measure(index, WARM * seconds, false);
    for (let round = 0; round < rounds; round++) {
      const order = [...running.keys()];
      for (const index of round % 2 === 0 ? order : order.toReversed())
        await measure(index, seconds, true);
    }
  } finally {
    for (const proxy of running) await proxy.stop();
    await pmcd.stop();
  }
  return samples;
}

/** Runs the cases whose names have `only` in them. */
export async function benchRest(options: RestBench): Promise<void> {
  for (const one of CASES) {
    for (const clients of CLIENTS) {
      const name = `REST, ${clients} clients, ${one.name}`;
      if (!name.includes(options.only)) continue;
      const samples = await run(options, one, clients);
      for (const { key, better, unit } of FIGURES) {
        const of = (subject: string): number => {
          const all = (samples.get(subject) ?? []).map((figures) => figures[key] ?? 0);
          return median(all.filter((value) => !Number.isNaN(value)));
        };
        const [pcpbox, pmproxy] = [of("pcpbox"), of("pmproxy")];
        if ((key === "errors" || key === "lost") && pcpbox === 0 && pmproxy === 0) continue;
        const ratio = better === "higher" ? pcpbox / pmproxy : pmproxy / pcpbox;
        options.show({ case: name, key, unit, pcpbox, pmproxy, ratio });
      }
    }
  }
}
