// Goal: intervals and time windows are those of the real library for every recorded row, with its
// messages; and windows keep their order.
import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  addSpan,
  alignUp,
  compareTimes,
  type Instant,
  instant,
  instantOf,
  nanosecondsOf,
  newZone,
  parseInterval,
  sampleTimes,
  secondsBetween,
  secondsOf,
  spanOf,
  subtractSpan,
  timeWindow,
  UTC,
} from "../../lib/pcp/mod.ts";
import { outcome, rows } from "./fixtures.ts";

/** Where the clock stood when the rows were recorded. */
const now: Instant = { sec: 1_000_100_000, nsec: 0 };

test("every recorded interval", () => {
  type Row = { text: string } & ({ message: string } | { sec: number; nsec: number });
  for (const { text, ...answer } of rows<Row>("time-intervals")) {
    const got = outcome(() => parseInterval(text));
    // The library takes a leading nan for a number, and has no bound short of its garbage.
    if (/^nan/i.test(text) || ("sec" in answer && Math.abs(answer.sec) > 2 ** 50)) {
      expect(got).toMatchObject({ message: `${text}\n^ -- unexpected value\n` });
      continue;
    }
    // Some of the library's have 1000000000 nanoseconds.
    const expected = "sec" in answer ? instant(answer.sec, answer.nsec) : answer;
    expect({ text, got }).toMatchObject({ text, got: expected });
  }
});

type Pair = [number, number];
interface Row {
  zone: string;
  from: Pair;
  to: Pair | null;
  S: string | null;
  T: string | null;
  A: string | null;
  O: string | null;
  code: number;
  message?: string;
  window?: (Pair | null)[];
}

const timeOf = (pair: Pair | null | undefined): Instant | undefined =>
  pair === null || pair === undefined ? undefined : instant(...pair);

test("every recorded window", () => {
  for (const row of [...rows<Row>("time-windows"), ...rows<Row>("time-windows", 6)]) {
    const { zone, from, to, S, T, A, O, code, message, window } = row;
    if (S === "nan") continue;
    // Without an end 6.0.3 aligns the origin and 7.2 does not.
    if (zone.includes("<") && to === null && A !== null && O !== null) continue;
    const asked = { zone, from, to, S, T, A, O };
    const got = outcome(() =>
      timeWindow(
        {
          start: S ?? undefined,
          finish: T ?? undefined,
          align: A ?? undefined,
          origin: O ?? undefined,
        },
        { start: instant(...from), finish: timeOf(to) },
        { zone: newZone(zone), now },
      ),
    );
    const [start, finish, origin] = (window ?? []).map(timeOf);
    const warning = message === undefined ? {} : { warning: message };
    expect({ asked, got }).toEqual({
      asked,
      got:
        code < 0 ? { code: -12345, message: message ?? "" } : { start, finish, origin, ...warning },
    } as never);
  }
});

test("a later -S never starts earlier, and all times lie within their bounds", () => {
  const zone = newZone("America/New_York");
  const length = 10_000;
  const seconds = fc.double({ min: 0, max: 2 * length, noNaN: true });
  const align = fc.option(fc.constantFrom("1", "7s", "10min", "0.3"), { nil: undefined });
  fc.assert(
    fc.property(seconds, seconds, seconds, seconds, align, (a, b, last, first, step) => {
      const bounds = { start: now, finish: { sec: now.sec + length, nsec: 5 } };
      const windowFrom = (start: number): ReturnType<typeof timeWindow> =>
        timeWindow(
          { start: `${start}`, finish: `${last}`, align: step, origin: `${first}` },
          bounds,
          { zone, now },
        );
      const [early, late] = [windowFrom(Math.min(a, b)), windowFrom(Math.max(a, b))];
      if (early.warning === undefined && late.warning === undefined) {
        expect(compareTimes(early.start, late.start)).toBeLessThanOrEqual(0);
      }
      for (const { start, finish, origin } of [early, late]) {
        expect(compareTimes(start, bounds.start)).toBeGreaterThanOrEqual(0);
        expect(compareTimes(finish ?? start, bounds.finish)).toBeLessThanOrEqual(0);
        // In a window that ends before it starts PCP's origin is at either end.
        if (finish === undefined || compareTimes(start, finish) > 0) continue;
        expect(compareTimes(origin, start)).toBeGreaterThanOrEqual(0);
        expect(compareTimes(origin, finish)).toBeLessThanOrEqual(0);
      }
    }),
    { seed: 34, numRuns: 500 },
  );
});

test("a live source has no end unless -T gives one", () => {
  const setting = { zone: UTC, now };
  expect(timeWindow({}, { start: now }, setting)).toEqual({
    start: now,
    finish: undefined,
    origin: now,
  });
  expect(timeWindow({ finish: "10s" }, { start: now }, setting).finish).toEqual({
    sec: now.sec + 10,
    nsec: 0,
  });
});

test("a blank after the sign and a second @ change nothing but the message", () => {
  const bounds = { start: now, finish: addSpan(now, { sec: 20_000, nsec: 0 }) };
  const start = (text: string): Instant =>
    timeWindow({ start: text }, bounds, { zone: UTC, now }).start;
  expect(start("@@5:40")).toEqual(start("@ @5:40"));
  expect(start("- 10min")).toEqual(start("-10min"));
  expect(outcome(() => start("+ 5 x y"))).toMatchObject({
    message: " 5 x y\n   ^ -- unexpected value\n",
  });
});

test("instants are exact", () => {
  const time = fc.record({
    sec: fc.integer({ min: -(2 ** 40), max: 2 ** 40 }),
    nsec: fc.integer({ min: 0, max: 999_999_999 }),
  });
  fc.assert(
    fc.property(time, time, (a, b) => {
      const sum = addSpan(a, b);
      expect(nanosecondsOf(sum)).toBe(nanosecondsOf(a) + nanosecondsOf(b));
      expect(subtractSpan(sum, b)).toEqual(a);
      expect(instantOf(nanosecondsOf(a))).toEqual(a);
      expect(Math.sign(compareTimes(a, b))).toBe(
        Number(nanosecondsOf(a) > nanosecondsOf(b)) - Number(nanosecondsOf(a) < nanosecondsOf(b)),
      );
      expect(secondsBetween(a, a)).toBe(0);
    }),
    { seed: 35, numRuns: 500 },
  );
  expect(instant(5, -1)).toEqual({ sec: 4, nsec: 999_999_999 });
  expect(() => instant(0.5)).toThrow("no time in whole nanoseconds");
  expect(alignUp({ sec: 7, nsec: 1 }, { sec: 0, nsec: 300_000_000 })).toEqual({
    sec: 7,
    nsec: 200_000_000,
  });
  expect(spanOf(-0.25)).toEqual({ sec: -1, nsec: 750_000_000 });
  expect(secondsOf(spanOf(1.5))).toBe(1.5);
});

test("samples go from the origin to the end, as many as were asked for", () => {
  // Spec archive.md 14.6: qa/ok-foo at every second gives 9 samples.
  const origin = { sec: 902_428_472, nsec: 257_504_000 };
  const finish = { sec: 902_428_480, nsec: 258_477_000 };
  const second = { sec: 1, nsec: 0 };
  const times = [...sampleTimes({ origin, finish }, second)];
  expect(times).toHaveLength(9);
  expect(times.at(-1)).toEqual({ sec: 902_428_480, nsec: 257_504_000 });
  expect([...sampleTimes({ origin }, { sec: 0, nsec: 600_000_000 }, 3)].at(-1)).toEqual({
    sec: 902_428_473,
    nsec: 457_504_000,
  });
  expect([...sampleTimes({ origin: finish, finish: origin }, second)]).toEqual([]);
  expect(() => [...sampleTimes({ origin, finish }, { sec: 0, nsec: 0 })]).toThrow("more than 0");
});
