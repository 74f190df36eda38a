// What a command line says about a metric: `NAME` or `NAME[INSTANCE,…]`, instances in quotes where
// they hold commas or brackets. Refuses what pmParseMetricSpec(3) refuses, with a caret under the
// place; `HOST:NAME` is not read, since the source has options of its own.
import { PM_ERR, PcpError } from "../base/mod.ts";

/** A metric that was asked for; without `instances` all of them. */
export interface MetricSpec {
  readonly name: string;
  readonly instances: readonly string[] | undefined;
}

function refuse(text: string, at: number, reason: string): never {
  throw new PcpError(PM_ERR.GENERIC, `${text}\n${" ".repeat(at)}^ -- ${reason}`);
}

/** Reads the list from after its `[` to the end of the text. */
function instancesOf(text: string, start: number): string[] {
  const found: string[] = [];
  let at = start;
  for (;;) {
    while (text[at] === " " || text[at] === ",") at += 1;
    const quote = text[at];
    if (quote === undefined) refuse(text, text.length, "closing ] expected");
    if (quote === "]") break;
    let name: string;
    if (quote === '"' || quote === "'") {
      const end = text.indexOf(quote, at + 1);
      if (end < 0) refuse(text, text.length, `closing ${quote} expected`);
      name = text.slice(at + 1, end);
      at = end + 1;
    } else {
      const end = text.slice(at).search(/[,\]]/);
      if (end < 0) refuse(text, text.length, "closing ] expected");
      name = text.slice(at, at + end).trimEnd();
      at += end;
    }
    found.push(name);
  }
  if (at + 1 < text.length) refuse(text, at + 1, "unexpected text after the instances");
  if (found.length === 0) refuse(text, at, "an instance expected");
  return found;
}

/** Reads a specification; PM_ERR_GENERIC with text, caret and reason. */
export function parseMetricSpec(text: string): MetricSpec {
  const open = text.indexOf("[");
  const name = open < 0 ? text : text.slice(0, open);
  if (name === "") refuse(text, 0, "the name of a metric expected");
  return { name, instances: open < 0 ? undefined : instancesOf(text, open + 1) };
}
