// The usage text in PCP's layout, generated from a verb's option table (spec proxy.md 2.2): what a
// mistake prints, and `-?` under a PCP program's name. The option's left side is used by help, man
// page and completion too.

import type { OldName, OptionSpec } from "./options.ts";
import type { Verb } from "./verb.ts";

/** Column at which descriptions begin. */
const COLUMN = 24;

/** `-p PORT, --port=PORT`: the ways to write an option; an old name instead of the current one. */
export function leftSide(spec: OptionSpec, old?: OldName): string {
  const argument = spec.argumentHidden === true ? undefined : spec.argument;
  const long = old?.name ?? spec.long;
  const parts: string[] = [];
  if (spec.short !== undefined) {
    parts.push(argument === undefined ? `-${spec.short}` : `-${spec.short} ${argument}`);
  }
  if (long !== undefined) {
    parts.push(argument === undefined ? `--${long}` : `--${long}=${argument}`);
  }
  return parts.join(", ");
}

/** One line of a group: how an option is written, what it does, and the option itself. */
export interface OptionLine {
  readonly left: string;
  readonly help: string;
  readonly spec: OptionSpec;
  readonly old: OldName | undefined;
}

/** The heading of a group; options of no group in particular have the plain word. */
export function groupTitle(group: string): string {
  if (group === "") return "Options";
  return group.includes("options") ? group : `${group} options`;
}

/** The options of a verb by group, groups and options in table order, old names last. */
export function optionGroups(verb: Verb): ReadonlyMap<string, readonly OptionLine[]> {
  const groups = new Map<string, { lines: OptionLine[]; old: OptionLine[] }>();
  for (const spec of Object.values(verb.options)) {
    if (spec.hidden === true) continue;
    const group = groups.get(spec.group) ?? { lines: [], old: [] };
    groups.set(spec.group, group);
    group.lines.push({ left: leftSide(spec), help: spec.help, spec, old: undefined });
    for (const old of spec.old ?? []) {
      group.old.push({ left: leftSide(spec, old), help: old.help, spec, old });
    }
  }
  return new Map([...groups].map(([name, { lines, old }]) => [name, [...lines, ...old]]));
}

function usageLine({ left, help }: OptionLine): string {
  const start = `  ${left}`;
  return start.length < COLUMN
    ? `${start.padEnd(COLUMN)}${help}\n`
    : `${start}\n${" ".repeat(COLUMN)}${help}\n`;
}

/** The usage text for a verb under the name it was called by, e.g. `pmproxy`; ends with a newline. */
export function usageText(verb: Verb, program: string = verb.program): string {
  const synopsis = verb.usage.map(
    (line, index) => `${index === 0 ? "Usage:" : "      "} ${program} ${line}`.trimEnd() + "\n",
  );
  const shown = ({ spec }: OptionLine): boolean =>
    verb.exactUsage !== true || spec.knownTo !== "pcpbox";
  const groups = [...optionGroups(verb)].map(([name, all]) => {
    const lines = all.filter(shown);
    return lines.length === 0 ? "" : `\n${groupTitle(name)}:\n${lines.map(usageLine).join("")}`;
  });
  return synopsis.join("") + groups.join("");
}
