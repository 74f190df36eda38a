// Goal: extraction writes what the specification's test vectors say (extract.md 17), which come from the
// real program: records, marks, index entries and metadata records in their order, for copies, merges,
// windows, volumes, filters, instances and labels that change; byte for byte where the bytes are given.
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { extract, type ExtractJob, type MetricRequest } from "../../lib/extract/mod.ts";
import { PM_LABEL } from "../../lib/pcp/mod.ts";
import { privateFolder } from "../helpers/process.ts";
import {
  at,
  dataLines,
  desc,
  indexLines,
  indom,
  indomOf,
  labels,
  makeArchive,
  metaLines,
  pmidOf,
  PROLOGUE,
  prologue,
  type Recipe,
  text,
} from "./archive-maker.ts";

const folder = privateFolder("extract-vectors");
let made = 0;

/** The archive of a recipe, by its base name. */
function archive(recipe: Recipe): string {
  const base = join(folder, `in${made++}`);
  makeArchive(base, recipe);
  return base;
}

type Options = Omit<ExtractJob, "inputs" | "output">;

/** Extracts; what was said, the status, and the base name of the output. */
async function run(inputs: readonly string[], options: Options = {}) {
  const output = join(folder, `out${made++}`);
  let said = "";
  const job = { inputs, output, env: { TZ: "UTC" }, pid: 99, ...options };
  const summary = await extract(job, { say: (words) => (said += words) });
  return { status: summary.status, said, output, summary };
}

const request = (name: string, instances?: readonly (number | string)[]): MetricRequest => ({
  name,
  instances,
  line: 1,
});

const selecting = (...requests: MetricRequest[]): Options => ({
  selection: { file: "conf", requests },
});

/** Hex digits of a file after its label. */
const hex = (path: string, from: number): string =>
  readFileSync(path).subarray(from).toString("hex");
const packed = (words: string): string => words.replace(/\s+/g, "");

const AB = [
  [0, "a"],
  [1, "b"],
] as const;

/** v1 and v2 of 17.1. */
const pair = (seconds: number, first: number, version: 2 | 3 = 2): string =>
  archive({
    version,
    metadata: [desc("t.s", "100.0.1"), desc("t.m", "100.0.2", 1), indom(seconds, 1, AB)],
    results: [0, 1].map((k) => ({
      time: at(seconds + 10 * k),
      sets: [
        ["100.0.1", [[-1, first + k]]],
        [
          "100.0.2",
          [
            [0, k],
            [1, k + 1],
          ],
        ],
      ],
    })),
  });

test("17.1: two inputs of version 2, byte for byte", async () => {
  const { status, said, output } = await run([pair(0, 7), pair(100, 9)]);
  expect([status, said]).toEqual([0, ""]);
  expect(hex(`${output}.meta`, 132)).toBe(
    packed(`
      0000002b 00000001 19000001 00000000 ffffffff 00000003 00000000 00000001 00000003 742e73 0000002b
      0000002b 00000001 19000002 00000000 19000001 00000003 00000000 00000001 00000003 742e6d 0000002b
      00000030 00000002 6553f100 00000000 19000001 00000002 00000000 00000001 00000000 00000002 61006200 00000030
      00000030 00000002 6553f164 00000000 19000001 00000002 00000000 00000001 00000000 00000002 61006200 00000030`),
  );
  const head = (time: string, single: string): string => `
      00000044 ${time} 00000000 00000002 19000001 00000001 00000000 ffffffff ${single}
      19000002 00000002 00000000`;
  expect(hex(`${output}.0`, 132)).toBe(
    packed(`
      ${head("6553f100", "00000007")} 00000000 00000000 00000001 00000001 00000044
      ${head("6553f10a", "00000008")} 00000000 00000001 00000001 00000002 00000044
      00000014 6553f10a 000003e8 00000000 00000014
      ${head("6553f164", "00000009")} 00000000 00000000 00000001 00000001 00000044
      ${head("6553f16e", "0000000a")} 00000000 00000001 00000001 00000002 00000044`),
  );
  expect(hex(`${output}.index`, 132)).toBe(
    packed(`
      6553f100 00000000 00000000 00000084 00000084
      6553f164 00000000 00000000 0000010a 00000120
      6553f16e 00000000 00000000 0000013a 00000164`),
  );
  expect(hex(`${output}.0`, 0).slice(0, 48)).toBe(
    packed("00000084 50052602 00000063 6553f100 00000000 00000000"),
  );
});

test("17.2: versions 2 and 3 together", async () => {
  const { output } = await run([pair(0, 7), pair(100, 9, 3)]);
  const indomRecord = (time: string): string =>
    `00000034 00000005 ${time} 00000000 00000000 19000001 00000002 00000000 00000001 00000000 00000002 61006200 00000034`;
  expect(hex(`${output}.meta`, 808 + 86)).toBe(
    packed(indomRecord("6553f100") + indomRecord("6553f164")),
  );
  expect(hex(`${output}.0`, 808 + 144).slice(0, 48)).toBe(
    packed("00000018 6553f10a 00000000 000f4240 00000000 00000018"),
  );
  expect(indexLines(output)).toEqual(["+0 0 808 808", "+100 0 946 976", "+110 0 998 1048"]);
});

/** One metric without instances, a value at each of some seconds. */
const single = (values: readonly (readonly [seconds: number, value: number])[]): string =>
  archive({
    metadata: [desc("m.c", "100.0.9")],
    results: values.map(([seconds, value]) => ({
      time: at(seconds),
      sets: [["100.0.9", [[-1, value]]]],
    })),
  });

test("17.3: inputs that overlap, and records of equal times", async () => {
  const s1 = single([
    [0, 100],
    [10, 110],
    [20, 120],
  ]);
  const s2 = single([
    [10, 210],
    [20, 220],
    [30, 230],
  ]);
  const values = async (inputs: string[]): Promise<string[]> =>
    dataLines((await run(inputs)).output).map((line) => line.replace("100.0.9=", ""));
  expect(await values([s1, s2])).toEqual([
    "+0 100",
    "+10 110",
    "+10 210",
    "+20 120",
    "+20.001 MARK",
    "+20 220",
    "+30 230",
  ]);
  expect(await values([s2, s1])).toEqual([
    "+0 100",
    "+10 210",
    "+10 110",
    "+20 220",
    "+20 120",
    "+20.001 MARK",
    "+30 230",
  ]);
  const { output } = await run([s1, s2]);
  expect(indexLines(output)).toEqual(["+0 0 132 132", "+30 0 175 352"]);
});

/** a2 and b2 of 17.4: five results, ten seconds apart. */
const five = (seconds: number): string =>
  archive({
    metadata: [
      desc("m.single", "100.0.1"),
      desc("m.multi", "100.0.2", 1),
      indom(seconds, 1, [
        [0, "zero"],
        [1, "one"],
      ]),
    ],
    results: [0, 10, 20, 30, 40].map((k) => ({
      time: at(seconds + k),
      sets: [
        ["100.0.1", [[-1, k]]],
        [
          "100.0.2",
          [
            [0, k],
            [1, k],
          ],
        ],
      ],
    })),
  });

const times = (output: string, volume = 0): string[] =>
  dataLines(output, volume).map((line) =>
    line
      .split(" ")
      .slice(0, line.endsWith("MARK") ? 2 : 1)
      .join(" "),
  );

test("17.4: windows, numbers of records, volumes", async () => {
  const [a2, b2] = [five(0), five(100)];
  const all = ["+0", "+10", "+20", "+30", "+40"];
  expect(times((await run([a2], { finish: "@22:13:39.5" })).output)).toEqual(["+0", "+10"]);
  expect(times((await run([a2], { start: "+15", finish: "+20" })).output)).toEqual(["+20", "+30"]);
  expect(times((await run([a2, b2], { samples: 6 })).output)).toEqual([...all, "+40.001 MARK"]);
  const nothing = await run([a2], { start: "@22:15:05" });
  expect([nothing.status, nothing.said]).toEqual([
    1,
    `pmlogextract: Warning: no qualifying records found.\nArchive "${nothing.output}" not created.\n`,
  ]);
  const none = await run([a2], { samples: 0 });
  expect(none.said).toBe(nothing.said.replace(nothing.output, none.output));
  const parts = await run([a2, b2], { volume: { kind: "records", limit: 3 } });
  expect([0, 1, 2, 3].map((volume) => times(parts.output, volume))).toEqual([
    ["+0", "+10", "+20"],
    ["+30", "+40", "+40.001 MARK"],
    ["+100", "+110", "+120"],
    ["+130", "+140"],
  ]);
  expect(parts.said).toBe(
    ["1, at 22:13:50.000000000", "2, at 22:15:00.000000000", "3, at 22:15:30.000000000"]
      .map((words) => `pmlogextract: New log volume ${words}\n`)
      .join(""),
  );
  expect(indexLines(parts.output)).toEqual([
    "+0 0 132 132",
    "+30 1 280 132",
    "+100 2 280 132",
    "+130 3 333 132",
    "+140 3 333 200",
  ]);
});

test("the window lies in all inputs together, as the manual page has it", async () => {
  const [a2, b2] = [five(0), five(100)];
  const later = ["+100", "+110", "+120"];
  expect(times((await run([a2, b2], { start: "@22:15:00", finish: "@22:15:20" })).output)).toEqual(
    later,
  );
  expect(times((await run([b2, a2], { start: "+5", finish: "+100" })).output)).toEqual([
    "+10",
    "+20",
    "+30",
    "+40",
    "+40.001 MARK",
    "+100",
  ]);
});

const HOUR = 3600;
/** Hours after 2023-11-14 00:00 UTC. */
const hours = (list: readonly number[], day = 14): string =>
  single(list.map((hour) => [(hour - 22) * HOUR - 800 + (day - 14) * 24 * HOUR, hour]));

test("17.4: a window that comes back every day", async () => {
  const values = (output: string): string[] =>
    dataLines(output).map((line) => (line.endsWith("MARK") ? "MARK" : line.replace(/.*=/, "")));
  const daily = { daily: true, start: "@10:00", finish: "@12:00" };
  const days = hours(Array.from({ length: 73 }, (_, hour) => hour));
  expect(values((await run([days], daily)).output)).toEqual(
    "10 11 12 MARK 34 35 36 MARK 58 59 60".split(" "),
  );
  const gap = { daily: true, start: "@01:30", finish: "@02:30" };
  expect(values((await run([hours([1, 2, 3, 73, 74])], gap)).output)).toEqual([
    "2",
    "MARK",
    "MARK",
    "MARK",
    "74",
  ]);
  // The change of 5 November: windows stay 24 hours apart.
  const zoned = { ...daily, finish: "@11:00", zone: { kind: "named", name: "EST5EDT" } } as const;
  const autumn = hours(
    Array.from({ length: 73 }, (_, hour) => hour),
    4,
  );
  expect(values((await run([autumn], zoned)).output)).toEqual([
    "14",
    "15",
    "MARK",
    "38",
    "39",
    "MARK",
    "62",
    "63",
  ]);
});

/** One metric with a domain whose records have these times. */
const changing = (stamps: readonly number[], results: readonly number[]): string =>
  archive({
    metadata: [
      desc("t.m", "100.0.2", 1),
      ...stamps.map((seconds, k) => indom(seconds, 1, [[k, `n${k}`]])),
    ],
    results: results.map((seconds) => ({ time: at(seconds), sets: [["100.0.2", [[0, 1]]]] })),
  });

const indoms = (output: string): string[] =>
  metaLines(output)
    .filter((line) => !line.startsWith("desc"))
    .map((line) => line.replace(/^indom 1@(\S+) (\d+):.*/, "$2@$1"));

test("17.5: which record of instances is written when", async () => {
  const steps = [0, 10, 20, 30];
  expect(indoms((await run([changing([15], steps)])).output)).toEqual(["0@+0"]);
  const two = changing([15, 25], steps);
  expect(indoms((await run([two])).output)).toEqual(["0@+20", "1@+30"]);
  expect(indoms((await run([two], { start: "+25" })).output)).toEqual(["1@+30"]);
  const eight = changing([0, 0, 10, 10, 10, 20, 25, 27], steps);
  expect(indoms((await run([eight])).output)).toEqual(["1@+0", "3@+10", "5@+20", "7@+30"]);
});

test("17.6: changes of instances, from an unsorted archive of version 2", async () => {
  const lists: readonly (readonly (readonly [number, string])[])[] = [
    [
      [5, "e"],
      [1, "a"],
      [3, "c"],
      [7, "g"],
    ],
    [
      [5, "e"],
      [1, "a"],
      [3, "c"],
      [9, "i"],
    ],
    [
      [1, "a"],
      [5, "e"],
      [3, "c"],
      [9, "i"],
    ],
    [[1, "a"]],
    [],
    [
      [1, "uno"],
      [2, "dos"],
    ],
    [
      [1, "eins"],
      [2, "dos"],
    ],
  ];
  const input = archive({
    metadata: [desc("t.m", "100.0.2", 1), ...lists.map((list, k) => indom(10 * k, 1, list))],
    results: lists.map((_, k) => ({ time: at(10 * k), sets: [["100.0.2", [[1, k]]]] })),
  });
  const { output } = await run([input], { version: 3 });
  expect(metaLines(output).slice(1)).toEqual([
    "indom 1@+0 5:e 1:a 3:c 7:g",
    "delta 1@+10 7:- 9:i",
    "delta 1@+20 1:a 1:-",
    "indom 1@+30 1:a",
    "indom 1@+40",
    "delta 1@+50 1:uno 2:dos",
    "indom 1@+60 1:eins 2:dos",
  ]);
});

test("changes of instances in the input are brought together before they are written", async () => {
  const input = archive({
    version: 3,
    metadata: [
      desc("t.m", "100.0.2", 1),
      indom(0, 1, [
        [1, "a"],
        [2, "b"],
        [3, "c"],
      ]),
      indom(
        10,
        1,
        [
          [2, undefined],
          [4, "d"],
        ],
        true,
      ),
      indom(20, 1, [[1, undefined]], true),
    ],
    results: [0, 10, 20].map((k) => ({ time: at(k), sets: [["100.0.2", [[3, k]]]] })),
  });
  expect(metaLines((await run([input])).output).slice(1)).toEqual([
    "indom 1@+0 1:a 2:b 3:c",
    "delta 1@+10 2:- 4:d",
    "delta 1@+20 1:-",
  ]);
  expect(metaLines((await run([input], { start: "+5" })).output).slice(1)).toEqual([
    "indom 1@+10 1:a 3:c 4:d",
    "delta 1@+20 1:-",
  ]);
});

test("17.7: label sets and texts", async () => {
  const single100 = pmidOf("100.1.1");
  const cluster = single100 & ~0x3ff;
  const domain = indomOf(1);
  const { CONTEXT, DOMAIN, CLUSTER, ITEM, INDOM, INSTANCES } = PM_LABEL;
  const input = archive({
    metadata: [
      desc("m.multi", "100.1.2", 1),
      desc("m.single", "100.1.1"),
      indom(0, 1, [[0, "a"]]),
      indom(20, 1, [[0, "b"]]),
      labels(0, CONTEXT, 0xffffffff),
      labels(15, CONTEXT, 0xffffffff),
      labels(0, DOMAIN, 100),
      labels(0, CLUSTER, cluster),
      labels(0, ITEM, single100),
      labels(25, ITEM, single100),
      labels(0, INDOM, domain),
      labels(0, INSTANCES, domain),
      labels(15, INSTANCES, domain),
      labels(35, INSTANCES, domain),
      text(5, single100, "single one"),
      text(6, single100, "single help"),
      text(9, domain, "domain one"),
      text(10, domain, "domain help"),
    ],
    results: [0, 10, 20, 30, 40].map((k) => ({
      time: at(k),
      sets: [
        ["100.1.2", [[0, k]]],
        ["100.1.1", [[-1, k]]],
      ],
    })),
  });
  expect(metaLines((await run([input])).output)).toEqual([
    "desc 100.1.2",
    `labels ${CONTEXT}@+0`,
    `labels ${DOMAIN}@+0`,
    `labels ${CLUSTER}@+0`,
    "indom 1@+0 0:a",
    `labels ${INDOM}@+0`,
    `labels ${INSTANCES}@+0`,
    "text 9 domain one",
    "text 10 domain help",
    "desc 100.1.1",
    `labels ${ITEM}@+0`,
    "text 5 single one",
    "text 6 single help",
    `labels ${CONTEXT}@+20`,
    "indom 1@+20 0:b",
    `labels ${INSTANCES}@+20`,
    `labels ${ITEM}@+30`,
  ]);
});

test("17.8: instances of a selection", async () => {
  const input = archive({
    metadata: [
      desc("k.multi", "100.1.2", 1),
      indom(0, 1, [
        [10, "ten"],
        [20, "twenty a"],
        [30, "thirty"],
        [40, "forty two"],
      ]),
    ],
    results: [
      {
        time: at(0),
        sets: [
          [
            "100.1.2",
            [
              [10, 1],
              [20, 2],
              [30, 3],
              [40, 4],
            ],
          ],
        ],
      },
      {
        time: at(1),
        sets: [
          [
            "100.1.2",
            [
              [40, 4],
              [30, 3],
              [20, 2],
              [10, 1],
            ],
          ],
        ],
      },
      { time: at(2), sets: [["100.1.2", -12345]] },
    ],
  });
  const kept = async (...instances: (number | string)[]): Promise<string[]> => {
    const { output } = await run([input], selecting(request("k", instances)));
    return dataLines(output).map((line) => line.replace(/.*=/, ""));
  };
  expect(await kept(30, 10)).toEqual(["30:3,10:1", "30:3,10:1", "-12345"]);
  expect(await kept("twenty", "forty")).toEqual(["20:2,40:4", "20:2,40:4", "-12345"]);
  expect((await kept(10, 10)).slice(0, 2)).toEqual(["10:1,10:1", "10:1,10:1"]);
  const lost = await run([input], selecting(request("k.multi", [99])));
  expect(lost.said).toBe(
    'Warning [conf, line 1]\nInstance "99" is not defined for the metric "k.multi"\n' +
      'Warning [conf, line 1]\nNone of the instances for metric "k.multi" are valid, metric not extracted\n' +
      `pmlogextract: Warning: no qualifying records found.\nArchive "${lost.output}" not created.\n`,
  );
  const unknown = await run([input], selecting(request("nosuch")));
  expect([unknown.status, dataLines(unknown.output).length]).toEqual([0, 3]);
});

test("17.9: marks by prologue and epilogue", async () => {
  const both = (seconds: number, seqnum: number, last = true): string => {
    const [first, end] = [prologue(seconds, 77n, seqnum), prologue(seconds + 10, 77n, seqnum)];
    const value = { time: at(seconds + 5), sets: [["100.0.9", [[-1, 1]]]] } as const;
    return archive({
      metadata: [...PROLOGUE, desc("m.c", "100.0.9")],
      results: last ? [first, value, end] : [first, value],
    });
  };
  const plain = single([[200, 1]]);
  const [p1, p2, p3] = [both(0, 5), both(100, 5), both(200, 6)];
  const marks = async (inputs: string[], options: Options = {}): Promise<string[]> =>
    times((await run(inputs, options)).output).filter((line) => line.endsWith("MARK"));
  expect(await marks([p1, p2])).toEqual([]);
  expect(await marks([p1, p2], { alwaysMark: true })).toEqual(["+10.001 MARK"]);
  expect(await marks([p1, p2, p3])).toEqual(["+110.001 MARK"]);
  expect(await marks([p1, p2, plain])).toEqual(["+110.001 MARK"]);
  expect(await marks([plain, p1])).toEqual(["+10.001 MARK"]);
  expect(await marks([both(0, 5, false), p2])).toEqual([]);
});
