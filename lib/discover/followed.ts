// One archive on its way to a key server as discovery writes it (spec series.md 5.2, 5.3): metadata
// records as they are read, then data records, wherever both come from. All is sent and answered before
// `settle` resolves. Refused: damaged records, a server that refuses or was lost; after that the object is
// of no use any more.
import type { Catalog, RecordPlace } from "../archive/mod.ts";
import type { Pmid, ResultView, Timestamp } from "../pcp/mod.ts";
import { entryOfTime, type KeyServer, loadWriter, recordWriter } from "../series/mod.ts";
import { turn } from "./folders.ts";
import type { ReadMetadata } from "./known.ts";

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
  /** Takes a data record. Waits while too much is on its way. */
  data(result: ResultView): Promise<void>;
  /** Resolves when everything is written. */
  settle(): Promise<void>;
  readonly values: number;
  readonly excluded: number;
}

/** Data records between two turns of others. */
const RECORDS_AT_ONCE = 64;

/** Writes an archive; its source is written at once. `warn` hears of what is left out. */
export function followArchive(
  server: KeyServer,
  source: FollowedSource,
  options: WriteOptions,
  warn: (message: string) => void,
): Followed {
  const { catalog, context, host, start, metadata } = source;
  const writer = loadWriter(server);
  const names = new Map<Pmid, readonly string[]>();
  const wanted = {
    get(pmid: Pmid): readonly string[] | undefined {
      if (metadata.excluded(pmid)) return undefined;
      const before = names.get(pmid);
      if (before !== undefined) return before;
      const found = catalog.names.namesOf(pmid);
      if (found.length === 0) return undefined;
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
  let taken = 0;
  return {
    catalog,
    meta(type, bytes, place) {
      if (!metadata.read(type, bytes, place)) return;
      earlier += records.values;
      records = recorder();
    },
    async data(result) {
      const entry = entryOfTime(result.timestamp);
      for (const sets = result.sets(); sets.next();) {
        records.add(sets, result.timestamp, entry);
        if (writer.full) await writer.send();
      }
      if (++taken % RECORDS_AT_ONCE === 0) await turn();
    },
    async settle() {
      records.refresh(false);
      await writer.finish();
    },
    get values() {
      return earlier + records.values;
    },
    get excluded() {
      return metadata.excludedMetrics;
    },
  };
}
