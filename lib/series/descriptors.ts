// What functions and operators make of descriptors, and which operands they refuse (spec series.md 8):
// types, semantics and units, without any value. Refuses with PCP's messages.
import { PcpError } from "../base/mod.ts";
import {
  NO_UNITS,
  PM_TIME,
  pmParseUnitsStr,
  pmUnitsStr,
  type Units,
  unitsFields,
  unitsWord,
} from "../pcp/mod.ts";
import type { QueryNode } from "./language.ts";
import { SeriesProblem } from "./problem.ts";
import type { SeriesDescriptor } from "./store.ts";

type Call = Extract<QueryNode, { kind: "call" }>;
type Scale = Extract<QueryNode, { kind: "scale" }>;
type Operator = Extract<QueryNode, { kind: "binary" }>["operator"];

/** One series of an operand, without its values. */
export interface Described {
  /** The metric series, or that of the left operand. */
  readonly id: string;
  readonly descriptor: SeriesDescriptor;
  /** The metric's name, if it is known. */
  readonly metric?: string | undefined;
}

/** Types that can be computed with, by their names in any case. */
export const NUMERIC = ["32", "u32", "64", "u64", "float", "double"] as const;
export type NumericType = (typeof NUMERIC)[number];

/** The type to compute in. Throws SeriesProblem for one that has no numbers. */
export function numericType({ type }: SeriesDescriptor): NumericType {
  const name = type.toLowerCase();
  const found = NUMERIC.find((each) => each === name);
  if (found === undefined) throw unsupported();
  return found;
}

const unsupported = (): SeriesProblem =>
  new SeriesProblem("Series values' Type extract fail, unsupported type\n");

function parsedUnits(id: string, text: string): Units {
  try {
    return unitsFields(pmParseUnitsStr(text).units);
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
    const reason = /column \d+: (.*)$/s.exec(error.message)?.[1] ?? error.message;
    throw new SeriesProblem(`Units string of ${id} parse error, ${reason}\n`);
  }
}

/** Units of an operand; `none` is none. */
const unitsOf = ({ id, descriptor: { units } }: Described): Units =>
  units === "none" ? NO_UNITS : parsedUnits(id, units);

/** Dimensions and the like wrap as in the fields of a C structure. */
const four = (value: number): number => ((value + 8) & 15) - 8;
const unitsText = (units: Units): string => pmUnitsStr(unitsWord(units));

const sameDimensions = (a: Units, b: Units): boolean =>
  a.dimSpace === b.dimSpace && a.dimTime === b.dimTime && a.dimCount === b.dimCount;

/** Units word of source and target of a rescaling. Throws SeriesProblem. */
export function rescaling(
  { id, descriptor }: Described,
  target: string,
): { readonly from: number; readonly to: number } {
  // PCP reads `none` as a unit that it does not know.
  const from = parsedUnits(id, descriptor.units);
  const to = unitsFields(pmParseUnitsStr(target).units);
  if (!sameDimensions(from, to))
    throw new SeriesProblem(
      `Dimensions of units mismatch, for series ${id} the units is ${descriptor.units}\n`,
    );
  return { from: unitsWord(from), to: unitsWord(to) };
}

const averaged = (descriptor: SeriesDescriptor): SeriesDescriptor => ({
  ...descriptor,
  type: "double",
  semantics: "instance",
});

function rated(operand: Described, text: () => string): SeriesDescriptor {
  const { descriptor } = operand;
  if (descriptor.semantics !== "counter")
    throw new SeriesProblem(`Can't rate convert '${text()}', counter semantics required\n`);
  const units = unitsOf(operand);
  const perSecond = { ...units, dimTime: four(units.dimTime - 1), scaleTime: PM_TIME.SEC };
  return { ...descriptor, type: "double", semantics: "instant", units: unitsText(perSecond) };
}

/**
 * What a function makes of a descriptor. `valued` says whether there are values: log and sqrt tell no
 * type without any. `text` gives the canonical text of the operand.
 */
export function describeCall(
  call: Call,
  operand: Described,
  valued: boolean,
  text: () => string,
): SeriesDescriptor {
  const { descriptor } = operand;
  switch (call.name) {
    case "rate":
      return rated(operand, text);
    case "sum":
    case "sum_inst":
    case "sum_sample":
      return { ...descriptor, type: "double" };
    case "avg":
    case "avg_inst":
    case "avg_sample":
    case "stdev_inst":
    case "stdev_sample":
    case "topk_inst":
    case "topk_sample":
      return averaged(descriptor);
    case "rescale": {
      // Texts are of a type, what log makes without values is of none.
      if (descriptor.type === "UNKNOWN") throw unsupported();
      const { to } = rescaling(operand, call.units ?? "");
      return { ...descriptor, units: pmUnitsStr(to) };
    }
    case "log":
    case "sqrt":
      numericType(descriptor);
      return { ...descriptor, type: valued ? "DOUBLE" : "UNKNOWN" };
    case "abs":
    case "floor":
    case "round":
      numericType(descriptor);
      return descriptor;
    default:
      return descriptor;
  }
}

/** What multiplying by a number makes of a descriptor. */
export const describeScale = ({ number }: Scale, { descriptor }: Described): SeriesDescriptor =>
  number.whole ? descriptor : averaged(descriptor);

const SCALES = ["scaleSpace", "scaleTime", "scaleCount"] as const;

/** Whether units are equal in scale, and the larger scale of each dimension. */
function largerScales(
  a: Units,
  b: Units,
): { equal: boolean; scales: Pick<Units, (typeof SCALES)[number]> } {
  const larger = (scale: (typeof SCALES)[number]): number => Math.max(a[scale], b[scale]);
  return {
    equal: SCALES.every((scale) => a[scale] === b[scale]),
    scales: {
      scaleSpace: larger("scaleSpace"),
      scaleTime: larger("scaleTime"),
      scaleCount: larger("scaleCount"),
    },
  };
}

/** Refuses what has no meaning of counters and others under an operator. */
function checkSemantics(operator: Operator, left: SeriesDescriptor, right: SeriesDescriptor): void {
  const [first, second] = [left, right].map(({ semantics }) => semantics === "counter");
  const additive = operator === "+" || operator === "-";
  if (first === true && second === true && !additive)
    throw new SeriesProblem(
      "Both operands have the semantics of counter, only addition or subtraction is allowed.\n",
    );
  if (first === true && second === false && additive)
    throw new SeriesProblem(
      "Left operand is a counter and the right one is not, only multiplication or division is allowed.\n",
    );
  if (first === false && second === true && operator !== "*")
    throw new SeriesProblem(
      "Left operand is not a counter and the right one is, only multiplication is allowed.\n",
    );
}

/** Refuses operands of different instance domains, which comes before all else. */
export function checkDomains(left: Described, right: Described): void {
  if (left.descriptor.indom !== right.descriptor.indom)
    throw new SeriesProblem(
      "Operands should have the same instance domain for all of the binary operators.\n",
    );
}

/** The extra units of a result. Throws SeriesProblem where two of them do not go together. */
function extraOf(
  operator: Operator,
  left: Described,
  right: Described,
  a: Units,
  b: Units,
): Pick<Units, "extraUnit" | "extraScale"> {
  const none = { extraUnit: 0, extraScale: 0 };
  if (a.extraUnit !== 0 && b.extraUnit !== 0) {
    if (operator === "*") throw new SeriesProblem("Extra units not allowed with multiplication.\n");
    if (a.extraUnit !== b.extraUnit || a.extraScale !== b.extraScale)
      throw new SeriesProblem(`Extra units of ${left.id} and ${right.id} are not the same\n`);
    if (operator === "/") return none;
  }
  const from = operator === "*" && a.extraUnit === 0 ? b : a;
  return { extraUnit: from.extraUnit, extraScale: from.extraScale };
}

/** The result type of two operands, in rising order. */
const RANKS = ["32", "u32", "64", "u64", "float", "double"] as const;

/** What an operator makes of two descriptors, and the type in which values are combined. */
export interface CombinedDescriptor {
  readonly descriptor: SeriesDescriptor;
  readonly type: NumericType;
}

/** Refuses or describes a combination, but for the domains (spec series.md 8.8). */
export function describeBinary(
  operator: Operator,
  left: Described,
  right: Described,
  valued: boolean,
  valueMode: boolean,
): CombinedDescriptor {
  checkSemantics(operator, left.descriptor, right.descriptor);
  const types = [numericType(left.descriptor), numericType(right.descriptor)];
  const a = unitsOf(left);
  const b = unitsOf(right);
  const extra = extraOf(operator, left, right, a, b);
  const { equal, scales } = largerScales(a, b);
  const rank = Math.max(...types.map((each) => RANKS.indexOf(each)));
  const type = operator === "/" || !equal ? "double" : (RANKS[rank] ?? "double");
  const sign = operator === "*" ? 1 : operator === "/" ? -1 : 0;
  const dimensions = {
    dimSpace: four(a.dimSpace + sign * b.dimSpace),
    dimTime: four(a.dimTime + sign * b.dimTime),
    dimCount: four(a.dimCount + sign * b.dimCount),
  };
  const plain = !sameDimensions(a, NO_UNITS) || !sameDimensions(b, NO_UNITS);
  // With values PCP forgets the scales of what it has combined.
  const kept = valueMode && plain ? { scaleSpace: 0, scaleTime: 0, scaleCount: 0 } : scales;
  const semantics = [left, right].map(({ descriptor }) => descriptor.semantics);
  const same = semantics[0] === semantics[1] ? semantics[0] : undefined;
  return {
    type,
    descriptor: {
      ...left.descriptor,
      semantics: same === "discrete" || same === "counter" ? same : "instant",
      type: valued ? type.toUpperCase() : left.descriptor.type,
      units: unitsText({ ...dimensions, ...kept, ...extra }),
    },
  };
}

/** The units of results, by their texts, each with the first metric that has them. */
interface UnitsOfResults {
  readonly text: string;
  readonly units: Units;
  readonly metric: string | undefined;
}

/**
 * Compares the units of all results of a query (spec series.md 8.9). Throws SeriesProblem for different
 * dimensions, with the metrics' names unless its functions have `lost` them; says whether scales differ.
 */
export function differInScale(results: readonly Described[], lost: boolean): boolean {
  const distinct = new Map<string, UnitsOfResults>();
  if (results.length > 1)
    for (const each of results) {
      const { units: text } = each.descriptor;
      if (!distinct.has(text))
        distinct.set(text, { text, units: unitsOf(each), metric: each.metric });
    }
  const [first, ...others] = distinct.values();
  if (first === undefined) return false;
  const shown = ({ metric, text }: UnitsOfResults): string =>
    `'${lost ? "(null)" : (metric ?? "(null)")}' (${text})`;
  for (const other of others)
    if (!sameDimensions(first.units, other.units))
      throw new SeriesProblem(
        `Incompatible units between operand metrics or expressions\n${shown(first)}\nvs${shown(other)}\n`,
      );
  return others.some(({ units }) => SCALES.some((scale) => units[scale] !== first.units[scale]));
}
