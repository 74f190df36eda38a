// Replies that no key server should give to questions about texts, and texts that nobody should look for:
// the answer is hits of the right form or a PcpError, and the words of a question have no character that
// PCP takes for a separator.
import { PcpError } from "../../lib/base/mod.ts";
import type { KeyReply } from "../../lib/keyserver/keys.ts";
import { hitsOfReply, infoOfReply, suggestCommand } from "../../lib/keyserver/search.ts";
import { SeriesProblem } from "../../lib/series/problem.ts";
import { textWords } from "../../lib/series/search-words.ts";
import { type Fuzzer, FuzzFinding, type Random, seeded } from "./random.ts";

const TEXTS = [
  ["", "0", "1", "3", "nan", "1e999", "NAME", "TYPE", "metric", "HELPTEXT", "num_docs"],
  ["disk.dev.read", "the", "is", " ", "  ", "%x%", "a*", "{", "}'", "é", "\ud800", "\0", "_", "|"],
].flat();

function reply(random: Random, depth: number): KeyReply {
  switch (random.below(depth === 0 ? 5 : 8)) {
    case 0:
      return null;
    case 1:
      return random.below(100) - 5;
    case 2:
      return random.below(10) === 0 ? new SeriesProblem("no", "bad response") : random.pick(TEXTS);
    case 3:
    case 4:
      return Buffer.from(random.pick(TEXTS));
    default:
      return Array.from({ length: random.below(40) }, () => reply(random, depth - 1));
  }
}

/** A reply of about the right form. */
function searchReply(random: Random): KeyReply {
  if (random.below(4) === 0) return reply(random, 3);
  const parts: KeyReply[] = [random.below(9)];
  for (let hits = random.below(4); hits > 0; hits--)
    parts.push(Buffer.from("id"), Buffer.from("1.5"), Buffer.from("1"), reply(random, 1));
  return parts;
}

const refused = (body: () => void): void => {
  try {
    body();
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
  }
};

function check(random: Random): void {
  refused(() => {
    const { total, hits } = hitsOfReply(searchReply(random));
    if (hits.length > total) throw new Error("more hits than there are");
    for (const { id, score, ...members } of hits) {
      const texts: unknown[] = [id, ...Object.values(members)];
      if (!Number.isFinite(score) || texts.some((each) => typeof each !== "string"))
        throw new Error("a hit has another form");
    }
  });
  refused(() => {
    if (Object.values(infoOfReply(reply(random, 2))).some((each) => !Number.isFinite(each)))
      throw new Error("a number is none");
  });
  const query = Array.from({ length: random.below(6) }, () => random.pick(TEXTS)).join(
    random.pick(["", " ", "."]),
  );
  const words = textWords(query);
  if (/[,.<>{}[\]"':;!@#$%^&*()\-+=~/]|^ | $/.test(words))
    throw new Error(`words are ${JSON.stringify(words)}`);
  const [, , text] = suggestCommand(query, 1);
  if (!String(text).endsWith("@TYPE:{metric|instance}'")) throw new Error("types are missing");
}

/** See the head of this file. */
export const fuzzSearch: Fuzzer = (seed, iterations) => {
  const random = seeded(seed);
  for (let iteration = 0; iteration < iterations; iteration++)
    try {
      check(random);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new FuzzFinding("search", seed, iteration, "", reason, { cause: error });
    }
};
