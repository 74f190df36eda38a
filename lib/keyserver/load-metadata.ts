// Metadata of an archive as loading meets them, record by record, and the commands that write them (spec
// series.md 3.3, 4.3): source, metrics, instances, labels, as PCP 7.2 writes them. Each thing is
// written when it is first met. Metrics without a name and instances without one are left out.
import {
  identityLabels,
  indomDocument,
  instanceDocument,
  instanceId,
  metricDocument,
  metricId,
  type SeriesId,
  sourceId,
  stringId,
  type TextDocument,
} from "../series/mod.ts";
import type { LoadWriter } from "./load-writer.ts";
import {
  descriptorOf,
  descriptorPairs,
  idBytes,
  KEYS,
  labelMapName,
  listName,
  type MapName,
} from "./schema.ts";
import { documentCommand } from "./search.ts";
import type { ArchiveLabelSet, Catalog } from "../archive/mod.ts";
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
  pmidDomain,
  pmSemStr,
  pmTypeStr,
  pmUnitsStr,
  type Timestamp,
} from "../pcp/mod.ts";

/** A metric that was met. */
export interface LoadedMetric {
  readonly desc: Desc;
  /** One series for each name. */
  readonly series: readonly SeriesId[];
  /** Keys of their streams. */
  readonly streams: readonly string[];
  /** The places of instances, in the order in which they were met. */
  readonly slots: Map<InstanceId, number>;
  /** Their identifiers by place. */
  readonly instances: Buffer[];
  /** Labels of each that were written for this metric. */
  readonly told: (readonly Label[])[];
  /** Instances that had no name when they were met: they are not asked for again. */
  readonly nameless: Set<InstanceId>;
  /** Undefined before there were values of instances. */
  domain: LoadedDomain | undefined;
  /** The marks of the domain that were looked at, and its changes of names that were taken over. */
  seen: number;
  renamed: number;
}

interface LoadedInstance {
  readonly id: SeriesId;
  readonly bytes: Buffer;
  readonly inst: InstanceId;
  readonly name: string;
  own: readonly Label[] | undefined;
  /** What was recorded last, and of what it was made. */
  labels: readonly Label[] | undefined;
  common: LoadedDomain["sets"];
  said: readonly Label[] | undefined;
}

/** An instance domain of which there were values. */
interface LoadedDomain {
  readonly instances: Map<InstanceId, LoadedInstance>;
  /** Labels that all its instances have. */
  sets: readonly (readonly Label[])[];
  /** Instances that the next metric that has them writes. */
  readonly due: Set<InstanceId>;
  /** Counts when there were more of them. */
  marks: number;
  /** Counts instances that got other names: they are others from then on. */
  renamed: number;
}

/** An instance as it was when its record was read. */
export interface KnownInstance {
  readonly name: string;
  /** Labels that were known then, from identityLabels. */
  readonly identity: string;
  /** Labels of its own; undefined: those of the archive count. */
  readonly own: readonly Label[] | undefined;
}

/** Metadata as who follows an archive knows them (5.3), in the place of what is in force at a time. */
export interface KnownMetadata {
  /** Of the source. */
  readonly labels: readonly Label[];
  readonly source: SeriesId;
  /** Labels of a level and identifier; undefined: those of the archive count. */
  find(type: number, ident: number): readonly Label[] | undefined;
  /** undefined: the archive says what it is. */
  instance(indom: Indom, inst: InstanceId): KnownInstance | undefined;
}

/** What is loaded, and what it is called. */
export interface LoadSource {
  readonly catalog: Catalog;
  readonly start: Timestamp;
  readonly host: string;
  /** The context name. */
  readonly context: string;
  readonly known?: KnownMetadata;
  /** Whether the server has an index for text search, which documents go to (13.2). */
  readonly search?: boolean;
}

/** Flags that need not be written. */
const USUAL_FLAGS = 1;
const NONE: readonly Label[] = [];
const NO_SETS: readonly ArchiveLabelSet[] = [];

const NUMBER = /^-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

/** A coordinate of a label that is a JSON number; 0 without one. */
function coordinate(labels: readonly Label[], name: string): string {
  const value = labels.find((label) => label.name === name)?.value ?? "";
  return (NUMBER.test(value) ? Number(value) : 0).toFixed(8);
}

/** Labels by name; the first set that has a name counts. */
function recordedLabels(sets: Iterable<readonly Label[]>): Label[] {
  const found = new Map<string, Label>();
  for (const set of sets)
    for (const label of set) if (!found.has(label.name)) found.set(label.name, label);
  return [...found.values()];
}

/** Labels in force at a moving time; what was found once is kept. */
function labelFinder(catalog: Catalog) {
  const found = new Map<string, readonly Label[]>();
  /** Without a time: those that were found before. */
  return (type: number, ident: number, time?: Timestamp): readonly Label[] => {
    const key = `${type}.${ident >>> 0}`;
    const known = found.get(key);
    if (known !== undefined) return known;
    if (time === undefined) return NONE;
    const sets = catalog.labelsAt(type, ident >>> 0, time);
    if (sets === undefined) return NONE;
    const labels = sets.flatMap((set) => (set.error < 0 ? [] : labelsOf(set)));
    found.set(key, labels);
    return labels;
  };
}

/** The labels of the source: those at the start, else its host name. */
function contextLabels({ catalog, start, host }: LoadSource): readonly Label[] {
  const sets =
    catalog.labelsAt(PM_LABEL.CONTEXT, PM_INDOM_NULL, start) ??
    catalog.labelsAt(PM_LABEL.CONTEXT, 0, start);
  const own = { name: "hostname", value: `"${host}"`, flags: PM_LABEL.CONTEXT };
  return sets?.flatMap((set) => (set.error < 0 ? [] : labelsOf(set))) ?? [own];
}

/** Names that were met, written once each; new ones are told on the map's channel. */
function nameWriter(writer: LoadWriter) {
  const known = new Set<string>();
  return (map: MapName, name: string): SeriesId => {
    const id = stringId(name);
    const key = `${map}:${id}`;
    if (known.has(key)) return id;
    known.add(key);
    writer.add(["HSET", KEYS.map(map), idBytes(id), name], (reply) => {
      if (typeof reply === "number" && reply > 0)
        writer.add(["PUBLISH", KEYS.channel(map), `${id}:${name}`]);
      return false;
    });
    return id;
  };
}

/**
 * Documents of what is met, each once; PCP repeats those of domains with every record, and of what is found
 * equally well the one that was written last comes first: they are repeated at the end. What the index refuses
 * is told once: the series are there without it.
 */
function documentWriter(
  { catalog, search }: LoadSource,
  writer: LoadWriter,
  warn: (message: string) => void,
) {
  if (search !== true)
    return { metric: () => undefined, instance: () => undefined, last: () => undefined };
  const domains = new Set<Indom>();
  let refused = false;
  const add = (document: TextDocument): void =>
    writer.add(documentCommand(document), (reply) => {
      if (!(reply instanceof Error)) return false;
      if (!refused) warn(`text search has not all of the archive: ${reply.message}`);
      refused = true;
      return true;
    });
  return {
    metric: (desc: Desc, names: readonly string[]): void => {
      for (const name of names) add(metricDocument(catalog, desc, name));
      const { indom } = desc;
      if (indom === PM_INDOM_NULL || domains.has(indom)) return;
      domains.add(indom);
      add(indomDocument(catalog, indom));
    },
    instance: (indom: Indom, name: string): void => add(instanceDocument(indom, name)),
    last: (): void => domains.forEach((indom) => add(indomDocument(catalog, indom))),
  };
}

/** Writes the metadata of one archive. */
export function metadataWriter(
  source: LoadSource,
  writer: LoadWriter,
  warn: (message: string) => void,
) {
  const { catalog, known: told } = source;
  const findInArchive = labelFinder(catalog);
  const find = (type: number, ident: number, time?: Timestamp): readonly Label[] =>
    told?.find(type, ident) ?? findInArchive(type, ident, time);
  const write = nameWriter(writer);
  const documents = documentWriter(source, writer, warn);
  const context = told?.labels ?? contextLabels(source);
  const id = told?.source ?? sourceId(identityLabels([context]));
  const idAsBytes = idBytes(id);
  const path = write(listName("context"), source.context);
  const host = write(listName("context"), source.host);
  writer.add(["SADD", KEYS.sourcesOf(path), idAsBytes]);
  writer.add(["SADD", KEYS.sourcesOf(host), idAsBytes]);
  writer.add(["SADD", KEYS.contextsOf(id), idBytes(path), idBytes(host)]);
  const where = [coordinate(context, "longitude"), coordinate(context, "latitude")];
  writer.add(["GEOADD", KEYS.location, ...where, idAsBytes], (reply) => {
    const wrong = reply instanceof Error && reply.message.includes("invalid longitude");
    if (wrong) warn(`location of ${source.context}: ${reply.message}`);
    return wrong;
  });

  const metrics = new Map<Pmid, LoadedMetric>();
  const domains = new Map<Indom, LoadedDomain>();

  /** Labels of a series or an instance, which select all series of the metric. */
  const writeLabels = (id: SeriesId, labels: readonly Label[], series: readonly Buffer[]): void => {
    for (const { name, value, flags } of labels) {
      const nameId = write(listName("label"), name);
      const text = value === "" ? "null" : value;
      const map = labelMapName(nameId);
      const valueId = write(map, text);
      const nameBytes = idBytes(nameId);
      if (flags !== USUAL_FLAGS)
        writer.add(["HSET", KEYS.labelFlags(id), nameBytes, String(flags)]);
      writer.add(["HSET", KEYS.labels(id), nameBytes, idBytes(valueId)]);
      writer.add(["SADD", KEYS.seriesOf(map, valueId), ...series]);
    }
  };

  const metricSets = ({ pmid, indom }: Desc, time: Timestamp): (readonly Label[])[] => [
    context,
    find(PM_LABEL.DOMAIN, pmidDomain(pmid), time),
    indom === PM_INDOM_NULL ? NONE : find(PM_LABEL.INDOM, indom, time),
    find(PM_LABEL.CLUSTER, pmid & ~0x3ff, time),
    find(PM_LABEL.ITEM, pmid, time),
  ];

  /** A metric that is met for the first time. `plain`: it has no instances now. */
  const meet = (
    desc: Desc,
    names: readonly string[],
    time: Timestamp,
    plain: boolean,
  ): LoadedMetric => {
    const sets = metricSets(desc, time);
    const labels = identityLabels(sets);
    const semantics = pmSemStr(desc.sem);
    const type = pmTypeStr(desc.type);
    const units = pmUnitsStr(desc.units);
    const series = names.map((name) => metricId({ name, labels, semantics, type, units }));
    const bytes = series.map(idBytes);
    const pairs = descriptorPairs(descriptorOf(desc, id));
    names.forEach((name, at) => {
      const nameId = write(listName("metric"), name);
      const one = series[at] ?? "";
      const oneBytes = idBytes(one);
      writer.add(["SADD", KEYS.seriesOf(listName("metric"), nameId), oneBytes]);
      writer.add(["SADD", KEYS.metricNames(one), idBytes(nameId)]);
      writer.add(["HSET", KEYS.descriptor(one), ...pairs]);
    });
    documents.metric(desc, names);
    writer.add(["SADD", KEYS.seriesOf(listName("context"), path), ...bytes]);
    if (plain) for (const one of series) writeLabels(one, recordedLabels(sets), bytes);
    const streams = series.map(KEYS.values);
    const metric: LoadedMetric = {
      desc,
      series,
      streams,
      slots: new Map(),
      instances: [],
      told: [],
      nameless: new Set(),
      domain: undefined,
      seen: 0,
      renamed: 0,
    };
    metrics.set(desc.pmid, metric);
    return metric;
  };

  /** Labels of single instances at a time; those of the last domain and time are kept. */
  let labelled = { indom: asIndom(PM_INDOM_NULL), at: source.start, sets: NO_SETS };
  /** Looks them up; instances without own ones get them, all that have some are due: empty sets are none. */
  const findOwn = (indom: Indom, { instances, due }: LoadedDomain, time: Timestamp): void => {
    if (labelled.indom !== indom || labelled.at !== time)
      labelled = {
        indom,
        at: time,
        sets: catalog.labelsAt(PM_LABEL.INSTANCES, indom, time) ?? NO_SETS,
      };
    for (const set of labelled.sets) {
      const instance = instances.get(set.instance);
      if (instance === undefined || set.error < 0) continue;
      const labels = labelsOf(set);
      if (labels.length === 0) continue;
      instance.own ??= labels;
      due.add(set.instance);
    }
  };

  /** Looks up what is known of a domain at a time; instances that are met in it are due. */
  const lookUp = (
    indom: Indom,
    domain: LoadedDomain,
    fresh: readonly InstanceId[],
    time: Timestamp,
    first: boolean,
  ): void => {
    const before = [
      context,
      find(PM_LABEL.DOMAIN, indom >>> 22, time),
      find(PM_LABEL.INDOM, indom),
    ];
    const sets = [...before.slice(0, 2), find(PM_LABEL.INDOM, indom, time)];
    if (domain.sets.length === 0 || sets.some((set, at) => set !== domain.sets[at]))
      domain.sets = sets;
    domain.marks++;
    const unknown = fresh.filter((inst) => !domain.instances.has(inst));
    let labels: string | undefined;
    const add = (inst: InstanceId, name: string, known?: KnownInstance): void => {
      const old = domain.instances.get(inst);
      if (old?.name === name) return;
      if (old !== undefined) domain.renamed++;
      // Those of the domain are looked up before its instances only for a new metric.
      labels ??= identityLabels(first ? sets : before);
      const id = instanceId(name, known?.identity ?? labels);
      const own = known === undefined ? old?.own : known.own;
      const none = { labels: undefined, common: [], said: undefined };
      domain.instances.set(inst, { id, bytes: idBytes(id), inst, name, own, ...none });
      domain.due.add(inst);
    };
    for (const inst of unknown) {
      const known = told?.instance(indom, inst);
      if (known !== undefined) add(inst, known.name, known);
    }
    const { ids = [], names = [] } = catalog.indoms.get(indom)?.at(time) ?? {};
    // Their identifiers are fixed now, also of those that have values later.
    ids.forEach((inst, at) => {
      const isLate = (): boolean => !domain.instances.has(inst) && !unknown.includes(inst);
      if (told === undefined || !isLate()) add(inst, names[at] ?? "", told?.instance(indom, inst));
    });
    // Who follows an archive was told of those of instances that are known.
    if (told === undefined || unknown.length > 0) findOwn(indom, domain, time);
  };

  /** Internal instance identifiers that were written: several instances may have one identifier. */
  const numbers = new Map<SeriesId, InstanceId>();
  const writeInstance = (indom: Indom, { id, inst, name, labels }: LoadedInstance): void => {
    if (labels === undefined) documents.instance(indom, name);
    if (numbers.get(id) === inst) return;
    numbers.set(id, inst);
    const nameId = write(listName("instance"), name);
    const fields = ["inst", String(inst), "name", idBytes(nameId), "source", idAsBytes];
    writer.add(["HSET", KEYS.instance(id), ...fields]);
  };

  /** Those of its domain are taken up again only when it is due. */
  const labelsOfInstance = (
    instance: LoadedInstance,
    { sets }: LoadedDomain,
    isDue: boolean,
  ): readonly Label[] => {
    const { labels, common, said, own } = instance;
    if (labels !== undefined && (!isDue || (common === sets && said === own))) return labels;
    instance.common = sets;
    instance.said = own;
    return (instance.labels = recordedLabels([...sets, own ?? NONE]));
  };

  /** A metric has an instance. */
  const writeHaving = (
    metric: LoadedMetric,
    { name, bytes }: LoadedInstance,
    series: readonly Buffer[],
  ): void => {
    const nameId = write(listName("instance"), name);
    writer.add(["SADD", KEYS.seriesOf(listName("instance"), nameId), ...series]);
    for (const one of metric.series) writer.add(["SADD", KEYS.instances(one), bytes]);
  };

  /**
   * Writes what a record has of instances: those that its metric has not shown before, ascending, and those
   * of which something was found since. `first`: the metric itself is met for the first time.
   */
  const meetInstances = (
    metric: LoadedMetric,
    fresh: readonly InstanceId[],
    time: Timestamp,
    first: boolean,
  ): void => {
    const indom = asIndom(metric.desc.indom);
    const domain: LoadedDomain = domains.get(indom) ?? {
      instances: new Map(),
      sets: [],
      due: new Set(),
      marks: 0,
      renamed: 0,
    };
    domains.set(indom, domain);
    metric.domain = domain;
    const { slots, nameless, told: toldLabels } = metric;
    // One without a name is asked for again when the record of its domain has come since.
    const isOpen = (inst: InstanceId): boolean =>
      !nameless.has(inst) || told?.instance(indom, inst) !== undefined;
    if (fresh.some(isOpen)) lookUp(indom, domain, fresh, time, first);
    const series = metric.series.map(idBytes);
    for (const inst of fresh) {
      const instance = domain.instances.get(inst);
      if (instance === undefined) {
        nameless.add(inst);
        continue;
      }
      slots.set(inst, metric.instances.push(instance.bytes) - 1);
      writeHaving(metric, instance, series);
    }
    const renamed: InstanceId[] = [];
    for (const [inst, place] of metric.renamed === domain.renamed ? [] : slots) {
      const instance = domain.instances.get(inst);
      if (instance === undefined || metric.instances[place] === instance.bytes) continue;
      metric.instances[place] = instance.bytes;
      toldLabels[place] = NONE;
      writeHaving(metric, instance, series);
      renamed.push(inst);
    }
    metric.renamed = domain.renamed;
    metric.seen = domain.marks;
    const due = [...domain.due].filter((inst) => slots.has(inst));
    const shown = first ? slots.keys() : new Set([...renamed, ...due]);
    for (const inst of shown) {
      const instance = domain.instances.get(inst);
      const place = slots.get(inst);
      if (instance === undefined || place === undefined) continue;
      const isDue = domain.due.delete(inst);
      if (isDue) writeInstance(indom, instance);
      const labels = labelsOfInstance(instance, domain, isDue);
      if (toldLabels[place] === labels) continue;
      toldLabels[place] = labels;
      writeLabels(instance.id, labels, series);
    }
  };

  /** Whether something was found of instances that a metric may have shown. */
  const isDue = ({ domain, seen }: LoadedMetric): boolean =>
    domain !== undefined && domain.marks !== seen;

  return { metrics, meet, meetInstances, isDue, end: documents.last };
}

/** See metadataWriter. */
export type MetadataWriter = ReturnType<typeof metadataWriter>;
