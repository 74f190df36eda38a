// Time zones written as POSIX TZ strings (`EST5EDT,M3.2.0,M11.1.0`, `<+03>-3`), read as the GNU C
// library reads them: nothing is refused, what cannot be read counts as zero. Two things are not
// copied: a string with a daylight name but no rules has those of the United States since 2007 in
// its own time (the library bends a file of New York's), and half a rule is no rule.

/** A stretch of time in which a zone's clocks do not change. */
export interface ZonePeriod {
  /** First second of the period, and the first one after it; infinite at the ends of time. */
  readonly from: number;
  readonly to: number;
  /** Seconds that local time is ahead of UTC. */
  readonly offset: number;
  /** Whether this is daylight saving time. */
  readonly daylight: boolean;
}

interface Rule {
  readonly kind: "M" | "J" | "day";
  /** Month 1..12, week 1..5 and week day of an M rule; else the number of the day. */
  readonly numbers: readonly number[];
  /** Seconds after midnight. */
  readonly time: number;
}

const NOTHING: Rule = { kind: "day", numbers: [0], time: 0 };
const STARTS: Rule = { kind: "M", numbers: [3, 2, 0], time: 7200 };
const ENDS: Rule = { kind: "M", numbers: [11, 1, 0], time: 7200 };
const DAY = 86_400;

const NAME = /(?:<[A-Za-z0-9+-]{3,}>|[A-Za-z]{3,})/y;
const OFFSET = /([+-]?)(\d+)(?::(\d+)(?::(\d+))?)?/y;
const RULE =
  /,?(?:M(\d+)\.(\d+)\.(\d+)|(J?)(\d+))(?:\/(-?)(\d+)(?::(\d+)(?::(\d+))?)?)?(?=,|$)|,?$/y;

function take(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

const bounded = (digits: string | undefined, most: number): number =>
  Math.min(Number(digits ?? 0), most);

/** Seconds east of Greenwich; in the string, west is positive. */
function eastOf(parts: RegExpExecArray): number {
  const [, sign, hours, minutes, seconds] = parts;
  const size = bounded(hours, 24) * 3600 + bounded(minutes, 59) * 60 + bounded(seconds, 59);
  return sign === "-" ? size : 0 - size;
}

function ruleOf(parts: RegExpExecArray, missing: Rule): Rule | undefined {
  const [, month, week, weekDay, julian, day, sign, hours = "2", minutes = "0", seconds = "0"] =
    parts;
  const size = Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds);
  const time = sign === "-" ? -size : size;
  if (month !== undefined) {
    const numbers = [Number(month), Number(week), Number(weekDay)] as const;
    const [m, n, d] = numbers;
    return m < 1 || m > 12 || n < 1 || n > 5 || d > 6 ? undefined : { kind: "M", numbers, time };
  }
  if (day === undefined) return missing;
  const number = Number(day);
  if (number > 365 || (julian === "J" && number === 0)) return undefined;
  return { kind: julian === "J" ? "J" : "day", numbers: [number], time };
}

function rulesOf(text: string, at: number): readonly [Rule, Rule] {
  const first = take(RULE, text, at);
  const start = first === null ? undefined : ruleOf(first, STARTS);
  if (first === null || start === undefined) return [NOTHING, NOTHING];
  const second = take(RULE, text, at + first[0].length);
  return [start, (second === null ? undefined : ruleOf(second, ENDS)) ?? NOTHING];
}

const yearStart = (year: number): number => {
  const cycles = Math.floor((year - 2000) / 400);
  return Date.UTC(year - cycles * 400, 0, 1) / 1000 + cycles * 146_097 * DAY;
};

/** Seconds of the rule's time in `year` as if its zone were UTC. */
function changeIn(year: number, rule: Rule): number {
  const start = yearStart(year);
  const [first = 0, week = 0, weekDay = 0] = rule.numbers;
  const leap = yearStart(year + 1) - start === 366 * DAY;
  if (rule.kind === "day") return start + first * DAY + rule.time;
  if (rule.kind === "J") {
    return start + (first - 1 + (leap && first >= 60 ? 1 : 0)) * DAY + rule.time;
  }
  // Any year of the same kind has the same days of the month; 2000 and 2001 stand for them.
  const like = leap ? 2000 : 2001;
  const monthDay = (Date.UTC(like, first - 1, 1) - Date.UTC(like, 0, 1)) / 86_400_000;
  const length = new Date(Date.UTC(like, first, 0)).getUTCDate();
  // 1970-01-01 was a Thursday.
  const startDay = (((start / DAY + monthDay + 4) % 7) + 7) % 7;
  let day = ((weekDay - startDay + 7) % 7) + (week - 1) * 7;
  if (day >= length) day -= 7;
  return start + (monthDay + day) * DAY + rule.time;
}

/**
 * The periods of a POSIX TZ string: which one an instant (seconds) lies in. A text that is no such
 * string is UTC.
 */
export function posixPeriods(text: string): (sec: number) => ZonePeriod {
  const always = (offset: number): ZonePeriod => ({
    from: -Infinity,
    to: Infinity,
    offset,
    daylight: false,
  });
  const name = take(NAME, text, 0);
  const west = name === null ? null : take(OFFSET, text, name[0].length);
  if (name === null || west === null) return () => always(0);
  const standard = eastOf(west);
  let at = name[0].length + west[0].length;
  if (at === text.length) return () => always(standard);

  let rules: readonly [Rule, Rule] = [NOTHING, NOTHING];
  let summer = 0;
  const summerName = take(NAME, text, at);
  if (summerName !== null) {
    at += summerName[0].length;
    const own = take(OFFSET, text, at);
    summer = own === null ? standard + 3600 : eastOf(own);
    rules = rulesOf(text, at + (own?.[0].length ?? 0));
  }

  return (sec) => {
    // The C library looks at the changes of the year that it is in Greenwich, and only at those.
    const cycles = Math.floor(sec / (146_097 * DAY));
    const year = new Date((sec - cycles * 146_097 * DAY) * 1000).getUTCFullYear() + cycles * 400;
    const bounds = [yearStart(year), yearStart(year + 1)] as const;
    const starts = changeIn(year, rules[0]) - standard;
    const ends = changeIn(year, rules[1]) - summer;
    const south = starts > ends;
    const daylight = south ? sec < ends || sec >= starts : sec >= starts && sec < ends;
    let [from, to] = bounds;
    for (const change of [starts, ends]) {
      if (change <= sec && change > from) from = change;
      if (change > sec && change < to) to = change;
    }
    return { from, to, offset: daylight ? summer : standard, daylight };
  };
}
