// A context over the agents of a table in this program (spec local.md): requests go to the agent of
// the domain, names come from a file and from agents. Without agents everything but names and the
// context's own labels is PM_ERR_NOAGENT, per metric in a fetch. Refuses what only archives can do.
import { hostname } from "node:os";
import { asPcpError, PcpError, PM_ERR } from "../base/mod.ts";
import {
  contextLabels,
  createRegistry,
  machineZone,
  type Registry,
  type RouterClient,
} from "../collector/mod.ts";
import {
  type Desc,
  localZone,
  type Names,
  NO_DESC,
  PCP_ATTR,
  PM_ID_NULL,
  PM_LABEL,
  type Pmid,
  type ResultInit,
  ResultWriter,
  type ResultView,
  type Timestamp,
  type Zone,
} from "../pcp/mod.ts";
import {
  checkProfile,
  createProfile,
  decodePdu,
  encodeResult,
  encodeWritten,
  type Environment,
  FROM_ANON,
  type InstanceProfile,
} from "../pdu/mod.ts";
import { checkMode, checkStore, closedError, correctErrors, firstZone, noDerived } from "./base.ts";
import { createCallQueue } from "./queue.ts";
import type { Context } from "./types.ts";

/** How a local context is opened. All may be left out. */
export interface LocalContextOptions {
  /** The table of agents; an empty one by default. */
  readonly agents?: Registry;
  /** Whether the agents of the table end with the context; not with its duplicates. */
  readonly closeAgents?: boolean;
  /** The names, or the file that has them; those of the table by default. */
  readonly names?: Names | string;
  /** PMNS_DEFAULT, PCP_VAR_DIR, PCP_SYSCONF_DIR, PCP_CONTAINER and TZ; the process's unless given. */
  readonly env?: Environment;
}

/** A context over local agents. */
export interface LocalContext extends Context {
  readonly type: "local";
  /** The table that it was opened with. */
  readonly agents: Registry;
  duplicate(): Promise<LocalContext>;
}

/** The zone of this machine as pmNewContextZone has it; else that of the process. */
function ownZone(env: Environment): Zone {
  const name = machineZone();
  return name === undefined ? localZone(env) : firstZone([name]);
}

/** Bytes of a result as a view. */
function viewOfResult(bytes: Uint8Array): ResultView {
  const pdu = decodePdu(bytes);
  if (pdu.kind !== "highres-result") throw new PcpError(PM_ERR.IPC, `${pdu.kind} for a result`);
  return pdu.result;
}

function now(): Timestamp {
  const milliseconds = performance.timeOrigin + performance.now();
  const sec = Math.floor(milliseconds / 1000);
  return { sec, nsec: Math.floor((milliseconds - sec * 1000) * 1e6) };
}

/** Who this process is, for agents that want to know. */
function attributes(client: RouterClient, env: Environment): void {
  const tell = (key: number, value: number | string | undefined): void => {
    if (value !== undefined) void client.attribute(key, String(value));
  };
  tell(PCP_ATTR.USERID, process.getuid?.());
  tell(PCP_ATTR.GROUPID, process.getgid?.());
  tell(PCP_ATTR.PROCESSID, process.pid);
  tell(PCP_ATTR.CONTAINER, env["PCP_CONTAINER"]);
}

/** The context's own labels: who this machine and this process are. */
function ownLabels(env: Environment) {
  const [uid, gid] = [process.getuid?.(), process.getgid?.()];
  return contextLabels({
    env,
    account: uid === undefined || gid === undefined ? undefined : { uid, gid },
  });
}

/** Calls about metadata, each answered by the agent of a domain. */
function metadataCalls(
  run: <T>(work: () => Promise<T>) => Promise<T>,
  client: RouterClient,
  profile: InstanceProfile,
  env: Environment,
) {
  return {
    lookupNames: (names) =>
      run(async () => {
        if (names.length === 0) throw new PcpError(PM_ERR.TOOSMALL);
        const pmids: Pmid[] = [];
        let resolved = 0;
        for (const name of names) {
          try {
            pmids.push(await client.lookupName(name));
            resolved += 1;
          } catch (error) {
            const { code } = asPcpError(error);
            if (names.length === 1 || code === PM_ERR.NOPMNS) throw error;
            pmids.push(PM_ID_NULL);
          }
        }
        return { pmids, resolved };
      }),
    namesOf: (pmid) => run(async () => client.namesOf(pmid)),
    children: (name) => run(async () => client.children(name)),
    traverse: (name) => run(async () => client.traverse(name)),
    desc: (pmid) => run(async () => client.desc(pmid)),
    descs: (pmids) =>
      run(async () => {
        if (pmids.length === 0) throw new PcpError(PM_ERR.TOOSMALL);
        const found: Desc[] = [];
        for (const pmid of pmids) {
          try {
            found.push(await client.desc(pmid));
          } catch (error) {
            if (pmids.length === 1 || !(error instanceof PcpError)) throw error;
            found.push(NO_DESC);
          }
        }
        return found;
      }),
    instances: (indom) => run(async () => client.instances(indom)),
    instanceName: (indom, instance) => run(async () => client.instanceName(indom, instance)),
    instanceId: (indom, name) => run(async () => client.instanceId(indom, name)),
    text: (subject, ident, level, direct = false) =>
      run(async () => {
        if (level === "help") {
          try {
            const text = await client.text(subject, ident, "help");
            if (direct || text !== "") return text;
          } catch (error) {
            if (direct || !(error instanceof PcpError)) throw error;
          }
        }
        return client.text(subject, ident, "oneline");
      }),
    labels: (level, ident) =>
      run(async () =>
        level === PM_LABEL.CONTEXT ? [ownLabels(env)] : client.labels(level, ident, profile),
      ),
  } satisfies Partial<Context>;
}

/** Stores one metric after the other, until one fails. */
async function storeEach(client: RouterClient, result: ResultInit): Promise<void> {
  checkStore(result);
  for (const set of result.sets) {
    const one = { timestamp: result.timestamp, sets: [set] };
    await client.store(viewOfResult(encodeResult(FROM_ANON, one, true)));
  }
}

function openWith(
  options: LocalContextOptions,
  agents: Registry,
  profile: InstanceProfile,
): LocalContext {
  const env = options.env ?? process.env;
  const queue = createCallQueue();
  const { names } = options;
  const client = agents.router.newClient(names === undefined ? undefined : agents.namesFrom(names));
  attributes(client, env);
  const writer = new ResultWriter();
  const run = <T>(work: () => Promise<T>): Promise<T> => queue.run(work);
  const checkOpen = (): void => {
    if (queue.closed !== undefined) throw queue.closed;
  };
  return {
    type: "local",
    name: "",
    agents,
    ...metadataCalls(run, client, profile, env),
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
        const timestamp = now();
        writer.reset();
        await client.fetch(pmids, profile, writer);
        const result = viewOfResult(encodeWritten(FROM_ANON, writer, timestamp, true));
        correctErrors(result);
        return { changes: writer.changes, result };
      }),
    store: (result) => run(() => storeEach(client, result)),
    hostName: () => run(async () => hostname()),
    zone: () => run(async () => ownZone(env)),
    addDerived: noDerived,
    async duplicate() {
      checkOpen();
      return openWith({ ...options, closeAgents: false }, agents, profile.duplicate());
    },
    reconnect: () => run(async () => undefined),
    async close() {
      if (queue.closed !== undefined) return;
      // What an agent is asked for at present may take its time.
      void queue.close(closedError());
      client.close();
      if (options.closeAgents === true) await agents.close();
    },
  };
}

/**
 * Opens a context over the agents of a table, which starts those that have not been started. Names
 * are read when they are asked for. Rejects with PcpError when the table cannot be built.
 */
export async function openLocalContext(options: LocalContextOptions = {}): Promise<LocalContext> {
  const { env } = options;
  const agents =
    options.agents ?? createRegistry({ initial: "empty", ...(env === undefined ? {} : { env }) });
  await agents.connect();
  return openWith(options, agents, createProfile());
}
