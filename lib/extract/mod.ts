// extract: pmlogextract's work. Archives merged, cut, reduced and converted into one.
export { selectionOf } from "./config.ts";
export { extract } from "./extract.ts";
export type * from "./types.ts";
