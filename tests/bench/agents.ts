// Agents and collectors beside PCP's: fetches of metrics of the machine through a pmcd with PCP's agent
// linux, as a process behind pipes like PCP installs it, through one with ours, and through our
// collector with ours in its own process; in turn, so that what else the machine does meets all. Beside
// the rate there is the processor time of the programs that answer, which depends less on others.
// Prints through `show`; asserts nothing.
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startPmcd6 } from "../helpers/pcp6.ts";
import { freePort, isListening, waitUntil } from "../helpers/ports.ts";
import { must, privateFolder, startDaemon } from "../helpers/process.ts";

/** One figure of one case; the ratio is above 1 when ours is better. */
export interface AgentRow {
  readonly case: string;
  readonly key: string;
  readonly unit: string;
  readonly pcpbox: number;
  readonly pmcd: number;
  readonly ratio: number;
}

export interface AgentBench {
  readonly rounds: number;
  readonly seconds: number;
  /** The load generator, and pcpbox. */
  readonly load: string;
  readonly pcpbox: string;
  readonly show: (row: AgentRow) => void;
}

/** What one run of the load gives; the processor time of all programs that answer, a fetch. */
interface Figures {
  readonly rate: number;
  readonly p99_us: number;
  readonly cpu_us: number;
}

const FIGURES = [
  ["rate", "/s"],
  ["p99_us", "us"],
  ["cpu_us", "us"],
] as const;

const SIZES = [1, 100, 1000];
const CLIENTS = [1, 16];
const DOMAIN = 60;

const median = (numbers: readonly number[]): number =>
  numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;

/** Identifiers of a host's metrics below some names, as numbers. */
async function metricsOf(port: number): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  const out = await must(["pminfo", "-h", `localhost:${port}`, "-m"]);
  for (const line of out.split("\n")) {
    const [, name, domain, cluster, item] = /^(\S+) PMID: (\d+)\.(\d+)\.(\d+)$/.exec(line) ?? [];
    if (name === undefined || Number(domain) !== DOMAIN) continue;
    found.set(name, Number(domain) * 2 ** 22 + Number(cluster) * 1024 + Number(item));
  }
  return found;
}

/** A process and its children. */
function family(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ");
  return [
    pid,
    ...children.filter((each) => each.trim() !== "").flatMap((each) => family(Number(each))),
  ];
}

const total = (numbers: readonly number[]): number => numbers.reduce((all, each) => all + each, 0);

/** Resident memory of a process and its children, in kilobytes. */
const resident = (pid: number): number =>
  total(
    family(pid).map((each) =>
      Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${each}/status`, "utf8"))?.[1] ?? 0),
    ),
  );

/** Microseconds that a process and its children have run, their threads of now. */
const processorTime = (pid: number): number =>
  total(
    family(pid).flatMap((each) =>
      readdirSync(`/proc/${each}/task`).map((thread) => {
        const path = `/proc/${each}/task/${thread}/schedstat`;
        return existsSync(path) ? Number(readFileSync(path, "utf8").split(" ", 1)[0]) / 1000 : 0;
      }),
    ),
  );

/** Where PCP's agent and its names are installed. */
const THEIRS = "/var/lib/pcp/pmdas/linux/pmdalinux";
const THEIR_NAMES = "/var/lib/pcp/pmns/root_linux";

/** Runs all cases. */
export async function benchAgents({ rounds, seconds, load, pcpbox, show }: AgentBench) {
  const folder = privateFolder("bench-agents");
  const real = await startPmcd6({
    agents: [],
    own: [
      {
        name: "linux",
        domain: DOMAIN,
        line: () => `pipe binary ${THEIRS} -d ${DOMAIN} -l ${folder}/theirs.log`,
        names: readFileSync(THEIR_NAMES, "utf8"),
      },
    ],
  });
  const own = await startPmcd6({
    agents: [],
    own: [
      {
        name: "linux",
        domain: DOMAIN,
        line: () => `pipe binary ${pcpbox} pmda-run linux -d ${DOMAIN} -l ${folder}/agent.log`,
        names: `root { ours ${DOMAIN}:*:* }\n`,
      },
    ],
  });
  const port = await freePort();
  const collector = startDaemon(
    [pcpbox, "pmda-run", "--listen", String(port), "linux", "-s", "none", "--local"],
    join(folder, "collector.log"),
  );
  try {
    await waitUntil(() => isListening({ host: "127.0.0.1", port }));
    const ours = await metricsOf(port);
    const theirs = await metricsOf(real.port);
    const both = [...ours].filter(([name, pmid]) => theirs.get(name) === pmid);
    // What one looks at often comes first.
    const rank = (name: string): number =>
      ["kernel.all.load", "kernel.all.", "mem.util.", "disk.all.", "network."].findIndex((prefix) =>
        name.startsWith(prefix),
      ) >>> 0;
    both.sort(([a], [b]) => rank(a) - rank(b));
    const theirsAt = { port: real.port, pid: real.daemon().pid };
    const subjects = [
      { name: "agent under pmcd", port: own.port, pid: own.daemon().pid },
      { name: "collector", port, pid: collector.pid },
    ];
    const idle = resident(collector.pid);
    for (const size of SIZES) {
      const list = join(folder, `metrics${size}`);
      writeFileSync(
        list,
        both
          .slice(0, size)
          .map(([, pmid]) => pmid)
          .join("\n"),
      );
      for (const clients of CLIENTS) {
        const run = async (at: {
          readonly port: number;
          readonly pid: number;
        }): Promise<Figures> => {
          const before = processorTime(at.pid);
          const { rate, p99_us } = JSON.parse(
            await must([load, "fetch", String(at.port), String(clients), String(seconds), list]),
          );
          return { rate, p99_us, cpu_us: (processorTime(at.pid) - before) / (rate * seconds) };
        };
        await run(theirsAt);
        for (const subject of subjects) {
          await run(subject);
          const pairs: { mine: Figures; pmcd: Figures }[] = [];
          for (let round = 0; round < rounds; round++)
            pairs.push({ pmcd: await run(theirsAt), mine: await run(subject) });
          const count = Math.min(size, both.length);
          const name = `linux, ${subject.name}, ${count} metric${count === 1 ? "" : "s"}, ${clients} client${clients === 1 ? "" : "s"}`;
          for (const [key, unit] of FIGURES) {
            const mine = median(pairs.map((pair) => pair.mine[key]));
            const pmcd = median(pairs.map((pair) => pair.pmcd[key]));
            const ratio = key === "rate" ? mine / pmcd : pmcd / mine;
            show({ case: name, key, unit, pcpbox: mine, pmcd, ratio });
          }
        }
      }
    }
    const pmcd = resident(real.daemon().pid) / 1024;
    for (const [name, kilobytes] of [
      ["collector before that", idle],
      ["collector after that", resident(collector.pid)],
    ] as const) {
      const mine = kilobytes / 1024;
      show({ case: name, key: "memory", unit: "MB", pcpbox: mine, pmcd, ratio: pmcd / mine });
    }
  } finally {
    await collector.stop();
    await own.stop();
    await real.stop();
  }
}
