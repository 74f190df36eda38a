// Goal: requests for text search ask the index what the real pmproxy asked the key server for, in the
// index's own terms, and hits come as the recorded JSON; where there is no index, or it fails, pmproxy's
// refusal comes.
import { expect, test } from "bun:test";
import { PcpError, PM_ERR } from "../../lib/base/mod.ts";
import {
  type SearchIndex,
  SeriesProblem,
  type TextHit,
  type TextHits,
  type TextQuery,
} from "../../lib/series/mod.ts";
import searchCommands from "../fixtures/series/search.json";
import { dumpStore } from "../series/dump-store.ts";
import { ask, patternOf, play, readCases, typeOf } from "./replay.ts";
import { apiOver, serviceOf } from "./series-support.ts";

/** The documents of the stand-in that the recordings were made with. */
const DOCUMENTS: readonly TextHit[] = [
  {
    id: "d1",
    score: 2.5,
    type: "metric",
    name: "sample.colour",
    indom: "29.1",
    oneline: 'Metrics with a "saw-tooth" trend over time',
    helptext: "This metric has 3 instances.\nLine two\ttab",
  },
  {
    id: "d2",
    score: 1.25,
    type: "indom",
    name: "29.1",
    indom: "29.1",
    oneline: 'Instance domain "colour" for sample PMDA',
  },
  { id: "d3", score: 1, type: "instance", name: "red", indom: "29.1" },
];

const INFO = {
  docs: 42,
  terms: 100,
  records: 350,
  records_per_doc_avg: 8.33,
  bytes_per_record_avg: 5.5,
  inverted_sz_mb: 0.01,
  inverted_cap_mb: 0.02,
  inverted_cap_ovh: 0.5,
  skip_index_size_mb: 0,
  score_index_size_mb: 0,
  offsets_per_term_avg: 1.2,
  offset_bits_per_record_avg: 8,
};

type Asked =
  | { readonly kind: "text"; readonly query: TextQuery }
  | { readonly kind: "suggest"; readonly query: string; readonly limit: number }
  | {
      readonly kind: "indom";
      readonly query: string;
      readonly limit: number;
      readonly offset: number;
    }
  | { readonly kind: "info" };

function only(hit: TextHit, members: TextQuery["returns"]): TextHit {
  if (members.length === 0) return hit;
  const { id, score } = hit;
  return { id, score, ...Object.fromEntries(members.map((member) => [member, hit[member]])) };
}

/** An index that has the documents for every question, and remembers what it was asked. */
function standIn(asked: Asked[] = []): SearchIndex {
  const found = (
    query: string,
    hits: readonly TextHit[],
    offset: number,
    limit: number,
  ): TextHits => {
    if (query === "broken") throw new SeriesProblem("Syntax error at offset 1");
    const shown = query === "empty" ? [] : hits;
    return { total: shown.length, elapsed: 0.000123, offset, limit, hits: shown };
  };
  return {
    async text(query) {
      asked.push({ kind: "text", query });
      const hits = DOCUMENTS.map((hit) => only(hit, query.returns));
      return found(query.query, hits, query.offset, query.limit);
    },
    async suggest(query, limit) {
      asked.push({ kind: "suggest", query, limit });
      return found(query, DOCUMENTS, 0, limit).hits.map(({ name = "" }) => name);
    },
    async indom(query, limit, offset) {
      asked.push({ kind: "indom", query, limit, offset });
      return found(query, DOCUMENTS, offset, limit);
    },
    async info() {
      asked.push({ kind: "info" });
      return INFO;
    },
  };
}

const store = dumpStore([]);

test("recorded requests", async () => {
  const api = apiOver(serviceOf(store, { search: standIn() }), { quoting: "pcp" });
  let taken = 0;
  for (const one of readCases("search")) {
    const got = await play(api, one, new Map());
    const [want] = one.responses;
    const { id } = one;
    taken++;
    if (got === undefined) {
      expect([id, want?.body]).toEqual([id, expect.stringContaining("no handler for URL")]);
      continue;
    }
    expect([id, got.status, got.type]).toEqual([
      id,
      want?.status ?? 0,
      typeOf(want?.headers ?? []),
    ]);
    const wanted = want?.body.replace("pmproxy/6.0.3", "pmproxy/7.2.1") ?? "";
    if (!patternOf(wanted, new Map()).test(got.body)) expect([id, got.body]).toEqual([id, wanted]);
  }
  expect(taken).toBe(30);
});

/** Words between the name of a list and what follows it. */
function listIn(command: readonly string[], name: string): string[] {
  const at = command.indexOf(name);
  if (at < 0) return [];
  const from = command[at + 1] === "FIELDS" ? at + 2 : at + 1;
  const words = command.slice(from + 1, from + 1 + Number(command[from]));
  return words.map((word) => word.toLowerCase());
}

const numbersBehind = (command: readonly string[], name: string): number[] => {
  const at = command.indexOf(name);
  return command.slice(at + 1, at + 3).map(Number);
};

/** What a list says when it does not say everything. */
const unlessAll = (words: readonly string[], all: number): readonly string[] =>
  words.length === all ? [] : words;

test("the index is asked for what the recorded commands say", async () => {
  for (const { path, command } of searchCommands.requests) {
    const asked: Asked[] = [];
    const api = apiOver(serviceOf(store, { search: standIn(asked) }));
    await ask(api, path);
    const [only0] = asked;
    const [offset, limit] = numbersBehind(command, "LIMIT");
    const place = (what: unknown): unknown => ({ path, what });
    if (only0?.kind === "text") {
      const { fields, returns, highlight, types } = only0.query;
      const wanted = {
        fields: unlessAll(listIn(command, "INFIELDS"), 3),
        returns: unlessAll(listIn(command, "RETURN"), 5),
        highlight: listIn(command, "HIGHLIGHT"),
        types: /@TYPE:\{(.*?)\}/.exec(command[2] ?? "")?.[1]?.split("|") ?? [],
        limit,
        offset,
      };
      const got = { fields, returns, highlight, types, limit: only0.query.limit };
      expect(place({ ...got, offset: only0.query.offset })).toEqual(place(wanted));
    } else if (only0?.kind === "suggest") {
      expect(place(only0.limit)).toEqual(place(limit));
    } else if (only0?.kind === "indom") {
      const query = /@INDOM:\{(.*)\}/.exec(command[2] ?? "")?.[1];
      expect(place(only0)).toEqual(place({ kind: "indom", query, limit, offset }));
    } else expect(place(command[0])).toEqual(place("FT.INFO"));
  }
});

test("numbers are read as C reads them, and bounded", async () => {
  const cases: readonly (readonly [string, number, number])[] = [
    ["limit=0", 10, 0],
    ["limit=0x10&offset=010", 16, 8],
    ["limit=abc&offset=", 10, 0],
    ["limit=+7&offset=%203", 7, 3],
    ["limit=99999999999999999999", 10_000, 0],
    ["limit=-1&offset=-1", 10, 0],
    ["limit=5&limit=6", 5, 0],
  ];
  for (const [parameters, limit, offset] of cases) {
    const asked: Asked[] = [];
    const api = apiOver(serviceOf(store, { search: standIn(asked) }));
    await ask(api, `/search/indom?query=1.2&${parameters}`);
    expect([parameters, asked]).toEqual([
      parameters,
      [{ kind: "indom", query: "1.2", limit, offset }],
    ]);
  }
});

test("names that are no plain text stay JSON", async () => {
  const hit: TextHit = { id: "x", score: 1, name: 'a "b"\\ü\n', type: "instance" };
  const index: SearchIndex = {
    ...standIn(),
    text: async ({ offset, limit }) => ({ total: 9, elapsed: 1e-7, offset, limit, hits: [hit] }),
    suggest: async () => ['a "b"'],
  };
  const api = apiOver(serviceOf(store, { search: index }));
  const reply = await ask(api, "/search/text?query=a");
  expect(JSON.parse(reply?.body ?? "")).toEqual({
    total: 9,
    elapsed: 0,
    offset: 0,
    limit: 10,
    results: [{ name: hit.name, type: "instance" }],
  });
  expect((await ask(api, "/search/suggest?query=a"))?.body).toBe('["a \\"b\\""]\r\n');
});

test("without an index, and where it fails", async () => {
  const none = apiOver(serviceOf(store));
  for (const name of ["text?query=a", "suggest?query=a", "indom?query=1.2", "info"])
    expect([name, await ask(none, `/search/${name}`)]).toEqual([
      name,
      { status: 400, type: "application/json", headers: {}, body: '{"success":false}\r\n' },
    ]);
  expect((await ask(none, "/search/info?clientid=q"))?.body).toBe(
    '{"client":"q","success":false}\r\n',
  );
  const away: SearchIndex = {
    ...standIn(),
    info: () => Promise.reject(new PcpError(PM_ERR.NOTCONN, "no connection to the key server: X")),
    suggest: () => Promise.reject(new PcpError(PM_ERR.IPC, "nonsense")),
  };
  const api = apiOver(serviceOf(store, { search: away }));
  expect(await ask(api, "/search/info")).toMatchObject({
    status: 503,
    body: '{"message":"no connection to the key server: X","success":false}\r\n',
  });
  expect((await ask(api, "/search/suggest?query=a"))?.status).toBe(400);
  expect(await ask(apiOver(undefined), "/search/info")).toBeUndefined();
});
