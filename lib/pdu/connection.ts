// Connecting to pmcd: the places of a host specification one after the other, a socket, the session
// (spec pdu.md 8.1). Refuses specifications that name no host. Reads no arguments; the environment
// is handed in.
import type { Socket } from "node:net";
import { asPcpError, MAX_REPLY_BYTES, PcpError, PDU_CEILING, PM_ERR } from "../base/mod.ts";
import { type HostSpec, parseHostSpec } from "../pcp/mod.ts";
import {
  type ConnectionSettings,
  connectionSettings,
  dial,
  type Environment,
  errnoError,
  greetProxy,
  planTargets,
  type Warn,
} from "./endpoint.ts";
import { shakeHands, wishesOf } from "./handshake.ts";
import { createLink, QUEUE_LIMIT } from "./link.ts";
import { type ConnectObserver, step, type Watch } from "./observe.ts";
import { type PmcdConnection, requestsOver } from "./requests.ts";
import { describeTarget, type Target } from "./target.ts";
import { DEFAULT_TLS, readTlsConf, type TlsSettings } from "./tlsconf.ts";

/** How to connect. All may be left out. */
export interface ConnectOptions {
  /** Variables of spec pdu.md 7.6; process.env by default. */
  readonly env?: Environment;
  /** What was read from the environment already: then `env` is not looked at for it. */
  readonly settings?: ConnectionSettings;
  /** Takes warnings about bad variables; by default they are dropped. */
  readonly warn?: Warn;
  /** TLS settings; by default those of the file PCP_TLSCONF_PATH or /etc/pcp/tls.conf. */
  readonly tls?: TlsSettings;
  /** Largest reply in bytes. */
  readonly replyCeiling?: number;
  /** Largest request in bytes: that of pmcd's -L. */
  readonly requestCeiling?: number;
  /** Requests that may wait behind the one that is outstanding. */
  readonly queueLimit?: number;
  /** Process id to show to pmcd. */
  readonly pid?: number;
  /** Is told each step of connecting, with its times and what came of it. */
  readonly observe?: ConnectObserver;
  /** Gives connecting up: -ECANCELED. A connection that is there already stays. */
  readonly signal?: AbortSignal;
}

const cancelled = (): PcpError => errnoError("ECANCELED", "connecting was given up");

const DEFAULT_TLS_CONF = "/etc/pcp/tls.conf";

/** The link of a connected socket, greeted and open for requests. */
async function establish(
  socket: Socket,
  target: Target,
  spec: HostSpec,
  settings: ConnectionSettings,
  options: ConnectOptions,
  watch: Watch | undefined,
): Promise<PmcdConnection> {
  const limit = settings.requestTimeout;
  const early =
    target.kind === "proxy"
      ? await step(
          watch,
          () => greetProxy(socket, target, limit),
          () => ({ kind: "greeting", host: target.host, port: target.port }),
        )
      : undefined;
  const env = options.env ?? process.env;
  const wishes = wishesOf(spec, settings.secureSockets, settings.container);
  const link = createLink(
    socket,
    {
      ceiling: options.replyCeiling ?? MAX_REPLY_BYTES,
      queueLimit: options.queueLimit ?? QUEUE_LIMIT,
      timeout: limit,
    },
    early,
  );
  try {
    const tls =
      options.tls ??
      (wishes.security === "plain"
        ? DEFAULT_TLS
        : readTlsConf(env["PCP_TLSCONF_PATH"] ?? DEFAULT_TLS_CONF));
    const pid = options.pid ?? process.pid;
    const session = await shakeHands(link, { target, wishes, tls, pid, limit, watch });
    return requestsOver(link, target, session, options.requestCeiling ?? PDU_CEILING);
  } catch (error) {
    link.fail(asPcpError(error));
    throw error;
  }
}

/**
 * Connects to pmcd: tries the places of the specification in order, each with all its addresses at
 * once, and sets up the session (spec pdu.md 8.1). Throws PcpError: that of a bad specification;
 * PM_ERR_NOTHOST, -EPERM; else the error of the last place: -EHOSTUNREACH, -ECONNREFUSED,
 * -ETIMEDOUT, PM_ERR_TIMEOUT, PM_ERR_PERMISSION, PM_ERR_CONNLIMIT, PM_ERR_NEEDCLIENTCERT,
 * -EOPNOTSUPP, PM_ERR_TLS, a SASL code, PM_ERR_IPC; always -ENOENT for `unix:`; -ECANCELED.
 */
export async function connectPmcd(
  spec: HostSpec | string,
  options: ConnectOptions = {},
): Promise<PmcdConnection> {
  const settings =
    options.settings ??
    connectionSettings(options.env ?? process.env, options.warn ?? (() => undefined));
  const parsed = typeof spec === "string" ? parseHostSpec(spec, settings.defaultSocket) : spec;
  const { observe, signal } = options;
  const isCancelled = (): boolean => signal?.aborted === true;
  const started = performance.now();
  let failure = new PcpError(PM_ERR.NOTHOST);
  for (const target of planTargets(parsed, settings)) {
    let socket: Socket | undefined;
    if (isCancelled()) throw cancelled();
    const giveUp = (): void => void socket?.destroy();
    const watch = observe === undefined ? undefined : { observe, target, started };
    try {
      socket = await dial(target, settings.connectTimeout, watch, signal);
      signal?.addEventListener("abort", giveUp);
      if (isCancelled()) giveUp();
      return await establish(socket, target, parsed, settings, options, watch);
    } catch (error) {
      failure = asPcpError(error);
      // Without a proxy there is no way to any port behind it.
      if (socket === undefined && target.kind === "proxy") throw failure;
      socket?.destroy();
      if (target.kind === "socket" && target.strict)
        failure = errnoError("ENOENT", `${describeTarget(target)} (${failure.message})`, error);
    } finally {
      signal?.removeEventListener("abort", giveUp);
    }
  }
  throw isCancelled() ? cancelled() : failure;
}
