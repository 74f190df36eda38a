// Completion scripts for bash, zsh and fish, generated from the same descriptions as reader and
// help: verbs, options with their arguments, operands, and the PCP programs' names. Texts are quoted
// for the shell they go to, so that nothing in a table can become a command.

import type { OptionSpec } from "./options.ts";
import { optionGroups } from "./usage.ts";
import type { Term, Verb } from "./verb.ts";

/** Shells that a script can be made for. */
export const SHELLS = ["bash", "zsh", "fish"] as const;
/** One of SHELLS. */
export type Shell = (typeof SHELLS)[number];

/** An option as a shell sees it: one name or two, and what its argument is. */
interface Choice {
  readonly names: readonly string[];
  readonly help: string;
  readonly spec: OptionSpec;
}

function choicesOf(verb: Verb): readonly Choice[] {
  const choices: Choice[] = [];
  for (const lines of optionGroups(verb).values()) {
    for (const { spec, old, help } of lines) {
      const names: string[] = [];
      // A short name belongs to the current long name; the old one stands alone.
      if (spec.short !== undefined && old === undefined) names.push(`-${spec.short}`);
      const long = old?.name ?? spec.long;
      if (long !== undefined) names.push(`--${long}`);
      choices.push({ names, help, spec });
    }
  }
  return choices;
}

function operandTerms(verb: Verb, verbs: readonly Verb[]): readonly Term[] {
  const [operand] = verb.operands;
  if (operand?.namesVerb === true) {
    return verbs.map(({ name, summary }) => ({ term: name, text: summary }));
  }
  return operand?.choices ?? [];
}

/** Programs that a verb is called by: its own name for PCP's, with the verb. */
const programsOf = (verbs: readonly Verb[]): readonly Verb[] =>
  verbs.filter((each) => each.actsAsPcp);

const quote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
const indented = (lines: readonly string[], by: string): string =>
  lines.map((line) => `${by}${line}\n`).join("");

// bash ---------------------------------------------------------------------------------------------

/** A call that offers these words. */
const bashWords = (words: readonly string[]): string =>
  `_pcpbox_words ${words.map(quote).join(" ")}`;

/** A call that offers what is named; empty: nothing to offer. */
function bashFound(completes: OptionSpec["completes"]): string {
  switch (completes) {
    case "file":
      return "_pcpbox_found -f; ";
    case "directory":
      return "_pcpbox_found -d; ";
    case "user":
      return "_pcpbox_found -u; ";
    case "host":
      return "_pcpbox_found -A hostname; ";
    default:
      return "";
  }
}

/** A call that offers an option's argument; empty: nothing to offer. */
const bashAction = ({ choices, completes }: OptionSpec): string =>
  choices === undefined ? bashFound(completes) : `${bashWords(choices)}; `;

function bashVerb(verb: Verb, verbs: readonly Verb[]): string {
  const choices = choicesOf(verb);
  const cases = choices
    .filter((each) => each.spec.argument !== undefined)
    .map(({ names, spec }) => `${names.map(quote).join("|")}) ${bashAction(spec)}return ;;`);
  const options = choices.flatMap((each) => each.names);
  const operands = operandTerms(verb, verbs).map((each) => each.term);
  const found = bashFound(verb.operands.at(-1)?.completes);
  const offer = operands.length > 0 ? `${bashWords(operands)} ` : found;
  return [
    `_pcpbox_${verb.name}() {\n`,
    cases.length === 0 ? "" : `  case $prev in\n${indented(cases, "    ")}  esac\n`,
    "  case $cur in\n",
    `    -*) ${bashWords(options)} ;;\n`,
    offer === "" ? "" : `    *) ${offer};;\n`,
    "  esac\n}\n\n",
  ].join("");
}

function bashScript(verbs: readonly Verb[]): string {
  const programs = programsOf(verbs).map(
    ({ name, program }) => `${quote(program)}) _pcpbox_${name}; return ;;`,
  );
  const calls = verbs.map(({ name }) => `${quote(name)}) _pcpbox_${name} ;;`);
  const top = [...verbs.map((each) => each.name), "--help", "--version"];
  const names = ["pcpbox", ...programsOf(verbs).map((each) => each.program)];
  return `# bash completion for pcpbox; made by: pcpbox completion bash

# _pcpbox_words WORD...: offers those that begin with $cur, without expanding anything
_pcpbox_words() {
  local word
  for word in "$@"; do
    if [[ $word == "$cur"* ]]; then COMPREPLY+=("$word"); fi
  done
}

# _pcpbox_found COMPGEN-ARGUMENT...: offers the names that compgen finds for $cur
_pcpbox_found() {
  local word
  while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen "$@" -- "$cur")
  if [[ $1 == -[df] ]]; then compopt -o filenames 2>/dev/null; fi
}

${verbs.map((each) => bashVerb(each, verbs)).join("")}_pcpbox() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev='' verb='' word at program=\${1##*/}
  COMPREPLY=()
  if ((COMP_CWORD > 0)); then prev=\${COMP_WORDS[COMP_CWORD - 1]}; fi
  # bash splits --name=value at the sign
  if [[ $cur == = ]]; then
    cur=''
  elif [[ $prev == = ]] && ((COMP_CWORD > 1)); then
    prev=\${COMP_WORDS[COMP_CWORD - 2]}
  fi
  case \${program%.exe} in
${indented(programs, "    ")}  esac
  for ((at = 1; at < COMP_CWORD; at++)); do
    word=\${COMP_WORDS[at]}
    if [[ $word != -* ]]; then
      verb=$word
      break
    fi
  done
  case $verb in
    '') ${bashWords(top)} ;;
${indented(calls, "    ")}  esac
}

complete -F _pcpbox ${names.join(" ")}
`;
}

// zsh ----------------------------------------------------------------------------------------------

const zshText = (text: string): string => text.replaceAll(/[\\[\]:]/g, "\\$&");

function zshAction({ choices, completes }: Pick<OptionSpec, "choices" | "completes">): string {
  if (choices !== undefined) return `(${choices.join(" ")})`;
  switch (completes) {
    case "file":
      return "_files";
    case "directory":
      return "_files -/";
    case "user":
      return "_users";
    case "host":
      return "_hosts";
    default:
      return " ";
  }
}

/** The `_arguments` specifications of one option, quoted, one for each name. */
function zshOption({ names, help, spec }: Choice): readonly string[] {
  const exclusive = spec.repeatable === true ? "*" : `(${names.join(" ")})`;
  return names.map((name) => {
    const tail = spec.argument === undefined ? "" : `:${zshText(spec.argument)}:${zshAction(spec)}`;
    const join = spec.argument === undefined ? "" : name.startsWith("--") ? "=" : "+";
    return quote(`${exclusive}${name}${join}[${zshText(help)}]${tail}`);
  });
}

const zshTerms = (terms: readonly Term[]): readonly string[] =>
  terms.map(({ term, text }) => quote(`${zshText(term)}:${text}`));

function zshVerb(verb: Verb, verbs: readonly Verb[]): string {
  const terms = operandTerms(verb, verbs);
  const name = `_pcpbox_${verb.name}`;
  const operand = verb.operands[0];
  const specs = choicesOf(verb).flatMap(zshOption);
  if (operand !== undefined && terms.length > 0) {
    specs.push(quote(`1:${zshText(operand.name)}:${name}_operand`));
  }
  const last = verb.operands.at(-1);
  if (last?.completes !== undefined) {
    const action = zshAction({ completes: last.completes });
    specs.push(quote(`*:${zshText(last.name)}:${action}`));
  }
  const operands =
    terms.length === 0
      ? ""
      : `${name}_operand() {\n  local -a words\n  words=(\n${indented(zshTerms(terms), "    ")}  )\n  _describe ${quote(operand?.name ?? "")} words\n}\n\n`;
  return `${operands}${name}() {\n  _arguments -s -S \\\n${specs.map((each) => `    ${each}`).join(" \\\n")}\n}\n\n`;
}

function zshScript(verbs: readonly Verb[]): string {
  const programs = programsOf(verbs);
  const names = ["pcpbox", ...programs.map((each) => each.program)].join(" ");
  const direct = programs.map(({ name, program }) => `${program}) _pcpbox_${name}; return ;;`);
  const calls = verbs.map(({ name }) => `${name}) _pcpbox_${name} ;;`);
  const terms = verbs.map(({ name, summary }) => ({ term: name, text: summary }));
  return `#compdef ${names}
# zsh completion for pcpbox; made by: pcpbox completion zsh

${verbs.map((each) => zshVerb(each, verbs)).join("")}_pcpbox() {
  case $service in
${indented(direct, "    ")}  esac
  if ((CURRENT == 2)); then
    local -a words_of_pcpbox
    words_of_pcpbox=(
${indented(zshTerms(terms), "      ")}    )
    _describe 'verb' words_of_pcpbox
    return
  fi
  shift words
  ((CURRENT--))
  case $words[1] in
${indented(calls, "    ")}  esac
}

if [ "$funcstack[1]" = "_pcpbox" ]; then
  _pcpbox "$@"
else
  compdef _pcpbox ${names}
fi
`;
}

// fish ---------------------------------------------------------------------------------------------

const fishQuote = (text: string): string => `'${text.replaceAll(/[\\']/g, "\\$&")}'`;

/** How a shell is to offer what is named. */
function fishFound(completes: OptionSpec["completes"]): string {
  switch (completes) {
    case "file":
      return " -r -F";
    case "directory":
      return " -x -a '(__fish_complete_directories)'";
    case "user":
      return " -x -a '(__fish_complete_users)'";
    case "host":
      return " -x -a '(__fish_print_hostnames)'";
    default:
      return " -x";
  }
}

function fishAction({ argument, choices, completes }: OptionSpec): string {
  if (argument === undefined) return "";
  return choices === undefined ? fishFound(completes) : ` -x -a ${fishQuote(choices.join(" "))}`;
}

/** The `complete` lines of a verb after `head`, which names command and condition. */
function fishLines(head: string, verb: Verb, verbs: readonly Verb[]): readonly string[] {
  const options = choicesOf(verb).map(({ names, help, spec }) => {
    const written = names.map((name) =>
      name.startsWith("--") ? ` -l ${fishQuote(name.slice(2))}` : ` -s ${fishQuote(name.slice(1))}`,
    );
    return `${head}${written.join("")}${fishAction(spec)} -d ${fishQuote(help)}`;
  });
  const operands = operandTerms(verb, verbs).map(
    ({ term, text }) => `${head} -a ${fishQuote(term)} -d ${fishQuote(text)}`,
  );
  const { completes } = verb.operands.at(-1) ?? {};
  if (completes !== undefined) operands.push(`${head}${fishFound(completes)}`);
  return [...options, ...operands];
}

function fishScript(verbs: readonly Verb[]): string {
  const lines: string[] = ["complete -c pcpbox -f"];
  for (const { name, summary } of verbs) {
    lines.push(
      `complete -c pcpbox -n __fish_use_subcommand -a ${fishQuote(name)} -d ${fishQuote(summary)}`,
    );
  }
  for (const verb of verbs) {
    const condition = fishQuote(`__fish_seen_subcommand_from ${verb.name}`);
    lines.push(...fishLines(`complete -c pcpbox -n ${condition}`, verb, verbs));
  }
  for (const verb of programsOf(verbs)) {
    lines.push(`complete -c ${verb.program} -f`);
    lines.push(...fishLines(`complete -c ${verb.program}`, verb, verbs));
  }
  return `# fish completion for pcpbox; made by: pcpbox completion fish\n${lines.join("\n")}\n`;
}

/** The completion script of a shell for these verbs. */
export function completionScript(shell: Shell, verbs: readonly Verb[]): string {
  switch (shell) {
    case "bash":
      return bashScript(verbs);
    case "zsh":
      return zshScript(verbs);
    case "fish":
      return fishScript(verbs);
  }
}
