// Goal: walks and places in archives: a time is found with and without an index and with a broken
// one, in both directions and at every record; growing archives give what was appended and nothing
// half written; names of files lead to their archive; lists and directories to their members.
import { describe, expect, test } from "bun:test";
import { copyFileSync, cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import {
  ArchiveCursor,
  addNanoseconds,
  archiveEnd,
  compareTimes,
  type Direction,
  findArchive,
  listArchives,
  openArchive,
  openArchives,
  refreshArchive,
  SetCursor,
} from "../../lib/archive/mod.ts";
import { PM_ERR, PcpError } from "../../lib/base/mod.ts";
import type { Timestamp } from "../../lib/pcp/mod.ts";
import { privateFolder } from "../helpers/process.ts";
import { codeOf } from "./apidump.ts";

const FOLDER = join(import.meta.dir, "../fixtures/archives");
const ENOENT = -2;

interface Stepper {
  readonly record: Timestamp;
  next(): boolean;
  previous(): boolean;
}

/** Times of all records from the position on, as far as they are sound. */
function timesOf(cursor: Stepper, direction: Direction): Timestamp[] {
  const times: Timestamp[] = [];
  try {
    while (direction === "forward" ? cursor.next() : cursor.previous()) {
      times.push({ sec: cursor.record.sec, nsec: cursor.record.nsec });
    }
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
  }
  return times;
}

describe("a time is found", () => {
  for (const name of [
    "rec/v2-mv",
    "rec/v3-mv",
    "rec/v3-mark",
    "comp/mixed-mv",
    "bad/v3-i-missing",
    "bad/v3-i-beyond",
    "bad/v3-i-badtime",
    "bad/v2-i-partial",
    "bad/v3-vol-no1",
    "bad/v3-d-trunc-mid",
    "gen/y2200-v3",
  ]) {
    test(name, () => {
      const cursor = new ArchiveCursor(openArchive(join(FOLDER, name)));
      const all = timesOf(cursor, "forward");
      expect(all.length).toBeGreaterThan(2);
      for (const time of all) {
        for (const step of [-1, 0, 1]) {
          const wanted = addNanoseconds(time, step);
          cursor.seek(wanted, "forward");
          const after = all.filter((each) => compareTimes(each, wanted) >= 0);
          expect(timesOf(cursor, "forward")).toEqual(after);
          cursor.seek(wanted, "backward");
          const before = all.filter((each) => compareTimes(each, wanted) <= 0);
          expect(timesOf(cursor, "backward")).toEqual(before.toReversed());
        }
      }
      cursor.close();
    });
  }
  test("in a set", () => {
    const cursor = new SetCursor(openArchives(join(FOLDER, "set/dir")));
    const all = timesOf(cursor, "forward");
    for (const time of all) {
      cursor.seek(time, "forward");
      const found = timesOf(cursor, "forward").filter((each) => compareTimes(each, time) >= 0);
      expect(found).toEqual(all.filter((each) => compareTimes(each, time) >= 0));
    }
    cursor.close();
  });
});

test("a walk turns round at every record", () => {
  const cursor = new SetCursor(openArchives(join(FOLDER, "set/dir")));
  let marks = 0;
  while (cursor.next()) {
    const time = { sec: cursor.record.sec, nsec: cursor.record.nsec };
    if (cursor.record.numpmid === 0) marks++;
    expect(cursor.previous()).toBe(true);
    expect(cursor.record).toMatchObject(time);
    expect(cursor.next()).toBe(true);
    expect(cursor.record).toMatchObject(time);
  }
  expect(marks).toBeGreaterThan(0);
  cursor.close();
});

test("members that overlap are told once, and the walk goes on", () => {
  const names = ["set/ov1", "set/ov2"].map((name) => join(FOLDER, name)).join(",");
  const cursor = new SetCursor(openArchives(names));
  for (const step of [() => cursor.next(), () => cursor.previous()]) {
    let records = 0;
    const codes: number[] = [];
    for (let more = true; more;) {
      codes.push(
        codeOf(() => {
          more = step();
          if (more) records++;
        }),
      );
    }
    expect(codes.filter((code) => code !== 0)).toEqual([PM_ERR.LOGOVERLAP]);
    expect(records).toBeGreaterThan(20);
  }
  cursor.close();
});

test("a damaged member of several is left out with a warning", () => {
  const warnings: string[] = [];
  const names = ["set/a1", "set/a2-cdata", "set/a3"].map((name) => join(FOLDER, name)).join(",");
  const set = openArchives(names, { warn: (message) => warnings.push(message) });
  const cursor = new SetCursor(set);
  while (cursor.next());
  expect(cursor.archive.name).toBe(join(FOLDER, "set/a3"));
  expect(warnings.length).toBe(1);
  expect(warnings[0]).toContain(`removing corrupted archive "${join(FOLDER, "set/a2-cdata")}"`);
  cursor.close();
});

describe("growing archives", () => {
  /** Writes the first bytes of each file of an archive. */
  function cut(folder: string, sizes: { meta: number; data: number }): void {
    for (const [end, size] of [
      ["meta", sizes.meta],
      ["0", sizes.data],
      ["index", Number.POSITIVE_INFINITY],
    ] as const) {
      const bytes = readFileSync(join(FOLDER, `rec/v3-dyn.${end}`));
      writeFileSync(join(folder, `grow.${end}`), bytes.subarray(0, size));
    }
  }

  test("give each record once it is whole, whatever was written", () => {
    const folder = privateFolder("grow");
    const whole = readFileSync(join(FOLDER, "rec/v3-dyn.0"));
    cut(folder, { meta: Number.POSITIVE_INFINITY, data: 900 });
    const archive = openArchive(join(folder, "grow"), { growing: true });
    const cursor = new ArchiveCursor(archive);
    const found: number[] = [];
    for (let size = 900; size <= whole.length; size += 37) {
      writeFileSync(join(folder, "grow.0"), whole.subarray(0, size));
      while (cursor.next()) {
        expect(cursor.record.offset + cursor.record.length).toBeLessThanOrEqual(size);
        cursor.record.result();
        found.push(cursor.record.offset);
      }
    }
    writeFileSync(join(folder, "grow.0"), whole);
    while (cursor.next()) found.push(cursor.record.offset);
    expect(found[0]).toBe(808);
    expect(found.at(-1)).toBe(4600);
    expect(new Set(found).size).toBe(found.length);
    expect(archiveEnd(archive)?.sec).toBe(1795294396);
    cursor.close();
  });

  test("give metadata, index entries and volumes when they are refreshed", () => {
    const folder = privateFolder("grow");
    cut(folder, { meta: 1200, data: 1000 });
    const archive = openArchive(join(folder, "grow"), { growing: true });
    const before = archive.catalog.descs.size;
    const last = archive.metaEnd;
    cut(folder, { meta: Number.POSITIVE_INFINITY, data: 5000 });
    cpSync(join(FOLDER, "rec/v3-mv.1"), join(folder, "grow.1"));
    refreshArchive(archive);
    const complete = openArchive(join(FOLDER, "rec/v3-dyn"));
    expect(before).toBeLessThan(complete.catalog.descs.size);
    expect(last).toBeLessThan(archive.metaEnd);
    expect([...archive.catalog.descs]).toEqual([...complete.catalog.descs]);
    expect(archive.metaEnd).toBe(complete.metaEnd);
    expect([...archive.files.volumes.keys()]).toEqual([0, 1]);
  });

  test("are damaged for who does not say that they grow", () => {
    const folder = privateFolder("grow");
    cut(folder, { meta: Number.POSITIVE_INFINITY, data: 1000 });
    const cursor = new ArchiveCursor(openArchive(join(folder, "grow")));
    expect(cursor.next()).toBe(true);
    expect(codeOf(() => cursor.next())).toBe(PM_ERR.LOGREC);
    expect(cursor.previous()).toBe(true);
    cursor.close();
  });
});

describe("names", () => {
  test("of files lead to their archive", () => {
    for (const [name, base] of [
      ["comp/xz", "xz"],
      ["comp/xz.0", "xz"],
      ["comp/xz.0.xz", "xz"],
      ["comp/xz.meta", "xz"],
      ["comp/xz.meta.xz", "xz"],
      ["comp/xz.index", "xz"],
      ["comp/gz.0.gz", "gz"],
      ["comp/zst.meta.zst", "zst"],
      ["comp/mixed-mv.2", "mixed-mv"],
      ["comp/mixed-mv.2.bz2", "mixed-mv"],
      ["rec//v3-types", "v3-types"],
    ] as const) {
      expect(basename(findArchive(join(FOLDER, "x/..") + `/${name}`).base)).toBe(base);
    }
    expect([...findArchive(join(FOLDER, "comp/mixed-mv")).volumes.keys()]).toEqual([0, 1, 2, 3]);
    // A base that itself ends in digits, as pmlogger's daily ones do.
    const daily = join(privateFolder("names"), "20190628.04.03");
    for (const ending of ["0", "index", "meta"]) {
      copyFileSync(join(FOLDER, `rec/v3-types.${ending}`), `${daily}.${ending}`);
    }
    for (const name of [daily, `${daily}.0`]) expect(findArchive(name).base).toBe(daily);
  });
  test("that lead nowhere are told apart", () => {
    for (const [name, code] of [
      ["", PM_ERR.LOGFILE],
      ["comp/nosuch", ENOENT],
      ["comp/mixed-mv.9", ENOENT],
      ["rec/v3-types.", ENOENT],
      ["rec/v3-types.7", ENOENT],
      ["nosuch/archive", ENOENT],
      ["bad/v3-m-missing", PM_ERR.LOGFILE],
      ["bad/v3-d-missing", PM_ERR.LOGFILE],
    ] as const) {
      const path = name === "" ? "" : `${FOLDER}/${name}`;
      expect([name, codeOf(() => findArchive(path))]).toEqual([name, code]);
    }
  });
  test("of lists and directories lead to their members", () => {
    const members = listArchives(`${FOLDER}/set/a1,${FOLDER}/set/dir,`);
    expect(members.length).toBeGreaterThan(2);
    expect(members[0]).toBe(`${FOLDER}/set/a1`);
    const empty = privateFolder("empty");
    mkdirSync(join(empty, "sub"));
    expect(codeOf(() => listArchives(empty))).toBe(PM_ERR.LOGFILE);
    expect(openArchives(`${FOLDER}/rec/v3-dyn,`).members.length).toBe(1);
  });
});

test("compressed archives hold what the plain one holds", () => {
  const records = (name: string): string[] => {
    const cursor = new ArchiveCursor(openArchive(join(FOLDER, name)));
    const found: string[] = [];
    while (cursor.next()) {
      cursor.record.result();
      found.push(Bun.hash(cursor.record.raw()).toString(16));
    }
    cursor.close();
    return found;
  };
  const plain = records("rec/v3-types");
  for (const form of ["xz", "lzma", "bz2", "bz", "gz", "Z", "z", "zst", "xz-blocks"]) {
    expect(records(`comp/${form}`)).toEqual(plain);
  }
});

test("a cut compressed volume gives the records before the damage", () => {
  for (const name of ["comp/bad-gz", "comp/bad-xz"]) {
    const archive = openArchive(join(FOLDER, name));
    const cursor = new ArchiveCursor(archive);
    const code = codeOf(() => {
      while (cursor.next()) cursor.record.result();
    });
    expect([name, code]).toEqual([name, PM_ERR.LOGREC]);
    cursor.close();
  }
});
