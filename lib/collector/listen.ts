// A collector for PCP's clients: TCP ports and the unix socket on which pmcd would listen, and a
// session for each client (spec pdu.md 8, pmcd(1)). Refuses ports that are taken, each by name, and
// clients above a bounded number.
import { chmodSync, existsSync, lstatSync, readFileSync, unlinkSync } from "node:fs";
import { hostname, networkInterfaces } from "node:os";
import { dirname } from "node:path";
import { createSecureContext, type SecureContext } from "node:tls";
import type { SocketHandler, SocketListener, TCPSocketListenOptions } from "bun";
import {
  isAnswered,
  asPcpError,
  openFileLimit,
  PcpError,
  peerCredentials,
  PM_ERR,
  pmErrStr,
} from "../base/mod.ts";
import {
  type AccessNames,
  type AccessRule,
  type Account,
  type ClientHost,
  createAccessControl,
} from "./access.ts";
import { type ClientTable, createClientTable } from "./clients.ts";
import { contextLabels } from "./context-labels.ts";
import { keepMemorySmall } from "./housekeeping.ts";
import { createSession, errorChallenge, type SessionSetting } from "./session.ts";
import type { Router } from "./types.ts";
import { ClientWire } from "./wire.ts";

/** Most clients at a time unless told otherwise: pmcd's own is what its descriptors give. */
const MAX_CLIENTS = 4096;
/** Descriptors that are kept for everything else: listeners, agents, files that are being read. */
const OTHER_FILES = 40;
const FEWEST_CLIENTS = 8;

/** How a collector listens. */
export interface ListenOptions {
  readonly router: Router;
  /** Ports on every address of `interfaces`; 0 for a free one. */
  readonly ports: readonly number[];
  /** Addresses to listen on: all when left out. */
  readonly interfaces?: readonly string[];
  /** Path of the unix socket; none when left out. */
  readonly socketPath?: string | undefined;
  readonly rules?: readonly AccessRule[];
  /** Certificate chain, key and, to check clients, authorities, as PEM text. */
  readonly tls?: {
    readonly cert: string;
    readonly key: string;
    readonly ca?: string | undefined;
    readonly needsCertificate?: boolean;
  };
  readonly maxClients?: number;
  /** Where clients are written down; a table of its own when left out. */
  readonly clients?: ClientTable;
  /** PCP_SYSCONF_DIR is looked at. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly log: (level: "Info" | "Warning" | "Error", text: string) => void;
}

/** A collector that listens. */
export interface CollectorServer {
  /** TCP ports that are open. */
  readonly ports: readonly number[];
  readonly clients: number;
  /** Other access rules from now on, for clients that are there as well. */
  setRules(rules: readonly AccessRule[]): Promise<void>;
  /** Stops listening and ends every client. */
  stop(): void;
}

/** Fields of the lines of /etc/passwd or /etc/group. */
function accounts(path: string): readonly (readonly string[])[] {
  try {
    return readFileSync(path, "utf8")
      .split("\n")
      .map((line) => line.split(":"));
  } catch (error) {
    if (asPcpError(error).code === PM_ERR.GENERIC) throw error;
    return [];
  }
}

const numberOf = (path: string, name: string): number | undefined => {
  const found = accounts(path).find((fields) => fields[0] === name)?.[2];
  return found !== undefined && /^\d+$/.test(found) ? Number(found) : undefined;
};

/** Groups of an account: its own and those that list its name. */
function groupsOf(uid: number, gid: number): number[] {
  const name = accounts("/etc/passwd").find((fields) => fields[2] === String(uid))?.[0];
  const more = accounts("/etc/group")
    .filter((fields) => name !== undefined && (fields[3] ?? "").split(",").includes(name))
    .map((fields) => Number(fields[2]));
  return [gid, ...more.filter((each) => each !== gid)];
}

const OWN_ADDRESSES = (): string[] => [
  "127.0.0.1",
  "::1",
  ...Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map((at) => at.address)),
];

/** Names of access rules; hosts must have been resolved before, since rules are judged at once. */
async function accessNames(
  rules: readonly AccessRule[],
  warn: (text: string) => void,
): Promise<AccessNames> {
  const { lookup } = await import("node:dns/promises");
  const hosts = new Map<string, readonly string[]>([["localhost", OWN_ADDRESSES()]]);
  for (const { subject, id, line } of rules) {
    if (subject !== "host" || hosts.has(id) || /[:*]|^[\d.]+$/.test(id)) continue;
    const found = await lookup(id, { all: true }).catch((error: unknown) => {
      const { message } = asPcpError(error);
      warn(`access rule of line ${line}: host "${id}" is nobody's: ${message}`);
      return [];
    });
    hosts.set(
      id,
      found.map(({ address }) => address),
    );
  }
  return {
    addresses: (host) => hosts.get(host) ?? (host === hostname() ? OWN_ADDRESSES() : []),
    uid: (user) => numberOf("/etc/passwd", user),
    gid: (group) => numberOf("/etc/group", group),
  };
}

/** The account of a client of the unix socket. */
function accountOf(socket: object): (Account & { readonly pid: number }) | undefined {
  const fd = "fd" in socket && typeof socket.fd === "number" ? socket.fd : -1;
  if (fd < 0) return undefined;
  const { pid, uid, gid } = peerCredentials(fd);
  return { pid, uid, gids: groupsOf(uid, gid) };
}

/**
 * Most clients at a time. Above the limit of open files none could be told that there are too many, and
 * the kernel would offer those that wait again and again.
 */
function clientLimit(wanted = MAX_CLIENTS): number {
  const files = Number(openFileLimit().soft);
  return Math.min(wanted, Math.max(FEWEST_CLIENTS, files - OTHER_FILES));
}

/** Makes a wire and a session of each connection. */
function clientHandlers(
  kind: ClientHost["kind"],
  setting: SessionSetting,
  options: ListenOptions,
  secure: SecureContext | undefined,
  wires: Set<ClientWire>,
): SocketHandler<ClientWire> {
  const { log } = options;
  const maxClients = clientLimit(options.maxClients);
  return {
    open(socket) {
      const wire = new ClientWire(socket, () => wires.delete(wire));
      socket.data = wire;
      if (wires.size >= maxClients) {
        wire.send(errorChallenge(PM_ERR.CONNLIMIT));
        wire.close();
        return;
      }
      wires.add(wire);
      const host: ClientHost =
        kind === "unix" ? { kind } : { kind, address: socket.remoteAddress.replace(/%.*$/, "") };
      let account: ReturnType<typeof accountOf>;
      try {
        account = kind === "unix" ? accountOf(socket) : undefined;
      } catch (error) {
        log("Warning", `credentials of a client: ${asPcpError(error).message}`);
      }
      const needsCertificate = options.tls?.needsCertificate === true;
      wire.session = createSession(
        {
          host,
          account,
          send: (bytes) => wire.send(bytes),
          hold: (held) => wire.hold(held),
          close: () => wire.close(),
          startTls:
            secure === undefined
              ? undefined
              : (rest) => wire.startTls(rest, secure, needsCertificate),
        },
        setting,
      );
    },
    data: (socket, bytes) => socket.data.received(bytes),
    drain: (socket) => socket.data.flush(),
    close: (socket) => socket.data.ended(),
    end: (socket) => {
      socket.end();
    },
    error: (socket) => socket.data.ended(),
  };
}

/** Opens the unix socket, in place of one that nobody listens on any more. */
async function openUnix(
  path: string,
  socket: SocketHandler<ClientWire>,
): Promise<SocketListener<ClientWire>> {
  const there = lstatSync(path, { throwIfNoEntry: false });
  if (there !== undefined && (!there.isSocket() || (await isAnswered(path))))
    throw new PcpError(-98, `${path}: ${there.isSocket() ? "somebody listens" : "is no socket"}`);
  if (there !== undefined) unlinkSync(path);
  const folder = dirname(path);
  if (!existsSync(folder)) throw new PcpError(-2, `cannot listen on ${path}: no folder ${folder}`);
  try {
    const listener = Bun.listen<ClientWire>({ unix: path, socket });
    chmodSync(path, 0o777);
    return listener;
  } catch (error) {
    // Bun has no code for some of these faults, such as a path that is too long.
    const { code, message } = asPcpError(error);
    const reason = code === PM_ERR.GENERIC ? message : pmErrStr(code);
    throw new PcpError(code, `cannot listen on ${path}: ${reason}`, { cause: error });
  }
}

/** Listens. Throws PcpError naming the port or path that cannot be opened, or what TLS lacks. */
export async function listenForClients(options: ListenOptions): Promise<CollectorServer> {
  const { router, ports, interfaces = ["0.0.0.0", "::"], rules = [], env, log, tls } = options;
  const secure =
    tls === undefined ? undefined : createSecureContext({ ...tls, minVersion: "TLSv1.2" });
  const warn = (text: string): void => log("Warning", text);
  const control = async (from: readonly AccessRule[]) =>
    createAccessControl(from, await accessNames(from, warn));
  let access = await control(rules);
  const setting: SessionSetting = {
    router,
    clients: options.clients ?? createClientTable(),
    get access() {
      return access;
    },
    contextLabels: (account) =>
      contextLabels({
        env,
        warn,
        account: account && { uid: account.uid, gid: account.gids[0] ?? 0 },
      }),
    needsCertificate: tls?.needsCertificate === true,
  };
  const wires = new Set<ClientWire>();
  const listeners: SocketListener<ClientWire>[] = [];
  const open: number[] = [];
  const stopHousekeeping = keepMemorySmall(setting.clients);
  const stop = (): void => {
    stopHousekeeping();
    for (const listener of listeners.splice(0)) listener.stop(true);
    for (const wire of wires) wire.socket.terminate();
  };
  try {
    for (const port of ports) {
      let actual = port;
      for (const address of interfaces) {
        try {
          // Bun knows ipv6Only here too, its types only for Bun.connect.
          const wanted: TCPSocketListenOptions<ClientWire> & { ipv6Only: boolean } = {
            hostname: address,
            port: actual,
            ipv6Only: true,
            socket: clientHandlers("inet", setting, options, secure, wires),
          };
          const listener = Bun.listen<ClientWire>(wanted);
          listeners.push(listener);
          actual = listener.port;
        } catch (error) {
          const { code } = asPcpError(error);
          // A machine without one family of addresses listens on the other.
          if (options.interfaces === undefined && (code === -97 || code === -99)) continue;
          const reason = code === PM_ERR.GENERIC ? asPcpError(error).message : pmErrStr(code);
          throw new PcpError(code, `cannot listen on ${address} port ${actual}: ${reason}`);
        }
      }
      open.push(actual);
    }
    if (options.socketPath !== undefined) {
      const handlers = clientHandlers("unix", setting, options, secure, wires);
      listeners.push(await openUnix(options.socketPath, handlers));
    }
  } catch (error) {
    stop();
    throw error;
  }
  return {
    ports: open,
    get clients() {
      return wires.size;
    },
    async setRules(others) {
      access = await control(others);
      for (const wire of wires) wire.session?.admitAgain();
    },
    stop,
  };
}
