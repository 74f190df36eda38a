// Fuzzes the store over a key server with a server that answers anything: wrong types, lists that are cut,
// identifiers of wrong lengths, entries without times. The promise: each question is answered for each
// thing that was asked for, or refused with one PcpError; reading values ends. Bytes of replies that are
// changed are found in pieces as they are found whole, and reading one ends where it was found to end.
import { PcpError } from "../../lib/base/mod.ts";
import type { KeyReply, KeyServer } from "../../lib/keyserver/keys.ts";
import { ReplyReader, ReplyScanner } from "../../lib/keyserver/resp.ts";
import { keyStore } from "../../lib/keyserver/store.ts";
import { columnLength } from "../../lib/series/column.ts";
import { asSeriesId, stringId } from "../../lib/series/ids.ts";
import { SeriesProblem } from "../../lib/series/problem.ts";
import type { SeriesStore } from "../../lib/series/store.ts";
import { pipeOver, replyBytes } from "../keyserver/stand-in-pipe.ts";
import { FuzzFinding, type Fuzzer, mutate, type Random, seeded } from "./random.ts";

const TEXTS = [
  "",
  "0",
  "1-2",
  "1700000000000-5",
  "9-",
  "-3",
  "x-1",
  "99999999999999999999-1",
  "u32",
  "é",
];
const IDS = ["a", "b", "c"].map((name) => stringId(name));

function scalar(random: Random): KeyReply {
  switch (random.below(8)) {
    case 0:
      return null;
    case 1:
      return random.below(5);
    case 2:
      return random.below(20) === 0 ? new SeriesProblem("WRONGTYPE", "bad response") : "OK";
    case 3:
    case 4:
      return Buffer.from(random.pick(IDS), "hex").subarray(0, 20 - (random.below(9) === 0 ? 1 : 0));
    default:
      return Buffer.from(random.pick(TEXTS));
  }
}

function reply(random: Random, depth: number): KeyReply {
  if (depth === 0 || random.below(4) === 0) return scalar(random);
  return Array.from({ length: random.below(7) }, () => reply(random, depth - 1));
}

/** An answer of about the form that a command has. */
function answer(random: Random, command: string | Buffer | undefined): KeyReply {
  if (random.below(10) === 0) return reply(random, 3);
  if (command === "SCARD" || command === "XLEN") return random.below(4);
  if (command === "HSCAN")
    return [Buffer.from(random.below(4) === 0 ? "7" : "0"), reply(random, 1)];
  if (command === "XRANGE" || command === "XREVRANGE")
    return Array.from({ length: random.below(4) }, () => [
      Buffer.from(random.pick(["1-2", "1700000000000-5", random.pick(TEXTS)])),
      reply(random, 1),
    ]);
  return reply(random, 1);
}

function serverOf(random: Random): KeyServer {
  const run: KeyServer["run"] = (commands) =>
    Promise.resolve(commands.map(([name]) => answer(random, name)));
  return {
    state: { kind: "up", cluster: false, version: 7 },
    schema: 2,
    generation: 1,
    stamp: undefined,
    hasSearch: false,
    shares: () => Promise.resolve([]),
    ready: () => Promise.resolve(),
    run,
    pipe: pipeOver(run),
    close: () => Promise.resolve(),
  };
}

type Question = (store: SeriesStore) => Promise<readonly unknown[]>;

const leaf = {
  map: { kind: "metric" },
  choice: { kind: "glob", pattern: "*", fits: () => true },
} as const;
/** Questions about as many things as IDS has. */
const QUESTIONS: readonly Question[] = [
  (store) => store.select(IDS.map(() => leaf)),
  (store) => store.descriptors(IDS),
  (store) => store.metricNames(IDS),
  (store) => store.instances(IDS),
  (store) => store.instancesById(IDS),
  (store) => store.labels(IDS),
  (store) => store.sources(IDS),
  (store) => store.labelValues(IDS),
  (store) => store.expressions(IDS),
  async (store) => {
    const requests = IDS.map((series, at) => ({
      series,
      from: 0,
      to: Infinity,
      ...(at === 1 ? { newest: 3 } : {}),
    }));
    for await (const { times, ends, places, instances, values } of store.values(requests)) {
      const length = columnLength(values);
      const fits = ends.length === times.length && places.length === length;
      if (!fits || (ends.at(-1) ?? 0) !== length) throw new Error("a block does not fit itself");
      if (times.some((time) => !Number.isSafeInteger(time))) throw new Error("a time is none");
      if (!instances.every((id) => asSeriesId(id) !== undefined))
        throw new Error("an instance is none");
    }
    return IDS;
  },
];

/** Ends of replies in bytes that come in pieces, and whether they were refused then. */
function endsIn(bytes: Buffer, piece: () => number): { ends: readonly number[]; bad: boolean } {
  const scanner = new ReplyScanner();
  const ends: number[] = [];
  try {
    for (let end = 0; end < bytes.length;) {
      end = Math.min(bytes.length, end + piece());
      while (scanner.next(bytes, end)) ends.push(scanner.at);
    }
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
    return { ends, bad: true };
  }
  return { ends, bad: false };
}

function checkBytes(random: Random): void {
  const sound = Buffer.concat(Array.from({ length: 3 }, () => replyBytes(reply(random, 3))));
  const bytes = Buffer.from(
    random.below(3) === 0 ? sound : mutate(sound, random, [replyBytes(reply(random, 2))]),
  );
  const whole = endsIn(bytes, () => bytes.length);
  const pieces = endsIn(bytes, () => 1 + random.below(9));
  if (JSON.stringify(whole) !== JSON.stringify(pieces)) throw new Error(bytes.toString("hex"));
  let from = 0;
  for (const end of whole.ends) {
    const reader = new ReplyReader(bytes, from);
    try {
      reader.read();
      if (reader.at !== end) throw new Error(`read to ${reader.at}: ${bytes.toString("hex")}`);
    } catch (error) {
      if (!(error instanceof PcpError)) throw error;
    }
    from = end;
  }
}

/** See the head of this file. */
export const fuzzKeys: Fuzzer = async (seed, iterations) => {
  const random = seeded(seed);
  const store = keyStore(serverOf(random));
  for (let iteration = 0; iteration < iterations; iteration++) {
    const which = random.below(QUESTIONS.length);
    try {
      checkBytes(random);
      const answers = (await QUESTIONS[which]?.(store)) ?? [];
      if (answers.length !== IDS.length) throw new Error(`${answers.length} answers`);
    } catch (error) {
      if (error instanceof PcpError) continue;
      const reason = error instanceof Error ? error.message : String(error);
      throw new FuzzFinding("keys", seed, iteration, `question ${which}`, reason, { cause: error });
    }
  }
};
