// One connection to one key server for many commands: they go out as bytes, replies are found as bytes and
// handed to who sent the commands, in order. Nothing is made for a single command, which is what loading and reading
// of many values need. Refused: more waiting bytes than QUEUE_BYTES, certificates that do not fit, and
// servers that say nothing for too long or something that is no reply.
import { checkServerIdentity } from "node:tls";
import { asPcpError, PM_ERR, PcpError, pmErrStr } from "../base/mod.ts";
import { SeriesProblem } from "../series/mod.ts";
import {
  CommandBuffer,
  type KeyCommand,
  type KeyReply,
  MAX_REPLY,
  readReply,
  ReplyScanner,
  type TakeReply,
} from "./resp.ts";

/** How TLS is spoken with the servers: PEM texts; the machine's authorities unless `ca` is given. */
export interface KeyServerTls {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  /** False takes any certificate. */
  readonly rejectUnauthorized?: boolean;
}

/** How a server is spoken to. */
export interface ConnectionOptions {
  readonly user?: string;
  readonly password?: string;
  readonly tls?: KeyServerTls;
  /** ms without an answer that is waited for; COMMAND_TIMEOUT by default. */
  readonly timeout?: number;
}

/** Where a server is. */
export type Address = { readonly path: string } | { readonly host: string; readonly port: number };

/** A connection. */
export interface Connection {
  /**
   * Sends commands and gives their replies to `take`, in order; resolves behind the last one. The
   * buffer must be left alone until then. What `take` throws rejects, when all replies are there.
   * Rejects with PM_ERR_NOTCONN when the connection is or gets lost.
   */
  pipe(commands: CommandBuffer, take: TakeReply): Promise<void>;
  /** Why it was lost; never rejects. */
  readonly lost: Promise<string>;
  /** Lets what is on its way come in and closes. */
  close(): Promise<void>;
  /** Closes at once; what waits is rejected with the reason. */
  destroy(reason: string): void;
}

const CONNECT_TIMEOUT = 5000;
/** How something begins that is no reply, but told by a server that speaks RESP 3. */
const PUSH = 0x3e;
/** Milliseconds for answers that are on their way when a connection is closed. */
const CLOSE_TIMEOUT = 2000;
/** Numbers of the system's errors are above it, below 0. */
const LEAST_ERRNO = -4096;
/** Milliseconds for an answer (spec series.md 1.2). */
export const COMMAND_TIMEOUT = 60_000;
/** Most bytes of all callers that wait for the network. */
export const QUEUE_BYTES = 64 * 1024 * 1024;

export const notConnected = (reason: string): PcpError =>
  new PcpError(PM_ERR.NOTCONN, `no connection to the key server: ${reason}`);

/** Why something failed, in the system's words where it was the system: as PCP's programs say it. */
export const reasonOf = (error: unknown): string => {
  if (error instanceof AggregateError && error.errors.length > 0) return reasonOf(error.errors[0]);
  const { code } = asPcpError(error);
  const isSystems = !(error instanceof PcpError) && code < 0 && code > LEAST_ERRNO;
  if (isSystems) return pmErrStr(code);
  return error instanceof Error && error.message !== "" ? error.message : String(error);
};

/** Commands whose replies are waited for. */
interface Batch {
  readonly commands: CommandBuffer;
  readonly take: TakeReply;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
  /** Bytes that are sent, replies that are there. */
  sent: number;
  seen: number;
  problem: unknown;
}

/** What a socket of the runtime is asked for. */
type Socket = Bun.Socket<Wire>;

/** The bytes of one connection, both ways. */
class Wire implements Connection {
  socket: Socket | undefined;
  readonly lost: Promise<string>;
  /** Settles the attempt to connect. */
  opened: { readonly resolve: () => void; readonly reject: (error: Error) => void } | undefined;
  private lose: (reason: string) => void = () => undefined;
  private reason: string | undefined;
  /** Batches from `first` on: some replies are missing; from `unsent` on: some bytes are not sent. */
  private batches: Batch[] = [];
  private unsent = 0;
  private waiting = 0;
  private scanner = new ReplyScanner();
  /** The beginning of a reply whose end is missing. */
  private rest: Buffer | undefined;
  private restLength = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private heard = 0;
  private idle: (() => void) | undefined;

  constructor(
    readonly host: string | undefined,
    readonly tls: KeyServerTls | undefined,
    private readonly timeout: number,
    private readonly push: (() => void) | undefined,
  ) {
    this.lost = new Promise((resolve) => (this.lose = resolve));
  }

  get isOver(): boolean {
    return this.reason !== undefined;
  }

  pipe(commands: CommandBuffer, take: TakeReply): Promise<void> {
    if (this.reason !== undefined) return Promise.reject(notConnected(this.reason));
    if (commands.count === 0) return Promise.resolve();
    if (this.waiting + commands.length > QUEUE_BYTES)
      return Promise.reject(new PcpError(PM_ERR.TOOBIG, "too much on its way to the key server"));
    return new Promise((resolve, reject) => {
      const batch = { commands, take, resolve, reject, sent: 0, seen: 0, problem: undefined };
      this.batches.push(batch);
      this.waiting += commands.length;
      if (this.timer === undefined) {
        this.heard = performance.now();
        this.watch(this.timeout);
      }
      if (this.unsent === this.batches.length - 1) this.flush();
    });
  }

  /** Sends what the network takes. */
  flush(): void {
    const { socket, batches } = this;
    if (socket === undefined) return;
    for (let batch = batches[this.unsent]; batch !== undefined; batch = batches[this.unsent]) {
      const { bytes, length } = batch.commands;
      const sent = socket.write(bytes, batch.sent, length - batch.sent);
      if (sent < 0) return;
      batch.sent += sent;
      this.waiting -= sent;
      if (batch.sent < length) return;
      this.unsent++;
    }
  }

  /** Looks after a time whether anything was heard. */
  private watch(after: number): void {
    this.timer = setTimeout(() => {
      this.timer = undefined;
      if (this.batches.length === 0) return;
      const left = this.heard + this.timeout - performance.now();
      if (left <= 0) this.destroy(`no answer within ${this.timeout} ms`);
      else this.watch(left + 1);
    }, after);
  }

  /** Takes what came. */
  hear(chunk: Buffer): void {
    this.heard = performance.now();
    let bytes = chunk;
    let end = chunk.length;
    if (this.rest !== undefined) {
      end = this.restLength + chunk.length;
      if (end > this.rest.length) {
        const larger = Buffer.allocUnsafeSlow(Math.max(end, 2 * this.rest.length));
        this.rest.copy(larger, 0, 0, this.restLength);
        this.rest = larger;
      }
      chunk.copy(this.rest, this.restLength);
      bytes = this.rest;
    }
    try {
      const from = this.replies(bytes, end);
      this.keep(bytes, from, end);
    } catch (error) {
      this.destroy(reasonOf(error));
    }
    if (this.batches.length === 0) this.idle?.();
  }

  /** Hands on whole replies; gives where the first begins that is not whole. */
  private replies(bytes: Buffer, end: number): number {
    const { scanner } = this;
    let from = 0;
    let done = 0;
    while (scanner.next(bytes, end)) {
      if (bytes[from] === PUSH && this.push !== undefined) {
        this.push();
        from = scanner.at;
        continue;
      }
      const batch = this.batches[done];
      if (batch === undefined) throw new PcpError(PM_ERR.IPC, "a reply that nobody waits for");
      try {
        batch.take(batch.seen, bytes, from, scanner.at);
      } catch (error) {
        batch.problem ??= error;
      }
      from = scanner.at;
      if (++batch.seen < batch.commands.count) continue;
      if (batch.sent < batch.commands.length)
        throw new PcpError(PM_ERR.IPC, "replies to more than was sent");
      done++;
      if (batch.problem === undefined) batch.resolve();
      else batch.reject(batch.problem);
    }
    if (done > 0) {
      this.batches.splice(0, done);
      this.unsent -= done;
    }
    return from;
  }

  /** Keeps the beginning of a reply. */
  private keep(bytes: Buffer, from: number, end: number): void {
    this.scanner.at -= from;
    if (from === end) {
      this.rest = undefined;
      this.restLength = 0;
    } else {
      if (end - from > MAX_REPLY)
        throw new PcpError(PM_ERR.IPC, `a reply of more than ${MAX_REPLY} bytes`);
      // Replies may still use the bytes: what is left goes to others, unless nothing was handed on.
      if (from > 0 || this.rest === undefined) {
        const rest = Buffer.allocUnsafeSlow(2 * (end - from));
        bytes.copy(rest, 0, from, end);
        this.rest = rest;
      }
      this.restLength = end - from;
    }
  }

  /** Checks the server's certificate; throws for one that does not fit. */
  checkPeer(socket: Socket, problem: Error | null): void {
    if (this.tls?.rejectUnauthorized === false) return;
    if (problem !== null) throw problem;
    const mismatch = checkServerIdentity(this.host ?? "", socket.getPeerCertificate());
    if (mismatch !== undefined) throw mismatch;
  }

  /** It is over. */
  end(reason: string): void {
    if (this.reason !== undefined) return;
    this.reason = reason;
    clearTimeout(this.timer);
    const { batches } = this;
    this.batches = [];
    this.opened?.reject(new Error(reason));
    for (const batch of batches) batch.reject(notConnected(reason));
    this.idle?.();
    this.lose(reason);
  }

  destroy(reason: string): void {
    this.end(reason);
    this.socket?.terminate();
  }

  async close(): Promise<void> {
    if (this.batches.length > 0) {
      const idle = new Promise<void>((resolve) => (this.idle = resolve));
      await Promise.race([idle, Bun.sleep(CLOSE_TIMEOUT)]);
    }
    this.destroy("closed");
  }
}

const HANDLERS: Bun.SocketHandler<Wire> = {
  open: (socket) => {
    const wire = socket.data;
    wire.socket = socket;
    if (wire.isOver) socket.terminate();
    else if (wire.tls === undefined) wire.opened?.resolve();
  },
  handshake: (socket, _success, problem) => {
    try {
      socket.data.checkPeer(socket, problem);
      socket.data.opened?.resolve();
    } catch (error) {
      socket.data.destroy(reasonOf(error));
    }
  },
  data: (socket, chunk) => socket.data.hear(chunk),
  drain: (socket) => socket.data.flush(),
  end: (socket) => socket.data.destroy("the server closed the connection"),
  close: (socket, error) =>
    socket.data.end(error === undefined ? "the connection was closed" : reasonOf(error)),
  error: (socket, error) => socket.data.destroy(reasonOf(error)),
  connectError: (socket, error) => socket.data.end(reasonOf(error)),
};

/** Asks one thing of a connection. */
export async function ask(connection: Connection, command: KeyCommand): Promise<KeyReply> {
  const commands = new CommandBuffer();
  commands.add(command);
  let reply: KeyReply = null;
  await connection.pipe(commands, (_, bytes, from) => (reply = readReply(bytes, from)));
  return reply;
}

/**
 * Connects, and tells the server who asks. Rejects with an error that says why not. `push` hears of each
 * thing that the server tells without being asked.
 */
export async function connectTo(
  address: Address,
  { user, password, tls, timeout = COMMAND_TIMEOUT }: ConnectionOptions,
  push?: () => void,
): Promise<Connection> {
  const host = "host" in address ? address.host : undefined;
  const own = host === undefined ? undefined : tls;
  const wire = new Wire(host, own, timeout, push);
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => {
      wire.destroy(`no connection within ${CONNECT_TIMEOUT} ms`);
    }, CONNECT_TIMEOUT);
    const over = (): void => {
      clearTimeout(timer);
      wire.opened = undefined;
    };
    wire.opened = {
      resolve: () => {
        over();
        resolve();
      },
      reject: (error) => {
        over();
        reject(error);
      },
    };
    const shared = { data: wire, socket: HANDLERS };
    const opening =
      "path" in address
        ? Bun.connect<Wire>({ ...shared, unix: address.path })
        : Bun.connect<Wire>({
            ...shared,
            hostname: address.host,
            port: address.port,
            ...(own === undefined ? {} : { tls: tlsOptions(address.host, own) }),
          });
    opening.catch((error) => wire.end(reasonOf(error)));
  });
  if (password !== undefined) {
    const who = user === undefined ? [] : [user];
    const reply = await ask(wire, ["AUTH", ...who, password]);
    if (reply instanceof SeriesProblem) {
      wire.destroy(reply.message);
      throw new Error(reply.message);
    }
  }
  return wire;
}

const isNumeric = (host: string): boolean => /^[\d.]+$|:/.test(host);

function tlsOptions(host: string, { ca, cert, key, rejectUnauthorized }: KeyServerTls) {
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    // The certificate is looked at when the handshake is over, with the reason.
    rejectUnauthorized: rejectUnauthorized !== false,
    ...(isNumeric(host) ? {} : { serverName: host }),
  };
}
