// Fuzzes the PDU decoders with changed recordings and with random bodies under valid headers.
// The promise: a Pdu, or PM_ERR_IPC (PM_ERR_TOOBIG for a length); the input unchanged; no allocation
// or time out of proportion to the input; every accessor of a decoded result in bounds; and a
// decoded PDU can be encoded again, to bytes that decode to the same.
import { PM_ERR, PcpError } from "../../lib/base/mod.ts";
import { decodePdu, encodePdu, type Pdu, PDU_TYPE } from "../../lib/pdu/mod.ts";
import { hex, VECTORS } from "../helpers/vector.ts";
import { FuzzFinding, type Fuzzer, mutate, randomBytes, seeded } from "./random.ts";

/** Decoding one input of these sizes takes microseconds; a second means a runaway loop. */
const TIME_LIMIT_MS = 1000;
/** Objects that a decoder may make per byte of input, as bytes of a rough count. */
const WEIGHT_PER_BYTE = 8;

const TYPES = Object.values(PDU_TYPE);
const INPUTS = VECTORS.map((vector) => vector.bytes);

/** Rough number of fields in a decoded PDU: what a lying count would blow up. */
function weigh(value: unknown): number {
  if (ArrayBuffer.isView(value)) return 1;
  if (Array.isArray(value)) return value.reduce((sum: number, item) => sum + weigh(item), 1);
  if (typeof value === "object" && value !== null)
    return Object.values(value).reduce((sum: number, item) => sum + weigh(item), 1);
  return typeof value === "string" ? 1 + value.length : 1;
}

/** Touches everything that a result view offers; anything out of bounds throws. */
function walk(pdu: Pdu): void {
  if (pdu.kind !== "result" && pdu.kind !== "highres-result") return;
  const { result } = pdu;
  for (const sets = result.sets(); sets.next();) {
    for (let i = 0; i < sets.numval; i++) {
      sets.instance(i);
      sets.word(i);
      if (sets.valfmt === 0) continue;
      const block = sets.block(i);
      const length = new DataView(result.bytes.buffer, result.bytes.byteOffset).getUint32(block);
      if (block + (length & 0xffffff) > result.bytes.length) throw new Error("block out of bounds");
    }
  }
}

/** A PDU whose header is right, so that the body is reached. */
function withHeader(bytes: Uint8Array, type: number): Uint8Array {
  if (bytes.length < 12) return bytes;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  view.setInt32(0, bytes.length);
  view.setInt32(4, type);
  return bytes;
}

function check(input: Uint8Array): void {
  let pdu: Pdu;
  try {
    pdu = decodePdu(input);
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
    // PMNS_NAMES alone may carry its sender's error code in place of a count.
    const named = error.code < 0 && hex(input).startsWith("0000700e", 8);
    if (named || error.code === PM_ERR.IPC || error.code === PM_ERR.TOOBIG) return;
    throw error;
  }
  if (pdu.kind !== "result" && pdu.kind !== "highres-result") {
    const weight = weigh(pdu);
    if (weight > 64 + WEIGHT_PER_BYTE * input.length)
      throw new Error(`${weight} fields from ${input.length} bytes`);
  }
  walk(pdu);
  // Texts that were not UTF-8 grow on the way back, so a second round is where things must settle.
  const again = encodePdu(pdu);
  const settled = hex(encodePdu(decodePdu(again)));
  if (settled !== hex(again)) throw new Error(`encoded again as ${settled}, was ${hex(again)}`);
}

/** Fuzzes decodePdu and encodePdu. */
export const fuzzPdus: Fuzzer = (seed, iterations) => {
  const random = seeded(seed);
  for (let iteration = 0; iteration < iterations; iteration++) {
    let input: Uint8Array;
    const kind = random.below(8);
    if (kind === 0) {
      input = withHeader(randomBytes(12 + random.below(200), random), random.pick(TYPES));
    } else {
      const recording = random.pick(INPUTS);
      const type = new DataView(recording.buffer).getInt32(4);
      input = mutate(recording, random, INPUTS);
      if (kind > 1) input = withHeader(input, random.below(20) === 0 ? random.pick(TYPES) : type);
    }
    const before = hex(input);
    const start = performance.now();
    let failure: unknown;
    try {
      check(input);
      if (hex(input) !== before) failure = new Error("the input was changed");
      else if (performance.now() - start > TIME_LIMIT_MS) failure = new Error("took over a second");
    } catch (error) {
      failure = error;
    }
    if (failure !== undefined)
      throw new FuzzFinding("pdu", seed, iteration, before, String(failure), { cause: failure });
  }
};
