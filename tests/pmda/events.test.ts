// Goal: event arrays have the bytes that PCP's agents send, and can be read again; queues deliver
// each event once to each client, bound what they keep, and say what was missed (spec pmda.md 9).
import { expect, test } from "bun:test";
import fc from "fast-check";
import { PcpError, PM_ERR } from "../../lib/base/mod.ts";
import {
  type EventCursor,
  eventsOf,
  PM_EVENT,
  PM_TYPE,
  pmidBuild,
  writeBlock,
} from "../../lib/pcp/mod.ts";
import { createEventArray } from "../../lib/pmda/event-array.ts";
import {
  createEventQueue,
  createEventQueues,
  type EventDecoder,
} from "../../lib/pmda/event-queue.ts";

const STRING = pmidBuild(29, 0, 134);

/** The payload as a value block. */
function block(payload: Uint8Array, highres: boolean): Uint8Array {
  const bytes = new Uint8Array(4 + payload.length);
  const type = highres ? PM_TYPE.HIGHRES_EVENT : PM_TYPE.EVENT;
  writeBlock(bytes, new DataView(bytes.buffer), 0, type, payload);
  return bytes;
}
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const cursor = (payload: Uint8Array, highres = false): EventCursor =>
  eventsOf(block(payload, highres), 0);

test("arrays have the bytes of those that a real agent sent", () => {
  const plain = createEventArray();
  expect(hex(block(plain.payload(), false))).toBe("0900000800000000");
  plain.addRecord({ sec: 0x6b0204c3, nsec: 0x13271 * 1000 }, PM_EVENT.POINT);
  plain.addParameter(STRING, PM_TYPE.STRING, "fetch #1");
  expect(hex(block(plain.payload(), false))).toBe(
    "09000028000000016b0204c3000132710000000100000001074000860600000c" +
      hex(Buffer.from("fetch #1")),
  );
  const high = createEventArray(true);
  for (const text of ["fetch #0", "bingo!"]) {
    high.addRecord({ sec: 0x6b0204c3, nsec: 0x04ae442e }, PM_EVENT.POINT);
    high.addParameter(STRING, PM_TYPE.STRING, text);
  }
  const record = "000000006b0204c30000000004ae442e0000000100000001";
  expect(hex(block(high.payload(), true))).toBe(
    `0a00005800000002${record}074000860600000c${hex(Buffer.from("fetch #0"))}` +
      `${record}074000860600000a${hex(Buffer.from("bingo!"))}0000`,
  );
});

test("what is built can be read", () => {
  const parameter = fc.oneof(
    fc.record({
      type: fc.constant(PM_TYPE.I32),
      value: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
    }),
    fc.record({
      type: fc.constant(PM_TYPE.U64),
      value: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    }),
    fc.record({ type: fc.constant(PM_TYPE.DOUBLE), value: fc.double() }),
    fc.record({ type: fc.constant(PM_TYPE.STRING), value: fc.string({ maxLength: 600 }) }),
    fc.record({ type: fc.constant(PM_TYPE.AGGREGATE), value: fc.uint8Array({ maxLength: 40 }) }),
  );
  const records = fc.array(
    fc.record({
      sec: fc.nat(2 ** 31 - 1),
      nsec: fc.nat(999_999_999),
      missed: fc.boolean(),
      parameters: fc.array(parameter, { maxLength: 4 }),
    }),
    { maxLength: 6 },
  );
  fc.assert(
    fc.property(records, fc.boolean(), (list, highres) => {
      const array = createEventArray(highres);
      for (const { missed, parameters, ...time } of list) {
        if (missed) array.addMissed(time, 7);
        else {
          array.addRecord(time, PM_EVENT.START);
          for (const { type, value } of parameters) array.addParameter(STRING, type, value);
        }
      }
      const read = cursor(array.payload(), highres);
      expect(read.nrecords).toBe(list.length);
      for (const { sec, nsec, missed, parameters } of list) {
        expect(read.next()).toBe(true);
        expect(read.sec).toBe(sec);
        expect(read.nsec).toBe(highres ? nsec : nsec - (nsec % 1000));
        expect(read.missed).toBe(missed);
        expect(read.nparams).toBe(missed ? 7 : parameters.length);
        while (read.nextParameter()) expect(read.pmid).toBe(STRING);
      }
    }),
    { numRuns: 60 },
  );
});

const code = (work: () => unknown): number => {
  try {
    work();
  } catch (error) {
    if (error instanceof PcpError) return error.code;
    throw error;
  }
  return 0;
};

test("what the library refuses is refused with its codes", () => {
  const array = createEventArray();
  const time = { sec: 1, nsec: 0 };
  expect(code(() => array.addRecord(time, PM_EVENT.MISSED))).toBe(PM_ERR.CONV);
  expect(code(() => array.addParameter(STRING, PM_TYPE.I32, 1))).toBe(PM_ERR.CONV);
  array.addRecord(time, 0);
  expect(code(() => array.addParameter(STRING, PM_TYPE.EVENT, new Uint8Array(4)))).toBe(
    PM_ERR.TYPE,
  );
  expect(code(() => array.addParameter(STRING, PM_TYPE.I32, "1"))).toBe(PM_ERR.TYPE);
  array.reset();
  expect(cursor(array.payload()).nrecords).toBe(0);
});

const decode: EventDecoder<string> = (event, time, array) => {
  array.addRecord(time, PM_EVENT.POINT);
  array.addParameter(STRING, PM_TYPE.STRING, event);
};

/** Events and numbers of missed ones as a client reads them. */
function texts(payload: Uint8Array | undefined): (string | number)[] {
  if (payload === undefined) return [];
  const read = cursor(payload);
  const list: (string | number)[] = [];
  while (read.next()) {
    if (read.missed) list.push(read.nparams);
    else while (read.nextParameter()) list.push(Buffer.from(read.data()).toString());
  }
  return list;
}

test("each client gets each event once, after it has begun to read", () => {
  const queue = createEventQueue<string>({ name: "q", maxBytes: 100 });
  const time = { sec: 5, nsec: 0 };
  queue.append("early", 5, time);
  expect(queue.counts).toEqual({ events: 1, bytes: 5n, memory: 0, clients: 0 });
  queue.setAccess(1, true);
  queue.setFilter(2, (event) => event.startsWith("b"));
  for (const context of [1, 2, 3]) expect(queue.records(context, decode)).toBeUndefined();
  queue.append("a1", 2, time);
  queue.append("b1", 2, time);
  expect(texts(queue.records(1, decode))).toEqual(["a1", "b1"]);
  expect(texts(queue.records(2, decode))).toEqual(["b1"]);
  // Without access nothing is seen.
  expect(texts(queue.records(3, decode))).toEqual([]);
  expect(queue.counts).toEqual({ events: 3, bytes: 9n, memory: 0, clients: 3 });
  queue.contextClosed(1);
  expect(queue.counts.clients).toBe(2);
});

test("a full queue drops old events and tells who missed them", () => {
  const said: string[] = [];
  const queue = createEventQueue<string>({
    name: "q",
    maxBytes: 10,
    log: (_, text) => said.push(text),
  });
  const time = { sec: 5, nsec: 0 };
  queue.setAccess(1, true);
  queue.records(1, decode);
  queue.append("much too large", 11, time);
  expect(said).toEqual(["Event too large for queue q (11 > 10)"]);
  for (const event of ["one", "two", "three"]) queue.append(event, 5, time);
  expect(queue.counts.memory).toBe(10);
  expect(texts(queue.records(1, decode))).toEqual(["two", "three", 1]);
  expect(texts(queue.records(1, decode))).toEqual([]);
});

test("names and sizes of queues are checked", () => {
  const queues = createEventQueues();
  queues.create({ name: "q", maxBytes: 1 });
  expect(code(() => queues.create({ name: "q", maxBytes: 1 }))).toBe(-17);
  expect(code(() => queues.create({ name: "", maxBytes: 1 }))).toBe(-22);
  expect(code(() => queues.create({ name: "p", maxBytes: 0 }))).toBe(-22);
});
