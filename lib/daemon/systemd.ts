// What a service manager and its service say to each other: notifications over NOTIFY_SOCKET
// (sd_notify(3)), the watchdog (sd_watchdog_enabled(3)) and sockets handed over (sd_listen_fds(3)).
// Everything is off without the variables. Refuses descriptors that are not listening stream sockets.

import {
  closeOnExec,
  monotonicNanoseconds,
  oneLine,
  PcpError,
  sendUnixDatagram,
  socketName,
  utf8,
} from "../base/mod.ts";

/** Environment as a program sees it; `listenFds` removes keys from it. */
export type Environment = Record<string, string | undefined>;

const EINVAL = 22;
/** Descriptors start after standard input, output and error. */
const FIRST_FD = 3;
/** More sockets than anyone binds; each costs a look at the descriptor. */
const MAX_LISTEN_FDS = 1024;
/** A status line longer than this helps nobody. */
const STATUS_LENGTH = 512;

/** Whether a notification went out; `problem` is null when no service manager listens. */
export type Notified =
  { readonly sent: true } | { readonly sent: false; readonly problem: string | null };

/**
 * Sends `state` (lines of KEY=value) to the service manager. Paths and abstract names ("@name") are
 * known forms of NOTIFY_SOCKET. Nothing is thrown: without notifications the service goes on.
 */
export function sdNotify(state: string, env: Environment = process.env): Notified {
  const target = env["NOTIFY_SOCKET"];
  if (target === undefined || target === "") return { sent: false, problem: null };
  if (!target.startsWith("/") && !target.startsWith("@"))
    return { sent: false, problem: `NOTIFY_SOCKET: neither a path nor @name: ${oneLine(target)}` };
  const path = utf8(target);
  if (target.startsWith("@")) path[0] = 0;
  try {
    sendUnixDatagram(path, utf8(state));
    return { sent: true };
  } catch (cause) {
    if (!(cause instanceof PcpError)) throw cause;
    return { sent: false, problem: `NOTIFY_SOCKET ${oneLine(target)}: ${cause.message}` };
  }
}

/** The service answers now; the main process is `pid`. */
export const readyState = (pid: number = process.pid): string => `READY=1\nMAINPID=${pid}`;

/**
 * The configuration is being read again; READY follows. Without the C library the time is left out:
 * the notification could not be sent either.
 */
export function reloadingState(): string {
  try {
    return `RELOADING=1\nMONOTONIC_USEC=${monotonicNanoseconds() / 1000n}`;
  } catch (cause) {
    if (!(cause instanceof PcpError)) throw cause;
    return "RELOADING=1";
  }
}

/** The service is on its way out. */
export const stoppingState = (): string => "STOPPING=1";

/** One line for `systemctl status`; control characters are escaped, long texts cut. */
export const statusState = (text: string): string =>
  `STATUS=${oneLine(text.slice(0, STATUS_LENGTH))}`;

/** The service is alive. */
export const watchdogState = (): string => "WATCHDOG=1";

/** A decimal number without sign, or null. */
function decimal(text: string | undefined): number | null {
  if (text === undefined || !/^[0-9]{1,15}$/.test(text)) return null;
  return Number(text);
}

/**
 * Milliseconds between two signs of life, half of what the service manager waits; null when it does
 * not watch this process. Errors: PcpError for variables that are no numbers.
 */
export function watchdogInterval(
  env: Environment = process.env,
  pid: number = process.pid,
): number | null {
  const period = env["WATCHDOG_USEC"];
  if (period === undefined || period === "") return null;
  const watched = env["WATCHDOG_PID"];
  if (watched !== undefined && watched !== "") {
    const number = decimal(watched);
    if (number === null) throw new PcpError(-EINVAL, `WATCHDOG_PID: not a number: ${watched}`);
    if (number !== pid) return null;
  }
  const microseconds = decimal(period);
  if (microseconds === null || microseconds === 0)
    throw new PcpError(-EINVAL, `WATCHDOG_USEC: not a number above 0: ${period}`);
  // setTimeout holds 31 bits; a shorter interval is always right.
  return Math.min(Math.max(1, Math.floor(microseconds / 2000)), 0x7fffffff);
}

/**
 * Sends WATCHDOG=1 in the interval asked for while `alive` says so; returns what ends it, or null
 * when nobody watches. The timer does not keep the process up. Errors as `watchdogInterval`.
 */
export function startWatchdog(
  alive: () => boolean = () => true,
  env: Environment = process.env,
): (() => void) | null {
  const interval = watchdogInterval(env);
  if (interval === null) return null;
  const timer = setInterval(() => {
    if (alive()) sdNotify(watchdogState(), env);
  }, interval);
  timer.unref();
  return () => clearInterval(timer);
}

/** A listening stream socket that was handed over. */
export interface ListenFd {
  readonly fd: number;
  /** Name from LISTEN_FDNAMES, "unknown" without one. */
  readonly name: string;
  readonly family: "tcp4" | "tcp6" | "unix";
  /** IP address, socket path or "@name"; empty for an unnamed unix socket. */
  readonly address: string;
  /** 0 for unix. */
  readonly port: number;
}

function inspect(fd: number, name: string): ListenFd {
  const where = `LISTEN_FDS: descriptor ${fd} (${oneLine(name)})`;
  try {
    const socket = socketName(fd);
    if (!socket.listening) throw new PcpError(-EINVAL, "not a listening stream socket");
    if (process.platform === "linux") closeOnExec(fd);
    return { fd, name, family: socket.family, address: socket.address, port: socket.port };
  } catch (cause) {
    if (!(cause instanceof PcpError)) throw cause;
    throw new PcpError(cause.code, `${where}: ${cause.message}`, { cause });
  }
}

/**
 * The sockets handed over to this process, from descriptor 3 on; none when LISTEN_PID names another
 * process. The three variables are removed from `env` in any case, so that programs started from
 * here do not take them for theirs. Errors: PcpError naming the variable or the descriptor.
 */
export function listenFds(
  env: Environment = process.env,
  pid: number = process.pid,
): readonly ListenFd[] {
  const { LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES } = env;
  for (const key of ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"]) delete env[key];
  if (LISTEN_PID === undefined || LISTEN_FDS === undefined) return [];
  const owner = decimal(LISTEN_PID);
  if (owner === null || owner === 0)
    throw new PcpError(-EINVAL, `LISTEN_PID: not a process id: ${oneLine(LISTEN_PID)}`);
  if (owner !== pid) return [];
  const count = decimal(LISTEN_FDS);
  if (count === null || count > MAX_LISTEN_FDS) {
    const given = oneLine(LISTEN_FDS);
    throw new PcpError(-EINVAL, `LISTEN_FDS: not a number from 0 to ${MAX_LISTEN_FDS}: ${given}`);
  }
  const names = LISTEN_FDNAMES === undefined ? [] : LISTEN_FDNAMES.split(":", MAX_LISTEN_FDS + 1);
  if (LISTEN_FDNAMES !== undefined && names.length !== count)
    throw new PcpError(-EINVAL, `LISTEN_FDNAMES: ${names.length} names for ${count} descriptors`);
  return Array.from({ length: count }, (_, index) =>
    inspect(FIRST_FD + index, names[index] ?? "unknown"),
  );
}
