// What the items of a getdate text come to (spec archive.md 14.5 "Evaluation"). Refuses dates and
// clock times that do not exist, and times before 1970.
import { localTime, type Zone } from "./timezone.ts";

/** What a text has said; the counts are of items of that kind. */
export interface GetdateItems {
  year: number;
  /** 1..12 */
  month: number;
  day: number;
  hour: number;
  minute: number;
  second: number;
  half: "24" | "am" | "pm";
  /** Minutes west of Greenwich, without daylight saving. */
  west: number;
  /** Whether daylight saving holds; undefined: as in the zone at that time. */
  daylight: boolean | undefined;
  weekDay: number;
  /** Which such day of the week; the first is the coming one. */
  ordinal: number;
  /** To be added. */
  seconds: number;
  months: number;
  times: number;
  zones: number;
  dates: number;
  days: number;
  /** `tomorrow` and such words, which mean the start of a day. */
  aligned: number;
  relatives: number;
}

const DAY = 86_400;
const MONTH_DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] as const;
/** What PCP's own conversion gives for a date that does not exist. */
const NO_TIME = -1;
/** Times further than this from 1970, in seconds, are refused: they would not be exact. */
const LAST_SECOND = 2 ** 50;
/** The years of dates, which bounds the counting of days. */
const LAST_YEAR = 1_000_000;

function secondOfDay({ hour, minute, second, half }: GetdateItems): number | undefined {
  if (minute < 0 || minute > 59 || second < 0 || second > 59) return undefined;
  if (half === "24") {
    return hour < 0 || hour > 23 ? undefined : hour * 3600 + minute * 60 + second;
  }
  if (hour < 1 || hour > 12) return undefined;
  return ((hour % 12) + (half === "pm" ? 12 : 0)) * 3600 + minute * 60 + second;
}

function fullYear(year: number): number {
  const size = Math.abs(year);
  return size < 69 ? size + 2000 : size < 100 ? size + 1900 : size;
}

/** The second of a date and clock time, undefined if there is no such. */
function absolute(items: GetdateItems, zone: Zone): number | undefined {
  const year = fullYear(items.year);
  const { month, day } = items;
  const clock = secondOfDay(items);
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  const length = month === 2 && leap ? 29 : MONTH_DAYS[month - 1];
  if (year < 1970 || year > LAST_YEAR || length === undefined || day < 1 || day > length)
    return undefined;
  if (clock === undefined) return undefined;
  let days = day - 1;
  for (const each of MONTH_DAYS.slice(0, month - 1)) days += each;
  if (leap && month > 2) days++;
  // Every fourth year counts as a leap year here, 2100 as well.
  days += (year - 1970) * 365 + Math.floor((year - 1969) / 4);
  const sec = days * DAY + clock + items.west * 60;
  const daylight = items.daylight ?? zone.periodAt(sec).daylight;
  const found = daylight ? sec - 3600 : sec;
  return found < 0 ? undefined : found;
}

/** `to`, moved so that the clock shows the hour of `from`. */
function sameHour(from: number, to: number, zone: Zone): number {
  const hour = (sec: number): number => (localTime({ sec }, zone).hour + 1) % 24;
  return to + (hour(from) - hour(to)) * 3600;
}

function addMonths(sec: number, items: GetdateItems, zone: Zone): number {
  if (items.months === 0) return sec;
  const { year, month, day, hour, minute, second } = localTime({ sec }, zone);
  const months = year * 12 + month + items.months;
  const moved: GetdateItems = {
    ...items,
    year: Math.trunc(months / 12),
    month: (months % 12) + 1,
    day,
    hour,
    minute,
    second,
    half: "24",
    daylight: undefined,
  };
  return sameHour(sec, absolute(moved, zone) ?? NO_TIME, zone);
}

function toWeekDay(sec: number, { weekDay, ordinal }: GetdateItems, zone: Zone): number {
  const ahead = (weekDay - localTime({ sec }, zone).weekDay + 7) % 7;
  const weeks = ordinal <= 0 ? ordinal : ordinal - 1;
  return sameHour(sec, sec + (ahead + weeks * 7) * DAY, zone);
}

/** Items that say nothing yet, and what they come to, as seconds, once they are filled in. */
export function calendar(
  reference: number,
  zone: Zone,
): { readonly items: GetdateItems; readonly evaluate: () => number | undefined } {
  const base = localTime({ sec: reference }, zone);
  const items: GetdateItems = {
    year: base.year,
    month: base.month + 1,
    day: base.day,
    hour: 0,
    minute: 0,
    second: 0,
    half: "24",
    west: Math.trunc(-base.offset / 60) + (base.daylight ? 60 : 0),
    daylight: undefined,
    weekDay: 0,
    ordinal: 0,
    seconds: 0,
    months: 0,
    times: 0,
    zones: 0,
    dates: 0,
    days: 0,
    aligned: 0,
    relatives: 0,
  };
  const evaluate = (): number | undefined => {
    const midnight = base.hour * 3600 + base.minute * 60 + base.second;
    const { dates, times, days, aligned, relatives } = items;
    const start =
      dates + times + days + aligned > 0
        ? absolute(items, zone)
        : reference - (relatives > 0 ? 0 : midnight);
    if (start === undefined || Math.abs(start + items.seconds) > LAST_SECOND) return undefined;
    const moved = addMonths(start + items.seconds, items, zone);
    return days > 0 && dates === 0 ? toWeekDay(moved, items, zone) : moved;
  };
  return { items, evaluate };
}
