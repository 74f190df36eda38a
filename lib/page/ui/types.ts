// What the page knows of metrics: the members of REST replies that it uses, checked as they come.

/** A metric's description. */
export interface Metric {
  readonly name: string;
  readonly pmid: string;
  /** Undefined for a metric without instances. */
  readonly indom: string | undefined;
  /** As /pmapi/metric writes it: 32, u32, 64, u64, float, double, string, … */
  readonly type: string;
  readonly sem: string;
  readonly units: string;
  readonly series: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly oneline: string;
  readonly help: string;
}

/** A value as it came: 64-bit numbers that a double does not hold are texts of digits. */
export type RawValue = number | string | null;

/** Values of one metric, by instance number; null: the metric has no instances. */
export interface RawSet {
  readonly name: string;
  readonly values: readonly (readonly [instance: number | null, value: RawValue])[];
}

/** One reply of /pmapi/fetch. */
export interface Fetched {
  /** Seconds since 1970 on the host of the metrics. */
  readonly time: number;
  readonly sets: readonly RawSet[];
}

type Fields = Readonly<Record<string, unknown>>;

/** An object's members; none for anything else. */
export const fieldsOf = (value: unknown): Fields =>
  typeof value === "object" && value !== null ? (value as Fields) : {};
/** A list; empty for anything else. */
export const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
/** A text; empty for anything else. */
export const textOf = (value: unknown): string =>
  typeof value === "string" ? value : typeof value === "number" ? String(value) : "";

/** Reads an entry of /pmapi/metric; undefined for one that tells of a failure. */
export function readMetric(value: unknown): Metric | undefined {
  const fields = fieldsOf(value);
  const name = textOf(fields["name"]);
  if (name === "" || fields["success"] === false) return undefined;
  const labels: Record<string, string> = {};
  for (const [key, label] of Object.entries(fieldsOf(fields["labels"])))
    labels[key] = String(label);
  const indom = textOf(fields["indom"]);
  return {
    name,
    pmid: textOf(fields["pmid"]),
    indom: indom === "" ? undefined : indom,
    type: textOf(fields["type"]),
    sem: textOf(fields["sem"]),
    units: textOf(fields["units"]),
    series: textOf(fields["series"]),
    labels,
    oneline: textOf(fields["text-oneline"]),
    help: textOf(fields["text-help"]),
  };
}

/** Reads a reply of /pmapi/fetch; undefined when it has no time. */
export function readFetched(value: unknown): Fetched | undefined {
  const fields = fieldsOf(value);
  const time = Number(fields["timestamp"]);
  if (!Number.isFinite(time)) return undefined;
  const sets = listOf(fields["values"]).map((entry): RawSet => {
    const set = fieldsOf(entry);
    const values = listOf(set["instances"]).map((each) => {
      const { instance, value: raw } = fieldsOf(each);
      const number = typeof instance === "number" ? instance : null;
      return [number, typeof raw === "number" || typeof raw === "string" ? raw : null] as const;
    });
    return { name: textOf(set["name"]), values };
  });
  return { time, sets };
}
