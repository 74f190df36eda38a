// `pcpbox help`: a page about pcpbox or about one verb, on the terminal or as manual page source.
// Refuses verbs that do not exist.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { isGiven, manSource, type Page, pageOf, pageText } from "../lib/cli/mod.ts";
import { buildInfo } from "./build-info.ts";
import { helpVerb } from "./options/help.ts";
import { complain, outputStyle, say } from "./output.ts";
import { command, helpText, refuse, unknownVerb, type VerbEntry } from "./verb.ts";

/** The page about pcpbox itself; it loads every description. */
export async function overview(verbs: readonly VerbEntry[]): Promise<Page> {
  const described = await Promise.all(verbs.map((each) => each.describe()));
  return {
    name: "pcpbox",
    summary: "Performance Co-Pilot's collector and archive side in one program",
    sections: [
      {
        title: "Usage",
        blocks: [
          {
            kind: "lines",
            lines: ["pcpbox verb [arguments]", "pcpbox verb --help", "pcpbox --version [--json]"],
          },
        ],
      },
      {
        title: "Verbs",
        blocks: described.map(({ name, summary, actsAsPcp, program }) => ({
          kind: "term",
          term: name,
          text: actsAsPcp ? `${summary} (${program})` : summary,
        })),
      },
      {
        title: "Options",
        blocks: [
          { kind: "term", term: "-?, -h, --help", text: "show this text and exit" },
          { kind: "term", term: "-V, --version", text: "say which build this is and exit" },
          { kind: "term", term: "--json", text: "with --version: print JSON" },
          {
            kind: "term",
            term: "--no-color",
            text: "no colour on a terminal, as with NO_COLOR",
          },
        ],
      },
      {
        title: "Names",
        blocks: [
          {
            kind: "paragraph",
            text: "A symbolic link to pcpbox, or a copy, that has the name of a PCP program in brackets above is that program.",
          },
        ],
      },
      {
        title: "Exit status",
        blocks: [
          { kind: "term", term: "0", text: "success" },
          { kind: "term", term: "1", text: "failure, as of PCP's programs" },
          { kind: "term", term: "2", text: "a mistake on the command line of pcpbox itself" },
        ],
      },
      {
        title: "Examples",
        blocks: [
          {
            kind: "term",
            term: "pcpbox proxy -f -l -",
            text: "run the proxy in the foreground",
          },
          { kind: "term", term: "pcpbox help proxy", text: "everything about the proxy" },
          { kind: "term", term: "source <(pcpbox completion bash)", text: "completion in bash" },
        ],
      },
    ],
  };
}

/** Writes pcpbox.1 and a page for each verb; returns the exit status. */
async function writeManuals(directory: string, verbs: readonly VerbEntry[]): Promise<number> {
  const described = await Promise.all(verbs.map((each) => each.describe()));
  const pages = [await overview(verbs), ...described.map(pageOf)];
  try {
    mkdirSync(directory, { recursive: true });
    for (const page of pages) {
      writeFileSync(join(directory, `${page.name}.1`), manSource(page, buildInfo.version));
    }
  } catch (error) {
    complain(`pcpbox help: cannot write manual pages: ${(error as Error).message}\n`);
    return 1;
  }
  return 0;
}

export default command(helpVerb, async ({ options, operands, invocation }) => {
  const { verbs } = invocation;
  const [name] = operands;
  if (name === undefined) {
    const man = isGiven(options, "man");
    say(
      man
        ? manSource(await overview(verbs), buildInfo.version)
        : await pageText(await overview(verbs), outputStyle(isGiven(options, "noColor"))),
    );
    return 0;
  }
  const entry = verbs.find((each) => each.name === name);
  if (entry !== undefined) {
    const verb = await entry.describe();
    say(
      isGiven(options, "man")
        ? manSource(pageOf(verb), buildInfo.version)
        : helpText(verb, isGiven(options, "noColor")),
    );
    return 0;
  }
  if (isGiven(options, "man")) return writeManuals(name, verbs);
  return refuse(helpVerb, [unknownVerb(name, verbs)]);
});
