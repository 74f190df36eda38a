// A stand-in for pmcd or pmproxy on loopback that says what a test tells it to, byte for byte, and
// keeps what it hears. For what a real pmcd never does: silence, lies, death in the middle.
import { createServer, type Socket } from "node:net";
import { encodePdu } from "../../lib/pdu/codec.ts";
import { connectPmcd, type ConnectOptions } from "../../lib/pdu/connection.ts";
import { createFramer } from "../../lib/pdu/frame.ts";
import type { PmcdConnection } from "../../lib/pdu/requests.ts";
import { FROM_ANON, type Pdu } from "../../lib/pdu/types.ts";

/** One client of the stand-in. */
export interface Talk {
  readonly socket: Socket;
  /** Sends PDUs or raw bytes, in one write. */
  send(...what: readonly (Pdu | Uint8Array | string)[]): void;
  /** The next whole PDU from the client; rejects when it hangs up. */
  read(): Promise<Uint8Array>;
  /** The next line of text from the client, without its end. */
  readLine(): Promise<string>;
  /** Drops the connection with a reset. */
  reset(): void;
}

/** A running stand-in. */
export interface Peer {
  readonly port: number;
  readonly spec: string;
  /** Clients so far. */
  readonly clients: number;
  stop(): Promise<void>;
}

/** Features of a plain pmcd. */
export const PLAIN_FEATURES = 0x0e44;

/** A challenge with these features. */
export const challenge = (features = PLAIN_FEATURES, code = 0): Pdu => ({
  kind: "challenge",
  from: FROM_ANON,
  code,
  version: code === 0 ? 2 : 0,
  licensed: code === 0 ? 1 : 0,
  features: code === 0 ? features : 0,
});

/** A plain ERROR. */
export const errorPdu = (code: number): Pdu => ({ kind: "error", from: FROM_ANON, code });

/** PMNS_NAMES. */
export const namesPdu = (...names: string[]): Pdu => ({
  kind: "pmns-names",
  from: FROM_ANON,
  names,
});

/** Bytes of any of what `send` takes. */
export const bytesOf = (what: Pdu | Uint8Array | string): Uint8Array => {
  if (typeof what === "string") return Buffer.from(what, "latin1");
  return what instanceof Uint8Array ? what : encodePdu(what);
};

function talkOver(socket: Socket): Talk {
  let heard: Buffer = Buffer.alloc(0);
  let wake: () => void = () => undefined;
  socket.on("data", (chunk: Buffer) => {
    heard = Buffer.concat([heard, chunk]);
    wake();
  });
  socket.on("error", () => wake());
  socket.on("close", () => wake());
  const take = async (size: (bytes: Buffer) => number): Promise<Buffer> => {
    for (;;) {
      const end = size(heard);
      if (end > 0) {
        const taken = heard.subarray(0, end);
        heard = heard.subarray(end);
        return taken;
      }
      if (socket.destroyed) throw new Error("the client hung up");
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  return {
    socket,
    send: (...what) => void socket.write(Buffer.concat(what.map(bytesOf))),
    read: () =>
      take((bytes) => {
        const framer = createFramer();
        framer.feed(bytes);
        return framer.next()?.length ?? 0;
      }),
    readLine: async () =>
      (await take((bytes) => bytes.indexOf(10) + 1)).toString("latin1").trimEnd(),
    reset: () => void socket.resetAndDestroy(),
  };
}

/**
 * Listens on loopback and runs `script` for every client; `number` counts them from 1. A script that
 * fails because the client has gone is over; other failures come out of `stop`.
 */
export async function startPeer(
  script: (talk: Talk, number: number) => void | Promise<void>,
  host = "127.0.0.1",
): Promise<Peer> {
  const sockets = new Set<Socket>();
  const failures: unknown[] = [];
  let clients = 0;
  const run = async (socket: Socket): Promise<void> => {
    try {
      await script(talkOver(socket), clients);
    } catch (error) {
      if (!socket.destroyed) failures.push(error);
    }
  };
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    clients += 1;
    void run(socket);
  });
  await new Promise<void>((resolve) => server.listen({ host, port: 0 }, resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return {
    port,
    spec: host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`,
    get clients() {
      return clients;
    },
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
      if (failures.length > 0) throw failures[0];
    },
  };
}

/** A stand-in that sets a plain session up and then follows `script`. */
export function startPmcdPeer(
  script: (talk: Talk, number: number) => void | Promise<void>,
  features = PLAIN_FEATURES,
): Promise<Peer> {
  return startPeer(async (talk, number) => {
    talk.send(challenge(features));
    await talk.read();
    await script(talk, number);
  });
}

/** A port of 127.0.0.1 where nobody listens. */
export async function closedPort(): Promise<number> {
  const peer = await startPeer(() => undefined);
  await peer.stop();
  return peer.port;
}

/** Connects with a quiet environment of its own: nothing of the machine's, `env` added. */
export function connectTo(
  spec: string,
  env: Readonly<Record<string, string>> = {},
  options: ConnectOptions = {},
): Promise<PmcdConnection> {
  return connectPmcd(spec, {
    env: { PCP_TLSCONF_PATH: "/nonexistent/tls.conf", ...env },
    pid: 0x6631,
    ...options,
  });
}

/** The code with which a promise rejects; "none" when it does not. */
export async function codeOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error instanceof Error && "code" in error ? error.code : error;
  }
  return "none";
}
