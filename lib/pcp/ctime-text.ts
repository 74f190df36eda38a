// Calendar times of a time window in the manner of ctime(3): `Mar 4 13:07:47.5`, `13:10`, `3:30 pm`
// (spec archive.md 14.3). What is missing comes from a time of reference. Refuses everything else
// with PCP's reasons; callers then try the freer language of getdate.
import { type Instant, NANOSECONDS } from "./instant.ts";
import { type TimeComplaint, UNEXPECTED } from "../base/mod.ts";
import { localTime, secondOfLocal, type Zone } from "./timezone.ts";

const WEEK_DAYS = "sun mon tue wed thu fri sat".split(" ");
const MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split(" ");

const WORD = /[ \t\n\v\f\r]*([A-Za-z]{3})/y;
const NUMBER = /[ \t\n\v\f\r]*([+-]?\d+)/y;
const REAL = /[ \t\n\v\f\r]*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)/y;
const COLON = /[ \t\n\v\f\r]*:/y;
const HALF = /[ \t\n\v\f\r]*([AaPp])[Mm]/y;
const BLANKS = /[ \t\n\v\f\r]*/y;

/** The fields that a text gives. */
interface Fields {
  month: number | undefined;
  day: number | undefined;
  hour: number | undefined;
  minute: number | undefined;
  second: number | undefined;
  nsec: number;
  year: number | undefined;
}

/** Reads a text from left to right; what does not match leaves the place as it is. */
function scanner(text: string) {
  let at = 0;
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    return pattern.exec(text);
  };
  return {
    skip: (pattern: RegExp): RegExpExecArray | null => {
      const found = take(pattern);
      if (found !== null) at = pattern.lastIndex;
      return found;
    },
    word: (words: readonly string[]): number | undefined => {
      const index = words.indexOf(take(WORD)?.[1]?.toLowerCase() ?? "");
      if (index < 0) return undefined;
      at = WORD.lastIndex;
      return index;
    },
    number: (pattern: RegExp, least: number, most: number): number | undefined => {
      const digits = take(pattern)?.[1];
      const value = Number(digits);
      if (digits === undefined || value < least || value > most) return undefined;
      at = pattern.lastIndex;
      return value;
    },
    next: (pattern: RegExp): boolean => take(pattern) !== null,
    place: (): number => at,
  };
}

function readFields(text: string): Fields | TimeComplaint {
  const { skip, word, number, next, place } = scanner(text);
  const wrong = (reason: string): TimeComplaint => ({ text, at: place(), reason });
  const weekDay = word(WEEK_DAYS);
  const month = word(MONTHS);
  let day = number(NUMBER, 0, 31);
  let hour = number(NUMBER, 0, 23);
  if (
    day !== undefined &&
    hour === undefined &&
    day <= 23 &&
    (month === undefined || next(COLON))
  ) {
    hour = day;
    day = undefined;
  }
  let minute: number | undefined;
  let second: number | undefined;
  let nsec = 0;
  if (skip(COLON) !== null) {
    hour ??= 0;
    minute = number(NUMBER, 0, 59) ?? 0;
    if (skip(COLON) !== null) {
      const real = number(REAL, 0, 61) ?? 0;
      second = Math.floor(real);
      nsec = Math.floor((real - second) * NANOSECONDS);
    }
  }
  skip(BLANKS);
  if (hour !== undefined && next(HALF)) {
    if (hour > 12) return wrong(UNEXPECTED);
    const afternoon = skip(HALF)?.[1]?.toLowerCase() === "p";
    hour = (hour % 12) + (afternoon ? 12 : 0);
  }
  const year = number(NUMBER, 1900, 9999);
  skip(BLANKS);
  if (place() < text.length) return wrong(UNEXPECTED);
  const dated = month !== undefined || day !== undefined;
  const loneHour = hour !== undefined && minute === undefined && year === undefined;
  if (!dated && (weekDay !== undefined || loneHour)) return wrong("more information expected");
  if (day === 0 && hour !== undefined) day = undefined;
  return { month, day, hour, minute, second, nsec, year };
}

/**
 * A calendar time in a zone; what the text leaves out comes from `start`, the next such time after
 * it where the day or a higher field is missing.
 */
export function readCtime(text: string, start: Instant, zone: Zone): Instant | TimeComplaint {
  const fields = readFields(text);
  if ("reason" in fields) return fields;
  const { nsec } = fields;
  const base = localTime(start, zone);
  const low = { month: 0, day: 1, hour: 0, minute: 0, second: 0 };
  const names = ["month", "day", "hour", "minute", "second"] as const;
  const time = { ...base, ...low };
  const highest =
    fields.year === undefined ? names.findIndex((each) => fields[each] !== undefined) : 0;
  if (highest < 0) return start;
  for (const [index, name] of names.entries()) {
    time[name] = index < highest ? base[name] : (fields[name] ?? low[name]);
  }
  if (fields.year !== undefined) {
    time.year = fields.year;
  } else {
    const name = names[highest] ?? "month";
    if (time[name] < base[name]) time[highest === 0 ? "year" : (names[highest - 1] ?? "year")]++;
  }
  return { sec: secondOfLocal(time, zone), nsec };
}
