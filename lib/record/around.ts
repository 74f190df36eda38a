// Whether a logger of PCP records this machine already: the files that pmlogger processes keep in
// $PCP_TMP_DIR/pmlogger, and archives of this host that grow. Refuses nothing: what cannot be read
// says nothing.
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { asPcpError } from "../base/mod.ts";

/** Where to look. */
export interface AroundOptions {
  /** $PCP_TMP_DIR. */
  readonly tmpDirectory: string;
  /** $PCP_ARCHIVE_DIR (PCP's default: $PCP_LOG_DIR/pmlogger), with a directory for each host. */
  readonly archiveDirectory: string;
  readonly host: string;
  /** Milliseconds since 1970; the system's clock by default. */
  readonly now?: () => number;
}

/** Archives that were written to in this time grow: loggers record each minute at the latest, usually. */
const GROWING_MS = 5 * 60_000;
/** Most files of a directory that are looked at. */
const MOST_FILES = 10_000;

/** What a system call gives; undefined: it failed. */
async function orNothing<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    // Faults of this program have no number of the system's.
    if (asPcpError(error).code > -4096) return undefined;
    throw error;
  }
}

const EPERM = -1;

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return asPcpError(error).code === EPERM;
  }
}

/** Whether the host of a logger, as it was told it, is this machine. */
function isThisHost(told: string, host: string): boolean {
  const [name = ""] = told.replace(/^[a-z]+:\/\//, "").split(/[:?]/);
  const names = [host, host.split(".")[0], "localhost", "127.0.0.1", "local", "unix", ""];
  return names.includes(name);
}

async function loggerRunning({ tmpDirectory, host }: AroundOptions): Promise<string | undefined> {
  const folder = join(tmpDirectory, "pmlogger");
  for (const name of (await orNothing(readdir(folder))) ?? []) {
    if (!/^[1-9]\d*$/.test(name) || !isRunning(Number(name))) continue;
    // Process numbers are used again; elsewhere than on Linux nothing tells.
    const program = (await orNothing(readFile(`/proc/${name}/comm`, "utf8")))?.trim();
    if (program !== undefined && program !== "pmlogger") continue;
    const text = (await orNothing(readFile(join(folder, name), "utf8"))) ?? "";
    const [, told = ""] = text.split("\n");
    if (isThisHost(told, host)) return `pmlogger (process ${name}) records this host`;
  }
  return undefined;
}

async function archiveGrows(options: AroundOptions): Promise<string | undefined> {
  const { archiveDirectory, host } = options;
  const now = (options.now ?? Date.now)();
  const folder = join(archiveDirectory, host);
  const names = ((await orNothing(readdir(folder))) ?? []).filter((name) => /\.\d+$/.test(name));
  for (const name of names.toSorted().slice(-MOST_FILES)) {
    const found = await orNothing(stat(join(folder, name)));
    if (found !== undefined && now - found.mtimeMs < GROWING_MS)
      return `${join(folder, name)} is growing`;
  }
  return undefined;
}

/** Why nothing needs to be recorded here, in a few words; undefined: nobody does it. */
export const loggerAround = async (options: AroundOptions): Promise<string | undefined> =>
  (await loggerRunning(options)) ?? (await archiveGrows(options));
