// Goal: instants become local times and local times become instants as in the real library, in IANA
// zones and in POSIX strings, near changes of the clocks too; and they round-trip away from those.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  clockText,
  ctimeText,
  type LocalTime,
  localTime,
  localZone,
  newZone,
  secondOfLocal,
  UTC,
} from "../../lib/pcp/mod.ts";
import { outcome, rows } from "./fixtures.ts";

/** Rows of PCP 7.2, and those of 6.0.3 in zones whose names 7.2 refuses. */
const both = <Row>(name: string): Row[] => [...rows<Row>(name), ...rows<Row>(name, 6)];

// The GNU C library takes rules for a string without any from a file of New York's and bends them,
// for EST5EDT too where that zone's own file is not installed; and it makes something up of rules
// that do not exist.
const bent = new Set(["EST5EDT", "AEST-10AEDT", "AAA24BBB", "EST5EDT,M13.2.0,M11.1.0"]);

const fieldsOf = (at: LocalTime): number[] => [
  at.year,
  at.month,
  at.day,
  at.hour,
  at.minute,
  at.second,
  at.weekDay,
  at.yearDay,
];

test("every recorded zone name", () => {
  for (const row of both<{ zone: string; code: number; name: string | null }>("time-zones")) {
    const got = outcome(() => newZone(row.zone));
    if (row.code < 0 && !row.zone.includes("<")) expect(got).toMatchObject({ code: row.code });
    else expect(got).toMatchObject({ name: row.name ?? row.zone });
  }
});

test("every recorded local time", () => {
  type Row = {
    zone: string;
    sec: number;
    fields: number[];
    offset: number;
    dst: boolean;
    ctime: string;
  };
  for (const { zone: name, sec, fields, offset, dst, ctime } of both<Row>("time-local")) {
    if (bent.has(name)) continue;
    const zone = newZone(name);
    const got = localTime({ sec }, zone);
    expect({
      name,
      sec,
      fields: fieldsOf(got),
      offset: got.offset,
      dst: got.daylight,
      ctime: `${ctimeText({ sec, nsec: 0 }, zone)}\n`,
    }).toEqual({ name, sec, fields, offset, dst, ctime });
  }
});

test("every recorded instant of a local time", () => {
  type Row = { zone: string; fields: number[]; sec: number };
  for (const { zone, fields, sec } of both<Row>("time-mktime")) {
    if (bent.has(zone)) continue;
    const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = fields;
    const got = secondOfLocal({ year, month, day, hour, minute, second }, newZone(zone));
    expect({ zone, fields, sec: got }).toEqual({ zone, fields, sec });
  }
});

test("every recorded text", () => {
  type Row = {
    zone: string;
    sec: number;
    nsec: number;
    stamp: string;
    highres: string;
    timeval: string;
    timespec: string;
  };
  for (const row of both<Row>("time-texts")) {
    const { zone: name, ...at } = row;
    if (bent.has(name)) continue;
    const zone = newZone(name);
    expect(row).toMatchObject({
      stamp: clockText(at, zone),
      highres: clockText(at, zone, 9),
      timespec: clockText(at, zone, 9),
    });
    // The library's struct for microseconds ends in 2038.
    if (row.sec < 2 ** 31) expect(row.timeval).toBe(clockText(at, zone, 6));
  }
});

describe("properties", () => {
  const names = [
    "America/New_York",
    "Australia/Lord_Howe",
    "Europe/London",
    "AEST-10AEDT,M10.1.0,M4.1.0/3",
    "<-0330>+3:30<-0230>,M3.2.0/0:01,M11.1.0/0:01",
    "XXX3YYY,59,299/1:30:15",
    "nonsense",
  ];
  const zones = names.map((name) => newZone(name));
  const seconds = fc.integer({ min: -2_000_000_000, max: 8_000_000_000 });

  test("local times away from changes come back", () => {
    fc.assert(
      fc.property(fc.constantFrom(...zones), seconds, (zone, sec) => {
        const { from, to } = zone.periodAt(sec);
        fc.pre(sec - from > 90_000 && to - sec > 90_000);
        expect(secondOfLocal(localTime({ sec }, zone), zone)).toBe(sec);
      }),
      { seed: 31, numRuns: 1000 },
    );
  });

  test("a local time near a change is one that the clock shows, or a skipped one", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...zones),
        seconds,
        fc.integer({ min: -8000, max: 8000 }),
        (zone, some, near) => {
          const { to } = zone.periodAt(some);
          fc.pre(Number.isFinite(to));
          const sec = to + near;
          const shown = localTime({ sec }, zone);
          const again = localTime({ sec: secondOfLocal(shown, zone) }, zone);
          expect(fieldsOf(again)).toEqual(fieldsOf(shown));
        },
      ),
      { seed: 32, numRuns: 1000 },
    );
  });

  test("a period holds its second and touches the next one", () => {
    fc.assert(
      fc.property(fc.constantFrom(...zones), seconds, (zone, sec) => {
        const period = zone.periodAt(sec);
        expect(period.from <= sec && sec < period.to).toBe(true);
        expect(zone.periodAt(Number.isFinite(period.to) ? period.to - 1 : sec)).toEqual(period);
        if (Number.isFinite(period.to)) expect(zone.periodAt(period.to).from).toBe(period.to);
      }),
      { seed: 33, numRuns: 500 },
    );
  });
});

test("times that Date does not know", () => {
  for (const zone of [UTC, newZone("America/New_York"), newZone("EST5EDT,M3.2.0,M11.1.0")]) {
    for (const sec of [9e12, -9e12, 2 ** 52, -(2 ** 52)]) {
      expect(secondOfLocal(localTime({ sec }, zone), zone)).toBe(sec);
    }
  }
  expect(ctimeText({ sec: 253_402_300_800, nsec: 5 }, UTC, 9)).toBe(
    "Sat Jan  1 00:00:00.000000005 10000",
  );
});

test("the zone of the process", () => {
  expect(localZone({ TZ: "EST" }).name).toBe("EST");
  expect(localZone({ TZ: "EST" }).periodAt(0).offset).toBe(-18_000);
  expect(localZone({ TZ: "" })).toBe(UTC);
  expect(localZone({ TZ: "AEST-10" }).periodAt(0).offset).toBe(36_000);
  expect(localZone({}).name).not.toBe("");
});

test("every name of universal time is it", () => {
  for (const name of ["UTC", "UCT", "GMT", "Zulu", "Universal"]) {
    for (const zone of [newZone(name), newZone(`Etc/${name}`), newZone(`:Etc/${name}`)]) {
      expect(zone.periodAt(1_700_000_000)).toMatchObject({ offset: 0, daylight: false });
    }
  }
});

test("daylight saving without rules is that of the United States", () => {
  const offset = (text: string): number =>
    newZone("AAA5BBB").periodAt(Date.parse(text) / 1000).offset;
  expect(offset("2024-03-10T06:59:59Z")).toBe(-18_000);
  expect(offset("2024-03-10T07:00:00Z")).toBe(-14_400);
  expect(offset("2024-11-03T05:59:59Z")).toBe(-14_400);
  expect(offset("2024-11-03T06:00:00Z")).toBe(-18_000);
  // A zone of the database by this name, with the rules of 1998.
  expect(newZone("EST5EDT").periodAt(Date.UTC(1998, 9, 20) / 1000).daylight).toBe(true);
});
