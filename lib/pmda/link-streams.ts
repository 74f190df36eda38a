// agentOverLink: links to agents over the streams that there are: the pipes of a child process, and
// sockets on which an agent listens (spec pmda.md 2.1). Refuses addresses where nobody listens.
import type { Socket, Subprocess } from "bun";
import { asPcpError, PcpError, PM_ERR } from "../base/mod.ts";
import { type AgentLink, createAgentLink, type LinkOptions } from "./link.ts";
import type { Agent } from "./types.ts";

/** A child process with pipes both ways. */
export type PipedProcess = Subprocess<"pipe", "pipe", "inherit" | "ignore" | "pipe" | null>;

/** Where an agent listens. */
export type AgentAddress =
  | { readonly kind: "inet" | "ipv6"; readonly port: number }
  | { readonly kind: "unix"; readonly path: string };

/** A stream that leads to an agent. */
export type AgentStream = PipedProcess | AgentAddress;

type StreamOptions = Omit<LinkOptions, "transport">;

/** How a process has ended, as a clause. */
function endOf({ exitCode, signalCode }: PipedProcess): string | undefined {
  if (signalCode !== null) return `killed by ${signalCode}`;
  return exitCode === null ? undefined : `exit(${exitCode})`;
}

function overProcess(child: PipedProcess, options: StreamOptions): Promise<Agent> {
  const { stdin } = child;
  const reader = child.stdout.getReader();
  let open = true;
  /** A pipe that cannot be written to shows at once on the other one, as its end. */
  const failed = (cause: unknown): void => link.closed(asPcpError(cause).message);
  const link: AgentLink = createAgentLink({
    ...options,
    transport: {
      write(bytes) {
        try {
          stdin.write(bytes);
          const flushed = stdin.flush();
          if (flushed instanceof Promise) flushed.catch(failed);
        } catch (cause) {
          failed(cause);
        }
      },
      close() {
        open = false;
        void reader.cancel();
        const closed = stdin.end();
        if (closed instanceof Promise) closed.catch(failed);
      },
    },
  });
  const read = async (): Promise<void> => {
    while (open) {
      const { done, value } = await reader.read();
      if (done) break;
      link.receive(value);
    }
    // Its status is there a moment after the end of its output, unless it closed that on purpose.
    if (open) await Promise.race([child.exited, Bun.sleep(STATUS_WAIT)]);
    link.closed(endOf(child));
  };
  read().catch(failed);
  return link.opened;
}

/** Milliseconds. */
const STATUS_WAIT = 100;

async function overSocket(address: AgentAddress, options: StreamOptions): Promise<Agent> {
  let link: AgentLink | undefined;
  /** What the socket would not take yet. */
  const unsent: Uint8Array[] = [];
  const flush = (socket: Socket): void => {
    for (let bytes = unsent[0]; bytes !== undefined; bytes = unsent[0]) {
      const taken = Math.max(socket.write(bytes), 0);
      if (taken < bytes.length) {
        unsent[0] = bytes.subarray(taken);
        return;
      }
      unsent.shift();
    }
  };
  const handler: Bun.SocketHandler<undefined> = {
    open(socket) {
      link = createAgentLink({
        ...options,
        transport: {
          write(bytes) {
            unsent.push(bytes);
            if (unsent.length === 1) flush(socket);
          },
          close: () => socket.end(),
        },
      });
    },
    data: (_, chunk) => link?.receive(chunk),
    drain: flush,
    close: () => link?.closed(),
    error: (_, error) => link?.closed(error.message),
  };
  try {
    if (address.kind === "unix") await Bun.connect({ unix: address.path, socket: handler });
    else {
      const hostname = address.kind === "inet" ? "127.0.0.1" : "::1";
      await Bun.connect({ hostname, port: address.port, socket: handler });
    }
  } catch (cause) {
    throw asPcpError(cause);
  }
  if (link === undefined) throw new PcpError(PM_ERR.IPC, `no connection to agent ${options.name}`);
  return link.opened;
}

/**
 * The agent at the end of a stream, when it has greeted. Rejects with PcpError: a negated errno when
 * nobody listens, PM_ERR_IPC or PM_ERR_TIMEOUT when it does not greet as agents do. The agent's
 * `close` closes the stream; the process is the caller's to end.
 */
export const agentOverLink = (stream: AgentStream, options: StreamOptions): Promise<Agent> =>
  "kind" in stream ? overSocket(stream, options) : overProcess(stream, options);
