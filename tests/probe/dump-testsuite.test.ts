// Goal: the dump of every archive of PCP's own test suite, where it is installed, has the content that
// pmdumplog prints: label, descriptors, labels, help texts, instances, index, every value. Of large
// archives only the first seconds of records are printed.
import { describe, expect } from "bun:test";
import { statSync } from "node:fs";
import { type Archive, ArchiveCursor, openArchives } from "../../lib/archive/mod.ts";
import { PcpError, pmErrStr } from "../../lib/base/mod.ts";
import { PM_TYPE, pmIDStr, type Timestamp } from "../../lib/pcp/mod.ts";
import { dumpArchives } from "../../lib/probe/mod.ts";
import { testWith } from "../helpers/peers.ts";
import { forEachSuiteArchive } from "../helpers/suite-archives.ts";
import { type Sections, sectionsOf } from "./pmdumplog.ts";

/** Larger archives are read for their first seconds only. */
const SMALL = 600_000;
const LARGE = 20_000_000;
/** The first archives are of the last century. */
const LAST_WITHOUT_TYPES = 946_684_800;

function dumpUntil(archive: Archive): Timestamp | undefined {
  let size = 0;
  for (const path of archive.files.volumes.values()) {
    size += statSync(path).size * (path.endsWith(".xz") ? 15 : 1);
  }
  if (size < SMALL) return undefined;
  return { sec: archive.label.start.sec + (size > LARGE ? 3 : 30) - 1, nsec: 999_999_999 };
}

/** pmdumplog's -T for everything to the end of a second. */
function finishOption(finish: Timestamp): readonly string[] {
  const [, day, month, year, time] =
    /^\w+, (\d+) (\w+) (\d+) (\S+)/.exec(new Date(finish.sec * 1000).toUTCString()) ?? [];
  return ["-T", `@${month} ${day} ${time}.999999 ${year}`];
}

/**
 * Blocks of the first archives have no type. The C library leaves their 64-bit values in the byte
 * order of the file, so that pmdumplog prints other numbers for them on most machines.
 */
function withSwappedValues(text: string, archive: Archive): string {
  if (archive.label.start.sec > LAST_WITHOUT_TYPES) return text;
  const swapped = new Set<string>();
  const cursor = new ArchiveCursor(archive);
  for (let i = 0; i < 10 && cursor.next(); i++) {
    for (const set = cursor.record.result().sets(); set.next();) {
      const type = archive.catalog.descs.get(set.pmid)?.type;
      if (set.valfmt === 0 || (type !== PM_TYPE.I64 && type !== PM_TYPE.U64)) continue;
      if (set.bytes[set.block(0)] === 0) swapped.add(pmIDStr(set.pmid));
    }
  }
  cursor.close();
  if (swapped.size === 0) return text;
  const view = new DataView(new ArrayBuffer(8));
  let metric = "";
  const lines = text.split("\n").map((line) => {
    metric = /^ {4}(\S+) \(/.exec(line)?.[1] ?? metric;
    if (!swapped.has(metric)) return line;
    return line.replace(/(?<=value )-?\d+$/, (digits) => {
      view.setBigUint64(0, BigInt.asUintN(64, BigInt(digits)));
      const value = digits.startsWith("-") ? view.getBigInt64(0, true) : view.getBigUint64(0, true);
      return String(value);
    });
  });
  return lines.join("\n");
}

function ourSections(base: string, finish: Timestamp | undefined): Sections {
  let text = "";
  let errors = "";
  const set = openArchives(base);
  const parts = { descriptors: true, labels: true, texts: true, instances: true, index: true };
  const options = { ...parts, label: "long", values: true, marks: true } as const;
  try {
    const window = finish === undefined ? {} : { finish };
    for (const piece of dumpArchives(set, { ...options, ...window })) text += piece;
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
    errors = `pmFetch: ${pmErrStr(error.code)}`;
  }
  return sectionsOf(withSwappedValues(text, set.members[0] as Archive), errors);
}

describe("as pmdumplog prints", () => {
  forEachSuiteArchive((base, name) => {
    testWith("pcp6", name, () => {
      const finish = dumpUntil(openArchives(base).members[0] as Archive);
      const options = finish === undefined ? [] : finishOption(finish);
      const real = Bun.spawnSync(["pmdumplog", "-LditehMm", ...options, base], {
        env: { ...process.env, TZ: "UTC", LC_ALL: "C", PCP_DERIVED_CONFIG: "" },
      });
      const theirs = sectionsOf(real.stdout.toString(), real.stderr.toString());
      const ours = ourSections(base, finish);
      expect(ours.records.length).toBeGreaterThan(0);
      expect(ours).toEqual(theirs);
    });
  });
});
