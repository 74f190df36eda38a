// Compression of the files of an archive once they are complete, several at a time, as PCP's readers take
// them: data volumes and metadata, while the index stays plain as pmlogger_daily leaves it. gzip and zstd
// are in the runtime, xz is the program of that name. Refused: a missing xz program, and whatever the
// system says.
import { createReadStream } from "node:fs";
import { pipeline } from "node:stream";
import { constants, createGzip, createZstdCompress } from "node:zlib";
import { PM_ERR, PcpError } from "../base/mod.ts";
import type { OutputFile, OutputFiles } from "../archive/mod.ts";
import type { Compression } from "./types.ts";

/** What a compressed file's name ends with. */
const SUFFIXES = { gzip: ".gz", xz: ".xz", zstd: ".zst" } as const;
/** As pmlogger_daily has it: readers decompress no more than a block to get at a place. */
const XZ_OPTIONS = ["-0", "--block-size=10MiB", "--keep", "--force", "--stdout"] as const;
const GZIP_LEVEL = 6;
const ZSTD_LEVEL = 3;

async function* xz(path: string, programs: string): AsyncGenerator<Uint8Array> {
  const program = Bun.which("xz", { PATH: programs });
  if (program === null) throw new PcpError(PM_ERR.GENERIC, "there is no xz program in PATH");
  const argv = [program, ...XZ_OPTIONS, "--", path];
  const child = Bun.spawn(argv, { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  try {
    yield* child.stdout;
    const [text, status] = await Promise.all([child.stderr.text(), child.exited]);
    if (status !== 0) throw new PcpError(PM_ERR.GENERIC, text.trim() || `xz: status ${status}`);
  } finally {
    child.kill();
  }
}

/** The compressed bytes of a file, read as they are asked for. */
function compressed(
  path: string,
  { format, programs }: CompressOptions,
): AsyncIterable<Uint8Array> {
  if (format === "xz") return xz(path, programs);
  const through =
    format === "gzip"
      ? createGzip({ level: GZIP_LEVEL })
      : createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: ZSTD_LEVEL } });
  // Whoever reads the result sees an error of either stream.
  return pipeline(createReadStream(path), through, () => undefined);
}

/** How files are compressed. */
export interface CompressOptions {
  readonly format: Compression;
  /** Files at a time. */
  readonly jobs: number;
  /** Called between pieces; what it throws ends the work. */
  readonly look: () => void;
  /** Where programs are looked for, as PATH has it. */
  readonly programs: string;
}

/**
 * Compresses files that have no names yet, and returns those that take their places, in the same order.
 * Throws PcpError, an error of the system, or what `look` throws; nothing stays once `files` are
 * discarded.
 */
export async function compressFiles(
  files: OutputFiles,
  list: readonly OutputFile[],
  options: CompressOptions,
): Promise<readonly OutputFile[]> {
  const { format, jobs, look } = options;
  const done = new Map<OutputFile, OutputFile>();
  const queue = [...list];
  const failures: unknown[] = [];
  const convert = async function* (path: string): AsyncGenerator<Uint8Array> {
    for await (const piece of compressed(path, options)) {
      look();
      // Another file failed: there is no use in this one.
      if (failures.length > 0) return;
      yield piece;
    }
  };
  const work = async (): Promise<void> => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
      try {
        done.set(file, await files.replace(file, SUFFIXES[format], convert));
      } catch (error) {
        failures.push(error);
        queue.length = 0;
      }
    }
  };
  await Promise.all(Array.from({ length: jobs }, work));
  if (failures.length > 0) throw failures[0];
  return list.map((file) => done.get(file) ?? file);
}
