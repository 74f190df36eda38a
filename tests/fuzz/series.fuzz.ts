// Fuzzes queries of series: strange texts over a store whose streams hold whatever somebody may have written
// there: samples without values, instances that come and go, texts that are no numbers, descriptors that do
// not fit. The promise: an answer or one error, printed and rendered to its end; JSON that is JSON.
import { PcpError } from "../../lib/base/mod.ts";
import { UTC } from "../../lib/pcp/mod.ts";
import {
  evaluateQuery,
  parseQuery,
  type SeriesBlock,
  type SeriesStore,
  stringId,
  valuesJson,
  valuesText,
} from "../../lib/series/mod.ts";
import { type Dump, dumpStore } from "../series/dump-store.ts";
import { FuzzFinding, type Fuzzer, type Random, seeded } from "./random.ts";

const PIECES = (
  "a b c* nosuch a{x==1} {x:y} rate( abs( log( sqrt( max( min_sample( sum( avg_sample( stdev_inst( " +
  "topk_inst( topk_sample( nth_percentile_inst( rescale( ) ,2) ,50) + - * / 2 0.5 [count:2] [start:1] " +
  '[interval:1,count:3] [10sec] , "byte" "sec / count" [ ] { } ~ é "'
).split(" ");
const TEXTS = (
  "0 1 -1 2147483647 -9223372036854775808 18446744073709551615 1.5e+00 -0.000000e+00 1e999 inf -nan nan " +
  '"x" no\u00a0value 12x 0x1f - . +1'
).split(" ");
const TYPES = ["32", "u32", "64", "U64", "float", "DOUBLE", "string", "event", "unknown", ""];
const UNITS = ["none", "", "count", "Kbyte", "byte / sec", "millisec", "furlong", "count^7"];
const SEMANTICS = ["counter", "instant", "discrete", ""];

const pick = <T>(random: Random, list: readonly T[], none: T): T =>
  list[random.below(list.length)] ?? none;

const CALLS = (
  "rate abs floor round log sqrt max min_sample max_sample sum sum_sample avg avg_sample stdev_inst " +
  "stdev_sample topk_inst topk_sample nth_percentile_inst nth_percentile_sample rescale"
).split(" ");

/** An expression that the grammar takes. */
function expression(random: Random, times: string, depth: number): string {
  if (depth === 0) return pick(random, ["a", "b", "c*", "a{metric.name:a}"], "a") + times;
  const inner = expression(random, times, depth - 1);
  switch (random.below(4)) {
    case 0:
      return `${pick(random, ["2", "0.5"], "2")} * ${inner}`;
    case 1:
      return `${inner} ${pick(random, ["+", "-", "*", "/"], "+")} ${expression(random, times, random.below(depth))}`;
    default: {
      const call = pick(random, CALLS, "abs");
      if (call === "rescale") return `rescale(${inner},${pick(random, ['"byte"', '"sec"'], "")})`;
      return `${call}(${inner}${/^(?:topk|nth)/.test(call) ? `, ${random.below(101)}` : ""})`;
    }
  }
}

/** A text of pieces, or one that makes sense. */
function textOf(random: Random): string {
  const times = pick(
    random,
    ["", "[count:2]", "[start:1]", "[interval:1]", "[count:3,start:2]"],
    "",
  );
  if (random.below(4) > 0) return expression(random, times, random.below(4));
  const length = 1 + random.below(8);
  return Array.from({ length }, () => pick(random, PIECES, "")).join("");
}

/** A dump with three metrics, made of anything. */
function dumpOf(random: Random): Dump {
  const keys: Record<string, { type: string; value: unknown }> = {};
  const names = ["a", "b", "cd"];
  const ids = names.map((name) => stringId(`series ${name}`));
  keys["pcp:map:metric.name"] = {
    type: "hash",
    value: Object.fromEntries(names.map((name) => [stringId(name), name])),
  };
  names.forEach((name, at) => {
    const id = ids[at] ?? "";
    keys[`pcp:series:metric.name:${stringId(name)}`] = { type: "set", value: [id] };
    keys[`pcp:metric.name:series:${id}`] = { type: "set", value: [stringId(name)] };
    if (random.below(8) > 0)
      keys[`pcp:desc:series:${id}`] = {
        type: "hash",
        value: {
          indom: pick(random, ["none", "1.1"], ""),
          pmid: "1.1.1",
          semantics: pick(random, SEMANTICS, ""),
          source: "",
          type: pick(random, TYPES, ""),
          units: pick(random, UNITS, ""),
        },
      };
    let time = 1000;
    keys[`pcp:values:series:${id}`] = {
      type: "stream",
      value: Array.from({ length: random.below(6) }, () => {
        time += random.below(3000);
        const fields = Array.from({ length: random.below(4) }, (_, place) => [
          pick(random, ["", "-1", `hex:${stringId(String(place))}`], ""),
          pick(random, TEXTS, ""),
        ]);
        return [`${time}-${random.below(1000)}`, fields];
      }),
    };
  });
  return { keys };
}

async function read(pieces: AsyncIterable<string | Uint8Array>): Promise<string> {
  let text = "";
  for await (const piece of pieces)
    text += typeof piece === "string" ? piece : Buffer.from(piece).toString();
  return text;
}

async function check(store: SeriesStore, text: string): Promise<void> {
  const options = { now: { sec: 5, nsec: 0 }, zone: UTC };
  try {
    const answer = await evaluateQuery(store, parseQuery(text, options), options);
    if (answer.values === undefined) return;
    const blocks: SeriesBlock[] = [];
    for await (const block of answer.values) blocks.push(block);
    async function* again(): AsyncGenerator<SeriesBlock> {
      await Promise.resolve();
      yield* blocks;
    }
    const lines = await read(valuesText(again(), { zone: UTC, numeric: true }));
    const json = await read(valuesJson(again(), { quoting: "json" }));
    const values: unknown = json === "" ? [] : JSON.parse(json);
    const count = lines.split("\n").filter((line) => line.startsWith("    [")).length;
    if (!Array.isArray(values) || values.length !== count)
      throw new Error(`${count} lines, but ${json}`);
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
  }
}

/** Queries to one store; a store takes longer to make than a query to answer. */
const QUERIES = 16;

/** Fuzzes parseQuery, evaluateQuery, valuesText and valuesJson. */
export const fuzzSeries: Fuzzer = async (seed, iterations) => {
  const random = seeded(seed);
  let dump = dumpOf(random);
  let store = dumpStore([dump]);
  for (let iteration = 0; iteration < iterations; iteration++) {
    if (iteration % QUERIES === 0) {
      dump = dumpOf(random);
      store = dumpStore([dump]);
    }
    const text = textOf(random);
    try {
      await check(store, text);
    } catch (error) {
      const input = JSON.stringify({ text, dump });
      throw new FuzzFinding("series", seed, iteration, input, String(error), { cause: error });
    }
  }
};
