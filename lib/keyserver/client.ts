// The connection to a key server over the `redis` package, as general commands need it (spec series.md 1):
// Redis or Valkey, alone or as a cluster, with TLS, users and sockets; and what is asked of a server before
// it is used: its version, that of the schema, the index for text search. Replies are bytes. Refused:
// servers before version 5, several servers that are no cluster, names that are no server.
import { type TracingChannel, tracingChannel } from "node:diagnostics_channel";
import type { RedisClientOptions } from "redis";
import { PM_ERR, PcpError } from "../base/mod.ts";
import { SeriesProblem } from "../series/mod.ts";
import { type Address, type ConnectionOptions, notConnected, reasonOf } from "./connection.ts";
import type { KeyCommand, KeyReply } from "./resp.ts";
import { SCHEMA_KEY } from "./schema.ts";

/** Where the key server is, and what it is wanted for. */
export interface SetupOptions extends ConnectionOptions {
  /** `host:port`, `host`, or paths of sockets; several for a cluster. At least one. */
  readonly servers: readonly string[];
  /** Whether an index for text search is made (spec series.md 13.1); false by default. */
  readonly wantSearch?: boolean;
  /** Hears of what is done otherwise than it was wanted, a sentence each. */
  readonly warn?: (message: string) => void;
}

/** A node of a cluster. */
export interface NodeAddress {
  readonly host: string;
  readonly port: number;
}

/** A connection that is ready for use. */
export interface Client {
  readonly version: number;
  readonly schema: number;
  readonly hasSearch: boolean;
  /** Where the server is; none for a cluster. */
  readonly address: Address | undefined;
  /** The node that has a slot, as far as the package knows; none without a cluster. */
  nodeOf(slot: number): NodeAddress | undefined;
  /** A reply; what the server answers as an error is one, but one that is loading is as good as none. */
  send(command: KeyCommand): Promise<KeyReply>;
  /** Ends when the connection is lost; never for a cluster. */
  readonly lost: Promise<string>;
  /** Lets what is on its way come in and closes. */
  close(): Promise<void>;
  destroy(): void;
}

const CONNECT_TIMEOUT = 5000;
/** Most commands of all callers that wait for one node. */
const QUEUE_COMMANDS = 65_536;
const DEFAULT_PORT = 6379;
const LEAST_VERSION = 5;
const SCHEMA = 2;
const MAX_REDIRECTIONS = 16;
/** What a server or a node says that cannot answer now. */
const AWAY = /^(?:LOADING|CLUSTERDOWN|MASTERDOWN)\b/;

/** Throws for a reply that says that the server cannot answer now, which is as good as no server. */
export function checkPresence(reply: KeyReply): void {
  if (reply instanceof SeriesProblem && AWAY.test(reply.message)) throw notConnected(reply.message);
}

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

function clientOptions({ user, password, tls }: SetupOptions) {
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

/** What the package does, for one server or a cluster. */
interface Opened {
  readonly send: Send;
  readonly address: Address | undefined;
  readonly nodeOf: (slot: number) => NodeAddress | undefined;
  readonly lost: Promise<string>;
  readonly close: () => Promise<void>;
  readonly destroy: () => void;
}

async function openSingle(options: SetupOptions, address: Address): Promise<Opened> {
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
    send: (command) => client.sendCommand([...command]),
    address,
    nodeOf: () => undefined,
    lost,
    close: async () => {
      if (client.isOpen) await client.close();
    },
    destroy: () => {
      if (client.isOpen) client.destroy();
    },
  };
}

async function openCluster(options: SetupOptions, addresses: readonly Address[]): Promise<Opened> {
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
    send: (command) => cluster.sendCommand(command[1], false, [...command]),
    address: undefined,
    nodeOf: (slot) => cluster.slots[slot]?.master,
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
  const found = text(await send(["GET", SCHEMA_KEY]));
  const version = /^\d+$/.test(found) ? Number(found) : 0;
  if (version > 0) return version;
  await send(["SET", SCHEMA_KEY, String(SCHEMA)]);
  return SCHEMA;
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
  { wantSearch = false, warn }: SetupOptions,
): Promise<boolean> {
  if (!wantSearch) return false;
  if (cluster) {
    warn?.("disabling search module because it does not support cluster mode");
    return false;
  }
  const reply = await answered(send, CREATE_INDEX);
  if (reply instanceof SeriesProblem) return /index already exists/i.test(reply.message);
  return /^(?:OK|QUEUED)$/.test(text(reply));
}

async function isCluster(send: Send): Promise<boolean> {
  const reply = await answered(send, ["CLUSTER", "SLOTS"]);
  if (!(reply instanceof SeriesProblem)) return true;
  if (reply.message.includes("cluster support disabled")) return false;
  throw reply;
}

/** A reply of the package, which gives errors of the server as exceptions. */
async function answered(send: Send, command: KeyCommand): Promise<KeyReply> {
  const { ErrorReply } = await redisPackage();
  try {
    return (await send(command)) as KeyReply;
  } catch (error) {
    if (!(error instanceof ErrorReply)) throw error;
    const reply = new SeriesProblem(reasonOf(error), "bad response");
    checkPresence(reply);
    return reply;
  }
}

/** The first server that answers. */
async function openFirst(options: SetupOptions, addresses: readonly Address[]): Promise<Opened> {
  let problem: unknown;
  for (const address of addresses)
    try {
      return await openSingle(options, address);
    } catch (error) {
      problem = error;
    }
  throw problem;
}

/** Connects. */
export async function openClient(options: SetupOptions): Promise<Client> {
  const addresses = options.servers.map(addressOf);
  let opened = await openFirst(options, addresses);
  try {
    const version = await checkVersion(opened.send);
    const cluster = await isCluster(opened.send);
    if (!cluster && addresses.length > 1)
      throw new PcpError(
        PM_ERR.ARG,
        `${addresses.length} key servers are given, but they are no cluster`,
      );
    if (cluster) {
      opened.destroy();
      opened = await openCluster(options, addresses);
    }
    const { send } = opened;
    const schema = await checkSchema(send);
    const hasSearch = await prepareSearch(send, cluster, options);
    return { ...opened, version, schema, hasSearch, send: (command) => answered(send, command) };
  } catch (error) {
    opened.destroy();
    throw error;
  }
}
