// Metrics and instances of an archive as they are met, record by record, in the order in which loading would
// write them to a key server (spec series.md 3.3, 4.3): identifiers and labels depend on that order. What was
// met stays as it is when the archive grows, so that who keeps a surveyor goes on where it was. Refuses what
// reading a record refuses.
import {
  type ArchiveLabel,
  type ArchiveLabelSet,
  type Catalog,
  compareTimes,
} from "../archive/mod.ts";
import {
  asIndom,
  type Desc,
  type Indom,
  type InstanceId,
  type Label,
  labelsOf,
  PM_INDOM_NULL,
  PM_LABEL,
  type Pmid,
  pmIDStr,
  pmidDomain,
  pmInDomStr,
  pmSemStr,
  pmTypeStr,
  pmUnitsStr,
  type ResultView,
  type Timestamp,
} from "../pcp/mod.ts";
import {
  identityLabels,
  instanceId,
  metricId,
  type SeriesDescriptor,
  type SeriesId,
  type SeriesLabel,
  sourceId,
} from "../series/mod.ts";

/** An instance as the archive has it when it is first seen. */
export interface SurveyedInstance {
  readonly id: SeriesId;
  readonly inst: number;
  readonly name: string;
  readonly labels: readonly SeriesLabel[];
}

/** A metric under one of its names. */
export interface SurveyedSeries {
  readonly id: SeriesId;
  readonly name: string;
  readonly pmid: Pmid;
  readonly descriptor: SeriesDescriptor;
  /** Labels recorded on the series itself: of a metric without instances. */
  readonly labels: readonly SeriesLabel[];
  /** Instances in the order in which they are first seen; shared by the names of a metric. */
  readonly instances: readonly SurveyedInstance[];
  /** All labels with which its instances were written, those of each write together: they select it. */
  readonly told: readonly (readonly SeriesLabel[])[];
}

/** Labels of each name, as the first set that has the name says (3.3). */
function recorded(sets: Iterable<readonly Label[]>): SeriesLabel[] {
  const labels = new Map<string, SeriesLabel>();
  for (const set of sets)
    for (const { name, value } of set)
      if (!labels.has(name)) labels.set(name, { name, value: value === "" ? "null" : value });
  return [...labels.values()];
}

/** How clusters are named in label records: by their first metric. */
const clusterOf = (pmid: Pmid): number => (pmid & ~0x3ff) >>> 0;

type FindLabels = (type: number, ident: number) => readonly Label[];

/** Looks labels up at a moving time; what was found once is kept for good. */
function labelFinder(
  catalog: Catalog,
  state: State,
): { readonly find: FindLabels; /** Those that were found before. */ readonly known: FindLabels } {
  const { found } = state;
  const known: FindLabels = (type, ident) => found.get(`${type}.${ident}`) ?? NONE;
  const find: FindLabels = (type, ident) => {
    const key = `${type}.${ident}`;
    const before = found.get(key);
    if (before !== undefined) return before;
    const sets =
      catalog.labelsAt(type, ident, state.time) ??
      (state.last ? catalog.labelRecords(type, ident)[0]?.sets : undefined);
    if (sets === undefined) return NONE;
    const labels = sets.flatMap((set) => (set.error < 0 ? [] : labelsOf(set)));
    found.set(key, labels);
    return labels;
  };
  return { find, known };
}

/** A metric that has been met, with its instances by number. */
interface Met {
  readonly names: readonly string[];
  readonly desc: Desc;
  readonly identity: string;
  labels: readonly SeriesLabel[];
  readonly slots: Map<number, MetInstance>;
  /** The marks of its domain that it has seen. */
  seen: number;
  /** Instances that had no name when they were met. */
  readonly nameless: Set<number>;
  /** Labels with which its instances were written: each as a whole. */
  readonly told: Set<readonly SeriesLabel[]>;
}

function descriptorOf({ pmid, indom, sem, type, units }: Desc, source: string): SeriesDescriptor {
  const typeText = pmTypeStr(type).toLowerCase();
  return {
    indom: indom === PM_INDOM_NULL ? "none" : pmInDomStr(indom),
    pmid: pmIDStr(pmid),
    semantics: pmSemStr(sem),
    source,
    type: typeText === "no_support" ? "unsupported" : typeText,
    units: pmUnitsStr(units) || "none",
  };
}

function seriesOf(metric: Met, source: SeriesId): SurveyedSeries[] {
  const { names, desc, identity, labels, slots } = metric;
  const descriptor = descriptorOf(desc, source);
  const instances = [...slots.values()];
  const told = [...metric.told];
  return names.map((name): SurveyedSeries => {
    const { semantics } = descriptor;
    const units = pmUnitsStr(desc.units);
    const type = pmTypeStr(desc.type);
    const id = metricId({ name, labels: identity, semantics, type, units });
    return { id, name, pmid: desc.pmid, descriptor, labels, instances, told };
  });
}

/** An instance; its labels are those that it had when it was written last. */
interface MetInstance extends SurveyedInstance {
  labels: readonly SeriesLabel[];
  /** What they were made of: those of the domain, and own ones. */
  common: readonly SeriesLabel[];
  said: readonly Label[] | undefined;
  own: readonly Label[] | undefined;
}

/** An instance domain, with the labels that all its instances have. */
interface Domain {
  readonly instances: Map<number, MetInstance>;
  sets: readonly (readonly Label[])[];
  identity: string;
  labels: readonly SeriesLabel[];
  /** Instances that the next metric that has them writes, as loading does. */
  readonly due: Set<number>;
  /** Counts when there were more of them. */
  marks: number;
}

/** All that was met so far, and where in the archive that is. */
interface State {
  time: Timestamp;
  /** Behind all data: labels and names are taken from wherever they are. */
  last: boolean;
  /** The latest time of all data that were looked at. */
  latest: Timestamp;
  /** Whether data have metrics that nothing is known of. */
  strange: boolean;
  /** Counts what was met, changed or written again. */
  changes: number;
  readonly met: Map<Pmid, Met>;
  readonly domains: Map<Indom, Domain>;
  /** Instances in the order in which they were written last. */
  readonly written: Set<MetInstance>;
  /** Labels that were found, by level and identifier. */
  readonly found: Map<string, readonly Label[]>;
}

const startAt = (time: Timestamp): State => ({
  time,
  last: false,
  latest: time,
  strange: false,
  changes: 0,
  met: new Map(),
  domains: new Map(),
  written: new Set(),
  found: new Map(),
});

const mapped = <K, V>(map: ReadonlyMap<K, V>, of: (value: V) => V): Map<K, V> =>
  new Map([...map].map(([key, value]) => [key, of(value)]));

/** A state that can go on without changing the one that it came from. */
function copyOf(state: State): State {
  const copies = new Map<MetInstance, MetInstance>();
  const copy = (each: MetInstance): MetInstance => {
    const made = copies.get(each) ?? { ...each };
    copies.set(each, made);
    return made;
  };
  return {
    ...state,
    met: mapped(state.met, (each) => ({
      ...each,
      slots: mapped(each.slots, copy),
      nameless: new Set(each.nameless),
      told: new Set(each.told),
    })),
    domains: mapped(state.domains, (each) => ({
      ...each,
      instances: mapped(each.instances, copy),
      due: new Set(each.due),
    })),
    written: new Set([...state.written].map(copy)),
    found: new Map(state.found),
  };
}

const NONE: readonly Label[] = [];
const NO_SETS: readonly ArchiveLabelSet[] = [];
/** What a metric has seen of its domain before it is written. */
const NEW = -1;

/** Meets instances, in the order in which loading would. */
function instancesMet(
  catalog: Catalog,
  context: readonly Label[],
  state: State,
  { find, known }: ReturnType<typeof labelFinder>,
) {
  const { domains, written } = state;

  const domainOf = (indom: Indom): Domain => {
    const before = domains.get(indom);
    if (before !== undefined) return before;
    const instances = new Map<number, MetInstance>();
    const made = {
      instances,
      sets: [],
      identity: "",
      labels: [],
      due: new Set<number>(),
      marks: 0,
    };
    domains.set(indom, made);
    return made;
  };

  /** Labels that all instances of a domain have; made again when more of them are found. */
  const findCommon = (indom: Indom, domain: Domain, look = find): void => {
    const sets = [context, find(PM_LABEL.DOMAIN, indom >>> 22), look(PM_LABEL.INDOM, indom)];
    const { sets: before } = domain;
    if (sets.length === before.length && sets.every((set, at) => set === before[at])) return;
    domain.sets = sets;
    domain.identity = identityLabels(sets);
    domain.labels = recorded(sets);
  };

  /** Labels of single instances at the position; those of the last domain and time are kept. */
  let labelled = { indom: PM_INDOM_NULL, at: state.time, last: false, sets: NO_SETS };
  const instanceSets = (indom: Indom): typeof NO_SETS => {
    const { time, last } = state;
    if (labelled.indom !== indom || labelled.at !== time || labelled.last !== last) {
      const sets =
        catalog.labelsAt(PM_LABEL.INSTANCES, indom, time) ??
        (last ? catalog.labelRecords(PM_LABEL.INSTANCES, indom)[0]?.sets : undefined);
      labelled = { indom, at: time, last, sets: sets ?? NO_SETS };
    }
    return labelled.sets;
  };

  /** Looks labels up; instances without own ones get them, all that have some are due. */
  const findOwn = (indom: Indom, { instances, due }: Domain): void => {
    for (const set of instanceSets(indom)) {
      const instance = instances.get(set.instance);
      if (instance === undefined || set.error < 0) continue;
      const own = labelsOf(set);
      // Empty ones are none.
      if (own.length === 0) continue;
      instance.own ??= own;
      due.add(set.instance);
    }
  };

  const write = (instance: MetInstance, { sets, labels, due }: Domain): void => {
    // Labels of its domain are taken up again only when it is due.
    if (!due.delete(instance.inst)) return;
    state.changes++;
    // Of those with one identifier the one that is written last counts.
    written.delete(instance);
    written.add(instance);
    const { common, said, own } = instance;
    if (common === labels && said === own) return;
    instance.labels = own === undefined ? labels : recorded([...sets, own]);
    instance.common = labels;
    instance.said = own;
  };

  /** A metric has values of instances: of new ones, ascending, and of ones that may be due. */
  const meetInstances = (
    metric: Met,
    fresh: readonly number[],
    namesNow: () => ReadonlyMap<number, string>,
  ): void => {
    const { desc, slots, nameless } = metric;
    const indom = asIndom(desc.indom);
    const domain = domainOf(indom);
    const { instances, due } = domain;
    // One without a name is not asked for again, unless records of names were left out before.
    if (fresh.some((inst) => state.last || !nameless.has(inst))) {
      // Those of the domain are looked up before its instances only for a new metric.
      findCommon(indom, domain, metric.seen === NEW ? find : known);
      // Identifiers are fixed now, also of those that have values later.
      const isMet = fresh.every((inst) => instances.has(inst));
      for (const [inst, name] of isMet ? [] : namesNow()) {
        if (instances.has(inst)) continue;
        const id = instanceId(name, domain.identity);
        const { labels } = domain;
        const bare = { labels, common: labels, said: undefined, own: undefined };
        instances.set(inst, { id, inst, name, ...bare });
        due.add(inst);
        state.changes++;
      }
      findCommon(indom, domain);
      findOwn(indom, domain);
      domain.marks++;
    }
    for (const inst of fresh) {
      const instance = instances.get(inst);
      if (instance === undefined) nameless.add(inst);
      else {
        slots.set(inst, instance);
        state.changes++;
      }
    }
    const shown = metric.seen === NEW ? slots.keys() : [...due].filter((inst) => slots.has(inst));
    metric.seen = domain.marks;
    for (const inst of shown) {
      const instance = slots.get(inst);
      if (instance === undefined) continue;
      write(instance, domain);
      if (metric.told.has(instance.labels)) continue;
      metric.told.add(instance.labels);
      state.changes++;
    }
  };

  return { domainOf, meetInstances };
}

/** What the archive of a catalog says of itself at its start: its labels, else its host. */
function contextOf(catalog: Catalog, { start, host }: ArchiveLabel): readonly Label[] {
  // Import libraries write another identifier than pmlogger does; for loading it means the same.
  const key = [...catalog.labelKeys()].find(({ type }) => type === PM_LABEL.CONTEXT);
  const sets = key && catalog.labelsAt(PM_LABEL.CONTEXT, key.ident, start);
  return (
    sets?.flatMap((set) => labelsOf(set)) ?? [
      { name: "hostname", value: `"${host}"`, flags: PM_LABEL.CONTEXT },
    ]
  );
}

/** Meets metrics and instances, in the order in which loading would. */
export interface Surveyor {
  readonly state: Readonly<State>;
  readonly source: SeriesId;
  /** Takes up what a record shows of the metrics that are wanted, which are given with their names. */
  record(result: ResultView, wanted: ReadonlyMap<Pmid, readonly string[]>): void;
  /** Takes up what the metadata have beyond the data: all instances that each domain ever has. */
  rest(
    wanted: ReadonlyMap<Pmid, readonly string[]>,
    everyInstance: (indom: Indom) => ReadonlyMap<number, string>,
  ): void;
  series(): SurveyedSeries[];
  /** One that can go on by itself. */
  copy(): Surveyor;
}

/** A surveyor of the archive of a label, at its start. */
export const surveyorOf = (catalog: Catalog, label: ArchiveLabel): Surveyor =>
  surveyor(catalog, contextOf(catalog, label), startAt(label.start));

function surveyor(catalog: Catalog, context: readonly Label[], state: State): Surveyor {
  const finder = labelFinder(catalog, state);
  const { find } = finder;
  const { met } = state;
  const source = sourceId(identityLabels([context]));
  const { domainOf, meetInstances } = instancesMet(catalog, context, state, finder);

  const setsOf = ({ pmid, indom }: Desc): (readonly Label[])[] => [
    context,
    find(PM_LABEL.DOMAIN, pmidDomain(pmid)),
    indom === PM_INDOM_NULL ? NONE : find(PM_LABEL.INDOM, indom),
    find(PM_LABEL.CLUSTER, clusterOf(pmid)),
    find(PM_LABEL.ITEM, pmid),
  ];

  /** `plain`: it has no instances, or begins with an error. */
  const meet = (desc: Desc, names: readonly string[], plain: boolean): Met => {
    const sets = setsOf(desc);
    const found: Met = {
      names,
      desc,
      identity: identityLabels(sets),
      labels: plain ? recorded(sets) : [],
      slots: new Map(),
      seen: plain ? 0 : NEW,
      nameless: new Set(),
      told: new Set(),
    };
    met.set(desc.pmid, found);
    state.changes++;
    return found;
  };

  return {
    state,
    source,
    record(result, wanted) {
      state.time = result.timestamp;
      if (compareTimes(state.time, state.latest) > 0) state.latest = state.time;
      for (const set = result.sets(); set.next();) {
        if (set.numval === 0) continue;
        const names = wanted.get(set.pmid);
        const desc = catalog.descs.get(set.pmid);
        state.strange ||= desc === undefined;
        if (names === undefined || desc === undefined) continue;
        const { indom } = desc;
        const plain = indom === PM_INDOM_NULL || set.numval < 0;
        const metric = met.get(set.pmid) ?? meet(desc, names, plain);
        if (plain) continue;
        const fresh: number[] = [];
        for (let i = 0; i < set.numval; i++)
          if (!metric.slots.has(set.instance(i))) fresh.push(set.instance(i));
        if (fresh.length === 0 && metric.seen === domainOf(indom).marks) continue;
        fresh.sort((a, b) => a - b);
        meetInstances(metric, fresh, () => namesAt(catalog, indom, state.time));
      }
    },
    rest(wanted, everyInstance) {
      state.last = true;
      for (const [pmid, names] of wanted) {
        const desc = catalog.descs.get(pmid);
        if (desc === undefined) continue;
        const plain = desc.indom === PM_INDOM_NULL;
        const metric = met.get(pmid) ?? meet(desc, names, plain);
        if (plain) continue;
        const all = everyInstance(desc.indom);
        const fresh = [...all.keys()].filter((inst) => !metric.slots.has(inst));
        if (fresh.length > 0) meetInstances(metric, fresh, () => all);
      }
    },
    series: () => [...met.values()].flatMap((each) => seriesOf(each, source)),
    copy: () => surveyor(catalog, context, copyOf(state)),
  };
}

function namesAt(catalog: Catalog, indom: Indom, time: Timestamp): Map<number, string> {
  const { ids, names } = catalog.indoms.get(indom)?.at(time) ?? { ids: [], names: [] };
  return new Map(ids.map((inst: InstanceId, index) => [inst, names[index] ?? ""]));
}
