// Goal: the gate on a client's PDUs says the same however the stream is cut, refuses every length and
// type that nobody could mean at the byte that shows it, and looks at nothing once TLS is asked for
// (pmproxy(1) -L, spec pdu.md 1.3, 3.2).
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { PduGate } from "../../lib/server/gate.ts";

const CREDS = 0x700c;
const FETCH = 0x7003;

/** A PDU with a header that says `length`, and `body` bytes after it. */
function pdu(length: number, type: number, body = Math.max(0, length - 12)): Uint8Array {
  const bytes = new Uint8Array(12 + body);
  const view = new DataView(bytes.buffer);
  view.setInt32(0, length);
  view.setInt32(4, type | 0);
  return bytes;
}

function creds(secure: boolean): Uint8Array {
  const bytes = pdu(20, CREDS);
  bytes.set([0, 0, 0, 1, 1, 2, 0, secure ? 1 : 0], 12);
  return bytes;
}

const join = (...parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));

/** Verdict on a stream that comes in pieces which end at `cuts`. */
function verdict(stream: Uint8Array, cuts: readonly number[], ceiling = 65536, first = false) {
  const gate = new PduGate(ceiling, first);
  const ends = [...cuts, stream.length].map((cut) => Math.min(cut, stream.length));
  let from = 0;
  for (const end of ends.sort((a, b) => a - b)) {
    const refused = gate.pass(stream.subarray(from, end));
    if (refused !== undefined) return refused;
    from = end;
  }
  return "passed";
}

const everyByte = (stream: Uint8Array): number[] => [...stream.keys()];

describe("headers", () => {
  const rows: readonly (readonly [string, Uint8Array, string])[] = [
    ["empty stream", new Uint8Array(0), "passed"],
    ["length 0", pdu(0, FETCH), "PDU length 0 is below 12"],
    ["length 11", pdu(11, FETCH), "PDU length 11 is below 12"],
    ["length 12", pdu(12, FETCH), "passed"],
    ["negative length", pdu(-1, FETCH), "PDU length -1 is below 12"],
    ["the ceiling", pdu(65536, FETCH), "passed"],
    ["above the ceiling", pdu(65537, FETCH, 0), "PDU length 65537 is above 65536 (-L)"],
    ["a huge length", pdu(0x7fffffff, FETCH, 0), "PDU length 2147483647 is above 65536 (-L)"],
    ["negative type", pdu(16, 0x80000000), "PDU type 0x80000000 is negative"],
    ["unknown type", pdu(16, 0x1234), "passed"],
    ["three bytes of a bad length", Uint8Array.of(0xff, 0xff, 0xff), "passed"],
    [
      "a bad one after good ones",
      join(pdu(16, FETCH), pdu(16, FETCH), pdu(5, FETCH)),
      "PDU length 5 is below 12",
    ],
    ["short CREDS", pdu(16, CREDS), "passed"],
    [
      "CREDS without TLS, then a bad one",
      join(creds(false), pdu(1, 1)),
      "PDU length 1 is below 12",
    ],
    ["CREDS with TLS, then ciphertext", join(creds(true), pdu(-5, -5)), "passed"],
    ["CREDS above the ceiling", pdu(65537, CREDS, 0), "PDU length 65537 is above 65536 (-L)"],
    [
      "garbage",
      new TextEncoder().encode("GET / HTTP/1.1\r\n"),
      "PDU length 1195725856 is above 65536 (-L)",
    ],
  ];
  for (const [name, stream, expected] of rows) {
    test(name, () => {
      expect(verdict(stream, [])).toBe(expected);
      expect(verdict(stream, everyByte(stream))).toBe(expected);
    });
  }

  test("many of 16 bytes, cut at every place", () => {
    const stream = join(...Array.from({ length: 40 }, () => pdu(16, FETCH)), pdu(3, FETCH));
    for (let at = 0; at <= stream.length; at++) {
      expect(verdict(stream, [at])).toBe("PDU length 3 is below 12");
    }
  });

  test("CREDS cut at every place makes it opaque", () => {
    const stream = join(creds(true), pdu(0, -1));
    for (let at = 0; at <= stream.length; at++) expect(verdict(stream, [at])).toBe("passed");
  });

  test("the first PDU must be CREDS where that is asked for", () => {
    expect(verdict(pdu(16, FETCH), [], 65536, true)).toBe("first PDU has type 0x7003, not CREDS");
    expect(verdict(join(creds(false), pdu(16, FETCH)), [3, 19], 65536, true)).toBe("passed");
  });

  test("where the stream stands", () => {
    const gate = new PduGate(1000, false);
    expect([gate.atBoundary, gate.remaining]).toEqual([true, 1000]);
    gate.pass(pdu(16, FETCH).subarray(0, 5));
    expect(gate.atBoundary).toBe(false);
    gate.pass(pdu(16, FETCH).subarray(5));
    expect(gate.atBoundary).toBe(true);
    gate.pass(creds(true));
    expect([gate.atBoundary, gate.remaining]).toEqual([true, 0]);
  });
});

test("the verdict does not depend on the cuts", () => {
  const part = fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: 12, max: 60 }).map((size) => pdu(size, FETCH)) },
    { weight: 2, arbitrary: fc.constant(creds(false)) },
    { weight: 1, arbitrary: fc.constant(creds(true)) },
    { weight: 1, arbitrary: fc.integer({ min: 12, max: 30 }).map((size) => pdu(size, CREDS)) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 30 }) },
  );
  fc.assert(
    fc.property(
      fc.array(part, { maxLength: 12 }).map((parts) => join(...parts)),
      fc.array(fc.nat(400), { maxLength: 20 }),
      fc.boolean(),
      (stream, cuts, first) => {
        const whole = verdict(stream, [], 200, first);
        expect(verdict(stream, cuts, 200, first)).toBe(whole);
        expect(verdict(stream, everyByte(stream), 200, first)).toBe(whole);
      },
    ),
    { seed: 4, numRuns: 2000 },
  );
});
