// Free ports for the servers that tests start, and waiting for a server to listen.
// Refuses nothing: a port that is taken between the answer and its use makes the server fail to
// start, which the starter reports with the server's log.
import { connect, createServer } from "node:net";

/** Ports handed out by this process, so that no port is given twice while its server starts. */
const given = new Set<number>();

function listenOnce(host: string, port: number): Promise<number | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(null));
    server.listen({ host, port, exclusive: true }, () => {
      const address = server.address();
      const bound = typeof address === "object" && address !== null ? address.port : null;
      server.close(() => resolve(bound));
    });
  });
}

/** A TCP port that is free on 127.0.0.1 and, where the machine has it, on ::1. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 50; attempt++) {
    const port = await listenOnce("127.0.0.1", 0);
    if (port === null || given.has(port)) continue;
    if ((await hasIpv6Loopback()) && (await listenOnce("::1", port)) === null) continue;
    given.add(port);
    return port;
  }
  throw new Error("no free loopback port found in 50 attempts");
}

let ipv6: Promise<boolean> | undefined;

/** Whether ::1 can be listened on. */
export function hasIpv6Loopback(): Promise<boolean> {
  ipv6 ??= listenOnce("::1", 0).then((port) => port !== null);
  return ipv6;
}

/** Whether something accepts a connection there now. Nothing is sent. */
export function isListening(target: { host: string; port: number } | { path: string }) {
  return new Promise<boolean>((resolve) => {
    const socket = connect(target);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => {
      socket.destroy();
      resolve(false);
    });
  });
}

/** Calls `ready` every 20 ms until it answers true, or until `alive` answers false or `timeoutMs` is over. */
export async function waitUntil(
  ready: () => boolean | Promise<boolean>,
  timeoutMs: number,
  alive: () => boolean = () => true,
): Promise<boolean> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    if (await ready()) return true;
    if (!alive() || performance.now() > end) return false;
    await Bun.sleep(20);
  }
}
