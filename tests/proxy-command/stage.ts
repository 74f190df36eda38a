// A private stage for `pcpbox proxy` as a child process: a folder with a pcp.conf of its own, so that
// nothing of the machine's PCP is read or written, a free port, and everything removed at the end.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort, waitUntil } from "../helpers/ports.ts";
import {
  type Daemon,
  privateFolder,
  run,
  type RunResult,
  startDaemon,
} from "../helpers/process.ts";
import { root } from "../helpers/tree.ts";

export interface Stage {
  readonly folder: string;
  readonly port: number;
  readonly env: Readonly<Record<string, string>>;
  /** Path below the folder. */
  path(name: string): string;
  write(name: string, text: string): string;
  read(name: string): string;
  /** Runs `pcpbox proxy ARGS` to its end. */
  proxy(args: readonly string[], env?: Readonly<Record<string, string>>): Promise<RunResult>;
  /** Starts `pcpbox proxy ARGS` in the foreground, both outputs in `console`, its log in `log`. */
  serve(
    args: readonly string[],
    env?: Readonly<Record<string, string>>,
    log?: string,
  ): Promise<Daemon>;
}

/** The program and its verb, from source. */
export const program: readonly string[] = [process.execPath, join(root, "cmd/main.ts"), "proxy"];

/** Text of the log that says that all is open. */
const SERVING = "pmproxy request port(s):";

/** Makes a stage; `user` is PCP_USER, which only root becomes. */
export async function makeStage(user = "root"): Promise<Stage> {
  const folder = privateFolder("proxy");
  for (const name of ["run", "log", "etc", "home", "work"]) mkdirSync(join(folder, name));
  const path = (name: string): string => join(folder, name);
  const conf = {
    PCP_RUN_DIR: path("run"),
    PCP_LOG_DIR: path("log"),
    PCP_TMP_DIR: path("run"),
    PCP_ARCHIVE_DIR: path("log"),
    PCP_SYSCONF_DIR: path("etc"),
    PCP_SYSCONFIG_DIR: path("etc"),
    PCP_PMPROXYOPTIONS_PATH: path("etc/pmproxy.options"),
    PCP_TLSCONF_PATH: path("etc/tls.conf"),
    PCP_USER: user,
  };
  const lines = Object.entries(conf).map(([name, value]) => `${name}=${value}\n`);
  writeFileSync(path("pcp.conf"), lines.join(""));
  const env = { PCP_CONF: path("pcp.conf"), HOME: path("home") };
  const read = (name: string): string => readFileSync(path(name), "utf8");
  return {
    folder,
    port: await freePort(),
    env,
    path,
    write: (name, text) => {
      writeFileSync(path(name), text);
      return path(name);
    },
    read,
    proxy: (args, more = {}) =>
      run([...program, ...args], { cwd: path("work"), env: { ...env, ...more } }),
    serve: async (args, more = {}, log = "console") => {
      const daemon = startDaemon([...program, ...args], path("console"), {
        cwd: path("work"),
        env: { ...env, ...more },
      });
      const serving = (): boolean => existsSync(path(log)) && read(log).includes(SERVING);
      await waitUntil(serving, daemon.alive);
      return daemon;
    },
  };
}

/** A text with what differs from run to run replaced: times, pids, descriptors, the folder, ports. */
export const settled = (text: string, stage: Stage, host: string): string =>
  text
    .replaceAll(stage.folder, "FOLDER")
    .replaceAll(`${stage.port}`, "PORT")
    .replaceAll(host, "HOST")
    .replaceAll(/\b[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d/g, "TIME")
    .replaceAll(/TIME \d{4}/g, "TIME")
    .replaceAll(/pmproxy\(\d+\)/g, "pmproxy(PID)")
    .replaceAll(/PID = \d+/g, "PID = N")
    .replaceAll(/^( {2}ok ) +\d+/gm, "$1   FD");
