// Agents and collectors beside PCP's: fetches of metrics of the machine through a pmcd with PCP's agent
// linux, through one with ours, and through our collector with ours in its own process; in turn, so
// that what else the machine does meets all. Prints through `show`; asserts nothing.
import { readFileSync, writeFileSync } from "node:fs";
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

/** Resident memory of a process and its children, in kilobytes. */
function resident(pid: number): number {
  const of = (each: number): number =>
    Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${each}/status`, "utf8"))?.[1] ?? 0);
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ");
  return children
    .filter((each) => each.trim() !== "")
    .map((each) => resident(Number(each)))
    .reduce((all, each) => all + each, of(pid));
}

/** Runs all cases. */
export async function benchAgents({ rounds, seconds, load, pcpbox, show }: AgentBench) {
  const folder = privateFolder("bench-agents");
  const real = await startPmcd6({ agents: ["linux"] });
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
    await waitUntil(() => isListening({ host: "127.0.0.1", port }), 10_000);
    const ours = await metricsOf(port);
    const theirs = await metricsOf(real.port);
    const both = [...ours].filter(([name, pmid]) => theirs.get(name) === pmid);
    // What one looks at often comes first.
    const rank = (name: string): number =>
      ["kernel.all.load", "kernel.all.", "mem.util.", "disk.all.", "network."].findIndex((prefix) =>
        name.startsWith(prefix),
      ) >>> 0;
    both.sort(([a], [b]) => rank(a) - rank(b));
    const subjects = [
      { name: "agent under pmcd", port: own.port },
      { name: "collector", port },
    ];
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
        const rate = async (at: number): Promise<{ rate: number; p99_us: number }> =>
          JSON.parse(
            await must([load, "fetch", String(at), String(clients), String(seconds), list]),
          );
        await rate(real.port);
        for (const subject of subjects) {
          await rate(subject.port);
          const pairs: {
            mine: { rate: number; p99_us: number };
            pmcd: (typeof pairs)[0]["mine"];
          }[] = [];
          for (let round = 0; round < rounds; round++)
            pairs.push({ pmcd: await rate(real.port), mine: await rate(subject.port) });
          const count = Math.min(size, both.length);
          const name = `linux, ${subject.name}, ${count} metric${count === 1 ? "" : "s"}, ${clients} clients`;
          for (const key of ["rate", "p99_us"] as const) {
            const mine = median(pairs.map((pair) => pair.mine[key]));
            const pmcd = median(pairs.map((pair) => pair.pmcd[key]));
            const ratio = key === "rate" ? mine / pmcd : pmcd / mine;
            show({
              case: name,
              key,
              unit: key === "rate" ? "/s" : "us",
              pcpbox: mine,
              pmcd,
              ratio,
            });
          }
        }
      }
    }
    const [mine, pmcd] = [resident(collector.pid) / 1024, resident(real.daemon().pid) / 1024];
    show({
      case: "collector after that",
      key: "memory",
      unit: "MB",
      pcpbox: mine,
      pmcd,
      ratio: pmcd / mine,
    });
  } finally {
    await collector.stop();
    await own.stop();
    await real.stop();
  }
}
