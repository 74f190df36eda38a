// The files of an archive that others read while it is written, as a logger writes it: what the writer
// puts waits until `commit`, which writes metadata first, then data, then the index, so that nothing
// points to what is not there. There is no metadata file, so no archive, before everything of the first
// commit is there. After an error the files are cut back to the last commit and nothing more is written.
import { constants } from "node:fs";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { asPcpError, PcpError, pmErrStr, syncPath, Writer, writeWhole } from "../base/mod.ts";
import type { ArchiveOutput, ArchiveOutputs } from "./writer.ts";

/** The files of one archive being written. */
export interface LiveFiles extends ArchiveOutputs {
  /** Bytes that are in the files. */
  readonly size: number;
  /** Whether commits failed: the files end with the last one that did not. */
  readonly failed: boolean;
  /** Writes what waits, and makes it durable where wanted. Rejects with PcpError. */
  commit(): Promise<void>;
  /** Closes the files as they are; without a commit before there are none. */
  close(): Promise<void>;
}

const FILE_MODE = 0o644;
const NO_FOLLOW = constants.O_NOFOLLOW ?? 0;
const CREATE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | NO_FOLLOW;

/** One file; `put` only remembers. */
class LiveFile implements ArchiveOutput {
  length = 0;
  readonly final: string;
  private waiting = new Writer();
  private handle: FileHandle | undefined;
  /** Bytes of commits. */
  written = 0;
  /** Whether the file is one of ours. */
  private made = false;
  ended = false;
  /** Where it is until the first commit is complete. */
  path: string;

  constructor(
    base: string,
    readonly ending: string,
  ) {
    this.final = `${base}.${ending}`;
    this.path = ending === "meta" ? join(dirname(base), `.${basename(base)}.meta.tmp`) : this.final;
  }

  put(bytes: Uint8Array, from = 0, to = bytes.length): void {
    this.waiting.put(bytes.subarray(from, to));
    this.length += to - from;
  }

  /** The label that was put first is the last one: its start was known. */
  replaceStart(): void {
    // Nothing to replace.
  }

  finish(): void {
    this.ended = true;
  }

  /** Writes what waits; resolves to whether there was something. */
  async commit(sync: boolean): Promise<boolean> {
    const bytes = this.waiting.finish();
    this.waiting = new Writer();
    if (bytes.length > 0) {
      this.handle ??= await open(this.path, CREATE, FILE_MODE);
      this.made = true;
      await writeWhole(this.handle, bytes, this.written);
      if (sync) await this.handle.datasync();
    }
    this.written += bytes.length;
    return bytes.length > 0;
  }

  /** Back to the last commit. */
  async cut(length: number): Promise<void> {
    await this.handle?.truncate(length);
    this.written = length;
  }

  async close(): Promise<void> {
    const { handle } = this;
    this.handle = undefined;
    await handle?.close();
  }

  async remove(): Promise<void> {
    if (this.made) await rm(this.path, { force: true });
  }
}

/** Metadata, then volumes, then the index. */
const rankOf = ({ ending }: LiveFile): number =>
  ending === "meta" ? -1 : ending === "index" ? Number.MAX_SAFE_INTEGER : Number(ending);

/**
 * Files of the archive with this directory and base name, for WriterOptions.outputs, whose label must
 * have its start. `sync`: commits are durable when they are done.
 */
export function openLiveFiles(base: string, sync: boolean): LiveFiles {
  let files: LiveFile[] = [];
  /** Bytes of each file after the last commit that was complete. */
  let good = new Map<LiveFile, number>();
  let closedBytes = 0;
  let isNamed = false;
  let failed = false;

  const giveUp = async (error: unknown): Promise<PcpError> => {
    failed = true;
    const { code } = asPcpError(error);
    try {
      for (const file of files) {
        if (isNamed && good.has(file)) await file.cut(good.get(file) ?? 0);
        else await file.remove();
        await file.close();
      }
    } catch (cause) {
      const text = pmErrStr(asPcpError(cause).code);
      return new PcpError(code, `${base}: ${pmErrStr(code)}; not cut back: ${text}`, { cause });
    }
    return new PcpError(code, `${base}: cannot write: ${pmErrStr(code)}`, { cause: error });
  };

  const writeAll = async (): Promise<void> => {
    const inOrder = files.toSorted((a, b) => rankOf(a) - rankOf(b));
    for (const file of inOrder) await file.commit(sync);
    const meta = inOrder.find(({ ending }) => ending === "meta");
    if (!isNamed && meta !== undefined) {
      if (sync) await syncPath(dirname(base));
      await rename(meta.path, meta.final);
      meta.path = meta.final;
      isNamed = true;
      if (sync) await syncPath(dirname(base));
    }
    good = new Map(files.map((file) => [file, file.written]));
    const ended = files.filter((file) => file.ended && /^\d+$/.test(file.ending));
    for (const file of ended) {
      closedBytes += file.written;
      await file.close();
    }
    files = files.filter((file) => !ended.includes(file));
  };

  return {
    get size() {
      return files.reduce((sum, file) => sum + file.written, closedBytes);
    },
    get failed() {
      return failed;
    },
    create(ending) {
      const file = new LiveFile(base, ending);
      files.push(file);
      return file;
    },
    publish() {
      for (const file of files) file.finish();
    },
    discard() {
      // What was put since the last commit is never written.
      failed = true;
    },
    async commit() {
      if (failed) throw new PcpError(-5, `${base}: the archive was given up`);
      try {
        await writeAll();
      } catch (error) {
        throw await giveUp(error);
      }
    },
    async close() {
      const open = files;
      files = [];
      for (const file of open) {
        closedBytes += file.written;
        await file.close();
      }
    },
  };
}
