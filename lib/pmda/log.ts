// The log of an agent as PCP's agents have it (pmdaOpenLog, pmNotifyErr; spec pmda.md 11.3): the file,
// which takes the place of stderr, its first and last line, and the form of a message. A message is
// kept to one line, and one that repeats itself is counted in place of filling the disk.
import { closeSync, openSync, renameSync, rmSync } from "node:fs";
import { hostname } from "node:os";
import {
  asPcpError,
  ctime,
  ctimeShort,
  fdSink,
  type LogSink,
  oneLine,
  PcpError,
  replaceDescriptor,
} from "../base/mod.ts";
import type { AgentSetting } from "./define.ts";

/** A log that is open. */
export interface AgentLog {
  readonly write: AgentSetting["log"];
  /** Writes what is still counted, and the last line of a file. */
  close(): void;
}

/** How a log is written. */
export interface AgentLogOptions {
  /** `pmdasimple`. */
  readonly program: string;
  readonly pid?: number;
  /** Writes lines of level Debug too. */
  readonly debug?: boolean;
  readonly now?: () => Date;
}

/** So many equal messages are written within so many milliseconds; more are counted. */
const REPEATS = 10;
const WINDOW = 60_000;
/** Most messages that are remembered. */
const REMEMBERED = 256;

interface Repeated {
  since: number;
  count: number;
}

/** A log to a sink; without the lines that begin and end a file. */
export function createAgentLog(sink: LogSink, options: AgentLogOptions): AgentLog {
  const { program, pid = process.pid, debug = false, now = () => new Date() } = options;
  const seen = new Map<string, Repeated>();
  type Level = Parameters<AgentSetting["log"]>[0];

  const line = (level: Level, text: string): void => {
    sink.write(`[${ctimeShort(now())}] ${program}(${pid}) ${level}: ${oneLine(text)}\n`);
  };
  const tellCount = (text: string, { count }: Repeated): void => {
    if (count > REPEATS) line("Info", `${count - REPEATS} times more: ${text}`);
  };
  /** Whether this message is one too many. */
  const repeated = (text: string): boolean => {
    const at = now().getTime();
    const known = seen.get(text);
    if (known !== undefined && at - known.since < WINDOW) {
      known.count += 1;
      return known.count > REPEATS;
    }
    if (known !== undefined) tellCount(text, known);
    const [oldest] = seen;
    if (oldest !== undefined && known === undefined && seen.size >= REMEMBERED) {
      tellCount(...oldest);
      seen.delete(oldest[0]);
    }
    seen.set(text, { since: at, count: 1 });
    return false;
  };
  return {
    write(level, text) {
      if (level === "Debug" && !debug) return;
      if (!repeated(text)) line(level, text);
    },
    close() {
      for (const entry of seen) tellCount(...entry);
      seen.clear();
    },
  };
}

const ENOENT = -2;

/** `NAME.prev` gives way to NAME, if there is one. */
function keepPrevious(path: string): void {
  rmSync(`${path}.prev`, { force: true });
  try {
    renameSync(path, `${path}.prev`);
  } catch (error) {
    if (asPcpError(error).code !== ENOENT) throw error;
  }
}

/**
 * Opens the log file of an agent: what was there becomes `PATH.prev`, the file becomes descriptor 2,
 * and its first lines are written. Throws PcpError with the sentence that PCP's agents print when
 * the file cannot be opened; the agent goes on with the stderr that it has.
 */
export function openAgentLog(path: string, options: AgentLogOptions): AgentLog {
  const { program, now = () => new Date() } = options;
  let fd: number;
  try {
    keepPrevious(path);
    fd = openSync(path, "w", 0o644);
    replaceDescriptor(fd, 2);
    closeSync(fd);
  } catch (cause) {
    const { code } = asPcpError(cause);
    throw new PcpError(
      code,
      `${program}: cannot open log "${path}" for writing : ${new PcpError(code).message}`,
      { cause },
    );
  }
  const sink = fdSink(2);
  sink.write(`Log for ${program} on ${hostname()} started ${ctime(now())}\n\n`);
  const log = createAgentLog(sink, options);
  return {
    write: log.write,
    close() {
      log.close();
      sink.write(`\nLog finished ${ctime(now())}\n`);
    },
  };
}
