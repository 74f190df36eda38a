// A load into a catalogue in a thread of its own: whoever shares the event loop feels nothing of metadata
// that take a second to read. In the main thread where the catalogue is no file or no thread can be had.
// Refused: what loading refuses; a load that is broken off ends after the archive that is being read.
import { PM_ERR, PcpError } from "../base/mod.ts";
import { type Catalogue, type CatalogueLoad, loadCatalogue } from "../catalogue/mod.ts";
import { type LoadReport, SeriesProblem } from "../series/mod.ts";
import type { SurveyAnswer, SurveyOrder } from "./survey-thread.ts";
import { surveyWorker } from "./survey-worker.ts";

/** Milliseconds that the thread has to end when a load is broken off. */
const END_MS = 10_000;

/** Loads into a catalogue. Rejects with SeriesProblem, the signal's reason, or PcpError for a thread that ended. */
export async function loadInThread(
  catalogue: Catalogue,
  load: CatalogueLoad,
  signal: AbortSignal,
): Promise<LoadReport> {
  signal.throwIfAborted();
  if (catalogue.file === ":memory:") return loadCatalogue(catalogue, load, signal);
  const worker = surveyWorker();
  const post = (order: SurveyOrder): void => worker.postMessage(order);
  const { promise, resolve, reject } = Promise.withResolvers<LoadReport>();
  const closed = Promise.withResolvers<void>();
  let late: ReturnType<typeof setTimeout> | undefined;
  const stop = (): void => {
    reject(signal.reason);
    late = setTimeout(closed.resolve, END_MS);
    post({ kind: "close" });
  };
  signal.addEventListener("abort", stop, { once: true });
  const failed = (reason: string): void => {
    reject(new PcpError(PM_ERR.GENERIC, `the thread that loads has ended: ${reason}`));
    closed.resolve();
  };
  worker.onerror = ({ message }) => failed(message);
  worker.onmessage = ({ data }: MessageEvent<SurveyAnswer>) => {
    if (data.kind === "loaded") resolve(data.report);
    else if (data.kind === "refused") reject(new SeriesProblem(data.message, data.level));
    else if (data.kind === "failed") failed(data.reason);
    else if (data.kind === "closed") closed.resolve();
  };
  post({ kind: "load", file: catalogue.file, load });
  try {
    return await promise;
  } finally {
    signal.removeEventListener("abort", stop);
    if (late === undefined) post({ kind: "close" });
    await closed.promise;
    clearTimeout(late);
    worker.terminate();
    catalogue.stale();
  }
}
