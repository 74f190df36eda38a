// Files of an archive that are compressed while they are written, as PCP's readers take them: gzip and zstd
// block by block, each a whole member or frame, by other threads; xz by the program of that name. What
// waits for compression is bounded: who writes has to look at `full`. Refused: a missing xz program,
// and whatever the system says.
import { promisify } from "node:util";
import { constants, gzip, zstdCompress } from "node:zlib";
import { asPcpError, PM_ERR, PcpError } from "../base/mod.ts";
import type { OutputFile } from "../archive/mod.ts";
import type { Compression } from "./types.ts";

/** As pmlogger_daily has it: readers decompress no more than a block to get at a place. */
const XZ_OPTIONS = ["-0", "--block-size=10MiB", "--stdout"] as const;
const GZIP_LEVEL = 6;
const ZSTD_LEVEL = 3;
/** Bytes that are compressed together: at most, at least, and all that wait. */
const LARGEST_BLOCK = 2 * 1024 * 1024;
const SMALLEST_BLOCK = 64 * 1024;
const BLOCKS_TOGETHER = 32 * 1024 * 1024;

/** What a compressed file's name ends with. */
export const SUFFIXES = { gzip: ".gz", xz: ".xz", zstd: ".zst" } as const;

/** The program for a format, looked for as in PATH; undefined: none is needed. Throws PcpError. */
export function packProgram(format: Compression, path: string): string | undefined {
  if (format !== "xz") return undefined;
  const program = Bun.which("xz", { PATH: path });
  if (program === null) throw new PcpError(PM_ERR.GENERIC, "there is no xz program in PATH");
  return program;
}

/** How files are compressed. */
export interface CompressOptions {
  readonly format: Compression;
  /** Blocks at a time. */
  readonly jobs: number;
  /** For a format that a program makes: where it is, see packProgram. */
  readonly program: string | undefined;
  /** Bytes of a block; what suits the number of jobs when left out. */
  readonly block?: number | undefined;
}

/** Compresses a file; what comes out is put in order. */
interface Packer {
  /** Resolves when the block is not needed any more. */
  readonly pack: (block: Uint8Array) => Promise<void>;
  /** Resolves when everything was put. */
  readonly end: () => Promise<void>;
  /** Gives up. */
  readonly stop: () => void;
}

type Put = (bytes: Uint8Array) => void;

/** Each block by itself, several at a time. */
function blockPacker(compress: (block: Uint8Array) => Promise<Uint8Array>, put: Put): Packer {
  let last = Promise.resolve();
  return {
    pack(block) {
      const before = last;
      const packed = compress(block);
      last = Promise.all([packed, before]).then(([bytes]) => put(bytes));
      return last;
    },
    end: () => last,
    stop: () => undefined,
  };
}

/** One program for the whole file. */
function programPacker(argv: string[], put: Put): Packer {
  const child = Bun.spawn(argv, { stdin: "pipe", stdout: "pipe", stderr: "pipe" });
  const { stdin, stdout, stderr } = child;
  const read = async (): Promise<void> => {
    for await (const piece of stdout) put(piece);
    const [text, status] = await Promise.all([stderr.text(), child.exited]);
    if (status !== 0) throw new PcpError(PM_ERR.GENERIC, text.trim() || `xz: status ${status}`);
  };
  const reading = read();
  // Whoever waits for the end sees the error; until then it is none.
  reading.catch(() => child.kill());
  const give = async (work: () => Promise<void>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      // A program that takes no more says why, or nobody knows.
      await reading;
      throw error;
    }
  };
  return {
    pack: (block) =>
      give(async () => {
        await stdin.write(block);
        await stdin.flush();
      }),
    async end() {
      await give(async () => void (await stdin.end()));
      await reading;
    },
    stop: () => child.kill(),
  };
}

const gzipBlock = promisify<Uint8Array, { level: number }, Uint8Array>(gzip);
const zstdBlock = promisify<Uint8Array, object, Uint8Array>(zstdCompress);

function packerFor({ format, jobs, program }: CompressOptions, put: Put): Packer {
  if (program !== undefined) {
    return programPacker([program, ...XZ_OPTIONS, `--threads=${jobs}`], put);
  }
  if (format === "gzip")
    return blockPacker((block) => gzipBlock(block, { level: GZIP_LEVEL }), put);
  const params = { [constants.ZSTD_c_compressionLevel]: ZSTD_LEVEL };
  return blockPacker((block) => zstdBlock(block, { params }), put);
}

/** A file that is compressed while it is written. Errors come with the next call. */
export class PackedFile {
  private readonly packer: Packer;
  private readonly largest: number;
  private block: Uint8Array;
  private filled = 0;
  /** Blocks that are being compressed. */
  private readonly pending = new Set<Promise<void>>();
  /** Blocks that are not in use. */
  private readonly spare: Uint8Array[] = [];
  private failure: PcpError | undefined;
  private ending: Promise<void> | undefined;

  constructor(
    readonly file: OutputFile,
    private readonly options: CompressOptions,
  ) {
    const { jobs, block } = options;
    const share = Math.floor(BLOCKS_TOGETHER / (jobs + 2));
    this.largest = block ?? Math.max(SMALLEST_BLOCK, Math.min(LARGEST_BLOCK, share));
    this.block = new Uint8Array(Math.min(this.largest, SMALLEST_BLOCK));
    this.packer = packerFor(options, (bytes) => file.put(bytes));
  }

  /** Appends `bytes[from, to)`. */
  put(bytes: Uint8Array, from = 0, to = bytes.length): void {
    if (this.failure !== undefined) throw this.failure;
    for (let at = from; at < to;) {
      if (this.filled === this.block.length) this.makeRoom();
      const end = Math.min(to, at + this.block.length - this.filled);
      this.block.set(bytes.subarray(at, end), this.filled);
      this.filled += end - at;
      at = end;
    }
  }

  /** A larger block, or a new one. */
  private makeRoom(): void {
    if (this.block.length === this.largest) return this.pack();
    const grown = new Uint8Array(Math.min(this.largest, 2 * this.block.length));
    grown.set(this.block);
    this.block = grown;
  }

  private pack(): void {
    const { block, filled, pending, spare } = this;
    if (filled === 0) return;
    this.block = spare.pop() ?? new Uint8Array(block.length);
    this.filled = 0;
    const work = this.note(this.packer.pack(block.subarray(0, filled)));
    pending.add(work);
    void work.then(() => {
      pending.delete(work);
      spare.push(block);
    });
  }

  /** Keeps the first error for the next call. */
  private async note(work: Promise<void>): Promise<void> {
    try {
      await work;
    } catch (error) {
      this.failure ??= error instanceof PcpError ? error : asPcpError(error);
    }
  }

  /** Whether it is time to wait for those who compress. */
  get full(): boolean {
    return this.pending.size > this.options.jobs;
  }

  /** Resolves when a block is done. */
  async relief(): Promise<void> {
    if (this.pending.size > 0) await Promise.race(this.pending);
  }

  /** Compresses what is left and completes the file, at some time; `ended` tells when. */
  end(): void {
    this.ending ??= this.note(this.complete());
  }

  private async complete(): Promise<void> {
    this.pack();
    await Promise.all(this.pending);
    await this.packer.end();
    this.spare.length = 0;
    this.block = new Uint8Array(0);
    if (this.failure !== undefined) throw this.failure;
    this.file.finish();
  }

  /** Completes the file; throws what went wrong with it. */
  async ended(): Promise<void> {
    this.end();
    await this.ending;
    if (this.failure !== undefined) throw this.failure;
  }

  /** Gives up: resolves when nobody writes any more. */
  async stop(): Promise<void> {
    this.packer.stop();
    await Promise.all(this.pending);
    await this.note(this.packer.end());
  }
}
