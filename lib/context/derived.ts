// Derived metrics around any context: global ones, registered before or after it was opened, and
// those of the context alone (pmRegisterDerived(3), pmAddDerived(3)). Names, descriptors, texts and
// values of derived metrics are answered here, all else by the context inside. Refused with
// PM_ERR_BADDERIVE: what does not parse or bind.
import type { Instances } from "../archive/mod.ts";
import { PM_ERR, PcpError } from "../base/mod.ts";
import {
  complaintPicture,
  constantDomains,
  type DerivedSet,
  selectedMetrics,
} from "../derived/mod.ts";
import {
  type Desc,
  DYNAMIC_DOMAIN,
  type Indom,
  type InstanceId,
  NO_DESC,
  PM_ID_NULL,
  PM_LABEL,
  type Pmid,
  pmidDomain,
  type ResultView,
} from "../pcp/mod.ts";
import { checkProfile, type NameLookup } from "../pdu/mod.ts";
import { checkMode, checkTime, closedError } from "./base.ts";
import {
  type Binder,
  createBinder,
  type DerivedMetric,
  type DerivedMetrics,
  unless,
} from "./derived-binding.ts";
import { computeResult, extendRequest, sampleOf } from "./derived-fetch.ts";
import { isBelow, mergeChildren, mergeNames } from "./derived-names.ts";
import { type CallQueue, createCallQueue } from "./queue.ts";
import type { AboutCalls, ArchiveContext, Context } from "./types.ts";

/** How derived metrics are put around a context. */
export interface DerivedOptions {
  /** Hears once of each metric that was asked for and does not bind. */
  readonly warn?: (message: string) => void;
  /** Most metrics that addDerived adds (PCP_DERIVED_CONTEXT_LIMIT); a large number by default. */
  readonly limit?: number;
}

/** Most instance names that are remembered for one domain. */
const MAX_NAMES = 100_000;

/** Codes of a domain that the source does not have (any more). */
const NO_DOMAIN = [PM_ERR.INDOM, PM_ERR.INDOM_LOG, PM_ERR.NOAGENT];

type Names = Map<Indom, Map<InstanceId, string>>;

/** Whether a PMID is of the domain of derived metrics. */
const mayBeDerived = (pmid: Pmid): boolean => pmidDomain(pmid) === DYNAMIC_DOMAIN;

const sessionsOf = (context: Context): number =>
  "sessions" in context && typeof context.sessions === "number" ? context.sessions : 0;

const metaDesc = ({ definition, node }: DerivedMetric): Desc | undefined =>
  node === undefined ? undefined : { pmid: definition.pmid, ...node.meta };

function badDerived({ definition, fault }: DerivedMetric): PcpError {
  return new PcpError(PM_ERR.BADDERIVE, `derived metric ${definition.name}: ${fault}`);
}

/** Remembers the names of all instances of a domain; for an archive those of all times. */
async function readNames(inner: Context, indom: Indom, names: Names): Promise<void> {
  const list = (): Promise<Instances> =>
    inner.type === "archive"
      ? (inner as ArchiveContext).archiveInstances(indom)
      : inner.instances(indom);
  const found = await unless(list, NO_DOMAIN);
  const known = new Map<InstanceId, string>();
  for (let i = 0; i < Math.min(found?.ids.length ?? 0, MAX_NAMES); i++) {
    const instance = found?.ids[i];
    const name = found?.names[i];
    if (instance !== undefined && name !== undefined) known.set(instance, name);
  }
  names.set(indom, known);
}

/** Has the names of all instances whose names an expression looks at; asks for each domain once. */
async function prepareNames(
  inner: Context,
  derived: readonly (DerivedMetric | undefined)[],
  result: ResultView,
  names: Names,
): Promise<void> {
  const asked = new Set<Indom>();
  for (const metric of derived) {
    if (metric?.node === undefined) continue;
    for (const [pmid, domain] of selectedMetrics(metric.node)) {
      const set = result.find(pmid);
      if (set === undefined || asked.has(domain)) continue;
      const known = names.get(domain);
      let missing = known === undefined;
      for (let i = 0; i < set.numval && !missing; i++) missing = !known?.has(set.instance(i));
      if (!missing) continue;
      asked.add(domain);
      await readNames(inner, domain, names);
    }
  }
}

/** The present instances of the domains that constants are spread over. */
async function presentInstances(
  inner: Context,
  derived: readonly (DerivedMetric | undefined)[],
): Promise<ReadonlyMap<Indom, readonly InstanceId[]>> {
  const found = new Map<Indom, readonly InstanceId[]>();
  for (const metric of derived) {
    if (metric?.node === undefined) continue;
    for (const indom of constantDomains(metric.node)) {
      const list = await unless(() => inner.instances(indom), NO_DOMAIN);
      found.set(indom, list?.ids ?? []);
    }
  }
  return found;
}

/** Calls that answer at once and move nothing. */
const AT_ONCE: readonly string[] = ["label", "end"];

/** The calls of `inner` that are not in `own`, on `inner`, in their turn. */
function forwarded<C extends Context>(inner: C, own: object, queue: CallQueue): C {
  const outer = Object.create(null) as Record<string, unknown>;
  for (let level: object | null = inner; level !== null; level = Object.getPrototypeOf(level)) {
    if (level === Object.prototype) break;
    for (const [key, { value }] of Object.entries(Object.getOwnPropertyDescriptors(level))) {
      if (key in outer || key in own || key === "constructor") continue;
      if (typeof value !== "function") {
        const get = (): unknown => Reflect.get(inner, key);
        Object.defineProperty(outer, key, { enumerable: true, configurable: true, get });
      } else if (AT_ONCE.includes(key)) outer[key] = value.bind(inner);
      else {
        // The source keeps the order of its calls itself: only behind one of several steps they wait.
        outer[key] = (...args: unknown[]) =>
          queue.idle ? value.apply(inner, args) : queue.run(() => value.apply(inner, args));
      }
    }
  }
  Object.defineProperties(outer, Object.getOwnPropertyDescriptors(own));
  return outer as unknown as C;
}

/** The calls about one thing each. */
function aboutCalls(
  inner: AboutCalls,
  current: () => DerivedMetrics | Promise<DerivedMetrics>,
): AboutCalls {
  return {
    async namesOf(pmid: Pmid): Promise<readonly string[]> {
      const metric = (await current()).byPmid.get(pmid);
      return metric === undefined ? inner.namesOf(pmid) : [metric.definition.name];
    },

    async text(
      subject: Parameters<Context["text"]>[0],
      ident: Pmid | Indom,
      level: "oneline" | "help",
      direct = false,
    ): Promise<string> {
      const metric = subject === "metric" ? (await current()).byPmid.get(ident as Pmid) : undefined;
      if (metric === undefined) return inner.text(subject, ident, level, direct);
      const { name, oneline, help } = metric.definition;
      const text = level === "oneline" ? oneline : (help ?? (direct ? undefined : oneline));
      if (text === undefined) throw new PcpError(PM_ERR.TEXT, `derived metric ${name} has no text`);
      return text;
    },

    async labels(level: number, ident: number) {
      const derived =
        level === PM_LABEL.DOMAIN
          ? ident === DYNAMIC_DOMAIN
          : (level === PM_LABEL.CLUSTER || level === PM_LABEL.ITEM) &&
            pmidDomain(ident as Pmid) === DYNAMIC_DOMAIN;
      return derived ? [] : inner.labels(level, ident);
    },
  };
}

/** The metadata half of the calls. */
function metadataCalls(inner: Context, current: () => Promise<DerivedMetrics>, binder: Binder) {
  /** The names of metrics that bind; what does not is told. */
  const visible = (metrics: DerivedMetrics, root: string): string[] =>
    metrics.all.flatMap((metric) => {
      const { name } = metric.definition;
      if (!isBelow(name, root)) return [];
      binder.tell(metric);
      return metric.node === undefined ? [] : [name];
    });

  return {
    async lookupNames(names: readonly string[]): Promise<NameLookup> {
      const metrics = await current();
      const failed: PcpError[] = [];
      let pmids: readonly Pmid[];
      try {
        ({ pmids } = await inner.lookupNames(names));
      } catch (error) {
        if (!(error instanceof PcpError)) throw error;
        if (error.code !== PM_ERR.NAME && error.code !== PM_ERR.NONLEAF) throw error;
        failed.push(error);
        pmids = names.map(() => PM_ID_NULL);
      }
      const found = names.map((name, i) => {
        const pmid = pmids[i] ?? PM_ID_NULL;
        return pmid === PM_ID_NULL ? (metrics.byName.get(name)?.definition.pmid ?? pmid) : pmid;
      });
      const resolved = found.filter((pmid) => pmid !== PM_ID_NULL).length;
      if (failed[0] !== undefined && resolved === 0) throw failed[0];
      return { pmids: found, resolved };
    },

    async children(name: string) {
      const metrics = await current();
      const source = await unless(() => inner.children(name), [PM_ERR.NAME]);
      return mergeChildren(name, source, visible(metrics, name));
    },

    async traverse(name: string): Promise<readonly string[]> {
      const derived = visible(await current(), name);
      if (derived.length === 0) return inner.traverse(name);
      const names = await unless(() => inner.traverse(name), [PM_ERR.NAME]);
      return mergeNames(names ?? [], derived);
    },

    async desc(pmid: Pmid): Promise<Desc> {
      const metric = (await current()).byPmid.get(pmid);
      if (metric === undefined) return inner.desc(pmid);
      binder.tell(metric);
      const desc = metaDesc(metric);
      if (desc === undefined) throw badDerived(metric);
      return desc;
    },

    async descs(pmids: readonly Pmid[]): Promise<readonly Desc[]> {
      const metrics = await current();
      const derived = pmids.map((pmid) => metrics.byPmid.get(pmid));
      const others = pmids.filter((_, i) => derived[i] === undefined);
      if (others.length === pmids.length) return inner.descs(pmids);
      const [first] = derived;
      if (pmids.length === 1 && first !== undefined && first.node === undefined) {
        throw badDerived(first);
      }
      const codes = [PM_ERR.PMID, PM_ERR.NOAGENT, PM_ERR.PMID_LOG];
      const found =
        others.length === 0 ? [] : ((await unless(() => inner.descs(others), codes)) ?? []);
      let next = 0;
      return derived.map((metric) => {
        if (metric === undefined) return found[next++] ?? NO_DESC;
        binder.tell(metric);
        return metaDesc(metric) ?? NO_DESC;
      });
    },

    ...aboutCalls(inner, current),
  };
}

/** Adds a metric of the context alone, as pmAddDerivedMetric(3), with its messages. */
async function addDerived(
  binder: Binder,
  current: () => Promise<DerivedMetrics>,
  name: string,
  text: string,
): Promise<void> {
  const call = `pmAddDerivedMetric("${name}", ...)`;
  const definition = binder.own.define(name, text);
  if (!("pmid" in definition)) {
    const syntax = `Syntax Error: ${call}\n${complaintPicture(text, definition)}`;
    const other = `Error: ${call}: returns ${PM_ERR.BADDERIVE}\n${definition.reason}\n`;
    const isOther = / per-context derived metric/.test(definition.reason);
    throw new PcpError(PM_ERR.BADDERIVE, isOther ? other : syntax);
  }
  const metric = (await current()).byPmid.get(definition.pmid);
  if (metric === undefined || metric.node !== undefined) return;
  metric.told = true;
  // This call tells the reason alone, without the operands.
  const reason = metric.fault.slice(metric.fault.lastIndexOf(": ") + 2);
  const picture = complaintPicture(text, { offset: 0, reason });
  throw new PcpError(PM_ERR.BADDERIVE, `Semantic Error: ${call}\n${picture}`);
}

/**
 * A context with derived metrics: those of `shared` and what addDerived adds. It takes `inner` over:
 * closing it closes `inner`. A metric of the source hides a derived one of the same name; metrics
 * that do not bind have a PMID, but no descriptor and no place in the name space. delta and rate
 * compare with the last fetch that had the metric, whatever setMode did between; reconnecting
 * starts them again.
 */
export function withDerived<C extends Context>(
  inner: C,
  shared: DerivedSet,
  options: DerivedOptions = {},
): C {
  const binder = createBinder(inner, shared, options.warn ?? (() => undefined), options.limit);
  const queue = createCallQueue();
  const names: Names = new Map();
  let sessions = sessionsOf(inner);
  const forget = (): void => {
    sessions = sessionsOf(inner);
    names.clear();
    binder.forget();
  };
  const current = (): Promise<DerivedMetrics> => {
    if (sessionsOf(inner) !== sessions) forget();
    return binder.metrics();
  };

  const fetch: Context["fetch"] = async (pmids) => {
    const metrics = await current();
    const derived = pmids.map((pmid) => metrics.byPmid.get(pmid));
    if (derived.every((metric) => metric === undefined)) return inner.fetch(pmids);
    for (const metric of derived) if (metric !== undefined) binder.tell(metric);
    const reply = await inner.fetch(extendRequest(pmids, derived));
    await prepareNames(inner, derived, reply.result, names);
    const present = await presentInstances(inner, derived);
    const sample = sampleOf(reply.result, {
      instances: (indom) => present.get(indom) ?? [],
      name: (indom, instance) => names.get(indom)?.get(instance),
    });
    return { changes: reply.changes, result: computeResult(reply.result, derived, sample) };
  };
  const calls = metadataCalls(inner, current, binder);
  const together =
    (run: NonNullable<Context["together"]>): typeof run =>
    (work) =>
      queue.run(async () => {
        // Inside, nothing else can be asked for.
        const metrics = await current();
        return run((source) => work(aboutCalls(source, () => metrics)));
      });
  const own = {
    lookupNames: (list: readonly string[]) => queue.run(() => calls.lookupNames(list)),
    namesOf: (pmid: Pmid) => queue.run(() => calls.namesOf(pmid)),
    children: (name: string) => queue.run(() => calls.children(name)),
    traverse: (name: string) => queue.run(() => calls.traverse(name)),
    desc: (pmid: Pmid) => queue.run(() => calls.desc(pmid)),
    descs: (pmids: readonly Pmid[]) => queue.run(() => calls.descs(pmids)),
    text: (...args: Parameters<Context["text"]>) => queue.run(() => calls.text(...args)),
    labels: (level: number, ident: number) => queue.run(() => calls.labels(level, ident)),
    ...(inner.together === undefined ? {} : { together: together(inner.together) }),
    fetch: (pmids: readonly Pmid[]) =>
      queue.idle && !pmids.some(mayBeDerived) ? inner.fetch(pmids) : queue.run(() => fetch(pmids)),
    setMode: (...args: Parameters<Context["setMode"]>) => {
      checkMode(inner.type, args[0]);
      checkTime(args[1]);
      checkTime(args[2]);
      queue.note(() => inner.setMode(...args));
    },
    addProfile: (...args: Parameters<Context["addProfile"]>) => {
      checkProfile(...args);
      queue.note(() => inner.addProfile(...args));
    },
    deleteProfile: (...args: Parameters<Context["addProfile"]>) => {
      checkProfile(...args);
      queue.note(() => inner.deleteProfile(...args));
    },
    addDerived: (name: string, text: string) =>
      queue.run(() => addDerived(binder, current, name, text)),
    duplicate: () =>
      queue.run(async () => withDerived((await inner.duplicate()) as C, shared, options)),
    reconnect: () =>
      queue.run(async () => {
        await inner.reconnect();
        forget();
      }),
    close: () => {
      void queue.close(closedError());
      return inner.close();
    },
  } satisfies Partial<Context>;
  return forwarded(inner, own, queue);
}
