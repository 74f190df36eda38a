// The commands of the checking tool (spec pmda.md 17): words of a line to a command as data. Nothing
// is looked up here: metrics stay words. Refuses what is no command, with PCP's reasons and the
// place for the caret.
import {
  asIndom,
  asPmid,
  type Indom,
  PCP_ATTR,
  PM_INDOM_NULL,
  PM_LABEL,
  type Pmid,
} from "../pcp/mod.ts";
import type { CheckMistake, LineWords, Word } from "./check-words.ts";

/** A metric as it was written: a PMID, or a name to be looked up. */
export interface MetricWord {
  readonly text: string;
  /** Undefined for a name. */
  readonly pmid: Pmid | undefined;
  readonly read: number;
}

/** How to reach an agent. */
export type OpenTarget =
  | { readonly how: "pipe"; readonly path: string; readonly args: readonly string[] }
  | {
      readonly how: "dso";
      readonly path: string;
      readonly init: string;
      /** Undefined where it is the agent's own matter. */
      readonly domain: number | undefined;
    }
  | { readonly how: "unix"; readonly path: string }
  | { readonly how: "inet" | "ipv6"; readonly port: number };

/** What the value of a switch is. */
type Switch = "timer" | "getdesc" | "getiname";

/** A command without mistakes. */
export type CheckCommand =
  | { readonly kind: "nothing" | "close" | "quit" | "status" }
  | { readonly kind: "synopsis"; readonly of: string }
  | { readonly kind: "help"; readonly of: string | undefined }
  | { readonly kind: "open"; readonly target: OpenTarget }
  | { readonly kind: "desc" | "text-metric"; readonly metric: MetricWord }
  | { readonly kind: "fetch"; readonly metrics: readonly MetricWord[] }
  | { readonly kind: "store"; readonly metric: MetricWord; readonly value: string }
  | {
      readonly kind: "instance";
      readonly indom: Indom;
      /** A number, a name, or undefined for all. */
      readonly instance: number | string | undefined;
    }
  | {
      readonly kind: "profile";
      readonly indom: Indom;
      readonly change: "all" | "none" | "add" | "delete";
      readonly instance: number;
    }
  | { readonly kind: "text-indom"; readonly indom: Indom }
  | { readonly kind: "label"; readonly level: number; readonly ident: number }
  | { readonly kind: "label-item"; readonly metric: MetricWord }
  | { readonly kind: "pmid" | "children" | "traverse"; readonly name: string }
  | { readonly kind: "name"; readonly pmid: Pmid }
  | { readonly kind: "attr"; readonly key: number; readonly name: string; readonly value: string }
  | { readonly kind: "debug"; readonly flags: readonly string[] }
  | { readonly kind: "namespace" | "watch"; readonly path: string }
  | { readonly kind: "switch"; readonly of: Switch; readonly on: boolean }
  | { readonly kind: "wait"; readonly seconds: number };

/** A command, or what is wrong with the line. */
export type Parsed =
  | { readonly command: CheckCommand; readonly mistake?: undefined; readonly metrics?: undefined }
  | {
      readonly command?: undefined;
      readonly mistake: CheckMistake;
      /** Metrics that stand before it. */
      readonly metrics: readonly MetricWord[];
    };

/** What the grammar has to know from outside. */
export interface GrammarSetting {
  /** Names for `debug`, in the order of their numbers. */
  readonly debugNames: readonly string[];
}

const SYNTAX = "syntax error";
/** Names of client attributes as PDUs number them. */
const ATTRIBUTES: ReadonlyMap<string, number> = new Map(
  Object.entries(PCP_ATTR)
    .filter(([, key]) => key !== PCP_ATTR.NONE)
    .map(([name, key]) => [name.toLowerCase(), key]),
);

/** Thrown inside this file only; becomes the mistake of the line. */
class Wrong extends Error {
  constructor(
    readonly read: number,
    reason: string,
  ) {
    super(reason);
  }
}

/** The words of one line, taken one after the other. */
interface Line {
  readonly next: () => Word | undefined;
  /** Throws at the word, or at the end of the line when there is none. */
  readonly wrong: (word: Word | undefined, reason?: string) => never;
  /** Throws unless the line ends here. */
  readonly end: () => void;
  /** Metrics so far. */
  readonly metrics: MetricWord[];
  /** The next word, which must be of one of these kinds. */
  readonly take: (...kinds: readonly Word["kind"][]) => Word;
}

function lineOf({ words, mistake }: LineWords, length: number): Line {
  let at = 0;
  const wrong = (word: Word | undefined, reason: string = SYNTAX): never => {
    throw new Wrong(word?.read ?? length, reason);
  };
  const next = (): Word | undefined => {
    const word = words[at];
    at += 1;
    if (word === undefined && mistake !== undefined) throw new Wrong(mistake.read, mistake.reason);
    return word;
  };
  return {
    next,
    wrong,
    metrics: [],
    end: () => {
      const word = next();
      if (word !== undefined) wrong(word);
    },
    take: (...kinds) => {
      const word = next();
      return word === undefined || !kinds.includes(word.kind) ? wrong(word) : word;
    },
  };
}

/** Larger numbers are none. */
const MAX_FIELD = 0xffffffff;

const numbersOf = (text: string): number[] => text.split(".").map(Number);

/** The PMID that 1 to 3 numbers name; fields that are too large lose their upper bits, as in C. */
function pmidOf(text: string): Pmid {
  const fields = numbersOf(text);
  const [item = 0, cluster = 0, domain = 0] = fields.toReversed();
  return asPmid(((domain & 0x1ff) << 22) | ((cluster & 0xfff) << 10) | (item & 0x3ff));
}

function indomOf(text: string): Indom {
  if (text === "-1" || Number(text) === MAX_FIELD) return PM_INDOM_NULL;
  const [serial = 0, domain = 0] = numbersOf(text).toReversed();
  return asIndom(((domain & 0x1ff) << 22) | (serial & 0x3fffff));
}

function takeMetric(line: Line, first = line.next()): MetricWord {
  if (first === undefined) return line.wrong(first);
  const { kind, text, read } = first;
  const numeric = kind === "number" || kind === "pair" || kind === "triple";
  if (kind !== "name" && !numeric) return line.wrong(first);
  if (numbersOf(text).some((field) => field > MAX_FIELD)) return line.wrong(first);
  const metric = { text, pmid: numeric ? pmidOf(text) : undefined, read };
  line.metrics.push(metric);
  return metric;
}

const takeIndom = (line: Line): Indom => indomOf(line.take("number", "pair").text);

/** Paths without a slash are files here, as with PCP's tool. */
const localPath = (text: string): string =>
  text.startsWith("/") || text.startsWith(".") ? text : `./${text}`;

function openSocket(line: Line): OpenTarget {
  const family = line.take("name", "path");
  switch (family.text) {
    case "inet":
    case "ipv6": {
      const port = Number(line.take("number").text);
      line.end();
      return { how: family.text, port };
    }
    case "unix": {
      const path = localPath(line.take("name", "path", "text").text);
      line.end();
      return { how: "unix", path };
    }
    default:
      line.end();
      return { how: "unix", path: localPath(family.text) };
  }
}

function openTarget(line: Line): OpenTarget {
  const how = line.take("name");
  if (how.text === "socket") return openSocket(line);
  if (how.text === "pipe") {
    const path = localPath(line.take("name", "path", "text").text);
    const args: string[] = [];
    for (let word = line.next(); word !== undefined; word = line.next()) args.push(word.text);
    return { how: "pipe", path, args };
  }
  if (how.text !== "dso") return line.wrong(how);
  const path = localPath(line.take("name", "path", "text").text);
  const init = line.take("name").text;
  const domain = line.next();
  if (domain === undefined) return { how: "dso", path, init, domain: undefined };
  if (domain.kind !== "number") line.wrong(domain);
  line.end();
  return { how: "dso", path, init, domain: Number(domain.text) };
}

function labelCommand(line: Line): CheckCommand {
  const level = line.take("name");
  switch (level.text) {
    case "context":
    case "domain":
      line.end();
      return {
        kind: "label",
        level: level.text === "context" ? PM_LABEL.CONTEXT : PM_LABEL.DOMAIN,
        ident: 0xffffffff,
      };
    case "indom":
    case "instances": {
      const ident = takeIndom(line);
      line.end();
      return {
        kind: "label",
        level: level.text === "indom" ? PM_LABEL.INDOM : PM_LABEL.INSTANCES,
        ident,
      };
    }
    case "cluster": {
      const { text } = line.take("number", "pair");
      line.end();
      return { kind: "label", level: PM_LABEL.CLUSTER, ident: pmidOf(`${text}.0`) };
    }
    case "item": {
      const metric = takeMetric(line);
      line.end();
      return { kind: "label-item", metric };
    }
    default:
      return line.wrong(level);
  }
}

function profileCommand(line: Line): CheckCommand {
  const indom = takeIndom(line);
  const change = line.next();
  switch (change?.text) {
    case "all":
    case "none":
      line.end();
      return { kind: "profile", indom, change: change.text, instance: 0 };
    case "add":
    case "delete": {
      const instance = Number(line.take("number", "negative").text);
      line.end();
      return { kind: "profile", indom, change: change.text, instance };
    }
    default:
      return line.wrong(change);
  }
}

function attrCommand(line: Line): CheckCommand {
  const word = line.take("number", "text");
  const known = [...ATTRIBUTES].find(([name, key]) =>
    word.kind === "number" ? key === Number(word.text) : name === word.text,
  );
  if (known === undefined)
    return line.wrong(
      word,
      `Attribute (${word.kind === "number" ? Number(word.text) : word.text}) is not recognised`,
    );
  const [name, key] = known;
  const value = line.next();
  if (value !== undefined && value.kind !== "text") line.wrong(value);
  line.end();
  return { kind: "attr", key, name, value: value?.text ?? "" };
}

function debugCommand(line: Line, names: readonly string[]): CheckCommand {
  const flags: string[] = [];
  for (let word = line.next(); word !== undefined; word = line.next()) {
    if (word.kind === "number") flags.push(word.text);
    else if (word.kind === "negative") line.wrong(word);
    else if (word.text === "all" || word.text === "none") flags.push(word.text);
    else {
      const list = word.text.replace(/^-/, "").toLowerCase().split(",");
      if (!list.every((name) => names.includes(name)))
        line.wrong(word, `Bad debug flag (${word.text})`);
      flags.push(...list.map((name) => (word.text.startsWith("-") ? `-${name}` : name)));
    }
  }
  return { kind: "debug", flags };
}

function helpCommand(line: Line): CheckCommand {
  const of = line.next();
  if (of === undefined) return { kind: "help", of: undefined };
  if (of.kind !== "name" || !isCommand(of.text)) line.wrong(of);
  line.end();
  return { kind: "help", of: of.text === "exit" ? "quit" : of.text };
}

function instanceCommand(line: Line): CheckCommand {
  const indom = indomOf(line.take("number", "pair", "negative").text);
  const word = line.next();
  if (word === undefined) return { kind: "instance", indom, instance: undefined };
  if (word.kind === "negative") line.wrong(word);
  line.end();
  return {
    kind: "instance",
    indom,
    instance: word.kind === "number" ? Number(word.text) : word.text,
  };
}

function textCommand(line: Line): CheckCommand {
  const word = line.next();
  if (word?.text === "indom" && word.kind === "name") {
    const indom = takeIndom(line);
    line.end();
    return { kind: "text-indom", indom };
  }
  const metric = takeMetric(line, word);
  line.end();
  return { kind: "text-metric", metric };
}

function storeCommand(line: Line): CheckCommand {
  const metric = takeMetric(line);
  const value = line.next();
  if (value === undefined) return line.wrong(value);
  if (value.kind !== "text") return line.wrong(value);
  line.end();
  return { kind: "store", metric, value: value.text };
}

function switchCommand(of: Switch, line: Line): CheckCommand {
  const word = line.take("name");
  if (word.text !== "on" && word.text !== "off") line.wrong(word);
  line.end();
  return { kind: "switch", of, on: word.text === "on" };
}

/** Reads what follows a command's name. */
type Rule = (line: Line, setting: GrammarSetting) => CheckCommand;

const alone =
  (kind: "close" | "quit" | "status"): Rule =>
  (line) => {
    line.end();
    return { kind };
  };

const named =
  (kind: "pmid" | "children" | "traverse"): Rule =>
  (line) => {
    const { text: name } = line.take("name");
    line.end();
    return { kind, name };
  };

const pathed =
  (kind: "namespace" | "watch"): Rule =>
  (line) => {
    const path = localPath(line.take("name", "path").text);
    line.end();
    return { kind, path };
  };

const RULES: Readonly<Record<string, Rule>> = {
  attr: attrCommand,
  children: named("children"),
  close: alone("close"),
  debug: (line, { debugNames }) => debugCommand(line, debugNames),
  exit: alone("quit"),
  desc: (line) => {
    const metric = takeMetric(line);
    line.end();
    return { kind: "desc", metric };
  },
  fetch: (line) => {
    const metrics = [takeMetric(line)];
    for (let word = line.next(); word !== undefined; word = line.next())
      metrics.push(takeMetric(line, word));
    return { kind: "fetch", metrics };
  },
  getdesc: (line) => switchCommand("getdesc", line),
  getiname: (line) => switchCommand("getiname", line),
  help: helpCommand,
  instance: instanceCommand,
  label: labelCommand,
  name: (line) => {
    const { text } = line.take("triple");
    line.end();
    return { kind: "name", pmid: pmidOf(text) };
  },
  namespace: pathed("namespace"),
  open: (line) => ({ kind: "open", target: openTarget(line) }),
  pmid: named("pmid"),
  profile: profileCommand,
  quit: alone("quit"),
  status: alone("status"),
  store: storeCommand,
  text: textCommand,
  timer: (line) => switchCommand("timer", line),
  traverse: named("traverse"),
  wait: (line) => {
    const seconds = Number(line.take("number").text);
    line.end();
    return { kind: "wait", seconds };
  },
  watch: pathed("watch"),
};

/** Commands that mean something without more words. */
const COMPLETE_ALONE: readonly string[] = ["close", "exit", "help", "namespace", "quit", "status"];

/** Whether this is the name of a command. */
export const isCommand = (name: string): boolean => Object.hasOwn(RULES, name);

/** The command of a line of `length` characters. */
export function parseCommand(line: LineWords, length: number, setting: GrammarSetting): Parsed {
  const taken = lineOf(line, length);
  try {
    const first = taken.next();
    if (first === undefined) return { command: { kind: "nothing" } };
    if (first.text === "?") return { command: helpCommand(taken) };
    const rule = first.kind === "name" && isCommand(first.text) ? RULES[first.text] : undefined;
    if (rule === undefined) return taken.wrong(first, "Unrecognized command");
    const bare = line.words.length === 1 && line.mistake === undefined;
    if (bare && !COMPLETE_ALONE.includes(first.text))
      return { command: { kind: "synopsis", of: first.text } };
    return { command: rule(taken, setting) };
  } catch (error) {
    if (!(error instanceof Wrong)) throw error;
    return { mistake: { read: error.read, reason: error.message }, metrics: taken.metrics };
  }
}
