// Goal: each record of every archive of PCP's own test suite, where it is installed, comes back from
// decoding and encoding byte by byte.
import { describe, expect, test } from "bun:test";
import {
  ArchiveCursor,
  decodeMeta,
  encodeData,
  encodeMeta,
  labelBytes,
  openArchive,
  openArchiveFile,
  readToEnd,
} from "../../lib/archive/mod.ts";
import { PcpError, viewOf } from "../../lib/base/mod.ts";
import { forEachSuiteArchive } from "../helpers/suite-archives.ts";

/** Damaged on purpose: its volume ends inside a record. */
const DAMAGED = "multi-corrupted/20150508.11.50";
/** Names of instances in it are not UTF-8, so they change when decoded. */
const NOT_UTF8 = "procpid-encode2";
/** Bytes of a volume that are encoded again. */
const ROUND_TRIP_BYTES = 4_000_000;

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

function roundTrip(base: string, name: string): void {
  const archive = openArchive(base);
  const { version } = archive.label;
  const file = openArchiveFile(archive.files.meta);
  const meta = readToEnd(file, labelBytes(version));
  file.close();
  const view = viewOf(meta);
  const differing: string[] = [];
  for (let at = 0; at + 8 <= meta.length;) {
    const length = view.getInt32(at);
    const record = meta.subarray(at, at + length);
    if (!same(encodeMeta(version, decodeMeta(record)), record)) differing.push(`meta ${at}`);
    at += length;
  }
  const cursor = new ArchiveCursor(archive);
  let bytes = 0;
  try {
    while (bytes < ROUND_TRIP_BYTES && cursor.next()) {
      const { record } = cursor;
      bytes += record.length;
      const again = encodeData(version, record.result());
      if (!same(again, record.raw())) differing.push(`data ${record.offset}`);
    }
  } catch (error) {
    if (!(error instanceof PcpError) || name !== DAMAGED) throw error;
  } finally {
    cursor.close();
  }
  expect(differing.length).toBe(name === NOT_UTF8 ? 1 : 0);
}

describe("decoded and encoded again", () => {
  forEachSuiteArchive((base, name) => {
    test(name, () => roundTrip(base, name), 300_000);
  });
});
