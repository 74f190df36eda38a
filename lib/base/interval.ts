// Intervals of option arguments and time windows: `10`, `1h 30m`, `2.5min` (spec archive.md 14.1).
// Refuses what pmParseInterval(3) refuses, with its words, and further `nan` and sums of more than
// 2^50 seconds.

/** A text that could not be read: where, and why in PCP's words. */
export interface TimeComplaint {
  readonly text: string;
  /** Index into `text`. */
  readonly at: number;
  readonly reason: string;
}

/** PCP's two lines: the text, and a caret under the place with the reason. */
export function complaintLines({ text, at, reason }: TimeComplaint): string {
  // One blank for a byte, as PCP's own programs print it; tabs stay, so that the caret is in place.
  const blanks = text.slice(0, at).replace(/\S/gu, (each) => " ".repeat(Buffer.byteLength(each)));
  return `${text}\n${blanks}^ -- ${reason}`;
}

/** PCP's word for whatever does not fit. */
export const UNEXPECTED = "unexpected value";

/** A sum beyond these seconds (35 million years) is refused, so that times stay exact numbers. */
const MAX_SECONDS = 2 ** 50;

const PART = new RegExp(
  [
    "[ \\t\\n\\v\\f\\r]*",
    "(?<number>[+-]?(?:",
    "0x(?<whole>[0-9a-f]*)(?<hexFraction>\\.[0-9a-f]*)?(?<=[0-9a-f]\\.?)(?:p(?<power>[+-]?\\d+))?",
    "|(?<decimal>(?:\\d+\\.?\\d*|\\.\\d+)(?:e[+-]?\\d+)?)",
    "))[ \\t\\n\\v\\f\\r]*",
    "(?<unit>[a-z]*)",
    "[ \\t\\n\\v\\f\\r]*",
  ].join(""),
  "iy",
);

const SECONDS: Readonly<Record<string, number>> = {
  nanosecond: 1e-9,
  nsec: 1e-9,
  microsecond: 1e-6,
  usec: 1e-6,
  millisecond: 1e-3,
  msec: 1e-3,
  second: 1,
  sec: 1,
  s: 1,
  minute: 60,
  min: 60,
  m: 60,
  hour: 3600,
  hr: 3600,
  h: 3600,
  day: 86_400,
  d: 86_400,
};

function hexadecimal(whole: string, fraction: string, power: string): number {
  const digits = fraction.slice(1);
  return Number.parseInt(`0${whole}${digits}`, 16) * 2 ** (Number(power) - 4 * digits.length);
}

/** The number that strtod(3) of the C locale finds at `at`: NaN if there is none. */
function sizeOf(groups: Readonly<Record<string, string | undefined>>): number {
  const { number = "", decimal, whole = "", hexFraction = "", power = "0" } = groups;
  const size = decimal === undefined ? hexadecimal(whole, hexFraction, power) : Number(decimal);
  return number.startsWith("-") ? -size : size;
}

/** The seconds of an interval, 0 to 2^50, or what is wrong with it. */
export function intervalSeconds(text: string): number | TimeComplaint {
  if (text === "") return { text, at: 0, reason: "Null or empty specification" };
  let seconds = 0;
  let at = /^[ \t\n\v\f\r]*/.exec(text)?.[0].length ?? 0;
  while (at < text.length) {
    PART.lastIndex = at;
    const groups = PART.exec(text)?.groups;
    const size = groups === undefined ? Number.NaN : sizeOf(groups);
    if (groups === undefined || !(size >= 0 && size < MAX_SECONDS)) {
      return { text, at, reason: UNEXPECTED };
    }
    const { unit = "" } = groups;
    const name = (unit.length > 1 ? unit.replace(/s$/i, "") : unit).toLowerCase();
    const scale = name === "" ? 1 : Object.hasOwn(SECONDS, name) ? SECONDS[name] : undefined;
    if (scale === undefined) {
      const end = PART.lastIndex;
      const blanks = /[ \t\n\v\f\r]*$/.exec(text.slice(at, end))?.[0].length ?? 0;
      return { text, at: end - blanks - unit.length, reason: UNEXPECTED };
    }
    seconds += size * scale;
    if (seconds >= MAX_SECONDS) return { text, at, reason: UNEXPECTED };
    at = PART.lastIndex;
  }
  return seconds;
}
