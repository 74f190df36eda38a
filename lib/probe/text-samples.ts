// Samples in a row as text: a table with a column for each value while that fits the width, else a
// list for each time. Columns stay once they are there; a header is printed again when some are
// added. Prints nothing itself; what comes from others was made harmless in the report.
import { PM_IN_NULL, PM_TYPE } from "../pcp/mod.ts";
import type { MetricReport, Sample, ValueReport } from "./report.ts";
import { paint, type Style } from "./style.ts";
import { cellText, eventLines, timeText, type TimeStyle } from "./text-values.ts";

/** A column: one value of one metric. */
interface Column {
  readonly key: string;
  /** Of the metric in the order of all. */
  readonly at: number;
  readonly metric: string;
  readonly instance: string;
  readonly width: number;
}

const GAP = "  ";
/** Columns of a time in short and in full. */
const CLOCK_WIDTH = 12;
const DATE_WIDTH = 34;

const keyOf = (at: number, value: ValueReport): string => `${at}.${value.instance}`;

const isSingular = (value: ValueReport): boolean =>
  value.name === null && value.instance === PM_IN_NULL;

const instanceText = (value: ValueReport): string =>
  isSingular(value) ? "" : (value.name ?? String(value.instance));

/** Columns that values take as a rule, so that a table does not shift at every larger one. */
function usualWidth({ desc, rateUnits }: MetricReport, rates: boolean): number {
  if (desc === null) return 8;
  if (rates && rateUnits !== null) return 10;
  if (desc.type === PM_TYPE.I32 || desc.type === PM_TYPE.U32) return 8;
  return 10;
}

const padStart = (text: string, width: number): string =>
  " ".repeat(Math.max(0, width - Bun.stringWidth(text))) + text;

/** How samples are printed. */
export interface SampleStyle {
  readonly style: Style;
  readonly time: TimeStyle;
  /** Counters are shown as rates. */
  readonly rates: boolean;
}

/** Turns samples into lines, one after the other; `reports` are those of their metrics. */
export class SampleWriter {
  private columns: readonly Column[] = [];
  private begun = false;
  /** A list it stays once the values were too many for a table. */
  private listed = false;
  /** Why a metric has no values, as it was told last. */
  private readonly told = new Map<number, string>();
  private readonly timeWidth: number;

  constructor(
    private readonly reports: readonly MetricReport[],
    private readonly how: SampleStyle,
  ) {
    this.timeWidth = how.time.full ? DATE_WIDTH : CLOCK_WIDTH;
  }

  private column(at: number, report: MetricReport, value: ValueReport): Column {
    const metric = this.reports.length > 1 ? report.name : "";
    const instance = instanceText(value);
    const widths = [metric, instance, cellText(value)].map((text) => Bun.stringWidth(text));
    const width = Math.max(...widths, usualWidth(report, this.how.rates));
    return { key: keyOf(at, value), at, metric, instance, width };
  }

  /** The columns so far with those of the sample: by metric, then as they came. */
  private columnsWith(sample: Sample): readonly Column[] {
    const found = new Map(this.columns.map((each) => [each.key, each]));
    const before = found.size;
    sample.metrics.forEach(({ values }, at) => {
      const report = this.reports[at];
      if (report === undefined) return;
      for (const value of values) {
        const key = keyOf(at, value);
        if (!found.has(key)) found.set(key, this.column(at, report, value));
      }
    });
    if (found.size === before) return this.columns;
    return [...found.values()].sort((a, b) => a.at - b.at);
  }

  private fits(columns: readonly Column[], sample: Sample): boolean {
    const width = columns.reduce((sum, each) => sum + each.width + GAP.length, this.timeWidth);
    const events = sample.metrics.some(({ values }) => values.some((each) => each.events !== null));
    return width <= this.how.style.width && !events;
  }

  private row(first: string, cells: readonly string[], columns: readonly Column[]): string {
    const parts = cells.map((cell, i) => padStart(cell, columns[i]?.width ?? 0));
    return [first.padEnd(this.timeWidth), ...parts].join(GAP).trimEnd();
  }

  private header(columns: readonly Column[]): string {
    const lines: string[] = [];
    for (const field of ["metric", "instance"] as const) {
      if (columns.every((each) => each[field] === "")) continue;
      // A metric's name stands over its first column alone.
      const cells = columns.map((each, i) =>
        field === "metric" && columns[i - 1]?.at === each.at ? "" : each[field],
      );
      lines.push(paint(this.how.style, "dim", this.row("", cells, columns)));
    }
    if (lines.length === 0) return "";
    return `${this.begun ? "\n" : ""}${lines.join("\n")}\n`;
  }

  /** Why metrics have no values, where that has changed since it was told. */
  private notes(sample: Sample): string {
    let text = "";
    sample.metrics.forEach(({ failure, values }, at) => {
      const reason = failure?.message ?? (values.length === 0 ? "no values" : "");
      if (reason !== "" && reason !== this.told.get(at)) {
        const name = this.reports.length > 1 ? `${this.reports[at]?.name ?? ""}: ` : "";
        const indent = " ".repeat(this.timeWidth + GAP.length);
        text += `${indent}${name}${paint(this.how.style, "warn", reason)}\n`;
      }
      this.told.set(at, reason);
    });
    return text;
  }

  private table(sample: Sample, columns: readonly Column[]): string {
    const header =
      !this.begun || columns.length !== this.columns.length ? this.header(columns) : "";
    this.columns = columns;
    const cells = new Map<string, string>();
    sample.metrics.forEach(({ values }, at) => {
      for (const value of values) cells.set(keyOf(at, value), cellText(value));
    });
    const line = this.row(
      timeText(sample.time, this.how.time),
      columns.map((each) => cells.get(each.key) ?? "?"),
      columns,
    );
    return `${header}${line}\n${this.notes(sample)}`;
  }

  private list(sample: Sample): string {
    const { style, time } = this.how;
    const entries = sample.metrics.flatMap(({ failure, values }, at) => {
      const name = this.reports[at]?.name ?? "";
      if (values.length === 0) {
        const text = paint(style, "warn", failure?.message ?? "no values");
        return [{ label: name, text, events: null }];
      }
      return values.map((value) => ({
        label: isSingular(value) ? name : `${name}[${instanceText(value)}]`,
        text: cellText(value),
        events: value.events,
      }));
    });
    const widest = Math.max(...entries.map((each) => Bun.stringWidth(each.label)));
    const width = Math.min(widest, style.width - 20);
    const lines = [paint(style, "strong", timeText(sample.time, time))];
    for (const { label, text, events } of entries) {
      const gap = " ".repeat(Math.max(0, width - Bun.stringWidth(label)));
      lines.push(`  ${label}${gap}  ${text}`);
      if (events !== null) lines.push(...eventLines(events, time, "    "));
    }
    return `${lines.join("\n")}\n`;
  }

  /** The lines of a sample, each with its newline. */
  write(sample: Sample): string {
    const { style, time } = this.how;
    if (sample.mark) {
      const text = paint(style, "warn", "recording was interrupted");
      return `${timeText(sample.time, time).padEnd(this.timeWidth)}${GAP}${text}\n`;
    }
    const columns = this.columnsWith(sample);
    if (columns.length === 0) {
      const reasons = sample.metrics.map((each) => each.failure?.message);
      const reason = reasons.find((each) => each !== undefined) ?? "no values available";
      return `${timeText(sample.time, time).padEnd(this.timeWidth)}${GAP}${paint(style, "warn", reason)}\n`;
    }
    this.listed ||= !this.fits(columns, sample);
    const text = this.listed ? this.list(sample) : this.table(sample, columns);
    this.begun = true;
    return text;
  }
}
