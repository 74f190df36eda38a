// extract: pmlogextract's work. Archives merged, cut, reduced and converted into one.
export type * from "./types.ts";
