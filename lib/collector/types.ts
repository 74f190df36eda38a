// Many agents as one (spec pdu.md 10): what a client of a collector, or a local context, asks. No
// behaviour.
import type { Instances } from "../archive/mod.ts";
import type { Desc, Indom, InstanceId, Names, Pmid, ResultView, ResultWriter } from "../pcp/mod.ts";
import type { Children, InstanceProfile, TextSubject } from "../pdu/mod.ts";
import type { Agent, AgentLabelSet, Awaitable } from "../pmda/mod.ts";

/**
 * One client, or one local context. One call at a time; each throws, or rejects with, PcpError: the
 * agent's code, PM_ERR_NOAGENT for a domain without agent, PM_ERR_AGAIN for one that is not ready.
 */
export interface RouterClient {
  /** What agents know it by; used again after `close`. */
  readonly number: number;
  /**
   * Adds exactly one set for each metric, in this order; faults of agents are codes of their
   * metrics. `out.changes` gets the STATE_CHANGE bits since this client's last fetch. Answers at
   * once when all agents do.
   */
  fetch(pmids: readonly Pmid[], profile: InstanceProfile, out: ResultWriter): Awaitable<void>;
  desc(pmid: Pmid): Awaitable<Desc>;
  instances(indom: Indom): Awaitable<Instances>;
  instanceName(indom: Indom, instance: InstanceId): Awaitable<string>;
  instanceId(indom: Indom, name: string): Awaitable<InstanceId>;
  /** Exactly this level. */
  text(subject: TextSubject, ident: Pmid | Indom, level: "oneline" | "help"): Awaitable<string>;
  /** Sets of a PM_LABEL level other than CONTEXT. */
  labels(
    level: number,
    ident: number,
    profile: InstanceProfile,
  ): Awaitable<readonly AgentLabelSet[]>;
  /** Each agent gets its part; the first fault is thrown when all have answered. */
  store(result: ResultView): Awaitable<void>;
  /** PM_ERR_NAME, PM_ERR_NONLEAF. */
  lookupName(name: string): Awaitable<Pmid>;
  /** PM_ERR_PMID, PM_ERR_NOAGENT. */
  namesOf(pmid: Pmid): Awaitable<readonly string[]>;
  /** PM_ERR_NAME. */
  children(name: string): Awaitable<Children>;
  traverse(name: string): Awaitable<readonly string[]>;
  /** PCP_ATTR `key` of the client, handed to the agents that want to know, also to later ones. */
  attribute(key: number, value: string): Awaitable<void>;
  /** Ends the client: agents are told. */
  close(): void;
}

/** The agents that there are, for any number of clients. */
export interface Router {
  /** False for a domain that was never in the table: clients are told PM_ERR_PMID, not NOAGENT. */
  knows(domain: number): boolean;
  /** `names` in place of the names of the table. */
  newClient(names?: () => Awaitable<Names>): RouterClient;
}

/** The agents that a router asks; a registry is one. */
export interface AgentSource {
  /** False for a domain that was never in the table. */
  knows(domain: number): boolean;
  /** The agent of a domain; throws PcpError PM_ERR_NOAGENT. */
  find(domain: number): Agent;
  /** Those that are there at present. */
  readonly agents: Iterable<Agent>;
  /** The static names and dynamic roots. Rejects with PM_ERR_NOPMNS. */
  readonly names: () => Awaitable<Names>;
  /** Tells all clients of STATE_CHANGE bits. */
  raise(bits: number): void;
  /** STATE_CHANGE bits that came up since a number of changes, and that number now. */
  changesSince(seen: number): { readonly bits: number; readonly seen: number };
}
