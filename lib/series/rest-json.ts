// The JSON of REST requests about series, byte for byte as pmproxy writes it (spec series.md 12, webapi.md
// 16): one line that ends with CR LF. PCP quotes bytes outside ASCII as `\xHH`, which no JSON parser takes;
// callers choose between that and UTF-8. Where nothing was found there is no data: `[]` or `{}`. Values are
// written by values-json.ts.
import { utf8 } from "../base/mod.ts";
import type { SeriesDescriptor, SeriesInstance, SeriesLabel } from "./store.ts";

/** How texts are quoted: as PCP does, or as JSON in UTF-8. */
export type Quoting = "pcp" | "json";

const SHORT: Readonly<Record<number, string>> = {
  0x5c: "\\\\",
  0x22: '\\"',
  0x0a: "\\n",
  0x0d: "\\r",
  0x09: "\\t",
  0x08: "\\b",
};

/** What stands for a byte between quotes; undefined for the byte itself. */
export function escapeOf(byte: number, quoting: Quoting): string | undefined {
  if (byte >= 0x20 && byte < 0x7f && byte !== 0x22 && byte !== 0x5c) return undefined;
  const short = SHORT[byte];
  if (short !== undefined) return short;
  const hex = byte.toString(16).padStart(2, "0");
  if (quoting === "pcp") return byte === 0x07 ? "\\a" : `\\x${hex}`;
  return byte >= 0x7f ? undefined : `\\u00${hex}`;
}

/** A text between quotes. */
export function quoted(text: string, quoting: Quoting): string {
  if (/^[ !#-[\]-~]*$/.test(text)) return `"${text}"`;
  if (quoting === "json")
    return `"${text.replace(/./gsu, (char) => (char < "\u007f" ? (escapeOf(char.charCodeAt(0), quoting) ?? char) : char))}"`;
  let out = "";
  for (const byte of utf8(text)) out += escapeOf(byte, quoting) ?? String.fromCharCode(byte);
  return `"${out}"`;
}

/** Behind each answer. */
export const END = "\r\n";

/** The answer to a request that carries `client`, around a result. */
const wrapped = (client: string | undefined, result: string, quoting: Quoting): string =>
  client === undefined
    ? `${result}${END}`
    : `{"client":${quoted(client, quoting)},"result":${result}}${END}`;

/** An answer, and whether it has data: without any it is no `application/json`. */
export interface JsonAnswer {
  readonly body: string;
  readonly hasData: boolean;
}

/** How answers are written. */
export interface JsonForm {
  readonly quoting: Quoting;
  /** Parameter `client` of the request. */
  readonly client?: string | undefined;
}

const listOf = (items: readonly string[], { quoting, client }: JsonForm): JsonAnswer => ({
  body: wrapped(client, `[${items.join(",")}]`, quoting),
  hasData: items.length > 0,
});

/** Identifiers or names. */
export const namesJson = (names: readonly string[], form: JsonForm): JsonAnswer =>
  listOf(
    names.map((name) => quoted(name, form.quoting)),
    form,
  );

/** Descriptors; `series` and `descriptors` go together. */
export const descriptorsJson = (
  series: readonly string[],
  descriptors: readonly SeriesDescriptor[],
  form: JsonForm,
): JsonAnswer => {
  const text = (value: string | undefined): string => quoted(value ?? "", form.quoting);
  const items = series.map((id, at) => {
    const each = descriptors[at];
    return `{"series":${text(id)},"source":${text(each?.source)},"pmid":${text(each?.pmid)},"indom":${text(each?.indom)},"semantics":${text(each?.semantics)},"type":${text(each?.type)},"units":${text(each?.units)}}`;
  });
  return listOf(items, form);
};

/** Names of series (`key` series) or of sources (`key` source), one object a name. */
export const ownedNamesJson = (
  key: "series" | "source",
  ids: readonly string[],
  names: readonly (readonly string[])[],
  form: JsonForm,
): JsonAnswer =>
  listOf(
    ids.flatMap((id, at) =>
      (names[at] ?? []).map((name) => `{"${key}":"${id}","name":${quoted(name, form.quoting)}}`),
    ),
    form,
  );

/** Instances of series. */
export const instancesJson = (
  series: readonly string[],
  instances: readonly (readonly SeriesInstance[])[],
  form: JsonForm,
): JsonAnswer =>
  listOf(
    series.flatMap((id, at) =>
      (instances[at] ?? []).map(
        (each) =>
          `{"series":"${id}","source":"${each.source}","instance":"${each.id}","id":${each.inst},"name":${quoted(each.name, form.quoting)}}`,
      ),
    ),
    form,
  );

/** Labels of series or instances; those without any are left out. Names and values are as recorded. */
export const labelsJson = (
  series: readonly string[],
  labels: readonly (readonly SeriesLabel[])[],
  form: JsonForm,
): JsonAnswer =>
  listOf(
    series.flatMap((id, at) => {
      const own = labels[at] ?? [];
      if (own.length === 0) return [];
      const members = own.map(({ name, value }) => `"${name}":${value}`).join(",");
      return [`{"series":"${id}","labels":{${members}}}`];
    }),
    form,
  );

/** Values of label names; names without any are left out. */
export function labelValuesJson(
  names: readonly string[],
  values: readonly (readonly string[])[],
  { quoting, client }: JsonForm,
): JsonAnswer {
  const items = names.flatMap((name, at) => {
    const own = values[at] ?? [];
    return own.length === 0 ? [] : [`"${name}":[${own.join(",")}]`];
  });
  const body = wrapped(client, `{${items.join(",")}}`, quoting);
  return { body, hasData: items.length > 0 };
}

/** A failure with its message. */
export const problemJson = (message: string, { quoting, client }: JsonForm): string => {
  const head = client === undefined ? "" : `"client":${quoted(client, quoting)},`;
  return `{${head}"message":${quoted(message, quoting)},"success":false}${END}`;
};

/** Success, or a failure that has no message. */
export const successJson = (success: boolean, { quoting, client }: JsonForm): string => {
  const head = client === undefined ? "" : `"client":${quoted(client, quoting)},`;
  return `{${head}"success":${success}}${END}`;
};
