// The proxy as its starter sees it: what `startProxy` takes and gives. Types only, so that the
// command can be tested with a stand-in.

import type { Log } from "../base/mod.ts";
import type { Context } from "../context/mod.ts";
import type { WebApi } from "../web/mod.ts";
import type { ProxySettings } from "./settings.ts";

/** One line of the port table (spec proxy.md 5.1). */
export interface PortRow {
  readonly ok: boolean;
  /** Descriptor; -1 when the socket could not be opened. */
  readonly fd: number;
  /** The port asked for (0: chosen by the system); undefined for a unix socket. */
  readonly port: number | undefined;
  readonly family: "inet" | "ipv6" | "unix";
  /** As given: address, INADDR_ANY, INADDR_LOOPBACK, or the path of a unix socket. */
  readonly address: string;
}

/** State for a dump on demand and for /-/status; only JSON values. */
export interface ProxyStatus {
  readonly [name: string]: unknown;
}

/** A running proxy. */
export interface Proxy {
  readonly rows: readonly PortRow[];
  /**
   * Opens what makes files (time series, what is recorded): to be called once, when the process is the user
   * that it stays.
   */
  begin(): void;
  /** Takes over the live settings of `settings`; the others stay as they are. */
  reload(settings: ProxySettings): void;
  status(): ProxyStatus;
  /** Stops accepting, lets replies under way finish for at most `ms`; then everything is closed. */
  drain(ms: number): Promise<void>;
  /**
   * Closes all connections now and removes the unix socket; resolves when what makes files is closed, too,
   * which has a limit. Never rejects. Harmless when repeated.
   */
  close(): Promise<void>;
}

/** What a server is given ready-made, in place of its own. */
export interface ProxyParts {
  /** Answers the requests that need a pmcd; closed with the server. */
  readonly api?: WebApi;
  /** Opens what stands in for the pmcd of this machine in HTTP requests while none answers. */
  readonly fallback?: () => Promise<Context>;
}

/**
 * Opens the sockets and serves. Throws a PcpError listing the failures when no request port can be
 * opened, or when one of the named ports cannot.
 */
export type StartProxy = (settings: ProxySettings, log: Log, parts?: ProxyParts) => Promise<Proxy>;
