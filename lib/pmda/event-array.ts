// Event arrays under construction (spec pmda.md 9 and 4.1): records with parameters, as the payload
// of an EVENT or HIGHRES_EVENT value. lib/pcp reads them. Refuses what pmdaEventAddRecord and
// pmdaEventAddParam refuse, with their codes, and arrays above the size of a value.
import { pad4, PcpError, PM_ERR, utf8, viewOf } from "../base/mod.ts";
import {
  type Atom,
  type Instant,
  MAX_VLEN,
  PM_EVENT,
  PM_TYPE,
  type Pmid,
  type PmType,
} from "../pcp/mod.ts";

const FIRST_BYTES = 512;
const TWO_TO_32 = 0x100000000;
/** Bytes of a record's head: its time, flags and number of parameters. */
const HEAD = { plain: 16, highres: 24 } as const;
/** Bytes of a fixed value, by type. */
const SIZES: Readonly<Record<number, number>> = {
  [PM_TYPE.I32]: 4,
  [PM_TYPE.U32]: 4,
  [PM_TYPE.I64]: 8,
  [PM_TYPE.U64]: 8,
  [PM_TYPE.FLOAT]: 4,
  [PM_TYPE.DOUBLE]: 8,
};

/** One event array. It may be reset and used again. */
export interface EventArray {
  /** Number of records so far. */
  readonly nrecords: number;
  /** Forgets all records. */
  reset(): void;
  /** PM_ERR_CONV for flags with PM_EVENT.MISSED. */
  addRecord(time: Instant, flags: number): void;
  /** A record that stands for `count` lost ones. */
  addMissed(time: Instant, count: number): void;
  /** A parameter of the last record. PM_ERR_TYPE for types without data of their own. */
  addParameter(pmid: Pmid, type: PmType, value: Atom): void;
  /** The payload of the value: a copy. */
  payload(): Uint8Array;
}

function writeFixed(view: DataView, at: number, type: PmType, value: Atom): void {
  if (type === PM_TYPE.FLOAT) view.setFloat32(at, Number(value));
  else if (type === PM_TYPE.DOUBLE) view.setFloat64(at, Number(value));
  else if (SIZES[type] === 8) view.setBigUint64(at, BigInt.asUintN(64, BigInt(value as number)));
  else view.setUint32(at, Number(value) >>> 0);
}

class Builder implements EventArray {
  private bytes = new Uint8Array(FIRST_BYTES);
  private view = viewOf(this.bytes);
  private length = 4;
  private paramsAt = 0;
  nrecords = 0;

  constructor(private readonly highres: boolean) {}

  private take(size: number): number {
    const at = this.length;
    const end = at + size;
    if (end > MAX_VLEN - 4)
      throw new PcpError(PM_ERR.TOOBIG, `an event array of more than ${MAX_VLEN} bytes`);
    if (end > this.bytes.length) {
      const grown = new Uint8Array(Math.max(end, this.bytes.length * 2));
      grown.set(this.bytes);
      this.bytes = grown;
      this.view = viewOf(grown);
    }
    this.bytes.fill(0, at, end);
    this.length = end;
    return at;
  }

  reset(): void {
    this.length = 4;
    this.nrecords = 0;
    this.paramsAt = 0;
  }

  private record({ sec, nsec }: Instant, flags: number, count: number): void {
    const size = this.highres ? HEAD.highres : HEAD.plain;
    const at = this.take(size);
    const { view } = this;
    if (this.highres) {
      view.setInt32(at, Math.floor(sec / TWO_TO_32));
      view.setUint32(at + 4, sec >>> 0);
      view.setUint32(at + 12, nsec);
    } else {
      view.setUint32(at, sec >>> 0);
      view.setUint32(at + 4, Math.floor(nsec / 1000));
    }
    view.setUint32(at + size - 8, flags);
    view.setUint32(at + size - 4, count);
    this.paramsAt = at + size - 4;
    this.nrecords += 1;
  }

  addRecord(time: Instant, flags: number): void {
    if ((flags & PM_EVENT.MISSED) !== 0)
      throw new PcpError(PM_ERR.CONV, "lost events are added by their number");
    this.record(time, flags, 0);
  }

  addMissed(time: Instant, count: number): void {
    this.record(time, PM_EVENT.MISSED, count);
    // Parameters belong to events that are there.
    this.paramsAt = 0;
  }

  addParameter(pmid: Pmid, type: PmType, value: Atom): void {
    if (this.paramsAt === 0) throw new PcpError(PM_ERR.CONV, "a parameter before its record");
    const fixed = SIZES[type];
    let data: Uint8Array | undefined;
    if (fixed === undefined) {
      if (type !== PM_TYPE.STRING && type !== PM_TYPE.AGGREGATE)
        throw new PcpError(PM_ERR.TYPE, `no parameters of type ${type}`);
      data = typeof value === "object" ? value : utf8(String(value));
    } else if (typeof value === "object" || typeof value === "string")
      throw new PcpError(PM_ERR.TYPE, `a ${typeof value} is no value of type ${type}`);
    const size = data?.length ?? fixed ?? 0;
    const at = this.take(8 + pad4(size));
    this.view.setUint32(at, pmid);
    this.view.setUint32(at + 4, type * 0x1000000 + 4 + size);
    if (data === undefined) writeFixed(this.view, at + 8, type, value);
    else this.bytes.set(data, at + 8);
    this.view.setUint32(this.paramsAt, this.view.getUint32(this.paramsAt) + 1);
  }

  payload(): Uint8Array {
    this.view.setUint32(0, this.nrecords);
    return this.bytes.slice(0, this.length);
  }
}

/** An empty array; `highres` for times with nanoseconds and 64 bits. */
export const createEventArray = (highres = false): EventArray => new Builder(highres);
