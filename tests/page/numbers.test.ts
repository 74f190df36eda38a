// Goal: numbers on charts mean what PCP's values mean. Counters become rates, also across the wrap of
// their type and beyond what a double holds; a reset is no rate; units are prefixes and words of people.
import { expect, test } from "bun:test";
import {
  addGap,
  addSamples,
  chooseLines,
  MAX_SAMPLES,
  newHistory,
} from "../../lib/page/ui/history.ts";
import { found, namesWith } from "../../lib/page/ui/match.ts";
import {
  formatted,
  gainOf,
  kindOf,
  rangeOf,
  sampleOf,
  tickTexts,
  unitOf,
} from "../../lib/page/ui/numbers.ts";
import { readFetched, readMetric, type Metric } from "../../lib/page/ui/types.ts";

const metric = (sem: string, units: string, type = "u64", name = "a.b"): Metric => ({
  name,
  pmid: "1.2.3",
  indom: undefined,
  type,
  sem,
  units,
  series: "",
  labels: {},
  oneline: "",
  help: "",
});

test("counters are rates, what is measured is itself, the rest is text", () => {
  expect(kindOf(metric("counter", "count"))).toBe("rate");
  expect(kindOf(metric("instant", "count", "double"))).toBe("value");
  expect(kindOf(metric("discrete", "count", "32"))).toBe("text");
  expect(kindOf(metric("instant", "none", "string"))).toBe("text");
  expect(kindOf(metric("counter", "none", "aggregate"))).toBe("text");
});

test("a value is a number, a whole number of 64 bits, or none", () => {
  expect(sampleOf(1.5, "double")).toBe(1.5);
  expect(sampleOf("18446744073709551615", "u64")).toBe(18446744073709551615n);
  expect(sampleOf("-9223372036854775808", "64")).toBe(-9223372036854775808n);
  expect(sampleOf("18446744073709551615", "string")).toBeUndefined();
  expect(sampleOf(5, "string")).toBeUndefined();
  expect(sampleOf("x", "u64")).toBeUndefined();
  expect(sampleOf(null, "u64")).toBeUndefined();
});

test("a counter's gain, across wraps and not across resets", () => {
  expect(gainOf(5, 12, "u32")).toBe(7);
  expect(gainOf(5, 5, "double")).toBe(0);
  expect(gainOf(4294967290, 10, "u32")).toBe(16);
  expect(gainOf(2147483640, -2147483640, "32")).toBe(16);
  expect(gainOf(18446744073709551610n, 10, "u64")).toBe(16);
  expect(gainOf(18446744073709551600n, 18446744073709551615n, "u64")).toBe(15);
  expect(gainOf(9007199254740990, 9007199254740993n, "u64")).toBe(3);
  // Far from the end of its range, a counter that is smaller was reset.
  expect(gainOf(1_000_000, 3, "u32")).toBeUndefined();
  expect(gainOf(3_000_000_000, 3, "u32")).toBeUndefined();
  expect(gainOf(1_000_000, 3, "u64")).toBeUndefined();
  expect(gainOf(1.5, 1, "double")).toBeUndefined();
});

test("units", () => {
  const told = (sem: string, units: string, value: number): string => {
    const unit = unitOf(metric(sem, units));
    return `${formatted(value * unit.factor, unit)} | ${unit.title}`;
  };
  expect(told("instant", "Kbyte", 2048)).toBe("2 MiB | bytes");
  expect(told("counter", "byte", 1500)).toBe("1.46 KiB/s | bytes/s");
  expect(told("instant", "byte / sec", 10)).toBe("10 B/s | bytes/s");
  expect(told("counter", "millisec", 250)).toBe("25 % | % of time");
  expect(told("counter", "nanosec", 1e9)).toBe("100 % | % of time");
  expect(told("instant", "millisec", 1500)).toBe("1.50 s | time");
  expect(told("instant", "sec", 864_000)).toBe("10 d | time");
  expect(told("instant", "microsec", 3)).toBe("3 µs | time");
  expect(told("counter", "count", 12_345)).toBe("12.3 k/s | count per second");
  expect(told("counter", "none", 2)).toBe("2 /s | per second");
  expect(told("instant", "none", 0.123456)).toBe("0.123 | ");
  expect(told("instant", "count / Kbyte", 7)).toBe("7 | count / Kbyte");
  expect(formatted(null, unitOf(metric("instant", "none")))).toBe("–");
  expect(formatted(-5_000_000, unitOf(metric("instant", "none")))).toBe("-5 M");
});

test("the numbers of an axis can be told apart", () => {
  const unit = unitOf(metric("instant", "byte"));
  const gib = 2 ** 30;
  expect(tickTexts([22.4 * gib, 22.41 * gib, 22.42 * gib], unit)).toEqual([
    "22.4 GiB",
    "22.41 GiB",
    "22.42 GiB",
  ]);
  expect(tickTexts([0, 0.5, 1], unitOf(metric("instant", "none")))).toEqual(["0", "0.5", "1"]);
  expect(tickTexts([5, 5], unit)).toEqual(["5 B", "5 B"]);
});

test("a value axis begins at 0, but for what varies little far above it", () => {
  expect(rangeOf(5, 10, "rate")[0]).toBe(0);
  expect(rangeOf(1, 10, "value")[0]).toBe(0);
  expect(rangeOf(9, 10, "value")[0]).toBeCloseTo(8.9);
  expect(rangeOf(null, null, "value")).toEqual([0, 1]);
  expect(rangeOf(0, 0, "rate")).toEqual([0, 1]);
  expect(rangeOf(-5, 5, "value")[0]).toBeLessThan(-5);
});

const reading = { kind: "rate", type: "u32", factor: 1, patience: 5 } as const;
const one = (value: number) => new Map([["", value]]);

test("rates need two samples, and begin anew after a gap and a reset", () => {
  const history = newHistory();
  chooseLines(history, [""]);
  addSamples(history, 10, one(100), reading);
  addSamples(history, 12, one(140), reading);
  addSamples(history, 13, one(10), reading); // reset
  addSamples(history, 14, one(13), reading);
  addGap(history);
  addGap(history); // one outage is one gap
  addSamples(history, 16, one(50), reading);
  addSamples(history, 17, one(51), reading);
  expect(history.times).toEqual([10, 12, 13, 14, 14.001, 16, 17]);
  expect(history.lines.get("")?.values).toEqual([null, 20, null, 3, null, null, 1]);
});

test("silence is a gap, a clock that was set back begins anew, a repeated time is nothing", () => {
  const history = newHistory();
  chooseLines(history, [""]);
  const as = { ...reading, kind: "value" } as const;
  addSamples(history, 10, one(1), as);
  addSamples(history, 10, one(2), as);
  addSamples(history, 9, one(2), as);
  addSamples(history, 20, one(3), as);
  expect(history.lines.get("")?.values).toEqual([1, null, 3]);
  addSamples(history, 5, one(4), as);
  expect(history.times).toEqual([5]);
  expect(history.lines.get("")?.values).toEqual([4]);
});

test("instances come and go; what is kept is bounded", () => {
  const history = newHistory();
  const as = { ...reading, kind: "value" } as const;
  chooseLines(history, ["a"]);
  addSamples(history, 1, new Map([["a", 1]]), as);
  chooseLines(history, ["a", "b"]);
  addSamples(history, 2, new Map([["b", 2]]), as);
  expect([...history.lines].map(([name, { values }]) => [name, values])).toEqual([
    ["a", [1, null]],
    ["b", [null, 2]],
  ]);
  chooseLines(history, ["b"]);
  expect([...history.lines.keys()]).toEqual(["b"]);
  for (let time = 3; time < MAX_SAMPLES + 10; time++) addSamples(history, time, new Map(), as);
  expect(history.times.length).toBe(MAX_SAMPLES);
  expect(history.lines.get("b")?.values.length).toBe(MAX_SAMPLES);
});

test("search: all words, names before texts, beginnings first", () => {
  const all = [
    { ...metric("instant", "none", "32", "mem.disk"), oneline: "x" },
    { ...metric("instant", "none", "32", "disk.dev.read"), oneline: "reads per disk" },
    { ...metric("instant", "none", "32", "swap.in"), oneline: "pages read from DISK" },
    { ...metric("instant", "none", "32", "hinv.ndisk"), oneline: "" },
  ];
  const names = (...words: string[]) => found(all, words).map((hit) => hit.metric.name);
  expect(names("disk")).toEqual(["disk.dev.read", "mem.disk", "hinv.ndisk", "swap.in"]);
  expect(names("disk", "read")).toEqual(["disk.dev.read", "swap.in"]);
  expect(names("nothing")).toEqual([]);
});

test("names alone: all words, beginnings of the name first, then those of its parts", () => {
  const all = [
    "app.disk.read",
    "disk.all.blkread",
    "Disk.all.read",
    "disk.all.write",
    "ndisk.read",
  ];
  expect(namesWith(all, ["disk", "read"])).toEqual([
    "Disk.all.read",
    "disk.all.blkread",
    "app.disk.read",
    "ndisk.read",
  ]);
  expect(namesWith(all, ["nothing"])).toEqual([]);
  expect(namesWith(all, [])).toEqual(all);
});

test("replies are taken as they should be, and nothing breaks on others", () => {
  expect(readMetric({ name: "x", message: "Unknown metric name", success: false })).toBeUndefined();
  expect(readMetric(null)).toBeUndefined();
  expect(readMetric({ name: "x", labels: { a: 1 }, type: "u32" })).toMatchObject({
    name: "x",
    type: "u32",
    sem: "",
    labels: { a: "1" },
    indom: undefined,
  });
  expect(readFetched({})).toBeUndefined();
  expect(
    readFetched({
      timestamp: 1.5,
      values: [{ name: "x", instances: [{ instance: 3, value: "y" }] }],
    }),
  ).toEqual({
    time: 1.5,
    sets: [{ name: "x", values: [[3, "y"]] }],
  });
  expect(
    readFetched({ timestamp: 1, values: [{ instances: [null, { value: {} }] }] })?.sets,
  ).toEqual([
    {
      name: "",
      values: [
        [null, null],
        [null, null],
      ],
    },
  ]);
});
