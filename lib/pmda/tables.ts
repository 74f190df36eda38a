// The tables of an agent as requests need them (spec pmda.md 7.1 to 7.4): rows found by PMID without
// hashing, instances of fixed tables worked out once. Refuses tables that contradict themselves, in
// the words of pmdaInit, and two rows of one PMID.
import type { Instances } from "../archive/mod.ts";
import { PcpError, PM_ERR } from "../base/mod.ts";
import {
  asInstance,
  type Desc,
  type Indom,
  indomBuild,
  indomDomain,
  indomSerial,
  type InstanceId,
  PM_IN_NULL,
  PM_INDOM_NULL,
  type Pmid,
  pmidBuild,
  pmIDStr,
  pmValfmt,
} from "../pcp/mod.ts";
import { CACHE_STATE, type CacheEntry, type InstanceCache } from "./cache.ts";
import type {
  AgentDefinition,
  AgentTables,
  FetchValue,
  IndomRow,
  InstanceRow,
  MetricRow,
} from "./define.ts";
import type { Awaitable, Caller } from "./types.ts";

/** One metric. */
export interface MetricEntry {
  readonly row: MetricRow;
  readonly desc: Desc;
  /** PM_VAL. */
  readonly valfmt: number;
  /** Undefined for a metric with one value. */
  readonly indom: IndomEntry | undefined;
  readonly call: (instance: InstanceId, by: Caller) => Awaitable<FetchValue>;
  /** A call has been given up and has not ended yet: another one would only pile up. */
  stuck: boolean;
}

/** One instance domain. */
export interface IndomEntry {
  readonly row: IndomRow;
  readonly indom: Indom;
  /** The instances where a table has them. */
  readonly fixed: Instances | undefined;
  /** What `from` stood for when it was last asked for. */
  known: { readonly from: unknown; readonly list: Awaitable<Instances> } | undefined;
}

/** All metrics and instance domains of an agent. */
export interface Tables {
  readonly domain: number;
  readonly metrics: readonly MetricEntry[];
  readonly indoms: readonly IndomEntry[];
  metric(pmid: Pmid): MetricEntry | undefined;
  indom(indom: Indom): IndomEntry | undefined;
}

const bad = (name: string, reason: string): PcpError =>
  new PcpError(PM_ERR.GENERIC, `pmdaInit: PMDA pmda${name}: ${reason}`);

const listOf = (rows: readonly { readonly id: number; readonly name: string }[]): Instances => ({
  ids: rows.map(({ id }) => asInstance(id)),
  names: rows.map(({ name }) => name),
});

/** What a function gave: nobody has looked at it before. Throws for what is no number of an instance. */
function checkedList(rows: readonly InstanceRow[]): Instances {
  for (const { id, name } of rows)
    if ((id | 0) !== id || id === PM_IN_NULL)
      throw new Error(`${id} ("${name}") is no number of an instance`);
  return listOf(rows);
}

const isCache = (source: IndomRow["instances"]): source is InstanceCache =>
  typeof source === "object" && "kind" in source;

function buildIndoms(name: string, domain: number, rows: readonly IndomRow[]) {
  const entries = new Map<number, IndomEntry>();
  for (const row of rows) {
    const { serial, instances } = row;
    if (entries.has(serial)) throw bad(name, `instance domain serial (${serial}) given twice`);
    const fixed = typeof instances === "function" || isCache(instances);
    entries.set(serial, {
      row,
      indom: indomBuild(domain, serial),
      fixed: fixed ? undefined : listOf(instances),
      known: undefined,
    });
  }
  return entries;
}

/**
 * Makes the tables of an agent under `domain`. Throws PcpError PM_ERR_GENERIC with the sentence that
 * pmdaInit would log, PM_ERR_PMID or PM_ERR_INDOM for numbers out of range.
 */
export function buildTables(
  definition: AgentDefinition,
  { metrics, indoms = [] }: AgentTables,
  domain: number,
): Tables {
  const { name } = definition;
  const bySerial = buildIndoms(name, domain, indoms);
  const clusters: (MetricEntry | undefined)[][] = [];
  const entries = metrics.map((row, index): MetricEntry => {
    const pmid = pmidBuild(domain, row.cluster, row.item);
    const indom = row.indom === undefined ? undefined : bySerial.get(row.indom);
    if (row.indom !== undefined && indom === undefined)
      throw bad(
        name,
        `Undefined instance domain serial (${row.indom}) specified for metric ${pmIDStr(pmid)} (e_metrics[${index}])`,
      );
    const own = row.fetch;
    if (own === undefined && definition.fetch === undefined)
      throw bad(name, "using pmdaFetch() but fetch call back not set");
    const entry: MetricEntry = {
      row,
      desc: {
        pmid,
        type: row.type,
        indom: indom?.indom ?? PM_INDOM_NULL,
        sem: row.sem,
        units: row.units ?? 0,
      },
      valfmt: row.valfmt ?? pmValfmt(row.type),
      indom,
      call: own ?? ((instance, by) => definition.fetch?.(row, instance, by)),
      stuck: false,
    };
    while (clusters.length <= row.cluster) clusters.push([]);
    const items = clusters[row.cluster] ?? [];
    if (items[row.item] !== undefined) throw bad(name, `metric ${pmIDStr(pmid)} given twice`);
    // No holes: an index into a dense array is what makes the look-up cheap.
    while (items.length <= row.item) items.push(undefined);
    items[row.item] = entry;
    return entry;
  });
  return {
    domain,
    metrics: entries,
    indoms: [...bySerial.values()],
    metric: (pmid) =>
      pmid >>> 22 === domain ? clusters[(pmid >>> 10) & 0xfff]?.[pmid & 0x3ff] : undefined,
    indom: (indom) =>
      indomDomain(indom) === domain && indom !== PM_INDOM_NULL
        ? bySerial.get(indomSerial(indom))
        : undefined,
  };
}

/**
 * The instances of a domain, in the order in which they are listed and fetched. `request` is a token
 * of the request under way: a function as source is called once for it.
 */
export function instancesOf(entry: IndomEntry, request: unknown): Awaitable<Instances> {
  if (entry.fixed !== undefined) return entry.fixed;
  const source = entry.row.instances;
  const remember = (from: unknown, list: Awaitable<Instances>): Awaitable<Instances> => {
    entry.known = { from, list };
    return list;
  };
  if (typeof source === "function") {
    if (entry.known !== undefined && entry.known.from === request) return entry.known.list;
    const rows = source();
    return remember(request, rows instanceof Promise ? rows.then(checkedList) : checkedList(rows));
  }
  if (!isCache(source)) return listOf(source);
  // A cache hands out the same list until it changes.
  const active = source.active();
  if (entry.known !== undefined && entry.known.from === active) return entry.known.list;
  return remember(active, listOf(active));
}

/** Throws PM_ERR_INST unless `found` can be seen. */
function visible(found: CacheEntry | undefined): CacheEntry {
  if (found?.state !== CACHE_STATE.ACTIVE) throw new PcpError(PM_ERR.INST);
  return found;
}

/** The name of an instance; PM_ERR_INST. */
export function instanceName(
  entry: IndomEntry,
  instance: InstanceId,
  request: unknown,
): Awaitable<string> {
  const source = entry.row.instances;
  if (isCache(source)) return visible(source.byId(instance)).name;
  const pick = ({ ids, names }: Instances): string => {
    const name = names[ids.indexOf(instance)];
    if (name === undefined) throw new PcpError(PM_ERR.INST);
    return name;
  };
  const list = instancesOf(entry, request);
  return list instanceof Promise ? list.then(pick) : pick(list);
}

const firstWord = (name: string): string => name.split(" ", 1)[0] ?? "";

/** The number of an instance by its name, or by its first word alone (spec pmda.md 7.4); PM_ERR_INST. */
export function instanceNumber(
  entry: IndomEntry,
  name: string,
  request: unknown,
): Awaitable<InstanceId> {
  if (name === "") throw new PcpError(PM_ERR.INST);
  const source = entry.row.instances;
  if (isCache(source)) return visible(source.byName(name)).id;
  const pick = ({ ids, names }: Instances): InstanceId => {
    let at = names.indexOf(name);
    if (at < 0 && !name.includes(" ")) at = names.findIndex((each) => firstWord(each) === name);
    const id = ids[at];
    if (id === undefined) throw new PcpError(PM_ERR.INST);
    return id;
  };
  const list = instancesOf(entry, request);
  return list instanceof Promise ? list.then(pick) : pick(list);
}
