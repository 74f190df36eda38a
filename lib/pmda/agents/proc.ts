// proc: how many processes there are and what they are doing, PCP's proc.nprocs and proc.runq (the
// single processes that PCP's agent of this name tells about are not there). One pass over /proc for a
// fetch. A process that ends meanwhile is left out; without /proc there are no values.
import { closeSync, openSync, readdirSync, readSync } from "node:fs";
import { join } from "node:path";
import { asPcpError, PM_ERR } from "../../base/mod.ts";
import { PM_SEM, PM_TYPE, unitsWord } from "../../pcp/mod.ts";
import type { AgentFactory, MetricRow } from "../define.ts";

/** What is counted, in the order of the items of cluster 13, with what each counts. */
const STATES = [
  ["runnable", "processes that run or could run"],
  ["blocked", "processes in a sleep that no signal ends"],
  ["sleeping", "processes that sleep"],
  ["stopped", "processes that are stopped or traced"],
  ["swapped", "processes without memory of their own, threads of the kernel among them"],
  ["defunct", "processes that have ended and were not waited for"],
  ["unknown", "processes in a state that is not known"],
  ["kernel", "threads of the kernel, which PCP counts with those without memory"],
] as const;
type State = (typeof STATES)[number][0];
/** The counts of one look, and the number of all. */
export type ProcessCounts = Record<State | "all", number>;

const RUNQ_CLUSTER = 13;
const NPROCS = { cluster: 8, item: 99 } as const;
/** Fields of stat after the name: the state is the first, resident pages the twenty-second. */
const RESIDENT_FIELD = 21;
const STAT_BYTES = 4096;

const STATE_OF: Readonly<Record<string, State>> = {
  R: "runnable",
  D: "blocked",
  S: "sleeping",
  I: "sleeping",
  T: "stopped",
  t: "stopped",
};

/** What one /proc/PID/stat says; undefined for a text that is none. */
export function stateOf(stat: string): State | undefined {
  // The name is in parentheses and may hold any of its own.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [letter = ""] = fields;
  const resident = fields[RESIDENT_FIELD];
  if (resident === undefined || letter.length !== 1) return undefined;
  if (letter === "Z") return "defunct";
  if (resident === "0") return "swapped";
  return STATE_OF[letter] ?? "unknown";
}

const nothing = (): ProcessCounts => ({
  all: 0,
  runnable: 0,
  blocked: 0,
  sleeping: 0,
  stopped: 0,
  swapped: 0,
  defunct: 0,
  unknown: 0,
  kernel: 0,
});

const buffer = Buffer.alloc(STAT_BYTES);

/** The start of a file, undefined for one that is gone or not ours to read. */
function startOf(path: string): string | undefined {
  let fd = -1;
  try {
    fd = openSync(path, "r");
    return buffer.toString("latin1", 0, readSync(fd, buffer, 0, STAT_BYTES, 0));
  } catch (error) {
    if (asPcpError(error).code === PM_ERR.GENERIC) throw error;
    return undefined;
  } finally {
    if (fd >= 0) closeSync(fd);
  }
}

/** Counts the processes below a folder; undefined where there is no such folder. */
export function countProcesses(folder: string): ProcessCounts | undefined {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch (error) {
    if (asPcpError(error).code === PM_ERR.GENERIC) throw error;
    return undefined;
  }
  const counts = nothing();
  for (const name of names) {
    const first = name.charCodeAt(0);
    if (first < 0x31 || first > 0x39) continue;
    counts.all += 1;
    const stat = startOf(join(folder, name, "stat"));
    const state = stat === undefined ? undefined : stateOf(stat);
    if (state !== undefined) counts[state] += 1;
  }
  return counts;
}

/** The agent over /proc, or over PROC_STATSPATH/proc as PCP's. */
export const proc: AgentFactory = ({ env }) => {
  const folder = `${env["PROC_STATSPATH"] ?? ""}/proc`;
  let counts: ProcessCounts | undefined;
  const row = (
    name: string,
    oneline: string,
    rest: Pick<MetricRow, "cluster" | "item" | "type">,
  ) => ({
    name: `proc.${name}`,
    sem: PM_SEM.INSTANT,
    oneline,
    ...rest,
  });
  return {
    name: "proc",
    refresh() {
      counts = countProcesses(folder);
    },
    metrics: [
      {
        ...row("nprocs", "how many processes there are", { ...NPROCS, type: PM_TYPE.U32 }),
        fetch: () => counts?.all,
      },
      ...STATES.map(([state, oneline], item) => ({
        ...row(`runq.${state}`, oneline, { cluster: RUNQ_CLUSTER, item, type: PM_TYPE.I32 }),
        units: unitsWord({ dimCount: 1 }),
        fetch: () => counts?.[state],
      })),
    ],
  };
};
