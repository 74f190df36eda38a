// Goal: results written value by value have the bytes that the encoder of whole results gives, for
// every type; values of other kinds are refused and leave nothing behind.
import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  type Atom,
  measureValueSets,
  PM_TYPE,
  PM_VAL,
  type PmType,
  pmidBuild,
  ResultWriter,
  type ValueSetInit,
  writeValueSets,
} from "../../lib/pcp/mod.ts";

const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

function whole(sets: readonly ValueSetInit[]): string {
  const size = measureValueSets(sets);
  const bytes = new Uint8Array(size.sets + size.blocks);
  writeValueSets(bytes, 0, sets, size);
  return hexOf(bytes);
}

const integer = fc.oneof(
  fc.integer(),
  fc.maxSafeInteger(),
  fc.constantFrom(0, -1, -(2 ** 63), 2 ** 62, -(2 ** 32), 2 ** 32, 0xffffffff, -0x80000000),
);
const valueOf: ReadonlyMap<PmType, fc.Arbitrary<Atom>> = new Map<PmType, fc.Arbitrary<Atom>>([
  [PM_TYPE.I32, fc.integer()],
  [PM_TYPE.U32, fc.nat({ max: 0xffffffff })],
  [PM_TYPE.I64, fc.oneof(integer, fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }))],
  [
    PM_TYPE.U64,
    fc.oneof(fc.maxSafeNat(), fc.constant(2 ** 63), fc.bigInt({ min: 0n, max: (1n << 64n) - 1n })),
  ],
  [PM_TYPE.FLOAT, fc.float()],
  [PM_TYPE.DOUBLE, fc.double()],
  [PM_TYPE.STRING, fc.string()],
  [PM_TYPE.AGGREGATE, fc.uint8Array()],
]);

const set = fc.oneof(
  fc.record({ pmid: fc.constant(pmidBuild(1, 2, 3)), error: fc.constantFrom(0, -12345) }),
  fc.constantFrom(...valueOf.keys()).chain((type) =>
    fc.array(valueOf.get(type) ?? fc.constant(0), { minLength: 1, maxLength: 5 }).map((values) => ({
      pmid: pmidBuild(1, 2, type),
      type,
      instances: values.map((_, index) => index - 1),
      values,
    })),
  ),
);

test("value by value and all at once are the same bytes", () => {
  const out = new ResultWriter();
  fc.assert(
    fc.property(fc.array(set, { maxLength: 12 }), (sets) => {
      out.reset();
      for (const each of sets) {
        if ("error" in each) {
          out.fail(each.pmid, each.error);
          continue;
        }
        out.begin(each.pmid, each.type);
        each.values.forEach((value, index) => out.add(each.instances[index] ?? -1, value));
        out.end();
      }
      expect(hexOf(out.finish(0))).toBe(whole(sets));
      expect(out.count).toBe(sets.length);
    }),
    { seed: 9, numRuns: 300 },
  );
});

test("what is no value of a type is refused, and the set goes on", () => {
  const bad: readonly (readonly [PmType, unknown])[] = [
    [PM_TYPE.I32, "1"],
    [PM_TYPE.I32, 1.5],
    [PM_TYPE.U64, Number.POSITIVE_INFINITY],
    [PM_TYPE.U64, true],
    [PM_TYPE.DOUBLE, undefined],
    [PM_TYPE.DOUBLE, null],
    [PM_TYPE.STRING, 1],
    [PM_TYPE.STRING, ["a"]],
    [PM_TYPE.AGGREGATE, "bytes"],
    [PM_TYPE.NOSUPPORT, 1],
    [PM_TYPE.EVENT, 1],
  ];
  for (const [type, value] of bad) {
    const out = new ResultWriter();
    out.begin(pmidBuild(1, 1, 1), type);
    expect(() => out.add(-1, value as Atom)).toThrow("is no value of type");
    out.end(-3);
    expect(hexOf(out.finish(0))).toBe("00400401" + "fffffffd");
  }
  const out = new ResultWriter();
  out.begin(pmidBuild(1, 1, 1), PM_TYPE.DOUBLE, PM_VAL.INSITU);
  expect(() => out.add(-1, 1)).toThrow("cannot be in situ");
});

test("64-bit numbers have the bytes of the bigint of the same value", () => {
  const written = (type: PmType, value: Atom): string => {
    const writer = new ResultWriter();
    writer.begin(pmidBuild(1, 2, 3), type);
    writer.add(0, value);
    writer.end();
    return hexOf(writer.finish(0));
  };
  fc.assert(
    fc.property(fc.constantFrom(PM_TYPE.I64, PM_TYPE.U64), integer, (type, value) => {
      expect(written(type, value)).toBe(written(type, BigInt.asIntN(64, BigInt(value))));
    }),
  );
});
