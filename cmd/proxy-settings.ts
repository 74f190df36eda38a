// From the command line, the environment, pcp.conf and the configuration files to the settings of the
// proxy, with everything that was wrong on the way (spec proxy.md 2, 3, 7, 10). Reads files, starts
// nothing. A mistake that ends the start-up is in `errors`; the rest is in `problems`, which the log
// shows as warnings and --check as errors.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { nearestName, PcpError } from "../lib/base/mod.ts";
import { type Given, isGiven, lastGiven, ports, valuesGiven } from "../lib/cli/mod.ts";
import {
  certificateFiles,
  chooseRunDirectory,
  type ConfigFile,
  configPaths,
  type ConfigProblem,
  environmentEntries,
  type PcpConf,
  readConfigFile,
  readPcpConf,
  type RunDirectory,
  stateDirectories,
} from "../lib/daemon/mod.ts";
import { parseTlsConf } from "../lib/pdu/mod.ts";
import {
  buildSettings,
  type InheritedSocket,
  keyServerOptions,
  type ProxyArguments,
  type ProxySettings,
  readEntries,
  resolveTls,
  type SettingValues,
  SETTINGS,
  storeOf,
} from "../lib/server/mod.ts";
import type { ProxyOptions } from "./options/proxy.ts";

type Environment = Readonly<Record<string, string | undefined>>;
export type ProxyGiven = readonly Given<ProxyOptions>[];

/** What settings are made from. */
export interface ProxySources {
  readonly options: ProxyGiven;
  readonly environment: Environment;
  readonly workingDirectory: string;
  readonly uid: number;
  readonly inherited: readonly (InheritedSocket & { readonly family: string })[];
}

/** Settings, and all that an operator should know about where they come from. */
export interface LoadedProxy {
  readonly settings: ProxySettings;
  /** The values of the files and of the environment's overrides, for a reload. */
  readonly values: SettingValues;
  readonly arguments: ProxyArguments;
  readonly conf: PcpConf;
  readonly run: RunDirectory;
  /** Configuration files looked at, those that are missing too. */
  readonly files: readonly ConfigFile[];
  /** Said when the file of -c is not there; those looked for by themselves need not be. */
  readonly missing: string | undefined;
  readonly tlsConfPath: string;
  readonly problems: readonly ConfigProblem[];
  /** Sentences that end the start-up, in PCP's words where it has some. */
  readonly errors: readonly string[];
  /** Lines that start-up logs after the ports are open (spec proxy.md 3). */
  readonly environmentLines: readonly string[];
  /** Ports given more than once. */
  readonly duplicatePorts: readonly number[];
}

/** atoi(3): the leading number of a text, 0 without one. */
const leadingNumber = (text: string): number => Number.parseInt(text, 10) || 0;

interface Ports {
  readonly all: readonly number[];
  readonly unique: readonly number[];
  readonly duplicates: readonly number[];
  readonly error: string | undefined;
  readonly warnings: readonly string[];
}

/** Ports are numbers of 16 bits. */
const PORT_NUMBERS = 65_536;

/**
 * The union of PMPROXY_PORT and every -p, in this order (spec proxy.md 6.1). PCP's clients read the
 * same variable and take a port above 65535 modulo 65536, so it must mean the same here.
 */
function portsOf(options: ProxyGiven, environment: Environment): Ports {
  const text = environment["PMPROXY_PORT"] ?? "";
  const parsed = text === "" ? undefined : ports("PMPROXY_PORT", 2 ** 31 - 1)(text);
  const error = parsed?.ok === false ? parsed.error : undefined;
  const named = parsed?.ok === true ? parsed.value : [];
  const warnings = named
    .filter((port) => port >= PORT_NUMBERS)
    .map((port) => `PMPROXY_PORT: ${port} is no port, taken as ${port % PORT_NUMBERS}`);
  const all = [...named.map((port) => port % PORT_NUMBERS), ...valuesGiven(options, "port").flat()];
  const unique = [...new Set(all)];
  const duplicates = all.filter((port, index) => all.indexOf(port) !== index);
  return { all, unique, duplicates, error, warnings };
}

/** Milliseconds of PMCD_CONNECT_TIMEOUT, or PCP's warning. */
function connectTimeout(environment: Environment): { ms?: number; warning?: string } {
  const text = environment["PMCD_CONNECT_TIMEOUT"];
  if (text === undefined) return {};
  const seconds = Number(text);
  return text.trim() !== "" && Number.isFinite(seconds) && seconds >= 0 && seconds < 1e6
    ? { ms: Math.round(seconds * 1000) }
    : { warning: `ignored bad PMCD_CONNECT_TIMEOUT = '${text}'` };
}

interface Gathered {
  readonly given: ProxyArguments;
  readonly errors: readonly string[];
  readonly ports: Ports;
  readonly warnings: readonly string[];
}

function socketPath(sources: ProxySources, run: RunDirectory): string | undefined {
  const named =
    lastGiven(sources.options, "socket")?.value ?? sources.environment["PMPROXY_SOCKET"];
  if (named !== undefined) return named === "" ? undefined : named;
  // A unix socket that a service manager opened stands at the usual place already.
  if (sources.inherited.some(({ family }) => family === "unix")) return undefined;
  return run.path === undefined ? undefined : join(run.path, "pmproxy.socket");
}

/** Whether the command line is about series, as pmseries is, and starts nothing. */
const isAboutSeries = (options: ProxyGiven): boolean =>
  isGiven(options, "load") || isGiven(options, "query");

/** The port of the key server: `-r`, or as with pmseries `-p`, where nothing will listen. */
function keyPortOf(options: ProxyGiven): number | undefined {
  const named = lastGiven(options, "keyPort")?.value;
  if (named !== undefined || !isAboutSeries(options)) return named;
  return valuesGiven(options, "port").flat().at(-1);
}

/** Everything that is not in a configuration file. */
function gather(sources: ProxySources, conf: PcpConf, run: RunDirectory): Gathered {
  const { options, environment } = sources;
  const errors: string[] = [];
  const portList = portsOf(options, environment);
  const warnings = [...portList.warnings];
  if (portList.error !== undefined) errors.push(portList.error);
  const timeout = connectTimeout(environment);
  if (timeout.warning !== undefined) warnings.push(timeout.warning);
  const pendingText = environment["PMPROXY_MAXPENDING"];
  const pending = pendingText === undefined ? 0 : leadingNumber(pendingText);
  if (pendingText !== undefined && pending < 1) {
    warnings.push(`ignored bad PMPROXY_MAXPENDING = '${pendingText}'`);
  }
  const text = (key: "certificates" | "certificateName" | "passwordFile"): string | undefined =>
    lastGiven(options, key)?.value;
  const pem = text("certificates");
  const files =
    pem === undefined
      ? undefined
      : certificateFiles(pem, text("certificateName"), text("passwordFile"));
  if (files?.ok === false) errors.push(files.error);
  const mode = lastGiven(options, "deprecated", "config", "keyHost", "keyPort", "timeseries");
  const directory = (name: string): string => conf.get(name) ?? "/";
  const given: ProxyArguments = {
    ports: portList.unique,
    interfaces: valuesGiven(options, "interface"),
    localOnly: leadingNumber(environment["PMPROXY_LOCAL"] ?? "0") !== 0,
    socketPath: socketPath(sources, run),
    maxPending: pending < 1 ? undefined : Math.min(pending, 65_535),
    inherited: sources.inherited.map(({ fd, name }) => ({ fd, name })),
    pduCeiling: lastGiven(options, "pduCeiling")?.value,
    connectTimeoutMs: timeout.ms,
    keyHost: lastGiven(options, "keyHost")?.value,
    keyPort: keyPortOf(options),
    ...(files?.ok === true ? { certificates: files.value } : {}),
    advertise: !isGiven(options, "noAdvertise"),
    certificateRequired: isGiven(options, "certificateRequired"),
    authRequired: isGiven(options, "authRequired"),
    deprecated: mode?.option === "deprecated",
    user: lastGiven(options, "username")?.value ?? conf.get("PCP_USER") ?? "pcp",
    runForSeconds: lastGiven(options, "runTime")?.value,
    paths: {
      runDirectory: run.path ?? directory("PCP_RUN_DIR"),
      logDirectory: directory("PCP_LOG_DIR"),
      tmpDirectory: directory("PCP_TMP_DIR"),
      archiveDirectory: directory("PCP_ARCHIVE_DIR"),
      remoteArchiveDirectory:
        conf.get("PCP_REMOTE_ARCHIVE_DIR") ?? join(directory("PCP_LOG_DIR"), "pmproxy"),
      stateDirectories: stateDirectories(environment),
    },
  };
  return { given, errors, ports: portList, warnings };
}

/** tls.conf and the decision of spec proxy.md 10.1. */
function decideTls(
  settings: ProxySettings,
  path: string,
): {
  tls: ProxySettings["tls"];
  error: string | undefined;
  problems: readonly ConfigProblem[];
} {
  let text: string | undefined;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
    if (code !== "ENOENT" && code !== "ENOTDIR") {
      return { tls: undefined, error: `${path} cannot be read: ${code}`, problems: [] };
    }
  }
  const parsed = text === undefined ? undefined : parseTlsConf(text);
  const problems = (parsed?.problems ?? []).map((problem) => ({ ...problem, file: path }));
  const decision = resolveTls(settings.secure, parsed?.values);
  if (!(decision instanceof PcpError)) return { tls: decision, error: undefined, problems };
  const error = `OpenSSL ${process.versions["openssl"] ?? ""} - ${decision.message}`;
  return { tls: undefined, error, problems };
}

/** Why the key server cannot be spoken to with these settings; undefined: it can be. */
function keyServerProblem(settings: ProxySettings): string | undefined {
  if (storeOf(settings) !== "keys") return undefined;
  try {
    keyServerOptions(settings.keyServer);
    return undefined;
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
    return error.message;
  }
}

/** The lines about the environment (spec proxy.md 3), with the numbers that are in force. */
function environmentLines(
  environment: Environment,
  portList: Ports,
  settings: ProxySettings,
): string[] {
  const { PMPROXY_PORT, PMPROXY_LOCAL, PMPROXY_MAXPENDING } = environment;
  const line = (text: string, name: string, value: string): string =>
    `Warning: ${text} from ${name}=${value} in environment`;
  const lines: string[] = [];
  if (PMPROXY_PORT !== undefined) {
    lines.push(line(`nports=${portList.all.length}`, "PMPROXY_PORT", PMPROXY_PORT));
  }
  if (PMPROXY_LOCAL !== undefined && settings.listen.localOnly) {
    lines.push(line("localhost only", "PMPROXY_LOCAL", PMPROXY_LOCAL));
  }
  if (PMPROXY_MAXPENDING !== undefined) {
    const pending = `maxpending=${settings.listen.maxPending}`;
    lines.push(line(pending, "PMPROXY_MAXPENDING", PMPROXY_MAXPENDING));
  }
  return lines;
}

const about = (severity: "warning", file: string, message: string): ConfigProblem => ({
  severity,
  file,
  line: 0,
  column: 0,
  message,
});

/** Reads everything. Throws nothing that an operator can cause. */
export function loadProxy(sources: ProxySources): LoadedProxy {
  const { options, environment } = sources;
  const conf = readPcpConf(environment);
  const run = chooseRunDirectory(conf, environment, sources.uid);
  const { given, errors, ports: portList, warnings } = gather(sources, conf, run);
  const named = lastGiven(options, "config")?.value;
  const places = {
    sysconfDirectory: conf.get("PCP_SYSCONF_DIR") ?? "/etc/pcp",
    home: environment["HOME"],
    workingDirectory: sources.workingDirectory,
  };
  const paths = configPaths(named, places);
  if (named === undefined && isAboutSeries(options)) paths.push(...configPaths("pmseries", places));
  const files = paths.map((path) => readConfigFile(path, paths.length === 1));
  const nothing = named !== undefined && files.every((file) => file.state === "missing");
  const missing = nothing ? `${paths.join(", ")}: error: no such file` : undefined;
  const overridable = SETTINGS.map(({ section, key, secret }) => ({
    section,
    key,
    secret: secret === true,
  }));
  const overrides = environmentEntries(environment, overridable);
  const read = readEntries(
    [...files.flatMap((file) => file.entries), ...overrides.entries],
    nearestName,
  );
  const settings = buildSettings(read.values, given);
  const keyProblem = keyServerProblem(settings);
  const tlsConfPath = conf.get("PCP_TLSCONF_PATH") ?? "/etc/pcp/tls.conf";
  const { tls, error, problems } = given.deprecated
    ? { tls: undefined, error: undefined, problems: [] }
    : decideTls(settings, tlsConfPath);
  return {
    settings: { ...settings, tls },
    values: read.values,
    arguments: given,
    conf,
    run,
    files,
    missing,
    tlsConfPath,
    problems: [
      ...(conf.problem === undefined ? [] : [about("warning", conf.path, conf.problem)]),
      ...warnings.map((warning) => about("warning", "environment", warning)),
      ...files.flatMap((file) => file.problems),
      ...overrides.problems,
      ...read.problems,
      ...problems,
    ],
    errors: [...errors, error, keyProblem].filter((each) => each !== undefined),
    environmentLines: environmentLines(environment, portList, settings),
    duplicatePorts: portList.duplicates,
  };
}
