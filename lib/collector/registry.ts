// The table of agents (spec local.md 2 to 5): what stands in it, how it begins, and the agents behind it.
// Entries are appended, taken away by domain or by name, or all at once; nothing runs before `connect`.
// Agents of this program run in this process, compiled ones and daemons in processes of their own.
// Refuses what __pmLocalPMDA refuses, with its codes; an agent that cannot be had leaves its domain
// without one, and a sentence in PCP's words.
import { accessSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { asPcpError, PcpError, PM_ERR } from "../base/mod.ts";
import type { Names } from "../pcp/mod.ts";
import { STATE_CHANGE } from "../pdu/mod.ts";
import {
  type Agent,
  type AgentFactory,
  BUILTIN_AGENTS,
  type BuiltinAgent,
  createTimeLimit,
  isLate,
  openAgent,
  type RunningAgent,
} from "../pmda/mod.ts";
import { type ProcessSetting, startDsoHost, startLine } from "./processes.ts";
import { createRouter } from "./router.ts";
import { MAX_DOMAIN, parseLocalSpec, specError } from "./specs.ts";
import { type SupervisedAgent, supervise } from "./supervise.ts";
import { type AgentLine, localDsos } from "./table-file.ts";
import { type OwnNames, tableNames } from "./table-names.ts";
import { oneAtATime } from "./turns.ts";
import type { AgentSource, Router } from "./types.ts";

/** Environment as a program sees it. */
type Environment = Readonly<Record<string, string | undefined>>;

/** What an entry is of. */
export type AgentOrigin =
  /** A shared object: the name is its path, as a specification gives it. */
  | { readonly kind: "dso" }
  /** One that is there already. */
  | { readonly kind: "given"; readonly agent: Agent }
  /** One of this program, or of a module: made when the table connects. */
  | {
      readonly kind: "made";
      readonly load: () => Promise<AgentFactory>;
      readonly args?: readonly string[];
    }
  /** A line of pmcd.conf that is no shared object. */
  | { readonly kind: "line"; readonly line: AgentLine };

/** What is to be appended. */
export interface NewAgent {
  /** 0 to 510. */
  readonly domain: number;
  readonly name: string;
  /** The init routine of a shared object. */
  readonly init?: string;
  readonly origin: AgentOrigin;
}

/** An entry of the table. */
export interface AgentEntry {
  /** -1 for one that was taken away, or that could not be had. */
  readonly domain: number;
  readonly name: string;
  readonly init: string;
  readonly kind: AgentOrigin["kind"];
  /** What it was appended for; `domain` may be -1 since. */
  readonly ownDomain: number;
  /** The agent, once the table has connected. */
  readonly agent: Agent | undefined;
  /** Why there is none. */
  readonly problem: PcpError | undefined;
  /** For agents in processes of their own. */
  readonly process: SupervisedAgent | undefined;
}

/** How a table is made. All may be left out. */
export interface RegistryOptions {
  readonly env?: Environment;
  /** A variable of PCP: environment, then pcp.conf. The environment alone when left out. */
  readonly variable?: (name: string) => string | undefined;
  /**
   * What the table begins with: "pcp", the compiled agents of pmcd.conf, or where there is no PCP
   * those of this program; "builtin", the latter; "empty". "pcp" when left out.
   */
  readonly initial?: "pcp" | "builtin" | "empty";
  /** The agents of this program that a table may begin with; the useful ones when left out. */
  readonly builtins?: readonly BuiltinAgent[];
  /**
   * The command, with its first arguments, that runs `runDsoHost` with one more argument. Without it
   * there are no compiled agents.
   */
  readonly hostCommand?: readonly string[];
  /** The program's name in messages of compiled agents. */
  readonly program?: string;
  /** Takes sentences as PCP prints them, without a line end. */
  readonly warn?: (text: string) => void;
  /** Takes what becomes of agents, and what those of this program log. */
  readonly log?: (level: "Info" | "Warning" | "Error", text: string) => void;
  /** Where agents in processes write their own messages: this process's, or nowhere. */
  readonly stderr?: "inherit" | "ignore";
  /** The static names, or the file that has them; that of PMNS_DEFAULT, or PCP's own. */
  readonly names?: Names | string;
  /** Milliseconds for an answer of an agent in a process of its own; 0: no limit. 5000. */
  readonly requestTimeout?: number;
  /** Milliseconds that an agent of this program, or of a module, has to be made. 10000. */
  readonly startTimeout?: number;
}

/** The table. */
export interface Registry extends AgentSource {
  readonly entries: readonly AgentEntry[];
  /** PM_LOCAL_ADD. Throws PcpError: PM_ERR_ARG, PM_ERR_TOOBIG, and what reading pmcd.conf gives. */
  add(agent: NewAgent): void;
  /** PM_LOCAL_DEL. PM_ERR_INDOM when nothing matches. */
  delete(match: { readonly domain?: number | undefined; readonly name?: string | undefined }): void;
  /** PM_LOCAL_CLEAR. */
  clear(): void;
  /** One operation of -K. Throws PcpError PM_ERR_GENERIC with pmSpecLocalPMDA's sentence. */
  apply(spec: string): void;
  /**
   * Starts what has not been started yet. Rejects with PcpError when the table cannot be built: the
   * negated errno of pmcd.conf; agents that cannot be had are no reason.
   */
  connect(): Promise<void>;
  /** The clients of this table, of whatever kind: none has the number of another. */
  readonly router: Router;
  /** As `names`, with the static names of another file. */
  namesFrom(names: Names | string): () => Promise<Names>;
  /** Ends every agent. */
  close(): Promise<void>;
}

/** Most entries: several for each domain. */
const MAX_ENTRIES = 4096;
const REQUEST_TIMEOUT = 5000;
const START_TIMEOUT = 10_000;
/**
 * Processes that are started at a time: each has a few seconds to greet, and all of them share the
 * processors of a machine that may just be starting itself.
 */
const STARTS = 4;
/** Those of BUILTIN_AGENTS that tell of the machine; the others are examples. */
const USEFUL: readonly string[] = ["proc", "linux", "mmv"];

interface Entry {
  domain: number;
  readonly ownDomain: number;
  readonly name: string;
  readonly init: string;
  readonly origin: AgentOrigin;
  readonly kind: AgentOrigin["kind"];
  agent: Agent | undefined;
  problem: PcpError | undefined;
  process: SupervisedAgent | undefined;
  own: OwnNames | undefined;
  connecting: Promise<void> | undefined;
}

const exists = (path: string): boolean => {
  try {
    accessSync(path);
    return true;
  } catch (error) {
    if (asPcpError(error).code === PM_ERR.GENERIC) throw error;
    return false;
  }
};

/** The file of a shared object; undefined when no place has it (spec local.md 5). */
export function findDso(name: string, folder: string): string | undefined {
  const place = `${folder}/${name}`;
  return [name, place, `${place}.so`, `${name}.so`].find(exists);
}

/** Changes that clients hear of, each with the number of the change that it last was in. */
function createChanges(): Pick<AgentSource, "raise" | "changesSince"> {
  const raised = new Map<number, number>();
  let count = 0;
  return {
    raise(bits) {
      count += 1;
      for (let bit = 1; bit <= bits; bit *= 2) if ((bits & bit) !== 0) raised.set(bit, count);
    },
    changesSince(seen) {
      let bits = 0;
      for (const [bit, when] of raised) if (when > seen) bits |= bit;
      return { bits, seen: count };
    },
  };
}

/** The text of the file that the table begins with; undefined where there is no PCP. */
function pmcdConf(options: RegistryOptions, env: Environment): string | undefined {
  const path = options.variable?.("PCP_PMCDCONF_PATH") ?? env["PCP_PMCDCONF_PATH"];
  if (path === undefined) return undefined;
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const { code } = asPcpError(error);
    // Named by hand it has to be there; a machine may also have PCP's libraries and no pmcd.
    if (env["PCP_PMCDCONF_PATH"] === undefined && code === -2) return undefined;
    throw new PcpError(code);
  }
}

/** What a table begins with. */
function initialAgents(options: RegistryOptions, env: Environment): NewAgent[] {
  const { initial = "pcp" } = options;
  if (initial === "empty") return [];
  const text = initial === "pcp" ? pmcdConf(options, env) : undefined;
  if (text === undefined) {
    const builtins = options.builtins ?? BUILTIN_AGENTS.filter(({ name }) => USEFUL.includes(name));
    return builtins.map(({ name, domain, load }) => ({
      name,
      domain,
      origin: { kind: "made", load },
    }));
  }
  const folder = options.variable?.("PCP_PMDAS_DIR") ?? env["PCP_PMDAS_DIR"];
  if (folder === undefined) throw new PcpError(PM_ERR.GENERIC, "PCP_PMDAS_DIR is not set");
  return localDsos(text, folder).map((dso) => ({ ...dso, origin: { kind: "dso" } }));
}

/** Makes the agents behind entries. */
function createConnector(
  options: RegistryOptions,
  env: Environment,
  changed: (bits: number) => void,
) {
  const { log = () => undefined, program = "pcpbox", hostCommand } = options;
  const { startTimeout = START_TIMEOUT } = options;
  const setting: ProcessSetting = {
    env,
    stderr: options.stderr ?? "inherit",
    requestTimeout: options.requestTimeout ?? REQUEST_TIMEOUT,
    program,
    hostCommand,
  };
  const folder = (): string =>
    options.variable?.("PCP_PMDAS_DIR") ?? env["PCP_PMDAS_DIR"] ?? "/var/lib/pcp/pmdas";

  const connectDso = async (entry: Entry): Promise<void> => {
    const { name, init, domain } = entry;
    const path = findDso(name, folder());
    if (path === undefined)
      throw new PcpError(
        PM_ERR.NOAGENT,
        `__pmConnectLocal: Warning: cannot find DSO at "${name}.so" or "${name}"`,
      );
    const start = () => startDsoHost({ path, name, init, domain, program }, setting);
    const first = await start();
    entry.process = supervise({ name, domain, start, first, report: log, changed });
    entry.agent = oneAtATime(entry.process);
  };

  const connectMade = async (
    entry: Entry,
    origin: Extract<AgentOrigin, { kind: "made" }>,
  ): Promise<void> => {
    const { domain, name } = entry;
    const opening = openAgent(await origin.load(), {
      domain,
      args: origin.args ?? [],
      env,
      log(level, text) {
        if (level === "Debug") return;
        const worse = level === "Critical" || level === "Error";
        log(worse ? "Error" : level === "Warning" ? "Warning" : "Info", `${name}: ${text}`);
      },
    });
    const limit = createTimeLimit(startTimeout);
    let agent: RunningAgent;
    try {
      agent = await limit.wait(opening);
    } catch (error) {
      if (!(error instanceof PcpError && isLate(error))) throw error;
      opening.then(
        (late) => late.close?.(),
        (late: unknown) => log("Error", `${name}: ${asPcpError(late).message}`),
      );
      throw new PcpError(
        PM_ERR.NOAGENT,
        `${name}: takes more than ${startTimeout / 1000} s to start`,
      );
    } finally {
      limit.stop();
    }
    entry.agent = oneAtATime(agent);
    entry.own = {
      domain,
      get leaves() {
        return agent.leaves;
      },
      dynamicRoots: agent.dynamicRoots,
    };
  };

  return async (entry: Entry): Promise<void> => {
    const { origin, name, domain } = entry;
    switch (origin.kind) {
      case "given":
        entry.agent = oneAtATime(origin.agent);
        return;
      case "made":
        return connectMade(entry, origin);
      case "dso":
        return connectDso(entry);
      case "line": {
        const start = () => startLine(origin.line, setting);
        entry.process = supervise({ name, domain, start, report: log, changed });
        entry.agent = oneAtATime(entry.process);
        // A daemon that cannot be started now may be later; it has been reported.
        await entry.process.ready().catch((error: unknown) => {
          if (!(error instanceof PcpError)) throw error;
        });
        return;
      }
      default:
        origin satisfies never;
    }
  };
}

/** An empty table; what it begins with comes at the first operation on it that is not `clear`. */
export function createRegistry(options: RegistryOptions = {}): Registry {
  const env = options.env ?? process.env;
  const { warn = () => undefined } = options;
  let entries: Entry[] = [];
  let built = false;
  let connected = false;
  const domains = new Set<number>();
  const changes = createChanges();
  const connectEntry = createConnector(options, env, changes.raise);

  const append = ({ domain, name, init = "", origin }: NewAgent): void => {
    if (entries.length >= MAX_ENTRIES)
      throw new PcpError(PM_ERR.TOOBIG, `more than ${MAX_ENTRIES} agents`);
    const ownDomain = domain;
    const made = { domain, ownDomain, name, init, origin, kind: origin.kind };
    const nothing = undefined;
    const later = { problem: nothing, process: nothing, own: nothing, connecting: nothing };
    entries = [...entries, { ...made, ...later, agent: nothing }];
    domains.add(domain);
  };
  const build = (): void => {
    if (built) return;
    // Also after a failure: a second attempt finds an empty table.
    built = true;
    initialAgents(options, env).forEach(append);
  };

  /** Takes the agent out of an entry. */
  const drop = (entry: Entry): void => {
    entry.domain = -1;
    entry.own = undefined;
    const { agent } = entry;
    entry.agent = undefined;
    if (agent === undefined) return;
    void endOf(agent);
    if (connected) changes.raise(STATE_CHANGE.DROP_AGENT);
  };
  const endOf = async (agent: Agent): Promise<void> => {
    try {
      await agent.close?.();
    } catch (error) {
      options.log?.("Warning", `${agent.name}: ${asPcpError(error).message}`);
    }
  };

  const connectOne = async (entry: Entry): Promise<string | undefined> => {
    if (entry.domain < 0 || entry.agent !== undefined) return undefined;
    try {
      entry.connecting ??= connectEntry(entry);
      await entry.connecting;
      if (entry.domain < 0) drop(entry);
      else if (connected) changes.raise(STATE_CHANGE.ADD_AGENT);
      return undefined;
    } catch (error) {
      const problem = asPcpError(error);
      const told = entry.problem !== undefined;
      entry.problem = problem;
      entry.domain = -1;
      return told ? undefined : problem.message;
    }
  };

  const file = (): string =>
    env["PMNS_DEFAULT"] ??
    join(options.variable?.("PCP_VAR_DIR") ?? env["PCP_VAR_DIR"] ?? "/var/lib/pcp", "pmns/root");
  const own = (): OwnNames[] => entries.flatMap((entry) => entry.own ?? []);
  const namesFrom = (names: Names | string) => tableNames(names, own);
  const agents = {
    *[Symbol.iterator]() {
      for (const { agent } of entries) if (agent !== undefined) yield agent;
    },
  };

  let router: Router | undefined;

  const registry: Registry = {
    get entries() {
      return entries;
    },
    agents,
    ...changes,
    add(agent) {
      const { domain, name } = agent;
      if (!Number.isInteger(domain) || domain < 0 || domain > MAX_DOMAIN)
        throw new PcpError(PM_ERR.ARG, `domain ${domain} of agent ${name}, 0 to ${MAX_DOMAIN}`);
      build();
      append(agent);
    },
    delete({ domain, name }) {
      build();
      const found = entries.filter(
        (entry) => (domain !== undefined && entry.domain === domain) || entry.name === name,
      );
      if (found.length === 0)
        throw new PcpError(PM_ERR.INDOM, `no agent ${name ?? `of domain ${domain}`}`);
      found.forEach(drop);
    },
    clear() {
      built = true;
      entries.forEach(drop);
      entries = [];
    },
    apply(spec) {
      const operation = parseLocalSpec(spec);
      try {
        if (operation.op === "clear") registry.clear();
        else if (operation.op === "del") registry.delete(operation);
        else registry.add({ ...operation, origin: { kind: "dso" } });
      } catch (error) {
        if (!(error instanceof PcpError)) throw error;
        throw specError(`__pmLocalPMDA: ${new PcpError(error.code).message}`, error);
      }
    },
    async connect() {
      build();
      const said = new Map<Entry, string | undefined>();
      const connectAll = async (some: Iterable<Entry>): Promise<void> => {
        for (const entry of some) said.set(entry, await connectOne(entry));
      };
      const isProcess = ({ kind }: Entry): boolean => kind === "dso" || kind === "line";
      const processes = entries.filter(isProcess).values();
      await Promise.all([
        ...entries.filter((entry) => !isProcess(entry)).map((entry) => connectAll([entry])),
        ...Array.from({ length: STARTS }, () => connectAll(processes)),
      ]);
      connected = true;
      for (const entry of entries) {
        const text = said.get(entry);
        if (text !== undefined) warn(text);
      }
    },
    knows: (domain) => domains.has(domain),
    find(domain) {
      const entry = entries.find((each) => each.domain === domain);
      if (entry?.agent !== undefined) return entry.agent;
      const problem = entries.find((each) => each.ownDomain === domain)?.problem;
      if (problem === undefined) throw new PcpError(PM_ERR.NOAGENT);
      const reason = problem.message.trim().replaceAll("\n", ": ");
      throw new PcpError(PM_ERR.NOAGENT, reason, { cause: problem });
    },
    names: namesFrom(options.names ?? file()),
    namesFrom,
    get router() {
      return (router ??= createRouter(registry));
    },
    async close() {
      const all = [...agents];
      // One that is still being started ends as soon as it is there.
      for (const entry of entries) entry.domain = -1;
      entries = [];
      await Promise.all(all.map(endOf));
    },
  };
  return registry;
}
