// What one archive would put on a key server (spec series.md 3.3, 4): its source, the series with their
// labels, and which instances each has. Metadata are read whole, data records only up to a limit: series
// and instances that come later are taken from the metadata. Refuses what opening an archive refuses;
// damage in data ends the survey of them, as it ends loading.
import { PcpError } from "../base/mod.ts";
import {
  type Archive,
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
import { identityLabels, instanceId, metricId, type SeriesId, sourceId } from "./ids.ts";
import {
  indomDocument,
  instanceDocument,
  metricDocument,
  type TextDocument,
} from "./search-documents.ts";
import type { SeriesDescriptor, SeriesLabel } from "./store.ts";

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

/** Looks labels up at a moving time; what was found once is kept for good. */
function labelFinder(catalog: Catalog, position: { time: Timestamp; last: boolean }): FindLabels {
  const found = new Map<string, readonly Label[]>();
  return (type, ident) => {
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
}

/** A metric that has been met, with its instances by number. */
interface Met {
  readonly names: readonly string[];
  readonly desc: Desc;
  readonly identity: string;
  labels: readonly SeriesLabel[];
  readonly slots: Map<number, SurveyedInstance>;
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

/** What instances of a domain have in common. */
interface DomainLabels {
  readonly sets: readonly (readonly Label[])[];
  readonly identity: string;
  readonly labels: readonly SeriesLabel[];
}

const NONE: readonly Label[] = [];

/** Meets metrics and instances, in the order in which loading would. */
function surveyor(catalog: Catalog, start: Timestamp, host: string) {
  // Import libraries write another identifier than pmlogger does; for loading it means the same.
  const contextKey = [...catalog.labelKeys()].find(({ type }) => type === PM_LABEL.CONTEXT);
  const contextSets = contextKey && catalog.labelsAt(PM_LABEL.CONTEXT, contextKey.ident, start);
  const context: readonly Label[] = contextSets?.flatMap((set) => labelsOf(set)) ?? [
    { name: "hostname", value: `"${host}"`, flags: PM_LABEL.CONTEXT },
  ];
  const position = { time: start, last: false };
  const find = labelFinder(catalog, position);
  const met = new Map<Pmid, Met>();
  const known = new Map<Indom, Map<number, SurveyedInstance>>();
  const source = sourceId(identityLabels([context]));

  const meet = (desc: Desc, names: readonly string[]): Met => {
    const { pmid, indom } = desc;
    const sets = [
      context,
      find(PM_LABEL.DOMAIN, pmidDomain(pmid)),
      indom === PM_INDOM_NULL ? [] : find(PM_LABEL.INDOM, indom),
      find(PM_LABEL.CLUSTER, clusterOf(pmid)),
      find(PM_LABEL.ITEM, pmid),
    ];
    const labels = indom === PM_INDOM_NULL ? recorded(sets) : [];
    const found: Met = { names, desc, identity: identityLabels(sets), labels, slots: new Map() };
    met.set(pmid, found);
    return found;
  };

  /** Labels that all instances of a domain have; made again when more of them are found. */
  const domains = new Map<Indom, DomainLabels>();
  const domainLabels = (indom: Indom): DomainLabels => {
    const sets = [context, find(PM_LABEL.DOMAIN, indom >>> 22), find(PM_LABEL.INDOM, indom)];
    const before = domains.get(indom);
    if (before !== undefined && sets.every((set, at) => set === before.sets[at])) return before;
    const made = { sets, identity: identityLabels(sets), labels: recorded(sets) };
    domains.set(indom, made);
    return made;
  };

  /** An instance that is met for the first time in its domain; undefined without a name. */
  const meetInstance = (indom: Indom, inst: number, name: string): SurveyedInstance => {
    const inDomain = known.get(indom) ?? new Map<number, SurveyedInstance>();
    known.set(indom, inDomain);
    const before = inDomain.get(inst);
    if (before !== undefined) return before;
    const { sets, identity, labels } = domainLabels(indom);
    const own = instanceLabels(indom).get(inst);
    const id = instanceId(name, identity);
    const found = { id, inst, name, labels: own === undefined ? labels : recorded([...sets, own]) };
    inDomain.set(inst, found);
    return found;
  };

  /** Labels of single instances at the position; those of the last domain and time are kept. */
  let labelled = { indom: PM_INDOM_NULL, at: start, last: false, sets: new Map<number, Label[]>() };
  const instanceLabels = (indom: Indom): ReadonlyMap<number, Label[]> => {
    const { time, last } = position;
    if (labelled.indom === indom && labelled.at === time && labelled.last === last)
      return labelled.sets;
    const sets =
      catalog.labelsAt(PM_LABEL.INSTANCES, indom, time) ??
      (last ? catalog.labelRecords(PM_LABEL.INSTANCES, indom)[0]?.sets : undefined);
    const byInstance = new Map<number, Label[]>();
    for (const set of sets ?? []) if (set.error >= 0) byInstance.set(set.instance, labelsOf(set));
    labelled = { indom, at: time, last, sets: byInstance };
    return byInstance;
  };

  return { context, source, position, find, met, known, meet, meetInstance };
}

type Surveyor = ReturnType<typeof surveyor>;

/** Takes up what a record shows. */
function lookAtRecord(
  result: ResultView,
  catalog: Catalog,
  { position, find, met, known, context, meet, meetInstance }: Surveyor,
  wanted: ReadonlyMap<Pmid, readonly string[]>,
): void {
  position.time = result.timestamp;
  for (const set = result.sets(); set.next();) {
    if (set.numval === 0) continue;
    const names = wanted.get(set.pmid);
    const desc = catalog.descs.get(set.pmid);
    if (names === undefined || desc === undefined) continue;
    const { indom } = desc;
    const before = met.get(set.pmid);
    const metric = before ?? meet(desc, names);
    if (indom === PM_INDOM_NULL) continue;
    if (set.numval < 0) {
      // A metric that begins with an error gets the labels that one without instances has.
      if (before !== undefined) continue;
      const sets = [context, find(PM_LABEL.DOMAIN, pmidDomain(set.pmid))];
      sets.push(find(PM_LABEL.INDOM, indom), find(PM_LABEL.CLUSTER, clusterOf(set.pmid)));
      metric.labels = recorded([...sets, find(PM_LABEL.ITEM, set.pmid)]);
      continue;
    }
    const fresh: number[] = [];
    for (let i = 0; i < set.numval; i++)
      if (!metric.slots.has(set.instance(i))) fresh.push(set.instance(i));
    if (fresh.length === 0) continue;
    fresh.sort((a, b) => a - b);
    const inDomain = known.get(indom);
    let texts: Map<number, string> | undefined;
    for (const inst of fresh) {
      const shared = inDomain?.get(inst);
      if (shared !== undefined) {
        metric.slots.set(inst, shared);
        continue;
      }
      texts ??= namesAt(catalog, indom, position.time);
      const name = texts.get(inst);
      if (name !== undefined) metric.slots.set(inst, meetInstance(indom, inst, name));
    }
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
): readonly Named[] {
  const found = new Map<number, Named>();
  for (const record of catalog.indoms.get(indom)?.records ?? []) takeInstances(record, found);
  for (const each of late.get(indom)?.values() ?? [])
    if (!found.has(each.inst)) found.set(each.inst, each);
  return [...found.values()];
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
  instances: Surveyor["known"],
): TextDocument[][] {
  const documents: TextDocument[] = [];
  const domains = new Set<Indom>();
  for (const [pmid, names] of wanted) {
    const desc = catalog.descs.get(pmid);
    if (desc === undefined) continue;
    if (desc.indom !== PM_INDOM_NULL) domains.add(desc.indom);
    for (const name of names) documents.push(metricDocument(catalog, desc, name));
  }
  for (const indom of domains) documents.push(indomDocument(catalog, indom));
  const sets = [documents.sort(byName)];
  for (const [indom, found] of instances) {
    const names = new Set([...found.values()].map(({ name }) => name));
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
    const domains = new Map<Indom, readonly Named[]>();
    for (const [pmid, names] of wanted) {
      const desc = catalog.descs.get(pmid);
      if (desc === undefined) continue;
      const { slots } = found.met.get(pmid) ?? found.meet(desc, names);
      const all = domains.get(desc.indom) ?? everyInstance(catalog, late.domains, desc.indom);
      domains.set(desc.indom, all);
      for (const { inst, name } of all)
        if (!slots.has(inst)) slots.set(inst, found.meetInstance(desc.indom, inst, name));
    }
  }
  const lastVolume = [...archive.files.volumes.values()].at(-1) ?? "";
  const end = compressionOf(lastVolume) === undefined ? archiveEnd(archive) : undefined;
  return {
    archive,
    source: found.source,
    host: label.host,
    series: [...found.met.values()].flatMap((each) => seriesOf(each, found.source)),
    texts: textsOf(catalog, wanted, found.known),
    begin: microseconds(label.start),
    end: end === undefined ? undefined : microseconds(end),
    complete,
  };
}
