// The long help of a verb as a page of sections: the one source of the text on a terminal and of
// the manual page. Rendering to text is here, to roff in man.ts.

import { groupTitle, optionGroups, type OptionLine } from "./usage.ts";
import type { Verb } from "./verb.ts";

/** A piece of a section. `lines` are printed as they are; `term` stands beside or above its text. */
export type Block =
  | { readonly kind: "paragraph"; readonly text: string }
  | { readonly kind: "lines"; readonly lines: readonly string[] }
  | { readonly kind: "term"; readonly term: string; readonly text: string };

/** A page; `name` is the manual page's own name, e.g. `pcpbox-proxy`. */
export interface Page {
  readonly name: string;
  readonly summary: string;
  readonly sections: readonly { readonly title: string; readonly blocks: readonly Block[] }[];
}

/** Sentences that follow each other; the first may lack its full stop. */
function sentences(first: string, ...more: readonly (string | undefined)[]): string {
  const rest = more.filter((each) => each !== undefined);
  return rest.length === 0
    ? first
    : [/[.!?]$/.test(first) ? first : `${first}.`, ...rest].join(" ");
}

function knownText({ spec, old }: OptionLine): string | undefined {
  const known = old?.knownTo ?? spec.knownTo;
  if (known === "pcp-5") return "From PCP before 6.";
  if (known === "pcp-6") return "From PCP 6.";
  return undefined;
}

function optionBlock(line: OptionLine): Block {
  const { spec, old } = line;
  // The usage text leaves some arguments out; here they are shown.
  const hidden = spec.argumentHidden === true ? ` ${spec.argument ?? ""}` : "";
  const fallback = spec.default === undefined ? undefined : `Default: ${spec.default}.`;
  const text =
    old === undefined
      ? sentences(line.help, spec.detail, fallback, knownText(line))
      : sentences(
          spec.long === undefined ? line.help : `old name of --${spec.long}`,
          knownText(line),
        );
  return { kind: "term", term: line.left + hidden, text };
}

/** The page of a verb. */
export function pageOf(verb: Verb): Page {
  const synopsis = verb.usage.map((line) => `pcpbox ${verb.name} ${line}`.trimEnd());
  if (verb.actsAsPcp) synopsis.push(`${verb.program} ${verb.usage[0] ?? ""}`.trimEnd());
  const sections: { title: string; blocks: readonly Block[] }[] = [
    { title: "Usage", blocks: [{ kind: "lines", lines: synopsis }] },
    {
      title: "Description",
      blocks: verb.description.map((text) => ({ kind: "paragraph", text })),
    },
  ];
  for (const operand of verb.operands) {
    const choices = (operand.choices ?? []).map(({ term, text }): Block => ({
      kind: "term",
      term,
      text,
    }));
    const title = `${operand.name.slice(0, 1).toUpperCase()}${operand.name.slice(1)}`;
    sections.push({ title, blocks: [{ kind: "paragraph", text: operand.text }, ...choices] });
  }
  for (const [group, lines] of optionGroups(verb)) {
    sections.push({ title: groupTitle(group), blocks: lines.map(optionBlock) });
  }
  for (const { title, entries } of verb.sections) {
    sections.push({ title, blocks: entries.map((each) => ({ kind: "term", ...each })) });
  }
  if (verb.examples.length > 0) {
    const blocks = verb.examples.map(({ command, does }): Block => ({
      kind: "term",
      term: command,
      text: does,
    }));
    sections.push({ title: "Examples", blocks });
  }
  return { name: `pcpbox-${verb.name}`, summary: verb.summary, sections };
}

/** Words of a text in lines of at most `width`, each begun with `indent`. */
export function wrap(text: string, width: number, indent: string): string {
  const lines: string[] = [];
  let line = indent;
  for (const word of text.split(/\s+/)) {
    if (line !== indent && line.length + 1 + word.length > width) {
      lines.push(line);
      line = indent;
    }
    line += line === indent ? word : ` ${word}`;
  }
  return `${[...lines, line].join("\n")}\n`;
}

/** How a page is rendered: line width in columns, and whether headings and terms are emphasised. */
export interface TextStyle {
  readonly width: number;
  readonly colour: boolean;
}

/** Terms up to this wide share a line with their text. */
const TERM_COLUMN = 24;

/** The page as text for people, on a terminal or in a file. */
export function pageText(page: Page, style: TextStyle): string {
  const width = Math.min(100, Math.max(40, style.width));
  const strong = (text: string): string => (style.colour ? `\u001b[1m${text}\u001b[22m` : text);
  const block = (each: Block): string => {
    if (each.kind === "paragraph") return `${wrap(each.text, width, "  ")}\n`;
    if (each.kind === "lines") return each.lines.map((line) => `  ${line}\n`).join("");
    const indent = " ".repeat(TERM_COLUMN);
    const text = wrap(each.text, width, indent);
    return each.term.length + 4 > TERM_COLUMN
      ? `  ${strong(each.term)}\n${text}`
      : `  ${strong(each.term)}${text.slice(each.term.length + 2)}`;
  };
  const sections = page.sections.map(
    ({ title, blocks }) =>
      `\n${strong(title.toUpperCase())}\n${blocks.map(block).join("").trimEnd()}\n`,
  );
  return `${wrap(`${page.name.replace("-", " ")} - ${page.summary}`, width, "")}${sections.join("")}`;
}
