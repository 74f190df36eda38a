// Fuzzes the readers of archive files with changed fixtures: metadata, index and volumes in memory.
// The promise: a value or a PcpError; walks end in both directions, each record once; no memory or
// time out of proportion to the input; whatever decodes can be encoded, and again to the same bytes.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  type ArchiveFile,
  type ArchiveVersion,
  Catalog,
  decodeLabel,
  decodeMeta,
  encodeData,
  encodeMeta,
  labelBytes,
  loadMeta,
  MAX_LABEL_BYTES,
  temporalIndex,
  Volume,
} from "../../lib/archive/mod.ts";
import { PcpError } from "../../lib/base/mod.ts";
import { hex } from "../helpers/vector.ts";
import { FuzzFinding, type Fuzzer, mutate, type Random, seeded } from "./random.ts";

/** One input takes milliseconds at most; a second means a runaway loop. */
const TIME_LIMIT_MS = 1000;

const FOLDER = join(import.meta.dir, "../fixtures/archives/rec");
interface Input {
  readonly end: string;
  readonly bytes: Uint8Array;
}
const INPUTS: readonly Input[] = readdirSync(FOLDER)
  .toSorted()
  .map((name) => ({
    end: name.slice(name.lastIndexOf(".") + 1),
    bytes: new Uint8Array(readFileSync(join(FOLDER, name))),
  }));
const ALL = INPUTS.map(({ bytes }) => bytes);

/** A file in memory; a read of more than there is says so by being short. */
function memoryFile(bytes: Uint8Array): ArchiveFile {
  return {
    size: bytes.length,
    read: (position, length) => bytes.subarray(position, position + length),
    close: () => undefined,
  };
}

/** Lets `body` throw what it may. */
function allowed(body: () => void): boolean {
  try {
    body();
    return true;
  } catch (error) {
    if (error instanceof PcpError) return false;
    throw error;
  }
}

function checkMeta(bytes: Uint8Array, version: ArchiveVersion): void {
  const catalog = new Catalog();
  const first = labelBytes(version);
  allowed(() => loadMeta(memoryFile(bytes), "fuzz", first, catalog, false));
  for (const history of catalog.indoms.values()) {
    history.union();
    for (const { timestamp } of history.records) history.at(timestamp);
  }
  for (const { type, ident, times } of catalog.labelKeys()) {
    for (const time of times) catalog.labelsAt(type, ident, time);
  }
  for (const { type, ident } of catalog.textKeys()) catalog.text(type, ident);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = first; at + 4 <= bytes.length;) {
    const length = view.getInt32(at);
    if (length <= 0) break;
    const record = bytes.subarray(at, at + length);
    allowed(() => {
      const again = encodeMeta(3, decodeMeta(record));
      // Texts that were not UTF-8 settle in the second round.
      if (hex(encodeMeta(3, decodeMeta(again))) !== hex(again)) throw new Error("not the same");
    });
    at += length;
  }
}

function checkVolume(bytes: Uint8Array, version: ArchiveVersion): void {
  const volume = new Volume(memoryFile(bytes), "fuzz", version, labelBytes(version), false);
  const offsets: number[] = [];
  allowed(() => {
    while (volume.next()) {
      offsets.push(volume.offset);
      allowed(() => encodeData(3, volume.result()));
    }
  });
  for (const offset of offsets.toReversed()) {
    if (!volume.previous() || volume.offset !== offset) throw new Error(`not back at ${offset}`);
  }
  if (volume.previous()) throw new Error("a record before the first one");
  volume.toEnd([offsets.at(-1) ?? 0, bytes.length]);
  const end = volume.position;
  allowed(() => {
    while (volume.previous()) if (volume.position >= end) throw new Error("backwards goes on");
  });
}

function check(end: string, bytes: Uint8Array): void {
  const number = end === "meta" ? -1 : end === "index" ? -2 : Number(end);
  let version: ArchiveVersion | undefined;
  allowed(() => {
    version = decodeLabel(bytes.subarray(0, MAX_LABEL_BYTES), number).version;
  });
  if (version === undefined) return;
  if (number === -1) checkMeta(bytes, version);
  else if (number >= 0) checkVolume(bytes, version);
  else {
    const index = temporalIndex(bytes.subarray(labelBytes(version)), version);
    for (let i = 0; i < index.count; i++) index.entry(i);
  }
}

/** A changed fixture; most changes are kept away from the label. */
function changed(input: Input, random: Random): Uint8Array {
  if (random.below(16) === 0) return mutate(input.bytes, random, ALL);
  const first = input.bytes[7] === 2 ? labelBytes(2) : labelBytes(3);
  const rest = mutate(input.bytes.subarray(first), random, ALL);
  return new Uint8Array(Buffer.concat([input.bytes.subarray(0, first), rest]));
}

/** Fuzzes the readers of metadata, index and volumes. */
export const fuzzArchives: Fuzzer = (seed, iterations) => {
  const random = seeded(seed);
  for (let iteration = 0; iteration < iterations; iteration++) {
    const input = random.pick(INPUTS);
    const bytes = changed(input, random);
    const before = hex(bytes);
    const start = performance.now();
    let failure: unknown;
    try {
      check(input.end, bytes);
      if (hex(bytes) !== before) failure = new Error("the input was changed");
      else if (performance.now() - start > TIME_LIMIT_MS) failure = new Error("took over a second");
    } catch (error) {
      failure = error;
    }
    if (failure !== undefined) {
      const what = `.${input.end}: ${String(failure)}`;
      throw new FuzzFinding("archive", seed, iteration, before, what, { cause: failure });
    }
  }
};
