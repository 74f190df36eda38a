// Goal: a byte stream is cut into the same PDUs however it arrives, headers are refused as the
// format says, and neither memory nor time follows a length that a peer only claims.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { PDU_CEILING, PM_ERR, PcpError } from "../../lib/base/mod.ts";
import { createFramer, NO_CEILING, readHeader } from "../../lib/pdu/mod.ts";
import { hex, unhex, VECTORS } from "../helpers/vector.ts";

const codeOf = (run: () => unknown): number => {
  try {
    run();
  } catch (error) {
    if (error instanceof PcpError) return error.code;
    throw error;
  }
  return 0;
};

/** A PDU of `length` bytes with an unknown type and a body that counts up. */
function pduOf(length: number): Uint8Array {
  const bytes = Uint8Array.from({ length }, (_, i) => i & 0xff);
  const view = new DataView(bytes.buffer);
  view.setInt32(0, length);
  view.setInt32(4, 0x7050);
  view.setInt32(8, 7);
  return bytes;
}

const join = (parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));

describe("headers", () => {
  test("the three words", () => {
    expect(readHeader(unhex("00000010000070000000000affffcfb2"))).toEqual({
      length: 16,
      type: 0x7000,
      from: 10,
    });
  });

  const BAD: readonly (readonly [string, string, number])[] = [
    ["length 0", "000000000000700400000000", PM_ERR.IPC],
    ["length 11", "0000000b0000700400000000", PM_ERR.IPC],
    ["negative length", "800000100000700400000000", PM_ERR.IPC],
    ["negative type", "00000010ffff700400000000", PM_ERR.IPC],
    ["length above the ceiling", "000100010000700400000000", PM_ERR.TOOBIG],
    ["length next to 2^31", "7fffffff0000700400000000", PM_ERR.TOOBIG],
    ["a header that is cut", "0000001000007004000000", PM_ERR.IPC],
  ];
  for (const [name, text, code] of BAD) {
    test(`${name} is ${code}`, () => {
      expect(codeOf(() => readHeader(unhex(text), 0, PDU_CEILING))).toBe(code);
    });
  }

  test("a length equal to the ceiling is accepted", () => {
    expect(readHeader(unhex("000100000000700400000000"), 0, PDU_CEILING).length).toBe(65536);
  });
});

describe("the framer", () => {
  test("hands out PDUs of one chunk without copying", () => {
    const chunk = join([pduOf(12), pduOf(40), pduOf(13)]);
    const framer = createFramer();
    framer.feed(chunk);
    const pdus = [...framer];
    expect(pdus.map((pdu) => pdu.length)).toEqual([12, 40, 13]);
    for (const pdu of pdus) expect(pdu.buffer).toBe(chunk.buffer);
    expect(framer.phase).toBe("idle");
    framer.end();
  });

  test("gives a PDU that spans chunks a buffer of exactly its own bytes", () => {
    const bytes = pduOf(1000);
    const framer = createFramer();
    framer.feed(bytes.subarray(0, 500));
    expect(framer.next()).toBeUndefined();
    expect(framer.phase).toBe("body");
    framer.feed(bytes.subarray(500));
    const pdu = framer.next();
    expect(pdu && hex(pdu)).toBe(hex(bytes));
    expect(pdu?.buffer.byteLength).toBe(1000);
  });

  test("grows by what has arrived, not by what a header claims", () => {
    const framer = createFramer();
    framer.feed(unhex("7ffffbff0000700100000000"));
    const before = process.memoryUsage().arrayBuffers;
    expect(framer.next()).toBeUndefined();
    for (let i = 0; i < 100; i++) {
      framer.feed(new Uint8Array(1000));
      expect(framer.next()).toBeUndefined();
    }
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(4 * 1024 * 1024);
    expect(framer.buffered).toBe(12 + 100_000);
  });

  test("keeps failing after a bad header", () => {
    const framer = createFramer(PDU_CEILING);
    framer.feed(join([pduOf(16), unhex("000100010000700400000000"), pduOf(16)]));
    expect(framer.next()?.length).toBe(16);
    expect(codeOf(() => framer.next())).toBe(PM_ERR.TOOBIG);
    expect(codeOf(() => framer.next())).toBe(PM_ERR.TOOBIG);
    expect(codeOf(() => framer.end())).toBe(PM_ERR.TOOBIG);
  });

  test("judges a header that came in pieces like one that came whole", () => {
    for (let cut = 1; cut < 12; cut++) {
      const framer = createFramer();
      const header = unhex("0000000b0000700400000000");
      framer.feed(header.subarray(0, cut));
      expect(framer.next()).toBeUndefined();
      expect(framer.phase).toBe("header");
      framer.feed(header.subarray(cut));
      expect(codeOf(() => framer.next())).toBe(PM_ERR.IPC);
    }
  });

  test("end of file between PDUs is clean, inside one it is PM_ERR_IPC", () => {
    const framer = createFramer();
    framer.end();
    framer.feed(pduOf(20).subarray(0, 5));
    framer.next();
    expect(codeOf(() => framer.end())).toBe(PM_ERR.IPC);
  });

  test("gives the rest to whoever reads the stream next", () => {
    for (let cut = 0; cut <= 30; cut++) {
      const stream = join([pduOf(16), unhex("160301"), pduOf(14).subarray(0, 11)]);
      const framer = createFramer();
      framer.feed(stream.subarray(0, 16));
      expect(framer.next()?.length).toBe(16);
      framer.feed(stream.subarray(16, Math.max(16, cut)));
      framer.feed(stream.subarray(Math.max(16, cut)));
      expect(hex(framer.takeRest())).toBe(hex(stream.subarray(16)));
      expect(framer.buffered).toBe(0);
      expect(framer.next()).toBeUndefined();
    }
  });

  test("takeRest includes bytes already collected", () => {
    const framer = createFramer();
    framer.feed(pduOf(100).subarray(0, 30));
    framer.next();
    framer.feed(pduOf(100).subarray(30, 50));
    expect(hex(framer.takeRest())).toBe(hex(pduOf(100).subarray(0, 50)));
  });

  test("any chunking of any stream gives the same PDUs", () => {
    const streams = fc.array(
      fc.oneof(
        fc.constantFrom(...VECTORS.map((vector) => vector.bytes)),
        fc.integer({ min: 12, max: 70_000 }).map(pduOf),
      ),
      { maxLength: 6 },
    );
    const sizes = fc.infiniteStream(fc.oneof(fc.integer({ min: 1, max: 20 }), fc.nat(40_000)));
    fc.assert(
      fc.property(streams, sizes, fc.boolean(), (pdus, cuts, late) => {
        const stream = join(pdus);
        const framer = createFramer(NO_CEILING);
        const found: string[] = [];
        let at = 0;
        for (const size of cuts) {
          if (at >= stream.length) break;
          framer.feed(stream.subarray(at, at + size));
          at += size;
          if (!late) for (const pdu of framer) found.push(hex(pdu));
        }
        for (const pdu of framer) found.push(hex(pdu));
        framer.end();
        expect(found).toEqual(pdus.map(hex));
      }),
      { numRuns: 60, seed: 2 },
    );
  });
});
