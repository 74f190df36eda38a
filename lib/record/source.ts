// What is recorded, as far as an archive needs to know it: which of the wanted metrics there are, and
// their descriptors, labels and texts, read once and kept while the context answers. What single
// metrics lack is left out; what ends the conversation is thrown.
import { type ArchiveLabelSet, loggerMetrics, PM_TEXT, type TextRecord } from "../archive/mod.ts";
import { PM_ERR, PcpError } from "../base/mod.ts";
import type { Context } from "../context/mod.ts";
import {
  type Desc,
  type Indom,
  indomDomain,
  pmExtractValue,
  type Pmid,
  PM_ID_NULL,
  PM_INDOM_NULL,
  PM_LABEL,
  PM_TYPE,
  pmidDomain,
} from "../pcp/mod.ts";
import type { Pace, WantedMetric } from "./types.ts";

/** A metric that is recorded. */
export interface SourceMetric {
  readonly desc: Desc;
  readonly names: readonly string[];
  readonly pace: Pace;
}

/** Label sets of a level and identifier. */
export interface SourceLabels {
  readonly level: number;
  readonly ident: number;
  readonly sets: readonly ArchiveLabelSet[];
}

/** A context with what an archive of it says. */
export interface Source {
  readonly context: Context;
  readonly host: string;
  readonly timezone: string;
  readonly zoneinfo: string;
  readonly pmcdPid: bigint;
  readonly pmcdSequence: number;
  readonly metrics: ReadonlyMap<Pmid, SourceMetric>;
  readonly texts: readonly TextRecord[];
  /** Context, domains, clusters, metrics and instance domains; those of instances come with these. */
  readonly labels: readonly SourceLabels[];
}

/** Codes with which a source says that it lacks something; with others it cannot be talked to. */
const LACKS: ReadonlySet<number> = new Set([
  PM_ERR.NAME,
  PM_ERR.NONLEAF,
  PM_ERR.PMID,
  PM_ERR.INDOM,
  PM_ERR.TEXT,
  PM_ERR.NOAGENT,
  PM_ERR.NOLABELS,
  PM_ERR.APPVERSION,
  PM_ERR.AGAIN,
  PM_ERR.PERMISSION,
  PM_ERR.VALUE,
  PM_ERR.INST,
]);

/** What a call gives, or undefined for what the source lacks. */
export async function orNone<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (error instanceof PcpError && LACKS.has(error.code)) return undefined;
    throw error;
  }
}

const CLUSTER_MASK = 0xfffffc00;
const CONTEXT_IDENT = 0xffffffff;
/** Names of one request. */
const BATCH = 128;
const SLOWEST: Readonly<Record<Pace, number>> = { fast: 0, slow: 1, once: 2 };

async function resolve(
  context: Context,
  wanted: readonly WantedMetric[],
): Promise<Map<Pmid, SourceMetric>> {
  const paces = new Map<string, Pace>();
  for (const { name, pace } of wanted) {
    for (const leaf of (await orNone(context.traverse(name))) ?? []) {
      const before = paces.get(leaf);
      if (before === undefined || SLOWEST[pace] < SLOWEST[before]) paces.set(leaf, pace);
    }
  }
  const leaves = [...paces];
  const found = new Map<Pmid, { names: string[]; pace: Pace }>();
  for (let at = 0; at < leaves.length; at += BATCH) {
    const batch = leaves.slice(at, at + BATCH);
    const { pmids } = (await orNone(context.lookupNames(batch.map(([name]) => name)))) ?? {
      pmids: [],
    };
    for (const [i, pmid] of pmids.entries()) {
      const [name = "", pace = "fast"] = batch[i] ?? [];
      if (pmid === PM_ID_NULL) continue;
      const known = found.get(pmid);
      if (known === undefined) found.set(pmid, { names: [name], pace });
      else known.names.push(name);
    }
  }
  const pmids = [...found.keys()];
  const metrics = new Map<Pmid, SourceMetric>();
  for (let at = 0; at < pmids.length; at += BATCH) {
    const descs = (await orNone(context.descs(pmids.slice(at, at + BATCH)))) ?? [];
    for (const desc of descs) {
      const entry = found.get(desc.pmid);
      // Events would need the metadata of what is in them.
      const isPlain = desc.type >= PM_TYPE.I32 && desc.type <= PM_TYPE.AGGREGATE;
      if (entry !== undefined && isPlain) metrics.set(desc.pmid, { desc, ...entry });
    }
  }
  return metrics;
}

/** The numbers and identifiers that texts and labels belong to. */
const idents = (metrics: ReadonlyMap<Pmid, SourceMetric>) => {
  const all = [...metrics.values()].map(({ desc }) => desc);
  const indoms = new Set(all.map(({ indom }) => indom).filter((each) => each !== PM_INDOM_NULL));
  const domains = new Set([
    ...all.map(({ pmid }) => pmidDomain(pmid)),
    ...[...indoms].map((indom) => indomDomain(indom)),
  ]);
  const clusters = new Set(all.map(({ pmid }) => (pmid & CLUSTER_MASK) >>> 0));
  return { indoms, domains, clusters };
};

async function readTexts(
  context: Context,
  metrics: ReadonlyMap<Pmid, SourceMetric>,
): Promise<TextRecord[]> {
  const own = loggerMetrics();
  const texts: TextRecord[] = [];
  const read = async (ident: Pmid | Indom, isIndom: boolean): Promise<void> => {
    const kind = isIndom ? PM_TEXT.INDOM : PM_TEXT.PMID;
    for (const level of ["oneline", "help"] as const) {
      const subject = isIndom ? "instance domain" : "metric";
      const text = await orNone(context.text(subject, ident, level, true));
      if (text === undefined || text === "") continue;
      const type = kind | (level === "help" ? PM_TEXT.HELP : PM_TEXT.ONELINE);
      texts.push({ kind: "text", type, ident, text });
    }
  };
  const recorders = own.metrics.map(({ desc }) => desc.pmid);
  for (const pmid of new Set([...metrics.keys(), ...recorders])) await read(pmid, false);
  for (const indom of idents(metrics).indoms.add(own.indom)) await read(indom, true);
  return texts;
}

/** The labels of a level and identifier; undefined: there are none. */
export async function readLabels(
  context: Context,
  level: number,
  ident: number,
): Promise<SourceLabels | undefined> {
  const sets = await orNone(context.labels(level, ident));
  const good = sets?.filter(({ error, records }) => error === 0 && records.length > 0) ?? [];
  return good.length === 0 ? undefined : { level, ident, sets: good };
}

async function readAllLabels(
  context: Context,
  metrics: ReadonlyMap<Pmid, SourceMetric>,
): Promise<SourceLabels[]> {
  const { indoms, domains, clusters } = idents(metrics);
  const wanted: [level: number, ident: number][] = [[PM_LABEL.CONTEXT, CONTEXT_IDENT]];
  for (const domain of domains) wanted.push([PM_LABEL.DOMAIN, domain]);
  for (const cluster of clusters) wanted.push([PM_LABEL.CLUSTER, cluster]);
  for (const indom of indoms) wanted.push([PM_LABEL.INDOM, indom]);
  for (const pmid of metrics.keys()) wanted.push([PM_LABEL.ITEM, pmid]);
  const found: SourceLabels[] = [];
  for (const [level, ident] of wanted) {
    const labels = await readLabels(context, level, ident);
    if (labels !== undefined) found.push(labels);
  }
  return found;
}

/** Values of single metrics by name; those that are not there are left out. */
async function readValues(context: Context, names: readonly string[]) {
  const values = new Map<string, string | bigint | number>();
  for (const name of names) {
    const found = await orNone(context.lookupNames([name]));
    const [pmid] = found?.pmids ?? [];
    if (pmid === undefined || pmid === PM_ID_NULL) continue;
    const desc = await orNone(context.desc(pmid));
    const reply = await orNone(context.fetch([pmid]));
    const set = reply?.result.sets();
    if (desc === undefined || set?.next() !== true || set.numval !== 1) continue;
    const value = pmExtractValue(set, 0, desc.type, desc.type);
    if (!(value instanceof Uint8Array)) values.set(name, value);
  }
  return values;
}

/** Reads what there is to know about a context. Rejects with PcpError when it does not answer. */
export async function openSource(
  context: Context,
  wanted: readonly WantedMetric[],
): Promise<Source> {
  const metrics = await resolve(context, wanted);
  const own = ["pmcd.pid", "pmcd.seqnum", "pmcd.timezone", "pmcd.zoneinfo"];
  const values = await readValues(context, own);
  const zone = (await context.zone()).name;
  const timezone = values.get("pmcd.timezone");
  const zoneinfo = values.get("pmcd.zoneinfo");
  return {
    context,
    host: await context.hostName(),
    timezone: typeof timezone === "string" ? timezone : zone,
    // Names of the zone data base begin with a colon; readers of PCP take them in both places.
    zoneinfo: typeof zoneinfo === "string" ? zoneinfo : zone.startsWith(":") ? zone : "",
    pmcdPid: BigInt(values.get("pmcd.pid") ?? 0),
    pmcdSequence: Number(values.get("pmcd.seqnum") ?? 0),
    metrics,
    texts: await readTexts(context, metrics),
    labels: await readAllLabels(context, metrics),
  };
}
