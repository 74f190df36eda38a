// The few calls of the C library that Bun does not offer, through bun:ffi. The library is opened on
// the first call, never at start-up, so that light verbs do not pay for it. Refuses, with a PcpError
// whose code is a negated errno, where there is no such library (Windows) or the call fails; every
// caller has a degraded way.

import type * as Ffi from "bun:ffi";
import { PcpError } from "./errors.ts";

// Numbers of Linux where the kernel's headers differ from those of darwin.
const LINUX = process.platform === "linux";
const ENOSYS = LINUX ? 38 : 78;
const ENAMETOOLONG = LINUX ? 36 : 63;
const EMSGSIZE = LINUX ? 90 : 40;
const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = LINUX ? 10 : 30;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0x80000;
const SOL_SOCKET = LINUX ? 1 : 0xffff;
/** Linux's numbers. */
const SO_KEEPALIVE = 9;
const IPPROTO_TCP = 6;
const TCP_KEEPIDLE = 4;
const TCP_KEEPINTVL = 5;
const TCP_KEEPCNT = 6;
const SO_TYPE = LINUX ? 3 : 0x1008;
const SO_ACCEPTCONN = LINUX ? 30 : 2;
const MSG_NOSIGNAL = LINUX ? 0x4000 : 0;
const MSG_DONTWAIT = LINUX ? 0x40 : 0x80;
const RLIMIT_NOFILE = LINUX ? 7 : 8;
const CLOCK_REALTIME = 0;
/** Linux. */
const SO_PEERCRED = 17;
const CLOCK_MONOTONIC = LINUX ? 1 : 6;
const F_SETFD = 2;
const FD_CLOEXEC = 1;
/** LOCK_EX | LOCK_NB. */
const LOCK_NOW = 6;
const EWOULDBLOCK = LINUX ? 11 : 35;
const F_DUPFD_CLOEXEC = 1030;
const SYNC_FILE_RANGE_WRITE = 2;
/** EFD_CLOEXEC | EFD_NONBLOCK, Linux. */
const EVENTFD_FLAGS = 0x80800;
/** Bytes of sun_path: longer socket paths are refused. */
const SUN_PATH = LINUX ? 108 : 104;
const SOCKADDR_BYTES = 128;
/** No datagram of ours comes near this. */
const DATAGRAM_BYTES = 64 * 1024;

const SYMBOLS = {
  socket: { args: ["i32", "i32", "i32"], returns: "i32" },
  sendto: { args: ["i32", "ptr", "u64", "i32", "ptr", "u32"], returns: "i64" },
  close: { args: ["i32"], returns: "i32" },
  dup2: { args: ["i32", "i32"], returns: "i32" },
  listen: { args: ["i32", "i32"], returns: "i32" },
  setsockopt: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" },
  getsockname: { args: ["i32", "ptr", "ptr"], returns: "i32" },
  getsockopt: { args: ["i32", "i32", "i32", "ptr", "ptr"], returns: "i32" },
  clock_gettime: { args: ["i32", "ptr"], returns: "i32" },
  getrlimit: { args: ["i32", "ptr"], returns: "i32" },
  flock: { args: ["i32", "i32"], returns: "i32" },
} as const;
const LINUX_SYMBOLS = {
  fcntl: { args: ["i32", "i32", "i32"], returns: "i32" },
  eventfd: { args: ["u32", "i32"], returns: "i32" },
  sync_file_range: { args: ["i32", "i64", "i64", "u32"], returns: "i32" },
  write: { args: ["i32", "ptr", "u64"], returns: "i64" },
  __errno_location: { args: [], returns: "ptr" },
} as const;
const DARWIN_SYMBOLS = { __error: { args: [], returns: "ptr" } } as const;

/** Names of the C library to try, in this order: glibc, then musl by its architecture; darwin has one. */
export function libraryNames(): readonly string[] {
  if (process.platform === "darwin") return ["/usr/lib/libSystem.B.dylib"];
  if (!LINUX) return [];
  const arch = process.arch === "arm64" ? "aarch64" : "x86_64";
  return ["libc.so.6", `libc.musl-${arch}.so.1`, `/lib/ld-musl-${arch}.so.1`];
}

function bind() {
  // Not an import at the top: bun:ffi is loaded with the library, at the first call.
  const ffi = import.meta.require("bun:ffi") as typeof Ffi;
  const names = libraryNames();
  const reasons: string[] = [];
  for (const name of names) {
    try {
      if (!LINUX) {
        const { symbols } = ffi.dlopen(name, { ...SYMBOLS, ...DARWIN_SYMBOLS });
        return {
          ...symbols,
          fcntl: null,
          eventfd: null,
          sync_file_range: null,
          write: null,
          errnoAt: symbols.__error,
          ffi,
        };
      }
      const { symbols } = ffi.dlopen(name, { ...SYMBOLS, ...LINUX_SYMBOLS });
      return { ...symbols, errnoAt: symbols.__errno_location, ffi };
    } catch (cause) {
      reasons.push(cause instanceof Error ? cause.message : String(cause));
    }
  }
  const why = names.length === 0 ? `none known for ${process.platform}` : reasons.join("; ");
  throw new PcpError(-ENOSYS, `the C library cannot be used: ${why}`);
}

type Libc = ReturnType<typeof bind>;
let bound: Libc | PcpError | undefined;

/** The library, or the same error at every call: a missing library is looked for once. */
function libc(): Libc {
  if (bound === undefined) {
    try {
      bound = bind();
    } catch (cause) {
      if (!(cause instanceof PcpError)) throw cause;
      bound = cause;
    }
  }
  if (bound instanceof PcpError) throw bound;
  return bound;
}

/** The error of the call just made; to be asked for before anything else is called. */
function failed(library: Libc, call: string): PcpError {
  const at = library.errnoAt();
  const errno = at === null ? 0 : library.ffi.read.i32(at, 0);
  const { getSystemErrorName } = process.getBuiltinModule("node:util");
  return new PcpError(-errno, `${call}: ${errno > 0 ? getSystemErrorName(-errno) : "no errno"}`);
}

/** Soft and hard limit of open files; RLIM_INFINITY is the largest 64-bit number (darwin 2^63-1). */
export interface FileLimit {
  readonly soft: bigint;
  readonly hard: bigint;
}

/** getrlimit(RLIMIT_NOFILE). Errors: PcpError with the negated errno. */
export function openFileLimit(): FileLimit {
  const library = libc();
  const limit = new BigUint64Array(2);
  if (library.getrlimit(RLIMIT_NOFILE, limit) !== 0) throw failed(library, "getrlimit");
  return { soft: limit[0] ?? 0n, hard: limit[1] ?? 0n };
}

/** CLOCK_MONOTONIC in nanoseconds: Bun's `process.hrtime` counts from the start of the process. */
export function monotonicNanoseconds(): bigint {
  const library = libc();
  const time = new BigInt64Array(2);
  if (library.clock_gettime(CLOCK_MONOTONIC, time) !== 0) throw failed(library, "clock_gettime");
  return (time[0] ?? 0n) * 1_000_000_000n + (time[1] ?? 0n);
}

const now = new BigInt64Array(2);

/** CLOCK_REALTIME: Date.now() stops at milliseconds, and performance.now() misses steps of the clock. */
export function realTime(): { sec: number; nsec: number } {
  const library = libc();
  if (library.clock_gettime(CLOCK_REALTIME, now) !== 0) throw failed(library, "clock_gettime");
  return { sec: Number(now[0]), nsec: Number(now[1]) };
}

/** The process at the other end of a unix socket, as it was when it connected. */
export interface PeerCredentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/** SO_PEERCRED of a connected unix socket. Linux only; PcpError with the negated errno. */
export function peerCredentials(fd: number): PeerCredentials {
  if (!LINUX) throw new PcpError(-ENOSYS, "credentials of a peer: Linux only");
  const library = libc();
  const [found, size] = [new Int32Array(3), new Uint32Array([12])];
  if (library.getsockopt(fd, SOL_SOCKET, SO_PEERCRED, found, size) !== 0)
    throw failed(library, "getsockopt SO_PEERCRED");
  return { pid: found[0] ?? 0, uid: found[1] ?? 0, gid: found[2] ?? 0 };
}

/** sockaddr_un of a path; a path that starts with NUL is an abstract name, without a final NUL. */
function unixAddress(path: Uint8Array): Uint8Array {
  const abstract = path[0] === 0;
  const size = 2 + path.length + (abstract ? 0 : 1);
  if (path.length === 0 || size > 2 + SUN_PATH)
    throw new PcpError(
      -ENAMETOOLONG,
      `unix socket path of ${path.length} bytes, 1 to ${SUN_PATH - 1} are possible`,
    );
  const address = new Uint8Array(size);
  if (LINUX) new DataView(address.buffer).setUint16(0, AF_UNIX, true);
  else address.set([size, AF_UNIX]);
  address.set(path, 2);
  return address;
}

/**
 * Sends one datagram to a unix socket and closes the sending end. `path` is in bytes and abstract
 * when its first byte is 0. Never blocks: a receiver whose queue is full is an error.
 * Errors: PcpError with the negated errno (ENOENT, ECONNREFUSED, EAGAIN, …).
 */
export function sendUnixDatagram(path: Uint8Array, data: Uint8Array): void {
  const address = unixAddress(path);
  if (data.length > DATAGRAM_BYTES)
    throw new PcpError(-EMSGSIZE, `datagram of ${data.length} bytes, at most ${DATAGRAM_BYTES}`);
  const library = libc();
  const fd = library.socket(AF_UNIX, SOCK_DGRAM | (LINUX ? SOCK_CLOEXEC : 0), 0);
  if (fd < 0) throw failed(library, "socket");
  try {
    const flags = MSG_NOSIGNAL | MSG_DONTWAIT;
    const sent = library.sendto(fd, data, data.length, flags, address, address.length);
    if (sent < 0) throw failed(library, "sendto");
  } finally {
    library.close(fd);
  }
}

/** What an inherited descriptor is: `address` is a path, "@name" or an IP address as text. */
export interface SocketName {
  readonly family: "tcp4" | "tcp6" | "unix";
  /** Empty for an unnamed unix socket. */
  readonly address: string;
  /** 0 for unix. */
  readonly port: number;
  /** Whether it is a stream socket that listens. */
  readonly listening: boolean;
}

function socketOption(library: Libc, fd: number, option: number): number {
  const value = new Int32Array(1);
  const size = new Uint32Array([4]);
  if (library.getsockopt(fd, SOL_SOCKET, option, value, size) !== 0)
    throw failed(library, "getsockopt");
  return value[0] ?? 0;
}

function ipv6Text(bytes: Uint8Array): string {
  const groups = Array.from({ length: 8 }, (_, index) =>
    (((bytes[index * 2] ?? 0) << 8) | (bytes[index * 2 + 1] ?? 0)).toString(16),
  );
  // The URL parser knows the canonical short form.
  return new URL(`http://[${groups.join(":")}]/`).hostname.slice(1, -1);
}

/**
 * Local address and kind of a socket descriptor. Errors: PcpError, negated errno (ENOTSOCK, EBADF);
 * ENOSYS for an address family other than IPv4, IPv6 and unix.
 */
export function socketName(fd: number): SocketName {
  const library = libc();
  const address = new Uint8Array(SOCKADDR_BYTES);
  const size = new Uint32Array([SOCKADDR_BYTES]);
  if (library.getsockname(fd, address, size) !== 0) throw failed(library, "getsockname");
  const listening =
    socketOption(library, fd, SO_TYPE) === SOCK_STREAM &&
    socketOption(library, fd, SO_ACCEPTCONN) !== 0;
  const view = new DataView(address.buffer);
  const family = LINUX ? view.getUint16(0, true) : view.getUint8(1);
  if (family === AF_UNIX) {
    const path = address.subarray(2, Math.min(size[0] ?? 0, SOCKADDR_BYTES));
    const text = new TextDecoder();
    if (path[0] === 0 && path.length > 1)
      return { family: "unix", address: `@${text.decode(path.subarray(1))}`, port: 0, listening };
    const end = path.indexOf(0);
    const name = text.decode(end < 0 ? path : path.subarray(0, end));
    return { family: "unix", address: name, port: 0, listening };
  }
  const port = view.getUint16(2);
  if (family === AF_INET)
    return { family: "tcp4", address: address.subarray(4, 8).join("."), port, listening };
  if (family === AF_INET6)
    return { family: "tcp6", address: ipv6Text(address.subarray(8, 24)), port, listening };
  throw new PcpError(-ENOSYS, `descriptor ${fd} has address family ${family}`);
}

/**
 * Sets how many connections may wait on a listening socket: listen(2) once more, since Bun has no
 * option for it. Errors: PcpError with the negated errno.
 */
export function setBacklog(fd: number, pending: number): void {
  const library = libc();
  if (library.listen(fd, pending) !== 0) throw failed(library, "listen");
}

/**
 * Locks an open file for this process alone until the descriptor is closed, at the latest with the end
 * of the process; false while another one has it. Errors: PcpError with the negated errno.
 */
export function lockFile(fd: number): boolean {
  const library = libc();
  if (library.flock(fd, LOCK_NOW) === 0) return true;
  const error = failed(library, "flock");
  if (error.code === -EWOULDBLOCK) return false;
  throw error;
}

/**
 * Switches TCP keep-alive on for a socket, and with a listening one for every connection that it
 * accepts: once, instead of four calls a connection. Seconds until the first probe, then ten, one a
 * second, as libuv has it. Linux only (elsewhere ENOSYS: not inherited). PcpError with the negated errno.
 */
export function setKeepAlive(fd: number, seconds: number): void {
  if (!LINUX) throw new PcpError(-ENOSYS, "keep-alive of a listening socket: Linux only");
  const library = libc();
  for (const [level, option, value] of [
    [SOL_SOCKET, SO_KEEPALIVE, 1],
    [IPPROTO_TCP, TCP_KEEPIDLE, seconds],
    [IPPROTO_TCP, TCP_KEEPINTVL, 1],
    [IPPROTO_TCP, TCP_KEEPCNT, 10],
  ] as const) {
    if (library.setsockopt(fd, level, option, new Int32Array([value]), 4) !== 0)
      throw failed(library, "setsockopt");
  }
}

/**
 * Marks a descriptor to be closed in programs started from here. Linux only (elsewhere ENOSYS:
 * fcntl(2) has variable arguments, which darwin's ARM calling convention passes differently).
 */
export function closeOnExec(fd: number): void {
  const library = libc();
  if (library.fcntl === null) throw new PcpError(-ENOSYS, "fcntl: Linux only");
  if (library.fcntl(fd, F_SETFD, FD_CLOEXEC) !== 0) throw failed(library, "fcntl");
}

/**
 * Another descriptor of the same open file, closed in programs started from here. Linux only
 * (elsewhere ENOSYS, as `closeOnExec`). Errors: PcpError with the negated errno.
 */
export function duplicate(fd: number): number {
  const library = libc();
  if (library.fcntl === null) throw new PcpError(-ENOSYS, "fcntl: Linux only");
  const copy = library.fcntl(fd, F_DUPFD_CLOEXEC, 3);
  if (copy < 0) throw failed(library, "fcntl");
  return copy;
}

/**
 * Lets the system begin to write a part of a file to its disk, without waiting: a later fsync has less
 * to wait for. Only a hint: false where there is no such call, or it fails, and nothing happens.
 */
export function beginWriteback(fd: number, offset: number, length: number): boolean {
  if (!LINUX) return false;
  try {
    return libc().sync_file_range?.(fd, offset, length, SYNC_FILE_RANGE_WRITE) === 0;
  } catch (error) {
    if (error instanceof PcpError) return false;
    throw error;
  }
}

/**
 * Makes descriptor `to` the same open file as `from`; what `to` was before is closed.
 * Errors: PcpError with the negated errno.
 */
export function replaceDescriptor(from: number, to: number): void {
  const library = libc();
  if (library.dup2(from, to) < 0) throw failed(library, "dup2");
}

/** Closes a descriptor. Errors: PcpError with the negated errno. */
export function closeDescriptor(fd: number): void {
  const library = libc();
  if (library.close(fd) !== 0) throw failed(library, "close");
}

/** A descriptor that becomes readable when it is signalled, for a thread that waits in epoll. */
export interface EventFd {
  readonly fd: number;
  signal(): void;
  close(): void;
}

/** An eventfd(2), not blocking. Linux only (elsewhere ENOSYS). */
export function openEventFd(): EventFd {
  const library = libc();
  if (library.eventfd === null) throw new PcpError(-ENOSYS, "eventfd: Linux only");
  const fd = library.eventfd(0, EVENTFD_FLAGS);
  if (fd < 0) throw failed(library, "eventfd");
  const one = new BigUint64Array([1n]);
  return {
    fd,
    signal() {
      if (library.write(fd, one, 8) < 0) throw failed(library, "write");
    },
    close: () => void library.close(fd),
  };
}
