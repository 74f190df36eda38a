// Goal: value sets of recorded PDUs read right where they lie, every placement rule of spec pdu.md
// 4.3 is enforced, event arrays give up their records, and no broken bytes get past the checks.
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { PM_ERR } from "../../lib/base/mod.ts";
import {
  asPmid,
  type Atom,
  checkEvents,
  checkValueSets,
  eventsOf,
  measureValueSets,
  PM_EVENT,
  PM_ID_NULL,
  PM_IN_NULL,
  PM_TYPE,
  PM_VAL,
  type Pmid,
  pmExtractValue,
  pmidBuild,
  pmIDStr,
  pmPrintValue,
  ResultView,
  stringOf,
  type ValueSetInit,
  writeValueSets,
} from "../../lib/pcp/mod.ts";
import { outcome } from "./fixtures.ts";

const RESULT_HEAD = 24;
const HIGHRES_HEAD = 32;

/** A recorded PDU, by its file name. */
const pdu = (name: string): Uint8Array =>
  new Uint8Array(
    Buffer.from(
      readFileSync(new URL(`../fixtures/pdu/${name}.hex`, import.meta.url), "utf8").replace(
        /\s/g,
        "",
      ),
      "hex",
    ),
  );

function viewOfPdu(bytes: Uint8Array, head: number): ResultView {
  const numpmid = Buffer.from(bytes).readInt32BE(head === RESULT_HEAD ? 20 : 12);
  const result = new ResultView(bytes, { sec: 0, nsec: 0 }, numpmid, head);
  checkValueSets(result, bytes.length);
  return result;
}

describe("recorded results", () => {
  test("all types, spec pdu.md 15.3", () => {
    const expected: [string, number, unknown][] = [
      ["29.0.10", PM_TYPE.I32, 1],
      ["29.0.95", PM_TYPE.U32, 100],
      ["29.0.23", PM_TYPE.I64, 1000000n],
      ["29.0.100", PM_TYPE.U64, 100n],
      ["29.0.16", PM_TYPE.FLOAT, 10],
      ["29.0.28", PM_TYPE.DOUBLE, 1000000],
      ["29.0.31", PM_TYPE.STRING, "hullo world!"],
      ["29.0.30", PM_TYPE.STRING, ""],
      ["29.0.34", PM_TYPE.AGGREGATE, new Uint8Array(Buffer.from("hullo world!"))],
      ["29.0.33", PM_TYPE.AGGREGATE, new Uint8Array(0)],
    ];
    const result = viewOfPdu(pdu("053-highres-result-mixed"), HIGHRES_HEAD);
    const sets = result.sets();
    for (const [pmid, type, value] of expected) {
      expect(sets.next()).toBe(true);
      expect([pmIDStr(sets.pmid), sets.numval, sets.instance(0)]).toEqual([pmid, 1, PM_IN_NULL]);
      expect(pmExtractValue(sets, 0, type)).toEqual(value as string);
    }
    expect(sets.next()).toBe(false);
    expect(result.find(pmidBuild(29, 0, 28))?.valfmt).toBe(PM_VAL.DPTR);
    expect(result.find(PM_ID_NULL)).toBeUndefined();
  });

  test("the padding of the last event parameter may lie after its block", () => {
    const block = (size: number): Uint8Array => {
      const words = [0x09000000 + size, 1, 1795294314, 5, PM_EVENT.POINT, 1, 7, 0x06000009];
      const bytes = Buffer.alloc(40);
      words.forEach((word, index) => bytes.writeUInt32BE(word, 4 * index));
      bytes.write("hello", 32);
      return new Uint8Array(bytes);
    };
    for (const size of [37, 40]) {
      const events = eventsOf(block(size), 0);
      expect([events.next(), events.nextParameter()]).toEqual([true, true]);
      expect(stringOf(events.data())).toBe("hello");
      expect(events.next()).toBe(false);
    }
    expect(outcome(() => eventsOf(block(36), 0))).toMatchObject({ code: PM_ERR.IPC });
  });

  test("a metric's error is its number of values", () => {
    const sets = viewOfPdu(pdu("057-highres-result-errors"), HIGHRES_HEAD).sets();
    const counts: number[] = [];
    while (sets.next()) counts.push(sets.numval);
    expect(counts.some((count) => count < 0)).toBe(true);
  });

  const recordings: [string, number, number, number][] = [
    ["061-result-event", RESULT_HEAD, 9, 7],
    ["064-highres-result-highres-event", HIGHRES_HEAD, 10, 0],
  ];
  for (const [name, head, type, missed] of recordings) {
    test(`events of ${name}`, () => {
      const bytes = pdu(name);
      const sets = viewOfPdu(bytes, head).sets();
      sets.next();
      const events = eventsOf(bytes, sets.block(0));
      expect([events.nrecords, events.highres]).toEqual([5, type === PM_TYPE.HIGHRES_EVENT]);
      const seen: string[][] = [];
      const flags: number[] = [];
      let lost = -1;
      while (events.next()) {
        flags.push(events.flags);
        if (events.missed) lost = events.nparams;
        const params: string[] = [];
        while (events.nextParameter()) {
          params.push(
            events.type === PM_TYPE.STRING
              ? stringOf(events.data())
              : `${pmIDStr(events.pmid)}/${events.type}/${events.size}`,
          );
        }
        seen.push(params);
      }
      expect(flags[0]).toBe(PM_EVENT.START | PM_EVENT.ID | PM_EVENT.PARENT);
      expect(flags[3]).toBe(PM_EVENT.MISSED);
      expect(lost).toBe(missed);
      expect(seen[0]).toEqual(["29.0.127/1/4", "29.0.131/3/8", "6"]);
      expect(seen[2]?.slice(2, 3)).toEqual(["twelve"]);
      expect(seen[3]).toEqual([]);
      const text = pmPrintValue(sets, 0, type);
      expect(text).toStartWith(
        missed > 0 ? "[5 event records (7 missed) timestamps " : "[5 event records timestamps ",
      );
    });
  }

  test("parameters may be left unread", () => {
    const bytes = pdu("061-result-event");
    const sets = viewOfPdu(bytes, RESULT_HEAD).sets();
    sets.next();
    const events = eventsOf(bytes, sets.block(0));
    const times: number[] = [];
    while (events.next()) times.push(events.sec - 1795294314);
    expect(times).toEqual([0, 1, 2, 3, 4]);
    expect(events.nsec).toBe(813263000);
  });
});

describe("placement rules", () => {
  const sets: ValueSetInit[] = [
    { pmid: asPmid(1), type: PM_TYPE.DOUBLE, instances: [0, 1], values: [1.5, 2.5] },
    { pmid: asPmid(2), error: -12350 },
    { pmid: asPmid(3), type: PM_TYPE.STRING, instances: [-1], values: ["abc"] },
    { pmid: asPmid(4), type: PM_TYPE.U32, instances: [-1], values: [7] },
  ];
  const good = (): Uint8Array => {
    const size = measureValueSets(sets);
    const bytes = new Uint8Array(size.sets + size.blocks);
    writeValueSets(bytes, 0, sets, size);
    return bytes;
  };
  const check = (bytes: Uint8Array, numpmid = 4): unknown =>
    outcome(() =>
      checkValueSets(new ResultView(bytes, { sec: 0, nsec: 0 }, numpmid, 0), bytes.length),
    );
  const changed = (at: number, word: number): Uint8Array => {
    const bytes = good();
    new DataView(bytes.buffer).setUint32(at, word);
    return bytes;
  };

  // Sets: 28 + 8 + 20 + 20 bytes; blocks at 76, 88 and 100.
  test("what was written passes", () => {
    expect(good().length).toBe(108);
    expect(check(good())).toBe(76);
  });
  const faults: [string, () => Uint8Array, string][] = [
    ["too many values", () => changed(4, 0x7fffffff), "offset 0: 2147483647 values do not fit"],
    ["unknown format", () => changed(8, 3), "offset 8: value format 3 unknown"],
    ["block among the sets", () => changed(16, 1), "offset 16: value block at 4, 76 expected"],
    ["shared block", () => changed(24, 19), "offset 24: value block at 76, 88 expected"],
    ["block far away", () => changed(16, 0xffffffff), "offset 16: value block at"],
    ["length below 4", () => changed(76, 0x05000003), "offset 76: value length 3"],
    ["length over the end", () => changed(100, 0x06ffffff), "offset 100: value length 16777215"],
    ["gap", () => changed(76, 0x05000004), "offset 24: value block at 88, 80 expected"],
    ["cut short", () => good().subarray(0, 104), "offset 100: value length 8"],
    [
      "bytes after the end",
      () => Uint8Array.of(...good(), 0, 0, 0, 0),
      "offset 108: 4 bytes after",
    ],
  ];
  for (const [name, make, message] of faults) {
    test(name, () => {
      expect(check(make())).toMatchObject({
        code: -12366,
        message: expect.stringContaining(message),
      });
    });
  }
  test("more metrics than bytes", () => {
    expect(check(good(), 1000)).toMatchObject({ code: -12366 });
    expect(check(good(), -1)).toMatchObject({ code: -12366 });
    expect(check(good(), 5)).toMatchObject({ code: -12366 });
  });
  test("what cannot be written", () => {
    const measure = (set: ValueSetInit): unknown => outcome(() => measureValueSets([set]));
    const pmid = 1 as Pmid;
    expect(measure({ pmid, type: 7, instances: [1], values: ["text"] })).toMatchObject({
      code: -12397,
    });
    expect(measure({ pmid, type: 0, instances: [1], values: [] })).toMatchObject({ code: -12415 });
    const wrong: readonly [number, Atom, number?][] = [
      [PM_TYPE.I32, "5"],
      [PM_TYPE.I32, 1.5],
      [PM_TYPE.U32, new Uint8Array(4)],
      [PM_TYPE.I64, 0.5],
      [PM_TYPE.U64, Number.NaN],
      [PM_TYPE.DOUBLE, "1"],
      [PM_TYPE.I64, 1n, PM_VAL.INSITU],
      [PM_TYPE.STRING, "x", PM_VAL.INSITU],
    ];
    for (const [type, value, valfmt] of wrong) {
      const set = { pmid, type, instances: [1], values: [value] };
      const result = measure(valfmt === undefined ? set : { ...set, valfmt });
      expect([type, value, result]).toMatchObject([type, value as string, { code: PM_ERR.TYPE }]);
    }
    const huge = new Uint8Array(0xffffff);
    expect(measure({ pmid, type: 7, instances: [1], values: [huge] })).toMatchObject({
      code: -12444,
    });
  });
  test("an archive counts its words from another place", () => {
    const size = measureValueSets(sets);
    const bytes = new Uint8Array(100 + size.sets + size.blocks);
    writeValueSets(bytes, 100, sets, size, 72);
    const result = new ResultView(bytes, { sec: 0, nsec: 0 }, 4, 100, 72);
    expect(checkValueSets(result, bytes.length)).toBe(176);
    const view = result.find(asPmid(3));
    expect(view === undefined ? "" : pmExtractValue(view, 0, PM_TYPE.STRING)).toBe("abc");
  });
});

describe("hostile bytes", () => {
  const names = [
    "053-highres-result-mixed",
    "061-result-event",
    "064-highres-result-highres-event",
  ];
  const mutation = fc.record({
    name: fc.constantFrom(...names),
    changes: fc.array(fc.tuple(fc.nat(500), fc.nat(255)), { minLength: 1, maxLength: 4 }),
    cut: fc.option(fc.nat(500)),
  });
  test("are refused, or read without leaving their bounds", () => {
    fc.assert(
      fc.property(mutation, ({ name, changes, cut }) => {
        const head = name.includes("highres") ? HIGHRES_HEAD : RESULT_HEAD;
        const whole = pdu(name);
        for (const [at, value] of changes) whole[at % whole.length] = value;
        const bytes = whole.slice(0, cut === null ? whole.length : Math.max(cut, 40));
        const result = outcome(() => {
          const sets = viewOfPdu(bytes, head).sets();
          while (sets.next()) {
            for (let i = 0; i < sets.numval; i++) {
              for (const type of [0, 1, 2, 4, 5, 6, 7, 9, 10]) pmPrintValue(sets, i, type);
              if (sets.valfmt === PM_VAL.INSITU) continue;
              const at = sets.block(i);
              checkEvents(bytes, at);
              const events = eventsOf(bytes, at);
              while (events.next()) while (events.nextParameter()) events.data();
            }
          }
          return { code: 0 };
        });
        expect([0, -12366]).toContain(result.code);
      }),
      { seed: 10, numRuns: 1000 },
    );
  });
});

/** The placement rules of spec pdu.md 4.3, as plainly as they can be said. */
function placedWell(words: Int32Array, numpmid: number): boolean {
  const indexes: number[] = [];
  let at = 0;
  for (let set = 0; set < numpmid; set++) {
    const numval = words[at + 1];
    if (numval === undefined) return false;
    at += 2;
    if (numval <= 0) continue;
    const valfmt = words[at++];
    if (valfmt !== PM_VAL.INSITU && valfmt !== PM_VAL.DPTR && valfmt !== PM_VAL.SPTR) return false;
    if (at + 2 * numval > words.length) return false;
    if (valfmt !== PM_VAL.INSITU) {
      for (let i = 0; i < numval; i++) indexes.push(words[at + 2 * i + 1] ?? -1);
    }
    at += 2 * numval;
  }
  for (const index of indexes) {
    const head = words[at];
    if (index !== at || head === undefined || (head & 0xffffff) < 4) return false;
    at += Math.ceil((head & 0xffffff) / 4);
  }
  return at === words.length;
}

test("exactly the value sets that keep every rule pass, with and without blocks of events", () => {
  const set = fc.record({
    numval: fc.integer({ min: -1, max: 4 }),
    valfmt: fc.constantFrom(0, 0, 1, 1, 1, 2),
    heads: fc.array(
      fc.constantFrom(0x0300000c, 0x0300000c, 0x06000007, 0x06000004, 0x09000008, 0),
      { minLength: 4, maxLength: 4 },
    ),
  });
  const shape = fc.record({
    sets: fc.array(set, { maxLength: 6 }),
    // Mostly left alone: what is well placed has to pass, too.
    change: fc.option(fc.tuple(fc.nat(80), fc.constantFrom(-1, 0, 1, 2, 3, 0x06000005)), {
      freq: 2,
    }),
    cut: fc.option(fc.integer({ min: -2, max: 2 }), { freq: 2 }),
  });
  const passed = { yes: 0, no: 0 };
  fc.assert(
    fc.property(shape, ({ sets, change, cut }) => {
      const words: number[] = [];
      const blocks: [index: number, head: number][] = [];
      for (const { numval, valfmt, heads } of sets) {
        words.push(1, numval);
        if (numval <= 0) continue;
        words.push(valfmt);
        for (let i = 0; i < numval; i++) {
          words.push(i, 0);
          if (valfmt !== 0) blocks.push([words.length - 1, heads[i] ?? 0]);
        }
      }
      for (const [index, head] of blocks) {
        words[index] = words.length;
        words.push(head, ...Array.from({ length: Math.ceil((head & 0xffffff) / 4) - 1 }, () => 0));
      }
      if (change !== null && words.length > 0) words[change[0] % words.length] = change[1];
      if (cut !== null) words.length = Math.max(0, words.length + cut);
      const all = Int32Array.from(words, (word) => word ?? 0);
      const bytes = new Uint8Array(4 * all.length);
      const view = new DataView(bytes.buffer);
      all.forEach((word, i) => view.setInt32(4 * i, word));
      const result = new ResultView(bytes, { sec: 0, nsec: 0 }, sets.length, 0);
      const good = placedWell(all, sets.length);
      for (const events of [undefined, () => undefined]) {
        const found = outcome(() => checkValueSets(result, bytes.length, events));
        expect(typeof found === "number").toBe(good);
      }
      passed[good ? "yes" : "no"]++;
    }),
    { seed: 5, numRuns: 2000 },
  );
  expect(Math.min(passed.yes, passed.no)).toBeGreaterThan(200);
});
