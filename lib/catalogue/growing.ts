// Surveys of archives that grow, kept in memory so that at each change only what is new is read: loggers
// write every second, and to survey all again each time would cost more than all else. Bounded by the
// metadata that they keep; those that have not grown for a while make room. Refuses what the catalogue
// refuses; a survey whose outcome may not be in the catalogue is not kept.
import type { Listings } from "../archive/mod.ts";
import type { Catalogue } from "./catalogue.ts";
import type { OpenSurvey } from "./survey.ts";

/** Bytes of metadata of all that are kept; in memory they take some times as many. */
const MOST_BYTES = 16 * 1024 * 1024;
/** How many are kept. */
const MOST_SURVEYS = 256;
/** Milliseconds after which one that has not grown makes room for others. */
const QUIET_MS = 300_000;

/** Surveys that are kept. */
export interface GrowingSurveys {
  /**
   * Brings the catalogue in step with an archive that was there with the stamp `before`; gives the bytes of
   * metadata that were read. Undefined: it has to be surveyed again. Throws PcpError.
   */
  grow(
    path: string,
    before: string | undefined,
    stamp: string,
    listings?: Listings,
  ): number | undefined;
  /** Keeps the survey of what the catalogue has with a stamp now, if it can go on and there is room. */
  keep(path: string, stamp: string, survey: OpenSurvey): void;
  drop(path: string): void;
}

/** None yet. */
export function growingSurveys(catalogue: Catalogue): GrowingSurveys {
  interface Kept {
    readonly survey: OpenSurvey;
    readonly stamp: string;
    readonly at: number;
  }
  /** The one that grew last is the last. */
  const kept = new Map<string, Kept>();
  const keep = (path: string, stamp: string, survey: OpenSurvey): void => {
    const now = performance.now();
    for (const [quiet, { at }] of kept) {
      if (now - at < QUIET_MS) break;
      kept.delete(quiet);
    }
    const bytes = kept.values().reduce((sum, each) => sum + each.survey.bytes, survey.bytes);
    if (kept.size < MOST_SURVEYS && bytes <= MOST_BYTES) kept.set(path, { survey, stamp, at: now });
  };
  return {
    grow(path, before, stamp, listings) {
      const one = kept.get(path);
      // What fails below leaves nothing that could be taken for what the catalogue has.
      kept.delete(path);
      if (one === undefined || one.stamp !== before) return undefined;
      const { survey } = one;
      const { bytes } = survey;
      const isMore = survey.grow(listings);
      if (isMore === undefined) return undefined;
      if (isMore) catalogue.put(path, stamp, survey.survey());
      else catalogue.touch(path, stamp, survey.end());
      keep(path, stamp, survey);
      return survey.bytes - bytes;
    },
    keep: (path, stamp, survey) => {
      if (survey.goesOn) keep(path, stamp, survey);
    },
    drop: (path) => {
      kept.delete(path);
    },
  };
}
