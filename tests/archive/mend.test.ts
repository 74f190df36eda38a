// Goal: an archive whose writer was killed or lost power is whole records again, keeps every whole record
// that it had, and is left alone where it is sound (lib/archive/mend.ts); files that grow are written in
// an order in which no reader finds a half archive (lib/archive/writer-live.ts).
import { describe, expect, test } from "bun:test";
import {
  appendFileSync,
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import {
  ArchiveCursor,
  ArchiveWriter,
  loggerMetrics,
  mendArchive,
  openArchive,
  openLiveFiles,
} from "../../lib/archive/mod.ts";
import { PcpError } from "../../lib/base/mod.ts";
import { privateFolder } from "../helpers/process.ts";
import { rejected } from "../helpers/rejected.ts";

const FOLDER = join(import.meta.dir, "../fixtures/archives/rec");
const NAMES = ["v2-mv", "v3-mv", "v3-labels-721", "v2-dyn"];

/** A copy of a recorded archive: its path without suffix, and its files by ending. */
function copyOf(name: string): { base: string; files: Map<string, Buffer> } {
  const folder = privateFolder("mend");
  const files = new Map<string, Buffer>();
  for (const file of readdirSync(FOLDER)) {
    if (!file.startsWith(`${name}.`)) continue;
    cpSync(join(FOLDER, file), join(folder, file));
    files.set(file.slice(name.length + 1), readFileSync(join(FOLDER, file)));
  }
  return { base: join(folder, name), files };
}

/** Number of records that can be read; throws for one that cannot. */
function recordsIn(base: string): number {
  const cursor = new ArchiveCursor(openArchive(base));
  let records = 0;
  while (cursor.next()) records += 1;
  cursor.close();
  return records;
}

/** Ends of the whole records of a file, its label's first. */
function endsOf(ending: string, bytes: Buffer): number[] {
  const label = bytes.readUInt32BE(0);
  const ends = [label];
  for (let at = label; at < bytes.length;) {
    at += ending === "index" ? (label === 132 ? 20 : 32) : bytes.readUInt32BE(at);
    ends.push(at);
  }
  return ends;
}

test.each(NAMES)("%s is left alone when it is sound", (name) => {
  const { base, files } = copyOf(name);
  expect(mendArchive(base)).toEqual([]);
  for (const [ending, bytes] of files)
    expect(readFileSync(`${base}.${ending}`).equals(bytes)).toBe(true);
});

test.each(NAMES)("%s: what is torn is cut off, whole records stay", (name) => {
  const { base, files } = copyOf(name);
  const endings = [...files.keys()];
  const cut = fc.record({
    ending: fc.constantFrom(...endings),
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    junk: fc.uint8Array({ maxLength: 40 }),
  });
  const property = fc.property(cut, ({ ending, at, junk }) => {
    for (const [each, bytes] of files) writeFileSync(`${base}.${each}`, bytes);
    const bytes = files.get(ending) ?? Buffer.alloc(0);
    const path = `${base}.${ending}`;
    const [label = 0] = endsOf(ending, bytes);
    const length = label + Math.floor(at * (bytes.length - label));
    truncateSync(path, length);
    appendFileSync(path, junk);
    mendArchive(base);
    // Without a whole record it went, which is as good as being only a label.
    const kept = existsSync(path) ? readFileSync(path) : bytes.subarray(0, label);
    const whole = endsOf(ending, bytes).findLast((end) => end <= length) ?? 0;
    // Junk may happen to be whole records, but none of what was whole goes, unless it points nowhere.
    if (ending !== "index") expect(kept.length).toBeGreaterThanOrEqual(whole);
    expect(kept.subarray(0, whole).equals(bytes.subarray(0, kept.length).subarray(0, whole))).toBe(
      true,
    );
    if (junk.length === 0) {
      expect(endsOf(ending, bytes)).toContain(kept.length);
      const isLost = !existsSync(path) && files.has("0") && !files.has("1") && ending === "0";
      if (ending !== "meta" && !isLost) expect(recordsIn(base)).toBeGreaterThan(0);
    }
    expect(mendArchive(base)).toEqual([]);
  });
  fc.assert(property, { seed: 11, numRuns: 60 });
});

test("a volume without a whole label goes, and what pointed to it; other files stay", () => {
  const { base } = copyOf("v3-mv");
  truncateSync(`${base}.3`, 100);
  writeFileSync(`${base}.4`, new Uint8Array(900));
  writeFileSync(`${base}.notes`, "mine");
  const before = recordsIn(base.replace(/v3-mv$/, "v3-mv.0"));
  const mended = mendArchive(base);
  expect(mended.filter(({ kept }) => kept === undefined).map(({ file }) => file)).toEqual([
    `${base}.3`,
    `${base}.4`,
  ]);
  expect(existsSync(`${base}.3`)).toBe(false);
  expect(readFileSync(`${base}.notes`, "utf8")).toBe("mine");
  expect(recordsIn(base)).toBeLessThanOrEqual(before);
});

test("files without a label of their own are not touched", () => {
  const { base } = copyOf("v3-dyn");
  writeFileSync(
    `${base}.meta`,
    "no archive at all, but text that is longer than one label. ".repeat(40),
  );
  mendArchive(base);
  expect(readFileSync(`${base}.meta`, "utf8").startsWith("no archive")).toBe(true);
});

describe("an archive that is read while it is written", () => {
  const start = { sec: 1_700_000_000, nsec: 0 };
  const logger = {
    pid: 7,
    host: "localhost",
    port: 0,
    archive: "/a",
    pmcdPid: 1n,
    pmcdSequence: 1,
  };
  const label = { version: 3, pid: 7, host: "h", timezone: "UTC", zoneinfo: "", start } as const;

  test("has its name from the first commit on, and grows by whole commits", async () => {
    const base = join(privateFolder("live"), "a");
    const files = openLiveFiles(base, true);
    const writer = new ArchiveWriter({ base, label, outputs: files });
    writer.appendLogger(start, logger);
    expect(readdirSync(join(base, "..")).length).toBe(0);
    await files.commit();
    expect(recordsIn(base)).toBe(1);
    expect(openArchive(base).label.start).toEqual(start);
    writer.mark({ sec: start.sec + 1, nsec: 0 });
    expect(recordsIn(base)).toBe(1);
    await files.commit();
    expect(recordsIn(base)).toBe(2);
    writer.switchVolume();
    writer.appendLogger({ sec: start.sec + 2, nsec: 0 }, logger);
    writer.finish();
    await files.commit();
    await files.close();
    expect(recordsIn(base)).toBe(3);
    expect(mendArchive(base)).toEqual([]);
    expect(files.size).toBe(
      ["meta", "index", "0", "1"].reduce((sum, e) => sum + readFileSync(`${base}.${e}`).length, 0),
    );
    expect(loggerMetrics().metrics).toHaveLength(5);
  });

  test("nothing stays of one that never was committed, and no file of others is written to", async () => {
    const base = join(privateFolder("live"), "a");
    writeFileSync(`${base}.0`, "mine");
    const files = openLiveFiles(base, false);
    const writer = new ArchiveWriter({ base, label, outputs: files });
    writer.appendLogger(start, logger);
    expect(await rejected(files.commit())).toBeInstanceOf(PcpError);
    await files.close();
    expect(files.failed).toBe(true);
    expect(await rejected(files.commit())).toBeInstanceOf(PcpError);
    expect(existsSync(`${base}.meta`)).toBe(false);
    expect(readFileSync(`${base}.0`, "utf8")).toBe("mine");
  });
});
