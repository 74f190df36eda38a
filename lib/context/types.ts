// What a context is, whatever stands behind it: one interface over hosts, archives and local agents
// (spec archive.md 7, 9 to 12). Data and shapes only. There is no current context in here: whoever
// wants handles and a current one keeps a ContextTable (table.ts).
import type { ArchiveLabel, Instances } from "../archive/mod.ts";
import type {
  Desc,
  Indom,
  InstanceId,
  LabelSet,
  Pmid,
  ResultInit,
  ResultView,
  Timestamp,
  Zone,
} from "../pcp/mod.ts";
import type { Children, FetchReply, NameLookup, PmcdConnection } from "../pdu/mod.ts";

/** What a context reads from. */
export type ContextType = "host" | "archive" | "local";

/** PM_MODE: LIVE for hosts and local contexts, the others for archives (spec archive.md 9.1). */
export const PM_MODE = { LIVE: 0, INTERP: 1, FORW: 2, BACK: 3 } as const;
/** One of PM_MODE. */
export type Mode = (typeof PM_MODE)[keyof typeof PM_MODE];

/** Labels of one identifier (or instance); `error` is a negative code in place of labels, else 0. */
export interface ContextLabelSet extends LabelSet {
  readonly error: number;
}

/** Calls about one thing each, of which a source may be asked many at a time. */
export type AboutCalls = Pick<Context, "namesOf" | "text" | "labels">;

/**
 * A source of metrics that is open. Every call rejects with PcpError; the codes are those of the
 * PMAPI call that is named with it. Calls on one context are served one after the other, in the
 * order in which they were made.
 */
export interface Context {
  readonly type: ContextType;
  /** Host specification or archive list as it was given; empty for local contexts. */
  readonly name: string;

  /** pmLookupName. A single name that is not found is an error: PM_ERR_NAME or PM_ERR_NONLEAF. */
  lookupNames(names: readonly string[]): Promise<NameLookup>;
  /** pmNameAll: all names of a PMID; PM_ERR_PMID. */
  namesOf(pmid: Pmid): Promise<readonly string[]>;
  /** pmGetChildrenStatus; "" is the root. */
  children(name: string): Promise<Children>;
  /** pmTraversePMNS: all metrics at and below `name`, depth first. */
  traverse(name: string): Promise<readonly string[]>;

  /** pmLookupDesc. */
  desc(pmid: Pmid): Promise<Desc>;
  /** Descriptors in order; those that do not exist have `pmid` PM_ID_NULL. One alone is an error. */
  descs(pmids: readonly Pmid[]): Promise<readonly Desc[]>;
  /** pmGetInDom: over an archive those of the present origin. */
  instances(indom: Indom): Promise<Instances>;
  /** pmNameInDom. */
  instanceName(indom: Indom, instance: InstanceId): Promise<string>;
  /** pmLookupInDom. */
  instanceId(indom: Indom, name: string): Promise<InstanceId>;
  /** pmLookupText, pmLookupInDomText; without `direct` one level may stand in for the other. */
  text: PmcdConnection["text"];
  /** pmGetContextLabels to pmGetInstancesLabels: the sets of one PM_LABEL level and identifier. */
  labels(level: number, ident: number): Promise<readonly ContextLabelSet[]>;
  /**
   * One call that makes others: those of `calls` need not wait for each other, and no call of anybody
   * else comes between them, so there should be few. Only where asking takes a way to go.
   */
  together?<T>(work: (calls: AboutCalls) => Promise<T>): Promise<T>;

  /** pmAddProfile: include these instances of a domain, all without a list (PM_INDOM_NULL: of all). */
  addProfile(indom: Indom, instances?: readonly InstanceId[]): void;
  /** pmDelProfile: exclude these instances, all without a list. */
  deleteProfile(indom: Indom, instances?: readonly InstanceId[]): void;
  /** pmSetMode. `when` undefined keeps the origin. PM_ERR_MODE for modes of another type. */
  setMode(mode: Mode, when?: Timestamp, delta?: Timestamp): void;
  /**
   * pmFetch: one value set for each metric, in the order asked for. While an archive interpolates,
   * nsec of the timestamp may be 1,000,000,000 (10.1).
   */
  fetch(pmids: readonly Pmid[]): Promise<FetchReply>;
  /** pmStore; resolves when everything was taken. */
  store(result: ResultInit): Promise<void>;

  /** pmGetContextHostName. */
  hostName(): Promise<string>;
  /** The zone of pmNewContextZone. */
  zone(): Promise<Zone>;

  /** pmAddDerived: a metric of this context alone. PM_ERR_BADDERIVE with place and reason. */
  addDerived(name: string, expression: string): Promise<void>;

  /** pmDupContext. */
  duplicate(): Promise<Context>;
  /** pmReconnectContext: hosts connect again, under the back-off of spec pdu.md 7.6. */
  reconnect(): Promise<void>;
  /** pmDestroyContext; outstanding calls fail. */
  close(): Promise<void>;
}

/** A context over an archive or a set of archives. */
export interface ArchiveContext extends Context {
  readonly type: "archive";
  /** pmGetArchiveLabel: of the first member. */
  label(): ArchiveLabel;
  /** pmGetArchiveEnd: of the last member. */
  end(): Timestamp;
  /** The time that metadata are looked up at, and that the next fetch is for (spec archive.md 7). */
  readonly origin: Timestamp;
  readonly mode: Mode;
  /** pmFetchArchive: the next whole record, marks included (no value sets). Not while interpolating. */
  fetchArchive(): Promise<ResultView>;
  /** pmGetInDomArchive. */
  archiveInstances(indom: Indom): Promise<Instances>;
  /** pmNameInDomArchive. */
  archiveInstanceName(indom: Indom, instance: InstanceId): Promise<string>;
  /** pmLookupInDomArchive. */
  archiveInstanceId(indom: Indom, name: string): Promise<InstanceId>;
  duplicate(): Promise<ArchiveContext>;
}
