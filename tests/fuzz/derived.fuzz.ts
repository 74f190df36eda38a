// Fuzzes the language of derived metrics: expressions and files of pieces of the grammar. The promise:
// a tree or a complaint within the text; a tree that is printed reads as itself and can be bound and
// evaluated; a file is read to its end, in time that goes with its length.
import { PcpError } from "../../lib/base/mod.ts";
import {
  bindExpression,
  createDerivedSet,
  EMPTY,
  evaluate,
  exprText,
  loadDerivedText,
  type Metrics,
  parseExpression,
  type Sample,
} from "../../lib/derived/mod.ts";
import { asIndom, asPmid, PM_INDOM_NULL, PM_SEM, PM_TYPE } from "../../lib/pcp/mod.ts";
import { FuzzFinding, type Fuzzer, type Random, seeded } from "./random.ts";

const PIECES = (
  "a b.c e 3 4.5 . 4294967296 ( ) + - * / < <= == != && || ! ? : , [i] [ ] delta( rate( avg( " +
  "sum( count( min( max( scalar( instant( defined( rescale( matchinst( mkconst( novalue( anon( " +
  'type=u32 type=double units=byte semantics=counter indom=1.1 meta=b.c "byte" "sec / count" /a/ !/^b/ ' +
  "PM_TYPE_U64 \\ \n # = (oneline) 'x é \0"
).split(" ");

/** Metrics of every kind that has rules of its own. */
const lookup: Metrics["lookup"] = (name) => {
  const desc = { pmid: asPmid(1), type: PM_TYPE.U32, sem: PM_SEM.COUNTER, units: 0 };
  if (name === "a") return { ...desc, indom: PM_INDOM_NULL };
  if (name === "b.c") return { ...desc, pmid: asPmid(2), indom: asIndom(1), type: PM_TYPE.U64 };
  return name === "e" ? { ...desc, indom: PM_INDOM_NULL, type: PM_TYPE.STRING } : undefined;
};

const METRICS: Metrics = {
  lookup,
  metadata(name) {
    const desc = lookup(name);
    return typeof desc === "object" ? desc : undefined;
  },
};

function sampleAt(sec: number): Sample {
  return {
    time: { sec, nsec: 0 },
    instances: () => [1, 2],
    name: (_, instance) => (instance === 1 ? "a" : undefined),
    values(pmid) {
      if (pmid === 1) return { error: 0, instances: [-1], values: [sec] };
      return pmid === 2
        ? { error: 0, instances: [2, 1].slice(sec % 2), values: [7n, 9n].slice(sec % 2) }
        : EMPTY;
    },
  };
}

const textOf = (random: Random): string =>
  Array.from({ length: 1 + random.below(14) }, () => PIECES[random.below(PIECES.length)]).join("");

function check(text: string): void {
  const set = createDerivedSet();
  loadDerivedText(set, `x = ${text}\n${text}`, "FILE", () => undefined);
  const parsed = parseExpression(text);
  if (!("kind" in parsed)) {
    if (parsed.offset < 0 || parsed.offset > Math.max(1, text.length)) {
      throw new Error(`offset ${parsed.offset}`);
    }
    return;
  }
  const again = parseExpression(exprText(parsed));
  if (!Bun.deepEquals(again, parsed)) throw new Error(`printed as ${exprText(parsed)}`);
  try {
    const node = bindExpression(parsed, METRICS);
    for (const sec of [1, 2, 3]) {
      const { instances, values } = evaluate(node, sampleAt(sec));
      if (instances.length !== values.length) throw new Error("instances without values");
    }
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
  }
}

/** Fuzzes parseExpression, exprText, bindExpression, evaluate and loadDerivedText. */
export const fuzzDerived: Fuzzer = (seed, iterations) => {
  const random = seeded(seed);
  for (let iteration = 0; iteration < iterations; iteration++) {
    const text = textOf(random);
    try {
      check(text);
    } catch (error) {
      const input = JSON.stringify(text);
      throw new FuzzFinding("derived", seed, iteration, input, String(error), { cause: error });
    }
  }
};
