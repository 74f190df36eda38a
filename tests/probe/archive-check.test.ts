// Goal: a check finds every contradiction that was put into an archive, names record and metric, and
// finds nothing else.
import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { labelBytes } from "../../lib/archive/mod.ts";
import { archiveReport, type CheckReport } from "../../lib/probe/mod.ts";

const SOURCE = join(import.meta.dir, "../fixtures/archives/gen/interp-v3");
const FIRST = labelBytes(3);
/** Offset of value set `i` of the first record: metrics have one value each there. */
const setAt = (i: number): number => FIRST + 20 + 20 * i;

/** The check of a copy in which files were changed. */
function checkOf(change: (meta: DataView, data: DataView, index: DataView) => void): CheckReport {
  const folder = mkdtempSync(join(tmpdir(), "pcpbox-check-"));
  try {
    const contents = ["meta", "0", "index"].map((end) => readFileSync(`${SOURCE}.${end}`));
    const [meta, data, index] = contents.map(
      (bytes) => new DataView(bytes.buffer, bytes.byteOffset, bytes.length),
    );
    change(meta as DataView, data as DataView, index as DataView);
    ["meta", "0", "index"].forEach((end, i) =>
      writeFileSync(join(folder, `a.${end}`), contents[i] as Uint8Array),
    );
    const [member] = archiveReport(join(folder, "a"), { check: true }).members;
    expect(member?.damage).toEqual([]);
    const { findings, counts } = member?.check ?? { findings: [], counts: { none: 1 } };
    // Counters of this archive wrap on purpose.
    const others = findings.filter(({ sort }) => sort !== "counter-backwards");
    const { "counter-backwards": _, ...rest } = counts;
    return { findings: others, counts: rest };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Offset of the value block of set `i` of the first record. */
const blockAt = (data: DataView, i: number): number =>
  FIRST + (data.getUint32(setAt(i) + 16) - 2) * 4;

const sorts = (change: Parameters<typeof checkOf>[0]): readonly string[] =>
  checkOf(change).findings.map(({ sort, message }) => `${sort}: ${message}`);

test("nothing, where nothing was changed", () => {
  expect(sorts(() => undefined)).toEqual([]);
});

test("metrics without a descriptor", () => {
  expect(sorts((_, data) => data.setUint32(setAt(0), 0x3d402463))).toEqual([
    "unknown-metric: 245.9.99 has no descriptor",
  ]);
});

test("a metric twice in a record", () => {
  expect(sorts((_, data) => data.setUint32(setAt(1), data.getUint32(setAt(2))))).toEqual([
    "metric-twice: 245.1.3 (t.i32.discrete) again",
  ]);
});

test("instances that are not in the domain", () => {
  expect(sorts((_, data) => data.setInt32(setAt(28) + 12, 77))).toEqual([
    "unknown-instance: 245.4.31 (inst.discrete): instance 77 is not in 245.1",
  ]);
});

test("values of another type, texts without end", () => {
  expect(
    sorts((_, data) => {
      data.setUint8(blockAt(data, 6), 7);
      const text = blockAt(data, 18);
      const size = (data.getUint32(text) & 0xffffff) - 4;
      data.setUint8(text + 3 + size, 0x78);
    }),
  ).toEqual([
    "value-type: 245.1.7 (t.i64.counter): value of type AGGREGATE, 64 in the metadata",
    expect.stringMatching(
      /^text-without-end: 245\.1\.19 \(t\.string\.counter\): text of \d+ bytes/,
    ),
  ]);
});

test("times that go back", () => {
  const second = FIRST + new DataView(readFileSync(`${SOURCE}.0`).buffer).getUint32(FIRST);
  const found = checkOf((_, data) => data.setUint32(second + 4, 1_700_000_000));
  expect(found.counts["time-backwards"]).toBe(1);
  expect(found.findings[0]).toMatchObject({ sort: "time-backwards", offset: second });
});

test("descriptors that contradict themselves", () => {
  // The units word of the first descriptor: a scale of time, no dimension of it.
  expect(sorts((meta) => meta.setUint32(FIRST + 24, 0xa000))).toEqual([
    "odd-descriptor: 245.1.1 (t.i32.counter): scale 10 of time without the dimension",
    "descriptor: 245.1.1 (t.i32.counter): scale 10 of time is not known",
  ]);
});

test("a descriptor that no name leads to", () => {
  const path = join(import.meta.dir, "../fixtures/archives/bad/v3-m-dupname");
  expect(archiveReport(path, { check: true }).members[0]?.check.findings).toEqual([
    {
      sort: "metric-without-name",
      file: `${path}.meta`,
      offset: null,
      time: null,
      message: "2.1.0 has a descriptor and no name",
    },
  ]);
});

test("entries of an index that are out of order", () => {
  const found = checkOf((_meta, _data, index) => index.setUint32(FIRST + 32 + 28, 0));
  expect(found.findings.map(({ message }) => message)).toEqual([
    "entry 2: offset to log file decreased",
  ]);
});
