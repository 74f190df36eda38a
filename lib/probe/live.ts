// One look at a live source: what pmcd says of itself, host name, zone, labels, how many metrics
// there are and whose, the agents' state, and what of all that is not as it should be. What a source
// does not tell is left out; one that breaks in between rejects with its PcpError.
import { asPcpError, PM_ERR, type PcpError } from "../base/mod.ts";
import type { Context, LocalContext } from "../context/mod.ts";
import {
  blockType,
  type InstanceId,
  type Label,
  labelsOf,
  now,
  numberAt,
  PM_ID_NULL,
  PM_LABEL,
  PM_TYPE,
  PM_VAL,
  type Pmid,
  pmExtractValue,
  pmidDomain,
  type ResultView,
  secondsBetween,
} from "../pcp/mod.ts";
import { agentComplaint, agentReport, type AgentWords } from "./agents.ts";
import { type FailurePlace, failureOf } from "./hints.ts";
import { localAgentReports } from "./local.ts";
import { plainText } from "./plain.ts";
import type {
  AgentReport,
  Failure,
  LabelReport,
  LiveReport,
  PmcdReport,
  StepReport,
} from "./report.ts";

/** Metrics of pmcd that the look is made of, in the order of the fetch. */
const PMCD_METRICS = [
  "pmcd.version",
  "pmcd.build",
  "pmcd.pid",
  "pmcd.numclients",
  "pmcd.services",
  "pmcd.agent.type",
  "pmcd.agent.status",
  "pmcd.agent.fenced",
] as const;
type PmcdMetric = (typeof PMCD_METRICS)[number];

/** Names that are looked up with one request. */
const BATCH = 1000;
/** A clock that is further off is told. */
const CLOCK_LIMIT_MS = 5000;
/** A certificate that ends sooner is told. */
const CERTIFICATE_DAYS = 30;

/** How the source was opened. */
export interface Opening {
  readonly steps: readonly StepReport[];
  /** Milliseconds until the context was there; null for local contexts. */
  readonly connectMs: number | null;
  /** Names of the features that pmcd offers. */
  readonly features: readonly string[];
}

/** One value set of pmcd's own metrics, read out: an instance's value, or the only one under -1. */
type Values = ReadonlyMap<number, number | string>;

/** What older and smaller sources answer to what they do not have: no complaint. */
const NOT_THERE: readonly number[] = [PM_ERR.NOLABELS, PM_ERR.VALUE, PM_ERR.NAME];

/** Collects what cannot be asked for; a source that broke is thrown on. */
class Asking {
  readonly errors: Failure[] = [];
  constructor(private readonly place: FailurePlace) {}

  async try<T>(work: () => Promise<T>, instead: T): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const failure: PcpError = asPcpError(error);
      if (failure.code === PM_ERR.IPC || failure.code === PM_ERR.TIMEOUT) throw failure;
      if (!NOT_THERE.includes(failure.code)) this.errors.push(failureOf(failure, this.place));
      return instead;
    }
  }
}

function readValues(result: ResultView, pmid: Pmid): Values {
  const values = new Map<number, number | string>();
  const set = result.find(pmid);
  if (set === undefined) return values;
  for (let i = 0; i < set.numval; i++) {
    // A block says its type; what is in situ is a 32-bit number in all of these metrics.
    const isText =
      set.valfmt !== PM_VAL.INSITU && blockType(set.bytes, set.block(i)) === PM_TYPE.STRING;
    values.set(
      set.instance(i),
      isText ? String(pmExtractValue(set, i, PM_TYPE.STRING)) : numberAt(set, i, PM_TYPE.U32),
    );
  }
  return values;
}

interface OwnMetrics {
  readonly values: ReadonlyMap<PmcdMetric, Values>;
  readonly agents: Pmid | undefined;
  readonly fetchMs: number | null;
  readonly clockMs: number | null;
}

/** pmcd's own metrics, as far as it has them: the first fetch. */
async function ownMetrics(context: Context): Promise<OwnMetrics> {
  const { pmids } = await context.lookupNames(PMCD_METRICS);
  const known = PMCD_METRICS.map((name, i) => ({ name, pmid: pmids[i] ?? PM_ID_NULL })).filter(
    ({ pmid }) => pmid !== PM_ID_NULL,
  );
  if (known.length === 0)
    return { values: new Map(), agents: undefined, fetchMs: null, clockMs: null };
  const start = performance.now();
  const { result } = await context.fetch(known.map(({ pmid }) => pmid));
  const fetchMs = performance.now() - start;
  const clockMs = secondsBetween(result.timestamp, now()) * 1000;
  return {
    values: new Map(known.map(({ name, pmid }) => [name, readValues(result, pmid)])),
    agents: known.find(({ name }) => name === "pmcd.agent.status")?.pmid,
    fetchMs,
    clockMs,
  };
}

/** All names; where an agent that makes some of them is not there, those of the others. */
async function allNames(context: Context): Promise<readonly string[]> {
  const below = async (name: string): Promise<readonly string[] | undefined> => {
    try {
      return await context.traverse(name);
    } catch (error) {
      if (asPcpError(error).code !== PM_ERR.NOAGENT) throw error;
      return undefined;
    }
  };
  const all = await below("");
  if (all !== undefined) return all;
  const names: string[] = [];
  for (const name of (await context.children("")).names) names.push(...((await below(name)) ?? []));
  return names;
}

/** How many names each domain serves. */
async function namesByDomain(context: Context): Promise<ReadonlyMap<number, number>> {
  const names = await allNames(context);
  const counts = new Map<number, number>();
  for (let at = 0; at < names.length; at += BATCH) {
    const { pmids } = await context.lookupNames(names.slice(at, at + BATCH));
    for (const pmid of pmids) {
      // A name may go between two requests; derived metrics have a domain of their own.
      const domain = pmid === PM_ID_NULL ? -1 : pmidDomain(pmid);
      counts.set(domain, (counts.get(domain) ?? 0) + 1);
    }
  }
  return counts;
}

async function agentNames(
  context: Context,
  status: Pmid | undefined,
): Promise<ReadonlyMap<number, string>> {
  if (status === undefined) return new Map();
  const { indom } = await context.desc(status);
  const { ids, names } = await context.instances(indom);
  return new Map(ids.map((id: InstanceId, i) => [id, plainText(names[i] ?? "")]));
}

const numberOf = (values: Values | undefined, instance = -1): number | undefined => {
  const value = values?.get(instance);
  return typeof value === "number" ? value : undefined;
};

const textOf = (values: Values | undefined): string | null => {
  const value = values?.get(-1);
  return typeof value === "string" && value !== "" ? plainText(value) : null;
};

function agentsOf(
  own: OwnMetrics,
  names: ReadonlyMap<number, string>,
  counts: ReadonlyMap<number, number>,
): readonly AgentReport[] {
  const { values } = own;
  const words = (domain: number): AgentWords => ({
    domain,
    name: names.get(domain) ?? `domain ${domain}`,
    type: numberOf(values.get("pmcd.agent.type"), domain),
    status: numberOf(values.get("pmcd.agent.status"), domain),
    fenced: numberOf(values.get("pmcd.agent.fenced"), domain),
    metrics: counts.get(domain) ?? 0,
  });
  const domains = [
    ...new Set([...names.keys(), ...(values.get("pmcd.agent.status")?.keys() ?? [])]),
  ];
  return domains.sort((a, b) => a - b).map((domain) => agentReport(words(domain)));
}

/** The JSON of a label as a value; text that is no JSON stays text. */
export function labelReport({ name, value }: Label): LabelReport {
  try {
    return { name: plainText(name), value: JSON.parse(value) as unknown };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return { name: plainText(name), value: plainText(value) };
  }
}

/** The labels of the source as a whole. */
export async function contextLabels(context: Context): Promise<readonly LabelReport[]> {
  const sets = await context.labels(PM_LABEL.CONTEXT, PM_ID_NULL);
  return sets.flatMap((set) => (set.error < 0 ? [] : labelsOf(set).map(labelReport)));
}

function complaints(
  agents: readonly AgentReport[],
  steps: readonly StepReport[],
  clockMs: number | null,
): string[] {
  const found = agents.map(agentComplaint).filter((each) => each !== undefined);
  for (const { tls } of steps) {
    const certificate = tls?.certificate;
    if (certificate === undefined || certificate === null) continue;
    const { daysLeft } = certificate;
    if (daysLeft < 0) found.push("the certificate of pmcd has ended");
    else if (daysLeft < CERTIFICATE_DAYS) {
      found.push(`the certificate of pmcd ends in ${daysLeft} day${daysLeft === 1 ? "" : "s"}`);
    }
  }
  if (clockMs !== null && Math.abs(clockMs) > CLOCK_LIMIT_MS) {
    const seconds = (Math.abs(clockMs) / 1000).toFixed(0);
    found.push(`its clock is ${seconds} s ${clockMs > 0 ? "ahead" : "behind"}`);
  }
  return found;
}

/** Looks at a host, or at local agents. Rejects when the source fails in between. */
export async function lookLive(context: Context, opening: Opening): Promise<LiveReport> {
  const asking = new Asking({ about: context.type === "local" ? "local" : "host" });
  const nothing: OwnMetrics = {
    values: new Map(),
    agents: undefined,
    fetchMs: null,
    clockMs: null,
  };
  const own =
    context.type === "local" ? nothing : await asking.try(() => ownMetrics(context), nothing);
  const { values } = own;
  const hostName = await asking.try<string | null>(() => context.hostName(), null);
  const zone = await asking.try<string | null>(async () => (await context.zone()).name, null);
  const labels = await asking.try<readonly LabelReport[]>(() => contextLabels(context), []);
  const counts = await asking.try(() => namesByDomain(context), new Map<number, number>());
  const names = await asking.try(() => agentNames(context, own.agents), new Map<number, string>());
  const agents =
    context.type === "local"
      ? localAgentReports((context as LocalContext).agents, counts)
      : agentsOf(own, names, counts);
  const pmcd: PmcdReport | null =
    context.type === "local"
      ? null
      : {
          version: textOf(values.get("pmcd.version")),
          build: textOf(values.get("pmcd.build")),
          pid: numberOf(values.get("pmcd.pid")) ?? null,
          clients: numberOf(values.get("pmcd.numclients")) ?? null,
          services: (textOf(values.get("pmcd.services")) ?? "").split(" ").filter((s) => s !== ""),
          features: opening.features,
        };
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  return {
    connectMs: opening.connectMs,
    fetchMs: own.fetchMs,
    clockMs: own.clockMs,
    steps: opening.steps,
    pmcd,
    hostName: hostName === null ? null : plainText(hostName),
    zone: zone === null ? null : plainText(zone),
    labels,
    metrics: total,
    agents,
    unhealthy: [
      ...(context.type === "local" && agents.length === 0
        ? ["has no agents, so no metric has a value"]
        : []),
      ...complaints(agents, opening.steps, own.clockMs),
    ],
    errors: asking.errors,
  };
}
