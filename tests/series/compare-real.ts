// The same query to the real pmproxy and to our library over one key server, and what differs. The real one is
// one process for many queries; it dies of some, and is started again.
import { UTC } from "../../lib/pcp/mod.ts";
import {
  evaluateQuery,
  namesJson,
  parseQuery,
  problemJson,
  problemOf,
  type SeriesStore,
  valuesJson,
} from "../../lib/series/mod.ts";
import type { Proxy } from "../helpers/pcp.ts";
import { startPmproxy7 } from "../helpers/pcp7.ts";
import { waitUntil } from "../helpers/ports.ts";

const FORM = { quoting: "pcp" } as const;
/** How long the real one may take for an answer: some queries it never answers. */
const PATIENCE_MS = 3000;

/** A query that has two answers. */
export interface Difference {
  readonly query: string;
  readonly real: string;
  readonly ours: string;
}

/** Our answer, as REST has it. */
export async function ourAnswer(store: SeriesStore, query: string): Promise<string> {
  const now = { sec: Math.floor(Date.now() / 1000), nsec: 0 };
  const options = { now, zone: UTC, comparison: true };
  try {
    const answer = await evaluateQuery(store, parseQuery(query, options), options);
    if (answer.problem !== undefined) throw answer.problem;
    if (answer.values === undefined) return namesJson(answer.ids, FORM).body;
    let text = "";
    for await (const piece of valuesJson(answer.values, FORM))
      text += Buffer.from(piece).toString("latin1");
    return text === "" ? "[]\r\n" : text;
  } catch (error) {
    const problem = problemOf(error);
    if (problem === undefined) throw error;
    return problemJson(problem.message, FORM);
  }
}

/** An answer with its parts in an order of their own: that of series follows the server's hashes. */
export function settled(answer: string): string {
  if (!answer.startsWith("[")) return answer;
  const inner = answer.trim().slice(1, -1);
  return inner
    .split(/(?<=\}),(?=\{)|(?<="),(?=")/)
    .sort()
    .join("\n");
}

/** The real pmproxy over a key server, started again when it has died. */
export function realProxy(keyServerPort: number) {
  let proxy: Promise<Proxy> | undefined;
  let crashes = 0;
  const get = async (port: number, query: string): Promise<string> => {
    const url = `http://127.0.0.1:${port}/series/query?expr=${encodeURIComponent(query)}`;
    // A connection each: to some mistakes it answers twice.
    const reply = await fetch(url, {
      signal: AbortSignal.timeout(PATIENCE_MS),
      headers: { connection: "close" },
      keepalive: false,
    });
    return Buffer.from(await reply.arrayBuffer()).toString("latin1");
  };
  const start = async (): Promise<Proxy> => {
    const made = await startPmproxy7({ keyServerPort });
    // It takes requests before it has its key server.
    const isReady = (text: string): boolean => text.startsWith("[");
    await waitUntil(() => get(made.port, "no.such.metric").then(isReady, () => false));
    return made;
  };
  const started = (): Promise<Proxy> => (proxy ??= start());
  const again = async (): Promise<undefined> => {
    crashes++;
    const old = await started();
    old.daemon.signal("SIGKILL");
    await old.daemon.ended;
    proxy = undefined;
    return undefined;
  };
  return {
    get crashes() {
      return crashes;
    },
    /** Its answer; undefined where it died, or did not answer. */
    async answer(query: string): Promise<string | undefined> {
      const { port } = await started();
      const first = await get(port, query).catch(again);
      if (first !== undefined) return first;
      // It may have died of the query before.
      const { port: next } = await started();
      return get(next, query).catch(again);
    },
    stop: async (): Promise<void> => (await proxy)?.stop(),
  };
}

/** Compares the answers to one query; undefined where they are the same. */
export async function compareOne(
  real: ReturnType<typeof realProxy>,
  store: SeriesStore,
  query: string,
): Promise<Difference | "crashed" | undefined> {
  const [theirs, ours] = await Promise.all([real.answer(query), ourAnswer(store, query)]);
  if (theirs === undefined) return "crashed";
  return settled(theirs) === settled(ours) ? undefined : { query, real: theirs, ours };
}
