// Free ports for the servers that tests start, and waiting for a server to listen.
// Ports are taken from outside the range that the system takes its own from: none can become the near end
// of a connection of somebody, not even of the one that looks whether the server listens by now.
// Refuses nothing: a port that is taken between the answer and its use makes the server fail to
// start, which the starter reports with the server's log.
import { existsSync, readFileSync } from "node:fs";
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

const LOWEST = 20_000;

/** The port after the last one that is handed out: below the system's own, or 0 where those leave no room. */
function highest(): number {
  const range = "/proc/sys/net/ipv4/ip_local_port_range";
  const least = existsSync(range) ? Number.parseInt(readFileSync(range, "utf8"), 10) : 32_768;
  return least >= LOWEST + 10_000 ? least : 0;
}

const end = highest();

/** A TCP port that is free on 127.0.0.1 and, where the machine has it, on ::1. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 500; attempt++) {
    // By chance, as other test processes choose theirs at the same time.
    const wanted = end === 0 ? 0 : LOWEST + Math.floor(Math.random() * (end - LOWEST));
    if (given.has(wanted)) continue;
    const port = await listenOnce("127.0.0.1", wanted);
    if (port === null || given.has(port)) continue;
    if ((await hasIpv6Loopback()) && (await listenOnce("::1", port)) === null) continue;
    given.add(port);
    return port;
  }
  throw new Error("no free loopback port found in 500 attempts");
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

/**
 * How long what must happen may take, milliseconds. It only ends a hang: a busy machine with one slow
 * disk takes its time. Tests last up to 300 s, so that they can say what did not happen.
 */
export const PATIENCE_MS = 120_000;

/** Calls `ready` every 20 ms until it answers true, or until `alive` answers false or patience is over. */
export async function waitUntil(
  ready: () => boolean | Promise<boolean>,
  alive: () => boolean = () => true,
): Promise<boolean> {
  const end = performance.now() + PATIENCE_MS;
  for (;;) {
    if (await ready()) return true;
    if (!alive() || performance.now() > end) return false;
    await Bun.sleep(20);
  }
}
