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
  writeSync,
} from "node:fs";
import { hostname } from "node:os";
import { basename, dirname, join } from "node:path";
import { asPcpError, beginWriteback, PcpError, pmErrStr } from "../base/mod.ts";
import { COMPRESSED_SUFFIXES } from "./places.ts";

/** Bytes that wait before they are written to a file. */
const BUFFER_BYTES = 256 * 1024;
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
  private buffer = new Uint8Array(BUFFER_BYTES);
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
  ) {
    this.descriptor = attempt(final, "create", () => openSync(temporary, "wx", 0o664));
  }

  /** Appends `bytes[from, to)`. */
  put(bytes: Uint8Array, from = 0, to = bytes.length): void {
    const length = to - from;
    this.length += length;
    if (length > BUFFER_BYTES - this.waiting) this.flush();
    const part = length === bytes.length ? bytes : bytes.subarray(from, to);
    if (length >= BUFFER_BYTES) this.write(part);
    else {
      this.buffer.set(part, this.waiting);
      this.waiting += length;
    }
  }

  private flush(): void {
    const { waiting } = this;
    this.waiting = 0;
    this.write(this.buffer.subarray(0, waiting));
  }

  private write(bytes: Uint8Array, position: number | null = null): void {
    attempt(this.final, "write", () => {
      for (let done = 0; done < bytes.length;) {
        const at = position === null ? null : position + done;
        done += writeSync(this.descriptor ?? -1, bytes, done, bytes.length - done, at);
      }
    });
    if (position !== null || this.descriptor === undefined) return;
    this.written += bytes.length;
    const ready = this.written - this.begun;
    if (ready < WRITEBACK_BYTES) return;
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

  /** Closes the file with whatever is in it. */
  close(): void {
    const { descriptor } = this;
    this.descriptor = undefined;
    this.buffer = new Uint8Array(0);
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

/** All files of one archive being written. */
export class OutputFiles {
  private readonly folder: string;
  private readonly name: string;
  private readonly all: OutputFile[] = [];
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
      const suffix = COMPRESSED_SUFFIXES.find((each) => entry.endsWith(each)) ?? "";
      const plain = suffix === "" ? entry : entry.slice(0, -suffix.length);
      const ending = plain.slice(this.name.length + 1);
      if (!plain.startsWith(`${this.name}.`) || !/^(meta|index|\d+)$/.test(ending)) return false;
      return (
        this.refuses === "any" || this.all.some(({ final }) => final === `${this.base}.${ending}`)
      );
    });
    if (taken === undefined) return;
    throw new PcpError(EEXIST, `${join(this.folder, taken)}: cannot create: ${pmErrStr(EEXIST)}`);
  }

  /** Starts the file with this ending: "meta", "index" or the number of a volume. */
  create(ending: string): OutputFile {
    // A leading dot and a strange ending: no PCP program takes it for part of an archive.
    const mark = `${process.pid}-${OutputFiles.made++}.${this.place}`;
    const temporary = join(this.folder, `.${this.name}.${ending}.${mark}.tmp`);
    const file = new OutputFile(temporary, `${this.base}.${ending}`, ending);
    this.all.push(file);
    return file;
  }

  /**
   * Completes a file and puts another in its place, whose name has a suffix more and whose bytes are
   * what `convert` makes of the file of the given path.
   */
  async replace(
    file: OutputFile,
    suffix: string,
    convert: (path: string) => AsyncIterable<Uint8Array>,
  ): Promise<OutputFile> {
    file.finish();
    const made = this.create(`${file.ending}${suffix}`);
    for await (const piece of convert(file.temporary)) made.put(piece);
    made.finish();
    attempt(file.final, "remove", () => rmSync(file.temporary));
    this.all.splice(this.all.indexOf(file), 1);
    return made;
  }

  /** Makes everything durable, then gives the files their names, metadata last. */
  publish(meta: OutputFile): void {
    for (const file of this.all) file.finish();
    this.refuseTaken();
    const others = this.all.filter((file) => file !== meta);
    const rename = (file: OutputFile): void =>
      attempt(file.final, "rename", () => renameSync(file.temporary, file.final));
    const named: OutputFile[] = [];
    try {
      for (const file of others) {
        rename(file);
        named.push(file);
      }
      syncDirectory(this.folder);
      rename(meta);
    } catch (error) {
      for (const file of named) rmSync(file.final, { force: true });
      throw error;
    }
    this.all.length = 0;
    syncDirectory(this.folder);
  }

  /** Closes and removes everything that has no final name yet. */
  discard(): void {
    const files = this.all.splice(0);
    for (const file of files) rmSync(file.temporary, { force: true });
    for (const file of files) file.close();
  }
}
