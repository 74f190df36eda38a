// The C side of a compiled agent: where fields lie in its structs, reading and writing its memory, and
// the calls that libpcp would make of it (spec local.md 7). For little-endian machines with 8-byte
// pointers, which all are that PCP's own packages and ours run on. A wrong pointer ends the process:
// only the program around one agent loads this file.
import {
  CFunction,
  CString,
  dlopen,
  type FFIFunction,
  type Pointer,
  ptr,
  read,
  toArrayBuffer,
} from "bun:ffi";
import { libraryNames, PcpError, PM_ERR } from "../base/mod.ts";

/** Offsets in pmdaInterface; a function is there from the version that is named. */
export const INTERFACE = {
  DOMAIN: 0,
  VERSION: 4,
  API: 5,
  FLAGS: 6,
  STATUS: 8,
  EXT: 16,
  PROFILE: 24,
  FETCH: 32,
  DESC: 40,
  INSTANCE: 48,
  TEXT: 56,
  STORE: 64,
  /** 4 and above. */
  PMID: 72,
  NAME: 80,
  CHILDREN: 88,
  /** 6 and above. */
  ATTRIBUTE: 96,
  /** 7 and above. */
  LABEL: 104,
  /** More than any version needs. */
  BYTES: 256,
} as const;

/** Offsets in pmdaExt. */
export const EXT = { CONTEXT: 168, END_CALLBACK: 176, BYTES: 192 } as const;
/** Offsets in pmResult, as agents have it in every release. */
export const RESULT = { FLAGS: 0, NUMPMID: 16, SETS: 24 } as const;
/** Offsets in pmValueSet and pmValue. */
export const SET = { PMID: 0, NUMVAL: 4, VALFMT: 8, VALUES: 16, VALUE_BYTES: 16 } as const;
/** Offsets in pmDesc. */
export const DESC = { PMID: 0, TYPE: 4, INDOM: 8, SEM: 12, UNITS: 16, BYTES: 20 } as const;
/** Offsets in pmInResult. */
export const IN_RESULT = { NUMINST: 4, IDS: 8, NAMES: 16 } as const;
/** Offsets in pmLabelSet and pmLabel. */
export const LABEL_SET = {
  INSTANCE: 0,
  NLABELS: 4,
  JSON: 8,
  JSON_LENGTH: 16,
  LABELS: 24,
  BYTES: 40,
} as const;
export const LABEL = { NAME: 0, NAME_LENGTH: 2, FLAGS: 3, VALUE: 4, VALUE_LENGTH: 6, BYTES: 8 };
/** Offsets in pmProfile and pmInDomProfile. */
export const PROFILE = { STATE: 0, LENGTH: 4, RULES: 8, BYTES: 16 } as const;
export const RULE = { INDOM: 0, STATE: 4, LENGTH: 8, INSTANCES: 16, BYTES: 24 } as const;

/** The functions of an agent by what they take; all but two answer with an int. */
const SIGNATURES = {
  profile: { args: ["ptr", "ptr"], returns: "i32" },
  fetch: { args: ["i32", "ptr", "ptr", "ptr"], returns: "i32" },
  desc: { args: ["u32", "ptr", "ptr"], returns: "i32" },
  instance: { args: ["u32", "i32", "ptr", "ptr", "ptr"], returns: "i32" },
  text: { args: ["i32", "i32", "ptr", "ptr"], returns: "i32" },
  store: { args: ["ptr", "ptr"], returns: "i32" },
  pmid: { args: ["ptr", "ptr", "ptr"], returns: "i32" },
  name: { args: ["u32", "ptr", "ptr"], returns: "i32" },
  children: { args: ["ptr", "i32", "ptr", "ptr", "ptr"], returns: "i32" },
  attribute: { args: ["i32", "i32", "ptr", "i32", "ptr"], returns: "i32" },
  label: { args: ["i32", "i32", "ptr", "ptr"], returns: "i32" },
  endOfContext: { args: ["i32"], returns: "void" },
  init: { args: ["ptr"], returns: "void" },
  setProgname: { args: ["ptr"], returns: "void" },
} as const satisfies Readonly<Record<string, FFIFunction>>;

/** What an agent's functions are given. */
type CArgument = number | Uint8Array | null;
/** A function of an agent; the code or count that it answers with. */
export type CCall = (...args: readonly CArgument[]) => number;

const LOADER = {
  dlopen: { args: ["ptr", "i32"], returns: "ptr" },
  dlsym: { args: ["ptr", "ptr"], returns: "ptr" },
  dlerror: { args: [], returns: "ptr" },
} as const satisfies Readonly<Record<string, FFIFunction>>;
const LIBC = {
  calloc: { args: ["u64", "u64"], returns: "ptr" },
  free: { args: ["ptr"], returns: "void" },
  signal: { args: ["i32", "ptr"], returns: "ptr" },
  prctl: { args: ["i32", "u64", "u64", "u64", "u64"], returns: "i32" },
} as const satisfies Readonly<Record<string, FFIFunction>>;

const [LIBRARY = ""] = libraryNames();
const libc = dlopen(LIBRARY, LIBC).symbols;

/** The loader's calls: in the C library itself since glibc 2.34. */
function bindLoader() {
  try {
    return dlopen(LIBRARY, LOADER).symbols;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return dlopen("libdl.so.2", LOADER).symbols;
  }
}
const loader = bindLoader();

const RTLD_NOW = 2;
const PR_SET_PDEATHSIG = 1;
const SIGKILL = 9;
/** SIGILL, SIGABRT, SIGBUS, SIGFPE, SIGSEGV. */
const CRASHES: readonly number[] = [4, 6, 7, 8, 11];
/** SIGHUP, SIGINT, SIGQUIT, SIGTERM: what a terminal or service manager sends to all of a group. */
const REQUESTS: readonly number[] = [1, 2, 3, 15];
/** SIG_IGN as an address. */
const IGNORE = 1 as Pointer;

/** An address in C memory; 0 is none. */
export type Address = number;

const asPointer = (address: Address): Pointer => address as Pointer;

/** Text as C has it. */
export const cText = (text: string): Uint8Array => Buffer.from(`${text}\0`);

/** Zeroed memory of C, which stays where it is until it is freed. */
export function allocate(bytes: number): Address {
  const at = libc.calloc(1, Math.max(bytes, 1));
  if (at === null) throw new PcpError(-12, `no memory for ${bytes} bytes`);
  return Number(at);
}

/** Gives memory back; nothing for 0. */
export function release(address: Address): void {
  if (address !== 0) libc.free(asPointer(address));
}

/** A view on C memory that is known to be there. */
export const viewAt = (address: Address, bytes: number): DataView =>
  new DataView(toArrayBuffer(asPointer(address), 0, bytes));

/** A copy of C memory. */
export const bytesAt = (address: Address, length: number): Uint8Array =>
  length === 0
    ? new Uint8Array(0)
    : new Uint8Array(toArrayBuffer(asPointer(address), 0, length)).slice();

/** A string of C; empty for a null pointer. */
export const textAt = (address: Address): string =>
  address === 0 ? "" : new CString(asPointer(address)).toString();

export const u32At = (address: Address, offset: number): number =>
  read.u32(asPointer(address), offset);
export const i32At = (address: Address, offset: number): number =>
  read.i32(asPointer(address), offset);
export const u16At = (address: Address, offset: number): number =>
  read.u16(asPointer(address), offset);
export const u8At = (address: Address, offset: number): number =>
  read.u8(asPointer(address), offset);
export const i64At = (address: Address, offset: number): bigint =>
  read.i64(asPointer(address), offset);
export const u64At = (address: Address, offset: number): bigint =>
  read.u64(asPointer(address), offset);
export const f32At = (address: Address, offset: number): number =>
  read.f32(asPointer(address), offset);
export const f64At = (address: Address, offset: number): number =>
  read.f64(asPointer(address), offset);
export const pointerAt = (address: Address, offset: number): Address =>
  read.ptr(asPointer(address), offset);

/** The address of bytes of this program, for the length of one call. */
export const addressOf = (bytes: Uint8Array): Address => ptr(bytes);

/** A function at an address. */
export function callAt(address: Address, kind: keyof typeof SIGNATURES): CCall {
  const call = CFunction({ ...SIGNATURES[kind], ptr: asPointer(address) });
  return (...args) => Number(call(...args) ?? 0);
}

/** A shared object that is loaded. */
export interface SharedObject {
  /** The address of a symbol of it, or of what it needs; 0: there is none. */
  symbol(name: string): Address;
}

/** Loads a shared object with all that it needs. Throws PcpError with dlerror's text. */
export function loadShared(path: string): SharedObject {
  const handle = loader.dlopen(cText(path), RTLD_NOW);
  if (handle === null) throw new PcpError(PM_ERR.GENERIC, textAt(Number(loader.dlerror() ?? 0)));
  return { symbol: (name) => Number(loader.dlsym(handle, cText(name)) ?? 0) };
}

/**
 * Lets a crash be what it is for any C program, a signal that the parent sees, without a report of
 * the runtime's; and this process end when its parent does, or closes its input, and not before.
 */
export function standAlone(): void {
  for (const signal of CRASHES) libc.signal(signal, null);
  for (const signal of REQUESTS) libc.signal(signal, IGNORE);
  if (process.platform === "linux") libc.prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
}
