// The agents of local contexts: what a context asks of one, and the table of those that there are
// (spec local.md 2, 3 and 6). The table begins empty; whoever can load or run agents fills it before
// contexts are opened. Refuses domains out of range and more entries than a bounded number.
import type { Instances } from "../archive/mod.ts";
import { PcpError, PM_ERR } from "../base/mod.ts";
import type { Desc, Indom, InstanceId, Pmid, ValueSetInit } from "../pcp/mod.ts";
import type { Children, InstanceProfile, TextSubject } from "../pdu/mod.ts";
import type { ContextLabelSet } from "./types.ts";

/** Who asks: the number of the context, as e_context of an agent has it, and its profile. */
export interface LocalCaller {
  readonly context: number;
  readonly profile: InstanceProfile;
}

/**
 * One agent that is ready. Every call rejects with PcpError: the agent's own code. Calls of one
 * context come one after the other, those of several contexts may come at the same time: an agent
 * that cannot have that lets them wait.
 */
export interface LocalAgent {
  /** One value set for each metric, in this order; all are of the agent's domain. */
  fetch(pmids: readonly Pmid[], by: LocalCaller): Promise<readonly ValueSetInit[]>;
  desc(pmid: Pmid, by: LocalCaller): Promise<Desc>;
  instances(indom: Indom, by: LocalCaller): Promise<Instances>;
  instanceName(indom: Indom, instance: InstanceId, by: LocalCaller): Promise<string>;
  instanceId(indom: Indom, name: string, by: LocalCaller): Promise<InstanceId>;
  /** Exactly this level; another one in its place is the context's matter. */
  text(
    subject: TextSubject,
    ident: Pmid | Indom,
    level: "oneline" | "help",
    by: LocalCaller,
  ): Promise<string>;
  /** Sets of one PM_LABEL level but CONTEXT. */
  labels(level: number, ident: number, by: LocalCaller): Promise<readonly ContextLabelSet[]>;
  /** One metric with one value. */
  store(set: ValueSetInit, by: LocalCaller): Promise<void>;
  /** Names below the agent's dynamic root; an agent without such names has none of these. */
  readonly names?: LocalNames;
  /** A context has ended. */
  contextClosed?(context: number): void;
}

/** The names that an agent makes itself. `name` is always a full one. */
export interface LocalNames {
  /** PM_ERR_NAME, PM_ERR_NONLEAF. */
  lookup(name: string, by: LocalCaller): Promise<Pmid>;
  /** PM_ERR_PMID when there is none. */
  namesOf(pmid: Pmid, by: LocalCaller): Promise<readonly string[]>;
  children(name: string, by: LocalCaller): Promise<Children>;
  traverse(name: string, by: LocalCaller): Promise<readonly string[]>;
}

/** One entry of the table. */
export interface LocalAgentEntry {
  /** 0 to 510. */
  readonly domain: number;
  /** What it was called where it was added: the path of a shared object, mostly. */
  readonly name: string;
  /** Its init routine; empty for agents that are none of C. */
  readonly init: string;
  /** The agent, or why there is none: its metrics then have PM_ERR_NOAGENT. */
  readonly agent: LocalAgent | PcpError;
}

/** The table of agents, shared by all local contexts that are opened with it. */
export interface LocalAgents {
  readonly entries: readonly LocalAgentEntry[];
  /** Appends an entry; the first one of a domain is used. PM_ERR_TOOBIG, PM_ERR_ARG. */
  add(entry: LocalAgentEntry): void;
  /** Takes away every entry of this domain or of this name; PM_ERR_INDOM when there is none. */
  delete(match: { readonly domain?: number; readonly name?: string }): void;
  clear(): void;
  /** The agent of a domain; PM_ERR_NOAGENT. */
  find(domain: number): LocalAgent;
  /** A number for a new context. */
  newContext(): number;
}

/** Highest domain of an agent; 511 is for names alone. */
const MAX_DOMAIN = 510;
/** Most entries: several for each domain. */
const MAX_ENTRIES = 4096;

/** A table without agents. */
export function createLocalAgents(): LocalAgents {
  let entries: LocalAgentEntry[] = [];
  let contexts = 0;
  return {
    get entries() {
      return entries;
    },
    add(entry) {
      const { domain, name } = entry;
      if (!Number.isInteger(domain) || domain < 0 || domain > MAX_DOMAIN)
        throw new PcpError(PM_ERR.ARG, `domain ${domain} of agent ${name}, 0 to ${MAX_DOMAIN}`);
      if (entries.length >= MAX_ENTRIES)
        throw new PcpError(PM_ERR.TOOBIG, `more than ${MAX_ENTRIES} local agents`);
      entries = [...entries, entry];
    },
    delete({ domain, name }) {
      const left = entries.filter((entry) => entry.domain !== domain && entry.name !== name);
      if (left.length === entries.length)
        throw new PcpError(PM_ERR.INDOM, `no local agent ${name ?? `of domain ${domain}`}`);
      entries = left;
    },
    clear() {
      entries = [];
    },
    find(domain) {
      const found = entries.find((entry) => entry.domain === domain)?.agent;
      if (found === undefined) throw new PcpError(PM_ERR.NOAGENT);
      if (found instanceof PcpError)
        throw new PcpError(PM_ERR.NOAGENT, found.message, { cause: found });
      return found;
    },
    newContext() {
      contexts += 1;
      return contexts - 1;
    },
  };
}
