// Reads the data records of one input forwards (spec extract.md 7, 14.2), block by block, across its
// volumes. Files are opened when they are needed and given up when too many are open, so that a thousand
// inputs need neither their descriptors nor much memory. Refused with what the C program says about
// damage: frames that do not hold; volumes that the system does not let us read. Those that are no part of
// the archive are passed over.
import { openFileLimit, PM_ERR, PcpError, pmErrStr, viewOf } from "../base/mod.ts";
import {
  type ArchiveFile,
  type ArchiveVersion,
  compressionOf,
  dataHead,
  decodeLabel,
  labelBytes,
  markBytes,
  MAX_LABEL_BYTES,
  MAX_RECORD_BYTES,
  openArchiveFile,
  timeAt,
} from "../archive/mod.ts";
import type { Timestamp } from "../pcp/mod.ts";
import type { SourceRecord } from "./encode.ts";
import type { Input } from "./inputs.ts";

/** Files that are open at the same time. The usual limit of a process is 1024. */
const MOST_OPEN = 200;
/** Where the limit is lower: as many as are left beside others, but so many in any case. */
const OTHERS_OPEN = 40;
const LEAST_OPEN = 16;
const ENOENT = -2;
/** Bytes that the blocks of all inputs may have together, and bounds of one. */
const BLOCKS_TOGETHER = 32 * 1024 * 1024;
const LARGEST_BLOCK = 512 * 1024;
const SMALLEST_BLOCK = 16 * 1024;
/** Blocks of a few inputs stay in the processor's cache until they are written, but are not too small. */
const CACHED_TOGETHER = 1024 * 1024;
const WORTHY_BLOCK = 64 * 1024;
/** Pieces of memory that are kept for the next input. */
const MOST_SPARE = 4;
const TRAILER = 4;
/** The C library reads a file in steps of this; messages about damage tell where it had got to. */
const C_BLOCK = 4096;

/** A record that cannot be used; the input ends before it. */
export class DamagedRecord extends PcpError {
  constructor(
    /** Both as the C program prints them. */
    readonly offset: number,
    readonly fileBytes: number,
  ) {
    super(PM_ERR.LOGREC);
  }
}

/** A volume that is there, but that the system does not let us read; the message names it. */
export class UnreadableVolume extends PcpError {}

/** How many files of inputs may be open. */
function mostOpen(): number {
  try {
    const { soft } = openFileLimit();
    return Math.max(LEAST_OPEN, Math.min(MOST_OPEN, Number(soft) - OTHERS_OPEN));
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
    // A system that cannot be asked.
    return MOST_OPEN;
  }
}

/** The open files of all inputs, the one used last at the end. */
export class OpenFiles {
  private readonly files = new Map<RecordReader, ArchiveFile>();
  /** Inputs that are being read. */
  active = 0;
  private most: number | undefined;
  private readonly spare: Uint8Array[] = [];

  /** Memory for so many bytes, of an input that is done where there is one. */
  takeMemory(length: number): Uint8Array {
    const found = this.spare.findIndex((each) => each.length >= length);
    const [memory] = found < 0 ? [] : this.spare.splice(found, 1);
    return memory ?? new Uint8Array(length);
  }

  /** Takes memory back that nobody reads any more. */
  giveMemory(memory: Uint8Array): void {
    if (memory.length > 0 && this.spare.length < MOST_SPARE) this.spare.push(memory);
  }

  /** The open file of a reader, which nobody else reads: a block lasts until the next one is read. */
  get(reader: RecordReader, path: string): ArchiveFile {
    let file = this.files.get(reader);
    if (file !== undefined) this.files.delete(reader);
    file ??= openArchiveFile(path);
    this.files.set(reader, file);
    if (this.files.size > LEAST_OPEN && this.files.size > (this.most ??= mostOpen())) {
      for (const [oldest, old] of this.files) {
        this.files.delete(oldest);
        old.close();
        break;
      }
    }
    return file;
  }

  /** Bytes that are read together now. */
  get block(): number {
    const active = Math.max(1, this.active);
    const cached = Math.max(WORTHY_BLOCK, Math.floor(CACHED_TOGETHER / active));
    const share = Math.min(cached, Math.floor(BLOCKS_TOGETHER / active));
    return Math.min(LARGEST_BLOCK, Math.max(SMALLEST_BLOCK, share));
  }

  close(reader: RecordReader): void {
    this.files.get(reader)?.close();
    this.files.delete(reader);
  }

  closeAll(): void {
    for (const file of this.files.values()) file.close();
    this.files.clear();
  }
}

/** The records of one input. Fields speak of the record that `next` came to, until the next call. */
export class RecordReader implements SourceRecord {
  bytes: Buffer = Buffer.alloc(0);
  view: DataView = viewOf(this.bytes);
  /** The bytes as words of the machine; empty where they are not aligned. */
  words: Int32Array = new Int32Array(0);
  at = 0;
  setsAt = 0;
  length = 0;
  numpmid = 0;
  sec = 0;
  nsec = 0;
  /** Records read. */
  records = 0;
  /** Bytes of volumes that are done. */
  bytesDone = 0;
  readonly version: ArchiveVersion;
  private readonly head: number;
  private readonly shortest: number;
  private readonly paths: readonly (readonly [number, string])[];
  private volume = -1;
  private path = "";
  /** Offset of `bytes` in the file. */
  private base = 0;
  /** Offset of the record at hand in its volume. */
  offset = 0;
  /** Offset of the next record. */
  private position = 0;
  private loads = 0;
  private memory: Uint8Array = new Uint8Array(0);

  constructor(
    private readonly input: Input,
    private readonly files: OpenFiles,
    /** Called before bytes that were handed out are overwritten. */
    private readonly settle: () => void,
  ) {
    this.version = input.archive.label.version;
    this.head = dataHead(this.version);
    this.shortest = markBytes(this.version);
    this.paths = [...input.archive.files.volumes];
  }

  get time(): Timestamp {
    return { sec: this.sec, nsec: this.nsec };
  }

  /** Bytes of data volumes that are read, about as many as they are stored in. */
  get bytesRead(): number {
    return this.bytesDone + (compressionOf(this.path) === undefined ? this.position : 0);
  }

  /** Reads from `from` on, `length` bytes where the file has them; how many there are. */
  private load(from: number, length: number): number {
    this.settle();
    // Longer reads are for long records; their lengths may be nonsense, which the file looks after.
    if (length <= LARGEST_BLOCK && this.memory.length < length) {
      this.files.giveMemory(this.memory);
      this.memory = this.files.takeMemory(length);
    }
    this.use(this.files.get(this, this.path).read(from, length, this.memory), from);
    return this.bytes.length;
  }

  /** Looks at bytes which begin at `base` of the file. */
  private use({ buffer, byteOffset, length }: Uint8Array, base: number): void {
    this.bytes = Buffer.from(buffer, byteOffset, length);
    this.view = viewOf(this.bytes);
    // Where the machine has the low byte first, as everywhere that this runs.
    this.words = new Int32Array(buffer, byteOffset & ~3, (byteOffset & 3) === 0 ? length >> 2 : 0);
    this.base = base;
  }

  /** How much to read: little at first, since an input may have its turn much later. */
  private blockBytes(): number {
    if (this.loads++ === 0) return SMALLEST_BLOCK;
    if (this.loads === 2) this.files.active++;
    return this.files.block;
  }

  /** Opens the next volume that can be used; false when there is none. */
  private nextVolume(): boolean {
    for (;;) {
      this.leaveVolume();
      this.volume++;
      const next = this.paths[this.volume];
      if (next === undefined) return false;
      const [number, path] = next;
      this.path = path;
      try {
        this.load(0, Math.max(MAX_LABEL_BYTES, this.blockBytes()));
        const label = decodeLabel(this.bytes.subarray(0, MAX_LABEL_BYTES), number);
        const { version, pid, host } = this.input.archive.label;
        if (label.version === version && label.pid === pid && label.host === host) {
          this.position = labelBytes(version);
          return true;
        }
      } catch (error) {
        // As PCP does, a volume that is gone or no part of the archive is stepped over.
        if (!(error instanceof PcpError)) throw error;
        const { code } = error;
        if (code > PM_ERR.GENERIC && code !== ENOENT) {
          throw new UnreadableVolume(code, `${path}: ${pmErrStr(code)}`);
        }
      }
    }
  }

  private leaveVolume(): void {
    if (this.path === "") return;
    this.bytesDone = this.bytesRead;
    this.files.close(this);
    this.path = "";
  }

  /** Gives the last block back. */
  close(): void {
    this.leaveVolume();
    if (this.loads >= 2) this.files.active--;
    this.loads = 0;
    this.files.giveMemory(this.memory);
    this.memory = new Uint8Array(0);
    this.use(this.memory, 0);
  }

  /** Makes the record at `bytes[at, at + length)`, which is like the one before, the one at hand. */
  stand(at: number, length: number, sec: number, nsec: number): void {
    this.at = at;
    this.setsAt = at + this.head;
    this.length = length;
    this.offset = this.base + at;
    this.position = this.offset + length;
    this.records++;
    this.sec = sec;
    this.nsec = nsec;
  }

  /** Takes note of records that were stepped over after the one at hand, up to byte `end`. */
  skipTo(end: number, records: number, sec: number, nsec: number): void {
    this.position = this.base + end;
    this.records += records;
    this.sec = sec;
    this.nsec = nsec;
  }

  /** The error for the record at hand; `short`: the file ends within it. */
  damage(short: boolean): DamagedRecord {
    const { offset, length } = this;
    let size: number;
    try {
      size = this.files.get(this, this.path).size ?? offset;
    } catch (error) {
      if (!(error instanceof PcpError)) throw error;
      size = offset;
    }
    if (short) return new DamagedRecord(offset, size);
    const end = offset + Math.max(length, TRAILER);
    return new DamagedRecord(Math.min(size, Math.ceil(end / C_BLOCK) * C_BLOCK), size);
  }

  /** Steps to the next record; false at the end. Throws DamagedRecord, or what the system says. */
  next(): boolean {
    for (;;) {
      if (this.path !== "" && this.nextHere()) return true;
      if (!this.nextVolume()) return false;
    }
  }

  private nextHere(): boolean {
    const { position, head } = this;
    this.offset = position;
    let at = position - this.base;
    if (at + head > this.bytes.length) {
      const left = this.load(position, this.blockBytes());
      at = 0;
      // PCP takes up to three bytes of a length word for the end.
      if (left < TRAILER) return false;
    }
    const length = this.view.getInt32(at);
    this.length = length;
    if (length < this.shortest) throw this.damage(length >= TRAILER + TRAILER);
    if (at + length > this.bytes.length) {
      if (length > MAX_RECORD_BYTES) throw this.damage(true);
      // The head of the record after a long one is read with it, nothing else of that one.
      const block = this.blockBytes();
      const got = this.load(position, length > block / 2 ? length + head : block);
      at = 0;
      if (got < length) throw this.damage(true);
    }
    if (this.view.getInt32(at + length - TRAILER) !== length) throw this.damage(false);
    const { view } = this;
    this.at = at;
    this.setsAt = at + head;
    this.numpmid = view.getInt32(at + head - 4);
    const time = at + 4;
    if (this.version === 2) {
      this.sec = view.getInt32(time);
      this.nsec = view.getUint32(time + 4) * 1000;
    } else {
      ({ sec: this.sec, nsec: this.nsec } = timeAt(view, time, 3));
    }
    this.position = position + length;
    this.records++;
    return true;
  }
}
