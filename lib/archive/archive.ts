// Opening one archive (spec archive.md 5): its labels, metadata and index, with every check in PCP's
// order. Volumes are opened by cursor.ts when a walk comes to them. Refused: what the checks of the
// specification refuse, with its codes; unknown feature bits are accepted as in PCP 7.2.
import { PM_ERR, PcpError } from "../base/mod.ts";
import { Catalog } from "./catalog.ts";
import { archiveError } from "./fault.ts";
import {
  type ArchiveLabel,
  decodeLabel,
  INDEX_VOLUME,
  labelBytes,
  MAX_LABEL_BYTES,
  META_VOLUME,
} from "./label.ts";
import { loadMeta, type LookAtMeta } from "./loader.ts";
import { type ArchiveFiles, findArchive, type Listings } from "./places.ts";
import { compressionOf, openArchiveFile } from "./file.ts";
import { type ArchiveFile, readToEnd } from "./plain-file.ts";
import { type TemporalIndex, temporalIndex } from "./temporal.ts";
import { Volume } from "./volume.ts";

/** Bytes of an index that are looked at: entries for some 800 GB of volumes. The rest is ignored. */
const MAX_INDEX_BYTES = 256 * 1024 * 1024;

/** How an archive is opened. */
export interface OpenOptions {
  /** The archive may still be written: what is not complete at the end of a file is not there yet. */
  readonly growing?: boolean;
  /** Sees each metadata record when the archive is opened. */
  readonly look?: LookAtMeta;
}

/** One open archive. Holds no open file. */
export interface Archive {
  /** As the user named it. */
  readonly name: string;
  /** Of the lowest volume. */
  readonly label: ArchiveLabel;
  /** Of this archive, or of the set that it belongs to. */
  readonly catalog: Catalog;
  readonly growing: boolean;
  /** The rest changes when a growing archive is refreshed, the files also when one was compressed. */
  files: ArchiveFiles;
  index: TemporalIndex | undefined;
  /** Offset after the last metadata record that was read. */
  metaEnd: number;
}

/** Opens a file of an archive for `body` and closes it again. */
function withFile<T>(path: string, body: (file: ArchiveFile) => T): T {
  const file = openArchiveFile(path);
  try {
    return body(file);
  } finally {
    file.close();
  }
}

/** Reads the label of a file, and checks that there is more in it. */
function readLabel(file: ArchiveFile, path: string, volume: number): ArchiveLabel {
  const bytes = file.read(0, MAX_LABEL_BYTES + 1);
  const place = { file: path, offset: 0 };
  const label = decodeLabel(bytes, volume, place);
  if (bytes.length === labelBytes(label.version)) {
    throw archiveError(PM_ERR.NODATA, "label record", place, "nothing follows the label");
  }
  return label;
}

/** Throws PM_ERR_LABEL when a file's label does not belong to the archive of `label`. */
function checkBelongs(label: ArchiveLabel, other: ArchiveLabel, path: string): void {
  for (const field of ["version", "pid", "host"] as const) {
    if (other[field] === label[field]) continue;
    const reason = `${field} ${other[field]}, but ${label[field]} in the first volume`;
    throw archiveError(PM_ERR.LABEL, "label record", { file: path, offset: 0 }, reason);
  }
}

const ENOENT = -2;

/** Opens the file of a volume; one that has been compressed since is found under its new name. */
function openVolumeFile(archive: Archive, number: number): { path: string; file: ArchiveFile } {
  const path = archive.files.volumes.get(number);
  if (path === undefined) {
    const place = { file: `${archive.files.base}.${number}`, offset: 0 };
    throw archiveError(PM_ERR.LOGFILE, "label record", place, "the volume is missing");
  }
  try {
    return { path, file: openArchiveFile(path) };
  } catch (error) {
    if (!(error instanceof PcpError) || error.code !== ENOENT) throw error;
    archive.files = findArchive(archive.name);
    const moved = archive.files.volumes.get(number);
    if (moved === undefined) throw error;
    return { path: moved, file: openArchiveFile(moved) };
  }
}

/** Opens a volume of an archive and checks its label; throws -errno, PM_ERR_LABEL, PM_ERR_NODATA. */
export function openVolume(archive: Archive, number: number): Volume {
  const { path, file } = openVolumeFile(archive, number);
  try {
    const label = readLabel(file, path, number);
    checkBelongs(archive.label, label, path);
    // What is compressed does not grow: its end is the end.
    const growing = archive.growing && compressionOf(path) === undefined;
    return new Volume(file, path, label.version, labelBytes(label.version), growing);
  } catch (error) {
    file.close();
    throw error;
  }
}

function checkHost(path: string, label: ArchiveLabel, host: string | undefined): void {
  if (host === undefined || label.host === host) return;
  const reason = `host "${label.host}", but "${host}" in the first archive of the set`;
  throw archiveError(PM_ERR.LOGHOST, "label record", { file: path, offset: 0 }, reason);
}

function readIndex(path: string, label: ArchiveLabel): TemporalIndex {
  return withFile(path, (file) => {
    checkBelongs(label, readLabel(file, path, INDEX_VOLUME), path);
    return temporalIndex(
      readToEnd(file, labelBytes(label.version), MAX_INDEX_BYTES),
      label.version,
    );
  });
}

/**
 * Opens the archive of a name. With `catalog` and `host` it becomes part of a set: metadata are added
 * to that catalog, the host has to be that one, and directories are read once. Throws PcpError; what was added to the catalog
 * until then stays there.
 */
export function openArchive(
  name: string,
  options: OpenOptions = {},
  catalog: Catalog = new Catalog(),
  host?: string,
  listings?: Listings,
): Archive {
  const growing = options.growing === true;
  const files = findArchive(name, listings);
  const [lowest, path] = [...files.volumes][0] as [number, string];
  const label = withFile(path, (file) => readLabel(file, path, lowest));
  // Checked here and read later, as PCP does: of two faults it reports the one of the index label.
  const index = files.index === undefined ? undefined : readIndex(files.index, label);
  return withFile(files.meta, (file) => {
    const metaLabel = readLabel(file, files.meta, META_VOLUME);
    const place = { file: files.meta, offset: 0 };
    if (metaLabel.version !== label.version) {
      const reason = `version ${metaLabel.version}, but ${label.version} in the first volume`;
      throw archiveError(PM_ERR.LABEL, "label record", place, reason);
    }
    checkHost(path, label, host);
    const first = labelBytes(label.version);
    const loaded = loadMeta(file, files.meta, first, catalog, growing, options.look);
    if (loaded.descriptors === 0) {
      throw archiveError(PM_ERR.NODATA, "metadata record", place, "no descriptor in the file");
    }
    checkBelongs(label, metaLabel, files.meta);
    return { name, label, catalog, growing, files, index, metaEnd: loaded.end };
  });
}

/** Reads what was added to a growing archive: metadata, index entries, volumes. */
export function refreshArchive(archive: Archive): void {
  const { label, catalog } = archive;
  const files = findArchive(archive.name);
  archive.files = files;
  if (files.index !== undefined) archive.index = readIndex(files.index, label);
  archive.metaEnd = withFile(
    files.meta,
    (file) => loadMeta(file, files.meta, archive.metaEnd, catalog, true).end,
  );
}
