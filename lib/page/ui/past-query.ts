// Texts of queries: made of what was chosen, and given a time window (spec series.md 6). Pure. Knows of
// the language where names, strings and windows stand, and leaves all judgement to the server.
import type { Ends } from "./past-range.ts";

/** Where values come from: a host name; a path, which begins with "/": one archive. */
export type Origin = string;

/** Between quotes there are no escapes: what cannot stand there is matched by a pattern. */
function comparison(key: string, text: string): string {
  if (!/["\\]/.test(text)) return `${key}=="${text}"`;
  return `${key}~~"${text.replace(/["\\*[\]]/g, "*")}"`;
}

/** A metric of an origin. What the language has no name for is matched by a pattern. */
export function selected(metric: string, origin: Origin): string {
  const key = origin.startsWith("/") ? "context.name" : "hostname";
  const where = origin === "" ? [] : [comparison(key, origin)];
  const isName = /^[A-Za-z][A-Za-z0-9_.]*$/.test(metric);
  const wanted = isName ? where : [comparison("metric.name", metric), ...where];
  const name = /^[A-Za-z]/.test(metric) ? metric.replace(/[^A-Za-z0-9_.]+/g, "*") : "";
  return wanted.length === 0 ? name : `${name}{${wanted.join(",")}}`;
}

/** What is asked for a chosen metric: rates of counters, others as they are. */
export const usualQuery = (metric: string, origin: Origin, isCounter: boolean): string => {
  const operand = selected(metric, origin);
  // There are no functions of selectors without a name.
  return isCounter && !operand.startsWith("{") ? `rate(${operand})` : operand;
};

const FUNCTIONS = new Set(
  `rate abs floor round sqrt log rescale max max_inst max_sample min min_inst min_sample sum sum_inst
  sum_sample avg avg_inst avg_sample stdev_inst stdev_sample topk_inst topk_sample nth_percentile_inst
  nth_percentile_sample`.split(/\s+/),
);

/** A name, a string, a number with what is glued to it, or one character. */
const TOKEN = /[A-Za-z][A-Za-z0-9_.*%\\]*|"[^"]*"?|[0-9.][A-Za-z0-9.]*|=[=~]|[^]/y;

interface Token {
  readonly text: string;
  readonly at: number;
}

/** Tokens without white space; what stands between braces or brackets is one. */
function tokensOf(query: string): readonly Token[] {
  const tokens: Token[] = [];
  let open: { readonly at: number; readonly close: string } | undefined;
  TOKEN.lastIndex = 0;
  for (let found = TOKEN.exec(query); found !== null; found = TOKEN.exec(query)) {
    const [text] = found;
    const { index: at } = found;
    if (open !== undefined) {
      if (text !== open.close) continue;
      tokens.push({ text: query.slice(open.at, at + 1), at: open.at });
      open = undefined;
    } else if (text === "{" || text === "[") open = { at, close: text === "{" ? "}" : "]" };
    else if (text.trim() !== "") tokens.push({ text, at });
  }
  // One that is not closed is the server's to complain about.
  if (open !== undefined) tokens.push({ text: query.slice(open.at), at: open.at });
  return tokens;
}

/** Whether a query says by itself which samples it wants. */
export const hasWindow = (query: string): boolean =>
  tokensOf(query).some(({ text }) => text.startsWith("["));

/** Where the operands of a query are: names, selectors, names with selectors; without their windows. */
function operandPlaces(query: string): readonly (readonly [from: number, to: number])[] {
  const tokens = tokensOf(query);
  const places: (readonly [number, number])[] = [];
  for (const [index, { text, at }] of tokens.entries()) {
    const next = tokens[index + 1];
    if (text.startsWith("{")) {
      const before = places.at(-1);
      const isOfName = before !== undefined && query.slice(before[1], at).trim() === "";
      if (isOfName) places.pop();
      places.push([isOfName ? before[0] : at, at + text.length]);
    }
    if (!/^[A-Za-z]/.test(text)) continue;
    const isFunction = FUNCTIONS.has(text) && next?.at === at + text.length && next.text === "(";
    // A name that is assigned to.
    const isTarget = index === 0 && next?.text === "=";
    if (!isFunction && !isTarget) places.push([at, at + text.length]);
  }
  return places;
}

/** The query with a window behind each operand. */
export function withWindow(query: string, window: string): string {
  let made = "";
  let from = 0;
  for (const [, to] of operandPlaces(query)) {
    made += query.slice(from, to) + window;
    from = to;
  }
  return made + query.slice(from);
}

/** A whole number is one of 32 bits; a larger one has a point. */
const timeNumber = (seconds: number): string =>
  seconds <= 0xff_ff_ff_ff ? String(seconds) : seconds.toFixed(1);

/** The window of a range with a distance of samples. */
export function windowText({ from, to }: Ends, step: number | undefined): string {
  const interval = step === undefined ? "" : `,interval:${step}`;
  return `[start:${timeNumber(from)},finish:${timeNumber(to)}${interval}]`;
}

/** Windows of the oldest and of the newest sample. */
export const OLDEST = "[start:0,count:1]";
export const NEWEST = "[count:1]";

/** Operands of a query, without windows, each once. */
export const operandsOf = (query: string): readonly string[] => [
  ...new Set(operandPlaces(query).map(([from, to]) => query.slice(from, to))),
];

/** Whether all of a query is the rate of one operand: then its values are those of a counter. */
export const isRate = (query: string): boolean => {
  const [operand, ...others] = operandsOf(query);
  if (operand === undefined || others.length > 0) return false;
  return withoutWindows(query).replaceAll(/\s/g, "") === `rate(${operand})`.replaceAll(/\s/g, "");
};

/** The query without its windows. */
export function withoutWindows(query: string): string {
  let made = "";
  let from = 0;
  for (const { text, at } of tokensOf(query)) {
    if (!text.startsWith("[")) continue;
    made += query.slice(from, at);
    from = at + text.length;
  }
  return (made + query.slice(from)).trim();
}
