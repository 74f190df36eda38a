// The long run: `bun tests/fuzz/run.ts [name] [--seconds N] [--seed N]`. Runs the named fuzzer, or
// all in turn, with one seed after the other until the time is over. Prints each finding with its
// seed and input, and ends with status 1 when there was one.
import { parseArgs } from "node:util";
import { CANARIES, FUZZERS } from "./index.ts";
import { FuzzFinding } from "./random.ts";

/** Inputs per seed: a finding is repeated in this many steps at most. */
const ITERATIONS = 5000;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: "string", default: "60" },
    seed: { type: "string" },
  },
});

const seconds = Number(values.seconds);
const only = positionals[0];
const chosen = Object.entries({ ...FUZZERS, ...CANARIES }).filter(([name]) =>
  only === undefined ? name in FUZZERS : name === only,
);
const firstSeed = values.seed === undefined ? Date.now() % 0x7fffffff : Number(values.seed);
if (
  chosen.length === 0 ||
  positionals.length > 1 ||
  !(seconds > 0) ||
  !Number.isInteger(firstSeed)
) {
  console.error("usage: bun tests/fuzz/run.ts [name] [--seconds N] [--seed N]");
  console.error(`names: ${Object.keys({ ...FUZZERS, ...CANARIES }).join(" ")}`);
  process.exit(2);
}

let findings = 0;
for (const [name, fuzzer] of chosen) {
  const end = Date.now() + (seconds * 1000) / chosen.length;
  let seed = firstSeed;
  let runs = 0;
  for (; runs === 0 || Date.now() < end; seed++, runs++) {
    try {
      await fuzzer(seed, ITERATIONS);
    } catch (error) {
      if (!(error instanceof FuzzFinding)) throw error;
      findings++;
      console.log(error.message);
      console.log(`again: bun tests/fuzz/run.ts ${name} --seconds 1 --seed ${seed}`);
      break;
    }
  }
  console.log(`${name}: seeds from ${firstSeed}, ${runs} runs of ${ITERATIONS} inputs`);
}
process.exit(findings === 0 ? 0 : 1);
