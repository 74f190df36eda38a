// Goal: values come as one JSON text whatever the sizes of blocks and pieces: many in one sample, of several
// instances, texts that must be quoted, texts larger than a piece, the first value in each place; and
// samples that are all taken are handed on as they are.
import { expect, test } from "bun:test";
import fc from "fast-check";
import { type Column, textAt, textColumn } from "../../lib/series/column.ts";
import type { SeriesBlock } from "../../lib/series/evaluate.ts";
import type { Quoting } from "../../lib/series/rest-json.ts";
import { thinned } from "../../lib/series/thin.ts";
import { valuesJson } from "../../lib/series/values-json.ts";

/** Less than this a piece never has, but for the last one. */
const PIECE = 64 * 1024;
const START = 1_700_000_000_000_000;

/** A value of a block, as the answer tells it. */
interface Told {
  readonly series: string;
  readonly instance?: string;
  readonly timestamp: number;
  readonly value: string;
}

const blockOf = (
  series: string,
  rows: readonly { readonly time: number; readonly values: readonly string[] }[],
  values: Column = textColumn(rows.flatMap((row) => row.values)),
): SeriesBlock => {
  let end = 0;
  return {
    series,
    times: Float64Array.from(rows, ({ time }) => time),
    ends: Uint32Array.from(rows, (row) => (end += row.values.length)),
    places: Uint32Array.from(rows.flatMap((row) => row.values.map((_, place) => place))),
    instances: [series, "inst1", "inst2"],
    values,
  };
};

async function* of(blocks: readonly SeriesBlock[]): AsyncGenerator<SeriesBlock> {
  for (const block of blocks) yield await Promise.resolve(block);
}

/** The answer's text, of pieces that must be as large as they are meant to be. */
async function told(
  blocks: readonly SeriesBlock[],
  form: { quoting: Quoting; client?: string },
): Promise<string> {
  const pieces: Uint8Array[] = [];
  for await (const piece of valuesJson(of(blocks), form)) pieces.push(piece);
  for (const piece of pieces.slice(0, -1)) expect(piece.length).toBeGreaterThanOrEqual(PIECE);
  // All at the end: none was written over by the next.
  return Buffer.concat(pieces).toString();
}

/** What the answer says, in the plainest way. */
const plain = (blocks: readonly SeriesBlock[]): readonly Told[] =>
  blocks.flatMap((block) => {
    let index = 0;
    return [...block.times].flatMap((time, sample) => {
      const values: Told[] = [];
      for (; index < (block.ends[sample] ?? 0); index++) {
        const instance = block.instances[block.places[index] ?? 0] ?? "";
        const milliseconds = Math.floor(time / 1000);
        values.push({
          series: block.series,
          ...(instance === block.series ? {} : { instance }),
          timestamp: Number(`${milliseconds}.${time - 1000 * milliseconds}`),
          value: textAt(block.values, index),
        });
      }
      return values;
    });
  });

test("random blocks", async () => {
  const time = fc.oneof(
    fc.integer({ min: START, max: START + 5 }),
    fc.integer({ min: 0, max: 5_000_000 }),
    fc.integer({ min: 0, max: 2 ** 53 - 1 }),
  );
  const text = fc.constantFrom("", "12", "-1.5e+00", '"\\', "\u0001\n", "é", "😀\u007f", "a\tb");
  const row = fc.record({
    time,
    values: fc.array(text, { maxLength: 3 }),
  });
  const some = fc.array(fc.array(row, { maxLength: 12 }), { maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(some, fc.option(text), async (rows, client) => {
      const blocks = rows.map((each, at) => blockOf(`series${at}`, each));
      const form = client === null ? {} : { client };
      const text = await told(blocks, { quoting: "json", ...form });
      const expected = plain(blocks);
      if (expected.length === 0) {
        expect(text).toBe("");
        return;
      }
      expect(text.endsWith("\r\n")).toBe(true);
      const answer = JSON.parse(text) as unknown;
      expect(answer).toEqual(client === null ? expected : { client, result: expected });
    }),
    { seed: 1, numRuns: 60 },
  );
});

test("many values, in pieces", async () => {
  const rows = Array.from({ length: 5000 }, (_, at) => ({
    time: START + at * 1_000_001,
    values: [String(at), `"${at}"`, "é\n"],
  }));
  const blocks = [blockOf("a", rows), blockOf("b", rows)];
  expect(JSON.parse(await told(blocks, { quoting: "json" }))).toEqual(plain(blocks));
});

test("a text larger than a piece, with all that is quoted", async () => {
  const long = "\\\u0001é".repeat(PIECE);
  const blocks = [blockOf("a", [{ time: START, values: ["1", long, "2"] }])];
  expect(JSON.parse(await told(blocks, { quoting: "json" }))).toEqual(plain(blocks));
  const text = await told([blockOf("a", [{ time: START, values: ['"\u0007é'] }])], {
    quoting: "pcp",
  });
  expect(text).toBe('[{"series":"a","timestamp":1700000000000.0,"value":"\\"\\a\\xc3\\xa9"}]\r\n');
});

test("numbers, absent ones, and times of single values", async () => {
  const rows = [{ time: START, values: ["", "", ""] }];
  const numbers = Float64Array.of(1, 1e300, 0);
  const absent = Uint8Array.of(0, 0, 1);
  const values: Column = { kind: "number", form: "result", numbers, absent };
  const block = { ...blockOf("a", rows, values), valueTimes: Float64Array.of(1000, 1001, 1001) };
  const answer = JSON.parse(await told([block], { quoting: "json" })) as readonly Told[];
  expect(answer.map(({ timestamp, value }) => [timestamp, value])).toEqual([
    [1, "1.000000e+00"],
    [1.1, "1.000000e+300"],
    [1.1, "no value"],
  ]);
});

test("blocks all of whose samples are taken are handed on as they are", async () => {
  const rows = Array.from({ length: 4 }, (_, at) => ({ time: START + at, values: [String(at)] }));
  const first = { request: 0, ...blockOf("a", rows) };
  const second = { request: 1, ...blockOf("b", rows) };
  async function* both() {
    yield first;
    yield await Promise.resolve(first);
    yield second;
  }
  const thinning = { interval: 0, seconds: 0, start: undefined, count: 6 };
  const found = await Array.fromAsync(thinned(both(), thinning));
  expect(found[0]).toBe(first);
  expect([...(found[1]?.times ?? [])]).toEqual([START, START + 1]);
  expect(found[2]).toBe(second);
});
