// Fuzzes what extraction does to data records, with changed records of the fixtures. The promise: its quick
// checks say the same as the archive room's; a layout is met by sound records alone; what is taken out
// of a record, or turned into the other version, is a sound record with the values that were to stay.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  type ArchiveVersion,
  dataHead,
  decodeData,
  encodeData,
  labelBytes,
  markBytes,
} from "../../lib/archive/mod.ts";
import { PcpError, viewOf } from "../../lib/base/mod.ts";
import { CutWriter, eachValue, makeCut } from "../../lib/extract/cuts.ts";
import { DescriptionWriter } from "../../lib/extract/descriptions.ts";
import { Encoder, type SourceRecord } from "../../lib/extract/encode.ts";
import { keepLayout, matchLayout } from "../../lib/extract/layouts.ts";
import { match, MATCH, type SetPlan, Shapes } from "../../lib/extract/shapes.ts";
import type { ResultView } from "../../lib/pcp/mod.ts";
import { hex } from "../helpers/vector.ts";
import { FuzzFinding, type Fuzzer, mutate, type Random, seeded } from "./random.ts";

const FOLDER = join(import.meta.dir, "../fixtures/archives/rec");

interface Input {
  readonly version: ArchiveVersion;
  readonly bytes: Uint8Array;
}

/** Every data record of the recordings. */
const INPUTS: readonly Input[] = readdirSync(FOLDER)
  .filter((name) => /\.\d+$/.test(name))
  .toSorted()
  .flatMap((name) => {
    const file = new Uint8Array(readFileSync(join(FOLDER, name)));
    const version = file[7] as ArchiveVersion;
    const records: Input[] = [];
    for (let at = labelBytes(version); at < file.length;) {
      const length = viewOf(file).getInt32(at);
      records.push({ version, bytes: file.slice(at, at + length) });
      at += length;
    }
    return records;
  });
const ALL = INPUTS.map(({ bytes }) => bytes);

const NOTHING = {
  metrics: new Map(),
  indoms: new Map(),
  labels: new Map(),
  texts: new Map(),
  dropped: new Set<never>(),
};

/** The record's result, undefined for a record that is not sound. */
function soundResult({ bytes, version }: Input): ResultView | undefined {
  try {
    return decodeData(bytes, version);
  } catch (error) {
    if (error instanceof PcpError) return undefined;
    throw error;
  }
}

/** A record whose length words are right, with one thing or another wrong inside. */
function damaged(random: Random): Input {
  const { version, bytes } = random.pick(INPUTS);
  const changed = random.below(4) === 0 ? bytes.slice() : mutate(bytes, random, ALL);
  const length = Math.max(markBytes(version), changed.length & ~3);
  const record = new Uint8Array(length);
  record.set(changed.subarray(0, length));
  viewOf(record).setInt32(0, length);
  viewOf(record).setInt32(length - 4, length);
  return { version, bytes: record };
}

/** The same sets and values, whatever the plan left of them. */
function checkKept(before: ResultView, after: ResultView, plan: readonly SetPlan[]): void {
  const kept = after.sets();
  let at = 0;
  for (const set = before.sets(); set.next(); at++) {
    const what = plan[at] as SetPlan;
    if (what.kind === "drop") continue;
    if (!kept.next() || kept.pmid !== set.pmid) throw new Error(`set ${at} is not there`);
    const wanted: number[] = [];
    for (let i = 0; i < set.numval; i++) wanted.push(i);
    const values =
      what.kind === "filter" && set.numval > 0
        ? what.instances.flatMap((inst) => wanted.find((i) => set.instance(i) === inst) ?? [])
        : wanted;
    if (kept.numval !== (set.numval > 0 ? values.length : set.numval)) {
      throw new Error(`set ${at} has ${kept.numval} values`);
    }
    for (const [i, from] of values.entries()) {
      if (kept.instance(i) !== set.instance(from)) throw new Error(`instance ${i} of set ${at}`);
      if (set.valfmt === 0) {
        if (kept.word(i) !== set.word(from)) throw new Error(`value ${i} of set ${at}`);
        continue;
      }
      const [one, other] = [kept.block(i), set.block(from)];
      const length = set.view.getUint32(other) & 0xffffff;
      const same = Buffer.compare(
        kept.bytes.subarray(one, one + length),
        set.bytes.subarray(other, other + length),
      );
      if (same !== 0) throw new Error(`block ${i} of set ${at}`);
    }
  }
  if (kept.next()) throw new Error("a set too many");
}

function randomPlan(result: ResultView, random: Random): SetPlan[] {
  const plan: SetPlan[] = [];
  for (const set = result.sets(); set.next();) {
    const kind = random.pick(["keep", "keep", "drop", "filter"] as const);
    if (kind !== "filter") {
      plan.push({ kind });
      continue;
    }
    const instances = Array.from({ length: 1 + random.below(3) }, () =>
      set.numval > 0 ? set.instance(random.below(set.numval)) : random.below(9),
    );
    plan.push({ kind, instances });
  }
  return plan;
}

function checkRecord(input: Input, random: Random): void {
  const { bytes, version } = input;
  const setsAt = dataHead(version);
  const view = viewOf(bytes);
  const words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
  const numpmid = view.getInt32(setsAt - 4);
  const result = soundResult(input);
  if (numpmid <= 0) return;
  const shapes = new Shapes(
    undefined,
    NOTHING.dropped,
    new DescriptionWriter(3, NOTHING, () => {}),
  );
  const end = bytes.length - 4;
  const shape = shapes.of(view, setsAt, numpmid, end);
  const found = shape === undefined ? MATCH.BROKEN : match(shape, view, 0, setsAt, end);
  if ((found !== MATCH.BROKEN) !== (result !== undefined)) throw new Error("the checks differ");
  if (shape === undefined || result === undefined) return;
  if (found === MATCH.SOUND) {
    const head = setsAt >> 2;
    keepLayout(shape, words, 0, head, numpmid, random.below(2) > 0);
    const own = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    if (matchLayout(shape, own, words, 0, head, bytes.length) === undefined)
      throw new Error("its own layout is another");
    const other = bytes.slice();
    other[random.below(other.length)] = random.below(256);
    const otherWords = new Int32Array(other.buffer);
    const otherBytes = Buffer.from(other.buffer);
    const length = other.length;
    const alike = matchLayout(shape, otherBytes, otherWords, 0, head, length) !== undefined;
    const sound = soundResult({ version, bytes: other }) !== undefined;
    // The length words are not part of a layout; who reads frames has checked them.
    const framed =
      viewOf(other).getInt32(0) === bytes.length && viewOf(other).getInt32(end) === bytes.length;
    if (alike && framed && !sound) throw new Error("a layout that is met by damage");
  }
  const source: SourceRecord = {
    bytes,
    words,
    at: 0,
    setsAt,
    length: bytes.length,
    numpmid,
    time: result.timestamp,
  };
  const even = found === MATCH.SOUND;
  const all = new Encoder(3).encode(source, undefined, even).slice();
  decodeData(all, 3);
  // Times too large for a number are not kept by who decodes them.
  const exact = Number.isSafeInteger(result.timestamp.sec);
  if (even && exact && Buffer.compare(all, encodeData(3, result)) !== 0)
    throw new Error("another encoding");
  const plan = randomPlan(result, random);
  const reduced = new Encoder(version).encode(source, plan, even).slice();
  checkKept(result, decodeData(reduced, version), plan);
  if (even) checkCut(source, version, plan, random);
}

/** A record with other values, and with another time, is encoded by the cut as without it. */
function checkCut(
  { words, setsAt, length, numpmid, time }: SourceRecord,
  version: ArchiveVersion,
  plan: readonly SetPlan[],
  random: Random,
): void {
  const record = words.slice(0, length >> 2);
  const target = version === 2 && random.below(2) > 0 ? 3 : version;
  const encoder = new Encoder(target);
  const encode = (each: Int32Array): Int32Array => {
    const bytes = new Uint8Array(each.buffer);
    const made = encoder.encode(
      { bytes, words: each, at: 0, setsAt, length, numpmid, time },
      plan,
      true,
    );
    return new Int32Array(made.buffer, made.byteOffset, made.length >> 2);
  };
  const sets = setsAt >> 2;
  const cut = makeCut(record, sets, numpmid, dataHead(target) >> 2, encode);
  const writer = new CutWriter(target, () => {});
  if (!writer.fits(cut)) return;
  eachValue(record, sets, numpmid, (place) => (record[place] = random.below(0x7fffffff)));
  const expected = encode(record);
  for (let i = 0; i < 2; i++) writer.put(cut, record, 0, version);
  const made = writer.bytes.subarray(writer.from, writer.to);
  const wanted = new Uint8Array(expected.buffer, expected.byteOffset, expected.length * 4);
  if (Buffer.compare(made, wanted) !== 0) throw new Error("another encoding by the cut");
}

/** Records changed at random, `iterations` of them. */
export const fuzzExtract: Fuzzer = (seed, iterations) => {
  const random = seeded(seed);
  for (let i = 0; i < iterations; i++) {
    const input = damaged(random);
    try {
      checkRecord(input, random);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new FuzzFinding("extract", seed, i, hex(input.bytes), reason, { cause: error });
    }
  }
};
