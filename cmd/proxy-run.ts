// The proxy as a process (spec proxy.md 4, 5): log, background, sockets, user, pid file, port table,
// service manager, signals, and an orderly end. The order of work is pmproxy's, but for one thing:
// the command that was typed waits for the verdict of the process in the background.

import { hostname } from "node:os";
import { join } from "node:path";
import {
  createLog,
  fdSink,
  fileSink,
  type Log,
  type LogSink,
  replaceDescriptor,
} from "../lib/base/mod.ts";
import { isGiven, lastGiven, valuesGiven } from "../lib/cli/mod.ts";
import type { Context } from "../lib/context/mod.ts";
import {
  becomeUser,
  type DaemonRole,
  daemonRole,
  logFooter,
  logHeader,
  logNameWithPid,
  lookUpUser,
  makeStateDirectory,
  openLogFile,
  pidLine,
  portTable,
  problemText,
  readyState,
  reloadingState,
  removePidFile,
  reportFailure,
  sdNotify,
  selfAs,
  startInBackground,
  startWatchdog,
  stoppingState,
  type SystemUser,
  writePidFile,
} from "../lib/daemon/mod.ts";
import {
  buildSettings,
  changeText,
  diffSettings,
  type Proxy,
  type ProxySettings,
  reloadedValues,
  type StartProxy,
  storeOf,
} from "../lib/server/mod.ts";
import {
  type LoadedProxy,
  loadProxy,
  type ProxyGiven,
  type ProxySources,
} from "./proxy-settings.ts";

/** What everything that talks calls itself. */
const PROGRAM = "pmproxy";
const NOT_STARTED = `${PROGRAM} not started due to errors!`;
/** Longest timer; a longer -T takes several. */
const TIMER_MS = 2 ** 31 - 1;
/** After the end all is closed and written; what still keeps the event loop has this long. */
const LINGER_MS = 50;

/** The process around the proxy. */
export interface ProxyProcess {
  readonly sources: ProxySources;
  /** Changed: variables that are for this process alone are taken out. */
  readonly environment: Record<string, string | undefined>;
  readonly execPath: string;
  readonly argv0: string;
  /** Main file when run from source. */
  readonly script: string | undefined;
  /** The command line after it, to start the same in the background. */
  readonly args: readonly string[];
  readonly start: StartProxy;
}

type Mode = "daemon" | "managed" | "foreground";

const modeOf = (options: ProxyGiven): Mode => {
  if (isGiven(options, "foreground")) return "foreground";
  return isGiven(options, "managed") ? "managed" : "daemon";
};

function logOver(options: ProxyGiven, sink: LogSink): Log {
  const debugging = isGiven(options, "debug");
  return createLog({
    program: PROGRAM,
    sink,
    level: lastGiven(options, "logLevel")?.value ?? (debugging ? "debug" : "info"),
    format: lastGiven(options, "logFormat")?.value === "json" ? "json" : "pcp",
  });
}

const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);

/**
 * Standard output and error of a daemon are its log, after a rotation too: what the engine itself
 * says must not go to a file that has been moved away.
 */
function followLog(fd: number): void {
  replaceDescriptor(fd, 1);
  replaceDescriptor(fd, 2);
}

/** Most error lines that are passed on to the one who waits. */
const ERRORS_KEPT = 50;

/** A log that also keeps the errors of the start-up, for the terminal of the one who waits. */
function keepingErrors(log: Log): { readonly log: Log; readonly errors: string[] } {
  const errors: string[] = [];
  const keep = (text: string): void => {
    if (errors.length < ERRORS_KEPT) errors.push(text);
  };
  return {
    errors,
    log: {
      ...log,
      get lost() {
        return log.lost;
      },
      error: (text) => {
        keep(text);
        log.error(text);
      },
      critical: (text) => {
        keep(text);
        log.critical(text);
      },
    },
  };
}

/** What a serving process has at hand. */
interface Serving {
  readonly process: ProxyProcess;
  readonly mode: Mode;
  readonly log: Log;
  /** Errors logged so far. */
  readonly errors: readonly string[];
  readonly logPath: string | undefined;
  readonly role: DaemonRole | undefined;
  readonly pidFile: string | undefined;
}

/** Logs why there is no service, tells whoever waits, and gives the exit status. */
function notStarted(serving: Serving, reasons: readonly string[]): number {
  const { log, errors, logPath, role } = serving;
  for (const reason of reasons) log.error(reason);
  const told = errors.join("\n");
  log.error(NOT_STARTED);
  const file = lastGiven(serving.process.sources.options, "fatal")?.value ?? "/dev/tty";
  reportFailure(PROGRAM, file, logPath);
  log.plain(logFooter(new Date()));
  role?.verdict(told);
  return 1;
}

/** Runs the proxy; resolves to the exit status when it has ended, or serves in the background. */
export async function runProxy(whole: ProxyProcess): Promise<number> {
  const { options } = whole.sources;
  process.umask(0o022);
  const role = daemonRole(whole.environment);
  const mode = modeOf(options);
  const loaded = loadProxy(whole.sources);
  const onTerminal = logOver(options, fdSink(2));
  if (loaded.errors.length > 0) {
    for (const error of loaded.errors) onTerminal.error(error);
    onTerminal.error(NOT_STARTED);
    role?.verdict(loaded.errors.join("\n"));
    return 1;
  }
  const background = mode === "daemon" && role === undefined;
  let logPath = role?.logPath;
  let sink = fdSink(2);
  if (role === undefined) {
    const name = lastGiven(options, "log")?.value ?? `${PROGRAM}.log`;
    const withPid = valuesGiven(options, "debug").flat().includes("appl1");
    const opened = openLogFile(
      PROGRAM,
      withPid && name !== "-" ? logNameWithPid(name, process.pid) : name,
    );
    if (opened.problem !== undefined) fdSink(2).write(`${opened.problem}\n`);
    if (background) return inBackground(whole, opened, onTerminal);
    logPath = opened.path;
    if (opened.path !== undefined) sink = fileSink(opened.path, opened.fd);
  } else if (logPath !== undefined) sink = fileSink(logPath, 2, followLog);
  const { log, errors } = keepingErrors(logOver(options, sink));
  const pidFile =
    mode === "foreground" || loaded.run.path === undefined
      ? undefined
      : join(loaded.run.path, `${PROGRAM}.pid`);
  return serve({ process: whole, mode, log, errors, logPath, role, pidFile }, loaded);
}

async function inBackground(
  whole: ProxyProcess,
  opened: ReturnType<typeof openLogFile>,
  onTerminal: Log,
): Promise<number> {
  const self = selfAs(whole.execPath, whole.argv0, whole.script, whole.environment);
  const verdict = await startInBackground(self, whole.args, whole.environment, opened);
  if (verdict.ok) return 0;
  // With the log on standard error the reason stands there already.
  if (opened.path !== undefined) {
    for (const line of verdict.reason.split("\n")) onTerminal.error(line);
    onTerminal.error(NOT_STARTED);
  }
  return 1;
}

/** The place for what time series need, which the user that the process will be may not make. */
function makeState(settings: ProxySettings, user: SystemUser, log: Log): void {
  const [place] = settings.paths.stateDirectories;
  if (place === undefined || storeOf(settings) === undefined) return;
  const problem = makeStateDirectory(place, user);
  if (problem !== undefined) log.warning(problem);
}

/** Opens everything; the proxy, or the exit status when that failed. */
async function open(serving: Serving, loaded: LoadedProxy): Promise<Proxy | number> {
  const { log, mode, pidFile } = serving;
  const { settings } = loaded;
  log.plain(logHeader(PROGRAM, hostname(), new Date()));
  for (const port of loaded.duplicatePorts) {
    log.warning(`${PROGRAM}: duplicate client request port (${port}) will be ignored`);
  }
  let user: SystemUser | undefined;
  if (mode !== "foreground" && serving.process.sources.uid === 0) {
    user = lookUpUser(settings.user);
    if (user === undefined) {
      log.critical(`cannot find the ${settings.user} user to switch to`);
      return notStarted(serving, []);
    }
  }
  let proxy: Proxy;
  try {
    // Only what asks for this machine while no pmcd answers loads agents.
    const fallback = async (): Promise<Context> =>
      (await import("./local-agents.ts")).builtinContext(log);
    proxy = await serving.process.start(settings, log, { fallback });
  } catch (error) {
    return notStarted(serving, messageOf(error).split("\n"));
  }
  if (loaded.environmentLines.length > 0) log.plain(loaded.environmentLines.join("\n"));
  try {
    if (pidFile !== undefined) writePidFile(pidFile, process.pid);
    if (user !== undefined) {
      makeState(settings, user, log);
      becomeUser(user);
    }
  } catch (error) {
    await proxy.close();
    return notStarted(serving, [messageOf(error)]);
  }
  return proxy;
}

/** What the log shows once the ports are open. */
function announce(serving: Serving, loaded: LoadedProxy, proxy: Proxy): void {
  const { log } = serving;
  const { settings } = loaded;
  const uid = process.getuid?.() ?? 0;
  log.plain(pidLine(PROGRAM, process.pid, settings.user, uid) + portTable(PROGRAM, proxy.rows));
  if (loaded.arguments.pduCeiling !== undefined) {
    const { pduCeiling } = settings.pcp;
    log.info(`-L from command line: max incoming PDU size changed from 65536 to ${pduCeiling}`);
  }
  const read = loaded.files.filter((file) => file.state === "read");
  // PCP's tests compare whole logs, but for lines of information that end in "setup".
  for (const { path } of read) log.info(`configuration of ${path} setup`);
  if (read.length === 0) log.info("no configuration file found, default setup");
  if (loaded.missing !== undefined) log.warning(loaded.missing);
  if (loaded.run.note !== undefined) log.warning(loaded.run.note);
  for (const problem of loaded.problems) log.warning(problemText(problem));
}

async function serve(serving: Serving, first: LoadedProxy): Promise<number> {
  const { log, role, pidFile } = serving;
  // Until the sockets are open these mean nothing, above all not death.
  const early = (): void => log.debug("signal before the start was complete");
  const earlySignals = ["SIGHUP", "SIGUSR1", "SIGUSR2"] as const;
  for (const signal of earlySignals) process.on(signal, early);
  const opened = await open(serving, first);
  if (typeof opened === "number") return opened;
  const proxy = opened;

  const { promise, resolve } = Promise.withResolvers<number>();
  let running = first;
  let ending = false;
  let finished = false;
  const finish = async (status: number): Promise<void> => {
    if (finished) return;
    finished = true;
    await proxy.close();
    const problem = pidFile === undefined ? undefined : removePidFile(pidFile, process.pid);
    if (problem !== undefined) log.warning(problem);
    log.plain(logFooter(new Date()));
    resolve(status);
  };
  const end = async (status: number): Promise<void> => {
    if (ending) return void proxy.close();
    ending = true;
    sdNotify(stoppingState());
    if (status === 0) await proxy.drain(running.settings.limits.drainTimeoutMs);
  };
  const stop = async (signal: string): Promise<void> => {
    log.info(`${PROGRAM} caught ${signal}`);
    const again = ending;
    await end(0);
    if (again) return;
    log.info(`${PROGRAM} Shutdown`);
    await finish(0);
  };
  const crash = async (error: unknown): Promise<void> => {
    log.critical(error instanceof Error ? (error.stack ?? error.message) : String(error));
    if (!ending) await end(1);
    await finish(1);
  };
  const handlers: Readonly<Record<string, (value: unknown) => void>> = {
    SIGTERM: () => void stop("SIGTERM"),
    SIGINT: () => void stop("SIGINT"),
    SIGHUP: () => {
      try {
        running = reload(serving, running, proxy);
      } catch (error) {
        log.error(`configuration not reloaded: ${messageOf(error)}`);
      }
    },
    SIGUSR1: () => reopen(log),
    SIGUSR2: () => {
      log.info(`${PROGRAM} caught SIGUSR2`);
      log.plain(JSON.stringify(proxy.status(), undefined, 2));
    },
    uncaughtException: (error) => void crash(error),
    unhandledRejection: (error) => void crash(error),
  };
  for (const [name, handler] of Object.entries(handlers)) process.on(name, handler);
  for (const signal of earlySignals) process.off(signal, early);
  announce(serving, first, proxy);
  proxy.begin();
  const watched = watch(serving, proxy);
  sdNotify(readyState());
  role?.verdict(undefined);
  const { runForSeconds, deprecated } = first.settings;
  const cancel =
    runForSeconds === undefined || deprecated
      ? undefined
      : after(runForSeconds * 1000, () => void end(0).then(() => finish(0)));
  const status = await promise;
  cancel?.();
  watched?.();
  for (const [name, handler] of Object.entries(handlers)) process.off(name, handler);
  setTimeout(() => process.exit(status), LINGER_MS).unref();
  return status;
}

/** Signs of life for the service manager, while the event loop turns. */
function watch(serving: Serving, proxy: Proxy): (() => void) | null {
  try {
    return startWatchdog(() => proxy.rows.length > 0, serving.process.environment);
  } catch (error) {
    serving.log.warning(messageOf(error));
    return null;
  }
}

/** Calls once after `ms`, however long that is; returns what cancels it. */
function after(ms: number, call: () => void): () => void {
  let timer: ReturnType<typeof setTimeout>;
  const wait = (left: number): void => {
    timer = setTimeout(
      () => (left > TIMER_MS ? wait(left - TIMER_MS) : call()),
      Math.min(left, TIMER_MS),
    );
  };
  wait(ms);
  return () => clearTimeout(timer);
}

function reopen(log: Log): void {
  try {
    log.reopen();
    log.info(`${PROGRAM} caught SIGUSR1, log opened`);
  } catch (error) {
    log.error(`${PROGRAM} caught SIGUSR1, log not opened: ${messageOf(error)}`);
  }
}

/** Reads the configuration again; what is live is put in force, the rest is told. */
function reload(serving: Serving, running: LoadedProxy, proxy: Proxy): LoadedProxy {
  const { log } = serving;
  log.info(`${PROGRAM} caught SIGHUP`);
  sdNotify(reloadingState());
  const next = loadProxy(serving.process.sources);
  for (const problem of next.problems) log.warning(problemText(problem));
  const failed = next.files.filter((file) => file.state === "failed");
  let result = running;
  if (failed.length > 0) log.error("configuration not reloaded, the old one stays in force");
  else {
    for (const error of next.errors) log.error(error);
    const changes = diffSettings(running.settings, next.settings);
    for (const change of changes) log.info(changeText(change));
    if (changes.length === 0) log.info("configuration unchanged");
    const values = reloadedValues(running.values, next.values);
    const settings = {
      ...buildSettings(values, running.arguments),
      tls: running.settings.tls,
    };
    proxy.reload(settings);
    result = { ...running, settings, values };
  }
  sdNotify(readyState());
  return result;
}
