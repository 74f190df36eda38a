// Agents in processes of their own, from outside (spec pmda.md 2.1, local.md 8): the hosts of compiled
// agents, daemons behind pipes, daemons behind sockets, started here or by others. Each becomes an
// Agent over the bytes that go back and forth. How one ended is told; what does not end when its
// connection is closed is killed. Refuses services that the machine does not know.
import { closeSync, readFileSync, unlinkSync } from "node:fs";
import { constants } from "node:os";
import { asPcpError, PcpError, PM_ERR, pmErrStr } from "../base/mod.ts";
import { type Agent, type AgentAddress, agentOverLink, type PipedProcess } from "../pmda/mod.ts";
import { type DsoReport, type DsoSpec, hostArgument } from "./dso-spec.ts";
import { AGENT_STATUS, type AgentEnd, type StartedAgent } from "./supervise.ts";
import type { AgentLine } from "./table-file.ts";

/** How processes are started. */
export interface ProcessSetting {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Where agents write their own messages. */
  readonly stderr: "inherit" | "ignore";
  /** Milliseconds for an answer; 0: no limit. */
  readonly requestTimeout: number;
  /** The program's name in messages of compiled agents. */
  readonly program: string;
  /** The command that becomes the process around a compiled agent. */
  readonly hostCommand: readonly string[] | undefined;
}

/** Milliseconds that a host has to load its agent, and that an agent has to end by itself. */
const LOAD_TIME = 10_000;
const END_TIME = 150;
/** Milliseconds that the process behind a socket has until it listens, and between two attempts. */
const CONNECT_TIME = 5000;
const CONNECT_PAUSE = 25;
/** Longest report of a host. */
const REPORT_BYTES = 64 * 1024;

/** What of a process matters here. */
type Child = Pick<Bun.Subprocess, "exited" | "exitCode" | "signalCode" | "kill" | "pid">;

const delay = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
  });

/** The value of a promise, or undefined when it takes longer. */
async function within<T>(promise: Promise<T>, milliseconds: number): Promise<T | undefined> {
  const late = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => late.resolve(undefined), milliseconds);
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** The end of a process, as a clause and as pmcd.agent.status has it. */
function endOf(child: Child): AgentEnd {
  const { signalCode, exitCode } = child;
  if (signalCode !== null) {
    const number = Number(
      Object.entries(constants.signals).find(([name]) => name === signalCode)?.[1],
    );
    return { reason: `killed by ${signalCode}`, status: AGENT_STATUS.EXITED | (number << 16) };
  }
  return {
    reason: `exit(${exitCode ?? 0})`,
    status: AGENT_STATUS.EXITED | ((exitCode ?? 0) << 8),
  };
}

/** Waits for the end of a process, killing it when it does not come. Returns whether it was killed. */
async function awaitEnd(child: Child): Promise<boolean> {
  if ((await within(child.exited, END_TIME)) !== undefined) return false;
  child.kill("SIGKILL");
  await child.exited;
  return true;
}

/** What is wrong with a connection, without the agent's name, which the report has already. */
const reasonOf = (name: string, { message }: PcpError): string =>
  [`agent "${name}" is gone: `, `agent "${name}": `].reduce(
    (text, head) => (text.startsWith(head) ? text.slice(head.length) : text),
    message,
  );

/** An agent whose connection and process belong together. */
function started(agent: Agent, child: Child | undefined, after: () => void): StartedAgent {
  let stopping = false;
  const watch = async (): Promise<AgentEnd> => {
    const over = await Promise.race([
      agent.ended ?? new Promise<never>(() => undefined),
      child === undefined ? new Promise<never>(() => undefined) : child.exited,
    ]);
    await agent.close?.();
    const why = over instanceof PcpError ? over : undefined;
    const ended = child !== undefined && (child.exitCode ?? child.signalCode) !== null;
    if (child !== undefined) await awaitEnd(child);
    after();
    if (ended) return endOf(child);
    // It was there to the end of its connection: what was wrong is in the connection.
    const reason = why === undefined ? "the connection is over" : reasonOf(agent.name, why);
    return { reason: stopping ? "ended" : reason, status: AGENT_STATUS.DROPPED };
  };
  const gone = watch();
  return {
    agent,
    pid: child?.pid,
    gone,
    async stop() {
      stopping = true;
      await agent.close?.();
      if (child !== undefined) await awaitEnd(child);
      await gone;
    },
  };
}

/** Starts a program; throws PcpError with the negated errno. */
function spawn<T>(command: readonly string[], start: (argv: string[]) => T): T {
  try {
    return start([...command]);
  } catch (error) {
    const { code } = asPcpError(error);
    throw new PcpError(code, `${command[0] ?? ""}: ${pmErrStr(code)}`, { cause: error });
  }
}

/** The line that a host says first; undefined when it ended without one. */
async function reportOf(fd: number): Promise<DsoReport | undefined> {
  const reader = Bun.file(fd).stream().getReader();
  let text = "";
  try {
    while (!text.includes("\n") && text.length < REPORT_BYTES) {
      const { done, value } = await reader.read();
      if (done) return undefined;
      text += Buffer.from(value).toString();
    }
    await reader.cancel();
  } finally {
    // Of these descriptors the process keeps no account.
    closeSync(fd);
  }
  return JSON.parse(text.slice(0, text.indexOf("\n"))) as DsoReport;
}

/**
 * Starts the process around a compiled agent. Rejects with PcpError PM_ERR_NOAGENT: libpcp's sentence
 * for an agent that cannot be loaded, or how the process ended.
 */
export async function startDsoHost(spec: DsoSpec, setting: ProcessSetting): Promise<StartedAgent> {
  const { hostCommand } = setting;
  if (hostCommand === undefined)
    throw new PcpError(PM_ERR.NOAGENT, "compiled agents cannot be loaded by this program");
  if (process.platform !== "linux")
    throw new PcpError(PM_ERR.NOAGENT, "compiled agents can be loaded on Linux only");
  const { env, stderr } = setting;
  const child = spawn([...hostCommand, hostArgument({ ...spec, reports: true })], (argv) =>
    Bun.spawn(argv, { env: { ...env }, stdio: ["pipe", "pipe", stderr, "pipe"] }),
  );
  const [, , , fd] = child.stdio;
  const report = typeof fd === "number" ? await within(reportOf(fd), LOAD_TIME) : undefined;
  if (report?.ok === true) {
    const agent = await open(spec.name, spec.domain, child, setting, false);
    return started(agent, child, () => undefined);
  }
  const stuck = await awaitEnd(child);
  const warning = `__pmConnectLocal: Warning: agent in DSO "${spec.path}"`;
  const how = stuck
    ? `takes more than ${LOAD_TIME / 1000} s to start`
    : `ended: ${endOf(child).reason}`;
  throw new PcpError(PM_ERR.NOAGENT, report === undefined ? `${warning} ${how}` : report.message);
}

/** The agent behind a process; one that does not greet is ended. */
async function open(
  name: string,
  domain: number,
  child: PipedProcess,
  { requestTimeout }: ProcessSetting,
  notReady: boolean,
): Promise<Agent> {
  try {
    return await agentOverLink(child, {
      name,
      domain,
      requestTimeLimit: requestTimeout,
      notready: notReady,
    });
  } catch (error) {
    const ended = (child.exitCode ?? child.signalCode) !== null;
    await awaitEnd(child);
    if (!ended) {
      const fault = asPcpError(error);
      throw new PcpError(fault.code, reasonOf(name, fault), { cause: error });
    }
    throw new PcpError(PM_ERR.NOAGENT, endOf(child).reason, { cause: error });
  }
}

/** The port of a service. Throws PcpError PM_ERR_ARG in pmcd's words. */
function portOf(address: string): number {
  if (/^\d+$/.test(address)) return Number(address);
  const lines = readFileSync("/etc/services", "utf8").split("\n");
  for (const line of lines) {
    const [name, port = "", ...aliases] = line.replace(/#.*/, "").trim().split(/\s+/);
    const number = /^(\d+)\/tcp$/.exec(port)?.[1];
    if (number !== undefined && (name === address || aliases.includes(address)))
      return Number(number);
  }
  throw new PcpError(PM_ERR.ARG, `failed to get port number for port name ${address}`);
}

type SocketKind = Extract<AgentLine["kind"], { type: "socket" }>;

const addressOf = ({ family, address }: SocketKind): AgentAddress =>
  family === "unix" ? { kind: family, path: address } : { kind: family, port: portOf(address) };

/** Connects to a daemon; one that was just started may need some time until it listens. */
async function connect(
  address: AgentAddress,
  waits: boolean,
  options: Parameters<typeof agentOverLink>[1],
): Promise<Agent> {
  const until = performance.now() + (waits ? CONNECT_TIME : 0);
  for (;;) {
    try {
      return await agentOverLink(address, options);
    } catch (error) {
      const { code, message } = asPcpError(error);
      // Somebody was there, and it is no agent.
      if (code === PM_ERR.IPC || code === PM_ERR.TIMEOUT) throw error;
      if (performance.now() >= until) {
        const why = code === PM_ERR.GENERIC ? message : pmErrStr(code);
        throw new PcpError(code, `Error connecting to agent: ${why}`, { cause: error });
      }
      await delay(CONNECT_PAUSE);
    }
  }
}

async function startSocket(
  { label, domain }: AgentLine,
  kind: SocketKind,
  setting: ProcessSetting,
): Promise<StartedAgent> {
  const starts = kind.command.length > 0;
  const { env, stderr } = setting;
  const output = stderr === "inherit" ? 2 : "ignore";
  const child = starts
    ? spawn(kind.command, (argv) =>
        Bun.spawn(argv, { env: { ...env }, stdio: ["ignore", output, stderr] }),
      )
    : undefined;
  try {
    const options = { name: label, domain, requestTimeLimit: setting.requestTimeout };
    const agent = await connect(addressOf(kind), starts, options);
    return started(agent, child, () => {
      if (starts && kind.family === "unix") removeSocket(kind.address);
    });
  } catch (error) {
    if (child !== undefined) await awaitEnd(child);
    throw error;
  }
}

/** A socket that its agent has left behind. */
function removeSocket(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (asPcpError(error).code === PM_ERR.GENERIC) throw error;
  }
}

/** Starts the agent of a line of pmcd.conf. Rejects with PcpError. */
export async function startLine(line: AgentLine, setting: ProcessSetting): Promise<StartedAgent> {
  const { kind, label, domain } = line;
  const { env, stderr } = setting;
  switch (kind.type) {
    case "dso": {
      const { program } = setting;
      return startDsoHost(
        { path: kind.path, name: kind.path, init: kind.init, domain, program },
        setting,
      );
    }
    case "pipe": {
      const child = spawn(kind.command, (argv) =>
        Bun.spawn(argv, { env: { ...env }, stdio: ["pipe", "pipe", stderr] }),
      );
      return started(
        await open(label, domain, child, setting, kind.notReady),
        child,
        () => undefined,
      );
    }
    case "socket":
      return startSocket(line, kind, setting);
    default:
      return kind satisfies never;
  }
}
