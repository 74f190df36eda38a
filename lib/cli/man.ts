// A page of help as roff source of a manual page (man(7) macros). Text is escaped, so no content
// can become a request.

import type { Block, Page } from "./page.ts";

/** Text for roff: no escapes, no requests at a line's start, `-` as the character to be copied. */
export function roffText(text: string): string {
  return text
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replaceAll(/^(?=[.'])/gm, "\\&");
}

/** One argument of a macro. */
const quoted = (text: string): string => `"${roffText(text).replaceAll('"', "\\(dq")}"`;

function roffBlock(block: Block): string {
  switch (block.kind) {
    case "paragraph":
      return `.PP\n${roffText(block.text)}\n`;
    case "lines":
      return `.nf\n${block.lines.map((line) => `${roffText(line)}\n`).join("")}.fi\n`;
    case "term":
      return `.TP\n.B ${quoted(block.term)}\n${roffText(block.text)}\n`;
  }
}

/** The source of section 1 of the manual; `version` stands in the footer. */
export function manSource(page: Page, version: string): string {
  const head = `.TH ${quoted(page.name.toUpperCase())} 1 "" ${quoted(`pcpbox ${version}`)} "pcpbox"\n`;
  const name = `.SH NAME\n${page.name} \\- ${roffText(page.summary)}\n`;
  const sections = page.sections.map(({ title, blocks }) => {
    const heading = title === "Usage" ? "SYNOPSIS" : title.toUpperCase();
    return `.SH ${quoted(heading)}\n${blocks.map(roffBlock).join("")}`;
  });
  return head + name + sections.join("");
}
