// Time series as whoever answers requests sees them: one store, one index, one way to load, whatever is
// behind. Shapes only.
import type { SearchIndex } from "./search.ts";
import type { SeriesStore } from "./store.ts";

/** What is said of a load that is over. */
export interface LoadReport {
  /** The archive. */
  readonly context: string;
  /** Records of it that were read. */
  readonly records: number;
  /** Values that were written; 0 where values stay in the archive. */
  readonly values: number;
  /** False where the window of the request ended before the archive. */
  readonly whole: boolean;
}

/** A store in use. */
export interface SeriesService {
  /** "keys": a key server; "embedded": a catalogue over archives. */
  readonly kind: "keys" | "embedded";
  /** Questions are rejected with PM_ERR_NOTCONN and the reason while the key server is away. */
  readonly store: SeriesStore;
  /** None where text search is off, or the key server has no such module. */
  readonly search: SearchIndex | undefined;
  /** Loads what an expression names (spec series.md 4.1). Throws QueryError, SeriesProblem. */
  load(expression: string, signal?: AbortSignal): Promise<LoadReport>;
  /** JSON values for /-/status; members only come, none goes or changes its meaning. */
  status(): Readonly<Record<string, unknown>>;
  close(): Promise<void>;
}
