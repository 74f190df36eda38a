// Options of pcpbox without a verb.

import { defineOptions } from "../../lib/cli/mod.ts";
import { generalOptions } from "./general.ts";

/** `pcpbox --version --json` and the like; the page of help.ts explains them. */
export const rootOptions = defineOptions({
  ...generalOptions,
  version: {
    short: "V",
    long: "version",
    help: "say which build this is and exit",
    group: "General",
    knownTo: "pcpbox",
    asks: "version",
  },
  json: {
    long: "json",
    help: "with --version: print JSON",
    group: "General",
    knownTo: "pcpbox",
  },
});
