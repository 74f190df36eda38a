// Reading an archive record by record in the modes FORW and BACK (spec archive.md 9.2, 9.3): pmFetch
// and pmFetchArchive share one position and one origin. Refused: PM_ERR_EOL at the end, which stays
// valid while an archive grows; PM_ERR_LOGREC; PM_ERR_LOGOVERLAP once where members overlap.
import { type ArchiveSet, compareTimes, type DataRecord, SetCursor } from "../archive/mod.ts";
import { PM_ERR, PcpError } from "../base/mod.ts";
import type { Pmid, ResultView, Timestamp } from "../pcp/mod.ts";
import { findDesc } from "./archive-metadata.ts";
import {
  copyRecord,
  type Filter,
  type MetricFilter,
  samePmids,
  Selection,
} from "./archive-result.ts";
import type { SharedArchive } from "./archive-shared.ts";
import type { Pacer } from "./pace.ts";

/** What a walk needs of its context: the time that it is at, which the walk moves on. */
export interface Origin {
  origin: Timestamp;
}

/** A place between two records, and the records on one side of it. */
export interface Steps {
  /** The cursor, for whoever asks which member is being read. */
  readonly cursor: SetCursor;
  /** Whether it stands anywhere yet. */
  readonly placed: boolean;
  /** The next fetch begins at the origin, in this direction. */
  place(direction: "forward" | "backward"): void;
  /** pmFetch. */
  fetch(pmids: readonly Pmid[], filter: Filter | undefined): Promise<ResultView>;
  /** pmFetchArchive. */
  fetchArchive(): ResultView;
  close(): void;
}

const endOf = (set: ArchiveSet, forward: boolean): PcpError => {
  const member = forward ? set.members.at(-1) : set.members[0];
  return new PcpError(
    PM_ERR.EOL,
    `${member?.name ?? ""}: no record ${forward ? "after" : "before"} this`,
  );
};

/** A walk through a set; `at.origin` follows it. */
export function createSteps(shared: SharedArchive, at: Origin, pacer: Pacer): Steps {
  const cursor = new SetCursor(shared.set);
  let forward = true;
  let placed = false;
  let selection = new Selection([]);

  const step = (): boolean => (forward ? cursor.next() : cursor.previous());

  /** The next record on the wanted side of the origin, which becomes the origin. */
  const read = (): DataRecord => {
    if (!placed) {
      cursor.seek(at.origin, forward ? "forward" : "backward");
      placed = true;
    }
    for (;;) {
      if (!step()) {
        if (!forward || !shared.growing) throw endOf(shared.set, forward);
        shared.refresh();
        if (!step()) throw endOf(shared.set, forward);
      }
      const { record } = cursor;
      const order = compareTimes(record, at.origin);
      if (forward ? order < 0 : order > 0) continue;
      at.origin = { sec: record.sec, nsec: record.nsec };
      return record;
    }
  };

  /** The values of the record read; undefined when its member was damaged and has been left. */
  const resultOf = (record: DataRecord): ResultView | undefined => {
    try {
      return record.result();
    } catch (error) {
      if (!cursor.leave(error, forward ? "forward" : "backward")) throw error;
      return undefined;
    }
  };

  return {
    cursor,
    get placed() {
      return placed;
    },
    place(direction) {
      forward = direction === "forward";
      placed = false;
    },
    async fetch(pmids, filter) {
      if (!samePmids(selection.pmids, pmids)) selection = new Selection(pmids);
      const ofMetric: MetricFilter | undefined =
        filter === undefined
          ? undefined
          : (pmid) => {
              const indom = findDesc(shared, pmid)?.indom;
              return indom === undefined ? undefined : filter(indom);
            };
      for (;;) {
        const pause = pacer.tick();
        if (pause !== undefined) await pause;
        const record = read();
        if (record.numpmid === 0) continue;
        const result = resultOf(record);
        if (result === undefined) continue;
        const selected = selection.select(result, ofMetric);
        if (selected !== undefined) return selected;
      }
    },
    fetchArchive() {
      for (;;) {
        const record = read();
        const result = resultOf(record);
        if (result !== undefined) return copyRecord(result, record.raw());
      }
    },
    close: () => cursor.close(),
  };
}
