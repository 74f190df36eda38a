// Commands of a load on their way to a key server: collected, sent in windows, one window ahead of the one
// that is being filled, so that memory is bounded and the server never waits. Refused: a server that
// answers an error, and one to which the connection was made anew meanwhile.
import { PM_ERR, PcpError } from "../base/mod.ts";
import {
  type KeyCommand,
  type KeyReply,
  type KeyServer,
  WINDOW_COMMANDS,
  WINDOW_PARTS,
} from "./keys.ts";
import { SeriesProblem } from "./problem.ts";

/** What is done with a reply; true when an error is dealt with by that. */
export type ReplyUse = (reply: KeyReply) => boolean;

/** Where commands go. */
export interface LoadWriter {
  /** Puts a command behind those that are there. */
  add(command: KeyCommand, use?: ReplyUse): void;
  /** True when `send` should be called before more is added. */
  readonly full: boolean;
  /** Sends what is there, when what was sent before is done. */
  send(): Promise<void>;
  /** Sends all, and waits until it is done. */
  finish(): Promise<void>;
}

/** What streams say of an entry that is there already. */
const OLD_ENTRY = "ERR The ID specified in XADD is equal or smaller";
/** What nodes of a cluster say that will say something else soon. */
const PASSING = /^(?:CLUSTERDOWN|TRYAGAIN|MASTERDOWN|READONLY|NOREPLICAS|LOADING)\b/;

/** Whether a load that failed with this error can be made again when the connection is back. */
export const canLoadAgain = (error: unknown): boolean =>
  error instanceof PcpError && error.code === PM_ERR.NOTCONN;

function checkReply(reply: KeyReply): void {
  if (!(reply instanceof SeriesProblem) || reply.message.startsWith(OLD_ENTRY)) return;
  if (PASSING.test(reply.message)) throw new PcpError(PM_ERR.NOTCONN, reply.message);
  throw new SeriesProblem(`key server refuses to load: ${reply.message}`, "bad response");
}

/** A writer over the connection as it is now. */
export function loadWriter(server: KeyServer): LoadWriter {
  const { generation } = server;
  let commands: KeyCommand[] = [];
  let uses: { readonly at: number; readonly use: ReplyUse }[] = [];
  let parts = 0;
  let sending: Promise<unknown> = Promise.resolve();

  const transmit = async (list: readonly KeyCommand[], waiting: typeof uses): Promise<void> => {
    if (server.generation !== generation)
      throw new PcpError(PM_ERR.NOTCONN, "the connection to the key server was made anew");
    const replies = await server.run(list);
    const dealtWith = new Set<number>();
    for (const { at, use } of waiting) if (use(replies[at] ?? null)) dealtWith.add(at);
    replies.forEach((reply, at) => {
      if (!dealtWith.has(at)) checkReply(reply);
    });
  };
  const send = async (): Promise<void> => {
    const failed = await sending;
    if (failed instanceof Error) throw failed;
    const list = commands;
    const waiting = uses;
    commands = [];
    uses = [];
    parts = 0;
    // Told at the next call, so that nothing is rejected while nobody waits.
    sending =
      list.length === 0 ? Promise.resolve() : transmit(list, waiting).catch((error) => error);
  };
  return {
    add: (command, use) => {
      if (use !== undefined) uses.push({ at: commands.length, use });
      commands.push(command);
      parts += command.length;
    },
    get full() {
      return commands.length >= WINDOW_COMMANDS || parts >= WINDOW_PARTS;
    },
    send,
    finish: async () => {
      // What a reply leads to is sent after it.
      do {
        await send();
        await send();
      } while (commands.length > 0);
      await send();
    },
  };
}
