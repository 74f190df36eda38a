// The connection to a key server (spec series.md 1): Redis or Valkey, alone or as a cluster, over the
// `redis` package. It reconnects for ever with growing pauses, and refuses what is asked meanwhile with
// the reason. Replies are bytes; nothing of them is ever decoded here. Refused: servers before version
// 5, several servers that are no cluster, and more commands than a queue holds.
import { type TracingChannel, tracingChannel } from "node:diagnostics_channel";
import type { RedisClientOptions } from "redis";
import { PM_ERR, PcpError } from "../base/mod.ts";
import { SeriesProblem } from "./problem.ts";

/** One part of a command. Identifiers are 20 bytes, all else is text. */
export type KeyArgument = string | Buffer;
/** A command; its key, if it has one, is the second part. */
export type KeyCommand = readonly KeyArgument[];
/** An answer as it came. An error that the server answered is a value, too. */
export type KeyReply = null | number | string | Buffer | SeriesProblem | readonly KeyReply[];

/** How TLS is spoken with the servers: PEM texts; the machine's authorities unless `ca` is given. */
export interface KeyServerTls {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  /** False takes any certificate. */
  readonly rejectUnauthorized?: boolean;
}

/** What is told when the connection changes. */
export type KeyServerState =
  | { readonly kind: "up"; readonly cluster: boolean; readonly version: number }
  | { readonly kind: "down"; readonly reason: string };

/** Where the key server is and how it is spoken to. */
export interface KeyServerOptions {
  /** `host:port`, `host`, or paths of sockets; several for a cluster. At least one. */
  readonly servers: readonly string[];
  readonly user?: string;
  readonly password?: string;
  readonly tls?: KeyServerTls;
  /** Hears of each change, and once of a failure that repeats. */
  readonly onState?: (state: KeyServerState) => void;
  /** Pauses between attempts in ms, the last one repeated; RECONNECT_PAUSES by default. */
  readonly pauses?: readonly number[];
  /** ms for an answer; COMMAND_TIMEOUT by default. */
  readonly timeout?: number;
  /** Whether an index for text search is made (spec series.md 13.1); false by default. */
  readonly wantSearch?: boolean;
  /** Hears of what is done otherwise than it was wanted, a sentence each. */
  readonly warn?: (message: string) => void;
}

/** A key server that is used, whether it is there just now or not. */
export interface KeyServer {
  readonly state: KeyServerState;
  /** The schema's version that was found; 0 before a first connection. Only 2 may be written. */
  readonly schema: number;
  /** How often a connection was made: who saw it change cannot know what the server still has. */
  readonly generation: number;
  /** Whether there is an index for text search: it was wanted, and the server has the module. */
  readonly hasSearch: boolean;
  /** Waits for a connection. Rejects with the signal's reason, or when it is closed. */
  ready(signal?: AbortSignal): Promise<void>;
  /**
   * Sends commands, so many at once as are bounded by WINDOW_COMMANDS and WINDOW_PARTS, and gives their
   * replies in order. Rejects with PM_ERR_NOTCONN and the reason when the connection is or gets lost.
   */
  run(commands: readonly KeyCommand[]): Promise<KeyReply[]>;
  close(): Promise<void>;
}

/** Milliseconds between attempts. */
export const RECONNECT_PAUSES: readonly number[] = [100, 500, 1000, 2000];
const CONNECT_TIMEOUT = 5000;
/** Milliseconds for an answer (spec series.md 1.2). */
export const COMMAND_TIMEOUT = 60_000;
/** Most commands that one call of `run` has on their way. */
export const WINDOW_COMMANDS = 1024;
/** Most parts of these commands, unless one command has more. */
export const WINDOW_PARTS = 65_536;
/** Most commands of all callers that wait for one node. */
const QUEUE_COMMANDS = 65_536;
const DEFAULT_PORT = 6379;
const LEAST_VERSION = 5;
const SCHEMA = 2;
const MAX_REDIRECTIONS = 16;

const notConnected = (reason: string): PcpError =>
  new PcpError(PM_ERR.NOTCONN, `no connection to the key server: ${reason}`);

const reasonOf = (error: unknown): string => {
  if (error instanceof AggregateError && error.errors.length > 0) return reasonOf(error.errors[0]);
  return error instanceof Error && error.message !== "" ? error.message : String(error);
};

/** An open connection. */
interface Link {
  readonly cluster: boolean;
  readonly version: number;
  readonly schema: number;
  readonly hasSearch: boolean;
  send(command: KeyCommand): Promise<KeyReply>;
  /** Ends when the connection is lost; never for a cluster. */
  readonly lost: Promise<string>;
  /** Lets what is on its way come in and closes. */
  close(): Promise<void>;
  destroy(): void;
}

type Address = { readonly path: string } | { readonly host: string; readonly port: number };

/** `host:port`, `host`, `[address]:port`, `/path`. */
function addressOf(server: string): Address {
  if (server.startsWith("/")) return { path: server };
  const match = /^(?:\[([^\]]+)\]|([^:]*))(?::(\d+))?$/.exec(server.trim());
  const port = Number(match?.[3] ?? DEFAULT_PORT);
  const host = match?.[1] ?? match?.[2] ?? "";
  if (host === "" || port < 1 || port > 0xffff)
    throw new PcpError(PM_ERR.ARG, `key server "${server}": no host and port`);
  return { host, port };
}

/** Loaded with the first connection: most runs of the program have none. */
const redisPackage = () => {
  completeTracing();
  return import("redis");
};

/**
 * Channels of the runtime do not say whether anybody listens, as Node's do, so the package would
 * describe each command for nobody: a third of the time of a load.
 */
function completeTracing(): void {
  const prototype = Object.getPrototypeOf(tracingChannel("redis")) as object;
  if ("hasSubscribers" in prototype) return;
  Object.defineProperty(prototype, "hasSubscribers", {
    configurable: true,
    get(this: TracingChannel) {
      const { start, end, asyncStart, asyncEnd, error } = this;
      return [start, end, asyncStart, asyncEnd, error].some((each) => each.hasSubscribers);
    },
  });
}

/** 0: one timer a call of `run` is enough. */
async function commandOptions() {
  const { RESP_TYPES } = await redisPackage();
  return { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer }, timeout: 0 };
}

function clientOptions({ user, password, tls }: KeyServerOptions) {
  return {
    ...(password === undefined ? {} : { password }),
    ...(user === undefined || password === undefined ? {} : { username: user }),
    disableOfflineQueue: true,
    disableClientInfo: true,
    commandsQueueMaxLength: QUEUE_COMMANDS,
    socket: {
      connectTimeout: CONNECT_TIMEOUT,
      reconnectStrategy: false as const,
      ...(tls === undefined ? {} : { tls: true as const, ...tls }),
    },
  };
}

type Send = (command: KeyCommand) => Promise<unknown>;

async function openSingle(options: KeyServerOptions, address: Address) {
  const shared = clientOptions(options);
  const { connectTimeout, reconnectStrategy } = shared.socket;
  const socket: NonNullable<RedisClientOptions["socket"]> =
    "path" in address
      ? { connectTimeout, reconnectStrategy, path: address.path }
      : { ...shared.socket, ...address };
  const { createClient } = await redisPackage();
  const client = createClient({
    ...shared,
    RESP: 2,
    commandOptions: await commandOptions(),
    socket,
  });
  let lose: (reason: string) => void = () => undefined;
  const lost = new Promise<string>((resolve) => (lose = resolve));
  client.on("error", (error) => lose(reasonOf(error)));
  client.on("end", () => lose("closed"));
  await client.connect();
  return {
    send: (command: KeyCommand): Promise<unknown> => client.sendCommand([...command]),
    lost,
    close: () => client.close(),
    destroy: () => client.destroy(),
  };
}

async function openCluster(options: KeyServerOptions, addresses: readonly Address[]) {
  const defaults = clientOptions(options);
  const { createCluster } = await redisPackage();
  const cluster = createCluster({
    RESP: 2,
    rootNodes: addresses.map((address) => {
      if ("path" in address)
        throw new PcpError(PM_ERR.ARG, `key server "${address.path}": a cluster has no socket`);
      return { socket: { ...defaults.socket, ...address } };
    }),
    defaults,
    commandOptions: await commandOptions(),
    minimizeConnections: true,
    maxCommandRedirections: MAX_REDIRECTIONS,
  });
  // A node that is lost is heard of by the commands that need it.
  cluster.on("error", () => undefined);
  cluster.on("node-error", () => undefined);
  await cluster.connect();
  return {
    send: (command: KeyCommand): Promise<unknown> =>
      cluster.sendCommand(command[1], false, [...command]),
    lost: new Promise<string>(() => undefined),
    close: () => cluster.close(),
    destroy: () => cluster.destroy(),
  };
}

const text = (reply: unknown): string =>
  typeof reply === "string" ? reply : Buffer.isBuffer(reply) ? reply.toString() : "";

/** The server's major version; throws for one that is too old. */
async function checkVersion(send: Send): Promise<number> {
  const info = text(await send(["INFO", "SERVER"]));
  const version = Number(/^redis_version:(\d+)/m.exec(info)?.[1] ?? 0);
  if (version >= LEAST_VERSION) return version;
  const wanted = `expected v${LEAST_VERSION} or above`;
  throw new SeriesProblem(`unsupported key server (got v${version}, ${wanted})`);
}

/** The version of the schema; it is written where there is none. */
async function checkSchema(send: Send): Promise<number> {
  const found = text(await send(["GET", "pcp:version:schema"]));
  const version = /^\d+$/.test(found) ? Number(found) : 0;
  if (version > 0) return version;
  await send(["SET", "pcp:version:schema", String(SCHEMA)]);
  return SCHEMA;
}

/** Whether the server answered an error, with such a message. */
async function isErrorReply(error: unknown, fits: (message: string) => boolean): Promise<boolean> {
  const { ErrorReply } = await redisPackage();
  return error instanceof ErrorReply && fits(error.message);
}

/** The index of 13.1. */
const CREATE_INDEX: KeyCommand = [
  ["FT.CREATE", "pcp:text", "SCHEMA", "TYPE", "TAG", "SORTABLE"],
  ["NAME", "TEXT", "WEIGHT", "9", "SORTABLE", "INDOM", "TAG"],
  ["ONELINE", "TEXT", "WEIGHT", "4", "HELPTEXT", "TEXT", "WEIGHT", "2"],
].flat();

/** Makes the index for text search where it is wanted and can be; gives whether there is one. */
async function prepareSearch(
  send: Send,
  cluster: boolean,
  { wantSearch = false, warn }: KeyServerOptions,
): Promise<boolean> {
  if (!wantSearch) return false;
  if (cluster) {
    warn?.("disabling search module because it does not support cluster mode");
    return false;
  }
  try {
    return /^(?:OK|QUEUED)$/.test(text(await send(CREATE_INDEX)));
  } catch (error) {
    const said = await isErrorReply(error, (message) => !message.startsWith("LOADING"));
    if (!said) throw error;
    return /index already exists/i.test(reasonOf(error));
  }
}

async function isCluster(send: Send): Promise<boolean> {
  try {
    await send(["CLUSTER", "SLOTS"]);
    return true;
  } catch (error) {
    if (await isErrorReply(error, (message) => message.includes("cluster support disabled")))
      return false;
    throw error;
  }
}

/** The first server that answers. */
async function openFirst(options: KeyServerOptions, addresses: readonly Address[]) {
  let problem: unknown;
  for (const address of addresses)
    try {
      return await openSingle(options, address);
    } catch (error) {
      problem = error;
    }
  throw problem;
}

async function open(options: KeyServerOptions): Promise<Link> {
  const addresses = options.servers.map(addressOf);
  const first = await openFirst(options, addresses);
  let link = first;
  try {
    const version = await checkVersion(first.send);
    const cluster = await isCluster(first.send);
    if (!cluster && addresses.length > 1)
      throw new PcpError(
        PM_ERR.ARG,
        `${addresses.length} key servers are given, but they are no cluster`,
      );
    if (cluster) {
      first.destroy();
      link = await openCluster(options, addresses);
    }
    const schema = await checkSchema(link.send);
    const hasSearch = await prepareSearch(link.send, cluster, options);
    return {
      ...link,
      cluster,
      version,
      schema,
      hasSearch,
      send: (command) => sent(link.send, command),
    };
  } catch (error) {
    link.destroy();
    throw error;
  }
}

const asReply = (reply: unknown): KeyReply => reply as KeyReply;

/** A reply; what the server answers as an error is one, but LOADING is as good as no server. */
async function sent(send: Send, command: KeyCommand): Promise<KeyReply> {
  try {
    return asReply(await send(command));
  } catch (error) {
    if (!(await isErrorReply(error, (message) => !message.startsWith("LOADING")))) throw error;
    return new SeriesProblem(reasonOf(error), "bad response");
  }
}

/** Parts of a list of commands, each within the bounds of what is sent at once. */
function* windows(commands: readonly KeyCommand[]): Generator<readonly KeyCommand[]> {
  let from = 0;
  let parts = 0;
  for (const [at, command] of commands.entries()) {
    parts += command.length;
    if (at > from && (at - from === WINDOW_COMMANDS || parts > WINDOW_PARTS)) {
      yield commands.slice(from, at);
      from = at;
      parts = command.length;
    }
  }
  if (from < commands.length) yield from === 0 ? commands : commands.slice(from);
}

/** Uses a key server: connects, and again whenever the connection is lost, until it is closed. */
export function useKeyServer(options: KeyServerOptions): KeyServer {
  const { pauses = RECONNECT_PAUSES, timeout = COMMAND_TIMEOUT, onState } = options;
  let link: Link | undefined;
  let state: KeyServerState = { kind: "down", reason: "not connected yet" };
  let schema = 0;
  let generation = 0;
  let renewing = false;
  const closing = new AbortController();
  let waiters: (() => void)[] = [];

  const tell = (next: KeyServerState): void => {
    const same = next.kind === "down" && state.kind === "down" && next.reason === state.reason;
    state = next;
    if (!same) onState?.(next);
    if (next.kind === "down" && !closing.signal.aborted) return;
    for (const wake of waiters) wake();
    waiters = [];
  };
  const pause = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        closing.signal.removeEventListener("abort", end);
        resolve();
      };
      const timer = setTimeout(end, ms);
      closing.signal.addEventListener("abort", end);
    });

  /** A new connection, in the place of an old one if there is one. */
  const connect = async (): Promise<Link> => {
    const next = await open(options);
    if (closing.signal.aborted) {
      next.destroy();
      throw notConnected("closed");
    }
    link = next;
    schema = next.schema;
    generation++;
    tell({ kind: "up", cluster: next.cluster, version: next.version });
    return next;
  };

  const keepConnected = async (): Promise<void> => {
    for (let attempt = 0; !closing.signal.aborted; attempt++) {
      try {
        const { lost, destroy } = await connect();
        attempt = 0;
        const reason = await lost;
        destroy();
        link = undefined;
        tell({ kind: "down", reason });
      } catch (error) {
        tell({ kind: "down", reason: reasonOf(error) });
      }
      await pause(pauses[Math.min(attempt, pauses.length - 1)] ?? 0);
    }
  };
  void keepConnected();

  /** A cluster of which a node was lost is looked at anew; what is on its way over the old one goes on. */
  const renew = async (old: Link): Promise<void> => {
    if (renewing || link !== old || closing.signal.aborted) return;
    renewing = true;
    try {
      await pause(pauses[0] ?? 0);
      await connect();
      await old.close();
    } catch (error) {
      onState?.({ kind: "down", reason: reasonOf(error) });
    } finally {
      renewing = false;
    }
  };

  const runWindow = async (commands: readonly KeyCommand[]): Promise<KeyReply[]> => {
    const used = link;
    if (used === undefined)
      throw notConnected(state.kind === "down" ? state.reason : "not connected yet");
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        reject(notConnected(`no answer within ${timeout} ms`));
        used.destroy();
      }, timeout);
    });
    try {
      return await Promise.race([Promise.all(commands.map(used.send)), late]);
    } catch (error) {
      if (used.cluster) void renew(used);
      throw error instanceof PcpError ? error : notConnected(reasonOf(error));
    } finally {
      clearTimeout(timer);
    }
  };

  return {
    get state() {
      return state;
    },
    get schema() {
      return schema;
    },
    get generation() {
      return generation;
    },
    get hasSearch() {
      return link?.hasSearch === true;
    },
    ready: async (signal) => {
      while (link === undefined) {
        signal?.throwIfAborted();
        if (closing.signal.aborted) throw notConnected("closed");
        await new Promise<void>((resolve) => {
          waiters.push(resolve);
          signal?.addEventListener("abort", () => resolve(), { once: true });
        });
      }
    },
    run: async (commands) => {
      const replies: KeyReply[] = [];
      for (const part of windows(commands))
        for (const each of await runWindow(part)) replies.push(each);
      return replies;
    },
    close: async () => {
      closing.abort();
      const open = link;
      link = undefined;
      tell({ kind: "down", reason: "closed" });
      await open?.close();
    },
  };
}
