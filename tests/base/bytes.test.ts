// Goal: Reader and Writer never leave their bounds, agree with each other, and share memory.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { BoundsError, Reader, utf8, utf8Text, Writer } from "../../lib/base/mod.ts";

describe("Writer and Reader", () => {
  test("agree on every kind of number", () => {
    fc.assert(
      fc.property(
        fc.nat(0xff),
        fc.nat(0xffff),
        fc.integer(),
        fc.nat(0xffffffff),
        fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
        fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
        fc.float(),
        fc.double(),
        (u8, u16, i32, u32, i64, u64, f32, f64) => {
          const writer = new Writer(1);
          writer.u8(u8).u16(u16).i32(i32).u32(u32).i64(i64).u64(u64).f32(f32).f64(f64);
          const reader = new Reader(writer.finish());
          expect([reader.u8(), reader.u16(), reader.i32(), reader.u32()]).toEqual([
            u8,
            u16,
            i32,
            u32,
          ]);
          expect([reader.i64(), reader.u64()]).toEqual([i64, u64]);
          expect([reader.f32(), reader.f64()]).toEqual([f32, f64]);
          expect(reader.remaining).toBe(0);
        },
      ),
      { seed: 11, numRuns: 200 },
    );
  });
  test("numbers are big-endian", () => {
    expect([...new Writer().i32(-2).u16(0x102).finish()]).toEqual([255, 255, 255, 254, 1, 2]);
  });
});

describe("Reader", () => {
  const reader = (): Reader => new Reader(Uint8Array.of(1, 2, 3, 4, 5, 6), 1, 5);
  test("stops at its end, which may lie before the array's", () => {
    const within = reader();
    expect(within.u16()).toBe(0x203);
    expect(() => within.i32()).toThrow(new BoundsError(3, 4, 2));
    expect(within.u16()).toBe(0x405);
    expect(() => within.u8()).toThrow("1 bytes needed at offset 5, 0 left");
  });
  test("a failed read does not move", () => {
    const within = reader();
    expect(() => within.f64()).toThrow(BoundsError);
    expect(within.position).toBe(1);
  });
  test("refuses negative sizes", () => {
    expect(() => reader().slice(-1)).toThrow(BoundsError);
    expect(() => reader().skip(-1)).toThrow(BoundsError);
  });
  test("slices share memory", () => {
    const bytes = Uint8Array.of(1, 2, 3);
    new Reader(bytes).slice(2)[1] = 9;
    expect([...bytes]).toEqual([1, 9, 3]);
  });
});

test("a Reader's text is that of its bytes", () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.oneof(fc.string(), fc.constant("\ufeff")), (raw, given) => {
      const bytes = new Uint8Array([1, ...raw, ...utf8(given), 2]).subarray(1, -1);
      const reader = new Reader(bytes);
      expect(reader.text(raw.length)).toBe(utf8Text(raw));
      expect(reader.text(reader.remaining)).toBe(given.toWellFormed());
      expect(() => reader.text(1)).toThrow(BoundsError);
    }),
    { seed: 3, numRuns: 300 },
  );
});

describe("Writer", () => {
  test("grows to its limit and no further", () => {
    const writer = new Writer(2, 8);
    writer.i32(1).put(Uint8Array.of(1, 2)).fill(0x7e, 2);
    expect(() => writer.u8(1)).toThrow(BoundsError);
    expect(writer.length).toBe(8);
    expect([...writer.finish()]).toEqual([0, 0, 0, 1, 1, 2, 0x7e, 0x7e]);
  });
  test("patches only what was written", () => {
    const writer = new Writer().i32(0).i32(7);
    expect([...writer.patchI32(0, 8).finish()]).toEqual([0, 0, 0, 8, 0, 0, 0, 7]);
    expect(() => writer.patchI32(5, 1)).toThrow(BoundsError);
    expect(() => writer.patchI32(-1, 1)).toThrow(BoundsError);
  });
});

test("text and UTF-8", () => {
  expect([...utf8("é")]).toEqual([0xc3, 0xa9]);
  expect(utf8Text(Uint8Array.of(0xc3, 0xa9, 0xff))).toBe("é\ufffd");
  expect(utf8Text(utf8("\ufeffa"))).toBe("\ufeffa");
});
