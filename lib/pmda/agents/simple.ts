// simple: PCP's example of an agent with two instance domains, one fixed and one that a file
// configures (spec pmda.md 18.1). Refuses words of the file that it does not know, with a line in the
// log. Names, texts and reactions are those of PCP's agent.
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { asPcpError, PcpError, PM_ERR } from "../../base/mod.ts";
import { type Atom, type InstanceId, PM_SEM, PM_TYPE, unitsWord } from "../../pcp/mod.ts";
import { createCache, type InstanceCache } from "../cache.ts";
import type { AgentDefinition, AgentSetting, FetchValue, IndomRow, MetricRow } from "../define.ts";

const COLORS = ["red", "green", "blue"] as const;
const COLOR_MAX = 255;
/** First line of the file: no more of it is read. */
const MAX_LINE = 255;

/** The fields of a time of day by their names in the file. */
const FIELDS: Readonly<Record<string, (now: Date) => number>> = {
  sec: (now) => now.getSeconds(),
  min: (now) => now.getMinutes(),
  hour: (now) => now.getHours(),
};

/** Numbers as pmExtractValue gives them to an agent that asks for a signed one. */
const signed = (value: Atom): number => Number(value) | 0;

/** The instances of `now`, from the file each time that it has changed. */
function timeFields({ env, log }: AgentSetting) {
  const path = join(env["PCP_PMDAS_DIR"] ?? "/var/lib/pcp/pmdas", "simple", "simple.conf");
  const cache: InstanceCache = createCache();
  let modified: number | undefined;
  let complained = false;

  const read = (): void => {
    const text = readFileSync(path, "latin1");
    if (text === "") {
      log("Error", `fgets on ${path} found no data`);
      return;
    }
    const [line = ""] = text.split("\n", 1);
    for (const word of line.slice(0, MAX_LINE).split(",")) {
      if (word === "") continue;
      if (Object.hasOwn(FIELDS, word)) cache.add(word);
      else log("Warning", `ignoring "${word}" in ${path}`);
    }
    if (cache.active().length === 0) log("Warning", '"timenow" instance domain is empty');
  };
  const check = (): void => {
    try {
      const { mtimeMs } = statSync(path);
      complained = false;
      if (mtimeMs === modified) return;
      modified = mtimeMs;
      cache.hideAll();
      read();
    } catch (error) {
      modified = undefined;
      cache.hideAll();
      if (!complained) log("Error", `stat failed on ${path}: ${systemText(error)}`);
      complained = true;
    }
  };
  check();
  return { cache, check };
}

/** What the system says about a failed call. */
const systemText = (error: unknown): string => new PcpError(asPcpError(error).code).message;

/** The rows of the three clusters. */
function rows(state: { numfetch: number; readonly colors: number[]; cpu: NodeJS.CpuUsage }) {
  const nextColor = (instance: InstanceId): number => {
    const value = ((state.colors[instance] ?? 0) + 1) % (COLOR_MAX + 1);
    state.colors[instance] = value;
    return value;
  };
  const metrics: readonly MetricRow[] = [
    {
      name: "simple.numfetch",
      cluster: 0,
      item: 0,
      type: PM_TYPE.U32,
      sem: PM_SEM.INSTANT,
      oneline: "Number of pmFetch operations.",
      help: `The cumulative number of pmFetch operations directed to the "simple"
PMDA.

This counter may be modified with pmstore(1).`,
      fetch: () => state.numfetch,
      store(value) {
        state.numfetch = Math.max(signed(value), 0);
        if (signed(value) < 0) throw new PcpError(PM_ERR.BADSTORE);
      },
    },
    {
      name: "simple.color",
      cluster: 0,
      item: 1,
      type: PM_TYPE.I32,
      indom: 0,
      sem: PM_SEM.INSTANT,
      oneline: "Metrics which increment with each fetch",
      help: `This metric has 3 instances, designated "red", "green" and "blue".

The value of the metric is monotonic increasing in the range 0 to
255, then back to 0.  The different instances have different starting
values, namely 0 (red), 100 (green) and 200 (blue).

The metric values my be altered using pmstore(1).`,
      fetch: nextColor,
      store(value, instance) {
        const kept = Math.min(Math.max(signed(value), 0), COLOR_MAX);
        state.colors[instance] = kept;
        if (kept !== signed(value)) throw new PcpError(PM_ERR.BADSTORE);
      },
    },
    ...(["user", "sys"] as const).map((kind, index): MetricRow => ({
      name: `simple.time.${kind}`,
      cluster: 1,
      item: 2 + index,
      type: PM_TYPE.DOUBLE,
      sem: PM_SEM.COUNTER,
      units: unitsWord({ dimTime: 1, scaleTime: 3 }),
      oneline: `Time agent has spent executing ${kind === "user" ? "user" : "system"} code`,
      help:
        kind === "user"
          ? "The time in seconds that the CPU has spent executing user code for the\nagent."
          : "The time in seconds that the CPU has spent executing system code for\nthe agent.",
      fetch: () => (kind === "user" ? state.cpu.user : state.cpu.system) / 1e6,
    })),
  ];
  return metrics;
}

const NOW_HELP = `The value reflects the current time of day through a dynamically
reconfigurable instance domain.  On each metric value fetch request,
the agent checks to see whether the configuration file in
$PCP_PMDAS_DIR/simple/simple.conf has been modified - if it has then
the file is re-parsed and the instance domain for this metric is again
constructed according to its contents.

This configuration file contains a single line of comma-separated time
tokens from this set:
  "sec"  (seconds after the minute),
  "min"  (minutes after the hour),
  "hour" (hour since midnight).

An example configuration file could be:  sec,min,hour
and in this case the simple.now metric would export values
for the three instances "sec", "min" and "hour" corresponding
respectively to the components seconds, minutes and hours of the
current time of day.

The instance domain reflects each token present in the file, and the
values reflect the time at which the PMDA processes the fetch.`;

/** The two instance domains. */
const domains = (cache: InstanceCache): readonly IndomRow[] => [
  {
    serial: 0,
    instances: COLORS.map((name, id) => ({ id, name })),
    oneline: 'Instance domain "colour" for simple PMDA',
    help: 'Universally 3 instances, "red" (0), "green" (1) and "blue" (3).',
    labels: { indom_name: "color", model: "RGB" },
  },
  {
    serial: 1,
    instances: cache,
    oneline: 'Dynamic instance domain "time" for simple PMDA',
    help: `An instance domain which is computed on-the-fly for exporting current time
information.  Refer to the help text for simple.now for a more complete
explanation.`,
    labels: { indom_name: "time", unitsystem: "SI" },
    instanceLabels(instance) {
      const units = cache.byId(instance)?.name;
      return units === undefined ? undefined : { units };
    },
  },
];

/** The agent simple. */
export function simple(setting: AgentSetting): AgentDefinition {
  const { cache, check } = timeFields(setting);
  const state = { numfetch: 0, colors: [0, 100, 200], cpu: process.cpuUsage() };
  let now = new Date();
  const timeOf = (instance: InstanceId): FetchValue => {
    const name = cache.byId(instance)?.name ?? "";
    return FIELDS[name]?.(now) ?? { error: PM_ERR.INST };
  };
  return {
    name: "simple",
    metrics: [
      ...rows(state),
      {
        name: "simple.now",
        cluster: 2,
        item: 4,
        type: PM_TYPE.U32,
        indom: 1,
        sem: PM_SEM.INSTANT,
        oneline: "Time of day with a configurable instance domain",
        help: NOW_HELP,
        fetch: timeOf,
      },
    ],
    indoms: domains(cache),
    labels: { role: "testing" },
    refresh() {
      state.numfetch = (state.numfetch + 1) >>> 0;
      state.cpu = process.cpuUsage();
      now = new Date();
      check();
    },
    refreshInstances: check,
  };
}
