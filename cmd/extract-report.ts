// What a run came to, for people (a dry run) and for programs (--json). Times are in UTC; sizes are
// those before compression.

import type { ExtractJob, ExtractSummary } from "../lib/extract/mod.ts";
import { clockText, type Instant, localTime, pmIDStr, UTC } from "../lib/pcp/mod.ts";

/** ISO 8601 in UTC with nanoseconds. */
function isoTime(at: Instant): string {
  const { year, month, day } = localTime(at, UTC);
  const two = (value: number): string => String(value).padStart(2, "0");
  return `${String(year).padStart(4, "0")}-${two(month)}-${two(day)}T${clockText(at, UTC, 9)}Z`;
}

const maybeTime = (at: Instant | undefined): string | null =>
  at === undefined ? null : isoTime(at);

const totalBytes = ({ bytes }: ExtractSummary): number => bytes.data + bytes.meta + bytes.index;

/** The summary as one line of JSON. */
export function summaryJson(summary: ExtractSummary, job: ExtractJob): string {
  const { window, metrics, dropped, bytes } = summary;
  return `${JSON.stringify({
    status: summary.status,
    dryRun: job.dryRun === true,
    output: summary.output,
    version: summary.version,
    compression: job.compress ?? null,
    inputs: summary.inputs.map(({ start, end, ...rest }) => ({
      ...rest,
      start: isoTime(start),
      end: maybeTime(end),
    })),
    empty: summary.empty,
    window: { start: maybeTime(window.start), finish: maybeTime(window.finish) },
    metrics: metrics.map(({ pmid, names }) => ({ pmid: pmIDStr(pmid), names })),
    dropped: dropped.map((pmid) => pmIDStr(pmid)),
    records: summary.records,
    marks: summary.marks,
    volumes: summary.volumes,
    start: maybeTime(summary.start),
    end: maybeTime(summary.end),
    bytes: { ...bytes, total: totalBytes(summary) },
    seconds: Number(summary.seconds.toFixed(3)),
  })}\n`;
}

const plural = (count: number, word: string): string =>
  `${count.toLocaleString("en-US")} ${word}${count === 1 ? "" : "s"}`;

/** The report of a dry run. */
export function reportText(summary: ExtractSummary, job: ExtractJob): string {
  const { inputs, empty, window, metrics, dropped, bytes } = summary;
  const lines: string[] = ["Inputs:"];
  for (const { name, version, host, start, end, records, bytes: size, damaged } of inputs) {
    const until = end === undefined ? "(unknown)" : isoTime(end);
    lines.push(
      `  ${name}: version ${version}, host ${host}, ${plural(records, "record")} read, ${plural(size, "byte")}${damaged ? ", damaged" : ""}`,
      `    ${isoTime(start)} to ${until}`,
    );
  }
  for (const name of empty) lines.push(`  ${name}: empty, skipped`);
  if (window.start !== undefined || window.finish !== undefined) {
    const from = window.start === undefined ? "the start" : isoTime(window.start);
    const to = window.finish === undefined ? "the end" : isoTime(window.finish);
    lines.push(`Window: ${from} to ${to}${job.daily === true ? ", every day" : ""}`);
  }
  lines.push(`Metrics kept: ${metrics.length}`);
  for (const { pmid, names } of metrics) lines.push(`  ${pmIDStr(pmid)} ${names.join(" ")}`);
  if (dropped.length > 0) {
    lines.push(`Metrics left out for conflicting metadata: ${dropped.map(pmIDStr).join(", ")}`);
  }
  lines.push(
    `Output: ${summary.output}, version ${summary.version}, ${plural(summary.volumes, "volume")}, ${plural(summary.records, "record")} of which ${plural(summary.marks, "mark")}`,
  );
  if (summary.start !== undefined && summary.end !== undefined) {
    lines.push(`  ${isoTime(summary.start)} to ${isoTime(summary.end)}`);
  }
  const before = job.compress === undefined ? "" : " before compression";
  lines.push(
    `  ${plural(totalBytes(summary), "byte")}${before}: data ${bytes.data}, metadata ${bytes.meta}, index ${bytes.index}`,
    "Nothing was written.",
  );
  return `${lines.join("\n")}\n`;
}
