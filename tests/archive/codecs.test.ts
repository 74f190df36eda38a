// Goal: each kind of record reads and writes the bytes that the format's description gives as its
// examples, in both versions, and refuses what the description calls damage with the right code.
import { describe, expect, test } from "bun:test";
import {
  addNanoseconds,
  Catalog,
  type ArchiveLabel,
  type ArchiveVersion,
  decodeData,
  decodeIndexEntry,
  decodeLabel,
  decodeMeta,
  encodeData,
  encodeIndexEntry,
  encodeLabel,
  encodeMark,
  encodeMeta,
  encodeResult,
  faultOf,
  indexEntryBytes,
  instanceEntry,
  META_TYPE,
  setTime,
  timeAt,
} from "../../lib/archive/mod.ts";
import { PM_ERR, PcpError, utf8, viewOf } from "../../lib/base/mod.ts";
import {
  asIndom,
  asInstance,
  asPmid,
  labelsOf,
  parseLabels,
  PM_LABEL,
  PM_TYPE,
} from "../../lib/pcp/mod.ts";
import { hex, unhex } from "../helpers/vector.ts";

const text = (value: string): string => hex(utf8(value));

function codeOf(body: () => unknown): number {
  try {
    body();
  } catch (error) {
    if (error instanceof PcpError) return error.code;
    throw error;
  }
  return 0;
}

describe("times", () => {
  test("version 3 has its low word first", () => {
    const bytes = unhex("b09e1900 00000001 00000001");
    expect(timeAt(viewOf(bytes), 0, 3)).toEqual({ sec: 7258118400, nsec: 1 });
  });
  test("come back from both versions, before 1970, too", () => {
    const view = new DataView(new ArrayBuffer(12));
    for (const sec of [0, 1, -1, 0x7fffffff, -0x80000000]) {
      for (const version of [2, 3] as const) {
        setTime(view, 0, version, { sec, nsec: 5000 });
        expect(timeAt(view, 0, version)).toEqual({ sec, nsec: 5000 });
      }
    }
    setTime(view, 0, 3, { sec: -5_000_000_000, nsec: 999_999_999 });
    expect(timeAt(view, 0, 3)).toEqual({ sec: -5_000_000_000, nsec: 999_999_999 });
    setTime(view, 0, 2, { sec: 1, nsec: 1999 });
    expect(timeAt(view, 0, 2)).toEqual({ sec: 1, nsec: 1000 });
  });
  test("addition keeps nanoseconds in their range", () => {
    const last = { sec: 1, nsec: 999_500_000 };
    expect(addNanoseconds(last, 1_000_000)).toEqual({ sec: 2, nsec: 500_000 });
    expect(addNanoseconds({ sec: 0, nsec: 0 }, -1)).toEqual({ sec: -1, nsec: 999_999_999 });
  });
});

describe("labels", () => {
  const label = (version: ArchiveVersion): ArchiveLabel => ({
    version,
    pid: 5576,
    start: { sec: 1795294388, nsec: 452269000 },
    volume: -1,
    features: version === 2 ? 0 : 0x80000000,
    host: "vm",
    timezone: "UTC",
    zoneinfo: version === 2 ? "" : ":Etc/UTC",
  });
  for (const version of [2, 3] as const) {
    const bytes = encodeLabel(label(version));
    test(`version ${version} comes back`, () => {
      expect(bytes.length).toBe(version === 2 ? 132 : 808);
      expect(decodeLabel(bytes, -1)).toEqual(label(version));
    });
    test(`version ${version} is refused when cut or changed`, () => {
      const changed = (at: number, value: number): Uint8Array => {
        const copy = bytes.slice();
        copy[at] = value;
        return copy;
      };
      expect(codeOf(() => decodeLabel(bytes.subarray(0, 7), -1))).toBe(PM_ERR.NODATA);
      expect(codeOf(() => decodeLabel(bytes.subarray(0, 100), -1))).toBe(PM_ERR.LABEL);
      expect(codeOf(() => decodeLabel(bytes, 0))).toBe(PM_ERR.LABEL);
      for (const [at, value] of [
        [0, 1],
        [4, 0x51],
        [7, 1],
        [7, 4],
        [bytes.length - 1, 9],
      ] as const) {
        expect(codeOf(() => decodeLabel(changed(at, value), -1))).toBe(PM_ERR.LABEL);
      }
    });
  }
  test("a host name that does not fit is refused", () => {
    const long = { ...label(2), host: "h".repeat(64) };
    expect(codeOf(() => encodeLabel(long))).toBe(PM_ERR.TOOBIG);
    expect(decodeLabel(encodeLabel({ ...long, version: 3 }), -1).host).toBe(long.host);
  });
  test("start as in the recorded example", () => {
    const head = "00000084 50052602 000015c9 6b0204b4 0006da2e ffffffff 766d0000";
    const bytes = new Uint8Array(132);
    bytes.set(unhex(head));
    viewOf(bytes).setUint32(128, 132);
    const found = decodeLabel(bytes, -1);
    expect([found.pid, found.start.sec, found.start.nsec]).toEqual([5577, 1795294388, 449070000]);
  });
});

/** Examples of the description: version, bytes. */
const META_EXAMPLES: readonly (readonly [string, ArchiveVersion, string])[] = [
  [
    "descriptor",
    3,
    `0000003a 00000001 00800c03 00000006 00800001 00000004 00000000 00000001 00000012
     ${text("pmcd.pmlogger.host")} 0000003a`,
  ],
  [
    "instances",
    3,
    `0000003c 00000005 65e11a80 00000000 00000000 3d400001 00000002 00000001 00000002
     00000000 00000006 ${text("a one\0b two\0")} 0000003c`,
  ],
  [
    "changed instances",
    3,
    `0000003f 00000006 6b0204b7 00000000 1c2d95e5 0740000c 00000001 00000009 00000000
     ${text("0009 /usr/opt/bin/jojo\0")} 0000003f`,
  ],
  ["help text", 2, `00000025 00000004 00000005 0f00040b ${text("Memory page size\0")} 00000025`],
  [
    "labels",
    3,
    `00000049 00000007 6b0204b7 00000000 1c2d95e5 00000002 0000003c 00000001 ffffffff
     00000011 ${text('{"agent":"linux"}')} 00000001 0002 05 02 0009 0007 00000049`,
  ],
];

describe("metadata records", () => {
  for (const [name, version, example] of META_EXAMPLES) {
    const bytes = unhex(example);
    test(`${name} of the description comes back`, () => {
      expect(hex(encodeMeta(version, decodeMeta(bytes)))).toBe(hex(bytes));
    });
    test(`${name}, cut and framed again, is an error or shorter`, () => {
      for (let length = 13; length < bytes.length; length++) {
        const cut = bytes.slice(0, length);
        viewOf(cut).setInt32(0, length);
        viewOf(cut).setInt32(length - 4, length);
        const code = codeOf(() => decodeMeta(cut));
        expect([0, PM_ERR.LOGREC]).toContain(code);
      }
    });
  }
  test("versions have their own layouts", () => {
    const record = {
      kind: "indom",
      delta: false,
      timestamp: { sec: 10, nsec: 2000 },
      indom: asIndom(5),
      instances: [instanceEntry(3, "three"), instanceEntry(4, "")],
    } as const;
    for (const version of [2, 3] as const) {
      const bytes = encodeMeta(version, record);
      expect(viewOf(bytes).getInt32(4)).toBe(version === 2 ? 2 : 5);
      expect(decodeMeta(bytes)).toEqual(record);
    }
    expect(codeOf(() => encodeMeta(2, { ...record, delta: true }))).toBe(PM_ERR.ARG);
    const gone = { ...record, delta: true, instances: [instanceEntry(3, undefined)] };
    expect(decodeMeta(encodeMeta(3, gone))).toEqual(gone);
  });
  test("an error says what is wrong where", () => {
    const bytes = unhex("0000000c 00000063 0000000c");
    try {
      decodeMeta(bytes, { file: "a.meta", offset: 132 });
      throw new Error("was accepted");
    } catch (error) {
      expect(error).toBeInstanceOf(PcpError);
      expect((error as PcpError).code).toBe(PM_ERR.RECTYPE);
      expect(faultOf(error)).toEqual({
        file: "a.meta",
        offset: 132,
        record: "metadata record",
        reason: "record type 99 is not known",
      });
    }
  });
});

describe("index entries", () => {
  for (const [version, example] of [
    [3, "6b0204b4 00000000 1af514eb 00000000 0000000000000328 0000000000000328"],
    [2, "6b0204b4 0006da2e 00000000 00000084 00000084"],
  ] as const) {
    test(`version ${version} comes back`, () => {
      const bytes = unhex(example);
      expect(bytes.length).toBe(indexEntryBytes(version));
      const entry = decodeIndexEntry(viewOf(bytes), 0, version);
      expect(entry.dataOffset).toBe(version === 3 ? 808 : 132);
      expect(hex(encodeIndexEntry(version, entry))).toBe(hex(bytes));
    });
  }
  test("offsets beyond 31 bits fit version 3 only", () => {
    const entry = {
      timestamp: { sec: 1, nsec: 0 },
      volume: 1,
      metaOffset: 7,
      dataOffset: 0x1_2345_6789,
    };
    const bytes = encodeIndexEntry(3, entry);
    expect(decodeIndexEntry(viewOf(bytes), 0, 3)).toEqual(entry);
    expect(codeOf(() => encodeIndexEntry(2, entry))).toBe(-7);
  });
});

const PROLOGUE = `000000b4 6b0204b4 00000000 1af514eb 00000005
  00800c03 00000001 00000001 000015c8 00000020 00800c00 00000001 00000000 000015c8 000010eb
  00800c02 00000001 00000001 000015c8 00000024 00800017 00000001 00000001 ffffffff 0000002b
  00800018 00000001 00000000 ffffffff 00000006
  0600000e 6c6f6361 6c686f73 74007e7e
  0600001b ${text("/srv/build/archives/v3\0")} 7e 0300000c 00000000 00001d97 000000b4`;

describe("data records", () => {
  test("the prologue of the description comes back", () => {
    const bytes = unhex(PROLOGUE);
    expect(bytes.length).toBe(180);
    const result = decodeData(bytes, 3);
    expect(result.numpmid).toBe(5);
    expect(hex(encodeData(3, result))).toBe(hex(bytes));
    const old = encodeData(2, result);
    expect(old.length).toBe(176);
    expect(hex(encodeData(3, decodeData(old, 2), result.timestamp))).toBe(hex(bytes));
  });
  test("marks as in the description", () => {
    const time = { sec: 1709251210, nsec: 1_000_000 };
    const three = "0000001865e11a8a00000000000f42400000000000000018";
    expect(hex(encodeMark(3, time))).toBe(three);
    expect(hex(encodeMark(2, time))).toBe("0000001465e11a8a000003e80000000000000014");
    expect(decodeData(unhex(three), 3).numpmid).toBe(0);
  });
  test("a result in its plain form is the same in both versions", () => {
    const sets = [
      { pmid: asPmid(1), error: PM_ERR.VALUE },
      { pmid: asPmid(2), type: PM_TYPE.U32, instances: [-1], values: [7] },
      { pmid: asPmid(3), type: PM_TYPE.STRING, instances: [1, 2], values: ["a", "bcdef"] },
    ];
    const result = { timestamp: { sec: 5, nsec: 6000 }, sets };
    const two = decodeData(encodeResult(2, result), 2);
    expect(hex(encodeData(3, two))).toBe(hex(encodeResult(3, result)));
    const strings = two.find(asPmid(3));
    expect(strings?.numval).toBe(2);
  });
  test("a changed word is refused or harmless", () => {
    const bytes = unhex(PROLOGUE);
    for (let at = 0; at < bytes.length; at += 4) {
      const changed = bytes.slice();
      viewOf(changed).setUint32(at, 0x00ff00ff);
      expect([0, PM_ERR.LOGREC]).toContain(codeOf(() => decodeData(changed, 3)));
    }
  });
});

test("of label records of one time the first counts", () => {
  const catalog = new Catalog();
  const timestamp = { sec: 5, nsec: 0 };
  for (const [inst, json] of Object.entries({ 1: '{"a":1}', 2: '{"b":2}' })) {
    const set = parseLabels(json, PM_LABEL.INSTANCES);
    const sets = [{ ...set, instance: asInstance(Number(inst)), error: 0 }];
    const record = { kind: "labels", timestamp, type: PM_LABEL.INSTANCES, ident: 7, sets } as const;
    catalog.add(META_TYPE.LABEL, encodeMeta(3, record), { file: "test", offset: 0 });
  }
  const names = catalog
    .labelsAt(PM_LABEL.INSTANCES, 7, { sec: 6, nsec: 0 })
    ?.flatMap(labelsOf)
    .map(({ name }) => name);
  expect(names).toEqual(["a"]);
});
