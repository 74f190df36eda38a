// The values that a request for whole subtrees shows: names picked, metrics fetched in batches, each of
// them once (spec webapi.md 13). Shared by all formats; leaves out what is no number.
import { asPcpError } from "../base/mod.ts";
import { PM_TYPE, type Timestamp, type ValueSetCursor } from "../pcp/mod.ts";
import type { Call } from "./call.ts";
import { faultOf, type WebFault } from "./fault.ts";
import { fetchFrom } from "./fetch.ts";
import { matcherOf } from "./instances.ts";
import type { Metric } from "./metadata.ts";
import { firstOf, listOf } from "./parameters.ts";

/** Metrics in one request to pmcd. */
const BATCH = 256;

/** A metric and the names that are told of it. */
export interface Shown {
  readonly metric: Metric;
  readonly names: readonly string[];
}

/** Takes the value set of one metric; it has values. */
export type Visit = (set: ValueSetCursor, shown: Shown, timestamp: Timestamp) => Promise<void>;

const isNumeric = ({ desc: { type } }: Metric): boolean =>
  type >= PM_TYPE.I32 && type <= PM_TYPE.DOUBLE;

/** What a reply has told already. */
interface Seen {
  readonly pmids: Set<number>;
  readonly names: Set<string>;
}

/** The names that a metric takes in a reply: no other one may have any of them. */
export type Claims = (name: string, metric: Metric) => readonly string[];

/** Picks what is new of `leaves`: each PMID, each name as the reply has it, once. */
async function newOf(
  { metadata }: Call,
  leaves: readonly string[],
  claims: Claims,
  seen: Seen,
): Promise<Shown[]> {
  const metrics = await metadata.metrics(await metadata.lookup(leaves));
  const shown: Shown[] = [];
  for (const metric of metrics) {
    if (metric === undefined || !isNumeric(metric) || seen.pmids.has(metric.pmid)) continue;
    seen.pmids.add(metric.pmid);
    const names = metric.names.filter((name) => {
      const taken = claims(name, metric);
      if (taken.some((claim) => seen.names.has(claim))) return false;
      for (const claim of taken) seen.names.add(claim);
      return true;
    });
    if (names.length > 0) shown.push({ metric, names });
  }
  return shown;
}

async function visitBatch(call: Call, batch: readonly Shown[], visit: Visit): Promise<void> {
  const pmids = batch.map(({ metric }) => metric.pmid);
  const result = await fetchFrom(call, pmids);
  const sets = result.sets();
  for (const shown of batch) {
    if (!sets.next()) return;
    if (sets.pmid === shown.metric.pmid && sets.numval > 0)
      await visit(sets, shown, result.timestamp);
  }
}

/**
 * Visits the values of all metrics that a request selects. Of names whose claims
 * meet the first one counts. Resolves with the fault of the last name of a list
 * when that is unknown; other names that are unknown are left out, as pmproxy does.
 */
export async function walkValues(
  call: Call,
  claims: Claims,
  visit: Visit,
): Promise<WebFault | undefined> {
  const { parameters, metadata } = call;
  const list = listOf(firstOf(parameters, "names", "name", "prefix", "target") ?? "");
  const filter = parameters.get("filter");
  const isHidden = filter === undefined ? undefined : matcherOf(parameters, filter);
  const seen: Seen = { pmids: new Set(), names: new Set() };
  let fault: WebFault | undefined;
  await metadata.refresh();
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
    const shown = await newOf(call, wanted, claims, seen);
    for (let at = 0; at < shown.length; at += BATCH)
      await visitBatch(call, shown.slice(at, at + BATCH), visit);
  }
  return fault;
}

/** Names of instances that a set needs. */
export function* instancesIn(set: ValueSetCursor): Generator<number> {
  for (let i = 0; i < set.numval; i++) yield set.instance(i);
}
