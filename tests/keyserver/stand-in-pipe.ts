// Goal: stand-ins for key servers that answer command by command can also be asked in bytes: commands are
// read from their bytes, replies are written as a server writes them.
import type { KeyArgument, KeyCommand, KeyReply, KeyServer } from "../../lib/keyserver/keys.ts";
import { readReply } from "../../lib/keyserver/resp.ts";
import { SeriesProblem } from "../../lib/series/problem.ts";

/** A reply as a server of RESP 2 writes it. */
export function replyBytes(reply: KeyReply): Buffer {
  if (reply === null) return Buffer.from("$-1\r\n");
  if (typeof reply === "number") return Buffer.from(`:${reply}\r\n`);
  if (reply instanceof SeriesProblem) return Buffer.from(`-${reply.message}\r\n`);
  if (typeof reply === "string" && !/[\r\n]/.test(reply)) return Buffer.from(`+${reply}\r\n`);
  if (typeof reply === "string" || Buffer.isBuffer(reply)) {
    const bytes = Buffer.from(reply as string | Buffer);
    return Buffer.concat([Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from("\r\n")]);
  }
  return Buffer.concat([Buffer.from(`*${reply.length}\r\n`), ...reply.map(replyBytes)]);
}

/** Parts of a command; those that may be names or numbers as text, others as bytes. */
const partsOf = (command: KeyReply): KeyCommand =>
  (Array.isArray(command) ? (command as readonly KeyReply[]) : []).map((part): KeyArgument => {
    const bytes = Buffer.isBuffer(part) ? part : Buffer.alloc(0);
    return bytes.length === 20 ? Buffer.from(bytes) : bytes.toString();
  });

/** `pipe` over a `run`. */
export const pipeOver =
  (run: KeyServer["run"]): KeyServer["pipe"] =>
  async (commands, take) => {
    const list = Array.from({ length: commands.count }, (_, at) =>
      partsOf(readReply(commands.bytes, commands.endOf(at - 1))),
    );
    (await run(list)).forEach((reply, at) => {
      const bytes = replyBytes(reply);
      take(at, bytes, 0, bytes.length);
    });
  };
