// What is asked of a key server before it is used (spec series.md 1.2): who it is, its version, whether it
// is a cluster, the version of the schema, the index for text search. Refused: servers before version 5,
// several servers that are no cluster, names that are no server.
import { PM_ERR, PcpError } from "../base/mod.ts";
import { type Link, openCluster } from "./keys-cluster.ts";
import {
  type Address,
  ask,
  type Connection,
  type ConnectionOptions,
  connectTo,
  notConnected,
} from "./keys-connection.ts";
import { SeriesProblem } from "./problem.ts";
import type { KeyCommand, KeyReply } from "./resp.ts";

const DEFAULT_PORT = 6379;
const LEAST_VERSION = 5;
const SCHEMA = 2;
/** What a server or a node says that cannot answer now. */
const AWAY = /^(?:LOADING|CLUSTERDOWN|MASTERDOWN)\b/;

/** Where the key server is, and what it is wanted for. */
export interface SetupOptions extends ConnectionOptions {
  /** `host:port`, `host`, or paths of sockets; several for a cluster. At least one. */
  readonly servers: readonly string[];
  /** Whether an index for text search is made (spec series.md 13.1); false by default. */
  readonly wantSearch?: boolean;
  /** Hears of what is done otherwise than it was wanted, a sentence each. */
  readonly warn?: (message: string) => void;
}

/** A link that is ready for use. */
export interface ReadyLink {
  readonly link: Link;
  readonly version: number;
  readonly schema: number;
  readonly hasSearch: boolean;
}

/** Throws for a reply that says that the server cannot answer now, which is as good as no server. */
export function checkPresence(reply: KeyReply): void {
  if (reply instanceof SeriesProblem && AWAY.test(reply.message)) throw notConnected(reply.message);
}

/** `host:port`, `host`, `[address]:port`, `/path`. */
export function addressOf(server: string): Address {
  if (server.startsWith("/")) return { path: server };
  const match = /^(?:\[([^\]]+)\]|([^:]*))(?::(\d+))?$/.exec(server.trim());
  const port = Number(match?.[3] ?? DEFAULT_PORT);
  const host = match?.[1] ?? match?.[2] ?? "";
  if (host === "" || port < 1 || port > 0xffff)
    throw new PcpError(PM_ERR.ARG, `key server "${server}": no host and port`);
  return { host, port };
}

/** A reply that is no error; throws one that is. */
async function told(connection: Connection, command: KeyCommand): Promise<KeyReply> {
  const reply = await ask(connection, command);
  checkPresence(reply);
  if (reply instanceof SeriesProblem) throw reply;
  return reply;
}

const text = (reply: KeyReply): string =>
  typeof reply === "string" ? reply : Buffer.isBuffer(reply) ? reply.toString() : "";

/** The server's major version; throws for one that is too old. */
async function checkVersion(connection: Connection): Promise<number> {
  const info = text(await told(connection, ["INFO", "SERVER"]));
  const version = Number(/^redis_version:(\d+)/m.exec(info)?.[1] ?? 0);
  if (version >= LEAST_VERSION) return version;
  const wanted = `expected v${LEAST_VERSION} or above`;
  throw new SeriesProblem(`unsupported key server (got v${version}, ${wanted})`);
}

async function isCluster(connection: Connection): Promise<boolean> {
  const reply = await ask(connection, ["CLUSTER", "SLOTS"]);
  checkPresence(reply);
  if (!(reply instanceof SeriesProblem)) return true;
  if (reply.message.includes("cluster support disabled")) return false;
  throw reply;
}

/** The version of the schema; it is written where there is none. */
async function checkSchema(connection: Connection): Promise<number> {
  const found = text(await told(connection, ["GET", "pcp:version:schema"]));
  const version = /^\d+$/.test(found) ? Number(found) : 0;
  if (version > 0) return version;
  await told(connection, ["SET", "pcp:version:schema", String(SCHEMA)]);
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
  link: Link,
  { wantSearch = false, warn }: SetupOptions,
): Promise<boolean> {
  if (!wantSearch) return false;
  if (link.cluster) {
    warn?.("disabling search module because it does not support cluster mode");
    return false;
  }
  const reply = await ask(link, CREATE_INDEX);
  checkPresence(reply);
  if (reply instanceof SeriesProblem) return /index already exists/i.test(reply.message);
  return /^(?:OK|QUEUED)$/.test(text(reply));
}

/** The first server that answers. */
async function openFirst(options: SetupOptions, addresses: readonly Address[]) {
  let problem: unknown;
  for (const address of addresses)
    try {
      return { connection: await connectTo(address, options), address };
    } catch (error) {
      problem = error;
    }
  throw problem;
}

/** Connects. `onLost` hears of nodes of a cluster that are lost. */
export async function openLink(
  options: SetupOptions,
  onLost: (reason: string) => void,
): Promise<ReadyLink> {
  const addresses = options.servers.map(addressOf);
  const { connection, address } = await openFirst(options, addresses);
  let link: Link = Object.assign(connection, { cluster: false });
  try {
    const version = await checkVersion(connection);
    if (await isCluster(connection)) {
      if ("path" in address)
        throw new PcpError(PM_ERR.ARG, `key server "${address.path}": a cluster has no socket`);
      link = await openCluster(connection, address.host, options, onLost);
      connection.destroy("closed");
    } else if (addresses.length > 1)
      throw new PcpError(
        PM_ERR.ARG,
        `${addresses.length} key servers are given, but they are no cluster`,
      );
    const schema = await checkSchema(link);
    const hasSearch = await prepareSearch(link, options);
    return { link, version, schema, hasSearch };
  } catch (error) {
    connection.destroy("closed");
    link.destroy("closed");
    throw error;
  }
}
