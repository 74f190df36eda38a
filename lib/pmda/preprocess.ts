// The preprocessor of name space files and configurations (pmcpp, spec pmda.md 15.1): includes,
// macros without parameters, conditions, comments, output of commands. Files and commands are reached
// through the caller alone. The first fault ends the work with pmcpp's two lines; what was put out
// before it stands. Unlike pmcpp, a last line without a line break is not lost.
import { dirname, join } from "node:path";
import { PcpError, PM_ERR } from "../base/mod.ts";

/** Files that may be open at once. */
const MAX_DEPTH = 5;
/** Most bytes that may come out: includes and macros multiply what goes in. */
const MAX_OUTPUT = 64 * 1024 * 1024;
const KEYWORDS = [
  "include",
  "define",
  "undef",
  "ifdef",
  "ifndef",
  "else",
  "endif",
  "shell",
] as const;
const NAME = /^[A-Za-z_]\w*$/;
const EINVAL = -22;

/** How pmcpp is called. */
export interface PreprocessOptions {
  /** -D: a name with a value ("" for none), which is written as after #define. */
  readonly defines?: readonly { readonly name: string; readonly value: string }[];
  /** -I, then $PCP_VAR_DIR/pmns: where included files are looked for after the usual places. */
  readonly folders?: readonly string[];
  /** -P: no lines `# 1 "file"`. */
  readonly plain?: boolean;
  /** -r: only #NAME and #{NAME} are replaced. */
  readonly restrict?: boolean;
  /** -s: % in place of #, and no comments. */
  readonly shell?: boolean;
}

/** What came of a command: its exit status, or the number of the signal that ended it. */
export type CommandOutcome = { readonly output: string } & (
  { readonly status: number } | { readonly signal: number }
);

/** What lies outside. */
export interface PreprocessAccess {
  /** A file's text; undefined when it cannot be opened. */
  read(path: string): string | undefined;
  /** Output of a command of `#shell`, and how it ended. Absent: such lines are refused. */
  run?(command: string): CommandOutcome;
}

/** What came out: all of it, or what stands before the fault. */
export interface Preprocessed {
  readonly text: string;
  /** pmcpp's lines on standard error, joined by line breaks. */
  readonly fault: string | undefined;
  /** Warnings about commands that failed. */
  readonly warnings: readonly string[];
}

/** A fault with the line that it is about. */
class Fault extends Error {}

interface Source {
  readonly name: string;
  line: number;
}

class Preprocessor {
  readonly macros = new Map<string, string>();
  readonly warnings: string[] = [];
  private readonly out: string[] = [];
  private size = 0;
  private source: Source = { name: "", line: 0 };
  private text = "";
  private depth = 0;
  /** The line of the open #ifdef or #ifndef; 0 for none. */
  private condition = 0;
  private skipping = false;
  /** The line where a comment began; 0 outside. */
  private comment = 0;
  private readonly control: string;
  private readonly words: RegExp;

  constructor(
    private readonly file: string,
    private readonly options: PreprocessOptions,
    private readonly access: PreprocessAccess,
  ) {
    this.control = options.shell === true ? "%" : "#";
    this.words =
      options.restrict === true
        ? new RegExp(`${this.control}(?:\\{([A-Za-z_]\\w*)\\}|([A-Za-z_]\\w*))`, "g")
        : /([A-Za-z_]\w*)/g;
  }

  get output(): string {
    return this.out.join("");
  }

  private fail(message: string, atEnd = false): never {
    const { name, line } = this.source;
    const place = atEnd ? `${name}:` : `${name}[${line}]: ${this.text}`;
    throw new Fault(`pmcpp: ${place}\npmcpp: Error: ${message}`);
  }

  private put(text: string): void {
    this.size += text.length + 1;
    if (this.size > MAX_OUTPUT) this.fail(`more than ${MAX_OUTPUT} characters of output`);
    this.out.push(`${text}\n`);
  }

  private get conditions(): string {
    return `${this.control}ifdef or ${this.control}ifndef`;
  }

  private mark(line: number, name: string): void {
    if (this.options.plain !== true) this.put(`# ${line} "${name}"`);
  }

  /** Takes comments out of a line; what stands behind them keeps its column. */
  private uncommented(line: string): string {
    let rest = line;
    let done = "";
    while (rest !== "" || this.comment !== 0) {
      const open = this.comment === 0 ? rest.indexOf("/*") : 0;
      if (open < 0) return done + rest;
      const close = rest.indexOf("*/", this.comment === 0 ? open + 2 : 0);
      if (close < 0) {
        if (this.comment === 0) this.comment = this.source.line;
        return (done + rest.slice(0, open)).trimEnd();
      }
      this.comment = 0;
      done += rest.slice(0, open) + " ".repeat(close + 2 - open);
      rest = rest.slice(close + 2);
      if (rest.trim() === "") return done.trimEnd();
    }
    return done;
  }

  private expanded(line: string): string {
    if (this.macros.size === 0) return line;
    return line.replace(this.words, (word: string, first?: string, second?: string) => {
      return this.macros.get(first ?? second ?? "") ?? word;
    });
  }

  /** The single name of a control line. */
  private nameIn(rest: string): string {
    const [name = "", ...more] = rest.trim().split(/\s+/);
    if (name === "") this.fail("Missing macro name");
    if (!NAME.test(name)) this.fail("Illegal character in macro name");
    if (more.length > 0) this.fail("Unexpected extra text in a control line");
    return name;
  }

  private define(rest: string): void {
    const [, name = "", given = ""] = /^\s*(\S*)\s*([^]*?)\s*$/.exec(rest) ?? [];
    if (name === "") this.fail("Missing macro name");
    if (!NAME.test(name)) this.fail("Illegal character in macro name");
    let value = given;
    const quote = given.charAt(0);
    if (quote === '"' || quote === "'") {
      const end = given.indexOf(quote, 1);
      if (end < 0) this.fail(`Unterminated value string in ${this.control}define`);
      value = given.slice(1, end);
      if (given.length > end + 1) this.fail("Unexpected extra text in a control line");
    } else if (/\s/.test(given)) this.fail("Unexpected extra text in a control line");
    if (this.macros.has(name)) this.fail("Macro redefinition");
    this.macros.set(name, value);
  }

  /** The quoted word of #include or #shell. */
  private quoted(
    rest: string,
    ends: Readonly<Record<string, string>>,
    what: "include" | "shell",
  ): string {
    const text = rest.trim();
    const close = ends[text.charAt(0)];
    const keyword = this.control + what;
    const thing = what === "include" ? "file name" : "command";
    if (text === "" || close === undefined)
      this.fail(`Expected ${Object.keys(ends).join(" or ")} after ${keyword}`);
    const end = text.indexOf(close, 1);
    if (end < 0) this.fail(`Expected ${close} after ${thing}`);
    if (text.length > end + 1) this.fail(`Unexpected extra text in ${keyword} line`);
    return text.slice(1, end);
  }

  private include(rest: string): void {
    const name = this.quoted(rest, { '"': '"', "<": ">" }, "include");
    this.checkDepth("include");
    const folders = [dirname(this.file), ...(this.options.folders ?? [])];
    for (const path of [name, ...folders.map((folder) => join(folder, name))]) {
      const text = this.access.read(path);
      if (text === undefined) continue;
      this.nested(path, text);
      return;
    }
    this.fail(`Cannot open file for ${this.control}include`);
  }

  private shell(rest: string): void {
    const command = this.quoted(rest, { '"': '"', "'": "'" }, "shell");
    this.checkDepth("shell");
    if (this.access.run === undefined) this.fail(`${this.control}shell is not allowed here`);
    const outcome = this.access.run(command);
    this.nested("<shell>", outcome.output);
    const warn = (ended: string): void =>
      void this.warnings.push(`Warning: ${this.control}shell cmd ${ended}`);
    if ("signal" in outcome) warn(`terminated by signal ${outcome.signal}`);
    else if (outcome.status !== 0) warn(`returns ${outcome.status} exit status`);
  }

  private checkDepth(wanted: "include" | "shell"): void {
    if (this.depth < MAX_DEPTH) return;
    const other = wanted === "include" ? "shell" : "include";
    this.fail(`${this.control}${wanted} and/or ${this.control}${other} nesting too deep`);
  }

  private nested(name: string, text: string): void {
    const outer = this.source;
    this.read(name, text);
    this.source = outer;
    this.mark(outer.line + 1, outer.name);
  }

  private begin(rest: string, wanted: boolean): void {
    if (this.condition !== 0) this.fail(`Nested ${this.conditions}`);
    this.skipping = this.macros.has(this.nameIn(rest)) !== wanted;
    this.condition = this.source.line;
  }

  private turn(rest: string, keyword: "else" | "endif"): void {
    if (rest.trim() !== "") this.fail("Unexpected extra text in a control line");
    if (this.condition === 0)
      this.fail(`No matching ${this.conditions} for ${this.control}${keyword}`);
    this.skipping = keyword === "else" && !this.skipping;
    if (keyword === "endif") this.condition = 0;
  }

  /** Obeys a control line; false when the line has put out its own lines. */
  private obey(keyword: (typeof KEYWORDS)[number], rest: string): boolean {
    if (keyword === "ifdef" || keyword === "ifndef") this.begin(rest, keyword === "ifdef");
    else if (keyword === "else" || keyword === "endif") this.turn(rest, keyword);
    else if (this.skipping) return true;
    else if (keyword === "define") this.define(rest);
    else if (keyword === "undef") this.macros.delete(this.nameIn(rest));
    else if (keyword === "include") {
      this.include(rest);
      return false;
    } else {
      this.shell(rest);
      return false;
    }
    return true;
  }

  private keywordOf(line: string): (typeof KEYWORDS)[number] | undefined {
    if (!line.startsWith(this.control)) return undefined;
    return KEYWORDS.find((keyword) => line.startsWith(keyword, 1));
  }

  private line(raw: string): void {
    this.text = raw;
    const line = this.options.shell === true ? raw : this.uncommented(raw);
    this.text = line;
    const keyword = this.keywordOf(line);
    if (keyword === undefined) this.put(this.skipping ? "" : this.expanded(line));
    else if (this.obey(keyword, line.slice(keyword.length + 1))) this.put("");
  }

  private read(name: string, text: string): void {
    this.depth += 1;
    this.source = { name, line: 0 };
    this.mark(1, name);
    const lines = text.split("\n");
    if (lines.at(-1) === "") lines.pop();
    for (const line of lines) {
      this.source.line += 1;
      this.line(line);
    }
    this.depth -= 1;
    if (this.comment !== 0)
      this.fail(`Comment at line ${this.comment} not terminated before end of file`, true);
  }

  run(text: string): void {
    this.source = { name: "<arg>", line: 1 };
    for (const { name, value } of this.options.defines ?? []) {
      this.source.line += 1;
      this.text = value === "" ? `#define ${name}` : `#define ${name} ${value}`;
      this.define(`${name} ${value}`);
    }
    this.read(this.file, text);
    if (this.condition === 0) return;
    const place = `End of input and no matching ${this.control}endif for ${this.conditions} at line ${this.condition}`;
    this.fail(place, true);
  }
}

/** Preprocesses the text of a file; `file` is what line marks and messages call it. */
export function preprocess(
  file: string,
  text: string,
  access: PreprocessAccess,
  options: PreprocessOptions = {},
): Preprocessed {
  const work = new Preprocessor(file, options, access);
  try {
    work.run(text);
    return { text: work.output, fault: undefined, warnings: work.warnings };
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return { text: work.output, fault: error.message, warnings: work.warnings };
  }
}

/** Name and value of a -D option; throws PcpError EINVAL for an empty name. */
export function defineOption(text: string): { name: string; value: string } {
  const equals = text.indexOf("=");
  const name = equals < 0 ? text : text.slice(0, equals);
  if (name === "") throw new PcpError(EINVAL, `-D needs a name, not "${text}"`);
  return { name, value: equals < 0 ? "" : text.slice(equals + 1) };
}

/**
 * The macros that a file of definitions leaves behind, stdpmid among them, with number values.
 * Throws PM_ERR_PMNS with pmcpp's words.
 */
export function definedNumbers(
  file: string,
  text: string,
  access: PreprocessAccess,
): ReadonlyMap<string, number> {
  const work = new Preprocessor(file, {}, access);
  try {
    work.run(text);
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    throw new PcpError(PM_ERR.PMNS, error.message);
  }
  const numbers = [...work.macros].filter(([, value]) => /^\d+$/.test(value));
  return new Map(numbers.map(([name, value]) => [name, Number(value)]));
}
