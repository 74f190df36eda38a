// Loads of a service, one at a time, and what services over any store are opened with. Refused: a second
// load while one runs.
import { PM_ERR, PcpError } from "../base/mod.ts";
import type { Zone } from "../pcp/mod.ts";
import { SeriesProblem } from "./problem.ts";
import type { LoadReport } from "./service.ts";

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

/** What a second load is told while one runs (spec series.md 4.5). */
const LOAD_RUNNING = "load in-progress";
/** One load at a time, broken off when the service is closed. */
export function loads(run: (expression: string, signal: AbortSignal) => Promise<LoadReport>) {
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
