// The thread that surveys archives for the catalogue: reading metadata and writing rows takes long enough
// to be felt by whoever shares the event loop. It has a connection of its own to the file. Told what to do
// by messages: directories to be followed (survey-engine.ts), or one load.
import { asPcpError } from "../base/mod.ts";
import {
  type Catalogue,
  type CatalogueLoad,
  loadCatalogue,
  openCatalogue,
} from "../catalogue/mod.ts";
import { type LoadReport, type ProblemLevel, problemOf } from "../series/mod.ts";
import {
  startSurveys,
  type SurveyEngine,
  type SurveyJob,
  type SurveyReport,
} from "./survey-engine.ts";

/** What the thread is told. */
export type SurveyOrder =
  | { readonly kind: "open"; readonly file: string; readonly excludeMetrics: readonly string[] }
  | { readonly kind: "job"; readonly job: SurveyJob }
  | { readonly kind: "load"; readonly file: string; readonly load: CatalogueLoad }
  | { readonly kind: "close" };

/** What it answers. */
export type SurveyAnswer =
  | SurveyReport
  | { readonly kind: "loaded"; readonly report: LoadReport }
  | { readonly kind: "refused"; readonly message: string; readonly level: ProblemLevel }
  | { readonly kind: "failed"; readonly reason: string }
  | { readonly kind: "closed" };

declare const self: Worker;

const answer = (said: SurveyAnswer): void => self.postMessage(said);
let engine: SurveyEngine | undefined;
let catalogue: Catalogue | undefined;
let loading: Promise<void> | undefined;
const closing = new AbortController();

/** Does a load, and tells how it went; never rejects. */
async function load(into: Catalogue, what: CatalogueLoad): Promise<void> {
  try {
    answer({ kind: "loaded", report: await loadCatalogue(into, what, closing.signal) });
  } catch (error) {
    const problem = problemOf(error);
    if (problem === undefined) answer({ kind: "failed", reason: asPcpError(error).message });
    else answer({ kind: "refused", message: problem.message, level: problem.level });
  }
}

async function obey(order: SurveyOrder): Promise<void> {
  switch (order.kind) {
    case "open":
      catalogue = openCatalogue(order.file, { check: false });
      engine = startSurveys(catalogue, order.excludeMetrics, answer);
      return;
    case "job":
      engine?.add(order.job);
      return;
    case "load":
      catalogue = openCatalogue(order.file, { check: false });
      loading = load(catalogue, order.load);
      await loading;
      return;
    case "close":
      closing.abort();
      await loading;
      await engine?.close();
      catalogue?.close();
      answer({ kind: "closed" });
      return;
    default:
      order satisfies never;
  }
}

self.onmessage = ({ data }: MessageEvent<SurveyOrder>) => {
  obey(data).catch((error: unknown) =>
    answer({ kind: "failed", reason: asPcpError(error).message }),
  );
};
