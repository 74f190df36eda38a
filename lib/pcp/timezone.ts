// Time zones as values: names of the IANA database (whose tables are those built into the program)
// and POSIX TZ strings; an instant in local fields and local fields as an instant, as localtime(3)
// and mktime(3) of the GNU C library give them. There is no current zone: callers pass one along.
// Refuses what pmNewZone of PCP 7.2 refuses, but for `<` and `>`, which valid zones have.
import { PcpError } from "../base/mod.ts";
import type { Instant } from "./instant.ts";
import { posixPeriods, type ZonePeriod } from "./posix-zone.ts";

export type { ZonePeriod };

/** A time zone. */
export interface Zone {
  /** As pmWhichZone(3) tells it: `UTC+0`, `Australia/Melbourne`. */
  readonly name: string;
  /** The period that a second (since 1970) lies in. */
  readonly periodAt: (sec: number) => ZonePeriod;
}

/** A local time as struct tm has it, but with the full year. */
export interface LocalTime {
  readonly year: number;
  /** 0..11 */
  readonly month: number;
  /** 1..31 */
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
  /** 0 is Sunday. */
  readonly weekDay: number;
  /** 0..365 */
  readonly yearDay: number;
  readonly daylight: boolean;
  /** Seconds that local time is ahead of UTC. */
  readonly offset: number;
}

/** Date and clock; fields outside their ranges carry over, as for mktime(3). */
export type LocalFields = Pick<LocalTime, "year" | "month" | "day" | "hour" | "minute" | "second">;

const EINVAL = -22;
/** Most periods of a zone kept; an archive seldom spans more than a few. */
const MAX_PERIODS = 64;
/** Seconds that Temporal can tell: 10^8 days around 1970. */
const LAST_SECOND = 8_640_000_000_000;
/** Daylight saving time returns every year; longer periods are changes of the standard. */
const LONGEST_DAYLIGHT = 330 * 86_400;
/** The calendar repeats after so many seconds and 400 years. */
const CYCLE_SECONDS = 146_097 * 86_400;

const atSecond = (sec: number, name: string): Temporal.ZonedDateTime =>
  new Temporal.ZonedDateTime(BigInt(sec) * 1_000_000_000n, name);

const secondOf = (time: Temporal.ZonedDateTime | null, none: number): number =>
  time === null ? none : Number(time.epochNanoseconds / 1_000_000_000n);

const offsetOf = (time: Temporal.ZonedDateTime): number => Math.trunc(time.offsetNanoseconds / 1e9);

/** The period of an IANA zone around `sec`, which lies within the years that Temporal knows. */
function findPeriod(name: string, sec: number): ZonePeriod {
  const here = atSecond(sec, name);
  const offset = offsetOf(here);
  const to = secondOf(here.getTimeZoneTransition("next"), Infinity);
  // "previous" is strictly before, so ask from the second after.
  const from = secondOf(
    sec < LAST_SECOND ? atSecond(sec + 1, name).getTimeZoneTransition("previous") : null,
    -Infinity,
  );
  // The tables built in do not tell what is daylight saving: it is a season ahead of both others.
  const daylight =
    to - from < LONGEST_DAYLIGHT &&
    offset > offsetOf(atSecond(to, name)) &&
    offset > offsetOf(atSecond(from - 1, name));
  return { from, to, offset, daylight };
}

function ianaPeriods(name: string): (sec: number) => ZonePeriod {
  let last = findPeriod(name, 0);
  let known = [last];
  return (sec) => {
    if (sec >= last.from && sec < last.to) return last;
    const bounded = Math.min(Math.max(Math.floor(sec), -LAST_SECOND), LAST_SECOND);
    let found = known.find((each) => bounded >= each.from && bounded < each.to);
    if (found === undefined) {
      found = findPeriod(name, bounded);
      if (known.length >= MAX_PERIODS) known = [];
      known.push(found);
    }
    last = found;
    return found;
  };
}

/** Whether the built-in tables have a zone of exactly this name; letters have their case. */
function isIana(name: string): boolean {
  if (!/^[A-Za-z]/.test(name)) return false;
  try {
    const found = new Intl.DateTimeFormat("en", { timeZone: name }).resolvedOptions().timeZone;
    return found === name || found.toLowerCase() !== name.toLowerCase();
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

/** Names that need none of the built-in tables, which take longer to load than many a command runs. */
const PLAIN_UTC = /^(?:(?:Etc\/)?(?:UTC|UCT|GMT|Zulu|Universal)|UTC\+0|GMT\+0)$/;

/** What the C library makes of the value of TZ: a zone's name, a POSIX string, else UTC. */
function systemZone(name: string): Zone {
  const plain = name.startsWith(":") ? name.slice(1) : name;
  if (PLAIN_UTC.test(plain)) return { name, periodAt: UTC.periodAt };
  let periods: Zone["periodAt"] | undefined;
  return {
    name,
    periodAt(sec) {
      periods ??= isIana(plain) ? ianaPeriods(plain) : posixPeriods(plain);
      return periods(sec);
    },
  };
}

/**
 * The zone of a name, as pmNewZone(3): a name of three characters has no offset, whatever it
 * says (`EST` is `EST+0`), and one that nobody knows is UTC. -EINVAL for an empty name, an absolute
 * path, `..` and characters that no zone has.
 */
export function newZone(name: string): Zone {
  if (!/^[A-Za-z0-9_+\-.:,"'<>][A-Za-z0-9/_+\-.:,"'<>]*$/.test(name) || name.includes("..")) {
    throw new PcpError(EINVAL, `${JSON.stringify(name)} is no name of a time zone`);
  }
  return systemZone(name.length === 3 ? `${name}+0` : name);
}

/** Coordinated universal time. */
export const UTC: Zone = { name: "UTC", periodAt: posixPeriods("UTC0") };

/** The zone of the process: TZ of its environment, else the system's. */
export function localZone(env: Readonly<Record<string, string | undefined>>): Zone {
  const name = env["TZ"];
  if (name !== undefined) return name === "" ? UTC : systemZone(name);
  let found: Zone | undefined;
  const zone = (): Zone =>
    (found ??= systemZone(new Intl.DateTimeFormat("en").resolvedOptions().timeZone));
  return {
    get name() {
      return zone().name;
    },
    periodAt: (sec) => zone().periodAt(sec),
  };
}

/** An instant in a zone's local time, as pmLocaltime(3). */
export function localTime(at: Pick<Instant, "sec">, zone: Zone): LocalTime {
  const { offset, daylight } = zone.periodAt(at.sec);
  const sec = at.sec + offset;
  // Date ends long before 64-bit seconds do, and the calendar repeats.
  const cycles = Math.floor(sec / CYCLE_SECONDS);
  const date = new Date((sec - cycles * CYCLE_SECONDS) * 1000);
  const year = date.getUTCFullYear();
  return {
    year: year + cycles * 400,
    month: date.getUTCMonth(),
    day: date.getUTCDate(),
    hour: date.getUTCHours(),
    minute: date.getUTCMinutes(),
    second: date.getUTCSeconds(),
    weekDay: date.getUTCDay(),
    yearDay: Math.floor((date.getTime() - Date.UTC(year, 0, 1)) / 86_400_000),
    daylight,
    offset,
  };
}

/** The second that these fields are in UTC. */
function utcSecond(fields: LocalFields): number {
  const years = fields.year + Math.floor(fields.month / 12);
  const cycles = Math.floor((years - 2000) / 400);
  const month = fields.month - Math.floor(fields.month / 12) * 12;
  const monthStart = Date.UTC(years - cycles * 400, month, 1) / 1000 + cycles * CYCLE_SECONDS;
  return (
    monthStart + (fields.day - 1) * 86_400 + fields.hour * 3600 + fields.minute * 60 + fields.second
  );
}

/**
 * The second of a local time, as mktime(3) with unknown daylight saving. A time that clocks skip
 * is as much later as they skip. Of two, the one nearer to where the C library starts looking, the
 * same fields in UTC: the first west of Greenwich, the second east of it.
 */
export function secondOfLocal(fields: LocalFields, zone: Zone): number {
  const utc = utcSecond(fields);
  const start = zone.periodAt(utc);
  const first = utc - start.offset;
  const there = zone.periodAt(first);
  if (there.offset === start.offset) return first;
  const second = utc - there.offset;
  const back = zone.periodAt(second);
  if (back.offset === there.offset) return second;
  // Skipped: the library goes to and fro between the two and stops at the one in daylight time.
  return back.daylight && !there.daylight ? second : first;
}
