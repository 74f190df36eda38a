// The files of an archive being written: buffered output under temporary names in the target directory,
// which get their final names together at the end. Metadata are renamed last, since nothing opens an
// archive without them, so there is no moment with a half archive. What a killed process left behind
// is removed by the next writer of the same archive. Refuses names that are taken with -EEXIST; a
// full disk or any other fault of the system is one error naming the file.
import {
  closeSync,
  fsyncSync,
  openSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  truncateSync,
  writeSync,
} from "node:fs";
import { hostname } from "node:os";
import { basename, dirname, join } from "node:path";
import { asPcpError, beginWriteback, PcpError, pmErrStr } from "../base/mod.ts";
import { COMPRESSED_SUFFIXES } from "./places.ts";

/** Bytes that wait before they are written to a file. */
const BUFFER_BYTES = 256 * 1024;
/** What there is for them at first: many files are small. */
const FIRST_BYTES = 32 * 1024;
/** From so many on they are not put to those that wait. */
const LARGE_BYTES = 128 * 1024;
/** Buffers that are kept for the next file. */
const MOST_SPARE = 3;
const NOTHING = new Uint8Array(0);
/** Bytes after which the system is asked to begin with the disk, so that the end need not wait long. */
const WRITEBACK_BYTES = 8 * 1024 * 1024;
const EEXIST = -17;

/** Runs a call of the system; its error names the file. */
function attempt<T>(path: string, what: string, body: () => T): T {
  try {
    return body();
  } catch (error) {
    if (error instanceof PcpError) throw error;
    const { code } = asPcpError(error);
    throw new PcpError(code, `${path}: cannot ${what}: ${pmErrStr(code)}`, { cause: error });
  }
}

/** One file being written from its start to its end. */
export class OutputFile {
  /** Bytes put so far: where the next ones will be in the file. */
  length = 0;
  private buffer: Uint8Array = new Uint8Array(FIRST_BYTES);
  private waiting = 0;
  /** Bytes in the file, and how many of them the disk has been asked to take. */
  private written = 0;
  private begun = 0;
  private descriptor: number | undefined;

  constructor(
    /** Its name until the end, and from then on. */
    readonly temporary: string,
    readonly final: string,
    /** What follows the base name and a dot: "meta", "0", "0.xz". */
    readonly ending: string,
    /** Buffers that are not in use, of all files of an archive. */
    private readonly spare: Uint8Array[] = [],
  ) {
    this.descriptor = attempt(final, "create", () => openSync(temporary, "wx", 0o666));
  }

  /** Bytes in the file. */
  get size(): number {
    return this.written;
  }

  /** Appends `bytes[from, to)`. */
  put(bytes: Uint8Array, from = 0, to = bytes.length): void {
    this.length += to - from;
    if (to - from >= LARGE_BYTES) {
      this.flush();
      this.write(bytes.subarray(from, to), this.written);
      return;
    }
    for (let at = from; at < to;) {
      if (this.waiting === this.buffer.length) this.grow(this.waiting + to - at);
      const end = Math.min(to, at + this.buffer.length - this.waiting);
      this.buffer.set(bytes.subarray(at, end), this.waiting);
      this.waiting += end - at;
      at = end;
      if (this.waiting === BUFFER_BYTES) this.flush();
    }
  }

  /** Makes the buffer larger, for so many bytes if it may have them. */
  private grow(bytes: number): void {
    const size = Math.min(BUFFER_BYTES, Math.max(bytes, 4 * this.buffer.length));
    const [used] = size === BUFFER_BYTES ? this.spare.splice(-1) : [];
    const grown = used ?? new Uint8Array(size);
    grown.set(this.buffer.subarray(0, this.waiting));
    this.buffer = grown;
  }

  private giveBack(buffer: Uint8Array): void {
    if (buffer.length === BUFFER_BYTES && this.spare.length < MOST_SPARE) this.spare.push(buffer);
  }

  private flush(): void {
    if (this.waiting === 0) return;
    this.write(this.buffer.subarray(0, this.waiting), this.written);
    this.waiting = 0;
  }

  private write(bytes: Uint8Array, position: number): void {
    attempt(this.final, "write", () => {
      for (let done = 0; done < bytes.length;) {
        const at = position + done;
        done += writeSync(this.descriptor ?? -1, bytes, done, bytes.length - done, at);
      }
    });
    this.written = Math.max(this.written, position + bytes.length);
    this.writeBack();
  }

  /** Lets the disk begin with what was written. */
  private writeBack(): void {
    const ready = this.written - this.begun;
    if (ready < WRITEBACK_BYTES || this.descriptor === undefined) return;
    beginWriteback(this.descriptor, this.begun, ready);
    this.begun = this.written;
  }

  /** Replaces bytes at the start of the file, which must have been put before. */
  replaceStart(bytes: Uint8Array): void {
    this.flush();
    this.write(bytes, 0);
  }

  /** Writes what waits, makes it durable and closes the file. */
  finish(): void {
    if (this.descriptor === undefined) return;
    this.flush();
    attempt(this.final, "write", () => fsyncSync(this.descriptor ?? -1));
    this.close();
  }

  /** Gives up what waits, and so many bytes before it; how many there were. */
  shorten(bytes: number): number {
    this.waiting = 0;
    const gone = Math.min(bytes, this.written);
    this.written -= gone;
    attempt(this.final, "write", () => truncateSync(this.temporary, this.written));
    return gone;
  }

  /** After an error: writes what waits, if need be once `makeRoom` made room for it, and closes the file. */
  salvage(makeRoom: () => void): void {
    if (this.descriptor === undefined) return;
    try {
      this.flush();
    } catch (error) {
      if (!(error instanceof PcpError)) throw error;
      makeRoom();
      this.flush();
    }
    this.shorten(0);
    this.close();
  }

  /** Closes the file with whatever is in it. */
  close(): void {
    const { descriptor } = this;
    this.descriptor = undefined;
    this.giveBack(this.buffer);
    this.buffer = NOTHING;
    if (descriptor !== undefined) attempt(this.final, "close", () => closeSync(descriptor));
  }
}

function syncDirectory(path: string): void {
  attempt(path, "write", () => {
    const descriptor = openSync(path, "r");
    try {
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
  });
}

/**
 * Where process numbers mean what they mean here, as part of a file name: on this machine, in this
 * container. Another one may see the same directory, and its processes are not ours to judge.
 */
function placeOfProcesses(): string {
  let space = "";
  try {
    space = readlinkSync("/proc/self/ns/pid");
  } catch (error) {
    // Only Linux has such spaces; elsewhere the machine is enough.
    if (asPcpError(error).code >= 0) throw error;
  }
  return Bun.hash(`${hostname()} ${space}`).toString(36);
}

const ESRCH = -3;

/** Whether a process is certainly gone; one of another user is not. */
function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return asPcpError(error).code === ESRCH;
  }
}

/** A name without the suffix of a compressed file. */
function plainEnding(name: string): string {
  const suffix = COMPRESSED_SUFFIXES.find((each) => name.endsWith(each)) ?? "";
  return suffix === "" ? name : name.slice(0, -suffix.length);
}

/** All files of one archive being written. */
export class OutputFiles {
  private readonly folder: string;
  private readonly name: string;
  private readonly all: OutputFile[] = [];
  private readonly spare: Uint8Array[] = [];
  private readonly place = placeOfProcesses();
  private static made = 0;

  /** `base`: directory and base name. Throws -EEXIST when files of this archive are there. */
  constructor(
    readonly base: string,
    /** What is refused: any file of an archive of this name, or only those that are made here. */
    private readonly refuses: "any" | "same" = "any",
  ) {
    this.folder = dirname(base);
    this.name = basename(base);
    this.refuseTaken();
    this.removeLeftovers();
  }

  /** Removes the files of writers of this archive that were killed. */
  private removeLeftovers(): void {
    const start = `.${this.name}.`;
    for (const name of readdirSync(this.folder)) {
      if (!name.startsWith(start)) continue;
      const [, pid, place] =
        /^(?:meta|index|\d+)(?:\.[a-z]\w*)?\.(\d+)-\d+\.(\w+)\.tmp$/.exec(
          name.slice(start.length),
        ) ?? [];
      if (place !== this.place || !isGone(Number(pid))) continue;
      const path = join(this.folder, name);
      attempt(path, "remove", () => rmSync(path, { force: true }));
    }
  }

  private refuseTaken(): void {
    const entries = attempt(this.folder, "read", () => readdirSync(this.folder));
    const taken = entries.find((entry) => {
      const plain = plainEnding(entry);
      const ending = plain.slice(this.name.length + 1);
      if (!plain.startsWith(`${this.name}.`) || !/^(meta|index|\d+)$/.test(ending)) return false;
      return this.refuses === "any" || this.all.some((file) => plainEnding(file.ending) === ending);
    });
    if (taken === undefined) return;
    throw new PcpError(EEXIST, `${join(this.folder, taken)}: cannot create: ${pmErrStr(EEXIST)}`);
  }

  /** Starts the file with this ending: "meta", "index" or the number of a volume. */
  create(ending: string): OutputFile {
    // A leading dot and a strange ending: no PCP program takes it for part of an archive.
    const mark = `${process.pid}-${OutputFiles.made++}.${this.place}`;
    const temporary = join(this.folder, `.${this.name}.${ending}.${mark}.tmp`);
    const file = new OutputFile(temporary, `${this.base}.${ending}`, ending, this.spare);
    this.all.push(file);
    return file;
  }

  /** Makes everything durable, then gives the files their names, metadata last. */
  publish(meta: Pick<OutputFile, "final">): void {
    for (const file of this.all) file.finish();
    this.refuseTaken();
    const last = this.all.find(({ final }) => final === meta.final);
    const others = this.all.filter((file) => file !== last);
    const rename = (file: OutputFile): void =>
      attempt(file.final, "rename", () => renameSync(file.temporary, file.final));
    const named: OutputFile[] = [];
    try {
      for (const file of others) {
        rename(file);
        named.push(file);
      }
      syncDirectory(this.folder);
      if (last !== undefined) rename(last);
    } catch (error) {
      for (const file of named) rmSync(file.final, { force: true });
      throw error;
    }
    this.all.length = 0;
    syncDirectory(this.folder);
  }

  /**
   * After an error: gives the files their names with what is in them. Where the disk is full, the end
   * of the data makes room for what waits of the others.
   */
  salvage(meta: OutputFile): void {
    const volumes = this.all.filter(({ ending }) => /^\d/.test(ending)).toReversed();
    const makeRoom = (): void => {
      for (const volume of volumes) if (volume.shorten(2 * BUFFER_BYTES) > 0) return;
    };
    for (const file of this.all) if (!volumes.includes(file)) file.salvage(makeRoom);
    for (const volume of volumes) {
      volume.salvage(() => void volume.shorten(0));
      // Not even its label had room: readers would stumble over it.
      if (volume.size > 0 || volumes.length === 1) continue;
      rmSync(volume.temporary, { force: true });
      this.all.splice(this.all.indexOf(volume), 1);
    }
    this.publish(meta);
  }

  /** Closes and removes everything that has no final name yet. */
  discard(): void {
    const files = this.all.splice(0);
    for (const file of files) rmSync(file.temporary, { force: true });
    for (const file of files) file.close();
  }
}
