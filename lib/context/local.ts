// A context over the agents of a table in this program (spec local.md): requests go to the agent of
// the domain, names come from a file. Without agents everything but names and the context's own
// labels is PM_ERR_NOAGENT, per metric in a fetch. Refuses what only archives can do.
import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";
import { asPcpError, PcpError, PM_ERR } from "../base/mod.ts";
import {
  type Desc,
  type Indom,
  indomDomain,
  localZone,
  type Names,
  parseLabels,
  NO_DESC,
  PM_INDOM_NULL,
  PM_LABEL,
  type Pmid,
  pmidDomain,
  type ResultView,
  type ValueSetInit,
  type Zone,
} from "../pcp/mod.ts";
import {
  checkProfile,
  createProfile,
  decodePdu,
  encodeResult,
  type Environment,
  FROM_ANON,
  type InstanceProfile,
} from "../pdu/mod.ts";
import { checkMode, checkStore, closedError, firstZone, isNoAgents, noDerived } from "./base.ts";
import {
  createLocalAgents,
  type LocalAgent,
  type LocalAgents,
  type LocalCaller,
} from "./local-agents.ts";
import { localNameSpace, readNames } from "./local-names.ts";
import { createCallQueue } from "./queue.ts";
import type { Context, ContextLabelSet } from "./types.ts";

/** How a local context is opened. All may be left out. */
export interface LocalContextOptions {
  /** The table of agents; an empty one by default. */
  readonly agents?: LocalAgents;
  /** The names, or the file that has them; by default the file of PMNS_DEFAULT, or PCP's own. */
  readonly names?: Names | string;
  /** PMNS_DEFAULT, PCP_VAR_DIR and TZ are looked at; the process's unless given. */
  readonly env?: Environment;
}

/** A context over local agents. */
export interface LocalContext extends Context {
  readonly type: "local";
  /** The table that it was opened with. */
  readonly agents: LocalAgents;
  duplicate(): Promise<LocalContext>;
}

/** First line of a small file of the system; undefined when there is none. */
function firstLine(path: string): string | undefined {
  try {
    const [line = ""] = readFileSync(path, "utf8").split("\n");
    return line === "" || line === "(none)" ? undefined : line;
  } catch (error) {
    if (asPcpError(error).code === PM_ERR.GENERIC) throw error;
    return undefined;
  }
}

/** The context's own labels: who this machine and this process are. */
function contextLabels(): ContextLabelSet {
  const machine = firstLine("/etc/machine-id");
  const text = JSON.stringify({
    domainname: firstLine("/proc/sys/kernel/domainname") ?? "localdomain",
    groupid: process.getgid?.(),
    hostname: hostname(),
    machineid: machine,
    userid: process.getuid?.(),
  });
  const set = parseLabels(text, PM_LABEL.CONTEXT);
  // Whose process it is does not belong to the identity of a metric.
  const records = set.records.map((record) => {
    const { nameOffset, nameLength } = record;
    const name = Buffer.from(set.json).toString("latin1", nameOffset, nameOffset + nameLength);
    const own = name === "userid" || name === "groupid";
    return own ? { ...record, flags: record.flags | PM_LABEL.OPTIONAL } : record;
  });
  return { ...set, records, error: 0 };
}

/** The zone of this machine as pmNewContextZone has it; else that of the process. */
function ownZone(env: Environment): Zone {
  let path = "";
  try {
    path = readlinkSync("/etc/localtime");
  } catch (error) {
    if (asPcpError(error).code === PM_ERR.GENERIC) throw error;
  }
  const name = /zoneinfo\/(.+)$/.exec(path)?.[1];
  return name === undefined ? localZone(env) : firstZone([`:${name}`]);
}

/** Which domain answers for an identifier at a level of labels. */
function labelDomain(level: number, ident: number): number {
  if (level === PM_LABEL.DOMAIN) return ident;
  if (level === PM_LABEL.INDOM || level === PM_LABEL.INSTANCES) return indomDomain(ident as Indom);
  return pmidDomain(ident as Pmid);
}

/** The value sets of all metrics, each from its agent; a fault of an agent is that of its metrics. */
async function fetchSets(
  pmids: readonly Pmid[],
  agents: LocalAgents,
  by: LocalCaller,
): Promise<ValueSetInit[]> {
  const sets: (ValueSetInit | undefined)[] = pmids.map(() => undefined);
  const places = Map.groupBy(pmids.keys(), (at) => pmidDomain(pmids[at] as Pmid));
  for (const [domain, group] of places) {
    const wanted = group.map((at) => pmids[at] as Pmid);
    let found: readonly ValueSetInit[];
    try {
      found = await agents.find(domain).fetch(wanted, by);
      if (found.length !== wanted.length)
        throw new PcpError(PM_ERR.IPC, `${found.length} answers for ${wanted.length} metrics`);
    } catch (error) {
      const { code } = asPcpError(error);
      found = wanted.map((pmid) => ({
        pmid,
        error: code === PM_ERR.NOAGENT && isNoAgents(pmid) ? PM_ERR.PMID : code,
      }));
    }
    group.forEach((at, index) => {
      sets[at] = found[index];
    });
  }
  return sets.filter((set) => set !== undefined);
}

/** A result as bytes, as contexts of other types have it. */
function resultOf(sets: readonly ValueSetInit[], milliseconds: number): ResultView {
  const sec = Math.floor(milliseconds / 1000);
  const nsec = Math.floor((milliseconds - sec * 1000) * 1e6);
  const pdu = decodePdu(encodeResult(FROM_ANON, { timestamp: { sec, nsec }, sets }, true));
  if (pdu.kind !== "highres-result") throw new PcpError(PM_ERR.IPC, `${pdu.kind} for a result`);
  return pdu.result;
}

/** Calls about metadata, each answered by the agent of a domain. */
function metadataCalls(
  run: <T>(work: () => Promise<T>) => Promise<T>,
  agents: LocalAgents,
  by: LocalCaller,
) {
  const agentOf = (indom: Indom): LocalAgent => {
    if (indom === PM_INDOM_NULL) throw new PcpError(PM_ERR.INDOM);
    return agents.find(indomDomain(indom));
  };
  const desc = async (pmid: Pmid): Promise<Desc> => agents.find(pmidDomain(pmid)).desc(pmid, by);
  return {
    desc: (pmid) => run(() => desc(pmid)),
    descs: (pmids) =>
      run(async () => {
        if (pmids.length === 0) throw new PcpError(PM_ERR.TOOSMALL);
        const found: Desc[] = [];
        for (const pmid of pmids) {
          try {
            found.push(await desc(pmid));
          } catch (error) {
            if (pmids.length === 1 || !(error instanceof PcpError)) throw error;
            found.push(NO_DESC);
          }
        }
        return found;
      }),
    instances: (indom) => run(async () => agentOf(indom).instances(indom, by)),
    instanceName: (indom, instance) =>
      run(async () => agentOf(indom).instanceName(indom, instance, by)),
    instanceId: (indom, name) => run(async () => agentOf(indom).instanceId(indom, name, by)),
    text: (subject, ident, level, direct = false) =>
      run(async () => {
        const domain =
          subject === "metric" ? pmidDomain(ident as Pmid) : indomDomain(ident as Indom);
        const agent = agents.find(domain);
        if (level === "help") {
          try {
            const text = await agent.text(subject, ident, "help", by);
            if (direct || text !== "") return text;
          } catch (error) {
            if (direct || !(error instanceof PcpError)) throw error;
          }
        }
        return agent.text(subject, ident, "oneline", by);
      }),
    labels: (level, ident) =>
      run(async () => {
        if (level === PM_LABEL.CONTEXT) return [contextLabels()];
        return agents.find(labelDomain(level, ident)).labels(level, ident, by);
      }),
  } satisfies Partial<Context>;
}

function openWith(options: LocalContextOptions, profile: InstanceProfile): LocalContext {
  const env = options.env ?? process.env;
  const agents = options.agents ?? createLocalAgents();
  const queue = createCallQueue();
  const context = agents.newContext();
  const by: LocalCaller = { context, profile };
  const file = env["PMNS_DEFAULT"] ?? `${env["PCP_VAR_DIR"] ?? "/var/lib/pcp"}/pmns/root`;
  const given = options.names ?? file;
  const names = localNameSpace(
    async () => (typeof given === "string" ? readNames(given) : given),
    agents,
    by,
  );
  const run = <T>(work: () => Promise<T>): Promise<T> => queue.run(work);
  const checkOpen = (): void => {
    if (queue.closed !== undefined) throw queue.closed;
  };
  return {
    type: "local",
    name: "",
    agents,
    lookupNames: (list) => run(() => names.lookupNames(list)),
    namesOf: (pmid) => run(() => names.namesOf(pmid)),
    children: (name) => run(() => names.children(name)),
    traverse: (name) => run(() => names.traverse(name)),
    ...metadataCalls(run, agents, by),
    addProfile(indom, instances) {
      checkProfile(indom, instances);
      queue.note(() => profile.add(indom, instances));
    },
    deleteProfile(indom, instances) {
      checkProfile(indom, instances);
      queue.note(() => profile.delete(indom, instances));
    },
    setMode(mode) {
      checkOpen();
      checkMode("local", mode);
    },
    fetch: (pmids) =>
      run(async () => {
        if (pmids.length === 0) throw new PcpError(PM_ERR.TOOSMALL);
        const now = performance.timeOrigin + performance.now();
        return { changes: 0, result: resultOf(await fetchSets(pmids, agents, by), now) };
      }),
    store: (result) =>
      run(async () => {
        checkStore(result);
        for (const set of result.sets) await agents.find(pmidDomain(set.pmid)).store(set, by);
      }),
    hostName: () => run(async () => hostname()),
    zone: () => run(async () => ownZone(env)),
    addDerived: noDerived,
    async duplicate() {
      checkOpen();
      return openWith({ ...options, agents }, profile.duplicate());
    },
    reconnect: () => run(async () => undefined),
    async close() {
      if (queue.closed !== undefined) return;
      // What an agent is asked for at present may take its time.
      void queue.close(closedError());
      for (const { agent } of agents.entries)
        if (!(agent instanceof PcpError)) agent.contextClosed?.(context);
    },
  };
}

/** Opens a context over the agents of a table. Names are read when they are asked for. */
export const openLocalContext = async (options: LocalContextOptions = {}): Promise<LocalContext> =>
  openWith(options, createProfile());
