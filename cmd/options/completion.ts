// The options of `pcpbox completion`.

import { defineVerb } from "../../lib/cli/mod.ts";
import { generalOptions, ownExitStatus } from "./general.ts";

/** `pcpbox completion`. */
export const completionVerb = defineVerb({
  name: "completion",
  program: "pcpbox completion",
  actsAsPcp: false,
  summary: "print a completion script for a shell",
  usage: ["[options] bash|zsh|fish"],
  options: generalOptions,
  operands: [
    {
      name: "shell",
      text: "The shell that the script is for.",
      choices: [
        { term: "bash", text: "source it, or keep it in the directory of bash-completion" },
        { term: "zsh", text: "source it after compinit, or keep it as _pcpbox in $fpath" },
        { term: "fish", text: "keep it in ~/.config/fish/completions" },
      ],
    },
  ],
  description: [
    "Prints a script that completes verbs, options and their arguments, for pcpbox and for the PCP programs that it can be called as.",
  ],
  examples: [
    { command: "source <(pcpbox completion bash)", does: "complete in this bash" },
    { command: "pcpbox completion zsh > ~/.zfunc/_pcpbox", does: "keep it for every zsh" },
    {
      command: "pcpbox completion fish > ~/.config/fish/completions/pcpbox.fish",
      does: "keep it for every fish",
    },
  ],
  sections: [ownExitStatus],
  mistakeStatus: 2,
});
