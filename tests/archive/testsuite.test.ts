// Goal: every archive of PCP's own test suite, where it is installed, has for us the content that
// pmdumplog prints: label, descriptors, labels, help texts, instances, index, every value; and each
// of its records comes back from decoding and encoding byte by byte. Of large archives only the
// first seconds of records are printed.
import { describe, expect, test } from "bun:test";
import { Glob } from "bun";
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import {
  type Archive,
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
import type { Timestamp } from "../../lib/pcp/mod.ts";
import { havePeers, skipAloud, testWith } from "../helpers/peers.ts";
import { dumpArchive, parseDump } from "./pmdumplog.ts";

const FOLDER = "/var/lib/pcp/testsuite/archives";
const NAMES = existsSync(FOLDER)
  ? [...new Glob("**/*.meta*").scanSync(FOLDER)].map((path) => path.replace(/\.meta.*$/, "")).sort()
  : [];

/** Larger archives are read for their first seconds only. */
const SMALL = 600_000;
const LARGE = 20_000_000;
/** Damaged on purpose: its volume ends inside a record. */
const DAMAGED = "multi-corrupted/20150508.11.50";
/** Names of instances in it are not UTF-8, so they change when decoded. */
const NOT_UTF8 = "procpid-encode2";
/** Bytes of a volume that are encoded again. */
const ROUND_TRIP_BYTES = 4_000_000;

function dumpUntil(archive: Archive): Timestamp | undefined {
  let size = 0;
  for (const path of archive.files.volumes.values()) {
    size += statSync(path).size * (path.endsWith(".xz") ? 15 : 1);
  }
  if (size < SMALL) return undefined;
  return { sec: archive.label.start.sec + (size > LARGE ? 3 : 30), nsec: 0 };
}

/** pmdumplog's -T for everything before a whole second. */
function finish(until: Timestamp): readonly string[] {
  const [, day, month, year, time] =
    /^\w+, (\d+) (\w+) (\d+) (\S+)/.exec(new Date(until.sec * 1000 - 1).toUTCString()) ?? [];
  return ["-T", `@${month} ${day} ${time}.999999 ${year}`];
}

function compare(name: string): void {
  const base = join(FOLDER, name);
  const archive = openArchive(base);
  const until = dumpUntil(archive);
  const options = until === undefined ? [] : finish(until);
  const real = Bun.spawnSync(["pmdumplog", "-LditehMm", ...options, base], {
    env: { ...process.env, TZ: "UTC", LC_ALL: "C", PCP_DERIVED_CONFIG: "" },
  });
  const theirs = parseDump(real.stdout, real.stderr.toString());
  const ours = dumpArchive(archive, until);
  expect(ours.records.length).toBeGreaterThan(0);
  expect(ours).toEqual(theirs);
}

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

function roundTrip(name: string): void {
  const archive = openArchive(join(FOLDER, name));
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

describe("archives of PCP's test suite", () => {
  if (NAMES.length === 0) {
    if (havePeers("pcp6")) skipAloud("content as pmdumplog prints it", `nothing in ${FOLDER}`);
    else testWith("pcp6", "content as pmdumplog prints it", () => undefined);
  }
  for (const name of NAMES) {
    testWith("pcp6", `${name} has the content that pmdumplog prints`, () => compare(name));
    test(`${name} comes back from decoding and encoding`, () => roundTrip(name), 30_000);
  }
});
