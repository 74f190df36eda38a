// What a context has been told about metrics, kept until pmcd says that something has changed or the
// connection is another one: descriptors, names, texts, labels, and the fragments of replies that are
// made of them. Bounded: above a number of metrics everything is asked for again.
import { createHash } from "node:crypto";
import { asPcpError, PcpError, PM_ERR } from "../base/mod.ts";
import type { AboutCalls, Context } from "../context/mod.ts";
import {
  asPmid,
  type Desc,
  type Indom,
  type Label,
  labelsOf,
  labelsText,
  mergeLabels,
  PM_ID_NULL,
  PM_INDOM_NULL,
  PM_LABEL,
  type Pmid,
  pmidBuild,
  pmidDomain,
  type ValueSetCursor,
} from "../pcp/mod.ts";
import type { TextSubject } from "../pdu/mod.ts";

/** Both help texts; empty ones are undefined. */
export interface Texts {
  readonly oneline: string | undefined;
  readonly help: string | undefined;
}

/** A text: in a line, or at length. */
export type TextLevel = "oneline" | "help";

/** A metric that has a descriptor. */
export interface Metric {
  readonly pmid: Pmid;
  readonly desc: Desc;
  /** All its names, in pmcd's order. */
  readonly names: readonly string[];
}

/** The instances of a domain, in pmcd's order. */
export interface InstanceFacts {
  readonly names: ReadonlyMap<number, string>;
  /** What an instance adds to the labels of other levels. */
  readonly labels: ReadonlyMap<number, readonly Label[]>;
}

/** What is kept of one context. Every call rejects with PcpError when the context does. */
export interface Metadata {
  /** PMIDs of names, PM_ID_NULL for those that are no metrics. */
  lookup(names: readonly string[]): Promise<readonly Pmid[]>;
  /** Metrics of PMIDs; undefined for those without a descriptor. */
  metrics(pmids: readonly Pmid[]): Promise<readonly (Metric | undefined)[]>;
  /** Names of the metrics at and below a name; kept for a short time. */
  traverse(name: string): Promise<readonly string[]>;
  texts(subject: TextSubject, ident: Pmid | Indom): Promise<Texts>;
  /** The short text alone: half as much to ask for. */
  oneline(pmid: Pmid): Promise<string | undefined>;
  /** Labels of one level; none where there are none. */
  labels(level: number, ident: number): Promise<readonly Label[]>;
  /** Labels of a metric, merged, without those of instances. */
  metricLabels(metric: Metric): Promise<readonly Label[]>;
  /** Asks for the labels and texts of several metrics at a time, where that is possible. */
  prepare(metrics: readonly Metric[], texts: readonly TextLevel[]): Promise<void>;
  /** Kept for a short time, unless some of those that are needed are not among them. */
  instances(indom: Indom, needed: Iterable<number>): Promise<InstanceFacts>;
  /** The same, at once, when nothing needs to be asked for. */
  instancesNow(indom: Indom, needed: ValueSetCursor): InstanceFacts | undefined;
  /**
   * A value made of metadata, kept with them under a key; `make` is called when it is not there. A
   * value that is undefined is not kept.
   */
  kept<T extends object>(key: string, make: () => Promise<T | undefined>): Promise<T | undefined>;
  /** What is to be fetched for a request, as `keepPlan` was told it last. */
  plan(key: string): object | undefined;
  /** `bytes`: about how much it holds; one that is too large is not kept. */
  keepPlan(key: string, plan: object, bytes: number): void;
  /** Drops everything. */
  forget(): void;
  /** Drops instances: after a change of the profile, which their labels go by. */
  forgetInstances(): void;
  /** Drops everything when `changes` of a fetch or the connection say so. */
  note(changes: number): void;
  /**
   * Asks pmcd whether something has changed, unless it was asked a short while ago. Where it does not answer
   * everything is dropped, so that what is asked for next fails, in its own words.
   */
  refresh(): Promise<void>;
}

/** Questions that are asked together; others wait for them. */
const TOGETHER = 32;
/** Most entries of each kind, then everything is dropped. */
const MAX_ENTRIES = 100_000;
/** How often it is looked whether there are too many: once in so many uses. */
const LOOKS = 64;
/** Most plans: their keys are texts of requests, which may be long and all different. */
const MAX_PLANS = 512;
const MAX_PLAN_BYTES = 16 * 1024 * 1024;
/** How long lists of names are believed, milliseconds: some agents change them without a word. */
export const NAMES_MS = 5_000;
/** Time between two questions whether something has changed, milliseconds. */
const REFRESH_MS = 250;
/** A PMID of pmcd's own agent, which may be asked for at any time. */
const PROBE = pmidBuild(2, 0, 0);

/** Errors that say that one thing is not there, not that the context cannot be asked. */
const NO_ANSWER: readonly number[] = [PM_ERR.IPC, PM_ERR.TIMEOUT, PM_ERR.TOOBIG, PM_ERR.NOCONTEXT];

/** `work`, or `instead` where pmcd has no such thing. */
async function orElse<T>(work: Promise<T>, instead: T): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (NO_ANSWER.includes(asPcpError(error).code)) throw error;
    return instead;
  }
}

/** Asks several things that need not wait for each other. */
async function askAll(
  context: Context,
  questions: readonly ((calls: AboutCalls) => Promise<unknown>)[],
): Promise<void> {
  for (let at = 0; at < questions.length; at += TOGETHER) {
    const some = questions.slice(at, at + TOGETHER);
    const ask = (calls: AboutCalls) => Promise.all(some.map((question) => question(calls)));
    await (context.together === undefined ? ask(context) : context.together(ask));
  }
}

/** Everything that is kept; replaced as a whole. */
const emptyStore = () => ({
  pmids: new Map<string, Pmid>(),
  metrics: new Map<Pmid, Metric>(),
  trees: new Map<string, { readonly at: number; readonly names: readonly string[] }>(),
  texts: new Map<string, { readonly text: string | undefined }>(),
  labels: new Map<string, readonly Label[]>(),
  instances: new Map<Indom, { readonly at: number; readonly facts: InstanceFacts }>(),
  kept: new Map<string, object>(),
  plans: new Map<string, object>(),
  planBytes: 0,
  /** What is being made, so that requests at the same time ask once. */
  making: new Map<string, Promise<object | undefined>>(),
});

const isFull = (store: ReturnType<typeof emptyStore>): boolean =>
  Object.values(store).some((kept) => kept instanceof Map && kept.size > MAX_ENTRIES);

/** SHA-1 of an identifying text (spec webapi.md 15.2, 15.3), 40 hexadecimal digits. */
export const hashOf = (text: string): string => createHash("sha1").update(text).digest("hex");

const isIdentity = ({ flags }: Label): boolean => (flags & PM_LABEL.OPTIONAL) === 0;

/** The text of the labels that belong to an identity, as it goes into hashes. */
export const identityLabels = (labels: readonly Label[]): string =>
  labelsText(labels.filter(isIdentity));

function namesOver(context: Context, store: () => ReturnType<typeof emptyStore>) {
  return {
    async lookup(names: readonly string[]): Promise<readonly Pmid[]> {
      const kept = store().pmids;
      const unknown = names.filter((name) => !kept.has(name));
      if (unknown.length === 0) return names.map((name) => kept.get(name) ?? PM_ID_NULL);
      const found = await orElse(context.lookupNames(unknown), { pmids: [], resolved: 0 });
      const fresh = new Map<string, Pmid>();
      unknown.forEach((name, index) => {
        const pmid = found.pmids[index] ?? PM_ID_NULL;
        fresh.set(name, pmid);
        if (pmid !== PM_ID_NULL) kept.set(name, pmid);
      });
      return names.map((name) => kept.get(name) ?? fresh.get(name) ?? PM_ID_NULL);
    },
    async traverse(name: string): Promise<readonly string[]> {
      const { trees } = store();
      const known = trees.get(name);
      const now = performance.now();
      if (known !== undefined && now - known.at < NAMES_MS) return known.names;
      const names = await context.traverse(name);
      trees.set(name, { at: now, names });
      return names;
    },
    async metrics(pmids: readonly Pmid[]): Promise<readonly (Metric | undefined)[]> {
      const kept = store().metrics;
      const unknown = [...new Set(pmids.filter((pmid) => !kept.has(pmid)))].filter(
        (pmid) => pmid !== PM_ID_NULL,
      );
      if (unknown.length > 0) {
        const descs = await orElse(context.descs(unknown), []);
        const questions = unknown.flatMap((pmid, index) => {
          const desc = descs[index];
          if (desc === undefined || desc.pmid === PM_ID_NULL) return [];
          return async (calls: AboutCalls): Promise<void> => {
            if (kept.has(pmid)) return;
            const names = await orElse(calls.namesOf(pmid), []);
            if (names.length > 0) kept.set(pmid, { pmid, desc, names });
          };
        });
        await askAll(context, questions);
      }
      return pmids.map((pmid) => kept.get(pmid));
    },
  };
}

const labelKey = (level: number, ident: number): string => `${level} ${ident}`;
const textKey = (subject: TextSubject, ident: Pmid | Indom, level: TextLevel): string =>
  `${level} ${subject} ${ident}`;

/** Levels and identifiers of the labels of a metric, the widest first. */
const labelPlaces = ({ pmid, desc }: Metric): readonly (readonly [number, number])[] => [
  [PM_LABEL.CONTEXT, 0],
  [PM_LABEL.DOMAIN, pmidDomain(pmid)],
  ...(desc.indom === PM_INDOM_NULL ? [] : [[PM_LABEL.INDOM, desc.indom] as const]),
  [PM_LABEL.CLUSTER, asPmid(pmid & ~0x3ff)],
  [PM_LABEL.ITEM, pmid],
];

function textsOver(context: Context, store: () => ReturnType<typeof emptyStore>) {
  const labels = async (
    level: number,
    ident: number,
    calls: AboutCalls = context,
  ): Promise<readonly Label[]> => {
    const kept = store().labels;
    const key = labelKey(level, ident);
    const known = kept.get(key);
    if (known !== undefined) return known;
    const sets = await orElse(calls.labels(level, ident), []);
    const found = sets.flatMap((set) => (set.error < 0 ? [] : labelsOf(set)));
    kept.set(key, found);
    return found;
  };
  const text = async (
    subject: TextSubject,
    ident: Pmid | Indom,
    level: TextLevel,
    calls: AboutCalls = context,
  ): Promise<string | undefined> => {
    const kept = store().texts;
    const key = textKey(subject, ident, level);
    const known = kept.get(key);
    if (known !== undefined) return known.text;
    const found = await orElse<string | undefined>(calls.text(subject, ident, level), undefined);
    kept.set(key, { text: found });
    return found;
  };
  return {
    labels,
    oneline: (pmid: Pmid) => text("metric", pmid, "oneline"),
    async texts(subject: TextSubject, ident: Pmid | Indom): Promise<Texts> {
      const [oneline, help] = await Promise.all([
        text(subject, ident, "oneline"),
        text(subject, ident, "help"),
      ]);
      return { oneline, help };
    },
    metricLabels: async (metric: Metric): Promise<readonly Label[]> =>
      mergeLabels(await Promise.all(labelPlaces(metric).map((place) => labels(...place)))),
    async prepare(metrics: readonly Metric[], levels: readonly TextLevel[]): Promise<void> {
      const known = store();
      const questions = new Map<string, (calls: AboutCalls) => Promise<unknown>>();
      for (const metric of metrics) {
        for (const [level, ident] of labelPlaces(metric)) {
          const key = labelKey(level, ident);
          if (!known.labels.has(key)) questions.set(key, (calls) => labels(level, ident, calls));
        }
        const { pmid } = metric;
        for (const level of levels) {
          const key = textKey("metric", pmid, level);
          if (!known.texts.has(key))
            questions.set(key, (calls) => text("metric", pmid, level, calls));
        }
      }
      await askAll(context, [...questions.values()]);
    },
    instancesNow(indom: Indom, needed: ValueSetCursor): InstanceFacts | undefined {
      const known = store().instances.get(indom);
      if (known === undefined || performance.now() - known.at >= NAMES_MS) return undefined;
      const { names } = known.facts;
      for (let i = 0; i < needed.numval; i++) if (!names.has(needed.instance(i))) return undefined;
      return known.facts;
    },
    async instances(indom: Indom, needed: Iterable<number>): Promise<InstanceFacts> {
      const kept = store().instances;
      const known = kept.get(indom);
      const now = performance.now();
      if (known !== undefined && now - known.at < NAMES_MS) {
        let isWhole = true;
        for (const id of needed) isWhole &&= known.facts.names.has(id);
        // One that pmcd has no name for must not make every request ask again.
        if (isWhole || now - known.at < REFRESH_MS) return known.facts;
      }
      const { ids, names } = await orElse(context.instances(indom), { ids: [], names: [] });
      const sets =
        ids.length === 0 ? [] : await orElse(context.labels(PM_LABEL.INSTANCES, indom), []);
      const labels = new Map<number, readonly Label[]>();
      for (const set of sets) if (set.error >= 0) labels.set(set.instance, labelsOf(set));
      const named = new Map<number, string>();
      ids.forEach((id, index) => named.set(id, names[index] ?? ""));
      const facts = { names: named, labels };
      kept.set(indom, { at: now, facts });
      return facts;
    },
  };
}

/** What is kept of `context`; `sessions` counts its connections. */
export function createMetadata(context: Context, sessions: () => number): Metadata {
  let store = emptyStore();
  let session = sessions();
  let asked = performance.now();

  const forget = (): void => {
    store = emptyStore();
  };
  let looks = 0;
  const current = (): ReturnType<typeof emptyStore> => {
    const now = sessions();
    const isOther = session !== now;
    session = now;
    looks = (looks + 1) % LOOKS;
    if (isOther || (looks === 0 && isFull(store))) forget();
    return store;
  };
  const note = (changes: number): void => {
    asked = performance.now();
    if (changes !== 0) forget();
  };
  return {
    ...namesOver(context, current),
    ...textsOver(context, current),
    async kept<T extends object>(key: string, make: () => Promise<T | undefined>) {
      const { kept, making } = current();
      const known = kept.get(key) ?? making.get(key);
      if (known !== undefined) return known as T | Promise<T | undefined>;
      const work = make();
      making.set(key, work);
      try {
        const made = await work;
        if (made !== undefined) kept.set(key, made);
        return made;
      } finally {
        making.delete(key);
      }
    },
    plan: (key) => current().plans.get(key),
    keepPlan(key, plan, bytes) {
      const kept = current();
      const size = bytes + 2 * key.length;
      if (size > MAX_PLAN_BYTES / 4) return;
      if (kept.plans.size >= MAX_PLANS || kept.planBytes + size > MAX_PLAN_BYTES) {
        kept.plans.clear();
        kept.planBytes = 0;
      }
      // One that takes the place of another counts twice, until all go.
      kept.plans.set(key, plan);
      kept.planBytes += size;
    },
    forget,
    forgetInstances: () => store.instances.clear(),
    note,
    async refresh() {
      if (performance.now() - asked < REFRESH_MS) return;
      try {
        const { changes } = await context.fetch([PROBE]);
        note(changes);
      } catch (error) {
        if (!(error instanceof PcpError)) throw error;
        forget();
      }
    },
  };
}
