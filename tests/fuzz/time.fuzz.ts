// Fuzzes the readers of time zones, intervals and time windows with texts of likely pieces.
// The promise: a window within its bounds and in exact numbers, or a PcpError whose message has the
// text and a caret below it; the same answer twice; and local times that come back.
import { PcpError } from "../../lib/base/mod.ts";
import {
  compareTimes,
  type Instant,
  localTime,
  newZone,
  secondOfLocal,
  timeWindow,
} from "../../lib/pcp/mod.ts";
import { FuzzFinding, type Fuzzer, type Random, seeded } from "./random.ts";

const PIECES =
  "@ - + : / , . ( ) ago last next first twelfth year months fortnight week days hour min secs msec nsec am p.m. EST edt dst z jul Monday sept tomorrow yesterday now 0 1 02:30 24:61 2024-03-10 10/6/2024 20240310 9007199254740993 1e9 1e308 0x1p3 nan inf 1.9999999999 -0 é \u{1f551}".split(
    " ",
  );
const ZONE_PIECES =
  "EST 5 EDT -10 +03 < > , M3.2.0 M10.5.6 M13.9.9 J60 J366 365 / /2 /-1:30:15 /167 : Europe/London America/New_York UTC 99999999999 :30".split(
    " ",
  );

const textOf = (pieces: readonly string[], random: Random, blank: string): string => {
  let text = "";
  for (let left = random.below(7); left >= 0; left--) {
    text += random.pick(pieces) + (random.below(3) === 0 ? blank : "");
  }
  return text;
};

const exact = ({ sec, nsec }: Instant): boolean =>
  Number.isSafeInteger(sec) && Number.isInteger(nsec) && nsec >= 0 && nsec < 1e9;

/** The answer as text; throws where a promise is broken. */
function outcome(zoneName: string, options: Record<string, string>, live: boolean): string {
  const now = { sec: 1_710_060_000, nsec: 1 };
  const finish = live ? undefined : { sec: 1_710_080_000, nsec: 999_999_999 };
  try {
    const zone = newZone(zoneName);
    const window = timeWindow(options, { start: now, finish }, { zone, now });
    const { start, origin } = window;
    for (const time of [start, window.finish ?? start, origin]) {
      if (!exact(time)) throw new Error(`${time.sec}.${time.nsec} is not exact`);
      const period = zone.periodAt(time.sec);
      if (time.sec < period.from || time.sec >= period.to) throw new Error("not in its period");
      const fields = localTime(time, zone);
      const again = secondOfLocal(fields, zone);
      const far = Math.min(time.sec - period.from, period.to - time.sec) > 200_000;
      if (far && again !== time.sec) throw new Error(`${time.sec} came back as ${again}`);
    }
    if (compareTimes(start, now) < 0) throw new Error("starts before its bounds");
    const last = window.finish ?? origin;
    if (compareTimes(start, last) <= 0) {
      if (compareTimes(origin, start) < 0) throw new Error("the origin is before the start");
      if (compareTimes(last, origin) < 0) throw new Error("the origin is after the end");
    }
    return JSON.stringify(window);
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
    const known = /^[^]*\n\s*\^ -- [^\n]+\n$| is no name of a time zone$/;
    if (!known.test(error.message)) throw new Error(`odd message ${error.message}`);
    return error.message;
  }
}

/** Fuzzes newZone and timeWindow. */
export const fuzzTimes: Fuzzer = (seed, iterations) => {
  const random = seeded(seed);
  for (let iteration = 0; iteration < iterations; iteration++) {
    const zone = textOf(ZONE_PIECES, random, "");
    const options: Record<string, string> = {};
    for (const name of ["start", "finish", "align", "origin"]) {
      if (random.below(2) === 0) options[name] = textOf(PIECES, random, " ");
    }
    const live = random.below(2) === 0;
    const input = JSON.stringify({ zone, options, live });
    try {
      const once = outcome(zone, options, live);
      if (outcome(zone, options, live) !== once) throw new Error("two answers");
    } catch (error) {
      throw new FuzzFinding("time", seed, iteration, input, String(error), { cause: error });
    }
  }
};
