// Where PCP's files are: pcp.conf with its KEY=value lines, under the environment, over defaults for
// a machine without PCP. A variable of the environment wins over the file, as pcp.conf(5) says and
// both releases do. Chooses a run directory that an ordinary user can write to; a pcp.conf that is
// missing is normal, one that cannot be read is told.

import { accessSync, chownSync, constants, mkdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { lookUpUser } from "./daemon.ts";

/** Environment as a program sees it. */
type Environment = Readonly<Record<string, string | undefined>>;

/** What a machine without pcp.conf is taken for: PCP's own standard paths. */
const DEFAULTS: Readonly<Record<string, string>> = {
  PCP_SYSCONF_DIR: "/etc/pcp",
  PCP_SYSCONFIG_DIR: "/etc/default",
  PCP_RUN_DIR: "/run/pcp",
  PCP_LOG_DIR: "/var/log/pcp",
  PCP_TMP_DIR: "/var/lib/pcp/tmp",
  PCP_ARCHIVE_DIR: "/var/log/pcp/pmlogger",
  PCP_TLSCONF_PATH: "/etc/pcp/tls.conf",
  PCP_PMPROXYOPTIONS_PATH: "/etc/pcp/pmproxy/pmproxy.options",
  PCP_USER: "pcp",
};

/** Larger is no pcp.conf. */
const FILE_BYTES_LIMIT = 1 << 20;

/** Variables of PCP. */
export interface PcpConf {
  /** The file; `found` is false when there is none. */
  readonly path: string;
  readonly found: boolean;
  /** Why a file that is there was not read. */
  readonly problem: string | undefined;
  /** A variable from the environment, the file, or the defaults, in this order. */
  get(name: string): string | undefined;
  /** Where `get` takes it from. */
  origin(name: string): "environment" | "file" | "default" | "none";
}

/** Lines `PCP_NAME=value`; the value is the rest of the line as it is. Other lines mean nothing. */
export function parsePcpConf(text: string): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const line of text.split("\n")) {
    const match = /^(PCP_[A-Za-z0-9_]*)=(.*?)\r?$/.exec(line);
    if (match?.[1] !== undefined) values.set(match[1], match[2] ?? "");
  }
  return values;
}

const codeOf = (error: unknown): string =>
  error instanceof Error && "code" in error ? String(error.code) : String(error);

function readText(path: string): { text: string } | { problem: string | undefined } {
  try {
    const { size } = statSync(path);
    if (size > FILE_BYTES_LIMIT) return { problem: `larger than ${FILE_BYTES_LIMIT} bytes` };
    return { text: readFileSync(path, "utf8") };
  } catch (error) {
    const code = codeOf(error);
    return { problem: code === "ENOENT" || code === "ENOTDIR" ? undefined : code };
  }
}

/** No file is normal, but not the one that somebody has named. */
function problemOf(reason: string | undefined, environment: Environment): string | undefined {
  if (reason !== undefined) return `cannot be read: ${reason}`;
  return environment["PCP_CONF"] === undefined ? undefined : "no such file (PCP_CONF)";
}

/** Reads the file that PCP_CONF names, else `$PCP_DIR/etc/pcp.conf`. Never throws. */
export function readPcpConf(environment: Environment): PcpConf {
  const path = environment["PCP_CONF"] ?? join(environment["PCP_DIR"] ?? "/", "etc", "pcp.conf");
  const read = readText(path);
  const file = "text" in read ? parsePcpConf(read.text) : new Map<string, string>();
  const problem = "problem" in read ? problemOf(read.problem, environment) : undefined;
  // A prefix given without a pcp.conf of its own moves the standard paths below it.
  const prefix = environment["PCP_DIR"] ?? "";
  const fallback = (name: string): string | undefined => {
    const value = DEFAULTS[name];
    return value !== undefined && value.startsWith("/") ? prefix + value : value;
  };
  return {
    path,
    found: "text" in read,
    problem,
    get: (name) => environment[name] ?? file.get(name) ?? fallback(name),
    origin: (name) => {
      if (environment[name] !== undefined) return "environment";
      if (file.has(name)) return "file";
      return DEFAULTS[name] === undefined ? "none" : "default";
    },
  };
}

/** A directory for pid file and socket; `path` undefined: none can be written. */
export interface RunDirectory {
  readonly path: string | undefined;
  /** What an operator should know, when it is not the configured one. */
  readonly note: string | undefined;
}

function writable(directory: string): boolean {
  try {
    accessSync(directory, constants.W_OK | constants.X_OK);
    return statSync(directory).isDirectory();
  } catch {
    // Missing or closed to us: both mean that another place is needed.
    return false;
  }
}

function makeDirectory(path: string, mode: number): boolean {
  try {
    mkdirSync(path, { recursive: true, mode });
  } catch (error) {
    if (codeOf(error) !== "EEXIST") return false;
  }
  return writable(path);
}

/** Makes the run directory as root, for the user who will write there. */
function makeForService(conf: PcpConf, path: string): boolean {
  if (!makeDirectory(path, 0o775)) return false;
  const user = lookUpUser(conf.get("PCP_USER") ?? "pcp");
  if (user !== undefined && process.getuid?.() === 0) chownSync(path, user.uid, user.gid);
  return true;
}

/**
 * The run directory for `uid`: PCP_RUN_DIR where it can be written (root makes it, for PCP_USER), else for an
 * ordinary user `$XDG_RUNTIME_DIR/pcp` or `~/.pcp/run`. One that the environment names is taken as
 * it is, so that a mistake shows.
 */
export function chooseRunDirectory(
  conf: PcpConf,
  environment: Environment,
  uid: number,
): RunDirectory {
  const configured = conf.get("PCP_RUN_DIR") ?? "/run/pcp";
  const taken = { path: configured, note: undefined };
  if (conf.origin("PCP_RUN_DIR") === "environment" || writable(configured)) return taken;
  if (uid === 0) {
    return makeForService(conf, configured)
      ? { path: configured, note: `${configured} made` }
      : taken;
  }
  const runtime = environment["XDG_RUNTIME_DIR"];
  const home = environment["HOME"];
  const places = [
    ...(runtime === undefined || runtime === "" ? [] : [join(runtime, "pcp")]),
    ...(home === undefined || home === "" ? [] : [join(home, ".pcp", "run")]),
  ];
  for (const path of places) {
    if (makeDirectory(path, 0o700)) {
      return { path, note: `${configured} cannot be written, using ${path}` };
    }
  }
  return {
    path: undefined,
    note: `${configured} cannot be written: no unix socket and no pid file`,
  };
}

/**
 * Where a service may keep what is its own, the best place first: what a service manager made for it, else
 * /var/lib/pcpbox, then an ordinary user's places. Nothing is made here.
 */
export function stateDirectories(environment: Environment): readonly string[] {
  const given = (environment["STATE_DIRECTORY"] ?? "").split(":")[0] ?? "";
  if (given !== "") return [given];
  const state = environment["XDG_STATE_HOME"] ?? "";
  const home = environment["HOME"] ?? "";
  return [
    join(environment["PCP_DIR"] ?? "/", "var/lib/pcpbox"),
    ...(state === "" ? [] : [join(state, "pcpbox")]),
    ...(home === "" ? [] : [join(home, ".local/state/pcpbox")]),
  ];
}

/**
 * Makes the directory of a service for the user that it will be, as root; one that is there stays as it is.
 * Returns why it could not be made.
 */
export function makeStateDirectory(
  path: string,
  user: { readonly uid: number; readonly gid: number },
): string | undefined {
  try {
    // undefined: it was there.
    if (mkdirSync(path, { recursive: true, mode: 0o755 }) !== undefined)
      chownSync(path, user.uid, user.gid);
    return undefined;
  } catch (error) {
    return `${path} cannot be made: ${codeOf(error)}`;
  }
}
