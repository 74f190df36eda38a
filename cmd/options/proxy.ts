// The options of `pcpbox proxy`, alias pmproxy (spec proxy.md 2.1): one table for the reader, usage
// text, help, man page and completion. Order and wording of the first five groups are those of
// pmproxy 7.2.1's usage text, which scripts and people know; pcpbox's own options follow.

import {
  defineOptions,
  defineVerb,
  interval,
  oneOf,
  type Parsed,
  ports,
  positive,
} from "../../lib/cli/mod.ts";
import { addedOptions, debugOption } from "./general.ts";

const OLD_NAME = "Backwards-compatibility option, do not use";
const MAX_INT32 = 0x7fffffff;

/** Words for --log-level, quiet last. */
export const LOG_LEVEL_WORDS = ["debug", "info", "warning", "error", "critical"] as const;
/** Words for --log-format. */
export const LOG_FORMAT_WORDS = ["text", "json"] as const;

/** What `pcpbox proxy` can be told to do with the proxy that runs in the background. */
export const PROXY_ACTIONS = [
  { term: "start", text: "stop a running proxy, then start one in the background" },
  { term: "stop", text: "end the proxy of the pid file and wait for it" },
  { term: "restart", text: "the same as start" },
  { term: "status", text: "say whether it runs, with the exit statuses of LSB scripts" },
  { term: "reload", text: "have it read its configuration again" },
] as const;

function runTime(text: string): Parsed<number> {
  const parsed = interval(text);
  return parsed.ok ? parsed : { ok: false, error: `bad -T interval format:\n${parsed.error}` };
}

/** Options by key, in the order of the usage text. */
export const proxyOptions = defineOptions({
  debug: {
    ...debugOption,
    detail:
      "DBG is a list with commas. http, pdu, context, auth, series, discovery, libweb and desperate show more here.",
    group: "General",
  },
  help: {
    short: "?",
    long: "help",
    help: "show this usage message and exit",
    group: "General",
    knownTo: "pcp",
    asks: "help",
  },
  noAdvertise: {
    short: "A",
    help: "disable service advertisement",
    group: "Service",
    knownTo: "pcp",
  },
  deprecated: {
    short: "d",
    long: "deprecated",
    help: "backward-compatibility mode; no REST APIs",
    detail: "Relays PCP clients only, on port 44322. A later -c, -h, -r or -t switches back.",
    group: "Service",
    knownTo: "pcp",
  },
  foreground: {
    short: "f",
    long: "foreground",
    help: "run in the foreground",
    detail: "No pid file, no change of user. Not together with -F.",
    group: "Service",
    knownTo: "pcp",
  },
  managed: {
    short: "F",
    long: "managed",
    old: [{ name: "systemd", help: OLD_NAME, knownTo: "pcp-6" }],
    help: "run in managed (systemd/launchd) mode",
    detail:
      "In the foreground, but with pid file, change of user and notices to the service manager.",
    group: "Service",
    knownTo: "pcp-7",
  },
  timeseries: {
    short: "t",
    long: "timeseries",
    help: "automatic, scalable timeseries; REST APIs",
    detail: "The default; undoes an earlier -d.",
    group: "Service",
    knownTo: "pcp",
  },
  username: {
    short: "U",
    long: "username",
    argument: "USER",
    completes: "user",
    help: "in daemon mode, run as named user [default pcp]",
    group: "Service",
    knownTo: "pcp",
  },
  config: {
    short: "c",
    long: "config",
    argument: "PATH",
    completes: "file",
    help: "path to configuration file (implies --timeseries)",
    detail: "An absolute PATH is the only file read. A name that ends in .toml is read as TOML.",
    group: "Configuration",
    knownTo: "pcp",
  },
  pduCeiling: {
    short: "L",
    argument: "BYTES",
    argumentHidden: true,
    parse: positive("-L", MAX_INT32),
    help: "maximum size for PDUs from clients [default 65536]",
    group: "Configuration",
    knownTo: "pcp",
  },
  interface: {
    short: "i",
    long: "interface",
    argument: "ADDR",
    repeatable: true,
    completes: "host",
    help: "accept connections on this IP address",
    detail: "May be repeated: every address with every port. Default: all addresses.",
    group: "Connection",
    knownTo: "pcp",
  },
  port: {
    short: "p",
    long: "port",
    argument: "PORT",
    parse: ports("-p"),
    repeatable: true,
    help: "accept connections on this port",
    detail:
      "PORT may be a list with commas; the option may be repeated. The ports add to those of PMPROXY_PORT; with none at all 44322 and 44323 are used.",
    group: "Connection",
    knownTo: "pcp",
  },
  certificateRequired: {
    short: "Q",
    long: "certreqd",
    help: "require client certificate authentication",
    detail: "HTTP requests without a verified client certificate are answered 403.",
    group: "Connection",
    knownTo: "pcp-7",
  },
  socket: {
    short: "s",
    long: "socket",
    argument: "PATH",
    completes: "file",
    help: "Unix domain socket file [default $PCP_RUN_DIR/pmproxy.socket]",
    group: "Connection",
    knownTo: "pcp",
  },
  authRequired: {
    short: "S",
    long: "reqauth",
    help: "require all client connections to be authenticated",
    detail: "Every /pmapi request then needs HTTP Basic credentials.",
    group: "Connection",
    knownTo: "pcp-7",
  },
  keyPort: {
    short: "r",
    long: "keyport",
    old: [{ name: "redisport", help: OLD_NAME, knownTo: "pcp" }],
    argument: "PORT",
    parse: positive("-r", 65535),
    help: "Connect to key server on this TCP/IP port (implies --timeseries)",
    detail: "Default 6379; without -h the host is localhost.",
    group: "Connection",
    knownTo: "pcp-7",
  },
  keyHost: {
    short: "h",
    long: "keyhost",
    old: [{ name: "redishost", help: OLD_NAME, knownTo: "pcp" }],
    argument: "HOST",
    completes: "host",
    help: "Connect to key server on this host name (implies --timeseries)",
    group: "Connection",
    knownTo: "pcp-7",
  },
  runTime: {
    short: "T",
    argument: "TIME",
    parse: runTime,
    help: "terminate after an elapsed time interval",
    detail: "TIME is an interval such as 10, 1min or 1h 30m.",
    group: "Diagnostic",
    knownTo: "pcp",
  },
  log: {
    short: "l",
    long: "log",
    argument: "PATH",
    completes: "file",
    help: "redirect diagnostics and trace output",
    detail: "Default pmproxy.log in the working directory; - is standard error.",
    group: "Diagnostic",
    knownTo: "pcp",
  },
  fatal: {
    short: "x",
    argument: "PATH",
    completes: "file",
    help: "fatal messages at startup sent to file [default /dev/tty]",
    group: "Diagnostic",
    knownTo: "pcp",
  },
  certificates: {
    short: "C",
    long: "certdb",
    argument: "PATH",
    completes: "file",
    help: "directory or file of PEM certificates; NSS databases are not read",
    detail:
      "Named the NSS database in PCP before 6. Give PEM files, or set certificates in pmproxy.conf.",
    group: "Certificate",
    knownTo: "pcp-5",
  },
  certificateName: {
    short: "M",
    long: "certname",
    argument: "NAME",
    help: "name of the certificate within the directory of -C",
    group: "Certificate",
    knownTo: "pcp-5",
  },
  passwordFile: {
    short: "P",
    long: "passfile",
    argument: "PATH",
    completes: "file",
    help: "file whose first line opens the private key",
    group: "Certificate",
    knownTo: "pcp-5",
  },
  check: {
    long: "check",
    help: "check the configuration, report file:line:column, and exit",
    group: "Pcpbox",
    knownTo: "pcpbox",
  },
  health: {
    long: "health",
    help: "ask the running proxy whether it is ready, and exit",
    detail: "For health checks of containers. Takes the port from -p or the socket from -s.",
    group: "Pcpbox",
    knownTo: "pcpbox",
  },
  json: {
    long: "json",
    help: "with --check, --version and status: print JSON",
    group: "Pcpbox",
    knownTo: "pcpbox",
  },
  load: {
    long: "load",
    argument: "ARCHIVE",
    completes: "file",
    help: "load an archive, or what an expression names, and exit",
    detail:
      "Into the key server of the configuration, of -h and of -p, which is then its port; without one into the catalogue of the embedded store. Prints what pmseries --load prints.",
    group: "Pcpbox",
    knownTo: "pcpbox",
  },
  query: {
    long: "query",
    argument: "EXPR",
    help: "answer a query about time series, and exit",
    detail:
      "Asks the same store, the embedded one after a look for new archives. Prints what pmseries --query prints.",
    group: "Pcpbox",
    knownTo: "pcpbox",
  },
  fast: {
    long: "fast",
    help: "with --load: no values; with --query: identifiers only",
    group: "Pcpbox",
    knownTo: "pcpbox",
  },
  times: {
    long: "times",
    help: "with --query: time stamps as numbers",
    group: "Pcpbox",
    knownTo: "pcpbox",
  },
  timezone: {
    short: "Z",
    long: "timezone",
    argument: "TZ",
    help: "with --query and --load: the time zone of all times",
    group: "Pcpbox",
    knownTo: "pcpbox",
  },
  logFormat: {
    long: "log-format",
    argument: "FORMAT",
    parse: oneOf("--log-format", LOG_FORMAT_WORDS),
    choices: LOG_FORMAT_WORDS,
    help: "log lines as text (PCP's form) or json [default text]",
    group: "Pcpbox",
    knownTo: "pcpbox",
  },
  logLevel: {
    long: "log-level",
    argument: "LEVEL",
    parse: oneOf("--log-level", LOG_LEVEL_WORDS),
    choices: LOG_LEVEL_WORDS,
    help: "least level to log: debug, info, warning, error, critical [default info]",
    group: "Pcpbox",
    knownTo: "pcpbox",
  },
  ...addedOptions,
});

/** Options that mean something with --load or --query only. */
const OF_SERIES = ["fast", "times", "timezone"] as const;

/** Mistakes that no single option shows. */
function mistakes(given: ReadonlySet<string>, operands: readonly string[]): string[] {
  const errors: string[] = [];
  if (given.has("foreground") && given.has("managed"))
    errors.push("at most one of -f and -F allowed");
  const isSeries = given.has("load") || given.has("query");
  if (given.has("load") && given.has("query"))
    errors.push("cannot use load and querying options together");
  if (isSeries && (operands.length > 0 || given.has("check") || given.has("health")))
    errors.push("--load and --query start and check nothing");
  for (const option of OF_SERIES)
    if (given.has(option) && !isSeries) errors.push(`--${option} needs --load or --query`);
  return errors;
}

/** The options of the proxy as a type: `Given<ProxyOptions>` is one option read. */
export type ProxyOptions = typeof proxyOptions;

/** `pcpbox proxy`. */
export const proxyVerb = defineVerb({
  name: "proxy",
  program: "pmproxy",
  actsAsPcp: true,
  summary: "proxy for PCP clients, web clients and key servers",
  usage: [
    "[options]",
    "[options] start|stop|restart|status|reload",
    "[-c PATH] [-h HOST] [-p PORT] --load ARCHIVE|EXPR",
    "[-c PATH] [-h HOST] [-p PORT] --query EXPR",
  ],
  options: proxyOptions,
  operands: [
    {
      name: "action",
      text: "Acts on the proxy in the background. Without it the proxy is started as pmproxy is.",
      choices: PROXY_ACTIONS,
    },
  ],
  description: [
    "Lets clients of Performance Co-Pilot reach a pmcd that they cannot reach themselves, and answers web clients. Each port takes the PCP protocol, HTTP and, when switched on, RESP for a key server; all of them also inside TLS.",
    "It works without any configuration: ports 44322 and 44323 on all addresses, the unix socket, and whichever pmcd the client names. Without -f or -F it goes to the background once it has started.",
    "It keeps history, too: archives are catalogued and followed, loggers may push theirs, and a machine that no logger records is recorded by the proxy itself. [record] enabled = false in the configuration switches that off. With a key server questions about the past are answered from that.",
    "In messages and logs it calls itself pmproxy, and it can be called by that name through a symbolic link or a copy of the program.",
  ],
  examples: [
    { command: "pcpbox proxy -f -l -", does: "run in the foreground, log to the terminal" },
    {
      command: "pminfo -h db1@localhost -f kernel.all.load",
      does: "read metrics of host db1 through it",
    },
    {
      command: "pcpbox proxy --check -c /etc/pcp/pmproxy/pmproxy.conf",
      does: "find mistakes in a configuration file",
    },
    {
      command: "pcpbox proxy --query 'rate(disk.dev.read[count:5])'",
      does: "ask the archives of this machine, or the key server",
    },
  ],
  sections: [
    {
      title: "Exit status",
      entries: [
        { term: "0", text: "success; -? and --help; a start in the background that succeeded" },
        { term: "1", text: "a mistake on the command line or in the configuration; start failed" },
      ],
    },
    {
      title: "Environment",
      entries: [
        { term: "PMPROXY_PORT", text: "ports, separated by commas, added before those of -p" },
        { term: "PMPROXY_LOCAL", text: "not 0: listen on the loopback addresses only" },
        { term: "PMPROXY_MAXPENDING", text: "backlog of listen(2), default 128" },
        { term: "PMPROXY_SOCKET", text: "default of -s" },
        {
          term: "PMCD_PORT, PMCD_CONNECT_TIMEOUT, PMCD_REQUEST_TIMEOUT",
          text: "port and time-outs of connections to pmcd",
        },
        {
          term: "PCP_SECTION_KEY",
          text: "replaces option KEY of section SECTION of the configuration, e.g. PCP_KEYS_SERVERS",
        },
        { term: "PCP_CONF, PCP_DIR", text: "where PCP's files are" },
        { term: "NOTIFY_SOCKET, LISTEN_FDS", text: "readiness and sockets of a service manager" },
        { term: "NO_COLOR", text: "not empty: no colour in help" },
      ],
    },
    {
      title: "Files",
      entries: [
        {
          term: "/etc/pcp/pmproxy/pmproxy.conf",
          text: "configuration; then ~/.pmproxy.conf, ~/.pcp/pmproxy.conf and ./pmproxy.conf",
        },
        {
          term: "/etc/pcp/pmseries/pmseries.conf",
          text: "the same for --load and --query, after these; likewise in the other places",
        },
        { term: "/var/lib/pcpbox", text: "catalogue of archives, and what is recorded" },
        { term: "/etc/pcp/pmproxy/pmproxy.options", text: "options for start and restart" },
        { term: "/etc/default/pmproxy", text: "environment for start and restart" },
        { term: "/etc/pcp/tls.conf", text: "certificates of this host" },
        { term: "/run/pcp/pmproxy.pid", text: "process in the background or managed" },
        { term: "/run/pcp/pmproxy.socket", text: "unix socket" },
      ],
    },
    {
      title: "Signals",
      entries: [
        { term: "SIGTERM, SIGINT", text: "finish what is under way, then exit 0" },
        { term: "SIGHUP", text: "read the configuration again and log what changed" },
        { term: "SIGUSR1", text: "open the log file again, after a rotation" },
      ],
    },
  ],
  mistakeStatus: 1,
  check: mistakes,
});
