// The metrics that somebody asks a context for: names expanded, described, with their one-line help,
// and the instances that were named. A metric that is unknown or has no descriptor is told as one
// with a failure, it does not stop the others.
import { asPcpError, PM_ERR, PcpError } from "../base/mod.ts";
import type { Context } from "../context/mod.ts";
import {
  type Desc,
  type InstanceId,
  PM_ID_NULL,
  PM_INDOM_NULL,
  PM_SEM,
  PM_TIME,
  PM_TYPE,
  type Pmid,
  pmIDStr,
  pmUnitsStr,
  unitsFields,
  unitsWord,
} from "../pcp/mod.ts";
import { failureOf } from "./hints.ts";
import { type MetricSpec, parseMetricSpec } from "./metric-spec.ts";
import { plainText } from "./plain.ts";
import type { Failure, MetricReport } from "./report.ts";

/** A metric that can be fetched. */
export interface Metric {
  readonly report: MetricReport;
  readonly pmid: Pmid;
  readonly desc: Desc;
  /** Those asked for; undefined for all. */
  readonly instances: ReadonlySet<InstanceId> | undefined;
  /** Counters become rates by this factor per second; undefined for other metrics. */
  readonly rateFactor: number | undefined;
}

/** Metrics in the order in which they were asked for. */
export interface Metrics {
  readonly found: readonly Metric[];
  /** What is unknown or cannot be described, by its name. */
  readonly failures: readonly (Failure & { readonly where: string })[];
  /** All metrics, those with a failure included. */
  readonly reports: readonly MetricReport[];
}

/** Names that are described with one request. */
const BATCH = 1000;
/** Seconds in a unit of PM_TIME. */
const TIME_SECONDS: readonly number[] = [1e-9, 1e-6, 1e-3, 1, 60, 3600];

/** How a counter is shown as a rate: its units, and what values are multiplied with. */
export function rateOf(
  desc: Desc,
): { readonly units: string; readonly factor: number } | undefined {
  const numeric = desc.type >= PM_TYPE.I32 && desc.type <= PM_TYPE.DOUBLE;
  if (desc.sem !== PM_SEM.COUNTER || !numeric) return undefined;
  const fields = unitsFields(desc.units);
  if (fields.dimTime === 1 && fields.dimSpace === 0 && fields.dimCount === 0) {
    return { units: "", factor: TIME_SECONDS[fields.scaleTime] ?? 1 };
  }
  // Per second of something that has time in it already: no single word for the units says it.
  if (fields.dimTime !== 0) return { units: `(${pmUnitsStr(desc.units)}) / sec`, factor: 1 };
  const units = pmUnitsStr(unitsWord({ ...fields, dimTime: -1, scaleTime: PM_TIME.SEC }));
  return { units, factor: 1 };
}

interface Wanted {
  readonly name: string;
  readonly spec: MetricSpec;
}

/** The metrics that a specification stands for: those below its name, or the one of that name. */
const expand = (context: Context, spec: MetricSpec): Promise<readonly string[]> =>
  context.traverse(spec.name);

const named = (failure: Failure, where: string): Failure & { readonly where: string } => ({
  ...failure,
  where,
});

async function helpOf(context: Context, pmid: Pmid): Promise<string | null> {
  try {
    return plainText((await context.text("metric", pmid, "oneline")).trim());
  } catch (error) {
    const { code } = asPcpError(error);
    // Texts are a courtesy; a source that has none is not at fault, one that broke is.
    if (code === PM_ERR.IPC || code === PM_ERR.TIMEOUT) throw error;
    return null;
  }
}

/** Instance numbers of the names in brackets. */
async function instancesOf(
  context: Context,
  desc: Desc,
  names: readonly string[],
): Promise<ReadonlySet<InstanceId>> {
  if (desc.indom === PM_INDOM_NULL) {
    throw new PcpError(PM_ERR.INDOM, "singular metrics do not have instances");
  }
  const found = new Set<InstanceId>();
  for (const name of names) {
    try {
      found.add(
        "archiveInstanceId" in context
          ? await (context as ArchiveLookup).archiveInstanceId(desc.indom, name)
          : await context.instanceId(desc.indom, name),
      );
    } catch (error) {
      const { code } = asPcpError(error);
      throw new PcpError(code, `instance ${plainText(name)} not available`, { cause: error });
    }
  }
  return found;
}

type ArchiveLookup = Context & {
  readonly archiveInstanceId: Context["instanceId"];
};

function reportOf(name: string, pmid: Pmid, desc: Desc | null, help: string | null): MetricReport {
  return {
    name: plainText(name),
    pmid: pmIDStr(pmid),
    desc,
    help,
    units: desc === null ? "" : pmUnitsStr(desc.units),
    rateUnits: desc === null ? null : (rateOf(desc)?.units ?? null),
    failure: null,
  };
}

/** Descriptor by PMID; PM_ID_NULL is never asked for. */
async function descsOf(
  context: Context,
  pmids: readonly Pmid[],
): Promise<Map<Pmid, Desc | PcpError>> {
  const known = new Map<Pmid, Desc | PcpError>();
  const unknown = [...new Set(pmids)].filter((pmid) => pmid !== PM_ID_NULL);
  for (let at = 0; at < unknown.length; at += BATCH) {
    const batch = unknown.slice(at, at + BATCH);
    if (batch.length > 1) {
      const descs = await context.descs(batch);
      batch.forEach((pmid, i) => {
        const desc = descs[i];
        if (desc !== undefined && desc.pmid !== PM_ID_NULL) known.set(pmid, desc);
      });
    }
    // One by one tells why there is none.
    for (const pmid of batch) {
      if (known.has(pmid)) continue;
      try {
        known.set(pmid, await context.desc(pmid));
      } catch (error) {
        known.set(pmid, asPcpError(error));
      }
    }
  }
  return known;
}

async function lookUp(context: Context, names: readonly string[]): Promise<readonly Pmid[]> {
  const pmids: Pmid[] = [];
  for (let at = 0; at < names.length; at += BATCH) {
    const batch = names.slice(at, at + BATCH);
    pmids.push(...(await context.lookupNames(batch)).pmids);
  }
  return pmids;
}

/** Finds and describes metrics; rejects only when the source itself fails. */
export async function resolveMetrics(context: Context, texts: readonly string[]): Promise<Metrics> {
  const failures: (Failure & { readonly where: string })[] = [];
  const wanted: Wanted[] = [];
  for (const text of texts) {
    const spec = parseMetricSpec(text);
    try {
      for (const name of await expand(context, spec)) wanted.push({ name, spec });
    } catch (error) {
      const failure = asPcpError(error);
      if (failure.code === PM_ERR.IPC || failure.code === PM_ERR.TIMEOUT) throw failure;
      const name = plainText(spec.name);
      // The text of these codes says it all once the name stands beside it.
      const plain = failure.code === PM_ERR.NAME || failure.code === PM_ERR.NONLEAF;
      const told = plain ? new PcpError(failure.code) : failure;
      failures.push(named(failureOf(told, { about: "metric", name }), name));
    }
  }
  const pmids = await lookUp(
    context,
    wanted.map((each) => each.name),
  );
  const descs = await descsOf(context, pmids);
  const found: Metric[] = [];
  const reports: MetricReport[] = [];
  for (const [i, { name, spec }] of wanted.entries()) {
    const pmid = pmids[i] ?? PM_ID_NULL;
    const desc = descs.get(pmid) ?? new PcpError(PM_ERR.PMID);
    const fail = (error: unknown, known: Desc | null): void => {
      const plain = plainText(name);
      const failure = named(failureOf(asPcpError(error), { about: "metric", name: plain }), plain);
      failures.push(failure);
      reports.push({ ...reportOf(name, pmid, known, null), failure });
    };
    if (desc instanceof PcpError) {
      fail(desc, null);
      continue;
    }
    try {
      const instances =
        spec.instances === undefined ? undefined : await instancesOf(context, desc, spec.instances);
      const report = reportOf(name, pmid, desc, await helpOf(context, pmid));
      reports.push(report);
      found.push({ report, pmid, desc, instances, rateFactor: rateOf(desc)?.factor });
    } catch (error) {
      fail(error, desc);
    }
  }
  return { found, failures, reports };
}
