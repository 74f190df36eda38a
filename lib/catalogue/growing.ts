// Surveys of archives that grow, kept in memory so that at each change only what is new is read: loggers
// write every second, and to survey all again each time would cost more than all else. Bounded by the
// metadata that they keep; those that have not grown for a while make room. A survey whose outcome may not be
// in the catalogue is not kept. Refuses nothing.
import type { Listings } from "../archive/mod.ts";
import type { OpenSurvey } from "./survey.ts";

/** Bytes of metadata of all that are kept; in memory they take some times as many. */
const MOST_BYTES = 16 * 1024 * 1024;
/** How many are kept. */
const MOST_SURVEYS = 256;
/** Milliseconds after which one that has not grown makes room for others. */
const QUIET_MS = 300_000;

/** A survey that has gone on. */
export interface GrownSurvey {
  readonly survey: OpenSurvey;
  /** Whether something is new but values. */
  readonly more: boolean;
  /** Bytes of metadata that were read. */
  readonly bytes: number;
}

/** Surveys that are kept. */
export interface GrowingSurveys {
  /**
   * Goes on with the survey of an archive that the catalogue has with the stamp `before`; undefined: it has to
   * be surveyed again. The survey is out then: it is kept again when the catalogue has what came of it.
   */
  grow(path: string, before: string | undefined, listings?: Listings): GrownSurvey | undefined;
  /**
   * Keeps the survey of what the catalogue has with a stamp now, if it can go on and there is room. Files that
   * were replaced since the stamp was taken may have been half of one archive, half of the other.
   */
  keep(path: string, stamp: string, survey: OpenSurvey): void;
  /** The catalogue has another stamp for what a kept survey has come to: nothing but values were added. */
  restamp(path: string, before: string | undefined, stamp: string): void;
  drop(path: string): void;
}

/** None yet. */
export function growingSurveys(): GrowingSurveys {
  interface Kept {
    readonly survey: OpenSurvey;
    readonly stamp: string;
    readonly at: number;
  }
  /** The one that grew last is the last. */
  const kept = new Map<string, Kept>();
  return {
    grow(path, before, listings) {
      const one = kept.get(path);
      kept.delete(path);
      if (one === undefined || one.stamp !== before) return undefined;
      const { survey } = one;
      const { bytes } = survey;
      const more = survey.grow(listings);
      return more === undefined ? undefined : { survey, more, bytes: survey.bytes - bytes };
    },
    keep(path, stamp, survey) {
      const lines = `\n${stamp}`;
      const isOf = survey.files?.every(({ path: file, inode }) =>
        lines.includes(`\n${file} ${inode} `),
      );
      if (isOf !== true) return;
      const now = performance.now();
      for (const [quiet, { at }] of kept) {
        if (now - at < QUIET_MS) break;
        kept.delete(quiet);
      }
      const bytes = kept.values().reduce((sum, each) => sum + each.survey.bytes, survey.bytes);
      if (kept.size < MOST_SURVEYS && bytes <= MOST_BYTES)
        kept.set(path, { survey, stamp, at: now });
    },
    restamp(path, before, stamp) {
      const one = kept.get(path);
      kept.delete(path);
      if (one !== undefined && one.stamp === before)
        kept.set(path, { ...one, stamp, at: performance.now() });
    },
    drop: (path) => {
      kept.delete(path);
    },
  };
}
