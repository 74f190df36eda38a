// `pcpbox pmda-run --listen`: a collector in the foreground. Puts together which agents there are, from
// the command line, agents.toml or pmcd.conf, and where to listen; then lives until a signal ends it.

import { existsSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";

import {
  asPcpError,
  createLog,
  fdSink,
  type Log,
  PcpError,
  PM_ERR,
  PMCD_PORT,
  pmErrStr,
  wholeNumber,
} from "../lib/base/mod.ts";
import { isGiven, lastGiven, valuesGiven } from "../lib/cli/mod.ts";
import {
  type AgentSpec,
  type CollectorTable,
  parseAccess,
  parseAgentsToml,
  parsePmcdConf,
  startCollector,
} from "../lib/collector/mod.ts";
import {
  readPcpConf,
  readyState,
  reloadingState,
  sdNotify,
  stoppingState,
} from "../lib/daemon/mod.ts";
import { parseTlsConf } from "../lib/pdu/mod.ts";
import { isModulePath, loadAuthorModule } from "../lib/pmda/mod.ts";
import { buildInfo } from "./build-info.ts";
import type { ListenGiven } from "./options/pmda-listen.ts";
import { complain } from "./output.ts";
import { hostCommand } from "./self.ts";
import type { CommandLine } from "./verb.ts";

type Line = CommandLine<ListenGiven>;

/** What a machine tells of itself when nothing else is said. */
const USUAL = ["proc", "linux", "mmv"] as const;
const USUAL_TABLE = "/etc/pcpbox/agents.toml";
/** The release of PCP whose protocol and metrics these are. */
const PCP_VERSION = "7.2.1";
const MS = 1000;

const read = (path: string): string => {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const { code } = asPcpError(error);
    throw new PcpError(code, `${path}: ${pmErrStr(code)}`, { cause: error });
  }
};

/** Agents that the command line names. */
async function namedAgents(words: readonly string[]): Promise<AgentSpec[]> {
  const found: AgentSpec[] = [];
  for (const word of words) {
    if (!isModulePath(word)) {
      const name = word.replace(/^pmda(?=.)/, "");
      found.push({ label: name, domain: undefined, kind: { type: "builtin", name, args: [] } });
      continue;
    }
    const { name, domain, path } = await loadAuthorModule(word);
    if (domain === undefined)
      throw new PcpError(PM_ERR.GENERIC, `${path}: says no domain; agents.toml can`);
    found.push({ label: name, domain, kind: { type: "module", path, args: [] } });
  }
  return found;
}

/** The domains of modules that leave it to the table. */
async function withDomains(agents: readonly AgentSpec[]): Promise<AgentSpec[]> {
  const found: AgentSpec[] = [];
  for (const agent of agents) {
    const { kind } = agent;
    if (agent.domain !== undefined || kind.type !== "module") found.push(agent);
    else found.push({ ...agent, domain: (await loadAuthorModule(kind.path)).domain });
  }
  return found;
}

function pmcdTable(path: string): CollectorTable {
  const { agents, access, problems } = parsePmcdConf(read(path));
  if (problems.length > 0) throw new PcpError(PM_ERR.GENERIC, problems.join("\n"));
  const more = `${path}.access`;
  return {
    // pmcd's own agent lives in pmcd: here it is the collector's.
    agents: agents.filter(({ domain }) => domain !== 2),
    rules: [
      ...(access === undefined ? [] : parseAccess(access.text, path, access.firstLine)),
      ...(existsSync(more) ? parseAccess(read(more), more) : []),
    ],
  };
}

async function tomlTable(path: string): Promise<CollectorTable & { timeout: number | undefined }> {
  const { agents, access, timeout } = parseAgentsToml(read(path), path);
  return {
    agents: await withDomains(agents),
    rules: access === undefined ? [] : parseAccess(access, `${path} access`),
    timeout,
  };
}

/** Which table is meant, and how it is read. */
function tableOf(
  { options }: Line,
  words: readonly string[],
): {
  from: string;
  needsNames: boolean;
  read: () => Promise<CollectorTable & { timeout?: number | undefined }>;
} {
  const config = lastGiven(options, "config")?.value;
  if (config !== undefined)
    return { from: config, needsNames: true, read: async () => pmcdTable(config) };
  const toml =
    lastGiven(options, "agents")?.value ??
    (words.length === 0 && existsSync(USUAL_TABLE) ? USUAL_TABLE : undefined);
  if (toml !== undefined)
    return {
      from: toml,
      needsNames: true,
      async read() {
        const table = await tomlTable(toml);
        return { ...table, agents: [...table.agents, ...(await namedAgents(words))] };
      },
    };
  const named = words.length === 0 ? USUAL : words;
  return {
    from: named.join(", "),
    needsNames: false,
    read: async () => ({ agents: await namedAgents(named), rules: [] }),
  };
}

/** Certificates of tls.conf; undefined where none are configured. */
function tlsOf({ options }: Line, variable: (name: string) => string | undefined) {
  const given = lastGiven(options, "tlsConf")?.value;
  const path = given ?? variable("PCP_TLSCONF_PATH") ?? "/etc/pcp/tls.conf";
  const needsCertificate = isGiven(options, "certificate");
  const values =
    given === undefined && !existsSync(path)
      ? new Map<string, string>()
      : parseTlsConf(read(path)).values;
  const [cert, key] = [values.get("tls-cert-file"), values.get("tls-key-file")];
  if (cert === undefined || key === undefined) {
    if (needsCertificate || given !== undefined)
      throw new PcpError(PM_ERR.TLS, `${path}: tls-cert-file and tls-key-file are wanted`);
    return undefined;
  }
  const authority = values.get("tls-ca-cert-file");
  return {
    cert: read(cert),
    key: read(key),
    ca: authority === undefined ? undefined : read(authority),
    needsCertificate,
  };
}

/** Ports: options, then PMCD_PORT, then pmcd's. */
function portsOf({ options }: Line, first: number | undefined, log: Log): readonly number[] {
  const given = valuesGiven(options, "port").flat();
  if (first !== undefined) given.unshift(first);
  if (given.length > 0) return given;
  const list = process.env["PMCD_PORT"] ?? "";
  if (list === "") return [PMCD_PORT];
  const good: number[] = [];
  for (const part of list.split(",")) {
    const port = wholeNumber(part.trim());
    if (port !== undefined && port > 0 && port <= 65535) good.push(port);
    else log.warning(`PMCD_PORT: "${part}" is no port number`);
  }
  return good.length === 0 ? [PMCD_PORT] : good;
}

/** The unix socket: named, or pmcd's own where its directory is. */
function socketOf({ options }: Line, variable: (name: string) => string | undefined) {
  const given = lastGiven(options, "socket")?.value;
  if (given === "none" || given === "") return undefined;
  if (given !== undefined) return given;
  const folder = variable("PCP_RUN_DIR") ?? "/run/pcp";
  const path = process.env["PMCD_SOCKET"] ?? join(folder, "pmcd.socket");
  return existsSync(dirname(path)) ? path : undefined;
}

const LEVELS = { Info: "info", Warning: "warning", Error: "error" } as const;

/**
 * What fails outside of every request, in a timer or a promise of a module's author, is a line in the
 * log: the others go on answering.
 */
function surviveStrays(log: Log): void {
  const stray = (error: unknown): void => {
    const { stack, message } = error instanceof Error ? error : new Error(String(error));
    const place = /\n\s*at [^\n]*?([^\s()]+:\d+:\d+)/.exec(stack ?? "")?.[1];
    log.error(`${place === undefined ? "" : `${place}: `}${message}`);
  };
  process.on("uncaughtException", stray);
  process.on("unhandledRejection", stray);
}

/** Runs a collector until a signal; returns the exit status. */
export async function listen(line: Line): Promise<number> {
  const { options, operands } = line;
  const first = wholeNumber(operands[0] ?? "");
  const words = first === undefined ? operands : operands.slice(1);
  const { get: variable } = readPcpConf(process.env);
  const json = isGiven(options, "json");
  const log = createLog({ program: "pmcd", sink: fdSink(2), format: json ? "json" : "pcp" });
  const table = tableOf(line, words);
  const local = isGiven(options, "localOnly") || process.env["PMCD_LOCAL"] === "1";
  const addresses = valuesGiven(options, "interface");
  const interfaces = local ? ["127.0.0.1", "::1"] : addresses.length > 0 ? addresses : undefined;
  const names = lastGiven(options, "namespace")?.value ?? process.env["PMNS_DEFAULT"];
  const usualNames = join(variable("PCP_VAR_DIR") ?? "/var/lib/pcp", "pmns/root");
  try {
    const { timeout } = await table.read();
    const seconds = lastGiven(options, "timeout")?.value ?? timeout;
    const tls = tlsOf(line, variable);
    const maxClients = lastGiven(options, "maxClients")?.value;
    const socketPath = socketOf(line, variable);
    surviveStrays(log);
    const collector = await startCollector({
      env: process.env,
      variable,
      hostCommand: hostCommand(),
      table: table.read,
      names: names ?? (table.needsNames && existsSync(usualNames) ? usualNames : undefined),
      loadModule: async (path) => (await loadAuthorModule(path)).factory,
      ports: portsOf(line, first, log),
      socketPath,
      ...(interfaces === undefined ? {} : { interfaces }),
      ...(tls === undefined ? {} : { tls }),
      ...(maxClients === undefined ? {} : { maxClients }),
      ...(seconds === undefined ? {} : { requestTimeout: seconds * MS }),
      version: PCP_VERSION,
      build: `pcpbox-${buildInfo.version}`,
      log: (level, text) => log.write(LEVELS[level], text),
    });
    const { registry: found } = collector;
    const agents = found.entries.filter(({ agent }) => agent !== undefined);
    const places = [
      ...collector.server.ports.map((port) => `port ${port}`),
      ...[socketPath ?? []].flat(),
    ];
    log.info(`agents of ${table.from}: ${agents.map(({ name }) => basename(name)).join(", ")}`);
    log.info(`listening on ${places.join(", ")}${tls === undefined ? "" : ", TLS on request"}`);
    const [port = PMCD_PORT] = collector.server.ports;
    log.info(`try: pminfo -h localhost${port === PMCD_PORT ? "" : `:${port}`} -t`);
    sdNotify(readyState());
    await untilStopped(async () => {
      sdNotify(reloadingState());
      try {
        await collector.reload();
        log.info(`agents of ${table.from} read again`);
      } catch (error) {
        log.error(`the table was not read again: ${asPcpError(error).message}`);
      }
      sdNotify(readyState());
    });
    sdNotify(stoppingState());
    await collector.stop();
    return 0;
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
    for (const sentence of error.message.split("\n"))
      complain(`pcpbox pmda-run --listen: ${sentence}\n`);
    return 1;
  }
}

/** Waits for SIGTERM or SIGINT; SIGHUP means the table. */
function untilStopped(reload: () => Promise<void>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve());
  process.on("SIGHUP", () => void reload());
  return promise;
}
