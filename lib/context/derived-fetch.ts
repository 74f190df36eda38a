// Fetches with derived metrics in them: the metrics that they are made of are fetched along, once
// each, and the answer has what was asked for, in its order. A derived metric without metadata keeps
// what the source said of its PMID.
import { evaluate, EMPTY, boundMetrics, type Column, type Sample } from "../derived/mod.ts";
import { PcpError } from "../base/mod.ts";
import {
  type Atom,
  blockBytes,
  blockType,
  measureValueSets,
  PM_TYPE,
  PM_VAL,
  pmExtractValue,
  type Pmid,
  type PmType,
  ResultView,
  type ValueSet,
  type ValueSetInit,
  writeValueSets,
} from "../pcp/mod.ts";
import type { DerivedMetric } from "./derived-binding.ts";

/** What is known of instance domains when values are computed. */
export type Domains = Pick<Sample, "instances" | "name">;

/** What is asked of the source: the request itself, and behind it the metrics that it lacks. */
export function extendRequest(
  pmids: readonly Pmid[],
  derived: readonly (DerivedMetric | undefined)[],
): Pmid[] {
  const request = new Set(pmids);
  const added = new Set<Pmid>();
  for (const metric of derived) {
    if (metric?.node === undefined) continue;
    for (const pmid of boundMetrics(metric.node)) if (!request.has(pmid)) added.add(pmid);
  }
  return [...pmids, ...added];
}

/** The values of a set as numbers and texts; values of another type than `type` are left out. */
function columnOf(set: ValueSet, type: PmType): Column {
  if (set.numval < 0) return { error: set.numval, instances: [], values: [] };
  if (set.numval === 0) return EMPTY;
  const instances: number[] = [];
  const values: Atom[] = [];
  // Nothing is computed from these; they pass as they are.
  const opaque = type > PM_TYPE.STRING && set.valfmt !== PM_VAL.INSITU;
  for (let i = 0; i < set.numval; i++) {
    try {
      values.push(opaque ? blockBytes(set.bytes, set.block(i)) : pmExtractValue(set, i, type));
    } catch (error) {
      if (!(error instanceof PcpError)) throw error;
      continue;
    }
    instances.push(set.instance(i));
  }
  return { error: 0, instances, values };
}

/** A set as it is, to be written again. */
function copyOf(set: ValueSet): ValueSetInit {
  const { pmid, numval, valfmt, bytes } = set;
  if (numval <= 0) return { pmid, error: numval };
  const instances = Array.from({ length: numval }, (_, i) => set.instance(i));
  if (valfmt === PM_VAL.INSITU) {
    const values = instances.map((_, i) => set.word(i));
    return { pmid, type: PM_TYPE.U32, valfmt, instances, values };
  }
  const values = instances.map((_, i) => blockBytes(bytes, set.block(i)));
  return { pmid, type: blockType(bytes, set.block(0)), valfmt, instances, values };
}

/** One fetch with its values, read when an expression asks for them. */
export function sampleOf(result: ResultView, domains: Domains): Sample {
  const columns = new Map<Pmid, Column>();
  return {
    time: result.timestamp,
    ...domains,
    values(pmid, type) {
      let column = columns.get(pmid);
      if (column === undefined) {
        const set = result.find(pmid);
        column = set === undefined ? EMPTY : columnOf(set, type);
        columns.set(pmid, column);
      }
      return column;
    },
  };
}

/** The answer to the first `derived.length` metrics of a fetch, derived ones computed. */
export function computeResult(
  result: ResultView,
  derived: readonly (DerivedMetric | undefined)[],
  sample: Sample,
): ResultView {
  const inits: ValueSetInit[] = [];
  const sets = result.sets();
  for (const metric of derived) {
    if (!sets.next()) break;
    if (metric?.node === undefined) {
      inits.push(copyOf(sets));
      continue;
    }
    const { pmid } = metric.definition;
    const { error, instances, values } = evaluate(metric.node, sample);
    inits.push(
      error < 0 ? { pmid, error } : { pmid, type: metric.node.meta.type, instances, values },
    );
  }
  const size = measureValueSets(inits);
  const bytes = new Uint8Array(size.sets + size.blocks);
  writeValueSets(bytes, 0, inits, size);
  return new ResultView(bytes, result.timestamp, inits.length, 0);
}
