// The system's liblzma, called through bun:ffi: about twice as fast as our own decoder, which stays for
// machines without it. The library is opened when the first file asks for it, under absolute names
// only, because the runtime would also look for a bare name in the working directory. What is
// here decodes one LZMA2 chunk from memory to memory; containers, places and the words of errors
// are the callers'. Refuses nothing: what the library does not take is told as undefined.
import type * as Ffi from "bun:ffi";

const LINUX_TRIPLE = process.arch === "arm64" ? "aarch64-linux-gnu" : "x86_64-linux-gnu";
/** Where the library may be. */
const PLACES: Readonly<Partial<Record<NodeJS.Platform, readonly string[]>>> = {
  linux: [
    `/usr/lib/${LINUX_TRIPLE}/liblzma.so.5`,
    `/lib/${LINUX_TRIPLE}/liblzma.so.5`,
    "/usr/lib64/liblzma.so.5",
    "/lib64/liblzma.so.5",
    "/usr/lib/liblzma.so.5",
    "/lib/liblzma.so.5",
  ],
  darwin: [
    "/usr/lib/liblzma.5.dylib",
    "/opt/homebrew/opt/xz/lib/liblzma.5.dylib",
    "/usr/local/opt/xz/lib/liblzma.5.dylib",
  ],
};
const SYMBOLS = {
  lzma_raw_decoder: { args: ["ptr", "ptr"], returns: "i32" },
  lzma_code: { args: ["ptr", "i32"], returns: "i32" },
  lzma_end: { args: ["ptr"], returns: "void" },
  lzma_crc64: { args: ["ptr", "u64", "u64"], returns: "u64" },
} as const;

/** Opens the library in the first place that has it. */
function bind() {
  const places = PLACES[process.platform] ?? [];
  if (places.length === 0) return undefined;
  // Not an import at the top: bun:ffi is loaded with the library.
  const ffi = import.meta.require("bun:ffi") as typeof Ffi;
  for (const place of places) {
    try {
      return { ...ffi.dlopen(place, SYMBOLS).symbols, ptr: ffi.ptr };
    } catch (cause) {
      // Not there, or for another kind of machine: the next place, and at last our own decoder.
      if (!(cause instanceof Error)) throw cause;
    }
  }
  return undefined;
}

let opened: { readonly library: ReturnType<typeof bind> } | undefined;

/** The library, looked for once. */
const lzma = (): ReturnType<typeof bind> => (opened ??= { library: bind() }).library;

/** Bytes whose place does not change, as typed arrays without a buffer of their own may. */
const fixed = (length: number): Uint8Array => new Uint8Array(new ArrayBuffer(length));

/** A decoder of LZMA2 chunks in the library. */
export interface LzmaHandle {
  /**
   * Decodes a chunk that gives `size` bytes, and gives them, until the next call; fewer if `chunk` is
   * cut short. Undefined when the library refuses the data; only `close` may follow.
   */
  decode(chunk: Uint8Array, size: number): Uint8Array | undefined;
  /** Gives the memory back; to be called once. */
  close(): void;
}

// struct lzma_stream as 64-bit words, and struct lzma_filter and the first word of its options.
const LZMA_STREAM_WORDS = 17;
const LZMA_STREAM = { NEXT_IN: 0, AVAIL_IN: 1, NEXT_OUT: 3, AVAIL_OUT: 4 } as const;
const LZMA_OPTIONS_WORDS = 32;
const LZMA2_FILTER = 0x21n;
const LZMA_FILTERS_END = 0xffff_ffff_ffff_ffffn;
const LZMA_RUN = 0;
const LZMA_OK = 0;

/**
 * A decoder of LZMA2 chunks with a window of `dictionary` bytes, which the library takes as memory at
 * once (the system gives what is touched). Undefined without a library, or when it has no memory.
 */
export function lzma2Handle(dictionary: number): LzmaHandle | undefined {
  const library = lzma();
  if (library === undefined) return undefined;
  const { ptr } = library;
  const stream = new BigUint64Array(new ArrayBuffer(8 * LZMA_STREAM_WORDS));
  const options = new BigUint64Array(new ArrayBuffer(8 * LZMA_OPTIONS_WORDS));
  options[0] = BigInt(dictionary);
  const filters = BigUint64Array.of(LZMA2_FILTER, BigInt(ptr(options)), LZMA_FILTERS_END, 0n);
  if (library.lzma_raw_decoder(stream, filters) !== LZMA_OK) {
    library.lzma_end(stream);
    return undefined;
  }
  let output = fixed(0);
  // What the library has an address of is held here while it may use it.
  let input = output;
  return {
    decode(chunk, size) {
      // One byte more than comes out: the library then looks at the chunk's last bytes, too.
      if (output.length <= size) output = fixed(Math.max(size + 1, 2 * output.length));
      input = chunk;
      stream[LZMA_STREAM.NEXT_IN] = BigInt(ptr(input));
      stream[LZMA_STREAM.AVAIL_IN] = BigInt(input.length);
      stream[LZMA_STREAM.NEXT_OUT] = BigInt(ptr(output));
      stream[LZMA_STREAM.AVAIL_OUT] = BigInt(size + 1);
      if (library.lzma_code(stream, LZMA_RUN) !== LZMA_OK) return undefined;
      const given = size + 1 - Number(stream[LZMA_STREAM.AVAIL_OUT]);
      if (stream[LZMA_STREAM.AVAIL_IN] !== 0n || given > size) return undefined;
      return output.subarray(0, given);
    },
    close: () => library.lzma_end(stream),
  };
}

/** The library's CRC-64 of xz, of bytes after those that `sum` is of; undefined without a library. */
export function libraryCrc64(): ((bytes: Uint8Array, sum: bigint) => bigint) | undefined {
  const library = lzma();
  return library && ((bytes, sum) => library.lzma_crc64(bytes, bytes.length, sum));
}

/** Whether the machine has the library, for tests that compare both ways. */
export const hasLzmaLibrary = (): boolean => lzma() !== undefined;
