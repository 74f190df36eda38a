// The listening sockets: TCP on both families, the unix socket, and sockets that were open before the
// process began, all feeding one accept path. Says what could not be opened in PCP's words (spec
// proxy.md 6); whether that ends the start-up is decided here, by whether the port was named.

import { lookup } from "node:dns/promises";
import { chmodSync, lstatSync, unlinkSync } from "node:fs";
import { isIP } from "node:net";
import type { SocketListener, TCPSocketListenOptions } from "bun";
import {
  isAnswered,
  type Log,
  PcpError,
  setBacklog,
  setKeepAlive,
  socketName,
} from "../base/mod.ts";
import type { ListenSettings } from "./settings.ts";
import type { PortRow } from "./types.ts";
import { acceptHandlers, descriptorOf, type NativeWire, type OnFault } from "./wire.ts";

export interface Listeners {
  readonly rows: readonly PortRow[];
  /** TCP ports that are really open, for advertisement. */
  readonly ports: readonly number[];
  /** Stops accepting; what is open stays open. Removes the unix socket. */
  stop(): void;
}

/** An address to listen on, and how the port table shows it. */
interface Address {
  readonly address: string;
  readonly family: "inet" | "ipv6";
  readonly shown: string;
}

const V4_ANY: Address = { address: "0.0.0.0", family: "inet", shown: "INADDR_ANY" };
const V6_ANY: Address = { address: "::", family: "ipv6", shown: "INADDR_ANY" };
const V4_LOOPBACK: Address = { address: "127.0.0.1", family: "inet", shown: "INADDR_LOOPBACK" };
const V6_LOOPBACK: Address = { address: "::1", family: "ipv6", shown: "INADDR_LOOPBACK" };

async function addressesOf(name: string): Promise<readonly Address[]> {
  if (name === "INADDR_ANY") return [V4_ANY, V6_ANY];
  if (name === "INADDR_LOOPBACK") return [V4_LOOPBACK, V6_LOOPBACK];
  const family = isIP(name);
  if (family !== 0) return [{ address: name, family: family === 4 ? "inet" : "ipv6", shown: name }];
  const found = await lookup(name, { all: true });
  return found.map((entry) => ({
    address: entry.address,
    family: entry.family === 4 ? "inet" : "ipv6",
    shown: name,
  }));
}

/** Every address to be opened, each once; a name that does not resolve is an error naming it. */
async function allAddresses(settings: ListenSettings): Promise<readonly Address[]> {
  if (settings.interfaces.length === 0) {
    return settings.localOnly ? [V4_LOOPBACK, V6_LOOPBACK] : [V4_ANY, V6_ANY];
  }
  // Two names may stand for the same address: it is opened once, under the first.
  const addresses = new Map<string, Address>();
  for (const name of settings.interfaces) {
    try {
      for (const each of await addressesOf(name)) {
        if (!addresses.has(each.address)) addresses.set(each.address, each);
      }
    } catch (error) {
      const port = settings.ports[0] ?? 0;
      const text = `OpenRequestSocket(${port}, ${name}) invalid address`;
      throw new PcpError(-22, text, { cause: error });
    }
  }
  return [...addresses.values()];
}

/** libuv's words for the errors that listening has, which PCP's log shows. */
const LISTEN_ERRORS: Readonly<Record<string, string>> = {
  EADDRINUSE: "address already in use",
  EADDRNOTAVAIL: "address not available",
  EACCES: "permission denied",
  EAFNOSUPPORT: "address family not supported",
  ENOENT: "no such file or directory",
  EINVAL: "invalid argument",
  EMFILE: "too many open files",
  EROFS: "read-only file system",
};

function described(error: unknown): { code: string; text: string } {
  const name = error instanceof Error && "code" in error ? String(error.code) : "EIO";
  const message = error instanceof Error ? error.message : String(error);
  return { code: name, text: `[${name}]: ${LISTEN_ERRORS[name] ?? message}` };
}

/** Nothing that matters is lost when a family is missing from this machine. */
const HARMLESS: ReadonlySet<string> = new Set(["EADDRNOTAVAIL", "EAFNOSUPPORT"]);

/** Who takes the connections. */
export interface Taker {
  accept(wire: NativeWire): void;
  readonly onFault: OnFault;
}

class Opener {
  readonly rows: PortRow[] = [];
  readonly ports = new Set<number>();
  readonly listeners: SocketListener<NativeWire>[] = [];
  private unixSocket:
    { listener: SocketListener<NativeWire>; path: string; inode: number } | undefined;
  /** Connections have keep-alive from the socket that accepted them. */
  private keepAliveInherited = true;
  /** Named ports that failed. */
  readonly failures: string[] = [];

  constructor(
    private readonly settings: ListenSettings,
    private readonly log: Log,
    private readonly taker: Taker,
  ) {}

  private tcpHandlers() {
    const { accept, onFault } = this.taker;
    return acceptHandlers((wire) => {
      if (!this.keepAliveInherited) wire.setKeepAlive(this.settings.keepaliveSeconds);
      accept(wire);
    }, onFault);
  }

  private opened(listener: SocketListener<NativeWire>, row: Omit<PortRow, "ok" | "fd">): void {
    const fd = descriptorOf(listener);
    try {
      setBacklog(fd, this.settings.maxPending);
    } catch (error) {
      this.log.debug(`backlog not set: ${described(error).text}`);
    }
    const { keepaliveSeconds } = this.settings;
    if (row.family !== "unix" && keepaliveSeconds > 0) {
      try {
        setKeepAlive(fd, keepaliveSeconds);
      } catch (error) {
        this.keepAliveInherited = false;
        this.log.debug(`keep-alive set for each connection: ${described(error).text}`);
      }
    }
    this.listeners.push(listener);
    this.rows.push({ ok: true, fd, ...row });
  }

  tcp(port: number, { address, family, shown }: Address): void {
    const row = { port, family, address: shown };
    try {
      // Bun knows ipv6Only here too, its types only for Bun.connect.
      const options: TCPSocketListenOptions<NativeWire> & { ipv6Only: boolean } = {
        hostname: address,
        port,
        ipv6Only: true,
        allowHalfOpen: true,
        socket: this.tcpHandlers(),
      };
      const listener = Bun.listen(options);
      this.opened(listener, row);
      this.ports.add(listener.port);
    } catch (error) {
      const { code, text } = described(error);
      const what = `pmproxy: open_request_port - uv_listen failed port=${port} ${text}`;
      this.log.error(what);
      this.rows.push({ ok: false, fd: -1, ...row });
      if (!HARMLESS.has(code) || this.settings.interfaces.length > 0) this.failures.push(what);
    }
  }

  async unix(path: string): Promise<void> {
    const row = { port: undefined, family: "unix" as const, address: path };
    try {
      const there = lstatSync(path, { throwIfNoEntry: false });
      if (there?.isSocket() === true && !(await isAnswered(path))) unlinkSync(path);
      const listener = Bun.listen<NativeWire>({
        unix: path,
        allowHalfOpen: true,
        socket: acceptHandlers(this.taker.accept, this.taker.onFault),
      });
      this.opened(listener, row);
      this.unixSocket = { listener, path, inode: lstatSync(path).ino };
      chmodSync(path, 0o777);
    } catch (error) {
      const { text } = described(error);
      this.log.error(`pmproxy: open_request_local - uv_pipe_bind ${path} failed ${text}`);
      this.rows.push({ ok: false, fd: -1, ...row });
    }
  }

  /** A socket that whoever started us had opened. Throws a PcpError naming one that is none. */
  inherited(fd: number, name: string): void {
    const wrong = (error: unknown): PcpError => {
      const reason = error instanceof Error ? error.message : String(error);
      return new PcpError(-22, `inherited socket ${name} (descriptor ${fd}): ${reason}`);
    };
    let found: ReturnType<typeof socketName>;
    let listener: SocketListener<NativeWire>;
    try {
      found = socketName(fd);
      if (!found.listening) throw new Error("not a listening stream socket");
      listener = Bun.listen<NativeWire>({
        fd,
        allowHalfOpen: true,
        socket: this.tcpHandlers(),
      } as unknown as Parameters<typeof Bun.listen<NativeWire>>[0]);
    } catch (error) {
      throw wrong(error);
    }
    const { family, address, port } = found;
    const shown = address === "" ? name : address;
    if (family === "unix") {
      this.opened(listener, { port: undefined, family, address: shown });
    } else {
      this.opened(listener, { port, family: family === "tcp4" ? "inet" : "ipv6", address: shown });
      this.ports.add(port);
    }
  }

  stop(): void {
    const unix = this.unixSocket;
    this.unixSocket = undefined;
    const there = unix && lstatSync(unix.path, { throwIfNoEntry: false });
    const replaced = there !== undefined && there.ino !== unix?.inode;
    for (const listener of this.listeners) {
      // Bun removes the path with the socket. When somebody else's socket is there by now, ours,
      // which nobody can reach any more, stays until the process ends.
      if (replaced && listener === unix?.listener) listener.unref();
      else listener.stop(false);
    }
    this.listeners.length = 0;
    if (unix === undefined || there === undefined || replaced) return;
    try {
      if (lstatSync(unix.path, { throwIfNoEntry: false }) !== undefined) unlinkSync(unix.path);
    } catch (error) {
      // The user that the process became may not own the directory.
      this.log.warning(`cannot remove ${unix.path} ${described(error).text}`);
    }
  }
}

/**
 * Opens what `settings` name; each connection goes to `taker`. Throws a PcpError when nothing could
 * be opened for clients, or when a port that was named could not.
 */
export async function openListeners(
  settings: ListenSettings,
  log: Log,
  taker: Taker,
): Promise<Listeners> {
  const opener = new Opener(settings, log, taker);
  try {
    for (const { fd, name } of settings.inherited) opener.inherited(fd, name);
    if (settings.socketPath !== undefined) await opener.unix(settings.socketPath);
    if (settings.inherited.length === 0 || settings.portsNamed) {
      const addresses = await allAddresses(settings);
      for (const port of settings.ports) {
        // A port chosen by the system cannot be the same number for two addresses.
        const where = port === 0 ? [V4_LOOPBACK] : addresses;
        for (const address of where) opener.tcp(port, address);
      }
    }
    const tcpOpen = opener.ports.size > 0 || settings.inherited.length > 0;
    if (!tcpOpen || (settings.portsNamed && opener.failures.length > 0)) {
      throw new PcpError(-98, "pmproxy: can't open any request ports, exiting");
    }
  } catch (error) {
    opener.stop();
    throw error;
  }
  return {
    rows: opener.rows,
    ports: [...opener.ports],
    stop: () => opener.stop(),
  };
}
