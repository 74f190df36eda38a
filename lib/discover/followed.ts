// One archive on its way to a key server as discovery writes it (spec series.md 5.2, 5.3): metadata
// records as they are read, then data records, wherever both come from. All is sent and answered before
// `settle` resolves. Refused: damaged records, a server that refuses or was lost; after that the object is
// of no use any more.
import type { Catalog, RecordPlace } from "../archive/mod.ts";
import type { Pmid, ResultView, Timestamp } from "../pcp/mod.ts";
import { entryOfTime, type KeyServer, recordWriter } from "../keyserver/mod.ts";
import { turn } from "../base/mod.ts";
import type { ReadMetadata } from "./known.ts";
import { lentWriter, type WriterPool } from "./writers.ts";

/** How values are written. */
export interface WriteOptions {
  /** Entries that a stream keeps, about (`stream.maxlen`). */
  readonly streamLength?: number;
  /** Seconds that a stream lives without new entries (`stream.expire`). */
  readonly streamSeconds?: number;
}

/** What archive it is. */
export interface FollowedSource {
  /** The context name. */
  readonly context: string;
  readonly host: string;
  readonly start: Timestamp;
  readonly catalog: Catalog;
  /** As far as they were read. */
  readonly metadata: ReadMetadata;
}

/** An archive that is written to a key server. */
export interface Followed {
  readonly catalog: Catalog;
  /** Takes a whole metadata record before it is added to the catalog. */
  meta(type: number, bytes: Uint8Array, place: RecordPlace): void;
  /** Takes a data record, or `only` what it has of some metrics. Waits while too much is on its way. */
  data(result: ResultView, only?: ReadonlySet<Pmid>): Promise<void>;
  /** Metrics of records that nothing is known of; who takes notice clears them. */
  readonly unknown: Set<Pmid>;
  /** Resolves when everything is written. */
  settle(): Promise<void>;
  readonly values: number;
  /** Most values of a record: so many series and instances are known, about. */
  readonly widest: number;
  readonly excluded: number;
}

/** Metrics without metadata that are kept in mind, most. */
export const MOST_UNKNOWN = 4096;
/** Milliseconds of work between two turns of others. */
const WORK_MS = 5;

/** Writes an archive; its source is written at once. `warn` hears of what is left out. */
export function followArchive(
  server: KeyServer,
  writers: WriterPool,
  source: FollowedSource,
  options: WriteOptions,
  warn: (message: string) => void,
): Followed {
  const { catalog, context, host, start, metadata } = source;
  const writer = lentWriter(server, writers);
  const names = new Map<Pmid, readonly string[]>();
  const unknown = new Set<Pmid>();
  const wanted = {
    get(pmid: Pmid): readonly string[] | undefined {
      if (metadata.excluded(pmid)) return undefined;
      const before = names.get(pmid);
      if (before !== undefined) return before;
      const found = catalog.names.namesOf(pmid);
      if (found.length === 0) {
        if (!catalog.descs.has(pmid) && unknown.size < MOST_UNKNOWN) unknown.add(pmid);
        return undefined;
      }
      names.set(pmid, found);
      return found;
    },
  };
  const recorder = () => {
    const { known } = metadata;
    const { hasSearch: search } = server;
    const described = { catalog, start, host, context, known, search };
    return recordWriter(described, writer, wanted, { ...options, warn });
  };
  let records = recorder();
  let earlier = 0;
  let widest = 0;
  let worked = performance.now();
  const breathe = async (): Promise<void> => {
    await turn();
    worked = performance.now();
  };
  return {
    catalog,
    unknown,
    meta(type, bytes, place) {
      if (!metadata.read(type, bytes, place)) return;
      earlier += records.values;
      records = recorder();
    },
    async data(result, only) {
      const entry = entryOfTime(result.timestamp);
      const before = records.values;
      for (const sets = result.sets(); sets.next();) {
        if (only?.has(sets.pmid) === false) continue;
        records.add(sets, result.timestamp, entry);
        if (writer.full) await writer.send();
        if (performance.now() - worked > WORK_MS) await breathe();
      }
      widest = Math.max(widest, records.values - before);
    },
    async settle() {
      records.refresh(false);
      await writer.settle();
    },
    get values() {
      return earlier + records.values;
    },
    get widest() {
      return widest;
    },
    get excluded() {
      return metadata.excludedMetrics;
    },
  };
}
