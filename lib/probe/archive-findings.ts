// Findings: what is wrong, or odd, in archives although every record holds. Bounded: the first ones are
// kept, all are counted. Refuses nothing.
import type { Timestamp } from "../pcp/mod.ts";
import type { CheckReport, Finding } from "./archive-types.ts";

/** The sorts of findings. */
export const FINDINGS = {
  BACKWARDS: "time-backwards",
  METRIC: "unknown-metric",
  TWICE: "metric-twice",
  FORMAT: "value-format",
  TYPE: "value-type",
  SIZE: "value-size",
  TEXT: "text-without-end",
  EVENTS: "event-array",
  SINGULAR: "singular-metric",
  DOMAIN: "unknown-domain",
  INSTANCE: "unknown-instance",
  REPEATED: "instance-twice",
  COUNTER: "counter-backwards",
  DESCRIPTOR: "descriptor",
  ODD_DESCRIPTOR: "odd-descriptor",
  NO_NAME: "metric-without-name",
  NO_INDEX: "no-index",
  INCOMPLETE: "incomplete-end",
  RECORD_TYPE: "record-of-other-version",
  INDEX_TIME: "index-time",
  INDEX_PLACE: "index-place",
  INDEX_ORDER: "index-order",
} as const;

/**
 * Sorts that sound archives have as well: counters wrap and begin anew with what they count, an
 * instance may be gone between its name and its value, and some agents have scales without dimensions.
 */
export const HARMLESS: ReadonlySet<string> = new Set([
  FINDINGS.COUNTER,
  FINDINGS.INSTANCE,
  FINDINGS.ODD_DESCRIPTOR,
]);

/** Sorts whose offset is the number of an entry, which their messages say. */
export const OF_ENTRIES: ReadonlySet<string> = new Set([
  FINDINGS.INDEX_TIME,
  FINDINGS.INDEX_PLACE,
  FINDINGS.INDEX_ORDER,
]);

/** Findings so far. */
export interface Findings {
  add(
    sort: string,
    file: string,
    offset: number | null,
    time: Timestamp | null,
    message: string,
  ): void;
  report(): CheckReport;
}

/** None yet; at most `most` will be kept. */
export function newFindings(most: number): Findings {
  const findings: Finding[] = [];
  const counts = new Map<string, number>();
  return {
    add(sort, file, offset, time, message) {
      counts.set(sort, (counts.get(sort) ?? 0) + 1);
      if (findings.length < most) findings.push({ sort, file, offset, time, message });
    },
    report: () => ({ findings, counts: Object.fromEntries(counts) }),
  };
}
