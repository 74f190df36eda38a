// Goal: what the view of the past reckons is right without a browser. Windows go behind each operand of a
// query and nowhere else; ranges zoom, move, and have a bounded number of samples; values become lines with
// gaps where samples are missing, on one axis; times are read as PCP writes them; nothing breaks on others.
import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  changesOf,
  csvOf,
  exactTimes,
  joined,
  linesOf,
  meanOf,
  type NamedLine,
  type PastValue,
  ranked,
  readValues,
  tableOf,
  valueBefore,
  withGaps,
} from "../../lib/page/ui/past-lines.ts";
import {
  hasWindow,
  isRate,
  operandsOf,
  selected,
  usualQuery,
  windowText,
  withoutWindows,
  withWindow,
} from "../../lib/page/ui/past-query.ts";
import {
  between,
  gridOf,
  inputText,
  inputTime,
  lengthText,
  moved,
  stepOf,
  tickTime,
  zoomed,
} from "../../lib/page/ui/past-range.ts";
import { seriesRows } from "../../lib/page/ui/past-status.ts";
import { plainJson } from "../../lib/page/ui/rest.ts";
import { UTC } from "../../lib/pcp/mod.ts";
import { parseQuery, quoted } from "../../lib/series/mod.ts";

const W = "[count:1]";
const options = { now: { sec: 1_700_000_000, nsec: 0 }, zone: UTC };

test("a window goes behind each operand", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["a.b", "a.b[count:1]"],
    ["rate(a.b)", "rate(a.b[count:1])"],
    ['a.b{hostname=="x"}', 'a.b{hostname=="x"}[count:1]'],
    ['{metric.name=="x" && l:"}"}', '{metric.name=="x" && l:"}"}[count:1]'],
    ['a.b {hostname=="x"} ', 'a.b {hostname=="x"}[count:1] '],
    ["rate(a) + rate(b)", "rate(a[count:1]) + rate(b[count:1])"],
    ["topk_sample(a,3)", "topk_sample(a[count:1],3)"],
    ["2 *log(a, 2.5)", "2 *log(a[count:1], 2.5)"],
    ['rescale(a,"Mbyte")', 'rescale(a[count:1],"Mbyte")'],
    ["x = sum_inst(a.*)", "x = sum_inst(a.*[count:1])"],
    ["rate", "rate[count:1]"],
    ["max.value", "max.value[count:1]"],
  ];
  for (const [text, wanted] of cases) {
    expect(withWindow(text, W)).toBe(wanted);
    expect(withoutWindows(wanted)).toBe(text.trim());
    expect([text, hasWindow(text), hasWindow(wanted)]).toEqual([text, false, true]);
    // What the language takes without a window it takes with one.
    expect(parseQuery(wanted, options).values).toBe(true);
  }
});

test("texts that are no queries have windows put in without harm", () => {
  for (const text of ["", "rate(", 'a{b=="', "a[", "{", "1 + ", "a..b)(", "ä{", '"'])
    expect(withWindow(text, "").length).toBe(text.length);
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 60 }), (text) => {
      expect(withWindow(text, "")).toBe(text);
      operandsOf(text);
      isRate(text);
      hasWindow(text);
    }),
    { seed: 7, numRuns: 200 },
  );
});

test("operands, and what is a rate of one", () => {
  expect(operandsOf('rate(a.b{hostname=="x"}[count:2]) + a + a')).toEqual([
    'a.b{hostname=="x"}',
    "a",
  ]);
  expect(operandsOf("{a==1}")).toEqual(["{a==1}"]);
  expect(isRate('rate( a.b{hostname=="x"} )')).toBe(true);
  expect(isRate("rate(a[count:3])")).toBe(true);
  for (const text of ["a", "rate(a)+rate(b)", "rate(a)*2", "sum_sample(rate(a))", "rate"])
    expect([text, isRate(text)]).toEqual([text, false]);
});

test("queries out of choices are such that the language takes them", () => {
  expect(usualQuery("disk.dev.read", "db1", true)).toBe('rate(disk.dev.read{hostname=="db1"})');
  expect(selected("mem.free", "/var/log/a b")).toBe('mem.free{context.name=="/var/log/a b"}');
  expect(selected("mem.free", "")).toBe("mem.free");
  expect(selected("odd-name", "db1")).toBe('odd*name{metric.name=="odd-name",hostname=="db1"}');
  expect(selected("m", 'a"b\\c*')).toBe('m{hostname~~"a*b*c*"}');
  const text = fc.string({ unit: "binary", minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(text, text, fc.boolean(), (metric, origin, isCounter) => {
      parseQuery(usualQuery(metric, origin, isCounter), options);
    }),
    { seed: 8, numRuns: 300 },
  );
});

test("windows are numbers of seconds, whole ones of 32 bits", () => {
  expect(windowText({ from: 1_700_000_000, to: 1_700_003_600 }, 20)).toBe(
    "[start:1700000000,finish:1700003600,interval:20]",
  );
  const late = windowText({ from: 7_258_118_400, to: 7_258_118_500 }, undefined);
  expect(late).toBe("[start:7258118400.0,finish:7258118500.0]");
  expect(parseQuery(`a${late}`, options).values).toBe(true);
});

test("samples are bounded, on a grid that stands still", () => {
  fc.assert(
    fc.property(
      fc.nat(4e9),
      fc.integer({ min: 2, max: 4e8 }),
      fc.nat(1000),
      (from, length, most) => {
        const samples = Math.max(10, most);
        const step = stepOf({ from, to: from + length }, samples);
        if (step === undefined) expect(length).toBeLessThanOrEqual(samples);
        else expect(length / step).toBeLessThanOrEqual(samples);
        const grid = gridOf({ from, to: from + length }, step);
        expect(grid.from % (step ?? 1)).toBe(0);
        expect(grid.from).toBeLessThanOrEqual(from);
      },
    ),
    { seed: 9, numRuns: 300 },
  );
  expect(stepOf({ from: 0, to: 3600 }, 1000)).toBe(5);
  expect(stepOf({ from: 0, to: 30 * 86_400 }, 1000)).toBe(3600);
});

test("zoom, steps in time, and ends that were typed", () => {
  expect(zoomed({ from: 100, to: 200 }, 0.5)).toEqual(between(125, 175));
  expect(zoomed({ from: 100, to: 200 }, 2)).toEqual(between(50, 250));
  expect(moved({ from: 100, to: 200 }, -0.5)).toEqual(between(50, 150));
  expect(moved({ from: 10, to: 110 }, -0.5)).toEqual(between(0, 100));
  expect(between(200, 100)).toEqual({ kind: "between", from: 100, to: 200 });
  expect(between(5, 5)).toEqual({ kind: "between", from: 5, to: 7 });
  for (const seconds of [0, 1_709_251_200, 1_720_000_001])
    expect(inputTime(inputText(seconds))).toBe(seconds);
  expect([inputTime(""), inputTime("x")]).toEqual([undefined, undefined]);
  expect([900, 86_400, 90, 5].map(lengthText)).toEqual(["15 min", "1 d", "1.5 min", "5 s"]);
  const noon = new Date(2024, 2, 1, 12, 30, 5).getTime() / 1000;
  const night = new Date(2024, 2, 2).getTime() / 1000;
  expect([60, 3600, 86_400, 30 * 86_400, 1e8].map((span) => tickTime(noon, span))).toEqual([
    "12:30:05",
    "12:30",
    "12:30",
    "1 Mar",
    "1 Mar 2024",
  ]);
  expect(tickTime(night, 86_400)).toBe("2 Mar");
});

test("times and texts as PCP writes them", () => {
  const body =
    '[{"series":"a","timestamp":1531404662090.46,"value":"\\"timestamp\\":1.2,"},{"series":"a","timestamp":1531404662091,"value":"1"}]';
  const values = readValues(JSON.parse(exactTimes(body)));
  expect(values?.map(({ time }) => time)).toEqual([1531404662.090046, 1531404662.091]);
  expect(values?.[0]?.text).toBe('"timestamp":1.2,');
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 30 }), (text) => {
      if (!text.isWellFormed()) return;
      expect(JSON.parse(plainJson(quoted(text, "pcp")))).toBe(text);
      expect(JSON.parse(plainJson(quoted(text, "json")))).toBe(text);
    }),
    { seed: 10, numRuns: 300 },
  );
  expect(readValues(["0123"])).toBeUndefined();
  expect(readValues([])).toEqual([]);
  expect(readValues([null, 5, {}])?.length).toBe(3);
});

const value = (time: number, text: string | number, instance = "i", series = "s"): PastValue => ({
  series,
  instance,
  time,
  text: String(text),
});
const line = (
  name: string,
  times: readonly number[],
  values: readonly (number | null)[],
): NamedLine => ({
  name,
  series: "s",
  instance: name,
  times,
  values,
  odd: [],
});

test("values become lines: sorted, parted where series follow one another", () => {
  // The newest first, as [count:n] has them.
  const [newest] = linesOf([value(3, 30), value(2, "2e1"), value(1, "-0.000000")]);
  expect([newest?.times, newest?.values]).toEqual([
    [1, 2, 3],
    [0, 20, 30],
  ]);
  const twice = [1, 2, 3, 4].map((time) => value(time, time));
  expect(linesOf([...twice, ...twice]).map(({ values }) => values)).toEqual([
    [1, 2, 3, 4],
    [1, 2, 3, 4],
  ]);
  // topk has values in the order of their size.
  const [top] = linesOf([value(5, 9), value(2, 8), value(4, 7), value(1, 6)]);
  expect(top?.times).toEqual([1, 2, 4, 5]);
  expect(linesOf([value(1, 1, "a"), value(1, 2, "b"), value(2, 3, "a")]).length).toBe(2);
});

test("what is no number is a change", () => {
  const texts = ['"up"', '"up"', '"a\\u000Ab"', "1", "nan", "inf", "no value"];
  const [mixed] = linesOf(texts.map((text, at) => value(at, text)));
  expect(mixed?.values).toEqual([null, null, null, 1, null, null, null]);
  const changes = changesOf([{ ...(mixed ?? line("", [], [])), name: "x" }]);
  expect(changes.map(({ time, text }) => [time, text])).toEqual([
    [6, "no value"],
    [5, "inf"],
    [4, "nan"],
    [2, "a\nb"],
    [0, "up"],
  ]);
});

test("missing samples are gaps, and rates begin anew behind them", () => {
  const times = [0, 10, 20, 30, 130, 140, 150];
  const gapped = withGaps(line("a", times, [1, 2, 3, 4, 5, 6, 7]), 0, false);
  expect(gapped.times).toEqual([0, 10, 20, 30, 80, 130, 140, 150]);
  expect(gapped.values).toEqual([1, 2, 3, 4, null, 5, 6, 7]);
  const rate = withGaps(line("a", times, [1, 2, -3, 4, 5, 6, 7]), 0, true);
  expect(rate.values).toEqual([1, 2, null, 4, null, null, 6, 7]);
  // Samples further apart than the step that was asked for are no gaps.
  expect(withGaps(line("a", [0, 60, 120, 180, 240], [1, 2, 3, 4, 5]), 10, false).times.length).toBe(
    5,
  );
  // Of two samples nobody can tell.
  expect(withGaps(line("a", [0, 1000], [1, 2]), 0, false).times).toEqual([0, 1000]);
});

test("lines of one name follow one another, or have numbers", () => {
  const names = (lines: readonly NamedLine[]) =>
    joined(lines).map(({ name, times }) => [name, times]);
  expect(names([line("a", [5, 6], [1, 1]), line("a", [1, 2], [1, 1])])).toEqual([
    ["a", [1, 2, 5, 6]],
  ]);
  expect(names([line("a", [1, 5], [1, 1]), line("a", [2, 6], [1, 1])])).toEqual([
    ["a", [1, 5]],
    ["a (2)", [2, 6]],
  ]);
});

test("the largest first; one axis for all; a file", () => {
  const lines = [
    line("small", [1, 3], [1, 2]),
    line("big", [2, 3], [9, null]),
    line("none", [1], [null]),
  ];
  const { drawable, others } = ranked(lines);
  expect(drawable.map(({ name }) => name)).toEqual(["big", "small"]);
  expect(others.map(({ name }) => name)).toEqual(["none"]);
  expect(meanOf(line("x", [1, 2, 3], [1, null, 4]))).toBe(2.5);
  const table = tableOf(drawable);
  expect(table).toEqual({
    times: [1, 2, 3],
    columns: [
      [undefined, 9, null],
      [1, undefined, 2],
    ],
  });
  expect([0, 1, 2].map((at) => valueBefore(table.columns[1] ?? [], at))).toEqual([1, 1, 2]);
  expect([0, 1, 2].map((at) => valueBefore(table.columns[0] ?? [], at))).toEqual([null, 9, null]);
  expect(csvOf(table, ['a "b", c', "=SUM(A1)"])).toBe(
    [
      'time,"a ""b"", c",\'=SUM(A1)',
      "1970-01-01T00:00:01.000Z,,1",
      "1970-01-01T00:00:02.000Z,9,",
      "1970-01-01T00:00:03.000Z,,2",
      "",
    ].join("\r\n"),
  );
});

test("the state of time series in words, of whatever there is", () => {
  const archives = { found: 12, growing: 1, waiting: 3 };
  const status = {
    series: { store: "embedded", archives: 1234, unreadable: 2, search: true },
    discovery: {
      directories: [
        { path: "/a", watched: "inotify" },
        { path: "/b", watched: "missing" },
      ],
      complete: false,
      archives,
      problems: [{ path: "/a/x", problem: "Illegal label record" }],
    },
    record: { state: "recording", archive: "/r/x", records: 9 },
    push: { archives: 2 },
  };
  expect(Object.fromEntries(seriesRows(status))).toEqual({
    store: "archives themselves, 1,234 in the catalogue, 2 unreadable",
    search: "on",
    "looks in": "/a\n/b (not there)",
    found: "12 archives, 1 growing, 3 wait to be read, the first look is not over",
    problems: "/a/x: Illegal label record",
    recorder: "recording, 9 records, /r/x",
    pushed: "2 archives growing",
  });
  const keys = {
    store: "keys",
    servers: [{ host: "k", port: 6379 }],
    connected: false,
    reason: "no",
  };
  expect(seriesRows({ series: keys })).toEqual([
    ["store", "key server, k:6379, not connected: no"],
  ]);
  expect(seriesRows({})).toEqual([]);
  expect(seriesRows({ series: 5, discovery: null, record: [], push: "x" })).toEqual([]);
});
