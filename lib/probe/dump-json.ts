// The content of archives as plain objects for JSON, piece by piece, in the order of the dump as text:
// label, descriptors, labels, help texts, instances, index, every record. Memory is that of one record.
// Refused as by the dump as text, after what precedes the damage.
import type { Archive, ArchiveSet, DataRecord } from "../archive/mod.ts";
import { archiveEnd, PM_TEXT } from "../archive/mod.ts";
import { PcpError, pmErrStr } from "../base/mod.ts";
import {
  asIndom,
  asPmid,
  labelsOf,
  PM_IN_NULL,
  PM_INDOM_NULL,
  PM_LABEL,
  PM_TYPE,
  PM_VAL,
  pmEventFlagsStr,
  pmExtractValue,
  pmIDStr,
  pmInDomStr,
  pmSemStr,
  pmTypeStr,
  pmUnitsStr,
  UTC,
  type ValueSet,
} from "../pcp/mod.ts";
import { entryFaults, indexCheck, timestampText } from "./archive-index.ts";
import { partsOf, recordsOf, wantedOf } from "./dump.ts";
import type { DumpOptions } from "./dump-types.ts";
import { type Naming, naming } from "./dump-values.ts";
import { unpackEvents } from "./events.ts";
import { jsonValue } from "./json.ts";
import { labelReport } from "./live.ts";

/** One object of JSON's own values; `part` says what of the archive it is. */
export interface DumpObject {
  readonly part: string;
  readonly [key: string]: unknown;
}

const LEVELS: ReadonlyMap<number, string> = new Map(
  Object.entries(PM_LABEL).map(([name, type]) => [type, name.toLowerCase()]),
);

const labelObject = (archive: Archive): DumpObject => ({
  part: "label",
  archive: archive.name,
  ...archive.label,
  end: archiveEnd(archive) ?? null,
});

function* descriptorObjects({ catalog }: ArchiveSet): Generator<DumpObject> {
  for (const desc of [...catalog.descs.values()].sort((a, b) => a.pmid - b.pmid)) {
    yield {
      part: "descriptor",
      pmid: pmIDStr(desc.pmid),
      names: catalog.names.namesOf(desc.pmid),
      type: pmTypeStr(desc.type),
      semantics: pmSemStr(desc.sem),
      indom: desc.indom === PM_INDOM_NULL ? null : pmInDomStr(desc.indom),
      units: pmUnitsStr(desc.units),
    };
  }
}

/** What a label set is about, as PCP writes it: nothing for the context, a number for a domain. */
function labelIdent(type: number, ident: number): string | number | null {
  if (type === PM_LABEL.CONTEXT) return null;
  if (type === PM_LABEL.DOMAIN) return ident;
  if (type === PM_LABEL.CLUSTER) return pmIDStr(asPmid(ident)).replace(/\.\d+$/, "");
  return type === PM_LABEL.ITEM ? pmIDStr(asPmid(ident)) : pmInDomStr(asIndom(ident));
}

function* labelSetObjects({ catalog }: ArchiveSet): Generator<DumpObject> {
  for (const { type, ident } of catalog.labelKeys()) {
    for (const { timestamp, sets } of catalog.labelRecords(type, ident)) {
      yield {
        part: "labels",
        time: timestamp,
        level: LEVELS.get(type) ?? String(type),
        ident: labelIdent(type, ident),
        sets: sets.map((set) => ({
          instance: set.instance === PM_IN_NULL ? null : set.instance,
          labels: labelsOf(set).map(labelReport),
        })),
      };
    }
  }
}

function* textObjects({ catalog }: ArchiveSet): Generator<DumpObject> {
  for (const { type, ident } of catalog.textKeys()) {
    yield {
      part: "text",
      about: (type & PM_TEXT.PMID) !== 0 ? pmIDStr(asPmid(ident)) : pmInDomStr(asIndom(ident)),
      of: (type & PM_TEXT.PMID) !== 0 ? "metric" : "domain",
      oneline: (type & PM_TEXT.ONELINE) !== 0,
      text: catalog.text(type, ident) ?? "",
    };
  }
}

function* instanceObjects({ catalog }: ArchiveSet): Generator<DumpObject> {
  for (const [indom, history] of [...catalog.indoms].sort(([a], [b]) => a - b)) {
    for (const [i, { timestamp, delta }] of history.records.entries()) {
      const { ids, names } = history.stateAfter(i);
      const instances = ids.map((instance, at) => ({ instance, name: names[at] }));
      yield { part: "instances", time: timestamp, indom: pmInDomStr(indom), delta, instances };
    }
  }
}

function* indexObjects({ files, index, name }: Archive): Generator<DumpObject> {
  const check = indexCheck(files, timestampText);
  for (let i = 0; i < (index?.count ?? 0); i++) {
    const entry = index?.entry(i);
    if (entry === undefined) return;
    const before = i === 0 ? undefined : index?.entry(i - 1);
    const faults = [...entryFaults(check, before, entry)].map(({ text }) => text);
    const { timestamp: time, volume, metaOffset, dataOffset } = entry;
    yield { part: "index", archive: name, time, volume, metaOffset, dataOffset, faults };
  }
}

/** The records of an event array, or why they cannot be told. */
function eventsOf({ metric }: Naming, set: ValueSet, i: number): object {
  try {
    const events = unpackEvents(set.bytes, set.block(i)).map(({ flags, parameters, ...rest }) => ({
      ...rest,
      flags: pmEventFlagsStr(flags),
      parameters: parameters.map(({ id, value }) => ({
        metric: metric(id),
        value: jsonValue(value),
      })),
    }));
    return { events };
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
    return { events: null, error: pmErrStr(error.code) };
  }
}

function valueObject(dump: Naming, set: ValueSet, i: number): object {
  const { type, indom } = dump.lines(set.pmid);
  const instance =
    indom === PM_INDOM_NULL
      ? { instance: null, name: null }
      : { instance: set.instance(i), name: dump.instanceName(indom, set.instance(i)) };
  const events = type === PM_TYPE.EVENT || type === PM_TYPE.HIGHRES_EVENT;
  if (events && set.valfmt !== PM_VAL.INSITU) return { ...instance, ...eventsOf(dump, set, i) };
  try {
    return { ...instance, value: jsonValue(pmExtractValue(set, i, type, type)) };
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
    return { ...instance, value: null, error: pmErrStr(error.code) };
  }
}

function recordObject(
  dump: Naming,
  record: DataRecord,
  wanted: ReturnType<typeof wantedOf>,
): DumpObject | undefined {
  const time = { sec: record.sec, nsec: record.nsec };
  if (record.numpmid === 0) return { part: "mark", time };
  dump.at(time);
  const metrics: object[] = [];
  for (const set = record.result().sets(); set.next();) {
    if (wanted?.has(set.pmid) === false) continue;
    const values = [];
    for (let i = 0; i < set.numval; i++) values.push(valueObject(dump, set, i));
    metrics.push({
      pmid: pmIDStr(set.pmid),
      name: dump.catalog.names.namesOf(set.pmid)[0] ?? null,
      error: set.numval < 0 ? pmErrStr(set.numval) : null,
      values,
    });
  }
  if (wanted !== undefined && metrics.length === 0) return undefined;
  return { part: "record", time, bytes: record.length, metrics };
}

/**
 * The dump of a set as objects, with the parts and the window of `options`; metrics are picked, not
 * put in order. Throws as dumpArchives.
 */
export function* dumpObjects(set: ArchiveSet, options: DumpOptions = {}): Generator<DumpObject> {
  const { members, catalog } = set;
  const parts = partsOf(options);
  const names = naming(catalog, options.zone ?? UTC, options.names);
  if (parts.label) for (const archive of members) yield labelObject(archive);
  if (parts.descriptors) yield* descriptorObjects(set);
  if (parts.labels) yield* labelSetObjects(set);
  if (parts.texts) yield* textObjects(set);
  if (parts.instances || parts.storedInstances) yield* instanceObjects(set);
  if (parts.index) for (const archive of members) yield* indexObjects(archive);
  if (!parts.values) return;
  const wanted = wantedOf(catalog, options);
  for (const record of recordsOf(set, options)) {
    const found = recordObject(names, record, wanted);
    if (found !== undefined) yield found;
  }
}
