// Text search by a key server's module (spec series.md 13): the commands as PCP gives them, byte for byte,
// and what is read from the replies. Documents are put in by loading and by discovery. Refused: a server
// without the module, its errors, and a reply that is no answer to a search; a hit that has another form
// than the module gives is left out.
import { PM_ERR, PcpError } from "../base/mod.ts";
import {
  RESULT_COUNT,
  searchId,
  type SearchIndex,
  SeriesProblem,
  suggestWords,
  type TextDocument,
  type TextField,
  type TextHit,
  type TextHits,
  type TextIndexInfo,
  type TextMember,
  type TextQuery,
  type TextType,
  textWords,
} from "../series/mod.ts";
import type { KeyCommand, KeyReply, KeyServer } from "./keys.ts";
import { partsOfReply } from "./schema.ts";

/** The name of the index. */
const SEARCH_KEY = "pcp:text";
/** How kinds of documents are told in answers. */
const PAYLOADS: Readonly<Record<TextType, string>> = {
  metric: "1",
  indom: "2",
  instance: "3",
};

const TYPES: readonly TextType[] = ["metric", "indom", "instance"];
const FIELDS: readonly TextField[] = ["name", "oneline", "helptext"];
const MEMBERS: readonly TextMember[] = ["name", "indom", "oneline", "helptext", "type"];
const SCORED = ["WITHSCORES", "WITHPAYLOADS"];
/** Elements of a reply for each hit: identifier, score, payload, fields. */
const HIT_PARTS = 4;
/** Elements of the shortest reply about the index. */
const INFO_PARTS = 30;

/** Numbers about the index by their names here, with those in the reply, in the order of REST. */
const INFO: Readonly<Record<string, string>> = {
  docs: "num_docs",
  terms: "num_terms",
  records: "num_records",
  records_per_doc_avg: "records_per_doc_avg",
  bytes_per_record_avg: "bytes_per_record_avg",
  inverted_sz_mb: "inverted_sz_mb",
  inverted_cap_mb: "inverted_cap_mb",
  inverted_cap_ovh: "inverted_cap_ovh",
  skip_index_size_mb: "skip_index_size_mb",
  score_index_size_mb: "score_index_size_mb",
  offsets_per_term_avg: "offsets_per_term_avg",
  offset_bits_per_record_avg: "offset_bits_per_record_avg",
};

/** The command that adds a document, or what is new of it. Equal names share an identifier, as in PCP. */
export function documentCommand(document: TextDocument): KeyCommand {
  const { type, name, indom, oneline, helptext } = document;
  const fields = ["NAME", name, "TYPE", type];
  if (indom !== undefined && indom !== "") fields.push("INDOM", indom);
  if (oneline !== undefined && oneline !== "") fields.push("ONELINE", oneline);
  if (helptext !== undefined && helptext !== "") fields.push("HELPTEXT", helptext);
  const head = ["FT.ADD", SEARCH_KEY, searchId(type, name), "1", "REPLACE", "PARTIAL"];
  return [...head, "PAYLOAD", PAYLOADS[type], "FIELDS", ...fields];
}

/** Those that are asked for, in the order of the table, as many as there are and these. */
function counted<T extends string>(table: readonly T[], asked: readonly T[]): string[] {
  const names = table.filter((each) => asked.includes(each));
  return [String(names.length), ...names.map((each) => each.toUpperCase())];
}

const orAll = <T>(asked: readonly T[], all: readonly T[]): readonly T[] =>
  asked.length === 0 ? all : asked;

const limits = (offset: number, count: number): string[] => [
  "LIMIT",
  String(offset),
  String(count),
];

/** The command for documents with words. */
export function textCommand(query: TextQuery): KeyCommand {
  const { types, fields, returns, highlight, offset, limit } = query;
  const wanted = TYPES.filter((each) => types.includes(each));
  const ofTypes = wanted.length === 0 ? "" : `@TYPE:{${wanted.join("|")}} `;
  return [
    "FT.SEARCH",
    SEARCH_KEY,
    `'${ofTypes}(${textWords(query.query)})=>{$inorder:true}'`,
    ...SCORED,
    "INFIELDS",
    ...counted(FIELDS, orAll(fields, FIELDS)),
    "RETURN",
    ...counted(MEMBERS, orAll(returns, MEMBERS)),
    ...(highlight.length === 0 ? [] : ["HIGHLIGHT", "FIELDS", ...counted(FIELDS, highlight)]),
    "SCORER",
    "BM25",
    ...limits(offset, limit),
  ];
}

/** The command for names that begin like what was typed, or nearly. */
export function suggestCommand(query: string, count: number): KeyCommand {
  const { prefixes, fuzzy } = suggestWords(query);
  const halves: string[] = [];
  if (prefixes.length > 0) halves.push(`@NAME:(${prefixes.map((word) => `${word}*`).join(" ")})`);
  if (fuzzy.length > 0)
    halves.push(`@NAME:(${fuzzy.map((word) => `%${word}%`).join(" ")})=>{$weight:0.25;}`);
  const names = halves.length === 0 ? "" : `(${halves.join("|")})`;
  return [
    "FT.SEARCH",
    SEARCH_KEY,
    `'${names} @TYPE:{metric|instance}'`,
    ...SCORED,
    "RETURN",
    "1",
    "NAME",
    "SCORER",
    "BM25",
    ...limits(0, count),
  ];
}

/** The command for documents of an instance domain. */
const indomCommand = (indom: string, offset: number, count: number): KeyCommand => [
  "FT.SEARCH",
  SEARCH_KEY,
  `'@INDOM:{${indom}}'`,
  ...SCORED,
  "SORTBY",
  "2",
  "TYPE",
  "ASC",
  ...limits(offset, count),
];

/** The command for numbers about the index. */
const INFO_COMMAND: KeyCommand = ["FT.INFO", SEARCH_KEY];

/** Texts and numbers of a reply as text; undefined for anything else. */
const plainText = (reply: KeyReply | undefined): string | undefined => {
  if (Buffer.isBuffer(reply)) return reply.toString();
  return typeof reply === "string" || typeof reply === "number" ? String(reply) : undefined;
};

const numberOf = (reply: KeyReply | undefined): number => {
  const text = plainText(reply) ?? "";
  const number = text.trim() === "" ? Number.NaN : Number(text);
  return Number.isFinite(number) ? number : 0;
};

const typeOfPayload = (payload: KeyReply | undefined): TextType | undefined =>
  TYPES.find((type) => PAYLOADS[type] === plainText(payload));

/** One hit; undefined when it has no identifier or no fields. */
function hitOf(parts: readonly KeyReply[]): TextHit | undefined {
  const [id, score, payload, fields] = parts;
  const name = plainText(id);
  if (name === undefined || !Array.isArray(fields)) return undefined;
  const list = partsOfReply(fields);
  const hit: { -readonly [Member in keyof TextHit]: TextHit[Member] } = {
    id: name,
    score: numberOf(score),
  };
  for (let at = 0; at + 1 < list.length; at += 2) {
    const member = plainText(list[at])?.toLowerCase();
    // What was asked for and is not there comes as nil from some servers; PCP shows an empty text.
    const text = list[at + 1] === null ? "" : plainText(list[at + 1]);
    if (text === undefined) continue;
    if (member === "type") {
      const type = typeOfPayload(payload) ?? TYPES.find((each) => each === text);
      if (type !== undefined) hit.type = type;
    } else if (member === "name" || member === "indom") hit[member] = text;
    else if (member === "oneline" || member === "helptext") hit[member] = text;
  }
  return hit;
}

/** What a server answered to a search. Throws SeriesProblem for what is no answer. */
export function hitsOfReply(reply: KeyReply | undefined): {
  readonly total: number;
  readonly hits: readonly TextHit[];
} {
  if (reply instanceof SeriesProblem) throw reply;
  const parts = partsOfReply(reply);
  const [total] = parts;
  if (typeof total !== "number")
    throw new SeriesProblem("expected array from FT.SEARCH", "bad response");
  const hits: TextHit[] = [];
  for (let at = 1; at + HIT_PARTS <= parts.length; at += HIT_PARTS) {
    const hit = hitOf(parts.slice(at, at + HIT_PARTS));
    if (hit !== undefined) hits.push(hit);
  }
  return { total: Math.max(total, hits.length), hits };
}

/** The numbers of a reply about the index; those that it does not have are 0. Throws SeriesProblem. */
export function infoOfReply(reply: KeyReply | undefined): TextIndexInfo {
  if (reply instanceof SeriesProblem) throw reply;
  const parts = partsOfReply(reply);
  if (parts.length < INFO_PARTS)
    throw new SeriesProblem("expected array from FT.INFO", "bad response");
  const found = new Map<string, number>();
  for (let at = 0; at + 1 < parts.length; at += 2) {
    const name = plainText(parts[at]);
    if (name !== undefined) found.set(name, numberOf(parts[at + 1]));
  }
  return Object.fromEntries(
    Object.entries(INFO).map(([name, theirs]) => [name, found.get(theirs) ?? 0]),
  );
}

/** The index of a key server. */
export function keySearch(server: KeyServer): SearchIndex {
  const count = (limit: number): number => (limit > 0 ? limit : RESULT_COUNT);
  const ask = async (command: KeyCommand): Promise<KeyReply | undefined> => {
    const { state } = server;
    if (state.kind === "down")
      throw new PcpError(PM_ERR.NOTCONN, `no connection to the key server: ${state.reason}`);
    if (!server.hasSearch) throw new SeriesProblem("the key server has no text search");
    return (await server.run([command]))[0];
  };
  const search = async (command: KeyCommand, offset: number, limit: number): Promise<TextHits> => {
    const begin = performance.now();
    const { total, hits } = hitsOfReply(await ask(command));
    return { total, elapsed: (performance.now() - begin) / 1000, offset, limit, hits };
  };
  return {
    text: (query) => {
      const limit = count(query.limit);
      return search(textCommand({ ...query, limit }), query.offset, limit);
    },
    suggest: async (query, limit) => {
      const { hits } = hitsOfReply(await ask(suggestCommand(query, count(limit))));
      return hits.flatMap(({ name }) => name ?? []);
    },
    indom: (indom, limit, offset) =>
      search(indomCommand(indom, offset, count(limit)), offset, count(limit)),
    info: async () => infoOfReply(await ask(INFO_COMMAND)),
  };
}
