// Time series ready for use: the store, the index and the way to load, over a key server or over a catalogue
// of archives. A key server need not be there when it is opened; what is asked meanwhile is refused with the
// reason. Refused: a catalogue file that cannot be written, a second load while one runs.
import { PM_ERR, PcpError } from "../base/mod.ts";
import { now, type Zone } from "../pcp/mod.ts";
import { type Catalogue, openCatalogue } from "./catalogue.ts";
import { type CatalogueLoad, loadCatalogue } from "./catalogue-load.ts";
import { embeddedStore } from "./embedded.ts";
import { keyStore } from "./key-store.ts";
import { type KeyServer, type KeyServerOptions, useKeyServer } from "./keys.ts";
import { loadArchive } from "./load.ts";
import { parseLoad } from "./load-request.ts";
import { SeriesProblem } from "./problem.ts";
import { embeddedSearch } from "./search-embedded.ts";
import { keySearch } from "./search-key.ts";
import type { SearchIndex } from "./search.ts";
import type { LoadReport, SeriesService } from "./service.ts";

/** What may change while a service is open. */
export interface SeriesUse {
  /** Entries of a map that are looked at in one step (`cursor.count`). */
  readonly cursorCount?: number;
  /** Entries that a stream keeps, about (`stream.maxlen`). */
  readonly streamLength?: number;
  /** Seconds that a stream lives without new entries (`stream.expire`). */
  readonly streamSeconds?: number;
  /** Patterns of metrics that are not loaded (`discover.exclude.metrics`). */
  readonly excludeMetrics?: readonly string[];
}

/** How a service is opened, whatever is behind it. */
export interface OpenSeriesOptions {
  /** Whether there is to be an index of texts. */
  readonly search: boolean;
  /** Asked at each use. */
  readonly use?: () => SeriesUse;
  /** Only metadata are loaded. */
  readonly metadataOnly?: boolean;
  /** Takes what an operator should know, a line each. */
  readonly log?: (level: "info" | "warning", text: string) => void;
  /** Times in load expressions are read in it. */
  readonly zone: Zone;
}

/** A service over a key server. */
export interface KeySeriesService extends SeriesService {
  readonly kind: "keys";
  readonly server: KeyServer;
}

/** A service over a catalogue. */
export interface EmbeddedSeriesService extends SeriesService {
  readonly kind: "embedded";
  readonly catalogue: Catalogue;
}

/** What a second load is told while one runs (spec series.md 4.5). */
const LOAD_RUNNING = "load in-progress";
/** Longest wait for what is on its way to a key server when the service is closed. */
const CLOSE_MS = 2000;

/** One load at a time, broken off when the service is closed. */
function loads(run: (expression: string, signal: AbortSignal) => Promise<LoadReport>) {
  const closing = new AbortController();
  let running: Promise<LoadReport> | undefined;
  let done = 0;
  return {
    load: async (expression: string, signal?: AbortSignal): Promise<LoadReport> => {
      if (running !== undefined) throw new SeriesProblem(LOAD_RUNNING);
      const either =
        signal === undefined ? closing.signal : AbortSignal.any([signal, closing.signal]);
      either.throwIfAborted();
      running = run(expression, either);
      try {
        const report = await running;
        done++;
        return report;
      } finally {
        running = undefined;
      }
    },
    status: () => ({ loading: running !== undefined, loaded: done }),
    /** Ends a load that runs, and waits for its end. */
    close: async (): Promise<void> => {
      closing.abort(new PcpError(PM_ERR.NOTCONN, "the server is stopping"));
      await running?.then(
        () => undefined,
        () => undefined,
      );
    },
  };
}

/** Waits for `work`, but no longer than `ms`; what it fails with has been told before. */
const within = (work: Promise<unknown>, ms: number): Promise<unknown> => {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const limit = new Promise((resolve) => (timer = setTimeout(resolve, ms)));
  const over = work.then(
    () => undefined,
    () => undefined,
  );
  return Promise.race([over, limit]).finally(() => clearTimeout(timer));
};

/** What is logged of a key server as it comes and goes: each outage once (spec proxy.md 14). */
function connectionLog(log: NonNullable<OpenSeriesOptions["log"]>, parts: () => readonly string[]) {
  let state: "new" | "up" | "down" = "new";
  return {
    up(): void {
      state = "up";
      log("info", `Key server ${parts().join(", ")} setup`);
    },
    down(reason: string): void {
      if (state === "up") log("info", "Lost connection to key server.");
      else if (state === "new") log("info", `Cannot connect to key server: ${reason}`);
      state = "down";
    },
  };
}

/** How a key server is used. */
export interface OpenKeySeriesOptions extends OpenSeriesOptions {
  readonly server: Omit<KeyServerOptions, "onState" | "wantSearch" | "warn">;
  /** Clients of the key server are relayed, for the log. */
  readonly relays?: boolean;
}

/** Opens a service over a key server; it connects in the background, for ever. */
export function openKeySeries(options: OpenKeySeriesOptions): KeySeriesService {
  const { log = () => undefined, zone } = options;
  const use = options.use ?? ((): SeriesUse => ({}));
  const told = connectionLog(log, () => [
    "slots",
    ...(options.relays === true ? ["command keys"] : []),
    ...(index() === undefined ? [] : ["search"]),
    "schema version",
  ]);
  let closed = false;
  const server = useKeyServer({
    ...options.server,
    wantSearch: options.search,
    warn: (text) => log("warning", text),
    onState: (state) => {
      if (state.kind === "up") told.up();
      else if (!closed) told.down(state.reason);
    },
  });
  const search = keySearch(server);
  const index = (): SearchIndex | undefined => (server.hasSearch ? search : undefined);
  let cursorCount: number | undefined;
  let store = keyStore(server);
  const reasonAway = (): string | undefined =>
    server.state.kind === "down" ? server.state.reason : undefined;
  const loading = loads(async (expression, signal) => {
    const request = parseLoad(expression, { now: now(), zone });
    const reason = reasonAway();
    if (reason !== undefined)
      throw new PcpError(PM_ERR.NOTCONN, `no connection to the key server: ${reason}`);
    const { streamLength, streamSeconds, excludeMetrics } = use();
    return loadArchive(server, request, {
      now: now(),
      signal,
      warn: (text) => log("warning", text),
      ...(streamLength === undefined ? {} : { streamLength }),
      ...(streamSeconds === undefined ? {} : { streamSeconds }),
      ...(excludeMetrics === undefined ? {} : { excludeMetrics }),
      ...(options.metadataOnly === true ? { metadataOnly: true } : {}),
    });
  });
  return {
    kind: "keys",
    server,
    get store() {
      const wanted = use().cursorCount;
      if (wanted !== cursorCount) {
        cursorCount = wanted;
        store = keyStore(server, wanted === undefined ? {} : { cursorCount: wanted });
      }
      return store;
    },
    get search() {
      return index();
    },
    load: loading.load,
    status: () => {
      const { state } = server;
      const reason = reasonAway();
      return {
        store: "keys",
        servers: options.server.servers,
        connected: state.kind === "up",
        ...(reason === undefined ? {} : { reason }),
        ...(state.kind === "up" ? { version: state.version, cluster: state.cluster } : {}),
        search: index() !== undefined,
        ...loading.status(),
      };
    },
    close: async () => {
      closed = true;
      await within(loading.close(), CLOSE_MS);
      await within(server.close(), CLOSE_MS);
    },
  };
}

/** How a catalogue is used. */
export interface OpenEmbeddedSeriesOptions extends OpenSeriesOptions {
  /** File of the catalogue, or `:memory:`. */
  readonly catalogue: string;
  /** How loads are done; loadCatalogue by default, which does not give way to others. */
  readonly load?: (
    catalogue: Catalogue,
    load: CatalogueLoad,
    signal: AbortSignal,
  ) => Promise<LoadReport>;
}

/** Opens a service over a catalogue. Throws PcpError when its file cannot be used. */
export function openEmbeddedSeries(options: OpenEmbeddedSeriesOptions): EmbeddedSeriesService {
  const { zone, log, load = loadCatalogue } = options;
  const told = log === undefined ? {} : { warn: (text: string) => log("warning", text) };
  const catalogue = openCatalogue(options.catalogue, told);
  const search = options.search ? embeddedSearch(catalogue) : undefined;
  const loading = loads((expression, signal) => {
    const { path } = parseLoad(expression, { now: now(), zone });
    return load(catalogue, { path, excludeMetrics: options.use?.().excludeMetrics ?? [] }, signal);
  });
  const counts = catalogue.database.query<{ archives: number; unreadable: number }, []>(
    "SELECT count(*) AS archives, count(problem) AS unreadable FROM archive",
  );
  return {
    kind: "embedded",
    catalogue,
    store: embeddedStore(catalogue, told),
    search,
    load: loading.load,
    status: () => ({
      store: "embedded",
      catalogue: options.catalogue,
      ...catalogue.guard(() => counts.get()),
      search: search !== undefined,
      ...loading.status(),
    }),
    close: async () => {
      await loading.close();
      counts.finalize();
      catalogue.close();
    },
  };
}
