// Identifiers of the schema (spec series.md 3): SHA-1 of one canonical text for each thing that has a
// name. They are the same for every program that follows the rule, and never change their meaning.
import { type Label, PM_LABEL } from "../pcp/mod.ts";

/** A SHA-1 as 40 lower-case hexadecimal digits. */
export type SeriesId = string & { readonly [idBrand]: true };
declare const idBrand: unique symbol;

const hasher = new Bun.CryptoHasher("sha1");
const idOf = (text: string): SeriesId => hasher.update(text).digest("hex") as SeriesId;

/** An identifier as it was typed; nothing about it is checked but its form. */
export const asSeriesId = (text: string): SeriesId | undefined =>
  /^[0-9a-f]{40}$/.test(text) ? (text as SeriesId) : undefined;

/** Characters whose order among others is not that of their bytes in UTF-8. */
const HIGH = /[\ud800-\uffff]/;

/** Names in the order of their bytes. */
function byName({ name: a }: Label, { name: b }: Label): number {
  if (HIGH.test(a) || HIGH.test(b)) return Buffer.compare(Buffer.from(a), Buffer.from(b));
  return a < b ? -1 : Number(a > b);
}

/**
 * Labels as they enter identifiers (3.2): a later set wins, optional ones are dropped after that, the
 * others sorted by the bytes of their names. Values are JSON as recorded. `null` without any.
 */
export function identityLabels(sets: Iterable<readonly Label[]>): string {
  const merged = new Map<string, Label>();
  for (const labels of sets) for (const label of labels) merged.set(label.name, label);
  const kept = [...merged.values()]
    .filter(({ flags }) => (flags & PM_LABEL.OPTIONAL) === 0)
    .sort(byName);
  if (kept.length === 0) return "null";
  return `{${kept.map(({ name, value }) => `"${name}":${value === "" ? "null" : value}`).join(",")}}`;
}

/** A name: context path, host, metric, instance or label name; for a label value its JSON text. */
export const stringId = (text: string): SeriesId => idOf(`{"series":"string","value":"${text}"}`);

/** A source by its labels, which identityLabels gives. */
export const sourceId = (labels: string): SeriesId =>
  idOf(`{"series":"source","labels":${labels}}`);

/** What makes a metric a series of its own. */
export interface MetricIdentity {
  readonly name: string;
  /** From identityLabels. */
  readonly labels: string;
  /** counter, instant, discrete. */
  readonly semantics: string;
  /** In upper case. */
  readonly type: string;
  /** Empty for none. */
  readonly units: string;
}

/** The series of a metric. */
export const metricId = ({ name, labels, semantics, type, units }: MetricIdentity): SeriesId =>
  idOf(
    `{"series":"metric","name":"${name}","labels":${labels},"semantics":"${semantics}","type":"${type}","units":"${units}"}`,
  );

/** An instance by its name and the labels of its source, domain and instance domain. */
export const instanceId = (name: string, labels: string): SeriesId =>
  idOf(`{"series":"instance","name":"${name}","labels":${labels}}`);

/** A fabricated series by its canonical expression (9.1). */
export const expressionId = (text: string): SeriesId => idOf(`{"series":"expr","expr":"${text}"}`);

/** A document of the search index; the quote that is missing before `name` is missing in PCP. */
export const searchId = (type: "metric" | "indom" | "instance", name: string): SeriesId =>
  idOf(`{"series":"search","key":"pcp:text","type":"${type}",name:"${name}"}`);
