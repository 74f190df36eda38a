// The content of archives as text in the format of pmdumplog(1), piece by piece: label, descriptors,
// labels, help texts, instances, index, and every record with its values. Where the order of the C
// program before PCP 7 is that of a hash table, it is that of numbers here, as in PCP 7.
// Refused with the error of the call that fails: names of metrics that are not in the archive, and
// damage met in a walk, after everything before it.
import {
  type Archive,
  archiveEnd,
  type ArchiveSet,
  Catalog,
  compareTimes,
  type DataRecord,
  decodeIndom,
  type IndexEntry,
  type IndomRecord,
  labelBytes,
  loadMeta,
  markBytes,
  META_TYPE,
  openArchiveFile,
  PM_TEXT,
  SetCursor,
  setEnd,
} from "../archive/mod.ts";
import { pad4 } from "../base/mod.ts";
import {
  asIndom,
  asPmid,
  ctimeText,
  clockText,
  type FractionDigits,
  labelSetsText,
  MAX_VLEN,
  PM_LABEL,
  PM_VAL,
  pmDescStr,
  type Pmid,
  pmIDStr,
  pmInDomStr,
  type ResultView,
  secondsBetween,
  type Timestamp,
  UTC,
  type ValueSet,
} from "../pcp/mod.ts";
import { entryFaults, indexCheck } from "./archive-index.ts";
import type { DumpOptions, DumpParts } from "./dump-types.ts";
import { type Naming, naming, valueSetText } from "./dump-values.ts";

/** What the parts of one dump share. */
interface Dump extends Naming {
  readonly set: ArchiveSet;
  readonly options: DumpOptions;
  /** Digits of a second: 6 where the first archive has version 2, else 9. */
  readonly digits: FractionDigits;
}

/** A time as it stands in front of a line. */
function stamp({ set, options, zone, digits }: Dump, time: Timestamp): string {
  const { extended = 0 } = options;
  if (extended === 0) return clockText(time, zone, digits);
  let text = ctimeText(time, zone, digits);
  if (extended > 1) text += ` (${secondsBetween(time, set.label.start).toFixed(digits)})`;
  return extended > 2 ? `${text} ${time.sec}` : text;
}

/** The heading of a member where there are several. */
const member = ({ set }: Dump, archive: Archive): string =>
  set.members.length === 1 ? "" : `--- archive ${archive.name} ---\n`;

function featureText(features: number): string {
  let text = `Archive features: 0x${features.toString(16)}`;
  // The highest bit is PCP's own for tests; no other has a meaning yet.
  for (let bit = 0; bit < 31; bit++) {
    if ((features & (1 << bit)) !== 0) text += ` [unknown: bit_${String(bit).padStart(2, "0")}]`;
  }
  return `${text}\n`;
}

function labelText(dump: Dump, archive: Archive): string {
  const { label } = archive;
  const end = archiveEnd(archive);
  const at = (time: Timestamp): string => ctimeText(time, dump.zone, dump.digits);
  let text = member(dump, archive);
  text += `Log Label (Log Format Version ${label.version})\n`;
  text += `Performance metrics from host ${label.host}\n`;
  text += `    commencing ${at(label.start)}\n`;
  text += `    ending     ${end === undefined ? "UNKNOWN" : at(end)}\n`;
  if (dump.options.label === "short") return text;
  text += `Archive timezone: ${label.timezone}\n`;
  if (label.zoneinfo !== "") text += `Archive zoneinfo: ${label.zoneinfo}\n`;
  if (label.features !== 0) text += featureText(label.features);
  return `${text}PID for pmlogger: ${label.pid}\n`;
}

function* descriptors({ catalog, metric }: Dump): Generator<string> {
  yield "\nDescriptions for Metrics in the Log ...\n";
  for (const desc of [...catalog.descs.values()].sort((a, b) => a.pmid - b.pmid)) {
    yield `PMID: ${metric(desc.pmid, "<noname>")}\n${pmDescStr(desc)}`;
  }
}

/** Levels in the order in which a dump has them. */
const LEVELS: readonly number[] = [
  PM_LABEL.CONTEXT,
  PM_LABEL.DOMAIN,
  PM_LABEL.CLUSTER,
  PM_LABEL.ITEM,
  PM_LABEL.INDOM,
  PM_LABEL.INSTANCES,
];

function* labels(dump: Dump): Generator<string> {
  yield "\nMetric Labels in the Log ...\n";
  const records = [...dump.catalog.labelKeys()].flatMap(({ type, ident }) =>
    dump.catalog.labelRecords(type, ident),
  );
  const level = (type: number): number => LEVELS.indexOf(type);
  records.sort(
    (a, b) =>
      compareTimes(a.timestamp, b.timestamp) || level(a.type) - level(b.type) || a.ident - b.ident,
  );
  let now: Timestamp | undefined;
  for (const { type, ident, timestamp, sets } of records) {
    if (now === undefined || compareTimes(now, timestamp) !== 0)
      yield `${stamp(dump, timestamp)}\n`;
    now = timestamp;
    // pmPrintLabelSets(3) says "(null)" where a host left the JSON out; a dump says nothing.
    const text = labelSetsText(ident, type, sets);
    yield text.replaceAll("labels (0 bytes): (null)\n", "labels (0 bytes): \n");
  }
}

function* texts({ catalog }: Dump): Generator<string> {
  yield "\nMetric Help Text in the Log ...\n";
  const about = (type: number): number => type & (PM_TEXT.PMID | PM_TEXT.INDOM);
  const keys = [...catalog.textKeys()].sort(
    (a, b) => about(a.type) - about(b.type) || a.ident - b.ident || a.type - b.type,
  );
  for (const { type, ident } of keys) {
    const what =
      (type & PM_TEXT.PMID) !== 0
        ? `PMID: ${pmIDStr(asPmid(ident))}`
        : `InDom: ${pmInDomStr(asIndom(ident))}`;
    const text = catalog.text(type, ident) ?? "";
    yield (type & PM_TEXT.ONELINE) !== 0 ? `${what} [${text}]\n` : `${what}\n${text}\n`;
  }
}

function* instances(dump: Dump): Generator<string> {
  yield "\nInstance Domains in the Log ...\n";
  for (const [indom, history] of [...dump.catalog.indoms].sort(([a], [b]) => a - b)) {
    yield `InDom: ${pmInDomStr(indom)}\n`;
    for (const [i, { timestamp }] of history.records.entries()) {
      const { ids, names } = history.stateAfter(i);
      let text = `${stamp(dump, timestamp)} ${ids.length} instances\n`;
      ids.forEach((id, at) => (text += `   ${id} or "${names[at]}"\n`));
      yield text;
    }
  }
}

const INDOM_TYPES: ReadonlySet<number> = new Set([
  META_TYPE.INDOM_V2,
  META_TYPE.INDOM,
  META_TYPE.INDOM_DELTA,
]);

function* storedInstances(dump: Dump, archive: Archive): Generator<string> {
  yield `\n${member(dump, archive)}Instance Domains on-disk ...\n`;
  const stored: IndomRecord[] = [];
  const { meta } = archive.files;
  const file = openArchiveFile(meta);
  try {
    const from = labelBytes(archive.label.version);
    loadMeta(file, meta, from, new Catalog(), archive.growing, (type, bytes, place) => {
      if (INDOM_TYPES.has(type)) stored.push(decodeIndom(bytes, place));
      return false;
    });
  } finally {
    file.close();
  }
  for (const { timestamp, indom, delta, instances: entries } of stored) {
    const change = delta ? " delta" : "";
    let text = `${stamp(dump, timestamp)} InDom: ${pmInDomStr(indom)}${change}`;
    text += ` ${entries.length} instances\n`;
    for (const { inst, name } of entries) {
      if (name === undefined) text += `   del ${inst}\n`;
      else text += `   ${delta ? "add " : ""}${inst} or "${name}"\n`;
    }
    yield text;
  }
}

/** Tabs before the heading of the index, by `extended`, for 6 digits; for 9 there is one more. */
const INDEX_TABS: readonly number[] = [2, 4, 6, 6];

function* temporalIndex(dump: Dump, archive: Archive): Generator<string> {
  const { files, index } = archive;
  const tabs = (INDEX_TABS[dump.options.extended ?? 0] ?? 2) + (dump.digits === 9 ? 1 : 0);
  yield `\n${member(dump, archive)}Temporal Index\n`;
  yield `${"\t".repeat(tabs)}Log Vol    end(meta)     end(log)\n`;
  const check = indexCheck(files, (time) => clockText(time, dump.zone, dump.digits));
  let before: IndexEntry | undefined;
  for (let i = 0; i < (index?.count ?? 0); i++) {
    const entry = index?.entry(i);
    if (entry === undefined) break;
    const columns = [entry.volume, entry.metaOffset, entry.dataOffset];
    const [volume, meta, data] = columns.map((each, at) =>
      String(each).padStart(at === 0 ? 5 : 11),
    );
    let text = `${stamp(dump, entry.timestamp)}\t  ${volume}  ${meta}  ${data}\n`;
    for (const { text: fault } of entryFaults(check, before, entry)) text += `\t\t${fault}\n`;
    yield text;
    before = entry;
  }
}

/** Bytes that a set with its blocks takes in a record. */
function setBytes(set: ValueSet): number {
  if (set.numval <= 0) return 8;
  let size = 12 + 8 * set.numval;
  if (set.valfmt === PM_VAL.INSITU) return size;
  for (let i = 0; i < set.numval; i++) size += pad4(set.view.getUint32(set.block(i)) & MAX_VLEN);
  return size;
}

/** PMIDs that are wanted, with their places in the order of a record's values. */
type Wanted = ReadonlyMap<Pmid, number>;

/** The metrics at and below the names of `options`, in their order; throws PM_ERR_NAME. */
export function wantedOf(catalog: Catalog, options: DumpOptions): Wanted | undefined {
  const { metrics = [], names = catalog.names } = options;
  if (metrics.length === 0) return undefined;
  const found = new Map<Pmid, number>();
  for (const name of metrics) {
    for (const { pmid } of names.traverse(name)) if (!found.has(pmid)) found.set(pmid, found.size);
  }
  return found;
}

/** The value sets of a result that are wanted, in the order of the metrics. */
function pick(dump: Dump, result: ResultView, wanted: Wanted): { texts: string[]; bytes: number } {
  const found: { readonly place: number; readonly text: string }[] = [];
  let bytes = 0;
  for (const set = result.sets(); set.next();) {
    const place = wanted.get(set.pmid);
    if (place === undefined) continue;
    bytes += setBytes(set);
    found.push({ place, text: valueSetText(dump, set) });
  }
  found.sort((a, b) => a.place - b.place);
  return { texts: found.map(({ text }) => text), bytes };
}

/** One record, or what of it is wanted; nothing when that is nothing. */
function* recordText(
  dump: Dump,
  record: DataRecord,
  wanted: Wanted | undefined,
): Generator<string> {
  const { sizes = false, marks = false, all = false } = dump.options;
  const shortest = markBytes(dump.set.label.version);
  const time = { sec: record.sec, nsec: record.nsec };
  const head = (bytes: number): string =>
    `\n${sizes || all ? `[${bytes} bytes]\n` : ""}${stamp(dump, time)} `;
  if (record.numpmid === 0) {
    if (wanted === undefined || marks) yield `${head(record.length || shortest)} <mark>\n`;
    return;
  }
  const result = record.result();
  const counted = (count: number): string => `${count} metric${count === 1 ? "" : "s"}\n`;
  dump.at(time);
  if (wanted === undefined) {
    yield head(record.length) + counted(result.numpmid);
    for (const set = result.sets(); set.next();) yield valueSetText(dump, set);
    return;
  }
  const { texts, bytes } = pick(dump, result, wanted);
  if (texts.length === 0) return;
  yield head(shortest + bytes) + counted(texts.length);
  yield* texts;
}

/** The records of a window, in the direction of a dump; each is good until the next one. */
export function* recordsOf(set: ArchiveSet, options: DumpOptions): Generator<DataRecord> {
  const { reverse = false, start, finish } = options;
  const cursor = new SetCursor(set);
  try {
    const from = reverse ? finish : start;
    if (from !== undefined) cursor.seek(from, reverse ? "backward" : "forward");
    else if (reverse) cursor.toEnd();
    while (reverse ? cursor.previous() : cursor.next()) {
      const { record } = cursor;
      if (reverse && start !== undefined && compareTimes(record, start) < 0) return;
      if (!reverse && finish !== undefined && compareTimes(record, finish) > 0) return;
      yield record;
    }
  } finally {
    cursor.close();
  }
}

function* values(dump: Dump): Generator<string> {
  const { set, options, catalog, zone } = dump;
  const wanted = wantedOf(catalog, options);
  if (options.reverse === true) {
    const last = ctimeText(options.finish ?? setEnd(set), zone);
    yield `\nLog finished at ${last} - dump in reverse order\n`;
  }
  for (const record of recordsOf(set, options)) yield* recordText(dump, record, wanted);
}

/** Which parts a dump has. Without any the values are dumped, as pmdumplog does. */
export function partsOf(options: DumpOptions): Record<keyof DumpParts, boolean> {
  const { all = false } = options;
  const parts = {
    label: options.label !== undefined || all,
    descriptors: options.descriptors ?? all,
    labels: options.labels ?? false,
    texts: options.texts ?? false,
    storedInstances: options.storedInstances ?? false,
    instances: options.instances ?? all,
    index: options.index ?? all,
  };
  return { ...parts, values: options.values ?? (all || !Object.values(parts).includes(true)) };
}

/**
 * The dump of a set, in pieces of whole lines with their newlines: at most one value set or one
 * state of an instance domain each.
 * Throws PcpError: PM_ERR_NAME for an unknown metric before any value; PM_ERR_LOGREC at damage,
 * PM_ERR_LOGOVERLAP where members overlap, after what precedes it.
 */
export function* dumpArchives(set: ArchiveSet, options: DumpOptions = {}): Generator<string> {
  const { members, label, catalog } = set;
  const parts = partsOf(options);
  const dump: Dump = {
    ...naming(catalog, options.zone ?? UTC, options.names),
    set,
    options,
    digits: label.version === 2 ? 6 : 9,
  };
  if (members.length > 1) yield `Note: multi-archive context with ${members.length} archives\n`;
  if (parts.label) for (const archive of members) yield labelText(dump, archive);
  if (parts.descriptors) yield* descriptors(dump);
  if (parts.labels) yield* labels(dump);
  if (parts.texts) yield* texts(dump);
  if (parts.storedInstances) for (const archive of members) yield* storedInstances(dump, archive);
  if (parts.instances) yield* instances(dump);
  if (parts.index) for (const archive of members) yield* temporalIndex(dump, archive);
  if (parts.values) yield* values(dump);
}
