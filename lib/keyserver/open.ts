// Time series of a key server ready for use: the store, the index and the way to load. The key server need
// not be there when it is opened; what is asked meanwhile is refused with the reason.
import { PM_ERR, PcpError } from "../base/mod.ts";
import { now } from "../pcp/mod.ts";
import {
  loads,
  type OpenSeriesOptions,
  parseLoad,
  type SearchIndex,
  type SeriesService,
  type SeriesUse,
} from "../series/mod.ts";
import { type KeyServer, type KeyServerOptions, useKeyServer } from "./keys.ts";
import { loadArchive } from "./load.ts";
import { keySearch } from "./search.ts";
import { keyStore } from "./store.ts";

/** A service over a key server. */
export interface KeySeriesService extends SeriesService {
  readonly kind: "keys";
  readonly server: KeyServer;
}

/** Longest wait for what is on its way to a key server when the service is closed. */
const CLOSE_MS = 2000;

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
