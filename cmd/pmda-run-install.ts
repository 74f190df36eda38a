// `--install` and `--remove`: an agent's names into the name space and its line into pmcd.conf, or both
// out again, and pmcd told (spec pmda.md 2.2, 16). With --dry-run nothing is written: what would
// change is printed as a diff. Refuses machines without pmcd.conf, names of other agents, and files
// that somebody else is changing.

import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { asPcpError, PcpError, peerCredentials, PM_ERR, pmErrStr } from "../lib/base/mod.ts";
import { isGiven, lastGiven } from "../lib/cli/mod.ts";
import { readPcpConf } from "../lib/daemon/mod.ts";
import { type NamedPmid, type Names, namesText, parseNames } from "../lib/pcp/mod.ts";
import {
  addDomain,
  confWith,
  confWithout,
  dropDomain,
  type InstalledAgent,
  loadNames,
  localAccess,
  subtreeText,
  unifiedDiff,
} from "../lib/pmda/mod.ts";
import type { PmdaRunOptions } from "./options/pmda-run.ts";
import { complain, say } from "./output.ts";
import { domainOf } from "./pmda-run-agent.ts";
import { appearedText, goneText } from "./pmda-run-appeared.ts";
import { pmdaCommand } from "./pmda-run-command.ts";
import { metricsOf } from "./pmda-run-metrics.ts";
import type { AgentSource } from "./pmda-run-source.ts";
import type { CommandLine } from "./verb.ts";

type Line = CommandLine<PmdaRunOptions>;

/** Milliseconds that somebody else may hold the name space. */
const LOCK_MS = 5000;
const LOCK_STEP_MS = 100;
/** pmcd tells files by their time of change, in seconds, and looks at its agents one after the other. */
const PMCD_MS = 1200;

/** Where PCP has what an installation changes. */
interface Places {
  readonly conf: string;
  readonly root: string;
  readonly subtree: string;
  readonly pidFile: string;
  readonly socket: string;
  readonly includes: string;
}

function placesOf(name: string): Places {
  const conf = readPcpConf(process.env);
  const varDir = conf.get("PCP_VAR_DIR") ?? "/var/lib/pcp";
  const includes = join(varDir, "pmns");
  const runDir = conf.get("PCP_RUN_DIR") ?? "/run/pcp";
  const root = process.env["PMNS_DEFAULT"] ?? join(includes, "root");
  return {
    conf: conf.get("PCP_PMCDCONF_PATH") ?? "/etc/pcp/pmcd/pmcd.conf",
    root,
    subtree: join(dirname(root), name),
    pidFile: join(runDir, "pmcd.pid"),
    socket: process.env["PMCD_SOCKET"] ?? join(runDir, "pmcd.socket"),
    includes,
  };
}

const textOf = (path: string): string | undefined =>
  existsSync(path) ? readFileSync(path, "utf8") : undefined;

/** A file that is to become another text, or to go. */
interface Change {
  readonly path: string;
  readonly before: string | undefined;
  readonly after: string | undefined;
}

/** Puts the text in the file's place at once, with its owner and mode. */
function applyChange({ path, before, after }: Change): void {
  if (before === after) return;
  if (after === undefined) {
    rmSync(path, { force: true });
    return;
  }
  // A link stays one.
  const target = existsSync(path) ? realpathSync(path) : path;
  const fresh = `${target}.pcpbox-new`;
  try {
    const old = statSync(target, { throwIfNoEntry: false });
    writeFileSync(fresh, after, { mode: 0o644 });
    if (old !== undefined) {
      chmodSync(fresh, old.mode & 0o7777);
      if (process.getuid?.() === 0) chownSync(fresh, old.uid, old.gid);
    }
    renameSync(fresh, target);
  } catch (error) {
    rmSync(fresh, { force: true });
    const { code } = asPcpError(error);
    throw new PcpError(code, `${fresh}: ${pmErrStr(code)}`, { cause: error });
  }
}

/** Holds the lock that PCP's scripts take while they change a name space. */
async function withLock<T>(root: string, work: () => T): Promise<T> {
  const lock = `${root}.lock`;
  for (let waited = 0; ; waited += LOCK_STEP_MS) {
    try {
      closeSync(openSync(lock, "wx"));
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw asPcpError(error);
      if (waited >= LOCK_MS)
        throw new PcpError(PM_ERR.PMNS, `${lock} is there: the name space is being changed`);
      await sleep(LOCK_STEP_MS);
    }
  }
  try {
    return work();
  } finally {
    rmSync(lock, { force: true });
  }
}

/** The names of a compiled agent: the file that its own installation uses, where there is one. */
function dsoNames(path: string, domain: number, { includes }: Places): Names {
  const file = join(dirname(path), "pmns");
  const text = textOf(file);
  if (text === undefined) {
    complain(`Warning: no ${file}: no metric names for this agent\n`);
    return parseNames("root { }");
  }
  // A symbol such as SIMPLE stands for the domain there.
  const plain = text.replace(/\b[A-Z_]\w*(?=:[\d*])/g, String(domain));
  const top = /^\s*([A-Za-z]\w*)\s*\{/m.exec(plain)?.[1] ?? "";
  const whole = /^\s*root\s*\{/m.test(plain) ? plain : `root {\n${top}\n}\n${plain}`;
  return loadNames(file, whole, localAccess(false), { folders: [includes, dirname(file)] });
}

const namesOf = (source: AgentSource, line: Line, places: Places): Names =>
  source.kind === "dso"
    ? dsoNames(source.dso.path, domainOf(source, line), places)
    : metricsOf(source, line);

function transportOf({ options }: Line): InstalledAgent["transport"] {
  const given = lastGiven(options, "inet", "ipv6", "unix", "pipe");
  return given === undefined || given.option === "pipe"
    ? { kind: "pipe", notready: isGiven(options, "notready") }
    : { kind: given.option, address: given.value };
}

/** The agent as pmcd.conf is to have it. */
function installedAgent(source: AgentSource, line: Line): InstalledAgent {
  const transport = transportOf(line);
  const more: string[] = [];
  if (transport.kind === "inet") more.push("-i", transport.address);
  if (transport.kind === "ipv6") more.push("-6", transport.address);
  if (transport.kind === "unix") more.push("-u", transport.address);
  const log = lastGiven(line.options, "log")?.value;
  if (log !== undefined) more.push("-l", log);
  return {
    name: source.name,
    domain: domainOf(source, line),
    transport,
    command: pmdaCommand(source, line, more),
  };
}

/** What becomes of the name space, and the metrics that this is about. */
interface NameChanges {
  readonly changes: readonly Change[];
  readonly metrics: readonly NamedPmid[];
}

/** The name space with, or without, an agent. */
function nameChanges(
  source: AgentSource,
  line: Line,
  places: Places,
  remove: boolean,
): NameChanges {
  const { root, subtree, includes } = places;
  const domain = domainOf(source, line);
  const before = textOf(root);
  if (before === undefined && remove) return { changes: [], metrics: [] };
  const tree = loadNames(root, before ?? "root { }", localAccess(false), { folders: [includes] });
  const old = textOf(subtree);
  if (remove) {
    const metrics = dropDomain(tree, domain);
    const after = metrics.length > 0 ? namesText(tree) : before;
    const changes = [
      { path: root, before, after },
      { path: subtree, before: old, after: undefined },
    ];
    return { changes, metrics };
  }
  const own = namesOf(source, line, places);
  addDomain(tree, own, domain);
  const changes = [
    { path: root, before, after: namesText(tree) },
    { path: subtree, before: old, after: own.size === 0 ? old : subtreeText(own) },
  ];
  return { changes, metrics: [...own.traverse()] };
}

/** The process that listens on pmcd's socket: one in the foreground leaves no pid file. */
async function listeningPmcd(path: string): Promise<number | undefined> {
  if (!existsSync(path)) return undefined;
  try {
    const found = Promise.withResolvers<number>();
    await Bun.connect({
      unix: path,
      socket: {
        open(socket) {
          // Bun has the descriptor, its types do not.
          const { fd } = socket as { readonly fd?: number };
          if (fd !== undefined) found.resolve(peerCredentials(fd).pid);
          else found.reject(new PcpError(PM_ERR.GENERIC, "no descriptor"));
          socket.terminate();
        },
        data: () => undefined,
      },
    });
    return await found.promise;
  } catch {
    // Nobody listens there, or nobody that can be asked who it is: no pmcd to be told.
    return undefined;
  }
}

/** Whether a process is pmcd: one that has ended leaves its number to anybody, and a signal ends most. */
function isPmcd(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 1) return false;
  const comm = textOf(`/proc/${pid}/comm`);
  return comm === undefined ? !existsSync("/proc/self/comm") : comm.trim() === "pmcd";
}

/** The running pmcd of these files, if there is one. */
async function runningPmcd({ pidFile, socket }: Places): Promise<number | undefined> {
  const pid = Number(textOf(pidFile)?.trim() ?? Number.NaN);
  return isPmcd(pid) ? pid : listeningPmcd(socket);
}

/** Tells pmcd that its files have changed; whether it runs. */
async function signalPmcd(places: Places): Promise<boolean> {
  const pid = await runningPmcd(places);
  if (pid === undefined) return false;
  try {
    process.kill(pid, "SIGHUP");
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EPERM") complain(`Warning: pmcd (process ${pid}) cannot be told: ${code}\n`);
    return false;
  }
}

/** Writes pmcd.conf: an agent that is there already goes first, so that pmcd starts it anew. */
async function changeConf(change: Change, without: string, places: Places): Promise<boolean> {
  let { before } = change;
  if (change.after !== without && before !== without) {
    applyChange({ ...change, after: without });
    before = without;
    if (await signalPmcd(places)) await sleep(PMCD_MS);
  }
  applyChange({ ...change, before });
  return signalPmcd(places);
}

/** Installs or removes an agent, or shows what that would change. Returns the exit status. */
export async function changeInstallation(source: AgentSource, line: Line): Promise<number> {
  const { options } = line;
  const { name } = source;
  const remove = isGiven(options, "remove");
  const domain = domainOf(source, line);
  const places = placesOf(name);
  const before = textOf(places.conf);
  if (before === undefined) {
    complain(`pmda${name}: ${places.conf}: no such file: is pmcd installed here?\n`);
    return 1;
  }
  const gone = confWithout(places.conf, before, name, domain);
  const edited = remove ? gone : confWith(places.conf, before, installedAgent(source, line));
  const conf: Change = { path: places.conf, before, after: edited.text };
  for (const warning of edited.warnings) complain(`${warning}\n`);
  const planned = () => nameChanges(source, line, places, remove);
  if (isGiven(options, "dryRun")) {
    const all = [...planned().changes, conf];
    const diff = all.map((each) => unifiedDiff(each.path, each.before, each.after)).join("");
    say(diff === "" ? "Nothing would change.\n" : diff);
    return 0;
  }
  say(
    remove
      ? "Culling the Performance Metrics Name Space ...\n"
      : "Updating the Performance Metrics Name Space (PMNS) ...\n",
  );
  const { changes, metrics } = planned();
  await withLock(places.root, () => changes.forEach(applyChange));
  if (remove) say(`    ${name} ... done\n`);
  say("Updating the PMCD control file, and notifying PMCD ...\n");
  const told = await changeConf(conf, gone.text, places);
  if (!told) {
    say("pmcd does not run here: it will see the change when it starts.\n");
    return 0;
  }
  const tell = remove ? goneText : appearedText;
  say(await tell(name, metrics, places.socket));
  return 0;
}
