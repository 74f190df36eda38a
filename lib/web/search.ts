// What each request for text search asks (spec webapi.md 17, series.md 13.4), and the JSON of hits. Refuses
// nothing by itself: words and numbers that cannot be read count as not given. Failures have no message but
// where nobody could have answered.
import { PcpError, PM_ERR } from "../base/mod.ts";
import {
  type JsonAnswer,
  type JsonForm,
  quoted,
  type SearchIndex,
  successJson,
  type TextField,
  type TextHit,
  type TextHits,
  type TextMember,
  type TextType,
} from "../series/mod.ts";
import { listOf, type Parameters } from "./parameters.ts";
import type { WebReply } from "./route.ts";
import { failureOf } from "./series-answer.ts";
import { BusyError } from "./fair.ts";
import type { Lack } from "./series-requests.ts";
import { Abandoned } from "./series-work.ts";

/** A request for text search. */
export interface SearchRequest {
  readonly name: string;
  readonly methods: readonly string[];
  readonly lacks: (parameters: Parameters) => Lack | undefined;
  /** `usual`: hits where the request does not say how many. */
  readonly ask: (
    index: SearchIndex,
    parameters: Parameters,
    form: JsonForm,
    usual: number,
  ) => Promise<JsonAnswer>;
}

/** Most hits of one answer; further ones follow with `offset`. */
const MAX_HITS = 10_000;

const NUMBER = /^[ \t\n\v\f\r]*\+?(0[xX][0-9A-Fa-f]+|\d+)/;

/** A number as strtoul(3) with base 0 reads it; 0 for what is none. */
function numberOf(text: string | undefined): number {
  const digits = NUMBER.exec(text ?? "")?.[1];
  if (digits === undefined) return 0;
  const isOctal = /^0\d/.test(digits);
  const octal = /^[0-7]+/.exec(digits)?.[0] ?? "0";
  const value = isOctal ? Number.parseInt(octal, 8) : Number(digits);
  return Math.min(value, Number.MAX_SAFE_INTEGER);
}

const limitOf = (parameters: Parameters, usual: number): number =>
  Math.min(numberOf(parameters.get("limit")) || usual, MAX_HITS);

const TYPES: readonly TextType[] = ["metric", "indom", "instance"];
const FIELDS: readonly TextField[] = ["name", "oneline", "helptext"];
const MEMBERS: readonly TextMember[] = ["name", "indom", "oneline", "helptext", "type"];

/** The known words of a list, in their own order. */
function wordsOf<Word extends string>(words: readonly Word[], text: string | undefined): Word[] {
  const given = new Set(listOf(text ?? ""));
  return words.filter((word) => given.has(word));
}

function hitJson({ name, type, indom, oneline, helptext }: TextHit, form: JsonForm): string {
  const members = Object.entries({ name, type, indom, oneline, helptext });
  const told = members.flatMap(([key, text]) =>
    text === undefined ? [] : [`"${key}":${quoted(text, form.quoting)}`],
  );
  return `{${told.join(",")}}`;
}

function hitsJson({ total, elapsed, offset, limit, hits }: TextHits, form: JsonForm): JsonAnswer {
  const hasData = hits.length > 0;
  const { client, quoting } = form;
  const mark = hasData || client === undefined ? "" : `"client":${quoted(client, quoting)},`;
  const time = hasData ? elapsed.toFixed(6) : "0";
  const results = hits.map((hit) => hitJson(hit, form)).join(",");
  const head = `${mark}"total":${total},"elapsed":${time},"offset":${offset},"limit":${limit}`;
  return { body: `{${head},"results":[${results}]}\r\n`, hasData };
}

function namesJson(names: readonly string[], { client, quoting }: JsonForm): JsonAnswer {
  const hasData = names.length > 0;
  if (hasData) {
    const list = names.map((name) => quoted(name, quoting)).join(",");
    return { body: `[${list}]\r\n`, hasData };
  }
  const body = client === undefined ? "[]" : `{"client":${quoted(client, quoting)},"result":[]}`;
  return { body: `${body}\r\n`, hasData };
}

/** Counts are whole numbers, averages and sizes have two decimals. */
const COUNTS: ReadonlySet<string> = new Set(["docs", "terms", "records"]);

const READ = ["GET", "HEAD", "TRACE", "OPTIONS"];

/** Nothing to look for is a question as well, but it has to be asked. */
const needsQuery = (parameters: Parameters): Lack | undefined =>
  parameters.has("query") ? undefined : "page";

/** All requests, found by the beginning of their name; none begins with another. */
export const SEARCH_REQUESTS: readonly SearchRequest[] = [
  {
    name: "text",
    methods: READ,
    lacks: needsQuery,
    async ask(index, parameters, form, usual) {
      const hits = await index.text({
        query: parameters.get("query") ?? "",
        types: wordsOf(TYPES, parameters.get("type")),
        fields: wordsOf(FIELDS, parameters.get("field")),
        returns: wordsOf(MEMBERS, parameters.get("return")),
        highlight: wordsOf(FIELDS, parameters.get("highlight")),
        limit: limitOf(parameters, usual),
        offset: numberOf(parameters.get("offset")),
      });
      return hitsJson(hits, form);
    },
  },
  {
    name: "suggest",
    methods: READ,
    lacks: needsQuery,
    async ask(index, parameters, form, usual) {
      const query = parameters.get("query") ?? "";
      return namesJson(await index.suggest(query, limitOf(parameters, usual)), form);
    },
  },
  {
    name: "indom",
    methods: READ,
    lacks: needsQuery,
    async ask(index, parameters, form, usual) {
      const query = parameters.get("query") ?? "";
      const offset = numberOf(parameters.get("offset"));
      return hitsJson(await index.indom(query, limitOf(parameters, usual), offset), form);
    },
  },
  {
    name: "info",
    methods: READ,
    lacks: () => undefined,
    async ask(index) {
      const members = Object.entries(await index.info()).map(
        ([name, value]) => `"${name}":${COUNTS.has(name) ? value : value.toFixed(2)}`,
      );
      return { body: `{${members.join(",")}}\r\n`, hasData: true };
    },
  },
];

/**
 * The reply to a search that failed: 400 without a message, as pmproxy has it; 503 with one where nobody
 * could answer. Throws what is a fault of this program.
 */
export function searchFailure(error: unknown, form: JsonForm): WebReply {
  const isAway = error instanceof PcpError && error.code === PM_ERR.NOTCONN;
  if (
    isAway ||
    error instanceof BusyError ||
    error instanceof Abandoned ||
    !(error instanceof PcpError)
  )
    return failureOf(error, form);
  return { status: 400, type: "application/json", body: successJson(false, form) };
}
