// Goal: a key server of a few lines for tests of what no real one does on demand: it answers each command
// with the bytes that a function says, in as small pieces as wanted.
import type { KeyCommand, KeyReply } from "../../lib/keyserver/keys.ts";
import { readReply, ReplyScanner } from "../../lib/keyserver/resp.ts";

/** A running one. */
export interface FakeServer {
  readonly port: number;
  /** Commands so far, as texts. */
  readonly commands: readonly string[];
  stop(): void;
}

const INFO = "# Server\r\nredis_version:7.0.0\r\n";
const bulk = (text: string): string => `$${Buffer.byteLength(text)}\r\n${text}\r\n`;

/** What a single server answers while it is connected to; +OK to all else. */
export function usualAnswer(command: string): string {
  if (command === "INFO SERVER") return bulk(INFO);
  if (command === "CLUSTER SLOTS") return "-ERR This instance has cluster support disabled\r\n";
  if (command.startsWith("GET ")) return bulk("2");
  return "+OK\r\n";
}

const textOf = (command: KeyCommand): string => command.map(String).join(" ");

/** Starts one; `answer` gives the bytes of a reply, `piece` is how many are sent at once. */
export function startFakeServer(answer: (command: string) => string, piece = 0): FakeServer {
  const commands: string[] = [];
  const listener = Bun.listen<{ rest: Buffer; sent: Promise<void> }>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open: (socket) => {
        socket.data = { rest: Buffer.alloc(0), sent: Promise.resolve() };
      },
      data: (socket, chunk) => {
        const { data } = socket;
        let bytes = Buffer.concat([data.rest, chunk]);
        let said = "";
        const scanner = new ReplyScanner();
        while (scanner.next(bytes, bytes.length)) {
          const parts = readReply(bytes, 0) as readonly KeyReply[];
          const command = textOf(parts.map(String));
          commands.push(command);
          said += answer(command);
          bytes = bytes.subarray(scanner.at);
          scanner.at = 0;
        }
        data.rest = bytes;
        // One answer behind the other, however slow they go.
        data.sent = data.sent.then(async () => {
          const step = piece === 0 ? said.length : piece;
          for (let at = 0; at < said.length; at += step) {
            socket.write(said.slice(at, at + step));
            if (piece > 0) await Bun.sleep(1);
          }
        });
      },
    },
  });
  return { port: listener.port, commands, stop: () => listener.stop(true) };
}
