// A context over a host: the calls of the PMAPI over one connection to pmcd, in order, through losses
// of that connection. A call that is outstanding when pmcd goes fails with PM_ERR_IPC; the next one
// connects again, unless the back-off of spec pdu.md 8.7 forbids it yet: then it fails at once. The
// profile outlives connections, nothing else does; no metadata are kept here. Refuses what only
// archives can do.
import { hostname } from "node:os";
import { asPcpError, PcpError, PM_ERR, pmErrStr } from "../base/mod.ts";
import {
  type HostSpec,
  parseHostSpec,
  PM_ID_NULL,
  PM_LABEL,
  type Pmid,
  pmIDStr,
  type ResultView,
  unparseHostSpec,
} from "../pcp/mod.ts";
import {
  type ConnectionSettings,
  connectionSettings,
  type ConnectOptions,
  connectPmcd,
  createProfile,
  createReconnectPolicy,
  type FetchReply,
  type InstanceProfile,
  type PmcdConnection,
  type Profile,
  type Target,
} from "../pdu/mod.ts";
import {
  checkMode,
  checkStore,
  closedError,
  firstZone,
  isNoAgents,
  noDerived,
  textValue,
} from "./base.ts";
import { type CallQueue, CALLS_LIMIT, createCallQueue } from "./queue.ts";
import type { Context } from "./types.ts";

/** A context over a host, and what is known of its connection. */
export interface HostContext extends Context {
  readonly type: "host";
  /** The place that answered, of the present connection or the last one. */
  readonly target: Target;
  /** FEATURE bits that pmcd offered there. */
  readonly features: number;
  /** True with TLS. */
  readonly secure: boolean;
  /** False after a loss, until a call has connected again. */
  readonly connected: boolean;
  /**
   * Connections so far, 1 after opening. Whoever keeps what the host said (names, descriptors) drops
   * it when this number has changed: the pmcd may be another one.
   */
  readonly sessions: number;
  /** Milliseconds until an attempt to connect again is allowed; 0: now. */
  readonly retryIn: number;
  duplicate(): Promise<HostContext>;
}

/** Seconds in a sentence. */
const inSeconds = (milliseconds: number): string => `${Math.ceil(milliseconds / 100) / 10} s`;

/**
 * What current PCP makes of a reply: PM_ERR_PMID in place of PM_ERR_NOAGENT for PMIDs that no agent
 * can have (spec pdu.md 9.3).
 */
function correctErrors(result: ResultView): void {
  for (const set = result.sets(); set.next();) {
    if (set.numval === PM_ERR.NOAGENT && isNoAgents(set.pmid))
      set.view.setInt32(set.offset + 4, PM_ERR.PMID);
  }
}

/** Refuses a result whose metrics are not those that were asked for: PM_ERR_IPC. */
function checkAnswer(pmids: readonly Pmid[], result: ResultView): void {
  const wrong = (reason: string): PcpError =>
    new PcpError(PM_ERR.IPC, `result of another request: ${reason}`);
  if (result.numpmid !== pmids.length)
    throw wrong(`${result.numpmid} metrics in place of ${pmids.length}`);
  const set = result.sets();
  for (const pmid of pmids) {
    set.next();
    if (set.pmid !== pmid) throw wrong(`${pmIDStr(set.pmid)} in place of ${pmIDStr(pmid)}`);
  }
}

/** The connection of a context, made again when it was lost. */
interface Session {
  /** The connection, a new one if there is none. Throws PcpError PM_ERR_IPC. */
  open(): Promise<PmcdConnection>;
  /** pmReconnectContext. Throws PcpError -ETIMEDOUT, whatever the reason. */
  reopen(): Promise<void>;
  /** The present connection, or the last one. */
  readonly last: PmcdConnection;
  readonly count: number;
  readonly retryIn: number;
  /** Notes that the connection has served a request. */
  answered(): void;
  close(): Promise<void>;
}

/** Milliseconds after the first attempt that fails: a pmcd that is started again may be there soon. */
const FIRST_PAUSE_MS = 100;

async function openSession(
  connect: (signal: AbortSignal) => Promise<PmcdConnection>,
  delays: readonly number[],
): Promise<Session> {
  const policy = createReconnectPolicy(delays);
  const end = new AbortController();
  let count = 0;
  let served = false;
  /** A connection that served was lost, and nothing was tried since. */
  let isFirst = false;
  let failure: PcpError | undefined;

  const start = async (): Promise<PmcdConnection> => {
    const connection = await connect(end.signal);
    if (end.signal.aborted) {
      await connection.close();
      throw closedError();
    }
    policy.succeeded();
    count += 1;
    served = false;
    void connection.ended.then(({ kind, error }) => {
      if (kind === "closed") return;
      failure = error;
      // A pmcd that refuses a client after the handshake, or drops it before any answer, would be
      // called again and again: that counts as an attempt that failed.
      isFirst = kind !== "refused" && served;
      if (!isFirst) policy.failed(performance.now());
    });
    return connection;
  };
  let last = await start();

  const attempt = async (): Promise<void> => {
    try {
      last = await start();
    } catch (error) {
      failure = asPcpError(error);
      if (isFirst) policy.spared(performance.now(), FIRST_PAUSE_MS);
      else if (!end.signal.aborted) policy.failed(performance.now());
      isFirst = false;
      throw failure;
    }
  };
  const lost = (why: string): PcpError =>
    new PcpError(PM_ERR.IPC, `${pmErrStr(PM_ERR.IPC)}: no connection to pmcd, ${why}`, {
      cause: failure,
    });
  const retryIn = (): number => policy.wait(performance.now());

  return {
    async open() {
      if (last.status !== "ended") return last;
      // Its end is known, and with it whether it counts as a failure.
      await last.ended;
      const wait = retryIn();
      const reason = failure === undefined ? "" : ` (${failure.message})`;
      if (wait > 0) throw lost(`next attempt in ${inSeconds(wait)}${reason}`);
      try {
        await attempt();
      } catch (error) {
        throw end.signal.aborted ? closedError() : lost(asPcpError(error).message);
      }
      return last;
    },
    async reopen() {
      const late = (why: string): PcpError =>
        new PcpError(-110, `${pmErrStr(-110)}: ${why}`, { cause: failure });
      const wait = retryIn();
      if (wait > 0) throw late(`next attempt in ${inSeconds(wait)}`);
      await last.close();
      try {
        await attempt();
      } catch (error) {
        throw end.signal.aborted ? closedError() : late(asPcpError(error).message);
      }
    },
    get last() {
      return last;
    },
    get count() {
      return count;
    },
    get retryIn() {
      return retryIn();
    },
    answered() {
      served = true;
    },
    close() {
      end.abort();
      return last.close();
    },
  };
}

/** What stands for the host when it does not tell its name (spec archive.md 12.5). */
function assumedName(spec: HostSpec): string {
  const name = spec.hosts[0]?.name ?? "";
  return spec.transport !== "tcp" || name.startsWith("localhost") ? hostname() : name;
}

/** The calls of one context, in order, each on a connection that is there. */
interface Calls {
  readonly queue: CallQueue;
  run<T>(work: (pmcd: PmcdConnection) => Promise<T>): Promise<T>;
  /** As `run`, after the connection has been told the profile as it was at the time of the call. */
  profiled<T>(work: (pmcd: PmcdConnection) => Promise<T>): Promise<T>;
  /** Notes that the profile is another one from now on. */
  profileChanged(): void;
}

function callsOver(session: Session, profile: InstanceProfile, limit: number): Calls {
  const queue = createCallQueue(limit);
  let wanted: Profile | undefined;
  let told: { readonly session: number; readonly profile: Profile } | undefined;

  const serve = <T>(pmcd: PmcdConnection, work: (pmcd: PmcdConnection) => Promise<T>): Promise<T> =>
    work(pmcd).then(
      (result) => {
        if (pmcd.status !== "ended") session.answered();
        return result;
      },
      (error: unknown) => {
        if (pmcd.status !== "ended") session.answered();
        throw error;
      },
    );
  const run = <T>(work: (pmcd: PmcdConnection) => Promise<T>): Promise<T> =>
    queue.run(() => {
      const pmcd = session.last;
      // The usual case needs no pause.
      if (pmcd.status !== "ended") return serve(pmcd, work);
      return session.open().then((opened) => serve(opened, work));
    });

  return {
    queue,
    run,
    profiled(work) {
      const mine = (wanted ??= profile.asRequest());
      return run((pmcd) => {
        if (told?.profile !== mine || told.session !== session.count) {
          pmcd.setProfile(mine);
          told = { session: session.count, profile: mine };
        }
        return work(pmcd);
      });
    },
    profileChanged() {
      wanted = undefined;
    },
  };
}

const labelsFrom =
  (pmcd: PmcdConnection): PmcdConnection["labels"] =>
  (level, ident) =>
    pmcd.labels(level, level === PM_LABEL.CONTEXT ? PM_ID_NULL : ident);

/** Calls that are a request each: metadata, names and stores. */
function plainCalls({ run, profiled }: Calls) {
  return {
    lookupNames: (names) => run((pmcd) => pmcd.lookupNames(names)),
    namesOf: (pmid) => run((pmcd) => pmcd.namesOf(pmid)),
    children: (name) => run((pmcd) => pmcd.children(name)),
    traverse: (name) => run((pmcd) => pmcd.traverse(name)),
    desc: (pmid) => run((pmcd) => pmcd.desc(pmid)),
    descs: (pmids) => run((pmcd) => pmcd.descs(pmids)),
    instances: (indom) =>
      run(async (pmcd) => {
        const entries = await pmcd.instances(indom);
        return {
          ids: entries.map(({ instance }) => instance),
          names: entries.map(({ name }) => name),
        };
      }),
    instanceName: (indom, instance) => run((pmcd) => pmcd.instanceName(indom, instance)),
    instanceId: (indom, name) => run((pmcd) => pmcd.instanceId(indom, name)),
    text: (subject, ident, level, direct) =>
      run((pmcd) => pmcd.text(subject, ident, level, direct)),
    labels: (level, ident) =>
      (level === PM_LABEL.INSTANCES ? profiled : run)((pmcd) => labelsFrom(pmcd)(level, ident)),
    together: (work) =>
      profiled((pmcd) =>
        work({ namesOf: pmcd.namesOf, text: pmcd.text, labels: labelsFrom(pmcd) }),
      ),
    store: (result) =>
      run((pmcd) => {
        checkStore(result);
        return pmcd.store(result);
      }),
  } satisfies Partial<Context>;
}

/** Calls that fetch; they share the state changes that pmcd tells with a reply. */
function fetchingCalls({ queue, profiled }: Calls, spec: HostSpec) {
  /** State changes that came with a fetch of this file's own: told with the caller's next one. */
  let changes = 0;

  const texts = (names: readonly string[]): Promise<(string | undefined)[]> =>
    profiled(async (pmcd) => {
      const { pmids } = await pmcd.lookupNames(names);
      const reply = await pmcd.fetch(pmids);
      changes |= reply.changes;
      return pmids.map((pmid) => textValue(reply.result, pmid));
    });

  return {
    fetch(pmids) {
      if (pmids.length === 0) return Promise.reject(new PcpError(PM_ERR.TOOSMALL));
      const take = ({ changes: now, result }: FetchReply): FetchReply => {
        const all = now | changes;
        changes = 0;
        checkAnswer(pmids, result);
        if (pmids.some(isNoAgents)) correctErrors(result);
        return { changes: all, result };
      };
      return profiled((pmcd) => pmcd.fetch(pmids).then(take));
    },
    async hostName() {
      try {
        const [name] = await texts(["pmcd.hostname"]);
        return name ?? assumedName(spec);
      } catch (error) {
        if (queue.closed !== undefined || !(error instanceof PcpError)) throw error;
        return assumedName(spec);
      }
    },
    zone: async () => firstZone(await texts(["pmcd.zoneinfo", "pmcd.timezone"])),
  } satisfies Partial<Context>;
}

async function openWith(
  name: string,
  spec: HostSpec,
  settings: ConnectionSettings,
  options: ConnectOptions,
  profile: InstanceProfile,
): Promise<HostContext> {
  const session = await openSession((end) => {
    const { signal: given } = options;
    const signal = given === undefined ? end : AbortSignal.any([end, given]);
    return connectPmcd(spec, { ...options, settings, signal });
  }, settings.reconnectDelays);
  const calls = callsOver(session, profile, options.queueLimit ?? CALLS_LIMIT);
  const { queue } = calls;
  const checkOpen = (): void => {
    if (queue.closed !== undefined) throw queue.closed;
  };
  return {
    type: "host",
    name,
    get target() {
      return session.last.target;
    },
    get features() {
      return session.last.features;
    },
    get secure() {
      return session.last.secure;
    },
    get connected() {
      return session.last.status !== "ended";
    },
    get sessions() {
      return session.count;
    },
    get retryIn() {
      return session.retryIn;
    },
    ...plainCalls(calls),
    ...fetchingCalls(calls, spec),
    addProfile(indom, instances) {
      checkOpen();
      profile.add(indom, instances);
      calls.profileChanged();
    },
    deleteProfile(indom, instances) {
      checkOpen();
      profile.delete(indom, instances);
      calls.profileChanged();
    },
    setMode(mode) {
      checkOpen();
      checkMode("host", mode);
    },
    addDerived: noDerived,
    async duplicate() {
      checkOpen();
      return openWith(name, spec, settings, options, profile.duplicate());
    },
    reconnect: () => queue.run(() => session.reopen()),
    async close() {
      void queue.close(closedError());
      await session.close();
    },
  };
}

/**
 * Opens a context over the pmcd of a host specification (spec pdu.md 7), called `name`. Rejects with
 * PcpError: what connectPmcd rejects with, -EINVAL or PM_ERR_GENERIC with PCP's two lines for a bad
 * specification.
 */
export async function openHostContext(
  spec: string | HostSpec,
  options: ConnectOptions = {},
  name: string = typeof spec === "string" ? spec : unparseHostSpec(spec),
): Promise<HostContext> {
  const settings =
    options.settings ??
    connectionSettings(options.env ?? process.env, options.warn ?? (() => undefined));
  const parsed = typeof spec === "string" ? parseHostSpec(spec, settings.defaultSocket) : spec;
  return openWith(name, parsed, settings, options, createProfile());
}
