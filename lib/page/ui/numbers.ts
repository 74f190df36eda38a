// What values mean on a chart: counters become rates, units become prefixes that people read. Pure;
// knows nothing of the page. A counter that goes backwards has wrapped or was reset: the first is
// reckoned with, the second is a gap.
import type { Metric, RawValue } from "./types.ts";

/** A number of a metric; 64-bit ones may be whole. */
export type Sample = number | bigint;

/** How the values of a metric are shown. */
export type Kind = "rate" | "value" | "text";

const NUMERIC = /^(u?32|u?64|float|double)$/;

/** What the unit of a metric comes from. */
export type Measure = Pick<Metric, "type" | "sem" | "units">;

/** Counters are shown as rates, what is measured as it is, the rest as text. */
export function kindOf({ type, sem }: Pick<Metric, "type" | "sem">): Kind {
  if (!NUMERIC.test(type)) return "text";
  if (sem === "counter") return "rate";
  return sem === "instant" ? "value" : "text";
}

/** The number of a value; undefined for what is none. */
export function sampleOf(value: RawValue, type: string): Sample | undefined {
  if (typeof value === "number") return NUMERIC.test(type) ? value : undefined;
  if (typeof value !== "string" || !type.endsWith("64") || !/^-?\d+$/.test(value)) return undefined;
  return BigInt(value);
}

/** Bits of the type in which a counter wraps; 0: it does not. */
const bitsOf = (type: string): bigint => (/^u?(32|64)$/.test(type) ? BigInt(type.slice(-2)) : 0n);

/**
 * What a counter has gained; undefined when it was reset. Less than before is a wrap where the counter
 * would have moved by no more than a quarter of its range.
 */
export function gainOf(before: Sample, after: Sample, type: string): number | undefined {
  if (typeof before === "number" && typeof after === "number" && after >= before) {
    return after - before;
  }
  const bits = bitsOf(type);
  if (bits === 0n) return undefined;
  const gain = BigInt(after) - BigInt(before);
  if (gain >= 0n) return Number(gain);
  const wrapped = gain + (1n << bits);
  return wrapped >= 0n && wrapped < 1n << (bits - 2n) ? Number(wrapped) : undefined;
}

/** How numbers are written. */
type Style = "binary" | "decimal" | "seconds" | "percent";

/** The unit of a chart. */
export interface Unit {
  readonly style: Style;
  /** What values are multiplied with before they are drawn. */
  readonly factor: number;
  /** Behind every number, after a prefix. */
  readonly suffix: string;
  /** In the head of the chart. */
  readonly title: string;
}

const BYTES = ["byte", "Kbyte", "Mbyte", "Gbyte", "Tbyte", "Pbyte", "Ebyte"];
const SECONDS: Readonly<Record<string, number>> = {
  nanosec: 1e-9,
  microsec: 1e-6,
  millisec: 1e-3,
  sec: 1,
  min: 60,
  hour: 3600,
};

/** The unit in which a metric is drawn. */
export function unitOf(metric: Measure): Unit {
  const isRate = kindOf(metric) === "rate";
  const { units } = metric;
  const perSecond = isRate ? "/s" : "";
  const [, bytes, slash] = /^(\w*byte)( \/ sec)?$/.exec(units) ?? [];
  const power = BYTES.indexOf(bytes ?? "");
  if (power >= 0 && !(isRate && slash !== undefined)) {
    const suffix = `B${slash === undefined ? perSecond : "/s"}`;
    return { style: "binary", factor: 1024 ** power, suffix, title: suffix.replace("B", "bytes") };
  }
  const seconds = SECONDS[units];
  if (seconds !== undefined && isRate) {
    return { style: "percent", factor: 100 * seconds, suffix: "%", title: "% of time" };
  }
  if (seconds !== undefined) {
    return { style: "seconds", factor: seconds, suffix: "s", title: "time" };
  }
  const plain = units === "none" || units === "";
  const word = plain ? "" : units;
  const title = isRate ? `${word} per second`.trim() : word;
  const isShort = plain || units === "count" || units === "count / sec";
  const rate = units === "count / sec" ? "/s" : perSecond;
  return { style: "decimal", factor: 1, suffix: isShort ? rate : "", title };
}

/** So many digits; a whole number that has no more of them stays whole. */
const precise = (value: number, digits: number): string => {
  if (Number.isInteger(value) && Math.abs(value) < 10 ** digits) return String(value);
  const text = value.toPrecision(digits);
  return text.includes("e") ? String(Number(text)) : text;
};

function prefixed(
  value: number,
  digits: number,
  base: number,
  prefixes: readonly string[],
  from: number,
): string {
  let rest = value;
  let at = 0;
  while (Math.abs(rest) >= (at === 0 ? from : base) && at < prefixes.length - 1) {
    rest /= base;
    at++;
  }
  const whole = Math.abs(rest) >= 1000 ? 4 : 3;
  return `${precise(rest, Math.max(whole, digits))} ${prefixes[at] ?? ""}`;
}

const BINARY = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
const DECIMAL = ["", "k", "M", "G", "T", "P", "E"];

function duration(value: number, digits: number): string {
  const size = Math.abs(value);
  if (size === 0) return "0 s";
  if (size < 1e-6) return `${precise(value * 1e9, digits)} ns`;
  if (size < 1e-3) return `${precise(value * 1e6, digits)} µs`;
  if (size < 1) return `${precise(value * 1e3, digits)} ms`;
  if (size < 120) return `${precise(value, digits)} s`;
  if (size < 7200) return `${precise(value / 60, digits)} min`;
  if (size < 172_800) return `${precise(value / 3600, digits)} h`;
  return `${precise(value / 86_400, digits + 1)} d`;
}

/** A number of a chart as text: some three digits, a prefix, the unit. */
export function formatted(value: number | null | undefined, unit: Unit, digits = 3): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const { style, suffix } = unit;
  switch (style) {
    case "binary":
      return prefixed(value, digits, 1024, BINARY, 1024) + suffix;
    case "seconds":
      return duration(value, digits);
    case "percent":
      return `${precise(value, digits)} %`;
    case "decimal":
      return (prefixed(value, digits, 1000, DECIMAL, 10_000) + suffix).trimEnd();
    default:
      return style satisfies never;
  }
}

/** Most digits of a number. */
const DIGITS_MAX = 9;

/** The numbers of an axis as texts, with as many digits as tell them apart. */
export function tickTexts(values: readonly number[], unit: Unit): string[] {
  for (let digits = 3; ; digits++) {
    const texts = values.map((value) =>
      formatted(value, unit, digits).replace(/\.(\d*?)0+(?!\d)/, (_, rest: string) =>
        rest === "" ? "" : `.${rest}`,
      ),
    );
    if (digits === DIGITS_MAX || new Set(texts).size === texts.length) return texts;
  }
}

/** Distances between ticks that suit a unit; undefined: the usual ones. */
export function ticksOf(unit: Unit): number[] | undefined {
  if (unit.style !== "binary") return undefined;
  return Array.from({ length: 60 }, (_, power) => 2 ** power);
}

/** The lower and upper end of a chart's value axis. */
export function rangeOf(min: number | null, max: number | null, kind: Kind): [number, number] {
  if (min === null || max === null) return [0, 1];
  const low = min;
  const high = max;
  // What varies little far above zero is shown for its shape.
  if (kind === "value" && low > 0 && high > low && low > 0.5 * high) {
    const room = (high - low) * 0.1;
    return [Math.max(0, low - room), high + room];
  }
  // Nothing but zero is a line at the bottom.
  if (low === 0 && high === 0) return [0, 1];
  const top = Math.max(high, 0);
  const bottom = Math.min(low, 0);
  const room = (top - bottom) * 0.08;
  return [bottom === 0 ? 0 : bottom - room, top === 0 ? 0 : top + room];
}
