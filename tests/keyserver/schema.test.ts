// Goal: times of stream entries and texts of values have the form of the schema, whatever the time and the
// bytes; what follows and what precedes an entry leaves none out.
import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  entryAfter,
  entryBefore,
  entryOfMicroseconds,
  entryOfTime,
  microsecondsOfEntry,
  quotedBytes,
} from "../../lib/keyserver/schema.ts";

const bytes = (text: string): Buffer => Buffer.from(text);
const SEED = { seed: 7, numRuns: 300 };

test("an entry has milliseconds and microseconds, not padded; below is cut off", () => {
  expect(entryOfTime({ sec: 1531404662, nsec: 90_046_999 })).toBe("1531404662090-46");
  expect(entryOfMicroseconds(1531404662090046)).toBe("1531404662090-46");
  expect(entryOfMicroseconds(Infinity)).toBe("+");
  fc.assert(
    fc.property(fc.nat(4_000_000_000), fc.nat(999_999_999), (sec, nsec) => {
      const time = sec * 1e6 + Math.floor(nsec / 1000);
      expect(microsecondsOfEntry(bytes(entryOfTime({ sec, nsec })))).toBe(time);
      if (time > 0) expect(entryOfMicroseconds(time)).toBe(entryOfTime({ sec, nsec }));
    }),
    SEED,
  );
});

test("what is no entry is none", () => {
  for (const text of ["", "1", "-1", "1-", "a-1", "1-b", "1-2-3", "99999999999999999-1"])
    expect(microsecondsOfEntry(bytes(text))).toBeNaN();
});

test("entries as long as those of today", () => {
  for (const text of ["1700000000000-", "170000000000x-1", "x700000000000-1", "1700000000000-1x"])
    expect(microsecondsOfEntry(bytes(text))).toBeNaN();
  // Beyond exact numbers.
  expect(microsecondsOfEntry(bytes("9999999999999-1"))).toBeNaN();
  expect(microsecondsOfEntry(bytes("9007199254740-991"))).toBe(Number.MAX_SAFE_INTEGER);
  expect(microsecondsOfEntry(bytes("1700000000000-1234567"))).toBe(1_700_000_001_234_567);
  expect(microsecondsOfEntry(bytes("1700000000000-12345678"))).toBe(1_700_000_012_345_678);
  expect(microsecondsOfEntry(bytes("x1700000000000-7"), 1)).toBe(1_700_000_000_000_007);
});

test("the neighbours of an entry", () => {
  expect(entryAfter(bytes("5-0"))).toBe("5-1");
  expect(entryAfter(bytes("5-18446744073709551614"))).toBe("5-18446744073709551615");
  expect(entryBefore(bytes("5-1"))).toBe("5-0");
  expect(entryAfter(bytes("5-18446744073709551615"))).toBe("6-0");
  // Without a second part: the last entry of that millisecond.
  expect(entryBefore(bytes("5-0"))).toBe("4");
  expect(entryBefore(bytes("0-0"))).toBeUndefined();
});

test("bytes in quotes, each that is no plain character as an escape", () => {
  expect(quotedBytes(Uint8Array.of(0x61, 0x22, 0x0a, 0xc3, 0xa9))).toBe(
    '"a\\u0022\\u000A\\uFFFD\\uFFFD"',
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 50 }), (data) => {
      const expected = [...data].map((byte) => {
        if (byte >= 0x80) return "\\uFFFD";
        const char = String.fromCharCode(byte);
        if (byte >= 0x20 && byte < 0x7f && char !== '"' && char !== "\\") return char;
        return `\\u00${byte.toString(16).toUpperCase().padStart(2, "0")}`;
      });
      expect(quotedBytes(data)).toBe(`"${expected.join("")}"`);
    }),
    SEED,
  );
});
