// The REST API beside the real pmproxy: both on one pmcd with the kernel's metrics, the same requests on
// kept-alive connections, in turn. Where a request is for a context, each connection has one of its
// own: the real one dies when several fetch on one. Prints through `show`; asserts nothing but that
// replies are good ones.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { startPmcd6 } from "../helpers/pcp6.ts";
import { freePort, isListening, waitUntil } from "../helpers/ports.ts";
import { type Daemon, must, privateFolder, startDaemon } from "../helpers/process.ts";

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
  /** Path and query; `{context}` is a context of the connection, `{host}` the host specification. */
  readonly path: string;
  /** Another path for the real one. */
  readonly real?: string;
  /** The real one opens a connection to pmcd for each request: it needs a rest to close them. */
  readonly hasRest?: boolean;
  readonly clients: readonly number[];
}

const CONTEXT = "context={context}";
/** Short, so that the contexts of the real one go before pmcd runs out of descriptors. */
const HOST = "hostspec={host}&polltimeout=0.5";
const REST_MS = 3_000;
const CLIENTS = [1, 16, 64];

const cases = (fifty: string): readonly RestCase[] => [
  { name: "fetch of 1 metric", path: `/pmapi/fetch?${CONTEXT}&names=kernel.all.load`, clients: CLIENTS },
  { name: "fetch of 50 metrics", path: `/pmapi/fetch?${CONTEXT}&names=${fifty}`, clients: CLIENTS },
  {
    name: "fetch without a context",
    path: `/pmapi/fetch?${HOST}&names=kernel.all.load`,
    hasRest: true,
    clients: CLIENTS,
  },
  { name: "metric?prefix=kernel", path: `/pmapi/metric?${CONTEXT}&prefix=kernel`, clients: CLIENTS },
  {
    name: "/metrics?names=kernel.all, context",
    path: `/metrics?${CONTEXT}&names=kernel.all`,
    clients: CLIENTS,
  },
  {
    name: "/metrics?names=kernel.all, scrape",
    path: `/metrics?${HOST}&names=kernel.all`,
    hasRest: true,
    clients: CLIENTS,
  },
  { name: "/metrics, whole", path: `/metrics?${HOST}`, hasRest: true, clients: CLIENTS },
  { name: "ping", path: "/-/healthy", real: "/series/ping", clients: CLIENTS },
];

const FIGURES = [
  { key: "rate", better: "higher", unit: "/s" },
  { key: "p50_us", better: "lower", unit: "us" },
  { key: "p99_us", better: "lower", unit: "us" },
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
async function fiftyNames(port: number, env: Readonly<Record<string, string>>): Promise<string> {
  const text = await must(["pminfo", "-h", `localhost:${port}`, "mem", "kernel.all", "vfs"], { env });
  return text.trim().split("\n").slice(0, 50).join(",");
}

/** Runs the cases whose names have `only` in them. */
export async function benchRest(options: RestBench): Promise<void> {
  const { rounds, seconds, load, config, subjects } = options;
  const pmcd = await startPmcd6({ agents: ["linux", "sample"], env: { PMCD_RECONNECT_TIMEOUT: "1" } });
  const host = `127.0.0.1:${pmcd.port}`;
  const maker = `/pmapi/context?hostspec=${host}&polltimeout=600`;
  const fifty = await fiftyNames(pmcd.port, { ...process.env, ...pmcd.clientEnv } as Record<string, string>);
  const run = async (one: RestCase, clients: number): Promise<ReadonlyMap<string, Figures[]>> => {
    const samples = new Map<string, Figures[]>(subjects.map(({ name }) => [name, []]));
    const running = new Map<string, { readonly port: number; readonly daemon: Daemon }>();
    /** The proxy, started again when it has died. */
    const portOf = async ({ name, argv }: RestBench["subjects"][number]): Promise<number> => {
      const known = running.get(name);
      if (known !== undefined && (await isListening({ host: "127.0.0.1", port: known.port })))
        return known.port;
      await known?.daemon.stop();
      const folder = privateFolder("bench");
      const port = await freePort();
      writeFileSync(join(folder, "conf"), config);
      const flags = `-f -A -l ${folder}/log -c ${folder}/conf -s ${folder}/socket -i 127.0.0.1 -p ${port}`;
      const daemon = startDaemon([...argv, ...flags.split(" ")], join(folder, "out"));
      if (!(await waitUntil(() => isListening({ host: "127.0.0.1", port }), 10_000)))
        throw new Error(`${name} did not start`);
      running.set(name, { port, daemon });
      return port;
    };
    const measure = async (subject: RestBench["subjects"][number], time: number): Promise<void> => {
      const { name } = subject;
      const port = await portOf(subject);
      const path = name === "pmproxy" ? (one.real ?? one.path) : one.path;
      const target = path.replaceAll("{host}", host);
      const argv = [load, "http", `${port}`, target, `${clients}`, `${time}`, maker];
      const figures = JSON.parse(await must(argv, { timeoutMs: 90_000 })) as Figures;
      if (time === seconds && figures["rate"] !== 0) samples.get(name)?.push(figures);
      if (name === "pmproxy" && one.hasRest === true) await Bun.sleep(REST_MS);
    };
    try {
      for (const subject of subjects) await measure(subject, seconds / 2);
      for (let round = 0; round < rounds; round++)
        for (const subject of round % 2 === 0 ? subjects : subjects.toReversed())
          await measure(subject, seconds);
    } finally {
      for (const { daemon } of running.values()) await daemon.stop();
    }
    return samples;
  };
  try {
    for (const one of cases(fifty)) {
      for (const clients of one.clients) {
        const name = `REST, ${clients} clients, ${one.name}`;
        if (!name.includes(options.only)) continue;
        const samples = await run(one, clients);
        for (const { key, better, unit } of FIGURES) {
          const of = (subject: string) =>
            median((samples.get(subject) ?? []).map((figures) => figures[key] ?? 0));
          const [pcpbox, pmproxy] = [of("pcpbox"), of("pmproxy")];
          if ((key === "errors" || key === "lost") && pcpbox === 0 && pmproxy === 0) continue;
          const ratio = better === "higher" ? pcpbox / pmproxy : pmproxy / pcpbox;
          options.show({ case: name, key, unit, pcpbox, pmproxy, ratio });
        }
      }
    }
  } finally {
    await pmcd.stop();
  }
}
