// What the tests of the running server share: settings with a few members changed, a server in this
// process or in one of its own, raw clients, and servers to be relayed to. Loopback only.
import { connect, createServer, type Server, type Socket } from "node:net";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createLog, socketName } from "../../lib/base/mod.ts";
import { DEFAULT_SETTINGS, type ProxySettings, startProxy } from "../../lib/server/mod.ts";
import type { Proxy, ProxyParts } from "../../lib/server/mod.ts";
import { PATIENCE_MS } from "../helpers/ports.ts";
import { baseEnvironment } from "../helpers/process.ts";

/** Members of settings that differ from the defaults, section by section. */
export type Changes = { readonly [K in keyof ProxySettings]?: Partial<ProxySettings[K]> };

/** Default settings on one port of the system's choice, with `changes`. */
export function settingsWith(changes: Changes = {}): ProxySettings {
  const base: ProxySettings = {
    ...DEFAULT_SETTINGS,
    advertise: false,
    listen: { ...DEFAULT_SETTINGS.listen, ports: [0], portsNamed: true },
  };
  const merged: Record<string, unknown> = { ...base };
  for (const [section, values] of Object.entries(changes)) {
    const old = merged[section];
    const isSection = typeof old === "object" && old !== null && typeof values === "object";
    merged[section] = isSection ? { ...old, ...values } : values;
  }
  return merged as unknown as ProxySettings;
}

/** Numbers of a server, by their names in /-/status. */
export type Numbers = Readonly<Record<string, number>>;

/** A server in this process. */
export interface TestServer {
  readonly proxy: Proxy;
  readonly port: number;
  /** Lines of its log, of every level. */
  readonly lines: readonly string[];
  counters(): Numbers & { readonly connections: Numbers };
}

const running: Proxy[] = [];

/** Starts one; `stopAll` ends it. `lines` get the log, even of one that does not start. */
export async function serverWith(
  changes: Changes = {},
  lines: string[] = [],
  parts: ProxyParts = {},
): Promise<TestServer> {
  const sink = { write: (line: string) => lines.push(line) > 0 };
  const log = createLog({ program: "pmproxy", sink, level: "debug" });
  const proxy = await startProxy(settingsWith(changes), log, parts);
  running.push(proxy);
  const tcp = proxy.rows.find(({ ok, family }) => ok && family !== "unix");
  const counters = () => proxy.status()["counters"] as ReturnType<TestServer["counters"]>;
  return { proxy, port: tcp === undefined ? 0 : socketName(tcp.fd).port, lines, counters };
}

/** A server in a process of its own, for what must be measured or may end badly. */
export interface ChildServer {
  readonly pid: number;
  readonly port: number;
  /** Sends a word and waits for the line that comes back. */
  ask(command: "status" | "gc" | "close" | `drain ${number}`): Promise<unknown>;
  /** Anonymous memory in use, bytes, as the kernel counts it. */
  memory(): number;
  /**
   * Bytes by which memory has grown since it was `before`. What is let go comes back late, so that it is
   * collected and measured again, for some seconds, until there are fewer than `enough`.
   */
  growth(before: number, enough: number): Promise<number>;
  /**
   * The least CPU time, milliseconds, that a second takes, of some seconds: what is to be done after the last
   * request may take a while, what goes in circles does so all the time. Ends with the first below `enough`.
   */
  restlessness(enough: number): Promise<number>;
  descriptors(): number;
  stop(): Promise<void>;
}

const children: ChildServer[] = [];

/** Starts one; `files`: its limit of open files. */
export async function childWith(changes: Changes = {}, files?: number): Promise<ChildServer> {
  const program = join(import.meta.dir, "serve.ts");
  const argv = [process.execPath, program, JSON.stringify(settingsWith(changes))];
  const limited = ["sh", "-c", `ulimit -n ${files}; exec "$@"`, "sh", ...argv];
  const child = Bun.spawn(files === undefined ? argv : limited, {
    env: baseEnvironment(),
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  const waiting: ((line: string) => void)[] = [];
  const unread: string[] = [];
  const read = async (): Promise<void> => {
    let text = "";
    for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (text + chunk).split("\n");
      text = lines.pop() ?? "";
      for (const line of lines) {
        const next = waiting.shift();
        if (next === undefined) unread.push(line);
        else next(line);
      }
    }
    for (const next of waiting.splice(0)) next('"ended"');
  };
  void read();
  const line = async (): Promise<unknown> => {
    const text = unread.shift() ?? (await new Promise<string>((resolve) => waiting.push(resolve)));
    return JSON.parse(text) as unknown;
  };
  const cpuMs = (): number => {
    const stat = readFileSync(`/proc/${child.pid}/stat`, "utf8").replace(/^.*\) /, "");
    const [user = 0, system = 0] = stat.split(" ").slice(11, 13).map(Number);
    return (user + system) * 10;
  };
  const server: ChildServer = {
    pid: child.pid,
    port: Number(await line()),
    ask(command) {
      child.stdin.write(`${command}\n`);
      void child.stdin.flush();
      return line();
    },
    memory() {
      const text = readFileSync(`/proc/${child.pid}/status`, "utf8");
      return Number(/^RssAnon:\s+(\d+) kB$/m.exec(text)?.[1]) * 1024;
    },
    async growth(before, enough) {
      for (let left = 20; ; left--) {
        const grown = server.memory() - before;
        if (grown < enough || left === 0) return grown;
        await Bun.sleep(100);
        await server.ask("gc");
      }
    },
    async restlessness(enough) {
      let least = Infinity;
      for (let left = 20; left > 0 && least >= enough; left--) {
        const before = cpuMs();
        await Bun.sleep(1000);
        least = Math.min(least, cpuMs() - before);
      }
      return least;
    },
    descriptors: () => readdirSync(`/proc/${child.pid}/fd`).length,
    async stop() {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
  children.push(server);
  return server;
}

/** A client that remembers what it got. */
export interface RawClient {
  readonly socket: Socket;
  /** What came, as Latin-1 text. */
  text(): string;
  length(): number;
  /** The other side has ended or reset the connection. */
  closed(): boolean;
  /** Waits for that many bytes; the text so far when they do not come in time. */
  got(bytes: number): Promise<string>;
  /** Waits for the end; everything that came. */
  end(): Promise<string>;
}

/** Watches a socket that somebody opened. */
export function rawOver(socket: Socket): RawClient {
  const chunks: Buffer[] = [];
  let length = 0;
  let closed = false;
  let changed = (): void => {};
  socket.on("data", (chunk: Buffer) => {
    chunks.push(chunk);
    length += chunk.length;
    changed();
  });
  const over = (): void => {
    closed = true;
    changed();
  };
  socket.on("end", over);
  socket.on("close", over);
  // A reset is one way to end; "close" follows.
  socket.on("error", over);
  const until = async (ready: () => boolean): Promise<void> => {
    const end = Date.now() + PATIENCE_MS;
    while (!ready() && Date.now() < end) {
      const news = new Promise<void>((resolve) => {
        changed = resolve;
      });
      await Promise.race([news, Bun.sleep(50)]);
    }
  };
  const text = () => Buffer.concat(chunks).toString("latin1");
  return {
    socket,
    text,
    length: () => length,
    closed: () => closed,
    async got(bytes) {
      await until(() => length >= bytes || closed);
      return text();
    },
    async end() {
      await until(() => closed);
      return closed ? text() : `${text()} (still open)`;
    },
  };
}

const clients: Socket[] = [];

/** Connects to a port of 127.0.0.1 or to a unix socket; `send` goes out in one piece. */
export async function rawClient(target: number | string, send?: string): Promise<RawClient> {
  const socket =
    typeof target === "number"
      ? connect({ host: "127.0.0.1", port: target, allowHalfOpen: true })
      : connect({ path: target, allowHalfOpen: true });
  socket.setNoDelay(true);
  clients.push(socket);
  const client = rawOver(socket);
  await new Promise<void>((resolve) => {
    socket.once("connect", resolve);
    socket.once("error", () => resolve());
  });
  if (send !== undefined) socket.write(Buffer.from(send, "latin1"));
  return client;
}

/** What a stand-in server knows. */
export interface StandIn {
  readonly port: number;
  /** Connections that are open. */
  readonly sockets: ReadonlySet<Socket>;
  readonly accepted: () => number;
  stop(): void;
}

const standIns: StandIn[] = [];

/** A server on 127.0.0.1 (or `host`) that does `serve` with each connection. */
export function standIn(
  serve: (socket: Socket) => void,
  host = "127.0.0.1",
  port = 0,
): Promise<StandIn> {
  const sockets = new Set<Socket>();
  let accepted = 0;
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    accepted += 1;
    sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => sockets.delete(socket));
    serve(socket);
  });
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port }, () => {
      const address = server.address();
      const made: StandIn = {
        port: typeof address === "object" && address !== null ? address.port : 0,
        sockets,
        accepted: () => accepted,
        stop: () => {
          server.close();
          for (const socket of sockets) socket.destroy();
        },
      };
      standIns.push(made);
      resolve(made);
    });
  });
}

/** A port where connections are neither taken nor refused; `stop` refuses them. */
export async function silentPort(): Promise<{ port: number; stop(): Promise<void> }> {
  const program = `
    import { setBacklog } from ${JSON.stringify(`${import.meta.dir}/../../lib/base/mod.ts`)};
    const handlers = { data() {} };
    const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: handlers });
    setBacklog(listener.fd, 0);
    console.log(listener.port);
    setTimeout(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0), 1);
  `;
  const child = Bun.spawn([process.execPath, "-e", program], { stdout: "pipe", stderr: "inherit" });
  const { value } = await child.stdout.getReader().read();
  const port = Number(new TextDecoder().decode(value));
  await Bun.sleep(50);
  const fillers: Socket[] = [];
  for (let filler = 0; filler < 3; filler++) {
    const socket = connect({ host: "127.0.0.1", port });
    socket.on("error", () => socket.destroy());
    fillers.push(socket);
  }
  await Bun.sleep(50);
  return {
    port,
    async stop() {
      child.kill("SIGKILL");
      await child.exited;
      for (const socket of fillers) socket.destroy();
    },
  };
}

/** Greeting of a client, and the answer to it. */
export const GREETING = "pmproxy-client 1\n";
export const WELCOME = "pmproxy-server 1\n";

/** Ends whatever the functions above have started. */
export async function stopAll(): Promise<void> {
  for (const socket of clients.splice(0)) socket.destroy();
  for (const made of standIns.splice(0)) made.stop();
  for (const proxy of running.splice(0)) proxy.close();
  for (const child of children.splice(0)) await child.stop();
}
