// The life of a daemon as PCP's daemons live it (spec proxy.md 4, 5): log file with its header and
// end, pid file, the user to run as, and going to the background with a true verdict: the process
// that was typed waits until the one in the background says that it serves, or why not. Refuses to
// touch a pid file that is another's. Nothing here ends the process.

import { spawn } from "node:child_process";
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  lstatSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { basename, delimiter, join, resolve } from "node:path";
import { ctime, PcpError, PM_ERR, pmErrStr } from "../base/mod.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** The system's words for an error of the system, as strerror(3) has them. */
const messageOf = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error);
  const errno = "errno" in error && typeof error.errno === "number" ? error.errno : 0;
  return errno < 0 && errno > -4096 ? pmErrStr(errno) : error.message;
};

// --- log file ---

/** `Log for pmproxy on HOST started CTIME` and an empty line. */
export const logHeader = (program: string, host: string, at: Date): string =>
  `Log for ${program} on ${host} started ${ctime(at)}\n\n`;

/** An empty line and `Log finished CTIME`. */
export const logFooter = (at: Date): string => `\nLog finished ${ctime(at)}\n`;

/** `pmproxy: PID = …`; `user` is the configured name, `uid` the real number. */
export const pidLine = (program: string, pid: number, user: string, uid: number): string =>
  `${program}: PID = ${pid}, PDU version = 2, user = ${user} (${uid})\n`;

/** One row of the port table, as the server reports it. */
export interface TableRow {
  readonly ok: boolean;
  readonly fd: number;
  readonly port: number | undefined;
  readonly family: string;
  readonly address: string;
}

/** `pmproxy request port(s):`, the head and a line for each row (spec proxy.md 5.1). */
export function portTable(program: string, rows: readonly TableRow[]): string {
  const lines = rows.map(({ ok, fd, port, family, address }) => {
    const numbers = `${`${fd}`.padStart(4)} ${`${port ?? ""}`.padStart(5)}`;
    return `  ${ok ? "ok " : "err"} ${numbers} ${family.padEnd(6)} ${address}`;
  });
  return [
    `${program} request port(s):`,
    "  sts fd   port  family address",
    "  === ==== ===== ====== =======",
    ...lines,
    "",
  ].join("\n");
}

/** With -Dappl1 the pid stands before the last dot of the log's name. */
export function logNameWithPid(path: string, pid: number): string {
  const dot = path.lastIndexOf(".");
  return dot <= path.lastIndexOf("/")
    ? `${path}.${pid}`
    : `${path.slice(0, dot)}.${pid}${path.slice(dot)}`;
}

/** An open log; `path` undefined: standard error, with the reason when a file was wanted. */
export interface OpenLog {
  readonly fd: number;
  readonly path: string | undefined;
  readonly problem: string | undefined;
}

/**
 * Opens a log file, the previous one renamed to `PATH.prev`; `-` is standard error. A file that
 * cannot be opened is not fatal: PCP's words are in `problem` and standard error takes its place.
 */
export function openLogFile(program: string, name: string): OpenLog {
  if (name === "-") return { fd: 2, path: undefined, problem: undefined };
  const path = resolve(name);
  try {
    // A link, such as /dev/stdout, is written to and never moved, whatever it leads to.
    if (lstatSync(path, { throwIfNoEntry: false })?.isFile() === true) {
      renameSync(path, `${path}.prev`);
    }
    return { fd: openSync(path, "a", 0o644), path, problem: undefined };
  } catch (error) {
    const reason = messageOf(error);
    const problem = `${program}: cannot open log "${name}" for writing : ${reason}`;
    return { fd: 2, path: undefined, problem };
  }
}

/**
 * The file of `-x` after a failed start: a note and the log so far (spec proxy.md 2.3). A file that
 * cannot be opened is passed over, as PCP does: there may be no terminal.
 */
export function reportFailure(program: string, file: string, logPath: string | undefined): void {
  if (logPath === undefined) return;
  const note = `NOTE: ${program} not started due to errors!  Log file "${logPath}"`;
  let text: string;
  try {
    text = `${note} contains ...\n${readFileSync(logPath, "utf8")}`;
  } catch {
    text = `${note} has vanished!\n`;
  }
  try {
    writeFileSync(file, text);
  } catch {
    // As in PCP: there may be no terminal, and the log has it all.
    return;
  }
}

// --- pid file ---

/** Writes the number without newline, mode 0444, in place of an old file. Throws PCP's sentence. */
export function writePidFile(path: string, pid: number): void {
  try {
    rmSync(path, { force: true });
    writeFileSync(path, `${pid}`, { mode: 0o444, flag: "wx" });
  } catch (error) {
    throw new PcpError(PM_ERR.GENERIC, `cannot open PID file ${path}`, { cause: error });
  }
}

/** The number in a pid file; undefined when there is none or no number in it. */
export function readPidFile(path: string): number | undefined {
  let text: string;
  try {
    text = readFileSync(path, "latin1").trim();
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw new PcpError(PM_ERR.GENERIC, `cannot read PID file ${path}: ${messageOf(error)}`);
  }
  return /^[1-9]\d{0,9}$/.test(text) ? Number(text) : undefined;
}

/** Removes a pid file if it holds `pid`; says why when it cannot. */
export function removePidFile(path: string, pid: number): string | undefined {
  try {
    if (readPidFile(path) === pid) rmSync(path, { force: true });
    return undefined;
  } catch (error) {
    return `cannot remove PID file ${path}: ${messageOf(error)}`;
  }
}

// --- user ---

/** A line of the user database. */
export interface SystemUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/** Looks a user up in text of the form of /etc/passwd. */
export function findUser(passwd: string, name: string): SystemUser | undefined {
  for (const line of passwd.split("\n")) {
    const [user, , uid = "", gid = ""] = line.split(":");
    if (user === name && /^\d+$/.test(uid) && /^\d+$/.test(gid)) {
      return { name, uid: Number(uid), gid: Number(gid) };
    }
  }
  return undefined;
}

/** Looks a user up on this machine: /etc/passwd, then what `getent` knows (directories). */
export function lookUpUser(name: string): SystemUser | undefined {
  if (name === "" || /[:\n\0]/.test(name)) return undefined;
  const local = existsSync("/etc/passwd") ? readFileSync("/etc/passwd", "utf8") : "";
  const found = findUser(local, name);
  if (found !== undefined || Bun.which("getent") === null) return found;
  const { stdout } = Bun.spawnSync(["getent", "passwd", "--", name]);
  return findUser(stdout.toString(), name);
}

/**
 * Becomes the user for good, supplementary groups included. Only root can; throws the system's error
 * when it is not allowed, and a PcpError where there are no such users.
 */
export function becomeUser(user: SystemUser): void {
  // Bun has initgroups, its types do not.
  const { initgroups, setgid, setuid }: Partial<UserCalls> = process;
  if (initgroups === undefined || setgid === undefined || setuid === undefined) {
    throw new PcpError(PM_ERR.GENERIC, `cannot become user ${user.name} on this system`);
  }
  initgroups(user.name, user.gid);
  setgid(user.gid);
  setuid(user.uid);
}

interface UserCalls {
  initgroups(user: string, group: number): void;
  setgid(group: number): void;
  setuid(user: number): void;
}

/**
 * Runs `work` as the owner of `path`, where this process is root: what it makes is theirs, and links that
 * they have put there lead to nothing that they could not write themselves. Throws what `work` throws.
 */
export function asOwnerOf<T>(path: string, work: () => T): T {
  const { geteuid, seteuid, setegid } = process;
  const owner = statSync(path, { throwIfNoEntry: false });
  if (geteuid?.() !== 0 || owner === undefined || owner.uid === 0) return work();
  setegid?.(owner.gid);
  seteuid?.(owner.uid);
  try {
    return work();
  } finally {
    seteuid?.(0);
    setegid?.(0);
  }
}

// --- background ---

/** How a copy of this process is started. */
export interface Self {
  readonly file: string;
  readonly argv0: string;
  /** Arguments before those of the command line; not empty when run from source. */
  readonly prefix: readonly string[];
}

function executable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    // Whatever the reason, it cannot be started under this name.
    return false;
  }
}

/**
 * This executable under the name that it was called by, so that `ps` and rc scripts see `pmproxy`
 * when it was called through a link of that name. `script` is the main file when run from source.
 */
export function selfAs(
  execPath: string,
  argv0: string,
  script: string | undefined,
  environment: Environment,
): Self {
  const candidates = argv0.includes("/")
    ? [resolve(argv0)]
    : (environment["PATH"] ?? "")
        .split(delimiter)
        .filter((directory) => directory !== "")
        .map((directory) => join(directory, basename(argv0)));
  const real = realpathSync(execPath);
  const file =
    candidates.find((path) => executable(path) && realpathSync(path) === real) ?? execPath;
  return { file, argv0, prefix: script === undefined ? [] : [script] };
}

/** Variable by which a process learns that it is the one in the background; its value is JSON. */
export const DAEMON_VARIABLE = "PCPBOX_DAEMON";
/** Descriptor of the readiness pipe in the child. */
const READY_FD = 3;
/** Most that is taken from the pipe. */
const VERDICT_BYTES = 65_536;

/** What the process in the background is told by the one that started it. */
export interface DaemonRole {
  /** The log behind standard output and error; undefined: whatever they are. */
  readonly logPath: string | undefined;
  /** Says once that the service serves, or why it does not; later calls do nothing. */
  verdict(failure: string | undefined): void;
}

/** The role of this process, or undefined in the foreground. Removes the variable from `environment`. */
export function daemonRole(
  environment: Record<string, string | undefined>,
): DaemonRole | undefined {
  const text = environment[DAEMON_VARIABLE];
  delete environment[DAEMON_VARIABLE];
  if (text === undefined) return undefined;
  let told = false;
  const verdict = (failure: string | undefined): void => {
    if (told) return;
    told = true;
    try {
      writeSync(READY_FD, failure === undefined ? "ready" : `failed:${failure}`);
      closeSync(READY_FD);
    } catch {
      // The one who waited is gone; the service goes on and the log has it all.
      return;
    }
  };
  return { logPath: text === "" ? undefined : text, verdict };
}

/** How a start in the background went; `pid` of the process when it serves. */
export type Verdict =
  { readonly ok: true; readonly pid: number } | { readonly ok: false; readonly reason: string };

/**
 * Starts a copy in a session of its own with the log as standard output and error, and waits for
 * its verdict. Standard input is empty, the working directory is the same.
 */
export function startInBackground(
  self: Self,
  args: readonly string[],
  environment: Environment,
  log: OpenLog,
): Promise<Verdict> {
  const { promise, resolve: settle } = Promise.withResolvers<Verdict>();
  const child = spawn(self.file, [...self.prefix, ...args], {
    argv0: self.argv0,
    detached: true,
    env: { ...environment, [DAEMON_VARIABLE]: log.path ?? "" },
    stdio: ["ignore", log.fd, log.fd, "pipe"],
  });
  const pipe = child.stdio[READY_FD];
  let said = "";
  let ended: string | undefined;
  const finish = (): void => {
    child.unref();
    if (said === "ready" && child.pid !== undefined) settle({ ok: true, pid: child.pid });
    else if (said.startsWith("failed:")) {
      settle({ ok: false, reason: said.slice("failed:".length) });
    } else settle({ ok: false, reason: ended ?? "ended without a word" });
  };
  child.on("error", (error) => {
    ended = messageOf(error);
    finish();
  });
  child.on("exit", (code, signal) => {
    ended = `ended with ${signal ?? `status ${code}`}`;
    if (pipe === null || pipe === undefined) finish();
  });
  pipe?.on("data", (chunk: Buffer) => {
    if (said.length < VERDICT_BYTES) said += chunk.toString();
    if (said === "ready") finish();
  });
  // The end of the pipe comes before or after the exit; a moment lets the status arrive.
  pipe?.on("close", () => setTimeout(finish, ended === undefined ? 50 : 0));
  return promise;
}
