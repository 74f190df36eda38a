// Private pmcd, pmproxy and key server of an installed PCP release, on loopback, for tests.
// `PcpTree` says which release and how to run its programs; pcp6.ts and pcp7.ts hold the two trees.
// Everything is written below a private folder; nothing of the machine's own PCP is touched or used.
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { freePort, hasIpv6Loopback, isListening, waitUntil } from "./ports.ts";
import { must, privateFolder, run, startDaemon } from "./process.ts";
import type { Daemon, RunOptions, RunResult } from "./process.ts";
import type { TlsFiles } from "./tls.ts";

/** One installed release of PCP. */
export interface PcpTree {
  /** "pcp6" or "pcp7": the peer's name, see peers.ts. */
  readonly name: "pcp6" | "pcp7";
  /** Where its files are seen from outside: empty, or the root folder it is installed in. */
  readonly root: string;
  /** The command that runs `argv` inside the tree, standing in the temporary folder. */
  readonly command: (argv: readonly string[]) => string[];
  /** The program of the key server: redis-server or valkey-server. */
  readonly keyServer: string;
  /** The Python that has the tree's modules. */
  readonly python: string;
}

/** The agents a private pmcd can have. `pmcd` is always there. */
export type Agent = "sample" | "simple" | "linux" | "proc";

/** An agent that a test brings along. */
export interface OwnAgent {
  readonly name: string;
  readonly domain: number;
  /** What follows the domain in pmcd.conf; `folder` is the pmcd's. */
  readonly line: (folder: string) => string;
  /** Text of a name space file: `root { ... }` and the blocks below it. */
  readonly names: string;
  /** A metric that has a value when the agent is there. */
  readonly probe?: string;
}

/** How a private pmcd is started. */
export interface PmcdOptions {
  /** Agents beside pmcd's own; `["sample"]` by default. `simple` costs a Python start. */
  readonly agents?: readonly Agent[];
  /** More agents, which must not clash with those. */
  readonly own?: readonly OwnAgent[];
  /** Serve TLS with these certificates. */
  readonly tls?: TlsFiles;
  /** With `tls`: refuse clients that present no certificate of the authority (pmcd -Q). */
  readonly requireCertificate?: boolean;
  /** Offer SASL with this account (PLAIN, LOGIN, SCRAM-SHA-256); the name must be a local account. */
  readonly sasl?: { readonly user: string; readonly password: string };
  /** With `sasl`: refuse clients that do not authenticate (pmcd -S). */
  readonly requireCredentials?: boolean;
  /** TCP port; a free one by default. */
  readonly port?: number;
  /** Addresses it listens on; both loopback addresses by default. */
  readonly interfaces?: readonly string[];
  /** Text of the [access] section of pmcd.conf; everything is allowed by default. */
  readonly access?: string;
  /** Lines of a hosts file that this pmcd alone sees in place of the machine's; needs root. */
  readonly hosts?: string;
  /** More arguments of pmcd, and more variables. */
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** A running private pmcd. */
export interface Pmcd {
  readonly tree: PcpTree;
  readonly folder: string;
  readonly port: number;
  /** Path of its unix socket. */
  readonly socket: string;
  readonly logFile: string;
  /** Environment for clients: a PCP_CONF of its own (with the authority of `tls`, nothing of the machine). */
  readonly clientEnv: Readonly<Record<string, string>>;
  readonly daemon: () => Daemon;
  /** Starts it again on the same port after a stop or a kill. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Where a file of the tree is, seen from outside. Links to absolute paths, as packages have them, lead
 * on inside the tree.
 */
export function inTree(tree: PcpTree, path: string): string {
  const outside = `${tree.root}${path}`;
  const link = lstatSync(outside, { throwIfNoEntry: false })?.isSymbolicLink() === true;
  if (!link) return outside;
  const target = readlinkSync(outside);
  return target.startsWith("/") ? inTree(tree, target) : outside;
}

/** Runs a program of the tree to its end. */
export function runIn(
  tree: PcpTree,
  argv: readonly string[],
  options?: RunOptions,
): Promise<RunResult> {
  return run(tree.command(argv), options);
}

/** A command in a mount name space of its own, where /etc/hosts is another one. */
function withHosts(argv: readonly string[], hosts: string, folder: string): string[] {
  const file = join(folder, "hosts");
  writeFileSync(file, hosts);
  const script = `mount --bind ${file} /etc/hosts && exec "$@"`;
  return ["unshare", "-m", "sh", "-c", script, "sh", ...argv];
}

/**
 * A pcp.conf of its own in `folder`, with all that is written going below it. Returns the environment
 * that selects it. libpcp takes PCP_CONF's values over those of the environment, so single variables
 * would not do.
 */
function writePcpConf(tree: PcpTree, folder: string, tlsConf: string): Record<string, string> {
  const places: Record<string, string> = {
    PCP_RUN_DIR: join(folder, "run"),
    PCP_TMP_DIR: join(folder, "tmp"),
    PCP_TMPFILE_DIR: join(folder, "tmp"),
    PCP_LOG_DIR: join(folder, "log"),
    PCP_ARCHIVE_DIR: join(folder, "log"),
    PCP_REMOTE_ARCHIVE_DIR: join(folder, "log", "pmproxy"),
    PCP_PMDAS_DIR: join(folder, "pmdas"),
    PCP_SYSCONF_DIR: join(folder, "etc"),
    PCP_SASLCONF_DIR: join(folder, "sasl"),
    PCP_TLSCONF_PATH: join(folder, "tls.conf"),
  };
  // Absent where only a proxy of ours is tested.
  const installed = inTree(tree, "/etc/pcp.conf");
  const lines = existsSync(installed) ? readFileSync(installed, "utf8").split("\n") : [];
  const kept = lines.filter((line) => !Object.hasOwn(places, line.split("=", 1)[0] ?? ""));
  const own = Object.entries(places).map(([key, value]) => `${key}=${value}`);
  for (const name of ["run", "tmp", "log", "etc", "etc/labels", "pmdas", "sasl", "home"]) {
    mkdirSync(join(folder, name), { recursive: true });
    chmodSync(join(folder, name), 0o777);
  }
  mkdirSync(join(folder, "tmp/pmproxy"), { recursive: true });
  chmodSync(join(folder, "tmp/pmproxy"), 0o777);
  writeFileSync(join(folder, "tls.conf"), tlsConf);
  writeFileSync(join(folder, "pcp.conf"), [...kept, ...own, ""].join("\n"));
  return { PCP_CONF: join(folder, "pcp.conf"), HOME: join(folder, "home") };
}

/** tls.conf of a server, and of a client that trusts its authority. */
function serverTlsConf(tls: TlsFiles): string {
  return [
    `tls-ca-cert-file = ${tls.authority}`,
    `tls-cert-file = ${tls.serverCertificate}`,
    `tls-key-file = ${tls.serverKey}`,
    "",
  ].join("\n");
}

function clientTlsConf(tls: TlsFiles): string {
  return [
    `tls-ca-cert-file = ${tls.authority}`,
    `tls-client-cert-file = ${tls.clientCertificate}`,
    `tls-client-key-file = ${tls.clientKey}`,
    "tls-verify-clients = true",
    "",
  ].join("\n");
}

/** Environment for client programs of the tree: their own folder, and the authority of `tls`. */
export function clientEnvironment(tree: PcpTree, tls?: TlsFiles): Record<string, string> {
  const folder = privateFolder("client");
  return writePcpConf(tree, folder, tls === undefined ? "" : clientTlsConf(tls));
}

const isRoot = process.getuid?.() === 0;
const pmdaFolder = "/var/lib/pcp/pmdas";
const domainOf: Record<Agent, number> = { sample: 29, simple: 253, linux: 60, proc: 3 };

/** The line of pmcd.conf of an agent. `folder` is the pmcd's. */
function agentLine(agent: Agent, folder: string): string {
  const domain = domainOf[agent];
  const log = join(folder, "log", `${agent}.log`);
  switch (agent) {
    case "sample":
      // The process changes to user pcp, which only root may.
      if (!isRoot) return `sample ${domain} dso sample_init ${pmdaFolder}/sample/pmda_sample.so`;
      return `sample ${domain} pipe binary ${pmdaFolder}/sample/pmdasample -d ${domain} -l ${log}`;
    case "simple":
      return `simple ${domain} pipe binary /usr/bin/python3 ${pmdaFolder}/simple/pmdasimple.python`;
    case "linux":
    case "proc":
      return `${agent} ${domain} dso ${agent}_init ${pmdaFolder}/${agent}/pmda_${agent}.so`;
    default:
      return agent satisfies never;
  }
}

/** The agents' folders as `PCP_PMDAS_DIR` must show them, with compiled help texts. */
async function prepareAgents(tree: PcpTree, agents: readonly Agent[], folder: string) {
  for (const agent of ["pmcd", ...agents] as const) {
    const target = join(folder, "pmdas", agent);
    if (agent !== "sample" && agent !== "simple") {
      symlinkSync(join(pmdaFolder, agent), target);
      continue;
    }
    mkdirSync(target);
    if (agent === "simple") {
      writeFileSync(join(target, "simple.conf"), "sec,min,hour\n");
      continue;
    }
    // The agent's own installation would compile its texts; the same here, under its domain number.
    const text = readFileSync(inTree(tree, `${pmdaFolder}/sample/help`), "utf8");
    const source = join(target, "help.txt");
    writeFileSync(source, text.replaceAll("@ SAMPLE.", `@ ${domainOf.sample}.`));
    const newhelp = ["/usr/lib/pcp/bin/newhelp", "-n", join(folder, "pmns")];
    const output = join(target, isRoot ? "help" : "dsohelp");
    await must(tree.command([...newhelp, "-o", output, source]));
  }
}

/** The name space file of these agents, merged by the tree's own program. */
async function prepareNames(
  tree: PcpTree,
  agents: readonly Agent[],
  own: readonly OwnAgent[],
  folder: string,
) {
  const source = join(folder, "names");
  mkdirSync(source);
  const copy = (from: string, to: string) =>
    writeFileSync(join(source, to), readFileSync(inTree(tree, `/var/lib/pcp/${from}`), "utf8"));
  copy("pmns/stdpmid", "stdpmid");
  copy("pmns/root_pmcd", "root_pmcd");
  const parts = ["root_pmcd"];
  for (const agent of agents) {
    const part = `root_${agent}`;
    if (agent === "sample") {
      copy("pmdas/sample/pmns", "pmns_sample");
      writeFileSync(
        join(source, part),
        '#include <stdpmid>\nroot {\n sample\n}\n#include "pmns_sample"\n',
      );
    } else if (agent === "simple")
      writeFileSync(join(source, part), "root {\n simple 253:*:*\n}\n");
    else copy(`pmns/${part}`, part);
    parts.push(part);
  }
  for (const { name, names } of own) {
    writeFileSync(join(source, `root_${name}`), names);
    parts.push(`root_${name}`);
  }
  const merge = ["/usr/lib/pcp/bin/pmnsmerge", "-a", ...parts, join(folder, "pmns")];
  await must(tree.command(["sh", "-c", 'cd "$1" && shift && exec "$@"', "sh", source, ...merge]));
}

/** Makes the account data base of `sasl` with libsasl2's own call; PCP's account tool is not always there. */
const setPassword = `
import ctypes, sys
library, folder, user, password = ctypes.CDLL("libsasl2.so.2"), *[a.encode() for a in sys.argv[1:]]
connection = ctypes.c_void_p()
library.sasl_set_path(1, folder)
assert library.sasl_server_init(None, b"pmcd") == 0
assert library.sasl_server_new(b"PCP Collector", None, None, None, None, None, 0, ctypes.byref(connection)) == 0
sts = library.sasl_setpass(connection, user, password, len(password), None, 0, 1)
assert sts == 0, sts
`;

async function prepareSasl(folder: string, sasl: { user: string; password: string }) {
  const database = join(folder, "sasl", "accounts.db");
  writeFileSync(
    join(folder, "sasl", "pmcd.conf"),
    `mech_list: plain login scram-sha-256\nsasldb_path: ${database}\n`,
  );
  const place = join(folder, "sasl");
  await must(["/usr/bin/python3", "-c", setPassword, place, sasl.user, sasl.password]);
  chmodSync(database, 0o644);
}

/** Starts a private pmcd and answers when it serves its agents' metrics. */
export async function startPmcd(tree: PcpTree, options: PmcdOptions = {}): Promise<Pmcd> {
  const agents = options.agents ?? ["sample"];
  const own = options.own ?? [];
  const folder = privateFolder(`${tree.name}-pmcd`);
  const tlsConf = options.tls === undefined ? "" : serverTlsConf(options.tls);
  const serverEnv = writePcpConf(tree, folder, tlsConf);
  await prepareNames(tree, agents, own, folder);
  await prepareAgents(tree, agents, folder);
  if (options.sasl !== undefined) await prepareSasl(folder, options.sasl);
  const configuration = join(folder, "pmcd.conf");
  writeFileSync(
    configuration,
    [
      `pmcd 2 dso pmcd_init ${pmdaFolder}/pmcd/pmda_pmcd.so`,
      ...agents.map((agent) => agentLine(agent, folder)),
      ...own.map(({ name, domain, line }) => `${name} ${domain} ${line(folder)}`),
      "[access]",
      options.access ?? 'allow "*" : all;',
      "",
    ].join("\n"),
  );
  const port = options.port ?? (await freePort());
  const socket = join(folder, "run", "pmcd.socket");
  const logFile = join(folder, "log", "pmcd.log");
  const loopback = (await hasIpv6Loopback()) ? ["127.0.0.1", "::1"] : ["127.0.0.1"];
  const interfaces = options.interfaces ?? loopback;
  const argv = [
    ["/usr/lib/pcp/bin/pmcd", "-f", "-A", "-l", logFile, "-c", configuration],
    ["-n", join(folder, "pmns"), "-p", String(port), "-s", socket],
    interfaces.flatMap((address) => ["-i", address]),
    options.requireCertificate === true ? ["-Q"] : [],
    options.requireCredentials === true ? ["-S"] : [],
    options.args ?? [],
  ].flat();
  const env = {
    ...serverEnv,
    PMCD_ROOT_AGENT: "0", // start agents itself, never ask the machine's own pmdaroot
    ...(options.sasl === undefined ? {} : { SASL_CONF_PATH: join(folder, "sasl") }),
    ...options.env,
  };
  const clientEnv = clientEnvironment(tree, options.tls);

  const start = async (): Promise<Daemon> => {
    rmSync(socket, { force: true }); // a killed pmcd leaves it behind
    const command = options.hosts === undefined ? argv : withHosts(argv, options.hosts, folder);
    const daemon = startDaemon(tree.command(command), join(folder, "log", "pmcd.out"), { env });
    const probe = agents.includes("simple") ? ["simple.numfetch"] : [];
    if (agents.includes("sample")) probe.push("sample.long.one");
    for (const { probe: metric } of own) if (metric !== undefined) probe.push(metric);
    probe.push("pmcd.version");
    const ready = async () => {
      if (!(await isListening({ path: socket }))) return false;
      const result = await runIn(tree, ["pmprobe", "-h", `unix:${socket}`, ...probe], {
        env: clientEnv,
      });
      const lines = result.stdout.trim().split("\n");
      return lines.length === probe.length && lines.every((line) => / [1-9]\d*$/.test(line));
    };
    if (!(await waitUntil(ready, daemon.alive))) {
      await daemon.stop();
      throw new Error(`pmcd is not ready:\n${logs(folder, ["pmcd.out", "pmcd.log"])}`);
    }
    return daemon;
  };
  let daemon = await start();
  return {
    tree,
    folder,
    port,
    socket,
    logFile,
    clientEnv,
    daemon: () => daemon,
    restart: async () => {
      await daemon.stop();
      daemon = await start();
    },
    stop: () => daemon.stop(),
  };
}

/** The text of log files that exist, for an error message. */
function logs(folder: string, names: readonly string[]): string {
  const paths = names.map((name) => join(folder, "log", name)).filter((path) => existsSync(path));
  return paths.map((path) => `${path}:\n${readFileSync(path, "utf8")}`).join("\n");
}

/** A running private key server. */
export interface KeyServer {
  readonly port: number;
  readonly daemon: Daemon;
  stop(): Promise<void>;
}

/** Starts a private Redis or Valkey on 127.0.0.1 that keeps nothing. */
export async function startKeyServer(tree: PcpTree, port?: number): Promise<KeyServer> {
  const chosen = port ?? (await freePort());
  const folder = privateFolder("keys");
  const log = join(folder, "keys.log");
  const argv = [
    [tree.keyServer, "--bind", "127.0.0.1", "--port", String(chosen), "--dir", folder],
    ["--save", "", "--appendonly", "no", "--daemonize", "no"],
  ].flat();
  const daemon = startDaemon(tree.command(argv), log);
  const ready = () => isListening({ host: "127.0.0.1", port: chosen });
  if (!(await waitUntil(ready, daemon.alive))) {
    await daemon.stop();
    throw new Error(`${tree.keyServer} is not ready: see ${log}`);
  }
  return { port: chosen, daemon, stop: () => daemon.stop() };
}

/** How the real pmproxy is started. */
export interface PmproxyOptions {
  readonly port?: number;
  /** Text of pmproxy.conf; PCP and HTTP on, no key server, by default. */
  readonly conf?: string;
  readonly keyServerPort?: number;
  /** Serve TLS with these certificates. */
  readonly tls?: TlsFiles;
  /** More arguments, for instance `-d`. */
  readonly args?: readonly string[];
  /** More variables, for instance PMCD_PORT for /pmapi requests. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A running proxy: the real one or ours. */
export interface Proxy {
  readonly port: number;
  /** Path of its unix socket. */
  readonly socket: string;
  readonly logFile: string;
  readonly daemon: Daemon;
  stop(): Promise<void>;
}

/** pmproxy.conf with the key server at `keyServerPort`, or without one. */
export function pmproxyConf(tree: PcpTree, options: PmproxyOptions): string {
  const on = String(options.keyServerPort !== undefined);
  const [relay, section] = tree.name === "pcp6" ? ["redis", "redis"] : ["resp", "keys"];
  return [
    "[pmproxy]",
    "pcp.enabled = true",
    "http.enabled = true",
    `${relay}.enabled = ${on}`,
    `secure.enabled = ${options.tls !== undefined}`,
    `[${section}]`,
    `enabled = ${on}`,
    `servers = 127.0.0.1:${options.keyServerPort ?? 6379}`,
    "[discover]",
    "enabled = false",
    "[pmsearch]",
    `enabled = ${on}`,
    "[pmseries]",
    `enabled = ${on}`,
    "",
  ].join("\n");
}

/** Starts the tree's own pmproxy on the loopback addresses: the reference for differential tests and benchmarks. */
export function startRealPmproxy(tree: PcpTree, options: PmproxyOptions = {}): Promise<Proxy> {
  const command = (argv: readonly string[]) => tree.command(["/usr/lib/pcp/bin/pmproxy", ...argv]);
  return startProxyProgram(tree, command, options);
}

/**
 * Starts a program that takes pmproxy's options, in the foreground, on the loopback addresses and on a
 * unix socket, with the pcp.conf of `tree`. `command` makes the whole command of its arguments.
 */
export async function startProxyProgram(
  tree: PcpTree,
  command: (argv: readonly string[]) => string[],
  options: PmproxyOptions,
): Promise<Proxy> {
  const folder = privateFolder(`${tree.name}-proxy`);
  const tlsConf = options.tls === undefined ? "" : serverTlsConf(options.tls);
  const ownEnv = writePcpConf(tree, folder, tlsConf);
  const configuration = join(folder, "pmproxy.conf");
  writeFileSync(configuration, options.conf ?? pmproxyConf(tree, options));
  const port = options.port ?? (await freePort());
  const socket = join(folder, "run", "pmproxy.socket");
  const logFile = join(folder, "log", "pmproxy.log");
  const argv = command(
    [
      ["-f", "-A", "-l", logFile, "-c", configuration, "-p", String(port), "-s", socket],
      ["-x", join(folder, "log", "fatal")],
      options.args ?? [],
    ].flat(),
  );
  const env = { ...ownEnv, PMPROXY_LOCAL: "1", ...options.env };
  const daemon = startDaemon(argv, join(folder, "log", "pmproxy.out"), { env });
  const ready = () => isListening({ host: "127.0.0.1", port });
  if (!(await waitUntil(ready, daemon.alive))) {
    await daemon.stop();
    throw new Error(`${argv[0]} is not ready:\n${logs(folder, ["pmproxy.out", "pmproxy.log"])}`);
  }
  return { port, socket, logFile, daemon, stop: () => daemon.stop() };
}
