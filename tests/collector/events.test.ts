// Goal: event arrays in the memory of a compiled agent become those that results carry, whatever their
// records and parameters are; bytes that are none are refused.
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { pad4, PcpError, PM_ERR } from "../../lib/base/mod.ts";
import { eventsToWire } from "../../lib/collector/dso-values.ts";
import { EventCursor, PM_EVENT, PM_TYPE } from "../../lib/pcp/mod.ts";

interface Parameter {
  readonly pmid: number;
  readonly type: number;
  /** As results have it: numbers big-endian. */
  readonly data: Uint8Array;
}
interface EventRecord {
  readonly sec: number;
  readonly fraction: number;
  readonly missed: boolean;
  readonly parameters: readonly Parameter[];
}

const SIZES: Readonly<Record<number, number>> = {
  [PM_TYPE.I32]: 4,
  [PM_TYPE.U32]: 4,
  [PM_TYPE.FLOAT]: 4,
  [PM_TYPE.I64]: 8,
  [PM_TYPE.U64]: 8,
  [PM_TYPE.DOUBLE]: 8,
};

/** The array as a little-endian machine has it, after the head of its block. */
function native(records: readonly EventRecord[], highres: boolean): Uint8Array {
  const out: number[] = [];
  const word = (value: number): void => {
    for (let shift = 0; shift < 32; shift += 8) out.push((value >>> shift) & 0xff);
  };
  const time = (value: number): void => {
    word(value);
    if (highres) word(0);
  };
  word(records.length);
  for (const { sec, fraction, missed, parameters } of records) {
    time(sec);
    time(fraction);
    word(missed ? PM_EVENT.MISSED : PM_EVENT.POINT);
    word(missed ? 5 : parameters.length);
    for (const { pmid, type, data } of missed ? [] : parameters) {
      word(pmid);
      word(type * 0x1000000 + 4 + data.length);
      out.push(...(SIZES[type] === undefined ? data : data.toReversed()));
      while (out.length % 4 !== 0) out.push(0);
    }
  }
  return Uint8Array.from(out);
}

const word = fc.integer({ min: 0, max: 0x7fffffff });
const parameter = fc
  .record({
    pmid: word,
    type: fc.integer({ min: 0, max: 8 }),
    bytes: fc.uint8Array({ maxLength: 20 }),
  })
  .map(({ pmid, type, bytes }): Parameter => {
    const size = SIZES[type];
    const data = size === undefined ? bytes : new Uint8Array(size).fill(bytes[0] ?? 1, 1);
    return { pmid, type, data };
  });
const record: fc.Arbitrary<EventRecord> = fc.record({
  sec: word,
  fraction: fc.integer({ min: 0, max: 999_999 }),
  missed: fc.boolean(),
  parameters: fc.array(parameter, { maxLength: 4 }),
});

test("records and parameters come through", () => {
  fc.assert(
    fc.property(fc.array(record, { maxLength: 5 }), fc.boolean(), (records, highres) => {
      const data = eventsToWire(native(records, highres), highres);
      const block = new Uint8Array(4 + pad4(data.length));
      const type = highres ? PM_TYPE.HIGHRES_EVENT : PM_TYPE.EVENT;
      new DataView(block.buffer).setUint32(0, type * 0x1000000 + 4 + data.length);
      block.set(data, 4);
      const cursor = new EventCursor(block, 0);
      const found: EventRecord[] = [];
      while (cursor.next()) {
        const { sec, nsec, missed, nparams } = cursor;
        const parameters: Parameter[] = [];
        while (cursor.nextParameter()) {
          const { pmid, type: kind } = cursor;
          parameters.push({ pmid, type: kind, data: cursor.data().slice() });
        }
        if (missed) expect(nparams).toBe(5);
        found.push({ sec, fraction: highres ? nsec : nsec / 1000, missed, parameters });
      }
      expect(found).toEqual(records.map((one) => (one.missed ? { ...one, parameters: [] } : one)));
    }),
    { seed: 9, numRuns: 300 },
  );
});

test("what is no event array is refused", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.boolean(), (bytes, highres) => {
      try {
        eventsToWire(bytes, highres);
      } catch (error) {
        expect(error).toBeInstanceOf(PcpError);
        expect(error).toMatchObject({ code: PM_ERR.IPC });
      }
    }),
    { seed: 10, numRuns: 500 },
  );
});
