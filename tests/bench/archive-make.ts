// The archives that archive.ts measures with, made in a private folder: volumes of equal records for
// walks, one with many metrics and instances for opening, one with a record a second for seeking and
// for compressed volumes, whose values change from record to record as counters do.
import { closeSync, openSync, writeSync } from "node:fs";
import {
  ArchiveWriter,
  type ArchiveLabel,
  encodeIndexEntry,
  encodeLabel,
  encodeMeta,
  encodeResult,
  instanceEntry,
  INDEX_VOLUME,
  labelBytes,
  META_VOLUME,
  setTime,
  type ArchiveVersion,
} from "../../lib/archive/mod.ts";
import {
  asIndom,
  type Desc,
  pmidBuild,
  PM_INDOM_NULL,
  PM_TYPE,
  type Timestamp,
  type ValueSetInit,
} from "../../lib/pcp/mod.ts";

/** Time of the first record of each archive. */
export const START = 1_700_000_000;
const INDOM = asIndom((60 << 22) | 1);
const LABEL = { version: 3, pid: 1, host: "bench", timezone: "UTC", zoneinfo: "" } as const;
const PIECE_BYTES = 4e6;

/** Metrics of one type; each has `instances` values, and with one value no instance domain. */
const descriptors = (count: number, instances: number, type: number): Desc[] =>
  Array.from({ length: count }, (_, i) => ({
    pmid: pmidBuild(60, i >> 10, i & 1023),
    type,
    indom: instances > 1 ? INDOM : PM_INDOM_NULL,
    sem: 1,
    units: 0,
  }));

const nameOf = ({ pmid }: Desc): string => `bench.group${pmid & 63}.metric${pmid}`;

function write(path: string, parts: Iterable<Uint8Array>): void {
  const descriptor = openSync(path, "w");
  for (const part of parts) writeSync(descriptor, part);
  closeSync(descriptor);
}

/** What the records of a volume are like. */
export interface Shape {
  /** Metrics in the archive, those in a record, and values of each. */
  readonly metrics: number;
  readonly inRecord: number;
  readonly instances: number;
  readonly type: number;
  /** About so many bytes of volume. */
  readonly bytes: number;
  /** 3 when left out. */
  readonly version?: ArchiveVersion;
  /** Time of the first record in milliseconds after START, and from one to the next; else 0 and 1. */
  readonly from?: number;
  readonly every?: number;
}

/** When the records of a volume are, and its version. */
interface Times {
  readonly version: ArchiveVersion;
  readonly from: number;
  readonly every: number;
}

const timeOf = ({ from, every }: Times, record: number): Timestamp => {
  const time = from + record * every;
  return { sec: START + Math.floor(time / 1000), nsec: (time % 1000) * 1_000_000 };
};

const labelOf = (times: Times, volume: number): ArchiveLabel => ({
  ...LABEL,
  version: times.version,
  start: timeOf(times, 0),
  volume,
  features: 0,
});

/** A volume of so many records, alike but for their times. */
function* pieces(times: Times, record: Uint8Array, count: number): Generator<Uint8Array> {
  yield encodeLabel(labelOf(times, 0));
  const together = Math.max(1, Math.floor(PIECE_BYTES / record.length));
  const piece = Buffer.concat(Array.from({ length: together }, () => record));
  const view = new DataView(piece.buffer, piece.byteOffset, piece.length);
  for (let done = 0; done < count; done += together) {
    const here = Math.min(together, count - done);
    for (let i = 0; i < here; i++) {
      setTime(view, i * record.length + 4, times.version, timeOf(times, done + i));
    }
    yield piece.subarray(0, here * record.length);
  }
}

/** An index of such a volume at the logger's cadence. */
function* indexEntries(times: Times, length: number, count: number): Generator<Uint8Array> {
  const { version } = times;
  const first = labelBytes(version);
  yield encodeLabel(labelOf(times, INDEX_VOLUME));
  const every = Math.max(1, Math.ceil(100_000 / length));
  for (let record = 0; record < count; record += every) {
    const dataOffset = first + record * length;
    const timestamp = timeOf(times, record);
    yield encodeIndexEntry(version, { timestamp, volume: 0, metaOffset: first, dataOffset });
  }
}

/** Writes an archive whose volume repeats one record; gives the record's length. */
export function makeRepeated(base: string, shape: Shape): number {
  const { metrics, instances, type, version = 3, from = 0, every = 1 } = shape;
  const times = { version, from, every };
  const timestamp = timeOf(times, 0);
  const ids = Array.from({ length: instances }, (_, i) => i);
  const descs = descriptors(metrics, instances, type);
  write(`${base}.meta`, [
    encodeLabel(labelOf(times, META_VOLUME)),
    ...descs.map((desc) => encodeMeta(version, { kind: "desc", desc, names: [nameOf(desc)] })),
    encodeMeta(version, {
      kind: "indom",
      delta: false,
      timestamp,
      indom: INDOM,
      instances: ids.map((id) => instanceEntry(id, `instance number ${id}`)),
    }),
  ]);
  const long = type === PM_TYPE.U64;
  const sets: ValueSetInit[] = descs.slice(0, shape.inRecord).map(({ pmid }) => ({
    pmid,
    type,
    instances: instances > 1 ? ids : [-1],
    values: ids.map((id) => (long ? BigInt(id) : id)),
  }));
  const record = encodeResult(version, { timestamp, sets });
  const count = Math.ceil(shape.bytes / record.length);
  write(`${base}.0`, pieces(times, record, count));
  write(`${base}.index`, indexEntries(times, record.length, count));
  return record.length;
}

/** Writes an archive of `seconds` records a second apart, so many counters and instances in each. */
export function makeSeconds(base: string, seconds: number, metrics = 50, instances = 8): void {
  const writer = new ArchiveWriter({ base, label: LABEL });
  const ids = Array.from({ length: instances }, (_, i) => i);
  const descs = descriptors(metrics, ids.length, PM_TYPE.U64);
  for (const desc of descs) writer.describe(desc, [nameOf(desc)]);
  writer.setInstances(
    INDOM,
    ids.map((id) => [id, `disk${id}`]),
  );
  let random = 1;
  const counters = descs.map(() => ids.map(() => 0));
  for (let second = 0; second < seconds; second++) {
    const sets = descs.map(({ pmid }, metric) => ({
      pmid,
      type: PM_TYPE.U64,
      instances: instances > 1 ? ids : [-1],
      values: ids.map((id) => {
        random = (Math.imul(random, 1_103_515_245) + 12_345) >>> 0;
        const row = counters[metric] ?? [];
        // A third of the counters stands still, as on real hosts.
        row[id] = (row[id] ?? 0) + (metric % 3 === 0 ? 0 : random >>> 20);
        return BigInt(row[id] ?? 0);
      }),
    }));
    writer.append({ timestamp: { sec: START + second, nsec: 0 }, sets });
  }
  writer.finish();
}
