// A cluster of key servers: each command goes to the node that has the slot of its key, over a connection to
// each node that is needed. Nodes that say that a slot has moved, or is moving, are followed, in the
// order of the commands, so that commands of one key never overtake each other within one call.
// Refused: slots that no node has, and more redirections of a command than MAX_ROUNDS.
import { PM_ERR, PcpError } from "../base/mod.ts";
import {
  ask,
  type Connection,
  type ConnectionOptions,
  connectTo,
  notConnected,
  reasonOf,
} from "./keys-connection.ts";
import { SeriesProblem } from "./problem.ts";
import { CommandBuffer, type KeyReply, type TakeReply } from "./resp.ts";

/** Connections to one server, or to all nodes of a cluster. */
export interface Link extends Connection {
  readonly cluster: boolean;
}

/** Rounds in which commands are sent again. */
const MAX_ROUNDS = 16;
/** ms before a command is sent again whose slot is being moved. */
const MOVING_PAUSE = 20;
const MINUS = 0x2d;
const MOST_PORT = 0xffff;
/** Most slots of a cluster. */
const SLOTS = 16_384;

interface Node {
  readonly host: string;
  readonly port: number;
  connection: Promise<Connection> | undefined;
}

/** Commands for one node, with their numbers; -1 for those that are ours. */
interface Lane {
  readonly buffer: CommandBuffer;
  readonly numbers: number[];
}

/** A command that has to be sent again, perhaps to a node that only takes it when asked to. */
interface Again {
  readonly command: number;
  readonly node: Node | undefined;
  readonly asking: boolean;
}

const REDIRECTION = /^(MOVED|ASK) (\d+) (.*):(\d+)$/;

/** A node's slots, from an answer to CLUSTER SLOTS: `[first, last, [host, port, …], …]`. */
function rangeOf(reply: KeyReply): { first: number; last: number; host: string; port: number } {
  const [first, last, node] = Array.isArray(reply) ? (reply as readonly KeyReply[]) : [];
  const [name, port] = Array.isArray(node) ? (node as readonly KeyReply[]) : [];
  const host = Buffer.isBuffer(name) ? name.toString() : "";
  if (
    typeof first !== "number" ||
    typeof last !== "number" ||
    typeof port !== "number" ||
    !(first >= 0 && last < SLOTS && port > 0 && port <= MOST_PORT)
  )
    throw new PcpError(PM_ERR.IPC, "key server: slots of a cluster that are none");
  return { first, last, host: host === "?" ? "" : host, port };
}

/**
 * Opens a cluster, of which `seed` is a connection to a node at `host`. `onLost` hears of each node that
 * is lost. Rejects when the node does not tell the slots.
 */
export async function openCluster(
  seed: Connection,
  seedHost: string,
  options: ConnectionOptions,
  onLost: (reason: string) => void,
): Promise<Link> {
  const nodes = new Map<string, Node>();
  const bySlot: (Node | undefined)[] = Array.from({ length: SLOTS }, () => undefined);
  let over = false;

  const nodeAt = (host: string, port: number): Node => {
    const key = `${host}:${port}`;
    const known = nodes.get(key);
    if (known !== undefined) return known;
    const node: Node = { host, port, connection: undefined };
    nodes.set(key, node);
    return node;
  };
  const connect = async (node: Node): Promise<Connection> => {
    const connection = await connectTo(node, options);
    if (over) connection.destroy("closed");
    void connection.lost.then((reason) => {
      node.connection = undefined;
      if (!over) onLost(reason);
    });
    return connection;
  };
  const connectionTo = (node: Node): Promise<Connection> => {
    node.connection ??= connect(node).catch((error) => {
      node.connection = undefined;
      throw error instanceof PcpError ? error : notConnected(reasonOf(error));
    });
    return node.connection;
  };

  const reply = await ask(seed, ["CLUSTER", "SLOTS"]);
  if (reply instanceof SeriesProblem) throw reply;
  for (const each of Array.isArray(reply) ? (reply as readonly KeyReply[]) : []) {
    const { first, last, host, port } = rangeOf(each);
    bySlot.fill(nodeAt(host === "" ? seedHost : host, port), first, last + 1);
  }

  /** Where a command goes that was refused by a node; undefined for an error that is its answer. */
  const againOf = (command: number, message: string, from: Node): Again | undefined => {
    if (message.startsWith("TRYAGAIN")) return { command, node: from, asking: false };
    const [, kind, slot, host = "", port] = REDIRECTION.exec(message) ?? [];
    if (kind === undefined) return undefined;
    const node = nodeAt(host === "" ? from.host : host, Number(port));
    if (kind === "MOVED" && Number(slot) < SLOTS) bySlot[Number(slot)] = node;
    return { command, node, asking: kind === "ASK" };
  };

  /** Sends some commands, each to its node; gives those that have to be sent again. */
  const round = async (
    commands: CommandBuffer,
    chosen: readonly Again[] | undefined,
    isLast: boolean,
    take: TakeReply,
  ): Promise<readonly Again[]> => {
    const lanes = new Map<Node, Lane>();
    const put = (command: number, own: Node | undefined, asking: boolean): void => {
      const node = own ?? bySlot[commands.slotOf(command)];
      if (node === undefined)
        throw notConnected(`no node of the cluster has slot ${commands.slotOf(command)}`);
      const lane = lanes.get(node) ?? { buffer: new CommandBuffer(), numbers: [] };
      lanes.set(node, lane);
      if (asking) {
        lane.buffer.add(["ASKING"]);
        lane.numbers.push(-1);
      }
      lane.buffer.copy(commands, command);
      lane.numbers.push(command);
    };
    if (chosen === undefined)
      for (let command = 0; command < commands.count; command++) put(command, undefined, false);
    else for (const { command, node, asking } of chosen) put(command, node, asking);
    const again: Again[] = [];
    const results = await Promise.allSettled(
      [...lanes].map(async ([node, { buffer, numbers }]) => {
        const connection = await connectionTo(node);
        await connection.pipe(buffer, (at, bytes, from, to) => {
          const command = numbers[at] ?? -1;
          if (command < 0) return;
          if (bytes[from] === MINUS && !isLast) {
            const one = againOf(command, bytes.toString("utf8", from + 1, to - 2), node);
            if (one !== undefined) {
              again.push(one);
              return;
            }
          }
          take(command, bytes, from, to);
        });
      }),
    );
    for (const result of results) if (result.status === "rejected") throw result.reason;
    return again.sort((a, b) => a.command - b.command);
  };

  return {
    cluster: true,
    lost: new Promise<string>(() => undefined),
    pipe: async (commands, take) => {
      let again = await round(commands, undefined, false, take);
      for (let count = 1; again.length > 0; count++) {
        if (count > 1) await Bun.sleep(MOVING_PAUSE);
        again = await round(commands, again, count === MAX_ROUNDS, take);
      }
    },
    close: async () => {
      over = true;
      const open = [...nodes.values()].map(({ connection }) => connection?.then((c) => c.close()));
      await Promise.allSettled(open);
    },
    destroy: (reason) => {
      over = true;
      for (const { connection } of nodes.values())
        void connection?.then(
          (each) => each.destroy(reason),
          () => undefined,
        );
    },
  };
}
