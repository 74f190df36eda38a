// Goal: a well-formed PDU of any kind survives encoding and decoding unchanged, and the direct
// encoders write what the table writes.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { PcpError, viewOf } from "../../lib/base/mod.ts";
import {
  asIndom,
  asInstance,
  asPmid,
  type Atom,
  PM_TYPE,
  type Pmid,
  type ResultInit,
  type ResultView,
  type ValueSetInit,
} from "../../lib/pcp/mod.ts";
import {
  decodePdu,
  encodeFetch,
  encodeNamesRequest,
  encodePdu,
  encodeProfile,
  encodeResult,
  nameRequestBytes,
  type Pdu,
  PDU_TABLE,
  PDU_TYPE,
  type PduKind,
  pduTypeName,
} from "../../lib/pdu/mod.ts";
import { hex } from "../helpers/vector.ts";

const RUNS = { numRuns: 100, seed: 7 };

const int = fc.integer({ min: -0x80000000, max: 0x7fffffff });
const word = fc.integer({ min: 0, max: 0xffffffff });
const u16 = fc.integer({ min: 0, max: 0xffff });
const u8 = fc.integer({ min: 0, max: 0xff });
const pmid = word.map(asPmid);
const indom = word.map(asIndom);
const instance = int.map(asInstance);
const pmids = fc.array(pmid, { minLength: 1, maxLength: 20 });
const name = fc.oneof(
  fc.constantFrom("", "a", "sample.bin", "bin-100", "\u{feff}mark", "größe"),
  fc.string({ unit: "grapheme", maxLength: 30 }),
);
const desc = fc.record({ pmid, type: int, indom, sem: int, units: word });
const bytes = (maxLength: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ maxLength });

const kind = <K extends PduKind, T extends Record<string, fc.Arbitrary<unknown>>>(
  name_: K,
  fields: T,
): fc.Arbitrary<Pdu> =>
  fc.record({ kind: fc.constant(name_), from: int, ...fields }) as unknown as fc.Arbitrary<Pdu>;

const namesPdu: fc.Arbitrary<Pdu> = fc
  .record({
    from: int,
    entries: fc.array(fc.tuple(name, int), { maxLength: 10 }),
    full: fc.boolean(),
  })
  .map(({ from, entries, full }) => {
    const names = entries.map(([text]) => text);
    const head = { kind: "pmns-names", from, names } as const;
    return full && names.length > 0
      ? { ...head, statuses: entries.map(([, status]) => status) }
      : head;
  });

const labelSet = fc
  .tuple(
    instance,
    int.filter((code) => code < 0),
    bytes(400),
    fc.array(fc.tuple(u16, u8, u8, u16, u16)),
  )
  .map(([id, code, json, raw]) => {
    const limit = json.length;
    const records = raw
      .map(([nameOffset, nameLength, flags, valueOffset, valueLength]) => ({
        nameOffset: nameOffset % (limit + 1),
        nameLength,
        flags,
        valueOffset: valueOffset % (limit + 1),
        valueLength: valueLength % (limit + 1),
      }))
      .filter((label) => label.nameOffset + label.nameLength <= limit)
      .filter((label) => label.valueOffset + label.valueLength <= limit);
    return { instance: id, error: records.length === 0 ? code : 0, records, json };
  });

/** Every kind but results, which hold a view in place of plain data. */
const PLAIN: Readonly<Record<Exclude<PduKind, "result" | "highres-result">, fc.Arbitrary<Pdu>>> = {
  error: kind("error", { code: int }),
  challenge: kind("challenge", {
    // Codes -12344 to -1000 have no form in the old numbering; no such errno exists either.
    code: fc.oneof(fc.integer({ min: -21344, max: -12345 }), fc.integer({ min: -999, max: 0 })),
    version: fc.integer({ min: 0, max: 127 }),
    licensed: u8,
    features: u16,
  }),
  creds: kind("creds", {
    credentials: fc.array(fc.record({ type: u8, version: u8, flags: u16 }), { minLength: 1 }),
  }),
  attr: kind("attr", { attribute: int, value: bytes(4095) }),
  "control-req": kind("control-req", {}),
  unknown: kind("unknown", {
    type: fc.integer({ min: 0, max: 0x7fffffff }).filter((type) => pduTypeName(type)[0] === "0"),
    body: bytes(100),
  }),
  profile: kind("profile", {
    context: fc.nat(),
    state: int,
    rules: fc.array(fc.record({ indom, state: int, instances: fc.int32Array({ maxLength: 9 }) })),
  }),
  fetch: kind("fetch", { context: int, pmids }),
  "highres-fetch": kind("highres-fetch", { context: int, pmids }),
  "desc-req": kind("desc-req", { pmid }),
  desc: kind("desc", { desc }),
  "desc-ids": kind("desc-ids", { pmids }),
  descs: kind("descs", { descs: fc.array(desc) }),
  "instance-req": kind("instance-req", { indom, instance, name }),
  instance: kind("instance", { indom, instances: fc.array(fc.record({ instance, name })) }),
  "text-req": kind("text-req", { ident: word, type: int }),
  text: kind("text", { ident: word, text: name }),
  "pmns-ids": kind("pmns-ids", { status: int, pmids }),
  "pmns-names": namesPdu,
  "pmns-child": kind("pmns-child", { subtype: int, name }),
  "pmns-traverse": kind("pmns-traverse", { subtype: int, name }),
  "label-req": kind("label-req", { ident: word, type: int }),
  label: kind("label", { ident: word, type: int, sets: fc.array(labelSet, { maxLength: 5 }) }),
};

describe("a PDU of any kind survives encoding and decoding", () => {
  for (const [kindName, pdus] of Object.entries(PLAIN)) {
    test(kindName, () => {
      fc.assert(
        fc.property(pdus, (pdu) => {
          const encoded = encodePdu(pdu);
          const decoded = decodePdu(encoded);
          expect(decoded).toEqual(pdu);
          expect(hex(encodePdu(decoded))).toBe(hex(encoded));
        }),
        RUNS,
      );
    });
  }
});

const values: Readonly<Record<number, fc.Arbitrary<Atom>>> = {
  [PM_TYPE.I32]: int,
  [PM_TYPE.U32]: word,
  [PM_TYPE.I64]: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  [PM_TYPE.U64]: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  [PM_TYPE.FLOAT]: fc.float(),
  [PM_TYPE.DOUBLE]: fc.double(),
  [PM_TYPE.STRING]: fc.string(),
  [PM_TYPE.AGGREGATE]: bytes(50),
  [PM_TYPE.AGGREGATE_STATIC]: bytes(50),
};

const valueSet: fc.Arbitrary<ValueSetInit> = fc.oneof(
  fc.record({ pmid, error: int.filter((code) => code <= 0) }),
  ...Object.entries(values).map(([type, atoms]) =>
    fc
      .tuple(pmid, fc.array(fc.tuple(int, atoms), { minLength: 1, maxLength: 8 }))
      .map(([id, pairs]) => ({
        pmid: id,
        type: Number(type),
        instances: pairs.map(([inst]) => inst),
        values: pairs.map(([, atom]) => atom),
      })),
  ),
);

const resultInit = (
  nsec: fc.Arbitrary<number>,
  sec: fc.Arbitrary<number>,
): fc.Arbitrary<ResultInit> =>
  fc.record({
    timestamp: fc.record({ sec, nsec }),
    sets: fc.array(valueSet, { maxLength: 8 }),
  });

/** What the sets of a view say, with blocks as hexadecimal text. */
function contents(result: ResultView): unknown {
  const view = viewOf(result.bytes);
  const list: unknown[] = [];
  for (const sets = result.sets(); sets.next();) {
    const found: unknown[] = [];
    for (let i = 0; i < sets.numval; i++) {
      const at = sets.valfmt === 0 ? -1 : sets.block(i);
      const length = at < 0 ? 0 : view.getUint32(at) & 0xffffff;
      const value = at < 0 ? sets.word(i) : hex(result.bytes.subarray(at, at + length));
      found.push([sets.instance(i), value]);
    }
    list.push([sets.pmid, sets.numval, sets.valfmt, found]);
  }
  return list;
}

describe("results", () => {
  const usec = fc.nat(999_999).map((part) => part * 1000);
  const seconds64 = fc.maxSafeInteger();

  for (const highres of [false, true]) {
    test(`${highres ? "HIGHRES_RESULT" : "RESULT"} survives, also as the other form`, () => {
      const init = highres ? resultInit(fc.nat(999_999_999), seconds64) : resultInit(usec, word);
      fc.assert(
        fc.property(init, int, (result, from) => {
          const encoded = encodeResult(from, result, highres);
          const decoded = decodePdu(encoded);
          if (decoded.kind !== "result" && decoded.kind !== "highres-result")
            throw new Error(decoded.kind);
          expect(decoded.kind).toBe(highres ? "highres-result" : "result");
          expect(decoded.from).toBe(from);
          expect(decoded.result.timestamp).toEqual(result.timestamp);
          expect(decoded.result.numpmid).toBe(result.sets.length);
          expect(hex(encodePdu(decoded))).toBe(hex(encoded));
          const other = decodePdu(
            encodePdu({ ...decoded, kind: highres ? "result" : "highres-result" }),
          );
          if (other.kind !== "result" && other.kind !== "highres-result")
            throw new Error(other.kind);
          expect(other.kind).not.toBe(decoded.kind);
          expect(contents(other.result)).toEqual(contents(decoded.result));
        }),
        RUNS,
      );
    });
  }
});

describe("direct encoders write what the table writes", () => {
  test("fetch, profile and names", () => {
    const fields = fc.record({ from: int, context: fc.nat(), pmids, state: int });
    const rules = fc.array(
      fc.record({ indom, state: int, instances: fc.int32Array({ maxLength: 9 }) }),
    );
    fc.assert(
      fc.property(fields, rules, fc.array(name), (some, list, names) => {
        const { from, context, state } = some;
        for (const highres of [false, true]) {
          const kind_ = highres ? "highres-fetch" : "fetch";
          expect(hex(encodeFetch(from, context, some.pmids, highres))).toBe(
            hex(encodePdu({ kind: kind_, from, context, pmids: some.pmids })),
          );
        }
        expect(hex(encodeProfile(from, context, state, list))).toBe(
          hex(encodePdu({ kind: "profile", from, context, state, rules: list })),
        );
        const request = encodeNamesRequest(from, names);
        expect(hex(request)).toBe(hex(encodePdu({ kind: "pmns-names", from, names })));
        expect(request.length).toBe(24 + names.reduce((sum, n) => sum + nameRequestBytes(n), 0));
      }),
      RUNS,
    );
  });
});

describe("the table", () => {
  test("has every type once, in order, and every kind", () => {
    expect(PDU_TABLE.map((row) => row.type).toSorted((a, b) => a - b)).toEqual(
      PDU_TABLE.map((row) => row.type),
    );
    expect(new Set(PDU_TABLE.map((row) => row.type))).toEqual(new Set(Object.values(PDU_TYPE)));
    for (const row of PDU_TABLE) expect(PDU_TYPE[row.name as keyof typeof PDU_TYPE]).toBe(row.type);
    expect(PDU_TABLE.flatMap((row) => row.kinds).length).toBe(Object.keys(PLAIN).length + 1);
  });

  test("names types, also unknown ones", () => {
    expect(pduTypeName(0x7015)).toBe("HIGHRES_RESULT");
    expect(pduTypeName(0x700b)).toBe("0x700b");
  });
});

test("no PDU of 2^31 bytes is begun", () => {
  const pmids: Pmid[] = [];
  pmids.length = 2 ** 29;
  const many = { kind: "fetch", from: 0, context: 0, pmids } as const;
  for (const encode of [() => encodePdu(many), () => encodeFetch(0, 0, pmids, true)]) {
    expect(encode).toThrow("2147483676 bytes");
  }
});

describe("what a layout cannot carry is refused", () => {
  const anything = { from: 0 } as const;
  const label = { nameOffset: 0, nameLength: 0, flags: 0, valueOffset: 0, valueLength: 0 };
  const set = { instance: asInstance(-1), error: 0, records: [label], json: new Uint8Array(2) };
  const BAD: Readonly<Record<string, Pdu>> = {
    "CREDS without words": { ...anything, kind: "creds", credentials: [] },
    "ATTR of 4096 bytes": {
      ...anything,
      kind: "attr",
      attribute: 0,
      value: new Uint8Array(4096),
    },
    "names with too few status words": {
      ...anything,
      kind: "pmns-names",
      names: ["a", "b"],
      statuses: [0],
    },
    "255 labels in a set": {
      ...anything,
      kind: "label",
      ident: 0,
      type: 1,
      sets: [{ ...set, records: Array.from({ length: 255 }, () => label) }],
    },
    "JSON of 65535 bytes": {
      ...anything,
      kind: "label",
      ident: 0,
      type: 1,
      sets: [{ ...set, json: new Uint8Array(65535) }],
    },
    "labels beside an error": {
      ...anything,
      kind: "label",
      ident: 0,
      type: 1,
      sets: [{ ...set, error: -12358 }],
    },
  };
  for (const [title, pdu] of Object.entries(BAD))
    test(title, () => expect(() => encodePdu(pdu)).toThrow(PcpError));
  test("a fetch of nothing", () => expect(() => encodeFetch(0, 0, [], true)).toThrow(PcpError));
});
