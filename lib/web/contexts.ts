// The contexts that requests use (spec webapi.md 2.9, 4): numbers, credentials, life times, bounds.
// Requests that name no context share one for each host specification and credentials. What a context
// reads from is a source (sources.ts), which unchanged contexts share. Refuses with 503 above its
// bounds, with the texts of spec webapi.md 4 for contexts that there are not.
import type { Context } from "../context/mod.ts";
import { WebFault } from "./fault.ts";
import type { Joints } from "./join.ts";
import type { Metadata } from "./metadata.ts";
import { unsignedOf } from "./parameters.ts";
import {
  busy,
  createSources,
  type Credentials,
  keyOf,
  type LocalState,
  type Source,
  type SourceOptions,
} from "./sources.ts";

/** Bounds of the contexts. */
export interface ContextLimits {
  /** Contexts at the same time. */
  readonly contexts: number;
  /** Connections to one host, whatever the attributes of its specification say. */
  readonly connectionsPerHost: number;
  /** Requests at the same time on one context: one is served, the others wait. */
  readonly requestsPerContext: number;
  /** Life of a context without requests where they do not say, milliseconds. */
  readonly timeoutMs: number;
  /** Longest polltimeout that counts, milliseconds. */
  readonly pollTimeoutMs: number;
  /** Time between two looks for contexts that are past theirs, milliseconds (spec webapi.md 4). */
  readonly workMs: number;
  /** Metrics of one request to pmcd where whole subtrees are told. */
  readonly batchSize: number;
}

export const DEFAULT_CONTEXT_LIMITS: ContextLimits = {
  contexts: 4096,
  connectionsPerHost: 512,
  requestsPerContext: 128,
  timeoutMs: 5_000,
  pollTimeoutMs: 24 * 3600 * 1000,
  workMs: 2_000,
  batchSize: 256,
};

/** What contexts are opened with. */
export interface ContextOptions extends Omit<SourceOptions, "perHost" | "lookAgainMs"> {
  /** Asked for each time: a new configuration may have changed them. */
  readonly limits: () => ContextLimits;
}

/** What a request says about the context that it wants. */
export interface ContextRequest {
  /** As written; undefined: none is named. */
  readonly id: string | undefined;
  readonly hostspec: string;
  readonly timeoutMs: number;
  readonly credentials: Credentials | undefined;
  /**
   * "shared": any context will do; "fresh": one of its own where none is named; "changed": the same, and
   * what it reads from belongs to it alone from then on; "stored": the same, but where none is named one
   * that is shared with others that store.
   */
  readonly use: "shared" | "fresh" | "changed" | "stored";
}

/** A context while it is open. */
export interface WebContext {
  readonly id: number;
  readonly context: Context;
  readonly metadata: Metadata;
  readonly joints: Joints;
}

/** The contexts of one server. */
export interface ContextPool {
  /**
   * The context that a request wants, at once where that is there. `leave` is to be called when the request
   * is over. Throws, or rejects with, WebFault.
   */
  enter(request: ContextRequest): WebContext | Promise<WebContext>;
  leave(context: WebContext): void;
  /** Contexts that are there or being opened. */
  readonly contexts: number;
  /** Connections to pmcds that are there or being opened: a descriptor each. */
  readonly connections: number;
  readonly local: LocalState;
  close(): Promise<void>;
}

const MAX_ID = 0x7fffffff;

interface Entry extends WebContext {
  readonly key: string;
  readonly hostspec: string;
  readonly credentials: Credentials | undefined;
  source: Source;
  /** The one before, which requests under way may still use. */
  former: Source | undefined;
  /** Its source is its own. */
  isAlone: boolean;
  /** While it gets a source of its own. */
  isolating: Promise<void> | undefined;
  timeoutMs: number;
  /** On the clock of performance.now(). */
  deadline: number;
  /** Requests under way. */
  active: number;
}

/** Whether the source of a context must be its own after this. */
const isChange = ({ use }: ContextRequest): boolean => use === "changed" || use === "stored";

/** Of which kind and for whom a context is that requests without one share. */
const sharedKey = ({ use, hostspec, credentials }: ContextRequest): string =>
  `${use} ${keyOf(hostspec, credentials)}`;

/** The number that a text names (spec webapi.md 4); throws WebFault for a text that is none. */
function identifier(text: string): number {
  const { value, whole } = unsignedOf(text);
  if (!whole) throw new WebFault(400, `invalid context identifier: ${text}`);
  return Number(BigInt.asUintN(32, value));
}

export function createContextPool(options: ContextOptions): ContextPool {
  const sources = createSources({
    ...options,
    perHost: () => options.limits().connectionsPerHost,
    lookAgainMs: () => options.limits().workMs,
  });
  const entries = new Map<number, Entry>();
  /** By key: the one that is shared, and the promise of one that is being opened. */
  const sharedNow = new Map<string, Entry>();
  const opening = new Map<string, Promise<Entry>>();
  /** Contexts that are there or being opened. */
  let taken = 0;
  let closed = false;
  let timer: ReturnType<typeof setTimeout> | undefined;

  /** Is shared no more with requests that name no context. */
  const own = (entry: Entry): void => {
    // Whatever is shared under this key now may be another one.
    if (sharedNow.get(entry.key) === entry) sharedNow.delete(entry.key);
  };
  const releaseFormer = (entry: Entry): void => {
    const { former } = entry;
    entry.former = undefined;
    if (former !== undefined) sources.release(former);
  };
  const drop = (entry: Entry): void => {
    own(entry);
    if (!entries.delete(entry.id)) return;
    taken -= 1;
    releaseFormer(entry);
    sources.release(entry.source);
  };
  const collect = (): void => {
    const now = performance.now();
    for (const entry of entries.values())
      if (entry.active === 0 && entry.deadline <= now) drop(entry);
    timer = undefined;
    if (entries.size > 0) look();
  };
  const look = (): void => {
    timer ??= setTimeout(collect, options.limits().workMs);
    timer.unref();
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
    const { contexts } = options.limits();
    if (taken >= contexts) throw busy(`too many contexts: ${contexts}`);
    taken += 1;
    const isAlone = isChange(request);
    let source: Source;
    try {
      source = await (isAlone
        ? sources.alone(hostspec, credentials)
        : sources.shared(hostspec, credentials));
    } catch (error) {
      taken -= 1;
      throw error;
    }
    if (closed) {
      taken -= 1;
      throw busy("the server is stopping");
    }
    const entry: Entry = {
      id: freshId(),
      key: sharedKey(request),
      hostspec,
      credentials,
      get context() {
        return entry.source.context;
      },
      get metadata() {
        return entry.source.metadata;
      },
      get joints() {
        return entry.source.joints;
      },
      source,
      former: undefined,
      isAlone,
      isolating: undefined,
      timeoutMs,
      deadline: performance.now() + timeoutMs,
      active: 0,
    };
    entries.set(entry.id, entry);
    look();
    return entry;
  };

  /** The shared context over a stand-in, or one over the pmcd that is back. */
  const renewed = async (entry: Entry, request: ContextRequest): Promise<Entry> => {
    const source = await sources.shared(entry.hostspec, entry.credentials);
    if (source !== entry.source) own(entry);
    sources.release(source);
    return unnamed(request);
  };

  const unnamed = (request: ContextRequest): Entry | Promise<Entry> => {
    if (request.use === "fresh" || request.use === "changed") return make(request);
    const key = sharedKey(request);
    const now = sharedNow.get(key);
    if (now !== undefined) {
      const isGood = now.source.connected && (now.active > 0 || now.deadline > performance.now());
      if (isGood && !now.source.isStale) return now;
      if (isGood) return renewed(now, request);
      own(now);
    }
    const waiting = opening.get(key);
    if (waiting !== undefined) return waiting;
    const work = make(request)
      .then((entry) => {
        sharedNow.set(key, entry);
        return entry;
      })
      .finally(() => opening.delete(key));
    opening.set(key, work);
    return work;
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

  /** Gives a context a source of its own. Rejects with WebFault. */
  const isolate = async (entry: Entry): Promise<void> => {
    own(entry);
    entry.isolating ??= sources
      .alone(entry.hostspec, entry.credentials)
      .then((source) => {
        if (!entries.has(entry.id)) {
          sources.release(source);
          throw busy("the server is stopping");
        }
        entry.former = entry.source;
        entry.source = source;
        entry.isAlone = true;
      })
      .finally(() => {
        entry.isolating = undefined;
      });
    await entry.isolating;
  };

  const leave = (context: WebContext): void => {
    const entry = context as Entry;
    entry.active -= 1;
    if (entry.active === 0) releaseFormer(entry);
    entry.deadline = performance.now() + entry.timeoutMs;
  };

  /** What has to happen before the context of a request can be used; undefined: nothing. */
  const preparation = (entry: Entry, request: ContextRequest): Promise<void> | undefined => {
    if (isChange(request) && !entry.isAlone) return isolate(entry);
    return entry.source.connected ? undefined : sources.revive(entry.source);
  };

  const begin = (entry: Entry, request: ContextRequest): Entry | Promise<Entry> => {
    const most = options.limits().requestsPerContext;
    if (entry.active >= most) throw busy(`too many requests for one context: ${most}`);
    entry.active += 1;
    if (request.id === undefined && request.timeoutMs > entry.timeoutMs)
      entry.timeoutMs = request.timeoutMs;
    const first = preparation(entry, request);
    if (first === undefined) return entry;
    return first.then(
      () => entry,
      (error: unknown) => {
        leave(entry);
        throw error;
      },
    );
  };

  return {
    enter(request) {
      if (closed) throw busy("the server is stopping");
      const { id, credentials } = request;
      const entry = id === undefined ? unnamed(request) : named(id, credentials);
      return entry instanceof Promise
        ? entry.then((ready) => begin(ready, request))
        : begin(entry, request);
    },
    leave,
    get contexts() {
      return taken;
    },
    get connections() {
      return sources.open;
    },
    get local() {
      return sources.local;
    },
    async close() {
      closed = true;
      clearTimeout(timer);
      timer = undefined;
      for (const entry of entries.values()) drop(entry);
      sources.close();
    },
  };
}
