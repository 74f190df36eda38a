// Goal: functions over samples and instances are those of the definitions, where the real program's are too,
// and sensible where it crashes or answers nonsense (docs/differences.md).
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { PcpError } from "../../lib/base/mod.ts";
import { UTC } from "../../lib/pcp/mod.ts";
import { columnLength, textAt } from "../../lib/series/column.ts";
import { combineColumns, mapTyped } from "../../lib/series/elementwise.ts";
import {
  evaluateQuery,
  linesText,
  ownRoom,
  parseQuery,
  QueryError,
  type Room,
  valuesText,
} from "../../lib/series/mod.ts";
import { bestOverTime, rates, topOverTime, totalOverInstances } from "../../lib/series/reduce.ts";
import type { Samples } from "../../lib/series/samples.ts";
import edgeDump from "../fixtures/series/edge.dump-7.2.1.json";
import tailDump from "../fixtures/series/omnibus_tail.dump-7.2.1.json";
import zeroDump from "../fixtures/series/zero_disk_activity.dump-7.2.1.json";
import { type Dump, dumpStore, numberStore } from "./dump-store.ts";
import { thrown } from "../helpers/rejected.ts";

const whole = (...numbers: number[]) =>
  ({ kind: "number", form: "decimal", numbers: Float64Array.from(numbers) }) as const;
const textsOf = (samples: Pick<Samples, "values">): string[] =>
  Array.from({ length: columnLength(samples.values) }, (_, index) => textAt(samples.values, index));

/** A grid of values: a row a sample, a second apart. */
function grid(rows: readonly (readonly number[])[]): Samples {
  let end = 0;
  return {
    times: Float64Array.from(rows, (_, at) => at * 1e6),
    ends: Uint32Array.from(rows, (row) => (end += row.length)),
    places: Uint32Array.from(rows.flatMap((row) => row.map((_, place) => place))),
    instances: rows[0]?.map((_, place) => `i${place}`) ?? [],
    values: whole(...rows.flat()),
  };
}

const GRIDS = fc
  .tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 12 }))
  .chain(([width, height]) =>
    fc.array(fc.array(fc.integer({ min: 1 }), { minLength: width, maxLength: width }), {
      minLength: height,
      maxLength: height,
    }),
  );

test("the best over time, rates, sums over instances", () => {
  fc.assert(
    fc.property(GRIDS, (rows) => {
      const columns = (rows[0] ?? []).map((_, place) => rows.map((row) => row[place] ?? 0));
      const largest = columns.map((column) => String(Math.max(...column)));
      expect(textsOf(bestOverTime(grid(rows), true))).toEqual(largest);
      const steps = rows.slice(1).flatMap((row, at) => {
        const before = rows[at] ?? [];
        return row.map((value, place) => {
          const change = (before[place] ?? 0) - value;
          return (change / -1).toFixed(6);
        });
      });
      // No change, over time that runs backwards, is a negative zero.
      if (rows.length > 1)
        expect(textsOf(rates(grid(rows)))).toEqual(
          steps.map((text) => (text === "0.000000" ? "-0.000000" : text)),
        );
      expect(totalOverInstances(grid(rows), "sum").values).toMatchObject({
        numbers: Float64Array.from(rows, (row) => row.reduce((sum, value) => sum + value, 0)),
      });
    }),
    { seed: 5 },
  );
});

test("the largest of one instance", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1 }), { minLength: 1 }),
      fc.nat({ max: 5 }),
      (list, k) => {
        const wanted = list.toSorted((a, b) => b - a).slice(0, k);
        expect(textsOf(topOverTime(grid(list.map((value) => [value])), k))).toEqual(
          wanted.map(String),
        );
      },
    ),
    { seed: 6 },
  );
});

describe("whole numbers", () => {
  const rules = { noSignedProducts: false };
  const long = (...numbers: bigint[]) =>
    ({ kind: "long", numbers: BigInt64Array.from(numbers) }) as const;

  test("signed products are exact, or no value", () => {
    const product = combineColumns("*", "64", long(-3n, 2n ** 62n), long(5n, 4n), rules);
    expect(textsOf({ values: product })).toEqual(["-15", "no value"]);
    const real = combineColumns("*", "32", whole(3), whole(5), { noSignedProducts: true });
    expect(textsOf({ values: real })).toEqual(["no value"]);
  });

  test("unsigned numbers do not go below zero; sums wrap", () => {
    const less = combineColumns("-", "u32", whole(1, 5), whole(2, 3), rules);
    expect(textsOf({ values: less })).toEqual(["no value", "2"]);
    const more = combineColumns("+", "u32", whole(4294967295), whole(2), rules);
    expect(textsOf({ values: more })).toEqual(["1"]);
    expect(textsOf({ values: mapTyped("abs", less, "32") })).toEqual(["no value", "2"]);
  });

  test("what has become a fraction is computed as one", () => {
    const halves = { kind: "number", form: "result", numbers: Float64Array.of(-2.5, 1e6) } as const;
    const rounded = mapTyped("round", halves, "u32");
    expect(textsOf({ values: rounded })).toEqual(["-3.000000e+00", "1.000000e+06"]);
    const sum = combineColumns("+", "32", halves, whole(1, 1), rules);
    expect(textsOf({ values: sum })).toEqual(["-1.500000e+00", "1.000001e+06"]);
  });
});

const options = { now: { sec: 1_800_000_000, nsec: 0 }, zone: UTC };
const dumps = [zeroDump, tailDump, edgeDump].map((dump) => dump as unknown as Dump);

/** What a query prints, or why it prints nothing. */
async function printed(store: ReturnType<typeof dumpStore>, text: string): Promise<string> {
  try {
    const answer = await evaluateQuery(store, parseQuery(text, options), options);
    let out = answer.problem?.message ?? "";
    if (answer.values === undefined) return out + linesText(answer.ids);
    const form = { zone: UTC, numeric: true };
    for await (const piece of valuesText(answer.values, form)) out += piece;
    return out;
  } catch (error) {
    if (error instanceof QueryError || error instanceof PcpError) return error.message;
    throw error;
  }
}

describe("where the real program answers nonsense or crashes", () => {
  const store = dumpStore(dumps);
  const values = async (text: string): Promise<string[]> =>
    (await printed(store, text))
      .split("\n")
      .slice(2, -1)
      .map((line) => line.replace(/^ *\[\S+\] /, "").replace(/ \S*$/, ""));

  test.each([
    ["abs(2 * sample.long.million[count:1])", ["2.000000e+06"]],
    ["sqrt(sample.double.million[count:1])", ["1.000000e+03"]],
    ["sum_sample(edge.dbl[start:1])", ["1.500000e+00", "-2.250000e-07", "1.000000e+300"]],
    ["stdev_sample(disk.dm.write[start:1,count:1])", ["2.808625e+05"]],
    ["sum_sample(disk.all.read[interval:20])", Array(5).fill("2.348900e+04")],
    ["rate(disk.all.read[interval:20])", Array(4).fill("-0.000000")],
    ["sample.long.million[count:1] * sample.long.million[count:1]", ["no value"]],
  ])("%s", async (text, wanted) => expect(await values(text)).toEqual(wanted));
});

test("a regular expression that could take for ever is refused", async () => {
  const text = '{hostname=~"(a+)+$"}';
  expect(await printed(dumpStore(dumps), text)).toBe(
    'invalid regular expression "(a+)+$": groups and repetitions cannot be repeated',
  );
});

describe("units of several series in one function", () => {
  test.each([
    ["rate(disk.all.re*)", "'disk.all.read_rawactive' ()\nvs'disk.all.read' (count / sec)"],
    ["2 * disk.all.re*", "'disk.all.read_rawactive' (millisec)\nvs'disk.all.read' (count)"],
    ["sum(rate(disk.all.re*))", "'(null)' ()\nvs'(null)' (count / sec)"],
    ["rate(sample.*.million)", "Can't rate convert 'sample.ulong.million', counter"],
    ["rate(abs(disk.all.*{l.x:y}))", ""],
  ])("%s", async (text, wanted) => expect(await printed(dumpStore(dumps), text)).toContain(wanted));

  test("one that cannot be converted is named", async () => {
    const store = dumpStore(dumps);
    const text = 'rate(edge.*{level=="context", metric.name!~"str"})';
    expect(await printed(store, text)).toStartWith("Can't rate convert 'edge.dbl{");
  });
});

describe("operators over several series, as the real program has them", () => {
  const store = dumpStore(dumps);
  /** Values of a query, those of one series after those of another. */
  const values = async (text: string): Promise<string[]> =>
    [...(await printed(store, text)).matchAll(/^ *\[\S+\] (\S+)/gm)].map(([, value = ""]) => value);
  const READ = "disk.*.read[count:1]";

  test("sums, differences and ratios: the first of both sides, others of the left as they are", async () => {
    const [first, ...others] = await values(READ);
    expect([first, others.length]).toEqual(["23489", 5]);
    expect(await values(`${READ} + ${READ}`)).toEqual(["46978", ...others]);
    const one = "sample.long.million[count:1]";
    const million = "sample.*.million[count:1]";
    const [, ...left] = await values(million);
    expect(await values(`${million} / ${one}`)).toEqual(["1.000000e+00", ...left]);
    expect(left).toHaveLength(5);
    expect(await values(`${one} + ${million}`)).toEqual(["2000000"]);
    expect(await values(`abs(${READ} + ${READ})`)).toEqual(["46978", ...others]);
    expect(await values(`${READ} + nosuch[count:1]`)).toEqual([]);
  });

  test("products are of one of each side, as long as there are two", async () => {
    const rates = "rate(disk.*.read[count:2])";
    const all = await values(rates);
    const square = (text: string): string => (Number(text) ** 2).toExponential(6);
    const shown = (texts: readonly string[]): string[] =>
      texts.map((text) => Number(text).toExponential(6));
    expect(shown(await values(`${rates} * ${rates}`))).toEqual(all.map(square));
    expect(all).toHaveLength(6);
    const million = "sample.*.million[count:1]";
    expect(await values(`${million} * sample.double.million[count:1]`)).toEqual(["1.000000e+12"]);
  });
});

const NAMES =
  "disk.all.read disk.dm.write sample.colour sample.double.million sample.string.hullo edge.dbl edge.s64 edge.u64 disk.dev.* nosuch".split(
    " ",
  );
const CALLS =
  "rate abs floor round sqrt log max min_sample sum_inst sum_sample avg avg_sample stdev_inst stdev_sample".split(
    " ",
  );
const TIMES = ["", "[count:2]", "[count:3,start:1]", "[interval:1]", "[interval:20,count:2]"];

/** Expressions, at most so deep, over operands with these times. */
const expressions = (times: string, depth: number): fc.Arbitrary<string> => {
  const leaf = fc.constantFrom(...NAMES).map((name) => `${name}${times}`);
  if (depth === 0) return leaf;
  const inner = expressions(times, depth - 1);
  return fc.oneof(
    leaf,
    fc.tuple(fc.constantFrom(...CALLS), inner).map(([call, text]) => `${call}(${text})`),
    fc
      .tuple(fc.constantFrom("topk_inst", "topk_sample", "nth_percentile_sample"), inner)
      .map(([call, text]) => `${call}(${text}, 2)`),
    inner.map((text) => `rescale(${text},"byte")`),
    fc
      .tuple(inner, fc.constantFrom(" + ", " - ", " * ", " / "), inner)
      .map((list) => list.join("")),
    inner.map((text) => `2.5 * ${text}`),
  );
};

test("any expression ends with values or one message, the same from texts and from numbers", async () => {
  const texts = dumpStore(dumps);
  const numbers = numberStore(dumpStore(dumps));
  const queries = fc.constantFrom(...TIMES).chain((times) => expressions(times, 3));
  await fc.assert(
    fc.asyncProperty(queries, async (text) => {
      expect(await printed(numbers, text)).toBe(await printed(texts, text));
    }),
    { seed: 7, numRuns: 400 },
  );
});

test("functions hold no more than they may, and let go of what was told", async () => {
  const query = parseQuery("sum(disk.dev.*_bytes[start:1])", options);
  const room = ownRoom(100);
  const asked = evaluateQuery(dumpStore(dumps), query, { ...options, room });
  expect(await thrown(asked)).toThrow("functions of the query need more than 0 MiB");

  let held = 0;
  let most = 0;
  let expected = 0;
  const account: Room = {
    expect: (bytes) => void (expected = bytes),
    hold(bytes) {
      held += bytes;
      most = Math.max(most, held);
      return undefined;
    },
    settled() {},
  };
  const { values } = await evaluateQuery(dumpStore(dumps), query, { ...options, room: account });
  expect([expected > 0, held > 0, most > held]).toEqual([true, true, true]);
  for await (const { times } of values ?? []) expect(times.length).toBeGreaterThan(0);
  expect(held).toBe(0);
});

test("of what begins somewhere no more is read than functions over single values take", async () => {
  const inner = dumpStore(dumps);
  /** How many samples were enough of each series of the last question. */
  let asked: (number | undefined)[] = [];
  const storeOf = (isHeeded: boolean): typeof inner => ({
    ...inner,
    values: (requests) => {
      asked = requests.map(({ most }) => most);
      return inner.values(
        isHeeded ? requests : requests.map((each) => ({ ...each, most: Infinity })),
      );
    },
  });
  const metric = "disk.dev.read_bytes";
  for (const name of ["abs", "floor", "round", "sqrt", "log"])
    for (const times of ["start:1,count:2", "count:2,finish:1900000000", "start:1,count:100000"]) {
      const text = `${name}(abs(${metric}[${times}]))`;
      const heeded = await printed(storeOf(true), text);
      expect(heeded).not.toBe("");
      expect(asked).toEqual(asked.map(() => Number(/count:(\d+)/.exec(times)?.[1])));
      expect(heeded).toBe(await printed(storeOf(false), text));
    }
  // These look at all samples of the range, as the real programs do.
  for (const text of [
    `rate(${metric}[start:1,count:2])`,
    `abs(rate(${metric}[start:1,count:2]))`,
    `avg_sample(${metric}[start:1,count:2])`,
    `abs(${metric}[start:1,count:2]) + abs(${metric}[start:1,count:2])`,
    `abs(${metric}[start:1,count:2,interval:2])`,
  ]) {
    await printed(storeOf(true), text);
    expect([text, ...asked]).toEqual([text, ...asked.map(() => undefined)]);
  }
});
