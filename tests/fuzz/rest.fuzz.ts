// Fuzzes the requests about series and for text search with paths, parameters and bodies that are nearly
// right, over recorded series and an index that gives what it was asked for. The promise: one reply with a
// status of the API and a body of its form, to its end, or none for foreign paths; and nothing is left at
// work behind it.
import type { SearchIndex } from "../../lib/series/mod.ts";
import type { WebApi, WebBody, WebReply } from "../../lib/web/mod.ts";
import { AWKWARD } from "../series/recorded-lines.ts";
import { dumpStore } from "../series/dump-store.ts";
import { apiOver, refusingLoad, serviceOf } from "../web/series-support.ts";
import { hex } from "../helpers/vector.ts";
import { FuzzFinding, type Fuzzer, type Random, seeded } from "./random.ts";

const TIME_LIMIT_MS = 2000;
const STATUSES: readonly number[] = [200, 400, 401, 405, 409, 500, 503];
const words = (text: string): readonly string[] => text.split(" ");
const PATHS = words(
  "query values descs labels metrics instances sources load ping text suggest indom info queryx %70ing nosuch _",
);
const NAMES = words(
  "expr series source name names match samples count interval delta start begin finish end range align " +
    "offset zone client clientid query type field return highlight limit x __proto__",
);
/** Among them identifiers of the recorded series, and of their instances. */
const VALUES = words(
  " 1 -1 0 0x10 99999999999999999999 edge.* edge.u64 edge.str[count:1] rate(edge.u64[start:1]) max( ) { } [ " +
    "f6c5d6f3c68925154e53ee8c761d8a3312f6bf9c 8cef43d8fd1205ec2e084b5bc85250eff1e52a19 nosuch , a,b,,c * ? " +
    '"%22" 10sec -1hour now @1 2023-11-14 UTC EST5EDT metric,indom name,oneline % %zz %00 %e9 + = & \u00e9 1.5 ' +
    "{source.path:%22/nosuch%22} +edge.u64[count:2]",
);
const HEADERS = [undefined, undefined, undefined, "Basic !!!", "Basic YTpi", "Bearer x"] as const;

const several = (random: Random, list: readonly string[], most: number): string =>
  Array.from({ length: random.below(most + 1) }, () => random.pick(list)).join("");

const index: SearchIndex = {
  text: async ({ query, limit, offset }) => ({
    total: 1,
    elapsed: 0.1,
    offset,
    limit,
    hits: [{ id: "", score: 1, name: query, oneline: query }],
  }),
  suggest: async (query) => (query === "" ? [] : [query]),
  indom: async (_query, limit, offset) => ({ total: 0, elapsed: 0, offset, limit, hits: [] }),
  info: async () => ({ docs: 1, records_per_doc_avg: 1 / 3 }),
};

async function textOf(body: WebBody): Promise<string> {
  if (typeof body === "string") return body;
  if (body instanceof Uint8Array) return Buffer.from(body).toString();
  let text = "";
  for await (const piece of body) text += Buffer.from(piece).toString("latin1");
  return text;
}

async function checkReply(reply: WebReply<WebBody>): Promise<void> {
  const { status, type } = reply;
  if (!STATUSES.includes(status)) throw new Error(`status ${status}`);
  const text = await textOf(reply.body);
  if (text === "") return;
  if (type === "text/html" ? !text.startsWith("<html>") : !text.endsWith("\r\n"))
    throw new Error(`${type}: ${text}`);
  if (type !== "text/html") JSON.parse(text);
}

const parametersOf = (random: Random): string =>
  Array.from(
    { length: random.below(5) },
    () => `${random.pick(NAMES)}=${several(random, VALUES, 3)}`,
  ).join("&");

async function askOnce(api: WebApi, random: Random): Promise<string> {
  const path = `/${random.pick(["series", "series", "search"])}/${several(random, PATHS, 2)}`;
  const query = random.below(3) === 0 ? undefined : parametersOf(random);
  const method = random.pick(["GET", "GET", "POST", "HEAD", "OPTIONS", "TRACE", "PUT"]);
  const authorization = random.pick(HEADERS);
  const body = Buffer.from(parametersOf(random));
  const text = `${method} ${path}?${query ?? ""} ${body.toString()}`;
  const header = (name: string) => (name === "authorization" ? authorization : undefined);
  const more = query === undefined ? {} : { query, target: `${path}?${query}` };
  try {
    const reply = await api.answer({ method, path, body, header, ...more });
    if (reply !== undefined) await checkReply(reply);
    const { requests, waiting, streams, held } = api.status();
    if ([requests, waiting, streams, held].some((count) => count !== 0))
      throw new Error(`left at work: ${JSON.stringify(api.status())}`);
  } catch (error) {
    throw new Error(text, { cause: error });
  }
  return text;
}

/** Requests about series and for text search. */
export const fuzzRest: Fuzzer = async (seed, iterations) => {
  const random = seeded(seed);
  const api = apiOver(serviceOf(dumpStore(AWKWARD), { search: index, load: refusingLoad }));
  for (let iteration = 0; iteration < iterations; iteration++) {
    const started = performance.now();
    try {
      const input = await askOnce(api, random);
      const took = performance.now() - started;
      if (took > TIME_LIMIT_MS) throw new Error(`took ${Math.round(took)} ms: ${input}`);
    } catch (error) {
      const cause =
        error instanceof Error && error.cause instanceof Error ? error.cause : undefined;
      const reason = `${error instanceof Error ? error.message : String(error)} ${cause?.message ?? ""}`;
      throw new FuzzFinding("rest", seed, iteration, hex(Buffer.from(reason)), reason, {
        cause: error,
      });
    }
  }
};
