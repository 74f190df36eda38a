// Where a pmcd is and how to get a byte stream to it: client settings from the environment, the
// ordered list of places to try, dialling all addresses of a name at once, the greeting of a
// pmproxy, and the back-off between reconnections (spec pdu.md 7.6, 8.1, 8.7, 12.2).
// Refuses bad lists and numbers with PCP's warnings and goes on with the defaults.
import { lookup } from "node:dns/promises";
import { connect, isIP, type Socket } from "node:net";
import {
  CONNECT_TIMEOUT_SECONDS,
  PcpError,
  PM_ERR,
  pmErrCode,
  pmErrStr,
  PMCD_PORT,
  PMPROXY_PORT,
  RECONNECT_DELAYS_SECONDS,
  REQUEST_TIMEOUT_SECONDS,
  utf8,
  wholeNumber,
} from "../base/mod.ts";
import { defaultSocketPath, type HostSpec } from "../pcp/mod.ts";
import { type ConnectFacts, report, step, type Watch } from "./observe.ts";
import { describeTarget, type Target } from "./target.ts";

/** Environment variables, as process.env has them. */
export type Environment = Readonly<Record<string, string | undefined>>;
/** Takes a warning for people, one line. */
export type Warn = (text: string) => void;

/** A PcpError for an errno by its name; `detail` says what it happened to. */
export function errnoError(name: string, detail: string, cause?: unknown): PcpError {
  const code = pmErrCode(name) ?? PM_ERR.GENERIC;
  return new PcpError(code, `${pmErrStr(code)}: ${detail}`, { cause });
}

/** The PcpError for what a socket, a resolver or a file call threw. */
function systemError(error: unknown, detail: string): PcpError {
  if (error instanceof PcpError) return error;
  const name = error instanceof Error && "code" in error ? error.code : undefined;
  if (typeof name === "string" && pmErrCode(name) !== undefined)
    return errnoError(name, detail, error);
  return errnoError("EHOSTUNREACH", `${detail} (${String(error)})`, error);
}

/**
 * The PcpError of a failed connect. A pmcd that refuses a host says so and resets the connection; a
 * close peer can do both before this side has looked, and what it said is lost. PCP's clients report
 * that as refused, too.
 */
const connectError = (error: unknown, detail: string): PcpError =>
  error instanceof Error && "code" in error && error.code === "ECONNRESET"
    ? errnoError("ECONNREFUSED", `${detail} (accepted and reset at once)`, error)
    : systemError(error, detail);

// ---------------------------------------------------------------- settings from the environment

/** What the environment says about connections to pmcd (spec pdu.md 7.6). */
export interface ConnectionSettings {
  /** Milliseconds for connecting to one place; 0: no limit. */
  readonly connectTimeout: number;
  /**
   * Milliseconds for the header of a reply, and again for its body; 0: no limit. Fractions of a
   * second count, also for the first challenge; PCP's clients cut them off and wait 10 s for that.
   */
  readonly requestTimeout: number;
  /** Seconds between attempts to reconnect; the last one repeats. */
  readonly reconnectDelays: readonly number[];
  /** Ports for hosts without ports, in order. */
  readonly pmcdPorts: readonly number[];
  readonly proxyHost: string | undefined;
  /** Port for a proxy without one: PCP uses the first entry of PMPROXY_PORT only. */
  readonly proxyPort: number;
  /** Socket of `local:` and `unix:` without a path. */
  readonly defaultSocket: string;
  /** PCP_SECURE_SOCKETS and PCP_CONTAINER as they are. */
  readonly secureSockets: string | undefined;
  readonly container: string | undefined;
}

/** Longest timer, in milliseconds: what a signed 32-bit number holds. */
const MAX_TIMER = 0x7fffffff;
/** Most entries taken from a list of ports or delays. */
const MAX_LIST = 64;

const DECIMAL = /^\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;

/**
 * A comma list of port numbers as PMCD_PORT has it: decimal, 0x hexadecimal or 0 octal; an empty
 * entry is 0. Undefined when an entry is bad or negative: the whole list is then of no use.
 */
export function parsePortList(text: string): number[] | undefined {
  const ports: number[] = [];
  for (const item of text.split(",").slice(0, MAX_LIST)) {
    const port = item === "" ? 0 : wholeNumber(item);
    if (port === undefined || port < 0 || port > 0x7fffffff) return undefined;
    ports.push(port);
  }
  return ports;
}

/** Milliseconds of a number of seconds, fractions kept; empty text is 0; undefined when bad. */
export function parseSeconds(text: string): number | undefined {
  if (text === "") return 0;
  if (!DECIMAL.test(text)) return undefined;
  const seconds = Number(text);
  return seconds < 0 ? undefined : Math.min(Math.ceil(seconds * 1000), MAX_TIMER);
}

/** Whole positive seconds, comma-separated; undefined when an entry is anything else. */
export function parseDelays(text: string): number[] | undefined {
  const items = text.split(",").slice(0, MAX_LIST);
  return items.every((item) => /^\s*\+?0*[1-9]\d{0,6}$/.test(item)) ? items.map(Number) : undefined;
}

/** A container name that current PCP accepts (spec pdu.md 8.8). */
const CONTAINER_NAME = /^[A-Za-z0-9._-]+$/;

/**
 * Reads the client variables. Bad time-outs, ports and delays give a warning and the default.
 * Throws PcpError -EINVAL for a bad PCP_CONTAINER.
 */
export function connectionSettings(env: Environment, warn: Warn): ConnectionSettings {
  const read = <T>(
    name: string,
    parse: (text: string) => T | undefined,
    missing: T,
    prefix = "",
  ): T => {
    const text = env[name];
    if (text === undefined) return missing;
    const value = parse(text);
    if (value === undefined) warn(`${prefix}ignored bad ${name} = '${text}'`);
    return value ?? missing;
  };
  const container = env["PCP_CONTAINER"];
  if (container !== undefined && !CONTAINER_NAME.test(container))
    throw errnoError("EINVAL", `bad container name PCP_CONTAINER = '${container}'`);
  return {
    connectTimeout: read("PMCD_CONNECT_TIMEOUT", parseSeconds, CONNECT_TIMEOUT_SECONDS * 1000),
    requestTimeout: read("PMCD_REQUEST_TIMEOUT", parseSeconds, REQUEST_TIMEOUT_SECONDS * 1000),
    reconnectDelays: read(
      "PMCD_RECONNECT_TIMEOUT",
      parseDelays,
      RECONNECT_DELAYS_SECONDS,
      "pmReconnectContext: ",
    ),
    pmcdPorts: read("PMCD_PORT", parsePortList, [PMCD_PORT]),
    proxyHost: env["PMPROXY_HOST"],
    proxyPort: read("PMPROXY_PORT", parsePortList, [PMPROXY_PORT])[0] ?? PMPROXY_PORT,
    defaultSocket: defaultSocketPath(env),
    secureSockets: env["PCP_SECURE_SOCKETS"],
    container,
  };
}

// ---------------------------------------------------------------- reconnecting

/** Seconds to wait after the `failures`-th failure in a row; 0 without a failure. */
export function reconnectDelay(delays: readonly number[], failures: number): number {
  if (failures <= 0) return 0;
  return delays[Math.min(failures, delays.length) - 1] ?? 0;
}

/** Says when the next attempt to connect may be made. */
export interface ReconnectPolicy {
  /** Milliseconds until an attempt is allowed; 0: now. */
  wait(now: number): number;
  /** Notes an attempt that failed at `now` milliseconds. */
  failed(now: number): void;
  /** Notes an attempt that failed at `now` but does not count; the next may follow after `pause`. */
  spared(now: number, pause: number): void;
  /** Notes a success: the next failure counts as the first. */
  succeeded(): void;
}

/** A policy with PCP's back-off (spec pdu.md 8.7). */
export function createReconnectPolicy(delays: readonly number[]): ReconnectPolicy {
  let failures = 0;
  let allowedAt = Number.NEGATIVE_INFINITY;
  return {
    wait: (now) => Math.max(0, allowedAt - now),
    failed(now) {
      failures += 1;
      allowedAt = now + reconnectDelay(delays, failures) * 1000;
    },
    spared(now, pause) {
      allowedAt = now + Math.min(pause, reconnectDelay(delays, 1) * 1000);
    },
    succeeded() {
      failures = 0;
      allowedAt = Number.NEGATIVE_INFINITY;
    },
  };
}

// ---------------------------------------------------------------- places to try

/**
 * The places that a specification stands for, in the order in which they are tried (spec pdu.md
 * 8.1). Throws PcpError: PM_ERR_NOTHOST without a host, -EPERM for a socket path together with
 * PMPROXY_HOST.
 */
export function planTargets(spec: HostSpec, settings: ConnectionSettings): Target[] {
  const [host, proxy] = spec.hosts;
  if (host === undefined) throw new PcpError(PM_ERR.NOTHOST, "the specification names no host");
  if (spec.transport !== "tcp") {
    if (settings.proxyHost !== undefined)
      throw errnoError("EPERM", `${host.name} cannot be reached through PMPROXY_HOST`);
    const socket: Target = {
      kind: "socket",
      path: host.name,
      strict: spec.transport === "unix",
    };
    if (socket.strict) return [socket];
    return [
      socket,
      ...settings.pmcdPorts.map((port): Target => ({ kind: "tcp", host: "localhost", port })),
    ];
  }
  const ports = host.ports.length > 0 ? host.ports : settings.pmcdPorts;
  const proxyHost = proxy?.name ?? settings.proxyHost;
  if (proxyHost === undefined)
    return ports.map((port): Target => ({ kind: "tcp", host: host.name, port }));
  const proxyPort = proxy?.ports[0] ?? settings.proxyPort;
  return ports.map((port): Target => ({
    kind: "proxy",
    proxyHost,
    proxyPort,
    host: host.name,
    port,
  }));
}

// ---------------------------------------------------------------- dialling

/** Addresses of a name that are tried at the same time, at most. */
const MAX_ADDRESSES = 32;

async function addressesOf(host: string): Promise<string[]> {
  if (host === "") throw errnoError("EHOSTUNREACH", "empty host name");
  if (isIP(host) !== 0) return [host];
  try {
    const found = await lookup(host, { all: true });
    if (found.length > 0) return found.slice(0, MAX_ADDRESSES).map(({ address }) => address);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "EAI_AGAIN" || code === "EAGAIN")
      throw new PcpError(PM_ERR.AGAIN, `${host}: temporary failure of the resolver`, {
        cause: error,
      });
    if (code === "ENOMEM") throw systemError(error, host);
    throw errnoError("EHOSTUNREACH", `${host}: the name does not resolve`, error);
  }
  throw errnoError("EHOSTUNREACH", `${host}: the name has no address`);
}

/** What a socket connects to. */
export type Where = { readonly path: string } | { readonly host: string; readonly port: number };

/** What a race has come to. */
type Race =
  | { readonly kind: "running"; left: number; failure: PcpError | undefined }
  | { readonly kind: "over" };

/**
 * Connects to all of `places` at once; the first socket that is connected wins, the others are
 * closed. Throws PcpError: that of the first failure when all fail, -ETIMEDOUT at `deadline`
 * (performance.now() milliseconds, Infinity: none). `detail` names the target in messages. `watch`
 * is told of every attempt; `signal` ends them with -ECANCELED.
 */
export function raceConnect(
  places: readonly Where[],
  detail: string,
  deadline: number,
  watch?: Watch,
  signal?: AbortSignal,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const sockets: Socket[] = [];
    const start = performance.now();
    const tell = (place: Where, outcome: ConnectFacts["outcome"], error?: PcpError): void => {
      if (watch === undefined) return;
      const [address, port] = "path" in place ? [place.path, undefined] : [place.host, place.port];
      report(watch, start, { kind: "connect", address, port, outcome }, error);
    };
    const pending = new Set(places);
    let race: Race = { kind: "running", left: places.length, failure: undefined };
    let timer: ReturnType<typeof setTimeout> | undefined;
    const settle = (winner: Socket | undefined, failure?: PcpError): void => {
      race = { kind: "over" };
      clearTimeout(timer);
      signal?.removeEventListener("abort", giveUp);
      for (const socket of sockets) if (socket !== winner) socket.destroy();
      for (const place of pending)
        if (winner === undefined) tell(place, "failed", failure);
        else tell(place, "lost");
      if (winner === undefined) reject(failure);
      else resolve(winner);
    };
    const giveUp = (): void => settle(undefined, errnoError("ECANCELED", detail));
    signal?.addEventListener("abort", giveUp);
    const lost = (place: Where, error: unknown): void => {
      if (race.kind === "over") return;
      const failure = connectError(error, detail);
      pending.delete(place);
      tell(place, "failed", failure);
      race.failure ??= failure;
      race.left -= 1;
      if (race.left === 0) settle(undefined, race.failure);
    };
    if (deadline !== Number.POSITIVE_INFINITY) {
      timer = setTimeout(
        () => settle(undefined, errnoError("ETIMEDOUT", detail)),
        Math.max(1, deadline - performance.now()),
      );
    }
    for (const place of places) {
      const socket = connect(place);
      sockets.push(socket);
      // The listener stays: an abandoned or closed socket may still report an error.
      socket.on("error", (error) => lost(place, error));
      socket.once("connect", () => {
        if (race.kind === "over") {
          socket.destroy();
          return;
        }
        if ("port" in place) socket.setNoDelay(true);
        pending.delete(place);
        tell(place, "connected");
        settle(socket);
      });
    }
  });
}

/** Runs `work` until `deadline` (performance.now() milliseconds); then PcpError -ETIMEDOUT. */
async function beforeDeadline<T>(work: Promise<T>, detail: string, deadline: number): Promise<T> {
  if (deadline === Number.POSITIVE_INFINITY) return work;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(
      () => reject(errnoError("ETIMEDOUT", detail)),
      Math.max(1, deadline - performance.now()),
    );
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * A connected socket to a target, or to the proxy of one. All addresses of a name are tried at once
 * and share `timeout` milliseconds (0: no limit). Ports are cut to 16 bits, as PCP's are.
 * Throws PcpError: -EHOSTUNREACH for a name that does not resolve, -ECONNREFUSED, -ETIMEDOUT, ...
 */
export async function dial(
  target: Target,
  timeout: number,
  watch?: Watch,
  signal?: AbortSignal,
): Promise<Socket> {
  const deadline = timeout === 0 ? Number.POSITIVE_INFINITY : performance.now() + timeout;
  const detail = describeTarget(target);
  if (target.kind === "socket")
    return raceConnect([{ path: target.path }], detail, deadline, watch, signal);
  const [name, wide] =
    target.kind === "tcp" ? [target.host, target.port] : [target.proxyHost, target.proxyPort];
  const port = wide & 0xffff;
  const addresses = await step(
    watch,
    () => beforeDeadline(addressesOf(name), detail, deadline),
    (found) => ({ kind: "resolve", name, addresses: found ?? [] }),
  );
  if (signal?.aborted === true) throw errnoError("ECANCELED", detail);
  return raceConnect(
    addresses.map((host) => ({ host, port })),
    detail,
    deadline,
    watch,
    signal,
  );
}

// ---------------------------------------------------------------- the proxy's greeting

const PROXY_HELLO = "pmproxy-client 1\n";
const PROXY_ANSWER = "pmproxy-server 1";
/** Longest line taken for the proxy's answer: a host name and ten bytes, as PCP has it. */
const PROXY_LINE_LIMIT = 74;

/** PM_ERR_IPC with PCP's warning for a proxy that does not answer as one. */
const badGreeting = (text: string): PcpError =>
  new PcpError(
    PM_ERR.IPC,
    `__pmConnectPMCD: bad version string from pmproxy: ${JSON.stringify(text)}`,
  );

/** Reads up to the end of a line; what followed it is `rest`. */
function readLine(socket: Socket, timeout: number): Promise<{ line: string; rest: Buffer }> {
  return new Promise((resolve, reject) => {
    let have: Buffer = Buffer.alloc(0);
    const finish = (): void => {
      clearTimeout(timer);
      socket.pause();
      socket.off("data", onData);
      socket.off("close", onClose);
    };
    const onClose = (): void => {
      finish();
      reject(badGreeting(have.toString("latin1")));
    };
    const onData = (chunk: Buffer): void => {
      have = have.length === 0 ? chunk : Buffer.concat([have, chunk]);
      const end = have.findIndex((byte) => byte === 0x0a || byte === 0x0d);
      if (end < 0 && have.length < PROXY_LINE_LIMIT) return;
      finish();
      const size = end < 0 ? PROXY_LINE_LIMIT : Math.min(end, PROXY_LINE_LIMIT);
      resolve({ line: have.toString("latin1", 0, size), rest: have.subarray(size + 1) });
    };
    const timer =
      timeout === 0
        ? undefined
        : setTimeout(() => {
            finish();
            reject(new PcpError(PM_ERR.TIMEOUT, "the proxy does not answer the greeting"));
          }, timeout);
    socket.on("data", onData);
    socket.on("close", onClose);
  });
}

/**
 * Asks the proxy at the other end of `socket` for a connection to pmcd (spec pdu.md 12.2). Returns
 * bytes that came after its answer. Throws PcpError: PM_ERR_IPC for a wrong answer, PM_ERR_TIMEOUT,
 * -EINVAL for a host name that cannot stand in the proxy's line.
 */
export async function greetProxy(
  socket: Socket,
  target: { readonly host: string; readonly port: number },
  timeout: number,
): Promise<Uint8Array> {
  // oxlint-disable-next-line no-control-regex -- a control character would end or forge the line
  if (/[\u0000-\u0020\u007f]/.test(target.host))
    throw errnoError("EINVAL", `host name ${JSON.stringify(target.host)} for a proxy`);
  socket.write(PROXY_HELLO);
  const { line, rest } = await readLine(socket, timeout);
  if (line !== PROXY_ANSWER) throw badGreeting(line);
  socket.write(utf8(`${target.host} ${target.port}\n`));
  return rest;
}
