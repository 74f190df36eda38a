// pcp: the vocabulary of PCP, without any input or output: identifiers, types, units, values,
// results, labels, names, host specifications, times, zones and time windows.
export * from "./events.ts";
export * from "./format.ts";
export * from "./hostspec.ts";
export * from "./ids.ts";
export * from "./instant.ts";
export { parseInterval } from "./interval.ts";
export * from "./labels.ts";
export * from "./names.ts";
export * from "./names-text.ts";
export * from "./print.ts";
export * from "./result.ts";
export * from "./result-writer.ts";
export * from "./scale.ts";
export * from "./time-text.ts";
export * from "./timezone.ts";
export * from "./types.ts";
export * from "./units.ts";
export * from "./units-parse.ts";
export * from "./values.ts";
export * from "./window.ts";
