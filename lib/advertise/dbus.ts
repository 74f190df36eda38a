// A small D-Bus client for one purpose: to ask Avahi for service advertisement and to hear its
// signals (D-Bus Specification 0.42: addresses, EXTERNAL authentication, marshalling). Our own, for
// the packages do not fit: dbus-next is unmaintained and does not bundle without x11 and event-stream,
// @homebridge/dbus-native adds 157 KB with an XML parser, and neither bounds what it takes from a peer.
// Refuses: transports other than unix sockets, values other than the basic types and their arrays,
// messages above MESSAGE_BYTES, more than PENDING_CALLS unanswered calls.

import { connect } from "node:net";
import { oneLine, PcpError, Reader, utf8, utf8Text, viewOf, Writer } from "../base/mod.ts";

const ETIMEDOUT = process.platform === "darwin" ? 60 : 110;
const EPROTO = process.platform === "darwin" ? 100 : 71;
const EPIPE = 32;
const EINVAL = 22;

/** The specification allows 128 MiB; Avahi's answers to us are below 1 KiB. */
const MESSAGE_BYTES = 64 * 1024;
/** Answer lines before BEGIN are some 40 bytes. */
const AUTH_BYTES = 1024;
const PENDING_CALLS = 64;
const CALL_TIMEOUT_MS = 5000;
const DEFAULT_ADDRESS =
  "unix:path=/run/dbus/system_bus_socket;unix:path=/var/run/dbus/system_bus_socket";

const enum MessageType {
  Call = 1,
  Return = 2,
  Error = 3,
  Signal = 4,
}
const enum Field {
  Path = 1,
  Interface = 2,
  Member = 3,
  ErrorName = 4,
  ReplySerial = 5,
  Destination = 6,
  Sender = 7,
  Signature = 8,
}
/** NO_AUTO_START: asking must not start a service that is off. */
const FLAGS = 2;
/** Header bytes up to and with the length of the field array. */
const FIXED_BYTES = 16;

/** What arguments and results consist of; 64-bit numbers are bigints, byte arrays arrays of numbers. */
export type BusValue = string | number | bigint | boolean | readonly BusValue[];

/** A signal as it came in. */
export interface BusSignal {
  /** Unique name of the sender (":1.5") or "org.freedesktop.DBus". */
  readonly sender: string;
  readonly path: string;
  readonly iface: string;
  readonly member: string;
  readonly body: readonly BusValue[];
}

/** One method of one object. */
export interface BusMethod {
  readonly destination: string;
  readonly path: string;
  readonly iface: string;
  readonly member: string;
}

/** An error reply; `errorName` is the D-Bus name, e.g. "org.freedesktop.Avahi.CollisionError". */
export class BusError extends Error {
  constructor(
    readonly errorName: string,
    text: string,
  ) {
    super(oneLine(`${errorName}: ${text}`));
    this.name = "BusError";
  }
}

/** A connection to a bus. */
export interface Bus {
  /** Calls a method; rejects with BusError for an error reply, PcpError for everything else. */
  call(
    method: BusMethod,
    signature?: string,
    args?: readonly BusValue[],
  ): Promise<readonly BusValue[]>;
  /** Ends the connection; calls under way reject. `onClose` is not called. */
  close(): void;
}

/** What happens on a connection; neither may throw. */
export interface BusEvents {
  onSignal(signal: BusSignal): void;
  /** The connection is gone, for this reason. Called at most once, never after `close()`. */
  onClose(reason: string): void;
}

/**
 * Socket paths of a D-Bus address list, abstract ones with a leading NUL, in its order; transports
 * other than unix are left out. Errors: PcpError for an address that is not of the grammar.
 */
export function busPaths(address: string): readonly string[] {
  const paths: string[] = [];
  for (const entry of address.split(";").filter((text) => text !== "")) {
    const [, transport, rest] = /^([a-z-]+):(.*)$/s.exec(entry) ?? [];
    if (transport === undefined || rest === undefined)
      throw new PcpError(-EINVAL, `D-Bus address without a transport: ${oneLine(entry)}`);
    if (transport !== "unix") continue;
    for (const pair of rest.split(",")) {
      const [key, value] = pair.split("=", 2);
      if (value === undefined) throw new PcpError(-EINVAL, `D-Bus address: ${oneLine(entry)}`);
      if (key !== "path" && key !== "abstract") continue;
      let text: string;
      try {
        text = decodeURIComponent(value);
      } catch (cause) {
        throw new PcpError(-EINVAL, `D-Bus address: bad escape in ${oneLine(entry)}`, { cause });
      }
      paths.push(key === "path" ? text : `\0${text}`);
    }
  }
  return paths;
}

/** The system bus's address: DBUS_SYSTEM_BUS_ADDRESS, or the usual sockets. */
export const systemBusAddress = (env: Record<string, string | undefined> = process.env): string =>
  env["DBUS_SYSTEM_BUS_ADDRESS"] ?? DEFAULT_ADDRESS;

const pad = (at: number, alignment: number): number => (alignment - (at % alignment)) % alignment;

const ALIGNMENT: Readonly<Record<string, number>> = {
  y: 1,
  g: 1,
  n: 2,
  q: 2,
  b: 4,
  i: 4,
  u: 4,
  h: 4,
  s: 4,
  o: 4,
  a: 4,
  x: 8,
  t: 8,
  d: 8,
};

const alignmentOf = (type: string): number => {
  const alignment = ALIGNMENT[type.charAt(0)];
  if (alignment === undefined) throw new PcpError(-EPROTO, `D-Bus type ${oneLine(type)} not known`);
  return alignment;
};

/** The complete types of a signature: "siaay" is s, i, aay. */
function typesOf(signature: string): readonly string[] {
  const types = signature.match(/a{0,8}[ygnqbiuhsoxtd]/g) ?? [];
  if (types.join("") !== signature)
    throw new PcpError(-EPROTO, `D-Bus signature ${oneLine(signature)} not known`);
  return types;
}

const mismatch = (type: string): PcpError =>
  new PcpError(-EINVAL, `D-Bus: value is not of type ${type}`);

/** Big-endian, which the specification lets the sender choose and our Writer does. */
function putValue(writer: Writer, type: string, value: BusValue): void {
  writer.fill(0, pad(writer.length, alignmentOf(type)));
  const kind = type.charAt(0);
  if (kind === "a") {
    if (!Array.isArray(value)) throw mismatch(type);
    const element = type.slice(1);
    const lengthAt = writer.length;
    writer.i32(0).fill(0, pad(lengthAt + 4, alignmentOf(element)));
    const start = writer.length;
    for (const item of value as readonly BusValue[]) putValue(writer, element, item);
    writer.patchI32(lengthAt, writer.length - start);
  } else if (kind === "s" || kind === "o" || kind === "g") {
    if (typeof value !== "string") throw mismatch(type);
    const bytes = utf8(value);
    (kind === "g" ? writer.u8(bytes.length) : writer.u32(bytes.length)).put(bytes).u8(0);
  } else if (kind === "b" && typeof value === "boolean") {
    writer.u32(value ? 1 : 0);
  } else if (typeof value !== "number" || !Number.isInteger(value)) {
    throw mismatch(type);
  } else if (kind === "y") writer.u8(value);
  else if (kind === "q") writer.u16(value);
  else if (kind === "i") writer.i32(value);
  else if (kind === "u") writer.u32(value);
  else throw mismatch(type);
}

/** Values of one message, in the byte order of its sender; positions count from its start. */
class Values {
  private readonly view: DataView;

  constructor(
    private readonly reader: Reader,
    private readonly little: boolean,
  ) {
    this.view = viewOf(reader.bytes);
  }

  get position(): number {
    return this.reader.position;
  }
  align(alignment: number): void {
    this.reader.skip(pad(this.reader.position, alignment));
  }
  private at(size: number): number {
    const at = this.reader.position;
    this.reader.skip(size);
    return at;
  }
  u32(): number {
    return this.view.getUint32(this.at(4), this.little);
  }
  u8(): number {
    return this.reader.u8();
  }
  text(size: number): string {
    const bytes = this.reader.slice(size);
    if (this.reader.u8() !== 0) throw new PcpError(-EPROTO, "D-Bus text without its end");
    return utf8Text(bytes);
  }

  value(type: string): BusValue {
    this.align(alignmentOf(type));
    switch (type.charAt(0)) {
      case "y":
        return this.u8();
      case "g":
        return this.text(this.u8());
      case "n":
        return this.view.getInt16(this.at(2), this.little);
      case "q":
        return this.view.getUint16(this.at(2), this.little);
      case "b":
        return this.u32() !== 0;
      case "i":
        return this.view.getInt32(this.at(4), this.little);
      case "u":
      case "h":
        return this.u32();
      case "s":
      case "o":
        return this.text(this.u32());
      case "x":
        return this.view.getBigInt64(this.at(8), this.little);
      case "t":
        return this.view.getBigUint64(this.at(8), this.little);
      case "d":
        return this.view.getFloat64(this.at(8), this.little);
      default:
        return this.array(type.slice(1));
    }
  }

  /** Each element takes at least a byte of a message of bounded size. */
  private array(element: string): readonly BusValue[] {
    const size = this.u32();
    this.align(alignmentOf(element));
    const end = this.position + size;
    if (size > this.reader.remaining) throw new PcpError(-EPROTO, "D-Bus array past the end");
    const items: BusValue[] = [];
    while (this.position < end) items.push(this.value(element));
    if (this.position !== end) throw new PcpError(-EPROTO, "D-Bus array of a wrong size");
    return items;
  }
}

interface Message {
  readonly type: number;
  readonly fields: ReadonlyMap<number, BusValue>;
  readonly body: readonly BusValue[];
}

/** Bytes of the whole message whose first 16 bytes these are. */
function messageSize(head: Uint8Array): number {
  const order = head[0];
  if ((order !== 0x6c && order !== 0x42) || head[3] !== 1)
    throw new PcpError(-EPROTO, "D-Bus: not a message of version 1");
  const view = viewOf(head);
  const fields = view.getUint32(12, order === 0x6c);
  const body = view.getUint32(4, order === 0x6c);
  const size = FIXED_BYTES + fields + pad(fields, 8) + body;
  if (size > MESSAGE_BYTES)
    throw new PcpError(-EPROTO, `D-Bus message of ${size} bytes, at most ${MESSAGE_BYTES}`);
  return size;
}

function decodeMessage(bytes: Uint8Array): Message {
  const little = bytes[0] === 0x6c;
  const values = new Values(new Reader(bytes, 12), little);
  const end = FIXED_BYTES + values.u32();
  const fields = new Map<number, BusValue>();
  while (values.position < end) {
    values.align(8);
    const field = values.u8();
    const [type, ...more] = typesOf(values.text(values.u8()));
    if (type === undefined || more.length > 0)
      throw new PcpError(-EPROTO, `D-Bus header field ${field} has no single type`);
    fields.set(field, values.value(type));
  }
  values.align(8);
  const signature = fields.get(Field.Signature) ?? "";
  const body = typesOf(String(signature)).map((type) => values.value(type));
  return { type: bytes[1] ?? 0, fields, body };
}

function encodeCall(
  serial: number,
  method: BusMethod,
  signature: string,
  args: readonly BusValue[],
): Uint8Array {
  const types = typesOf(signature);
  if (types.length !== args.length)
    throw new PcpError(-EINVAL, `D-Bus: ${args.length} values for signature ${signature}`);
  const body = new Writer(256, MESSAGE_BYTES);
  for (const [index, type] of types.entries()) putValue(body, type, args[index] ?? "");
  const writer = new Writer(256, MESSAGE_BYTES);
  writer.u8(0x42).u8(MessageType.Call).u8(FLAGS).u8(1).u32(body.length).u32(serial).u32(0);
  const field = (code: Field, type: string, value: string): void => {
    writer.fill(0, pad(writer.length, 8)).u8(code);
    putValue(writer, "g", type);
    putValue(writer, type, value);
  };
  field(Field.Path, "o", method.path);
  field(Field.Interface, "s", method.iface);
  field(Field.Member, "s", method.member);
  field(Field.Destination, "s", method.destination);
  if (signature !== "") field(Field.Signature, "g", signature);
  writer.patchI32(12, writer.length - FIXED_BYTES);
  writer.fill(0, pad(writer.length, 8)).put(body.finish());
  return writer.finish();
}

interface PendingCall {
  resolve(body: readonly BusValue[]): void;
  reject(cause: Error): void;
  readonly timer: ReturnType<typeof setTimeout>;
}

/** Bytes that came and are not a whole line or message yet; at most one message and one read. */
function createInput(onLine: (line: string) => boolean, onMessage: (bytes: Uint8Array) => void) {
  let waiting: Uint8Array = new Uint8Array(0);
  let lines = true;
  return (chunk: Uint8Array): void => {
    waiting = waiting.length === 0 ? chunk : Buffer.concat([waiting, chunk]);
    while (waiting.length > 0) {
      if (lines) {
        const end = waiting.indexOf(10);
        if (end < 0 && waiting.length <= AUTH_BYTES) return;
        if (end < 0 || end > AUTH_BYTES) throw new PcpError(-EPROTO, "D-Bus: endless greeting");
        lines = onLine(utf8Text(waiting.subarray(0, end)).trimEnd());
        waiting = waiting.subarray(end + 1);
        continue;
      }
      if (waiting.length < FIXED_BYTES) return;
      const size = messageSize(waiting);
      if (waiting.length < size) return;
      // A copy starts at 0, so that positions in it are aligned as the sender's were.
      const message = waiting.slice(0, size);
      waiting = waiting.subarray(size);
      onMessage(message);
    }
  };
}

/**
 * Connects to the bus at one socket path, authenticates and says Hello. Nothing here keeps the
 * process up. Rejects with PcpError (socket, protocol, time) or BusError.
 */
export function connectBus(path: string, events: BusEvents): Promise<Bus> {
  const socket = connect({ path });
  const pending = new Map<number, PendingCall>();
  let serial = 0;
  let open = true;

  const finish = (reason: string, tell: boolean): void => {
    if (!open) return;
    open = false;
    for (const call of pending.values()) {
      clearTimeout(call.timer);
      call.reject(new PcpError(-EPIPE, `D-Bus: ${reason}`));
    }
    pending.clear();
    socket.destroy();
    if (tell) events.onClose(reason);
  };

  const bus: Bus = {
    call(method, signature = "", args = []) {
      if (!open) return Promise.reject(new PcpError(-EPIPE, "D-Bus: not connected"));
      if (pending.size >= PENDING_CALLS)
        return Promise.reject(new PcpError(-EPIPE, `D-Bus: ${PENDING_CALLS} calls unanswered`));
      const own = ++serial;
      return new Promise((resolve, reject) => {
        const message = encodeCall(own, method, signature, args);
        const timer = setTimeout(() => {
          pending.delete(own);
          reject(new PcpError(-ETIMEDOUT, `D-Bus: no answer to ${method.member}`));
        }, CALL_TIMEOUT_MS);
        timer.unref();
        pending.set(own, { resolve, reject, timer });
        socket.write(message);
      });
    },
    close: () => finish("closed", false),
  };

  const onMessage = (bytes: Uint8Array): void => {
    const { type, fields, body } = decodeMessage(bytes);
    const text = (field: Field): string => String(fields.get(field) ?? "");
    if (type === MessageType.Signal) {
      events.onSignal({
        sender: text(Field.Sender),
        path: text(Field.Path),
        iface: text(Field.Interface),
        member: text(Field.Member),
        body,
      });
      return;
    }
    const replied = Number(fields.get(Field.ReplySerial) ?? 0);
    const call = pending.get(replied);
    // No call of ours, or one that timed out. Calls to us (Peer.Ping) stay unanswered.
    if (call === undefined || (type !== MessageType.Return && type !== MessageType.Error)) return;
    pending.delete(replied);
    clearTimeout(call.timer);
    if (type === MessageType.Return) call.resolve(body);
    else call.reject(new BusError(text(Field.ErrorName), String(body[0] ?? "")));
  };

  return new Promise((resolve, reject) => {
    const fail = (reason: string): void => {
      clearTimeout(greeting);
      reject(new PcpError(-EPROTO, `D-Bus at ${oneLine(path)}: ${oneLine(reason)}`));
      finish(oneLine(reason), ready);
    };
    let ready = false;
    const greeting = setTimeout(() => fail("no greeting in time"), CALL_TIMEOUT_MS);
    greeting.unref();
    const onLine = (line: string): boolean => {
      if (!line.startsWith("OK ")) throw new PcpError(-EPROTO, `not admitted: ${oneLine(line)}`);
      socket.write("BEGIN\r\n");
      bus.call({ ...DBUS, member: "Hello" }).then(
        () => {
          clearTimeout(greeting);
          ready = true;
          resolve(bus);
        },
        (cause: unknown) => fail(cause instanceof Error ? cause.message : String(cause)),
      );
      return false;
    };
    const input = createInput(onLine, onMessage);
    socket.on("connect", () => {
      const user = Buffer.from(String(process.getuid?.() ?? 0)).toString("hex");
      socket.write(`\0AUTH EXTERNAL ${user}\r\n`);
    });
    socket.on("data", (chunk: Buffer) => {
      if (!open) return;
      try {
        input(chunk);
      } catch (cause) {
        fail(cause instanceof Error ? cause.message : String(cause));
      }
    });
    socket.on("error", (cause) => fail(cause.message));
    socket.on("close", () => fail("connection closed"));
    socket.unref();
  });
}

/** The bus itself; a member is to be added. */
export const DBUS = {
  destination: "org.freedesktop.DBus",
  path: "/org/freedesktop/DBus",
  iface: "org.freedesktop.DBus",
} as const;
