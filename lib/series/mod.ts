// series: time series of archives: the query language, identifiers, evaluation, and the interface of the
// stores that answer.
export * from "./column.ts";
export * from "./evaluate.ts";
export * from "./ids.ts";
export * from "./language.ts";
export * from "./lookups.ts";
export { parseQuery, parseWindow, type ParseOptions, QueryError } from "./parse.ts";
export * from "./problem.ts";
export * from "./report.ts";
export * from "./rest-json.ts";
export * from "./samples.ts";
export * from "./search.ts";
export * from "./search-documents.ts";
export { embeddedSearch } from "./search-embedded.ts";
export { keySearch, RESULT_COUNT } from "./search-key.ts";
export * from "./service.ts";
export * from "./store.ts";
export * from "./catalogue.ts";
export * from "./catalogue-follow.ts";
export * from "./embedded.ts";
export * from "./keys.ts";
export * from "./key-store.ts";
export * from "./load.ts";
export type { KnownInstance, KnownMetadata, LoadSource } from "./load-metadata.ts";
export * from "./load-request.ts";
export * from "./open.ts";
export { canLoadAgain, type LoadWriter, loadWriter } from "./load-writer.ts";
export { entryOfTime } from "./schema.ts";
