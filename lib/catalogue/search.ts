// Text search over the catalogue (spec series.md 13): what a key server's module finds, found in the index
// of the catalogue. Words must all be there, in their order, by their stems; names weigh 9, short texts 4
// and long ones 2. Documents that say different things under one name count as one, as they share an
// identifier. Long lists are read in slices, so that others have their turn. Refused: a question without
// words, or of more than MOST_WORDS, and what the catalogue's file refuses.
import { slices } from "../base/mod.ts";
import {
  isStopWord,
  RESULT_COUNT,
  searchId,
  type SearchIndex,
  SeriesProblem,
  suggestWords,
  type TextField,
  type TextHit,
  type TextHits,
  type TextIndexInfo,
  type TextMember,
  type TextQuery,
  textWords,
} from "../series/mod.ts";
import type { Catalogue } from "./catalogue.ts";
import { closeTo } from "./search-close.ts";
import { TEXT_TYPES } from "./texts.ts";

/** How much a word weighs that only resembles what was typed. */
const FUZZY_WEIGHT = 0.25;
/** Most words of a question: each is looked for in all documents that have it. */
const MOST_WORDS = 32;
/** Most words of the index that one typed word is taken for. */
const MAX_CLOSE = 200;
const WORD = /[\p{L}\p{N}\p{Co}\p{M}_]+/gu;
const MEGABYTE = 1024 * 1024;
/** Places of words in one field; more than a text has. */
const FIELD_PLACES = 2 ** 24;
const BITS = 8;

const COLUMNS: readonly TextField[] = ["name", "oneline", "helptext"];
const MEMBERS: readonly TextMember[] = ["name", "type", "indom", "oneline", "helptext"];

/** How much a document tells, so that the fullest of several with one name is shown. */
const TOLD = "(document.oneline IS NOT NULL) + (document.helptext IS NOT NULL)";

interface Candidate {
  readonly id: number;
  readonly type: number;
  readonly name: string;
  readonly told: number;
  /** The lower the better. */
  readonly rank: number;
}

interface Row {
  readonly type: number;
  readonly name: string;
  readonly indom: string;
  readonly oneline: string | null;
  readonly helptext: string | null;
}

const quoted = (word: string): string => `"${word}"`;
const seconds = (begin: number): number => (performance.now() - begin) / 1000;
const keyOf = ({ type, name }: { type: number; name: string }): string => `${type} ${name}`;

/** Words as the index has them, but for case and stems. Throws SeriesProblem for too many. */
function wordsOf(text: string): string[] {
  const words = (text.match(WORD) ?? []).filter((word) => !isStopWord(word.toLowerCase()));
  if (words.length > MOST_WORDS)
    throw new SeriesProblem(`a search for more than ${MOST_WORDS} words`);
  return words;
}

/** One candidate for each identifier. */
function merged(candidates: readonly Candidate[]): ReadonlyMap<string, Candidate> {
  const best = new Map<string, Candidate>();
  for (const each of candidates) {
    const key = keyOf(each);
    const before = best.get(key);
    if (before === undefined) best.set(key, each);
    else {
      const fuller = before.told >= each.told ? before : each;
      best.set(key, { ...fuller, rank: Math.min(before.rank, each.rank) });
    }
  }
  return best;
}

/** The best first. */
function ranked(candidates: ReadonlyMap<string, Candidate>): readonly Candidate[] {
  const byName = (a: Candidate, b: Candidate): number => (a.name < b.name ? -1 : 1);
  return [...candidates.values()].sort((a, b) => a.rank - b.rank || byName(a, b));
}

/** A hit with the members that are asked for. */
function hitOf(row: Row, score: number, returns: readonly TextMember[]): TextHit {
  const type = TEXT_TYPES[row.type] ?? "metric";
  const all: Readonly<Record<TextMember, string | null>> = { ...row, type };
  const members = (returns.length === 0 ? MEMBERS : returns).flatMap((member) => {
    const text = all[member];
    return text === null || text === "" ? [] : [[member, text] as const];
  });
  return { id: searchId(type, row.name), score, ...Object.fromEntries(members) };
}

/** What is asked of the catalogue's tables. */
function questions({ database, guard }: Catalogue) {
  const all = <T>(sql: string, ...values: (string | number)[]): readonly T[] =>
    guard(() => database.query<T, (string | number)[]>(sql).all(...values));
  /** Rows of a list that may be long, one by one. A statement of its own: others ask meanwhile. */
  const read = async <T>(
    sql: string,
    values: readonly (string | number)[],
    take: (row: T) => void,
  ): Promise<void> => {
    const pause = slices();
    const statement = guard(() => database.prepare<T, (string | number)[]>(sql));
    try {
      const rows = guard(() => statement.iterate(...values));
      for (;;) {
        const row = guard(() => rows.next());
        if (row.done === true) return;
        take(row.value);
        const waited = pause();
        if (waited !== undefined) await waited;
      }
    } finally {
      statement.finalize();
    }
  };
  return {
    all,
    read,
    /** The terms that words have in the index, in their order. */
    terms: (words: readonly string[]): readonly string[] => {
      all("DELETE FROM temp.asked");
      for (const word of words) all("INSERT INTO temp.asked (text) VALUES (?)", word);
      return all<{ term: string }>("SELECT term FROM temp.asked_word ORDER BY doc, offset").map(
        ({ term }) => term,
      );
    },
    /**
     * Those of some documents in which terms stand in their order, whatever stands between, in whichever field: as the
     * module of key servers has it, one place serves for a term that is asked for twice.
     */
    inOrder: async (
      terms: readonly string[],
      documents: Iterable<number>,
    ): Promise<ReadonlySet<number>> => {
      let reached = new Map([...documents].map((id) => [id, -1]));
      for (const [at, term] of terms.entries()) {
        if (term === terms[at - 1]) continue;
        const next = new Map<number, number>();
        const known = reached;
        await read<{ doc: number; col: TextField; offset: number }>(
          "SELECT doc, col, offset FROM word_place WHERE term = ?",
          [term],
          ({ doc, col, offset }) => {
            const place = COLUMNS.indexOf(col) * FIELD_PLACES + offset;
            const before = known.get(doc);
            if (before === undefined || place < before) return;
            if (place < (next.get(doc) ?? Infinity)) next.set(doc, place);
          },
        );
        reached = next;
      }
      return new Set(reached.keys());
    },
  };
}

type Questions = ReturnType<typeof questions>;

async function searchText(
  { all, read, terms, inOrder }: Questions,
  query: TextQuery,
  limit: number,
): Promise<TextHits> {
  const begin = performance.now();
  const words = wordsOf(textWords(query.query));
  if (words.length === 0) throw new SeriesProblem("no words to search for");
  const columns = query.fields.length === 0 ? COLUMNS : query.fields;
  const match = `{${columns.join(" ")}} : (${words.map(quoted).join(" AND ")})`;
  const types = query.types.map((type) => TEXT_TYPES.indexOf(type)).join(", ");
  let found: Candidate[] = [];
  await read<Candidate>(
    `SELECT words.rowid AS id, type, document.name AS name, ${TOLD} AS told,
       bm25(words, 9, 4, 2) AS rank
     FROM words JOIN document ON document.id = words.rowid
     WHERE words MATCH ?${types === "" ? "" : ` AND type IN (${types})`}`,
    [match],
    (row) => found.push(row),
  );
  const order = terms(words);
  if (order.length > 1 && found.length > 0) {
    const fits = await inOrder(
      order,
      found.map(({ id }) => id),
    );
    found = found.filter(({ id }) => fits.has(id));
  }
  const best = ranked(merged(found));
  const texts = COLUMNS.map((column, at) =>
    query.highlight.includes(column)
      ? `highlight(words, ${at}, '<b>', '</b>') AS ${column}_shown`
      : `document.${column} AS ${column}_shown`,
  );
  const show = `SELECT type, document.name AS name, indom, ${texts.join(", ")}
    FROM words JOIN document ON document.id = words.rowid WHERE words MATCH ? AND words.rowid = ?`;
  type Shown = Row & Readonly<Record<`${TextField}_shown`, string | null>>;
  const hits = best.slice(query.offset, query.offset + limit).flatMap(({ id, rank }) =>
    all<Shown>(show, match, id).map((row) => {
      const { name_shown, oneline_shown: oneline, helptext_shown: helptext } = row;
      const hit = hitOf({ ...row, oneline, helptext }, -rank, query.returns);
      return hit.name === undefined ? hit : { ...hit, name: name_shown ?? "" };
    }),
  );
  return { total: best.length, elapsed: seconds(begin), offset: query.offset, limit, hits };
}

/** Names by the best of what `halves` find, each with its weight. */
async function suggested(
  { read }: Questions,
  halves: readonly (readonly [match: string, weight: number])[],
): Promise<readonly string[]> {
  const found = new Map<string, Candidate>();
  for (const [match, weight] of halves) {
    const rows: Candidate[] = [];
    await read<Candidate>(
      `SELECT names.rowid AS id, type, document.name AS name, 0 AS told, bm25(names) AS rank
       FROM names JOIN document ON document.id = names.rowid WHERE names MATCH ?`,
      [match],
      (row) => rows.push(row),
    );
    for (const [key, one] of merged(rows)) {
      const before = found.get(key)?.rank ?? 0;
      found.set(key, { ...one, rank: before + weight * one.rank });
    }
  }
  return ranked(found).map(({ name }) => name);
}

function searchIndom({ all }: Questions, indom: string, limit: number, offset: number): TextHits {
  const begin = performance.now();
  const names = indom.split("|").map((each) => each.trim());
  const any = names.map(() => "?").join(", ");
  const [counted] = all<{ total: number }>(
    `SELECT count(*) AS total FROM
       (SELECT DISTINCT type, name FROM document WHERE indom IN (${any}))`,
    ...names,
  );
  const rows = all<Row>(
    `SELECT type, name, indom, oneline, helptext, max(${TOLD}) FROM document WHERE indom IN (${any})
     GROUP BY type, name ORDER BY type, name LIMIT ? OFFSET ?`,
    ...names,
    limit,
    offset,
  );
  const hits = rows.map((row) => hitOf(row, 1, []));
  return { total: counted?.total ?? 0, elapsed: seconds(begin), offset, limit, hits };
}

/** Numbers that the index of the catalogue has a counterpart of; 0 for the others. */
function indexInfo({ all }: Questions): TextIndexInfo {
  const one = (sql: string): number => all<{ n: number | null }>(sql)[0]?.n ?? 0;
  const docs = one("SELECT count(*) AS n FROM (SELECT DISTINCT type, name FROM document)");
  const terms = one("SELECT count(*) AS n FROM word_count");
  const records = one("SELECT sum(doc) AS n FROM word_count");
  const places = one("SELECT sum(cnt) AS n FROM word_count");
  const bytes = one("SELECT sum(length(block)) AS n FROM words_data");
  const sizes = one("SELECT sum(length(sz)) AS n FROM words_docsize");
  const per = (a: number, b: number): number => (b === 0 ? 0 : a / b);
  return {
    docs,
    terms,
    records,
    records_per_doc_avg: per(records, docs),
    bytes_per_record_avg: per(bytes, records),
    inverted_sz_mb: bytes / MEGABYTE,
    inverted_cap_mb: bytes / MEGABYTE,
    inverted_cap_ovh: 0,
    skip_index_size_mb: 0,
    score_index_size_mb: sizes / MEGABYTE,
    offsets_per_term_avg: per(places, records),
    offset_bits_per_record_avg: places === 0 ? 0 : BITS,
  };
}

/** The index over the archives of a catalogue. */
export function embeddedSearch(catalogue: Catalogue): SearchIndex {
  const ask = questions(catalogue);
  const count = (limit: number): number => (limit > 0 ? limit : RESULT_COUNT);
  let vocabulary: readonly string[] = [];
  let generation = -1;
  /** All words of names, until the catalogue changes. */
  const nameWords = async (): Promise<readonly string[]> => {
    const now = catalogue.generation;
    if (generation === now) return vocabulary;
    const words: string[] = [];
    await ask.read<{ term: string }>("SELECT term FROM name_word", [], ({ term }) =>
      words.push(term),
    );
    vocabulary = words;
    generation = now;
    return words;
  };
  const suggest = async (query: string, limit: number): Promise<readonly string[]> => {
    const { prefixes, fuzzy } = suggestWords(query);
    if (prefixes.length === 0) {
      const rows = ask.all<{ name: string }>(
        "SELECT DISTINCT name, type FROM document WHERE type <> 0 ORDER BY name LIMIT ?",
        limit,
      );
      return rows.map(({ name }) => name);
    }
    const pause = slices();
    const begins = wordsOf(prefixes.join(" ")).map((word) => `${quoted(word)} *`);
    const halves: (readonly [string, number])[] = [];
    if (begins.length > 0) halves.push([begins.join(" AND "), 1]);
    const close: (readonly string[])[] = [];
    for (const word of wordsOf(fuzzy.join(" "))) {
      close.push(closeTo(word.toLowerCase(), await nameWords(), MAX_CLOSE));
      await pause();
    }
    if (close.length > 0 && close.every((terms) => terms.length > 0)) {
      const either = close.map((terms) => `(${terms.map(quoted).join(" OR ")})`);
      halves.push([either.join(" AND "), FUZZY_WEIGHT]);
    }
    // Scores of names differ little: who types the beginning of one means that.
    const typed = query.trim().toLowerCase();
    const names = await suggested(ask, halves);
    const begun = names.filter((name) => name.toLowerCase().startsWith(typed));
    return [...new Set([...begun, ...names])].slice(0, limit);
  };
  const later = <T>(body: () => T): Promise<T> => Promise.resolve().then(body);
  return {
    text: (query) => searchText(ask, query, count(query.limit)),
    suggest: (query, limit) => suggest(query, count(limit)),
    indom: (indom, limit, offset) => later(() => searchIndom(ask, indom, count(limit), offset)),
    info: () => later(() => indexInfo(ask)),
  };
}
