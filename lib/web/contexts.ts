// The contexts that requests use (spec webapi.md 2.9, 4): numbers, credentials, life times, bounds.
// Requests that name no context share one for each host specification and credentials. Refuses with
// 503 above its bounds, with the texts of spec webapi.md 4 for contexts that there are not.
import { asPcpError, PM_ERR, type PcpError } from "../base/mod.ts";
import { type Context, type HostContext, openHostContext, withDerived } from "../context/mod.ts";
import type { DerivedSet } from "../derived/mod.ts";
import { hostAttribute, parseHostSpec, PCP_ATTR } from "../pcp/mod.ts";
import {
  type ConnectionSettings,
  connectionSettings,
  type ConnectOptions,
  type Environment,
} from "../pdu/mod.ts";
import { faultOf, WebFault } from "./fault.ts";
import { createMetadata, type Metadata } from "./metadata.ts";
import { unsignedOf } from "./parameters.ts";

/** Bounds of the contexts. */
export interface ContextLimits {
  /** Contexts at the same time, each a connection to a pmcd. */
  readonly contexts: number;
  /** Of these, over one host specification. */
  readonly contextsPerHost: number;
  /** Requests at the same time on one context: one is served, the others wait. */
  readonly requestsPerContext: number;
  /** Longest polltimeout that counts, milliseconds. */
  readonly pollTimeoutMs: number;
}

export const DEFAULT_CONTEXT_LIMITS: ContextLimits = {
  contexts: 4096,
  contextsPerHost: 512,
  requestsPerContext: 128,
  pollTimeoutMs: 24 * 3600 * 1000,
};

/** What contexts are opened with. */
export interface ContextOptions {
  readonly env: Environment;
  readonly warn: (text: string) => void;
  readonly limits: ContextLimits;
  /** Global derived metrics, for all contexts. */
  readonly derived: () => DerivedSet;
  readonly host: ConnectOptions;
  /** False when the process has no descriptor left for another connection. */
  readonly hasRoom: () => boolean;
}

/** A name and a password, as a request brings them. */
export interface Credentials {
  readonly user: string;
  readonly password: string;
}

/** What a request says about the context that it wants. */
export interface ContextRequest {
  /** As written; undefined: none is named. */
  readonly id: string | undefined;
  readonly hostspec: string;
  readonly timeoutMs: number;
  readonly credentials: Credentials | undefined;
  /** A context of its own in place of the shared one. */
  readonly isOwn: boolean;
}

/** A context while it is open. */
export interface WebContext {
  readonly id: number;
  readonly context: Context;
  readonly host: HostContext;
  readonly metadata: Metadata;
  readonly lane: FetchLane;
}

/** The fetches of one context that may be shared: the last of them, while it is not over. */
export interface FetchLane {
  busy: Promise<void> | undefined;
}

/** The contexts of one server. */
export interface ContextPool {
  /**
   * Does `work` with the context that a request wants. Rejects with WebFault. Whoever changes the
   * context calls `own` before: it is not shared from then on.
   */
  use<T>(request: ContextRequest, work: (context: WebContext) => Promise<T>): Promise<T>;
  own(context: WebContext): void;
  /** Contexts that are there or being opened: a descriptor each. */
  readonly open: number;
  close(): Promise<void>;
}

/** How often contexts that are past their time are closed, milliseconds (spec webapi.md 4). */
const COLLECT_MS = 2_000;
const MAX_ID = 0x7fffffff;

interface Entry extends WebContext {
  readonly key: string;
  readonly hostspec: string;
  readonly credentials: Credentials | undefined;
  timeoutMs: number;
  /** On the clock of performance.now(). */
  deadline: number;
  /** Requests under way. */
  active: number;
  /** While it connects again, for all requests at once. */
  reconnecting: Promise<void> | undefined;
}

const keyOf = (hostspec: string, credentials: Credentials | undefined): string =>
  credentials === undefined
    ? `@${hostspec}`
    : JSON.stringify([hostspec, credentials.user, credentials.password]);

const busy = (reason: string): WebFault => new WebFault(503, reason);

/** Opens a context. Rejects with WebFault, its texts those of spec webapi.md 4. */
async function openContext(
  hostspec: string,
  credentials: Credentials | undefined,
  settings: ConnectionSettings,
  { env, warn, derived, host }: ContextOptions,
): Promise<{ host: HostContext; context: Context }> {
  const refused = (error: unknown, prefix: string): WebFault => {
    const pcp: PcpError = asPcpError(error);
    if (prefix === "" && pcp.code === PM_ERR.GENERIC) return new WebFault(400, pcp.message);
    return faultOf(pcp, prefix);
  };
  let spec;
  try {
    spec = parseHostSpec(hostspec, settings.defaultSocket);
  } catch (error) {
    throw refused(error, "");
  }
  if (hostAttribute(spec, PCP_ATTR.USERNAME) !== undefined)
    throw new WebFault(401, "authentication required");
  if (credentials !== undefined) {
    const attributes = [
      ...spec.attributes,
      { code: PCP_ATTR.USERNAME, value: credentials.user },
      { code: PCP_ATTR.PASSWORD, value: credentials.password },
    ];
    spec = { ...spec, attributes };
  }
  try {
    const source = await openHostContext(spec, { ...host, env, warn, settings }, hostspec);
    return { host: source, context: withDerived(source, derived(), { warn }) };
  } catch (error) {
    throw refused(error, "cannot connect to PMCD: ");
  }
}

/** Connects a context again; rejects with WebFault. */
async function reconnect(entry: Entry): Promise<void> {
  entry.reconnecting ??= entry.context.reconnect().finally(() => {
    entry.reconnecting = undefined;
  });
  try {
    await entry.reconnecting;
  } catch (error) {
    throw faultOf(asPcpError(error), "cannot reconnect context: ");
  }
}

/** How long pmcd may take for a reply: clients such as Grafana wait 6 s. */
const REQUEST_MS = 5_000;

/** What the environment says, and a shorter time limit where it does not say one. */
function settingsFrom(env: Environment, warn: (text: string) => void): ConnectionSettings {
  const settings = connectionSettings(env, warn);
  const isSet = (env["PMCD_REQUEST_TIMEOUT"] ?? "") !== "";
  return isSet ? settings : { ...settings, requestTimeout: REQUEST_MS };
}

/** The number that a text names (spec webapi.md 4); throws WebFault for a text that is none. */
function identifier(text: string): number {
  const { value, whole } = unsignedOf(text);
  if (!whole) throw new WebFault(400, `invalid context identifier: ${text}`);
  return Number(BigInt.asUintN(32, value));
}

export function createContextPool(options: ContextOptions): ContextPool {
  const { limits } = options;
  const entries = new Map<number, Entry>();
  /** By key: the one that is shared, and the promise of one that is being opened. */
  const sharedNow = new Map<string, Entry>();
  const shared = new Map<string, Promise<Entry>>();
  const perHost = new Map<string, number>();
  /** Contexts that are there or being opened. */
  let taken = 0;
  let closed = false;
  let timer: ReturnType<typeof setInterval> | undefined;
  let settings: ConnectionSettings | undefined;

  const give = (hostspec: string): void => {
    taken -= 1;
    const left = (perHost.get(hostspec) ?? 1) - 1;
    if (left > 0) perHost.set(hostspec, left);
    else perHost.delete(hostspec);
  };
  const take = (hostspec: string): void => {
    const here = perHost.get(hostspec) ?? 0;
    if (taken >= limits.contexts) throw busy(`too many contexts: ${limits.contexts}`);
    if (here >= limits.contextsPerHost)
      throw busy(`too many contexts for one host: ${limits.contextsPerHost}`);
    if (!options.hasRoom()) throw busy("too many open files for another context");
    taken += 1;
    perHost.set(hostspec, here + 1);
  };

  const own = ({ id }: WebContext): void => {
    const entry = entries.get(id);
    if (entry === undefined) return;
    // Whatever is shared under this key now may be another one.
    if (sharedNow.get(entry.key) === entry) {
      sharedNow.delete(entry.key);
      shared.delete(entry.key);
    }
  };

  const drop = (entry: Entry): void => {
    own(entry);
    if (!entries.delete(entry.id)) return;
    give(entry.hostspec);
    // Its connection is over in any case; there is nobody to tell.
    entry.context.close().catch((error: unknown) => options.warn(String(error)));
  };
  const collect = (): void => {
    const now = performance.now();
    for (const entry of entries.values())
      if (entry.active === 0 && entry.deadline <= now) drop(entry);
    if (entries.size === 0) {
      clearInterval(timer);
      timer = undefined;
    }
  };

  const freshId = (): number => {
    const word = new Uint32Array(1);
    for (;;) {
      const id = (crypto.getRandomValues(word)[0] ?? 0) & MAX_ID;
      if (id !== 0 && !entries.has(id)) return id;
    }
  };

  const make = async (request: ContextRequest): Promise<Entry> => {
    const { hostspec, credentials, timeoutMs } = request;
    if (closed) throw busy("the server is stopping");
    take(hostspec);
    let opened;
    try {
      settings ??= settingsFrom(options.env, options.warn);
      opened = await openContext(hostspec, credentials, settings, options);
    } catch (error) {
      give(hostspec);
      throw error;
    }
    const { context, host } = opened;
    if (closed) {
      give(hostspec);
      await context.close();
      throw busy("the server is stopping");
    }
    const entry: Entry = {
      id: freshId(),
      key: keyOf(hostspec, credentials),
      hostspec,
      credentials,
      context,
      host,
      metadata: createMetadata(context, () => host.sessions),
      lane: { busy: undefined },
      timeoutMs,
      deadline: performance.now() + timeoutMs,
      active: 0,
      reconnecting: undefined,
    };
    entries.set(entry.id, entry);
    timer ??= setInterval(collect, COLLECT_MS);
    timer.unref();
    return entry;
  };

  const unnamed = async (request: ContextRequest): Promise<Entry> => {
    if (request.isOwn) return make(request);
    const key = keyOf(request.hostspec, request.credentials);
    const now = sharedNow.get(key);
    if (now !== undefined) {
      const isGood = now.host.connected && (now.active > 0 || now.deadline > performance.now());
      if (isGood) return now;
      own(now);
    }
    const waiting = shared.get(key);
    if (waiting !== undefined) return waiting;
    const opening = make(request).then(
      (entry) => {
        sharedNow.set(key, entry);
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

  const named = (text: string, credentials: Credentials | undefined): Entry => {
    const id = identifier(text);
    const entry = entries.get(id);
    if (entry === undefined) throw new WebFault(400, `unknown context identifier: ${id}`);
    if (entry.active === 0 && entry.deadline <= performance.now())
      throw new WebFault(400, `expired context identifier: ${id}`);
    const { credentials: wanted } = entry;
    if (wanted !== undefined && credentials === undefined)
      throw new WebFault(401, "authentication required");
    if (
      wanted !== undefined &&
      (wanted.user !== credentials?.user || wanted.password !== credentials.password)
    )
      throw new WebFault(403, "authentication failed");
    return entry;
  };

  return {
    async use(request, work) {
      if (closed) throw busy("the server is stopping");
      const { id, credentials, timeoutMs } = request;
      const entry = id === undefined ? await unnamed(request) : named(id, credentials);
      if (entry.active >= limits.requestsPerContext)
        throw busy(`too many requests for one context: ${limits.requestsPerContext}`);
      entry.active += 1;
      if (id === undefined && timeoutMs > entry.timeoutMs) entry.timeoutMs = timeoutMs;
      try {
        if (!entry.host.connected) await reconnect(entry);
        return await work(entry);
      } finally {
        entry.active -= 1;
        entry.deadline = performance.now() + entry.timeoutMs;
      }
    },
    own,
    get open() {
      return taken;
    },
    async close() {
      closed = true;
      clearInterval(timer);
      timer = undefined;
      for (const entry of entries.values()) drop(entry);
    },
  };
}
