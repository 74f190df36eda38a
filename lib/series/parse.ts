// From the text of a query to its tree (spec series.md 6.2 to 6.4). A recursive descent that notices a
// mistake at the same token as PCP's own parser does. Refuses, with PCP's sentences: what is no query,
// values and identifiers mixed, times that cannot be read, the same time said twice in two ways, and
// more nesting than a bounded number.
import { PcpError, PM_ERR, pmErrStr } from "../base/mod.ts";
import {
  type Instant,
  newZone,
  parseInterval,
  pmParseUnitsStr,
  type Span,
  subtractSpan,
  timeOf,
  type Zone,
} from "../pcp/mod.ts";
import {
  type Comparison,
  type FunctionName,
  FUNCTIONS,
  type Query,
  type QueryNode,
  type QueryNumber,
  type Selector,
  type TimeSpec,
} from "./language.ts";
import { lexQuery, type TimeWord, type Token } from "./lex.ts";

const EINVAL = -22;
/** Deeper than any query that people write; a tree that deep could not be walked. */
const MAX_DEPTH = 200;
/** Operators and conditions of one query: each makes its tree deeper, and its text is made for each. */
const MAX_JOINED = 500;
const MAX_LENGTH = 64 * 1024;
const MAX_PERCENTILE = 100;
const EPOCH: Instant = { sec: 0, nsec: 0 };

/** A query that is no query: PCP's message, and where in the text it went wrong. */
export class QueryError extends PcpError {
  constructor(
    message: string,
    /** Index into the text; undefined where no place is meant. */
    readonly at: number | undefined,
  ) {
    super(EINVAL, message);
  }
}

/** The message of a syntax error with its caret (spec series.md 6.3). */
function syntaxError(text: string, at: number): QueryError {
  // Blanks and what is not ASCII stay as they are, so that the caret is in place.
  const blanks = text.slice(0, at).replace(/[!-~]/g, " ");
  return new QueryError(`cannot parse given string\n\n${text}\n${blanks}^ -- syntax error\n`, at);
}

/** Whether operands are identifiers or values; both in one query is a mistake. */
type Mode = "series" | "values";

/** What two different texts of one specification are called. */
const TWICE = {
  interval: "time delta",
  start: "start time",
  finish: "end time",
  align: "alignment",
  range: "time range",
  zone: "timezone",
  count: "sample count",
  offset: "time offset",
} as const;
type TimeKey = keyof typeof TWICE;

const COMPARISONS: Readonly<Record<string, Comparison>> = {
  "==": "==",
  "!=": "!=",
  "=~": "=~",
  "!~": "!~",
  ":": "~~",
  "~~": "~~",
  "<": "<",
  "<=": "<=",
  ">": ">",
  ">=": ">=",
};

const isCounted = (name: string): boolean => FUNCTIONS.counted.some((each) => each === name);

/** True for a name with a `*` that is not taken away by `%` or `\` before it. */
function isGlob(name: string): boolean {
  const at = name.indexOf("*");
  return at > 0 && name[at - 1] !== "%" && name[at - 1] !== "\\";
}

class Parser {
  private readonly tokens: readonly Token[];
  private at = 0;
  private depth = 0;
  private joined = 0;
  private readonly given = new Map<TimeKey, string>();
  times: TimeSpec = {};

  constructor(
    private readonly text: string,
    private readonly now: Instant,
    /** A zone in the query counts from there on. */
    private zone: Zone,
  ) {
    this.tokens = lexQuery(text);
  }

  private get token(): Token {
    return this.tokens[this.at] ?? { kind: "end", text: "", at: Math.max(0, this.text.length - 1) };
  }

  /** At the token where it was noticed, or the one before it. */
  fail(token: Token = this.token): never {
    throw syntaxError(this.text, token.at);
  }

  private take(): Token {
    const { token } = this;
    this.at += 1;
    return token;
  }

  is(text: string): boolean {
    return this.token.kind === "operator" && this.token.text === text;
  }

  accept(text: string): boolean {
    if (!this.is(text)) return false;
    this.at += 1;
    return true;
  }

  private expect(text: string): Token {
    if (!this.is(text)) this.fail();
    return this.take();
  }

  end(): void {
    if (this.token.kind !== "end") this.fail();
  }

  private deeper<T>(work: () => T): T {
    this.depth += 1;
    if (this.depth > MAX_DEPTH) this.fail();
    const result = work();
    this.depth -= 1;
    return result;
  }

  /** One more operand or condition beside others. */
  private join(): void {
    this.joined += 1;
    if (this.joined > MAX_JOINED) this.fail();
  }

  /** A number token as a value. */
  private number(): QueryNumber {
    const { kind, text } = this.token;
    if (kind !== "integer" && kind !== "double") this.fail();
    this.at += 1;
    return { text, value: Number(text), whole: kind === "integer" };
  }

  // ---- selectors ----

  selector(): Selector {
    let left = this.condition();
    while (this.accept(",")) left = { kind: "and", left, right: this.condition() };
    return left;
  }

  private condition(): Selector {
    let left = this.comparison();
    for (;;) {
      if (this.accept("&&")) left = { kind: "and", left, right: this.comparison() };
      else if (this.accept("||")) left = { kind: "or", left, right: this.comparison() };
      else return left;
    }
  }

  private comparison(): Selector {
    this.join();
    const { kind, text: key } = this.token;
    if (kind !== "string" && kind !== "name") this.fail();
    this.at += 1;
    const comparison = this.token.kind === "operator" ? COMPARISONS[this.token.text] : undefined;
    if (comparison === undefined) return this.fail();
    this.at += 1;
    const value = this.token;
    const isText = value.kind === "string" || value.kind === "name";
    const isNumber = value.kind === "integer" || value.kind === "double";
    const ordering = comparison.startsWith("<") || comparison.startsWith(">");
    const matching = comparison === "=~" || comparison === "!~";
    if (ordering ? !isNumber : matching ? !isText : !isText && !isNumber) this.fail();
    this.at += 1;
    return { kind: "compare", key, comparison, value: value.text, quoted: value.kind === "string" };
  }

  private braces(): Selector {
    this.expect("{");
    const selector = this.selector();
    this.expect("}");
    return selector;
  }

  // ---- times ----

  brackets(): void {
    this.expect("[");
    do this.time();
    while (this.accept(","));
    this.expect("]");
  }

  private time(): void {
    const { kind, text, word } = this.token;
    if (kind === "range") {
      this.at += 1;
      this.setRange(text);
      return;
    }
    if (kind !== "word" || word === undefined || word === "never") this.fail();
    this.at += 1;
    this.expect(":");
    this.timeValue(word);
  }

  private timeValue(word: Exclude<TimeWord, "never">): void {
    const { kind, text } = this.token;
    const isNumber = kind === "integer" || kind === "double";
    if (word === "count" || word === "offset" ? kind !== "integer" : false) this.fail();
    if (word === "zone" && kind !== "string") this.fail();
    if (kind !== "string" && !isNumber) this.fail();
    this.at += 1;
    if (word === "count" || word === "offset") {
      const before = this.given.get(word);
      // PCP names the second of two numbers first.
      if (before !== undefined && Number(before) !== Number(text))
        throw this.twice(word, text, before);
      this.given.set(word, text);
      this.times = { ...this.times, [word]: Number(text) };
      return;
    }
    if (word === "interval")
      this.times = { ...this.times, interval: this.spanOf("time delta", text) };
    else if (word === "zone") this.times = { ...this.times, zone: this.zoneOf(text) };
    else this.times = { ...this.times, [word]: { text, at: this.instantOf(text, isNumber) } };
    this.once(word, text);
  }

  private twice(key: TimeKey, first: string, second: string): QueryError {
    return new QueryError(
      `Invalid second ${TWICE[key]} requested - "${first}" vs "${second}"`,
      undefined,
    );
  }

  /** A second time that can be read has to be the first one. */
  private once(key: TimeKey, text: string): void {
    const before = this.given.get(key);
    if (before !== undefined && before !== text) throw this.twice(key, before, text);
    this.given.set(key, text);
  }

  private spanOf(what: "time delta" | "range", text: string): { text: string; span: Span } {
    return read(`Cannot parse ${what} with pmParseInterval`, () => ({
      text,
      span: parseInterval(text),
    }));
  }

  /**
   * Numbers are seconds since 1970. Texts count from 1970 on; with a minus they are words of a calendar before
   * now, as PCP reads them, or else an interval before now.
   */
  private instantOf(text: string, isNumber: boolean): Instant {
    const { now, zone } = this;
    const setting = { zone, now };
    const complaint = "Cannot parse time with __pmtimespecParse";
    if (isNumber || !/^\s*-/.test(text))
      return read(complaint, () =>
        timeOf(isNumber ? `+${text}` : text, { start: EPOCH, finish: now }, setting),
      );
    return read(complaint, () => {
      try {
        return timeOf(text, { start: now }, setting);
      } catch (error) {
        const span = intervalOf(text.replace(/^\s*-/, ""));
        if (span === undefined) throw error;
        return subtractSpan(now, span);
      }
    });
  }

  /** A range says anew where values begin and end; a start or an end that follows says it again. */
  private setRange(text: string): void {
    const { start: _start, finish: _finish, ...others } = this.times;
    this.times = { ...others, range: this.spanOf("range", text) };
    this.once("range", text);
  }

  private zoneOf(text: string): string {
    try {
      this.zone = newZone(text);
      return text;
    } catch (error) {
      if (!(error instanceof PcpError)) throw error;
      throw new QueryError(
        `Cannot parse timezone with pmNewZone:\n"${text}" - ${pmErrStr(error.code)}`,
        undefined,
      );
    }
  }

  // ---- expressions ----

  /** Operators of the lowest precedence; `mode` is what operands must be, once one has told. */
  expression(mode: Mode | undefined): { node: QueryNode; mode: Mode } {
    let left = this.product(mode);
    for (;;) {
      const operator = this.is("+") ? "+" : this.is("-") ? "-" : undefined;
      if (operator === undefined) return left;
      this.at += 1;
      this.join();
      const right = this.product(left.mode);
      left = {
        mode: left.mode,
        node: { kind: "binary", operator, left: left.node, right: right.node },
      };
    }
  }

  private product(mode: Mode | undefined): { node: QueryNode; mode: Mode } {
    let left = this.factor(mode);
    for (;;) {
      const operator = this.is("*") ? "*" : this.is("/") ? "/" : undefined;
      if (operator === undefined) return left;
      this.at += 1;
      this.join();
      const isNumber = this.token.kind === "integer" || this.token.kind === "double";
      if (operator === "*" && isNumber) {
        const number = this.number();
        left = {
          mode: left.mode,
          node: { kind: "scale", number, numberFirst: false, operand: left.node },
        };
        continue;
      }
      const right = this.factor(left.mode);
      left = {
        mode: left.mode,
        node: { kind: "binary", operator, left: left.node, right: right.node },
      };
    }
  }

  /** A number and what it multiplies, a call, or series. */
  private factor(mode: Mode | undefined): { node: QueryNode; mode: Mode } {
    const { kind } = this.token;
    if (kind === "integer" || kind === "double") {
      const number = this.number();
      this.expect("*");
      const { node: operand, mode: own } = this.deeper(() => this.factor(mode));
      return { mode: own, node: { kind: "scale", number, numberFirst: true, operand } };
    }
    if (kind === "function") return this.deeper(() => this.call(mode));
    if (kind === "name") return this.series(mode);
    return this.fail();
  }

  private call(mode: Mode | undefined): { node: QueryNode; mode: Mode } {
    const name = this.take().text as FunctionName;
    this.expect("(");
    const { node: operand, mode: own } = this.expression(mode);
    if (isCounted(name)) {
      this.expect(",");
      if (this.token.kind !== "integer") this.fail();
      const number = this.number();
      const closing = this.expect(")");
      if (name.startsWith("nth_") && number.value > MAX_PERCENTILE) this.fail(closing);
      return { mode: own, node: { kind: "call", name, operand, number } };
    }
    if (name === "rescale") {
      this.expect(",");
      if (this.token.kind !== "string") this.fail();
      const units = this.take().text;
      const closing = this.expect(")");
      if (!areUnits(units)) this.fail(closing);
      return { mode: own, node: { kind: "call", name, operand, units } };
    }
    if (name === "log" && this.accept(",")) {
      const number = this.number();
      this.expect(")");
      return { mode: own, node: { kind: "call", name, operand, number } };
    }
    this.expect(")");
    return { mode: own, node: { kind: "call", name, operand } };
  }

  /** NAME, with a selector and times as the mode wants them. */
  private series(mode: Mode | undefined): { node: QueryNode; mode: Mode } {
    const name = this.take().text;
    const selector = this.is("{") ? this.braces() : undefined;
    let own: Mode = "series";
    if (this.is("[")) {
      if (mode === "series") this.fail();
      this.brackets();
      own = "values";
    } else if (mode === "values") this.fail();
    const { times } = this;
    return { mode: own, node: { kind: "series", name, glob: isGlob(name), selector, times } };
  }

  /** The name that a query is given, which nobody looks at. */
  assigned(): void {
    const next = this.tokens[this.at + 1];
    if (this.token.kind === "name" && next?.kind === "operator" && next.text === "=") this.at += 2;
  }

  /** A whole query. */
  query(): QueryNode {
    if (this.is("{")) {
      const selector = this.braces();
      if (this.is("[")) this.brackets();
      const { times } = this;
      return { kind: "series", name: undefined, glob: false, selector, times };
    }
    return this.expression(undefined).node;
  }
}

/** Reads a text; what is wrong with it comes after PCP's head. */
function read<T>(head: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
    throw new QueryError(`${head}:\n${error.message}`, undefined);
  }
}

function areUnits(text: string): boolean {
  try {
    pmParseUnitsStr(text);
    return true;
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
    return false;
  }
}

/** An interval; undefined for a text that is none. */
function intervalOf(text: string): Span | undefined {
  try {
    return parseInterval(text);
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
    return undefined;
  }
}

/** What the times of a query are read with. */
export interface ParseOptions {
  readonly now: Instant;
  readonly zone: Zone;
}

function parserOf(text: string, options: ParseOptions): Parser {
  if (text.length > MAX_LENGTH)
    throw new PcpError(PM_ERR.TOOBIG, `a query of ${text.length} characters`);
  return new Parser(text, options.now, options.zone);
}

/** Reads a query. Throws QueryError with PCP's message. */
export function parseQuery(text: string, options: ParseOptions): Query {
  const parser = parserOf(text, options);
  parser.assigned();
  if (parser.is("[")) {
    parser.brackets();
    parser.end();
    throw new QueryError("Invalid series query specification", undefined);
  }
  const root = parser.query();
  parser.end();
  const { times } = parser;
  const { count, interval, start, finish, range } = times;
  const values = [count, interval, start, finish, range].some((each) => each !== undefined);
  return { root, times, values };
}

/** Reads the times of a window, in brackets as they stand in a query. Throws QueryError. */
export function parseWindow(text: string, options: ParseOptions): TimeSpec {
  const parser = parserOf(text, options);
  parser.assigned();
  if (!parser.is("[")) {
    parser.query();
    parser.end();
    throw new QueryError("Invalid time window specification", undefined);
  }
  parser.brackets();
  parser.end();
  return parser.times;
}
