// A TCP port on loopback that hands every connection on, unchanged, to a unix socket or into TLS: the way for
// programs that can name neither to reach a proxy's unix socket, or a proxy inside TLS. Both ends close together.
import { connect, createServer } from "node:net";
import type { Server, Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { readFileSync } from "node:fs";
import type { TlsFiles } from "./tls.ts";

/** A running relay. */
export interface Relay {
  readonly port: number;
  stop(): Promise<void>;
}

/** Where a relay hands connections on to. */
export type RelayTarget =
  | { readonly path: string }
  | { readonly host: string; readonly port: number; readonly tls?: TlsFiles };

function open(target: RelayTarget): Socket {
  if ("path" in target) return connect({ path: target.path });
  const { host, port, tls } = target;
  if (tls === undefined) return connect({ host, port });
  return connectTls({ host, port, ca: readFileSync(tls.authority), servername: "localhost" });
}

/** Listens on a free port of 127.0.0.1. */
export function startRelay(target: RelayTarget): Promise<Relay> {
  const sockets = new Set<Socket>();
  const server: Server = createServer({ allowHalfOpen: true }, (near) => {
    const far = open(target);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.pipe(to);
      from.once("error", () => to.destroy());
      from.once("close", () => {
        sockets.delete(from);
        to.destroySoon();
      });
    }
  });
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host: "127.0.0.1", port: 0 }, () => {
      const address = server.address();
      if (address === null || typeof address === "string") {
        reject(new Error("the relay has no port"));
        return;
      }
      resolve({
        port: address.port,
        stop: async () => {
          for (const socket of sockets) socket.destroy();
          await new Promise<void>((done) => server.close(() => done()));
        },
      });
    });
  });
}
