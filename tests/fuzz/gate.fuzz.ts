// Fuzzes the gate on the PDUs of relayed clients with streams of recordings, some of them changed.
// The promise: the verdict is the one of a reader that sees the whole stream at once, wherever the
// stream is cut, and it comes no later than with the bytes that show it.
import { PduGate } from "../../lib/server/gate.ts";
import { hex, VECTORS } from "../helpers/vector.ts";
import { FuzzFinding, type Fuzzer, mutate, type Random, seeded } from "./random.ts";

const INPUTS = VECTORS.map((vector) => vector.bytes);
const CREDS = 0x700c;

/** Where the stream is refused, counted in bytes that must have come; undefined: nowhere. */
function refusedAt(stream: Uint8Array, ceiling: number): number | undefined {
  const view = new DataView(stream.buffer, stream.byteOffset, stream.length);
  let at = 0;
  while (at + 12 <= stream.length) {
    const length = view.getInt32(at);
    const type = view.getInt32(at + 4);
    if (length < 12 || length > ceiling || type < 0) return at + 12;
    const isCreds = type === CREDS && length >= 20 && at + 20 <= stream.length;
    if (isCreds && (view.getUint8(at + 19) & 1) !== 0) return undefined;
    at += length;
  }
  return undefined;
}

function check(stream: Uint8Array, ceiling: number, nextSize: () => number): void {
  const expected = refusedAt(stream, ceiling);
  const gate = new PduGate(ceiling, false);
  let at = 0;
  while (at < stream.length) {
    const end = Math.min(stream.length, at + nextSize());
    const refused = gate.pass(stream.subarray(at, end)) !== undefined;
    at = end;
    const due = expected !== undefined && expected <= at;
    if (refused !== due) throw new Error(`${refused ? "refused" : "passed"} after ${at} bytes`);
    if (refused) return;
  }
}

function streamOf(random: Random): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let part = random.below(5); part >= 0; part--) {
    const recording = random.pick(INPUTS);
    parts.push(random.below(3) === 0 ? mutate(recording, random, INPUTS) : recording);
  }
  return new Uint8Array(Buffer.concat(parts));
}

/** Fuzzes PduGate. */
export const fuzzGate: Fuzzer = (seed, iterations) => {
  const random = seeded(seed);
  for (let iteration = 0; iteration < iterations; iteration++) {
    const stream = streamOf(random);
    const ceiling = random.pick([12, 100, 4096, 65536]);
    const largest = random.pick([1, 13, 100, 100_000]);
    try {
      check(stream, ceiling, () => 1 + random.below(largest));
    } catch (error) {
      throw new FuzzFinding("gate", seed, iteration, hex(stream), String(error), { cause: error });
    }
  }
};
