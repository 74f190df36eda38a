// Goal: the pure parts of the probe: texts made harmless, metric and agent specifications, states of
// agents, hints for every failure that they speak of, rates, JSON, changes between two looks.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { PcpError, PM_ERR, pmErrCode } from "../../lib/base/mod.ts";
import { asPmid, PM_INDOM_NULL, PM_SEM, PM_TYPE, pmParseUnitsStr, UTC } from "../../lib/pcp/mod.ts";
import { agentComplaint, agentReport } from "../../lib/probe/agents.ts";
import { changedFacts } from "../../lib/probe/changes.ts";
import { failureOf, HINT_CODES, hintOf } from "../../lib/probe/hints.ts";
import { jsonText } from "../../lib/probe/json.ts";
import { parseMetricSpec } from "../../lib/probe/metric-spec.ts";
import { rateOf } from "../../lib/probe/metrics.ts";
import { plainLines, plainText } from "../../lib/probe/plain.ts";
import { featureNames } from "../../lib/probe/steps.ts";
import { fieldText, tableText, wrapText } from "../../lib/probe/style.ts";
import { bytesText, spanText } from "../../lib/probe/text-archive.ts";
import { rateText, timeText } from "../../lib/probe/text-values.ts";

// oxlint-disable-next-line no-control-regex -- control characters are what is looked for
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2028\u2029]/;

describe("texts", () => {
  test("lose everything that a terminal acts on, and nothing else", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        expect(plainText(text)).not.toMatch(UNSAFE);
      }),
      { seed: 11, numRuns: 300 },
    );
    expect(plainText("grün 日本 \\x1b")).toBe("grün 日本 \\x1b");
    expect(plainText("\u001b[31m\n")).toBe("\\x1b[31m\\n");
    expect(plainLines("a\tb\n\u0007")).toBe("a\tb\n\\x07");
  });

  test("are wrapped at words within the width", () => {
    fc.assert(
      fc.property(fc.array(fc.stringMatching(/^[a-z]{1,12}$/), { maxLength: 30 }), (words) => {
        const lines = wrapText(words.join(" "), 40, 4).split("\n");
        for (const line of lines) expect(line.length).toBeLessThanOrEqual(40);
        expect(lines.map((line) => line.trim()).join(" ")).toBe(words.join(" "));
      }),
      { seed: 12, numRuns: 200 },
    );
    const style = { width: 30, colour: false };
    expect(fieldText(style, "pmcd", "one two three four")).toBe(
      "  pmcd       one two three\n             four",
    );
  });

  test("stand in columns whatever their colour", () => {
    expect(
      tableText(
        [
          ["a", "\u001b[32mok\u001b[39m", "x"],
          ["bbb", "no", "y"],
        ],
        new Set([0]),
      ),
    ).toEqual(["  a  \u001b[32mok\u001b[39m  x", "bbb  no  y"]);
  });

  test("of sizes, spans, rates and times", () => {
    expect([0, 1023, 1536, 150 * 1024, 5 * 2 ** 30].map(bytesText)).toEqual([
      "0 bytes",
      "1023 bytes",
      "1.5 KB",
      "150 KB",
      "5.0 GB",
    ]);
    expect([0.02, 4, 61, 3600, 5415, 86_400 * 2 + 3600].map(spanText)).toEqual([
      "20 ms",
      "4.0 s",
      "1 min 1 s",
      "1 h",
      "1 h 30 min",
      "2 days 1 h",
    ]);
    expect([0, 100, 433.3333333, 1e-7, 2.5e18, Number.NaN].map(rateText)).toEqual([
      "0",
      "100",
      "433.333",
      "1.00000e-7",
      "2.50000e+18",
      "NaN",
    ]);
    const second = { sec: 59, nsec: 1_000_000_000 };
    expect(timeText(second, { zone: UTC, full: false })).toBe("00:01:00.000");
  });
});

describe("specifications of metrics", () => {
  test("with and without instances", () => {
    expect(parseMetricSpec("a.b")).toEqual({ name: "a.b", instances: undefined });
    const both = ["1 minute", "5,[x]"];
    expect(parseMetricSpec('a["1 minute", "5,[x]"]')).toEqual({ name: "a", instances: both });
    expect(parseMetricSpec("a[1 minute ,'5,[x]' ]")).toEqual({ name: "a", instances: both });
  });

  for (const [text, at, reason] of [
    ["", 0, "the name of a metric expected"],
    ["[x]", 0, "the name of a metric expected"],
    ["a[", 2, "closing ] expected"],
    ["a[x", 3, "closing ] expected"],
    ['a["x]', 5, 'closing " expected'],
    ["a[]", 2, "an instance expected"],
    ["a[x]y", 4, "unexpected text after the instances"],
  ] as const) {
    test(`refused: ${text}`, () => {
      const message = `${text}\n${" ".repeat(at)}^ -- ${reason}`;
      expect(() => parseMetricSpec(text)).toThrow(new PcpError(PM_ERR.GENERIC, message));
    });
  }
});

test("states of agents, as pmcd.agent.status has them", () => {
  const of = (status: number | undefined, fenced = 0, type = 4) =>
    agentReport({ domain: 29, name: "sample", type, status, fenced, metrics: 5 });
  expect(of(0)).toMatchObject({ kind: "pipe", state: "ok", exit: null, signal: null });
  expect(of(0, 0, 0).kind).toBe("dso");
  expect(of(0, 0, 2).kind).toBe("socket");
  expect(of(1)).toMatchObject({ state: "not ready", exit: null });
  expect(of(4)).toMatchObject({ state: "not started" });
  expect(of(0x308)).toMatchObject({ state: "dropped", exit: 3 });
  expect(of(0x90008)).toMatchObject({ state: "dropped", signal: 9, exit: null });
  expect(of(0x102)).toMatchObject({ state: "exited", exit: 1 });
  expect(of(0, 1)).toMatchObject({ state: "fenced" });
  expect(of(undefined)).toMatchObject({ state: "unknown" });
  expect(agentComplaint(of(0))).toBeUndefined();
  expect(agentComplaint(of(0x102))).toBe("agent sample has ended by itself (status 1)");
  expect(agentComplaint(of(0x90008))).toEndWith("(signal 9)");
});

describe("hints", () => {
  test("speak of codes that there are", () => {
    expect(HINT_CODES.length).toBeGreaterThan(40);
    expect(HINT_CODES.filter((name) => pmErrCode(name) === undefined)).toEqual([]);
  });

  test("depend on the step", () => {
    const at = (step: string): string | null => hintOf(-113, { about: "host", step });
    expect(at("resolve")).toContain("does not resolve");
    expect(at("connect")).toContain("no way to that address");
    expect(hintOf(PM_ERR.NYI - 13, { about: "host" })).toContain("authentication failed");
    expect(hintOf(-1234, { about: "archive" })).toBeNull();
  });

  test("stand beside code, symbol and what the error adds", () => {
    expect(
      failureOf(new PcpError(-111, "Connection refused: db1 port 1"), {
        about: "host",
        step: "connect",
      }),
    ).toMatchObject({
      code: -111,
      symbol: "ECONNREFUSED",
      message: "Connection refused",
      detail: "db1 port 1",
      where: "connect",
    });
    expect(failureOf(new PcpError(PM_ERR.TEXT), { about: "metric" })).toMatchObject({
      detail: null,
      where: null,
    });
  });
});

test("rates of counters by their units", () => {
  const rate = (units: string, sem: number = PM_SEM.COUNTER, type: number = PM_TYPE.U32) =>
    rateOf({
      pmid: asPmid(1),
      type,
      indom: PM_INDOM_NULL,
      sem,
      units: pmParseUnitsStr(units).units,
    });
  expect(rate("Kbyte")).toEqual({ units: "Kbyte / sec", factor: 1 });
  expect(rate("millisec")).toEqual({ units: "", factor: 1e-3 });
  expect(rate("hour")).toEqual({ units: "", factor: 3600 });
  expect(rate("count")).toEqual({ units: "count / sec", factor: 1 });
  expect(rate("Kbyte sec")?.factor).toBe(1);
  expect(rate("Kbyte", PM_SEM.INSTANT)).toBeUndefined();
  expect(rate("Kbyte", PM_SEM.COUNTER, PM_TYPE.STRING)).toBeUndefined();
});

test("JSON of what JSON lacks", () => {
  const value = {
    big: 2n ** 60n,
    small: 5n,
    none: Number.NaN,
    far: Infinity,
    bytes: new Uint8Array([1, 255]),
    text: "\u009b\u202e",
  };
  const text = jsonText(value);
  expect(text).toContain(String.raw`"\u009b\u202e"`);
  expect(JSON.parse(text)).toEqual({
    big: "1152921504606846976",
    small: 5,
    none: null,
    far: null,
    bytes: { hex: "01ff" },
    text: "\u009b\u202e",
  });
});

test("features by name", () => {
  expect(featureNames(0x0e44)).toEqual([
    "authentication",
    "containers",
    "labels",
    "nanoseconds",
    "descriptors in bulk",
  ]);
  expect(featureNames(0x9000)).toEqual(["0x9000"]);
});

test("changes between two looks", () => {
  const before = new Map([
    ["pmcd", "6"],
    ["agent a", "ok"],
    ["clock off", "is so"],
  ]);
  const after = new Map([
    ["pmcd", "6"],
    ["agent a", "exited"],
    ["agent b", "ok"],
    ["disk full", "is so"],
  ]);
  expect(changedFacts(before, after)).toEqual([
    "agent a: ok -> exited",
    "agent b: ok, new",
    "disk full",
    "no more: clock off",
  ]);
  expect(changedFacts(after, after)).toEqual([]);
});
