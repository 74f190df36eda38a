// Intervals as spans of time, for -t and for time windows (spec archive.md 14.1). The grammar is in
// the base room, since command lines have intervals too.
import {
  complaintLines,
  intervalSeconds,
  PM_ERR,
  PcpError,
  type TimeComplaint,
} from "../base/mod.ts";
import { type Span, spanOf } from "./instant.ts";

/** PCP's message of two lines, each with its newline. */
export const timeComplaint = (complaint: TimeComplaint): PcpError =>
  new PcpError(PM_ERR.GENERIC, `${complaintLines(complaint)}\n`);

/** The span of an interval, or what is wrong with it. */
export function readInterval(text: string): Span | TimeComplaint {
  const seconds = intervalSeconds(text);
  return typeof seconds === "number" ? spanOf(seconds) : seconds;
}

/** An interval as pmParseInterval(3); the error is PCP's text. */
export function parseInterval(text: string): Span {
  const span = readInterval(text);
  if ("reason" in span) throw timeComplaint(span);
  return span;
}
