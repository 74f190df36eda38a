// The label record that starts each file of an archive (spec archive.md 2.3, 2.4, 5.2). Refused:
// versions other than 2 and 3 (so version 1, too), wrong lengths, magic or volume with PM_ERR_LABEL;
// a file that ends with its label or holds less than 8 bytes with PM_ERR_NODATA. Unknown feature
// bits are kept and not refused, as in PCP 7.2.
import { PM_ERR, utf8, utf8Text, viewOf } from "../base/mod.ts";
import type { Timestamp } from "../pcp/mod.ts";
import { archiveError, NO_PLACE, type RecordPlace } from "./fault.ts";
import { type ArchiveVersion, setTime, timeAt } from "./timestamp.ts";

/** `volume` of the labels of the two files that are not volumes. */
export const META_VOLUME = -1;
/** See META_VOLUME. */
export const INDEX_VOLUME = -2;

/** What a label says. Texts that version 2 lacks are empty there, `features` is 0. */
export interface ArchiveLabel {
  readonly version: ArchiveVersion;
  readonly pid: number;
  readonly start: Timestamp;
  readonly volume: number;
  readonly features: number;
  readonly host: string;
  readonly timezone: string;
  readonly zoneinfo: string;
}

const MAGIC = 0x50052600;

interface Layout {
  readonly bytes: number;
  readonly volumeAt: number;
  readonly hostAt: number;
  readonly zoneAt: number;
  readonly zoneinfoAt: number;
}
const LAYOUTS: Readonly<Record<ArchiveVersion, Layout>> = {
  2: { bytes: 132, volumeAt: 20, hostAt: 24, zoneAt: 88, zoneinfoAt: 128 },
  3: { bytes: 808, volumeAt: 24, hostAt: 36, zoneAt: 292, zoneinfoAt: 548 },
};
/** Most bytes a label can have. */
export const MAX_LABEL_BYTES = 808;

/** Length of a label record: where the first record after it begins. */
export const labelBytes = (version: ArchiveVersion): number => LAYOUTS[version].bytes;

function textAt(bytes: Uint8Array, at: number, end: number): string {
  const field = bytes.subarray(at, end);
  const nul = field.indexOf(0);
  return utf8Text(nul < 0 ? field : field.subarray(0, nul));
}

/**
 * Reads the label from the first bytes of a file (MAX_LABEL_BYTES, fewer only at its end). Throws
 * PM_ERR_LABEL or PM_ERR_NODATA; `expected` is the volume it must name.
 */
export function decodeLabel(
  bytes: Uint8Array,
  expected: number,
  place: RecordPlace = NO_PLACE,
): ArchiveLabel {
  const refuse = (reason: string) => archiveError(PM_ERR.LABEL, "label record", place, reason);
  if (bytes.length < 8) {
    const reason = `${bytes.length} bytes are no label`;
    throw archiveError(PM_ERR.NODATA, "label record", place, reason);
  }
  const view = viewOf(bytes);
  const magic = view.getUint32(4);
  const version = magic & 0xff;
  if (version !== 2 && version !== 3) throw refuse(`archive version ${version} is not 2 or 3`);
  const { bytes: size, volumeAt, hostAt, zoneAt, zoneinfoAt } = LAYOUTS[version];
  const length = view.getUint32(0);
  if (length !== size) throw refuse(`length ${length}, ${size} expected`);
  if (bytes.length < size) throw refuse(`cut after ${bytes.length} of ${size} bytes`);
  const trailer = view.getUint32(size - 4);
  if (trailer !== size) throw refuse(`length ${size} at its start, ${trailer} at its end`);
  if ((magic & 0xffffff00) !== MAGIC) throw refuse(`magic 0x${magic.toString(16)}`);
  const volume = view.getInt32(volumeAt);
  if (volume !== expected) throw refuse(`volume ${volume}, ${expected} expected`);
  return {
    version,
    pid: view.getUint32(8),
    start: timeAt(view, 12, version),
    volume,
    features: version === 2 ? 0 : view.getUint32(28),
    host: textAt(bytes, hostAt, zoneAt),
    timezone: textAt(bytes, zoneAt, zoneinfoAt),
    zoneinfo: textAt(bytes, zoneinfoAt, size - 4),
  };
}

/** The label record of a file. Throws PM_ERR_TOOBIG for a text that does not fit with its NUL. */
export function encodeLabel(label: ArchiveLabel): Uint8Array {
  const { version } = label;
  const { bytes: size, volumeAt, hostAt, zoneAt, zoneinfoAt } = LAYOUTS[version];
  const bytes = new Uint8Array(size);
  const view = viewOf(bytes);
  const put = (what: string, text: string, at: number, end: number): void => {
    const field = utf8(text);
    if (field.length >= end - at && field.length > 0) {
      const reason = `${what} "${text}" has more than ${Math.max(end - at - 1, 0)} bytes`;
      throw archiveError(PM_ERR.TOOBIG, "label record", NO_PLACE, reason);
    }
    bytes.set(field, at);
  };
  view.setUint32(0, size);
  view.setUint32(4, MAGIC + version);
  view.setUint32(8, label.pid);
  setTime(view, 12, version, label.start);
  view.setInt32(volumeAt, label.volume);
  if (version === 3) view.setUint32(28, label.features);
  put("host name", label.host, hostAt, zoneAt);
  put("time zone", label.timezone, zoneAt, zoneinfoAt);
  if (version === 3) put("zoneinfo", label.zoneinfo, zoneinfoAt, size - 4);
  view.setUint32(size - 4, size);
  return bytes;
}
