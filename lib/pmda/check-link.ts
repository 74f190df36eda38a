// The checking tool's connection to an agent: whole PDUs over a pipe to a program that it starts, or
// over a socket on which one listens (spec pmda.md 2.1, 3). PDUs stay bytes: the tool shows what came.
// Refuses paths and ports where nobody is, in PCP's words. It waits for replies without a limit, but
// for the first PDU of the agent only for some seconds.
import { closeSync, statSync } from "node:fs";
import { connect, type Socket } from "node:net";

import { PcpError, PM_ERR, pmErrStr, utf8Text } from "../base/mod.ts";
import {
  createFramer,
  CREDS_VERSION_WORD,
  decodePdu,
  encodePdu,
  PDU_VERSION,
  pduTypeName,
  readHeader,
} from "../pdu/mod.ts";
import type { OpenTarget } from "./check-grammar.ts";

/** A connection to an agent. */
export interface CheckLink {
  /** True when the agent is a shared object: what is said about it differs. */
  readonly dso: boolean;
  /** What `status` calls the agent. */
  readonly title: string;
  /** Process of the agent, as far as known. */
  readonly pid: number;
  /** Version of the protocol that the agent named; undefined when it named none. */
  readonly version: number | undefined;
  /** Interface version of a shared object. */
  readonly interfaceVersion: number;
  send(pdu: Uint8Array): void;
  /** The next whole PDU; undefined when the agent has closed its end. */
  receive(): Promise<Uint8Array | undefined>;
  close(): Promise<void>;
}

/** What connecting needs besides the target. */
export interface LinkSetting {
  /** Seconds for the agent's first PDU. */
  readonly credsSeconds: number;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /**
   * What to run for a process that holds a shared object, speaks PDUs for it on its standard streams
   * and says a DsoStart as a line of JSON on descriptor 3; without it there are none.
   */
  readonly dsoCommand?: (
    path: string,
    init: string,
    domain: number | undefined,
  ) => readonly string[];
}

/** What a process that holds a shared object says of it before anything else. */
export type DsoStart =
  | { readonly ok: true; readonly version: number }
  | { readonly ok: false; readonly message: string };

/** Bytes both ways; `read` gives undefined at the end. */
interface Stream {
  readonly pid: number;
  read(): Promise<Uint8Array | undefined>;
  write(bytes: Uint8Array): void;
  close(): Promise<void>;
}

/** Milliseconds that an agent has to end by itself after its pipe is closed. */
const END_MS = 1000;

const reasonOf = (error: unknown): string => {
  const errno = (error as { readonly errno?: unknown }).errno;
  if (typeof errno === "number") return pmErrStr(-Math.abs(errno));
  return error instanceof Error ? error.message : String(error);
};

/** Does something with the pipe to an agent; that the agent is gone shows at the next read. */
async function towards(write: () => unknown): Promise<void> {
  try {
    await write();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EPIPE") throw error;
  }
}

/** A process with pipes to it; `reports` is the descriptor that it may say something on, if asked to. */
function pipeStream(
  argv: readonly string[],
  env: LinkSetting["env"],
  extra: "pipe" | "ignore" = "ignore",
): Stream & { readonly reports: number | undefined } {
  const child = Bun.spawn([...argv], {
    stdio: ["pipe", "pipe", "inherit", extra],
    env: { ...env },
  });
  const reader = child.stdout.getReader();
  const [, , , reports] = child.stdio;
  return {
    reports: typeof reports === "number" ? reports : undefined,
    pid: child.pid,
    read: async () => (await reader.read()).value,
    write(bytes) {
      void towards(() => {
        child.stdin.write(bytes);
        return child.stdin.flush();
      });
    },
    async close() {
      await towards(() => child.stdin.end());
      const timer = setTimeout(() => child.kill("SIGKILL"), END_MS);
      await child.exited;
      clearTimeout(timer);
    },
  };
}

function socketStream(socket: Socket): Stream {
  const chunks: Uint8Array[] = [];
  let ended = false;
  let wake: (() => void) | undefined;
  const woken = (): void => {
    wake?.();
    wake = undefined;
  };
  socket.on("data", (chunk: Uint8Array) => {
    chunks.push(chunk);
    woken();
  });
  socket.on("close", () => {
    ended = true;
    woken();
  });
  // What went wrong shows as the end of the stream, which follows.
  socket.on("error", woken);
  return {
    pid: -1,
    async read() {
      while (chunks.length === 0 && !ended) await new Promise<void>((resolve) => (wake = resolve));
      return chunks.shift();
    },
    write: (bytes) => void socket.write(bytes),
    close: async () => {
      socket.destroy();
    },
  };
}

/** Connects to a socket of this machine. Rejects with the system's error. */
function connectTo(target: { path: string } | { host: string; port: number }): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(target);
    socket.once("connect", () => {
      socket.removeAllListeners("error");
      resolve(socket);
    });
    socket.once("error", reject);
  });
}

interface Opened {
  readonly stream: Stream;
  readonly title: string;
  /** How the warning about a version calls the agent. */
  readonly path: string;
  readonly interfaceVersion?: number;
}

async function openPipe(
  { path, args }: Extract<OpenTarget, { how: "pipe" }>,
  setting: LinkSetting,
  closeOther: () => Promise<void>,
): Promise<Opened | undefined> {
  await closeOther();
  try {
    statSync(path);
  } catch (error) {
    setting.err(`openpmda: stat ${path} failed: ${reasonOf(error)}\n`);
    return undefined;
  }
  const name = path.slice(path.lastIndexOf("/") + 1);
  setting.out(`Start ${name} PMDA: ${[path, ...args].join(" ")}\n`);
  try {
    return { stream: pipeStream([path, ...args], setting.env), title: path, path };
  } catch (error) {
    setting.err(`execvp: ${reasonOf(error)}\n`);
    setting.err("pmdaversion: expecting PDU_CREDS, got EOF\n");
    setting.err(
      `Warning: no version exchange with PMDA ${path} after ${setting.credsSeconds} secs\n`,
    );
    return undefined;
  }
}

async function openSocket(
  target: Extract<OpenTarget, { how: "unix" | "inet" | "ipv6" }>,
  { out, err }: LinkSetting,
  closeOther: () => Promise<void>,
): Promise<Opened | undefined> {
  const where =
    target.how === "unix"
      ? { path: target.path }
      : { host: target.how === "inet" ? "127.0.0.1" : "::1", port: target.port & 0xffff };
  const title = target.how === "unix" ? target.path : `${target.how} port ${target.port}`;
  if (target.how === "unix") {
    try {
      statSync(target.path);
    } catch (error) {
      err(`opensocket: ${target.path}: ${reasonOf(error)}\n`);
      return undefined;
    }
  }
  await closeOther();
  try {
    const socket = await connectTo(where);
    out(`Connect to PMDA on ${target.how === "unix" ? `socket ${title}` : title}\n`);
    return { stream: socketStream(socket), title, path: title };
  } catch (error) {
    err(`opensocket: connect: ${reasonOf(error)}\n`);
    return undefined;
  }
}

/** What the process around a shared object says first; undefined when it ended without that. */
async function startOf(fd: number | undefined): Promise<DsoStart | undefined> {
  if (fd === undefined) return undefined;
  const reader = Bun.file(fd).stream().getReader();
  let text = "";
  try {
    for (let open = true; open && !text.includes("\n");) {
      const { done, value } = await reader.read();
      open = !done;
      if (value !== undefined) text += utf8Text(value);
    }
    await reader.cancel();
  } finally {
    closeSync(fd);
  }
  return text === "" ? undefined : (JSON.parse(text) as DsoStart);
}

/** libpcp's sentence for an agent that cannot be loaded, as PCP's checking tool words it. */
const dsoComplaint = (message: string): string =>
  `${message.replace(/^__pmConnectLocal: (?:Warning|Error): (error attaching)?/, (_, attaching) =>
    attaching === undefined ? "Error: " : "Error attaching",
  )}\n`;

async function openDso(
  { path, init, domain }: Extract<OpenTarget, { how: "dso" }>,
  { err, env, dsoCommand }: LinkSetting,
  closeOther: () => Promise<void>,
): Promise<Opened | undefined> {
  try {
    statSync(path);
  } catch (error) {
    err(`opendso: ${path}: ${reasonOf(error)}\n`);
    return undefined;
  }
  if (dsoCommand === undefined) {
    err(`Error attaching DSO "${path}"\nthis program loads no shared objects\n\n`);
    return undefined;
  }
  const stream = pipeStream(dsoCommand(path, init, domain), env, "pipe");
  const start = await startOf(stream.reports);
  if (start?.ok === true) {
    await closeOther();
    return { stream, title: path, path, interfaceVersion: start.version };
  }
  await stream.close();
  err(start === undefined ? `Error attaching DSO "${path}"\n` : dsoComplaint(start.message));
  return undefined;
}

/** Whole PDUs out of a stream. */
function pdusOf(stream: Stream): () => Promise<Uint8Array | undefined> {
  const framer = createFramer();
  return async () => {
    for (;;) {
      const pdu = framer.next();
      if (pdu !== undefined) return pdu;
      const chunk = await stream.read();
      if (chunk === undefined) return undefined;
      framer.feed(chunk);
    }
  };
}

/** The agent's first PDU, or why there is none. */
async function firstPdu(
  arrives: Promise<Uint8Array | undefined>,
  seconds: number,
): Promise<Uint8Array | "end" | "late" | PcpError> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<"late">((resolve) => {
    timer = setTimeout(() => resolve("late"), seconds * 1000);
  });
  try {
    return await Promise.race([arrives.then((pdu) => pdu ?? "end"), late]);
  } catch (error) {
    if (error instanceof PcpError) return error;
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** Answers the agent's CREDS; returns its version and process, or undefined after a message. */
async function exchangeVersions(
  { stream, path }: Opened,
  arrives: Promise<Uint8Array | undefined>,
  { credsSeconds, err }: LinkSetting,
): Promise<{ readonly version: number; readonly pid: number } | "late" | undefined> {
  const first = await firstPdu(arrives, credsSeconds);
  if (first === "late") err(`__pmGetPDU(${stream.pid}): ${pmErrStr(PM_ERR.TIMEOUT)}\n`);
  else if (first === "end") err("pmdaversion: expecting PDU_CREDS, got EOF\n");
  else if (first instanceof PcpError) err(`pmdaversion: ${first.message}\n`);
  else {
    const pdu = decodePdu(first);
    if (pdu.kind === "creds") {
      const creds = pdu.credentials.find(({ type }) => type === CREDS_VERSION_WORD);
      const answer = { type: CREDS_VERSION_WORD, version: PDU_VERSION, flags: 0 };
      stream.write(encodePdu({ kind: "creds", from: process.pid, credentials: [answer] }));
      return { version: creds?.version ?? PDU_VERSION, pid: pdu.from };
    }
    err(`pmdaversion: expecting PDU_CREDS, got PDU type ${pduTypeName(readHeader(first).type)}\n`);
  }
  err(`Warning: no version exchange with PMDA ${path} after ${credsSeconds} secs\n`);
  return first === "late" ? "late" : undefined;
}

/**
 * Opens a connection and exchanges versions. Undefined, after a message, when nobody is there; an
 * agent that does not say its version is connected all the same, as with PCP's tool. `closeOther` ends the
 * connection before: late enough that it stays where nothing is to be had in its place.
 */
export async function openLink(
  target: OpenTarget,
  setting: LinkSetting,
  closeOther: () => Promise<void>,
): Promise<CheckLink | undefined> {
  const opened =
    target.how === "pipe"
      ? await openPipe(target, setting, closeOther)
      : target.how === "dso"
        ? await openDso(target, setting, closeOther)
        : await openSocket(target, setting, closeOther);
  if (opened === undefined) return undefined;
  const { stream, title } = opened;
  const receive = pdusOf(stream);
  let first: Promise<Uint8Array | undefined> | undefined = receive();
  const said = await exchangeVersions(opened, first, setting);
  // What comes too late is taken for the answer to the first request.
  if (said !== "late") first = undefined;
  const creds = typeof said === "object" ? said : undefined;
  return {
    dso: target.how === "dso",
    title,
    pid: stream.pid > 0 ? stream.pid : (creds?.pid ?? stream.pid),
    version: creds?.version,
    interfaceVersion: opened.interfaceVersion ?? 0,
    send: (pdu) => stream.write(pdu),
    receive() {
      const pdu = first ?? receive();
      first = undefined;
      return pdu;
    },
    close: () => stream.close(),
  };
}
