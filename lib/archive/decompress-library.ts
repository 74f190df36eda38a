// The system's liblzma and libbz2, called through bun:ffi: faster than our own decoders, which stay for
// machines without them. A library is opened when the first file asks for it, under absolute names
// only, because the runtime would also look for a bare name in the working directory. What is
// here decodes one LZMA2 chunk, or one small bzip2 stream, from memory to memory; containers, places
// and the words of errors are the callers'. Refuses nothing: what a library does not take is told
// as undefined.
import type * as Ffi from "bun:ffi";

const LINUX_TRIPLE = process.arch === "arm64" ? "aarch64-linux-gnu" : "x86_64-linux-gnu";
const LINUX_FOLDERS = [
  `/usr/lib/${LINUX_TRIPLE}`,
  `/lib/${LINUX_TRIPLE}`,
  "/usr/lib64",
  "/lib64",
  "/usr/lib",
  "/lib",
];

/** Where a library may be, by the names that it has on Linux, and its places on darwin. */
function places(names: readonly string[], darwin: readonly string[]): readonly string[] {
  if (process.platform === "darwin") return darwin;
  if (process.platform !== "linux") return [];
  return LINUX_FOLDERS.flatMap((folder) => names.map((name) => `${folder}/${name}`));
}

/** What opens a library at the first call, in the first place that has it; undefined without one. */
function lazily<F extends Record<string, Ffi.FFIFunction>>(from: readonly string[], functions: F) {
  const bind = () => {
    if (from.length === 0) return undefined;
    // Not an import at the top: bun:ffi is loaded with the library.
    const ffi = import.meta.require("bun:ffi") as typeof Ffi;
    for (const place of from) {
      try {
        return { call: ffi.dlopen(place, functions).symbols, ptr: ffi.ptr };
      } catch (cause) {
        // Not there, or for another kind of machine: the next place, and at last our own decoder.
        if (!(cause instanceof Error)) throw cause;
      }
    }
    return undefined;
  };
  let opened: { readonly library: ReturnType<typeof bind> } | undefined;
  return () => (opened ??= { library: bind() }).library;
}

const lzma = lazily(
  places(
    ["liblzma.so.5"],
    [
      "/usr/lib/liblzma.5.dylib",
      "/opt/homebrew/opt/xz/lib/liblzma.5.dylib",
      "/usr/local/opt/xz/lib/liblzma.5.dylib",
    ],
  ),
  {
    lzma_raw_decoder: { args: ["ptr", "ptr"], returns: "i32" },
    lzma_code: { args: ["ptr", "i32"], returns: "i32" },
    lzma_end: { args: ["ptr"], returns: "void" },
    lzma_crc64: { args: ["ptr", "u64", "u64"], returns: "u64" },
  } as const,
);
const bzip2 = lazily(places(["libbz2.so.1.0", "libbz2.so.1"], ["/usr/lib/libbz2.1.0.dylib"]), {
  BZ2_bzDecompressInit: { args: ["ptr", "i32", "i32"], returns: "i32" },
  BZ2_bzDecompress: { args: ["ptr"], returns: "i32" },
  BZ2_bzDecompressEnd: { args: ["ptr"], returns: "i32" },
} as const);

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
  const { call, ptr } = library;
  const stream = new BigUint64Array(new ArrayBuffer(8 * LZMA_STREAM_WORDS));
  const options = new BigUint64Array(new ArrayBuffer(8 * LZMA_OPTIONS_WORDS));
  options[0] = BigInt(dictionary);
  const filters = BigUint64Array.of(LZMA2_FILTER, BigInt(ptr(options)), LZMA_FILTERS_END, 0n);
  if (call.lzma_raw_decoder(stream, filters) !== LZMA_OK) {
    call.lzma_end(stream);
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
      if (call.lzma_code(stream, LZMA_RUN) !== LZMA_OK) return undefined;
      const given = size + 1 - Number(stream[LZMA_STREAM.AVAIL_OUT]);
      if (stream[LZMA_STREAM.AVAIL_IN] !== 0n || given > size) return undefined;
      return output.subarray(0, given);
    },
    close: () => call.lzma_end(stream),
  };
}

/** The library's CRC-64 of xz, of bytes after those that `sum` is of; undefined without a library. */
export function libraryCrc64(): ((bytes: Uint8Array, sum: bigint) => bigint) | undefined {
  const library = lzma();
  return library && ((bytes, sum) => library.call.lzma_crc64(bytes, bytes.length, sum));
}

/** One bzip2 stream being decoded by the library. */
export interface Bzip2Handle {
  /** What is decoded: held here since the library has its address. */
  readonly input: Uint8Array;
  /**
   * The next bytes, until the next call; none after the end of a sound stream. Undefined when the
   * library refuses the data or they are cut short; only `close` may follow.
   */
  next(): Uint8Array | undefined;
  /** Gives the memory back; to be called once. */
  close(): void;
}

// struct bz_stream: 64-bit words, and the counts in it as 32-bit words.
const BZ_STREAM_BYTES = 80;
const BZ_STREAM = { NEXT_IN: 0, NEXT_OUT: 3 } as const;
const BZ_STREAM_COUNT = { AVAIL_IN: 2, AVAIL_OUT: 8 } as const;
const BZ_OK = 0;
const BZ_STREAM_END = 4;
const BZIP2_PIECE = 256 * 1024;

/**
 * A decoder of the bzip2 stream in `input`, which stays as it is until `close`; 4 MB of memory.
 * Undefined without a library, or when it has no memory.
 */
export function bzip2Handle(input: Uint8Array): Bzip2Handle | undefined {
  const library = bzip2();
  if (library === undefined) return undefined;
  const { call, ptr } = library;
  const words = new BigUint64Array(new ArrayBuffer(BZ_STREAM_BYTES));
  const counts = new Uint32Array(words.buffer);
  if (call.BZ2_bzDecompressInit(words, 0, 0) !== BZ_OK) return undefined;
  const output = fixed(BZIP2_PIECE);
  words[BZ_STREAM.NEXT_IN] = BigInt(ptr(input));
  counts[BZ_STREAM_COUNT.AVAIL_IN] = input.length;
  let ended = false;
  return {
    input,
    next() {
      if (ended) return output.subarray(0, 0);
      words[BZ_STREAM.NEXT_OUT] = BigInt(ptr(output));
      counts[BZ_STREAM_COUNT.AVAIL_OUT] = output.length;
      const code = call.BZ2_bzDecompress(words);
      const given = output.length - (counts[BZ_STREAM_COUNT.AVAIL_OUT] ?? 0);
      ended = code === BZ_STREAM_END;
      // All input is there from the start, so no progress means that it is cut short.
      if (!ended && (code !== BZ_OK || given === 0)) return undefined;
      return output.subarray(0, given);
    },
    close: () => void call.BZ2_bzDecompressEnd(words),
  };
}

/** Which libraries the machine has, for tests that compare both ways. */
export const libraries = (): { readonly lzma: boolean; readonly bzip2: boolean } => ({
  lzma: lzma() !== undefined,
  bzip2: bzip2() !== undefined,
});
