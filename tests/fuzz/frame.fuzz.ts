// Fuzzes the framer with streams of recordings, some of them changed, in chunks of any size.
// The promise: the PDUs do not depend on the chunking, errors are PcpErrors, and bytes are neither
// lost nor made up.
import { PDU_CEILING, PcpError } from "../../lib/base/mod.ts";
import { createFramer } from "../../lib/pdu/mod.ts";
import { hex, VECTORS } from "../helpers/vector.ts";
import { FuzzFinding, type Fuzzer, mutate, type Random, seeded } from "./random.ts";

const INPUTS = VECTORS.map((vector) => vector.bytes);

/** PDUs and the error code or the rest of a stream, as text. */
function outcome(stream: Uint8Array, nextSize: () => number): string {
  const framer = createFramer(PDU_CEILING);
  const found: string[] = [];
  let used = 0;
  try {
    for (let at = 0; at < stream.length;) {
      const size = nextSize();
      framer.feed(stream.subarray(at, at + size));
      at += size;
      for (const pdu of framer) {
        found.push(hex(pdu));
        used += pdu.length;
      }
    }
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
    return `${found.join(" ")} error ${error.code}`;
  }
  const rest = hex(framer.takeRest());
  if (rest !== hex(stream.subarray(used))) throw new Error(`rest is ${rest}`);
  return `${found.join(" ")} rest ${rest}`;
}

function streamOf(random: Random): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let part = random.below(5); part >= 0; part--) {
    const recording = random.pick(INPUTS);
    parts.push(random.below(3) === 0 ? mutate(recording, random, INPUTS) : recording);
  }
  return new Uint8Array(Buffer.concat(parts));
}

/** Fuzzes createFramer. */
export const fuzzFrames: Fuzzer = (seed, iterations) => {
  const random = seeded(seed);
  for (let iteration = 0; iteration < iterations; iteration++) {
    const stream = streamOf(random);
    let failure: unknown;
    try {
      const whole = outcome(stream, () => stream.length);
      const largest = random.pick([1, 13, 100, 1000]);
      const pieces = outcome(stream, () => 1 + random.below(largest));
      if (pieces !== whole) failure = new Error(`whole: ${whole}\npieces: ${pieces}`);
    } catch (error) {
      failure = error;
    }
    if (failure !== undefined)
      throw new FuzzFinding("frame", seed, iteration, hex(stream), String(failure), {
        cause: failure,
      });
  }
};
