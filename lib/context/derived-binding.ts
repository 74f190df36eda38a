// The derived metrics of one context: definitions bound to the metrics that the source has. Binding is
// done when something is asked for and kept until the source may be another one. A definition that
// does not bind has a name and no descriptor (PM_ERR_BADDERIVE); what is wrong is told once, when it
// is first asked for.
import { PM_ERR, PcpError } from "../base/mod.ts";
import {
  bindExpression,
  type BoundNode,
  createDerivedSet,
  type Definition,
  type DerivedSet,
  type Lookup,
  type Meta,
  type Metrics,
  metricsOf,
} from "../derived/mod.ts";
import { type Desc, PM_ID_NULL, type Pmid } from "../pcp/mod.ts";
import type { Context } from "./types.ts";

/** A definition in a context. */
export interface DerivedMetric {
  readonly definition: Definition;
  /** Absent when the definition does not bind. */
  readonly node: BoundNode | undefined;
  /** Why it does not. */
  readonly fault: string;
  told: boolean;
}

/** All derived metrics of a context. Those of the context itself hide global ones of the same name. */
export interface DerivedMetrics {
  /** In the order of definition, global ones first. */
  readonly all: readonly DerivedMetric[];
  readonly byName: ReadonlyMap<string, DerivedMetric>;
  readonly byPmid: ReadonlyMap<Pmid, DerivedMetric>;
}

/** Binds definitions when they are asked for. */
export interface Binder {
  /** The definitions of this context alone. */
  readonly own: DerivedSet;
  /** The derived metrics as they are now. */
  metrics(): Promise<DerivedMetrics>;
  /** Says why a metric does not bind, unless that was said. */
  tell(metric: DerivedMetric): void;
  /** Forgets what was bound, and all values that were remembered. */
  forget(): void;
}

/** Descriptors of the metrics behind names; a text for one whose descriptor cannot be had. */
async function descriptorsOf(
  inner: Context,
  names: readonly string[],
): Promise<Map<string, Desc | string>> {
  const found = new Map<string, Desc | string>();
  if (names.length === 0) return found;
  const pmids = await unless(
    async () => (await inner.lookupNames(names)).pmids,
    [PM_ERR.NAME, PM_ERR.NONLEAF],
  );
  const known = names.flatMap((name, i) => {
    const pmid = pmids?.[i] ?? PM_ID_NULL;
    return pmid === PM_ID_NULL ? [] : [{ name, pmid }];
  });
  if (known.length === 0) return found;
  const descs = await unless(
    () => inner.descs(known.map(({ pmid }) => pmid)),
    [PM_ERR.PMID, PM_ERR.NOAGENT, PM_ERR.PMID_LOG],
  );
  known.forEach(({ name, pmid }, i) => {
    const desc = descs?.[i];
    const missing = desc === undefined || desc.pmid !== pmid;
    found.set(name, missing ? "Metadata for operand metric not available" : desc);
  });
  return found;
}

/** What `ask` answers; undefined when it fails with one of these codes. */
export async function unless<T>(
  ask: () => Promise<T>,
  codes: readonly number[],
): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof PcpError && codes.includes(error.code)) return undefined;
    throw error;
  }
}

function bind(definition: Definition, metrics: Metrics): DerivedMetric {
  try {
    const node = bindExpression(definition.expr, metrics);
    return { definition, node, fault: "", told: false };
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
    return { definition, node: undefined, fault: error.message, told: false };
  }
}

/** A binder of global definitions and of those that the context gets itself. */
export function createBinder(
  inner: Context,
  shared: DerivedSet,
  warn: (message: string) => void,
  limit?: number,
): Binder {
  const own = createDerivedSet("context", limit);
  const sets = [shared, own];
  const done = [0, 0];
  let bound: DerivedMetric[][] = [[], []];
  /** Metrics by their definitions; undefined while one is being bound. */
  let ready = new Map<Definition, DerivedMetric | undefined>();
  let all: DerivedMetric[] = [];
  let byName = new Map<string, DerivedMetric>();
  let byPmid = new Map<Pmid, DerivedMetric>();
  let current: DerivedMetrics = { all, byName, byPmid };

  const collect = (): void => {
    const both = bound.flat();
    byName = new Map(both.map((metric) => [metric.definition.name, metric]));
    all = both.filter((metric) => byName.get(metric.definition.name) === metric);
    byPmid = new Map(both.map((metric) => [metric.definition.pmid, metric]));
    current = { all, byName, byPmid };
  };
  /** The same where nothing but this has come, at the end: else many, one by one, would take long. */
  const append = (metrics: readonly DerivedMetric[]): void => {
    if (metrics.some(({ definition: { name } }) => byName.has(name))) return collect();
    for (const metric of metrics) {
      all.push(metric);
      byName.set(metric.definition.name, metric);
      byPmid.set(metric.definition.pmid, metric);
    }
  };
  const forget = (): void => {
    done.fill(0);
    bound = [[], []];
    ready = new Map();
    collect();
  };

  return {
    own,
    forget,
    async metrics() {
      const waiting = sets.map((set, i) => set.definitions.slice(done[i]));
      if (waiting.every((list) => list.length === 0)) return current;
      const names = new Set<string>();
      for (const { expr } of waiting.flat()) metricsOf(expr, names);
      const found = await descriptorsOf(inner, [...names]);
      const isDerived = (name: string): boolean => sets.some((set) => set.find(name) !== undefined);
      const lookup: Lookup = (name) =>
        found.get(name) ?? (isDerived(name) ? "Illegal nested derived metric" : undefined);
      // mkconst and novalue may take metadata of a derived metric, which is bound then, before its turn.
      const metadata = (name: string): Meta | undefined => {
        const desc = found.get(name);
        if (typeof desc === "object") return desc;
        const definition = own.find(name) ?? shared.find(name);
        return definition === undefined ? undefined : bindOnce(definition)?.node?.meta;
      };
      const bindOnce = (definition: Definition): DerivedMetric | undefined => {
        if (ready.has(definition)) return ready.get(definition);
        ready.set(definition, undefined); // a circle ends here
        const metric = bind(definition, { lookup, metadata });
        ready.set(definition, metric);
        return metric;
      };
      const fresh = waiting.map((list, i) => {
        const metrics = list.map(bindOnce).filter((metric) => metric !== undefined);
        bound[i]?.push(...metrics);
        done[i] = bound[i]?.length ?? 0;
        return metrics;
      });
      if (fresh[0]?.length === 0) append(fresh[1] ?? []);
      else collect();
      return current;
    },
    tell(metric) {
      if (metric.node !== undefined || metric.told) return;
      metric.told = true;
      warn(`Semantic error: derived metric ${metric.definition.name}: ${metric.fault}`);
    },
  };
}
