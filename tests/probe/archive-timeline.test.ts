// Goal: the picture of an archive shows when it has records, where gaps, marks and borders stand, and a
// time axis in the zone asked for; it never is wider than the terminal, in ASCII it is ASCII.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { join } from "node:path";
import { newZone, UTC } from "../../lib/pcp/mod.ts";
import { archiveReport, type Density, timelineLegend, timelineLines } from "../../lib/probe/mod.ts";

const FOLDER = join(import.meta.dir, "../fixtures/archives");
const reportOf = (...names: readonly string[]) =>
  archiveReport(names.map((name) => join(FOLDER, name)).join(","));

describe("pictures", () => {
  test("of an archive with a gap at a mark", () => {
    const report = reportOf("rec/v3-mark");
    expect(timelineLines(report, { width: 60, zone: UTC })).toEqual([
      "▇███████████▇             █████████████████████████████▅",
      "█████████████╌╌╌╌╌╌╌╌╌╌╌╌▃██████████████████████████████   ▁",
      "            ▲",
      "──────────────┬─────────────────────┬────────────────────┬──",
      "              20:53:25              20:53:30",
    ]);
    expect(timelineLegend(report)).toBe("▲ mark   ╌ gap");
  });

  test("of a set, in ASCII", () => {
    const report = reportOf("set/a1", "set/a2", "set/a3");
    expect(timelineLines(report, { width: 60, zone: UTC, ascii: true, height: 1 })).toEqual([
      "O##############.      :##############o      .###############",
      "               ^      H              ^      H",
      "----+-------------------+-------------------+---------------",
      "    20:53:36            20:53:38            20:53:40",
    ]);
    expect(timelineLegend(report, true)).toBe("^ mark   H next archive");
  });

  test("of volumes, in another zone", () => {
    const report = reportOf("rec/v3-mv");
    const zone = newZone("AEST-10");
    expect(timelineLines(report, { width: 40, zone, height: 1 })).toEqual([
      "▇███████████████████████████████████████",
      "      │             │            │",
      "──────────┬────────────┬─────────────┬──",
      "          06:53:04     06:53:06",
    ]);
    expect(timelineLegend(report)).toBe("│ next volume");
  });

  test("of nothing, and in no room, there is none", () => {
    expect(timelineLines(reportOf("no/such"), { width: 60, zone: UTC })).toEqual([]);
    expect(timelineLines(reportOf("rec/v3-mark"), { width: 10, zone: UTC })).toEqual([]);
  });
});

/** A density of steady records from a time on. */
const steady = (sec: number, seconds: number): Density => ({
  from: { sec, nsec: 0 },
  step: seconds / 480,
  records: Array.from({ length: 480 }, () => 1),
  marks: Array.from({ length: 480 }, () => 0),
  volumeBorders: [],
  memberBorders: [],
});

describe("axes", () => {
  const labels = (sec: number, seconds: number, zone = UTC): string | undefined =>
    timelineLines({ density: steady(sec, seconds), gaps: [] }, { width: 60, zone }).at(-1);

  const NEW_YEAR = 1_704_067_200;
  for (const [what, sec, seconds, expected] of [
    ["milliseconds", NEW_YEAR, 0.02, "Jan 1                         00:00:00.010"],
    ["seconds", NEW_YEAR, 20, "Jan 1          00:00:05       00:00:10       00:00:15"],
    ["minutes", NEW_YEAR + 60, 3000, "          00:10       00:20       00:30       00:40"],
    [
      "hours over midnight",
      NEW_YEAR - 40_000,
      80_000,
      "             18:00            Jan 1           06:00",
    ],
    ["days", NEW_YEAR - 86_400, 700_000, "Dec 31        Jan 2          Jan 4          Jan 6"],
    ["months", NEW_YEAR, 30_000_000, "Jan 2024       Apr 2024        Jul 2024        Oct 2024"],
    ["years", NEW_YEAR, 300_000_000, "2024        2026         2028        2030         2032"],
    [
      "centuries",
      NEW_YEAR,
      20_000_000_000,
      "                2200               2400               2600",
    ],
  ] as const) {
    test(`of ${what}`, () => expect(labels(sec, seconds)).toBe(expected));
  }

  test("days begin at local midnight, also after the clocks change", () => {
    // 2024-03-29 to 2024-04-02; summer time begins on the 31st.
    const berlin = labels(1_711_670_400, 345_600, newZone("Europe/Berlin"));
    expect(berlin).toBe("              Mar 30         Mar 31        Apr 1");
  });
});

test("no line is wider than asked, whatever the records", () => {
  const time = fc.record({
    sec: fc.integer({ min: -1e10, max: 1e12 }),
    nsec: fc.integer({ min: 0, max: 999_999_999 }),
  });
  const density = fc.record({
    from: time,
    step: fc.double({ min: 1e-9, max: 1e9, noNaN: true }),
    records: fc.array(fc.double({ min: 0, max: 1e6, noNaN: true }), {
      minLength: 1,
      maxLength: 600,
    }),
    marks: fc.array(fc.nat(2), { minLength: 1, maxLength: 600 }),
    volumeBorders: fc.array(time, { maxLength: 5 }),
    memberBorders: fc.array(time, { maxLength: 5 }),
  });
  const gap = fc.record({
    from: time,
    to: time,
    seconds: fc.double({ min: 0, max: 1e9, noNaN: true }),
    mark: fc.boolean(),
  });
  fc.assert(
    fc.property(
      density,
      fc.array(gap, { maxLength: 5 }),
      fc.integer({ min: 16, max: 300 }),
      fc.boolean(),
      (made, gaps, width, ascii) => {
        const lines = timelineLines({ density: made, gaps }, { width, zone: UTC, ascii });
        expect(lines.length).toBeGreaterThanOrEqual(4);
        for (const line of lines) {
          expect([...line].length).toBeLessThanOrEqual(width);
          if (ascii) expect(line).toMatch(/^[ -~]*$/);
        }
      },
    ),
    { seed: 7, numRuns: 200 },
  );
});
