// What all contexts over one archive or set share: its metadata in the forms that lookups want, its
// end, the rule for marks. Refuses nothing of its own; damage is PM_ERR_LOGREC of the archive room.
import { statSync } from "node:fs";
import {
  type Archive,
  archiveEnd,
  type ArchiveSet,
  type Instances,
  refreshSet,
  SetCursor,
  setEnd,
} from "../archive/mod.ts";
import { PM_ERR, PcpError } from "../base/mod.ts";
import {
  type Indom,
  parseInterval,
  type Pmid,
  secondsBetween,
  secondsOf,
  type Timestamp,
} from "../pcp/mod.ts";

/** Variables that change how archives are read; those of the process unless told otherwise. */
export type ContextEnv = Readonly<Record<string, string | undefined>>;

/** An open set with what is worked out from it once. */
export interface SharedArchive {
  readonly set: ArchiveSet;
  readonly growing: boolean;
  /** Start of the first member: times in interpolation are seconds since then. */
  readonly start: Timestamp;
  /** PCP_COUNTER_WRAP is set. */
  readonly wrap: boolean;
  /** Time of the last record; looked up anew when the last volume has changed. Throws PM_ERR_LOGREC. */
  end(): Timestamp;
  /** End of a member that is not the last; undefined when none of its records is sound. */
  memberEnd(archive: Archive): Timestamp | undefined;
  /** Whether a mark separates the values around it (PCP_IGNORE_MARK_RECORDS). */
  separates(mark: Timestamp): boolean;
  /** All instances of all times, undefined for a domain without records. */
  union(indom: Indom): Instances | undefined;
  /** Names of a metric, in PCP's order. */
  namesOf(pmid: Pmid): readonly string[];
  /** How often `refresh` found something: what was worked out before may be out of date. */
  readonly generation: number;
  /** Reads what was added to a growing set. */
  refresh(): void;
}

const dataBytes = (path: string | undefined): number =>
  path === undefined ? 0 : (statSync(path, { throwIfNoEntry: false })?.size ?? 0);

/** Times of the nearest records that are no marks, before and after a time. */
function neighbours(set: ArchiveSet, time: Timestamp): readonly (Timestamp | undefined)[] {
  return (["backward", "forward"] as const).map((direction) => {
    const cursor = new SetCursor(set);
    try {
      cursor.seek(time, direction);
      while (direction === "forward" ? cursor.next() : cursor.previous()) {
        const { sec, nsec, numpmid } = cursor.record;
        if (numpmid !== 0) return { sec, nsec };
      }
    } catch (error) {
      // Where the archive is damaged nothing is known about the other side: the mark counts.
      if (!(error instanceof PcpError)) throw error;
    } finally {
      cursor.close();
    }
    return undefined;
  });
}

function markRule(set: ArchiveSet, text: string | undefined): (mark: Timestamp) => boolean {
  if (text === undefined) return () => true;
  if (text.trim() === "") return () => false;
  let longest: number;
  try {
    longest = secondsOf(parseInterval(text));
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
    set.warn(`PCP_IGNORE_MARK_RECORDS is not used: ${error.message.trimEnd()}`);
    return () => true;
  }
  // As with the C library an interval of nothing is like an empty text.
  if (longest === 0) return () => false;
  const known = new Map<string, boolean>();
  return (mark) => {
    const key = `${mark.sec}.${mark.nsec}`;
    let counts = known.get(key);
    if (counts === undefined) {
      const [before, after] = neighbours(set, mark);
      counts =
        before === undefined || after === undefined || secondsBetween(after, before) > longest;
      known.set(key, counts);
    }
    return counts;
  };
}

/** What contexts over `set` share. */
export function shareArchive(set: ArchiveSet, env: ContextEnv): SharedArchive {
  const last = set.members.at(-1) ?? set.members[0];
  const growing = set.members.some((member) => member.growing);
  const memberEnds = new Map<Archive, Timestamp | undefined>();
  const unions = new Map<Indom, Instances>();
  let names: Map<Pmid, string[]> | undefined;
  let known: { readonly key: string; readonly end: Timestamp } | undefined;
  let generation = 0;
  let sizes = "";
  let rule: ((mark: Timestamp) => boolean) | undefined;

  /** Changes when records or metadata are added to the last member. */
  const state = (): string => {
    const files = last?.files;
    const volume = [...(files?.volumes ?? [])].at(-1);
    return `${volume?.[0]} ${dataBytes(volume?.[1])} ${growing ? dataBytes(files?.meta) : ""}`;
  };

  return {
    set,
    growing,
    start: set.label.start,
    wrap: env["PCP_COUNTER_WRAP"] !== undefined,
    get generation() {
      return generation;
    },
    end() {
      const key = state();
      if (known?.key !== key) known = { key, end: setEnd(set) };
      return known.end;
    },
    memberEnd(archive) {
      if (!memberEnds.has(archive)) memberEnds.set(archive, archiveEnd(archive));
      return memberEnds.get(archive);
    },
    separates(mark) {
      rule ??= markRule(set, env["PCP_IGNORE_MARK_RECORDS"]);
      return rule(mark);
    },
    union(indom) {
      const found = unions.get(indom) ?? set.catalog.indoms.get(indom)?.union();
      if (found !== undefined) unions.set(indom, found);
      return found;
    },
    namesOf(pmid) {
      if (names === undefined) {
        names = new Map();
        for (const { name, pmid: each } of set.catalog.names.traverse()) {
          const list = names.get(each);
          // PCP's list is the other way round than its tree.
          if (list === undefined) names.set(each, [name]);
          else list.unshift(name);
        }
      }
      return names.get(pmid) ?? [];
    },
    refresh() {
      if (!growing) return;
      try {
        refreshSet(set);
      } catch (error) {
        // While a file is being replaced or compressed there is nothing new to see.
        if (!(error instanceof PcpError) || error.code === PM_ERR.LOGREC) throw error;
      }
      const now = state();
      if (now === sizes) return;
      sizes = now;
      generation++;
      unions.clear();
      names = undefined;
    },
  };
}
