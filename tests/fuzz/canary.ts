// A fuzzer of a decoder with a planted fault, in the way that real ones are: it trusts a count. Its
// run must end in a finding; if it does not, the harness finds nothing anywhere.
import { viewOf } from "../../lib/base/mod.ts";
import { hex, VECTORS } from "../helpers/vector.ts";
import { FuzzFinding, type Fuzzer, mutate, seeded } from "./random.ts";

const INPUTS = VECTORS.filter((vector) => vector.decoded["type_name"] === "PMNS_IDS").map(
  (vector) => vector.bytes,
);

function faultyDecoder(bytes: Uint8Array): number {
  if (bytes.length < 20) return 0;
  const view = viewOf(bytes);
  const count = Math.min(view.getUint32(16), 1000);
  let sum = 0;
  for (let i = 0; i < count; i++) sum += view.getUint32(20 + 4 * i);
  return sum;
}

/** Must throw FuzzFinding within a few hundred iterations of any seed. */
export const fuzzCanary: Fuzzer = (seed, iterations) => {
  const random = seeded(seed);
  for (let iteration = 0; iteration < iterations; iteration++) {
    const input = mutate(random.pick(INPUTS), random, INPUTS);
    try {
      faultyDecoder(input);
    } catch (error) {
      throw new FuzzFinding("canary", seed, iteration, hex(input), String(error), { cause: error });
    }
  }
};
