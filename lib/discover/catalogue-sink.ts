// Discovered archives on their way to the catalogue of the embedded store: surveyed in a thread of its own
// (survey-thread.ts) that is there while there is work, so that whoever shares the event loop feels
// nothing; in turns of the main thread where the catalogue is no file or no thread can be had. A thread
// that ends unasked is started again; what it had to do is done again.
import { PM_ERR, PcpError } from "../base/mod.ts";
import type { Catalogue } from "../catalogue/mod.ts";
import {
  type SurveyEngine,
  type SurveyJob,
  type SurveyReport,
  startSurveys,
} from "./survey-engine.ts";
import type { SurveyAnswer, SurveyOrder } from "./survey-thread.ts";
import { surveyWorker } from "./survey-worker.ts";
import type { ArchiveSink, DiscoveryLog, SinkStatus } from "./types.ts";

/** How a catalogue is filled. */
export interface CatalogueSinkOptions {
  /** Patterns of names of metrics that are not catalogued (`discover.exclude.metrics`). */
  readonly excludeMetrics?: readonly string[];
  readonly log?: DiscoveryLog;
  /** False: no thread. */
  readonly thread?: boolean;
}

/** Milliseconds without work after which the thread ends. */
const IDLE_MS = 60_000;
/** Milliseconds that it has to end. */
const END_MS = 10_000;
/** How often a thread is started again that ended unasked. */
const MOST_STARTS = 3;
const NOTHING: SinkStatus = {
  found: 0,
  read: 0,
  failed: 0,
  growing: 0,
  waiting: 0,
  bytes: 0,
  records: 0,
  values: 0,
  excluded: 0,
  problems: [],
};

/** An engine in a thread; `lost` hears once when it ended unasked. */
function threadEngine(
  file: string,
  excludeMetrics: readonly string[],
  report: (said: SurveyReport) => void,
  lost: (reason: string) => void,
): SurveyEngine {
  const worker = surveyWorker();
  let ended: (() => void) | undefined;
  const post = (order: SurveyOrder): void => worker.postMessage(order);
  const end = (reason: string): void => {
    worker.onmessage = null;
    worker.onerror = null;
    worker.terminate();
    if (ended === undefined) lost(reason);
    else ended();
  };
  worker.onerror = ({ message }) => end(message);
  worker.onmessage = ({ data }: MessageEvent<SurveyAnswer>) => {
    if (data.kind === "closed") end("closed");
    else if (data.kind === "failed") end(data.reason);
    else if (data.kind !== "loaded" && data.kind !== "refused") report(data);
  };
  post({ kind: "open", file, excludeMetrics });
  return {
    add: (job) => post({ kind: "job", job }),
    close: () =>
      new Promise((resolve) => {
        const late = setTimeout(() => end("late"), END_MS);
        ended = () => {
          clearTimeout(late);
          resolve();
        };
        post({ kind: "close" });
      }),
  };
}

/** A sink that keeps a catalogue in step. Close it before the catalogue. */
export function catalogueSink(
  catalogue: Catalogue,
  options: CatalogueSinkOptions = {},
): ArchiveSink {
  const { excludeMetrics = [], log } = options;
  const jobs = new Map<
    number,
    { readonly job: SurveyJob; readonly done: (error?: PcpError) => void }
  >();
  let threaded = options.thread !== false && catalogue.file !== ":memory:";
  let engine: SurveyEngine | undefined;
  let closing: Promise<void> | undefined;
  let closed = false;
  let idle: ReturnType<typeof setTimeout> | undefined;
  let starts = 0;
  let lastId = 0;
  /** What engines before this one have counted. */
  let before = NOTHING;
  let status = NOTHING;

  const hear = (said: SurveyReport): void => {
    catalogue.stale();
    if (said.kind === "log") log?.(said.level, said.text);
    else if (said.kind === "status") {
      const { read, bytes } = said.status;
      status = { ...said.status, read: before.read + read, bytes: before.bytes + bytes };
    } else {
      starts = 0;
      jobs.get(said.id)?.done();
      jobs.delete(said.id);
      if (jobs.size > 0 || closed || !threaded) return;
      clearTimeout(idle);
      idle = setTimeout(rest, IDLE_MS);
      idle.unref();
    }
  };
  const rest = (): void => {
    const old = engine;
    engine = undefined;
    before = status;
    closing = old?.close().finally(() => (closing = undefined));
  };
  const lost = (reason: string): void => {
    engine = undefined;
    before = { ...status, waiting: 0 };
    status = before;
    if (closed) return;
    log?.("error", `discovery: the thread that reads archives has ended: ${reason}`);
    if (++starts < MOST_STARTS) {
      if (jobs.size === 0) return;
      const again = working();
      for (const { job } of jobs.values()) again.add(job);
      return;
    }
    for (const { done } of jobs.values()) done(new PcpError(PM_ERR.GENERIC, reason));
    jobs.clear();
    starts = 0;
  };
  const working = (): SurveyEngine => {
    clearTimeout(idle);
    if (engine !== undefined) return engine;
    if (threaded)
      try {
        engine = threadEngine(catalogue.file, excludeMetrics, hear, lost);
        return engine;
      } catch (error) {
        threaded = false;
        log?.("warning", `discovery: no thread to read archives: ${String(error)}`);
      }
    engine = startSurveys(catalogue, excludeMetrics, hear);
    return engine;
  };
  const ask = async (
    folders: readonly string[],
    all: boolean,
    signal: AbortSignal,
  ): Promise<void> => {
    // An engine that is ending still has the file.
    await closing;
    if (closed || signal.aborted || folders.length === 0) return;
    const job = { id: ++lastId, folders, all };
    await new Promise<void>((resolve, reject) => {
      const done = (error?: PcpError): void => (error === undefined ? resolve() : reject(error));
      jobs.set(job.id, { job, done });
      working().add(job);
    });
  };

  return {
    start: (folders, signal) => ask(folders, true, signal),
    visit: (folder, signal) => ask([folder], false, signal),
    status: () => status,
    close: async () => {
      closed = true;
      clearTimeout(idle);
      const old = engine;
      engine = undefined;
      await closing;
      await old?.close();
      for (const { done } of jobs.values()) done();
      jobs.clear();
    },
  };
}
