// The strict option reader: PCP's getopt habits driven by one table of options per verb. The same
// table gives usage text, help, man page and completion (usage.ts, help.ts, man.ts, completion.ts).
// Refuses unknown options, missing arguments, ambiguous prefixes and values that the table's parser
// rejects, all with PCP's texts. Never reads argv itself, prints nothing, does not exit.

/** What a value parser says: a value, or the sentence that follows `PROGRAM: `. */
export type Parsed<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: string };

/** Which PCP knows a spelling: 6.0.3 and 7.2.1, only up to one, only 7.2.1, or pcpbox alone. */
export type KnownTo = "pcp" | "pcp-5" | "pcp-6" | "pcp-7" | "pcpbox";

/** An older long name of an option; still read, shown after the others of its group. */
export interface OldName {
  readonly name: string;
  readonly help: string;
  readonly knownTo: KnownTo;
}

/** What a command line can ask for instead of work. */
export type Question = "help" | "version";

/** One option. `short` is one character; one of `short` and `long` is there. */
export interface OptionSpec {
  readonly short?: string;
  readonly long?: string;
  readonly old?: readonly OldName[];
  /** Name of the argument, e.g. PORT; an option without it is a flag and refuses `--name=value`. */
  readonly argument?: string;
  /** PCP's usage text leaves the argument of this option out. */
  readonly argumentHidden?: boolean;
  /** Turns the argument into a value; without it the value is the text. */
  readonly parse?: (text: string) => Parsed<unknown>;
  /** May be given several times with each one counting; otherwise the last one wins. */
  readonly repeatable?: boolean;
  /** Options that must not stand before this one, and the sentence for when one does. */
  readonly excludes?: {
    readonly options: readonly string[];
    /** The sentence, or how it is made of both spellings. */
    readonly error: string | ((spelling: string, earlier: string) => string);
  };
  /** Words that the argument can be, for completion. */
  readonly choices?: readonly string[];
  /** What the argument names, for completion. */
  readonly completes?: "file" | "directory" | "user" | "host";
  /** Default in words, for help; PCP's usage lines carry theirs inside `help`. */
  readonly default?: string;
  /** One line for the usage text. */
  readonly help: string;
  /** Sentences for help and man page; they follow `help`. */
  readonly detail?: string;
  /** Heading of the usage text without the word "options". */
  readonly group: string;
  readonly knownTo: KnownTo;
  /** Read, but not shown: another way to write an option that is shown. */
  readonly hidden?: boolean;
  /** Given at all, it decides what the whole command line is: a question. */
  readonly asks?: Question;
}

/** The options of a verb by our own key, in the order of the usage text. */
export type OptionTable = Readonly<Record<string, OptionSpec>>;

/** Keeps the literal types of a table, so that what is read from it is typed. */
export const defineOptions = <const T extends OptionTable>(table: T): T => table;

/** Type of an option's value: what its parser gives, else text with an argument, else `true`. */
export type ValueOf<O> = O extends { readonly parse: (text: string) => Parsed<infer V> }
  ? V
  : O extends { readonly argument: string }
    ? string
    : true;

/** One option as given: table key, value, and how it was written (`-p`, `--port`). */
export type Given<T extends OptionTable> = {
  [K in keyof T & string]: {
    readonly option: K;
    readonly value: ValueOf<T[K]>;
    readonly spelling: string;
  };
}[keyof T & string];

/**
 * A command line as read. `options` is in the order given, so that a later option can undo an
 * earlier one. An error has PCP's sentences without the program's name, each of them once per
 * mistake; `misspelt` says that an option itself was wrong, not only a value, and `options` holds
 * those that were read without one.
 */
export type OptionResult<T extends OptionTable> =
  | {
      readonly kind: "ok";
      readonly options: readonly Given<T>[];
      readonly operands: readonly string[];
    }
  | { readonly kind: Question; readonly options: readonly Given<T>[] }
  | {
      readonly kind: "error";
      readonly errors: readonly string[];
      readonly misspelt: boolean;
      readonly options: readonly Given<T>[];
    };

interface LongName {
  readonly name: string;
  readonly key: string;
  readonly spec: OptionSpec;
  /** 0 for names that current PCP reads: a prefix of one of those never means one of ours. */
  readonly rank: 0 | 1;
}

const rankOf = (knownTo: KnownTo): 0 | 1 => (knownTo === "pcp" || knownTo === "pcp-7" ? 0 : 1);

/** All long names of a table in the order of the usage text: each group's old names come last. */
export function longNames(table: OptionTable): readonly LongName[] {
  const groups = new Map<string, { current: LongName[]; old: LongName[] }>();
  for (const [key, spec] of Object.entries(table)) {
    const group = groups.get(spec.group) ?? { current: [], old: [] };
    groups.set(spec.group, group);
    if (spec.long !== undefined) {
      group.current.push({ name: spec.long, key, spec, rank: rankOf(spec.knownTo) });
    }
    for (const old of spec.old ?? []) {
      group.old.push({ name: old.name, key, spec, rank: rankOf(old.knownTo) });
    }
  }
  return [...groups.values()].flatMap(({ current, old }) => [...current, ...old]);
}

type Found =
  | { readonly kind: "found"; readonly name: LongName }
  | { readonly kind: "ambiguous"; readonly names: readonly LongName[] }
  | { readonly kind: "none" };

function findLong(names: readonly LongName[], text: string): Found {
  const exact = names.find((each) => each.name === text);
  if (exact !== undefined) return { kind: "found", name: exact };
  // `--=x` names nothing, though every name begins with nothing.
  const fits = text === "" ? [] : names.filter((each) => each.name.startsWith(text));
  for (const rank of [0, 1]) {
    const [first, ...more] = fits.filter((each) => each.rank === rank);
    if (first === undefined) continue;
    if (more.every((each) => each.key === first.key)) return { kind: "found", name: first };
    // getopt lists the first candidate, then the others backwards.
    return { kind: "ambiguous", names: [first, ...more.toReversed()] };
  }
  return { kind: "none" };
}

/** State of one reading. */
interface Reading {
  readonly args: readonly string[];
  readonly names: readonly LongName[];
  readonly shorts: ReadonlyMap<string, readonly [string, OptionSpec]>;
  readonly given: { option: string; value: unknown; spelling: string }[];
  readonly errors: string[];
  misspelt: boolean;
  asked: Question | undefined;
}

function fail(reading: Reading, error: string): void {
  reading.misspelt = true;
  reading.errors.push(error);
}

function take(
  reading: Reading,
  key: string,
  spec: OptionSpec,
  spelling: string,
  text: string | undefined,
): void {
  reading.asked ??= spec.asks;
  const { excludes } = spec;
  const earlier = reading.given.findLast((each) => excludes?.options.includes(each.option));
  if (excludes !== undefined && earlier !== undefined) {
    const { error } = excludes;
    reading.errors.push(typeof error === "string" ? error : error(spelling, earlier.spelling));
    return;
  }
  if (text === undefined) {
    reading.given.push({ option: key, value: true, spelling });
    return;
  }
  const parsed: Parsed<unknown> = spec.parse?.(text) ?? { ok: true, value: text };
  if (parsed.ok) reading.given.push({ option: key, value: parsed.value, spelling });
  else reading.errors.push(parsed.error);
}

/** Reads `args[at]`, a long option; returns the index of the next argument. */
function readLong(reading: Reading, at: number): number {
  const text = (reading.args[at] ?? "").slice(2);
  const sign = text.indexOf("=");
  const found = findLong(reading.names, sign < 0 ? text : text.slice(0, sign));
  if (found.kind === "none") {
    fail(reading, `unrecognized option '--${text}'`);
    return at + 1;
  }
  if (found.kind === "ambiguous") {
    const list = found.names.map((each) => `'--${each.name}'`).join(" ");
    fail(reading, `option '--${text}' is ambiguous; possibilities: ${list}`);
    return at + 1;
  }
  const { name, key, spec } = found.name;
  const spelling = `--${name}`;
  if (spec.argument === undefined) {
    if (sign >= 0) fail(reading, `option '${spelling}' doesn't allow an argument`);
    else take(reading, key, spec, spelling, undefined);
    return at + 1;
  }
  if (sign >= 0) {
    take(reading, key, spec, spelling, text.slice(sign + 1));
    return at + 1;
  }
  const value = reading.args[at + 1];
  if (value === undefined) fail(reading, `option '${spelling}' requires an argument`);
  else take(reading, key, spec, spelling, value);
  return at + 2;
}

/** Reads `args[at]`, a cluster of short options; returns the index of the next argument. */
function readShort(reading: Reading, at: number): number {
  const cluster = Array.from((reading.args[at] ?? "").slice(1));
  for (const [index, letter] of cluster.entries()) {
    const entry = reading.shorts.get(letter);
    if (entry === undefined) {
      fail(reading, `invalid option -- '${letter}'`);
      continue;
    }
    const [key, spec] = entry;
    if (spec.argument === undefined) {
      take(reading, key, spec, `-${letter}`, undefined);
      continue;
    }
    const attached = cluster.slice(index + 1).join("");
    if (attached !== "") {
      take(reading, key, spec, `-${letter}`, attached);
      return at + 1;
    }
    const value = reading.args[at + 1];
    if (value === undefined) fail(reading, `option requires an argument -- '${letter}'`);
    else take(reading, key, spec, `-${letter}`, value);
    return at + 2;
  }
  return at + 1;
}

/** How a command line is read. */
export interface ReadSettings {
  /** The first operand ends the options, as getopt has it when POSIXLY_CORRECT is set. */
  readonly operandsLast?: boolean;
}

/**
 * Reads a command line (without the program's name) by a table. Options and operands may be mixed;
 * after `--` everything is an operand. All mistakes are collected, as PCP's programs report them.
 */
export function readOptions<T extends OptionTable>(
  table: T,
  args: readonly string[],
  settings: ReadSettings = {},
): OptionResult<T> {
  const shorts = new Map<string, readonly [string, OptionSpec]>();
  for (const [key, spec] of Object.entries(table)) {
    if (spec.short !== undefined) shorts.set(spec.short, [key, spec]);
  }
  const reading: Reading = {
    args,
    names: longNames(table),
    shorts,
    given: [],
    errors: [],
    misspelt: false,
    asked: undefined,
  };
  const operands: string[] = [];
  for (let at = 0; at < args.length;) {
    const argument = args[at] ?? "";
    if (argument === "--") {
      operands.push(...args.slice(at + 1));
      break;
    }
    if (argument.startsWith("--")) at = readLong(reading, at);
    else if (argument.startsWith("-") && argument !== "-") at = readShort(reading, at);
    else if (settings.operandsLast === true) {
      operands.push(...args.slice(at));
      break;
    } else {
      operands.push(argument);
      at += 1;
    }
  }
  const { errors, misspelt, asked } = reading;
  // The table made each entry, so key and value belong together; the compiler cannot see that.
  const options = reading.given as unknown as readonly Given<T>[];
  if (errors.length > 0) return { kind: "error", errors, misspelt, options };
  return asked === undefined ? { kind: "ok", options, operands } : { kind: asked, options };
}

/** Any option as given, for the functions below: they infer the table from the list. */
interface AnyGiven {
  readonly option: string;
  readonly value: unknown;
}

/** The option given last among `keys`, or undefined: how options that undo each other are read. */
export const lastGiven = <G extends AnyGiven, K extends G["option"]>(
  options: readonly G[],
  ...keys: readonly K[]
): Extract<G, { readonly option: K }> | undefined =>
  options.findLast((each): each is Extract<G, { readonly option: K }> =>
    (keys as readonly string[]).includes(each.option),
  );

/** Whether an option was given at all. */
export const isGiven = <G extends AnyGiven>(options: readonly G[], key: G["option"]): boolean =>
  options.some((each) => each.option === key);

/** The values of a repeatable option, in the order given. */
export const valuesGiven = <G extends AnyGiven, K extends G["option"]>(
  options: readonly G[],
  key: K,
): readonly Extract<G, { readonly option: K }>["value"][] =>
  options
    .filter((each): each is Extract<G, { readonly option: K }> => each.option === key)
    .map((each) => each.value);
