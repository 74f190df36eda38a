// The floating-point conversions of C's printf that PCP's output uses: %e, %f and %g, to the digit.
// JavaScript's own differ in the form of exponents and round exact ties up instead of to even.

// The most decimals that JavaScript gives; enough to tell a tie from its neighbours.
const MOST_DECIMALS: number = 100;

const special = (value: number): string | undefined => {
  if (Number.isNaN(value)) return "nan";
  if (Number.isFinite(value)) return undefined;
  return value < 0 ? "-inf" : "inf";
};

const isNegative = (value: number): boolean => value < 0 || Object.is(value, -0);

/** `digits` significant digits of a finite value >= 0, rounded half to even, and its exponent. */
function significant(value: number, digits: number): { text: string; exponent: number } {
  const [mantissa = "0", exponent = "0"] = value.toExponential(digits - 1).split("e");
  const text = mantissa.replace(".", "");
  // A tie has exactly one digit more, a 5; toExponential rounded it up.
  if (digits < 60 && value.toExponential(digits).charAt(digits + 1) === "5") {
    const [longer = "", down = "0"] = value.toExponential(MOST_DECIMALS).split("e");
    const all = longer.replace(".", "");
    if (/^50*$/.test(all.slice(digits)) && (all.charCodeAt(digits - 1) & 1) === 0) {
      return { text: all.slice(0, digits), exponent: Number(down) };
    }
  }
  return { text, exponent: Number(exponent) };
}

const exponentText = (exponent: number): string =>
  `e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;

/** C's `%.<precision>e`; precision 0-58. */
export function formatE(value: number, precision = 6): string {
  const text = special(value);
  if (text !== undefined) return text;
  const sign = isNegative(value) ? "-" : "";
  const { text: digits, exponent } = significant(Math.abs(value), precision + 1);
  const fraction = precision === 0 ? "" : `.${digits.slice(1)}`;
  return `${sign}${digits.charAt(0)}${fraction}${exponentText(exponent)}`;
}

/** C's `%.<precision>g`; precision 1-59. */
export function formatG(value: number, precision = 6): string {
  const text = special(value);
  if (text !== undefined) return text;
  const sign = isNegative(value) ? "-" : "";
  if (value === 0) return `${sign}0`;
  // Whole numbers are what most values are; up to here no digit is rounded.
  if (Number.isInteger(value) && Math.abs(value) < 10 ** Math.min(precision, 15)) {
    return String(value);
  }
  const { text: digits, exponent } = significant(Math.abs(value), precision);
  const kept = digits.replace(/0+$/, "") || "0";
  if (exponent < -4 || exponent >= precision) {
    const fraction = kept.length > 1 ? `.${kept.slice(1)}` : "";
    return `${sign}${kept.charAt(0)}${fraction}${exponentText(exponent)}`;
  }
  if (exponent < 0) return `${sign}0.${"0".repeat(-exponent - 1)}${kept}`;
  const whole = kept.slice(0, exponent + 1).padEnd(exponent + 1, "0");
  const fraction = kept.slice(exponent + 1);
  return `${sign}${whole}${fraction === "" ? "" : `.${fraction}`}`;
}

/** C's `%.<precision>f` for |value| < 1e21; precision 0-20. */
export function formatF(value: number, precision = 6): string {
  const text = special(value);
  if (text !== undefined) return text;
  const size = Math.abs(value);
  let digits = size.toFixed(precision);
  const exact = size.toFixed(MOST_DECIMALS);
  const cut = exact.length - MOST_DECIMALS + precision;
  if (/^50*$/.test(exact.slice(cut))) {
    // An exact tie, which toFixed rounds up: an odd last digit must go up, an even one stays.
    const down =
      precision === 0 ? exact.slice(0, exact.length - MOST_DECIMALS - 1) : exact.slice(0, cut);
    if ((down.charCodeAt(down.length - 1) & 1) === 0) digits = down;
  }
  return `${isNegative(value) ? "-" : ""}${digits}`;
}
