// `pcpbox completion SHELL`: prints the completion script; a shell must be named.

import { completionScript, SHELLS } from "../lib/cli/mod.ts";
import { completionVerb } from "./options/completion.ts";
import { say } from "./output.ts";
import { command, refuse } from "./verb.ts";

export default command(completionVerb, async ({ operands, invocation }) => {
  const shell = SHELLS.find((each) => each === operands[0]);
  if (shell === undefined) return refuse(completionVerb, ["which shell? bash, zsh or fish"]);
  const verbs = await Promise.all(invocation.verbs.map((each) => each.describe()));
  say(completionScript(shell, verbs));
  return 0;
});
