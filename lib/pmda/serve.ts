// An agent under pmcd: by the pipes that it was started with, or by a socket on which pmcd calls it
// (spec pmda.md 2.1, 11.2). Serves one connection and ends with it. Refuses nothing of pmcd's; what
// cannot be opened is a PcpError.
//
// Pipes are read by the event loop, so that timers of agents run: measured, a round trip takes as
// long as with PCP's C agents (18 us), since nearly all of it is the two changes of process. A read
// that blocks is no faster, one through poll(2) and read(2) by FFI is (12 us), but then nothing else
// of the agent would ever run. Answers are written at once with a blocking write: pmcd reads nothing
// else before it has them.
import { chmodSync, chownSync, existsSync, unlinkSync, writeSync } from "node:fs";
import type { Socket, TCPSocketListener, UnixSocketListener } from "bun";
import { asPcpError, PcpError, PM_ERR } from "../base/mod.ts";
import type { AgentSetting } from "./define.ts";
import { createSession, type Session } from "./session.ts";
import type { Agent } from "./types.ts";

/** How pmcd reaches the agent. */
export type Transport =
  | {
      readonly kind: "pipe";
      /** Descriptors, 0 and 1 unless given. */
      readonly input?: number;
      readonly output?: number;
    }
  /** Port on 127.0.0.1 or ::1. */
  | { readonly kind: "inet" | "ipv6"; readonly port: number }
  | {
      readonly kind: "unix";
      readonly path: string;
      /** Who gets the socket; it stays with this user when left out. */
      readonly owner?: { readonly uid: number; readonly gid: number };
    };

/** How an agent is served. */
export interface ServeOptions {
  readonly transport: Transport;
  readonly log?: AgentSetting["log"];
  /** pmcd.conf says `notready`. */
  readonly notready?: boolean;
  /** Ends the service when it is aborted. */
  readonly signal?: AbortSignal;
  /** Called when pmcd can connect; at once with pipes. */
  readonly onListening?: () => void;
}

const EAGAIN = -11;
const RETRY = 1;

/** Writes everything to a descriptor. Only one that does not block comes to sleep here. */
function writeAll(fd: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) {
    try {
      at += writeSync(fd, bytes, at);
    } catch (error) {
      if (asPcpError(error).code !== EAGAIN) throw error;
      Bun.sleepSync(RETRY);
    }
  }
}

async function servePipe(
  agent: Agent,
  { input = 0, output = 1 }: Extract<Transport, { kind: "pipe" }>,
  options: ServeOptions,
): Promise<void> {
  const reader = Bun.file(input).stream().getReader();
  let failure: PcpError | undefined;
  let over = false;
  const end = (reason?: PcpError): void => {
    if (over) return;
    over = true;
    failure = reason;
    void reader.cancel();
  };
  let failed: PcpError | undefined;
  const session: Session = createSession(agent, {
    ...options,
    end,
    send(bytes) {
      try {
        if (failed === undefined) writeAll(output, bytes);
      } catch (cause) {
        // The session may be in the middle of something, or not even be there yet.
        failed = asPcpError(cause);
        queueMicrotask(() => session.closed(failed));
      }
    },
  });
  options.signal?.addEventListener("abort", () => end());
  options.onListening?.();
  while (!over) {
    const { done, value } = await reader.read();
    if (done) session.closed();
    else session.receive(value);
  }
  if (failure !== undefined) throw failure;
}

/** The listening socket of a transport, with its rights. */
function listen(
  transport: Exclude<Transport, { kind: "pipe" }>,
  log: AgentSetting["log"],
  socket: Bun.SocketHandler<undefined>,
): TCPSocketListener<undefined> | UnixSocketListener<undefined> {
  if (transport.kind !== "unix")
    return Bun.listen({
      hostname: transport.kind === "inet" ? "127.0.0.1" : "::1",
      port: transport.port,
      socket,
    });
  const { path, owner } = transport;
  if (existsSync(path)) {
    log("Warning", `__pmdaOpenUnix(${path}): socket exists, unlinked it`);
    unlinkSync(path);
  }
  const listener = Bun.listen({ unix: path, socket });
  chmodSync(path, 0o660);
  if (owner !== undefined) chownSync(path, owner.uid, owner.gid);
  return listener;
}

function serveSocket(
  agent: Agent,
  transport: Exclude<Transport, { kind: "pipe" }>,
  options: ServeOptions,
): Promise<void> {
  const { log = () => undefined } = options;
  return new Promise((resolve, reject) => {
    let session: Session | undefined;
    let peer: Socket<undefined> | undefined;
    /** What the socket would not take yet. */
    const unsent: Uint8Array[] = [];
    const end = (reason?: PcpError): void => {
      listener.stop();
      peer?.end();
      if (reason === undefined) resolve();
      else reject(reason);
    };
    const flush = (): void => {
      for (let bytes = unsent[0]; bytes !== undefined; bytes = unsent[0]) {
        const taken = peer?.write(bytes) ?? 0;
        if (taken < 0) session?.closed(new PcpError(PM_ERR.IPC, "the connection is gone"));
        if (taken < bytes.length) {
          unsent[0] = bytes.subarray(Math.max(taken, 0));
          return;
        }
        unsent.shift();
      }
    };
    const handler: Bun.SocketHandler<undefined> = {
      open(socket) {
        // One connection, as PCP's agents have it: later ones are for nobody.
        if (peer !== undefined) {
          socket.terminate();
          return;
        }
        peer = socket;
        listener.stop();
        const send = (bytes: Uint8Array): void => {
          unsent.push(bytes);
          if (unsent.length === 1) flush();
        };
        session = createSession(agent, { ...options, end, send });
      },
      data(socket, chunk) {
        if (socket === peer) session?.receive(chunk);
      },
      drain: flush,
      close(socket) {
        if (socket === peer) session?.closed();
      },
      error(socket, error) {
        if (socket === peer) session?.closed(asPcpError(error));
      },
    };
    let listener: TCPSocketListener<undefined> | UnixSocketListener<undefined>;
    try {
      listener = listen(transport, log, handler);
    } catch (cause) {
      reject(asPcpError(cause));
      return;
    }
    options.signal?.addEventListener("abort", () => end());
    options.onListening?.();
  });
}

/**
 * Serves one connection with pmcd: resolves when pmcd has closed it or `signal` is aborted. Rejects
 * with PcpError when the socket cannot be opened, the handshake fails, or the stream breaks; all of
 * that but the first is in the log.
 */
export function serveAgent(agent: Agent, options: ServeOptions): Promise<void> {
  const { transport } = options;
  return transport.kind === "pipe"
    ? servePipe(agent, transport, options)
    : serveSocket(agent, transport, options);
}
