// Time series as part of the proxy: the store that the settings mean, what fills it (discovery, pushed
// archives, the recorder), the requests about it, what is told of it, and the order in which all that
// ends. Files are made from `begin` on, when the process is the user that it stays. Refused at the
// start: TLS files that cannot be read.

import { realpathSync } from "node:fs";
import { type Log, PM_ERR, PcpError } from "../base/mod.ts";
import type { Context } from "../context/mod.ts";
import {
  type ArchiveSink,
  catalogueSink,
  type Discovery,
  keyFeed,
  keySink,
  loadInThread,
  startDiscovery,
} from "../discover/mod.ts";
import { localZone } from "../pcp/mod.ts";
import { createPush, type Push, type PushFeed } from "../push/mod.ts";
import type { Recorder } from "../record/mod.ts";
import { type EmbeddedSeriesService, openEmbeddedSeries } from "../catalogue/mod.ts";
import {
  COMMAND_TIMEOUT,
  type KeySeriesService,
  openKeySeries,
  type OpenKeySeriesOptions,
} from "../keyserver/mod.ts";
import {
  type Answer,
  type Authority,
  createAuthority,
  createLoggerApi,
  createSeriesApi,
  type SeriesLimits,
  type WebApi,
} from "../web/mod.ts";
import { openRecorder, recordDirectory } from "./recording.ts";
import { catalogueFile, keyServerOptions, seriesUse, storeOf } from "./series-settings.ts";
import type { ProxySettings } from "./settings.ts";
import { usableDirectory } from "./state-directory.ts";

/** Longest that the end of each part may take; what is not over then is left alone. */
const CLOSE_MS = 3_000;

type Service = EmbeddedSeriesService | KeySeriesService;
type KeyOptions = OpenKeySeriesOptions["server"];
type Environment = Readonly<Record<string, string | undefined>>;

/** What time series need of the proxy around them. */
export interface TimeSeriesParts {
  /** The settings in force. */
  readonly settings: () => ProxySettings;
  readonly log: Log;
  /** For times without a zone and for connections to the pmcd of this machine; the process's by default. */
  readonly env?: Environment;
  /** False when the process has no descriptor left for another connection. */
  readonly hasRoom?: () => boolean;
  /** Stands in for that pmcd while none answers. */
  readonly fallback?: () => Promise<Context>;
}

/** Time series of a proxy. */
export interface TimeSeries {
  /** Answers /series, /search and /logger. Its status has the members for /-/status; its close ends all. */
  readonly api: WebApi;
  /** Opens the store, and what fills it. Call it once. */
  begin(): void;
  /** After a reload: loggers that push begin their archives anew, as with pmproxy. */
  reload(): void;
}

/** Directories that are there by their real names, so that no archive has two; the others as they are. */
const realNames = (directories: readonly string[]): string[] => [
  ...new Set(
    directories.map((directory) => {
      try {
        return realpathSync(directory);
      } catch (error) {
        if (error instanceof Error && "code" in error) return directory;
        throw error;
      }
    }),
  ),
];

/** Milliseconds that a key server may be silent: it is given up while who asked can still be told. */
function answerTimeout({ limits }: ProxySettings): number {
  const { httpRequestTimeoutMs } = limits;
  return httpRequestTimeoutMs === 0
    ? COMMAND_TIMEOUT
    : Math.min(COMMAND_TIMEOUT, Math.ceil(0.75 * httpRequestTimeoutMs));
}

/** Longest wait of a question about series where requests may take any time, ms. */
const USUAL_WAIT_MS = 30_000;

/** Half of the time of a request may pass before its answer is worked on; the rest is for the work. */
const waitOf = ({ limits }: ProxySettings): number =>
  limits.httpRequestTimeoutMs === 0 ? USUAL_WAIT_MS : limits.httpRequestTimeoutMs / 2;

/** Waits for `work`, but not for ever. What goes wrong at the end is told, and ends nothing else. */
async function ended(work: Promise<void> | undefined, what: string, log: Log): Promise<void> {
  if (work === undefined) return;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve("not over in time"), CLOSE_MS);
  });
  const over = work.then(
    () => undefined,
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );
  const problem = await Promise.race([over, late]);
  clearTimeout(timer);
  if (problem !== undefined) log.warning(`${what}: ${problem}`);
}

/** Opens the store; an embedded one in memory where its file cannot be used. */
function openService(parts: TimeSeriesParts, key: KeyOptions | undefined): Service | undefined {
  const settings = parts.settings();
  const { log, env = process.env } = parts;
  const { search, resp } = settings;
  const shared = {
    use: () => seriesUse(parts.settings()),
    log: (level: "info" | "warning", text: string) => log.write(level, text),
    zone: localZone(env),
  };
  if (key !== undefined)
    return openKeySeries({
      ...shared,
      server: key,
      search: search.enabled === true,
      relays: resp.enabled,
    });
  if (storeOf(settings) !== "embedded") return undefined;
  const embedded = { ...shared, search: search.enabled !== false, load: loadInThread };
  const file = catalogueFile(settings);
  if (file === undefined) {
    const places = settings.paths.stateDirectories.join(", ");
    log.warning(`time series are catalogued in memory: none of ${places} can be written`);
    return openEmbeddedSeries({ ...embedded, catalogue: ":memory:" });
  }
  try {
    return openEmbeddedSeries({ ...embedded, catalogue: file });
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
    log.warning(`time series are catalogued in memory: ${error.message}`);
    return openEmbeddedSeries({ ...embedded, catalogue: ":memory:" });
  }
}

/** How archives that are followed or pushed are written to a key server. */
const writing = ({ discover, series }: ProxySettings) => ({
  excludeMetrics: discover.excludeMetrics,
  excludeIndoms: discover.excludeIndoms,
  streamLength: series.streamMaxLength,
  streamSeconds: series.streamExpireSeconds,
});

/** Follows the directories of `settings` into the store of `service`. */
function openDiscovery(
  service: Service,
  directories: readonly string[],
  { settings, log }: TimeSeriesParts,
): Discovery | undefined {
  const { discover } = settings();
  const wanted = discover.enabled ?? service.kind === "embedded";
  if (!wanted) return undefined;
  const told = (level: "info" | "warning" | "error", text: string): void => log.write(level, text);
  const { catchUpSeconds, excludeMetrics } = discover;
  const sink: ArchiveSink =
    service.kind === "keys"
      ? keySink(service.server, { ...writing(settings()), catchUpSeconds, log: told })
      : catalogueSink(service.catalogue, { excludeMetrics, log: told });
  return startDiscovery({
    directories,
    sink,
    log: told,
    ...(discover.polling ? { watching: "polling" } : {}),
    pollSeconds: discover.pollSeconds,
  });
}

/** Archives that loggers push. */
function openPush(
  directory: string,
  { settings, log }: TimeSeriesParts,
  feed: PushFeed | undefined,
  onArchive: (base: string) => void,
): Push {
  return createPush({
    directory,
    ...(feed === undefined ? {} : { feed }),
    settings: () => settings().logger,
    log,
    onArchive,
  });
}

/** Asks pmcd who may push. */
const authorityOf = ({ settings, log, env, hasRoom }: TimeSeriesParts): Authority =>
  createAuthority({
    host: () => settings().logger.authHost,
    warn: (text) => log.warning(text),
    ...(env === undefined ? {} : { env }),
    ...(hasRoom === undefined ? {} : { hasRoom }),
  });

/** Bounds of requests. Asked several times a request: made anew only when the settings are others. */
function limitsOf(settings: () => ProxySettings): () => Partial<SeriesLimits> {
  let from: ProxySettings | undefined;
  let limits: Partial<SeriesLimits> = {};
  return () => {
    const present = settings();
    if (present !== from)
      limits = {
        ...present.series.limits,
        waitMs: waitOf(present),
        resultCount: present.search.resultCount,
      };
    from = present;
    return limits;
  };
}

/** Makes the time series of a proxy that starts with `first`. Throws PcpError for TLS files that cannot be read. */
export function createTimeSeries(first: ProxySettings, parts: TimeSeriesParts): TimeSeries {
  const { settings, log } = parts;
  const isOn = storeOf(first) !== undefined;
  const keys: KeyOptions | undefined =
    storeOf(first) === "keys"
      ? { ...keyServerOptions(first.keyServer), timeout: answerTimeout(first) }
      : undefined;
  let service: Service | undefined;
  let discovery: Discovery | undefined;
  let recorder: Recorder | undefined;
  const onArchive = (base: string): void => discovery?.nudge(base);
  const { remoteArchiveDirectory } = first.paths;
  let feed: PushFeed | undefined;
  const lateFeed: PushFeed = {
    open: (archive) => {
      if (feed === undefined) throw new PcpError(PM_ERR.NOTCONN, "the key server is not in use");
      return feed.open(archive);
    },
  };
  const push = first.deprecated
    ? undefined
    : openPush(remoteArchiveDirectory, parts, keys === undefined ? undefined : lateFeed, onArchive);
  const seriesApi = createSeriesApi({
    service: () => service,
    warn: (text) => log.warning(text),
    limits: limitsOf(settings),
  });
  const loggerApi = push === undefined ? undefined : createLoggerApi(push, authorityOf(parts));
  let closed: Promise<void> | undefined;

  const close = async (): Promise<void> => {
    await ended(seriesApi.close(), "time series requests", log);
    await ended(loggerApi?.close(), "pushed archives", log);
    await ended(push?.close(), "pushed archives", log);
    await ended(recorder?.close(), "recorder", log);
    await ended(discovery?.close(), "discovery", log);
    await ended(service?.close(), "time series", log);
  };
  return {
    api: {
      answer: (request): Answer | undefined =>
        seriesApi.answer(request) ?? loggerApi?.answer(request),
      status: () => ({
        series:
          service === undefined
            ? { store: "none" }
            : { ...service.status(), requests: seriesApi.status() },
        ...(discovery === undefined ? {} : { discovery: discovery.status() }),
        ...(push === undefined ? {} : { push: push.status() }),
        ...(recorder === undefined ? {} : { record: recorder.status() }),
      }),
      close: () => (closed ??= close()),
    },
    begin() {
      if (closed !== undefined || !isOn) return;
      service = openService(parts, keys);
      if (service === undefined) return;
      const recorded = recordDirectory(first, log);
      // What is pushed goes to a key server as it comes.
      const own = service.kind === "keys" ? [recorded] : [recorded, remoteArchiveDirectory];
      const made = own.flatMap((each) =>
        each === undefined ? [] : (usableDirectory([each]) ?? []),
      );
      try {
        if (service.kind === "keys")
          feed = keyFeed(service.server, {
            ...writing(first),
            log: (level, text) => log.write(level, text),
          });
        const followed = first.discover.path ?? first.paths.archiveDirectory;
        discovery = openDiscovery(service, realNames([followed, ...made]), parts);
      } catch (error) {
        if (!(error instanceof PcpError)) throw error;
        log.error(`discovery: ${error.message}`);
      }
      if (recorded !== undefined) recorder = openRecorder(recorded, first, parts, onArchive);
    },
    reload() {
      push?.reset();
    },
  };
}
