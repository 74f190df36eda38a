// Metrics and their values at one time as text: descriptor, help and values in pminfo's lines. Pure;
// what comes from others was made harmless in the report.
import {
  ctimeText,
  clockText,
  type Desc,
  pmInDomStr,
  PM_INDOM_NULL,
  pmSemStr,
  PM_TYPE,
  pmTypeWords,
  type Timestamp,
  type Zone,
} from "../pcp/mod.ts";
import { eventHead } from "./events.ts";
import type { EventRecord, MetricReport, MetricValues, ValueReport } from "./report.ts";
import { paint, type Style, wrapText } from "./style.ts";

/** How times are shown: in which zone, and in full. */
export interface TimeStyle {
  readonly zone: Zone;
  /** With date and nanoseconds. */
  readonly full: boolean;
}

/** A time as the zone has it; 1,000,000,000 nanoseconds, as interpolation can give, are a second. */
export function timeText(time: Timestamp, { zone, full }: TimeStyle): string {
  const whole = time.nsec >= 1_000_000_000 ? { sec: time.sec + 1, nsec: 0 } : time;
  return full ? ctimeText(whole, zone, 9) : clockText(whole, zone, 3);
}

const none = (units: string): string => (units === "" ? "none" : units);

function descLines(desc: Desc, units: string, rateUnits: string | null): readonly string[] {
  if (desc.type === PM_TYPE.NOSUPPORT) return ["    Data Type: Not Supported"];
  const indom = `${pmInDomStr(desc.indom)} 0x${desc.indom.toString(16)}`;
  // A counter of seconds, per second: no units are left.
  const per = rateUnits === "" ? "time utilization" : rateUnits;
  const rate = per === null ? "" : ` (shown as a rate: ${per})`;
  return [
    `    Data Type: ${pmTypeWords(desc.type)}  InDom: ${indom}`,
    `    Semantics: ${semText(desc.sem)}  Units: ${none(units)}${rate}`,
  ];
}

const semText = (sem: number): string => {
  const text = pmSemStr(sem);
  return text === "???" ? `??? (${sem})` : text;
};

/** Lines about a metric: name, help, descriptor, or why there is none. */
export function metricLines(
  style: Style,
  report: MetricReport,
  asRate: boolean,
): readonly string[] {
  const { name, pmid, desc, help, failure } = report;
  const lines = [`${paint(style, "strong", name)} PMID: ${pmid}`];
  if (help !== null && help !== "") {
    lines.push(paint(style, "dim", wrapText(`[${help}]`, style.width, 4)));
  }
  if (desc !== null) lines.push(...descLines(desc, report.units, asRate ? report.rateUnits : null));
  if (failure !== null) {
    lines.push(`    ${paint(style, "bad", `Error: ${failure.message}`)}`);
  }
  return lines;
}

/** The records of an event array, a line each and one for each parameter. */
export function eventLines(
  events: readonly EventRecord[],
  time: TimeStyle,
  indent: string,
): string[] {
  return events.flatMap((record, i) => [
    `${indent}${timeText(record.time, time)} --- event record [${i}] ${eventHead(record)} ---`,
    ...record.parameters.map((each) => `${indent}  ${each.metric} ${each.text}`),
  ]);
}

/** What stands for a value in a table or list. */
export function cellText(value: ValueReport): string {
  if (value.rate === null) return value.text;
  if (value.rate === "first") return "-";
  if (value.rate === "back") return "!";
  return rateText(value.rate);
}

/** A rate with six digits that count. */
export function rateText(rate: number): string {
  if (!Number.isFinite(rate)) return String(rate);
  if (rate !== 0 && (Math.abs(rate) < 1e-4 || Math.abs(rate) >= 1e15)) return rate.toExponential(5);
  return String(Number(rate.toPrecision(6)));
}

/** The values of one metric below its descriptor, as pminfo -f prints them. */
function detailLines(
  style: Style,
  { desc }: MetricReport,
  values: MetricValues,
  time: TimeStyle,
): readonly string[] {
  if (values.failure !== null) {
    const { message, hint } = values.failure;
    const lines = [`    ${paint(style, "bad", `Error: ${message}`)}`];
    if (hint !== null) lines.push(wrapText(`hint: ${hint}`, style.width, 4));
    return lines;
  }
  if (values.values.length === 0) return [`    ${paint(style, "warn", "No value(s) available!")}`];
  return values.values.flatMap((value) => {
    const name = value.name === null ? "" : ` or "${value.name}"`;
    const inst = desc?.indom === PM_INDOM_NULL ? "" : `inst [${value.instance}${name}] `;
    return [
      `    ${inst}value ${value.text}`,
      ...(value.events === null ? [] : eventLines(value.events, time, "      ")),
    ];
  });
}

/** Every metric with its values at one time. `values` belong to the reports without a failure. */
export function detailText(
  style: Style,
  reports: readonly MetricReport[],
  values: readonly MetricValues[],
  time: TimeStyle,
): string {
  let at = 0;
  const blocks = reports.map((report) => {
    const lines = [...metricLines(style, report, false)];
    if (report.failure === null) {
      const found = values[at++];
      if (found !== undefined) lines.push(...detailLines(style, report, found, time));
    }
    return lines.join("\n");
  });
  return blocks.length === 0 ? "" : `${blocks.join("\n\n")}\n`;
}
