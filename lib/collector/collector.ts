// A collector that runs: a table of agents, pmcd's own metrics about it, and the sockets on which
// clients come. The table may be read again while clients stay. Refuses a table that is at odds with
// itself before anything has started; single agents that cannot be had are reported and left out.
import { PcpError, PM_ERR, utf8Text } from "../base/mod.ts";
import { localZone, Names } from "../pcp/mod.ts";
import { type AgentFactory, builtinAgent, type BuiltinAgent } from "../pmda/mod.ts";
import type { AccessRule } from "./access.ts";
import type { AgentSpec } from "./agents-toml.ts";
import { createClientTable } from "./clients.ts";
import { contextLabels } from "./context-labels.ts";
import { machineZone } from "./machine-zone.ts";
import { type CollectorServer, type ListenOptions, listenForClients } from "./listen.ts";
import { type AgentFact, type CollectorFacts, pmcdAgent, PMCD_DOMAIN } from "./pmcd-agent.ts";
import { createRegistry, type NewAgent, type Registry, type RegistryOptions } from "./registry.ts";

/** Which agents there are, and who may ask them. */
export interface CollectorTable {
  readonly agents: readonly AgentSpec[];
  readonly rules: readonly AccessRule[];
}

/** How a collector runs. */
export interface CollectorOptions
  extends
    Pick<ListenOptions, "ports" | "interfaces" | "socketPath" | "tls" | "maxClients">,
    Pick<RegistryOptions, "variable" | "hostCommand" | "requestTimeout"> {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Reads the table, at the start and again at every reload. */
  readonly table: () => Promise<CollectorTable>;
  /** The names of agents that bring none themselves: a file. None when left out. */
  readonly names?: string | undefined;
  /** Loads an agent that is a module of somebody else's. */
  readonly loadModule: (path: string) => Promise<AgentFactory>;
  /** Release of PCP that clients are told, and what this program is. */
  readonly version: string;
  readonly build: string;
  readonly log: (level: "Info" | "Warning" | "Error", text: string) => void;
}

/** A collector that runs. */
export interface Collector {
  readonly registry: Registry;
  readonly server: CollectorServer;
  /**
   * Reads the table again: agents that are as before stay, and clients whom its access rules still let
   * in. Rejects with PcpError, nothing changed.
   */
  reload(): Promise<void>;
  stop(): Promise<void>;
}

const MS_PER_SECOND = 1000;
const DEFAULT_TIMEOUT = 5000;

const fault = ({ label }: AgentSpec, reason: string): PcpError =>
  new PcpError(PM_ERR.GENERIC, `agent "${label}": ${reason}`);

/** One of ours by its name. */
function ownAgent(spec: AgentSpec, name: string): BuiltinAgent {
  const own = builtinAgent(name);
  if (own === undefined) throw fault(spec, `there is no agent "${name}" built in`);
  return own;
}

/** The domain of a specification. */
function domainOf(spec: AgentSpec): number {
  const { domain, kind } = spec;
  if (domain !== undefined) return domain;
  if (kind.type === "builtin") return ownAgent(spec, kind.name).domain;
  throw fault(spec, "domain is wanted");
}

/** What the registry takes for a specification. */
function entryOf(spec: AgentSpec, loadModule: CollectorOptions["loadModule"]): NewAgent {
  const { label: name, kind } = spec;
  const domain = domainOf(spec);
  switch (kind.type) {
    case "builtin": {
      const { load } = ownAgent(spec, kind.name);
      return { domain, name, origin: { kind: "made", load, args: kind.args } };
    }
    case "module":
      return {
        domain,
        name,
        origin: { kind: "made", load: () => loadModule(kind.path), args: kind.args },
      };
    case "dso":
      return { domain, name: kind.path, init: kind.init, origin: { kind: "dso" } };
    case "pipe":
    case "socket":
      return {
        domain,
        name,
        origin: { kind: "line", line: { line: 0, label: name, domain, kind } },
      };
  }
}

/** The agents as pmcd's metrics have them. */
function agentFacts(agents: Registry, labels: ReadonlyMap<number, string>): AgentFact[] {
  return agents.entries.flatMap((entry): AgentFact[] => {
    const { ownDomain: domain, process } = entry;
    if (entry.domain < 0 && entry.problem === undefined) return [];
    const name = labels.get(domain) ?? entry.name;
    const status = process?.status ?? (entry.agent === undefined ? 4 : 0);
    return [{ domain, name, kind: process === undefined ? "inside" : "pipe", status }];
  });
}

/** Starts everything. Rejects with PcpError: the table's faults, or a port that is taken. */
export async function startCollector(options: CollectorOptions): Promise<Collector> {
  const { env, log, loadModule, requestTimeout = DEFAULT_TIMEOUT } = options;
  const clients = createClientTable();
  const registry = createRegistry({
    env,
    ...(options.variable === undefined ? {} : { variable: options.variable }),
    ...(options.hostCommand === undefined ? {} : { hostCommand: options.hostCommand }),
    requestTimeout,
    initial: "empty",
    names: options.names ?? new Names(),
    program: "pmcd",
    warn: (text) => log("Warning", text),
    log,
  });
  /** What stands in the registry, by domain. */
  let running = new Map<number, string>();
  const labels = new Map<number, string>([[PMCD_DOMAIN, "pmcd"]]);
  let configuration = 0;
  let reloads = 0;

  const apply = async (agents: readonly AgentSpec[]): Promise<void> => {
    const wanted = new Map<number, AgentSpec>();
    for (const spec of agents) {
      const domain = domainOf(spec);
      const before = wanted.get(domain);
      if (before !== undefined)
        throw fault(spec, `domain ${domain} is that of agent "${before.label}" already`);
      wanted.set(domain, spec);
    }
    if (wanted.has(PMCD_DOMAIN))
      throw new PcpError(PM_ERR.GENERIC, `domain ${PMCD_DOMAIN} is the collector's own`);
    const entries = [...wanted.values()].map((spec) => ({
      spec,
      entry: entryOf(spec, loadModule),
      text: JSON.stringify(spec),
    }));
    const next = new Map(entries.map(({ entry, text }) => [entry.domain, text]));
    for (const [domain, text] of running)
      if (next.get(domain) !== text) {
        registry.delete({ domain });
        configuration += 1;
      }
    for (const { spec, entry, text } of entries) {
      labels.set(entry.domain, spec.label);
      if (running.get(entry.domain) === text) continue;
      registry.add(entry);
      configuration += 1;
    }
    running = next;
    await registry.connect();
  };

  const table = await options.table();
  let { rules } = table;
  let server: CollectorServer | undefined;
  const reload = async (): Promise<void> => {
    reloads += 1;
    const again = await options.table();
    await apply(again.agents);
    rules = again.rules;
    await server?.setRules(rules);
  };
  const facts: CollectorFacts = {
    version: options.version,
    build: options.build,
    clients,
    agents: () => agentFacts(registry, labels),
    features: {
      secure: options.tls !== undefined,
      ipv6: options.interfaces === undefined || options.interfaces.some((at) => at.includes(":")),
      get accounts() {
        return rules.some(({ subject }) => subject !== "host");
      },
      unix: options.socketPath !== undefined,
      local: options.interfaces?.every((at) => at.startsWith("127.") || at === "::1") === true,
      certificate: options.tls?.needsCertificate === true,
    },
    labels: () => utf8Text(contextLabels({ env }).json),
    zone: () => ({ timezone: localZone(env).name, zoneinfo: machineZone() }),
    timeout: requestTimeout / MS_PER_SECOND,
    reloads: () => reloads,
    reload: () => {
      reload().catch((error: unknown) => {
        log("Error", `the table was not read again: ${String(error)}`);
      });
    },
    configuration: () => configuration,
  };
  registry.add({
    domain: PMCD_DOMAIN,
    name: "pmcd",
    origin: { kind: "made", load: async () => () => pmcdAgent(facts) },
  });
  try {
    await apply(table.agents);
    const listening = await listenForClients({
      ...options,
      router: registry.router,
      clients,
      rules,
    });
    server = listening;
    return {
      registry,
      server: listening,
      reload,
      async stop() {
        listening.stop();
        await registry.close();
      },
    };
  } catch (error) {
    await registry.close();
    throw error;
  }
}
