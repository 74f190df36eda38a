// Opens one archive for a report, however damaged it is: as PCP does where that works, else with what
// its files still tell. Everything that fails is noted as damage; nothing is refused.
import {
  type Archive,
  archiveError,
  type ArchiveFiles,
  type ArchiveLabel,
  Catalog,
  compressionOf,
  decodeLabel,
  faultOf,
  findArchive,
  labelBytes,
  loadMeta,
  type LookAtMeta,
  MAX_LABEL_BYTES,
  openArchive,
  openArchiveFile,
  readToEnd,
  type TemporalIndex,
  temporalIndex,
} from "../archive/mod.ts";
import { PM_ERR, PcpError } from "../base/mod.ts";
import { type DamageList, noteDamage } from "./archive-damage.ts";
import { countFrames, type MetaFrames } from "./archive-frames.ts";
import type { ArchiveFileKind } from "./archive-types.ts";
import { fileState } from "./file-state.ts";

/** Volumes of the labels of the other two files. */
const META_VOLUME = -1;
const INDEX_VOLUME = -2;

/** One file with what it says of itself. */
export interface OpenedFile {
  readonly path: string;
  readonly kind: ArchiveFileKind;
  readonly volume: number;
  readonly bytes: number;
  readonly modified: number;
  readonly compression: string | null;
  readonly label: ArchiveLabel | null;
}

/** One archive as far as it can be read. */
export interface Opened {
  readonly name: string;
  /** Why PCP does not open it. */
  readonly error: PcpError | undefined;
  /** undefined when nothing of its data can be read. */
  readonly archive: Archive | undefined;
  readonly base: string | undefined;
  readonly catalog: Catalog;
  readonly files: readonly OpenedFile[];
  readonly frames: MetaFrames;
  readonly damage: DamageList;
}

/** Runs `body`; an error is noted as damage of the file. */
function noting<T>(damage: DamageList, path: string, body: () => T): T | undefined {
  try {
    return body();
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
    noteDamage(damage, error, path);
    return undefined;
  }
}

/** The label of a file; throws PcpError as opening the archive does. */
function readLabel(path: string, volume: number): ArchiveLabel {
  const file = openArchiveFile(path);
  try {
    const bytes = file.read(0, MAX_LABEL_BYTES + 1);
    const place = { file: path, offset: 0 };
    const label = decodeLabel(bytes, volume, place);
    if (bytes.length > labelBytes(label.version)) return label;
    throw archiveError(PM_ERR.NODATA, "label record", place, "nothing follows the label");
  } finally {
    file.close();
  }
}

/** Notes a label that does not belong to the archive of another. */
function checkBelongs(damage: DamageList, label: ArchiveLabel, file: OpenedFile): void {
  for (const field of ["version", "pid", "host"] as const) {
    if (file.label === null || file.label[field] === label[field]) continue;
    const reason = `${field} ${file.label[field]}, but ${label[field]} in the first volume`;
    const place = { file: file.path, offset: 0 };
    noteDamage(damage, archiveError(PM_ERR.LABEL, "label record", place, reason), file.path);
    return;
  }
}

function lookAt(
  damage: DamageList,
  path: string,
  kind: ArchiveFileKind,
  volume: number,
): OpenedFile {
  const stat = fileState(path);
  return {
    path,
    kind,
    volume,
    bytes: stat?.size ?? 0,
    modified: stat?.mtimeMs ?? 0,
    compression: compressionOf(path) ?? null,
    label: noting(damage, path, () => readLabel(path, volume)) ?? null,
  };
}

function lookAtFiles(damage: DamageList, files: ArchiveFiles): OpenedFile[] {
  const found = [lookAt(damage, files.meta, "metadata", META_VOLUME)];
  if (files.index !== undefined) found.push(lookAt(damage, files.index, "index", INDEX_VOLUME));
  for (const [volume, path] of files.volumes) found.push(lookAt(damage, path, "volume", volume));
  return found;
}

/** What is known of an archive that PCP does not open. */
interface Refused {
  readonly name: string;
  readonly growing: boolean;
  readonly places: ArchiveFiles;
  readonly files: readonly OpenedFile[];
  readonly catalog: Catalog;
  readonly look: LookAtMeta;
  readonly damage: DamageList;
}

/** An archive that PCP does not open, with what of it can be read; undefined without a volume. */
function rescue(refused: Refused): Archive | undefined {
  const { name, growing, places, files, catalog, look, damage } = refused;
  const label = files.find((file) => file.kind === "volume" && file.label !== null)?.label;
  if (label === undefined || label === null) return undefined;
  const meta = files.find(({ kind }) => kind === "metadata");
  if (meta?.label != null && catalog.descs.size === 0) {
    const from = labelBytes(meta.label.version);
    noting(damage, meta.path, () => {
      const file = openArchiveFile(meta.path);
      try {
        loadMeta(file, meta.path, from, catalog, growing, look);
      } finally {
        file.close();
      }
    });
  }
  const index = files.find(({ kind }) => kind === "index");
  let entries: TemporalIndex | undefined;
  if (index?.label != null) {
    const { version } = index.label;
    entries = noting(damage, index.path, () => {
      const file = openArchiveFile(index.path);
      try {
        return temporalIndex(readToEnd(file, labelBytes(version), MAX_INDEX_BYTES), version);
      } finally {
        file.close();
      }
    });
  }
  return { name, label, catalog, growing, files: places, index: entries, metaEnd: 0 };
}

/** Bytes of the index of an archive that does not open that are looked at. */
const MAX_INDEX_BYTES = 64 * 1024 * 1024;

/** Opens the archive of a name. */
export function openForReport(name: string, growing: boolean): Opened {
  const damage: DamageList = { first: [], count: 0 };
  const catalog = new Catalog();
  const { frames, look } = countFrames();
  let archive: Archive | undefined;
  let error: PcpError | undefined;
  let places: ArchiveFiles;
  try {
    archive = openArchive(name, { growing, look }, catalog);
    places = archive.files;
  } catch (failure) {
    if (!(failure instanceof PcpError)) throw failure;
    error = failure;
    if (faultOf(failure) !== undefined) noteDamage(damage, failure, name);
    try {
      places = findArchive(name);
    } catch (missing) {
      if (!(missing instanceof PcpError)) throw missing;
      const none = { base: undefined, files: [], archive: undefined };
      return { name, error, catalog, frames, damage, ...none };
    }
  }
  const files = lookAtFiles(damage, places);
  archive ??= rescue({ name, growing, places, files, catalog, look, damage });
  if (archive !== undefined) {
    const { label } = archive;
    for (const file of files) checkBelongs(damage, label, file);
  }
  const { base } = places;
  return { name, error, archive, base, catalog, files, frames, damage };
}
