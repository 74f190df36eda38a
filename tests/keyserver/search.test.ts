// Goal: text search by a key server's module: commands as recorded, byte for byte; replies as recorded and
// replies that are none; the documents that loading writes, as recorded and as the real pmsearch finds
// them; the module itself where it is.
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { type KeyReply, type KeyServer, useKeyServer } from "../../lib/keyserver/keys.ts";
import { loadArchive } from "../../lib/keyserver/load.ts";
import { keySearch } from "../../lib/keyserver/search.ts";
import { SeriesProblem } from "../../lib/series/problem.ts";
import { suggestWords, textWords } from "../../lib/series/search-words.ts";
import type { SearchIndex, TextField, TextMember, TextType } from "../../lib/series/search.ts";
import { describePeer, testWith } from "../helpers/peers.ts";
import { must } from "../helpers/process.ts";
import { startRedisearch } from "../helpers/redisearch.ts";
import { forEachSuiteArchive } from "../helpers/suite-archives.ts";
import recorded from "../fixtures/series/search.json";
import { standIn } from "./search-stand-in.ts";
import { rejected, thrown } from "../helpers/rejected.ts";

// A busy machine takes long.
setDefaultTimeout(300_000);

const NOW = { sec: 1_900_000_000, nsec: 0 };
const REC = join(import.meta.dir, "../fixtures/archives/rec");

/** Asks an index what a recorded REST request asks. */
function ask(index: SearchIndex, path: string): Promise<unknown> {
  const url = new URL(path, "http://localhost");
  const parameter = (name: string): string => url.searchParams.get(name) ?? "";
  const list = <T extends string>(name: string, known: readonly T[]): T[] =>
    known.filter((each) => parameter(name).split(",").includes(each));
  const [query, limit, offset] = [parameter("query"), +parameter("limit"), +parameter("offset")];
  const fields: TextField[] = ["name", "oneline", "helptext"];
  const members: TextMember[] = [...fields, "type", "indom"];
  const types: TextType[] = ["metric", "indom", "instance"];
  switch (url.pathname) {
    case "/search/text":
      return index.text({
        query,
        types: list("type", types),
        fields: list("field", fields),
        returns: list("return", members),
        highlight: list("highlight", fields),
        limit,
        offset,
      });
    case "/search/suggest":
      return index.suggest(query, limit);
    case "/search/indom":
      return index.indom(query, limit, offset);
    default:
      return index.info();
  }
}

const ALL = {
  types: [],
  fields: [],
  returns: [],
  highlight: [],
  limit: 10,
  offset: 0,
} as const;

/** One reply in the protocol's bytes, which here are characters. */
function replyOf(text: string): KeyReply {
  let rest = text;
  const line = (): string => {
    const end = rest.indexOf("\r\n");
    const found = rest.slice(0, end);
    rest = rest.slice(end + 2);
    return found;
  };
  const next = (): KeyReply => {
    const head = line();
    const number = Number(head.slice(1));
    if (head[0] === ":") return number;
    if (head[0] === "-") return new SeriesProblem(head.slice(1), "bad response");
    if (head[0] === "*") return Array.from({ length: number }, next);
    const found = Buffer.from(rest.slice(0, number));
    rest = rest.slice(number + 2);
    return found;
  };
  return next();
}

describe("commands", () => {
  for (const { path, command } of recorded.requests)
    test(path, async () => {
      const info = Array.from({ length: 30 }, () => Buffer.from("1"));
      const server = standIn(([name]) => (name === "FT.INFO" ? info : [0]));
      await ask(keySearch(server), path);
      expect(server.commands).toEqual([command]);
    });

  test("no limit means as many as PCP gives", async () => {
    const server = standIn(() => [0]);
    const index = keySearch(server);
    await index.text({ ...ALL, query: "x", limit: 0 });
    await index.indom("1.2", 0, 0);
    await index.suggest("xx", 0);
    expect(server.commands.map((command) => command.slice(-2))).toEqual([
      ["0", "10"],
      ["0", "10"],
      ["0", "10"],
    ]);
  });
});

describe("words as the real pmsearch asks for them", () => {
  const cases: readonly (readonly [query: string, words: string])[] = [
    ["the a  is", ""],
    ["disk is", "disk"],
    ["disk  the   read", "disk    read"],
    ["disk is  read is", "disk  read"],
    ["the   disk", "disk"],
    ["..disk..", "disk"],
    ["the..disk..is..", "disk"],
    ["Is disk", "Is disk"],
    ["12% 5x", "12  5x"],
    ["99.5 is9", "99 5 is9"],
    ["disk|cpu?", "disk|cpu?"],
    ["disk\tread\nx`\\", "disk\tread\nx`\\"],
    ["di_sk'", "di_sk"],
  ];
  for (const [query, words] of cases)
    test(JSON.stringify(query), () => {
      expect(textWords(query)).toBe(words);
    });

  test("suggestions need two bytes, and letters to resemble", () => {
    expect(suggestWords("12% 5x é 1")).toEqual({
      prefixes: ["12", "5x", "é"],
      fuzzy: ["5x", "é"],
    });
  });
});

describe("replies", () => {
  const answer = async (reply: KeyReply) =>
    keySearch(standIn(() => reply)).text({ ...ALL, query: "sample" });

  test("hits as they were recorded", async () => {
    const { reply, body } = recorded.replies.text;
    const found = await answer(replyOf(reply));
    const { results, total } = JSON.parse(body.replace("{{ELAPSED}}", "0"));
    expect(found.total).toBe(total);
    expect(found.elapsed).toBeGreaterThan(0);
    const scores = [2.5, 1.25, 1];
    const wanted = results.map((each: object, at: number) => ({
      ...each,
      id: `d${at + 1}`,
      score: scores[at],
    }));
    expect(found.hits).toEqual(wanted);
  });

  test("numbers of the index as they were recorded", async () => {
    const { reply, body } = recorded.replies.info;
    const info = await keySearch(standIn(() => replyOf(reply))).info();
    const rounded = Object.entries(info).map(([name, value]) => [name, +value.toFixed(2)]);
    expect(Object.fromEntries(rounded)).toEqual(JSON.parse(body));
    expect(rounded.map(([name]) => name)).toEqual(Object.keys(JSON.parse(body)));
  });

  test("members that are nil are empty, unknown ones are left out", async () => {
    const fields = ["NAME", "a", "HELPTEXT", null, "COLOUR", "red", "TYPE", "metric", "odd"];
    const found = await answer([1, "id", "nan", "2", fields]);
    expect(found.hits).toEqual([{ id: "id", score: 0, name: "a", helptext: "", type: "indom" }]);
  });

  test("what is no answer is refused", async () => {
    const bad: KeyReply[] = [null, 5, "OK", Buffer.from("x"), [], [Buffer.from("3")]];
    for (const reply of bad)
      expect(await thrown(answer(reply))).toThrow("expected array from FT.SEARCH");
    const error = new SeriesProblem("Syntax error at offset 2", "bad response");
    expect(await thrown(answer(error))).toThrow("Syntax error at offset 2");
    const info = keySearch(standIn(() => [Buffer.from("num_docs"), 1])).info();
    expect(await thrown(info)).toThrow("expected array from FT.INFO");
  });

  test("hits that are cut off or of another form are left out", async () => {
    const found = await answer([9, "a", 1, "1", ["NAME", "x"], "b", 1, "1", null, "c", 1]);
    expect(found).toMatchObject({ total: 9, hits: [{ id: "a", name: "x" }] });
  });

  test("a server that is away, or has no module, is told of", async () => {
    const away = keySearch(standIn(() => null, { down: "connection refused" }));
    expect(await rejected(away.suggest("disk", 1))).toMatchObject({
      message: "no connection to the key server: connection refused",
    });
    const without = keySearch(standIn(() => null, { hasSearch: false }));
    expect(await thrown(without.info())).toThrow("the key server has no text search");
  });
});

describe("documents of a load", () => {
  const documentsOf = async (path: string, hasSearch = true): Promise<string[]> => {
    const server = standIn(() => 1, { hasSearch });
    await loadArchive(server, { path, metrics: [] }, { now: NOW });
    return server.commands
      .filter(([name]) => name === "FT.ADD")
      .map((command) => JSON.stringify(command.map(String)));
  };

  test("metrics, domains and instances, each once, with their texts, and domains at the end again", async () => {
    const all = await documentsOf(join(REC, "v3-labels"));
    const typeOf = (each: string): unknown => JSON.parse(each)[12];
    const domains = new Set(all.filter((each) => typeOf(each) === "indom"));
    const found = all.slice(0, -domains.size);
    expect(all.slice(-domains.size)).toEqual([...domains]);
    expect(new Set(found).size).toBe(found.length);
    const types = found.map(typeOf);
    expect(new Set(types)).toEqual(new Set(["metric", "indom", "instance"]));
    expect(found.some((each) => each.includes('"ONELINE"'))).toBe(true);
  });

  test("none without the module", async () => {
    expect(await documentsOf(join(REC, "v3-dyn"), false)).toEqual([]);
  });

  test("an index that refuses them does not end the load", async () => {
    const server = standIn(([name]) =>
      name === "FT.ADD" ? new SeriesProblem("out of room", "bad response") : 1,
    );
    const told: string[] = [];
    const warn = (text: string): unknown => told.push(text);
    await loadArchive(server, { path: join(REC, "v3-dyn"), metrics: [] }, { now: NOW, warn });
    expect(told).toEqual(["text search has not all of the archive: out of room"]);
  });

  forEachSuiteArchive((base, name) => {
    if (name !== "zero_disk_activity") return;
    test(`${name}: as the real pmseries writes them`, async () => {
      const hash = (text: string): string => createHash("sha1").update(text).digest("hex");
      const found = (await documentsOf(base)).map((each) => [JSON.parse(each)[2], hash(each)]);
      expect(Object.fromEntries(found)).toEqual(recorded.documents);
    });
  });
});

describePeer("redisearch", "the module itself", () => {
  const closers: (() => Promise<void>)[] = [];
  afterAll(() => Promise.all(closers.map((close) => close())));

  /** A server with what one archive has. */
  const use = async (): Promise<{ server: KeyServer; port: number }> => {
    const { port, stop } = await startRedisearch();
    const server = useKeyServer({ servers: [`127.0.0.1:${port}`], wantSearch: true });
    closers.push(() => server.close(), stop);
    await server.ready();
    await loadArchive(server, { path: join(REC, "v3-dyn"), metrics: [] }, { now: NOW });
    return { server, port };
  };

  test("answers what was loaded", async () => {
    const { server } = await use();
    expect(server.hasSearch).toBe(true);
    const index = keySearch(server);
    const { hits, total } = await index.text({ ...ALL, query: "sample", highlight: ["name"] });
    expect(total).toBeGreaterThan(0);
    expect(hits.some(({ name }) => name?.startsWith("<b>sample</b>."))).toBe(true);
    expect(await index.suggest("samp", 3)).toHaveLength(3);
    expect((await index.info())["docs"]).toBeGreaterThan(total);
    expect(await thrown(index.text({ ...ALL, query: "the" }))).toThrow("Syntax error");
  });

  testWith("pcp6", "the real pmsearch finds it", async () => {
    const { port, server } = await use();
    const lines = await must(["pmsearch", "-p", String(port), "-d", "-t", "-N", "100", "sample"]);
    const { hits, total } = await keySearch(server).text({ ...ALL, query: "sample", limit: 100 });
    expect(lines).toContain(`${total} hits`);
    const ids = [...lines.matchAll(/^ID: (\w+)$/gm)].map(([, id]) => id);
    expect(ids).toEqual(hits.map(({ id }) => id));
  });
});
