// The freer language of calendar times: `2001-09-09 03:00 EST`, `next monday`, `3 days ago` (spec
// archive.md 14.5), with its odd corners as PCP has them. Refuses what PCP refuses.
import { calendar, type GetdateItems } from "./getdate-time.ts";
import { type GetdateToken, getdateTokens } from "./getdate-words.ts";
import type { Instant } from "./instant.ts";
import type { Zone } from "./timezone.ts";

/** Tokens with the places of grammar rules that have been read. */
interface Reading {
  readonly tokens: readonly GetdateToken[];
  at: number;
  readonly items: GetdateItems;
}

const END: GetdateToken = { kind: "end", value: 0, text: "" };

const peek = (reading: Reading, ahead = 0): GetdateToken =>
  reading.tokens[reading.at + ahead] ?? END;

function next(reading: Reading): GetdateToken {
  const token = peek(reading);
  reading.at++;
  return token;
}

/** The value of the next token if it is of that kind. */
function take(reading: Reading, kind: GetdateToken["kind"], text?: string): number | undefined {
  const token = peek(reading);
  if (token.kind !== kind || (text !== undefined && token.text !== text)) return undefined;
  reading.at++;
  return token.value;
}

const halfOf = (value: number | undefined): GetdateItems["half"] =>
  value === undefined ? "24" : value === 0 ? "am" : "pm";

function clock(reading: Reading, hour: number): boolean {
  const { items } = reading;
  const minute = take(reading, "number");
  if (minute === undefined) return false;
  let second: number | undefined = 0;
  if (take(reading, "sign", ":") !== undefined) second = take(reading, "number");
  if (second === undefined) return false;
  const east = take(reading, "signed");
  if (east !== undefined) {
    items.daylight = false;
    items.west = -((east % 100) + Math.trunc(east / 100) * 60);
  }
  items.half = east === undefined ? halfOf(take(reading, "half")) : "24";
  Object.assign(items, { hour, minute, second });
  items.times++;
  return true;
}

/** Whether the date could be read; fields that are not given keep what they have. */
function date(items: GetdateItems, month?: number, day?: number, year?: number): boolean {
  if (month === undefined || day === undefined) return false;
  Object.assign(items, { month, day }, year === undefined ? {} : { year });
  items.dates++;
  return true;
}

function slashes(reading: Reading, first: number): boolean {
  const second = take(reading, "number");
  if (second === undefined) return false;
  if (take(reading, "sign", "/") === undefined) return date(reading.items, first, second);
  const third = take(reading, "number");
  if (third === undefined) return false;
  return first >= 100
    ? date(reading.items, second, third, first)
    : date(reading.items, first, second, third);
}

function dayAndMonth(reading: Reading, day: number): boolean {
  const month = next(reading).value;
  const dashed = take(reading, "signed");
  const year = dashed === undefined ? take(reading, "number") : -dashed;
  return date(reading.items, month, day, year);
}

function monthAndDay(reading: Reading, month: number): boolean {
  const day = take(reading, "number");
  if (take(reading, "sign", ",") === undefined) return date(reading.items, month, day);
  const year = take(reading, "number");
  return year !== undefined && date(reading.items, month, day, year);
}

function weekDay(reading: Reading, ordinal: number): boolean {
  const { items } = reading;
  items.weekDay = next(reading).value;
  items.ordinal = ordinal;
  items.days++;
  return true;
}

function relative(reading: Reading, count: number): boolean {
  const { items } = reading;
  const unit = next(reading);
  if (unit.kind === "months") items.months += count * unit.value;
  else items.seconds += count * unit.value;
  if (unit.kind === "days") items.aligned++;
  if (take(reading, "ago") !== undefined) {
    items.seconds = -items.seconds;
    items.months = -items.months;
  }
  if (unit.kind !== "days") items.relatives++;
  return true;
}

const isUnit = (token: GetdateToken): boolean =>
  token.kind === "seconds" || token.kind === "months" || token.kind === "days";

/** A number that nothing follows that it belongs to. */
function lone(items: GetdateItems, value: number): boolean {
  if (items.times > 0 && items.dates > 0 && items.relatives === 0) {
    items.year = value;
    return true;
  }
  if (value > 10_000) {
    return date(items, Math.trunc(value / 100) % 100, value % 100, Math.trunc(value / 10_000));
  }
  items.times++;
  items.half = "24";
  const hour = value < 100 ? value : Math.trunc(value / 100);
  Object.assign(items, { hour, minute: value < 100 ? 0 : value % 100, second: 0 });
  return true;
}

function afterNumber(reading: Reading, value: number): boolean {
  const { items } = reading;
  const token = peek(reading);
  if (isUnit(token)) return relative(reading, value);
  switch (token.kind) {
    case "half":
      items.half = halfOf(next(reading).value);
      Object.assign(items, { hour: value, minute: 0, second: 0 });
      items.times++;
      return true;
    case "month":
      return dayAndMonth(reading, value);
    case "weekDay":
      return weekDay(reading, value);
    case "signed": {
      const month = -next(reading).value;
      const day = take(reading, "signed");
      return day !== undefined && date(items, month, -day, value);
    }
    case "sign":
      if (take(reading, "sign", ":") !== undefined) return clock(reading, value);
      if (take(reading, "sign", "/") !== undefined) return slashes(reading, value);
      return lone(items, value);
    default:
      return lone(items, value);
  }
}

function zone(reading: Reading): boolean {
  const { items } = reading;
  const token = next(reading);
  items.west = token.value;
  items.daylight = token.kind === "daylightZone" || take(reading, "dst") !== undefined;
  items.zones++;
  return true;
}

/** Reads one item; whether there was one. */
function item(reading: Reading): boolean {
  const token = peek(reading);
  if (isUnit(token)) return relative(reading, 1);
  switch (token.kind) {
    case "number":
      return afterNumber(reading, next(reading).value);
    case "signed":
      reading.at++;
      return isUnit(peek(reading)) && relative(reading, token.value);
    case "month":
      reading.at++;
      return monthAndDay(reading, token.value);
    case "weekDay":
      weekDay(reading, 1);
      take(reading, "sign", ",");
      return true;
    case "zone":
    case "daylightZone":
      return zone(reading);
    default:
      return false;
  }
}

/**
 * The second that a text means, from a time of reference in a zone; undefined for a text that is
 * no such time.
 */
export function readGetdate(text: string, reference: Instant, where: Zone): number | undefined {
  const tokens = getdateTokens(text);
  if (tokens === undefined) return undefined;
  const { items, evaluate } = calendar(reference.sec, where);
  const reading: Reading = { tokens, at: 0, items };
  while (reading.at < tokens.length) if (!item(reading)) return undefined;
  const { times, zones, dates, days, aligned } = items;
  return Math.max(times, zones, dates, days, aligned) > 1 ? undefined : evaluate();
}
