// Reads the text of units, as typed by people and as pmUnitsStr writes it: `10 kilobytes / 2 sec`
// (pmParseUnitsStr(3)). Refuses unknown words, a dimension twice on one side, and exponents out of
// range, each with PM_ERR_CONV, PCP's reason and the column.
import { PM_ERR, PcpError } from "../base/mod.ts";
import { type Units, unitsWord } from "./units.ts";

/** What a units text says: multiply a value in the text's units by `multiplier` to be in `units`. */
export interface ParsedUnits {
  /** Units word, spec pdu.md 5.6. */
  readonly units: number;
  /** 1 unless the text has numbers, or one dimension on both sides of the `/`. */
  readonly multiplier: number;
}

type Axis = "Space" | "Time" | "Count";
interface Word {
  readonly axis: Axis;
  readonly scale: number;
}

const WORDS = new Map<string, Word>();
const define = (axis: Axis, scale: number, ...words: string[]): void => {
  for (const word of words) WORDS.set(word, { axis, scale });
};
define("Space", 0, "byte", "bytes");
[
  "kilo kibi",
  "mega mebi",
  "giga gibi",
  "tera tebi",
  "peta pebi",
  "exa exbi",
  "zetta zebi",
  "yotta yobi",
]
  .map((names) => names.split(" "))
  .forEach(([decimal, binary], index) => {
    const letter = decimal?.charAt(0) ?? "";
    define("Space", index + 1, `${letter}b`, `${letter}ib`);
    for (const prefix of [letter, decimal, binary]) {
      define("Space", index + 1, `${prefix}byte`, `${prefix}bytes`);
    }
  });
define("Time", 0, "ns", "nanosec", "nanosecond", "nanoseconds");
define("Time", 1, "us", "microsec", "microsecond", "microseconds");
define("Time", 2, "ms", "millisec", "millisecond", "milliseconds");
define("Time", 3, "s", "sec", "second", "seconds");
define("Time", 4, "min", "minute", "minutes");
define("Time", 5, "h", "hr", "hour", "hours");
for (let scale = 0; scale < 16; scale++) {
  define("Space", scale, `space-${scale}`);
  define("Time", scale, `time-${scale}`);
}
define("Count", 0, "count", "counts");
define("Count", 1, "count x 10");
for (let scale = -8; scale < 8; scale++) {
  // Without these two `count x 10^1` reads as the word before it with an exponent, as in PCP.
  if (scale !== 0 && scale !== 1) define("Count", scale, `count x 10^${scale}`);
}

const EXTRAS = new Map<string, readonly [number, number]>([
  ["temperature (c)", [1, 1]],
  ["temperature (f)", [1, 2]],
  ["temperature (k)", [1, 3]],
  ["voltage (v)", [2, 1]],
  ["voltage (mv)", [2, 2]],
  ["voltage (uv)", [2, 3]],
  ["current (a)", [3, 1]],
  ["current (ma)", [3, 2]],
  ["current (ua)", [3, 3]],
  ["power (kw)", [4, 1]],
  ["power (w)", [4, 2]],
  ["power (mw)", [4, 3]],
  ["power (uw)", [4, 4]],
]);

const NUMBER = /[0-9.-]/;
const LITERAL =
  /-?(?:0x(?:[0-9a-f]+\.?[0-9a-f]*|\.[0-9a-f]+)(?:p[+-]?\d+)?|(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)/iy;
// Longest first: `count x 10^2` before `count x 10` before `count`.
const KEYWORD = /(count x 10\^-?\d|count x 10|(?:space|time)-\d+|[a-z]+(?: \([a-z]+\))?)/iy;
const EXPONENT = /\^(-[1-8]|\d)/y;

/** Longer texts are no units. */
const MAX_TEXT = 1024;

function refuse(text: string, at: number, reason: string): never {
  throw new PcpError(PM_ERR.CONV, `units "${text}", column ${at + 1}: ${reason}`);
}

/** A C floating-point literal, hexadecimal ones too; undefined when it is out of range. */
function literal(text: string): number | undefined {
  const hex = /^(-?)0x([0-9a-f]*)\.?([0-9a-f]*)(?:p([+-]?\d+))?$/i.exec(text);
  let value: number;
  if (hex === null) value = Number(text);
  else {
    const [, sign = "", whole = "", fraction = "", exponent = "0"] = hex;
    const digits = Number(`0x${whole}${fraction}`);
    value = digits * 2 ** (Number(exponent) - 4 * fraction.length) * (sign === "-" ? -1 : 1);
  }
  const zero = /^-?(?:0x)?[0.]*(?:[ep].*)?$/i.test(text);
  const subnormal = Math.abs(value) < 2 ** -1022;
  return Number.isFinite(value) && (!subnormal || zero) ? value : undefined;
}

interface Side {
  readonly dims: Record<Axis, number>;
  readonly scales: Record<Axis, number>;
  factor: number;
  extra: readonly [number, number] | undefined;
}

/** Reads one side from `at` up to `/` or the end; returns where it ended. */
function parseSide(text: string, at: number, side: Side): number {
  const unknown = "unrecognized or duplicate base unit";
  while (at < text.length) {
    const char = text.charAt(at);
    if (/\s/.test(char)) {
      at++;
      continue;
    }
    if (char === "/") break;
    if (NUMBER.test(char)) {
      LITERAL.lastIndex = at;
      const found = LITERAL.exec(text)?.[0];
      const value = found === undefined ? undefined : literal(found);
      if (found === undefined || value === undefined) {
        refuse(text, at, "invalid floating point literal");
      }
      side.factor *= value;
      at += found.length;
      continue;
    }
    KEYWORD.lastIndex = at;
    let name = KEYWORD.exec(text)?.[0].toLowerCase();
    if (name === undefined) refuse(text, at, unknown);
    // `count x 10^1` and `count x 10^9` are the keyword before the exponent.
    if (!WORDS.has(name) && name.startsWith("count x 10^")) name = "count x 10";
    let end = at + name.length;
    const extra = EXTRAS.get(name);
    if (extra !== undefined) {
      if (side.extra !== undefined) refuse(text, at, "multiple extra units not allowed");
      side.extra = extra;
    } else {
      const word = WORDS.get(name);
      if (word === undefined || side.dims[word.axis] !== 0) refuse(text, at, unknown);
      EXPONENT.lastIndex = end;
      const exponent = EXPONENT.exec(text);
      if (exponent !== null) end += exponent[0].length;
      side.dims[word.axis] = exponent === null ? 1 : Number(exponent[1]);
      side.scales[word.axis] = word.scale;
    }
    if (end < text.length && !/[\s/]/.test(text.charAt(end))) refuse(text, at, unknown);
    at = end;
  }
  return at;
}

const TIME_SECONDS = [1e-9, 1e-6, 1e-3, 1, 60, 3600] as const;
const BASE_SCALE: Readonly<Record<Axis, number>> = { Space: 0, Time: 3, Count: 0 };

/** How many base units (byte, second, one) are in one unit of this scale. */
function baseUnits(axis: Axis, scale: number): number | undefined {
  if (axis === "Space") return 1024 ** scale;
  return axis === "Count" ? 10 ** scale : TIME_SECONDS[scale];
}

const newSide = (): Side => ({
  dims: { Space: 0, Time: 0, Count: 0 },
  scales: { Space: 0, Time: 0, Count: 0 },
  factor: 1,
  extra: undefined,
});

/** Reads a units text; the empty text is no units. Throws PM_ERR_CONV with the column. */
export function pmParseUnitsStr(text: string): ParsedUnits {
  if (text.length > MAX_TEXT) {
    throw new PcpError(PM_ERR.CONV, `units of ${text.length} characters, ${MAX_TEXT} allowed`);
  }
  const above = newSide();
  const below = newSide();
  const slash = parseSide(text, 0, above);
  if (slash < text.length) {
    const end = parseSide(text, slash + 1, below);
    if (end < text.length) refuse(text, end, "unrecognized or duplicate base unit");
  }
  if (above.extra !== undefined && below.extra !== undefined) {
    refuse(text, slash, "extra units cannot appear in both dividend and divisor");
  }
  const extra = above.extra ?? below.extra;
  const fields: { -readonly [field in keyof Units]?: number } =
    extra === undefined
      ? {}
      : { extraUnit: above.extra === undefined ? -extra[0] : extra[0], extraScale: extra[1] };
  let multiplier = below.factor / above.factor;
  for (const axis of ["Space", "Time", "Count"] as const) {
    const up = above.dims[axis];
    const down = below.dims[axis];
    const dim = up - down;
    if (dim < -8 || dim > 7) refuse(text, 0, `${axis.toLowerCase()} dimension out of bounds`);
    let scale = up === 0 ? below.scales[axis] : above.scales[axis];
    if (up !== 0 && down !== 0) {
      const upper = baseUnits(axis, above.scales[axis]);
      const lower = baseUnits(axis, below.scales[axis]);
      if (upper === undefined || lower === undefined) {
        refuse(text, 0, `${axis.toLowerCase()} scale out of bounds`);
      }
      multiplier *= lower ** down / upper ** up;
      scale = BASE_SCALE[axis];
    }
    fields[`dim${axis}`] = dim;
    if (dim !== 0) fields[`scale${axis}`] = scale;
  }
  return { units: unitsWord(fields), multiplier };
}
