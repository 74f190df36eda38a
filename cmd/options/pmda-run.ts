// The command lines of `pcpbox pmda-run`: the options that every PCP agent has, those of ours, and
// what `--check` takes after it. Under the name of an agent, mistakes and usage are that agent's.

import {
  debugList,
  DEBUG_OPTIONS,
  defineOptions,
  defineVerb,
  type OptionTable,
  type Parsed,
  type Verb,
} from "../../lib/cli/mod.ts";
import { addedOptions, debugOption, helpOption } from "./general.ts";

const bad = (error: string): Parsed<never> => ({ ok: false, error });

function domainNumber(text: string): Parsed<number> {
  return /^[0-9]+$/.test(text)
    ? { ok: true, value: Number(text) }
    : bad("-d requires numeric domain number");
}

/** A shared object and the function in it that begins. */
export interface DsoArgument {
  readonly path: string;
  readonly init: string;
}

function dsoArgument(text: string): Parsed<DsoArgument> {
  const comma = text.lastIndexOf(",");
  const path = text.slice(0, Math.max(comma, 0));
  const init = text.slice(comma + 1);
  return path !== "" && /^[A-Za-z_]\w*$/.test(init)
    ? { ok: true, value: { path, init } }
    : bad(`--dso wants PATH,FUNCTION, not "${text}"`);
}

const clash = (spelling: string, earlier: string): string =>
  `${shortName(spelling)} option clashes with ${shortName(earlier)} option`;

const TRANSPORTS = { inet: "-i", pipe: "-p", unix: "-u", ipv6: "-6" } as const;

const shortName = (spelling: string): string =>
  Object.entries(TRANSPORTS).find(([long]) => spelling === `--${long}`)?.[1] ?? spelling;

const excluding = (own: keyof typeof TRANSPORTS) => ({
  options: Object.keys(TRANSPORTS).filter((each) => each !== own),
  error: clash,
});

const ONE_OF = "Exactly one of the following options may appear";

/** Options of every agent and those of ours by key, in the order of the usage text. */
export const pmdaRunOptions = defineOptions({
  debug: { ...debugOption, hidden: true, group: "" },
  domain: {
    short: "d",
    long: "domain",
    argument: "NUM",
    parse: domainNumber,
    help: "use domain (numeric) for metrics domain of PMDA",
    detail: "Without it: the domain that the agent has by itself.",
    group: "",
    knownTo: "pcp",
  },
  helpfile: {
    short: "h",
    long: "helpfile",
    argument: "FILE",
    completes: "file",
    help: "use FILE as base name of the help text files",
    detail:
      "FILE.dir and FILE.pag, as newhelp writes them; without these, FILE itself as newhelp reads it. Texts in them come before the agent's own.",
    group: "",
    knownTo: "pcp",
  },
  log: {
    short: "l",
    long: "log",
    argument: "FILE",
    completes: "file",
    help: "write log to FILE rather than using default log name",
    detail: "- is standard error.",
    group: "",
    knownTo: "pcp",
  },
  username: {
    short: "U",
    long: "username",
    argument: "USER",
    completes: "user",
    help: "run the PMDA using the named user account",
    group: "",
    knownTo: "pcp",
  },
  help: { ...helpOption, group: "" },
  inet: {
    short: "i",
    long: "inet",
    argument: "PORT",
    excludes: excluding("inet"),
    help: "pmcd IPv4 connection service name or numeric port",
    group: ONE_OF,
    knownTo: "pcp",
  },
  pipe: {
    short: "p",
    long: "pipe",
    excludes: excluding("pipe"),
    help: "use a pipe for communication with pmcd",
    detail: "This is the default.",
    group: ONE_OF,
    knownTo: "pcp",
  },
  unix: {
    short: "u",
    long: "unix",
    argument: "FILE",
    completes: "file",
    excludes: excluding("unix"),
    help: "use a unix domain socket for communication with pmcd",
    group: ONE_OF,
    knownTo: "pcp",
  },
  ipv6: {
    short: "6",
    long: "ipv6",
    argument: "PORT",
    excludes: excluding("ipv6"),
    help: "pmcd IPv6 connection service name or numeric port",
    group: ONE_OF,
    knownTo: "pcp",
  },
  list: {
    long: "list",
    help: "list the agents that are part of pcpbox",
    detail: "With --json as JSON.",
    group: "Pcpbox",
    knownTo: "pcpbox",
  },
  new: {
    long: "new",
    argument: "NAME",
    help: "write a new agent, NAME.ts, to begin with",
    detail: "A module with every part of an agent explained. A file that is there is not touched.",
    group: "Pcpbox",
    knownTo: "pcpbox",
  },
  types: {
    long: "types",
    help: `print the types of "pcpbox" for modules of agents`,
    detail: "As pcpbox.d.ts in the folder of the module, editors and type checkers find them.",
    group: "Pcpbox",
    knownTo: "pcpbox",
  },
  metrics: {
    long: "metrics",
    help: "list the metrics of this agent",
    detail: "With --json as JSON.",
    group: "Pcpbox",
    knownTo: "pcpbox",
  },
  check: {
    long: "check",
    help: "ask an agent by hand or by a script on standard input",
    detail:
      "As dbpmda(1). After an agent: that agent, and its metric names. As the first word: any agent; the options after it are those of dbpmda, see --check -?.",
    group: "Pcpbox",
    knownTo: "pcpbox",
  },
  install: {
    long: "install",
    help: "make pmcd run this agent from now on",
    detail: "Adds its metric names and a line in pmcd.conf, and tells a running pmcd.",
    group: "Pcpbox",
    knownTo: "pcpbox",
  },
  remove: {
    long: "remove",
    help: "undo --install",
    excludes: { options: ["install"], error: "--remove option clashes with --install option" },
    group: "Pcpbox",
    knownTo: "pcpbox",
  },
  dryRun: {
    long: "dry-run",
    help: "with --install or --remove: show what would change, change nothing",
    group: "Pcpbox",
    knownTo: "pcpbox",
  },
  notready: {
    long: "notready",
    help: "pmcd waits until the agent says that it is ready",
    detail:
      "With --install the line in pmcd.conf says so; otherwise it says that pmcd.conf has it.",
    group: "Pcpbox",
    knownTo: "pcpbox",
  },
  dso: {
    long: "dso",
    argument: "PATH,INIT",
    completes: "file",
    parse: dsoArgument,
    help: "run a compiled agent: a shared object and its init function",
    detail:
      "In a process of its own, which is started again when it crashes. No other agent is named then.",
    group: "Pcpbox",
    knownTo: "pcpbox",
  },
  json: {
    long: "json",
    help: "with --list and --metrics: as JSON",
    group: "Pcpbox",
    knownTo: "pcpbox",
  },
  ...addedOptions,
});

/** The options of pmda-run as a type. */
export type PmdaRunOptions = typeof pmdaRunOptions;

/** `pcpbox pmda-run`. */
export const pmdaRunVerb = defineVerb({
  name: "pmda-run",
  program: "pcpbox pmda-run",
  actsAsPcp: false,
  summary: "run, install and check metric agents (PMDAs)",
  usage: [
    "AGENT|MODULE.ts [options] [arguments of the agent]",
    "--dso PATH,INIT -d NUM [options]",
    "--list | --new NAME | --types",
    "AGENT|MODULE.ts --install|--remove [--dry-run]",
    "AGENT|MODULE.ts --check|--metrics",
    "--check [-efiv] [-n FILE] [-q SECONDS] [-U USER]",
    "--listen [PORT] [AGENT|MODULE.ts ...] [options]",
  ],
  options: pmdaRunOptions,
  operands: [
    {
      name: "agent",
      text: "The name of an agent of pcpbox (see --list), or the path of a TypeScript module that makes one. What follows belongs to the agent.",
      completes: "file",
      repeats: true,
    },
  ],
  description: [
    "Runs a metric agent for pmcd, as a line of pmcd.conf starts it: over its standard streams, or over a socket on which pmcd calls it. With --listen it takes the place of pmcd; see --listen --help.",
    "Agents are part of pcpbox, or plain TypeScript files that import the module pcpbox, which needs no installation: pcpbox pmda-run --new NAME writes one to begin with.",
    "After the name of an agent, messages are those of PCP's agents: it calls itself pmdaNAME.",
  ],
  examples: [
    { command: "pcpbox pmda-run --new weather", does: "write weather.ts, an agent to be changed" },
    {
      command: "pcpbox pmda-run ./weather.ts --install --dry-run",
      does: "see what its installation changes",
    },
    {
      command: "pcpbox pmda-run ./weather.ts --check",
      does: "ask it by hand, without pmcd",
    },
    { command: "pcpbox pmda-run simple -l - -i 4242", does: "wait for pmcd on a port" },
  ],
  sections: [
    {
      title: "Exit status",
      entries: [
        { term: "0", text: "pmcd has closed the connection, or all is done" },
        { term: "1", text: "a mistake after the name of an agent, or a failure" },
        { term: "2", text: "another mistake on the command line" },
      ],
    },
    {
      title: "Environment",
      entries: [
        { term: "PCP_CONF", text: "the file with PCP's paths, /etc/pcp.conf by default" },
        { term: "PCP_PMCDCONF_PATH", text: "pmcd.conf, for --install and --remove" },
        { term: "PCP_VAR_DIR", text: "where pmns/root and pmcd's run files are" },
        {
          term: "PMNS_DEFAULT",
          text: "the metric names for --check, and where --install adds them",
        },
        { term: "PCP_USER", text: "whom the example agents become when root starts them" },
      ],
    },
  ],
  mistakeStatus: 2,
  check: (given, operands) => {
    if (operands.length > 0 || given.has("dso") || given.has("list")) return [];
    return given.has("new") || given.has("types") ? [] : ["no agent named"];
  },
});

/** Options that single PCP agents do not show; they read them all the same. */
const UNSHOWN: Readonly<Record<string, readonly (keyof PmdaRunOptions)[]>> = {
  simple: ["helpfile"],
  sample: ["helpfile"],
  trivial: ["helpfile", "inet", "pipe", "unix", "ipv6"],
  txmon: ["helpfile", "inet", "pipe", "unix", "ipv6"],
};

/** What stands behind the options of an agent in its usage. */
const ARGUMENTS: Readonly<Record<string, string>> = { txmon: "[options] tx_type [...]" };

/** The command line of one agent: mistakes and usage as PCP's agents have them. */
export function agentVerb(name: string): Verb<PmdaRunOptions> {
  const unshown: readonly string[] = UNSHOWN[name] ?? [];
  const options = Object.fromEntries(
    Object.entries(pmdaRunOptions as OptionTable).map(([key, spec]) => [
      key,
      unshown.includes(key) ? { ...spec, hidden: true } : spec,
    ]),
  ) as unknown as PmdaRunOptions;
  const { check: _, ...rest } = pmdaRunVerb;
  return {
    ...rest,
    program: `pmda${name}`,
    actsAsPcp: true,
    exactUsage: true,
    usage: [ARGUMENTS[name] ?? "[options]"],
    options,
    mistakeStatus: 1,
    helpStatus: 1,
  };
}

function seconds(text: string): Parsed<number> {
  const value = /^[0-9]+$/.test(text) ? Number(text) : 0;
  return value > 0 ? { ok: true, value } : bad("-q requires a positive numeric argument");
}

function checkedDebug(text: string): Parsed<readonly string[]> {
  return debugList(text).ok
    ? { ok: true, value: text.split(",") }
    : bad(`unrecognized debug flag specification (${text})`);
}

/** Options of the checking tool, those of dbpmda(1). */
export const checkOptions = defineOptions({
  debug: {
    short: "D",
    argument: "DBG",
    parse: checkedDebug,
    choices: DEBUG_OPTIONS,
    repeatable: true,
    hidden: true,
    help: "set debug options",
    group: "General",
    knownTo: "pcp",
  },
  namespace: {
    short: "n",
    long: "namespace",
    argument: "FILE",
    completes: "file",
    help: "use an alternative PMNS",
    group: "General",
    knownTo: "pcp",
  },
  norc: {
    short: "f",
    long: "norc",
    help: "skip .dbpmdarc processing",
    group: "General",
    knownTo: "pcp",
  },
  creds: {
    short: "q",
    long: "creds-timeout",
    argument: "N",
    parse: seconds,
    help: "initial negotiation timeout (seconds)",
    group: "General",
    knownTo: "pcp",
  },
  username: {
    short: "U",
    long: "username",
    argument: "USER",
    completes: "user",
    help: "run under named user account",
    group: "General",
    knownTo: "pcp",
  },
  valgrind: {
    short: "v",
    long: "valgrind",
    help: "running under valgrind, don't dlclose() dso PMDAs",
    detail: "Accepted; shared objects are in a process of their own here.",
    group: "General",
    knownTo: "pcp",
  },
  help: { ...helpOption, group: "General" },
  echo: {
    short: "e",
    long: "echo-input",
    help: "echo input",
    group: "Input",
    knownTo: "pcp",
  },
  interactive: {
    short: "i",
    long: "interactive",
    help: "be interactive and prompt",
    group: "Input",
    knownTo: "pcp",
  },
  ...addedOptions,
});

/** `pcpbox pmda-run --check`, alias dbpmda. */
export const checkVerb: Verb<typeof checkOptions> = {
  ...pmdaRunVerb,
  program: "dbpmda",
  actsAsPcp: true,
  exactUsage: true,
  usage: ["[options]"],
  options: checkOptions,
  operands: [],
  mistakeStatus: 1,
  helpStatus: 1,
  check: () => [],
};
