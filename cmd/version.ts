// `pcpbox version`: the same answer as --version.

import { isGiven } from "../lib/cli/mod.ts";
import { versionJson, versionLine } from "./build-info.ts";
import { versionVerb } from "./options/version.ts";
import { say } from "./output.ts";
import { command } from "./verb.ts";

export default command(versionVerb, ({ options }) => {
  say(isGiven(options, "json") ? versionJson() : versionLine("pcpbox"));
  return 0;
});
