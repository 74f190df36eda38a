// What one archive would put on a key server (spec series.md 3.3, 4): its source, the series with their
// labels, and which instances each has. Metadata are read whole, data records only up to a limit: series
// and instances that come later are taken from the metadata. Refuses what opening an archive refuses;
// damage in data ends the survey of them, as it ends loading.
import { PcpError } from "../base/mod.ts";
import {
  type Archive,
  type ArchiveLabelSet,
  ArchiveCursor,
  archiveEnd,
  type Catalog,
  compressionOf,
  type IndomView,
  instanceAt,
  instanceNameAt,
  type Listings,
  type LookAtMeta,
  META_TYPE,
  openArchive,
  viewIndom,
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
  indomDocument,
  instanceDocument,
  instanceId,
  metricDocument,
  metricId,
  type SeriesDescriptor,
  type SeriesId,
  type SeriesLabel,
  sourceId,
  type TextDocument,
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
}

/** All that is catalogued of one archive. */
export interface Survey {
  readonly archive: Archive;
  readonly source: SeriesId;
  readonly host: string;
  readonly series: readonly SurveyedSeries[];
  /** All instances in the order in which loading writes them: of those with one identifier the last counts. */
  readonly instances: readonly SurveyedInstance[];
  /** What can be found by words, in sets that other archives are likely to have, too. */
  readonly texts: readonly (readonly TextDocument[])[];
  /** Times in microseconds since 1970; the end is unknown where it would have to be unpacked. */
  readonly begin: number;
  readonly end: number | undefined;
  /** Whether all data were looked at: else series and instances may be here that have no values. */
  readonly complete: boolean;
}

/** How an archive is surveyed. */
export interface SurveyOptions {
  /** Bytes of data records that are looked at. */
  readonly dataBytes?: number;
  /** Bytes of instance domain records that are kept meanwhile; INDOM_BYTES by default. */
  readonly indomBytes?: number;
  /** Whether a metric of this name is left out. */
  readonly excluded?: (name: string) => boolean;
  /** Directories that were read before. */
  readonly listings?: Listings;
}

/**
 * Bytes of instance domain records that are kept while an archive is surveyed: enough for the records of the
 * first data. Of what follows only instances are kept that were not there before.
 */
const INDOM_BYTES = 16 * 1024 * 1024;

/** Enough for the first records of every group of pmlogger, and for whole small archives. */
const SURVEY_BYTES = 1024 * 1024;

const INDOM_TYPES: ReadonlySet<number> = new Set([
  META_TYPE.INDOM_V2,
  META_TYPE.INDOM,
  META_TYPE.INDOM_DELTA,
]);

export const microseconds = ({ sec, nsec }: Timestamp): number =>
  sec * 1_000_000 + Math.floor(nsec / 1000);

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

/** Where in the archive the survey is. */
interface Position {
  time: Timestamp;
  last: boolean;
}

/** Looks labels up at a moving time; what was found once is kept for good. */
function labelFinder(
  catalog: Catalog,
  position: Position,
): { readonly find: FindLabels; /** Those that were found before. */ readonly known: FindLabels } {
  const found = new Map<string, readonly Label[]>();
  const known: FindLabels = (type, ident) => found.get(`${type}.${ident}`) ?? NONE;
  const find: FindLabels = (type, ident) => {
    const key = `${type}.${ident}`;
    const before = found.get(key);
    if (before !== undefined) return before;
    const sets =
      catalog.labelsAt(type, ident, position.time) ??
      (position.last ? catalog.labelRecords(type, ident)[0]?.sets : undefined);
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

function seriesOf({ names, desc, identity, labels, slots }: Met, source: SeriesId) {
  const descriptor = descriptorOf(desc, source);
  const instances = [...slots.values()];
  return names.map((name): SurveyedSeries => {
    const { semantics } = descriptor;
    const units = pmUnitsStr(desc.units);
    const type = pmTypeStr(desc.type);
    const id = metricId({ name, labels: identity, semantics, type, units });
    return { id, name, pmid: desc.pmid, descriptor, labels, instances };
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

const NONE: readonly Label[] = [];
const NO_SETS: readonly ArchiveLabelSet[] = [];
/** What a metric has seen of its domain before it is written. */
const NEW = -1;

/** Meets instances, in the order in which loading would. */
function instancesMet(
  catalog: Catalog,
  context: readonly Label[],
  position: Position,
  { find, known }: ReturnType<typeof labelFinder>,
) {
  const domains = new Map<Indom, Domain>();
  const written = new Set<MetInstance>();

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
  let labelled = { indom: PM_INDOM_NULL, at: position.time, last: false, sets: NO_SETS };
  const instanceSets = (indom: Indom): typeof NO_SETS => {
    const { time, last } = position;
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
      instance.own ??= labelsOf(set);
      due.add(set.instance);
    }
  };

  const write = (instance: MetInstance, { sets, labels, due }: Domain): void => {
    if (due.delete(instance.inst)) {
      // Of those with one identifier the one that is written last counts.
      written.delete(instance);
      written.add(instance);
    }
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
    if (fresh.some((inst) => position.last || !nameless.has(inst))) {
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
      }
      findCommon(indom, domain);
      findOwn(indom, domain);
      domain.marks++;
    }
    for (const inst of fresh) {
      const instance = instances.get(inst);
      if (instance === undefined) nameless.add(inst);
      else slots.set(inst, instance);
    }
    const shown = metric.seen === NEW ? slots.keys() : [...due].filter((inst) => slots.has(inst));
    metric.seen = domain.marks;
    for (const inst of shown) {
      const instance = slots.get(inst);
      if (instance !== undefined) write(instance, domain);
    }
  };

  return { domains, domainOf, written, meetInstances };
}

/** Meets metrics and instances, in the order in which loading would. */
function surveyor(catalog: Catalog, start: Timestamp, host: string) {
  // Import libraries write another identifier than pmlogger does; for loading it means the same.
  const contextKey = [...catalog.labelKeys()].find(({ type }) => type === PM_LABEL.CONTEXT);
  const contextSets = contextKey && catalog.labelsAt(PM_LABEL.CONTEXT, contextKey.ident, start);
  const context: readonly Label[] = contextSets?.flatMap((set) => labelsOf(set)) ?? [
    { name: "hostname", value: `"${host}"`, flags: PM_LABEL.CONTEXT },
  ];
  const position: Position = { time: start, last: false };
  const finder = labelFinder(catalog, position);
  const { find } = finder;
  const met = new Map<Pmid, Met>();
  const source = sourceId(identityLabels([context]));

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
    };
    met.set(desc.pmid, found);
    return found;
  };

  return {
    context,
    source,
    position,
    met,
    meet,
    ...instancesMet(catalog, context, position, finder),
  };
}

type Surveyor = ReturnType<typeof surveyor>;

/** Takes up what a record shows. */
function lookAtRecord(
  result: ResultView,
  catalog: Catalog,
  { position, met, meet, domainOf, meetInstances }: Surveyor,
  wanted: ReadonlyMap<Pmid, readonly string[]>,
): void {
  position.time = result.timestamp;
  for (const set = result.sets(); set.next();) {
    if (set.numval === 0) continue;
    const names = wanted.get(set.pmid);
    const desc = catalog.descs.get(set.pmid);
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
    meetInstances(metric, fresh, () => namesAt(catalog, indom, position.time));
  }
}

function namesAt(catalog: Catalog, indom: Indom, time: Timestamp): Map<number, string> {
  const { ids, names } = catalog.indoms.get(indom)?.at(time) ?? { ids: [], names: [] };
  return new Map(ids.map((inst: InstanceId, index) => [inst, names[index] ?? ""]));
}

interface Named {
  readonly inst: number;
  readonly name: string;
}

/** Takes the instances of a record that are new, ascending. */
function takeInstances(record: IndomView, found: Map<number, Named>): void {
  const fresh: Named[] = [];
  for (let i = 0; i < record.count; i++) {
    const inst = instanceAt(record, i);
    const name = found.has(inst) ? undefined : instanceNameAt(record, i);
    if (name !== undefined) fresh.push({ inst, name });
  }
  for (const each of fresh.sort((a, b) => a.inst - b.inst)) found.set(each.inst, each);
}

/** Instances of domains from records that are not kept. */
function lateInstances(kept = INDOM_BYTES) {
  const domains = new Map<Indom, Map<number, Named>>();
  let bytes = 0;
  const look: LookAtMeta = (type, record, place) => {
    if (!INDOM_TYPES.has(type)) return true;
    bytes += record.length;
    if (bytes <= kept) return true;
    const view = viewIndom(record, place);
    const found = domains.get(view.indom) ?? new Map<number, Named>();
    domains.set(view.indom, found);
    takeInstances(view, found);
    return false;
  };
  return { domains, look };
}

/** All instances that a domain ever has, in the order in which they appear, under their first names. */
function everyInstance(
  catalog: Catalog,
  late: ReadonlyMap<Indom, ReadonlyMap<number, Named>>,
  indom: Indom,
): ReadonlyMap<number, string> {
  const found = new Map<number, Named>();
  for (const record of catalog.indoms.get(indom)?.records ?? []) takeInstances(record, found);
  for (const each of late.get(indom)?.values() ?? [])
    if (!found.has(each.inst)) found.set(each.inst, each);
  return new Map([...found.values()].map(({ inst, name }) => [inst, name]));
}

/** Looks at records up to a limit; true when these were all. */
function lookAtData(
  archive: Archive,
  dataBytes: number,
  look: (result: ResultView) => void,
): boolean {
  const cursor = new ArchiveCursor(archive);
  let left = dataBytes;
  try {
    while (cursor.next()) {
      left -= cursor.record.length;
      if (left < 0) return false;
      if (cursor.record.numpmid > 0) look(cursor.record.result());
    }
    return true;
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
    return true;
  } finally {
    cursor.close();
  }
}

/** The metrics that are wanted, with their names. */
function wantedMetrics(
  catalog: Catalog,
  excluded: ((name: string) => boolean) | undefined,
): Map<Pmid, readonly string[]> {
  const wanted = new Map<Pmid, readonly string[]>();
  for (const pmid of catalog.descs.keys()) {
    const names = catalog.names.namesOf(pmid);
    if (names.length > 0 && !(excluded !== undefined && names.some(excluded)))
      wanted.set(pmid, names);
  }
  return wanted;
}

const byName = (a: TextDocument, b: TextDocument): number =>
  a.name < b.name ? -1 : Number(a.name > b.name);

/** Texts: one set of all metrics and their domains, and one for the instances of each domain. */
function textsOf(
  catalog: Catalog,
  wanted: ReadonlyMap<Pmid, readonly string[]>,
  { domains, written }: Surveyor,
): TextDocument[][] {
  const documents: TextDocument[] = [];
  const described = new Set<Indom>();
  for (const [pmid, names] of wanted) {
    const desc = catalog.descs.get(pmid);
    if (desc === undefined) continue;
    if (desc.indom !== PM_INDOM_NULL) described.add(desc.indom);
    for (const name of names) documents.push(metricDocument(catalog, desc, name));
  }
  for (const indom of described) documents.push(indomDocument(catalog, indom));
  const sets = [documents.sort(byName)];
  for (const [indom, { instances }] of domains) {
    const shown = [...instances.values()].filter((each) => written.has(each));
    const names = new Set(shown.map(({ name }) => name));
    sets.push([...names].sort().map((name) => instanceDocument(indom, name)));
  }
  return sets.filter((set) => set.length > 0);
}

/** Surveys the archive of a name. Throws PcpError when it cannot be opened. */
export function surveyArchive(name: string, options: SurveyOptions = {}): Survey {
  const late = lateInstances(options.indomBytes);
  const how = { growing: true, look: late.look };
  const archive = openArchive(name, how, undefined, undefined, options.listings);
  const { catalog, label } = archive;
  const wanted = wantedMetrics(catalog, options.excluded);
  const found = surveyor(catalog, label.start, label.host);
  const complete = lookAtData(archive, options.dataBytes ?? SURVEY_BYTES, (result) =>
    lookAtRecord(result, catalog, found, wanted),
  );
  if (!complete || late.domains.size > 0) {
    found.position.last = true;
    const domains = new Map<Indom, ReadonlyMap<number, string>>();
    for (const [pmid, names] of wanted) {
      const desc = catalog.descs.get(pmid);
      if (desc === undefined) continue;
      const plain = desc.indom === PM_INDOM_NULL;
      const metric = found.met.get(pmid) ?? found.meet(desc, names, plain);
      if (plain) continue;
      const all = domains.get(desc.indom) ?? everyInstance(catalog, late.domains, desc.indom);
      domains.set(desc.indom, all);
      const fresh = [...all.keys()].filter((inst) => !metric.slots.has(inst));
      if (fresh.length > 0) found.meetInstances(metric, fresh, () => all);
    }
  }
  const lastVolume = [...archive.files.volumes.values()].at(-1) ?? "";
  const end = compressionOf(lastVolume) === undefined ? archiveEnd(archive) : undefined;
  return {
    archive,
    source: found.source,
    host: label.host,
    instances: [...found.written],
    series: [...found.met.values()].flatMap((each) => seriesOf(each, found.source)),
    texts: textsOf(catalog, wanted, found),
    begin: microseconds(label.start),
    end: end === undefined ? undefined : microseconds(end),
    complete,
  };
}
