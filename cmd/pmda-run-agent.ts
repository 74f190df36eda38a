// One agent in the foreground for pmcd, as a line of pmcd.conf starts it (spec pmda.md 11): log, user,
// help files, then the connection until pmcd closes it. On a terminal, where nobody speaks PDUs, it
// says what there is to do instead.

import { existsSync, readFileSync } from "node:fs";

import { asPcpError, fdSink, PcpError, PM_ERR, pmErrStr, wholeNumber } from "../lib/base/mod.ts";
import { isGiven, lastGiven, valuesGiven } from "../lib/cli/mod.ts";
import { becomeUser, lookUpUser, readPcpConf, type SystemUser } from "../lib/daemon/mod.ts";
import {
  type Agent,
  type AgentLog,
  createAgentLog,
  type HelpTexts,
  moduleFault,
  type NameLookup,
  openAgent,
  openAgentLog,
  readHelp,
  type RunningAgent,
  serveAgent,
  sourceHelp,
  type Transport,
} from "../lib/pmda/mod.ts";
import type { Pmid } from "../lib/pcp/mod.ts";
import type { PmdaRunOptions } from "./options/pmda-run.ts";
import { complain } from "./output.ts";
import { agentEnvironment, type AgentSource } from "./pmda-run-source.ts";
import { isTerminal } from "./terminal.ts";
import type { CommandLine } from "./verb.ts";

/** Agents that give up root as PCP's do, without being told. */
const UNPRIVILEGED: readonly string[] = ["simple", "trivial", "txmon", "sample"];
const SIGNALS = ["SIGINT", "SIGTERM"] as const;

type Line = CommandLine<PmdaRunOptions>;

/** Ends the start with a line that is already written. */
class Told extends Error {}

function openLog(name: string, { options }: Line): AgentLog {
  const program = `pmda${name}`;
  const debug = valuesGiven(options, "debug").flat().includes("libpmda");
  const path = lastGiven(options, "log")?.value ?? `${name}.log`;
  if (path === "-") return createAgentLog(fdSink(2), { program, debug });
  try {
    return openAgentLog(path, { program, debug });
  } catch (error) {
    complain(`${asPcpError(error).message}\n`);
    return createAgentLog(fdSink(2), { program, debug });
  }
}

/** A port by number, or by name as PCP's programs look it up: with its bytes swapped, as they do. */
function portOf(text: string, log: AgentLog): number {
  const number = wholeNumber(text);
  if (number !== undefined) return number & 0xffff;
  let services = "";
  try {
    services = readFileSync("/etc/services", "utf8");
  } catch (error) {
    log.write("Warning", `/etc/services: ${asPcpError(error).message}`);
  }
  for (const line of services.split("\n")) {
    const [name, port = "", ...aliases] = line.replace(/#.*/, "").trim().split(/\s+/);
    const found = /^(\d+)\/tcp$/.exec(port)?.[1];
    if (found === undefined || (name !== text && !aliases.includes(text))) continue;
    const value = Number(found);
    return ((value & 0xff) << 8) | (value >> 8);
  }
  log.write("Critical", `__pmdaOpenSocket: getservbyname(${text}): unknown service`);
  throw new Told();
}

function transportOf({ options }: Line, log: AgentLog): Transport {
  const given = lastGiven(options, "inet", "pipe", "unix", "ipv6");
  switch (given?.option) {
    case "inet":
    case "ipv6":
      return { kind: given.option, port: portOf(given.value, log) };
    case "unix": {
      const owner = lookUpUser(readPcpConf(process.env).get("PCP_USER") ?? "pcp");
      const path = given.value;
      return owner === undefined || process.getuid?.() !== 0
        ? { kind: "unix", path }
        : { kind: "unix", path, owner };
    }
    default:
      return { kind: "pipe" };
  }
}

/** The user to become, if any; one that was asked for has to be there. */
function wantedUser(name: string, { options }: Line, log: AgentLog): SystemUser | undefined {
  const asked = lastGiven(options, "username")?.value;
  const isRoot = process.getuid?.() === 0;
  if (asked === undefined) {
    if (!isRoot || !UNPRIVILEGED.includes(name)) return undefined;
    return lookUpUser(readPcpConf(process.env).get("PCP_USER") ?? "pcp");
  }
  const user = lookUpUser(asked);
  if (user === undefined) {
    log.write("Critical", `cannot find the ${asked} user to switch to`);
    throw new Told();
  }
  // Nobody but root can change; who is that user already need not.
  return isRoot || user.uid !== process.getuid?.() ? user : undefined;
}

function changeUser(name: string, line: Line, log: AgentLog): void {
  const user = wantedUser(name, line, log);
  if (user === undefined) return;
  try {
    becomeUser(user);
  } catch (error) {
    log.write("Critical", `cannot switch to user ${user.name}: ${asPcpError(error).message}`);
    throw new Told();
  }
}

/** Help of the command line: FILE.dir and FILE.pag, or FILE itself as the source of such files. */
function helpTexts(
  source: AgentSource,
  line: Line,
  log: AgentLog,
  lookup: NameLookup,
): HelpTexts | undefined {
  const base = lastGiven(line.options, "helpfile")?.value;
  if (base === undefined) return undefined;
  try {
    if (existsSync(`${base}.dir`) || !existsSync(base)) return readHelp(base);
    const file = { file: base, bytes: readFileSync(base) };
    return sourceHelp(file, domainOf(source, line), lookup, ({ text }) =>
      log.write("Warning", text),
    );
  } catch (error) {
    const reason = pmErrStr(asPcpError(error).code);
    log.write(
      "Warning",
      `pmdaInit: PMDA pmda${source.name}: Unable to open help text file(s) from "${base}": ${reason}`,
    );
    return undefined;
  }
}

/** Highest domain of an agent; 511 is for names alone. */
const MAX_DOMAIN = 510;

/** The domain of the command line, or the agent's own. Throws PcpError when there is neither. */
export function domainOf(source: AgentSource, { options }: Line): number {
  const given = lastGiven(options, "domain")?.value;
  const domain = given ?? (source.kind === "dso" ? undefined : source.domain);
  if (domain !== undefined && domain > MAX_DOMAIN)
    throw new PcpError(PM_ERR.GENERIC, `domain ${domain} of ${source.name} is above ${MAX_DOMAIN}`);
  if (domain !== undefined) return domain;
  throw new PcpError(PM_ERR.GENERIC, `${source.name} names no domain: -d NUM is needed`);
}

/** What a socket that cannot be had is said to be. */
function listenFault(transport: Transport, error: PcpError): string {
  switch (transport.kind) {
    case "inet":
    case "ipv6":
      return `__pmdaOpenSocket(${transport.kind},${transport.port}): bind: ${error.message}`;
    case "unix":
      return `__pmdaOpenUnix(${transport.path}): bind() failed: ${error.message}`;
    default:
      return error.message;
  }
}

/** Serves until pmcd closes the connection or a signal comes; the signal is given back. */
async function serve(
  agent: Agent,
  transport: Transport,
  log: AgentLog,
  notready: boolean,
  stop: AbortController,
): Promise<NodeJS.Signals | undefined> {
  let caught: NodeJS.Signals | undefined;
  const catcher = (signal: NodeJS.Signals): void => {
    caught ??= signal;
    stop.abort();
  };
  for (const signal of SIGNALS) process.on(signal, catcher);
  let listening = false;
  try {
    const onListening = (): void => {
      listening = true;
    };
    await serveAgent(agent, {
      transport,
      log: log.write,
      notready,
      signal: stop.signal,
      onListening,
    });
  } catch (error) {
    // What breaks later is in the log already.
    if (!listening) log.write("Critical", listenFault(transport, asPcpError(error)));
    throw new Told();
  } finally {
    for (const signal of SIGNALS) process.off(signal, catcher);
    await agent.close?.();
  }
  return caught;
}

/** The agent that a command line means, ready to be asked. */
async function openSource(
  source: AgentSource,
  line: Line,
  log: AgentLog,
  help: HelpTexts | undefined,
  stop: AbortController,
): Promise<Agent> {
  const domain = domainOf(source, line);
  if (source.kind === "dso") {
    const { dsoAgent } = await import("./pmda-run-dso.ts");
    return dsoAgent(source, domain, log.write);
  }
  return openAgent(source.factory, {
    domain,
    args: line.operands,
    env: agentEnvironment(),
    log: log.write,
    debug: valuesGiven(line.options, "debug").flat().includes("libpmda"),
    end: () => stop.abort(),
    ...(help !== undefined && { help }),
  });
}

async function runLogged(
  source: AgentSource,
  line: Line,
  log: AgentLog,
): Promise<NodeJS.Signals | undefined> {
  const transport = transportOf(line, log);
  // Names are looked up when the first text is asked for: the agent is there then.
  let names: readonly { readonly name: string; readonly pmid: Pmid }[] = [];
  const help = helpTexts(source, line, log, (wanted) => {
    const found = names.find(({ name }) => name === wanted);
    if (found === undefined) throw new PcpError(PM_ERR.NAME);
    return found.pmid;
  });
  changeUser(source.name, line, log);
  const stop = new AbortController();
  let agent: Agent;
  try {
    agent = await openSource(source, line, log, help, stop);
    if ("leaves" in agent) names = (agent as RunningAgent).leaves;
  } catch (error) {
    log.write("Critical", asPcpError(error).message);
    throw new Told();
  }
  return serve(agent, transport, log, isGiven(line.options, "notready"), stop);
}

/**
 * What fails outside of every request, in a timer or a promise of the agent's author, is a line in the
 * log: the agent goes on answering.
 */
function surviveStrays(source: AgentSource, log: AgentLog): void {
  const path = source.kind === "module" ? source.word : `pmda${source.name}`;
  const stray = (error: unknown): void => log.write("Error", moduleFault(path, error));
  process.on("uncaughtException", stray);
  process.on("unhandledRejection", stray);
}

/** Whether PDUs would go to a terminal. */
const talksToTerminal = ({ options }: Line): boolean =>
  isTerminal("stdout") && lastGiven(options, "inet", "unix", "ipv6") === undefined;

/** Runs an agent until pmcd has closed the connection. Returns the exit status. */
export async function runAgent(source: AgentSource, line: Line): Promise<number> {
  const { name } = source;
  if (talksToTerminal(line)) {
    complain(
      `pmda${name}: standard output is a terminal, and pmcd is not there: use --check to ask the agent, --install for pmcd\n`,
    );
    return 1;
  }
  // Before there is a log: what a missing domain means belongs to who typed it.
  domainOf(source, line);
  const log = openLog(name, line);
  surviveStrays(source, log);
  let caught: NodeJS.Signals | undefined;
  let status = 0;
  try {
    caught = await runLogged(source, line, log);
  } catch (error) {
    if (!(error instanceof Told)) throw error;
    status = 1;
  } finally {
    log.close();
  }
  if (caught !== undefined) process.kill(process.pid, caught);
  // Timers of the agent's author would keep the process.
  process.exit(status);
}
