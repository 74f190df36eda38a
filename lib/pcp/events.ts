// Event arrays: records of an EVENT or HIGHRES_EVENT value block, read where they lie (spec pdu.md
// 4.5). checkEvents refuses blocks whose records or parameters leave the block, with PM_ERR_IPC; it
// must have passed before the cursor is used.
import { pad4, PM_ERR, PcpError, viewOf } from "../base/mod.ts";
import type { Pmid } from "./ids.ts";
import { PM_TYPE, type PmType } from "./types.ts";
import { blockLength, blockType } from "./values.ts";

/** Flags of an event record. */
export const PM_EVENT = {
  POINT: 0x1,
  START: 0x2,
  END: 0x4,
  ID: 0x8,
  PARENT: 0x10,
  MISSED: 0x80000000,
} as const;

const TWO_TO_32 = 0x100000000;
const FLAG_NAMES = ["point", "start", "end", "id", "parent"] as const;

/** `missed` alone, else the names of the flags joined by commas; pmEventFlagsStr(3). */
export function pmEventFlagsStr(flags: number): string {
  if ((flags & PM_EVENT.MISSED) !== 0) return "missed";
  return FLAG_NAMES.filter((_, bit) => (flags & (1 << bit)) !== 0).join(",");
}

/** Walks over the records of one checked block, and over the parameters of the present record. */
export class EventCursor {
  /** Number of records in the block. */
  readonly nrecords: number;
  /** Whether times have nanoseconds and 64 bits. */
  readonly highres: boolean;
  /** Present record: time, flags, and its `nparams` field (records lost when MISSED is set). */
  sec = 0;
  nsec = 0;
  flags = 0;
  nparams = 0;
  /** Present parameter: metric, type, and where its `size` bytes of data lie. */
  pmid = 0 as Pmid;
  type: PmType = 0;
  dataAt = 0;
  size = 0;
  private readonly view: DataView;
  private recordsLeft: number;
  private paramsLeft = 0;
  private position: number;

  constructor(
    readonly bytes: Uint8Array,
    at: number,
  ) {
    this.view = viewOf(bytes);
    this.highres = blockType(bytes, at) === PM_TYPE.HIGHRES_EVENT;
    this.nrecords = this.view.getInt32(at + 4);
    this.recordsLeft = this.nrecords;
    this.position = at + 8;
  }

  /** Whether the present record stands for `nparams` lost ones. */
  get missed(): boolean {
    return (this.flags & PM_EVENT.MISSED) !== 0;
  }

  /** Steps to the next record; false after the last one. */
  next(): boolean {
    while (this.nextParameter());
    if (this.recordsLeft <= 0) return false;
    this.recordsLeft--;
    const at = this.position;
    const view = this.view;
    if (this.highres) {
      this.sec = view.getInt32(at) * TWO_TO_32 + view.getUint32(at + 4);
      this.nsec = view.getInt32(at + 8) * TWO_TO_32 + view.getUint32(at + 12);
    } else {
      this.sec = view.getUint32(at);
      this.nsec = view.getUint32(at + 4) * 1000;
    }
    const flagsAt = at + (this.highres ? 16 : 8);
    this.flags = view.getUint32(flagsAt);
    this.nparams = view.getInt32(flagsAt + 4);
    this.position = flagsAt + 8;
    this.paramsLeft = this.missed ? 0 : this.nparams;
    return true;
  }

  /** Steps to the next parameter of the present record; false after the last one. */
  nextParameter(): boolean {
    if (this.paramsLeft <= 0) return false;
    this.paramsLeft--;
    const at = this.position;
    const head = this.view.getUint32(at + 4);
    this.pmid = this.view.getUint32(at) as Pmid;
    this.type = head >>> 24;
    this.size = (head & 0xffffff) - 4;
    this.dataAt = at + 8;
    this.position = at + 4 + pad4(this.size + 4);
    return true;
  }

  /** Data of the present parameter, a view. */
  data(): Uint8Array {
    return this.bytes.subarray(this.dataAt, this.dataAt + this.size);
  }
}

/**
 * Checks the event block at `at`; throws PM_ERR_IPC naming the offset of the first fault. `view` is
 * over `bytes`. The padding of the last parameter may lie after the block's own length.
 */
export function checkEvents(bytes: Uint8Array, at: number, view: DataView = viewOf(bytes)): void {
  const broken = (where: number, reason: string): PcpError =>
    new PcpError(PM_ERR.IPC, `event array broken at offset ${where}: ${reason}`);
  const end = at + blockLength(bytes, at);
  if (end - at < 8) throw broken(at, "no record count");
  const head = blockType(bytes, at) === PM_TYPE.HIGHRES_EVENT ? 24 : 16;
  const count = view.getInt32(at + 4);
  if (count < 0 || count > (end - at - 8) / head) throw broken(at + 4, `${count} records`);
  let position = at + 8;
  for (let record = 0; record < count; record++) {
    if (end - position < head) throw broken(position, "record cut short");
    const flags = view.getUint32(position + head - 8);
    const params = view.getInt32(position + head - 4);
    position += head;
    if ((flags & PM_EVENT.MISSED) !== 0) continue;
    if (params < 0 || params > (end - position) / 8) {
      throw broken(position - 4, `${params} parameters`);
    }
    for (let param = 0; param < params; param++) {
      if (end - position < 8) throw broken(position, "parameter cut short");
      const size = view.getUint32(position + 4) & 0xffffff;
      if (size < 4 || 4 + size > end - position) {
        throw broken(position + 4, `parameter length ${size}`);
      }
      position += 4 + pad4(size);
    }
  }
}

/** A cursor on the event block at `at`, checked. */
export function eventsOf(bytes: Uint8Array, at: number): EventCursor {
  checkEvents(bytes, at);
  return new EventCursor(bytes, at);
}
