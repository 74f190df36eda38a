// System V shared memory through bun:ffi: what programs that were never written for a file share with
// each other. Linux only; refuses elsewhere, and where the kernel refuses, with a PcpError whose code
// is a negated errno. The C library is opened at the first call.
import type * as Ffi from "bun:ffi";
import { PcpError } from "./errors.ts";
import { libraryNames } from "./libc.ts";

const ENOSYS = 38;
const IPC_CREAT = 0o1000;
const IPC_RMID = 0;

const SYMBOLS = {
  shmget: { args: ["i32", "u64", "i32"], returns: "i32" },
  shmat: { args: ["i32", "ptr", "i32"], returns: "i64" },
  shmdt: { args: ["ptr"], returns: "i32" },
  shmctl: { args: ["i32", "i32", "ptr"], returns: "i32" },
  __errno_location: { args: [], returns: "ptr" },
} as const;

/** A segment that this process is attached to. */
export interface SharedMemory {
  /** The memory itself: others may change it at any time. Not to be touched after an end. */
  readonly bytes: Uint8Array;
  /** Detaches; `remove` also takes the segment away once nobody is attached. */
  end(remove: boolean): void;
}

/**
 * Attaches to the segment of a key, which is made with `size` bytes where there is none. Throws
 * PcpError: ENOSYS without such memory, EINVAL for one that is there but smaller, EACCES.
 */
export function openSharedMemory(key: number, size: number, mode: number): SharedMemory {
  if (process.platform !== "linux")
    throw new PcpError(-ENOSYS, `no shared memory on ${process.platform}`);
  // Not an import at the top: bun:ffi is loaded with the library, at the first call.
  const ffi = import.meta.require("bun:ffi") as typeof Ffi;
  const bind = (name: string) => ffi.dlopen(name, SYMBOLS).symbols;
  let library: ReturnType<typeof bind> | undefined;
  const reasons: string[] = [];
  for (const name of libraryNames()) {
    try {
      library = bind(name);
      break;
    } catch (cause) {
      reasons.push(cause instanceof Error ? cause.message : String(cause));
    }
  }
  if (library === undefined)
    throw new PcpError(-ENOSYS, `the C library cannot be used: ${reasons.join("; ")}`);
  const calls = library;
  const failed = (call: string): PcpError => {
    const at = calls.__errno_location();
    const code = at === null ? -ENOSYS : -ffi.read.i32(at, 0);
    return new PcpError(code, `${call}: ${new PcpError(code).message}`);
  };
  const id = calls.shmget(key | 0, size, IPC_CREAT | mode);
  if (id < 0) throw failed("shmget");
  const at = Number(calls.shmat(id, null, 0));
  if (at === -1) throw failed("shmat");
  const pointer = at as Ffi.Pointer;
  return {
    bytes: new Uint8Array(ffi.toArrayBuffer(pointer, 0, size)),
    end(remove) {
      if (remove) calls.shmctl(id, IPC_RMID, null);
      calls.shmdt(pointer);
    },
  };
}
