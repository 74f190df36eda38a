// series: the query language of time series, its evaluation and its reports, identifiers, and the
// interfaces of whatever stores and finds them.
export * from "./column.ts";
export * from "./evaluate.ts";
export * from "./ids.ts";
export type { QueryNode, TimeSpec } from "./language.ts";
export * from "./load-request.ts";
export * from "./loading.ts";
export * from "./lookups.ts";
export { putE, putWhole } from "./numerals.ts";
export { parseQuery, parseWindow, type ParseOptions, QueryError } from "./parse.ts";
export * from "./problem.ts";
export { remembered } from "./remembered.ts";
export * from "./report.ts";
export {
  descriptorsJson,
  instancesJson,
  type JsonAnswer,
  type JsonForm,
  labelsJson,
  labelValuesJson,
  namesJson,
  ownedNamesJson,
  problemJson,
  quoted,
  type Quoting,
  successJson,
} from "./rest-json.ts";
export { ownRoom, type Room, tooLarge } from "./room.ts";
export * from "./samples.ts";
export * from "./search.ts";
export * from "./search-documents.ts";
export * from "./search-words.ts";
export { uniteInTurn } from "./select.ts";
export * from "./service.ts";
export * from "./store.ts";
export { valuesJson } from "./values-json.ts";
