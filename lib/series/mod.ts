// series: time series of archives: the query language, identifiers, and the stores that answer.
export * from "./language.ts";
export { parseQuery, parseWindow, type ParseOptions, QueryError } from "./parse.ts";
