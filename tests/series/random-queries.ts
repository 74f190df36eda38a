// Random queries for comparisons: all of the grammar over the names that a store has (spec series.md 6), and
// texts that are broken in one place. What crashes the real program, or gives another answer on purpose
// (docs/differences.md), is not made.
import type { SeriesStore } from "../../lib/series/mod.ts";
import type { Random } from "../fuzz/random.ts";

/** A metric that queries name. */
export interface KnownMetric {
  readonly name: string;
  readonly type: string;
  readonly semantics: string;
  readonly indom: string;
  readonly units: string;
  /** Every sample has as many values. */
  readonly isSteady: boolean;
}

/** What queries are made of. */
export interface Vocabulary {
  readonly metrics: readonly KnownMetric[];
  /** Label names with their values as JSON. */
  readonly labels: readonly (readonly [string, readonly string[]])[];
  readonly instances: readonly string[];
  readonly contexts: readonly string[];
  /** First and last time of values, seconds since 1970. */
  readonly times: readonly [number, number];
}

const PLAIN = /^[a-zA-Z][\w.]*$/;

/** The names that a store has. `series`: one identifier for each metric that is to be used. */
export async function vocabularyOf(
  store: SeriesStore,
  series: readonly string[],
): Promise<Vocabulary> {
  const names = await store.metricNames(series);
  const descriptors = await store.descriptors(series);
  const labels = (await store.names("label")).filter((name) => PLAIN.test(name)).sort();
  const values = await store.labelValues(labels);
  let first = Infinity;
  let last = 0;
  const requests = series.map((each) => ({ series: each, from: 0, to: Infinity }));
  const sizes = new Map<number, Set<number>>();
  for await (const { request, times, ends } of store.values(requests))
    times.forEach((time, at) => {
      first = Math.min(first, time / 1e6);
      last = Math.max(last, time / 1e6);
      const known = sizes.get(request) ?? new Set();
      sizes.set(request, known.add((ends[at] ?? 0) - (ends[at - 1] ?? 0)));
    });
  const counts = new Map<string, number>();
  for (const [name = ""] of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  const metrics = series.flatMap((_, at) => {
    const [name] = names[at] ?? [];
    const descriptor = descriptors[at];
    if (name === undefined || descriptor === undefined || !PLAIN.test(name)) return [];
    // Of several series of one name operators take one, the others keep their values, says the real one.
    if (counts.get(name) !== 1) return [];
    const isSteady = sizes.get(at)?.size === 1 && !sizes.get(at)?.has(0);
    return [{ name, ...descriptor, isSteady }];
  });
  return {
    metrics: metrics.sort((a, b) => (a.name < b.name ? -1 : 1)),
    labels: labels.map((name, at) => [name, [...(values[at] ?? [])].sort()]),
    instances: [...(await store.names("instance"))].sort(),
    contexts: [...(await store.names("context"))].sort(),
    times: [Math.floor(first), Math.ceil(last)],
  };
}

/** What a part of a query stands for, as far as it decides what may be done with it. */
interface Made {
  readonly text: string;
  /** Whole numbers that are written as fractions: nothing may compute with them. */
  readonly isFraction: boolean;
  readonly type: string;
  readonly isCounter: boolean;
  /** Its instance domain; empty for what may have no series at all. */
  readonly indom: string;
  /** Each sample has the instances of the metric. */
  readonly isPlain: boolean;
  /** It ends in an operand: what follows may bind tighter. */
  readonly isOpen?: boolean;
}

const NOTHING: Made = {
  text: "",
  isFraction: true,
  type: "?",
  isCounter: true,
  indom: "",
  isPlain: false,
};

const OVER_TIME = ["max", "max_inst", "min", "min_inst", "sum", "sum_inst", "avg", "avg_inst"];
const OVER_INSTANCES = ["max_sample", "min_sample", "sum_sample", "avg_sample", "stdev_sample"];
const UNITS = [
  "byte",
  "Kbyte",
  "Mbyte / sec",
  "millisec",
  "sec",
  "count",
  "count / hour",
  "furlongs",
];

/** Random queries over one vocabulary. */
export class QueryMaker {
  /** Samples are chosen by an interval or by a count with other bounds. */
  private isThinned = false;
  /** The window of the query that is being made; empty: identifiers. */
  private window = "";

  constructor(
    private readonly random: Random,
    private readonly known: Vocabulary,
  ) {}

  private one<T>(list: readonly T[]): T {
    return this.random.pick(list);
  }
  private chance(of: number): boolean {
    return this.random.below(of) === 0;
  }

  /** A whole query. */
  query(): string {
    this.window = this.chance(3) ? "" : this.times();
    const text = this.chance(3)
      ? this.leaf(true).text
      : this.expression(1 + this.random.below(3)).text;
    return this.chance(20) ? `name = ${text}` : text;
  }

  /** A query that is broken in one place. Texts are never left open: that stops the real program. */
  broken(): string {
    const text = this.query();
    const at = this.random.below(text.length + 1);
    const junk = this.one([
      "",
      "[",
      "]",
      "{",
      "}",
      "(",
      ")",
      ",",
      "%",
      "~",
      "$",
      "é",
      "2",
      "x y",
      "==",
      "\t",
    ]);
    const cut = this.chance(2) ? 1 + this.random.below(3) : 0;
    // The real one reads times past bytes that are not ASCII.
    if (junk === "é" && (text.slice(0, at).split('"').length & 1) === 0) return text;
    const broken = text.slice(0, at) + junk + text.slice(at + cut);
    return (broken.match(/"/g)?.length ?? 0) % 2 === 0 && broken.trim() !== "" ? broken : text;
  }

  /** Time specifications in brackets. */
  times(): string {
    const [first, last] = this.known.times;
    const span = Math.max(1, last - first);
    const moment = (): string => {
      const at = first + this.random.below(span + 2);
      const date = new Date(at * 1000).toISOString();
      switch (this.random.below(5)) {
        case 0:
          return `${at}.${this.random.below(1000)}`;
        case 1:
          return `"${date.slice(0, 10)} ${date.slice(11, 19)}"`;
        case 2:
          return `"@${date.slice(0, 10)} ${date.slice(11, 19)}"`;
        default:
          return String(at);
      }
    };
    const parts = new Map<string, string>();
    for (let part = this.random.below(3); part >= 0; part--)
      switch (this.random.below(9)) {
        case 0:
        case 1:
        case 2:
          parts.set(
            "count",
            `${this.one(["count", "samples"])}: ${this.one(["0", "1", "2", "3", "7", "1000"])}`,
          );
          break;
        case 3:
          parts.set("start", `${this.one(["start", "begin"])}:${moment()}`);
          break;
        case 4:
          parts.set("finish", `${this.one(["finish", "end"])}:${moment()}`);
          break;
        case 5:
          parts.set(
            "interval",
            `${this.one(["interval", "delta"])}:${this.one(["1", '"2sec"', '"0.5s"', "10", '"1 minute"'])}`,
          );
          break;
        case 6:
          parts.set("align", `align:${this.one(["1", '"10sec"'])}`);
          break;
        case 7:
          // Another zone stays in force in the real one, for the queries that follow.
          parts.set("zone", `${this.one(["timezone", "tz"])}:"UTC"`);
          break;
        default:
          parts.set("offset", `offset:${this.random.below(4)}`);
      }
    const others = parts.has("start") || parts.has("finish");
    this.isThinned = parts.has("interval") || (parts.has("count") && others);
    return `[${[...parts.values()].join(", ")}]`;
  }

  private selector(): string {
    const one = (): string => {
      const [label, values] = this.one(this.known.labels);
      const key = this.one(["", "label.", "l."]) + label;
      const value = this.one(values.length > 0 ? values : ["0"]);
      const bare = value.replace(/^"(.*)"$/, "$1");
      const isText = !/["\\]/.test(bare);
      switch (this.random.below(9)) {
        case 0:
        case 1:
          return isText ? `${key}==${value.startsWith("-") ? '"-"' : value}` : `${key}~~"*"`;
        case 2:
          return `${key}${this.one([":", "~~"])}"${isText ? bare.slice(0, this.random.below(bare.length + 1)) : ""}*"`;
        case 3:
          return `${key}=~"${this.one(["^", ""])}${/^[\w.]*$/.test(bare) ? bare.slice(0, 4) : ".*"}"`;
        case 4:
          return `${key}!~"${/^[\w.]*$/.test(bare) ? bare : "x"}"`;
        case 5:
          return `${key}${this.one(["!=", "<", "<=", ">", ">="])}${this.one(["1", "2.5"])}`;
        case 6: {
          const instance = this.one(this.known.instances);
          return /["\\]/.test(instance)
            ? 'inst.name~~"*"'
            : `${this.one(["instance.name", "inst.name", "i.x"])}==${JSON.stringify(instance)}`;
        }
        case 7:
          return `${this.one(["context.name", "source.name", "c.name"])}==${JSON.stringify(this.one(this.known.contexts))}`;
        default: {
          const { name } = this.one(this.known.metrics);
          const part = name.slice(0, 1 + this.random.below(name.length));
          return this.one([
            `metric.name~~"${part}*"`,
            `m.name=~"^${part}"`,
            `metric.name=="${name}"`,
            `metric.name:"*${part.slice(-3)}*"`,
          ]);
        }
      }
    };
    let text = one();
    for (let more = this.random.below(3); more > 0; more--)
      // What follows an empty intersection with `||` is lost in the real one.
      text += this.one(text.includes("&&") ? [",", "&&"] : [",", "&&", " || "]) + one();
    return `{${text}}`;
  }

  /** Series; `isTop`: nothing is done with them, so they may be many. */
  private leaf(isTop: boolean): Made {
    const metric = this.one(this.known.metrics);
    let text = metric.name;
    if (isTop)
      switch (this.random.below(5)) {
        case 0:
          text = metric.name.slice(0, 1 + this.random.below(metric.name.length)) + "*";
          if (this.chance(3)) text += this.selector();
          break;
        case 1:
          text = this.selector();
          break;
        case 2:
          text += this.selector();
          break;
        default:
      }
    else if (this.chance(6)) text += `{metric.name=="${metric.name}"}`;
    else if (this.chance(40)) return { ...NOTHING, text: `no.such.metric${this.window}` };
    const { type, semantics } = metric;
    return {
      text: text + this.window,
      isFraction: false,
      type,
      isCounter: semantics === "counter",
      isPlain: metric.isSteady,
      indom: metric.indom,
    };
  }

  private expression(depth: number): Made {
    if (depth <= 0) return this.leaf(false);
    const inner = this.expression(depth - 1 - this.random.below(2));
    const { text } = inner;
    const whole = this.chance(4) ? ` ${text} ` : text;
    const derived = { ...inner, isPlain: false, isOpen: false };
    switch (this.random.below(10)) {
      case 0:
        if (this.isThinned || !inner.isPlain) break;
        return {
          ...derived,
          text: `rate(${whole})`,
          isCounter: false,
          type: "double",
          isFraction: false,
        };
      case 1:
      case 2:
        return { ...derived, text: `${this.one(OVER_TIME)}(${whole})`, type: "?" };
      case 3:
        if (this.isThinned || !inner.isPlain) break;
        return { ...derived, text: `${this.one(OVER_INSTANCES)}(${whole})`, type: "?" };
      case 4: {
        if (this.isThinned || !inner.isPlain) break;
        const name = this.one([
          "topk_inst",
          "topk_sample",
          "nth_percentile_inst",
          "nth_percentile_sample",
        ]);
        return {
          ...derived,
          text: `${name}(${whole}, ${this.random.below(name.startsWith("topk") ? 5 : 103)})`,
          type: "?",
        };
      }
      case 5: {
        if (inner.isFraction || inner.type === "?") break;
        const isDouble = inner.type === "double";
        const name = this.one(
          isDouble ? ["abs", "floor", "log"] : ["abs", "floor", "log", "round", "sqrt"],
        );
        return {
          ...derived,
          text: `${name}(${whole})`,
          // Without samples their type is unknown to the real one.
          type: name === "log" || name === "sqrt" ? "?" : inner.type,
        };
      }
      case 6:
        // As the scale of an operator's units is.
        if (inner.isFraction || inner.type === "?") break;
        return { ...derived, text: `rescale(${whole},"${this.one(UNITS)}")`, isFraction: true };
      case 7: {
        if (inner.isOpen === true) break;
        const number = this.one(["2", "0", "10", "0.5", "1.25"]);
        const isFraction = inner.isFraction || !number.includes(".");
        return {
          ...derived,
          text: this.chance(2)
            ? `${number} * ${text}`
            : `${text}${this.window === "" ? " " : ""}*${number}`,
          isFraction,
          type: number.includes(".") ? "double" : inner.type,
        };
      }
      default: {
        const other = this.chance(3) ? inner : this.leaf(false);
        if (inner.isFraction || other.isFraction || inner.type === "?" || other.isOpen) break;
        const areCounters = inner.isCounter && other.isCounter;
        // Mistakes in products end the real one.
        const fits = inner.indom === other.indom && inner.indom !== "" && !areCounters;
        const sign = this.one(fits ? ["+", "-", "*", "/"] : ["+", "-"]);
        return {
          text: `${text} ${sign} ${other.text}`,
          isFraction: true,
          type: "?",
          isCounter: inner.isCounter,
          indom: inner.indom,
          isPlain: false,
          isOpen: true,
        };
      }
    }
    return inner;
  }
}
