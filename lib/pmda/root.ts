// What agents that look into containers ask of pmdaroot (spec pmda.md 10): host name, first process
// and control group of a container, over its unix socket. One request at a time, integers in the
// machine's own byte order. Refuses replies to something else than was asked, and those cut short.
import { connect, type Socket } from "node:net";
import { endianness } from "node:os";
import { asPcpError, PcpError, PM_ERR, utf8Text, viewOf } from "../base/mod.ts";

/** What pmdaroot can tell, as bits of `features`. */
export const ROOT_FEATURE = { HOST_NAME: 1, PROCESS_ID: 2, CGROUP_NAME: 4 } as const;

/** A connection to pmdaroot. Calls reject with PcpError: its code (PM_ERR_NOCONTAINER), PM_ERR_IPC. */
export interface RootConnection {
  /** ROOT_FEATURE bits. */
  readonly features: number;
  /** Host name in a container, or as the process `pid` sees it. */
  hostName(container: string, pid?: number): Promise<string>;
  /** The first process of a container. */
  processId(container: string): Promise<number>;
  /** The control group of a container, or of the process `pid`. */
  cgroupName(container: string, pid?: number): Promise<string>;
  close(): void;
}

const TYPE = { INFO: 0x9000, HOST_NAME: 0x9001, PROCESS_ID: 0x9003, CGROUP_NAME: 0x9005 } as const;
const VERSION = 2;
/** Bytes of the header, and of a message with an empty name. */
const HEAD = 16;
const BARE = 24;
/** No name is longer than a page. */
const MAX_MESSAGE = BARE + 4096;
/** Milliseconds. */
const TIME_LIMIT = 2000;
const LITTLE = endianness() === "LE";

/** One message after its header. */
interface Message {
  readonly type: number;
  readonly status: number;
  readonly pid: number;
  readonly name: string;
}

/** The first message of the bytes, and how long it is; undefined while it is not whole. */
function messageIn(bytes: Uint8Array): { message: Message; length: number } | undefined {
  if (bytes.length < HEAD) return undefined;
  const view = viewOf(bytes);
  const length = view.getInt32(4, LITTLE);
  if (length < BARE || length > MAX_MESSAGE)
    throw new PcpError(PM_ERR.IPC, `pmdaroot: a message of ${length} bytes`);
  if (bytes.length < length) return undefined;
  const type = view.getInt32(0, LITTLE);
  const size = type === TYPE.INFO ? 0 : view.getInt32(20, LITTLE);
  if (size < 0 || size > length - BARE)
    throw new PcpError(PM_ERR.IPC, `pmdaroot: a name of ${size} bytes in ${length}`);
  return {
    length,
    message: {
      type,
      status: view.getInt32(8, LITTLE),
      pid: view.getInt32(16, LITTLE),
      name: utf8Text(bytes.subarray(BARE, BARE + size)),
    },
  };
}

function request(type: number, pid: number, container: string): Uint8Array {
  const name = Buffer.from(container);
  const bytes = new Uint8Array(BARE + name.length);
  const view = viewOf(bytes);
  [type, bytes.length, 0, VERSION, pid, name.length].forEach((word, index) =>
    view.setInt32(4 * index, word, LITTLE),
  );
  bytes.set(name, BARE);
  return bytes;
}

/** Messages of a socket, one for each wait. */
function createReader(socket: Socket) {
  let bytes = Buffer.alloc(0);
  let failure: PcpError | undefined;
  let waiting:
    { resolve: (message: Message) => void; reject: (error: PcpError) => void } | undefined;
  const fail = (error: PcpError): void => {
    failure ??= error;
    socket.destroy();
    waiting?.reject(failure);
    waiting = undefined;
  };
  const look = (): void => {
    if (waiting === undefined) return;
    try {
      const found = messageIn(bytes);
      if (found === undefined) return;
      bytes = bytes.subarray(found.length);
      waiting.resolve(found.message);
      waiting = undefined;
    } catch (error) {
      fail(asPcpError(error));
    }
  };
  socket.on("data", (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk]);
    if (bytes.length > MAX_MESSAGE) fail(new PcpError(PM_ERR.IPC, "pmdaroot: too much at once"));
    else look();
  });
  socket.on("error", (error) => fail(asPcpError(error)));
  socket.on("close", () => fail(new PcpError(PM_ERR.IPC, "pmdaroot has closed its connection")));
  socket.setTimeout(TIME_LIMIT, () => {
    if (waiting !== undefined) fail(new PcpError(PM_ERR.TIMEOUT, "pmdaroot does not answer"));
  });
  return {
    fail,
    next: (): Promise<Message> =>
      new Promise((resolve, reject) => {
        if (failure !== undefined) {
          reject(failure);
          return;
        }
        waiting = { resolve, reject };
        look();
      }),
  };
}

/** Where pmdaroot listens. */
export const rootSocketPath = (env: Readonly<Record<string, string | undefined>>): string =>
  `${env["PCP_VAR_DIR"] ?? "/var/lib/pcp"}/pmcd/root.socket`;

/** Connects to pmdaroot. Rejects with PcpError: a negated errno (nobody listens), PM_ERR_IPC. */
export async function connectRoot(path: string): Promise<RootConnection> {
  const socket = connect(path);
  const reader = createReader(socket);
  const info = await reader.next();
  if (info.type !== TYPE.INFO) {
    const error = new PcpError(PM_ERR.IPC, `pmdaroot greets with type 0x${info.type.toString(16)}`);
    reader.fail(error);
    throw error;
  }
  let last: Promise<unknown> = Promise.resolve();
  const exchange = async (type: number, pid: number, container: string): Promise<Message> => {
    const answered = reader.next();
    socket.write(request(type, pid, container));
    const reply = await answered;
    if (reply.type !== type + 1) {
      const error = new PcpError(PM_ERR.IPC, `pmdaroot answers type 0x${reply.type.toString(16)}`);
      reader.fail(error);
      throw error;
    }
    if (reply.status < 0) throw new PcpError(reply.status);
    return reply;
  };
  /** One after the other, whatever became of the one before. */
  const ask = (type: number, pid: number, container: string): Promise<Message> => {
    const answered = last.then(() => exchange(type, pid, container));
    last = Promise.allSettled([answered]);
    return answered;
  };
  return {
    features: info.pid,
    hostName: async (container, pid = 0) => (await ask(TYPE.HOST_NAME, pid, container)).name,
    processId: async (container) => (await ask(TYPE.PROCESS_ID, 0, container)).pid,
    cgroupName: async (container, pid = 0) => (await ask(TYPE.CGROUP_NAME, pid, container)).name,
    close: () => reader.fail(new PcpError(PM_ERR.NOTCONN)),
  };
}
