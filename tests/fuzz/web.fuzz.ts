// Fuzzes the REST API with paths, queries, bodies and credentials that are nearly right, over a pmcd that
// is not there, and its patterns with names. The promise: one reply with a status of the API and a
// body of its form, or none for foreign paths, and in time that goes with the length.
import { compileGlob } from "../../lib/base/mod.ts";
import { createWebApi, type WebApi, type WebReply, type WebBody } from "../../lib/web/mod.ts";
import { matcherOf } from "../../lib/web/instances.ts";
import { WebFault } from "../../lib/web/fault.ts";
import { hex } from "../helpers/vector.ts";
import { FuzzFinding, type Fuzzer, type Random, seeded } from "./random.ts";

const TIME_LIMIT_MS = 1000;
const STATUSES: readonly number[] = [200, 400, 401, 403, 405, 503];
const words = (text: string): readonly string[] => text.split(" ");
const PIECES = words(
  "/pmapi/ /metrics /openmetrics 12/ _ context fetch metric indom profile children store derive",
);
const NAMES = words(
  "names name pmids pmid indom iname instance match expr value prefix context hostspec polltimeout client filter times",
);
const VALUES = words(
  " 1 -1 29.0.1 0x7400001 99999999999999999999 a,b,,c regex glob add ( [a- * % %zz %00 %e9 + = & é __proto__ a=b\n",
);
const HEADERS = [undefined, "Basic !!!", "Basic YTpi", "Basic bm9jb2xvbg==", "Bearer x"] as const;
const PATTERNS = ["*", "?", "[", "]", "[!a]", "\\", "a", "b", "(", ")", "+", "{2,}", "|", ".", "^"];

const several = (random: Random, list: readonly string[], most: number): string =>
  Array.from({ length: random.below(most + 1) }, () => random.pick(list)).join("");

async function checkReply(reply: WebReply<WebBody>, method: string): Promise<void> {
  const { status, type, body } = reply;
  if (!STATUSES.includes(status)) throw new Error(`status ${status}`);
  if (method === "HEAD" && status === 200) return;
  if (typeof body !== "string") throw new Error("a body without a pmcd");
  if (type === "application/json") JSON.parse(body);
  else if (type !== "" && !body.startsWith("<html>")) throw new Error(`${type}: ${body}`);
}

/** Asks once; the host is one whose connections are refused, unless a context is named. */
async function askOnce(api: WebApi, random: Random): Promise<string> {
  const path = `/pmapi/${several(random, PIECES, 3)}`;
  const pairs = Array.from(
    { length: random.below(6) },
    () => `${random.pick(NAMES)}=${several(random, VALUES, 3)}`,
  );
  const query = ["hostspec=127.0.0.1:1", ...pairs].join("&");
  const method = random.pick(["GET", "GET", "POST", "HEAD", "OPTIONS", "TRACE", "PUT"]);
  const authorization = random.pick(HEADERS);
  const body = Buffer.from(several(random, VALUES, 4));
  const text = `${method} ${path}?${query}`;
  const header = (name: string) => (name === "authorization" ? authorization : undefined);
  try {
    const reply = await api.answer({ method, path, query, body, header });
    if (reply !== undefined) await checkReply(reply, method);
  } catch (error) {
    throw new Error(text, { cause: error });
  }
  return text;
}

function checkPatterns(random: Random): string {
  const pattern = several(random, PATTERNS, 12);
  const name = several(random, ["a", "b", "ab", "*", "("], 40);
  compileGlob(pattern)(name);
  try {
    matcherOf(new Map([["match", "regex"]]), pattern)(name);
  } catch (error) {
    if (!(error instanceof WebFault)) throw error;
  }
  return `${pattern} ${name}`;
}

/** Requests to the REST API, and patterns of instances. */
export const fuzzWeb: Fuzzer = async (seed, iterations) => {
  const random = seeded(seed);
  const api = createWebApi({ env: { PCP_DERIVED_CONFIG: "" } });
  try {
    for (let iteration = 0; iteration < iterations; iteration++) {
      const started = performance.now();
      let input = "";
      try {
        input = iteration % 2 === 0 ? await askOnce(api, random) : checkPatterns(random);
        const took = performance.now() - started;
        if (took > TIME_LIMIT_MS) throw new Error(`took ${Math.round(took)} ms: ${input}`);
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        const place = hex(Buffer.from(reason));
        throw new FuzzFinding("web", seed, iteration, place, reason, { cause: error });
      }
    }
  } finally {
    await api.close();
  }
};
