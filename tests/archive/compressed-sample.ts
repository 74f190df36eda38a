// The plain data of tests/fixtures/compressed, made anew from a seed: repetitions at many distances,
// counters and noise, as archives have them. Run with a path, this file writes the data there, for
// making the fixtures again (see the README beside them).
import { writeFileSync } from "node:fs";

/** Bytes of the sample. */
export const SAMPLE_BYTES = 300_000;

/** A sequence of 32-bit numbers from a seed. */
export function numbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state ^ (state >>> 15)) >>> 0;
  };
}

/** The sample, the same each time. */
export function sample(): Uint8Array {
  const next = numbers(20260101);
  const data = new Uint8Array(SAMPLE_BYTES);
  let at = 0;
  while (at < data.length) {
    const kind = next() % 16;
    const length = Math.min(data.length - at, 8 + (next() % 700));
    if (kind === 0) for (let i = 0; i < length; i++) data[at + i] = next() >>> 20;
    else if (kind < 3 || at < 1000) data.fill(next() & 0x3f, at, at + length);
    else {
      const back = 1 + (next() % Math.min(at, kind < 8 ? 900 : at));
      for (let i = 0; i < length; i++) data[at + i] = data[at + i - back] ?? 0;
      if (length > 40) data[at + 20] = (data[at + 20] ?? 0) + 1;
    }
    at += length;
  }
  return data;
}

if (import.meta.main) writeFileSync(process.argv[2] ?? "sample", sample());
