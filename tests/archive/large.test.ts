// Goal: archives beyond the usual sizes and at odd moments: offsets over 4 GB and nonsense ones, sets
// of more members than a process may have open files, volumes compressed or cut under a walk, ends
// that are not looked for twice. Big files are holes.
import { describe, expect, test } from "bun:test";
import {
  closeSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import {
  ArchiveCursor,
  type ArchiveLabel,
  archiveEnd,
  ArchiveWriter,
  encodeIndexEntry,
  encodeLabel,
  encodeMark,
  encodeMeta,
  encodeResult,
  INDEX_VOLUME,
  labelBytes,
  META_VOLUME,
  openArchive,
  openArchives,
  SetCursor,
} from "../../lib/archive/mod.ts";
import { PM_ERR, viewOf } from "../../lib/base/mod.ts";
import { asPmid, PM_INDOM_NULL, PM_TYPE } from "../../lib/pcp/mod.ts";
import { privateFolder } from "../helpers/process.ts";
import { codeOf } from "./apidump.ts";

const folder = privateFolder("large");
const LABEL = { version: 3, pid: 1, host: "host", timezone: "UTC", zoneinfo: "" } as const;
const METRIC = asPmid(1);
const DESC = { pmid: METRIC, type: PM_TYPE.U32, indom: PM_INDOM_NULL, sem: 1, units: 0 };

const resultAt = (sec: number) => ({
  timestamp: { sec, nsec: 0 },
  sets: [{ pmid: METRIC, type: PM_TYPE.U32, instances: [-1], values: [sec] }],
});

/** Writes an archive of one metric with records at these seconds; gives its base name. */
function write(name: string, seconds: readonly number[], maxVolumeBytes?: number): string {
  const base = join(folder, name);
  const options = maxVolumeBytes === undefined ? {} : { maxVolumeBytes };
  const writer = new ArchiveWriter({ base, label: LABEL, ...options });
  writer.describe(DESC, ["a.metric"]);
  for (const sec of seconds) writer.append(resultAt(sec));
  writer.finish();
  return base;
}

/** Seconds of the records that are left in a direction. */
function secondsOf(cursor: ArchiveCursor | SetCursor, backward = false): number[] {
  const found: number[] = [];
  while (backward ? cursor.previous() : cursor.next()) found.push(cursor.record.sec);
  return found;
}

describe("offsets", () => {
  const GIANT = 1.5e9;
  const base = join(folder, "giant");

  /** A small record, three of 1.5 GB that are holes between their length words, and two small ones. */
  function writeGiant(wrongOffset: bigint): number {
    const label = (volume: number): ArchiveLabel => ({
      ...LABEL,
      start: { sec: 100, nsec: 0 },
      volume,
      features: 0,
    });
    const file = openSync(`${base}.0`, "w");
    let at = 0;
    const put = (bytes: Uint8Array): void => {
      writeSync(file, bytes, 0, bytes.length, at);
      at += bytes.length;
    };
    put(encodeLabel(label(0)));
    put(encodeResult(3, resultAt(100)));
    for (let i = 1; i <= 3; i++) {
      const mark = encodeMark(3, { sec: 100 + i, nsec: 0 });
      viewOf(mark).setInt32(0, GIANT);
      put(mark.subarray(0, 20));
      at += GIANT - 24;
      put(mark.subarray(0, 4));
    }
    const far = at;
    put(encodeResult(3, resultAt(110)));
    put(encodeResult(3, resultAt(111)));
    closeSync(file);
    const desc = encodeMeta(3, { kind: "desc", desc: DESC, names: ["a.metric"] });
    writeFileSync(`${base}.meta`, Buffer.concat([encodeLabel(label(META_VOLUME)), desc]));
    const first = labelBytes(3);
    const entry = (sec: number, dataOffset: number): Uint8Array =>
      encodeIndexEntry(3, {
        timestamp: { sec, nsec: 0 },
        volume: 0,
        metaOffset: first,
        dataOffset,
      });
    const wrong = entry(111, 0);
    viewOf(wrong).setBigUint64(24, wrongOffset);
    const index = [encodeLabel(label(INDEX_VOLUME)), entry(100, first), entry(110, far), wrong];
    writeFileSync(`${base}.index`, Buffer.concat(index));
    return far;
  }

  test.each([2n ** 64n - 1n, 2n ** 63n, 4_500_000_001n, 0n])(
    "over 4 GB are reached, %d is passed over",
    (wrongOffset) => {
      const far = writeGiant(wrongOffset);
      const cursor = new ArchiveCursor(openArchive(base));
      const all = [100, 101, 102, 103, 110, 111];
      expect(secondsOf(cursor)).toEqual(all);
      expect(secondsOf(cursor, true)).toEqual(all.toReversed());
      for (const sec of [105, 110]) {
        cursor.seek({ sec, nsec: 0 }, "forward");
        expect(cursor.next()).toBe(true);
        expect(cursor.record).toMatchObject({ sec: 110, offset: far });
      }
      cursor.seek({ sec: 200, nsec: 0 }, "forward");
      expect(cursor.next()).toBe(false);
      cursor.seek({ sec: 102, nsec: 0 }, "forward");
      expect(cursor.next()).toBe(true);
      // What a damaged length says must not become memory.
      expect(codeOf(() => cursor.record.result())).toBe(PM_ERR.LOGREC);
      cursor.close();
      rmSync(`${base}.0`);
    },
  );
});

describe("sets", () => {
  test("of more members than open files are allowed keep few files open", () => {
    const opened = (): number => readdirSync("/proc/self/fd").length;
    const names = Array.from({ length: 40 }, (_, i) => write(`member${i}`, [i * 10, i * 10 + 1]));
    const before = opened();
    const cursor = new SetCursor(openArchives(names.join(",")));
    expect(opened()).toBe(before);
    for (const backward of [false, true]) {
      let records = 0;
      for (; backward ? cursor.previous() : cursor.next(); records++) {
        expect(opened()).toBeLessThanOrEqual(before + 1);
      }
      // Two records a member, and a mark between two of them.
      expect(records).toBe(40 * 3 - 1);
    }
    cursor.close();
    expect(opened()).toBe(before);
  });

  test("do not look for an end that is known, and do so when a member has grown", () => {
    const base = write("known", [10, 11]);
    const still = openArchive(base);
    const growing = openArchive(base, { growing: true });
    for (const archive of [still, growing]) {
      expect(archiveEnd(archive)).toEqual({ sec: 11, nsec: 0 });
    }
    const bytes = Buffer.concat([readFileSync(`${base}.0`), encodeResult(3, resultAt(12))]);
    writeFileSync(`${base}.0`, bytes);
    expect(archiveEnd(still)).toEqual({ sec: 11, nsec: 0 });
    expect(archiveEnd(growing)).toEqual({ sec: 12, nsec: 0 });
  });
});

describe("under a walk", () => {
  test("a volume that has been compressed is found under its new name", () => {
    const base = write("rotated", [1, 2, 3, 4, 5, 6], 900);
    const archive = openArchive(base);
    expect(archive.files.volumes.size).toBeGreaterThan(2);
    const cursor = new ArchiveCursor(archive);
    expect(cursor.next()).toBe(true);
    for (const path of archive.files.volumes.values()) {
      writeFileSync(`${path}.gz`, gzipSync(readFileSync(path)));
      rmSync(path);
    }
    expect(secondsOf(cursor)).toEqual([2, 3, 4, 5, 6]);
    expect(secondsOf(cursor, true)).toEqual([6, 5, 4, 3, 2, 1]);
    cursor.close();
  });

  test("a volume that is gone altogether is stepped over", () => {
    const base = write("gone", [1, 2, 3, 4, 5, 6], 900);
    const archive = openArchive(base);
    const cursor = new ArchiveCursor(archive);
    for (const path of archive.files.volumes.values()) {
      if (!path.endsWith(".0")) renameSync(path, `${path}x`);
    }
    expect(secondsOf(cursor).length).toBeLessThan(6);
    cursor.close();
  });

  test("a volume that was cut is damage, or for a growing archive its end", () => {
    for (const growing of [false, true]) {
      const base = write(
        `cut-${growing}`,
        Array.from({ length: 2000 }, (_, i) => i),
      );
      const cursor = new ArchiveCursor(openArchive(base, { growing }));
      expect(cursor.next()).toBe(true);
      truncateSync(`${base}.0`, 50_010);
      let code = 0;
      let records = 1;
      while (code === 0) {
        let more = false;
        code = codeOf(() => {
          more = cursor.next();
        });
        if (!more) break;
        records++;
      }
      expect(code).toBe(growing ? 0 : PM_ERR.LOGREC);
      expect(records).toBe(Math.floor((50_010 - labelBytes(3)) / cursor.record.length));
      cursor.close();
    }
  });

  test("a pipe in the place of a file is not waited for", () => {
    const base = write("pipe", [1, 2]);
    rmSync(`${base}.meta`);
    expect(Bun.spawnSync(["mkfifo", `${base}.meta`]).exitCode).toBe(0);
    expect(codeOf(() => openArchive(base))).toBe(PM_ERR.NODATA);
  });
});
