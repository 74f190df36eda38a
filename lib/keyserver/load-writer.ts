// Commands of a load on their way to a key server: collected as bytes, sent in batches, some of them ahead
// of the one that is being filled, so that memory is bounded and the server never waits. In a cluster a
// batch waits for the one before, since commands of one key must not overtake each other. Where memory is
// limited, so does it, and nothing is sent that may not fit: of values that are refused while later ones
// are taken a stream never takes the first again. Refused: a server that answers an error, one without
// room, and one to which the connection was made anew meanwhile.
import { PM_ERR, PcpError } from "../base/mod.ts";
import { SeriesProblem } from "../series/mod.ts";
import type { KeyCommand, KeyReply, KeyServer } from "./keys.ts";
import { CommandBuffer, readReply } from "./resp.ts";

/** What is done with a reply; true when an error is dealt with by that. */
export type ReplyUse = (reply: KeyReply) => boolean;

/** Where commands go. */
export interface LoadWriter {
  /** Puts a command behind those that are there. */
  add(command: KeyCommand, use?: ReplyUse): void;
  /** Where commands are collected just now, for who writes them as bytes; another one after `send`. */
  readonly buffer: CommandBuffer;
  /** True when `send` should be called before more is added. */
  readonly full: boolean;
  /** Sends what is there, when not too much of what was sent before waits. */
  send(): Promise<void>;
  /** Sends all, and waits until it is done. */
  finish(): Promise<void>;
}

/** Bytes and commands of a batch. */
const BATCH_BYTES = 256 * 1024;
const BATCH_COMMANDS = 8192;
/** Batches that may be on their way. */
const AHEAD = 4;
/** Memory that a batch may take on the server: so many times its bytes, and so much for each command. */
const ROOM_TIMES = 4;
const ROOM_COMMAND = 256;
const MINUS = 0x2d;
/** What streams say of an entry that is there already. */
const OLD_ENTRY = "ERR The ID specified in XADD is equal or smaller";
const OLD_BYTES = Buffer.from(`-${OLD_ENTRY}`);
/** What nodes of a cluster say that will say something else soon; that two send to each other does pass, too. */
const PASSING = /^(?:CLUSTERDOWN|TRYAGAIN|MASTERDOWN|READONLY|NOREPLICAS|LOADING|MOVED|ASK)\b/;

/** Whether a load that failed with this error can be made again when the connection is back. */
export const canLoadAgain = (error: unknown): boolean =>
  error instanceof PcpError && error.code === PM_ERR.NOTCONN;

function checkReply(reply: KeyReply): void {
  if (!(reply instanceof SeriesProblem) || reply.message.startsWith(OLD_ENTRY)) return;
  if (PASSING.test(reply.message)) throw new PcpError(PM_ERR.NOTCONN, reply.message);
  throw new SeriesProblem(`key server refuses to load: ${reply.message}`, "bad response");
}

const isOldEntry = (bytes: Buffer, from: number): boolean =>
  bytes.compare(OLD_BYTES, 0, OLD_BYTES.length, from, from + OLD_BYTES.length) === 0;

/** What is left of a server's memory; Infinity where it is not limited, makes room itself, or does not say. */
function roomOf(info: string): number {
  const numberOf = (name: string): number =>
    Number(new RegExp(`^${name}:(\\d+)`, "m").exec(info)?.[1] ?? 0);
  const limit = numberOf("maxmemory");
  const isFirm = /^maxmemory_policy:noeviction/m.test(info);
  return limit > 0 && isFirm ? limit - numberOf("used_memory") : Infinity;
}

/** A writer over the connection as it is now. */
export function loadWriter(server: KeyServer): LoadWriter {
  const { generation, state } = server;
  const isCluster = state.kind === "up" && state.cluster;
  /** One until it is known that memory is not limited. */
  let ahead = 1;
  let isLimited = true;
  let buffer = new CommandBuffer();
  let uses = new Map<number, ReplyUse>();
  const free: CommandBuffer[] = [];
  const sending = new Set<Promise<void>>();
  let failure: { readonly error: unknown } | undefined;

  const makeSure = async (batch: CommandBuffer): Promise<void> => {
    const shares = await server.shares(batch);
    isLimited = shares.some(({ info }) => roomOf(info) < Infinity);
    if (!isLimited && !isCluster) ahead = AHEAD;
    for (const { info, bytes, count } of shares) {
      const room = roomOf(info);
      if (count === 0 || room >= ROOM_TIMES * bytes + ROOM_COMMAND * count) continue;
      throw new SeriesProblem(
        `key server refuses to load: OOM, ${Math.max(0, room)} bytes are left of maxmemory`,
        "bad response",
      );
    }
  };
  const transmit = async (batch: CommandBuffer, waiting: typeof uses): Promise<void> => {
    try {
      if (server.generation !== generation)
        throw new PcpError(PM_ERR.NOTCONN, "the connection to the key server was made anew");
      if (isLimited) await makeSure(batch);
      await server.pipe(batch, (number, bytes, from) => {
        const use = waiting.size > 0 ? waiting.get(number) : undefined;
        if (use === undefined && (bytes[from] !== MINUS || isOldEntry(bytes, from))) return;
        const reply = readReply(bytes, from);
        if (use?.(reply) !== true) checkReply(reply);
      });
      batch.clear();
      free.push(batch);
    } catch (error) {
      // Told at the next call, so that nothing is rejected while nobody waits.
      failure ??= { error };
    }
  };
  const throwFailure = (): void => {
    if (failure !== undefined) throw failure.error;
  };
  /** Waits until no more than so many batches are on their way. */
  const settle = async (most: number): Promise<void> => {
    while (sending.size > most) await Promise.race(sending);
    throwFailure();
  };
  const send = async (): Promise<void> => {
    await settle(ahead - 1);
    if (buffer.count === 0) return;
    const batch = transmit(buffer, uses).finally(() => sending.delete(batch));
    sending.add(batch);
    buffer = free.pop() ?? new CommandBuffer();
    uses = new Map();
  };
  return {
    add: (command, use) => {
      if (use !== undefined) uses.set(buffer.count, use);
      buffer.add(command);
    },
    get buffer() {
      return buffer;
    },
    get full() {
      return buffer.length >= BATCH_BYTES || buffer.count >= BATCH_COMMANDS;
    },
    send,
    finish: async () => {
      // What a reply leads to is sent after it.
      do {
        await send();
        await settle(0);
      } while (buffer.count > 0);
    },
  };
}
