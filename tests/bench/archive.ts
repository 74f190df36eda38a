// Reading archives, by hand: walks of cached volumes with large and with small records, in both
// directions and with values, and opening an archive with 5,000 metrics and 20,000 instances.
// Makes its archives in a private folder, prints a line per figure, asserts nothing.
//
//   bun tests/bench/archive.ts [--seconds S]

import { closeSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import {
  ArchiveCursor,
  type ArchiveLabel,
  encodeIndexEntry,
  encodeLabel,
  encodeMeta,
  encodeResult,
  instanceEntry,
  INDEX_VOLUME,
  META_VOLUME,
  openArchive,
} from "../../lib/archive/mod.ts";
import {
  asIndom,
  pmidBuild,
  PM_INDOM_NULL,
  PM_TYPE,
  type ValueSetInit,
} from "../../lib/pcp/mod.ts";
import { privateFolder } from "../helpers/process.ts";

const { values: args } = parseArgs({ options: { seconds: { type: "string", default: "2" } } });
const seconds = Number(args.seconds);
const folder = privateFolder("bench");
const start = { sec: 1_700_000_000, nsec: 0 };
const INDOM = asIndom((60 << 22) | 1);

const label = (volume: number): ArchiveLabel => ({
  version: 3,
  pid: 1,
  start,
  volume,
  features: 0,
  host: "bench",
  timezone: "UTC",
  zoneinfo: "",
});

/** So many times the same piece that together they have at least `bytes` bytes. */
const repeat = (piece: Uint8Array, bytes: number): Uint8Array[] =>
  Array.from({ length: Math.ceil(bytes / piece.length) }, () => piece);

/** Writes an archive whose volume repeats one record up to about `bytes` bytes; gives its base. */
function make(name: string, bytes: number, metrics: number, instances: number): string {
  const base = join(folder, name);
  const ids = Array.from({ length: instances }, (_, i) => i);
  const descs = Array.from({ length: metrics }, (_, i) => ({
    pmid: pmidBuild(60, i >> 10, i & 1023),
    type: PM_TYPE.U64,
    indom: instances > 1 ? INDOM : PM_INDOM_NULL,
    sem: 1,
    units: 0,
  }));
  const file = (end: string, parts: Iterable<Uint8Array>): void => {
    const descriptor = openSync(`${base}.${end}`, "w");
    for (const part of parts) writeSync(descriptor, part);
    closeSync(descriptor);
  };
  file("meta", [
    encodeLabel(label(META_VOLUME)),
    ...descs.map((desc) =>
      encodeMeta(3, {
        kind: "desc",
        desc,
        names: [`bench.group${desc.pmid & 63}.metric${desc.pmid}`],
      }),
    ),
    encodeMeta(3, {
      kind: "indom",
      delta: false,
      timestamp: start,
      indom: INDOM,
      instances: ids.map((id) => instanceEntry(id, `instance number ${id}`)),
    }),
  ]);
  const entry = { timestamp: start, volume: 0, metaOffset: 808, dataOffset: 808 };
  file("index", [encodeLabel(label(INDEX_VOLUME)), encodeIndexEntry(3, entry)]);
  const sets: ValueSetInit[] = descs.slice(0, Math.min(metrics, 20)).map(({ pmid }) => ({
    pmid,
    type: PM_TYPE.U64,
    instances: instances > 1 ? ids : [-1],
    values: instances > 1 ? ids.map(BigInt) : [7n],
  }));
  const record = encodeResult(3, { timestamp: start, sets });
  const piece = Buffer.concat(repeat(record, 4e6));
  const pieces = repeat(piece, bytes);
  file("0", [encodeLabel(label(0)), ...pieces]);
  return base;
}

/** Repeats a walk for the time asked for; prints bytes and records per second. */
function walk(title: string, base: string, step: (cursor: ArchiveCursor) => boolean): void {
  const cursor = new ArchiveCursor(openArchive(base));
  const backward = title.includes("backward");
  let records = 0;
  let bytes = 0;
  const round = (): void => {
    if (backward) cursor.toEnd();
    else cursor.toStart();
    while (step(cursor)) {
      records++;
      bytes += cursor.record.length;
    }
  };
  round();
  records = 0;
  bytes = 0;
  const from = performance.now();
  while (performance.now() - from < seconds * 1000) round();
  const spent = (performance.now() - from) / 1000;
  const average = Math.round(bytes / records);
  cursor.close();
  process.stdout.write(
    `${title.padEnd(44)} ${(bytes / spent / 1e9).toFixed(2).padStart(8)} GB/s ` +
      `${(records / spent / 1e6).toFixed(3).padStart(8)} M records/s of ${average} bytes\n`,
  );
}

function withValues(cursor: ArchiveCursor): boolean {
  if (!cursor.next()) return false;
  for (const set = cursor.record.result().sets(); set.next();) if (set.numval > 0) set.word(0);
  return true;
}

const forward = (cursor: ArchiveCursor): boolean => cursor.next();
const backward = (cursor: ArchiveCursor): boolean => cursor.previous();

const small = make("small", 200e6, 1, 1);
walk("small records, forward", small, forward);
walk("small records, backward", small, backward);
walk("small records, with values", small, withValues);
const middle = make("middle", 400e6, 20, 10);
walk("records of some kilobytes, forward", middle, forward);
walk("records of some kilobytes, with values", middle, withValues);
const large = make("large", 400e6, 20, 500);
walk("large records, forward", large, forward);
walk("large records, backward", large, backward);
walk("large records, with values", large, withValues);

const wide = make("wide", 1e6, 5000, 20_000);
const times: number[] = [];
for (let i = 0; i < 10; i++) {
  const from = performance.now();
  const archive = openArchive(wide);
  archive.catalog.indoms.get(INDOM)?.at(start);
  times.push(performance.now() - from);
}
const cold = (times[0] ?? 0).toFixed(1);
const best = Math.min(...times).toFixed(1);
process.stdout.write(
  `open 5,000 metrics and 20,000 instances: first ${cold} ms, best ${best} ms\n`,
);
