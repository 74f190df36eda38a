// Writes the metadata that a record needs before it (spec extract.md 8.2, 8.3), each record once and with
// the time of the data record. For every metric it tells until when there is nothing more to write,
// so that most data records need one comparison of times.
import { META_TYPE, type ArchiveVersion } from "../archive/mod.ts";
import { PM_INDOM_NULL, PM_LABEL, type Pmid, pmidDomain, type Timestamp } from "../pcp/mod.ts";
import type { InstanceRecord, InstanceRecords } from "./instances.ts";
import { keyOf, type LabelEntry, type Metadata, type Metric } from "./metadata.ts";
import { metaRecord } from "./records.ts";

const CONTEXT = 0xffffffff;
const ONELINE = 1;
const HELP = 2;
const OF_METRIC = 4;
const OF_INDOM = 8;

const notAfter = (a: Timestamp, b: Timestamp): boolean =>
  a.sec < b.sec || (a.sec === b.sec && a.nsec <= b.nsec);

const earlier = (a: Timestamp | undefined, b: Timestamp | undefined): Timestamp | undefined => {
  if (a === undefined || b === undefined) return a ?? b;
  return notAfter(a, b) ? a : b;
};

/** The label sets of one level and identifier that are not written yet. */
class LabelList {
  /** Numbers in the list by time. */
  private readonly byTime: Uint32Array;
  /** The first of those that is not written. */
  private from = 0;
  /** Earliest time of those; undefined without any. */
  next: Timestamp | undefined;

  constructor(private readonly list: readonly LabelEntry[]) {
    this.byTime = Uint32Array.from(list.keys());
    this.byTime.sort((a, b) => {
      const [one, other] = [list[a] as LabelEntry, list[b] as LabelEntry];
      return one.sec - other.sec || one.nsec - other.nsec || a - b;
    });
    this.next = this.at(0);
  }

  private at(place: number): LabelEntry | undefined {
    return this.list[this.byTime[place] ?? -1];
  }

  /** Those not later than `time` in the order of the list; they count as written from now on. */
  take(time: Timestamp): readonly LabelEntry[] {
    if (this.next === undefined || !notAfter(this.next, time)) return [];
    let to = this.from;
    for (let entry = this.at(to); entry !== undefined && notAfter(entry, time);)
      entry = this.at(++to);
    const due = this.byTime.slice(this.from, to).sort();
    this.from = to;
    this.next = this.at(to);
    return Array.from(due, (place) => this.list[place] as LabelEntry);
  }
}

/** What belongs to an instance domain, and what holds there at one time. */
interface Domain {
  readonly records: InstanceRecords | undefined;
  readonly labels: readonly LabelList[];
  readonly indom: number;
  time: Timestamp | undefined;
  record: InstanceRecord | undefined;
  until: Timestamp | undefined;
}

/** A metric with all that is written with it. */
export interface Described {
  readonly metric: Metric;
  /** Context, item, domain, cluster. */
  readonly labels: readonly LabelList[];
  readonly domain: Domain | undefined;
}

/** Writes metadata; `put` appends a whole record to the metadata file. */
export class DescriptionWriter {
  private readonly lists = new Map<number, LabelList>();
  private readonly domains = new Map<number, Domain>();
  private readonly known = new Map<Pmid, Described>();

  constructor(
    private readonly version: ArchiveVersion,
    private readonly metadata: Metadata,
    private readonly put: (bytes: Uint8Array) => void,
  ) {}

  /** What there is about a metric; undefined when no input describes it. */
  of(pmid: Pmid): Described | undefined {
    const known = this.known.get(pmid);
    if (known !== undefined) return known;
    const metric = this.metadata.metrics.get(pmid);
    if (metric === undefined) return undefined;
    const { indom } = metric.desc;
    const cluster = (pmid & 0x7ffffc00) >>> 0;
    const labels = [
      this.list(PM_LABEL.CONTEXT, CONTEXT),
      this.list(PM_LABEL.ITEM, pmid),
      this.list(PM_LABEL.DOMAIN, pmidDomain(pmid)),
      this.list(PM_LABEL.CLUSTER, cluster),
    ];
    const domain = indom === PM_INDOM_NULL ? undefined : this.domain(indom);
    const described = { metric, labels, domain };
    this.known.set(pmid, described);
    return described;
  }

  private list(level: number, ident: number): LabelList {
    const key = keyOf(level, ident);
    let list = this.lists.get(key);
    if (list === undefined) {
      list = new LabelList(this.metadata.labels.get(key) ?? []);
      this.lists.set(key, list);
    }
    return list;
  }

  private domain(indom: number): Domain {
    const known = this.domains.get(indom);
    if (known !== undefined) return known;
    const domain: Domain = {
      records: this.metadata.indoms.get(indom),
      labels: [
        this.list(PM_LABEL.CONTEXT, CONTEXT),
        this.list(PM_LABEL.INDOM, indom),
        this.list(PM_LABEL.INSTANCES, indom),
      ],
      indom,
      time: undefined,
      record: undefined,
      until: undefined,
    };
    this.domains.set(indom, domain);
    return domain;
  }

  /** Writes what a metric needs at a time; whether an instance record was among it. */
  write({ metric, labels, domain }: Described, time: Timestamp): boolean {
    const { pmid } = metric.desc;
    if (!metric.written) {
      metric.written = true;
      this.put(metaRecord(this.version, META_TYPE.DESC, metric.body, time));
    }
    this.writeLabels(labels, time);
    this.text(OF_METRIC | ONELINE, pmid);
    this.text(OF_METRIC | HELP, pmid);
    if (domain === undefined) return false;
    const record = this.recordAt(domain, time);
    if (domain.records !== undefined) {
      if (record === undefined || record.written) return false;
      this.put(domain.records.write(this.version, record, time));
    }
    this.writeLabels(domain.labels, time);
    this.text(OF_INDOM | ONELINE, domain.indom);
    this.text(OF_INDOM | HELP, domain.indom);
    return record !== undefined;
  }

  private recordAt(domain: Domain, time: Timestamp): InstanceRecord | undefined {
    const { records } = domain;
    if (domain.time?.sec === time.sec && domain.time.nsec === time.nsec) return domain.record;
    domain.time = time;
    domain.record = records?.at(time);
    domain.until = records?.until(time);
    return domain.record;
  }

  /** After `write` at this time: when there may be more to write; undefined: never. */
  due({ labels, domain }: Described, time: Timestamp): Timestamp | undefined {
    let due: Timestamp | undefined;
    for (const { next } of labels) due = earlier(due, next);
    if (domain === undefined) return due;
    this.recordAt(domain, time);
    if (domain.records !== undefined) return earlier(due, domain.until);
    for (const { next } of domain.labels) due = earlier(due, next);
    return due;
  }

  private writeLabels(lists: readonly LabelList[], time: Timestamp): void {
    const type = this.version === 2 ? META_TYPE.LABEL_V2 : META_TYPE.LABEL;
    for (const list of lists) {
      for (const { body } of list.take(time)) this.put(metaRecord(this.version, type, body, time));
    }
  }

  private text(kind: number, ident: number): void {
    const text = this.metadata.texts.get(keyOf(kind, ident));
    if (text === undefined || text.written) return;
    text.written = true;
    this.put(metaRecord(this.version, META_TYPE.TEXT, text.body, { sec: 0, nsec: 0 }));
  }
}
