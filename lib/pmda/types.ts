// What an agent is to those who ask it (spec pmda.md, local.md 6): one interface for agents written
// in TypeScript, compiled ones behind a child process, and daemons at the end of a pipe. The loop
// under pmcd, the collector, local contexts and the checking tool all speak to agents in this way.
// No behaviour.
import type { Instances } from "../archive/mod.ts";
import type { PcpError } from "../base/mod.ts";
import type {
  Desc,
  Indom,
  InstanceId,
  LabelSet,
  Pmid,
  ResultView,
  ResultWriter,
} from "../pcp/mod.ts";
import type { Children, InstanceProfile, TextSubject } from "../pdu/mod.ts";

/** What may come at once or later: agents in this process answer at once where they can. */
export type Awaitable<T> = T | Promise<T>;

/** Who asks: the number of the client or context as the agent knows it, and its instance profile. */
export interface Caller {
  readonly context: number;
  readonly profile: InstanceProfile;
}

/** Labels of one identifier (or instance); `error` is a negative code in place of labels, else 0. */
export interface AgentLabelSet extends LabelSet {
  readonly error: number;
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

/** Bits of Agent.features, as CREDS carries them (spec pmda.md 3). */
export const AGENT_FEATURE = { AUTH: 0x0004, CONTAINER: 0x0040 } as const;

/**
 * One agent that is ready to be asked. Calls throw, or reject with, PcpError: the agent's own code.
 * A caller makes one call at a time; who serves several clients queues them.
 */
export interface Agent {
  /** "simple", without pmda before it. */
  readonly name: string;
  /** 0 to 510; every identifier that it is asked about, or answers with, has this domain. */
  readonly domain: number;
  /** AGENT_FEATURE bits. */
  readonly features: number;
  /**
   * Adds exactly one set for each metric to `out`, in this order, and STATE_CHANGE bits for labels
   * or names to `out.changes`. A fault of single metrics is their set's code; what is thrown is the
   * code of all.
   */
  fetch(pmids: readonly Pmid[], by: Caller, out: ResultWriter): Awaitable<void>;
  /** PM_ERR_PMID. */
  desc(pmid: Pmid, by: Caller): Awaitable<Desc>;
  /** PM_ERR_INDOM. */
  instances(indom: Indom, by: Caller): Awaitable<Instances>;
  /** PM_ERR_INST. */
  instanceName(indom: Indom, instance: InstanceId, by: Caller): Awaitable<string>;
  /** PM_ERR_INST. */
  instanceId(indom: Indom, name: string, by: Caller): Awaitable<InstanceId>;
  /** Exactly this level. PM_ERR_TEXT. */
  text(
    subject: TextSubject,
    ident: Pmid | Indom,
    level: "oneline" | "help",
    by: Caller,
  ): Awaitable<string>;
  /** Sets of one PM_LABEL level; `ident` as in LABEL_REQ. Instances: those that the profile wants. */
  labels(level: number, ident: number, by: Caller): Awaitable<readonly AgentLabelSet[]>;
  /**
   * The values of a store request where they lie; the agent knows the types. Stops at the first
   * fault: earlier values stay stored. PM_ERR_PERMISSION, PM_ERR_BADSTORE.
   */
  store(result: ResultView, by: Caller): Awaitable<void>;
  /** An agent without dynamic names has none of these. */
  readonly names?: AgentNames | undefined;
  /** PCP_ATTR `key` of a client, before its first request; only with AGENT_FEATURE bits. */
  attribute?(context: number, key: number, value: string): Awaitable<void>;
  /** A client or context has ended; the number may come again for another one. */
  contextClosed?(context: number): void;
  /** Ends what the agent holds: children, descriptors, files to be saved. */
  close?(): Awaitable<void>;
  /**
   * Settles when an agent that is in a process of its own is gone: every call fails from then on.
   * Absent for agents that cannot go.
   */
  readonly ended?: Promise<PcpError>;
}
