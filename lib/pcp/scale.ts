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

/** How values of one units word become those of another. */
interface Scaling {
  readonly from: number;
  readonly to: number;
  /** The factor, exact and as a double. */
  readonly ratio: Readonly<Ratio>;
  readonly factor: number;
  /** Half a unit is added before an integer is divided, but not where an extra dimension is scaled. */
  readonly half: bigint;
  /** Scales C, F, K as 1, 2, 3 when the extra dimension is temperature. */
  readonly degrees: readonly [number, number] | undefined;
}

const isDegrees = (scale: number): boolean => scale >= 1 && scale <= 3;

function scalingOf(from: number, to: number): Scaling {
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
  const extra = source.extraUnit;
  const degrees = extra === 1 ? ([source.extraScale, target.extraScale] as const) : undefined;
  if (degrees !== undefined && !degrees.every(isDegrees)) refuseUnits(from, to);
  if (extra !== 0 && degrees === undefined) {
    const upper = EXTRA_PARTS[extra]?.[source.extraScale] ?? 0n;
    const lower = EXTRA_PARTS[extra]?.[target.extraScale] ?? 0n;
    if (upper === 0n || lower === 0n) refuseUnits(from, to);
    apply(ratio, upper, lower, 1);
  }
  reduce(ratio);
  const factor = Number(ratio.num) / Number(ratio.den);
  return { from, to, ratio, factor, half: extra === 0 ? ratio.den / 2n : 0n, degrees };
}

// Values come by the column: the scaling of the last one is that of the next.
let last: Scaling | undefined;

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
  if (last === undefined || last.from !== from || last.to !== to) last = scalingOf(from, to);
  const { ratio, factor, half, degrees } = last;
  if (type <= PM_TYPE.U64 && degrees === undefined) {
    return fit(type, (BigInt(value) * ratio.num + half) / ratio.den);
  }
  const plainValue = Number(value);
  const scaled =
    factor * (degrees === undefined ? plainValue : temperature(plainValue, degrees[0], degrees[1]));
  if (type <= PM_TYPE.U64) return fit(type, BigInt(Math.trunc(scaled)));
  return type === PM_TYPE.FLOAT ? Math.fround(scaled) : scaled;
}
