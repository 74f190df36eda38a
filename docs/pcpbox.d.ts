// Types of the module "pcpbox", which agents run by `pcpbox pmda-run` import. It is part of pcpbox:
// there is nothing to install. With this file beside an agent (`pcpbox pmda-run --types > pcpbox.d.ts`)
// editors and type checkers know it.

declare module "pcpbox" {
  /** Number of an instance: 0 to 2147483647, or PM_IN_NULL. */
  export type InstanceId = number;

  /** Identifier of a metric: domain, cluster and item in one number. */
  export type Pmid = number;

  /** Identifier of an instance domain: domain and serial in one number. */
  export type Indom = number;

  /** A value: 64-bit integers may be bigint, bytes are an aggregate or a whole value block. */
  export type Atom = number | bigint | string | Uint8Array;

  /** Type numbers of metrics. */
  export const PM_TYPE: {
    readonly NOSUPPORT: -1;
    readonly I32: 0;
    readonly U32: 1;
    readonly I64: 2;
    readonly U64: 3;
    readonly FLOAT: 4;
    readonly DOUBLE: 5;
    readonly STRING: 6;
    readonly AGGREGATE: 7;
    readonly AGGREGATE_STATIC: 8;
    readonly EVENT: 9;
    readonly HIGHRES_EVENT: 10;
    readonly UNKNOWN: 255;
  };

  /** What values of a metric mean over time. */
  export const PM_SEM: { readonly COUNTER: 1; readonly INSTANT: 3; readonly DISCRETE: 4 };

  /** Scale of a space dimension. */
  export const PM_SPACE: {
    readonly BYTE: 0;
    readonly KBYTE: 1;
    readonly MBYTE: 2;
    readonly GBYTE: 3;
    readonly TBYTE: 4;
    readonly PBYTE: 5;
    readonly EBYTE: 6;
    readonly ZBYTE: 7;
    readonly YBYTE: 8;
  };

  /** Scale of a time dimension. */
  export const PM_TIME: {
    readonly NSEC: 0;
    readonly USEC: 1;
    readonly MSEC: 2;
    readonly SEC: 3;
    readonly MIN: 4;
    readonly HOUR: 5;
  };

  /** How values travel; only metrics with a `valfmt` of their own need it. */
  export const PM_VAL: { readonly INSITU: 0; readonly DPTR: 1; readonly SPTR: 2 };

  /** The instance of a metric with one value. */
  export const PM_IN_NULL: InstanceId;

  /** What a client can say about itself: keys of `attribute`. */
  export const PCP_ATTR: {
    readonly NONE: 0;
    readonly PROTOCOL: 1;
    readonly SECURE: 2;
    readonly COMPRESS: 3;
    readonly USERAUTH: 4;
    readonly USERNAME: 5;
    readonly AUTHNAME: 6;
    readonly PASSWORD: 7;
    readonly METHOD: 8;
    readonly REALM: 9;
    readonly UNIXSOCK: 10;
    readonly USERID: 11;
    readonly GROUPID: 12;
    readonly LOCAL: 13;
    readonly PROCESSID: 14;
    readonly CONTAINER: 15;
    readonly EXCLUSIVE: 16;
  };

  /** Bits of `features`: attributes of clients, and containers, are wanted. */
  export const AGENT_FEATURE: { readonly AUTH: 4; readonly CONTAINER: 64 };

  /** Units as a word, out of dimensions (exponents) and scales; parseUnits is shorter. */
  export function unitsWord(fields: {
    readonly dimSpace?: number;
    readonly dimTime?: number;
    readonly dimCount?: number;
    readonly scaleSpace?: number;
    readonly scaleTime?: number;
    readonly scaleCount?: number;
    readonly extraUnit?: number;
    readonly extraScale?: number;
  }): number;

  /** Units as a word, out of a text: "KB / sec", "count", "millisec". Throws PcpError PM_ERR_CONV. */
  export function parseUnits(text: string): number;

  /** Error codes by PCP's names without PM_ERR_. */
  export const PM_ERR: {
    readonly GENERIC: -12345;
    readonly PMNS: -12346;
    readonly NOPMNS: -12347;
    readonly DUPPMNS: -12348;
    readonly TEXT: -12349;
    readonly APPVERSION: -12350;
    readonly VALUE: -12351;
    readonly TIMEOUT: -12353;
    readonly NODATA: -12354;
    readonly RESET: -12355;
    readonly NAME: -12357;
    readonly PMID: -12358;
    readonly INDOM: -12359;
    readonly INST: -12360;
    readonly UNIT: -12361;
    readonly CONV: -12362;
    readonly TRUNC: -12363;
    readonly SIGN: -12364;
    readonly PROFILE: -12365;
    readonly IPC: -12366;
    readonly EOF: -12368;
    readonly NOTHOST: -12369;
    readonly EOL: -12370;
    readonly MODE: -12371;
    readonly LABEL: -12372;
    readonly LOGREC: -12373;
    readonly NOTARCHIVE: -12374;
    readonly LOGFILE: -12375;
    readonly NOCONTEXT: -12376;
    readonly PROFILESPEC: -12377;
    readonly PMID_LOG: -12378;
    readonly INDOM_LOG: -12379;
    readonly INST_LOG: -12380;
    readonly NOPROFILE: -12381;
    readonly NOAGENT: -12386;
    readonly PERMISSION: -12387;
    readonly CONNLIMIT: -12388;
    readonly AGAIN: -12389;
    readonly ISCONN: -12390;
    readonly NOTCONN: -12391;
    readonly NEEDPORT: -12392;
    readonly NONLEAF: -12394;
    readonly TYPE: -12397;
    readonly THREAD: -12398;
    readonly NOCONTAINER: -12399;
    readonly BADSTORE: -12400;
    readonly LOGOVERLAP: -12401;
    readonly LOGHOST: -12402;
    readonly LOGCHANGETYPE: -12404;
    readonly LOGCHANGESEM: -12405;
    readonly LOGCHANGEINDOM: -12406;
    readonly LOGCHANGEUNITS: -12407;
    readonly NEEDCLIENTCERT: -12408;
    readonly BADDERIVE: -12409;
    readonly NOLABELS: -12410;
    readonly PMDAFENCED: -12411;
    readonly RECTYPE: -12412;
    readonly FEATURE: -12413;
    readonly TLS: -12414;
    readonly ARG: -12415;
    readonly BOTCH: -12442;
    readonly TOOSMALL: -12443;
    readonly TOOBIG: -12444;
    readonly FAULT: -12445;
    readonly PMDAREADY: -13393;
    readonly PMDANOTREADY: -13394;
    readonly NYI: -21344;
  };

  /** A fault with a code for who asked; any other error counts as PM_ERR_GENERIC. */
  export class PcpError extends Error {
    constructor(code: number, message?: string, options?: ErrorOptions);
    readonly code: number;
  }

  /** PCP's text for a code. */
  export function pmErrStr(code: number): string;

  /** Which instances a client asks for. */
  export interface InstanceProfile {
    /** True when this instance is asked for. */
    wants(indom: Indom, instance: InstanceId): boolean;
    /** True when every instance of the domain is asked for. */
    wantsAll(indom: Indom): boolean;
  }

  /** The names below a name; statuses 0 leaf, 1 non-leaf. */
  export interface Children {
    readonly names: readonly string[];
    readonly statuses: readonly number[];
  }

  /** What may come at once or later: agents in this process answer at once where they can. */
  export type Awaitable<T> = T | Promise<T>;

  /** Who asks: the number of the client or context as the agent knows it, and its instance profile. */
  export interface Caller {
    readonly context: number;
    readonly profile: InstanceProfile;
  }

  /** The names that an agent makes itself, below its dynamic roots. `name` is always a full one. */
  export interface AgentNames {
    /** PM_ERR_NAME, PM_ERR_NONLEAF. */
    lookup(name: string, by: Caller): Awaitable<Pmid>;
    /** PM_ERR_PMID when there is none. */
    namesOf(pmid: Pmid, by: Caller): Awaitable<readonly string[]>;
    /** The names right below one, relative to it. PM_ERR_NAME; none for a leaf. */
    children(name: string, by: Caller): Awaitable<Children>;
    /** All leaves at or below a name, full names. PM_ERR_NAME. */
    traverse(name: string, by: Caller): Awaitable<readonly string[]>;
  }

  /** What is known of one instance. */
  export interface CacheEntry<T = unknown> {
    readonly id: InstanceId;
    readonly name: string;
    /** CACHE_STATE. */
    readonly state: number;
    /** What the agent keeps with it. */
    readonly value: T | undefined;
  }

  /** One instance as the file has it. */
  export interface CacheRecord {
    readonly id: number;
    /** Seconds since 1970 of the first save after it was last added. */
    readonly stamp: number;
    readonly key: Uint8Array | undefined;
    readonly name: string;
  }

  /** A whole file as data. */
  export interface CacheContents {
    /** 0: numbers go up; 1: the smallest free one is taken. */
    readonly mode: 0 | 1;
    /** The largest number that may be given. */
    readonly max: number;
    /** Ascending by number when written. */
    readonly records: readonly CacheRecord[];
  }

  /** What has changed since the last save: `stamps` alone are worth a file only to PMDA_CACHE_SYNC. */
  export type CacheChange = "nothing" | "stamps" | "entries";

  /** One instance domain. Throws PcpError with the codes that pmdaCache(3) has. */
  export interface InstanceCache<T = unknown> {
    /** Tells caches from tables. */
    readonly kind: "cache";
    /** PMDA_CACHE_ADD: active from now on; its number. A value left out leaves the one there is. */
    add(name: string, value?: T): InstanceId;
    /** The same with a key from which the number is made; the name's bytes when left out or empty. */
    addKeyed(name: string, key: Uint8Array | undefined, value?: T): InstanceId;
    /** PMDA_CACHE_HIDE. PM_ERR_INST for unknown names. */
    hide(name: string): InstanceId;
    /** PMDA_CACHE_CULL. PM_ERR_INST for unknown names. */
    cull(name: string): InstanceId;
    /** PMDA_CACHE_INACTIVE and PMDA_CACHE_ACTIVE of all: how many changed. */
    hideAll(): number;
    activateAll(): number;
    cullAll(): number;
    byId(id: InstanceId): CacheEntry<T> | undefined;
    byName(name: string): CacheEntry<T> | undefined;
    /** By the key alone: the name's bytes when it is left out or empty. */
    byKey(name: string, key: Uint8Array | undefined): CacheEntry<T> | undefined;
    /** Active entries, ascending by number. */
    active(): readonly CacheEntry<T>[];
    /** PMDA_CACHE_SIZE, SIZE_ACTIVE and SIZE_INACTIVE; `all` counts culled entries too. */
    readonly sizes: { readonly all: number; readonly active: number; readonly inactive: number };
    /** Whether it was ever loaded or stored into: an agent's table answers for an unused one. */
    readonly used: boolean;
    /** Culls what was last added more than `seconds` before `now` (since 1970); how many. */
    purge(seconds: number, now?: number): number;
    /** Sets the largest number. PM_ERR_TOOBIG when a larger one is in use. */
    resize(max: number): void;
    /** PMDA_CACHE_REUSE: numbers of culled and reorganized entries are given again. */
    reuse(): void;
    /** PMDA_CACHE_STRINGS: blanks in names mean nothing. E2BIG unless empty. */
    strings(): void;
    /** PMDA_CACHE_REORG: forgets culled entries. */
    reorganize(): void;
    /** PMDA_CACHE_EMPTY. */
    clear(): void;
    /** What a save would find to do. */
    readonly changed: CacheChange;
    /** Takes in a file's contents, inactive. `ignored` hears of records whose instance there is. */
    load(contents: CacheContents, ignored?: (record: CacheRecord, by: CacheEntry<T>) => void): void;
    /** What is to be written, with `now` as the stamp of what has none; nothing is changed after. */
    save(now: number): CacheContents;
  }

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
    /** Interface version, 2 to 7; 7 when left out. */
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
     * Says that requests cannot be answered at present, and that they can be again. A
     * factory that has much to do says false, returns at once, and says true when all is there: pmcd
     * waits for the first PDU for 3 s only.
     */
    readonly ready: (ready: boolean) => void;
    /** Ends the agent, where it is a process of its own; absent where it is none. */
    readonly end?: () => void;
    /** Replaces the tables of metrics and instance domains from the next request on. */
    readonly redefine: (tables: AgentTables) => void;
  }

  /** States of cache entries. */
  export const CACHE_STATE: { readonly ACTIVE: 8; readonly INACTIVE: 9 };

  /** A cache of instances, which keep their numbers; see loadCache and saveCache for restarts. */
  export function createCache<T = unknown>(): InstanceCache<T>;

  /** Where PCP keeps the file of a cache, below $PCP_VAR_DIR. */
  export function cacheFilePath(varDir: string, domain: number, serial: number): string;

  /** Reads a cache's file: its entries become known, inactive. Throws PcpError; ENOENT is -2. */
  export function loadCache(
    cache: InstanceCache,
    path: string,
    warn: (level: "Error" | "Warning", text: string) => void,
  ): number;

  /** Writes a cache's file when entries have changed, or time stamps too, or always. */
  export function saveCache(
    cache: InstanceCache,
    path: string,
    when: "entries" | "stamps" | "always",
    now?: number,
  ): number;

  /** A point in time: seconds since 1970-01-01 UTC and 0..999999999 nanoseconds after that. */
  export interface Instant {
    readonly sec: number;
    readonly nsec: number;
  }

  /** Flags of event records. */
  export const PM_EVENT: {
    readonly POINT: 1;
    readonly START: 2;
    readonly END: 4;
    readonly ID: 8;
    readonly PARENT: 16;
    readonly MISSED: 2147483648;
  };

  /** Type number of a metric: one of PM_TYPE. */
  export type PmType = number;

  /** The PMID of a metric, out of a domain (AgentSetting.domain), a cluster and an item. */
  export function pmidBuild(domain: number, cluster: number, item: number): Pmid;

  /** One event array. It may be reset and used again. */
  export interface EventArray {
    /** Number of records so far. */
    readonly nrecords: number;
    /** Forgets all records. */
    reset(): void;
    /** PM_ERR_CONV for flags with PM_EVENT.MISSED. */
    addRecord(time: Instant, flags: number): void;
    /** A record that stands for `count` lost ones. */
    addMissed(time: Instant, count: number): void;
    /** A parameter of the last record. PM_ERR_TYPE for types without data of their own. */
    addParameter(pmid: Pmid, type: PmType, value: Atom): void;
    /** The payload of the value: a copy. */
    payload(): Uint8Array;
  }

  /** An empty array; `highres` for times with nanoseconds and 64 bits (PM_TYPE.HIGHRES_EVENT). */
  export function createEventArray(highres?: boolean): EventArray;

  /** What statistics metrics of a queue show. */
  export interface EventCounts {
    /** Events ever, and their bytes. */
    readonly events: number;
    readonly bytes: bigint;
    /** Bytes that are kept now. */
    readonly memory: number;
    /** Clients that have read from the queue and not ended. */
    readonly clients: number;
  }

  /** Puts one event into an array: a record of its own with parameters. */
  export type EventDecoder<T> = (event: T, time: Instant, array: EventArray) => void;

  /** One queue. */
  export interface EventQueue<T> {
    readonly name: string;
    readonly counts: EventCounts;
    /** An event of `size` bytes; one above the limit of the queue is counted and dropped. */
    append(event: T, size: number, time: Instant): void;
    /** Lets a client see all events, or none again. */
    setAccess(context: number, allowed: boolean): void;
    /** Lets a client see the events that `wants` is true for. */
    setFilter(context: number, wants: (event: T, time: Instant) => boolean): void;
    /**
     * What came since the client's last call, as the payload of an event value; undefined for nothing.
     * The first call makes it a client that events are kept for.
     */
    records(context: number, decode: EventDecoder<T>): Uint8Array | undefined;
    /** The client has ended. */
    contextClosed(context: number): void;
  }

  /** How a queue is made. */
  export interface EventQueueOptions {
    readonly name: string;
    /** Most bytes of events. */
    readonly maxBytes: number;
    readonly highres?: boolean;
    readonly log?: (level: "Warning", text: string) => void;
  }

  /** An empty queue: events that are kept until every client has read them. Throws PcpError EINVAL. */
  export function createEventQueue<T>(options: EventQueueOptions): EventQueue<T>;

  /** The queues of an agent by their names. */
  export interface EventQueues {
    /** EEXIST for a name that is used. */
    create<T>(options: EventQueueOptions): EventQueue<T>;
    /** The client has ended, in all queues. */
    contextClosed(context: number): void;
  }

  /** Several queues, each with a name of its own. */
  export function createEventQueues(): EventQueues;

  /** A growing tree of full names. */
  export interface NameTree extends AgentNames {
    /**
     * Adds a name. The same name and metric again is nothing new. Throws PcpError PM_ERR_PMID when the
     * name leads to another metric, PM_ERR_NAME for what is no name or goes through a leaf,
     * PM_ERR_TOOBIG above MAX_PMNS_NAMES.
     */
    insert(pmid: Pmid, name: string): void;
    /** Forgets all names. */
    clear(): void;
    /** How many names there are. */
    readonly size: number;
  }

  /** An empty tree of names that the agent makes itself: for `names` of a definition. */
  export function createNameTree(): NameTree;

  /** Several trees as one; `update` is called before every request. */
  export function joinNameTrees(trees: readonly AgentNames[], update?: () => void): AgentNames;

  /** What `create` gives: a definition whose name is that of the module. */
  export type AuthorDefinition = Omit<AgentDefinition, "name">;

  /** An agent in a module of its author: the default export, made by defineAgent. */
  export interface AuthorAgent {
    /** What it is called, without pmda before it: a letter, then letters, digits and `_`. */
    readonly name: string;
    /** Its domain where nobody gives another one with -d: 1 to 510. */
    readonly domain: number;
    /** One line about it. */
    readonly summary?: string;
    /** Called once at the start. */
    readonly create: (setting: AgentSetting) => Awaitable<AuthorDefinition>;
  }

  /** Checks an agent and gives it back: what a module exports as default. */
  export function defineAgent(agent: AuthorAgent): AuthorAgent;
}
