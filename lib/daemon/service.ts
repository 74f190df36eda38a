// What the service script of pmproxy does (spec proxy.md 8), for `start`, `stop`, `restart`, `status`
// and `reload`: its two files, who is running, and how to end that one. Unlike the script it acts on
// its own pid file only, and never signals a process that is not a pmproxy.

import { readFileSync, readlinkSync } from "node:fs";
import { basename } from "node:path";
import { PcpError, PM_ERR } from "../base/mod.ts";
import { readPidFile } from "./daemon.ts";

/**
 * The command line in pmproxy.options: words of the lines that begin with `-`, without `-f`. There
 * are no quotes.
 */
export const parseOptionsFile = (text: string): string[] =>
  text
    .split("\n")
    .filter((line) => line.startsWith("-"))
    .flatMap((line) => line.split(/\s+/))
    .filter((word) => word !== "" && word !== "-f");

/**
 * The environment file: lines that begin with `PMPROXY`, as NAME=value. Words after a blank are lost,
 * as with the script; quotes around the value are taken off, which the script does not do.
 */
export function parseEnvironmentFile(text: string): Record<string, string> {
  const variables: Record<string, string> = {};
  for (const line of text.split("\n")) {
    const match = /^(PMPROXY[A-Z0-9_]*)=("[^"]*"|'[^']*'|\S*)/.exec(line);
    if (match?.[1] === undefined) continue;
    const value = match[2] ?? "";
    variables[match[1]] = /^["']/.test(value) ? value.slice(1, -1) : value;
  }
  return variables;
}

/** Text of a file, or undefined when there is none. Throws a PcpError naming one that cannot be read. */
export function optionalText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
    if (code === "ENOENT" || code === "ENOTDIR" || code === "ESRCH") return undefined;
    throw new PcpError(PM_ERR.GENERIC, `${path}: cannot be read: ${code}`, { cause: error });
  }
}

/**
 * Whether a process lives; one that is not ours to signal lives too. One that has ended and only waits
 * for its parent is gone: the first process of a container may take long to look after it.
 */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
  if (process.platform !== "linux") return true;
  const state = /\) ([A-Z])/.exec(optionalText(`/proc/${pid}/stat`) ?? "")?.[1];
  return state !== undefined && state !== "Z" && state !== "X";
}

/** A look at a process; "unknown" where the system does not tell. */
function describeProcess(pid: number): { name: string; command: readonly string[]; file: string } {
  const read = (name: string): string => optionalText(`/proc/${pid}/${name}`) ?? "";
  if (process.platform === "linux") {
    let file = "";
    try {
      file = readlinkSync(`/proc/${pid}/exe`);
    } catch {
      // Another user's process: its name has to do.
      file = "";
    }
    return {
      name: read("comm").trim(),
      command: read("cmdline").split("\0"),
      file: file.replace(/ \(deleted\)$/, ""),
    };
  }
  const { stdout } = Bun.spawnSync(["ps", "-o", "command=", "-p", `${pid}`]);
  const command = stdout.toString().trim().split(/\s+/);
  return { name: basename(command[0] ?? ""), command, file: "" };
}

/** Whether a process is a pmproxy: by its name, or as this executable running the verb `proxy`. */
export function isPmproxy(pid: number, execPath: string): boolean {
  const { name, command, file } = describeProcess(pid);
  const called = basename(command[0] ?? "");
  if (name === "pmproxy" || called === "pmproxy") return true;
  return (file === execPath || called === basename(execPath)) && command.includes("proxy");
}

/** Who runs, by the pid file. */
export type ServiceState =
  | { readonly state: "running"; readonly pid: number }
  /** The pid file is there, its process is not, or is another program. */
  | { readonly state: "dead" }
  | { readonly state: "stopped" };

/** Looks at the pid file and its process. Throws when the file cannot be read. */
export function serviceState(pidFile: string, execPath: string): ServiceState {
  const pid = readPidFile(pidFile);
  if (pid === undefined) return { state: "stopped" };
  return isAlive(pid) && isPmproxy(pid, execPath) ? { state: "running", pid } : { state: "dead" };
}

/** Exit statuses of LSB's `status` action. */
export const LSB_STATUS = { running: 0, dead: 1, stopped: 3, unknown: 4 } as const;
/** LSB's "not running", for actions that need a running service. */
export const LSB_NOT_RUNNING = 7;

/** How long the script waits before it forces, how often it looks, how often it prints a dot. */
const STOP_MS = 15_000;
const LOOK_MS = 100;
const DOT_MS = 3_000;
const FORCED_MS = 3_000;

/**
 * Ends a process: SIGTERM, 15 seconds of patience with a dot every three, then SIGKILL. `say` gets
 * the script's texts. True when it is gone.
 */
export async function stopProcess(pid: number, say: (text: string) => void): Promise<boolean> {
  const gone = async (within: number): Promise<boolean> => {
    for (let waited = 0; waited < within; waited += LOOK_MS) {
      if (!isAlive(pid)) return true;
      await Bun.sleep(LOOK_MS);
      if ((waited + LOOK_MS) % DOT_MS === 0) say(".");
    }
    return !isAlive(pid);
  };
  const signal = (name: "SIGTERM" | "SIGKILL"): void => {
    if (isAlive(pid)) process.kill(pid, name);
  };
  signal("SIGTERM");
  if (await gone(STOP_MS)) return true;
  say(`\nProcess ...\n${pid} ${describeProcess(pid).command.join(" ").trim()}\n`);
  say("pmproxy: Warning: Forcing pmproxy to terminate!\n");
  signal("SIGKILL");
  if (await gone(FORCED_MS)) return true;
  say("pmproxy: Warning: pmproxy won't die!\n");
  return false;
}
