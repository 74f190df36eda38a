// Functions over values (spec series.md 8.1 to 8.6): one series in, one out. What there is of them and
// what they make of descriptors is checked before (descriptors.ts). Refuses units that cannot be rescaled.
import { type Described, numericType, rescaling } from "./descriptors.ts";
import { mapNumbers, mapTyped, rescaleColumn } from "./elementwise.ts";
import type { QueryNode } from "./language.ts";
import {
  bestOverInstances,
  bestOverTime,
  percentileOverInstances,
  percentileOverTime,
  rates,
  topOverInstances,
  topOverTime,
  totalOverInstances,
  totalOverTime,
} from "./reduce.ts";
import { type Samples, sampleSize, withoutHoles } from "./samples.ts";

type Call = Extract<QueryNode, { kind: "call" }>;

/** A series with its values on the way through functions. */
export interface Valued extends Described {
  readonly samples: Samples;
}

/** Holes only where a count made them: those behind the last value. */
function withoutGaps(samples: Samples): Samples {
  let last = samples.times.length - 1;
  while (last >= 0 && sampleSize(samples, last) === 0) last--;
  for (let sample = 0; sample <= last; sample++)
    if (sampleSize(samples, sample) === 0) return withoutHoles(samples);
  return samples;
}

/** Values of a function or of a product with a number. */
export function applyUnary(
  node: Exclude<QueryNode, { kind: "series" | "binary" }>,
  operand: Valued,
): Samples {
  const { samples } = operand;
  if (node.kind === "scale") {
    const factor = node.number.value;
    return { ...samples, values: mapNumbers(samples.values, (value) => value * factor) };
  }
  return applyCall(node, operand);
}

/** Values of a function. */
function applyCall(call: Call, operand: Valued): Samples {
  const { samples } = operand;
  const number = call.number?.value ?? 0;
  switch (call.name) {
    case "rate":
      return rates(withoutGaps(samples));
    case "max":
    case "max_inst":
      return bestOverTime(samples, true);
    case "min":
    case "min_inst":
      return bestOverTime(samples, false);
    case "sum":
    case "sum_inst":
      return totalOverTime(samples, "sum");
    case "avg":
    case "avg_inst":
      return totalOverTime(samples, "avg");
    case "stdev_inst":
      return totalOverTime(samples, "stdev");
    case "max_sample":
      return bestOverInstances(samples, true);
    case "min_sample":
      return bestOverInstances(samples, false);
    case "sum_sample":
      return totalOverInstances(samples, "sum");
    case "avg_sample":
      return totalOverInstances(samples, "avg");
    case "stdev_sample":
      return totalOverInstances(samples, "stdev");
    case "topk_inst":
      return topOverTime(samples, number);
    case "topk_sample":
      return topOverInstances(samples, number);
    case "nth_percentile_inst":
      return percentileOverTime(samples, number);
    case "nth_percentile_sample":
      return percentileOverInstances(samples, number);
    default:
      return applyElementwise(call, operand, call.name);
  }
}

type Elementwise = "abs" | "floor" | "round" | "sqrt" | "log" | "rescale";

function applyElementwise(call: Call, operand: Valued, name: Elementwise): Samples {
  const { samples } = operand;
  const { values } = samples;
  // A text of a float is read as one, and goes on as a double.
  const isFloat = operand.descriptor.type.toLowerCase() === "float";
  const read = isFloat ? Math.fround : (value: number): number => value;
  switch (name) {
    case "abs":
    case "floor":
    case "round":
      return { ...samples, values: mapTyped(name, values, numericType(operand.descriptor)) };
    case "sqrt":
      return { ...samples, values: mapNumbers(values, (value) => Math.sqrt(read(value))) };
    case "log": {
      const base = call.number;
      const divisor = base === undefined ? 1 : Math.log(base.value);
      return { ...samples, values: mapNumbers(values, (value) => Math.log(read(value)) / divisor) };
    }
    case "rescale": {
      const { from, to } = rescaling(operand, call.units ?? "");
      return { ...samples, values: rescaleColumn(values, from, to) };
    }
  }
}
