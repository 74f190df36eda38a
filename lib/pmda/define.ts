// What the author of an agent writes: tables of metrics and instance domains, and callbacks (spec
// pmda.md 7). Plain data; lib/pmda makes an Agent of it. No behaviour.
import type { Atom, InstanceId } from "../pcp/mod.ts";
import type { InstanceCache } from "./cache.ts";
import type { AgentNames, Awaitable, Caller } from "./types.ts";

/** Labels as an author writes them: an object, or its JSON text. */
export type LabelObject = Readonly<Record<string, unknown>> | string;

/** A value, `undefined` for none (no error), or a negative PM_ERR or errno code for a fault. */
export interface FetchFault {
  readonly error: number;
}
/** What a fetch callback gives for one instance. */
export type FetchValue = Atom | undefined | FetchFault;

/** One metric of the table. */
export interface MetricRow {
  /** The full name; several where names share a metric; none for what only dynamic names lead to. */
  readonly name?: string | readonly string[];
  /** 0 to 4095. */
  readonly cluster: number;
  /** 0 to 1023. */
  readonly item: number;
  /** PM_TYPE. */
  readonly type: number;
  /** Serial number of the instance domain; left out for a metric with one value. */
  readonly indom?: number | undefined;
  /** PM_SEM. */
  readonly sem: number;
  /** Units word (unitsWord); no units when left out. */
  readonly units?: number | undefined;
  readonly oneline?: string | undefined;
  readonly help?: string | undefined;
  /** Labels of the metric itself (item level), and optional ones (pmdaAddNotes). */
  readonly labels?: LabelObject | undefined;
  readonly notes?: LabelObject | undefined;
  /** PM_VAL for values in blocks that need it; the usual one of the type when left out. */
  readonly valfmt?: number | undefined;
  /** The code with which the metric is refused at present, descriptor and values; 0 for none. */
  readonly refused?: () => number;
  /**
   * The instances that a fetch goes through where they are not those of the domain; those outside
   * the profile are left out all the same. A fault is the code of the metric.
   */
  readonly instances?: (by: Caller) => readonly number[];
  /**
   * The value of one instance; PM_IN_NULL for a metric with one value. Comes before the agent's own
   * fetch callback. Faults may also be thrown as PcpError. Values that come later are waited for
   * together with those of other metrics, but one instance after the other.
   */
  readonly fetch?: (instance: InstanceId, by: Caller) => Awaitable<FetchValue>;
  /** A value to be stored for one instance. Without it the agent's own store callback decides. */
  readonly store?: (value: Atom, instance: InstanceId, by: Caller) => Awaitable<void>;
}

/** One instance of a table. */
export interface InstanceRow {
  readonly id: number;
  readonly name: string;
}

/** Where the instances of a domain come from: a table, a cache, or a call for each request. */
export type InstanceSource =
  readonly InstanceRow[] | InstanceCache | (() => Awaitable<readonly InstanceRow[]>);

/** One instance domain of the table. */
export interface IndomRow {
  /** 0 to 0x3fffff. */
  readonly serial: number;
  readonly instances: InstanceSource;
  readonly oneline?: string | undefined;
  readonly help?: string | undefined;
  /** Labels of the domain, and optional ones. */
  readonly labels?: LabelObject | undefined;
  readonly notes?: LabelObject | undefined;
  /** Labels of one instance; undefined for none. */
  readonly instanceLabels?: (instance: InstanceId, by: Caller) => LabelObject | undefined;
}

/** What redefine() replaces. */
export type AgentTables = Pick<AgentDefinition, "metrics" | "indoms">;

/** An agent as its author writes it. Callbacks may answer at once or later. */
export interface AgentDefinition {
  /** Without pmda before it. */
  readonly name: string;
  /** Interface version, 2 to 7 (spec pmda.md 7); 7 when left out. */
  readonly version?: number;
  /** AGENT_FEATURE bits. */
  readonly features?: number;
  /** May be given again with redefine() when metrics come and go. */
  readonly metrics: readonly MetricRow[];
  readonly indoms?: readonly IndomRow[];
  /** Labels of the domain, merged with {"agent": name} only when this is left out. */
  readonly labels?: LabelObject;
  /** Optional labels of the domain. */
  readonly notes?: LabelObject;
  /** Labels of one cluster. */
  readonly clusterLabels?: (cluster: number) => LabelObject | undefined;
  /**
   * Before every request but profile, attribute and end of a client; a fault is the answer. `by` is
   * who asks; undefined for names.
   */
  check?(by: Caller | undefined): Awaitable<void>;
  /** After every request. */
  done?(): Awaitable<void>;
  /** Before the values of a fetch: takes the samples that these rows need, once. */
  refresh?(rows: readonly MetricRow[], by: Caller): Awaitable<void>;
  /** Before instances are listed or looked up outside a fetch. */
  refreshInstances?(serial: number, by: Caller): Awaitable<void>;
  /** Values of rows without a fetch of their own. */
  fetch?(row: MetricRow, instance: InstanceId, by: Caller): Awaitable<FetchValue>;
  /** Stores into rows without a store of their own; PM_ERR_PERMISSION without it. */
  store?(row: MetricRow, instance: InstanceId, value: Atom, by: Caller): Awaitable<void>;
  /** Help of what the tables and files have none for; undefined: none. */
  text?(
    subject: "metric" | "instance domain",
    ident: number,
    level: "oneline" | "help",
    by: Caller,
  ): Awaitable<string | undefined>;
  /** Names below dynamic roots, and the roots themselves as full names. */
  readonly names?: AgentNames;
  readonly dynamicRoots?: readonly string[];
  attribute?(context: number, key: number, value: string): Awaitable<void>;
  contextClosed?(context: number): void;
  close?(): Awaitable<void>;
}

/** What an agent is started with. */
export interface AgentSetting {
  /** The domain that it runs under. */
  readonly domain: number;
  /** Words after the options of its command line. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** A message for the agent's log. */
  readonly log: (
    level: "Critical" | "Error" | "Warning" | "Notice" | "Info" | "Debug",
    text: string,
  ) => void;
  /** What the agent calls when its labels, names or readiness have changed. */
  readonly changed: (what: "labels" | "names") => void;
  /**
   * Says that requests cannot be answered at present, and that they can be again (spec pmda.md 6). A
   * factory that has much to do says false, returns at once, and says true when all is there: pmcd
   * waits for the first PDU for 3 s only.
   */
  readonly ready: (ready: boolean) => void;
  /** Ends the agent, where it is a process of its own; absent where it is none. */
  readonly end?: () => void;
  /** Replaces the tables of metrics and instance domains from the next request on. */
  readonly redefine: (tables: AgentTables) => void;
}

/** Makes an agent; what a module of an author exports as default. */
export type AgentFactory = (setting: AgentSetting) => Awaitable<AgentDefinition>;

/** An agent that is part of pcpbox. */
export interface BuiltinAgent {
  readonly name: string;
  /** Its domain unless another one is given (spec pmda.md 15.2). */
  readonly domain: number;
  readonly summary: string;
  load(): Promise<AgentFactory>;
}
