// `pcpbox proxy start|stop|restart|status|reload`: what the service script of pmproxy does (spec
// proxy.md 8), on the pid file of this configuration alone. `start` reads pmproxy.options and the
// environment file; without them it starts with no options and says so.

import { spawn, spawnSync } from "node:child_process";
import { accessSync, chownSync, constants, existsSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { isGiven } from "../lib/cli/mod.ts";
import {
  chooseRunDirectory,
  LSB_NOT_RUNNING,
  LSB_STATUS,
  lookUpUser,
  optionalText,
  parseEnvironmentFile,
  parseOptionsFile,
  type PcpConf,
  readPcpConf,
  selfAs,
  serviceState,
  type ServiceState,
  stopProcess,
} from "../lib/daemon/mod.ts";
import { complain, say } from "./output.ts";
import type { ProxyGiven } from "./proxy-settings.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** The process that acts. */
export interface ServiceProcess {
  readonly options: ProxyGiven;
  /** Options of the command line as they were written, without the action. */
  readonly args: readonly string[];
  readonly environment: Environment;
  readonly execPath: string;
  readonly argv0: string;
  readonly script: string | undefined;
  readonly uid: number;
  readonly workingDirectory: string;
}

interface Service {
  readonly process: ServiceProcess;
  readonly conf: PcpConf;
  readonly pidFile: string;
}

/** pmpost waits for its turn at the board; no longer than this. */
const POST_MS = 5_000;

const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);

const writable = (path: string): boolean => {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    // Missing or another's: either way there is nothing to write to.
    return false;
  }
};

/**
 * A line on PCP's notice board, as the service script leaves: through pmpost, where that is installed
 * and the board is there and ours to write to. A line that is lost is no reason not to act.
 */
function post(service: Service, event: "start" | "stop"): void {
  const { conf, process: self } = service;
  const pmpost = join(conf.get("PCP_BINADM_DIR") ?? "/usr/lib/pcp/bin", "pmpost");
  const board = join(conf.get("PCP_LOG_DIR") ?? "/var/log/pcp", "NOTICES");
  if (!existsSync(pmpost) || !writable(board)) return;
  const { error } = spawnSync(pmpost, [`${event} pmproxy from ${self.execPath}`], {
    env: self.environment,
    stdio: ["ignore", "ignore", "inherit"],
    timeout: POST_MS,
  });
  if (error !== undefined) complain(`pmproxy: ${pmpost}: ${error.message}\n`);
}

/** Ends the service if it runs; removes a pid file that is left over. True when none runs. */
async function end(service: Service, state: ServiceState, quiet: boolean): Promise<boolean> {
  if (state.state === "stopped") return true;
  let gone = true;
  if (state.state === "running") {
    if (!quiet) say("Waiting for pmproxy to terminate ...");
    gone = await stopProcess(state.pid, (text) => (quiet ? undefined : say(text)));
    if (!quiet) say("\n");
    if (gone) post(service, "stop");
  }
  // Only what still names the process that has ended: another may have started meanwhile.
  if (gone && serviceState(service.pidFile, service.process.execPath).state === "dead") {
    rmSync(service.pidFile, { force: true });
  }
  return gone;
}

/** Where the service runs: its log directory (root makes it), as with the script, else here. */
function serviceDirectory(service: Service): string {
  const { conf, process: self } = service;
  const directory = join(conf.get("PCP_LOG_DIR") ?? "/var/log/pcp", "pmproxy");
  try {
    if (self.uid === 0 && !existsSync(directory)) {
      mkdirSync(directory, { recursive: true, mode: 0o775 });
      const user = lookUpUser(conf.get("PCP_USER") ?? "pcp");
      if (user !== undefined) chownSync(directory, user.uid, user.gid);
    }
    accessSync(directory, constants.W_OK | constants.X_OK);
    return directory;
  } catch {
    // No such directory, or not ours to write to: the log then goes to the working directory.
    return self.workingDirectory;
  }
}

async function begin(service: Service, state: ServiceState): Promise<number> {
  const { process: self, conf } = service;
  if (!(await end(service, state, true))) {
    complain("pmproxy: the running one does not end, nothing started\n");
    return 1;
  }
  const optionsPath = conf.get("PCP_PMPROXYOPTIONS_PATH") ?? "";
  const options = optionalText(optionsPath);
  if (options === undefined) complain(`pmproxy: no options file "${optionsPath}", none used\n`);
  const variables = parseEnvironmentFile(
    optionalText(join(conf.get("PCP_SYSCONFIG_DIR") ?? "/etc/default", "pmproxy")) ?? "",
  );
  const { file, argv0, prefix } = selfAs(self.execPath, self.argv0, self.script, self.environment);
  say("Starting pmproxy ... ");
  post(service, "start");
  const { promise, resolve } = Promise.withResolvers<number>();
  const child = spawn(file, [...prefix, ...self.args, ...parseOptionsFile(options ?? "")], {
    argv0,
    cwd: serviceDirectory(service),
    env: { ...self.environment, ...variables },
    stdio: ["ignore", "inherit", "inherit"],
  });
  child.on("error", (error) => {
    complain(`pmproxy: ${error.message}\n`);
    resolve(1);
  });
  child.on("exit", (status) => resolve(status ?? 1));
  const status = await promise;
  say(status === 0 ? "\n" : `failed (status=${status})\n`);
  return status === 0 ? 0 : 1;
}

function tell(service: Service, state: ServiceState): number {
  if (isGiven(service.process.options, "json")) say(`${JSON.stringify(state)}\n`);
  else say(`Checking for pmproxy: ${state.state === "running" ? "running" : "stopped"}\n`);
  return LSB_STATUS[state.state];
}

function reload(state: ServiceState): number {
  if (state.state !== "running") {
    complain("pmproxy: not running\n");
    return LSB_NOT_RUNNING;
  }
  say("Reloading pmproxy ...\n");
  process.kill(state.pid, "SIGHUP");
  return 0;
}

/** Does one action and gives LSB's exit status. */
export async function actOnService(action: string, self: ServiceProcess): Promise<number> {
  const conf = readPcpConf(self.environment);
  const run = chooseRunDirectory(conf, self.environment, self.uid);
  const pidFile = join(run.path ?? conf.get("PCP_RUN_DIR") ?? "/run/pcp", "pmproxy.pid");
  const service: Service = { process: self, conf, pidFile };
  try {
    const state = serviceState(pidFile, self.execPath);
    switch (action) {
      case "start":
      case "restart":
        return await begin(service, state);
      case "stop":
        return (await end(service, state, false)) ? 0 : 1;
      case "reload":
        return reload(state);
      default:
        return tell(service, state);
    }
  } catch (error) {
    complain(`pmproxy: ${messageOf(error)}\n`);
    return action === "status" ? LSB_STATUS.unknown : 1;
  }
}
