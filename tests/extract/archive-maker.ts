// Makes archives record by record for tests of extraction, in any order and with any times, which no writer
// would: metadata later than the data, records of equal times, labels out of order. Also reads archives
// back as short lines in the notation of the specification's test vectors.
import { readFileSync, writeFileSync } from "node:fs";
import {
  type ArchiveVersion,
  decodeData,
  decodeIndexEntry,
  decodeMeta,
  encodeIndexEntry,
  encodeLabel,
  encodeMark,
  encodeMeta,
  encodeResult,
  instanceEntry,
  indexEntryBytes,
  INDEX_VOLUME,
  labelBytes,
  META_VOLUME,
  type MetaRecord,
} from "../../lib/archive/mod.ts";
import { viewOf } from "../../lib/base/mod.ts";
import {
  asIndom,
  PM_INDOM_NULL,
  type Pmid,
  pmidParse,
  pmIDStr,
  PM_SEM,
  PM_TYPE,
  type PmType,
  PM_VAL,
  type Timestamp,
} from "../../lib/pcp/mod.ts";

/** 2023-11-14 22:13:20 UTC, the T of the specification. */
export const T = 1_700_000_000;

/** Seconds after T as a time. */
export const at = (seconds: number): Timestamp => {
  const whole = Math.floor(seconds);
  return { sec: T + whole, nsec: Math.round((seconds - whole) * 1e9) };
};

/** An instance domain of agent 100. */
export const indomOf = (serial: number): number => (100 << 22) | serial;

/** A value set: instance and value, or an error code. */
export type Values = readonly (readonly [inst: number, value: number | bigint | string])[] | number;

/** What an archive is made of. */
export interface Recipe {
  readonly version?: ArchiveVersion;
  readonly host?: string;
  readonly timezone?: string;
  readonly start?: Timestamp;
  readonly metadata: readonly MetaRecord[];
  /** In the order of the file; without sets: a mark. */
  readonly results: readonly {
    readonly time: Timestamp;
    readonly sets: readonly (readonly [pmid: string, values: Values])[];
  }[];
}

/** A descriptor of 32-bit values, 64-bit ones when `long`. */
export const desc = (name: string, pmid: string, serial?: number, long = false): MetaRecord => ({
  kind: "desc",
  desc: {
    pmid: pmidParse(pmid),
    type: long ? PM_TYPE.U64 : PM_TYPE.I32,
    indom: serial === undefined ? PM_INDOM_NULL : asIndom(indomOf(serial)),
    sem: PM_SEM.INSTANT,
    units: 0,
  },
  names: [name],
});

/** Instances of a domain at a time; without a name in a `delta`: gone. */
export const indom = (
  seconds: number,
  serial: number,
  instances: readonly (readonly [inst: number, name: string | undefined])[],
  delta = false,
): MetaRecord => ({
  kind: "indom",
  delta,
  timestamp: at(seconds),
  indom: asIndom(indomOf(serial)),
  instances: instances.map(([inst, name]) => instanceEntry(inst, name)),
});

/** Label sets without any label, which are enough to see which record is written when. */
export const labels = (seconds: number, type: number, ident: number): MetaRecord => ({
  kind: "labels",
  timestamp: at(seconds),
  type,
  ident,
  sets: [],
});

/** A help text. */
export const text = (type: number, ident: number, words: string): MetaRecord => ({
  kind: "text",
  type,
  ident,
  text: words,
});

const TOLD_TYPES: ReadonlySet<PmType> = new Set([PM_TYPE.FLOAT, PM_TYPE.DOUBLE, PM_TYPE.STRING]);

/** Writes the files of an archive. */
export function makeArchive(base: string, recipe: Recipe): void {
  const { version = 2, host = "qahost", timezone = "UTC", metadata, results } = recipe;
  const start = recipe.start ?? results[0]?.time ?? at(0);
  const label = (volume: number): Uint8Array =>
    encodeLabel({ version, pid: 77, start, volume, features: 0, host, timezone, zoneinfo: "" });
  const told = new Map<Pmid, PmType>();
  for (const record of metadata)
    if (record.kind === "desc" && TOLD_TYPES.has(record.desc.type))
      told.set(record.desc.pmid, record.desc.type);
  const typeOf = (pmid: Pmid, value: number | bigint | string | undefined): PmType =>
    told.get(pmid) ?? (typeof value === "bigint" ? PM_TYPE.U64 : PM_TYPE.I32);
  const data = results.map(({ time, sets }) =>
    sets.length === 0
      ? encodeMark(version, time)
      : encodeResult(version, {
          timestamp: time,
          sets: sets.map(([pmid, values]) =>
            typeof values === "number"
              ? { pmid: pmidParse(pmid), error: values }
              : {
                  pmid: pmidParse(pmid),
                  type: typeOf(pmidParse(pmid), values[0]?.[1]),
                  instances: values.map(([inst]) => inst),
                  values: values.map(([, value]) => value),
                },
          ),
        }),
  );
  const metaOffset = labelBytes(version);
  const entry = { timestamp: start, volume: 0, metaOffset, dataOffset: metaOffset };
  writeFileSync(`${base}.0`, Buffer.concat([label(0), ...data]));
  writeFileSync(
    `${base}.meta`,
    Buffer.concat([label(META_VOLUME), ...metadata.map((record) => encodeMeta(version, record))]),
  );
  writeFileSync(
    `${base}.index`,
    Buffer.concat([label(INDEX_VOLUME), encodeIndexEntry(version, entry)]),
  );
}

/** Seconds after T, shortly. */
const clock = ({ sec, nsec }: Timestamp): string =>
  String(Number((sec - T + nsec / 1e9).toFixed(6)));

/** The records of a file after its label. */
function* framed(path: string): Generator<{ bytes: Uint8Array; version: ArchiveVersion }> {
  const file = readFileSync(path);
  const version = file[7] as ArchiveVersion;
  for (let from = labelBytes(version); from < file.length;) {
    const length = viewOf(file).getInt32(from);
    yield { bytes: file.subarray(from, from + length), version };
    from += length;
  }
}

/** `+0 100.0.1=7 100.0.2=0:0,1:1`, `+10.001 MARK`: the records of a volume. */
export function dataLines(base: string, volume = 0): string[] {
  const lines: string[] = [];
  for (const { bytes, version } of framed(`${base}.${volume}`)) {
    const result = decodeData(bytes, version);
    const parts = [`+${clock(result.timestamp)}`];
    for (const set = result.sets(); set.next();) {
      const values: string[] = [];
      for (let i = 0; i < set.numval; i++) {
        const value =
          set.valfmt === PM_VAL.INSITU ? set.word(i) : set.view.getBigUint64(set.block(i) + 4);
        values.push(set.instance(i) < 0 ? `${value}` : `${set.instance(i)}:${value}`);
      }
      parts.push(`${pmIDStr(set.pmid)}=${set.numval < 0 ? set.numval : values.join(",")}`);
    }
    lines.push(result.numpmid === 0 ? `${parts[0]} MARK` : parts.join(" "));
  }
  return lines;
}

/** `desc 100.0.1`, `indom 1@+10 0:a 1:b`, `delta …`, `labels 32 IDENT@+10`, `text 5 IDENT`. */
export function metaLines(base: string): string[] {
  const lines: string[] = [];
  for (const { bytes } of framed(`${base}.meta`)) {
    const record = decodeMeta(bytes);
    if (record.kind === "desc") lines.push(`desc ${pmIDStr(record.desc.pmid)}`);
    else if (record.kind === "text") lines.push(`text ${record.type} ${record.text}`);
    else if (record.kind === "labels") {
      lines.push(`labels ${record.type}@+${clock(record.timestamp)}`);
    } else {
      const list = record.instances.map(({ inst, name }) => `${inst}:${name ?? "-"}`);
      const kind = record.delta ? "delta" : "indom";
      lines.push(
        [`${kind} ${record.indom & 0x3fffff}@+${clock(record.timestamp)}`, ...list].join(" "),
      );
    }
  }
  return lines;
}

/** `+0 0 132 132`: time, volume and the two offsets of each index entry. */
export function indexLines(base: string): string[] {
  const file = readFileSync(`${base}.index`);
  const version = file[7] as ArchiveVersion;
  const lines: string[] = [];
  const size = indexEntryBytes(version);
  for (let from = labelBytes(version); from < file.length; from += size) {
    const entry = decodeIndexEntry(viewOf(file), from, version);
    const { timestamp, volume, metaOffset, dataOffset } = entry;
    lines.push(`+${clock(timestamp)} ${volume} ${metaOffset} ${dataOffset}`);
  }
  return lines;
}

/** The PMIDs of pmcd's metrics that a prologue has, with their numbers. */
export const prologue = (
  seconds: number,
  pid: bigint,
  seqnum: number,
): { time: Timestamp; sets: readonly (readonly [string, Values])[] } => ({
  time: at(seconds),
  sets: [
    ["2.3.3", [[7, 1]]],
    ["2.3.0", [[7, 2]]],
    ["2.3.2", [[7, 3]]],
    ["2.0.23", [[-1, pid]]],
    ["2.0.24", [[-1, seqnum]]],
  ],
});

/** Descriptors for `prologue`. */
export const PROLOGUE: readonly MetaRecord[] = [
  desc("pmcd.pmlogger.host", "2.3.3", 1),
  desc("pmcd.pmlogger.port", "2.3.0", 1),
  desc("pmcd.pmlogger.archive", "2.3.2", 1),
  desc("pmcd.pid", "2.0.23", undefined, true),
  desc("pmcd.seqnum", "2.0.24"),
];

/** The PMID of a text. */
export const pmidOf = (written: string): Pmid => pmidParse(written);
