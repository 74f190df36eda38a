// Goal: whether a reply is under way is known however its bytes are cut; bytes that are no PDUs are given up
// and never thought to be under way.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { ReplyBounds } from "../../lib/server/reply-bounds.ts";

/** A PDU of so many bytes. */
function pdu(length: number): Buffer {
  const bytes = Buffer.alloc(length, 0xff);
  bytes.writeInt32BE(length);
  return bytes;
}

describe("bounds of replies", () => {
  test("between PDUs nothing is under way, anywhere else something is", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 12, max: 60 }), { minLength: 1, maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 20 }),
        (lengths, cuts) => {
          const bytes = Buffer.concat(lengths.map(pdu));
          const ends = new Set<number>();
          let end = 0;
          for (const length of lengths) ends.add((end += length));
          const bounds = new ReplyBounds();
          for (let at = 0, turn = 0; at < bytes.length; turn++) {
            const piece = bytes.subarray(at, at + (cuts[turn % cuts.length] ?? 1));
            at += piece.length;
            // A buffer may be longer than what is in it.
            bounds.pass(Buffer.concat([piece, Buffer.from([0xff])]), piece.length);
            expect(bounds.within).toBe(!ends.has(at));
          }
          expect(bounds.isFramed).toBe(true);
        },
      ),
      { seed: 7, numRuns: 200 },
    );
  });

  test("lengths that no PDU has end it", () => {
    for (const length of [0, 11, -1, 0x7fffffff]) {
      const bytes = Buffer.alloc(12);
      bytes.writeInt32BE(length);
      const bounds = new ReplyBounds();
      bounds.pass(pdu(20));
      bounds.pass(bytes);
      expect([bounds.within, bounds.isFramed]).toEqual([false, false]);
      bounds.pass(pdu(20).subarray(0, 13));
      expect([bounds.within, bounds.isFramed]).toEqual([false, false]);
    }
  });
});
