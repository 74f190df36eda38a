// Converts a value from one scale to another of the same dimensions (pmConvScale(3)). Integers are
// computed exactly and rounded once; doubles are multiplied by one factor. Refuses units of other
// dimensions and types that are no numbers (PM_ERR_CONV), scales without a meaning (PM_ERR_UNIT),
// and integers that do not fit (PM_ERR_TRUNC, PM_ERR_SIGN), which PCP lets wrap.
import { PM_ERR, PcpError } from "../base/mod.ts";
import { PM_TYPE, type PmType } from "./types.ts";
import { pmUnitsStr, type Units, unitsFields } from "./units.ts";

// PCP converts no space scale above this one.
const MAX_SPACE_SCALE = 6;
const TIME_NANOSECONDS: readonly bigint[] = [
  1n,
  1_000n,
  1_000_000n,
  1_000_000_000n,
  60_000_000_000n,
  3_600_000_000_000n,
];
// Micro-units (nano-units for power, whose scales span nine digits) by extraUnit and extraScale.
const EXTRA_PARTS: readonly (readonly bigint[])[] = [
  [],
  [],
  [0n, 1_000_000n, 1_000n, 1n],
  [0n, 1_000_000n, 1_000n, 1n],
  [0n, 1_000_000_000n, 1_000_000n, 1_000n, 1n],
];

interface Ratio {
  num: bigint;
  den: bigint;
}

/** Multiplies `ratio` by (from / to) ^ dim. */
function apply(ratio: Ratio, from: bigint, to: bigint, dim: number): void {
  const power = BigInt(Math.abs(dim));
  ratio.num *= (dim > 0 ? from : to) ** power;
  ratio.den *= (dim > 0 ? to : from) ** power;
}

/** Brings a ratio to lowest terms, so that half a unit is half of what is divided by. */
function reduce(ratio: Ratio): void {
  let [a, b] = [ratio.num, ratio.den];
  while (b !== 0n) [a, b] = [b, a % b];
  ratio.num /= a;
  ratio.den /= a;
}

function refuseUnits(from: number, to: number): never {
  throw new PcpError(
    PM_ERR.UNIT,
    `no conversion of units "${pmUnitsStr(from)}" to "${pmUnitsStr(to)}"`,
  );
}

const sameDimensions = (from: Units, to: Units): boolean =>
  from.extraUnit === to.extraUnit &&
  from.dimSpace === to.dimSpace &&
  from.dimTime === to.dimTime &&
  from.dimCount === to.dimCount;

// No dimension at all stands for a plain count.
const plain = (units: Units): Units =>
  units.dimSpace === 0 && units.dimTime === 0 && units.dimCount === 0
    ? { ...units, dimCount: 1 }
    : units;

/** Temperatures in degrees of scale C, F or K as degrees of another. */
function temperature(value: number, from: number, to: number): number {
  let celsius = value;
  if (from === 2) celsius = ((value - 32) * 5) / 9;
  else if (from === 3) celsius = value - 273.15;
  if (to === 2) return (celsius * 9) / 5 + 32;
  return to === 3 ? celsius + 273.15 : celsius;
}

function fit(type: PmType, value: bigint): number | bigint {
  const signed = type === PM_TYPE.I32 || type === PM_TYPE.I64;
  const bits = type === PM_TYPE.I32 || type === PM_TYPE.U32 ? 32 : 64;
  if (!signed && value < 0n) throw new PcpError(PM_ERR.SIGN);
  if ((signed ? BigInt.asIntN(bits, value) : BigInt.asUintN(bits, value)) !== value) {
    throw new PcpError(PM_ERR.TRUNC);
  }
  return bits === 32 ? Number(value) : value;
}

/**
 * The value of `type` in units word `from`, expressed in units word `to` (spec pdu.md 5.6). 64-bit
 * types take and give bigint, others number. A value without dimensions counts as a plain count.
 */
export function pmConvScale(
  type: PmType,
  value: number | bigint,
  from: number,
  to: number,
): number | bigint {
  if (!Number.isInteger(type) || type < PM_TYPE.I32 || type > PM_TYPE.DOUBLE) {
    throw new PcpError(PM_ERR.CONV, `type ${type} has no scale`);
  }
  const source = plain(unitsFields(from));
  const target = plain(unitsFields(to));
  if (!sameDimensions(source, target)) {
    throw new PcpError(
      PM_ERR.CONV,
      `units "${pmUnitsStr(from)}" and "${pmUnitsStr(to)}" have different dimensions`,
    );
  }
  const ratio: Ratio = { num: 1n, den: 1n };
  if (source.dimSpace !== 0) {
    if (source.scaleSpace > MAX_SPACE_SCALE || target.scaleSpace > MAX_SPACE_SCALE) {
      refuseUnits(from, to);
    }
    const shift = (scale: number): bigint => 1024n ** BigInt(scale);
    apply(ratio, shift(source.scaleSpace), shift(target.scaleSpace), source.dimSpace);
  }
  if (source.dimTime !== 0) {
    const upper = TIME_NANOSECONDS[source.scaleTime];
    const lower = TIME_NANOSECONDS[target.scaleTime];
    if (upper === undefined || lower === undefined) refuseUnits(from, to);
    apply(ratio, upper, lower, source.dimTime);
  }
  if (source.dimCount !== 0) {
    const ten = (scale: number): bigint => 10n ** BigInt(scale + 8);
    apply(ratio, ten(source.scaleCount), ten(target.scaleCount), source.dimCount);
  }
  const integer = type <= PM_TYPE.U64;
  const extra = source.extraUnit;
  if (extra === 1) {
    const known = (scale: number): boolean => scale >= 1 && scale <= 3;
    if (!known(source.extraScale) || !known(target.extraScale)) refuseUnits(from, to);
    const degrees = temperature(Number(value), source.extraScale, target.extraScale);
    const scaled = (Number(ratio.num) / Number(ratio.den)) * degrees;
    return integer ? fit(type, BigInt(Math.trunc(scaled))) : scaled;
  }
  if (extra !== 0) {
    const upper = EXTRA_PARTS[extra]?.[source.extraScale] ?? 0n;
    const lower = EXTRA_PARTS[extra]?.[target.extraScale] ?? 0n;
    if (upper === 0n || lower === 0n) refuseUnits(from, to);
    apply(ratio, upper, lower, 1);
  }
  reduce(ratio);
  if (integer) {
    // Half a unit is added before the division, but not where an extra dimension is scaled.
    const half = extra === 0 ? ratio.den / 2n : 0n;
    return fit(type, (BigInt(value) * ratio.num + half) / ratio.den);
  }
  const scaled = (Number(ratio.num) / Number(ratio.den)) * Number(value);
  return type === PM_TYPE.FLOAT ? Math.fround(scaled) : scaled;
}
