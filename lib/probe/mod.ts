// probe: what a source of metrics holds, as a report, a picture and a dump.
export type * from "./archive-types.ts";
export type * from "./dump-types.ts";
export { dumpArchives } from "./dump.ts";
