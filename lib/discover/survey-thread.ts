// The thread that surveys archives for the catalogue: reading metadata and writing rows takes long enough
// to be felt by whoever shares the event loop. It has a connection of its own to the file. Told what to do
// by messages, see survey-engine.ts.
import { asPcpError } from "../base/mod.ts";
import { type Catalogue, openCatalogue } from "../series/mod.ts";
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
  | { readonly kind: "close" };

/** What it answers. */
export type SurveyAnswer =
  SurveyReport | { readonly kind: "failed"; readonly reason: string } | { readonly kind: "closed" };

declare const self: Worker;

const answer = (said: SurveyAnswer): void => self.postMessage(said);
let engine: SurveyEngine | undefined;
let catalogue: Catalogue | undefined;

async function obey(order: SurveyOrder): Promise<void> {
  switch (order.kind) {
    case "open":
      catalogue = openCatalogue(order.file, { check: false });
      engine = startSurveys(catalogue, order.excludeMetrics, answer);
      return;
    case "job":
      engine?.add(order.job);
      return;
    case "close":
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
