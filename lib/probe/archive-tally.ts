// Counting metadata: of one archive from its catalog, and of several together, where a metric, a name,
// a domain, an instance or a text that several have is counted once. Refuses nothing.
import { type Catalog, META_TYPE, PM_TEXT, type IndomView } from "../archive/mod.ts";
import {
  type Desc,
  type Indom,
  PM_LABEL,
  type Pmid,
  pmInDomStr,
  pmSemStr,
  pmTypeWords,
} from "../pcp/mod.ts";
import type { MetaFrames } from "./archive-frames.ts";
import type { ArchiveCounts, Counts } from "./archive-types.ts";

/** The instances of a domain. */
interface DomainTally {
  readonly all: Set<number>;
  atOnce: number;
}

/** What was counted so far. */
export interface Tally {
  readonly metrics: Map<Pmid, Desc>;
  readonly names: Set<string>;
  readonly domains: Map<Indom, DomainTally>;
  /** Type and identifier of texts. */
  readonly texts: Map<string, number>;
  readonly labelSets: Map<number, number>;
  readonly types: Map<number, number>;
  metadataRecords: number;
}

/** Nothing yet. */
export const emptyTally = (): Tally => ({
  metrics: new Map(),
  names: new Set(),
  domains: new Map(),
  texts: new Map(),
  labelSets: new Map(),
  types: new Map(),
  metadataRecords: 0,
});

/** The instances of a state, and the most at once, from records as they lie. */
function countInstances(records: readonly IndomView[]): DomainTally {
  const all = new Set<number>();
  let atOnce = 0;
  const changes = records.some(({ delta }) => delta);
  let state = new Set<number>();
  let before: IndomView | undefined;
  for (const record of records) {
    const { view, count, instancesAt } = record;
    if (!record.delta && changes) state = new Set();
    // As a rule a record repeats most instances of the one before in the same order.
    let old = 0;
    for (let i = 0; i < count; i++) {
      const inst = view.getInt32(instancesAt + 4 * i);
      const gone = view.getInt32(instancesAt + 4 * (count + i)) < 0;
      if (changes) {
        if (gone) state.delete(inst);
        else state.add(inst);
      }
      if (gone) continue;
      if (before !== undefined) {
        const { view: seen, instancesAt: from, count: length } = before;
        while (old < length && seen.getInt32(from + 4 * old) < inst) old++;
        if (old < length && seen.getInt32(from + 4 * old) === inst) continue;
      }
      all.add(inst);
    }
    if (!record.delta) before = record;
    atOnce = Math.max(atOnce, changes ? state.size : count);
  }
  return { all, atOnce };
}

/** The tally of one archive. */
export function tallyOf(catalog: Catalog, frames: MetaFrames): Tally {
  const tally = emptyTally();
  for (const [pmid, desc] of catalog.descs) tally.metrics.set(pmid, desc);
  for (const { name } of catalog.names.traverse()) tally.names.add(name);
  for (const [indom, history] of catalog.indoms) {
    tally.domains.set(indom, countInstances(history.records));
  }
  for (const { type, ident } of catalog.textKeys()) tally.texts.set(`${type} ${ident}`, type);
  for (const { type, ident } of catalog.labelKeys()) {
    for (const { sets } of catalog.labelRecords(type, ident)) {
      tally.labelSets.set(type, (tally.labelSets.get(type) ?? 0) + sets.length);
    }
  }
  for (const [type, count] of frames.types) tally.types.set(type, count);
  tally.metadataRecords = frames.records;
  return tally;
}

function addCounts<K>(to: Map<K, number>, from: ReadonlyMap<K, number>): void {
  for (const [key, count] of from) to.set(key, (to.get(key) ?? 0) + count);
}

/** Adds the tally of another archive. */
export function addTally(to: Tally, from: Tally): void {
  for (const [pmid, desc] of from.metrics) if (!to.metrics.has(pmid)) to.metrics.set(pmid, desc);
  for (const name of from.names) to.names.add(name);
  for (const [indom, { all, atOnce }] of from.domains) {
    const known = to.domains.get(indom);
    if (known === undefined) {
      to.domains.set(indom, { all: new Set(all), atOnce });
      continue;
    }
    for (const inst of all) known.all.add(inst);
    known.atOnce = Math.max(known.atOnce, atOnce);
  }
  for (const [key, type] of from.texts) to.texts.set(key, type);
  addCounts(to.labelSets, from.labelSets);
  addCounts(to.types, from.types);
  to.metadataRecords += from.metadataRecords;
}

const LEVELS: readonly (readonly [number, string])[] = [
  [PM_LABEL.CONTEXT, "context"],
  [PM_LABEL.DOMAIN, "domain"],
  [PM_LABEL.INDOM, "indom"],
  [PM_LABEL.CLUSTER, "cluster"],
  [PM_LABEL.ITEM, "item"],
  [PM_LABEL.INSTANCES, "instances"],
];

const TEXTS: readonly (readonly [number, string])[] = [
  [PM_TEXT.PMID | PM_TEXT.ONELINE, "metric one-line"],
  [PM_TEXT.PMID | PM_TEXT.HELP, "metric"],
  [PM_TEXT.INDOM | PM_TEXT.ONELINE, "domain one-line"],
  [PM_TEXT.INDOM | PM_TEXT.HELP, "domain"],
];

/** Counts under the names of a table, in its order, without those that are 0. */
function named(
  table: readonly (readonly [number, string])[],
  count: (key: number) => number,
): Counts {
  const found = table.map(([key, name]) => [name, count(key)] as const);
  return Object.fromEntries(found.filter(([, value]) => value > 0));
}

/** How often each word occurs, the most frequent first. */
function frequencies(words: Iterable<string>): Counts {
  const found = new Map<string, number>();
  for (const word of words) found.set(word, (found.get(word) ?? 0) + 1);
  return Object.fromEntries([...found].sort(([, a], [, b]) => b - a));
}

function largest(domains: Tally["domains"]): ArchiveCounts["largestDomain"] {
  let found: ArchiveCounts["largestDomain"] = null;
  for (const [indom, { all, atOnce }] of domains) {
    if (found !== null && all.size <= found.instances) continue;
    found = { indom: pmInDomStr(indom), instances: all.size, atOnce };
  }
  return found;
}

/** The counts of a tally with those of the other files. */
export function countsOf(
  tally: Tally,
  others: Pick<
    ArchiveCounts,
    "indexEntries" | "dataRecords" | "markRecords" | "values" | "bytes" | "decodedBytes"
  >,
): ArchiveCounts {
  const { metrics, domains, types, texts } = tally;
  const records = (type: number): number => types.get(type) ?? 0;
  const changes = records(META_TYPE.INDOM_DELTA);
  const descs = [...metrics.values()];
  const textTypes = [...texts.values()];
  return {
    metrics: metrics.size,
    names: tally.names.size,
    metricsByType: frequencies(descs.map(({ type }) => pmTypeWords(type))),
    metricsBySemantics: frequencies(descs.map(({ sem }) => pmSemStr(sem))),
    instanceDomains: domains.size,
    instances: [...domains.values()].reduce((sum, { all }) => sum + all.size, 0),
    largestDomain: largest(domains),
    domainRecords: records(META_TYPE.INDOM) + records(META_TYPE.INDOM_V2) + changes,
    domainChanges: changes,
    labelSets: named(LEVELS, (level) => tally.labelSets.get(level) ?? 0),
    texts: named(TEXTS, (type) => textTypes.filter((each) => each === type).length),
    metadataRecords: tally.metadataRecords,
    ...others,
  };
}
