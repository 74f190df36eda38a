// Many commands at once for a cluster of key servers: each goes to the node that has the slot of its key,
// over a connection to each node that is needed. Nodes that say that a slot has moved, or is moving, are
// followed, in the order of the commands, so that commands of one key never overtake each other within
// one call. Refused: slots that no node has, and more redirections of a command than MAX_ROUNDS.
import { PcpError } from "../base/mod.ts";
import type { NodeAddress } from "./client.ts";
import {
  ask,
  type Connection,
  type ConnectionOptions,
  connectTo,
  notConnected,
  reasonOf,
} from "./connection.ts";
import { CommandBuffer, type TakeReply } from "./resp.ts";
import { SLOTS } from "./slot.ts";

/** What goes to one server, and what that says of its memory. */
export interface Share {
  /** The server's answer to `INFO memory`; empty where it gives none. */
  readonly info: string;
  /** Bytes and number of the commands that go there; 0 where none does. */
  bytes: number;
  count: number;
}

/** Connections for many commands. */
export interface Bulk extends Pick<Connection, "pipe" | "close" | "destroy"> {
  /** The shares that all servers have of some commands. Rejects when one cannot be asked. */
  shares(commands: CommandBuffer): Promise<readonly Share[]>;
}

/** What a server says of its memory. */
export async function memoryOf(connection: Connection): Promise<string> {
  const reply = await ask(connection, ["INFO", "memory"]);
  return Buffer.isBuffer(reply) ? reply.toString("latin1") : "";
}

/** Rounds in which commands are sent again. */
const MAX_ROUNDS = 16;
/** ms before a command is sent again whose slot is being moved. */
const MOVING_PAUSE = 20;
const MINUS = 0x2d;

interface Node extends NodeAddress {
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

/**
 * Connections to the nodes of a cluster, made when they are needed; `nodeOf` tells the node of a slot, until
 * a node says otherwise. `onLost` hears of each that is lost.
 */
export function bulkOfCluster(
  nodeOf: (slot: number) => NodeAddress | undefined,
  options: ConnectionOptions,
  onLost: (reason: string) => void,
): Bulk {
  const nodes = new Map<string, Node>();
  const moved = new Map<number, Node>();
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

  const nodeOfSlot = (slot: number): Node => {
    const known = moved.get(slot) ?? nodeOf(slot);
    if (known === undefined) throw notConnected(`no node of the cluster has slot ${slot}`);
    return nodeAt(known.host, known.port);
  };

  /** All nodes that have slots, asked at once. */
  const allShares = async (): Promise<ReadonlyMap<Node, Share>> => {
    const all = new Set<Node>();
    for (let slot = 0; slot < SLOTS; slot++) {
      const known = moved.get(slot) ?? nodeOf(slot);
      if (known !== undefined) all.add(nodeAt(known.host, known.port));
    }
    const asked = [...all].map(async (node): Promise<[Node, Share]> => {
      const info = await memoryOf(await connectionTo(node));
      return [node, { info, bytes: 0, count: 0 }];
    });
    return new Map(await Promise.all(asked));
  };

  /** Where a command goes that was refused by a node; undefined for an error that is its answer. */
  const againOf = (command: number, message: string, from: Node): Again | undefined => {
    if (message.startsWith("TRYAGAIN")) return { command, node: from, asking: false };
    const [, kind, slot, host = "", port] = REDIRECTION.exec(message) ?? [];
    if (kind === undefined) return undefined;
    const node = nodeAt(host === "" ? from.host : host, Number(port));
    if (kind === "MOVED") moved.set(Number(slot), node);
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
      const node = own ?? nodeOfSlot(commands.slotOf(command));
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
    shares: async (commands) => {
      const shares = await allShares();
      for (let command = 0; command < commands.count; command++) {
        const share = shares.get(nodeOfSlot(commands.slotOf(command)));
        if (share === undefined) continue;
        share.bytes += commands.endOf(command) - commands.endOf(command - 1);
        share.count++;
      }
      return [...shares.values()];
    },
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
