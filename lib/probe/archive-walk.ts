// Walks over all data records of one archive for a report: frames alone, unless values are checked.
// Damage ends the walk through a volume, whose records behind it are counted from its end where the
// file is not compressed, and the walk goes on in the next volume. Refuses nothing.
import {
  type Archive,
  compressionOf,
  dataHead,
  decodeData,
  openVolume,
  type Volume,
} from "../archive/mod.ts";
import { PcpError, viewOf } from "../base/mod.ts";
import { pmExtractValue, PM_TYPE, type Pmid, pmidBuild, type Timestamp } from "../pcp/mod.ts";
import type { Checker } from "./archive-check.ts";
import { type DamageList, noteDamage } from "./archive-damage.ts";
import {
  addBorder,
  addMark,
  type DensityState,
  newSpacing,
  spaceMark,
  spaceRecord,
  type SpacingState,
} from "./archive-spacing.ts";
import type { LoggerRecord } from "./archive-types.ts";
import { fileState } from "./file-state.ts";

/** Times of marks of an archive that are kept. */
export const MAX_MARKS = 100;

/** What one volume holds. */
export interface VolumeWalk {
  records: number;
  marks: number;
  first: Timestamp | null;
  last: { sec: number; nsec: number } | null;
  /** Offset after the last whole record that was read forwards. */
  end: number;
  behindDamage: number;
  /** Bytes after the last whole record, when no other record follows. */
  rest: number;
}

/** What the walk over an archive found. */
export interface ArchiveWalk {
  readonly volumes: Map<number, VolumeWalk>;
  readonly spacing: SpacingState;
  readonly marks: Timestamp[];
  prologue: LoggerRecord | null;
  epilogue: LoggerRecord | null;
  dataRecords: number;
  markRecords: number;
}

/** PMIDs of a prologue or an epilogue, in their order (spec archive.md 4.1). */
const LOGGER_PMIDS: readonly Pmid[] = [
  pmidBuild(2, 3, 3),
  pmidBuild(2, 3, 0),
  pmidBuild(2, 3, 2),
  pmidBuild(2, 0, 23),
  pmidBuild(2, 0, 24),
];
const LOGGER_TYPES: readonly number[] = [
  PM_TYPE.STRING,
  PM_TYPE.U32,
  PM_TYPE.STRING,
  PM_TYPE.U64,
  PM_TYPE.U32,
];
/** The longest record that is looked at for one: two texts of a path's length. */
const MAX_LOGGER_BYTES = 16 * 1024;

/** What a logger says of itself in a record; null for any other record. */
function loggerRecord(volume: Volume): LoggerRecord | null {
  if (volume.numpmid !== LOGGER_PMIDS.length || volume.length > MAX_LOGGER_BYTES) return null;
  const bytes = volume.raw();
  if (viewOf(bytes).getUint32(dataHead(volume.version)) !== LOGGER_PMIDS[0]) return null;
  try {
    const sets = decodeData(bytes, volume.version).sets();
    const values: (string | number | bigint)[] = [];
    let pid = 0;
    for (let i = 0; sets.next(); i++) {
      if (sets.pmid !== LOGGER_PMIDS[i] || sets.numval !== 1) return null;
      const type = LOGGER_TYPES[i] ?? PM_TYPE.U32;
      const value = pmExtractValue(sets, 0, type, type);
      if (typeof value === "object") return null;
      values.push(value);
      if (i === 0) pid = sets.instance(0);
    }
    const [host, port, archive, pmcdPid, pmcdSequence] = values;
    return {
      time: { sec: volume.sec, nsec: volume.nsec },
      pid,
      host: String(host),
      port: Number(port),
      archive: String(archive),
      pmcdPid: String(pmcdPid),
      pmcdSequence: Number(pmcdSequence),
    };
  } catch (error) {
    if (error instanceof PcpError) return null;
    throw error;
  }
}

/** What a walk needs beside the archive. */
export interface WalkSetting {
  readonly density: DensityState | undefined;
  readonly checker: Checker | undefined;
  readonly damage: DamageList;
}

/** Counts the records that stand behind damage, from the end of the file on. */
function countBehind(volume: Volume, size: number, damaged: number): number {
  let found = 0;
  volume.position = size;
  try {
    while (volume.previous() && volume.offset > damaged) found++;
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
  }
  return found;
}

/** Takes the record that `volume` has come to. */
function takeRecord(
  walk: ArchiveWalk,
  found: VolumeWalk,
  volume: Volume,
  density: DensityState | undefined,
): void {
  const { sec, nsec, numpmid } = volume;
  found.end = volume.position;
  found.records++;
  if (found.last === null) {
    found.first = { sec, nsec };
    found.last = { sec, nsec };
  }
  found.last.sec = sec;
  found.last.nsec = nsec;
  if (numpmid === 0) {
    found.marks++;
    walk.markRecords++;
    walk.epilogue = null;
    spaceMark(walk.spacing);
    if (walk.marks.length < MAX_MARKS) walk.marks.push({ sec, nsec });
    if (density !== undefined) addMark(density, sec, nsec);
    return;
  }
  walk.epilogue = numpmid === LOGGER_PMIDS.length ? loggerRecord(volume) : null;
  if (walk.dataRecords++ === 0) walk.prologue = walk.epilogue;
  spaceRecord(walk.spacing, density, volume, walk.epilogue !== null);
}

const sizeOnDisk = (path: string): number => fileState(path)?.size ?? 0;

function walkVolume(
  walk: ArchiveWalk,
  found: VolumeWalk,
  volume: Volume,
  { density, checker, damage }: WalkSetting,
): void {
  const plain = compressionOf(volume.path) === undefined;
  try {
    while (volume.next()) {
      takeRecord(walk, found, volume, density);
      checker?.record(volume);
    }
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
    noteDamage(damage, error, volume.path);
    if (plain) found.behindDamage = countBehind(volume, sizeOnDisk(volume.path), found.end);
  }
  const rest = sizeOnDisk(volume.path) - found.end;
  if (plain && found.behindDamage === 0) found.rest = Math.max(0, rest);
}

/** Walks over all volumes of an archive in their order. */
export function walkArchive(archive: Archive, setting: WalkSetting): ArchiveWalk {
  const walk: ArchiveWalk = {
    volumes: new Map(),
    spacing: newSpacing(),
    marks: [],
    prologue: null,
    epilogue: null,
    dataRecords: 0,
    markRecords: 0,
  };
  for (const [number, path] of archive.files.volumes) {
    let volume: Volume;
    try {
      volume = openVolume(archive, number);
    } catch (error) {
      if (!(error instanceof PcpError)) throw error;
      noteDamage(setting.damage, error, path);
      continue;
    }
    const found: VolumeWalk = {
      records: 0,
      marks: 0,
      first: null,
      last: null,
      end: volume.first,
      behindDamage: 0,
      rest: 0,
    };
    const border = walk.dataRecords > 0;
    try {
      walkVolume(walk, found, volume, setting);
    } finally {
      volume.close();
    }
    walk.volumes.set(number, found);
    const { density } = setting;
    if (border && found.first !== null && density !== undefined) {
      addBorder(density.volumeBorders, found.first);
    }
  }
  return walk;
}
