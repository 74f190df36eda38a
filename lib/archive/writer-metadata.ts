// What a writer knows about metrics, and which of it is in the archive already. Metadata are told at any
// time and come out as records just before the first result that needs them, in pmlogger's order
// (spec archive.md 4.3). Refused: a metric that nobody described (PM_ERR_PMID_LOG), descriptors that
// contradict one written before (PM_ERR_LOGCHANGE…).
import { PM_ERR, PcpError } from "../base/mod.ts";
import {
  type Desc,
  type EventCursor,
  eventsOf,
  indomDomain,
  type Indom,
  PM_INDOM_NULL,
  PM_LABEL,
  PM_TYPE,
  type Pmid,
  pmidDomain,
  pmIDStr,
  type ResultView,
  type Timestamp,
  type ValueSet,
} from "../pcp/mod.ts";
import { type DescRecord, encodeDesc } from "./desc.ts";
import { encodeText, PM_TEXT, type TextRecord } from "./helptext.ts";
import { encodeIndom, type IndomRecord, type InstanceEntry, instanceEntry } from "./indom.ts";
import { type ArchiveLabelSet, encodeLabelSets, labelSetsBody } from "./labelset.ts";
import type { MetaRecord } from "./meta.ts";
import type { ArchiveVersion } from "./timestamp.ts";

/** A metric that was described. */
interface Metric {
  desc: Desc;
  names: readonly string[];
  /** Names in the archive. */
  written: Set<string> | undefined;
  /** Value of `changes` when everything about the metric was in the archive. */
  readyAt: number;
}

/** Instances by identifier. */
type InstanceMap = Map<number, string>;

interface Domain {
  /** To be written with the next result that has the domain, if it differs from `written`. */
  now: InstanceMap | undefined;
  written: InstanceMap | undefined;
}

interface Labels {
  readonly type: number;
  readonly ident: number;
  sets: readonly ArchiveLabelSet[] | undefined;
  /** Encoded sets of the newest record. */
  written: Uint8Array | undefined;
}

/** The context's identifier in label records. */
const CONTEXT_IDENT = 0xffffffff;
const CLUSTER_MASK = 0xfffffc00;
const keyOf = (type: number, ident: number): string => `${type}:${ident}`;

const CONFLICTS = [
  ["type", PM_ERR.LOGCHANGETYPE],
  ["sem", PM_ERR.LOGCHANGESEM],
  ["indom", PM_ERR.LOGCHANGEINDOM],
  ["units", PM_ERR.LOGCHANGEUNITS],
] as const;

/**
 * The entries of a delta record that makes `now` of `before`: undefined when a full record is to be
 * written (a name changed, or the delta is longer than the full record), empty when nothing changed.
 */
export function indomChanges(before: InstanceMap, now: InstanceMap): InstanceEntry[] | undefined {
  const changes: InstanceEntry[] = [];
  for (const [inst, name] of now) {
    const old = before.get(inst);
    if (old === undefined) changes.push(instanceEntry(inst, name));
    else if (old !== name) return undefined;
  }
  for (const inst of before.keys()) {
    if (!now.has(inst)) changes.push(instanceEntry(inst, undefined));
  }
  if (changes.length > now.size) return undefined;
  return changes.sort((a, b) => a.inst - b.inst);
}

const entriesOf = (instances: InstanceMap): InstanceEntry[] =>
  [...instances].sort(([a], [b]) => a - b).map(([inst, name]) => instanceEntry(inst, name));

const sameInstances = (a: InstanceMap, b: InstanceMap): boolean =>
  a.size === b.size && [...a].every(([inst, name]) => b.get(inst) === name);

/** The events of a value; undefined when they are damaged, which is for who reads the value to tell. */
function soundEvents(set: ValueSet, i: number): EventCursor | undefined {
  try {
    return eventsOf(set.bytes, set.block(i));
  } catch (error) {
    if (error instanceof PcpError) return undefined;
    throw error;
  }
}

/** Everything told about metrics, with what is in the archive of it. */
export class WriterMetadata {
  private readonly metrics = new Map<Pmid, Metric>();
  private readonly domains = new Map<Indom, Domain>();
  private readonly labels = new Map<string, Labels>();
  private readonly texts = new Map<string, { readonly record: TextRecord; written: boolean }>();
  private changes = 1;
  /** Whether an instance domain record came out since this was last set to false. */
  indomWritten = false;

  constructor(
    private readonly version: ArchiveVersion,
    /** Takes each record that is to be written now. */
    private readonly emit: (bytes: Uint8Array) => void,
  ) {}

  /** Tells a metric with its names; names may be added later. */
  describe(desc: Desc, names: readonly string[]): void {
    const known = this.metrics.get(desc.pmid);
    if (known === undefined) {
      this.metrics.set(desc.pmid, { desc, names, written: undefined, readyAt: 0 });
      return;
    }
    for (const [field, code] of CONFLICTS) {
      if (known.desc[field] === desc[field]) continue;
      const reason = `${field} ${desc[field]}, but ${known.desc[field]} before`;
      throw new PcpError(code, `metric ${names[0] ?? ""} (${pmIDStr(desc.pmid)}): ${reason}`);
    }
    known.names = [...new Set([...known.names, ...names])];
    known.readyAt = 0;
  }

  /** Tells the instances that a domain has from now on. */
  setInstances(indom: Indom, instances: Iterable<readonly [inst: number, name: string]>): void {
    const now: InstanceMap = new Map([...instances].sort(([a], [b]) => a - b));
    this.domain(indom).now = now;
    this.changes++;
  }

  /** Tells the label sets of a level and identifier. */
  setLabels(type: number, ident: number, sets: readonly ArchiveLabelSet[]): void {
    this.labelsOf(type, ident).sets = sets;
    this.changes++;
  }

  /** Tells a help text; the first one told for a type and identifier is written. */
  setText(record: TextRecord): void {
    const key = keyOf(record.type, record.ident);
    if (!this.texts.has(key)) this.texts.set(key, { record, written: false });
    this.changes++;
  }

  /** Notes a record that the caller writes as it stands. */
  note(record: MetaRecord, bytes: Uint8Array): void {
    this.changes++;
    switch (record.kind) {
      case "desc": {
        this.describe(record.desc, record.names);
        const metric = this.metrics.get(record.desc.pmid) as Metric;
        metric.written = new Set([...(metric.written ?? []), ...record.names]);
        return;
      }
      case "indom":
        this.indomWritten = true;
        this.noteInstances(record);
        return;
      case "labels": {
        const labels = this.labelsOf(record.type, record.ident);
        labels.sets = undefined;
        labels.written = labelSetsBody(bytes).slice();
        return;
      }
      case "text":
        this.texts.set(keyOf(record.type, record.ident), { record, written: true });
        return;
      default:
        record satisfies never;
    }
  }

  private noteInstances(record: IndomRecord): void {
    const domain = this.domain(record.indom);
    domain.written = this.instancesAfter(record);
    domain.now = undefined;
  }

  private instancesAfter({ indom, delta, instances }: IndomRecord): InstanceMap {
    const state: InstanceMap = new Map(delta ? this.domains.get(indom)?.written : []);
    for (const { inst, name } of instances) {
      if (name === undefined) state.delete(inst);
      else state.set(inst, name);
    }
    return state;
  }

  /** The full record that says the same as this one after what was written before. */
  whole(record: IndomRecord): IndomRecord {
    return { ...record, delta: false, instances: entriesOf(this.instancesAfter(record)) };
  }

  private domain(indom: Indom): Domain {
    let domain = this.domains.get(indom);
    if (domain === undefined) {
      domain = { now: undefined, written: undefined };
      this.domains.set(indom, domain);
    }
    return domain;
  }

  private labelsOf(type: number, ident: number): Labels {
    const key = keyOf(type, ident);
    let labels = this.labels.get(key);
    if (labels === undefined) {
      labels = { type, ident, sets: undefined, written: undefined };
      this.labels.set(key, labels);
    }
    return labels;
  }

  /** Throws PM_ERR_PMID_LOG when a metric of the result was not described. */
  check(result: ResultView): void {
    for (const set = result.sets(); set.next();) {
      if (this.metrics.has(set.pmid)) continue;
      throw new PcpError(
        PM_ERR.PMID_LOG,
        `metric ${pmIDStr(set.pmid)} has values but was not described`,
      );
    }
  }

  /** Lets everything come out that a checked result needs and that is not in the archive yet. */
  before(result: ResultView, timestamp: Timestamp): void {
    for (const set = result.sets(); set.next();) {
      const metric = this.metrics.get(set.pmid);
      if (metric === undefined) continue;
      const { type } = metric.desc;
      if (metric.readyAt !== this.changes) this.metric(metric, timestamp);
      if (type === PM_TYPE.EVENT || type === PM_TYPE.HIGHRES_EVENT) {
        this.parameters(set, timestamp);
      }
    }
  }

  /** Metadata of the parameters inside events, as far as they were told. */
  private parameters(set: ValueSet, timestamp: Timestamp): void {
    if (set.valfmt === 0) return;
    for (let i = 0; i < set.numval; i++) {
      const events = soundEvents(set, i);
      while (events?.next() === true) {
        while (events.nextParameter()) {
          const metric = this.metrics.get(events.pmid);
          if (metric !== undefined && metric.readyAt !== this.changes) {
            this.metric(metric, timestamp);
          }
        }
      }
    }
  }

  private metric(metric: Metric, timestamp: Timestamp): void {
    const { desc, names } = metric;
    const { pmid, indom } = desc;
    const missing = names.filter((name) => metric.written?.has(name) !== true);
    if (metric.written === undefined || missing.length > 0) {
      const record: DescRecord = { kind: "desc", desc, names: missing };
      this.emit(encodeDesc(record));
      metric.written = new Set(names);
    }
    const single = indom === PM_INDOM_NULL;
    const domain = single ? pmidDomain(pmid) : indomDomain(indom);
    this.label(PM_LABEL.CONTEXT, CONTEXT_IDENT, timestamp);
    this.label(PM_LABEL.DOMAIN, pmidDomain(pmid), timestamp);
    if (!single && domain !== pmidDomain(pmid)) this.label(PM_LABEL.DOMAIN, domain, timestamp);
    if (!single) this.label(PM_LABEL.INDOM, indom, timestamp);
    this.label(PM_LABEL.CLUSTER, (pmid & CLUSTER_MASK) >>> 0, timestamp);
    this.label(PM_LABEL.ITEM, pmid, timestamp);
    if (!single) this.label(PM_LABEL.INSTANCES, indom, timestamp);
    for (const level of [PM_TEXT.ONELINE, PM_TEXT.HELP]) {
      this.text(level | PM_TEXT.PMID, pmid);
      if (!single) this.text(level | PM_TEXT.INDOM, indom);
    }
    if (!single) this.instances(indom, timestamp);
    metric.readyAt = this.changes;
  }

  private label(type: number, ident: number, timestamp: Timestamp): void {
    const labels = this.labels.get(keyOf(type, ident));
    if (labels?.sets === undefined) return;
    const { sets } = labels;
    labels.sets = undefined;
    const record = { kind: "labels", timestamp, type, ident, sets } as const;
    const bytes = encodeLabelSets(this.version, record);
    const body = labelSetsBody(bytes);
    if (labels.written !== undefined && Buffer.compare(body, labels.written) === 0) return;
    labels.written = body;
    this.emit(bytes);
  }

  private text(type: number, ident: number): void {
    const text = this.texts.get(keyOf(type, ident));
    if (text === undefined || text.written) return;
    text.written = true;
    this.emit(encodeText(text.record));
  }

  private instances(indom: Indom, timestamp: Timestamp): void {
    const domain = this.domain(indom);
    const { now, written } = domain;
    domain.now = undefined;
    // Readers ignore a record without instances, so there is no use in writing one.
    if (now === undefined || now.size === 0) return;
    if (written !== undefined && sameInstances(written, now)) return;
    const changes =
      this.version === 2 || written === undefined ? undefined : indomChanges(written, now);
    const delta = changes !== undefined;
    const record: IndomRecord = {
      kind: "indom",
      delta,
      timestamp,
      indom,
      instances: changes ?? entriesOf(now),
    };
    this.emit(encodeIndom(this.version, record));
    domain.written = now;
    this.indomWritten = true;
  }
}
