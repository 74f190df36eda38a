// Reports as JSON: what JSON lacks becomes something that it has. 64-bit numbers that a double cannot
// hold exactly become strings, numbers that are none (NaN, infinities) become null, bytes become
// {"hex": …}. Refuses nothing that the reports hold.
import {
  PM_IN_NULL,
  PM_INDOM_NULL,
  pmEventFlagsStr,
  pmInDomStr,
  pmSemStr,
  pmTypeStr,
} from "../pcp/mod.ts";
import type { EventRecord, MetricReport, Sample, ValueReport } from "./report.ts";

const isSafe = (value: bigint): boolean =>
  value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER);

/** A value as JSON has it; used by JSON.stringify for each one, and for values alone. */
export function jsonValue(value: unknown): unknown {
  if (typeof value === "bigint") return isSafe(value) ? Number(value) : String(value);
  if (typeof value === "number") return Number.isFinite(value) ? value : null;
  if (value instanceof Uint8Array) return { hex: Buffer.from(value).toString("hex") };
  return value;
}

/** JSON escapes C0 by itself; these may stand in its strings, and terminals would act on them. */
const escaped = (json: string): string =>
  json.replace(
    /[\u007f-\u009f\u2028-\u202e\u2066-\u2069\u200e\u200f\u061c\ufeff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );

/** One line of JSON without its newline. Escapes what terminals would act on. */
export const jsonText = (value: unknown): string =>
  escaped(JSON.stringify(value, (_key, each: unknown) => jsonValue(each)));

/** The same of what is made of JSON's own values: some times faster. */
export const plainJsonText = (value: unknown): string => escaped(JSON.stringify(value));

/** A metric as JSON tells it. */
export function metricJson({ desc, failure, ...report }: MetricReport): unknown {
  return {
    name: report.name,
    pmid: report.pmid,
    type: desc === null ? null : pmTypeStr(desc.type),
    semantics: desc === null ? null : pmSemStr(desc.sem),
    indom: desc === null || desc.indom === PM_INDOM_NULL ? null : pmInDomStr(desc.indom),
    units: desc === null ? null : report.units,
    rateUnits: report.rateUnits,
    help: report.help,
    error: failure,
  };
}

const eventJson = ({ flags, ...record }: EventRecord): unknown => ({
  time: record.time,
  flags: pmEventFlagsStr(flags)
    .split(",")
    .filter((name) => name !== ""),
  missed: record.missed,
  parameters: record.parameters.map(({ metric, pmid, value }) => ({ metric, pmid, value })),
});

function valueJson({ instance, name, value, events, rate }: ValueReport): unknown {
  const single = instance === PM_IN_NULL && name === null;
  return {
    instance: single ? null : instance,
    name,
    value: events === null ? value : null,
    ...(rate === null
      ? {}
      : {
          rate: typeof rate === "number" ? rate : null,
          noRate: typeof rate === "string" ? rate : null,
        }),
    ...(events === null ? {} : { events: events.map(eventJson) }),
  };
}

/** A sample as JSON tells it; `reports` are those of its metrics. */
export function sampleJson(sample: Sample, reports: readonly MetricReport[]): unknown {
  return {
    time: sample.time,
    mark: sample.mark,
    metrics: sample.metrics.map(({ failure, values }, at) => ({
      name: reports[at]?.name ?? "",
      error: failure,
      values: values.map(valueJson),
    })),
  };
}
