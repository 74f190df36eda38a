// Units of two operands: what the units of the result are, and what each operand is scaled by before
// (pmRegisterDerived(3), SEMANTIC CHECKS AND RULES). Never fails; whether operands may be combined
// at all is asked in bind-binary.ts.
import { type Units, unitsFields, unitsWord } from "../pcp/mod.ts";
import type { Factor } from "./bound.ts";

/** Units of a plain count. */
export const COUNT_UNITS = unitsWord({ dimCount: 1 });

/** No scaling. */
export const ONE: Factor = { multiply: 1, divide: 1 };

const AXES = [
  ["dimSpace", "scaleSpace"],
  ["dimTime", "scaleTime"],
  ["dimCount", "scaleCount"],
] as const;

/** How many of the smallest unit are in one unit of scale `scale`; only ratios matter. */
function unitSize(axis: (typeof AXES)[number][0], scale: number): number {
  if (axis === "dimSpace") return 1024 ** scale;
  if (axis === "dimCount") return 10 ** scale;
  return TIME_SIZES[scale] ?? 1;
}
const TIME_SIZES = [1, 1e3, 1e6, 1e9, 6e10, 3.6e12] as const;

/** Seconds in a unit of a time scale. */
export const secondsIn = (scaleTime: number): number => (TIME_SIZES[scaleTime] ?? 1e9) / 1e9;

/** Whether there is no dimension at all, the extra one of PCP 7 included. */
export const isDimensionless = (word: number): boolean => {
  const units = unitsFields(word);
  return AXES.every(([dim]) => units[dim] === 0) && units.extraUnit === 0;
};

/** Whether two units have the same dimensions. */
export function sameDimensions(left: number, right: number): boolean {
  const one = unitsFields(left);
  const other = unitsFields(right);
  return AXES.every(([dim]) => one[dim] === other[dim]);
}

/** Four bits, as the field of a dimension holds them. */
const wrap = (dim: number): number => ((dim + 8) & 15) - 8;

/** What two operands become. */
export interface Combined {
  readonly units: number;
  readonly left: Factor;
  readonly right: Factor;
  /** Whether one of them is scaled. */
  readonly scaled: boolean;
}

/**
 * Brings both operands to the larger scale of each dimension that both have. `sign` is 1 when
 * dimensions are added (multiplication), -1 when subtracted, 0 when those of `leading` stay.
 */
export function combineUnits(
  left: number,
  right: number,
  sign: -1 | 0 | 1,
  leading: number,
): Combined {
  const lead = unitsFields(leading);
  const one = unitsFields(left);
  const other = unitsFields(right);
  const result: { -readonly [field in keyof Units]?: number } = {};
  const factors = { left: { ...ONE }, right: { ...ONE } };
  let scaled = false;
  for (const [dim, scale] of AXES) {
    const both = one[dim] !== 0 && other[dim] !== 0;
    const target = both
      ? Math.max(one[scale], other[scale])
      : one[dim] === 0
        ? other[scale]
        : one[scale];
    if (both) {
      for (const [side, units] of [
        ["left", one],
        ["right", other],
      ] as const) {
        if (units[scale] === target) continue;
        scaled = true;
        const ratio = (unitSize(dim, target) / unitSize(dim, units[scale])) ** Math.abs(units[dim]);
        if (units[dim] > 0) factors[side].divide *= ratio;
        else factors[side].multiply *= ratio;
      }
    }
    result[dim] = sign === 0 ? lead[dim] : wrap(one[dim] + sign * other[dim]);
    result[scale] = result[dim] === 0 ? 0 : target;
  }
  if (sign === 0) {
    result.extraUnit = lead.extraUnit;
    result.extraScale = lead.extraScale;
  } else if (one.extraUnit !== 0 && other.extraUnit === 0) {
    result.extraUnit = one.extraUnit;
    result.extraScale = one.extraScale;
  } else if (one.extraUnit === 0 && other.extraUnit !== 0) {
    result.extraUnit = sign * other.extraUnit;
    result.extraScale = other.extraScale;
  }
  return { units: unitsWord(result), ...factors, scaled };
}
