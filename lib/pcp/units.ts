// Units of measure: the 32-bit word of spec pdu.md 5.6, its fields, and its text (6.2). Every word
// has fields and a text; fields that do not fit their bits are refused with PM_ERR_UNIT.
import { PM_ERR, PcpError } from "../base/mod.ts";

/** Scale of a space dimension, powers of 1024. */
export const PM_SPACE = {
  BYTE: 0,
  KBYTE: 1,
  MBYTE: 2,
  GBYTE: 3,
  TBYTE: 4,
  PBYTE: 5,
  EBYTE: 6,
  ZBYTE: 7,
  YBYTE: 8,
} as const;
/** Scale of a time dimension. */
export const PM_TIME = { NSEC: 0, USEC: 1, MSEC: 2, SEC: 3, MIN: 4, HOUR: 5 } as const;
/** The extra dimension (PCP 7). */
export const PM_EXTRA = { NONE: 0, TEMPERATURE: 1, VOLTAGE: 2, CURRENT: 3, POWER: 4 } as const;

/** A units word taken apart: dimensions are exponents, scales as in PM_SPACE and so on. */
export interface Units {
  /** -8 … 7 */
  readonly dimSpace: number;
  /** -8 … 7 */
  readonly dimTime: number;
  /** -8 … 7 */
  readonly dimCount: number;
  /** 0 … 15 */
  readonly scaleSpace: number;
  /** 0 … 15 */
  readonly scaleTime: number;
  /** -8 … 7, power of ten */
  readonly scaleCount: number;
  /** -16 … 15; the sign is the dimension's, the absolute value one of PM_EXTRA */
  readonly extraUnit: number;
  /** 0 … 7 */
  readonly extraScale: number;
}

/** No dimension at all. */
export const NO_UNITS: Units = {
  dimSpace: 0,
  dimTime: 0,
  dimCount: 0,
  scaleSpace: 0,
  scaleTime: 0,
  scaleCount: 0,
  extraUnit: 0,
  extraScale: 0,
};

/** The fields of a units word. */
export const unitsFields = (word: number): Units => ({
  dimSpace: word >> 28,
  dimTime: (word << 4) >> 28,
  dimCount: (word << 8) >> 28,
  scaleSpace: (word >>> 16) & 15,
  scaleTime: (word >>> 12) & 15,
  scaleCount: (word << 20) >> 28,
  extraUnit: (word << 24) >> 27,
  extraScale: word & 7,
});

const RANGES: readonly (readonly [keyof Units, number, number])[] = [
  ["dimSpace", -8, 7],
  ["dimTime", -8, 7],
  ["dimCount", -8, 7],
  ["scaleSpace", 0, 15],
  ["scaleTime", 0, 15],
  ["scaleCount", -8, 7],
  ["extraUnit", -16, 15],
  ["extraScale", 0, 7],
];

/** The word of some fields, absent ones 0; throws PM_ERR_UNIT for one that does not fit. */
export function unitsWord(fields: Partial<Units>): number {
  for (const [field, low, high] of RANGES) {
    const value = fields[field] ?? 0;
    if (!Number.isInteger(value) || value < low || value > high) {
      throw new PcpError(PM_ERR.UNIT, `units: ${field} ${value} is not in ${low} to ${high}`);
    }
  }
  const { dimSpace = 0, dimTime = 0, dimCount = 0 } = fields;
  const { scaleSpace = 0, scaleTime = 0, scaleCount = 0 } = fields;
  const { extraUnit = 0, extraScale = 0 } = fields;
  return (
    (((dimSpace & 15) << 28) |
      ((dimTime & 15) << 24) |
      ((dimCount & 15) << 20) |
      (scaleSpace << 16) |
      (scaleTime << 12) |
      ((scaleCount & 15) << 8) |
      ((extraUnit & 31) << 3) |
      extraScale) >>>
    0
  );
}

const SPACE_NAMES = [
  "byte",
  "Kbyte",
  "Mbyte",
  "Gbyte",
  "Tbyte",
  "Pbyte",
  "Ebyte",
  "Zbyte",
  "Ybyte",
] as const;
const TIME_NAMES = ["nanosec", "microsec", "millisec", "sec", "min", "hour"] as const;
const EXTRA_NAMES = ["", "temperature", "voltage", "current", "power"] as const;
const EXTRA_SCALES: readonly (readonly string[])[] = [
  [],
  ["", "C", "F", "K"],
  ["", "V", "mV", "uV"],
  ["", "A", "mA", "uA"],
  ["", "kW", "W", "mW", "uW"],
];

const extraName = (unit: number, scale: number): string => {
  const name = EXTRA_NAMES[unit];
  if (name === undefined) return `extra-${unit}`;
  const scaleName = EXTRA_SCALES[unit]?.[scale] || `scale-${scale}`;
  // PCP's buffer for this part holds 19 characters.
  return `${name} (${scaleName})`.slice(0, 19);
};

const countName = (scale: number): string => {
  if (scale === 0) return "count";
  return scale === 1 ? "count x 10" : `count x 10^${scale}`;
};

const power = (name: string, dim: number): string =>
  Math.abs(dim) === 1 ? name : `${name}^${Math.abs(dim)}`;

/**
 * Text of a units word as pmUnitsStr(3): empty for none (spec pdu.md 6.2). `release` 6 gives the
 * text of PCP 6.0.3, which has no extra dimension.
 */
export function pmUnitsStr(word: number, release: 6 | 7 = 7): string {
  const units = unitsFields(word);
  const extra = release === 6 ? 0 : units.extraUnit;
  const { dimSpace, dimTime, dimCount, scaleCount } = units;
  if (extra === 0 && dimSpace === 0 && dimTime === 0 && dimCount === 0) {
    if (scaleCount === 0) return "";
    const text = countName(scaleCount);
    return release === 6 ? text.slice("count ".length) : text;
  }
  const above: string[] = [];
  const below: string[] = [];
  const add = (name: string, dim: number): void => {
    if (dim !== 0) (dim > 0 ? above : below).push(power(name, dim));
  };
  if (extra !== 0) add(extraName(Math.abs(extra), units.extraScale), Math.sign(extra));
  add(SPACE_NAMES[units.scaleSpace] ?? `space-${units.scaleSpace}`, dimSpace);
  add(TIME_NAMES[units.scaleTime] ?? `time-${units.scaleTime}`, dimTime);
  add(countName(scaleCount), dimCount);
  if (below.length > 0) above.push("/", ...below);
  return above.join(" ");
}
