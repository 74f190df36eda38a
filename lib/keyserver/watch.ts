// Whether metadata on a key server have changed: the server tells (CLIENT TRACKING with BCAST, over a
// connection of its own that speaks RESP 3), so that what was told of series may be told again without
// asking. Connects when it is used, lets go when it is not. A connection is lost that gives no sign
// of life for SILENCE_MS when it is asked for one, each BEAT_MS: so long may a change go unseen at most.
// Nothing is told of data bases that change places (SWAPDB): a key that is watched (WATCH) tells at the next beat.
// Refused: to say anything of clusters, of servers before Redis 6 and of ones where that is not allowed.
import { SeriesProblem } from "../series/mod.ts";
import {
  type Address,
  ask,
  type Connection,
  type ConnectionOptions,
  connectTo,
} from "./connection.ts";
import { CommandBuffer, type KeyCommand, type KeyReply, readReply } from "./resp.ts";
import { SCHEMA_KEY } from "./schema.ts";

/** Looks after the metadata of one server. */
export interface MetadataWatch {
  /** A number that stays the same as long as no metadata change; undefined: nobody can say that. */
  stamp(): number | undefined;
  destroy(): void;
}

/** Beginnings of keys with metadata of series; none begins with another. Values are not looked at. */
const PREFIXES = [
  "pcp:desc:",
  "pcp:expr:",
  "pcp:inst",
  "pcp:labelvalue:",
  "pcp:map:",
  "pcp:metric.name:",
] as const;
/**
 * A sign of life, which is none when the key was touched; at once with the next watch, so that nothing comes
 * between. The key is there wherever there are series, and is not written again.
 */
const BEAT: readonly KeyCommand[] = [["MULTI"], ["PING"], ["EXEC"], ["WATCH", SCHEMA_KEY]];
/** What has to be allowed, the first sign of life included: one that is refused would tell of changes for ever. */
const COMMANDS = [
  ["HELLO", "3"],
  ["CLIENT", "TRACKING", "ON", "BCAST", ...PREFIXES.flatMap((prefix) => ["PREFIX", prefix])],
  ...BEAT,
] as const;

/** Questions before it is worth a connection. */
const FIRST_USES = 4;
/** Milliseconds between two signs of life, and without one. */
const BEAT_MS = 1000;
const SILENCE_MS = 3000;
/** Beats without a question, after which the connection is closed. */
const IDLE_BEATS = 60;
/** Milliseconds until it is tried again to connect. */
const PAUSE_MS = 5000;

/** Whether the key was touched since it was watched. Rejects when the connection is lost. */
async function isTouched(connection: Connection): Promise<boolean> {
  const commands = new CommandBuffer();
  for (const command of BEAT) commands.add(command);
  const replies: KeyReply[] = [];
  await connection.pipe(commands, (at, bytes, from) => {
    replies[at] = readReply(bytes, from);
  });
  // Whatever is no answer to the sign of life may be a change.
  return replies.some((reply) => reply instanceof SeriesProblem) || !Array.isArray(replies[2]);
}

/** Watches a server; `changed` gives a higher number each time. */
export function watchMetadata(
  address: Address,
  options: ConnectionOptions,
  changed: () => number,
): MetadataWatch {
  let current: number | undefined;
  let uses = 0;
  let beats = 0;
  let isOver = false;
  /** There is a connection, an attempt at one, or no use in another attempt now. */
  let isBusy = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let end: (reason: string) => void = () => undefined;

  /** Lets it be tried again after a while. */
  const rest = (): void => {
    current = undefined;
    clearTimeout(timer);
    if (isOver) return;
    timer = setTimeout(() => {
      isBusy = false;
    }, PAUSE_MS);
    timer.unref();
  };

  const connect = async (): Promise<void> => {
    const told = (): void => {
      if (current !== undefined) current = changed();
    };
    const timeout = Math.min(SILENCE_MS, options.timeout ?? SILENCE_MS);
    const connection = await connectTo(address, { ...options, timeout }, told);
    end = (reason) => connection.destroy(reason);
    if (isOver) connection.destroy("closed");
    for (const command of COMMANDS) {
      const reply = await ask(connection, command);
      if (!(reply instanceof SeriesProblem)) continue;
      // It will not be otherwise before the server is another one.
      isOver = true;
      connection.destroy(reply.message);
      return;
    }
    current = changed();
    uses = 0;
    beats = 0;
    const beat = (): void => {
      if (uses > 0) beats = 0;
      else if (++beats > IDLE_BEATS) {
        connection.destroy("not used");
        return;
      }
      uses = 0;
      isTouched(connection).then(
        (touched) => {
          if (touched) told();
          if (current !== undefined) timer = setTimeout(beat, BEAT_MS);
        },
        // It is lost, which is heard of below.
        () => undefined,
      );
    };
    timer = setTimeout(beat, BEAT_MS);
    await connection.lost;
  };

  return {
    stamp: () => {
      uses++;
      if (!isBusy && !isOver && uses >= FIRST_USES) {
        isBusy = true;
        // Why it failed is told by the connections that are needed.
        connect().then(rest, rest);
      }
      return current;
    },
    destroy: () => {
      isOver = true;
      current = undefined;
      clearTimeout(timer);
      end("closed");
    },
  };
}
