// The values that a request for whole subtrees shows: names picked, metrics fetched in batches, each of
// them once (spec webapi.md 13). Shared by all formats; leaves out what is no number.
import { asPcpError } from "../base/mod.ts";
import { PM_TYPE, pmIDStr, type Pmid, type Timestamp, type ValueSetCursor } from "../pcp/mod.ts";
import type { Call } from "./call.ts";
import { faultOf, WebFault } from "./fault.ts";
import { fetchFrom } from "./fetch.ts";
import { matcherOf } from "./instances.ts";
import { type Metric, NAMES_MS } from "./metadata.ts";
import { firstOf, listOf } from "./parameters.ts";

/** About what one metric of a selection holds. */
const SHOWN_BYTES = 200;

/** A name of a metric, and what its form in the reply gets at its end: nothing, unless that was taken. */
export interface ShownName {
  readonly name: string;
  readonly suffix: string;
}

/** A metric and the names that are told of it. */
export interface Shown {
  readonly metric: Metric;
  readonly names: readonly ShownName[];
  /** What the format has made of it; kept as long as the selection. */
  made: object | undefined;
}

/** Takes the value set of one metric; it has values. At once, unless something must be asked for. */
export type Visit = (
  set: ValueSetCursor,
  shown: Shown,
  timestamp: Timestamp,
) => Promise<void> | undefined;

const isNumeric = ({ desc: { type } }: Metric): boolean =>
  type >= PM_TYPE.I32 && type <= PM_TYPE.DOUBLE;

/** What a reply has told already. */
interface Seen {
  readonly pmids: Set<number>;
  readonly names: Set<string>;
}

/** The names that a metric takes in a reply: no other one may have any of them. */
export interface Claims {
  (name: ShownName, metric: Metric): readonly string[];
}

/** Picks what is new of `leaves`: each PMID, each name as the reply has it, once. */
async function newOf(
  { metadata }: Call,
  leaves: readonly string[],
  claims: Claims,
  isForced: boolean,
  seen: Seen,
): Promise<Shown[]> {
  const metrics = await metadata.metrics(await metadata.lookup(leaves));
  const shown: Shown[] = [];
  for (const metric of metrics) {
    if (metric === undefined || !isNumeric(metric) || seen.pmids.has(metric.pmid)) continue;
    seen.pmids.add(metric.pmid);
    const names: ShownName[] = [];
    for (const name of metric.names) {
      // Under its PMID as well there is no other of its form, but for other names of the same metric.
      const suffixes = ["", ...(isForced ? [`_${pmIDStr(metric.pmid).replaceAll(".", "_")}`] : [])];
      for (const suffix of suffixes) {
        const taken = claims({ name, suffix }, metric);
        if (taken.some((claim) => seen.names.has(claim))) continue;
        for (const claim of taken) seen.names.add(claim);
        names.push({ name, suffix });
        break;
      }
    }
    if (names.length > 0) shown.push({ metric, names, made: undefined });
  }
  return shown;
}

/** Metrics that are fetched together. */
interface Batch {
  readonly pmids: readonly Pmid[];
  readonly shown: readonly Shown[];
}

/** What a request selects: for some seconds, as the lists of names that it comes from. */
interface Selection {
  readonly until: number;
  readonly batches: readonly Batch[];
  /** That of the last name of a list, when it is unknown. */
  readonly fault: WebFault | undefined;
}

async function visitBatch(call: Call, batch: Batch, visit: Visit): Promise<void> {
  const fresh = batch.shown.filter(({ made }) => made === undefined);
  if (fresh.length > 0) {
    const metrics = fresh.map(({ metric }) => metric);
    await call.metadata.prepare(metrics, ["oneline"]);
  }
  const result = await fetchFrom(call, batch.pmids);
  const sets = result.sets();
  for (const shown of batch.shown) {
    if (!sets.next()) return;
    if (sets.pmid !== shown.metric.pmid || sets.numval <= 0) continue;
    const pause = visit(sets, shown, result.timestamp);
    if (pause !== undefined) await pause;
  }
}

async function select(call: Call, text: string, { claims, isForced }: Walk): Promise<Selection> {
  const { parameters, metadata } = call;
  const list = listOf(text);
  const filter = parameters.get("filter");
  const isHidden = filter === undefined ? undefined : matcherOf(parameters, filter);
  const seen: Seen = { pmids: new Set(), names: new Set() };
  const until = performance.now() + NAMES_MS;
  const batches: Batch[] = [];
  let fault: WebFault | undefined;
  for (const name of list.length === 0 ? [""] : list) {
    fault = undefined;
    let leaves: readonly string[];
    try {
      leaves = await metadata.traverse(name);
    } catch (error) {
      fault = faultOf(asPcpError(error), `'${name}' - `);
      continue;
    }
    const wanted = isHidden === undefined ? leaves : leaves.filter((leaf) => !isHidden(leaf));
    const found = await newOf(call, wanted, claims, isForced, seen);
    for (let at = 0; at < found.length; at += call.batchSize) {
      const shown = found.slice(at, at + call.batchSize);
      batches.push({ pmids: shown.map(({ metric }) => metric.pmid), shown });
    }
  }
  return { until, batches, fault };
}

/** Who wants the values of a request, and how. */
export interface Walk {
  /** Of the format; part of the keys of what is kept. */
  readonly key: string;
  readonly claims: Claims;
  /** A name whose form is taken gets another one; otherwise it is left out. */
  readonly isForced: boolean;
  readonly visit: Visit;
  /** Whether anybody still waits for them. */
  readonly wanted: () => boolean;
}

/** The parameters that select, as one text: requests with the same one show the same. */
export function selectionText({ parameters }: Call): string {
  const names = firstOf(parameters, "names", "name", "prefix", "target") ?? "";
  const filter = parameters.get("filter");
  return filter === undefined ? names : `${names} ${parameters.get("match") ?? ""} ${filter}`;
}

/**
 * Visits the values of all metrics that a request selects. Of names whose claims
 * meet the first one counts. Resolves with the fault of the last name of a list
 * when that is unknown; other names that are unknown are left out, as pmproxy does.
 */
export async function walkValues(call: Call, walk: Walk): Promise<WebFault | undefined> {
  const { key, visit, wanted } = walk;
  const { parameters, metadata } = call;
  await metadata.refresh();
  const plan = `walk ${key} ${selectionText(call)}`;
  let selection = metadata.plan(plan) as Selection | undefined;
  if (selection === undefined || selection.until < performance.now()) {
    const text = firstOf(parameters, "names", "name", "prefix", "target") ?? "";
    selection = await select(call, text, walk);
    const count = selection.batches.reduce((sum, { shown }) => sum + shown.length, 0);
    metadata.keepPlan(plan, selection, SHOWN_BYTES * count);
  }
  for (const batch of selection.batches) {
    if (!wanted()) throw new WebFault(503, "nobody waits for this reply");
    await visitBatch(call, batch, visit);
  }
  return selection.fault;
}

/** Names of instances that a set needs. */
export function* instancesIn(set: ValueSetCursor): Generator<number> {
  for (let i = 0; i < set.numval; i++) yield set.instance(i);
}
