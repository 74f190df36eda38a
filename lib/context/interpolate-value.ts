// The value of a counter between two recorded ones (spec archive.md 10.4), in PCP's order of
// operations. 64-bit integers are pairs of 32-bit words, so that no object is made per value. Refuses
// nothing; types other than the six numeric ones must not come here.
import { PM_TYPE, type PmType } from "../pcp/mod.ts";

const WORD = 0x1_0000_0000;
const MIN_HIGH = 0x8000_0000;

/** A value as its words: only the second one counts for types of 32 bits. */
export interface Words {
  high: number;
  low: number;
}

const scratch = new DataView(new ArrayBuffer(8));

const signed = (high: number, low: number): number => (high | 0) * WORD + (low >>> 0);

/** A whole number as the words of a signed 64-bit one; the smallest one for those out of range. */
function setWhole(out: Words, value: number): void {
  if (!(value > -(2 ** 63) && value < 2 ** 63)) {
    out.high = MIN_HIGH;
    out.low = 0;
    return;
  }
  const high = Math.floor(value / WORD);
  out.high = high >>> 0;
  out.low = (value - high * WORD) >>> 0;
}

/** The difference b − a of two 64-bit numbers, modulo 2^64: signed, or unsigned. */
function difference(a: Words, b: Words, unsigned: boolean): number {
  const low = b.low - a.low;
  const high = (b.high - a.high - (low < 0 ? 1 : 0)) | 0;
  return (unsigned ? high >>> 0 : high) * WORD + (low >>> 0);
}

function setDouble(out: Words, value: number): void {
  scratch.setFloat64(0, value);
  out.high = scratch.getUint32(0);
  out.low = scratch.getUint32(4);
}

const doubleOf = ({ high, low }: Words): number => {
  scratch.setUint32(0, high);
  scratch.setUint32(4, low);
  return scratch.getFloat64(0);
};

const floatOf = ({ low }: Words): number => {
  scratch.setUint32(0, low);
  return scratch.getFloat32(0);
};

/**
 * The value `past` seconds after `prior`, of `span` seconds between both. `wrap`: a value below the
 * one before it has gone through zero. Writes it to `out`, which may be either of the others.
 */
export function interpolate(
  out: Words,
  type: PmType,
  prior: Words,
  next: Words,
  past: number,
  span: number,
  wrap: boolean,
): void {
  switch (type) {
    case PM_TYPE.I32: {
      const before = prior.low | 0;
      const after = next.low | 0;
      if (wrap && after < before) {
        const gone = (after - before) >>> 0;
        out.low = (Math.trunc(0.5 + (past * gone) / span) + before) >>> 0;
        return;
      }
      const value = Math.trunc(0.5 + before + (past * ((after - before) | 0)) / span);
      out.low = value > 0x7fffffff || value < -0x80000000 ? MIN_HIGH : value >>> 0;
      return;
    }
    case PM_TYPE.U32: {
      const before = prior.low >>> 0;
      const after = next.low >>> 0;
      if (after >= before) {
        out.low = Math.trunc(0.5 + before + (past * (after - before)) / span) >>> 0;
      } else if (wrap) {
        const gone = (after - before) >>> 0;
        out.low = (Math.trunc(0.5 + (past * gone) / span) + before) >>> 0;
      } else out.low = Math.trunc(0.5 + before - (past * (before - after)) / span) >>> 0;
      return;
    }
    case PM_TYPE.I64: {
      const change = difference(prior, next, false);
      setWhole(out, Math.trunc(0.5 + signed(prior.high, prior.low) + (past * change) / span));
      return;
    }
    case PM_TYPE.U64: {
      // Both are taken for signed numbers, as the C library does.
      const before = signed(prior.high, prior.low);
      const up = wrap || !isBelow(next, prior);
      const change = up ? difference(prior, next, true) : -difference(next, prior, true);
      const value = 0.5 + before + (past * change) / span;
      setUnsigned(out, Math.trunc(value));
      return;
    }
    case PM_TYPE.FLOAT: {
      const before = floatOf(prior);
      const change = Math.fround(floatOf(next) - before);
      scratch.setFloat32(0, before + (past * change) / span);
      out.low = scratch.getUint32(0);
      return;
    }
    default: {
      const before = doubleOf(prior);
      setDouble(out, before + (past * (doubleOf(next) - before)) / span);
    }
  }
}

const isBelow = (a: Words, b: Words): boolean =>
  (a.high | 0) === (b.high | 0) ? a.low >>> 0 < b.low >>> 0 : (a.high | 0) < (b.high | 0);

/** As C on x86-64 makes an unsigned 64-bit number of a double: negative ones modulo 2^64. */
function setUnsigned(out: Words, value: number): void {
  if (value < 2 ** 63) {
    setWhole(out, value);
    return;
  }
  const high = Math.floor(value / WORD);
  out.high = high >>> 0;
  out.low = (value - high * WORD) >>> 0;
}
