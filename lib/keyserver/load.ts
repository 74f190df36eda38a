// Loads an archive into a key server (spec series.md 4), as PCP 7.2 does: same keys, same identifiers, same
// texts. Records stream through; what waits for the server is bounded. A load that loses its connection
// begins again when it is back: what is there already stays as it is. Refused: a schema of another
// version, archives that cannot be opened, a server that refuses.
import { type ArchiveSet, isBrokenCompression, openArchives, SetCursor } from "../archive/mod.ts";
import { compileGlob, PM_ERR, PcpError, pmErrStr, turn } from "../base/mod.ts";
import {
  type Instant,
  type InstanceId,
  PM_INDOM_NULL,
  type Pmid,
  type Timestamp,
  type ValueSet,
} from "../pcp/mod.ts";
import { contextName, type LoadRequest, SeriesProblem } from "../series/mod.ts";
import type { KeyServer } from "./keys.ts";
import { type LoadedMetric, type LoadSource, metadataWriter } from "./load-metadata.ts";
import { valueWriter } from "./load-values.ts";
import { canLoadAgain, type LoadWriter, loadWriter } from "./load-writer.ts";
import { entryOfTime } from "./schema.ts";

/** How an archive is loaded. */
export interface LoadOptions {
  /** Records after this time are not loaded, unless the request says another. */
  readonly now: Instant;
  /** Entries that a stream keeps, about (`stream.maxlen`); STREAM_LENGTH by default. */
  readonly streamLength?: number;
  /** Seconds that a stream lives without new entries (`stream.expire`); STREAM_SECONDS by default. */
  readonly streamSeconds?: number;
  /** Patterns of metrics that are not loaded (`discover.exclude.metrics`). */
  readonly excludeMetrics?: readonly string[];
  /** Metadata only. */
  readonly metadataOnly?: boolean;
  /** Hears of what is left out, a sentence each, and why a load begins again. */
  readonly warn?: (message: string) => void;
  /** Ends the load. */
  readonly signal?: AbortSignal;
}

/** How values are written. */
export type RecordOptions = Pick<
  LoadOptions,
  "streamLength" | "streamSeconds" | "metadataOnly" | "warn"
>;

/** What was loaded. */
export interface Loaded {
  readonly context: string;
  /** Records that were read, marks included. */
  readonly records: number;
  /** Values that were sent. */
  readonly values: number;
  /** False where the window ended before the archive. */
  readonly whole: boolean;
}

/** Default of `stream.maxlen`. */
const STREAM_LENGTH = 8640;
/** Default of `stream.expire`. */
const STREAM_SECONDS = 86_400;
const SCHEMA = 2;
/** The entry that no stream has. */
const NO_ENTRY = "0-0";
/** Records after which others get their turn. */
const RECORDS_AT_ONCE = 256;
/** ms before a load begins again, doubled up to the second. */
const AGAIN_PAUSES = { first: 250, last: 8000 } as const;

/** Metrics that are loaded, with their names. */
function wantedMetrics(
  { catalog }: ArchiveSet,
  request: LoadRequest,
  { excludeMetrics = [], warn }: LoadOptions,
): Map<Pmid, readonly string[]> {
  const chosen = new Set<Pmid>();
  for (const name of request.metrics)
    if (catalog.names.find(name) === undefined)
      warn?.(`PMNS traversal failed for ${name}: ${pmErrStr(PM_ERR.NAME)}`);
    else for (const { pmid } of catalog.names.traverse(name)) chosen.add(pmid);
  const patterns = excludeMetrics.map((pattern) => compileGlob(pattern.trim()));
  const wanted = new Map<Pmid, readonly string[]>();
  for (const pmid of catalog.descs.keys()) {
    if (chosen.size > 0 && !chosen.has(pmid)) continue;
    const names = catalog.names.namesOf(pmid);
    const excluded = names.some((name) => patterns.some((fits) => fits(name)));
    if (names.length > 0 && !excluded) wanted.set(pmid, names);
  }
  return wanted;
}

/** Instances of a set that the metric has not shown before, ascending. */
function freshInstances({ slots }: LoadedMetric, set: ValueSet): InstanceId[] {
  const fresh: InstanceId[] = [];
  for (let i = 0; i < set.numval; i++) {
    const inst = set.instance(i);
    if (!slots.has(inst)) fresh.push(inst);
  }
  return fresh.sort((a, b) => a - b);
}

/** Writes the records of one archive: what is new of metadata, and values. */
export interface RecordWriter {
  /** Values that were written. */
  readonly values: number;
  /** One set of values; `entry` from entryOfTime. Send when the LoadWriter is full. */
  add(set: ValueSet, time: Timestamp, entry: string): void;
  /** Keeps streams alive, and at the end writes what belongs there; to be called now and then, and at the end. */
  refresh(end: boolean): void;
}

/** A writer of records; the source itself is written at once. `wanted`: names of metrics that are loaded. */
export function recordWriter(
  source: LoadSource,
  writer: LoadWriter,
  wanted: { get(pmid: Pmid): readonly string[] | undefined },
  options: RecordOptions,
): RecordWriter {
  const { warn = () => undefined, metadataOnly } = options;
  const { catalog } = source;
  const metadata = metadataWriter(source, writer, warn);
  const values = valueWriter(writer, {
    length: options.streamLength ?? STREAM_LENGTH,
    seconds: options.streamSeconds ?? STREAM_SECONDS,
  });
  const odd = new Set<Pmid>();
  let isEarly = false;
  return {
    get values() {
      return values.values;
    },
    add(set, time, entry) {
      const names = wanted.get(set.pmid);
      const desc = catalog.descs.get(set.pmid);
      if (set.numval === 0 || names === undefined || desc === undefined) return;
      const plain = desc.indom === PM_INDOM_NULL || set.numval < 0;
      const known = metadata.metrics.get(set.pmid);
      const metric = known ?? metadata.meet(desc, names, time, plain);
      if (!plain && (metadata.isDue(metric) || !values.knows(metric, set))) {
        const fresh = freshInstances(metric, set);
        if (fresh.length > 0 || metadata.isDue(metric))
          metadata.meetInstances(metric, fresh, time, known === undefined);
      }
      if (metadataOnly === true) return;
      if (entry === NO_ENTRY) {
        if (!isEarly) warn("values of 1970-01-01 00:00:00 are left out: no stream takes them");
        isEarly = true;
        return;
      }
      try {
        values.add(metric, entry, set);
      } catch (error) {
        if (!(error instanceof PcpError)) throw error;
        if (odd.has(set.pmid)) return;
        odd.add(set.pmid);
        warn(`${names[0] ?? set.pmid}: ${error.message}`);
      }
    },
    refresh(end) {
      if (end) metadata.end();
      values.refresh(end);
    },
  };
}

const isAfter = (a: Timestamp, b: Timestamp): boolean =>
  a.sec > b.sec || (a.sec === b.sec && a.nsec > b.nsec);

const cannotOpen = (path: string, { code }: PcpError): SeriesProblem =>
  new SeriesProblem(`cannot open archive "${path}": ${pmErrStr(code)}`);

/** Steps to the next record. Archives that overlap are told of and read on. */
function step(cursor: SetCursor, path: string, warn: (message: string) => void): boolean {
  for (;;)
    try {
      return cursor.next();
    } catch (error) {
      if (!(error instanceof PcpError)) throw error;
      // What the real one decodes whole before it opens an archive.
      if (isBrokenCompression(error)) throw cannotOpen(path, error);
      if (error.code !== PM_ERR.LOGOVERLAP)
        throw new SeriesProblem(`fetch failed: ${pmErrStr(error.code)}`);
      warn(error.message);
    }
}

function openSet(path: string, warn: (message: string) => void): ArchiveSet {
  try {
    return openArchives(path, { warn });
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
    throw cannotOpen(path, error);
  }
}

async function loadOnce(
  server: KeyServer,
  request: LoadRequest,
  options: LoadOptions,
): Promise<Loaded> {
  const { warn = () => undefined, signal } = options;
  const set = openSet(request.path, warn);
  const context = contextName(request.path);
  const wanted = wantedMetrics(set, request, options);
  const writer = loadWriter(server);
  const { start, host } = set.label;
  const source = { catalog: set.catalog, start, host, context, search: server.hasSearch };
  const values = recordWriter(source, writer, wanted, options);
  const finish = request.finish ?? options.now;
  const cursor = new SetCursor(set);
  let records = 0;
  let whole = true;
  let problem: SeriesProblem | undefined;
  try {
    if (request.start !== undefined) cursor.seek(request.start, "forward");
    while (step(cursor, request.path, warn)) {
      const { record } = cursor;
      if (isAfter(record, finish)) {
        whole = false;
        break;
      }
      records++;
      if (record.numpmid > 0) {
        const time = { sec: record.sec, nsec: record.nsec };
        const entry = entryOfTime(time);
        for (const sets = record.result().sets(); sets.next();) {
          values.add(sets, time, entry);
          if (writer.full) await writer.send();
        }
      }
      values.refresh(false);
      if (records % RECORDS_AT_ONCE !== 0) continue;
      signal?.throwIfAborted();
      await turn();
    }
  } catch (error) {
    // What comes before the damage is loaded; what the writer had to tell, it tells again.
    if (!(error instanceof SeriesProblem)) throw error;
    problem = error;
  } finally {
    cursor.close();
  }
  values.refresh(true);
  await writer.finish();
  if (problem !== undefined) throw problem;
  return { context, records, values: values.values, whole };
}

/**
 * Loads what is asked for; waits for the key server, and begins again when the connection to it was lost.
 * Throws SeriesProblem with PCP's message, or the reason of the signal.
 */
export async function loadArchive(
  server: KeyServer,
  request: LoadRequest,
  options: LoadOptions,
): Promise<Loaded> {
  const { signal, warn } = options;
  for (let pause: number = AGAIN_PAUSES.first; ; pause = Math.min(2 * pause, AGAIN_PAUSES.last)) {
    await server.ready(signal);
    if (server.schema !== SCHEMA)
      throw new SeriesProblem(
        `unsupported series schema (got v${server.schema}, expected v${SCHEMA})`,
      );
    try {
      return await loadOnce(server, request, options);
    } catch (error) {
      if (!canLoadAgain(error) || !(error instanceof PcpError)) throw error;
      signal?.throwIfAborted();
      warn?.(`loading ${request.path} begins again: ${error.message}`);
      await Bun.sleep(pause);
    }
  }
}
