// An archive on the disk that grows record by record when a test says so, as a logger's does: version 3, a
// counter per second under `grow.plain`, and one for each instance under `grow.inst`.
import { appendFileSync, writeFileSync } from "node:fs";
import {
  encodeIndexEntry,
  encodeLabel,
  encodeMark,
  encodeMeta,
  encodeResult,
  INDEX_VOLUME,
  instanceEntry,
  labelBytes,
  META_VOLUME,
  type MetaRecord,
} from "../../lib/archive/mod.ts";
import {
  type Desc,
  indomBuild,
  PM_INDOM_NULL,
  PM_SEM,
  PM_TYPE,
  pmidBuild,
  type Timestamp,
} from "../../lib/pcp/mod.ts";

/** Second 0 of these archives. */
export const START = 1_700_000_000;
const VERSION = 3;
const INDOM = indomBuild(300, 1);
const shared = { type: PM_TYPE.U32, sem: PM_SEM.COUNTER, units: 0 };
const PLAIN: Desc = { ...shared, pmid: pmidBuild(300, 0, 1), indom: PM_INDOM_NULL };
const INST: Desc = { ...shared, pmid: pmidBuild(300, 0, 2), indom: INDOM };

/** Time of the record of a second. */
export const timeOf = (second: number): Timestamp => ({ sec: START + second, nsec: 0 });

/** An archive that is written bit by bit. */
export interface GrowingArchive {
  readonly base: string;
  /** Writes the record of a second, whose values are that number. */
  append(second: number): void;
  mark(second: number): void;
  /** The bytes of that record. */
  record(second: number): Uint8Array;
  /** Later records have this instance, too. */
  addInstance(inst: number, name: string, second: number): void;
  /** Later records go to a new volume. */
  switchVolume(): void;
  /** The current volume. */
  readonly volume: string;
  readonly metaRecords: readonly Uint8Array[];
}

/** Begins an archive: metadata without instances, no record. */
export function growingArchive(base: string, host = "grow.example"): GrowingArchive {
  let volume = 0;
  const metaRecords: Uint8Array[] = [];
  const instances: { inst: number; name: string }[] = [];
  const label = (of: number): Uint8Array =>
    encodeLabel({
      version: VERSION,
      pid: 99,
      start: timeOf(0),
      volume: of,
      features: 0,
      host,
      timezone: "UTC",
      zoneinfo: ":UTC",
    });
  const meta = (record: MetaRecord): void => {
    const bytes = encodeMeta(VERSION, record);
    metaRecords.push(bytes);
    appendFileSync(`${base}.meta`, bytes);
  };
  const entry = { timestamp: timeOf(0), volume: 0, metaOffset: labelBytes(VERSION) };
  writeFileSync(
    `${base}.index`,
    Buffer.concat([
      label(INDEX_VOLUME),
      encodeIndexEntry(VERSION, { ...entry, dataOffset: labelBytes(VERSION) }),
    ]),
  );
  writeFileSync(`${base}.0`, label(0));
  writeFileSync(`${base}.meta`, label(META_VOLUME));
  meta({ kind: "desc", desc: PLAIN, names: ["grow.plain"] });
  meta({ kind: "desc", desc: INST, names: ["grow.inst"] });
  const record = (second: number): Uint8Array =>
    encodeResult(VERSION, {
      timestamp: timeOf(second),
      sets: [
        { pmid: PLAIN.pmid, type: PLAIN.type, instances: [-1], values: [second] },
        instances.length === 0
          ? { pmid: INST.pmid, error: 0 }
          : {
              pmid: INST.pmid,
              type: INST.type,
              instances: instances.map(({ inst }) => inst),
              values: instances.map(() => second),
            },
      ],
    });
  const path = (): string => `${base}.${volume}`;
  return {
    base,
    record,
    metaRecords,
    get volume() {
      return path();
    },
    append: (second) => appendFileSync(path(), record(second)),
    mark: (second) => appendFileSync(path(), encodeMark(VERSION, timeOf(second))),
    addInstance(inst, name, second) {
      instances.push({ inst, name });
      meta({
        kind: "indom",
        delta: false,
        timestamp: timeOf(second),
        indom: INDOM,
        instances: instances.map((each) => instanceEntry(each.inst, each.name)),
      });
    },
    switchVolume() {
      volume++;
      writeFileSync(path(), label(volume));
    },
  };
}
