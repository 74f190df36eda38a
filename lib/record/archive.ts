// One archive while it is recorded: its metadata, its instances as they come and go, records of which
// each is in the files when `append` is over. Refuses results that are not later than the one before
// and metrics whose descriptors changed: then a new archive is to be begun.
import { ArchiveWriter, compareTimes, type LoggerState, openLiveFiles } from "../archive/mod.ts";
import {
  type Indom,
  type InstanceId,
  type Pmid,
  PM_INDOM_NULL,
  PM_LABEL,
  type ResultView,
  type Timestamp,
} from "../pcp/mod.ts";
import { orNone, readLabels, type Source } from "./source.ts";

/** An archive being recorded. */
export interface RecordedArchive {
  /** Path without suffix. */
  readonly base: string;
  /** Bytes in its files. */
  readonly size: number;
  /** Time of its last record. */
  readonly last: Timestamp;
  /** What is recorded from now on; throws PcpError when descriptors changed. */
  use(source: Source): void;
  /** Says that what comes next is no continuation of what was. */
  mark(): void;
  /** Appends a result. Rejects with PcpError; when writing failed, the archive is at its end. */
  append(result: ResultView): Promise<void>;
  /** Whether nothing can be appended any more. */
  readonly failed: boolean;
  /** Ends it well. Rejects with PcpError when that did not fit. */
  end(): Promise<void>;
  /** Leaves it as it is. */
  abandon(): Promise<void>;
}

/** What an archive is begun with. */
export interface ArchiveStart {
  readonly base: string;
  readonly source: Source;
  /** Time of the first result; the archive begins a millisecond before. */
  readonly first: Timestamp;
  readonly sync: boolean;
}

const MILLISECOND = 1_000_000;
const SECOND = 1_000_000_000;

/** A time so many nanoseconds, less than a second, later or earlier. */
function shifted({ sec, nsec }: Timestamp, by: number): Timestamp {
  const sum = nsec + by;
  if (sum < 0) return { sec: sec - 1, nsec: sum + SECOND };
  return sum >= SECOND ? { sec: sec + 1, nsec: sum - SECOND } : { sec, nsec: sum };
}

/** Knows which instances the records of an archive have, and asks when there are others. */
function instanceWatch(writer: ArchiveWriter) {
  let source: Source;
  const known = new Map<Indom, Map<InstanceId, string>>();
  /** Values that each metric had the last time. */
  const counts = new Map<Pmid, number>();

  /** Domains of which a result has instances that are new, or more or fewer than before. */
  const changed = (result: ResultView): Set<Indom> => {
    const found = new Set<Indom>();
    for (const set = result.sets(); set.next();) {
      const indom = source.metrics.get(set.pmid)?.desc.indom ?? PM_INDOM_NULL;
      if (indom === PM_INDOM_NULL || set.numval < 0) continue;
      const instances = known.get(indom);
      let differs = counts.get(set.pmid) !== set.numval;
      counts.set(set.pmid, set.numval);
      for (let i = 0; i < set.numval && !differs; i++)
        differs = instances?.has(set.instance(i)) !== true;
      if (differs) found.add(indom);
    }
    return found;
  };

  /** Instances that a result has values of. */
  const used = (result: ResultView, wanted: Indom): Set<InstanceId> => {
    const found = new Set<InstanceId>();
    for (const set = result.sets(); set.next();) {
      if (source.metrics.get(set.pmid)?.desc.indom !== wanted) continue;
      for (let i = 0; i < set.numval; i++) found.add(set.instance(i));
    }
    return found;
  };

  const refresh = async (indom: Indom, result: ResultView): Promise<void> => {
    const before = known.get(indom);
    const now = await orNone(source.context.instances(indom));
    const instances = new Map<InstanceId, string>();
    for (const [i, id] of (now?.ids ?? []).entries()) instances.set(id, now?.names[i] ?? "");
    // One that went between the values and this question still has values in this result.
    for (const id of used(result, indom)) {
      const name = before?.get(id);
      if (name !== undefined && !instances.has(id)) instances.set(id, name);
    }
    const isSame =
      before?.size === instances.size &&
      [...instances].every(([id, name]) => before.get(id) === name);
    if (isSame) return;
    known.set(indom, instances);
    writer.setInstances(indom, instances);
    const labels = await readLabels(source.context, PM_LABEL.INSTANCES, indom);
    if (labels !== undefined) writer.setLabels(labels.level, indom, labels.sets);
  };

  return {
    use(next: Source): void {
      source = next;
      known.clear();
      counts.clear();
    },
    async look(result: ResultView): Promise<void> {
      for (const indom of changed(result)) await refresh(indom, result);
    },
  };
}

/** Begins an archive; its files are there when the first result is. Throws PcpError. */
export function beginArchive({ base, source, first, sync }: ArchiveStart): RecordedArchive {
  const start = shifted(first, -MILLISECOND);
  const files = openLiveFiles(base, sync);
  const { host, timezone, zoneinfo } = source;
  const writer = new ArchiveWriter({
    base,
    label: { version: 3, pid: process.pid, host, timezone, zoneinfo, start },
    outputs: files,
  });
  const watch = instanceWatch(writer);
  let last = start;

  const logger = ({ pmcdPid, pmcdSequence }: Source): LoggerState => ({
    pid: process.pid,
    host: "localhost",
    port: 0,
    archive: base,
    pmcdPid,
    pmcdSequence,
  });
  let present = source;

  const use = (next: Source): void => {
    for (const { desc, names } of next.metrics.values()) writer.describe(desc, names);
    for (const text of next.texts) writer.setText(text);
    for (const { level, ident, sets } of next.labels) writer.setLabels(level, ident, sets);
    watch.use(next);
    present = next;
  };
  use(source);
  writer.appendLogger(start, logger(source));

  return {
    base,
    get size() {
      return files.size;
    },
    get last() {
      return last;
    },
    get failed() {
      return files.failed;
    },
    use,
    mark() {
      last = shifted(last, MILLISECOND);
      writer.mark(last);
    },
    async append(result) {
      await watch.look(result);
      writer.append(result);
      last = result.timestamp;
      await files.commit();
    },
    async end() {
      if (compareTimes(last, start) > 0) {
        writer.appendLogger(shifted(last, MILLISECOND), logger(present));
        writer.finish();
        await files.commit();
      }
      await files.close();
    },
    abandon: () => files.close(),
  };
}
