// What a verb says about itself, as data: names, options, operands, and the prose of its help. One
// such description drives the reader, usage text, help, man page and completion. Reading refuses
// what the option table refuses, operands that the verb does not take, and options that exclude
// each other.

import {
  readOptions,
  type OptionResult,
  type OptionSpec,
  type OptionTable,
  type ReadSettings,
} from "./options.ts";

/** A term and what it means: a file, a variable, an exit status. */
export interface Term {
  readonly term: string;
  readonly text: string;
}

/** A part of the long help after the options. */
export interface Section {
  readonly title: string;
  readonly entries: readonly Term[];
}

/** An operand: its name in usage lines and, when it is one of a few words, those words. */
export interface Operand {
  readonly name: string;
  readonly text: string;
  readonly choices?: readonly Term[];
  /** What it names, for completion. */
  readonly completes?: OptionSpec["completes"];
  /** It may be given any number of times; only the last operand of a verb can be such. */
  readonly repeats?: boolean;
  /** The operand is the name of a verb; only completion needs to know. */
  readonly namesVerb?: boolean;
}

/** The description of a verb. */
export interface Verb<T extends OptionTable = OptionTable> {
  readonly name: string;
  /** The name that it goes by in messages, and that calls it by itself, e.g. `pmproxy`. */
  readonly program: string;
  /** True when `program` is a PCP program: errors then end with its usage text. */
  readonly actsAsPcp: boolean;
  /** One line, no full stop. */
  readonly summary: string;
  /** What follows the program's name in usage lines; the first is PCP's own. */
  readonly usage: readonly string[];
  readonly options: T;
  /** Operands by position; each may be left out. */
  readonly operands: readonly Operand[];
  /** Paragraphs. */
  readonly description: readonly string[];
  readonly examples: readonly { readonly command: string; readonly does: string }[];
  readonly sections: readonly Section[];
  /** Exit status of a mistake on the command line. */
  readonly mistakeStatus: number;
  /** Exit status of `-?` under the name of a PCP program; 0 when left out. */
  readonly helpStatus?: number;
  /** The usage text is PCP's own to the byte: it leaves the options out that only pcpbox knows. */
  readonly exactUsage?: boolean;
  /** PCP's sentences for mistakes that no single option shows, from the keys of those given. */
  readonly check?: (given: ReadonlySet<string>, operands: readonly string[]) => readonly string[];
  /** Sentences for what will be ignored, from the keys given; printed before everything else. */
  readonly warnings?: (given: ReadonlySet<string>) => readonly string[];
}

/** Keeps the literal types of a description. */
export const defineVerb = <const T extends OptionTable>(verb: Verb<T>): Verb<T> => verb;

/** The keys of the options on a command line, mistakes or not. */
export const keysGiven = <T extends OptionTable>(result: OptionResult<T>): ReadonlySet<string> =>
  new Set(result.options.map((each) => each.option));

/** Reads a verb's command line: options, then operands against the description, then `check`. */
export function readVerb<T extends OptionTable>(
  verb: Verb<T>,
  args: readonly string[],
  settings: ReadSettings = {},
): OptionResult<T> {
  const result = readOptions(verb.options, args, settings);
  if (result.kind !== "ok") return result;
  const given = keysGiven(result);
  const errors = [...(verb.check?.(given, result.operands) ?? [])];
  for (const [index, text] of result.operands.entries()) {
    const last = verb.operands.at(-1);
    const operand = verb.operands[index] ?? (last?.repeats === true ? last : undefined);
    const words = operand?.choices?.map((each) => each.term);
    if (operand === undefined) errors.push(`unexpected argument '${text}'`);
    else if (words !== undefined && !words.includes(text)) {
      errors.push(`unknown ${operand.name} '${text}', not one of ${words.join(", ")}`);
    }
  }
  if (errors.length === 0) return result;
  return { kind: "error", errors, misspelt: false, options: result.options };
}
