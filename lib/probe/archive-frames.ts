// Counts what the catalog of an archive does not keep: all metadata records by kind, and those that
// belong to archives of another version. A look at records as they are loaded; it refuses nothing.
import { type ArchiveVersion, type LookAtMeta, META_TYPE } from "../archive/mod.ts";

/** Records of the other version that are kept. */
const MOST_FOREIGN = 100;

/** What was counted of a metadata file. */
export interface MetaFrames {
  /** Records of each META_TYPE. */
  readonly types: Map<number, number>;
  records: number;
  /** Offset after the last record that was seen; 0 before the first one. */
  end: number;
  /** The first records of a kind that not every version has. */
  readonly versioned: Map<ArchiveVersion, { readonly offset: number; readonly type: number }[]>;
}

/** Version of the archives that a type of record belongs to; both for the others. */
const VERSIONS: ReadonlyMap<number, ArchiveVersion> = new Map([
  [META_TYPE.INDOM_V2, 2],
  [META_TYPE.LABEL_V2, 2],
  [META_TYPE.INDOM, 3],
  [META_TYPE.INDOM_DELTA, 3],
  [META_TYPE.LABEL, 3],
]);

/** Counts to be filled, and the look that fills them. */
export function countFrames(): { readonly frames: MetaFrames; readonly look: LookAtMeta } {
  const frames: MetaFrames = { types: new Map(), records: 0, end: 0, versioned: new Map() };
  const { types, versioned } = frames;
  return {
    frames,
    look(type, bytes, { offset }) {
      types.set(type, (types.get(type) ?? 0) + 1);
      frames.records++;
      frames.end = offset + bytes.length;
      const version = VERSIONS.get(type);
      if (version === undefined) return true;
      const known = versioned.get(version) ?? [];
      if (known.length < MOST_FOREIGN) known.push({ offset, type });
      versioned.set(version, known);
      return true;
    },
  };
}
