// What stands behind contexts: connections to pmcds, each with what is known of its metadata and the
// fetches under way. Contexts that nobody has changed see the same, so those of one host specification
// and credentials share one source; one that is changed (a profile, a derived metric, a store) gets a
// source of its own. Where no pmcd answers on this machine a stand-in may serve. Refuses with 503 above
// its bounds, with the texts of spec webapi.md 4 for pmcds that there are not.
import { asPcpError, PM_ERR, PcpError } from "../base/mod.ts";
import { type Context, openHostContext, withDerived } from "../context/mod.ts";
import type { DerivedSet } from "../derived/mod.ts";
import { hostAttribute, type HostSpec, parseHostSpec, PCP_ATTR, PM_LABEL } from "../pcp/mod.ts";
import {
  type ConnectionSettings,
  connectionSettings,
  type ConnectOptions,
  type Environment,
} from "../pdu/mod.ts";
import { faultOf, WebFault } from "./fault.ts";
import type { Joints } from "./join.ts";
import { createMetadata, type Metadata } from "./metadata.ts";
import { createTurns } from "./turns.ts";

/** A name and a password, as a request brings them. */
export interface Credentials {
  readonly user: string;
  readonly password: string;
}

/** A connection to a pmcd, or the stand-in. */
export interface Source {
  readonly context: Context;
  readonly metadata: Metadata;
  /** Replies under way that several requests wait for. */
  readonly joints: Joints;
  /** False after a loss, until `revive` has connected again. */
  readonly connected: boolean;
  /** A stand-in of some age: `shared` looks for the pmcd again. */
  readonly isStale: boolean;
}

/** What sources are opened with. */
export interface SourceOptions {
  readonly env: Environment;
  readonly warn: (text: string) => void;
  /** Connections to one host, whatever the attributes of its specification say. */
  readonly perHost: () => number;
  /** How long a stand-in is used before the pmcd is looked for again, milliseconds. */
  readonly lookAgainMs: () => number;
  /** Global derived metrics, for all contexts. */
  readonly derived: () => DerivedSet;
  readonly host: ConnectOptions;
  /** False when the process has no descriptor left for another connection. */
  readonly hasRoom: () => boolean;
  /** Opens what stands in for the pmcd of this machine when none answers there. */
  readonly fallback?: () => Promise<Context>;
}

/** Who answers for this machine, as the last attempt to reach its pmcd went. */
export type LocalState = "unasked" | "pmcd" | "built-in" | "unreachable";

/** The sources of one server. Calls that open reject with WebFault. */
export interface Sources {
  /** The source that unchanged contexts share, at once where it is there. One more user has it. */
  shared(hostspec: string, credentials: Credentials | undefined): Source | Promise<Source>;
  /** A source for one context alone. */
  alone(hostspec: string, credentials: Credentials | undefined): Promise<Source>;
  /** One user less; the last one closes it. */
  release(source: Source): void;
  /** Connects again. Rejects with WebFault. */
  revive(source: Source): Promise<void>;
  /** Connections that are there or being opened: a descriptor each. */
  readonly open: number;
  readonly local: LocalState;
  close(): void;
}

interface Entry extends Source {
  readonly hostspec: string;
  /** Of the shared ones; empty for one that has a context alone. */
  readonly key: string;
  readonly isStandIn: boolean;
  users: number;
  /** Since when nobody uses it, on the clock of performance.now(); without an end before the first. */
  idleSince: number;
  /** While it connects again, for all requests at once. */
  reviving: Promise<void> | undefined;
  /** Connections so far. */
  readonly sessions: () => number;
  /** Of which of them a request was told that it is lost. */
  lossTold: number;
}

/** How long pmcd may take for a reply: clients such as Grafana wait 6 s. */
const REQUEST_MS = 5_000;

/** How long a shared connection stays after the last context has left it, milliseconds. */
const LINGER_MS = 120_000;
/** Most of those; more are closed at once. */
const LINGER_MOST = 64;

/** Most derived metrics that a context is given by its requests. */
const DERIVED_MOST = 1_000;

/** Most warnings that are remembered. */
const TOLD_MOST = 1_000;

/** What stands before the attributes of a host specification: one pmcd, whatever is asked of it. */
const placeOf = (hostspec: string): string => hostspec.replace(/\?.*$/s, "");

/** The name under which a host specification's and credentials' contexts are shared. */
export const keyOf = (hostspec: string, credentials: Credentials | undefined): string =>
  credentials === undefined
    ? `@${hostspec}`
    : JSON.stringify([hostspec, credentials.user, credentials.password]);

/** Whether a key is that of requests without credentials. */
const isAnybodys = (key: string): boolean => key.startsWith("@");

/** A request that there is no room for. */
export const busy = (reason: string): WebFault => new WebFault(503, reason);

/** What the environment says, and a shorter time limit where it does not say one. */
function settingsFrom(env: Environment, warn: (text: string) => void): ConnectionSettings {
  const settings = connectionSettings(env, warn);
  const isSet = (env["PMCD_REQUEST_TIMEOUT"] ?? "") !== "";
  return isSet ? settings : { ...settings, requestTimeout: REQUEST_MS };
}

function specOf(
  hostspec: string,
  credentials: Credentials | undefined,
  settings: ConnectionSettings,
): HostSpec {
  let spec;
  try {
    spec = parseHostSpec(hostspec, settings.defaultSocket);
  } catch (error) {
    const pcp: PcpError = asPcpError(error);
    throw pcp.code === PM_ERR.GENERIC ? new WebFault(400, pcp.message) : faultOf(pcp);
  }
  if (hostAttribute(spec, PCP_ATTR.USERNAME) !== undefined)
    throw new WebFault(401, "authentication required");
  if (credentials === undefined) return spec;
  const attributes = [
    ...spec.attributes,
    { code: PCP_ATTR.USERNAME, value: credentials.user },
    { code: PCP_ATTR.PASSWORD, value: credentials.password },
  ];
  return { ...spec, attributes };
}

/** Host specifications of this machine's own pmcd, whatever its port; Grafana usually has pcp://127.0.0.1. */
const LOCAL = /^(?:(?:pcp:\/\/)?(?:localhost|127\.0\.0\.1|\[::1\])|local:|unix:)$/;
const isLocal = (hostspec: string): boolean => LOCAL.test(hostspec);

/** Errors that say that nobody is there; what a pmcd says itself is an answer. */
const NOBODY: readonly number[] = [
  PM_ERR.NOTHOST,
  -2, // ENOENT: no such socket
  -111, // ECONNREFUSED
  -113, // EHOSTUNREACH
  -101, // ENETUNREACH
];

/** Whether nobody at all gets an answer there now. */
const isNobody = (error: unknown): boolean =>
  error instanceof PcpError && (error.code === PM_ERR.TIMEOUT || NOBODY.includes(error.code));

/** Connections to one pmcd that are made at a time; it keeps five that it has not accepted. */
const DIALS = 4;

/** What is behind a source, just opened. */
interface Opened {
  readonly context: Context;
  readonly connected: boolean;
  readonly isStandIn: boolean;
  /** Connections so far. */
  readonly sessions: () => number;
}

/**
 * Asks a first thing of a pmcd that was told a user: of credentials that it does not take it says so in place
 * of the first reply, and goes on as if there were none (spec pdu.md 8.5). Rejects with WebFault.
 */
async function checkTaken(host: Context): Promise<void> {
  try {
    await host.labels(PM_LABEL.CONTEXT, 0);
  } catch (error) {
    const pcp = asPcpError(error);
    if (pcp.code === PM_ERR.NOLABELS) return;
    await host.close();
    throw faultOf(pcp, "failed to get context labels: ");
  }
}

/** Connects to pmcds, and knows who answers for this machine. Rejects with WebFault. */
function createOpener(options: SourceOptions) {
  const { env, warn } = options;
  let settings: ConnectionSettings | undefined;
  let local: LocalState = "unasked";
  let hadPmcd = false;
  /** When the stand-in was opened last, on the clock of performance.now(). */
  let stoodIn = 0;
  /** What was said of derived metrics: each connection would say it again. */
  const told = new Set<string>();
  const dials = createTurns(DIALS);
  const warnOnce = (text: string): void => {
    if (told.has(text)) return;
    if (told.size >= TOLD_MOST) told.clear();
    told.add(text);
    warn(text);
  };
  const setLocal = (state: LocalState, reason: string): void => {
    if (state === local) return;
    local = state;
    if (state === "built-in")
      warn(`no pmcd answers on localhost (${reason}): its contexts are the built-in collector's`);
  };

  /** Opens what is behind a source. Rejects with WebFault. */
  const connect = async (
    hostspec: string,
    credentials: Credentials | undefined,
  ): Promise<Opened> => {
    settings ??= settingsFrom(env, warn);
    const spec = specOf(hostspec, credentials, settings);
    const derive = (context: Context): Context =>
      withDerived(context, options.derived(), { warn: warnOnce, limit: DERIVED_MOST });
    const atHome = isLocal(hostspec);
    try {
      const connecting = { ...options.host, env, warn, settings };
      const open = () => openHostContext(spec, connecting, hostspec);
      const host = await dials.run(placeOf(hostspec), open, isNobody);
      if (atHome) {
        hadPmcd = true;
        setLocal("pmcd", "");
      }
      if (credentials !== undefined) await checkTaken(host);
      return {
        context: derive(host),
        get connected() {
          return host.connected;
        },
        isStandIn: false,
        sessions: () => host.sessions,
      };
    } catch (error) {
      const pcp = asPcpError(error);
      // Not the pmcd's fault, but ours.
      if (pcp !== error) throw error;
      const { fallback } = options;
      const isHere = atHome && NOBODY.includes(pcp.code);
      // A pmcd that has answered and is away is missed, not replaced.
      if (isHere && !hadPmcd && fallback !== undefined && credentials === undefined) {
        const context = await fallback();
        stoodIn = performance.now();
        setLocal("built-in", pcp.message);
        return { context: derive(context), connected: true, isStandIn: true, sessions: () => 1 };
      }
      if (isHere) setLocal("unreachable", pcp.message);
      throw faultOf(pcp, "cannot connect to PMCD: ");
    }
  };

  /** Whether the pmcd that a stand-in stands for is there now. */
  const isBack = async (hostspec: string): Promise<boolean> => {
    stoodIn = performance.now();
    settings ??= settingsFrom(env, warn);
    try {
      const spec = specOf(hostspec, undefined, settings);
      const host = await openHostContext(spec, { ...options.host, env, warn, settings }, hostspec);
      await host.close();
      return true;
    } catch (error) {
      return !NOBODY.includes(asPcpError(error).code);
    }
  };

  return {
    open: connect,
    isBack,
    /** The stand-in has served for a while. */
    get isStale() {
      return performance.now() - stoodIn > options.lookAgainMs();
    },
    get local() {
      return local;
    },
  };
}

/** The sources of one server; see Sources. */
export function createSources(options: SourceOptions): Sources {
  const { warn } = options;
  const opener = createOpener(options);
  const entries = new Set<Entry>();
  const shared = new Map<string, Entry | Promise<Entry>>();
  const perHost = new Map<string, number>();
  let taken = 0;
  let closed = false;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const give = (hostspec: string): void => {
    taken -= 1;
    const place = placeOf(hostspec);
    const left = (perHost.get(place) ?? 1) - 1;
    if (left > 0) perHost.set(place, left);
    else perHost.delete(place);
  };
  const take = (hostspec: string): void => {
    const most = options.perHost();
    const place = placeOf(hostspec);
    if ((perHost.get(place) ?? 0) >= most || !options.hasRoom()) dropIdle(0);
    const here = perHost.get(place) ?? 0;
    if (here >= most) throw busy(`too many connections to one host: ${most}`);
    if (!options.hasRoom()) throw busy("too many open files for another connection");
    taken += 1;
    perHost.set(place, here + 1);
  };
  const open = async (
    hostspec: string,
    credentials: Credentials | undefined,
    key: string,
  ): Promise<Entry> => {
    if (closed) throw busy("the server is stopping");
    take(hostspec);
    let opened;
    try {
      opened = await opener.open(hostspec, credentials);
    } catch (error) {
      give(hostspec);
      throw error;
    }
    const { context, sessions, isStandIn } = opened;
    if (closed) {
      give(hostspec);
      await context.close();
      throw busy("the server is stopping");
    }
    const entry: Entry = {
      context,
      metadata: createMetadata(context, sessions),
      joints: new Map(),
      get connected() {
        return opened.connected;
      },
      get isStale() {
        return isStandIn && opener.isStale;
      },
      hostspec,
      key,
      isStandIn,
      users: 0,
      idleSince: Number.POSITIVE_INFINITY,
      reviving: undefined,
      sessions,
      lossTold: 0,
    };
    entries.add(entry);
    return entry;
  };

  /** How many have no user. */
  const idle = (): number => entries.values().reduce((sum, { users }) => sum + +(users === 0), 0);
  /** Closes those that nobody has used for a while; all of them when there is need. */
  const dropIdle = (older: number): void => {
    const before = performance.now() - older;
    for (const entry of entries)
      if (entry.users === 0 && (entry.idleSince <= before || !entry.connected)) drop(entry);
  };
  const look = (): void => {
    timer ??= setTimeout(() => {
      timer = undefined;
      dropIdle(LINGER_MS);
      if (idle() > 0) look();
    }, LINGER_MS / 4);
    timer.unref();
  };

  const drop = (entry: Entry): void => {
    if (!entries.delete(entry)) return;
    if (shared.get(entry.key) === entry) shared.delete(entry.key);
    give(entry.hostspec);
    // Its connection is over in any case; there is nobody to tell.
    entry.context.close().catch((error: unknown) => warn(String(error)));
  };

  const used = (entry: Entry): Entry => {
    entry.users += 1;
    entry.idleSince = Number.POSITIVE_INFINITY;
    return entry;
  };

  const release = (source: Source): void => {
    const entry = source as Entry;
    entry.users -= 1;
    if (entry.users > 0) return;
    // Who scrapes once a minute is to find what was asked for the last time.
    const { key, connected, isStandIn } = entry;
    const lingers = isAnybodys(key) && shared.get(key) === entry && connected && !isStandIn;
    if (lingers && !closed && idle() < LINGER_MOST) {
      entry.idleSince = performance.now();
      look();
    } else drop(entry);
  };

  /** Opens the one that is shared from then on. */
  const openShared = (
    hostspec: string,
    credentials: Credentials | undefined,
    key: string,
  ): Promise<Entry> => {
    const opening = open(hostspec, credentials, key).then(
      (entry) => {
        shared.set(key, entry);
        return entry;
      },
      (error: unknown) => {
        shared.delete(key);
        throw error;
      },
    );
    shared.set(key, opening);
    return opening;
  };

  return {
    shared(hostspec, credentials) {
      const key = keyOf(hostspec, credentials);
      const now = shared.get(key);
      if (now instanceof Promise) return now.then(used);
      // One that has lost its pmcd is left to those who have it.
      if (now === undefined || !now.connected)
        return openShared(hostspec, credentials, key).then(used);
      if (!now.isStale) return used(now);
      used(now);
      return opener.isBack(hostspec).then((back) => {
        if (!back) return now;
        release(now);
        return openShared(hostspec, credentials, key).then(used);
      });
    },
    alone: async (hostspec, credentials) => used(await open(hostspec, credentials, "")),
    release,
    async revive(source) {
      const entry = source as Entry;
      entry.reviving ??= entry.context.reconnect().finally(() => {
        entry.reviving = undefined;
      });
      try {
        await entry.reviving;
      } catch (error) {
        // The first request after a loss fails as it does on a connection that is closed.
        const sessions = entry.sessions();
        if (entry.lossTold === sessions)
          throw faultOf(asPcpError(error), "cannot reconnect context: ");
        entry.lossTold = sessions;
        // Nothing of another connection will be believed anyway.
        entry.metadata.forget();
      }
    },
    get open() {
      return taken;
    },
    get local() {
      return opener.local;
    },
    close() {
      closed = true;
      clearTimeout(timer);
      for (const entry of entries) drop(entry);
    },
  };
}
