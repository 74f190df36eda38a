// sample: the agent that PCP's own tests are made with, with every metric that PCP 7.2's has (spec
// pmda.md 18.4): this file puts its parts together. Values, instances, labels and stores are those of
// PCP's agent; help texts are our own.
import { PcpError, PM_ERR } from "../../../base/mod.ts";
import { asIndom, indomBuild, indomSerial, PM_INDOM_NULL } from "../../../pcp/mod.ts";
import type {
  AgentDefinition,
  AgentSetting,
  AgentTables,
  IndomRow,
  MetricRow,
} from "../../define.ts";
import { AGENT_FEATURE } from "../../types.ts";
import { ghosts, processes } from "./beings.ts";
import { type Behaviours, fineClock, type Part, randomNumbers, type World } from "./behaviour.ts";
import { contexts } from "./contexts.ts";
import { control, errors, meta, type MetaDesc, silence } from "./control.ts";
import { dodgey, dynamic, family, sawTooth, scramble, sizes } from "./domains.ts";
import { events } from "./events.ts";
import { DOMAIN_TEXTS, helpOf } from "./help.ts";
import { DYNAMIC_ROOTS, dynamicNames, secrets } from "./names.ts";
import { numbers } from "./numbers.ts";
import { shapes } from "./shapes.ts";
import { type Fact, FACTS } from "./table.ts";

/** dynamic.meta.metric. */
const META = 86;

function metricRow(fact: Fact, behaviours: Behaviours): MetricRow {
  const { item, names, type, indom, sem, units, oneline } = fact;
  const row: MetricRow = {
    name: names.map((name) => `sample.${name}`),
    cluster: 0,
    item,
    type,
    indom,
    sem,
    units,
    oneline,
    help: helpOf(item) ?? "",
  };
  // Behaviours may have properties that are worked out anew each time: these stay so.
  return Object.defineProperties(row, Object.getOwnPropertyDescriptors(behaviours[item] ?? {}));
}

/** The description that clients have written for one metric. */
function rewritten(row: MetricRow, desc: Readonly<MetaDesc>): MetricRow {
  const { type, sem, units } = desc;
  const indom = desc.indom === PM_INDOM_NULL ? undefined : indomSerial(asIndom(desc.indom));
  return { ...row, type, sem, units, indom };
}

/** The agent sample. */
export function sample(setting: AgentSetting): AgentDefinition {
  const { domain, env, log } = setting;
  const clock = fineClock();
  let time = clock();
  const world: World = { domain, env, start: time, now: () => time, random: randomNumbers() };
  const clients = contexts();
  const ghostly = ghosts();
  const quiet = silence(setting.ready);
  let rows: readonly MetricRow[] = [];
  let indoms: readonly IndomRow[] = [];

  const tables = (desc: Readonly<MetaDesc>): AgentTables => ({
    metrics: rows.map((row) => (row.item === META ? rewritten(row, desc) : row)),
    indoms,
  });
  const written = meta((desc) => {
    const known = indoms.some(({ serial }) => indomBuild(domain, serial) === desc.indom);
    if (!known && desc.indom !== PM_INDOM_NULL)
      throw new PcpError(PM_ERR.BADSTORE, `no instance domain ${desc.indom}`);
    setting.redefine(tables(desc));
  });
  const basics = numbers(world);
  const parts: readonly Part[] = [
    basics,
    shapes(world),
    sawTooth(world),
    dodgey(world),
    dynamic(world, (text) => log("Error", text)),
    sizes(),
    scramble(basics.behaviours[121]),
    family(world),
    processes(world),
    ghostly,
    events(world),
    clients,
    written,
    quiet,
    errors(),
    secrets,
    control(() => setting.end?.()),
  ];
  const behaviours: Behaviours = Object.assign({}, ...parts.map((part) => part.behaviours));
  rows = FACTS.map((fact) => metricRow(fact, behaviours));
  indoms = parts
    .flatMap((part) => part.indoms ?? [])
    .map((row) => {
      const [oneline, help] = DOMAIN_TEXTS[row.serial] ?? [];
      return { ...row, oneline, help };
    });

  return {
    name: "sample",
    features: AGENT_FEATURE.AUTH,
    ...tables(written.desc),
    labels: { agent: "sample", role: "testing" },
    clusterLabels: (cluster) => (cluster === 0 ? { cluster: "zero" } : undefined),
    names: dynamicNames(domain, ghostly.visible),
    dynamicRoots: DYNAMIC_ROOTS,
    check(by) {
      if (by !== undefined) clients.count(by);
      quiet.check();
    },
    refresh(wanted) {
      time = clock();
      const items = new Set(wanted.map(({ item }) => item));
      for (const part of parts) part.refresh?.((item) => items.has(item));
    },
    refreshInstances(serial) {
      time = clock();
      for (const part of parts) part.refreshInstances?.(serial);
    },
    contextClosed: (context) => clients.closed(context),
    close: () => quiet.close(),
  };
}
