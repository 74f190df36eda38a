// Fuzzes the decoders of compressed archive files with changed and cut samples of every form. The
// promise: pieces, then an end or a PcpError, in time; with the system's liblzma and libbz2 the same
// bytes, the same entry points and the same error as with our own decoders.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { EntryPoint, OpenCompressed } from "../../lib/archive/decompress.ts";
import { openBzip2 } from "../../lib/archive/decompress-bzip2.ts";
import { openLzw } from "../../lib/archive/decompress-lzw.ts";
import { openGzip, openZstd } from "../../lib/archive/decompress-native.ts";
import { openLzma, openXz } from "../../lib/archive/decompress-xz.ts";
import { PcpError } from "../../lib/base/mod.ts";
import { hex } from "../helpers/vector.ts";
import { FuzzFinding, type Fuzzer, mutate, seeded } from "./random.ts";

/** Inputs are large beside those of other fuzzers: one is made for so many iterations. */
const ITERATIONS_EACH = 100;
/** Most decoded bytes of one input. */
const MOST = 4 * 1024 * 1024;
const FOLDER = join(import.meta.dir, "../fixtures/compressed");

const FORMS: readonly (readonly [end: RegExp, open: OpenCompressed])[] = [
  [/\.xz$/, openXz],
  [/\.bz2?$/, openBzip2],
  [/\.lzma$/, openLzma],
  [/\.gz$/, openGzip],
  [/\.[zZ]$/, openLzw],
  [/\.zst$/, openZstd],
];
const INPUTS = readdirSync(FOLDER)
  .toSorted()
  .flatMap((name) =>
    FORMS.filter(([end]) => end.test(name)).map(([, open]) => ({
      name,
      open,
      bytes: new Uint8Array(readFileSync(join(FOLDER, name))),
    })),
  );
const ALL = INPUTS.map(({ bytes }) => bytes);

/** What decoding gives: a checksum of the bytes, the places to enter, the error. */
function outcome(bytes: Uint8Array, open: OpenCompressed, library: boolean): string {
  const source = {
    path: "fuzz",
    size: bytes.length,
    read: (at: number, length: number) => bytes.subarray(at, at + length),
  };
  const places: EntryPoint[] = [];
  let given = 0;
  let sum = 0;
  let end = "end";
  try {
    const compressed = open(source, library);
    const [first = { at: 0, position: 0 }] = compressed.entries;
    for (const piece of compressed.decode(first, (place) => places.push(place))) {
      given += piece.length;
      sum = Bun.hash.crc32(piece, sum);
      if (given > MOST) break;
    }
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
    end = `${error.code} ${error.message}`;
  }
  return JSON.stringify([given > MOST ? "more" : [given, sum], places.length, end]);
}

/** The decoders of compressed files; see the head of this file. */
export const fuzzDecompress: Fuzzer = (seed, iterations) => {
  const random = seeded(seed);
  for (let i = 0; i < iterations; i += ITERATIONS_EACH) {
    const { name, open, bytes } = random.pick(INPUTS);
    const changed = random.below(8) === 0 ? bytes : mutate(bytes, random, ALL);
    const input = random.below(3) === 0 ? changed.slice(0, random.below(changed.length)) : changed;
    let reason: string | undefined;
    let cause: unknown;
    try {
      const theirs = outcome(input, open, true);
      const ours = outcome(input, open, false);
      if (theirs !== ours) reason = `${name}: ${theirs} by a library, ${ours} by us`;
    } catch (error) {
      reason = `${name}: ${String(error)}`;
      cause = error;
    }
    if (reason === undefined) continue;
    throw new FuzzFinding("decompress", seed, i, hex(input), reason, { cause });
  }
};
