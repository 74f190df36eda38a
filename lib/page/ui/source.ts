// One host, as the page sees it: its context on the server, the fetch each interval for all charts of
// the host, what is known of its metrics. A lost context is opened anew at once; whatever else fails is
// tried again, more and more slowly, and told meanwhile. Knows nothing of elements.
import { ask, type Credentials, RestFault, urlOf, type Query } from "./rest.ts";
import {
  fieldsOf,
  type Fetched,
  listOf,
  type Metric,
  readFetched,
  readMetric,
  textOf,
} from "./types.ts";

/** How a host is. */
export type SourceState =
  | { readonly kind: "opening" }
  /** Milliseconds that the last reply took. */
  | { readonly kind: "up"; readonly tookMs: number }
  | {
      readonly kind: "down";
      readonly message: string;
      /** Name and password are wanted. */
      readonly wantsCredentials: boolean;
      /** On the clock of Date.now(). */
      readonly retryAt: number;
      readonly since: number;
    };

/** A context that is open. */
export interface ContextFacts {
  readonly id: number;
  /** The host's own name. */
  readonly hostName: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** What happens to a source. */
export interface SourceEvents {
  /** `state` or `context` are others. */
  changed(source: Source): void;
  /** A fetch has brought values; undefined: it failed, and there is a gap. */
  fetched(source: Source, fetched: Fetched | undefined): void;
}

/** Children of a name. */
export interface Children {
  readonly leaves: readonly string[];
  readonly branches: readonly string[];
}

export interface Source {
  /** The host specification. */
  readonly host: string;
  readonly state: SourceState;
  readonly context: ContextFacts | undefined;
  /** Time of the first fetch for charts, on the host's clock. */
  readonly since: number | undefined;
  /** Credentials are sent with each request from here on. */
  signIn(credentials: Credentials): void;
  /** Names that each fetch asks for. */
  watch(names: readonly string[]): void;
  every(seconds: number): void;
  /** Tries at once. */
  retry(): void;
  /** Rejects with RestFault, also when there is no such metric. Kept. */
  metric(name: string): Promise<Metric>;
  /** Names of instances by number. Not kept. */
  instances(metric: string): Promise<ReadonlyMap<number, string>>;
  children(prefix: string): Promise<Children>;
  /** Values of metrics once, whatever is watched. */
  values(names: readonly string[]): Promise<Fetched>;
  /** All metrics. Kept. */
  catalogue(): Promise<readonly Metric[]>;
  /** The URL of a request that opens by itself, in another tab. */
  link(name: string, query: Query): string;
  close(): void;
}

/** Asked for once in a while where there are no charts: it tells how the host is. */
const PULSE = "pmcd.version";
const PULSE_SECONDS = 5;
/** Seconds between attempts: doubled each time. */
const RETRY_FIRST = 1;
const RETRY_MOST = 30;
/** The whole name space may be large. */
const CATALOGUE_MS = 30_000;
/** Characters of names in one request; a URL has 8,000. */
const NAMES_MAX = 6_000;

/** Lists of names that fit a request each. */
export function batches(names: readonly string[]): readonly string[] {
  const made: string[] = [];
  for (const name of names) {
    const last = made.at(-1);
    if (last === undefined || last.length + name.length + 1 > NAMES_MAX) made.push(name);
    else made[made.length - 1] = `${last},${name}`;
  }
  return made;
}

const isFault = (error: unknown): RestFault =>
  error instanceof RestFault ? error : new RestFault("server", String(error));

/** Opens a source; it works until it is closed. */
export function createSource(host: string, events: SourceEvents): Source {
  let state: SourceState = { kind: "opening" };
  let context: ContextFacts | undefined;
  let credentials: Credentials | undefined;
  let opening: Promise<ContextFacts> | undefined;
  let watched: readonly string[] = [];
  let seconds = 1;
  let attempts = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isClosed = false;
  let isBusy = false;
  /** Something is watched that the last fetch did not ask for. */
  let hasMore = false;
  const metrics = new Map<string, Promise<Metric>>();
  let all: Promise<readonly Metric[]> | undefined;
  let since: number | undefined;

  const tell = (next: SourceState): void => {
    state = next;
    if (!isClosed) events.changed(source);
  };

  const open = async (): Promise<ContextFacts> => {
    // Long enough for the timers of a page in the background, which browsers let run once a minute.
    const query = { hostspec: host, polltimeout: Math.max(90, 3 * seconds) };
    const reply = fieldsOf(await ask(urlOf("/pmapi/context", query), { credentials }));
    const labels: Record<string, string> = {};
    for (const [key, value] of Object.entries(fieldsOf(reply["labels"])))
      labels[key] = String(value);
    context = { id: Number(reply["context"]), hostName: textOf(reply["hostspec"]), labels };
    // Another pmcd may be there now.
    metrics.clear();
    all = undefined;
    return context;
  };
  const current = (): Promise<ContextFacts> => {
    if (context !== undefined) return Promise.resolve(context);
    opening ??= open().finally(() => {
      opening = undefined;
    });
    return opening;
  };

  /** Asks on the context, once more on a new one where the server has forgotten it. */
  const request = async (name: string, query: Query, timeoutMs?: number): Promise<unknown> => {
    const options = { credentials, ...(timeoutMs === undefined ? {} : { timeoutMs }) };
    const used = await current();
    try {
      return await ask(urlOf(`/pmapi/${name}`, { context: used.id, ...query }), options);
    } catch (error) {
      if (!(error instanceof RestFault) || error.kind !== "context") throw error;
      if (context === used) context = undefined;
      const fresh = await current();
      return ask(urlOf(`/pmapi/${name}`, { context: fresh.id, ...query }), options);
    }
  };

  const values = async (names: readonly string[]): Promise<Fetched> => {
    const parts: Fetched[] = [];
    for (const list of batches(names)) {
      const part = readFetched(await request("fetch", { names: list }));
      if (part === undefined) throw new RestFault("server", "the proxy's reply has no time");
      parts.push(part);
    }
    return { time: parts[0]?.time ?? 0, sets: parts.flatMap((part) => part.sets) };
  };

  const schedule = (ms: number): void => {
    clearTimeout(timer);
    if (!isClosed) timer = setTimeout(() => void beat(), ms);
  };

  const beat = async (): Promise<void> => {
    // A slow reply does not pile up requests: the next one waits for it.
    if (isBusy) return;
    isBusy = true;
    const started = performance.now();
    const isPulse = watched.length === 0;
    hasMore = false;
    try {
      const fetched = await values(isPulse ? [PULSE] : watched);
      if (isClosed) return;
      attempts = 0;
      if (!isPulse) since ??= fetched.time;
      const took = performance.now() - started;
      tell({ kind: "up", tookMs: took });
      events.fetched(source, fetched);
      const period = 1000 * (isPulse ? PULSE_SECONDS : seconds);
      schedule(hasMore ? 0 : Math.max(0, period - took));
    } catch (error) {
      if (isClosed) return;
      const fault = isFault(error);
      const delay = 1000 * Math.min(RETRY_MOST, RETRY_FIRST * 2 ** Math.min(attempts, 10));
      attempts += 1;
      tell({
        kind: "down",
        message: fault.message,
        wantsCredentials: fault.kind === "credentials",
        retryAt: Date.now() + delay,
        since: state.kind === "down" ? state.since : Date.now(),
      });
      events.fetched(source, undefined);
      schedule(delay);
    } finally {
      isBusy = false;
    }
  };

  const findMetric = async (name: string): Promise<Metric> => {
    const reply = fieldsOf(await request("metric", { names: name }));
    const metric = listOf(reply["metrics"])
      .map(readMetric)
      .find((each) => each?.name === name);
    if (metric === undefined) throw new RestFault("refused", `${name} is no metric of this host`);
    return metric;
  };

  const source: Source = {
    host,
    get state() {
      return state;
    },
    get context() {
      return context;
    },
    get since() {
      return since;
    },
    signIn(given) {
      credentials = given;
      context = undefined;
      source.retry();
    },
    watch(names) {
      const isMore = names.some((name) => !watched.includes(name));
      watched = [...new Set(names)];
      hasMore ||= isMore;
      if (isMore && state.kind === "up") schedule(0);
    },
    every(next) {
      if (next === seconds) return;
      seconds = next;
      if (state.kind === "up") schedule(0);
    },
    retry() {
      attempts = 0;
      schedule(0);
    },
    metric(name) {
      const known = metrics.get(name);
      if (known !== undefined) return known;
      const asked = findMetric(name);
      metrics.set(name, asked);
      asked.catch(() => metrics.delete(name));
      return asked;
    },
    async instances(metric) {
      const reply = fieldsOf(await request("indom", { name: metric }));
      const entries = listOf(reply["instances"]).map(fieldsOf);
      return new Map(entries.map((entry) => [Number(entry["instance"]), textOf(entry["name"])]));
    },
    async children(prefix) {
      const reply = fieldsOf(await request("children", prefix === "" ? {} : { prefix }));
      return {
        leaves: listOf(reply["leaf"]).map(textOf),
        branches: listOf(reply["nonleaf"]).map(textOf),
      };
    },
    values,
    catalogue() {
      if (all !== undefined) return all;
      const asked = request("metric", {}, CATALOGUE_MS).then((reply) =>
        listOf(fieldsOf(reply)["metrics"])
          .map(readMetric)
          .filter((metric) => metric !== undefined),
      );
      all = asked;
      asked.catch(() => {
        if (all === asked) all = undefined;
      });
      return asked;
    },
    link: (name, query) =>
      urlOf(`/pmapi/${name}`, { ...query, hostspec: host === "localhost" ? undefined : host }),
    close() {
      isClosed = true;
      clearTimeout(timer);
    },
  };
  schedule(0);
  return source;
}
