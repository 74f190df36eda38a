// The command line of `pcpbox pmda-run --listen`: which agents, on which ports, and who may ask.

import { wholeNumber } from "../../lib/base/mod.ts";
import { defineOptions, type Parsed, type Verb } from "../../lib/cli/mod.ts";
import { addedOptions } from "./general.ts";
import { pmdaRunVerb } from "./pmda-run.ts";

const bad = (error: string): Parsed<never> => ({ ok: false, error });

function ports(text: string): Parsed<readonly number[]> {
  const numbers = text.split(",").map((part) => wholeNumber(part.trim()));
  const good = numbers.filter((each) => each !== undefined && each <= 65535);
  return good.length === numbers.length
    ? { ok: true, value: good.map(Number) }
    : bad(`-p requires a list of port numbers, not "${text}"`);
}

function seconds(text: string): Parsed<number> {
  const value = Number(text);
  return /^\d+(?:\.\d+)?$/.test(text) && value <= 3600
    ? { ok: true, value }
    : bad(`-t requires a number of seconds up to 3600, not "${text}"`);
}

function count(text: string): Parsed<number> {
  const value = wholeNumber(text);
  return value !== undefined && value > 0
    ? { ok: true, value }
    : bad(`--max-clients requires a positive number, not "${text}"`);
}

/** Options by key, in the order of the usage text; letters are those of pmcd(1). */
export const listenOptions = defineOptions({
  port: {
    short: "p",
    long: "port",
    argument: "PORT",
    parse: ports,
    repeatable: true,
    help: "listen on PORT, or on several with commas between",
    detail: "44321 without it; PMCD_PORT has a list too. 0 is any free port.",
    group: "Where to listen",
    knownTo: "pcp",
  },
  interface: {
    short: "i",
    long: "interface",
    argument: "ADDR",
    repeatable: true,
    help: "accept connections on this address only",
    detail: "May be given more than once.",
    group: "Where to listen",
    knownTo: "pcp",
  },
  localOnly: {
    long: "local",
    help: "accept connections from this machine only",
    detail: "As PMCD_LOCAL=1.",
    group: "Where to listen",
    knownTo: "pcpbox",
  },
  socket: {
    short: "s",
    long: "socket",
    argument: "PATH",
    completes: "file",
    help: "unix socket for clients of this machine, none for no socket",
    detail: "pmcd.socket in PCP's run directory without it, where that directory is.",
    group: "Where to listen",
    knownTo: "pcp",
  },
  agents: {
    long: "agents",
    argument: "FILE",
    completes: "file",
    help: "the table of agents and access rules, TOML",
    detail: "See docs/collector.md. /etc/pcpbox/agents.toml without it, where that is.",
    group: "Agents",
    knownTo: "pcpbox",
  },
  config: {
    short: "c",
    long: "config",
    argument: "FILE",
    completes: "file",
    excludes: {
      options: ["agents"],
      error: "-c option clashes with --agents option",
    },
    help: "the table of agents and access rules, as pmcd.conf",
    group: "Agents",
    knownTo: "pcp",
  },
  namespace: {
    short: "n",
    long: "namespace",
    argument: "FILE",
    completes: "file",
    help: "metric names of agents that are not part of pcpbox",
    detail: "With -c, and for other compiled agents and daemons: PCP's own pmns/root.",
    group: "Agents",
    knownTo: "pcp",
  },
  timeout: {
    short: "t",
    long: "timeout",
    argument: "SECS",
    parse: seconds,
    help: "time that agents in processes of their own have for an answer",
    detail: "5 without it; 0 is no limit.",
    group: "Agents",
    knownTo: "pcp",
  },
  tlsConf: {
    long: "tls-conf",
    argument: "FILE",
    completes: "file",
    help: "certificates, as PCP's tls.conf",
    detail: "PCP_TLSCONF_PATH, or /etc/pcp/tls.conf, without it.",
    group: "Clients",
    knownTo: "pcpbox",
  },
  certificate: {
    short: "Q",
    long: "require-client-cert",
    help: "clients of other machines must have a certificate",
    group: "Clients",
    knownTo: "pcp",
  },
  maxClients: {
    long: "max-clients",
    argument: "N",
    parse: count,
    help: "most clients at a time",
    detail: "4096 without it; never more than the limit of open files allows.",
    group: "Clients",
    knownTo: "pcpbox",
  },
  json: {
    long: "json",
    help: "log lines as JSON",
    group: "General",
    knownTo: "pcpbox",
  },
  help: {
    short: "?",
    long: "help",
    help: "show this usage message and exit",
    group: "General",
    knownTo: "pcp",
    asks: "help",
  },
  ...addedOptions,
});

/** The options as a type. */
export type ListenGiven = typeof listenOptions;

/** `pcpbox pmda-run --listen`. */
export const listenVerb: Verb<ListenGiven> = {
  name: `${pmdaRunVerb.name} --listen`,
  program: "pcpbox pmda-run --listen",
  actsAsPcp: false,
  summary: "be a collector: run agents, and answer PCP's clients as pmcd does",
  usage: ["[PORT] [AGENT|MODULE.ts ...] [options]"],
  options: listenOptions,
  operands: [
    {
      name: "agent",
      text: "Agents of pcpbox by name, or modules by path; a first number is the port. Without any: the table, or what tells of this machine.",
      completes: "file",
      repeats: true,
    },
  ],
  description: [
    "Runs agents and answers PCP's clients on pmcd's port, so that pminfo -h HOST, pmrep, pcp dstat, pmlogger and pmproxy work with a machine on which nothing but this file is.",
    "Stays in the foreground, and logs to standard error. SIGHUP reads the table again; SIGTERM ends it.",
  ],
  examples: [
    { command: "pcpbox pmda-run --listen", does: "tell of this machine on port 44321" },
    {
      command: "pcpbox pmda-run --listen 4321 linux ./weather.ts --local",
      does: "two agents, for clients of this machine",
    },
    {
      command: "pcpbox pmda-run --listen -c /etc/pcp/pmcd/pmcd.conf",
      does: "take the place of pmcd",
    },
  ],
  sections: [
    {
      title: "Exit status",
      entries: [
        { term: "0", text: "ended by a signal" },
        { term: "1", text: "a table with faults, or a port that is taken" },
        { term: "2", text: "a mistake on the command line" },
      ],
    },
  ],
  mistakeStatus: 2,
};
